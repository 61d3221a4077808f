/* adapter-set.c - opens many adapters, checks that they are alike, finds their descriptions. */

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "engine/error.h"
#include "engine/training/adapter-set.h"

#define ENDING ".safetensors"
#define MAX_DESCRIPTIONS_BYTES ((size_t)16 << 20)
#define MAX_ADAPTERS 100000

static enum t2l_status
out_of_memory(struct t2l_error *err)
{
	return t2l_fail(err, T2L_ENOMEM, "reconstruction: out of memory");
}

/* ---- descriptions ---- */

/* The sentences of a text file; *found false when there is none. */
static enum t2l_status
read_sentences(
    const char *path, const char *name, char ***out, size_t *n, bool *found, struct t2l_error *err)
{
	size_t n_lines = 1;
	char *text, *rest, **lines;

	*found = access(path, F_OK) == 0;
	if (!*found)
		return T2L_OK;
	text = rest = read_whole_file(path, MAX_DESCRIPTIONS_BYTES, NULL);
	if (text == NULL)
		return t2l_fail_errno(err, "adapter '%s': cannot read '%s'", name, path);
	for (const char *at = text; (at = strchr(at, '\n')) != NULL; at++)
		n_lines++;
	lines = calloc(n_lines + 1, sizeof *lines);
	*n = 0;
	for (char *line; lines != NULL && (line = strsep(&rest, "\n")) != NULL;)
		if (line[strspn(line, " \t\r")] != '\0' && (lines[*n] = strdup(line)) != NULL)
			++*n;
	free(text);
	*out = lines;
	return lines != NULL ? T2L_OK : out_of_memory(err);
}

static enum t2l_status
find_sentences(struct adapter_set *set, size_t index, const char *path, struct t2l_error *err)
{
	struct described *described = &set->described[index];
	size_t length = strlen(path), cut = strlen(ENDING);
	char file[4400];
	bool is_file = length > cut && strcmp(path + length - cut, ENDING) == 0, found;
	enum t2l_status status;

	if (is_file)
		snprintf(file, sizeof file, "%.*s.txt", (int)(length - cut), path);
	else
		snprintf(file, sizeof file, "%s/descriptions.txt", path);
	status =
	    read_sentences(file, set->names[index], &set->texts[index], &described->n, &found, err);
	if (status == T2L_OK && found)
		described->texts = (const char *const *)set->texts[index];
	return status;
}

static enum t2l_status
describe(struct adapter_set *set, size_t index, const struct t2l_train_adapter *wanted,
    struct t2l_error *err)
{
	struct described *described = &set->described[index];
	const struct t2l_suite_task *task;
	const struct t2l_suite_tier *tier;
	enum t2l_status status;

	described->name = set->names[index];
	if (wanted->description != NULL && wanted->description[0] != '\0') {
		described->texts = &wanted->description;
		described->n = 1;
		return T2L_OK;
	}
	status = find_sentences(set, index, wanted->path, err);
	if (status != T2L_OK || described->n > 0)
		return status;
	task = set->suite != NULL ? t2l_suite_find(set->suite, set->names[index]) : NULL;
	tier = task != NULL ? t2l_suite_tier(task, "train") : NULL;
	if (tier != NULL && tier->n > 0) {
		described->texts = tier->texts;
		described->n = tier->n;
	} else if (set->adapters[index]->facts.task[0] != '\0') {
		described->texts = &set->adapters[index]->facts.task;
		described->n = 1;
	} else {
		return t2l_fail(err, T2L_EFORMAT,
		    "adapter '%s' has no description: put sentences into '%s', one a line, or name "
		    "a suite that has a task of this name (--suite)",
		    set->names[index],
		    strstr(wanted->path, ENDING) != NULL ? "NAME.txt beside it"
							 : "descriptions.txt");
	}
	return T2L_OK;
}

/* ---- likeness ---- */

static enum t2l_status
take_shape(struct adapter_set *set, struct t2l_error *err)
{
	const struct t2l_adapter *first = set->adapters[0];
	struct decoder_config base = { .n_layers = 0 };
	enum t2l_status status;

	for (size_t i = 0; i < first->n_modules; i++)
		if (first->modules[i].layer >= base.n_layers)
			base.n_layers = first->modules[i].layer + 1;
	status = lora_shape_of(first, &base, &set->shape, err);
	if (status != T2L_OK)
		return status;
	set->n_layers = base.n_layers;
	for (int i = 0; i < set->shape.n_modules; i++) {
		const struct adapter_module *module =
		    adapter_find(first, 0, set->shape.modules[i], MODULE_NO_EXPERT);

		set->in[i] = module->a.shape[1];
		set->out[i] = module->bt.shape[1];
	}
	return T2L_OK;
}

