/* test-decoder.c - base models: loading, the forward pass, adapters on them, saving. */
#include "tests/unit/golden-models.h"

#include <stdio.h>
#include <unistd.h>

#include "base/atomic-file.h"
#include "base/file.h"
#include "engine/adapters/lora-table.h"
#include "engine/models/model.h"
#include "tests/unit/temporary-folder.h"

#define LOGITS_BOUND 1e-3 /* golden/models/README.md */

/* Logits of the tokens NAME in GOLDEN against the values EXPECTED there. */
static void
check_logits(struct t2l_model *model, const struct t2l_adapter *const *adapters,
    const float *weights, size_t n_adapters, const struct safetensors *golden, const char *tokens,
    const char *expected)
{
	struct t2l_error err = { 0 };
	size_t n, n_values;
	int32_t *ids = golden_ids(golden, tokens, &n);
	const float *values = golden_floats(golden, expected, &n_values);
	float *logits = malloc(n_values * sizeof *logits);
	double *logprobs = malloc(n * sizeof *logprobs);

	assert_int_equal(n_values, n * (size_t)t2l_model_facts(model)->vocab_size);
	assert_ok(t2l_score(model, adapters, weights, n_adapters, ids, n, logprobs, logits, &err));
	assert_near(logits, values, n_values, LOGITS_BOUND, expected);
	free(ids);
	free(logits);
	free(logprobs);
}

static void
check_model(const char *relative, const char *golden_relative)
{
	struct t2l_model *model = open_golden_model(relative);
	struct safetensors *golden = open_golden(golden_relative);

	for (const char *name = "abc"; *name != '\0'; name++) {
		char tokens[] = "tokens_?", logits[] = "logits_?";

		tokens[7] = logits[7] = *name;
		if (safetensors_find(golden, tokens) != NULL)
			check_logits(model, NULL, NULL, 0, golden, tokens, logits);
	}
	safetensors_close(golden);
	t2l_model_close(model);
}

static void
hugging_face_models_give_the_reference_logits(void **state)
{
	(void)state;
	check_model("models/llama-bias", "models/llama-bias/golden.safetensors");
	check_model("models/llama2", "models/llama2/golden.safetensors");
	check_model("models/llama1", "models/llama1/golden.safetensors");
}

static void
gguf_models_give_the_reference_logits(void **state)
{
	(void)state;
	check_model("models/gguf/llama2-q8_0.gguf", "models/gguf/llama2-q8_0.golden.safetensors");
	check_model("models/gguf/llama2-f32.gguf", "models/gguf/llama2-f32.golden.safetensors");
	check_model("models/gguf/llama2-f16.gguf", "models/gguf/llama2-f16.golden.safetensors");
	check_model("models/gguf/mistral-q8_0.gguf", "models/gguf/mistral-q8_0.golden.safetensors");
}

static void
every_instruction_set_gives_the_reference_logits(void **state)
{
	static const char *const sets[] = { "plain", "avx2", "avx512" };
	struct t2l_engine *usual = engine;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct t2l_engine_options options = { .precise = true, .isa = sets[i] };

		if (t2l_engine_open(&options, &engine, NULL) != T2L_OK)
			continue; /* this processor lacks it */
		check_model("models/llama-bias", "models/llama-bias/golden.safetensors");
		check_model(
		    "models/gguf/llama2-q8_0.gguf", "models/gguf/llama2-q8_0.golden.safetensors");
		t2l_engine_close(engine);
	}
	engine = usual;
}

/* Without `precise`, activations are quantised for q8_0 weights: the README allows a spread of 0.2
 * in log-probability; other types stay within rounding of f32. */
