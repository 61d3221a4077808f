/*
 * base/toml.h - a TOML 1.0 reader (toml.io/en/v1.0.0).
 *
 * Complete but for dates and times, which are checked and kept as text (CONFIG_DATE). Hostile
 * documents are bounded by the limits of config-value.h; errors carry their line.
 */
#ifndef BASE_TOML_H
#define BASE_TOML_H

#include "base/config-value.h"

/* The document as a table, or NULL with ERROR. TEXT need not be terminated. */
struct config_value *toml_parse(const char *text, size_t n, struct config_error *error);

#endif
