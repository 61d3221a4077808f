/* test-svd.c - singular values against spectra that are known, and cuts against the whole. */

#include "tests/unit/cmocka-first.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/adapters/svd.h"
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

/* N orthonormal rows of M numbers. */
static double *
orthonormal(int64_t n, int64_t m, uint32_t seed)
{
	float *numbers = malloc((size_t)(n * m) * sizeof *numbers);
	double *rows = malloc((size_t)(n * m) * sizeof *rows);
	double *l = malloc((size_t)(n * n) * sizeof *l);

	fill_numbers(numbers, n * m, seed);
	for (int64_t i = 0; i < n * m; i++)
		rows[i] = (double)numbers[i];
	assert_int_equal(svd_orthogonalise_rows(rows, 0, n, m, 1e-12, l, n), n);
	free(numbers);
	free(l);
	return rows;
}

/* sum of values[k] u_k v_k^T as a matrix [out, in]. */
static float *
matrix_of(const double *values, int64_t n, int64_t out, int64_t in)
{
	double *u = orthonormal(n, out, 3), *v = orthonormal(n, in, 4);
	float *w = malloc((size_t)(out * in) * sizeof *w);

	for (int64_t i = 0; i < out * in; i++) {
		double sum = 0;

		for (int64_t k = 0; k < n; k++)
			sum += values[k] * u[k * out + i / in] * v[k * in + i % in];
		w[i] = (float)sum;
	}
	free(u);
	free(v);
	return w;
}

static void
rotated_rows_are_orthogonal_and_give_the_matrix_back(void **state)
{
	enum { N = 7, M = 12 };
	double x[N * M], y[N * M], j[N * N], values[N];
	float numbers[N * M];

	(void)state;
	fill_numbers(numbers, N * M, 9);
	for (int i = 0; i < N * M; i++)
		y[i] = x[i] = (double)numbers[i] * pow(10, -(i / M)); /* rows of many lengths */
	svd_rotate_rows(y, N, M, j, values);
	for (int p = 0; p < N; p++) {
		assert_true(p == 0 || values[p] <= values[p - 1]);
		for (int q = 0; q < N; q++) {
			double dot = 0, rotation = 0;

			for (int c = 0; c < M; c++)
				dot += y[p * M + c] * y[q * M + c];
			for (int k = 0; k < N; k++)
				rotation += j[p * N + k] * j[q * N + k];
			assert_float_equal(dot, p == q ? values[p] * values[p] : 0,
			    1e-13 * values[p] * values[q] + 1e-300);
			assert_float_equal(rotation, p == q, 1e-13);
		}
	}
	for (int i = 0; i < N * M; i++) {
		double sum = 0;

		for (int k = 0; k < N; k++)
			sum += j[k * N + i / M] * y[k * M + i % M];
		assert_float_equal(sum, x[i], 1e-14);
	}
}

/* Diagonal times orthogonal: the singular values are the diagonal, down to the smallest. */
static void
small_singular_values_keep_their_digits(void **state)
{
	enum { N = 6, M = 9 };
	double *x = orthonormal(N, M, 5), values[N];

	(void)state;
	for (int i = 0; i < N * M; i++)
		x[i] *= pow(10, -2 * (i / M));
	svd_rotate_rows(x, N, M, NULL, values);
	for (int i = 0; i < N; i++)
		assert_float_equal(values[i] * pow(10, 2 * i), 1, 1e-12);
	free(x);
}

static void
dependent_rows_become_zero(void **state)
{
	double x[4 * 3] = { 1, 2, 3, 2, 4, 6, 0, 0, 0, 1, 0, 0 }, l[16];

	(void)state;
	assert_int_equal(svd_orthogonalise_rows(x, 0, 4, 3, 1e-12, l, 4), 2);
	for (int c = 0; c < 6; c++)
		assert_true(x[3 + c] == 0);
	assert_true(l[5] == 0 && l[10] == 0 && l[15] > 0);
	assert_float_equal(l[4] / l[0], 2, 1e-14);
}

