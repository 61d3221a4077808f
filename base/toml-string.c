/* toml-string.c - TOML's four kinds of string, comments and line ends. */

#include <string.h>

#include "base/toml-scan.h"
#include "base/utf8.h"

bool
toml_fail(struct toml_scan *scan, const char *what)
{
	return config_fail(scan->builder.error, scan->line, "%s", what);
}

bool
toml_skips(struct toml_scan *scan, const char *text)
{
	size_t n = strlen(text);

	if ((size_t)(scan->end - scan->at) < n || memcmp(scan->at, text, n) != 0)
		return false;
	scan->at += n;
	return true;
}

void
toml_skip_blanks(struct toml_scan *scan)
{
	while (toml_peek(scan) == ' ' || toml_peek(scan) == '\t')
		scan->at++;
}

/* Control characters that no comment and no string may hold as they are. */
static bool
is_forbidden(char c)
{
	return ((unsigned char)c < 0x20 && c != '\t') || c == 0x7F;
}

bool
toml_skip_newline(struct toml_scan *scan)
{
	if (!toml_skips(scan, "\n") && !toml_skips(scan, "\r\n"))
		return false;
	scan->line++;
	return true;
}

bool
toml_skip_comment(struct toml_scan *scan)
{
	if (toml_peek(scan) != '#')
		return true;
	while (scan->at < scan->end && *scan->at != '\n') {
		if (*scan->at == '\r' && scan->end - scan->at > 1 && scan->at[1] == '\n')
			break;
		if (is_forbidden(*scan->at))
			return toml_fail(scan, "a control character in a comment");
		scan->at++;
	}
	return true;
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if ((c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'))
		return (c | 0x20) - 'a' + 10;
	return -1;
}

/* \uXXXX or \UXXXXXXXX, behind the letter. */
static bool
unicode_escape(struct toml_scan *scan, int n_digits, struct buffer *out)
{
	char encoded[UTF8_MAX_BYTES];
	uint32_t codepoint = 0;

	for (int i = 0; i < n_digits; i++) {
		int digit = hex_digit(toml_peek(scan));

		if (digit < 0)
			return toml_fail(scan, "an escape has too few hexadecimal digits");
		codepoint = codepoint << 4 | (uint32_t)digit;
		scan->at++;
	}
	if (codepoint == 0)
		return toml_fail(scan, "NUL characters are not supported");
	if (codepoint > 0x10FFFF || (codepoint >= 0xD800 && codepoint <= 0xDFFF))
		return toml_fail(scan, "an escape is no Unicode character");
	buffer_append(out, encoded, utf8_encode(codepoint, encoded));
	return true;
}

/* A backslash at the end of a line swallows all white space up to the next character. */
static bool
line_continuation(struct toml_scan *scan)
{
	toml_skip_blanks(scan);
	if (!toml_skip_newline(scan))
		return toml_fail(scan, "an unknown escape in a string");
	do
		toml_skip_blanks(scan);
	while (toml_skip_newline(scan));
	return true;
}

static bool
escape(struct toml_scan *scan, bool multi_line, struct buffer *out)
{
	static const char letters[] = "btnfr\"\\", meanings[] = "\b\t\n\f\r\"\\";
	char c = toml_peek(scan);
	const char *letter = c != '\0' ? strchr(letters, c) : NULL;

	if (letter != NULL) {
		scan->at++;
		buffer_char(out, meanings[letter - letters]);
		return true;
	}
	if (c == 'u' || c == 'U') {
		scan->at++;
		return unicode_escape(scan, c == 'u' ? 4 : 8, out);
	}
	if (multi_line)
		return line_continuation(scan);
	return toml_fail(scan, "an unknown escape in a string");
}

/* The closing delimiter of a multi-line string: up to two quotes before it belong to the text. */
static bool
closes_multi_line(struct toml_scan *scan, const char *delimiter, struct buffer *out)
{
	if (!toml_skips(scan, delimiter))
		return false;
	for (int i = 0; i < 2 && toml_peek(scan) == delimiter[0]; i++) {
		buffer_char(out, delimiter[0]);
		scan->at++;
	}
	return true;
}

static bool
multi_line_string(struct toml_scan *scan, const char *delimiter, struct buffer *out)
{
	int first_line = scan->line;

	toml_skip_newline(scan);
	while (scan->at < scan->end) {
		if (closes_multi_line(scan, delimiter, out))
			return true;
		if (toml_skip_newline(scan)) {
			buffer_char(out, '\n');
			continue;
		}
		if (is_forbidden(*scan->at))
			return toml_fail(scan, "a control character in a string");
		if (delimiter[0] == '"' && toml_skips(scan, "\\")) {
			if (!escape(scan, true, out))
				return false;
			continue;
		}
		buffer_char(out, *scan->at++);
	}
	return config_fail(scan->builder.error, first_line, "this string is never closed");
}

static bool
one_line_string(struct toml_scan *scan, char quote, struct buffer *out)
{
	while (scan->at < scan->end && *scan->at != '\n' && *scan->at != '\r') {
		char c = *scan->at;

		if (is_forbidden(c))
			return toml_fail(scan, "a control character in a string");
		scan->at++;
		if (c == quote)
			return true;
		if (c == '\\' && quote == '"') {
			if (!escape(scan, false, out))
				return false;
			continue;
		}
		buffer_char(out, c);
	}
	return toml_fail(scan, "this string is not closed on its line");
}

bool
toml_string(struct toml_scan *scan, bool is_key, struct buffer *out)
{
	char quote = toml_peek(scan);
	bool multi_line = toml_skips(scan, quote == '"' ? "\"\"\"" : "'''");
	bool read;

	if (multi_line && is_key)
		return toml_fail(scan, "a key cannot be a multi-line string");
	if (!multi_line)
		scan->at++;
	read = multi_line ? multi_line_string(scan, quote == '"' ? "\"\"\"" : "'''", out)
			  : one_line_string(scan, quote, out);
	if (read && buffer_failed(out))
		return toml_fail(scan, "out of memory");
	return read;
}
