/* prepared.c - writes and maps examples as tokens; `t2l train --prepare`. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "engine/error.h"
#include "engine/formats/json.h"
#include "engine/formats/safetensors-writer.h"
#include "engine/formats/safetensors.h"
#include "engine/models/decoder.h"
#include "engine/training/prepared.h"
#include "engine/training/suite.h"
#include "engine/training/task-batch.h"

#define KIND "tokens"
#define VERSION "1"

struct prepared {
	struct safetensors *file;
};

bool
prepared_is(const char *path)
{
	char head[9] = "";
	struct stat place;
	FILE *file;
	size_t n = 0;

	if (stat(path, &place) != 0 || !S_ISREG(place.st_mode))
		return false;
	file = fopen(path, "rb");
	if (file != NULL) {
		n = fread(head, 1, sizeof head, file);
		fclose(file);
	}
	return n == sizeof head && head[8] == '{' && memchr(head, '\0', 8) != NULL;
}

/* ---- writing ---- */

static cJSON *
describe_task(const struct task_data *data)
{
	cJSON *object = cJSON_CreateObject(), *tiers;

	cJSON_AddStringToObject(object, "id", data->task->id);
	cJSON_AddNumberToObject(object, "n", (double)data->n);
	cJSON_AddBoolToObject(object, "train", data->task->train);
	tiers = cJSON_AddObjectToObject(object, "descriptions");
	for (size_t i = 0; i < data->task->n_tiers; i++) {
		const struct t2l_suite_tier *tier = &data->task->tiers[i];
		cJSON *list = cJSON_AddArrayToObject(tiers, tier->name);

		for (size_t j = 0; j < tier->n; j++)
			cJSON_AddItemToArray(list, cJSON_CreateString(tier->texts[j]));
	}
	return object;
}

static char *
describe_tasks(const struct dataset *dataset)
{
	cJSON *list = cJSON_CreateArray();
	char *text;

	for (size_t i = 0; i < dataset->n; i++)
		cJSON_AddItemToArray(list, describe_task(&dataset->tasks[i]));
	text = cJSON_PrintUnformatted(list);
	cJSON_Delete(list);
	return text;
}

/* One of the three arrays: 0 ids, 1 lengths, 2 prompts. */
static enum t2l_status
write_array(struct safetensors_writer *writer, const struct dataset *dataset, int which,
    struct t2l_error *err)
{
	enum t2l_status status = T2L_OK;

	for (size_t i = 0; i < dataset->n; i++)
		for (size_t j = 0; j < dataset->tasks[i].n && status == T2L_OK; j++) {
			const struct example *example = &dataset->tasks[i].examples[j];
			const void *const bytes[] = { example->ids, &example->n,
				&example->n_prompt };

			status = safetensors_writer_bytes(writer, bytes[which],
			    sizeof(int32_t) * (which == 0 ? (size_t)example->n : 1), err);
		}
	return status;
}

enum t2l_status
prepared_write(const char *path, const struct dataset *dataset, const char *base_fingerprint,
    struct t2l_error *err)
{
	struct safetensors_writer *writer = safetensors_writer_new(64);
	char *tasks = describe_tasks(dataset);
	int64_t n_tokens = 0, n_examples = 0;
	enum t2l_status status;

	if (writer == NULL || tasks == NULL) {
		safetensors_writer_free(writer);
		cJSON_free(tasks);
		return t2l_fail(err, T2L_ENOMEM, "prepare: out of memory");
	}
	for (size_t i = 0; i < dataset->n; i++) {
		n_examples += (int64_t)dataset->tasks[i].n;
		for (size_t j = 0; j < dataset->tasks[i].n; j++)
			n_tokens += dataset->tasks[i].examples[j].n;
	}
	safetensors_writer_metadata(writer, "t2l.kind", KIND);
	safetensors_writer_metadata(writer, "t2l.version", VERSION);
	safetensors_writer_metadata(writer, "t2l.base_fingerprint", base_fingerprint);
	safetensors_writer_metadata(writer, "t2l.tasks", tasks);
	safetensors_writer_declare(writer, "ids", DTYPE_I32, 1, &n_tokens);
	safetensors_writer_declare(writer, "lengths", DTYPE_I32, 1, &n_examples);
	safetensors_writer_declare(writer, "prompts", DTYPE_I32, 1, &n_examples);
	status = safetensors_writer_begin(writer, path, err);
	for (int which = 0; which < 3 && status == T2L_OK; which++)
		status = write_array(writer, dataset, which, err);
	if (status == T2L_OK)
		status = safetensors_writer_finish(writer, err);
	safetensors_writer_free(writer);
	cJSON_free(tasks);
	return status == T2L_OK ? T2L_OK : t2l_context(err, "prepare");
}

