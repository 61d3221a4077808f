/* t2l merge - combine adapters into one. */

#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "src/adapter-names.h"
#include "src/adapter-output.h"
#include "src/command.h"
#include "src/merge-auto.h"
#include "src/options.h"
#include "src/workplace.h"

static const char *const score_names[] = { "exact", "likelihood", NULL };
static const char *const sign_methods[] = { "total", "frequency", NULL };

static const struct option_spec options[] = {
	{ "adapters", 'a', OPTION_ADAPTER, MANY,
	    "adapters to merge: names, paths or globs, each perhaps NAME:WEIGHT" },
	{ "weights", 'w', OPTION_NUMBERS, 0, "one for each, instead of those in the names",
	    .min = -1000, .max = 1000 },
	{ "merge-strategy", 's', OPTION_TEXT, 0, "how (--strategies lists them)",
	    .fallback = "linear", .argument = "NAME" },
	{ "strategies", 0, OPTION_FLAG, 0, "list the strategies with their parameters" },
	{ "rank", 'r', OPTION_INTEGER, 0, "cut the result to this rank; the error is told",
	    .min = 1, .max = 4096 },
	{ "density", 'd', OPTION_NUMBER, 0, "share of the numbers that a strategy keeps",
	    .min = 0.000001, .max = 1 },
	{ "majority-sign-method", 0, OPTION_CHOICE, 0,
	    "elect a sign by the sum of the numbers or by their count", .choices = sign_methods },
	{ "lambda", 0, OPTION_NUMBER, 0, "factor on the whole", .min = -1000, .max = 1000 },
	{ "gamma", 0, OPTION_NUMBER, 0, "breadcrumbs: share of outliers left out", .min = 0,
	    .max = 1 },
	{ "epsilon", 0, OPTION_NUMBER, 0, "della: spread of the probabilities", .min = 0,
	    .max = 1 },
	{ "seed", 0, OPTION_INTEGER, 0, "of what is drawn at random", .fallback = "0", .min = 0,
	    .max = 9e15 },
	{ "into-base", 0, OPTION_MODEL, 0,
	    "write this base with the merge added to its weights to --output: .gguf a file, / a "
	    "directory, else as the base is" },
	{ "auto", 0, OPTION_PATH, 0,
	    "search the weights on examples: JSONL {\"prompt\":..,\"response\":..}" },
	{ "auto-score", 0, OPTION_CHOICE, 0, "what the search wants more of",
	    .choices = score_names, .fallback = "exact" },
	{ "auto-limit", 0, OPTION_NUMBER, 0, "largest weight that is tried", .fallback = "1.5",
	    .min = 0.01, .max = 100 },
	{ "base-model", 'b', OPTION_MODEL, 0, "base on which --auto tries",
	    .setting = "base.model" },
	ADAPTER_OUTPUT_OPTIONS,
	{ 0 },
};

/* All adapters of the line in one list, with where they come from. */
struct inputs {
	struct context *ctx;
	const struct t2l_adapter **adapters;
	double *weights;
	struct store_parent *parents; /* one for each at first, then those of the catalog */
	size_t n, n_parents;
	bool weighted; /* a NAME:WEIGHT was written */
};

/* 0.7f as 0.7: a mix keeps its weights in floats. */
static double
tidy_weight(float weight)
{
	char digits[32];

	snprintf(digits, sizeof digits, "%.7g", (double)weight);
	return strtod(digits, NULL);
}

/* What TEXT calls an adapter: its name in the catalog, else the last part of its path. In fresh
 * memory; NULL: out of memory. */
static char *
name_of_input(struct context *ctx, const char *text, int64_t id)
{
	struct store_adapter *row;
	struct store *store;
	char *typed, *slash, *colon, *name;
	size_t n;

	if (id != 0 && workplace_store(ctx, &store) && store_get(store, id, &row) == STORE_OK) {
		name = strdup(row->name);
		store_free(row);
		return name;
	}
	if ((typed = strdup(text)) == NULL)
		return NULL;
	if (access(typed, F_OK) != 0 && (colon = strrchr(typed, ':')) != NULL)
		*colon = '\0'; /* a weight */
	for (n = strlen(typed); n > 1 && typed[n - 1] == '/';)
		typed[--n] = '\0';
	slash = strrchr(typed, '/');
	name = strdup(slash != NULL ? slash + 1 : typed);
	free(typed);
	return name;
}

/* The only adapter of MIX under the name that a person knows it by: messages and lineage tell it.
 */
static bool
name_input(
    struct context *ctx, const char *text, const struct mix *mix, const struct t2l_adapter **named)
{
	char *name = name_of_input(ctx, text, mix->adapter_id);
	struct t2l_error err = { T2L_ENOMEM, "out of memory" };
	struct t2l_adapter *copy = NULL;

