/* query.c - reads what a person types into a search field: words and filters, into SQL. */

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <utf8proc.h>

#include "base/buffer.h"
#include "base/number.h"
#include "base/utf8.h"
#include "store/internal.h"

#define MAX_TEXT_BYTES 4096
#define MAX_VALUES 64
#define DAY_MS (24 * 3600 * INT64_C(1000))

struct term {
	bool negated, quoted;
	const char *key; /* "rank", or NULL for a word */
	char operator[3];
	const char *value;
};

struct parser {
	struct store *store;
	struct search_terms *terms;
	struct buffer match, unwanted, where;
	bool trashed;
};

/* ---- values ---- */

static enum store_status
add_value(struct parser *parser, const char *text, double number)
{
	struct search_terms *terms = parser->terms;
	char *copy = NULL;

	if (terms->n_values == MAX_VALUES)
		return store_fail(parser->store, STORE_EINVAL,
		    "the search has more than %d words and filters", MAX_VALUES);
	if (text != NULL && (copy = strdup(text)) == NULL)
		return store_fail(parser->store, STORE_ENOMEM, "out of memory");
	terms->values[terms->n_values++] = (struct search_value){ copy, number };
	return STORE_OK;
}

/* The number of the value that was added last, as SQL writes it: "?7". */
static int
last_value(const struct parser *parser)
{
	return (int)parser->terms->n_values;
}

static enum store_status
bad_value(struct parser *parser, const struct term *term, const char *wanted)
{
	return store_fail(parser->store, STORE_EINVAL, "%s%s needs %s, not '%.100s'", term->key,
	    term->operator, wanted, term->value);
}

/* ---- filters: each adds one condition over adapters AS a ----
 *
 * The '+' keeps SQLite from taking the index of a sort order for what is no narrow range: one walk
 * over living_facets, which has all these columns, is quicker than thousands of looks at rows. */

struct filter {
	const char *name;
	enum store_status (*add)(
	    struct parser *parser, const struct filter *filter, const struct term *term);
	const char *column;
};

static enum store_status
add_number(struct parser *parser, const struct filter *filter, const struct term *term)
{
	static const char suffixes[] = "kmg"; /* times 1024, 1024^2, 1024^3 */
	size_t length = strlen(term->value);
	const char *suffix = length > 0 ? strchr(suffixes, term->value[length - 1] | 0x20) : NULL;
	enum store_status status;
	double number;

	length -= suffix != NULL;
	if (!number_parse(term->value, length, &number) || !isfinite(number))
		return bad_value(parser, term, "a number");
	for (const char *s = suffixes; suffix != NULL && s <= suffix; s++)
		number *= 1024;
	status = add_value(parser, NULL, number);
	buffer_printf(&parser->where, "%s %s ?%d", filter->column,
	    term->operator[0] == ':' ? "=" : term->operator, last_value(parser));
	return status;
}

static enum store_status
needs_colon(struct parser *parser, const struct term *term)
{
	if (term->operator[0] != ':' && strcmp(term->operator, "=") != 0)
		return store_fail(parser->store, STORE_EINVAL, "'%s' is no number: write %s:VALUE",
		    term->key, term->key);
	if (term->value[0] == '\0')
		return store_fail(parser->store, STORE_EINVAL, "%s: needs a value", term->key);
	return STORE_OK;
}

/* TEXT anywhere, in either case, as LIKE reads it with the escape '\\'. */
static enum store_status
add_pattern(struct parser *parser, const char *text)
{
	struct buffer pattern = { 0 };
	enum store_status status;

	buffer_char(&pattern, '%');
	for (; *text != '\0'; text++) {
		if (strchr("%_\\", *text) != NULL)
			buffer_char(&pattern, '\\');
		buffer_char(&pattern, *text);
	}
	buffer_char(&pattern, '%');
	status = add_value(parser, buffer_string(&pattern), 0);
	buffer_free(&pattern);
	return status;
}

static enum store_status
add_contains(struct parser *parser, const struct filter *filter, const struct term *term)
{
	enum store_status status = needs_colon(parser, term);

	if (status == STORE_OK)
		status = add_pattern(parser, term->value);
	buffer_printf(
	    &parser->where, "%s LIKE ?%d ESCAPE '\\'", filter->column, last_value(parser));
	return status;
}

