/* batch.c - packs sequences into rows and asks the decoder for their loss. */

#include <stdlib.h>
#include <string.h>

#include "engine/error.h"
#include "engine/training/batch.h"

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

enum t2l_status
batch_add(struct batch *batch, const int32_t *ids, const int32_t *labels, int64_t n, float weight,
    struct t2l_error *err)
{
	int32_t first = (int32_t)batch->n_rows;

	if (batch->n_rows + n > INT32_MAX / 8 || !grow(batch, batch->n_rows + n))
		return t2l_fail(err, T2L_ENOMEM, "training: the batch is too large");
	for (int64_t i = 0; i + 1 < n; i++) {
		int32_t row = first + (int32_t)i;

		batch->tokens[row] = ids[i];
		batch->positions[row] = (int32_t)i;
		batch->kv_begin[row] = first;
		batch->kv_end[row] = row + 1;
		if (labels[i + 1] == LABEL_IGNORED)
			continue;
		batch->output_rows[batch->n_outputs] = row;
		batch->targets[batch->n_outputs] = labels[i + 1];
		batch->weights[batch->n_outputs++] = weight;
	}
	if (n > 1)
		batch->n_rows += n - 1;
	return T2L_OK;
}

struct tensor *
batch_loss(struct ops *ops, const struct decoder *decoder, const struct batch *batch,
    const struct lora_table *lora, float label_smoothing)
{
	struct decoder_batch rows = {
		.n_rows = batch->n_rows,
		.tokens = batch->tokens,
		.positions = batch->positions,
		.kv_begin = batch->kv_begin,
		.kv_end = batch->kv_end,
		.lora = lora,
		.output_rows = batch->output_rows,
		.n_outputs = batch->n_outputs,
	};
	struct tensor *logits = decoder_forward(ops, decoder, &rows);

	return op_cross_entropy(ops, logits, batch->targets, batch->weights, label_smoothing, NULL);
}
