/* test-peft.c - PEFT directories: read exactly, refused by name, written and read back. */

#include "tests/unit/cmocka-first.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "engine/formats/json.h"
#include "engine/formats/safetensors.h"
#include "tests/golden-path.h"
#include "tests/unit/adapter-fixture.h"

#define LLAMA2 "models/llama2/adapters/"

static struct t2l_adapter *
open_golden(const char *name)
{
	struct t2l_adapter *adapter;
	struct t2l_error err;

	if (golden_path(name) == NULL)
		skip();
	if (t2l_adapter_open(golden_path(name), &adapter, &err) != T2L_OK)
		fail_msg("%s", err.message);
	return adapter;
}

/* ---- reading ---- */

static void
numbers_are_those_of_the_file_and_b_is_transposed(void **state)
{
	static const char *const names[] = { "rslora", "bf16", "f16", "layers", "regex" };
	struct tensor stored;
	char path[128], key[96];

	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		struct t2l_adapter *adapter;
		struct safetensors *st;
		float value;

		snprintf(path, sizeof path, LLAMA2 "%s", names[i]);
		adapter = open_golden(path);
		assert_int_equal(safetensors_open(golden_path(path), &st, NULL), T2L_OK);
		assert_int_equal(safetensors_count(st), 2 * adapter->n_modules);
		for (size_t j = 0; j < adapter->n_modules; j++) {
			const struct adapter_module *m = &adapter->modules[j];
			int64_t in = tensor_cols(&m->a), out = tensor_cols(&m->bt);
			size_t size;

			adapter_tensor_name(m, true, key, sizeof key);
			assert_int_equal(safetensors_tensor(st, key, &stored, NULL), T2L_OK);
			size = dtype_row_bytes(stored.dtype, 1);
			assert_int_equal(stored.shape[1], in);
			for (int64_t k = 0; k < m->rank * in; k++) {
				dtype_to_f32(stored.dtype, (char *)stored.data + (size_t)k * size,
				    &value, 1);
				assert_true(value == tensor_f32(&m->a)[k]);
			}
			adapter_tensor_name(m, false, key, sizeof key);
			assert_int_equal(safetensors_tensor(st, key, &stored, NULL), T2L_OK);
			for (int64_t k = 0; k < m->rank * out; k++) {
				dtype_to_f32(stored.dtype, (char *)stored.data + (size_t)k * size,
				    &value, 1);
				assert_true(
				    value == tensor_f32(&m->bt)[k % m->rank * out + k / m->rank]);
			}
		}
		safetensors_close(st);
		t2l_adapter_close(adapter);
	}
}

/* alpha_pattern {".*up_proj": 5, "k_proj": 12, "model.layers.0.self_attn.v_proj": 3}, rank_pattern
 * {"layers.1.mlp.down_proj": 6, "q_proj": 2}, r 4, lora_alpha 8. */
static void
patterns_give_each_module_its_scale(void **state)
{
	static const struct {
		int layer;
		enum module module;
		int rank;
		double scale;
	} expected[] = {
		{ 0, MODULE_UP, 4, 5.0 / 4 },
		{ 1, MODULE_UP, 4, 5.0 / 4 },
		{ 0, MODULE_K, 4, 12.0 / 4 },
		{ 0, MODULE_V, 4, 3.0 / 4 },
		{ 1, MODULE_V, 4, 8.0 / 4 },
		{ 0, MODULE_DOWN, 4, 8.0 / 4 },
		{ 1, MODULE_DOWN, 6, 8.0 / 6 },
		{ 1, MODULE_Q, 2, 8.0 / 2 },
		{ 0, MODULE_O, 4, 8.0 / 4 },
	};
	struct t2l_adapter *adapter = open_golden(LLAMA2 "patterns");

	(void)state;
	for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
		const struct adapter_module *module =
		    adapter_find(adapter, expected[i].layer, expected[i].module, 0);

		assert_int_equal(module->rank, expected[i].rank);
		assert_float_equal((double)module->scale, expected[i].scale, 1e-6);
	}
	assert_int_equal(adapter->facts.rank, 6);
	t2l_adapter_close(adapter);
}

