/*
 * ui/frame.h - the workbench's own state, shared by the files that make it up: loop, popups,
 * command panel, script player. Views see ui/view.h only.
 */
#ifndef UI_FRAME_H
#define UI_FRAME_H

#include "ui/queue.h"
#include "ui/rc.h"
#include "ui/script.h"
#include "ui/view.h"
#include "ui/worker.h"

enum { MAX_VIEWS = 9, MAX_POPUPS = 8 };

struct command_panel;

/* The threads beside the screen's, by what they may wait for. */
enum frame_worker {
	WORKER_LANES,	  /* tokens */
	WORKER_COMMANDS,  /* anything */
	WORKER_WRITES,	  /* the disk, and other processes' locks */
	WORKER_QUESTIONS, /* fractions of a second: searches, embeddings, drafts */
	N_WORKERS
};

struct workbench {
	const struct workbench_host *host;
	struct view views[MAX_VIEWS];
	size_t n_views, shown;
	struct view *popups[MAX_POPUPS]; /* the last one is on top */
	size_t n_popups;
	struct command_panel *panel;

	int wake_fd;
	struct message_queue messages;
	struct worker *workers[N_WORKERS];
	size_t n_jobs[N_TOPICS]; /* submitted and not done yet */
	uint64_t generation;

	char status[1024];
	enum role status_role;
	bool quit, hide_times;
	bool leaving;	      /* quits when nothing is being written any more */
	struct buffer *paste; /* not NULL while a paste comes in */
	struct rc rc;
	struct script *script;
};

/* What a key does when neither the popup nor the view on the screen had use for it. */
extern const struct binding frame_bindings[];

/* ---- popups.c ---- */

struct ask {
	const char *question, *initial;
	int history; /* enum store_history_kind; -1: none */
	char **(*complete)(void *user, const char *text);
	void (*answered)(void *user, const char *text);
	void *user;
};
void popup_ask(struct workbench *workbench, const struct ask *ask);

/* ---- command-panel.c: ":" and what commands say ---- */

struct command_panel *command_panel_new(struct workbench *workbench);
struct view *command_panel_view(struct command_panel *panel);
void command_panel_free(struct command_panel *panel);
/* A line as if it were typed at the prompt. */
void command_panel_run(struct workbench *workbench, const char *line);
void command_panel_ask(struct workbench *workbench); /* the ":" prompt */
/* "train 34 %" while something runs, for the header; NULL: nothing. */
const char *command_panel_running(const struct command_panel *panel);

/* ---- view-help.c ---- */

void help_show(struct workbench *workbench, const struct view *view);

/* ---- workbench.c ---- */

/* As workbench_push(), but VIEW is the caller's and outlives the popup. */
void frame_push_view(struct workbench *workbench, struct view *view);
/* The theme by NAME with t2lrc's colours over it; false: there is no such theme. */
bool frame_set_theme(struct workbench *workbench, const char *name);
/* Nothing runs and no timer waits; all that may still wait is what is written. */
bool frame_idle(struct workbench *workbench);
bool frame_answered(struct workbench *workbench);

#endif
