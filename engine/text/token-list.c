/* token-list.c - a vocabulary as a reader finds it, on its way into tokenizer_create(). */

#include <stdlib.h>
#include <string.h>

#include "engine/error.h"
#include "engine/text/ids.h"
#include "engine/text/token-list.h"
#include "engine/text/tokenizer-json.h"
#include "engine/text/vocabulary.h"

static enum t2l_status
out_of_memory(struct t2l_error *err)
{
	return t2l_fail(err, T2L_ENOMEM, "out of memory for the tokenizer");
}

enum t2l_status
token_list_set(struct token_list *list, int64_t id, const char *bytes, size_t n_bytes, float score,
    enum token_type type, struct t2l_error *err)
{
	void *entries = list->entries;

	if (id < 0 || id >= VOCABULARY_MAX_TOKENS)
		return t2l_fail(err, T2L_EFORMAT, "token '%.*s': id %lld is not below %u",
		    n_bytes < 80 ? (int)n_bytes : 80, bytes, (long long)id, VOCABULARY_MAX_TOKENS);
	if (!array_grow(&entries, &list->capacity, (size_t)id + 1, sizeof *list->entries))
		return out_of_memory(err);
	list->entries = entries;
	while (list->n <= (size_t)id)
		list->entries[list->n++] = (struct token_entry){ .type = TOKEN_UNUSED };
	list->entries[id] = (struct token_entry){ list->arena.n, n_bytes, score, (int32_t)type, 0 };
	buffer_append(&list->arena, bytes, n_bytes);
	return list->arena.failed ? out_of_memory(err) : T2L_OK;
}

static const char *
bytes_of(const struct token_list *list, const struct token_entry *entry)
{
	return buffer_string(&list->arena) + entry->offset;
}

int32_t
token_list_find(const struct token_list *list, const char *name)
{
	size_t n_bytes = strlen(name);

	for (size_t id = 0; id < list->n; id++) {
		const struct token_entry *entry = &list->entries[id];

		if (entry->type != TOKEN_UNUSED && entry->n_bytes == n_bytes &&
		    memcmp(bytes_of(list, entry), name, n_bytes) == 0)
			return (int32_t)id;
	}
	return -1;
}

/* ---- what a Hugging Face directory adds ---- */

/* A token of the vocabulary keeps its id, as in transformers. */
static enum t2l_status
add_hf_token(struct token_list *list, int64_t id, const char *name, const cJSON *settings,
    struct t2l_error *err)
{
	bool special = settings == NULL || cJSON_IsTrue(json_member(settings, "special"));
	int32_t known = token_list_find(list, name);
	enum t2l_status status;

	if (known >= 0)
		id = known;
	status = token_list_set(
	    list, id, name, strlen(name), 0, special ? TOKEN_CONTROL : TOKEN_USER_DEFINED, err);
	if (status == T2L_OK && cJSON_IsTrue(json_member(settings, "lstrip")))
		list->entries[id].strip |= TOKEN_STRIPS_LEFT;
	if (status == T2L_OK && cJSON_IsTrue(json_member(settings, "rstrip")))
		list->entries[id].strip |= TOKEN_STRIPS_RIGHT;
	return status;
}

enum t2l_status
token_list_add_hf(struct token_list *list, const cJSON *added_tokens, const cJSON *tokenizer_config,
    struct t2l_error *err)
{
	const cJSON *decoder = json_member(tokenizer_config, "added_tokens_decoder"), *item;
	enum t2l_status status = T2L_OK;
	int64_t id;

	if (cJSON_IsObject(added_tokens))
		cJSON_ArrayForEach(item, added_tokens)
		{
			if (!json_whole(item, &id))
				return t2l_fail(err, T2L_EFORMAT,
				    "added_tokens.json: '%.80s' must have a whole number as its id",
				    item->string);
			status = add_hf_token(list, id, item->string, NULL, err);
			if (status != T2L_OK)
				return status;
		}
	if (cJSON_IsObject(decoder))
		cJSON_ArrayForEach(item, decoder)
		{
			const char *name = json_text(item, "content");
			char *end;

			id = strtoll(item->string, &end, 10);
			if (name == NULL || *end != '\0' || end == item->string)
				return t2l_fail(err, T2L_EFORMAT,
				    "tokenizer_config.json: added_tokens_decoder '%.80s' must be "
				    "an id with a \"content\"",
				    item->string);
			status = add_hf_token(list, id, name, item, err);
			if (status != T2L_OK)
				return status;
		}
	return status;
}

/* ---- into a tokenizer ---- */

enum t2l_status
token_list_create(const struct token_list *list, struct tokenizer_parts *parts,
    struct tokenizer **out, struct t2l_error *err)
{
	struct token_text *tokens = malloc((list->n + 1) * sizeof *tokens);
	float *scores = malloc((list->n + 1) * sizeof *scores);
	int32_t *types = malloc((list->n + 1) * sizeof *types);
	uint8_t *strips = malloc(list->n + 1);
	enum t2l_status status;

	if (tokens == NULL || scores == NULL || types == NULL || strips == NULL) {
		status = out_of_memory(err);
	} else {
		for (size_t id = 0; id < list->n; id++) {
			const struct token_entry *entry = &list->entries[id];

			tokens[id] = (struct token_text){ bytes_of(list, entry), entry->n_bytes };
			scores[id] = entry->score;
			types[id] = entry->type;
			strips[id] = entry->strip;
		}
		parts->n_tokens = list->n;
		parts->tokens = tokens;
		parts->scores = scores;
		parts->types = types;
		parts->strips = strips;
		status = tokenizer_create(parts, out, err);
	}
	free(tokens);
	free(scores);
	free(types);
	free(strips);
	return status;
}

void
token_list_free(struct token_list *list)
{
	buffer_free(&list->arena);
	free(list->entries);
	*list = (struct token_list){ 0 };
}
