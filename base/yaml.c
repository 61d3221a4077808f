/* yaml.c - libyaml's events into the configuration tree. */

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "base/number.h"
#include "base/utf8.h"
#include "base/visible.h"
#include "base/yaml.h"

#define MAX_ANCHORS 256
#define CORE_TAG "tag:yaml.org,2002:"

struct anchor {
	char *name;
	const struct config_value *value;
	bool complete; /* an alias inside its own anchor would never end */
};

struct reader {
	yaml_parser_t parser;
	yaml_event_t event; /* the current one */
	bool has_event;
	struct config_builder builder;
	struct anchor anchors[MAX_ANCHORS];
	int n_anchors;
};

static int
line_of_event(const struct reader *reader)
{
	return (int)reader->event.start_mark.line + 1;
}

static bool
fail(struct reader *reader, const char *what)
{
	return config_fail(reader->builder.error, line_of_event(reader), "%s", what);
}

/* Reads the next event into reader->event. */
static bool
next(struct reader *reader)
{
	if (reader->has_event)
		yaml_event_delete(&reader->event);
	reader->has_event = yaml_parser_parse(&reader->parser, &reader->event) != 0;
	if (reader->has_event)
		return true;
	return config_fail(reader->builder.error, (int)reader->parser.problem_mark.line + 1, "%s",
	    reader->parser.problem != NULL ? reader->parser.problem : "damaged YAML");
}

/* ---- scalars (YAML 1.2, "Core Schema") ---- */

static bool
is_one_of(const char *text, const char *const *words)
{
	for (; *words != NULL; words++)
		if (strcmp(text, *words) == 0)
			return true;
	return false;
}

static const char *const nulls[] = { "", "~", "null", "Null", "NULL", NULL };
static const char *const trues[] = { "true", "True", "TRUE", NULL };
static const char *const falses[] = { "false", "False", "FALSE", NULL };
static const char *const infinities[] = { ".inf", ".Inf", ".INF", NULL };
static const char *const not_numbers[] = { ".nan", ".NaN", ".NAN", NULL };

/* What a number's text says by its form. */
enum form { FORM_NONE, FORM_INTEGER, FORM_OCTAL, FORM_HEX, FORM_FLOAT };

static enum form
form_of(const char *text)
{
	const char *digits = text + (*text == '-' || *text == '+');
	size_t whole = strspn(digits, "0123456789"), fraction = 0, exponent;
	const char *at = digits + whole;

	if (strncmp(text, "0o", 2) == 0 && text[2] != '\0' &&
	    strspn(text + 2, "01234567") == strlen(text + 2))
		return FORM_OCTAL;
	if (strncmp(text, "0x", 2) == 0 && text[2] != '\0' &&
	    strspn(text + 2, "0123456789abcdefABCDEF") == strlen(text + 2))
		return FORM_HEX;
	if (whole > 0 && *at == '\0')
		return FORM_INTEGER;
	if (*at == '.') {
		fraction = strspn(at + 1, "0123456789");
		at += 1 + fraction;
	}
	if (whole + fraction == 0)
		return FORM_NONE;
	if (*at == 'e' || *at == 'E') {
		at += at[1] == '-' || at[1] == '+' ? 2 : 1;
		exponent = strspn(at, "0123456789");
		if (exponent == 0)
			return FORM_NONE;
		at += exponent;
	}
	return *at == '\0' ? FORM_FLOAT : FORM_NONE;
}

/* TEXT, which has the form of an integer; false when it does not fit. */
static bool
integer_of(const char *text, enum form form, int64_t *out)
{
	int base = form == FORM_HEX ? 16 : form == FORM_OCTAL ? 8 : 10;
	bool negative = *text == '-';
	int64_t value = 0; /* gathered below zero, where there is one number more */

	text += form == FORM_INTEGER ? (*text == '-' || *text == '+') : 2;
	for (; *text != '\0'; text++) {
		int digit = *text <= '9' ? *text - '0' : (*text | 0x20) - 'a' + 10;

		if (__builtin_mul_overflow(value, base, &value) ||
		    __builtin_sub_overflow(value, digit, &value))
			return false;
	}
	if (!negative && value == INT64_MIN)
		return false;
	*out = negative ? value : -value;
	return true;
}

static void
set_number(struct config_value *value, double number)
{
	value->kind = CONFIG_NUMBER;
	value->number = number;
}

