/* test-ggml.c - the GGML adapter file: golden values, and everything damaged refused. */
#include "tests/unit/golden-tensors.h"

#include <dirent.h>

#include "base/file.h"
#include "engine/formats/ggml.h"
#include "tests/unit/temporary-folder.h"

#define GGML "export/ggml/"

/* The values of each tensor against the reference reader's. */
static void
compare_values(const char *name, double bound)
{
	struct t2l_error err = { 0 };
	struct safetensors *expected;
	struct ggml *ggml = NULL;
	char relative[128];

	snprintf(relative, sizeof relative, GGML "%s.expected.safetensors", name);
	expected = open_golden(relative);
	snprintf(relative, sizeof relative, GGML "%s.ggml", name);
	assert_ok(ggml_open(need_golden(relative), &ggml, &err));
	assert_int_equal(ggml_count(ggml), safetensors_count(expected));
	for (size_t i = 0; i < ggml_count(ggml); i++) {
		const struct ggml_tensor *tensor = ggml_at(ggml, i);
		const int64_t n = tensor->shape[0] * tensor->shape[1];
		float *values = malloc((size_t)n * sizeof *values), largest = 0;
		const float *wanted = golden_floats(expected, tensor->name, NULL);

		assert_true(tensor->convertible);
		assert_true(dtype_to_f32(tensor->dtype, tensor->bytes, values, n));
		for (int64_t j = 0; j < n; j++)
			largest = fmaxf(largest, fabsf(wanted[j]));
		assert_near(values, wanted, (size_t)n, bound * (double)largest, tensor->name);
		free(values);
	}
	ggml_close(ggml);
	safetensors_close(expected);
}

static void
values_are_the_reference_readers(void **state)
{
	(void)state;
	compare_values("empty-metadata.fp32", 0);
	compare_values("patterns.fp16", 1e-6);
	compare_values("qv-r8.int8", 1e-6);
	compare_values("qv-r8.q4_0", 1e-6);
}

static void
values_of_wide_rows_are_the_reference_readers(void **state)
{
	(void)state;
	compare_values("wide.int8", 1e-6);
	compare_values("wide.q4_0", 1e-6);
	compare_values("wide.q4_k_m", 1e-6);
}

static void
metadata_and_alpha_are_read(void **state)
{
	struct t2l_error err = { 0 };
	struct ggml *ggml = NULL;

	(void)state;
	assert_ok(ggml_open(need_golden(GGML "all-rslora.fp32.ggml"), &ggml, &err));
	assert_string_equal(ggml_architecture(ggml), "llama");
	assert_string_equal(ggml_metadata(ggml, "lora.use_rslora"), "true");
	assert_string_equal(ggml_metadata(ggml, "lora.alpha"), "16");
	assert_null(ggml_metadata(ggml, "lora.beta"));
	assert_string_equal(ggml_at(ggml, 0)->name, "blk.0.attn_q.lora_a");
	assert_true(ggml_at(ggml, 0)->alpha == (float)(16 * sqrt(8)));
	ggml_close(ggml);
}

static void
every_damaged_file_is_refused(void **state)
{
	const char *folder = need_golden_folder("export/ggml-corrupt", "GOOD.ggml");
	struct ggml *ggml = NULL;
	struct dirent *entry;
	DIR *open = opendir(folder);
	int n = 0, pairs = 0;
	char path[4600];

	(void)state;
	while ((entry = readdir(open)) != NULL) {
		const char *dot = strrchr(entry->d_name, '.');
		enum t2l_status status;
		struct t2l_error err;

		if (dot == NULL || strcmp(dot, ".ggml") != 0)
			continue;
		snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
		status = ggml_open(path, &ggml, &err);
		n++;
		/* What is wrong between two tensors is the adapter's to see (test-export.c). */
		pairs += strncmp(entry->d_name, "pair-", 5) == 0;
		if (strcmp(entry->d_name, "GOOD.ggml") == 0 ||
		    strncmp(entry->d_name, "pair-", 5) == 0) {
			assert_int_equal(status, T2L_OK);
			ggml_close(ggml);
		} else if (status != T2L_EFORMAT && status != T2L_EUNSUPPORTED) {
			fail_msg("%s: status %d", entry->d_name, status);
		} else {
			assert_non_null(strstr(err.message, entry->d_name));
		}
	}
	closedir(open);
	assert_int_equal(n, 89);
	assert_int_equal(pairs, 4);
}

