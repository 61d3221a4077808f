/*
 * tensor/quants.h - blocks of 32 weights: Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, IQ4_NL.
 *
 * As GGUF stores them (ggml's quants): a block has an f16 scale, some an f16 minimum, and 32
 * quants. Of 4-bit quants element j lies in the low half of byte j, element j + 16 in its high
 * half; the fifth bit of element j is bit j of `high`.
 * Blocks may lie at any address. What is inline here is compiled again, with vectors, by the
 * kernels that widen weights as they go.
 */
#ifndef ENGINE_TENSOR_QUANTS_H
#define ENGINE_TENSOR_QUANTS_H

#include "engine/tensor/dtype.h"

#define QUANT_BLOCK 32 /* elements; also what a K type's super-block is cut into */

#define STORED __attribute__((packed))

struct STORED block_q4_0 { /* d * (q - 8); IQ4_NL: d * iq4_nl_values[q] */
	uint16_t scale;
	uint8_t quants[16];
};

struct STORED block_q4_1 { /* d * q + m */
	uint16_t scale, minimum;
	uint8_t quants[16];
};

struct STORED block_q5_0 { /* d * (q - 16) */
	uint16_t scale;
	uint8_t high[4], quants[16];
};

struct STORED block_q5_1 { /* d * q + m */
	uint16_t scale, minimum;
	uint8_t high[4], quants[16];
};

/* Steps that are finer near zero, where most weights are (ggml). */
#define IQ4_NL_VALUES -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113
static const int8_t iq4_nl_values[16] = { IQ4_NL_VALUES };

static inline uint32_t
high_bits(const uint8_t high[4])
{
	return (uint32_t)high[0] | (uint32_t)high[1] << 8 | (uint32_t)high[2] << 16 |
	       (uint32_t)high[3] << 24;
}

/* The quants of a block as they are multiplied by its scale, and f16 bits of scale and minimum (0
 * where the type has none). DTYPE is one of the six, a constant where this is inlined. */
struct quant_block {
	int8_t quants[QUANT_BLOCK];
	uint16_t scale, minimum;
};

static inline __attribute__((always_inline)) void
quant_block_read(enum dtype dtype, const void *bytes, struct quant_block *out)
{
	const struct block_q4_0 *q4_0 = bytes;
	const struct block_q4_1 *q4_1 = bytes;
	const struct block_q5_0 *q5_0 = bytes;
	const struct block_q5_1 *q5_1 = bytes;
	const uint8_t *quants = q4_0->quants;
	uint32_t high = 0;

	out->scale = q4_0->scale; /* it comes first in all of them */
	out->minimum = 0;
	if (dtype == DTYPE_Q8_0) {
		const struct block_q8_0 *q8_0 = bytes;
		for (int j = 0; j < QUANT_BLOCK; j++)
			out->quants[j] = q8_0->quants[j];
		return;
	}
	if (dtype == DTYPE_Q4_1 || dtype == DTYPE_Q5_1)
		out->minimum = q4_1->minimum;
	if (dtype == DTYPE_Q4_1)
		quants = q4_1->quants;
	if (dtype == DTYPE_Q5_0) {
		quants = q5_0->quants;
		high = high_bits(q5_0->high);
	}
	if (dtype == DTYPE_Q5_1) {
		quants = q5_1->quants;
		high = high_bits(q5_1->high);
	}
	for (int j = 0; j < 16; j++) {
		out->quants[j] = (int8_t)(quants[j] & 15);
		out->quants[j + 16] = (int8_t)(quants[j] >> 4);
	}
	if (dtype == DTYPE_Q5_0 || dtype == DTYPE_Q5_1)
		for (int j = 0; j < QUANT_BLOCK; j++)
			out->quants[j] = (int8_t)(out->quants[j] | (high >> j & 1) << 4);
	if (dtype == DTYPE_IQ4_NL)
		for (int j = 0; j < QUANT_BLOCK; j++)
			out->quants[j] = iq4_nl_values[out->quants[j]];
	if (dtype == DTYPE_Q4_0 || dtype == DTYPE_Q5_0)
		for (int j = 0; j < QUANT_BLOCK; j++)
			out->quants[j] = (int8_t)(out->quants[j] - (dtype == DTYPE_Q4_0 ? 8 : 16));
}

/* For the table in dtype.c: N elements (whole blocks). */
void q4_0_to_f32(const void *source, float *out, int64_t n);
void q4_1_to_f32(const void *source, float *out, int64_t n);
void q5_0_to_f32(const void *source, float *out, int64_t n);
void q5_1_to_f32(const void *source, float *out, int64_t n);
void q8_0_to_f32(const void *source, float *out, int64_t n);
void iq4_nl_to_f32(const void *source, float *out, int64_t n);
/* Q4_0 to Q8_0 round as llama.cpp's reference quantisers do, byte for byte; IQ4_NL searches for
 * the scale with the smallest squared error. */
void q4_0_from_f32(const float *source, void *out, int64_t n);
void q4_1_from_f32(const float *source, void *out, int64_t n);
void q5_0_from_f32(const float *source, void *out, int64_t n);
void q5_1_from_f32(const float *source, void *out, int64_t n);
void q8_0_from_f32(const float *source, void *out, int64_t n);
void iq4_nl_from_f32(const float *source, void *out, int64_t n);

#endif
