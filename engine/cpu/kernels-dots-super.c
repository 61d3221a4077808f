/*
 * cpu/kernels-dots-super.c - dot products in integers: weights in super-blocks of 256, x as int8.
 *
 * x has one scale for 256 elements, and the sums of its 16 runs. With a super-block's unsigned
 * quants q, a product is
 *
 *     d * sum over runs of scale * (q . x)  -  dmin * sum over runs of minimum * (sum of x)
 *
 * both in int32, times the scale of x. Types without minimums, whose quants stand for themselves
 * less ZERO, have ZERO * scale for a minimum. The error is that of rounding x to 1/127 of the
 * largest of its 256.
 */
#include "engine/cpu/kernels-dots.h"
#include "engine/tensor/k-quants.h"

struct super_step {
	int8_t quants[K_BLOCK];
	int16_t sums[K_RUNS];
	float scale;
};

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

size_t
KERNEL(super_row_bytes)(int64_t k)
{
	return (size_t)(k / K_BLOCK) * sizeof(struct super_step);
}

void
KERNEL(round_to_super_blocks)(const float *x, int64_t k, void *out)
{
	struct super_step *step = out;

	for (int64_t i = 0; i < k; i += K_BLOCK, step++) {
		step->scale = round_to_int8(x + i, K_BLOCK, step->quants);
		for (int run = 0; run < K_RUNS; run++) {
			int sum = 0;
			for (int j = 0; j < K_RUN; j++)
				sum += step->quants[run * K_RUN + j];
			step->sums[run] = (int16_t)sum;
		}
	}
}

#if defined(__AVX2__)

/* A super-block's scales twice, ready to be spread, and its minimums. */
struct weight_scales {
	__m256i first, second; /* int16 of runs 0-7 and 8-15, in both halves of the vector */
	__m256i minimums;      /* int16 */
	float d, dmin;
};

INLINE float
widen_half(uint16_t bits)
{
	return _cvtsh_ss(bits);
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
	out->dmin = widen_half(block->dmin);
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
	out->dmin = out->d;
}

/* q4_k_scale() for all groups, each for its two runs. */
INLINE void
load_scales_q4_k(const struct block_q4_k *block, struct weight_scales *out)
{
	const uint32_t low = 0x0f0f0f0f, upper = 0x30303030, six = 0x3f3f3f3f;
	uint32_t a[3];

	memcpy(a, block->scales, sizeof a);
	__m256i groups = _mm256_cvtepu8_epi16(
	    _mm_setr_epi32((int)(a[0] & six), (int)((a[2] & low) | (a[0] >> 2 & upper)),
		(int)(a[1] & six), (int)((a[2] >> 4 & low) | (a[1] >> 2 & upper))));
	__m256i firsts = _mm256_unpacklo_epi16(groups, groups);
	__m256i seconds = _mm256_unpackhi_epi16(groups, groups);
	out->first = _mm256_permute2x128_si256(firsts, firsts, 0x00);
	out->second = _mm256_permute2x128_si256(seconds, seconds, 0x00);
	out->minimums = _mm256_permute2x128_si256(firsts, seconds, 0x31);
	out->dmin = widen_half(block->dmin);
}

INLINE void
load_scales_q6_k(const struct block_q6_k *block, struct weight_scales *out)
{
	__m256i runs = _mm256_cvtepi8_epi16(_mm_loadu_si128((const void *)block->scales));

	set_scales(runs, out);
	out->minimums = _mm256_slli_epi16(runs, 5);
	out->dmin = out->d;
}

INLINE struct weight_scales
load_scales(enum dtype dtype, const unsigned char *bytes)
{
	struct weight_scales scales;

	switch (dtype) {
	case DTYPE_Q2_K:
		scales.d = widen_half(((const struct block_q2_k *)(const void *)bytes)->d);
		load_scales_q2_k((const void *)bytes, &scales);
		break;
	case DTYPE_Q3_K:
		scales.d = widen_half(((const struct block_q3_k *)(const void *)bytes)->d);
		load_scales_q3_k((const void *)bytes, &scales);
		break;
	case DTYPE_Q6_K:
		scales.d = widen_half(((const struct block_q6_k *)(const void *)bytes)->d);
		load_scales_q6_k((const void *)bytes, &scales);
		break;
	default: /* Q5_K begins like Q4_K */
		scales.d = widen_half(((const struct block_q4_k *)(const void *)bytes)->d);
		load_scales_q4_k((const void *)bytes, &scales);
	}
	return scales;
}

