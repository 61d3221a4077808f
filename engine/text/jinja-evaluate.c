/* jinja-evaluate.c - evaluates the expressions of a template. */

#include <math.h>
#include <string.h>

#include "base/utf8.h"
#include "engine/text/jinja-run.h"

static const struct jinja_string no_name = { "", 0 };

/* ---- attributes, items, slices ---- */

static struct jinja_value
loop_attribute(const struct jinja_loop *loop, struct jinja_string name)
{
	size_t n = loop->items->n, i = loop->index;

	if (jinja_same(name, "previtem") && i > 0)
		return loop->items->items[i - 1];
	if (jinja_same(name, "nextitem") && i + 1 < n)
		return loop->items->items[i + 1];
	if (jinja_same(name, "first"))
		return jinja_bool(i == 0);
	if (jinja_same(name, "last"))
		return jinja_bool(i + 1 == n);
	if (jinja_same(name, "index"))
		return jinja_int((int64_t)i + 1);
	if (jinja_same(name, "index0"))
		return jinja_int((int64_t)i);
	if (jinja_same(name, "revindex"))
		return jinja_int((int64_t)(n - i));
	if (jinja_same(name, "revindex0"))
		return jinja_int((int64_t)(n - i) - 1);
	if (jinja_same(name, "length"))
		return jinja_int((int64_t)n);
	if (jinja_same(name, "depth"))
		return jinja_int(1); /* only recursive loops are deeper */
	if (jinja_same(name, "depth0"))
		return jinja_int(0);
	return jinja_undefined(name);
}

static struct jinja_value
refuse_undefined(struct jinja_run *run, struct jinja_value value)
{
	return jinja_fail(run, T2L_EFORMAT, "'%.*s' is undefined",
	    value.as.string.n < 80 ? (int)value.as.string.n : 80, value.as.string.bytes);
}

struct jinja_value
jinja_attribute(struct jinja_run *run, struct jinja_value object, struct jinja_string name)
{
	const struct jinja_value *found;

	switch (object.kind) {
	case JINJA_UNDEFINED:
		return refuse_undefined(run, object);
	case JINJA_DICT:
	case JINJA_NAMESPACE:
		found = jinja_get(run, object.as.dict, jinja_slice(name.bytes, name.n));
		return found != NULL ? *found : jinja_undefined(name);
	case JINJA_LOOP:
		return loop_attribute(object.as.loop, name);
	default:
		return jinja_undefined(name);
	}
}

/* Where character INDEX begins; the end of the text for one behind it. */
static size_t
offset_of(struct jinja_string text, size_t index)
{
	size_t i;

	for (i = 0; i < text.n; i++)
		if (((unsigned char)text.bytes[i] & 0xC0) != 0x80 && index-- == 0)
			return i;
	return text.n;
}

static struct jinja_value
character_at(struct jinja_string text, size_t index)
{
	size_t start = offset_of(text, index);
	struct jinja_string rest = { text.bytes + start, text.n - start };

	return jinja_slice(rest.bytes, offset_of(rest, 1));
}

/* How many items VALUE has, or -1 for a value without positions. */
static int64_t
length_of(struct jinja_value value)
{
	if (value.kind == JINJA_LIST || value.kind == JINJA_TUPLE)
		return (int64_t)value.as.list->n;
	return value.kind == JINJA_STRING ? (int64_t)jinja_characters(value.as.string) : -1;
}

struct jinja_value
jinja_item(struct jinja_run *run, struct jinja_value object, struct jinja_value key)
{
	const struct jinja_value *found;
	int64_t n, index;

	if (object.kind == JINJA_UNDEFINED)
		return refuse_undefined(run, object);
	if (object.kind == JINJA_DICT) {
		found = jinja_get(run, object.as.dict, key);
		if (found != NULL)
			return *found;
		return jinja_undefined(key.kind == JINJA_STRING ? key.as.string : no_name);
	}
	if (key.kind == JINJA_STRING)
		return jinja_attribute(run, object, key.as.string);
	if (object.kind == JINJA_STRING && !jinja_spend(run, object.as.string.n))
		return jinja_none();
	n = length_of(object);
	if (n < 0 || (key.kind != JINJA_INT && key.kind != JINJA_BOOL))
		return jinja_undefined(no_name);
	index = key.kind == JINJA_BOOL ? key.as.truth : key.as.integer;
	if (index < 0)
		index += n;
	if (index < 0 || index >= n)
		return jinja_undefined(no_name);
	if (object.kind == JINJA_STRING)
		return character_at(object.as.string, (size_t)index);
	return object.as.list->items[index];
}

