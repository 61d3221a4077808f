/*
 * merge-prune.c - which numbers of a matrix take part in a merge: by size, by chance, or both.
 */

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/adapters/merge.h"

/* ---- by size ---- */

/* Floats order as their bits do once the sign is gone. */
static uint32_t
magnitude(float value)
{
	uint32_t bits;

	memcpy(&bits, &value, sizeof bits);
	return bits & 0x7fffffff;
}

/* Digit by digit, 11 + 10 + 10 bits: three passes over the numbers and no copy of them. */
uint32_t
merge_threshold(const float *x, int64_t n, int64_t k, int64_t *n_equal)
{
	static const struct {
		int shift, bits;
	} digits[] = { { 20, 11 }, { 10, 10 }, { 0, 10 } };
	uint32_t prefix = 0, known = 0;
	int64_t counts[1 << 11];

	for (size_t d = 0; d < sizeof digits / sizeof digits[0]; d++) {
		const uint32_t mask = (1u << digits[d].bits) - 1;
		uint32_t digit = mask;

		memset(counts, 0, sizeof counts);
		for (int64_t i = 0; i < n; i++) {
			uint32_t bits = magnitude(x[i]);

			if ((bits & known) == prefix)
				counts[bits >> digits[d].shift & mask]++;
		}
		for (; digit > 0 && counts[digit] < k; digit--)
			k -= counts[digit];
		prefix |= digit << digits[d].shift;
		known |= mask << digits[d].shift;
	}
	*n_equal = k;
	return prefix;
}

/* The K largest stay; of those equal to the smallest that stays, the first. */
static void
keep_largest(float *x, int64_t n, int64_t k)
{
	int64_t n_equal = 0;
	uint32_t threshold;

	if (k >= n)
		return;
	if (k <= 0) {
		memset(x, 0, (size_t)n * sizeof *x);
		return;
	}
	threshold = merge_threshold(x, n, k, &n_equal);
	for (int64_t i = 0; i < n; i++) {
		uint32_t bits = magnitude(x[i]);

		if (bits < threshold || (bits == threshold && n_equal-- <= 0))
			x[i] = 0;
	}
}

/* TIES' trimming (Yadav et al. 2023): the share DENSITY of largest size stays, as it is. */
enum t2l_status
prune_magnitude(
    const struct merge_matrix *x, const struct merge_settings *settings, struct t2l_error *err)
{
	const int64_t n = x->rows * x->cols;

	(void)err;
	if (settings->density < 1)
		keep_largest(x->values, n, (int64_t)(settings->density * (double)n));
	return T2L_OK;
}

/* Model Breadcrumbs (Davari & Belilovsky 2023): the share GAMMA of largest size goes, outliers, and
 * of the smallest as many that DENSITY remains. */
enum t2l_status
prune_breadcrumbs(
    const struct merge_matrix *x, const struct merge_settings *settings, struct t2l_error *err)
{
	const int64_t n = x->rows * x->cols;
	const int64_t n_outliers = (int64_t)(settings->gamma * (double)n);
	const int64_t n_kept = (int64_t)(settings->density * (double)n);
	uint32_t threshold;
	int64_t n_equal = 0;

	(void)err;
	if (n_outliers > 0) {
		threshold = merge_threshold(x->values, n, n_outliers, &n_equal);
		keep_largest(x->values, n, n_outliers + n_kept);
		for (int64_t i = 0; i < n; i++) {
			uint32_t bits = magnitude(x->values[i]);

			if (bits > threshold || (bits == threshold && n_equal-- > 0))
				x->values[i] = 0;
		}
	} else {
		keep_largest(x->values, n, n_kept);
	}
	return T2L_OK;
}

/* ---- by chance ---- */

/* A number in [0, 1) of (seed, stream, index): splitmix64 (Steele, Lea & Flood 2014), twice. No
 * state, so what is drawn does not depend on the order of the work. */
static uint64_t
scramble(uint64_t z)
{
	z += 0x9e3779b97f4a7c15u;
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static double
uniform(uint64_t key, int64_t index)
{
	return (double)(scramble(key ^ (uint64_t)index) >> 11) * 0x1p-53;
}

/* Number I of X stays with probability KEEP and is divided by it. */
static void
toss(const struct merge_matrix *x, uint64_t key, int64_t i, double keep)
{
	bool stays = x->mask != NULL ? x->mask[i] != 0 : uniform(key, i) < keep;

	x->values[i] = stays ? (float)((double)x->values[i] / keep) : 0;
}

/* DARE (Yu et al. 2023): each number stays with probability DENSITY, and what stays is divided by
 * it. */
enum t2l_status
prune_dare(
    const struct merge_matrix *x, const struct merge_settings *settings, struct t2l_error *err)
{
	const uint64_t key = scramble(settings->seed ^ scramble(x->stream));

	(void)err;
	for (int64_t i = 0; i < x->rows * x->cols && settings->density < 1; i++)
		toss(x, key, i, settings->density);
	return T2L_OK;
}

struct ranked {
	uint32_t magnitude;
	uint32_t at;
};

/* Sorts ROW [n] by magnitude, equal ones as they stand, by way of ROOM [n]: three passes over 11
 * bits each, of which 31 are used. */
static void
rank(struct ranked *row, struct ranked *room, int64_t n)
{
	struct ranked *from = row, *to = room;

	for (int shift = 0; shift < 33; shift += 11) {
		int64_t starts[(1 << 11) + 1] = { 0 };

		for (int64_t i = 0; i < n; i++)
			starts[(from[i].magnitude >> shift & 0x7ff) + 1]++;
		for (int digit = 0; digit < 1 << 11; digit++)
			starts[digit + 1] += starts[digit];
		for (int64_t i = 0; i < n; i++)
			to[starts[from[i].magnitude >> shift & 0x7ff]++] = from[i];
		struct ranked *sorted = to;

		to = from;
		from = sorted;
	}
	memcpy(row, from, (size_t)n * sizeof *row);
}

/* DELLA's MagPrune (Deep et al. 2024): within a row the smallest number is dropped with probability
 * 1 - density + epsilon/2, the largest with 1 - density - epsilon/2, those between by their rank;
 * what stays is divided by the probability with which it does. */
enum t2l_status
prune_della(
    const struct merge_matrix *x, const struct merge_settings *settings, struct t2l_error *err)
{
	const uint64_t key = scramble(settings->seed ^ scramble(x->stream));
	struct ranked *row = malloc(2 * (size_t)x->cols * sizeof *row);
	const double least = settings->density - settings->epsilon / 2;
	const double step = x->cols > 1 ? settings->epsilon / (double)(x->cols - 1) : 0;

	if (row == NULL)
		return t2l_fail(err, T2L_ENOMEM, "out of memory");
	for (int64_t r = 0; r < x->rows; r++) {
		for (int64_t c = 0; c < x->cols; c++)
			row[c] =
			    (struct ranked){ magnitude(x->values[r * x->cols + c]), (uint32_t)c };
		rank(row, row + x->cols, x->cols);
		for (int64_t place = 0; place < x->cols; place++) {
			double keep = least + step * (double)place;

			if (keep < 1)
				toss(x, key, r * x->cols + row[place].at, keep);
		}
	}
	free(row);
	return T2L_OK;
}
