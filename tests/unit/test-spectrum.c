/* test-spectrum.c - what an adapter does, and how alike two are, against adapters built to order.
 */

#include "tests/unit/cmocka-first.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/adapter-fixture.h"

/* One module 12 -> 8 whose rows of A and BT are given unit vectors, times values[k] in BT. */
static struct t2l_adapter *
made_of_axes(const double *values, int rank, int first_in, int first_out, double alpha)
{
	const struct adapter_labels none = { .name = NULL };
	struct adapter_module module = { .module = MODULE_Q,
		.rank = rank,
		.alpha = alpha,
		.a = { .shape = { 0, 12 } },
		.bt = { .shape = { 0, 8 } } };
	struct t2l_adapter *adapter;

	assert_int_equal(adapter_create(&module, 1, false, &none, &adapter, NULL), T2L_OK);
	for (int k = 0; k < rank; k++) {
		tensor_f32(&adapter->modules[0].a)[k * 12 + first_in + k] = 1;
		tensor_f32(&adapter->modules[0].bt)[k * 8 + first_out + k] = (float)values[k];
	}
	assert_int_equal(adapter_seal(adapter, NULL), T2L_OK);
	return adapter;
}

static void
singular_values_come_scaled_and_in_order(void **state)
{
	static const double values[] = { 1, 3, 2 };
	struct t2l_adapter *adapter = made_of_axes(values, 3, 0, 0, 6); /* scale 2 */
	struct t2l_module_spectrum *spectra;
	size_t n;

	(void)state;
	assert_int_equal(t2l_adapter_spectra(adapter, &spectra, &n, NULL), T2L_OK);
	assert_int_equal(n, 1);
	for (int k = 0; k < 3; k++)
		assert_float_equal(spectra[0].singular_values[k], 2 * (3 - k), 1e-6);
	assert_float_equal(spectra[0].norm, 2 * sqrt(14), 1e-6);
	assert_float_equal(spectra[0].sparsity, 1 - 6.0 / 60, 1e-12);
	assert_float_equal(spectra[0].largest_b, 3, 0);
	assert_false(spectra[0].does_nothing || spectra[0].is_outlier);
	t2l_free(spectra);
	t2l_adapter_close(adapter);
}

static void
equal_values_count_whole_and_a_lone_one_counts_one(void **state)
{
	static const double equal[] = { 2, 2, 2, 2 }, lone[] = { 5, 0, 0, 0 }, none[4] = { 0 };
	static const double *const values[] = { equal, lone, none };
	static const double expected[] = { 4, 1, 0 };

	(void)state;
	for (int i = 0; i < 3; i++) {
		struct t2l_adapter *adapter = made_of_axes(values[i], 4, 0, 0, 4);
		struct t2l_module_spectrum *spectra;
		size_t n;

		assert_int_equal(t2l_adapter_spectra(adapter, &spectra, &n, NULL), T2L_OK);
		assert_float_equal(spectra[0].effective_rank, expected[i], 1e-9);
		assert_true(spectra[0].does_nothing == (i == 2));
		t2l_free(spectra);
		t2l_adapter_close(adapter);
	}
}

static void
a_module_far_above_the_others_is_an_outlier(void **state)
{
	struct t2l_adapter *adapter = make_adapter_of(2, 8, false, 1, NULL);
	struct adapter_module *module = &adapter->modules[2];
	struct t2l_module_spectrum *spectra;
	size_t n;

	(void)state;
	for (int64_t i = 0; i < tensor_count(&module->a); i++)
		tensor_f32(&module->a)[i] *= 100;
	assert_int_equal(t2l_adapter_spectra(adapter, &spectra, &n, NULL), T2L_OK);
	for (size_t i = 0; i < n; i++)
		assert_true(spectra[i].is_outlier == (i == 2));
	t2l_free(spectra);
	t2l_adapter_close(adapter);
}

/* Spans of axes 0-2 and 1-3 share two of three; outputs 0-2 and 3-5 none. */
static void
overlaps_count_shared_directions(void **state)
{
	static const double values[] = { 1, 2, 3 };
	struct t2l_adapter *one = made_of_axes(values, 3, 0, 0, 3);
	struct t2l_adapter *two = made_of_axes(values, 3, 1, 3, 3);
	struct t2l_module_overlap *overlaps;
	size_t n;

	(void)state;
	assert_int_equal(t2l_adapter_overlap(one, two, &overlaps, &n, NULL), T2L_OK);
	assert_int_equal(n, 1);
	assert_float_equal(overlaps[0].input_overlap, 2.0 / 3, 1e-9);
	assert_float_equal(overlaps[0].input_angle, 0, 1e-6);
	assert_float_equal(overlaps[0].output_overlap, 0, 1e-12);
	assert_float_equal(overlaps[0].output_angle, M_PI / 2, 1e-9);
	assert_float_equal(overlaps[0].cosine, 0, 1e-12);
	t2l_free(overlaps);
	t2l_adapter_close(one);
	t2l_adapter_close(two);
}

static void
an_adapter_is_like_itself_and_modules_of_one_are_told(void **state)
{
	static const double values[] = { 1, 2 };
	struct t2l_adapter *one = make_adapter_of(3, 8, false, 1, NULL);
	struct t2l_adapter *small = made_of_axes(values, 2, 0, 0, 2);
	struct t2l_module_overlap *overlaps;
	size_t n;

	(void)state;
	assert_int_equal(t2l_adapter_overlap(one, one, &overlaps, &n, NULL), T2L_OK);
	assert_int_equal(n, one->n_modules);
	for (size_t i = 0; i < n; i++) {
		assert_float_equal(overlaps[i].cosine, 1, 1e-9);
		assert_float_equal(overlaps[i].input_overlap, 1, 1e-9);
		assert_float_equal(overlaps[i].output_overlap, 1, 1e-9);
	}
	t2l_free(overlaps);
	assert_int_equal(t2l_adapter_overlap(small, one, &overlaps, &n, NULL), T2L_OK);
	assert_int_equal(n, 4);
	for (size_t i = 0; i < n; i++) {
		assert_true(overlaps[i].in_both == (i == 0));
		assert_true(overlaps[i].norm_b > 0 && (overlaps[i].norm_a > 0) == (i == 0));
	}
	t2l_free(overlaps);
	t2l_adapter_close(one);
	t2l_adapter_close(small);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(singular_values_come_scaled_and_in_order),
		cmocka_unit_test(equal_values_count_whole_and_a_lone_one_counts_one),
		cmocka_unit_test(a_module_far_above_the_others_is_an_outlier),
		cmocka_unit_test(overlaps_count_shared_directions),
		cmocka_unit_test(an_adapter_is_like_itself_and_modules_of_one_are_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
