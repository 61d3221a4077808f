/* t2l batch - a file of commands. */

#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/atomic-file.h"
#include "base/buffer.h"
#include "base/file.h"
#include "base/hash.h"
#include "src/command.h"
#include "src/options.h"
#include "src/workplace.h"

#define MAX_BYTES ((size_t)64 << 20)

static const struct option_spec options[] = {
	{ "keep-going", 0, OPTION_FLAG, 0, "go on after a line that failed" },
	{ "resume", 0, OPTION_FLAG, 0,
	    "skip the lines that were done in an earlier run of this file" },
	{ 0 },
};

/* FILE.done holds the hash of the file and how many lines are done, so that a changed file starts
 * anew. */
static void
mark_path(const char *file, char *path, size_t size)
{
	snprintf(path, size, "%s.done", file);
}

static size_t
lines_done(const char *file, const char *hash)
{
	char path[4096], stored[HASH_HEX_SIZE];
	unsigned long long n = 0;
	char *text;

	mark_path(file, path, sizeof path);
	text = read_whole_file(path, 4096, NULL);
	if (text == NULL || sscanf(text, "%64s %llu", stored, &n) != 2 || strcmp(stored, hash) != 0)
		n = 0;
	free(text);
	return (size_t)n;
}

static bool
mark_done(const char *file, const char *hash, size_t n)
{
	char path[4096], text[128];

	mark_path(file, path, sizeof path);
	snprintf(text, sizeof text, "%s %zu\n", hash, n);
	return atomic_write(path, text, strlen(text)) == 0;
}

/* {"command":"merge","adapters":["a","b"],"output":"x"} as words: lists repeat the option, true is
 * a flag. */
static int
run_object(struct context *ctx, const cJSON *object)
{
	const cJSON *name = cJSON_GetObjectItemCaseSensitive(object, "command"), *item, *entry;
	const char *words[256];
	char *made[256];
	int n = 0, n_made = 0, status;

	if (!cJSON_IsString(name))
		return context_usage(ctx, "an object wants a text \"command\"");
	char *first = strdup(name->valuestring), *rest = first;

	for (char *word; first != NULL && (word = strsep(&rest, " ")) != NULL && n < 8;)
		if (word[0] != '\0')
			words[n++] = word;
	cJSON_ArrayForEach(item, object)
	{
		const cJSON *list = cJSON_IsArray(item) ? item->child : item;

		for (entry = list; item != name && entry != NULL && n + 2 < 256;
		     entry = entry->next) {
			char *option = NULL, *value = NULL;
			bool argument = strcmp(item->string, "arguments") == 0;

			if (cJSON_IsString(entry))
				value = strdup(entry->valuestring);
			else if (cJSON_IsNumber(entry))
				value = cJSON_PrintUnformatted(entry);
			if (asprintf(&option, "--%s%s", cJSON_IsFalse(entry) ? "no-" : "",
				item->string) < 0)
				option = NULL;
			if (!argument && option != NULL)
				words[n++] = option;
			if (value != NULL)
				words[n++] = value;
			made[n_made++] = option;
			made[n_made++] = value;
			if (!cJSON_IsArray(item))
				break;
		}
	}
	status = command_run(ctx, n, words);
	for (int i = 0; i < n_made; i++)
		free(made[i]);
	free(first);
	return status;
}

static int
run_line(struct context *ctx, const char *line)
{
	cJSON *object;
	int status;

	line += strspn(line, " \t");
	if (*line != '{')
		return command_run_line(ctx, line);
	object = cJSON_Parse(line);
	status = cJSON_IsObject(object) ? run_object(ctx, object)
					: context_usage(ctx, "no valid JSON object");
	cJSON_Delete(object);
	return status;
}

static int
batch_run(struct context *ctx, const struct options *opt)
{
	const char *file = option_argument(opt, 0);
	bool standard_input = strcmp(file, "-") == 0;
	char hash[HASH_HEX_SIZE], *text, *rest;
	size_t n, number = 0, failed = 0, done;
	int worst = 0;

	text = rest = read_whole_file(standard_input ? "/dev/stdin" : file, MAX_BYTES, &n);
	if (text == NULL)
		return context_fail(ctx, "cannot read '%s': %s", file, strerror(errno));
	hash_sha256_hex(text, n, hash);
	done = option_flag(opt, "resume") && !standard_input ? lines_done(file, hash) : 0;
	for (char *line; (line = strsep(&rest, "\n")) != NULL && !atomic_load(ctx->cancelled);) {
		int status;

		if (++number <= done || line[strspn(line, " \t\r")] == '\0')
			continue;
		status = run_line(ctx, line);
		if (status != 0) {
			failed++;
			worst = status > worst ? status : worst;
			context_fail(ctx, "%s line %zu: exit status %d", file, number, status);
			if (!option_flag(opt, "keep-going"))
				break;
		} else if (failed == 0 && !standard_input && option_flag(opt, "resume") &&
			   !mark_done(file, hash, number)) {
			worst =
			    context_fail(ctx, "cannot write '%s.done': %s", file, strerror(errno));
			break;
		}
	}
	free(text);
	return atomic_load(ctx->cancelled) ? 130 : worst;
}

const struct command command_batch = {
	.name = "batch",
	.summary = "a file of commands",
	.details =
	    "One command a line as on the shell, or a JSON object "
	    "{\"command\":\"merge\",\"adapters\":[..]}. What one "
	    "line opened the next ones find open. The exit status is the worst of the lines'.",
	.example = "t2l batch nightly.t2l --keep-going --json",
	.arguments = "FILE",
	.min_arguments = 1,
	.max_arguments = 1,
	.argument_type = OPTION_PATH,
	.options = options,
	.run = batch_run,
};
