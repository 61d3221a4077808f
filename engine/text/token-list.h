/*
 * engine/text/token-list.h - a vocabulary as a reader finds it, token by token, on its way into
 * tokenizer_create().
 */
#ifndef ENGINE_TEXT_TOKEN_LIST_H
#define ENGINE_TEXT_TOKEN_LIST_H

#include "base/buffer.h"
#include "engine/formats/json.h"
#include "engine/text/tokenizer.h"

struct token_entry {
	size_t offset, n_bytes; /* in the arena */
	float score;
	int32_t type; /* enum token_type; ids that were skipped are TOKEN_UNUSED */
	uint8_t strip;
};

struct token_list {
	struct buffer arena;
	struct token_entry *entries; /* [n] by id */
	size_t n, capacity;
};

/* Sets token ID, replacing an earlier one. Refuses hostile ids. */
enum t2l_status token_list_set(struct token_list *list, int64_t id, const char *bytes,
    size_t n_bytes, float score, enum token_type type, struct t2l_error *err);
/* -1: none. Looks at all of them. */
int32_t token_list_find(const struct token_list *list, const char *name);

/* Tokens that a Hugging Face directory adds to a vocabulary that is not its own: added_tokens.json
 * ({"name": id}) and added_tokens_decoder of tokenizer_config.json. Either may be NULL. */
enum t2l_status token_list_add_hf(struct token_list *list, const cJSON *added_tokens,
    const cJSON *tokenizer_config, struct t2l_error *err);

/* A tokenizer of LIST and what else PARTS says (its arrays are filled in from LIST). */
enum t2l_status token_list_create(const struct token_list *list, struct tokenizer_parts *parts,
    struct tokenizer **out, struct t2l_error *err);

void token_list_free(struct token_list *list);

/* The readers of vocabulary files; they append to LIST and set what PARTS can say. */
enum t2l_status read_sentencepiece(const char *bytes, size_t n_bytes, struct token_list *list,
    struct tokenizer_parts *parts, struct t2l_error *err);
enum t2l_status read_ranks(const char *bytes, size_t n_bytes, struct token_list *list,
    struct tokenizer_parts *parts, struct t2l_error *err);

#endif
