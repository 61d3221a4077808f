/* test-into-base.c - a base with an adapter in its weights says what base and adapter say. */

#include "tests/unit/cmocka-first.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/atomic-folder.h"
#include "base/file.h"
#include "engine/adapters/into-base.h"
#include "engine/adapters/row-order.h"
#include "engine/formats/gguf.h"
#include "engine/formats/safetensors.h"
#include "tests/golden-path.h"
#include "tests/unit/adapter-fixture.h"

#define N_IDS 6

static struct t2l_engine *engine;

static int
open_engine(void **state)
{
	if (make_temporary_folder(state) != 0)
		return -1;
	return t2l_engine_open(
	    &(struct t2l_engine_options){ .n_threads = 2, .precise = true }, &engine, NULL);
}

static int
close_engine(void **state)
{
	t2l_engine_close(engine);
	return remove_temporary_folder(state);
}

static struct t2l_adapter *
open_adapter(const char *relative)
{
	struct t2l_adapter *adapter;
	struct t2l_error err;

	if (golden_path(relative) == NULL)
		skip();
	if (t2l_adapter_open(golden_path(relative), &adapter, &err) != T2L_OK)
		fail_msg("%s", err.message);
	return adapter;
}

/* Logits [N_IDS, vocab] of the base PATH, with ADAPTER when not NULL. */
static float *
logits_of(const char *path, const struct t2l_adapter *adapter, size_t *n)
{
	static const int32_t ids[N_IDS] = { 1, 5, 9, 2, 17, 30 };
	const float one = 1;
	struct t2l_model *model;
	struct t2l_error err;
	double logprobs[N_IDS];
	float *logits;

	if (t2l_model_open(engine, path, &model, &err) != T2L_OK)
		fail_msg("%s", err.message);
	*n = N_IDS * (size_t)t2l_model_facts(model)->vocab_size;
	logits = malloc(*n * sizeof *logits);
	if (t2l_score(model, &adapter, &one, adapter != NULL, ids, N_IDS, logprobs, logits, &err) !=
	    T2L_OK)
		fail_msg("%s", err.message);
	t2l_model_close(model);
	return logits;
}

static double
largest_difference(const float *x, const float *y, size_t n)
{
	double largest = 0;

	for (size_t i = 0; i < n; i++)
		largest = fmax(largest, fabs((double)x[i] - (double)y[i]));
	return largest;
}

static void
compare(const char *base, const struct t2l_adapter *adapter, const char *output, double bound)
{
	struct t2l_into_base_report report;
	struct t2l_error err;
	float *applied, *merged, *plain;
	size_t n;

	if (t2l_adapter_into_base(adapter, base, output, NULL, &report, &err) != T2L_OK)
		fail_msg("%s", err.message);
	assert_int_equal(report.n_changed, adapter->n_modules);
	applied = logits_of(base, adapter, &n);
	merged = logits_of(output, NULL, &n);
	plain = logits_of(base, NULL, &n);
	assert_true(largest_difference(applied, merged, n) < bound);
	assert_true(largest_difference(plain, merged, n) > 10 * bound);
	free(applied);
	free(merged);
	free(plain);
}

static void
a_directory_says_what_base_and_adapter_say(void **state)
{
	struct t2l_adapter *adapter = open_adapter("merge/inputs/a1");
	char output[1024];

	(void)state;
	if (golden_path("models/llama2/config.json") == NULL)
		skip();
	snprintf(output, sizeof output, "%s", in_folder("merged"));
	compare(golden_path("models/llama2"), adapter, output, 1e-3);
	atomic_folder_discard(output);
	t2l_adapter_close(adapter);
}

