/* torch-pickle.c - a stack machine for the opcodes of torch's state_dicts; see the header. */

#include "engine/formats/torch-pickle.h"

#include <stdlib.h>
#include <string.h>

#include "base/visible.h"

#define MAX_STACK ((size_t)1 << 20)
#define MAX_NAME 200 /* of a function, with its module */
#define SHOWN 200

struct machine {
	const uint8_t *bytes;
	size_t n, at;
	const char *path;
	struct arena *arena;
	struct pickle_value **stack;
	size_t n_stack, stack_capacity;
	struct pickle_value **memo;
	size_t n_memo;
	struct pickle_value mark; /* its address is what stands on the stack */
	bool stopped;
	struct t2l_error *err;
};

/* ---- failing ---- */

static enum t2l_status
damaged(struct machine *m, const char *what)
{
	return t2l_fail(
	    m->err, T2L_EFORMAT, "%s: damaged pickle at byte %zu: %s", m->path, m->at, what);
}

static enum t2l_status
no_memory(struct machine *m)
{
	return t2l_fail(m->err, T2L_ENOMEM, "%s: out of memory", m->path);
}

/* ---- values, stack, memo ---- */

static enum t2l_status
push(struct machine *m, struct pickle_value *value)
{
	if (value == NULL)
		return no_memory(m);
	if (m->n_stack == MAX_STACK)
		return damaged(m, "more on its stack than any checkpoint needs");
	if (m->n_stack == m->stack_capacity) {
		size_t capacity = m->stack_capacity > 0 ? 2 * m->stack_capacity : 256;
		struct pickle_value **stack = realloc(m->stack, capacity * sizeof(*stack));

		if (stack == NULL)
			return no_memory(m);
		m->stack = stack;
		m->stack_capacity = capacity;
	}
	m->stack[m->n_stack++] = value;
	return T2L_OK;
}

static struct pickle_value *
new_value(struct machine *m, enum pickle_kind kind)
{
	struct pickle_value *value = arena_alloc_zero(m->arena, sizeof *value);

	if (value != NULL)
		value->kind = kind;
	return value;
}

static enum t2l_status
push_integer(struct machine *m, enum pickle_kind kind, int64_t integer)
{
	struct pickle_value *value = new_value(m, kind);

	if (value != NULL)
		value->integer = integer;
	return push(m, value);
}

/* NULL when there is none above the last mark. */
static struct pickle_value *
pop(struct machine *m)
{
	if (m->n_stack == 0 || m->stack[m->n_stack - 1] == &m->mark)
		return NULL;
	return m->stack[--m->n_stack];
}

/* What lies above the last mark: *ITEMS (until the next push) and how many; the mark goes too. */
static bool
pop_mark(struct machine *m, struct pickle_value ***items, size_t *n)
{
	size_t at = m->n_stack;

	while (at > 0 && m->stack[at - 1] != &m->mark)
		at--;
	if (at == 0)
		return false;
	*items = m->stack + at;
	*n = m->n_stack - at;
	m->n_stack = at - 1;
	return true;
}

static bool
append(struct machine *m, struct pickle_value *list, struct pickle_value *const *items, size_t n)
{
	if (list->list.n + n > list->list.capacity) {
		size_t capacity = 2 * (list->list.n + n);
		struct pickle_value **grown =
		    arena_alloc(m->arena, capacity * sizeof(struct pickle_value *));

		if (grown == NULL)
			return false;
		if (list->list.n > 0)
			memcpy(grown, list->list.items, list->list.n * sizeof *grown);
		list->list.items = grown;
		list->list.capacity = capacity;
	}
	if (n > 0)
		memcpy(list->list.items + list->list.n, items, n * sizeof *items);
	list->list.n += n;
	return true;
}

/* Picklers number what they remember one by one, so a number beyond the bytes is a lie. */
static enum t2l_status
remember(struct machine *m, uint64_t at)
{
	if (m->n_stack == 0 || m->stack[m->n_stack - 1] == &m->mark)
		return damaged(m, "nothing is there to be remembered");
	if (at >= m->n)
		return damaged(m, "a memo number that is too large");
	if (at >= m->n_memo) {
		size_t n = 2 * (size_t)at + 64;
		struct pickle_value **memo = realloc(m->memo, n * sizeof(*memo));

		if (memo == NULL)
			return no_memory(m);
		memset(memo + m->n_memo, 0, (n - m->n_memo) * sizeof(*memo));
		m->memo = memo;
		m->n_memo = n;
	}
	m->memo[at] = m->stack[m->n_stack - 1];
	return T2L_OK;
}

