/* config-getters.c - settings out of a configuration tree: kinds, ranges, unknown keys. */

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/config-value.h"
#include "base/edit-distance.h"
#include "base/number.h"
#include "base/visible.h"

#define PATH_SHOWN 100

/* "'training.steps' must be WHAT" */
static bool
wrong(const struct config_value *value, const char *what, struct config_error *error)
{
	char path[PATH_SHOWN];

	config_path(value, path, sizeof path);
	return config_fail(error, value->line, "'%s' must be %s", path, what);
}

static bool
wrong_kind(const struct config_value *value, const char *what, struct config_error *error)
{
	char path[PATH_SHOWN];

	config_path(value, path, sizeof path);
	if (value->kind == CONFIG_NULL)
		return config_fail(error, value->line, "'%s' is empty; it must be %s", path, what);
	return config_fail(error, value->line, "'%s' must be %s, not %s", path, what,
	    value->kind == CONFIG_BOOL ? "a boolean" : config_kind_name(value->kind));
}

bool
config_bool(
    const struct config_value *table, const char *key, bool *out, struct config_error *error)
{
	const struct config_value *value = config_get(table, key);

	if (value == NULL)
		return true;
	if (value->kind != CONFIG_BOOL)
		return wrong_kind(value, "true or false", error);
	*out = value->boolean;
	return true;
}

bool
config_integer(const struct config_value *table, const char *key, int64_t min, int64_t max,
    int64_t *out, struct config_error *error)
{
	const struct config_value *value = config_get(table, key);
	char what[96];

	if (value == NULL)
		return true;
	if (value->kind == CONFIG_INTEGER && value->integer >= min && value->integer <= max) {
		*out = value->integer;
		return true;
	}
	if (min == INT64_MIN && max == INT64_MAX)
		snprintf(what, sizeof what, "an integer");
	else if (max == INT64_MAX)
		snprintf(what, sizeof what, "an integer of at least %lld", (long long)min);
	else
		snprintf(what, sizeof what, "an integer from %lld to %lld", (long long)min,
		    (long long)max);
	if (value->kind != CONFIG_INTEGER)
		return wrong_kind(value, what, error);
	return wrong(value, what, error);
}

/* "a number", "a number of at least 0", "a number from 0 to 1" */
static void
range_text(double min, double max, char *out, size_t size)
{
	char low[32], high[32];

	number_text(min, low, sizeof low);
	number_text(max, high, sizeof high);
	if (isinf(min) && isinf(max))
		snprintf(out, size, "a number");
	else if (isinf(max))
		snprintf(out, size, "a number of at least %s", low);
	else if (isinf(min))
		snprintf(out, size, "a number of at most %s", high);
	else
		snprintf(out, size, "a number from %s to %s", low, high);
}

bool
config_number(const struct config_value *table, const char *key, double min, double max,
    double *out, struct config_error *error)
{
	const struct config_value *value = config_get(table, key);
	char what[96];

	if (value == NULL)
		return true;
	if ((value->kind == CONFIG_NUMBER || value->kind == CONFIG_INTEGER) &&
	    value->number >= min && value->number <= max) {
		*out = value->number;
		return true;
	}
	range_text(min, max, what, sizeof what);
	if (value->kind != CONFIG_NUMBER && value->kind != CONFIG_INTEGER)
		return wrong_kind(value, what, error);
	return wrong(value, what, error);
}

bool
config_string(
    const struct config_value *table, const char *key, const char **out, struct config_error *error)
{
	const struct config_value *value = config_get(table, key);

	if (value == NULL)
		return true;
	if (value->kind != CONFIG_STRING)
		return wrong_kind(value, "a string", error);
	*out = value->string;
	return true;
}

bool
config_choice(const struct config_value *table, const char *key, const char *const *names, int *out,
    struct config_error *error)
{
	const struct config_value *value = config_get(table, key);
	char list[160];
	size_t used = 0;

