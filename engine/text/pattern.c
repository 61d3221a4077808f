/* pattern.c - the regular expressions of a tokenizer, over PCRE2 with its JIT. */

#define _GNU_SOURCE /* memmem */
#include <stdlib.h>
#include <string.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "engine/error.h"
#include "base/buffer.h"
#include "engine/text/pattern.h"

#define PATTERN_MAX_BYTES 16384
#define MATCH_LIMIT 20000000u	 /* backtracking steps in one match */
#define MATCH_HEAP_LIMIT 262144u /* KiB, for the interpreter */

/* White_Space, to stand inside a character class. */
#define WHITE_SPACE                                                                                \
	"\\t-\\r \\x{85}\\x{A0}\\x{1680}\\x{2000}-\\x{200A}\\x{2028}\\x{2029}\\x{202F}\\x{205F}"   \
	"\\x{3000}"

/* Letters, marks, digits, connectors and joiners: \w where the expressions come from. PCRE2's own
 * has neither marks nor joiners. */
#define WORD                                                                                       \
	"\\p{L}\\p{M}\\p{Nd}\\p{Nl}\\p{Pc}\\x{200C}\\x{200D}\\x{24B6}-\\x{24E9}\\x{1F130}-\\x{"    \
	"1F149}"                                                                                   \
	"\\x{1F150}-\\x{1F169}\\x{1F170}-\\x{1F189}"

struct pattern {
	pcre2_code *code;
	bool jit;
	char *source; /* of code; NULL: the literal, instead of code */
	char *literal;
	size_t n_source, n_literal;
};

struct pattern_matcher {
	pcre2_match_data *match;
	pcre2_match_context *context;
};

/* CLASS in brackets that OPEN begins; as it is when OPEN is empty. */
static void
append_class(struct buffer *out, const char *class, const char *open)
{
	buffer_text(out, open);
	buffer_text(out, class);
	if (*open != '\0')
		buffer_char(out, ']');
}

/*
 * Copies REGEX with \s, \S, \w and \W rewritten. Class syntax that PCRE2 would silently read in
 * another way ("[a[b]]", "[a&&b]") is refused.
 */
static enum t2l_status
translate(const char *regex, size_t n_bytes, struct buffer *out, struct t2l_error *err)
{
	bool in_class = false;
	size_t class_start = 0, i;

	for (i = 0; i < n_bytes; i++) {
		char c = regex[i], next = i + 1 < n_bytes ? regex[i + 1] : '\0';

		if (c == '\\' && i + 1 < n_bytes) {
			i++;
			if (next == 's' || next == 'w')
				append_class(
				    out, next == 's' ? WHITE_SPACE : WORD, in_class ? "" : "[");
			else if ((next == 'S' || next == 'W') && !in_class)
				append_class(out, next == 'S' ? WHITE_SPACE : WORD, "[^");
			else
				buffer_append(out, regex + i - 1, 2);
			continue;
		}
		if (!in_class && c == '[') {
			in_class = true;
			class_start = i + (next == '^');
		} else if (in_class && c == ']' && i > class_start + 1) {
			in_class = false;
		} else if (in_class && c == '[' && next == ':') {
			const char *end = memmem(regex + i, n_bytes - i, ":]", 2);

			if (end != NULL) {
				buffer_append(out, regex + i, (size_t)(end + 1 - (regex + i)));
				i = (size_t)(end + 1 - regex);
				c = ']';
			}
		} else if (in_class && i > class_start && (c == '[' || (c == '&' && next == '&'))) {
			return t2l_fail(err, T2L_EUNSUPPORTED,
			    "regular expression '%.80s': character classes inside classes are not "
			    "supported",
			    regex);
		}
		buffer_append(out, &c, 1);
	}
	return T2L_OK;
}

static enum t2l_status
compile_translated(struct pattern *pattern, const struct buffer *regex, struct t2l_error *err)
{
	PCRE2_UCHAR message[256];
	PCRE2_SIZE offset;
	int code;

	pattern->code = pcre2_compile((PCRE2_SPTR)regex->bytes, regex->n,
	    PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C, &code, &offset, NULL);
	if (pattern->code == NULL) {
		pcre2_get_error_message(code, message, sizeof message);
		return t2l_fail(err, T2L_EFORMAT, "regular expression '%.80s': %s at byte %zu",
		    regex->bytes, (const char *)message, (size_t)offset);
	}
	pattern->jit = pcre2_jit_compile(pattern->code, PCRE2_JIT_COMPLETE) == 0;
	return T2L_OK;
}

/* With a NUL behind it; NULL: out of memory. */
static char *
copy_text(const char *text, size_t n_bytes)
{
	char *copy = malloc(n_bytes + 1);

	if (copy == NULL)
		return NULL;
	memcpy(copy, text, n_bytes);
	copy[n_bytes] = '\0';
	return copy;
}

const char *
pattern_source(const struct pattern *pattern, bool *literal, size_t *n_bytes)
{
	*literal = pattern->literal != NULL;
	*n_bytes = *literal ? pattern->n_literal : pattern->n_source;
	return *literal ? pattern->literal : pattern->source;
}

bool
pattern_equal(const struct pattern *a, const struct pattern *b)
{
	const char *text_a, *text_b;
	bool literal_a, literal_b;
	size_t n_a, n_b;

	if (a == NULL || b == NULL)
		return a == b;
	text_a = pattern_source(a, &literal_a, &n_a);
	text_b = pattern_source(b, &literal_b, &n_b);
	return literal_a == literal_b && n_a == n_b && memcmp(text_a, text_b, n_a) == 0;
}