static void
fast_arithmetic_stays_near_the_reference(void **state)
{
	static const struct {
		const char *model, *golden;
		double bound;
	} rows[] = {
		{ "models/llama-bias", "models/llama-bias/golden.safetensors", 0.04 },
		{ "models/gguf/llama2-q8_0.gguf", "models/gguf/llama2-q8_0.golden.safetensors",
		    0.2 },
	};
	struct t2l_engine *fast;
	struct t2l_error err = { 0 };

	(void)state;
	assert_ok(t2l_engine_open(NULL, &fast, &err));
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct safetensors *golden = open_golden(rows[i].golden);
		struct t2l_model *model;
		size_t n, n_values, vocab_size;
		int32_t *ids = golden_ids(golden, "tokens_a", &n);
		const float *values = golden_floats(golden, "logits_a", &n_values);
		double *logprobs = malloc(n * sizeof *logprobs);

		assert_ok(t2l_model_open(fast, need_golden_model(rows[i].model), &model, &err));
		vocab_size = (size_t)t2l_model_facts(model)->vocab_size;
		assert_ok(t2l_score(model, NULL, NULL, 0, ids, n, logprobs, NULL, &err));
		for (size_t t = 1; t < n; t++) {
			const float *row = values + (t - 1) * vocab_size;
			double sum = 0;

			for (size_t v = 0; v < vocab_size; v++)
				sum += exp((double)row[v]);
			assert_true(
			    fabs(logprobs[t] - ((double)row[ids[t]] - log(sum))) < rows[i].bound);
		}
		t2l_model_close(model);
		safetensors_close(golden);
		free(ids);
		free(logprobs);
	}
	t2l_engine_close(fast);
}

/* ---- hidden states, batches, greedy continuations: the forward pass itself ---- */

struct seen {
	const struct safetensors *golden;
	int n;
};

static void
compare_hidden(void *user, int layer, const struct tensor *hidden)
{
	struct seen *seen = user;
	char name[32];
	size_t n;
	const float *expected;

	if (layer < 0)
		snprintf(name, sizeof name, "hidden_a_norm");
	else
		snprintf(name, sizeof name, "hidden_a_%d", layer);
	expected = golden_floats(seen->golden, name, &n);
	assert_int_equal(tensor_count(hidden), n);
	assert_near(tensor_f32(hidden), expected, n, LOGITS_BOUND, name);
	seen->n++;
}

/* Sequences one after the other; each row sees its own sequence up to itself. */
struct packed_rows {
	int32_t *tokens, *positions, *kv_begin, *kv_end;
	size_t n;
};

static void
pack_sequence(struct packed_rows *rows, const int32_t *ids, size_t n)
{
	size_t begin = rows->n, total = begin + n;

	rows->tokens = realloc(rows->tokens, total * sizeof(int32_t));
	rows->positions = realloc(rows->positions, total * sizeof(int32_t));
	rows->kv_begin = realloc(rows->kv_begin, total * sizeof(int32_t));
	rows->kv_end = realloc(rows->kv_end, total * sizeof(int32_t));
	for (size_t i = 0; i < n; i++) {
		rows->tokens[begin + i] = ids[i];
		rows->positions[begin + i] = (int32_t)i;
		rows->kv_begin[begin + i] = (int32_t)begin;
		rows->kv_end[begin + i] = (int32_t)(begin + i + 1);
	}
	rows->n = total;
}

static struct decoder_batch
batch_of(const struct packed_rows *rows)
{
	return (struct decoder_batch){
		.n_rows = (int64_t)rows->n,
		.tokens = rows->tokens,
		.positions = rows->positions,
		.kv_begin = rows->kv_begin,
		.kv_end = rows->kv_end,
	};
}

static void
free_rows(struct packed_rows *rows)
{
	free(rows->tokens);
	free(rows->positions);
	free(rows->kv_begin);
	free(rows->kv_end);
}

static void
hidden_states_are_the_references(void **state)
{
	static const char *const models[] = { "llama-bias", "llama2", "llama1" };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		char relative[128];
		snprintf(relative, sizeof relative, "models/%s", models[i]);
		struct t2l_model *model = open_golden_model(relative);
		snprintf(relative, sizeof relative, "models/%s/golden.safetensors", models[i]);
		struct seen seen = { open_golden(relative), 0 };
		struct ops *ops = ops_create(engine_backend(engine));
		struct packed_rows rows = { 0 };
		size_t n;
		int32_t *ids = golden_ids(seen.golden, "tokens_a", &n);

		pack_sequence(&rows, ids, n);
		struct decoder_batch batch = batch_of(&rows);
		batch.on_hidden = compare_hidden;
		batch.user = &seen;
		assert_non_null(decoder_forward(ops, &model->base->decoder, &batch));
		assert_int_equal(seen.n, model->base->decoder.config.n_layers + 2);
		free(ids);
		free_rows(&rows);
		ops_free(ops);
		safetensors_close((struct safetensors *)seen.golden);
		t2l_model_close(model);
	}
}

