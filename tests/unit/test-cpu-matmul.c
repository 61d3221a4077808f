/*
 * test-cpu-matmul.c - matrix products of the CPU backend against double loops, for every
 * instruction set that this processor has, every dtype of weights and odd sizes.
 *
 * A result may differ from the double sum by 1e-5 of the sum of the absolute products: that is what
 * f32 sums in any order keep to at these lengths.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/cpu/cpu.h"

static const char *const isa_names[] = { "avx512", "avx2", "plain" };
#define N_ISAS (sizeof isa_names / sizeof isa_names[0])
#define TOLERANCE 1e-5

static struct backend *
open_backend(const char *isa, int n_threads, bool precise)
{
	struct cpu_options options = { .n_threads = n_threads, .isa = isa, .precise = precise };
	struct backend *backend = NULL;
	struct t2l_error err;

	if (cpu_backend_open(&options, &backend, &err) != T2L_OK)
		return NULL;
	return backend;
}

static uint64_t random_state;

static uint32_t
random_bits(void)
{
	random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(random_state >> 33);
}

static float
random_float(void)
{
	return (float)random_bits() / (float)(1u << 30) - 1;
}

static int64_t
one_of(const int64_t *sizes, size_t n)
{
	return sizes[random_bits() % n];
}

static float *
random_floats(int64_t n)
{
	float *x = malloc((size_t)(n > 0 ? n : 1) * sizeof *x);

	assert_non_null(x);
	for (int64_t i = 0; i < n; i++)
		x[i] = random_float();
	return x;
}

static float *
copy_floats(const float *x, int64_t n)
{
	float *copy = malloc((size_t)n * sizeof *copy);

	assert_non_null(copy);
	memcpy(copy, x, (size_t)n * sizeof *copy);
	return copy;
}

static struct tensor
matrix(enum dtype dtype, void *values, int64_t rows, int64_t cols)
{
	return (
	    struct tensor){ .dtype = dtype, .n_dims = 2, .shape = { rows, cols }, .data = values };
}

/* Weights as a file would hold them, at OFFSET bytes from an aligned address; VALUES gets what
 * they stand for. */
struct weights {
	struct tensor tensor;
	float *values;
	void *memory;
};

static struct weights
random_weights(enum dtype dtype, int64_t rows, int64_t cols, size_t offset)
{
	size_t row_bytes = dtype_row_bytes(dtype, cols);
	struct weights w = { .values = random_floats(rows * cols),
		.memory = malloc((size_t)rows * row_bytes + offset) };
	char *stored = (char *)w.memory + offset;

	assert_non_null(w.memory);
	assert_true(dtype_from_f32(dtype, w.values, stored, rows * cols));
	assert_true(dtype_to_f32(dtype, stored, w.values, rows * cols));
	w.tensor = matrix(dtype, stored, rows, cols);
	return w;
}

static void
free_weights(struct weights *w)
{
	free(w->values);
	free(w->memory);
}

/* A strided double matrix product: c += alpha * a b, and c_abs += |alpha| * |a| |b|. */
struct reference {
	int64_t m, n, k;
	const float *a;
	int64_t a_row, a_k;
	const float *b;
	int64_t b_k, b_col;
};

static void
add_products(const struct reference *r, double alpha, double *c, double *c_abs)
{
	for (int64_t i = 0; i < r->m; i++) {
		for (int64_t j = 0; j < r->n; j++) {
			double sum = 0, sum_abs = 0;
			for (int64_t kk = 0; kk < r->k; kk++) {
				double product = (double)r->a[i * r->a_row + kk * r->a_k] *
						 (double)r->b[kk * r->b_k + j * r->b_col];
				sum += product;
				sum_abs += fabs(product);
			}
			c[i * r->n + j] += alpha * sum;
			c_abs[i * r->n + j] += fabs(alpha) * sum_abs;
		}
	}
}

/* What a result should be, begun from START (or zeros). */
struct expected {
	int64_t n;
	double *sum, *sum_abs;
};

static struct expected
expect_from(const float *start, int64_t n)
{
	struct expected e = { n, calloc((size_t)n, sizeof(double)),
		calloc((size_t)n, sizeof(double)) };

	assert_non_null(e.sum);
	assert_non_null(e.sum_abs);
	for (int64_t i = 0; start != NULL && i < n; i++) {
		e.sum[i] = (double)start[i];
		e.sum_abs[i] = fabs((double)start[i]);
	}
	return e;
}

static void
assert_expected(struct expected *e, const float *found, const char *what)
{
	for (int64_t i = 0; i < e->n; i++) {
		double bound = TOLERANCE * e->sum_abs[i] + 1e-30;
		if (!(fabs((double)found[i] - e->sum[i]) <= bound))
			fail_msg("%s: element %lld is %.9g, not %.9g", what, (long long)i,
			    (double)found[i], e->sum[i]);
	}
	free(e->sum);
	free(e->sum_abs);
}

static const int64_t sizes[] = { 1, 2, 3, 5, 7, 8, 13, 16, 17, 31, 32, 33, 48, 64, 100, 129, 257 };
static const int64_t block_sizes[] = { 32, 64, 96, 160, 416, 1120 };
static const int64_t super_block_sizes[] = { 256, 512, 768, 1280 };
#define ONE_OF(list) one_of(list, sizeof(list) / sizeof(list)[0])