/* ---- reading ---- */

struct reader {
	const char *path, *tasks; /* the comma list, or NULL */
	const int32_t *ids, *lengths, *prompts;
	int64_t n_tokens, n_examples;
	int64_t token, example; /* what was read so far */
	const struct length_rule *length;
	struct t2l_suite *suite;
	struct dataset *dataset;
};

static enum t2l_status
read_array(const struct safetensors *file, const char *name, const int32_t **values, int64_t *n,
    struct t2l_error *err)
{
	const int64_t any = -1;
	struct tensor tensor;
	enum t2l_status status = safetensors_tensor_of_shape(file, name, 1, &any, &tensor, err);

	if (status != T2L_OK)
		return status;
	if (tensor.dtype != DTYPE_I32)
		return t2l_fail(err, T2L_EFORMAT, "%s: '%s' is %s; expected i32",
		    safetensors_path(file), name, dtype_name(tensor.dtype));
	*values = tensor.data;
	*n = tensor_count(&tensor);
	return T2L_OK;
}

static enum t2l_status
read_tier(
    struct reader *reader, const cJSON *list, struct t2l_suite_tier *tier, struct t2l_error *err)
{
	struct arena *arena = reader->suite->arena;
	const cJSON *item;

	tier->name = suite_keep(reader->suite, list->string);
	tier->texts =
	    arena_alloc(arena, (size_t)(cJSON_GetArraySize(list) + 1) * sizeof *tier->texts);
	if (tier->name == NULL || tier->texts == NULL)
		return t2l_fail(err, T2L_ENOMEM, "prepared tokens: out of memory");
	cJSON_ArrayForEach(item, list)
	{
		if (!cJSON_IsString(item))
			return t2l_fail(
			    err, T2L_EFORMAT, "%s: a description is no text", reader->path);
		tier->texts[tier->n] = suite_keep(reader->suite, item->valuestring);
		if (tier->texts[tier->n++] == NULL)
			return t2l_fail(err, T2L_ENOMEM, "prepared tokens: out of memory");
	}
	return T2L_OK;
}

static enum t2l_status
read_tiers(
    struct reader *reader, const cJSON *tiers, struct t2l_suite_task *task, struct t2l_error *err)
{
	enum t2l_status status = T2L_OK;
	const cJSON *list;

	task->tiers = arena_alloc_zero(
	    reader->suite->arena, (size_t)(cJSON_GetArraySize(tiers) + 1) * sizeof *task->tiers);
	if (task->tiers == NULL)
		return t2l_fail(err, T2L_ENOMEM, "prepared tokens: out of memory");
	cJSON_ArrayForEach(list, tiers)
	{
		if (status == T2L_OK)
			status = read_tier(reader, list, &task->tiers[task->n_tiers++], err);
	}
	return status;
}

