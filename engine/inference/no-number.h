/*
 * inference/no-number.h - logits that are no numbers: noticed, and explained.
 *
 * Opening a model reads samples of its large tensors, so damage may come to light only when a pass
 * gives NaN. Then every weight is read to name the tensor; if all are numbers, the pass overflowed,
 * and where it did is told by layer.
 */
#ifndef ENGINE_INFERENCE_NO_NUMBER_H
#define ENGINE_INFERENCE_NO_NUMBER_H

#include "engine/models/decoder.h"

/* How many of N logits are NaN or infinite. */
int64_t count_no_numbers(const float *logits, int64_t n);

/* The first place of a pass whose state is no number. */
struct overflow {
	bool found;
	int layer; /* 0: the embeddings; 1 ...: layer 0 ... by what it gives; -1: the final norm */
};

/* decoder_batch's on_hidden; USER is a zeroed struct overflow. */
void overflow_watch(void *user, int layer, const struct tensor *hidden);

/* T2L_EFORMAT. WHAT: "lane 1", "token 7"; N_BAD of N logits are no numbers. OVERFLOW: what a second
 * run of the pass showed. */
enum t2l_status no_number_fail(const struct t2l_model *model, const char *what, int64_t n_bad,
    int64_t n, const struct overflow *overflow, struct t2l_error *err);

#endif
