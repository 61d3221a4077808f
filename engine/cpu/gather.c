/* cpu/gather.c - rows picked, stored and averaged by number. */

#include <string.h>

#include "engine/cpu/rows.h"

struct rows_job {
	struct cpu *cpu;
	const int32_t *ids, *end; /* ids: also the begin of ranges */
	int64_t n, cols;
	enum dtype dtype;
	size_t row_bytes; /* of the table or cache */
	const unsigned char *source;
	unsigned char *target;
	const float *x;
	float *y;
};

/* ---- look-up ---- */

static void
gather_piece(void *arg, int64_t begin, int64_t end, int worker)
{
	const struct rows_job *job = arg;

	(void)worker;
	for (int64_t i = begin; i < end; i++) {
		const unsigned char *row = job->source + (size_t)job->ids[i] * job->row_bytes;

		if (job->dtype == DTYPE_F16 || job->dtype == DTYPE_BF16)
			job->cpu->rows->widen(job->dtype, row, job->y + i * job->cols, job->cols);
		else
			dtype_to_f32(job->dtype, row, job->y + i * job->cols, job->cols);
	}
}

void
cpu_gather_rows(
    void *state, const struct tensor *table, const int32_t *ids, int64_t n, struct tensor *out)
{
	struct rows_job job = { .cpu = state,
		.ids = ids,
		.cols = tensor_cols(table),
		.dtype = table->dtype,
		.row_bytes = dtype_row_bytes(table->dtype, tensor_cols(table)),
		.source = table->data,
		.y = out->data };

	thread_pool_run(job.cpu->pool, n, rows_per_piece(job.cols), gather_piece, &job);
}

/* Ids may repeat: cut by columns, so that each thread adds to elements of its own, in order. */
static void
gather_backward_piece(void *arg, int64_t begin, int64_t end, int worker)
{
	const struct rows_job *job = arg;
	int64_t cols = job->cols;

	(void)worker;
	for (int64_t i = 0; i < job->n; i++) {
		float *row = job->y + job->ids[i] * cols + begin;

		job->cpu->rows->add(end - begin, 1, row, 1, job->x + i * cols + begin, row);
	}
}

void
cpu_gather_rows_backward(void *state, const int32_t *ids, int64_t n, int64_t cols,
    int64_t table_rows, const float *dout, float *dtable)
{
	struct rows_job job = {
		.cpu = state, .ids = ids, .n = n, .cols = cols, .x = dout, .y = dtable
	};
	/* At least a cache line for each thread, and not many pieces for few elements. */
	int64_t grain = n * cols < 2 * PIECE_ELEMENTS ? cols : cols / 8 > 64 ? cols / 8 : 64;

	(void)table_rows;
	thread_pool_run(job.cpu->pool, cols, grain, gather_backward_piece, &job);
}

static void
store_piece(void *arg, int64_t begin, int64_t end, int worker)
{
	const struct rows_job *job = arg;

	(void)worker;
	for (int64_t i = begin; i < end; i++)
		job->cpu->rows->narrow(job->dtype, job->x + i * job->cols,
		    job->target + (size_t)job->ids[i] * job->row_bytes, job->cols);
}

void
cpu_store_rows(void *state, const struct tensor *x, const int32_t *slots, struct tensor *cache)
{
	struct rows_job job = { .cpu = state,
		.ids = slots,
		.cols = tensor_cols(x),
		.dtype = cache->dtype,
		.row_bytes = dtype_row_bytes(cache->dtype, tensor_cols(x)),
		.x = x->data,
		.target = cache->data };

	thread_pool_run(job.cpu->pool, tensor_rows(x), rows_per_piece(job.cols), store_piece, &job);
}

/* ---- means ---- */

static void
mean_piece(void *arg, int64_t begin, int64_t end, int worker)
{
	const struct rows_job *job = arg;
	int64_t cols = job->cols;

	(void)worker;
	for (int64_t i = begin; i < end; i++) {
		float *y = job->y + i * cols, n = (float)(job->end[i] - job->ids[i]);

		memset(y, 0, (size_t)cols * sizeof *y);
		for (int32_t row = job->ids[i]; row < job->end[i]; row++)
			job->cpu->rows->add(cols, 1, y, 1, job->x + row * cols, y);
		job->cpu->rows->add(cols, 1 / n, y, 0, NULL, y);
	}
}

void
cpu_mean_rows(void *state, const struct tensor *x, const int32_t *begin, const int32_t *end,
    int64_t n, struct tensor *out)
{
	struct rows_job job = { .cpu = state,
		.ids = begin,
		.end = end,
		.cols = tensor_cols(x),
		.x = x->data,
		.y = out->data };
	int64_t grain = rows_per_piece(tensor_count(x) / n + 1);

	thread_pool_run(job.cpu->pool, n, grain, mean_piece, &job);
}

/* Ranges may overlap: cut by columns, as above. */
static void
mean_backward_piece(void *arg, int64_t begin, int64_t end, int worker)
{
	const struct rows_job *job = arg;
	int64_t cols = job->cols;

	(void)worker;
	for (int64_t i = 0; i < job->n; i++) {
		float factor = 1 / (float)(job->end[i] - job->ids[i]);

		for (int32_t row = job->ids[i]; row < job->end[i]; row++) {
			float *dx = job->y + row * cols + begin;

			job->cpu->rows->add(
			    end - begin, 1, dx, factor, job->x + i * cols + begin, dx);
		}
	}
}

void
cpu_mean_rows_backward(void *state, int64_t cols, const int32_t *begin, const int32_t *end,
    int64_t n, const float *dout, float *dx)
{
	struct rows_job job = {
		.cpu = state, .ids = begin, .end = end, .n = n, .cols = cols, .x = dout, .y = dx
	};

	thread_pool_run(job.cpu->pool, cols, 128, mean_backward_piece, &job);
}
