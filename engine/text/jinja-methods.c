/* jinja-methods.c - the methods of strings and dicts, and the global functions of templates. */

#define _GNU_SOURCE /* memmem */
#include <string.h>

#include <utf8proc.h>

#include "base/utf8.h"
#include "engine/text/jinja.h"
#include "engine/text/unicode.h"

/* ---- strings ---- */

/* White space as Python's str.strip() has it. */
static bool
is_stripped(uint32_t c, const struct jinja_value *set)
{
	char encoded[UTF8_MAX_BYTES];
	size_t n;

	if (set == NULL || set->kind != JINJA_STRING)
		return unicode_is_white_space(c) || (c >= 0x1C && c <= 0x1F);
	n = utf8_encode(c, encoded);
	return memmem(set->as.string.bytes, set->as.string.n, encoded, n) != NULL;
}

struct jinja_value
jinja_strip(struct jinja_run *run, struct jinja_string text, const struct jinja_value *set,
    bool left, bool right)
{
	size_t start = 0, end = text.n, length, before;
	uint32_t c;
	bool valid;

	jinja_spend(run, text.n);
	while (left && start < end) {
		length = utf8_decode(text.bytes + start, end - start, &c, &valid);
		if (!is_stripped(c, set))
			break;
		start += length;
	}
	while (right && end > start) {
		before = end - 1;
		while (before > start && ((unsigned char)text.bytes[before] & 0xC0) == 0x80)
			before--;
		utf8_decode(text.bytes + before, end - before, &c, &valid);
		if (!is_stripped(c, set))
			break;
		end = before;
	}
	return jinja_slice(text.bytes + start, end - start);
}

struct jinja_value
jinja_replace(struct jinja_run *run, struct jinja_string text, struct jinja_string from,
    struct jinja_string to, int64_t count)
{
	struct buffer out = { 0 };
	const char *at = text.bytes, *end = text.bytes + text.n, *found;

	if (from.n == 0)
		return jinja_fail(run, T2L_EUNSUPPORTED, "replacing an empty string");
	while (count != 0 && jinja_spend(run, to.n) &&
	       (found = memmem(at, (size_t)(end - at), from.bytes, from.n)) != NULL) {
		jinja_spend(run, (size_t)(found - at));
		buffer_append(&out, at, (size_t)(found - at));
		buffer_append(&out, to.bytes, to.n);
		at = found + from.n;
		count--;
		if (out.n > JINJA_MAX_OUTPUT)
			jinja_fail(run, T2L_EFORMAT, "the template writes more than %u MiB",
			    JINJA_MAX_OUTPUT >> 20);
	}
	buffer_append(&out, at, (size_t)(end - at));
	return jinja_take(run, &out);
}

struct jinja_value
jinja_change_case(struct jinja_run *run, struct jinja_string text, enum jinja_case how)
{
	struct buffer out = { 0 };
	char encoded[UTF8_MAX_BYTES];
	uint32_t lower[2], c;
	bool begins = true, valid;
	size_t at, i, n;

	jinja_spend(run, text.n);
	for (at = 0; at < text.n;) {
		at += utf8_decode(text.bytes + at, text.n - at, &c, &valid);
		if (how == CASE_UPPER || (begins && how != CASE_LOWER)) {
			/* The one letter whose capital is two letters and that people use. */
			if (c == 0xDF)
				buffer_text(&out, how == CASE_UPPER ? "SS" : "Ss");
			else
				buffer_append(&out, encoded,
				    utf8_encode(
					(uint32_t)utf8proc_toupper((utf8proc_int32_t)c), encoded));
		} else {
			n = unicode_to_lower(c, lower);
			for (i = 0; i < n; i++)
				buffer_append(&out, encoded, utf8_encode(lower[i], encoded));
		}
		/* Jinja's title begins words behind these only. */
		begins = how == CASE_TITLE && (unicode_is_white_space(c) || c == '-' || c == '(' ||
						  c == '{' || c == '[' || c == '<');
	}
	return jinja_take(run, &out);
}

static struct jinja_value
method_strip(
    struct jinja_run *run, struct jinja_value text, const struct jinja_arguments *arguments)
{
	return jinja_strip(run, text.as.string, jinja_argument(arguments, 0, NULL), true, true);
}

