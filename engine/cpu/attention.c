/*
 * cpu/attention.c - attention forward.
 *
 * Tiles of many queries compute scores with a column for each query, so that maxima,
 * exponentials and sums run over whole vectors however short the rows are. A few queries (a
 * decoding step) go through attention-few.c.
 */
#include "engine/cpu/attention.h"

#include <math.h>
#include <string.h>

#define WIDTH_UNIT 16 /* columns of a strip: whole vectors of every instruction set */

static int64_t
clamp64(int64_t x, int64_t least, int64_t most)
{
	return x < least ? least : x > most ? most : x;
}

static int64_t
round_up(int64_t x, int64_t unit)
{
	return (x + unit - 1) / unit * unit;
}

void
attention_start(struct attention_job *job, const struct tensor *q, const struct tensor *k,
    const struct tensor *v, const struct attention_shape *shape)
{
	job->shape = shape;
	job->group = shape->n_heads / shape->n_kv_heads;
	job->q_cols = tensor_cols(q);
	job->kv_cols = tensor_cols(k);
	job->q = q->data;
	job->kv_dtype = k->dtype;
	job->k = k->data;
	job->v = v->data;
	job->kv_row_bytes = dtype_row_bytes(k->dtype, job->kv_cols);
	/* A tile's parts stay in the second-level cache, and for heads of up to 512 within the
	 * scratch that every worker has from the start. */
	job->max_queries = clamp64(8192 / shape->head_dim, 16, 128);
	if (job->max_queries < job->group)
		job->max_queries = job->group;
	job->key_block = clamp64(32768 / shape->head_dim / 32 * 32, 32, 256);
}

/* ---- tiles ---- */

static int32_t
min32(int32_t a, int32_t b)
{
	return a < b ? a : b;
}

static int32_t
max32(int32_t a, int32_t b)
{
	return a > b ? a : b;
}

/* The next row joins when it does not widen the keys by much: rows of one sequence do, the rows
 * of the next packed sequence do not. */
static bool
join_tile(const struct attention_job *job, struct attention_tile *tile, int64_t row)
{
	int32_t row_begin = job->shape->kv_begin[row], row_end = job->shape->kv_end[row];
	int32_t begin = min32(tile->begin, row_begin), end = max32(tile->end, row_end);
	int64_t longest = max32(tile->end - tile->begin, row_end - row_begin);

	if ((tile->n_rows + 1) * (int64_t)job->group > job->max_queries || row_begin >= tile->end ||
	    row_end <= tile->begin || end - begin > longest + 32)
		return false;
	tile->n_rows++;
	tile->begin = begin;
	tile->end = end;
	return true;
}

int64_t
attention_cut(struct attention_job *job, int64_t from, int64_t n_rows)
{
	int64_t row = from, last = from + TILED_ROWS < n_rows ? from + TILED_ROWS : n_rows;

	job->n_tiles = 0;
	while (row < last) {
		struct attention_tile *tile = &job->tiles[job->n_tiles++];

		*tile = (struct attention_tile){ .row = row,
			.n_rows = 1,
			.begin = job->shape->kv_begin[row],
			.end = job->shape->kv_end[row] };
		do
			row++;
		while (row < last && join_tile(job, tile, row));
	}
	return row;
}

/* ---- a tile's memory ---- */

size_t
attention_tile_floats(const struct attention_job *job)
{
	int64_t hd = job->shape->head_dim, width = round_up(job->max_queries, 2 * WIDTH_UNIT);

	return (
	    size_t)(3 * width * hd + job->key_block * (hd + MAX_PANEL_COLS + width) + 5 * width);
}

float *
attention_lay_out(struct tile_work *work, float *scratch)
{
	const struct attention_job *job = work->job;
	const struct attention_tile *tile = work->tile;
	int64_t hd = job->shape->head_dim, width;

	work->n_queries = (int64_t)tile->n_rows * job->group;
	width = work->width = round_up(work->n_queries, WIDTH_UNIT);
	work->q = scratch;
	work->q_panels = work->q + width * hd;
	work->out = work->q_panels + round_up(width, 2 * WIDTH_UNIT) * hd;
	work->keys = work->out + width * hd;
	work->panel = work->keys + job->key_block * hd;
	work->strip = (struct score_strip){ .width = width,
		.softcap = job->shape->softcap,
		.scores = work->panel + job->key_block * MAX_PANEL_COLS };
	work->strip.maximum = work->strip.scores + job->key_block * width;
	work->strip.sum = work->strip.maximum + width;
	work->correction = work->strip.sum + width;
	work->begin = (int32_t *)(void *)(work->correction + width);
	work->end = work->begin + width;
	work->strip.begin = work->begin;
	work->strip.end = work->end;
	for (int64_t i = 0; i < width; i++) {
		/* Padding is like the first query, with scores of 0; nobody looks at it. */
		int64_t row = tile->row + (i < work->n_queries ? i / job->group : 0);

		work->begin[i] = job->shape->kv_begin[row];
		work->end[i] = job->shape->kv_end[row];
		work->strip.maximum[i] = -INFINITY;
		work->strip.sum[i] = 0;
	}
	return (float *)(void *)(work->end + width);
}

