/* settings.c - finds each setting's value and tells where it came from. */

#include "config.h"

#include <assert.h>
#include <errno.h>
#include <ctype.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/atomic-file.h"
#include "base/buffer.h"
#include "base/config-file.h"
#include "base/file.h"
#include "src/settings.h"
#include "src/train-recipe.h"

static const char *const variants[] = { "S", "M", "L", NULL };
static const char *const isas[] = { "auto", "avx512", "avx2", "plain", NULL };
static const char *const devices[] = { "auto", "cpu", "cuda", NULL };
static const char *const themes[] = { "dark", "light", "mono", NULL };

const struct setting_spec setting_specs[] = {
	{ "base.model", SETTING_TEXT, NULL, "base model: a path or a name the catalog knows" },
	{ "encoder.path", SETTING_TEXT, NULL, "task encoder: a directory" },
	{ "hypernet.path", SETTING_TEXT, NULL, "hypernet: a checkpoint" },
	{ "hypernet.variant", SETTING_TEXT, "L", "which of the demo's hypernets", variants },
	{ "hypernet.input_dim", SETTING_INTEGER, NULL,
	    "numbers of a task's embedding; told when the hypernet wants others", .min = 1,
	    .max = 65536 },
	{ "lora.rank", SETTING_INTEGER, NULL, "rank; told when the hypernet has another", .min = 1,
	    .max = 256 },
	{ "lora.alpha", SETTING_NUMBER, NULL, "lora_alpha; told when the hypernet has another",
	    .min = 1e-3, .max = 1e6 },
	{ "lora.target_modules", SETTING_LIST, NULL, "modules; told when the hypernet has others" },
	{ "engine.device", SETTING_TEXT, "auto", "where it is computed", devices },
	{ "engine.mixed_precision", SETTING_BOOL, "true", "false: f32 throughout, as --precise" },
	{ "engine.threads", SETTING_INTEGER, "0", "threads; 0: one a core", .min = 0, .max = 1024 },
	{ "engine.isa", SETTING_TEXT, "auto", "instruction set of the kernels", isas },
	{ "infer.max_tokens", SETTING_INTEGER, "256", "new tokens at most", .min = 1, .max = 1e9 },
	{ "infer.temperature", SETTING_NUMBER, "0", "0: greedy", .min = 0, .max = 100 },
	{ "infer.top_k", SETTING_INTEGER, "0", "0: all", .min = 0, .max = 1e9 },
	{ "infer.top_p", SETTING_NUMBER, "1", "nucleus", .min = 0, .max = 1 },
	{ "infer.min_p", SETTING_NUMBER, "0", "share of the best token's probability", .min = 0,
	    .max = 1 },
	{ "infer.repetition_penalty", SETTING_NUMBER, "1", "1: none", .min = 0.01, .max = 100 },
	{ "infer.seed", SETTING_INTEGER, "1", "of the sampler", .min = 0, .max = 9e15 },
	{ "infer.context", SETTING_INTEGER, "0", "tokens a lane holds; 0: the model's own",
	    .min = 0, .max = 1e9 },
	{ "generate.workers", SETTING_INTEGER, "0", "lines of a batch that are in work at once",
	    .min = 0, .max = 256 },
	{ "ui.theme", SETTING_TEXT, "dark", "colours of the workbench", themes },
	{ "ui.live", SETTING_BOOL, "true", "make a draft adapter while the task is typed" },
	{ "ui.mouse", SETTING_BOOL, "false", "mouse in the workbench" },
	{ NULL },
};
#define N_SETTINGS (sizeof setting_specs / sizeof setting_specs[0] - 1)

/* Keys of the seeds' configuration files and what they are called here. */
static const struct {
	const char *theirs, *ours;
} aliases[] = {
	{ "t2l.hypernetwork.model_size", "hypernet.variant" },
	{ "t2l.hypernetwork.input_dim", "hypernet.input_dim" },
	{ "t2l.lora.rank", "lora.rank" },
	{ "t2l.lora.alpha", "lora.alpha" },
	{ "t2l.lora.target_modules", "lora.target_modules" },
	{ "t2l.device.device_type", "engine.device" },
	{ "t2l.device.mixed_precision", "engine.mixed_precision" },
	{ "t2l.device.threads", "engine.threads" },
};

struct settings {
	char *values[N_SETTINGS];
	char *origins[N_SETTINGS];
};

static size_t
find(const char *key)
{
	size_t i = 0;

	while (i < N_SETTINGS && strcmp(setting_specs[i].key, key) != 0)
		i++;
	return i;
}

