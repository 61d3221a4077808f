/* test-export.c - adapters out and in: golden files byte by byte, every format into every other. */
#include "tests/unit/golden-tensors.h"

#include <dirent.h>
#include <sys/stat.h>

#include "base/file.h"
#include "engine/adapters/difference.h"
#include "engine/adapters/row-order.h"
#include "engine/formats/ggml.h"
#include "engine/formats/gguf.h"
#include "tests/unit/adapter-fixture.h"

#define TASK                                                                                       \
	"Translate English to Spanish \xe2\x80\x94 na\xc3\xafve \xe2\x80\x9ctest\xe2\x80\x9d "     \
	"\xf0\x9f\x98\x80"
#define HEAD_DIM 16 /* of golden/export's and golden/models' llama */

static struct t2l_adapter *
open_path(const char *path)
{
	struct t2l_error err = { 0 };
	struct t2l_adapter *adapter = NULL;

	assert_ok(t2l_adapter_open(path, &adapter, &err));
	return adapter;
}

static struct t2l_adapter *
open_peft(const char *relative)
{
	return open_path(need_golden_folder(relative, "adapter_config.json"));
}

static const char *
export_as(const struct t2l_adapter *adapter, const char *name, struct t2l_export_options options,
    struct t2l_export_report *report)
{
	const char *path = in_folder(name);
	struct t2l_error err = { 0 };

	assert_ok(t2l_adapter_export(adapter, path, &options, report, &err));
	return path;
}

static void
assert_same_bytes(const char *path, const char *expected_path)
{
	size_t n, expected_n;
	char *bytes = read_whole_file(path, 1 << 24, &n);
	char *expected = read_whole_file(expected_path, 1 << 24, &expected_n);

	assert_int_equal(n, expected_n);
	assert_memory_equal(bytes, expected, n);
	free(bytes);
	free(expected);
}

static double
effect_difference(const struct t2l_adapter *a, const struct t2l_adapter *b)
{
	struct adapter_difference difference;
	struct t2l_error err = { 0 };

	assert_ok(adapter_difference(a, b, NULL, NULL, &difference, &err));
	return difference.relative;
}

/* ---- GGML ---- */

static void
ggml_is_the_specification_byte_by_byte(void **state)
{
	static const struct {
		const char *adapter, *precision;
	} files[] = {
		{ "qv-r8", "fp32" },
		{ "qv-r8", "fp16" },
		{ "qv-r8", "int8" },
		{ "qv-r8", "q4_0" },
		{ "all-rslora", "fp32" },
		{ "patterns", "fp16" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
		struct t2l_adapter *adapter, *labelled;
		char relative[128];

		snprintf(relative, sizeof relative, "export/peft/%s", files[i].adapter);
		adapter = open_peft(relative);
		assert_int_equal(
		    t2l_adapter_relabel(adapter, "golden", TASK, &labelled, NULL), T2L_OK);
		snprintf(relative, sizeof relative, "export/ggml/%s.%s.ggml", files[i].adapter,
		    files[i].precision);
		assert_same_bytes(export_as(labelled, "x.ggml",
				      (struct t2l_export_options){ .format = "ggml",
					  .precision = files[i].precision,
					  .target_model = "base-llama" },
				      NULL),
		    need_golden(relative));
		t2l_adapter_close(labelled);
		t2l_adapter_close(adapter);
	}
}

static void
a_ggml_file_gives_back_the_very_adapter(void **state)
{
	static const char *const names[] = { "qv-r8", "all-rslora" };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct t2l_adapter *peft, *ggml;
		char relative[128];

		snprintf(relative, sizeof relative, "export/peft/%s", names[i]);
		peft = open_peft(relative);
		snprintf(relative, sizeof relative, "export/ggml/%s.fp32.ggml", names[i]);
		ggml = open_path(need_golden(relative));
		assert_string_equal(ggml->facts.hash, peft->facts.hash);
		assert_string_equal(ggml->facts.format, "ggml");
		assert_string_equal(ggml->facts.task, TASK);
		assert_true(ggml->facts.use_rslora == peft->facts.use_rslora);
		t2l_adapter_close(peft);
		t2l_adapter_close(ggml);
	}
}

static void
every_damaged_ggml_adapter_is_refused(void **state)
{
	const char *folder = need_golden_folder("export/ggml-corrupt", "GOOD.ggml");
	struct t2l_adapter *adapter = NULL;
	struct dirent *entry;
	DIR *open = opendir(folder);
	char path[4600];
	int n = 0;

	(void)state;
	while ((entry = readdir(open)) != NULL) {
		const char *dot = strrchr(entry->d_name, '.');
		struct t2l_error err;

		if (dot == NULL || strcmp(dot, ".ggml") != 0)
			continue;
		snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
		if (strcmp(entry->d_name, "GOOD.ggml") == 0) {
			t2l_adapter_close(open_path(path));
			continue;
		}
		n++;
		if (t2l_adapter_open(path, &adapter, &err) == T2L_OK)
			fail_msg("%s was read", entry->d_name);
	}
	closedir(open);
	assert_int_equal(n, 88);
}

