/*
 * merge-combine.c - one matrix out of several: sums, and sums of those that agree.
 */

#include <math.h>
#include <string.h>

#include "engine/adapters/merge.h"

enum t2l_status
combine_sum(const float *const *x, const double *factors, size_t n, int64_t count,
    const struct merge_settings *settings, float *out, struct t2l_error *err)
{
	(void)err;
	memset(out, 0, (size_t)count * sizeof *out);
	for (size_t k = 0; k < n; k++) {
		const float factor = (float)(settings->lambda * factors[k]);

		for (int64_t i = 0; i < count; i++)
			out[i] += factor * x[k][i];
	}
	return T2L_OK;
}

static double
sign_of(double value)
{
	return value > 0 ? 1 : value < 0 ? -1 : 0;
}

/* TIES' election: the sign of the sum, or of the count of signs; a tie elects plus. The weights
 * have no vote. */
static double
elected_sign(const float *const *x, size_t n, int64_t i, bool by_count)
{
	double sum = 0;

	for (size_t k = 0; k < n; k++)
		sum += by_count ? sign_of((double)x[k][i]) : (double)x[k][i];
	return sum < 0 ? -1 : 1;
}

/* The numbers that have the elected sign, each times its factor; *N_AGREEING of them. */
static double
sum_agreeing(const float *const *x, const double *factors, size_t n, int64_t i, bool by_count,
    size_t *n_agreeing)
{
	double sign = elected_sign(x, n, i, by_count), sum = 0;

	*n_agreeing = 0;
	for (size_t k = 0; k < n; k++) {
		if (sign_of((double)x[k][i]) != sign)
			continue;
		sum += factors[k] * (double)x[k][i];
		++*n_agreeing;
	}
	return sum;
}

/* TIES (Yadav et al. 2023) as PEFT has it: divided by the count of those that agree, not by their
 * weights. */
enum t2l_status
combine_ties(const float *const *x, const double *factors, size_t n, int64_t count,
    const struct merge_settings *settings, float *out, struct t2l_error *err)
{
	(void)err;
	for (int64_t i = 0; i < count; i++) {
		size_t n_agreeing;
		double sum = sum_agreeing(x, factors, n, i, settings->by_count, &n_agreeing);

		out[i] =
		    (float)(settings->lambda * sum / (n_agreeing > 1 ? (double)n_agreeing : 1));
	}
	return T2L_OK;
}

/* DELLA's fusion (Deep et al. 2024): those that agree are added. */
enum t2l_status
combine_agreeing_sum(const float *const *x, const double *factors, size_t n, int64_t count,
    const struct merge_settings *settings, float *out, struct t2l_error *err)
{
	(void)err;
	for (int64_t i = 0; i < count; i++) {
		size_t n_agreeing;

		out[i] = (float)(settings->lambda *
				 sum_agreeing(x, factors, n, i, settings->by_count, &n_agreeing));
	}
	return T2L_OK;
}

/* ---- sce ---- */

static float
variance(const float *const *x, size_t n, int64_t i)
{
	double mean = 0, sum = 0;

	for (size_t k = 0; k < n; k++)
		mean += (double)x[k][i] / (double)n;
	for (size_t k = 0; k < n; k++)
		sum += ((double)x[k][i] - mean) * ((double)x[k][i] - mean);
	return (float)(sum / (double)n);
}

/* Marks in OUT (1 or 0) the share DENSITY of entries that vary most between the X. */
static void
select_varying(const float *const *x, size_t n, int64_t count, double density, float *out)
{
	int64_t n_kept = (int64_t)(density * (double)count), n_equal = 0;
	uint32_t threshold, bits;

	for (int64_t i = 0; i < count; i++)
		out[i] = variance(x, n, i);
	threshold = n_kept > 0 ? merge_threshold(out, count, n_kept, &n_equal) : 0xffffffff;
	for (int64_t i = 0; i < count; i++) {
		memcpy(&bits, &out[i], sizeof bits);
		out[i] = bits > threshold || (bits == threshold && n_equal-- > 0);
	}
}

/* SCE (Wan et al. 2024, FuseChat): Select the entries that vary most, Calculate each adapter's
 * weight in this module from the squares of its selected entries, Erase entries against the sign of
 * the weighted sum; what is left is divided by its weights. */
enum t2l_status
combine_sce(const float *const *x, const double *factors, size_t n, int64_t count,
    const struct merge_settings *settings, float *out, struct t2l_error *err)
{
	double shares[256], all = 0;

	(void)factors;
	if (n > sizeof shares / sizeof shares[0])
		return t2l_fail(err, T2L_EINVAL, "sce takes at most %zu adapters",
		    sizeof shares / sizeof shares[0]);
	select_varying(x, n, count, settings->density, out);
	for (size_t k = 0; k < n; k++) {
		shares[k] = 0;
		for (int64_t i = 0; i < count; i++)
			shares[k] += out[i] != 0 ? (double)x[k][i] * (double)x[k][i] : 0;
		all += shares[k];
	}
	for (int64_t i = 0; i < count; i++) {
		double sum = 0, left = 0, weight = 0, sign;

		for (size_t k = 0; k < n && out[i] != 0; k++)
			sum += shares[k] * (double)x[k][i];
		sign = sum < 0 ? -1 : 1;
		for (size_t k = 0; k < n && out[i] != 0; k++) {
			if (sign_of((double)x[k][i]) != sign)
				continue;
			left += shares[k] * (double)x[k][i];
			weight += shares[k];
		}
		out[i] = weight > 0 && all > 0 ? (float)(settings->lambda * left / weight) : 0;
	}
	return T2L_OK;
}
