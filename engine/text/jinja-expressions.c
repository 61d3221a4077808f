/* jinja-expressions.c - reads the expressions of a template. */

#include <string.h>

#include "engine/error.h"
#include "engine/text/jinja-parser.h"

/* ---- calls: f(a, b, key=c) ---- */

/* Sets the name of the last kid. */
static bool
name_kid(struct jinja_parser *parser, struct jinja_node *node, struct jinja_string name)
{
	struct jinja_string *names = jinja_alloc(parser->arena, node->n_kids * sizeof *names);
	size_t i;

	if (names == NULL) {
		jinja_syntax_error(parser, T2L_ENOMEM, "the template is too large");
		return false;
	}
	for (i = 0; i + 1 < node->n_kids; i++)
		names[i] = node->names != NULL ? node->names[i] : (struct jinja_string){ "", 0 };
	names[node->n_kids - 1] = name;
	node->names = names;
	return true;
}

/* Adds the arguments to NODE; the token is "(". */
static bool
parse_arguments(struct jinja_parser *parser, struct jinja_node *node)
{
	jinja_expect_symbol(parser, "(");
	while (parser->status == T2L_OK && !jinja_at_symbol(parser, ")")) {
		struct jinja_string name = { "", 0 };

		if (jinja_at_symbol(parser, "*") || jinja_at_symbol(parser, "**")) {
			jinja_syntax_error(
			    parser, T2L_EUNSUPPORTED, "*arguments are not supported");
			return false;
		}
		if (parser->token->kind == TOKEN_NAME && parser->token[1].kind == TOKEN_SYMBOL &&
		    jinja_same(parser->token[1].text, "=")) {
			name = parser->token->text;
			parser->token += 2;
		}
		if (!jinja_add_kid(parser, node, jinja_parse_expression(parser)) ||
		    !name_kid(parser, node, name))
			return false;
		if (!jinja_take_symbol(parser, ","))
			break;
	}
	return jinja_expect_symbol(parser, ")");
}

/* ---- primary expressions ---- */

static struct jinja_node *
parse_literal(struct jinja_parser *parser)
{
	struct jinja_node *node = jinja_node(parser, NODE_LITERAL);
	struct jinja_string joined;
	char *bytes;

	if (node == NULL)
		return NULL;
	node->value = parser->token->value;
	parser->token++;
	/* "a" "b" is "ab", as in Python. */
	while (node->value.kind == JINJA_STRING && parser->token->kind == TOKEN_LITERAL &&
	       parser->token->value.kind == JINJA_STRING) {
		struct jinja_string left = node->value.as.string,
				    right = parser->token->value.as.string;

		joined.n = left.n + right.n;
		bytes = jinja_alloc(parser->arena, joined.n);
		if (bytes == NULL)
			return jinja_syntax_error(parser, T2L_ENOMEM, "the template is too large");
		memcpy(bytes, left.bytes, left.n);
		memcpy(bytes + left.n, right.bytes, right.n);
		node->value = jinja_slice(bytes, joined.n);
		parser->token++;
	}
	return node;
}

static struct jinja_node *
parse_name(struct jinja_parser *parser)
{
	static const struct {
		const char *name;
		struct jinja_value value;
	} constants[] = {
		{ "true", { JINJA_BOOL, { .truth = true } } },
		{ "True", { JINJA_BOOL, { .truth = true } } },
		{ "false", { JINJA_BOOL, { .truth = false } } },
		{ "False", { JINJA_BOOL, { .truth = false } } },
		{ "none", { .kind = JINJA_NONE } },
		{ "None", { .kind = JINJA_NONE } },
	};
	struct jinja_node *node = jinja_node(parser, NODE_NAME);
	size_t i;

	if (node == NULL)
		return NULL;
	node->name = parser->token->text;
	for (i = 0; i < sizeof constants / sizeof *constants; i++)
		if (jinja_at_name(parser, constants[i].name)) {
			node->kind = NODE_LITERAL;
			node->value = constants[i].value;
		}
	parser->token++;
	return node;
}

