/*
 * merge.c - several adapters into one: modules are aligned, then a strategy works on each.
 *
 * The result has alpha = rank and no rsLoRA, so its scale is 1: weights and scales of the inputs
 * are folded into A and B. (PEFT copies use_rslora from the first input and so makes merges of
 * rsLoRA adapters too strong by sqrt(rank).) A module that only some inputs change is merged from
 * those.
 */

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "engine/adapters/adapter.h"
#include "engine/error.h"

/* One adapter's part in one module. */
struct part {
	const struct adapter_module *module;
	double factor; /* weight * scale */
};

struct strategy {
	const char *name, *help;
	bool one_rank; /* all inputs must have the same rank, which the result has; else ranks add
			  up */
	void (*merge)(const struct part *parts, size_t n, struct adapter_module *out);
};

/* ---- strategies ---- */

static void
add_scaled(float *out, double factor, const struct tensor *x)
{
	for (int64_t i = 0; i < tensor_count(x); i++)
		out[i] += (float)(factor * (double)tensor_f32(x)[i]);
}

/* A = sum sign(v) sqrt|v| A_i, B = sum sqrt|v| B_i. Cross terms B_i A_j appear: no sum of effects.
 */
static void
merge_linear(const struct part *parts, size_t n, struct adapter_module *out)
{
	for (size_t i = 0; i < n; i++) {
		double root = sqrt(fabs(parts[i].factor));

		add_scaled(
		    tensor_f32(&out->a), copysign(root, parts[i].factor), &parts[i].module->a);
		add_scaled(tensor_f32(&out->bt), root, &parts[i].module->bt);
	}
}

/* Rows of A, scaled, one adapter after the other, and B likewise: exactly the sum of effects. Rows
 * that no adapter fills stay zero. */
static void
merge_cat(const struct part *parts, size_t n, struct adapter_module *out)
{
	int64_t row = 0;

	for (size_t i = 0; i < n; i++) {
		const struct adapter_module *module = parts[i].module;

		add_scaled(
		    tensor_f32(&out->a) + row * tensor_cols(&out->a), parts[i].factor, &module->a);
		memcpy(tensor_f32(&out->bt) + row * tensor_cols(&out->bt), module->bt.data,
		    (size_t)tensor_count(&module->bt) * sizeof(float));
		row += module->rank;
	}
}

static const struct strategy strategies[] = {
	{ "linear",
	    "weighted sums of the A and of the B, as PEFT does it: the rank stays, effects mix",
	    true, merge_linear },
	{ "cat", "exactly the weighted sum of the effects; the ranks add up", false, merge_cat },
	{ "weighted", "another name of linear", true, merge_linear },
};

#define N_STRATEGIES (sizeof strategies / sizeof strategies[0])

static const struct strategy *
find_strategy(const char *name)
{
	for (size_t i = 0; i < N_STRATEGIES; i++) {
		if (strcmp(strategies[i].name, name) == 0)
			return &strategies[i];
	}
	return NULL;
}

const char *const *
t2l_merge_strategies(void)
{
	static const char *const names[] = { "linear", "cat", "weighted", NULL };

	_Static_assert(sizeof names / sizeof names[0] == N_STRATEGIES + 1, "one name a strategy");
	return names;
}

const char *
t2l_merge_strategy_help(const char *name)
{
	const struct strategy *strategy = find_strategy(name);

	return strategy != NULL ? strategy->help : NULL;
}

/* ---- inputs ---- */

static const char *
name_of(const struct t2l_adapter *adapter)
{
	const struct t2l_adapter_facts *facts = &adapter->facts;

	return facts->name[0] != '\0'	? facts->name
	       : facts->task[0] != '\0' ? facts->task
					: "(unnamed)";
}

