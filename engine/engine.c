/* engine.c - opens a backend and hands it down; one computation at a time. */
#include "config.h"

#include "engine/engine.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "engine/cpu/cpu.h"
#include "engine/error.h"

#define MAX_THREADS 1024

struct t2l_engine {
	struct backend *backend;
	int n_threads;
	bool precise;
	/* A ticket lock: a plain mutex would let a busy session take it again and again. */
	pthread_mutex_t mutex;
	pthread_cond_t served;
	unsigned long next_ticket, serving;
};

static const struct t2l_engine_options defaults = { .backend = NULL };

static int
processors(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof set, &set) != 0)
		return 1;
	return CPU_COUNT(&set) > 0 ? CPU_COUNT(&set) : 1;
}

static enum t2l_status
check(const struct t2l_engine_options *options, struct t2l_error *err)
{
	const char *backend = options->backend;

	if (backend != NULL && strcmp(backend, "auto") != 0 && strcmp(backend, "cpu") != 0)
		return t2l_fail(err, T2L_EINVAL,
		    "engine: there is no backend '%s'; expected auto or cpu", backend);
	if (options->n_threads < 0 || options->n_threads > MAX_THREADS)
		return t2l_fail(err, T2L_EINVAL,
		    "engine: %d threads; expected 1 to %d, or 0 for all", options->n_threads,
		    MAX_THREADS);
	return T2L_OK;
}

enum t2l_status
t2l_engine_open(
    const struct t2l_engine_options *options, struct t2l_engine **out, struct t2l_error *err)
{
	struct t2l_engine *engine;
	struct cpu_options cpu;
	enum t2l_status status;

	if (options == NULL)
		options = &defaults;
	status = check(options, err);
	if (status != T2L_OK)
		return status;
	engine = calloc(1, sizeof *engine);
	if (engine == NULL)
		return t2l_fail(err, T2L_ENOMEM, "engine: out of memory");
	engine->precise = options->precise;
	engine->n_threads = options->n_threads > 0 ? options->n_threads : processors();
	cpu = (struct cpu_options){
		.n_threads = engine->n_threads, .isa = options->isa, .precise = options->precise
	};
	status = cpu_backend_open(&cpu, &engine->backend, err);
	if (status != T2L_OK) {
		free(engine);
		return status;
	}
	pthread_mutex_init(&engine->mutex, NULL);
	pthread_cond_init(&engine->served, NULL);
	*out = engine;
	return T2L_OK;
}

void
t2l_engine_close(struct t2l_engine *engine)
{
	if (engine == NULL)
		return;
	cpu_backend_close(engine->backend);
	pthread_cond_destroy(&engine->served);
	pthread_mutex_destroy(&engine->mutex);
	free(engine);
}

const char *
t2l_engine_description(const struct t2l_engine *engine)
{
	return engine->backend->description;
}

int
t2l_engine_threads(const struct t2l_engine *engine)
{
	return engine->n_threads;
}

const struct backend *
engine_backend(const struct t2l_engine *engine)
{
	return engine->backend;
}

bool
engine_precise(const struct t2l_engine *engine)
{
	return engine->precise;
}

void
engine_lock(struct t2l_engine *engine)
{
	unsigned long ticket;

	pthread_mutex_lock(&engine->mutex);
	ticket = engine->next_ticket++;
	while (engine->serving != ticket)
		pthread_cond_wait(&engine->served, &engine->mutex);
	pthread_mutex_unlock(&engine->mutex);
}

void
engine_unlock(struct t2l_engine *engine)
{
	pthread_mutex_lock(&engine->mutex);
	engine->serving++;
	pthread_cond_broadcast(&engine->served);
	pthread_mutex_unlock(&engine->mutex);
}

void
t2l_free(void *memory)
{
	free(memory);
}

const char *
t2l_version(void)
{
	return PACKAGE_VERSION;
}

const char *
t2l_cpu_features(void)
{
	return cpu_features();
}
