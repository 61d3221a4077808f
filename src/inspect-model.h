/*
 * src/inspect-model.h - t2l inspect, of a base model.
 */
#ifndef SRC_INSPECT_MODEL_H
#define SRC_INSPECT_MODEL_H

#include "engine/t2l.h"
#include "src/context.h"

/* N_CONTEXT: tokens for which memory is told; 0: at most 4096 of the model's. CHECK: every weight is
 * read. Returns the exit status. */
int inspect_model(struct context *ctx, const struct t2l_model *model, size_t n_context,
    bool list_tensors, bool check);

#endif
