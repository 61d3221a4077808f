/*
 * merge-span.c - strategies whose result is a sum of c_i D_i: how each module's c_i are found.
 *
 * The D_i are seen as vectors. Only their inner products (GRAM) are needed, and those come from the
 * factors, so nothing here has the size of a matrix.
 */

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/adapters/merge.h"

#define PARALLEL 0.9995 /* cosine above which slerp is the straight line */
#define KARCHER_STEPS 200
#define KARCHER_SETTLED 1e-12

enum t2l_status
coefficients_weights(const struct merge_part *parts, size_t n,
    const struct merge_settings *settings, const double *gram, double *c, struct t2l_error *err)
{
	(void)gram;
	(void)err;
	for (size_t i = 0; i < n; i++)
		c[i] = settings->lambda * parts[i].weight;
	return T2L_OK;
}

static double
clamp(double x, double low, double high)
{
	return x < low ? low : x > high ? high : x;
}

/* Shoemake 1985, of the vectors themselves. Where only one of the two changes the module, or they
 * are nearly parallel, it is the straight line. */
enum t2l_status
coefficients_slerp(const struct merge_part *parts, size_t n, const struct merge_settings *settings,
    const double *gram, double *c, struct t2l_error *err)
{
	double lengths, cosine, angle;

	(void)settings;
	(void)err;
	for (size_t i = 0; i < n; i++)
		c[i] = parts[i].weight;
	if (n < 2)
		return T2L_OK;
	lengths = sqrt(gram[0]) * sqrt(gram[3]);
	cosine = lengths > 0 ? clamp(gram[1] / lengths, -1, 1) : 1;
	if (fabs(cosine) > PARALLEL)
		return T2L_OK;
	angle = acos(cosine);
	for (size_t i = 0; i < n; i++)
		c[i] = sin(parts[i].weight * angle) / sin(angle);
	return T2L_OK;
}

/* ---- karcher ---- */

/* The mean is m = sum of m[i] u_i, u_i = D_i / |D_i|; a step moves it along the sphere. */
struct sphere {
	size_t n;
	double *cosines; /* [n, n]: u_i . u_j */
	double *weights; /* [n], summing to 1; 0 for a D_i that is zero */
	double *m;	 /* [n] */
	double *g;	 /* [n]: the mean direction to the points, as sum of g[i] u_i */
};

static double
length_of(const struct sphere *sphere, const double *x)
{
	double sum = 0;

	for (size_t i = 0; i < sphere->n; i++) {
		for (size_t j = 0; j < sphere->n; j++)
			sum += x[i] * x[j] * sphere->cosines[i * sphere->n + j];
	}
	return sum > 0 ? sqrt(sum) : 0;
}

/* False when m lies opposite a point: there is no direction to it. */
static bool
mean_direction(struct sphere *sphere)
{
	double along = 0;

	memset(sphere->g, 0, sphere->n * sizeof *sphere->g);
	for (size_t i = 0; i < sphere->n; i++) {
		double cosine = 0, angle, factor;

		if (sphere->weights[i] == 0)
			continue;
		for (size_t j = 0; j < sphere->n; j++)
			cosine += sphere->m[j] * sphere->cosines[i * sphere->n + j];
		cosine = clamp(cosine, -1, 1);
		if (cosine < -1 + 1e-9)
			return false;
		angle = acos(cosine);
		factor = sphere->weights[i] * (angle < 1e-9 ? 1 : angle / sin(angle));
		sphere->g[i] += factor;
		along += factor * cosine;
	}
	for (size_t i = 0; i < sphere->n; i++)
		sphere->g[i] -= along * sphere->m[i];
	return true;
}

