/* command-panel.c - the ":" prompt, and a window on what the command says while it runs. */

#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "ui/frame.h"
#include "ui/terminal.h"

enum {
	PATIENCE_MS = 400,   /* what takes longer is shown while it runs */
	MAX_OUTPUT = 4 << 20 /* of a command, in the window */
};

enum { MESSAGE_OUTPUT = 1 };

struct command_job {
	struct job job;
	char *line;
	int status;
	void (*done)(void *user, int status);
	void *user;
	struct worker *worker; /* while it runs */
};

struct command_panel {
	struct view view; /* its window, and where its jobs post to */
	struct workbench *workbench;
	struct buffer text;
	char *line; /* of the last command that started */
	char progress[128];
	size_t n_running;
	uint64_t shown_job; /* whose output TEXT is */
	size_t scroll, n_lines, rows;
	bool follow, open, failed, dismissed;
};

/* ---- the job ---- */

static void
write_output(void *user, const char *bytes, size_t n)
{
	struct command_job *command = user;

	job_post(command->worker, &command->job, MESSAGE_OUTPUT, 0, bytes, n, 0, 0);
}

static void
command_run_job(struct worker *worker, struct job *job)
{
	struct command_job *command = (struct command_job *)job;
	const struct workbench_host *host = worker_host(worker);

	command->worker = worker;
	command->status =
	    host->run_line(host->user, command->line, write_output, command, &job->cancelled);
}

static void
command_release(struct job *job)
{
	struct command_job *command = (struct command_job *)job;

	free(command->line);
	free(command);
}

void
workbench_run_line(
    struct workbench *workbench, const char *line, void (*done)(void *user, int status), void *user)
{
	struct command_job *command = calloc(1, sizeof *command);
	struct command_panel *panel = workbench->panel;

	if (command == NULL || (command->line = strdup(line)) == NULL) {
		free(command);
		workbench_status(workbench, ROLE_BAD, "out of memory");
		return;
	}
	command->job = (struct job){ .topic = TOPIC_COMMAND,
		.view = &panel->view,
		.run = command_run_job,
		.release = command_release };
	command->status = 130; /* unless it comes to run */
	command->done = done;
	command->user = user;
	free(panel->line);
	panel->line = strdup(line);
	buffer_clear(&panel->text);
	panel->progress[0] = '\0';
	panel->scroll = 0;
	panel->follow = true;
	panel->failed = panel->dismissed = false;
	panel->n_running++;
	panel->view.wake_ms = workbench_now_ms() + PATIENCE_MS;
	panel->shown_job = job_submit(workbench, &command->job);
	if (panel->shown_job == 0)
		panel->n_running--;
}

/* ---- what comes from it ---- */

/* A carriage return goes back to the line's start, as progress bars do; the rest of what moves a
 * cursor is left to visible_append() when the text is drawn. */
static void
append_output(struct command_panel *panel, const char *bytes, size_t n)
{
	struct buffer *text = &panel->text;

	for (size_t i = 0; i < n && text->n < MAX_OUTPUT && !buffer_failed(text); i++) {
		if (bytes[i] == '\r') {
			while (text->n > 0 && text->bytes[text->n - 1] != '\n')
				text->n--;
		} else if (bytes[i] == '\033' && i + 2 < n && bytes[i + 1] == '[' &&
			   bytes[i + 2] == 'K') {
			i += 2;
		} else {
			buffer_char(text, bytes[i]);
		}
	}
}

static void
open_window(struct command_panel *panel)
{
	panel->open = true;
	frame_push_view(panel->workbench, &panel->view);
}

static size_t
count_lines(const struct buffer *text)
{
	size_t n = 0;

	for (size_t i = 0; i < text->n; i++)
		n += text->bytes[i] == '\n' || i + 1 == text->n;
	return n;
}

/* A window that came only because the command took its time goes with it: the status line has room
 * for what it said, and the next key is not swallowed by closing it. */
static void
close_if_brief(struct command_panel *panel, size_t n_lines)
{
	struct workbench *workbench = panel->workbench;

	if (!panel->open || n_lines > 1 || workbench->n_popups == 0 ||
	    workbench->popups[workbench->n_popups - 1] != &panel->view)
		return;
	panel->open = false;
	workbench_pop(workbench);
}

static void
command_ended(struct command_panel *panel, struct command_job *command)
{
	struct workbench *workbench = panel->workbench;
	enum role role = command->status == 0 ? ROLE_GOOD : ROLE_BAD;
	size_t n_lines = count_lines(&panel->text);

	panel->n_running--;
	if (command->job.generation == panel->shown_job) {
		panel->failed = command->status != 0;
		panel->view.wake_ms = 0;
		close_if_brief(panel, n_lines);
		if (command->status == 130)
			workbench_status(workbench, ROLE_WARN, "cancelled: %s", command->line);
		else if (n_lines > 1 && !panel->open && !panel->dismissed)
			open_window(panel);
		else if (n_lines == 1)
			workbench_status(workbench, role, "%.*s",
			    (int)strcspn(buffer_string(&panel->text), "\n"),
			    buffer_string(&panel->text));
		else if (n_lines == 0 || panel->dismissed)
			workbench_status(workbench, role, "%s: %s", command->line,
			    command->status == 0 ? "done" : "failed");
	}
	if (command->done != NULL)
		command->done(command->user, command->status);
}

