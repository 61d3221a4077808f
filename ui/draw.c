/* draw.c - draws text, boxes and bars into areas of the curses screen. */

#include "config.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <curses.h>

#include "base/buffer.h"
#include "base/utf8.h"
#include "base/visible.h"
#include "base/width.h"
#include "ui/draw.h"
#include "ui/keys.h"
#include "ui/theme.h"

static bool ascii; /* of the running screen, as curses' own state is */

bool
draw_ascii(void)
{
	return ascii;
}

void
draw_set_ascii(bool is_ascii)
{
	ascii = is_ascii;
}

const char *
draw_symbol(enum symbol symbol)
{
	static const char *const symbols[N_SYMBOLS][2] = {
		[SYMBOL_ELLIPSIS] = { "…", "~" },
		[SYMBOL_DOT] = { "●", "*" },
		[SYMBOL_SEPARATOR] = { "·", "-" },
		[SYMBOL_ARROW] = { "▸", ">" },
		[SYMBOL_STAR] = { "★", "*" },
		[SYMBOL_DOWN] = { "▾", "v" },
		[SYMBOL_DASH] = { "–", "-" },
		[SYMBOL_CHECK] = { "✓", "+" },
		[SYMBOL_UP] = { "↑", "^" },
	};

	return symbols[symbol][ascii];
}

/* ---- areas ---- */

static int
between(int value, int low, int high)
{
	return value < low ? low : value > high ? high : value;
}

struct area
area_inside(struct area area)
{
	return (struct area){ area.row + 1, area.column + 1, area.rows > 2 ? area.rows - 2 : 0,
		area.columns > 2 ? area.columns - 2 : 0 };
}

struct area
area_top(struct area *rest, int n)
{
	struct area cut = *rest;

	cut.rows = between(n, 0, rest->rows);
	rest->row += cut.rows;
	rest->rows -= cut.rows;
	return cut;
}

struct area
area_bottom(struct area *rest, int n)
{
	struct area cut = *rest;

	cut.rows = between(n, 0, rest->rows);
	rest->rows -= cut.rows;
	cut.row = rest->row + rest->rows;
	return cut;
}

struct area
area_left(struct area *rest, int n)
{
	struct area cut = *rest;

	cut.columns = between(n, 0, rest->columns);
	rest->column += cut.columns;
	rest->columns -= cut.columns;
	return cut;
}

struct area
area_column(struct area area, int i, int n)
{
	int start = area.columns * i / n, end = area.columns * (i + 1) / n;

	return (struct area){ area.row, area.column + start, area.rows, end - start };
}

struct area
area_middle(struct area area, int rows, int columns)
{
	struct area middle = area;

	middle.rows = between(rows, 0, area.rows);
	middle.columns = between(columns, 0, area.columns);
	middle.row += (area.rows - middle.rows) / 2;
	middle.column += (area.columns - middle.columns) / 2;
	return middle;
}

/* ---- text ---- */

static void
look(enum role role)
{
	attrset((attr_t)theme_attributes(role));
}

/* The few characters beyond ASCII that our own texts use, and what stands for them. */
static void
append_ascii(struct buffer *out, const char *text, size_t n_bytes)
{
	static const char *const plain[][2] = { { "·", "-" }, { "…", "~" }, { "●", "*" },
		{ "▸", ">" }, { "★", "*" }, { "▾", "v" }, { "–", "-" }, { "—", "-" }, { "✓", "+" },
		{ "↑", "^" }, { "↓", "v" }, { "←", "<" }, { "→", ">" }, { "×", "x" } };
	size_t done = 0, at = 0;

	while (at < n_bytes) {
		for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++) {
			size_t length = strlen(plain[i][0]);

			if ((unsigned char)text[at] < 0x80 || n_bytes - at < length ||
			    memcmp(text + at, plain[i][0], length) != 0)
				continue;
			visible_append(
			    out, text + done, at - done, VISIBLE_KEEP_TAB | VISIBLE_ASCII);
			buffer_text(out, plain[i][1]);
			done = at + length;
			at = done - 1;
			break;
		}
		at++;
	}
	visible_append(out, text + done, n_bytes - done, VISIBLE_KEEP_TAB | VISIBLE_ASCII);
}

/* TEXT as it may be shown, on one line; tabs become spaces. */
static const char *
shown(struct buffer *out, const char *text, size_t n_bytes)
{
	if (ascii)
		append_ascii(out, text, n_bytes);
	else
		visible_append(out, text, n_bytes, VISIBLE_KEEP_TAB);
	for (size_t i = 0; i < out->n; i++)
		if (out->bytes[i] == '\t')
			out->bytes[i] = ' ';
	return buffer_string(out);
}

/* VISIBLE is safe already. Returns the columns used. */
static int
put(struct area area, int row, int column, enum role role, const char *visible)
{
	int room = area.columns - column;
	size_t n;

	if (row < 0 || row >= area.rows || column < 0 || room <= 0)
		return 0;
	n = text_fit(visible, room);
	look(role);
	mvaddnstr(area.row + row, area.column + column, visible, (int)n);
	attrset(A_NORMAL);
	return visible[n] == '\0' ? text_width(visible) : room;
}