static struct jinja_node *
parse_list(struct jinja_parser *parser)
{
	struct jinja_node *node = jinja_node(parser, NODE_LIST);

	jinja_expect_symbol(parser, "[");
	while (parser->status == T2L_OK && !jinja_at_symbol(parser, "]")) {
		if (!jinja_add_kid(parser, node, jinja_parse_expression(parser)))
			return NULL;
		if (!jinja_take_symbol(parser, ","))
			break;
	}
	return jinja_expect_symbol(parser, "]") ? node : NULL;
}

static struct jinja_node *
parse_dict(struct jinja_parser *parser)
{
	struct jinja_node *node = jinja_node(parser, NODE_DICT);

	jinja_expect_symbol(parser, "{");
	while (parser->status == T2L_OK && !jinja_at_symbol(parser, "}")) {
		if (!jinja_add_kid(parser, node, jinja_parse_expression(parser)) ||
		    !jinja_expect_symbol(parser, ":") ||
		    !jinja_add_kid(parser, node, jinja_parse_expression(parser)))
			return NULL;
		if (!jinja_take_symbol(parser, ","))
			break;
	}
	return jinja_expect_symbol(parser, "}") ? node : NULL;
}

static struct jinja_node *
parse_parentheses(struct jinja_parser *parser)
{
	struct jinja_node *node;

	parser->token++;
	if (jinja_take_symbol(parser, ")"))
		return jinja_node(parser, NODE_TUPLE);
	node = jinja_parse_tuple(parser, true);
	return jinja_expect_symbol(parser, ")") ? node : NULL;
}

static struct jinja_node *
parse_primary(struct jinja_parser *parser)
{
	if (parser->status != T2L_OK)
		return NULL;
	if (parser->token->kind == TOKEN_NAME)
		return parse_name(parser);
	if (parser->token->kind == TOKEN_LITERAL)
		return parse_literal(parser);
	if (jinja_at_symbol(parser, "("))
		return parse_parentheses(parser);
	if (jinja_at_symbol(parser, "["))
		return parse_list(parser);
	if (jinja_at_symbol(parser, "{"))
		return parse_dict(parser);
	return jinja_syntax_error(parser, T2L_EFORMAT, "an expression is missing before '%.*s'",
	    (int)parser->token->text.n, parser->token->text.bytes);
}

/* ---- what follows: .name [item] [a:b] (call) |filter is test ---- */

static struct jinja_node *
parse_attribute(struct jinja_parser *parser, struct jinja_node *object)
{
	struct jinja_node *node = jinja_node(parser, NODE_ATTRIBUTE);

	parser->token++;
	if (!jinja_add_kid(parser, node, object))
		return NULL;
	if (parser->token->kind == TOKEN_LITERAL && parser->token->value.kind == JINJA_INT) {
		node->kind = NODE_ITEM; /* list.0 */
		return jinja_add_kid(parser, node, parse_literal(parser)) ? node : NULL;
	}
	if (parser->token->kind != TOKEN_NAME)
		return jinja_syntax_error(parser, T2L_EFORMAT, "a name is missing behind '.'");
	node->name = parser->token->text;
	parser->token++;
	return node;
}

static struct jinja_node *
parse_item(struct jinja_parser *parser, struct jinja_node *object)
{
	struct jinja_node *node = jinja_node(parser, NODE_ITEM), *part;
	size_t i;

	parser->token++;
	if (!jinja_add_kid(parser, node, object))
		return NULL;
	for (i = 0; i < 3; i++) {
		part = NULL;
		if (!jinja_at_symbol(parser, ":") && !jinja_at_symbol(parser, "]")) {
			part = jinja_parse_expression(parser);
			if (part == NULL)
				return NULL;
		}
		if (!jinja_add_kid(parser, node, part))
			return NULL;
		if (!jinja_take_symbol(parser, ":"))
			break;
		node->kind = NODE_SLICE;
	}
	while (node->kind == NODE_SLICE && node->n_kids < 4)
		if (!jinja_add_kid(parser, node, NULL))
			return NULL;
	if (node->kind == NODE_ITEM && node->kids[1] == NULL)
		return jinja_syntax_error(parser, T2L_EFORMAT, "an index is missing in '[]'");
	return jinja_expect_symbol(parser, "]") ? node : NULL;
}

