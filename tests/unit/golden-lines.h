/*
 * golden-lines.h - golden files of one JSON object a line, and texts that JSON cannot carry.
 */
#ifndef TESTS_GOLDEN_LINES_H
#define TESTS_GOLDEN_LINES_H

#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "base/file.h"
#include "tests/golden-path.h"

struct golden_lines {
	char *text, *next;
};

static inline bool
golden_lines_open(struct golden_lines *lines, const char *relative)
{
	const char *path = golden_path(relative);

	lines->text = path != NULL ? read_whole_file(path, 64 << 20, NULL) : NULL;
	lines->next = lines->text;
	return lines->text != NULL;
}

/* The next object, to be deleted by the caller; NULL at the end. */
static inline cJSON *
golden_lines_next(struct golden_lines *lines)
{
	char *line = lines->next, *end = strchr(line, '\n');

	if (*line == '\0')
		return NULL;
	lines->next = end != NULL ? end + 1 : line + strlen(line);
	return cJSON_ParseWithLength(line, (size_t)(lines->next - line));
}

static inline void
golden_lines_close(struct golden_lines *lines)
{
	free(lines->text);
	lines->text = NULL;
}

static inline int
base64_digit(char c)
{
	static const char digits[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *at = c != '\0' ? strchr(digits, c) : NULL;

	return at != NULL ? (int)(at - digits) : -1;
}

/* The bytes of OBJECT[KEY], or of OBJECT[KEY_b64], which texts with NUL or bad UTF-8 have; NULL
 * if there is neither. To be freed. */
static inline char *
golden_text(const cJSON *object, const char *key, size_t *n_bytes)
{
	const char *plain = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));
	char key_b64[64], *out;
	const char *coded;
	unsigned bits = 0, n_bits = 0;
	size_t n = 0;

	if (plain != NULL) {
		*n_bytes = strlen(plain);
		return strdup(plain);
	}
	snprintf(key_b64, sizeof key_b64, "%s_b64", key);
	coded = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key_b64));
	if (coded == NULL)
		return NULL;
	out = malloc(strlen(coded) + 1);
	for (; base64_digit(*coded) >= 0; coded++) {
		bits = bits << 6 | (unsigned)base64_digit(*coded);
		n_bits += 6;
		if (n_bits >= 8) {
			n_bits -= 8;
			out[n++] = (char)(bits >> n_bits);
		}
	}
	out[n] = '\0';
	*n_bytes = n;
	return out;
}

/* The list of whole numbers OBJECT[KEY], to be freed; NULL if there is none. */
static inline int32_t *
golden_ids(const cJSON *object, const char *key, size_t *n)
{
	const cJSON *list = cJSON_GetObjectItemCaseSensitive(object, key), *item;
	int32_t *ids;

	if (!cJSON_IsArray(list))
		return NULL;
	ids = malloc(((size_t)cJSON_GetArraySize(list) + 1) * sizeof *ids);
	*n = 0;
	cJSON_ArrayForEach(item, list) ids[(*n)++] = item->valueint;
	return ids;
}

#endif
