/* test-session.c - sessions: lanes against the reference, and what callers may rely on. */
#include "tests/unit/golden-models.h"

#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#include "engine/inference/kv-cache.h"
#include "engine/models/model.h"
#include "engine/text/tokenizer.h"

#define MAX_LANES 8

static struct t2l_session *
open_session(struct t2l_model *model, size_t n_lanes, size_t n_context)
{
	struct t2l_error err = { 0 };
	struct t2l_session *session = NULL;

	assert_ok(t2l_session_open(model, n_lanes, n_context, &session, &err));
	return session;
}

static void
set_adapter(struct t2l_session *session, size_t lane, const struct t2l_adapter *adapter)
{
	static const float one = 1;
	struct t2l_error err = { 0 };

	assert_ok(
	    t2l_session_set_adapters(session, lane, &adapter, &one, adapter != NULL ? 1 : 0, &err));
}

static void
set_prompt(struct t2l_session *session, size_t lane, const int32_t *ids, size_t n)
{
	struct t2l_error err = { 0 };

	assert_ok(t2l_session_set_prompt(session, lane, ids, n, &err));
}

static void
run_greedy(struct t2l_session *session, size_t max_tokens, struct t2l_lane_result *results)
{
	struct t2l_sampling sampling = t2l_sampling_default();
	struct t2l_run run = { .sampling = &sampling, .max_tokens = max_tokens };
	struct t2l_error err = { 0 };

	sampling.greedy = true;
	assert_ok(t2l_session_run(session, &run, results, &err));
}

/* The reference goes on past the end of text, a session stops there. */
static void
check_output(const struct t2l_session *session, size_t lane, const int32_t *expected,
    size_t n_expected, int32_t eos)
{
	size_t n, wanted = 0;
	const int32_t *ids = t2l_session_output_ids(session, lane, &n);

	while (wanted < n_expected && expected[wanted] != eos)
		wanted++;
	assert_int_equal(n, wanted);
	assert_memory_equal(ids, expected, n * sizeof *ids);
}

/* A prompt of N pseudo-random tokens; the same SALT gives the same. */
static void
make_prompt(int32_t *ids, size_t n, unsigned salt)
{
	for (size_t i = 0; i < n; i++) {
		salt = salt * 1103515245u + 12345u;
		ids[i] = 5 + (int32_t)((salt >> 16) % 300);
	}
}

/* ---- against the reference ---- */

static void
check_greedy(const char *model_relative, const char *golden_relative, const char *adapter_name)
{
	struct t2l_model *model = open_golden_model(model_relative);
	struct safetensors *golden = open_golden(golden_relative);
	struct t2l_adapter *adapter =
	    adapter_name != NULL ? open_llama2_adapter(adapter_name) : NULL;
	struct t2l_session *session = open_session(model, 1, 0);
	struct t2l_lane_result result;

	set_adapter(session, 0, adapter);
	for (const char *name = "ab"; *name != '\0'; name++) {
		char tokens[] = "tokens_?", greedy[] = "greedy_?";
		size_t n_tokens, n_greedy;

		tokens[7] = greedy[7] = *name;
		if (safetensors_find(golden, greedy) == NULL)
			continue;
		int32_t *prompt = golden_ids(golden, tokens, &n_tokens);
		int32_t *expected = golden_ids(golden, greedy, &n_greedy);

		set_prompt(session, 0, prompt, n_tokens);
		run_greedy(session, n_greedy, &result);
		assert_int_equal(result.n_prompt, n_tokens);
		check_output(session, 0, expected, n_greedy, 2);
		free(prompt);
		free(expected);
	}
	t2l_session_close(session);
	t2l_adapter_close(adapter);
	safetensors_close(golden);
	t2l_model_close(model);
}

static void
greedy_continuations_are_the_references(void **state)
{
	(void)state;
	check_greedy("models/llama-bias", "models/llama-bias/golden.safetensors", NULL);
	check_greedy("models/llama2", "models/llama2/golden.safetensors", NULL);
	check_greedy(
	    "models/gguf/llama2-q8_0.gguf", "models/gguf/llama2-q8_0.golden.safetensors", NULL);
}

static void
greedy_continuations_with_adapters_are_the_references(void **state)
{
	static const char *const names[] = { "t2l", "all", "rslora", "patterns", "bf16" };

	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		char golden[128];

		snprintf(golden, sizeof golden,
		    "models/llama2/adapters/%s/adapter_golden.safetensors", names[i]);
		check_greedy("models/llama2", golden, names[i]);
		check_greedy("models/gguf/llama2-f32.gguf", golden, names[i]);
	}
}

