/* test-quants.c - quantised types: widened as the reference does, narrowed as well as it does. */

#include "tests/unit/cmocka-first.h"

#include <math.h>
#include <string.h>

#include "engine/formats/gguf.h"
#include "engine/tensor/k-quants.h"
#include "engine/tensor/quant-fit.h"
#include "tests/unit/cpu-backends.h"
#include "tests/unit/golden-tensors.h"

/* ---- llama.cpp's files, as gguf-py widens them ---- */

static const char *const files[] = { "llama2-q8_0", "llama2-q4_0", "llama2-q4_1", "llama2-q5_0",
	"llama2-q5_1", "llama2-iq4_nl", "kq-q2_k", "kq-q3_k_m", "kq-q4_k_m", "kq-q5_k_m",
	"mistral-q8_0", "llama3-q8_0" };
#define N_FILES ((int)(sizeof files / sizeof files[0]))

/* `dequant.NAME` in the golden file are the first rows of tensor NAME. */
static void
check_rows(const struct gguf *gguf, const struct safetensors_entry *golden, bool seen[N_DTYPES])
{
	const float *expected = golden->bytes;
	size_t n = golden->n_bytes / sizeof(float);
	struct t2l_error err = { 0 };
	struct tensor tensor;
	float *values = malloc(n * sizeof *values);

	assert_non_null(values);
	assert_ok(gguf_tensor(gguf, golden->name + strlen("dequant."), &tensor, &err));
	assert_int_equal(tensor_cols(&tensor), golden->shape[golden->n_dims - 1]);
	assert_true(tensor_count(&tensor) >= (int64_t)n);
	assert_true(dtype_to_f32(tensor.dtype, tensor.data, values, (int64_t)n));
	for (size_t i = 0; i < n; i++)
		if (fabsf(values[i] - expected[i]) > 1e-6f * fabsf(expected[i]))
			fail_msg("%s (%s): [%zu] is %g, not %g", golden->name,
			    dtype_name(tensor.dtype), i, (double)values[i], (double)expected[i]);
	seen[tensor.dtype] = true;
	free(values);
}

/* False when the files are not here. */
static bool
check_file(const char *name, bool seen[N_DTYPES])
{
	char gguf_name[64], golden_name[64];
	const char *gguf_file, *golden_file;
	struct t2l_error err = { 0 };
	struct safetensors *golden;
	struct gguf *gguf;

	snprintf(gguf_name, sizeof gguf_name, "models/gguf/%s.gguf", name);
	snprintf(golden_name, sizeof golden_name, "models/gguf/%s.golden.safetensors", name);
	gguf_file = golden_path(gguf_name);
	golden_file = golden_path(golden_name);
	if (gguf_file == NULL || golden_file == NULL)
		return false;
	assert_ok(gguf_open(gguf_file, &gguf, &err));
	assert_ok(safetensors_open(golden_file, &golden, &err));
	for (size_t i = 0; i < safetensors_count(golden); i++) {
		const struct safetensors_entry *entry = safetensors_at(golden, i);

		if (strncmp(entry->name, "dequant.", 8) == 0)
			check_rows(gguf, entry, seen);
	}
	safetensors_close(golden);
	gguf_close(gguf);
	return true;
}

static void
rows_of_every_type_are_those_of_the_reference(void **state)
{
	bool seen[N_DTYPES] = { false };
	int n_files = 0;

	(void)state;
	for (int i = 0; i < N_FILES; i++)
		n_files += check_file(files[i], seen);
	if (n_files == 0)
		skip();
	for (enum dtype dtype = 0; n_files == N_FILES && dtype < N_DTYPES; dtype++)
		if (dtype_is_quantised(dtype) && !seen[dtype])
			fail_msg("no row of %s was seen", dtype_name(dtype));
}

/* ---- narrowing ---- */

static double
squared_error(enum dtype dtype, const void *stored, const float *x, int64_t n)
{
	float *back = malloc((size_t)n * sizeof *back);
	double sum = 0;

	assert_non_null(back);
	assert_true(dtype_to_f32(dtype, stored, back, n));
	for (int64_t i = 0; i < n; i++)
		sum += ((double)back[i] - (double)x[i]) * ((double)back[i] - (double)x[i]);
	free(back);
	return sum;
}

