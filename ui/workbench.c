/* workbench.c - the loop: waits for keys, messages and timers, and draws what changed. */

#include "config.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <curses.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/utf8.h"
#include "base/visible.h"
#include "ui/frame.h"
#include "ui/terminal.h"
#include "ui/theme.h"

enum {
	MIN_COLUMNS = 60,
	MIN_LINES = 15,
	MAX_STATUS_ROWS = 4,
	FRAME_MS = 16, /* tokens may come faster than anybody can read */
	MAX_PASTE_BYTES = 4 << 20
};

static const struct view_ops *const views[] = { &view_compare, &view_catalog, NULL };

enum {
	FRAME_QUIT = 1,
	FRAME_BACK,
	FRAME_HELP,
	FRAME_COMMAND,
	FRAME_NEXT,
	FRAME_REDRAW,
	FRAME_SUSPEND,
	FRAME_CANCEL
};

const struct binding frame_bindings[] = {
	{ '?', FRAME_HELP, NULL, "the keys of this view", NULL },
	{ K_F1, FRAME_HELP, NULL, "the same, also from a text field", NULL },
	{ ':', FRAME_COMMAND, NULL, "run a command (Tab completes, Up is history)", NULL },
	{ K_TAB, FRAME_NEXT, NULL, "the next field or view", NULL },
	{ CONTROL('R'), FRAME_REDRAW, NULL, "draw the screen anew", NULL },
	{ CONTROL('Z'), FRAME_SUSPEND, NULL, "stop; fg goes on", NULL },
	{ CONTROL('C'), FRAME_CANCEL, NULL, "cancel what runs; quit when nothing does", NULL },
	{ 'q', FRAME_BACK, NULL, "back; quit from the first view", NULL },
	{ 'Q', FRAME_QUIT, NULL, "quit", NULL },
	{ K_NONE, 0, NULL, NULL, NULL },
};

/* ---- what views ask for ---- */

int64_t
workbench_now_ms(void)
{
	return (int64_t)clock_ms();
}

double
workbench_measured(const struct workbench *workbench, double value)
{
	return workbench->hide_times ? 0 : value;
}

void
workbench_status(struct workbench *workbench, enum role role, const char *format, ...)
{
	struct buffer text = { 0 };
	va_list args;

	va_start(args, format);
	buffer_vprintf(&text, format, args);
	va_end(args);
	visible_copy(workbench->status, sizeof workbench->status, buffer_string(&text), text.n, 0);
	workbench->status_role = role;
	buffer_free(&text);
}

static bool
show(struct workbench *workbench, size_t at)
{
	struct view *view = &workbench->views[at];

	if (at >= workbench->n_views)
		return false;
	workbench->shown = at;
	if (view->ops->shown != NULL)
		view->ops->shown(view);
	return true;
}

bool
workbench_show(struct workbench *workbench, const char *name)
{
	for (size_t i = 0; i < workbench->n_views; i++)
		if (strcmp(workbench->views[i].ops->name, name) == 0)
			return show(workbench, i);
	return false;
}

void
workbench_compare(struct workbench *workbench, const int64_t *ids, size_t n_ids)
{
	workbench_show(workbench, view_compare.name);
	compare_add_adapters(&workbench->views[workbench->shown], ids, n_ids);
}

void
frame_push_view(struct workbench *workbench, struct view *view)
{
	for (size_t i = 0; i < workbench->n_popups; i++)
		if (workbench->popups[i] == view)
			return;
	/* More popups than anybody opens: the lowest would be out of sight anyway. */
	if (workbench->n_popups == MAX_POPUPS)
		return;
	workbench->popups[workbench->n_popups++] = view;
}

void
workbench_push(struct workbench *workbench, const struct view_ops *ops, void *state)
{
	struct view *view = calloc(1, sizeof *view);

	if (view == NULL || workbench->n_popups == MAX_POPUPS) {
		struct view closing = { ops, workbench, workbench->host, state, 0 };

		ops->close(&closing);
		free(view);
		return;
	}
	*view = (struct view){ ops, workbench, workbench->host, state, 0 };
	frame_push_view(workbench, view);
}