/* A random length of rows that DTYPE can have. */
static int64_t
columns_of(enum dtype dtype)
{
	if (dtype_block(dtype) == 1)
		return ONE_OF(sizes);
	return dtype_block(dtype) == 32 ? ONE_OF(block_sizes) : ONE_OF(super_block_sizes);
}

#define FOR_EACH_WEIGHT_DTYPE(dtype)                                                               \
	for (enum dtype dtype = 0; dtype < N_DTYPES; dtype++)                                      \
		if (dtype_is_weight(dtype))

static void
check_linear(struct backend *backend, const char *isa, enum dtype dtype, int64_t rows, int64_t k,
    int64_t n, size_t offset)
{
	struct weights w = random_weights(dtype, n, k, offset);
	float *x = random_floats(rows * k), *y = random_floats(rows * n);
	float *bias = random_bits() % 2 ? random_floats(n) : NULL;
	struct tensor tx = matrix(DTYPE_F32, x, rows, k), ty = matrix(DTYPE_F32, y, rows, n);
	struct expected e = expect_from(NULL, rows * n);
	char what[128];

	snprintf(what, sizeof what, "%s %s linear [%lld, %lld] -> %lld", isa, dtype_name(dtype),
	    (long long)rows, (long long)k, (long long)n);
	for (int64_t i = 0; bias != NULL && i < rows * n; i++) {
		e.sum[i] = (double)bias[i % n];
		e.sum_abs[i] = fabs(e.sum[i]);
	}
	add_products(
	    &(struct reference){ rows, n, k, x, k, 1, w.values, 1, k }, 1, e.sum, e.sum_abs);
	backend->linear(backend->state, &tx, &w.tensor, bias, &ty);
	assert_expected(&e, y, what);
	free_weights(&w);
	free(x);
	free(y);
	free(bias);
}

static const int64_t few_rows[] = { 1, 2, 3, 4, 8, 33 };

static void
linear_agrees_with_a_double_loop(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ISAS; i++) {
		struct backend *backend = open_backend(isa_names[i], 2, true);
		if (backend == NULL)
			continue;
		random_state = 1;
		FOR_EACH_WEIGHT_DTYPE(dtype)
		{
			for (int trial = 0; trial < 40; trial++)
				check_linear(backend, isa_names[i], dtype, ONE_OF(sizes),
				    columns_of(dtype), ONE_OF(sizes), random_bits() % 4);
			for (size_t r = 0; r < sizeof few_rows / sizeof few_rows[0]; r++)
				check_linear(backend, isa_names[i], dtype, few_rows[r],
				    columns_of(dtype), 7, 1);
		}
		/* Several blocks of k, several strips of rows, rows that alias in the cache. */
		check_linear(backend, isa_names[i], DTYPE_F16, 250, 1024, 70, 0);
		check_linear(backend, isa_names[i], DTYPE_F32, 500, 900, 40, 0);
		check_linear(backend, isa_names[i], DTYPE_BF16, 9, 512, 300, 0);
		cpu_backend_close(backend);
	}
}

static void
check_linear_backward(struct backend *backend, const char *isa, enum dtype dtype, int64_t rows,
    int64_t in, int64_t out)
{
	struct weights w = random_weights(dtype, out, in, random_bits() % 4);
	float *x = random_floats(rows * in), *dy = random_floats(rows * out);
	float *dx = random_floats(rows * in), *dw = random_floats(out * in);
	float *dbias = random_floats(out), one = 1;
	struct tensor tx = matrix(DTYPE_F32, x, rows, in);
	struct expected ex = expect_from(dx, rows * in), ew = expect_from(dw, out * in);
	struct expected eb = expect_from(dbias, out);
	char what[128];

	snprintf(what, sizeof what, "%s %s gradient of [%lld, %lld] -> %lld", isa,
	    dtype_name(dtype), (long long)rows, (long long)in, (long long)out);
	add_products(&(struct reference){ rows, in, out, dy, out, 1, w.values, in, 1 }, 1, ex.sum,
	    ex.sum_abs);
	add_products(
	    &(struct reference){ out, in, rows, dy, 1, out, x, in, 1 }, 1, ew.sum, ew.sum_abs);
	add_products(
	    &(struct reference){ 1, out, rows, &one, 0, 0, dy, out, 1 }, 1, eb.sum, eb.sum_abs);
	backend->linear_backward(backend->state, &tx, &w.tensor, dy, NULL, NULL, NULL);
	backend->linear_backward(backend->state, &tx, &w.tensor, dy, dx, dw, dbias);
	assert_expected(&ex, dx, what);
	assert_expected(&ew, dw, what);
	assert_expected(&eb, dbias, what);
	free_weights(&w);
	free(x);
	free(dy);
	free(dx);
	free(dw);
	free(dbias);
}

static void
gradients_of_linear_are_added_to_what_is_there(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ISAS; i++) {
		struct backend *backend = open_backend(isa_names[i], 2, false);
		if (backend == NULL)
			continue;
		random_state = 2;
		FOR_EACH_WEIGHT_DTYPE(dtype)
		for (int trial = 0; trial < 20; trial++)
			check_linear_backward(backend, isa_names[i], dtype, ONE_OF(sizes),
			    columns_of(dtype), ONE_OF(sizes));
		check_linear_backward(backend, isa_names[i], DTYPE_F32, 900, 40, 512);
		cpu_backend_close(backend);
	}
}

