/* jinja-run.c - runs the statements of a template. */

#include <stdlib.h>
#include <string.h>

#include "engine/text/jinja-run.h"

/* ---- variables ---- */

static bool
scope_set(struct jinja_run *run, struct jinja_scope *scope, struct jinja_string name,
    struct jinja_value value)
{
	size_t i, capacity;
	struct jinja_variable *grown;

	if (run->status != T2L_OK)
		return false;
	for (i = 0; i < scope->n; i++)
		if (scope->variables[i].name.n == name.n &&
		    memcmp(scope->variables[i].name.bytes, name.bytes, name.n) == 0) {
			scope->variables[i].value = value;
			return true;
		}
	if (scope->n == scope->capacity) {
		capacity = scope->capacity == 0 ? 8 : 2 * scope->capacity;
		grown = jinja_alloc(&run->arena, capacity * sizeof *grown);
		if (grown == NULL) {
			jinja_fail(run, T2L_ENOMEM, "out of memory");
			return false;
		}
		if (scope->n > 0)
			memcpy(grown, scope->variables, scope->n * sizeof *grown);
		scope->variables = grown;
		scope->capacity = capacity;
	}
	scope->variables[scope->n++] = (struct jinja_variable){ name, value };
	return true;
}

bool
jinja_lookup(const struct jinja_run *run, struct jinja_string name, struct jinja_value *value)
{
	const struct jinja_scope *scope;
	size_t i;

	for (scope = run->scope; scope != NULL; scope = scope->parent)
		for (i = 0; i < scope->n; i++)
			if (scope->variables[i].name.n == name.n &&
			    memcmp(scope->variables[i].name.bytes, name.bytes, name.n) == 0) {
				*value = scope->variables[i].value;
				return true;
			}
	return false;
}

bool
jinja_define(struct jinja_run *run, const char *name, struct jinja_value value)
{
	return scope_set(run, run->top, (struct jinja_string){ name, strlen(name) }, value);
}

static struct jinja_scope
inner_scope(struct jinja_scope *parent)
{
	return (struct jinja_scope){ .parent = parent };
}

/* Sets a name, an attribute of a namespace, or a tuple of names from as many items. */
static bool
assign(struct jinja_run *run, const struct jinja_node *target, struct jinja_value value)
{
	const struct jinja_list *items;
	struct jinja_value object;
	size_t i;

	if (target->kind == NODE_NAME)
		return scope_set(run, run->scope, target->name, value);
	if (target->kind == NODE_ATTRIBUTE) {
		object = jinja_evaluate(run, target->kids[0]);
		if (run->status == T2L_OK && object.kind != JINJA_NAMESPACE)
			jinja_fail(run, T2L_EFORMAT, "only a namespace has attributes to set");
		return run->status == T2L_OK &&
		       jinja_put(
			   run, object, jinja_slice(target->name.bytes, target->name.n), value);
	}
	items = jinja_items(run, value);
	if (items != NULL && items->n != target->n_kids)
		jinja_fail(run, T2L_EFORMAT, "%zu values for %zu names", items->n, target->n_kids);
	for (i = 0; run->status == T2L_OK && i < target->n_kids; i++)
		assign(run, target->kids[i], items->items[i]);
	return run->status == T2L_OK;
}

/* ---- statements ---- */

static void run_node(struct jinja_run *run, const struct jinja_node *node);

static void
run_block(struct jinja_run *run, const struct jinja_node *block)
{
	size_t i;

	for (i = 0; i < block->n_kids && run->status == T2L_OK && run->flow == FLOW_ON; i++)
		run_node(run, block->kids[i]);
}

/* Runs BODY in a scope of its own and returns what it wrote. */
static struct jinja_value
capture(struct jinja_run *run, const struct jinja_node *body)
{
	struct buffer inner = { 0 }, *outer = run->out;
	struct jinja_scope scope = inner_scope(run->scope);

	run->out = &inner;
	run->scope = &scope;
	run_node(run, body);
	run->scope = scope.parent;
	run->out = outer;
	return jinja_take(run, &inner);
}

