/*
 * ui/theme.h - what each role looks like on this terminal.
 *
 * Dark and light themes use 256 colours where the terminal has them, else 8; "mono", NO_COLOR and
 * terminals without colour get bold, dim, underline and reverse only, which every screen must be
 * readable with.
 */
#ifndef UI_THEME_H
#define UI_THEME_H

#include <stdbool.h>

#include "ui/draw.h"

/* After ncurses has started. NULL or an unknown NAME: "dark"; false when it was unknown. */
bool theme_start(const char *name);
/* NULL-terminated. */
extern const char *const theme_names[];
/* "dim", "border", ...: as t2lrc calls it. */
const char *theme_role_name(enum role role);
/* Another colour than the theme's for a role; numbers of the palette, -1 the terminal's own.
 * Nothing happens without colour. */
void theme_color(enum role role, short foreground, short background);
/* ncurses attributes (with the colour pair) of a role. */
unsigned long theme_attributes(enum role role);

#endif
