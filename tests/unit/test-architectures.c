/* test-architectures.c - every decoder family against its reference: logits, the state after each
 * layer, greedy texts, adapters on all kinds of modules, and the edges where families differ. */
#include "tests/unit/golden-models.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <unistd.h>

#include "base/atomic-file.h"
#include "base/file.h"
#include "engine/adapters/lora-table.h"
#include "engine/inference/kv-cache.h"
#include "engine/models/loader.h"
#include "engine/models/model.h"
#include "tests/unit/temporary-folder.h"

#define BOUND 1e-3 /* golden/models/README.md */
#define N_GREEDY 16

/* ---- models and their variants ---- */

/* Links every file of a model into the test's folder, with another configuration for its own. */
static const char *
with_config(const char *directory, const char *config)
{
	static const char *const files[] = { "model.safetensors", "model.safetensors.index.json",
		"model-00001-of-00003.safetensors", "model-00002-of-00003.safetensors",
		"model-00003-of-00003.safetensors" };
	static const char *const names[] = { "config.json" };
	char from[4200];

	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		snprintf(from, sizeof from, "%s/%s", directory, files[i]);
		unlink(in_folder(files[i]));
		if (access(from, R_OK) == 0)
			assert_int_equal(symlink(from, in_folder(files[i])), 0);
	}
	snprintf(from, sizeof from, "%s/%s", directory, config);
	unlink(in_folder(names[0]));
	assert_int_equal(symlink(from, in_folder(names[0])), 0);
	return temporary_folder;
}

static struct t2l_model *
open_model(const char *path)
{
	struct t2l_error err = { 0 };
	struct t2l_model *model = NULL;

	assert_ok(t2l_model_open(engine, path, &model, &err));
	return model;
}

/* The model NAME under the configuration CONFIG. */
static struct t2l_model *
open_named(const char *name, const char *config)
{
	char relative[256];
	const char *directory;

	snprintf(relative, sizeof relative, "models/%s", name);
	directory = need_golden_folder(relative, config);
	return open_model(
	    strcmp(config, "config.json") == 0 ? directory : with_config(directory, config));
}

static struct t2l_adapter *
open_adapter(const char *relative)
{
	char path[512];

	snprintf(path, sizeof path, "models/%s", relative);
	return open_golden_adapter(path);
}

/* ---- comparisons ---- */

static void
check_logits(struct t2l_model *model, const struct t2l_adapter *adapter,
    const struct safetensors *golden, char which, const char *what)
{
	char tokens[] = "tokens_?", logits[] = "logits_?", label[256];
	struct t2l_error err = { 0 };
	size_t n, n_values;
	const float one = 1, *values;
	int32_t *ids;
	float *got;
	double *logprobs;

	tokens[7] = logits[7] = which;
	if (safetensors_find(golden, tokens) == NULL)
		return;
	ids = golden_ids(golden, tokens, &n);
	values = golden_floats(golden, logits, &n_values);
	got = malloc(n_values * sizeof *got);
	logprobs = malloc(n * sizeof *logprobs);
	assert_int_equal(n_values, n * (size_t)t2l_model_facts(model)->vocab_size);
	assert_ok(t2l_score(model, &adapter, &one, adapter != NULL, ids, n, logprobs, got, &err));
	snprintf(label, sizeof label, "%s %s", what, logits);
	assert_near(got, values, n_values, BOUND, label);
	free(ids);
	free(got);
	free(logprobs);
}

struct seen {
	const struct safetensors *golden;
	const char *what;
	int n;
};

static void
compare_hidden(void *user, int layer, const struct tensor *hidden)
{
	struct seen *seen = user;
	char name[32], label[256];
	const float *expected;
	size_t n;

	if (layer < 0)
		snprintf(name, sizeof name, "hidden_a_norm");
	else
		snprintf(name, sizeof name, "hidden_a_%d", layer);
	expected = golden_floats(seen->golden, name, &n);
	snprintf(label, sizeof label, "%s %s", seen->what, name);
	assert_int_equal(tensor_count(hidden), n);
	assert_near(tensor_f32(hidden), expected, n, BOUND, label);
	seen->n++;
}

