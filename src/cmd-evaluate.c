/* t2l evaluate - exact match of a task suite, group by group and method by method. */

#include "config.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/atomic-file.h"
#include "base/buffer.h"
#include "src/evaluate-file.h"
#include "src/lanes.h"
#include "src/options.h"

static const char *const method_names[] = { "base", "base-described", "icl", "multi-task",
	"multi-task-described", "oracle", "t2l-train", "t2l-comb", "t2l-near", "t2l-far",
	"t2l-plain", "control", "average", NULL };

static const char *const variant_names[] = { "S", "M", "L", NULL };

static const struct option_spec evaluate_options[] = {
	{ "suite", 's', OPTION_PATH, 0, "task suite [the demo's]" },
	{ "base-model", 'b', OPTION_MODEL, 0, "base", .setting = "base.model" },
	{ "model", 'm', OPTION_PATH, 0, "hypernet checkpoint", .setting = "hypernet.path" },
	{ "variant", 0, OPTION_CHOICE, 0, "size of the demo's hypernet", .choices = variant_names,
	    .setting = "hypernet.variant" },
	{ "encoder", 'e', OPTION_PATH, 0, "task encoder", .setting = "encoder.path" },
	{ "method", 0, OPTION_CHOICE, MANY, "only these", .choices = method_names },
	{ "adapter", 'a', OPTION_ADAPTER, 0, "evaluate this adapter on every task (or on --task)",
	    .excludes = "method model variant encoder baselines descriptions shots" },
	{ "test-data", 0, OPTION_PATH, 0,
	    "JSONL {\"prompt\":..,\"response\":..} instead of a suite: the adapter's answers",
	    .excludes = "suite task group method model variant encoder baselines descriptions "
			"shots per-task" },
	{ "metrics", 0, OPTION_TEXT, 0, "of --test-data: accuracy, response_time",
	    .fallback = "accuracy" },
	{ "task", 't', OPTION_TEXT, MANY, "only tasks of this id" },
	{ "group", 'g', OPTION_TEXT, MANY, "only tasks of this group" },
	{ "baselines", 0, OPTION_PATH, 0,
	    "folder with multi-task.safetensors, lora/TASK.safetensors" },
	{ "descriptions", 'd', OPTION_INTEGER, 0, "descriptions a task and tier", .fallback = "2",
	    .min = 1, .max = 1000 },
	{ "shots", 0, OPTION_INTEGER, 0, "examples before the prompt of the method icl",
	    .fallback = "4", .min = 1, .max = 64 },
	{ "per-task", 0, OPTION_FLAG, 0, "a row for each task as well" },
	{ "output", 'o', OPTION_PATH, 0, "write the JSON there" },
	{ "config", 0, OPTION_PATH, 0, "settings file" },
	{ 0 },
};

/* What a method scored on one task. */
struct score {
	size_t n, correct;
};

struct method {
	const char *name;
	const char *tier; /* of the descriptions; NULL: none is used */
	bool wrong;	  /* the description of another task */
	bool seen_only;	  /* needs something that only trained tasks have */
};
static const struct method methods[] = {
	{ "base" },
	{ "base-described", "train" },
	{ "icl" },
	{ "multi-task" },
	{ "multi-task-described", "train" },
	{ "oracle", .seen_only = true },
	{ "t2l-train", "train" },
	{ "t2l-comb", "comb" },
	{ "t2l-near", "near" },
	{ "t2l-far", "far" },
	{ "t2l-plain", "plain" },
	{ "control", "train", .wrong = true },
	{ "average" },
};
#define N_METHODS (sizeof methods / sizeof methods[0])

struct evaluation {
	struct context *ctx;
	const struct options *opt;
	struct t2l_suite *suite;
	const char *suite_name;
	struct t2l_model *model;
	struct t2l_hypernet *hypernet;
	struct t2l_encoder *encoder;
	struct t2l_session *session;
	const char *baselines;
	const struct t2l_suite_task **tasks;
	size_t n_tasks;
	struct t2l_adapter *average, *multi_task, *described; /* NULL: not there */
	struct score *scores;				      /* [methods, tasks] */
	/* The lanes that wait for a run: */
	size_t n_waiting;
	struct waiting {
		const char *expected;
		struct score *score;
	} * waiting;
};