void
workbench_pop(struct workbench *workbench)
{
	struct view *view;

	if (workbench->n_popups == 0)
		return;
	view = workbench->popups[--workbench->n_popups];
	/* The command panel is no popup of its own: it has no close(). */
	if (view->ops->close != NULL) {
		view->ops->close(view);
		free(view);
	}
}

/* ---- jobs ---- */

/* What takes long, and what may wait for another process's lock, holds up nothing else. */
static const struct {
	enum frame_worker worker;
	bool newest_only;
} topics[N_TOPICS] = {
	[TOPIC_RUN] = { WORKER_LANES, true },
	[TOPIC_COMMAND] = { WORKER_COMMANDS, false },
	[TOPIC_KEEP] = { WORKER_WRITES, false },
	[TOPIC_OPEN] = { WORKER_QUESTIONS, false },
	[TOPIC_DRAFT] = { WORKER_QUESTIONS, true },
	[TOPIC_SEARCH] = { WORKER_QUESTIONS, true },
	[TOPIC_NEAR] = { WORKER_QUESTIONS, true },
};

static struct worker *
worker_of(struct workbench *workbench, enum topic topic)
{
	return workbench->workers[topics[topic].worker];
}

uint64_t
job_submit(struct workbench *workbench, struct job *job)
{
	job->last = calloc(1, sizeof *job->last);
	if (job->last == NULL) {
		job->release(job);
		return 0;
	}
	if (topics[job->topic].newest_only)
		job_cancel(workbench, job->topic);
	job->generation = ++workbench->generation;
	workbench->n_jobs[job->topic]++;
	worker_put(worker_of(workbench, job->topic), job);
	return workbench->generation;
}

void
job_cancel(struct workbench *workbench, enum topic topic)
{
	if (workbench->n_jobs[topic] > 0)
		worker_cancel(worker_of(workbench, topic), topic);
}

bool
job_busy(struct workbench *workbench, enum topic topic)
{
	return workbench->n_jobs[topic] > 0;
}

static bool
deliver_messages(struct workbench *workbench)
{
	bool any = false;

	for (struct message *message; (message = message_take(&workbench->messages)) != NULL;) {
		struct job *job = message->job;

		if (job != NULL)
			workbench->n_jobs[job->topic]--;
		if (message->view != NULL && message->view->ops->message != NULL)
			message->view->ops->message(message->view, message);
		if (job != NULL)
			job->release(job);
		message_free(message);
		any = true;
	}
	return any;
}

/* ---- drawing ---- */

static double
resident_mib(void)
{
	FILE *file = fopen("/proc/self/statm", "r");
	long pages = 0;

	if (file == NULL)
		return 0;
	if (fscanf(file, "%*d %ld", &pages) != 1)
		pages = 0;
	fclose(file);
	return (double)pages * (double)sysconf(_SC_PAGESIZE) / (1 << 20);
}

static void
draw_header(struct workbench *workbench, struct area area)
{
	const struct workbench_host *host = workbench->host;
	const struct t2l_model_facts *base = t2l_model_facts(host->model);
	const char *dot = draw_symbol(SYMBOL_SEPARATOR);
	const char *running = command_panel_running(workbench->panel);
	struct buffer line = { 0 }, tabs = { 0 };
	int room;

	buffer_printf(&line, "t2l  base %s %s", base->name, base->dtype);
	if (host->hypernet != NULL)
		buffer_printf(
		    &line, " %s hypernet %s", dot, t2l_hypernet_facts(host->hypernet)->name);
	if (host->encoder != NULL)
		buffer_printf(&line, " %s encoder %s", dot, t2l_encoder_facts(host->encoder)->name);
	/* The machine is as much a measurement as the time it takes. */
	buffer_printf(&line, " %s %s", dot,
	    workbench->hide_times ? "engine" : t2l_engine_description(host->engine));
	buffer_printf(&line, " %s %.0f MiB", dot, workbench_measured(workbench, resident_mib()));
	draw_fill(area, 0, ROLE_HEADER);
	room = area.columns - 2;
	if (running != NULL)
		buffer_printf(&tabs, "%s  ", running);
	for (size_t i = 0; i < workbench->n_views; i++)
		buffer_printf(
		    &tabs, "%s%zu %s", i > 0 ? " " : "", i + 1, workbench->views[i].ops->title);
	room -= draw_width(buffer_string(&tabs)) + 2;
	draw_short(area, 0, 1, room, ROLE_HEADER, buffer_string(&line));
	area.columns -= 1;
	draw_right(area, 0, ROLE_HEADER, buffer_string(&tabs));
	buffer_free(&line);
	buffer_free(&tabs);
}