static void
check_hidden(struct t2l_model *model, const struct safetensors *golden, const char *what)
{
	struct seen seen = { golden, what, 0 };
	struct ops *ops = ops_create(engine_backend(engine));
	int32_t positions[64], kv_begin[64] = { 0 }, kv_end[64];
	size_t n;
	int32_t *ids;

	if (safetensors_find(golden, "hidden_a_0") != NULL) {
		ids = golden_ids(golden, "tokens_a", &n);
		assert_true(n <= 64);
		for (size_t i = 0; i < n; i++) {
			positions[i] = (int32_t)i;
			kv_end[i] = (int32_t)i + 1;
		}
		struct decoder_batch batch = { .n_rows = (int64_t)n,
			.tokens = ids,
			.positions = positions,
			.kv_begin = kv_begin,
			.kv_end = kv_end,
			.on_hidden = compare_hidden,
			.user = &seen };
		assert_non_null(decoder_forward(ops, &model->base->decoder, &batch));
		assert_int_equal(seen.n, model->base->decoder.config.n_layers + 2);
		free(ids);
	}
	ops_free(ops);
}

/* The ends of texts are no ends here: the references go on. */
static void
ignore_ends(struct t2l_model *model)
{
	model->base->decoder.config.n_eos = 0;
}

static void
check_greedy(struct t2l_model *model, const struct t2l_adapter *adapter,
    const struct safetensors *golden, char which, const char *what)
{
	char tokens[] = "tokens_?", greedy[] = "greedy_?";
	struct t2l_sampling sampling = t2l_sampling_default();
	struct t2l_run run = { .sampling = &sampling, .max_tokens = N_GREEDY };
	struct t2l_session *session = NULL;
	struct t2l_error err = { 0 };
	const float one = 1;
	size_t n, n_expected, n_got;
	int32_t *ids, *expected;
	const int32_t *got;

	tokens[7] = greedy[7] = which;
	if (safetensors_find(golden, greedy) == NULL)
		return;
	ids = golden_ids(golden, tokens, &n);
	expected = golden_ids(golden, greedy, &n_expected);
	ignore_ends(model);
	sampling.greedy = true;
	/* A context that the models of the references reach beyond has room all the same. */
	model->base->decoder.config.context_length = 128;
	assert_ok(t2l_session_open(model, 1, n + N_GREEDY, &session, &err));
	assert_ok(t2l_session_set_adapters(session, 0, &adapter, &one, adapter != NULL, &err));
	assert_ok(t2l_session_set_prompt(session, 0, ids, n, &err));
	run.max_tokens = n_expected;
	assert_ok(t2l_session_run(session, &run, NULL, &err));
	got = t2l_session_output_ids(session, 0, &n_got);
	assert_int_equal(n_got, n_expected);
	for (size_t i = 0; i < n_got; i++)
		if (got[i] != expected[i])
			fail_msg(
			    "%s %s: token %zu is %d, not %d", what, greedy, i, got[i], expected[i]);
	t2l_session_close(session);
	free(ids);
	free(expected);
}

/* ---- the manifest ---- */

static const char *
text_of(const cJSON *entry, const char *key)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(entry, key);

	return item != NULL ? item->valuestring : NULL;
}

static bool
is_here(const char *name, const char *file)
{
	char relative[512];

	snprintf(
	    relative, sizeof relative, "models/%s%s%s", name, file[0] != '\0' ? "/" : "", file);
	return golden_path(relative) != NULL;
}

