/*
 * hypernet/task-text.h - a task description as the text encoder gets it.
 *
 * White space around it goes; a text that ends in a letter gets a full stop (the reference does so
 * before it embeds).
 */
#ifndef ENGINE_HYPERNET_TASK_TEXT_H
#define ENGINE_HYPERNET_TASK_TEXT_H

#include "engine/t2l.h"

/* *OUT is the caller's (free). Errors: T2L_EINVAL for an empty text or one that is not UTF-8. */
enum t2l_status task_text_prepare(const char *task, char **out, struct t2l_error *err);

#endif
