/* test-reference.c - the reference's checkpoints give the adapters that the reference writes. */

#define _GNU_SOURCE /* memmem */
#include "tests/unit/golden-models.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/atomic-file.h"
#include "base/file.h"
#include "engine/adapters/adapter.h"
#include "engine/engine.h"
#include "engine/formats/json.h"
#include "engine/hypernet/hypernet.h"
#include "tests/unit/reference-case.h"
#include "tests/unit/temporary-folder.h"

/* golden/hypernet/README.md: of the largest value of a case. */
#define BOUND 5e-6

static const char *const cases[] = { "L_sft", "M_sft", "S_sft_rope", "S_sft_learnpos",
	"Lrow_sft_rope", "Lrow_sft_learnpos", "L_sft_offset", "M_sft_offset_learnable",
	"L_recon_zscore", "S_recon_zscore", "M_recon_deltaw", "M_recon_factorized",
	"M_sft_all7_mistral", "L_sft_all7_llama", "L_sft_onehot", "enc_discrete_M", "enc_vq_M",
	"enc_softmax_S", "norslora_L", "save_bf16_M", "save_f16_S", "save_legacy_M", "save_cuda_M",
	"save_views_M" };

#define N_CASES (sizeof cases / sizeof cases[0])

/* A case of the goldens, opened; its folder's path is CASE_FOLDER. */
struct golden {
	char folder[4096];
	struct t2l_hypernet *hypernet;
	struct safetensors *values;
	cJSON *facts;
	double largest;
};

static struct golden
open_case(const char *name)
{
	struct golden golden = { .hypernet = NULL };
	struct t2l_error err = { 0 };

	need_reference(name, "hypermod.pt");
	find_reference_case(name, golden.folder, sizeof golden.folder);
	assert_ok(t2l_hypernet_open(engine, golden.folder, &golden.hypernet, &err));
	assert_ok(
	    safetensors_open(need_reference(name, "golden.safetensors"), &golden.values, &err));
	assert_ok(json_open(need_reference(name, "golden.json"), 1 << 20, &golden.facts, &err));
	golden.largest = cJSON_GetObjectItem(golden.facts, "max_abs_value")->valuedouble;
	return golden;
}

static void
close_case(struct golden *golden)
{
	t2l_hypernet_close(golden->hypernet);
	safetensors_close(golden->values);
	cJSON_Delete(golden->facts);
}

/* The largest difference between adapter TASK and the case's A.m [n, N, r, in], B.m [n, N, out, r].
 */
static double
adapter_error(const struct golden *golden, const struct t2l_adapter *adapter, int64_t task)
{
	double largest = 0;

	for (size_t i = 0; i < adapter->n_modules; i++) {
		const struct adapter_module *module = &adapter->modules[i];
		const int64_t rank = module->rank, out = tensor_cols(&module->bt);
		const float *a, *b;
		char name[64];
		size_t n;

		snprintf(name, sizeof name, "A.%s", module_name(module->module));
		a = golden_floats(golden->values, name, NULL);
		a += (task * adapter->facts.n_layers + module->layer) * tensor_count(&module->a);
		n = (size_t)tensor_count(&module->a);
		largest = fmax(largest, largest_difference(tensor_f32(&module->a), a, n));
		snprintf(name, sizeof name, "B.%s", module_name(module->module));
		b = golden_floats(golden->values, name, NULL);
		b += (task * adapter->facts.n_layers + module->layer) * rank * out;
		for (int64_t r = 0; r < rank; r++)
			for (int64_t o = 0; o < out; o++)
				largest = fmax(
				    largest, fabs((double)tensor_f32(&module->bt)[r * out + o] -
						  (double)b[o * rank + r]));
	}
	return largest;
}

/* Of all tasks of a case, from its embeddings. */
static double
hypernet_error(const struct golden *golden, struct t2l_hypernet *hypernet)
{
	const struct tensor embeddings = golden_tensor(golden->values, "task_emb");
	struct t2l_adapter *adapters[16];
	size_t n = (size_t)embeddings.shape[0];
	struct t2l_error err = { 0 };
	double largest = 0;

	assert_true(n <= 16);
	assert_int_equal(embeddings.shape[1], t2l_hypernet_facts(hypernet)->embedding_size);
	assert_ok(
	    t2l_hypernet_generate_many(hypernet, tensor_f32(&embeddings), NULL, n, adapters, &err));
	for (size_t i = 0; i < n; i++) {
		largest = fmax(largest, adapter_error(golden, adapters[i], (int64_t)i));
		t2l_adapter_close(adapters[i]);
	}
	return largest;
}

