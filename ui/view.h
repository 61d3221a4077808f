/*
 * ui/view.h - what a screen of the workbench is, and what it may ask of the workbench.
 *
 * A view is a table of functions over its own state. All of them run on the screen's thread and
 * must return at once: anything that computes, searches, writes or runs a command is a job for a
 * worker, which posts messages back to the view. Of the catalog only what is found by its key is
 * read on the screen's thread.
 */
#ifndef UI_VIEW_H
#define UI_VIEW_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ui/draw.h"
#include "ui/keys.h"
#include "ui/workbench.h"

struct workbench;
struct view;
struct message;

struct view_ops {
	const char *name;		/* "compare": of :view, t2lrc and scripts */
	const char *title;		/* "Compare": in the header line */
	const struct binding *bindings; /* K_NONE-terminated; what ? shows */
	/* Keys are text now, so t2lrc's bindings rest; NULL: never. */
	bool (*typing)(struct view *view);
	/* What the hint line shows now; NULL: the bindings that have a hint. */
	const struct binding *(*hints)(struct view *view);
	/* Makes view->state; false with a status message. Called at start, before the first draw.
	 */
	bool (*open)(struct view *view);
	void (*close)(struct view *view);
	void (*shown)(struct view *view); /* became the one on the screen; may be NULL */
	void (*draw)(struct view *view, struct area area);
	/* Whether KEY was of use. What is not goes to the workbench's own keys (q Q ? : 1..9 Tab).
	 */
	bool (*key)(struct view *view, key_code key);
	/* Pasted text, UTF-8; whoever has no text field leaves this NULL. */
	void (*paste)(struct view *view, const char *text, size_t n_bytes);
	/* A click into the view's area, whose corner is 0,0; may be NULL. */
	void (*click)(struct view *view, int row, int column);
	/* From a job of this view; MESSAGE is freed afterwards. May be NULL. */
	void (*message)(struct view *view, struct message *message);
	/* Called when view->wake_ms has come (it is 0 again then). May be NULL. */
	void (*tick)(struct view *view, int64_t now_ms);
	/* The workbench is about to end: the last chance to submit what is to be written. May be
	 * NULL. */
	void (*leaving)(struct view *view);
};

struct view {
	const struct view_ops *ops;
	struct workbench *workbench;
	const struct workbench_host *host;
	void *state;
	int64_t wake_ms; /* on workbench_now_ms()'s clock; 0: no tick wanted */
};

extern const struct view_ops view_compare;
extern const struct view_ops view_catalog;

/* Compare's: adapters of the catalog into new lanes. */
void compare_add_adapters(struct view *view, const int64_t *ids, size_t n_ids);

/* ---- what a view may ask; screen thread only ---- */

int64_t workbench_now_ms(void); /* monotonic */

/* A measured number as it is shown: 0 in a script that said "hide-times". */
double workbench_measured(const struct workbench *workbench, double value);