/* Scoring's context follows the model's, which the dynamic variant has shorter than its texts. */
/* False when the entry may be refused, or is not among the copies that are here. */
static bool
check_entry(const cJSON *entry)
{
	const char *model_name = text_of(entry, "model"), *adapter_name = text_of(entry, "adapter");
	const char *golden_name = text_of(entry, "golden");
	struct t2l_adapter *adapter = NULL;
	struct safetensors *golden;
	struct t2l_model *model;
	char relative[256];

	if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(entry, "may_refuse")) ||
	    !is_here(golden_name, "") || !is_here(model_name, text_of(entry, "config")))
		return false;
	model = open_named(model_name, text_of(entry, "config"));
	model->base->decoder.config.context_length = 128;
	snprintf(relative, sizeof relative, "models/%s", golden_name);
	golden = open_golden(relative);
	if (adapter_name != NULL)
		adapter = open_adapter(adapter_name);
	else
		check_hidden(model, golden, golden_name);
	for (const char *which = "abc"; *which != '\0'; which++) {
		check_logits(model, adapter, golden, *which, golden_name);
		check_greedy(model, adapter, golden, *which, golden_name);
	}
	t2l_adapter_close(adapter);
	safetensors_close(golden);
	t2l_model_close(model);
	return true;
}

static void
every_entry_of_the_manifest_gives_the_reference(void **state)
{
	size_t n;
	char *text = read_whole_file(need_golden("models/manifest.json"), 1 << 20, &n);
	cJSON *root = cJSON_ParseWithLength(text, n);
	const cJSON *entry;
	int n_entries = 0;

	(void)state;
	assert_non_null(root);
	cJSON_ArrayForEach(entry, cJSON_GetObjectItemCaseSensitive(root, "entries")) n_entries +=
	    check_entry(entry);
	assert_true(n_entries > 15);
	cJSON_Delete(root);
	free(text);
}

static void
every_gguf_form_gives_the_reference(void **state)
{
	static const char *const files[] = { "llama3-bf16", "llama3-q8_0", "mistral-q8_0",
		"mixtral-q8_0", "gemma1-q8_0", "gemma2-q8_0", "phi-q8_0", "phi3-f16", "phi3-q8_0",
		"phi3-longrope-q8_0", "qwen2-f16", "qwen2-q8_0" };

	int n = 0;

	(void)state;
	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		char relative[256];

		snprintf(relative, sizeof relative, "models/gguf/%s.gguf", files[i]);
		const char *path = golden_path(relative);
		snprintf(relative, sizeof relative, "models/gguf/%s.golden.safetensors", files[i]);
		if (path == NULL || golden_path(relative) == NULL) {
			print_message("no golden data for %s\n", files[i]);
			continue;
		}
		struct t2l_model *model = open_model(path);
		n++;
		struct safetensors *golden = open_golden(relative);
		check_logits(model, NULL, golden, 'a', files[i]);
		check_greedy(model, NULL, golden, 'a', files[i]);
		safetensors_close(golden);
		t2l_model_close(model);
	}
	if (n == 0)
		skip();
}

/* ---- families that the manifest does not have ---- */

/* Made by tests/interop/make-architecture-goldens.py. */
static void
families_of_our_own_goldens_give_the_reference(void **state)
{
	static const char *const names[] = { "mistral-nemo", "qwen3-moe", "qwen3-moe-plain",
		"phi-head-norms", "qwen1" };

	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		struct t2l_model *model = open_named(names[i], "config.json");
		char relative[256];

		snprintf(relative, sizeof relative, "models/%s/golden.safetensors", names[i]);
		struct safetensors *golden = open_golden(relative);
		check_hidden(model, golden, names[i]);
		for (const char *which = "abc"; *which != '\0'; which++) {
			check_logits(model, NULL, golden, *which, names[i]);
			check_greedy(model, NULL, golden, *which, names[i]);
		}
		safetensors_close(golden);
		snprintf(relative, sizeof relative,
		    "models/%s/adapters/all/adapter_golden.safetensors", names[i]);
		if (golden_path(relative) != NULL) {
			golden = open_golden(relative);
			snprintf(relative, sizeof relative, "%s/adapters/all", names[i]);
			struct t2l_adapter *adapter = open_adapter(relative);

			for (const char *which = "abc"; *which != '\0'; which++) {
				check_logits(model, adapter, golden, *which, names[i]);
				check_greedy(model, adapter, golden, *which, names[i]);
			}
			t2l_adapter_close(adapter);
			safetensors_close(golden);
		}
		t2l_model_close(model);
	}
}

/* ---- one text in several ways ---- */