/* Runs on every case that is here; skips when none is. */
static void
for_each_case(void (*check)(const char *name, struct golden *golden))
{
	size_t n = 0;

	for (size_t i = 0; i < N_CASES; i++) {
		struct golden golden;

		if (!find_reference_case(cases[i], golden.folder, sizeof golden.folder))
			continue;
		golden = open_case(cases[i]);
		check(cases[i], &golden);
		close_case(&golden);
		n++;
	}
	if (n == 0)
		skip();
}

static void
check_numbers(const char *name, struct golden *golden)
{
	double error = hypernet_error(golden, golden->hypernet);

	if (!(error <= BOUND * golden->largest))
		fail_msg(
		    "%s: off by %g where the largest value is %g", name, error, golden->largest);
}

static void
adapters_are_the_references(void **state)
{
	(void)state;
	for_each_case(check_numbers);
}

static void
check_order(const char *name, struct golden *golden)
{
	const char *found = t2l_hypernet_facts(golden->hypernet)->modules;
	const cJSON *item;
	char expected[256] = "";

	cJSON_ArrayForEach(item, cJSON_GetObjectItem(golden->facts, "module_order"))
	{
		if (expected[0] != '\0')
			strcat(expected, ",");
		strcat(expected, item->valuestring);
	}
	if (strcmp(found, expected) != 0)
		fail_msg("%s: modules %s, not %s", name, found, expected);
}

static void
modules_keep_the_order_of_the_heads(void **state)
{
	(void)state;
	for_each_case(check_order);
}

/* ---- what is written ---- */

static bool
same_set(const cJSON *a, const cJSON *b)
{
	const cJSON *x, *y;

	if (cJSON_GetArraySize(a) != cJSON_GetArraySize(b))
		return false;
	cJSON_ArrayForEach(x, a)
	{
		bool found = false;

		cJSON_ArrayForEach(y, b) found =
		    found || strcmp(x->valuestring, y->valuestring) == 0;
		if (!found)
			return false;
	}
	return true;
}

/* All that decides what the adapter does; the reference's file has the dropout of its training. */
static void
assert_same_config(const char *name, const char *written, const char *expected)
{
	static const char *const keys[] = { "peft_type", "task_type", "r", "lora_alpha",
		"use_rslora", "base_model_name_or_path", "bias", "fan_in_fan_out", "use_dora",
		"rank_pattern", "alpha_pattern", "modules_to_save", "layers_to_transform" };
	struct t2l_error err = { 0 };
	cJSON *ours, *theirs;

	assert_ok(json_open(written, 1 << 20, &ours, &err));
	assert_ok(json_open(expected, 1 << 20, &theirs, &err));
	for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
		if (!cJSON_Compare(cJSON_GetObjectItem(ours, keys[i]),
			cJSON_GetObjectItem(theirs, keys[i]), true))
			fail_msg("%s: '%s' differs", name, keys[i]);
	assert_true(same_set(cJSON_GetObjectItem(ours, "target_modules"),
	    cJSON_GetObjectItem(theirs, "target_modules")));
	cJSON_Delete(ours);
	cJSON_Delete(theirs);
}

static void
check_files(const char *name, struct golden *golden)
{
	const struct tensor embeddings = golden_tensor(golden->values, "task_emb");
	struct safetensors *written, *expected;
	struct t2l_adapter *adapter;
	struct t2l_error err = { 0 };
	char path[4200];
	double scaling = cJSON_GetObjectItem(golden->facts, "scaling")->valuedouble;

	snprintf(path, sizeof path, "%s/adapter/adapter_config.json", golden->folder);
	if (access(path, R_OK) != 0)
		return;
	assert_ok(t2l_hypernet_generate(
	    golden->hypernet, tensor_f32(&embeddings), "a task", &adapter, &err));
	assert_float_equal(t2l_adapter_facts(adapter)->scale, scaling, 1e-6 * scaling);
	assert_ok(t2l_adapter_export_peft(adapter, in_folder("peft"), NULL, &err));
	assert_same_config(name, in_folder("peft/adapter_config.json"), path);
	snprintf(path, sizeof path, "%s/adapter/adapter_model.safetensors", golden->folder);
	assert_ok(safetensors_open(path, &expected, &err));
	assert_ok(safetensors_open(in_folder("peft/adapter_model.safetensors"), &written, &err));
	assert_int_equal(safetensors_count(written), safetensors_count(expected));
	for (size_t i = 0; i < safetensors_count(written); i++) {
		const struct safetensors_entry *a = safetensors_at(written, i);
		const struct safetensors_entry *b = safetensors_at(expected, i);

		assert_string_equal(a->name, b->name);
		assert_string_equal(a->dtype_text, b->dtype_text);
		assert_int_equal(a->n_bytes, b->n_bytes);
		assert_memory_equal(a->shape, b->shape, 2 * sizeof a->shape[0]);
		assert_near(tensor_f32(&(struct tensor){ .data = (void *)a->bytes }),
		    (const float *)b->bytes, a->n_bytes / sizeof(float), BOUND * golden->largest,
		    a->name);
	}
	safetensors_close(written);
	safetensors_close(expected);
	unlink(in_folder("peft/adapter_config.json"));
	unlink(in_folder("peft/adapter_model.safetensors"));
	rmdir(in_folder("peft"));
	t2l_adapter_close(adapter);
}

