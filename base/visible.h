/*
 * base/visible.h - makes text from a model or a file safe to show on a terminal.
 *
 * Control characters (C0, DEL, C1) become pictures, invisible and direction-changing ones
 * (bidi overrides and isolates, zero-width spaces, tags, fillers) become <U+202E>, malformed
 * UTF-8 becomes U+FFFD. ZWJ, ZWNJ and variation selectors stay: emoji, Persian and the Indic
 * scripts need them. The result is well-formed UTF-8 without escape sequences, whatever came in.
 */
#ifndef BASE_VISIBLE_H
#define BASE_VISIBLE_H

#include <stddef.h>

#include "base/buffer.h"

enum {
	VISIBLE_KEEP_LF = 1,
	VISIBLE_KEEP_TAB = 2,
	VISIBLE_ASCII = 4 /* pure ASCII out: ^[ for ESC, <U+00E9> beyond ASCII, ? for malformed */
};

void visible_append(struct buffer *out, const char *text, size_t n, unsigned flags);

/* The same into OUT[SIZE] (SIZE >= 1), always terminated, cut between characters when it does
 * not fit; returns the bytes written without the NUL. For error messages. */
size_t visible_copy(char *out, size_t size, const char *text, size_t n, unsigned flags);

/* The same in fresh memory, to be freed; NULL when out of memory. */
char *visible_text(const char *text, unsigned flags);

#endif