static void
facts_are_those_of_the_configuration(void **state)
{
	struct t2l_adapter *adapter = open_golden(LLAMA2 "rslora");
	const struct t2l_adapter_facts *facts = t2l_adapter_facts(adapter);

	(void)state;
	assert_string_equal(facts->format, "peft");
	assert_string_equal(facts->base_name, "tiny/llama2");
	assert_string_equal(
	    facts->modules, "q_proj,k_proj,v_proj,o_proj,gate_proj,up_proj,down_proj");
	assert_int_equal(facts->rank, 6);
	assert_int_equal(facts->n_layers, 2);
	assert_true(facts->use_rslora && facts->lora_alpha == 12);
	assert_float_equal(facts->scale, 12 / sqrt(6), 1e-6);
	assert_string_equal(facts->task, "");
	t2l_adapter_close(adapter);
}

/* ---- refusing ---- */

static void
what_is_more_than_lora_is_refused_by_name(void **state)
{
	static const struct {
		const char *directory, *word;
	} goldens[] = {
		{ LLAMA2 "refuse-dora", "DoRA" },
		{ LLAMA2 "refuse-modules-to-save", "modules_to_save" },
	};
	struct t2l_adapter *adapter = NULL;
	struct t2l_error err;

	(void)state;
	for (size_t i = 0; i < sizeof goldens / sizeof goldens[0]; i++) {
		if (golden_path(goldens[i].directory) == NULL)
			continue;
		assert_int_equal(
		    t2l_adapter_open(golden_path(goldens[i].directory), &adapter, &err),
		    T2L_EUNSUPPORTED);
		if (strstr(err.message, goldens[i].word) == NULL)
			fail_msg("%s", err.message);
	}
	assert_null(adapter);
}

#define PATH "model.layers.0.self_attn.q_proj"
#define PAIR                                                                                       \
	{ PATH ".lora_A.weight", 2, 6, 1 },                                                        \
	{                                                                                          \
		PATH ".lora_B.weight", 4, 2, 1                                                     \
	}
#define PLAIN "{\"peft_type\":\"LORA\",\"r\":2,\"lora_alpha\":4"

