/* options.c - parses a command line against a command's table of options. */

#include "config.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/edit-distance.h"
#include "src/command.h"
#include "src/options.h"
#include "src/settings.h"

#define MAX_NUMBERS 256

struct option_value {
	const struct option_spec *spec;
	char **texts;
	size_t n;
	bool given; /* on the line */
	double *numbers;
	size_t n_numbers;
};

struct options {
	struct option_value *values;
	size_t n_values;
	char **arguments;
	size_t n_arguments;
};

/* ---- looking up ---- */

static struct option_value *
find_long(const struct options *options, const char *name, size_t n)
{
	for (size_t i = 0; i < options->n_values; i++) {
		const char *own = options->values[i].spec->name;

		if (strlen(own) == n && memcmp(own, name, n) == 0)
			return &options->values[i];
	}
	return NULL;
}

static struct option_value *
find_letter(const struct options *options, char letter)
{
	for (size_t i = 0; i < options->n_values; i++)
		if (options->values[i].spec->letter == letter)
			return &options->values[i];
	return NULL;
}

static const struct option_value *
value_of(const struct options *options, const char *name)
{
	const struct option_value *value = find_long(options, name, strlen(name));

	assert(value != NULL);
	return value;
}

static void
unknown_option(struct context *ctx, const struct options *options, const char *word, size_t n)
{
	char written[EDIT_DISTANCE_MAX_BYTES + 2];
	struct nearest meant;

	snprintf(written, sizeof written, "%.*s", (int)n, word);
	meant = nearest_to(written);
	for (size_t i = 0; i < options->n_values; i++)
		nearest_try(&meant, options->values[i].spec->name);
	context_usage(ctx, "unknown option --%.*s%s%s%s", (int)n, word,
	    meant.best != NULL ? "; did you mean --" : "", meant.best != NULL ? meant.best : "",
	    meant.best != NULL ? "?" : "");
}

/* ---- values ---- */

static bool
add_text(struct option_value *value, const char *text)
{
	char **texts = realloc(value->texts, (value->n + 1) * sizeof *texts);
	char *copy = strdup(text);

	if (texts != NULL)
		value->texts = texts;
	if (texts == NULL || copy == NULL) {
		free(copy);
		return false;
	}
	value->texts[value->n++] = copy;
	return true;
}

static bool
in_range(const struct option_spec *spec, double number)
{
	return (spec->min == 0 && spec->max == 0) || (number >= spec->min && number <= spec->max);
}

/* What is wrong with TEXT as a value, or NULL. BUFFER holds the words. */
static const char *
fault(struct option_value *value, const char *text, char *buffer, size_t size)
{
	const struct option_spec *spec = value->spec;
	char *end;
	double number;

	switch (spec->type) {
	case OPTION_INTEGER:
	case OPTION_NUMBER:
		errno = 0;
		number = spec->type == OPTION_INTEGER ? (double)strtoll(text, &end, 10)
						      : strtod(text, &end);
		if (end == text || *end != '\0' || errno != 0 || number != number) {
			snprintf(buffer, size, "'%s' is no %s", text,
			    spec->type == OPTION_INTEGER ? "whole number" : "number");
			return buffer;
		}
		if (!in_range(spec, number)) {
			snprintf(buffer, size, "%s is not in %g .. %g", text, spec->min, spec->max);
			return buffer;
		}
		return NULL;
	case OPTION_CHOICE:
		for (size_t i = 0; spec->choices[i] != NULL; i++)
			if (strcmp(spec->choices[i], text) == 0)
				return NULL;
		snprintf(buffer, size, "'%s' is none of:", text);
		for (size_t i = 0; spec->choices[i] != NULL; i++) {
			size_t used = strlen(buffer);

			snprintf(buffer + used, size - used, " %s", spec->choices[i]);
		}
		return buffer;
	case OPTION_NUMBERS:
		for (const char *at = text; *at != '\0';) {
			double *numbers;

			number = strtod(at, &end);
			numbers = realloc(value->numbers, (value->n_numbers + 1) * sizeof *numbers);
			if (end == at || (*end != ',' && *end != '\0') || numbers == NULL ||
			    value->n_numbers >= MAX_NUMBERS || !in_range(spec, number)) {
				value->numbers = numbers ? numbers : value->numbers;
				snprintf(
				    buffer, size, "'%s' is no list of numbers like 0.5,0.5", text);
				return buffer;
			}
			value->numbers = numbers;
			numbers[value->n_numbers++] = number;
			at = end + (*end == ',');
		}
		return NULL;
	default:
		return NULL;
	}
}

