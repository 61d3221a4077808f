/* cpu/kernels-softmax.c - exponentials that sum to one: of rows, of columns, of logits. */

#include "engine/cpu/kernels-rows.h"
#include "engine/cpu/kernels-math.h"

/* Elements that are summed in f32 before the sum goes into a double. */
#define SUM_BLOCK 1024

/* A maximum for each lane: the compiler may not reorder comparisons, which NaN makes differ. */
float
KERNEL(maximum)(int64_t n, const float *x)
{
	float lanes[2 * VL], maximum = -INFINITY;
	int64_t i = 0;

	for (int c = 0; c < 2 * VL; c++)
		lanes[c] = -INFINITY;
	for (; i + 2 * VL <= n; i += 2 * VL) {
#pragma omp simd
		for (int c = 0; c < 2 * VL; c++)
			lanes[c] = x[i + c] > lanes[c] ? x[i + c] : lanes[c];
	}
	for (; i < n; i++)
		maximum = x[i] > maximum ? x[i] : maximum;
	for (int c = 0; c < 2 * VL; c++)
		maximum = lanes[c] > maximum ? lanes[c] : maximum;
	return maximum;
}

int64_t
KERNEL(first_of)(int64_t n, const float *x, float value)
{
	for (int64_t begin = 0; begin < n; begin += SUM_BLOCK) {
		int64_t end = begin + SUM_BLOCK < n ? begin + SUM_BLOCK : n;
		int found = 0;

#pragma omp simd reduction(| : found)
		for (int64_t i = begin; i < end; i++)
			found |= x[i] == value;
		for (int64_t i = begin; found && i < end; i++) {
			if (x[i] == value)
				return i;
		}
	}
	return 0;
}

double
KERNEL(sum)(int64_t n, const float *x)
{
	double total = 0;

#pragma omp simd reduction(+ : total)
	for (int64_t i = 0; i < n; i++)
		total += (double)x[i];
	return total;
}

double
KERNEL(sum_exp)(int64_t n, const float *x, float maximum)
{
	double total = 0;

	for (int64_t begin = 0; begin < n; begin += SUM_BLOCK) {
		int64_t end = begin + SUM_BLOCK < n ? begin + SUM_BLOCK : n;
		float sum = 0;

#pragma omp simd reduction(+ : sum)
		for (int64_t i = begin; i < end; i++)
			sum += fast_exp(x[i] - maximum);
		total += (double)sum;
	}
	return total;
}

void
KERNEL(add_exp)(int64_t n, const float *x, float maximum, float factor, float constant, float *dx)
{
#pragma omp simd
	for (int64_t i = 0; i < n; i++)
		dx[i] += factor * fast_exp(x[i] - maximum) + constant;
}

void
KERNEL(cap)(int64_t n, float softcap, float *x)
{
	float inverse = 1.0f / softcap;

#pragma omp simd
	for (int64_t i = 0; i < n; i++)
		x[i] = softcap * fast_tanh(x[i] * inverse);
}

double
KERNEL(exponentiate)(int64_t n, float maximum, float *x)
{
	double total = 0;

	for (int64_t begin = 0; begin < n; begin += SUM_BLOCK) {
		int64_t end = begin + SUM_BLOCK < n ? begin + SUM_BLOCK : n;
		float sum = 0;

#pragma omp simd reduction(+ : sum)
		for (int64_t i = begin; i < end; i++) {
			x[i] = fast_exp(x[i] - maximum);
			sum += x[i];
		}
		total += (double)sum;
	}
	return total;
}

/* ---- strips of scores, VL columns at a time so that maximum and sum stay in registers ---- */

static void
cap_strip(const struct score_strip *strip)
{
	float softcap = strip->softcap, inverse = 1.0f / softcap;
	int64_t n = strip->n_keys * strip->width;

	if (softcap <= 0)
		return;
	if (strip->slopes == NULL) {
		KERNEL(cap)(n, softcap, strip->scores);
		return;
	}
#pragma omp simd
	for (int64_t i = 0; i < n; i++) {
		float t = fast_tanh(strip->scores[i] * inverse);

		strip->scores[i] = softcap * t;
		strip->slopes[i] = 1.0f - t * t;
	}
}

