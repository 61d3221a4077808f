/* merge-inputs.c - what a merge is given: checked, settled, and the result laid out. */

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "engine/adapters/merge-inputs.h"

/* ---- settings ---- */

struct t2l_merge_options
t2l_merge_defaults(const char *strategy)
{
	return (struct t2l_merge_options){
		.strategy = strategy,
		.density = -1,
		.gamma = -1,
		.epsilon = -1,
	};
}

static enum t2l_status
check_parameters(const struct merge_strategy *strategy, const struct t2l_merge_options *options,
    struct t2l_error *err)
{
	const struct {
		const char *name;
		unsigned parameter;
		bool given;
	} parameters[] = {
		{ "density", T2L_MERGE_DENSITY, options->density >= 0 },
		{ "lambda", T2L_MERGE_LAMBDA, options->lambda != 0 },
		{ "gamma", T2L_MERGE_GAMMA, options->gamma >= 0 },
		{ "epsilon", T2L_MERGE_EPSILON, options->epsilon >= 0 },
		{ "majority sign method", T2L_MERGE_SIGN_METHOD,
		    options->majority_sign_method != NULL },
	};

	for (size_t i = 0; i < sizeof parameters / sizeof parameters[0]; i++) {
		if (parameters[i].given &&
		    (strategy->facts.parameters & parameters[i].parameter) == 0)
			return t2l_fail(err, T2L_EINVAL, "merge: '%s' has no %s",
			    strategy->facts.name, parameters[i].name);
	}
	return T2L_OK;
}

/* NaN is in no range. */
static enum t2l_status
check_ranges(
    const struct merge_strategy *strategy, const struct merge_settings *s, struct t2l_error *err)
{
	const char *name = strategy->facts.name;

	if (!(s->density > 0 && s->density <= 1))
		return t2l_fail(err, T2L_EINVAL,
		    "merge: density %g: above 0 and at most 1 is wanted", s->density);
	if (!(s->gamma >= 0 && s->gamma + s->density <= 1))
		return t2l_fail(err, T2L_EINVAL,
		    "merge: %s leaves out the share gamma and keeps the share density: %g and %g "
		    "must not be more than 1 together",
		    name, s->gamma, s->density);
	if (!(s->epsilon >= 0 && s->density - s->epsilon / 2 > 0 &&
		s->density + s->epsilon / 2 <= 1))
		return t2l_fail(err, T2L_EINVAL,
		    "merge: %s keeps with probabilities density -+ epsilon / 2: %g -+ %g must lie "
		    "between 0 and 1",
		    name, s->density, s->epsilon / 2);
	if (!isfinite(s->lambda))
		return t2l_fail(err, T2L_EINVAL, "merge: lambda is no number");
	return T2L_OK;
}

enum t2l_status
merge_settle(const struct t2l_merge_options *options, size_t n, const struct merge_strategy **out,
    struct merge_settings *settings, struct t2l_error *err)
{
	const struct merge_strategy *strategy = merge_strategy_find(options->strategy);
	const char *method = options->majority_sign_method;
	const struct t2l_merge_strategy *defaults;
	enum t2l_status status;

	if (strategy == NULL)
		return t2l_fail(err, T2L_EINVAL,
		    "merge: there is no strategy '%.40s' (t2l merge --strategies lists them)",
		    options->strategy);
	if (n == 0 || (strategy->n_inputs != 0 && n != strategy->n_inputs))
		return t2l_fail(err, T2L_EINVAL, "merge: %s wants %s adapter%s, not %zu",
		    strategy->facts.name, strategy->n_inputs == 2 ? "two" : "at least one",
		    strategy->n_inputs == 2 ? "s" : "", n);
	if (method != NULL && strcmp(method, "total") != 0 && strcmp(method, "frequency") != 0)
		return t2l_fail(err, T2L_EINVAL,
		    "merge: '%.40s' is no majority sign method: total or frequency", method);
	if (options->rank < 0 || options->rank > ADAPTER_MAX_RANK)
		return t2l_fail(err, T2L_EINVAL, "merge: rank %d: 1 to %d is wanted", options->rank,
		    ADAPTER_MAX_RANK);
	defaults = &strategy->facts;
	*settings = (struct merge_settings){
		.density = options->density >= 0 ? options->density : defaults->density,
		.lambda = options->lambda != 0 ? options->lambda : defaults->lambda,
		.gamma = options->gamma >= 0 ? options->gamma : defaults->gamma,
		.epsilon = options->epsilon >= 0 ? options->epsilon : defaults->epsilon,
		.by_count = method != NULL && strcmp(method, "frequency") == 0,
		.seed = options->seed,
	};
	if ((status = check_parameters(strategy, options, err)) != T2L_OK ||
	    (status = check_ranges(strategy, settings, err)) != T2L_OK)
		return status;
	/* One adapter alone is weighted and nothing else, as PEFT does it. */
	*out = n > 1 ? strategy : merge_strategy_find("linear");
	return T2L_OK;
}

