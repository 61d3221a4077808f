/* batch.c - packs sequences into rows and asks the decoder for their loss. */

#include <stdlib.h>
#include <string.h>

#include "engine/error.h"
#include "engine/tensor/tape.h"
#include "engine/training/batch.h"
#include "engine/training/random.h"
#include "engine/training/trainer.h"

void
batch_reset(struct batch *batch)
{
	batch->n_rows = batch->n_outputs = 0;
}

void
batch_release(struct batch *batch)
{
	free(batch->tokens);
	free(batch->weights);
	*batch = (struct batch){ 0 };
}

/* The six integer arrays share one block, moved together. */
static bool
grow(struct batch *batch, int64_t wanted)
{
	int64_t n = batch->n_allocated ? batch->n_allocated : 1024;
	int32_t *block;
	float *weights;

	if (wanted <= batch->n_allocated)
		return true;
	while (n < wanted)
		n *= 2;
	weights = realloc(batch->weights, (size_t)n * sizeof *weights);
	if (weights == NULL)
		return false;
	batch->weights = weights;
	block = malloc((size_t)n * 6 * sizeof *block);
	if (block == NULL)
		return false;

	int32_t **arrays[6] = { &batch->tokens, &batch->positions, &batch->kv_begin, &batch->kv_end,
		&batch->output_rows, &batch->targets };
	int32_t *old = batch->tokens;

	for (int i = 0; i < 6; i++) {
		if (old != NULL)
			memcpy(block + i * n, *arrays[i], (size_t)batch->n_rows * sizeof *block);
		*arrays[i] = block + i * n;
	}
	free(old);
	batch->n_allocated = n;
	return true;
}

/* The row of token I of a sequence that begins at row FIRST; COUNTS: the next token does. */
static void
add_row(
    struct batch *batch, int32_t first, const int32_t *ids, int64_t i, bool counts, float weight)
{
	int32_t row = first + (int32_t)i;

	batch->tokens[row] = ids[i];
	batch->positions[row] = (int32_t)i;
	batch->kv_begin[row] = first;
	batch->kv_end[row] = row + 1;
	if (!counts)
		return;
	batch->output_rows[batch->n_outputs] = row;
	batch->targets[batch->n_outputs] = ids[i + 1];
	batch->weights[batch->n_outputs++] = weight;
}

static enum t2l_status
make_room(struct batch *batch, int64_t n, struct t2l_error *err)
{
	if (batch->n_rows + n > INT32_MAX / 8 || !grow(batch, batch->n_rows + n))
		return t2l_fail(err, T2L_ENOMEM, "training: the batch is too large");
	return T2L_OK;
}

enum t2l_status
batch_add(struct batch *batch, const int32_t *ids, const int32_t *labels, int64_t n, float weight,
    struct t2l_error *err)
{
	int32_t first = (int32_t)batch->n_rows;
	enum t2l_status status = make_room(batch, n, err);

	for (int64_t i = 0; i + 1 < n && status == T2L_OK; i++)
		add_row(batch, first, ids, i, labels[i + 1] != LABEL_IGNORED, weight);
	if (n > 1 && status == T2L_OK)
		batch->n_rows += n - 1;
	return status;
}

enum t2l_status
batch_add_response(struct batch *batch, const int32_t *ids, int64_t n, int64_t n_prompt,
    float weight, struct t2l_error *err)
{
	int32_t first = (int32_t)batch->n_rows;
	enum t2l_status status = make_room(batch, n, err);

	for (int64_t i = 0; i + 1 < n && status == T2L_OK; i++)
		add_row(batch, first, ids, i, i + 1 >= n_prompt, weight);
	if (n > 1 && status == T2L_OK)
		batch->n_rows += n - 1;
	return status;
}

enum t2l_status
batch_take(struct batch *part, const struct batch *whole, int64_t row_begin, int64_t row_end,
    struct t2l_error *err)
{
	int64_t n = row_end - row_begin;