/* The embedding that "embed with the base model" takes: after the final norm, of the last token. */
static void
the_last_hidden_state_is_the_references(void **state)
{
	struct t2l_model *model = open_golden_model("encoder/base_last_token");
	struct safetensors *golden = open_golden("encoder/base_last_token/golden.safetensors");
	struct ops *ops = ops_create(engine_backend(engine));
	struct packed_rows rows = { 0 };
	size_t n, n_values, n_offsets, d = (size_t)t2l_model_facts(model)->hidden_size;
	int32_t *ids = golden_ids(golden, "input_ids", &n);
	int32_t *offsets = golden_ids(golden, "offsets", &n_offsets);
	const float *expected = golden_floats(golden, "pool_last", &n_values);

	(void)state;
	for (size_t i = 0; i + 1 < n_offsets; i++)
		pack_sequence(&rows, ids + offsets[i], (size_t)(offsets[i + 1] - offsets[i]));
	struct decoder_batch batch = batch_of(&rows);
	struct tensor *hidden = decoder_hidden(ops, &model->base->decoder, &batch);
	assert_non_null(hidden);
	for (size_t i = 0; i + 1 < n_offsets; i++)
		assert_near(tensor_f32(hidden) + (size_t)(offsets[i + 1] - 1) * d, expected + i * d,
		    d, 2e-5, "pool_last");
	free(ids);
	free(offsets);
	free_rows(&rows);
	ops_free(ops);
	safetensors_close(golden);
	t2l_model_close(model);
}

/* Six sequences of different lengths with different adapters, or none, in one pass. */
static void
one_pass_over_rows_with_their_own_adapters_gives_the_reference(void **state)
{
	static const char *const names[] = { "t2l", "all", NULL, "rslora", "patterns", "all" };
	static const float one = 1;
	struct t2l_model *model = open_golden_model("models/llama2");
	struct safetensors *golden = open_golden("models/llama2/batch_golden.safetensors");
	struct ops *ops = ops_create(engine_backend(engine));
	const struct t2l_adapter *adapters[6] = { NULL };
	struct lora_rows groups[6];
	struct packed_rows rows = { 0 };
	size_t n_groups = 0, n, n_values, row = 0;
	char name[32];

	(void)state;
	for (int i = 0; i < 6; i++) {
		snprintf(name, sizeof name, "tokens_%d", i);
		int32_t *ids = golden_ids(golden, name, &n);
		if (names[i] != NULL) {
			adapters[i] = open_llama2_adapter(names[i]);
			groups[n_groups++] = (struct lora_rows){ (int64_t)rows.n, (int64_t)n,
				&adapters[i], &one, 1 };
		}
		pack_sequence(&rows, ids, n);
		free(ids);
	}
	struct decoder_batch batch = batch_of(&rows);
	batch.lora = lora_table_make(ops_arena(ops), 2, groups, n_groups);
	struct tensor *logits = decoder_forward(ops, &model->base->decoder, &batch);
	assert_non_null(logits);
	for (int i = 0; i < 6; i++) {
		snprintf(name, sizeof name, "logits_%d", i);
		const float *expected = golden_floats(golden, name, &n_values);
		assert_near(tensor_f32(logits) + row * (size_t)tensor_cols(logits), expected,
		    n_values, LOGITS_BOUND, name);
		row += n_values / (size_t)tensor_cols(logits);
		t2l_adapter_close((struct t2l_adapter *)adapters[i]);
	}
	assert_int_equal(row, rows.n);
	free_rows(&rows);
	ops_free(ops);
	safetensors_close(golden);
	t2l_model_close(model);
}

static void
wanted_rows_alone_have_the_same_logits(void **state)
{
	struct t2l_model *model = open_golden_model("models/llama2");
	struct safetensors *golden = open_golden("models/llama2/golden.safetensors");
	struct ops *ops = ops_create(engine_backend(engine));
	struct packed_rows rows = { 0 };
	size_t n;
	int32_t *ids = golden_ids(golden, "tokens_a", &n);
	const float *expected = golden_floats(golden, "logits_a", NULL);
	const int32_t wanted[] = { 23, 0, 7 };

	(void)state;
	pack_sequence(&rows, ids, n);
	struct decoder_batch batch = batch_of(&rows);
	batch.output_rows = wanted;
	batch.n_outputs = 3;
	struct tensor *logits = decoder_forward(ops, &model->base->decoder, &batch);
	assert_non_null(logits);
	assert_int_equal(tensor_rows(logits), 3);
	for (size_t i = 0; i < 3; i++)
		assert_near(tensor_f32(logits) + i * 320, expected + (size_t)wanted[i] * 320, 320,
		    LOGITS_BOUND, "wanted rows");
	free(ids);
	free_rows(&rows);
	ops_free(ops);
	safetensors_close(golden);
	t2l_model_close(model);
}

