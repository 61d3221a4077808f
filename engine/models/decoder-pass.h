/*
 * models/decoder-pass.h - what one forward pass carries, and the parts that its files share.
 */
#ifndef ENGINE_MODELS_DECODER_PASS_H
#define ENGINE_MODELS_DECODER_PASS_H

#include "engine/models/decoder.h"

struct pass {
	struct ops *ops;
	const struct decoder *decoder;
	const struct decoder_batch *batch;
	const struct rope_run *runs; /* of rows with the same rotary frequencies */
	int n_runs;
	const int32_t *window_begin; /* kv_begin of layers that slide; NULL when none does */
};

/* A linear layer with the low-rank part of each adapter on top. X holds the batch's rows ROWS
 * [rows of x]; NULL: all of them. */
struct place {
	int layer;
	enum module module;
	int expert;
};
struct tensor *pass_linear(const struct pass *pass, struct place place, struct tensor *x,
    const int32_t *rows, struct tensor *weight, struct tensor *bias);
/* The embedding of the batch's tokens, adapters included. */
struct tensor *pass_embedding(const struct pass *pass);

/* decoder-experts.c. x [rows, d], normalised -> [rows, d] */
struct tensor *pass_experts(const struct pass *pass, int layer, struct tensor *x);

#endif
