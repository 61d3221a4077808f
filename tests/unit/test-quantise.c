/* test-quantise.c - quantised files are llama.cpp's where both make one, and the report is true. */

#include "tests/unit/cmocka-first.h"

#include <math.h>
#include <string.h>

#include "engine/formats/gguf.h"
#include "engine/models/quantise.h"
#include "tests/golden-path.h"
#include "tests/unit/temporary-folder.h"

static const char *
need(const char *relative)
{
	const char *path = golden_path(relative);

	if (path == NULL) {
		print_message("no golden data for %s\n", relative);
		skip();
	}
	return path;
}

static struct gguf *
open_gguf(const char *path)
{
	struct t2l_error err = { 0 };
	struct gguf *gguf;

	if (gguf_open(path, &gguf, &err) != T2L_OK)
		fail_msg("%s", err.message);
	return gguf;
}

static void
quantise(const char *input, const char *output, const char *type,
    bool (*on_tensor)(void *, const struct t2l_quantize_report *), void *user)
{
	struct t2l_quantize_options options = {
		.type = type, .on_tensor = on_tensor, .user = user
	};
	struct t2l_error err = { 0 };

	if (t2l_quantize(input, output, &options, &err) != T2L_OK)
		fail_msg("%s", err.message);
}

/* ---- the same file as llama.cpp makes ---- */

static void
assert_same_tensors(const char *ours, const char *theirs)
{
	struct gguf *a = open_gguf(ours), *b = open_gguf(theirs);

	assert_int_equal(gguf_count(a), gguf_count(b));
	for (size_t i = 0; i < gguf_count(b); i++) {
		const struct gguf_entry *want = gguf_at(b, i), *is = gguf_find(a, want->name);

		assert_non_null(is);
		if (is->dtype != want->dtype)
			fail_msg("%s is %s, not %s", want->name, is->type_name, want->type_name);
		assert_int_equal(is->n_bytes, want->n_bytes);
		if (memcmp(is->bytes, want->bytes, want->n_bytes) != 0)
			fail_msg("%s has other bytes", want->name);
	}
	gguf_close(a);
	gguf_close(b);
}

static void
a_file_is_quantised_as_llama_cpp_does_it(void **state)
{
	const char *f32 = need("models/gguf/llama2-f32.gguf");
	const char *q8_0 = need("models/gguf/llama2-q8_0.gguf");
	const char *q4_0 = need("models/gguf/llama2-q4_0.gguf");
	const char *out = in_folder("out.gguf");

	(void)state;
	quantise(f32, out, "q8_0", NULL, NULL);
	assert_same_tensors(out, q8_0);
	quantise(f32, out, "q4_0", NULL, NULL);
	assert_same_tensors(out, q4_0);
}

/* llama_tensor_get_type() of llama.cpp for 32 layers: q6_k for attn_v and ffn_down of layers
 * 0-3, 6, 9, 12, 15, 18, 21, 24, 27 and 28-31. */
static void
q4_k_m_gives_more_bits_to_what_matters(void **state)
{
	static const int more[] = { 0, 1, 2, 3, 6, 9, 12, 15, 18, 21, 24, 27, 28, 29, 30, 31 };
	const struct quantisation *type = quantisation_find("q4_k_m");
	size_t next = 0;

	(void)state;
	for (int layer = 0; layer < 32; layer++) {
		bool sensitive = next < sizeof more / sizeof *more && more[next] == layer;
		char name[64];

		next += sensitive;
		snprintf(name, sizeof name, "blk.%d.attn_v.weight", layer);
		assert_int_equal(quantisation_choose(type, name, DTYPE_F16, 2, 4096, 32, false),
		    sensitive ? DTYPE_Q6_K : DTYPE_Q4_K);
		snprintf(name, sizeof name, "blk.%d.ffn_down_exps.weight", layer);
		assert_int_equal(quantisation_choose(type, name, DTYPE_F16, 3, 4096, 32, false),
		    sensitive ? DTYPE_Q6_K : DTYPE_Q4_K);
		snprintf(name, sizeof name, "blk.%d.attn_q.weight", layer);
		assert_int_equal(
		    quantisation_choose(type, name, DTYPE_F16, 2, 4096, 32, false), DTYPE_Q4_K);
	}
	assert_int_equal(
	    quantisation_choose(type, "output.weight", DTYPE_F16, 2, 4096, 32, false), DTYPE_Q6_K);
	assert_int_equal(
	    quantisation_choose(type, "token_embd.weight", DTYPE_F16, 2, 4096, 32, false),
	    DTYPE_Q4_K);
	assert_int_equal(
	    quantisation_choose(type, "token_embd.weight", DTYPE_F16, 2, 4096, 32, true),
	    DTYPE_Q6_K);
}

static void
what_is_no_matrix_of_whole_blocks_is_left_or_gets_the_next_type(void **state)
{
	const struct quantisation *type = quantisation_find("q4_k_m");

	(void)state;
	assert_int_equal(
	    quantisation_choose(type, "blk.0.attn_norm.weight", DTYPE_F32, 1, 4096, 32, false),
	    DTYPE_F32);
	assert_int_equal(
	    quantisation_choose(type, "blk.0.ffn_gate_inp.weight", DTYPE_F32, 2, 4096, 32, false),
	    DTYPE_F32);
	assert_int_equal(
	    quantisation_choose(type, "blk.0.attn_q.weight", DTYPE_F16, 2, 96, 32, false),
	    DTYPE_Q5_0);
	assert_int_equal(
	    quantisation_choose(type, "output.weight", DTYPE_F16, 2, 96, 32, false), DTYPE_Q8_0);
	assert_int_equal(
	    quantisation_choose(type, "blk.0.attn_q.weight", DTYPE_F16, 2, 40, 32, false),
	    DTYPE_F16);
}