/* ---- adapters ---- */

static const char *const adapter_names[] = { "t2l", "all", "all2", "rslora", "patterns", "f16",
	"bf16", "layers", "regex", "alllinear", "zero" };

static void
check_adapters(const char *model_relative)
{
	static const float one = 1;
	struct t2l_model *model = open_golden_model(model_relative);

	for (size_t i = 0; i < sizeof adapter_names / sizeof *adapter_names; i++) {
		char relative[256];
		snprintf(relative, sizeof relative,
		    "models/llama2/adapters/%s/adapter_golden.safetensors", adapter_names[i]);
		const struct t2l_adapter *adapter = open_llama2_adapter(adapter_names[i]);
		struct safetensors *golden = open_golden(relative);

		check_logits(model, &adapter, &one, 1, golden, "tokens_a", "logits_a");
		check_logits(model, &adapter, &one, 1, golden, "tokens_b", "logits_b");
		check_logits(model, &adapter, &one, 1, golden, "tokens_c", "logits_c");
		safetensors_close(golden);
		t2l_adapter_close((struct t2l_adapter *)adapter);
	}
	t2l_model_close(model);
}

static void
adapters_give_the_reference_logits(void **state)
{
	(void)state;
	check_adapters("models/llama2");
}

/* Its q and k rows lie in another order, so must the adapters'. */
static void
adapters_on_a_gguf_base_give_the_same_logits(void **state)
{
	(void)state;
	check_adapters("models/gguf/llama2-f32.gguf");
}

static void
adapters_add_up_with_their_weights(void **state)
{
	static const float ones[] = { 1, 1 }, scaled[] = { 0.5f, -0.25f };
	static const char *const bases[] = { "models/llama2", "models/gguf/llama2-f32.gguf" };
	const struct t2l_adapter *adapters[] = { open_llama2_adapter("all"),
		open_llama2_adapter("t2l") };
	struct safetensors *golden = open_golden("models/llama2/stack_golden.safetensors");

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct t2l_model *model = open_golden_model(bases[i]);

		check_logits(model, adapters, ones, 2, golden, "tokens_a", "logits_all_plus_t2l");
		check_logits(model, adapters, scaled, 2, golden, "tokens_a", "logits_scaled");
		t2l_model_close(model);
	}
	safetensors_close(golden);
	t2l_adapter_close((struct t2l_adapter *)adapters[0]);
	t2l_adapter_close((struct t2l_adapter *)adapters[1]);
}

/* ---- facts ---- */

static void
the_same_weights_have_one_fingerprint_in_every_format(void **state)
{
	struct t2l_model *hf = open_golden_model("models/llama2");
	struct t2l_model *gguf = open_golden_model("models/gguf/llama2-f32.gguf");
	struct t2l_model *rounded = open_golden_model("models/gguf/llama2-f16.gguf");

	(void)state;
	assert_int_equal(strlen(t2l_model_facts(hf)->fingerprint), 64);
	assert_string_equal(t2l_model_facts(hf)->fingerprint, t2l_model_facts(gguf)->fingerprint);
	assert_string_not_equal(
	    t2l_model_facts(hf)->fingerprint, t2l_model_facts(rounded)->fingerprint);
	t2l_model_close(hf);
	t2l_model_close(gguf);
	t2l_model_close(rounded);
}

static void
facts_are_those_of_the_configuration(void **state)
{
	struct t2l_model *model = open_golden_model("models/llama-bias");
	const struct t2l_model_facts *facts = t2l_model_facts(model);

	(void)state;
	assert_string_equal(facts->name, "llama-bias");
	assert_string_equal(facts->architecture, "llama");
	assert_string_equal(facts->format, "hf");
	assert_string_equal(facts->dtype, "bf16");
	assert_int_equal(facts->n_layers, 2);
	assert_int_equal(facts->n_kv_heads, 2);
	assert_int_equal(facts->head_dim, 16);
	assert_int_equal(facts->context_length, 128);
	/* embedding and head, 2 norms and a last one, q o, k v, gate up down, and their biases */
	assert_int_equal(facts->n_parameters, 2 * 320 * 64 + 5 * 64 +
						  2 * (2 * (64 * 64 + 64) + 2 * (32 * 64 + 32)) +
						  2 * (2 * (96 * 64 + 96) + 64 * 96 + 64));
	assert_int_equal(facts->kv_bytes_per_token, 2 * 2 * 2 * 16 * 4); /* precise: f32 */
	assert_false(facts->has_tokenizer);
	t2l_model_close(model);
}

