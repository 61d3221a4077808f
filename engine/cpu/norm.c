/* cpu/norm.c - norms of rows; the gradients of their weights are summed in fixed partials. */

#include <string.h>

#include "engine/cpu/rows.h"

struct norm_job {
	struct cpu *cpu;
	const float *x, *w, *bias, *dy;
	float offset, epsilon; /* of unit rows: the floor */
	int64_t rows, cols, partial_rows;
	float *y, *dx;
	float *dw, *dbias; /* the whole gradient, or a row for each partial */
};

static void
rms_norm_piece(void *arg, int64_t begin, int64_t end, int worker)
{
	const struct norm_job *job = arg;

	(void)worker;
	for (int64_t i = begin; i < end; i++)
		job->cpu->rows->rms_norm(job->cols, job->x + i * job->cols, job->w, job->offset,
		    job->epsilon, job->y + i * job->cols);
}

void
cpu_rms_norm(void *state, const struct tensor *x, const float *w, float offset, float epsilon,
    struct tensor *y)
{
	struct norm_job job = { .cpu = state,
		.x = x->data,
		.w = w,
		.offset = offset,
		.epsilon = epsilon,
		.cols = tensor_cols(x),
		.y = y->data };

	thread_pool_run(
	    job.cpu->pool, tensor_rows(x), rows_per_piece(job.cols), rms_norm_piece, &job);
}

static void
layer_norm_piece(void *arg, int64_t begin, int64_t end, int worker)
{
	const struct norm_job *job = arg;

	(void)worker;
	for (int64_t i = begin; i < end; i++)
		job->cpu->rows->layer_norm(job->cols, job->x + i * job->cols, job->w, job->bias,
		    job->epsilon, job->y + i * job->cols);
}

void
cpu_layer_norm(void *state, const struct tensor *x, const float *w, const float *bias,
    float epsilon, struct tensor *y)
{
	struct norm_job job = { .cpu = state,
		.x = x->data,
		.w = w,
		.bias = bias,
		.epsilon = epsilon,
		.cols = tensor_cols(x),
		.y = y->data };

	thread_pool_run(
	    job.cpu->pool, tensor_rows(x), rows_per_piece(job.cols), layer_norm_piece, &job);
}

static void
unit_rows_piece(void *arg, int64_t begin, int64_t end, int worker)
{
	const struct norm_job *job = arg;

	(void)worker;
	for (int64_t i = begin; i < end; i++)
		job->cpu->rows->unit_row(
		    job->cols, job->x + i * job->cols, job->epsilon, job->y + i * job->cols);
}

void
cpu_unit_rows(void *state, const struct tensor *x, float floor, struct tensor *y)
{
	struct norm_job job = {
		.cpu = state, .x = x->data, .epsilon = floor, .cols = tensor_cols(x), .y = y->data
	};

	thread_pool_run(
	    job.cpu->pool, tensor_rows(x), rows_per_piece(job.cols), unit_rows_piece, &job);
}

static void
unit_rows_backward_piece(void *arg, int64_t begin, int64_t end, int worker)
{
	const struct norm_job *job = arg;

	(void)worker;
	for (int64_t i = begin; i < end; i++)
		job->cpu->rows->unit_row_backward(job->cols, job->x + i * job->cols, job->epsilon,
		    job->dy + i * job->cols, job->dx + i * job->cols);
}

void
cpu_unit_rows_backward(void *state, const struct tensor *x, float floor, const float *dy, float *dx)
{
	struct norm_job job = { .cpu = state,
		.x = x->data,
		.epsilon = floor,
		.dy = dy,
		.cols = tensor_cols(x),
		.dx = dx };

	if (dx != NULL)
		thread_pool_run(job.cpu->pool, tensor_rows(x), rows_per_piece(job.cols),
		    unit_rows_backward_piece, &job);
}

/* ---- gradients of weights ---- */