	if (name == NULL ||
	    t2l_adapter_relabel(mix->adapters[0], name, NULL, &copy, &err) != T2L_OK)
		context_fail_error(ctx, &err);
	free(name);
	*named = copy;
	return copy != NULL;
}

static bool
add_input(void *user, const char *text)
{
	struct inputs *inputs = user;
	struct context *ctx = inputs->ctx;
	struct mix mix;
	size_t n = inputs->n + 1;
	const struct t2l_adapter **adapters = realloc(inputs->adapters, n * sizeof *adapters);
	double *weights = realloc(inputs->weights, n * sizeof *weights);
	struct store_parent *parents = realloc(inputs->parents, n * sizeof *parents);

	inputs->adapters = adapters ? adapters : inputs->adapters;
	inputs->weights = weights ? weights : inputs->weights;
	inputs->parents = parents ? parents : inputs->parents;
	if (adapters == NULL || weights == NULL || parents == NULL) {
		context_fail(ctx, "out of memory");
		return false;
	}
	if (!mix_parse(ctx, text, &mix))
		return false;
	if (mix.n != 1) {
		context_fail(ctx, "'%s': one adapter is wanted here", text);
		mix_release(&mix);
		return false;
	}
	if (!name_input(ctx, text, &mix, &adapters[inputs->n])) {
		mix_release(&mix);
		return false;
	}
	parents[inputs->n] = (struct store_parent){ .id = mix.adapter_id };
	weights[inputs->n++] = tidy_weight(mix.weights[0]);
	inputs->weighted |= strrchr(text, ':') != NULL;
	mix_release(&mix);
	return true;
}

/* ---- the table of strategies ---- */

static const struct {
	unsigned parameter;
	const char *option;
	size_t offset; /* of the default in t2l_merge_strategy; 0: it has none */
} parameters[] = {
	{ T2L_MERGE_DENSITY, "density", offsetof(struct t2l_merge_strategy, density) },
	{ T2L_MERGE_SIGN_METHOD, "majority-sign-method", 0 },
	{ T2L_MERGE_LAMBDA, "lambda", offsetof(struct t2l_merge_strategy, lambda) },
	{ T2L_MERGE_GAMMA, "gamma", offsetof(struct t2l_merge_strategy, gamma) },
	{ T2L_MERGE_EPSILON, "epsilon", offsetof(struct t2l_merge_strategy, epsilon) },
	{ T2L_MERGE_SEED, "seed", 0 },
};

#define N_PARAMETERS (sizeof parameters / sizeof parameters[0])

static void
list_strategy(struct context *ctx, const struct t2l_merge_strategy *strategy)
{
	cJSON *object = cJSON_CreateObject(), *defaults;

	cJSON_AddStringToObject(object, "strategy", strategy->name);
	cJSON_AddStringToObject(object, "help", strategy->help);
	cJSON_AddStringToObject(object, "source", strategy->source);
	defaults = cJSON_AddObjectToObject(object, "parameters");
	say(ctx, "%-20s %s\n%-20s [%s]", strategy->name, strategy->help, "", strategy->source);
	for (size_t i = 0; i < N_PARAMETERS; i++) {
		if ((strategy->parameters & parameters[i].parameter) == 0)
			continue;
		if (parameters[i].offset == 0) {
			cJSON_AddNullToObject(defaults, parameters[i].option);
			say(ctx, " --%s", parameters[i].option);
			continue;
		}
		double value = *(const double *)((const char *)strategy + parameters[i].offset);

		cJSON_AddNumberToObject(defaults, parameters[i].option, value);
		say(ctx, " --%s %g", parameters[i].option, value);
	}
	say(ctx, "\n");
	say_json(ctx, object);
}

static void
list_strategies(struct context *ctx)
{
	for (size_t i = 0; t2l_merge_strategy(i) != NULL; i++)
		list_strategy(ctx, t2l_merge_strategy(i));
}

/* ---- merging ---- */

/* Those of the names unless --weights gives others; neither: the strategy's own (NULL). */
static bool
settle_weights(
    struct context *ctx, const struct options *opt, struct inputs *inputs, const double **weights)
{
	size_t n;
	const double *given = option_numbers(opt, "weights", &n);

	if (n != 0 && n != inputs->n) {
		context_usage(ctx, "%zu weights for %zu adapters", n, inputs->n);
		return false;
	}
	*weights = n != 0 ? given : inputs->weighted ? inputs->weights : NULL;
	return true;
}

static bool
show_progress(void *user, size_t done, size_t all)
{
	struct context *ctx = user;

	progress(ctx, "merging", (double)done, (double)all, "modules", -1);
	return ctx->cancelled == NULL || !*ctx->cancelled;
}