static enum store_status
add_tag(struct parser *parser, const struct filter *filter, const struct term *term)
{
	enum store_status status = needs_colon(parser, term);
	size_t length = strlen(term->value);
	bool prefix = length > 1 && term->value[length - 1] == '*';
	char *tag = strndup(term->value, length - prefix);

	(void)filter;
	if (tag == NULL)
		return store_fail(parser->store, STORE_ENOMEM, "out of memory");
	if (status == STORE_OK)
		status = add_value(parser, tag, 0);
	free(tag);
	buffer_printf(&parser->where, "a.id IN (SELECT adapter FROM adapter_tags WHERE tag ");
	if (prefix)
		buffer_printf(&parser->where, ">= ?%d AND tag < ?%d || CAST(x'ff' AS TEXT))",
		    last_value(parser), last_value(parser));
	else
		buffer_printf(&parser->where, "= ?%d)", last_value(parser));
	return status;
}

static enum store_status
add_source(struct parser *parser, const struct filter *filter, const struct term *term)
{
	enum store_status status = needs_colon(parser, term);

	if (status != STORE_OK)
		return status;
	if (store_source_parse(term->value) < 0)
		return bad_value(parser, term, "generated, merged, imported or trained");
	status = add_value(parser, term->value, 0);
	buffer_printf(&parser->where, "%s = ?%d", filter->column, last_value(parser));
	return status;
}

static enum store_status
add_flag(struct parser *parser, const struct filter *filter, const struct term *term)
{
	static const char *const yes[] = { "1", "yes", "true" }, *const no[] = { "0", "no",
		"false" };
	enum store_status status = needs_colon(parser, term);

	if (status != STORE_OK)
		return status;
	for (size_t i = 0; i < sizeof yes / sizeof *yes; i++)
		if (strcmp(term->value, yes[i]) == 0 || strcmp(term->value, no[i]) == 0) {
			buffer_printf(&parser->where, "%s = %d", filter->column,
			    strcmp(term->value, yes[i]) == 0);
			return STORE_OK;
		}
	return bad_value(parser, term, "1 or 0");
}

static enum store_status
add_hash(struct parser *parser, const struct filter *filter, const struct term *term)
{
	enum store_status status = needs_colon(parser, term);

	if (status != STORE_OK)
		return status;
	if (term->value[strspn(term->value, "0123456789abcdef")] != '\0')
		return bad_value(parser, term, "the first hex digits of a hash");
	status = add_value(parser, term->value, 0);
	/* The file's, or the content's. */
	buffer_printf(&parser->where,
	    "(%s >= ?%d AND %s < ?%d || 'g' OR a.content >= ?%d AND a.content < ?%d || 'g')",
	    filter->column, last_value(parser), filter->column, last_value(parser),
	    last_value(parser), last_value(parser));
	return status;
}

/* "7d" ago, or the midnight that begins "2026-01-31" here; false when it is neither. */
static bool
parse_time(const char *value, int64_t *ms)
{
	static const struct {
		char unit;
		int64_t ms;
	} units[] = { { 'm', 60 * 1000 }, { 'h', 3600 * 1000 }, { 'd', DAY_MS },
		{ 'w', 7 * DAY_MS }, { 'y', 365 * DAY_MS } };
	struct tm date = { .tm_isdst = -1 };
	size_t n = strlen(value);
	double count;
	int length = 0;
	time_t midnight;

	if (n > 1 && number_parse(value, n - 1, &count) && count >= 0 && count < 1e6)
		for (size_t i = 0; i < sizeof units / sizeof *units; i++)
			if (value[n - 1] == units[i].unit) {
				*ms = now_ms() - (int64_t)(count * (double)units[i].ms);
				return true;
			}
	if (sscanf(value, "%4d-%2d-%2d%n", &date.tm_year, &date.tm_mon, &date.tm_mday, &length) !=
		3 ||
	    value[length] != '\0' || date.tm_mon < 1 || date.tm_mon > 12 || date.tm_mday < 1 ||
	    date.tm_mday > 31)
		return false;
	date.tm_year -= 1900;
	date.tm_mon -= 1;
	midnight = mktime(&date);
	*ms = (int64_t)midnight * 1000;
	return midnight != (time_t)-1;
}

static enum store_status
add_time(struct parser *parser, const struct filter *filter, const struct term *term)
{
	enum store_status status = needs_colon(parser, term);
	int64_t ms;

	if (status != STORE_OK)
		return status;
	if (!parse_time(term->value, &ms))
		return bad_value(parser, term,
		    "an age like 30m, 12h, 7d, 2w, 1y or a date like "
		    "2026-01-31");
	parser->terms->ages = true;
	buffer_printf(&parser->where, "+a.created_ms %s %lld", filter->column, (long long)ms);
	return STORE_OK;
}