static bool
find_mean(struct sphere *sphere)
{
	double length;

	memcpy(sphere->m, sphere->weights, sphere->n * sizeof *sphere->m);
	length = length_of(sphere, sphere->m);
	if (length < 1e-9)
		return false;
	for (size_t i = 0; i < sphere->n; i++)
		sphere->m[i] /= length;
	for (int step = 0; step < KARCHER_STEPS; step++) {
		if (!mean_direction(sphere))
			return false;
		length = length_of(sphere, sphere->g);
		if (length < KARCHER_SETTLED)
			break;
		for (size_t i = 0; i < sphere->n; i++)
			sphere->m[i] =
			    cos(length) * sphere->m[i] + sin(length) / length * sphere->g[i];
		length = length_of(sphere, sphere->m);
		for (size_t i = 0; i < sphere->n; i++)
			sphere->m[i] /= length;
	}
	return true;
}

/* The intrinsic mean of the directions (Karcher 1977), times the mean length. */
enum t2l_status
coefficients_karcher(const struct merge_part *parts, size_t n,
    const struct merge_settings *settings, const double *gram, double *c, struct t2l_error *err)
{
	double *memory = calloc(n * (n + 4), sizeof *memory);
	struct sphere sphere = { .n = n };
	double sum = 0, all = 0, mean_length = 0;
	enum t2l_status status = T2L_OK;
	char label[MODULE_PATH_SIZE];

	(void)settings;
	if (memory == NULL)
		return t2l_fail(err, T2L_ENOMEM, "out of memory");
	sphere.cosines = memory;
	sphere.weights = memory + n * n;
	sphere.m = sphere.weights + n;
	sphere.g = sphere.m + n;
	for (size_t i = 0; i < n; i++) {
		all += parts[i].weight;
		sphere.weights[i] = gram[i * n + i] > 0 ? parts[i].weight : 0;
		sum += sphere.weights[i];
	}
	for (size_t i = 0; i < n; i++) {
		if (sum > 0)
			sphere.weights[i] /= sum;
		if (all > 0)
			mean_length += parts[i].weight / all * sqrt(gram[i * n + i]);
		for (size_t j = 0; j < n; j++) {
			double lengths = sqrt(gram[i * n + i]) * sqrt(gram[j * n + j]);

			sphere.cosines[i * n + j] = lengths > 0 ? gram[i * n + j] / lengths : 0;
		}
	}
	memset(c, 0, n * sizeof *c);
	if (sum > 0 && !find_mean(&sphere))
		status = t2l_fail(err, T2L_EINVAL,
		    "the adapters point in opposite directions at %s and have no mean there; "
		    "weigh them differently or use another strategy",
		    adapter_module_label(parts[0].module, label, sizeof label));
	for (size_t i = 0; i < n && sum > 0 && status == T2L_OK; i++) {
		if (gram[i * n + i] > 0)
			c[i] = mean_length * sphere.m[i] / sqrt(gram[i * n + i]);
	}
	free(memory);
	return status;
}

/* ---- model stock ---- */

/* Jang et al. 2024: t times the mean, t = N cos / (1 + (N - 1) cos) from the mean cosine of the
 * pairs; 0 where they are at right angles or worse, as far from the base as noise would be. */
enum t2l_status
coefficients_model_stock(const struct merge_part *parts, size_t n,
    const struct merge_settings *settings, const double *gram, double *c, struct t2l_error *err)
{
	const double count = (double)n;
	double sum = 0, cosine, t = 1;

	(void)parts;
	(void)settings;
	(void)err;
	for (size_t i = 0; i < n; i++) {
		for (size_t j = i + 1; j < n; j++) {
			double lengths = sqrt(gram[i * n + i]) * sqrt(gram[j * n + j]);

			sum += lengths > 0 ? gram[i * n + j] / lengths : 0;
		}
	}
	if (n > 1) {
		cosine = clamp(sum / (count * (count - 1) / 2), 0, 1);
		t = count * cosine / (1 + (count - 1) * cosine);
	}
	for (size_t i = 0; i < n; i++)
		c[i] = t / count;
	return T2L_OK;
}