static void
six_lanes_with_their_own_adapters_give_the_reference(void **state)
{
	static const char *const names[] = { "t2l", "all", NULL, "rslora", "patterns", "all" };
	struct t2l_model *model = open_golden_model("models/llama2");
	struct safetensors *golden = open_golden("models/llama2/batch_golden.safetensors");
	struct t2l_session *session = open_session(model, 6, 64);
	char name[32];
	size_t n;

	(void)state;
	for (size_t i = 0; i < 6; i++) {
		struct t2l_adapter *adapter =
		    names[i] != NULL ? open_llama2_adapter(names[i]) : NULL;

		snprintf(name, sizeof name, "tokens_%zu", i);
		int32_t *ids = golden_ids(golden, name, &n);
		set_adapter(session, i, adapter);
		set_prompt(session, i, ids, n);
		free(ids);
		t2l_adapter_close(adapter); /* the session keeps its own reference */
	}
	run_greedy(session, 8, NULL);
	for (size_t i = 0; i < 6; i++) {
		snprintf(name, sizeof name, "greedy_%zu", i);
		int32_t *expected = golden_ids(golden, name, &n);
		check_output(session, i, expected, n, 2);
		free(expected);
	}
	t2l_session_close(session);
	safetensors_close(golden);
	t2l_model_close(model);
}

/* ---- lanes and cache ---- */

/* What a session of its own gives for a prompt, with sampling by SEED. */
static size_t
run_alone(struct t2l_model *model, const struct t2l_adapter *adapter, const int32_t *prompt,
    size_t n, uint64_t seed, int32_t *out, size_t max_tokens)
{
	struct t2l_session *session = open_session(model, 1, 0);
	struct t2l_sampling sampling = t2l_sampling_default();
	struct t2l_run run = { .sampling = &sampling, .max_tokens = max_tokens };
	struct t2l_error err = { 0 };
	const int32_t *ids;
	size_t n_ids;

	sampling.seed = seed;
	sampling.top_k = 40;
	sampling.repetition_penalty = 1.1f;
	set_adapter(session, 0, adapter);
	set_prompt(session, 0, prompt, n);
	assert_ok(t2l_session_run(session, &run, NULL, &err));
	ids = t2l_session_output_ids(session, 0, &n_ids);
	memcpy(out, ids, n_ids * sizeof *ids);
	t2l_session_close(session);
	return n_ids;
}

/* Lanes whose prompts together are longer than one step takes. */
static void
many_lanes_give_what_each_gives_alone(void **state)
{
	struct t2l_model *model = open_golden_model("models/llama2");
	struct t2l_adapter *adapters[] = { NULL, open_llama2_adapter("all"),
		open_llama2_adapter("rslora") };
	struct t2l_session *session = open_session(model, MAX_LANES, 0);
	struct t2l_sampling sampling[MAX_LANES];
	struct t2l_run run = { .sampling = sampling, .per_lane_sampling = true, .max_tokens = 16 };
	struct t2l_error err = { 0 };
	int32_t prompt[112], expected[16];

	(void)state;
	for (size_t i = 0; i < MAX_LANES; i++) {
		sampling[i] = t2l_sampling_default();
		sampling[i].seed = i;
		sampling[i].top_k = 40;
		sampling[i].repetition_penalty = 1.1f;
		make_prompt(prompt, 112 - 5 * i, (unsigned)i);
		set_adapter(session, i, adapters[i % 3]);
		set_prompt(session, i, prompt, 112 - 5 * i);
	}
	assert_ok(t2l_session_run(session, &run, NULL, &err));
	for (size_t i = 0; i < MAX_LANES; i++) {
		size_t n;

		make_prompt(prompt, 112 - 5 * i, (unsigned)i);
		n = run_alone(model, adapters[i % 3], prompt, 112 - 5 * i, i, expected, 16);
		check_output(session, i, expected, n, -1);
	}
	t2l_session_close(session);
	t2l_adapter_close(adapters[1]);
	t2l_adapter_close(adapters[2]);
	t2l_model_close(model);
}