/* ---- GGUF ---- */

/* Tensors of both files are equal within BOUND, and so is alpha. */
static void
compare_gguf(const char *path, const char *expected_path, double bound)
{
	struct gguf *ours = NULL, *golden = NULL;
	double alpha = -1, expected_alpha = -2;
	struct t2l_error err = { 0 };

	assert_ok(gguf_open(path, &ours, &err));
	assert_ok(gguf_open(expected_path, &golden, &err));
	assert_ok(gguf_number(ours, "adapter.lora.alpha", true, &alpha, &err));
	assert_ok(gguf_number(golden, "adapter.lora.alpha", true, &expected_alpha, &err));
	assert_true(alpha == expected_alpha);
	assert_int_equal(gguf_count(ours), gguf_count(golden));
	for (size_t i = 0; i < gguf_count(golden); i++) {
		const struct gguf_entry *expected = gguf_at(golden, i);
		const struct gguf_entry *entry = gguf_find(ours, expected->name);

		assert_non_null(entry);
		assert_int_equal(entry->dtype, expected->dtype);
		assert_int_equal(entry->n_bytes, expected->n_bytes);
		assert_memory_equal(entry->shape, expected->shape, 2 * sizeof *entry->shape);
		assert_near(entry->bytes, expected->bytes, entry->n_bytes / sizeof(float), bound,
		    entry->name);
	}
	gguf_close(ours);
	gguf_close(golden);
}

