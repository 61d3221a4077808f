/* t2l version, config, help - the program about itself. */

#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>
#include <readline/readline.h>
#include <sqlite3.h>

#include "src/command.h"
#include "src/help.h"
#include "src/options.h"
#include "src/settings.h"
#include "src/workplace.h"

/* ---- version ---- */

static int
version_run(struct context *ctx, const struct options *opt)
{
	struct t2l_engine *engine;
	cJSON *object = cJSON_CreateObject();

	cJSON_AddStringToObject(object, "version", t2l_version());
	say(ctx, "t2l %s\n", t2l_version());
	if (option_flag(opt, "verbose")) {
		const char *description = "none";

		if (workplace_engine(ctx, &engine))
			description = t2l_engine_description(engine);
		const char *const lines[][2] = {
			{ "backend", description },
			{ "cpu", t2l_cpu_features() },
			{ "blas", "none: own kernels" },
			{ "sqlite", sqlite3_libversion() },
			{ "readline", rl_library_version },
			{ "cjson", cJSON_Version() },
			{ "share", workplace_share(ctx) },
			{ "home", workplace_home(ctx) },
		};

		for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
			cJSON_AddStringToObject(object, lines[i][0], lines[i][1]);
			say(ctx, "  %-10s %s\n", lines[i][0], lines[i][1]);
		}
	}
	say_json(ctx, object);
	return 0;
}

const struct command command_version = {
	.name = "version",
	.summary = "version; with --verbose processor, backend and libraries",
	.run = version_run,
};

/* ---- config ---- */

static const struct option_spec show_options[] = {
	{ "origin", 0, OPTION_FLAG, 0, "say where each value comes from" },
	{ 0 },
};

static cJSON *
setting_json(struct context *ctx, const char *key)
{
	const char *origin, *value = setting_get(ctx->settings, key, &origin);
	cJSON *object = cJSON_CreateObject();

	cJSON_AddStringToObject(object, "key", key);
	cJSON_AddItemToObject(
	    object, "value", value ? cJSON_CreateString(value) : cJSON_CreateNull());
	cJSON_AddStringToObject(object, "origin", origin);
	return object;
}

static int
config_show_run(struct context *ctx, const struct options *opt)
{
	const char *only = option_argument(opt, 0);
	bool found = false;

	for (size_t i = 0; setting_specs[i].key != NULL; i++) {
		const struct setting_spec *spec = &setting_specs[i];
		const char *origin, *value = setting_get(ctx->settings, spec->key, &origin);
		cJSON *object;

		if (only != NULL && strcmp(only, spec->key) != 0)
			continue;
		found = true;
		object = setting_json(ctx, spec->key);
		cJSON_AddStringToObject(object, "help", spec->help);
		say_json(ctx, object);
		if (option_flag(opt, "origin"))
			say(ctx, "%-26s %-14s %s\n", spec->key, value ? value : "-", origin);
		else
			say(ctx, "%-26s %-14s # %s\n", spec->key, value ? value : "-", spec->help);
	}
	if (!found)
		return context_fail(
		    ctx, "unknown setting '%s' (t2l config show lists those there are)", only);
	return 0;
}

static int
config_set_run(struct context *ctx, const struct options *opt)
{
	char message[1024];

	if (!setting_save(ctx->settings, option_argument(opt, 0), option_argument(opt, 1), message,
		sizeof message))
		return context_fail(ctx, "%s", message);
	say_json(ctx, setting_json(ctx, option_argument(opt, 0)));
	return 0;
}

static const struct command config_show = {
	.name = "show",
	.summary = "the settings and their values",
	.arguments = "KEY",
	.max_arguments = 1,
	.options = show_options,
	.run = config_show_run,
};
static const struct command config_set = {
	.name = "set",
	.summary = "set one in the user's file",
	.arguments = "KEY VALUE",
	.min_arguments = 2,
	.max_arguments = 2,
	.example = "t2l config set infer.temperature 0.7",
	.run = config_set_run,
};
static const struct command *const config_commands[] = { &config_show, &config_set, NULL };

const struct command command_config = {
	.name = "config",
	.summary = "settings: show, set",
	.details = "Precedence: option on the line, environment T2L_*, project file (./t2l.toml, "
		   "./t2l.yaml or "
		   "--config), user file (~/.config/t2l/config.toml), default.",
	.subcommands = config_commands,
};

/* ---- help ---- */

static const char *const shells[] = { "bash", "zsh", "fish", NULL };

static const struct option_spec help_options[] = {
	{ "man", 0, OPTION_FLAG, 0, "print the man page's source" },
	{ "completion", 0, OPTION_CHOICE, 0, "print the completion script of a shell",
	    .choices = shells },
	{ "complete", 0, OPTION_TEXT, 0, "print what may end this line; for the scripts" },
	{ 0 },
};

static int
help_run(struct context *ctx, const struct options *opt)
{
	const char *shell = option_text(opt, "completion"), *line = option_text(opt, "complete");
	const char *words[16];
	size_t n = option_n_arguments(opt);
	int n_words;

	if (option_flag(opt, "man")) {
		help_man_page(stdout);
		return 0;
	}
	if (shell != NULL)
		return help_completion(stdout, shell) ? 0 : 1;
	if (line != NULL) {
		char **found = command_completions(ctx, line);

		for (size_t i = 0; found != NULL && found[i] != NULL; i++)
			say(ctx, "%s\n", found[i]);
		command_completions_free(found);
		return 0;
	}
	for (size_t i = 0; i < n && i < 16; i++)
		words[i] = option_argument(opt, i);
	if (n == 0 && !ctx->json) {
		help_all(ctx);
		return 0;
	}
	if (n == 0) {
		for (size_t i = 0; commands[i] != NULL; i++)
			help_json(ctx, commands[i], commands[i]->name);
		return 0;
	}
	const struct command *command = command_find((int)(n < 16 ? n : 16), words, &n_words);
	char name[128] = "";

	if (command == NULL || (size_t)n_words < n)
		return context_usage(ctx, "there is no command '%s'", words[command ? n_words : 0]);
	for (int i = 0; i < n_words; i++)
		snprintf(name + strlen(name), sizeof name - strlen(name), "%s%s", i ? " " : "",
		    words[i]);
	if (ctx->json)
		help_json(ctx, command, name);
	else
		help_command(ctx, command, name);
	return 0;
}

const struct command command_help = {
	.name = "help",
	.summary = "help on a command; man page and completion scripts",
	.arguments = "COMMAND",
	.max_arguments = 4,
	.options = help_options,
	.run = help_run,
};