/* The next N examples; KEEP: into DATA. */
static enum t2l_status
read_examples(struct reader *reader, int64_t n, struct task_data *data, struct t2l_error *err)
{
	if (n > reader->n_examples - reader->example)
		return t2l_fail(err, T2L_EFORMAT, "%s: its tasks have more examples than it holds",
		    reader->path);
	if (data != NULL &&
	    (data->examples = calloc((size_t)n + 1, sizeof *data->examples)) == NULL)
		return t2l_fail(err, T2L_ENOMEM, "prepared tokens: out of memory");
	for (int64_t i = 0; i < n; i++) {
		int32_t length = reader->lengths[reader->example];
		int32_t prompt = reader->prompts[reader->example++];

		if (length < 1 || prompt < 0 || prompt >= length ||
		    length > reader->n_tokens - reader->token)
			return t2l_fail(err, T2L_EFORMAT, "%s: example %lld has bad lengths",
			    reader->path, (long long)reader->example);
		if (data != NULL && length > reader->length->max_tokens)
			return t2l_fail(err, T2L_EINVAL,
			    "%s: example %lld has %d tokens, the limit is %d; prepare it anew",
			    reader->path, (long long)reader->example, length,
			    reader->length->max_tokens);
		if (data != NULL)
			data->examples[data->n++] = (struct example){
				.ids = (int32_t *)(uintptr_t)(reader->ids + reader->token),
				.n = length,
				.n_prompt = prompt,
				.mapped = true,
				.source = (size_t)i
			};
		reader->token += length;
	}
	return T2L_OK;
}

static enum t2l_status
read_task(struct reader *reader, const cJSON *object, struct t2l_error *err)
{
	struct t2l_suite_task task = { .op = "", .group = "", .train = true, .weight = 1 };
	struct task_data *data = NULL;
	const cJSON *tiers = NULL;
	enum t2l_status status;
	int64_t n = 0;

	if (!cJSON_IsObject(object))
		return t2l_fail(err, T2L_EFORMAT, "%s: a task is no object", reader->path);
	if ((status = json_string(object, "id", JSON_REQUIRED, reader->path, &task.id, err)) !=
		T2L_OK ||
	    (status = json_integer(
		 object, "n", JSON_REQUIRED, 1, INT32_MAX, reader->path, &n, err)) != T2L_OK ||
	    (status = json_bool(object, "train", JSON_REQUIRED, reader->path, &task.train, err)) !=
		T2L_OK ||
	    (status = json_object(
		 object, "descriptions", JSON_REQUIRED, reader->path, &tiers, err)) != T2L_OK ||
	    (status = read_tiers(reader, tiers, &task, err)) != T2L_OK ||
	    (status = suite_add_task(reader->suite, &task, reader->path, err)) != T2L_OK)
		return status;
	if (reader->tasks != NULL ? dataset_listed(reader->tasks, task.id) : task.train)
		data = &reader->dataset->tasks[reader->dataset->n++];
	status = read_examples(reader, n, data, err);
	if (data != NULL)
		data->source = reader->suite->n - 1;
	return status;
}

static enum t2l_status
read_tasks(struct reader *reader, const cJSON *list, struct t2l_error *err)
{
	enum t2l_status status = T2L_OK;
	const cJSON *item;

	if (!cJSON_IsArray(list))
		return t2l_fail(err, T2L_EFORMAT, "%s: its tasks are no list", reader->path);
	reader->dataset->tasks =
	    calloc((size_t)cJSON_GetArraySize(list) + 1, sizeof *reader->dataset->tasks);
	if (reader->dataset->tasks == NULL)
		return t2l_fail(err, T2L_ENOMEM, "prepared tokens: out of memory");
	cJSON_ArrayForEach(item, list)
	{
		if (status == T2L_OK)
			status = read_task(reader, item, err);
	}
	if (status == T2L_OK)
		status = suite_index(reader->suite, err);
	/* The suite's array moves no more. */
	for (size_t i = 0; i < reader->dataset->n; i++)
		reader->dataset->tasks[i].task =
		    &reader->suite->tasks[reader->dataset->tasks[i].source];
	if (status == T2L_OK && reader->tasks != NULL)
		status = dataset_check_names(reader->suite, reader->tasks, err);
	if (status == T2L_OK && reader->dataset->n == 0)
		status = t2l_fail(err, T2L_EINVAL, "%s holds none of the tasks", reader->path);
	return status;
}