/* Takes one value for an option; tells what is wrong and returns false. */
static bool
take(struct context *ctx, struct option_value *value, const char *text, const char *from)
{
	char words[1024];
	const char *wrong = fault(value, text, words, sizeof words);

	if (wrong != NULL) {
		context_usage(ctx, "--%s%s: %s", value->spec->name, from, wrong);
		return false;
	}
	if (!(value->spec->flags & MANY) && value->n > 0) {
		free(value->texts[0]);
		value->n = 0;
	}
	if (!add_text(value, text)) {
		context_fail(ctx, "out of memory");
		return false;
	}
	return true;
}

/* ---- the line ---- */

struct line {
	int argc, at;
	const char *const *argv;
	bool only_words; /* after "--" */
};

static bool
is_option(const struct line *line, const char *word)
{
	return !line->only_words && word[0] == '-' && word[1] != '\0' &&
	       !(word[1] >= '0' && word[1] <= '9') && word[1] != '.';
}

/* The words behind a MANY option up to the next option: --adapters a b c. */
static bool
take_more(struct context *ctx, struct line *line, struct option_value *value)
{
	while (line->at < line->argc && !is_option(line, line->argv[line->at]))
		if (!take(ctx, value, line->argv[line->at++], ""))
			return false;
	return true;
}

static bool
take_option(
    struct context *ctx, struct line *line, struct option_value *value, const char *attached)
{
	value->given = true;
	if (attached != NULL)
		return take(ctx, value, attached, "");
	if (line->at >= line->argc) {
		context_usage(ctx, "--%s wants a value", value->spec->name);
		return false;
	}
	if (!take(ctx, value, line->argv[line->at++], ""))
		return false;
	/* "--adapter a --adapter b" and "--adapters a b" are both usual: only the plural takes more
	 * words. */
	if ((value->spec->flags & MANY) && value->spec->name[strlen(value->spec->name) - 1] == 's')
		return take_more(ctx, line, value);
	return true;
}

static bool
parse_long(struct context *ctx, struct options *options, struct line *line, const char *word)
{
	const char *equals = strchr(word, '=');
	size_t n = equals ? (size_t)(equals - word) : strlen(word);
	struct option_value *value = find_long(options, word, n);
	bool off = value == NULL && n > 3 && strncmp(word, "no-", 3) == 0;

	if (off)
		value = find_long(options, word + 3, n - 3);
	if (value == NULL || (off && value->spec->type != OPTION_FLAG)) {
		unknown_option(ctx, options, word, n);
		return false;
	}
	if (value->spec->type != OPTION_FLAG)
		return take_option(ctx, line, value, equals ? equals + 1 : NULL);
	if (equals != NULL) {
		context_usage(ctx, "--%.*s takes no value", (int)n, word);
		return false;
	}
	value->given = true;
	return take(ctx, value, off ? "false" : "true", "");
}

static bool
parse_letter(struct context *ctx, struct options *options, struct line *line, const char *word)
{
	struct option_value *value = find_letter(options, word[0]);

	if (value == NULL) {
		context_usage(ctx, "unknown option -%c", word[0]);
		return false;
	}
	if (value->spec->type != OPTION_FLAG)
		return take_option(ctx, line, value, word[1] ? word + 1 : NULL);
	value->given = true;
	return take(ctx, value, "true", "") &&
	       (word[1] == '\0' || parse_letter(ctx, options, line, word + 1));
}

static bool
parse_word(struct context *ctx, struct options *options, struct line *line)
{
	const char *word = line->argv[line->at++];

	if (!line->only_words && strcmp(word, "--") == 0)
		return line->only_words = true;
	if (is_option(line, word))
		return word[1] == '-' ? parse_long(ctx, options, line, word + 2)
				      : parse_letter(ctx, options, line, word + 1);

	char **arguments =
	    realloc(options->arguments, (options->n_arguments + 1) * sizeof *arguments);

	if (arguments != NULL)
		options->arguments = arguments;
	if (arguments == NULL || (arguments[options->n_arguments] = strdup(word)) == NULL) {
		context_fail(ctx, "out of memory");
		return false;
	}
	options->n_arguments++;
	return true;
}

/* Two options that say different things: one of them would be ignored. */
static bool
nothing_excluded(struct context *ctx, const struct options *options)
{
	for (size_t i = 0; i < options->n_values; i++) {
		const struct option_value *value = &options->values[i];
		const char *name = value->given ? value->spec->excludes : NULL;

		for (size_t n; name != NULL && (n = strcspn(name, " ")) > 0;
		     name += n + strspn(name + n, " ")) {
			const struct option_value *other = find_long(options, name, n);

			assert(other != NULL);
			if (!other->given)
				continue;
			context_usage(ctx, "--%s and --%s do not go together", value->spec->name,
			    other->spec->name);
			return false;
		}
	}
	return true;
}

