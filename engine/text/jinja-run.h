/*
 * engine/text/jinja-run.h - what running statements and evaluating expressions share.
 */
#ifndef ENGINE_TEXT_JINJA_RUN_H
#define ENGINE_TEXT_JINJA_RUN_H

#include "engine/text/jinja.h"

struct jinja_variable {
	struct jinja_string name;
	struct jinja_value value;
};

/* Loops, macros and blocks have scopes of their own; `if` has none. */
struct jinja_scope {
	struct jinja_scope *parent;
	struct jinja_variable *variables;
	size_t n, capacity;
};

bool jinja_lookup(const struct jinja_run *run, struct jinja_string name, struct jinja_value *value);

/* The value of an expression (jinja-evaluate.c); undefined after an error. */
struct jinja_value jinja_evaluate(struct jinja_run *run, const struct jinja_node *node);

#endif
