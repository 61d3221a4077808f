/* test-adapter.c - adapters in memory and in native files; the spans they give the decoder. */

#include "tests/unit/cmocka-first.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/hash.h"
#include "engine/adapters/lora-table.h"
#include "engine/formats/safetensors.h"
#include "tests/golden-path.h"
#include "tests/unit/adapter-fixture.h"

/* ---- in memory ---- */

static void
scale_is_alpha_by_rank_or_by_its_root(void **state)
{
	struct t2l_adapter *plain = make_adapter_of(4, 10, false, 1, NULL);
	struct t2l_adapter *stable = make_adapter_of(4, 10, true, 1, NULL);

	(void)state;
	assert_float_equal(plain->modules[0].scale, 2.5, 1e-6);
	assert_float_equal(stable->modules[0].scale, 5, 1e-6);
	assert_float_equal(t2l_adapter_facts(stable)->scale, 5, 1e-6);
	t2l_adapter_close(plain);
	t2l_adapter_close(stable);
}

static void
modules_are_sorted_and_found(void **state)
{
	struct adapter_module modules[3] = { 0 };
	const struct adapter_labels none = { .name = NULL };
	struct t2l_adapter *adapter;

	(void)state;
	for (int i = 0; i < 3; i++) {
		modules[i].layer = 2 - i;
		modules[i].module = i == 1 ? MODULE_DOWN : MODULE_K;
		modules[i].rank = i + 1;
		modules[i].alpha = 1;
		modules[i].a.shape[1] = modules[i].bt.shape[1] = 3;
	}
	assert_int_equal(adapter_create(modules, 3, false, &none, &adapter, NULL), T2L_OK);
	assert_int_equal(adapter->modules[0].layer, 0);
	assert_int_equal(adapter_find(adapter, 1, MODULE_DOWN, 0)->rank, 2);
	assert_null(adapter_find(adapter, 1, MODULE_K, 0));
	assert_null(adapter_find(adapter, 7, MODULE_K, 0));
	assert_string_equal(adapter->facts.modules, "k_proj,down_proj");
	assert_int_equal(adapter->facts.rank, 3);
	assert_int_equal(adapter->facts.n_layers, 3);
	assert_int_equal(adapter->facts.n_parameters, (1 + 2 + 3) * 6);
	t2l_adapter_close(adapter);
}

static void
impossible_modules_are_refused_by_name(void **state)
{
	static const struct {
		int layer, rank, in, out;
		double alpha;
		const char *word;
	} faults[] = {
		{ 0, 0, 4, 4, 1, "rank 0" },
		{ 0, -1, 4, 4, 1, "rank -1" },
		{ 0, ADAPTER_MAX_RANK + 1, 4, 4, 1, "rank 4097" },
		{ -1, 2, 4, 4, 1, "layer -1" },
		{ ADAPTER_MAX_LAYERS, 2, 4, 4, 1, "layer 1024" },
		{ 0, 2, 0, 4, 1, "inputs" },
		{ 0, 2, 4, ADAPTER_MAX_FEATURES + 1, 1, "outputs" },
		{ 0, 2, 4, 4, NAN, "alpha" },
		{ 0, 2, 4, 4, INFINITY, "alpha" },
	};
	const struct adapter_labels none = { .name = NULL };
	struct t2l_adapter *adapter = NULL;
	struct t2l_error err;

	(void)state;
	for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
		const struct adapter_module module = { .layer = faults[i].layer,
			.module = MODULE_Q,
			.rank = faults[i].rank,
			.alpha = faults[i].alpha,
			.a = { .shape = { 0, faults[i].in } },
			.bt = { .shape = { 0, faults[i].out } } };

		assert_int_equal(
		    adapter_create(&module, 1, false, &none, &adapter, &err), T2L_EFORMAT);
		if (strstr(err.message, faults[i].word) == NULL)
			fail_msg("%s", err.message);
		assert_non_null(strstr(err.message, "q_proj"));
	}
	assert_int_equal(adapter_create(NULL, 0, false, &none, &adapter, &err), T2L_EFORMAT);
	assert_null(adapter);
}

