/* distil.c - an adapter's own answers as chat fine-tuning data. */

#include "config.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/atomic-file.h"
#include "base/buffer.h"
#include "src/distil.h"
#include "src/nearest-task.h"

#define NEAR_ENOUGH 0.6 /* cosine of two sentences that say the same */

struct distillation {
	struct context *ctx;
	const char *system; /* of each conversation; NULL: none */
	struct buffer lines;
	size_t n_lines, n_empty, n_all;
};

static void
add_message(struct buffer *lines, const char *role, const char *text, size_t n)
{
	buffer_printf(lines, "{\"role\": \"%s\", \"content\": ", role);
	buffer_json_string(lines, text, n);
	buffer_char(lines, '}');
}

static bool
take_answer(void *user, const struct lane_output *output)
{
	struct distillation *run = user;
	const char *prompt = output->prompt->text;

	progress(run->ctx, "answering", (double)(run->n_lines + run->n_empty), (double)run->n_all,
	    "prompts", -1);
	if (output->n_bytes == 0) {
		run->n_empty++;
		return true;
	}
	buffer_text(&run->lines, "{\"messages\": [");
	if (run->system != NULL) {
		add_message(&run->lines, "system", run->system, strlen(run->system));
		buffer_text(&run->lines, ", ");
	}
	add_message(&run->lines, "user", prompt, strlen(prompt));
	buffer_text(&run->lines, ", ");
	add_message(&run->lines, "assistant", output->text, output->n_bytes);
	buffer_text(&run->lines, "]}\n");
	run->n_lines++;
	return true;
}

/* ---- prompts ---- */

/* Without --suite-task: the task that the adapter's own description means, when one is near. */
static const struct t2l_suite_task *
choose_task(struct context *ctx, const struct t2l_suite *suite, const char *described)
{
	double cosine;
	const struct t2l_suite_task *task =
	    described[0] != '\0' ? nearest_task(ctx, suite, described, &cosine) : NULL;

	if (task != NULL && cosine >= NEAR_ENOUGH) {
		note(ctx, "prompts of the suite's task '%s', which is nearest to '%s' (%.2f)",
		    task->id, described, cosine);
		return task;
	}
	if (described[0] == '\0' || task != NULL)
		context_fail(ctx,
		    "no task of the suite is what the adapter does%s%s%s; give "
		    "--prompts FILE or --suite-task ID",
		    described[0] ? " ('" : "", described, described[0] ? "')" : "");
	return NULL;
}

static bool
add_suite(
    struct context *ctx, const struct options *opt, const char *described, struct prompts *prompts)
{
	const char *id = option_text(opt, "suite-task");
	char demo[PATH_MAX];
	const char *path = option_text(opt, "suite");
	const struct t2l_suite_task *task;
	struct t2l_suite *suite;
	struct t2l_error err;
	bool fine;

	if (path == NULL) {
		snprintf(demo, sizeof demo, "%s/tasks/demo", workplace_share(ctx));
		path = demo;
	}
	if (t2l_suite_open(path, &suite, &err) != T2L_OK) {
		context_fail_error(ctx, &err);
		return false;
	}
	task = id != NULL ? t2l_suite_find(suite, id) : choose_task(ctx, suite, described);
	if (task == NULL && id != NULL)
		context_fail(ctx, "'%s' has no task '%s'", path, id);
	fine = task != NULL;
	/* Test items first: the adapter has not been trained on them. */
	for (size_t i = 0; fine && i < task->n_tests; i++)
		fine = prompts_add_text(ctx, prompts, task->tests[i].prompt);
	for (size_t i = 0; fine && i < task->n_examples; i++)
		fine = prompts_add_text(ctx, prompts, task->examples[i].prompt);
	t2l_suite_close(suite);
	return fine;
}

static bool
collect(
    struct context *ctx, const struct options *opt, const char *described, struct prompts *prompts)
{
	const char *file = option_text(opt, "prompts");
	size_t most =
	    option_given(opt, "examples") ? (size_t)option_integer(opt, "examples") : SIZE_MAX;

	if (file != NULL ? !prompts_read(ctx, prompts, file)
			 : !add_suite(ctx, opt, described, prompts))
		return false;
	for (size_t i = 0; i < prompts->n; i++)
		if (prompts->items[i].messages != NULL || prompts->items[i].ids != NULL)
			return context_fail(ctx,
				   "prompt %zu is a conversation or tokens; plain prompts are "
				   "wanted",
				   i + 1),
			       false;
	/* Lanes run over an array, so fewer prompts is a shorter array; the rest is still freed. */
	while (prompts->n > most) {
		struct prompts last = { .items = calloc(1, sizeof *last.items), .n = 1 };

		if (last.items == NULL)
			return context_fail(ctx, "out of memory"), false;
		last.items[0] = prompts->items[--prompts->n];
		prompts_free(&last);
	}
	return true;
}

/* ---- writing ---- */