static void
the_adapter_on_disk_is_the_one_the_reference_writes(void **state)
{
	(void)state;
	for_each_case(check_files);
}

static void
check_conversion(const char *name, struct golden *golden)
{
	struct hypernet_network *network;
	struct hypernet_origin origin;
	struct t2l_hypernet *own;
	struct t2l_error err = { 0 };
	char fingerprint[65];
	double error;

	assert_ok(hypernet_load(golden->folder, &network, &origin, fingerprint, &err));
	assert_ok(hypernet_save(network, &origin, DTYPE_F32, in_folder("own.safetensors"), &err));
	hypernet_free(network);
	assert_ok(t2l_hypernet_open(engine, in_folder("own.safetensors"), &own, &err));
	error = hypernet_error(golden, own);
	if (!(error <= BOUND * golden->largest))
		fail_msg("%s: converted, it is off by %g", name, error);
	assert_string_equal(
	    t2l_hypernet_facts(own)->base_name, t2l_hypernet_facts(golden->hypernet)->base_name);
	assert_string_equal(t2l_hypernet_facts(own)->encoder_name,
	    t2l_hypernet_facts(golden->hypernet)->encoder_name);
	t2l_hypernet_close(own);
}

static void
our_own_file_of_a_checkpoint_makes_the_same_adapters(void **state)
{
	(void)state;
	for_each_case(check_conversion);
}

/* ---- what does not belong together ---- */

#define CASE "save_f16_S"

static void
copy_from(const char *of_case, const char *file, const char *name)
{
	size_t n;
	char *bytes = read_whole_file(need_reference(of_case, file), 1 << 24, &n);

	assert_non_null(bytes);
	assert_int_equal(atomic_write(in_folder(name), bytes, n), 0);
	free(bytes);
}

static void
copy_file(const char *file, const char *name)
{
	copy_from(CASE, file, name);
}

/* Copies FROM to NAME with the first OLD text replaced by one of the same or another length. */
static void
copy_changed(const char *name, const char *old, const char *new)
{
	size_t n;
	char *text = read_whole_file(need_reference(CASE, name), 1 << 24, &n), *at, *changed;

	assert_non_null(text);
	at = strstr(text, old);
	assert_non_null(at);
	changed = malloc(n + strlen(new) + 1);
	sprintf(changed, "%.*s%s%s", (int)(at - text), text, new, at + strlen(old));
	assert_int_equal(atomic_write(in_folder(name), changed, strlen(changed)), 0);
	free(changed);
	free(text);
}

static void
copy_case(void)
{
	copy_file("hypermod.pt", "hypermod.pt");
	copy_file("args.yaml", "args.yaml");
	copy_file("adapter_config.json", "adapter_config.json");
}

