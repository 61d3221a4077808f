/*
 * src/nearest-task.h - the task of a suite that a sentence means.
 */
#ifndef SRC_NEAREST_TASK_H
#define SRC_NEAREST_TASK_H

#include "src/workplace.h"

/* The task of SUITE one of whose descriptions the encoder puts nearest to TEXT, and the cosine. NULL
 * after telling. */
const struct t2l_suite_task *nearest_task(
    struct context *ctx, const struct t2l_suite *suite, const char *text, double *cosine);

#endif
