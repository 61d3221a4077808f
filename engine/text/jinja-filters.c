/* jinja-filters.c - the filters and tests of templates, as tables. */

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "engine/text/jinja.h"

const struct jinja_value *
jinja_argument(const struct jinja_arguments *arguments, size_t position, const char *name)
{
	size_t i, n_positional = 0;

	for (i = 0; i < arguments->n; i++) {
		bool named = arguments->names != NULL && arguments->names[i].n > 0;

		if (named && name != NULL && jinja_same(arguments->names[i], name))
			return &arguments->values[i];
		if (!named && n_positional++ == position)
			return &arguments->values[i];
	}
	return NULL;
}

/* ---- text ---- */

static struct jinja_value
filter_trim(
    struct jinja_run *run, struct jinja_value input, const struct jinja_arguments *arguments)
{
	input = jinja_to_string(run, input);
	return jinja_strip(run, input.as.string, jinja_argument(arguments, 0, "chars"), true, true);
}

static struct jinja_value
filter_upper(
    struct jinja_run *run, struct jinja_value input, const struct jinja_arguments *arguments)
{
	(void)arguments;
	return jinja_change_case(run, jinja_to_string(run, input).as.string, CASE_UPPER);
}

static struct jinja_value
filter_lower(
    struct jinja_run *run, struct jinja_value input, const struct jinja_arguments *arguments)
{
	(void)arguments;
	return jinja_change_case(run, jinja_to_string(run, input).as.string, CASE_LOWER);
}

static struct jinja_value
filter_title(
    struct jinja_run *run, struct jinja_value input, const struct jinja_arguments *arguments)
{
	(void)arguments;
	return jinja_change_case(run, jinja_to_string(run, input).as.string, CASE_TITLE);
}

static struct jinja_value
filter_capitalize(
    struct jinja_run *run, struct jinja_value input, const struct jinja_arguments *arguments)
{
	(void)arguments;
	return jinja_change_case(run, jinja_to_string(run, input).as.string, CASE_CAPITALIZE);
}

static struct jinja_value
filter_string(
    struct jinja_run *run, struct jinja_value input, const struct jinja_arguments *arguments)
{
	(void)arguments;
	return jinja_to_string(run, input);
}

static struct jinja_value
filter_replace(
    struct jinja_run *run, struct jinja_value input, const struct jinja_arguments *arguments)
{
	const struct jinja_value *from = jinja_argument(arguments, 0, "old");
	const struct jinja_value *to = jinja_argument(arguments, 1, "new");
	const struct jinja_value *count = jinja_argument(arguments, 2, "count");

	if (from == NULL || to == NULL || from->kind != JINJA_STRING || to->kind != JINJA_STRING)
		return jinja_fail(run, T2L_EFORMAT, "replace needs two strings");
	return jinja_replace(run, jinja_to_string(run, input).as.string, from->as.string,
	    to->as.string, count != NULL && count->kind == JINJA_INT ? count->as.integer : -1);
}

/* Puts blanks before every line, but before the first and empty ones only when asked to. */
static struct jinja_value
filter_indent(
    struct jinja_run *run, struct jinja_value input, const struct jinja_arguments *arguments)
{
	const struct jinja_value *width = jinja_argument(arguments, 0, "width");
	const struct jinja_value *first = jinja_argument(arguments, 1, "first");
	const struct jinja_value *blank = jinja_argument(arguments, 2, "blank");
	struct jinja_value indentation = jinja_text("    ");
	struct jinja_string text = jinja_to_string(run, input).as.string;
	struct buffer out = { 0 };
	size_t i;

	if (width != NULL && width->kind == JINJA_INT) {
		struct buffer blanks = { 0 };
		int64_t n = width->as.integer;

		for (; n > 0 && blanks.n < 1000; n--)
			buffer_char(&blanks, ' ');
		indentation = jinja_take(run, &blanks);
	} else if (width != NULL) {
		indentation = jinja_to_string(run, *width);
	}
	for (i = 0; i < text.n && jinja_spend(run, 0) && out.n < JINJA_MAX_OUTPUT; i++) {
		bool starts =
		    i == 0 ? first != NULL && jinja_is_true(*first) : text.bytes[i - 1] == '\n';

		if (starts && (text.bytes[i] != '\n' || (blank != NULL && jinja_is_true(*blank))))
			buffer_append(&out, indentation.as.string.bytes, indentation.as.string.n);
		buffer_char(&out, text.bytes[i]);
	}
	return jinja_take(run, &out);
}

