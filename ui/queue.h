/*
 * ui/queue.h - the two queues between the screen's thread and a worker: jobs there, messages back.
 *
 * Any thread may call these. Whoever takes something out of a queue owns it.
 */
#ifndef UI_QUEUE_H
#define UI_QUEUE_H

#include <pthread.h>

#include "ui/view.h"

/* ---- messages ---- */

struct message_queue {
	pthread_mutex_t lock;
	struct message *first, **last;
	int wake_fd; /* an eventfd, written to when a message comes; -1: none */
};
void message_queue_init(struct message_queue *queue, int wake_fd);
void message_queue_free(struct message_queue *queue); /* with what is in it */
void message_put(struct message_queue *queue, struct message *message);
/* NULL: empty. Does not wait. */
struct message *message_take(struct message_queue *queue);
void message_free(struct message *message);

/* ---- jobs ---- */

struct job_queue {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct job *first, **last;
	struct job *running;
	bool closed;
};
void job_queue_init(struct job_queue *queue);
void job_queue_free(struct job_queue *queue); /* must be empty */
void job_put(struct job_queue *queue, struct job *job);
/* Waits for a job, which is then queue->running; NULL: the queue was closed, and is empty. */
struct job *job_take(struct job_queue *queue);
void job_finished(struct job_queue *queue);
void job_queue_close(struct job_queue *queue);
/* Takes out what waits of TOPIC (all with N_TOPICS), as a list; marks what runs of it as cancelled
 * and calls STOP (may be NULL) with it while it cannot end. */
struct job *job_drop(struct job_queue *queue, enum topic topic,
    void (*stop)(void *user, struct job *job), void *user);

#endif