static void
check_gemm(struct backend *backend, const char *isa, int transposes, int64_t m, int64_t n,
    int64_t k, float beta)
{
	bool ta = (transposes & 1) != 0, tb = (transposes & 2) != 0;
	float *a = random_floats(m * k), *b = random_floats(k * n), *c = random_floats(m * n);
	float alpha = random_float();
	struct expected e = expect_from(NULL, m * n);
	char what[128];

	snprintf(what, sizeof what, "%s gemm%s%s m %lld n %lld k %lld", isa,
	    ta ? " transpose_a" : "", tb ? " transpose_b" : "", (long long)m, (long long)n,
	    (long long)k);
	for (int64_t i = 0; i < m * n; i++) {
		if (beta == 0)
			c[i] = NAN;
		else
			e.sum[i] = (double)beta * (double)c[i];
		e.sum_abs[i] = fabs(e.sum[i]);
	}
	add_products(
	    &(struct reference){ m, n, k, a, ta ? 1 : k, ta ? m : 1, b, tb ? 1 : n, tb ? k : 1 },
	    (double)alpha, e.sum, e.sum_abs);
	backend->gemm(backend->state, ta, tb, m, n, k, alpha, a, b, beta, c);
	assert_expected(&e, c, what);
	free(a);
	free(b);
	free(c);
}

static void
gemm_agrees_with_a_double_loop_for_all_transposes(void **state)
{
	static const float betas[] = { 0, 1, -0.5f };

	(void)state;
	for (size_t i = 0; i < N_ISAS; i++) {
		struct backend *backend = open_backend(isa_names[i], 2, false);
		if (backend == NULL)
			continue;
		random_state = 3;
		for (int transposes = 0; transposes < 4; transposes++) {
			for (int trial = 0; trial < 40; trial++)
				check_gemm(backend, isa_names[i], transposes, ONE_OF(sizes),
				    ONE_OF(sizes), ONE_OF(sizes), betas[trial % 3]);
			check_gemm(backend, isa_names[i], transposes, 260, 70, 1024, 1);
			check_gemm(backend, isa_names[i], transposes, 512, 100, 500, 0);
			check_gemm(backend, isa_names[i], transposes, 5, 7, 0, 2);
		}
		cpu_backend_close(backend);
	}
}

/* ---- bf16 ---- */

/* The numbers that are multiplied: rounded to nearest, ties to even. */
static float *
rounded_copy(const float *x, int64_t n)
{
	uint16_t *bits = malloc((size_t)n * sizeof *bits);
	float *copy = random_floats(n);

	assert_non_null(bits);
	assert_true(dtype_from_f32(DTYPE_BF16, x, bits, n));
	assert_true(dtype_to_f32(DTYPE_BF16, bits, copy, n));
	free(bits);
	return copy;
}

static void
check_gemm_bf16(struct backend *backend, const char *what, int transposes, int64_t m, int64_t n,
    int64_t k, float beta)
{
	bool ta = (transposes & 1) != 0, tb = (transposes & 2) != 0;
	float *a = random_floats(m * k), *b = random_floats(k * n), *c = random_floats(m * n);
	float *ra = rounded_copy(a, m * k), *rb = rounded_copy(b, k * n);
	float alpha = random_float();
	struct expected e = expect_from(NULL, m * n);

	for (int64_t i = 0; i < m * n; i++) {
		e.sum[i] = (double)beta * (double)c[i];
		e.sum_abs[i] = fabs(e.sum[i]);
	}
	add_products(
	    &(struct reference){ m, n, k, ra, ta ? 1 : k, ta ? m : 1, rb, tb ? 1 : n, tb ? k : 1 },
	    (double)alpha, e.sum, e.sum_abs);
	backend->bf16->gemm(backend->state, ta, tb, m, n, k, alpha, a, b, beta, c);
	assert_expected(&e, c, what);
	free(a);
	free(b);
	free(c);
	free(ra);
	free(rb);
}