static struct jinja_value
filter_tojson(
    struct jinja_run *run, struct jinja_value input, const struct jinja_arguments *arguments)
{
	const struct jinja_value *indent = jinja_argument(arguments, 0, "indent");
	struct buffer out = { 0 };
	int width = -1;

	if (indent != NULL && indent->kind == JINJA_INT)
		width = indent->as.integer < 0	  ? 0
			: indent->as.integer > 32 ? 32
						  : (int)indent->as.integer;
	jinja_write_json(run, &out, input, width);
	return jinja_take(run, &out);
}

/* ---- attributes by path ---- */

/* "a.b.0": attributes and positions, one after the other. */
static struct jinja_value
follow_path(struct jinja_run *run, struct jinja_value value, struct jinja_value path)
{
	const char *at, *end, *dot;
	struct jinja_string part;
	int64_t index;
	size_t i;

	if (path.kind == JINJA_INT)
		return jinja_item(run, value, path);
	if (path.kind != JINJA_STRING)
		return jinja_fail(run, T2L_EFORMAT, "an attribute's name is no string");
	at = path.as.string.bytes;
	end = at + path.as.string.n;
	for (; run->status == T2L_OK && at < end; at = dot + 1) {
		dot = memchr(at, '.', (size_t)(end - at));
		if (dot == NULL)
			dot = end;
		part = (struct jinja_string){ at, (size_t)(dot - at) };
		for (i = 0, index = 0;
		     i < part.n && i < 9 && part.bytes[i] >= '0' && part.bytes[i] <= '9'; i++)
			index = index * 10 + part.bytes[i] - '0';
		value = i == part.n && i > 0 ? jinja_item(run, value, jinja_int(index))
					     : jinja_attribute(run, value, part);
	}
	return value;
}

/* ---- lists ---- */

static struct jinja_value
filter_length(
    struct jinja_run *run, struct jinja_value input, const struct jinja_arguments *arguments)
{
	(void)arguments;
	switch (input.kind) {
	case JINJA_UNDEFINED:
		return jinja_int(0);
	case JINJA_STRING:
		jinja_spend(run, input.as.string.n);
		return jinja_int((int64_t)jinja_characters(input.as.string));
	case JINJA_LIST:
	case JINJA_TUPLE:
		return jinja_int((int64_t)input.as.list->n);
	case JINJA_DICT:
		return jinja_int((int64_t)input.as.dict->n);
	default:
		return jinja_fail(run, T2L_EFORMAT, "%s has no length", jinja_kind_name(input));
	}
}

static struct jinja_value
filter_first(
    struct jinja_run *run, struct jinja_value input, const struct jinja_arguments *arguments)
{
	const struct jinja_list *items = jinja_items(run, input);

	(void)arguments;
	return items != NULL && items->n > 0 ? items->items[0]
					     : jinja_undefined((struct jinja_string){ "first", 5 });
}

static struct jinja_value
filter_last(
    struct jinja_run *run, struct jinja_value input, const struct jinja_arguments *arguments)
{
	const struct jinja_list *items = jinja_items(run, input);

	(void)arguments;
	return items != NULL && items->n > 0 ? items->items[items->n - 1]
					     : jinja_undefined((struct jinja_string){ "last", 4 });
}

static struct jinja_value
filter_list(
    struct jinja_run *run, struct jinja_value input, const struct jinja_arguments *arguments)
{
	const struct jinja_list *items = jinja_items(run, input);
	struct jinja_value out = jinja_new_list(run, JINJA_LIST);
	size_t i;

	(void)arguments;
	for (i = 0; items != NULL && i < items->n && jinja_spend(run, 0); i++)
		jinja_append(run, out, items->items[i]);
	return out;
}

static struct jinja_value
filter_reverse(
    struct jinja_run *run, struct jinja_value input, const struct jinja_arguments *arguments)
{
	const struct jinja_list *items = jinja_items(run, input);
	struct jinja_value out = jinja_new_list(run, JINJA_LIST);
	struct buffer text = { 0 };
	size_t i;