/* One bound of a slice as Python reads it: FALLBACK when absent, else inside [LOW, HIGH]. */
static int64_t
slice_bound(struct jinja_run *run, const struct jinja_node *node, int64_t fallback, int64_t n,
    int64_t low, int64_t high)
{
	struct jinja_value value = node != NULL ? jinja_evaluate(run, node) : jinja_none();

	if (value.kind == JINJA_NONE)
		return fallback;
	if (value.kind != JINJA_INT) {
		jinja_fail(run, T2L_EFORMAT, "%s in a slice", jinja_kind_name(value));
		return 0;
	}
	if (value.as.integer < 0)
		value.as.integer = value.as.integer < -n ? low : value.as.integer + n;
	return value.as.integer < low ? low : value.as.integer > high ? high : value.as.integer;
}

static struct jinja_value
slice_list(
    struct jinja_run *run, struct jinja_value list, int64_t start, int64_t stop, int64_t step)
{
	struct jinja_value out = jinja_new_list(run, list.kind);
	int64_t i;

	for (i = start; run->status == T2L_OK && (step > 0 ? i < stop : i > stop); i += step)
		if (jinja_spend(run, 0))
			jinja_append(run, out, list.as.list->items[i]);
	return out;
}

static struct jinja_value
slice_string(
    struct jinja_run *run, struct jinja_value text, int64_t start, int64_t stop, int64_t step)
{
	struct buffer out = { 0 };
	const struct jinja_list *characters;
	size_t from, to;
	int64_t i;

	if (!jinja_spend(run, text.as.string.n))
		return jinja_none();
	if (step == 1) {
		if (stop < start)
			stop = start;
		from = offset_of(text.as.string, (size_t)start);
		to = offset_of(text.as.string, (size_t)stop);
		return jinja_slice(text.as.string.bytes + from, to - from);
	}
	characters = jinja_items(run, text);
	for (i = start; run->status == T2L_OK && (step > 0 ? i < stop : i > stop); i += step)
		if (jinja_spend(run, 0))
			buffer_append(&out, characters->items[i].as.string.bytes,
			    characters->items[i].as.string.n);
	return jinja_take(run, &out);
}

static struct jinja_value
evaluate_slice(struct jinja_run *run, const struct jinja_node *node)
{
	struct jinja_value object = jinja_evaluate(run, node->kids[0]), step_value = jinja_int(1);
	int64_t n = length_of(object), step, start, stop;

	if (run->status != T2L_OK)
		return object;
	if (object.kind == JINJA_UNDEFINED)
		return refuse_undefined(run, object);
	if (n < 0)
		return jinja_fail(run, T2L_EFORMAT, "%s has no slices", jinja_kind_name(object));
	if (node->kids[3] != NULL)
		step_value = jinja_evaluate(run, node->kids[3]);
	step = step_value.kind == JINJA_NONE ? 1 : step_value.as.integer;
	if (step_value.kind != JINJA_NONE &&
	    (step_value.kind != JINJA_INT || step == 0 || step > INT32_MAX || step < -INT32_MAX))
		return jinja_fail(run, T2L_EFORMAT, "a slice with such a step");
	if (step > 0) {
		start = slice_bound(run, node->kids[1], 0, n, 0, n);
		stop = slice_bound(run, node->kids[2], n, n, 0, n);
	} else {
		start = slice_bound(run, node->kids[1], n - 1, n, -1, n - 1);
		stop = slice_bound(run, node->kids[2], -1, n, -1, n - 1);
	}
	if (run->status != T2L_OK)
		return jinja_none();
	if (object.kind == JINJA_STRING)
		return slice_string(run, object, start, stop, step);
	return slice_list(run, object, start, stop, step);
}

