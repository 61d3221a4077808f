/*
 * cpu/kernels-quants.c - any part of a quantised row widened to f32.
 *
 * The loops of tensor/quants.h and tensor/k-quants.h, compiled for each instruction set.
 */
#include "engine/cpu/kernels-matmul.h"
#include "engine/cpu/kernels-simd.h"
#include "engine/tensor/k-quants.h"

INLINE float
widen_half(uint16_t bits)
{
#if defined(__AVX2__)
	return _cvtsh_ss(bits);
#else
	return f16_to_f32(bits);
#endif
}

INLINE void
widen_blocks(enum dtype dtype, size_t block_bytes, const unsigned char *row, int64_t begin,
    int64_t n, float *out)
{
	const unsigned char *bytes = row + (size_t)(begin / QUANT_BLOCK) * block_bytes;

	for (int64_t i = 0; i < n; i += QUANT_BLOCK, bytes += block_bytes) {
		struct quant_block block;
		quant_block_read(dtype, bytes, &block);
		float scale = widen_half(block.scale), minimum = widen_half(block.minimum);
#pragma omp simd
		for (int j = 0; j < QUANT_BLOCK; j++)
			out[i + j] = scale * (float)block.quants[j] + minimum;
	}
}

INLINE void
widen_super_blocks(enum dtype dtype, size_t block_bytes, const unsigned char *row, int64_t begin,
    int64_t n, float *out)
{
	const unsigned char *bytes = row + (size_t)(begin / K_BLOCK) * block_bytes;
	int group = (int)(begin % K_BLOCK / QUANT_BLOCK);
	struct k_scales scales;

	for (int64_t i = 0; i < n; bytes += block_bytes, group = 0) {
		k_scales_read(dtype, bytes, &scales);
		float d = widen_half(scales.d), dmin = widen_half(scales.dmin);
		for (; group < K_GROUPS && i < n; group++, i += QUANT_BLOCK)
			k_group_widen(dtype, bytes, &scales, d, dmin, group, out + i);
	}
}

void
KERNEL(widen_part)(enum dtype dtype, const void *row, int64_t begin, int64_t n, float *out)
{
#define WIDEN(function, type, block)                                                               \
	case type:                                                                                 \
		function(type, sizeof(struct block), row, begin, n, out);                          \
		break;
	switch (dtype) {
		WIDEN(widen_blocks, DTYPE_Q8_0, block_q8_0)
		WIDEN(widen_blocks, DTYPE_Q4_0, block_q4_0)
		WIDEN(widen_blocks, DTYPE_Q4_1, block_q4_1)
		WIDEN(widen_blocks, DTYPE_Q5_0, block_q5_0)
		WIDEN(widen_blocks, DTYPE_Q5_1, block_q5_1)
		WIDEN(widen_blocks, DTYPE_IQ4_NL, block_q4_0)
		WIDEN(widen_super_blocks, DTYPE_Q2_K, block_q2_k)
		WIDEN(widen_super_blocks, DTYPE_Q3_K, block_q3_k)
		WIDEN(widen_super_blocks, DTYPE_Q4_K, block_q4_k)
		WIDEN(widen_super_blocks, DTYPE_Q5_K, block_q5_k)
		WIDEN(widen_super_blocks, DTYPE_Q6_K, block_q6_k)
	default:
		break;
	}
}