	(void)arguments;
	for (i = items != NULL ? items->n : 0; i > 0 && jinja_spend(run, 0); i--)
		if (input.kind == JINJA_STRING)
			buffer_append(&text, items->items[i - 1].as.string.bytes,
			    items->items[i - 1].as.string.n);
		else
			jinja_append(run, out, items->items[i - 1]);
	return input.kind == JINJA_STRING ? jinja_take(run, &text) : out;
}

static struct jinja_value
filter_join(
    struct jinja_run *run, struct jinja_value input, const struct jinja_arguments *arguments)
{
	const struct jinja_value *separator = jinja_argument(arguments, 0, "d");
	const struct jinja_value *attribute = jinja_argument(arguments, 1, "attribute");
	const struct jinja_list *items = jinja_items(run, input);
	struct buffer out = { 0 };
	size_t i;

	for (i = 0; items != NULL && i < items->n && run->status == T2L_OK; i++) {
		if (i > 0 && separator != NULL)
			jinja_write(run, &out, *separator);
		jinja_write(run, &out,
		    attribute != NULL ? follow_path(run, items->items[i], *attribute)
				      : items->items[i]);
	}
	return jinja_take(run, &out);
}

static struct jinja_value
pairs_of(struct jinja_run *run, const struct jinja_dict *dict)
{
	struct jinja_value out = jinja_new_list(run, JINJA_LIST), pair;
	size_t i;

	for (i = 0; run->status == T2L_OK && i < dict->n; i++) {
		pair = jinja_new_list(run, JINJA_TUPLE);
		if (run->status == T2L_OK && jinja_append(run, pair, dict->keys[i]) &&
		    jinja_append(run, pair, dict->values[i]))
			jinja_append(run, out, pair);
	}
	return out;
}

static struct jinja_value
filter_items(
    struct jinja_run *run, struct jinja_value input, const struct jinja_arguments *arguments)
{
	(void)arguments;
	if (input.kind == JINJA_UNDEFINED)
		return jinja_new_list(run, JINJA_LIST);
	if (input.kind != JINJA_DICT)
		return jinja_fail(run, T2L_EFORMAT, "%s has no items", jinja_kind_name(input));
	return pairs_of(run, input.as.dict);
}

/* Insertion sort: stable, and lists of templates are short; the step limit bounds it. */
static void
sort_list(struct jinja_run *run, struct jinja_list *list, const struct jinja_value *attribute)
{
	size_t i, k;

	for (i = 1; i < list->n; i++)
		for (k = i; k > 0 && jinja_spend(run, 0); k--) {
			struct jinja_value a = list->items[k - 1], b = list->items[k];
			struct jinja_value x = a, y = b;

			if (attribute != NULL) {
				x = follow_path(run, a, *attribute);
				y = follow_path(run, b, *attribute);
			}
			if (run->status != T2L_OK || jinja_order(run, x, y) <= 0)
				break;
			list->items[k - 1] = b;
			list->items[k] = a;
		}
}

static struct jinja_value
filter_sort(
    struct jinja_run *run, struct jinja_value input, const struct jinja_arguments *arguments)
{
	const struct jinja_value *reverse = jinja_argument(arguments, 0, "reverse");
	struct jinja_value out = filter_list(run, input, arguments);

	if (run->status == T2L_OK)
		sort_list(run, out.as.list, jinja_argument(arguments, 2, "attribute"));
	if (run->status == T2L_OK && reverse != NULL && jinja_is_true(*reverse))
		return filter_reverse(run, out, arguments);
	return out;
}

/* The pairs of a dict, sorted by key. */
static struct jinja_value
filter_dictsort(
    struct jinja_run *run, struct jinja_value input, const struct jinja_arguments *arguments)
{
	const struct jinja_value first = jinja_int(0);
	struct jinja_value out = filter_items(run, input, arguments);

	if (run->status == T2L_OK)
		sort_list(run, out.as.list, &first);
	return out;
}

static struct jinja_value
filter_unique(
    struct jinja_run *run, struct jinja_value input, const struct jinja_arguments *arguments)
{
	const struct jinja_list *items = jinja_items(run, input);
	struct jinja_value out = jinja_new_list(run, JINJA_LIST);
	size_t i;

	(void)arguments;
	for (i = 0; items != NULL && run->status == T2L_OK && i < items->n; i++)
		if (!jinja_contains(run, out, items->items[i]))
			jinja_append(run, out, items->items[i]);
	return out;
}

