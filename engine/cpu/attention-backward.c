/*
 * cpu/attention-backward.c - gradients of attention; probabilities are computed again.
 *
 * With S = scaled scores, P = softmax(S), o = P v:
 *     dv = P^T do, dP = do v^T, dS = P (dP - D), dq = scale dS k, dk = scale dS^T q,
 * where D of a query is the sum of P dP over its keys, which is do.o as well. When a block holds
 * all keys of a tile (training on short rows) D comes from P and dP; else a forward walk finds
 * maxima, sums and o first.
 *
 * Tiles that share keys add to the same rows of dk and dv: they make a segment, done in order by
 * one thread. Packed sequences and heads of k are segments of their own.
 */
#include "engine/cpu/attention.h"

#include <math.h>
#include <string.h>

struct gradient_job {
	struct attention_job attention;
	int32_t *segments; /* first tile of each, and the end */
	int64_t n_segments;
};

struct gradient_work {
	struct tile_work tile;
	float *dout;	    /* [n_queries, hd] */
	float *dout_panels; /* do transposed */
	float *q_cols;	    /* q in panels of [n_queries][panel_cols], not transposed */
	float *dout_cols;
	float *dq;     /* [n_queries, hd] */
	float *dp;     /* [key_block, width] */
	float *shared; /* [width]: D */
};

static size_t
gradient_floats(const struct attention_job *job)
{
	int64_t hd = job->shape->head_dim, panels = (hd + MAX_PANEL_COLS - 1) / MAX_PANEL_COLS;
	int64_t width = job->max_queries + MAX_PANEL_COLS;

	return attention_tile_floats(job) +
	       (size_t)(width * (3 * hd + 2 * panels * MAX_PANEL_COLS + 1) +
			2 * job->key_block * width);
}

static void
lay_out(struct gradient_work *work, float *scratch)
{
	struct tile_work *tile = &work->tile;
	int64_t hd = tile->job->shape->head_dim;
	int64_t padded_hd = (hd + MAX_PANEL_COLS - 1) / MAX_PANEL_COLS * MAX_PANEL_COLS;
	float *next = attention_lay_out(tile, scratch);
	int64_t width = tile->width, block = tile->job->key_block * width;

	work->dout = next;
	work->dout_panels = work->dout + width * hd;
	work->dq = work->dout_panels + (width + MAX_PANEL_COLS) * hd;
	work->q_cols = work->dq + width * hd;
	work->dout_cols = work->q_cols + width * padded_hd;
	work->shared = work->dout_cols + width * padded_hd;
	work->dp = work->shared + width;
	if (tile->strip.softcap > 0)
		tile->strip.slopes = work->dp + block;
}

/* ---- products ---- */

/* [n_queries, hd] as panels of panel_cols columns. */
static void
cut_columns(const struct tile_work *tile, const float *rows, float *panels)
{
	const struct matmul_kernels *matmul = tile->job->cpu->matmul;
	int64_t hd = tile->job->shape->head_dim;
	struct stored_block block = { .dtype = DTYPE_F32,
		.rows = rows,
		.row_bytes = (size_t)hd * sizeof(float),
		.n_rows = tile->n_queries };

	for (int64_t i = 0; i < hd; i += matmul->panel_cols) {
		block.col_begin = i;
		block.n_cols = hd - i < matmul->panel_cols ? hd - i : matmul->panel_cols;
		matmul->pack(&block, panels + i * tile->n_queries);
	}
}

