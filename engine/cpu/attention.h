/*
 * cpu/attention.h - how attention is cut: tiles of query rows, blocks of keys.
 *
 * A tile is some rows of q that see about the same keys, for the group of query heads that share
 * one head of k and v: TILE_QUERIES queries at most, so each key and value is read once for all
 * of them. It walks its keys in blocks and keeps a running maximum and sum (Milakov & Gimelshein
 * 2018; Dao et al. 2022), so memory does not grow with the context. The cuts depend on the shape
 * alone.
 */
#ifndef ENGINE_CPU_ATTENTION_H
#define ENGINE_CPU_ATTENTION_H

#include "engine/cpu/kernels-matmul.h"
#include "engine/cpu/rows.h"

/* Rows of q that are cut into tiles at a time: the tiles fit the shared scratch that is there
 * from the start. */
#define TILED_ROWS 4096

struct attention_tile {
	int64_t row; /* first of q */
	int32_t n_rows;
	int32_t begin, end; /* keys that any of the rows sees */
};

struct attention_job {
	struct cpu *cpu;
	const struct attention_shape *shape;
	int group; /* query heads that share a head of k and v */
	int64_t q_cols, kv_cols;
	const float *q;
	enum dtype kv_dtype;
	const unsigned char *k, *v;
	size_t kv_row_bytes;
	float *out;
	/* Backward; each may be NULL. */
	const float *dout;
	float *dq, *dk, *dv;

	int64_t max_queries; /* of a tile */
	int64_t key_block;
	struct attention_tile *tiles;
	int64_t n_tiles;
};

/* Fewer queries than this in a tile, or a single row, go the way of decoding. */
#define FEW_QUERIES 8

/* One tile under work, for one head of k and v. Query i is row i / group, head i % group. */
struct tile_work {
	const struct attention_job *job;
	const struct attention_tile *tile;
	int kv_head;
	int64_t n_queries, width; /* width: padded to whole vectors */
	float *q;		  /* [n_queries, hd], scaled */
	float *q_panels;	  /* q transposed, panels of [hd][panel_cols] */
	float *out;		  /* [n_queries, hd]: the weighted sum of v so far */
	float *keys;		  /* [key_block, hd]: k of stored formats, widened */
	float *panel;		  /* [key_block][panel_cols] */
	int32_t *begin, *end;	  /* [width] */
	float *correction;	  /* [width] */
	struct score_strip strip;
};

/* Cuts rows FROM .. of q into tiles; returns the row after the last. */
int64_t attention_cut(struct attention_job *job, int64_t from, int64_t n_rows);

void attention_start(struct attention_job *job, const struct tensor *q, const struct tensor *k,
    const struct tensor *v, const struct attention_shape *shape);

/* Floats of scratch that a tile needs, and its parts within the scratch. */
size_t attention_tile_floats(const struct attention_job *job);
float *attention_lay_out(struct tile_work *work, float *scratch);

/* Where a row of k or v holds the elements of a head; where a query's result goes. */
const unsigned char *attention_row(
    const struct attention_job *job, const unsigned char *rows, int64_t key, int kv_head);
float *attention_output(
    const struct attention_job *job, const struct attention_tile *tile, int kv_head, int64_t query);
/* Copies the tile's queries from ROWS (shaped like q) into [n_queries, hd], times FACTOR. */
void attention_collect(const struct attention_job *job, const struct attention_tile *tile,
    int kv_head, const float *rows, float factor, float *collected);
/* Transposes [n_queries, hd] into panels. */
void attention_turn(const struct tile_work *work, const float *collected, float *panels);

/* strip[key][query] = a row of A (k or v, from FIRST_KEY on) times a column of PANELS. */
void attention_scores(const struct tile_work *work, const unsigned char *a, int64_t n_keys,
    int64_t first_key, const float *panels, float *strip);

/* Leaves the weighted sum of v in work->out and the maxima and sums in the strip. */
void attention_forward(struct tile_work *work);

/* All tiles of few queries; PARTS is attention_few_floats() of memory. */
bool attention_is_few(const struct attention_job *job, const struct attention_tile *tile);
size_t attention_few_floats(const struct attention_job *job);
void attention_few(const struct attention_job *job, float *parts);

#endif