/* q's rows lie in another order there. */
static void
a_gguf_file_says_what_base_and_adapter_say(void **state)
{
	struct t2l_adapter *adapter = open_adapter("merge/inputs/a1");
	const char *base = golden_path("models/gguf/llama2-f16.gguf");
	struct gguf *before, *after;
	char output[1024];

	(void)state;
	if (base == NULL)
		skip();
	snprintf(output, sizeof output, "%s", in_folder("merged.gguf"));
	compare(base, adapter, output, 5e-3); /* the weights are rounded to f16 once more */
	assert_int_equal(gguf_open(base, &before, NULL), T2L_OK);
	assert_int_equal(gguf_open(output, &after, NULL), T2L_OK);
	assert_int_equal(gguf_count(before), gguf_count(after));
	for (size_t i = 0; i < gguf_count(before); i++) {
		const struct gguf_entry *x = gguf_at(before, i), *y = gguf_at(after, i);
		bool changed = strcmp(x->name, "blk.1.attn_q.weight") == 0 ||
			       strcmp(x->name, "blk.1.ffn_down.weight") == 0;

		assert_string_equal(x->name, y->name);
		assert_int_equal(x->ggml_type, y->ggml_type);
		assert_int_equal(x->n_bytes, y->n_bytes);
		assert_true((memcmp(x->bytes, y->bytes, x->n_bytes) != 0) == changed);
	}
	for (size_t i = 0; i < gguf_key_count(before); i++)
		assert_non_null(gguf_key_find(after, gguf_key_at(before, i)->name));
	gguf_close(before);
	gguf_close(after);
	unlink(output);
	t2l_adapter_close(adapter);
}

/* The other form of the base is made on the way. */
static void
a_directory_becomes_a_gguf_file_with_the_adapter_inside(void **state)
{
	struct t2l_adapter *adapter = open_adapter("merge/inputs/a1");
	char base[4096], output[1024];

	(void)state;
	if (golden_path("models/llama2/config.json") == NULL)
		skip();
	snprintf(base, sizeof base, "%s", golden_path("models/llama2"));
	snprintf(output, sizeof output, "%s", in_folder("merged.gguf"));
	compare(base, adapter, output, 5e-3);
	unlink(output);
	assert_int_equal(files_in_folder(), 0);
	t2l_adapter_close(adapter);
}

static void
a_gguf_file_becomes_a_directory_with_the_adapter_inside(void **state)
{
	static const char *const bases[] = { "models/gguf/llama2-f16.gguf",
		"models/gguf/llama2-q8_0.gguf" };
	struct t2l_adapter *adapter = open_adapter("merge/inputs/a1"), *turned;
	char output[1024], base[4096], given[1100];

	(void)state;
	snprintf(output, sizeof output, "%s", in_folder("merged"));
	snprintf(given, sizeof given, "%s/", output);
	for (size_t i = 0; i < 2; i++) {
		if (golden_path(bases[i]) == NULL)
			skip();
		snprintf(base, sizeof base, "%s", golden_path(bases[i]));
		compare(base, adapter, given, 5e-3);
		atomic_folder_discard(output);
		assert_int_equal(files_in_folder(), 0);
	}
	/* Rows of q in GGUF's order, as an adapter has them that does not tell the size of a head.
	 */
	assert_int_equal(adapter_reorder(adapter, true, 16, &turned, NULL), T2L_OK);
	assert_true(turned->facts.gguf_rows);
	compare(base, turned, given, 5e-3);
	atomic_folder_discard(output);
	assert_int_equal(files_in_folder(), 0);
	t2l_adapter_close(turned);
	t2l_adapter_close(adapter);
}

static bool
stop_at(void *user, size_t done, size_t all)
{
	size_t *left = user;

	(void)done;
	(void)all;
	return (*left)-- > 0;
}

static void
an_interrupted_change_of_form_leaves_nothing(void **state)
{
	struct t2l_adapter *adapter = open_adapter("merge/inputs/a1");
	const char *bases[] = { "models/llama2", "models/gguf/llama2-f16.gguf" };
	const char *outputs[] = { "merged.gguf", "merged/" };
	char base[4096], output[1024];
	struct t2l_error err;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		size_t n = 0, left;
		enum t2l_status status;

		if (golden_path(bases[i]) == NULL)
			skip();
		snprintf(base, sizeof base, "%s", golden_path(bases[i]));
		snprintf(output, sizeof output, "%s", in_folder(outputs[i]));
		do { /* both while converting and while adding */
			struct t2l_into_base_options options = { stop_at, &left };

			left = n;
			n += 5;
			status = t2l_adapter_into_base(adapter, base, output, &options, NULL, &err);
			if (status == T2L_OK)
				break;
			assert_int_equal(status, T2L_ECANCELLED);
			assert_int_equal(files_in_folder(), 0);
		} while (n < 1000);
		assert_int_equal(status, T2L_OK);
		assert_true(n > 25);
		if (i == 0)
			unlink(output);
		else
			atomic_folder_discard(in_folder("merged"));
		assert_int_equal(files_in_folder(), 0);
	}
	t2l_adapter_close(adapter);
}

