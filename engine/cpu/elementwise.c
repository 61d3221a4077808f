/* cpu/elementwise.c - operations element by element, cut into pieces of equal size. */

#include <string.h>

#include "engine/cpu/rows.h"

struct elements_job {
	struct cpu *cpu;
	enum activation kind;
	float alpha, beta;
	uint64_t first, seed;
	bool add;
	const float *a, *b, *dy;
	float *y, *y2;
	int64_t rows, cols;
};

static void
run_elements(struct elements_job *job, int64_t n,
    void (*piece)(void *arg, int64_t begin, int64_t end, int worker))
{
	thread_pool_run(job->cpu->pool, n, PIECE_ELEMENTS, piece, job);
}

/* ---- activations ---- */

static void
activate_piece(void *arg, int64_t begin, int64_t end, int worker)
{
	const struct elements_job *job = arg;

	(void)worker;
	job->cpu->rows->activate[job->kind](end - begin, job->a + begin, job->y + begin);
}

void
cpu_activate(void *state, enum activation kind, int64_t n, const float *x, float *y)
{
	struct elements_job job = { .cpu = state, .kind = kind, .a = x, .y = y };

	run_elements(&job, n, activate_piece);
}

static void
activate_backward_piece(void *arg, int64_t begin, int64_t end, int worker)
{
	const struct elements_job *job = arg;

	(void)worker;
	job->cpu->rows->activate_backward[job->kind](
	    end - begin, job->a + begin, job->dy + begin, job->y + begin);
}

void
cpu_activate_backward(
    void *state, enum activation kind, int64_t n, const float *x, const float *dy, float *dx)
{
	struct elements_job job = { .cpu = state, .kind = kind, .a = x, .dy = dy, .y = dx };

	if (dx != NULL)
		run_elements(&job, n, activate_backward_piece);
}

static void
gate_piece(void *arg, int64_t begin, int64_t end, int worker)
{
	const struct elements_job *job = arg;

	(void)worker;
	job->cpu->rows->gate[job->kind](
	    end - begin, job->a + begin, job->b + begin, job->y + begin);
}

void
cpu_gate(void *state, enum activation kind, int64_t n, const float *gate, const float *up, float *y)
{
	struct elements_job job = { .cpu = state, .kind = kind, .a = gate, .b = up, .y = y };

	run_elements(&job, n, gate_piece);
}

static void
gate_backward_piece(void *arg, int64_t begin, int64_t end, int worker)
{
	const struct elements_job *job = arg;

	(void)worker;
	job->cpu->rows->gate_backward[job->kind](end - begin, job->a + begin, job->b + begin,
	    job->dy + begin, job->y != NULL ? job->y + begin : NULL,
	    job->y2 != NULL ? job->y2 + begin : NULL);
}

void
cpu_gate_backward(void *state, enum activation kind, int64_t n, const float *gate, const float *up,
    const float *dy, float *dgate, float *dup)
{
	struct elements_job job = {
		.cpu = state, .kind = kind, .a = gate, .b = up, .dy = dy, .y = dgate, .y2 = dup
	};

	if (dgate != NULL || dup != NULL)
		run_elements(&job, n, gate_backward_piece);
}

/* ---- sums and products ---- */

static void
add_piece(void *arg, int64_t begin, int64_t end, int worker)
{
	const struct elements_job *job = arg;

	(void)worker;
	job->cpu->rows->add(end - begin, job->alpha, job->a + begin, job->beta,
	    job->b != NULL ? job->b + begin : NULL, job->y + begin);
}

void
cpu_add(void *state, int64_t n, float alpha, const float *a, float beta, const float *b, float *y)
{
	struct elements_job job = {
		.cpu = state, .alpha = alpha, .a = a, .beta = beta, .b = b, .y = y
	};

	run_elements(&job, n, add_piece);
}

static void
add_row_piece(void *arg, int64_t begin, int64_t end, int worker)
{
	const struct elements_job *job = arg;

	(void)worker;
	for (int64_t i = begin; i < end; i++)
		job->cpu->rows->add(job->cols, job->alpha, job->a + i * job->cols, job->beta,
		    job->b, job->y + i * job->cols);
}

void
cpu_add_row(void *state, int64_t rows, int64_t cols, float alpha, const float *a, float beta,
    const float *row, float *y)
{
	struct elements_job job = {
		.cpu = state, .alpha = alpha, .a = a, .beta = beta, .b = row, .cols = cols, .y = y
	};

	thread_pool_run(job.cpu->pool, rows, rows_per_piece(cols), add_row_piece, &job);
}

static void
sum_rows_piece(void *arg, int64_t begin, int64_t end, int worker)
{
	const struct elements_job *job = arg;

	(void)worker;
	for (int64_t i = 0; i < job->rows; i++)
		job->cpu->rows->add(end - begin, 1, job->y + begin, job->alpha,
		    job->a + i * job->cols + begin, job->y + begin);
}

/* Cut by columns: each is summed from the first row to the last, whoever does it. */
void
cpu_sum_rows(void *state, int64_t rows, int64_t cols, float factor, const float *x, float *out)
{
	struct elements_job job = {
		.cpu = state, .alpha = factor, .a = x, .y = out, .rows = rows, .cols = cols
	};

	thread_pool_run(job.cpu->pool, cols, 256, sum_rows_piece, &job);
}