static struct jinja_value
extreme(struct jinja_run *run, struct jinja_value input, int wanted)
{
	const struct jinja_list *items = jinja_items(run, input);
	struct jinja_value best;
	size_t i;

	if (items == NULL || items->n == 0)
		return jinja_undefined((struct jinja_string){ "", 0 });
	best = items->items[0];
	for (i = 1; i < items->n && run->status == T2L_OK; i++)
		if (jinja_order(run, items->items[i], best) == wanted)
			best = items->items[i];
	return best;
}

static struct jinja_value
filter_min(struct jinja_run *run, struct jinja_value input, const struct jinja_arguments *arguments)
{
	(void)arguments;
	return extreme(run, input, -1);
}

static struct jinja_value
filter_max(struct jinja_run *run, struct jinja_value input, const struct jinja_arguments *arguments)
{
	(void)arguments;
	return extreme(run, input, 1);
}

/* ---- choosing: select, reject, selectattr, rejectattr, map ---- */

/* Does VALUE pass the test that ARGUMENTS name from position AT? Without one: is it true? */
static bool
passes(struct jinja_run *run, struct jinja_value value, const struct jinja_arguments *arguments,
    size_t at)
{
	const struct jinja_value *name = jinja_argument(arguments, at, NULL);
	const struct jinja_value *argument = jinja_argument(arguments, at + 1, NULL);
	const struct jinja_test *test;

	if (name == NULL)
		return jinja_is_true(value);
	test = name->kind == JINJA_STRING ? jinja_find_test(name->as.string) : NULL;
	if (test == NULL || (test->needs_argument && argument == NULL)) {
		jinja_fail(run, T2L_EUNSUPPORTED, "this test in a filter is not supported");
		return false;
	}
	return test->apply(run, value, argument != NULL ? *argument : jinja_none());
}

static struct jinja_value
choose(struct jinja_run *run, struct jinja_value input, const struct jinja_arguments *arguments,
    bool by_attribute, bool keep)
{
	const struct jinja_value *attribute = jinja_argument(arguments, 0, NULL);
	const struct jinja_list *items = jinja_items(run, input);
	struct jinja_value out = jinja_new_list(run, JINJA_LIST), value;
	size_t i;

	if (by_attribute && attribute == NULL)
		return jinja_fail(run, T2L_EFORMAT, "selectattr needs an attribute");
	for (i = 0; items != NULL && run->status == T2L_OK && i < items->n; i++) {
		value =
		    by_attribute ? follow_path(run, items->items[i], *attribute) : items->items[i];
		if (passes(run, value, arguments, by_attribute) == keep)
			jinja_append(run, out, items->items[i]);
	}
	return out;
}

static struct jinja_value
filter_select(
    struct jinja_run *run, struct jinja_value input, const struct jinja_arguments *arguments)
{
	return choose(run, input, arguments, false, true);
}

static struct jinja_value
filter_reject(
    struct jinja_run *run, struct jinja_value input, const struct jinja_arguments *arguments)
{
	return choose(run, input, arguments, false, false);
}

static struct jinja_value
filter_selectattr(
    struct jinja_run *run, struct jinja_value input, const struct jinja_arguments *arguments)
{
	return choose(run, input, arguments, true, true);
}

static struct jinja_value
filter_rejectattr(
    struct jinja_run *run, struct jinja_value input, const struct jinja_arguments *arguments)
{
	return choose(run, input, arguments, true, false);
}

/* map(attribute="a", default=b) or map("filter", arguments...). */
static struct jinja_value
filter_map(struct jinja_run *run, struct jinja_value input, const struct jinja_arguments *arguments)
{
	const struct jinja_value *name = jinja_argument(arguments, 0, NULL);
	const struct jinja_value *attribute = jinja_argument(arguments, SIZE_MAX, "attribute");
	const struct jinja_value *fallback = jinja_argument(arguments, SIZE_MAX, "default");
	const struct jinja_list *items = jinja_items(run, input);
	struct jinja_value out = jinja_new_list(run, JINJA_LIST), value;
	struct jinja_arguments rest = { 0 };
	const struct jinja_filter *filter = NULL;
	size_t i;

	if (attribute == NULL) {
		if (name != NULL && name->kind == JINJA_STRING)
			filter = jinja_find_filter(name->as.string);
		if (filter == NULL)
			return jinja_fail(
			    run, T2L_EUNSUPPORTED, "map with this filter is not supported");
		rest.n = arguments->n - 1;
		rest.values = arguments->values + 1;
		rest.names = arguments->names != NULL ? arguments->names + 1 : NULL;
	}
	for (i = 0; items != NULL && run->status == T2L_OK && i < items->n; i++) {
		value = filter != NULL ? filter->apply(run, items->items[i], &rest)
				       : follow_path(run, items->items[i], *attribute);
		if (filter == NULL && value.kind == JINJA_UNDEFINED && fallback != NULL)
			value = *fallback;
		jinja_append(run, out, value);
	}
	return out;
}

