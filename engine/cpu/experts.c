/* cpu/experts.c - routing rows to experts and adding up what they give. */

#include <math.h>

#include "engine/cpu/rows.h"

struct route_job {
	const float *logits;
	int64_t n_experts;
	int n_used;
	bool renormalise;
	int32_t *ids;
	float *weights;
};

/* The largest logits in descending order; of equal ones the first. */
static void
choose(const struct route_job *job, const float *logits, int32_t *ids)
{
	for (int k = 0; k < job->n_used; k++) {
		int32_t best = -1;

		for (int32_t e = 0; e < job->n_experts; e++) {
			bool taken = false;

			for (int j = 0; j < k && !taken; j++)
				taken = ids[j] == e;
			if (!taken && (best < 0 || logits[e] > logits[best]))
				best = e;
		}
		ids[k] = best;
	}
}

/* Softmax over all experts; divided by the sum of the chosen it is softmax over those. */
static void
route_piece(void *arg, int64_t begin, int64_t end, int worker)
{
	const struct route_job *job = arg;

	(void)worker;
	for (int64_t row = begin; row < end; row++) {
		const float *logits = job->logits + row * job->n_experts;
		int32_t *ids = job->ids + row * job->n_used;
		float *weights = job->weights + row * job->n_used, total = 0;

		choose(job, logits, ids);
		for (int k = 0; k < job->n_used; k++) {
			weights[k] = expf(logits[ids[k]] - logits[ids[0]]);
			total += weights[k];
		}
		if (!job->renormalise) {
			total = 0;
			for (int64_t e = 0; e < job->n_experts; e++)
				total += expf(logits[e] - logits[ids[0]]);
		}
		for (int k = 0; k < job->n_used; k++)
			weights[k] /= total;
	}
}

void
cpu_route(void *state, const struct tensor *logits, int n_used, bool renormalise, int32_t *ids,
    float *weights)
{
	struct cpu *cpu = state;
	struct route_job job = { logits->data, tensor_cols(logits), n_used, renormalise, ids,
		weights };

	thread_pool_run(cpu->pool, tensor_rows(logits), rows_per_piece(job.n_experts * n_used),
	    route_piece, &job);
}

/* With p the softmax over all (or over the chosen), dlogit_e = p_e (dw_e - sum of p dw), where dw
 * is 0 for those that were not chosen. */
void
cpu_route_backward(void *state, const struct tensor *logits, int n_used, bool renormalise,
    const int32_t *ids, const float *dweights, float *dlogits)
{
	int64_t n_experts = tensor_cols(logits);

	(void)state;
	for (int64_t row = 0; row < tensor_rows(logits); row++) {
		const float *x = tensor_f32(logits) + row * n_experts;
		const int32_t *chosen = ids + row * n_used;
		const float *dw = dweights + row * n_used;
		float *dx = dlogits + row * n_experts;
		double total = 0, mean = 0, top = (double)x[chosen[0]];

		for (int64_t e = 0; e < n_experts && !renormalise; e++)
			total += exp((double)x[e] - top);
		for (int k = 0; k < n_used && renormalise; k++)
			total += exp((double)x[chosen[k]] - top);
		for (int k = 0; k < n_used; k++)
			mean += exp((double)x[chosen[k]] - top) / total * (double)dw[k];
		for (int64_t e = 0; e < n_experts && !renormalise; e++)
			dx[e] -= (float)(exp((double)x[e] - top) / total * mean);
		for (int k = 0; k < n_used; k++) {
			double p = exp((double)x[chosen[k]] - top) / total;

			dx[chosen[k]] += (float)(p * ((double)dw[k] - (renormalise ? mean : 0)));
		}
	}
}

struct sum_job {
	struct cpu *cpu;
	const float *x, *weights, *dy;
	const int32_t *rows, *weight_at;
	int64_t cols;
	float *y, *dx, *dweights;
};

/* The rows of one call are distinct. */
static void
sum_piece(void *arg, int64_t begin, int64_t end, int worker)
{
	const struct sum_job *job = arg;

	(void)worker;
	for (int64_t i = begin; i < end; i++) {
		float *y = job->y + job->rows[i] * job->cols;

		job->cpu->rows->add(
		    job->cols, 1, y, job->weights[job->weight_at[i]], job->x + i * job->cols, y);
	}
}

void
cpu_add_weighted_rows(void *state, const struct tensor *x, const int32_t *rows,
    const float *weights, const int32_t *weight_at, struct tensor *y)
{
	struct sum_job job = { .cpu = state,
		.x = x->data,
		.weights = weights,
		.rows = rows,
		.weight_at = weight_at,
		.cols = tensor_cols(x),
		.y = y->data };

	thread_pool_run(job.cpu->pool, tensor_rows(x), rows_per_piece(job.cols), sum_piece, &job);
}

static void
sum_backward_piece(void *arg, int64_t begin, int64_t end, int worker)
{
	const struct sum_job *job = arg;

	(void)worker;
	for (int64_t i = begin; i < end; i++) {
		const float *dy = job->dy + job->rows[i] * job->cols, *x = job->x + i * job->cols;
		double dot = 0;

		if (job->dx != NULL)
			job->cpu->rows->add(job->cols, 1, job->dx + i * job->cols,
			    job->weights[job->weight_at[i]], dy, job->dx + i * job->cols);
		if (job->dweights == NULL)
			continue;
		for (int64_t c = 0; c < job->cols; c++)
			dot += (double)dy[c] * (double)x[c];
		job->dweights[job->weight_at[i]] += (float)dot;
	}
}

void
cpu_add_weighted_rows_backward(void *state, const struct tensor *x, const int32_t *rows,
    const float *weights, const int32_t *weight_at, const float *dy, float *dx, float *dweights)
{
	struct sum_job job = { .cpu = state,
		.x = x->data,
		.weights = weights,
		.dy = dy,
		.rows = rows,
		.weight_at = weight_at,
		.cols = tensor_cols(x),
		.dx = dx,
		.dweights = dweights };

	thread_pool_run(
	    job.cpu->pool, tensor_rows(x), rows_per_piece(job.cols), sum_backward_piece, &job);
}
