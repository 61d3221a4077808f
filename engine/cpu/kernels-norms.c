/* cpu/kernels-norms.c - norms of one row, and its rotation by position. */

#include "engine/cpu/kernels-rows.h"
#include "engine/cpu/kernels-math.h"

INLINE float
dot(int64_t n, const float *a, const float *b)
{
	float sum = 0;

#pragma omp simd reduction(+ : sum)
	for (int64_t i = 0; i < n; i++)
		sum += a[i] * b[i];
	return sum;
}

void
KERNEL(rms_norm)(
    int64_t cols, const float *x, const float *w, float offset, float epsilon, float *y)
{
	float r = 1.0f / sqrtf(dot(cols, x, x) / (float)cols + epsilon);

#pragma omp simd
	for (int64_t i = 0; i < cols; i++)
		y[i] = x[i] * r * (w[i] + offset);
}

/* With r = 1 / rms and v = w + offset:
 * dx = r v dy - x r^3 / cols * sum(dy v x); dw = dy x r. */
void
KERNEL(rms_norm_backward)(int64_t cols, const float *x, const float *w, float offset, float epsilon,
    const float *dy, float *dx, float *dw)
{
	float r = 1.0f / sqrtf(dot(cols, x, x) / (float)cols + epsilon), shared = 0;

	if (dx != NULL) {
#pragma omp simd reduction(+ : shared)
		for (int64_t i = 0; i < cols; i++)
			shared += dy[i] * (w[i] + offset) * x[i];
		shared *= r * r * r / (float)cols;
#pragma omp simd
		for (int64_t i = 0; i < cols; i++)
			dx[i] += r * (w[i] + offset) * dy[i] - x[i] * shared;
	}
	if (dw != NULL) {
#pragma omp simd
		for (int64_t i = 0; i < cols; i++)
			dw[i] += dy[i] * x[i] * r;
	}
}

/* Two passes: the mean is taken away before the squares are summed. */
INLINE float
row_mean(int64_t cols, const float *x, float epsilon, float *inverse_deviation)
{
	float sum = 0, squares = 0, mean;

#pragma omp simd reduction(+ : sum)
	for (int64_t i = 0; i < cols; i++)
		sum += x[i];
	mean = sum / (float)cols;
#pragma omp simd reduction(+ : squares)
	for (int64_t i = 0; i < cols; i++)
		squares += (x[i] - mean) * (x[i] - mean);
	*inverse_deviation = 1.0f / sqrtf(squares / (float)cols + epsilon);
	return mean;
}

void
KERNEL(layer_norm)(
    int64_t cols, const float *x, const float *w, const float *bias, float epsilon, float *y)
{
	float r, mean = row_mean(cols, x, epsilon, &r);

	if (bias != NULL) {
#pragma omp simd
		for (int64_t i = 0; i < cols; i++)
			y[i] = (x[i] - mean) * r * w[i] + bias[i];
	} else {
#pragma omp simd
		for (int64_t i = 0; i < cols; i++)
			y[i] = (x[i] - mean) * r * w[i];
	}
}

/* With h = (x - mean) r and g = dy w: dx = r (g - mean(g) - h mean(g h)). */
void
KERNEL(layer_norm_backward)(int64_t cols, const float *x, const float *w, float epsilon,
    const float *dy, float *dx, float *dw, float *dbias)
{
	float r, mean = row_mean(cols, x, epsilon, &r), sum_g = 0, sum_gh = 0;

	if (dx != NULL) {
#pragma omp simd reduction(+ : sum_g, sum_gh)
		for (int64_t i = 0; i < cols; i++) {
			sum_g += dy[i] * w[i];
			sum_gh += dy[i] * w[i] * (x[i] - mean) * r;
		}
		sum_g /= (float)cols;
		sum_gh /= (float)cols;
#pragma omp simd
		for (int64_t i = 0; i < cols; i++)
			dx[i] += r * (dy[i] * w[i] - sum_g - (x[i] - mean) * r * sum_gh);
	}
	if (dw != NULL) {
#pragma omp simd
		for (int64_t i = 0; i < cols; i++)
			dw[i] += dy[i] * (x[i] - mean) * r;
	}
	if (dbias != NULL) {
#pragma omp simd
		for (int64_t i = 0; i < cols; i++)
			dbias[i] += dy[i];
	}
}

void
KERNEL(unit_row)(int64_t cols, const float *x, float floor, float *y)
{
	float length = sqrtf(dot(cols, x, x));
	float inverse = 1.0f / (length > floor ? length : floor);

#pragma omp simd
	for (int64_t i = 0; i < cols; i++)
		y[i] = x[i] * inverse;
}

/* With y = x / |x|: dx = (dy - y (y.dy)) / |x|; below the floor it is a constant factor. */
void
KERNEL(unit_row_backward)(int64_t cols, const float *x, float floor, const float *dy, float *dx)
{
	float length = sqrtf(dot(cols, x, x)), inverse = 1.0f / floor, along = 0;

	if (length > floor) {
		inverse = 1.0f / length;
		along = dot(cols, x, dy) * inverse * inverse;
	}
#pragma omp simd
	for (int64_t i = 0; i < cols; i++)
		dx[i] += (dy[i] - x[i] * along) * inverse;
}

/* Turns the pairs (x[first * i], x[first * i + second]). */
INLINE void
turn_pairs(int n_pairs, const int first, int second, const float *cosines, const float *sines,
    const float *restrict x, float *restrict y, const bool add)
{
#pragma omp simd
	for (int i = 0; i < n_pairs; i++) {
		float a = x[first * i], b = x[first * i + second];
		float turned_a = a * cosines[i] - b * sines[i];
		float turned_b = b * cosines[i] + a * sines[i];

		y[first * i] = add ? y[first * i] + turned_a : turned_a;
		y[first * i + second] = add ? y[first * i + second] + turned_b : turned_b;
	}
}

INLINE void
turn_head(int head_dim, const struct rope *rope, const float *cosines, const float *sines,
    const float *x, float *y, const bool add)
{
	int n_pairs = rope->n_rot / 2;

	if (rope->neighbours)
		turn_pairs(n_pairs, 2, 1, cosines, sines, x, y, add);
	else
		turn_pairs(n_pairs, 1, n_pairs, cosines, sines, x, y, add);
	for (int i = rope->n_rot; i < head_dim; i++)
		y[i] = add ? y[i] + x[i] : x[i];
}

void
KERNEL(rope)(int64_t n_heads, int head_dim, const struct rope *rope, const float *cosines,
    const float *sines, const float *x, float *y, bool add)
{
	for (int64_t head = 0; head < n_heads; head++, x += head_dim, y += head_dim) {
		if (add)
			turn_head(head_dim, rope, cosines, sines, x, y, true);
		else
			turn_head(head_dim, rope, cosines, sines, x, y, false);
	}
}
