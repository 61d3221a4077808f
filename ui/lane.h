/*
 * ui/lane.h - a lane of the Compare view: what it runs, what it said, how it went.
 *
 * A lane is the base alone, one adapter, or a weighted mix. SLOT is its place in the worker's
 * session, which it keeps while others come and go, so that its cache of the prompt stays of use.
 */
#ifndef UI_LANE_H
#define UI_LANE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "engine/t2l.h"
#include "store/store.h"

enum { MAX_LANES = 8, MAX_PARTS = 8 };

struct lane_part {
	char name[STORE_NAME_MAX + 1];
	int64_t id;		     /* in the catalog; 0: not kept (a draft) */
	struct t2l_adapter *adapter; /* NULL: being opened */
	float weight;
};

struct turn {
	char *prompt, *answer;
};

enum lane_state { LANE_EMPTY, LANE_RUNNING, LANE_DONE };

struct lane {
	size_t slot;
	struct lane_part parts[MAX_PARTS];
	size_t n_parts; /* 0: the base alone */
	bool draft;	/* made from what stands in the task line, not kept */
	bool fresh;	/* kept in this run of the workbench */
	bool restored;	/* from the run before, and did not run in this one yet */

	enum lane_state state;
	struct buffer text;
	size_t n_tokens;
	struct t2l_lane_result result; /* when done */
	char *prompt;		       /* that TEXT answers */

	struct turn *turns; /* the conversation before that */
	size_t n_turns;

	bool own_sampling;
	struct t2l_sampling sampling;

	size_t scroll;
	size_t n_lines, rows; /* of the last drawing */
	bool differs;	      /* n_differ and by_lines were counted */
	size_t n_differ;
	bool by_lines;
};

void lane_free(struct lane *lane);
/* "base", "es-upper", "0.5·a + 0.5·b" into OUT[SIZE]. */
void lane_label(const struct lane *lane, char *out, size_t size);
/* The same as commands take it: "base", "a:0.5+b:0.5". */
void lane_spec(const struct lane *lane, char *out, size_t size);
/* All adapters are open. */
bool lane_ready(const struct lane *lane);
/* All adapters are in the catalog (and there is at least one). */
bool lane_kept(const struct lane *lane);
void lane_forget_text(struct lane *lane);
/* What was said becomes a turn of the conversation. False: out of memory. */
bool lane_keep_turn(struct lane *lane);
void lane_forget_turns(struct lane *lane);

#endif