static void
multiply_piece(void *arg, int64_t begin, int64_t end, int worker)
{
	const struct elements_job *job = arg;
	const struct row_kernels *kernels = job->cpu->rows;

	(void)worker;
	(job->add ? kernels->multiply_add : kernels->multiply)(
	    end - begin, job->a + begin, job->b + begin, job->y + begin);
}

void
cpu_multiply(void *state, int64_t n, const float *a, const float *b, float *y)
{
	struct elements_job job = { .cpu = state, .a = a, .b = b, .y = y };

	run_elements(&job, n, multiply_piece);
}

void
cpu_multiply_add(void *state, int64_t n, const float *a, const float *b, float *y)
{
	struct elements_job job = { .cpu = state, .a = a, .b = b, .y = y, .add = true };

	run_elements(&job, n, multiply_piece);
}

static void
sign_difference_piece(void *arg, int64_t begin, int64_t end, int worker)
{
	const struct elements_job *job = arg;

	(void)worker;
	job->cpu->rows->sign_difference(
	    end - begin, job->alpha, job->a + begin, job->b + begin, job->y + begin);
}

void
cpu_sign_difference(void *state, int64_t n, float factor, const float *x, const float *y, float *dx)
{
	struct elements_job job = { .cpu = state, .alpha = factor, .a = x, .b = y, .y = dx };

	run_elements(&job, n, sign_difference_piece);
}

static void
dropout_piece(void *arg, int64_t begin, int64_t end, int worker)
{
	const struct elements_job *job = arg;

	(void)worker;
	job->cpu->rows->dropout(job->first + (uint64_t)begin, end - begin, job->alpha, job->seed,
	    job->a + begin, job->y + begin, job->add);
}

void
cpu_dropout(void *state, uint64_t first, int64_t n, float p, uint64_t seed, const float *x,
    float *y, bool add)
{
	struct elements_job job = {
		.cpu = state, .alpha = p, .first = first, .seed = seed, .a = x, .y = y, .add = add
	};

	run_elements(&job, n, dropout_piece);
}

/* ---- moving columns ---- */

struct columns_job {
	struct cpu *cpu;
	int64_t n, x_cols, out_cols;
	const float *x;
	float *out;
	bool add;
};

static void
copy_columns_piece(void *arg, int64_t begin, int64_t end, int worker)
{
	const struct columns_job *job = arg;

	(void)worker;
	for (int64_t i = begin; i < end; i++) {
		const float *x = job->x + i * job->x_cols;
		float *out = job->out + i * job->out_cols;

		if (job->add)
			job->cpu->rows->add(job->n, 1, out, 1, x, out);
		else
			memcpy(out, x, (size_t)job->n * sizeof *out);
	}
}

void
cpu_copy_columns(void *state, int64_t rows, int64_t n, const float *x, int64_t x_cols, int64_t from,
    float *out, int64_t out_cols, int64_t to, bool add)
{
	struct columns_job job = { .cpu = state,
		.n = n,
		.x_cols = x_cols,
		.out_cols = out_cols,
		.x = x + from,
		.out = out + to,
		.add = add };

	thread_pool_run(job.cpu->pool, rows, rows_per_piece(n), copy_columns_piece, &job);
}

#define TRANSPOSE_BLOCK 16 /* a cache line wide */

static void
transpose_block(const float *x, int64_t cols, int64_t n_rows, int64_t n_cols, float *y,
    int64_t y_cols, bool add)
{
	for (int64_t j = 0; j < n_cols; j++) {
		for (int64_t i = 0; i < n_rows; i++) {
			float value = x[i * cols + j];

			y[j * y_cols + i] = add ? y[j * y_cols + i] + value : value;
		}
	}
}

static void
transpose_piece(void *arg, int64_t begin, int64_t end, int worker)
{
	const struct elements_job *job = arg;
	int64_t rows = job->rows, cols = job->cols;

	(void)worker;
	for (int64_t block = begin; block < end; block++) {
		int64_t j = block * TRANSPOSE_BLOCK;
		int64_t n_cols = cols - j < TRANSPOSE_BLOCK ? cols - j : TRANSPOSE_BLOCK;

		for (int64_t i = 0; i < rows; i += TRANSPOSE_BLOCK) {
			int64_t n_rows = rows - i < TRANSPOSE_BLOCK ? rows - i : TRANSPOSE_BLOCK;

			transpose_block(job->a + i * cols + j, cols, n_rows, n_cols,
			    job->y + j * rows + i, rows, job->add);
		}
	}
}

void
cpu_transpose(void *state, int64_t rows, int64_t cols, const float *x, float *y, bool add)
{
	struct elements_job job = {
		.cpu = state, .rows = rows, .cols = cols, .a = x, .y = y, .add = add
	};

	thread_pool_run(job.cpu->pool, (cols + TRANSPOSE_BLOCK - 1) / TRANSPOSE_BLOCK,
	    rows_per_piece(rows * TRANSPOSE_BLOCK), transpose_piece, &job);
}