/* A linear layer and its way back; its bias and the bias' gradient are sums and are not rounded. */
static void
check_linear_bf16(struct backend *backend, const char *what, enum dtype dtype, int64_t rows,
    int64_t in, int64_t out)
{
	struct weights w = random_weights(dtype, out, in, random_bits() % 4);
	float *x = random_floats(rows * in), *y = random_floats(rows * out);
	float *dy = random_floats(rows * out), *dx = random_floats(rows * in);
	float *dw = random_floats(out * in), *bias = random_floats(out), one = 1;
	float *rx = rounded_copy(x, rows * in), *rdy = rounded_copy(dy, rows * out);
	float *rw = rounded_copy(w.values, out * in);
	struct tensor tx = matrix(DTYPE_F32, x, rows, in), ty = matrix(DTYPE_F32, y, rows, out);
	struct expected ey = expect_from(NULL, rows * out), ex = expect_from(dx, rows * in);
	struct expected ew = expect_from(dw, out * in), eb = expect_from(bias, out);

	for (int64_t i = 0; i < rows * out; i++) {
		ey.sum[i] = (double)bias[i % out];
		ey.sum_abs[i] = fabs(ey.sum[i]);
	}
	add_products(
	    &(struct reference){ rows, out, in, rx, in, 1, rw, 1, in }, 1, ey.sum, ey.sum_abs);
	add_products(
	    &(struct reference){ rows, in, out, rdy, out, 1, rw, in, 1 }, 1, ex.sum, ex.sum_abs);
	add_products(
	    &(struct reference){ out, in, rows, rdy, 1, out, rx, in, 1 }, 1, ew.sum, ew.sum_abs);
	add_products(
	    &(struct reference){ 1, out, rows, &one, 0, 0, dy, out, 1 }, 1, eb.sum, eb.sum_abs);
	backend->bf16->linear(backend->state, &tx, &w.tensor, bias, &ty);
	backend->bf16->linear_backward(backend->state, &tx, &w.tensor, dy, dx, dw, bias);
	assert_expected(&ey, y, what);
	assert_expected(&ex, dx, what);
	assert_expected(&ew, dw, what);
	assert_expected(&eb, bias, what);
	free_weights(&w);
	free(x);
	free(y);
	free(dy);
	free(dx);
	free(dw);
	free(bias);
	free(rx);
	free(rdy);
	free(rw);
}

static const enum dtype bf16_weights[] = { DTYPE_F32, DTYPE_F16, DTYPE_BF16, DTYPE_Q8_0,
	DTYPE_Q4_K };

/* With the processor's own instruction, where it has it, and without. */
static void
products_of_bf16_are_those_of_rounded_operands(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2 * N_ISAS; i++) {
		struct cpu_options options = {
			.n_threads = 2, .isa = isa_names[i / 2], .no_pairs = i % 2 != 0
		};
		struct backend *backend;
		char what[64];

		if (cpu_backend_open(&options, &backend, NULL) != T2L_OK)
			continue;
		snprintf(what, sizeof what, "bf16 %s%s", options.isa,
		    options.no_pairs ? " without pairs" : "");
		random_state = 7;
		for (int transposes = 0; transposes < 4; transposes++) {
			for (int trial = 0; trial < 20; trial++)
				check_gemm_bf16(backend, what, transposes, ONE_OF(sizes),
				    ONE_OF(sizes), ONE_OF(sizes), trial % 2 ? 1 : -0.5F);
			check_gemm_bf16(backend, what, transposes, 260, 70, 1025, 1);
		}
		for (size_t d = 0; d < sizeof bf16_weights / sizeof bf16_weights[0]; d++)
			for (int trial = 0; trial < 10; trial++)
				check_linear_bf16(backend, what, bf16_weights[d], ONE_OF(sizes),
				    columns_of(bf16_weights[d]), ONE_OF(sizes));
		cpu_backend_close(backend);
	}
}

/* Halfway between two neighbours the even one is taken: 1 + 2^-8 becomes 1, 1 + 3 * 2^-8 becomes
 * 1 + 2^-6; and what is no number stays none. */
static void
ties_are_rounded_to_even_and_nan_stays(void **state)
{
	static const float one[1] = { 1 };
	static const float x[5] = { 1 + 0x1p-8F, 1 + 0x3p-8F, 1 + 0x1.8p-8F, NAN, INFINITY };
	static const float rounded[3] = { 1, 1 + 0x1p-6F, 1 + 0x1p-7F };

	(void)state;
	for (size_t i = 0; i < 2 * N_ISAS; i++) {
		struct cpu_options options = {
			.n_threads = 1, .isa = isa_names[i / 2], .no_pairs = i % 2 != 0
		};
		struct backend *backend;
		float y[5];

		if (cpu_backend_open(&options, &backend, NULL) != T2L_OK)
			continue;
		for (int turned = 0; turned < 2; turned++) {
			backend->bf16->gemm(
			    backend->state, turned, false, 5, 1, 1, 1, x, one, 0, y);
			for (int j = 0; j < 3; j++)
				assert_true(y[j] == rounded[j]);
			assert_true(isnan(y[3]) && isinf(y[4]));
			backend->bf16->gemm(
			    backend->state, false, turned, 1, 5, 1, 1, one, x, 0, y);
			for (int j = 0; j < 3; j++)
				assert_true(y[j] == rounded[j]);
			assert_true(isnan(y[3]) && isinf(y[4]));
		}
		cpu_backend_close(backend);
	}
}

static void
bf16_gives_the_same_bits_on_any_number_of_threads(void **state)
{
	float *a, *b, *c[2];

	(void)state;
	random_state = 8;
	a = random_floats(300 * 500);
	b = random_floats(500 * 130);
	for (int i = 0; i < 2; i++) {
		struct backend *backend = open_backend(NULL, i == 0 ? 1 : 3, false);

		c[i] = random_floats(300 * 130);
		backend->bf16->gemm(backend->state, false, false, 300, 130, 500, 1, a, b, 0, c[i]);
		cpu_backend_close(backend);
	}
	assert_memory_equal(c[0], c[1], 300 * 130 * sizeof(float));
	free(a);
	free(b);
	free(c[0]);
	free(c[1]);
}

/* Spans over ROWS rows: some overlap, some share an adapter, and one is of another rank. */
#define N_SPANS 6
#define N_ADAPTERS 4

