/*
 * cpu/kernels-dots.c - products of few rows with stored weights: dot products along k.
 *
 * Four rows of W at a time meet up to DOT_ROWS rows of x; each pair has its own accumulator, so
 * the weights are read and widened once for these rows and the loads of x serve four outputs.
 * Outputs beyond the last are computed again from the last row of W and dropped.
 *
 * Q8_0 weights have two forms. With f32 rows each weight is widened as other dtypes are (exact
 * to rounding). With quantised rows (absmax / 127 a block, as llama.cpp does for its Q8_0
 * products) the 32 products of a block are summed in int32 and scaled once: the error is that of
 * the rounding of x, about 0.4 % of a block's largest element.
 */
#include <math.h>

#include "engine/cpu/kernels-matmul.h"
#include "engine/cpu/kernels-simd.h"

#define OUTPUTS 4
#if defined(__AVX512F__)
#define DOT_ROWS 4
#else
#define DOT_ROWS 2
#endif

/* The rows of W of four outputs. */
struct quad {
	const unsigned char *w[OUTPUTS];
	int64_t output;
	int n; /* outputs wanted, 1 .. 4 */
};

INLINE struct quad
quad_at(const struct dot_products *job, int64_t done)
{
	int64_t left = job->n_outputs - done;
	struct quad quad = { .output = job->output_begin + done, .n = left < 4 ? (int)left : 4 };

	for (int o = 0; o < OUTPUTS; o++) {
		int64_t row = quad.output + (o < quad.n ? o : quad.n - 1);
		quad.w[o] = (const unsigned char *)job->w + (size_t)row * job->row_bytes;
	}
	return quad;
}

/* Asks for what lies BYTES into row O of the next quad. The processor's own prefetching stops at
 * page ends and is new to every row; weights are read from memory at its full rate only so. Beyond
 * the last row this asks for memory of others, which does no harm: no address of it is used. */
INLINE void
prefetch_next(const struct dot_products *job, const struct quad *quad, int o, size_t bytes)
{
	uintptr_t next = (uintptr_t)quad->w[o] + OUTPUTS * job->row_bytes + bytes;

	__builtin_prefetch((const void *)next, 0, 2);
}

/* Bytes of N stored elements of DTYPE, to a block. */
INLINE size_t
stored_bytes(enum dtype dtype, int64_t n)
{
	if (dtype == DTYPE_Q8_0)
		return (size_t)n / Q8_0_BLOCK * sizeof(struct block_q8_0);
	return (size_t)n * (dtype == DTYPE_F32 ? 4 : 2);
}

INLINE void
store_outputs(const struct dot_products *job, const struct quad *quad, int64_t row, const vf sum[4])
{
	float *y = job->y + row * job->y_row + quad->output;
	v4 total = vf_sum4(sum);

	if (quad->n == OUTPUTS) {
		if (job->bias != NULL) {
			v4 bias;
			memcpy(&bias, job->bias + quad->output, sizeof bias);
			total += bias;
		}
		memcpy(y, &total, sizeof total);
		return;
	}
	for (int o = 0; o < quad->n; o++)
		y[o] = total[o] + (job->bias != NULL ? job->bias[quad->output + o] : 0);
}

INLINE void
dots_tile(enum dtype dtype, const int rows, const struct dot_products *job, const struct quad *quad,
    int64_t row)
{
	const float *x = job->x + row * job->x_row;
	const int step = dtype == DTYPE_Q8_0 ? Q8_0_BLOCK : VL;
	int64_t k = job->k, x_row = job->x_row, i = 0;
	vf sum[DOT_ROWS][OUTPUTS];

	UNROLL
	for (int r = 0; r < rows; r++) {
		UNROLL
		for (int o = 0; o < OUTPUTS; o++)
			sum[r][o] = vf_zero();
	}
	for (; i + step <= k; i += step) {
		UNROLL
		for (int j = 0; j < step; j += VL) {
			vf xv[DOT_ROWS];
			UNROLL
			for (int r = 0; r < rows; r++)
				xv[r] = vf_load(x + r * x_row + i + j);
			UNROLL
			for (int o = 0; o < OUTPUTS; o++) {
				vf w = vf_load_stored_at(dtype, quad->w[o], i, j);
				if (j == 0)
					prefetch_next(job, quad, o, stored_bytes(dtype, i));
				UNROLL
				for (int r = 0; r < rows; r++)
					sum[r][o] = vf_fma(w, xv[r], sum[r][o]);
			}
		}
	}
	if (i < k) {
		int n = (int)(k - i);
		UNROLL
		for (int o = 0; o < OUTPUTS; o++) {
			vf w = vf_load_stored_end(dtype, quad->w[o], i, n);
			UNROLL
			for (int r = 0; r < rows; r++)
				sum[r][o] =
				    vf_fma(w, vf_load_first(x + r * x_row + i, n), sum[r][o]);
		}
	}
	UNROLL
	for (int r = 0; r < rows; r++)
		store_outputs(job, quad, row + r, sum[r]);
}

