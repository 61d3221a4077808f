/*
 * src/few-shot.h - an adapter from examples: the description that fits them, and some steps of
 * fine-tuning.
 */
#ifndef SRC_FEW_SHOT_H
#define SRC_FEW_SHOT_H

#include "engine/t2l.h"
#include "src/context.h"

/* What the work is done with; all but the paths are the caller's. */
struct few_shot {
	struct context *ctx;
	struct t2l_model *model;
	struct t2l_hypernet *hypernet;
	struct t2l_encoder *encoder;
	const char
	    *candidates; /* descriptions, one a line, or a task suite; NULL: the demo's suite */
	struct t2l_suite *suite; /* owned: the file of examples */
	const struct t2l_suite_example *examples;
	size_t n_examples;
};

/* Reads the examples. False after telling why not; few_shot_close() either way. */
bool few_shot_open(struct few_shot *few, const char *path);
void few_shot_close(struct few_shot *few);

/* The candidate whose generated adapter gives the examples' responses the highest probability
 * (mean over examples of the log-probability a token): of a suite first one description of each
 * task, then more of the best three tasks; of a file every line. *TASK is the caller's, to be
 * freed. */
bool few_shot_describe(struct few_shot *few, char **task);

/* The adapter after STEPS steps on the examples; tells the gain on those held out. */
bool few_shot_refine(struct few_shot *few, const struct t2l_adapter *adapter, long long steps,
    double learning_rate, struct t2l_adapter **refined);

#endif
