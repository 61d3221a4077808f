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
#include "src/batch-workers.h"
#include "src/command.h"
#include "src/input.h"
#include "src/options.h"
#include "src/workplace.h"

#define MAX_BYTES ((size_t)64 << 20)

static const struct option_spec options[] = {
	{ "keep-going", 0, OPTION_FLAG, 0, "go on after a line that failed" },
	{ "resume", 0, OPTION_FLAG, 0,
	    "skip the lines that were done in an earlier run of this file" },
	{ "workers", 'w', OPTION_INTEGER, 0,
	    "lines at once, each in a process of its own; they must not need one another",
	    .fallback = "1", .min = 1, .max = 256 },
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

/* ---- a line as words ---- */

struct words {
	char **items; /* NULL behind the last */
	int n;
	bool failed;
};

/* Takes WORD, which NULL says there was no memory for. */
static void
add_word(struct words *words, char *word)
{
	char **items = realloc(words->items, ((size_t)words->n + 2) * sizeof *items);

	if (items != NULL)
		words->items = items;
	if (items == NULL || word == NULL) {
		words->failed = true;
		free(word);
		return;
	}
	items[words->n++] = word;
	items[words->n] = NULL;
}

static void
words_free(struct words *words)
{
	for (int i = 0; i < words->n; i++)
		free(words->items[i]);
	free(words->items);
	*words = (struct words){ 0 };
}

/* A text or number with PREFIX before it; false when VALUE is neither. */
static bool
add_value(struct words *words, const char *prefix, const cJSON *value)
{
	char *number = cJSON_IsNumber(value) ? cJSON_PrintUnformatted(value) : NULL, *word;

	if (!cJSON_IsString(value) && !cJSON_IsNumber(value))
		return false;
	if (asprintf(&word, "%s%s", prefix, number ? number : value->valuestring) < 0)
		word = NULL;
	cJSON_free(number);
	add_word(words, word);
	return true;
}

/* "weights":"0.5,0.5" is --weights=0.5,0.5; a list repeats the option; true and false are flags. */
static bool
add_item(struct words *words, const cJSON *item)
{
	const cJSON *entry;
	char *prefix = NULL, *flag = NULL;
	bool fine = true;

	if (cJSON_IsBool(item)) {
		if (asprintf(&flag, "--%s%s", cJSON_IsFalse(item) ? "no-" : "", item->string) < 0)
			flag = NULL;
		add_word(words, flag);
		return true;
	}
	if (asprintf(&prefix, "--%s=", item->string) < 0) {
		words->failed = true;
		return true;
	}
	if (!cJSON_IsArray(item))
		fine = add_value(words, prefix, item);
	else
		cJSON_ArrayForEach(entry, item) fine = fine && add_value(words, prefix, entry);
	free(prefix);
	return fine;
}

/* {"command":"merge","adapters":["a","b"],"output":"x"}; "arguments" are the words without dashes.
 */
static bool
object_words(struct context *ctx, const cJSON *object, struct words *words)
{
	const cJSON *name = cJSON_GetObjectItemCaseSensitive(object, "command"), *item, *entry;
	const cJSON *arguments = cJSON_GetObjectItemCaseSensitive(object, "arguments");
	bool fine;

	if (!cJSON_IsString(name)) {
		context_usage(ctx, "an object wants a text \"command\"");
		return false;
	}
	char *first = strdup(name->valuestring), *rest = first;

	words->failed = first == NULL;
	for (char *word; first != NULL && (word = strsep(&rest, " ")) != NULL;)
		if (word[0] != '\0')
			add_word(words, strdup(word));
	free(first);
	cJSON_ArrayForEach(item, object)
	{
		if (item == name || item == arguments || add_item(words, item))
			continue;
		context_usage(ctx,
		    "\"%s\" wants a text, a number, true, false, or a list of texts and numbers",
		    item->string);
		return false;
	}
	if (arguments == NULL)
		return true;
	add_word(words, strdup("--"));
	fine = cJSON_IsArray(arguments) || add_value(words, "", arguments);
	if (cJSON_IsArray(arguments))
		cJSON_ArrayForEach(entry, arguments) fine = fine && add_value(words, "", entry);
	if (!fine)
		context_usage(ctx, "\"arguments\" wants texts and numbers");
	return fine;
}

/* False after telling; no words: a comment. */
static bool
line_words(struct context *ctx, const char *line, struct words *words)
{
	cJSON *object;
	bool fine;

	line += strspn(line, " \t");
	if (*line != '{') {
		words->items = command_words(ctx, line, &words->n);
		return words->items != NULL;
	}
	object = cJSON_Parse(line);
	if (cJSON_IsObject(object))
		fine = object_words(ctx, object, words);
	else
		fine = (context_usage(ctx, "no valid JSON object"), false);
	cJSON_Delete(object);
	if (fine && words->failed)
		fine = (context_fail(ctx, "out of memory"), false);
	return fine;
}

/* ---- running ---- */

struct batch {
	struct context *ctx;
	const char *file;
	char hash[HASH_HEX_SIZE];
	bool keep_going, mark;
	struct batch_workers *workers; /* NULL: every line in this process */
	size_t n_failed;
	int worst;
};

/* What came of line NUMBER. False: stop here. */
static bool
take_status(struct batch *batch, size_t number, int status)
{
	if (status != 0) {
		batch->n_failed++;
		batch->worst = status > batch->worst ? status : batch->worst;
		context_fail(
		    batch->ctx, "%s line %zu: exit status %d", batch->file, number, status);
		return batch->keep_going;
	}
	if (batch->n_failed > 0 || !batch->mark || mark_done(batch->file, batch->hash, number))
		return true;
	batch->worst =
	    context_fail(batch->ctx, "cannot write '%s.done': %s", batch->file, strerror(errno));
	return false;
}

/* The words as a line of the shell: this run's own --json and the like go behind the command. */
static bool
start_worker(struct batch *batch, const struct words *words, size_t number)
{
	const char **line = calloc((size_t)words->n + 8, sizeof *line);
	int n_words, n = 0;
	bool fine = line != NULL;

	if (!fine) {
		context_fail(batch->ctx, "out of memory");
		return false;
	}
	command_find(words->n, (const char *const *)words->items, &n_words);
	line[n++] = "t2l";
	for (int i = 0; i < words->n; i++) {
		line[n++] = words->items[i];
		if (i + 1 != n_words)
			continue;
		if (batch->ctx->json)
			line[n++] = "--json";
		if (batch->ctx->quiet)
			line[n++] = "--quiet";
		if (batch->ctx->verbose)
			line[n++] = "--verbose";
	}
	fine = batch_workers_start(batch->workers, line, number);
	free(line);
	return fine;
}

/* Takes what has ended; with WAIT all there is. */
static bool
take_ended(struct batch *batch, bool wait)
{
	size_t number;
	int status;
	bool go_on = true;

	while (batch->workers != NULL && batch_workers_next(batch->workers, wait, &number, &status))
		go_on = take_status(batch, number, status) && go_on;
	return go_on;
}

static bool
run_line(struct batch *batch, const char *line, size_t number)
{
	struct words words = { 0 };
	/* "t2l merge ..." as on the shell is fine too. */
	int skip, status = 2;
	bool go_on;

	if (!line_words(batch->ctx, line, &words)) {
		words_free(&words);
		return take_status(batch, number, status);
	}
	skip = words.n > 0 && strcmp(words.items[0], "t2l") == 0;
	struct words rest = { words.items + skip, words.n - skip, false };

	if (rest.n == 0) {
		go_on = true;
	} else if (batch->workers == NULL) {
		status = command_run(batch->ctx, rest.n, (const char *const *)rest.items);
		go_on = take_status(batch, number, status);
	} else if (strcmp(rest.items[0], "batch") == 0) {
		/* Nothing would stop a file that runs itself. */
		context_usage(batch->ctx, "with --workers no line can be a batch itself");
		go_on = take_status(batch, number, status);
	} else {
		go_on = start_worker(batch, &rest, number) && take_ended(batch, false);
	}
	words_free(&words);
	return go_on;
}

static int
batch_run(struct context *ctx, const struct options *opt)
{
	struct batch batch = { .ctx = ctx,
		.file = option_argument(opt, 0),
		.keep_going = option_flag(opt, "keep-going") };
	bool standard_input = strcmp(batch.file, "-") == 0, go_on = true;
	size_t n, number = 0, done, n_workers = (size_t)option_integer(opt, "workers");
	char *text, *rest;

	text = rest = read_input(ctx, batch.file, MAX_BYTES, &n);
	if (text == NULL)
		return 1;
	hash_sha256_hex(text, n, batch.hash);
	batch.mark = option_flag(opt, "resume") && !standard_input;
	done = batch.mark ? lines_done(batch.file, batch.hash) : 0;
	if (n_workers > 1 && (batch.workers = batch_workers_new(ctx, n_workers)) == NULL)
		go_on = (batch.worst = 1, false);
	for (char *line;
	     go_on && (line = strsep(&rest, "\n")) != NULL && !atomic_load(ctx->cancelled);)
		if (++number > done && line[strspn(line, " \t\r")] != '\0')
			go_on = run_line(&batch, line, number);
	take_ended(&batch, true);
	batch_workers_free(batch.workers);
	free(text);
	return atomic_load(ctx->cancelled) ? 130 : batch.worst;
}

const struct command command_batch = {
	.name = "batch",
	.summary = "a file of commands",
	.details = "One command a line as on the shell, or a JSON object "
		   "{\"command\":\"merge\",\"adapters\":[..]}. What one "
		   "line opened the next ones find open. What the lines write stands in their "
		   "order. The exit "
		   "status is the worst of the lines'.",
	.example = "t2l batch nightly.t2l --keep-going --json",
	.arguments = "FILE",
	.min_arguments = 1,
	.max_arguments = 1,
	.argument_type = OPTION_PATH,
	.options = options,
	.run = batch_run,
};