/* Resolves TEXT as a plain scalar; *RESOLVED false when it is merely a string. */
static bool
resolve(struct reader *reader, const char *text, struct config_value *value, bool *resolved)
{
	const char *behind_sign = text + (*text == '-' || *text == '+');
	enum form form = form_of(text);
	double number;

	*resolved = true;
	if (is_one_of(text, nulls))
		value->kind = CONFIG_NULL;
	else if (is_one_of(text, trues) || is_one_of(text, falses)) {
		value->kind = CONFIG_BOOL;
		value->boolean = is_one_of(text, trues);
	} else if (is_one_of(behind_sign, infinities))
		set_number(value, *text == '-' ? -INFINITY : INFINITY);
	else if (is_one_of(text, not_numbers))
		set_number(value, NAN);
	else if (form == FORM_FLOAT) {
		if (!number_parse(text, strlen(text), &number))
			return fail(reader, "not a number");
		set_number(value, number);
	} else if (form != FORM_NONE) {
		if (integer_of(text, form, &value->integer)) {
			value->kind = CONFIG_INTEGER;
			value->number = (double)value->integer;
		} else if (form == FORM_INTEGER && number_parse(text, strlen(text), &number)) {
			/* Python's integers have no end: text-to-lora writes one of 101 digits. */
			set_number(value, number);
		} else {
			return fail(reader, "this integer does not fit 64 bits");
		}
	} else
		*resolved = false;
	return true;
}

/* Whether a tag's short name is right for what resolving gave. */
static bool
tag_fits(const char *tag, enum config_kind kind)
{
	return (strcmp(tag, "null") == 0 && kind == CONFIG_NULL) ||
	       (strcmp(tag, "bool") == 0 && kind == CONFIG_BOOL) ||
	       (strcmp(tag, "int") == 0 && kind == CONFIG_INTEGER) ||
	       (strcmp(tag, "float") == 0 && (kind == CONFIG_NUMBER || kind == CONFIG_INTEGER));
}

/* The short name of a core tag, "" without a tag or NULL for a foreign one. */
static const char *
short_tag(const yaml_char_t *tag)
{
	const char *text = (const char *)tag;

	if (text == NULL)
		return "";
	if (strncmp(text, CORE_TAG, strlen(CORE_TAG)) == 0)
		return text + strlen(CORE_TAG);
	return strcmp(text, "!") == 0 ? "str" : NULL;
}

static bool
read_scalar(struct reader *reader, struct config_value *value)
{
	const char *text = (const char *)reader->event.data.scalar.value;
	size_t n = reader->event.data.scalar.length;
	const char *tag = short_tag(reader->event.data.scalar.tag);
	bool plain = reader->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	bool resolved = false;

	if (tag == NULL)
		return fail(reader, "tags are not supported");
	if (memchr(text, '\0', n) != NULL)
		return fail(reader, "NUL characters are not supported");
	if (*tag != '\0' ? strcmp(tag, "str") != 0 : plain) {
		if (!resolve(reader, text, value, &resolved))
			return false;
		if (*tag != '\0' && (!resolved || !tag_fits(tag, value->kind)))
			return fail(reader, "the value does not fit its tag");
	}
	if (resolved)
		return true;
	value->kind = CONFIG_STRING;
	return config_set_string(&reader->builder, value, text, n);
}

/* ---- anchors and aliases ---- */

/* Notes VALUE under the event's ANCHOR, if it has one; a later anchor of that name wins. Its
 * number, or -1 without one; false with the error. */
static bool
note_anchor(
    struct reader *reader, const yaml_char_t *name, const struct config_value *value, int *number)
{
	struct anchor *anchor = &reader->anchors[reader->n_anchors];

	*number = -1;
	if (name == NULL)
		return true;
	if (reader->n_anchors == MAX_ANCHORS)
		return fail(reader, "too many anchors");
	*anchor = (struct anchor){ strdup((const char *)name), value, false };
	if (anchor->name == NULL)
		return fail(reader, "out of memory");
	*number = reader->n_anchors++;
	return true;
}

static bool
read_alias(struct reader *reader, struct config_value *value)
{
	const char *name = (const char *)reader->event.data.alias.anchor;
	const struct anchor *anchor = NULL;

	for (int i = reader->n_anchors - 1; i >= 0 && anchor == NULL; i--)
		if (strcmp(reader->anchors[i].name, name) == 0)
			anchor = &reader->anchors[i];
	if (anchor == NULL)
		return fail(reader, "an alias to an anchor that is not there");
	if (!anchor->complete)
		return fail(reader, "an alias inside its own anchor");
	return config_copy(&reader->builder, anchor->value, value);
}

/* ---- collections ---- */

static bool read_value(struct reader *reader, struct config_value *value);

/* The items up to the end of the sequence; the current event is its start. */
static bool
read_list(struct reader *reader, struct config_value *list)
{
	list->kind = CONFIG_LIST;
	while (next(reader)) {
		struct config_value *item;

		if (reader->event.type == YAML_SEQUENCE_END_EVENT)
			return true;
		item = config_add(&reader->builder, list, NULL, line_of_event(reader), CONFIG_NULL);
		if (item == NULL || !read_value(reader, item))
			return false;
	}
	return false;
}

