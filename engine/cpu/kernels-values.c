/*
 * cpu/kernels-values.c - weighted sums of stored rows: the values of attention, for few queries.
 *
 * Up to four sums of four vectors stay in registers while the rows go by, so that each row is
 * read and widened once for all of them.
 */
#include "engine/cpu/kernels-rows.h"
#include "engine/cpu/kernels-simd.h"

#define TILE_SUMS 4
#define TILE_VECTORS 4

/* Columns COL .. of N_SUMS sums: VECTORS whole vectors, or with END > 0 the last END columns. */
INLINE void
weighted_tile(enum dtype dtype, const int n_sums, const int vectors, const int end,
    const struct weighted_sum *job, int64_t first, int64_t col)
{
	const unsigned char *row = job->rows;
	const float *weights = job->weights + first * job->weights_row;
	float *sums = job->sums + first * job->sums_row + col;
	vf sum[TILE_SUMS][TILE_VECTORS];

	UNROLL
	for (int i = 0; i < n_sums; i++)
		UNROLL
	for (int v = 0; v < vectors; v++) {
		const float *from = sums + i * job->sums_row + v * VL;

		sum[i][v] = end > 0 ? vf_load_first(from, end) : vf_load(from);
	}
	for (int64_t j = 0; j < job->n_rows; j++, row += job->row_bytes) {
		vf x[TILE_VECTORS];

		UNROLL
		for (int v = 0; v < vectors; v++)
			x[v] = end > 0 ? vf_load_stored_end(dtype, row, col, end)
				       : vf_load_stored(dtype, row, col + v * VL);
		UNROLL
		for (int i = 0; i < n_sums; i++) {
			vf weight = vf_set1(weights[i * job->weights_row + j]);

			UNROLL
			for (int v = 0; v < vectors; v++)
				sum[i][v] = vf_fma(weight, x[v], sum[i][v]);
		}
	}
	UNROLL
	for (int i = 0; i < n_sums; i++)
		UNROLL
	for (int v = 0; v < vectors; v++) {
		float *to = sums + i * job->sums_row + v * VL;

		if (end > 0)
			vf_store_first(to, sum[i][v], end);
		else
			vf_store(to, sum[i][v]);
	}
}

INLINE void
weighted_columns(enum dtype dtype, const int n_sums, const struct weighted_sum *job, int64_t first)
{
	int64_t n = job->n_cols, col = 0;

	for (; col + TILE_VECTORS * VL <= n; col += TILE_VECTORS * VL)
		weighted_tile(dtype, n_sums, TILE_VECTORS, 0, job, first, col);
	for (; col + VL <= n; col += VL)
		weighted_tile(dtype, n_sums, 1, 0, job, first, col);
	if (col < n)
		weighted_tile(dtype, n_sums, 1, (int)(n % VL), job, first, col);
}

INLINE void
weighted_rows(enum dtype dtype, const struct weighted_sum *job)
{
	int64_t i = 0;

	for (; i + 4 <= job->n_sums; i += 4)
		weighted_columns(dtype, 4, job, i);
	for (; i + 2 <= job->n_sums; i += 2)
		weighted_columns(dtype, 2, job, i);
	if (i < job->n_sums)
		weighted_columns(dtype, 1, job, i);
}

void
KERNEL(weighted_sum)(const struct weighted_sum *job)
{
	switch (job->dtype) {
	case DTYPE_F16:
		weighted_rows(DTYPE_F16, job);
		break;
	case DTYPE_BF16:
		weighted_rows(DTYPE_BF16, job);
		break;
	case DTYPE_Q8_0:
		weighted_rows(DTYPE_Q8_0, job);
		break;
	default:
		weighted_rows(DTYPE_F32, job);
		break;
	}
}
