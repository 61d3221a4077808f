/* t2l train - train a base, adapters, hypernets or an encoder by a recipe. */

#include "config.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/config-file.h"
#include "base/file.h"
#include "src/command.h"
#include "src/loss-plot.h"
#include "src/options.h"
#include "src/train-recipe.h"
#include "src/workplace.h"

#define MAX_QUERY 10000

static const struct option_spec train_options[] = {
	{ "config", 'c', OPTION_PATH, 0,
	    "recipe (TOML or YAML): [model] [training] [optimizer] [data]" },
	{ "mode", 0, OPTION_CHOICE, 0, "what is trained", .choices = train_mode_names },
	{ "dataset", 'd', OPTION_PATH, 0,
	    "examples: JSONL file, folder of tasks, suite or prepared tokens; of mode "
	    "reconstruction: a directory of adapters" },
	{ "suite", 0, OPTION_PATH, 0,
	    "task suite; of mode reconstruction: where descriptions are" },
	{ "query", 0, OPTION_TEXT, 0,
	    "mode reconstruction: the catalog's adapters that match, instead of a directory" },
	{ "tasks", 0, OPTION_TEXT, 0, "only these, divided by commas" },
	{ "base-model", 'b', OPTION_MODEL, 0, "the frozen base" },
	{ "encoder", 0, OPTION_PATH, 0, "task encoder; of mode encoder: the teacher" },
	{ "output", 'o', OPTION_PATH, 0, "where the result goes" },
	{ "name", 'n', OPTION_TEXT, 0, "keep the one adapter that comes of it in the catalog" },
	{ "tag", 0, OPTION_TEXT, MANY, "tag in the catalog" },
	{ "variant", 0, OPTION_CHOICE, 0, "size of the hypernet", .choices = train_variant_names },
	{ "epochs", 0, OPTION_INTEGER, 0, "passes over the tasks (of one task: its examples)",
	    .excludes = "steps", .min = 1, .max = 1e9 },
	{ "steps", 0, OPTION_INTEGER, 0, "optimiser steps", .min = 1, .max = 1e9 },
	{ "learning-rate", 0, OPTION_NUMBER, 0, "at its highest", .min = 1e-9, .max = 100 },
	{ "seed", 0, OPTION_INTEGER, 0, "of everything random", .min = 0, .max = 9e15 },
	{ "compute-dtype", 0, OPTION_CHOICE, 0,
	    "operands of products: bf16 rounds them, and keeps an f32 base in half its size",
	    .choices = train_compute_names },
	{ "max-memory", 0, OPTION_TEXT, 0,
	    "refuse what needs more (2G, 500M); without it: what is free", "SIZE" },
	{ "distributed", 0, OPTION_FLAG, 0, "share each step among the processes of mpirun" },
	{ "prepare", 0, OPTION_FLAG, 0, "only write the examples as tokens into --output" },
	{ "resume", 0, OPTION_FLAG, 0, "go on from the checkpoint beside the output" },
	{ "plot", 0, OPTION_FLAG, 0,
	    "draw the loss when done; with --check: of the log that is there" },
	{ "check", 0, OPTION_FLAG, 0, "say what would be done and what memory it needs, and stop" },
	{ 0 },
};

/* ---- progress ---- */

struct watcher {
	struct context *ctx;
	int64_t last_noted, steps; /* steps: 0 before the first */
	bool silent;		   /* another process tells */
};