#define LANES 128
#define MAX_ANSWER_TOKENS 64
#define AT_ONCE 16 /* descriptions that are embedded, and their adapters made, together */

/* ---- lanes ---- */

static bool
flush(struct evaluation *run)
{
	struct t2l_sampling sampling = t2l_sampling_default();
	struct t2l_run options = { .sampling = &sampling, .max_tokens = MAX_ANSWER_TOKENS };
	struct t2l_lane_result results[LANES];
	struct t2l_error err;

	sampling.greedy = true;
	if (run->n_waiting == 0)
		return true;
	for (size_t i = run->n_waiting; i < LANES; i++)
		t2l_session_set_prompt(run->session, i, NULL, 0, NULL);
	if (t2l_session_run(run->session, &options, results, &err) != T2L_OK) {
		context_fail_error(run->ctx, &err);
		return false;
	}
	for (size_t i = 0; i < run->n_waiting; i++) {
		size_t n;
		const char *text = t2l_session_output(run->session, i, &n);
		const char *expected = run->waiting[i].expected;

		run->waiting[i].score->n++;
		run->waiting[i].score->correct += results[i].finish == T2L_FINISH_STOP &&
						  n == strlen(expected) &&
						  memcmp(text, expected, n) == 0;
	}
	run->n_waiting = 0;
	return !atomic_load(run->ctx->cancelled);
}

/* A few shots and the prompt as a conversation, in the model's own form. */
static enum t2l_status
encode_shots(struct evaluation *run, const struct t2l_suite_task *task, size_t n_shots,
    const char *prompt, int32_t **ids, size_t *n_ids, struct t2l_error *err)
{
	struct t2l_message *messages = calloc(2 * n_shots + 1, sizeof *messages);
	struct t2l_chat_options options = { .add_generation_prompt = true };
	/* A task without training pairs is shown by its other test items. */
	bool tests = task->n_examples + task->n_extra == 0;
	size_t pool = tests ? task->n_tests : task->n_examples + task->n_extra, n = 0;
	enum t2l_status status;

	if (messages == NULL)
		return T2L_ENOMEM;
	/* Spread over the pool and never the prompt itself: the same shots in every run. */
	for (size_t i = 0; i < pool && n < n_shots; i++) {
		size_t at = (i * 7919 + 13 * strlen(prompt)) % pool;
		const struct t2l_suite_example *example = tests ? &task->tests[at]
							  : at < task->n_examples
							      ? &task->examples[at]
							      : &task->extra[at - task->n_examples];

		if (strcmp(example->prompt, prompt) == 0)
			continue;
		messages[2 * n] = (struct t2l_message){ "user", example->prompt };
		messages[2 * n + 1] = (struct t2l_message){ "assistant", example->response };
		n++;
	}
	messages[2 * n] = (struct t2l_message){ "user", prompt };
	status = t2l_chat_encode(run->model, messages, 2 * n + 1, &options, ids, n_ids, err);
	free(messages);
	return status;
}

/* The tokens of one item under a method's form. */
static bool
make_prompt(struct evaluation *run, const struct t2l_suite_task *task, const char *prompt,
    const char *before, size_t n_shots, int32_t **ids, size_t *n)
{
	struct buffer words = { 0 };
	struct t2l_error err = { .message = "out of memory" };
	enum t2l_status status;

	if (before != NULL)
		buffer_printf(&words, "%s\n", before);
	buffer_text(&words, prompt);
	status = encode_shots(run, task, n_shots, buffer_string(&words), ids, n, &err);
	buffer_free(&words);
	if (status != T2L_OK)
		context_fail_error(run->ctx, &err);
	return status == T2L_OK;
}

/* All test items of TASK in lanes with ADAPTER (NULL: base). */
static bool
ask_items(struct evaluation *run, const struct t2l_suite_task *task,
    const struct t2l_adapter *adapter, const char *before, size_t n_shots, struct score *score)
{
	float weight = 1;

	for (size_t i = 0; i < task->n_tests; i++) {
		size_t lane = run->n_waiting;
		struct t2l_error err;
		int32_t *ids;
		size_t n;
		bool fine;

		if (!make_prompt(run, task, task->tests[i].prompt, before, n_shots, &ids, &n))
			return false;
		fine = t2l_session_set_adapters(run->session, lane, &adapter, &weight,
			   adapter != NULL, &err) == T2L_OK &&
		       t2l_session_set_prompt(run->session, lane, ids, n, &err) == T2L_OK;
		t2l_free(ids);
		if (!fine) {
			context_fail_error(run->ctx, &err);
			return false;
		}
		run->waiting[lane] = (struct waiting){ task->tests[i].response, score };
		if (++run->n_waiting == LANES && !flush(run))
			return false;
	}
	return true;
}

