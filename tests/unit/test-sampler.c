/* test-sampler.c - the chain of sampling steps against the reference, and its properties. */
#include "tests/unit/golden-tensors.h"

#include <math.h>

#include "engine/formats/json.h"
#include "engine/inference/sampler.h"

#define PROBABILITY_BOUND 2e-6 /* golden/sampling/README.md */
#define MOST 4096

/* Probabilities of all ids, 0 for those that were dropped. */
static void
probabilities(const struct sampler *sampler, double *out, size_t vocab_size)
{
	size_t n;
	const struct candidate *c = sampler_candidates(sampler, &n);
	double largest = -INFINITY, total = 0;

	memset(out, 0, vocab_size * sizeof *out);
	for (size_t i = 0; i < n; i++)
		largest = fmax(largest, c[i].logit);
	for (size_t i = 0; i < n; i++)
		total += exp(c[i].logit - largest);
	for (size_t i = 0; i < n; i++)
		out[c[i].id] = exp(c[i].logit - largest) / total;
}

/* False for a step that is not ours. */
static bool
apply(struct sampler *sampler, const cJSON *step, const int32_t *previous, size_t n_previous)
{
	const char *op = cJSON_GetObjectItem(step, "op")->valuestring;
	double value = cJSON_GetObjectItem(step, "value")->valuedouble;

	if (strcmp(op, "temperature") == 0)
		sampler_temperature(sampler, (float)value);
	else if (strcmp(op, "top_k") == 0)
		sampler_top_k(sampler, (int)value);
	else if (strcmp(op, "top_p") == 0)
		sampler_top_p(sampler, (float)value);
	else if (strcmp(op, "min_p") == 0)
		sampler_min_p(sampler, (float)value);
	else if (strcmp(op, "repetition_penalty") == 0)
		sampler_repetition_penalty(sampler, (float)value, previous, n_previous);
	else if (strcmp(op, "frequency_penalty") == 0)
		sampler_count_penalties(sampler, (float)value, 0, previous, n_previous);
	else if (strcmp(op, "presence_penalty") == 0)
		sampler_count_penalties(sampler, 0, (float)value, previous, n_previous);
	else
		return false;
	return true;
}

static void
check_case(const cJSON *item, const struct safetensors *st, size_t *n_checked)
{
	size_t n, n_previous;
	const float *logits =
	    golden_floats(st, cJSON_GetObjectItem(item, "logits")->valuestring, &n);
	const float *expected =
	    golden_floats(st, cJSON_GetObjectItem(item, "probs")->valuestring, NULL);
	int32_t *previous =
	    golden_ids(st, cJSON_GetObjectItem(item, "previous")->valuestring, &n_previous);
	struct sampler *sampler = sampler_create((int)n);
	const cJSON *step;
	double got[MOST];
	bool ours = true;

	assert_true(n <= MOST);
	sampler_load(sampler, logits);
	cJSON_ArrayForEach(step, cJSON_GetObjectItem(item, "chain")) ours =
	    ours && apply(sampler, step, previous, n_previous);
	if (ours) {
		probabilities(sampler, got, n);
		for (size_t i = 0; i < n; i++) {
			/* The kept sets are equal, but for what underflows in f32. */
			if (fabs(got[i] - (double)expected[i]) > PROBABILITY_BOUND ||
			    (got[i] == 0 && expected[i] != 0) ||
			    (got[i] > 1e-37 && expected[i] == 0))
				fail_msg("case %d, token %zu: %g, expected %g",
				    cJSON_GetObjectItem(item, "id")->valueint, i, got[i],
				    (double)expected[i]);
		}
		++*n_checked;
	}
	free(previous);
	sampler_free(sampler);
}

static void
every_chain_gives_the_reference_probabilities(void **state)
{
	struct t2l_error err = { 0 };
	struct safetensors *st = open_golden("sampling/sampling.safetensors");
	cJSON *json;
	const cJSON *item;
	size_t n_checked = 0;

	(void)state;
	assert_ok(json_open(need_golden("sampling/sampling.json"), 1 << 24, &json, &err));
	cJSON_ArrayForEach(item, cJSON_GetObjectItem(json, "cases"))
	    check_case(item, st, &n_checked);
	assert_true(n_checked > 100);
	cJSON_Delete(json);
	safetensors_close(st);
}

static void
draws_are_the_references(void **state)
{
	struct t2l_error err = { 0 };
	struct safetensors *st = open_golden("sampling/sampling.safetensors");
	cJSON *json;
	const cJSON *item;
	size_t n_checked = 0;

	(void)state;
	assert_ok(json_open(need_golden("sampling/sampling.json"), 1 << 24, &json, &err));
	cJSON_ArrayForEach(item, cJSON_GetObjectItem(json, "draws"))
	{
		size_t n;
		const float *probs =
		    golden_floats(st, cJSON_GetObjectItem(item, "probs")->valuestring, &n);
		struct sampler *sampler = sampler_create((int)n);
		float *logits = malloc(n * sizeof *logits);

		for (size_t i = 0; i < n; i++)
			logits[i] = logf(probs[i]); /* -inf where dropped */
		sampler_load(sampler, logits);
		assert_int_equal(sampler_draw(sampler, cJSON_GetObjectItem(item, "u")->valuedouble),
		    cJSON_GetObjectItem(item, "token")->valueint);
		free(logits);
		sampler_free(sampler);
		n_checked++;
	}
	assert_true(n_checked > 50);
	cJSON_Delete(json);
	safetensors_close(st);
}