static const char *const families[] = { "gemma1", "gemma2", "llama-bias", "llama3", "mistral",
	"mixtral", "phi", "phi3", "phi3-longrope", "qwen2", "qwen3" };
#define N_FAMILIES (sizeof families / sizeof *families)

/* The logits of TOKENS, fed through a cache CHUNK at a time: into LOGITS [n, V]. */
static void
run_in_chunks(struct t2l_model *model, int32_t *tokens, size_t n, size_t chunk, float *logits)
{
	const struct decoder *decoder = &model->base->decoder;
	struct ops *ops = ops_create(engine_backend(engine));
	struct kv_cache cache;
	int32_t positions[64], kv_begin[64] = { 0 }, kv_end[64], lengths[64];
	struct t2l_error err = { 0 };
	size_t vocabulary = (size_t)decoder->config.vocab_size;

	assert_ok(kv_cache_open(&cache, &decoder->config, (int64_t)n, DTYPE_F32, &err));
	for (size_t i = 0; i < n; i++) {
		positions[i] = (int32_t)i;
		kv_end[i] = (int32_t)i + 1;
		lengths[i] = (int32_t)n;
	}
	for (size_t from = 0; from < n; from += chunk) {
		size_t rows = n - from < chunk ? n - from : chunk;
		struct decoder_batch batch = { .n_rows = (int64_t)rows,
			.tokens = tokens + from,
			.positions = positions + from,
			.kv_begin = kv_begin,
			.kv_end = kv_end + from,
			.cache = &cache,
			.slots = positions + from,
			.lengths = lengths };
		struct tensor *part;

		ops_reset(ops);
		part = decoder_forward(ops, decoder, &batch);
		assert_ok(ops_status(ops, &err));
		memcpy(logits + from * vocabulary, tensor_f32(part),
		    rows * vocabulary * sizeof *logits);
	}
	kv_cache_close(&cache);
	ops_free(ops);
}

static void
chunks_of_a_text_give_what_the_whole_gives(void **state)
{
	static const size_t chunks[] = { 1, 7, 24 };

	(void)state;
	for (size_t i = 0; i < N_FAMILIES; i++) {
		if (!is_here(families[i], "adapters/all/adapter_golden.safetensors"))
			continue;
		struct t2l_model *model = open_named(families[i], "config.json");
		char relative[256];

		snprintf(relative, sizeof relative, "models/%s/golden.safetensors", families[i]);
		struct safetensors *golden = open_golden(relative);
		size_t n, n_values;
		int32_t *ids = golden_ids(golden, "tokens_a", &n);
		const float *expected = golden_floats(golden, "logits_a", &n_values);
		float *logits = malloc(n_values * sizeof *logits);

		for (size_t c = 0; c < sizeof chunks / sizeof *chunks; c++) {
			run_in_chunks(model, ids, n, chunks[c], logits);
			assert_near(logits, expected, n_values, BOUND, families[i]);
		}
		free(ids);
		free(logits);
		safetensors_close(golden);
		t2l_model_close(model);
	}
}

