/*
 * training/collective.h - the processes of an MPI job that train together.
 *
 * Open MPI's library is opened when a training asks for it (dlopen: no build needs it, and one
 * binary runs with or without). All processes must make the same calls in the same order. A process
 * that dies ends the job: mpirun kills the others.
 */
#ifndef ENGINE_TRAINING_COLLECTIVE_H
#define ENGINE_TRAINING_COLLECTIVE_H

#include "engine/t2l.h"

struct collective;

/* T2L_EUNSUPPORTED: no Open MPI library here. Once in the life of a process. */
enum t2l_status collective_open(struct collective **collective, struct t2l_error *err);
void collective_close(struct collective *collective); /* NULL is fine; waits for the others */

int collective_rank(const struct collective *collective); /* NULL: 0 of 1 */
int collective_size(const struct collective *collective);

/* Sums over all processes, in place; the same bits everywhere. */
enum t2l_status collective_sum_floats(
    struct collective *collective, float *values, size_t n, struct t2l_error *err);
enum t2l_status collective_sum(
    struct collective *collective, double *values, size_t n, struct t2l_error *err);

#endif
