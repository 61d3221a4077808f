/*
 * ui/worker.h - a thread that runs jobs one after the other; what its jobs need of a session or of
 * the catalog is its own.
 */
#ifndef UI_WORKER_H
#define UI_WORKER_H

#include "ui/queue.h"

/* MESSAGES is where jobs post. NULL: no memory or no thread. */
struct worker *worker_start(const struct workbench_host *host, struct message_queue *messages);
/* Cancels everything, waits for the thread and frees it. Nothing of a job is left running. */
void worker_stop(struct worker *worker);
/* The same, but what waits is done first. */
void worker_finish(struct worker *worker);
void worker_put(struct worker *worker, struct job *job);
/* Drops and cancels; what was dropped ends with MESSAGE_DONE too. */
void worker_cancel(struct worker *worker, enum topic topic);

#endif