static enum t2l_status
recall(struct machine *m, uint64_t at)
{
	if (at >= m->n_memo || m->memo[at] == NULL)
		return damaged(m, "it recalls what it has not remembered");
	return push(m, m->memo[at]);
}

/* ---- what a state_dict may call ---- */

static enum t2l_status make_dict(struct machine *m, const struct pickle_value *arguments);
static enum t2l_status make_tensor(struct machine *m, const struct pickle_value *arguments);
static enum t2l_status make_parameter(struct machine *m, const struct pickle_value *arguments);

struct pickle_function {
	const char *module, *name;
	enum t2l_status (*call)(struct machine *m, const struct pickle_value *arguments);
	struct pickle_storage_type type; /* of a storage type, which is no function */
};

#define STORAGE(name, dtype)                                                                       \
	{                                                                                          \
		"torch", name, NULL,                                                               \
		{                                                                                  \
			name, dtype                                                                \
		}                                                                                  \
	}

static const struct pickle_function functions[] = {
	{ "collections", "OrderedDict", make_dict, { NULL, NULL } },
	{ "torch._utils", "_rebuild_tensor_v2", make_tensor, { NULL, NULL } },
	{ "torch._utils", "_rebuild_tensor", make_tensor, { NULL, NULL } },
	{ "torch._utils", "_rebuild_parameter", make_parameter, { NULL, NULL } },
	STORAGE("FloatStorage", "F32"),
	STORAGE("HalfStorage", "F16"),
	STORAGE("BFloat16Storage", "BF16"),
	STORAGE("DoubleStorage", "F64"),
	STORAGE("LongStorage", "I64"),
	STORAGE("IntStorage", "I32"),
	STORAGE("ShortStorage", "I16"),
	STORAGE("CharStorage", "I8"),
	STORAGE("ByteStorage", "U8"),
	STORAGE("BoolStorage", "BOOL"),
};

static enum t2l_status
make_dict(struct machine *m, const struct pickle_value *arguments)
{
	if (arguments->list.n != 0)
		return damaged(m, "an OrderedDict that is not made empty");
	return push(m, new_value(m, PICKLE_DICT));
}

static enum t2l_status
read_sizes(
    struct machine *m, const struct pickle_value *tuple, int *n, int64_t out[PICKLE_MAX_DIMS])
{
	if (tuple->kind != PICKLE_TUPLE)
		return damaged(m, "a tensor whose shape is no tuple");
	if (tuple->list.n > PICKLE_MAX_DIMS)
		return t2l_fail(m->err, T2L_EUNSUPPORTED,
		    "%s: a tensor of %zu dimensions; at most %d are supported", m->path,
		    tuple->list.n, PICKLE_MAX_DIMS);
	*n = (int)tuple->list.n;
	for (int i = 0; i < *n; i++) {
		const struct pickle_value *size = tuple->list.items[i];

		if (size->kind != PICKLE_INTEGER || size->integer < 0)
			return damaged(m, "a tensor with a size or stride that is none");
		out[i] = size->integer;
	}
	return T2L_OK;
}

/* (storage, offset, shape, stride, requires_grad, hooks[, metadata]) */
static enum t2l_status
make_tensor(struct machine *m, const struct pickle_value *arguments)
{
	struct pickle_value *const *items = arguments->list.items, *value;
	struct pickle_tensor *tensor;
	enum t2l_status status;
	int n_strides;

	if (arguments->list.n < 4 || items[0]->kind != PICKLE_STORAGE ||
	    items[1]->kind != PICKLE_INTEGER || items[1]->integer < 0)
		return damaged(m, "a tensor is rebuilt from what is no storage");
	value = new_value(m, PICKLE_TENSOR);
	tensor = arena_alloc_zero(m->arena, sizeof *tensor);
	if (value == NULL || tensor == NULL)
		return no_memory(m);
	tensor->storage = items[0]->storage;
	tensor->offset = items[1]->integer;
	if ((status = read_sizes(m, items[2], &tensor->n_dims, tensor->shape)) != T2L_OK ||
	    (status = read_sizes(m, items[3], &n_strides, tensor->stride)) != T2L_OK)
		return status;
	if (n_strides != tensor->n_dims)
		return damaged(m, "a tensor with more or fewer strides than sizes");
	value->tensor = tensor;
	return push(m, value);
}

