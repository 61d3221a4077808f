/*
 * engine/text/decoder.h - turns the pieces of tokens back into text.
 */
#ifndef ENGINE_TEXT_DECODER_H
#define ENGINE_TEXT_DECODER_H

#include "base/buffer.h"
#include "engine/text/vocabulary.h"

enum decoder_kind {
	DECODER_BYTES, /* pieces are bytes; bad UTF-8 becomes U+FFFD per maximal bad part */
	DECODER_TEXT,  /* pieces are text, and <0x00>..<0xFF> may stand for bytes */
	DECODER_WORDS  /* pieces are words, a blank between them */
};

struct decoder {
	enum decoder_kind kind;
	char blank[8];	    /* TEXT: what is written as a blank (U+2581), or "" */
	bool byte_fallback; /* TEXT: tokens named <0xE4> are bytes */
	bool strip_blank;   /* TEXT: the text loses one blank at its beginning */
	char prefix[16];    /* WORDS: tokens with it continue a word ("##"), or "" */
	bool cleanup;	    /* WORDS: no blank before .,!? and English contractions */
};

/* Where decoding stands between two tokens. Zeroed is the beginning of a text. */
struct decoder_state {
	struct buffer pending; /* bytes that are no complete text yet */
	bool begun;	       /* a token has been seen */
	bool started;	       /* text has come out */
	bool raw;	       /* set by the caller: bad bytes stay as they are */
};

/* The bytes of a token for string_table_set(): what NAME stands for in text. */
void decoder_piece(
    const struct decoder *decoder, const char *name, size_t n_bytes, struct buffer *out);

/* Appends to OUT what is now certain. Streaming shows a run of byte tokens as soon as it is valid;
 * otherwise a run is judged as a whole, as the reference does. */
void decoder_feed(const struct decoder *decoder, struct decoder_state *state,
    const struct vocabulary *vocabulary, int32_t id, bool streaming, struct buffer *out);
void decoder_flush(const struct decoder *decoder, struct decoder_state *state, struct buffer *out);

#endif
