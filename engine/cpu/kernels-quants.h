/*
 * cpu/kernels-quants.h - quantised blocks taken apart in vectors of bytes.
 *
 * What tensor/quants.h and tensor/k-quants.h say in loops, for instruction sets from AVX2 on;
 * shared by products in integers and by widening to f32.
 */
#ifndef ENGINE_CPU_KERNELS_QUANTS_H
#define ENGINE_CPU_KERNELS_QUANTS_H

#include <stdbool.h>

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

INLINE float
half_at(const unsigned char *bytes)
{
	uint16_t bits;

	memcpy(&bits, bytes, sizeof bits);
	return widen_half(bits);
}

INLINE bool
has_minimum(enum dtype dtype)
{
	return dtype == DTYPE_Q4_1 || dtype == DTYPE_Q5_1;
}

INLINE size_t
bytes_of_block(enum dtype dtype)
{
	switch (dtype) {
	case DTYPE_Q4_1:
		return sizeof(struct block_q4_1);
	case DTYPE_Q5_0:
		return sizeof(struct block_q5_0);
	case DTYPE_Q5_1:
		return sizeof(struct block_q5_1);
	case DTYPE_Q8_0:
		return sizeof(struct block_q8_0);
	default: /* Q4_0, IQ4_NL */
		return sizeof(struct block_q4_0);
	}
}

INLINE size_t
bytes_of_super_block(enum dtype dtype)
{
	switch (dtype) {
	case DTYPE_Q2_K:
		return sizeof(struct block_q2_k);
	case DTYPE_Q3_K:
		return sizeof(struct block_q3_k);
	case DTYPE_Q4_K:
		return sizeof(struct block_q4_k);
	case DTYPE_Q5_K:
		return sizeof(struct block_q5_k);
	default:
		return sizeof(struct block_q6_k);
	}
}

#if defined(__AVX2__)

/* 32 bits as bytes: -1 where a bit is set. */
INLINE __m256i
bits_as_bytes(const unsigned char bits[4])
{
	const __m256i which =
	    _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303);
	const __m256i bit = _mm256_set1_epi64x((long long)0x8040201008040201);
	int all;

	memcpy(&all, bits, sizeof all);
	__m256i spread = _mm256_shuffle_epi8(_mm256_set1_epi32(all), which);
	return _mm256_cmpeq_epi8(_mm256_and_si256(spread, bit), bit);
}

INLINE __m256i
quants_of_block(enum dtype dtype, const unsigned char *block)
{
	const unsigned char *quants = block + bytes_of_block(dtype) - 16;
	const __m128i values = _mm_setr_epi8(IQ4_NL_VALUES);

	if (dtype == DTYPE_Q8_0)
		return _mm256_loadu_si256((const void *)(block + 2));
	__m128i both = _mm_loadu_si128((const void *)quants);
	__m256i q =
	    _mm256_and_si256(_mm256_set_m128i(_mm_srli_epi16(both, 4), both), _mm256_set1_epi8(15));
	if (dtype == DTYPE_Q4_0)
		return _mm256_sub_epi8(q, _mm256_set1_epi8(8));
	if (dtype == DTYPE_IQ4_NL)
		return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(values), q);
	if (dtype == DTYPE_Q5_0) /* -16 where the bit is not set */
		return _mm256_or_si256(
		    q, _mm256_andnot_si256(bits_as_bytes(quants - 4), _mm256_set1_epi8(-16)));
	if (dtype == DTYPE_Q5_1)
		return _mm256_or_si256(
		    q, _mm256_and_si256(bits_as_bytes(quants - 4), _mm256_set1_epi8(16)));
	return q;
}

/* A super-block's scales twice, ready to be spread, its minimums, and d and dmin. */
struct weight_scales {
	__m256i first, second; /* int16 of runs 0-7 and 8-15, in both halves of the vector */
	__m256i minimums;      /* int16; quants that stand for themselves less ZERO: ZERO * scale */
	__m256 d, dmin;
};

INLINE bool
is_about_zero(enum dtype dtype)
{
	return dtype == DTYPE_Q3_K || dtype == DTYPE_Q6_K;
}

INLINE __m256
spread_half(uint16_t bits)
{
	return _mm256_cvtph_ps(_mm_set1_epi16((short)bits));
}

INLINE void
set_scales(__m256i runs, struct weight_scales *out)
{
	out->first = _mm256_permute2x128_si256(runs, runs, 0x00);
	out->second = _mm256_permute2x128_si256(runs, runs, 0x11);
}

INLINE void
load_scales_q2_k(const struct block_q2_k *block, struct weight_scales *out)
{
	__m128i both = _mm_loadu_si128((const void *)block->scales), half = _mm_set1_epi8(15);

	set_scales(_mm256_cvtepu8_epi16(_mm_and_si128(both, half)), out);
	out->minimums = _mm256_cvtepu8_epi16(_mm_and_si128(_mm_srli_epi16(both, 4), half));
	out->d = spread_half(block->d);
	out->dmin = spread_half(block->dmin);
}