/* Whole prompts, prompts that grow token by token, and prompts that come back after others. */
static void
what_is_in_the_cache_is_not_computed_again_and_changes_nothing(void **state)
{
	struct t2l_model *model = open_golden_model("models/llama-bias");
	struct t2l_session *session = open_session(model, 1, 0);
	struct t2l_lane_result result;
	int32_t prompt[64], other[64], expected[16];
	size_t n_expected;

	(void)state;
	make_prompt(prompt, 64, 1);
	make_prompt(other, 64, 2);
	memcpy(other, prompt, 40 * sizeof *other);
	n_expected = run_alone(model, NULL, prompt, 64, 0, expected, 0);
	assert_int_equal(n_expected, 0);
	struct t2l_session *fresh = open_session(model, 1, 0);
	set_prompt(fresh, 0, prompt, 64);
	run_greedy(fresh, 16, &result);
	assert_int_equal(result.n_cached, 0);
	const int32_t *ids = t2l_session_output_ids(fresh, 0, &n_expected);
	memcpy(expected, ids, n_expected * sizeof *ids);
	t2l_session_close(fresh);

	for (size_t n = 1; n <= 64; n++) {
		set_prompt(session, 0, prompt, n);
		run_greedy(session, n < 64 ? 0 : 16, &result);
		assert_int_equal(result.n_cached, n - 1);
	}
	check_output(session, 0, expected, n_expected, -1);
	set_prompt(session, 0, other, 64);
	run_greedy(session, 16, &result);
	assert_int_equal(result.n_cached, 40);
	set_prompt(session, 0, prompt, 64);
	run_greedy(session, 16, &result);
	assert_int_equal(result.n_cached, 40);
	check_output(session, 0, expected, n_expected, -1);
	/* Its own output is in the cache too (but the last token, which was never fed). */
	memcpy(other, prompt, 48 * sizeof *other);
	set_prompt(session, 0, prompt, 48);
	run_greedy(session, 8, &result);
	ids = t2l_session_output_ids(session, 0, &n_expected);
	assert_int_equal(n_expected, 8);
	memcpy(other + 48, ids, 8 * sizeof *ids);
	set_prompt(session, 0, other, 57);
	run_greedy(session, 1, &result);
	assert_int_equal(result.n_cached, 55);
	t2l_session_close(session);
	t2l_model_close(model);
}

static void
another_adapter_forgets_the_cache(void **state)
{
	struct t2l_model *model = open_golden_model("models/llama2");
	struct t2l_adapter *all = open_llama2_adapter("all"), *same = open_llama2_adapter("all");
	struct t2l_adapter *t2l = open_llama2_adapter("t2l");
	struct t2l_session *session = open_session(model, 2, 64);
	struct t2l_lane_result results[2];
	int32_t prompt[20];

	(void)state;
	make_prompt(prompt, 20, 3);
	const struct {
		const struct t2l_adapter *adapter;
		size_t n_cached;
	} rows[] = { { NULL, 0 }, { NULL, 19 }, { all, 0 }, { all, 19 }, { same, 19 }, { t2l, 0 },
		{ NULL, 0 } };
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		set_adapter(session, 1, rows[i].adapter);
		set_prompt(session, 1, prompt, 20);
		run_greedy(session, 2, results);
		assert_int_equal(results[1].n_cached, rows[i].n_cached);
		assert_int_equal(results[0].n_prompt, 0); /* took no part */
		assert_int_equal(results[0].n_tokens, 0);
	}
	t2l_session_close(session);
	t2l_adapter_close(all);
	t2l_adapter_close(same);
	t2l_adapter_close(t2l);
	t2l_model_close(model);
}

static void
a_weight_scales_the_adapter(void **state)
{
	static const float zero = 0, half[] = { 0.5f, 0.5f };
	struct t2l_model *model = open_golden_model("models/llama2");
	struct t2l_adapter *all = open_llama2_adapter("all");
	const struct t2l_adapter *twice[] = { all, all };
	struct t2l_session *session = open_session(model, 4, 64);
	struct t2l_error err = { 0 };
	int32_t prompt[20];
	const int32_t *a, *b;
	size_t n_a, n_b;

	(void)state;
	make_prompt(prompt, 20, 4);
	/* none = weight 0; once = two halves */
	assert_ok(t2l_session_set_adapters(session, 1, twice, &zero, 1, &err));
	set_adapter(session, 2, all);
	assert_ok(t2l_session_set_adapters(session, 3, twice, half, 2, &err));
	for (size_t i = 0; i < 4; i++)
		set_prompt(session, i, prompt, 20);
	run_greedy(session, 12, NULL);
	for (size_t i = 0; i < 4; i += 2) {
		a = t2l_session_output_ids(session, i, &n_a);
		b = t2l_session_output_ids(session, i + 1, &n_b);
		assert_int_equal(n_a, n_b);
		assert_memory_equal(a, b, n_a * sizeof *a);
	}
	a = t2l_session_output_ids(session, 0, &n_a);
	b = t2l_session_output_ids(session, 2, &n_b);
	assert_true(n_a != n_b || memcmp(a, b, n_a * sizeof *a) != 0);
	t2l_session_close(session);
	t2l_adapter_close(all);
	t2l_model_close(model);
}