static struct jinja_value
method_lstrip(
    struct jinja_run *run, struct jinja_value text, const struct jinja_arguments *arguments)
{
	return jinja_strip(run, text.as.string, jinja_argument(arguments, 0, NULL), true, false);
}

static struct jinja_value
method_rstrip(
    struct jinja_run *run, struct jinja_value text, const struct jinja_arguments *arguments)
{
	return jinja_strip(run, text.as.string, jinja_argument(arguments, 0, NULL), false, true);
}

static struct jinja_value
method_upper(
    struct jinja_run *run, struct jinja_value text, const struct jinja_arguments *arguments)
{
	(void)arguments;
	return jinja_change_case(run, text.as.string, CASE_UPPER);
}

static struct jinja_value
method_lower(
    struct jinja_run *run, struct jinja_value text, const struct jinja_arguments *arguments)
{
	(void)arguments;
	return jinja_change_case(run, text.as.string, CASE_LOWER);
}

static struct jinja_value
method_title(
    struct jinja_run *run, struct jinja_value text, const struct jinja_arguments *arguments)
{
	(void)arguments;
	return jinja_change_case(run, text.as.string, CASE_TITLE);
}

static struct jinja_value
method_capitalize(
    struct jinja_run *run, struct jinja_value text, const struct jinja_arguments *arguments)
{
	(void)arguments;
	return jinja_change_case(run, text.as.string, CASE_CAPITALIZE);
}

static struct jinja_value
method_replace(
    struct jinja_run *run, struct jinja_value text, const struct jinja_arguments *arguments)
{
	const struct jinja_value *from = jinja_argument(arguments, 0, NULL);
	const struct jinja_value *to = jinja_argument(arguments, 1, NULL);
	const struct jinja_value *count = jinja_argument(arguments, 2, "count");

	if (from == NULL || to == NULL || from->kind != JINJA_STRING || to->kind != JINJA_STRING)
		return jinja_fail(run, T2L_EFORMAT, "replace needs two strings");
	return jinja_replace(run, text.as.string, from->as.string, to->as.string,
	    count != NULL && count->kind == JINJA_INT ? count->as.integer : -1);
}

/* Does TEXT begin (or end) with the argument, or with one of a tuple? */
static struct jinja_value
has_end(struct jinja_run *run, struct jinja_string text, const struct jinja_arguments *arguments,
    bool at_end)
{
	const struct jinja_value *what = jinja_argument(arguments, 0, NULL);
	const struct jinja_value *ends = what;
	size_t i, n = 1;

	if (what != NULL && what->kind == JINJA_TUPLE) {
		ends = what->as.list->items;
		n = what->as.list->n;
	}
	for (i = 0; ends != NULL && i < n && jinja_spend(run, 0); i++) {
		struct jinja_string end = ends[i].as.string;

		if (ends[i].kind != JINJA_STRING)
			return jinja_fail(run, T2L_EFORMAT, "startswith and endswith need strings");
		if (end.n <= text.n &&
		    memcmp(text.bytes + (at_end ? text.n - end.n : 0), end.bytes, end.n) == 0)
			return jinja_bool(true);
	}
	if (what == NULL)
		return jinja_fail(run, T2L_EFORMAT, "startswith and endswith need a string");
	return jinja_bool(false);
}

static struct jinja_value
method_startswith(
    struct jinja_run *run, struct jinja_value text, const struct jinja_arguments *arguments)
{
	return has_end(run, text.as.string, arguments, false);
}

static struct jinja_value
method_endswith(
    struct jinja_run *run, struct jinja_value text, const struct jinja_arguments *arguments)
{
	return has_end(run, text.as.string, arguments, true);
}

/* The position in characters, or -1. */
static struct jinja_value
method_find(struct jinja_run *run, struct jinja_value text, const struct jinja_arguments *arguments)
{
	const struct jinja_value *what = jinja_argument(arguments, 0, NULL);
	const char *found;

	if (what == NULL || what->kind != JINJA_STRING)
		return jinja_fail(run, T2L_EFORMAT, "find needs a string");
	jinja_spend(run, text.as.string.n);
	found = memmem(
	    text.as.string.bytes, text.as.string.n, what->as.string.bytes, what->as.string.n);
	if (found == NULL)
		return jinja_int(-1);
	return jinja_int((int64_t)jinja_characters(
	    (struct jinja_string){ text.as.string.bytes, (size_t)(found - text.as.string.bytes) }));
}

