/* toml.c - the structure of a TOML document: keys, tables, arrays, inline tables. */

#include <stdlib.h>
#include <string.h>

#include "base/toml-scan.h"
#include "base/toml.h"
#include "base/utf8.h"
#include "base/visible.h"

/* How a table or list came to be decides who may add to it (TOML 1.0, "Table"). */
enum how {
	HOW_CLOSED,   /* inline tables, [1, 2] lists: complete as written */
	HOW_IMPLICIT, /* named on the way in [a.b]: a later [a] may define it */
	HOW_HEADER,   /* defined by [a] */
	HOW_DOTTED,   /* defined by a.b = ...: only dotted keys of the same section go on */
	HOW_TABLES    /* a list that grows by [[a]] */
};

static bool parse_value(struct toml_scan *scan, struct config_value *value);

/* ---- keys ---- */

static bool
is_bare(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_' || c == '-';
}

/* One part of a dotted key, with the blanks and the dot around it; *MORE when a dot followed. */
static bool
parse_key_part(struct toml_scan *scan, struct buffer *key, bool *more)
{
	buffer_clear(key);
	toml_skip_blanks(scan);
	if (toml_peek(scan) == '"' || toml_peek(scan) == '\'') {
		if (!toml_string(scan, true, key))
			return false;
	} else {
		while (scan->at < scan->end && is_bare(*scan->at))
			buffer_char(key, *scan->at++);
		if (key->n == 0)
			return toml_fail(scan, "a key is missing here");
	}
	if (buffer_failed(key))
		return toml_fail(scan, "out of memory");
	toml_skip_blanks(scan);
	*more = toml_skips(scan, ".");
	return true;
}

static bool
defined_already(struct toml_scan *scan, const struct config_value *value)
{
	char path[100];

	config_path(value, path, sizeof path);
	return config_fail(scan->builder.error, scan->line, "'%s' is already defined, in line %d",
	    path, value->line);
}

static struct config_value *
add_table(struct toml_scan *scan, struct config_value *parent, const char *key, enum how how)
{
	struct config_value *table =
	    config_add(&scan->builder, parent, key, scan->line, CONFIG_TABLE);

	if (table != NULL)
		table->how = (uint8_t)how;
	return table;
}

/* ---- key = value ---- */

/* Goes down one part of a dotted key; NULL with the error. */
static struct config_value *
enter_dotted(struct toml_scan *scan, struct config_value *table, const char *key)
{
	struct config_value *child = config_child(table, key);

	if (child == NULL)
		return add_table(scan, table, key, HOW_DOTTED);
	if (child->kind == CONFIG_TABLE && child->how == HOW_DOTTED)
		return child;
	defined_already(scan, child);
	return NULL;
}

/* One "key = value" into TABLE. */
static bool
parse_assignment(struct toml_scan *scan, struct config_value *table)
{
	struct buffer key = { 0 };
	struct config_value *value = NULL;
	bool more = true, good = true;

	while (good && more) {
		good = parse_key_part(scan, &key, &more);
		if (good && more) {
			table = enter_dotted(scan, table, buffer_string(&key));
			good = table != NULL;
		}
	}
	if (good && !toml_skips(scan, "="))
		good = toml_fail(scan, "expected '=' after the key");
	if (good) {
		toml_skip_blanks(scan);
		value =
		    config_add(&scan->builder, table, buffer_string(&key), scan->line, CONFIG_NULL);
	}
	buffer_free(&key);
	return value != NULL && parse_value(scan, value);
}

/* ---- values ---- */

/* Blanks, line ends and comments between the items of a list. */
static bool
skip_space(struct toml_scan *scan)
{
	do {
		toml_skip_blanks(scan);
		if (!toml_skip_comment(scan))
			return false;
	} while (toml_skip_newline(scan));
	return true;
}

static bool
parse_list(struct toml_scan *scan, struct config_value *list)
{
	list->kind = CONFIG_LIST;
	while (skip_space(scan)) {
		struct config_value *item;

		if (toml_skips(scan, "]"))
			return true;
		item = config_add(&scan->builder, list, NULL, scan->line, CONFIG_NULL);
		if (item == NULL || !parse_value(scan, item) || !skip_space(scan))
			return false;
		if (toml_peek(scan) != ']' && !toml_skips(scan, ","))
			return toml_fail(scan, "expected ',' or ']' in a list");
	}
	return false;
}

static bool
parse_inline_table(struct toml_scan *scan, struct config_value *table)
{
	table->kind = CONFIG_TABLE;
	toml_skip_blanks(scan);
	if (toml_skips(scan, "}"))
		return true;
	for (;;) {
		if (!parse_assignment(scan, table))
			return false;
		toml_skip_blanks(scan);
		if (toml_skips(scan, "}"))
			return true;
		if (!toml_skips(scan, ","))
			return toml_fail(scan, "expected ',' or '}' in an inline table");
	}
}

