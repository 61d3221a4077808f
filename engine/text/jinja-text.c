/* jinja-text.c - values as text: as Python prints them, and as JSON. */

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "engine/text/jinja.h"
#include "engine/text/unicode.h"

struct jinja_value
jinja_take(struct jinja_run *run, struct buffer *buffer)
{
	struct jinja_value taken;

	if (buffer_failed(buffer))
		jinja_fail(run, T2L_ENOMEM, "out of memory");
	taken = jinja_copy(run, buffer_string(buffer), run->status == T2L_OK ? buffer->n : 0);
	buffer_free(buffer);
	return taken;
}

/* ---- numbers ---- */

/* The shortest digits that read back as NUMBER, laid out as Python's repr() does. */
static void
write_float(struct buffer *out, double number)
{
	char text[64];
	int digits, exponent;

	if (isnan(number) || isinf(number)) {
		buffer_text(out, isnan(number) ? "nan" : number < 0 ? "-inf" : "inf");
		return;
	}
	for (digits = 0; digits < 17; digits++) {
		snprintf(text, sizeof text, "%.*e", digits, number);
		if (strtod(text, NULL) == number)
			break;
	}
	exponent = atoi(strchr(text, 'e') + 1);
	if (exponent >= -4 && exponent < 16)
		buffer_printf(out, "%.*f", digits > exponent ? digits - exponent : 1, number);
	else
		buffer_text(out, text);
}

static void
write_number(struct buffer *out, struct jinja_value value)
{
	if (value.kind == JINJA_FLOAT)
		write_float(out, value.as.number);
	else
		buffer_printf(out, "%lld", (long long)value.as.integer);
}

/* ---- as Python prints them ---- */

static bool
is_printable(uint32_t code_point)
{
	return code_point == ' ' ||
	       (!unicode_is_control(code_point) && !unicode_is_white_space(code_point));
}

static void
write_quoted(struct buffer *out, struct jinja_string text)
{
	bool single = memchr(text.bytes, '\'', text.n) != NULL;
	char quote = single && memchr(text.bytes, '"', text.n) == NULL ? '"' : '\'';
	uint32_t c;
	size_t at, length;
	bool valid;

	buffer_char(out, quote);
	for (at = 0; at < text.n; at += length) {
		length = utf8_decode(text.bytes + at, text.n - at, &c, &valid);
		if (c == '\\' || c == (uint32_t)quote)
			buffer_printf(out, "\\%c", (char)c);
		else if (c == '\n' || c == '\r' || c == '\t')
			buffer_text(out, c == '\n' ? "\\n" : c == '\r' ? "\\r" : "\\t");
		else if (is_printable(c))
			buffer_append(out, text.bytes + at, length);
		else
			buffer_printf(out,
			    c < 0x100	  ? "\\x%02x"
			    : c < 0x10000 ? "\\u%04x"
					  : "\\U%08x",
			    (unsigned)c);
	}
	buffer_char(out, quote);
}

static void write_repr(struct jinja_run *run, struct buffer *out, struct jinja_value value);

static void
write_list(struct jinja_run *run, struct buffer *out, struct jinja_value value)
{
	const struct jinja_list *list = value.as.list;
	bool tuple = value.kind == JINJA_TUPLE;
	size_t i;

	buffer_char(out, tuple ? '(' : '[');
	for (i = 0; i < list->n && run->status == T2L_OK; i++) {
		if (i > 0)
			buffer_text(out, ", ");
		write_repr(run, out, list->items[i]);
	}
	buffer_text(out, !tuple ? "]" : list->n == 1 ? ",)" : ")");
}

static void
write_dict(struct jinja_run *run, struct buffer *out, const struct jinja_dict *dict)
{
	size_t i;

	buffer_char(out, '{');
	for (i = 0; i < dict->n && run->status == T2L_OK; i++) {
		if (i > 0)
			buffer_text(out, ", ");
		write_repr(run, out, dict->keys[i]);
		buffer_text(out, ": ");
		write_repr(run, out, dict->values[i]);
	}
	buffer_char(out, '}');
}

/* Guards against values nested without end and output without end. */
static bool
enter(struct jinja_run *run, const struct buffer *out)
{
	if (run->depth >= JINJA_MAX_DEPTH)
		jinja_fail(run, T2L_EFORMAT, "values are nested too deeply");
	else if (out->n > JINJA_MAX_OUTPUT)
		jinja_fail(run, T2L_EFORMAT, "the template writes more than %u MiB",
		    JINJA_MAX_OUTPUT >> 20);
	if (!jinja_spend(run, 0))
		return false;
	run->depth++;
	return true;
}

static void
write_repr(struct jinja_run *run, struct buffer *out, struct jinja_value value)
{
	if (value.kind == JINJA_STRING) {
		if (jinja_spend(run, value.as.string.n))
			write_quoted(out, value.as.string);
	} else if (value.kind == JINJA_UNDEFINED) {
		buffer_text(out, "Undefined");
	} else {
		jinja_write(run, out, value);
	}
}

