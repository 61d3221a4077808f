/*
 * cpu/linear.c - linear layers: few rows as dot products, many as a matrix product.
 */
#include "engine/cpu/matmul.h"

/* Multiplications of a piece at least; weights of about this many bytes take microseconds. */
#define PIECE_MACS (INT64_C(1) << 16)

struct dots_piece {
	const struct matmul_kernels *kernels;
	struct dot_products job;
};

static void
dots_piece(void *arg, int64_t begin, int64_t end, int worker)
{
	const struct dots_piece *piece = arg;
	struct dot_products job = piece->job;

	(void)worker;
	job.output_begin = begin;
	job.n_outputs = end - begin;
	piece->kernels->dots(&job);
}

/* NULL when the weights are not quantised, f32 is asked for, or memory is short (f32 needs none).
 */
static const void *
quantise_x(struct cpu *cpu, const struct dot_products *job)
{
	size_t row_bytes;
	void *rows;

	if (!dtype_is_quantised(job->dtype) || cpu->precise)
		return NULL;
	row_bytes = cpu->matmul->quantised_row_bytes(job->dtype, job->k);
	if (row_bytes == 0)
		return NULL;
	rows = cpu_shared_scratch(cpu, (size_t)job->n_rows * row_bytes);
	if (rows != NULL)
		cpu->matmul->quantise_rows(
		    job->dtype, job->x, job->x_row, job->n_rows, job->k, rows);
	return rows;
}

static void
linear_of_few_rows(struct cpu *cpu, const struct tensor *x, const struct tensor *w,
    const float *bias, struct tensor *y)
{
	int64_t k = tensor_cols(w), n = tensor_rows(w), rows = tensor_rows(x);
	int64_t grain = PIECE_MACS / (k * rows > 0 ? k * rows : 1);
	struct dots_piece piece = { .kernels = cpu->matmul };

	piece.job = (struct dot_products){
		.dtype = w->dtype,
		.w = w->data,
		.row_bytes = dtype_row_bytes(w->dtype, k),
		.x = x->data,
		.x_row = k,
		.n_rows = rows,
		.k = k,
		.bias = bias,
		.y = y->data,
		.y_row = n,
	};
	piece.job.x_quantised = quantise_x(cpu, &piece.job);
	/* Whole quads of outputs, so that pieces share no work. */
	thread_pool_run(cpu->pool, n, (grain + 4) / 4 * 4, dots_piece, &piece);
}

void
cpu_linear(void *state, const struct tensor *x, const struct tensor *w, const float *bias,
    struct tensor *y)
{
	struct cpu *cpu = state;
	int64_t k = tensor_cols(w), n = tensor_rows(w), rows = tensor_rows(x);
	struct product product = { rows, n, k, left_rows(x->data, k), right_stored(w, true),
		y->data, 1, 0, bias, false };

	if (rows <= cpu->matmul->dot_max_rows)
		linear_of_few_rows(cpu, x, w, bias, y);
	else
		cpu_product(cpu, &product);
}

void
cpu_linear_bf16(void *state, const struct tensor *x, const struct tensor *w, const float *bias,
    struct tensor *y)
{
	int64_t k = tensor_cols(w), n = tensor_rows(w), rows = tensor_rows(x);
	struct product product = { rows, n, k, left_rows(x->data, k), right_stored(w, true),
		y->data, 1, 0, bias, true };

	cpu_product(state, &product);
}

static void
linear_backward(struct cpu *cpu, const struct tensor *x, const struct tensor *w, const float *dy,
    float *dx, float *dw, float *dbias, bool bf16)
{
	int64_t in = tensor_cols(w), out = tensor_rows(w), rows = tensor_rows(x);
	const float one = 1;
	struct product to_x = { rows, in, out, left_rows(dy, out), right_stored(w, false), dx, 1, 1,
		NULL, bf16 };
	struct product to_w = { out, in, rows, left_turned(dy, out), right_rows(x->data, in), dw, 1,
		1, NULL, bf16 };
	/* Column sums: a row of ones times dy. */
	struct product to_bias = { 1, out, rows, { &one, 0, 0 }, right_rows(dy, out), dbias, 1, 1,
		NULL, false };

	if (dx != NULL)
		cpu_product(cpu, &to_x);
	if (dw != NULL)
		cpu_product(cpu, &to_w);
	if (dbias != NULL)
		cpu_product(cpu, &to_bias);
}

void
cpu_linear_backward(void *state, const struct tensor *x, const struct tensor *w, const float *dy,
    float *dx, float *dw, float *dbias)
{
	linear_backward(state, x, w, dy, dx, dw, dbias, false);
}

void
cpu_linear_backward_bf16(void *state, const struct tensor *x, const struct tensor *w,
    const float *dy, float *dx, float *dw, float *dbias)
{
	linear_backward(state, x, w, dy, dx, dw, dbias, true);
}
