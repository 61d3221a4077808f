/*
 * src/loss-plot.h - the loss of a training's log as a picture of characters.
 */
#ifndef SRC_LOSS_PLOT_H
#define SRC_LOSS_PLOT_H

#include "src/context.h"

/* Draws PATH (JSONL of t2l_train()) to the output: "*" training, "o" validation. False after
 * telling why not. */
bool loss_plot(struct context *ctx, const char *path);

#endif
