/*
 * tensor/dtype.h - number formats of stored tensors, and conversion to and from f32.
 *
 * Rows are stored back to back; a quantised row is a whole number of blocks, which may lie at any
 * address. The quantised types are GGUF's: blocks of 32 in tensor/quants.h, super-blocks of 256
 * in tensor/k-quants.h.
 */
#ifndef ENGINE_TENSOR_DTYPE_H
#define ENGINE_TENSOR_DTYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum dtype {
	DTYPE_F32,
	DTYPE_F16,
	DTYPE_BF16,
	DTYPE_Q8_0,
	DTYPE_Q4_0,
	DTYPE_Q4_1,
	DTYPE_Q5_0,
	DTYPE_Q5_1,
	DTYPE_IQ4_NL,
	DTYPE_Q2_K,
	DTYPE_Q3_K,
	DTYPE_Q4_K,
	DTYPE_Q5_K,
	DTYPE_Q6_K,
	DTYPE_I32,
	DTYPE_I64,
	N_DTYPES
};

/* Value = scale * quant. */
#define Q8_0_BLOCK 32
struct __attribute__((packed)) block_q8_0 {
	uint16_t scale; /* f16 bits */
	int8_t quants[Q8_0_BLOCK];
};

const char *dtype_name(enum dtype dtype); /* "f32", ... */
bool dtype_by_name(const char *name, enum dtype *dtype);

/* f32, f16, bf16 or quantised: what dtype_to_f32 and the backends take as weights. */
bool dtype_is_weight(enum dtype dtype);
bool dtype_is_quantised(enum dtype dtype);
int dtype_block(enum dtype dtype); /* elements that are stored together; 1 when not quantised */

/* Bytes of one row of COLS elements; 0 when COLS does not fill whole blocks or overflows. */
size_t dtype_row_bytes(enum dtype dtype, int64_t cols);

/* N elements (whole blocks), any alignment. Integer types are not converted (false). f16/bf16
 * round to nearest even; Q4_0, Q4_1, Q5_0, Q5_1 and Q8_0 round as llama.cpp's reference quantisers
 * do; the others search for scales (tensor/quant-fit.h). Numbers that are not finite give some
 * quants in their block: check before when that matters. */
bool dtype_to_f32(enum dtype dtype, const void *source, float *out, int64_t n);
bool dtype_from_f32(enum dtype dtype, const float *source, void *out, int64_t n);

float f16_to_f32(uint16_t bits);
uint16_t f32_to_f16(float value);
float bf16_to_f32(uint16_t bits);
uint16_t f32_to_bf16(float value);

#endif
