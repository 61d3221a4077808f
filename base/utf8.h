/*
 * base/utf8.h - reading and writing UTF-8 that may be hostile.
 *
 * Well-formed as in Unicode table 3-7: shortest form only, no surrogates, at most U+10FFFF.
 */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UTF8_REPLACEMENT 0xFFFD
#define UTF8_MAX_BYTES 4

/* Reads one character of TEXT[N] (N >= 1) and returns its bytes. A malformed sequence gives
 * U+FFFD with *VALID false and consumes its longest well-begun prefix, at least one byte. */
size_t utf8_decode(const char *text, size_t n, uint32_t *codepoint, bool *valid);

/* Writes CODEPOINT (U+FFFD in place of what has no UTF-8 form), returns the bytes: 1..4. */
size_t utf8_encode(uint32_t codepoint, char out[UTF8_MAX_BYTES]);

bool utf8_valid(const char *text, size_t n);

#endif