static void
the_f16_cache_keeps_the_continuation(void **state)
{
	struct t2l_engine *precise = engine, *fast;
	struct t2l_error err = { 0 };

	(void)state;
	assert_ok(t2l_engine_open(NULL, &fast, &err));
	engine = fast;
	/* Its smallest distance between best and second logit is 0.04 (manifest.json). */
	check_greedy("models/llama2", "models/llama2/golden.safetensors", NULL);
	engine = precise;
	t2l_engine_close(fast);
}

/* Half the memory of f16: the answer to a short prompt is the same, and what does not fit its
 * blocks is refused. */
static void
the_q8_0_cache_keeps_the_continuation(void **state)
{
	struct t2l_session_options options = { .n_lanes = 1, .kv_type = "q8_0" };
	struct t2l_model *model = open_golden_model("models/llama2");
	struct t2l_session *session, *exact;
	struct t2l_error err = { 0 };
	const char *srcdir = getenv("T2L_SRCDIR");
	const int32_t *ours, *theirs;
	size_t n_ours, n_theirs;
	int32_t prompt[48];
	char demo[4096];

	(void)state;
	assert_fails(t2l_session_open_with(model, &options, &session, &err), T2L_EUNSUPPORTED,
	    "heads of 16");
	options.kv_type = "q5_0";
	assert_fails(t2l_session_open_with(model, &options, &session, &err), T2L_EINVAL, "q5_0");
	t2l_model_close(model);

	snprintf(demo, sizeof demo, "%s/share/models/demo-base", srcdir != NULL ? srcdir : ".");
	if (access(demo, R_OK) != 0)
		skip();
	assert_ok(t2l_model_open(engine, demo, &model, &err));
	for (int i = 0; i < 48; i++) /* "input>cat;output>cats;..." as bytes */
		prompt[i] = "input> cat\noutput> cats\ninput> dog\noutput> dogs\n"[i];
	options.kv_type = "q8_0";
	assert_ok(t2l_session_open_with(model, &options, &session, &err));
	exact = open_session(model, 1, 0); /* f32: the engine is precise */
	set_prompt(session, 0, prompt, 48);
	set_prompt(exact, 0, prompt, 48);
	run_greedy(session, 8, NULL);
	run_greedy(exact, 8, NULL);
	ours = t2l_session_output_ids(session, 0, &n_ours);
	theirs = t2l_session_output_ids(exact, 0, &n_theirs);
	assert_int_equal(n_ours, n_theirs);
	assert_memory_equal(ours, theirs, n_ours * sizeof *ours);
	t2l_session_close(exact);
	t2l_session_close(session);
	t2l_model_close(model);
}

static size_t
resident_bytes(void)
{
	long pages = 0, resident = 0;
	FILE *file = fopen("/proc/self/statm", "r");

	assert_non_null(file);
	assert_int_equal(fscanf(file, "%ld %ld", &pages, &resident), 2);
	fclose(file);
	return (size_t)resident * (size_t)sysconf(_SC_PAGESIZE);
}

static void
a_cache_takes_memory_as_it_is_filled(void **state)
{
	struct decoder_config config = { .n_layers = 4, .n_kv_heads = 8, .head_dim = 128 };
	size_t row_bytes = (size_t)config.n_kv_heads * (size_t)config.head_dim * 2;
	struct kv_cache cache;
	struct t2l_error err = { 0 };
	size_t before;

	(void)state;
	/* 16 GB of address space; 1000 rows are 16 MB. */
	assert_ok(kv_cache_open(&cache, &config, 1 << 20, DTYPE_F16, &err));
	before = resident_bytes();
	for (int layer = 0; layer < config.n_layers; layer++) {
		memset(cache.k[layer].data, 1, 1000 * row_bytes);
		memset(cache.v[layer].data, 1, 1000 * row_bytes);
	}
	assert_true(resident_bytes() - before < 2 * 8 * 1000 * row_bytes + (64 << 20));
	kv_cache_close(&cache);
}

/* ---- the end of a run ---- */

static void
a_full_context_ends_with_length(void **state)
{
	struct t2l_model *model = open_golden_model("models/llama2");
	struct t2l_session *session = open_session(model, 1, 32);
	struct t2l_lane_result result;
	int32_t prompt[32];
	size_t n;

	(void)state;
	for (size_t length = 32; length >= 20; length -= 4) {
		make_prompt(prompt, length, 5);
		set_prompt(session, 0, prompt, length);
		run_greedy(session, 1000, &result);
		t2l_session_output_ids(session, 0, &n);
		if (result.finish == T2L_FINISH_LENGTH) /* the last token needs no room */
			assert_int_equal(n, 32 - length + 1);
		assert_true(n <= 32 - length + 1);
	}
	make_prompt(prompt, 32, 5);
	set_prompt(session, 0, prompt, 32);
	run_greedy(session, 1000, &result);
	assert_int_equal(result.finish, T2L_FINISH_LENGTH);
	t2l_session_close(session);
	t2l_model_close(model);
}

