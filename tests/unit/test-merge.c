/* test-merge.c - merging against PEFT's results and by exact sums; norms against formed matrices.
 */

#include "tests/unit/cmocka-first.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/formats/json.h"
#include "engine/formats/safetensors.h"
#include "tests/golden-path.h"
#include "tests/unit/adapter-fixture.h"

static struct t2l_adapter *
open_golden(const char *name)
{
	struct t2l_adapter *adapter;
	struct t2l_error err;
	char path[128];

	snprintf(path, sizeof path, "merge/%s", name);
	if (golden_path(path) == NULL)
		skip();
	if (t2l_adapter_open(golden_path(path), &adapter, &err) != T2L_OK)
		fail_msg("%s", err.message);
	return adapter;
}

static struct t2l_adapter *
merged(
    const char *strategy, const struct t2l_adapter *const *adapters, const float *weights, size_t n)
{
	struct t2l_adapter *result;
	struct t2l_error err;

	if (t2l_adapter_merge(strategy, adapters, weights, n, &result, &err) != T2L_OK)
		fail_msg("%s", err.message);
	return result;
}

/* scale * B A of a module, [out, in], in double; free() it. */
static double *
effect(const struct adapter_module *module)
{
	const int64_t in = tensor_cols(&module->a), out = tensor_cols(&module->bt);
	double *delta = calloc((size_t)(in * out), sizeof *delta);

	for (int64_t r = 0; r < module->rank; r++) {
		for (int64_t i = 0; i < out * in; i++)
			delta[i] += (double)module->scale *
				    (double)tensor_f32(&module->bt)[r * out + i / in] *
				    (double)tensor_f32(&module->a)[r * in + i % in];
	}
	return delta;
}

static void
assert_tensors_near(const struct tensor *x, const struct tensor *y, double bound)
{
	assert_int_equal(tensor_count(x), tensor_count(y));
	for (int64_t i = 0; i < tensor_count(x); i++)
		assert_true(fabs((double)tensor_f32(x)[i] - (double)tensor_f32(y)[i]) <= bound);
}

/* ---- against PEFT ---- */

