/* jinja-statements.c - reads the statements of a template. */

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/error.h"
#include "engine/text/jinja-parser.h"

/* ---- what the halves share ---- */

struct jinja_node *
jinja_syntax_error(struct jinja_parser *parser, enum t2l_status status, const char *format, ...)
{
	char message[512];
	va_list args;

	if (parser->status != T2L_OK)
		return NULL;
	va_start(args, format);
	vsnprintf(message, sizeof message, format, args);
	va_end(args);
	parser->status = t2l_fail(parser->err, status, "line %d: %s", parser->token->line, message);
	return NULL;
}

struct jinja_node *
jinja_node(struct jinja_parser *parser, enum jinja_node_kind kind)
{
	struct jinja_node *node = jinja_alloc(parser->arena, sizeof *node);

	if (node == NULL)
		return jinja_syntax_error(parser, T2L_ENOMEM, "the template is too large");
	*node = (struct jinja_node){ .kind = kind, .line = parser->token->line };
	return node;
}

bool
jinja_add_kid(struct jinja_parser *parser, struct jinja_node *node, struct jinja_node *kid)
{
	struct jinja_node **kids;
	size_t capacity;

	if (parser->status != T2L_OK || node == NULL)
		return false;
	if (node->n_kids == node->kids_capacity) {
		capacity = node->kids_capacity == 0 ? 2 : 2 * node->kids_capacity;
		kids = jinja_alloc(parser->arena, capacity * sizeof *kids);
		if (kids == NULL)
			return jinja_syntax_error(
				   parser, T2L_ENOMEM, "the template is too large") != NULL;
		if (node->n_kids > 0)
			memcpy(kids, node->kids, node->n_kids * sizeof *kids);
		node->kids = kids;
		node->kids_capacity = capacity;
	}
	node->kids[node->n_kids++] = kid;
	return true;
}

bool
jinja_at_symbol(const struct jinja_parser *parser, const char *symbol)
{
	return parser->token->kind == TOKEN_SYMBOL && jinja_same(parser->token->text, symbol);
}

bool
jinja_at_name(const struct jinja_parser *parser, const char *name)
{
	return parser->token->kind == TOKEN_NAME && jinja_same(parser->token->text, name);
}

bool
jinja_take_symbol(struct jinja_parser *parser, const char *symbol)
{
	if (!jinja_at_symbol(parser, symbol))
		return false;
	parser->token++;
	return true;
}

bool
jinja_take_name(struct jinja_parser *parser, const char *name)
{
	if (!jinja_at_name(parser, name))
		return false;
	parser->token++;
	return true;
}

bool
jinja_expect_symbol(struct jinja_parser *parser, const char *symbol)
{
	if (parser->status == T2L_OK && !jinja_take_symbol(parser, symbol))
		jinja_syntax_error(parser, T2L_EFORMAT, "'%s' is missing", symbol);
	return parser->status == T2L_OK;
}

bool
jinja_enter(struct jinja_parser *parser)
{
	if (parser->depth >= JINJA_MAX_DEPTH)
		jinja_syntax_error(
		    parser, T2L_EFORMAT, "nested more than %d deep", JINJA_MAX_DEPTH);
	if (parser->status != T2L_OK)
		return false;
	parser->depth++;
	return true;
}

void
jinja_leave(struct jinja_parser *parser)
{
	parser->depth--;
}

/* ---- blocks ---- */

static struct jinja_node *parse_statement(struct jinja_parser *parser);

static bool
expect_close(struct jinja_parser *parser)
{
	if (parser->status == T2L_OK && parser->token->kind != TOKEN_BLOCK_CLOSE)
		jinja_syntax_error(parser, T2L_EFORMAT, "'%%}' is missing before '%.*s'",
		    (int)parser->token->text.n, parser->token->text.bytes);
	if (parser->status != T2L_OK)
		return false;
	parser->token++;
	return true;
}

/* Is the token the beginning of a tag with one of the NAMES, which end in NULL? */
static bool
at_tag(const struct jinja_parser *parser, const char *const *names)
{
	if (parser->token->kind != TOKEN_BLOCK_OPEN || parser->token[1].kind != TOKEN_NAME)
		return false;
	for (; *names != NULL; names++)
		if (jinja_same(parser->token[1].text, *names))
			return true;
	return false;
}

