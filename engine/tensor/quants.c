/* quants.c - blocks of 32 weights to and from f32. */
#include "engine/tensor/quants.h"

#include <math.h>
#include <string.h>

#include "engine/tensor/quant-fit.h"

_Static_assert(sizeof(struct block_q4_0) == 18, "Q4_0 and IQ4_NL blocks are 18 bytes in files");
_Static_assert(sizeof(struct block_q4_1) == 20, "Q4_1 blocks are 20 bytes in files");
_Static_assert(sizeof(struct block_q5_0) == 22, "Q5_0 blocks are 22 bytes in files");
_Static_assert(sizeof(struct block_q5_1) == 24, "Q5_1 blocks are 24 bytes in files");
_Static_assert(sizeof(struct block_q8_0) == 34, "Q8_0 blocks are 34 bytes in files");

/* ---- widening ---- */

static inline __attribute__((always_inline)) void
widen(enum dtype dtype, size_t block_bytes, const void *source, float *out, int64_t n)
{
	const unsigned char *bytes = source;
	struct quant_block block;

	for (int64_t i = 0; i < n; i += QUANT_BLOCK, bytes += block_bytes) {
		quant_block_read(dtype, bytes, &block);
		float scale = f16_to_f32(block.scale), minimum = f16_to_f32(block.minimum);
		for (int j = 0; j < QUANT_BLOCK; j++)
			out[i + j] = scale * (float)block.quants[j] + minimum;
	}
}

void
q4_0_to_f32(const void *source, float *out, int64_t n)
{
	widen(DTYPE_Q4_0, sizeof(struct block_q4_0), source, out, n);
}

void
q4_1_to_f32(const void *source, float *out, int64_t n)
{
	widen(DTYPE_Q4_1, sizeof(struct block_q4_1), source, out, n);
}

void
q5_0_to_f32(const void *source, float *out, int64_t n)
{
	widen(DTYPE_Q5_0, sizeof(struct block_q5_0), source, out, n);
}

void
q5_1_to_f32(const void *source, float *out, int64_t n)
{
	widen(DTYPE_Q5_1, sizeof(struct block_q5_1), source, out, n);
}

void
q8_0_to_f32(const void *source, float *out, int64_t n)
{
	widen(DTYPE_Q8_0, sizeof(struct block_q8_0), source, out, n);
}

void
iq4_nl_to_f32(const void *source, float *out, int64_t n)
{
	widen(DTYPE_IQ4_NL, sizeof(struct block_q4_0), source, out, n);
}

/* ---- narrowing ---- */

/* The element of largest magnitude, with its sign. */
static float
extreme(const float *x)
{
	float largest = 0;

	for (int j = 0; j < QUANT_BLOCK; j++)
		if (fabsf(x[j]) > fabsf(largest))
			largest = x[j];
	return largest;
}

static float
inverse_of(float scale)
{
	return scale != 0 ? 1 / scale : 0;
}

/* X, which is not negative where it is a number, without its fraction; at most MOST. */
static int
whole(float x, int most)
{
	return !(x > 0) ? 0 : x >= (float)most ? most : (int)x;
}

static void
put_quants(const int quants[QUANT_BLOCK], uint8_t low[16], uint8_t high[4])
{
	for (int j = 0; j < 16; j++)
		low[j] = (uint8_t)((quants[j] & 15) | (quants[j + 16] & 15) << 4);
	for (int j = 0; high != NULL && j < QUANT_BLOCK; j++) {
		if (j % 8 == 0)
			high[j / 8] = 0;
		high[j / 8] = (uint8_t)(high[j / 8] | (quants[j] >> 4) << j % 8);
	}
}

/* value = d * (q - half): the extreme gets q = 0, exactly. Returns d. */
static uint16_t
round_symmetric(const float *x, int half, int quants[QUANT_BLOCK])
{
	float scale = extreme(x) / (float)-half, inverse = inverse_of(scale);

	for (int j = 0; j < QUANT_BLOCK; j++)
		quants[j] = whole(x[j] * inverse + ((float)half + 0.5f), 2 * half - 1);
	return f32_to_f16(scale);
}

