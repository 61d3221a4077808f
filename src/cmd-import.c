/* t2l import - take adapters into the catalog. */

#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/visible.h"
#include "src/adapter-tree.h"
#include "src/command.h"
#include "src/options.h"
#include "src/workplace.h"

static const struct option_spec options[] = {
	{ "name", 'n', OPTION_TEXT, 0, "name in the catalog (one adapter)" },
	{ "task", 't', OPTION_TEXT, 0, "what the adapter does, when the file does not say" },
	{ "tag", 0, OPTION_TEXT, MANY, "tag in the catalog" },
	{ "base-model", 'b', OPTION_MODEL, 0, "refuse what does not fit this base" },
	{ "recursive", 'r', OPTION_FLAG, 0, "take all adapters of these directory trees" },
	{ 0 },
};

struct import {
	struct context *ctx;
	const struct options *opt;
	struct keep_options keep;
	bool batch; /* a tree: refusals are told at the end */
	size_t n_kept, n_again, n_refused;
	struct buffer refused; /* lines of a batch */
};

/* ---- one adapter ---- */

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

static enum t2l_status
check_base(struct import *import, const struct t2l_adapter *adapter, struct t2l_error *err)
{
	const char *base = option_text(import->opt, "base-model");
	struct t2l_model *model;
	bool other_base;
	enum t2l_status status;

	if (base == NULL)
		return T2L_OK;
	if (!workplace_model(import->ctx, base, &model)) { /* cannot be: it is open already */
		*err = (struct t2l_error){ T2L_ENOENT, "the base is gone" };
		return err->status;
	}
	status = t2l_adapter_check(adapter, model, &other_base, err);
	if (status == T2L_OK && other_base && !import->batch)
		note(import->ctx, "it fits, but was made for other weights than those of '%s'",
		    t2l_model_facts(model)->name);
	return status;
}

/* The adapter of PATH with its labels, checked. */
static enum t2l_status
open_labelled(
    struct import *import, const char *path, struct t2l_adapter **labelled, struct t2l_error *err)
{
	const char *task = option_text(import->opt, "task"), *label = NULL;
	char name[STORE_NAME_MAX + 1];
	const struct t2l_adapter_facts *facts;
	struct t2l_adapter *adapter;
	enum t2l_status status;

	if ((status = t2l_adapter_open(path, &adapter, err)) != T2L_OK)
		return status;
	facts = t2l_adapter_facts(adapter);
	/* A PEFT directory is known by its name, also when it tells what it does. */
	if (import->keep.name == NULL && task == NULL && facts->name[0] == '\0' &&
	    (facts->task[0] == '\0' || strcmp(facts->format, "peft") == 0))
		label = name_of(import->ctx, path, name, sizeof name);
	status = check_base(import, adapter, err);
	if (status == T2L_OK)
		status = t2l_adapter_relabel(adapter, label, task, labelled, err);
	t2l_adapter_close(adapter);
	return status;
}

static void
tell(struct import *import, const struct t2l_adapter *adapter, const struct kept *kept)
{
	const struct t2l_adapter_facts *facts = t2l_adapter_facts(adapter);
	struct context *ctx = import->ctx;
	cJSON *object = cJSON_CreateObject();

	cJSON_AddNumberToObject(object, "id", (double)kept->id);
	cJSON_AddStringToObject(object, "name", kept->name);
	cJSON_AddStringToObject(object, "path", kept->path);
	cJSON_AddStringToObject(object, "format", facts->format);
	cJSON_AddStringToObject(object, "hash", facts->hash);
	cJSON_AddStringToObject(object, "note", facts->note);
	cJSON_AddBoolToObject(object, "again", kept->again);
	cJSON_AddStringToObject(object, "twin", kept->twin);
	say_json(ctx, object);
	if (!import->batch && kept->again)
		say(ctx, "%s  (#%lld does the same and is there already; --name keeps another)\n",
		    kept->name, (long long)kept->id);
	else if (!import->batch)
		say(ctx, "%s  (#%lld, %s%s%s)\n", kept->name, (long long)kept->id, facts->format,
		    kept->twin[0] != '\0' ? ", does the same as " : "", kept->twin);
	if (!import->batch && facts->note[0] != '\0')
		note(ctx, "%s", facts->note);
}

static void
refuse(struct import *import, const char *path, const struct t2l_error *err)
{
	cJSON *object;

	import->n_refused++;
	if (!import->batch) {
		context_fail_error(import->ctx, err);
		return;
	}
	object = cJSON_CreateObject();
	cJSON_AddStringToObject(object, "refused", path);
	cJSON_AddStringToObject(object, "error", err->message);
	say_json(import->ctx, object);
	buffer_text(&import->refused, "  ");
	visible_append(&import->refused, path, strlen(path), 0);
	buffer_text(&import->refused, ": ");
	visible_append(&import->refused, err->message, strlen(err->message), 0);
	buffer_char(&import->refused, '\n');
}

