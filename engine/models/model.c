/* model.c - the public face of a base model: opening, text, tokens and chats. */
#include "engine/models/model.h"

#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "engine/error.h"
#include "engine/models/weights.h"
#include "engine/text/tokenizer.h"

static uint64_t
matrix_bytes(const struct tensor *matrix)
{
	return dtype_row_bytes(matrix->dtype, tensor_cols(matrix)) * (uint64_t)tensor_rows(matrix);
}

/* Weights that one token leaves alone: an embedding that is no head, and the experts that are not
 * chosen. */
static uint64_t
unread_bytes(const struct decoder *decoder)
{
	const struct decoder_config *config = &decoder->config;
	uint64_t n = decoder->head != decoder->embedding ? matrix_bytes(decoder->embedding) : 0;

	for (int i = 0; i < config->n_layers; i++)
		for (int m = 0; m < N_MODULES; m++)
			for (int e = config->n_experts_used;
			     e < config->n_experts && decoder->layers[i].experts[m] != NULL; e++)
				n += matrix_bytes(decoder->layers[i].experts[m][e]);
	return n;
}

enum t2l_status
t2l_model_open(
    struct t2l_engine *engine, const char *path, struct t2l_model **out, struct t2l_error *err)
{
	struct t2l_model *model = calloc(1, sizeof *model);
	enum t2l_status status;

	if (model == NULL)
		return t2l_fail(err, T2L_ENOMEM, "%s: out of memory", path);
	model->engine = engine;
	status = base_model_open(path, &model->base, err);
	if (status != T2L_OK) {
		free(model);
		return status;
	}
	struct t2l_model_facts *facts = &model->base->facts;
	facts->kv_bytes_per_token = 2 * (uint64_t)facts->n_layers * (uint64_t)facts->n_kv_heads *
				    (uint64_t)facts->head_dim * (engine_precise(engine) ? 4 : 2);
	facts->decode_bytes = facts->weight_bytes - unread_bytes(&model->base->decoder);
	*out = model;
	return T2L_OK;
}

enum t2l_status
t2l_model_open_text(const char *path, struct t2l_model **out, struct t2l_error *err)
{
	struct t2l_model *model = calloc(1, sizeof *model);
	enum t2l_status status;

	if (model == NULL)
		return t2l_fail(err, T2L_ENOMEM, "%s: out of memory", path);
	status = base_model_open_text(path, &model->base, err);
	if (status != T2L_OK) {
		free(model);
		return status;
	}
	*out = model;
	return T2L_OK;
}

void
t2l_model_close(struct t2l_model *model)
{
	if (model == NULL)
		return;
	base_model_close(model->base);
	free(model);
}

const struct t2l_model_facts *
t2l_model_facts(const struct t2l_model *model)
{
	return &model->base->facts;
}

bool
t2l_model_tensor(
    const struct t2l_model *model, size_t index, struct t2l_tensor_facts *facts, uint64_t *n_bytes)
{
	const struct model_source *source = model->base->source;
	const struct gguf *gguf = source != NULL ? source->gguf : NULL;
	const struct safetensors *safetensors = source != NULL ? source->safetensors : NULL;
	const int64_t *shape;

	if (gguf != NULL && index < gguf_count(gguf)) {
		const struct gguf_entry *entry = gguf_at(gguf, index);

		*facts = (struct t2l_tensor_facts){ .name = entry->name,
			.dtype = entry->convertible ? dtype_name(entry->dtype) : entry->type_name,
			.n_dims = entry->n_dims < 4 ? entry->n_dims : 4 };
		shape = entry->shape;
		if (n_bytes != NULL)
			*n_bytes = entry->n_bytes;
	} else if (safetensors != NULL && index < safetensors_count(safetensors)) {
		const struct safetensors_entry *entry = safetensors_at(safetensors, index);

		*facts = (struct t2l_tensor_facts){ .name = entry->name,
			.dtype = entry->convertible ? dtype_name(entry->dtype) : entry->dtype_text,
			.n_dims = entry->n_dims < 4 ? entry->n_dims : 4 };
		shape = entry->shape;
		if (n_bytes != NULL)
			*n_bytes = entry->n_bytes;
	} else {
		return false;
	}
	for (int i = 0; i < facts->n_dims; i++)
		facts->shape[i] = shape[i];
	return true;
}

static enum t2l_status
need_tokenizer(const struct t2l_model *model, struct t2l_error *err)
{
	if (model->base->tokenizer != NULL)
		return T2L_OK;
	return t2l_fail(err, T2L_EUNSUPPORTED,
	    "model '%s' comes without a tokenizer; give token ids, or add its tokenizer.json",
	    model->base->facts.name);
}