static void
refused_configurations_name_the_key(void **state)
{
	static const struct {
		const char *config;
		enum t2l_status status;
		const char *word;
	} configs[] = {
		{ PLAIN "}", T2L_OK, "" },
		{ PLAIN ",\"unknown_key\":3,\"modules_to_save\":[],\"use_dora\":null}", T2L_OK,
		    "" },
		{ PLAIN ",\"use_dora\":true}", T2L_EUNSUPPORTED, "DoRA" },
		{ PLAIN ",\"lora_bias\":true}", T2L_EUNSUPPORTED, "lora_bias" },
		{ PLAIN ",\"bias\":\"all\"}", T2L_EUNSUPPORTED, "bias 'all'" },
		{ PLAIN ",\"bias\":\"lora_only\"}", T2L_EUNSUPPORTED, "bias" },
		{ PLAIN ",\"fan_in_fan_out\":true}", T2L_EUNSUPPORTED, "fan_in_fan_out" },
		{ PLAIN ",\"modules_to_save\":[\"lm_head\"]}", T2L_EUNSUPPORTED,
		    "modules_to_save" },
		{ PLAIN ",\"layer_replication\":[[0,1]]}", T2L_EUNSUPPORTED, "layer_replication" },
		{ PLAIN ",\"init_lora_weights\":\"pissa_niter_4\"}", T2L_EUNSUPPORTED, "pissa" },
		{ "{\"peft_type\":\"IA3\",\"r\":2,\"lora_alpha\":4}", T2L_EUNSUPPORTED, "IA3" },
		{ "{\"r\":2,\"lora_alpha\":4}", T2L_EFORMAT, "peft_type" },
		{ "{\"peft_type\":\"LORA\",\"r\":2}", T2L_EFORMAT, "lora_alpha" },
		{ "{\"peft_type\":\"LORA\",\"lora_alpha\":4}", T2L_EFORMAT, "'r'" },
		{ "{\"peft_type\":\"LORA\",\"r\":0,\"lora_alpha\":4}", T2L_EFORMAT, "'r'" },
		{ "{\"peft_type\":\"LORA\",\"r\":1e9,\"lora_alpha\":4}", T2L_EFORMAT, "'r'" },
		{ "{\"peft_type\":\"LORA\",\"r\":3,\"lora_alpha\":4}", T2L_EFORMAT, "rank 2" },
		{ "{\"peft_type\":\"LORA\",\"r\":2,\"lora_alpha\":\"4\"}", T2L_EFORMAT,
		    "lora_alpha" },
		{ PLAIN ",\"alpha_pattern\":[]}", T2L_EFORMAT, "alpha_pattern" },
		{ PLAIN ",\"alpha_pattern\":{\"q\":\"x\"}}", T2L_EFORMAT, "must be a number" },
		{ PLAIN ",\"alpha_pattern\":{\"(q_proj\":1}}", T2L_EFORMAT, "(q_proj" },
		{ PLAIN ",\"alpha_pattern\":{\"([a-z._]|[a-z]+)*[0-9]j\":1}}", T2L_EFORMAT,
		    "too long" },
		{ PLAIN ",\"rank_pattern\":{\"q_proj\":9}}", T2L_EFORMAT, "rank 2" },
		{ "[1]", T2L_EFORMAT, "adapter_config.json" },
		{ "{", T2L_EFORMAT, "adapter_config.json" },
	};
	static const struct peft_tensor tensors[] = { PAIR };
	struct t2l_error err;

	(void)state;
	for (size_t i = 0; i < sizeof configs / sizeof configs[0]; i++) {
		const char *directory = write_peft("peft", configs[i].config, tensors, 2);
		struct t2l_adapter *adapter = NULL;

		err.message[0] = '\0';
		if (t2l_adapter_open(directory, &adapter, &err) != configs[i].status)
			fail_msg("%s: %s", configs[i].config, err.message);
		if (strstr(err.message, configs[i].word) == NULL)
			fail_msg("%s: %s", configs[i].config, err.message);
		t2l_adapter_close(adapter);
		remove_peft(directory);
	}
}