/* ---- operators ---- */

static struct jinja_value
operand_error(
    struct jinja_run *run, const char *symbol, struct jinja_value left, struct jinja_value right)
{
	if (left.kind == JINJA_UNDEFINED)
		return refuse_undefined(run, left);
	if (right.kind == JINJA_UNDEFINED)
		return refuse_undefined(run, right);
	return jinja_fail(run, T2L_EFORMAT, "%s %s %s does not work", jinja_kind_name(left), symbol,
	    jinja_kind_name(right));
}

static struct jinja_value
join(struct jinja_run *run, struct jinja_string a, struct jinja_string b)
{
	char *bytes;

	if (!jinja_spend(run, a.n + b.n))
		return jinja_none();
	bytes = jinja_alloc(&run->arena, a.n + b.n);
	if (bytes == NULL)
		return jinja_fail(run, T2L_ENOMEM, "the template needs more than %u MiB",
		    JINJA_MAX_RUN_MEMORY >> 20);
	if (a.n > 0)
		memcpy(bytes, a.bytes, a.n);
	if (b.n > 0)
		memcpy(bytes + a.n, b.bytes, b.n);
	return jinja_slice(bytes, a.n + b.n);
}

static struct jinja_value
add_sequences(struct jinja_run *run, struct jinja_value left, struct jinja_value right)
{
	struct jinja_value out;
	size_t i;

	if (left.kind == JINJA_STRING && right.kind == JINJA_STRING)
		return join(run, left.as.string, right.as.string);
	if (left.kind != right.kind || (left.kind != JINJA_LIST && left.kind != JINJA_TUPLE))
		return operand_error(run, "+", left, right);
	out = jinja_new_list(run, left.kind);
	for (i = 0; i < left.as.list->n; i++)
		if (!jinja_spend(run, 0) || !jinja_append(run, out, left.as.list->items[i]))
			return jinja_none();
	for (i = 0; i < right.as.list->n; i++)
		if (!jinja_spend(run, 0) || !jinja_append(run, out, right.as.list->items[i]))
			return jinja_none();
	return out;
}

static struct jinja_value
repeat(struct jinja_run *run, struct jinja_string text, int64_t times)
{
	struct buffer out = { 0 };

	if (times > 0 && text.n > 0 && (uint64_t)times > JINJA_MAX_OUTPUT / text.n)
		return jinja_fail(run, T2L_EFORMAT, "a string is repeated too often");
	for (; times > 0 && text.n > 0 && jinja_spend(run, text.n); times--)
		buffer_append(&out, text.bytes, text.n);
	return jinja_take(run, &out);
}

static struct jinja_value
float_arithmetic(struct jinja_run *run, enum jinja_operator op, double a, double b)
{
	if ((op == OP_DIVIDE || op == OP_FLOOR_DIVIDE || op == OP_MODULO) && b == 0)
		return jinja_fail(run, T2L_EFORMAT, "division by zero");
	switch (op) {
	case OP_ADD:
		return jinja_float(a + b);
	case OP_SUBTRACT:
		return jinja_float(a - b);
	case OP_MULTIPLY:
		return jinja_float(a * b);
	case OP_DIVIDE:
		return jinja_float(a / b);
	case OP_FLOOR_DIVIDE:
		return jinja_float(floor(a / b));
	case OP_MODULO:
		return jinja_float(a - b * floor(a / b));
	default:
		return jinja_float(pow(a, b));
	}
}

static bool
integer_power(int64_t base, int64_t exponent, int64_t *result)
{
	*result = 1;
	if (exponent > 64 && base != 0 && base != 1 && base != -1)
		return false;
	if (exponent > 64)
		exponent = 64 + exponent % 2; /* the same for 0, 1 and -1 */
	for (; exponent > 0; exponent--)
		if (__builtin_mul_overflow(*result, base, result))
			return false;
	return true;
}