/* A base of our own with exact numbers: 8 and 5 x 12 matrices of two layers. */
static void
write_base(const char *directory, int n_layers, enum dtype dtype)
{
	struct safetensors_writer *writer = safetensors_writer_new(8);
	char path[1024], name[96];
	float values[8 * 12];

	mkdir(directory, 0777);
	safetensors_writer_declare(
	    writer, "model.norm.weight", DTYPE_I64, 1, (const int64_t[]){ 3 });
	for (int i = 0; i < 2 * n_layers; i++) {
		snprintf(name, sizeof name, "model.layers.%d.self_attn.%c_proj.weight", i / 2,
		    i % 2 == 0 ? 'q' : 'v');
		safetensors_writer_declare(
		    writer, name, dtype, 2, (const int64_t[]){ i % 2 == 0 ? 8 : 5, 12 });
	}
	snprintf(path, sizeof path, "%s/model.safetensors", directory);
	assert_int_equal(safetensors_writer_begin(writer, path, NULL), T2L_OK);
	safetensors_writer_bytes(writer, (const int64_t[]){ 7, 8, 9 }, 24, NULL);
	for (int i = 0; i < 2 * n_layers; i++) {
		int64_t n = (i % 2 == 0 ? 8 : 5) * 12;

		fill_numbers(values, n, 50 + (uint32_t)i);
		safetensors_writer_floats(writer, values, n, dtype, NULL);
	}
	assert_int_equal(safetensors_writer_finish(writer, NULL), T2L_OK);
	safetensors_writer_free(writer);
	snprintf(path, sizeof path, "%s/config.json", directory);
	atomic_write(path, "{}", 2);
}

static void
every_number_is_the_sum_in_the_bases_own_dtype(void **state)
{
	static const enum dtype dtypes[] = { DTYPE_F32, DTYPE_F16, DTYPE_BF16 };
	static const double bounds[] = { 1e-6, 5e-3, 4e-2 };
	struct t2l_adapter *adapter = make_adapter_of(3, 4, true, 1, NULL);
	char base[1024], output[1024];

	(void)state;
	snprintf(base, sizeof base, "%s", in_folder("base"));
	snprintf(output, sizeof output, "%s", in_folder("sum"));
	for (size_t d = 0; d < 3; d++) {
		struct safetensors *before, *after;
		const struct safetensors_entry *norm;

		write_base(base, 2, dtypes[d]);
		assert_int_equal(
		    t2l_adapter_into_base(adapter, base, output, NULL, NULL, NULL), T2L_OK);
		assert_int_equal(safetensors_open(base, &before, NULL), T2L_OK);
		assert_int_equal(safetensors_open(output, &after, NULL), T2L_OK);
		norm = safetensors_find(after, "model.norm.weight");
		assert_memory_equal(norm->bytes, ((const int64_t[]){ 7, 8, 9 }), 24);
		for (size_t i = 0; i < adapter->n_modules; i++) {
			const struct adapter_module *m = &adapter->modules[i];
			const int64_t in = 12, out = tensor_cols(&m->bt);
			char path[MODULE_PATH_SIZE], name[MODULE_PATH_SIZE + 8];
			const struct safetensors_entry *x, *y;
			float w[96], sum[96];

			adapter_module_path(m, path, sizeof path);
			snprintf(name, sizeof name, "%s.weight", path);
			x = safetensors_find(before, name);
			y = safetensors_find(after, name);
			assert_int_equal(y->dtype, dtypes[d]);
			dtype_to_f32(x->dtype, x->bytes, w, in * out);
			dtype_to_f32(y->dtype, y->bytes, sum, in * out);
			for (int64_t j = 0; j < in * out; j++) {
				double expected = (double)w[j];

				for (int k = 0; k < 3; k++)
					expected += (double)m->scale *
						    (double)tensor_f32(&m->bt)[k * out + j / in] *
						    (double)tensor_f32(&m->a)[k * in + j % in];
				assert_float_equal((double)sum[j], expected, bounds[d]);
			}
		}
		safetensors_close(before);
		safetensors_close(after);
		atomic_folder_discard(base);
		atomic_folder_discard(output);
	}
	t2l_adapter_close(adapter);
}