/* Words between runs of white space. */
static struct jinja_value
split_words(struct jinja_run *run, struct jinja_string text)
{
	struct jinja_value out = jinja_new_list(run, JINJA_LIST);
	size_t at = 0, start, length;
	uint32_t c;
	bool valid;

	while (run->status == T2L_OK && at < text.n) {
		for (; at < text.n; at += length) {
			length = utf8_decode(text.bytes + at, text.n - at, &c, &valid);
			if (!is_stripped(c, NULL))
				break;
		}
		for (start = at; at < text.n; at += length) {
			length = utf8_decode(text.bytes + at, text.n - at, &c, &valid);
			if (is_stripped(c, NULL))
				break;
		}
		if (at > start)
			jinja_append(run, out, jinja_slice(text.bytes + start, at - start));
	}
	return out;
}

/* The last place of WHAT in TEXT. */
static const char *
find_last(struct jinja_string text, struct jinja_string what)
{
	const char *found = NULL, *at = text.bytes, *end = text.bytes + text.n;

	while ((at = memmem(at, (size_t)(end - at), what.bytes, what.n)) != NULL)
		found = at++;
	return found;
}

static struct jinja_value
method_split(
    struct jinja_run *run, struct jinja_value text, const struct jinja_arguments *arguments)
{
	const struct jinja_value *separator = jinja_argument(arguments, 0, "sep");
	const struct jinja_value *most = jinja_argument(arguments, 1, "maxsplit");
	int64_t count = most != NULL && most->kind == JINJA_INT ? most->as.integer : -1;
	const char *at = text.as.string.bytes, *end = at + text.as.string.n, *found;
	struct jinja_value out;

	if (!jinja_spend(run, text.as.string.n))
		return jinja_none();
	if ((separator == NULL || separator->kind == JINJA_NONE) && count < 0)
		return split_words(run, text.as.string);
	if (separator == NULL || separator->kind != JINJA_STRING || separator->as.string.n == 0)
		return jinja_fail(run, T2L_EUNSUPPORTED, "split needs a separator here");
	out = jinja_new_list(run, JINJA_LIST);
	while (run->status == T2L_OK && count-- != 0 &&
	       (found = memmem(at, (size_t)(end - at), separator->as.string.bytes,
		    separator->as.string.n)) != NULL) {
		jinja_append(run, out, jinja_slice(at, (size_t)(found - at)));
		at = found + separator->as.string.n;
	}
	if (run->status == T2L_OK)
		jinja_append(run, out, jinja_slice(at, (size_t)(end - at)));
	return out;
}

/* rsplit(separator, 1), the one form in use. */
static struct jinja_value
method_rsplit(
    struct jinja_run *run, struct jinja_value text, const struct jinja_arguments *arguments)
{
	const struct jinja_value *separator = jinja_argument(arguments, 0, "sep");
	const struct jinja_value *most = jinja_argument(arguments, 1, "maxsplit");
	struct jinja_string whole = text.as.string;
	struct jinja_value out = jinja_new_list(run, JINJA_LIST);
	const char *found;

	if (most == NULL || most->kind != JINJA_INT || most->as.integer != 1 ||
	    separator->kind != JINJA_STRING || separator->as.string.n == 0)
		return jinja_fail(
		    run, T2L_EUNSUPPORTED, "rsplit works with a separator and 1 only");
	if (!jinja_spend(run, whole.n))
		return out;
	found = find_last(whole, separator->as.string);
	if (found != NULL) {
		size_t n = (size_t)(found - whole.bytes);

		jinja_append(run, out, jinja_slice(whole.bytes, n));
		n += separator->as.string.n;
		whole = (struct jinja_string){ whole.bytes + n, whole.n - n };
	}
	if (run->status == T2L_OK)
		jinja_append(run, out, jinja_slice(whole.bytes, whole.n));
	return out;
}

