/*
 * src/json-lines.h - files of one JSON object a line, and lists of token ids in them.
 */
#ifndef SRC_JSON_LINES_H
#define SRC_JSON_LINES_H

#include <stdint.h>

#include "src/context.h"

/* Calls READER for each object; WHERE is "FILE line N", for messages. "-" is stdin. False when the
 * file can't be read, a line is no object (told), READER said so, or at an interrupt. */
bool json_lines(struct context *ctx, const char *path,
    bool (*reader)(void *user, const cJSON *object, const char *where), void *user);

/* Ids of a JSON list or of "1,2,3", to be freed; NULL when it is none. */
int32_t *json_ids(const cJSON *list, size_t *n);
int32_t *text_ids(const char *list, size_t *n);

#endif
