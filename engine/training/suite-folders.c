/* suite-folders.c - task suites as people keep them: a folder for each task, or one file of
 * examples. */

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/config-file.h"
#include "base/file.h"
#include "engine/error.h"
#include "engine/training/suite.h"

#define MAX_DESCRIPTIONS_BYTES ((size_t)16 << 20)

struct folder {
	struct t2l_suite *suite;
	const char *name; /* the task's */
	char path[4096];
	char examples[4096]; /* the file of examples; "" until known */
	struct t2l_suite_tier tier;
};

static enum t2l_status
out_of_memory(struct t2l_error *err)
{
	return t2l_fail(err, T2L_ENOMEM, "task suite: out of memory");
}

static bool
exists(const struct folder *folder, const char *name)
{
	char path[4400];

	snprintf(path, sizeof path, "%s/%s", folder->path, name);
	return access(path, F_OK) == 0;
}

static enum t2l_status
add_description(struct folder *folder, const char *text, struct t2l_error *err)
{
	if (text[strspn(text, " \t\r\n")] == '\0')
		return t2l_fail(err, T2L_EFORMAT, "task '%s': description %zu of '%s' is empty",
		    folder->name, folder->tier.n + 1, folder->path);
	folder->tier.texts[folder->tier.n] = suite_keep(folder->suite, text);
	if (folder->tier.texts[folder->tier.n] == NULL)
		return out_of_memory(err);
	folder->tier.n++;
	return T2L_OK;
}

static enum t2l_status
make_room(struct folder *folder, size_t n, struct t2l_error *err)
{
	folder->tier.texts =
	    arena_alloc(folder->suite->arena, (n + 1) * sizeof *folder->tier.texts);
	return folder->tier.texts != NULL ? T2L_OK : out_of_memory(err);
}

/* A file named by metadata.yaml lies in the task's folder; a name of the hub is nothing we have. */
static enum t2l_status
find_examples(struct folder *folder, const struct config_value *root, struct t2l_error *err)
{
	const struct config_value *files = config_find(root, "ds_kwargs.data_files");
	const struct config_value *path = config_find(root, "ds_kwargs.path");
	const struct config_value *named =
	    files != NULL && files->kind == CONFIG_STRING ? files : path;

	if (exists(folder, "train.jsonl") || named == NULL || named->kind != CONFIG_STRING)
		return T2L_OK;
	if (strstr(named->string, "..") != NULL || named->string[0] == '/' ||
	    !exists(folder, named->string))
		return t2l_fail(err, T2L_ENOENT,
		    "task '%s': its examples are '%s', which is not in '%s'; put them there as "
		    "train.jsonl",
		    folder->name, named->string, folder->path);
	snprintf(folder->examples, sizeof folder->examples, "%.2000s/%.2000s", folder->path,
	    named->string);
	return T2L_OK;
}

/* The reference's metadata.yaml: "descriptions" is a list of sentences; other keys are its own. */
static enum t2l_status
read_metadata(struct folder *folder, const char *name, struct t2l_error *err)
{
	const struct config_value *list = NULL;
	enum t2l_status status = T2L_OK;
	struct config_error error;
	char path[4400], message[2048];
	struct config_value *root;

	snprintf(path, sizeof path, "%s/%s", folder->path, name);
	root = config_open(path, &error);
	if (root == NULL || !config_list(root, "descriptions", CONFIG_STRING, &list, &error)) {
		config_error_text(&error, path, message, sizeof message);
		status = t2l_fail(err, T2L_EFORMAT, "%s", message);
	}
	if (status == T2L_OK)
		status = make_room(folder, list != NULL ? list->n_children : 0, err);
	for (size_t i = 0; list != NULL && i < list->n_children && status == T2L_OK; i++)
		status = add_description(folder, list->children[i]->string, err);
	if (status == T2L_OK)
		status = find_examples(folder, root, err);
	config_free(root);
	return status;
}

/* One sentence a line. */
static enum t2l_status
read_sentences(struct folder *folder, struct t2l_error *err)
{
	enum t2l_status status;
	char path[4400], *text, *rest;
	size_t n = 1;

	snprintf(path, sizeof path, "%s/descriptions.txt", folder->path);
	text = rest = read_whole_file(path, MAX_DESCRIPTIONS_BYTES, NULL);
	if (text == NULL)
		return t2l_fail_errno(err, "task '%s': cannot read '%s'", folder->name, path);
	for (const char *at = text; (at = strchr(at, '\n')) != NULL; at++)
		n++;
	status = make_room(folder, n, err);
	for (char *line; status == T2L_OK && (line = strsep(&rest, "\n")) != NULL;)
		if (line[strspn(line, " \t\r")] != '\0')
			status = add_description(folder, line, err);
	free(text);
	return status;
}