static struct jinja_node *
parse_output(struct jinja_parser *parser)
{
	struct jinja_node *node = jinja_node(parser, NODE_OUTPUT);

	parser->token++;
	if (!jinja_add_kid(parser, node, jinja_parse_tuple(parser, true)))
		return NULL;
	if (parser->token->kind != TOKEN_OUTPUT_CLOSE)
		return jinja_syntax_error(parser, T2L_EFORMAT, "'}}' is missing before '%.*s'",
		    (int)parser->token->text.n, parser->token->text.bytes);
	parser->token++;
	return node;
}

static struct jinja_node *
parse_text(struct jinja_parser *parser)
{
	struct jinja_node *node = jinja_node(parser, NODE_TEXT);

	if (node != NULL)
		node->value = parser->token->value;
	parser->token++;
	return node;
}

/* Statements up to a tag with one of the NAMES (which is taken up to that name) or, if NAMES is
 * NULL, to the end. */
static struct jinja_node *
parse_block(struct jinja_parser *parser, const char *const *names)
{
	struct jinja_node *block = jinja_node(parser, NODE_BLOCK), *kid;
	int line = parser->token->line;

	if (!jinja_enter(parser))
		return NULL;
	while (parser->status == T2L_OK && parser->token->kind != TOKEN_END) {
		if (names != NULL && at_tag(parser, names))
			break;
		if (parser->token->kind == TOKEN_TEXT)
			kid = parse_text(parser);
		else if (parser->token->kind == TOKEN_OUTPUT_OPEN)
			kid = parse_output(parser);
		else
			kid = parse_statement(parser);
		jinja_add_kid(parser, block, kid);
	}
	jinja_leave(parser);
	if (parser->status != T2L_OK)
		return NULL;
	if (names != NULL && parser->token->kind == TOKEN_END)
		return jinja_syntax_error(parser, T2L_EFORMAT,
		    "the block that begins at line %d has no '%s'", line, names[0]);
	if (names != NULL)
		parser->token++;
	return block;
}

/* ---- statements; the token is behind their name ---- */

static struct jinja_node *
parse_if(struct jinja_parser *parser)
{
	static const char *const ends[] = { "endif", "elif", "else", NULL };
	static const char *const last[] = { "endif", NULL };
	struct jinja_node *node = jinja_node(parser, NODE_IF), *otherwise = NULL;

	do {
		if (!jinja_add_kid(parser, node, jinja_parse_tuple(parser, true)) ||
		    !expect_close(parser) ||
		    !jinja_add_kid(parser, node, parse_block(parser, ends)))
			return NULL;
	} while (jinja_take_name(parser, "elif"));
	if (jinja_take_name(parser, "else")) {
		if (!expect_close(parser))
			return NULL;
		otherwise = parse_block(parser, last);
		if (otherwise == NULL)
			return NULL;
	}
	parser->token++;
	return jinja_add_kid(parser, node, otherwise) && expect_close(parser) ? node : NULL;
}

/* a, (b, c) or ns.d; only names may be in tuples. */
static struct jinja_node *
parse_target(struct jinja_parser *parser, bool with_attribute)
{
	struct jinja_node *first, *tuple = NULL;
	bool parentheses = jinja_take_symbol(parser, "(");

	do {
		first = jinja_node(parser, NODE_NAME);
		if (parser->token->kind != TOKEN_NAME)
			return jinja_syntax_error(parser, T2L_EFORMAT, "a name to set is missing");
		if (first == NULL)
			return NULL;
		first->name = parser->token->text;
		parser->token++;
		if (with_attribute && !parentheses && tuple == NULL &&
		    jinja_take_symbol(parser, ".")) {
			struct jinja_node *attribute = jinja_node(parser, NODE_ATTRIBUTE);

			if (parser->token->kind != TOKEN_NAME)
				return jinja_syntax_error(
				    parser, T2L_EFORMAT, "a name is missing behind '.'");
			if (!jinja_add_kid(parser, attribute, first))
				return NULL;
			attribute->name = parser->token->text;
			parser->token++;
			return attribute;
		}
		if (tuple == NULL && jinja_at_symbol(parser, ","))
			tuple = jinja_node(parser, NODE_TUPLE);
		if (tuple != NULL && !jinja_add_kid(parser, tuple, first))
			return NULL;
	} while (jinja_take_symbol(parser, ",") && parser->token->kind == TOKEN_NAME);
	if (parentheses && !jinja_expect_symbol(parser, ")"))
		return NULL;
	return tuple != NULL ? tuple : first;
}