static void
draw_bottom(struct view *view, struct area row)
{
	const struct binding *bindings = view->ops->bindings;
	const char *everywhere = ": command  ? help";
	int width;

	if (view->ops->hints != NULL) {
		bindings = view->ops->hints(view);
		/* In a text field the two are text. */
		if (bindings != view->ops->bindings)
			everywhere = "F1 help";
	}
	width = draw_width(everywhere);
	row.columns--;
	draw_right(row, 0, ROLE_DIM, everywhere);
	row.columns -= width + 1;
	draw_hints(row, 0, bindings);
}

/* A sentence that does not fit into a row lies over the rows above: its end often says what to do.
 */
static void
draw_status(struct workbench *workbench, struct area rest)
{
	size_t n = strlen(workbench->status);
	int columns = rest.columns - 2;
	size_t n_rows = draw_wrap(workbench->status, n, columns, NULL, 0);
	struct area area =
	    area_bottom(&rest, n_rows < MAX_STATUS_ROWS ? (int)n_rows : MAX_STATUS_ROWS);

	draw_clear(area);
	area_left(&area, 1);
	area.columns--;
	draw_wrapped(area, 0, workbench->status_role, workbench->status, n);
}

static void
draw_all(struct workbench *workbench)
{
	struct area screen = { 0, 0, LINES, COLS }, rest = screen, top, bottom;
	struct view *view = &workbench->views[workbench->shown];

	erase();
	curs_set(0);
	if (COLS < MIN_COLUMNS || LINES < MIN_LINES) {
		draw_format(screen, 0, 0, ROLE_TEXT, "t2l wants %dx%d cells; this is %dx%d",
		    MIN_COLUMNS, MIN_LINES, COLS, LINES);
		draw_string(screen, 1, 0, ROLE_DIM, "Q quits");
		refresh();
		return;
	}
	top = area_top(&rest, 1);
	bottom = area_bottom(&rest, 1);
	draw_header(workbench, top);
	view->ops->draw(view, rest);
	if (workbench->status[0] != '\0')
		draw_status(workbench, screen);
	else
		draw_bottom(view, bottom);
	for (size_t i = 0; i < workbench->n_popups; i++) {
		curs_set(0);
		workbench->popups[i]->ops->draw(workbench->popups[i], screen);
	}
	refresh();
}

void
workbench_redraw(struct workbench *workbench)
{
	draw_all(workbench);
}

/* ---- keys ---- */

static void
tell_views(struct workbench *workbench)
{
	workbench->leaving = true;
	workbench->status[0] = '\0'; /* from here on it is about what is being written */
	for (size_t i = 0; i < workbench->n_views; i++)
		if (workbench->views[i].ops->leaving != NULL)
			workbench->views[i].ops->leaving(&workbench->views[i]);
}

/* What is being written is written to its end; the screen stays so long, and says so. */
static void
leave(struct workbench *workbench)
{
	if (workbench->leaving) { /* asked once more: it shall not wait */
		job_cancel(workbench, TOPIC_KEEP);
		workbench->quit = true;
		return;
	}
	tell_views(workbench);
	if (job_busy(workbench, TOPIC_KEEP))
		workbench_status(workbench, ROLE_WARN,
		    "leaving as soon as the catalog is written; Q or ^C again does not wait");
}

static void
quit_confirmed(void *user, bool yes)
{
	if (yes)
		leave(user);
}

static void
ask_to_quit(struct workbench *workbench)
{
	if (job_busy(workbench, TOPIC_COMMAND))
		workbench_confirm(workbench, "A command is still running. Cancel it and quit?",
		    quit_confirmed, workbench);
	else
		leave(workbench);
}

static void
cancel_or_quit(struct workbench *workbench)
{
	bool busy = false;

	for (int topic = 0; topic < N_TOPICS; topic++)
		if (workbench->n_jobs[topic] > 0 && topic != TOPIC_KEEP) {
			job_cancel(workbench, (enum topic)topic);
			busy = true;
		}
	if (busy)
		workbench_status(workbench, ROLE_WARN, "cancelled");
	else
		leave(workbench);
}