/* (tensor, requires_grad, hooks): the tensor as it is. */
static enum t2l_status
make_parameter(struct machine *m, const struct pickle_value *arguments)
{
	if (arguments->list.n < 1 || arguments->list.items[0]->kind != PICKLE_TENSOR)
		return damaged(m, "a parameter that is made of no tensor");
	return push(m, arguments->list.items[0]);
}

/* A line of the pickle's text, without its end. */
static bool
read_line(struct machine *m, struct pickle_text *line)
{
	const uint8_t *begin = m->bytes + m->at;
	size_t left = m->n - m->at, most = left < MAX_NAME ? left : MAX_NAME;
	const uint8_t *end = memchr(begin, '\n', most);

	if (end == NULL)
		return false;
	*line = (struct pickle_text){ (const char *)begin, (size_t)(end - begin) };
	m->at += line->n + 1;
	return true;
}

static bool
is_text(const struct pickle_text *text, const char *expected)
{
	return text->n == strlen(expected) && memcmp(text->bytes, expected, text->n) == 0;
}

static enum t2l_status
find_function(struct machine *m)
{
	struct pickle_text module, name;
	char shown_module[SHOWN], shown_name[SHOWN];
	struct pickle_value *value;

	if (!read_line(m, &module) || !read_line(m, &name))
		return damaged(m, "the name of a function that does not end");
	for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
		if (!is_text(&module, functions[i].module) || !is_text(&name, functions[i].name))
			continue;
		value = new_value(m, PICKLE_FUNCTION);
		if (value != NULL)
			value->function = &functions[i];
		return push(m, value);
	}
	visible_copy(shown_module, sizeof shown_module, module.bytes, module.n, 0);
	visible_copy(shown_name, sizeof shown_name, name.bytes, name.n, 0);
	return t2l_fail(m->err, T2L_EUNSUPPORTED,
	    "%s: it asks for '%s.%s', which no tensor needs; refused, nothing was run", m->path,
	    shown_module, shown_name);
}

static enum t2l_status
call_function(struct machine *m)
{
	const struct pickle_value *arguments = pop(m), *function = pop(m);

	if (arguments == NULL || function == NULL || arguments->kind != PICKLE_TUPLE)
		return damaged(m, "a call without function or arguments");
	if (function->kind != PICKLE_FUNCTION || function->function->call == NULL)
		return t2l_fail(m->err, T2L_EUNSUPPORTED,
		    "%s: it calls what is no function we know; refused, nothing was run", m->path);
	return function->function->call(m, arguments);
}

/* ('storage', type, key, location, numbers[, None]); the location ('cuda:0') is where it was. */
static enum t2l_status
find_storage(struct machine *m)
{
	const struct pickle_value *id = pop(m);
	struct pickle_value *const *items, *value;
	struct pickle_storage *storage;

	if (id == NULL || id->kind != PICKLE_TUPLE || id->list.n < 5 || id->list.n > 6)
		return damaged(m, "a persistent id that names no storage");
	items = id->list.items;
	if (!pickle_is_text(items[0], "storage") || items[1]->kind != PICKLE_FUNCTION ||
	    items[1]->function->type.name == NULL || items[2]->kind != PICKLE_TEXT ||
	    items[4]->kind != PICKLE_INTEGER || items[4]->integer < 0)
		return damaged(m, "a persistent id that names no storage");
	if (id->list.n == 6 && items[5]->kind != PICKLE_NONE)
		return t2l_fail(m->err, T2L_EUNSUPPORTED,
		    "%s: a storage that is a part of another; save the checkpoint anew with "
		    "torch 1.6 or later",
		    m->path);
	value = new_value(m, PICKLE_STORAGE);
	storage = arena_alloc(m->arena, sizeof *storage);
	if (value == NULL || storage == NULL)
		return no_memory(m);
	*storage =
	    (struct pickle_storage){ &items[1]->function->type, items[2]->text, items[4]->integer };
	value->storage = storage;
	return push(m, value);
}

/* ---- the opcodes ---- */

static uint64_t
unsigned_of(const uint8_t *at, int n)
{
	uint64_t value = 0;

	for (int i = n - 1; i >= 0; i--)
		value = value << 8 | at[i];
	return value;
}

/* LONG1: two's complement of N bytes, little-endian. */
static enum t2l_status
push_long(struct machine *m, const uint8_t *at, uint64_t n)
{
	uint64_t value;

	if (n > 8)
		return push(m, new_value(m, PICKLE_BIG));
	value = unsigned_of(at, (int)n);
	if (n > 0 && n < 8 && (at[n - 1] & 0x80) != 0)
		value |= UINT64_MAX << 8 * n;
	return push_integer(m, PICKLE_INTEGER, (int64_t)value);
}