/* A row of x as int8: what one step of the integer loop takes. */
#if defined(__AVX512F__)

/* Four blocks, first and second halves apart: two vpdpbusd then leave eight products in each int32
 * instead of four, and converting and scaling, the larger part of the work, is halved.
 * quants are x + 128, because vpdpbusd wants one side unsigned. */
#define STEP_BLOCKS 4
#define HALF_BLOCK (Q8_0_BLOCK / 2)
struct quantised_step {
	uint8_t low[4 * HALF_BLOCK], high[4 * HALF_BLOCK];
	float scale[VL]; /* four times each block's */
};

#else

#define STEP_BLOCKS 1
struct quantised_step {
	int8_t quants[Q8_0_BLOCK];
	float scale;
};

#endif

static int64_t
n_steps(int64_t k)
{
	return (k / Q8_0_BLOCK + STEP_BLOCKS - 1) / STEP_BLOCKS;
}

size_t
KERNEL(quantised_row_bytes)(int64_t k)
{
	return (size_t)n_steps(k) * sizeof(struct quantised_step);
}

static uint32_t
float_bits(float x)
{
	uint32_t bits;

	memcpy(&bits, &x, sizeof bits);
	return bits;
}

/* Rounds 32 elements to int8; returns the scale. Infinity and not-a-number make the scale
 * not-a-number, so that they spoil the outputs as they would without quantising.
 * The maximum and the rounding are integer operations: those have vectors everywhere. */
static float
quantise_block(const float *x, int8_t quants[Q8_0_BLOCK])
{
	uint32_t largest = 0;
	float scale, inverse;

#pragma omp simd reduction(max : largest)
	for (int i = 0; i < Q8_0_BLOCK; i++) {
		uint32_t magnitude = float_bits(x[i]) & 0x7fffffff;
		largest = magnitude > largest ? magnitude : largest;
	}
	if (largest >= 0x7f800000) {
		memset(quants, 1, Q8_0_BLOCK);
		return NAN;
	}
	memcpy(&scale, &largest, sizeof scale);
	scale /= 127;
	/* Below the smallest normal scale the inverse would overflow: such a block is zero. */
	inverse = scale < 0x1p-126f ? 0 : 1 / scale;
	/* Added to 1.5 * 2^23, a number is rounded to an integer in the last bits. */
#pragma omp simd
	for (int i = 0; i < Q8_0_BLOCK; i++)
		quants[i] = (int8_t)float_bits(x[i] * inverse + 0x1.8p23f);
	return scale;
}

static void
quantise_step(const float *x, int64_t n_blocks, struct quantised_step *step)
{
#if defined(__AVX512F__)
	memset(step, 0, sizeof *step);
	for (int64_t b = 0; b < STEP_BLOCKS && b < n_blocks; b++) {
		int8_t quants[Q8_0_BLOCK];
		float scale = quantise_block(x + b * Q8_0_BLOCK, quants);
		for (int i = 0; i < HALF_BLOCK; i++) {
			step->low[b * HALF_BLOCK + i] = (uint8_t)(quants[i] + 128);
			step->high[b * HALF_BLOCK + i] = (uint8_t)(quants[HALF_BLOCK + i] + 128);
		}
		for (int i = 0; i < VL / STEP_BLOCKS; i++)
			step->scale[b * (VL / STEP_BLOCKS) + i] = scale;
	}
#else
	(void)n_blocks;
	step->scale = quantise_block(x, step->quants);
#endif
}

void
KERNEL(quantise_rows)(const float *x, int64_t x_row, int64_t n_rows, int64_t k, void *out)
{
	struct quantised_step *step = out;

	for (int64_t row = 0; row < n_rows; row++)
		for (int64_t i = 0; i < k; i += STEP_BLOCKS * Q8_0_BLOCK, step++)
			quantise_step(x + row * x_row + i, (k - i) / Q8_0_BLOCK, step);
}