struct lora_case {
	int64_t rows, in, out;
	int64_t ranks[N_ADAPTERS];
	struct tensor a[N_ADAPTERS], bt[N_ADAPTERS];
	struct lora_span spans[N_SPANS];
};

static struct lora_case
random_lora(int64_t rows, int64_t in, int64_t out, int64_t rank)
{
	struct lora_case c = {
		.rows = rows, .in = in, .out = out, .ranks = { rank, 1, rank, rank + 1 }
	};

	for (int i = 0; i < N_ADAPTERS; i++) {
		c.a[i] = matrix(DTYPE_F32, random_floats(c.ranks[i] * in), c.ranks[i], in);
		c.bt[i] = matrix(DTYPE_F32, random_floats(c.ranks[i] * out), c.ranks[i], out);
		/* The third adapter is frozen, of the fourth only A learns. */
		c.a[i].grad = i == 2 ? NULL : random_floats(c.ranks[i] * in);
		c.bt[i].grad = i >= 2 ? NULL : random_floats(c.ranks[i] * out);
	}
	return c;
}

static void
place_spans(struct lora_case *c)
{
	static const int adapters[N_SPANS] = { 0, 1, 0, 2, 3, 0 };
	int64_t bounds[N_SPANS][2] = { { 0, c->rows }, { c->rows / 3, c->rows },
		{ c->rows / 2, c->rows / 2 }, { 0, c->rows / 2 }, { c->rows / 4, c->rows },
		{ c->rows - 1, c->rows } };

	for (int s = 0; s < N_SPANS; s++)
		c->spans[s] = (struct lora_span){ bounds[s][0], bounds[s][1] - bounds[s][0],
			&c->a[adapters[s]], &c->bt[adapters[s]], random_float() };
}

static void
free_lora(struct lora_case *c)
{
	for (int i = 0; i < N_ADAPTERS; i++) {
		free(c->a[i].data);
		free(c->bt[i].data);
		free(c->a[i].grad);
		free(c->bt[i].grad);
	}
}

/* out[rows, rank] = x w^T for the span's rows, in f32 as the kernel also keeps it. */
static float *
projection(const struct lora_span *span, const float *x, const struct tensor *w)
{
	int64_t rank = tensor_rows(w), cols = tensor_cols(w), rows = span->row_count;
	struct expected e = expect_from(NULL, rows * rank + 1);
	float *out = random_floats(rows * rank);

	add_products(&(struct reference){ rows, rank, cols, x + span->row_begin * cols, cols, 1,
			 w->data, 1, cols },
	    1, e.sum, e.sum_abs);
	for (int64_t i = 0; i < rows * rank; i++)
		out[i] = (float)e.sum[i];
	free(e.sum);
	free(e.sum_abs);
	return out;
}

/* e[rows from, cols] += scale * p w */
static void
expect_expansion(
    struct expected *e, const struct lora_span *span, const float *p, const struct tensor *w)
{
	int64_t rank = tensor_rows(w), cols = tensor_cols(w), at = span->row_begin * cols;

	add_products(
	    &(struct reference){ span->row_count, cols, rank, p, rank, 1, w->data, cols, 1 },
	    (double)span->scale, e->sum + at, e->sum_abs + at);
}

/* e[rank, cols] += scale * p^T rows */
static void
expect_gradient(struct expected *e, const struct lora_span *span, const float *p, int64_t rank,
    const float *rows, int64_t cols)
{
	add_products(&(struct reference){ rank, cols, span->row_count, p, 1, rank,
			 rows + span->row_begin * cols, cols, 1 },
	    (double)span->scale, e->sum, e->sum_abs);
}

/* The projections lose bits of their own before they are multiplied again: bound by magnitudes
 * of the whole chain. */
static void
widen(struct expected *e, int64_t terms)
{
	for (int64_t i = 0; i < e->n; i++)
		e->sum_abs[i] += 0.05 * (double)terms;
}

/* A frozen tensor has no gradient and nothing to compare. */
static void
assert_gradient(struct expected *e, const float *found, const char *what)
{
	if (found != NULL) {
		assert_expected(e, found, what);
		return;
	}
	free(e->sum);
	free(e->sum_abs);
}

static void
check_lora(
    struct backend *backend, const char *isa, int64_t rows, int64_t in, int64_t out, int64_t rank)
{
	struct lora_case c = random_lora(rows, in, out, rank);
	float *x = random_floats(rows * in), *y = random_floats(rows * out);
	float *dy = random_floats(rows * out), *dx = random_floats(rows * in);
	struct tensor tx = matrix(DTYPE_F32, x, rows, in), ty = matrix(DTYPE_F32, y, rows, out);
	struct expected ey = expect_from(y, rows * out), ex = expect_from(dx, rows * in);
	struct expected ea[N_ADAPTERS], eb[N_ADAPTERS];
	char what[128];