static struct jinja_node *
parse_for(struct jinja_parser *parser)
{
	static const char *const ends[] = { "endfor", "else", NULL };
	static const char *const last[] = { "endfor", NULL };
	struct jinja_node *node = jinja_node(parser, NODE_FOR), *condition = NULL,
			  *otherwise = NULL;

	if (!jinja_add_kid(parser, node, parse_target(parser, false)))
		return NULL;
	if (!jinja_take_name(parser, "in"))
		return jinja_syntax_error(parser, T2L_EFORMAT, "'in' is missing behind 'for'");
	if (!jinja_add_kid(parser, node, jinja_parse_tuple(parser, false)))
		return NULL;
	if (jinja_take_name(parser, "if")) {
		condition = jinja_parse_expression(parser);
		if (condition == NULL)
			return NULL;
	}
	if (jinja_at_name(parser, "recursive"))
		return jinja_syntax_error(
		    parser, T2L_EUNSUPPORTED, "'for ... recursive' is not supported");
	if (!jinja_add_kid(parser, node, condition) || !expect_close(parser) ||
	    !jinja_add_kid(parser, node, parse_block(parser, ends)))
		return NULL;
	if (jinja_take_name(parser, "else")) {
		if (!expect_close(parser))
			return NULL;
		otherwise = parse_block(parser, last);
		if (otherwise == NULL)
			return NULL;
	}
	parser->token++;
	return jinja_add_kid(parser, node, otherwise) && expect_close(parser) ? node : NULL;
}

static struct jinja_node *
parse_set(struct jinja_parser *parser)
{
	static const char *const ends[] = { "endset", NULL };
	struct jinja_node *node = jinja_node(parser, NODE_SET), *filters = NULL;

	if (!jinja_add_kid(parser, node, parse_target(parser, true)))
		return NULL;
	if (jinja_take_symbol(parser, "=")) {
		if (!jinja_add_kid(parser, node, jinja_parse_tuple(parser, true)))
			return NULL;
		return expect_close(parser) ? node : NULL;
	}
	node->kind = NODE_CAPTURE; /* {% set x %} ... {% endset %} */
	if (jinja_at_symbol(parser, "|")) {
		filters = jinja_parse_filters(parser, jinja_node(parser, NODE_CAPTURED));
		if (filters == NULL)
			return NULL;
	}
	if (!expect_close(parser) || !jinja_add_kid(parser, node, parse_block(parser, ends)))
		return NULL;
	parser->token++;
	return jinja_add_kid(parser, node, filters) && expect_close(parser) ? node : NULL;
}

static struct jinja_node *
parse_filter_block(struct jinja_parser *parser)
{
	static const char *const ends[] = { "endfilter", NULL };
	struct jinja_node *node = jinja_node(parser, NODE_FILTERED), *filters, *body;

	filters = jinja_parse_filter(parser, jinja_node(parser, NODE_CAPTURED));
	filters = jinja_parse_filters(parser, filters);
	if (filters == NULL || !expect_close(parser))
		return NULL;
	body = parse_block(parser, ends);
	if (!jinja_add_kid(parser, node, body) || !jinja_add_kid(parser, node, filters))
		return NULL;
	parser->token++;
	return expect_close(parser) ? node : NULL;
}

/* Reads "(a, b=1)" into defaults (kids from [1]) and their names. */
static bool
parse_parameters(struct jinja_parser *parser, struct jinja_node *node)
{
	const struct jinja_token *first = parser->token;
	struct jinja_node *fallback;
	size_t n = 0;

	/* No more parameters than tokens up to the end of the tag. */
	for (; first[n].kind != TOKEN_BLOCK_CLOSE && first[n].kind != TOKEN_END; n++)
		;
	node->names = jinja_alloc(parser->arena, (n + 1) * sizeof *node->names);
	if (node->names == NULL)
		return jinja_syntax_error(parser, T2L_ENOMEM, "the template is too large") != NULL;
	jinja_expect_symbol(parser, "(");
	while (parser->status == T2L_OK && !jinja_at_symbol(parser, ")")) {
		if (parser->token->kind != TOKEN_NAME)
			return jinja_syntax_error(
				   parser, T2L_EFORMAT, "a parameter's name is missing") != NULL;
		node->names[node->n_kids] = parser->token->text;
		parser->token++;
		fallback = NULL;
		if (jinja_take_symbol(parser, "=")) {
			fallback = jinja_parse_expression(parser);
			if (fallback == NULL)
				return false;
		}
		if (!jinja_add_kid(parser, node, fallback))
			return false;
		if (!jinja_take_symbol(parser, ","))
			break;
	}
	return jinja_expect_symbol(parser, ")");
}

