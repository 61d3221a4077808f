/*
 * src/batch-workers.h - the lines of a batch file in processes of their own, several at a time.
 */
#ifndef SRC_BATCH_WORKERS_H
#define SRC_BATCH_WORKERS_H

#include <stddef.h>

#include "src/context.h"

struct batch_workers;

/* Up to N processes at once; NULL after telling. Unless the settings say otherwise they share the
 * cores. */
struct batch_workers *batch_workers_new(struct context *ctx, size_t n);
void batch_workers_free(struct batch_workers *workers);

/* Starts t2l with WORDS for line NUMBER; waits for a free worker first. False after telling, or at
 * an interrupt. */
bool batch_workers_start(struct batch_workers *workers, const char *const *words, size_t number);

/* The next line in their order: waits for it when WAIT, prints what it wrote, and gives its number
 * and exit status. False: none is left, or (without WAIT) the next one still runs. */
bool batch_workers_next(struct batch_workers *workers, bool wait, size_t *number, int *status);

#endif
