/*
 * cpu/kernels-dots-blocks.c - dot products in integers: weights in blocks of 32, x as int8.
 *
 * The 32 products of a block are summed in int32 and scaled once. Types with a minimum add it times
 * the sum of x's block. The error is that of rounding x, about 0.4 % of a block's largest element.
 *
 * Weights are taken apart once for all rows of a tile; what a row costs beyond the products
 * themselves decides how much longer four lanes take than one.
 */
#include "engine/cpu/kernels-dots.h"
#include "engine/cpu/kernels-quants.h"

/* A row of x as int8: what one step of the loop takes. SHARE is a block's scale times its sum, over
 * the vector elements that stand for the block. */
#if defined(__AVX512F__)

/* Four blocks, first and second halves apart: two vpdpbusd then leave eight products in each int32
 * instead of four, and converting and scaling, the larger part of the work, is halved.
 * vpdpbusd wants one side unsigned: the weights, less their zero point. What that leaves out,
 * -zero point * x, is a matter of x alone; sums start from it. Types with a minimum have no zero
 * point, and share instead. */
#define STEP_BLOCKS 4
#define HALF_BLOCK (QUANT_BLOCK / 2)
struct quantised_step {
	int8_t low[4 * HALF_BLOCK], high[4 * HALF_BLOCK];
	float scale[VL]; /* four times each block's */
	union {
		float share[VL];
		int32_t start[VL];
	};
};

/* What is added to the quants of a type to make them unsigned. */
INLINE int
zero_point(enum dtype dtype)
{
	switch (dtype) {
	case DTYPE_Q4_0:
		return 8;
	case DTYPE_Q5_0:
		return 16;
	default: /* Q8_0, IQ4_NL */
		return 128;
	}
}

#else

#define STEP_BLOCKS 1
struct quantised_step {
	int8_t quants[QUANT_BLOCK];
	float scale, share;
};

#endif

static int64_t
n_steps(int64_t k)
{
	return (k / QUANT_BLOCK + STEP_BLOCKS - 1) / STEP_BLOCKS;
}

size_t
KERNEL(blocks_row_bytes)(int64_t k)
{
	return (size_t)n_steps(k) * sizeof(struct quantised_step);
}

INLINE int
sum_of(const int8_t quants[QUANT_BLOCK])
{
	int sum = 0;

#pragma omp simd reduction(+ : sum)
	for (int i = 0; i < QUANT_BLOCK; i++)
		sum += quants[i];
	return sum;
}

#if defined(__AVX512F__)

static void
round_step(enum dtype dtype, const float *x, int64_t n_blocks, struct quantised_step *step)
{
	const int lanes = VL / STEP_BLOCKS;

	memset(step, 0, sizeof *step);
	for (int64_t b = 0; b < STEP_BLOCKS && b < n_blocks; b++) {
		int8_t quants[QUANT_BLOCK];
		float scale = round_to_int8(x + b * QUANT_BLOCK, QUANT_BLOCK, quants);
		float share = scale * (float)sum_of(quants) / (float)lanes;

		memcpy(step->low + b * HALF_BLOCK, quants, HALF_BLOCK);
		memcpy(step->high + b * HALF_BLOCK, quants + HALF_BLOCK, HALF_BLOCK);
		for (int i = 0; i < lanes; i++) {
			int sum = 0;
			for (int j = 4 * i; j < 4 * i + 4; j++)
				sum += quants[j] + quants[HALF_BLOCK + j];
			step->scale[b * lanes + i] = scale;
			if (has_minimum(dtype))
				step->share[b * lanes + i] = share;
			else
				step->start[b * lanes + i] = -zero_point(dtype) * sum;
		}
	}
}

#else

static void
round_step(enum dtype dtype, const float *x, int64_t n_blocks, struct quantised_step *step)
{
	(void)dtype;
	(void)n_blocks;
	step->scale = round_to_int8(x, QUANT_BLOCK, step->quants);
	step->share = step->scale * (float)sum_of(step->quants) / VL;
}

#endif

void
KERNEL(round_to_blocks)(enum dtype dtype, const float *x, int64_t k, void *out)
{
	struct quantised_step *step = out;

	for (int64_t i = 0; i < k; i += STEP_BLOCKS * QUANT_BLOCK, step++)
		round_step(dtype, x + i, (k - i) / QUANT_BLOCK, step);
}