static bool
watch(void *user, const struct t2l_train_progress *now)
{
	struct watcher *watcher = user;
	struct context *ctx = watcher->ctx;
	char unit[96] = "";

	if (watcher->silent)
		return !atomic_load(ctx->cancelled);
	if (strcmp(now->phase, "training") == 0) {
		watcher->steps = now->steps;
		snprintf(unit, sizeof unit, "loss %.4f  lr %.2e  %.0f tok/s", now->loss,
		    now->learning_rate, now->tokens_per_s);
	}
	if (isfinite(now->validation_loss))
		snprintf(unit + strlen(unit), sizeof unit - strlen(unit), "  held out %.4f",
		    now->validation_loss);
	progress(ctx, now->phase, (double)now->step, (double)now->steps, unit, now->eta_s);
	if (ctx->json && strcmp(now->phase, "training") == 0) {
		cJSON *object = cJSON_CreateObject();

		cJSON_AddNumberToObject(object, "step", (double)now->step);
		cJSON_AddNumberToObject(object, "steps", (double)now->steps);
		cJSON_AddNumberToObject(object, "loss", now->loss);
		cJSON_AddNumberToObject(object, "gradient_norm", now->gradient_norm);
		cJSON_AddNumberToObject(object, "learning_rate", now->learning_rate);
		cJSON_AddNumberToObject(object, "tokens_per_s", now->tokens_per_s);
		cJSON_AddNumberToObject(object, "eta_s", now->eta_s);
		if (isfinite(now->validation_loss))
			cJSON_AddNumberToObject(object, "validation_loss", now->validation_loss);
		say_json(ctx, object);
	}
	/* Without a terminal a line at every twentieth of the way tells that it lives. */
	if (!ctx->log.terminal && !ctx->quiet && now->steps > 0 &&
	    (now->step * 20 / now->steps != watcher->last_noted)) {
		watcher->last_noted = now->step * 20 / now->steps;
		note(ctx, "%s %lld/%lld%s%s", now->phase, (long long)now->step,
		    (long long)now->steps, unit[0] != '\0' ? "  " : "", unit);
	}
	return !atomic_load(ctx->cancelled);
}

/* ---- memory ---- */

/* "2G", "500M", "1048576"; 0: it is no size. */
static uint64_t
parse_size(const char *text)
{
	static const char units[] = "KMGT";
	char *end;
	double value = strtod(text, &end);
	const char *unit = *end != '\0' ? strchr(units, *end) : NULL;

	if (unit != NULL && end[1] == '\0')
		value *= (double)((uint64_t)1 << (10 * (unit - units + 1)));
	else if (*end != '\0')
		return 0;
	return value >= 1 && value < 9e18 ? (uint64_t)value : 0;
}

/* What the system says may be used without swapping; 0: it does not say. */
static uint64_t
free_memory(void)
{
	char *text = read_whole_file("/proc/meminfo", 1 << 16, NULL);
	char *line = text != NULL ? strstr(text, "MemAvailable:") : NULL;
	unsigned long long kib = 0;

	if (line != NULL && sscanf(line, "MemAvailable: %llu kB", &kib) != 1)
		kib = 0;
	free(text);
	return (uint64_t)kib << 10;
}

/* ---- what is asked for ---- */

/* Everything a training needs beside the options that the engine gets. */
struct plan {
	struct context *ctx;
	const struct options *opt;
	struct t2l_train_options train;
	char base[PATH_MAX], kept_output[PATH_MAX];
	struct store_adapters *found; /* of --query */
	struct t2l_train_adapter *adapters;
};

static bool
take_texts(struct plan *plan)
{
	const struct {
		const char *name;
		const char **member;
	} texts[] = {
		{ "suite", &plan->train.suite },
		{ "tasks", &plan->train.tasks },
		{ "encoder", &plan->train.encoder },
		{ "output", &plan->train.output },
		{ "variant", &plan->train.variant },
		{ "compute-dtype", &plan->train.compute_dtype },
	};
	const char *mode = option_text(plan->opt, "mode");
	const char *dataset = option_text(plan->opt, "dataset");
	const char *base = option_text(plan->opt, "base-model");

	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		if (option_text(plan->opt, texts[i].name) != NULL)
			*texts[i].member = option_text(plan->opt, texts[i].name);
	for (size_t i = 0; mode != NULL && train_mode_names[i] != NULL; i++)
		if (strcmp(mode, train_mode_names[i]) == 0)
			plan->train.mode = train_modes[i];
	if (dataset != NULL && option_text(plan->opt, "suite") != NULL &&
	    plan->train.mode != T2L_TRAIN_RECONSTRUCTION) {
		context_usage(plan->ctx, "--dataset and --suite both name the examples");
		return false;
	}
	if (dataset != NULL)
		*(plan->train.mode == T2L_TRAIN_RECONSTRUCTION ? &plan->train.adapters_path
							       : &plan->train.suite) = dataset;
	if (base != NULL) {
		workplace_find_model(plan->ctx, base, plan->base, sizeof plan->base);
		plan->train.base_model = plan->base;
	}
	return true;
}

