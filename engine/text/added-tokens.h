/*
 * engine/text/added-tokens.h - tokens that are found in a text before the model sees it.
 *
 * They are looked for leftmost first, longest first, in two passes: those that are not
 * `normalized` in the raw text, the others in what the normaliser made of the rest. Between them
 * lie the sections of ordinary text.
 */
#ifndef ENGINE_TEXT_ADDED_TOKENS_H
#define ENGINE_TEXT_ADDED_TOKENS_H

#include "engine/t2l.h"

struct added_token {
	int32_t id;
	bool special;	  /* found only if special text is parsed */
	bool single_word; /* only between characters that are no word characters */
	bool lstrip;	  /* takes the white space on its left with it */
	bool rstrip;
};

struct trie_node {
	uint32_t child, sibling; /* 0: none */
	int32_t token;		 /* index of the token that ends here, or -1 */
	unsigned char byte;
};

/* The added tokens of one pass. Zeroed is empty and valid. */
struct added_tokens {
	struct added_token *tokens;
	size_t n, capacity;
	struct trie_node *nodes; /* [0] is the root */
	size_t n_nodes, nodes_capacity;
	uint32_t first[256]; /* the root's children by byte */
};

struct added_match {
	const struct added_token *token; /* NULL: the rest of the text has none */
	size_t start, end;
};

/* Places where no special token begins although special text is parsed: someone else wrote it. */
struct text_guards {
	const size_t *at; /* [n] rising */
	size_t n;
	bool everywhere;
};

/* Is a guard in [START, END)? */
bool guards_meet(const struct text_guards *guards, size_t start, size_t end);

/* Does a special token stand at TEXT, N_BYTES > 0 long? */
bool added_tokens_special_at(const struct added_tokens *added, const char *text, size_t n_bytes);

/* A second token with the same text replaces the first. False: out of memory. */
bool added_tokens_add(
    struct added_tokens *added, const struct added_token *token, const char *text, size_t n_bytes);

/* The next match in valid UTF-8. AT is where the last one ended (0 at first). */
struct added_match added_tokens_find(const struct added_tokens *added, const char *text,
    size_t n_bytes, size_t at, bool parse_special, const struct text_guards *guards);

void added_tokens_free(struct added_tokens *added);

#endif
