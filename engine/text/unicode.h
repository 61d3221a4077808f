/*
 * engine/text/unicode.h - character classes, normal forms, repair of bad UTF-8.
 *
 * Strings have a length and may hold NUL. Normal forms and classes are those of utf8proc's
 * Unicode version.
 */
#ifndef ENGINE_TEXT_UNICODE_H
#define ENGINE_TEXT_UNICODE_H

#include "engine/t2l.h"

bool unicode_is_ascii(const char *text, size_t n_bytes);

/* How many bytes at the end may be the beginning of a character that is not complete yet. */
size_t utf8_incomplete_tail(const char *text, size_t n_bytes);

/* A copy with each maximal bad part replaced by U+FFFD; ends in NUL; NULL: out of memory. */
char *utf8_repair(const char *text, size_t n_bytes, size_t *n_out);

enum unicode_form { UNICODE_NFC, UNICODE_NFD, UNICODE_NFKC, UNICODE_NFKD };

/* A normalised copy of valid UTF-8; ends in NUL; NULL: out of memory. */
char *unicode_normalize(const char *text, size_t n_bytes, enum unicode_form form, size_t *n_out);

/* Classes as Rust's char and the `tokenizers` library have them. The library's tables of control
 * characters, marks and punctuation are older: for some 550 rare characters that came after
 * Unicode 8 its BERT tokenizers give other ids than ours. */
bool unicode_is_white_space(uint32_t code_point);     /* property White_Space */
bool unicode_is_control(uint32_t code_point);	      /* Cc, Cf, Co: unassigned ones are none */
bool unicode_is_punctuation(uint32_t code_point);     /* general category P */
bool unicode_is_mark_nonspacing(uint32_t code_point); /* Mn */
bool unicode_is_mark(uint32_t code_point);	      /* general category M */
bool unicode_is_number(uint32_t code_point);	      /* general category N */
bool unicode_is_word(uint32_t code_point);	      /* \w of a Unicode regex */

/* The full lower-case mapping: 1 or 2 code points; returns how many. */
size_t unicode_to_lower(uint32_t code_point, uint32_t out[2]);

#endif
