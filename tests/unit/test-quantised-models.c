/* test-quantised-models.c - llama.cpp's quantised files through the whole decoder. */
#include "tests/unit/golden-tensors.h"

#include <stdio.h>

#include "engine/t2l.h"

#define LOGITS_BOUND 1e-3 /* golden/models/README.md, activations in f32 */
#define SPREAD 0.25	  /* and of log-probabilities when they are int8: "0.1 to 0.2" */

static const char *const names[] = { "llama2-q8_0", "llama2-q4_0", "llama2-q4_1", "llama2-q5_0",
	"llama2-q5_1", "llama2-iq4_nl", "kq-q2_k", "kq-q3_k_m", "kq-q4_k_m", "kq-q5_k_m" };
static const char *const sets[] = { "avx512", "avx2", "plain" };
#define N_NAMES ((int)(sizeof names / sizeof names[0]))
#define N_SETS ((int)(sizeof sets / sizeof sets[0]))

struct golden_model {
	struct t2l_model *model;
	struct safetensors *golden;
	size_t vocab_size;
};

/* False when the files are not here. */
static bool
open_both(struct t2l_engine *engine, const char *name, struct golden_model *out)
{
	char file[64], golden_file[64];
	const char *path, *golden_file_path;
	struct t2l_error err = { 0 };

	snprintf(file, sizeof file, "models/gguf/%s.gguf", name);
	snprintf(golden_file, sizeof golden_file, "models/gguf/%s.golden.safetensors", name);
	path = golden_path(file);
	golden_file_path = golden_path(golden_file);
	if (path == NULL || golden_file_path == NULL) {
		print_message("no golden data for %s\n", name);
		return false;
	}
	assert_ok(t2l_model_open(engine, path, &out->model, &err));
	assert_ok(safetensors_open(golden_file_path, &out->golden, &err));
	out->vocab_size = (size_t)t2l_model_facts(out->model)->vocab_size;
	return true;
}

static void
close_both(struct golden_model *both)
{
	t2l_model_close(both->model);
	safetensors_close(both->golden);
}

static size_t
best_of(const float *logits, size_t n)
{
	size_t best = 0;

	for (size_t i = 1; i < n; i++)
		best = logits[i] > logits[best] ? i : best;
	return best;
}

/* The prompt's logits, and after it the reference's greedy tokens one by one. */
static void
check_exactly(const struct golden_model *both, const char *what)
{
	size_t n, n_greedy, n_values, vocab_size = both->vocab_size;
	int32_t *ids = golden_ids(both->golden, "tokens_a", &n);
	int32_t *greedy = golden_ids(both->golden, "greedy_a", &n_greedy);
	const float *expected = golden_floats(both->golden, "logits_a", &n_values);
	float *logits = malloc((n + n_greedy) * vocab_size * sizeof *logits);
	double *logprobs = malloc((n + n_greedy) * sizeof *logprobs);
	struct t2l_error err = { 0 };

	assert_int_equal(n_values, n * vocab_size);
	ids = realloc(ids, (n + n_greedy) * sizeof *ids);
	assert_true(ids != NULL && logits != NULL && logprobs != NULL);
	memcpy(ids + n, greedy, n_greedy * sizeof *ids);
	assert_ok(t2l_score(both->model, NULL, NULL, 0, ids, n + n_greedy, logprobs, logits, &err));
	assert_near(logits, expected, n_values, LOGITS_BOUND, what);
	for (size_t i = 0; i < n_greedy; i++)
		if (best_of(logits + (n - 1 + i) * vocab_size, vocab_size) != (size_t)greedy[i])
			fail_msg("%s: greedy token %zu differs", what, i);
	free(ids);
	free(greedy);
	free(logits);
	free(logprobs);
}

static void
precise_logits_are_the_references(void **state)
{
	int n_checked = 0;

	(void)state;
	for (int s = 0; s < N_SETS; s++) {
		struct t2l_engine_options options = { .precise = true, .isa = sets[s] };
		struct t2l_engine *engine;

		if (t2l_engine_open(&options, &engine, NULL) != T2L_OK)
			continue; /* this processor lacks it */
		for (int i = 0; i < N_NAMES; i++) {
			struct golden_model both;

			if (!open_both(engine, names[i], &both))
				continue;
			check_exactly(&both, names[i]);
			close_both(&both);
			n_checked++;
		}
		t2l_engine_close(engine);
	}
	if (n_checked == 0)
		skip();
}

static void
check_spread(const struct golden_model *both, const char *what)
{
	size_t n, n_values, vocab_size = both->vocab_size;
	int32_t *ids = golden_ids(both->golden, "tokens_a", &n);
	const float *values = golden_floats(both->golden, "logits_a", &n_values);
	double *logprobs = malloc(n * sizeof *logprobs);
	struct t2l_error err = { 0 };

	assert_non_null(logprobs);
	assert_ok(t2l_score(both->model, NULL, NULL, 0, ids, n, logprobs, NULL, &err));
	for (size_t t = 1; t < n; t++) {
		const float *row = values + (t - 1) * vocab_size;
		double sum = 0, expected;

		for (size_t v = 0; v < vocab_size; v++)
			sum += exp((double)row[v]);
		expected = (double)row[ids[t]] - log(sum);
		if (!(fabs(logprobs[t] - expected) < SPREAD))
			fail_msg(
			    "%s: token %zu has %g, not about %g", what, t, logprobs[t], expected);
	}
	free(ids);
	free(logprobs);
}

static void
fast_arithmetic_stays_near_the_reference(void **state)
{
	int n_checked = 0;

	(void)state;
	for (int s = 0; s < N_SETS; s++) {
		struct t2l_engine_options options = { .isa = sets[s] };
		struct t2l_engine *engine;

		if (t2l_engine_open(&options, &engine, NULL) != T2L_OK)
			continue;
		for (int i = 0; i < N_NAMES; i++) {
			struct golden_model both;

			if (!open_both(engine, names[i], &both))
				continue;
			check_spread(&both, names[i]);
			close_both(&both);
			n_checked++;
		}
		t2l_engine_close(engine);
	}
	if (n_checked == 0)
		skip();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(precise_logits_are_the_references),
		cmocka_unit_test(fast_arithmetic_stays_near_the_reference),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
