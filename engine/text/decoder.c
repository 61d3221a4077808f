/* decoder.c - turns the pieces of tokens back into text. */

#define _GNU_SOURCE /* memmem */
#include <string.h>

#include "base/utf8.h"
#include "engine/text/byte-level.h"
#include "engine/text/decoder.h"
#include "engine/text/unicode.h"

static const char replacement[] = "\xEF\xBF\xBD";

/* A text of this many bytes that is still not complete never will be. */
#define LONGEST_PENDING 256

/* ---- pieces ---- */

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* The byte that a token named <0xE4> stands for, or -1. */
static int
byte_of_name(const char *name, size_t n_bytes)
{
	int high, low;

	if (n_bytes != 6 || memcmp(name, "<0x", 3) != 0 || name[5] != '>')
		return -1;
	high = hex_digit(name[3]);
	low = hex_digit(name[4]);
	return high < 0 || low < 0 ? -1 : high * 16 + low;
}

static void
append_replaced(
    struct buffer *out, const char *text, size_t n_bytes, const char *what, const char *with)
{
	size_t n_what = strlen(what);
	const char *found;

	while (n_what > 0 && (found = memmem(text, n_bytes, what, n_what)) != NULL) {
		buffer_append(out, text, (size_t)(found - text));
		buffer_text(out, with);
		n_bytes -= (size_t)(found - text) + n_what;
		text = found + n_what;
	}
	buffer_append(out, text, n_bytes);
}

void
decoder_piece(const struct decoder *decoder, const char *name, size_t n_bytes, struct buffer *out)
{
	int byte;

	switch (decoder->kind) {
	case DECODER_BYTES:
		byte_level_append(out, name, n_bytes);
		break;
	case DECODER_TEXT:
		byte = decoder->byte_fallback ? byte_of_name(name, n_bytes) : -1;
		if (byte >= 0)
			buffer_char(out, (char)byte);
		else
			append_replaced(out, name, n_bytes, decoder->blank, " ");
		break;
	case DECODER_WORDS:
		buffer_append(out, name, n_bytes);
		break;
	}
}

/* ---- bytes ---- */

static void
append_repaired(struct buffer *out, const char *text, size_t n_bytes)
{
	size_t at = 0, length;
	uint32_t code_point;
	bool valid;

	while (at < n_bytes) {
		length = utf8_decode(text + at, n_bytes - at, &code_point, &valid);
		if (valid)
			buffer_append(out, text + at, length);
		else
			buffer_text(out, replacement);
		at += length;
	}
}

static bool
ends_in_replacement(const struct buffer *text)
{
	return text->n >= 3 && memcmp(text->bytes + text->n - 3, replacement, 3) == 0;
}

/* Holds everything back while its end is no good character, as the reference's stream does. */
static void
feed_bytes(struct decoder_state *state, const char *piece, size_t n_bytes, struct buffer *out)
{
	struct buffer *pending = &state->pending;
	size_t before = out->n, tail;

	buffer_append(pending, piece, n_bytes);
	append_repaired(out, buffer_string(pending), pending->n);
	if (!ends_in_replacement(out)) {
		buffer_clear(pending);
		return;
	}
	out->n = before;
	if (pending->n < LONGEST_PENDING)
		return;
	tail = utf8_incomplete_tail(pending->bytes, pending->n);
	append_repaired(out, pending->bytes, pending->n - tail);
	memmove(pending->bytes, pending->bytes + pending->n - tail, tail);
	pending->n = tail;
}

/* ---- text with byte tokens ---- */

static void
append_text(const struct decoder *decoder, struct decoder_state *state, const char *text,
    size_t n_bytes, struct buffer *out)
{
	if (n_bytes == 0)
		return;
	if (!state->started && decoder->strip_blank && text[0] == ' ') {
		text++;
		n_bytes--;
	}
	state->started = true;
	buffer_append(out, text, n_bytes);
}

