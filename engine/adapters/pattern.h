/*
 * adapters/pattern.h - PEFT's rank_pattern and alpha_pattern: numbers for modules by the names'
 * ends.
 *
 * A key is a regular expression that matches as (anything ending in a dot)?(key) up to the end of
 * the module's path; the first key of the file that matches wins. Keys are untrusted: their number
 * and length, and the steps a match may take, are bounded.
 */
#ifndef ENGINE_ADAPTERS_PATTERN_H
#define ENGINE_ADAPTERS_PATTERN_H

#include <cjson/cJSON.h>

#include "engine/error.h"

struct pattern_table;

/* OBJECT: {key: number, ...}, or NULL (an empty table). It must outlive the table. PATH and NAME
 * ("alpha_pattern") are for messages. */
enum t2l_status pattern_table_make(const cJSON *object, const char *path, const char *name,
    struct pattern_table **out, struct t2l_error *err);
void pattern_table_free(struct pattern_table *table);

/* *NUMBER is left alone when no key matches MODULE_PATH ("model.layers.0.self_attn.q_proj"). */
enum t2l_status pattern_table_find(
    struct pattern_table *table, const char *module_path, double *number, struct t2l_error *err);

#endif
