/*
 * ui/rc.h - t2lrc: keys and colours of one's own.
 *
 * One line each, '#' starts a comment:
 *   bind VIEW KEY NAME     KEY does what the view's table calls NAME (compare: add, drop, ...)
 *   bind any KEY :LINE     KEY runs a command line, in every view
 *   set theme NAME         dark, light, mono
 *   color ROLE FOREGROUND [BACKGROUND]   numbers of the terminal's palette; -1 is its own colour
 * Keys of text fields are not bound: what is typed there is text.
 */
#ifndef UI_RC_H
#define UI_RC_H

#include <stdbool.h>
#include <stddef.h>

#include "ui/view.h"

struct rc_binding {
	const struct view_ops *view; /* NULL: any */
	key_code key;
	key_code stands_for; /* the view's own key; K_NONE: LINE is run */
	char *line;
};
struct rc {
	struct rc_binding *bindings;
	size_t n_bindings;
	char *theme;		  /* NULL: not set */
	short colors[N_ROLES][2]; /* foreground, background; -2: the theme's */
};

/* Reads PATH; that it is absent is fine. False with MESSAGE ("t2lrc:3: ...") at the first line that
 * cannot be followed; the lines before it hold. VIEWS is NULL-terminated. */
bool rc_read(struct rc *rc, const char *path, const struct view_ops *const *views, char *message,
    size_t size);
void rc_free(struct rc *rc);
/* The binding of KEY in VIEW; NULL: none. */
const struct rc_binding *rc_find(const struct rc *rc, const struct view_ops *view, key_code key);
/* Writes what RC holds. 0, or -1 with errno. */
int rc_save(const struct rc *rc, const char *path);

#endif
