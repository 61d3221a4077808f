/*
 * cpu/kernels-simd.h - the vector of floats that the matmul kernels are written in.
 *
 * One type, VF of VL floats, and the dozen operations they need, for each instruction set; plain
 * is GCC's vector extension with four lanes, which SSE2 and NEON turn into registers.
 * Loads take any alignment.
 */
#ifndef ENGINE_CPU_KERNELS_SIMD_H
#define ENGINE_CPU_KERNELS_SIMD_H

#include <stdint.h>
#include <string.h>

#include "engine/tensor/dtype.h"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#define INLINE static inline __attribute__((always_inline))
/* Before loops over arrays that are meant to be registers; -O2 would leave them in memory. */
#if defined(__clang__)
#define UNROLL _Pragma("unroll 16")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

typedef float v4 __attribute__((vector_size(16)));

#if defined(__AVX512F__)

#define VL 16
typedef __m512 vf;

/* clang-format off */
INLINE vf vf_zero(void) { return _mm512_setzero_ps(); }
INLINE vf vf_set1(float x) { return _mm512_set1_ps(x); }
INLINE vf vf_load(const void *p) { return _mm512_loadu_ps(p); }
INLINE void vf_store(float *p, vf x) { _mm512_storeu_ps(p, x); }
INLINE vf vf_add(vf a, vf b) { return _mm512_add_ps(a, b); }
INLINE vf vf_mul(vf a, vf b) { return _mm512_mul_ps(a, b); }
INLINE vf vf_fma(vf a, vf b, vf c) { return _mm512_fmadd_ps(a, b, c); }
/* clang-format on */

/* The first N (0 .. VL) elements; the others are zero or stay untouched. */
INLINE vf
vf_load_first(const float *p, int n)
{
	return _mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), p);
}

INLINE void
vf_store_first(float *p, vf x, int n)
{
	_mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), x);
}

INLINE vf
vf_load_f16(const void *p)
{
	return _mm512_cvtph_ps(_mm256_loadu_si256(p));
}

INLINE vf
vf_load_bf16(const void *p)
{
	return _mm512_castsi512_ps(
	    _mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256(p)), 16));
}

INLINE vf
vf_load_i8(const int8_t *p)
{
	return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const void *)p)));
}

/* The sums of each vector's elements. */
INLINE v4
vf_sum4(const vf v[4])
{
	__m256 h[4];

	UNROLL
	for (int i = 0; i < 4; i++)
		h[i] = _mm256_add_ps(_mm512_castps512_ps256(v[i]), _mm512_extractf32x8_ps(v[i], 1));
	__m256 s = _mm256_hadd_ps(_mm256_hadd_ps(h[0], h[1]), _mm256_hadd_ps(h[2], h[3]));
	return _mm_add_ps(_mm256_castps256_ps128(s), _mm256_extractf128_ps(s, 1));
}

/* Transposes VL x VL elements. */
INLINE void
vf_transpose(vf r[VL])
{
	vf t[16];

	UNROLL
	for (int i = 0; i < 16; i += 2) {
		t[i] = _mm512_unpacklo_ps(r[i], r[i + 1]);
		t[i + 1] = _mm512_unpackhi_ps(r[i], r[i + 1]);
	}
	/* r[4q + c] = column c of each 4 x 4 block of rows 4q .. 4q+3 */
	UNROLL
	for (int q = 0; q < 4; q++) {
		__m512d a = _mm512_castps_pd(t[4 * q]), b = _mm512_castps_pd(t[4 * q + 1]);
		__m512d c = _mm512_castps_pd(t[4 * q + 2]), d = _mm512_castps_pd(t[4 * q + 3]);
		r[4 * q] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, c));
		r[4 * q + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, c));
		r[4 * q + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(b, d));
		r[4 * q + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(b, d));
	}
	/* Then the 4 x 4 matrix of blocks. */
	UNROLL
	for (int c = 0; c < 4; c++) {
		t[c] = _mm512_shuffle_f32x4(r[c], r[4 + c], 0x88);
		t[4 + c] = _mm512_shuffle_f32x4(r[c], r[4 + c], 0xdd);
		t[8 + c] = _mm512_shuffle_f32x4(r[8 + c], r[12 + c], 0x88);
		t[12 + c] = _mm512_shuffle_f32x4(r[8 + c], r[12 + c], 0xdd);
	}
	UNROLL
	for (int c = 0; c < 4; c++) {
		r[c] = _mm512_shuffle_f32x4(t[c], t[8 + c], 0x88);
		r[8 + c] = _mm512_shuffle_f32x4(t[c], t[8 + c], 0xdd);
		r[4 + c] = _mm512_shuffle_f32x4(t[4 + c], t[12 + c], 0x88);
		r[12 + c] = _mm512_shuffle_f32x4(t[4 + c], t[12 + c], 0xdd);
	}
}

