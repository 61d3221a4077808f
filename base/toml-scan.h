/*
 * base/toml-scan.h - the characters of a TOML document: strings and bare words.
 *
 * Private to the TOML reader.
 */
#ifndef BASE_TOML_SCAN_H
#define BASE_TOML_SCAN_H

#include "base/buffer.h"
#include "base/config-value.h"

struct toml_scan {
	const char *at, *end; /* what is left */
	int line;
	struct config_builder builder;
};

/* The next character, '\0' at the end (the text has no NUL). */
static inline char
toml_peek(const struct toml_scan *scan)
{
	return scan->at < scan->end ? *scan->at : '\0';
}

bool toml_skips(struct toml_scan *scan, const char *text); /* over TEXT if it comes next */
void toml_skip_blanks(struct toml_scan *scan);		   /* spaces and tabs */

/* A comment and the line's end, if they come next. */
bool toml_skip_comment(struct toml_scan *scan);
bool toml_skip_newline(struct toml_scan *scan); /* false when there is none */

/* Any of the four kinds of string, at its opening quote, into OUT. A key cannot be of the
 * multi-line kinds. */
bool toml_string(struct toml_scan *scan, bool is_key, struct buffer *out);

/* A number, boolean, date or time into VALUE, which is set by kind. */
bool toml_word(struct toml_scan *scan, struct config_value *value);

bool toml_fail(struct toml_scan *scan, const char *what);

#endif