INLINE void
raise_maximum(const struct score_strip *strip, int64_t first, float *maximum)
{
	const int32_t *begin = strip->begin + first, *end = strip->end + first;

	for (int64_t i = 0; i < strip->n_keys; i++) {
		const float *score = strip->scores + i * strip->width + first;
		int32_t key = strip->first_key + (int32_t)i;

#pragma omp simd
		for (int c = 0; c < VL; c++) {
			float seen = key >= begin[c] && key < end[c] ? score[c] : -INFINITY;

			maximum[c] = seen > maximum[c] ? seen : maximum[c];
		}
	}
}

/* score = factor * exp(score - maximum) where seen, and their sums. */
INLINE void
exponentiate_columns(const struct score_strip *strip, int64_t first, const float *maximum,
    const float *factor, float *sum)
{
	const int32_t *begin = strip->begin + first, *end = strip->end + first;

	for (int64_t i = 0; i < strip->n_keys; i++) {
		float *score = strip->scores + i * strip->width + first;
		int32_t key = strip->first_key + (int32_t)i;

#pragma omp simd
		for (int c = 0; c < VL; c++) {
			float e = factor[c] * fast_exp(score[c] - maximum[c]);

			e = key >= begin[c] && key < end[c] ? e : 0;
			score[c] = e;
			sum[c] += e;
		}
	}
}

void
KERNEL(softmax_columns)(const struct score_strip *strip, float *correction)
{
	cap_strip(strip);
	for (int64_t first = 0; first < strip->width; first += VL) {
		float maximum[VL], shift[VL], factor[VL], sum[VL];

		memcpy(maximum, strip->maximum + first, sizeof maximum);
		raise_maximum(strip, first, maximum);
		for (int c = 0; c < VL; c++) {
			/* A query that has seen no key yet: anything finite will do. */
			shift[c] = maximum[c] > -INFINITY ? maximum[c] : 0;
			factor[c] = 1;
			sum[c] = 0;
		}
		exponentiate_columns(strip, first, shift, factor, sum);
		for (int c = 0; c < VL; c++) {
			float old = fast_exp(strip->maximum[first + c] - shift[c]);

			correction[first + c] = old;
			strip->sum[first + c] = strip->sum[first + c] * old + sum[c];
			strip->maximum[first + c] = maximum[c];
		}
	}
}

void
KERNEL(probabilities)(const struct score_strip *strip)
{
	cap_strip(strip);
	for (int64_t first = 0; first < strip->width; first += VL) {
		float factor[VL], sum[VL] = { 0 };

		for (int c = 0; c < VL; c++)
			factor[c] = 1.0f / strip->sum[first + c];
		exponentiate_columns(strip, first, strip->maximum + first, factor, sum);
	}
}

void
KERNEL(normalise_columns)(const struct score_strip *strip, const float *dp, float *shared)
{
	for (int64_t first = 0; first < strip->width; first += VL) {
		float factor[VL], sum[VL] = { 0 };

		for (int c = 0; c < VL; c++)
			factor[c] = 1.0f / strip->sum[first + c];
		for (int64_t i = 0; i < strip->n_keys; i++) {
			float *score = strip->scores + i * strip->width + first;
			const float *gradient = dp + i * strip->width + first;

#pragma omp simd
			for (int c = 0; c < VL; c++) {
				score[c] *= factor[c];
				sum[c] += score[c] * gradient[c];
			}
		}
		memcpy(shared + first, sum, sizeof sum);
	}
}

void
KERNEL(score_gradients)(const struct score_strip *strip, const float *shared, float *dp)
{
	int64_t width = strip->width;

	for (int64_t i = 0; i < strip->n_keys; i++) {
		const float *score = strip->scores + i * width;
		float *gradient = dp + i * width;

#pragma omp simd
		for (int64_t c = 0; c < width; c++)
			gradient[c] = score[c] * (gradient[c] - shared[c]);
	}
	if (strip->slopes != NULL) {
#pragma omp simd
		for (int64_t i = 0; i < strip->n_keys * width; i++)
			dp[i] *= strip->slopes[i];
	}
}