static void
greedy_takes_the_lowest_id_of_ties(void **state)
{
	const float logits[] = { 1, 3, 2, 3, -1 };
	struct sampler *sampler = sampler_create(5);
	struct t2l_sampling sampling = t2l_sampling_default();
	const int32_t previous[] = { 1 };

	(void)state;
	sampling.greedy = true;
	assert_int_equal(sampler_next(sampler, &sampling, logits, NULL, 0, 0), 1);
	sampling.greedy = false;
	sampling.temperature = 0;
	assert_int_equal(sampler_next(sampler, &sampling, logits, NULL, 0, 0), 1);
	sampling.repetition_penalty = 2;
	assert_int_equal(sampler_next(sampler, &sampling, logits, previous, 1, 1), 3);
	sampler_free(sampler);
}

static void
logits_that_are_no_numbers_are_never_drawn(void **state)
{
	const float some[] = { NAN, 1, NAN, -INFINITY }, none[] = { NAN, NAN, NAN, -INFINITY };
	struct sampler *sampler = sampler_create(4);
	struct t2l_sampling sampling = t2l_sampling_default();

	(void)state;
	for (int greedy = 0; greedy < 2; greedy++) {
		sampling.greedy = greedy;
		sampling.top_p = 0.9f;
		sampling.top_k = 3;
		sampling.min_p = 0.1f;
		for (uint64_t step = 0; step < 20; step++)
			assert_int_equal(sampler_next(sampler, &sampling, some, NULL, 0, step), 1);
		assert_int_equal(sampler_next(sampler, &sampling, none, NULL, 0, 0), -1);
	}
	sampler_free(sampler);
}

static void
draws_follow_the_probabilities_and_the_seed(void **state)
{
	const float logits[] = { 0, logf(2), logf(5) }; /* 1/8, 2/8, 5/8 */
	struct sampler *sampler = sampler_create(3);
	struct t2l_sampling sampling = t2l_sampling_default();
	enum { N = 80000 };
	int counts[3] = { 0 }, same = 0;

	(void)state;
	for (uint64_t step = 0; step < N; step++) {
		int32_t id;

		sampling.seed = 7;
		id = sampler_next(sampler, &sampling, logits, NULL, 0, step);
		counts[id]++;
		assert_int_equal(sampler_next(sampler, &sampling, logits, NULL, 0, step), id);
		sampling.seed = 8;
		same += sampler_next(sampler, &sampling, logits, NULL, 0, step) == id;
	}
	/* Five standard deviations of a binomial: at most 5 * sqrt(N / 4). */
	for (int i = 0; i < 3; i++)
		assert_true(abs(counts[i] - N * (i == 2 ? 5 : i + 1) / 8) < 710);
	/* Two independent draws agree with probability (1 + 4 + 25) / 64. */
	assert_true(abs(same - N * 30 / 64) < 710);
	sampler_free(sampler);
}

static void
options_out_of_range_are_named(void **state)
{
	static const struct {
		const char *name;
		struct t2l_sampling sampling;
	} rows[] = {
		{ "temperature", { .temperature = -1, .top_p = 1, .repetition_penalty = 1 } },
		{ "temperature", { .temperature = NAN, .top_p = 1, .repetition_penalty = 1 } },
		{ "top_k", { .top_k = -1, .top_p = 1, .repetition_penalty = 1 } },
		{ "top_p", { .top_p = 1.5f, .repetition_penalty = 1 } },
		{ "min_p", { .top_p = 1, .min_p = -0.1f, .repetition_penalty = 1 } },
		{ "repetition_penalty", { .top_p = 1 } },
		{ "frequency_penalty",
		    { .top_p = 1, .repetition_penalty = 1, .frequency_penalty = INFINITY } },
		{ "presence_penalty",
		    { .top_p = 1, .repetition_penalty = 1, .presence_penalty = 1000 } },
	};
	struct t2l_sampling fine = t2l_sampling_default();
	struct t2l_error err;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		assert_fails(sampling_check(&rows[i].sampling, &err), T2L_EINVAL, rows[i].name);
	assert_int_equal(sampling_check(&fine, &err), T2L_OK);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_chain_gives_the_reference_probabilities),
		cmocka_unit_test(draws_are_the_references),
		cmocka_unit_test(greedy_takes_the_lowest_id_of_ties),
		cmocka_unit_test(logits_that_are_no_numbers_are_never_drawn),
		cmocka_unit_test(draws_follow_the_probabilities_and_the_seed),
		cmocka_unit_test(options_out_of_range_are_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