/* One step's weights, ready for any number of rows of x, and their product with one of them. */
#if defined(__AVX512F__)

struct weight_step {
	__m512i low, high, start; /* start: less 128 * the sums that x + 128 brings in */
	vf scale;
};

INLINE __m512i
two_blocks(const unsigned char *block)
{
	__m256i first = _mm256_loadu_si256((const void *)(block + 2));
	__m256i second = _mm256_loadu_si256((const void *)(block + 2 + sizeof(struct block_q8_0)));

	return _mm512_inserti64x4(_mm512_castsi256_si512(first), second, 1);
}

INLINE uint64_t
scale_bits(const unsigned char *blocks, int i)
{
	uint16_t bits;

	memcpy(&bits, blocks + (size_t)i * sizeof(struct block_q8_0), sizeof bits);
	return (uint64_t)bits << 16 * i;
}

INLINE struct weight_step
load_weights(const unsigned char *blocks, int n_blocks)
{
	const __m512i four_times =
	    _mm512_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3);
	const __m512i all_128 = _mm512_set1_epi8((char)0x80), zero = _mm512_setzero_si512();
	unsigned char last[STEP_BLOCKS * sizeof(struct block_q8_0)];
	struct weight_step step;

	if (n_blocks < STEP_BLOCKS) {
		memset(last, 0, sizeof last);
		memcpy(last, blocks, (size_t)n_blocks * sizeof(struct block_q8_0));
		blocks = last;
	}
	__m512i front = two_blocks(blocks);
	__m512i back = two_blocks(blocks + 2 * sizeof(struct block_q8_0));
	__m128i scales =
	    _mm_cvtsi64_si128((long long)(scale_bits(blocks, 0) | scale_bits(blocks, 1) |
					  scale_bits(blocks, 2) | scale_bits(blocks, 3)));
	step.low = _mm512_shuffle_i64x2(front, back, 0x88);
	step.high = _mm512_shuffle_i64x2(front, back, 0xdd);
	step.start = _mm512_sub_epi32(zero,
	    _mm512_dpbusd_epi32(_mm512_dpbusd_epi32(zero, all_128, step.low), all_128, step.high));
	step.scale =
	    _mm512_permutexvar_ps(four_times, _mm512_castps128_ps512(_mm_cvtph_ps(scales)));
	return step;
}

INLINE vf
multiply_step(const struct weight_step *w, const struct quantised_step *x, vf sum)
{
	__m512i products = _mm512_dpbusd_epi32(w->start, _mm512_loadu_si512(x->low), w->low);

	products = _mm512_dpbusd_epi32(products, _mm512_loadu_si512(x->high), w->high);
	return vf_fma(_mm512_cvtepi32_ps(products), vf_mul(w->scale, vf_load(x->scale)), sum);
}

#elif defined(__AVX2__)

struct weight_step {
	__m256i quants, magnitudes;
	float scale;
};

INLINE struct weight_step
load_weights(const unsigned char *block, int n_blocks)
{
	__m256i quants = _mm256_loadu_si256((const void *)(block + 2));

	(void)n_blocks;
	return (struct weight_step){ quants, _mm256_abs_epi8(quants), scale_q8_0(block) };
}

/* vpmaddubsw wants one side unsigned: |w| * (sign of w * x). Two products are at most
 * 2 * 128 * 127 and fit int16. */
INLINE vf
multiply_step(const struct weight_step *w, const struct quantised_step *x, vf sum)
{
	__m256i signed_x = _mm256_sign_epi8(_mm256_loadu_si256((const void *)x->quants), w->quants);
	__m256i products =
	    _mm256_madd_epi16(_mm256_maddubs_epi16(w->magnitudes, signed_x), _mm256_set1_epi16(1));

	return vf_fma(_mm256_cvtepi32_ps(products), vf_set1(w->scale * x->scale), sum);
}

#else

typedef int8_t int8x16 __attribute__((vector_size(16)));
typedef int16_t int16x16 __attribute__((vector_size(32)));
typedef int32_t int32x16 __attribute__((vector_size(64)));
typedef int32_t int32x4 __attribute__((vector_size(16)));

struct weight_step {
	const int8_t *quants;
	float scale;
};

INLINE struct weight_step
load_weights(const unsigned char *block, int n_blocks)
{
	(void)n_blocks;
	return (struct weight_step){ (const int8_t *)block + 2, scale_q8_0(block) };
}