/* A rank-5 product whose middle is known: Q_B^T diag(values) Q_A. */
static void
a_product_has_the_singular_values_it_was_made_of(void **state)
{
	enum { R = 5, IN = 40, OUT = 30 };
	static const double expected[R] = { 9, 4, 1, 0.25, 0.001 };
	double *u = orthonormal(R, OUT, 1), *v = orthonormal(R, IN, 2), values[R];
	float a[R * IN], bt[R * OUT], cut_a[R * IN], cut_bt[R * OUT];
	struct svd_cut cut = { 2, cut_a, cut_bt, 0, 0 };

	(void)state;
	for (int i = 0; i < R * IN; i++)
		a[i] = (float)v[i];
	for (int i = 0; i < R * OUT; i++)
		bt[i] = (float)(expected[i / OUT] * u[i]);
	assert_int_equal(svd_product_values(a, bt, R, IN, OUT, values, NULL), T2L_OK);
	for (int k = 0; k < R; k++)
		assert_float_equal(values[k], expected[k], 1e-6 * expected[k] + 1e-7);
	assert_int_equal(svd_cut_product(a, bt, R, IN, OUT, &cut, NULL), T2L_OK);
	assert_float_equal(cut.lost, 1 + 0.0625 + 1e-6, 1e-5);
	assert_float_equal(cut.energy, 81 + 16 + cut.lost, 1e-4);
	for (int i = 0; i < OUT * IN; i++) {
		double want = 0, have = 0;

		for (int k = 0; k < 2; k++) {
			want += expected[k] * u[k * OUT + i / IN] * v[k * IN + i % IN];
			have += (double)cut_bt[k * OUT + i / IN] * (double)cut_a[k * IN + i % IN];
		}
		assert_float_equal(have, want, 1e-5);
	}
	free(u);
	free(v);
}

/* B A = 0 though neither is: nothing divides by zero. */
static void
a_product_that_cancels_is_nothing(void **state)
{
	const float a[2 * 3] = { 1, 2, 3, 1, 2, 3 }, bt[2 * 2] = { 1, -1, -1, 1 };
	float cut_a[3 * 3], cut_bt[3 * 2];
	struct svd_cut cut = { 3, cut_a, cut_bt, 0, 0 };

	(void)state;
	assert_int_equal(svd_cut_product(a, bt, 2, 3, 2, &cut, NULL), T2L_OK);
	assert_true(cut.energy < 1e-28 && cut.lost == 0);
	for (int i = 0; i < 9; i++)
		assert_true(isfinite((double)cut_a[i]));
}

static void
compare_cut(const double *values, int64_t n, int64_t out, int64_t in, int rank, double bound)
{
	float *w = matrix_of(values, n, out, in);
	float *a = malloc((size_t)(rank * in) * sizeof *a);
	float *bt = malloc((size_t)(rank * out) * sizeof *bt);
	struct svd_cut cut = { rank, a, bt, 0, 0 };
	double error = 0, lost = 0, energy = 0;

	assert_int_equal(svd_cut_matrix(engine, w, out, in, 7, &cut, NULL), T2L_OK);
	for (int64_t i = 0; i < out * in; i++) {
		double sum = 0;

		for (int k = 0; k < rank; k++)
			sum += (double)bt[k * out + i / in] * (double)a[k * in + i % in];
		error += ((double)w[i] - sum) * ((double)w[i] - sum);
	}
	for (int64_t k = 0; k < n; k++) {
		energy += values[k] * values[k];
		lost += k >= rank ? values[k] * values[k] : 0;
	}
	/* As good as the best of that rank (Eckart & Young), and it says how good. */
	assert_float_equal(error, lost, bound * energy);
	assert_float_equal(cut.lost, lost, bound * energy);
	assert_float_equal(cut.energy, energy, 1e-5 * energy);
	free(w);
	free(a);
	free(bt);
}

static void
a_matrix_is_cut_as_well_as_can_be(void **state)
{
	double falling[40], flat[120];

	(void)state;
	for (int k = 0; k < 40; k++)
		falling[k] = pow(0.8, k);
	for (int k = 0; k < 120; k++)
		flat[k] = 1 - 0.001 * k;	     /* hardly a gap anywhere */
	compare_cut(falling, 40, 60, 90, 6, 1e-6);   /* decomposed whole */
	compare_cut(falling, 40, 300, 60, 6, 1e-6);  /* Krylov, more rows than columns */
	compare_cut(falling, 40, 260, 320, 6, 1e-6); /* Krylov */
	compare_cut(falling, 3, 260, 320, 8, 1e-6);  /* less rank than is asked for */
	compare_cut(flat, 120, 210, 230, 12, 2e-4);  /* the hard case */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rotated_rows_are_orthogonal_and_give_the_matrix_back),
		cmocka_unit_test(small_singular_values_keep_their_digits),
		cmocka_unit_test(dependent_rows_become_zero),
		cmocka_unit_test(a_product_has_the_singular_values_it_was_made_of),
		cmocka_unit_test(a_product_that_cancels_is_nothing),
		cmocka_unit_test(a_matrix_is_cut_as_well_as_can_be),
	};

	return cmocka_run_group_tests(tests, open_engine, close_engine);
}
