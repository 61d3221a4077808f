/* t2l import - take adapters into the catalog. */

#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/command.h"
#include "src/options.h"
#include "src/workplace.h"

static const struct option_spec options[] = {
	{ "name", 'n', OPTION_TEXT, 0, "name in the catalog (one adapter)" },
	{ "task", 't', OPTION_TEXT, 0, "what the adapter does, when the file does not say" },
	{ "tag", 0, OPTION_TEXT, MANY, "tag in the catalog" },
	{ "base-model", 'b', OPTION_MODEL, 0, "refuse what does not fit this base" },
	{ 0 },
};

static bool
fits(struct context *ctx, const struct options *opt, const struct t2l_adapter *adapter)
{
	const char *base = option_text(opt, "base-model");
	struct t2l_model *model;
	struct t2l_error err;
	bool other_base;

	if (base == NULL)
		return true;
	if (!workplace_model(ctx, base, &model))
		return false;
	if (t2l_adapter_check(adapter, model, &other_base, &err) != T2L_OK) {
		context_fail_error(ctx, &err);
		return false;
	}
	if (other_base)
		note(ctx, "it fits, but was made for other weights than those of '%s'",
		    t2l_model_facts(model)->name);
	return true;
}

/* The folder's or file's own name without its ending, when the catalog would take it; NULL else. */
static const char *
name_of(struct context *ctx, const char *path, char *name, size_t size)
{
	size_t n = strlen(path), from;
	struct store *store;
	char *dot;

	while (n > 1 && path[n - 1] == '/')
		n--;
	for (from = n; from > 0 && path[from - 1] != '/'; from--)
		;
	snprintf(name, size, "%.*s", (int)(n - from), path + from);
	dot = strrchr(name, '.');
	if (dot != NULL && dot != name)
		*dot = '\0';
	return workplace_store(ctx, &store) && store_check_name(store, name) == STORE_OK ? name
											 : NULL;
}

static bool
import_one(struct context *ctx, const struct options *opt, const char *path,
    const struct keep_options *keep)
{
	struct t2l_adapter *adapter, *labelled;
	struct t2l_error err;
	struct kept kept;
	const char *label = NULL;
	char name[STORE_NAME_MAX + 1];
	bool fine;

	if (t2l_adapter_open(path, &adapter, &err) != T2L_OK) {
		context_fail_error(ctx, &err);
		return false;
	}
	if (keep->name == NULL && t2l_adapter_facts(adapter)->name[0] == '\0' &&
	    t2l_adapter_facts(adapter)->task[0] == '\0' && option_text(opt, "task") == NULL)
		label = name_of(ctx, path, name, sizeof name);
	fine = t2l_adapter_relabel(adapter, label, option_text(opt, "task"), &labelled, &err) ==
	       T2L_OK;
	t2l_adapter_close(adapter);
	if (!fine) {
		context_fail_error(ctx, &err);
		return false;
	}
	fine = fits(ctx, opt, labelled) && workplace_keep(ctx, labelled, keep, &kept);
	if (fine) {
		cJSON *object = cJSON_CreateObject();

		cJSON_AddNumberToObject(object, "id", (double)kept.id);
		cJSON_AddStringToObject(object, "name", kept.name);
		cJSON_AddStringToObject(object, "path", kept.path);
		cJSON_AddBoolToObject(object, "twin", kept.again);
		say_json(ctx, object);
		say(ctx, "%s  (#%lld%s)\n", kept.name, (long long)kept.id,
		    kept.again ? ", the same numbers were there already" : "");
	}
	t2l_adapter_close(labelled);
	return fine;
}

static int
import_run(struct context *ctx, const struct options *opt)
{
	size_t n_tags = option_count(opt, "tag"), n = option_n_arguments(opt), failed = 0;
	const char **tags = calloc(n_tags + 1, sizeof *tags);
	struct keep_options keep = { .name = option_text(opt, "name"),
		.source = "imported",
		.tags = tags,
		.n_tags = n_tags };

	if (tags == NULL)
		return context_fail(ctx, "out of memory");
	for (size_t i = 0; i < n_tags; i++)
		tags[i] = option_nth(opt, "tag", i);
	if (keep.name != NULL && n > 1) {
		free(tags);
		return context_usage(ctx, "--name is for one adapter, %zu are given", n);
	}
	for (size_t i = 0; i < n; i++)
		failed += !import_one(ctx, opt, option_argument(opt, i), &keep);
	free(tags);
	if (failed > 0 && n > 1)
		context_fail(ctx, "%zu of %zu were not taken", failed, n);
	return failed > 0;
}

const struct command command_import = {
	.name = "import",
	.summary = "take adapters into the catalog",
	.details =
	    "PEFT directories and native files. What cannot be run as it stands (DoRA, bias, full "
	    "modules ...) is refused by name.",
	.example = "t2l import ./my-peft-adapter --task \"summarise the text\" --name summariser",
	.arguments = "PATH...",
	.min_arguments = 1,
	.max_arguments = -1,
	.argument_type = OPTION_PATH,
	.options = options,
	.run = import_run,
};