#elif defined(__AVX2__)

#define VL 8
typedef __m256 vf;

/* clang-format off */
INLINE vf vf_zero(void) { return _mm256_setzero_ps(); }
INLINE vf vf_set1(float x) { return _mm256_set1_ps(x); }
INLINE vf vf_load(const void *p) { return _mm256_loadu_ps(p); }
INLINE void vf_store(float *p, vf x) { _mm256_storeu_ps(p, x); }
INLINE vf vf_add(vf a, vf b) { return _mm256_add_ps(a, b); }
INLINE vf vf_mul(vf a, vf b) { return _mm256_mul_ps(a, b); }
INLINE vf vf_fma(vf a, vf b, vf c) { return _mm256_fmadd_ps(a, b, c); }
/* clang-format on */

INLINE __m256i
vf_first(int n)
{
	return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

INLINE vf
vf_load_first(const float *p, int n)
{
	return _mm256_maskload_ps(p, vf_first(n));
}

INLINE void
vf_store_first(float *p, vf x, int n)
{
	_mm256_maskstore_ps(p, vf_first(n), x);
}

INLINE vf
vf_load_f16(const void *p)
{
	return _mm256_cvtph_ps(_mm_loadu_si128(p));
}

INLINE vf
vf_load_bf16(const void *p)
{
	return _mm256_castsi256_ps(
	    _mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128(p)), 16));
}

INLINE vf
vf_load_i8(const int8_t *p)
{
	return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const void *)p)));
}

INLINE v4
vf_sum4(const vf v[4])
{
	__m256 s = _mm256_hadd_ps(_mm256_hadd_ps(v[0], v[1]), _mm256_hadd_ps(v[2], v[3]));

	return _mm_add_ps(_mm256_castps256_ps128(s), _mm256_extractf128_ps(s, 1));
}