/* ---- what must be refused ---- */

static void
an_adapter_file_is_not_taken_for_a_model(void **state)
{
	struct t2l_error err;
	struct t2l_model *model = NULL;

	(void)state;
	assert_fails(t2l_model_open(engine, need_golden("models/gguf/lora-all.gguf"), &model, &err),
	    T2L_EINVAL, "adapter");
	assert_fails(
	    t2l_model_open(engine, "/no/such/model", &model, &err), T2L_ENOENT, "/no/such/model");
}

/* A copy of llama-bias in the temporary folder whose config.json has FROM replaced by TO. */
static void
write_changed_model(const char *from, const char *to)
{
	size_t n, n_weights;
	char *config = read_whole_file(need_golden("models/llama-bias/config.json"), 1 << 20, &n);
	char *weights = read_whole_file(
	    need_golden("models/llama-bias/model.safetensors"), 1 << 24, &n_weights);
	char *at, changed[8192];

	assert_non_null(config);
	assert_non_null(weights);
	at = strstr(config, from);
	assert_non_null(at);
	snprintf(
	    changed, sizeof changed, "%.*s%s%s", (int)(at - config), config, to, at + strlen(from));
	assert_int_equal(atomic_write(in_folder("config.json"), changed, strlen(changed)), 0);
	assert_int_equal(atomic_write(in_folder("model.safetensors"), weights, n_weights), 0);
	free(config);
	free(weights);
}

