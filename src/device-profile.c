/* device-profile.c - reads device profiles: the user's file first, then the one that is shipped. */

#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/config-value.h"
#include "base/file.h"
#include "base/toml.h"
#include "src/device-profile.h"
#include "src/settings.h"
#include "src/workplace.h"

#define MAX_FILE ((size_t)1 << 20)
#define GB 1e9

static bool
read_profile(
    const struct config_value *table, struct device_profile *profile, struct config_error *error)
{
	static const char *const keys[] = { "description", "memory", "memory_bandwidth",
		"efficiency", "context", NULL };
	const char *description = "";
	double memory, bandwidth, efficiency = 0.6;
	int64_t context = 4096;

	if (table->kind != CONFIG_TABLE)
		return config_fail(error, table->line, "'%s' is no table", table->key);
	if (!config_only(table, keys, error) || !config_required(table, "memory", error) ||
	    !config_required(table, "memory_bandwidth", error) ||
	    !config_string(table, "description", &description, error) ||
	    !config_number(table, "memory", 0.001, 1e6, &memory, error) ||
	    !config_number(table, "memory_bandwidth", 0.001, 1e6, &bandwidth, error) ||
	    !config_number(table, "efficiency", 0.01, 1, &efficiency, error) ||
	    !config_integer(table, "context", 1, 1 << 30, &context, error))
		return false;
	snprintf(profile->name, sizeof profile->name, "%s", table->key);
	snprintf(profile->description, sizeof profile->description, "%s", description);
	profile->memory_bytes = memory * GB;
	profile->bandwidth_bytes_per_s = bandwidth * GB;
	profile->efficiency = efficiency;
	profile->context = context;
	return true;
}

/* A file that is not there has no profiles. */
static bool
each_of_file(struct context *ctx, const char *path,
    bool (*fn)(void *user, const struct device_profile *profile), void *user)
{
	struct config_error error = { 0 };
	struct config_value *root;
	bool fine = true;
	size_t n;
	char *text;

	if (access(path, F_OK) != 0)
		return true;
	text = read_whole_file(path, MAX_FILE, &n);
	if (text == NULL) {
		context_fail(ctx, "%s: %s", path, strerror(errno));
		return false;
	}
	root = toml_parse(text, n, &error);
	free(text);
	fine = root != NULL;
	for (size_t i = 0; fine && i < root->n_children; i++) {
		struct device_profile profile;

		if (!read_profile(root->children[i], &profile, &error))
			fine = false;
		else if (!fn(user, &profile)) {
			config_free(root);
			return false;
		}
	}
	if (!fine)
		context_fail(ctx, "%s line %d: %s", path, error.line, error.message);
	config_free(root);
	return fine;
}

bool
device_profile_each(
    struct context *ctx, bool (*fn)(void *user, const struct device_profile *profile), void *user)
{
	char path[4096];

	settings_user_path("profiles.toml", path, sizeof path);
	if (!each_of_file(ctx, path, fn, user))
		return false;
	snprintf(path, sizeof path, "%s/profiles.toml", workplace_share(ctx));
	return each_of_file(ctx, path, fn, user);
}

struct search {
	const char *name;
	struct device_profile *profile;
	struct buffer names;
	bool found;
};

static bool
look(void *user, const struct device_profile *profile)
{
	struct search *search = user;

	buffer_printf(&search->names, "%s%s", search->names.n > 0 ? ", " : "", profile->name);
	if (strcmp(profile->name, search->name) != 0)
		return true;
	*search->profile = *profile;
	search->found = true;
	return false; /* the first of a name counts */
}

bool
device_profile_find(struct context *ctx, const char *name, struct device_profile *profile)
{
	struct search search = { .name = name, .profile = profile };

	if (device_profile_each(ctx, look, &search) && !search.found)
		context_fail(ctx, "there is no device profile '%s'; there are %s", name,
		    search.names.n > 0 ? buffer_string(&search.names) : "none");
	buffer_free(&search.names);
	return search.found;
}