/* One step's weights, ready for any number of rows of x, and their product with one of them. */
#if defined(__AVX512F__)

struct weight_step {
	__m512i low, high; /* unsigned */
	vf scale, minimum;
};

/* The two halves of four Q8_0 blocks. */
INLINE void
load_q8_0(const unsigned char *blocks, struct weight_step *step)
{
	const size_t block = sizeof(struct block_q8_0);
	const __m512i sign = _mm512_set1_epi8((char)0x80);
	__m512i pair[2];

	UNROLL
	for (size_t i = 0; i < 2; i++) {
		const unsigned char *first = blocks + 2 * i * block + 2;
		pair[i] = _mm512_inserti64x4(
		    _mm512_castsi256_si512(_mm256_loadu_si256((const void *)first)),
		    _mm256_loadu_si256((const void *)(first + block)), 1);
		pair[i] = _mm512_xor_si512(pair[i], sign);
	}
	step->low = _mm512_shuffle_i64x2(pair[0], pair[1], 0x88);
	step->high = _mm512_shuffle_i64x2(pair[0], pair[1], 0xdd);
}

/* Places of 16-bit words in blocks of BLOCK bytes, the first AT bytes from here: N of each of four
 * blocks, one after the other or (N 1) the same four times. */
INLINE __m512i
words_of_blocks(const int n, const int block, const int at)
{
	int16_t place[32];
	__m512i places;

	UNROLL
	for (int i = 0; i < 32; i++)
		place[i] = (int16_t)(n == 1 ? (at + i / 4 % 4 * block) / 2
					    : (at + i / 8 * block) / 2 + i % 8);
	memcpy(&places, place, sizeof places);
	return places;
}

/* The 16 bytes of quants at the end of each of four blocks. The 64 bytes at the end of all hold the
 * last three blocks' and one permutation gathers them. */
INLINE __m512i
four_quarters(const unsigned char *blocks, const int block)
{
	__m128i first = _mm_loadu_si128((const void *)(blocks + block - 16));
	__m512i end = _mm512_loadu_si512(blocks + 4 * block - 64);

	return _mm512_mask_permutexvar_epi16(_mm512_zextsi128_si512(first), 0xffffff00,
	    words_of_blocks(8, block, 48 - 3 * block), end);
}

/* 16 bits AT bytes into each of four blocks. */
INLINE uint64_t
four_words(const unsigned char *blocks, size_t block, size_t at)
{
	uint64_t all = 0;

	UNROLL
	for (size_t i = 0; i < 4; i++) {
		uint16_t word;
		memcpy(&word, blocks + i * block + at, sizeof word);
		all |= (uint64_t)word << 16 * i;
	}
	return all;
}

/* The f16 number AT bytes into each of four blocks, four times each. */
INLINE vf
four_halves(const unsigned char *blocks, const int block, const int at)
{
	const __m512i four_times =
	    _mm512_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3);
	__m128i words;

	/* All within one load? */
	if (3 * block + at + 2 <= 64)
		return _mm512_cvtph_ps(_mm512_castsi512_si256(_mm512_permutexvar_epi16(
		    words_of_blocks(1, block, at), _mm512_loadu_si512(blocks))));
	words = _mm_cvtsi64_si128((long long)four_words(blocks, (size_t)block, (size_t)at));
	return _mm512_permutexvar_ps(four_times, _mm512_castps128_ps512(_mm_cvtph_ps(words)));
}

/* IQ4_NL's values, above their zero point. */
INLINE __m512i
from_table(__m512i q)
{
	const __m128i values =
	    _mm_xor_si128(_mm_setr_epi8(IQ4_NL_VALUES), _mm_set1_epi8((char)0x80));

	return _mm512_shuffle_epi8(_mm512_broadcast_i32x4(values), q);
}

/* With bits HIGH (16 a block) on top. */
INLINE __m512i
with_high(__m512i q, uint64_t high)
{
	return _mm512_mask_add_epi8(q, (__mmask64)high, q, _mm512_set1_epi8(16));
}

INLINE void
load_halves(enum dtype dtype, const unsigned char *blocks, struct weight_step *step)
{
	const size_t block = bytes_of_block(dtype);
	const __m512i half = _mm512_set1_epi8(15);
	__m512i both = four_quarters(blocks, (int)block);

	step->low = _mm512_and_si512(both, half);
	step->high = _mm512_and_si512(_mm512_srli_epi16(both, 4), half);
	if (dtype == DTYPE_IQ4_NL) {
		step->low = from_table(step->low);
		step->high = from_table(step->high);
	}
	if (dtype == DTYPE_Q5_0 || dtype == DTYPE_Q5_1) {
		step->low = with_high(step->low, four_words(blocks, block, block - 20));
		step->high = with_high(step->high, four_words(blocks, block, block - 18));
	}
}

