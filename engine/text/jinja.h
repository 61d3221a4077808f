/*
 * engine/text/jinja.h - the Jinja2 interpreter behind chat-template.h: values, syntax tree, run.
 *
 * Source -> jinja_parse() -> tree of nodes -> jinja_run() -> text. Nodes live in the arena of the
 * parse and are immutable; values live in the arena of one run. All strings are UTF-8 slices.
 */
#ifndef ENGINE_TEXT_JINJA_H
#define ENGINE_TEXT_JINJA_H

#include <time.h>

#include "base/buffer.h"
#include "engine/t2l.h"

/* Bounds on hostile templates; published ones stay below a thousandth of them. */
#define JINJA_MAX_SOURCE (1u << 20)
#define JINJA_MAX_PARSE_MEMORY (64u << 20)
#define JINJA_MAX_RUN_MEMORY (256u << 20)
#define JINJA_MAX_OUTPUT (64u << 20)
#define JINJA_MAX_STEPS 100000000u /* nodes run, and 16 bytes of text looked at */
#define JINJA_MAX_DEPTH 200	   /* of nesting, in the source and in the run */

/* ---- memory ---- */

struct arena_block;

/* Memory that is released at once. */
struct jinja_arena {
	struct arena_block *blocks;
	size_t used, limit;
};

void *jinja_alloc(struct jinja_arena *arena, size_t n_bytes); /* NULL: limit or no memory */
void jinja_arena_free(struct jinja_arena *arena);

/* ---- values ---- */

enum jinja_kind {
	JINJA_UNDEFINED,
	JINJA_NONE,
	JINJA_BOOL,
	JINJA_INT,
	JINJA_FLOAT,
	JINJA_STRING,
	JINJA_LIST,
	JINJA_TUPLE,
	JINJA_DICT,
	JINJA_NAMESPACE,
	JINJA_FUNCTION, /* a global function, by its row in the table */
	JINJA_MACRO,
	JINJA_LOOP
};

struct jinja_string {
	const char *bytes; /* not terminated */
	size_t n;
};

struct jinja_value {
	enum jinja_kind kind;
	union {
		bool truth;
		int64_t integer;
		double number;
		struct jinja_string string; /* UNDEFINED: the name that is not there */
		struct jinja_list *list;
		struct jinja_dict *dict;
		const struct jinja_function *function;
		const struct jinja_node *macro;
		const struct jinja_loop *loop;
	} as;
};

struct jinja_list {
	struct jinja_value *items;
	size_t n, capacity;
};

struct jinja_dict { /* in the order of insertion */
	struct jinja_value *keys, *values;
	size_t n, capacity;
};

struct jinja_loop {
	const struct jinja_list *items;
	size_t index; /* from 0 */
};

/* ---- syntax tree ---- */

enum jinja_node_kind {
	/* statements */
	NODE_TEXT,     /* value */
	NODE_OUTPUT,   /* kids: expression */
	NODE_BLOCK,    /* kids: statements */
	NODE_IF,       /* kids: condition, body, condition, body, ..., else or NULL */
	NODE_FOR,      /* kids: target, list, condition or NULL, body, else or NULL */
	NODE_SET,      /* kids: target, expression */
	NODE_CAPTURE,  /* kids: target, body, FILTER chain over NODE_CAPTURED or NULL */
	NODE_FILTERED, /* kids: body, FILTER chain over NODE_CAPTURED */
	NODE_MACRO,    /* name; kids: body, defaults or NULL; names: parameters from [1] */
	NODE_WITH,     /* kids: body, then target, expression, ... */
	NODE_BREAK,
	NODE_CONTINUE,
	/* expressions */
	NODE_CAPTURED,	/* the text of the block that a filter works on */
	NODE_LITERAL,	/* value */
	NODE_NAME,	/* name */
	NODE_LIST,	/* kids */
	NODE_TUPLE,	/* kids */
	NODE_DICT,	/* kids: key, value, ... */
	NODE_ATTRIBUTE, /* name; kids: object */
	NODE_ITEM,	/* kids: object, key */
	NODE_SLICE,	/* kids: object, start, stop, step, each may be NULL */
	NODE_CALL,	/* kids: callee, arguments; names: of keyword arguments, else empty */
	NODE_FILTER,	/* filter; kids: input, arguments; names */
	NODE_TEST,	/* test; kids: input, arguments; negated */
	NODE_NOT,
	NODE_NEGATIVE,
	NODE_POSITIVE,
	NODE_AND,
	NODE_OR,
	NODE_CONDITION, /* kids: condition, then, else or NULL */
	NODE_BINARY,	/* op; kids: left, right */
	NODE_COMPARE	/* ops in names' place: kids[i] ops[i] kids[i+1] */
};

