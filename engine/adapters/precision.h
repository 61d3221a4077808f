/*
 * adapters/precision.h - the number formats that an adapter can be exported in.
 */
#ifndef ENGINE_ADAPTERS_PRECISION_H
#define ENGINE_ADAPTERS_PRECISION_H

#include "engine/adapters/half.h"

struct precision {
	const char *name;  /* "fp16" */
	const char *dtype; /* as dtype_name() calls it */
	bool quantised;	   /* in blocks along a row */
	double bound;	   /* relative change of the effect from which on an export is refused */
};

/* NULL-terminated by name. */
extern const struct precision precisions[];

/* T2L_EINVAL lists the known ones. */
enum t2l_status precision_by_name(
    const char *name, const struct precision **precision, struct t2l_error *err);
/* The type for rows of COLS numbers: the precision's own, or F16 where its blocks do not fit. */
enum dtype precision_dtype(const struct precision *precision, int64_t cols);

/* Where converted rows go: a file's writer. */
typedef enum t2l_status half_sink(void *user, const void *bytes, size_t n, struct t2l_error *err);
/* All rows of HALF as DTYPE into SINK. NAME is for messages: a number that f16 cannot hold is
 * T2L_EINVAL. */
enum t2l_status half_write(const struct half *half, enum dtype dtype, const char *name,
    half_sink *sink, void *user, struct t2l_error *err);
/* Fills HALF from ROWS stored back to back as DTYPE. */
enum t2l_status half_read(
    const struct half *half, enum dtype dtype, const void *rows, struct t2l_error *err);

#endif