/* target[key] += sum over queries of strip[key][query] * row of the query. */
static void
add_to_keys(const struct tile_work *tile, const float *strip, const float *panels, float *target)
{
	const struct attention_job *job = tile->job;
	const struct matmul_kernels *matmul = job->cpu->matmul;
	int64_t hd = job->shape->head_dim;
	struct panel_product product = { .m = tile->strip.n_keys,
		.k = tile->n_queries,
		.alpha = 1,
		.beta = 1,
		.a = strip,
		.a_row = tile->width,
		.a_k = 1,
		.b_k = matmul->panel_cols,
		.c_row = job->kv_cols };

	if (target == NULL)
		return;
	target += tile->strip.first_key * job->kv_cols + tile->kv_head * hd;
	for (int64_t i = 0; i < hd; i += matmul->panel_cols) {
		product.n = hd - i < matmul->panel_cols ? hd - i : matmul->panel_cols;
		product.b = panels + i * tile->n_queries;
		product.c = target + i;
		matmul->multiply_panel(&product);
	}
}

/* dq[query] += sum over keys of dS[key][query] * k[key] */
static void
add_to_queries(struct gradient_work *work)
{
	const struct tile_work *tile = &work->tile;
	const struct attention_job *job = tile->job;
	const struct matmul_kernels *matmul = job->cpu->matmul;
	int64_t hd = job->shape->head_dim;
	struct stored_block block = { .dtype = DTYPE_F32,
		.rows = job->k,
		.row_bytes = job->kv_row_bytes,
		.row_begin = tile->strip.first_key,
		.n_rows = tile->strip.n_keys };
	struct panel_product product = { .m = tile->n_queries,
		.k = tile->strip.n_keys,
		.alpha = 1,
		.a = work->dp,
		.a_row = 1,
		.a_k = tile->width,
		.b = tile->panel,
		.b_k = matmul->panel_cols,
		.c_row = hd };

	product.beta = tile->strip.first_key > tile->tile->begin ? 1 : 0;
	for (int64_t i = 0; i < hd; i += matmul->panel_cols) {
		product.n = block.n_cols =
		    hd - i < matmul->panel_cols ? hd - i : matmul->panel_cols;
		block.col_begin = tile->kv_head * hd + i;
		matmul->pack(&block, tile->panel);
		product.c = work->dq + i;
		matmul->multiply_panel(&product);
	}
}

/* ---- a tile ---- */

/* D = do.o, from a forward walk that also leaves the final maxima and sums. */
static void
find_shared(struct gradient_work *work)
{
	struct tile_work *tile = &work->tile;
	int64_t hd = tile->job->shape->head_dim;
	float *slopes = tile->strip.slopes;

	tile->strip.slopes = NULL;
	attention_forward(tile);
	tile->strip.slopes = slopes;
	memset(work->shared, 0, (size_t)tile->width * sizeof(float));
	for (int64_t query = 0; query < tile->n_queries; query++) {
		double sum = 0;

		for (int64_t i = query * hd; i < (query + 1) * hd; i++)
			sum += (double)work->dout[i] * (double)tile->out[i];
		work->shared[query] = (float)(sum / (double)tile->strip.sum[query]);
	}
}

static void
block_gradients(struct gradient_work *work, int64_t key, bool whole)
{
	struct tile_work *tile = &work->tile;
	const struct attention_job *job = tile->job;
	const struct row_kernels *kernels = job->cpu->rows;
	struct score_strip *strip = &tile->strip;
	int64_t left = tile->tile->end - key;

	strip->first_key = (int32_t)key;
	strip->n_keys = left < job->key_block ? left : job->key_block;
	attention_scores(tile, job->k, strip->n_keys, key, tile->q_panels, strip->scores);
	attention_scores(tile, job->v, strip->n_keys, key, work->dout_panels, work->dp);
	if (whole) {
		kernels->softmax_columns(strip, tile->correction);
		kernels->normalise_columns(strip, work->dp, work->shared);
	} else {
		kernels->probabilities(strip);
	}
	add_to_keys(tile, strip->scores, work->dout_cols, job->dv);
	kernels->score_gradients(strip, work->shared, work->dp);
	/* q was collected scaled, so dk is complete; dq gets the scale at the end. */
	add_to_keys(tile, work->dp, work->q_cols, job->dk);
	if (job->dq != NULL)
		add_to_queries(work);
}