enum t2l_status
t2l_tokenize(const struct t2l_model *model, const char *text, size_t n_bytes, unsigned flags,
    int32_t **ids, size_t *n_ids, struct t2l_error *err)
{
	enum t2l_status status = need_tokenizer(model, err);
	unsigned tokenizer_flags = TOKENIZER_PLAIN;
	const struct tokenizer *tokenizer = model->base->tokenizer;

	if (status != T2L_OK)
		return status;
	if (flags & T2L_PARSE_SPECIAL)
		tokenizer_flags |= TOKENIZER_PARSE_SPECIAL;
	if (flags & T2L_ADD_SPECIAL)
		tokenizer_flags |= TOKENIZER_ADD_SPECIAL;
	status = tokenizer_encode(tokenizer, text, n_bytes, tokenizer_flags, ids, n_ids, err);
	if (status != T2L_OK)
		return status;
	/* A chat template has written BOS already where it wants one. */
	int32_t bos = tokenizer_bos(tokenizer);
	if (bos >= 0 && (flags & T2L_PARSE_SPECIAL) && (flags & T2L_ADD_SPECIAL) && *n_ids > 1 &&
	    (*ids)[0] == bos && (*ids)[1] == bos) {
		memmove(*ids, *ids + 1, (*n_ids - 1) * sizeof **ids);
		*n_ids -= 1;
	}
	return T2L_OK;
}

/* A tokenizer for it, and ids that it may know. */
static enum t2l_status
check_ids(const struct t2l_model *model, const int32_t *ids, size_t n_ids, struct t2l_error *err)
{
	enum t2l_status status = need_tokenizer(model, err);
	size_t n_tokens = status == T2L_OK ? tokenizer_n_tokens(model->base->tokenizer) : 0;

	for (size_t i = 0; i < n_ids && status == T2L_OK; i++)
		if (ids[i] < 0 || (size_t)ids[i] >= n_tokens)
			status = t2l_fail(err, T2L_EINVAL,
			    "token id %d is outside the vocabulary of '%s', which has ids 0 to %zu",
			    ids[i], model->base->facts.name, n_tokens - 1);
	return status;
}

enum t2l_status
t2l_detokenize(const struct t2l_model *model, const int32_t *ids, size_t n_ids, unsigned flags,
    char **text, size_t *n_bytes, struct t2l_error *err)
{
	enum t2l_status status = check_ids(model, ids, n_ids, err);

	if (status != T2L_OK)
		return status;
	return tokenizer_decode(model->base->tokenizer, ids, n_ids,
	    (flags & T2L_SKIP_SPECIAL ? DETOKENIZE_SKIP_SPECIAL : 0) |
		(flags & T2L_RAW_BYTES ? DETOKENIZE_RAW : 0),
	    text, n_bytes, err);
}

/* The texts of all pieces one after the other, each with its NUL, and where each ends. */
static enum t2l_status
stream_pieces(struct token_stream *stream, const int32_t *ids, size_t n_ids, struct buffer *texts,
    size_t *ends, struct t2l_error *err)
{
	for (size_t i = 0; i <= n_ids; i++) {
		const char *bytes;
		size_t n;
		enum t2l_status status = i < n_ids
					     ? token_stream_feed(stream, ids[i], &bytes, &n, err)
					     : token_stream_flush(stream, &bytes, &n, err);

		if (status != T2L_OK)
			return status;
		if (n > 0) {
			buffer_append(texts, bytes, n);
			buffer_char(texts, '\0');
		}
		ends[i] = texts->n;
	}
	return T2L_OK;
}

enum t2l_status
t2l_detokenize_stream(const struct t2l_model *model, const int32_t *ids, size_t n_ids,
    char ***pieces, struct t2l_error *err)
{
	struct token_stream *stream = NULL;
	struct buffer texts = { 0 };
	size_t *ends = NULL, heads = (n_ids + 1) * sizeof(char *);
	char **all = NULL, *text;
	enum t2l_status status = check_ids(model, ids, n_ids, err);

	if (status == T2L_OK)
		status = token_stream_open(model->base->tokenizer, DETOKENIZE_ALL, &stream, err);
	if (status != T2L_OK)
		return status;
	ends = malloc((n_ids + 1) * sizeof *ends);
	if (ends != NULL)
		status = stream_pieces(stream, ids, n_ids, &texts, ends, err);
	if (status == T2L_OK && ends != NULL && !buffer_failed(&texts))
		all = malloc(heads + texts.n + 1);
	if (all != NULL) {
		text = (char *)all + heads;
		memcpy(text, buffer_string(&texts), texts.n);
		for (size_t i = 0, begin = 0; i <= n_ids; begin = ends[i++])
			all[i] = ends[i] > begin ? text + begin : NULL;
		*pieces = all;
	} else if (status == T2L_OK) {
		status =
		    t2l_fail(err, T2L_ENOMEM, "out of memory for the text of %zu tokens", n_ids);
	}
	free(ends);
	buffer_free(&texts);
	token_stream_close(stream);
	return status;
}
