/* jinja-lexer.c - cuts a template into tokens. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "engine/error.h"
#include "engine/text/ids.h"
#include "engine/text/jinja-lexer.h"
#include "engine/text/unicode.h"

struct lexer {
	const char *at, *end;
	int line;
	bool line_starts; /* the last token ended in a newline */
	struct jinja_arena *arena;
	struct jinja_tokens *tokens;
	struct t2l_error *err;
};

static enum t2l_status
out_of_memory(struct lexer *lexer)
{
	return t2l_fail(lexer->err, T2L_ENOMEM, "line %d: the template is too large", lexer->line);
}

static bool
add_token(struct lexer *lexer, enum jinja_token_kind kind, const char *start, size_t n)
{
	void *at = lexer->tokens->at;

	if (!array_grow(
		&at, &lexer->tokens->capacity, lexer->tokens->n + 1, sizeof *lexer->tokens->at))
		return false;
	lexer->tokens->at = at;
	lexer->tokens->at[lexer->tokens->n++] =
	    (struct jinja_token){ kind, lexer->line, { start, n }, jinja_slice(start, n) };
	return true;
}

static void
advance(struct lexer *lexer, size_t n)
{
	for (; n > 0; n--)
		lexer->line += *lexer->at++ == '\n';
}

static bool
looking_at(const struct lexer *lexer, const char *text)
{
	size_t n = strlen(text);

	return (size_t)(lexer->end - lexer->at) >= n && memcmp(lexer->at, text, n) == 0;
}

/* White space as Python's str.isspace() for one byte; Jinja files use no other around tags. */
static bool
is_space(char c)
{
	return (c >= '\t' && c <= '\r') || c == ' ' || (c >= 0x1C && c <= 0x1F);
}

static void
skip_spaces(struct lexer *lexer)
{
	while (lexer->at < lexer->end && is_space(*lexer->at))
		advance(lexer, 1);
}

