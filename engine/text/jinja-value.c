/* jinja-value.c - the values of a template: making, comparing, looking into them. */

#define _GNU_SOURCE /* memmem */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "engine/error.h"
#include "engine/text/jinja.h"

/* ---- memory ---- */

#define BLOCK_BYTES 16384

struct arena_block {
	struct arena_block *next;
	size_t used, size;
	_Alignas(16) char bytes[];
};

void *
jinja_alloc(struct jinja_arena *arena, size_t n_bytes)
{
	struct arena_block *block = arena->blocks;
	size_t size;
	void *at;

	if (n_bytes > arena->limit)
		return NULL;
	n_bytes = (n_bytes + 15) & ~(size_t)15;
	if (block == NULL || block->size - block->used < n_bytes) {
		size = n_bytes > BLOCK_BYTES ? n_bytes : BLOCK_BYTES;
		if (arena->used + size > arena->limit)
			return NULL;
		block = malloc(sizeof *block + size);
		if (block == NULL)
			return NULL;
		*block = (struct arena_block){ .next = arena->blocks, .size = size };
		arena->blocks = block;
		arena->used += size;
	}
	at = block->bytes + block->used;
	block->used += n_bytes;
	return at;
}

void
jinja_arena_free(struct jinja_arena *arena)
{
	struct arena_block *block;

	while ((block = arena->blocks) != NULL) {
		arena->blocks = block->next;
		free(block);
	}
	arena->used = 0;
}

/* ---- errors ---- */

struct jinja_value
jinja_fail(struct jinja_run *run, enum t2l_status status, const char *format, ...)
{
	char message[512];
	va_list args;

	if (run->status == T2L_OK) {
		va_start(args, format);
		vsnprintf(message, sizeof message, format, args);
		va_end(args);
		run->status = t2l_fail(run->err, status, "line %d: %s", run->line, message);
	}
	return jinja_undefined((struct jinja_string){ "", 0 });
}

static void
out_of_memory(struct jinja_run *run)
{
	jinja_fail(
	    run, T2L_ENOMEM, "the template needs more than %u MiB", JINJA_MAX_RUN_MEMORY >> 20);
}

bool
jinja_spend(struct jinja_run *run, size_t n_bytes)
{
	size_t cost = 1 + n_bytes / 16;

	if (run->status != T2L_OK)
		return false;
	if (cost > JINJA_MAX_STEPS - run->steps) {
		jinja_fail(run, T2L_EFORMAT, "the template takes too many steps; it may not end");
		return false;
	}
	run->steps += (unsigned)cost;
	return true;
}

/* ---- making values ---- */

struct jinja_value
jinja_undefined(struct jinja_string name)
{
	return (struct jinja_value){ JINJA_UNDEFINED, { .string = name } };
}

struct jinja_value
jinja_none(void)
{
	return (struct jinja_value){ .kind = JINJA_NONE };
}

struct jinja_value
jinja_bool(bool truth)
{
	return (struct jinja_value){ JINJA_BOOL, { .truth = truth } };
}

struct jinja_value
jinja_int(int64_t integer)
{
	return (struct jinja_value){ JINJA_INT, { .integer = integer } };
}

struct jinja_value
jinja_float(double number)
{
	return (struct jinja_value){ JINJA_FLOAT, { .number = number } };
}

struct jinja_value
jinja_slice(const char *bytes, size_t n)
{
	return (struct jinja_value){ JINJA_STRING, { .string = { bytes, n } } };
}

struct jinja_value
jinja_text(const char *text)
{
	return jinja_slice(text, strlen(text));
}

struct jinja_value
jinja_copy(struct jinja_run *run, const char *bytes, size_t n)
{
	char *copy = jinja_alloc(&run->arena, n);

	if (copy == NULL) {
		out_of_memory(run);
		return jinja_text("");
	}
	if (n > 0)
		memcpy(copy, bytes, n);
	return jinja_slice(copy, n);
}

struct jinja_value
jinja_new_list(struct jinja_run *run, enum jinja_kind kind)
{
	struct jinja_list *list = jinja_alloc(&run->arena, sizeof *list);

	if (list == NULL) {
		out_of_memory(run);
		return jinja_none();
	}
	*list = (struct jinja_list){ 0 };
	return (struct jinja_value){ kind, { .list = list } };
}

struct jinja_value
jinja_new_dict(struct jinja_run *run, enum jinja_kind kind)
{
	struct jinja_dict *dict = jinja_alloc(&run->arena, sizeof *dict);

	if (dict == NULL) {
		out_of_memory(run);
		return jinja_none();
	}
	*dict = (struct jinja_dict){ 0 };
	return (struct jinja_value){ kind, { .dict = dict } };
}

/* A larger copy of VALUES; the old one stays in the arena until the end. */
static struct jinja_value *
grow(struct jinja_run *run, const struct jinja_value *values, size_t n, size_t capacity)
{
	struct jinja_value *grown = jinja_alloc(&run->arena, capacity * sizeof *grown);

	if (grown == NULL)
		out_of_memory(run);
	else if (n > 0)
		memcpy(grown, values, n * sizeof *grown);
	return grown;
}

