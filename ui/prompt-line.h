/*
 * ui/prompt-line.h - a line of text that a person edits: text, cursor, scroll, yank and history.
 *
 * Knows nothing of the screen: prompt_line_view() says what is to be drawn. The text is always
 * well-formed UTF-8 of at most max_bytes; the cursor stands between characters as a person sees
 * them (grapheme clusters: a letter and its accents are one). Used by one thread.
 */
#ifndef UI_PROMPT_LINE_H
#define UI_PROMPT_LINE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"
#include "ui/keys.h"

enum line_edit {
	LINE_LEFT,
	LINE_RIGHT,
	LINE_WORD_LEFT,
	LINE_WORD_RIGHT,
	LINE_HOME,
	LINE_END,
	LINE_BACKSPACE,
	LINE_DELETE,
	LINE_KILL_WORD_LEFT, /* what the three kills take, yank puts back */
	LINE_KILL_TO_START,
	LINE_KILL_TO_END,
	LINE_YANK,
	LINE_OLDER, /* history */
	LINE_NEWER,
	LINE_N_EDITS
};

struct prompt_line {
	char *text;	  /* NULL until something is typed; see prompt_line_text() */
	size_t n;	  /* bytes */
	size_t cursor;	  /* byte offset */
	size_t first;	  /* byte offset of the first character in sight */
	size_t max_bytes; /* of the text */
	bool keep_lines;  /* line feeds stay; else a paste's become spaces */

	const char *const *history; /* the caller's, newest first; may change between calls */
	size_t n_history;
	size_t history_at; /* 0: the draft, else 1 + index of what is shown */
	char *draft;	   /* what was being typed before LINE_OLDER */
	char *killed;	   /* for LINE_YANK */
};

/* What of a line is to be drawn. */
struct line_view {
	int cursor_column;
	bool more_left, more_right; /* text is out of sight there */
};

void prompt_line_init(struct prompt_line *line, size_t max_bytes);
void prompt_line_free(struct prompt_line *line);

/* Never NULL; valid until the next change. */
const char *prompt_line_text(const struct prompt_line *line);

/* Replaces the text and puts the cursor behind it; NULL is "". False (text untouched): not UTF-8,
 * or out of memory. Longer text is cut. */
bool prompt_line_set(struct prompt_line *line, const char *text);

/* Inserts what was typed or pasted at the cursor, as much as fits, cut between characters; control
 * characters are left out (tabs and, unless keep_lines, line feeds become spaces). False when
 * nothing or not all was inserted: BYTES is not UTF-8 (nothing is taken then), too long, or out of
 * memory. */
bool prompt_line_insert(struct prompt_line *line, const char *bytes, size_t n);

/* True when the text changed (moving the cursor is no change). */
bool prompt_line_edit(struct prompt_line *line, enum line_edit edit);

/* Who shows the line lends it the history: ROWS newest first, valid until the next call. Going
 * through it begins anew. */
void prompt_line_history(struct prompt_line *line, const char *const *rows, size_t n_rows);

/* What a key did to the line. */
enum line_answer {
	LINE_IGNORED, /* it is for somebody else: Enter, Esc, Tab, function keys, ... */
	LINE_MOVED,
	LINE_CHANGED
};

/* Types KEY: text, the arrows, and readline's control keys (^A ^B ^D ^E ^F ^K ^N ^P ^U ^W ^Y),
 * which are ignored when LEAVE (NULL: none) holds them for the caller's own use. Up and down are
 * history's, ignored without one. */
enum line_answer prompt_line_key(struct prompt_line *line, key_code key, const char *leave);

/* Appends to OUT the part that fits into COLUMNS (>= 1) with the cursor in sight, made visible
 * (FLAGS of base/visible.h); scrolls as little as is needed. */
struct line_view prompt_line_view(
    struct prompt_line *line, int columns, unsigned flags, struct buffer *out);

#endif