/* Values that are not on the line: from the configuration, else the fallback. */
static bool
fill_in(struct context *ctx, struct options *options)
{
	for (size_t i = 0; i < options->n_values; i++) {
		struct option_value *value = &options->values[i];
		const char *origin = NULL, *text = NULL;
		char from[512] = "";

		if (value->n > 0)
			continue;
		if (value->spec->setting != NULL && ctx->settings != NULL)
			text = setting_get(ctx->settings, value->spec->setting, &origin);
		if (text != NULL)
			snprintf(from, sizeof from, " (%s = %s, from %s)", value->spec->setting,
			    text, origin);
		else
			text = value->spec->fallback;
		if (text != NULL && !take(ctx, value, text, from))
			return false;
		if (text == NULL && (value->spec->flags & REQUIRED)) {
			context_usage(
			    ctx, "--%s is wanted: %s", value->spec->name, value->spec->help);
			return false;
		}
	}
	return true;
}

static bool
count_fits(struct context *ctx, const struct command *command, const struct options *options)
{
	const size_t n = options->n_arguments;

	if (n >= (size_t)command->min_arguments &&
	    (command->max_arguments < 0 || n <= (size_t)command->max_arguments))
		return true;
	if (n < (size_t)command->min_arguments)
		context_usage(ctx, "%s is wanted", command->arguments);
	else
		context_usage(ctx, "'%s' is one word too many%s%s",
		    options->arguments[command->max_arguments],
		    command->arguments ? ": usage is " : "; only options are taken",
		    command->arguments ? command->arguments : "");
	return false;
}

static bool
make_values(struct options *options, const struct option_spec *table)
{
	for (size_t i = 0; table != NULL && table[i].name != NULL; i++) {
		struct option_value *values =
		    realloc(options->values, (options->n_values + 1) * sizeof *values);

		if (values == NULL)
			return false;
		options->values = values;
		values[options->n_values++] = (struct option_value){ .spec = &table[i] };
	}
	return true;
}

struct options *
options_parse(struct context *ctx, const struct command *command, int argc, const char *const *argv)
{
	struct options *options = calloc(1, sizeof *options);
	struct line line = { .argc = argc, .argv = argv };

	if (options == NULL || !make_values(options, command->options) ||
	    !make_values(options, common_options)) {
		context_fail(ctx, "out of memory");
		options_free(options);
		return NULL;
	}
	while (line.at < argc) {
		if (!parse_word(ctx, options, &line)) {
			options_free(options);
			return NULL;
		}
	}
	/* --help must work on an otherwise unfinished line. */
	if (!option_flag(options, "help") &&
	    (!count_fits(ctx, command, options) || !nothing_excluded(ctx, options) ||
		!fill_in(ctx, options))) {
		options_free(options);
		return NULL;
	}
	return options;
}

void
options_free(struct options *options)
{
	if (options == NULL)
		return;
	for (size_t i = 0; i < options->n_values; i++) {
		for (size_t j = 0; j < options->values[i].n; j++)
			free(options->values[i].texts[j]);
		free(options->values[i].texts);
		free(options->values[i].numbers);
	}
	for (size_t i = 0; i < options->n_arguments; i++)
		free(options->arguments[i]);
	free(options->arguments);
	free(options->values);
	free(options);
}

/* ---- asking ---- */

bool
option_flag(const struct options *options, const char *name)
{
	const struct option_value *value = value_of(options, name);

	return value->n > 0 && strcmp(value->texts[0], "true") == 0;
}

const char *
option_text(const struct options *options, const char *name)
{
	const struct option_value *value = value_of(options, name);

	return value->n > 0 ? value->texts[value->n - 1] : NULL;
}

long long
option_integer(const struct options *options, const char *name)
{
	const char *text = option_text(options, name);

	return text ? strtoll(text, NULL, 10) : 0;
}

double
option_number(const struct options *options, const char *name)
{
	const char *text = option_text(options, name);

	return text ? strtod(text, NULL) : 0;
}

size_t
option_count(const struct options *options, const char *name)
{
	return value_of(options, name)->n;
}

const char *
option_nth(const struct options *options, const char *name, size_t i)
{
	const struct option_value *value = value_of(options, name);

	return i < value->n ? value->texts[i] : NULL;
}

const double *
option_numbers(const struct options *options, const char *name, size_t *n)
{
	const struct option_value *value = value_of(options, name);

	*n = value->n_numbers;
	return value->numbers;
}

bool
option_given(const struct options *options, const char *name)
{
	return value_of(options, name)->given;
}

size_t
option_n_arguments(const struct options *options)
{
	return options->n_arguments;
}

const char *
option_argument(const struct options *options, size_t i)
{
	return i < options->n_arguments ? options->arguments[i] : NULL;
}
