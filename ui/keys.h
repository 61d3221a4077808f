/*
 * ui/keys.h - keys as numbers, their names, and the tables that bind them.
 *
 * A key is a Unicode character, a control character (CONTROL('L')) or one of K_UP ...; help, the
 * hint line and t2lrc are made from the tables that bind keys, so they cannot drift apart.
 */
#ifndef UI_KEYS_H
#define UI_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint32_t key_code;

#define CONTROL(letter) ((key_code)((letter)&0x1f))

enum {
	K_NONE = 0,
	K_TAB = 9,
	K_ENTER = 13, /* line feed and the keypad's Enter too */
	K_ESC = 27,
	K_BACKSPACE = 127,  /* ^H too */
	K_FIRST = 0x110000, /* beyond Unicode */
	K_UP,
	K_DOWN,
	K_LEFT,
	K_RIGHT,
	K_HOME,
	K_END,
	K_PAGE_UP,
	K_PAGE_DOWN,
	K_DELETE,
	K_INSERT,
	K_BACK_TAB,
	K_WORD_LEFT,  /* Ctrl-Left, Alt-b */
	K_WORD_RIGHT, /* Ctrl-Right, Alt-f */
	K_ALT_ENTER,
	K_F1,
	K_PASTE_START, /* bracketed paste: what follows is text, not commands */
	K_PASTE_END,
	K_CLICK /* terminal_click() says where */
};

/* REQUEST is a number of the view's own enum; > 0. */
struct binding {
	key_code key; /* K_NONE ends a table */
	int request;
	const char *name; /* as t2lrc calls it; NULL: not for t2lrc */
	const char *help; /* "add a lane" */
	const char *hint; /* the short form for the hint line; NULL: not there */
};

/* The request bound to KEY, 0 for none. */
int binding_find(const struct binding *bindings, key_code key);

/* "Enter", "Esc", "^L", "Space", "a", "↑" -> into OUT[SIZE]; OUT is returned. */
char *key_label(key_code key, char *out, size_t size);
/* The other way; also "Up", "C-l", "PageDown". K_NONE when NAME is no key. */
key_code key_parse(const char *name);
/* A printable character, to be put into a text field. */
bool key_is_text(key_code key);

#endif