static void
what_can_not_run_is_refused(void **state)
{
	static const char *const empty[] = { "" }, *const bad[] = { "\xff" },
				 *const fine[] = { "a" };
	struct t2l_model *model = open_golden_model("models/llama2");
	struct t2l_model *texts = open_golden_model("models/gguf/llama2-q8_0.gguf");
	struct t2l_session *session = NULL;
	struct t2l_sampling sampling = t2l_sampling_default();
	struct t2l_run run = { .sampling = &sampling, .max_tokens = 1 };
	struct t2l_error err;
	int32_t prompt[129] = { 0 };
	float nan = NAN;
	const struct t2l_adapter *adapter = open_llama2_adapter("t2l");

	(void)state;
	assert_fails(t2l_session_open(model, 0, 0, &session, &err), T2L_EINVAL, "0 lanes");
	assert_fails(t2l_session_open(model, 1, 129, &session, &err), T2L_EINVAL, "129");
	assert_null(session);
	session = open_session(model, 1, 64);
	assert_fails(t2l_session_set_prompt(session, 0, prompt, 65, &err), T2L_EINVAL, "65 tokens");
	assert_fails(t2l_session_set_prompt(session, 1, prompt, 1, &err), T2L_EINVAL, "lane 1");
	prompt[1] = 320;
	assert_fails(t2l_session_set_prompt(session, 0, prompt, 2, &err), T2L_EINVAL, "320");
	prompt[1] = -1;
	assert_fails(t2l_session_set_prompt(session, 0, prompt, 2, &err), T2L_EINVAL, "-1");
	assert_fails(
	    t2l_session_set_adapters(session, 0, &adapter, &nan, 1, &err), T2L_EINVAL, "weight");
	run.n_stop = 1;
	run.stop = fine;
	assert_fails(t2l_session_run(session, &run, NULL, &err), T2L_EINVAL, "tokenizer");
	t2l_session_close(session);
	session = open_session(texts, 1, 64);
	run.stop = empty;
	assert_fails(t2l_session_run(session, &run, NULL, &err), T2L_EINVAL, "empty");
	run.stop = bad;
	assert_fails(t2l_session_run(session, &run, NULL, &err), T2L_EINVAL, "UTF-8");
	run.n_stop = 0;
	sampling.top_p = 2;
	assert_fails(t2l_session_run(session, &run, NULL, &err), T2L_EINVAL, "top_p");
	t2l_session_close(session);
	t2l_adapter_close((struct t2l_adapter *)adapter);
	t2l_model_close(model);
	t2l_model_close(texts);
}

static void
damaged_weights_are_told(void **state)
{
	struct t2l_model *model = open_golden_model("models/llama-bias");
	struct t2l_session *session = open_session(model, 1, 64);
	struct t2l_sampling sampling = t2l_sampling_default();
	struct t2l_run run = { .sampling = &sampling, .max_tokens = 4 };
	struct t2l_error err;
	int32_t prompt[4];

	(void)state;
	make_prompt(prompt, 4, 6);
	for (int i = 0; i < 64; i++) /* bf16 in the file, so widened in memory of its own */
		tensor_f32(model->base->decoder.final_norm.weight)[i] = NAN;
	set_prompt(session, 0, prompt, 4);
	assert_fails(
	    t2l_session_run(session, &run, NULL, &err), T2L_EFORMAT, "no number for any token");
	assert_non_null(strstr(err.message, "(lane 1): "));
	assert_non_null(
	    strstr(err.message, "tensor 'model.norm.weight': row 0, column 0 is not a"));
	t2l_session_close(session);
	t2l_model_close(model);
}

/* ---- text, stop strings ---- */

struct stream {
	char text[MAX_LANES][4096];
	size_t n[MAX_LANES], n_calls[MAX_LANES];
	size_t stop_lane, stop_after; /* this lane ends after so many calls; 0: none */
};

static bool
collect(void *user, size_t lane, int32_t id, const char *text, size_t n_bytes)
{
	struct stream *stream = user;

	assert_true(id >= -1 && id < 320);
	assert_true(stream->n[lane] + n_bytes < sizeof stream->text[lane]);
	memcpy(stream->text[lane] + stream->n[lane], text, n_bytes);
	stream->n[lane] += n_bytes;
	stream->n_calls[lane]++;
	return stream->stop_after == 0 || lane != stream->stop_lane ||
	       stream->n_calls[lane] < stream->stop_after;
}

