/*
 * engine/text/tokenizer-save.h - a tokenizer as files carry it: a tokenizer.json, or a vocabulary
 * as GGUF has it.
 */
#ifndef ENGINE_TEXT_TOKENIZER_SAVE_H
#define ENGINE_TEXT_TOKENIZER_SAVE_H

#include "base/buffer.h"
#include "engine/text/tokenizer.h"

/* Appends a tokenizer.json that tokenizer_read_json() and the `tokenizers` library read as the same
 * tokenizer. T2L_EUNSUPPORTED names what it cannot say. */
enum t2l_status tokenizer_write_json(
    const struct tokenizer *tok, struct buffer *json, struct t2l_error *err);

/* What tokenizer_create() makes it of. */
struct tokenizer_description {
	struct tokenizer_parts parts; /* arrays belong to the description, texts to the tokenizer */
	/* Whether PARTS give the same tokenizer. GGUF has no words for some pretokenizers and
	 * flags of added tokens: then PARTS are the nearest that it can say. */
	bool exact;
	/* owned: */
	struct token_text *tokens, *merges;
	float *scores;
	int32_t *types;
	char (*unused)[16]; /* names of ids without a token: "[PAD7]" */
	struct buffer merge_text;
};

/* With at least N_TOKENS tokens, the model's rows. Errors: T2L_EUNSUPPORTED (WordPiece),
 * T2L_ENOMEM. */
enum t2l_status tokenizer_describe(const struct tokenizer *tok, size_t n_tokens,
    struct tokenizer_description *out, struct t2l_error *err);
void tokenizer_description_free(struct tokenizer_description *description);

/* One merge of a BPE tokenizer: the names of LEFT and RIGHT become that of MERGED. */
struct merge_slot;
/* All of them, lowest rank first, to be given to free(); NULL: out of memory. */
struct merge_slot *tokenizer_merges(const struct tokenizer *tok, size_t *n);

#endif
