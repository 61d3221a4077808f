/*
 * engine/text/jinja-parser.h - what the two halves of the parser share: statements
 * (jinja-statements.c) and expressions (jinja-expressions.c).
 *
 * Functions return NULL after an error, which `status` keeps.
 */
#ifndef ENGINE_TEXT_JINJA_PARSER_H
#define ENGINE_TEXT_JINJA_PARSER_H

#include "engine/text/jinja-lexer.h"

struct jinja_parser {
	const struct jinja_token *token; /* the next one */
	struct jinja_arena *arena;
	int depth;
	enum t2l_status status;
	struct t2l_error *err;
};

struct jinja_node *jinja_node(struct jinja_parser *parser, enum jinja_node_kind kind);
/* Adds KID, which may be NULL where the node's kind allows it. */
bool jinja_add_kid(struct jinja_parser *parser, struct jinja_node *node, struct jinja_node *kid);

/* Sets the error "line N: ..." and returns NULL. */
struct jinja_node *jinja_syntax_error(struct jinja_parser *parser, enum t2l_status status,
    const char *format, ...) __attribute__((format(printf, 3, 4)));

bool jinja_at_symbol(const struct jinja_parser *parser, const char *symbol);
bool jinja_at_name(const struct jinja_parser *parser, const char *name);
/* Takes the token if it is that one. */
bool jinja_take_symbol(struct jinja_parser *parser, const char *symbol);
bool jinja_take_name(struct jinja_parser *parser, const char *name);
/* Takes it or sets an error. */
bool jinja_expect_symbol(struct jinja_parser *parser, const char *symbol);

/* Nesting of source, against JINJA_MAX_DEPTH. */
bool jinja_enter(struct jinja_parser *parser);
void jinja_leave(struct jinja_parser *parser);

struct jinja_node *jinja_parse_expression(struct jinja_parser *parser);
/* Without a trailing "if", as the list of a for statement is. */
struct jinja_node *jinja_parse_no_condition(struct jinja_parser *parser);
/* One expression, or several with commas as a tuple. */
struct jinja_node *jinja_parse_tuple(struct jinja_parser *parser, bool with_condition);
/* "| name(...) | ..." on INPUT; the token is "|". */
struct jinja_node *jinja_parse_filters(struct jinja_parser *parser, struct jinja_node *input);
/* One filter on INPUT; the token is its name. */
struct jinja_node *jinja_parse_filter(struct jinja_parser *parser, struct jinja_node *input);

#endif
