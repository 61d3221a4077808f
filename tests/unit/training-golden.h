/*
 * training-golden.h - one reference training case: its batch, and what the reference computed from
 * it.
 */
#ifndef TESTS_UNIT_TRAINING_GOLDEN_H
#define TESTS_UNIT_TRAINING_GOLDEN_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "engine/cpu/cpu.h"
#include "engine/formats/json.h"
#include "engine/formats/safetensors.h"
#include "engine/models/decoder.h"
#include "engine/training/batch.h"
#include "engine/training/optimiser.h"
#include "engine/training/parameters.h"
#include "engine/training/task-batch.h"
#include "tests/golden-path.h"

/* The bounds of golden/hypernet/README.md. */
#define LOSS_BOUND 5e-6	    /* relative */
#define GRADIENT_BOUND 2e-5 /* of the tensor's largest entry */
#define AFTER5_USUAL 5e-6   /* 99.9 % of the numbers */
#define AFTER5_WORST 5e-4

#define CASE_SAMPLES 4
#define CASE_TOKENS 24

struct golden_case {
	struct backend *backend;
	struct ops *ops;
	struct base_model *base;
	struct safetensors *init, *batch_file, *grads, *after5;
	cJSON *json;
	struct batch batch;
	struct task_rows groups[CASE_SAMPLES];
	struct t2l_train_options options;
};

/* False: the data is not here (the test skips). */
static inline bool
golden_case_open(struct golden_case *c, const char *name)
{
	struct t2l_error err = { 0 };
	char path[256];
	struct cpu_options cpu = { .n_threads = 2 };
	struct safetensors **files[] = { &c->init, &c->batch_file, &c->grads, &c->after5 };
	static const char *const names[] = { "init", "batch", "grads", "after5" };

	memset(c, 0, sizeof *c);
	snprintf(path, sizeof path, "hypernet/train/%s/golden.json", name);
	const char *json = golden_path(path), *base = golden_path("hypernet/train/base_h48");

	if (json == NULL || base == NULL)
		return false;
	assert_int_equal(json_open(json, 1 << 20, &c->json, &err), T2L_OK);
	assert_int_equal(base_model_open(base, &c->base, &err), T2L_OK);
	for (int i = 0; i < 4; i++) {
		snprintf(path, sizeof path, "hypernet/train/%s/%s.safetensors", name, names[i]);
		assert_int_equal(safetensors_open(golden_path(path), files[i], &err), T2L_OK);
	}
	assert_int_equal(cpu_backend_open(&cpu, &c->backend, &err), T2L_OK);
	c->ops = ops_create(c->backend);
	assert_non_null(c->ops);
	return true;
}

static inline double
golden_number(const cJSON *object, const char *key)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);

	assert_true(cJSON_IsNumber(item));
	return item->valuedouble;
}

/* The optimiser as the case's golden.json gives it. */
static inline void
golden_case_options(struct golden_case *c)
{
	const cJSON *optimiser = cJSON_GetObjectItemCaseSensitive(c->json, "optimiser");

	t2l_train_defaults(&c->options);
	c->options.steps = (int64_t)golden_number(optimiser, "total_steps");
	c->options.warmup_steps = (int64_t)golden_number(optimiser, "warmup");
	c->options.learning_rate = (float)golden_number(optimiser, "lr");
	c->options.weight_decay = (float)golden_number(optimiser, "weight_decay");
	c->options.clip = (float)golden_number(optimiser, "clip_grad_norm");
	c->options.beta2 = 0.999f;
	c->options.schedule = T2L_SCHEDULE_LINEAR;
	c->options.label_smoothing = (float)golden_number(c->json, "smooth");
}

/* The padded batch as packed rows; each sample is its own group. */
static inline void
golden_case_batch(struct golden_case *c)
{
	struct t2l_error err;
	struct tensor ids, mask, labels;
	bool equal = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(c->json, "equal"));
	int n_labels[CASE_SAMPLES] = { 0 }, n_all = 0;

	assert_int_equal(safetensors_tensor(c->batch_file, "input_ids", &ids, &err), T2L_OK);
	assert_int_equal(safetensors_tensor(c->batch_file, "attention_mask", &mask, &err), T2L_OK);
	assert_int_equal(safetensors_tensor(c->batch_file, "labels", &labels, &err), T2L_OK);
	for (int s = 0; s < CASE_SAMPLES; s++) {
		for (int i = 1; i < CASE_TOKENS; i++)
			n_labels[s] += ((int64_t *)labels.data)[s * CASE_TOKENS + i] != -100;
		n_all += n_labels[s];
	}
	batch_reset(&c->batch);
	for (int s = 0; s < CASE_SAMPLES; s++) {
		int32_t row_ids[CASE_TOKENS], row_labels[CASE_TOKENS];
		int64_t begin = c->batch.n_rows;
		int n = 0;

		for (; n < CASE_TOKENS && ((int64_t *)mask.data)[s * CASE_TOKENS + n] != 0; n++) {
			row_ids[n] = (int32_t)((int64_t *)ids.data)[s * CASE_TOKENS + n];
			row_labels[n] = (int32_t)((int64_t *)labels.data)[s * CASE_TOKENS + n];
		}
		assert_int_equal(
		    batch_add(&c->batch, row_ids, row_labels, n,
			equal ? 1.0f / (float)(CASE_SAMPLES * n_labels[s]) : 1.0f / (float)n_all,
			&err),
		    T2L_OK);
		c->groups[s] = (struct task_rows){ begin, c->batch.n_rows - begin, s };
	}
}

static inline void
golden_case_close(struct golden_case *c)
{
	batch_release(&c->batch);
	ops_free(c->ops);
	cpu_backend_close(c->backend);
	base_model_close(c->base);
	safetensors_close(c->init);
	safetensors_close(c->batch_file);
	safetensors_close(c->grads);
	safetensors_close(c->after5);
	cJSON_Delete(c->json);
}

/* The reference's loss of step STEP (from 0). */
static inline double
golden_case_loss(const struct golden_case *c, int step)
{
	const cJSON *steps = cJSON_GetObjectItemCaseSensitive(c->json, "steps");

	return golden_number(cJSON_GetArrayItem(steps, step), "total");
}

/* |ours - theirs| against the gradient bound; theirs [n]. */
static inline void
assert_gradient(const char *name, const float *ours, const float *theirs, int64_t n)
{
	double largest = 0, worst = 0;

	for (int64_t i = 0; i < n; i++)
		largest = fmax(largest, fabs((double)theirs[i]));
	for (int64_t i = 0; i < n; i++)
		worst = fmax(worst, fabs((double)ours[i] - (double)theirs[i]));
	if (!(worst <= GRADIENT_BOUND * largest + 1e-12))
		fail_msg("%s: gradient off by %g where the largest is %g", name, worst, largest);
}

struct after5_tally {
	int64_t n, unusual;
	double worst;
};

static inline void
tally_after5(struct after5_tally *tally, const float *ours, const float *theirs, int64_t n)
{
	for (int64_t i = 0; i < n; i++) {
		double off = fabs((double)ours[i] - (double)theirs[i]);

		tally->n++;
		tally->unusual += off > AFTER5_USUAL;
		tally->worst = fmax(tally->worst, off);
	}
}

static inline void
assert_after5(const struct after5_tally *tally)
{
	if (tally->worst > AFTER5_WORST || (double)tally->unusual > 0.001 * (double)tally->n)
		fail_msg("after five steps: worst %g, %lld of %lld off by more than %g",
		    tally->worst, (long long)tally->unusual, (long long)tally->n, AFTER5_USUAL);
}

#endif