static struct jinja_node *
parse_call(struct jinja_parser *parser, struct jinja_node *callee)
{
	struct jinja_node *node = jinja_node(parser, NODE_CALL);

	if (!jinja_add_kid(parser, node, callee) || !parse_arguments(parser, node))
		return NULL;
	return node;
}

static struct jinja_node *
parse_postfix(struct jinja_parser *parser, struct jinja_node *node)
{
	while (node != NULL) {
		if (jinja_at_symbol(parser, "."))
			node = parse_attribute(parser, node);
		else if (jinja_at_symbol(parser, "["))
			node = parse_item(parser, node);
		else if (jinja_at_symbol(parser, "("))
			node = parse_call(parser, node);
		else
			break;
	}
	return node;
}

struct jinja_node *
jinja_parse_filter(struct jinja_parser *parser, struct jinja_node *input)
{
	struct jinja_node *node = jinja_node(parser, NODE_FILTER);

	if (!jinja_add_kid(parser, node, input))
		return NULL;
	if (parser->token->kind != TOKEN_NAME)
		return jinja_syntax_error(parser, T2L_EFORMAT, "a filter's name is missing");
	node->name = parser->token->text;
	node->filter = jinja_find_filter(node->name);
	if (node->filter == NULL)
		return jinja_syntax_error(parser, T2L_EUNSUPPORTED,
		    "the filter '%.*s' is not supported", (int)node->name.n, node->name.bytes);
	parser->token++;
	if (jinja_at_symbol(parser, "(") && !parse_arguments(parser, node))
		return NULL;
	return node;
}

struct jinja_node *
jinja_parse_filters(struct jinja_parser *parser, struct jinja_node *input)
{
	while (input != NULL && jinja_take_symbol(parser, "|"))
		input = jinja_parse_filter(parser, input);
	return input;
}

/* May the token begin the argument of a test that is written without parentheses? */
static bool
begins_argument(const struct jinja_parser *parser)
{
	static const char *const words[] = { "else", "or", "and", "if", "in", "not", "is" };
	size_t i;

	if (parser->token->kind == TOKEN_LITERAL || jinja_at_symbol(parser, "[") ||
	    jinja_at_symbol(parser, "{"))
		return true;
	if (parser->token->kind != TOKEN_NAME)
		return false;
	for (i = 0; i < sizeof words / sizeof *words; i++)
		if (jinja_at_name(parser, words[i]))
			return false;
	return true;
}

/* INPUT is [not] NAME [argument]; the token is behind "is". */
static struct jinja_node *
parse_test(struct jinja_parser *parser, struct jinja_node *input)
{
	struct jinja_node *node = jinja_node(parser, NODE_TEST);

	if (!jinja_add_kid(parser, node, input))
		return NULL;
	node->negated = jinja_take_name(parser, "not");
	if (parser->token->kind != TOKEN_NAME)
		return jinja_syntax_error(
		    parser, T2L_EFORMAT, "a test's name is missing behind 'is'");
	node->name = parser->token->text;
	node->test = jinja_find_test(node->name);
	if (node->test == NULL)
		return jinja_syntax_error(parser, T2L_EUNSUPPORTED,
		    "the test '%.*s' is not supported", (int)node->name.n, node->name.bytes);
	parser->token++;
	if (jinja_at_symbol(parser, "(")) {
		if (!parse_arguments(parser, node))
			return NULL;
	} else if (begins_argument(parser)) {
		if (!jinja_add_kid(parser, node, parse_postfix(parser, parse_primary(parser))))
			return NULL;
	}
	if (node->test->needs_argument && node->n_kids < 2)
		return jinja_syntax_error(
		    parser, T2L_EFORMAT, "the test '%s' needs an argument", node->test->name);
	return node;
}

static struct jinja_node *
parse_filters_and_tests(struct jinja_parser *parser, struct jinja_node *node)
{
	while (node != NULL) {
		if (jinja_at_symbol(parser, "|"))
			node = jinja_parse_filters(parser, node);
		else if (jinja_take_name(parser, "is"))
			node = parse_test(parser, node);
		else if (jinja_at_symbol(parser, "("))
			node = parse_call(parser, node);
		else
			break;
	}
	return node;
}