static void
what_does_not_belong_together_is_named_with_its_key(void **state)
{
	static const struct {
		const char *file, *old, *new;
		enum t2l_status status;
		const char *key;
	} rows[] = {
		{ "args.yaml", "shared_AB_head: true", "shared_AB_head: false", T2L_EMISMATCH,
		    "shared_AB_head" },
		{ "args.yaml", "autoreg_gen: true", "autoreg_gen: false", T2L_EMISMATCH,
		    "autoreg_gen" },
		{ "args.yaml", "learnable_pos_emb: false", "learnable_pos_emb: true", T2L_EMISMATCH,
		    "learnable_pos_emb" },
		{ "args.yaml", "hypernet_latent_size: 32", "hypernet_latent_size: 64",
		    T2L_EMISMATCH, "hypernet_latent_size" },
		{ "args.yaml", "head_in_size: 32", "head_in_size: 48", T2L_EMISMATCH,
		    "head_in_size" },
		{ "args.yaml", "head_in_size: 32", "head_in_size: many", T2L_EFORMAT,
		    "head_in_size" },
		{ "args.yaml", "training_task: sft", "training_task: rl", T2L_EUNSUPPORTED,
		    "training_task" },
		{ "args.yaml", "training_task: sft", "training_task: recon", T2L_EUNSUPPORTED,
		    "pred_z_score" },
		{ "args.yaml", "use_one_hot_task_emb: false", "use_one_hot_task_emb: true",
		    T2L_EMISMATCH, "train_ds_names" },
		{ "args.yaml", "lr:", "  lr: [", T2L_EFORMAT, "args.yaml:" },
		{ "adapter_config.json", "\"r\": 4", "\"r\": 8", T2L_EMISMATCH, "'r'" },
		{ "adapter_config.json", "\"r\": 4,", "", T2L_EFORMAT, "'r'" },
		{ "adapter_config.json", "\"lora_alpha\": 8", "\"lora_alpha\": null", T2L_EFORMAT,
		    "lora_alpha" },
		{ "adapter_config.json", "\"v_proj\"", "\"k_proj\"", T2L_EMISMATCH, "v_proj" },
		{ "adapter_config.json", "\"v_proj\"", "\"v_proj\", \"o_proj\"", T2L_EMISMATCH,
		    "o_proj" },
		{ "adapter_config.json", "\"v_proj\"", "\"unknown_proj\"", T2L_EUNSUPPORTED,
		    "unknown_proj" },
		{ "adapter_config.json", "{", "", T2L_EFORMAT, "adapter_config.json" },
		{ "adapter_config.json", "\"use_dora\": false", "\"use_dora\": true",
		    T2L_EUNSUPPORTED, "DoRA" },
		{ "adapter_config.json", "\"alpha_pattern\": {}",
		    "\"alpha_pattern\": {\"q_proj\": 3}", T2L_EUNSUPPORTED, "alpha_pattern" },
	};
	struct t2l_hypernet *hypernet = NULL;
	struct t2l_error err;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		copy_case();
		copy_changed(rows[i].file, rows[i].old, rows[i].new);
		assert_fails(t2l_hypernet_open(engine, temporary_folder, &hypernet, &err),
		    rows[i].status, rows[i].key);
		assert_non_null(strstr(err.message, rows[i].file));
	}
	assert_null(hypernet);
}

/* Keys of the pickle changed in place: as many bytes, so that nothing else moves. The zip's check
 * sum would notice, so this is the old form, which has none. */
static void
missing_and_extra_keys_are_named(void **state)
{
	static const struct {
		const char *old, *new, *named;
	} rows[] = {
		{ "mlp1.mlp.4.bias", "mlp1.mlp.4.bias", NULL },
		{ "mlp1.mlp.4.bias", "mlp1.mlp.5.bias", "mlp1.mlp.4.bias" },
		{ "mixer.1.weight", "mixer.2.weight", "mixer.1.weight" },
		{ "AB_offset.A.v_proj", "AB_offset.A.x_proj", "AB_offset.A.v_proj" },
		{ "std_recon_target.B.v_proj", "std_recon_target.C.v_proj",
		    "std_recon_target.C.v_proj" },
		{ "heads.q_proj.weight", "heads.z_proj.weight", "heads.z_proj.weight" },
	};
	size_t n;
	char *bytes = read_whole_file(need_reference("save_legacy_M", "hypermod.pt"), 1 << 24, &n);
	struct t2l_hypernet *hypernet = NULL;
	struct t2l_error err;

	(void)state;
	assert_non_null(bytes);
	copy_from("save_legacy_M", "args.yaml", "args.yaml");
	copy_from("save_legacy_M", "adapter_config.json", "adapter_config.json");
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		size_t length = strlen(rows[i].old);
		char *at = memmem(bytes, n, rows[i].old, length);

		assert_non_null(at);
		memcpy(at, rows[i].new, length);
		assert_int_equal(atomic_write(in_folder("hypermod.pt"), bytes, n), 0);
		memcpy(at, rows[i].old, length);
		memset(&err, 0, sizeof err);
		if (rows[i].named == NULL) {
			assert_ok(t2l_hypernet_open(engine, temporary_folder, &hypernet, &err));
			t2l_hypernet_close(hypernet);
			hypernet = NULL;
			continue;
		}
		assert_int_not_equal(
		    t2l_hypernet_open(engine, temporary_folder, &hypernet, &err), T2L_OK);
		if (strstr(err.message, rows[i].named) == NULL ||
		    strstr(err.message, "hypermod.pt") == NULL)
			fail_msg("'%s' lacks '%s'", err.message, rows[i].named);
	}
	assert_null(hypernet);
	free(bytes);
}

