/*
 * fuzz-config.h - reads a configuration tree by every getter: the second half of the TOML and
 * YAML targets.
 */
#ifndef TESTS_FUZZ_FUZZ_CONFIG_H
#define TESTS_FUZZ_FUZZ_CONFIG_H

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/config-value.h"
#include "base/utf8.h"
#include "tests/fuzz/fuzz.h"

/* Visits at most *BUDGET values: aliases can make a small text a large tree. */
static inline void
fuzz_config_value(const struct config_value *value, int *budget)
{
	static const char *const names[] = { "a", "b", NULL };
	const struct config_value *parent = value->parent, *child = NULL;
	struct config_error error;
	char path[64];
	int64_t integer;
	double number;
	bool boolean;
	int choice;
	const char *text;

	config_path(value, path, sizeof path);
	if (value->string != NULL && !utf8_valid(value->string, strlen(value->string)))
		abort();
	if (value->key != NULL) {
		if (config_get(parent, value->key) != value)
			abort(); /* a key must be found where it is */
		config_integer(parent, value->key, -5, 5, &integer, &error);
		config_number(parent, value->key, -INFINITY, INFINITY, &number, &error);
		config_bool(parent, value->key, &boolean, &error);
		config_string(parent, value->key, &text, &error);
		config_choice(parent, value->key, names, &choice, &error);
		config_table(parent, value->key, &child, &error);
		config_list(parent, value->key, CONFIG_NUMBER, &child, &error);
	}
	config_only(value, names, &error);
	for (size_t i = 0; i < value->n_children && (*budget)-- > 0; i++)
		fuzz_config_value(value->children[i], budget);
}

#endif