static struct jinja_value
integer_arithmetic(struct jinja_run *run, enum jinja_operator op, int64_t a, int64_t b)
{
	int64_t result = 0, rest;
	bool ok = true;

	if ((op == OP_DIVIDE || op == OP_FLOOR_DIVIDE || op == OP_MODULO) && b == 0)
		return jinja_fail(run, T2L_EFORMAT, "division by zero");
	if (op == OP_DIVIDE || (op == OP_POWER && b < 0))
		return float_arithmetic(run, op, (double)a, (double)b);
	if (op == OP_ADD) {
		ok = !__builtin_add_overflow(a, b, &result);
	} else if (op == OP_SUBTRACT) {
		ok = !__builtin_sub_overflow(a, b, &result);
	} else if (op == OP_MULTIPLY) {
		ok = !__builtin_mul_overflow(a, b, &result);
	} else if (op == OP_POWER) {
		ok = integer_power(a, b, &result);
	} else if (b == -1) {
		ok = op == OP_MODULO || !__builtin_sub_overflow(0, a, &result);
	} else { /* Python rounds towards minus infinity */
		rest = a % b;
		result = a / b - (rest != 0 && (rest < 0) != (b < 0));
		if (op == OP_MODULO)
			result = rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
	}
	if (!ok)
		return jinja_fail(run, T2L_EUNSUPPORTED, "an integer beyond 64 bits");
	return jinja_int(result);
}

static int64_t
as_integer(struct jinja_value value)
{
	return value.kind == JINJA_BOOL ? value.as.truth : value.as.integer;
}

static struct jinja_value
evaluate_binary(struct jinja_run *run, const struct jinja_node *node)
{
	static const char *const symbols[] = { "+", "-", "*", "/", "//", "%", "**", "~" };
	struct jinja_value left = jinja_evaluate(run, node->kids[0]);
	struct jinja_value right = jinja_evaluate(run, node->kids[1]);

	if (run->status != T2L_OK)
		return jinja_none();
	if (node->op == OP_CONCATENATE) {
		left = jinja_to_string(run, left);
		right = jinja_to_string(run, right);
		return run->status == T2L_OK ? join(run, left.as.string, right.as.string) : left;
	}
	if (jinja_is_number(left) && jinja_is_number(right)) {
		if (left.kind == JINJA_FLOAT || right.kind == JINJA_FLOAT)
			return float_arithmetic(
			    run, node->op, jinja_as_double(left), jinja_as_double(right));
		return integer_arithmetic(run, node->op, as_integer(left), as_integer(right));
	}
	if (node->op == OP_ADD)
		return add_sequences(run, left, right);
	if (node->op == OP_MULTIPLY && left.kind == JINJA_STRING && right.kind == JINJA_INT)
		return repeat(run, left.as.string, right.as.integer);
	if (node->op == OP_MULTIPLY && right.kind == JINJA_STRING && left.kind == JINJA_INT)
		return repeat(run, right.as.string, left.as.integer);
	return operand_error(run, symbols[node->op], left, right);
}

static bool
compare(struct jinja_run *run, enum jinja_operator op, struct jinja_value a, struct jinja_value b)
{
	switch (op) {
	case OP_EQUAL:
		return jinja_equal(run, a, b);
	case OP_NOT_EQUAL:
		return !jinja_equal(run, a, b);
	case OP_LESS:
		return jinja_order(run, a, b) < 0;
	case OP_LESS_EQUAL:
		return jinja_order(run, a, b) <= 0;
	case OP_GREATER:
		return jinja_order(run, a, b) > 0;
	case OP_GREATER_EQUAL:
		return jinja_order(run, a, b) >= 0;
	case OP_IN:
		return jinja_contains(run, b, a);
	default:
		return !jinja_contains(run, b, a);
	}
}

