/* vocabulary-gguf.c - the vocabulary in a GGUF file's metadata -> a tokenizer. */
#include <stdlib.h>
#include <string.h>

#include "engine/models/convert.h"
#include "engine/text/tokenizer.h"

#define PREFIX "tokenizer.ggml."

static enum t2l_status
read_strings(const struct gguf *gguf, const char *key, bool required, struct token_text **out,
    size_t *n, struct t2l_error *err)
{
	const struct gguf_key *array = NULL;
	enum t2l_status status = gguf_array(gguf, key, GGUF_STRING, required, &array, err);

	if (status != T2L_OK || array == NULL)
		return status;
	*n = (size_t)array->n;
	*out = malloc((*n + 1) * sizeof **out);
	if (*out == NULL)
		return t2l_fail(err, T2L_ENOMEM, "%s: out of memory", gguf_path(gguf));
	for (size_t i = 0; i < *n; i++)
		(*out)[i].bytes = gguf_array_string(array, i, &(*out)[i].n_bytes);
	return T2L_OK;
}

/* One score and one type a token, or none at all. */
static enum t2l_status
find_for_tokens(const struct gguf *gguf, const char *key, enum gguf_type type, size_t n_tokens,
    const struct gguf_key **array, struct t2l_error *err)
{
	enum t2l_status status;

	*array = NULL;
	if (gguf_key_find(gguf, key) == NULL)
		return T2L_OK;
	status = gguf_array(gguf, key, type, false, array, err);
	if (status == T2L_OK && *array != NULL && (*array)->n != n_tokens)
		return t2l_fail(err, T2L_EFORMAT, "%s: key '%s' has %llu items for %zu tokens",
		    gguf_path(gguf), key, (unsigned long long)(*array)->n, n_tokens);
	return status;
}

static enum t2l_status
read_scores_and_types(
    const struct gguf *gguf, size_t n, float **scores, int32_t **types, struct t2l_error *err)
{
	const struct gguf_key *score_array, *type_array;
	enum t2l_status status =
	    find_for_tokens(gguf, PREFIX "scores", GGUF_F32, n, &score_array, err);

	if (status == T2L_OK)
		status = find_for_tokens(gguf, PREFIX "token_type", GGUF_I32, n, &type_array, err);
	if (status != T2L_OK)
		return status;
	if (score_array != NULL && (*scores = malloc((n + 1) * sizeof **scores)) == NULL)
		return t2l_fail(err, T2L_ENOMEM, "%s: out of memory", gguf_path(gguf));
	if (type_array != NULL && (*types = malloc((n + 1) * sizeof **types)) == NULL)
		return t2l_fail(err, T2L_ENOMEM, "%s: out of memory", gguf_path(gguf));
	for (size_t i = 0; i < n; i++) {
		if (score_array != NULL)
			(*scores)[i] = (float)gguf_array_number(score_array, i);
		if (type_array != NULL)
			(*types)[i] = (int32_t)gguf_array_integer(type_array, i);
	}
	return T2L_OK;
}

static enum t2l_status
read_settings(const struct gguf *gguf, struct tokenizer_parts *parts, struct t2l_error *err)
{
	const struct {
		const char *key;
		int32_t *id;
	} ids[] = {
		{ PREFIX "bos_token_id", &parts->bos_id },
		{ gguf_end_keys[0], &parts->eos_id },
		{ gguf_end_keys[1], &parts->eot_id },
		{ PREFIX "unknown_token_id", &parts->unk_id },
		{ PREFIX "padding_token_id", &parts->pad_id },
	};
	bool llama = strcmp(parts->model, "llama") == 0;
	enum t2l_status status = T2L_OK;

	for (size_t i = 0; i < sizeof ids / sizeof *ids && status == T2L_OK; i++) {
		int64_t id = -1;

		status = gguf_integer(
		    gguf, ids[i].key, false, -1, (int64_t)parts->n_tokens - 1, &id, err);
		*ids[i].id = (int32_t)id;
	}
	/* llama.cpp's defaults where a file does not say. */
	parts->add_bos = llama || (parts->pre != NULL && strcmp(parts->pre, "llama-bpe") == 0);
	parts->add_space_prefix = llama;
	if (status == T2L_OK)
		status = gguf_bool(gguf, PREFIX "add_bos_token", false, &parts->add_bos, err);
	if (status == T2L_OK)
		status = gguf_bool(gguf, PREFIX "add_eos_token", false, &parts->add_eos, err);
	if (status == T2L_OK)
		status = gguf_bool(
		    gguf, PREFIX "add_space_prefix", false, &parts->add_space_prefix, err);
	if (status == T2L_OK)
		status =
		    gguf_string(gguf, "tokenizer.chat_template", false, &parts->chat_template, err);
	return status;
}