static void
refused_tensors_are_named(void **state)
{
	static const struct {
		struct peft_tensor tensors[3];
		size_t n;
		enum t2l_status status;
		const char *word;
	} files[] = {
		{ { PAIR }, 2, T2L_OK, "" },
		{ { PAIR }, 1, T2L_EFORMAT, "lora_B.weight" },
		{ { { PATH ".lora_B.weight", 4, 2, 1 } }, 1, T2L_EFORMAT, "lora_A.weight" },
		{ { PAIR, { "model.layers.1.self_attn.v_proj.lora_A.weight", 2, 6, 1 } }, 3,
		    T2L_EFORMAT, "without" },
		{ { { PATH ".lora_A.weight", 2, 6, 1 }, { PATH ".lora_B.weight", 4, 3, 1 } }, 2,
		    T2L_EFORMAT, "A has rank 2, B has rank 3" },
		{ { { PATH ".lora_A.weight", 0, 6, 1 }, { PATH ".lora_B.weight", 4, 0, 1 } }, 2,
		    T2L_EFORMAT, "rank 0" },
		{ { { PATH ".lora_A.weight", 5000, 1, 1 }, { PATH ".lora_B.weight", 1, 5000, 1 } },
		    2, T2L_EFORMAT, "rank 5000" },
		{ { { PATH ".lora_A.weight", 2, 6, NAN }, { PATH ".lora_B.weight", 4, 2, 1 } }, 2,
		    T2L_EFORMAT, "NaN" },
		{ { { PATH ".lora_A.weight", 2, 6, 1 }, { PATH ".lora_B.weight", 4, 2, INFINITY } },
		    2, T2L_EFORMAT, "infinite" },
		{ { PAIR, { PATH ".lora_magnitude_vector", 4, 1, 1 } }, 3, T2L_EUNSUPPORTED,
		    "DoRA" },
		{ { PAIR, { PATH ".lora_B.bias", 4, 1, 1 } }, 3, T2L_EUNSUPPORTED, "lora_bias" },
		{ { PAIR, { "lm_head.weight", 9, 6, 1 } }, 3, T2L_EUNSUPPORTED, "modules_to_save" },
		{ { PAIR, { "model.embed_positions.lora_embedding_A", 2, 9, 1 } }, 3,
		    T2L_EUNSUPPORTED, "embeddings" },
		{ { PAIR, { "model.embed_tokens.lora_embedding_A", 2, 9, 1 } }, 3, T2L_EFORMAT,
		    "without 'base_model.model.model.embed_tokens.lora_embedding_B'" },
		{ { PAIR, { PATH ".base_layer.weight", 4, 6, 1 } }, 3, T2L_EUNSUPPORTED,
		    "changed weights" },
		{ { { "model.layers.0.mlp.experts.lora_A.weight", 2, 6, 1 } }, 1, T2L_EUNSUPPORTED,
		    "mlp.experts" },
		{ { { "model.layers.0.mlp.q_proj.lora_A.weight", 2, 6, 1 } }, 1, T2L_EUNSUPPORTED,
		    "mlp.q_proj" },
		{ { { "model.layers.00.self_attn.q_proj.lora_A.weight", 2, 6, 1 } }, 1,
		    T2L_EUNSUPPORTED, "layers.00" },
		{ { { "model.layers.99999999999.self_attn.q_proj.lora_A.weight", 2, 6, 1 } }, 1,
		    T2L_EUNSUPPORTED, "layers.99999999999" },
		{ { { "model.layers.5000.self_attn.q_proj.lora_A.weight", 2, 6, 1 },
		      { "model.layers.5000.self_attn.q_proj.lora_B.weight", 4, 2, 1 } },
		    2, T2L_EFORMAT, "layer 5000" },
		{ { PAIR }, 0, T2L_EFORMAT, "no module" },
	};
	struct t2l_error err;

	(void)state;
	for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
		const char *directory = write_peft("peft", PLAIN "}", files[i].tensors, files[i].n);
		struct t2l_adapter *adapter = NULL;

		err.message[0] = '\0';
		if (t2l_adapter_open(directory, &adapter, &err) != files[i].status)
			fail_msg("case %zu: %s", i, err.message);
		if (strstr(err.message, files[i].word) == NULL)
			fail_msg("case %zu: %s", i, err.message);
		t2l_adapter_close(adapter);
		remove_peft(directory);
	}
}

static void
a_cut_model_file_is_refused_with_its_name(void **state)
{
	static const struct peft_tensor tensors[] = { PAIR };
	const char *directory = write_peft("peft", PLAIN "}", tensors, 2);
	struct t2l_adapter *adapter = NULL;
	struct t2l_error err;
	char path[1024], *bytes;
	size_t n;

	(void)state;
	snprintf(path, sizeof path, "%s/adapter_model.safetensors", directory);
	bytes = read_whole_file(path, 1 << 20, &n);
	for (size_t cut = 0; cut < n; cut += 3) {
		assert_int_equal(atomic_write(path, bytes, cut), 0);
		assert_int_equal(t2l_adapter_open(directory, &adapter, &err), T2L_EFORMAT);
		assert_non_null(strstr(err.message, "adapter_model.safetensors"));
	}
	unlink(path);
	assert_int_equal(t2l_adapter_open(directory, &adapter, &err), T2L_ENOENT);
	assert_non_null(strstr(err.message, "safetensors"));
	free(bytes);
	remove_peft(directory);
	assert_int_equal(t2l_adapter_open(temporary_folder, &adapter, &err), T2L_ENOENT);
	assert_non_null(strstr(err.message, "no PEFT adapter"));
}

/* ---- writing ---- */