/* Greedy text of a prompt, streamed and whole, under N_STOP stop strings. */
static struct t2l_lane_result
run_text(struct t2l_session *session, unsigned salt, const char *const *stop, size_t n_stop,
    struct stream *stream)
{
	struct t2l_sampling sampling = t2l_sampling_default();
	struct t2l_run run = { .sampling = &sampling,
		.max_tokens = 40,
		.stop = stop,
		.n_stop = n_stop,
		.on_token = collect,
		.user = stream };
	struct t2l_lane_result result;
	struct t2l_error err = { 0 };
	int32_t prompt[12];
	size_t n;
	const char *text;

	sampling.seed = salt;
	memset(stream, 0, sizeof *stream);
	make_prompt(prompt, 12, salt);
	set_prompt(session, 0, prompt, 12);
	assert_ok(t2l_session_run(session, &run, &result, &err));
	text = t2l_session_output(session, 0, &n);
	assert_int_equal(n, stream->n[0]);
	assert_memory_equal(text, stream->text[0], n);
	return result;
}

/* Every piece of every text as a stop string: the text ends before its first place, and what was
 * streamed is exactly that. */
static void
text_ends_before_the_first_stop_string(void **state)
{
	struct t2l_model *model = open_golden_model("models/gguf/llama2-q8_0.gguf");
	struct t2l_session *session = open_session(model, 1, 64);
	static struct stream whole, cut;

	(void)state;
	for (unsigned salt = 0; salt < 4; salt++) {
		run_text(session, salt, NULL, 0, &whole);
		whole.text[0][whole.n[0]] = '\0';
		assert_true(whole.n[0] > 10);
		for (size_t begin = 0; begin + 1 < whole.n[0]; begin += 3) {
			for (size_t length = 1; length <= 9 && begin + length <= whole.n[0];
			     length += 4) {
				char piece[16];
				const char *stop[] = { "never in the text", piece };
				struct t2l_lane_result result;

				snprintf(piece, sizeof piece, "%.*s", (int)length,
				    whole.text[0] + begin);
				if (strlen(piece) != length || ((piece[0] & 0xc0) == 0x80))
					continue;
				bool whole_characters = true;
				for (size_t i = 0; i < length; i++)
					whole_characters &= (piece[i] & 0x80) == 0;
				if (!whole_characters)
					continue;
				result = run_text(session, salt, stop, 2, &cut);
				assert_int_equal(result.finish, T2L_FINISH_STOP);
				assert_int_equal(
				    cut.n[0], strstr(whole.text[0], piece) - whole.text[0]);
				assert_memory_equal(cut.text[0], whole.text[0], cut.n[0]);
			}
		}
	}
	t2l_session_close(session);
	t2l_model_close(model);
}

static void
text_is_that_of_the_ids(void **state)
{
	struct t2l_model *model = open_golden_model("models/gguf/llama2-q8_0.gguf");
	struct t2l_session *session = open_session(model, 1, 64);
	struct token_stream *reader;
	static struct stream stream;
	struct t2l_error err = { 0 };

	(void)state;
	assert_ok(
	    token_stream_open(model->base->tokenizer, DETOKENIZE_SKIP_SPECIAL, &reader, &err));
	for (unsigned salt = 0; salt < 6; salt++) {
		size_t n_ids, n, at = 0;
		const char *piece;

		run_text(session, salt, NULL, 0, &stream);
		const int32_t *ids = t2l_session_output_ids(session, 0, &n_ids);
		for (size_t i = 0; i <= n_ids; i++) {
			assert_ok(i < n_ids ? token_stream_feed(reader, ids[i], &piece, &n, &err)
					    : token_stream_flush(reader, &piece, &n, &err));
			assert_true(at + n <= stream.n[0]);
			assert_memory_equal(stream.text[0] + at, piece, n);
			at += n;
		}
		assert_int_equal(at, stream.n[0]);
	}
	token_stream_close(reader);
	t2l_session_close(session);
	t2l_model_close(model);
}

/* "<s>" shows in no text, so it can only be found by its id. */
static void
a_stop_string_that_names_a_special_token_stops_at_it(void **state)
{
	static const char *const stop[] = { "<s>" };
	struct t2l_model *model = open_golden_model("models/gguf/llama2-q8_0.gguf");
	struct t2l_session *session = open_session(model, 1, 64);
	static struct stream stream;
	size_t n, n_found = 0;

	(void)state;
	for (unsigned salt = 0; salt < 60; salt++) {
		const int32_t *ids;
		size_t first = 0;

		run_text(session, salt, NULL, 0, &stream);
		ids = t2l_session_output_ids(session, 0, &n);
		while (first < n && ids[first] != 1)
			first++;
		if (first == n)
			continue;
		n_found++;
		assert_int_equal(run_text(session, salt, stop, 1, &stream).finish, T2L_FINISH_STOP);
		t2l_session_output_ids(session, 0, &n);
		assert_int_equal(n, first);
	}
	assert_true(n_found > 0);
	t2l_session_close(session);
	t2l_model_close(model);
}

