/* field.c - draws a prompt line with marks where it goes on out of sight. */

#include "config.h"

#include "base/visible.h"
#include "ui/field.h"

void
field_draw(struct prompt_line *line, struct area area, const char *hint, bool focused)
{
	struct buffer text = { 0 };
	struct line_view view;

	/* A column at either end is kept for the marks of what is out of sight. */
	struct area middle = { area.row, area.column + 1, area.rows, area.columns - 2 };

	if (middle.columns < 1)
		return;
	view = prompt_line_view(line, middle.columns, draw_ascii() ? VISIBLE_ASCII : 0, &text);
	if (line->n == 0 && hint != NULL)
		draw_short(middle, 0, 0, middle.columns, ROLE_DIM, hint);
	else
		draw_text(middle, 0, 0, ROLE_TEXT, buffer_string(&text), text.n);
	if (view.more_left)
		draw_string(area, 0, 0, ROLE_DIM, "<");
	if (view.more_right)
		draw_string(area, 0, area.columns - 1, ROLE_DIM, ">");
	if (focused)
		draw_cursor(middle, 0, view.cursor_column);
	buffer_free(&text);
}
