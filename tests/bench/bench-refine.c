/*
 * bench-refine.c - what refining a generated adapter brings over starting from zero.
 *
 * Of tasks that the hypernet has never seen (the groups unseen_A, unseen_B, twin and unseen_attr of
 * the demo's suite) 16 pairs are the examples: training pairs where the task has some (the hypernet
 * did not get them), else test items; the other test items are asked. An adapter generated from the
 * task's first description, and a fresh LoRA (A random, B zero), are refined on the same examples
 * for 0, 5, 10, 20 and 40 steps, as `t2l generate --examples FILE --refine N` does it (a quarter of
 * the examples is held out and the best state kept); then the share of the asked items that are
 * answered exactly, greedily. Each start has the learning rate of RATES whose held-out loss after
 * the longest run, summed over the tasks, is least: none of the items that are asked has a say.
 *
 * usage: bench-refine SHARE [TASKS of each group]   (SHARE: the folder of models/ and tasks/)
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/t2l.h"

#define EXAMPLES 16
#define LANES 32
#define MAX_ANSWER_TOKENS 48

static const int steps[] = { 0, 5, 10, 20, 40 };
static const float rates[] = { 1e-3F, 3e-3F, 1e-2F };
static const char *const groups[] = { "unseen_A", "unseen_B", "twin", "unseen_attr" };
static const char *const starts[] = { "generated", "from zero" };

enum { N_STEPS = 5, N_RATES = 3, N_GROUPS = 4, N_STARTS = 2 };

static void
check(enum t2l_status status, const struct t2l_error *err)
{
	if (status == T2L_OK)
		return;
	fprintf(stderr, "bench-refine: %s\n", err->message);
	exit(1);
}

struct demo {
	struct t2l_model *model;
	struct t2l_encoder *encoder;
	struct t2l_hypernet *hypernet;
	struct t2l_suite *suite;
	struct t2l_session *session;
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
	check(t2l_session_open(demo->model, LANES, 0, &demo->session, &err), &err);
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

static void
ask(struct demo *demo, size_t lane, const char *prompt, const struct t2l_adapter *adapter)
{
	const struct t2l_message message = { "user", prompt };
	const struct t2l_chat_options options = { .add_generation_prompt = true };
	const float weight = 1;
	struct t2l_error err;
	int32_t *ids;
	size_t n;

	check(t2l_chat_encode(demo->model, &message, 1, &options, &ids, &n, &err), &err);
	check(
	    t2l_session_set_adapters(demo->session, lane, &adapter, &weight, adapter != NULL, &err),
	    &err);
	check(t2l_session_set_prompt(demo->session, lane, ids, n, &err), &err);
	t2l_free(ids);
}

static bool
has_pairs(const struct t2l_suite_task *task)
{
	return task->n_examples >= EXAMPLES;
}

/* The share of the task's items that are no examples that are answered exactly. */
static double
score(struct demo *demo, const struct t2l_suite_task *task, const struct t2l_adapter *adapter)
{
	struct t2l_sampling sampling = t2l_sampling_default();
	struct t2l_run run = { .sampling = &sampling, .max_tokens = MAX_ANSWER_TOKENS };
	struct t2l_lane_result results[LANES];
	const size_t skipped = has_pairs(task) ? 0 : EXAMPLES;
	const struct t2l_suite_example *items = task->tests + skipped;
	size_t n_items = task->n_tests - skipped, n_right = 0, n;
	struct t2l_error err;

	sampling.greedy = true;
	n_items = n_items < LANES ? n_items : LANES;
	for (size_t i = 0; i < n_items; i++)
		ask(demo, i, items[i].prompt, adapter);
	for (size_t i = n_items; i < LANES; i++)
		check(t2l_session_set_prompt(demo->session, i, NULL, 0, &err), &err);
	check(t2l_session_run(demo->session, &run, results, &err), &err);
	for (size_t i = 0; i < n_items; i++) {
		const char *text = t2l_session_output(demo->session, i, &n);

		n_right += results[i].finish == T2L_FINISH_STOP && n == strlen(items[i].response) &&
			   memcmp(text, items[i].response, n) == 0;
	}
	return (double)n_right / (double)n_items;
}

/* One task with one start and one rate: scores by steps. -> the held-out loss at the end */
static double
refine(struct demo *demo, const struct t2l_suite_task *task, const struct t2l_adapter *first,
    float rate, double scores[N_STEPS])
{
	struct t2l_refine_options options;
	struct t2l_refine_report report = { 0 };
	struct t2l_adapter *refined;
	struct t2l_error err;

	t2l_refine_defaults(&options);
	options.learning_rate = rate;
	scores[0] = score(demo, task, first);
	for (int i = 1; i < N_STEPS; i++) {
		options.steps = steps[i];
		options.evaluate_every = steps[i] < 20 ? 1 : steps[i] / 20;
		check(t2l_refine(demo->model, first, has_pairs(task) ? task->examples : task->tests,
			  EXAMPLES, &options, &refined, &report, &err),
		    &err);
		scores[i] = score(demo, task, refined);
		t2l_adapter_close(refined);
	}
	return report.loss_after;
}