/* ---- methods ---- */

static struct t2l_adapter *
open_baseline(struct evaluation *run, const char *name)
{
	char path[4096];
	struct t2l_adapter *adapter = NULL;
	struct t2l_error err;

	snprintf(path, sizeof path, "%s/%s.safetensors", run->baselines, name);
	if (access(path, R_OK) != 0)
		return NULL;
	if (t2l_adapter_open(path, &adapter, &err) != T2L_OK) {
		context_fail_error(run->ctx, &err);
		return NULL;
	}
	return adapter;
}

/* The adapters of N descriptions, at most AT_ONCE; all or none. */
static bool
generate(struct evaluation *run, const char *const *texts, size_t n, struct t2l_adapter **adapters)
{
	size_t size = (size_t)t2l_hypernet_facts(run->hypernet)->embedding_size;
	float *embeddings = malloc((n + 1) * size * sizeof *embeddings);
	struct t2l_error err = { .message = "out of memory" };
	bool fine = embeddings != NULL &&
		    t2l_hypernet_embed_many(
			run->hypernet, run->encoder, texts, n, embeddings, NULL, &err) == T2L_OK &&
		    t2l_hypernet_generate_many(
			run->hypernet, embeddings, texts, n, adapters, &err) == T2L_OK;

	if (!fine)
		context_fail_error(run->ctx, &err);
	free(embeddings);
	return fine;
}

/* Runs TASK under each of N descriptions, as METHOD has them. */
static bool
ask_under(struct evaluation *run, const struct method *method, const struct t2l_suite_task *task,
    const char *const *texts, size_t n, struct score *score)
{
	const bool hypernet = strncmp(method->name, "t2l", 3) == 0 || method->wrong;
	const struct t2l_adapter *common =
	    strcmp(method->name, "base-described") == 0 ? NULL : run->described;
	struct t2l_adapter *adapters[AT_ONCE] = { NULL };
	bool fine = !hypernet || generate(run, texts, n, adapters);

	for (size_t i = 0; i < n && fine; i++)
		fine = ask_items(run, task, hypernet ? adapters[i] : common,
		    hypernet ? NULL : texts[i], 0, score);
	for (size_t i = 0; i < n; i++)
		t2l_adapter_close(adapters[i]);
	return fine;
}

/* Runs TASK with each of the descriptions that METHOD uses. */
static bool
ask_described(
    struct evaluation *run, const struct method *method, size_t index, struct score *score)
{
	const struct t2l_suite_task *task = run->tasks[index];
	const struct t2l_suite_task *source = task;
	const struct t2l_suite_tier *tier;
	size_t n = (size_t)option_integer(run->opt, "descriptions");

	/* Another task of another operation, as far along the list as can be. */
	for (size_t i = 1; method->wrong && i < run->n_tasks; i++) {
		source = run->tasks[(index + i * 37) % run->n_tasks];
		if (strcmp(source->op, task->op) != 0)
			break;
	}
	tier = t2l_suite_tier(source, method->tier);
	if (tier == NULL || n > tier->n)
		n = tier != NULL ? tier->n : 0;
	for (size_t at = 0, count; at < n; at += count) {
		const char *texts[AT_ONCE];

		count = n - at < AT_ONCE ? n - at : AT_ONCE;
		/* Spread over the tier: neighbours may be variants of one phrasing. */
		for (size_t i = 0; i < count; i++)
			texts[i] = tier->texts[(at + i) * tier->n / n];
		if (!ask_under(run, method, task, texts, count, score))
			return false;
	}
	return true;
}