static void
a_module_that_is_there_twice_is_refused(void **state)
{
	struct adapter_module modules[2] = { 0 };
	const struct adapter_labels none = { .name = NULL };
	struct t2l_adapter *adapter;
	struct t2l_error err;

	(void)state;
	for (int i = 0; i < 2; i++) {
		modules[i].module = MODULE_UP;
		modules[i].rank = 1;
		modules[i].a.shape[1] = modules[i].bt.shape[1] = 3;
	}
	assert_int_equal(adapter_create(modules, 2, false, &none, &adapter, &err), T2L_EFORMAT);
	assert_non_null(strstr(err.message, "twice"));
}

static void
numbers_that_are_not_finite_are_refused_by_place(void **state)
{
	static const float bad[] = { NAN, INFINITY, -INFINITY };
	struct t2l_error err;

	(void)state;
	for (int i = 0; i < 3; i++) {
		struct t2l_adapter *adapter = make_adapter_of(4, 8, false, 3, NULL);
		const struct adapter_module *module = adapter_find(adapter, 1, MODULE_V, 0);

		tensor_f32(&module->bt)[7] = bad[i];
		assert_int_equal(adapter_seal(adapter, &err), T2L_EFORMAT);
		assert_non_null(strstr(err.message, "B of v_proj of layer 1: number 7"));
		t2l_adapter_close(adapter);
	}
}

/* One module with more numbers than are looked at in one go. */
static struct t2l_adapter *
make_long_adapter(int64_t cols)
{
	const struct adapter_labels none = { .name = NULL };
	struct adapter_module module = { .layer = 3, .module = MODULE_Q, .rank = 1, .alpha = 2 };
	struct t2l_adapter *adapter;

	module.a.shape[1] = module.bt.shape[1] = cols;
	assert_int_equal(adapter_create(&module, 1, false, &none, &adapter, NULL), T2L_OK);
	fill_numbers(tensor_f32(&adapter->modules[0].a), cols, 5);
	fill_numbers(tensor_f32(&adapter->modules[0].bt), cols, 6);
	return adapter;
}

static void
a_number_that_is_not_finite_is_found_wherever_it_is(void **state)
{
	static const int64_t places[] = { 0, 15, 16, 4095, 4096, 8191, 8192, 9999, 10004 };
	struct t2l_adapter *adapter = make_long_adapter(10005);
	float *values = tensor_f32(&adapter->modules[0].a);
	struct t2l_error err;
	char place[64];

	(void)state;
	for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
		values[places[i]] = i % 2 == 0 ? NAN : -INFINITY;
		snprintf(place, sizeof place, "A of q_proj of layer 3: number %d is %s",
		    (int)places[i], i % 2 == 0 ? "not a number" : "infinite");
		assert_int_equal(adapter_seal(adapter, &err), T2L_EFORMAT);
		assert_non_null(strstr(err.message, place));
		values[places[i]] = i % 2 == 0 ? FLT_MAX : -FLT_MAX;
		assert_int_equal(adapter_seal(adapter, &err), T2L_OK);
	}
	t2l_adapter_close(adapter);
}

static void
the_hash_is_of_place_shape_and_numbers(void **state)
{
	static const char line[] = "3 q_proj 1 10005 10005 40000000\n"; /* 2.0 in hex */
	struct t2l_adapter *adapter = make_long_adapter(10005);
	char bytes[sizeof line - 1 + 2 * 10005 * sizeof(float)], expected[HASH_HEX_SIZE];

	(void)state;
	memcpy(bytes, line, sizeof line - 1);
	memcpy(bytes + sizeof line - 1, tensor_f32(&adapter->modules[0].a), 10005 * sizeof(float));
	memcpy(bytes + sizeof line - 1 + 10005 * sizeof(float), tensor_f32(&adapter->modules[0].bt),
	    10005 * sizeof(float));
	hash_sha256_hex(bytes, sizeof bytes, expected);
	assert_int_equal(adapter_seal(adapter, NULL), T2L_OK);
	assert_string_equal(adapter->facts.hash, expected);
	t2l_adapter_close(adapter);
}

