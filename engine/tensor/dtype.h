/*
 * tensor/dtype.h - number formats of stored tensors, and conversion to and from f32.
 *
 * Rows are stored back to back; a quantised row is a whole number of blocks. Q8_0 is GGUF's:
 * blocks of 32, one f16 scale d and 32 int8 q, value = d * q (34 bytes a block).
 */
#ifndef ENGINE_TENSOR_DTYPE_H
#define ENGINE_TENSOR_DTYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum dtype { DTYPE_F32, DTYPE_F16, DTYPE_BF16, DTYPE_Q8_0, DTYPE_I32, DTYPE_I64, N_DTYPES };

#define Q8_0_BLOCK 32
struct block_q8_0 {
	uint16_t scale; /* f16 bits */
	int8_t quants[Q8_0_BLOCK];
};

const char *dtype_name(enum dtype dtype); /* "f32", ... */
bool dtype_by_name(const char *name, enum dtype *dtype);

/* Bytes of one row of COLS elements; 0 when COLS does not fill whole blocks or overflows. */
size_t dtype_row_bytes(enum dtype dtype, int64_t cols);

/* N elements (whole blocks), any alignment. Integer types are not converted (false). f16/bf16
 * round to nearest even; from_f32 to Q8_0 rounds as llama.cpp's reference quantiser does. */
bool dtype_to_f32(enum dtype dtype, const void *source, float *out, int64_t n);
bool dtype_from_f32(enum dtype dtype, const float *source, void *out, int64_t n);

float f16_to_f32(uint16_t bits);
uint16_t f32_to_f16(float value);
float bf16_to_f32(uint16_t bits);
uint16_t f32_to_bf16(float value);

#endif