static double
number_or(const struct options *opt, const char *name, double fallback)
{
	return option_text(opt, name) != NULL ? option_number(opt, name) : fallback;
}

static struct t2l_merge_options
merge_options(struct context *ctx, const struct options *opt)
{
	struct t2l_merge_options merge = t2l_merge_defaults(option_text(opt, "merge-strategy"));

	merge.rank = (int)number_or(opt, "rank", 0);
	merge.density = number_or(opt, "density", -1);
	merge.lambda = number_or(opt, "lambda", 0);
	merge.gamma = number_or(opt, "gamma", -1);
	merge.epsilon = number_or(opt, "epsilon", -1);
	merge.majority_sign_method = option_text(opt, "majority-sign-method");
	merge.seed = (uint64_t)option_integer(opt, "seed");
	merge.on_module = show_progress;
	merge.user = ctx;
	return merge;
}

static void
tell_report(struct context *ctx, const struct t2l_merge_report *report)
{
	cJSON *object;

	if (report->relative_error == 0)
		return;
	object = cJSON_CreateObject();
	cJSON_AddNumberToObject(object, "rank", report->rank);
	cJSON_AddNumberToObject(object, "relative_error", report->relative_error);
	cJSON_AddNumberToObject(object, "largest_error", report->largest_error);
	cJSON_AddStringToObject(object, "largest_module", report->largest_module);
	say_json(ctx, object);
	say(ctx, "rank %d leaves out %.3g of the change (%.3g at %s)\n", report->rank,
	    report->relative_error, report->largest_error, report->largest_module);
}

/* Parents of the catalog, with the weights that were used. */
static void
settle_parents(struct inputs *inputs, const double *weights, const char *kind)
{
	for (size_t i = 0; i < inputs->n; i++)
		if (inputs->parents[i].id != 0)
			inputs->parents[inputs->n_parents++] =
			    (struct store_parent){ .id = inputs->parents[i].id,
				    .weight = weights != NULL ? weights[i] : 1 / (double)inputs->n,
				    .kind = kind };
}

/* --auto: the weights that do best on the examples, beginning with those of the line. */
static bool
search_weights(struct context *ctx, const struct options *opt, struct t2l_engine *engine,
    const struct t2l_merge_options *merge, struct inputs *inputs, const double **weights)
{
	struct t2l_merge_options quiet = *merge;
	struct merge_search search = {
		.engine = engine,
		.merge = &quiet,
		.adapters = inputs->adapters,
		.n = inputs->n,
		.path = option_text(opt, "auto"),
		.by_likelihood = strcmp(option_text(opt, "auto-score"), "likelihood") == 0,
		.largest = option_number(opt, "auto-limit"),
		.sweeps = 3,
	};
	struct merge_found found;
	cJSON *object;

	quiet.on_module = NULL;
	for (size_t i = 0; i < inputs->n; i++)
		inputs->weights[i] = *weights != NULL ? (*weights)[i] : 1 / (double)inputs->n;
	if (!workplace_model(ctx, option_text(opt, "base-model"), &search.model) ||
	    !merge_search_weights(ctx, &search, inputs->weights, &found))
		return false;
	*weights = inputs->weights;
	object = cJSON_CreateObject();
	cJSON_AddItemToObject(
	    object, "weights", cJSON_CreateDoubleArray(inputs->weights, (int)inputs->n));
	cJSON_AddNumberToObject(object, "examples", (double)found.n_examples);
	cJSON_AddNumberToObject(object, "tried", (double)found.n_tried);
	cJSON_AddNumberToObject(object, "exact_before", found.exact_before);
	cJSON_AddNumberToObject(object, "exact_after", found.exact_after);
	cJSON_AddNumberToObject(object, "likelihood_before", found.likelihood_before);
	cJSON_AddNumberToObject(object, "likelihood_after", found.likelihood_after);
	say_json(ctx, object);
	say(ctx, "weights");
	for (size_t i = 0; i < inputs->n; i++)
		say(ctx, " %.4f", inputs->weights[i]);
	say(ctx,
	    " after %zu tries: exact %.1f%% (was %.1f%%), log-probability a token %.4f (was %.4f), "
	    "%zu examples\n",
	    found.n_tried, 100 * found.exact_after, 100 * found.exact_before,
	    found.likelihood_after, found.likelihood_before, found.n_examples);
	return true;
}