enum t2l_status
merge_settle_weights(const struct merge_strategy *strategy, const double *weights, size_t n,
    double *settled, struct t2l_error *err)
{
	double sum = 0;

	for (size_t i = 0; i < n; i++) {
		settled[i] = weights != NULL			? weights[i]
			     : strategy->weights == WEIGHTS_ONE ? 1
								: 1 / (double)n;
		sum += settled[i];
		if (!isfinite(settled[i]))
			return t2l_fail(err, T2L_EINVAL, "merge: weight %zu is no number", i + 1);
		if (strategy->weights == WEIGHTS_OWN && settled[i] != settled[0])
			return t2l_fail(err, T2L_EINVAL,
			    "merge: %s finds its own weights; leave them out",
			    strategy->facts.name);
		if (strategy->weights == WEIGHTS_SHARE && settled[i] < 0)
			return t2l_fail(err, T2L_EINVAL,
			    "merge: %s goes between the adapters: weight %g is below 0",
			    strategy->facts.name, settled[i]);
	}
	if (strategy->weights == WEIGHTS_SHARE) {
		if (!(sum > 0))
			return t2l_fail(err, T2L_EINVAL, "merge: all weights are 0");
		for (size_t i = 0; i < n; i++)
			settled[i] /= sum;
	}
	return T2L_OK;
}

/* ---- inputs ---- */

const char *
merge_name_of(const struct t2l_adapter *adapter)
{
	const struct t2l_adapter_facts *facts = &adapter->facts;

	return facts->name[0] != '\0'	? facts->name
	       : facts->task[0] != '\0' ? facts->task
					: "(unnamed)";
}

static enum t2l_status
check_bases(const struct t2l_adapter *const *adapters, size_t n, struct t2l_error *err)
{
	const char *base = "";

	for (size_t i = 0; i < n; i++) {
		const char *own = adapters[i]->facts.base_fingerprint;

		if (adapters[i]->facts.gguf_rows != adapters[0]->facts.gguf_rows)
			return t2l_fail(err, T2L_EMISMATCH,
			    "merge: only one of '%.80s' and '%.80s' has its q and k rows in GGUF's "
			    "order; convert one first, with its base",
			    merge_name_of(adapters[0]), merge_name_of(adapters[i]));
		if (base[0] != '\0' && own[0] != '\0' && strcmp(base, own) != 0)
			return t2l_fail(err, T2L_EMISMATCH,
			    "merge: '%.80s' was made for another base ('%.80s') than those before "
			    "it",
			    merge_name_of(adapters[i]), adapters[i]->facts.base_name);
		if (own[0] != '\0')
			base = own;
	}
	return T2L_OK;
}

/* The rank of all modules of the result; 0: that of the module in the inputs. */
static enum t2l_status
rank_of_result(const struct merge_strategy *strategy, int wanted,
    const struct t2l_adapter *const *adapters, size_t n, int *rank, struct t2l_error *err)
{
	int64_t sum = 0;
	int largest = 0;

	for (size_t i = 0; i < n; i++) {
		sum += adapters[i]->facts.rank;
		largest = adapters[i]->facts.rank > largest ? adapters[i]->facts.rank : largest;
	}
	*rank = wanted;
	if (wanted > 0 || strategy->kind == MERGE_FACTORS)
		return T2L_OK;
	if (strategy->kind == MERGE_MATRICES || strategy->largest_rank)
		sum = largest;
	if (sum > ADAPTER_MAX_RANK)
		return t2l_fail(err, T2L_EINVAL,
		    "merge: the ranks add up to %lld, above %d; cut them (--rank) or merge fewer",
		    (long long)sum, ADAPTER_MAX_RANK);
	*rank = (int)sum;
	return T2L_OK;
}

/* ---- modules ---- */

/* A module of the result with the input that has it, to be sorted. */
struct candidate {
	struct adapter_module module;
	size_t adapter;
};

static int
compare_places(const struct adapter_module *a, const struct adapter_module *b)
{
	if (a->layer != b->layer)
		return a->layer < b->layer ? -1 : 1;
	if (a->module != b->module)
		return a->module < b->module ? -1 : 1;
	return a->expert < b->expert ? -1 : a->expert > b->expert;
}

static int
compare_candidates(const void *left, const void *right)
{
	const struct candidate *a = left, *b = right;
	int order = compare_places(&a->module, &b->module);

	return order != 0 ? order : a->adapter < b->adapter ? -1 : a->adapter > b->adapter;
}