/* q3_k_scale() for all runs. */
INLINE void
load_scales_q3_k(const struct block_q3_k *block, struct weight_scales *out)
{
	__m128i low = _mm_loadl_epi64((const void *)block->scales), quarters;
	int upper;

	memcpy(&upper, block->scales + 8, sizeof upper);
	low = _mm_and_si128(_mm_unpacklo_epi64(low, _mm_srli_epi16(low, 4)), _mm_set1_epi8(15));
	quarters = _mm_srlv_epi32(_mm_set1_epi32(upper), _mm_setr_epi32(0, 2, 4, 6));
	quarters = _mm_slli_epi16(_mm_and_si128(quarters, _mm_set1_epi8(3)), 4);
	__m256i runs =
	    _mm256_cvtepi8_epi16(_mm_sub_epi8(_mm_or_si128(low, quarters), _mm_set1_epi8(32)));
	set_scales(runs, out);
	out->minimums = _mm256_slli_epi16(runs, 2);
	out->d = spread_half(block->d);
	out->dmin = out->d;
}

/* q4_k_scale() for all groups, each for its two runs. Of the 12 bytes in three words a, b, c:
 * scales a & 63, c & 15 | upper bits of a; minimums b & 63, c >> 4 | upper bits of b. */
INLINE void
load_scales_q4_k(const struct block_q4_k *block, struct weight_scales *out)
{
	const __m128i low_bits = _mm_setr_epi32(0x3f3f3f3f, 0x0f0f0f0f, 0x3f3f3f3f, 0x0f0f0f0f);
	const __m128i upper_bits = _mm_setr_epi32(0, 0x30303030, 0, 0x30303030);
	/* The four bytes behind the scales are quants. */
	__m128i words = _mm_loadu_si128((const void *)block->scales);
	__m128i low = _mm_srlv_epi32(_mm_shuffle_epi32(words, 0x98), _mm_setr_epi32(0, 0, 0, 4));
	__m128i upper = _mm_srli_epi32(_mm_shuffle_epi32(words, 0x50), 2);
	__m256i groups = _mm256_cvtepu8_epi16(
	    _mm_or_si128(_mm_and_si128(low, low_bits), _mm_and_si128(upper, upper_bits)));
	__m256i firsts = _mm256_unpacklo_epi16(groups, groups);
	__m256i seconds = _mm256_unpackhi_epi16(groups, groups);

	out->first = _mm256_permute2x128_si256(firsts, firsts, 0x00);
	out->second = _mm256_permute2x128_si256(seconds, seconds, 0x00);
	out->minimums = _mm256_permute2x128_si256(firsts, seconds, 0x31);
	out->d = spread_half(block->d);
	out->dmin = spread_half(block->dmin);
}

INLINE void
load_scales_q6_k(const struct block_q6_k *block, struct weight_scales *out)
{
	__m256i runs = _mm256_cvtepi8_epi16(_mm_loadu_si128((const void *)block->scales));

	set_scales(runs, out);
	out->minimums = _mm256_slli_epi16(runs, 5);
	out->d = spread_half(block->d);
	out->dmin = out->d;
}

INLINE struct weight_scales
load_scales(enum dtype dtype, const void *bytes)
{
	struct weight_scales scales;

	switch (dtype) {
	case DTYPE_Q2_K:
		load_scales_q2_k(bytes, &scales);
		break;
	case DTYPE_Q3_K:
		load_scales_q3_k(bytes, &scales);
		break;
	case DTYPE_Q6_K:
		load_scales_q6_k(bytes, &scales);
		break;
	default: /* Q5_K begins like Q4_K */
		load_scales_q4_k(bytes, &scales);
	}
	return scales;
}

/* Bits SHIFT .. of 32 bytes, where MASK has ones; a bit of one byte never reaches another. */
INLINE __m256i
bits_of(const uint8_t *bytes, const int shift, const int mask)
{
	__m256i all = _mm256_loadu_si256((const void *)bytes);

	if (shift > 0)
		all = _mm256_srli_epi16(all, shift);
	if (shift < 0)
		all = _mm256_slli_epi16(all, -shift);
	return _mm256_and_si256(all, _mm256_set1_epi8((char)mask));
}

/* k_quants_read() in vectors. */
INLINE __m256i
quants_of_group(enum dtype dtype, const void *bytes, const int group)
{
	const struct block_q2_k *q2 = bytes;
	const struct block_q3_k *q3 = bytes;
	const struct block_q4_k *q4 = bytes;
	const struct block_q5_k *q5 = bytes;
	const struct block_q6_k *q6 = bytes;
	const int half = group / 4, quarter = group % 4;

	switch (dtype) {
	case DTYPE_Q2_K:
		return bits_of(q2->quants + 32 * half, 2 * quarter, 3);
	case DTYPE_Q3_K:
		return _mm256_or_si256(bits_of(q3->quants + 32 * half, 2 * quarter, 3),
		    bits_of(q3->high, group - 2, 4));
	case DTYPE_Q4_K:
		return bits_of(q4->quants + 32 * (group / 2), 4 * (group % 2), 15);
	case DTYPE_Q5_K:
		return _mm256_or_si256(bits_of(q5->quants + 32 * (group / 2), 4 * (group % 2), 15),
		    bits_of(q5->high, group - 4, 16));
	default:
		return _mm256_or_si256(
		    bits_of(q6->low + 64 * half + 32 * (quarter & 1), 4 * (quarter >> 1), 15),
		    bits_of(q6->high + 32 * half, 2 * quarter - 4, 0x30));
	}
}

#endif

#endif
