/* script.c - reads the steps of a screen test and carries them out one by one. */

#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/utf8.h"
#include "ui/frame.h"
#include "ui/terminal.h"

enum { MAX_SCRIPT_BYTES = 1 << 20 };

struct script {
	char *text, *rest;
	int line;
	bool (*waits_for)(struct workbench *workbench); /* NULL: does not wait */
	char fault[1024];
};

struct script *
script_open(const char *path, char *message, size_t size)
{
	struct script *script = calloc(1, sizeof *script);

	if (script != NULL)
		script->text = script->rest = read_whole_file(path, MAX_SCRIPT_BYTES, NULL);
	if (script == NULL || script->text == NULL) {
		snprintf(message, size, "cannot read the script '%s': %s", path, strerror(errno));
		free(script);
		return NULL;
	}
	return script;
}

void
script_close(struct script *script)
{
	if (script != NULL)
		free(script->text);
	free(script);
}

static bool
fail(struct script *script, const char *what, const char *about)
{
	snprintf(script->fault, sizeof script->fault, "script line %d: %s '%s'", script->line, what,
	    about);
	return false;
}

static bool
do_key(struct script *script, struct workbench *workbench, char *names)
{
	for (char *name; (name = strsep(&names, " ")) != NULL;) {
		key_code key = key_parse(name);

		if (name[0] == '\0')
			continue;
		if (key == K_NONE)
			return fail(script, "there is no key", name);
		workbench_press(workbench, key);
	}
	return true;
}

static bool
do_type(struct script *script, struct workbench *workbench, char *text)
{
	size_t n = strlen(text);
	uint32_t codepoint;
	bool valid;

	(void)script;
	for (size_t at = 0; at < n;) {
		at += utf8_decode(text + at, n - at, &codepoint, &valid);
		workbench_press(workbench, codepoint);
	}
	return true;
}

static bool
do_paste(struct script *script, struct workbench *workbench, char *text)
{
	workbench_press(workbench, K_PASTE_START);
	do_type(script, workbench, text);
	workbench_press(workbench, K_PASTE_END);
	return true;
}

/* A view may look at the catalog when it draws and ask for what has changed, and frames are left
 * out while keys come fast: what follows finds the same state however fast the machine is. */
static bool
go_on_waiting(struct script *script, struct workbench *workbench)
{
	workbench_redraw(workbench);
	if (script->waits_for(workbench))
		script->waits_for = NULL;
	return true;
}

static bool
do_wait_idle(struct script *script, struct workbench *workbench, char *nothing)
{
	(void)nothing;
	script->waits_for = frame_idle;
	return go_on_waiting(script, workbench);
}

static bool
do_wait_answers(struct script *script, struct workbench *workbench, char *nothing)
{
	(void)nothing;
	script->waits_for = frame_answered;
	return go_on_waiting(script, workbench);
}

static bool
do_save(struct script *script, struct workbench *workbench, char *path)
{
	workbench_redraw(workbench);
	return terminal_save(path) == 0 || fail(script, strerror(errno), path);
}

static bool
do_resize(struct script *script, struct workbench *workbench, char *size)
{
	int columns, lines;
	char more;

	(void)workbench;
	if (sscanf(size, "%d %d%c", &columns, &lines, &more) != 2 || columns < 1 || lines < 1 ||
	    columns > 1000 || lines > 1000)
		return fail(script, "COLS LINES are wanted, not", size);
	terminal_resize_hidden(columns, lines);
	return true;
}

static bool
do_hide_times(struct script *script, struct workbench *workbench, char *nothing)
{
	(void)script;
	(void)nothing;
	workbench->hide_times = true;
	return true;
}

static const struct {
	const char *name;
	bool (*run)(struct script *script, struct workbench *workbench, char *argument);
} steps[] = {
	{ "key", do_key },
	{ "type", do_type },
	{ "paste", do_paste },
	{ "wait-idle", do_wait_idle },
	{ "wait-answers", do_wait_answers },
	{ "save-display", do_save },
	{ "resize", do_resize },
	{ "hide-times", do_hide_times },
};

bool
script_step(struct script *script, struct workbench *workbench)
{
	char *line, *argument;

	if (script->waits_for != NULL)
		return go_on_waiting(script, workbench);
	line = strsep(&script->rest, "\n");
	if (line == NULL)
		return false;
	script->line++;
	if (line[0] == '\0' || line[0] == '#')
		return true;
	argument = strchr(line, ' ');
	if (argument != NULL)
		*argument++ = '\0';
	for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++)
		if (strcmp(steps[i].name, line) == 0)
			return steps[i].run(
			    script, workbench, argument != NULL ? argument : line + strlen(line));
	return fail(script, "there is no step", line);
}

bool
script_waits(const struct script *script)
{
	return script->waits_for != NULL;
}

const char *
script_fault(const struct script *script)
{
	return script->fault[0] != '\0' ? script->fault : NULL;
}