static void
what_reads_back_differently_is_named(void **state)
{
	static const unsigned char made[] = "what was written", other[] = "what was wrong..";
	struct written_tensor written = { "blk.0.attn_q.weight", made, made + 16 };
	struct t2l_error err;

	(void)state;
	assert_int_equal(into_base_compare(&written, made, 9, &err), T2L_OK);
	assert_int_equal(into_base_compare(&written, made + 9, 7, &err), T2L_OK);
	assert_int_equal(into_base_compare(&written, made, 1, &err), T2L_EIO);
	written.at = made;
	assert_int_equal(into_base_compare(&written, other, 16, &err), T2L_EIO);
	assert_non_null(strstr(err.message, "attn_q"));
}

static bool
stop(void *user, size_t done, size_t all)
{
	(void)user;
	(void)all;
	return done < 2;
}

static void
what_fails_leaves_nothing(void **state)
{
	struct t2l_adapter *adapter = make_adapter_of(3, 4, true, 1, NULL);
	struct t2l_adapter *huge = make_adapter_of(3, 1e8, true, 1, NULL);
	const struct t2l_into_base_options stopping = { stop, NULL };
	char base[1024], output[1024], kept[1100];
	struct t2l_error err;

	(void)state;
	snprintf(base, sizeof base, "%s", in_folder("base"));
	snprintf(output, sizeof output, "%s", in_folder("sum"));
	write_base(base, 1, DTYPE_F32);
	assert_int_equal(
	    t2l_adapter_into_base(adapter, base, output, NULL, NULL, &err), T2L_EMISMATCH);
	assert_non_null(strstr(err.message, "q_proj of layer 1"));
	atomic_folder_discard(base);
	write_base(base, 2, DTYPE_F16);
	assert_int_equal(t2l_adapter_into_base(huge, base, output, NULL, NULL, &err), T2L_EINVAL);
	assert_non_null(strstr(err.message, "f16"));
	assert_int_equal(
	    t2l_adapter_into_base(adapter, base, output, &stopping, NULL, &err), T2L_ECANCELLED);
	assert_int_not_equal(access(output, F_OK), 0);
	/* What is there already stays. */
	mkdir(output, 0777);
	snprintf(kept, sizeof kept, "%s/config.json", output);
	atomic_write(kept, "mine", 4);
	assert_int_not_equal(
	    t2l_adapter_into_base(adapter, base, output, NULL, NULL, &err), T2L_OK);
	assert_int_equal(access(kept, F_OK), 0);
	atomic_folder_discard(output);
	atomic_folder_discard(base);
	assert_int_equal(
	    t2l_adapter_into_base(adapter, base, output, NULL, NULL, &err), T2L_ENOENT);
	t2l_adapter_close(adapter);
	t2l_adapter_close(huge);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_directory_says_what_base_and_adapter_say),
		cmocka_unit_test(a_gguf_file_says_what_base_and_adapter_say),
		cmocka_unit_test(a_directory_becomes_a_gguf_file_with_the_adapter_inside),
		cmocka_unit_test(a_gguf_file_becomes_a_directory_with_the_adapter_inside),
		cmocka_unit_test(an_interrupted_change_of_form_leaves_nothing),
		cmocka_unit_test(every_number_is_the_sum_in_the_bases_own_dtype),
		cmocka_unit_test(what_reads_back_differently_is_named),
		cmocka_unit_test(what_fails_leaves_nothing),
	};

	return cmocka_run_group_tests(tests, open_engine, close_engine);
}