/* Python's separator.join(list). */
static struct jinja_value
method_join(struct jinja_run *run, struct jinja_value text, const struct jinja_arguments *arguments)
{
	const struct jinja_value *list = jinja_argument(arguments, 0, NULL);
	const struct jinja_list *items = list != NULL ? jinja_items(run, *list) : NULL;
	struct buffer out = { 0 };
	size_t i;

	for (i = 0; items != NULL && i < items->n && run->status == T2L_OK; i++) {
		if (items->items[i].kind != JINJA_STRING)
			jinja_fail(
			    run, T2L_EFORMAT, "join of %s", jinja_kind_name(items->items[i]));
		if (i > 0)
			jinja_write(run, &out, text);
		jinja_write(run, &out, items->items[i]);
	}
	return jinja_take(run, &out);
}

/* ---- dicts ---- */

static struct jinja_value
method_items(
    struct jinja_run *run, struct jinja_value dict, const struct jinja_arguments *arguments)
{
	return jinja_find_filter((struct jinja_string){ "items", 5 })->apply(run, dict, arguments);
}

static struct jinja_value
method_keys(struct jinja_run *run, struct jinja_value dict, const struct jinja_arguments *arguments)
{
	struct jinja_value out = jinja_new_list(run, JINJA_LIST);
	size_t i;

	(void)arguments;
	for (i = 0; run->status == T2L_OK && i < dict.as.dict->n; i++)
		jinja_append(run, out, dict.as.dict->keys[i]);
	return out;
}

static struct jinja_value
method_values(
    struct jinja_run *run, struct jinja_value dict, const struct jinja_arguments *arguments)
{
	struct jinja_value out = jinja_new_list(run, JINJA_LIST);
	size_t i;

	(void)arguments;
	for (i = 0; run->status == T2L_OK && i < dict.as.dict->n; i++)
		jinja_append(run, out, dict.as.dict->values[i]);
	return out;
}

static struct jinja_value
method_get(struct jinja_run *run, struct jinja_value dict, const struct jinja_arguments *arguments)
{
	const struct jinja_value *key = jinja_argument(arguments, 0, NULL), *found;
	const struct jinja_value *fallback = jinja_argument(arguments, 1, NULL);

	if (key == NULL)
		return jinja_fail(run, T2L_EFORMAT, "get needs a key");
	found = jinja_get(run, dict.as.dict, *key);
	if (found != NULL)
		return *found;
	return fallback != NULL ? *fallback : jinja_none();
}

/* loop.cycle("a", "b"): one after the other. */
static struct jinja_value
method_cycle(
    struct jinja_run *run, struct jinja_value loop, const struct jinja_arguments *arguments)
{
	if (arguments->n == 0)
		return jinja_fail(run, T2L_EFORMAT, "cycle needs something to go through");
	return arguments->values[loop.as.loop->index % arguments->n];
}

struct jinja_value
jinja_method(struct jinja_run *run, struct jinja_value object, struct jinja_string name,
    const struct jinja_arguments *arguments, bool *found)
{
	static const struct {
		enum jinja_kind kind;
		const char *name;
		struct jinja_value (*call)(
		    struct jinja_run *, struct jinja_value, const struct jinja_arguments *);
	} methods[] = {
		{ JINJA_STRING, "capitalize", method_capitalize },
		{ JINJA_STRING, "endswith", method_endswith },
		{ JINJA_STRING, "find", method_find },
		{ JINJA_STRING, "join", method_join },
		{ JINJA_STRING, "lower", method_lower },
		{ JINJA_STRING, "lstrip", method_lstrip },
		{ JINJA_STRING, "replace", method_replace },
		{ JINJA_STRING, "rsplit", method_rsplit },
		{ JINJA_STRING, "rstrip", method_rstrip },
		{ JINJA_STRING, "split", method_split },
		{ JINJA_STRING, "startswith", method_startswith },
		{ JINJA_STRING, "strip", method_strip },
		{ JINJA_STRING, "title", method_title },
		{ JINJA_STRING, "upper", method_upper },
		{ JINJA_DICT, "get", method_get },
		{ JINJA_DICT, "items", method_items },
		{ JINJA_DICT, "keys", method_keys },
		{ JINJA_DICT, "values", method_values },
		{ JINJA_LOOP, "cycle", method_cycle },
	};
	size_t i;

	*found = false;
	for (i = 0; i < sizeof methods / sizeof *methods; i++)
		if (object.kind == methods[i].kind && jinja_same(name, methods[i].name)) {
			*found = true;
			return methods[i].call(run, object, arguments);
		}
	return jinja_none();
}