/* ---- ending early, threads ---- */

static void
a_callback_ends_its_own_lane_alone(void **state)
{
	struct t2l_model *model = open_golden_model("models/llama2");
	struct t2l_session *session = open_session(model, 2, 64);
	static struct stream stream;
	struct t2l_sampling sampling = t2l_sampling_default();
	struct t2l_run run = {
		.sampling = &sampling, .max_tokens = 9, .on_token = collect, .user = &stream
	};
	struct t2l_lane_result results[2];
	struct t2l_error err = { 0 };
	int32_t prompt[8];

	(void)state;
	memset(&stream, 0, sizeof stream);
	stream.stop_lane = 1;
	stream.stop_after = 3;
	sampling.greedy = true;
	make_prompt(prompt, 8, 9);
	set_prompt(session, 0, prompt, 8);
	set_prompt(session, 1, prompt, 8);
	assert_ok(t2l_session_run(session, &run, results, &err));
	assert_int_equal(results[0].finish, T2L_FINISH_LENGTH);
	assert_int_equal(results[0].n_tokens, 9);
	assert_int_equal(results[1].finish, T2L_FINISH_CANCELLED);
	assert_int_equal(results[1].n_tokens, 3);
	t2l_session_close(session);
	t2l_model_close(model);
}

struct canceller {
	struct t2l_session *session;
	size_t n_calls;
};

static void *
cancel(void *user)
{
	t2l_session_cancel(user);
	return NULL;
}

static bool
cancel_from_another_thread(void *user, size_t lane, int32_t id, const char *text, size_t n_bytes)
{
	struct canceller *canceller = user;
	pthread_t thread;

	(void)lane;
	(void)id;
	(void)text;
	(void)n_bytes;
	if (++canceller->n_calls == 5) {
		assert_int_equal(pthread_create(&thread, NULL, cancel, canceller->session), 0);
		pthread_join(thread, NULL);
	}
	return true;
}

/* USER: how many steps there may be. */
static bool
count_down(void *user)
{
	return (*(int *)user)-- > 0;
}

static void
a_run_is_asked_before_each_step_whether_to_go_on(void **state)
{
	struct t2l_model *model = open_golden_model("models/llama2");
	struct t2l_session *session = open_session(model, 1, 0);
	struct t2l_sampling sampling = t2l_sampling_default();
	int n_steps = 3;
	struct t2l_run run = {
		.sampling = &sampling, .max_tokens = 100, .go_on = count_down, .user = &n_steps
	};
	struct t2l_lane_result result;
	struct t2l_error err = { 0 };
	int32_t prompt[8];

	(void)state;
	sampling.greedy = true;
	make_prompt(prompt, 8, 10);
	set_prompt(session, 0, prompt, 8);
	assert_ok(t2l_session_run(session, &run, &result, &err));
	assert_int_equal(result.finish, T2L_FINISH_CANCELLED);
	assert_int_equal(result.n_tokens, 3);
	/* Not even the prompt is read. */
	n_steps = 0;
	set_prompt(session, 0, prompt, 8);
	assert_ok(t2l_session_run(session, &run, &result, &err));
	assert_int_equal(result.finish, T2L_FINISH_CANCELLED);
	assert_int_equal(result.n_tokens, 0);
	t2l_session_close(session);
	t2l_model_close(model);
}