	snprintf(what, sizeof what, "%s lora of rank %lld, [%lld, %lld] -> %lld", isa,
	    (long long)rank, (long long)rows, (long long)in, (long long)out);
	place_spans(&c);
	for (int i = 0; i < N_ADAPTERS; i++) {
		ea[i] = expect_from(c.a[i].grad, c.ranks[i] * in);
		eb[i] = expect_from(c.bt[i].grad, c.ranks[i] * out);
	}
	for (int s = 0; s < N_SPANS; s++) {
		const struct lora_span *span = &c.spans[s];
		int adapter = (int)(span->a - c.a);
		float *u = projection(span, x, span->a), *v = projection(span, dy, span->bt);
		expect_expansion(&ey, span, u, span->bt);
		expect_expansion(&ex, span, v, span->a);
		expect_gradient(&eb[adapter], span, u, c.ranks[adapter], dy, out);
		expect_gradient(&ea[adapter], span, v, c.ranks[adapter], x, in);
		free(u);
		free(v);
	}
	widen(&ey, rank * in);
	widen(&ex, rank * out);
	backend->lora(backend->state, &tx, c.spans, N_SPANS, &ty);
	assert_expected(&ey, y, what);
	backend->lora_backward(backend->state, &tx, c.spans, N_SPANS, dy, out, dx);
	assert_expected(&ex, dx, what);
	for (int i = 0; i < N_ADAPTERS; i++) {
		widen(&ea[i], rows * out);
		widen(&eb[i], rows * in);
		assert_gradient(&ea[i], c.a[i].grad, what);
		assert_gradient(&eb[i], c.bt[i].grad, what);
	}
	free_lora(&c);
	free(x);
	free(y);
	free(dy);
	free(dx);
}

static void
low_rank_parts_of_overlapping_spans_add_up(void **state)
{
	static const int64_t ranks[] = { 1, 2, 7, 8, 13, 16, 33 };

	(void)state;
	for (size_t i = 0; i < N_ISAS; i++) {
		struct backend *backend = open_backend(isa_names[i], 2, false);
		if (backend == NULL)
			continue;
		random_state = 4;
		for (int trial = 0; trial < 25; trial++)
			check_lora(backend, isa_names[i], ONE_OF(sizes), ONE_OF(sizes),
			    ONE_OF(sizes), ONE_OF(ranks));
		check_lora(backend, isa_names[i], 70, 20, 30, 300);
		/* More projections than are kept at a time. */
		check_lora(backend, isa_names[i], 700, 9, 5, 400);
		cpu_backend_close(backend);
	}
}

static void
low_rank_gradients_go_only_where_they_are_wanted(void **state)
{
	struct backend *backend = open_backend("auto", 2, false);
	struct lora_case c = random_lora(40, 32, 48, 8);
	float *x = random_floats(40 * 32), *dy = random_floats(40 * 48), *before;
	struct tensor tx = matrix(DTYPE_F32, x, 40, 32);

	(void)state;
	place_spans(&c);
	before = copy_floats(c.bt[0].grad, 8 * 48);
	free(c.a[0].grad);
	c.a[0].grad = NULL;
	backend->lora_backward(backend->state, &tx, c.spans, N_SPANS, dy, 48, NULL);
	assert_memory_not_equal(before, c.bt[0].grad, 8 * 48 * sizeof(float));
	memcpy(before, c.bt[0].grad, 8 * 48 * sizeof(float));
	backend->lora_backward(backend->state, &tx, c.spans, 0, dy, 48, NULL);
	assert_memory_equal(before, c.bt[0].grad, 8 * 48 * sizeof(float));
	free(before);
	free_lora(&c);
	free(x);
	free(dy);
	cpu_backend_close(backend);
}

/* Rounding x to int8 moves an element by at most half a step of its block. */
static void
check_rounding_of_x(struct backend *backend, enum dtype dtype, int64_t k, int64_t rows)
{
	enum { OUT = 37 };
	struct weights w = random_weights(dtype, OUT, k, 1);
	float *x = random_floats(rows * k), *y = random_floats(rows * OUT);
	struct tensor tx = matrix(DTYPE_F32, x, rows, k), ty = matrix(DTYPE_F32, y, rows, OUT);
	int64_t block = dtype_block(dtype);

	backend->linear(backend->state, &tx, &w.tensor, NULL, &ty);
	for (int64_t e = 0; e < rows * OUT; e++) {
		double sum = 0, bound = 1e-6;
		for (int64_t b = 0; b < k; b += block) {
			double largest = 0, sum_w = 0;
			for (int64_t j = b; j < b + block; j++) {
				double xj = (double)x[e / OUT * k + j];
				double wj = (double)w.values[e % OUT * k + j];
				sum += xj * wj;
				sum_w += fabs(wj);
				largest = fmax(largest, fabs(xj));
			}
			bound += largest / 127 * 0.5001 * sum_w + 1e-5 * sum_w;
		}
		if (!(fabs((double)y[e] - sum) <= bound))
			fail_msg("%s %s, %lld rows of %lld: %g is not within %g of %g",
			    backend->description, dtype_name(dtype), (long long)rows, (long long)k,
			    (double)y[e], bound, sum);
	}
	free_weights(&w);
	free(x);
	free(y);
}

static void
quantised_products_stay_within_the_rounding_of_x(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ISAS; i++) {
		struct backend *backend = open_backend(isa_names[i], 2, false);
		if (backend == NULL)
			continue;
		random_state = 5;
		for (enum dtype dtype = 0; dtype < N_DTYPES; dtype++) {
			if (!dtype_is_quantised(dtype))
				continue;
			for (int64_t rows = 1; rows <= 8; rows++) {
				check_rounding_of_x(backend, dtype, columns_of(dtype), rows);
				check_rounding_of_x(backend, dtype, 7 * dtype_block(dtype), rows);
			}
			check_rounding_of_x(backend, dtype, columns_of(dtype), 33);
		}
		cpu_backend_close(backend);
	}
}

