/*
 * cpu/kernels-dots.h - what dot products with stored weights share, whatever their type.
 *
 * Four rows of W at a time meet up to DOT_ROWS rows of x; each pair has its own accumulator, so
 * the weights are read and widened once for these rows and the loads of x serve four outputs.
 * Outputs beyond the last are computed again from the last row of W and dropped.
 */
#ifndef ENGINE_CPU_KERNELS_DOTS_H
#define ENGINE_CPU_KERNELS_DOTS_H

#include <math.h>

#include "engine/cpu/kernels-matmul.h"
#include "engine/cpu/kernels-simd.h"

#define OUTPUTS 4
#if defined(__AVX512F__)
#define DOT_ROWS 4
#else
#define DOT_ROWS 2
#endif

/* The rows of W of four outputs. */
struct quad {
	const unsigned char *w[OUTPUTS];
	int64_t output;
	int n; /* outputs wanted, 1 .. 4 */
};

INLINE struct quad
quad_at(const struct dot_products *job, int64_t done)
{
	int64_t left = job->n_outputs - done;
	struct quad quad = { .output = job->output_begin + done, .n = left < 4 ? (int)left : 4 };

	for (int o = 0; o < OUTPUTS; o++) {
		int64_t row = quad.output + (o < quad.n ? o : quad.n - 1);
		quad.w[o] = (const unsigned char *)job->w + (size_t)row * job->row_bytes;
	}
	return quad;
}

/* Asks for what lies BYTES into row O of the next quad. The processor's own prefetching stops at
 * page ends and is new to every row; weights are read from memory at its full rate only so. Beyond
 * the last row this asks for memory of others, which does no harm: no address of it is used. */
INLINE void
prefetch_next(const struct dot_products *job, const struct quad *quad, int o, size_t bytes)
{
	uintptr_t next = (uintptr_t)quad->w[o] + OUTPUTS * job->row_bytes + bytes;

	__builtin_prefetch((const void *)next, 0, 2);
}

INLINE void
store_outputs(const struct dot_products *job, const struct quad *quad, int64_t row, const vf sum[4])
{
	float *y = job->y + row * job->y_row + quad->output;
	v4 total = vf_sum4(sum);

	if (quad->n == OUTPUTS) {
		if (job->add) {
			v4 before;
			memcpy(&before, y, sizeof before);
			total += before;
		}
		if (job->bias != NULL) {
			v4 bias;
			memcpy(&bias, job->bias + quad->output, sizeof bias);
			total += bias;
		}
		memcpy(y, &total, sizeof total);
		return;
	}
	for (int o = 0; o < quad->n; o++)
		y[o] = (job->add ? y[o] : 0) + total[o] +
		       (job->bias != NULL ? job->bias[quad->output + o] : 0);
}

/* TILE(rows, job, quad, row) over all rows, four outputs after four outputs. */
#if DOT_ROWS == 4
#define FOR_ALL_ROWS(TILE)                                                                         \
	for (int64_t row = 0; row < job->n_rows; row += DOT_ROWS) {                                \
		switch (job->n_rows - row) {                                                       \
		case 1:                                                                            \
			TILE(1);                                                                   \
			break;                                                                     \
		case 2:                                                                            \
			TILE(2);                                                                   \
			break;                                                                     \
		case 3:                                                                            \
			TILE(3);                                                                   \
			break;                                                                     \
		default:                                                                           \
			TILE(4);                                                                   \
		}                                                                                  \
	}
#else
#define FOR_ALL_ROWS(TILE)                                                                         \
	for (int64_t row = 0; row < job->n_rows; row += DOT_ROWS) {                                \
		if (job->n_rows - row == 1)                                                        \
			TILE(1);                                                                   \
		else                                                                               \
			TILE(2);                                                                   \
	}
#endif

/* static void NAME(job): TILE(rows, job, &quad, row) for all outputs and rows. */
#define DEFINE_DOTS(name, TILE)                                                                    \
	static void name(const struct dot_products *job)                                           \
	{                                                                                          \
		for (int64_t done = 0; done < job->n_outputs; done += OUTPUTS) {                   \
			struct quad quad = quad_at(job, done);                                     \
			FOR_ALL_ROWS(TILE)                                                         \
		}                                                                                  \
	}

INLINE uint32_t
float_bits(float x)
{
	uint32_t bits;

	memcpy(&bits, &x, sizeof bits);
	return bits;
}

/* Rounds N elements to int8; returns the scale, the largest magnitude / 127. Infinity and
 * not-a-number make the scale not-a-number, so that they spoil the outputs as they would without
 * quantising. The maximum and the rounding are integer operations: those have vectors everywhere.
 */
INLINE float
round_to_int8(const float *x, const int n, int8_t *quants)
{
	uint32_t largest = 0;
	float scale, inverse;

#pragma omp simd reduction(max : largest)
	for (int i = 0; i < n; i++) {
		uint32_t magnitude = float_bits(x[i]) & 0x7fffffff;
		largest = magnitude > largest ? magnitude : largest;
	}
	if (largest >= 0x7f800000) {
		memset(quants, 1, (size_t)n);
		return NAN;
	}
	memcpy(&scale, &largest, sizeof scale);
	scale /= 127;
	/* Below the smallest normal scale the inverse would overflow: such a block is zero. */
	inverse = scale < 0x1p-126f ? 0 : 1 / scale;
	/* Added to 1.5 * 2^23, a number is rounded to an integer in the last bits. */
#pragma omp simd
	for (int i = 0; i < n; i++)
		quants[i] = (int8_t)float_bits(x[i] * inverse + 0x1.8p23f);
	return scale;
}

/* In kernels-dots-blocks.c and kernels-dots-super.c: products in integers, and x prepared for
 * them. */
void KERNEL(dots_of_blocks)(const struct dot_products *job);
size_t KERNEL(blocks_row_bytes)(int64_t k);
void KERNEL(round_to_blocks)(enum dtype dtype, const float *x, int64_t k, void *out);
void KERNEL(dots_of_super_blocks)(const struct dot_products *job);
size_t KERNEL(super_row_bytes)(int64_t k);
void KERNEL(round_to_super_blocks)(const float *x, int64_t k, void *out);

#endif