static void
add_partials(
    struct cpu *cpu, int64_t n_partials, int64_t cols, const float *partials, float *gradient)
{
	for (int64_t i = 0; gradient != NULL && i < n_partials; i++)
		cpu->rows->add(cols, 1, gradient, 1, partials + i * cols, gradient);
}

/* Where partial I of a gradient goes; NULL when nobody wants it. */
static float *
partial(float *gradient, int64_t i, int64_t cols)
{
	return gradient != NULL ? gradient + i * cols : NULL;
}

static void
rms_norm_backward_piece(void *arg, int64_t begin, int64_t end, int worker)
{
	const struct norm_job *job = arg;
	int64_t cols = job->cols;

	(void)worker;
	for (int64_t i = begin; i < end; i++)
		job->cpu->rows->rms_norm_backward(cols, job->x + i * cols, job->w, job->offset,
		    job->epsilon, job->dy + i * cols, partial(job->dx, i, cols),
		    partial(job->dw, begin / job->partial_rows, cols));
}

static void
layer_norm_backward_piece(void *arg, int64_t begin, int64_t end, int worker)
{
	const struct norm_job *job = arg;
	int64_t cols = job->cols, at = begin / job->partial_rows;

	(void)worker;
	for (int64_t i = begin; i < end; i++)
		job->cpu->rows->layer_norm_backward(cols, job->x + i * cols, job->w, job->epsilon,
		    job->dy + i * cols, partial(job->dx, i, cols), partial(job->dw, at, cols),
		    partial(job->dbias, at, cols));
}

/* Runs PIECE over all rows with a partial gradient for each piece, then adds them up. Without
 * memory for the partials one piece takes all rows and adds to the gradients themselves. */
static void
run_with_partials(
    struct norm_job *job, void (*piece)(void *arg, int64_t begin, int64_t end, int worker))
{
	int64_t partial_rows = rows_per_partial(job->rows, job->cols);
	int64_t n = (job->rows + partial_rows - 1) / partial_rows;
	size_t floats = (size_t)(n * job->cols);
	float *dw = job->dw, *dbias = job->dbias, *partials = NULL;

	job->partial_rows = partial_rows;
	if (n > 1 && (dw != NULL || dbias != NULL)) {
		partials = cpu_shared_scratch(job->cpu, 2 * floats * sizeof(float));
		if (partials == NULL)
			job->partial_rows = partial_rows = job->rows;
	}
	if (partials != NULL) {
		memset(partials, 0, 2 * floats * sizeof(float));
		job->dw = dw != NULL ? partials : NULL;
		job->dbias = dbias != NULL ? partials + floats : NULL;
	}
	thread_pool_run(job->cpu->pool, job->rows, partial_rows, piece, job);
	if (partials != NULL) {
		add_partials(job->cpu, n, job->cols, partials, dw);
		add_partials(job->cpu, n, job->cols, partials + floats, dbias);
	}
}

void
cpu_rms_norm_backward(void *state, const struct tensor *x, const float *w, float offset,
    float epsilon, const float *dy, float *dx, float *dw)
{
	struct norm_job job = { .cpu = state,
		.x = x->data,
		.w = w,
		.offset = offset,
		.epsilon = epsilon,
		.dy = dy,
		.rows = tensor_rows(x),
		.cols = tensor_cols(x),
		.dx = dx,
		.dw = dw };

	run_with_partials(&job, rms_norm_backward_piece);
}

void
cpu_layer_norm_backward(void *state, const struct tensor *x, const float *w, float epsilon,
    const float *dy, float *dx, float *dw, float *dbias)
{
	struct norm_job job = { .cpu = state,
		.x = x->data,
		.w = w,
		.epsilon = epsilon,
		.dy = dy,
		.rows = tensor_rows(x),
		.cols = tensor_cols(x),
		.dx = dx,
		.dw = dw,
		.dbias = dbias };

	run_with_partials(&job, layer_norm_backward_piece);
}
