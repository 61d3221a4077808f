/*
 * src/context.h - what a command gets: where its results go, the configuration, and the workplace.
 *
 * Results go to ctx->out: a terminal or pipe, JSON lines, or a pane of the workbench. Progress and
 * logs go to ctx->log. The workplace (src/workplace.h) opens engine, base, encoder, hypernets and
 * catalog when first asked and keeps them, so that a second command in the same process is quick.
 */
#ifndef SRC_CONTEXT_H
#define SRC_CONTEXT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include <cjson/cJSON.h>

struct settings;  /* src/settings.h */
struct workplace; /* src/workplace.h */
struct options;
struct t2l_error;

struct output {
	void (*write)(void *user, const char *bytes, size_t n);
	void *user;
	bool terminal; /* progress bars, colour, visible control characters */
	int columns;
};

struct context {
	struct output out, log;
	bool json, quiet, verbose;
	struct settings *settings;
	struct workplace *workplace;
	atomic_bool *cancelled; /* set by SIGINT or Esc; long work looks at it */
	const char *command;	/* name of the running one, for messages */
	int depth;		/* commands that are run by commands: batch files, the REPL */
	bool bar_shown;		/* a progress bar stands on the log's line */
	double bar_drawn_s;
};

/* Human results; nothing when --json. */
void say(struct context *ctx, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The same for text that came from a model or a file: control characters made visible on a
 * terminal. */
void say_text(struct context *ctx, const char *text, size_t n);
/* One JSON object as a line, only with --json; OBJECT is freed. */
void say_json(struct context *ctx, cJSON *object);
/* To ctx->log unless --quiet. */
void note(struct context *ctx, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* "t2l merge: MESSAGE" to the log; returns 1. */
int context_fail(struct context *ctx, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* The same with an engine's error; returns 1, or 130 when it is T2L_ECANCELLED. */
int context_fail_error(struct context *ctx, const struct t2l_error *err);
/* Wrong usage: returns 2 and points to --help. */
int context_usage(struct context *ctx, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* A bar on the log while something long runs (only on a terminal, not with --quiet). done < 0 ends
 * it. */
void progress(
    struct context *ctx, const char *what, double done, double all, const char *unit, double eta_s);

/* A table for people: rows of cells, columns as wide as needed, cut to the terminal. */
struct table;
struct table *table_new(const char *const *headings); /* NULL-terminated */
void table_row(struct table *table, const char *const *cells);
void table_print(struct context *ctx, struct table *table); /* and frees it */

#endif
