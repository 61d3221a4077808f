/* score.c - how probable a text is to a model, with or without adapters. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/adapters/lora-table.h"
#include "engine/error.h"
#include "engine/inference/base-order.h"
#include "engine/inference/kv-cache.h"
#include "engine/inference/no-number.h"
#include "engine/models/model.h"

#define CHUNK_ROWS 256 /* bounds the memory of the logits */

struct scoring {
	const struct decoder *decoder;
	struct ops *ops;
	struct kv_cache cache;
	struct t2l_adapter **adapters;
	const float *weights;
	size_t n_adapters;
	const int32_t *ids;
	size_t n_ids;
};

static double
log_probability(const float *logits, int64_t n, int32_t id)
{
	double largest = -INFINITY, sum = 0;

	for (int64_t i = 0; i < n; i++)
		if ((double)logits[i] > largest)
			largest = (double)logits[i];
	for (int64_t i = 0; i < n; i++)
		sum += exp((double)logits[i] - largest);
	return (double)logits[id] - largest - log(sum);
}

/* *LOGITS of tokens FROM .. FROM+N-1, in the arena. OVERFLOW: where the pass's state is no number,
 * or NULL. */
static enum t2l_status
run_chunk(struct scoring *scoring, struct t2l_engine *engine, size_t from, size_t n,
    struct overflow *overflow, const struct tensor **logits, struct t2l_error *err)
{
	int32_t positions[CHUNK_ROWS], kv_begin[CHUNK_ROWS], kv_end[CHUNK_ROWS];
	int32_t lengths[CHUNK_ROWS];
	struct lora_rows group = { 0, (int64_t)n,
		(const struct t2l_adapter *const *)scoring->adapters, scoring->weights,
		scoring->n_adapters };
	struct decoder_batch batch = {
		.n_rows = (int64_t)n,
		.tokens = scoring->ids + from,
		.positions = positions,
		.kv_begin = kv_begin,
		.kv_end = kv_end,
		.cache = &scoring->cache,
		.slots = positions,
		.lengths = lengths,
		.on_hidden = overflow != NULL ? overflow_watch : NULL,
		.user = overflow,
	};

	for (size_t i = 0; i < n; i++) {
		positions[i] = (int32_t)(from + i);
		kv_begin[i] = 0;
		kv_end[i] = positions[i] + 1;
		lengths[i] = (int32_t)scoring->n_ids;
	}
	ops_reset(scoring->ops);
	if (scoring->n_adapters > 0) {
		batch.lora = lora_table_make(
		    ops_arena(scoring->ops), scoring->decoder->config.n_layers, &group, 1);
		if (batch.lora == NULL)
			return t2l_fail(err, T2L_ENOMEM, "score: out of memory");
	}
	engine_lock(engine);
	*logits = decoder_forward(scoring->ops, scoring->decoder, &batch);
	engine_unlock(engine);
	return ops_status(scoring->ops, err);
}

/* LOGITS of N tokens from FROM on; runs the chunk again when one is none. */
static enum t2l_status
check_logits(struct scoring *scoring, const struct t2l_model *model, size_t from, size_t n,
    const struct tensor *logits, struct t2l_error *err)
{
	int64_t vocab_size = tensor_cols(logits), n_bad = 0;
	struct overflow overflow = { 0 };
	enum t2l_status status;
	char what[32];
	size_t i = 0;

	while (i < n && (n_bad = count_no_numbers(
			     tensor_f32(logits) + (int64_t)i * vocab_size, vocab_size)) == 0)
		i++;
	if (i == n)
		return T2L_OK;
	status = run_chunk(scoring, model->engine, from, n, &overflow, &logits, err);
	if (status != T2L_OK)
		return status;
	snprintf(what, sizeof what, "after token %zu", from + i + 1);
	return no_number_fail(model, what, n_bad, vocab_size, &overflow, err);
}

static enum t2l_status
score(struct scoring *scoring, const struct t2l_model *model, double *logprobs, float *logits,
    struct t2l_error *err)
{
	for (size_t from = 0; from < scoring->n_ids; from += CHUNK_ROWS) {
		size_t left = scoring->n_ids - from, n = left < CHUNK_ROWS ? left : CHUNK_ROWS;
		const struct tensor *chunk;
		size_t vocab_size;
		enum t2l_status status;

		status = run_chunk(scoring, model->engine, from, n, NULL, &chunk, err);
		if (status == T2L_OK)
			status = check_logits(scoring, model, from, n, chunk, err);
		if (status != T2L_OK)
			return status;
		vocab_size = (size_t)tensor_cols(chunk);
		if (logits != NULL)
			memcpy(logits + from * vocab_size, tensor_f32(chunk),
			    n * vocab_size * sizeof *logits);
		for (size_t i = 0; i < n && from + i + 1 < scoring->n_ids; i++)
			logprobs[from + i + 1] = log_probability(tensor_f32(chunk) + i * vocab_size,
			    (int64_t)vocab_size, scoring->ids[from + i + 1]);
	}
	return T2L_OK;
}

static enum t2l_status
check_ids(const struct t2l_model *model, const int32_t *ids, size_t n, struct t2l_error *err)
{
	const struct decoder_config *config = &model->base->decoder.config;

	if (n < 1 || n > (size_t)config->context_length)
		return t2l_fail(err, T2L_EINVAL,
		    "score: the text has %zu tokens; expected 1 to %d, the context of model '%s'",
		    n, config->context_length, model->base->facts.name);
	for (size_t i = 0; i < n; i++)
		if (ids[i] < 0 || ids[i] >= config->vocab_size)
			return t2l_fail(err, T2L_EINVAL,
			    "score: token %zu is %d; the vocabulary has %d", i + 1, ids[i],
			    config->vocab_size);
	return T2L_OK;
}

enum t2l_status
t2l_score(struct t2l_model *model, const struct t2l_adapter *const *adapters, const float *weights,
    size_t n_adapters, const int32_t *ids, size_t n_ids, double *logprobs, float *logits,
    struct t2l_error *err)
{
	const struct decoder_config *config = &model->base->decoder.config;
	struct scoring scoring = {
		.decoder = &model->base->decoder, .weights = weights, .ids = ids, .n_ids = n_ids
	};
	enum t2l_status status = check_ids(model, ids, n_ids, err);

	if (status != T2L_OK)
		return status;
	scoring.ops = ops_create(engine_backend(model->engine));
	scoring.adapters = calloc(n_adapters + 1, sizeof *scoring.adapters);
	if (scoring.ops == NULL || scoring.adapters == NULL)
		status = t2l_fail(err, T2L_ENOMEM, "score: out of memory");
	for (size_t i = 0; i < n_adapters && status == T2L_OK; i++) {
		status = adapter_in_base_order(adapters[i], config, &scoring.adapters[i], err);
		if (status == T2L_OK)
			scoring.n_adapters++;
	}
	/* Full precision: one text is short and scores are compared closely. */
	if (status == T2L_OK)
		status = kv_cache_open(&scoring.cache, config, (int64_t)n_ids, DTYPE_F32, err);
	logprobs[0] = 0;
	if (status == T2L_OK)
		status = score(&scoring, model, logprobs, logits, err);
	kv_cache_close(&scoring.cache);
	for (size_t i = 0; i < scoring.n_adapters; i++)
		t2l_adapter_close(scoring.adapters[i]);
	free(scoring.adapters);
	ops_free(scoring.ops);
	return status;
}