static void
tile_gradients(struct gradient_work *work)
{
	struct tile_work *tile = &work->tile;
	const struct attention_job *job = tile->job;
	int64_t n = (int64_t)job->group * job->shape->head_dim;
	bool whole = tile->tile->end - tile->tile->begin <= job->key_block;

	attention_collect(job, tile->tile, tile->kv_head, job->dout, 1, work->dout);
	attention_turn(tile, work->dout, work->dout_panels);
	cut_columns(tile, work->dout, work->dout_cols);
	attention_collect(job, tile->tile, tile->kv_head, job->q, job->shape->scale, tile->q);
	attention_turn(tile, tile->q, tile->q_panels);
	cut_columns(tile, tile->q, work->q_cols);
	if (!whole)
		find_shared(work);
	for (int64_t key = tile->tile->begin; key < tile->tile->end; key += job->key_block)
		block_gradients(work, key, whole);
	for (int64_t row = 0; job->dq != NULL && row < tile->tile->n_rows; row++) {
		float *dq = job->dq + (tile->tile->row + row) * job->q_cols + tile->kv_head * n;

		job->cpu->rows->add(n, 1, dq, job->shape->scale, work->dq + row * n, dq);
	}
}

/* ---- the operation ---- */

static void
segment_piece(void *arg, int64_t begin, int64_t end, int worker)
{
	const struct gradient_job *job = arg;
	const struct attention_job *attention = &job->attention;
	int64_t n_kv_heads = attention->shape->n_kv_heads;
	float *scratch =
	    cpu_worker_scratch(attention->cpu, worker, gradient_floats(attention) * sizeof(float));

	for (int64_t i = begin; i < end && scratch != NULL; i++) {
		const int32_t *segment = &job->segments[i / n_kv_heads];

		for (int32_t t = segment[0]; t < segment[1]; t++) {
			struct gradient_work work = { .tile = { .job = attention,
							  .tile = &attention->tiles[t],
							  .kv_head = (int)(i % n_kv_heads) } };

			lay_out(&work, scratch);
			tile_gradients(&work);
		}
	}
}

/* A segment ends where no later tile begins before the keys of all earlier ones end. */
static void
cut_segments(struct gradient_job *job)
{
	const struct attention_tile *tiles = job->attention.tiles;
	int64_t n = job->attention.n_tiles, n_segments = 0;
	int32_t *segments = job->segments, later = INT32_MAX, reached = 0;

	/* First the least key of the tiles from t on, in place; then the bounds over it. */
	for (int64_t t = n - 1; t >= 0; t--)
		segments[t] = later = tiles[t].begin < later ? tiles[t].begin : later;
	for (int64_t t = 0; t < n; t++) {
		if (t == 0 || segments[t] >= reached)
			segments[n_segments++] = (int32_t)t;
		reached = tiles[t].end > reached ? tiles[t].end : reached;
	}
	segments[n_segments] = (int32_t)n;
	job->n_segments = n_segments;
}

void
cpu_attention_backward(void *state, const struct tensor *q, const struct tensor *k,
    const struct tensor *v, const struct attention_shape *shape, const float *dout, float *dq,
    float *dk, float *dv)
{
	struct gradient_job job = {
		.attention = { .cpu = state, .dout = dout, .dq = dq, .dk = dk, .dv = dv }
	};
	struct attention_job *attention = &job.attention;
	int64_t row = 0, n_rows = tensor_rows(q);

	attention_start(attention, q, k, v, shape);
	attention->tiles = cpu_shared_scratch(attention->cpu,
	    TILED_ROWS * sizeof *attention->tiles + (TILED_ROWS + 1) * sizeof *job.segments);
	if (attention->tiles == NULL)
		return;
	job.segments = (int32_t *)(void *)(attention->tiles + TILED_ROWS);
	while (row < n_rows) {
		row = attention_cut(attention, row, n_rows);
		cut_segments(&job);
		thread_pool_run(attention->cpu->pool, job.n_segments * shape->n_kv_heads, 1,
		    segment_piece, &job);
	}
}
