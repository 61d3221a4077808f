/*
 * cpu/attention-few.c - attention of a few queries over long caches: decoding.
 *
 * The work is to read keys and values once, as they lie in memory: a piece takes a range of
 * keys and goes through all heads block by block, instead of through the cache once a head.
 * Each piece leaves its own maximum, sum and weighted values; the last step joins them. The
 * ranges of a row depend on its own keys only, so a lane gets the same bits alone and among others.
 */
#include "engine/cpu/attention.h"

#include <math.h>
#include <string.h>

#define KEY_BLOCK 64	/* keys of all heads that are worked on together */
#define LEAST_RANGE 512 /* keys that are worth a piece */
#define MAX_PIECES 32	/* of one tile, and of all tiles that are run together */
#define CACHE_LINE 64

/* What a range of keys says of one query: [head_dim] values, then these two. */
#define PART_MAXIMUM 0
#define PART_SUM 1
#define PART_EXTRA 2

struct key_range {
	const struct attention_tile *tile;
	int64_t begin, end;
	float *parts; /* [n_rows * n_heads][head_dim + PART_EXTRA] */
};

struct few_job {
	const struct attention_job *attention;
	struct key_range ranges[MAX_PIECES];
	int64_t n_ranges;
};

bool
attention_is_few(const struct attention_job *job, const struct attention_tile *tile)
{
	return tile->n_rows == 1 || (int64_t)tile->n_rows * job->group < FEW_QUERIES;
}

static int64_t
part_floats(const struct attention_job *job)
{
	return job->shape->head_dim + PART_EXTRA;
}

size_t
attention_few_floats(const struct attention_job *job)
{
	int64_t rows = FEW_QUERIES / job->group > 1 ? FEW_QUERIES / job->group : 1;

	return (size_t)(MAX_PIECES * rows * job->shape->n_heads * part_floats(job));
}

/* ---- one range ---- */

/* The heads of one block of keys: scores, exponentials and values of QUERIES queries. */
struct head_work {
	const struct attention_job *job;
	const struct key_range *range;
	int64_t n_queries; /* n_rows * group, for one head of k and v */
	float *q;	   /* [n_kv_heads][n_queries][head_dim], scaled */
	float *scores;	   /* [n_queries][KEY_BLOCK] */
	int64_t key, n_keys;
};

/* Scores become exponentials, 0 where not seen; what was summed before is corrected. */
static void
exponentiate_query(const struct head_work *work, int64_t query, float *part)
{
	const struct attention_job *job = work->job;
	const struct row_kernels *kernels = job->cpu->rows;
	int64_t hd = job->shape->head_dim, row = work->range->tile->row + query / job->group;
	int64_t from = job->shape->kv_begin[row] - work->key,
		to = job->shape->kv_end[row] - work->key;
	float *scores = work->scores + query * KEY_BLOCK, *extra = part + hd, maximum, old;

	from = from < 0 ? 0 : from > work->n_keys ? work->n_keys : from;
	to = to < from ? from : to > work->n_keys ? work->n_keys : to;
	memset(scores, 0, (size_t)from * sizeof *scores);
	memset(scores + to, 0, (size_t)(work->n_keys - to) * sizeof *scores);
	if (from == to)
		return;
	if (job->shape->softcap > 0)
		kernels->cap(to - from, job->shape->softcap, scores + from);
	maximum = kernels->maximum(to - from, scores + from);
	if (extra[PART_MAXIMUM] >= maximum)
		maximum = extra[PART_MAXIMUM];
	else {
		old = expf(extra[PART_MAXIMUM] - maximum);
		extra[PART_SUM] *= old;
		extra[PART_MAXIMUM] = maximum;
		kernels->add(hd, old, part, 0, NULL, part);
	}
	extra[PART_SUM] += (float)kernels->exponentiate(to - from, maximum, scores + from);
}

static void
head_of_block(const struct head_work *work, int kv_head)
{
	const struct attention_job *job = work->job;
	int64_t hd = job->shape->head_dim, n = work->n_queries, part = part_floats(job);
	float *parts = work->range->parts + kv_head * n * part;
	struct dot_products dots = { .dtype = job->kv_dtype,
		.row_bytes = job->kv_row_bytes,
		.n_outputs = work->n_keys,
		.x = work->q + kv_head * n * hd,
		.x_row = hd,
		.n_rows = n,
		.k = hd,
		.y = work->scores,
		.y_row = KEY_BLOCK };
	struct weighted_sum values = { .dtype = job->kv_dtype,
		.row_bytes = job->kv_row_bytes,
		.n_rows = work->n_keys,
		.n_cols = hd,
		.weights = work->scores,
		.weights_row = KEY_BLOCK,
		.n_sums = n,
		.sums = parts,
		.sums_row = part };

	dots.w = attention_row(job, job->k, work->key, kv_head);
	values.rows = attention_row(job, job->v, work->key, kv_head);
	job->cpu->matmul->dots(&dots);
	for (int64_t query = 0; query < n; query++)
		exponentiate_query(work, query, parts + query * part);
	job->cpu->rows->weighted_sum(&values);
}

/* Reads a byte of each cache line of the block, in order. One head's part of a row is too short
 * for the processor to guess what comes next; whole rows stream at full speed, and the heads
 * then find them in the second-level cache. (Prefetch instructions are dropped when there are
 * too many at once.) */
