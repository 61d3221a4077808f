/*
 * bench-refine.c - what refining a generated adapter brings over starting from zero.
 *
 * For tasks of the demo's suite: 32 of a task's pairs, 8 of them held out. An adapter generated
 * from a description that the hypernet did not train on (tier "near"), and a fresh LoRA, are
 * fine-tuned on the same examples with the same seed, batches and learning rate. Told are the
 * held-out losses (nats a token, mean over tasks) after so many steps, and how many steps the fresh
 * one needs to come to what the generated one has after 0, 5 and 20.
 *
 * Told twice: for tasks that the hypernet was trained on, and for tasks that it has never seen.
 *
 * usage: bench-refine SHARE [TASKS [LEARNING_RATE]]   (the folder that holds models/ and tasks/)
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/t2l.h"

#define EXAMPLES 32
#define STEPS 20    /* from the generated adapter */
#define LONGEST 200 /* from zero */
#define MAX_TASKS 1000

static void
check(enum t2l_status status, const struct t2l_error *err)
{
	if (status == T2L_OK)
		return;
	fprintf(stderr, "bench-refine: %s\n", err->message);
	exit(1);
}

/* Held-out losses by step; [0] is before the first. */
static bool
note(void *user, int64_t step, double loss, double held_out)
{
	(void)loss;
	((double *)user)[step] = held_out;
	return true;
}

static void
refine(struct t2l_model *model, const struct t2l_adapter *first, const struct t2l_suite_task *task,
    int64_t steps, float learning_rate, double *losses)
{
	struct t2l_refine_options options;
	struct t2l_refine_report report;
	struct t2l_adapter *out;
	struct t2l_error err;

	t2l_refine_defaults(&options);
	options.steps = steps;
	options.learning_rate = learning_rate;
	options.evaluate_every = 1;
	options.on_step = note;
	options.user = losses;
	check(t2l_refine(model, first, task->examples, EXAMPLES, &options, &out, &report, &err),
	    &err);
	losses[0] = report.loss_before;
	t2l_adapter_close(out);
}

/* The first step at which the loss is no higher than WANTED; LONGEST + 1: none. */
static int
steps_to(const double *losses, double wanted)
{
	for (int i = 0; i <= LONGEST; i++)
		if (losses[i] <= wanted)
			return i;
	return LONGEST + 1;
}

static int
by_value(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

struct demo {
	struct t2l_model *model;
	struct t2l_encoder *encoder;
	struct t2l_hypernet *hypernet;
	struct t2l_suite *suite;
};

static void
open_demo(struct t2l_engine *engine, const char *share, struct demo *demo)
{
	char path[4096];
	struct t2l_error err;

	snprintf(path, sizeof path, "%s/models/demo-base", share);
	check(t2l_model_open(engine, path, &demo->model, &err), &err);
	snprintf(path, sizeof path, "%s/models/demo-encoder", share);
	check(t2l_encoder_open(engine, path, &demo->encoder, &err), &err);
	snprintf(path, sizeof path, "%s/models/demo-L.safetensors", share);
	check(t2l_hypernet_open(engine, path, &demo->hypernet, &err), &err);
	snprintf(path, sizeof path, "%s/tasks/demo", share);
	check(t2l_suite_open(path, &demo->suite, &err), &err);
}

static struct t2l_adapter *
generate(struct demo *demo, const char *task)
{
	float *embedding =
	    calloc((size_t)t2l_hypernet_facts(demo->hypernet)->embedding_size, sizeof *embedding);
	struct t2l_adapter *adapter;
	struct t2l_error err;

	check(t2l_hypernet_embed(demo->hypernet, demo->encoder, task, embedding, &err), &err);
	check(t2l_hypernet_generate(demo->hypernet, embedding, task, &adapter, &err), &err);
	free(embedding);
	return adapter;
}

/* What the tasks came to. */
struct outcome {
	int n;
	double generated[STEPS + 1], zero[LONGEST + 1]; /* sums */
	int needed[3][MAX_TASKS];
};
static const int after[3] = { 0, 5, STEPS };

static void
add_task(struct demo *demo, const struct t2l_suite_task *task, float rate, struct outcome *outcome)
{
	struct t2l_adapter *first = generate(demo, t2l_suite_tier(task, "near")->texts[0]);
	double generated[STEPS + 1], zero[LONGEST + 1];

	refine(demo->model, first, task, STEPS, rate, generated);
	refine(demo->model, NULL, task, LONGEST, rate, zero);
	t2l_adapter_close(first);
	for (int i = 0; i <= STEPS; i++)
		outcome->generated[i] += generated[i];
	for (int i = 0; i <= LONGEST; i++)
		outcome->zero[i] += zero[i];
	for (int i = 0; i < 3; i++)
		outcome->needed[i][outcome->n] = steps_to(zero, generated[after[i]]);
	outcome->n++;
}

static void
tell(struct outcome *outcome, const char *which, float rate)
{
	int n = outcome->n;

	printf("%d %s tasks, %d examples each, learning rate %g; held-out nats a token\n", n, which,
	    EXAMPLES, (double)rate);
	printf("%-10s %10s %10s\n", "steps", "generated", "from zero");
	for (int i = 0; i <= LONGEST; i = i < 5 ? 5 : i < 20 ? 20 : i + 60) {
		printf("%-10d ", i);
		if (i <= STEPS)
			printf("%10.3f", outcome->generated[i] / n);
		else
			printf("%10s", "");
		printf(" %10.3f\n", outcome->zero[i] / n);
	}
	for (int i = 0; i < 3; i++) {
		int within = 0;

		qsort(outcome->needed[i], (size_t)n, sizeof outcome->needed[i][0], by_value);
		for (int k = 0; k < n; k++)
			within += outcome->needed[i][k] <= LONGEST;
		printf("as good as generated + %d steps: from zero %d of %d within %d steps",
		    after[i], within, n, LONGEST);
		if (outcome->needed[i][n / 2] <= LONGEST)
			printf(", in median after %d", outcome->needed[i][n / 2]);
		printf("\n");
	}
	fflush(stdout);
}

int
main(int argc, char **argv)
{
	const char *share = argc > 1 ? argv[1] : "share";
	int n_wanted = argc > 2 ? atoi(argv[2]) : 8;
	float rate = argc > 3 ? (float)atof(argv[3]) : 1e-3F;
	struct t2l_engine *engine;
	struct t2l_error err;
	struct demo demo;

	check(t2l_engine_open(NULL, &engine, &err), &err);
	open_demo(engine, share, &demo);
	for (int unseen = 0; unseen < 2; unseen++) {
		struct outcome outcome = { 0 };
		size_t n_all = t2l_suite_n_tasks(demo.suite);

		for (size_t i = 0; i < n_all && outcome.n < n_wanted && outcome.n < MAX_TASKS;
		     i++) {
			/* Spread over the suite. */
			const struct t2l_suite_task *task =
			    t2l_suite_task(demo.suite, i * 37 % n_all);
			const struct t2l_suite_tier *tier = t2l_suite_tier(task, "near");

			if (task->train == (unseen == 0) && tier != NULL && tier->n > 0 &&
			    task->n_examples >= EXAMPLES)
				add_task(&demo, task, rate, &outcome);
		}
		if (outcome.n > 0)
			tell(&outcome, unseen ? "unseen" : "trained", rate);
	}
	t2l_suite_close(demo.suite);
	t2l_hypernet_close(demo.hypernet);
	t2l_encoder_close(demo.encoder);
	t2l_model_close(demo.model);
	t2l_engine_close(engine);
	return 0;
}