int
draw_text(struct area area, int row, int column, enum role role, const char *text, size_t n_bytes)
{
	struct buffer buffer = { 0 };
	int used = put(area, row, column, role, shown(&buffer, text, n_bytes));

	buffer_free(&buffer);
	return used;
}

int
draw_string(struct area area, int row, int column, enum role role, const char *text)
{
	return draw_text(area, row, column, role, text, strlen(text));
}

int
draw_format(struct area area, int row, int column, enum role role, const char *format, ...)
{
	struct buffer buffer = { 0 };
	va_list args;
	int used;

	va_start(args, format);
	buffer_vprintf(&buffer, format, args);
	va_end(args);
	used = draw_text(area, row, column, role, buffer_string(&buffer), buffer.n);
	buffer_free(&buffer);
	return used;
}

int
draw_short(struct area area, int row, int column, int columns, enum role role, const char *text)
{
	struct buffer buffer = { 0 };
	const char *visible = shown(&buffer, text, strlen(text));
	int used = 0;

	if (columns > area.columns - column)
		columns = area.columns - column;
	if (columns > 0 && text_width(visible) > columns) {
		size_t n = text_fit(visible, columns - 1);

		buffer.bytes[n] = '\0';
		used = put(area, row, column, role, buffer.bytes);
		used += put(area, row, column + used, role, draw_symbol(SYMBOL_ELLIPSIS));
	} else if (columns > 0) {
		used = put(area, row, column, role, visible);
	}
	buffer_free(&buffer);
	return used;
}

/* Names made from tasks begin alike ("translate-english-word-..."): two thirds are kept of the end.
 */
void
draw_cut_name(const char *text, int columns, struct buffer *out)
{
	struct buffer buffer = { 0 };
	const char *visible = shown(&buffer, text, strlen(text)), *end;

	if (text_width(visible) <= columns || columns < 3) {
		buffer_append(out, visible, text_fit(visible, columns));
	} else {
		int head = (columns - 1) / 3, tail = columns - 1 - head;

		buffer_append(out, visible, text_fit(visible, head));
		buffer_text(out, draw_symbol(SYMBOL_ELLIPSIS));
		for (end = visible; text_width(end) > tail;)
			do
				end++;
			while (((unsigned char)*end & 0xc0) == 0x80);
		buffer_text(out, end);
	}
	buffer_free(&buffer);
}

void
draw_right(struct area area, int row, enum role role, const char *text)
{
	int width = draw_width(text);

	draw_string(area, row, width < area.columns ? area.columns - width : 0, role, text);
}

int
draw_width(const char *text)
{
	struct buffer buffer = { 0 };
	int width = text_width(shown(&buffer, text, strlen(text)));

	buffer_free(&buffer);
	return width;
}

/* Columns of the character that begins TEXT[N] as it will be shown; *BYTES: its length. */
static int
character_width(const char *text, size_t n, size_t *bytes)
{
	char visible[64];
	uint32_t codepoint;
	bool valid;

	*bytes = 1;
	if (text[0] >= ' ' && text[0] <= '~')
		return 1;
	*bytes = utf8_decode(text, n, &codepoint, &valid);
	if (codepoint == '\t')
		return 1;
	visible_copy(visible, sizeof visible, text, *bytes, ascii ? VISIBLE_ASCII : 0);
	return text_width(visible);
}

/* The end of the line that starts at START, and where the next one starts. */
static size_t
line_end(const char *text, size_t n_bytes, size_t start, int columns, size_t *next)
{
	size_t at = start, blank = 0, bytes;
	int used = 0;

	while (at < n_bytes && text[at] != '\n') {
		int width = character_width(text + at, n_bytes - at, &bytes);

		if (used + width > columns && at > start) {
			if (text[at] == ' ')
				blank = at;
			if (blank > start) {
				*next = blank + 1;
				return blank;
			}
			*next = at;
			return at;
		}
		if (text[at] == ' ')
			blank = at;
		used += width;
		at += bytes;
	}
	*next = at < n_bytes ? at + 1 : at;
	return at;
}

size_t
draw_wrap(const char *text, size_t n_bytes, int columns, struct line_span *spans, size_t max)
{
	size_t n = 0, at = 0;

	if (columns < 1)
		columns = 1;
	while (at < n_bytes) {
		size_t next, end = line_end(text, n_bytes, at, columns, &next);

		if (spans != NULL && n < max)
			spans[n] = (struct line_span){ at, end - at };
		n++;
		at = next;
	}
	return n;
}

size_t
draw_wrapped(struct area area, size_t scroll, enum role role, const char *text, size_t n_bytes)
{
	size_t n = 0, at = 0;
	int columns = area.columns > 0 ? area.columns : 1;

	while (at < n_bytes) {
		size_t next, end = line_end(text, n_bytes, at, columns, &next);

		if (n >= scroll && n - scroll < (size_t)area.rows)
			draw_text(area, (int)(n - scroll), 0, role, text + at, end - at);
		n++;
		at = next;
	}
	return n;
}