/* "large" -> "L" and "CUDA" -> "cuda", as the seeds' files and --model-size have them. */
static const char *
plain_word(const struct setting_spec *spec, const char *text)
{
	static const char *const sizes[][2] = { { "small", "S" }, { "medium", "M" },
		{ "large", "L" } };

	for (size_t i = 0; spec->choices == variants && i < 3; i++)
		if (strcasecmp(text, sizes[i][0]) == 0)
			return sizes[i][1];
	for (size_t i = 0; spec->choices == devices && devices[i] != NULL; i++)
		if (strcasecmp(text, devices[i]) == 0)
			return devices[i];
	return text;
}

/* What is wrong with TEXT, or NULL; words in BUFFER. */
static const char *
fault(const struct setting_spec *spec, const char *text, char *buffer, size_t size)
{
	char *end = NULL;
	double number = 0;

	if (spec->choices != NULL) {
		for (size_t i = 0; spec->choices[i] != NULL; i++)
			if (strcmp(spec->choices[i], text) == 0)
				return NULL;
		snprintf(buffer, size, "%s = '%s' is none of", spec->key, text);
		for (size_t i = 0; spec->choices[i] != NULL; i++) {
			size_t used = strlen(buffer);

			snprintf(buffer + used, size - used, " %s", spec->choices[i]);
		}
		return buffer;
	}
	if (spec->type == SETTING_BOOL && strcmp(text, "true") != 0 && strcmp(text, "false") != 0)
		snprintf(buffer, size, "%s = '%s' must be true or false", spec->key, text);
	else if (spec->type == SETTING_INTEGER || spec->type == SETTING_NUMBER) {
		errno = 0;
		number = spec->type == SETTING_INTEGER ? (double)strtoll(text, &end, 10)
						       : strtod(text, &end);
		if (end == text || *end != '\0' || errno != 0 || !(number >= spec->min) ||
		    !(number <= spec->max))
			snprintf(buffer, size, "%s = '%s' must be a %s in %g .. %g", spec->key,
			    text, spec->type == SETTING_INTEGER ? "whole number" : "number",
			    spec->min, spec->max);
		else
			return NULL;
	} else {
		return NULL;
	}
	return buffer;
}

static bool
is_fit(const struct setting_spec *spec, const char *text, const char *origin, char *message,
    size_t size)
{
	char words[512];
	const char *wrong = fault(spec, text, words, sizeof words);

	if (wrong != NULL)
		snprintf(message, size, "%s: %s", origin, wrong);
	return wrong == NULL;
}

static bool
set(struct settings *settings, size_t at, const char *text, const char *origin, char *message,
    size_t size)
{
	const struct setting_spec *spec = &setting_specs[at];

	text = plain_word(spec, text);
	if (!is_fit(spec, text, origin, message, size))
		return false;
	free(settings->values[at]);
	free(settings->origins[at]);
	settings->values[at] = strdup(text);
	settings->origins[at] = strdup(origin);
	if (settings->values[at] != NULL && settings->origins[at] != NULL)
		return true;
	snprintf(message, size, "out of memory");
	return false;
}

/* ---- files ---- */

/* A leaf's value as text. */
static bool
leaf_text(const struct config_value *value, struct buffer *text)
{
	switch (value->kind) {
	case CONFIG_BOOL:
		buffer_text(text, value->boolean ? "true" : "false");
		return true;
	case CONFIG_INTEGER:
		buffer_printf(text, "%lld", (long long)value->integer);
		return true;
	case CONFIG_NUMBER:
		buffer_printf(text, "%.17g", value->number);
		return true;
	case CONFIG_STRING:
		buffer_text(text, value->string);
		return true;
	case CONFIG_LIST:
		for (size_t i = 0; i < value->n_children; i++) {
			if (i > 0)
				buffer_char(text, ',');
			if (!leaf_text(value->children[i], text))
				return false;
		}
		return true;
	default:
		return false;
	}
}

/* Keys of such files that nothing here follows: of a hypernet's training, and of a server. */
static const struct setting_spec elsewhere[] = {
	{ "t2l.hypernetwork.dropout", SETTING_NUMBER, .min = 0, .max = 0.99 },
	{ "server.port", SETTING_INTEGER, .min = 1, .max = 65535 },
	{ "server.max_concurrent", SETTING_INTEGER, .min = 1, .max = 1e6 },
	{ NULL },
};

/* The tables of a recipe (t2l train --config) may stand in a project file too; their keys are
 * looked at, not used. */
static bool
is_recipe_table(const struct config_value *value)
{
	static const char *const tables[] = { "model", "training", "optimizer", "data" };

	for (size_t i = 0; value->kind == CONFIG_TABLE && value->parent != NULL &&
			   value->parent->parent == NULL && i < 4;
	     i++)
		if (strcmp(value->key, tables[i]) == 0)
			return true;
	return false;
}