/* Sequence a with the family's adapter and b and c without, packed into one pass. */
static void
rows_of_one_batch_give_what_each_gives_alone(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_FAMILIES; i++) {
		if (!is_here(families[i], "adapters/all/adapter_golden.safetensors"))
			continue;
		char relative[256], tokens[] = "tokens_?", name[] = "logits_?";
		struct t2l_model *model = open_named(families[i], "config.json");
		snprintf(relative, sizeof relative, "models/%s/golden.safetensors", families[i]);
		struct safetensors *plain = open_golden(relative);
		snprintf(relative, sizeof relative,
		    "models/%s/adapters/all/adapter_golden.safetensors", families[i]);
		struct safetensors *adapted = open_golden(relative);
		snprintf(relative, sizeof relative, "%s/adapters/all", families[i]);
		const struct t2l_adapter *adapter = open_adapter(relative);
		struct ops *ops = ops_create(engine_backend(engine));
		int32_t ids[64], positions[64], kv_begin[64], kv_end[64];
		int64_t n_rows = 0, row = 0;
		const float one = 1;
		struct lora_rows group = { 0, 0, &adapter, &one, 1 };

		for (const char *which = "abc"; *which != '\0'; which++) {
			size_t n;

			tokens[7] = *which;
			int32_t *own = golden_ids(*which == 'a' ? adapted : plain, tokens, &n);
			for (size_t j = 0; j < n; j++) {
				ids[n_rows + (int64_t)j] = own[j];
				positions[n_rows + (int64_t)j] = (int32_t)j;
				kv_begin[n_rows + (int64_t)j] = (int32_t)n_rows;
				kv_end[n_rows + (int64_t)j] = (int32_t)n_rows + (int32_t)j + 1;
			}
			n_rows += (int64_t)n;
			if (*which == 'a')
				group.row_count = n_rows;
			free(own);
		}
		struct decoder_batch batch = { .n_rows = n_rows,
			.tokens = ids,
			.positions = positions,
			.kv_begin = kv_begin,
			.kv_end = kv_end,
			.lora = lora_table_make(
			    ops_arena(ops), model->base->decoder.config.n_layers, &group, 1) };
		struct tensor *logits = decoder_forward(ops, &model->base->decoder, &batch);
		assert_non_null(logits);
		for (const char *which = "abc"; *which != '\0'; which++) {
			size_t n_values;
			name[7] = *which;
			const float *expected =
			    golden_floats(*which == 'a' ? adapted : plain, name, &n_values);

			assert_near(tensor_f32(logits) + row * tensor_cols(logits), expected,
			    n_values, BOUND, families[i]);
			row += (int64_t)n_values / tensor_cols(logits);
		}
		assert_int_equal(row, n_rows);
		ops_free(ops);
		t2l_adapter_close((struct t2l_adapter *)adapter);
		safetensors_close(plain);
		safetensors_close(adapted);
		t2l_model_close(model);
	}
}

/* A lane that crosses the limit reads its text again; one that stays short beside it does not
 * care. */
static void
lanes_of_different_lengths_keep_their_own_frequencies(void **state)
{
	struct t2l_model *model = open_named("phi3-longrope", "config.json");
	struct safetensors *golden = open_golden("models/phi3-longrope/golden.safetensors");
	struct t2l_sampling sampling = t2l_sampling_default();
	struct t2l_run run = { .sampling = &sampling, .max_tokens = N_GREEDY };
	struct t2l_session *session;
	struct t2l_error err = { 0 };
	size_t n;

	(void)state;
	ignore_ends(model);
	sampling.greedy = true;
	assert_ok(t2l_session_open(model, 2, 48, &session, &err));
	/* Twice: what is cached at the end of the first run was made with the long divisors. */
	for (int turn = 0; turn < 2; turn++) {
		for (size_t lane = 0; lane < 2; lane++) {
			int32_t *ids = golden_ids(golden, lane == 0 ? "tokens_a" : "tokens_b", &n);

			assert_ok(t2l_session_set_prompt(session, lane, ids, n, &err));
			free(ids);
		}
		assert_ok(t2l_session_run(session, &run, NULL, &err));
		for (size_t lane = 0; lane < 2; lane++) {
			int32_t *expected =
			    golden_ids(golden, lane == 0 ? "greedy_a" : "greedy_b", &n);
			size_t n_got;
			const int32_t *got = t2l_session_output_ids(session, lane, &n_got);

			assert_int_equal(n_got, n);
			assert_memory_equal(got, expected, n * sizeof *got);
			free(expected);
		}
	}
	t2l_session_close(session);
	safetensors_close(golden);
	t2l_model_close(model);
}

/* ---- the window's edge ---- */

struct first_layer {
	float *values;
	size_t bytes;
};

static void
keep_first_layer(void *user, int layer, const struct tensor *hidden)
{
	struct first_layer *kept = user;

	if (layer == 1)
		memcpy(kept->values, tensor_f32(hidden), kept->bytes);
}

/* Of a window of 8, the eighth row after a token is the first that does not see it: one layer
 * carries nothing further. */
