/*
 * cpu/lora.c - low-rank parts of many spans of rows, and their gradients.
 *
 * Work is cut by rows, not by spans: a piece takes LORA_ROWS rows through all spans that touch
 * them, in order, so spans may overlap and nothing is added twice at once. Gradients are cut by
 * the tensor they go to and its columns, so spans may share an adapter.
 */
#include "engine/cpu/matmul.h"

#include <stdlib.h>
#include <string.h>

/* Below this rank a panel would be mostly padding, and for so few rows not worth packing. */
#define DOT_MAX_RANK 12
#define DOT_MAX_ROWS 4
/* Columns of a gradient in one piece. */
#define GRADIENT_COLS 64
/* The projections u = x A^T and v = dy BT^T that the backward pass keeps at a time. */
#define PROJECTION_BYTES ((size_t)8 << 20)

struct lora_job {
	struct cpu *cpu;
	const struct lora_span *spans;
	int n_spans;
	const float *x, *dy; /* [rows, in], [rows, out] */
	int64_t in, out;
	int64_t row_begin, row_end;
	float *y, *dx; /* [rows, out], [rows, in] */
	/* Backward: where each span's u and v begin, and the gradients by tensor. */
	float **u, **v;
	struct gradient *gradients;
	int *groups;
	int n_groups;
};

/* One span's contribution to the gradient of its A (from v and x) or BT (from u and dy). */
struct gradient {
	float *into;
	int span;
	bool of_a;
};

