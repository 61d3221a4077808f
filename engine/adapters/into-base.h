/*
 * adapters/into-base.h - an adapter added to the weights of a base, tensor by tensor.
 *
 * W += scale B A, a few rows at a time: nothing of a matrix's size is formed, and tensors that the
 * adapter does not change are copied as bytes.
 */
#ifndef ENGINE_ADAPTERS_INTO_BASE_H
#define ENGINE_ADAPTERS_INTO_BASE_H

#include "engine/adapters/adapter.h"
#include "engine/error.h"

/* Where rows of a changed tensor go; USER is the writer's. */
typedef enum t2l_status into_base_put(
    void *user, const void *bytes, size_t n_bytes, struct t2l_error *err);

/* One matrix of the base as its file stores it. */
struct base_matrix {
	const char *name; /* for messages */
	enum dtype dtype;
	int64_t rows, cols;
	const void *bytes;
};

/* Puts MATRIX plus what MODULE adds, in the matrix's own dtype. T2L_EMISMATCH when sizes differ,
 * T2L_EINVAL when a sum does not fit the dtype. */
enum t2l_status into_base_add(const struct base_matrix *matrix, const struct adapter_module *module,
    into_base_put *put, void *user, struct t2l_error *err);

/* Holds rows against what was written of their tensor; USER is a struct written_tensor. */
struct written_tensor {
	const char *name;
	const unsigned char *at, *end;
};
into_base_put into_base_compare;

/* What has been done so far; tells the caller's callback. */
struct into_base {
	const struct t2l_adapter *adapter;
	const char *base; /* as the caller named it, for messages */
	const struct t2l_into_base_options *options;
	struct t2l_into_base_report report;
};
enum t2l_status into_base_step(
    struct into_base *work, size_t done, size_t all, struct t2l_error *err);
/* Every module must have found its tensor: else T2L_EMISMATCH names the first of those that FOUND
 * [n_modules] lacks. */
enum t2l_status into_base_all_found(
    const struct into_base *work, const bool *found, struct t2l_error *err);

/* BASE is of the form that OUTPUT gets: a directory, a GGUF file. */
enum t2l_status into_base_hf(
    struct into_base *work, const char *base, const char *output, struct t2l_error *err);
enum t2l_status into_base_gguf(
    struct into_base *work, const char *base, const char *output, struct t2l_error *err);

#endif
