/* queue.c - linked lists under a lock, with a condition for the worker and an eventfd for poll. */

#include "config.h"

#include <stdlib.h>
#include <unistd.h>

#include "ui/queue.h"

void
message_queue_init(struct message_queue *queue, int wake_fd)
{
	*queue = (struct message_queue){ .wake_fd = wake_fd };
	queue->last = &queue->first;
	pthread_mutex_init(&queue->lock, NULL);
}

void
message_queue_free(struct message_queue *queue)
{
	for (struct message *message; (message = message_take(queue)) != NULL;) {
		if (message->job != NULL)
			message->job->release(message->job);
		message_free(message);
	}
	pthread_mutex_destroy(&queue->lock);
}

void
message_put(struct message_queue *queue, struct message *message)
{
	uint64_t one = 1;

	message->next = NULL;
	pthread_mutex_lock(&queue->lock);
	bool was_empty = queue->first == NULL;

	*queue->last = message;
	queue->last = &message->next;
	pthread_mutex_unlock(&queue->lock);
	/* One wake-up is enough for what is read in one go. It can only fail when the counter is
	 * full, and then the reader is awake. */
	if (was_empty && queue->wake_fd >= 0 &&
	    write(queue->wake_fd, &one, sizeof one) != (ssize_t)sizeof one)
		return;
}

struct message *
message_take(struct message_queue *queue)
{
	struct message *message;

	pthread_mutex_lock(&queue->lock);
	message = queue->first;
	if (message != NULL) {
		queue->first = message->next;
		if (queue->first == NULL)
			queue->last = &queue->first;
	}
	pthread_mutex_unlock(&queue->lock);
	return message;
}

void
message_free(struct message *message)
{
	if (message == NULL)
		return;
	free(message->text);
	free(message);
}

/* ---- jobs ---- */

void
job_queue_init(struct job_queue *queue)
{
	*queue = (struct job_queue){ 0 };
	queue->last = &queue->first;
	pthread_mutex_init(&queue->lock, NULL);
	pthread_cond_init(&queue->changed, NULL);
}

void
job_queue_free(struct job_queue *queue)
{
	pthread_cond_destroy(&queue->changed);
	pthread_mutex_destroy(&queue->lock);
}

void
job_put(struct job_queue *queue, struct job *job)
{
	job->next = NULL;
	pthread_mutex_lock(&queue->lock);
	*queue->last = job;
	queue->last = &job->next;
	pthread_cond_signal(&queue->changed);
	pthread_mutex_unlock(&queue->lock);
}

struct job *
job_take(struct job_queue *queue)
{
	struct job *job = NULL;

	pthread_mutex_lock(&queue->lock);
	while (queue->first == NULL && !queue->closed)
		pthread_cond_wait(&queue->changed, &queue->lock);
	if (queue->first != NULL) {
		job = queue->first;
		queue->first = job->next;
		if (queue->first == NULL)
			queue->last = &queue->first;
		job->next = NULL;
		queue->running = job;
	}
	pthread_mutex_unlock(&queue->lock);
	return job;
}

void
job_finished(struct job_queue *queue)
{
	pthread_mutex_lock(&queue->lock);
	queue->running = NULL;
	pthread_mutex_unlock(&queue->lock);
}

void
job_queue_close(struct job_queue *queue)
{
	pthread_mutex_lock(&queue->lock);
	queue->closed = true;
	pthread_cond_broadcast(&queue->changed);
	pthread_mutex_unlock(&queue->lock);
}

static bool
concerns(const struct job *job, enum topic topic)
{
	return topic == N_TOPICS || job->topic == topic;
}

struct job *
job_drop(struct job_queue *queue, enum topic topic, void (*stop)(void *user, struct job *job),
    void *user)
{
	struct job *dropped = NULL, **end = &dropped;

	pthread_mutex_lock(&queue->lock);
	for (struct job **at = &queue->first; *at != NULL;) {
		struct job *job = *at;

		if (concerns(job, topic)) {
			*at = job->next;
			job->next = NULL;
			*end = job;
			end = &job->next;
		} else {
			at = &job->next;
		}
	}
	queue->last = &queue->first;
	while (*queue->last != NULL)
		queue->last = &(*queue->last)->next;
	if (queue->running != NULL && concerns(queue->running, topic)) {
		atomic_store(&queue->running->cancelled, true);
		if (stop != NULL)
			stop(user, queue->running);
	}
	pthread_mutex_unlock(&queue->lock);
	return dropped;
}