static const struct filter filters[] = {
	{ "tag", add_tag, NULL },
	{ "base", add_contains, "a.base_name" },
	{ "made", add_source, "+a.source" },
	{ "rank", add_number, "+a.rank" },
	{ "score", add_number, "+a.score" },
	{ "since", add_time, ">=" },
	{ "before", add_time, "<" },
	{ "fav", add_flag, "+a.favourite" },
	{ "name", add_contains, "a.name" },
	{ "hypernet", add_contains, "a.hypernet_name" },
	{ "encoder", add_contains, "a.encoder_name" },
	{ "module", add_contains, "a.modules" },
	{ "hash", add_hash, "a.hash" },
	{ "id", add_number, "a.id" },
	{ "alpha", add_number, "+a.alpha" },
	{ "scale", add_number, "+a.scale" },
	{ "rslora", add_flag, "+a.rslora" },
	{ "size", add_number, "+a.size_bytes" },
	{ "wins", add_number, "+a.wins" },
	{ "losses", add_number, "+a.losses" },
	{ "ties", add_number, "+a.ties" },
	{ "uses", add_number, "+a.uses" },
};

#define N_FILTERS (sizeof filters / sizeof *filters)

const char *
store_filter_name(size_t i)
{
	return i < N_FILTERS ? filters[i].name : NULL;
}

static enum store_status
unknown_filter(struct parser *parser, const struct term *term)
{
	struct buffer known = { 0 };
	enum store_status status;

	for (size_t i = 0; i < N_FILTERS; i++)
		buffer_printf(&known, "%s%s", i > 0 ? ", " : "", filters[i].name);
	status = store_fail(parser->store, STORE_EINVAL,
	    "there is no filter '%s'; there are %s (quote \"%s%s...\" to search for it as text)",
	    term->key, buffer_string(&known), term->key, term->operator);
	buffer_free(&known);
	return status;
}

static enum store_status
add_filter(struct parser *parser, const struct term *term)
{
	enum store_status status = STORE_OK;
	size_t i = 0;

	while (i < N_FILTERS && strcmp(filters[i].name, term->key) != 0)
		i++;
	if (i == N_FILTERS)
		return unknown_filter(parser, term);
	buffer_text(&parser->where, term->negated ? " AND NOT coalesce((" : " AND (");
	status = filters[i].add(parser, &filters[i], term);
	buffer_text(&parser->where, term->negated ? "), 0)" : ")");
	return status;
}

/* ---- words ---- */

/* "words" as FTS5 reads a string: in quotes, with quotes inside doubled. */
static void
quote(struct buffer *out, const struct term *term)
{
	buffer_char(out, '"');
	for (const char *c = term->value; *c != '\0'; c++) {
		if (*c == '"')
			buffer_char(out, '"');
		buffer_char(out, *c);
	}
	buffer_text(out, term->quoted ? "\"" : "\"*");
}

/* The index knows letters, digits and private-use characters (FTS5's unicode61): a word of signs
 * is looked for as it stands. */
static bool
is_indexed(const char *word)
{
	for (size_t length = strlen(word); length > 0;) {
		uint32_t c;
		bool valid;
		size_t n = utf8_decode(word, length, &c, &valid);
		utf8proc_category_t category = utf8proc_category((utf8proc_int32_t)c);

		if ((category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO) ||
		    (category >= UTF8PROC_CATEGORY_ND && category <= UTF8PROC_CATEGORY_NO) ||
		    category == UTF8PROC_CATEGORY_CO)
			return true;
		word += n;
		length -= n;
	}
	return false;
}

static enum store_status
add_substring(struct parser *parser, const struct term *term)
{
	enum store_status status = add_pattern(parser, term->value);

	buffer_printf(&parser->where,
	    " AND %s(a.name || char(10) || a.task || char(10) || a.tags || char(10) || a.note)"
	    " LIKE ?%d ESCAPE '\\'",
	    term->negated ? "NOT " : "", last_value(parser));
	return status;
}