/* ---- numbers and defaults ---- */

static struct jinja_value
filter_default(
    struct jinja_run *run, struct jinja_value input, const struct jinja_arguments *arguments)
{
	const struct jinja_value *fallback = jinja_argument(arguments, 0, "default_value");
	const struct jinja_value *boolean = jinja_argument(arguments, 1, "boolean");

	(void)run;
	if (input.kind == JINJA_UNDEFINED ||
	    (boolean != NULL && jinja_is_true(*boolean) && !jinja_is_true(input)))
		return fallback != NULL ? *fallback : jinja_text("");
	return input;
}

/* Text that is no number gives 0, or the default that was asked for. */
static struct jinja_value
to_number(struct jinja_run *run, struct jinja_value input, const struct jinja_arguments *arguments,
    bool whole)
{
	const struct jinja_value *fallback = jinja_argument(arguments, 0, "default");
	char text[64], *end = text;
	double number = 0;

	(void)run;
	if (jinja_is_number(input)) {
		number = jinja_as_double(input);
		if (whole && input.kind != JINJA_FLOAT)
			return jinja_int(
			    input.kind == JINJA_BOOL ? input.as.truth : input.as.integer);
	} else if (input.kind == JINJA_STRING && input.as.string.n > 0 &&
		   input.as.string.n < sizeof text) {
		memcpy(text, input.as.string.bytes, input.as.string.n);
		text[input.as.string.n] = '\0';
		number = strtod(text, &end);
		end += strspn(end, " \t\r\n");
	}
	if (!jinja_is_number(input) && (end == text || *end != '\0'))
		return fallback != NULL ? *fallback : whole ? jinja_int(0) : jinja_float(0);
	if (!whole)
		return jinja_float(number);
	if (!(fabs(number) < 9e15))
		return jinja_int(0);
	return jinja_int((int64_t)number);
}

static struct jinja_value
filter_int(struct jinja_run *run, struct jinja_value input, const struct jinja_arguments *arguments)
{
	return to_number(run, input, arguments, true);
}

static struct jinja_value
filter_float(
    struct jinja_run *run, struct jinja_value input, const struct jinja_arguments *arguments)
{
	return to_number(run, input, arguments, false);
}

static struct jinja_value
filter_abs(struct jinja_run *run, struct jinja_value input, const struct jinja_arguments *arguments)
{
	(void)arguments;
	if (input.kind == JINJA_FLOAT)
		return jinja_float(fabs(input.as.number));
	if (input.kind != JINJA_INT || input.as.integer == INT64_MIN)
		return jinja_fail(run, T2L_EFORMAT, "%s has no abs", jinja_kind_name(input));
	return jinja_int(input.as.integer < 0 ? -input.as.integer : input.as.integer);
}

/* ---- tables ---- */

static const struct jinja_filter filters[] = {
	{ "abs", filter_abs },
	{ "capitalize", filter_capitalize },
	{ "count", filter_length },
	{ "d", filter_default },
	{ "default", filter_default },
	{ "dictsort", filter_dictsort },
	{ "first", filter_first },
	{ "float", filter_float },
	{ "indent", filter_indent },
	{ "int", filter_int },
	{ "items", filter_items },
	{ "join", filter_join },
	{ "last", filter_last },
	{ "length", filter_length },
	{ "list", filter_list },
	{ "lower", filter_lower },
	{ "map", filter_map },
	{ "max", filter_max },
	{ "min", filter_min },
	{ "reject", filter_reject },
	{ "rejectattr", filter_rejectattr },
	{ "replace", filter_replace },
	{ "reverse", filter_reverse },
	{ "safe", filter_string },
	{ "select", filter_select },
	{ "selectattr", filter_selectattr },
	{ "sort", filter_sort },
	{ "string", filter_string },
	{ "title", filter_title },
	{ "tojson", filter_tojson },
	{ "trim", filter_trim },
	{ "unique", filter_unique },
	{ "upper", filter_upper },
};