static void
the_hash_follows_the_effect_not_the_labels(void **state)
{
	struct t2l_adapter *one = make_adapter_of(4, 8, false, 3, NULL);
	struct t2l_adapter *same_scale = make_adapter_of(4, 4, true, 3, NULL);
	struct t2l_adapter *other_scale = make_adapter_of(4, 9, false, 3, NULL);
	struct t2l_adapter *other_numbers = make_adapter_of(4, 8, false, 4, NULL);
	struct t2l_adapter *relabelled;

	(void)state;
	assert_int_equal(
	    t2l_adapter_relabel(one, "name", "another task", &relabelled, NULL), T2L_OK);
	assert_string_equal(one->facts.hash, relabelled->facts.hash);
	assert_string_equal(one->facts.hash, same_scale->facts.hash);
	assert_string_not_equal(one->facts.hash, other_scale->facts.hash);
	assert_string_not_equal(one->facts.hash, other_numbers->facts.hash);
	t2l_adapter_close(one);
	t2l_adapter_close(same_scale);
	t2l_adapter_close(other_scale);
	t2l_adapter_close(other_numbers);
	t2l_adapter_close(relabelled);
}

static void
a_relabelled_copy_outlives_its_original(void **state)
{
	const struct adapter_labels labels = { .name = "old", .task = "do it", .lineage = "[]" };
	struct t2l_adapter *adapter = make_adapter_of(2, 8, false, 5, &labels), *copy, *second;
	float first = tensor_f32(&adapter->modules[0].a)[0];

	(void)state;
	assert_int_equal(t2l_adapter_relabel(adapter, "new", NULL, &copy, NULL), T2L_OK);
	assert_int_equal(t2l_adapter_relabel(copy, NULL, "do that", &second, NULL), T2L_OK);
	assert_string_equal(adapter->facts.name, "old");
	t2l_adapter_close(adapter);
	assert_string_equal(copy->facts.name, "new");
	assert_string_equal(copy->facts.task, "do it");
	t2l_adapter_close(copy);
	assert_string_equal(second->facts.name, "new");
	assert_string_equal(second->facts.task, "do that");
	assert_string_equal(second->facts.lineage, "[]");
	assert_true(tensor_f32(&second->modules[0].a)[0] == first);
	t2l_adapter_close(second);
}

static void
tensors_have_pefts_names_and_shapes(void **state)
{
	struct t2l_adapter *adapter = make_adapter_of(3, 8, false, 5, NULL);
	struct t2l_tensor_facts facts;

	(void)state;
	assert_int_equal(t2l_adapter_tensor(adapter, 6, &facts, NULL), T2L_OK);
	assert_string_equal(
	    facts.name, "base_model.model.model.layers.1.self_attn.v_proj.lora_A.weight");
	assert_int_equal(facts.shape[0], 3);
	assert_int_equal(facts.shape[1], 12);
	assert_int_equal(t2l_adapter_tensor(adapter, 7, &facts, NULL), T2L_OK);
	assert_string_equal(
	    facts.name, "base_model.model.model.layers.1.self_attn.v_proj.lora_B.weight");
	assert_int_equal(facts.shape[0], 5);
	assert_int_equal(facts.shape[1], 3);
	assert_int_equal(t2l_adapter_tensor(adapter, 8, &facts, NULL), T2L_EINVAL);
	t2l_adapter_close(adapter);
}

