/* The queues between the screen's thread and a worker: order, dropping, waking, ending. */

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "ui/queue.h"

static struct message *
message_of(int kind)
{
	struct message *message = calloc(1, sizeof *message);

	assert_non_null(message);
	message->kind = kind;
	return message;
}

static void
messages_come_out_in_the_order_they_went_in(void **state)
{
	struct message_queue queue;

	(void)state;
	message_queue_init(&queue, -1);
	for (int kind = 1; kind <= 3; kind++)
		message_put(&queue, message_of(kind));
	for (int kind = 1; kind <= 3; kind++) {
		struct message *message = message_take(&queue);

		assert_int_equal(message->kind, kind);
		message_free(message);
	}
	assert_null(message_take(&queue));
	message_queue_free(&queue);
}

static void
the_first_message_wakes_a_poll(void **state)
{
	int fd = eventfd(0, EFD_NONBLOCK);
	struct pollfd waiting = { fd, POLLIN, 0 };
	struct message_queue queue;

	(void)state;
	message_queue_init(&queue, fd);
	assert_int_equal(poll(&waiting, 1, 0), 0);
	message_put(&queue, message_of(1));
	assert_int_equal(poll(&waiting, 1, 0), 1);
	message_queue_free(&queue);
	close(fd);
}

static void *
put_a_thousand(void *user)
{
	for (int i = 0; i < 1000; i++)
		message_put(user, message_of(i));
	return NULL;
}

static void
no_message_of_several_threads_is_lost(void **state)
{
	struct message_queue queue;
	pthread_t threads[4];
	int n = 0;

	(void)state;
	message_queue_init(&queue, -1);
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, put_a_thousand, &queue), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	for (struct message *message; (message = message_take(&queue)) != NULL; n++)
		message_free(message);
	assert_int_equal(n, 4000);
	message_queue_free(&queue);
}

static void
dropping_a_topic_leaves_the_others_in_their_order(void **state)
{
	struct job jobs[4] = { { .topic = TOPIC_RUN }, { .topic = TOPIC_KEEP },
		{ .topic = TOPIC_RUN }, { .topic = TOPIC_DRAFT } };
	struct job_queue queue;
	struct job *dropped;

	(void)state;
	job_queue_init(&queue);
	for (int i = 0; i < 4; i++)
		job_put(&queue, &jobs[i]);
	dropped = job_drop(&queue, TOPIC_RUN, NULL, NULL);
	assert_ptr_equal(dropped, &jobs[0]);
	assert_ptr_equal(dropped->next, &jobs[2]);
	assert_null(dropped->next->next);
	assert_ptr_equal(job_take(&queue), &jobs[1]);
	job_finished(&queue);
	/* The queue's end was found again. */
	job_put(&queue, &jobs[0]);
	assert_ptr_equal(job_take(&queue), &jobs[3]);
	job_finished(&queue);
	assert_ptr_equal(job_take(&queue), &jobs[0]);
	job_finished(&queue);
	job_queue_free(&queue);
}

static void
note_stopped(void *user, struct job *job)
{
	*(struct job **)user = job;
}

static void
what_runs_of_a_dropped_topic_is_cancelled_and_nothing_else(void **state)
{
	struct job running = { .topic = TOPIC_RUN }, *stopped = NULL;
	struct job_queue queue;

	(void)state;
	job_queue_init(&queue);
	job_put(&queue, &running);
	assert_ptr_equal(job_take(&queue), &running);
	assert_null(job_drop(&queue, TOPIC_DRAFT, note_stopped, &stopped));
	assert_false(job_cancelled(&running));
	assert_null(stopped);
	assert_null(job_drop(&queue, TOPIC_RUN, note_stopped, &stopped));
	assert_true(job_cancelled(&running));
	assert_ptr_equal(stopped, &running);
	job_finished(&queue);
	job_queue_free(&queue);
}

static void *
take_one(void *user)
{
	return job_take(user);
}

static void
closing_wakes_a_worker_that_waits(void **state)
{
	struct job_queue queue;
	pthread_t thread;
	void *taken = &queue;

	(void)state;
	job_queue_init(&queue);
	assert_int_equal(pthread_create(&thread, NULL, take_one, &queue), 0);
	job_queue_close(&queue);
	pthread_join(thread, &taken);
	assert_null(taken);
	job_queue_free(&queue);
}

static void
a_closed_queue_first_gives_what_waits(void **state)
{
	struct job waiting = { .topic = TOPIC_KEEP };
	struct job_queue queue;

	(void)state;
	job_queue_init(&queue);
	job_put(&queue, &waiting);
	job_queue_close(&queue);
	assert_ptr_equal(job_take(&queue), &waiting);
	job_finished(&queue);
	assert_null(job_take(&queue));
	job_queue_free(&queue);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages_come_out_in_the_order_they_went_in),
		cmocka_unit_test(the_first_message_wakes_a_poll),
		cmocka_unit_test(no_message_of_several_threads_is_lost),
		cmocka_unit_test(dropping_a_topic_leaves_the_others_in_their_order),
		cmocka_unit_test(what_runs_of_a_dropped_topic_is_cancelled_and_nothing_else),
		cmocka_unit_test(closing_wakes_a_worker_that_waits),
		cmocka_unit_test(a_closed_queue_first_gives_what_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
