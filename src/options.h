/*
 * src/options.h - the options of one command line, checked against the command's table.
 */
#ifndef SRC_OPTIONS_H
#define SRC_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

struct command;
struct context;
struct options;

/* Parses ARGV (without the command's name). NULL after telling what is wrong and how it should be
 * (exit status 2).
 * "--name value", "--name=value", "-n value", "-nvalue"; "--" ends options. Values not on the line
 * come from the configuration (option_spec.setting), then from fallback. */
struct options *options_parse(
    struct context *ctx, const struct command *command, int argc, const char *const *argv);
void options_free(struct options *options);

/* NAME must be in the command's table (asserted). Strings live as long as the options. */
bool option_flag(const struct options *options, const char *name);
const char *option_text(
    const struct options *options, const char *name); /* NULL: not given, no fallback */
long long option_integer(const struct options *options, const char *name);
double option_number(const struct options *options, const char *name);
size_t option_count(const struct options *options, const char *name); /* of a MANY option */
const char *option_nth(const struct options *options, const char *name, size_t i);
/* Numbers of an OPTION_NUMBERS ("0.5,0.5"); *n of them. */
const double *option_numbers(const struct options *options, const char *name, size_t *n);
bool option_given(const struct options *options, const char *name); /* on the line itself */

size_t option_n_arguments(const struct options *options);
const char *option_argument(const struct options *options, size_t i);

#endif