INLINE struct weight_step
load_weights(enum dtype dtype, const unsigned char *blocks, int n_blocks)
{
	const size_t block = bytes_of_block(dtype);
	unsigned char last[STEP_BLOCKS * sizeof(struct block_q8_0)];
	struct weight_step step;

	if (n_blocks < STEP_BLOCKS) {
		memset(last, 0, sizeof last);
		memcpy(last, blocks, (size_t)n_blocks * block);
		blocks = last;
	}
	if (dtype == DTYPE_Q8_0)
		load_q8_0(blocks, &step);
	else
		load_halves(dtype, blocks, &step);
	step.scale = four_halves(blocks, (int)block, 0);
	if (has_minimum(dtype))
		step.minimum = four_halves(blocks, (int)block, 2);
	return step;
}

INLINE vf
multiply_step(enum dtype dtype, const struct weight_step *w, const struct quantised_step *x, vf sum)
{
	__m512i products =
	    has_minimum(dtype) ? _mm512_setzero_si512() : _mm512_loadu_si512(x->start);

	products = _mm512_dpbusd_epi32(products, w->low, _mm512_loadu_si512(x->low));
	products = _mm512_dpbusd_epi32(products, w->high, _mm512_loadu_si512(x->high));
	if (has_minimum(dtype))
		sum = vf_fma(w->minimum, vf_load(x->share), sum);
	return vf_fma(_mm512_cvtepi32_ps(products), vf_mul(w->scale, vf_load(x->scale)), sum);
}

#else

#if defined(__AVX2__)

struct weight_step {
	__m256i quants, magnitudes;
	float scale, minimum;
};

INLINE struct weight_step
load_weights(enum dtype dtype, const unsigned char *block, int n_blocks)
{
	__m256i quants = quants_of_block(dtype, block);

	(void)n_blocks;
	return (struct weight_step){ quants, _mm256_abs_epi8(quants), half_at(block),
		has_minimum(dtype) ? half_at(block + 2) : 0 };
}

/* vpmaddubsw wants one side unsigned: |w| * (sign of w * x). Two products are at most
 * 2 * 128 * 127 and fit int16. */
INLINE vf
multiply_step(enum dtype dtype, const struct weight_step *w, const struct quantised_step *x, vf sum)
{
	__m256i signed_x = _mm256_sign_epi8(_mm256_loadu_si256((const void *)x->quants), w->quants);
	__m256i products =
	    _mm256_madd_epi16(_mm256_maddubs_epi16(w->magnitudes, signed_x), _mm256_set1_epi16(1));

	if (has_minimum(dtype))
		sum = vf_fma(vf_set1(w->minimum), vf_set1(x->share), sum);
	return vf_fma(_mm256_cvtepi32_ps(products), vf_set1(w->scale * x->scale), sum);
}

#else

typedef int8_t int8x16 __attribute__((vector_size(16)));
typedef int16_t int16x16 __attribute__((vector_size(32)));
typedef int32_t int32x16 __attribute__((vector_size(64)));
typedef int32_t int32x4 __attribute__((vector_size(16)));

struct weight_step {
	int8_t quants[QUANT_BLOCK];
	float scale, minimum;
};

INLINE struct weight_step
load_weights(enum dtype dtype, const unsigned char *bytes, int n_blocks)
{
	struct quant_block block;
	struct weight_step step;

	(void)n_blocks;
	quant_block_read(dtype, bytes, &block);
	memcpy(step.quants, block.quants, sizeof step.quants);
	step.scale = half_at(bytes);
	step.minimum = has_minimum(dtype) ? half_at(bytes + 2) : 0;
	return step;
}