bool
jinja_append(struct jinja_run *run, struct jinja_value list, struct jinja_value item)
{
	struct jinja_list *to = list.as.list;

	if (run->status != T2L_OK)
		return false;
	if (to->n == to->capacity) {
		size_t capacity = to->capacity == 0 ? 8 : 2 * to->capacity;
		struct jinja_value *items = grow(run, to->items, to->n, capacity);

		if (items == NULL)
			return false;
		to->items = items;
		to->capacity = capacity;
	}
	to->items[to->n++] = item;
	return true;
}

const struct jinja_value *
jinja_get(struct jinja_run *run, const struct jinja_dict *dict, struct jinja_value key)
{
	size_t i;

	for (i = 0; i < dict->n; i++)
		if (jinja_equal(run, dict->keys[i], key))
			return &dict->values[i];
	return NULL;
}

bool
jinja_put(struct jinja_run *run, struct jinja_value dict, struct jinja_value key,
    struct jinja_value value)
{
	struct jinja_dict *to = dict.as.dict;
	size_t i, capacity;
	struct jinja_value *keys, *values;

	if (run->status != T2L_OK)
		return false;
	for (i = 0; i < to->n; i++)
		if (jinja_equal(run, to->keys[i], key)) {
			to->values[i] = value;
			return true;
		}
	if (to->n == to->capacity) {
		capacity = to->capacity == 0 ? 4 : 2 * to->capacity;
		keys = grow(run, to->keys, to->n, capacity);
		values = grow(run, to->values, to->n, capacity);
		if (keys == NULL || values == NULL)
			return false;
		to->keys = keys;
		to->values = values;
		to->capacity = capacity;
	}
	to->keys[to->n] = key;
	to->values[to->n++] = value;
	return true;
}

/* ---- looking at values ---- */

bool
jinja_is_true(struct jinja_value value)
{
	switch (value.kind) {
	case JINJA_UNDEFINED:
	case JINJA_NONE:
		return false;
	case JINJA_BOOL:
		return value.as.truth;
	case JINJA_INT:
		return value.as.integer != 0;
	case JINJA_FLOAT:
		return value.as.number != 0;
	case JINJA_STRING:
		return value.as.string.n > 0;
	case JINJA_LIST:
	case JINJA_TUPLE:
		return value.as.list->n > 0;
	case JINJA_DICT:
		return value.as.dict->n > 0;
	default:
		return true;
	}
}

bool
jinja_is_number(struct jinja_value value)
{
	return value.kind == JINJA_INT || value.kind == JINJA_FLOAT || value.kind == JINJA_BOOL;
}

bool
jinja_same(struct jinja_string string, const char *text)
{
	return string.n == strlen(text) && memcmp(string.bytes, text, string.n) == 0;
}

bool
jinja_is_string(struct jinja_value value, const char *text)
{
	return value.kind == JINJA_STRING && jinja_same(value.as.string, text);
}

double
jinja_as_double(struct jinja_value value)
{
	if (value.kind == JINJA_FLOAT)
		return value.as.number;
	return value.kind == JINJA_BOOL ? value.as.truth : (double)value.as.integer;
}

const char *
jinja_kind_name(struct jinja_value value)
{
	static const char *const names[] = { "an undefined value", "none", "a boolean",
		"an integer", "a float", "a string", "a list", "a tuple", "a dict", "a namespace",
		"a function", "a macro", "a loop" };

	return names[value.kind];
}

size_t
jinja_characters(struct jinja_string string)
{
	size_t i, n = 0;

	for (i = 0; i < string.n; i++)
		n += ((unsigned char)string.bytes[i] & 0xC0) != 0x80;
	return n;
}

/* ---- comparing ---- */

static int
order_strings(struct jinja_string a, struct jinja_string b)
{
	size_t n = a.n < b.n ? a.n : b.n;
	int order = n > 0 ? memcmp(a.bytes, b.bytes, n) : 0;

	if (order != 0)
		return order < 0 ? -1 : 1;
	return a.n == b.n ? 0 : a.n < b.n ? -1 : 1;
}

static int64_t
as_integer(struct jinja_value value)
{
	return value.kind == JINJA_BOOL ? value.as.truth : value.as.integer;
}

static int
order_numbers(struct jinja_value a, struct jinja_value b)
{
	if (a.kind != JINJA_FLOAT && b.kind != JINJA_FLOAT) {
		int64_t x = as_integer(a), y = as_integer(b);

		return x == y ? 0 : x < y ? -1 : 1;
	}
	if (jinja_as_double(a) == jinja_as_double(b))
		return 0;
	return jinja_as_double(a) < jinja_as_double(b) ? -1 : 1;
}

static bool
equal_lists(struct jinja_run *run, const struct jinja_list *a, const struct jinja_list *b)
{
	size_t i;

	if (a == b)
		return true;
	if (a->n != b->n)
		return false;
	for (i = 0; i < a->n; i++)
		if (!jinja_equal(run, a->items[i], b->items[i]))
			return false;
	return true;
}