/* ---- operators, the tightest first ---- */

static struct jinja_node *
parse_unary(struct jinja_parser *parser, bool with_filters)
{
	struct jinja_node *node = NULL;

	if (!jinja_enter(parser))
		return NULL;
	if (jinja_at_symbol(parser, "-") || jinja_at_symbol(parser, "+")) {
		node = jinja_node(
		    parser, jinja_at_symbol(parser, "-") ? NODE_NEGATIVE : NODE_POSITIVE);
		parser->token++;
		if (!jinja_add_kid(parser, node, parse_unary(parser, false)))
			node = NULL;
	} else {
		node = parse_primary(parser);
	}
	node = parse_postfix(parser, node);
	if (with_filters)
		node = parse_filters_and_tests(parser, node);
	jinja_leave(parser);
	return parser->status == T2L_OK ? node : NULL;
}

static struct jinja_node *
binary(struct jinja_parser *parser, enum jinja_operator op, struct jinja_node *left,
    struct jinja_node *right)
{
	struct jinja_node *node = jinja_node(parser, NODE_BINARY);

	if (!jinja_add_kid(parser, node, left) || !jinja_add_kid(parser, node, right))
		return NULL;
	node->op = op;
	return node;
}

/* The binary operators that associate to the left, by how tightly they bind. */
static const struct {
	const char *symbol;
	enum jinja_operator op;
	int level;
} operators[] = {
	{ "+", OP_ADD, 0 },
	{ "-", OP_SUBTRACT, 0 },
	{ "~", OP_CONCATENATE, 1 },
	{ "*", OP_MULTIPLY, 2 },
	{ "/", OP_DIVIDE, 2 },
	{ "//", OP_FLOOR_DIVIDE, 2 },
	{ "%", OP_MODULO, 2 },
	{ "**", OP_POWER, 3 },
};

#define N_LEVELS 4

static struct jinja_node *
parse_binary(struct jinja_parser *parser, int level)
{
	struct jinja_node *left, *right;
	size_t i, n = sizeof operators / sizeof *operators;

	if (level == N_LEVELS)
		return parse_unary(parser, true);
	left = parse_binary(parser, level + 1);
	while (left != NULL) {
		for (i = 0; i < n; i++)
			if (operators[i].level == level &&
			    jinja_at_symbol(parser, operators[i].symbol))
				break;
		if (i == n)
			break;
		parser->token++;
		right = parse_binary(parser, level + 1);
		left = right != NULL ? binary(parser, operators[i].op, left, right) : NULL;
	}
	return left;
}

/* Takes a comparison operator; false: there is none. */
static bool
take_comparison(struct jinja_parser *parser, enum jinja_operator *op)
{
	static const struct {
		const char *symbol;
		enum jinja_operator op;
	} symbols[] = {
		{ "==", OP_EQUAL },
		{ "!=", OP_NOT_EQUAL },
		{ "<", OP_LESS },
		{ "<=", OP_LESS_EQUAL },
		{ ">", OP_GREATER },
		{ ">=", OP_GREATER_EQUAL },
	};
	size_t i;

	for (i = 0; i < sizeof symbols / sizeof *symbols; i++)
		if (jinja_take_symbol(parser, symbols[i].symbol)) {
			*op = symbols[i].op;
			return true;
		}
	if (jinja_take_name(parser, "in")) {
		*op = OP_IN;
		return true;
	}
	if (jinja_at_name(parser, "not") && parser->token[1].kind == TOKEN_NAME &&
	    jinja_same(parser->token[1].text, "in")) {
		parser->token += 2;
		*op = OP_NOT_IN;
		return true;
	}
	return false;
}