/* The queries' elements within rows shaped like q. */
static int64_t
row_offset(
    const struct attention_job *job, const struct attention_tile *tile, int kv_head, int64_t row)
{
	return (tile->row + row) * job->q_cols +
	       (int64_t)kv_head * job->group * job->shape->head_dim;
}

float *
attention_output(
    const struct attention_job *job, const struct attention_tile *tile, int kv_head, int64_t query)
{
	return job->out + row_offset(job, tile, kv_head, query / job->group) +
	       query % job->group * job->shape->head_dim;
}

const unsigned char *
attention_row(const struct attention_job *job, const unsigned char *rows, int64_t key, int kv_head)
{
	size_t head_bytes = job->kv_row_bytes / (size_t)job->shape->n_kv_heads;

	return rows + (size_t)key * job->kv_row_bytes + (size_t)kv_head * head_bytes;
}

void
attention_collect(const struct attention_job *job, const struct attention_tile *tile, int kv_head,
    const float *rows, float factor, float *collected)
{
	int64_t n = (int64_t)job->group * job->shape->head_dim;

	for (int64_t row = 0; row < tile->n_rows; row++)
		job->cpu->rows->add(n, factor, rows + row_offset(job, tile, kv_head, row), 0, NULL,
		    collected + row * n);
}

void
attention_turn(const struct tile_work *work, const float *collected, float *panels)
{
	const struct matmul_kernels *matmul = work->job->cpu->matmul;
	int64_t hd = work->job->shape->head_dim, n = work->n_queries;

	for (int64_t i = 0; i < work->width; i += matmul->panel_cols) {
		struct stored_block block = { .dtype = DTYPE_F32,
			.rows = collected + i * hd,
			.row_bytes = (size_t)hd * sizeof(float),
			.n_cols = hd };

		block.n_rows = clamp64(n - i, 0, matmul->panel_cols);
		matmul->pack_transposed(&block, panels + i * hd);
	}
}

/* ---- the walk over the keys ---- */

void
attention_scores(const struct tile_work *work, const unsigned char *a, int64_t n_keys,
    int64_t first_key, const float *panels, float *strip)
{
	const struct attention_job *job = work->job;
	const struct matmul_kernels *matmul = job->cpu->matmul;
	int64_t hd = job->shape->head_dim;
	struct panel_product product = { .m = n_keys,
		.k = hd,
		.alpha = 1,
		.a_k = 1,
		.b_k = matmul->panel_cols,
		.c_row = work->width };

	if (job->kv_dtype == DTYPE_F32) {
		product.a =
		    (const float *)(const void *)attention_row(job, a, first_key, work->kv_head);
		product.a_row = job->kv_cols;
	} else {
		product.a = work->keys;
		product.a_row = hd;
		for (int64_t i = 0; i < n_keys; i++)
			job->cpu->rows->widen(job->kv_dtype,
			    attention_row(job, a, first_key + i, work->kv_head),
			    work->keys + i * hd, hd);
	}
	for (int64_t i = 0; i < work->width; i += matmul->panel_cols) {
		product.n = clamp64(work->width - i, 0, matmul->panel_cols);
		product.b = panels + i * hd;
		product.c = strip + i;
		matmul->multiply_panel(&product);
	}
}