static struct jinja_value
evaluate_compare(struct jinja_run *run, const struct jinja_node *node)
{
	struct jinja_value left = jinja_evaluate(run, node->kids[0]), right;
	bool truth = true;
	size_t i;

	for (i = 1; truth && run->status == T2L_OK && i < node->n_kids; i++, left = right) {
		right = jinja_evaluate(run, node->kids[i]);
		if (run->status == T2L_OK)
			truth = compare(run, node->ops[i - 1], left, right);
	}
	return jinja_bool(truth);
}

static struct jinja_value
evaluate_sign(struct jinja_run *run, const struct jinja_node *node)
{
	struct jinja_value value = jinja_evaluate(run, node->kids[0]);

	if (run->status == T2L_OK && !jinja_is_number(value))
		return jinja_fail(run, T2L_EFORMAT, "%s has no sign", jinja_kind_name(value));
	if (node->kind == NODE_POSITIVE || run->status != T2L_OK)
		return value;
	if (value.kind == JINJA_FLOAT)
		return jinja_float(-value.as.number);
	return integer_arithmetic(run, OP_SUBTRACT, 0, as_integer(value));
}

/* ---- names, collections, calls ---- */

static struct jinja_value
evaluate_name(struct jinja_run *run, const struct jinja_node *node)
{
	const struct jinja_function *function;
	struct jinja_value value;

	if (jinja_lookup(run, node->name, &value))
		return value;
	function = jinja_find_function(run, node->name);
	if (function != NULL)
		return (struct jinja_value){ JINJA_FUNCTION, { .function = function } };
	return jinja_undefined(node->name);
}

static struct jinja_value
evaluate_list(struct jinja_run *run, const struct jinja_node *node)
{
	struct jinja_value list =
	    jinja_new_list(run, node->kind == NODE_TUPLE ? JINJA_TUPLE : JINJA_LIST);
	size_t i;

	for (i = 0; run->status == T2L_OK && i < node->n_kids; i++)
		jinja_append(run, list, jinja_evaluate(run, node->kids[i]));
	return list;
}

static struct jinja_value
evaluate_dict(struct jinja_run *run, const struct jinja_node *node)
{
	struct jinja_value dict = jinja_new_dict(run, JINJA_DICT), key;
	size_t i;

	for (i = 0; run->status == T2L_OK && i + 1 < node->n_kids; i += 2) {
		key = jinja_evaluate(run, node->kids[i]);
		jinja_put(run, dict, key, jinja_evaluate(run, node->kids[i + 1]));
	}
	return dict;
}

/* Evaluates the arguments, which are the kids from [1]. */
static struct jinja_arguments
evaluate_arguments(struct jinja_run *run, const struct jinja_node *node)
{
	struct jinja_arguments arguments = { .n = node->n_kids - 1 };
	size_t i;

	if (arguments.n == 0)
		return arguments;
	arguments.values = jinja_alloc(&run->arena, arguments.n * sizeof *arguments.values);
	if (arguments.values == NULL) {
		jinja_fail(run, T2L_ENOMEM, "out of memory");
		arguments.n = 0;
		return arguments;
	}
	for (i = 0; i < arguments.n; i++)
		arguments.values[i] = jinja_evaluate(run, node->kids[i + 1]);
	arguments.names = node->names != NULL ? node->names + 1 : NULL;
	return arguments;
}

static struct jinja_value
evaluate_call(struct jinja_run *run, const struct jinja_node *node)
{
	const struct jinja_node *callee = node->kids[0];
	struct jinja_arguments arguments = evaluate_arguments(run, node);
	struct jinja_value object, value;
	bool found = false;

	if (run->status != T2L_OK)
		return jinja_none();
	if (callee->kind != NODE_ATTRIBUTE)
		return jinja_call(run, jinja_evaluate(run, callee), &arguments);
	object = jinja_evaluate(run, callee->kids[0]);
	if (run->status != T2L_OK)
		return object;
	value = jinja_method(run, object, callee->name, &arguments, &found);
	if (found || run->status != T2L_OK)
		return value;
	value = jinja_attribute(run, object, callee->name);
	if (run->status == T2L_OK && value.kind == JINJA_UNDEFINED)
		return jinja_fail(run, T2L_EUNSUPPORTED, "%s has no method '%.*s' here",
		    jinja_kind_name(object), (int)callee->name.n, callee->name.bytes);
	return jinja_call(run, value, &arguments);
}

