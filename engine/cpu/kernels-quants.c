/*
 * cpu/kernels-quants.c - any part of a quantised row widened to f32.
 */
#include "engine/cpu/kernels-quants.h"
#include "engine/cpu/kernels-matmul.h"

#if defined(__AVX2__)

/* out = scale * q + offset for 16 signed quants. */
INLINE void
store_run(__m128i q, float scale, float offset, float *out)
{
#if defined(__AVX512F__)
	vf_store(out,
	    vf_fma(_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(q)), vf_set1(scale), vf_set1(offset)));
#else
	UNROLL
	for (int i = 0; i < 2; i++, q = _mm_srli_si128(q, 8))
		vf_store(out + i * VL, vf_fma(_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(q)),
					   vf_set1(scale), vf_set1(offset)));
#endif
}

INLINE void
widen_block(enum dtype dtype, const unsigned char *bytes, float *out)
{
	__m256i q = quants_of_block(dtype, bytes);
	float scale = half_at(bytes), minimum = has_minimum(dtype) ? half_at(bytes + 2) : 0;

	store_run(_mm256_castsi256_si128(q), scale, minimum, out);
	store_run(_mm256_extracti128_si256(q, 1), scale, minimum, out + K_RUN);
}

/* The scales of a super-block's runs and what is added to its elements, in f32. */
struct run_scales {
	float scale[K_RUNS], offset[K_RUNS];
};

INLINE struct run_scales
read_scales(enum dtype dtype, const unsigned char *bytes)
{
	struct weight_scales scales = load_scales(dtype, bytes);
	struct run_scales out;

	UNROLL
	for (int i = 0; i < 2; i++) {
		__m128i s = _mm256_castsi256_si128(i == 0 ? scales.first : scales.second);
		__m128i m = i == 0 ? _mm256_castsi256_si128(scales.minimums)
				   : _mm256_extracti128_si256(scales.minimums, 1);
		__m256 scale = _mm256_cvtepi32_ps(_mm256_cvtepi16_epi32(s));
		__m256 minimum = _mm256_cvtepi32_ps(_mm256_cvtepi16_epi32(m));
		__m256 zero = _mm256_setzero_ps();
		_mm256_storeu_ps(out.scale + 8 * i, _mm256_mul_ps(scales.d, scale));
		_mm256_storeu_ps(out.offset + 8 * i,
		    is_about_zero(dtype) ? zero : _mm256_fnmadd_ps(scales.dmin, minimum, zero));
	}
	return out;
}

/* Quants less what they are above, so that no minimum cancels. */
INLINE void
widen_group(enum dtype dtype, const unsigned char *bytes, const struct run_scales *scales,
    const int group, float *out)
{
	const int zero = dtype == DTYPE_Q3_K ? 4 : dtype == DTYPE_Q6_K ? 32 : 0;
	__m256i q =
	    _mm256_sub_epi8(quants_of_group(dtype, bytes, group), _mm256_set1_epi8((char)zero));

	store_run(
	    _mm256_castsi256_si128(q), scales->scale[2 * group], scales->offset[2 * group], out);
	store_run(_mm256_extracti128_si256(q, 1), scales->scale[2 * group + 1],
	    scales->offset[2 * group + 1], out + K_RUN);
}

#else

INLINE void
widen_block(enum dtype dtype, const unsigned char *bytes, float *out)
{
	struct quant_block block;

	quant_block_read(dtype, bytes, &block);
	float scale = widen_half(block.scale), minimum = widen_half(block.minimum);
	for (int j = 0; j < QUANT_BLOCK; j++)
		out[j] = scale * (float)block.quants[j] + minimum;
}

struct run_scales {
	struct k_scales stored;
	float d, dmin;
};

INLINE struct run_scales
read_scales(enum dtype dtype, const unsigned char *bytes)
{
	struct run_scales scales;

	k_scales_read(dtype, bytes, &scales.stored);
	scales.d = widen_half(scales.stored.d);
	scales.dmin = widen_half(scales.stored.dmin);
	return scales;
}

INLINE void
widen_group(enum dtype dtype, const unsigned char *bytes, const struct run_scales *scales,
    const int group, float *out)
{
	k_group_widen(dtype, bytes, &scales->stored, scales->d, scales->dmin, group, out);
}

#endif

INLINE void
widen_blocks(enum dtype dtype, const unsigned char *row, int64_t begin, int64_t n, float *out)
{
	const unsigned char *bytes = row + (size_t)(begin / QUANT_BLOCK) * bytes_of_block(dtype);

	for (int64_t i = 0; i < n; i += QUANT_BLOCK, bytes += bytes_of_block(dtype))
		widen_block(dtype, bytes, out + i);
}

INLINE void
widen_super_blocks(enum dtype dtype, const unsigned char *row, int64_t begin, int64_t n, float *out)
{
	const unsigned char *bytes = row + (size_t)(begin / K_BLOCK) * bytes_of_super_block(dtype);
	int64_t end = begin + n, at = begin / K_BLOCK * K_BLOCK;

	for (; at < end; at += K_BLOCK, bytes += bytes_of_super_block(dtype)) {
		struct run_scales scales = read_scales(dtype, bytes);
		UNROLL
		for (int group = 0; group < K_GROUPS; group++) {
			int64_t i = at + group * QUANT_BLOCK;
			if (i >= begin && i < end)
				widen_group(dtype, bytes, &scales, group, out + (i - begin));
		}
	}
}

void
KERNEL(widen_part)(enum dtype dtype, const void *row, int64_t begin, int64_t n, float *out)
{
#define WIDEN(function, type)                                                                      \
	case type:                                                                                 \
		function(type, row, begin, n, out);                                                \
		break;
	switch (dtype) {
		WIDEN(widen_blocks, DTYPE_Q8_0)
		WIDEN(widen_blocks, DTYPE_Q4_0)
		WIDEN(widen_blocks, DTYPE_Q4_1)
		WIDEN(widen_blocks, DTYPE_Q5_0)
		WIDEN(widen_blocks, DTYPE_Q5_1)
		WIDEN(widen_blocks, DTYPE_IQ4_NL)
		WIDEN(widen_super_blocks, DTYPE_Q2_K)
		WIDEN(widen_super_blocks, DTYPE_Q3_K)
		WIDEN(widen_super_blocks, DTYPE_Q4_K)
		WIDEN(widen_super_blocks, DTYPE_Q5_K)
		WIDEN(widen_super_blocks, DTYPE_Q6_K)
	default:
		break;
	}
}