static void
a_window_ends_right_at_its_edge(void **state)
{
	struct t2l_model *model = open_named("mistral", "config.json");
	size_t d = (size_t)t2l_model_facts(model)->hidden_size;
	float *states[2] = { malloc(20 * d * sizeof(float)), malloc(20 * d * sizeof(float)) };
	int32_t ids[20], positions[20], kv_begin[20] = { 0 }, kv_end[20];

	(void)state;
	assert_int_equal(model->base->decoder.config.window, 8);
	for (int turn = 0; turn < 2; turn++) {
		struct ops *ops = ops_create(engine_backend(engine));
		struct first_layer kept = { states[turn], 20 * d * sizeof(float) };

		for (int i = 0; i < 20; i++) {
			ids[i] = 10 + i;
			positions[i] = i;
			kv_end[i] = i + 1;
		}
		ids[5] = turn == 0 ? 100 : 200;
		struct decoder_batch batch = { .n_rows = 20,
			.tokens = ids,
			.positions = positions,
			.kv_begin = kv_begin,
			.kv_end = kv_end,
			.on_hidden = keep_first_layer,
			.user = &kept };
		assert_non_null(decoder_forward(ops, &model->base->decoder, &batch));
		ops_free(ops);
	}
	for (size_t row = 0; row < 20; row++) {
		double difference = largest_difference(states[0] + row * d, states[1] + row * d, d);

		if (row >= 5 && row < 13)
			assert_true(difference > 1e-4);
		else
			assert_true(difference < 1e-6);
	}
	free(states[0]);
	free(states[1]);
	t2l_model_close(model);
}

/* ---- what must be refused ---- */

static void
what_is_more_than_lora_is_refused_by_name(void **state)
{
	static const struct {
		const char *directory, *word;
	} rows[] = {
		{ "models/llama-bias/adapters/refuse-bias", "bias" },
		{ "models/llama-bias/adapters/refuse-lora-bias", "lora_bias" },
		{ "models/llama2/adapters/refuse-dora", "DoRA" },
		{ "models/llama2/adapters/refuse-modules-to-save", "modules_to_save" },
	};
	struct t2l_adapter *adapter = NULL;
	struct t2l_error err;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		assert_fails(
		    t2l_adapter_open(need_golden_folder(rows[i].directory, "adapter_config.json"),
			&adapter, &err),
		    T2L_EUNSUPPORTED, rows[i].word);
}

