/*
 * cpu/threads.h - the thread pool of the CPU backend.
 *
 * Work is cut into fixed pieces whose bounds do not depend on the number of threads, so results
 * do not either. The calling thread works too. Workers spin shortly between calls (an
 * operation of a small model takes microseconds), then sleep.
 */
#ifndef ENGINE_CPU_THREADS_H
#define ENGINE_CPU_THREADS_H

#include <stdint.h>

struct thread_pool;

/* N_THREADS counts the caller; 1 starts no thread. NULL when threads can't be had. */
struct thread_pool *thread_pool_create(int n_threads);
void thread_pool_free(struct thread_pool *pool);
int thread_pool_size(const struct thread_pool *pool);

/* Calls run(arg, begin, end, worker) for pieces of at most GRAIN items that cover [0, n_items);
 * worker is 0 .. size-1. Returns when all is done. Not re-entrant. Fewer than two pieces run on
 * the caller alone. */
void thread_pool_run(struct thread_pool *pool, int64_t n_items, int64_t grain,
    void (*run)(void *arg, int64_t begin, int64_t end, int worker), void *arg);

#endif