static void
a_base_of_another_shape_is_refused_with_both_sizes(void **state)
{
	struct t2l_adapter *adapter = make_adapter_of(3, 8, false, 5, NULL);
	struct decoder_config config = { .kind = architecture_by_name("llama"),
		.n_layers = 2,
		.hidden_size = 12,
		.n_heads = 2,
		.n_kv_heads = 1,
		.head_dim = 4,
		.ffn_size = 20 };
	struct t2l_error err;

	(void)state;
	/* v is 12 -> 4 there and 12 -> 5 here; q fits. */
	assert_int_equal(adapter_check_config(adapter, &config, &err), T2L_EMISMATCH);
	assert_non_null(strstr(err.message, "v_proj"));
	assert_non_null(strstr(err.message, "5 x 12"));
	assert_non_null(strstr(err.message, "4 x 12"));
	config.n_layers = 1;
	config.n_kv_heads = 5;
	config.head_dim = 1;
	config.n_heads = 8;
	assert_int_equal(adapter_check_config(adapter, &config, &err), T2L_EMISMATCH);
	assert_non_null(strstr(err.message, "layer 1"));
	config.n_layers = 2;
	assert_int_equal(adapter_check_config(adapter, &config, &err), T2L_OK);
	t2l_adapter_close(adapter);
}

/* ---- spans ---- */

static void
every_row_gets_the_adapters_of_its_group(void **state)
{
	struct t2l_adapter *one = make_adapter_of(2, 8, false, 1, NULL); /* scale 4 */
	struct t2l_adapter *two = make_adapter_of(3, 9, false, 2, NULL); /* scale 3 */
	const struct t2l_adapter *both[] = { one, two };
	const struct lora_rows groups[] = {
		{ 0, 5, both, (const float[]){ 1 }, 1 },
		{ 5, 2, NULL, NULL, 0 },
		{ 7, 1, both, (const float[]){ 0.5F, -2 }, 2 },
		{ 8, 4, both + 1, (const float[]){ 0 }, 1 },
		{ 12, 0, both, (const float[]){ 1 }, 1 },
	};
	struct arena *arena = arena_create();
	struct lora_table *table = lora_table_make(arena, 3, groups, 5);
	const struct lora_span *spans = table->spans[lora_place(table, 1, MODULE_V, 0)];

	(void)state;
	assert_int_equal(table->n_layers, 3);
	assert_int_equal(table->n_spans[lora_place(table, 1, MODULE_V, 0)], 3);
	assert_int_equal(table->n_spans[lora_place(table, 1, MODULE_K, 0)], 0);
	assert_int_equal(table->n_spans[lora_place(table, 2, MODULE_V, 0)], 0);
	assert_int_equal(spans[0].row_begin, 0);
	assert_int_equal(spans[0].row_count, 5);
	assert_true(spans[0].scale == 4);
	assert_int_equal(spans[1].row_begin, 7);
	assert_int_equal(spans[1].row_count, 1);
	assert_true(spans[1].scale == 2);
	assert_int_equal(spans[2].row_begin, 7);
	assert_true(spans[2].scale == -6);
	assert_ptr_equal(spans[2].a, &adapter_find(two, 1, MODULE_V, 0)->a);
	assert_ptr_equal(spans[2].bt, &adapter_find(two, 1, MODULE_V, 0)->bt);
	arena_free(arena);
	t2l_adapter_close(one);
	t2l_adapter_close(two);
}

static void
no_group_gives_an_empty_table(void **state)
{
	struct arena *arena = arena_create();
	struct lora_table *table = lora_table_make(arena, 2, NULL, 0);

	(void)state;
	for (int i = 0; i < 3 * N_MODULES; i++)
		assert_int_equal(table->n_spans[i], 0);
	arena_free(arena);
}

/* ---- native files ---- */