/* A run of byte tokens that is no valid text as a whole is one U+FFFD a byte. */
static void
end_run(const struct decoder *decoder, struct decoder_state *state, struct buffer *out)
{
	struct buffer *run = &state->pending;
	size_t i;

	if (state->raw || utf8_valid(buffer_string(run), run->n))
		append_text(decoder, state, buffer_string(run), run->n, out);
	else
		for (i = 0; i < run->n; i++)
			append_text(decoder, state, replacement, 3, out);
	buffer_clear(run);
}

static void
feed_text(const struct decoder *decoder, struct decoder_state *state, const char *piece,
    size_t n_bytes, bool is_byte, bool streaming, struct buffer *out)
{
	if (!is_byte) {
		end_run(decoder, state, out);
		append_text(decoder, state, piece, n_bytes, out);
		return;
	}
	buffer_append(&state->pending, piece, n_bytes);
	if (streaming && (utf8_valid(buffer_string(&state->pending), state->pending.n) ||
			     state->pending.n >= LONGEST_PENDING))
		end_run(decoder, state, out);
}

/* ---- words ---- */

static void
feed_word(const struct decoder *decoder, struct decoder_state *state, const char *piece,
    size_t n_bytes, struct buffer *out)
{
	static const char *const cleanups[][2] = {
		{ " .", "." },
		{ " ?", "?" },
		{ " !", "!" },
		{ " ,", "," },
		{ " ' ", "'" },
		{ " n't", "n't" },
		{ " 'm", "'m" },
		{ " do not", " don't" },
		{ " 's", "'s" },
		{ " 've", "'ve" },
		{ " 're", "'re" },
	};
	size_t n_prefix = strlen(decoder->prefix), i;
	struct buffer word = { 0 }, cleaned = { 0 };

	if (state->begun && n_prefix > 0 && n_bytes >= n_prefix &&
	    memcmp(piece, decoder->prefix, n_prefix) == 0) {
		buffer_append(&word, piece + n_prefix, n_bytes - n_prefix);
	} else {
		if (state->begun)
			buffer_char(&word, ' ');
		buffer_append(&word, piece, n_bytes);
	}
	for (i = 0; decoder->cleanup && i < sizeof cleanups / sizeof *cleanups; i++) {
		buffer_clear(&cleaned);
		append_replaced(
		    &cleaned, buffer_string(&word), word.n, cleanups[i][0], cleanups[i][1]);
		buffer_clear(&word);
		buffer_append(&word, buffer_string(&cleaned), cleaned.n);
	}
	buffer_append(out, buffer_string(&word), word.n);
	out->failed |= buffer_failed(&word) || buffer_failed(&cleaned);
	buffer_free(&word);
	buffer_free(&cleaned);
}

void
decoder_feed(const struct decoder *decoder, struct decoder_state *state,
    const struct vocabulary *vocabulary, int32_t id, bool streaming, struct buffer *out)
{
	size_t n_bytes, n_name;
	const char *piece = string_table_get(&vocabulary->pieces, id, &n_bytes);
	const char *name;

	if (piece == NULL)
		return;
	switch (decoder->kind) {
	case DECODER_BYTES:
		if (streaming)
			feed_bytes(state, piece, n_bytes, out);
		else
			buffer_append(&state->pending, piece, n_bytes);
		break;
	case DECODER_TEXT:
		name = string_table_get(&vocabulary->names, id, &n_name);
		feed_text(decoder, state, piece, n_bytes,
		    decoder->byte_fallback && byte_of_name(name, n_name) >= 0, streaming, out);
		break;
	case DECODER_WORDS:
		feed_word(decoder, state, piece, n_bytes, out);
		break;
	}
	state->begun = true;
	out->failed |= buffer_failed(&state->pending);
}

void
decoder_flush(const struct decoder *decoder, struct decoder_state *state, struct buffer *out)
{
	if (decoder->kind == DECODER_BYTES && state->raw)
		buffer_append(out, buffer_string(&state->pending), state->pending.n);
	else if (decoder->kind == DECODER_BYTES)
		append_repaired(out, buffer_string(&state->pending), state->pending.n);
	else
		end_run(decoder, state, out);
	buffer_free(&state->pending);
	*state = (struct decoder_state){ 0 };
}