static void
frame_request(struct workbench *workbench, int request)
{
	switch (request) {
	case FRAME_QUIT:
		ask_to_quit(workbench);
		break;
	case FRAME_BACK:
		if (workbench->shown > 0)
			show(workbench, 0);
		else
			ask_to_quit(workbench);
		break;
	case FRAME_HELP:
		help_show(workbench, &workbench->views[workbench->shown]);
		break;
	case FRAME_COMMAND:
		command_panel_ask(workbench);
		break;
	case FRAME_NEXT:
		show(workbench, (workbench->shown + 1) % workbench->n_views);
		break;
	case FRAME_REDRAW:
		clearok(curscr, TRUE);
		break;
	case FRAME_SUSPEND:
		terminal_suspend();
		break;
	case FRAME_CANCEL:
		cancel_or_quit(workbench);
		break;
	}
}

static struct view *
key_owner(struct workbench *workbench)
{
	return workbench->n_popups > 0 ? workbench->popups[workbench->n_popups - 1]
				       : &workbench->views[workbench->shown];
}

static void
take_paste(struct workbench *workbench, key_code key)
{
	char bytes[UTF8_MAX_BYTES];
	struct view *view = key_owner(workbench);

	if (key == K_PASTE_END) {
		if (view->ops->paste != NULL && !buffer_failed(workbench->paste))
			view->ops->paste(
			    view, buffer_string(workbench->paste), workbench->paste->n);
		buffer_free(workbench->paste);
		free(workbench->paste);
		workbench->paste = NULL;
	} else if (key < K_FIRST && workbench->paste->n < MAX_PASTE_BYTES) {
		buffer_append(
		    workbench->paste, bytes, utf8_encode(key == K_ENTER ? '\n' : key, bytes));
	}
}

/* A name in the header shows its view; the rest is the view's. Popups have no use for clicks. */
static void
click(struct workbench *workbench)
{
	const struct view *view = &workbench->views[workbench->shown];
	int row, column, end = COLS - 1;

	terminal_click(&row, &column);
	if (workbench->n_popups > 0)
		return;
	if (row > 0 && view->ops->click != NULL)
		view->ops->click(&workbench->views[workbench->shown], row - 1, column);
	for (size_t i = workbench->n_views; row == 0 && i > 0; i--) {
		int width = draw_width(workbench->views[i - 1].ops->title) + 2;

		if (column >= end - width && column < end) {
			show(workbench, i - 1);
			break;
		}
		end -= width + 1;
	}
}

void
workbench_press(struct workbench *workbench, unsigned key)
{
	struct view *view = key_owner(workbench);
	int request;

	if (workbench->paste != NULL) {
		take_paste(workbench, key);
		return;
	}
	if (key == K_PASTE_START) {
		workbench->paste = calloc(1, sizeof *workbench->paste);
		return;
	}
	if (workbench->leaving) {
		request = binding_find(frame_bindings, key);
		if (request == FRAME_QUIT || request == FRAME_CANCEL)
			leave(workbench);
		return;
	}
	workbench->status[0] = '\0';
	if (key == K_CLICK) {
		click(workbench);
		return;
	}
	if (COLS < MIN_COLUMNS || LINES < MIN_LINES) {
		/* Keys would change what cannot be seen. */
		request = binding_find(frame_bindings, key);
		if (request == FRAME_QUIT || request == FRAME_CANCEL || request == FRAME_BACK)
			leave(workbench);
		else if (request == FRAME_SUSPEND)
			terminal_suspend();
		return;
	}
	if (workbench->n_popups == 0 && !(view->ops->typing != NULL && view->ops->typing(view))) {
		const struct rc_binding *binding = rc_find(&workbench->rc, view->ops, key);

		if (binding != NULL && binding->stands_for == K_NONE) {
			command_panel_run(workbench, binding->line + 1);
			return;
		}
		if (binding != NULL)
			key = binding->stands_for;
	}
	if (view->ops->key(view, key))
		return;
	request = binding_find(frame_bindings, key);
	/* Over a popup only the keys that are no text still mean the workbench. */
	if (workbench->n_popups > 0 && request != FRAME_CANCEL && request != FRAME_SUSPEND &&
	    request != FRAME_REDRAW)
		return;
	if (request != 0)
		frame_request(workbench, request);
	else if (key >= '1' && key <= '9')
		show(workbench, key - '1');
}