static void
hostile_configurations_are_refused_by_key(void **state)
{
	static const struct {
		const char *from, *to;
		enum t2l_status status;
		const char *named;
	} rows[] = {
		{ "\"hidden_size\": 64", "\"hidden_size\": 0", T2L_EFORMAT, "hidden_size" },
		{ "\"hidden_size\": 64", "\"hidden_size\": -64", T2L_EFORMAT, "hidden_size" },
		{ "\"hidden_size\": 64", "\"hidden_size\": 1e30", T2L_EFORMAT, "hidden_size" },
		{ "\"hidden_size\": 64", "\"hidden_size\": \"64\"", T2L_EFORMAT, "hidden_size" },
		{ "\"hidden_size\": 64", "\"hidden_size\": 128", T2L_EFORMAT, "embed_tokens" },
		{ "\"hidden_size\": 64", "\"hidden_size\": 2147483647", T2L_EFORMAT,
		    "hidden_size" },
		{ "\"hidden_size\": 64,", "", T2L_EFORMAT, "hidden_size" },
		{ "\"num_hidden_layers\": 2", "\"num_hidden_layers\": 3", T2L_EFORMAT,
		    "model.layers.2." },
		{ "\"num_hidden_layers\": 2", "\"num_hidden_layers\": 2000000000", T2L_EFORMAT,
		    "num_hidden_layers" },
		{ "\"num_key_value_heads\": 2", "\"num_key_value_heads\": 3", T2L_EFORMAT,
		    "num_key_value_heads" },
		{ "\"num_key_value_heads\": 2", "\"num_key_value_heads\": null", T2L_EFORMAT,
		    "k_proj" },
		{ "\"num_attention_heads\": 4", "\"num_attention_heads\": 5", T2L_EFORMAT,
		    "num_attention_heads" },
		{ "\"vocab_size\": 320", "\"vocab_size\": 321", T2L_EFORMAT, "embed_tokens" },
		{ "\"rms_norm_eps\": 1e-05", "\"rms_norm_eps\": 0", T2L_EFORMAT, "rms_norm_eps" },
		{ "\"rope_theta\": 10000.0", "\"rope_theta\": -1", T2L_EFORMAT, "rope_theta" },
		{ "\"rope_scaling\": null",
		    "\"rope_scaling\": {\"type\": \"mrope\", \"factor\": 2}", T2L_EUNSUPPORTED,
		    "mrope" },
		{ "\"rope_scaling\": null",
		    "\"rope_parameters\": {\"rope_type\": \"yarn\", \"rope_theta\": 10}",
		    T2L_EFORMAT, "factor" },
		{ "\"rope_scaling\": null",
		    "\"rope_scaling\": {\"type\": \"linear\", \"factor\": 0}", T2L_EFORMAT,
		    "factor" },
		{ "\"rope_scaling\": null",
		    "\"rope_scaling\": {\"type\": \"longrope\", \"short_factor\": [1], "
		    "\"long_factor\": [1]}",
		    T2L_EFORMAT, "divisors" },
		{ "\"rope_scaling\": null",
		    "\"rope_scaling\": {\"type\": \"longrope\", \"short_factor\": [1, -1], "
		    "\"long_factor\": [1, 1]}",
		    T2L_EFORMAT, "short_factor" },
		{ "\"rope_scaling\": null",
		    "\"rope_scaling\": {\"type\": \"llama3\", \"factor\": 8, "
		    "\"low_freq_factor\": 4, \"high_freq_factor\": 1}",
		    T2L_EFORMAT, "high_freq_factor" },
		{ "\"num_hidden_layers\": 2", "\"num_hidden_layers\": 9223372036854775808",
		    T2L_EFORMAT, "num_hidden_layers" },
		{ "\"model_type\": \"llama\"", "\"model_type\": \"mistral\"", T2L_EFORMAT,
		    "does not fit" },
		{ "\"rope_scaling\": null", "\"quantization_config\": {\"bits\": 4}",
		    T2L_EUNSUPPORTED, "quantization_config" },
		{ "\"hidden_act\": \"silu\"", "\"hidden_act\": \"mystery\"", T2L_EUNSUPPORTED,
		    "mystery" },
		{ "\"eos_token_id\": 2", "\"eos_token_id\": [2, \"x\"]", T2L_EFORMAT,
		    "eos_token_id" },
		{ "\"eos_token_id\": 2", "\"eos_token_id\": [1,2,3,4,5,6,7,8,9]", T2L_EUNSUPPORTED,
		    "eos_token_id" },
		{ "\"model_type\": \"llama\"", "\"model_type\": \"gpt2\"", T2L_EUNSUPPORTED,
		    "gpt2" },
		{ "LlamaForCausalLM", "LlamaForSequenceClassification", T2L_EUNSUPPORTED,
		    "LlamaForSequenceClassification" },
		{ "{", "[", T2L_EFORMAT, "config.json" },
	};
	struct t2l_error err;
	struct t2l_model *model = NULL;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		write_changed_model(rows[i].from, rows[i].to);
		assert_fails(t2l_model_open(engine, temporary_folder, &model, &err), rows[i].status,
		    rows[i].named);
	}
}

static void
old_and_new_spellings_mean_the_same(void **state)
{
	static const char *const rows[][2] = {
		{ "\"rope_theta\": 10000.0", "\"rope_parameters\": {\"rope_type\": \"default\", "
					     "\"rope_theta\": 10000.0}" },
		{ "LlamaForCausalLM", "LLaMAForCausalLM" },
		{ "\"eos_token_id\": 2", "\"eos_token_id\": [2, 3]" },
		{ "\"hidden_act\": \"silu\"", "\"hidden_act\": \"swish\"" },
		{ "\"torch_dtype\": \"bfloat16\"", "\"head_dim\": 16" },
	};
	struct safetensors *golden = open_golden("models/llama-bias/golden.safetensors");
	struct t2l_error err = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct t2l_model *model;

		write_changed_model(rows[i][0], rows[i][1]);
		assert_ok(t2l_model_open(engine, temporary_folder, &model, &err));
		check_logits(model, NULL, NULL, 0, golden, "tokens_b", "logits_b");
		t2l_model_close(model);
	}
	safetensors_close(golden);
}

