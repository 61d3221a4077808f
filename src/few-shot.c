/* few-shot.c - chooses a description by examples and refines what is made from it. */

#include "config.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "src/few-shot.h"
#include "src/workplace.h"

#define MAX_CANDIDATE_BYTES ((size_t)16 << 20)
#define MAX_EXAMPLES_SCORED 32
#define AT_ONCE 16   /* adapters made and scored together */
#define BEST_TASKS 3 /* whose further descriptions are tried */
#define FURTHER 16   /* of each of them */

bool
few_shot_open(struct few_shot *few, const char *path)
{
	struct stat place;
	struct t2l_error err;

	if (stat(path, &place) == 0 && S_ISDIR(place.st_mode)) {
		context_fail(
		    few->ctx, "--examples '%s' is a directory; a JSONL file is wanted", path);
		return false;
	}
	if (t2l_suite_open(path, &few->suite, &err) != T2L_OK) {
		context_fail_error(few->ctx, &err);
		return false;
	}
	few->examples = t2l_suite_task(few->suite, 0)->examples;
	few->n_examples = t2l_suite_task(few->suite, 0)->n_examples;
	if (few->n_examples == 0)
		context_fail(few->ctx, "'%s' holds no example", path);
	return few->n_examples > 0;
}

void
few_shot_close(struct few_shot *few)
{
	t2l_suite_close(few->suite);
	few->suite = NULL;
}

/* ---- candidates ---- */

struct candidate {
	const char *text;
	size_t task; /* of the suite */
	double loss;
};

struct candidates {
	struct candidate *items;
	size_t n;
	struct t2l_suite *suite;
	char *lines;
};

static void
candidates_free(struct candidates *candidates)
{
	free(candidates->items);
	free(candidates->lines);
	t2l_suite_close(candidates->suite);
}

static bool
add(struct context *ctx, struct candidates *candidates, const char *text, size_t task)
{
	struct candidate *items = realloc(candidates->items, (candidates->n + 1) * sizeof *items);

	if (items == NULL) {
		context_fail(ctx, "out of memory");
		return false;
	}
	candidates->items = items;
	items[candidates->n++] = (struct candidate){ text, task, (double)INFINITY };
	return true;
}

static bool
add_lines(struct context *ctx, struct candidates *candidates, const char *path)
{
	char *rest = candidates->lines = read_whole_file(path, MAX_CANDIDATE_BYTES, NULL);
	bool fine = rest != NULL;

	if (!fine)
		context_fail(ctx, "cannot read '%s': %s", path, strerror(errno));
	for (char *line; fine && (line = strsep(&rest, "\n")) != NULL;)
		if (line[strspn(line, " \t\r")] != '\0')
			fine = add(ctx, candidates, line, 0);
	return fine;
}

/* One description of each task that a hypernet may know. */
static bool
add_tasks(struct context *ctx, struct candidates *candidates, const char *path)
{
	bool fine = true;
	struct t2l_error err;

	if (t2l_suite_open(path, &candidates->suite, &err) != T2L_OK) {
		context_fail_error(ctx, &err);
		return false;
	}
	for (size_t i = 0; fine && i < t2l_suite_n_tasks(candidates->suite); i++) {
		const struct t2l_suite_task *task = t2l_suite_task(candidates->suite, i);
		const struct t2l_suite_tier *tier = t2l_suite_tier(task, "train");

		if (task->train && tier != NULL && tier->n > 0)
			fine = add(ctx, candidates, tier->texts[0], i);
	}
	return fine;
}

static bool
collect(struct few_shot *few, struct candidates *candidates)
{
	char path[4096];
	struct stat place;
	bool fine;

	if (few->candidates != NULL)
		snprintf(path, sizeof path, "%s", few->candidates);
	else
		snprintf(path, sizeof path, "%s/tasks/demo", workplace_share(few->ctx));
	fine = stat(path, &place) == 0 && S_ISREG(place.st_mode)
		   ? add_lines(few->ctx, candidates, path)
		   : add_tasks(few->ctx, candidates, path);
	if (fine && candidates->n == 0)
		fine = (context_fail(few->ctx, "'%s' holds no description", path), false);
	return fine;
}

/* ---- scores ---- */

/* The losses of some candidates' adapters. */
static enum t2l_status
score_some(struct few_shot *few, struct candidate *items, size_t n, struct t2l_error *err)
{
	size_t size = (size_t)t2l_hypernet_facts(few->hypernet)->embedding_size;
	size_t n_examples =
	    few->n_examples < MAX_EXAMPLES_SCORED ? few->n_examples : MAX_EXAMPLES_SCORED;
	float *embeddings = calloc(n * size, sizeof *embeddings);
	struct t2l_adapter *adapters[AT_ONCE] = { NULL };
	const char *texts[AT_ONCE];
	double losses[AT_ONCE];
	enum t2l_status status = embeddings != NULL ? T2L_OK : T2L_ENOMEM;

	if (status != T2L_OK)
		snprintf(err->message, sizeof err->message, "out of memory");
	for (size_t i = 0; i < n; i++)
		texts[i] = items[i].text;
	if (status == T2L_OK)
		status = t2l_hypernet_embed_many(
		    few->hypernet, few->encoder, texts, n, embeddings, NULL, err);
	if (status == T2L_OK)
		status =
		    t2l_hypernet_generate_many(few->hypernet, embeddings, NULL, n, adapters, err);
	if (status == T2L_OK)
		status = t2l_examples_loss(few->model, (const struct t2l_adapter *const *)adapters,
		    n, few->examples, n_examples, losses, err);
	for (size_t i = 0; i < n; i++) {
		if (status == T2L_OK)
			items[i].loss = losses[i];
		t2l_adapter_close(adapters[i]);
	}
	free(embeddings);
	return status;
}