static int64_t
min64(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int64_t
max64(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static int64_t
span_rank(const struct lora_span *span)
{
	return tensor_rows(span->a);
}

/* The span's rows within BEGIN .. END-1; false when there are none. */
static bool
clip(const struct lora_span *span, int64_t begin, int64_t end, int64_t *from, int64_t *to)
{
	*from = max64(span->row_begin, begin);
	*to = min64(span->row_begin + span->row_count, end);
	return *from < *to && span_rank(span) > 0;
}

/* out[rows, n] = x[rows, k] w[n, k]^T */
static void
project(struct cpu *cpu, const float *x, int64_t k, int64_t rows, const float *w, int64_t n,
    float *out, float *scratch)
{
	struct product product = { rows, n, k, left_rows(x, k), right_turned(w, k), out, 1, 0,
		NULL, false };
	struct dot_products dots = {
		.dtype = DTYPE_F32,
		.w = w,
		.row_bytes = (size_t)k * sizeof(float),
		.n_outputs = n,
		.x = x,
		.x_row = k,
		.n_rows = rows,
		.k = k,
		.y = out,
		.y_row = n,
	};

	if (n <= DOT_MAX_RANK || rows <= DOT_MAX_ROWS)
		cpu->matmul->dots(&dots);
	else
		cpu_product_part(cpu, &product, 0, n, scratch);
}

/* out[rows, n] += scale * p[rows, k] w[k, n] */
static void
expand(struct cpu *cpu, const float *p, int64_t k, int64_t rows, float scale, const float *w,
    int64_t n, float *out, float *scratch)
{
	struct product product = { rows, n, k, left_rows(p, k), right_rows(w, n), out, scale, 1,
		NULL, false };

	cpu_product_part(cpu, &product, 0, n, scratch);
}

static void
forward_piece(void *arg, int64_t begin, int64_t end, int worker)
{
	const struct lora_job *job = arg;
	float *scratch = cpu_worker_scratch(job->cpu, worker, MATMUL_SCRATCH_BYTES);
	float *u = scratch + PRODUCT_SCRATCH_BYTES / sizeof(float);
	int64_t from, to;

	for (int s = 0; s < job->n_spans; s++) {
		const struct lora_span *span = &job->spans[s];
		if (!clip(span, begin, end, &from, &to))
			continue;
		for (int64_t r = 0; r < span_rank(span); r += LORA_RANKS) {
			int64_t n = min64(LORA_RANKS, span_rank(span) - r);
			const float *a = tensor_f32(span->a) + r * job->in;
			const float *bt = tensor_f32(span->bt) + r * job->out;
			project(job->cpu, job->x + from * job->in, job->in, to - from, a, n, u,
			    scratch);
			expand(job->cpu, u, n, to - from, span->scale, bt, job->out,
			    job->y + from * job->out, scratch);
		}
	}
}

/* Runs PIECE over the rows that any span touches. */
static void
run_by_rows(struct lora_job *job, void (*piece)(void *arg, int64_t begin, int64_t end, int worker))
{
	/* thread_pool_run() counts from 0. */
	thread_pool_run(job->cpu->pool, job->row_end, LORA_ROWS, piece, job);
}

void
cpu_lora(void *state, const struct tensor *x, const struct lora_span *spans, int n_spans,
    struct tensor *y)
{
	struct lora_job job = { .cpu = state,
		.spans = spans,
		.n_spans = n_spans,
		.x = x->data,
		.in = tensor_cols(x),
		.out = tensor_cols(y),
		.row_end = tensor_rows(x),
		.y = y->data };

	run_by_rows(&job, forward_piece);
}

/* u and v of a piece's rows, and dx += scale * v A. */
static void
backward_piece(void *arg, int64_t begin, int64_t end, int worker)
{
	const struct lora_job *job = arg;
	float *scratch = cpu_worker_scratch(job->cpu, worker, MATMUL_SCRATCH_BYTES);
	int64_t from, to;

	for (int s = 0; s < job->n_spans; s++) {
		const struct lora_span *span = &job->spans[s];
		int64_t rank = span_rank(span), first = max64(span->row_begin, job->row_begin);
		const float *a = tensor_f32(span->a), *bt = tensor_f32(span->bt);
		if (!clip(span, max64(begin, job->row_begin), end, &from, &to))
			continue;
		int64_t rows = to - from, at = (from - first) * rank;
		if (job->u[s] != NULL)
			project(job->cpu, job->x + from * job->in, job->in, rows, a, rank,
			    job->u[s] + at, scratch);
		if (job->v[s] != NULL)
			project(job->cpu, job->dy + from * job->out, job->out, rows, bt, rank,
			    job->v[s] + at, scratch);
		if (job->dx != NULL)
			expand(job->cpu, job->v[s] + at, rank, rows, span->scale, a, job->in,
			    job->dx + from * job->in, scratch);
	}
}

/* into[:, columns] += scale * p^T rows, for PRODUCT_MAX_ROWS ranks at a time. */
static void
add_gradient(const struct lora_job *job, const struct gradient *gradient, int64_t col_begin,
    int64_t col_end, float *scratch)
{
	const struct lora_span *span = &job->spans[gradient->span];
	const float *p = (gradient->of_a ? job->v : job->u)[gradient->span];
	const float *rows = gradient->of_a ? job->x : job->dy;
	int64_t cols = gradient->of_a ? job->in : job->out, rank = span_rank(span), from, to;

	if (!clip(span, job->row_begin, job->row_end, &from, &to))
		return;
	for (int64_t r = 0; r < rank; r += PRODUCT_MAX_ROWS) {
		struct product product = { min64(PRODUCT_MAX_ROWS, rank - r), cols, to - from,
			left_turned(p + r, rank), right_rows(rows + from * cols, cols),
			gradient->into + r * cols, span->scale, 1, NULL, false };
		cpu_product_part(job->cpu, &product, col_begin, min64(col_end, cols), scratch);
	}
}

static int64_t
gradient_strips(const struct lora_job *job)
{
	return (max64(job->in, job->out) + GRADIENT_COLS - 1) / GRADIENT_COLS;
}

static void
gradient_piece(void *arg, int64_t begin, int64_t end, int worker)
{
	const struct lora_job *job = arg;
	float *scratch = cpu_worker_scratch(job->cpu, worker, MATMUL_SCRATCH_BYTES);

	for (int64_t i = begin; i < end; i++) {
		int64_t group = i / gradient_strips(job), strip = i % gradient_strips(job);
		for (int g = job->groups[group]; g < job->groups[group + 1]; g++)
			add_gradient(job, &job->gradients[g], strip * GRADIENT_COLS,
			    (strip + 1) * GRADIENT_COLS, scratch);
	}
}

static int
by_tensor_and_span(const void *left, const void *right)
{
	const struct gradient *a = left, *b = right;

	if (a->into != b->into)
		return (uintptr_t)a->into < (uintptr_t)b->into ? -1 : 1;
	return a->span - b->span;
}

/* What the job must remember between its two passes: floats of u and v. */
static size_t
projection_floats(const struct lora_job *job)
{
	size_t n = 0;
	int64_t from, to;

	for (int s = 0; s < job->n_spans; s++)
		if (clip(&job->spans[s], job->row_begin, job->row_end, &from, &to))
			n += 2 * (size_t)(to - from) * (size_t)span_rank(&job->spans[s]);
	return n;
}

/* Divides MEMORY among the lists and projections; false when the job needs none. */
static void
lay_out(struct lora_job *job, char *memory)
{
	int n_gradients = 0;
	int64_t from, to;

	job->u = (float **)memory;
	job->v = job->u + job->n_spans;
	job->gradients = (struct gradient *)(job->v + job->n_spans);
	job->groups = (int *)(job->gradients + 2 * job->n_spans);
	float *projections = (float *)(job->groups + 2 * job->n_spans + 2);
	for (int s = 0; s < job->n_spans; s++) {
		const struct lora_span *span = &job->spans[s];
		job->u[s] = job->v[s] = NULL;
		if (!clip(span, job->row_begin, job->row_end, &from, &to))
			continue;
		size_t n = (size_t)(to - from) * (size_t)span_rank(span);
		if (span->bt->grad != NULL) {
			job->u[s] = projections;
			projections += n;
			job->gradients[n_gradients++] =
			    (struct gradient){ span->bt->grad, s, false };
		}
		if (span->a->grad != NULL || job->dx != NULL) {
			job->v[s] = projections;
			projections += n;
		}
		if (span->a->grad != NULL)
			job->gradients[n_gradients++] = (struct gradient){ span->a->grad, s, true };
	}
	qsort(job->gradients, (size_t)n_gradients, sizeof *job->gradients, by_tensor_and_span);
	job->n_groups = 0;
	for (int g = 0; g < n_gradients; g++)
		if (g == 0 || job->gradients[g].into != job->gradients[g - 1].into)
			job->groups[job->n_groups++] = g;
	job->groups[job->n_groups] = n_gradients;
}

/* Halves the job until its projections fit, rows first. */
static void
backward(struct lora_job job)
{
	size_t lists = (size_t)job.n_spans *
			   (2 * sizeof(float *) + 2 * sizeof(struct gradient) + 2 * sizeof(int)) +
		       2 * sizeof(int);
	size_t floats = projection_floats(&job);
	int64_t rows = job.row_end - job.row_begin;
	char *memory = NULL;

	if (floats == 0)
		return;
	if (floats <= PROJECTION_BYTES / sizeof(float) || (rows == 1 && job.n_spans == 1))
		memory = cpu_shared_scratch(job.cpu, lists + floats * sizeof(float));
	if (memory == NULL) {
		struct lora_job second = job;
		if (rows > 1) {
			job.row_end = second.row_begin = job.row_begin + rows / 2;
		} else if (job.n_spans > 1) {
			job.n_spans /= 2;
			second.spans += job.n_spans;
			second.n_spans -= job.n_spans;
		} else {
			return;
		}
		backward(job);
		backward(second);
		return;
	}
	lay_out(&job, memory);
	run_by_rows(&job, backward_piece);
	thread_pool_run(
	    job.cpu->pool, job.n_groups * gradient_strips(&job), 1, gradient_piece, &job);
}

void
cpu_lora_backward(void *state, const struct tensor *x, const struct lora_span *spans, int n_spans,
    const float *dy, int64_t out_cols, float *dx)
{
	backward((struct lora_job){ .cpu = state,
	    .spans = spans,
	    .n_spans = n_spans,
	    .x = x->data,
	    .dy = dy,
	    .in = tensor_cols(x),
	    .out = out_cols,
	    .row_end = tensor_rows(x),
	    .dx = dx });
}