/* out = correction * out + P v, for the strip's keys. */
static void
add_values(const struct tile_work *work)
{
	const struct attention_job *job = work->job;
	const struct matmul_kernels *matmul = job->cpu->matmul;
	int64_t hd = job->shape->head_dim;
	const struct score_strip *strip = &work->strip;
	struct panel_product product = { .m = work->n_queries,
		.k = strip->n_keys,
		.alpha = 1,
		.beta = strip->first_key > work->tile->begin ? 1 : 0,
		.a = strip->scores,
		.a_row = 1,
		.a_k = work->width,
		.b = work->panel,
		.b_k = matmul->panel_cols,
		.c_row = hd };
	struct stored_block block = { .dtype = job->kv_dtype,
		.rows = job->v,
		.row_bytes = job->kv_row_bytes,
		.row_begin = strip->first_key,
		.n_rows = strip->n_keys };

	for (int64_t i = 0; product.beta != 0 && i < work->n_queries; i++) {
		float *out = work->out + i * hd;

		if (work->correction[i] != 1)
			job->cpu->rows->add(hd, work->correction[i], out, 0, NULL, out);
	}
	for (int64_t i = 0; i < hd; i += matmul->panel_cols) {
		product.n = block.n_cols = clamp64(hd - i, 0, matmul->panel_cols);
		block.col_begin = work->kv_head * hd + i;
		matmul->pack(&block, work->panel);
		product.c = work->out + i;
		matmul->multiply_panel(&product);
	}
}

void
attention_forward(struct tile_work *work)
{
	const struct attention_job *job = work->job;
	const struct attention_tile *tile = work->tile;

	attention_collect(job, tile, work->kv_head, job->q, job->shape->scale, work->q);
	attention_turn(work, work->q, work->q_panels);
	for (int64_t key = tile->begin; key < tile->end; key += job->key_block) {
		int64_t n_keys = clamp64(tile->end - key, 0, job->key_block);

		work->strip.first_key = (int32_t)key;
		work->strip.n_keys = n_keys;
		attention_scores(work, job->k, n_keys, key, work->q_panels, work->strip.scores);
		job->cpu->rows->softmax_columns(&work->strip, work->correction);
		add_values(work);
	}
}

/* ---- the operation ---- */

static void
forward_tile(struct tile_work *work, float *scratch)
{
	const struct attention_job *job = work->job;
	int64_t hd = job->shape->head_dim;

	attention_lay_out(work, scratch);
	attention_forward(work);
	for (int64_t query = 0; query < work->n_queries; query++)
		job->cpu->rows->add(hd, 1 / work->strip.sum[query], work->out + query * hd, 0, NULL,
		    attention_output(job, work->tile, work->kv_head, query));
}

static void
forward_piece(void *arg, int64_t begin, int64_t end, int worker)
{
	const struct attention_job *job = arg;
	int64_t n_kv_heads = job->shape->n_kv_heads;
	size_t n = (size_t)job->group * (size_t)job->shape->head_dim;
	float *scratch =
	    cpu_worker_scratch(job->cpu, worker, attention_tile_floats(job) * sizeof(float));

	for (int64_t i = begin; i < end; i++) {
		const struct attention_tile *tile = &job->tiles[i / n_kv_heads];
		struct tile_work work = {
			.job = job, .tile = tile, .kv_head = (int)(i % n_kv_heads)
		};

		if (attention_is_few(job, tile))
			continue;
		if (scratch != NULL) {
			forward_tile(&work, scratch);
			continue;
		}
		/* Heads beyond 512, and no memory: nothing that looks plausible. */
		for (int64_t row = 0; row < tile->n_rows; row++)
			for (size_t j = 0; j < n; j++)
				job->out[row_offset(job, tile, work.kv_head, row) + (int64_t)j] =
				    NAN;
	}
}

void
cpu_attention(void *state, const struct tensor *q, const struct tensor *k, const struct tensor *v,
    const struct attention_shape *shape, struct tensor *out)
{
	struct attention_job job = { .cpu = state, .out = out->data };
	int64_t row = 0, n_rows = tensor_rows(q);
	size_t tile_bytes = TILED_ROWS * sizeof *job.tiles;
	unsigned char *scratch;

	attention_start(&job, q, k, v, shape);
	scratch =
	    cpu_shared_scratch(job.cpu, tile_bytes + attention_few_floats(&job) * sizeof(float));
	if (scratch == NULL)
		return;
	job.tiles = (struct attention_tile *)(void *)scratch;
	while (row < n_rows) {
		row = attention_cut(&job, row, n_rows);
		thread_pool_run(
		    job.cpu->pool, job.n_tiles * shape->n_kv_heads, 1, forward_piece, &job);
		attention_few(&job, (float *)(void *)(scratch + tile_bytes));
	}
}