/* value = d * q + m */
static void
round_affine(const float *x, int levels, int quants[QUANT_BLOCK], uint16_t *d, uint16_t *m)
{
	float least = x[0], most = x[0], scale, inverse;

	for (int j = 1; j < QUANT_BLOCK; j++) {
		least = x[j] < least ? x[j] : least;
		most = x[j] > most ? x[j] : most;
	}
	scale = (most - least) / (float)(levels - 1);
	inverse = inverse_of(scale);
	for (int j = 0; j < QUANT_BLOCK; j++)
		quants[j] = whole((x[j] - least) * inverse + 0.5f, levels - 1);
	*d = f32_to_f16(scale);
	*m = f32_to_f16(least);
}

void
q4_0_from_f32(const float *source, void *out, int64_t n)
{
	struct block_q4_0 *block = out;
	int quants[QUANT_BLOCK];

	for (int64_t i = 0; i < n; i += QUANT_BLOCK, block++) {
		block->scale = round_symmetric(source + i, 8, quants);
		put_quants(quants, block->quants, NULL);
	}
}

void
q5_0_from_f32(const float *source, void *out, int64_t n)
{
	struct block_q5_0 *block = out;
	int quants[QUANT_BLOCK];

	for (int64_t i = 0; i < n; i += QUANT_BLOCK, block++) {
		block->scale = round_symmetric(source + i, 16, quants);
		put_quants(quants, block->quants, block->high);
	}
}

void
q4_1_from_f32(const float *source, void *out, int64_t n)
{
	struct block_q4_1 *block = out;
	int quants[QUANT_BLOCK];
	uint16_t d, m;

	for (int64_t i = 0; i < n; i += QUANT_BLOCK, block++) {
		round_affine(source + i, 16, quants, &d, &m);
		block->scale = d;
		block->minimum = m;
		put_quants(quants, block->quants, NULL);
	}
}

void
q5_1_from_f32(const float *source, void *out, int64_t n)
{
	struct block_q5_1 *block = out;
	int quants[QUANT_BLOCK];
	uint16_t d, m;

	for (int64_t i = 0; i < n; i += QUANT_BLOCK, block++) {
		round_affine(source + i, 32, quants, &d, &m);
		block->scale = d;
		block->minimum = m;
		put_quants(quants, block->quants, block->high);
	}
}

/* The scale is rounded to f16 only after it has divided the values, as the reference does. */
void
q8_0_from_f32(const float *source, void *out, int64_t n)
{
	unsigned char *bytes = out;

	for (int64_t i = 0; i < n; i += QUANT_BLOCK, bytes += sizeof(struct block_q8_0)) {
		struct block_q8_0 block;
		float largest = 0, scale, inverse;

		for (int j = 0; j < QUANT_BLOCK; j++)
			largest = fmaxf(largest, fabsf(source[i + j]));
		scale = largest / 127;
		inverse = inverse_of(scale);
		block.scale = f32_to_f16(scale);
		for (int j = 0; j < QUANT_BLOCK; j++) {
			float value = roundf(source[i + j] * inverse);

			/* Inf and NaN have no quant; a denormal scale makes inverse Inf. */
			block.quants[j] = (int8_t)(value >= -127 && value <= 127 ? value
						   : value > 0			 ? 127
										 : -127);
		}
		memcpy(bytes, &block, sizeof block);
	}
}

void
iq4_nl_from_f32(const float *source, void *out, int64_t n)
{
	struct block_q4_0 *block = out;
	int quants[QUANT_BLOCK];

	for (int64_t i = 0; i < n; i += QUANT_BLOCK, block++) {
		float inverse;

		block->scale = f32_to_f16(fit_values(source + i, QUANT_BLOCK, iq4_nl_values));
		inverse = inverse_of(f16_to_f32(block->scale));
		for (int j = 0; j < QUANT_BLOCK; j++)
			quants[j] = nearest_value(source[i + j] * inverse, iq4_nl_values);
		put_quants(quants, block->quants, NULL);
	}
}