static enum t2l_status
check_inputs(const struct strategy *strategy, const struct t2l_adapter *const *adapters,
    const float *weights, size_t n, struct t2l_error *err)
{
	const char *base = "";
	int rank = adapters[0]->modules[0].rank;

	for (size_t i = 0; i < n; i++) {
		const char *own = adapters[i]->facts.base_fingerprint;

		if (!isfinite(weights[i]))
			return t2l_fail(err, T2L_EINVAL, "merge: weight %zu is no number", i + 1);
		if (base[0] != '\0' && own[0] != '\0' && strcmp(base, own) != 0)
			return t2l_fail(err, T2L_EMISMATCH,
			    "merge: '%.80s' was made for another base ('%.80s') than those before "
			    "it",
			    name_of(adapters[i]), adapters[i]->facts.base_name);
		if (own[0] != '\0')
			base = own;
		for (size_t j = 0; j < adapters[i]->n_modules && strategy->one_rank; j++) {
			if (adapters[i]->modules[j].rank != rank)
				return t2l_fail(err, T2L_EMISMATCH,
				    "merge: '%s' needs one rank; '%.80s' has rank %d, others %d "
				    "(cat "
				    "takes any)",
				    strategy->name, name_of(adapters[i]),
				    adapters[i]->modules[j].rank, rank);
		}
	}
	return T2L_OK;
}

static enum t2l_status
rank_of_result(const struct strategy *strategy, const struct t2l_adapter *const *adapters, size_t n,
    int *rank, struct t2l_error *err)
{
	int64_t sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += adapters[i]->facts.rank;
	if (strategy->one_rank)
		sum = adapters[0]->facts.rank;
	if (sum > ADAPTER_MAX_RANK)
		return t2l_fail(err, T2L_EINVAL,
		    "merge: the ranks add up to %lld, above %d; merge fewer or use linear",
		    (long long)sum, ADAPTER_MAX_RANK);
	*rank = (int)sum;
	return T2L_OK;
}

/* The sizes of one module of the result; OUT's rank stays 0 when no input changes it. */
static enum t2l_status
unite_module(const struct t2l_adapter *const *adapters, size_t n, int rank,
    struct adapter_module *out, struct t2l_error *err)
{
	for (size_t i = 0; i < n; i++) {
		const struct adapter_module *in =
		    adapter_find(adapters[i], out->layer, out->module, out->expert);

		if (in == NULL)
			continue;
		if (out->rank == 0) {
			*out = *in;
			out->rank = rank;
			out->alpha = rank;
		}
		if (in->a.shape[1] != out->a.shape[1] || in->bt.shape[1] != out->bt.shape[1])
			return t2l_fail(err, T2L_EMISMATCH,
			    "merge: %s of layer %d has another size in '%.80s' than before; the "
			    "adapters are for different bases",
			    module_name(out->module), out->layer, name_of(adapters[i]));
	}
	return T2L_OK;
}

/* Every module that any input changes. */
static enum t2l_status
unite_modules(const struct t2l_adapter *const *adapters, size_t n, int rank,
    struct adapter_module *modules, size_t *n_modules, struct t2l_error *err)
{
	enum t2l_status status;

	*n_modules = 0;
	for (int i = 0; i < ADAPTER_MAX_LAYERS * N_MODULES; i++) {
		struct adapter_module *out = &modules[*n_modules];

		out->layer = i / N_MODULES;
		out->module = (enum module)(i % N_MODULES);
		if ((status = unite_module(adapters, n, rank, out, err)) != T2L_OK)
			return status;
		*n_modules += out->rank > 0;
	}
	return T2L_OK;
}

/* ---- labels ---- */

/* A weight in as few digits as a float has, so that 0.7f reads 0.7. */
static double
short_number(float weight)
{
	double digits;

	if (weight == 0)
		return 0;
	digits = pow(10, 6 - floor(log10(fabs((double)weight))));
	return round((double)weight * digits) / digits;
}

static char *
lineage_text(const struct t2l_adapter *const *adapters, const float *weights, size_t n)
{
	cJSON *root = cJSON_CreateArray();
	char *text;

	for (size_t i = 0; i < n; i++) {
		cJSON *parent = cJSON_CreateObject();

		cJSON_AddStringToObject(parent, "hash", adapters[i]->facts.hash);
		cJSON_AddStringToObject(parent, "name", name_of(adapters[i]));
		cJSON_AddNumberToObject(parent, "weight", short_number(weights[i]));
		cJSON_AddItemToArray(root, parent);
	}
	text = cJSON_PrintUnformatted(root);
	cJSON_Delete(root);
	return text;
}

