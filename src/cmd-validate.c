/* t2l validate - is an adapter sound, does it fit its base, will it run there. */

#include "config.h"

#include <string.h>

#include "src/adapter-checks.h"
#include "src/adapter-names.h"
#include "src/command.h"
#include "src/options.h"
#include "src/workplace.h"

static const struct option_spec options[] = {
	{ "adapter", 'a', OPTION_ADAPTER, MANY,
	    "adapters to look at: files, directories, names or patterns" },
	{ "base-model", 'b', OPTION_MODEL, 0, "base that it should fit" },
	{ "device-profile", 0, OPTION_TEXT, 0,
	    "device it should run on (--profiles lists them); the configured base without "
	    "--base-model",
	    .argument = "NAME" },
	{ "max-memory", 0, OPTION_TEXT, 0, "instead of the profile's: 2GB, 512MB, 1.5GiB",
	    .argument = "SIZE" },
	{ "profiles", 0, OPTION_FLAG, 0, "list the device profiles" },
	{ 0 },
};

static bool
list_profile(void *user, const struct device_profile *profile)
{
	struct context *ctx = user;
	cJSON *object = cJSON_CreateObject();

	cJSON_AddStringToObject(object, "profile", profile->name);
	cJSON_AddStringToObject(object, "description", profile->description);
	cJSON_AddNumberToObject(object, "memory_bytes", profile->memory_bytes);
	cJSON_AddNumberToObject(object, "bandwidth_bytes_per_s", profile->bandwidth_bytes_per_s);
	cJSON_AddNumberToObject(object, "efficiency", profile->efficiency);
	cJSON_AddNumberToObject(object, "context", (double)profile->context);
	say_json(ctx, object);
	say(ctx, "%-14s %6.4g GB at %6.4g GB/s  ", profile->name, profile->memory_bytes / 1e9,
	    profile->bandwidth_bytes_per_s / 1e9);
	say_text(ctx, profile->description, strlen(profile->description));
	say(ctx, "\n");
	return true;
}

static void
tell(struct context *ctx, const char *name, const struct checks *checks)
{
	static const char *const words[] = { "fine", "note", "wrong" };
	cJSON *object = cJSON_CreateObject(), *list;

	cJSON_AddStringToObject(object, "adapter", name);
	cJSON_AddBoolToObject(object, "valid", !checks->wrong);
	list = cJSON_AddArrayToObject(object, "checks");
	say(ctx, "%s: %s\n", name, checks->wrong ? "not valid" : "valid");
	for (size_t i = 0; i < checks->n; i++) {
		const struct check_result *result = &checks->results[i];
		cJSON *item = cJSON_CreateObject();

		cJSON_AddStringToObject(item, "check", result->name);
		cJSON_AddStringToObject(item, "outcome", words[result->outcome]);
		cJSON_AddStringToObject(item, "text", result->text);
		cJSON_AddItemToArray(list, item);
		say(ctx, "  %-8s %-6s ", result->name, words[result->outcome]);
		say_text(ctx, result->text, strlen(result->text));
		say(ctx, "\n");
	}
	if (checks->memory_bytes > 0)
		cJSON_AddNumberToObject(object, "memory_bytes", checks->memory_bytes);
	if (checks->tokens_per_s > 0)
		cJSON_AddNumberToObject(object, "tokens_per_s", checks->tokens_per_s);
	say_json(ctx, object);
}

/* What the catalog knows of it; NULL for what is none of its. */
static struct store_adapter *
catalog_row(struct context *ctx, int64_t id)
{
	struct store_adapter *row = NULL;
	struct store *store;

	if (id == 0 || !workplace_store(ctx, &store) || store_get(store, id, &row) != STORE_OK)
		return NULL;
	return row;
}

struct validation {
	struct context *ctx;
	struct check_options check;
	bool wrong; /* with any */
};

/* A file that can't be opened is a finding, not a failure of the command: the next is looked at. */
static bool
validate(struct context *ctx, const char *name, struct check_options *check)
{
	struct store_adapter *row;
	struct t2l_adapter *adapter;
	struct checks checks;
	int64_t id = 0;

	if (!workplace_adapter(ctx, name, &adapter, &id)) {
		cJSON *object = cJSON_CreateObject();

		cJSON_AddStringToObject(object, "adapter", name);
		cJSON_AddBoolToObject(object, "valid", false);
		say_json(ctx, object); /* why has been told already */
		return false;
	}
	row = catalog_row(ctx, id);
	check->file = row != NULL ? row->path : NULL;
	check->file_hash = row != NULL ? row->hash : NULL;
	checks_run(adapter, check, &checks);
	tell(ctx, name, &checks);
	store_free(row);
	t2l_adapter_close(adapter);
	return !checks.wrong;
}

static bool
validate_next(void *user, const char *name)
{
	struct validation *all = user;

	if (!validate(all->ctx, name, &all->check))
		all->wrong = true;
	return !atomic_load(all->ctx->cancelled);
}

static int
validate_run(struct context *ctx, const struct options *opt)
{
	const char *profile_name = option_text(opt, "device-profile");
	const char *base = option_text(opt, "base-model"), *size = option_text(opt, "max-memory");
	struct validation all = { .ctx = ctx };
	struct device_profile profile;
	struct t2l_model *model;
	bool fine = true;

	if (option_flag(opt, "profiles"))
		return device_profile_each(ctx, list_profile, ctx) ? 0 : 1;
	if (option_count(opt, "adapter") == 0)
		return context_usage(ctx, "--adapter is wanted: a file, directory or name");
	if (size != NULL && !bytes_parse(size, &all.check.max_memory_bytes))
		return context_usage(ctx, "'%s' is no size like 2GB, 512MB or 1.5GiB", size);
	if (profile_name != NULL) {
		if (!device_profile_find(ctx, profile_name, &profile))
			return 1;
		all.check.profile = &profile;
	}
	/* Memory and speed are those of a base. */
	if (base != NULL || size != NULL || profile_name != NULL) {
		if (!workplace_model(ctx, base, &model))
			return 1;
		all.check.model = model;
	}
	for (size_t i = 0; i < option_count(opt, "adapter") && !atomic_load(ctx->cancelled); i++)
		fine &= adapter_names_each(ctx, option_nth(opt, "adapter", i), validate_next, &all);
	return fine && !all.wrong ? 0 : 1;
}

const struct command command_validate = {
	.name = "validate",
	.summary = "is an adapter sound, does it fit its base and a device",
	.details = "Reads the whole file: lengths, shapes, finite numbers, and for one of the "
		   "catalog its hash. With --base-model whether it fits, with --device-profile "
		   "how much memory base, adapter and cache take and how fast decoding can be. "
		   "Exit status 1 when anything is wrong. Profiles are in profiles.toml; your own "
		   "go beside your config.toml.",
	.example = "t2l validate --adapter translate-es --base-model ./model --device-profile "
		   "laptop",
	.options = options,
	.run = validate_run,
};