void
jinja_write(struct jinja_run *run, struct buffer *out, struct jinja_value value)
{
	if (!enter(run, out))
		return;
	switch (value.kind) {
	case JINJA_UNDEFINED:
		break;
	case JINJA_NONE:
		buffer_text(out, "None");
		break;
	case JINJA_BOOL:
		buffer_text(out, value.as.truth ? "True" : "False");
		break;
	case JINJA_INT:
	case JINJA_FLOAT:
		write_number(out, value);
		break;
	case JINJA_STRING:
		if (jinja_spend(run, value.as.string.n))
			buffer_append(out, value.as.string.bytes, value.as.string.n);
		break;
	case JINJA_LIST:
	case JINJA_TUPLE:
		write_list(run, out, value);
		break;
	case JINJA_DICT:
		write_dict(run, out, value.as.dict);
		break;
	default:
		jinja_fail(run, T2L_EFORMAT, "%s cannot be written", jinja_kind_name(value));
		break;
	}
	run->depth--;
}

struct jinja_value
jinja_to_string(struct jinja_run *run, struct jinja_value value)
{
	struct buffer out = { 0 };

	if (value.kind == JINJA_STRING)
		return value;
	jinja_write(run, &out, value);
	return jinja_take(run, &out);
}

/* ---- as JSON ---- */

static void
write_json_string(struct buffer *out, struct jinja_string text)
{
	static const char escapes[] = "\"\"\\\\\nn\rr\tt\bb\ff";
	size_t i, e;

	buffer_char(out, '"');
	for (i = 0; i < text.n; i++) {
		char c = text.bytes[i];

		for (e = 0; e + 1 < sizeof escapes && escapes[e] != c; e += 2)
			;
		if (e + 1 < sizeof escapes)
			buffer_printf(out, "\\%c", escapes[e + 1]);
		else if ((unsigned char)c < 0x20)
			buffer_printf(out, "\\u%04x", (unsigned)c);
		else
			buffer_char(out, c);
	}
	buffer_char(out, '"');
}

static void write_json(
    struct jinja_run *run, struct buffer *out, struct jinja_value value, int indent, int level);

static void
json_newline(struct buffer *out, int indent, int level)
{
	int i;

	if (indent < 0)
		return;
	buffer_char(out, '\n');
	for (i = 0; i < indent * level; i++)
		buffer_char(out, ' ');
}

/* A list, or a dict with its keys. */
static void
write_json_items(struct jinja_run *run, struct buffer *out, const struct jinja_value *keys,
    const struct jinja_value *values, size_t n, int indent, int level)
{
	size_t i;

	buffer_char(out, keys != NULL ? '{' : '[');
	for (i = 0; i < n && run->status == T2L_OK; i++) {
		if (i > 0)
			buffer_text(out, indent < 0 ? ", " : ",");
		json_newline(out, indent, level + 1);
		if (keys != NULL) {
			if (keys[i].kind != JINJA_STRING)
				jinja_fail(run, T2L_EFORMAT, "a key for JSON is no string");
			else
				write_json_string(out, keys[i].as.string);
			buffer_text(out, ": ");
		}
		write_json(run, out, values[i], indent, level + 1);
	}
	if (n > 0)
		json_newline(out, indent, level);
	buffer_char(out, keys != NULL ? '}' : ']');
}

static void
write_json(
    struct jinja_run *run, struct buffer *out, struct jinja_value value, int indent, int level)
{
	static const struct jinja_value no_keys[1];

	if (!enter(run, out))
		return;
	switch (value.kind) {
	case JINJA_NONE:
		buffer_text(out, "null");
		break;
	case JINJA_BOOL:
		buffer_text(out, value.as.truth ? "true" : "false");
		break;
	case JINJA_INT:
	case JINJA_FLOAT:
		write_number(out, value);
		break;
	case JINJA_STRING:
		if (jinja_spend(run, value.as.string.n))
			write_json_string(out, value.as.string);
		break;
	case JINJA_LIST:
	case JINJA_TUPLE:
		write_json_items(
		    run, out, NULL, value.as.list->items, value.as.list->n, indent, level);
		break;
	case JINJA_DICT:
		write_json_items(run, out, value.as.dict->n > 0 ? value.as.dict->keys : no_keys,
		    value.as.dict->values, value.as.dict->n, indent, level);
		break;
	default:
		jinja_fail(run, T2L_EFORMAT, "%s has no JSON", jinja_kind_name(value));
		break;
	}
	run->depth--;
}

void
jinja_write_json(struct jinja_run *run, struct buffer *out, struct jinja_value value, int indent)
{
	write_json(run, out, value, indent, 0);
}