/* Products in integers are exact, so instruction sets may differ only by the order of few f32 sums.
 * Plain C has none for super-blocks. */
static void
instruction_sets_agree_on_quantised_products(void **state)
{
	enum { K = 1280, OUT = 21, ROWS = 5 };
	static float y[N_ISAS][ROWS * OUT];

	(void)state;
	for (enum dtype dtype = 0; dtype < N_DTYPES; dtype++) {
		if (!dtype_is_quantised(dtype))
			continue;
		random_state = 8;
		struct weights w = random_weights(dtype, OUT, K, 1);
		float *x = random_floats(ROWS * K);
		struct tensor tx = matrix(DTYPE_F32, x, ROWS, K);
		bool have[N_ISAS] = { false };
		for (size_t i = 0; i < N_ISAS; i++) {
			struct backend *backend = open_backend(isa_names[i], 1, false);
			struct tensor ty = matrix(DTYPE_F32, y[i], ROWS, OUT);
			if (backend == NULL)
				continue;
			backend->linear(backend->state, &tx, &w.tensor, NULL, &ty);
			have[i] = strcmp(isa_names[i], "plain") != 0 || dtype_block(dtype) == 32;
			cpu_backend_close(backend);
		}
		for (size_t i = 0; i + 1 < N_ISAS; i++)
			for (int e = 0; have[i] && have[i + 1] && e < ROWS * OUT; e++)
				if (fabsf(y[i][e] - y[i + 1][e]) > 2e-4f)
					fail_msg("%s: %s gives %g, %s gives %g", dtype_name(dtype),
					    isa_names[i], (double)y[i][e], isa_names[i + 1],
					    (double)y[i + 1][e]);
		free_weights(&w);
		free(x);
	}
}

static void
lanes_give_what_each_gives_alone(void **state)
{
	enum { K = 1280, OUT = 50, LANES = 7 };

	(void)state;
	for (size_t i = 0; i < N_ISAS; i++) {
		struct backend *backend = open_backend(isa_names[i], 2, false);
		if (backend == NULL)
			continue;
		FOR_EACH_WEIGHT_DTYPE(dtype)
		{
			struct weights w = random_weights(dtype, OUT, K, 0);
			float *x = random_floats(LANES * K);
			float *together = random_floats(LANES * OUT), alone[OUT];
			struct tensor tx = matrix(DTYPE_F32, x, LANES, K);
			struct tensor ty = matrix(DTYPE_F32, together, LANES, OUT);
			backend->linear(backend->state, &tx, &w.tensor, NULL, &ty);
			for (int lane = 0; lane < LANES; lane++) {
				tx = matrix(DTYPE_F32, x + lane * K, 1, K);
				ty = matrix(DTYPE_F32, alone, 1, OUT);
				backend->linear(backend->state, &tx, &w.tensor, NULL, &ty);
				assert_memory_equal(alone, together + lane * OUT, sizeof alone);
			}
			free_weights(&w);
			free(x);
			free(together);
		}
		cpu_backend_close(backend);
	}
}

/* Everything this half of the table computes, one after the other. */
static void
compute_all(struct backend *backend, float *out)
{
	random_state = 6;
	struct lora_case c = random_lora(333, 96, 130, 8);
	struct weights w = random_weights(DTYPE_BF16, 130, 96, 0);
	struct weights q = random_weights(DTYPE_Q8_0, 130, 96, 0);
	struct weights k = random_weights(DTYPE_Q4_K, 130, 256, 0);
	float *x = random_floats(333 * 96), *dy = random_floats(333 * 130);
	struct tensor tx = matrix(DTYPE_F32, x, 333, 96);
	struct tensor y1 = matrix(DTYPE_F32, out, 333, 130);
	struct tensor x3 = matrix(DTYPE_F32, x, 3, 96);
	struct tensor y3 = matrix(DTYPE_F32, out + 333 * 130, 3, 130);
	struct tensor x4 = matrix(DTYPE_F32, x, 5, 256);
	struct tensor y4 = matrix(DTYPE_F32, out + 336 * 130, 5, 130);
	float *dx = out + 341 * 130, *dw = dx + 333 * 96, *dbias = dw + 130 * 96;
	float *grads = dbias + 130;

	place_spans(&c);
	backend->linear(backend->state, &tx, &w.tensor, NULL, &y1);
	backend->linear(backend->state, &x3, &q.tensor, NULL, &y3);
	backend->linear(backend->state, &x4, &k.tensor, NULL, &y4);
	backend->lora(backend->state, &tx, c.spans, N_SPANS, &y1);
	memset(dx, 0, (size_t)(333 * 96 + 130 * 96 + 130) * sizeof(float));
	backend->linear_backward(backend->state, &tx, &w.tensor, dy, dx, dw, dbias);
	backend->lora_backward(backend->state, &tx, c.spans, N_SPANS, dy, 130, dx);
	memcpy(grads, c.a[0].grad, 8 * 96 * sizeof(float));
	memcpy(grads + 8 * 96, c.bt[0].grad, 8 * 130 * sizeof(float));
	free_lora(&c);
	free_weights(&w);
	free_weights(&q);
	free_weights(&k);
	free(x);
	free(dy);
}

