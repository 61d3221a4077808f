/*
 * ui/command-words.h - words of command lines: quoting them, and completing paths.
 */
#ifndef UI_COMMAND_WORDS_H
#define UI_COMMAND_WORDS_H

#include <stdint.h>

#include "base/buffer.h"

/* A blank and TEXT as one word of a command line, whatever is in it. */
void add_word(struct buffer *line, const char *text);
/* An adapter by id, with its weight unless that is 1: a file of its name may lie in the current
 * folder. */
void add_adapter_word(struct buffer *line, int64_t id, double weight);
/* For workbench_ask(): files that begin with TEXT, folders with a slash behind. */
char **complete_path(void *user, const char *text);

#endif