static bool
ask_task(struct evaluation *run, const struct method *method, size_t index, struct score *score)
{
	const struct t2l_suite_task *task = run->tasks[index];
	size_t shots = (size_t)option_integer(run->opt, "shots");
	struct t2l_adapter *adapter;
	char name[300];
	bool fine;

	if (method->tier != NULL)
		return ask_described(run, method, index, score);
	if (strcmp(method->name, "icl") == 0)
		return ask_items(run, task, NULL, NULL, shots, score);
	if (strcmp(method->name, "multi-task") == 0)
		return ask_items(run, task, run->multi_task, NULL, 0, score);
	if (strcmp(method->name, "average") == 0)
		return ask_items(run, task, run->average, NULL, 0, score);
	if (strcmp(method->name, "oracle") == 0) {
		snprintf(name, sizeof name, "lora/%s", task->id);
		adapter = open_baseline(run, name);
		fine = adapter == NULL || ask_items(run, task, adapter, NULL, 0, score);
		t2l_adapter_close(adapter);
		return fine;
	}
	return ask_items(run, task, NULL, NULL, 0, score);
}

/* The mean of one generated adapter of every trained task: what no description at all would give.
 */
static bool
make_average(struct evaluation *run)
{
	size_t n_all = t2l_suite_n_tasks(run->suite), n = 0;
	struct t2l_adapter **adapters = calloc(n_all, sizeof(struct t2l_adapter *));
	const char **texts = calloc(n_all, sizeof *texts);
	const struct t2l_merge_options mean = t2l_merge_defaults("cat");
	struct t2l_error err;
	struct t2l_engine *engine;
	bool fine = adapters != NULL && texts != NULL && workplace_engine(run->ctx, &engine);

	for (size_t i = 0; i < n_all && fine; i++) {
		const struct t2l_suite_task *task = t2l_suite_task(run->suite, i);
		const struct t2l_suite_tier *tier = t2l_suite_tier(task, "train");

		if (!task->train || tier == NULL || tier->n == 0)
			continue;
		texts[n++] = tier->texts[0];
	}
	for (size_t at = 0; at < n && fine; at += AT_ONCE)
		fine =
		    generate(run, texts + at, n - at < AT_ONCE ? n - at : AT_ONCE, adapters + at);
	if (fine && n > 0 &&
	    t2l_adapter_merge(engine, &mean, (const struct t2l_adapter *const *)adapters, NULL, n,
		NULL, &run->average, &err) != T2L_OK) {
		context_fail_error(run->ctx, &err);
		fine = false;
	}
	for (size_t i = 0; i < n; i++)
		t2l_adapter_close(adapters[i]);
	free(adapters);
	free(texts);
	return fine;
}

/* ---- results ---- */

/* Exact match of a group: the mean over its tasks of each task's share. */
static bool
group_score(const struct evaluation *run, size_t method, const char *group, struct score *sum,
    double *mean, size_t *n_tasks)
{
	*sum = (struct score){ 0 };
	*mean = 0;
	*n_tasks = 0;
	for (size_t i = 0; i < run->n_tasks; i++) {
		const struct score *score = &run->scores[method * run->n_tasks + i];

		if (score->n == 0 || strcmp(run->tasks[i]->group, group) != 0)
			continue;
		sum->n += score->n;
		sum->correct += score->correct;
		*mean += (double)score->correct / (double)score->n;
		++*n_tasks;
	}
	if (*n_tasks > 0)
		*mean /= (double)*n_tasks;
	return *n_tasks > 0;
}

static void
add_json(struct evaluation *run, struct buffer *file, cJSON *object)
{
	char *text = cJSON_PrintUnformatted(object);

	buffer_printf(file, "%s\n", text ? text : "");
	cJSON_free(text);
	say_json(run->ctx, object);
}

static cJSON *
result_json(const struct evaluation *run, const char *group, const char *task, const char *method,
    size_t n, size_t correct, double exact_match)
{
	cJSON *object = cJSON_CreateObject();

	cJSON_AddStringToObject(object, "suite", run->suite_name);
	cJSON_AddStringToObject(object, "group", group);
	if (task != NULL)
		cJSON_AddStringToObject(object, "task", task);
	cJSON_AddStringToObject(object, "method", method);
	cJSON_AddNumberToObject(object, "n", (double)n);
	cJSON_AddNumberToObject(object, "correct", (double)correct);
	cJSON_AddNumberToObject(object, "exact_match", exact_match);
	return object;
}

