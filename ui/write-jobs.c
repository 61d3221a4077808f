/* write-jobs.c - small things that any view writes in the background: history, state, files. */

#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/atomic-file.h"
#include "ui/frame.h"

struct write_job {
	struct job job;
	struct workbench *workbench;
	enum store_status (*write)(struct store *store, struct job *job);
	enum store_history_kind kind;
	char *name; /* key, or path */
	char *text;
	size_t n_bytes;
	int64_t *ids;
	size_t n_ids;
	enum role role;
	char message[1024]; /* for the status line; "": nothing */
};

static void
release(struct job *job)
{
	struct write_job *write = (struct write_job *)job;

	if (write->message[0] != '\0')
		workbench_status(write->workbench, write->role, "%s", write->message);
	free(write->name);
	free(write->text);
	free(write->ids);
	free(write);
}

/* TEXT[N] and NAME (may be NULL) are copied. NULL: out of memory. */
static struct write_job *
new_write(struct workbench *workbench, void (*run)(struct worker *worker, struct job *job),
    const char *name, const char *text, size_t n)
{
	struct write_job *write = calloc(1, sizeof *write);

	if (write == NULL)
		return NULL;
	write->job = (struct job){ .topic = TOPIC_KEEP, .run = run, .release = release };
	write->workbench = workbench;
	write->name = name != NULL ? strdup(name) : NULL;
	write->text = malloc(n + 1);
	write->n_bytes = n;
	if (write->text == NULL || (name != NULL && write->name == NULL)) {
		release(&write->job);
		return NULL;
	}
	if (n > 0)
		memcpy(write->text, text, n);
	write->text[n] = '\0';
	return write;
}

/* ---- into the catalog: nobody complains when these cannot be written ---- */

static void
run_quietly(struct worker *worker, struct job *job)
{
	struct write_job *write = (struct write_job *)job;
	char message[256];

	worker_write(worker, job, write->write, message, sizeof message);
}

static enum store_status
write_history(struct store *store, struct job *job)
{
	const struct write_job *write = (const struct write_job *)job;

	return store_history_add(store, write->kind, write->text);
}

static enum store_status
write_state(struct store *store, struct job *job)
{
	const struct write_job *write = (const struct write_job *)job;

	return store_state_set(store, write->name, write->text);
}

static enum store_status
write_use(struct store *store, struct job *job)
{
	const struct write_job *write = (const struct write_job *)job;

	return store_touch(store, write->ids, write->n_ids);
}

static void
submit_quietly(struct workbench *workbench, struct write_job *write,
    enum store_status (*how)(struct store *store, struct job *job))
{
	if (write == NULL)
		return;
	write->write = how;
	job_submit(workbench, &write->job);
}

void
workbench_remember(struct workbench *workbench, enum store_history_kind kind, const char *text)
{
	struct write_job *write;

	if (text[0] == '\0' || store_is_read_only(workbench->host->store))
		return;
	write = new_write(workbench, run_quietly, NULL, text, strlen(text));
	if (write != NULL)
		write->kind = kind;
	submit_quietly(workbench, write, write_history);
}

void
workbench_set_state(struct workbench *workbench, const char *key, const char *value)
{
	if (!store_is_read_only(workbench->host->store))
		submit_quietly(workbench,
		    new_write(workbench, run_quietly, key, value, strlen(value)), write_state);
}

void
workbench_used(struct workbench *workbench, const int64_t *ids, size_t n_ids)
{
	struct write_job *write;

	if (n_ids == 0 || store_is_read_only(workbench->host->store))
		return;
	write = new_write(workbench, run_quietly, NULL, NULL, 0);
	if (write != NULL && (write->ids = malloc(n_ids * sizeof *ids)) != NULL) {
		memcpy(write->ids, ids, n_ids * sizeof *ids);
		write->n_ids = n_ids;
	}
	submit_quietly(workbench, write, write_use);
}

/* ---- files ---- */

static void
run_file(struct worker *worker, struct job *job)
{
	struct write_job *write = (struct write_job *)job;
	bool fine = atomic_write(write->name, write->text, write->n_bytes) == 0;

	(void)worker;
	write->role = fine ? ROLE_GOOD : ROLE_BAD;
	if (fine)
		snprintf(write->message, sizeof write->message, "saved: %s", write->name);
	else
		snprintf(write->message, sizeof write->message, "cannot write '%s': %s",
		    write->name, strerror(errno));
}

void
workbench_write_file(
    struct workbench *workbench, const char *path, const char *bytes, size_t n_bytes)
{
	struct write_job *write = new_write(workbench, run_file, path, bytes, n_bytes);

	if (write == NULL)
		workbench_status(workbench, ROLE_BAD, "out of memory");
	else
		job_submit(workbench, &write->job);
}