/* How the data came to be: it does not belong into the lines. */
static char *
origin(const struct options *opt, const struct t2l_adapter *adapter, const struct t2l_model *model,
    const struct lane_settings *settings, const struct distillation *run)
{
	const struct t2l_adapter_facts *facts = t2l_adapter_facts(adapter);
	cJSON *root = cJSON_CreateObject();
	char *text;

	cJSON_AddStringToObject(root, "what",
	    "training data distilled from a LoRA adapter: its own answers, not its weights");
	cJSON_AddStringToObject(root, "base_model", t2l_model_facts(model)->name);
	cJSON_AddStringToObject(root, "base_fingerprint", t2l_model_facts(model)->fingerprint);
	cJSON_AddStringToObject(root, "adapter", option_text(opt, "adapter"));
	cJSON_AddStringToObject(root, "adapter_hash", facts->hash);
	cJSON_AddStringToObject(root, "task", facts->task);
	cJSON_AddNumberToObject(root, "conversations", (double)run->n_lines);
	cJSON_AddNumberToObject(root, "seed", (double)settings->sampling.seed);
	cJSON_AddBoolToObject(root, "greedy", settings->sampling.greedy);
	cJSON_AddNumberToObject(root, "temperature", (double)settings->sampling.temperature);
	cJSON_AddNumberToObject(root, "top_k", settings->sampling.top_k);
	cJSON_AddNumberToObject(root, "top_p", (double)settings->sampling.top_p);
	cJSON_AddNumberToObject(root, "max_tokens", (double)settings->max_tokens);
	text = cJSON_Print(root);
	cJSON_Delete(root);
	return text;
}

static bool
write_lines(struct distillation *run, const char *path)
{
	const char *lines = buffer_string(&run->lines);
	struct t2l_error err;

	if (t2l_chat_lines_check(lines, run->lines.n, path, NULL, &err) != T2L_OK)
		return context_fail_error(run->ctx, &err), false;
	if (atomic_write(path, lines, run->lines.n) != 0)
		return context_fail(run->ctx, "cannot write '%s': %s", path, strerror(errno)),
		       false;
	return true;
}

static bool
write_origin(struct distillation *run, const char *path, char *text)
{
	char side[PATH_MAX];
	bool fine = text != NULL && strlen(path) + 6 <= sizeof side;

	snprintf(side, sizeof side, "%s.json", path);
	fine = fine && atomic_write(side, text, strlen(text)) == 0;
	if (!fine)
		context_fail(run->ctx, "cannot write '%s': %s", side, strerror(errno));
	cJSON_free(text);
	return fine;
}

static void
tell(const struct distillation *run, const struct t2l_adapter *adapter, const char *path)
{
	cJSON *object = cJSON_CreateObject();

	cJSON_AddStringToObject(object, "format", "openai");
	cJSON_AddStringToObject(object, "path", path);
	cJSON_AddStringToObject(object, "hash", t2l_adapter_facts(adapter)->hash);
	cJSON_AddNumberToObject(object, "conversations", (double)run->n_lines);
	cJSON_AddNumberToObject(object, "empty", (double)run->n_empty);
	cJSON_AddBoolToObject(object, "verified", true);
	say_json(run->ctx, object);
	say(run->ctx, "%s  (openai, %zu conversations, held against the published rules)\n", path,
	    run->n_lines);
	say(run->ctx,
	    "  this is training data: the adapter's answers, not its weights; %s.json says how it "
	    "was "
	    "made\n",
	    path);
	if (run->n_empty > 0)
		note(run->ctx, "%zu prompts were answered with nothing and left out", run->n_empty);
}

int
distil(struct context *ctx, const struct options *opt, const struct t2l_adapter *adapter,
    const char *path)
{
	const char *task = option_text(opt, "task-description");
	struct distillation run = { .ctx = ctx,
		.system = task != NULL ? task : t2l_adapter_facts(adapter)->task };
	struct lane_settings settings = { 0 };
	struct prompts prompts = { 0 };
	struct lanes_job job = { .settings = &settings, .prompts = &prompts };
	const struct t2l_adapter *lane = adapter;
	float weight = 1;
	struct mix mix = { .label = (char *)option_text(opt, "adapter"),
		.adapters = &lane,
		.weights = &weight,
		.n = 1 };
	int status = 1;

	if (run.system[0] == '\0')
		run.system = NULL;
	if (collect(ctx, opt, run.system ? run.system : "", &prompts) &&
	    lane_settings_make(ctx, opt, &settings) &&
	    workplace_model(ctx, option_text(opt, "base-model"), &job.model)) {
		run.n_all = prompts.n;
		job.mixes = &mix;
		job.n_mixes = 1;
		job.on_output = take_answer;
		job.user = &run;
		status = lanes_run(ctx, &job);
		progress(ctx, "answering", -1, 0, "prompts", -1);
	}
	if (status == 0) {
		status = 1;
		if (buffer_failed(&run.lines))
			context_fail(ctx, "out of memory");
		else if (write_lines(&run, path) &&
			 write_origin(&run, path, origin(opt, adapter, job.model, &settings, &run)))
			status = 0;
	}
	if (status == 0)
		tell(&run, adapter, path);
	buffer_free(&run.lines);
	prompts_free(&prompts);
	lane_settings_free(&settings);
	return status;
}
