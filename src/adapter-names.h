/*
 * src/adapter-names.h - what a person means by names, paths and patterns of adapters.
 *
 * A pattern (*, ?, [...]) stands for the files that it matches, else for the catalog's names. What
 * stands behind a colon ("es-*:0.5") goes with each.
 */
#ifndef SRC_ADAPTER_NAMES_H
#define SRC_ADAPTER_NAMES_H

#include "src/context.h"

/* Calls EACH with every name or path that TEXT stands for, one after the other, until it returns
 * false. False: it did, or nothing matches (told by context_fail()). */
bool adapter_names_each(struct context *ctx, const char *text,
    bool (*each)(void *user, const char *name), void *user);

#endif