static void
a_native_file_keeps_numbers_and_labels(void **state)
{
	const struct adapter_labels labels = { .name = "es",
		.task = "translate into Spanish \xE2\x80\x94 \"capitals\"\n",
		.base_name = "demo base",
		.base_fingerprint = "ff00",
		.hypernet = "abcd",
		.encoder = "minilm",
		.lineage = "[{\"hash\":\"00\",\"name\":\"x\",\"weight\":0.5}]" };
	struct t2l_adapter *adapter = make_adapter_of(4, 16, true, 9, &labels), *read;
	const struct t2l_adapter_facts *facts;

	(void)state;
	assert_int_equal(t2l_adapter_save(adapter, in_folder("a.safetensors"), NULL), T2L_OK);
	assert_int_equal(t2l_adapter_open(in_folder("a.safetensors"), &read, NULL), T2L_OK);
	facts = t2l_adapter_facts(read);
	assert_string_equal(facts->format, "native");
	assert_string_equal(facts->hash, adapter->facts.hash);
	assert_string_equal(facts->name, labels.name);
	assert_string_equal(facts->task, labels.task);
	assert_string_equal(facts->base_name, labels.base_name);
	assert_string_equal(facts->base_fingerprint, labels.base_fingerprint);
	assert_string_equal(facts->hypernet, labels.hypernet);
	assert_string_equal(facts->encoder, labels.encoder);
	assert_string_equal(facts->lineage, labels.lineage);
	assert_true(facts->use_rslora && facts->lora_alpha == 16);
	t2l_adapter_close(adapter);
	t2l_adapter_close(read);
}

static void
the_same_adapter_gives_the_same_file(void **state)
{
	struct t2l_adapter *adapter = make_adapter_of(4, 16, true, 9, NULL);
	char *one, *two;
	size_t n_one, n_two;

	(void)state;
	assert_int_equal(t2l_adapter_save(adapter, in_folder("1.safetensors"), NULL), T2L_OK);
	assert_int_equal(t2l_adapter_save(adapter, in_folder("2.safetensors"), NULL), T2L_OK);
	one = read_whole_file(in_folder("1.safetensors"), 1 << 20, &n_one);
	two = read_whole_file(in_folder("2.safetensors"), 1 << 20, &n_two);
	assert_int_equal(n_one, n_two);
	assert_memory_equal(one, two, n_one);
	free(one);
	free(two);
	t2l_adapter_close(adapter);
}

static void
a_native_file_that_is_cut_is_refused_with_its_name(void **state)
{
	struct t2l_adapter *adapter = make_adapter_of(4, 16, true, 9, NULL), *read = NULL;
	const char *path = in_folder("cut.safetensors");
	struct t2l_error err;
	char *bytes;
	size_t n;

	(void)state;
	assert_int_equal(t2l_adapter_save(adapter, path, NULL), T2L_OK);
	bytes = read_whole_file(path, 1 << 20, &n);
	for (size_t cut = 0; cut < n; cut += cut < 32 ? 1 : n / 29) {
		assert_int_equal(atomic_write(path, bytes, cut), 0);
		assert_int_equal(t2l_adapter_open(path, &read, &err), T2L_EFORMAT);
		assert_non_null(strstr(err.message, "cut.safetensors"));
	}
	assert_null(read);
	free(bytes);
	t2l_adapter_close(adapter);
}

