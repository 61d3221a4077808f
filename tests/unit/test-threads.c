/*
 * test-threads.c - the thread pool does each piece once, with any number of threads, awake or
 * asleep.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "engine/cpu/threads.h"

#define MAX_ITEMS 1000

struct visits {
	_Atomic int counts[MAX_ITEMS];
	_Atomic int calls;
	int64_t grain;
	int n_threads;
	_Atomic int out_of_bounds;
};

static void
visit(void *arg, int64_t begin, int64_t end, int worker)
{
	struct visits *visits = arg;

	atomic_fetch_add(&visits->calls, 1);
	if (worker < 0 || worker >= visits->n_threads || begin >= end ||
	    end - begin > visits->grain || begin % visits->grain != 0)
		atomic_fetch_add(&visits->out_of_bounds, 1);
	for (int64_t i = begin; i < end; i++)
		atomic_fetch_add(&visits->counts[i], 1);
}

static void
assert_each_once(struct thread_pool *pool, int64_t n_items, int64_t grain)
{
	static struct visits visits;

	memset(&visits, 0, sizeof visits);
	visits.grain = grain;
	visits.n_threads = thread_pool_size(pool);
	thread_pool_run(pool, n_items, grain, visit, &visits);
	for (int64_t i = 0; i < MAX_ITEMS; i++)
		assert_int_equal(visits.counts[i], i < n_items ? 1 : 0);
	assert_int_equal(visits.calls, n_items > 0 ? (n_items - 1) / grain + 1 : 0);
	assert_int_equal(visits.out_of_bounds, 0);
}

static void
every_item_is_visited_exactly_once(void **state)
{
	static const int64_t n_items[] = { 0, 1, 2, 3, 7, 64, 65, 999, 1000 };
	static const int64_t grains[] = { 1, 2, 7, 64, 5000 };

	(void)state;
	for (int n_threads = 1; n_threads <= 5; n_threads++) {
		struct thread_pool *pool = thread_pool_create(n_threads);
		assert_non_null(pool);
		assert_int_equal(thread_pool_size(pool), n_threads);
		for (size_t i = 0; i < sizeof n_items / sizeof n_items[0]; i++)
			for (size_t j = 0; j < sizeof grains / sizeof grains[0]; j++)
				assert_each_once(pool, n_items[i], grains[j]);
		thread_pool_free(pool);
	}
}

static void
many_short_jobs_in_a_row_lose_nothing(void **state)
{
	(void)state;
	for (int n_threads = 2; n_threads <= 4; n_threads++) {
		struct thread_pool *pool = thread_pool_create(n_threads);
		assert_non_null(pool);
		for (int job = 0; job < 3000; job++)
			assert_each_once(pool, 1 + job % 9, 1);
		thread_pool_free(pool);
	}
}

static void
sleeping_workers_wake_up(void **state)
{
	struct thread_pool *pool = thread_pool_create(3);
	const struct timespec long_enough_to_sleep = { 0, 2000000 };

	(void)state;
	assert_non_null(pool);
	for (int job = 0; job < 50; job++) {
		nanosleep(&long_enough_to_sleep, NULL);
		assert_each_once(pool, 100, 3);
	}
	thread_pool_free(pool);
}

/* Two threads can only both be inside when each waits for the other, so one must wake up. */
static void
meet(void *arg, int64_t begin, int64_t end, int worker)
{
	_Atomic int *here = arg;
	const struct timespec pause = { 0, 1000000 };

	(void)begin;
	(void)end;
	(void)worker;
	atomic_fetch_add(here, 1);
	for (int ms = 0; ms < 10000 && atomic_load(here) < 2; ms++)
		nanosleep(&pause, NULL);
}

static void
work_is_shared_among_threads(void **state)
{
	struct thread_pool *pool = thread_pool_create(2);
	_Atomic int here = 0;

	(void)state;
	assert_non_null(pool);
	thread_pool_run(pool, 2, 1, meet, &here);
	assert_int_equal(here, 2);
	thread_pool_free(pool);
}

static void
pools_come_and_go(void **state)
{
	(void)state;
	for (int i = 0; i < 100; i++) {
		struct thread_pool *pool = thread_pool_create(1 + i % 4);
		assert_non_null(pool);
		if (i % 2 == 0)
			assert_each_once(pool, 10, 1);
		thread_pool_free(pool);
	}
	assert_null(thread_pool_create(0));
	thread_pool_free(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_item_is_visited_exactly_once),
		cmocka_unit_test(many_short_jobs_in_a_row_lose_nothing),
		cmocka_unit_test(sleeping_workers_wake_up),
		cmocka_unit_test(work_is_shared_among_threads),
		cmocka_unit_test(pools_come_and_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
