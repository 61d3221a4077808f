/*
 * src/help.h - help texts, man page and shell completions, all made from the table of commands.
 */
#ifndef SRC_HELP_H
#define SRC_HELP_H

#include <stdio.h>

#include "src/command.h"

/* "t2l --help": the commands with their summaries. */
void help_all(struct context *ctx);
/* NAME: the full one ("catalog show"). */
void help_command(struct context *ctx, const struct command *command, const char *name);
/* The same as a JSON object; of a command with commands, one for each of these. */
void help_json(struct context *ctx, const struct command *command, const char *name);

/* t2l(1) in mdoc, and completions for bash, zsh and fish. */
void help_man_page(FILE *out);
bool help_completion(FILE *out, const char *shell);

#endif
