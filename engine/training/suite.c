/* suite.c - reads a task suite: tasks with their descriptions, training pairs and test items. */

#define _GNU_SOURCE /* qsort_r */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "engine/error.h"
#include "engine/training/suite.h"

#define MAX_LINE_BYTES (1 << 20)
#define MAX_TASKS 100000
#define MAX_PIPED_BYTES ((size_t)256 << 20)

char *
suite_keep(struct t2l_suite *suite, const char *text)
{
	size_t n = strlen(text) + 1;
	char *copy = arena_alloc(suite->arena, n);

	return copy == NULL ? NULL : memcpy(copy, text, n);
}

static enum t2l_status
out_of_memory(struct t2l_error *err)
{
	return t2l_fail(err, T2L_ENOMEM, "task suite: out of memory");
}

static enum t2l_status
read_line(struct t2l_suite *suite, const char *line, size_t n, const char *where,
    suite_line_reader *reader, void *user, struct t2l_error *err)
{
	cJSON *object;
	enum t2l_status status;

	if (n > MAX_LINE_BYTES)
		return t2l_fail(err, T2L_EFORMAT, "%s: the line is longer than 1 MiB", where);
	status = json_parse(line, n, where, &object, err);
	if (status != T2L_OK)
		return status;
	if (!cJSON_IsObject(object))
		status = t2l_fail(err, T2L_EFORMAT, "%s: a JSON object is wanted", where);
	else
		status = reader(suite, object, where, user, err);
	cJSON_Delete(object);
	return status;
}

/* A file is mapped. The suite itself may be a pipe, which is read to its end: *PIPED is then to be
 * freed. One inside of a folder is not waited for. -1 with errno. */
static int
open_lines(const struct t2l_suite *suite, const char *path, struct mapped_file *file, char **piped)
{
	*piped = NULL;
	if (mapped_file_open(path, file) == 0)
		return 0;
	if (errno != ENODEV || strcmp(path, suite->path) != 0)
		return -1;
	*file = (struct mapped_file){ 0 };
	*piped = read_whole_file(path, MAX_PIPED_BYTES, &file->n);
	file->bytes = (const uint8_t *)*piped;
	return *piped != NULL ? 0 : -1;
}

enum t2l_status
suite_read_lines(struct t2l_suite *suite, const char *path, bool required,
    suite_line_reader *reader, void *user, struct t2l_error *err)
{
	char where[4200];
	struct mapped_file file;
	enum t2l_status status = T2L_OK;
	size_t line_number = 0;
	char *piped;

	if (open_lines(suite, path, &file, &piped) != 0) {
		if (!required && errno == ENOENT)
			return T2L_OK;
		return t2l_fail_errno(err, "task suite: cannot read '%s'", path);
	}
	for (size_t at = 0; at < file.n && status == T2L_OK;) {
		const char *line = (const char *)file.bytes + at;
		const char *end = memchr(line, '\n', file.n - at);
		size_t n = end ? (size_t)(end - line) : file.n - at;

		at += n + 1;
		snprintf(where, sizeof where, "%s line %zu", path, ++line_number);
		if (n > 0 && !(n == 1 && line[0] == '\r'))
			status = read_line(suite, line, n, where, reader, user, err);
	}
	if (piped == NULL)
		mapped_file_close(&file);
	free(piped);
	return status;
}

static bool
holds(const cJSON *list, const char *text)
{
	const cJSON *item;

	cJSON_ArrayForEach(item, list)
	{
		if (cJSON_IsString(item) && strcmp(item->valuestring, text) == 0)
			return true;
	}
	return false;
}

/* BY_EXAMPLE: sentences to leave out, since they only show an example of the task. */
static enum t2l_status
read_tier(struct t2l_suite *suite, const cJSON *list, const cJSON *by_example,
    struct t2l_suite_tier *tier, const char *where, struct t2l_error *err)
{
	const cJSON *item;
	int n = cJSON_GetArraySize(list);