static void
fetch_block(const struct attention_job *job, int64_t key, int64_t n_keys)
{
	const unsigned char *rows[2] = { job->k, job->v };
	size_t bytes = (size_t)n_keys * job->kv_row_bytes;

	for (int i = 0; i < 2; i++) {
		const volatile unsigned char *block = rows[i] + (size_t)key * job->kv_row_bytes;

		for (size_t at = 0; at < bytes; at += CACHE_LINE)
			(void)block[at];
	}
}

static void
range_piece(void *arg, int64_t begin, int64_t end, int worker)
{
	const struct few_job *few = arg;
	const struct attention_job *job = few->attention;
	int64_t hd = job->shape->head_dim, n_kv_heads = job->shape->n_kv_heads;

	for (int64_t r = begin; r < end; r++) {
		const struct key_range *range = &few->ranges[r];
		struct head_work work = { .job = job, .range = range };
		int64_t rows = range->tile->n_rows, total = rows * job->shape->n_heads;

		work.n_queries = rows * job->group;
		for (int64_t query = 0; query < total; query++) {
			float *part = range->parts + query * part_floats(job);

			memset(part, 0, (size_t)part_floats(job) * sizeof *part);
			part[hd + PART_MAXIMUM] = -INFINITY;
		}
		work.q = cpu_worker_scratch(job->cpu, worker,
		    (size_t)(total * hd + work.n_queries * KEY_BLOCK) * sizeof(float));
		if (work.q == NULL) /* nothing plausible: a sum of 0 makes it NaN */
			continue;
		work.scores = work.q + total * hd;
		for (int64_t head = 0; head < n_kv_heads; head++)
			attention_collect(job, range->tile, (int)head, job->q, job->shape->scale,
			    work.q + head * work.n_queries * hd);
		for (work.key = range->begin; work.key < range->end; work.key += KEY_BLOCK) {
			int64_t left = range->end - work.key;

			work.n_keys = left < KEY_BLOCK ? left : KEY_BLOCK;
			fetch_block(job, work.key, work.n_keys);
			for (int head = 0; head < n_kv_heads; head++)
				head_of_block(&work, head);
		}
	}
}

/* ---- all ranges of a tile, joined ---- */

static void
join_query(const struct attention_job *job, const struct key_range *ranges, int64_t n,
    int64_t query, float *out)
{
	int64_t hd = job->shape->head_dim, at = query * part_floats(job);
	float maximum = -INFINITY, sum = 0;

	for (int64_t r = 0; r < n; r++) {
		float each = ranges[r].parts[at + hd + PART_MAXIMUM];

		maximum = each > maximum ? each : maximum;
	}
	for (int64_t r = 0; r < n; r++) {
		const float *part = ranges[r].parts + at;
		float factor = expf(part[hd + PART_MAXIMUM] - maximum);

		sum += factor * part[hd + PART_SUM];
		job->cpu->rows->add(hd, factor, part, r > 0 ? 1 : 0, r > 0 ? out : NULL, out);
	}
	job->cpu->rows->add(hd, 1 / sum, out, 0, NULL, out);
}

static void
join_tile(const struct attention_job *job, const struct key_range *ranges, int64_t n)
{
	const struct attention_tile *tile = ranges->tile;
	int64_t n_queries = (int64_t)tile->n_rows * job->group;

	for (int kv_head = 0; kv_head < job->shape->n_kv_heads; kv_head++)
		for (int64_t query = 0; query < n_queries; query++)
			join_query(job, ranges, n, kv_head * n_queries + query,
			    attention_output(job, tile, kv_head, query));
}

static void
run_ranges(struct few_job *few)
{
	int64_t first = 0;

	thread_pool_run(few->attention->cpu->pool, few->n_ranges, 1, range_piece, few);
	for (int64_t i = 1; i <= few->n_ranges; i++) {
		if (i < few->n_ranges && few->ranges[i].tile == few->ranges[first].tile)
			continue;
		join_tile(few->attention, &few->ranges[first], i - first);
		first = i;
	}
	few->n_ranges = 0;
}

void
attention_few(const struct attention_job *job, float *parts)
{
	struct few_job few = { .attention = job };
	int64_t parts_of_range = (int64_t)attention_few_floats(job) / MAX_PIECES;

	for (int64_t t = 0; t < job->n_tiles; t++) {
		const struct attention_tile *tile = &job->tiles[t];
		int64_t n_keys = tile->end - tile->begin;
		int64_t length = (n_keys / MAX_PIECES / KEY_BLOCK + 1) * KEY_BLOCK;

		if (!attention_is_few(job, tile))
			continue;
		if (length < LEAST_RANGE)
			length = LEAST_RANGE;
		if (few.n_ranges + (n_keys + length - 1) / length > MAX_PIECES)
			run_ranges(&few);
		for (int64_t key = tile->begin; key < tile->end; key += length) {
			few.ranges[few.n_ranges] = (struct key_range){ tile, key,
				key + length < tile->end ? key + length : tile->end,
				parts + few.n_ranges * parts_of_range };
			few.n_ranges++;
		}
	}
	run_ranges(&few);
}
