/*
 * src/evaluate-file.h - a lane's answers held against a file of prompts and wanted answers.
 */
#ifndef SRC_EVALUATE_FILE_H
#define SRC_EVALUATE_FILE_H

#include "engine/t2l.h"
#include "src/context.h"
#include "src/options.h"

/* The options this reads: --test-data, --metrics, --adapter, --output. Answers are greedy; one is
 * right when it is the wanted text, blanks around both left out. -> exit status */
int evaluate_file(struct context *ctx, const struct options *opt, struct t2l_model *model);

#endif