static struct jinja_node *
parse_macro(struct jinja_parser *parser)
{
	static const char *const ends[] = { "endmacro", NULL };
	struct jinja_node *node = jinja_node(parser, NODE_MACRO);

	if (parser->token->kind != TOKEN_NAME)
		return jinja_syntax_error(parser, T2L_EFORMAT, "a macro's name is missing");
	/* The body's place comes first, so that parameter I has kid and name I. */
	if (!jinja_add_kid(parser, node, NULL))
		return NULL;
	node->name = parser->token->text;
	parser->token++;
	if (!parse_parameters(parser, node) || !expect_close(parser))
		return NULL;
	node->kids[0] = parse_block(parser, ends);
	if (node->kids[0] == NULL)
		return NULL;
	parser->token++;
	return expect_close(parser) ? node : NULL;
}

static struct jinja_node *
parse_with(struct jinja_parser *parser)
{
	static const char *const ends[] = { "endwith", NULL };
	struct jinja_node *node = jinja_node(parser, NODE_WITH);

	if (!jinja_add_kid(parser, node, NULL))
		return NULL;
	while (parser->token->kind != TOKEN_BLOCK_CLOSE) {
		if (!jinja_add_kid(parser, node, parse_target(parser, false)) ||
		    !jinja_expect_symbol(parser, "=") ||
		    !jinja_add_kid(parser, node, jinja_parse_expression(parser)))
			return NULL;
		if (!jinja_take_symbol(parser, ","))
			break;
	}
	if (!expect_close(parser))
		return NULL;
	node->kids[0] = parse_block(parser, ends);
	if (node->kids[0] == NULL)
		return NULL;
	parser->token++;
	return expect_close(parser) ? node : NULL;
}

/* transformers marks with it what the assistant said; it changes no text. */
static struct jinja_node *
parse_generation(struct jinja_parser *parser)
{
	static const char *const ends[] = { "endgeneration", NULL };
	struct jinja_node *body;

	if (!expect_close(parser))
		return NULL;
	body = parse_block(parser, ends);
	if (body == NULL)
		return NULL;
	parser->token++;
	return expect_close(parser) ? body : NULL;
}

static struct jinja_node *
parse_break(struct jinja_parser *parser)
{
	struct jinja_node *node = jinja_node(parser, NODE_BREAK);

	return expect_close(parser) ? node : NULL;
}

static struct jinja_node *
parse_continue(struct jinja_parser *parser)
{
	struct jinja_node *node = jinja_node(parser, NODE_CONTINUE);

	return expect_close(parser) ? node : NULL;
}

static struct jinja_node *
parse_statement(struct jinja_parser *parser)
{
	static const struct {
		const char *name;
		struct jinja_node *(*parse)(struct jinja_parser *parser);
	} statements[] = {
		{ "if", parse_if },
		{ "for", parse_for },
		{ "set", parse_set },
		{ "macro", parse_macro },
		{ "with", parse_with },
		{ "filter", parse_filter_block },
		{ "generation", parse_generation },
		{ "break", parse_break },
		{ "continue", parse_continue },
	};
	struct jinja_string name;
	size_t i;

	parser->token++;
	name = parser->token->text;
	if (parser->token->kind != TOKEN_NAME)
		return jinja_syntax_error(parser, T2L_EFORMAT, "a tag without a statement");
	for (i = 0; i < sizeof statements / sizeof *statements; i++)
		if (jinja_same(name, statements[i].name)) {
			parser->token++;
			return statements[i].parse(parser);
		}
	if (jinja_same(name, "else") || jinja_same(name, "elif") ||
	    (name.n > 3 && memcmp(name.bytes, "end", 3) == 0))
		return jinja_syntax_error(
		    parser, T2L_EFORMAT, "'%.*s' without its beginning", (int)name.n, name.bytes);
	return jinja_syntax_error(parser, T2L_EUNSUPPORTED,
	    "the statement '%.*s' is not supported; write the chat_template without it",
	    (int)name.n, name.bytes);
}

enum t2l_status
jinja_parse(const char *source, size_t n_bytes, struct jinja_arena *arena, struct jinja_node **out,
    struct t2l_error *err)
{
	struct jinja_tokens tokens = { 0 };
	struct jinja_parser parser = { .arena = arena, .err = err };
	enum t2l_status status = jinja_tokenize(source, n_bytes, arena, &tokens, err);

	if (status == T2L_OK) {
		parser.token = tokens.at;
		*out = parse_block(&parser, NULL);
		status = parser.status;
	}
	free(tokens.at);
	return status;
}