static struct jinja_value
evaluate_filter(struct jinja_run *run, const struct jinja_node *node)
{
	struct jinja_value input = jinja_evaluate(run, node->kids[0]);
	struct jinja_arguments arguments = evaluate_arguments(run, node);

	if (run->status != T2L_OK)
		return jinja_none();
	return node->filter->apply(run, input, &arguments);
}

static struct jinja_value
evaluate_test(struct jinja_run *run, const struct jinja_node *node)
{
	struct jinja_value input = jinja_evaluate(run, node->kids[0]), argument = jinja_none();

	if (node->n_kids > 1)
		argument = jinja_evaluate(run, node->kids[1]);
	if (run->status != T2L_OK)
		return jinja_none();
	return jinja_bool(node->test->apply(run, input, argument) != node->negated);
}

static struct jinja_value
evaluate_condition(struct jinja_run *run, const struct jinja_node *node)
{
	if (jinja_is_true(jinja_evaluate(run, node->kids[0])))
		return jinja_evaluate(run, node->kids[1]);
	return node->kids[2] != NULL ? jinja_evaluate(run, node->kids[2])
				     : jinja_undefined(no_name);
}

/* `and` and `or` give one of their operands, as in Python. */
static struct jinja_value
evaluate_logic(struct jinja_run *run, const struct jinja_node *node)
{
	struct jinja_value left = jinja_evaluate(run, node->kids[0]);

	if (run->status != T2L_OK || jinja_is_true(left) == (node->kind == NODE_OR))
		return left;
	return jinja_evaluate(run, node->kids[1]);
}

static struct jinja_value
evaluate(struct jinja_run *run, const struct jinja_node *node)
{
	struct jinja_value object;

	switch (node->kind) {
	case NODE_LITERAL:
		return node->value;
	case NODE_CAPTURED:
		return run->captured;
	case NODE_NAME:
		return evaluate_name(run, node);
	case NODE_LIST:
	case NODE_TUPLE:
		return evaluate_list(run, node);
	case NODE_DICT:
		return evaluate_dict(run, node);
	case NODE_ATTRIBUTE:
		object = jinja_evaluate(run, node->kids[0]);
		return run->status == T2L_OK ? jinja_attribute(run, object, node->name) : object;
	case NODE_ITEM:
		object = jinja_evaluate(run, node->kids[0]);
		if (run->status != T2L_OK)
			return object;
		return jinja_item(run, object, jinja_evaluate(run, node->kids[1]));
	case NODE_SLICE:
		return evaluate_slice(run, node);
	case NODE_CALL:
		return evaluate_call(run, node);
	case NODE_FILTER:
		return evaluate_filter(run, node);
	case NODE_TEST:
		return evaluate_test(run, node);
	case NODE_NOT:
		return jinja_bool(!jinja_is_true(jinja_evaluate(run, node->kids[0])));
	case NODE_NEGATIVE:
	case NODE_POSITIVE:
		return evaluate_sign(run, node);
	case NODE_AND:
	case NODE_OR:
		return evaluate_logic(run, node);
	case NODE_CONDITION:
		return evaluate_condition(run, node);
	case NODE_BINARY:
		return evaluate_binary(run, node);
	default:
		return evaluate_compare(run, node);
	}
}

struct jinja_value
jinja_evaluate(struct jinja_run *run, const struct jinja_node *node)
{
	struct jinja_value value;

	if (!jinja_spend(run, 0))
		return jinja_undefined(no_name);
	run->line = node->line;
	if (run->depth >= JINJA_MAX_DEPTH)
		return jinja_fail(
		    run, T2L_EFORMAT, "more than %d things inside each other", JINJA_MAX_DEPTH);
	run->depth++;
	value = evaluate(run, node);
	run->depth--;
	return run->status == T2L_OK ? value : jinja_undefined(no_name);
}