static enum store_status
add_word(struct parser *parser, const struct term *term)
{
	struct buffer *words = term->negated ? &parser->unwanted : &parser->match;

	if (term->value[0] == '\0')
		return STORE_OK; /* a quote or a '-' that was only just typed */
	if (parser->trashed || !is_indexed(term->value))
		return add_substring(parser, term); /* the index holds what lives */
	if (words->n > 0)
		buffer_text(words, term->negated ? " OR " : " AND ");
	quote(words, term);
	return STORE_OK;
}

/* FTS5's NOT has two sides; with nothing wanted, what is left out is left out of everything. */
static enum store_status
join_words(struct parser *parser)
{
	enum store_status status;

	if (parser->unwanted.n == 0)
		return STORE_OK;
	if (parser->match.n > 0) {
		buffer_printf(&parser->match, " NOT (%s)", buffer_string(&parser->unwanted));
		return STORE_OK;
	}
	status = add_value(parser, buffer_string(&parser->unwanted), 0);
	buffer_printf(&parser->where,
	    " AND a.id NOT IN (SELECT rowid FROM words WHERE words MATCH ?%d)", last_value(parser));
	return status;
}

/* ---- the text ---- */

/* Cuts the value of TERM out of *AT: up to a space, or between quotes. */
static void
cut_value(char **at, struct term *term)
{
	char *text = *at;
	size_t length;

	term->quoted = *text == '"';
	text += term->quoted;
	length = strcspn(text, term->quoted ? "\"" : " \t\n\r");
	term->value = text;
	*at = text + length + (text[length] != '\0');
	text[length] = '\0';
}

/* Cuts KEY and its operator off, if TEXT begins with them. */
static void
cut_key(char **at, struct term *term)
{
	static const char *const operators[] = { ">=", "<=", ":", "=", ">", "<" };
	size_t length = strspn(*at, "abcdefghijklmnopqrstuvwxyz_");

	for (size_t i = 0; length > 0 && i < sizeof operators / sizeof *operators; i++) {
		size_t n = strlen(operators[i]);

		if (strncmp(*at + length, operators[i], n) != 0)
			continue;
		memcpy(term->operator, operators[i], n);
		term->key = *at;
		(*at)[length] = '\0';
		*at += length + n;
		return;
	}
}

static enum store_status
parse_terms(struct parser *parser, char *at)
{
	enum store_status status = STORE_OK;

	while (status == STORE_OK) {
		struct term term = { 0 };

		at += strspn(at, " \t\n\r");
		if (*at == '\0')
			return STORE_OK;
		term.negated = *at == '-';
		at += term.negated;
		cut_key(&at, &term);
		cut_value(&at, &term);
		status = term.key != NULL ? add_filter(parser, &term) : add_word(parser, &term);
	}
	return status;
}

static enum store_status
parse(struct parser *parser, const char *text)
{
	enum store_status status;
	char *copy;

	if (strlen(text) > MAX_TEXT_BYTES || !utf8_valid(text, strlen(text)))
		return store_fail(parser->store, STORE_EINVAL,
		    "the search text is longer than %d bytes or not valid UTF-8", MAX_TEXT_BYTES);
	parser->terms->values = calloc(MAX_VALUES, sizeof *parser->terms->values);
	copy = strdup(text);
	if (copy == NULL || parser->terms->values == NULL)
		status = store_fail(parser->store, STORE_ENOMEM, "out of memory");
	else
		status = parse_terms(parser, copy);
	if (status == STORE_OK)
		status = join_words(parser);
	free(copy);
	return status;
}

enum store_status
search_parse(struct store *store, const char *text, bool trashed, struct search_terms *terms)
{
	struct parser parser = { .store = store, .terms = terms, .trashed = trashed };
	enum store_status status;
	bool words;

	memset(terms, 0, sizeof *terms);
	status = parse(&parser, text);
	words = parser.match.n > 0;
	buffer_free(&parser.unwanted);
	terms->match = buffer_take(&parser.match);
	terms->where = buffer_take(&parser.where);
	if (status == STORE_OK && (terms->match == NULL || terms->where == NULL))
		status = store_fail(store, STORE_ENOMEM, "out of memory");
	if (!words) {
		free(terms->match);
		terms->match = NULL;
	}
	if (status != STORE_OK)
		search_terms_free(terms);
	return status;
}

void
search_terms_free(struct search_terms *terms)
{
	for (size_t i = 0; i < terms->n_values; i++)
		free(terms->values[i].text);
	free(terms->values);
	free(terms->match);
	free(terms->where);
	memset(terms, 0, sizeof *terms);
}
