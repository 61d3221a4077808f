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

/* NULL when the weights are not Q8_0, f32 is asked for, or memory is short (f32 needs none). */
static const void *
quantise_x(struct cpu *cpu, const struct dot_products *job)
{
	void *rows;

	if (job->dtype != DTYPE_Q8_0 || cpu->precise)
		return NULL;
	rows = cpu_shared_scratch(
	    cpu, (size_t)job->n_rows * cpu->matmul->quantised_row_bytes(job->k));
	if (rows != NULL)
		cpu->matmul->quantise_rows(job->x, job->x_row, job->n_rows, job->k, rows);
	return rows;
}

static void
linear_of_few_rows(struct cpu *cpu, const struct tensor *x, const struct tensor *w,
    const float *bias, struct tensor *y)
{
	int64_t k = tensor_cols(w), n = tensor_rows(w), rows = tensor_rows(x);
	struct dots_piece piece = { cpu->matmul,
		{ .dtype = w->dtype, .w = w->data, .row_bytes = dtype_row_bytes(w->dtype, k),
		    .x = x->data, .x_row = k, .n_rows = rows, .k = k, .bias = bias, .y = y->data,
		    .y_row = n } };
	int64_t grain = PIECE_MACS / (k * rows > 0 ? k * rows : 1);

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

	if (rows <= cpu->matmul->dot_max_rows) {
		linear_of_few_rows(cpu, x, w, bias, y);
		return;
	}
	cpu_product(cpu,
	    &(struct product){ .m = rows, .n = n, .k = k, .alpha = 1, .a = x->data, .a_row = k,
		.a_k = 1, .b_dtype = w->dtype, .b = w->data,
		.b_row_bytes = dtype_row_bytes(w->dtype, k), .b_transposed = true, .bias = bias,
		.c = y->data, .c_row = n });
}

void
cpu_linear_backward(void *state, const struct tensor *x, const struct tensor *w, const float *dy,
    float *dx, float *dw, float *dbias)
{
	static const float one = 1;
	int64_t in = tensor_cols(w), out = tensor_rows(w), rows = tensor_rows(x);

	if (dx != NULL)
		cpu_product(state,
		    &(struct product){ .m = rows, .n = in, .k = out, .alpha = 1, .beta = 1, .a = dy,
			.a_row = out, .a_k = 1, .b_dtype = w->dtype, .b = w->data,
			.b_row_bytes = dtype_row_bytes(w->dtype, in), .c = dx, .c_row = in });
	if (dw != NULL)
		cpu_product(state,
		    &(struct product){ .m = out, .n = in, .k = rows, .alpha = 1, .beta = 1, .a = dy,
			.a_row = 1, .a_k = out, .b_dtype = DTYPE_F32, .b = x->data,
			.b_row_bytes = (size_t)in * sizeof(float), .c = dw, .c_row = in });
	/* Column sums: a row of ones times dy. */
	if (dbias != NULL)
		cpu_product(state,
		    &(struct product){ .m = 1, .n = out, .k = rows, .alpha = 1, .beta = 1,
			.a = &one, .b_dtype = DTYPE_F32, .b = dy,
			.b_row_bytes = (size_t)out * sizeof(float), .c = dbias, .c_row = out });
}
