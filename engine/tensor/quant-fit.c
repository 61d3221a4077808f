/* quant-fit.c - searches for the scale of quantised numbers. */
#include "engine/tensor/quant-fit.h"

#include <math.h>

/* Step widths that are tried: that of one quant less or more over the range, in between. */
#define TRIALS 9

int
nearest_integer(float x, int least, int most)
{
	if (!(x > (float)least))
		return least;
	return x >= (float)most ? most : (int)lrintf(x);
}

/* The scale and minimum that fit X best for given quants; false when there is no such fit. */
static int
solve_affine(const float *x, const int *q, int n, float *scale, float *minimum)
{
	double sum_x = 0, sum_q = 0, sum_qq = 0, sum_qx = 0, determinant;

	for (int i = 0; i < n; i++) {
		sum_x += (double)x[i];
		sum_q += q[i];
		sum_qq += q[i] * q[i];
		sum_qx += q[i] * (double)x[i];
	}
	determinant = n * sum_qq - sum_q * sum_q;
	if (!(determinant > 0))
		return 0;
	*scale = (float)((n * sum_qx - sum_q * sum_x) / determinant);
	*minimum = (float)((sum_q * sum_qx - sum_qq * sum_x) / determinant);
	if (*minimum < 0) {
		*minimum = 0;
		*scale = (float)(sum_qx / sum_qq);
	}
	return *scale > 0;
}

void
fit_affine(const float *x, int n, int levels, float *scale, float *minimum)
{
	float least = 0, most = x[0], best = INFINITY;

	for (int i = 0; i < n; i++) {
		least = fminf(least, x[i]);
		most = fmaxf(most, x[i]);
	}
	*scale = most > least ? (most - least) / (float)(levels - 1) : 0;
	*minimum = -least;
	if (*scale == 0)
		return;
	for (int trial = 0; trial < TRIALS; trial++) {
		float steps = (float)(levels - 1) + (float)(trial - TRIALS / 2) * (2.0f / TRIALS);
		float inverse = steps / (most - least), s, m, error = 0;
		int q[FIT_MAX];

		for (int i = 0; i < n; i++)
			q[i] = nearest_integer((x[i] - least) * inverse, 0, levels - 1);
		if (!solve_affine(x, q, n, &s, &m))
			continue;
		for (int i = 0; i < n; i++) {
			float difference = s * (float)q[i] - m - x[i];
			error += difference * difference;
		}
		if (error < best) {
			best = error;
			*scale = s;
			*minimum = m;
		}
	}
}

static float
largest_magnitude(const float *x, int n)
{
	float largest = 0;

	for (int i = 0; i < n; i++)
		if (fabsf(x[i]) > fabsf(largest))
			largest = x[i];
	return largest;
}

/* For scale s = sum(v x) / sum(v v) the squared error is sum(x x) - sum(v x)^2 / sum(v v): keeps
 * the scale of the largest second term. */
static void
keep_better(const float *x, const int *values, int n, double *best, float *scale)
{
	double sum_vx = 0, sum_vv = 0;

	for (int i = 0; i < n; i++) {
		sum_vx += values[i] * (double)x[i];
		sum_vv += values[i] * values[i];
	}
	if (sum_vv > 0 && sum_vx * sum_vx > *best * sum_vv) {
		*best = sum_vx * sum_vx / sum_vv;
		*scale = (float)(sum_vx / sum_vv);
	}
}

float
fit_symmetric(const float *x, int n, int half)
{
	float largest = largest_magnitude(x, n), scale = 0;
	double best = 0;

	/* The largest gets -HALF, the end with one integer more. */
	for (int trial = 0; largest != 0 && trial < TRIALS; trial++) {
		float inverse =
		    -((float)half + (float)(trial - TRIALS / 2) * (2.0f / TRIALS)) / largest;
		int q[FIT_MAX];

		for (int i = 0; i < n; i++)
			q[i] = nearest_integer(x[i] * inverse, -half, half - 1);
		keep_better(x, q, n, &best, &scale);
	}
	return scale;
}

int
nearest_value(float x, const int8_t values[16])
{
	int low = 0, high = 15;

	while (high - low > 1) {
		int middle = (low + high) / 2;
		if (x < values[middle])
			high = middle;
		else
			low = middle;
	}
	return x - values[low] < values[high] - x ? low : high;
}

float
fit_values(const float *x, int n, const int8_t values[16])
{
	float largest = largest_magnitude(x, n), scale = 0;
	double best = 0;

	/* The largest gets either end, or a bit less or more than it. */
	for (int trial = 0; largest != 0 && trial < 2 * TRIALS; trial++) {
		float end = values[trial % 2 == 0 ? 0 : 15];
		float inverse =
		    end * (1 + (float)(trial / 2 - TRIALS / 2) * (0.2f / TRIALS)) / largest;
		int rounded[FIT_MAX];

		for (int i = 0; i < n; i++)
			rounded[i] = values[nearest_value(x[i] * inverse, values)];
		keep_better(x, rounded, n, &best, &scale);
	}
	return scale;
}
