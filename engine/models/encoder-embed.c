/* encoder-embed.c - texts -> embeddings of length 1, and the public face of a text encoder. */
#include <stdlib.h>
#include <string.h>

#include "engine/error.h"
#include "engine/models/model.h"
#include "engine/text/tokenizer.h"

/* Enough rows to feed the processor, few enough to stay in its cache and be cancelled soon. */
#define BATCH_TOKENS 1024
#define UNIT_FLOOR 1e-12f /* as torch.nn.functional.normalize */

/* Texts as token ids, one after the other: text i is ids[begin[i] .. begin[i+1]-1]. */
struct token_batch {
	int32_t *ids, *begin;
	size_t n_ids, capacity;
};

static const struct tokenizer *
tokenizer_of(const struct text_encoder *encoder)
{
	return encoder->base != NULL ? encoder->base->tokenizer : encoder->tokenizer;
}

static enum t2l_status
encode(const struct text_encoder *encoder, const char *text, int32_t **ids, size_t *n,
    struct t2l_error *err)
{
	/* "[SEP]" written in a text is that token, as in the reference. */
	enum t2l_status status = tokenizer_encode(tokenizer_of(encoder), text, strlen(text),
	    TOKENIZER_ADD_SPECIAL | TOKENIZER_PARSE_SPECIAL, ids, n, err);

	if (status != T2L_OK)
		return status;
	*n = tokenizer_truncate(
	    tokenizer_of(encoder), *ids, *n, (size_t)encoder->network.config.max_tokens);
	if (*n > 0)
		return T2L_OK;
	free(*ids);
	*ids = NULL;
	return t2l_fail(
	    err, T2L_EINVAL, "encoder '%s': an empty text has no embedding", encoder->facts.name);
}

static enum t2l_status
batch_add(struct token_batch *batch, const int32_t *ids, size_t n, struct t2l_error *err)
{
	if (batch->n_ids + n > batch->capacity) {
		size_t capacity = 2 * (batch->n_ids + n);
		int32_t *grown = realloc(batch->ids, capacity * sizeof *grown);

		if (grown == NULL)
			return t2l_fail(err, T2L_ENOMEM, "embedding: out of memory");
		batch->ids = grown;
		batch->capacity = capacity;
	}
	memcpy(batch->ids + batch->n_ids, ids, n * sizeof *ids);
	batch->n_ids += n;
	return T2L_OK;
}

/* The hidden state of a decoder, behind its final norm, at each text's last token. */
static struct tensor *
last_states(struct ops *ops, const struct decoder *decoder, const int32_t *ids,
    const int32_t *begin, int64_t n_texts)
{
	const int64_t n = begin[n_texts];
	int32_t *memory = arena_alloc(ops_arena(ops), (size_t)(3 * n + n_texts) * sizeof *memory);
	int32_t *positions = memory, *kv_begin, *kv_end, *last;
	struct decoder_batch batch = { .n_rows = n, .tokens = ids };

	if (memory == NULL)
		return NULL;
	kv_begin = memory + n;
	kv_end = memory + 2 * n;
	last = memory + 3 * n;
	for (int64_t t = 0; t < n_texts; t++) {
		for (int32_t row = begin[t]; row < begin[t + 1]; row++) {
			positions[row] = row - begin[t];
			kv_begin[row] = begin[t];
			kv_end[row] = row + 1;
		}
		last[t] = begin[t + 1] - 1;
	}
	batch.positions = positions;
	batch.kv_begin = kv_begin;
	batch.kv_end = kv_end;
	return op_gather_rows(ops, decoder_hidden(ops, decoder, &batch), last, n_texts);
}

enum t2l_status
text_encoder_embed_tokens(const struct text_encoder *encoder, struct ops *ops, const int32_t *ids,
    const int32_t *begin, size_t n_texts, float *out, struct t2l_error *err)
{
	struct tensor *pooled, *unit;
	enum t2l_status status;

	ops_reset(ops);
	pooled = encoder->base != NULL
		     ? last_states(ops, &encoder->base->decoder, ids, begin, (int64_t)n_texts)
		     : encoder_forward(ops, &encoder->network, ids, begin, (int64_t)n_texts, NULL);
	unit = op_unit_rows(ops, pooled, UNIT_FLOOR);
	status = ops_status(ops, err);
	if (status != T2L_OK)
		return status;
	if (unit == NULL)
		return t2l_fail(err, T2L_ENOMEM, "embedding: out of memory");
	memcpy(out, tensor_f32(unit), (size_t)tensor_count(unit) * sizeof *out);
	return T2L_OK;
}