/* a < b <= c means a < b and b <= c. */
static struct jinja_node *
parse_compare(struct jinja_parser *parser)
{
	struct jinja_node *left = parse_binary(parser, 0), *node = NULL;
	enum jinja_operator op, *ops;

	while (left != NULL && take_comparison(parser, &op)) {
		if (node == NULL) {
			node = jinja_node(parser, NODE_COMPARE);
			if (!jinja_add_kid(parser, node, left))
				return NULL;
		}
		ops = jinja_alloc(parser->arena, node->n_kids * sizeof *ops);
		if (ops == NULL)
			return jinja_syntax_error(parser, T2L_ENOMEM, "the template is too large");
		if (node->ops != NULL)
			memcpy(ops, node->ops, (node->n_kids - 1) * sizeof *ops);
		ops[node->n_kids - 1] = op;
		node->ops = ops;
		left = parse_binary(parser, 0);
		if (left == NULL || !jinja_add_kid(parser, node, left))
			return NULL;
	}
	return left != NULL && node != NULL ? node : left;
}

static struct jinja_node *
parse_not(struct jinja_parser *parser)
{
	struct jinja_node *node;

	if (!jinja_at_name(parser, "not"))
		return parse_compare(parser);
	if (!jinja_enter(parser))
		return NULL;
	node = jinja_node(parser, NODE_NOT);
	parser->token++;
	if (!jinja_add_kid(parser, node, parse_not(parser)))
		node = NULL;
	jinja_leave(parser);
	return node;
}

static struct jinja_node *
parse_and(struct jinja_parser *parser)
{
	struct jinja_node *left = parse_not(parser), *node;

	while (left != NULL && jinja_take_name(parser, "and")) {
		node = jinja_node(parser, NODE_AND);
		if (!jinja_add_kid(parser, node, left) ||
		    !jinja_add_kid(parser, node, parse_not(parser)))
			return NULL;
		left = node;
	}
	return left;
}

struct jinja_node *
jinja_parse_no_condition(struct jinja_parser *parser)
{
	struct jinja_node *left = parse_and(parser), *node;

	while (left != NULL && jinja_take_name(parser, "or")) {
		node = jinja_node(parser, NODE_OR);
		if (!jinja_add_kid(parser, node, left) ||
		    !jinja_add_kid(parser, node, parse_and(parser)))
			return NULL;
		left = node;
	}
	return left;
}

/* a if b else c */
struct jinja_node *
jinja_parse_expression(struct jinja_parser *parser)
{
	struct jinja_node *node, *condition, *other;

	if (!jinja_enter(parser))
		return NULL;
	node = jinja_parse_no_condition(parser);
	while (node != NULL && jinja_take_name(parser, "if")) {
		struct jinja_node *choice = jinja_node(parser, NODE_CONDITION);

		condition = jinja_parse_no_condition(parser);
		other = NULL;
		if (condition != NULL && jinja_take_name(parser, "else")) {
			other = jinja_parse_expression(parser);
			if (other == NULL)
				condition = NULL;
		}
		if (condition == NULL || !jinja_add_kid(parser, choice, condition) ||
		    !jinja_add_kid(parser, choice, node) || !jinja_add_kid(parser, choice, other))
			choice = NULL;
		node = choice;
	}
	jinja_leave(parser);
	return parser->status == T2L_OK ? node : NULL;
}

struct jinja_node *
jinja_parse_tuple(struct jinja_parser *parser, bool with_condition)
{
	struct jinja_node *(*parse)(struct jinja_parser *) =
	    with_condition ? jinja_parse_expression : jinja_parse_no_condition;
	struct jinja_node *first = parse(parser), *tuple;

	if (first == NULL || !jinja_at_symbol(parser, ","))
		return first;
	tuple = jinja_node(parser, NODE_TUPLE);
	if (!jinja_add_kid(parser, tuple, first))
		return NULL;
	while (jinja_take_symbol(parser, ",")) {
		/* A last comma makes a tuple of one. */
		if (jinja_at_symbol(parser, ")") || jinja_at_symbol(parser, "=") ||
		    parser->token->kind == TOKEN_BLOCK_CLOSE ||
		    parser->token->kind == TOKEN_OUTPUT_CLOSE)
			break;
		if (!jinja_add_kid(parser, tuple, parse(parser)))
			return NULL;
	}
	return tuple;
}
