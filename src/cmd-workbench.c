/* t2l workbench - describe, try side by side, keep, merge and export, on one screen. */

#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "src/command.h"
#include "src/options.h"
#include "src/settings.h"
#include "src/workplace.h"
#include "ui/workbench.h"

static const char *const theme_choices[] = { "dark", "light", "mono", NULL };

static const struct option_spec options[] = {
	{ "base-model", 'b', OPTION_MODEL, 0, "HF directory, GGUF file or a known name",
	    .setting = "base.model" },
	{ "hypernet", 0, OPTION_MODEL, 0, "checkpoint of the hypernet",
	    .setting = "hypernet.path" },
	{ "encoder", 0, OPTION_MODEL, 0, "directory of the task encoder",
	    .setting = "encoder.path" },
	{ "theme", 0, OPTION_CHOICE, 0, "colours", .choices = theme_choices,
	    .setting = "ui.theme" },
	{ "script", 0, OPTION_PATH, 0,
	    "play keys from this file on a hidden screen, for tests of the screen" },
	{ 0 },
};

/* Offered on an empty catalog, each with a prompt to try it on. */
static const char *const suggestions[] = {
	"translate the English word to Spanish, in capital letters\tcat",
	"write the word backwards\tgarden",
	"give the plural of the word\tqueen",
	NULL,
};

/* Three threads use a workplace, and each has its own: the screen (catalog and completion), the one
 * that writes (what is open, for keeping adapters) and the one that runs command lines. */
struct desk {
	struct context screen, writes, commands;
	struct buffer writes_log;
	const char *theme;
	char rc[4096];
};

/* ---- what the workbench asks for ---- */

static void
keep_in_buffer(void *user, const char *bytes, size_t n)
{
	buffer_append(user, bytes, n);
}

static void
drop_output(void *user, const char *bytes, size_t n)
{
	(void)user;
	(void)bytes;
	(void)n;
}

/* What a command said about its fault, without "t2l workbench: " and the line's end. */
static void
take_fault(struct buffer *log, char *message, size_t size)
{
	static const char prefix[] = "t2l workbench: ";
	const char *text = buffer_string(log);

	if (strncmp(text, prefix, sizeof prefix - 1) == 0)
		text += sizeof prefix - 1;
	snprintf(message, size, "%.*s", (int)strcspn(text, "\n"), text);
	buffer_clear(log);
}

static int64_t
keep(void *user, const struct t2l_adapter *adapter, const char *name, const char *source,
    double generation_ms, struct t2l_error *err)
{
	struct desk *desk = user;
	const struct keep_options how = {
		.name = name, .source = source, .generation_ms = generation_ms
	};
	struct kept kept;

	if (workplace_keep(&desk->writes, adapter, &how, &kept))
		return kept.id;
	err->status = T2L_EIO;
	take_fault(&desk->writes_log, err->message, sizeof err->message);
	return 0;
}

static int
run_line(void *user, const char *line, void (*write)(void *write_user, const char *bytes, size_t n),
    void *write_user, atomic_bool *cancelled)
{
	struct desk *desk = user;
	struct context *ctx = &desk->commands;

	ctx->out = ctx->log = (struct output){ write, write_user, false, 100 };
	ctx->log.terminal = true; /* progress bars are welcome */
	ctx->cancelled = cancelled;
	ctx->command = NULL;
	return command_run_line(ctx, line);
}

static char **
complete(void *user, const char *line)
{
	struct desk *desk = user;

	return command_completions(&desk->screen, line);
}

static const char *
setting(void *user, const char *key)
{
	struct desk *desk = user;

	if (strcmp(key, "ui.theme") == 0)
		return desk->theme;
	for (size_t i = 0; setting_specs[i].key != NULL; i++)
		if (strcmp(setting_specs[i].key, key) == 0)
			return setting_get(desk->screen.settings, key, NULL);
	return NULL;
}

/* ---- the command ---- */

/* Hypernet and encoder may be absent: then lanes run what there is, and the screen says why no
 * adapter can be made. */
static bool
open_generation(struct desk *desk, const struct options *opt, struct workbench_host *host,
    char *why, size_t size)
{
	struct t2l_error err;

	if (!workplace_hypernet(
		&desk->writes, option_text(opt, "hypernet"), NULL, &host->hypernet) ||
	    !workplace_encoder_for(
		&desk->writes, host->hypernet, option_text(opt, "encoder"), &host->encoder)) {
		take_fault(&desk->writes_log, why, size);
		host->hypernet = NULL;
		host->encoder = NULL;
		return false;
	}
	if (t2l_hypernet_check(host->hypernet, host->model, host->encoder, &err) != T2L_OK) {
		snprintf(why, size, "%s", err.message);
		host->hypernet = NULL;
		host->encoder = NULL;
		return false;
	}
	return true;
}

/* $XDG_CONFIG_HOME/t2l/t2lrc, else ~/.config/t2l/t2lrc. */
static void
rc_path(char *path, size_t size)
{
	const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");

	if (config != NULL && config[0] == '/')
		snprintf(path, size, "%s/t2l/t2lrc", config);
	else
		snprintf(path, size, "%s/.config/t2l/t2lrc", home != NULL ? home : "");
}

static void
set_up_desk(struct desk *desk, const struct context *ctx)
{
	const struct output nowhere = { drop_output, NULL, false, 80 };

	desk->writes = desk->screen = desk->commands = *ctx;
	desk->writes.out = nowhere;
	desk->writes.log = (struct output){ keep_in_buffer, &desk->writes_log, false, 80 };
	desk->screen.out = desk->screen.log = nowhere;
	rc_path(desk->rc, sizeof desk->rc);
	desk->screen.workplace = workplace_new();
	desk->commands.workplace = workplace_new();
}

static int
run_desk(struct context *ctx, struct desk *desk, const struct options *opt)
{
	char why[1024] = "";
	struct workbench_host host = {
		.home = workplace_home(ctx),
		.rc = desk->rc,
		.suggestions = suggestions,
		.script = option_text(opt, "script"),
		.user = desk,
		.run_line = run_line,
		.complete = complete,
		.free_words = command_completions_free,
		.setting = setting,
		.keep = keep,
		.no_hypernet = why,
	};

	if (!workplace_engine(ctx, &host.engine) ||
	    !workplace_model(ctx, option_text(opt, "base-model"), &host.model))
		return 1;
	/* The screen's own handle; its fault is worth telling before the screen is taken. */
	desk->screen.log = ctx->log;
	if (!workplace_store(&desk->screen, &host.store))
		return 1;
	desk->screen.log = desk->screen.out;
	open_generation(desk, opt, &host, why, sizeof why);
	return workbench_run(&host);
}

static int
workbench_command(struct context *ctx, const struct options *opt)
{
	struct desk desk = { .theme = option_text(opt, "theme") };
	int status;

	set_up_desk(&desk, ctx);
	if (desk.screen.workplace == NULL || desk.commands.workplace == NULL)
		status = context_fail(ctx, "out of memory");
	else
		status = run_desk(ctx, &desk, opt);
	workplace_free(desk.screen.workplace);
	workplace_free(desk.commands.workplace);
	buffer_free(&desk.writes_log);
	return status;
}

const struct command command_workbench = {
	.name = "workbench",
	.summary = "describe, try side by side, keep, merge and export on one screen",
	.details = "What t2l without arguments does on a terminal. ? lists the keys of the view, : "
		   "runs any command.",
	.example = "t2l workbench --base-model demo-base",
	.options = options,
	.run = workbench_command,
};
