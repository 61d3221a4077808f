/* k-quants.c - super-blocks of 256 weights to and from f32. */
#include "engine/tensor/k-quants.h"

#include <math.h>
#include <string.h>

#include "engine/tensor/quant-fit.h"

_Static_assert(sizeof(struct block_q2_k) == 84, "Q2_K super-blocks are 84 bytes in files");
_Static_assert(sizeof(struct block_q3_k) == 110, "Q3_K super-blocks are 110 bytes in files");
_Static_assert(sizeof(struct block_q4_k) == 144, "Q4_K super-blocks are 144 bytes in files");
_Static_assert(sizeof(struct block_q5_k) == 176, "Q5_K super-blocks are 176 bytes in files");
_Static_assert(sizeof(struct block_q6_k) == 210, "Q6_K super-blocks are 210 bytes in files");

/* ---- widening ---- */

static inline __attribute__((always_inline)) void
widen(enum dtype dtype, size_t block_bytes, const void *source, float *out, int64_t n)
{
	const unsigned char *bytes = source;
	struct k_scales scales;

	for (int64_t i = 0; i < n; i += K_BLOCK, bytes += block_bytes) {
		k_scales_read(dtype, bytes, &scales);
		float d = f16_to_f32(scales.d), dmin = f16_to_f32(scales.dmin);
		for (int group = 0; group < K_GROUPS; group++)
			k_group_widen(
			    dtype, bytes, &scales, d, dmin, group, out + i + group * QUANT_BLOCK);
	}
}

void
q2_k_to_f32(const void *source, float *out, int64_t n)
{
	widen(DTYPE_Q2_K, sizeof(struct block_q2_k), source, out, n);
}

void
q3_k_to_f32(const void *source, float *out, int64_t n)
{
	widen(DTYPE_Q3_K, sizeof(struct block_q3_k), source, out, n);
}

void
q4_k_to_f32(const void *source, float *out, int64_t n)
{
	widen(DTYPE_Q4_K, sizeof(struct block_q4_k), source, out, n);
}

void
q5_k_to_f32(const void *source, float *out, int64_t n)
{
	widen(DTYPE_Q5_K, sizeof(struct block_q5_k), source, out, n);
}

void
q6_k_to_f32(const void *source, float *out, int64_t n)
{
	widen(DTYPE_Q6_K, sizeof(struct block_q6_k), source, out, n);
}

/* ---- narrowing ---- */

/* A super-block on its way: runs of RUN elements, their numbers, and the quants. */
struct fitted {
	float d, dmin;
	int scale[K_RUNS], minimum[K_RUNS];
	uint8_t quants[K_BLOCK];
};

/* 1 / d as it will be read back. */
static float
stored_inverse(float *d)
{
	*d = f16_to_f32(f32_to_f16(*d));
	return *d != 0 ? 1 / *d : 0;
}

/* Scales and minimums of at most MOST, quants of LEVELS. */
static void
fit_with_minimums(const float *x, int run, int levels, int most, struct fitted *out)
{
	float scales[K_RUNS], minimums[K_RUNS], largest_scale = 0, largest_minimum = 0;
	int n = K_BLOCK / run;

	for (int r = 0; r < n; r++) {
		fit_affine(x + r * run, run, levels, &scales[r], &minimums[r]);
		largest_scale = fmaxf(largest_scale, scales[r]);
		largest_minimum = fmaxf(largest_minimum, minimums[r]);
	}
	out->d = largest_scale / (float)most;
	out->dmin = largest_minimum / (float)most;
	float inverse = stored_inverse(&out->d), inverse_min = stored_inverse(&out->dmin);
	for (int r = 0; r < n; r++) {
		out->scale[r] = nearest_integer(scales[r] * inverse, 0, most);
		out->minimum[r] = nearest_integer(minimums[r] * inverse_min, 0, most);
		float scale = out->d * (float)out->scale[r];
		float minimum = out->dmin * (float)out->minimum[r];
		for (int i = r * run; i < (r + 1) * run; i++)
			out->quants[i] =
			    (uint8_t)(scale != 0
					  ? nearest_integer((x[i] + minimum) / scale, 0, levels - 1)
					  : 0);
	}
}

/* Scales in -MOST .. MOST-1, quants in 0 .. 2*HALF-1 that stand for themselves less HALF. */
static void
fit_about_zero(const float *x, int half, int most, struct fitted *out)
{
	float scales[K_RUNS], largest = 0;

	for (int r = 0; r < K_RUNS; r++) {
		scales[r] = fit_symmetric(x + r * K_RUN, K_RUN, half);
		if (fabsf(scales[r]) > fabsf(largest))
			largest = scales[r];
	}
	out->d = -largest / (float)most;
	float inverse = stored_inverse(&out->d);
	for (int r = 0; r < K_RUNS; r++) {
		out->scale[r] = nearest_integer(scales[r] * inverse, -most, most - 1);
		float scale = out->d * (float)out->scale[r];
		for (int i = r * K_RUN; i < (r + 1) * K_RUN; i++)
			out->quants[i] =
			    (uint8_t)(scale != 0
					  ? nearest_integer(x[i] / scale, -half, half - 1) + half
					  : half);
	}
}

