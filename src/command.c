/* command.c - finds commands in the table, runs them, completes and splits their lines. */

#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/edit-distance.h"
#include "src/command.h"
#include "src/help.h"
#include "src/options.h"
#include "src/settings.h"

#define MAX_DEPTH 8

const struct option_spec common_options[] = {
	{ "json", 0, OPTION_FLAG, 0, "results as JSON, one object a line" },
	{ "quiet", 'q', OPTION_FLAG, 0, "no progress, no notes" },
	{ "verbose", 'v', OPTION_FLAG, 0, "say more on stderr" },
	{ "help", 'h', OPTION_FLAG, 0, "this text" },
	{ 0 },
};

const struct command *
command_find(int argc, const char *const *argv, int *n_words)
{
	const struct command *const *table = commands;
	const struct command *found = NULL;

	*n_words = 0;
	while (*n_words < argc && table != NULL) {
		const struct command *next = NULL;

		for (size_t i = 0; table[i] != NULL && next == NULL; i++)
			if (strcmp(table[i]->name, argv[*n_words]) == 0)
				next = table[i];
		if (next == NULL)
			break;
		found = next;
		table = next->subcommands;
		(*n_words)++;
	}
	return found;
}

/* "catalog show" into NAME: what messages call a command. */
static void
full_name(int n_words, const char *const *argv, char *name, size_t size)
{
	name[0] = '\0';
	for (int i = 0; i < n_words; i++) {
		size_t used = strlen(name);

		snprintf(name + used, size - used, "%s%s", i ? " " : "", argv[i]);
	}
}

static int
run_parsed(struct context *ctx, const struct command *command, const struct options *options)
{
	bool json = ctx->json, quiet = ctx->quiet, verbose = ctx->verbose;
	int status;

	if (option_flag(options, "help")) {
		help_command(ctx, command, ctx->command);
		return 0;
	}
	ctx->json = json || option_flag(options, "json");
	ctx->quiet = quiet || option_flag(options, "quiet");
	ctx->verbose = verbose || option_flag(options, "verbose");
	status = command->run(ctx, options);
	progress(ctx, NULL, -1, 0, NULL, -1);
	ctx->json = json;
	ctx->quiet = quiet;
	ctx->verbose = verbose;
	return status;
}

static bool
wants_help(int argc, const char *const *argv)
{
	return argc > 0 && (strcmp(argv[0], "--help") == 0 || strcmp(argv[0], "-h") == 0);
}

/* WORD is none of TABLE's; BEHIND: the command whose subcommand it was to be, or "". */
static int
no_command(
    struct context *ctx, const struct command *const *table, const char *behind, const char *word)
{
	const bool option = word[0] == '-';
	struct nearest meant = nearest_to(word);

	for (; *table != NULL; table++)
		nearest_try(&meant, (*table)->name);
	return context_usage(ctx, "there is no %s'%s%s%s'%s%s%s",
	    option		? "option "
	    : behind[0] == '\0' ? "command "
				: "",
	    behind, behind[0] != '\0' ? " " : "", word,
	    meant.best != NULL ? "; did you mean '" : "", meant.best != NULL ? meant.best : "",
	    meant.best != NULL ? "'?" : "");
}

static int
run_one(struct context *ctx, int argc, const char *const *argv)
{
	const char *outer = ctx->command;
	char name[128];
	int n_words, status;
	const struct command *command = command_find(argc, argv, &n_words);
	struct options *options;

	if (command == NULL)
		return no_command(ctx, commands, "", argc > 0 ? argv[0] : "");
	full_name(n_words, argv, name, sizeof name);
	ctx->command = name;
	if (command->run == NULL) {
		if (wants_help(argc - n_words, argv + n_words)) {
			help_command(ctx, command, name);
			status = 0;
		} else if (n_words < argc) {
			status = no_command(ctx, command->subcommands, name, argv[n_words]);
		} else {
			status = context_usage(ctx, "what of it? One of its commands is wanted");
		}
	} else {
		options = options_parse(ctx, command, argc - n_words, argv + n_words);
		status = options == NULL ? 2 : run_parsed(ctx, command, options);
		options_free(options);
	}
	ctx->command = outer;
	return status;
}

