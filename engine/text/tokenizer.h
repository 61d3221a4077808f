/*
 * engine/text/tokenizer.h - text to token ids and back.
 *
 * One type for all families: byte-level BPE (GPT-2, LLaMA 3, Qwen 2, our byte model),
 * SentencePiece-like BPE with byte fallback (LLaMA 2, Mistral, Phi-3, Gemma) and WordPiece
 * (BERT). Ids are those of the Hugging Face `tokenizers` library, exactly.
 *
 * A tokenizer is immutable once made: threads may share it without locks. Text is UTF-8 of a
 * given length (NUL bytes are fine); what is not UTF-8 is read as one U+FFFD per maximal bad
 * part. Arrays that are handed out are the caller's, to be released with free().
 */
#ifndef ENGINE_TEXT_TOKENIZER_H
#define ENGINE_TEXT_TOKENIZER_H

#include "engine/t2l.h"

struct tokenizer;

/* ---- making one ---- */

/* Opens a model directory (tokenizer.json, else SentencePiece's tokenizer.model, Qwen 1's
 * qwen.tiktoken or BERT's vocab.txt; tokenizer_config.json, added_tokens.json,
 * special_tokens_map.json, generation_config.json and chat_template.jinja are read when present)
 * or one of those four files, whose neighbours are then read in the same way.
 * Errors: T2L_ENOENT, T2L_EFORMAT (damaged or hostile), T2L_EUNSUPPORTED (names the part). */
enum t2l_status tokenizer_open_hf(const char *path, struct tokenizer **out, struct t2l_error *err);

/* Does the directory have one of those files? */
bool tokenizer_is_in(const char *directory);

/* Reads the bytes of a tokenizer.json; NAME is used in messages only. */
enum t2l_status tokenizer_read_json(const char *json, size_t n_bytes, const char *name,
    struct tokenizer **out, struct t2l_error *err);

/* Reads a WordPiece vocabulary, one token a line, the line number being its id. */
enum t2l_status tokenizer_read_wordpiece(const char *vocab, size_t n_bytes, bool lowercase,
    const char *name, struct tokenizer **out, struct t2l_error *err);

/* A vocabulary as GGUF carries it (keys tokenizer.ggml.*), without its file format. */
enum token_type {
	TOKEN_NORMAL = 1,
	TOKEN_UNKNOWN = 2,
	TOKEN_CONTROL = 3,	/* special: found in text only if special text is parsed */
	TOKEN_USER_DEFINED = 4, /* always found in text */
	TOKEN_UNUSED = 5,
	TOKEN_BYTE = 6 /* <0x00> to <0xFF> */
};

struct token_text {
	const char *bytes; /* need not end in NUL */
	size_t n_bytes;
};

enum token_strip { TOKEN_STRIPS_LEFT = 1, TOKEN_STRIPS_RIGHT = 2 };

struct tokenizer_parts {
	const char *model; /* tokenizer.ggml.model: "gpt2", "llama" or "bert" */
	const char *pre;   /* tokenizer.ggml.pre: "llama-bpe", "qwen2", ...; NULL: "default" */
	size_t n_tokens;
	const struct token_text *tokens; /* [n_tokens] */
	const float *scores;		 /* [n_tokens] or NULL; "llama" needs them */
	const int32_t *types;		 /* [n_tokens] of enum token_type, or NULL: all normal */
	const uint8_t *strips;		 /* [n_tokens] of enum token_strip, or NULL: none does */
	size_t n_merges;
	const struct token_text *merges; /* [n_merges] "left right"; "gpt2" needs them */
	bool merges_by_rank; /* "gpt2" of tiktoken: neighbours become the token of the lowest id */
	int32_t bos_id, eos_id, eot_id, unk_id, pad_id; /* -1: none */
	bool add_bos, add_eos; /* what TOKENIZER_ADD_SPECIAL puts around the text */
	bool add_space_prefix; /* "llama": a blank before every run of ordinary text */
	bool prefix_first; /* and then only before the first run, if it has none: `legacy: false` */
	const char *chat_template; /* Jinja source or NULL */
};

/* Copies what it needs of PARTS. Errors as for tokenizer_open_hf(). */
enum t2l_status tokenizer_create(
    const struct tokenizer_parts *parts, struct tokenizer **out, struct t2l_error *err);

/* The tokenizer of a tokenizer.json (as tokenizer_read_json()) with the ids, ends and template that
 * PARTS say; its tokens are not looked at. */
enum t2l_status tokenizer_create_json(const char *json, size_t n_bytes, const char *name,
    const struct tokenizer_parts *parts, struct tokenizer **out, struct t2l_error *err);

/* One more token that ends a text, while no one else has the tokenizer yet; no token: nothing. */
void tokenizer_add_eos(struct tokenizer *tok, int64_t id);