/* Takes texts until the batch is full; *N_TAKEN of them. */
static enum t2l_status
fill_batch(const struct text_encoder *encoder, const char *const *texts, size_t n_texts,
    struct token_batch *batch, size_t *n_taken, struct t2l_error *err)
{
	enum t2l_status status = T2L_OK;

	batch->n_ids = 0;
	batch->begin[0] = 0;
	for (*n_taken = 0; *n_taken < n_texts && status == T2L_OK; ++*n_taken) {
		int32_t *ids = NULL;
		size_t n;

		if (batch->n_ids >= BATCH_TOKENS)
			break;
		status = encode(encoder, texts[*n_taken], &ids, &n, err);
		if (status == T2L_OK)
			status = batch_add(batch, ids, n, err);
		free(ids);
		batch->begin[*n_taken + 1] = (int32_t)batch->n_ids;
	}
	return status;
}

enum t2l_status
text_encoder_embed(const struct text_encoder *encoder, struct ops *ops, const char *const *texts,
    size_t n_texts, float *out, struct t2l_error *err)
{
	struct token_batch batch = { 0 };
	enum t2l_status status = T2L_OK;
	size_t n;

	/* A text has at least one token, so no batch has more texts than tokens. */
	batch.begin =
	    malloc(((n_texts < BATCH_TOKENS ? n_texts : BATCH_TOKENS) + 1) * sizeof *batch.begin);
	if (batch.begin == NULL)
		return t2l_fail(err, T2L_ENOMEM, "embedding: out of memory");
	for (size_t done = 0; done < n_texts && status == T2L_OK; done += n) {
		status = fill_batch(encoder, texts + done, n_texts - done, &batch, &n, err);
		if (status == T2L_OK)
			status = text_encoder_embed_tokens(encoder, ops, batch.ids, batch.begin, n,
			    out + done * (size_t)encoder->facts.dimension, err);
	}
	free(batch.ids);
	free(batch.begin);
	return status;
}

enum t2l_status
text_encoder_count(const struct text_encoder *encoder, const char *text, size_t *n_known,
    size_t *n_tokens, struct t2l_error *err)
{
	const int32_t unknown = tokenizer_unk(tokenizer_of(encoder));
	int32_t *ids = NULL;
	enum t2l_status status =
	    tokenizer_encode(tokenizer_of(encoder), text, strlen(text), 0, &ids, n_tokens, err);

	*n_known = 0;
	for (size_t i = 0; status == T2L_OK && i < *n_tokens; i++)
		*n_known += unknown < 0 || ids[i] != unknown;
	free(ids);
	return status;
}

/* ---- the public face ---- */

enum t2l_status
t2l_encoder_open(
    struct t2l_engine *engine, const char *path, struct t2l_encoder **out, struct t2l_error *err)
{
	struct t2l_encoder *encoder = calloc(1, sizeof *encoder);
	enum t2l_status status;

	if (encoder == NULL)
		return t2l_fail(err, T2L_ENOMEM, "%s: out of memory", path);
	encoder->engine = engine;
	encoder->ops = ops_create(engine_backend(engine));
	status = encoder->ops != NULL ? text_encoder_open(path, &encoder->text, err)
				      : t2l_fail(err, T2L_ENOMEM, "%s: out of memory", path);
	if (status != T2L_OK) {
		t2l_encoder_close(encoder);
		return status;
	}
	*out = encoder;
	return T2L_OK;
}

void
t2l_encoder_close(struct t2l_encoder *encoder)
{
	if (encoder == NULL)
		return;
	ops_free(encoder->ops);
	text_encoder_close(encoder->text);
	free(encoder);
}

const struct t2l_encoder_facts *
t2l_encoder_facts(const struct t2l_encoder *encoder)
{
	return &encoder->text->facts;
}

enum t2l_status
t2l_encoder_embed(struct t2l_encoder *encoder, const char *const *texts, size_t n_texts, float *out,
    struct t2l_error *err)
{
	size_t dimension = (size_t)encoder->text->facts.dimension;
	enum t2l_status status = T2L_OK;

	/* In portions, so that a session on the same engine gets its turn in between. */
	for (size_t i = 0, n; i < n_texts && status == T2L_OK; i += n) {
		n = n_texts - i < 64 ? n_texts - i : 64;
		engine_lock(encoder->engine);
		status = text_encoder_embed(
		    encoder->text, encoder->ops, texts + i, n, out + i * dimension, err);
		engine_unlock(encoder->engine);
	}
	return status;
}

enum t2l_status
t2l_encoder_tokenize(const struct t2l_encoder *encoder, const char *text, int32_t **ids,
    size_t *n_ids, struct t2l_error *err)
{
	return encode(encoder->text, text, ids, n_ids, err);
}
