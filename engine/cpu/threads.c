/*
 * cpu/threads.c - the thread pool: a job is open to whoever comes, and nobody waits for a late
 * worker.
 *
 * One word holds everything that decides: the job's number, whether it is open, and how many
 * workers are inside. The caller opens a job, takes pieces like the others, and when none is left
 * closes it and waits for those inside only. A worker that the system has put aside therefore
 * costs nothing but its share of the work.
 *
 * Each worker begins with its own stretch of the pieces, so that one operation after the other
 * finds the same rows in the same core's cache, and then takes what others have left.
 */
#define _GNU_SOURCE
#include "engine/cpu/threads.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

#define JOB_INSIDE UINT64_C(0xffff) /* workers in the job */
#define JOB_OPEN UINT64_C(0x10000)
#define JOB_NEXT UINT64_C(0x20000) /* one more in the job's number */
#define MAX_THREADS 1024

/* Longer than the gaps between the operations of a small model, far shorter than a time slice. */
#define SPIN_NS 50000

/* A worker's stretch of pieces; on its own cache line, because all fight over it at the end. */
struct stretch {
	_Alignas(64) _Atomic int64_t next;
	int64_t end;
};

struct thread_pool {
	int n_threads;
	struct stretch *stretches; /* n_threads */
	pthread_t *threads;	   /* n_threads - 1 */
	/* The job; written only while it is closed and nobody is inside. */
	int64_t n_items, grain, n_pieces;
	void (*run)(void *arg, int64_t begin, int64_t end, int worker);
	void *arg;
	_Alignas(64) _Atomic uint64_t job;
	_Alignas(64) _Atomic int n_sleeping;
	_Atomic bool caller_sleeps;
	_Atomic bool quit;
	pthread_mutex_t mutex;
	pthread_cond_t wake, done;
};

struct worker_start {
	struct thread_pool *pool;
	int worker;
};

static inline void
relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

static int64_t
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Spins until (job & MASK) differs from VALUE; false when that took longer than SPIN_NS. */
static bool
spin_while(struct thread_pool *pool, uint64_t mask, uint64_t value)
{
	int64_t end = 0;

	for (;;) {
		for (int i = 0; i < 64; i++) {
			if ((atomic_load_explicit(&pool->job, memory_order_acquire) & mask) !=
			    value)
				return true;
			relax();
		}
		int64_t now = now_ns();
		if (end == 0)
			end = now + SPIN_NS;
		else if (now >= end)
			return false;
	}
}

static void
take_stretch(struct thread_pool *pool, struct stretch *stretch, int worker)
{
	for (;;) {
		int64_t piece = atomic_fetch_add_explicit(&stretch->next, 1, memory_order_relaxed);
		if (piece >= stretch->end)
			return;
		int64_t begin = piece * pool->grain;
		int64_t end =
		    pool->n_items - begin < pool->grain ? pool->n_items : begin + pool->grain;
		pool->run(pool->arg, begin, end, worker);
	}
}

static void
take_pieces(struct thread_pool *pool, int worker)
{
	for (int i = 0; i < pool->n_threads; i++)
		take_stretch(pool, &pool->stretches[(worker + i) % pool->n_threads], worker);
}

static void
lay_out_stretches(struct thread_pool *pool)
{
	int64_t share = pool->n_pieces / pool->n_threads, rest = pool->n_pieces % pool->n_threads;
	int64_t begin = 0;

	for (int i = 0; i < pool->n_threads; i++) {
		int64_t end = begin + share + (i < rest ? 1 : 0);
		atomic_store_explicit(&pool->stretches[i].next, begin, memory_order_relaxed);
		pool->stretches[i].end = end;
		begin = end;
	}
}

static void
leave_job(struct thread_pool *pool)
{
	uint64_t job = atomic_fetch_sub(&pool->job, 1) - 1;

	if ((job & (JOB_OPEN | JOB_INSIDE)) == 0 && atomic_load(&pool->caller_sleeps)) {
		pthread_mutex_lock(&pool->mutex);
		pthread_cond_signal(&pool->done);
		pthread_mutex_unlock(&pool->mutex);
	}
}

/* Returns when the job's number is no longer SEEN, or the pool ends. */
static void
wait_for_job(struct thread_pool *pool, uint64_t seen)
{
	const uint64_t number = ~(JOB_OPEN | JOB_INSIDE);

	if (spin_while(pool, number, seen))
		return;
	pthread_mutex_lock(&pool->mutex);
	atomic_fetch_add(&pool->n_sleeping, 1);
	while ((atomic_load(&pool->job) & number) == seen && !atomic_load(&pool->quit))
		pthread_cond_wait(&pool->wake, &pool->mutex);
	atomic_fetch_sub(&pool->n_sleeping, 1);
	pthread_mutex_unlock(&pool->mutex);
}

