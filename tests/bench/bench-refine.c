/*
 * bench-refine.c - what refining a generated adapter brings over starting from zero.
 *
 * For tasks of the demo's suite: 32 of a task's pairs, 8 of them held out. An adapter generated
 * from a description that the hypernet did not train on (tier "near"), and a fresh LoRA, are
 * fine-tuned on the same examples with the same seed, batches and learning rate. Told are the
 * held-out losses (nats a token, mean over tasks) after so many steps, and how many steps the fresh
 * one needs to come to what the generated one has after 0, 5 and 20.
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

int
main(int argc, char **argv)
{
	static const int after[3] = { 0, 5, STEPS };
	const char *share = argc > 1 ? argv[1] : "share";
	int n_wanted = argc > 2 ? atoi(argv[2]) : 20, n = 0;
	float rate = argc > 3 ? (float)atof(argv[3]) : 1e-3F;
	double generated[LONGEST + 1], zero[LONGEST + 1];
	double sums[2][LONGEST + 1] = { { 0 } };
	int needed[3][1000];
	char path[4096];
	struct t2l_engine *engine;
	struct t2l_model *model;
	struct t2l_encoder *encoder;
	struct t2l_hypernet *hypernet;
	struct t2l_suite *suite;
	struct t2l_error err;
	float *embedding;

	check(t2l_engine_open(NULL, &engine, &err), &err);
	snprintf(path, sizeof path, "%s/models/demo-base", share);
	check(t2l_model_open(engine, path, &model, &err), &err);
	snprintf(path, sizeof path, "%s/models/demo-encoder", share);
	check(t2l_encoder_open(engine, path, &encoder, &err), &err);
	snprintf(path, sizeof path, "%s/models/demo-L.safetensors", share);
	check(t2l_hypernet_open(engine, path, &hypernet, &err), &err);
	snprintf(path, sizeof path, "%s/tasks/demo", share);
	check(t2l_suite_open(path, &suite, &err), &err);
	embedding = calloc((size_t)t2l_hypernet_facts(hypernet)->embedding_size, sizeof *embedding);
	for (size_t i = 0; i < t2l_suite_n_tasks(suite) && n < n_wanted && n < 1000; i++) {
		/* Spread over the suite. */
		const struct t2l_suite_task *task =
		    t2l_suite_task(suite, i * 37 % t2l_suite_n_tasks(suite));
		const struct t2l_suite_tier *tier = t2l_suite_tier(task, "near");
		struct t2l_adapter *first;

		if (!task->train || tier == NULL || tier->n == 0 || task->n_examples < EXAMPLES)
			continue;
		check(t2l_hypernet_embed(hypernet, encoder, tier->texts[0], embedding, &err), &err);
		check(
		    t2l_hypernet_generate(hypernet, embedding, tier->texts[0], &first, &err), &err);
		refine(model, first, task, STEPS, rate, generated);
		refine(model, NULL, task, LONGEST, rate, zero);
		t2l_adapter_close(first);
		for (int j = 0; j <= STEPS; j++)
			sums[0][j] += generated[j];
		for (int j = 0; j <= LONGEST; j++)
			sums[1][j] += zero[j];
		for (int j = 0; j < 3; j++)
			needed[j][n] = steps_to(zero, generated[after[j]]);
		n++;
	}
	if (n == 0)
		return 1;
	printf("%d tasks, %d examples each, learning rate %g; held-out nats a token\n", n, EXAMPLES,
	    (double)rate);
	printf("%-10s %10s %10s\n", "steps", "generated", "from zero");
	for (int j = 0; j <= LONGEST; j = j < 5 ? 5 : j < 20 ? 20 : j + 60) {
		printf("%-10d ", j);
		if (j <= STEPS)
			printf("%10.3f", sums[0][j] / n);
		else
			printf("%10s", "");
		printf(" %10.3f\n", sums[1][j] / n);
	}
	for (int j = 0; j < 3; j++) {
		int within = 0;

		qsort(needed[j], (size_t)n, sizeof needed[j][0], by_value);
		for (int k = 0; k < n; k++)
			within += needed[j][k] <= LONGEST;
		printf("as good as generated + %d steps: from zero in median %d steps (%d of %d "
		       "within "
		       "%d)\n",
		    after[j], needed[j][n / 2], within, n, LONGEST);
	}
	free(embedding);
	t2l_suite_close(suite);
	t2l_hypernet_close(hypernet);
	t2l_encoder_close(encoder);
	t2l_model_close(model);
	t2l_engine_close(engine);
	return 0;
}
