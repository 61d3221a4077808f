/* test-merge-strategies.c - what the papers say of each merge method, as properties. */

#include "tests/unit/cmocka-first.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/adapters/merge.h"
#include "engine/adapters/norms.h"
#include "tests/unit/adapter-fixture.h"

static struct t2l_engine *engine;

static int
open_engine(void **state)
{
	(void)state;
	return t2l_engine_open(&(struct t2l_engine_options){ .n_threads = 2 }, &engine, NULL);
}

static int
close_engine(void **state)
{
	(void)state;
	t2l_engine_close(engine);
	return 0;
}

static struct t2l_adapter *
merged(const struct t2l_merge_options *options, const struct t2l_adapter *const *inputs,
    const double *weights, size_t n, struct t2l_merge_report *report)
{
	struct t2l_adapter *result;
	struct t2l_error err;

	if (t2l_adapter_merge(engine, options, inputs, weights, n, report, &result, &err) != T2L_OK)
		fail_msg("%s", err.message);
	return result;
}

static struct t2l_adapter *
merged_by(
    const char *strategy, const struct t2l_adapter *const *inputs, const double *weights, size_t n)
{
	struct t2l_merge_options options = t2l_merge_defaults(strategy);

	return merged(&options, inputs, weights, n, NULL);
}

/* |x - factor y| / |y| over all modules. */
static double
distance(const struct t2l_adapter *x, double factor, const struct t2l_adapter *y)
{
	double square = 0, whole = 0;

	assert_int_equal(x->n_modules, y->n_modules);
	for (size_t i = 0; i < x->n_modules; i++) {
		const struct adapter_module *a = &x->modules[i], *b = &y->modules[i];
		double bb = module_inner_product(b, b);

		square += module_inner_product(a, a) - 2 * factor * module_inner_product(a, b) +
			  factor * factor * bb;
		whole += bb;
	}
	return sqrt(fmax(square, 0) / whole);
}

static double
cosine(const struct t2l_adapter *x, const struct t2l_adapter *y, size_t i)
{
	return module_inner_product(&x->modules[i], &y->modules[i]) /
	       (module_norm(&x->modules[i]) * module_norm(&y->modules[i]));
}

#define INPUTS(n)                                                                                  \
	struct t2l_adapter *adapters[n];                                                           \
	const struct t2l_adapter *inputs[n];                                                       \
	for (size_t i_ = 0; i_ < (n); i_++)                                                        \
	inputs[i_] = adapters[i_] =                                                                \
	    make_adapter_of(2 + (int)i_, 8, i_ % 2 == 1, 10 + 7 * (uint32_t)i_, NULL)
#define CLOSE_INPUTS(n)                                                                            \
	for (size_t i_ = 0; i_ < (n); i_++)                                                        \
	t2l_adapter_close(adapters[i_])

/* ---- sums ---- */

static void
task_arithmetic_is_lambda_times_the_sum(void **state)
{
	struct t2l_merge_options options = t2l_merge_defaults("task_arithmetic");
	const double weights[] = { 1, -0.5, 2 };
	struct t2l_adapter *sum, *result;
	INPUTS(3);

	(void)state;
	options.lambda = 0.3;
	sum = merged_by("cat", inputs, weights, 3);
	result = merged(&options, inputs, weights, 3, NULL);
	assert_true(distance(result, 0.3, sum) < 1e-6);
	t2l_adapter_close(sum);
	t2l_adapter_close(result);
	CLOSE_INPUTS(3);
}