INLINE void
vf_transpose(vf r[VL])
{
	vf t[8];

	UNROLL
	for (int i = 0; i < 8; i += 2) {
		t[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
		t[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
	}
	UNROLL
	for (int q = 0; q < 8; q += 4) {
		r[q] = _mm256_shuffle_ps(t[q], t[q + 2], 0x44);
		r[q + 1] = _mm256_shuffle_ps(t[q], t[q + 2], 0xee);
		r[q + 2] = _mm256_shuffle_ps(t[q + 1], t[q + 3], 0x44);
		r[q + 3] = _mm256_shuffle_ps(t[q + 1], t[q + 3], 0xee);
	}
	UNROLL
	for (int c = 0; c < 4; c++) {
		vf low = r[c], high = r[c + 4];
		r[c] = _mm256_permute2f128_ps(low, high, 0x20);
		r[c + 4] = _mm256_permute2f128_ps(low, high, 0x31);
	}
}

#else

#define VL 4
typedef float vf __attribute__((vector_size(16)));
typedef uint32_t vu __attribute__((vector_size(16)));

/* clang-format off */
INLINE vf vf_set1(float x) { return (vf){ x, x, x, x }; }
INLINE vf vf_zero(void) { return vf_set1(0); }
INLINE void vf_store(float *p, vf x) { memcpy(p, &x, sizeof x); }
INLINE vf vf_add(vf a, vf b) { return a + b; }
INLINE vf vf_mul(vf a, vf b) { return a * b; }
INLINE vf vf_fma(vf a, vf b, vf c) { return a * b + c; }
/* clang-format on */

INLINE vf
vf_load(const void *p)
{
	vf x;

	memcpy(&x, p, sizeof x);
	return x;
}

INLINE vf
vf_load_first(const float *p, int n)
{
	float x[VL] = { 0 };

	memcpy(x, p, (size_t)n * sizeof *p);
	return vf_load(x);
}

INLINE void
vf_store_first(float *p, vf x, int n)
{
	memcpy(p, &x, (size_t)n * sizeof *p);
}

/* Widening f16 without the instruction: shift the exponent and mantissa into place as if f16
 * had f32's bias, multiply by 2^112 to correct it (subnormals come right too), and put infinity
 * and NaN, whose exponent was all ones, back to all ones. */
INLINE vf
vf_load_f16(const void *p)
{
	uint16_t h[VL];
	vu bits, infinite;
	vf magnitude;

	memcpy(h, p, sizeof h);
	bits = (vu){ h[0], h[1], h[2], h[3] };
	infinite = (vu)((bits & 0x7c00) == 0x7c00) & 0x7f800000;
	magnitude = (vf)((bits & 0x7fff) << 13) * vf_set1(0x1p112f);
	bits = ((bits & 0x8000) << 16) | (vu)magnitude | infinite;
	return (vf)bits;
}

INLINE vf
vf_load_bf16(const void *p)
{
	uint16_t h[VL];

	memcpy(h, p, sizeof h);
	return (vf)((vu){ h[0], h[1], h[2], h[3] } << 16);
}

INLINE vf
vf_load_i8(const int8_t *p)
{
	return (vf){ p[0], p[1], p[2], p[3] };
}

INLINE v4
vf_sum4(const vf v[4])
{
	v4 sum;

	UNROLL
	for (int i = 0; i < 4; i++)
		sum[i] = (v[i][0] + v[i][2]) + (v[i][1] + v[i][3]);
	return sum;
}

INLINE void
vf_transpose(vf r[VL])
{
	vf t[VL];

	UNROLL
	for (int i = 0; i < VL; i++)
		t[i] = (vf){ r[0][i], r[1][i], r[2][i], r[3][i] };
	UNROLL
	for (int i = 0; i < VL; i++)
		r[i] = t[i];
}

#endif

/* The scale of a Q8_0 block, from the vector that starts with it. */
INLINE float
scale_q8_0(const unsigned char *block)
{
#if defined(__AVX2__)
	uint16_t bits;

	memcpy(&bits, block, sizeof bits);
	return _cvtsh_ss(bits);
#else
	return vf_load_f16(block)[0];
#endif
}

/* VL stored elements of a row, from index I + J on. I is a multiple of 32 for Q8_0; J, a multiple
 * of VL below that, is apart so that the vectors of one block share its scale. DTYPE is a constant
 * where this is inlined. */
INLINE vf
vf_load_stored_at(enum dtype dtype, const unsigned char *row, int64_t i, int j)
{
	if (dtype == DTYPE_F16)
		return vf_load_f16(row + 2 * (i + j));
	if (dtype == DTYPE_BF16)
		return vf_load_bf16(row + 2 * (i + j));
	if (dtype == DTYPE_Q8_0) {
		const unsigned char *block = row + i / Q8_0_BLOCK * sizeof(struct block_q8_0);
		const int8_t *quants = (const int8_t *)block + sizeof(uint16_t);
		return vf_mul(vf_set1(scale_q8_0(block)), vf_load_i8(quants + j));
	}
	return vf_load(row + 4 * (i + j));
}

INLINE vf
vf_load_stored(enum dtype dtype, const unsigned char *row, int64_t i)
{
	int in_block = dtype == DTYPE_Q8_0 ? (int)(i % Q8_0_BLOCK) : 0;

	return vf_load_stored_at(dtype, row, i - in_block, in_block);
}

/* The N < VL stored elements that remain at the end of a row, zeros behind them. Rows of Q8_0 are
 * whole blocks and have no such end. */
INLINE vf
vf_load_stored_end(enum dtype dtype, const unsigned char *row, int64_t i, int n)
{
	unsigned char end[VL * sizeof(float)] = { 0 };
	size_t size = dtype == DTYPE_F32 ? 4 : 2;

	if (dtype == DTYPE_Q8_0)
		return vf_zero();
	memcpy(end, row + size * (size_t)i, size * (size_t)n);
	return vf_load_stored(dtype, end, 0);
}

/* What kernels-matmul.h calls panel_cols. */
#define PANEL_VECTORS 2
#define PANEL_COLS (PANEL_VECTORS * VL)

#endif
