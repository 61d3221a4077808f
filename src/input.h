/*
 * src/input.h - a whole file, or what comes on standard input, as text.
 */
#ifndef SRC_INPUT_H
#define SRC_INPUT_H

#include <stddef.h>

#include "src/context.h"

/* All of PATH ("-": standard input), at most LIMIT bytes, with a NUL behind; to be freed. N may be
 * NULL. NULL after telling why; an interrupt while waiting for input is told by the exit status
 * alone. */
char *read_input(struct context *ctx, const char *path, size_t limit, size_t *n);

#endif
