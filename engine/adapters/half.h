/*
 * adapters/half.h - one half of a module's pair (A or B) in the form that a file has it.
 *
 * In memory a module is A [rank, in] and BT [rank, out]. Files write A [rank, in] and B [out, rank]
 * (PEFT, GGUF, GGML), or both transposed (MLX: [in, rank] and [rank, out]); GGUF files of the llama
 * family put the rows of q and k so that rotary pairs are neighbours: within each head of hd rows,
 * file row 2i+s = our row s*(hd/2)+i. A half gives and takes its rows in the file's form, so that a
 * format is its names and its container.
 */
#ifndef ENGINE_ADAPTERS_HALF_H
#define ENGINE_ADAPTERS_HALF_H

#include "engine/adapters/adapter.h"

struct half {
	const struct adapter_module *module;
	bool is_b;
	bool transposed; /* against PEFT's form */
	int head_dim;	 /* > 0: rows of B as in GGUF; divides them */
};

/* The half as PEFT has it. */
struct half half_of(const struct adapter_module *module, bool is_b);
/* Whether the module's output is rotated, so that GGUF orders its rows. */
bool half_is_rotated(const struct adapter_module *module);

int64_t half_rows(const struct half *half);
int64_t half_cols(const struct half *half);
/* Row ROW of the file's matrix into OUT [half_cols]. */
void half_row(const struct half *half, int64_t row, float *out);
/* The opposite, while the adapter is being filled. */
void half_set_row(const struct half *half, int64_t row, const float *values);

#endif