static bool
equal_dicts(struct jinja_run *run, const struct jinja_dict *a, const struct jinja_dict *b)
{
	const struct jinja_value *other;
	size_t i;

	if (a == b)
		return true;
	if (a->n != b->n)
		return false;
	for (i = 0; i < a->n; i++) {
		other = jinja_get(run, b, a->keys[i]);
		if (other == NULL || !jinja_equal(run, a->values[i], *other))
			return false;
	}
	return true;
}

static bool
equal_inside(struct jinja_run *run, struct jinja_value a, struct jinja_value b)
{
	if (jinja_is_number(a) && jinja_is_number(b))
		return order_numbers(a, b) == 0;
	if (a.kind != b.kind)
		return false;
	switch (a.kind) {
	case JINJA_STRING:
		return jinja_spend(run, a.as.string.n) &&
		       order_strings(a.as.string, b.as.string) == 0;
	case JINJA_LIST:
	case JINJA_TUPLE:
		return equal_lists(run, a.as.list, b.as.list);
	case JINJA_DICT:
		return equal_dicts(run, a.as.dict, b.as.dict);
	case JINJA_NAMESPACE:
		return a.as.dict == b.as.dict;
	case JINJA_FUNCTION:
		return a.as.function == b.as.function;
	case JINJA_MACRO:
		return a.as.macro == b.as.macro;
	case JINJA_LOOP:
		return a.as.loop == b.as.loop;
	default:
		return true;
	}
}

bool
jinja_equal(struct jinja_run *run, struct jinja_value a, struct jinja_value b)
{
	bool equal;

	if (!jinja_spend(run, 0))
		return false;
	if (run->depth >= JINJA_MAX_DEPTH) {
		jinja_fail(run, T2L_EFORMAT, "values are nested too deeply");
		return false;
	}
	run->depth++;
	equal = equal_inside(run, a, b);
	run->depth--;
	return equal;
}

int
jinja_order(struct jinja_run *run, struct jinja_value a, struct jinja_value b)
{
	if (jinja_is_number(a) && jinja_is_number(b))
		return order_numbers(a, b);
	if (a.kind == JINJA_STRING && b.kind == JINJA_STRING && jinja_spend(run, a.as.string.n))
		return order_strings(a.as.string, b.as.string);
	jinja_fail(
	    run, T2L_EFORMAT, "%s and %s have no order", jinja_kind_name(a), jinja_kind_name(b));
	return 0;
}

bool
jinja_contains(struct jinja_run *run, struct jinja_value whole, struct jinja_value part)
{
	const struct jinja_list *items;
	size_t i;

	if (whole.kind == JINJA_STRING && part.kind == JINJA_STRING) {
		struct jinja_string text = whole.as.string, what = part.as.string;

		if (!jinja_spend(run, text.n))
			return false;
		return what.n == 0 || memmem(text.bytes, text.n, what.bytes, what.n) != NULL;
	}
	if (whole.kind == JINJA_STRING) {
		jinja_fail(run, T2L_EFORMAT, "%s cannot be in a string", jinja_kind_name(part));
		return false;
	}
	if (whole.kind == JINJA_DICT)
		return jinja_get(run, whole.as.dict, part) != NULL;
	items = jinja_items(run, whole);
	for (i = 0; items != NULL && i < items->n; i++)
		if (jinja_equal(run, items->items[i], part))
			return true;
	return false;
}

/* ---- items ---- */

static const struct jinja_list *
characters_of(struct jinja_run *run, struct jinja_string text)
{
	struct jinja_value list = jinja_new_list(run, JINJA_LIST);
	uint32_t code_point;
	bool valid;
	size_t at, length;

	for (at = 0; run->status == T2L_OK && at < text.n; at += length) {
		length = utf8_decode(text.bytes + at, text.n - at, &code_point, &valid);
		jinja_append(run, list, jinja_slice(text.bytes + at, length));
	}
	return run->status == T2L_OK ? list.as.list : NULL;
}

const struct jinja_list *
jinja_items(struct jinja_run *run, struct jinja_value value)
{
	struct jinja_value list;
	size_t i;

	switch (value.kind) {
	case JINJA_LIST:
	case JINJA_TUPLE:
		return value.as.list;
	case JINJA_STRING:
		return characters_of(run, value.as.string);
	case JINJA_UNDEFINED: /* Jinja iterates over nothing */
	case JINJA_DICT:
		list = jinja_new_list(run, JINJA_LIST);
		for (i = 0;
		     value.kind == JINJA_DICT && run->status == T2L_OK && i < value.as.dict->n; i++)
			jinja_append(run, list, value.as.dict->keys[i]);
		return run->status == T2L_OK ? list.as.list : NULL;
	default:
		jinja_fail(
		    run, T2L_EFORMAT, "%s has no items to go through", jinja_kind_name(value));
		return NULL;
	}
}