static void
other_files_are_refused_by_what_they_are(void **state)
{
	static const struct {
		const char *bytes;
		size_t n;
		enum t2l_status status;
		const char *word;
	} files[] = {
		{ "GGUF\3\0\0\0", 8, T2L_EFORMAT, "other.bin" },
		{ "lmgg\1\0\0\0", 8, T2L_EFORMAT, "other.bin" },
		{ "PK\3\4torch", 9, T2L_EFORMAT, "other.bin" },
		{ "\2\0\0\0\0\0\0\0{}", 10, T2L_EFORMAT, "no t2l metadata" },
		{ "hello", 5, T2L_EFORMAT, "other.bin" },
		{ "", 0, T2L_EFORMAT, "other.bin" },
	};
	struct t2l_adapter *adapter = NULL;
	struct t2l_error err;

	(void)state;
	for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
		const char *path = in_folder("other.bin");

		assert_int_equal(atomic_write(path, files[i].bytes, files[i].n), 0);
		assert_int_equal(t2l_adapter_open(path, &adapter, &err), files[i].status);
		if (strstr(err.message, files[i].word) == NULL)
			fail_msg("%s", err.message);
	}
	assert_int_equal(t2l_adapter_open(in_folder("absent"), &adapter, &err), T2L_ENOENT);
	assert_non_null(strstr(err.message, "absent"));
	if (golden_path("hypernet/L_sft/weights.safetensors") != NULL) {
		assert_int_equal(t2l_adapter_open(golden_path("hypernet/L_sft/weights.safetensors"),
				     &adapter, &err),
		    T2L_EFORMAT);
		assert_non_null(strstr(err.message, "is a hypernet"));
	}
	assert_null(adapter);
}

static void
saving_into_a_folder_that_is_not_there_says_so(void **state)
{
	struct t2l_adapter *adapter = make_adapter_of(4, 16, true, 9, NULL);
	struct t2l_error err;

	(void)state;
	assert_int_not_equal(
	    t2l_adapter_save(adapter, in_folder("nowhere/a.safetensors"), &err), T2L_OK);
	assert_non_null(strstr(err.message, "nowhere"));
	t2l_adapter_close(adapter);
}

static void
every_module_is_found_by_its_path(void **state)
{
	int layer, expert;
	enum module module;
	char path[MODULE_PATH_SIZE];

	(void)state;
	for (int m = 0; m < N_MODULES; m++) {
		enum module kind = (enum module)m;

		module_path(1023, kind, 1023, path, sizeof path);
		assert_null(strchr(path, '*'));
		assert_true(strlen(path) < MODULE_PATH_SIZE - 8);
		assert_true(module_by_path(path, strlen(path), &layer, &module, &expert));
		assert_int_equal(module, m);
		assert_int_equal(layer, module_in_layers(kind) ? 1023 : MODULE_NO_LAYER);
		assert_int_equal(expert, module_in_experts(kind) ? 1023 : MODULE_NO_EXPERT);
		assert_false(module_by_path(path, strlen(path) - 1, &layer, &module, &expert));
		for (int other = 0; other < m; other++)
			assert_string_not_equal(module_name(kind), module_name((enum module)other));
	}
	assert_false(module_by_path("model.layers.01.mlp.fc1", 23, &layer, &module, &expert));
	assert_false(module_by_path("model.layers..mlp.fc1", 21, &layer, &module, &expert));
	module_path(3, MODULE_MIXTRAL_W2, 12, path, sizeof path);
	assert_string_equal(path, "model.layers.3.block_sparse_moe.experts.12.w2");
	module_path(7, MODULE_HEAD, 7, path, sizeof path);
	assert_string_equal(path, "lm_head");
}