static bool
parse_string(struct toml_scan *scan, struct config_value *value)
{
	struct buffer text = { 0 };
	bool good = toml_string(scan, false, &text) &&
		    config_set_string(&scan->builder, value, buffer_string(&text), text.n);

	value->kind = CONFIG_STRING;
	buffer_free(&text);
	return good;
}

/* Fills VALUE, which hangs in the tree already (so its depth is bounded). */
static bool
parse_value(struct toml_scan *scan, struct config_value *value)
{
	value->how = HOW_CLOSED;
	if (toml_skips(scan, "["))
		return parse_list(scan, value);
	if (toml_skips(scan, "{"))
		return parse_inline_table(scan, value);
	if (toml_peek(scan) == '"' || toml_peek(scan) == '\'')
		return parse_string(scan, value);
	return toml_word(scan, value);
}

/* ---- [headers] ---- */

/* Goes down one part of a header that is not its last; a [[list]] means its last table. */
static struct config_value *
enter_header(struct toml_scan *scan, struct config_value *table, const char *key)
{
	struct config_value *child = config_child(table, key);

	if (child == NULL)
		return add_table(scan, table, key, HOW_IMPLICIT);
	if (child->how == HOW_TABLES)
		return child->children[child->n_children - 1];
	if (child->kind == CONFIG_TABLE && child->how != HOW_CLOSED)
		return child;
	defined_already(scan, child);
	return NULL;
}

/* [..., key] in TABLE */
static struct config_value *
define_table(struct toml_scan *scan, struct config_value *table, const char *key)
{
	struct config_value *child = config_child(table, key);

	if (child == NULL)
		return add_table(scan, table, key, HOW_HEADER);
	if (child->kind == CONFIG_TABLE && child->how == HOW_IMPLICIT) {
		child->how = HOW_HEADER;
		child->line = scan->line;
		return child;
	}
	defined_already(scan, child);
	return NULL;
}

/* [[..., key]] in TABLE */
static struct config_value *
append_table(struct toml_scan *scan, struct config_value *table, const char *key)
{
	struct config_value *list = config_child(table, key);

	if (list == NULL) {
		list = config_add(&scan->builder, table, key, scan->line, CONFIG_LIST);
		if (list == NULL)
			return NULL;
		list->how = HOW_TABLES;
	}
	if (list->how == HOW_TABLES)
		return add_table(scan, list, NULL, HOW_HEADER);
	defined_already(scan, list);
	return NULL;
}

/* A header behind its first bracket: the table that the next lines fill, or NULL. */
static struct config_value *
parse_header(struct toml_scan *scan, struct config_value *root)
{
	bool is_list = toml_skips(scan, "["), more = true;
	struct config_value *table = root;
	struct buffer key = { 0 };

	while (table != NULL && more) {
		if (!parse_key_part(scan, &key, &more)) {
			table = NULL;
			break;
		}
		if (!more && !toml_skips(scan, is_list ? "]]" : "]")) {
			toml_fail(scan, is_list ? "expected ']]'" : "expected ']'");
			table = NULL;
		} else if (more)
			table = enter_header(scan, table, buffer_string(&key));
		else if (is_list)
			table = append_table(scan, table, buffer_string(&key));
		else
			table = define_table(scan, table, buffer_string(&key));
	}
	buffer_free(&key);
	return table;
}

/* ---- the document ---- */

static bool
parse_document(struct toml_scan *scan, struct config_value *root)
{
	struct config_value *table = root;

	for (;;) {
		if (!skip_space(scan))
			return false;
		if (scan->at == scan->end)
			return true;
		if (toml_skips(scan, "[")) {
			table = parse_header(scan, root);
			if (table == NULL)
				return false;
		} else if (!parse_assignment(scan, table))
			return false;
		toml_skip_blanks(scan);
		if (!toml_skip_comment(scan))
			return false;
		if (scan->at < scan->end && !toml_skip_newline(scan))
			return toml_fail(scan, "unexpected text behind the value");
	}
}

/* The line of the first byte that no text file has, or 0. */
static int
line_of_fault(const char *text, size_t n)
{
	uint32_t codepoint;
	bool valid;
	int line = 1;

	for (size_t i = 0; i < n;) {
		i += utf8_decode(text + i, n - i, &codepoint, &valid);
		if (!valid || codepoint == 0)
			return line;
		line += codepoint == '\n';
	}
	return 0;
}

struct config_value *
toml_parse(const char *text, size_t n, struct config_error *error)
{
	struct toml_scan scan = { text, text + n, 1, { .error = error } };
	struct config_value *root;
	int fault;

	if (n > CONFIG_MAX_BYTES) {
		config_fail(error, 0, "larger than %d bytes", CONFIG_MAX_BYTES);
		return NULL;
	}
	fault = line_of_fault(text, n);
	if (fault != 0) {
		config_fail(error, fault, "this is not UTF-8 text");
		return NULL;
	}
	toml_skips(&scan, "\xEF\xBB\xBF");
	root = add_table(&scan, NULL, NULL, HOW_HEADER);
	if (root != NULL && !parse_document(&scan, root)) {
		config_free(root);
		return NULL;
	}
	return root;
}