	batch_reset(part);
	if (!grow(part, n))
		return t2l_fail(err, T2L_ENOMEM, "training: out of memory");
	part->noise = whole->noise;
	part->noise_seed = whole->noise_seed;
	part->noise_first = whole->noise_first + row_begin;
	part->recompute = whole->recompute;
	part->chunk_rows = whole->chunk_rows;
	part->n_rows = n;
	memcpy(part->tokens, whole->tokens + row_begin, (size_t)n * sizeof *part->tokens);
	memcpy(part->positions, whole->positions + row_begin, (size_t)n * sizeof *part->positions);
	for (int64_t i = 0; i < n; i++) {
		part->kv_begin[i] = whole->kv_begin[row_begin + i] - (int32_t)row_begin;
		part->kv_end[i] = whole->kv_end[row_begin + i] - (int32_t)row_begin;
	}
	for (int64_t i = 0; i < whole->n_outputs; i++) {
		if (whole->output_rows[i] < row_begin || whole->output_rows[i] >= row_end)
			continue;
		part->output_rows[part->n_outputs] = whole->output_rows[i] - (int32_t)row_begin;
		part->targets[part->n_outputs] = whole->targets[i];
		part->weights[part->n_outputs++] = whole->weights[i];
	}
	return T2L_OK;
}

int64_t
batch_sequence(const struct batch *batch, int64_t number)
{
	int64_t row = 0;

	for (; row < batch->n_rows; row++)
		if (batch->kv_begin[row] == row && number-- == 0)
			return row;
	return row;
}

int64_t
batch_n_sequences(const struct batch *batch)
{
	int64_t n = 0;

	for (int64_t row = 0; row < batch->n_rows; row++)
		n += batch->kv_begin[row] == row;
	return n;
}

int64_t
batch_longest_sequence(const struct batch *batch)
{
	int32_t longest = 0;

	for (int64_t row = 0; row < batch->n_rows; row++)
		if (batch->positions[row] >= longest)
			longest = batch->positions[row] + 1;
	return longest;
}

/* Uniform in +-noise, row by row, so that how the batch is divided does not show. */
static struct tensor *
draw_noise(struct ops *ops, const struct batch *batch, int64_t hidden_size)
{
	struct tensor *noise =
	    ops_tensor(ops, 2, (const int64_t[]){ batch->n_rows, hidden_size }, false);

	for (int64_t row = 0; noise != NULL && row < batch->n_rows; row++) {
		struct random random = random_at(
		    batch->noise_seed, STREAM_NOISE, (uint64_t)(batch->noise_first + row));
		float *values = tensor_f32(noise) + row * hidden_size;

		for (int64_t i = 0; i < hidden_size; i++)
			values[i] = batch->noise * (float)(2 * random_uniform(&random) - 1);
	}
	return noise;
}

/* ---- the loss ---- */

struct chunk {
	const struct decoder *decoder;
	const struct batch *batch; /* its rows alone */
	const struct lora_table *lora;
	int64_t row_begin; /* of the rows that LORA speaks of */
	float label_smoothing;
};

/* The spans of rows FROM .. +N, counted from there. NULL when out of memory. */
static struct lora_table *
cut_table(struct arena *arena, const struct lora_table *whole, int64_t from, int64_t n)
{
	struct lora_table *table = arena_alloc(arena, sizeof *table);
	size_t n_places = lora_place_count(whole);

	if (table == NULL)
		return NULL;
	*table = *whole;
	table->spans = arena_alloc_zero(arena, n_places * sizeof *table->spans);
	table->n_spans = arena_alloc_zero(arena, n_places * sizeof *table->n_spans);
	if (table->spans == NULL || table->n_spans == NULL)
		return NULL;
	for (size_t place = 0; place < n_places; place++) {
		int n_spans = whole->n_spans[place];
		struct lora_span *spans = arena_alloc(arena, (size_t)n_spans * sizeof *spans);

		if (spans == NULL)
			return NULL;
		table->spans[place] = spans;
		for (int i = 0; i < n_spans; i++) {
			struct lora_span span = whole->spans[place][i];
			int64_t begin = span.row_begin - from, end = begin + span.row_count;

			begin = begin > 0 ? begin : 0;
			end = end < n ? end : n;
			if (begin >= end)
				continue;
			span.row_begin = begin;
			span.row_count = end - begin;
			spans[table->n_spans[place]++] = span;
		}
	}
	return table;
}

