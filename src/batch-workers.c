/* batch-workers.c - runs lines of a batch file in processes, and prints what they wrote in order.
 */

#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "src/batch-workers.h"
#include "src/settings.h"

#define LOOK_EVERY_NS 20000000L

extern char **environ;

struct job {
	pid_t pid; /* 0: it has ended */
	size_t number;
	int status;
	bool told; /* the interrupt was passed on */
	FILE *out, *err;
	struct job *next;
};

struct batch_workers {
	struct context *ctx;
	size_t n, n_running;
	struct job *first, *last; /* in the order of lines */
	char threads[64];	  /* "T2L_ENGINE_THREADS=1"; "" as it is set */
};

struct batch_workers *
batch_workers_new(struct context *ctx, size_t n)
{
	struct batch_workers *workers = calloc(1, sizeof *workers);
	const char *origin;
	long cores = sysconf(_SC_NPROCESSORS_ONLN);

	if (workers == NULL) {
		context_fail(ctx, "out of memory");
		return NULL;
	}
	*workers = (struct batch_workers){ .ctx = ctx, .n = n };
	setting_get(ctx->settings, "engine.threads", &origin);
	if (strcmp(origin, "default") == 0)
		snprintf(workers->threads, sizeof workers->threads, "T2L_ENGINE_THREADS=%ld",
		    cores > (long)n ? cores / (long)n : 1);
	return workers;
}

static void
job_free(struct job *job)
{
	if (job->out != NULL)
		fclose(job->out);
	if (job->err != NULL)
		fclose(job->err);
	free(job);
}

/* ---- processes ---- */

/* The environment with the workers' share of the cores; to be freed, its strings not. */
static char **
make_environment(struct batch_workers *workers)
{
	size_t n = 0;
	char **copy;

	while (environ[n] != NULL)
		n++;
	copy = calloc(n + 2, sizeof *copy);
	if (copy == NULL)
		return NULL;
	memcpy(copy, environ, n * sizeof *copy);
	if (workers->threads[0] != '\0')
		copy[n] = workers->threads;
	return copy;
}

static int
spawn(struct batch_workers *workers, const char *const *words, struct job *job)
{
	char **environment = make_environment(workers);
	posix_spawn_file_actions_t actions;
	int number;

	if (environment == NULL || posix_spawn_file_actions_init(&actions) != 0) {
		free(environment);
		return ENOMEM;
	}
	number = posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	if (number == 0)
		number = posix_spawn_file_actions_adddup2(&actions, fileno(job->out), 1);
	if (number == 0)
		number = posix_spawn_file_actions_adddup2(&actions, fileno(job->err), 2);
	if (number == 0)
		number = posix_spawn(
		    &job->pid, "/proc/self/exe", &actions, NULL, (char *const *)words, environment);
	posix_spawn_file_actions_destroy(&actions);
	free(environment);
	return number;
}

/* Ctrl-C on a terminal reaches the children as well; a signal to this process alone does not. */
static void
pass_on_interrupt(struct batch_workers *workers)
{
	if (!atomic_load(workers->ctx->cancelled))
		return;
	for (struct job *job = workers->first; job != NULL; job = job->next) {
		if (job->pid > 0 && !job->told)
			kill(job->pid, SIGTERM);
		job->told = true;
	}
}

/* Waits until one process ends. */
static void
reap(struct batch_workers *workers)
{
	int status;
	pid_t pid;

	/* A signal just before a waitpid() that blocks would not be seen until a child ends. */
	for (;;) {
		pass_on_interrupt(workers);
		pid = waitpid(-1, &status, WNOHANG);
		if (pid > 0 || (pid == -1 && errno != EINTR))
			break;
		nanosleep(&(struct timespec){ .tv_nsec = LOOK_EVERY_NS }, NULL);
	}
	for (struct job *job = workers->first; job != NULL; job = job->next) {
		/* -1: somebody else has waited for them; they are gone. */
		if (job->pid == 0 || (pid != -1 && job->pid != pid))
			continue;
		job->pid = 0;
		job->status = pid == -1		  ? 1
			      : WIFEXITED(status) ? WEXITSTATUS(status)
						  : 128 + WTERMSIG(status);
		workers->n_running--;
	}
}

bool
batch_workers_start(struct batch_workers *workers, const char *const *words, size_t number)
{
	struct job *job = calloc(1, sizeof *job);
	int error = ENOMEM;

	while (workers->n_running >= workers->n)
		reap(workers);
	if (atomic_load(workers->ctx->cancelled)) {
		free(job);
		return false;
	}
	if (job != NULL) {
		*job = (struct job){ .number = number, .out = tmpfile(), .err = tmpfile() };
		error = job->out != NULL && job->err != NULL ? spawn(workers, words, job) : errno;
	}
	if (error != 0) {
		if (job != NULL)
			job_free(job);
		context_fail(workers->ctx, "cannot start a worker: %s", strerror(error));
		return false;
	}
	if (workers->last != NULL)
		workers->last->next = job;
	else
		workers->first = job;
	workers->last = job;
	workers->n_running++;
	return true;
}

/* ---- results ---- */

static void
copy(FILE *from, const struct output *to)
{
	char chunk[16384];
	size_t n;

	rewind(from);
	while ((n = fread(chunk, 1, sizeof chunk, from)) > 0)
		to->write(to->user, chunk, n);
}

bool
batch_workers_next(struct batch_workers *workers, bool wait, size_t *number, int *status)
{
	struct job *job = workers->first;

	while (job != NULL && job->pid != 0 && wait)
		reap(workers);
	if (job == NULL || job->pid != 0)
		return false;
	copy(job->out, &workers->ctx->out);
	copy(job->err, &workers->ctx->log);
	*number = job->number;
	*status = job->status;
	workers->first = job->next;
	if (workers->first == NULL)
		workers->last = NULL;
	job_free(job);
	return true;
}

void
batch_workers_free(struct batch_workers *workers)
{
	size_t number;
	int status;

	while (workers != NULL && batch_workers_next(workers, true, &number, &status))
		;
	free(workers);
}