static void
panel_message(struct view *view, struct message *message)
{
	struct command_panel *panel = view->state;

	if (message->kind == MESSAGE_DONE)
		command_ended(panel, (struct command_job *)message->job);
	else if (message->generation == panel->shown_job)
		append_output(panel, message->text, message->n_bytes);
}

static void
panel_tick(struct view *view, int64_t now_ms)
{
	struct command_panel *panel = view->state;

	(void)now_ms;
	if (panel->n_running > 0 && !panel->dismissed)
		open_window(panel);
}

struct view *
command_panel_view(struct command_panel *panel)
{
	return &panel->view;
}

/* The percentage on the bar that stands on the last line; -1: there is none. */
static int
percentage(const struct buffer *text)
{
	size_t end = text->n, start;

	while (end > 0 && text->bytes[end - 1] != '%' && text->bytes[end - 1] != '\n')
		end--;
	if (end < 3 || text->bytes[end - 1] != '%' || text->bytes[end - 2] != ' ')
		return -1;
	start = end - 2;
	while (start > 0 && text->bytes[start - 1] >= '0' && text->bytes[start - 1] <= '9')
		start--;
	return start < end - 2 && end - start <= 5 ? atoi(text->bytes + start) : -1;
}

const char *
command_panel_running(const struct command_panel *panel)
{
	static char words[64]; /* the screen thread's */
	int n, percent;

	if (panel == NULL || panel->n_running == 0 || panel->line == NULL)
		return NULL;
	n = (int)strcspn(panel->line, " ");
	n = n < 20 ? n : 20;
	percent = percentage(&panel->text);
	if (percent >= 0)
		snprintf(words, sizeof words, "[%.*s %d %%]", n, panel->line, percent);
	else
		snprintf(words, sizeof words, "[%.*s runs]", n, panel->line);
	return words;
}

/* ---- its window ---- */

static void
panel_draw(struct view *view, struct area area)
{
	struct command_panel *panel = view->state;
	int columns = area.columns > 124 ? 120 : area.columns - 4;
	struct box_titles titles = { .top_left = panel->line };

	panel->n_lines =
	    draw_wrap(buffer_string(&panel->text), panel->text.n, columns - 4, NULL, 0);
	int rows = panel->n_lines < 3 ? 5 : (int)panel->n_lines + 2;
	struct area box = area_middle(area, rows < area.rows - 4 ? rows : area.rows - 4, columns);
	struct area inside = area_inside(box);

	panel->rows = (size_t)inside.rows;
	if (panel->follow)
		panel->scroll = panel->n_lines > panel->rows ? panel->n_lines - panel->rows : 0;
	titles.top_right = panel->n_running > 0 ? "runs" : panel->failed ? "failed" : "done";
	titles.top_right_role = panel->n_running > 0 ? ROLE_DRAFT
				: panel->failed	     ? ROLE_BAD
						     : ROLE_GOOD;
	titles.bottom_right = panel->n_running > 0 ? "Esc cancel · Enter leave it running"
						   : "↑ ↓ scroll · any key closes";
	draw_clear(box);
	draw_box(box, ROLE_FOCUS, &titles);
	inside.column++;
	inside.columns -= 2;
	draw_wrapped(inside, panel->scroll, ROLE_TEXT, buffer_string(&panel->text), panel->text.n);
}

static void
close_window(struct command_panel *panel)
{
	panel->open = false;
	panel->dismissed = true;
	workbench_pop(panel->workbench);
}

static bool
panel_key(struct view *view, key_code key)
{
	struct command_panel *panel = view->state;
	size_t most = panel->n_lines > panel->rows ? panel->n_lines - panel->rows : 0;
	size_t page = panel->rows > 1 ? panel->rows - 1 : 1;

	switch (key) {
	case K_DOWN:
	case 'j':
		panel->scroll += 1;
		break;
	case K_PAGE_DOWN:
	case ' ':
		panel->scroll += page;
		break;
	case K_UP:
	case 'k':
		panel->scroll -= panel->scroll > 0;
		break;
	case K_PAGE_UP:
		panel->scroll -= panel->scroll > page ? page : panel->scroll;
		break;
	case K_HOME:
		panel->scroll = 0;
		break;
	case K_END:
		panel->scroll = most;
		break;
	case K_ESC:
	case CONTROL('C'):
		if (panel->n_running > 0) {
			job_cancel(panel->workbench, TOPIC_COMMAND);
			return true;
		}
		close_window(panel);
		return true;
	default:
		if (panel->n_running == 0 || key == K_ENTER || key == 'q')
			close_window(panel);
		return true;
	}
	if (panel->scroll > most)
		panel->scroll = most;
	panel->follow = panel->scroll == most;
	return true;
}