static void
scores_need_tokens_of_the_vocabulary_that_fit_the_context(void **state)
{
	struct t2l_model *model = open_golden_model("models/llama-bias");
	struct t2l_error err;
	int32_t ids[129] = { 0 };
	double logprobs[129];

	(void)state;
	assert_fails(t2l_score(model, NULL, NULL, 0, ids, 129, logprobs, NULL, &err), T2L_EINVAL,
	    "129 tokens");
	assert_fails(
	    t2l_score(model, NULL, NULL, 0, ids, 0, logprobs, NULL, &err), T2L_EINVAL, "0 tokens");
	ids[3] = 320;
	assert_fails(
	    t2l_score(model, NULL, NULL, 0, ids, 8, logprobs, NULL, &err), T2L_EINVAL, "320");
	ids[3] = -1;
	assert_fails(
	    t2l_score(model, NULL, NULL, 0, ids, 8, logprobs, NULL, &err), T2L_EINVAL, "-1");
	t2l_model_close(model);
}

static void
an_adapter_of_another_shape_is_refused(void **state)
{
	static const float one = 1;
	struct t2l_model *model = open_golden_model("models/llama-bias"); /* fewer kv heads */
	const struct t2l_adapter *adapter = open_llama2_adapter("t2l");
	struct t2l_error err;
	int32_t ids[] = { 5, 6 };
	double logprobs[2];

	(void)state;
	assert_fails(t2l_score(model, &adapter, &one, 1, ids, 2, logprobs, NULL, &err),
	    T2L_EMISMATCH, "v_proj");
	t2l_adapter_close((struct t2l_adapter *)adapter);
	t2l_model_close(model);
}

/* ---- saving ---- */

static void
a_saved_model_is_the_same_model(void **state)
{
	struct t2l_model *model = open_golden_model("models/llama-bias"), *saved;
	struct safetensors *golden = open_golden("models/llama-bias/golden.safetensors");
	static const enum dtype dtypes[] = { DTYPE_F32, DTYPE_BF16 };
	struct t2l_error err = { 0 };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		assert_ok(
		    decoder_save_hf(&model->base->decoder, temporary_folder, dtypes[i], &err));
		assert_ok(t2l_model_open(engine, temporary_folder, &saved, &err));
		assert_string_equal(
		    t2l_model_facts(model)->fingerprint, t2l_model_facts(saved)->fingerprint);
		assert_string_equal(t2l_model_facts(saved)->dtype, i == 0 ? "f32" : "bf16");
		assert_int_equal(saved->base->decoder.config.eos_ids[0], 2);
		check_logits(saved, NULL, NULL, 0, golden, "tokens_a", "logits_a");
		t2l_model_close(saved);
	}
	assert_fails(decoder_save_hf(&model->base->decoder, temporary_folder, DTYPE_Q8_0, &err),
	    T2L_EINVAL, "q8_0");
	assert_fails(decoder_save_hf(&model->base->decoder, "/no/such/folder", DTYPE_F32, &err),
	    T2L_ENOENT, "/no/such/folder");
	safetensors_close(golden);
	t2l_model_close(model);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hugging_face_models_give_the_reference_logits),
		cmocka_unit_test(gguf_models_give_the_reference_logits),
		cmocka_unit_test(every_instruction_set_gives_the_reference_logits),
		cmocka_unit_test(fast_arithmetic_stays_near_the_reference),
		cmocka_unit_test(hidden_states_are_the_references),
		cmocka_unit_test(the_last_hidden_state_is_the_references),
		cmocka_unit_test(one_pass_over_rows_with_their_own_adapters_gives_the_reference),
		cmocka_unit_test(wanted_rows_alone_have_the_same_logits),
		cmocka_unit_test(adapters_give_the_reference_logits),
		cmocka_unit_test(adapters_on_a_gguf_base_give_the_same_logits),
		cmocka_unit_test(adapters_add_up_with_their_weights),
		cmocka_unit_test(the_same_weights_have_one_fingerprint_in_every_format),
		cmocka_unit_test(facts_are_those_of_the_configuration),
		cmocka_unit_test(an_adapter_file_is_not_taken_for_a_model),
		cmocka_unit_test_setup_teardown(hostile_configurations_are_refused_by_key,
		    make_temporary_folder, remove_temporary_folder),
		cmocka_unit_test_setup_teardown(old_and_new_spellings_mean_the_same,
		    make_temporary_folder, remove_temporary_folder),
		cmocka_unit_test(scores_need_tokens_of_the_vocabulary_that_fit_the_context),
		cmocka_unit_test(an_adapter_of_another_shape_is_refused),
		cmocka_unit_test_setup_teardown(a_saved_model_is_the_same_model,
		    make_temporary_folder, remove_temporary_folder),
	};

	return cmocka_run_group_tests(tests, open_engine, close_engine);
}
