/*
 * tensor/tensor.h - a tensor: a shape over memory that somebody else owns.
 *
 * Row-major and contiguous; the last dimension is innermost. Most operations see a tensor as
 * [rows, cols]: cols is the last dimension, rows the product of the others. Memory belongs to
 * a mapped file, an arena or a parameter set, never to the tensor.
 *
 * grad, when not NULL, is f32 of the same shape: the tensor takes part in training and
 * operations recorded on a tape add their gradients into it.
 */
#ifndef ENGINE_TENSOR_TENSOR_H
#define ENGINE_TENSOR_TENSOR_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/tensor/dtype.h"

#define TENSOR_MAX_DIMS 4

struct tensor {
	enum dtype dtype;
	int n_dims;
	int64_t shape[TENSOR_MAX_DIMS];
	void *data;
	float *grad;
	bool grad_blank; /* grad is not zeroed yet: tape.h */
};

static inline int64_t
tensor_cols(const struct tensor *t)
{
	return t->shape[t->n_dims - 1];
}

static inline int64_t
tensor_rows(const struct tensor *t)
{
	int64_t rows = 1;

	for (int i = 0; i < t->n_dims - 1; i++)
		rows *= t->shape[i];
	return rows;
}

static inline int64_t
tensor_count(const struct tensor *t)
{
	return tensor_rows(t) * tensor_cols(t);
}

static inline float *
tensor_f32(const struct tensor *t)
{
	return t->data;
}

#endif