static enum t2l_status
push_text(struct machine *m, const uint8_t *at, uint64_t n)
{
	struct pickle_value *value = new_value(m, PICKLE_TEXT);

	if (value != NULL)
		value->text = (struct pickle_text){ (const char *)at, (size_t)n };
	return push(m, value);
}

static enum t2l_status
push_float(struct machine *m, const uint8_t *at)
{
	struct pickle_value *value = new_value(m, PICKLE_FLOAT);
	uint64_t bits = 0;

	for (int i = 0; i < 8; i++) /* the only number with its high byte first */
		bits = bits << 8 | at[i];
	if (value != NULL)
		memcpy(&value->number, &bits, sizeof bits);
	return push(m, value);
}

/* The top N values, or (N < 0) all above the mark, as a tuple. */
static enum t2l_status
make_tuple(struct machine *m, int n)
{
	struct pickle_value *tuple = new_value(m, PICKLE_TUPLE), **items;
	size_t n_items = (size_t)n;

	if (tuple == NULL)
		return no_memory(m);
	if (n < 0) {
		if (!pop_mark(m, &items, &n_items))
			return damaged(m, "a tuple without its mark");
	} else {
		for (int i = 0; i < n; i++)
			if (pop(m) == NULL)
				return damaged(m, "a tuple of more than there is");
		items = m->stack + m->n_stack;
	}
	return append(m, tuple, items, n_items) ? push(m, tuple) : no_memory(m);
}

/* Adds what lies above the mark (MANY), else the top ADDED values, to what lies below. */
static enum t2l_status
extend(struct machine *m, enum pickle_kind kind, size_t added, bool many)
{
	struct pickle_value **items, *into;
	size_t n = added;

	if (many) {
		if (!pop_mark(m, &items, &n))
			return damaged(m, "values to be added without their mark");
	} else {
		for (size_t i = 0; i < n; i++)
			if (pop(m) == NULL)
				return damaged(m, "more to be added than there is");
		items = m->stack + m->n_stack;
	}
	into = m->n_stack > 0 ? m->stack[m->n_stack - 1] : NULL;
	if (into == NULL || into->kind != kind || n % added != 0)
		return damaged(m, "values are added to what does not take them");
	return append(m, into, items, n) ? T2L_OK : no_memory(m);
}

/* Attributes of an OrderedDict (its _metadata): nothing that tensors need. */
static enum t2l_status
skip_attributes(struct machine *m)
{
	const struct pickle_value *state = pop(m);

	if (state == NULL || state->kind != PICKLE_DICT || m->n_stack == 0 ||
	    m->stack[m->n_stack - 1]->kind != PICKLE_DICT)
		return damaged(m, "attributes of what has none");
	return T2L_OK;
}

/* Bytes that follow an opcode: a fixed number, or a length of 1 or 4 bytes and as many bytes. */
enum follows { F0 = 0, F1 = 1, F2 = 2, F4 = 4, F8 = 8, TEXT1, TEXT4 };

static const struct {
	uint8_t code;
	enum follows follows;
} opcodes[] = {
	{ 0x80, F1 },
	{ 'c', F0 },
	{ 'R', F0 },
	{ 'b', F0 },
	{ 'Q', F0 },
	{ 'q', F1 },
	{ 'r', F4 },
	{ 'h', F1 },
	{ 'j', F4 },
	{ 'J', F4 },
	{ 'K', F1 },
	{ 'M', F2 },
	{ 'G', F8 },
	{ 'X', TEXT4 },
	{ 'U', TEXT1 },
	{ 0x8a, TEXT1 },
	{ '}', F0 },
	{ ')', F0 },
	{ ']', F0 },
	{ '(', F0 },
	{ 't', F0 },
	{ 0x85, F0 },
	{ 0x86, F0 },
	{ 0x87, F0 },
	{ 's', F0 },
	{ 'u', F0 },
	{ 'a', F0 },
	{ 'e', F0 },
	{ 0x88, F0 },
	{ 0x89, F0 },
	{ 'N', F0 },
	{ '.', F0 },
};