INLINE vf
multiply_step(enum dtype dtype, const struct weight_step *w, const struct quantised_step *x, vf sum)
{
	int8x16 wq[2], xq[2];
	int32x4 quarters[4];

	memcpy(wq, w->quants, sizeof wq);
	memcpy(xq, x->quants, sizeof xq);
	/* Two products are at most 2 * 128 * 127 and fit int16. */
	int16x16 products =
	    __builtin_convertvector(wq[0], int16x16) * __builtin_convertvector(xq[0], int16x16);
	products +=
	    __builtin_convertvector(wq[1], int16x16) * __builtin_convertvector(xq[1], int16x16);
	int32x16 wide = __builtin_convertvector(products, int32x16);
	memcpy(quarters, &wide, sizeof quarters);
	if (has_minimum(dtype))
		sum = vf_fma(vf_set1(w->minimum), vf_set1(x->share), sum);
	return vf_fma(
	    __builtin_convertvector((quarters[0] + quarters[1]) + (quarters[2] + quarters[3]), vf),
	    vf_set1(w->scale * x->scale), sum);
}

#endif
#endif

INLINE void
block_step(enum dtype dtype, const int rows, const struct dot_products *job,
    const struct quad *quad, int64_t block, int n_blocks, const struct quantised_step *x,
    int64_t x_row, vf sum[][OUTPUTS])
{
	const size_t step_bytes = STEP_BLOCKS * bytes_of_block(dtype);
	size_t at = (size_t)block * bytes_of_block(dtype);

	UNROLL
	for (int o = 0; o < OUTPUTS; o++) {
		struct weight_step w = load_weights(dtype, quad->w[o] + at, n_blocks);
		UNROLL
		for (size_t line = 0; line < step_bytes; line += 64)
			prefetch_next(job, quad, o, at + line);
		UNROLL
		for (int r = 0; r < rows; r++)
			sum[r][o] = multiply_step(dtype, &w, x + r * x_row, sum[r][o]);
	}
}

INLINE void
block_tile(enum dtype dtype, const int rows, const struct dot_products *job,
    const struct quad *quad, int64_t row)
{
	int64_t x_row = n_steps(job->k), n_blocks = job->k / QUANT_BLOCK, block = 0;
	const struct quantised_step *x =
	    (const struct quantised_step *)job->x_quantised + row * x_row;
	vf sum[DOT_ROWS][OUTPUTS];

	UNROLL
	for (int r = 0; r < rows; r++) {
		UNROLL
		for (int o = 0; o < OUTPUTS; o++)
			sum[r][o] = vf_zero();
	}
	for (; block + STEP_BLOCKS <= n_blocks; block += STEP_BLOCKS, x++)
		block_step(dtype, rows, job, quad, block, STEP_BLOCKS, x, x_row, sum);
	if (block < n_blocks)
		block_step(dtype, rows, job, quad, block, (int)(n_blocks - block), x, x_row, sum);
	UNROLL
	for (int r = 0; r < rows; r++)
		store_outputs(job, quad, row + r, sum[r]);
}

#define TILE_Q8_0(rows) block_tile(DTYPE_Q8_0, rows, job, &quad, row)
#define TILE_Q4_0(rows) block_tile(DTYPE_Q4_0, rows, job, &quad, row)
#define TILE_Q4_1(rows) block_tile(DTYPE_Q4_1, rows, job, &quad, row)
#define TILE_Q5_0(rows) block_tile(DTYPE_Q5_0, rows, job, &quad, row)
#define TILE_Q5_1(rows) block_tile(DTYPE_Q5_1, rows, job, &quad, row)
#define TILE_IQ4_NL(rows) block_tile(DTYPE_IQ4_NL, rows, job, &quad, row)
DEFINE_DOTS(dots_q8_0, TILE_Q8_0)
DEFINE_DOTS(dots_q4_0, TILE_Q4_0)
DEFINE_DOTS(dots_q4_1, TILE_Q4_1)
DEFINE_DOTS(dots_q5_0, TILE_Q5_0)
DEFINE_DOTS(dots_q5_1, TILE_Q5_1)
DEFINE_DOTS(dots_iq4_nl, TILE_IQ4_NL)

void
KERNEL(dots_of_blocks)(const struct dot_products *job)
{
	switch (job->dtype) {
	case DTYPE_Q4_0:
		dots_q4_0(job);
		break;
	case DTYPE_Q4_1:
		dots_q4_1(job);
		break;
	case DTYPE_Q5_0:
		dots_q5_0(job);
		break;
	case DTYPE_Q5_1:
		dots_q5_1(job);
		break;
	case DTYPE_IQ4_NL:
		dots_iq4_nl(job);
		break;
	default:
		dots_q8_0(job);
	}
}