static bool
take_numbers(struct plan *plan)
{
	const struct options *opt = plan->opt;
	struct t2l_train_options *train = &plan->train;
	const char *limit = option_text(opt, "max-memory");

	if (option_text(opt, "epochs") != NULL)
		train->epochs = option_integer(opt, "epochs");
	if (option_text(opt, "steps") != NULL) {
		train->steps = option_integer(opt, "steps");
		train->epochs = 0;
	}
	if (option_text(opt, "learning-rate") != NULL)
		train->learning_rate = (float)option_number(opt, "learning-rate");
	if (option_text(opt, "seed") != NULL)
		train->seed = (uint64_t)option_integer(opt, "seed");
	train->resume = option_flag(opt, "resume");
	train->distributed = train->distributed || option_flag(opt, "distributed");
	if (train->warmup_steps > train->steps)
		train->warmup_steps = train->steps;
	train->max_memory = limit != NULL ? parse_size(limit) : free_memory();
	if (limit != NULL && train->max_memory == 0) {
		context_usage(plan->ctx, "--max-memory '%s' is no size like 2G or 500M", limit);
		return false;
	}
	return true;
}

/* Lines of a JSONL file; 0: it is another kind of file. */
static size_t
count_lines(const char *path)
{
	struct mapped_file file;
	size_t n = 0;

	if (mapped_file_open(path, &file) != 0)
		return 0;
	if (file.n > 0 && file.bytes[0] == '{')
		n = 1;
	for (size_t i = 0; n > 0 && i < file.n; i++)
		n += file.bytes[i] == '\n';
	mapped_file_close(&file);
	return n;
}

/* One adapter from a file of examples, with no recipe: settings that suit such a file. */
static void
suit_one_file(struct plan *plan)
{
	struct t2l_train_options *train = &plan->train;
	struct stat place;
	size_t n;

	if (train->mode != T2L_TRAIN_LORA || train->suite == NULL ||
	    stat(train->suite, &place) != 0 || S_ISDIR(place.st_mode))
		return;
	n = count_lines(train->suite);
	if (!S_ISREG(place.st_mode) && option_text(plan->opt, "steps") == NULL &&
	    option_text(plan->opt, "epochs") == NULL)
		note(plan->ctx,
		    "'%s' cannot be counted beforehand: 200 steps; --epochs or --steps says more",
		    train->suite);
	train->each_once = true;
	train->batch_points = 8;
	train->steps = (int64_t)(n * 3 / 8) > 200 ? (int64_t)(n * 3 / 8) : 200;
	train->learning_rate = 1e-3f;
	train->schedule = T2L_SCHEDULE_COSINE;
	train->warmup_steps = train->steps / 20;
	train->weighting = T2L_WEIGHT_EXAMPLES;
	train->validation = n >= 20 ? 0.1f : 0;
	train->validate_every = train->steps / 20;
	train->max_tokens = 1024;
}

/* --query: the catalog's adapters. */
static bool
take_query(struct plan *plan)
{
	struct store_query query = {
		.text = option_text(plan->opt, "query"), .sort = STORE_SORT_NAME, .limit = MAX_QUERY
	};
	struct store *store;

	if (query.text == NULL)
		return true;
	if (plan->train.mode != T2L_TRAIN_RECONSTRUCTION) {
		context_usage(plan->ctx, "--query is for mode reconstruction");
		return false;
	}
	if (!workplace_store(plan->ctx, &store))
		return false;
	if (store_search(store, &query, &plan->found) != STORE_OK) {
		context_fail(plan->ctx, "%s", store_error(store));
		return false;
	}
	plan->adapters = calloc(plan->found->n_rows + 1, sizeof *plan->adapters);
	for (size_t i = 0; plan->adapters != NULL && i < plan->found->n_rows; i++)
		plan->adapters[i] = (struct t2l_train_adapter){ plan->found->rows[i].path,
			plan->found->rows[i].name, plan->found->rows[i].task };
	plan->train.adapters = plan->adapters;
	plan->train.n_adapters = plan->found->n_rows;
	return plan->adapters != NULL;
}

/* A name that is taken, or none, is told before hours of training, not after. */
static bool
name_can_be_given(const struct plan *plan, const char *name)
{
	struct store_adapter *there = NULL;
	struct store *store;

	if (!workplace_store(plan->ctx, &store))
		return false;
	if (store_check_name(store, name) != STORE_OK) {
		context_fail(plan->ctx, "%s", store_error(store));
		return false;
	}
	if (store_find(store, name, &there) != STORE_OK || strcmp(there->name, name) != 0) {
		store_free(there);
		return true;
	}
	context_fail(plan->ctx,
	    "the name '%s' is taken by adapter %lld; choose another, or rename that one", name,
	    (long long)there->id);
	store_free(there);
	return false;
}