/* Bits AT .. of the quants of four groups, two bits each, share the bytes of half a block. */
static void
put_quarters(const uint8_t quants[K_BLOCK], int shift, uint8_t out[64])
{
	for (int i = 0; i < 64; i++) {
		const uint8_t *q = quants + i / 32 * 128 + i % 32;

		out[i] = (uint8_t)((q[0] >> shift & 3) | (q[32] >> shift & 3) << 2 |
				   (q[64] >> shift & 3) << 4 | (q[96] >> shift & 3) << 6);
	}
}

/* Bit SHIFT of every quant: bit g of byte j is that of element j of group g. */
static void
put_bits(const uint8_t quants[K_BLOCK], int shift, uint8_t out[32])
{
	for (int j = 0; j < 32; j++) {
		out[j] = 0;
		for (int g = 0; g < K_GROUPS; g++)
			out[j] = (uint8_t)(out[j] | (quants[32 * g + j] >> shift & 1) << g);
	}
}

/* The low four bits: groups 2i and 2i + 1 share bytes. */
static void
put_halves(const uint8_t quants[K_BLOCK], uint8_t out[128])
{
	for (int i = 0; i < 128; i++) {
		const uint8_t *q = quants + i / 32 * 64 + i % 32;

		out[i] = (uint8_t)((q[0] & 15) | (q[32] & 15) << 4);
	}
}

/* The inverse of q4_k_scale(). */
static void
put_q4_k_scales(const struct fitted *fitted, uint8_t out[12])
{
	for (int g = 0; g < 4; g++) {
		int scale = fitted->scale[4 + g], minimum = fitted->minimum[4 + g];

		out[g] = (uint8_t)(fitted->scale[g] | scale >> 4 << 6);
		out[4 + g] = (uint8_t)(fitted->minimum[g] | minimum >> 4 << 6);
		out[8 + g] = (uint8_t)((scale & 15) | (minimum & 15) << 4);
	}
}

/* The inverse of q3_k_scale(). */
static void
put_q3_k_scales(const struct fitted *fitted, uint8_t out[12])
{
	memset(out, 0, 12);
	for (int r = 0; r < K_RUNS; r++) {
		int scale = fitted->scale[r] + 32;

		out[r & 7] = (uint8_t)(out[r & 7] | (scale & 15) << (r < 8 ? 0 : 4));
		out[8 + (r & 3)] = (uint8_t)(out[8 + (r & 3)] | scale >> 4 << 2 * (r >> 2));
	}
}

void
q2_k_from_f32(const float *source, void *out, int64_t n)
{
	struct block_q2_k *block = out;
	struct fitted fitted;

	for (int64_t i = 0; i < n; i += K_BLOCK, block++) {
		fit_with_minimums(source + i, K_RUN, 4, 15, &fitted);
		block->d = f32_to_f16(fitted.d);
		block->dmin = f32_to_f16(fitted.dmin);
		for (int r = 0; r < K_RUNS; r++)
			block->scales[r] = (uint8_t)(fitted.scale[r] | fitted.minimum[r] << 4);
		put_quarters(fitted.quants, 0, block->quants);
	}
}

void
q3_k_from_f32(const float *source, void *out, int64_t n)
{
	struct block_q3_k *block = out;
	struct fitted fitted;

	for (int64_t i = 0; i < n; i += K_BLOCK, block++) {
		fit_about_zero(source + i, 4, 32, &fitted);
		block->d = f32_to_f16(fitted.d);
		put_q3_k_scales(&fitted, block->scales);
		put_quarters(fitted.quants, 0, block->quants);
		put_bits(fitted.quants, 2, block->high);
	}
}

void
q4_k_from_f32(const float *source, void *out, int64_t n)
{
	struct block_q4_k *block = out;
	struct fitted fitted;

	for (int64_t i = 0; i < n; i += K_BLOCK, block++) {
		fit_with_minimums(source + i, 2 * K_RUN, 16, 63, &fitted);
		block->d = f32_to_f16(fitted.d);
		block->dmin = f32_to_f16(fitted.dmin);
		put_q4_k_scales(&fitted, block->scales);
		put_halves(fitted.quants, block->quants);
	}
}

void
q5_k_from_f32(const float *source, void *out, int64_t n)
{
	struct block_q5_k *block = out;
	struct fitted fitted;

	for (int64_t i = 0; i < n; i += K_BLOCK, block++) {
		fit_with_minimums(source + i, 2 * K_RUN, 32, 63, &fitted);
		block->d = f32_to_f16(fitted.d);
		block->dmin = f32_to_f16(fitted.dmin);
		put_q4_k_scales(&fitted, block->scales);
		put_halves(fitted.quants, block->quants);
		put_bits(fitted.quants, 4, block->high);
	}
}

void
q6_k_from_f32(const float *source, void *out, int64_t n)
{
	struct block_q6_k *block = out;
	struct fitted fitted;

	for (int64_t i = 0; i < n; i += K_BLOCK, block++) {
		fit_about_zero(source + i, 32, 128, &fitted);
		block->d = f32_to_f16(fitted.d);
		for (int r = 0; r < K_RUNS; r++)
			block->scales[r] = (int8_t)fitted.scale[r];
		for (int b = 0; b < 128; b++) {
			/* Groups 0 and 2, 1 and 3 of a half share bytes. */
			const uint8_t *q = fitted.quants + b / 64 * 128 + b % 64;

			block->low[b] = (uint8_t)((q[0] & 15) | (q[64] & 15) << 4);
		}
		put_quarters(fitted.quants, 4, block->high);
	}
}