/* ---- the loop ---- */

/* Everything that may want a tick: views, popups, and the command panel, which is neither. NULL
 * after the last. */
static struct view *
timed_view(struct workbench *workbench, size_t at)
{
	if (at < workbench->n_views)
		return &workbench->views[at];
	at -= workbench->n_views;
	if (at == 0)
		return command_panel_view(workbench->panel);
	return at <= workbench->n_popups ? workbench->popups[at - 1] : NULL;
}

static int64_t
next_wake(struct workbench *workbench)
{
	const struct view *view;
	int64_t wake = 0;

	for (size_t i = 0; (view = timed_view(workbench, i)) != NULL; i++)
		if (view->wake_ms != 0 && (wake == 0 || view->wake_ms < wake))
			wake = view->wake_ms;
	return wake;
}

bool
frame_answered(struct workbench *workbench)
{
	for (int topic = 0; topic < N_TOPICS; topic++)
		if (topic != TOPIC_KEEP && workbench->n_jobs[topic] > 0)
			return false;
	return next_wake(workbench) == 0;
}

bool
frame_idle(struct workbench *workbench)
{
	return frame_answered(workbench) && workbench->n_jobs[TOPIC_KEEP] == 0;
}

static bool
tick(struct view *view, int64_t now)
{
	if (view->wake_ms == 0 || view->wake_ms > now)
		return false;
	view->wake_ms = 0;
	view->ops->tick(view, now);
	return true;
}

static bool
run_timers(struct workbench *workbench)
{
	int64_t now = workbench_now_ms();
	struct view *view;
	bool any = false;

	for (size_t i = 0; (view = timed_view(workbench, i)) != NULL; i++)
		any |= tick(view, now);
	return any;
}

static bool
read_keys(struct workbench *workbench)
{
	bool any = false;

	/* A paste may be long: other things happen between its parts. */
	for (int i = 0; i < 4096 && !workbench->quit; i++) {
		key_code key = terminal_key();

		if (key == K_NONE)
			break;
		workbench_press(workbench, key);
		any = true;
	}
	return any;
}

static void
wait_for_something(struct workbench *workbench, int64_t until)
{
	struct pollfd fds[2] = { { workbench->wake_fd, POLLIN, 0 }, { terminal_fd(), POLLIN, 0 } };
	int64_t now = workbench_now_ms(), left = until == 0 ? -1 : until > now ? until - now : 0;
	uint64_t count;

	if (left > 3600 * 1000)
		left = 3600 * 1000;
	poll(fds, 2, (int)left);
	if ((fds[0].revents & POLLIN) && read(workbench->wake_fd, &count, sizeof count) < 0)
		return;
	/* The terminal went away without a signal. */
	if ((fds[1].revents & (POLLHUP | POLLERR | POLLNVAL)) && !(fds[1].revents & POLLIN))
		leave(workbench);
}

/* A step of the script, unless it waits. -> whether something was done. */
static bool
play(struct workbench *workbench)
{
	if (workbench->script == NULL)
		return false;
	if (workbench->leaving)
		return false;
	if (!script_step(workbench->script, workbench))
		leave(workbench);
	return !script_waits(workbench->script);
}

static void
loop(struct workbench *workbench)
{
	int64_t drawn_ms = 0;
	bool changed = true, now_at_once = true;

	while (!workbench->quit && terminal_ending() == 0) {
		bool played = play(workbench);
		int64_t now = workbench_now_ms(), until = next_wake(workbench);

		if (changed && (now_at_once || now - drawn_ms >= FRAME_MS)) {
			draw_all(workbench);
			drawn_ms = now;
			changed = false;
		} else if (changed && (until == 0 || until > drawn_ms + FRAME_MS)) {
			until = drawn_ms + FRAME_MS;
		}
		wait_for_something(workbench, played ? now : until);
		now_at_once = terminal_resized();
		now_at_once |= read_keys(workbench);
		now_at_once |= run_timers(workbench);
		changed |= deliver_messages(workbench);
		changed |= now_at_once || played;
		if (workbench->leaving && !job_busy(workbench, TOPIC_KEEP))
			workbench->quit = true;
	}
}