static void
cutting_a_sum_tells_what_it_leaves_out(void **state)
{
	struct t2l_merge_options options = t2l_merge_defaults("svd");
	struct t2l_merge_report report;
	double before = 2;
	INPUTS(2);
	struct t2l_adapter *sum = merged_by("cat", inputs, NULL, 2);

	(void)state;
	for (options.rank = 1; options.rank <= 5; options.rank++) {
		struct t2l_adapter *result = merged(&options, inputs, NULL, 2, &report);

		assert_int_equal(result->facts.rank, options.rank);
		assert_float_equal(report.relative_error, distance(result, 1, sum), 1e-5);
		assert_true(report.relative_error < before);
		assert_true(report.largest_error >= report.relative_error);
		before = report.relative_error;
		t2l_adapter_close(result);
	}
	assert_true(before < 1e-6); /* rank 5 = 2 + 3 is all of it */
	t2l_adapter_close(sum);
	CLOSE_INPUTS(2);
}

static void
any_strategy_can_be_cut(void **state)
{
	struct t2l_adapter *one = make_adapter_of(4, 8, false, 1, NULL);
	struct t2l_adapter *two = make_adapter_of(4, 8, false, 2, NULL);
	const struct t2l_adapter *inputs[] = { one, two };

	(void)state;
	for (size_t i = 0; t2l_merge_strategy(i) != NULL; i++) {
		struct t2l_merge_options options = t2l_merge_defaults(t2l_merge_strategy(i)->name);
		struct t2l_merge_report report;
		struct t2l_adapter *result;

		if (strcmp(options.strategy, "model_stock") == 0)
			continue; /* of adapters at right angles nothing is left to be cut */
		options.rank = 1;
		result = merged(&options, inputs, NULL, 2, &report);
		assert_int_equal(result->facts.rank, 1);
		assert_true(report.relative_error > 0 && report.relative_error < 1);
		assert_true(report.largest_module[0] != '\0');
		t2l_adapter_close(result);
	}
	t2l_adapter_close(one);
	t2l_adapter_close(two);
}

/* ---- on the sphere ---- */

static void
slerp_begins_and_ends_at_its_adapters(void **state)
{
	INPUTS(2);

	(void)state;
	for (int end = 0; end < 2; end++) {
		const double weights[] = { 1 - end, end };
		struct t2l_adapter *result = merged_by("slerp", inputs, weights, 2);

		assert_true(distance(result, 1, adapters[end]) < 1e-6);
		t2l_adapter_close(result);
	}
	CLOSE_INPUTS(2);
}

static void
karcher_of_two_is_the_middle_of_the_arc_at_the_mean_length(void **state)
{
	INPUTS(2);
	struct t2l_adapter *mean = merged_by("karcher", inputs, NULL, 2);

	(void)state;
	for (size_t i = 0; i < mean->n_modules; i++) {
		double lengths =
		    module_norm(&adapters[0]->modules[i]) + module_norm(&adapters[1]->modules[i]);
		double arc = acos(cosine(adapters[0], adapters[1], i));

		assert_float_equal(module_norm(&mean->modules[i]), lengths / 2, 1e-5 * lengths);
		for (size_t k = 0; k < 2; k++)
			assert_float_equal(acos(cosine(mean, adapters[k], i)), arc / 2, 1e-5);
	}
	t2l_adapter_close(mean);
	CLOSE_INPUTS(2);
}

/* The weighted mean of the directions to the points is zero there: that is what a mean is. */
static void
karcher_is_where_the_directions_cancel(void **state)
{
	const double weights[] = { 1, 2, 5 };
	INPUTS(3);
	struct t2l_adapter *mean = merged_by("karcher", inputs, weights, 3);

	(void)state;
	for (size_t i = 0; i < mean->n_modules; i++) {
		for (size_t k = 0; k < 3; k++) {
			/* The part of the sum along u_k, orthogonal to the mean. */
			double sum = 0;

			for (size_t j = 0; j < 3; j++) {
				double c = cosine(mean, adapters[j], i), angle = acos(c);

				sum += weights[j] * angle / sin(angle) *
				       (cosine(adapters[j], adapters[k], i) -
					   c * cosine(mean, adapters[k], i));
			}
			assert_float_equal(sum, 0, 1e-4);
		}
	}
	t2l_adapter_close(mean);
	CLOSE_INPUTS(3);
}