static const struct view_ops panel_ops = {
	.name = "command",
	.draw = panel_draw,
	.key = panel_key,
	.message = panel_message,
	.tick = panel_tick,
};

struct command_panel *
command_panel_new(struct workbench *workbench)
{
	struct command_panel *panel = calloc(1, sizeof *panel);

	if (panel == NULL)
		return NULL;
	panel->workbench = workbench;
	panel->view = (struct view){ &panel_ops, workbench, workbench->host, panel, 0 };
	return panel;
}

void
command_panel_free(struct command_panel *panel)
{
	if (panel == NULL)
		return;
	buffer_free(&panel->text);
	free(panel->line);
	free(panel);
}

/* ---- the ":" prompt ---- */

static bool
do_view(struct workbench *workbench, const char *name)
{
	if (!workbench_show(workbench, name))
		workbench_status(workbench, ROLE_BAD, "there is no view '%s'", name);
	return true;
}

static bool
do_quit(struct workbench *workbench, const char *nothing)
{
	(void)nothing;
	workbench->quit = true;
	return true;
}

static bool
do_theme(struct workbench *workbench, const char *name)
{
	char *copy = strdup(name);

	if (copy != NULL && frame_set_theme(workbench, name)) {
		free(workbench->rc.theme);
		workbench->rc.theme = copy;
	} else {
		free(copy);
		workbench_status(
		    workbench, ROLE_BAD, "there is no theme '%s': dark, light or mono", name);
	}
	return true;
}

static bool
do_save_config(struct workbench *workbench, const char *nothing)
{
	const char *path = workbench->host->rc;

	(void)nothing;
	if (path == NULL || rc_save(&workbench->rc, path) != 0)
		workbench_status(workbench, ROLE_BAD, "cannot write '%s': %s",
		    path != NULL ? path : "t2lrc", strerror(errno));
	else
		workbench_status(workbench, ROLE_GOOD, "saved: %s", path);
	return true;
}

static bool
do_save_display(struct workbench *workbench, const char *path)
{
	if (path[0] == '\0' || terminal_save(path) != 0)
		workbench_status(workbench, ROLE_BAD, "cannot write '%s'", path);
	else
		workbench_status(workbench, ROLE_GOOD, "the display is in '%s'", path);
	return true;
}

static bool
do_keys(struct workbench *workbench, const char *nothing)
{
	(void)nothing;
	help_show(workbench, &workbench->views[workbench->shown]);
	return true;
}

/* Lines that are the workbench's own; all others are t2l's commands. */
static const struct {
	const char *name;
	bool (*run)(struct workbench *workbench, const char *argument);
} own[] = {
	{ "view", do_view },
	{ "quit", do_quit },
	{ "q", do_quit },
	{ "theme", do_theme },
	{ "keys", do_keys },
	{ "save-display", do_save_display },
	{ "save-config", do_save_config },
};
#define N_OWN (sizeof own / sizeof own[0])

void
command_panel_run(struct workbench *workbench, const char *line)
{
	line += strspn(line, " \t");
	size_t n = strcspn(line, " \t");

	for (size_t i = 0; i < N_OWN; i++)
		if (strlen(own[i].name) == n && strncmp(own[i].name, line, n) == 0) {
			own[i].run(workbench, line + n + strspn(line + n, " \t"));
			return;
		}
	if (line[0] != '\0')
		workbench_run_line(workbench, line, NULL, NULL);
}

static void
line_answered(void *user, const char *line)
{
	if (line != NULL)
		command_panel_run(user, line);
}

/* Whole lines for the popup, out of the words that the host and our own table give. */
static char **
line_completions(void *user, const char *line)
{
	struct workbench *workbench = user;
	const struct workbench_host *host = workbench->host;
	char **words = host->complete(host->user, line), **lines;
	const char *last = line + strlen(line);
	size_t n = 0, at = 0, typed;

	while (words != NULL && words[n] != NULL)
		n++;
	lines = calloc(n + N_OWN + 1, sizeof *lines);
	while (last > line && last[-1] != ' ' && last[-1] != '\t')
		last--;
	typed = strlen(line);
	for (size_t i = 0; lines != NULL && last == line && i < N_OWN; i++)
		if (typed > 0 && strncmp(own[i].name, line, typed) == 0 &&
		    (lines[at] = strdup(own[i].name)) != NULL)
			at++;
	for (size_t i = 0; lines != NULL && i < n && typed > 0; i++) {
		struct buffer whole = { 0 };

		buffer_append(&whole, line, (size_t)(last - line));
		buffer_text(&whole, words[i]);
		if ((lines[at] = buffer_take(&whole)) != NULL)
			at++;
	}
	host->free_words(words);
	return lines;
}

void
command_panel_ask(struct workbench *workbench)
{
	const struct ask ask = { .question = "Command",
		.history = STORE_HISTORY_COMMAND,
		.complete = line_completions,
		.answered = line_answered,
		.user = workbench };

	popup_ask(workbench, &ask);
}