	if (value == NULL)
		return true;
	if (value->kind == CONFIG_STRING)
		for (int i = 0; names[i] != NULL; i++)
			if (strcmp(value->string, names[i]) == 0) {
				*out = i;
				return true;
			}
	list[0] = '\0';
	for (int i = 0; names[i] != NULL && used < sizeof list; i++)
		used += (size_t)snprintf(
		    list + used, sizeof list - used, "%s%s", i > 0 ? ", " : "one of: ", names[i]);
	if (value->kind != CONFIG_STRING)
		return wrong_kind(value, list, error);
	return wrong(value, list, error);
}

bool
config_table(const struct config_value *table, const char *key, const struct config_value **out,
    struct config_error *error)
{
	const struct config_value *value = config_get(table, key);

	if (value == NULL)
		return true;
	if (value->kind != CONFIG_TABLE)
		return wrong_kind(value, "a table", error);
	*out = value;
	return true;
}

bool
config_list(const struct config_value *table, const char *key, enum config_kind items,
    const struct config_value **out, struct config_error *error)
{
	const struct config_value *value = config_get(table, key);

	if (value == NULL)
		return true;
	if (value->kind != CONFIG_LIST)
		return wrong_kind(value, "a list", error);
	for (size_t i = 0; i < value->n_children; i++) {
		enum config_kind kind = value->children[i]->kind;

		if (kind != items && !(items == CONFIG_NUMBER && kind == CONFIG_INTEGER))
			return wrong_kind(value->children[i], config_kind_name(items), error);
	}
	*out = value;
	return true;
}

bool
config_words(
    const struct config_value *table, const char *key, const char **out, struct config_error *error)
{
	const struct config_value *list = config_get(table, key);
	struct config_value *own;
	struct buffer words = { 0 };

	if (list == NULL || list->kind != CONFIG_LIST)
		return config_string(table, key, out, error);
	if (!config_list(table, key, CONFIG_STRING, &list, error))
		return false;
	for (size_t i = 0; i < list->n_children; i++) {
		const char *word = list->children[i]->string;

		if (word[0] == '\0' || strchr(word, ',') != NULL) {
			buffer_free(&words);
			return config_fail(error, list->line,
			    "'%s' holds a word that is empty or has a comma", key);
		}
		buffer_text(&words, i > 0 ? "," : "");
		buffer_text(&words, word);
	}
	own = config_child((struct config_value *)table, key);
	free(own->string);
	own->string = buffer_take(&words);
	if (own->string == NULL)
		return config_fail(error, list->line, "out of memory");
	*out = own->string;
	return true;
}

bool
config_required(const struct config_value *table, const char *key, struct config_error *error)
{
	char path[PATH_SHOWN];

	if (config_get(table, key) != NULL)
		return true;
	if (table == NULL || table->parent == NULL)
		return config_fail(error, table != NULL ? table->line : 0, "'%s' is missing", key);
	config_path(table, path, sizeof path);
	return config_fail(error, table->line, "'%s.%s' is missing", path, key);
}

/* ---- unknown keys ---- */

/* The known key that UNKNOWN is probably meant to be, or NULL. */
static const char *
nearest(const char *unknown, const char *const *known)
{
	struct nearest meant = nearest_to(unknown);

	for (; *known != NULL; known++)
		nearest_try(&meant, *known);
	return meant.best;
}

static bool
is_known(const char *key, const char *const *known)
{
	for (; *known != NULL; known++)
		if (strcmp(key, *known) == 0)
			return true;
	return false;
}

bool
config_only(const struct config_value *table, const char *const *known, struct config_error *error)
{
	if (table == NULL)
		return true;
	for (size_t i = 0; i < table->n_children; i++) {
		const struct config_value *child = table->children[i];
		const char *meant;
		char path[PATH_SHOWN];

		if (child->key == NULL || is_known(child->key, known))
			continue;
		config_path(child, path, sizeof path);
		meant = nearest(child->key, known);
		if (meant == NULL)
			return config_fail(error, child->line, "unknown key '%s'", path);
		return config_fail(
		    error, child->line, "unknown key '%s'; did you mean '%s'?", path, meant);
	}
	return true;
}
