/* config-file.c - chooses the reader by the file's name. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/config-file.h"
#include "base/file.h"
#include "base/toml.h"
#include "base/visible.h"
#include "base/yaml.h"

static bool
is_yaml(const char *path)
{
	const char *dot = strrchr(path, '.');

	return dot != NULL &&
	       (strcmp(dot, ".yaml") == 0 || strcmp(dot, ".yml") == 0 || strcmp(dot, ".json") == 0);
}

struct config_value *
config_open(const char *path, struct config_error *error)
{
	struct config_value *root;
	size_t n;
	char *text = read_whole_file(path, CONFIG_MAX_BYTES, &n);

	if (text == NULL) {
		config_fail(error, 0, "%s", strerror(errno));
		return NULL;
	}
	root = is_yaml(path) ? yaml_parse(text, n, error) : toml_parse(text, n, error);
	free(text);
	return root;
}

void
config_error_text(const struct config_error *error, const char *path, char *out, size_t size)
{
	char line[16] = "";
	size_t used = visible_copy(out, size, path, strlen(path), 0);

	if (error->line > 0)
		snprintf(line, sizeof line, ":%d", error->line);
	used += (size_t)snprintf(out + used, size - used, "%s: ", line);
	if (used < size)
		visible_copy(out + used, size - used, error->message, strlen(error->message), 0);
}
