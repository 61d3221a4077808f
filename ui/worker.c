/* worker.c - takes jobs from the queue, runs them, and posts what they say. */

#include "config.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ui/worker.h"

/* Lanes of a workbench session hold a conversation, not a book: a model with a context of 128k
 * would otherwise want gigabytes of cache for eight lanes. infer.context says otherwise. */
enum { USUAL_CONTEXT = 2048 };

/* The store waits for 5 seconds each time. */
enum { BUSY_TRIES = 12 };

struct worker {
	const struct workbench_host *host;
	struct message_queue *messages;
	struct job_queue jobs;
	pthread_t thread;
	/* These may be interrupted by the screen's thread at any time, so they are replaced only
	 * under the job queue's lock. */
	struct t2l_session *session;
	struct store *store;
	size_t n_lanes;
};

static void
post(struct worker *worker, struct job *job, struct message *message)
{
	message->generation = job->generation;
	message->view = job->view;
	message_put(worker->messages, message);
}

/* The message that ends a job carries it back; it is there already when the job starts, so that
 * running out of memory cannot lose a job. */
static void
finish(struct worker *worker, struct job *job, struct message *last)
{
	last->kind = MESSAGE_DONE;
	last->job = job;
	post(worker, job, last);
}

static void *
work(void *user)
{
	struct worker *worker = user;

	for (struct job *job; (job = job_take(&worker->jobs)) != NULL;) {
		struct message *last = job->last;

		job->run(worker, job);
		job_finished(&worker->jobs);
		finish(worker, job, last);
	}
	return NULL;
}

struct worker *
worker_start(const struct workbench_host *host, struct message_queue *messages)
{
	struct worker *worker = calloc(1, sizeof *worker);
	sigset_t all, before;
	bool started;

	if (worker == NULL)
		return NULL;
	worker->host = host;
	worker->messages = messages;
	job_queue_init(&worker->jobs);
	/* Signals are the screen's; the crash handlers run wherever the crash is. */
	sigfillset(&all);
	sigdelset(&all, SIGSEGV);
	sigdelset(&all, SIGBUS);
	sigdelset(&all, SIGFPE);
	sigdelset(&all, SIGILL);
	sigdelset(&all, SIGABRT);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	started = pthread_create(&worker->thread, NULL, work, worker) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (!started) {
		job_queue_free(&worker->jobs);
		free(worker);
		return NULL;
	}
	return worker;
}

void
worker_finish(struct worker *worker)
{
	if (worker == NULL)
		return;
	job_queue_close(&worker->jobs);
	pthread_join(worker->thread, NULL);
	t2l_session_close(worker->session);
	store_close(worker->store);
	job_queue_free(&worker->jobs);
	free(worker);
}

void
worker_stop(struct worker *worker)
{
	if (worker == NULL)
		return;
	worker_cancel(worker, N_TOPICS);
	worker_finish(worker);
}

void
worker_put(struct worker *worker, struct job *job)
{
	job_put(&worker->jobs, job);
}

static void
interrupt(void *user, struct job *job)
{
	struct worker *worker = user;

	(void)job;
	if (worker->session != NULL)
		t2l_session_cancel(worker->session);
	if (worker->store != NULL)
		store_interrupt(worker->store);
}

void
worker_cancel(struct worker *worker, enum topic topic)
{
	struct job *dropped = job_drop(&worker->jobs, topic, interrupt, worker), *next;

	for (; dropped != NULL; dropped = next) {
		next = dropped->next;
		atomic_store(&dropped->cancelled, true);
		finish(worker, dropped, dropped->last);
	}
}

/* ---- for jobs ---- */

bool
job_cancelled(const struct job *job)
{
	return atomic_load(&job->cancelled);
}

void
job_post(struct worker *worker, struct job *job, int kind, size_t lane, const char *text,
    size_t n_bytes, double value, int64_t number)
{
	struct message *message = calloc(1, sizeof *message);

	if (message != NULL && text != NULL) {
		message->text = malloc(n_bytes + 1);
		if (message->text != NULL) {
			memcpy(message->text, text, n_bytes);
			message->text[n_bytes] = '\0';
			message->n_bytes = n_bytes;
		}
	}
	if (message == NULL || (text != NULL && message->text == NULL)) {
		free(message);
		return;
	}
	message->kind = kind;
	message->lane = lane;
	message->value = value;
	message->number = number;
	post(worker, job, message);
}

const struct workbench_host *
worker_host(const struct worker *worker)
{
	return worker->host;
}

struct store *
worker_store(struct worker *worker, char *message, size_t size)
{
	struct store *store;

	if (worker->store != NULL)
		return worker->store;
	if (store_open(worker->host->home, STORE_READ_WRITE, message, size, &store) != STORE_OK)
		return NULL;
	pthread_mutex_lock(&worker->jobs.lock);
	worker->store = store;
	pthread_mutex_unlock(&worker->jobs.lock);
	return store;
}

static void
forget_store(struct worker *worker)
{
	struct store *store = worker->store;

	pthread_mutex_lock(&worker->jobs.lock);
	worker->store = NULL;
	pthread_mutex_unlock(&worker->jobs.lock);
	store_close(store);
}

bool
worker_write(struct worker *worker, struct job *job,
    enum store_status (*write)(struct store *store, struct job *job), char *message, size_t size)
{
	struct store *store;
	enum store_status status;
	int tries = 0;

	/* The disk may have room again, or the folder other permissions. */
	if (worker->store != NULL && store_is_read_only(worker->store))
		forget_store(worker);
	store = worker_store(worker, message, size);
	if (store == NULL)
		return false;
	do
		status = write(store, job);
	while (status == STORE_EBUSY && ++tries < BUSY_TRIES && !job_cancelled(job));
	if (status != STORE_OK)
		snprintf(message, size, "%s", store_error(store));
	return status == STORE_OK;
}

static size_t
context_room(const struct worker *worker)
{
	const struct workbench_host *host = worker->host;
	size_t most = (size_t)t2l_model_facts(host->model)->context_length;
	const char *set = host->setting(host->user, "infer.context");
	size_t wanted = set != NULL ? strtoul(set, NULL, 10) : 0;

	if (wanted == 0)
		wanted = USUAL_CONTEXT;
	return wanted < most ? wanted : most;
}

struct t2l_session *
worker_session(struct worker *worker, size_t n_lanes, struct t2l_error *err)
{
	struct t2l_session *session, *old;

	if (worker->session != NULL && worker->n_lanes >= n_lanes)
		return worker->session;
	if (t2l_session_open(worker->host->model, n_lanes, context_room(worker), &session, err) !=
	    T2L_OK)
		return NULL;
	pthread_mutex_lock(&worker->jobs.lock);
	old = worker->session;
	worker->session = session;
	worker->n_lanes = n_lanes;
	pthread_mutex_unlock(&worker->jobs.lock);
	t2l_session_close(old);
	return session;
}

size_t
worker_session_lanes(const struct worker *worker)
{
	return worker->n_lanes;
}
