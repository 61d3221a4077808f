/* precision.c - rows of an adapter to and from the stored number formats. */

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/adapters/precision.h"
#include "engine/error.h"

const struct precision precisions[] = {
	{ "fp32", "f32", false, 1e-6 },
	{ "fp16", "f16", false, 2e-2 },
	{ "bf16", "bf16", false, 2e-2 },
	{ "int8", "q8_0", true, 5e-2 },
	{ "q4_0", "q4_0", true, 5e-1 },
	{ "q4_k_m", "q4_k", true, 5e-1 },
	{ 0 },
};

enum t2l_status
precision_by_name(const char *name, const struct precision **precision, struct t2l_error *err)
{
	for (const struct precision *known = precisions; known->name != NULL; known++) {
		if (strcmp(name, known->name) == 0) {
			*precision = known;
			return T2L_OK;
		}
	}
	return t2l_fail(err, T2L_EINVAL,
	    "'%s' is no precision; known are fp32, fp16, bf16, int8, q4_0 and q4_k_m", name);
}

enum dtype
precision_dtype(const struct precision *precision, int64_t cols)
{
	enum dtype dtype;

	if (!dtype_by_name(precision->dtype, &dtype) || dtype_row_bytes(dtype, cols) == 0)
		return DTYPE_F16;
	return dtype;
}

/* Only f16 has a narrower range than f32. */
static enum t2l_status
check_range(const float *row, int64_t n, enum dtype dtype, const char *name, struct t2l_error *err)
{
	for (int64_t i = 0; dtype == DTYPE_F16 && i < n; i++) {
		if (!isfinite(f16_to_f32(f32_to_f16(row[i]))))
			return t2l_fail(err, T2L_EINVAL,
			    "tensor '%s' holds %g, too large for fp16; use bf16 or fp32", name,
			    (double)row[i]);
	}
	return T2L_OK;
}

enum t2l_status
half_write(const struct half *half, enum dtype dtype, const char *name, half_sink *sink, void *user,
    struct t2l_error *err)
{
	const int64_t rows = half_rows(half), cols = half_cols(half);
	const size_t row_bytes = dtype_row_bytes(dtype, cols);
	float *row = malloc((size_t)cols * sizeof *row);
	void *stored = malloc(row_bytes + 1);
	enum t2l_status status = T2L_OK;

	if (row == NULL || stored == NULL)
		status = t2l_fail(err, T2L_ENOMEM, "out of memory");
	for (int64_t i = 0; i < rows && status == T2L_OK; i++) {
		half_row(half, i, row);
		status = check_range(row, cols, dtype, name, err);
		if (status == T2L_OK && !dtype_from_f32(dtype, row, stored, cols))
			status = t2l_fail(err, T2L_EUNSUPPORTED,
			    "tensor '%s' cannot be written as %s", name, dtype_name(dtype));
		if (status == T2L_OK)
			status = sink(user, stored, row_bytes, err);
	}
	free(row);
	free(stored);
	return status;
}

enum t2l_status
half_read(const struct half *half, enum dtype dtype, const void *stored, struct t2l_error *err)
{
	const int64_t rows = half_rows(half), cols = half_cols(half);
	const size_t row_bytes = dtype_row_bytes(dtype, cols);
	float *row = malloc((size_t)cols * sizeof *row);
	enum t2l_status status = T2L_OK;

	if (row == NULL)
		return t2l_fail(err, T2L_ENOMEM, "out of memory");
	for (int64_t i = 0; i < rows && status == T2L_OK; i++) {
		if (!dtype_to_f32(dtype, (const char *)stored + (size_t)i * row_bytes, row, cols))
			status = t2l_fail(err, T2L_EUNSUPPORTED, "numbers of type %s are not read",
			    dtype_name(dtype));
		else
			half_set_row(half, i, row);
	}
	free(row);
	return status;
}