/* ---- global functions ---- */

#define LONGEST_RANGE 100000 /* of Jinja's sandbox */

static struct jinja_value
call_range(struct jinja_run *run, const struct jinja_arguments *arguments)
{
	int64_t bounds[3] = { 0, 0, 1 }, i;
	struct jinja_value out = jinja_new_list(run, JINJA_LIST);
	size_t k;

	if (arguments->n < 1 || arguments->n > 3)
		return jinja_fail(run, T2L_EFORMAT, "range needs one to three integers");
	for (k = 0; k < arguments->n; k++) {
		if (arguments->values[k].kind != JINJA_INT ||
		    arguments->values[k].as.integer > INT32_MAX ||
		    arguments->values[k].as.integer < -INT32_MAX)
			return jinja_fail(run, T2L_EFORMAT, "range needs integers of 32 bits");
		bounds[arguments->n == 1 ? 1 : k] = arguments->values[k].as.integer;
	}
	if (bounds[2] == 0)
		return jinja_fail(run, T2L_EFORMAT, "range with a step of 0");
	for (i = bounds[0];
	     run->status == T2L_OK && (bounds[2] > 0 ? i < bounds[1] : i > bounds[1]);
	     i += bounds[2]) {
		if (out.as.list->n == LONGEST_RANGE)
			return jinja_fail(
			    run, T2L_EFORMAT, "a range of more than %d", LONGEST_RANGE);
		if (jinja_spend(run, 0))
			jinja_append(run, out, jinja_int(i));
	}
	return out;
}

static struct jinja_value
make_dict(struct jinja_run *run, const struct jinja_arguments *arguments, enum jinja_kind kind)
{
	struct jinja_value out = jinja_new_dict(run, kind);
	size_t i;

	for (i = 0; run->status == T2L_OK && i < arguments->n; i++) {
		if (arguments->names == NULL || arguments->names[i].n == 0)
			return jinja_fail(run, T2L_EUNSUPPORTED,
			    "dict and namespace take arguments with names only");
		jinja_put(run, out, jinja_slice(arguments->names[i].bytes, arguments->names[i].n),
		    arguments->values[i]);
	}
	return out;
}

static struct jinja_value
call_namespace(struct jinja_run *run, const struct jinja_arguments *arguments)
{
	return make_dict(run, arguments, JINJA_NAMESPACE);
}

static struct jinja_value
call_dict(struct jinja_run *run, const struct jinja_arguments *arguments)
{
	return make_dict(run, arguments, JINJA_DICT);
}

static struct jinja_value
call_raise(struct jinja_run *run, const struct jinja_arguments *arguments)
{
	struct jinja_value text = jinja_text("no reason given");

	if (arguments->n > 0)
		text = jinja_to_string(run, arguments->values[0]);
	return jinja_fail(run, T2L_EINVAL, "the chat template refuses this conversation: %.*s",
	    text.as.string.n < 300 ? (int)text.as.string.n : 300, text.as.string.bytes);
}

static struct jinja_value
call_strftime(struct jinja_run *run, const struct jinja_arguments *arguments)
{
	char format[128], text[512];
	size_t n;

	if (arguments->n != 1 || arguments->values[0].kind != JINJA_STRING ||
	    arguments->values[0].as.string.n >= sizeof format)
		return jinja_fail(run, T2L_EFORMAT, "strftime_now needs a short format");
	n = arguments->values[0].as.string.n;
	memcpy(format, arguments->values[0].as.string.bytes, n);
	format[n] = '\0';
	n = strftime(text, sizeof text, format, run->now);
	return jinja_copy(run, text, n);
}

const struct jinja_function *
jinja_find_function(struct jinja_run *run, struct jinja_string name)
{
	static const struct jinja_function functions[] = {
		{ "dict", call_dict },
		{ "namespace", call_namespace },
		{ "raise_exception", call_raise },
		{ "range", call_range },
		{ "strftime_now", call_strftime },
	};
	size_t i;

	for (i = 0; i < sizeof functions / sizeof *functions; i++)
		if (jinja_same(name, functions[i].name))
			return functions[i].call == call_strftime && run->now == NULL
				   ? NULL
				   : &functions[i];
	return NULL;
}