enum t2l_status
pattern_compile(const char *regex, size_t n_bytes, struct pattern **out, struct t2l_error *err)
{
	struct pattern *pattern;
	struct buffer translated = { 0 };
	enum t2l_status status;

	if (n_bytes > PATTERN_MAX_BYTES)
		return t2l_fail(err, T2L_EFORMAT,
		    "regular expression of %zu bytes is longer than %d", n_bytes,
		    PATTERN_MAX_BYTES);
	pattern = calloc(1, sizeof *pattern);
	if (pattern == NULL)
		return t2l_fail(err, T2L_ENOMEM, "out of memory for a regular expression");
	status = translate(regex, n_bytes, &translated, err);
	buffer_append(&translated, "", 0);
	if (status == T2L_OK && buffer_failed(&translated))
		status = t2l_fail(err, T2L_ENOMEM, "out of memory for a regular expression");
	if (status == T2L_OK)
		status = compile_translated(pattern, &translated, err);
	if (status == T2L_OK) {
		pattern->source = copy_text(regex, n_bytes);
		pattern->n_source = n_bytes;
		if (pattern->source == NULL)
			status =
			    t2l_fail(err, T2L_ENOMEM, "out of memory for a regular expression");
	}
	buffer_free(&translated);
	if (status != T2L_OK) {
		pattern_free(pattern);
		return status;
	}
	*out = pattern;
	return T2L_OK;
}

enum t2l_status
pattern_compile_literal(
    const char *text, size_t n_bytes, struct pattern **out, struct t2l_error *err)
{
	struct pattern *pattern = calloc(1, sizeof *pattern);

	if (pattern != NULL)
		pattern->literal = copy_text(text, n_bytes);
	if (pattern == NULL || pattern->literal == NULL) {
		free(pattern);
		return t2l_fail(err, T2L_ENOMEM, "out of memory for a pattern");
	}
	pattern->n_literal = n_bytes;
	*out = pattern;
	return T2L_OK;
}

void
pattern_free(struct pattern *pattern)
{
	if (pattern == NULL)
		return;
	pcre2_code_free(pattern->code);
	free(pattern->source);
	free(pattern->literal);
	free(pattern);
}

struct pattern_matcher *
pattern_matcher_open(void)
{
	struct pattern_matcher *matcher = calloc(1, sizeof *matcher);

	if (matcher == NULL)
		return NULL;
	matcher->match = pcre2_match_data_create(1, NULL);
	matcher->context = pcre2_match_context_create(NULL);
	if (matcher->match == NULL || matcher->context == NULL) {
		pattern_matcher_close(matcher);
		return NULL;
	}
	pcre2_set_match_limit(matcher->context, MATCH_LIMIT);
	pcre2_set_heap_limit(matcher->context, MATCH_HEAP_LIMIT);
	return matcher;
}

void
pattern_matcher_close(struct pattern_matcher *matcher)
{
	if (matcher == NULL)
		return;
	pcre2_match_data_free(matcher->match);
	pcre2_match_context_free(matcher->context);
	free(matcher);
}

static int
match(const struct pattern *pattern, struct pattern_matcher *matcher, const char *text,
    size_t n_bytes, size_t from, uint32_t options)
{
	PCRE2_SPTR subject = (PCRE2_SPTR)text;
	int found;

	if (pattern->jit) {
		found = pcre2_jit_match(pattern->code, subject, n_bytes, from, options,
		    matcher->match, matcher->context);
		if (found != PCRE2_ERROR_JIT_STACKLIMIT)
			return found;
	}
	/* The interpreter keeps its backtracking points on the heap. */
	return pcre2_match(pattern->code, subject, n_bytes, from,
	    options | PCRE2_NO_JIT | PCRE2_NO_UTF_CHECK, matcher->match, matcher->context);
}

enum t2l_status
pattern_find(const struct pattern *pattern, struct pattern_matcher *matcher, const char *text,
    size_t n_bytes, size_t from, bool *found, size_t *start, size_t *end, struct t2l_error *err)
{
	PCRE2_UCHAR message[256];
	const PCRE2_SIZE *bounds;
	int code;

	*found = false;
	if (pattern->literal != NULL) {
		const char *at =
		    pattern->n_literal == 0
			? NULL
			: memmem(text + from, n_bytes - from, pattern->literal, pattern->n_literal);

		if (at == NULL)
			return T2L_OK;
		*found = true;
		*start = (size_t)(at - text);
		*end = *start + pattern->n_literal;
		return T2L_OK;
	}
	code = match(pattern, matcher, text, n_bytes, from, PCRE2_NOTEMPTY);
	if (code == PCRE2_ERROR_NOMATCH)
		return T2L_OK;
	if (code < 0) {
		pcre2_get_error_message(code, message, sizeof message);
		return t2l_fail(err, T2L_EUNSUPPORTED,
		    "the tokenizer's regular expression gives up on this text: %s",
		    (const char *)message);
	}
	bounds = pcre2_get_ovector_pointer(matcher->match);
	if (bounds[0] > bounds[1] || bounds[0] < from) /* \K inside a lookaround */
		return t2l_fail(err, T2L_EUNSUPPORTED,
		    "the tokenizer's regular expression moves its own start");
	*found = true;
	*start = bounds[0];
	*end = bounds[1];
	return T2L_OK;
}
