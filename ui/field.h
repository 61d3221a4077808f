/*
 * ui/field.h - a prompt line on the screen.
 */
#ifndef UI_FIELD_H
#define UI_FIELD_H

#include "ui/draw.h"
#include "ui/prompt-line.h"

/* In the first row of AREA; HINT is shown dim while there is no text; the terminal's cursor goes
 * there when FOCUSED. */
void field_draw(struct prompt_line *line, struct area area, const char *hint, bool focused);

#endif
