/* diff.c - word diff by the longest common subsequence (Wagner and Fischer 1974), with bounds. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <utf8proc.h>

#include "base/utf8.h"
#include "ui/diff.h"

/* Cells of the table of lengths: 8 MiB, some milliseconds. */
#define MAX_CELLS ((size_t)1 << 22)

/* A word, or a line with its line feed. */
struct token {
	const char *text;
	uint32_t n_bytes, hash;
	uint32_t n_words; /* 1, or those of the line */
	bool same;	  /* is in the common subsequence */
};

struct tokens {
	struct token *rows;
	size_t n, capacity;
};

static bool
is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/* The end of the word that begins at AT. */
static size_t
word_end(const char *text, size_t n, size_t at)
{
	size_t start = at;

	while (at < n && !is_space(text[at])) {
		uint32_t codepoint;
		bool valid;
		size_t bytes = utf8_decode(text + at, n - at, &codepoint, &valid);

		if (utf8proc_charwidth((utf8proc_int32_t)codepoint) == 2)
			return at > start ? at : at + bytes;
		at += bytes;
	}
	return at;
}

static size_t
space_end(const char *text, size_t n, size_t at)
{
	while (at < n && is_space(text[at]))
		at++;
	return at;
}

static uint32_t
count_words(const char *text, size_t n)
{
	uint32_t n_words = 0;

	for (size_t at = space_end(text, n, 0); at < n; n_words++)
		at = space_end(text, n, word_end(text, n, at));
	return n_words;
}

static bool
add(struct tokens *tokens, const char *text, size_t n, uint32_t n_words)
{
	uint32_t hash = 2166136261U; /* FNV-1a */

	if (tokens->n == tokens->capacity) {
		size_t capacity = tokens->capacity == 0 ? 64 : tokens->capacity * 2;
		struct token *rows = realloc(tokens->rows, capacity * sizeof *rows);

		if (rows == NULL)
			return false;
		tokens->rows = rows;
		tokens->capacity = capacity;
	}
	for (size_t i = 0; i < n; i++)
		hash = (hash ^ (unsigned char)text[i]) * 16777619U;
	tokens->rows[tokens->n++] = (struct token){
		.text = text, .n_bytes = (uint32_t)n, .hash = hash, .n_words = n_words
	};
	return true;
}

static bool
split(struct tokens *tokens, const char *text, size_t n, bool by_lines)
{
	size_t end;

	tokens->n = 0;
	for (size_t at = by_lines ? 0 : space_end(text, n, 0); at < n;
	     at = by_lines ? end : space_end(text, n, end)) {
		if (by_lines) {
			const char *feed = memchr(text + at, '\n', n - at);

			end = feed != NULL ? (size_t)(feed - text) + 1 : n;
		} else
			end = word_end(text, n, at);
		if (!add(tokens, text + at, end - at,
			by_lines ? count_words(text + at, end - at) : 1))
			return false;
	}
	return true;
}

static bool
equal(const struct token *a, const struct token *b)
{
	return a->hash == b->hash && a->n_bytes == b->n_bytes &&
	       memcmp(a->text, b->text, a->n_bytes) == 0;
}

/* What two token lists have in common at their beginnings and ends needs no table. */
struct middle {
	struct token *a, *b;
	size_t n_a, n_b;
};

static struct middle
trim(struct tokens *a, struct tokens *b)
{
	struct middle middle = { a->rows, b->rows, a->n, b->n };

	while (middle.n_a > 0 && middle.n_b > 0 && equal(middle.a, middle.b)) {
		(middle.a++)->same = (middle.b++)->same = true;
		middle.n_a--;
		middle.n_b--;
	}
	while (middle.n_a > 0 && middle.n_b > 0 &&
	       equal(&middle.a[middle.n_a - 1], &middle.b[middle.n_b - 1]))
		middle.a[--middle.n_a].same = middle.b[--middle.n_b].same = true;
	return middle;
}

static bool
too_large(const struct middle *middle)
{
	return middle->n_a > 0 && middle->n_b + 1 > MAX_CELLS / (middle->n_a + 1);
}

