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
 *
 * From AVX2 on; plain C is faster when it widens these to f32, as dots_widened() does.
 */
#include "engine/cpu/kernels-dots.h"
#include "engine/cpu/kernels-quants.h"

#if defined(__AVX2__)

struct super_step {
	int8_t quants[K_BLOCK];
	int16_t sums[K_RUNS];
	float scale;
};

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

/* d * products - dmin * below. Without minimums dmin is d, and the difference an integer. */
INLINE __m256
combine(enum dtype dtype, const struct weight_scales *scales, __m256i products, __m256i below)
{
	if (is_about_zero(dtype))
		return _mm256_mul_ps(
		    scales->d, _mm256_cvtepi32_ps(_mm256_sub_epi32(products, below)));
	return _mm256_fnmadd_ps(scales->dmin, _mm256_cvtepi32_ps(below),
	    _mm256_mul_ps(scales->d, _mm256_cvtepi32_ps(products)));
}

INLINE void
super_step(enum dtype dtype, const int rows, const unsigned char *bytes, const struct super_step *x,
    int64_t x_row, __m256 sum[][OUTPUTS], const int o)
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
		sum[r][o] = _mm256_fmadd_ps(combine(dtype, &scales, products[r], below),
		    _mm256_set1_ps(xr->scale), sum[r][o]);
	}
}

INLINE vf
as_vf(__m256 x)
{
#if defined(__AVX512F__)
	return _mm512_zextps256_ps512(x);
#else
	return x;
#endif
}

INLINE void
super_tile(enum dtype dtype, const int rows, const struct dot_products *job,
    const struct quad *quad, int64_t row)
{
	const size_t bytes = bytes_of_super_block(dtype);
	int64_t x_row = job->k / K_BLOCK;
	const struct super_step *x = (const struct super_step *)job->x_quantised + row * x_row;
	__m256 sum[DOT_ROWS][OUTPUTS];

	UNROLL
	for (int r = 0; r < rows; r++) {
		UNROLL
		for (int o = 0; o < OUTPUTS; o++)
			sum[r][o] = _mm256_setzero_ps();
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
	for (int r = 0; r < rows; r++) {
		vf total[OUTPUTS];
		UNROLL
		for (int o = 0; o < OUTPUTS; o++)
			total[o] = as_vf(sum[r][o]);
		store_outputs(job, quad, row + r, total);
	}
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

#endif