	if (!cJSON_IsArray(list))
		return t2l_fail(err, T2L_EFORMAT, "%s: descriptions '%s' must be a list of strings",
		    where, list->string);
	*tier = (struct t2l_suite_tier){ .name = suite_keep(suite, list->string) };
	tier->texts = arena_alloc(suite->arena, (size_t)(n + 1) * sizeof *tier->texts);
	if (tier->name == NULL || tier->texts == NULL)
		return out_of_memory(err);
	cJSON_ArrayForEach(item, list)
	{
		if (!cJSON_IsString(item) || item->valuestring[0] == '\0')
			return t2l_fail(err, T2L_EFORMAT,
			    "%s: descriptions '%s' hold something that is no text", where,
			    list->string);
		if (holds(by_example, item->valuestring))
			continue;
		tier->texts[tier->n] = suite_keep(suite, item->valuestring);
		if (tier->texts[tier->n++] == NULL)
			return out_of_memory(err);
	}
	return T2L_OK;
}

static enum t2l_status
read_tiers(struct t2l_suite *suite, const cJSON *tiers, const cJSON *by_example,
    struct t2l_suite_task *task, const char *where, struct t2l_error *err)
{
	enum t2l_status status = T2L_OK;
	const cJSON *list;
	int n = tiers ? cJSON_GetArraySize(tiers) : 0;

	task->tiers = arena_alloc_zero(suite->arena, (size_t)(n + 1) * sizeof *task->tiers);
	if (task->tiers == NULL)
		return out_of_memory(err);
	cJSON_ArrayForEach(list, tiers)
	{
		status =
		    read_tier(suite, list, by_example, &task->tiers[task->n_tiers++], where, err);
		if (status != T2L_OK)
			break;
	}
	return status;
}

static enum t2l_status
grow_tasks(struct t2l_suite *suite, const char *where, struct t2l_error *err)
{
	size_t n = suite->n_allocated ? 2 * suite->n_allocated : 64;
	struct t2l_suite_task *tasks;
	struct example_list(*lists)[N_EXAMPLE_KINDS];

	if (suite->n < suite->n_allocated)
		return T2L_OK;
	if (suite->n >= MAX_TASKS)
		return t2l_fail(err, T2L_EFORMAT, "%s: more than %d tasks", where, MAX_TASKS);
	tasks = realloc(suite->tasks, n * sizeof *tasks);
	if (tasks == NULL)
		return out_of_memory(err);
	suite->tasks = tasks;
	lists = realloc(suite->lists, n * sizeof *lists);
	if (lists == NULL)
		return out_of_memory(err);
	suite->lists = lists;
	suite->n_allocated = n;
	return T2L_OK;
}

enum t2l_status
suite_add_task(struct t2l_suite *suite, const struct t2l_suite_task *task, const char *where,
    struct t2l_error *err)
{
	struct t2l_suite_task *own;
	enum t2l_status status = grow_tasks(suite, where, err);

	if (status != T2L_OK)
		return status;
	own = &suite->tasks[suite->n];
	*own = *task;
	own->id = suite_keep(suite, task->id);
	own->op = suite_keep(suite, task->op);
	own->group = suite_keep(suite, task->group);
	if (own->id == NULL || own->op == NULL || own->group == NULL)
		return out_of_memory(err);
	memset(suite->lists[suite->n++], 0, sizeof suite->lists[0]);
	return T2L_OK;
}

static enum t2l_status
read_task(struct t2l_suite *suite, const cJSON *object, const char *where, void *user,
    struct t2l_error *err)
{
	const char *id = NULL, *op = "", *group = "";
	const cJSON *tiers = NULL, *by_example = NULL;
	struct t2l_suite_task task = { .train = true, .pretrain = true, .weight = 1 };
	enum t2l_status status;