static size_t
list_groups(const struct evaluation *run, const char *groups[16])
{
	size_t n = 0;

	for (size_t i = 0; i < run->n_tasks; i++) {
		size_t at = 0;

		while (at < n && strcmp(groups[at], run->tasks[i]->group) != 0)
			at++;
		if (at == n && n < 16)
			groups[n++] = run->tasks[i]->group;
	}
	return n;
}

static void
tell_task(struct evaluation *run, struct buffer *file, size_t task, const char *method,
    const struct score *score)
{
	const struct t2l_suite_task *of = run->tasks[task];
	double share = score->n ? (double)score->correct / (double)score->n : 0;

	if (score->n == 0)
		return;
	add_json(run, file,
	    result_json(run, of->group, of->id, method, score->n, score->correct, share));
	say(run->ctx, "%-22s %-28s %5.1f\n", method, of->id, 100 * share);
}

static void
tell_per_task(struct evaluation *run, struct buffer *file)
{
	for (size_t m = 0; m < N_METHODS; m++)
		for (size_t i = 0; i < run->n_tasks; i++)
			tell_task(
			    run, file, i, methods[m].name, &run->scores[m * run->n_tasks + i]);
}

static int
tell(struct evaluation *run)
{
	const char *groups[16], *headings[20] = { "METHOD" },
				*path = option_text(run->opt, "output");
	size_t n_groups = list_groups(run, groups);
	char labels[16][64];
	struct buffer file = { 0 };
	struct table *table;
	int status = 0;

	if (option_flag(run->opt, "per-task"))
		tell_per_task(run, &file);
	for (size_t g = 0; g < n_groups; g++) {
		size_t n = 0;

		for (size_t i = 0; i < run->n_tasks; i++)
			n += strcmp(run->tasks[i]->group, groups[g]) == 0;
		snprintf(labels[g], sizeof labels[g], "%s (%zu)", groups[g], n);
		headings[1 + g] = labels[g];
	}
	table = table_new(headings);
	for (size_t m = 0; m < N_METHODS; m++) {
		char cells[16][16];
		const char *row[20] = { methods[m].name };
		bool any = false;

		for (size_t g = 0; g < n_groups; g++) {
			struct score sum;
			size_t n_tasks;
			double mean;

			snprintf(cells[g], sizeof cells[g], "-");
			row[1 + g] = cells[g];
			if (!group_score(run, m, groups[g], &sum, &mean, &n_tasks))
				continue;
			any = true;
			snprintf(cells[g], sizeof cells[g], "%.1f", 100 * mean);
			add_json(run, &file,
			    result_json(
				run, groups[g], NULL, methods[m].name, sum.n, sum.correct, mean));
		}
		if (any)
			table_row(table, row);
	}
	table_print(run->ctx, table);
	if (path != NULL && atomic_write(path, buffer_string(&file), file.n) != 0)
		status = context_fail(run->ctx, "cannot write '%s': %s", path, strerror(errno));
	buffer_free(&file);
	return status;
}

/* ---- the run ---- */

static bool
wanted(const struct options *opt, const char *option, const char *name)
{
	size_t n = option_count(opt, option);

	for (size_t i = 0; i < n; i++)
		if (strcmp(option_nth(opt, option, i), name) == 0)
			return true;
	return n == 0;
}

static bool
is_possible(const struct evaluation *run, const struct method *method)
{
	if (strcmp(method->name, "multi-task") == 0)
		return run->multi_task != NULL;
	if (strcmp(method->name, "multi-task-described") == 0)
		return run->described != NULL;
	if (strncmp(method->name, "t2l", 3) == 0 || method->wrong ||
	    strcmp(method->name, "average") == 0)
		return run->hypernet != NULL;
	return true;
}