static enum t2l_status
run(struct machine *m, uint8_t code, const uint8_t *at, uint64_t n)
{
	switch (code) {
	case 0x80:
		return at[0] <= 2
			   ? T2L_OK
			   : t2l_fail(m->err, T2L_EUNSUPPORTED,
				 "%s: pickle protocol %d; torch.save() writes 2", m->path, at[0]);
	case 'c':
		return find_function(m);
	case 'R':
		return call_function(m);
	case 'b':
		return skip_attributes(m);
	case 'Q':
		return find_storage(m);
	case 'q':
	case 'r':
		return remember(m, unsigned_of(at, (int)n));
	case 'h':
	case 'j':
		return recall(m, unsigned_of(at, (int)n));
	case 'J':
		return push_integer(m, PICKLE_INTEGER, (int32_t)unsigned_of(at, 4));
	case 'K':
	case 'M':
		return push_integer(m, PICKLE_INTEGER, (int64_t)unsigned_of(at, (int)n));
	case 'G':
		return push_float(m, at);
	case 'X':
	case 'U':
		return push_text(m, at, n);
	case 0x8a:
		return push_long(m, at, n);
	case '}':
		return push(m, new_value(m, PICKLE_DICT));
	case ')':
		return push(m, new_value(m, PICKLE_TUPLE));
	case ']':
		return push(m, new_value(m, PICKLE_LIST));
	case '(':
		return push(m, &m->mark);
	case 't':
		return make_tuple(m, -1);
	case 0x85:
	case 0x86:
	case 0x87:
		return make_tuple(m, code - 0x84);
	case 's':
	case 'u':
		return extend(m, PICKLE_DICT, 2, code == 'u');
	case 'a':
	case 'e':
		return extend(m, PICKLE_LIST, 1, code == 'e');
	case 0x88:
	case 0x89:
		return push_integer(m, PICKLE_BOOL, code == 0x88);
	case 'N':
		return push(m, new_value(m, PICKLE_NONE));
	default: /* STOP */
		m->stopped = true;
		return T2L_OK;
	}
}

/* One opcode with what follows it. */
static enum t2l_status
step(struct machine *m)
{
	uint8_t code = m->bytes[m->at++];
	size_t i = 0, left = m->n - m->at, n_length = 0;
	const uint8_t *at;
	uint64_t n;

	while (i < sizeof opcodes / sizeof opcodes[0] && opcodes[i].code != code)
		i++;
	if (i == sizeof opcodes / sizeof opcodes[0])
		return t2l_fail(m->err, T2L_EUNSUPPORTED,
		    "%s: pickle opcode 0x%02x at byte %zu, which no tensor needs; refused, nothing "
		    "was run",
		    m->path, code, m->at - 1);
	n = opcodes[i].follows;
	if (opcodes[i].follows == TEXT1 || opcodes[i].follows == TEXT4)
		n_length = opcodes[i].follows == TEXT1 ? 1 : 4;
	if (left < n_length)
		return damaged(m, "it ends in the middle");
	if (n_length > 0)
		n = unsigned_of(m->bytes + m->at, (int)n_length);
	if (left - n_length < n)
		return damaged(m, "it ends in the middle");
	at = m->bytes + m->at + n_length;
	m->at += n_length + (size_t)n;
	return run(m, code, at, n);
}

enum t2l_status
pickle_read(const void *bytes, size_t n, const char *path, struct arena *arena,
    struct pickle_value **out, size_t *n_read, struct t2l_error *err)
{
	struct machine m = { .bytes = bytes,
		.n = n,
		.path = path,
		.arena = arena,
		.mark = { .kind = PICKLE_MARK },
		.err = err };
	enum t2l_status status = T2L_OK;

	if (m.n > PICKLE_MAX_BYTES)
		m.n = PICKLE_MAX_BYTES;
	while (status == T2L_OK && !m.stopped)
		status = m.at < m.n ? step(&m) : damaged(&m, "it does not end");
	if (status == T2L_OK && (m.n_stack != 1 || m.stack[0] == &m.mark))
		status = damaged(&m, "it leaves more or less than one value");
	if (status == T2L_OK) {
		*out = m.stack[0];
		if (n_read != NULL)
			*n_read = m.at;
	}
	free(m.stack);
	free(m.memo);
	return status;
}

/* ---- looking ---- */

bool
pickle_is_text(const struct pickle_value *value, const char *text)
{
	return value->kind == PICKLE_TEXT && is_text(&value->text, text);
}

const struct pickle_value *
pickle_get(const struct pickle_value *dict, const char *key)
{
	const struct pickle_value *found = NULL;

	if (dict->kind != PICKLE_DICT)
		return NULL;
	for (size_t i = 0; i + 1 < dict->list.n; i += 2)
		if (pickle_is_text(dict->list.items[i], key))
			found = dict->list.items[i + 1];
	return found;
}