const struct jinja_filter *
jinja_find_filter(struct jinja_string name)
{
	size_t i;

	for (i = 0; i < sizeof filters / sizeof *filters; i++)
		if (jinja_same(name, filters[i].name))
			return &filters[i];
	return NULL;
}

#define TEST(name, condition)                                                                      \
	static bool test_##name(                                                                   \
	    struct jinja_run *run, struct jinja_value input, struct jinja_value argument)          \
	{                                                                                          \
		(void)run;                                                                         \
		(void)argument;                                                                    \
		return condition;                                                                  \
	}

TEST(defined, input.kind != JINJA_UNDEFINED)
TEST(undefined, input.kind == JINJA_UNDEFINED)
TEST(none, input.kind == JINJA_NONE)
TEST(boolean, input.kind == JINJA_BOOL)
TEST(true, input.kind == JINJA_BOOL && input.as.truth)
TEST(false, input.kind == JINJA_BOOL && !input.as.truth)
TEST(integer, input.kind == JINJA_INT)
TEST(float, input.kind == JINJA_FLOAT)
TEST(number, jinja_is_number(input))
TEST(string, input.kind == JINJA_STRING)
TEST(mapping, input.kind == JINJA_DICT)
TEST(sequence, input.kind == JINJA_STRING || input.kind == JINJA_LIST ||
		   input.kind == JINJA_TUPLE || input.kind == JINJA_DICT ||
		   input.kind == JINJA_UNDEFINED)
TEST(callable, input.kind == JINJA_FUNCTION || input.kind == JINJA_MACRO)
TEST(odd, input.kind == JINJA_INT && input.as.integer % 2 != 0)
TEST(even, input.kind == JINJA_INT && input.as.integer % 2 == 0)
TEST(divisible, input.kind == JINJA_INT && argument.kind == JINJA_INT && argument.as.integer > 0 &&
		    input.as.integer % argument.as.integer == 0)
TEST(equal, jinja_equal(run, input, argument))
TEST(unequal, !jinja_equal(run, input, argument))
TEST(same, input.kind == argument.kind && jinja_equal(run, input, argument))
TEST(less, jinja_order(run, input, argument) < 0)
TEST(less_equal, jinja_order(run, input, argument) <= 0)
TEST(greater, jinja_order(run, input, argument) > 0)
TEST(greater_equal, jinja_order(run, input, argument) >= 0)
TEST(in, jinja_contains(run, argument, input))

static const struct jinja_test tests[] = {
	{ "boolean", test_boolean, false },
	{ "callable", test_callable, false },
	{ "defined", test_defined, false },
	{ "divisibleby", test_divisible, true },
	{ "eq", test_equal, true },
	{ "equalto", test_equal, true },
	{ "even", test_even, false },
	{ "false", test_false, false },
	{ "float", test_float, false },
	{ "ge", test_greater_equal, true },
	{ "greaterthan", test_greater, true },
	{ "gt", test_greater, true },
	{ "in", test_in, true },
	{ "integer", test_integer, false },
	{ "iterable", test_sequence, false },
	{ "le", test_less_equal, true },
	{ "lessthan", test_less, true },
	{ "lt", test_less, true },
	{ "mapping", test_mapping, false },
	{ "ne", test_unequal, true },
	{ "none", test_none, false },
	{ "number", test_number, false },
	{ "odd", test_odd, false },
	{ "sameas", test_same, true },
	{ "sequence", test_sequence, false },
	{ "string", test_string, false },
	{ "true", test_true, false },
	{ "undefined", test_undefined, false },
	{ "==", test_equal, true },
	{ "!=", test_unequal, true },
};

const struct jinja_test *
jinja_find_test(struct jinja_string name)
{
	size_t i;

	for (i = 0; i < sizeof tests / sizeof *tests; i++)
		if (jinja_same(name, tests[i].name))
			return &tests[i];
	return NULL;
}