static void *
worker_main(void *arg)
{
	struct worker_start start = *(struct worker_start *)arg;
	struct thread_pool *pool = start.pool;
	uint64_t seen = 0;

	free(arg);
	while (!atomic_load(&pool->quit)) {
		wait_for_job(pool, seen);
		uint64_t job = atomic_load(&pool->job);
		seen = job & ~(JOB_OPEN | JOB_INSIDE);
		while ((job & JOB_OPEN) != 0) {
			if (atomic_compare_exchange_weak(&pool->job, &job, job + 1)) {
				/* The number may have moved on between the two loads. */
				seen = job & ~(JOB_OPEN | JOB_INSIDE);
				take_pieces(pool, start.worker);
				leave_job(pool);
				break;
			}
		}
	}
	return NULL;
}

static bool
start_worker(struct thread_pool *pool, int worker)
{
	struct worker_start *start = malloc(sizeof *start);

	if (start == NULL)
		return false;
	*start = (struct worker_start){ pool, worker };
	if (pthread_create(&pool->threads[worker - 1], NULL, worker_main, start) != 0) {
		free(start);
		return false;
	}
	return true;
}

struct thread_pool *
thread_pool_create(int n_threads)
{
	struct thread_pool *pool;

	if (n_threads < 1 || n_threads > MAX_THREADS)
		return NULL;
	pool = aligned_alloc(_Alignof(struct thread_pool), sizeof *pool);
	if (pool == NULL)
		return NULL;
	*pool = (struct thread_pool){ .n_threads = 1 };
	pthread_mutex_init(&pool->mutex, NULL);
	pthread_cond_init(&pool->wake, NULL);
	pthread_cond_init(&pool->done, NULL);
	pool->threads = calloc((size_t)n_threads, sizeof *pool->threads);
	pool->stretches =
	    aligned_alloc(_Alignof(struct stretch), (size_t)n_threads * sizeof *pool->stretches);
	if (pool->threads == NULL || pool->stretches == NULL) {
		thread_pool_free(pool);
		return NULL;
	}
	for (; pool->n_threads < n_threads; pool->n_threads++) {
		if (!start_worker(pool, pool->n_threads)) {
			thread_pool_free(pool);
			return NULL;
		}
	}
	return pool;
}

void
thread_pool_free(struct thread_pool *pool)
{
	if (pool == NULL)
		return;
	pthread_mutex_lock(&pool->mutex);
	atomic_store(&pool->quit, true);
	/* A new number without an open job wakes those that spin. */
	atomic_fetch_add(&pool->job, JOB_NEXT);
	pthread_cond_broadcast(&pool->wake);
	pthread_mutex_unlock(&pool->mutex);
	for (int i = 1; i < pool->n_threads; i++)
		pthread_join(pool->threads[i - 1], NULL);
	pthread_cond_destroy(&pool->done);
	pthread_cond_destroy(&pool->wake);
	pthread_mutex_destroy(&pool->mutex);
	free(pool->stretches);
	free(pool->threads);
	free(pool);
}

int
thread_pool_size(const struct thread_pool *pool)
{
	return pool->n_threads;
}

static void
open_job(struct thread_pool *pool)
{
	uint64_t number = atomic_load_explicit(&pool->job, memory_order_relaxed) + JOB_NEXT;

	lay_out_stretches(pool);
	atomic_store(&pool->job, number | JOB_OPEN);
	if (atomic_load(&pool->n_sleeping) > 0) {
		pthread_mutex_lock(&pool->mutex);
		pthread_cond_broadcast(&pool->wake);
		pthread_mutex_unlock(&pool->mutex);
	}
}

/* Whoever is still inside has lost its processor: let it have ours. */
static void
sleep_until_empty(struct thread_pool *pool)
{
	pthread_mutex_lock(&pool->mutex);
	atomic_store(&pool->caller_sleeps, true);
	while ((atomic_load(&pool->job) & JOB_INSIDE) != 0)
		pthread_cond_wait(&pool->done, &pool->mutex);
	atomic_store(&pool->caller_sleeps, false);
	pthread_mutex_unlock(&pool->mutex);
}

static void
close_job(struct thread_pool *pool)
{
	uint64_t job = atomic_fetch_and(&pool->job, ~JOB_OPEN) & ~JOB_OPEN;

	while ((job & JOB_INSIDE) != 0) {
		if (!spin_while(pool, ~UINT64_C(0), job))
			sleep_until_empty(pool);
		job = atomic_load(&pool->job);
	}
}

void
thread_pool_run(struct thread_pool *pool, int64_t n_items, int64_t grain,
    void (*run)(void *arg, int64_t begin, int64_t end, int worker), void *arg)
{
	if (n_items <= 0)
		return;
	if (grain < 1)
		grain = 1;
	pool->n_items = n_items;
	pool->grain = grain;
	pool->n_pieces = (n_items - 1) / grain + 1;
	pool->run = run;
	pool->arg = arg;
	if (pool->n_threads == 1 || pool->n_pieces < 2) {
		lay_out_stretches(pool);
		take_pieces(pool, 0);
		return;
	}
	open_job(pool);
	take_pieces(pool, 0);
	close_job(pool);
}