/* --name without --output: the catalog's copy is the only one that stays. */
static bool
take_output(struct plan *plan)
{
	const char *name = option_text(plan->opt, "name");
	bool one = plan->train.mode == T2L_TRAIN_LORA || plan->train.mode == T2L_TRAIN_MULTI_TASK;

	if (name == NULL && option_count(plan->opt, "tag") > 0) {
		context_usage(plan->ctx, "--tag is for what --name keeps in the catalog");
		return false;
	}
	if (name != NULL && !one) {
		context_usage(plan->ctx, "--name is for one adapter: --mode lora or multi-task");
		return false;
	}
	if (plan->train.output == NULL && name != NULL) {
		if (strchr(name, '/') != NULL || name[0] == '.' || name[0] == '\0') {
			context_usage(plan->ctx, "--name '%s' is no name of an adapter", name);
			return false;
		}
		snprintf(plan->kept_output, sizeof plan->kept_output, "%s/training/%s.safetensors",
		    workplace_home(plan->ctx), name);
		plan->train.output = plan->kept_output;
	}
	if (plan->train.output == NULL)
		context_usage(plan->ctx, "--output is wanted (or output in [data] of the recipe)");
	return plan->train.output != NULL;
}

/* ---- running ---- */

/* OUTPUT.ENDING, where t2l_train() has its log and its checkpoint. */
static void
path_beside(const struct t2l_train_options *train, const char *ending, char *path, size_t size)
{
	size_t n = strlen(train->output);

	while (n > 1 && train->output[n - 1] == '/')
		n--;
	snprintf(path, size, "%.*s.%s", (int)n, train->output, ending);
}

static int
plot(struct plan *plan)
{
	char path[PATH_MAX];

	if (plan->train.log != NULL)
		snprintf(path, sizeof path, "%s", plan->train.log);
	else
		path_beside(&plan->train, "train-log.jsonl", path, sizeof path);
	return loss_plot(plan->ctx, path) ? 0 : 1;
}

static int
keep(struct plan *plan)
{
	struct context *ctx = plan->ctx;
	size_t n_tags = option_count(plan->opt, "tag");
	const char **tags = calloc(n_tags + 1, sizeof *tags);
	struct keep_options options = { .name = option_text(plan->opt, "name"),
		.source = "trained",
		.tags = tags,
		.n_tags = n_tags };
	struct t2l_adapter *adapter;
	struct kept kept;
	struct t2l_error err;
	bool fine;

	for (size_t i = 0; tags != NULL && i < n_tags; i++)
		tags[i] = option_nth(plan->opt, "tag", i);
	if (tags == NULL || t2l_adapter_open(plan->train.output, &adapter, &err) != T2L_OK) {
		free(tags);
		return context_fail(
		    ctx, "the result is not one adapter that could be kept as '%s'", options.name);
	}
	fine = workplace_keep(ctx, adapter, &options, &kept);
	t2l_adapter_close(adapter);
	free(tags);
	if (!fine)
		return 1;
	if (plan->kept_output[0] != '\0')
		unlink(plan->kept_output);
	say(ctx, "%s  (#%lld)\n", kept.name, (long long)kept.id);
	return 0;
}

/* A run from the start would write over what an interrupted one left. */
static void
note_checkpoint(const struct plan *plan)
{
	char path[PATH_MAX];

	path_beside(&plan->train, "checkpoint", path, sizeof path);
	if (!plan->train.resume && access(path, F_OK) == 0)
		note(plan->ctx,
		    "'%s' is of a run that was stopped: this one begins anew; --resume "
		    "would go on",
		    path);
}

/* Open MPI tells each process its number; alone there is none. */
static bool
is_first_process(void)
{
	const char *rank = getenv("OMPI_COMM_WORLD_RANK");

	return rank == NULL || strcmp(rank, "0") == 0;
}

/* Each of these processes would train the same and write over the others. */
static bool
stands_alone(void)
{
	const char *size = getenv("OMPI_COMM_WORLD_SIZE");

	return size == NULL || strcmp(size, "1") == 0;
}

