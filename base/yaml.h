/*
 * base/yaml.h - a YAML reader over libyaml that gives the same tree as the TOML reader.
 *
 * One document; plain scalars resolve by YAML 1.2's core schema (null, bool, int, float; a decimal
 * integer beyond 64 bits becomes the nearest float). JSON
 * reads as it is, but for characters escaped as two surrogates. Keys are scalars, taken as text.
 * An alias repeats its anchor's value and counts as much against the limits of config-value.h;
 * tags other than the core schema's, merge keys ("<<") and recursive aliases are refused.
 */
#ifndef BASE_YAML_H
#define BASE_YAML_H

#include "base/config-value.h"

/* The document (an empty one is an empty table), or NULL with ERROR. */
struct config_value *yaml_parse(const char *text, size_t n, struct config_error *error);

#endif
