/* rc.c - reads and writes t2lrc, the file of one's own keys and colours. */

#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/atomic-file.h"
#include "base/buffer.h"
#include "base/file.h"
#include "base/visible.h"
#include "ui/rc.h"
#include "ui/theme.h"

enum { MAX_RC_BYTES = 1 << 20, MAX_BINDINGS = 1000, NO_COLOR = -2 };

/* What a line is read with. */
struct reading {
	struct rc *rc;
	const struct view_ops *const *views;
	char *fault; /* [size] */
	size_t size;
};

static bool
fail(struct reading *reading, const char *what, const char *word)
{
	char visible[128];

	visible_copy(visible, sizeof visible, word, strlen(word), 0);
	snprintf(reading->fault, reading->size, "%s '%s'", what, visible);
	return false;
}

/* The next word of *REST, "" at the end. */
static char *
next_word(char **rest)
{
	char *word = *rest + strspn(*rest, " \t");

	*rest = word + strcspn(word, " \t");
	if (**rest != '\0')
		*(*rest)++ = '\0';
	*rest += strspn(*rest, " \t");
	return word;
}

static key_code
key_called(const struct view_ops *view, const char *name)
{
	for (const struct binding *at = view->bindings; at->key != K_NONE; at++)
		if (at->name != NULL && strcmp(at->name, name) == 0)
			return at->key;
	return K_NONE;
}

static bool
read_bind(struct reading *reading, char *rest)
{
	struct rc *rc = reading->rc;
	const char *view = next_word(&rest), *key = next_word(&rest);
	struct rc_binding binding = { .key = key_parse(key) }, *bindings;

	for (size_t i = 0; reading->views[i] != NULL; i++)
		if (strcmp(reading->views[i]->name, view) == 0)
			binding.view = reading->views[i];
	if (binding.view == NULL && strcmp(view, "any") != 0)
		return fail(reading, "there is no view", view);
	if (binding.key == K_NONE)
		return fail(reading, "there is no key", key);
	if (rest[0] != ':' && binding.view == NULL)
		return fail(reading, "a command line after ':' is wanted, not", rest);
	if (rest[0] != ':' && (binding.stands_for = key_called(binding.view, rest)) == K_NONE)
		return fail(reading, "the view has nothing called", rest);
	if (rc->n_bindings == MAX_BINDINGS)
		return fail(reading, "there are too many bindings at", key);
	bindings = realloc(rc->bindings, (rc->n_bindings + 1) * sizeof *bindings);
	if (bindings != NULL)
		rc->bindings = bindings;
	binding.line = strdup(rest);
	if (bindings == NULL || binding.line == NULL) {
		free(binding.line);
		return fail(reading, "out of memory at", key);
	}
	bindings[rc->n_bindings++] = binding;
	return true;
}

static bool
read_set(struct reading *reading, char *rest)
{
	const char *option = next_word(&rest), *value = next_word(&rest);

	if (strcmp(option, "theme") != 0)
		return fail(reading, "there is no option", option);
	for (size_t i = 0; theme_names[i] != NULL; i++)
		if (strcmp(theme_names[i], value) == 0) {
			free(reading->rc->theme);
			reading->rc->theme = strdup(value);
			return true;
		}
	return fail(reading, "there is no theme", value);
}

/* "-1" .. "255" */
static bool
read_color(const char *word, short *color)
{
	char *end;
	long number = strtol(word, &end, 10);

	if (end == word || *end != '\0' || number < -1 || number > 255)
		return false;
	*color = (short)number;
	return true;
}

static bool
read_role(struct reading *reading, char *rest)
{
	const char *name = next_word(&rest), *foreground = next_word(&rest);
	const char *background = next_word(&rest);
	int role = 0;
	short *colors;

	while (role < N_ROLES && strcmp(theme_role_name((enum role)role), name) != 0)
		role++;
	if (role == N_ROLES)
		return fail(reading, "there is no role", name);
	colors = reading->rc->colors[role];
	if (!read_color(foreground, &colors[0]))
		return fail(reading, "a colour is -1 to 255, not", foreground);
	colors[1] = -1;
	if (background[0] != '\0' && !read_color(background, &colors[1]))
		return fail(reading, "a colour is -1 to 255, not", background);
	return true;
}