enum jinja_operator {
	OP_ADD,
	OP_SUBTRACT,
	OP_MULTIPLY,
	OP_DIVIDE,
	OP_FLOOR_DIVIDE,
	OP_MODULO,
	OP_POWER,
	OP_CONCATENATE,
	OP_EQUAL,
	OP_NOT_EQUAL,
	OP_LESS,
	OP_LESS_EQUAL,
	OP_GREATER,
	OP_GREATER_EQUAL,
	OP_IN,
	OP_NOT_IN
};

struct jinja_node {
	enum jinja_node_kind kind;
	int line;
	bool negated;
	enum jinja_operator op;
	struct jinja_string name;
	struct jinja_value value;
	const struct jinja_filter *filter;
	const struct jinja_test *test;
	struct jinja_node **kids;
	size_t n_kids, kids_capacity;
	struct jinja_string *names; /* [n_kids] or NULL */
	enum jinja_operator *ops;   /* [n_kids - 1] or NULL */
};

/* SOURCE must outlive the tree, which lives in ARENA. Errors carry the line. */
enum t2l_status jinja_parse(const char *source, size_t n_bytes, struct jinja_arena *arena,
    struct jinja_node **out, struct t2l_error *err);

/* ---- running ---- */

struct jinja_scope;

/* One run. The first error stays in `status`, and evaluation winds up. */
struct jinja_run {
	struct jinja_arena arena;
	enum t2l_status status;
	struct t2l_error *err;
	int line;
	unsigned steps;
	int depth;
	int n_loops; /* running around here, for break and continue */
	struct jinja_scope *scope, *top;
	enum { FLOW_ON, FLOW_BREAK, FLOW_CONTINUE } flow;
	struct buffer *out;
	struct jinja_value captured;
	const struct tm *now; /* NULL: strftime_now() is not defined */
};

/* Appends the text to RUN->out. */
enum t2l_status jinja_run(struct jinja_run *run, const struct jinja_node *tree);

/* Defines a variable of the outermost scope. False: out of memory, as an error in RUN. */
bool jinja_define(struct jinja_run *run, const char *name, struct jinja_value value);

/* Sets the run's error, "line N: ...", unless there is one, and returns the undefined value. */
struct jinja_value jinja_fail(struct jinja_run *run, enum t2l_status status, const char *format,
    ...) __attribute__((format(printf, 3, 4)));

/* Counts work against the limit; false: over it, as an error. */
bool jinja_spend(struct jinja_run *run, size_t n_bytes);

/* Calls a macro or global function. */
struct jinja_arguments {
	struct jinja_value *values;
	const struct jinja_string *names; /* empty for positional arguments */
	size_t n;
};

struct jinja_value jinja_call(
    struct jinja_run *run, struct jinja_value callee, const struct jinja_arguments *arguments);

/* OBJECT.NAME as Jinja looks it up; undefined if there is none. */
struct jinja_value jinja_attribute(
    struct jinja_run *run, struct jinja_value object, struct jinja_string name);
struct jinja_value jinja_item(
    struct jinja_run *run, struct jinja_value object, struct jinja_value key);

/* ---- on values (jinja-value.c) ---- */

