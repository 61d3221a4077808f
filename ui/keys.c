/* keys.c - names of keys, and looking keys up in tables of bindings. */

#include "config.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/utf8.h"
#include "ui/draw.h"
#include "ui/keys.h"

static const struct {
	key_code key;
	const char *name;
} names[] = {
	/* The first name of a key is the one that is shown. */
	{ K_TAB, "Tab" },
	{ K_ENTER, "Enter" },
	{ K_ENTER, "Return" },
	{ K_ESC, "Esc" },
	{ K_ESC, "Escape" },
	{ K_BACKSPACE, "Backspace" },
	{ ' ', "Space" },
	{ K_UP, "Up" },
	{ K_DOWN, "Down" },
	{ K_LEFT, "Left" },
	{ K_RIGHT, "Right" },
	{ K_HOME, "Home" },
	{ K_END, "End" },
	{ K_PAGE_UP, "PgUp" },
	{ K_PAGE_UP, "PageUp" },
	{ K_PAGE_DOWN, "PgDn" },
	{ K_PAGE_DOWN, "PageDown" },
	{ K_DELETE, "Del" },
	{ K_DELETE, "Delete" },
	{ K_INSERT, "Ins" },
	{ K_BACK_TAB, "S-Tab" },
	{ K_WORD_LEFT, "C-Left" },
	{ K_WORD_RIGHT, "C-Right" },
	{ K_ALT_ENTER, "M-Enter" },
	{ K_F1, "F1" },
};
#define N_NAMES (sizeof names / sizeof names[0])

int
binding_find(const struct binding *bindings, key_code key)
{
	for (; key != K_NONE && bindings->key != K_NONE; bindings++)
		if (bindings->key == key)
			return bindings->request;
	return 0;
}

char *
key_label(key_code key, char *out, size_t size)
{
	char character[UTF8_MAX_BYTES];

	for (size_t i = 0; i < N_NAMES; i++)
		if (names[i].key == key) {
			snprintf(out, size, "%s", names[i].name);
			return out;
		}
	if (key < ' ')
		snprintf(out, size, "^%c", (int)key + '@');
	else
		snprintf(out, size, "%.*s", (int)utf8_encode(key, character), character);
	return out;
}

key_code
key_parse(const char *name)
{
	size_t n = strlen(name);
	uint32_t codepoint;
	bool valid;

	for (size_t i = 0; i < N_NAMES; i++)
		if (strcasecmp(names[i].name, name) == 0)
			return names[i].key;
	if ((n == 2 && name[0] == '^') || (n == 3 && strncasecmp(name, "C-", 2) == 0))
		return CONTROL(name[n - 1]);
	if (n > 0 && utf8_decode(name, n, &codepoint, &valid) == n && valid && codepoint >= ' ')
		return codepoint;
	return K_NONE;
}

bool
key_is_text(key_code key)
{
	return key >= ' ' && key < K_FIRST && !(key >= 127 && key < 160);
}