const char *
command_settings_file(int argc, const char *const *argv)
{
	if (argc > 0 && (strcmp(argv[0], "train") == 0 || strcmp(argv[0], "config") == 0))
		return NULL;
	for (int i = 1; i < argc; i++) {
		if (strncmp(argv[i], "--config=", 9) == 0)
			return argv[i] + 9;
		if (strcmp(argv[i], "--config") == 0 && i + 1 < argc)
			return argv[i + 1];
	}
	return NULL;
}

/* A line inside a batch, the REPL or the workbench: its own --config counts for it alone. */
static int
run_nested(struct context *ctx, int argc, const char *const *argv)
{
	const char *file = command_settings_file(argc, argv);
	struct settings *outer = ctx->settings;
	char message[2048];
	int status;

	if (ctx->depth >= MAX_DEPTH)
		return context_fail(
		    ctx, "commands run one another %d deep; does a file run itself?", MAX_DEPTH);
	if (file != NULL) {
		ctx->settings = settings_load(file, message, sizeof message);
		if (ctx->settings == NULL) {
			ctx->settings = outer;
			context_fail(ctx, "%s", message);
			return 2;
		}
	}
	ctx->depth++;
	status = run_one(ctx, argc, argv);
	ctx->depth--;
	if (ctx->settings != outer)
		settings_free(ctx->settings);
	ctx->settings = outer;
	return status;
}

int
command_run(struct context *ctx, int argc, const char *const *argv)
{
	return ctx->command != NULL ? run_nested(ctx, argc, argv) : run_one(ctx, argc, argv);
}
/* ---- lines ---- */

/* Splits LINE in place as a shell does: blanks, '..', "..", backslash, # begins a comment; no
 * variables. -> number of words, -1: a quote is open. WORDS has room for half of LINE's bytes. */
static int
split(char *line, char **words)
{
	char *to = line;
	int n = 0;

	for (char *at = line; *at != '\0';) {
		char quote = '\0';

		while (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r')
			at++;
		if (*at == '\0' || *at == '#')
			break;
		words[n++] = to;
		for (; *at != '\0'; at++) {
			if (quote == '\0' && strchr(" \t\n\r", *at) != NULL)
				break;
			if (quote == '\0' && (*at == '\'' || *at == '"')) {
				quote = *at;
			} else if (quote != '\0' && *at == quote) {
				quote = '\0';
			} else {
				if (*at == '\\' && quote != '\'' && at[1] != '\0')
					at++;
				*to++ = *at;
			}
		}
		if (quote != '\0')
			return -1;
		if (*at != '\0')
			at++;
		*to++ = '\0';
	}
	return n;
}

char **
command_words(struct context *ctx, const char *line, int *n_words)
{
	size_t length = strlen(line);
	char *copy = malloc(length + 2);
	char **found = malloc((length / 2 + 2) * sizeof *found);
	char **words = NULL;
	int n;

	*n_words = 0;
	if (copy == NULL || found == NULL) {
		context_fail(ctx, "out of memory");
		goto out;
	}
	strcpy(copy, line);
	n = split(copy, found);
	if (n < 0) {
		context_usage(ctx, "a quote is open in: %s", line);
		goto out;
	}
	words = calloc((size_t)n + 1, sizeof *words);
	for (; words != NULL && *n_words < n; ++*n_words)
		if ((words[*n_words] = strdup(found[*n_words])) == NULL)
			break;
	if (words == NULL || *n_words < n) {
		command_completions_free(words);
		words = NULL;
		context_fail(ctx, "out of memory");
	}
out:
	free(copy);
	free(found);
	return words;
}

int
command_run_line(struct context *ctx, const char *line)
{
	int n, status = 0;
	char **words = command_words(ctx, line, &n);

	if (words == NULL)
		return 2;
	/* "t2l merge ..." as on the shell is fine too. */
	int skip = n > 0 && strcmp(words[0], "t2l") == 0;

	if (n > skip)
		status = command_run(ctx, n - skip, (const char *const *)words + skip);
	command_completions_free(words);
	return status;
}