struct jinja_value jinja_undefined(struct jinja_string name);
struct jinja_value jinja_none(void);
struct jinja_value jinja_bool(bool truth);
struct jinja_value jinja_int(int64_t integer);
struct jinja_value jinja_float(double number);
struct jinja_value jinja_slice(const char *bytes, size_t n);
struct jinja_value jinja_text(const char *text);
/* A copy in the run's arena. */
struct jinja_value jinja_copy(struct jinja_run *run, const char *bytes, size_t n);
struct jinja_value jinja_new_list(struct jinja_run *run, enum jinja_kind kind);
struct jinja_value jinja_new_dict(struct jinja_run *run, enum jinja_kind kind);
bool jinja_append(struct jinja_run *run, struct jinja_value list, struct jinja_value item);
bool jinja_put(struct jinja_run *run, struct jinja_value dict, struct jinja_value key,
    struct jinja_value value);
/* NULL: no such key. */
const struct jinja_value *jinja_get(
    struct jinja_run *run, const struct jinja_dict *dict, struct jinja_value key);

bool jinja_is_true(struct jinja_value value);
bool jinja_is_number(struct jinja_value value); /* int, float or bool */
bool jinja_is_string(struct jinja_value value, const char *text);
bool jinja_same(struct jinja_string string, const char *text);
double jinja_as_double(struct jinja_value value);
const char *jinja_kind_name(struct jinja_value value);
size_t jinja_characters(struct jinja_string string);

bool jinja_equal(struct jinja_run *run, struct jinja_value a, struct jinja_value b);
/* -1, 0 or 1; an error for values that have no order. */
int jinja_order(struct jinja_run *run, struct jinja_value a, struct jinja_value b);
bool jinja_contains(struct jinja_run *run, struct jinja_value whole, struct jinja_value part);
/* The items of a list, the characters of a string, the keys of a dict; an error for others. */
const struct jinja_list *jinja_items(struct jinja_run *run, struct jinja_value value);

/* ---- text of values (jinja-text.c) ---- */

/* As {{ value }} writes it. */
void jinja_write(struct jinja_run *run, struct buffer *out, struct jinja_value value);
struct jinja_value jinja_to_string(struct jinja_run *run, struct jinja_value value);
/* json.dumps(ensure_ascii=False); INDENT < 0: on one line. */
void jinja_write_json(
    struct jinja_run *run, struct buffer *out, struct jinja_value value, int indent);
/* Takes the text of BUFFER into the arena and frees it. */
struct jinja_value jinja_take(struct jinja_run *run, struct buffer *buffer);

/* ---- tables (jinja-filters.c, jinja-methods.c) ---- */

struct jinja_filter {
	const char *name;
	struct jinja_value (*apply)(struct jinja_run *run, struct jinja_value input,
	    const struct jinja_arguments *arguments);
};

struct jinja_test {
	const char *name;
	bool (*apply)(struct jinja_run *run, struct jinja_value input, struct jinja_value argument);
	bool needs_argument;
};

struct jinja_function {
	const char *name;
	struct jinja_value (*call)(struct jinja_run *run, const struct jinja_arguments *arguments);
};

/* NULL: unknown. */
const struct jinja_filter *jinja_find_filter(struct jinja_string name);
const struct jinja_test *jinja_find_test(struct jinja_string name);
const struct jinja_function *jinja_find_function(struct jinja_run *run, struct jinja_string name);

/* Calls OBJECT.NAME(...) if the type has such a method; *FOUND says so. */
struct jinja_value jinja_method(struct jinja_run *run, struct jinja_value object,
    struct jinja_string name, const struct jinja_arguments *arguments, bool *found);

/* The argument called NAME or at POSITION; NULL: not given. */
const struct jinja_value *jinja_argument(
    const struct jinja_arguments *arguments, size_t position, const char *name);

/* Strips white space, or the characters of SET, at the ends. */
struct jinja_value jinja_strip(struct jinja_run *run, struct jinja_string text,
    const struct jinja_value *set, bool left, bool right);
struct jinja_value jinja_replace(struct jinja_run *run, struct jinja_string text,
    struct jinja_string from, struct jinja_string to, int64_t count);
enum jinja_case { CASE_UPPER, CASE_LOWER, CASE_TITLE, CASE_CAPITALIZE };
struct jinja_value jinja_change_case(
    struct jinja_run *run, struct jinja_string text, enum jinja_case how);

#endif
