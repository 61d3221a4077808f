/* json-lines.c - reads files of one JSON object a line. */

#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/input.h"
#include "src/json-lines.h"

#define MAX_BYTES ((size_t)1 << 30)

bool
json_lines(struct context *ctx, const char *path,
    bool (*reader)(void *user, const cJSON *object, const char *where), void *user)
{
	char *text = read_input(ctx, path, MAX_BYTES, NULL), *rest = text, where[4200];
	bool fine = text != NULL;
	size_t number = 0;

	for (char *line; fine && (line = strsep(&rest, "\n")) != NULL;) {
		cJSON *object;

		snprintf(where, sizeof where, "%s line %zu", path, ++number);
		if (line[strspn(line, " \t\r")] == '\0')
			continue;
		object = cJSON_Parse(line);
		fine = cJSON_IsObject(object);
		if (!fine)
			context_fail(ctx, "%s: a JSON object is wanted", where);
		fine = fine && reader(user, object, where) && !atomic_load(ctx->cancelled);
		cJSON_Delete(object);
	}
	free(text);
	return fine;
}

static bool
is_id(double id)
{
	return id >= 0 && id <= INT32_MAX && id == (double)(int32_t)id;
}

int32_t *
json_ids(const cJSON *list, size_t *n)
{
	int32_t *ids = malloc(((size_t)cJSON_GetArraySize(list) + 1) * sizeof *ids);
	const cJSON *item;

	*n = 0;
	cJSON_ArrayForEach(item, list)
	{
		if (ids == NULL || !cJSON_IsNumber(item) || !is_id(item->valuedouble)) {
			free(ids);
			return NULL;
		}
		ids[(*n)++] = (int32_t)item->valuedouble;
	}
	return ids;
}

int32_t *
text_ids(const char *list, size_t *n)
{
	int32_t *ids = malloc((strlen(list) + 1) * sizeof *ids);

	*n = 0;
	while (ids != NULL && *list != '\0') {
		char *end;
		double id = strtod(list, &end);

		if (end == list || (*end != ',' && *end != '\0') || !is_id(id)) {
			free(ids);
			return NULL;
		}
		ids[(*n)++] = (int32_t)id;
		list = end + (*end == ',');
	}
	return ids;
}