static bool
score(struct few_shot *few, struct candidates *candidates, size_t from)
{
	struct t2l_error err = { 0 };

	for (size_t i = from; i < candidates->n; i += AT_ONCE) {
		size_t left = candidates->n - i;

		progress(few->ctx, "descriptions", (double)i, (double)candidates->n, NULL, -1);
		if (atomic_load(few->ctx->cancelled)) {
			context_fail(few->ctx, "interrupted");
			return false;
		}
		if (score_some(few, candidates->items + i, left < AT_ONCE ? left : AT_ONCE, &err) !=
		    T2L_OK) {
			context_fail_error(few->ctx, &err);
			return false;
		}
	}
	progress(few->ctx, "descriptions", -1, 0, NULL, -1);
	return true;
}

static int
by_loss(const void *a, const void *b)
{
	double x = ((const struct candidate *)a)->loss, y = ((const struct candidate *)b)->loss;

	return x < y ? -1 : x > y;
}

/* More phrasings of the best tasks, spread over the tier: neighbours are often alike. */
static bool
add_further(struct few_shot *few, struct candidates *candidates)
{
	size_t n_tasks = candidates->n < BEST_TASKS ? candidates->n : BEST_TASKS;
	bool fine = true;

	for (size_t i = 0; i < n_tasks && candidates->suite != NULL; i++) {
		size_t index = candidates->items[i].task;
		const struct t2l_suite_tier *tier =
		    t2l_suite_tier(t2l_suite_task(candidates->suite, index), "train");
		size_t n = tier->n - 1 < FURTHER ? tier->n - 1 : FURTHER;

		for (size_t j = 0; j < n && fine; j++)
			fine = add(
			    few->ctx, candidates, tier->texts[1 + j * (tier->n - 1) / n], index);
	}
	return fine;
}

bool
few_shot_describe(struct few_shot *few, char **task)
{
	struct candidates candidates = { 0 };
	bool fine = collect(few, &candidates) && score(few, &candidates, 0);
	size_t n_first = candidates.n;

	if (fine) {
		qsort(candidates.items, candidates.n, sizeof *candidates.items, by_loss);
		fine = add_further(few, &candidates) && score(few, &candidates, n_first);
	}
	if (fine) {
		qsort(candidates.items, candidates.n, sizeof *candidates.items, by_loss);
		*task = strdup(candidates.items[0].text);
		note(few->ctx,
		    "description by the examples: \"%s\" (%.3f nats a token; of %zu tried)",
		    candidates.items[0].text, candidates.items[0].loss, candidates.n);
		fine = *task != NULL;
	}
	candidates_free(&candidates);
	return fine;
}

/* ---- refining ---- */

static bool
on_step(void *user, int64_t step, double loss, double held_out)
{
	struct few_shot *few = user;

	(void)step;
	(void)loss;
	(void)held_out;
	return !atomic_load(few->ctx->cancelled);
}

bool
few_shot_refine(struct few_shot *few, const struct t2l_adapter *adapter, long long steps,
    double learning_rate, struct t2l_adapter **refined)
{
	struct t2l_refine_options options;
	struct t2l_refine_report report;
	struct t2l_error err;
	cJSON *object;

	t2l_refine_defaults(&options);
	options.steps = steps;
	options.learning_rate = (float)learning_rate;
	options.evaluate_every = steps < 20 ? 1 : steps / 20;
	options.on_step = on_step;
	options.user = few;
	if (t2l_refine(few->model, adapter, few->examples, few->n_examples, &options, refined,
		&report, &err) != T2L_OK) {
		context_fail_error(few->ctx, &err);
		return false;
	}
	object = cJSON_CreateObject();
	cJSON_AddNumberToObject(object, "refined_steps", (double)report.steps);
	cJSON_AddNumberToObject(object, "examples", (double)report.n_trained);
	cJSON_AddNumberToObject(object, "held_out", (double)report.n_held_out);
	cJSON_AddNumberToObject(object, "loss_before", report.loss_before);
	cJSON_AddNumberToObject(object, "loss_after", report.loss_after);
	say_json(few->ctx, object);
	say(few->ctx,
	    "refined: %zu held-out examples went from %.3f to %.3f nats a token (best after step "
	    "%lld of %lld, %zu examples)\n",
	    report.n_held_out, report.loss_before, report.loss_after, (long long)report.steps,
	    steps, report.n_trained);
	return true;
}