static void
gguf_is_what_llama_cpp_loads(void **state)
{
	static const struct {
		const char *adapter, *golden;
		double bound;
	} files[] = {
		{ "export/peft/qv-r8", "export/gguf-lora/qv-r8-f32.gguf", 0 },
		{ "export/peft/all-rslora", "export/gguf-lora/all-rslora-right-alpha-f32.gguf", 0 },
		{ "models/llama2/adapters/all", "models/gguf/lora-all.gguf", 0 },
		{ "models/llama2/adapters/rslora", "models/gguf/lora-rslora-correct.gguf", 0 },
		{ "models/llama2/adapters/t2l", "models/gguf/lora-t2l-correct.gguf", 0 },
		{ "models/llama2/adapters/patterns", "models/gguf/lora-patterns-correct.gguf",
		    1e-6 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
		struct t2l_adapter *adapter = open_peft(files[i].adapter);

		compare_gguf(
		    export_as(adapter, "x.gguf",
			(struct t2l_export_options){ .format = "gguf", .head_dim = HEAD_DIM },
			NULL),
		    need_golden(files[i].golden), files[i].bound);
		t2l_adapter_close(adapter);
	}
}

static void
the_base_tells_architecture_and_heads(void **state)
{
	struct t2l_adapter *adapter = open_peft("export/peft/qv-r8");
	struct t2l_error err = { 0 };

	(void)state;
	compare_gguf(export_as(adapter, "x.gguf",
			 (struct t2l_export_options){ .format = "gguf",
			     .base_model = need_golden_folder("export/base-llama", "config.json") },
			 NULL),
	    need_golden("export/gguf-lora/qv-r8-f32.gguf"), 0);
	assert_fails(t2l_adapter_export(adapter, in_folder("y.gguf"),
			 &(struct t2l_export_options){ .format = "gguf" }, NULL, &err),
	    T2L_EINVAL, "give the base");
	assert_fails(
	    t2l_adapter_export(adapter, in_folder("y.gguf"),
		&(struct t2l_export_options){ .format = "gguf", .head_dim = 48 }, NULL, &err),
	    T2L_EMISMATCH, "heads of 48");
	assert_int_equal(files_in_folder(), 1);
	t2l_adapter_close(adapter);
}

/* The converter's files do not tell the size of a head: their rows stay as they are until a base
 * says, and then the adapter is PEFT's to the last bit. */
static void
a_converters_gguf_is_the_peft_adapter_in_another_order(void **state)
{
	struct t2l_adapter *peft = open_peft("export/peft/qv-r8");
	struct t2l_adapter *gguf = open_path(need_golden("export/gguf-lora/qv-r8-f32.gguf"));
	struct t2l_adapter *ordered = NULL, *saved;
	struct t2l_error err = { 0 };

	(void)state;
	assert_true(gguf->facts.gguf_rows);
	assert_non_null(strstr(gguf->facts.note, "rsLoRA"));
	assert_true(effect_difference(peft, gguf) > 0.1);
	assert_ok(adapter_reorder(gguf, false, HEAD_DIM, &ordered, &err));
	assert_true(effect_difference(peft, ordered) == 0);
	t2l_adapter_close(ordered);
	/* Saved natively the order is kept and known. */
	assert_ok(t2l_adapter_save(gguf, in_folder("x.safetensors"), &err));
	saved = open_path(in_folder("x.safetensors"));
	assert_true(saved->facts.gguf_rows);
	assert_string_equal(saved->facts.hash, gguf->facts.hash);
	assert_string_not_equal(saved->facts.hash, peft->facts.hash);
	t2l_adapter_close(saved);
	assert_fails(t2l_adapter_export(gguf, in_folder("peft"),
			 &(struct t2l_export_options){ .format = "peft" }, NULL, &err),
	    T2L_EINVAL, "GGUF's order");
	saved = open_path(export_as(gguf, "peft",
	    (struct t2l_export_options){ .format = "peft", .head_dim = HEAD_DIM }, NULL));
	assert_string_equal(saved->facts.hash, peft->facts.hash);
	t2l_adapter_close(saved);
	t2l_adapter_close(gguf);
	t2l_adapter_close(peft);
}

static void
a_gguf_of_ours_gives_back_the_very_adapter(void **state)
{
	struct t2l_adapter *peft = open_peft("export/peft/all-rslora");
	struct t2l_adapter *gguf = open_path(export_as(peft, "x.gguf",
	    (struct t2l_export_options){ .format = "gguf", .head_dim = HEAD_DIM }, NULL));

	(void)state;
	assert_string_equal(gguf->facts.hash, peft->facts.hash);
	assert_true(gguf->facts.use_rslora && !gguf->facts.gguf_rows);
	assert_string_equal(gguf->facts.note, "");
	t2l_adapter_close(gguf);
	t2l_adapter_close(peft);
}

/* On an HF base and on a GGUF base alike. */
static void
logits_of_a_gguf_lora_are_pefts(void **state)
{
	static const char *const bases[] = { "models/llama2", "models/gguf/llama2-f16.gguf" };
	struct t2l_adapter *lora = open_path(need_golden("models/gguf/lora-all.gguf"));
	struct t2l_adapter *peft = open_peft("models/llama2/adapters/all");
	struct safetensors *golden =
	    open_golden("models/llama2/adapters/all/adapter_golden.safetensors");
	const struct t2l_engine_options options = { .precise = true, .n_threads = 1 };
	size_t n_ids, n_logits;
	int32_t *ids = golden_ids(golden, "tokens_a", &n_ids);
	const float *expected = golden_floats(golden, "logits_a", &n_logits);
	float *logits = malloc(n_logits * sizeof *logits),
	      *by_peft = malloc(n_logits * sizeof *by_peft);
	double *logprobs = malloc(n_ids * sizeof *logprobs);
	struct t2l_engine *engine = NULL;
	struct t2l_error err = { 0 };
	const float one = 1;

	(void)state;
	assert_ok(t2l_engine_open(&options, &engine, &err));
	for (size_t i = 0; i < 2; i++) {
		const char *path =
		    i == 0 ? need_golden_folder(bases[i], "config.json") : need_golden(bases[i]);
		struct t2l_model *model = NULL;

		assert_ok(t2l_model_open(engine, path, &model, &err));
		assert_ok(t2l_score(model, (const struct t2l_adapter *const *)&lora, &one, 1, ids,
		    n_ids, logprobs, logits, &err));
		assert_ok(t2l_score(model, (const struct t2l_adapter *const *)&peft, &one, 1, ids,
		    n_ids, logprobs, by_peft, &err));
		assert_near(logits, by_peft, n_logits, 1e-4, bases[i]);
		if (i == 0)
			assert_near(logits, expected, n_logits, 1e-3, bases[i]);
		t2l_model_close(model);
	}
	t2l_engine_close(engine);
	free(ids);
	free(logits);
	free(by_peft);
	free(logprobs);
	safetensors_close(golden);
	t2l_adapter_close(lora);
	t2l_adapter_close(peft);
}

/* ---- MLX and Kohya ---- */

static void
mlx_tensors_are_transposed_and_the_scale_is_told(void **state)
{
	struct t2l_adapter *peft = open_peft("export/peft/qv-r8");
	const char *directory =
	    export_as(peft, "mlx", (struct t2l_export_options){ .format = "mlx" }, NULL);
	struct safetensors *st = NULL;
	struct t2l_adapter *read;
	struct t2l_error err = { 0 };
	struct tensor a, b;
	char path[600], *config;

	(void)state;
	snprintf(path, sizeof path, "%s/adapters.safetensors", directory);
	assert_ok(safetensors_open(path, &st, &err));
	a = golden_tensor(st, "model.layers.1.self_attn.v_proj.lora_a");
	b = golden_tensor(st, "model.layers.1.self_attn.v_proj.lora_b");
	const struct adapter_module *v = adapter_find(peft, 1, MODULE_V, MODULE_NO_EXPERT);

	assert_true(a.shape[0] == 64 && a.shape[1] == 8 && b.shape[0] == 8 && b.shape[1] == 32);
	for (int64_t i = 0; i < 64; i++)
		for (int64_t r = 0; r < 8; r++)
			assert_true(tensor_f32(&a)[i * 8 + r] == tensor_f32(&v->a)[r * 64 + i]);
	assert_memory_equal(b.data, v->bt.data, 8 * 32 * sizeof(float));
	snprintf(path, sizeof path, "%s/adapter_config.json", directory);
	config = read_whole_file(path, 1 << 20, NULL);
	assert_non_null(strstr(config, "\"scale\":\t2,"));
	assert_non_null(strstr(config, "\"num_layers\":\t-1"));
	assert_non_null(strstr(config, "\"self_attn.q_proj\", \"self_attn.v_proj\""));
	free(config);
	read = open_path(directory);
	assert_string_equal(read->facts.format, "mlx");
	assert_string_equal(read->facts.hash, peft->facts.hash);
	t2l_adapter_close(read);
	t2l_adapter_close(peft);
	safetensors_close(st);
}

struct stored {
	const char *name;
	int64_t rows, cols; /* rows 0: a scalar */
	float value;
};

static const char *
write_safetensors(const char *name, const struct stored *tensors, size_t n)
{
	struct safetensors_writer *writer = safetensors_writer_new(8);
	const char *path = in_folder(name);

	for (size_t i = 0; i < n; i++)
		safetensors_writer_declare(writer, tensors[i].name, DTYPE_F32,
		    tensors[i].rows > 0 ? 2 : 0,
		    (const int64_t[]){ tensors[i].rows, tensors[i].cols });
	assert_int_equal(safetensors_writer_begin(writer, path, NULL), T2L_OK);
	for (size_t i = 0; i < n; i++)
		for (int64_t j = 0;
		     j < (tensors[i].rows > 0 ? tensors[i].rows * tensors[i].cols : 1); j++)
			safetensors_writer_bytes(writer, &tensors[i].value, 4, NULL);
	assert_int_equal(safetensors_writer_finish(writer, NULL), T2L_OK);
	safetensors_writer_free(writer);
	return path;
}

static void
kohyas_names_are_read_where_they_are_plain(void **state)
{
	static const struct stored plain[] = {
		{ "lora_te_model_layers_0_self_attn_q_proj.alpha", 0, 0, 6 },
		{ "lora_te_model_layers_0_self_attn_q_proj.lora_down.weight", 2, 12, 0.5F },
		{ "lora_te_model_layers_0_self_attn_q_proj.lora_up.weight", 8, 2, 0.25F },
		{ "lora_te_model_layers_10_mlp_down_proj.lora_down.weight", 3, 20, 1 },
		{ "lora_te_model_layers_10_mlp_down_proj.lora_up.weight", 12, 3, 2 },
	};
	static const struct stored image[] = {
		{ "lora_unet_input_blocks_0_attn1_to_q.lora_down.weight", 2, 12, 1 },
		{ "lora_unet_input_blocks_0_attn1_to_q.lora_up.weight", 8, 2, 1 },
	};
	static const struct stored mixed[] = {
		{ "a_layers_0_self_attn_q_proj.lora_down.weight", 2, 12, 1 },
		{ "b_layers_0_self_attn_q_proj.lora_up.weight", 8, 2, 1 },
	};
	struct t2l_adapter *adapter = open_path(write_safetensors("k.safetensors", plain, 5));
	struct t2l_error err = { 0 };

	(void)state;
	assert_string_equal(adapter->facts.format, "kohya");
	assert_int_equal(adapter->n_modules, 2);
	assert_int_equal(adapter->modules[1].layer, 10);
	assert_true(adapter->modules[0].scale == 3 && adapter->modules[1].scale == 1);
	assert_true(tensor_cols(&adapter->modules[1].bt) == 12);
	t2l_adapter_close(adapter);
	assert_fails(t2l_adapter_open(write_safetensors("i.safetensors", image, 2), &adapter, &err),
	    T2L_EUNSUPPORTED, "lora_unet");
	assert_fails(t2l_adapter_open(write_safetensors("m.safetensors", mixed, 2), &adapter, &err),
	    T2L_EUNSUPPORTED, "b_layers");
}

/* ---- all formats ---- */

static void
every_format_gives_the_adapter_to_every_other(void **state)
{
	static const char *const sources[] = { "export/peft/qv-r8", "export/peft/all-rslora",
		"export/peft/patterns" };

	(void)state;
	for (size_t s = 0; s < 3; s++) {
		struct t2l_adapter *peft = open_peft(sources[s]);

		for (size_t i = 0; t2l_adapter_format(i) != NULL; i++) {
			const struct t2l_format_facts *first = t2l_adapter_format(i);
			struct t2l_adapter *between;

			if (!first->writes)
				continue;
			between = open_path(export_as(peft, "one",
			    (struct t2l_export_options){ .format = first->name,
				.head_dim = HEAD_DIM,
				.target_model = "base-llama" },
			    NULL));
			for (size_t j = 0; t2l_adapter_format(j) != NULL; j++) {
				const struct t2l_format_facts *second = t2l_adapter_format(j);
				struct t2l_adapter *last;

				if (!second->writes)
					continue;
				last = open_path(export_as(between, "two",
				    (struct t2l_export_options){ .format = second->name,
					.head_dim = HEAD_DIM,
					.target_model = "base-llama" },
				    NULL));
				if (!(effect_difference(peft, last) < 1e-6))
					fail_msg("%s to %s: %g", first->name, second->name,
					    effect_difference(peft, last));
				t2l_adapter_close(last);
				remove_tree(in_folder("two"));
			}
			t2l_adapter_close(between);
			remove_tree(in_folder("one"));
		}
		t2l_adapter_close(peft);
	}
}

/* The error that is told is that of B A formed by hand. */
static void
errors_are_those_of_the_products(void **state)
{
	struct t2l_adapter *peft = open_peft("export/peft/qv-r8"), *read;
	struct t2l_export_report report;
	double largest = 0, squares = 0, norm = 0;
	size_t count = 0;

	(void)state;
	read = open_path(export_as(peft, "x.ggml",
	    (struct t2l_export_options){ .format = "ggml", .precision = "q4_0" }, &report));
	for (size_t m = 0; m < peft->n_modules; m++) {
		const struct adapter_module *x = &peft->modules[m], *y = &read->modules[m];
		int64_t in = tensor_cols(&x->a), out = tensor_cols(&x->bt);

		for (int64_t i = 0; i < out; i++) {
			for (int64_t j = 0; j < in; j++) {
				double given = 0, found = 0;

				for (int64_t r = 0; r < x->rank; r++) {
					given += (double)tensor_f32(&x->bt)[r * out + i] *
						 (double)tensor_f32(&x->a)[r * in + j];
					found += (double)tensor_f32(&y->bt)[r * out + i] *
						 (double)tensor_f32(&y->a)[r * in + j];
				}
				given *= (double)x->scale;
				found *= (double)y->scale;
				largest = fmax(largest, fabs(found - given));
				squares += (found - given) * (found - given);
				norm += given * given;
				count++;
			}
		}
	}
	assert_float_equal(report.max_error / largest, 1, 1e-4);
	assert_float_equal(report.rms_error / sqrt(squares / (double)count), 1, 1e-4);
	assert_float_equal(report.relative_error / sqrt(squares / norm), 1, 1e-4);
	assert_true(report.relative_error > 0.01 && report.relative_error < 0.2);
	assert_non_null(strstr(report.done, "4 of 8 tensors are in fp16"));
	t2l_adapter_close(read);
	t2l_adapter_close(peft);
}

static void
for_inference_the_scale_is_in_b_and_data_is_aligned(void **state)
{
	struct t2l_adapter *peft = open_peft("export/peft/all-rslora"), *read;
	struct t2l_export_report report;
	struct t2l_error err = { 0 };
	struct safetensors *st = NULL;
	struct mapped_file file;
	char path[600];
	uint64_t header;

	(void)state;
	const char *directory = export_as(peft, "p",
	    (struct t2l_export_options){ .format = "peft", .optimize_for = "inference" }, &report);

	snprintf(path, sizeof path, "%s/adapter_model.safetensors", directory);
	assert_int_equal(mapped_file_open(path, &file), 0);
	memcpy(&header, file.bytes, sizeof header);
	assert_int_equal((header + 8) % 64, 0);
	assert_ok(safetensors_open(path, &st, &err));
	for (size_t i = 0; i < safetensors_count(st); i++) /* mapped from a page's start */
		assert_int_equal((uintptr_t)safetensors_at(st, i)->bytes % 64, 0);
	safetensors_close(st);
	mapped_file_close(&file);
	read = open_path(directory);
	for (size_t i = 0; i < read->n_modules; i++)
		assert_true(read->modules[i].scale == 1);
	assert_false(read->facts.use_rslora);
	assert_true(effect_difference(peft, read) < 1e-6);
	assert_non_null(strstr(report.done, "scale is in B"));
	t2l_adapter_close(read);
	t2l_adapter_close(peft);
}

static void
eight_bits_in_peft_are_255_steps_a_row(void **state)
{
	struct t2l_adapter *peft = open_peft("export/peft/qv-r8"), *read;
	struct t2l_export_report report;

	(void)state;
	read = open_path(export_as(peft, "p",
	    (struct t2l_export_options){ .format = "peft", .precision = "int8" }, &report));
	for (int64_t r = 0; r < 8; r++) {
		const float *row = tensor_f32(&read->modules[0].a) + 64 * r;
		double step = 0;

		for (int i = 0; i < 64; i++)
			step = fmax(step, fabs((double)row[i]) / 127);
		for (int i = 0; i < 64; i++) { /* fp16 rounds once more */
			double steps = (double)row[i] / step;

			assert_true(fabs(steps - round(steps)) < 0.07);
		}
	}
	assert_true(report.relative_error > 1e-4 && report.relative_error < 0.02);
	t2l_adapter_close(read);
	t2l_adapter_close(peft);
}

/* ---- hf ---- */

static bool
has(const char *directory, const char *name)
{
	char path[700];

	snprintf(path, sizeof path, "%s/%s", directory, name);
	return access(path, F_OK) == 0;
}

static void
hf_has_seven_files_and_the_base_beside(void **state)
{
	static const char *const seven[] = { "config.json", "adapter_model.safetensors",
		"adapter_config.json", "generation_config.json", "tokenizer_config.json",
		"special_tokens_map.json", "README.md" };
	struct t2l_adapter *peft = open_peft("export/peft/qv-r8");
	const char *base = need_golden_folder("models/llama2", "model.safetensors");
	struct t2l_export_report report;
	struct stat facts;
	const char *directory;
	char path[600], *card;

	(void)state;
	directory = export_as(peft, "hf",
	    (struct t2l_export_options){ .format = "hf",
		.base_model = base,
		.model_card = true,
		.task = "say ---\nno: yes",
		.card_scores = "- exact match 0.5\n" },
	    &report);
	for (size_t i = 0; i < 7; i++)
		assert_true(has(directory, seven[i]));
	snprintf(path, sizeof path, "%s/model.safetensors", directory);
	assert_int_equal(lstat(path, &facts), 0);
	assert_true(S_ISLNK(facts.st_mode));
	snprintf(path, sizeof path, "%s/README.md", directory);
	card = read_whole_file(path, 1 << 20, NULL);
	assert_non_null(strstr(card, "- exact match 0.5"));
	assert_non_null(strstr(card, "base_model: \"base-llama\""));
	assert_null(strstr(card, "\nno: yes")); /* the line break was made visible */
	free(card);
	export_as(peft, "hf",
	    (struct t2l_export_options){ .format = "hf", .base_model = base, .copy_base = true },
	    &report);
	snprintf(path, sizeof path, "%s/model.safetensors", directory);
	assert_int_equal(lstat(path, &facts), 0);
	assert_true(S_ISREG(facts.st_mode));
	t2l_adapter_close(peft);
}

/* transformers takes a directory with config.json for a whole model. */
static void
hf_has_no_config_without_weights(void **state)
{
	struct t2l_adapter *peft = open_peft("export/peft/qv-r8");
	const char *base = need_golden_folder("export/base-llama", "generation_config.json");
	struct t2l_export_report report;
	const char *directory;

	(void)state;
	directory = export_as(peft, "a", (struct t2l_export_options){ .format = "hf" }, &report);
	assert_false(has(directory, "config.json"));
	assert_non_null(strstr(report.warnings, "config.json is left out"));
	directory = export_as(
	    peft, "b", (struct t2l_export_options){ .format = "hf", .base_model = base }, &report);
	if (!has(base, "model.safetensors")) {
		assert_false(has(directory, "config.json"));
		assert_non_null(strstr(report.warnings, "has no weights"));
	}
	assert_true(has(directory, "tokenizer_config.json"));
	directory = export_as(peft, "c",
	    (struct t2l_export_options){ .format = "hf", .base_model = base, .adapter_only = true },
	    &report);
	assert_false(has(directory, "config.json"));
	assert_true(has(directory, "generation_config.json"));
	t2l_adapter_close(peft);
}

/* ---- nothing partial, nothing hostile ---- */

static bool
stop_at(void *user, size_t done, size_t all)
{
	(void)all;
	return done < *(size_t *)user;
}

static void
an_interrupted_export_leaves_nothing(void **state)
{
	struct t2l_adapter *peft = open_peft("export/peft/qv-r8");
	struct t2l_error err = { 0 };

	(void)state;
	for (size_t i = 0; t2l_adapter_format(i) != NULL; i++) {
		const struct t2l_format_facts *format = t2l_adapter_format(i);

		for (size_t stop = 0; stop < 4 && format->writes; stop++) {
			const struct t2l_export_options options = { .format = format->name,
				.head_dim = HEAD_DIM,
				.target_model = "b",
				.on_progress = stop_at,
				.user = &stop };

			assert_int_equal(
			    t2l_adapter_export(peft, in_folder("x"), &options, NULL, &err),
			    T2L_ECANCELLED);
			assert_int_equal(files_in_folder(), 0);
		}
	}
	t2l_adapter_close(peft);
}

/* Gate and down matrices of N_EXPERTS experts of layer 1. */
static struct t2l_adapter *
make_experts(int n_experts)
{
	const struct adapter_labels none = { .name = NULL };
	struct adapter_module modules[16] = { 0 };
	struct t2l_adapter *adapter;

	for (int i = 0; i < 2 * n_experts; i++)
		modules[i] = (struct adapter_module){ .layer = 1,
			.module = i % 2 == 0 ? MODULE_MIXTRAL_W1 : MODULE_MIXTRAL_W2,
			.expert = i / 2,
			.rank = 3,
			.alpha = 5,
			.a = { .shape = { 0, i % 2 == 0 ? 12 : 20 } },
			.bt = { .shape = { 0, i % 2 == 0 ? 20 : 12 } } };
	assert_int_equal(
	    adapter_create(modules, 2 * (size_t)n_experts, false, &none, &adapter, NULL), T2L_OK);
	for (size_t i = 0; i < adapter->n_modules; i++) {
		struct adapter_module *m = &adapter->modules[i];

		fill_numbers(tensor_f32(&m->a), tensor_count(&m->a), 90 + 2 * (uint32_t)i);
		fill_numbers(tensor_f32(&m->bt), tensor_count(&m->bt), 91 + 2 * (uint32_t)i);
	}
	assert_int_equal(adapter_seal(adapter, NULL), T2L_OK);
	return adapter;
}

static void
gguf_keeps_a_layers_experts_in_one_tensor(void **state)
{
	static const char config[] =
	    "{\"model_type\":\"mixtral\",\"hidden_size\":16,\"num_attention_heads\":2,"
	    "\"num_local_experts\":4}";
	struct t2l_adapter *all = make_experts(4), *three = make_experts(3), *read;
	struct t2l_export_options options = { .format = "gguf" };
	char base[1024], path[1100], output[1024];
	struct t2l_error err = { 0 };
	struct gguf *gguf;

	(void)state;
	snprintf(base, sizeof base, "%s", in_folder("base"));
	snprintf(output, sizeof output, "%s", in_folder("x.gguf"));
	snprintf(path, sizeof path, "%s/config.json", base);
	mkdir(base, 0777);
	assert_int_equal(atomic_write(path, config, strlen(config)), 0);
	options.base_model = base;
	if (t2l_adapter_export(all, output, &options, NULL, &err) != T2L_OK)
		fail_msg("%s", err.message);
	assert_int_equal(gguf_open(output, &gguf, NULL), T2L_OK);
	assert_int_equal(gguf_count(gguf), 4);
	assert_int_equal(gguf_find(gguf, "blk.1.ffn_gate_exps.weight.lora_a")->shape[0], 4);
	assert_int_equal(gguf_find(gguf, "blk.1.ffn_down_exps.weight.lora_b")->n_dims, 3);
	gguf_close(gguf);
	assert_int_equal(t2l_adapter_open(output, &read, NULL), T2L_OK);
	assert_string_equal(read->facts.hash, all->facts.hash);
	t2l_adapter_close(read);
	/* A stacked tensor has room for all or none. */
	assert_fails(t2l_adapter_export(three, in_folder("y.gguf"), &options, NULL, &err),
	    T2L_EUNSUPPORTED, "all 4");
	options.format = "mlx";
	assert_fails(t2l_adapter_export(all, in_folder("y"), &options, NULL, &err),
	    T2L_EUNSUPPORTED, "mlx-lm keeps the experts");
	unlink(output);
	unlink(path);
	rmdir(base);
	assert_int_equal(files_in_folder(), 0);
	t2l_adapter_close(all);
	t2l_adapter_close(three);
}

static void
what_a_precision_cannot_hold_is_refused(void **state)
{
	struct t2l_adapter *large = make_adapter_of(2, 4, false, 3, NULL);
	struct t2l_error err = { 0 };

	(void)state;
	tensor_f32(&large->modules[0].a)[5] = 1e6F;
	assert_fails(
	    t2l_adapter_export(large, in_folder("x.ggml"),
		&(struct t2l_export_options){ .format = "ggml", .precision = "fp16" }, NULL, &err),
	    T2L_EINVAL, "too large for fp16");
	assert_fails(
	    t2l_adapter_export(large, in_folder("x"),
		&(struct t2l_export_options){ .format = "peft", .precision = "q4_0" }, NULL, &err),
	    T2L_EINVAL, "cannot hold q4_0");
	assert_fails(t2l_adapter_export(large, in_folder("x"),
			 &(struct t2l_export_options){ .format = "peft", .optimize_for = "fun" },
			 NULL, &err),
	    T2L_EINVAL, "mobile, inference and size");
	/* Numbers below what fp16 can tell from nothing would be lost. */
	for (size_t i = 0; i < large->n_modules; i++)
		for (int64_t j = 0; j < tensor_count(&large->modules[i].bt); j++)
			tensor_f32(&large->modules[i].bt)[j] *= 1e-9F;
	tensor_f32(&large->modules[0].a)[5] = 1;
	assert_fails(
	    t2l_adapter_export(large, in_folder("x"),
		&(struct t2l_export_options){ .format = "peft", .precision = "fp16" }, NULL, &err),
	    T2L_EINVAL, "wider precision");
	assert_int_equal(files_in_folder(), 0);
	t2l_adapter_close(large);
}

static void
a_modelfile_names_only_what_lies_beside_it(void **state)
{
	static const char *const hostile[] = { "FROM x\nADAPTER ../x.gguf\n",
		"FROM x\nADAPTER /etc/x.gguf\n", "FROM x\nADAPTER ./..\n", "FROM x\n" };
	struct t2l_adapter *adapter = NULL;
	struct t2l_error err = { 0 };
	char path[600];

	(void)state;
	mkdir(in_folder("o"), 0777);
	for (size_t i = 0; i < 4; i++) {
		snprintf(path, sizeof path, "%s/Modelfile", in_folder("o"));
		assert_int_equal(atomic_write(path, hostile[i], strlen(hostile[i])), 0);
		assert_fails(t2l_adapter_open(in_folder("o"), &adapter, &err), T2L_EUNSUPPORTED,
		    "beside it");
	}
	adapter = make_adapter_of(2, 4, false, 3, NULL);
	assert_fails(t2l_adapter_export(adapter, in_folder("p"),
			 &(struct t2l_export_options){
			     .format = "ollama", .head_dim = 4, .target_model = "a\nRUN b" },
			 NULL, &err),
	    T2L_EINVAL, "line break");
	t2l_adapter_close(adapter);
}

/* A directory with other things in it keeps them. */
static void
an_export_replaces_only_its_own_files(void **state)
{
	struct t2l_adapter *peft = open_peft("export/peft/qv-r8");
	const char *directory = in_folder("d");
	struct t2l_adapter *read;
	char path[600];

	(void)state;
	mkdir(directory, 0777);
	snprintf(path, sizeof path, "%s/notes.txt", directory);
	assert_int_equal(atomic_write(path, "mine", 4), 0);
	for (int i = 0; i < 2; i++) {
		export_as(peft, "d", (struct t2l_export_options){ .format = "peft" }, NULL);
		assert_true(has(directory, "notes.txt"));
		read = open_path(directory);
		assert_string_equal(read->facts.hash, peft->facts.hash);
		t2l_adapter_close(read);
		assert_int_equal(files_in_folder(), 1);
	}
	t2l_adapter_close(peft);
}

#define IN_FOLDER(test)                                                                            \
	cmocka_unit_test_setup_teardown(test, make_temporary_folder, remove_temporary_folder)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		IN_FOLDER(ggml_is_the_specification_byte_by_byte),
		cmocka_unit_test(a_ggml_file_gives_back_the_very_adapter),
		cmocka_unit_test(every_damaged_ggml_adapter_is_refused),
		IN_FOLDER(gguf_is_what_llama_cpp_loads),
		IN_FOLDER(the_base_tells_architecture_and_heads),
		IN_FOLDER(a_converters_gguf_is_the_peft_adapter_in_another_order),
		IN_FOLDER(a_gguf_of_ours_gives_back_the_very_adapter),
		cmocka_unit_test(logits_of_a_gguf_lora_are_pefts),
		IN_FOLDER(mlx_tensors_are_transposed_and_the_scale_is_told),
		IN_FOLDER(kohyas_names_are_read_where_they_are_plain),
		IN_FOLDER(every_format_gives_the_adapter_to_every_other),
		IN_FOLDER(errors_are_those_of_the_products),
		IN_FOLDER(for_inference_the_scale_is_in_b_and_data_is_aligned),
		IN_FOLDER(eight_bits_in_peft_are_255_steps_a_row),
		IN_FOLDER(hf_has_seven_files_and_the_base_beside),
		IN_FOLDER(hf_has_no_config_without_weights),
		IN_FOLDER(an_interrupted_export_leaves_nothing),
		IN_FOLDER(gguf_keeps_a_layers_experts_in_one_tensor),
		IN_FOLDER(what_a_precision_cannot_hold_is_refused),
		IN_FOLDER(a_modelfile_names_only_what_lies_beside_it),
		IN_FOLDER(an_export_replaces_only_its_own_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