static void
run_if(struct jinja_run *run, const struct jinja_node *node)
{
	size_t i;

	for (i = 0; i + 1 < node->n_kids; i += 2) {
		bool truth = jinja_is_true(jinja_evaluate(run, node->kids[i]));

		if (run->status != T2L_OK)
			return;
		if (truth) {
			run_node(run, node->kids[i + 1]);
			return;
		}
	}
	if (node->kids[node->n_kids - 1] != NULL)
		run_node(run, node->kids[node->n_kids - 1]);
}

/* The items for which the condition behind "if" holds. */
static const struct jinja_list *
filter_items(struct jinja_run *run, const struct jinja_node *node, const struct jinja_list *items)
{
	struct jinja_value kept = jinja_new_list(run, JINJA_LIST);
	size_t i;

	for (i = 0; run->status == T2L_OK && i < items->n; i++)
		if (assign(run, node->kids[0], items->items[i]) &&
		    jinja_is_true(jinja_evaluate(run, node->kids[2])))
			jinja_append(run, kept, items->items[i]);
	return run->status == T2L_OK ? kept.as.list : NULL;
}

static void
run_loop(struct jinja_run *run, const struct jinja_node *node, const struct jinja_list *items,
    struct jinja_scope *scope)
{
	struct jinja_loop loop = { .items = items };
	static const struct jinja_string loop_name = { "loop", 4 };
	/* Whoever keeps `loop` beyond its end would see a dead one, so its place is copied. */
	struct jinja_loop *kept = jinja_alloc(&run->arena, sizeof *kept);

	run->n_loops++;
	if (kept == NULL)
		jinja_fail(run, T2L_ENOMEM, "out of memory");
	for (; run->status == T2L_OK && loop.index < items->n; loop.index++) {
		*kept = loop;
		scope->n = 0; /* what an iteration set is gone in the next */
		if (!scope_set(run, scope, loop_name,
			(struct jinja_value){ JINJA_LOOP, { .loop = kept } }) ||
		    !assign(run, node->kids[0], items->items[loop.index]))
			break;
		run_node(run, node->kids[3]);
		if (run->flow == FLOW_BREAK)
			break;
		run->flow = FLOW_ON;
	}
	run->flow = FLOW_ON;
	run->n_loops--;
}

static void
run_for(struct jinja_run *run, const struct jinja_node *node)
{
	const struct jinja_list *items = jinja_items(run, jinja_evaluate(run, node->kids[1]));
	struct jinja_scope scope = inner_scope(run->scope);

	if (run->status != T2L_OK)
		return;
	run->scope = &scope;
	if (node->kids[2] != NULL)
		items = filter_items(run, node, items);
	if (items != NULL && items->n > 0) {
		run_loop(run, node, items, &scope);
	} else if (run->status == T2L_OK && node->kids[4] != NULL) {
		scope.n = 0;
		run_node(run, node->kids[4]);
	}
	run->scope = scope.parent;
}

static void
run_capture(struct jinja_run *run, const struct jinja_node *node)
{
	struct jinja_value text = capture(run, node->kids[1]), outer = run->captured;

	if (node->kids[2] != NULL) {
		run->captured = text;
		text = jinja_evaluate(run, node->kids[2]);
		run->captured = outer;
	}
	assign(run, node->kids[0], text);
}

static void
run_filtered(struct jinja_run *run, const struct jinja_node *node)
{
	struct jinja_value outer = run->captured;

	run->captured = capture(run, node->kids[0]);
	jinja_write(run, run->out, jinja_evaluate(run, node->kids[1]));
	run->captured = outer;
}

static void
run_with(struct jinja_run *run, const struct jinja_node *node)
{
	struct jinja_scope scope = inner_scope(run->scope);
	struct jinja_value value;
	size_t i;

	for (i = 1; i + 1 < node->n_kids && run->status == T2L_OK; i += 2) {
		value = jinja_evaluate(run, node->kids[i + 1]); /* sees the outer names only */
		run->scope = &scope;
		assign(run, node->kids[i], value);
		run->scope = scope.parent;
	}
	run->scope = &scope;
	run_node(run, node->kids[0]);
	run->scope = scope.parent;
}