static void
exported_goldens_come_back(void **state)
{
	static const char *const names[] = { "patterns", "rslora", "layers", "regex" };
	char path[128];

	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		struct t2l_adapter *adapter, *read;

		snprintf(path, sizeof path, LLAMA2 "%s", names[i]);
		adapter = open_golden(path);
		assert_int_equal(
		    t2l_adapter_export_peft(adapter, in_folder("out"), NULL, NULL), T2L_OK);
		assert_int_equal(t2l_adapter_open(in_folder("out"), &read, NULL), T2L_OK);
		assert_string_equal(read->facts.hash, adapter->facts.hash);
		assert_string_equal(read->facts.base_name, "tiny/llama2");
		assert_true(read->facts.use_rslora == adapter->facts.use_rslora);
		t2l_adapter_close(adapter);
		t2l_adapter_close(read);
		remove_peft(in_folder("out"));
	}
}

static void
sixteen_bits_are_those_of_the_type_asked_for(void **state)
{
	static const struct {
		const char *option, *dtype_text;
		double error; /* relative */
	} kinds[] = { { "fp32", "F32", 0 }, { "fp16", "F16", 0.0005 }, { "bf16", "BF16", 0.004 } };
	struct t2l_adapter *adapter = make_adapter_of(4, 16, true, 9, NULL), *read;

	(void)state;
	for (int i = 0; i < 3; i++) {
		const struct t2l_peft_options options = { .base_model = "elsewhere/base",
			.dtype = kinds[i].option };
		struct safetensors *st;

		assert_int_equal(
		    t2l_adapter_export_peft(adapter, in_folder("out"), &options, NULL), T2L_OK);
		assert_int_equal(t2l_adapter_open(in_folder("out"), &read, NULL), T2L_OK);
		assert_string_equal(read->facts.base_name, "elsewhere/base");
		for (int64_t j = 0; j < tensor_count(&adapter->modules[1].bt); j++) {
			double x = (double)tensor_f32(&adapter->modules[1].bt)[j];

			assert_true(fabs((double)tensor_f32(&read->modules[1].bt)[j] - x) <=
				    kinds[i].error * fabs(x));
		}
		assert_int_equal(safetensors_open(in_folder("out"), &st, NULL), T2L_OK);
		assert_string_equal(safetensors_at(st, 0)->dtype_text, kinds[i].dtype_text);
		assert_string_equal(safetensors_metadata(st, "format"), "pt");
		safetensors_close(st);
		t2l_adapter_close(read);
		remove_peft(in_folder("out"));
	}
	t2l_adapter_close(adapter);
}

/* PEFT's files have no place for it: it is in the metadata of the tensors, and only when known. */
static void
the_description_comes_back(void **state)
{
	static const char *const tasks[] = { "say \"cat\" in\nSpanish, \033[1mañadir\033[0m", "" };
	static const char *const formats[] = { "peft", "hf" };
	struct t2l_adapter *adapter = make_adapter_of(4, 16, true, 9, NULL), *read;
	struct t2l_error err;

	(void)state;
	for (int i = 0; i < 4; i++) {
		const char *task = tasks[i / 2];
		const struct t2l_export_options options = { .format = formats[i % 2],
			.task = task };
		struct safetensors *st;

		if (t2l_adapter_export(adapter, in_folder("out"), &options, NULL, &err) != T2L_OK)
			fail_msg("%s", err.message);
		assert_int_equal(t2l_adapter_open(in_folder("out"), &read, NULL), T2L_OK);
		assert_string_equal(read->facts.task, task);
		assert_string_equal(read->facts.hash, adapter->facts.hash);
		t2l_adapter_close(read);
		assert_int_equal(safetensors_open(in_folder("out"), &st, NULL), T2L_OK);
		assert_int_equal(safetensors_metadata_count(st), task[0] != '\0' ? 2 : 1);
		safetensors_close(st);
		assert_int_equal(remove_tree(in_folder("out")), 0);
	}
	assert_int_equal(
	    t2l_adapter_export(adapter, in_folder("out"),
		&(struct t2l_export_options){ .format = "peft", .task = "\xff" }, NULL, &err),
	    T2L_EINVAL);
	assert_non_null(strstr(err.message, "UTF-8"));
	t2l_adapter_close(adapter);
}