static void
an_adapter_of_another_family_is_refused_by_module(void **state)
{
	static const struct {
		const char *adapter, *model, *named;
	} rows[] = {
		{ "phi3-longrope/adapters/all", "llama2", "qkv_proj" },
		{ "mixtral/adapters/all", "llama3", "experts.0.w1" },
		{ "phi/adapters/all", "llama2", "dense" },
		{ "llama2/adapters/all", "phi3-longrope", "q_proj" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct t2l_model *model = open_named(rows[i].model, "config.json");
		struct t2l_adapter *adapter = open_adapter(rows[i].adapter);
		struct t2l_error err;

		assert_fails(
		    t2l_adapter_check(adapter, model, NULL, &err), T2L_EMISMATCH, rows[i].named);
		t2l_adapter_close(adapter);
		t2l_model_close(model);
	}
}

/* NAME's model in the test's folder, FROM in its configuration replaced by TO. */
static void
write_changed(const char *name, const char *from, const char *to)
{
	char relative[256], changed[8192], *config, *at;
	const char *directory;
	size_t n;

	snprintf(relative, sizeof relative, "models/%s", name);
	directory = need_golden_folder(relative, "config.json");
	with_config(directory, "config.json");
	config = read_whole_file(in_folder("config.json"), 1 << 20, &n);
	assert_non_null(config);
	at = strstr(config, from);
	assert_non_null(at);
	snprintf(
	    changed, sizeof changed, "%.*s%s%s", (int)(at - config), config, to, at + strlen(from));
	unlink(in_folder("config.json"));
	assert_int_equal(atomic_write(in_folder("config.json"), changed, strlen(changed)), 0);
	free(config);
}

static void
models_that_no_row_describes_are_refused_by_name(void **state)
{
	static const struct {
		const char *model, *from, *to;
		enum t2l_status status;
		const char *named;
	} rows[] = {
		{ "mistral", "MistralForCausalLM", "MambaForCausalLM", T2L_EUNSUPPORTED,
		    "'MambaForCausalLM' is not supported; supported: llama, mistral" },
		{ "phi", "\"qk_layernorm\": false", "\"qk_layernorm\": true", T2L_EFORMAT,
		    "q_layernorm.weight' is missing" },
		{ "qwen3-moe", "\"decoder_sparse_step\": 1", "\"decoder_sparse_step\": 2",
		    T2L_EUNSUPPORTED, "decoder_sparse_step" },
		{ "mixtral", "\"num_local_experts\": 4", "\"num_local_experts\": 5", T2L_EFORMAT,
		    "block_sparse_moe" },
		{ "mixtral", "\"num_local_experts\": 4", "\"num_local_experts\": 1000000",
		    T2L_EFORMAT, "num_local_experts" },
		{ "mixtral", "\"num_experts_per_tok\": 2", "\"num_experts_per_tok\": 5",
		    T2L_EFORMAT, "num_experts_per_tok" },
		{ "gemma2", "\"query_pre_attn_scalar\": 32", "\"query_pre_attn_scalar\": -1",
		    T2L_EFORMAT, "query_pre_attn_scalar" },
		{ "phi", "\"partial_rotary_factor\": 0.5", "\"partial_rotary_factor\": 1e-9",
		    T2L_EFORMAT, "partial_rotary_factor" },
		{ "phi3-longrope", "\"num_key_value_heads\": 2", "\"num_key_value_heads\": 4",
		    T2L_EFORMAT, "qkv_proj" },
		{ "mistral", "\"sliding_window\": 8", "\"sliding_window\": -8", T2L_EFORMAT,
		    "sliding_window" },
	};
	struct t2l_model *model = NULL;
	struct t2l_error err;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		write_changed(rows[i].model, rows[i].from, rows[i].to);
		assert_fails(t2l_model_open(engine, temporary_folder, &model, &err), rows[i].status,
		    rows[i].named);
	}
}

static void
weights_that_are_no_numbers_are_refused_with_their_tensor(void **state)
{
	size_t n;
	char *bytes =
	    read_whole_file(need_golden("models/llama-bias/model.safetensors"), 1 << 24, &n);
	struct t2l_model *model = NULL;
	struct t2l_error err;

	(void)state;
	assert_non_null(bytes);
	write_changed("llama-bias", "{", "{");
	unlink(in_folder("model.safetensors"));
	bytes[n - 2] = (char)0xc0; /* the last number, in bfloat16: NaN */
	bytes[n - 1] = 0x7f;
	assert_int_equal(atomic_write(in_folder("model.safetensors"), bytes, n), 0);
	assert_fails(t2l_model_open(engine, temporary_folder, &model, &err), T2L_EFORMAT, "NaN");
	assert_non_null(strstr(err.message, "tensor '"));
	assert_non_null(strstr(err.message, temporary_folder));
	free(bytes);
}

#define TEST(function)                                                                             \
	cmocka_unit_test_setup_teardown(function, make_temporary_folder, remove_temporary_folder)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(every_entry_of_the_manifest_gives_the_reference),
		TEST(every_gguf_form_gives_the_reference),
		TEST(families_of_our_own_goldens_give_the_reference),
		TEST(chunks_of_a_text_give_what_the_whole_gives),
		TEST(rows_of_one_batch_give_what_each_gives_alone),
		TEST(lanes_of_different_lengths_keep_their_own_frequencies),
		TEST(a_window_ends_right_at_its_edge),
		TEST(what_is_more_than_lora_is_refused_by_name),
		TEST(an_adapter_of_another_family_is_refused_by_module),
		TEST(models_that_no_row_describes_are_refused_by_name),
		TEST(weights_that_are_no_numbers_are_refused_with_their_tensor),
	};

	return cmocka_run_group_tests(tests, open_engine, close_engine);
}
