/* cpu/rope.c - rotary position embedding: a table of angles, then a rotation of every head. */

#include <math.h>

#include "engine/cpu/rows.h"

struct rope_job {
	struct cpu *cpu;
	const struct rope *rope;
	const int32_t *positions;
	const float *x;
	float *y;
	int64_t cols;
	int head_dim;
	float sign; /* -1 turns back */
	bool add;
	/* Cosines and sines of positions first .. first + n - 1, [n][2][n_rot / 2]; or NULL. */
	float *table;
	int32_t first;
};

/* The angle is rounded to f32, as in the models' reference implementation. */
static void
angles(const struct rope_job *job, int32_t position, float *cosines, float *sines)
{
	for (int i = 0; i < job->rope->n_rot / 2; i++) {
		float angle = (float)position * job->rope->inv_freq[i];

		cosines[i] = job->rope->magnitude * cosf(angle);
		sines[i] = job->sign * job->rope->magnitude * sinf(angle);
	}
}

static void
table_piece(void *arg, int64_t begin, int64_t end, int worker)
{
	const struct rope_job *job = arg;
	int64_t half = job->rope->n_rot / 2;

	(void)worker;
	for (int64_t i = begin; i < end; i++) {
		float *cosines = job->table + i * 2 * half;

		angles(job, job->first + (int32_t)i, cosines, cosines + half);
	}
}

static void
rope_piece(void *arg, int64_t begin, int64_t end, int worker)
{
	const struct rope_job *job = arg;
	int64_t half = job->rope->n_rot / 2, cols = job->cols;
	float *own = NULL;

	if (job->table == NULL) {
		own = cpu_worker_scratch(job->cpu, worker, (size_t)half * 2 * sizeof(float));
		if (own == NULL) /* every worker has far more than a head from the start */
			return;
	}
	for (int64_t i = begin; i < end; i++) {
		float *cosines = own;

		if (own == NULL)
			cosines = job->table + (job->positions[i] - job->first) * 2 * half;
		else
			angles(job, job->positions[i], own, own + half);
		job->cpu->rows->rope(cols / job->head_dim, job->head_dim, job->rope, cosines,
		    cosines + half, job->x + i * cols, job->y + i * cols, job->add);
	}
}

void
cpu_rope(void *state, const struct tensor *x, const int32_t *positions, const struct rope *rope,
    int head_dim, bool inverse, struct tensor *y, bool add)
{
	struct rope_job job = { .cpu = state,
		.rope = rope,
		.positions = positions,
		.x = x->data,
		.y = y->data,
		.cols = tensor_cols(x),
		.head_dim = head_dim,
		.sign = inverse ? -1.0f : 1.0f,
		.add = add };
	int64_t rows = tensor_rows(x), n_positions;
	int32_t last = positions[0];

	job.first = positions[0];
	for (int64_t i = 1; i < rows; i++) {
		job.first = positions[i] < job.first ? positions[i] : job.first;
		last = positions[i] > last ? positions[i] : last;
	}
	/* Sines cost more than the rotation: many rows share the few positions of a table. */
	n_positions = (int64_t)last - job.first + 1;
	if (n_positions <= rows && rope->n_rot > 0)
		job.table = cpu_shared_scratch(
		    job.cpu, (size_t)n_positions * (size_t)rope->n_rot * sizeof(float));
	if (job.table != NULL)
		thread_pool_run(job.cpu->pool, n_positions, 64, table_piece, &job);
	thread_pool_run(job.cpu->pool, rows, rows_per_piece(job.cols), rope_piece, &job);
}