static void
results_are_pefts(void **state)
{
	static const struct {
		const char *strategy, *expected, *inputs[3];
		float weights[3];
		size_t n;
	} cases[] = {
		{ "linear", "linear", { "inputs/a1", "inputs/a2" }, { 0.7F, 0.3F }, 2 },
		{ "weighted", "linear", { "inputs/a1", "inputs/a2" }, { 0.7F, 0.3F }, 2 },
		{ "linear", "linear-negative", { "inputs/a1", "inputs/a2" }, { 1, -0.5F }, 2 },
		{ "cat", "cat", { "inputs/a1", "inputs/a2", "inputs/a3" }, { 1, -0.5F, 0.25F }, 3 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		const struct t2l_adapter *inputs[3];
		struct t2l_adapter *result, *expected = open_golden(cases[i].expected);

		for (size_t j = 0; j < cases[i].n; j++)
			inputs[j] = open_golden(cases[i].inputs[j]);
		result = merged(cases[i].strategy, inputs, cases[i].weights, cases[i].n);
		assert_int_equal(result->n_modules, expected->n_modules);
		for (size_t j = 0; j < result->n_modules; j++) {
			assert_int_equal(result->modules[j].module, expected->modules[j].module);
			assert_true(result->modules[j].scale == 1);
			assert_tensors_near(&result->modules[j].a, &expected->modules[j].a, 1e-5);
			assert_tensors_near(&result->modules[j].bt, &expected->modules[j].bt, 1e-5);
		}
		t2l_adapter_close(result);
		t2l_adapter_close(expected);
		for (size_t j = 0; j < cases[i].n; j++)
			t2l_adapter_close((struct t2l_adapter *)inputs[j]);
	}
}

static void
cat_of_rslora_adapters_is_the_exact_sum(void **state)
{
	struct t2l_adapter *r1 = open_golden("inputs/r1"), *r2 = open_golden("inputs/r2");
	const struct t2l_adapter *inputs[] = { r1, r2 };
	struct t2l_adapter *result = merged("cat", inputs, (const float[]){ 0.7F, 0.3F }, 2);
	struct safetensors *st;

	(void)state;
	assert_false(result->facts.use_rslora);
	assert_int_equal(
	    safetensors_open(golden_path("merge/rslora-cat/golden.safetensors"), &st, NULL),
	    T2L_OK);
	assert_int_equal(safetensors_count(st), result->n_modules);
	for (size_t i = 0; i < result->n_modules; i++) {
		double *delta = effect(&result->modules[i]);
		struct tensor expected;
		char path[64], key[96];

		adapter_module_path(&result->modules[i], path, sizeof path);
		snprintf(key, sizeof key, "delta.%s", path);
		assert_int_equal(safetensors_tensor(st, key, &expected, NULL), T2L_OK);
		for (int64_t j = 0; j < tensor_count(&expected); j++)
			assert_float_equal(delta[j], (double)tensor_f32(&expected)[j], 1e-5);
		free(delta);
	}
	safetensors_close(st);
	t2l_adapter_close(result);
	t2l_adapter_close(r1);
	t2l_adapter_close(r2);
}

/* ---- by property ---- */

static void
cat_adds_effects_whatever_ranks_and_scales(void **state)
{
	struct t2l_adapter *one = make_adapter_of(2, 8, false, 1, NULL);
	struct t2l_adapter *two = make_adapter_of(5, 3, true, 2, NULL);
	const struct t2l_adapter *inputs[] = { one, two };
	struct t2l_adapter *sum = merged("cat", inputs, (const float[]){ 0.25F, -3 }, 2);

	(void)state;
	assert_int_equal(sum->facts.rank, 7);
	for (size_t i = 0; i < sum->n_modules; i++) {
		double *a = effect(&one->modules[i]), *b = effect(&two->modules[i]);
		double *c = effect(&sum->modules[i]);
		int64_t n = tensor_cols(&one->modules[i].a) * tensor_cols(&one->modules[i].bt);

		for (int64_t j = 0; j < n; j++)
			assert_float_equal(c[j], 0.25 * a[j] - 3 * b[j], 1e-5);
		free(a);
		free(b);
		free(c);
	}
	t2l_adapter_close(one);
	t2l_adapter_close(two);
	t2l_adapter_close(sum);
}

static void
one_adapter_is_only_scaled(void **state)
{
	struct t2l_adapter *one = make_adapter_of(3, 8, true, 1, NULL);
	const struct t2l_adapter *inputs[] = { one };

	(void)state;
	for (const char *const *name = t2l_merge_strategies(); *name != NULL; name++) {
		struct t2l_adapter *result = merged(*name, inputs, (const float[]){ -0.5F }, 1);

		for (size_t i = 0; i < result->n_modules; i++) {
			double *before = effect(&one->modules[i]);
			double *after = effect(&result->modules[i]);

			for (int64_t j = 0; j < 12 * 5; j++)
				assert_float_equal(after[j], -0.5 * before[j], 1e-5);
			free(before);
			free(after);
		}
		t2l_adapter_close(result);
	}
	t2l_adapter_close(one);
}

static void
lineage_names_the_parents(void **state)
{
	const struct adapter_labels a = { .name = "es",
		.base_name = "demo",
		.base_fingerprint = "f1",
		.hypernet = "h1",
		.encoder = "e" };
	const struct adapter_labels b = { .task = "say it in \"French\"", .hypernet = "h2" };
	struct t2l_adapter *one = make_adapter_of(2, 8, false, 1, &a);
	struct t2l_adapter *two = make_adapter_of(2, 8, false, 2, &b);
	const struct t2l_adapter *inputs[] = { one, two };
	struct t2l_adapter *result = merged("linear", inputs, (const float[]){ 0.7F, -0.3F }, 2);
	const cJSON *parent;
	cJSON *root;

	(void)state;
	assert_string_equal(result->facts.base_fingerprint, "f1");
	assert_string_equal(result->facts.base_name, "demo");
	assert_string_equal(result->facts.hypernet, ""); /* two different ones */
	assert_string_equal(result->facts.encoder, "e");
	root = cJSON_Parse(result->facts.lineage);
	assert_int_equal(cJSON_GetArraySize(root), 2);
	parent = cJSON_GetArrayItem(root, 0);
	assert_string_equal(cJSON_GetObjectItem(parent, "hash")->valuestring, one->facts.hash);
	assert_string_equal(cJSON_GetObjectItem(parent, "name")->valuestring, "es");
	assert_true(cJSON_GetObjectItem(parent, "weight")->valuedouble == 0.7);
	parent = cJSON_GetArrayItem(root, 1);
	assert_string_equal(
	    cJSON_GetObjectItem(parent, "name")->valuestring, "say it in \"French\"");
	assert_true(cJSON_GetObjectItem(parent, "weight")->valuedouble == -0.3);
	cJSON_Delete(root);
	t2l_adapter_close(one);
	t2l_adapter_close(two);
	t2l_adapter_close(result);
}

/* ---- refusing ---- */

static void
what_does_not_fit_together_is_refused(void **state)
{
	const struct adapter_labels a = { .name = "first", .base_fingerprint = "f1" };
	const struct adapter_labels b = { .name = "second", .base_fingerprint = "f2" };
	struct t2l_adapter *one = make_adapter_of(2, 8, false, 1, &a);
	struct t2l_adapter *other_rank = make_adapter_of(3, 8, false, 2, NULL);
	struct t2l_adapter *other_base = make_adapter_of(2, 8, false, 2, &b);
	struct t2l_adapter *huge = make_adapter_of(4000, 8, false, 2, NULL);
	struct t2l_adapter *other_shape, *result = NULL;
	const struct adapter_module small = { .module = MODULE_Q,
		.rank = 2,
		.alpha = 1,
		.a = { .shape = { 0, 6 } },
		.bt = { .shape = { 0, 8 } } };
	const float weights[] = { 1, 1 };
	struct t2l_error err;

	(void)state;
	assert_int_equal(adapter_create(&small, 1, false, &a, &other_shape, NULL), T2L_OK);
#define REFUSED(strategy, second, expected_status, word)                                           \
	do {                                                                                       \
		const struct t2l_adapter *inputs[] = { one, second };                              \
		assert_int_equal(t2l_adapter_merge(strategy, inputs, weights, 2, &result, &err),   \
		    expected_status);                                                              \
		if (strstr(err.message, word) == NULL)                                             \
			fail_msg("%s", err.message);                                               \
	} while (0)
	REFUSED("linear", other_rank, T2L_EMISMATCH, "rank 3");
	REFUSED("linear", other_base, T2L_EMISMATCH, "another base");
	REFUSED("cat", other_base, T2L_EMISMATCH, "second");
	REFUSED("cat", other_shape, T2L_EMISMATCH, "q_proj");
	REFUSED("ties-with-knots", one, T2L_EINVAL, "ties-with-knots");
	{
		const struct t2l_adapter *inputs[] = { huge, huge };

		assert_int_equal(
		    t2l_adapter_merge("cat", inputs, weights, 2, &result, &err), T2L_EINVAL);
		assert_non_null(strstr(err.message, "8000"));
		assert_int_equal(
		    t2l_adapter_merge("cat", inputs, (const float[]){ NAN, 1 }, 2, &result, &err),
		    T2L_EINVAL);
		assert_int_equal(
		    t2l_adapter_merge("cat", inputs, weights, 0, &result, &err), T2L_EINVAL);
	}
#undef REFUSED
	assert_null(result);
	t2l_adapter_close(one);
	t2l_adapter_close(other_rank);
	t2l_adapter_close(other_base);
	t2l_adapter_close(other_shape);
	t2l_adapter_close(huge);
}

static void
every_strategy_has_help(void **state)
{
	(void)state;
	for (const char *const *name = t2l_merge_strategies(); *name != NULL; name++)
		assert_non_null(t2l_merge_strategy_help(*name));
	assert_null(t2l_merge_strategy_help("none such"));
}

/* ---- norms ---- */

static void
norms_are_those_of_the_formed_matrices(void **state)
{
	struct t2l_adapter *one = make_adapter_of(3, 8, true, 1, NULL);
	struct t2l_adapter *two = make_adapter_of(5, 4, false, 6, NULL);
	struct t2l_module_norm *norms;
	size_t n;

	(void)state;
	assert_int_equal(t2l_adapter_norms(one, two, &norms, &n, NULL), T2L_OK);
	assert_int_equal(n, 4);
	for (size_t i = 0; i < n; i++) {
		double *a = effect(&one->modules[i]), *b = effect(&two->modules[i]);
		int64_t size = tensor_cols(&one->modules[i].a) * tensor_cols(&one->modules[i].bt);
		double aa = 0, bb = 0, ab = 0;

		for (int64_t j = 0; j < size; j++) {
			aa += a[j] * a[j];
			bb += b[j] * b[j];
			ab += a[j] * b[j];
		}
		assert_int_equal(norms[i].layer, one->modules[i].layer);
		assert_string_equal(norms[i].module, i % 2 == 0 ? "q_proj" : "v_proj");
		assert_float_equal(norms[i].norm, sqrt(aa), 1e-6 * sqrt(aa));
		assert_float_equal(norms[i].cosine, ab / sqrt(aa * bb), 1e-9);
		free(a);
		free(b);
	}
	t2l_free(norms);
	t2l_adapter_close(one);
	t2l_adapter_close(two);
}

static void
an_adapter_points_its_own_way_and_against_its_negative(void **state)
{
	struct t2l_adapter *one = make_adapter_of(3, 8, true, 1, NULL);
	const struct t2l_adapter *inputs[] = { one };
	struct t2l_adapter *negative = merged("linear", inputs, (const float[]){ -2 }, 1);
	struct t2l_adapter *nothing = merged("linear", inputs, (const float[]){ 0 }, 1);
	const struct t2l_adapter *others[] = { one, negative, nothing };
	const double expected[] = { 1, -1, 0 };
	struct t2l_module_norm *norms;
	size_t n;

	(void)state;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(t2l_adapter_norms(one, others[i], &norms, &n, NULL), T2L_OK);
		for (size_t j = 0; j < n; j++)
			assert_float_equal(norms[j].cosine, expected[i], 1e-6);
		t2l_free(norms);
	}
	t2l_adapter_close(one);
	t2l_adapter_close(negative);
	t2l_adapter_close(nothing);
}

#define TEST(function) cmocka_unit_test(function)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(results_are_pefts),
		TEST(cat_of_rslora_adapters_is_the_exact_sum),
		TEST(cat_adds_effects_whatever_ranks_and_scales),
		TEST(one_adapter_is_only_scaled),
		TEST(lineage_names_the_parents),
		TEST(what_does_not_fit_together_is_refused),
		TEST(every_strategy_has_help),
		TEST(norms_are_those_of_the_formed_matrices),
		TEST(an_adapter_points_its_own_way_and_against_its_negative),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