static void
leave_iteration(struct jinja_run *run, const struct jinja_node *node)
{
	if (run->n_loops == 0)
		jinja_fail(run, T2L_EFORMAT, "break or continue outside a loop");
	run->flow = node->kind == NODE_BREAK ? FLOW_BREAK : FLOW_CONTINUE;
}

static void
run_statement(struct jinja_run *run, const struct jinja_node *node)
{
	switch (node->kind) {
	case NODE_TEXT:
		jinja_write(run, run->out, node->value);
		break;
	case NODE_OUTPUT:
		jinja_write(run, run->out, jinja_evaluate(run, node->kids[0]));
		break;
	case NODE_BLOCK:
		run_block(run, node);
		break;
	case NODE_IF:
		run_if(run, node);
		break;
	case NODE_FOR:
		run_for(run, node);
		break;
	case NODE_SET:
		assign(run, node->kids[0], jinja_evaluate(run, node->kids[1]));
		break;
	case NODE_CAPTURE:
		run_capture(run, node);
		break;
	case NODE_FILTERED:
		run_filtered(run, node);
		break;
	case NODE_MACRO:
		scope_set(run, run->scope, node->name,
		    (struct jinja_value){ JINJA_MACRO, { .macro = node } });
		break;
	case NODE_WITH:
		run_with(run, node);
		break;
	default:
		leave_iteration(run, node);
		break;
	}
}

static void
run_node(struct jinja_run *run, const struct jinja_node *node)
{
	if (!jinja_spend(run, 0))
		return;
	run->line = node->line;
	if (run->depth >= JINJA_MAX_DEPTH) {
		jinja_fail(
		    run, T2L_EFORMAT, "more than %d things inside each other", JINJA_MAX_DEPTH);
		return;
	}
	run->depth++;
	run_statement(run, node);
	run->depth--;
}

/* ---- macros ---- */

/* Binds parameter I of the macro: by position, by name, or to its default. */
static void
bind_parameter(struct jinja_run *run, const struct jinja_node *macro, size_t i,
    const struct jinja_arguments *arguments)
{
	struct jinja_value value = jinja_undefined(macro->names[i]);
	size_t k, position = 0;

	if (macro->kids[i] != NULL)
		value = jinja_evaluate(run, macro->kids[i]);
	for (k = 0; k < arguments->n; k++) {
		const struct jinja_string *name =
		    arguments->names != NULL && arguments->names[k].n > 0 ? &arguments->names[k]
									  : NULL;

		if (name == NULL && position++ == i - 1)
			value = arguments->values[k];
		if (name != NULL && name->n == macro->names[i].n &&
		    memcmp(name->bytes, macro->names[i].bytes, name->n) == 0)
			value = arguments->values[k];
	}
	scope_set(run, run->scope, macro->names[i], value);
}

struct jinja_value
jinja_call(
    struct jinja_run *run, struct jinja_value callee, const struct jinja_arguments *arguments)
{
	struct jinja_scope *caller = run->scope, scope;
	struct jinja_value text;
	int n_loops = run->n_loops;
	size_t i;

	if (run->status != T2L_OK)
		return jinja_none();
	if (callee.kind == JINJA_FUNCTION)
		return callee.as.function->call(run, arguments);
	if (callee.kind == JINJA_UNDEFINED)
		return jinja_fail(run, T2L_EUNSUPPORTED, "'%.*s' is not defined here",
		    (int)callee.as.string.n, callee.as.string.bytes);
	if (callee.kind != JINJA_MACRO)
		return jinja_fail(run, T2L_EFORMAT, "%s cannot be called", jinja_kind_name(callee));
	scope = inner_scope(run->top); /* a macro sees the outermost variables only */
	run->scope = &scope;
	run->n_loops = 0;
	for (i = 1; i < callee.as.macro->n_kids; i++)
		bind_parameter(run, callee.as.macro, i, arguments);
	text = capture(run, callee.as.macro->kids[0]);
	run->scope = caller;
	run->n_loops = n_loops;
	return text;
}

enum t2l_status
jinja_run(struct jinja_run *run, const struct jinja_node *tree)
{
	run_node(run, tree);
	if (run->status == T2L_OK && buffer_failed(run->out))
		jinja_fail(run, T2L_ENOMEM, "out of memory");
	return run->status;
}
