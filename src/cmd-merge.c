/* t2l merge - combine adapters into one. */

#include "config.h"

#include <fnmatch.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "src/adapter-output.h"
#include "src/command.h"
#include "src/options.h"
#include "src/workplace.h"

static const struct option_spec options[] = {
	{ "adapters", 'a', OPTION_ADAPTER, MANY,
	    "adapters to merge: names, paths or globs, each perhaps NAME:WEIGHT" },
	{ "weights", 'w', OPTION_NUMBERS, 0, "one for each, instead of those in the names",
	    .min = -1000, .max = 1000 },
	{ "merge-strategy", 's', OPTION_TEXT, 0, "how (--strategies lists them)",
	    .fallback = "linear", .argument = "NAME" },
	{ "strategies", 0, OPTION_FLAG, 0, "list the strategies" },
	ADAPTER_OUTPUT_OPTIONS,
	{ 0 },
};

/* All adapters of the line in one list, with where they come from. */
struct inputs {
	const struct t2l_adapter **adapters;
	float *weights;
	struct store_parent *parents; /* one for each at first, then those of the catalog */
	size_t n, n_parents;
	bool weighted; /* a NAME:WEIGHT was written */
};

static bool
add_input(struct context *ctx, struct inputs *inputs, const char *text)
{
	struct mix mix;
	size_t n = inputs->n + 1;
	const struct t2l_adapter **adapters = realloc(inputs->adapters, n * sizeof *adapters);
	float *weights = realloc(inputs->weights, n * sizeof *weights);
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
	adapters[inputs->n] = t2l_adapter_ref(mix.adapters[0]);
	parents[inputs->n] = (struct store_parent){ .id = mix.adapter_id };
	weights[inputs->n++] = mix.weights[0];
	inputs->weighted |= strrchr(text, ':') != NULL;
	mix_release(&mix);
	return true;
}

/* A pattern's weight goes to all that it matches: "m-*:0.5" -> "m-*" and ":0.5". */
static const char *
cut_suffix(char *pattern)
{
	char *colon = strrchr(pattern, ':'), *end;

	if (colon == NULL || colon[1] == '\0')
		return "";
	strtod(colon + 1, &end);
	if (*end != '\0')
		return "";
	*colon = '\0';
	return colon + 1;
}

static bool
add_match(struct context *ctx, struct inputs *inputs, const char *name, const char *weight)
{
	struct buffer text = { 0 };
	bool fine;

	buffer_printf(&text, "%s%s%s", name, weight[0] ? ":" : "", weight);
	fine = !buffer_failed(&text) && add_input(ctx, inputs, buffer_string(&text));
	buffer_free(&text);
	return fine;
}

/* The adapters of the catalog whose names PATTERN matches. */
static bool
add_names(struct context *ctx, struct inputs *inputs, const char *pattern, const char *weight)
{
	struct store_strings *names;
	struct store *store;
	size_t before = inputs->n;
	bool fine = true;

	if (!workplace_store(ctx, &store))
		return false;
	if (store_names(store, "", SIZE_MAX, &names) != STORE_OK) {
		context_fail(ctx, "%s", store_error(store));
		return false;
	}
	for (size_t i = 0; i < names->n_rows && fine; i++)
		if (fnmatch(pattern, names->rows[i], 0) == 0)
			fine = add_match(ctx, inputs, names->rows[i], weight);
	store_free(names);
	if (fine && inputs->n == before)
		context_fail(ctx, "'%s' matches no file and no name in the catalog", pattern);
	return fine && inputs->n > before;
}

/* A name, a path, or a pattern of paths or else of names. */
static bool
add_inputs(struct context *ctx, struct inputs *inputs, const char *text)
{
	char *pattern;
	const char *weight;
	glob_t found;
	bool fine = true;

	if (strpbrk(text, "*?[") == NULL || access(text, F_OK) == 0)
		return add_input(ctx, inputs, text);
	pattern = strdup(text);
	if (pattern == NULL) {
		context_fail(ctx, "out of memory");
		return false;
	}
	weight = cut_suffix(pattern);
	if (glob(pattern, 0, NULL, &found) == 0) {
		for (size_t i = 0; i < found.gl_pathc && fine; i++)
			fine = add_match(ctx, inputs, found.gl_pathv[i], weight);
		globfree(&found);
	} else {
		fine = add_names(ctx, inputs, pattern, weight);
	}
	free(pattern);
	return fine;
}

static void
list_strategies(struct context *ctx)
{
	const char *const *names = t2l_merge_strategies();

	for (size_t i = 0; names[i] != NULL; i++) {
		cJSON *object = cJSON_CreateObject();

		cJSON_AddStringToObject(object, "strategy", names[i]);
		cJSON_AddStringToObject(object, "help", t2l_merge_strategy_help(names[i]));
		say_json(ctx, object);
		say(ctx, "%-10s %s\n", names[i], t2l_merge_strategy_help(names[i]));
	}
}

/* Equal shares unless weights are given: the mean, not the sum, is what people expect of a merge.
 */
static int
settle_weights(struct context *ctx, const struct options *opt, struct inputs *inputs)
{
	size_t n;
	const double *weights = option_numbers(opt, "weights", &n);

	if (n != 0 && n != inputs->n)
		return context_usage(ctx, "%zu weights for %zu adapters", n, inputs->n);
	for (size_t i = 0; i < inputs->n; i++) {
		if (n != 0)
			inputs->weights[i] = (float)weights[i];
		else if (!inputs->weighted)
			inputs->weights[i] = 1.0f / (float)inputs->n;
	}
	return 0;
}

static int
merge_run(struct context *ctx, const struct options *opt)
{
	struct inputs inputs = { 0 };
	struct t2l_adapter *merged = NULL;
	const char *strategy = option_text(opt, "merge-strategy");
	char kind[96];
	struct t2l_error err;
	bool fine = true;
	int status = 1;

	if (option_flag(opt, "strategies")) {
		list_strategies(ctx);
		return 0;
	}
	if (option_count(opt, "adapters") == 0)
		return context_usage(ctx, "--adapters is wanted: names, paths or globs");
	for (size_t i = 0; i < option_count(opt, "adapters") && fine; i++)
		fine = add_inputs(ctx, &inputs, option_nth(opt, "adapters", i));
	if (fine) {
		status = settle_weights(ctx, opt, &inputs);
		fine = status == 0;
	}
	if (fine && t2l_adapter_merge(strategy, inputs.adapters, inputs.weights, inputs.n, &merged,
			&err) != T2L_OK)
		status = context_fail_error(ctx, &err);
	else if (fine) {
		snprintf(kind, sizeof kind, "merge %.80s", strategy);
		for (size_t i = 0; i < inputs.n; i++)
			if (inputs.parents[i].id != 0)
				inputs.parents[inputs.n_parents++] =
				    (struct store_parent){ .id = inputs.parents[i].id,
					    .weight = (double)inputs.weights[i],
					    .kind = kind };
		struct keep_options keep = {
			.source = "merged", .parents = inputs.parents, .n_parents = inputs.n_parents
		};

		status = adapter_output(ctx, opt, merged, &keep);
	}
	t2l_adapter_close(merged);
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
	.example = "t2l merge --adapters translate-es translate-fr --weights 0.5,0.5 --name both",
	.options = options,
	.run = merge_run,
};