static int
run_training(struct plan *plan)
{
	struct context *ctx = plan->ctx;
	const bool silent = plan->train.distributed && !is_first_process();
	struct watcher watcher = { .ctx = ctx, .last_noted = -1, .silent = silent };
	struct t2l_engine *engine;
	struct t2l_error err;
	cJSON *object;

	if (!plan->train.distributed && !stands_alone())
		return context_usage(ctx,
		    "mpirun started several processes, which share a training with "
		    "--distributed only");
	if (!workplace_engine(ctx, &engine))
		return 1;
	if (!silent)
		note_checkpoint(plan);
	if (t2l_train(engine, &plan->train, watch, &watcher, &err) != T2L_OK)
		return context_fail_error(ctx, &err);
	if (silent)
		return 0;
	object = cJSON_CreateObject();
	cJSON_AddStringToObject(object, "mode", train_mode_names[plan->train.mode]);
	cJSON_AddStringToObject(object, "output", plan->train.output);
	cJSON_AddNumberToObject(
	    object, "steps", (double)(watcher.steps > 0 ? watcher.steps : plan->train.steps));
	say_json(ctx, object);
	if (option_text(plan->opt, "name") != NULL && keep(plan) != 0)
		return 1;
	if (plan->kept_output[0] == '\0')
		say(ctx, "%s\n", plan->train.output);
	return option_flag(plan->opt, "plot") ? plot(plan) : 0;
}

static int
prepare(struct plan *plan)
{
	size_t n_tasks, n_examples;
	uint64_t n_tokens;
	struct t2l_error err;
	cJSON *object;

	if (t2l_train_prepare(&plan->train, &n_tasks, &n_examples, &n_tokens, &err) != T2L_OK)
		return context_fail_error(plan->ctx, &err);
	object = cJSON_CreateObject();
	cJSON_AddStringToObject(object, "output", plan->train.output);
	cJSON_AddNumberToObject(object, "tasks", (double)n_tasks);
	cJSON_AddNumberToObject(object, "examples", (double)n_examples);
	cJSON_AddNumberToObject(object, "tokens", (double)n_tokens);
	say_json(plan->ctx, object);
	say(plan->ctx, "%s  (%zu tasks, %zu examples, %llu tokens)\n", plan->train.output, n_tasks,
	    n_examples, (unsigned long long)n_tokens);
	return 0;
}

/* ---- what would be done ---- */

static void
add_memory(cJSON *object, const struct t2l_train_estimate *needs, uint64_t limit)
{
	cJSON *memory = cJSON_AddObjectToObject(object, "memory");

	cJSON_AddNumberToObject(memory, "base", (double)needs->base);
	cJSON_AddNumberToObject(memory, "parameters", (double)needs->parameters);
	cJSON_AddNumberToObject(memory, "activations", (double)needs->activations);
	cJSON_AddNumberToObject(memory, "rest", (double)needs->rest);
	cJSON_AddNumberToObject(memory, "total", (double)needs->total);
	if (limit > 0)
		cJSON_AddNumberToObject(memory, "limit", (double)limit);
}

/* What it would do, and what memory that takes. */
static int
tell_needs(struct plan *plan, struct t2l_engine *engine)
{
	const struct t2l_train_options *train = &plan->train;
	const double mib = 1 << 20;
	struct t2l_train_estimate needs;
	struct t2l_error err;
	cJSON *object;

	if (t2l_train_estimate(engine, train, &needs, &err) != T2L_OK)
		return context_fail_error(plan->ctx, &err);
	object = cJSON_CreateObject();
	cJSON_AddStringToObject(object, "mode", train_mode_names[train->mode]);
	cJSON_AddStringToObject(object, "output", train->output);
	cJSON_AddNumberToObject(object, "steps", (double)needs.steps);
	cJSON_AddNumberToObject(object, "parameters", (double)needs.n_parameters);
	add_memory(object, &needs, train->max_memory);
	say_json(plan->ctx, object);
	say(plan->ctx, "%s -> %s, %lld steps, %lld parameters\n", train_mode_names[train->mode],
	    train->output, (long long)needs.steps, (long long)needs.n_parameters);
	say(plan->ctx,
	    "memory about %.0f MiB: base %.1f, parameters with gradients and moments %.1f, "
	    "activations %.1f, the rest %.1f\n",
	    (double)needs.total / mib, (double)needs.base / mib, (double)needs.parameters / mib,
	    (double)needs.activations / mib, (double)needs.rest / mib);
	if (train->max_memory > 0 &&
	    needs.base + needs.parameters + needs.activations + needs.rest > train->max_memory)
		return context_fail(plan->ctx, "it does not fit: %.0f MiB may be used",
		    (double)train->max_memory / mib);
	return 0;
}