static bool
is_name_start(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* ---- text between tags ---- */

/* The text up to a tag that opens with SIGN, shortened at its end as the settings say. */
static size_t
trim_before_tag(const struct lexer *lexer, const char *text, size_t n, char sign, bool is_output)
{
	size_t line_start = n, kept = n;

	if (sign == '-') {
		while (kept > 0 && is_space(text[kept - 1]))
			kept--;
		return kept;
	}
	if (sign == '+' || is_output)
		return n;
	while (line_start > 0 && text[line_start - 1] != '\n')
		line_start--;
	if (line_start == 0 && !lexer->line_starts)
		return n;
	while (kept > line_start && is_space(text[kept - 1]))
		kept--;
	return kept == line_start ? line_start : n;
}

/* Skips what follows the end of a block tag or comment. */
static void
trim_after_tag(struct lexer *lexer, char sign)
{
	const char *start = lexer->at;

	if (sign == '-')
		skip_spaces(lexer);
	else if (sign != '+' && lexer->at < lexer->end && *lexer->at == '\n')
		advance(lexer, 1);
	lexer->line_starts = lexer->at > start && lexer->at[-1] == '\n';
}

/* At "{#", behind its text. */
static enum t2l_status
skip_comment(struct lexer *lexer)
{
	const char *start = lexer->at;
	int line = lexer->line;
	char sign;

	while (lexer->at < lexer->end && !looking_at(lexer, "#}"))
		advance(lexer, 1);
	if (lexer->at == lexer->end)
		return t2l_fail(
		    lexer->err, T2L_EFORMAT, "line %d: this comment has no end '#}'", line);
	sign = lexer->at > start ? lexer->at[-1] : '\0';
	advance(lexer, 2);
	trim_after_tag(lexer, sign);
	return T2L_OK;
}

/* Reads "{% NAME %}" at the lexer, with any signs: its length, or 0 if it is something else. */
static size_t
bare_tag(const struct lexer *lexer, const char *name, char *open_sign, char *close_sign)
{
	struct lexer ahead = *lexer;

	if (!looking_at(&ahead, "{%"))
		return 0;
	ahead.at += 2;
	*open_sign = *close_sign = '\0';
	if (looking_at(&ahead, "-") || looking_at(&ahead, "+"))
		*open_sign = *ahead.at++;
	skip_spaces(&ahead);
	if (!looking_at(&ahead, name))
		return 0;
	ahead.at += strlen(name);
	skip_spaces(&ahead);
	if (looking_at(&ahead, "-") || looking_at(&ahead, "+"))
		*close_sign = *ahead.at++;
	return looking_at(&ahead, "%}") ? (size_t)(ahead.at + 2 - lexer->at) : 0;
}

/* {% raw %} text {% endraw %}: the text as it is. */
static enum t2l_status
read_raw(struct lexer *lexer, size_t n_tag, char close_sign)
{
	int line = lexer->line;
	const char *start;
	char open_sign;
	size_t n;

	advance(lexer, n_tag);
	if (close_sign == '-')
		skip_spaces(lexer);
	lexer->line_starts = false;
	start = lexer->at;
	while (lexer->at < lexer->end &&
	       (n_tag = bare_tag(lexer, "endraw", &open_sign, &close_sign)) == 0)
		advance(lexer, 1);
	if (lexer->at == lexer->end)
		return t2l_fail(lexer->err, T2L_EFORMAT, "line %d: 'raw' has no 'endraw'", line);
	n = trim_before_tag(lexer, start, (size_t)(lexer->at - start), open_sign, false);
	if (n > 0 && !add_token(lexer, TOKEN_TEXT, start, n))
		return out_of_memory(lexer);
	advance(lexer, n_tag);
	trim_after_tag(lexer, close_sign);
	return T2L_OK;
}

/* ---- inside tags ---- */

/* Reads up to N hexadecimal digits behind the cursor of an escape. */
static const char *
read_hex(const char *at, const char *end, int n, uint32_t *value)
{
	*value = 0;
	for (; n > 0 && at < end; n--, at++) {
		char c = *at;
		int digit = is_digit(c)		   ? c - '0'
			    : c >= 'a' && c <= 'f' ? c - 'a' + 10
			    : c >= 'A' && c <= 'F' ? c - 'A' + 10
						   : -1;

		if (digit < 0)
			break;
		*value = *value << 4 | (uint32_t)digit;
	}
	return n == 0 ? at : NULL;
}

/* Writes what the escape behind a backslash stands for, as Python's unicode_escape does. AT is
 * behind the backslash; the result is behind the escape, NULL for a malformed one. */
static const char *
unescape(const char *at, const char *end, char **out)
{
	static const char letters[] = "n\nt\tr\rb\bf\fv\va\a\\\\''\"\"";
	uint32_t value = 0;
	size_t i;

	for (i = 0; i + 1 < sizeof letters; i += 2)
		if (*at == letters[i]) {
			*(*out)++ = letters[i + 1];
			return at + 1;
		}
	if (*at == '\n')
		return at + 1;
	if (*at == 'x' || *at == 'u' || *at == 'U') {
		at = read_hex(at + 1, end, *at == 'x' ? 2 : *at == 'u' ? 4 : 8, &value);
		if (at != NULL)
			*out += utf8_encode(value, *out);
		return at;
	}
	if (*at >= '0' && *at <= '7') {
		for (i = 0; i < 3 && at < end && *at >= '0' && *at <= '7'; i++)
			value = value << 3 | (uint32_t)(*at++ - '0');
		*out += utf8_encode(value, *out);
		return at;
	}
	*(*out)++ = '\\'; /* an unknown escape stays as it is */
	*(*out)++ = *at;
	return at + 1;
}

static enum t2l_status
read_string(struct lexer *lexer)
{
	const char *start = lexer->at + 1, *stop = start, *at;
	char quote = *lexer->at, *text, *out;
	int line = lexer->line;

	while (stop < lexer->end && *stop != quote)
		stop += *stop == '\\' && stop + 1 < lexer->end ? 2 : 1;
	if (stop >= lexer->end)
		return t2l_fail(lexer->err, T2L_EFORMAT, "line %d: this string has no end", line);
	/* No escape is longer than what it is written with. */
	text = out = jinja_alloc(lexer->arena, (size_t)(stop - start) + UTF8_MAX_BYTES);
	if (text == NULL || !add_token(lexer, TOKEN_LITERAL, start, 0))
		return out_of_memory(lexer);
	for (at = start; at < stop;) {
		if (*at != '\\') {
			*out++ = *at++;
			continue;
		}
		at = unescape(at + 1, stop, &out);
		if (at == NULL)
			return t2l_fail(lexer->err, T2L_EFORMAT,
			    "line %d: a malformed escape in a string", line);
	}
	lexer->tokens->at[lexer->tokens->n - 1].value = jinja_slice(text, (size_t)(out - text));
	advance(lexer, (size_t)(stop + 1 - lexer->at));
	return T2L_OK;
}

static enum t2l_status
read_number(struct lexer *lexer)
{
	char digits[64];
	const char *at = lexer->at;
	bool is_float = false, has_exponent = false;
	size_t n = 0;
	struct jinja_value value;

	for (; at < lexer->end && n < sizeof digits - 1; at++) {
		const char *next = at + 1;
		bool exponent = (*at == 'e' || *at == 'E') && !has_exponent;

		if (*at == '_')
			continue;
		if (exponent && next < lexer->end && (*next == '+' || *next == '-'))
			next++;
		exponent = exponent && next < lexer->end && is_digit(*next);
		if (!is_digit(*at) && !exponent &&
		    !(*at == '.' && !is_float && next < lexer->end && is_digit(*next)))
			break;
		is_float |= !is_digit(*at);
		has_exponent |= exponent;
		digits[n++] = *at;
		if (exponent && next > at + 1 && n < sizeof digits - 1)
			digits[n++] = *++at;
	}
	digits[n] = '\0';
	errno = 0;
	value = is_float ? jinja_float(strtod(digits, NULL)) : jinja_int(strtoll(digits, NULL, 10));
	if (errno != 0 || n == sizeof digits - 1)
		return t2l_fail(lexer->err, T2L_EUNSUPPORTED,
		    "line %d: the number %.20s... is too large", lexer->line, digits);
	if (!add_token(lexer, TOKEN_LITERAL, lexer->at, 0))
		return out_of_memory(lexer);
	lexer->tokens->at[lexer->tokens->n - 1].value = value;
	lexer->at = at;
	return T2L_OK;
}

static enum t2l_status
read_name(struct lexer *lexer)
{
	const char *start = lexer->at;

	while (lexer->at < lexer->end && (is_name_start(*lexer->at) || is_digit(*lexer->at)))
		lexer->at++;
	if (!add_token(lexer, TOKEN_NAME, start, (size_t)(lexer->at - start)))
		return out_of_memory(lexer);
	return T2L_OK;
}

/* An operator or bracket; *DEPTH counts brackets, inside which "}}" ends no tag. */
static enum t2l_status
read_symbol(struct lexer *lexer, int *depth)
{
	static const char *const symbols[] = { "==", "!=", "<=", ">=", "//", "**", "+", "-", "*",
		"/", "%", "~", "<", ">", "=", "(", ")", "[", "]", "{", "}", ".", ",", ":", "|" };
	size_t i, n = sizeof symbols / sizeof *symbols;

	for (i = 0; i < n && !looking_at(lexer, symbols[i]); i++)
		;
	if (i == n)
		return t2l_fail(lexer->err, T2L_EFORMAT,
		    "line %d: the character '%c' (byte 0x%02x) has no place in a tag", lexer->line,
		    (unsigned char)*lexer->at < 0x7F && *lexer->at >= ' ' ? *lexer->at : '?',
		    (unsigned char)*lexer->at);
	if (strchr("([{", *lexer->at) != NULL)
		++*depth;
	else if (strchr(")]}", *lexer->at) != NULL)
		--*depth;
	if (!add_token(lexer, TOKEN_SYMBOL, lexer->at, strlen(symbols[i])))
		return out_of_memory(lexer);
	lexer->at += strlen(symbols[i]);
	return T2L_OK;
}

/* Is this the end of the tag? SIGN gets "-", "+" or NUL. */
static bool
at_close(const struct lexer *lexer, const char *close, char *sign)
{
	struct lexer ahead = *lexer;

	*sign = '\0';
	if (looking_at(&ahead, "-") || (*close == '%' && looking_at(&ahead, "+")))
		*sign = *ahead.at++;
	return looking_at(&ahead, close);
}

/* Reads the inside of a tag and its end. */
static enum t2l_status
read_tag(struct lexer *lexer, bool is_output)
{
	const char *close = is_output ? "}}" : "%}";
	enum t2l_status status = T2L_OK;
	int line = lexer->line, depth = 0;
	char sign;

	while (status == T2L_OK) {
		skip_spaces(lexer);
		if (lexer->at == lexer->end)
			return t2l_fail(lexer->err, T2L_EFORMAT,
			    "line %d: this tag has no end '%s'", line, close);
		if (depth <= 0 && at_close(lexer, close, &sign))
			break;
		if (is_digit(*lexer->at))
			status = read_number(lexer);
		else if (is_name_start(*lexer->at))
			status = read_name(lexer);
		else if (*lexer->at == '"' || *lexer->at == '\'')
			status = read_string(lexer);
		else
			status = read_symbol(lexer, &depth);
	}
	if (status != T2L_OK)
		return status;
	advance(lexer, sign == '\0' ? 2 : 3);
	if (!add_token(lexer, is_output ? TOKEN_OUTPUT_CLOSE : TOKEN_BLOCK_CLOSE, lexer->at, 0))
		return out_of_memory(lexer);
	if (is_output) {
		if (sign == '-')
			skip_spaces(lexer);
		lexer->line_starts = sign == '-' && lexer->at[-1] == '\n';
	} else {
		trim_after_tag(lexer, sign);
	}
	return T2L_OK;
}

/* ---- the whole ---- */

/* At "{{", "{%" or "{#". */
static enum t2l_status
read_any_tag(struct lexer *lexer, const char *text)
{
	bool is_output = lexer->at[1] == '{', is_comment = lexer->at[1] == '#';
	size_t n = (size_t)(lexer->at - text), n_raw;
	char sign = '\0', open_sign, close_sign = '\0';

	if (lexer->end - lexer->at > 2 && (lexer->at[2] == '-' || lexer->at[2] == '+'))
		sign = lexer->at[2];
	n = trim_before_tag(lexer, text, n, sign, is_output);
	if (n > 0 && !add_token(lexer, TOKEN_TEXT, text, n))
		return out_of_memory(lexer);
	n_raw = bare_tag(lexer, "raw", &open_sign, &close_sign);
	if (n_raw > 0)
		return read_raw(lexer, n_raw, close_sign);
	advance(lexer, sign == '\0' ? 2 : 3);
	if (is_comment)
		return skip_comment(lexer);
	if (!add_token(lexer, is_output ? TOKEN_OUTPUT_OPEN : TOKEN_BLOCK_OPEN, lexer->at, 0))
		return out_of_memory(lexer);
	return read_tag(lexer, is_output);
}

/* A copy with every newline as \n and without the last one. */
static char *
normalize_newlines(const char *source, size_t n_bytes, struct jinja_arena *arena, size_t *n_out)
{
	char *out = jinja_alloc(arena, n_bytes + 1);
	size_t i, n = 0;

	for (i = 0; out != NULL && i < n_bytes; i++) {
		out[n++] = source[i] == '\r' ? '\n' : source[i];
		if (source[i] == '\r' && i + 1 < n_bytes && source[i + 1] == '\n')
			i++;
	}
	if (n > 0 && out[n - 1] == '\n')
		n--;
	*n_out = n;
	return out;
}

enum t2l_status
jinja_tokenize(const char *source, size_t n_bytes, struct jinja_arena *arena,
    struct jinja_tokens *tokens, struct t2l_error *err)
{
	struct lexer lexer = {
		.line = 1, .line_starts = true, .arena = arena, .tokens = tokens, .err = err
	};
	enum t2l_status status = T2L_OK;
	const char *text;
	size_t n;

	lexer.at = normalize_newlines(source, n_bytes, arena, &n);
	if (lexer.at == NULL)
		return out_of_memory(&lexer);
	lexer.end = lexer.at + n;
	text = lexer.at;
	while (status == T2L_OK && lexer.at < lexer.end) {
		if (looking_at(&lexer, "{{") || looking_at(&lexer, "{%") ||
		    looking_at(&lexer, "{#")) {
			status = read_any_tag(&lexer, text);
			text = lexer.at;
		} else {
			advance(&lexer, 1);
		}
	}
	if (status == T2L_OK && lexer.at > text &&
	    !add_token(&lexer, TOKEN_TEXT, text, (size_t)(lexer.at - text)))
		status = out_of_memory(&lexer);
	if (status == T2L_OK && !add_token(&lexer, TOKEN_END, lexer.end, 0))
		status = out_of_memory(&lexer);
	return status;
}