static enum t2l_status
read_file(struct reader *reader, const struct safetensors *file, const struct base_model *base,
    struct t2l_error *err)
{
	const char *kind = safetensors_metadata(file, "t2l.kind");
	const char *version = safetensors_metadata(file, "t2l.version");
	const char *fingerprint = safetensors_metadata(file, "t2l.base_fingerprint");
	const char *tasks = safetensors_metadata(file, "t2l.tasks");
	int64_t n_prompts;
	enum t2l_status status;
	cJSON *list;

	if (kind == NULL || strcmp(kind, KIND) != 0 || version == NULL ||
	    strcmp(version, VERSION) != 0 || fingerprint == NULL || tasks == NULL)
		return t2l_fail(err, T2L_EFORMAT,
		    "%s holds no prepared tokens (t2l train --prepare makes them)", reader->path);
	if (strcmp(fingerprint, base->facts.fingerprint) != 0)
		return t2l_fail(err, T2L_EMISMATCH,
		    "%s was prepared for another base than '%s'; prepare it anew", reader->path,
		    base->facts.name);
	if ((status = read_array(file, "ids", &reader->ids, &reader->n_tokens, err)) != T2L_OK ||
	    (status = read_array(file, "lengths", &reader->lengths, &reader->n_examples, err)) !=
		T2L_OK ||
	    (status = read_array(file, "prompts", &reader->prompts, &n_prompts, err)) != T2L_OK)
		return status;
	if (n_prompts != reader->n_examples)
		return t2l_fail(err, T2L_EFORMAT, "%s: %lld prompts for %lld examples",
		    reader->path, (long long)n_prompts, (long long)reader->n_examples);
	status = json_parse(tasks, strlen(tasks), reader->path, &list, err);
	if (status != T2L_OK)
		return status;
	status = read_tasks(reader, list, err);
	cJSON_Delete(list);
	return status;
}

enum t2l_status
prepared_open(const char *path, const struct t2l_train_options *options,
    const struct base_model *base, const struct length_rule *length, struct prepared **out,
    struct t2l_suite **suite, struct dataset *dataset, struct t2l_error *err)
{
	struct reader reader = {
		.path = path, .tasks = options->tasks, .length = length, .dataset = dataset
	};
	struct prepared *prepared = calloc(1, sizeof *prepared);
	enum t2l_status status;

	if (prepared == NULL)
		return t2l_fail(err, T2L_ENOMEM, "prepared tokens: out of memory");
	*out = prepared; /* the caller closes all three, whatever comes of it */
	if ((status = suite_new(path, suite, err)) != T2L_OK ||
	    (status = safetensors_open(path, &prepared->file, err)) != T2L_OK)
		return status;
	reader.suite = *suite;
	return read_file(&reader, prepared->file, base, err);
}

void
prepared_close(struct prepared *prepared)
{
	if (prepared == NULL)
		return;
	safetensors_close(prepared->file);
	free(prepared);
}

enum t2l_status
t2l_train_prepare(const struct t2l_train_options *options, size_t *n_tasks, size_t *n_examples,
    uint64_t *n_tokens, struct t2l_error *err)
{
	struct task_run run = { 0 };
	enum t2l_status status;

	if (options->output == NULL)
		return t2l_fail(err, T2L_EINVAL, "prepare: no output is named (--output)");
	if (options->suite != NULL && prepared_is(options->suite))
		return t2l_fail(err, T2L_EINVAL, "'%s' is prepared already", options->suite);
	status = task_run_open(&run, options, err);
	if (status == T2L_OK)
		status =
		    prepared_write(options->output, &run.dataset, run.base->facts.fingerprint, err);
	*n_tasks = run.dataset.n;
	*n_examples = 0;
	*n_tokens = 0;
	for (size_t i = 0; i < run.dataset.n; i++) {
		*n_examples += run.dataset.tasks[i].n;
		for (size_t j = 0; j < run.dataset.tasks[i].n; j++)
			*n_tokens += (uint64_t)run.dataset.tasks[i].examples[j].n;
	}
	task_run_close(&run);
	return status;
}