INLINE vf
multiply_step(const struct weight_step *w, const struct quantised_step *x, vf sum)
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
	return vf_fma(
	    __builtin_convertvector((quarters[0] + quarters[1]) + (quarters[2] + quarters[3]), vf),
	    vf_set1(w->scale * x->scale), sum);
}

#endif

INLINE void
integer_step(const int rows, const struct dot_products *job, const struct quad *quad, int64_t block,
    int n_blocks, const struct quantised_step *x, int64_t x_row, vf sum[][OUTPUTS])
{
	size_t at = (size_t)block * sizeof(struct block_q8_0);

	UNROLL
	for (int o = 0; o < OUTPUTS; o++) {
		struct weight_step w = load_weights(quad->w[o] + at, n_blocks);
		UNROLL
		for (size_t line = 0; line < STEP_BLOCKS * sizeof(struct block_q8_0); line += 64)
			prefetch_next(job, quad, o, at + line);
		UNROLL
		for (int r = 0; r < rows; r++)
			sum[r][o] = multiply_step(&w, x + r * x_row, sum[r][o]);
	}
}

INLINE void
integer_tile(const int rows, const struct dot_products *job, const struct quad *quad, int64_t row)
{
	int64_t x_row = n_steps(job->k), n_blocks = job->k / Q8_0_BLOCK, block = 0;
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
		integer_step(rows, job, quad, block, STEP_BLOCKS, x, x_row, sum);
	if (block < n_blocks)
		integer_step(rows, job, quad, block, (int)(n_blocks - block), x, x_row, sum);
	UNROLL
	for (int r = 0; r < rows; r++)
		store_outputs(job, quad, row + r, sum[r]);
}

/* TILE(rows, job, quad, row) over all rows, four outputs after four outputs. */
#if DOT_ROWS == 4
#define FOR_ALL_ROWS(TILE)                                                                         \
	for (int64_t row = 0; row < job->n_rows; row += DOT_ROWS) {                                \
		switch (job->n_rows - row) {                                                       \
		case 1:                                                                            \
			TILE(1);                                                                   \
			break;                                                                     \
		case 2:                                                                            \
			TILE(2);                                                                   \
			break;                                                                     \
		case 3:                                                                            \
			TILE(3);                                                                   \
			break;                                                                     \
		default:                                                                           \
			TILE(4);                                                                   \
		}                                                                                  \
	}
#else
#define FOR_ALL_ROWS(TILE)                                                                         \
	for (int64_t row = 0; row < job->n_rows; row += DOT_ROWS) {                                \
		if (job->n_rows - row == 1)                                                        \
			TILE(1);                                                                   \
		else                                                                               \
			TILE(2);                                                                   \
	}
#endif

#define DEFINE_DOTS(name, dtype)                                                                   \
	static void name(const struct dot_products *job)                                           \
	{                                                                                          \
		for (int64_t done = 0; done < job->n_outputs; done += OUTPUTS) {                   \
			struct quad quad = quad_at(job, done);                                     \
			FOR_ALL_ROWS(DOTS_TILE_##dtype)                                            \
		}                                                                                  \
	}
#define DOTS_TILE_F32(rows) dots_tile(DTYPE_F32, rows, job, &quad, row)
#define DOTS_TILE_F16(rows) dots_tile(DTYPE_F16, rows, job, &quad, row)
#define DOTS_TILE_BF16(rows) dots_tile(DTYPE_BF16, rows, job, &quad, row)
#define DOTS_TILE_Q8_0(rows) dots_tile(DTYPE_Q8_0, rows, job, &quad, row)
#define DOTS_TILE_INTEGER(rows) integer_tile(rows, job, &quad, row)
DEFINE_DOTS(dots_f32, F32)
DEFINE_DOTS(dots_f16, F16)
DEFINE_DOTS(dots_bf16, BF16)
DEFINE_DOTS(dots_q8_0, Q8_0)
DEFINE_DOTS(dots_integer, INTEGER)

void
KERNEL(dots)(const struct dot_products *job)
{
	switch (job->dtype) {
	case DTYPE_F16:
		dots_f16(job);
		break;
	case DTYPE_BF16:
		dots_bf16(job);
		break;
	case DTYPE_Q8_0:
		if (job->x_quantised != NULL)
			dots_integer(job);
		else
			dots_q8_0(job);
		break;
	default:
		dots_f32(job);
	}
}
