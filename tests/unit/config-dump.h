/*
 * config-dump.h - a configuration tree as one line of text, for tests to compare.
 *
 * As JSON, but floats always show a point or an exponent and dates stand between '<' and '>'.
 */
#ifndef TESTS_UNIT_CONFIG_DUMP_H
#define TESTS_UNIT_CONFIG_DUMP_H

#include <string.h>

#include "base/buffer.h"
#include "base/config-value.h"
#include "base/number.h"

static inline void
config_dump(const struct config_value *value, struct buffer *out)
{
	char text[32];

	switch (value->kind) {
	case CONFIG_NULL:
		buffer_text(out, "null");
		break;
	case CONFIG_BOOL:
		buffer_text(out, value->boolean ? "true" : "false");
		break;
	case CONFIG_INTEGER:
		buffer_printf(out, "%lld", (long long)value->integer);
		break;
	case CONFIG_NUMBER:
		number_text(value->number, text, sizeof text);
		buffer_printf(out, "%s%s", text, strpbrk(text, ".en") == NULL ? ".0" : "");
		break;
	case CONFIG_DATE:
		buffer_printf(out, "<%s>", value->string);
		break;
	case CONFIG_STRING:
		buffer_json_string(out, value->string, strlen(value->string));
		break;
	case CONFIG_LIST:
	case CONFIG_TABLE:
		buffer_char(out, value->kind == CONFIG_LIST ? '[' : '{');
		for (size_t i = 0; i < value->n_children; i++) {
			const struct config_value *child = value->children[i];

			if (i > 0)
				buffer_char(out, ',');
			if (child->key != NULL) {
				buffer_json_string(out, child->key, strlen(child->key));
				buffer_char(out, ':');
			}
			config_dump(child, out);
		}
		buffer_char(out, value->kind == CONFIG_LIST ? ']' : '}');
		break;
	}
}

#endif
