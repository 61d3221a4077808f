/*
 * src/repl.h - t2l infer --interactive: a conversation on the terminal, with commands after a
 * slash.
 */
#ifndef SRC_REPL_H
#define SRC_REPL_H

#include "src/lanes.h"

/* MIXES are the lanes to begin with; the REPL works on copies. -> exit status */
int repl_run(struct context *ctx, struct t2l_model *model, const struct mix *mixes, size_t n_mixes,
    const struct lane_settings *settings);

#endif