/* The scales of group's two runs, each for half of the vector. */
INLINE __m256i
scales_of_group(const struct weight_scales *scales, const int group)
{
	const char a = (char)(4 * (group % 4)), b = (char)(a + 1), c = (char)(a + 2),
		   d = (char)(a + 3);
	const __m256i spread = _mm256_setr_epi8(a, b, a, b, a, b, a, b, a, b, a, b, a, b, a, b, c,
	    d, c, d, c, d, c, d, c, d, c, d, c, d, c, d);

	return _mm256_shuffle_epi8(group < 4 ? scales->first : scales->second, spread);
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

/* sum + products of pairs. q . x in pairs is at most 2 * 63 * 127 and fits int16. */
INLINE __m256i
add_products(__m256i sum, __m256i a, __m256i b)
{
#if defined(__AVX512F__)
	return _mm256_dpwssd_epi32(sum, a, b);
#else
	return _mm256_add_epi32(sum, _mm256_madd_epi16(a, b));
#endif
}

INLINE vf
add_scaled(__m256i integers, float scale, vf sum)
{
	__m256 floats = _mm256_cvtepi32_ps(integers);
#if defined(__AVX512F__)
	return vf_fma(_mm512_zextps256_ps512(floats), vf_set1(scale), sum);
#else
	return vf_fma(floats, vf_set1(scale), sum);
#endif
}

INLINE void
super_step(enum dtype dtype, const int rows, const unsigned char *bytes, const struct super_step *x,
    int64_t x_row, vf sum[][OUTPUTS], const int o)
{
	struct weight_scales scales = load_scales(dtype, bytes);
	__m256i products[DOT_ROWS];

	UNROLL
	for (int r = 0; r < rows; r++)
		products[r] = _mm256_setzero_si256();
	UNROLL
	for (int group = 0; group < K_GROUPS; group++) {
		__m256i q = quants_of_group(dtype, bytes, group);
		__m256i scale = scales_of_group(&scales, group);
		UNROLL
		for (int r = 0; r < rows; r++) {
			const int8_t *xq = x[r * x_row].quants + group * QUANT_BLOCK;
			__m256i pairs =
			    _mm256_maddubs_epi16(q, _mm256_loadu_si256((const void *)xq));
			products[r] = add_products(products[r], pairs, scale);
		}
	}
	UNROLL
	for (int r = 0; r < rows; r++) {
		const struct super_step *xr = x + r * x_row;
		__m256i below =
		    _mm256_madd_epi16(scales.minimums, _mm256_loadu_si256((const void *)xr->sums));
		sum[r][o] = add_scaled(products[r], scales.d * xr->scale, sum[r][o]);
		sum[r][o] = add_scaled(below, -scales.dmin * xr->scale, sum[r][o]);
	}
}

#else

INLINE void
super_step(enum dtype dtype, const int rows, const unsigned char *bytes, const struct super_step *x,
    int64_t x_row, vf sum[][OUTPUTS], const int o)
{
	uint8_t quants[K_BLOCK];
	struct k_scales scales;

	k_scales_read(dtype, bytes, &scales);
	float d = f16_to_f32(scales.d), dmin = scales.zero > 0 ? d : f16_to_f32(scales.dmin);
	for (int group = 0; group < K_GROUPS; group++)
		k_quants_read(dtype, bytes, group, quants + group * QUANT_BLOCK);
	for (int r = 0; r < rows; r++) {
		const struct super_step *xr = x + r * x_row;
		int32_t products = 0, below = 0;
		for (int run = 0; run < K_RUNS; run++) {
			int minimum =
			    scales.zero > 0 ? scales.zero * scales.scale[run] : scales.minimum[run];
			int32_t dot = 0;
#pragma omp simd reduction(+ : dot)
			for (int j = run * K_RUN; j < (run + 1) * K_RUN; j++)
				dot += quants[j] * xr->quants[j];
			products += scales.scale[run] * dot;
			below += minimum * xr->sums[run];
		}
		sum[r][o][0] += (float)products * (d * xr->scale);
		sum[r][o][1] -= (float)below * (dmin * xr->scale);
	}
}

#endif

INLINE void
super_tile(enum dtype dtype, const int rows, const struct dot_products *job,
    const struct quad *quad, int64_t row)
{
	const size_t bytes = bytes_of_super_block(dtype);
	int64_t x_row = job->k / K_BLOCK;
	const struct super_step *x = (const struct super_step *)job->x_quantised + row * x_row;
	vf sum[DOT_ROWS][OUTPUTS];

	UNROLL
	for (int r = 0; r < rows; r++) {
		UNROLL
		for (int o = 0; o < OUTPUTS; o++)
			sum[r][o] = vf_zero();
	}
	for (size_t at = 0; at < (size_t)x_row * bytes; at += bytes, x++) {
		UNROLL
		for (int o = 0; o < OUTPUTS; o++) {
			super_step(dtype, rows, quad->w[o] + at, x, x_row, sum, o);
			UNROLL
			for (size_t line = 0; line < bytes; line += 64)
				prefetch_next(job, quad, o, at + line);
		}
	}
	UNROLL
	for (int r = 0; r < rows; r++)
		store_outputs(job, quad, row + r, sum[r]);
}

#define TILE_Q2_K(rows) super_tile(DTYPE_Q2_K, rows, job, &quad, row)
#define TILE_Q3_K(rows) super_tile(DTYPE_Q3_K, rows, job, &quad, row)
#define TILE_Q4_K(rows) super_tile(DTYPE_Q4_K, rows, job, &quad, row)
#define TILE_Q5_K(rows) super_tile(DTYPE_Q5_K, rows, job, &quad, row)
#define TILE_Q6_K(rows) super_tile(DTYPE_Q6_K, rows, job, &quad, row)
DEFINE_DOTS(dots_q2_k, TILE_Q2_K)
DEFINE_DOTS(dots_q3_k, TILE_Q3_K)
DEFINE_DOTS(dots_q4_k, TILE_Q4_K)
DEFINE_DOTS(dots_q5_k, TILE_Q5_K)
DEFINE_DOTS(dots_q6_k, TILE_Q6_K)

void
KERNEL(dots_of_super_blocks)(const struct dot_products *job)
{
	switch (job->dtype) {
	case DTYPE_Q2_K:
		dots_q2_k(job);
		break;
	case DTYPE_Q3_K:
		dots_q3_k(job);
		break;
	case DTYPE_Q4_K:
		dots_q4_k(job);
		break;
	case DTYPE_Q5_K:
		dots_q5_k(job);
		break;
	default:
		dots_q6_k(job);
	}
}