/* The quantised tensor of a file that llama.cpp made from the weights in `model`. */
static void
compare_with_reference(const char *file, const char *tensor_name, const char *weight, bool exactly)
{
	struct safetensors *st = open_golden("models/llama2/model.safetensors");
	struct tensor original = golden_tensor(st, weight), theirs;
	struct t2l_error err = { 0 };
	struct gguf *gguf;
	size_t n_bytes;
	void *ours;

	assert_ok(gguf_open(need_golden(file), &gguf, &err));
	assert_ok(gguf_tensor(gguf, tensor_name, &theirs, &err));
	assert_true(dtype_is_quantised(theirs.dtype));
	assert_int_equal(original.dtype, DTYPE_F32);
	assert_int_equal(tensor_count(&original), tensor_count(&theirs));
	n_bytes = dtype_row_bytes(theirs.dtype, tensor_count(&theirs));
	ours = malloc(n_bytes);
	assert_true(
	    dtype_from_f32(theirs.dtype, tensor_f32(&original), ours, tensor_count(&original)));
	if (exactly)
		assert_memory_equal(ours, theirs.data, n_bytes);
	else
		assert_true(squared_error(theirs.dtype, ours, tensor_f32(&original),
				tensor_count(&original)) <=
			    1.005 * squared_error(theirs.dtype, theirs.data, tensor_f32(&original),
					tensor_count(&original)));
	free(ours);
	gguf_close(gguf);
	safetensors_close(st);
}

static void
compare_file(const char *file, bool exactly)
{
	compare_with_reference(
	    file, "blk.0.attn_v.weight", "model.layers.0.self_attn.v_proj.weight", exactly);
	compare_with_reference(
	    file, "blk.1.ffn_up.weight", "model.layers.1.mlp.up_proj.weight", exactly);
	compare_with_reference(
	    file, "blk.0.attn_output.weight", "model.layers.0.self_attn.o_proj.weight", exactly);
}

static void
blocks_are_those_that_llama_cpp_writes(void **state)
{
	(void)state;
	compare_file("models/gguf/llama2-q8_0.gguf", true);
	compare_file("models/gguf/llama2-q4_0.gguf", true);
	compare_file("models/gguf/llama2-q4_1.gguf", true);
	compare_file("models/gguf/llama2-q5_0.gguf", true);
	compare_file("models/gguf/llama2-q5_1.gguf", true);
}

static void
iq4_nl_loses_no_more_than_llama_cpp(void **state)
{
	(void)state;
	compare_file("models/gguf/llama2-iq4_nl.gguf", false);
}

enum { N_NUMBERS = 32 * K_BLOCK };

/* Normal numbers (a sum of uniform ones), each super-block of another size. */
static void
fill_normal(float *x)
{
	struct numbers numbers = { 11 };

	for (int i = 0; i < N_NUMBERS; i++) {
		x[i] = 0;
		for (int j = 0; j < 6; j++)
			x[i] += next_float(&numbers);
		x[i] *= ldexpf(1, i / K_BLOCK % 20 - 10);
	}
}

/* The root mean square error of each super-block over that of its numbers, the worst. */
static double
relative_error(enum dtype dtype, const float *x)
{
	static unsigned char stored[N_NUMBERS * sizeof(float)];
	double worst = 0;

	assert_true(dtype_from_f32(dtype, x, stored, N_NUMBERS));
	for (int b = 0; b < N_NUMBERS; b += K_BLOCK) {
		double power = 0;

		for (int i = b; i < b + K_BLOCK; i++)
			power += (double)x[i] * (double)x[i];
		worst = fmax(worst,
		    sqrt(squared_error(dtype, stored + dtype_row_bytes(dtype, b), x + b, K_BLOCK) /
			 power));
	}
	return worst;
}

/* Steps of a uniform quantiser over n normal numbers, whose error is step / sqrt(12). From least to
 * most they span about 4.2 deviations for n = 32 and 3.6 for 16; twice the largest magnitude, which
 * counts when zero is in the middle, is about 4.9 and 4.2. And a little for rounded scales. */
static void
more_bits_lose_less(void **state)
{
	static const struct {
		enum dtype dtype;
		double bound;
	} types[] = {
		{ DTYPE_Q2_K, 3.6 / 3 / 3.46 * 1.1 },
		{ DTYPE_Q3_K, 4.2 / 7 / 3.46 * 1.1 },
		{ DTYPE_Q4_K, 4.2 / 15 / 3.46 * 1.1 },
		{ DTYPE_Q5_K, 4.2 / 31 / 3.46 * 1.1 },
		{ DTYPE_Q6_K, 4.2 / 63 / 3.46 * 1.1 },
		{ DTYPE_Q8_0, 4.9 / 254 / 3.46 * 1.1 },
	};
	static float x[N_NUMBERS];

	(void)state;
	fill_normal(x);
	for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
		double error = relative_error(types[i].dtype, x);

		if (!(error <= types[i].bound))
			fail_msg("%s errs by %.4f, at most %.4f expected",
			    dtype_name(types[i].dtype), error, types[i].bound);
	}
}

