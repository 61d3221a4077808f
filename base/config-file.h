/*
 * base/config-file.h - opens a configuration file of either form.
 */
#ifndef BASE_CONFIG_FILE_H
#define BASE_CONFIG_FILE_H

#include "base/config-value.h"

/* Reads PATH as YAML when it is named .yaml, .yml or .json, else as TOML. The root is always a
 * table. NULL with ERROR (line 0 when the file cannot be read). config_free() it. */
struct config_value *config_open(const char *path, struct config_error *error);

/* "run.toml:3: message", or "run.toml: message" without a line, into OUT[SIZE]. PATH and message
 * are made visible. */
void config_error_text(const struct config_error *error, const char *path, char *out, size_t size);

#endif