static void
opposite_adapters_have_no_mean_direction(void **state)
{
	struct t2l_adapter *one = make_adapter_of(2, 8, false, 1, NULL);
	const struct t2l_adapter *inputs[] = { one };
	struct t2l_adapter *negative = merged_by("cat", inputs, (const double[]){ -1 }, 1);
	const struct t2l_adapter *pair[] = { one, negative };
	const struct t2l_merge_options options = t2l_merge_defaults("karcher");
	struct t2l_adapter *result = NULL;
	struct t2l_error err;

	(void)state;
	assert_int_equal(
	    t2l_adapter_merge(engine, &options, pair, NULL, 2, NULL, &result, &err), T2L_EINVAL);
	assert_non_null(strstr(err.message, "opposite"));
	assert_null(result);
	t2l_adapter_close(one);
	t2l_adapter_close(negative);
}

/* Alike adapters give themselves, adapters at right angles nothing. */
static void
model_stock_trusts_what_agrees(void **state)
{
	struct t2l_adapter *one = make_adapter_of(2, 8, false, 1, NULL);
	const struct t2l_adapter *same[] = { one, one, one };
	struct t2l_adapter *result = merged_by("model_stock", same, NULL, 3);
	INPUTS(3);
	struct t2l_adapter *mean = merged_by("cat", inputs, NULL, 3);
	struct t2l_adapter *stock = merged_by("model_stock", inputs, NULL, 3);

	(void)state;
	assert_true(distance(result, 1, one) < 1e-6);
	for (size_t i = 0; i < stock->n_modules; i++) {
		double c =
		    (cosine(adapters[0], adapters[1], i) + cosine(adapters[0], adapters[2], i) +
			cosine(adapters[1], adapters[2], i)) /
		    3;
		double t = c > 0 ? 3 * c / (1 + 2 * c) : 0;

		assert_float_equal(module_norm(&stock->modules[i]),
		    t * module_norm(&mean->modules[i]), 1e-5 * module_norm(&mean->modules[i]));
	}
	t2l_adapter_close(one);
	t2l_adapter_close(result);
	t2l_adapter_close(mean);
	t2l_adapter_close(stock);
	CLOSE_INPUTS(3);
}

/* ---- pruning ---- */

#define COUNT 4000

static void
the_threshold_counts_right(void **state)
{
	float x[COUNT];

	(void)state;
	fill_numbers(x, COUNT, 5);
	for (int i = 0; i < COUNT; i += 3)
		x[i] = i % 2 == 0 ? 0.5F : -0.5F; /* many that are equal */
	for (int64_t k = 1; k <= COUNT; k += 331) {
		int64_t n_equal, above = 0, equal = 0;
		uint32_t threshold = merge_threshold(x, COUNT, k, &n_equal), bits;

		for (int i = 0; i < COUNT; i++) {
			memcpy(&bits, &x[i], sizeof bits);
			above += (bits & 0x7fffffff) > threshold;
			equal += (bits & 0x7fffffff) == threshold;
		}
		assert_int_equal(above + n_equal, k);
		assert_true(n_equal > 0 && n_equal <= equal);
	}
}

static int64_t
n_nonzero(const float *x, int64_t n)
{
	int64_t count = 0;

	for (int64_t i = 0; i < n; i++)
		count += x[i] != 0;
	return count;
}

static void
breadcrumbs_leave_out_both_ends(void **state)
{
	const struct merge_settings settings = { .density = 0.6, .gamma = 0.1 };
	float x[COUNT], whole[COUNT];
	struct merge_matrix matrix = { x, 1, COUNT, 0, NULL };

	(void)state;
	for (int i = 0; i < COUNT; i++)
		x[i] = whole[i] = (float)(i * 7919 % COUNT + 1) * (i % 2 == 0 ? 1 : -1);
	assert_int_equal(prune_breadcrumbs(&matrix, &settings, NULL), T2L_OK);
	assert_int_equal(n_nonzero(x, COUNT), COUNT * 6 / 10);
	for (int i = 0; i < COUNT; i++) {
		bool between = fabsf(whole[i]) <= COUNT * 0.9F && fabsf(whole[i]) > COUNT * 0.3F;

		assert_true(x[i] == (between ? whole[i] : 0));
	}
}