static int
run_methods(struct evaluation *run)
{
	size_t n_methods = 0, done = 0;
	struct t2l_error err;

	run->scores = calloc(N_METHODS * run->n_tasks, sizeof *run->scores);
	run->waiting = calloc(LANES, sizeof *run->waiting);
	if (run->scores == NULL || run->waiting == NULL)
		return context_fail(run->ctx, "out of memory");
	if (t2l_session_open(run->model, LANES, 0, &run->session, &err) != T2L_OK)
		return context_fail_error(run->ctx, &err);
	for (size_t m = 0; m < N_METHODS; m++)
		n_methods +=
		    wanted(run->opt, "method", methods[m].name) && is_possible(run, &methods[m]);
	for (size_t m = 0; m < N_METHODS; m++) {
		if (!wanted(run->opt, "method", methods[m].name) || !is_possible(run, &methods[m]))
			continue;
		if (strcmp(methods[m].name, "average") == 0 && !make_average(run))
			return 1;
		for (size_t i = 0; i < run->n_tasks; i++) {
			progress(run->ctx, methods[m].name, (double)(done++),
			    (double)(n_methods * run->n_tasks), NULL, -1);
			if (!ask_task(run, &methods[m], i, &run->scores[m * run->n_tasks + i]))
				return atomic_load(run->ctx->cancelled) ? 130 : 1;
		}
		if (!flush(run))
			return atomic_load(run->ctx->cancelled) ? 130 : 1;
	}
	progress(run->ctx, NULL, -1, 0, NULL, -1);
	return tell(run);
}

/* --adapter: one adapter over the chosen tasks, and its score into the catalog. */
static int
run_adapter(struct evaluation *run, const char *text)
{
	struct score *scores = calloc(run->n_tasks, sizeof *scores), sum = { 0 };
	struct t2l_adapter *adapter = NULL;
	struct store *store;
	struct t2l_error err;
	int64_t id = 0;
	int status = 1;

	run->waiting = calloc(LANES, sizeof *run->waiting);
	if (scores == NULL || run->waiting == NULL) {
		status = context_fail(run->ctx, "out of memory");
	} else if (!workplace_adapter(run->ctx, text, &adapter, &id)) {
		status = 1;
	} else if (t2l_session_open(run->model, LANES, 0, &run->session, &err) != T2L_OK) {
		status = context_fail_error(run->ctx, &err);
	} else {
		bool fine = true;

		for (size_t i = 0; i < run->n_tasks && fine; i++)
			fine = ask_items(run, run->tasks[i], adapter, NULL, 0, &scores[i]);
		fine = fine && flush(run);
		for (size_t i = 0; i < run->n_tasks; i++) {
			sum.n += scores[i].n;
			sum.correct += scores[i].correct;
		}
		status = fine && sum.n > 0 ? 0 : 1;
	}
	if (status == 0) {
		double share = (double)sum.correct / (double)sum.n;
		const char *output = option_text(run->opt, "output");
		struct buffer file = { 0 };
		struct store_evaluation row = { .adapter = id,
			.suite = run->suite_name,
			.group = run->n_tasks == 1 ? run->tasks[0]->id : "",
			.method = "adapter",
			.n = sum.n,
			.n_correct = sum.correct };

		for (size_t i = 0; option_flag(run->opt, "per-task") && i < run->n_tasks; i++)
			tell_task(run, &file, i, "adapter", &scores[i]);
		add_json(run, &file,
		    result_json(run, row.group, NULL, "adapter", sum.n, sum.correct, share));
		say(run->ctx, "%zu of %zu right (%.1f %%)\n", sum.correct, sum.n, 100 * share);
		if (output != NULL && atomic_write(output, buffer_string(&file), file.n) != 0)
			status = context_fail(
			    run->ctx, "cannot write '%s': %s", output, strerror(errno));
		buffer_free(&file);
		if (id != 0 && workplace_store(run->ctx, &store) &&
		    (store_evaluation_add(store, &row, &(int64_t){ 0 }) != STORE_OK ||
			store_set_score(store, id, share) != STORE_OK))
			status = context_fail(run->ctx, "%s", store_error(store));
	}
	t2l_adapter_close(adapter);
	free(scores);
	return status;
}

static bool
choose_tasks(struct evaluation *run)
{
	size_t n = t2l_suite_n_tasks(run->suite);

	run->tasks = calloc(n, sizeof *run->tasks);
	for (size_t i = 0; run->tasks != NULL && i < n; i++) {
		const struct t2l_suite_task *task = t2l_suite_task(run->suite, i);

		if (task->n_tests > 0 && wanted(run->opt, "task", task->id) &&
		    wanted(run->opt, "group", task->group))
			run->tasks[run->n_tasks++] = task;
	}
	if (run->n_tasks == 0)
		context_fail(run->ctx,
		    "the suite '%s' has no task '%s' of group '%s' with test items",
		    run->suite_name,
		    option_count(run->opt, "task") ? option_text(run->opt, "task") : "*",
		    option_count(run->opt, "group") ? option_text(run->opt, "group") : "*");
	return run->n_tasks > 0;
}

