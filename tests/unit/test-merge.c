/* test-merge.c - merging against PEFT's results and by exact sums; norms against formed matrices.
 */

#include "tests/unit/cmocka-first.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/adapters/merge.h"
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

static struct t2l_engine *engine;

static int
open_engine(void **state)
{
	(void)state;
	return t2l_engine_open(&(struct t2l_engine_options){ .n_threads = 2 }, &engine, NULL);
}

static int
close_engine(void **state)
{
	(void)state;
	t2l_engine_close(engine);
	return 0;
}

static struct t2l_adapter *
merged(const char *strategy, const struct t2l_adapter *const *adapters, const double *weights,
    size_t n)
{
	struct t2l_merge_options options = t2l_merge_defaults(strategy);
	struct t2l_adapter *result;
	struct t2l_error err;

	if (t2l_adapter_merge(engine, &options, adapters, weights, n, NULL, &result, &err) !=
	    T2L_OK)
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

#define MAX_INPUTS 3

/* A case of cases.json with its adapters, its masks and what PEFT made of them. */
struct golden_case {
	const cJSON *json;
	const char *name;
	const char *input_names[MAX_INPUTS];
	struct t2l_adapter *inputs[MAX_INPUTS];
	double weights[MAX_INPUTS];
	size_t n;
	struct safetensors *st; /* golden.safetensors, or NULL */
	uint8_t *turned[64];	/* masks of B, transposed */
	size_t n_turned;
};

static const char *
golden_file(const struct golden_case *c, const char *file)
{
	char path[160];

	snprintf(path, sizeof path, "merge/%s/%s", c->name, file);
	return golden_path(path);
}

static const uint8_t *
find_mask(void *user, const struct adapter_module *module, char what, size_t adapter)
{
	struct golden_case *c = user;
	const struct safetensors_entry *entry;
	char path[MODULE_PATH_SIZE], key[160];
	uint8_t *turned;

	adapter_module_path(module, path, sizeof path);
	snprintf(key, sizeof key, "mask.%s.%s.%s", path,
	    what == 'A'	  ? "A"
	    : what == 'B' ? "B"
			  : "delta",
	    c->input_names[adapter]);
	entry = safetensors_find(c->st, key);
	assert_non_null(entry);
	if (what != 'B')
		return entry->bytes;
	assert_true(c->n_turned < 64);
	turned = c->turned[c->n_turned++] = malloc(entry->n_bytes);
	for (int64_t i = 0; i < entry->shape[0] * entry->shape[1]; i++)
		turned[i % entry->shape[1] * entry->shape[0] + i / entry->shape[1]] =
		    ((const uint8_t *)entry->bytes)[i];
	return turned;
}

static void
open_case(struct golden_case *c, const cJSON *json)
{
	const cJSON *item;

	*c = (struct golden_case){ .json = json,
		.name = cJSON_GetObjectItem(json, "case")->valuestring };
	cJSON_ArrayForEach(item, cJSON_GetObjectItem(json, "adapters"))
	{
		char path[64];

		snprintf(path, sizeof path, "inputs/%s", item->valuestring);
		c->input_names[c->n] = item->valuestring;
		c->inputs[c->n++] = open_golden(path);
	}
	c->n = 0;
	cJSON_ArrayForEach(item, cJSON_GetObjectItem(json, "weights")) c->weights[c->n++] =
	    item->valuedouble;
	if (golden_file(c, "golden.safetensors") != NULL)
		assert_int_equal(
		    safetensors_open(golden_file(c, "golden.safetensors"), &c->st, NULL), T2L_OK);
}

static void
close_case(struct golden_case *c)
{
	for (size_t i = 0; i < MAX_INPUTS; i++)
		t2l_adapter_close(c->inputs[i]);
	for (size_t i = 0; i < c->n_turned; i++)
		free(c->turned[i]);
	safetensors_close(c->st);
}

static struct t2l_adapter *
merge_case(struct golden_case *c)
{
	const cJSON *density = cJSON_GetObjectItem(c->json, "density");
	const cJSON *method = cJSON_GetObjectItem(c->json, "majority_sign_method");
	const cJSON *rank = cJSON_GetObjectItem(c->json, "svd_rank");
	const struct merge_masks masks = { find_mask, c };
	struct t2l_merge_options options =
	    t2l_merge_defaults(cJSON_GetObjectItem(c->json, "combination_type")->valuestring);
	bool masked = c->st != NULL && strncmp(options.strategy, "dare", 4) == 0;
	struct t2l_adapter *result;
	struct t2l_error err;

	options.density = density != NULL ? density->valuedouble : -1;
	options.majority_sign_method = method != NULL ? method->valuestring : NULL;
	options.rank = rank != NULL ? rank->valueint : 0;
	if (merge_adapters(engine, &options, masked ? &masks : NULL,
		(const struct t2l_adapter *const *)c->inputs, c->weights, c->n, NULL, &result,
		&err) != T2L_OK)
		fail_msg("%s: %s", c->name, err.message);
	assert_int_equal(result->facts.rank, cJSON_GetObjectItem(c->json, "result_r")->valueint);
	for (size_t i = 0; i < result->n_modules; i++)
		assert_true(result->modules[i].scale == 1);
	return result;
}

/* A and B are determined: number by number. */
static void
compare_factors(const struct golden_case *c, const struct t2l_adapter *result)
{
	char path[64];
	struct t2l_adapter *expected;

	snprintf(path, sizeof path, "%s", c->name);
	expected = open_golden(path);
	assert_int_equal(result->n_modules, expected->n_modules);
	for (size_t i = 0; i < result->n_modules; i++) {
		assert_int_equal(result->modules[i].module, expected->modules[i].module);
		assert_tensors_near(&result->modules[i].a, &expected->modules[i].a, 1e-5);
		assert_tensors_near(&result->modules[i].bt, &expected->modules[i].bt, 1e-5);
	}
	t2l_adapter_close(expected);
}

static void
compare_effects(
    const char *prefix, struct safetensors *st, const struct t2l_adapter *result, double bound)
{
	for (size_t i = 0; i < result->n_modules; i++) {
		double *delta = effect(&result->modules[i]);
		char path[MODULE_PATH_SIZE], key[160];
		struct tensor expected;

		adapter_module_path(&result->modules[i], path, sizeof path);
		snprintf(key, sizeof key, "%s.%s", prefix, path);
		assert_int_equal(safetensors_tensor(st, key, &expected, NULL), T2L_OK);
		for (int64_t j = 0; j < tensor_count(&expected); j++) {
			if (fabs(delta[j] - (double)tensor_f32(&expected)[j]) > bound)
				fail_msg("%s number %d: %g, not %g", key, (int)j, delta[j],
				    (double)tensor_f32(&expected)[j]);
		}
		free(delta);
	}
}

static void
results_are_pefts(void **state)
{
	cJSON *root;
	const cJSON *json;
	size_t n_compared = 0;
	struct t2l_error err;

	(void)state;
	if (golden_path("merge/cases.json") == NULL)
		skip();
	assert_int_equal(json_open(golden_path("merge/cases.json"), 1 << 20, &root, &err), T2L_OK);
	cJSON_ArrayForEach(json, cJSON_GetObjectItem(root, "cases"))
	{
		struct golden_case c;
		struct t2l_adapter *result;
		bool factors;

		if (cJSON_GetObjectItem(json, "result_r") == NULL)
			continue; /* not PEFT's; below */
		open_case(&c, json);
		factors = golden_file(&c, "adapter_config.json") != NULL;
		if (factors || c.st != NULL) {
			result = merge_case(&c);
			if (factors)
				compare_factors(&c, result);
			else
				compare_effects("delta", c.st, result, 1e-4);
			t2l_adapter_close(result);
			n_compared++;
		}
		close_case(&c);
	}
	cJSON_Delete(root);
	assert_true(n_compared >= 12);
}

static void
slerp_goes_along_the_arc(void **state)
{
	struct t2l_adapter *a1 = open_golden("inputs/a1"), *a2 = open_golden("inputs/a2");
	const struct t2l_adapter *inputs[] = { a1, a2 };
	static const double weights[][2] = { { 0.7, 0.3 }, { 2, 2 } };
	static const char *const prefixes[] = { "delta.t0.3", "delta.t0.5" };
	struct safetensors *st;

	(void)state;
	if (golden_path("merge/slerp/golden.safetensors") == NULL)
		skip();
	assert_int_equal(
	    safetensors_open(golden_path("merge/slerp/golden.safetensors"), &st, NULL), T2L_OK);
	for (int i = 0; i < 2; i++) {
		struct t2l_adapter *result = merged("slerp", inputs, weights[i], 2);

		assert_int_equal(result->facts.rank, 8);
		compare_effects(prefixes[i], st, result, 1e-5);
		t2l_adapter_close(result);
	}
	safetensors_close(st);
	t2l_adapter_close(a1);
	t2l_adapter_close(a2);
}

static void
cat_of_rslora_adapters_is_the_exact_sum(void **state)
{
	struct t2l_adapter *r1 = open_golden("inputs/r1"), *r2 = open_golden("inputs/r2");
	const struct t2l_adapter *inputs[] = { r1, r2 };
	struct t2l_adapter *result = merged("cat", inputs, (const double[]){ 0.7, 0.3 }, 2);
	struct safetensors *st;

	(void)state;
	assert_false(result->facts.use_rslora);
	assert_int_equal(
	    safetensors_open(golden_path("merge/rslora-cat/golden.safetensors"), &st, NULL),
	    T2L_OK);
	assert_int_equal(safetensors_count(st), result->n_modules);
	compare_effects("delta", st, result, 1e-5);
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
	struct t2l_adapter *sum = merged("cat", inputs, (const double[]){ 0.25, -3 }, 2);

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
	for (size_t s = 0; t2l_merge_strategy(s) != NULL; s++) {
		const char *name = t2l_merge_strategy(s)->name;
		struct t2l_adapter *result;

		if (strcmp(name, "slerp") == 0)
			continue; /* goes between two */
		result = merged(name, inputs, (const double[]){ -0.5 }, 1);
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
	struct t2l_adapter *result = merged("linear", inputs, (const double[]){ 0.7, -0.3 }, 2);
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
check_warning(const struct t2l_adapter *a, const struct t2l_adapter *b, const char *expected)
{
	const struct t2l_adapter *both[] = { a, b };
	char *lines;

	assert_int_equal(t2l_merge_warnings(both, 2, &lines, NULL), T2L_OK);
	if (expected[0] == '\0' ? lines[0] != '\0' : strstr(lines, expected) == NULL)
		fail_msg("'%s' instead of '%s'", lines, expected);
	t2l_free(lines);
}

/* V of layer 1 alone. */
static struct t2l_adapter *
make_lone(uint32_t seed)
{
	const struct adapter_labels label = { .name = "lone", .base_fingerprint = "f1" };
	const struct adapter_module module = { .layer = 1,
		.module = MODULE_V,
		.rank = 2,
		.alpha = 8,
		.a = { .shape = { 0, 12 } },
		.bt = { .shape = { 0, 5 } } };
	struct t2l_adapter *adapter;

	assert_int_equal(adapter_create(&module, 1, false, &label, &adapter, NULL), T2L_OK);
	fill_numbers(tensor_f32(&adapter->modules[0].a), 24, seed);
	fill_numbers(tensor_f32(&adapter->modules[0].bt), 10, seed + 1);
	assert_int_equal(adapter_seal(adapter, NULL), T2L_OK);
	return adapter;
}

static void
what_should_be_known_before_a_merge_is_told(void **state)
{
	const struct adapter_labels es = {
		.name = "es", .base_name = "x", .base_fingerprint = "f1"
	};
	const struct adapter_labels fr = {
		.name = "fr", .base_name = "x", .base_fingerprint = "f1"
	};
	const struct adapter_labels de = {
		.name = "de", .base_name = "y", .base_fingerprint = "f2"
	};
	const struct adapter_labels it = { .name = "it", .base_name = "z" };
	const struct adapter_labels pt = { .name = "pt" };
	struct t2l_adapter *one = make_adapter_of(2, 8, false, 1, &es);
	struct t2l_adapter *two = make_adapter_of(2, 8, false, 40, &fr);
	struct t2l_adapter *other_base = make_adapter_of(2, 8, false, 3, &de);
	struct t2l_adapter *other_name = make_adapter_of(2, 8, false, 4, &it);
	struct t2l_adapter *silent = make_adapter_of(2, 8, false, 5, &pt);
	struct t2l_adapter *rslora = make_adapter_of(2, 8, true, 6, &fr);
	struct t2l_adapter *strong = make_adapter_of(2, 800, false, 7, &fr);
	struct t2l_adapter *lone = make_lone(8);

	(void)state;
	check_warning(one, two, "");
	check_warning(one, other_base, "'es' and 'de' were made for different bases ('x', 'y')");
	check_warning(other_name, one, "'it' names the base 'z', 'es' names 'x'");
	check_warning(one, silent, "'pt' does not tell");
	check_warning(two, two, "'fr' and 'fr' are the same adapter");
	check_warning(one, rslora, "'fr' is an rsLoRA (scale 5.657), 'es' is not (scale 4)");
	check_warning(rslora, one, "'fr' is an rsLoRA (scale 5.657), 'es' is not (scale 4)");
	check_warning(one, strong, "'fr' changes the base");
	check_warning(one, lone, "1 of 4 modules are changed by all");
	check_warning(lone, one, "1 of 4 modules are changed by all");
	t2l_adapter_close(one);
	t2l_adapter_close(two);
	t2l_adapter_close(other_base);
	t2l_adapter_close(other_name);
	t2l_adapter_close(silent);
	t2l_adapter_close(rslora);
	t2l_adapter_close(strong);
	t2l_adapter_close(lone);
}

static void
what_does_not_fit_together_is_refused(void **state)
{
	const struct adapter_labels a = { .name = "first", .base_fingerprint = "f1" };
	const struct adapter_labels b = { .name = "second", .base_fingerprint = "f2" };
	struct t2l_adapter *one = make_adapter_of(2, 8, false, 1, &a);
	struct t2l_adapter *other_rank = make_adapter_of(3, 8, false, 2, NULL);
	struct t2l_adapter *other_base = make_adapter_of(2, 8, false, 2, &b);
	struct t2l_adapter *huge = make_adapter_of(4095, 8, false, 2, NULL);
	struct t2l_adapter *other_shape, *result = NULL;
	const struct adapter_module small = { .module = MODULE_Q,
		.rank = 2,
		.alpha = 1,
		.a = { .shape = { 0, 6 } },
		.bt = { .shape = { 0, 8 } } };
	const double weights[] = { 1, 1 };
	struct t2l_merge_options options;
	struct t2l_error err;

	(void)state;
	assert_int_equal(adapter_create(&small, 1, false, &a, &other_shape, NULL), T2L_OK);
#define REFUSED_WITH(strategy_name, second, given, n, expected_status, word, ...)                  \
	do {                                                                                       \
		const struct t2l_adapter *inputs[] = { one, second };                              \
		options = t2l_merge_defaults(strategy_name);                                       \
		__VA_ARGS__;                                                                       \
		assert_int_equal(                                                                  \
		    t2l_adapter_merge(engine, &options, inputs, given, n, NULL, &result, &err),    \
		    expected_status);                                                              \
		if (strstr(err.message, word) == NULL)                                             \
			fail_msg("%s", err.message);                                               \
	} while (0)
#define REFUSED(strategy_name, second, expected_status, word)                                      \
	REFUSED_WITH(strategy_name, second, weights, 2, expected_status, word, (void)0)
	REFUSED("linear", other_rank, T2L_EMISMATCH, "rank 3");
	REFUSED("ties", other_rank, T2L_EMISMATCH, "rank 3");
	REFUSED("linear", other_base, T2L_EMISMATCH, "another base");
	REFUSED("cat", other_base, T2L_EMISMATCH, "second");
	REFUSED("cat", other_shape, T2L_EMISMATCH, "q_proj");
	REFUSED("ties-with-knots", one, T2L_EINVAL, "ties-with-knots");
	REFUSED("cat", huge, T2L_EINVAL, "4097");
	REFUSED_WITH("cat", one, ((const double[]){ NAN, 1 }), 2, T2L_EINVAL, "weight 1", (void)0);
	REFUSED_WITH("cat", one, weights, 0, T2L_EINVAL, "at least one", (void)0);
	REFUSED_WITH("slerp", one, weights, 1, T2L_EINVAL, "two", (void)0);
	REFUSED_WITH("slerp", one, ((const double[]){ -1, 2 }), 2, T2L_EINVAL, "below 0", (void)0);
	REFUSED_WITH(
	    "model_stock", one, ((const double[]){ 1, 2 }), 2, T2L_EINVAL, "own weights", (void)0);
	REFUSED_WITH("linear", one, weights, 2, T2L_EINVAL, "no density", options.density = 0.5);
	REFUSED_WITH("ties", one, weights, 2, T2L_EINVAL, "density", options.density = 1.5);
	REFUSED_WITH("ties", one, weights, 2, T2L_EINVAL, "loudest",
	    options.majority_sign_method = "loudest");
	REFUSED_WITH(
	    "della", one, weights, 2, T2L_EINVAL, "between 0 and 1", options.density = 0.95);
	REFUSED_WITH("svd", one, weights, 2, T2L_EINVAL, "rank -1", options.rank = -1);
#undef REFUSED
#undef REFUSED_WITH
	assert_null(result);
	t2l_adapter_close(one);
	t2l_adapter_close(other_rank);
	t2l_adapter_close(other_base);
	t2l_adapter_close(other_shape);
	t2l_adapter_close(huge);
}

static void
every_strategy_says_what_it_is(void **state)
{
	(void)state;
	for (size_t i = 0; t2l_merge_strategy(i) != NULL; i++) {
		const struct t2l_merge_strategy *strategy = t2l_merge_strategy(i);

		assert_ptr_equal(t2l_merge_strategy_find(strategy->name), strategy);
		assert_true(strlen(strategy->help) > 10 && strlen(strategy->source) > 0);
	}
	assert_null(t2l_merge_strategy_find("none such"));
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
	struct t2l_adapter *negative = merged("linear", inputs, (const double[]){ -2 }, 1);
	struct t2l_adapter *nothing = merged("linear", inputs, (const double[]){ 0 }, 1);
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
		TEST(slerp_goes_along_the_arc),
		TEST(cat_of_rslora_adapters_is_the_exact_sum),
		TEST(cat_adds_effects_whatever_ranks_and_scales),
		TEST(one_adapter_is_only_scaled),
		TEST(lineage_names_the_parents),
		TEST(what_should_be_known_before_a_merge_is_told),
		TEST(what_does_not_fit_together_is_refused),
		TEST(every_strategy_says_what_it_is),
		TEST(norms_are_those_of_the_formed_matrices),
		TEST(an_adapter_points_its_own_way_and_against_its_negative),
	};

	return cmocka_run_group_tests(tests, open_engine, close_engine);
}