	(void)user;
	if ((status = json_string(object, "id", JSON_REQUIRED, where, &id, err)) != T2L_OK ||
	    (status = json_string(object, "op", JSON_OPTIONAL, where, &op, err)) != T2L_OK ||
	    (status = json_string(object, "group", JSON_OPTIONAL, where, &group, err)) != T2L_OK ||
	    (status = json_bool(object, "train", JSON_OPTIONAL, where, &task.train, err)) !=
		T2L_OK ||
	    (status = json_bool(object, "pretrain", JSON_OPTIONAL, where, &task.pretrain, err)) !=
		T2L_OK ||
	    (status = json_number(
		 object, "weight", JSON_OPTIONAL, 0, 1000, where, &task.weight, err)) != T2L_OK ||
	    (status = json_object(object, "descriptions", JSON_OPTIONAL, where, &tiers, err)) !=
		T2L_OK ||
	    (status = json_array(object, "by_example", JSON_OPTIONAL, where, &by_example, err)) !=
		T2L_OK ||
	    (status = read_tiers(suite, tiers, by_example, &task, where, err)) != T2L_OK)
		return status;
	task.id = id;
	task.op = op;
	task.group = group;
	return suite_add_task(suite, &task, where, err);
}

/* qsort_r's order of BY_ID. */
static int
compare_ids(const void *a, const void *b, void *suite)
{
	const struct t2l_suite_task *tasks = ((struct t2l_suite *)suite)->tasks;

	return strcmp(tasks[*(const size_t *)a].id, tasks[*(const size_t *)b].id);
}

enum t2l_status
suite_index(struct t2l_suite *suite, struct t2l_error *err)
{
	suite->by_id = malloc((suite->n + 1) * sizeof *suite->by_id);
	if (suite->by_id == NULL)
		return out_of_memory(err);
	for (size_t i = 0; i < suite->n; i++)
		suite->by_id[i] = i;
	qsort_r(suite->by_id, suite->n, sizeof *suite->by_id, compare_ids, suite);
	for (size_t i = 1; i < suite->n; i++)
		if (compare_ids(&suite->by_id[i - 1], &suite->by_id[i], suite) == 0)
			return t2l_fail(err, T2L_EFORMAT,
			    "task suite '%s': two tasks are called '%s'", suite->path,
			    suite->tasks[suite->by_id[i]].id);
	if (suite->n == 0)
		return t2l_fail(err, T2L_EFORMAT, "task suite '%s': it names no task", suite->path);
	return T2L_OK;
}

