/* config-value.c - the configuration tree: building within bounds, and looking. */

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/config-value.h"
#include "base/visible.h"

bool
config_fail(struct config_error *error, int line, const char *format, ...)
{
	va_list args;

	if (error == NULL)
		return false;
	error->line = line;
	va_start(args, format);
	vsnprintf(error->message, sizeof error->message, format, args);
	va_end(args);
	return false;
}

void
config_free(struct config_value *root)
{
	if (root == NULL)
		return;
	for (size_t i = 0; i < root->n_children; i++)
		config_free(root->children[i]);
	free(root->children);
	free(root->key_hashes);
	free(root->key);
	free(root->string);
	free(root);
}

/* ---- building ---- */

/* FNV-1a: only to make most comparisons of keys cheap. */
static uint32_t
hash_of(const char *key)
{
	uint32_t hash = 2166136261u;

	for (; *key != '\0'; key++)
		hash = (hash ^ (unsigned char)*key) * 16777619u;
	return hash;
}

struct config_value *
config_child(struct config_value *table, const char *key)
{
	uint32_t hash = hash_of(key);

	for (size_t i = 0; i < table->n_children; i++)
		if (table->key_hashes[i] == hash && strcmp(table->children[i]->key, key) == 0)
			return table->children[i];
	return NULL;
}

/* Whether PARENT may get a child KEY on LINE. */
static bool
may_add(
    const struct config_builder *builder, struct config_value *parent, const char *key, int line)
{
	char shown[100];
	const struct config_value *twin;

	if (builder->n_values >= CONFIG_MAX_VALUES)
		return config_fail(builder->error, line, "more than %d values", CONFIG_MAX_VALUES);
	if (parent == NULL)
		return true;
	if (parent->depth >= CONFIG_MAX_DEPTH)
		return config_fail(builder->error, line, "nested deeper than %d", CONFIG_MAX_DEPTH);
	if (parent->kind != CONFIG_TABLE)
		return true;
	if (parent->n_children >= CONFIG_MAX_KEYS)
		return config_fail(
		    builder->error, line, "more than %d keys in one table", CONFIG_MAX_KEYS);
	twin = config_child(parent, key);
	if (twin == NULL)
		return true;
	visible_copy(shown, sizeof shown, key, strlen(key), 0);
	return config_fail(
	    builder->error, line, "key '%s' is already there, in line %d", shown, twin->line);
}

static bool
count_text(struct config_builder *builder, size_t n, int line)
{
	if (n > CONFIG_MAX_TEXT - builder->n_bytes)
		return config_fail(
		    builder->error, line, "more than %d bytes of text", CONFIG_MAX_TEXT);
	builder->n_bytes += n;
	return true;
}

/* Makes room for one more child; false when out of memory. */
static bool
reserve_child(struct config_value *parent)
{
	size_t capacity = parent->capacity ? 2 * parent->capacity : 4;
	struct config_value **children;
	uint32_t *hashes;

	if (parent->n_children < parent->capacity)
		return true;
	children = realloc(parent->children, capacity * sizeof *children);
	if (children != NULL)
		parent->children = children;
	hashes = realloc(parent->key_hashes, capacity * sizeof *hashes);
	if (hashes != NULL)
		parent->key_hashes = hashes;
	if (children == NULL || hashes == NULL)
		return false;
	parent->capacity = capacity;
	return true;
}

/* Hangs VALUE under PARENT; false when out of memory. */
static bool
attach(struct config_value *parent, struct config_value *value)
{
	if (!reserve_child(parent))
		return false;
	parent->key_hashes[parent->n_children] = value->key != NULL ? hash_of(value->key) : 0;
	parent->children[parent->n_children++] = value;
	value->parent = parent;
	value->depth = parent->depth + 1;
	return true;
}

struct config_value *
config_add(struct config_builder *builder, struct config_value *parent, const char *key, int line,
    enum config_kind kind)
{
	struct config_value *value;

	if (!may_add(builder, parent, key, line) ||
	    (key != NULL && !count_text(builder, strlen(key), line)))
		return NULL;
	value = calloc(1, sizeof *value);
	if (value != NULL) {
		value->kind = kind;
		value->line = line;
		value->key = key != NULL ? strdup(key) : NULL;
	}
	if (value == NULL || (key != NULL && value->key == NULL) ||
	    (parent != NULL && !attach(parent, value))) {
		config_free(value);
		config_fail(builder->error, line, "out of memory");
		return NULL;
	}
	builder->n_values++;
	return value;
}

bool
config_set_string(
    struct config_builder *builder, struct config_value *value, const char *text, size_t n)
{
	if (!count_text(builder, n, value->line))
		return false;
	value->string = malloc(n + 1);
	if (value->string == NULL)
		return config_fail(builder->error, value->line, "out of memory");
	memcpy(value->string, text, n);
	value->string[n] = '\0';
	return true;
}

bool
config_copy(
    struct config_builder *builder, const struct config_value *source, struct config_value *target)
{
	target->kind = source->kind;
	target->boolean = source->boolean;
	target->integer = source->integer;
	target->number = source->number;
	if (source->string != NULL &&
	    !config_set_string(builder, target, source->string, strlen(source->string)))
		return false;
	for (size_t i = 0; i < source->n_children; i++) {
		const struct config_value *child = source->children[i];
		struct config_value *copy =
		    config_add(builder, target, child->key, target->line, child->kind);

		if (copy == NULL || !config_copy(builder, child, copy))
			return false;
	}
	return true;
}

/* ---- looking ---- */

const char *
config_kind_name(enum config_kind kind)
{
	static const char *const names[] = {
		[CONFIG_NULL] = "null",
		[CONFIG_BOOL] = "true or false",
		[CONFIG_INTEGER] = "an integer",
		[CONFIG_NUMBER] = "a number",
		[CONFIG_STRING] = "a string",
		[CONFIG_DATE] = "a date",
		[CONFIG_LIST] = "a list",
		[CONFIG_TABLE] = "a table",
	};

	return names[kind];
}

const struct config_value *
config_get(const struct config_value *table, const char *key)
{
	if (table == NULL || table->kind != CONFIG_TABLE)
		return NULL;
	return config_child((struct config_value *)table, key);
}

const struct config_value *
config_find(const struct config_value *table, const char *path)
{
	while (table != NULL) {
		const char *dot = strchr(path, '.');
		char key[256];

		if (dot == NULL)
			return config_get(table, path);
		if ((size_t)(dot - path) >= sizeof key)
			return NULL;
		memcpy(key, path, (size_t)(dot - path));
		key[dot - path] = '\0';
		table = config_get(table, key);
		path = dot + 1;
	}
	return NULL;
}

static size_t
index_in_parent(const struct config_value *value)
{
	size_t i = 0;

	while (value->parent->children[i] != value)
		i++;
	return i;
}

void
config_path(const struct config_value *value, char *out, size_t size)
{
	const struct config_value *steps[CONFIG_MAX_DEPTH + 1];
	struct buffer path = { 0 };
	int n = 0;

	for (; value->parent != NULL; value = value->parent)
		steps[n++] = value;
	while (n-- > 0) {
		if (steps[n]->key == NULL)
			buffer_printf(&path, "[%zu]", index_in_parent(steps[n]) + 1);
		else
			buffer_printf(&path, "%s%s", path.n > 0 ? "." : "", steps[n]->key);
	}
	visible_copy(out, size, buffer_string(&path), path.n, 0);
	buffer_free(&path);
}