/* What all inputs agree on, leaving out those that do not say. */
static const char *
common(const struct t2l_adapter *const *adapters, size_t n, size_t offset)
{
	const char *found = "";

	for (size_t i = 0; i < n; i++) {
		const char *own =
		    *(const char *const *)((const char *)&adapters[i]->facts + offset);

		if (own[0] == '\0')
			continue;
		if (found[0] != '\0' && strcmp(found, own) != 0)
			return "";
		found = own;
	}
	return found;
}

#define COMMON(field) common(adapters, n, offsetof(struct t2l_adapter_facts, field))

/* ---- merging ---- */

static void
merge_modules(const struct strategy *strategy, const struct t2l_adapter *const *adapters,
    const float *weights, size_t n, struct part *parts, struct t2l_adapter *result)
{
	for (size_t i = 0; i < result->n_modules; i++) {
		struct adapter_module *out = &result->modules[i];
		size_t n_parts = 0;

		for (size_t j = 0; j < n; j++) {
			const struct adapter_module *in =
			    adapter_find(adapters[j], out->layer, out->module, out->expert);

			if (in != NULL)
				parts[n_parts++] =
				    (struct part){ in, (double)weights[j] * (double)in->scale };
		}
		strategy->merge(parts, n_parts, out);
	}
}

static enum t2l_status
merge(const struct strategy *strategy, const struct t2l_adapter *const *adapters,
    const float *weights, size_t n, struct part *parts, struct adapter_module *modules,
    struct t2l_adapter **out, struct t2l_error *err)
{
	struct t2l_adapter *result;
	enum t2l_status status;
	size_t n_modules;
	char *lineage;
	int rank = 0;

	if ((status = check_inputs(strategy, adapters, weights, n, err)) != T2L_OK ||
	    (status = rank_of_result(strategy, adapters, n, &rank, err)) != T2L_OK ||
	    (status = unite_modules(adapters, n, rank, modules, &n_modules, err)) != T2L_OK)
		return status;
	lineage = lineage_text(adapters, weights, n);
	if (lineage == NULL)
		return t2l_fail(err, T2L_ENOMEM, "merge: out of memory");
	status = adapter_create(modules, n_modules, false,
	    &(struct adapter_labels){ .base_name = COMMON(base_name),
		.base_fingerprint = COMMON(base_fingerprint),
		.hypernet = COMMON(hypernet),
		.encoder = COMMON(encoder),
		.lineage = lineage },
	    &result, err);
	cJSON_free(lineage);
	if (status != T2L_OK)
		return status;
	merge_modules(strategy, adapters, weights, n, parts, result);
	if ((status = adapter_seal(result, err)) != T2L_OK)
		t2l_adapter_close(result);
	else
		*out = result;
	return status;
}

enum t2l_status
t2l_adapter_merge(const char *strategy_name, const struct t2l_adapter *const *adapters,
    const float *weights, size_t n, struct t2l_adapter **out, struct t2l_error *err)
{
	const struct strategy *strategy = find_strategy(strategy_name);
	struct adapter_module *modules;
	struct part *parts;
	enum t2l_status status;

	if (strategy == NULL)
		return t2l_fail(err, T2L_EINVAL,
		    "merge: there is no strategy '%.40s'; expected linear, cat or weighted",
		    strategy_name);
	if (n == 0)
		return t2l_fail(err, T2L_EINVAL, "merge: no adapter is given");
	modules = calloc((size_t)ADAPTER_MAX_LAYERS * N_MODULES + 1, sizeof *modules);
	parts = calloc(n, sizeof *parts);
	if (modules == NULL || parts == NULL)
		status = t2l_fail(err, T2L_ENOMEM, "merge: out of memory");
	else
		status = merge(strategy, adapters, weights, n, parts, modules, out, err);
	free(modules);
	free(parts);
	return status;
}