/* ---- starting and ending ---- */

static void
open_views(struct workbench *workbench)
{
	for (size_t i = 0; views[i] != NULL; i++) {
		struct view *view = &workbench->views[workbench->n_views];

		*view = (struct view){ views[i], workbench, workbench->host, NULL, 0 };
		if (views[i]->open(view))
			workbench->n_views++;
	}
}

static void
stop(struct workbench *workbench)
{
	/* Threads first: their last messages are delivered to nobody but freed below. */
	for (size_t i = 0; i < N_WORKERS; i++)
		if (i == WORKER_WRITES)
			worker_finish(workbench->workers[i]);
		else
			worker_stop(workbench->workers[i]);
	while (workbench->n_popups > 0)
		workbench_pop(workbench);
	message_queue_free(&workbench->messages);
	for (size_t i = 0; i < workbench->n_views; i++)
		workbench->views[i].ops->close(&workbench->views[i]);
	command_panel_free(workbench->panel);
	script_close(workbench->script);
	rc_free(&workbench->rc);
	if (workbench->paste != NULL)
		buffer_free(workbench->paste);
	free(workbench->paste);
	close(workbench->wake_fd);
}

bool
frame_set_theme(struct workbench *workbench, const char *name)
{
	bool known = theme_start(name);

	for (int role = 0; role < N_ROLES; role++)
		if (workbench->rc.colors[role][0] >= -1)
			theme_color((enum role)role, workbench->rc.colors[role][0],
			    workbench->rc.colors[role][1]);
	return known;
}

static void
read_rc(struct workbench *workbench, char *message, size_t size)
{
	const char *path = workbench->host->rc;

	if (!rc_read(&workbench->rc, path != NULL ? path : "/dev/null", views, message, size))
		workbench_status(workbench, ROLE_BAD, "%s", message);
}

static const char *
start(struct workbench *workbench, char *message, size_t size)
{
	const struct workbench_host *host = workbench->host;
	const char *why, *mouse;

	workbench->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	message_queue_init(&workbench->messages, workbench->wake_fd);
	if (workbench->wake_fd < 0)
		return "no eventfd is to be had";
	if (host->script != NULL) {
		workbench->script = script_open(host->script, message, size);
		if (workbench->script == NULL)
			return message;
		why = terminal_start_hidden(workbench->wake_fd, 80, 24);
	} else {
		why = terminal_start(workbench->wake_fd);
	}
	if (why != NULL)
		return why;
	read_rc(workbench, message, size);
	if (!frame_set_theme(workbench, workbench->rc.theme != NULL
					    ? workbench->rc.theme
					    : host->setting(host->user, "ui.theme")))
		workbench_status(workbench, ROLE_WARN, "no such theme; dark is used");
	mouse = host->setting(host->user, "ui.mouse");
	if (mouse != NULL && strcmp(mouse, "true") == 0)
		terminal_mouse();
	workbench->panel = command_panel_new(workbench);
	if (workbench->panel == NULL)
		return "out of memory";
	for (size_t i = 0; i < N_WORKERS; i++) {
		workbench->workers[i] = worker_start(host, &workbench->messages);
		if (workbench->workers[i] == NULL)
			return "no thread is to be had";
	}
	open_views(workbench);
	return workbench->n_views > 0 ? NULL : "no view could be opened";
}

int
workbench_run(const struct workbench_host *host)
{
	struct workbench workbench = { .host = host };
	char message[1024];
	const char *why = start(&workbench, message, sizeof message);
	const char *fault = NULL;
	int status = 0, number;

	if (why == NULL)
		loop(&workbench);
	if (why == NULL && !workbench.leaving) /* a signal */
		tell_views(&workbench);
	terminal_stop();
	number = terminal_ending();
	if (workbench.script != NULL && (fault = script_fault(workbench.script)) != NULL) {
		snprintf(message, sizeof message, "%s", fault);
		why = message;
	}
	stop(&workbench);
	/* What could not be written at the very end has no screen any more to say so. */
	if (why == NULL && workbench.leaving && workbench.status_role == ROLE_BAD &&
	    workbench.status[0] != '\0')
		why = workbench.status;
	if (why != NULL) {
		fprintf(stderr, "t2l: %s\n", why);
		status = 1;
	}
	return number != 0 ? 128 + number : status;
}
