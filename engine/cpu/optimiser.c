/* cpu/optimiser.c - one AdamW step over a parameter. */

#include "engine/cpu/rows.h"

struct adamw_job {
	struct cpu *cpu;
	const struct adamw *options;
	const float *gradient;
	float *m, *v, *parameter;
};

static void
adamw_piece(void *arg, int64_t begin, int64_t end, int worker)
{
	const struct adamw_job *job = arg;

	(void)worker;
	job->cpu->rows->adamw(job->options, end - begin, job->gradient + begin, job->m + begin,
	    job->v + begin, job->parameter + begin);
}

void
cpu_adamw(void *state, const struct adamw *options, int64_t n, const float *gradient, float *m,
    float *v, float *parameter)
{
	struct adamw_job job = { .cpu = state,
		.options = options,
		.gradient = gradient,
		.m = m,
		.v = v,
		.parameter = parameter };

	thread_pool_run(job.cpu->pool, n, PIECE_ELEMENTS, adamw_piece, &job);
}