/* A whole tokenizer.json, where the file has one that we read, with the settings beside it; else
 * *TOKENIZER stays NULL. */
static enum t2l_status
read_json(const struct gguf *gguf, const struct tokenizer_parts *parts,
    struct tokenizer **tokenizer, struct t2l_error *err)
{
	const char *json = NULL;
	struct t2l_error inner = { 0 };

	if (gguf_string(gguf, GGUF_TOKENIZER_JSON, false, &json, NULL) == T2L_OK && json != NULL &&
	    tokenizer_create_json(json, strlen(json), gguf_path(gguf), parts, tokenizer, &inner) ==
		T2L_ENOMEM)
		return t2l_fail(err, T2L_ENOMEM, "%s", inner.message);
	return T2L_OK;
}

static enum t2l_status
create(const struct gguf *gguf, const struct tokenizer_parts *parts, struct tokenizer **tokenizer,
    struct t2l_error *err)
{
	int64_t eom = -1;
	enum t2l_status status = gguf_integer(
	    gguf, gguf_end_keys[2], false, -1, (int64_t)parts->n_tokens - 1, &eom, err);

	*tokenizer = NULL;
	if (status == T2L_OK)
		status = read_json(gguf, parts, tokenizer, err);
	if (status == T2L_OK && *tokenizer == NULL) {
		status = tokenizer_create(parts, tokenizer, err);
		if (status != T2L_OK)
			t2l_context(err, "%s", gguf_path(gguf));
	}
	if (status == T2L_OK)
		tokenizer_add_eos(*tokenizer, eom);
	return status;
}

enum t2l_status
tokenizer_read_gguf(const struct gguf *gguf, struct tokenizer **tokenizer, struct t2l_error *err)
{
	struct tokenizer_parts parts = { 0 };
	struct token_text *tokens = NULL, *merges = NULL;
	float *scores = NULL;
	int32_t *types = NULL;
	enum t2l_status status = gguf_string(gguf, PREFIX "model", false, &parts.model, err);

	if (status != T2L_OK || parts.model == NULL || strcmp(parts.model, "no_vocab") == 0 ||
	    strcmp(parts.model, "none") == 0)
		return status;
	status = gguf_string(gguf, PREFIX "pre", false, &parts.pre, err);
	if (status == T2L_OK)
		status = read_strings(gguf, PREFIX "tokens", true, &tokens, &parts.n_tokens, err);
	if (status == T2L_OK)
		status = read_strings(gguf, PREFIX "merges", false, &merges, &parts.n_merges, err);
	if (status == T2L_OK)
		status = read_scores_and_types(gguf, parts.n_tokens, &scores, &types, err);
	if (status == T2L_OK)
		status = read_settings(gguf, &parts, err);
	if (status == T2L_OK) {
		parts.tokens = tokens;
		parts.merges = merges;
		parts.scores = scores;
		parts.types = types;
		status = create(gguf, &parts, tokenizer, err);
	}
	free(tokens);
	free(merges);
	free(scores);
	free(types);
	return status;
}
