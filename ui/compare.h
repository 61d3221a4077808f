/*
 * ui/compare.h - the state of the Compare view, shared by the files that make it up.
 *
 * view-compare.c has the keys and the life of the view, compare-actions.c what they ask for,
 * compare-draw.c and lane-pane.c draw it, lane-run.c runs lanes and lane-make.c makes and opens
 * adapters (both on the worker), the popups (sliders.c, settings-popup.c, prompt-file.c) change it,
 * compare-save.c writes it down.
 */
#ifndef UI_COMPARE_H
#define UI_COMPARE_H

#include "ui/lane.h"
#include "ui/prompt-line.h"
#include "ui/run-settings.h"
#include "ui/view.h"

enum compare_focus { FOCUS_TASK, FOCUS_PROMPT, FOCUS_LANES };

enum { MAX_TEXT_BYTES = 1 << 20, MAX_SUGGESTIONS = 3 };

struct prompt_file;
struct record;

struct compare {
	struct view *view;
	struct prompt_line task, prompt;
	struct store_strings *task_history, *prompt_history;
	enum compare_focus focus;

	struct lane *lanes[MAX_LANES];
	size_t n_lanes, cursor;
	size_t order[MAX_LANES]; /* lane at each place on the screen; shuffled while blind */

	struct run_settings settings, usual; /* as they are, and as configured */
	char *remembered;		     /* the state as it was written last; NULL: never */
	uint64_t run_generation, draft_generation; /* of the newest jobs */
	bool live, diff, blind, voting, multi_turn, scroll_together;

	char *draft_task;	/* what the draft lane was (or is being) made from */
	bool run_after_keep;	/* a suggestion: its prompt follows */
	double draft_ms;	/* of the last draft; 0: none yet */
	char draft_fault[1024]; /* why there is none */
	struct record *record;	/* what is on the screen in the catalog; NULL: not asked for yet */

	char *merged_name; /* of the merge that runs */
	int columns;	   /* of the last drawing */
	bool first_start;  /* nothing in the catalog, nothing done yet */
	size_t suggestion;
	struct prompt_file *file; /* a file of prompts that runs or ran */
};

/* Kinds of messages from this view's jobs. */
enum {
	COMPARE_TOKEN = 1, /* lane: slot, text, number: 1 when it is a token */
	COMPARE_ROW	   /* of a file of prompts */
};

static inline struct compare *
compare_of(const struct view *view)
{
	return view->state;
}
static inline struct lane *
compare_cursor(const struct compare *compare)
{
	return compare->n_lanes > 0 ? compare->lanes[compare->order[compare->cursor]] : NULL;
}

/* ---- view-compare.c ---- */

struct lane *compare_lane_at(const struct compare *compare, size_t slot); /* NULL: gone */
/* A new lane behind the others (a draft: in front); NULL with a status message: no room. */
struct lane *compare_add_lane(struct compare *compare, bool in_front);
void compare_drop_lane(struct compare *compare, struct lane *lane);
struct lane *compare_draft_lane(const struct compare *compare);
/* The task line has other words: with "live" on they become a draft after a pause. */
void compare_task_changed(struct compare *compare);
/* Counts what differs from the lane under the cursor. */
void compare_count_differences(struct compare *compare);

/* Lanes in their own order (ends blind), the cursor on lane CURSOR. */
void compare_order_lanes(struct compare *compare, size_t cursor);

/* ---- compare-actions.c ---- */

void compare_ask_lane(struct compare *compare);
void compare_toggle_blind(struct compare *compare);
void compare_vote(struct compare *compare, size_t number); /* from the left, 1 first; 0: a tie */
void compare_copy(struct compare *compare);
void compare_ask_save(struct compare *compare);
void compare_ask_export(struct compare *compare);
void compare_ask_merge(struct compare *compare);
void compare_ask_file(struct compare *compare);

/* ---- lane-run.c ---- */

/* Runs the prompt line's text in LANE (NULL: in all that are ready). What already runs goes on from
 * the start together with it. */
void compare_run(struct compare *compare, struct lane *only);
void lane_run_message(struct compare *compare, struct message *message);
/* Whether JOB is a run of lanes. */
bool is_lane_run(const struct job *job);
/* The prompt as the model reads it; ids to be given to t2l_free(). */
struct lane_prompt {
	const struct run_settings *settings;
	const struct turn *turns;
	size_t n_turns;
	const char *text;
};
enum t2l_status lane_prompt_tokens(const struct t2l_model *model, const struct lane_prompt *prompt,
    int32_t **ids, size_t *n_ids, struct t2l_error *err);

/* ---- lane-make.c ---- */

/* The task line's text -> a draft in its lane (keep: a row of the catalog and a lane of its own).
 */
void compare_make(struct compare *compare, bool keep);
/* Opens the adapters of LANE that are not open yet. */
void compare_open_adapters(struct compare *compare, struct lane *lane);
/* "base", "name", "a:0.5+b:0.5" into LANE; false with MESSAGE. */
bool lane_parse(
    struct store *store, const char *text, struct lane *lane, char *message, size_t size);
bool is_lane_make(const struct job *job);
void lane_make_done(struct compare *compare, struct job *job);
bool is_lane_open(const struct job *job);
void lane_open_done(struct compare *compare, struct job *job);

/* ---- drawing ---- */

void compare_draw(struct compare *compare, struct area area);
/* TITLE: "A  es-upper", or "1" while blind. */
void lane_pane_draw(
    struct compare *compare, struct lane *lane, struct area area, const char *title, bool cursor);
/* How many lanes fit side by side into COLUMNS, at least 1. */
size_t lane_panes_across(size_t n_lanes, int columns);

/* ---- popups ---- */

void sliders_show(struct compare *compare);
void settings_show(struct compare *compare);

/* ---- compare-save.c: written in the background; the status line says what came of it ---- */

/* Into the catalog, unless it is there, with the vote for LANE (or STORE_TIE). False with a status
 * message: there is nothing to vote on. */
bool compare_save_vote(struct compare *compare, int lane);
/* Into the catalog, unless it is there, and into the file PATH, which ends in .html, .md or .jsonl;
 * "": only the catalog. */
void compare_save(struct compare *compare, const char *path);
bool is_compare_save(const struct job *job);
void compare_save_done(struct compare *compare, struct job *job);
/* What is on the screen is something new. */
void compare_forget_record(struct compare *compare);

/* ---- compare-state.c: task, prompt, lanes and settings, from one run to the next ---- */

/* Puts there what was there when a workbench over the same base ended. */
void compare_restore(struct compare *compare);
/* Writes it in the background when it has changed. */
void compare_keep_state(struct compare *compare);

/* ---- compare-forms.c ---- */

typedef void (*compare_form)(const struct compare *compare, const char *prompt, struct buffer *out);
/* The form that PATH's ending asks for; NULL: none. */
compare_form compare_form_of(const char *path);
const char *lane_finish_word(const struct lane *lane);

/* ---- prompt-file.c ---- */

void prompt_file_run(struct compare *compare, const char *path);
void prompt_file_message(struct compare *compare, struct message *message);
bool is_prompt_file_job(const struct job *job);
void prompt_file_show(struct compare *compare);
void prompt_file_free(struct prompt_file *file);

#endif
