/* adapter-names.c - a name, a path, or a pattern of paths or else of names. */

#include "config.h"

#include <fnmatch.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "src/adapter-names.h"
#include "src/workplace.h"

struct visit {
	struct context *ctx;
	const char *suffix; /* "" or ":0.5" */
	bool (*each)(void *user, const char *name);
	void *user;
};

static bool
visit_name(const struct visit *visit, const char *name)
{
	struct buffer text = { 0 };
	bool fine;

	if (visit->suffix[0] == '\0')
		return visit->each(visit->user, name);
	buffer_printf(&text, "%s%s", name, visit->suffix);
	fine = !buffer_failed(&text) && visit->each(visit->user, buffer_string(&text));
	buffer_free(&text);
	return fine;
}

/* Cuts a weight off the pattern; gives a copy of it, colon and all. */
static char *
cut_suffix(char *pattern)
{
	char *colon = strrchr(pattern, ':'), *end, *suffix;

	if (colon == NULL || colon[1] == '\0')
		return strdup("");
	strtod(colon + 1, &end);
	if (*end != '\0')
		return strdup("");
	suffix = strdup(colon);
	*colon = '\0';
	return suffix;
}

static bool
visit_catalog(const struct visit *visit, const char *pattern)
{
	struct store_strings *names;
	struct store *store;
	size_t n_found = 0;
	bool fine = true;

	if (!workplace_store(visit->ctx, &store))
		return false;
	if (store_names(store, "", SIZE_MAX, &names) != STORE_OK) {
		context_fail(visit->ctx, "%s", store_error(store));
		return false;
	}
	for (size_t i = 0; i < names->n_rows && fine; i++) {
		if (fnmatch(pattern, names->rows[i], 0) != 0)
			continue;
		n_found++;
		fine = visit_name(visit, names->rows[i]);
	}
	store_free(names);
	if (n_found == 0)
		context_fail(
		    visit->ctx, "'%s' matches no file and no name in the catalog", pattern);
	return fine && n_found > 0;
}

static bool
visit_pattern(const struct visit *visit, const char *pattern)
{
	glob_t found;
	bool fine = true;

	if (glob(pattern, 0, NULL, &found) != 0)
		return visit_catalog(visit, pattern);
	for (size_t i = 0; i < found.gl_pathc && fine; i++)
		fine = visit_name(visit, found.gl_pathv[i]);
	globfree(&found);
	return fine;
}

bool
adapter_names_each(
    struct context *ctx, const char *text, bool (*each)(void *user, const char *name), void *user)
{
	struct visit visit = { .ctx = ctx, .each = each, .user = user };
	char *pattern, *suffix;
	bool fine = false;

	if (strpbrk(text, "*?[") == NULL || access(text, F_OK) == 0)
		return each(user, text);
	pattern = strdup(text);
	suffix = pattern != NULL ? cut_suffix(pattern) : NULL;
	if (suffix == NULL) {
		context_fail(ctx, "out of memory");
	} else {
		visit.suffix = suffix;
		fine = visit_pattern(&visit, pattern);
	}
	free(suffix);
	free(pattern);
	return fine;
}