static void
import_one(struct import *import, const char *path)
{
	struct t2l_adapter *adapter;
	struct t2l_error err;
	struct kept kept;
	bool fine;

	/* A line break in a name would let a file speak for another in every list. */
	if (strpbrk(path, "\n\r") != NULL) {
		err = (struct t2l_error){ .status = T2L_EINVAL };
		snprintf(err.message, sizeof err.message, "its name has a line break in it");
		refuse(import, path, &err);
		return;
	}
	if (open_labelled(import, path, &adapter, &err) != T2L_OK) {
		refuse(import, path, &err);
		return;
	}
	fine = workplace_keep(import->ctx, adapter, &import->keep, &kept);
	if (fine) {
		import->n_kept += !kept.again;
		import->n_again += kept.again;
		tell(import, adapter, &kept);
	} else {
		import->n_refused++;
	}
	t2l_adapter_close(adapter);
}

/* ---- trees ---- */

static bool
import_tree(struct import *import, const char *directory)
{
	struct adapter_tree tree;
	bool fine = adapter_tree_walk(import->ctx, directory, &tree);

	for (size_t i = 0; fine && i < tree.n && !atomic_load(import->ctx->cancelled); i++) {
		progress(import->ctx, "importing", (double)i, (double)tree.n, "adapters", -1);
		import_one(import, tree.paths[i]);
	}
	progress(import->ctx, "importing", -1, 0, "adapters", -1);
	adapter_tree_free(&tree);
	return fine;
}

static void
summarise(struct import *import)
{
	struct context *ctx = import->ctx;
	cJSON *object = cJSON_CreateObject();

	cJSON_AddNumberToObject(object, "imported", (double)import->n_kept);
	cJSON_AddNumberToObject(object, "twins", (double)import->n_again);
	cJSON_AddNumberToObject(object, "refusals", (double)import->n_refused);
	say_json(ctx, object);
	say(ctx, "%zu imported, %zu there already, %zu refused\n", import->n_kept, import->n_again,
	    import->n_refused);
	if (import->refused.n > 0)
		say(ctx, "%s", buffer_string(&import->refused));
}

/* -> exit status */
static int
import_all(struct import *import)
{
	const struct options *opt = import->opt;
	size_t n = option_n_arguments(opt);
	struct t2l_model *model;
	bool fine = true;

	if (option_text(opt, "base-model") != NULL &&
	    !workplace_model(import->ctx, option_text(opt, "base-model"), &model))
		return 1;
	if (!workplace_note_contents(import->ctx))
		return 1;
	for (size_t i = 0; i < n && fine; i++) {
		if (import->batch)
			fine = import_tree(import, option_argument(opt, i));
		else
			import_one(import, option_argument(opt, i));
	}
	if (import->batch)
		summarise(import);
	else if (import->n_refused > 0 && n > 1)
		context_fail(import->ctx, "%zu of %zu were not taken", import->n_refused, n);
	return fine && import->n_refused == 0 ? 0 : 1;
}

static int
import_run(struct context *ctx, const struct options *opt)
{
	size_t n_tags = option_count(opt, "tag");
	const char **tags = calloc(n_tags + 1, sizeof *tags);
	struct import import = { .ctx = ctx,
		.opt = opt,
		.batch = option_flag(opt, "recursive"),
		.keep = { .name = option_text(opt, "name"),
		    .source = "imported",
		    .tags = tags,
		    .n_tags = n_tags,
		    .refuse_twin = option_text(opt, "name") == NULL } };
	int status;

	if (tags == NULL)
		return context_fail(ctx, "out of memory");
	for (size_t i = 0; i < n_tags; i++)
		tags[i] = option_nth(opt, "tag", i);
	if (import.keep.name != NULL && (import.batch || option_n_arguments(opt) > 1))
		status = context_usage(ctx, "--name is for one adapter");
	else
		status = import_all(&import);
	buffer_free(&import.refused);
	free(tags);
	return status;
}

const struct command command_import = {
	.name = "import",
	.summary = "take adapters into the catalog",
	.details = "PEFT directories (safetensors or torch), native files, GGUF and GGML adapters, "
		   "MLX and Ollama directories, Kohya's files; told by their content. What cannot "
		   "be run as it stands (DoRA, bias, full modules ...) or is damaged is refused by "
		   "name. What the catalog has already, from whatever file and under whatever "
		   "name, is not kept twice: its name there is told (--name keeps it under another "
		   "one too). With --recursive whole trees are taken; a summary names what was "
		   "refused and why (exit status 1 if anything was).",
	.example = "t2l import ./my-peft-adapter --task \"summarise the text\" --name summariser\n"
		   "t2l import --recursive ./adapters --base-model ./llama --tag found",
	.arguments = "PATH...",
	.min_arguments = 1,
	.max_arguments = -1,
	.argument_type = OPTION_PATH,
	.options = options,
	.run = import_run,
};
