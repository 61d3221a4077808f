/*
 * cpu/kernels-dots.c - products of few rows of f32 with stored weights: dot products along k.
 *
 * Weights are widened to f32 as they are read: F32, F16, BF16 and Q8_0 in registers, the other
 * quantised types a stretch of four rows at a time into a buffer that stays in the L1 cache.
 * Where x is given as int8 (quantise_rows), the products are kernels-dots-blocks.c's for blocks
 * of 32 and kernels-dots-super.c's for super-blocks.
 */
#include "engine/cpu/kernels-dots.h"
#include "engine/tensor/k-quants.h"

/* Bytes of N stored elements of DTYPE, to a block. */
INLINE size_t
stored_bytes(enum dtype dtype, int64_t n)
{
	if (dtype == DTYPE_Q8_0)
		return (size_t)n / Q8_0_BLOCK * sizeof(struct block_q8_0);
	return (size_t)n * (dtype == DTYPE_F32 ? 4 : 2);
}

INLINE void
dots_tile(enum dtype dtype, const int rows, const struct dot_products *job, const struct quad *quad,
    int64_t row)
{
	const float *x = job->x + row * job->x_row;
	const int step = dtype == DTYPE_Q8_0 ? Q8_0_BLOCK : VL;
	int64_t k = job->k, x_row = job->x_row, i = 0;
	vf sum[DOT_ROWS][OUTPUTS];

	UNROLL
	for (int r = 0; r < rows; r++) {
		UNROLL
		for (int o = 0; o < OUTPUTS; o++)
			sum[r][o] = vf_zero();
	}
	for (; i + step <= k; i += step) {
		UNROLL
		for (int j = 0; j < step; j += VL) {
			vf xv[DOT_ROWS];
			UNROLL
			for (int r = 0; r < rows; r++)
				xv[r] = vf_load(x + r * x_row + i + j);
			UNROLL
			for (int o = 0; o < OUTPUTS; o++) {
				vf w = vf_load_stored_at(dtype, quad->w[o], i, j);
				if (j == 0)
					prefetch_next(job, quad, o, stored_bytes(dtype, i));
				UNROLL
				for (int r = 0; r < rows; r++)
					sum[r][o] = vf_fma(w, xv[r], sum[r][o]);
			}
		}
	}
	if (i < k) {
		int n = (int)(k - i);
		UNROLL
		for (int o = 0; o < OUTPUTS; o++) {
			vf w = vf_load_stored_end(dtype, quad->w[o], i, n);
			UNROLL
			for (int r = 0; r < rows; r++)
				sum[r][o] =
				    vf_fma(w, vf_load_first(x + r * x_row + i, n), sum[r][o]);
		}
	}
	UNROLL
	for (int r = 0; r < rows; r++)
		store_outputs(job, quad, row + r, sum[r]);
}

#define DOTS_TILE_F32(rows) dots_tile(DTYPE_F32, rows, job, &quad, row)
#define DOTS_TILE_F16(rows) dots_tile(DTYPE_F16, rows, job, &quad, row)
#define DOTS_TILE_BF16(rows) dots_tile(DTYPE_BF16, rows, job, &quad, row)
#define DOTS_TILE_Q8_0(rows) dots_tile(DTYPE_Q8_0, rows, job, &quad, row)
DEFINE_DOTS(dots_f32, DOTS_TILE_F32)
DEFINE_DOTS(dots_f16, DOTS_TILE_F16)
DEFINE_DOTS(dots_bf16, DOTS_TILE_BF16)
DEFINE_DOTS(dots_q8_0, DOTS_TILE_Q8_0)

#define STRETCH 1024 /* elements of a row that are widened at a time */

/* Four rows, a stretch after the other, each added to what the ones before it gave. The order of
 * the sum is the same for any number of rows. */
static void
dots_widened(const struct dot_products *job)
{
	float buffer[OUTPUTS][STRETCH];

	for (int64_t done = 0; done < job->n_outputs; done += OUTPUTS) {
		struct quad quad = quad_at(job, done);
		for (int64_t begin = 0; begin < job->k; begin += STRETCH) {
			struct dot_products part = *job;
			part.k = job->k - begin < STRETCH ? job->k - begin : STRETCH;
			for (int o = 0; o < quad.n; o++)
				KERNEL(widen_part)(job->dtype, quad.w[o], begin, part.k, buffer[o]);
			part.dtype = DTYPE_F32;
			part.w = buffer;
			part.row_bytes = sizeof buffer[0];
			part.output_begin = 0;
			part.n_outputs = quad.n;
			part.x += begin;
			part.y += quad.output;
			part.bias =
			    begin == 0 && job->bias != NULL ? job->bias + quad.output : NULL;
			part.add = begin > 0;
			dots_f32(&part);
		}
	}
}

/* ---- rows of x as int8 ---- */

size_t
KERNEL(quantised_row_bytes)(enum dtype dtype, int64_t k)
{
	if (dtype_block(dtype) != K_BLOCK)
		return KERNEL(blocks_row_bytes)(k);
#if defined(__AVX2__)
	return KERNEL(super_row_bytes)(k);
#else
	return 0;
#endif
}

void
KERNEL(quantise_rows)(
    enum dtype dtype, const float *x, int64_t x_row, int64_t n_rows, int64_t k, void *out)
{
	size_t row_bytes = KERNEL(quantised_row_bytes)(dtype, k);

	for (int64_t row = 0; row < n_rows; row++) {
		void *to = (char *)out + (size_t)row * row_bytes;
#if defined(__AVX2__)
		if (dtype_block(dtype) == K_BLOCK) {
			KERNEL(round_to_super_blocks)(x + row * x_row, k, to);
			continue;
		}
#endif
		KERNEL(round_to_blocks)(dtype, x + row * x_row, k, to);
	}
}

static void
dots_in_integers(const struct dot_products *job)
{
#if defined(__AVX2__)
	if (dtype_block(job->dtype) == K_BLOCK) {
		KERNEL(dots_of_super_blocks)(job);
		return;
	}
#endif
	KERNEL(dots_of_blocks)(job);
}

void
KERNEL(dots)(const struct dot_products *job)
{
	if (job->x_quantised != NULL) {
		dots_in_integers(job);
		return;
	}
	switch (job->dtype) {
	case DTYPE_F32:
		dots_f32(job);
		break;
	case DTYPE_F16:
		dots_f16(job);
		break;
	case DTYPE_BF16:
		dots_bf16(job);
		break;
	case DTYPE_Q8_0:
		dots_q8_0(job);
		break;
	default:
		dots_widened(job);
	}
}