/* What a block already says needs no second loss: at most the rounding of its scales to f16. */
static void
exact_values_stay(void **state)
{
	static unsigned char once[N_NUMBERS * sizeof(float)], twice[N_NUMBERS * sizeof(float)];
	static float x[N_NUMBERS], y[N_NUMBERS];

	(void)state;
	fill_normal(x);
	for (enum dtype dtype = 0; dtype < N_DTYPES; dtype++) {
		double lost;

		if (!dtype_is_quantised(dtype))
			continue;
		assert_true(dtype_from_f32(dtype, x, once, N_NUMBERS));
		assert_true(dtype_to_f32(dtype, once, y, N_NUMBERS));
		assert_true(dtype_from_f32(dtype, y, twice, N_NUMBERS));
		lost = squared_error(dtype, once, x, N_NUMBERS);
		if (!(squared_error(dtype, twice, y, N_NUMBERS) <= 0.25 * lost))
			fail_msg("%s: the second time loses as much again", dtype_name(dtype));
	}
}

static void
zeros_stay_zeros(void **state)
{
	static const float zeros[K_BLOCK];
	unsigned char stored[K_BLOCK * sizeof(float)];
	float back[K_BLOCK];

	(void)state;
	for (enum dtype dtype = 0; dtype < N_DTYPES; dtype++) {
		if (!dtype_is_weight(dtype))
			continue;
		memset(stored, 0xff, sizeof stored);
		assert_true(dtype_from_f32(dtype, zeros, stored, K_BLOCK));
		assert_true(dtype_to_f32(dtype, stored, back, K_BLOCK));
		for (int i = 0; i < K_BLOCK; i++)
			assert_true(back[i] == 0);
	}
}

/* Nothing is promised of the values, but nothing undefined may happen (the sanitizers look), and
 * the other super-blocks are what they are alone. */
static void
what_is_not_finite_stays_in_its_block(void **state)
{
	static const float odd[] = { NAN, INFINITY, -INFINITY, 3e38f, -3e38f, 1e-45f, -0.0f };
	static float x[N_NUMBERS];
	static unsigned char with[N_NUMBERS * sizeof(float)], without[N_NUMBERS * sizeof(float)];

	(void)state;
	for (enum dtype dtype = 0; dtype < N_DTYPES; dtype++) {
		size_t block = dtype_is_weight(dtype) ? dtype_row_bytes(dtype, K_BLOCK) : 0;

		if (!dtype_is_quantised(dtype))
			continue;
		fill_normal(x);
		assert_true(dtype_from_f32(dtype, x, without, 3 * K_BLOCK));
		for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
			x[K_BLOCK + 40] = odd[i];
			x[K_BLOCK + 200] = -odd[i];
			assert_true(dtype_from_f32(dtype, x, with, 3 * K_BLOCK));
			assert_memory_equal(with, without, block);
			assert_memory_equal(with + 2 * block, without + 2 * block, block);
		}
	}
}

/* x = 0.5 q - 3 for all sixteen q: found whatever the order. */
static void
an_exact_line_is_found(void **state)
{
	float x[32], scale, minimum;

	(void)state;
	for (int i = 0; i < 32; i++)
		x[i] = 0.5f * (float)(i * 7 % 16) - 3;
	fit_affine(x, 32, 16, &scale, &minimum);
	assert_true(fabsf(scale - 0.5f) < 1e-5f && fabsf(minimum - 3) < 1e-5f);
	for (int i = 0; i < 32; i++)
		x[i] = -0.25f * (float)(i * 7 % 16 - 8);
	assert_true(fabsf(fit_symmetric(x, 32, 8) + 0.25f) < 1e-5f);
	for (int i = 0; i < 32; i++)
		x[i] = 0.125f * (float)iq4_nl_values[i * 7 % 16];
	assert_true(fabsf(fit_values(x, 32, iq4_nl_values) - 0.125f) < 1e-5f);
}

static void
the_nearest_of_a_list_is_found(void **state)
{
	(void)state;
	for (float x = -140; x <= 130; x += 0.37f) {
		int found = nearest_value(x, iq4_nl_values);

		for (int i = 0; i < 16; i++)
			assert_true(fabsf(x - iq4_nl_values[found]) <= fabsf(x - iq4_nl_values[i]));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_of_every_type_are_those_of_the_reference),
		cmocka_unit_test(blocks_are_those_that_llama_cpp_writes),
		cmocka_unit_test(iq4_nl_loses_no_more_than_llama_cpp),
		cmocka_unit_test(more_bits_lose_less),
		cmocka_unit_test(exact_values_stay),
		cmocka_unit_test(zeros_stay_zeros),
		cmocka_unit_test(what_is_not_finite_stays_in_its_block),
		cmocka_unit_test(an_exact_line_is_found),
		cmocka_unit_test(the_nearest_of_a_list_is_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