/* Experts, embeddings and the head keep who they are in a saved file, and count in the hash. */
static void
modules_of_all_kinds_come_back_from_a_file(void **state)
{
	static const struct adapter_module kinds[] = {
		{ .module = MODULE_HEAD, .rank = 2, .alpha = 2, .a.shape[1] = 4, .bt.shape[1] = 9 },
		{ .module = MODULE_EMBED,
		    .rank = 1,
		    .alpha = 3,
		    .a.shape[1] = 9,
		    .bt.shape[1] = 4 },
		{ .layer = 1,
		    .module = MODULE_EXPERT_UP,
		    .expert = 10,
		    .rank = 2,
		    .alpha = 2,
		    .a.shape[1] = 4,
		    .bt.shape[1] = 5 },
		{ .layer = 1,
		    .module = MODULE_EXPERT_UP,
		    .expert = 2,
		    .rank = 2,
		    .alpha = 2,
		    .a.shape[1] = 4,
		    .bt.shape[1] = 5 },
		{ .layer = 0,
		    .module = MODULE_QKV,
		    .expert = 77,
		    .rank = 2,
		    .alpha = 2,
		    .a.shape[1] = 4,
		    .bt.shape[1] = 12 },
	};
	const struct adapter_labels labels = { .name = "kinds" };
	struct t2l_adapter *adapter, *read;

	(void)state;
	assert_int_equal(adapter_create(kinds, 5, false, &labels, &adapter, NULL), T2L_OK);
	for (size_t i = 0; i < 5; i++) {
		for (int64_t j = 0; j < tensor_count(&adapter->modules[i].a); j++)
			tensor_f32(&adapter->modules[i].a)[j] = (float)(j + (int64_t)i);
		for (int64_t j = 0; j < tensor_count(&adapter->modules[i].bt); j++)
			tensor_f32(&adapter->modules[i].bt)[j] = (float)(j * (int64_t)i);
	}
	assert_int_equal(adapter_seal(adapter, NULL), T2L_OK);
	assert_int_equal(adapter->facts.n_layers, 2);
	assert_int_equal(adapter->modules[0].module, MODULE_EMBED);
	assert_int_equal(adapter->modules[0].layer, MODULE_NO_LAYER);
	assert_int_equal(adapter->modules[2].expert, MODULE_NO_EXPERT);
	assert_int_equal(adapter->modules[3].expert, 2);
	assert_ptr_equal(adapter_find(adapter, 1, MODULE_EXPERT_UP, 10), &adapter->modules[4]);
	assert_null(adapter_find(adapter, 1, MODULE_EXPERT_UP, 3));
	assert_ptr_equal(adapter_find(adapter, 5, MODULE_HEAD, 5), &adapter->modules[1]);

	assert_int_equal(t2l_adapter_save(adapter, in_folder("kinds.safetensors"), NULL), T2L_OK);
	assert_int_equal(t2l_adapter_open(in_folder("kinds.safetensors"), &read, NULL), T2L_OK);
	assert_string_equal(read->facts.hash, adapter->facts.hash);
	assert_string_equal(read->facts.modules, "qkv_proj,experts.up_proj,embed_tokens,lm_head");
	assert_int_equal(read->modules[4].expert, 10);
	t2l_adapter_close(read);
	t2l_adapter_close(adapter);
}

#define TEST(function)                                                                             \
	cmocka_unit_test_setup_teardown(function, make_temporary_folder, remove_temporary_folder)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(scale_is_alpha_by_rank_or_by_its_root),
		TEST(modules_are_sorted_and_found),
		TEST(impossible_modules_are_refused_by_name),
		TEST(a_module_that_is_there_twice_is_refused),
		TEST(numbers_that_are_not_finite_are_refused_by_place),
		TEST(a_number_that_is_not_finite_is_found_wherever_it_is),
		TEST(the_hash_is_of_place_shape_and_numbers),
		TEST(the_hash_follows_the_effect_not_the_labels),
		TEST(a_relabelled_copy_outlives_its_original),
		TEST(tensors_have_pefts_names_and_shapes),
		TEST(a_base_of_another_shape_is_refused_with_both_sizes),
		TEST(every_row_gets_the_adapters_of_its_group),
		TEST(no_group_gives_an_empty_table),
		TEST(a_native_file_keeps_numbers_and_labels),
		TEST(the_same_adapter_gives_the_same_file),
		TEST(a_native_file_that_is_cut_is_refused_with_its_name),
		TEST(other_files_are_refused_by_what_they_are),
		TEST(every_module_is_found_by_its_path),
		TEST(modules_of_all_kinds_come_back_from_a_file),
		TEST(saving_into_a_folder_that_is_not_there_says_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
