/*
 * ui/draw.h - areas of the screen, and text, boxes and bars in them.
 *
 * Everything is clipped to its area, and every text goes through base/visible.h on its way to the
 * screen: whatever a model or a file says, it cannot move the cursor or change a colour. Where the
 * locale is no UTF-8 (or after draw_set_ascii(true)) lines are drawn with + - | and text in ASCII.
 * Colours are asked for by role; ui/theme.c gives each role its look. Screen thread only.
 */
#ifndef UI_DRAW_H
#define UI_DRAW_H

#include <stdbool.h>
#include <stddef.h>

/* A rectangle of the screen, in cells. An area without rows or columns draws nothing. */
struct area {
	int row, column, rows, columns;
};

enum role {
	ROLE_TEXT,
	ROLE_DIM,      /* what is less important: footers, hints */
	ROLE_STRONG,   /* headings, names */
	ROLE_BORDER,   /* boxes */
	ROLE_FOCUS,    /* the box or row that keys go to */
	ROLE_SELECTED, /* the row under the cursor: also reversed when there is no colour */
	ROLE_MARKED,   /* marked rows */
	ROLE_KEY,      /* a key in a hint */
	ROLE_GOOD,     /* live, same, passed */
	ROLE_BAD,      /* errors */
	ROLE_WARN,
	ROLE_CHANGED, /* words that differ */
	ROLE_BAR,     /* the filled part of bars and sliders */
	ROLE_HEADER,  /* the line on top */
	ROLE_DRAFT,   /* what is not kept yet */
	N_ROLES
};

/* ---- areas ---- */

/* The inside of a box drawn around AREA. */
struct area area_inside(struct area area);
/* N rows cut off the top (bottom) of *REST. */
struct area area_top(struct area *rest, int n);
struct area area_bottom(struct area *rest, int n);
struct area area_left(struct area *rest, int n);
/* Part I of N of AREA, side by side; all columns are used. */
struct area area_column(struct area area, int i, int n);
/* At most ROWS x COLUMNS, in the middle of AREA: for popups. */
struct area area_middle(struct area area, int rows, int columns);

/* ---- text; ROW and COLUMN count from the area's corner ---- */

/* TEXT[N] in one line: line feeds and tabs are shown as control pictures. Returns the columns
 * used. What does not fit is cut. */
int draw_text(
    struct area area, int row, int column, enum role role, const char *text, size_t n_bytes);
int draw_string(struct area area, int row, int column, enum role role, const char *text);
int draw_format(struct area area, int row, int column, enum role role, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
/* The same, cut with an ellipsis ("translate the Eng…") to at most COLUMNS. */
int draw_short(
    struct area area, int row, int column, int columns, enum role role, const char *text);
/* TEXT made visible and cut in its middle ("tran…-french") to at most COLUMNS, appended to OUT. */
struct buffer;
void draw_cut_name(const char *text, int columns, struct buffer *out);
/* Ends at the area's right edge. */
void draw_right(struct area area, int row, enum role role, const char *text);
/* Columns TEXT takes after it was made visible. */
int draw_width(const char *text);

/* Text broken into lines of at most COLUMNS, at spaces where that is possible; line feeds break,
 * tabs become spaces. Byte offsets into the (raw) text. */
struct line_span {
	size_t start, n_bytes;
};
/* Fills SPANS (may be NULL) with at most MAX lines and returns how many there are in all. */
size_t draw_wrap(
    const char *text, size_t n_bytes, int columns, struct line_span *spans, size_t max);
/* Wrapped text from line SCROLL on; returns how many lines there are in all. */
size_t draw_wrapped(
    struct area area, size_t scroll, enum role role, const char *text, size_t n_bytes);

/* ---- shapes ---- */

void draw_clear(struct area area);
void draw_fill(struct area area, int row, enum role role); /* a whole row in a role's look */

/* Titles in the borders; any may be NULL. */
struct box_titles {
	const char *top_left, *top_right, *bottom_left, *bottom_right;
	enum role top_right_role; /* ROLE_TEXT: as the border */
};
void draw_box(struct area area, enum role role, const struct box_titles *titles);
/* A line across a box that was drawn around AREA, with tees at its borders. */
void draw_box_rule(struct area area, int row, enum role role);
/* A bar of COLUMNS cells filled to FRACTION (0..1). */
void draw_bar(struct area area, int row, int column, int columns, double fraction);
/* "a add lane  x drop ...": keys and their words, as many as fit. NULL-terminated pairs. */
struct binding;
void draw_hints(struct area area, int row, const struct binding *bindings);
/* Puts the terminal's cursor there at the next refresh; without it the cursor is hidden. */
void draw_cursor(struct area area, int row, int column);

/* ---- characters that depend on the terminal ---- */

bool draw_ascii(void);
void draw_set_ascii(bool ascii);
enum symbol {
	SYMBOL_ELLIPSIS,  /* … ~ */
	SYMBOL_DOT,	  /* ● * */
	SYMBOL_SEPARATOR, /* · - */
	SYMBOL_ARROW,	  /* ▸ > */
	SYMBOL_STAR,	  /* ★ * */
	SYMBOL_DOWN,	  /* ▾ v */
	SYMBOL_DASH,	  /* – - */
	SYMBOL_CHECK,	  /* ✓ + */
	SYMBOL_UP,	  /* ↑ ^ */
	N_SYMBOLS
};
const char *draw_symbol(enum symbol symbol);

#endif
