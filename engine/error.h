/*
 * engine/error.h - how the engine's rooms build and pass on errors.
 *
 * An error is built where it is seen, names the thing and the way out, and gains context on
 * the way up: return t2l_fail(err, T2L_EFORMAT, "%s: ...", path); then
 * return t2l_context(err, "merge: cannot open '%s'", name);
 * ERR may be NULL: the status alone is returned.
 */
#ifndef ENGINE_ERROR_H
#define ENGINE_ERROR_H

#include "engine/t2l.h"

/* Sets the message and returns STATUS. */
enum t2l_status t2l_fail(struct t2l_error *err, enum t2l_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts "context: " before the message that is already there and returns the status it has. */
enum t2l_status t2l_context(struct t2l_error *err, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The same for a failed system call: status from errno, strerror() behind the message. */
enum t2l_status t2l_fail_errno(struct t2l_error *err, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