/* With --plot the log alone is looked at, and nothing is opened. */
static int
tell_plan(struct plan *plan)
{
	struct t2l_engine *engine;

	if (option_flag(plan->opt, "plot")) {
		say(plan->ctx, "%s -> %s\n", train_mode_names[plan->train.mode],
		    plan->train.output);
		return plot(plan);
	}
	return workplace_engine(plan->ctx, &engine) ? tell_needs(plan, engine) : 1;
}

/* What a mode does not look at is told, for it may have been meant for another one. */
static void
note_unused(const struct plan *plan, const struct config_value *recipe)
{
	static const char *const rows[][2] = {
		{ "variant", "model.variant" },
		{ "encoder", "data.encoder" },
		{ "base-model", "data.base_model" },
		{ "tasks", "data.tasks" },
	};
	const enum t2l_train_mode mode = plan->train.mode;
	struct buffer keys = { 0 };

	if (option_flag(plan->opt, "prepare") || !is_first_process())
		return;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		if (option_text(plan->opt, rows[i][0]) != NULL &&
		    !train_recipe_key_counts(rows[i][1], mode))
			note(plan->ctx, "--%s changes nothing in mode %s", rows[i][0],
			    train_mode_names[mode]);
	if (recipe != NULL)
		train_recipe_idle_keys(recipe, mode, &keys);
	if (keys.n > 0)
		note(plan->ctx, "of the recipe, these change nothing in mode %s: %s",
		    train_mode_names[mode], buffer_string(&keys));
	buffer_free(&keys);
}

static int
run_plan(struct plan *plan, const struct config_value *recipe)
{
	if (!take_texts(plan))
		return 2;
	note_unused(plan, recipe);
	if (option_text(plan->opt, "config") == NULL)
		suit_one_file(plan);
	if (!take_numbers(plan) || !take_output(plan))
		return 2;
	if (!take_query(plan))
		return 1;
	if (option_text(plan->opt, "name") != NULL &&
	    !name_can_be_given(plan, option_text(plan->opt, "name")))
		return 1;
	if (option_flag(plan->opt, "check"))
		return tell_plan(plan);
	return option_flag(plan->opt, "prepare") ? prepare(plan) : run_training(plan);
}

static int
train_run(struct context *ctx, const struct options *opt)
{
	const char *recipe = option_text(opt, "config");
	struct plan *plan = calloc(1, sizeof *plan);
	struct config_value *root = NULL;
	struct config_error error;
	char message[2048];
	int status = 0;

	if (plan == NULL)
		return context_fail(ctx, "out of memory");
	plan->ctx = ctx;
	plan->opt = opt;
	t2l_train_defaults(&plan->train);
	if (recipe != NULL) {
		root = config_open(recipe, &error);
		if (root == NULL || !train_recipe_read(root, &plan->train, &error)) {
			config_error_text(&error, recipe, message, sizeof message);
			status = context_fail(ctx, "%s", message);
		}
	}
	if (status == 0)
		status = run_plan(plan, root);
	store_free(plan->found);
	free(plan->adapters);
	free(plan);
	config_free(root);
	return status;
}

const struct command command_train = {
	.name = "train",
	.summary = "train an adapter, a hypernet, a task encoder or a base",
	.details =
	    "Fine-tuning one adapter on a file of examples needs --mode lora, --base-model, "
	    "--dataset and --output or --name, no recipe; lines are {\"prompt\", "
	    "\"response\"} or {\"messages\": [..]}. A recipe names everything; options on the "
	    "line override it. Training can be stopped at any time: --resume goes on from the "
	    "last checkpoint and ends with the same bits.",
	.example = "t2l train --mode lora --base-model B --dataset data.jsonl --output my-adapter\n"
		   "t2l train --config share/recipes/demo-L.toml --resume",
	.options = train_options,
	.run = train_run,
};
