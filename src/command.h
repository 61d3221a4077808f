/*
 * src/command.h - the one table of commands.
 *
 * The shell (t2l merge ...), the workbench's ":" prompt, the REPL (/merge ...) and batch scripts
 * look up the same table; help, man page, completion and the checks of options are made from it. A
 * command is one file cmd-NAME.c with its options beside the function that runs it.
 */
#ifndef SRC_COMMAND_H
#define SRC_COMMAND_H

#include <stdbool.h>
#include <stddef.h>

#include "src/context.h"

enum option_type {
	OPTION_FLAG, /* --json; --no-json turns it off */
	OPTION_TEXT,
	OPTION_PATH,	/* completed as a file */
	OPTION_ADAPTER, /* path, catalog name, NAME:WEIGHT, mix a:0.5+b:0.5; completed from the
			   catalog */
	OPTION_MODEL,	/* path or a name the catalog knows */
	OPTION_INTEGER, /* within min .. max */
	OPTION_NUMBER,
	OPTION_CHOICE, /* one of choices */
	OPTION_NUMBERS /* 0.5,0.5 */
};

enum {
	REQUIRED = 1, /* must be given */
	MANY = 2 /* may be given more than once; for --adapters A B C: takes all words up to the
		    next option */
};

struct option_spec {
	const char *name; /* without the dashes; NULL ends the table */
	char letter;	  /* -o; 0: none */
	enum option_type type;
	unsigned flags;
	const char *help;	    /* one line */
	const char *argument;	    /* shown in help; NULL: by type */
	const char *fallback;	    /* value when neither given nor set; shown in help */
	const char *const *choices; /* NULL-terminated */
	double min, max;	    /* both 0: no limits */
	const char
	    *setting; /* key of the configuration that gives the value when not on the line */
	const char *excludes; /* options that may not stand beside it, divided by blanks */
};

struct command {
	const char *name;    /* "merge"; a subcommand's own name inside its parent */
	const char *summary; /* one line */
	const char *details; /* paragraphs for help and man page; NULL: none */
	const char *example; /* command lines, one a line; NULL: none */
	/* Words without dashes. arguments: as usage shows them ("NAME..."); counts; what they are,
	 * for completion. */
	const char *arguments;
	int min_arguments, max_arguments; /* max -1: any number */
	enum option_type argument_type;
	const struct option_spec *options;
	const struct command *const *subcommands; /* NULL-terminated; then run is NULL */
	/* -> exit status: 0 done, 1 failed, 2 wrong usage, 130 interrupted. Errors are told by
	 * context_fail(). */
	int (*run)(struct context *ctx, const struct options *options);
};

/* Each in its own cmd-*.c. */
extern const struct command command_generate, command_infer, command_compare, command_apply,
    command_merge, command_quantize, command_export, command_convert, command_import,
    command_catalog, command_train, command_evaluate, command_inspect, command_diff,
    command_validate, command_score, command_tokenize, command_chat_template, command_embed,
    command_batch, command_bench, command_config, command_version, command_help, command_workbench;

extern const struct command *const commands[]; /* NULL-terminated, in the order of help */

/* The command of a line's first words; *n_words: how many it took. NULL: none. */
const struct command *command_find(int argc, const char *const *argv, int *n_words);
/* Parses options and runs: what main, the REPL, batch and the workbench call. ARGV starts at the
 * command. */
int command_run(struct context *ctx, int argc, const char *const *argv);
/* The FILE of a --config on the line, which decides what options fall back on; NULL: none. Commands
 * that have a --config of their own (train: the recipe) keep it. */
const char *command_settings_file(int argc, const char *const *argv);
/* Splits a line as the shell does (quotes, backslash; no variables). -> words, NULL-terminated,
 * command_completions_free(); NULL after telling what is wrong. */
char **command_words(struct context *ctx, const char *line, int *n);
/* Splits a line and runs it. */
int command_run_line(struct context *ctx, const char *line);
/* Words that may stand at the end of LINE, NULL-terminated; command_completions_free(). For
 * readline and the workbench. */
char **command_completions(struct context *ctx, const char *line);
void command_completions_free(char **words);

/* Options every command has (--json, --quiet, ...). */
extern const struct option_spec common_options[];

#endif