static void
cancelling_from_another_thread_ends_the_run_and_keeps_the_output(void **state)
{
	struct t2l_model *model = open_golden_model("models/llama2");
	struct canceller canceller = { open_session(model, 1, 0), 0 };
	struct t2l_sampling sampling = t2l_sampling_default();
	struct t2l_run run = { .sampling = &sampling,
		.max_tokens = 100,
		.on_token = cancel_from_another_thread,
		.user = &canceller };
	struct t2l_lane_result result;
	struct t2l_error err = { 0 };
	int32_t prompt[8], expected[100];
	size_t n, n_expected;

	(void)state;
	sampling.greedy = true;
	make_prompt(prompt, 8, 10);
	set_prompt(canceller.session, 0, prompt, 8);
	assert_ok(t2l_session_run(canceller.session, &run, &result, &err));
	assert_int_equal(result.finish, T2L_FINISH_CANCELLED);
	assert_int_equal(result.n_tokens, 5);
	const int32_t *ids = t2l_session_output_ids(canceller.session, 0, &n);
	assert_int_equal(n, 5);
	memcpy(expected, ids, n * sizeof *ids);
	/* The session is as good as before. */
	set_prompt(canceller.session, 0, prompt, 8);
	run_greedy(canceller.session, 20, &result);
	assert_int_equal(result.n_tokens, 20);
	ids = t2l_session_output_ids(canceller.session, 0, &n_expected);
	assert_memory_equal(ids, expected, n * sizeof *ids);
	/* Cancelled after the prompt was set, before the run began. */
	set_prompt(canceller.session, 0, prompt, 8);
	t2l_session_cancel(canceller.session);
	run_greedy(canceller.session, 20, &result);
	assert_int_equal(result.finish, T2L_FINISH_CANCELLED);
	assert_int_equal(result.n_tokens, 0);
	t2l_session_close(canceller.session);
	t2l_model_close(model);
}

struct worker {
	struct t2l_model *model;
	unsigned salt;
	int32_t out[40];
	size_t n;
};

static void *
work(void *user)
{
	struct worker *worker = user;
	int32_t prompt[20];

	make_prompt(prompt, 20, worker->salt);
	worker->n = run_alone(worker->model, NULL, prompt, 20, worker->salt, worker->out, 40);
	return NULL;
}

static void
sessions_of_two_threads_share_an_engine(void **state)
{
	struct t2l_model *model = open_golden_model("models/llama2");
	struct worker together[2] = { { .model = model, .salt = 1 },
		{ .model = model, .salt = 2 } };
	pthread_t threads[2];

	(void)state;
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, work, &together[i]), 0);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i < 2; i++) {
		struct worker alone = { .model = model, .salt = together[i].salt };

		work(&alone);
		assert_int_equal(alone.n, together[i].n);
		assert_memory_equal(alone.out, together[i].out, alone.n * sizeof *alone.out);
	}
	t2l_model_close(model);
}

static void
runs_do_not_grow_the_memory(void **state)
{
	struct t2l_model *model = open_golden_model("models/llama2");
	struct t2l_adapter *adapter = open_llama2_adapter("all");
	struct t2l_session *session = open_session(model, 4, 64);
	int32_t prompt[40];
	size_t in_use = 0;

	(void)state;
	for (unsigned turn = 0; turn < 40; turn++) {
		for (size_t lane = 0; lane < 4; lane++) {
			make_prompt(prompt, 40, turn + (unsigned)lane);
			set_adapter(session, lane, (turn + lane) % 2 == 0 ? adapter : NULL);
			set_prompt(session, lane, prompt, 40);
		}
		run_greedy(session, 8, NULL);
		if (turn == 19) /* adapters alternate: compare like with like */
			in_use = mallinfo2().uordblks;
	}
	assert_int_equal(mallinfo2().uordblks, in_use);
	t2l_session_close(session);
	t2l_adapter_close(adapter);
	t2l_model_close(model);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(greedy_continuations_are_the_references),
		cmocka_unit_test(greedy_continuations_with_adapters_are_the_references),
		cmocka_unit_test(six_lanes_with_their_own_adapters_give_the_reference),
		cmocka_unit_test(many_lanes_give_what_each_gives_alone),
		cmocka_unit_test(what_is_in_the_cache_is_not_computed_again_and_changes_nothing),
		cmocka_unit_test(another_adapter_forgets_the_cache),
		cmocka_unit_test(a_weight_scales_the_adapter),
		cmocka_unit_test(the_f16_cache_keeps_the_continuation),
		cmocka_unit_test(the_q8_0_cache_keeps_the_continuation),
		cmocka_unit_test(a_cache_takes_memory_as_it_is_filled),
		cmocka_unit_test(a_full_context_ends_with_length),
		cmocka_unit_test(what_can_not_run_is_refused),
		cmocka_unit_test(damaged_weights_are_told),
		cmocka_unit_test(text_ends_before_the_first_stop_string),
		cmocka_unit_test(text_is_that_of_the_ids),
		cmocka_unit_test(a_stop_string_that_names_a_special_token_stops_at_it),
		cmocka_unit_test(a_callback_ends_its_own_lane_alone),
		cmocka_unit_test(a_run_is_asked_before_each_step_whether_to_go_on),
		cmocka_unit_test(cancelling_from_another_thread_ends_the_run_and_keeps_the_output),
		cmocka_unit_test(sessions_of_two_threads_share_an_engine),
		cmocka_unit_test(runs_do_not_grow_the_memory),
	};

	return cmocka_run_group_tests(tests, open_engine, close_engine);
}