/* Adds the current event, a key, to TABLE. */
static struct config_value *
add_key(struct reader *reader, struct config_value *table)
{
	const char *key = (const char *)reader->event.data.scalar.value;
	const char *tag;

	if (reader->event.type != YAML_SCALAR_EVENT) {
		fail(reader, "a key must be plain text");
		return NULL;
	}
	tag = short_tag(reader->event.data.scalar.tag);
	if (tag == NULL || (*tag != '\0' && strcmp(tag, "str") != 0) ||
	    reader->event.data.scalar.anchor != NULL) {
		fail(reader, "a key cannot have a tag or an anchor");
		return NULL;
	}
	if (strlen(key) != reader->event.data.scalar.length) {
		fail(reader, "NUL characters are not supported");
		return NULL;
	}
	if (strcmp(key, "<<") == 0 && reader->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE) {
		fail(reader, "merge keys ('<<') are not supported");
		return NULL;
	}
	return config_add(&reader->builder, table, key, line_of_event(reader), CONFIG_NULL);
}

static bool
read_table(struct reader *reader, struct config_value *table)
{
	table->kind = CONFIG_TABLE;
	while (next(reader)) {
		struct config_value *value;

		if (reader->event.type == YAML_MAPPING_END_EVENT)
			return true;
		value = add_key(reader, table);
		if (value == NULL || !next(reader) || !read_value(reader, value))
			return false;
	}
	return false;
}

/* A collection's tag may only say what it is anyway. */
static bool
collection_tag_fits(struct reader *reader, const yaml_char_t *tag, const char *expected)
{
	const char *text = short_tag(tag);

	if (text != NULL && (*text == '\0' || strcmp(text, expected) == 0))
		return true;
	return fail(reader, "tags are not supported");
}

/* Fills VALUE, which hangs in the tree already (so its depth is bounded), from the current event.
 */
static bool
read_value(struct reader *reader, struct config_value *value)
{
	const yaml_event_t *event = &reader->event;
	int anchor = -1;
	bool good;

	switch (event->type) {
	case YAML_ALIAS_EVENT:
		return read_alias(reader, value);
	case YAML_SCALAR_EVENT:
		good = note_anchor(reader, event->data.scalar.anchor, value, &anchor) &&
		       read_scalar(reader, value);
		break;
	case YAML_SEQUENCE_START_EVENT:
		good = note_anchor(reader, event->data.sequence_start.anchor, value, &anchor) &&
		       collection_tag_fits(reader, event->data.sequence_start.tag, "seq") &&
		       read_list(reader, value);
		break;
	case YAML_MAPPING_START_EVENT:
		good = note_anchor(reader, event->data.mapping_start.anchor, value, &anchor) &&
		       collection_tag_fits(reader, event->data.mapping_start.tag, "map") &&
		       read_table(reader, value);
		break;
	default:
		return fail(reader, "damaged YAML");
	}
	if (good && anchor != -1)
		reader->anchors[anchor].complete = true;
	return good;
}

/* ---- the document ---- */

static bool
read_document(struct reader *reader, struct config_value *root)
{
	if (!next(reader) || !next(reader)) /* stream start, then document start */
		return false;
	root->kind = CONFIG_TABLE;
	if (reader->event.type == YAML_STREAM_END_EVENT)
		return true;
	if (!next(reader) || !read_value(reader, root))
		return false;
	if (root->kind == CONFIG_NULL)
		root->kind = CONFIG_TABLE;
	if (root->kind != CONFIG_TABLE)
		return config_fail(reader->builder.error, 1, "expected 'key: value' lines");
	if (!next(reader) || !next(reader)) /* document end */
		return false;
	return reader->event.type == YAML_STREAM_END_EVENT ||
	       fail(reader, "a second document in the file");
}

static void
reader_free(struct reader *reader)
{
	if (reader->has_event)
		yaml_event_delete(&reader->event);
	for (int i = 0; i < reader->n_anchors; i++)
		free(reader->anchors[i].name);
	yaml_parser_delete(&reader->parser);
	free(reader);
}

static struct config_value *
read_text(struct reader *reader, const char *text, size_t n)
{
	struct config_value *root;

	yaml_parser_set_encoding(&reader->parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&reader->parser, (const unsigned char *)text, n);
	root = config_add(&reader->builder, NULL, NULL, 1, CONFIG_TABLE);
	if (root != NULL && !read_document(reader, root)) {
		config_free(root);
		return NULL;
	}
	return root;
}

struct config_value *
yaml_parse(const char *text, size_t n, struct config_error *error)
{
	struct config_value *root;
	struct reader *reader;

	if (n > CONFIG_MAX_BYTES) {
		config_fail(error, 0, "larger than %d bytes", CONFIG_MAX_BYTES);
		return NULL;
	}
	if (!utf8_valid(text, n)) {
		config_fail(error, 0, "this is not UTF-8 text");
		return NULL;
	}
	if (n >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0) {
		text += 3;
		n -= 3;
	}
	reader = calloc(1, sizeof *reader);
	if (reader == NULL || !yaml_parser_initialize(&reader->parser)) {
		free(reader);
		config_fail(error, 0, "out of memory");
		return NULL;
	}
	reader->builder.error = error;
	root = read_text(reader, text, n);
	reader_free(reader);
	return root;
}