static bool
check_recipe_table(const struct config_value *table, const char *file, char *message, size_t size)
{
	struct config_error error = { 0 };

	if (train_recipe_check(table, &error))
		return true;
	config_error_text(&error, file, message, size);
	return false;
}

static size_t
find_alias(const char *path)
{
	for (size_t i = 0; i < sizeof aliases / sizeof aliases[0]; i++)
		if (strcmp(aliases[i].theirs, path) == 0)
			return find(aliases[i].ours);
	return N_SETTINGS;
}

static const struct setting_spec *
find_elsewhere(const char *path)
{
	for (size_t i = 0; elsewhere[i].key != NULL; i++)
		if (strcmp(elsewhere[i].key, path) == 0)
			return &elsewhere[i];
	return NULL;
}

static bool
take_value(struct settings *settings, const struct config_value *value, const char *file,
    char *message, size_t size)
{
	char path[256], origin[PATH_MAX + 32];
	struct buffer text = { 0 };
	const struct setting_spec *other = NULL;
	size_t at;
	bool fine = true;

	if (is_recipe_table(value))
		return check_recipe_table(value, file, message, size);
	for (size_t i = 0; value->kind == CONFIG_TABLE && i < value->n_children; i++)
		if (!take_value(settings, value->children[i], file, message, size))
			return false;
	if (value->kind == CONFIG_TABLE)
		return true;
	config_path(value, path, sizeof path);
	snprintf(origin, sizeof origin, "%s:%d", file, value->line);
	at = find(path);
	if (at == N_SETTINGS)
		at = find_alias(path);
	if (at == N_SETTINGS)
		other = find_elsewhere(path);
	if (at == N_SETTINGS && other == NULL) {
		snprintf(message, size,
		    "%s: unknown setting '%s' (t2l config show lists those there are)", origin,
		    path);
		return false;
	}
	if (!leaf_text(value, &text)) {
		snprintf(message, size, "%s: '%s' wants a plain value", origin, path);
		fine = false;
	} else if (other != NULL) {
		fine = is_fit(other, buffer_string(&text), origin, message, size);
	} else {
		fine = set(settings, at, buffer_string(&text), origin, message, size);
	}
	buffer_free(&text);
	return fine;
}

static bool
read_file(struct settings *settings, const char *file, char *message, size_t size)
{
	struct config_error error = { 0 };
	struct config_value *root = config_open(file, &error);
	bool fine;

	if (root == NULL) {
		config_error_text(&error, file, message, size);
		return false;
	}
	fine = take_value(settings, root, file, message, size);
	config_free(root);
	return fine;
}

static bool
read_if_there(struct settings *settings, const char *file, char *message, size_t size)
{
	return access(file, F_OK) != 0 || read_file(settings, file, message, size);
}

void
settings_user_home(char *path, size_t size)
{
	const char *home = getenv("HOME");
	const struct passwd *user = home != NULL && home[0] == '/' ? NULL : getpwuid(getuid());

	snprintf(path, size, "%s", user != NULL ? user->pw_dir : home != NULL ? home : "");
}

void
settings_user_path(const char *name, char *path, size_t size)
{
	const char *config = getenv("XDG_CONFIG_HOME");
	char home[PATH_MAX];

	if (config != NULL && config[0] == '/')
		snprintf(path, size, "%s/t2l/%s", config, name);
	else {
		settings_user_home(home, sizeof home);
		snprintf(path, size, "%s/.config/t2l/%s", home, name);
	}
}

static bool
read_environment(struct settings *settings, char *message, size_t size)
{
	for (size_t i = 0; i < N_SETTINGS; i++) {
		char name[128] = "T2L_", origin[160];
		const char *value;
		size_t n = strlen(name);

		for (const char *at = setting_specs[i].key; *at != '\0' && n + 1 < sizeof name;
		     at++)
			name[n++] = *at == '.' ? '_' : (char)toupper((unsigned char)*at);
		name[n] = '\0';
		value = getenv(name);
		snprintf(origin, sizeof origin, "environment %s", name);
		if (value != NULL && !set(settings, i, value, origin, message, size))
			return false;
	}
	return true;
}

