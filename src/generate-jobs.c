/* generate-jobs.c - what t2l generate is asked for: a sentence, or the lines of a batch file. */

#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "src/generate-jobs.h"

#define MAX_BATCH_BYTES ((size_t)64 << 20)

bool
generate_jobs_add(struct context *ctx, struct generate_jobs *jobs, const char *task,
    const char *name, const char *output, size_t line)
{
	struct generate_job *items = realloc(jobs->items, (jobs->n + 1) * sizeof *items);
	struct generate_job *job;

	if (items == NULL)
		return context_fail(ctx, "out of memory"), false;
	jobs->items = items;
	job = &items[jobs->n++];
	*job = (struct generate_job){ strdup(task), name ? strdup(name) : NULL,
		output ? strdup(output) : NULL, line };
	if (job->task == NULL || (name && job->name == NULL) || (output && job->output == NULL))
		return context_fail(ctx, "out of memory"), false;
	return true;
}

void
generate_jobs_free(struct generate_jobs *jobs)
{
	for (size_t i = 0; i < jobs->n; i++) {
		free(jobs->items[i].task);
		free(jobs->items[i].name);
		free(jobs->items[i].output);
	}
	free(jobs->items);
}

/* A text member of a JSON line; false when it is there but no text. */
static bool
member(const cJSON *object, const char *key, const char **text)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);

	*text = cJSON_IsString(item) ? item->valuestring : NULL;
	return item == NULL || cJSON_IsString(item);
}

static bool
read_json_line(struct context *ctx, const char *path, struct generate_jobs *jobs, const char *line,
    size_t n, size_t number)
{
	cJSON *object = cJSON_ParseWithLength(line, n);
	const char *task, *name, *output;
	bool fine = cJSON_IsObject(object) && member(object, "task", &task) &&
		    member(object, "name", &name) && member(object, "output", &output) &&
		    task != NULL;

	if (!fine)
		context_fail(
		    ctx, "%s line %zu: an object with a text \"task\" is wanted", path, number);
	else
		fine = generate_jobs_add(ctx, jobs, task, name, output, number);
	cJSON_Delete(object);
	return fine;
}

bool
generate_jobs_read(struct context *ctx, struct generate_jobs *jobs, const char *path)
{
	size_t n, number = 0;
	char *text = read_whole_file(path, MAX_BATCH_BYTES, &n), *rest = text;
	bool fine = text != NULL;

	if (!fine)
		context_fail(ctx, "cannot read '%s': %s", path, strerror(errno));
	for (char *line; fine && (line = strsep(&rest, "\n")) != NULL;) {
		size_t length = strlen(line);

		number++;
		if (length > 0 && line[length - 1] == '\r')
			line[--length] = '\0';
		if (line[0] == '{')
			fine = read_json_line(ctx, path, jobs, line, length, number);
		else if (line[strspn(line, " \t")] != '\0')
			fine = generate_jobs_add(ctx, jobs, line, NULL, NULL, number);
	}
	if (fine && jobs->n == 0)
		fine = (context_fail(ctx, "'%s' holds no task", path), false);
	free(text);
	return fine;
}