struct place {
	size_t task;
	enum example_kind kind;
};

static enum t2l_status
read_example(struct t2l_suite *suite, const cJSON *object, const char *where, void *user,
    struct t2l_error *err)
{
	const struct place *place = user;

	return suite_add_examples(suite, place->task, place->kind, object, where, err);
}

static enum t2l_status
add_folder(struct folder *folder, struct t2l_error *err)
{
	struct t2l_suite *suite = folder->suite;
	struct t2l_suite_task task = { .id = folder->name,
		.op = "",
		.group = "",
		.train = true,
		.pretrain = true,
		.weight = 1 };
	struct place train = { suite->n, TRAIN }, test = { suite->n, TEST };
	enum t2l_status status;
	char path[4400];

	folder->tier.name = "train";
	task.tiers = arena_alloc(suite->arena, sizeof *task.tiers);
	if (task.tiers == NULL)
		return out_of_memory(err);
	*task.tiers = folder->tier;
	task.n_tiers = folder->tier.n > 0;
	if (folder->examples[0] == '\0')
		snprintf(
		    folder->examples, sizeof folder->examples, "%.4000s/train.jsonl", folder->path);
	snprintf(path, sizeof path, "%s/test.jsonl", folder->path);
	if ((status = suite_add_task(suite, &task, folder->path, err)) != T2L_OK ||
	    (status = suite_read_lines(suite, folder->examples, true, read_example, &train, err)) !=
		T2L_OK)
		return status;
	return suite_read_lines(suite, path, false, read_example, &test, err);
}

static enum t2l_status
read_folder(struct t2l_suite *suite, const char *name, struct t2l_error *err)
{
	static const char *const metadata[] = { "metadata.yaml", "metadata.yml", "metadata.toml" };
	struct folder folder = { .suite = suite, .name = name };
	enum t2l_status status = T2L_OK;
	bool found = false;

	if (snprintf(folder.path, sizeof folder.path, "%s/%s", suite->path, name) >= 4000)
		return t2l_fail(err, T2L_EINVAL, "task suite: the path of '%s' is too long", name);
	for (size_t i = 0; i < 3 && !found; i++)
		if ((found = exists(&folder, metadata[i])))
			status = read_metadata(&folder, metadata[i], err);
	if (!found && exists(&folder, "descriptions.txt"))
		status = read_sentences(&folder, err);
	return status == T2L_OK ? add_folder(&folder, err) : status;
}

/* The order of the tasks must not hang on the language of the user. */
static int
by_bytes(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int
is_task(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

enum t2l_status
suite_read_folders(struct t2l_suite *suite, struct t2l_error *err)
{
	enum t2l_status status = T2L_OK;
	struct dirent **entries;
	int n = scandir(suite->path, &entries, is_task, by_bytes);

	if (n < 0)
		return t2l_fail_errno(err, "task suite: cannot read '%s'", suite->path);
	for (int i = 0; i < n; i++) {
		struct stat place;
		char path[4400];

		snprintf(path, sizeof path, "%s/%s", suite->path, entries[i]->d_name);
		if (status == T2L_OK && stat(path, &place) == 0 && S_ISDIR(place.st_mode))
			status = read_folder(suite, entries[i]->d_name, err);
		free(entries[i]);
	}
	free(entries);
	if (status == T2L_OK && suite->n == 0)
		return t2l_fail(err, T2L_ENOENT,
		    "task suite: '%s' has neither tasks.jsonl nor a folder for each task",
		    suite->path);
	return status;
}

enum t2l_status
suite_read_file(struct t2l_suite *suite, struct t2l_error *err)
{
	const char *slash = strrchr(suite->path, '/');
	struct t2l_suite_task task = {
		.op = "", .group = "", .train = true, .pretrain = true, .weight = 1
	};
	struct place train = { 0, TRAIN };
	enum t2l_status status;
	char name[256], *dot;

	snprintf(name, sizeof name, "%s", slash ? slash + 1 : suite->path);
	dot = strrchr(name, '.');
	if (dot != NULL && dot != name)
		*dot = '\0';
	task.id = name;
	status = suite_add_task(suite, &task, suite->path, err);
	if (status != T2L_OK)
		return status;
	return suite_read_lines(suite, suite->path, true, read_example, &train, err);
}