struct settings *
settings_load(const char *file, char *message, size_t size)
{
	struct settings *settings = calloc(1, sizeof *settings);
	char path[PATH_MAX];
	bool fine = settings != NULL;

	if (!fine)
		snprintf(message, size, "out of memory");
	/* From the weakest to the strongest; each overwrites. */
	for (size_t i = 0; i < N_SETTINGS && fine; i++)
		if (setting_specs[i].fallback != NULL)
			fine =
			    set(settings, i, setting_specs[i].fallback, "default", message, size);
	settings_user_path("config.toml", path, sizeof path);
	fine = fine && read_if_there(settings, path, message, size);
	settings_user_path("config.yaml", path, sizeof path);
	fine = fine && read_if_there(settings, path, message, size);
	if (file != NULL)
		fine = fine && read_file(settings, file, message, size);
	else
		fine = fine && read_if_there(settings, "./t2l.toml", message, size) &&
		       read_if_there(settings, "./t2l.yaml", message, size);
	fine = fine && read_environment(settings, message, size);
	if (!fine) {
		settings_free(settings);
		return NULL;
	}
	return settings;
}

void
settings_free(struct settings *settings)
{
	if (settings == NULL)
		return;
	for (size_t i = 0; i < N_SETTINGS; i++) {
		free(settings->values[i]);
		free(settings->origins[i]);
	}
	free(settings);
}

const char *
setting_get(const struct settings *settings, const char *key, const char **origin)
{
	size_t at = find(key);

	assert(at < N_SETTINGS);
	if (origin != NULL)
		*origin = settings->origins[at] ? settings->origins[at] : "unset";
	return settings->values[at];
}

/* ---- config set ---- */

/* Whether LINE gives NAME inside the table that was opened last. */
static bool
gives(const char *line, const char *name)
{
	size_t n = strlen(name);

	line += strspn(line, " \t");
	return strncmp(line, name, n) == 0 && line[n + strspn(line + n, " \t")] == '=';
}

static bool
opens(const char *line, size_t length, const char *table, size_t n)
{
	line += strspn(line, " \t");
	return length >= n + 2 && line[0] == '[' && strncmp(line + 1, table, n) == 0 &&
	       line[n + 1] == ']';
}

/* The file's text with "name = value" in [table]: replaced where it stands, else put behind the
 * table's line. */
static void
rewrite(const char *text, const char *key, const char *assignment, struct buffer *out)
{
	size_t n_table = (size_t)(strchr(key, '.') - key);
	const char *name = key + n_table + 1;
	bool inside = false, done = false;
	size_t insert_at = 0;

	for (const char *line = text; *line != '\0';) {
		size_t n = strcspn(line, "\n");

		if (line[strspn(line, " \t")] == '[')
			inside = opens(line, n, key, n_table);
		if (inside && !done && gives(line, name)) {
			buffer_text(out, assignment);
			done = true;
		} else {
			buffer_append(out, line, n);
			buffer_char(out, '\n');
			if (inside && insert_at == 0)
				insert_at = out->n;
		}
		line += n + (line[n] == '\n');
	}
	if (done)
		return;
	if (insert_at == 0) {
		buffer_printf(out, "[%.*s]\n%s", (int)n_table, key, assignment);
		return;
	}
	char *tail = strdup(buffer_string(out) + insert_at);

	if (tail == NULL) {
		out->failed = true;
		return;
	}
	out->n = insert_at;
	buffer_text(out, assignment);
	buffer_text(out, tail);
	free(tail);
}

static bool
make_folders(char *path)
{
	for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		bool made = mkdir(path, 0777) == 0 || errno == EEXIST;

		*slash = '/';
		if (!made)
			return false;
	}
	return true;
}

bool
setting_save(
    struct settings *settings, const char *key, const char *value, char *message, size_t size)
{
	struct buffer assignment = { 0 }, out = { 0 };
	char path[PATH_MAX], *text;
	size_t at = find(key);
	bool quoted, fine;

	if (at == N_SETTINGS) {
		snprintf(message, size,
		    "unknown setting '%s' (t2l config show lists those there are)", key);
		return false;
	}
	settings_user_path("config.toml", path, sizeof path);
	if (!set(settings, at, value, path, message, size))
		return false;
	quoted = setting_specs[at].type == SETTING_TEXT || setting_specs[at].type == SETTING_LIST;
	buffer_printf(&assignment, "%s = ", strchr(key, '.') + 1);
	if (quoted)
		buffer_json_string(&assignment, settings->values[at], strlen(settings->values[at]));
	else
		buffer_text(&assignment, settings->values[at]);
	buffer_char(&assignment, '\n');
	text = read_whole_file(path, 1 << 20, NULL);
	rewrite(text ? text : "", key, buffer_string(&assignment), &out);
	fine = !buffer_failed(&out) && make_folders(path) &&
	       atomic_write(path, buffer_string(&out), out.n) == 0;
	if (!fine)
		snprintf(message, size, "cannot write '%s': %s", path, strerror(errno));
	free(text);
	buffer_free(&out);
	buffer_free(&assignment);
	return fine;
}