static void
files_that_are_missing_or_cut_are_named(void **state)
{
	struct t2l_hypernet *hypernet = NULL;
	struct t2l_error err;
	size_t n;
	char *bytes;

	(void)state;
	assert_fails(t2l_hypernet_open(engine, temporary_folder, &hypernet, &err), T2L_ENOENT,
	    "hypermod.pt");
	copy_file("hypermod.pt", "hypermod.pt");
	assert_fails(
	    t2l_hypernet_open(engine, temporary_folder, &hypernet, &err), T2L_ENOENT, "args.yaml");
	copy_file("args.yaml", "args.yaml");
	assert_fails(t2l_hypernet_open(engine, temporary_folder, &hypernet, &err), T2L_ENOENT,
	    "adapter_config.json");
	copy_file("adapter_config.json", "adapter_config.json");
	assert_int_equal(
	    t2l_hypernet_open(engine, in_folder("hypermod.pt"), &hypernet, &err), T2L_OK);
	t2l_hypernet_close(hypernet);
	hypernet = NULL;
	bytes = read_whole_file(in_folder("hypermod.pt"), 1 << 24, &n);
	for (size_t cut = 0; cut < n; cut += n / 20) {
		assert_int_equal(atomic_write(in_folder("hypermod.pt"), bytes, cut), 0);
		memset(&err, 0, sizeof err);
		assert_int_not_equal(
		    t2l_hypernet_open(engine, temporary_folder, &hypernet, &err), T2L_OK);
		assert_non_null(strstr(err.message, "hypermod.pt"));
	}
	assert_null(hypernet);
	free(bytes);
}

/* A run in progress: RUN/checkpoints/it_5/hypermod.pt, the rest in RUN. */
static void
a_checkpoint_of_a_run_finds_its_files_above(void **state)
{
	struct t2l_hypernet *hypernet = NULL;
	struct t2l_error err = { 0 };

	(void)state;
	assert_int_equal(mkdir(in_folder("checkpoints"), 0777), 0);
	assert_int_equal(mkdir(in_folder("checkpoints/it_5"), 0777), 0);
	copy_file("hypermod.pt", "checkpoints/it_5/hypermod.pt");
	copy_file("args.yaml", "args.yaml");
	copy_file("adapter_config.json", "adapter_config.json");
	assert_ok(t2l_hypernet_open(engine, in_folder("checkpoints/it_5"), &hypernet, &err));
	t2l_hypernet_close(hypernet);
	unlink(in_folder("checkpoints/it_5/hypermod.pt"));
	rmdir(in_folder("checkpoints/it_5"));
	rmdir(in_folder("checkpoints"));
}

static void
one_hot_checkpoints_take_no_description(void **state)
{
	struct golden golden;
	struct t2l_error err;
	float out[16];

	(void)state;
	golden = open_case("L_sft_onehot");
	assert_fails(t2l_hypernet_embed(golden.hypernet, NULL, "sort the words", out, &err),
	    T2L_EINVAL, "--embedding");
	assert_fails(t2l_hypernet_check_describable(golden.hypernet, &err), T2L_EINVAL, "one-hot");
	close_case(&golden);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(adapters_are_the_references),
		cmocka_unit_test(modules_keep_the_order_of_the_heads),
		cmocka_unit_test_setup_teardown(the_adapter_on_disk_is_the_one_the_reference_writes,
		    make_temporary_folder, remove_temporary_folder),
		cmocka_unit_test_setup_teardown(
		    our_own_file_of_a_checkpoint_makes_the_same_adapters, make_temporary_folder,
		    remove_temporary_folder),
		cmocka_unit_test_setup_teardown(what_does_not_belong_together_is_named_with_its_key,
		    make_temporary_folder, remove_temporary_folder),
		cmocka_unit_test_setup_teardown(missing_and_extra_keys_are_named,
		    make_temporary_folder, remove_temporary_folder),
		cmocka_unit_test_setup_teardown(files_that_are_missing_or_cut_are_named,
		    make_temporary_folder, remove_temporary_folder),
		cmocka_unit_test_setup_teardown(a_checkpoint_of_a_run_finds_its_files_above,
		    make_temporary_folder, remove_temporary_folder),
		cmocka_unit_test(one_hot_checkpoints_take_no_description),
	};

	return cmocka_run_group_tests(tests, open_engine, close_engine);
}