/* Every cut, and every byte changed: no reading outside (the sanitisers look), no crash. */
static void
cuts_and_changes_are_survived(void **state)
{
	struct ggml *ggml;
	size_t n;
	char *bytes = read_whole_file(need_golden("export/ggml-corrupt/GOOD.ggml"), 1 << 20, &n);

	(void)state;
	for (size_t i = 0; i < n; i++) {
		char *cut = malloc(i + 1); /* its own block, so that the end is guarded */

		memcpy(cut, bytes, i);
		assert_int_not_equal(ggml_parse(cut, i, "cut", &ggml, NULL), T2L_OK);
		free(cut);
	}
	for (size_t i = 0; i < n; i++) {
		for (int bit = 0; bit < 8; bit += 7) {
			bytes[i] ^= (char)(1 << bit);
			if (ggml_parse(bytes, n, "changed", &ggml, NULL) == T2L_OK)
				ggml_close(ggml);
			bytes[i] ^= (char)(1 << bit);
		}
	}
	free(bytes);
}

static void
a_writer_refuses_what_is_not_whole(void **state)
{
	static const char *const metadata[][2] = { { "key", "value" }, { "none", "" } };
	const int64_t shape[] = { 2, 32 }, odd[] = { 2, 31 };
	const float numbers[64] = { 1, 2, 3 };
	struct ggml_writer *writer = NULL;
	struct t2l_error err = { 0 };
	const char *path = in_folder("x.ggml");
	struct ggml *ggml = NULL;

	(void)state;
	assert_ok(ggml_writer_open(path, "llama", 2, metadata, 2, &writer, &err));
	assert_fails(ggml_writer_tensor(writer, "t", DTYPE_Q8_0, 2, odd, &err), T2L_EINVAL, "'t'");
	assert_ok(ggml_writer_tensor(writer, "t", DTYPE_F32, 2, shape, &err));
	assert_ok(ggml_writer_bytes(writer, numbers, 128, &err));
	assert_fails(ggml_writer_alpha(writer, 1, &err), T2L_EINVAL, "fewer");
	assert_fails(ggml_writer_bytes(writer, numbers, 256, &err), T2L_EINVAL, "more");
	assert_ok(ggml_writer_bytes(writer, numbers, 128, &err));
	assert_ok(ggml_writer_alpha(writer, 4, &err));
	assert_fails(ggml_writer_finish(writer, &err), T2L_EINVAL, "1 tensors are missing");
	ggml_writer_free(writer);
	assert_int_equal(files_in_folder(), 0);
	assert_ok(ggml_writer_open(path, "llama", 1, metadata, 2, &writer, &err));
	assert_ok(ggml_writer_tensor(writer, "t", DTYPE_F32, 2, shape, &err));
	assert_ok(ggml_writer_bytes(writer, numbers, sizeof numbers, &err));
	assert_ok(ggml_writer_alpha(writer, 4, &err));
	assert_ok(ggml_writer_finish(writer, &err));
	ggml_writer_free(writer);
	assert_ok(ggml_open(path, &ggml, &err));
	assert_string_equal(ggml_metadata(ggml, "key"), "value");
	assert_null(ggml_metadata(ggml, "none"));
	assert_true(ggml_at(ggml, 0)->alpha == 4);
	ggml_close(ggml);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_are_the_reference_readers),
		cmocka_unit_test(values_of_wide_rows_are_the_reference_readers),
		cmocka_unit_test(metadata_and_alpha_are_read),
		cmocka_unit_test(every_damaged_file_is_refused),
		cmocka_unit_test(cuts_and_changes_are_survived),
		cmocka_unit_test_setup_teardown(a_writer_refuses_what_is_not_whole,
		    make_temporary_folder, remove_temporary_folder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