/* ---- shapes ---- */

void
draw_clear(struct area area)
{
	for (int row = 0; row < area.rows; row++)
		draw_fill(area, row, ROLE_TEXT);
}

void
draw_fill(struct area area, int row, enum role role)
{
	if (row < 0 || row >= area.rows || area.columns <= 0)
		return;
	look(role);
	mvhline(area.row + row, area.column, ' ' | theme_attributes(role), area.columns);
	attrset(A_NORMAL);
}

/* The pieces of boxes, in the order of BOX_*. */
enum { BOX_ACROSS, BOX_DOWN, BOX_TL, BOX_TR, BOX_BL, BOX_BR, BOX_TEE_LEFT, BOX_TEE_RIGHT };

static const char *
piece(int which)
{
	static const char *const pieces[][2] = { { "─", "-" }, { "│", "|" }, { "┌", "+" },
		{ "┐", "+" }, { "└", "+" }, { "┘", "+" }, { "├", "+" }, { "┤", "+" } };

	return pieces[which][ascii];
}

static void
rule(struct area area, int row, enum role role, int left, int right)
{
	put(area, row, 0, role, piece(left));
	for (int column = 1; column < area.columns - 1; column++)
		put(area, row, column, role, piece(BOX_ACROSS));
	put(area, row, area.columns - 1, role, piece(right));
}

/* "┌ A  es-upper ───── live ┐": titles keep a blank on either side; the left one is cut first. */
static void
border_titles(struct area area, int row, const char *left, const char *right, enum role left_role,
    enum role right_role)
{
	int room = area.columns - 2, width = 0;
	struct area inner = { area.row, area.column + 1, area.rows, room };

	if (right != NULL && right[0] != '\0') {
		width = draw_width(right) + 2;
		if (width <= room) {
			int at = room - width;

			put(inner, row, at, right_role, " ");
			draw_string(inner, row, at + 1, right_role, right);
			put(inner, row, room - 1, right_role, " ");
		} else {
			width = 0;
		}
	}
	room -= width;
	if (left != NULL && left[0] != '\0' && room > 4) {
		put(inner, row, 0, left_role, " ");
		int used = draw_short(inner, row, 1, room - 2, left_role, left);

		put(inner, row, 1 + used, left_role, " ");
	}
}

void
draw_box(struct area area, enum role role, const struct box_titles *titles)
{
	if (area.rows < 2 || area.columns < 2)
		return;
	rule(area, 0, role, BOX_TL, BOX_TR);
	for (int row = 1; row < area.rows - 1; row++) {
		put(area, row, 0, role, piece(BOX_DOWN));
		put(area, row, area.columns - 1, role, piece(BOX_DOWN));
	}
	rule(area, area.rows - 1, role, BOX_BL, BOX_BR);
	if (titles == NULL)
		return;
	border_titles(area, 0, titles->top_left, titles->top_right,
	    role == ROLE_FOCUS ? ROLE_FOCUS : ROLE_STRONG,
	    titles->top_right_role != ROLE_TEXT ? titles->top_right_role : ROLE_DIM);
	border_titles(
	    area, area.rows - 1, titles->bottom_left, titles->bottom_right, ROLE_DIM, ROLE_DIM);
}

void
draw_box_rule(struct area area, int row, enum role role)
{
	if (row > 0 && row < area.rows - 1 && area.columns >= 2)
		rule(area, row, role, BOX_TEE_LEFT, BOX_TEE_RIGHT);
}

void
draw_bar(struct area area, int row, int column, int columns, double fraction)
{
	static const char *const filled[2] = { "█", "#" };
	static const char *const empty[2] = { "░", "." };
	int full = (int)((fraction > 0 ? fraction < 1 ? fraction : 1 : 0) * columns + 0.5);

	for (int i = 0; i < columns; i++)
		put(area, row, column + i, i < full ? ROLE_BAR : ROLE_DIM,
		    i < full ? filled[ascii] : empty[ascii]);
}

void
draw_hints(struct area area, int row, const struct binding *bindings)
{
	int column = 1;
	char name[32];

	for (; bindings->key != K_NONE; bindings++) {
		if (bindings->hint == NULL)
			continue;
		key_label(bindings->key, name, sizeof name);
		int width = draw_width(name) + 1 + draw_width(bindings->hint);

		if (column + width > area.columns)
			break;
		draw_string(area, row, column, ROLE_KEY, name);
		draw_string(area, row, column + draw_width(name) + 1, ROLE_DIM, bindings->hint);
		column += width + 2;
	}
}

void
draw_cursor(struct area area, int row, int column)
{
	if (row < 0 || row >= area.rows || column < 0 || column >= area.columns)
		return;
	curs_set(1);
	move(area.row + row, area.column + column);
}