/* Index of the task, or SIZE_MAX. */
static size_t
find(const struct t2l_suite *suite, const char *id)
{
	size_t low = 0, high = suite->n;

	while (low < high) {
		size_t middle = (low + high) / 2;
		int order = strcmp(suite->tasks[suite->by_id[middle]].id, id);

		if (order == 0)
			return suite->by_id[middle];
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return SIZE_MAX;
}

static enum t2l_status
add_example(struct t2l_suite *suite, size_t task, enum example_kind kind,
    const struct t2l_suite_example *example, struct t2l_error *err)
{
	struct example_list *list = &suite->lists[task][kind];

	if (list->n == list->n_allocated) {
		size_t n = list->n_allocated ? 2 * list->n_allocated : 32;
		struct t2l_suite_example *items = realloc(list->items, n * sizeof *items);

		if (items == NULL)
			return out_of_memory(err);
		list->items = items;
		list->n_allocated = n;
	}
	list->items[list->n++] = *example;
	return T2L_OK;
}

/* The turns of a conversation, kept; *n of them. */
static enum t2l_status
read_messages(struct t2l_suite *suite, const cJSON *list, const char *where,
    struct t2l_message **out, size_t *n, struct t2l_error *err)
{
	struct t2l_message *messages;
	const cJSON *item;

	messages =
	    arena_alloc(suite->arena, (size_t)(cJSON_GetArraySize(list) + 1) * sizeof *messages);
	if (messages == NULL)
		return out_of_memory(err);
	*n = 0;
	cJSON_ArrayForEach(item, list)
	{
		const char *role, *content;
		enum t2l_status status;

		if (!cJSON_IsObject(item))
			return t2l_fail(err, T2L_EFORMAT,
			    "%s: a message is an object with \"role\" and \"content\"", where);
		if ((status = json_string(item, "role", JSON_REQUIRED, where, &role, err)) !=
			T2L_OK ||
		    (status = json_string(item, "content", JSON_REQUIRED, where, &content, err)) !=
			T2L_OK)
			return status;
		messages[*n] =
		    (struct t2l_message){ suite_keep(suite, role), suite_keep(suite, content) };
		if (messages[*n].role == NULL || messages[*n].content == NULL)
			return out_of_memory(err);
		++*n;
	}
	*out = messages;
	return T2L_OK;
}

static enum t2l_status
add_conversation(struct t2l_suite *suite, size_t task, enum example_kind kind, const cJSON *list,
    const char *where, struct t2l_error *err)
{
	struct t2l_message *messages = NULL;
	const char *prompt = "";
	size_t n = 0, n_added = 0;
	enum t2l_status status = read_messages(suite, list, where, &messages, &n, err);

	for (size_t i = 0; i < n && status == T2L_OK; i++) {
		struct t2l_suite_example example = { prompt, messages[i].content, messages, i };

		if (strcmp(messages[i].role, "assistant") != 0) {
			prompt = messages[i].content;
		} else if (i > 0) {
			status = add_example(suite, task, kind, &example, err);
			n_added++;
		}
	}
	if (status == T2L_OK && n_added == 0)
		return t2l_fail(err, T2L_EFORMAT,
		    "%s: no message of the role 'assistant' follows another message", where);
	return status;
}

enum t2l_status
suite_add_examples(struct t2l_suite *suite, size_t task, enum example_kind kind,
    const cJSON *object, const char *where, struct t2l_error *err)
{
	const char *prompt = NULL, *response = NULL;
	const cJSON *messages = NULL;
	struct t2l_suite_example example;
	enum t2l_status status;

	status = json_array(object, "messages", JSON_OPTIONAL, where, &messages, err);
	if (status != T2L_OK)
		return status;
	if (messages != NULL)
		return add_conversation(suite, task, kind, messages, where, err);
	if ((status = json_string(object, "prompt", JSON_REQUIRED, where, &prompt, err)) !=
		T2L_OK ||
	    (status = json_string(object, "response", JSON_REQUIRED, where, &response, err)) !=
		T2L_OK)
		return status;
	example = (struct t2l_suite_example){ suite_keep(suite, prompt),
		suite_keep(suite, response), NULL, 0 };
	if (example.prompt == NULL || example.response == NULL)
		return out_of_memory(err);
	return add_example(suite, task, kind, &example, err);
}

static enum t2l_status
read_example(struct t2l_suite *suite, const cJSON *object, const char *where, void *user,
    struct t2l_error *err)
{
	const char *id = NULL;
	enum t2l_status status = json_string(object, "task", JSON_REQUIRED, where, &id, err);
	size_t task;

	if (status != T2L_OK)
		return status;
	task = find(suite, id);
	if (task == SIZE_MAX)
		return t2l_fail(err, T2L_EFORMAT, "%s: task '%s' is not in tasks.jsonl", where, id);
	return suite_add_examples(
	    suite, task, *(const enum example_kind *)user, object, where, err);
}

/* tasks.jsonl and the files beside it. */
static enum t2l_status
read_tables(struct t2l_suite *suite, const char *tasks, struct t2l_error *err)
{
	static const char *const names[N_EXAMPLE_KINDS] = { "train.jsonl", "pretrain-extra.jsonl",
		"test.jsonl" };
	enum t2l_status status = suite_read_lines(suite, tasks, true, read_task, NULL, err);
	char path[4200];

	if (status == T2L_OK)
		status = suite_index(suite, err);
	for (int kind = 0; kind < N_EXAMPLE_KINDS && status == T2L_OK; kind++) {
		enum example_kind user = (enum example_kind)kind;

		snprintf(path, sizeof path, "%s/%s", suite->path, names[kind]);
		status = suite_read_lines(suite, path, kind == TRAIN, read_example, &user, err);
	}
	return status;
}

/* Which form it has is told by what is there. */
static enum t2l_status
read_suite(struct t2l_suite *suite, struct t2l_error *err)
{
	char tasks[4200];
	struct stat place;
	enum t2l_status status;

	if (stat(suite->path, &place) != 0)
		return t2l_fail_errno(err, "task suite: cannot read '%s'", suite->path);
	snprintf(tasks, sizeof tasks, "%s/tasks.jsonl", suite->path);
	if (!S_ISDIR(place.st_mode))
		status = suite_read_file(suite, err);
	else if (access(tasks, F_OK) == 0)
		return read_tables(suite, tasks, err);
	else
		status = suite_read_folders(suite, err);
	return status == T2L_OK ? suite_index(suite, err) : status;
}

/* The lists move no more: tasks may point into them. */
static void
hand_out_lists(struct t2l_suite *suite)
{
	for (size_t i = 0; i < suite->n; i++) {
		struct t2l_suite_task *task = &suite->tasks[i];

		task->examples = suite->lists[i][TRAIN].items;
		task->n_examples = suite->lists[i][TRAIN].n;
		task->extra = suite->lists[i][EXTRA].items;
		task->n_extra = suite->lists[i][EXTRA].n;
		task->tests = suite->lists[i][TEST].items;
		task->n_tests = suite->lists[i][TEST].n;
	}
}

enum t2l_status
suite_new(const char *path, struct t2l_suite **out, struct t2l_error *err)
{
	struct t2l_suite *suite = calloc(1, sizeof *suite);

	if (suite == NULL)
		return out_of_memory(err);
	suite->path = strdup(path);
	suite->arena = arena_create();
	if (suite->path == NULL || suite->arena == NULL) {
		t2l_suite_close(suite);
		return out_of_memory(err);
	}
	*out = suite;
	return T2L_OK;
}

enum t2l_status
t2l_suite_open(const char *directory, struct t2l_suite **out, struct t2l_error *err)
{
	struct t2l_suite *suite;
	enum t2l_status status = suite_new(directory, &suite, err);

	if (status != T2L_OK)
		return status;
	status = read_suite(suite, err);
	if (status != T2L_OK) {
		t2l_suite_close(suite);
		return status;
	}
	hand_out_lists(suite);
	*out = suite;
	return T2L_OK;
}

void
t2l_suite_close(struct t2l_suite *suite)
{
	if (suite == NULL)
		return;
	for (size_t i = 0; i < suite->n; i++)
		for (int kind = 0; kind < N_EXAMPLE_KINDS; kind++)
			free(suite->lists[i][kind].items);
	free(suite->lists);
	free(suite->tasks);
	free(suite->by_id);
	free(suite->path);
	if (suite->arena != NULL)
		arena_free(suite->arena);
	free(suite);
}

size_t
t2l_suite_n_tasks(const struct t2l_suite *suite)
{
	return suite->n;
}

const struct t2l_suite_task *
t2l_suite_task(const struct t2l_suite *suite, size_t index)
{
	return index < suite->n ? &suite->tasks[index] : NULL;
}

const struct t2l_suite_task *
t2l_suite_find(const struct t2l_suite *suite, const char *id)
{
	size_t index = find(suite, id);

	return index == SIZE_MAX ? NULL : &suite->tasks[index];
}

const struct t2l_suite_tier *
t2l_suite_tier(const struct t2l_suite_task *task, const char *name)
{
	for (size_t i = 0; i < task->n_tiers; i++)
		if (strcmp(task->tiers[i].name, name) == 0)
			return &task->tiers[i];
	return NULL;
}
