/* pipeline.c - assembles and takes apart a tokenizer. */

#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "engine/error.h"
#include "engine/text/pipeline.h"

static enum t2l_status
out_of_memory(struct t2l_error *err)
{
	return t2l_fail(err, T2L_ENOMEM, "out of memory for the tokenizer");
}

struct tokenizer *
pipeline_new(void)
{
	struct tokenizer *tok = calloc(1, sizeof *tok);

	if (tok == NULL)
		return NULL;
	tok->bos_id = tok->pad_id = tok->unk_id = -1;
	tok->bpe.unk_id = tok->wordpiece.unk_id = -1;
	return tok;
}

void
tokenizer_close(struct tokenizer *tok)
{
	if (tok == NULL)
		return;
	string_table_free(&tok->vocabulary.names);
	string_table_free(&tok->vocabulary.pieces);
	string_index_free(&tok->vocabulary.by_name);
	string_index_free(&tok->added_by_name);
	free(tok->special);
	added_tokens_free(&tok->raw);
	added_tokens_free(&tok->normalized);
	normalizer_free(&tok->normalizer);
	pretokenizer_free(&tok->pretokenizer);
	bpe_free(&tok->bpe);
	id_array_free(&tok->before);
	id_array_free(&tok->after);
	id_array_free(&tok->eos);
	free(tok->chat_template);
	free(tok);
}

/* ---- vocabulary ---- */

enum t2l_status
pipeline_open_vocabulary(struct tokenizer *tok, size_t n_tokens, struct t2l_error *err)
{
	if (n_tokens > VOCABULARY_MAX_TOKENS)
		return t2l_fail(err, T2L_EFORMAT, "a vocabulary of %zu tokens is above %u",
		    n_tokens, VOCABULARY_MAX_TOKENS);
	if (!string_index_open(&tok->vocabulary.by_name, n_tokens))
		return out_of_memory(err);
	return T2L_OK;
}

static enum t2l_status
check_token(int64_t id, const char *name, size_t n_bytes, struct t2l_error *err)
{
	if (!utf8_valid(name, n_bytes))
		return t2l_fail(err, T2L_EFORMAT, "token %lld is no valid UTF-8", (long long)id);
	if (id < 0 || id >= VOCABULARY_MAX_TOKENS)
		return t2l_fail(err, T2L_EFORMAT, "token '%.*s': id %lld is not below %u",
		    n_bytes < 80 ? (int)n_bytes : 80, name, (long long)id, VOCABULARY_MAX_TOKENS);
	return T2L_OK;
}

enum t2l_status
pipeline_add_token(
    struct tokenizer *tok, int64_t id, const char *name, size_t n_bytes, struct t2l_error *err)
{
	struct vocabulary *vocabulary = &tok->vocabulary;
	enum t2l_status status = check_token(id, name, n_bytes, err);
	size_t n_other;

	if (status != T2L_OK)
		return status;
	if (string_table_get(&vocabulary->names, (int32_t)id, &n_other) != NULL)
		return t2l_fail(err, T2L_EFORMAT, "two tokens have the id %lld", (long long)id);
	if (!string_table_set(&vocabulary->names, (int32_t)id, name, n_bytes))
		return out_of_memory(err);
	if (string_index_add(&vocabulary->by_name, &vocabulary->names, (int32_t)id) != id)
		return t2l_fail(err, T2L_EFORMAT, "the token '%.*s' is there twice",
		    n_bytes < 80 ? (int)n_bytes : 80, name);
	return T2L_OK;
}

enum t2l_status
pipeline_open_merges(struct tokenizer *tok, size_t n, struct t2l_error *err)
{
	if (n > 4 * VOCABULARY_MAX_TOKENS)
		return t2l_fail(
		    err, T2L_EFORMAT, "%zu merges are more than %u", n, 4 * VOCABULARY_MAX_TOKENS);
	return bpe_open(&tok->bpe, n) ? T2L_OK : out_of_memory(err);
}

enum t2l_status
pipeline_add_merge(struct tokenizer *tok, const struct token_text *left,
    const struct token_text *right, uint32_t rank, struct t2l_error *err)
{
	const struct vocabulary *vocabulary = &tok->vocabulary;
	struct buffer joined = { 0 };
	int32_t ids[3];

	buffer_append(&joined, left->bytes, left->n_bytes);
	buffer_append(&joined, right->bytes, right->n_bytes);
	if (buffer_failed(&joined))
		return out_of_memory(err);
	ids[0] =
	    string_index_find(&vocabulary->by_name, &vocabulary->names, left->bytes, left->n_bytes);
	ids[1] = string_index_find(
	    &vocabulary->by_name, &vocabulary->names, right->bytes, right->n_bytes);
	ids[2] =
	    string_index_find(&vocabulary->by_name, &vocabulary->names, joined.bytes, joined.n);
	buffer_free(&joined);
	if (ids[0] < 0 || ids[1] < 0 || ids[2] < 0)
		return t2l_fail(err, T2L_EFORMAT,
		    "merge %u, '%.*s' and '%.*s': not all three are in the vocabulary",
		    (unsigned)rank, left->n_bytes < 60 ? (int)left->n_bytes : 60, left->bytes,
		    right->n_bytes < 60 ? (int)right->n_bytes : 60, right->bytes);
	bpe_add_merge(&tok->bpe, ids[0], ids[1], rank, ids[2]);
	return T2L_OK;
}

