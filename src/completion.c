/* completion.c - what may end a line: commands, options, their values, names of the catalog, files.
 */

#include "config.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "src/command.h"
#include "src/workplace.h"

#define MAX_WORDS 64

struct words {
	char **items;
	size_t n;
};

static void
add(struct words *words, const char *text, const char *start)
{
	char **items;

	if (strncmp(text, start, strlen(start)) != 0)
		return;
	items = realloc(words->items, (words->n + 2) * sizeof *items);
	if (items == NULL)
		return;
	words->items = items;
	items[words->n] = strdup(text);
	if (items[words->n] != NULL)
		items[++words->n] = NULL;
}

static void
add_files(struct words *words, const char *start)
{
	char pattern[4096];
	glob_t found;

	snprintf(pattern, sizeof pattern, "%s*", start);
	if (glob(pattern, GLOB_MARK | GLOB_TILDE, NULL, &found) != 0)
		return;
	for (size_t i = 0; i < found.gl_pathc && i < 200; i++)
		add(words, found.gl_pathv[i], start);
	globfree(&found);
}

/* Names of the catalog; completion stays quiet when there is none. */
static void
add_names(struct context *ctx, struct words *words, const char *start)
{
	struct store_strings *names;
	struct store *store;

	(void)ctx;
	if (store_open(workplace_home(ctx), STORE_READ_ONLY, NULL, 0, &store) != STORE_OK)
		return;
	if (store_names(store, start, 200, &names) == STORE_OK) {
		for (size_t i = 0; i < names->n_rows; i++)
			add(words, names->rows[i], start);
		store_free(names);
	}
	store_close(store);
	add(words, "base", start);
}

static void
add_values(struct context *ctx, struct words *words, enum option_type type,
    const char *const *choices, const char *start)
{
	for (size_t i = 0; choices != NULL && choices[i] != NULL; i++)
		add(words, choices[i], start);
	if (type == OPTION_ADAPTER)
		add_names(ctx, words, start);
	if (type == OPTION_ADAPTER || type == OPTION_PATH || type == OPTION_MODEL)
		add_files(words, start);
}

static const struct option_spec *
find_option(const struct command *command, const char *word)
{
	const struct option_spec *tables[2] = { command->options, common_options };

	for (int t = 0; t < 2; t++)
		for (size_t i = 0; tables[t] != NULL && tables[t][i].name != NULL; i++)
			if ((strncmp(word, "--", 2) == 0 &&
				strcmp(tables[t][i].name, word + 2) == 0) ||
			    (word[0] == '-' && word[1] == tables[t][i].letter && word[1] != '\0' &&
				word[2] == '\0'))
				return &tables[t][i];
	return NULL;
}

static void
add_options(struct words *words, const struct command *command, const char *start)
{
	const struct option_spec *tables[2] = { command->options, common_options };
	char word[128];

	for (int t = 0; t < 2; t++)
		for (size_t i = 0; tables[t] != NULL && tables[t][i].name != NULL; i++) {
			snprintf(word, sizeof word, "--%s", tables[t][i].name);
			add(words, word, start);
		}
}

static void
complete(
    struct context *ctx, struct words *found, int n, const char *const *words, const char *start)
{
	const struct command *const *table = commands;
	const struct option_spec *option;
	int n_words;
	const struct command *command = command_find(n, words, &n_words);

	if (command != NULL && command->run != NULL) {
		option = n > n_words ? find_option(command, words[n - 1]) : NULL;
		if (option != NULL && option->type != OPTION_FLAG)
			add_values(ctx, found, option->type, option->choices, start);
		else if (start[0] == '-')
			add_options(found, command, start);
		else
			add_values(ctx, found, command->argument_type, NULL, start);
		return;
	}
	if (command != NULL)
		table = command->subcommands;
	for (size_t i = 0; n == n_words && table[i] != NULL; i++)
		add(found, table[i]->name, start);
}

char **
command_completions(struct context *ctx, const char *line)
{
	struct words found = { 0 };
	const char *words[MAX_WORDS], *start = "";
	char *copy = strdup(line), *rest = copy;
	size_t length = strlen(line);
	int n = 0;

	for (char *word; copy != NULL && (word = strsep(&rest, " \t")) != NULL && n < MAX_WORDS;)
		if (word[0] != '\0')
			words[n++] = word;
	/* The last word is what is being typed, unless a blank ended it. */
	if (n > 0 && length > 0 && line[length - 1] != ' ' && line[length - 1] != '\t')
		start = words[--n];
	complete(ctx, &found, n, words, start);
	free(copy);
	return found.items;
}

void
command_completions_free(char **words)
{
	for (size_t i = 0; words != NULL && words[i] != NULL; i++)
		free(words[i]);
	free(words);
}