/* Sums over tasks: of a group, start and rate by steps. */
struct sums {
	double score[N_GROUPS][N_STARTS][N_RATES][N_STEPS];
	double loss[N_STARTS][N_RATES];
	int n[N_GROUPS];
};

static void
add_task(struct demo *demo, const struct t2l_suite_task *task, int group, struct sums *sums)
{
	struct t2l_adapter *first = generate(demo, task->tiers[0].texts[0]);

	for (int start = 0; start < N_STARTS; start++) {
		for (int rate = 0; rate < N_RATES; rate++) {
			double scores[N_STEPS];

			sums->loss[start][rate] +=
			    refine(demo, task, start == 0 ? first : NULL, rates[rate], scores);
			for (int i = 0; i < N_STEPS; i++)
				sums->score[group][start][rate][i] += scores[i];
		}
	}
	sums->n[group]++;
	t2l_adapter_close(first);
}

static void
tell_line(const char *name, int n, const struct sums *sums, int group, int start, int rate)
{
	printf("%-12s %5d  %-10s", name, n, starts[start]);
	for (int i = 0; i < N_STEPS; i++) {
		double sum = 0;

		for (int g = 0; g < N_GROUPS; g++)
			if (group < 0 || g == group)
				sum += sums->score[g][start][rate][i];
		printf(" %6.1f", 100 * sum / n);
	}
	printf("\n");
}

static void
tell(const struct sums *sums)
{
	int best[N_STARTS] = { 0 }, all = 0;

	for (int start = 0; start < N_STARTS; start++) {
		for (int rate = 1; rate < N_RATES; rate++)
			if (sums->loss[start][rate] < sums->loss[start][best[start]])
				best[start] = rate;
		printf("%s: learning rate %g\n", starts[start], (double)rates[best[start]]);
	}
	printf("\nexact answers in %% after steps\n%-12s %5s  %-10s", "group", "tasks", "start");
	for (int i = 0; i < N_STEPS; i++)
		printf(" %6d", steps[i]);
	printf("\n");
	for (int group = 0; group < N_GROUPS; group++) {
		for (int start = 0; start < N_STARTS && sums->n[group] > 0; start++)
			tell_line(groups[group], sums->n[group], sums, group, start, best[start]);
		all += sums->n[group];
	}
	for (int start = 0; start < N_STARTS && all > 0; start++)
		tell_line("all", all, sums, -1, start, best[start]);
	printf("\nby learning rate: all, then the groups\n");
	for (int i = 0; i < N_STARTS * N_RATES && all > 0; i++) {
		char rate[16];

		snprintf(rate, sizeof rate, "%g", (double)rates[i % N_RATES]);
		tell_line(rate, all, sums, -1, i / N_RATES, i % N_RATES);
		for (int group = 0; group < N_GROUPS; group++)
			if (sums->n[group] > 0)
				tell_line(groups[group], sums->n[group], sums, group, i / N_RATES,
				    i % N_RATES);
	}
}

static int
group_of(const struct t2l_suite_task *task)
{
	for (int i = 0; i < N_GROUPS; i++)
		if (strcmp(task->group, groups[i]) == 0)
			return i;
	return -1;
}

int
main(int argc, char **argv)
{
	const char *share = argc > 1 ? argv[1] : "share";
	int n_wanted = argc > 2 ? atoi(argv[2]) : 4;
	struct t2l_engine *engine;
	struct sums sums = { 0 };
	struct t2l_error err;
	struct demo demo;

	check(t2l_engine_open(NULL, &engine, &err), &err);
	open_demo(engine, share, &demo);
	for (size_t i = 0; i < t2l_suite_n_tasks(demo.suite); i++) {
		const struct t2l_suite_task *task = t2l_suite_task(demo.suite, i);
		int group = group_of(task);

		if (group >= 0 && !task->train && sums.n[group] < n_wanted &&
		    task->n_tests > EXAMPLES && task->n_tiers > 0 && task->tiers[0].n > 0)
			add_task(&demo, task, group, &sums);
	}
	tell(&sums);
	t2l_session_close(demo.session);
	t2l_suite_close(demo.suite);
	t2l_hypernet_close(demo.hypernet);
	t2l_encoder_close(demo.encoder);
	t2l_model_close(demo.model);
	t2l_engine_close(engine);
	return 0;
}