/* The line at the bottom, until the next key or message: ROLE_TEXT, ROLE_GOOD, ROLE_BAD ... */
void workbench_status(struct workbench *workbench, enum role role, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The view named NAME comes to the screen; false: there is none. */
bool workbench_show(struct workbench *workbench, const char *name);

/* Puts these adapters of the catalog into lanes of Compare and shows it. */
void workbench_compare(struct workbench *workbench, const int64_t *ids, size_t n_ids);

/* A popup with a text field. ANSWERED gets the text, or NULL after Esc; it may ask again. COMPLETE
 * (may be NULL) gives the NULL-terminated words that may stand for TEXT, in memory of its own that
 * is freed word by word and then itself with free(). INITIAL may be NULL. */
void workbench_ask(struct workbench *workbench, const char *question, const char *initial,
    char **(*complete)(void *user, const char *text),
    void (*answered)(void *user, const char *text), void *user);
/* y or n; Esc is no. */
void workbench_confirm(struct workbench *workbench, const char *question,
    void (*answered)(void *user, bool yes), void *user);
/* Text in a popup that scrolls; TEXT is copied. Any other key closes it. */
void workbench_popup(struct workbench *workbench, const char *title, const char *text);
/* A popup of the caller's own: OPS->draw gets the whole screen's area to place itself in, OPS->key
 * every key. STATE is the popup view's; OPS->close is called when it goes. */
void workbench_push(struct workbench *workbench, const struct view_ops *ops, void *state);
void workbench_pop(struct workbench *workbench); /* the popup on top goes */

/* Runs a line of the command table on the worker. Its output comes to a popup while it runs (Esc
 * cancels); when it succeeds without output only the status line says so. DONE (may be NULL) gets
 * the exit status, on the screen's thread. */
void workbench_run_line(struct workbench *workbench, const char *line,
    void (*done)(void *user, int status), void *user);

/* Written in the background; what is given is copied. A line of a history, a small thing to
 * remember (store_state_set()), the use of adapters: */
void workbench_remember(
    struct workbench *workbench, enum store_history_kind kind, const char *text);
void workbench_set_state(struct workbench *workbench, const char *key, const char *value);
void workbench_used(struct workbench *workbench, const int64_t *ids, size_t n_ids);
/* A file; the status line says when it is there, or why not. */
void workbench_write_file(
    struct workbench *workbench, const char *path, const char *bytes, size_t n_bytes);

/* ---- jobs: work for the worker threads ---- */

/* What a job is about says which thread does it, and whether newer work of a topic makes older work
 * of the same topic pointless: then what is queued is dropped, what runs is cancelled. */
enum topic {
	TOPIC_RUN,     /* lanes; newest only */
	TOPIC_COMMAND, /* command lines */
	TOPIC_KEEP,    /* whatever is written: never dropped */
	TOPIC_OPEN,    /* adapters of the catalog */
	TOPIC_DRAFT,   /* live generation; newest only, as what follows */
	TOPIC_SEARCH,  /* the catalog's rows */
	TOPIC_NEAR,    /* what is near in meaning to one adapter or sentence */
	N_TOPICS
};

/* A message from a job to the view that submitted it. What the fields mean is between the two. */
struct message {
	int kind;
	uint64_t generation; /* of the job */
	size_t lane;
	char *text; /* n_bytes and a NUL; may be NULL; freed with the message */
	size_t n_bytes;
	double value;
	int64_t number;
	struct message *next; /* the queue's */
	struct view *view;    /* the queue's: to whom */
	struct job *job;      /* set in the last message of a job (kind MESSAGE_DONE) */
};
enum { MESSAGE_DONE = -1 }; /* comes after all others of a job, also of a cancelled one */

struct worker;
struct job {
	enum topic topic;
	struct view *view; /* gets the messages; NULL: nobody */
	/* On the worker. Looks at job_cancelled() between steps. */
	void (*run)(struct worker *worker, struct job *job);
	/* On the screen's thread, after the view saw MESSAGE_DONE; frees the job and what it
	 * holds. */
	void (*release)(struct job *job);
	uint64_t generation; /* set by job_submit(): grows with each job */
	atomic_bool cancelled;
	struct job *next;     /* the queue's */
	struct message *last; /* the queue's: made when the job is submitted */
};

/* Queues JOB (the workbench owns it from here) -> its generation; 0: out of memory, JOB is
 * released.
 */
uint64_t job_submit(struct workbench *workbench, struct job *job);
/* Cancels what runs and drops what waits of TOPIC. */
void job_cancel(struct workbench *workbench, enum topic topic);
/* Something of TOPIC runs or waits. */
bool job_busy(struct workbench *workbench, enum topic topic);

/* On the worker: */
bool job_cancelled(const struct job *job);
/* TEXT is copied; may be NULL. */
void job_post(struct worker *worker, struct job *job, int kind, size_t lane, const char *text,
    size_t n_bytes, double value, int64_t number);
const struct workbench_host *worker_host(const struct worker *worker);
/* This worker's own handle on the catalog, opened when first needed; a search in it ends together
 * with the job when that is cancelled. NULL with why in MESSAGE. */
struct store *worker_store(struct worker *worker, char *message, size_t size);
/* Calls WRITE(store, JOB); while another process keeps the catalog to itself it tries again, for a
 * minute or until the job is cancelled. False with why in MESSAGE. */
bool worker_write(struct worker *worker, struct job *job,
    enum store_status (*write)(struct store *store, struct job *job), char *message, size_t size);
/* The session over the host's model with at least N_LANES lanes, opened when first needed; what a
 * job holds of it while it runs is cancelled together with the job. NULL with the message in ERR.
 */
struct t2l_session *worker_session(struct worker *worker, size_t n_lanes, struct t2l_error *err);
size_t worker_session_lanes(const struct worker *worker);

#endif
