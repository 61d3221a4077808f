/*
 * formats/json.h - untrusted JSON over cJSON: bounded, and read by getters that name the key.
 *
 * Strings of a parsed document are valid UTF-8 without NUL, so they are whole as C strings; text
 * behind the document and nesting deeper than cJSON's limit (1000) are refused. cJSON keeps
 * objects as lists: iterate over large ones (cJSON_ArrayForEach), do not look keys up in them.
 *
 * Getters fail with "PATH: key 'x' must be ...". *OUT is left alone when the key is absent or null,
 * which is fine unless the key is REQUIRED. NAME is the file's, for messages.
 */
#ifndef ENGINE_FORMATS_JSON_H
#define ENGINE_FORMATS_JSON_H

#include <cjson/cJSON.h>

#include "engine/error.h"

enum json_need { JSON_OPTIONAL, JSON_REQUIRED };

/* cJSON_Delete() the result. */
enum t2l_status json_parse(
    const char *text, size_t n, const char *name, cJSON **out, struct t2l_error *err);
/* Files above LIMIT bytes are refused. */
enum t2l_status json_open(const char *path, size_t limit, cJSON **out, struct t2l_error *err);

/* Whether ITEM is a whole number of magnitude at most 2^53; then *OUT is it. */
bool json_whole(const cJSON *item, int64_t *out);

enum t2l_status json_integer(const cJSON *object, const char *key, enum json_need need, int64_t min,
    int64_t max, const char *name, int64_t *out, struct t2l_error *err);
enum t2l_status json_number(const cJSON *object, const char *key, enum json_need need, double min,
    double max, const char *name, double *out, struct t2l_error *err);
enum t2l_status json_bool(const cJSON *object, const char *key, enum json_need need,
    const char *name, bool *out, struct t2l_error *err);
/* Points into the document. */
enum t2l_status json_string(const cJSON *object, const char *key, enum json_need need,
    const char *name, const char **out, struct t2l_error *err);
enum t2l_status json_object(const cJSON *object, const char *key, enum json_need need,
    const char *name, const cJSON **out, struct t2l_error *err);
enum t2l_status json_array(const cJSON *object, const char *key, enum json_need need,
    const char *name, const cJSON **out, struct t2l_error *err);

#endif