/* DELLA: the mean stays, each number with the probability that its rank in the row gives it. */
static void
della_keeps_the_larger_more_often_and_the_mean_as_it_is(void **state)
{
	enum { ROWS = 2000, COLS = 5 };
	const struct merge_settings settings = { .density = 0.5, .epsilon = 0.4, .seed = 3 };
	static float x[ROWS * COLS];
	struct merge_matrix matrix = { x, ROWS, COLS, 1, NULL };
	static const float row[COLS] = { 3, -1, 5, -2, 4 };
	static const double keep[COLS] = { 0.5, 0.3, 0.7, 0.4, 0.6 };

	(void)state;
	for (int i = 0; i < ROWS * COLS; i++)
		x[i] = row[i % COLS];
	assert_int_equal(prune_della(&matrix, &settings, NULL), T2L_OK);
	for (int c = 0; c < COLS; c++) {
		double kept = 0;

		for (int r = 0; r < ROWS; r++) {
			float value = x[r * COLS + c];

			assert_true(
			    value == 0 || fabs((double)value - (double)row[c] / keep[c]) < 1e-5);
			kept += value != 0;
		}
		/* Five standard deviations of 2,000 coins. */
		assert_float_equal(kept / ROWS, keep[c], 5 * sqrt(0.25 / ROWS));
	}
}

static void
dare_draws_the_same_again_and_other_numbers_for_another_seed(void **state)
{
	struct merge_settings settings = { .density = 0.3, .seed = 1 };
	float x[3][COUNT];

	(void)state;
	for (int i = 0; i < 3; i++) {
		struct merge_matrix matrix = { x[i], 1, COUNT, 5, NULL };

		fill_numbers(x[i], COUNT, 8);
		settings.seed = i == 2 ? 2 : 1;
		assert_int_equal(prune_dare(&matrix, &settings, NULL), T2L_OK);
		assert_float_equal(
		    (double)n_nonzero(x[i], COUNT) / COUNT, 0.3, 5 * sqrt(0.21 / COUNT));
	}
	assert_memory_equal(x[0], x[1], sizeof x[0]);
	assert_memory_not_equal(x[0], x[2], sizeof x[0]);
}

/* ---- combining ---- */

static void
ties_takes_the_side_of_the_majority(void **state)
{
	static const float one[] = { 5, 1, 1, 0 }, two[] = { -1, -3, 2, 0 },
			   three[] = { -1, 1, 3, -4 };
	const float *const x[] = { one, two, three };
	const double factors[] = { 1, 1, 1 };
	struct merge_settings settings = { .lambda = 1 };
	float out[4];

	(void)state;
	assert_int_equal(combine_ties(x, factors, 3, 4, &settings, out, NULL), T2L_OK);
	assert_float_equal(out[0], 5, 1e-6);  /* 5 - 1 - 1 > 0: only the first agrees */
	assert_float_equal(out[1], -3, 1e-6); /* 1 - 3 + 1 < 0 */
	assert_float_equal(out[2], 2, 1e-6);  /* the mean, not the sum */
	assert_float_equal(out[3], -4, 1e-6); /* zeros have no vote and do not count */
	settings.by_count = true;
	assert_int_equal(combine_ties(x, factors, 3, 4, &settings, out, NULL), T2L_OK);
	assert_float_equal(out[0], -1, 1e-6); /* two against one */
	assert_float_equal(out[1], 1, 1e-6);
	settings.by_count = false;
	assert_int_equal(combine_agreeing_sum(x, factors, 3, 4, &settings, out, NULL), T2L_OK);
	assert_float_equal(out[2], 6, 1e-6); /* DELLA adds */
}

