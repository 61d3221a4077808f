/*
 * engine/text/pipeline.h - the parts of a tokenizer, for the readers that assemble one.
 *
 * text -> added tokens (raw) -> normaliser -> added tokens (normalized) -> pretokenizer ->
 * model (BPE or WordPiece) -> ids; ids -> decoder -> text.
 *
 * A reader fills the model's vocabulary, then sets normaliser, pretokenizer, model and decoder,
 * calls pipeline_finish_model(), then adds the added tokens and what it knows of special ids.
 */
#ifndef ENGINE_TEXT_PIPELINE_H
#define ENGINE_TEXT_PIPELINE_H

#include "engine/text/added-tokens.h"
#include "engine/text/bpe.h"
#include "engine/text/decoder.h"
#include "engine/text/normalizer.h"
#include "engine/text/pretokenizer.h"
#include "engine/text/tokenizer.h"
#include "engine/text/wordpiece.h"

enum model_kind { MODEL_BPE, MODEL_WORDPIECE };

struct tokenizer {
	struct vocabulary vocabulary;
	struct string_index added_by_name;
	uint8_t *special; /* [n_special]: is this id a special token? */
	size_t n_special;

	struct added_tokens raw, normalized;
	struct normalizer normalizer;
	struct pretokenizer pretokenizer;
	enum model_kind kind;
	struct bpe bpe;
	struct wordpiece wordpiece;
	struct decoder decoder;

	struct id_array before, after; /* what TOKENIZER_ADD_SPECIAL puts around a text */
	struct id_array eos;
	int32_t bos_id, pad_id, unk_id; /* -1: none */
	char *chat_template;
	size_t max_length; /* 0: unknown */
};

/* An empty tokenizer; NULL: out of memory. Closed with tokenizer_close(). */
struct tokenizer *pipeline_new(void);

/* Makes room for the model's N_TOKENS. */
enum t2l_status pipeline_open_vocabulary(
    struct tokenizer *tok, size_t n_tokens, struct t2l_error *err);

/* Adds a token of the model. Refuses bad UTF-8, hostile ids and names that are there already. */
enum t2l_status pipeline_add_token(
    struct tokenizer *tok, int64_t id, const char *name, size_t n_bytes, struct t2l_error *err);

/* Makes room for N merges, to be added in the order of their ranks. */
enum t2l_status pipeline_open_merges(struct tokenizer *tok, size_t n, struct t2l_error *err);

/* All three, LEFT, RIGHT and both joined, must be tokens of the model. */
enum t2l_status pipeline_add_merge(struct tokenizer *tok, const struct token_text *left,
    const struct token_text *right, uint32_t rank, struct t2l_error *err);

/* Derives the pieces, and BPE's tables, from vocabulary, decoder and merges. */
enum t2l_status pipeline_finish_model(struct tokenizer *tok, struct t2l_error *err);

/* Makes room for N added tokens. */
enum t2l_status pipeline_open_added(struct tokenizer *tok, size_t n, struct t2l_error *err);

/* Adds a token that is found in the text itself. Its id may be one of the model's. */
enum t2l_status pipeline_add_added(struct tokenizer *tok, int64_t id, const char *name,
    size_t n_bytes, struct added_token token, bool normalized, struct t2l_error *err);

/* As tokenizer_encode(); no special token begins at a guarded place of TEXT. Guards are good for
 * valid UTF-8 only: repairing a text would move them. */
enum t2l_status tokenizer_encode_guarded(const struct tokenizer *tok, const char *text,
    size_t n_bytes, unsigned flags, struct text_guards guards, int32_t **ids, size_t *n,
    struct t2l_error *err);

/* Adds ID to those that end a text, once. Ids that are no tokens are left out. */
void pipeline_add_eos(struct tokenizer *tok, int64_t id);

/* Reads ids as JSON and GGUF carry them: -1 unless it is a token. */
int32_t pipeline_check_id(const struct tokenizer *tok, int64_t id);

#endif