static const struct {
	const char *name;
	bool (*read)(struct reading *reading, char *rest);
} statements[] = {
	{ "bind", read_bind },
	{ "set", read_set },
	{ "color", read_role },
};
#define N_STATEMENTS (sizeof statements / sizeof statements[0])

static bool
read_line(struct reading *reading, char *line)
{
	size_t n = strlen(line);
	const char *word;

	while (n > 0 && strchr(" \t\r", line[n - 1]) != NULL)
		line[--n] = '\0';
	word = next_word(&line);
	if (word[0] == '\0' || word[0] == '#')
		return true;
	for (size_t i = 0; i < N_STATEMENTS; i++)
		if (strcmp(statements[i].name, word) == 0)
			return statements[i].read(reading, line);
	return fail(reading, "bind, set or color is wanted, not", word);
}

bool
rc_read(struct rc *rc, const char *path, const struct view_ops *const *views, char *message,
    size_t size)
{
	char fault[256];
	struct reading reading = { rc, views, fault, sizeof fault };
	char *text = read_whole_file(path, MAX_RC_BYTES, NULL), *rest = text;
	bool fine = true;
	int number = 0;

	*rc = (struct rc){ 0 };
	for (int role = 0; role < N_ROLES; role++)
		rc->colors[role][0] = rc->colors[role][1] = NO_COLOR;
	if (text == NULL) {
		if (errno == ENOENT || errno == ENOTDIR)
			return true;
		snprintf(message, size, "cannot read '%s': %s", path, strerror(errno));
		return false;
	}
	for (char *line; fine && (line = strsep(&rest, "\n")) != NULL;) {
		number++;
		fine = read_line(&reading, line);
	}
	free(text);
	if (!fine)
		snprintf(message, size, "t2lrc:%d: %s", number, fault);
	return fine;
}

void
rc_free(struct rc *rc)
{
	for (size_t i = 0; i < rc->n_bindings; i++)
		free(rc->bindings[i].line);
	free(rc->bindings);
	free(rc->theme);
	*rc = (struct rc){ 0 };
}

const struct rc_binding *
rc_find(const struct rc *rc, const struct view_ops *view, key_code key)
{
	/* The last line of the file wins. */
	for (size_t i = rc->n_bindings; i > 0; i--) {
		const struct rc_binding *binding = &rc->bindings[i - 1];

		if (binding->key == key && (binding->view == NULL || binding->view == view))
			return binding;
	}
	return NULL;
}

/* The folder of PATH and the one above it; that they are there is fine. */
static void
make_folder(const char *path)
{
	char folder[4096];

	for (int up = 2; up > 0; up--) {
		snprintf(folder, sizeof folder, "%s", path);
		for (int i = 0; i < up && strrchr(folder, '/') != NULL; i++)
			*strrchr(folder, '/') = '\0';
		if (folder[0] != '\0')
			mkdir(folder, 0777);
	}
}

int
rc_save(const struct rc *rc, const char *path)
{
	struct buffer text = { 0 };
	char key[32];
	int status;

	if (rc->theme != NULL)
		buffer_printf(&text, "set theme %s\n", rc->theme);
	for (int role = 0; role < N_ROLES; role++)
		if (rc->colors[role][0] != NO_COLOR)
			buffer_printf(&text, "color %s %d %d\n", theme_role_name((enum role)role),
			    rc->colors[role][0], rc->colors[role][1]);
	for (size_t i = 0; i < rc->n_bindings; i++) {
		const struct rc_binding *binding = &rc->bindings[i];

		buffer_printf(&text, "bind %s %s %s\n",
		    binding->view != NULL ? binding->view->name : "any",
		    key_label(binding->key, key, sizeof key), binding->line);
	}
	make_folder(path);
	status = buffer_failed(&text) ? -1 : atomic_write(path, buffer_string(&text), text.n);
	buffer_free(&text);
	return status;
}