/* --into-base: the base with the merge in its weights. */
static int
write_into_base(struct context *ctx, const struct options *opt, const struct t2l_adapter *merged)
{
	const struct t2l_into_base_options into = { show_progress, ctx };
	const char *base = option_text(opt, "into-base"), *output = option_text(opt, "output");
	struct t2l_into_base_report report;
	struct t2l_error err;
	char path[4096];
	cJSON *object;
	enum t2l_status status;

	workplace_find_model(ctx, base, path, sizeof path);
	status = t2l_adapter_into_base(merged, path, output, &into, &report, &err);
	progress(ctx, "merging", -1, 0, "", -1);
	if (status != T2L_OK)
		return context_fail_error(ctx, &err);
	object = cJSON_CreateObject();
	cJSON_AddStringToObject(object, "path", output);
	cJSON_AddStringToObject(object, "base", path);
	cJSON_AddNumberToObject(object, "tensors", (double)report.n_tensors);
	cJSON_AddNumberToObject(object, "changed", (double)report.n_changed);
	say_json(ctx, object);
	say(ctx, "%s  (%zu of %zu tensors changed)\n", output, report.n_changed, report.n_tensors);
	return 0;
}

static int
keep_merged(struct context *ctx, const struct options *opt, struct inputs *inputs,
    const double *weights, const struct t2l_adapter *merged)
{
	char kind[96];

	snprintf(kind, sizeof kind, "merge %.80s", option_text(opt, "merge-strategy"));
	settle_parents(inputs, weights, kind);
	struct keep_options keep = {
		.source = "merged", .parents = inputs->parents, .n_parents = inputs->n_parents
	};

	return adapter_output(ctx, opt, merged, &keep);
}

static bool
tell_warnings(struct context *ctx, const struct inputs *inputs)
{
	struct t2l_error err;
	char *lines, *rest, *line;

	if (t2l_merge_warnings(inputs->adapters, inputs->n, &lines, &err) != T2L_OK) {
		context_fail_error(ctx, &err);
		return false;
	}
	rest = lines;
	while ((line = strsep(&rest, "\n")) != NULL)
		if (line[0] != '\0')
			note(ctx, "%s", line);
	t2l_free(lines);
	return true;
}

static int
merge_inputs(struct context *ctx, const struct options *opt, struct inputs *inputs)
{
	struct t2l_merge_options merge = merge_options(ctx, opt);
	struct t2l_adapter *merged = NULL;
	struct t2l_merge_report report;
	struct t2l_engine *engine;
	struct t2l_error err;
	const double *weights;
	int status;

	if (!settle_weights(ctx, opt, inputs, &weights))
		return 2;
	if (!tell_warnings(ctx, inputs) || !workplace_engine(ctx, &engine) ||
	    (option_text(opt, "auto") != NULL &&
		!search_weights(ctx, opt, engine, &merge, inputs, &weights)))
		return 1;
	status = (int)t2l_adapter_merge(
	    engine, &merge, inputs->adapters, weights, inputs->n, &report, &merged, &err);
	progress(ctx, "merging", -1, 0, "", -1);
	if (status != T2L_OK)
		return context_fail_error(ctx, &err);
	status = option_text(opt, "into-base") != NULL
		     ? write_into_base(ctx, opt, merged)
		     : keep_merged(ctx, opt, inputs, weights, merged);
	if (status == 0)
		tell_report(ctx, &report);
	t2l_adapter_close(merged);
	return status;
}

static int
merge_run(struct context *ctx, const struct options *opt)
{
	struct inputs inputs = { .ctx = ctx };
	bool fine = true;
	int status = 1;

	if (option_flag(opt, "strategies")) {
		list_strategies(ctx);
		return 0;
	}
	if (option_count(opt, "adapters") == 0)
		return context_usage(ctx, "--adapters is wanted: names, paths or globs");
	if (option_text(opt, "into-base") != NULL && option_text(opt, "output") == NULL)
		return context_usage(ctx, "--into-base wants an --output to write to");
	for (size_t i = 0; i < option_count(opt, "adapters") && fine; i++)
		fine = adapter_names_each(ctx, option_nth(opt, "adapters", i), add_input, &inputs);
	if (fine)
		status = merge_inputs(ctx, opt, &inputs);
	for (size_t i = 0; i < inputs.n; i++)
		t2l_adapter_close((struct t2l_adapter *)inputs.adapters[i]);
	free(inputs.adapters);
	free(inputs.weights);
	free(inputs.parents);
	return status;
}

const struct command command_merge = {
	.name = "merge",
	.summary = "combine adapters into one",
	.details =
	    "The merge is a weighted sum of the adapters' effects: it mixes tasks, it does not "
	    "compose them. For "
	    "a task that is two tasks in one, describe both in one sentence to t2l generate.",
	.example = "t2l merge --adapters translate-es translate-fr --weights 0.5,0.5 --name both\n"
		   "t2l merge --adapters 'es-*' --merge-strategy ties_svd --density 0.3 --rank 8\n"
		   "t2l merge --adapters es:1 --into-base ./base --output ./base-es",
	.options = options,
	.run = merge_run,
};