static void
any_number_of_threads_gives_the_same_bits(void **state)
{
	const int64_t n = 341 * 130 + 333 * 96 + 130 * 96 + 130 + 8 * (96 + 130);
	float *first = random_floats(n), *other = random_floats(n);

	(void)state;
	for (size_t i = 0; i < N_ISAS; i++) {
		for (int n_threads = 1; n_threads <= 4; n_threads++) {
			struct backend *backend = open_backend(isa_names[i], n_threads, false);
			if (backend == NULL)
				continue;
			compute_all(backend, n_threads == 1 ? first : other);
			if (n_threads > 1)
				assert_memory_equal(first, other, (size_t)n * sizeof(float));
			cpu_backend_close(backend);
		}
	}
	free(first);
	free(other);
}

static void
not_a_number_is_not_hidden(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ISAS; i++) {
		struct backend *backend = open_backend(isa_names[i], 1, false);
		if (backend == NULL)
			continue;
		FOR_EACH_WEIGHT_DTYPE(dtype)
		{
			for (int64_t rows = 1; rows <= 80; rows += 79) {
				struct weights w = random_weights(dtype, 5, 256, 0);
				float *x = random_floats(rows * 256), *y = random_floats(rows * 5);
				struct tensor tx = matrix(DTYPE_F32, x, rows, 256);
				struct tensor ty = matrix(DTYPE_F32, y, rows, 5);
				x[rows * 256 - 3] = NAN;
				backend->linear(backend->state, &tx, &w.tensor, NULL, &ty);
				for (int64_t j = 0; j < rows * 5; j++)
					assert_true(isnan(y[j]) == (j >= (rows - 1) * 5));
				free_weights(&w);
				free(x);
				free(y);
			}
		}
		cpu_backend_close(backend);
	}
}

/* Every f16 there is, widened by the kernels' own conversion: 1 * w + 0 * ... */
static void
every_f16_weight_is_widened_exactly(void **state)
{
	uint16_t *bits = malloc(65536 * sizeof *bits);
	float one[1] = { 1 }, *y = random_floats(65536);

	(void)state;
	assert_non_null(bits);
	for (int i = 0; i < 65536; i++)
		bits[i] = (uint16_t)i;
	for (size_t i = 0; i < N_ISAS; i++) {
		struct backend *backend = open_backend(isa_names[i], 2, false);
		if (backend == NULL)
			continue;
		struct tensor tx = matrix(DTYPE_F32, one, 1, 1);
		struct tensor tw = matrix(DTYPE_F16, bits, 65536, 1);
		struct tensor ty = matrix(DTYPE_F32, y, 1, 65536);
		backend->linear(backend->state, &tx, &tw, NULL, &ty);
		for (int j = 0; j < 65536; j++) {
			float exact = f16_to_f32(bits[j]);
			assert_true(isnan(exact) ? isnan(y[j]) : y[j] == exact);
		}
		cpu_backend_close(backend);
	}
	free(bits);
	free(y);
}

static void
an_unknown_instruction_set_is_refused_by_name(void **state)
{
	struct cpu_options options = { .isa = "avx1024" };
	struct backend *backend = NULL;
	struct t2l_error err;

	(void)state;
	assert_int_equal(cpu_backend_open(&options, &backend, &err), T2L_EINVAL);
	assert_non_null(strstr(err.message, "avx1024"));
	assert_null(backend);
	cpu_backend_close(NULL);
}

static void
the_backend_says_what_it_runs_on(void **state)
{
	struct backend *backend = open_backend("plain", 3, true);

	(void)state;
	assert_non_null(backend);
	assert_string_equal(backend->description, "cpu plain, 3 threads, precise");
	assert_true(strlen(cpu_features()) > 0);
	cpu_backend_close(backend);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(linear_agrees_with_a_double_loop),
		cmocka_unit_test(gradients_of_linear_are_added_to_what_is_there),
		cmocka_unit_test(gemm_agrees_with_a_double_loop_for_all_transposes),
		cmocka_unit_test(products_of_bf16_are_those_of_rounded_operands),
		cmocka_unit_test(ties_are_rounded_to_even_and_nan_stays),
		cmocka_unit_test(bf16_gives_the_same_bits_on_any_number_of_threads),
		cmocka_unit_test(low_rank_parts_of_overlapping_spans_add_up),
		cmocka_unit_test(low_rank_gradients_go_only_where_they_are_wanted),
		cmocka_unit_test(quantised_products_stay_within_the_rounding_of_x),
		cmocka_unit_test(instruction_sets_agree_on_quantised_products),
		cmocka_unit_test(lanes_give_what_each_gives_alone),
		cmocka_unit_test(any_number_of_threads_gives_the_same_bits),
		cmocka_unit_test(not_a_number_is_not_hidden),
		cmocka_unit_test(every_f16_weight_is_widened_exactly),
		cmocka_unit_test(an_unknown_instruction_set_is_refused_by_name),
		cmocka_unit_test(the_backend_says_what_it_runs_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