static bool
needs_hypernet(const struct options *opt)
{
	for (size_t m = 0; m < N_METHODS; m++)
		if (wanted(opt, "method", methods[m].name) &&
		    (strncmp(methods[m].name, "t2l", 3) == 0 || methods[m].wrong ||
			strcmp(methods[m].name, "average") == 0))
			return true;
	return false;
}

/* Hypernet and encoder, which must belong to the base: another one would answer, and wrongly. */
static bool
open_hypernet(struct evaluation *run)
{
	const struct options *opt = run->opt;
	struct t2l_error err;

	if (!workplace_hypernet(
		run->ctx, option_text(opt, "model"), option_text(opt, "variant"), &run->hypernet) ||
	    !workplace_encoder_for(
		run->ctx, run->hypernet, option_text(opt, "encoder"), &run->encoder))
		return false;
	if (t2l_hypernet_check(run->hypernet, run->model, run->encoder, &err) == T2L_OK)
		return true;
	context_fail_error(run->ctx, &err);
	return false;
}

static int
evaluate_run(struct context *ctx, const struct options *opt)
{
	struct evaluation run = { .ctx = ctx, .opt = opt };
	const char *suite = option_text(opt, "suite"), *adapter = option_text(opt, "adapter");
	char path[4096], baselines[4096];
	struct t2l_error err;
	int status = 1;

	if (option_given(opt, "metrics") && option_text(opt, "test-data") == NULL)
		return context_usage(ctx, "--metrics belongs to --test-data");
	if (option_text(opt, "test-data") != NULL)
		return workplace_model(ctx, option_text(opt, "base-model"), &run.model)
			   ? evaluate_file(ctx, opt, run.model)
			   : 1;
	if (suite == NULL) {
		snprintf(path, sizeof path, "%s/tasks/demo", workplace_share(ctx));
		suite = path;
	}
	snprintf(baselines, sizeof baselines, "%s/models/baselines", workplace_share(ctx));
	run.baselines = option_text(opt, "baselines") ? option_text(opt, "baselines") : baselines;
	run.suite_name =
	    strrchr(suite, '/') && strrchr(suite, '/')[1] ? strrchr(suite, '/') + 1 : suite;
	if (t2l_suite_open(suite, &run.suite, &err) != T2L_OK)
		status = context_fail_error(ctx, &err);
	else if (choose_tasks(&run) &&
		 workplace_model(ctx, option_text(opt, "base-model"), &run.model)) {
		bool fine = true;

		if (adapter == NULL && needs_hypernet(opt))
			fine = open_hypernet(&run);
		if (fine && adapter == NULL) {
			run.multi_task = open_baseline(&run, "multi-task");
			run.described = open_baseline(&run, "multi-task-described");
		}
		if (fine)
			status = adapter != NULL ? run_adapter(&run, adapter) : run_methods(&run);
	}
	t2l_session_close(run.session);
	t2l_adapter_close(run.average);
	t2l_adapter_close(run.multi_task);
	t2l_adapter_close(run.described);
	t2l_suite_close(run.suite);
	free(run.tasks);
	free(run.scores);
	free(run.waiting);
	return status;
}

const struct command command_evaluate = {
	.name = "evaluate",
	.summary = "exact match of a task suite, group by group and method by method",
	.details = "base: the model alone; icl: with examples before the prompt; multi-task: one "
		   "LoRA for all tasks, "
		   "without and with the description; oracle: a LoRA trained for the task; t2l-*: "
		   "generated from the "
		   "descriptions of that tier; control: from another task's description; average: "
		   "the mean of the "
		   "generated adapters. A group's figure is the mean over its tasks.",
	.example = "t2l evaluate --method base --method t2l-plain --group seen\n"
		   "t2l evaluate --adapter bot --test-data queries.jsonl --metrics "
		   "accuracy,response_time",
	.options = evaluate_options,
	.run = evaluate_run,
};