static enum t2l_status
check_alike(const struct adapter_set *set, size_t index, struct t2l_error *err)
{
	const struct t2l_adapter *adapter = set->adapters[index], *first = set->adapters[0];
	const char *base = adapter->facts.base_fingerprint, *wanted = first->facts.base_fingerprint;

	if (base[0] != '\0' && wanted[0] != '\0' && strcmp(base, wanted) != 0)
		return t2l_fail(err, T2L_EMISMATCH, "adapter '%s' is of base '%s', '%s' of '%s'",
		    set->names[index], adapter->facts.base_name, set->names[0],
		    first->facts.base_name);
	if (adapter->n_modules != first->n_modules)
		return t2l_fail(err, T2L_EMISMATCH,
		    "adapter '%s' changes %zu modules, '%s' changes %zu; all must be alike",
		    set->names[index], adapter->n_modules, set->names[0], first->n_modules);
	for (size_t i = 0; i < adapter->n_modules; i++) {
		const struct adapter_module *a = &adapter->modules[i], *b = &first->modules[i];
		char label[MODULE_PATH_SIZE];

		if (a->layer != b->layer || a->module != b->module || a->rank != b->rank ||
		    a->scale != b->scale || a->a.shape[1] != b->a.shape[1] ||
		    a->bt.shape[1] != b->bt.shape[1])
			return t2l_fail(err, T2L_EMISMATCH,
			    "adapter '%s': %s has another place, rank, scale or size than in '%s'",
			    set->names[index], adapter_module_label(a, label, sizeof label),
			    set->names[0]);
	}
	return T2L_OK;
}

/* ---- opening ---- */

static enum t2l_status
add(struct adapter_set *set, const struct t2l_train_adapter *wanted, struct t2l_error *err)
{
	size_t index = set->n;
	enum t2l_status status;

	for (size_t i = 0; i < index; i++)
		if (strcmp(set->names[i], wanted->name) == 0)
			return t2l_fail(err, T2L_EINVAL,
			    "two adapters are called '%s'; each must have its own name",
			    wanted->name);
	status = t2l_adapter_open(wanted->path, &set->adapters[index], err);
	if (status != T2L_OK)
		return status;
	set->n++;
	set->names[index] = strdup(wanted->name);
	if (set->names[index] == NULL)
		return out_of_memory(err);
	status = index == 0 ? take_shape(set, err) : check_alike(set, index, err);
	return status == T2L_OK ? describe(set, index, wanted, err) : status;
}

static enum t2l_status
make_room(struct adapter_set *set, size_t n, struct t2l_error *err)
{
	if (n > MAX_ADAPTERS)
		return t2l_fail(
		    err, T2L_EINVAL, "reconstruction: more than %d adapters", MAX_ADAPTERS);
	set->names = calloc(n + 1, sizeof *set->names);
	set->adapters = calloc(n + 1, sizeof(struct t2l_adapter *));
	set->described = calloc(n + 1, sizeof *set->described);
	set->texts = calloc(n + 1, sizeof *set->texts);
	return set->names != NULL && set->adapters != NULL && set->described != NULL &&
		       set->texts != NULL
		   ? T2L_OK
		   : out_of_memory(err);
}

/* Whether NAME in the folder is an adapter; its name without ending goes into STEM. */
static bool
is_adapter(const char *folder, const char *name, char *path, size_t size, char stem[256])
{
	size_t n = strlen(name), cut = strlen(ENDING);
	char config[4400];

	if (name[0] == '.')
		return false;
	snprintf(path, size, "%s/%s", folder, name);
	snprintf(stem, 256, "%s", name);
	if (n > cut && n < 256 && strcmp(name + n - cut, ENDING) == 0) {
		stem[n - cut] = '\0';
		return true;
	}
	snprintf(config, sizeof config, "%s/adapter_config.json", path);
	return access(config, F_OK) == 0;
}

static int
by_bytes(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static enum t2l_status
open_folder(struct adapter_set *set, const char *folder, struct t2l_error *err)
{
	struct dirent **entries;
	int n = scandir(folder, &entries, NULL, by_bytes);
	enum t2l_status status;

	if (n < 0)
		return t2l_fail_errno(err, "reconstruction: cannot read '%s'", folder);
	status = make_room(set, (size_t)n, err);
	for (int i = 0; i < n; i++) {
		char path[4300], stem[256];

		if (status == T2L_OK &&
		    is_adapter(folder, entries[i]->d_name, path, sizeof path, stem)) {
			struct t2l_train_adapter wanted = { path, stem, NULL };

			status = add(set, &wanted, err);
		}
		free(entries[i]);
	}
	free(entries);
	return status;
}

enum t2l_status
adapter_set_open(
    struct adapter_set *set, const struct t2l_train_options *options, struct t2l_error *err)
{
	enum t2l_status status = T2L_OK;

	*set = (struct adapter_set){ 0 };
	if (options->adapters == NULL && options->adapters_path == NULL)
		return t2l_fail(err, T2L_EINVAL,
		    "reconstruction wants a directory of adapters (--dataset) or a catalog query");
	if (options->suite != NULL)
		status = t2l_suite_open(options->suite, &set->suite, err);
	if (status == T2L_OK && options->adapters == NULL) {
		status = open_folder(set, options->adapters_path, err);
	} else if (status == T2L_OK) {
		status = make_room(set, options->n_adapters, err);
		for (size_t i = 0; i < options->n_adapters && status == T2L_OK; i++)
			status = add(set, &options->adapters[i], err);
	}
	if (status == T2L_OK && set->n == 0)
		status = t2l_fail(err, T2L_ENOENT, "reconstruction: no adapter in '%s'",
		    options->adapters_path != NULL ? options->adapters_path : "the catalog query");
	return status;
}

void
adapter_set_close(struct adapter_set *set)
{
	for (size_t i = 0; i < set->n; i++) {
		for (size_t j = 0; set->texts[i] != NULL && set->texts[i][j] != NULL; j++)
			free(set->texts[i][j]);
		free(set->texts[i]);
		free(set->names[i]);
		t2l_adapter_close(set->adapters[i]);
	}
	free(set->texts);
	free(set->names);
	free(set->adapters);
	free(set->described);
	t2l_suite_close(set->suite);
}