/* ---- the report ---- */

struct reports {
	struct t2l_quantize_report at[64];
	size_t n;
};

static bool
keep_report(void *user, const struct t2l_quantize_report *report)
{
	struct reports *reports = user;

	assert_true(reports->n < 64);
	reports->at[reports->n++] = *report;
	return true;
}

static void
the_report_is_what_two_files_differ_by(void **state)
{
	const char *f16 = need("models/gguf/llama2-f16.gguf"), *out = in_folder("out.gguf");
	struct reports reports = { .n = 0 };
	struct gguf *a, *b;

	(void)state;
	quantise(f16, out, "q6_k", keep_report, &reports); /* rows of 64: q8_0 comes out */
	a = open_gguf(f16);
	b = open_gguf(out);
	assert_int_equal(reports.n, gguf_count(a));
	for (size_t i = 0; i < reports.n; i++) {
		const struct gguf_entry *was = gguf_at(a, i), *is = gguf_find(b, was->name);
		int64_t n = reports.at[i].n;
		float *x = malloc((size_t)n * sizeof *x), *y = malloc((size_t)n * sizeof *y);
		double largest = 0, squares = 0, signal = 0;

		assert_true(dtype_to_f32(was->dtype, was->bytes, x, n));
		assert_true(dtype_to_f32(is->dtype, is->bytes, y, n));
		for (int64_t j = 0; j < n; j++) {
			double error = (double)y[j] - (double)x[j];

			largest = fmax(largest, fabs(error));
			squares += error * error;
			signal += (double)x[j] * (double)x[j];
		}
		assert_true(reports.at[i].max_error == largest);
		assert_true(fabs(reports.at[i].rms_error - sqrt(squares / (double)n)) <= 1e-12);
		assert_true(fabs(reports.at[i].relative_error - sqrt(squares / signal)) <= 1e-9);
		assert_int_equal(reports.at[i].n_bytes, is->n_bytes);
		if (was->n_dims > 1)
			assert_true(largest > 0 && reports.at[i].relative_error < 0.01);
		free(x);
		free(y);
	}
	gguf_close(a);
	gguf_close(b);
}

static void
metadata_stays_as_it_is(void **state)
{
	const char *f16 = need("models/gguf/llama2-f16.gguf"), *out = in_folder("out.gguf");
	struct gguf *a, *b;

	(void)state;
	quantise(f16, out, "q8_0", NULL, NULL);
	a = open_gguf(f16);
	b = open_gguf(out);
	for (size_t i = 0; i < gguf_key_count(a); i++) {
		const struct gguf_key *was = gguf_key_at(a, i), *is = gguf_key_find(b, was->name);

		assert_non_null(is);
		assert_int_equal(is->type, was->type);
		assert_int_equal(is->n, was->n);
		if (was->type == GGUF_STRING)
			assert_string_equal(is->text, was->text);
		if (was->type == GGUF_ARRAY && was->item_type == GGUF_STRING)
			for (uint64_t j = 0; j < was->n; j++) {
				size_t n_was, n_is;
				const char *x = gguf_array_string(was, j, &n_was),
					   *y = gguf_array_string(is, j, &n_is);

				assert_int_equal(n_is, n_was);
				assert_memory_equal(y, x, n_was);
			}
	}
	gguf_close(a);
	gguf_close(b);
}

/* ---- what goes wrong ---- */

static bool
stop_at_once(void *user, const struct t2l_quantize_report *report)
{
	(void)user;
	(void)report;
	return false;
}

static void
what_is_cancelled_or_refused_leaves_no_file(void **state)
{
	const char *f16 = need("models/gguf/llama2-f16.gguf"), *out = in_folder("out.gguf");
	struct t2l_quantize_options options = { .type = "q8_0", .on_tensor = stop_at_once };
	struct t2l_error err = { 0 };

	(void)state;
	assert_int_equal(t2l_quantize(f16, out, &options, &err), T2L_ECANCELLED);
	assert_int_equal(files_in_folder(), 0);
	options.type = "q3_z";
	assert_int_equal(t2l_quantize(f16, out, &options, &err), T2L_EINVAL);
	assert_non_null(strstr(err.message, "q4_k_m"));
	options.type = "q8_0";
	assert_int_equal(t2l_quantize(temporary_folder, out, &options, &err), T2L_ENOENT);
	assert_int_equal(t2l_quantize(in_folder("none.gguf"), out, &options, &err), T2L_ENOENT);
	assert_int_equal(files_in_folder(), 0);
}

#define IN_FOLDER(test)                                                                            \
	cmocka_unit_test_setup_teardown(test, make_temporary_folder, remove_temporary_folder)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		IN_FOLDER(a_file_is_quantised_as_llama_cpp_does_it),
		cmocka_unit_test(q4_k_m_gives_more_bits_to_what_matters),
		cmocka_unit_test(what_is_no_matrix_of_whole_blocks_is_left_or_gets_the_next_type),
		IN_FOLDER(the_report_is_what_two_files_differ_by),
		IN_FOLDER(metadata_stays_as_it_is),
		IN_FOLDER(what_is_cancelled_or_refused_leaves_no_file),
	};

	return cmocka_run_group_tests_name("quantise", tests, NULL, NULL);
}
