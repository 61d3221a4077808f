/* adapter-tree.c - finds adapters in a directory tree by what is in it. */

#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/adapter-tree.h"

#define MAX_DEPTH 64

static bool
add(struct context *ctx, struct adapter_tree *tree, const char *path)
{
	char *copy = strdup(path);

	if (copy != NULL && tree->n == tree->capacity) {
		size_t capacity = tree->capacity > 0 ? 2 * tree->capacity : 64;
		char **paths = reallocarray(tree->paths, capacity, sizeof *paths);

		if (paths != NULL) {
			tree->paths = paths;
			tree->capacity = capacity;
		}
	}
	if (copy == NULL || tree->n == tree->capacity) {
		free(copy);
		context_fail(ctx, "out of memory");
		return false;
	}
	tree->paths[tree->n++] = copy;
	return true;
}

static bool
holds(const char *directory, const char *name)
{
	char path[PATH_MAX];

	return snprintf(path, sizeof path, "%s/%s", directory, name) < (int)sizeof path &&
	       access(path, F_OK) == 0;
}

/* GGUF, GGML v1, or safetensors: the length of a header, then the header's brace. */
static bool
begins_as_adapter(const char *path)
{
	unsigned char head[9] = { 0 };
	FILE *file = fopen(path, "rb");
	size_t n = file != NULL ? fread(head, 1, sizeof head, file) : 0;

	if (file != NULL)
		fclose(file);
	return n == sizeof head && (memcmp(head, "GGUF", 4) == 0 || memcmp(head, "lmgg", 4) == 0 ||
				       (head[8] == '{' && head[6] == 0 && head[7] == 0));
}

static bool walk(struct context *ctx, const char *directory, int depth, struct adapter_tree *tree);

static bool
visit(struct context *ctx, const char *path, int depth, struct adapter_tree *tree)
{
	struct stat facts;

	if (lstat(path, &facts) != 0)
		return true; /* gone meanwhile */
	if (S_ISDIR(facts.st_mode))
		return walk(ctx, path, depth + 1, tree);
	return !S_ISREG(facts.st_mode) || !begins_as_adapter(path) || add(ctx, tree, path);
}

static bool
walk(struct context *ctx, const char *directory, int depth, struct adapter_tree *tree)
{
	struct dirent **entries;
	char path[PATH_MAX];
	bool fine = true;
	int n;

	if (holds(directory, "adapter_config.json") || holds(directory, "Modelfile"))
		return add(ctx, tree, directory);
	if (depth > MAX_DEPTH) {
		context_fail(ctx, "'%s' is nested deeper than %d folders", directory, MAX_DEPTH);
		return false;
	}
	n = scandir(directory, &entries, NULL, alphasort);
	if (n < 0) {
		context_fail(ctx, "cannot read '%s': %s", directory, strerror(errno));
		return false;
	}
	for (int i = 0; i < n; i++) {
		const char *name = entries[i]->d_name;

		if (fine && name[0] != '.' && !atomic_load(ctx->cancelled)) {
			if (snprintf(path, sizeof path, "%s/%s", directory, name) >=
			    (int)sizeof path)
				note(ctx, "'%.60s...': the path is too long, left out", directory);
			else
				fine = visit(ctx, path, depth, tree);
		}
		free(entries[i]);
	}
	free(entries);
	return fine;
}

bool
adapter_tree_walk(struct context *ctx, const char *directory, struct adapter_tree *tree)
{
	char path[PATH_MAX];
	size_t n = strlen(directory);

	*tree = (struct adapter_tree){ 0 };
	while (n > 1 && directory[n - 1] == '/')
		n--;
	snprintf(path, sizeof path, "%.*s", (int)n, directory);
	return walk(ctx, path, 0, tree);
}

void
adapter_tree_free(struct adapter_tree *tree)
{
	for (size_t i = 0; i < tree->n; i++)
		free(tree->paths[i]);
	free(tree->paths);
	*tree = (struct adapter_tree){ 0 };
}