static bool
set_piece(struct tokenizer *tok, int32_t id, const char *name, size_t n_bytes)
{
	struct buffer piece = { 0 };
	bool ok;

	decoder_piece(&tok->decoder, name, n_bytes, &piece);
	ok = !buffer_failed(&piece) &&
	     string_table_set(&tok->vocabulary.pieces, id, buffer_string(&piece), piece.n);
	buffer_free(&piece);
	return ok;
}

enum t2l_status
pipeline_finish_model(struct tokenizer *tok, struct t2l_error *err)
{
	const struct string_table *names = &tok->vocabulary.names;
	const char *name;
	size_t id, n_bytes;

	for (id = 0; id < names->n; id++) {
		name = string_table_get(names, (int32_t)id, &n_bytes);
		if (name != NULL && !set_piece(tok, (int32_t)id, name, n_bytes))
			return out_of_memory(err);
	}
	if (tok->decoder.kind == DECODER_TEXT)
		memcpy(tok->bpe.blank, tok->decoder.blank, sizeof tok->bpe.blank);
	if (tok->kind == MODEL_BPE && !bpe_finish(&tok->bpe, &tok->vocabulary))
		return out_of_memory(err);
	return T2L_OK;
}

/* ---- added tokens ---- */

enum t2l_status
pipeline_open_added(struct tokenizer *tok, size_t n, struct t2l_error *err)
{
	if (n > VOCABULARY_MAX_TOKENS)
		return t2l_fail(err, T2L_EFORMAT, "%zu added tokens are more than %u", n,
		    VOCABULARY_MAX_TOKENS);
	return string_index_open(&tok->added_by_name, n) ? T2L_OK : out_of_memory(err);
}

static bool
mark_special(struct tokenizer *tok, int32_t id)
{
	void *special = tok->special;
	size_t capacity = tok->n_special;

	if (!array_grow(&special, &capacity, (size_t)id + 1, 1))
		return false;
	tok->special = special;
	memset(tok->special + tok->n_special, 0, capacity - tok->n_special);
	tok->n_special = capacity;
	tok->special[id] = 1;
	return true;
}

/* `normalized` tokens are looked for in normalised text, so their own text is normalised too. */
static enum t2l_status
add_to_trie(struct tokenizer *tok, const char *name, size_t n_bytes,
    const struct added_token *token, bool normalized, struct t2l_error *err)
{
	struct normalizer_work work = { 0 };
	struct pattern_matcher *matcher;
	enum t2l_status status;

	if (!normalized)
		return added_tokens_add(&tok->raw, token, name, n_bytes) ? T2L_OK
									 : out_of_memory(err);
	matcher = pattern_matcher_open();
	if (matcher == NULL)
		return out_of_memory(err);
	status =
	    normalizer_run(&tok->normalizer, &work, matcher, name, n_bytes, &name, &n_bytes, err);
	if (status == T2L_OK && n_bytes > 0 &&
	    !added_tokens_add(&tok->normalized, token, name, n_bytes))
		status = out_of_memory(err);
	normalizer_work_free(&work);
	pattern_matcher_close(matcher);
	return status;
}

enum t2l_status
pipeline_add_added(struct tokenizer *tok, int64_t id, const char *name, size_t n_bytes,
    struct added_token token, bool normalized, struct t2l_error *err)
{
	enum t2l_status status = check_token(id, name, n_bytes, err);

	if (status != T2L_OK || n_bytes == 0)
		return status;
	/* As in the reference, a token of the model keeps its id. */
	token.id =
	    string_index_find(&tok->vocabulary.by_name, &tok->vocabulary.names, name, n_bytes);
	if (token.id < 0)
		token.id = (int32_t)id;
	if (!string_table_set(&tok->vocabulary.names, token.id, name, n_bytes) ||
	    !set_piece(tok, token.id, name, n_bytes))
		return out_of_memory(err);
	string_index_add(&tok->added_by_name, &tok->vocabulary.names, token.id);
	if (token.special && !mark_special(tok, token.id))
		return out_of_memory(err);
	return add_to_trie(tok, name, n_bytes, &token, normalized, err);
}

/* ---- special ids ---- */

int32_t
pipeline_check_id(const struct tokenizer *tok, int64_t id)
{
	size_t n_bytes;

	if (id < 0 || id >= VOCABULARY_MAX_TOKENS)
		return -1;
	return string_table_get(&tok->vocabulary.names, (int32_t)id, &n_bytes) ? (int32_t)id : -1;
}

void
pipeline_add_eos(struct tokenizer *tok, int64_t id)
{
	int32_t checked = pipeline_check_id(tok, id);

	if (checked >= 0 && !tokenizer_is_eos(tok, checked))
		id_array_append(&tok->eos, checked);
}