void tokenizer_close(struct tokenizer *tok);

/* ---- text to ids ---- */

enum tokenizer_flags {
	TOKENIZER_PLAIN = 0,
	/* "<|eot_id|>" written in the text becomes that token. Never set this for text that
	 * someone else wrote: it could then speak as another role. */
	TOKENIZER_PARSE_SPECIAL = 1,
	/* Put BOS, EOS, [CLS], [SEP] around the text, as the model wants it. A BOS that the text
	 * begins with (and that is parsed) is not doubled: chat templates write their own. */
	TOKENIZER_ADD_SPECIAL = 2
};

/* *IDS [*N] is the caller's; it is NULL when there are none. */
enum t2l_status tokenizer_encode(const struct tokenizer *tok, const char *text, size_t n_bytes,
    unsigned flags, int32_t **ids, size_t *n, struct t2l_error *err);

/* Shortens an encoding to MAX ids in place, as encoders do: the first ids stay and what
 * TOKENIZER_ADD_SPECIAL put behind the text ([SEP]) stays last. Returns the new length. */
size_t tokenizer_truncate(const struct tokenizer *tok, int32_t *ids, size_t n, size_t max);

/* ---- ids to text ---- */

enum detokenizer_flags {
	DETOKENIZE_ALL = 0,
	DETOKENIZE_SKIP_SPECIAL = 1, /* leave out BOS, EOS, <|im_end|>, ... */
	DETOKENIZE_RAW = 2	     /* bytes that are no UTF-8 stay; else they become U+FFFD */
};

/* *TEXT is valid UTF-8 (but with DETOKENIZE_RAW), ends in NUL (not counted in *N_BYTES) and is the
 * caller's. Ids outside the vocabulary (a model may have more rows than its tokenizer has tokens)
 * stand for no text. */
enum t2l_status tokenizer_decode(const struct tokenizer *tok, const int32_t *ids, size_t n,
    unsigned flags, char **text, size_t *n_bytes, struct t2l_error *err);

/* Decodes token by token and never shows half a character: what may still grow into one is held
 * back. The bytes returned live until the next call on the same stream. */
struct token_stream;

enum t2l_status token_stream_open(
    const struct tokenizer *tok, unsigned flags, struct token_stream **out, struct t2l_error *err);

/* *BYTES [*N_BYTES]: the new text, valid UTF-8, possibly empty. */
enum t2l_status token_stream_feed(struct token_stream *stream, int32_t id, const char **bytes,
    size_t *n_bytes, struct t2l_error *err);

/* Gives the rest, bad parts as U+FFFD, and makes the stream ready for another text. */
enum t2l_status token_stream_flush(
    struct token_stream *stream, const char **bytes, size_t *n_bytes, struct t2l_error *err);

void token_stream_close(struct token_stream *stream);

/* ---- what it knows ---- */

/* Ids are 0 .. tokenizer_n_tokens() - 1; a few in between may be unused. A model's embedding may
 * have more rows than that. */
size_t tokenizer_n_tokens(const struct tokenizer *tok);

/* The same without tokens that were only added to the vocabulary. */
size_t tokenizer_n_model_tokens(const struct tokenizer *tok);

int32_t tokenizer_bos(const struct tokenizer *tok); /* -1: none */
int32_t tokenizer_pad(const struct tokenizer *tok); /* -1: none */
int32_t tokenizer_unk(const struct tokenizer *tok); /* -1: none */

/* The tokens that end a text: the tokenizer's own EOS and those of generation_config.json. */
const int32_t *tokenizer_eos(const struct tokenizer *tok, size_t *n);
bool tokenizer_is_eos(const struct tokenizer *tok, int32_t id);

/* Special tokens are control tokens: they are no text of an answer. */
bool tokenizer_is_special(const struct tokenizer *tok, int32_t id);

/* The id of a token by its name as the vocabulary writes it ("<|im_end|>", "[SEP]"); -1: none. */
int32_t tokenizer_find(const struct tokenizer *tok, const char *token);

/* The name of a token as the vocabulary writes it, ends in NUL; NULL for an unused id. */
const char *tokenizer_name(const struct tokenizer *tok, int32_t id);

/* The bytes a token stands for in text (its name for special tokens); may be part of a character,
 * are not terminated and live as long as the tokenizer. NULL for an unused id. */
const char *tokenizer_bytes(const struct tokenizer *tok, int32_t id, size_t *n_bytes);

/* The chat template's source (chat-template.h reads it), or NULL. */
const char *tokenizer_chat_template(const struct tokenizer *tok);

/* model_max_length of tokenizer_config.json, 0 when it says nothing sensible. */
size_t tokenizer_max_length(const struct tokenizer *tok);

#endif