/* Of SCE's three steps each shows in one entry. */
static void
sce_selects_what_varies_weighs_by_energy_and_erases_the_minority(void **state)
{
	static const float one[] = { 1, 4, 4, 2 }, two[] = { 1, -2, 2, 2 };
	const float *const x[] = { one, two };
	const double factors[] = { 1, 1 };
	const struct merge_settings settings = { .lambda = 1, .density = 0.5 };
	float out[4];

	(void)state;
	assert_int_equal(combine_sce(x, factors, 2, 4, &settings, out, NULL), T2L_OK);
	/* Entries 1 and 2 vary (variances 0, 9, 1, 0); energies 32 and 8, shares 0.8 and 0.2. */
	assert_true(out[0] == 0 && out[3] == 0);
	assert_float_equal(out[1], 4, 1e-6); /* -2 opposes 0.8 * 4 - 0.2 * 2 */
	assert_float_equal(out[2], 0.8 * 4 + 0.2 * 2, 1e-6);
}

/* ---- whole merges ---- */

static bool
stop_at_once(void *user, size_t done, size_t all)
{
	(void)user;
	return done == 0 && all == 0;
}

static void
a_merge_can_be_stopped(void **state)
{
	struct t2l_merge_options options = t2l_merge_defaults("cat");
	struct t2l_adapter *result = NULL;
	struct t2l_error err;
	INPUTS(2);

	(void)state;
	options.on_module = stop_at_once;
	assert_int_equal(t2l_adapter_merge(engine, &options, inputs, NULL, 2, NULL, &result, &err),
	    T2L_ECANCELLED);
	assert_null(result);
	CLOSE_INPUTS(2);
}

/* The matrices of two adapters that say the same survive pruning to full density. */
static void
strategies_on_matrices_agree_on_what_all_agree_on(void **state)
{
	static const char *const names[] = { "ties_svd", "dare_linear_svd", "dare_ties_svd",
		"magnitude_prune_svd" };
	struct t2l_adapter *one = make_adapter_of(3, 8, true, 1, NULL);
	const struct t2l_adapter *inputs[] = { one, one };

	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		struct t2l_merge_options options = t2l_merge_defaults(names[i]);
		struct t2l_adapter *result;

		options.density = 1;
		result = merged(&options, inputs, NULL, 2, NULL);
		assert_true(distance(result, 1, one) < 1e-5);
		t2l_adapter_close(result);
	}
	t2l_adapter_close(one);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(task_arithmetic_is_lambda_times_the_sum),
		cmocka_unit_test(cutting_a_sum_tells_what_it_leaves_out),
		cmocka_unit_test(any_strategy_can_be_cut),
		cmocka_unit_test(slerp_begins_and_ends_at_its_adapters),
		cmocka_unit_test(karcher_of_two_is_the_middle_of_the_arc_at_the_mean_length),
		cmocka_unit_test(karcher_is_where_the_directions_cancel),
		cmocka_unit_test(opposite_adapters_have_no_mean_direction),
		cmocka_unit_test(model_stock_trusts_what_agrees),
		cmocka_unit_test(the_threshold_counts_right),
		cmocka_unit_test(breadcrumbs_leave_out_both_ends),
		cmocka_unit_test(della_keeps_the_larger_more_often_and_the_mean_as_it_is),
		cmocka_unit_test(dare_draws_the_same_again_and_other_numbers_for_another_seed),
		cmocka_unit_test(ties_takes_the_side_of_the_majority),
		cmocka_unit_test(sce_selects_what_varies_weighs_by_energy_and_erases_the_minority),
		cmocka_unit_test(a_merge_can_be_stopped),
		cmocka_unit_test(strategies_on_matrices_agree_on_what_all_agree_on),
	};

	return cmocka_run_group_tests(tests, open_engine, close_engine);
}