static struct tensor *
chunk_loss(struct ops *ops, const void *user)
{
	const struct chunk *chunk = user;
	const struct batch *batch = chunk->batch;
	struct decoder_batch rows = {
		.n_rows = batch->n_rows,
		.tokens = batch->tokens,
		.positions = batch->positions,
		.kv_begin = batch->kv_begin,
		.kv_end = batch->kv_end,
		.output_rows = batch->output_rows,
		.n_outputs = batch->n_outputs,
		.recompute = batch->recompute,
	};
	struct tensor *logits;

	if (chunk->lora != NULL) {
		rows.lora = cut_table(ops_arena(ops), chunk->lora, chunk->row_begin, batch->n_rows);
		if (rows.lora == NULL)
			return ops_out_of_memory(ops);
	}
	if (batch->noise > 0) {
		rows.noise = draw_noise(ops, batch, chunk->decoder->config.hidden_size);
		if (rows.noise == NULL)
			return NULL;
	}
	logits = decoder_forward(ops, chunk->decoder, &rows);
	return op_cross_entropy(
	    ops, logits, batch->targets, batch->weights, chunk->label_smoothing, NULL);
}

/* Rows that each of the chunks of N_ROWS should have: as many in one as in another. */
static int64_t
rows_of_chunk(int64_t n_rows, int64_t chunk_rows)
{
	int64_t n_chunks;

	if (chunk_rows <= 0 || n_rows <= chunk_rows)
		return n_rows;
	n_chunks = (n_rows + chunk_rows - 1) / chunk_rows;
	return (n_rows + n_chunks - 1) / n_chunks;
}

/* The end of the chunk that begins at ROW, with which a sequence ends. */
static int64_t
chunk_end(const struct batch *batch, int64_t row)
{
	int64_t end = row + rows_of_chunk(batch->n_rows, batch->chunk_rows);

	while (end < batch->n_rows && batch->kv_begin[end] != end)
		end++;
	return end < batch->n_rows ? end : batch->n_rows;
}

int64_t
batch_longest_chunk(int64_t n_rows, int64_t chunk_rows, int64_t longest_sequence)
{
	int64_t rows = rows_of_chunk(n_rows, chunk_rows);

	/* One row short of its size, a chunk takes another sequence. */
	return n_rows - rows <= longest_sequence ? n_rows : rows + longest_sequence - 1;
}

struct tensor *
batch_loss(struct ops *ops, const struct decoder *decoder, const struct batch *batch,
    const struct lora_table *lora, float label_smoothing)
{
	struct batch rows = { 0 };
	struct chunk chunk = { decoder, &rows, lora, 0, label_smoothing };
	struct tensor *loss = NULL;
	struct t2l_error err;

	for (int64_t end; chunk.row_begin < batch->n_rows; chunk.row_begin = end) {
		struct tensor *part;

		end = chunk_end(batch, chunk.row_begin);
		if (batch_take(&rows, batch, chunk.row_begin, end, &err) != T2L_OK) {
			loss = ops_out_of_memory(ops);
			break;
		}
		if (rows.n_outputs == 0)
			continue;
		part = op_loss_part(ops, chunk_loss, &chunk);
		loss = loss == NULL ? part : op_add(ops, 1, loss, 1, part);
		if (loss == NULL)
			break;
	}
	batch_release(&rows);
	if (loss == NULL)
		tape_fail(ops, T2L_EINVAL, "training: no token of the batch counts");
	return loss;
}
