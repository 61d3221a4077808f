/* cpu/loss.c - cross entropy of logits, and sums over all elements; both in double. */

#include <math.h>

#include "engine/cpu/rows.h"

struct cross_entropy_job {
	struct cpu *cpu;
	const float *logits;
	int64_t vocab, partial_rows;
	const int32_t *targets;
	const float *weights;
	float smoothing, dloss;
	double partial[MAX_PARTIALS];
	int32_t *best;
	float *dlogits;
};

/* -log of the smoothed probability: log(sum) + maximum - (1-s) x[target] - s mean(x). */
static double
row_loss(const struct cross_entropy_job *job, const float *x, int32_t target, float maximum)
{
	const struct row_kernels *kernels = job->cpu->rows;
	double smoothing = (double)job->smoothing;
	double loss = log(kernels->sum_exp(job->vocab, x, maximum)) + (double)maximum;

	loss -= (1 - smoothing) * (double)x[target];
	if (smoothing > 0)
		loss -= smoothing * kernels->sum(job->vocab, x) / (double)job->vocab;
	return loss;
}

static void
cross_entropy_piece(void *arg, int64_t begin, int64_t end, int worker)
{
	struct cross_entropy_job *job = arg;
	const struct row_kernels *kernels = job->cpu->rows;
	double loss = 0;

	(void)worker;
	for (int64_t i = begin; i < end; i++) {
		const float *x = job->logits + i * job->vocab;
		float maximum;

		if (job->targets[i] < 0 && job->best == NULL)
			continue;
		maximum = kernels->maximum(job->vocab, x);
		if (job->best != NULL)
			job->best[i] = (int32_t)kernels->first_of(job->vocab, x, maximum);
		if (job->targets[i] >= 0)
			loss +=
			    (double)job->weights[i] * row_loss(job, x, job->targets[i], maximum);
	}
	job->partial[begin / job->partial_rows] = loss;
}

void
cpu_cross_entropy(void *state, const struct tensor *logits, const int32_t *targets,
    const float *weights, float smoothing, double *loss, int32_t *best)
{
	int64_t rows = tensor_rows(logits), vocab = tensor_cols(logits);
	struct cross_entropy_job job = { .cpu = state,
		.logits = logits->data,
		.vocab = vocab,
		.targets = targets,
		.weights = weights,
		.smoothing = smoothing,
		.best = best,
		.partial_rows = rows_per_partial(rows, vocab) };

	thread_pool_run(job.cpu->pool, rows, job.partial_rows, cross_entropy_piece, &job);
	*loss = 0;
	for (int i = 0; i < MAX_PARTIALS; i++)
		*loss += job.partial[i];
}

static void
cross_entropy_backward_piece(void *arg, int64_t begin, int64_t end, int worker)
{
	const struct cross_entropy_job *job = arg;
	const struct row_kernels *kernels = job->cpu->rows;

	(void)worker;
	for (int64_t i = begin; i < end; i++) {
		const float *x = job->logits + i * job->vocab;
		float *dx = job->dlogits + i * job->vocab;
		float factor = job->dloss * job->weights[i], maximum;
		double sum;

		if (job->targets[i] < 0 || factor == 0)
			continue;
		maximum = kernels->maximum(job->vocab, x);
		sum = kernels->sum_exp(job->vocab, x, maximum);
		kernels->add_exp(job->vocab, x, maximum, (float)((double)factor / sum),
		    -factor * job->smoothing / (float)job->vocab, dx);
		dx[job->targets[i]] -= factor * (1 - job->smoothing);
	}
}

void
cpu_cross_entropy_backward(void *state, const struct tensor *logits, const int32_t *targets,
    const float *weights, float smoothing, float dloss, float *dlogits)
{
	struct cross_entropy_job job = { .cpu = state,
		.logits = logits->data,
		.vocab = tensor_cols(logits),
		.targets = targets,
		.weights = weights,
		.smoothing = smoothing,
		.dloss = dloss,
		.dlogits = dlogits };

	thread_pool_run(job.cpu->pool, tensor_rows(logits), rows_per_piece(job.vocab),
	    cross_entropy_backward_piece, &job);
}

/* ---- sums over all elements ---- */

struct sum_job {
	struct cpu *cpu;
	const float *x, *y;
	double (*sum)(int64_t n, const float *x, const float *y);
	double (*sum_one)(int64_t n, const float *x); /* when y is NULL */
	int64_t partial_elements;
	double partial[MAX_PARTIALS];
};

static void
sum_piece(void *arg, int64_t begin, int64_t end, int worker)
{
	struct sum_job *job = arg;
	int64_t n = end - begin;

	(void)worker;
	job->partial[begin / job->partial_elements] =
	    job->y != NULL ? job->sum(n, job->x + begin, job->y + begin)
			   : job->sum_one(n, job->x + begin);
}

static double
run_sum(struct sum_job *job, int64_t n)
{
	double sum = 0;

	job->partial_elements = rows_per_partial(n, 1);
	thread_pool_run(job->cpu->pool, n, job->partial_elements, sum_piece, job);
	for (int i = 0; i < MAX_PARTIALS; i++)
		sum += job->partial[i];
	return sum;
}

double
cpu_sum_squares(void *state, int64_t n, const float *x)
{
	struct sum_job job = { .cpu = state, .x = x };

	job.sum_one = job.cpu->rows->sum_squares;
	return run_sum(&job, n);
}

double
cpu_sum_abs_difference(void *state, int64_t n, const float *x, const float *y)
{
	struct sum_job job = { .cpu = state, .x = x, .y = y };

	job.sum = job.cpu->rows->sum_abs_difference;
	return run_sum(&job, n);
}

double
cpu_sum_squared_difference(void *state, int64_t n, const float *x, const float *y)
{
	struct sum_job job = { .cpu = state, .x = x, .y = y };

	job.sum = job.cpu->rows->sum_squared_difference;
	return run_sum(&job, n);
}
