/*
 * src/settings.h - configuration: one table of keys, four places a value may come from.
 *
 * Precedence: option on the line > environment (T2L_ + the key in capitals, dots as _) > project
 * file (./t2l.toml,
 * ./t2l.yaml or --config FILE) > user file ($XDG_CONFIG_HOME/t2l/config.toml or .yaml) > default.
 * Unknown keys and values out of range are errors with file and line.
 */
#ifndef SRC_SETTINGS_H
#define SRC_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>

enum setting_type { SETTING_TEXT, SETTING_INTEGER, SETTING_NUMBER, SETTING_BOOL, SETTING_LIST };

struct setting_spec {
	const char *key; /* "lora.rank" */
	enum setting_type type;
	const char *fallback; /* NULL: unset */
	const char *help;
	const char *const *choices;
	double min, max; /* both 0: no limits */
};
extern const struct setting_spec setting_specs[]; /* key NULL ends it */

struct settings;

/* Reads environment, project file (FILE NULL: ./t2l.toml or ./t2l.yaml when there) and user file.
 * NULL with a message in MESSAGE [size] that names file and line. */
struct settings *settings_load(const char *file, char *message, size_t size);
void settings_free(struct settings *settings);

/* The value as text, NULL when unset; ORIGIN (may be NULL): "default", "environment T2L_SEED",
 * "./t2l.toml:12". A SETTING_LIST is joined by commas. KEY must be in the table (asserted). */
const char *setting_get(const struct settings *settings, const char *key, const char **origin);

/* $HOME, else the home that the system has for this user. */
void settings_user_home(char *path, size_t size);

/* NAME ("config.toml") in the user's folder of settings. */
void settings_user_path(const char *name, char *path, size_t size);

/* Sets KEY in the user's file (keeping its other lines). False with MESSAGE. */
bool setting_save(
    struct settings *settings, const char *key, const char *value, char *message, size_t size);

#endif