static enum t2l_status
check_pair(const struct merge_strategy *strategy, const struct candidate *first,
    const struct candidate *next, const char *name, struct t2l_error *err)
{
	char label[MODULE_PATH_SIZE];

	adapter_module_label(&first->module, label, sizeof label);
	if (first->module.a.shape[1] != next->module.a.shape[1] ||
	    first->module.bt.shape[1] != next->module.bt.shape[1])
		return t2l_fail(err, T2L_EMISMATCH,
		    "merge: %s has another size in '%.80s' than before; the adapters are for "
		    "different bases",
		    label, name);
	if (strategy->kind == MERGE_FACTORS && first->module.rank != next->module.rank)
		return t2l_fail(err, T2L_EMISMATCH,
		    "merge: '%s' needs one rank; '%.80s' has rank %d at %s, others %d (cat, svd "
		    "and "
		    "the strategies that end in _svd take any)",
		    strategy->facts.name, name, next->module.rank, label, first->module.rank);
	return T2L_OK;
}

/* CANDIDATES, sorted, become the modules of the result. */
static enum t2l_status
unite(const struct merge_strategy *strategy, const struct t2l_adapter *const *adapters, int rank,
    const struct candidate *candidates, size_t n, struct adapter_module *modules, size_t *n_modules,
    struct t2l_error *err)
{
	const struct candidate *first = NULL;
	enum t2l_status status;

	*n_modules = 0;
	for (size_t i = 0; i < n; i++) {
		const struct candidate *next = &candidates[i];

		if (first != NULL && compare_places(&first->module, &next->module) == 0) {
			status = check_pair(
			    strategy, first, next, merge_name_of(adapters[next->adapter]), err);
			if (status != T2L_OK)
				return status;
			continue;
		}
		first = next;
		modules[*n_modules] = next->module;
		if (rank > 0)
			modules[*n_modules].rank = rank;
		modules[*n_modules].alpha = modules[*n_modules].rank;
		++*n_modules;
	}
	return T2L_OK;
}

/* ---- labels ---- */

/* A weight in as few digits as a float has, so that 0.7f reads 0.7. */
static double
short_number(double weight)
{
	double digits;

	if (weight == 0)
		return 0;
	digits = pow(10, 6 - floor(log10(fabs(weight))));
	return isfinite(digits) && digits > 0 ? round(weight * digits) / digits : weight;
}

static char *
lineage_text(const struct t2l_adapter *const *adapters, const double *weights, size_t n)
{
	cJSON *root = cJSON_CreateArray();
	char *text;

	for (size_t i = 0; i < n; i++) {
		cJSON *parent = cJSON_CreateObject();

		cJSON_AddStringToObject(parent, "hash", adapters[i]->facts.hash);
		cJSON_AddStringToObject(parent, "name", merge_name_of(adapters[i]));
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

static enum t2l_status
create_result(const struct t2l_adapter *const *adapters, const double *weights, size_t n,
    const struct adapter_module *modules, size_t n_modules, struct t2l_adapter **result,
    struct t2l_error *err)
{
	char *lineage = lineage_text(adapters, weights, n);
	enum t2l_status status;

	if (lineage == NULL)
		return t2l_fail(err, T2L_ENOMEM, "merge: out of memory");
	status = adapter_create(modules, n_modules, false,
	    &(struct adapter_labels){ .base_name = COMMON(base_name),
		.base_fingerprint = COMMON(base_fingerprint),
		.hypernet = COMMON(hypernet),
		.encoder = COMMON(encoder),
		.lineage = lineage },
	    result, err);
	cJSON_free(lineage);
	if (status == T2L_OK)
		(*result)->facts.gguf_rows = adapters[0]->facts.gguf_rows;
	return status;
}

enum t2l_status
merge_prepare(const struct merge_strategy *strategy, int wanted_rank,
    const struct t2l_adapter *const *adapters, const double *weights, size_t n,
    struct t2l_adapter **result, struct t2l_error *err)
{
	size_t n_candidates = 0, n_modules = 0, at = 0;
	struct candidate *candidates;
	struct adapter_module *modules;
	enum t2l_status status;
	int rank = 0;

	for (size_t i = 0; i < n; i++)
		n_candidates += adapters[i]->n_modules;
	candidates = calloc(n_candidates, sizeof *candidates);
	modules = calloc(n_candidates, sizeof *modules);
	if (candidates == NULL || modules == NULL) {
		free(candidates);
		free(modules);
		return t2l_fail(err, T2L_ENOMEM, "merge: out of memory");
	}
	for (size_t i = 0; i < n; i++) {
		for (size_t j = 0; j < adapters[i]->n_modules; j++)
			candidates[at++] = (struct candidate){ adapters[i]->modules[j], i };
	}
	qsort(candidates, n_candidates, sizeof *candidates, compare_candidates);
	if ((status = check_bases(adapters, n, err)) == T2L_OK &&
	    (status = rank_of_result(strategy, wanted_rank, adapters, n, &rank, err)) == T2L_OK &&
	    (status = unite(strategy, adapters, rank, candidates, n_candidates, modules, &n_modules,
		 err)) == T2L_OK)
		status = create_result(adapters, weights, n, modules, n_modules, result, err);
	free(candidates);
	free(modules);
	return status;
}