static void
exports_that_cannot_be_are_refused(void **state)
{
	struct t2l_adapter *adapter = make_adapter_of(4, 16, true, 9, NULL);
	const struct t2l_peft_options half = { .dtype = "fp16" }, odd = { .dtype = "int4" };
	struct t2l_error err;

	(void)state;
	assert_int_equal(
	    t2l_adapter_export_peft(adapter, in_folder("out"), &odd, &err), T2L_EINVAL);
	assert_non_null(strstr(err.message, "int4"));
	tensor_f32(&adapter->modules[2].a)[3] = 1e6F;
	assert_int_equal(
	    t2l_adapter_export_peft(adapter, in_folder("out"), &half, &err), T2L_EINVAL);
	assert_non_null(strstr(err.message, "layers.1.self_attn.q_proj.lora_A"));
	assert_int_equal(
	    t2l_adapter_export_peft(adapter, in_folder("no/where"), NULL, &err), T2L_ENOENT);
	assert_non_null(strstr(err.message, "no/where"));
	t2l_adapter_close(adapter);
	remove_peft(in_folder("out"));
}

/* Only keys that old and new PEFT versions know (golden/export: others stop PEFT 0.13). */
static void
the_written_configuration_has_only_the_old_keys(void **state)
{
	static const char *const known[] = { "peft_type", "task_type", "r", "lora_alpha",
		"target_modules", "base_model_name_or_path", "use_rslora", "use_dora", "bias",
		"fan_in_fan_out", "inference_mode", "lora_dropout", "modules_to_save",
		"rank_pattern", "alpha_pattern", "init_lora_weights", "revision",
		"layers_to_transform", "layers_pattern", "auto_mapping" };
	struct t2l_adapter *adapter = open_golden(LLAMA2 "layers");
	const size_t n_known = sizeof known / sizeof known[0];
	size_t n = 0;
	char path[600];
	cJSON *root, *item;

	(void)state;
	assert_int_equal(t2l_adapter_export_peft(adapter, in_folder("out"), NULL, NULL), T2L_OK);
	snprintf(path, sizeof path, "%s/adapter_config.json", in_folder("out"));
	assert_int_equal(json_open(path, 1 << 20, &root, NULL), T2L_OK);
	cJSON_ArrayForEach(item, root)
	{
		size_t i = 0;

		while (i < n_known && strcmp(item->string, known[i]) != 0)
			i++;
		assert_true(i < n_known);
		n++;
	}
	assert_int_equal(n, n_known);
	/* "layers" changes layer 1 only. */
	item = cJSON_GetObjectItem(root, "layers_to_transform");
	assert_int_equal(cJSON_GetArraySize(item), 1);
	assert_int_equal(cJSON_GetArrayItem(item, 0)->valueint, 1);
	assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(root, "target_modules")), 2);
	cJSON_Delete(root);
	t2l_adapter_close(adapter);
	remove_peft(in_folder("out"));
}

#define TEST(function)                                                                             \
	cmocka_unit_test_setup_teardown(function, make_temporary_folder, remove_temporary_folder)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(numbers_are_those_of_the_file_and_b_is_transposed),
		TEST(patterns_give_each_module_its_scale),
		TEST(facts_are_those_of_the_configuration),
		TEST(what_is_more_than_lora_is_refused_by_name),
		TEST(refused_configurations_name_the_key),
		TEST(refused_tensors_are_named),
		TEST(a_cut_model_file_is_refused_with_its_name),
		TEST(exported_goldens_come_back),
		TEST(sixteen_bits_are_those_of_the_type_asked_for),
		TEST(the_description_comes_back),
		TEST(exports_that_cannot_be_are_refused),
		TEST(the_written_configuration_has_only_the_old_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