/* Marks the longest common subsequence of the middles. */
static bool
mark_common(struct middle m)
{
	/* lengths[i][j]: of the longest common subsequence of a[i..] and b[j..]; fits, as the
	 * shorter list has at most sqrt(MAX_CELLS) tokens. */
	size_t columns = m.n_b + 1, i = 0, j = 0;
	uint16_t *lengths;

	if (m.n_a == 0 || m.n_b == 0)
		return true;
	lengths = calloc((m.n_a + 1) * columns, sizeof *lengths);
	if (lengths == NULL)
		return false;
	for (i = m.n_a; i-- > 0;)
		for (j = m.n_b; j-- > 0;) {
			uint16_t *cell = &lengths[i * columns + j];
			uint16_t below = cell[columns], right = cell[1];

			*cell = equal(&m.a[i], &m.b[j]) ? (uint16_t)(cell[columns + 1] + 1)
				: below > right		? below
							: right;
		}
	for (i = 0, j = 0; i < m.n_a && j < m.n_b;) {
		const uint16_t *cell = &lengths[i * columns + j];

		if (equal(&m.a[i], &m.b[j]))
			m.a[i++].same = m.b[j++].same = true;
		else if (cell[columns] >= cell[1])
			i++;
		else
			j++;
	}
	free(lengths);
	return true;
}

/* ---- the result ---- */

static bool
add_span(struct diff *diff, size_t start, size_t end, bool changed)
{
	struct diff_span *spans;

	if (start >= end)
		return true;
	if ((diff->n_spans & (diff->n_spans - 1)) == 0) { /* full at every power of two */
		spans = realloc(
		    diff->spans, (diff->n_spans == 0 ? 1 : diff->n_spans * 2) * sizeof *spans);
		if (spans == NULL)
			return false;
		diff->spans = spans;
	}
	diff->spans[diff->n_spans++] = (struct diff_span){ start, end - start, changed };
	return true;
}

/* Words of the run of tokens from *AT on that differ; *AT moves behind it. */
static size_t
changed_words(const struct tokens *tokens, size_t *at)
{
	size_t n_words = 0;

	while (*at < tokens->n && !tokens->rows[*at].same)
		n_words += tokens->rows[(*at)++].n_words;
	return n_words;
}

static bool
collect(
    const struct tokens *a, const struct tokens *b, const char *text, size_t n, struct diff *diff)
{
	size_t drawn = 0, i = 0, j = 0;

	while (i < a->n || j < b->n) {
		size_t first = j, removed = changed_words(a, &i), added = changed_words(b, &j);

		diff->n_differ += removed > added ? removed : added;
		if (j > first) {
			size_t start = (size_t)(b->rows[first].text - text);
			const struct token *last = &b->rows[j - 1];
			size_t end = (size_t)(last->text - text) + last->n_bytes;

			if (!add_span(diff, drawn, start, false) ||
			    !add_span(diff, start, end, true))
				return false;
			drawn = end;
		}
		i += i < a->n; /* the tokens that are the same, in pairs */
		j += j < b->n;
	}
	return add_span(diff, drawn, n, false);
}

bool
diff_words(const char *reference, size_t n_reference, const char *text, size_t n, struct diff *out)
{
	struct tokens a = { 0 }, b = { 0 };
	struct diff diff = { 0 };
	struct middle middle;
	bool fine;

	/* Offsets inside a token are 32 bits; no output comes near. */
	if (n_reference > UINT32_MAX || n > UINT32_MAX)
		return false;
	fine = split(&a, reference, n_reference, false) && split(&b, text, n, false);
	if (fine) {
		middle = trim(&a, &b);
		diff.by_lines = too_large(&middle);
		if (diff.by_lines &&
		    (fine = split(&a, reference, n_reference, true) && split(&b, text, n, true)))
			middle = trim(&a, &b);
	}
	fine =
	    fine && (too_large(&middle) || mark_common(middle)) && collect(&a, &b, text, n, &diff);
	free(a.rows);
	free(b.rows);
	if (fine)
		*out = diff;
	else
		diff_free(&diff);
	return fine;
}

void
diff_free(struct diff *diff)
{
	free(diff->spans);
	*diff = (struct diff){ 0 };
}
