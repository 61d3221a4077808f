/* prompt-line.c - editing a line of UTF-8 by the characters a person sees. */

#include <stdlib.h>
#include <string.h>

#include <utf8proc.h>

#include "base/utf8.h"
#include "base/visible.h"
#include "base/width.h"
#include "ui/prompt-line.h"

#define CLUSTER_MAX 256 /* bytes of one character; more marks than that begin another */

/* ---- characters ---- */

/* The end of the character that begins at AT. ASCII always begins one, so that going back can start
 * at the last ASCII character instead of at the beginning of a long text. */
static size_t
next_boundary(const char *text, size_t n, size_t at)
{
	size_t start = at;
	uint32_t previous, codepoint;
	utf8proc_int32_t state = 0;
	bool valid;

	if (at >= n)
		return n;
	at += utf8_decode(text + at, n - at, &previous, &valid);
	while (at < n && (unsigned char)text[at] >= 0x80 && at - start < CLUSTER_MAX) {
		size_t bytes = utf8_decode(text + at, n - at, &codepoint, &valid);

		if (utf8proc_grapheme_break_stateful(
			(utf8proc_int32_t)previous, (utf8proc_int32_t)codepoint, &state))
			break;
		previous = codepoint;
		at += bytes;
	}
	return at;
}

static size_t
previous_boundary(const char *text, size_t n, size_t at)
{
	size_t start, next;

	if (at == 0)
		return 0;
	start = at - 1;
	while (start > 0 && (unsigned char)text[start] >= 0x80)
		start--;
	while ((next = next_boundary(text, n, start)) < at)
		start = next;
	return start;
}

/* Letters and digits of any script make words; everything else lies between them. */
static bool
in_word(const struct prompt_line *line, size_t at)
{
	uint32_t codepoint;
	bool valid;

	utf8_decode(line->text + at, line->n - at, &codepoint, &valid);
	switch (utf8proc_category((utf8proc_int32_t)codepoint)) {
	case UTF8PROC_CATEGORY_LU:
	case UTF8PROC_CATEGORY_LL:
	case UTF8PROC_CATEGORY_LT:
	case UTF8PROC_CATEGORY_LM:
	case UTF8PROC_CATEGORY_LO:
	case UTF8PROC_CATEGORY_ND:
	case UTF8PROC_CATEGORY_NL:
	case UTF8PROC_CATEGORY_NO:
		return true;
	default:
		return codepoint == '_';
	}
}

static size_t
word_left(const struct prompt_line *line)
{
	size_t at = line->cursor, before;

	while (at > 0 && !in_word(line, previous_boundary(line->text, line->n, at)))
		at = previous_boundary(line->text, line->n, at);
	while (at > 0 && in_word(line, before = previous_boundary(line->text, line->n, at)))
		at = before;
	return at;
}

static size_t
word_right(const struct prompt_line *line)
{
	size_t at = line->cursor;

	while (at < line->n && !in_word(line, at))
		at = next_boundary(line->text, line->n, at);
	while (at < line->n && in_word(line, at))
		at = next_boundary(line->text, line->n, at);
	return at;
}

/* What lies between spaces, as ^W takes it in a shell: "tag:es" goes at once. */
static size_t
shell_word_left(const struct prompt_line *line)
{
	size_t at = line->cursor;

	while (at > 0 && line->text[at - 1] == ' ')
		at--;
	while (at > 0 && line->text[at - 1] != ' ')
		at--;
	return at;
}

/* ---- changes ---- */

void
prompt_line_init(struct prompt_line *line, size_t max_bytes)
{
	*line = (struct prompt_line){ .max_bytes = max_bytes };
}

void
prompt_line_free(struct prompt_line *line)
{
	free(line->text);
	free(line->draft);
	free(line->killed);
	*line = (struct prompt_line){ .max_bytes = line->max_bytes };
}

const char *
prompt_line_text(const struct prompt_line *line)
{
	return line->text != NULL ? line->text : "";
}

/* Puts N well-formed bytes that fit in at the cursor. */
static bool
put(struct prompt_line *line, const char *bytes, size_t n)
{
	char *text = realloc(line->text, line->n + n + 1);

	if (text == NULL)
		return false;
	memmove(text + line->cursor + n, text + line->cursor, line->n - line->cursor);
	memcpy(text + line->cursor, bytes, n);
	line->text = text;
	line->n += n;
	line->cursor += n;
	text[line->n] = '\0';
	/* A mark that was typed behind a letter joins it: the cursor goes behind both. */
	if (line->cursor < line->n) {
		size_t before = previous_boundary(text, line->n, line->cursor);

		line->cursor = next_boundary(text, line->n, before);
	}
	return true;
}

/* Takes FROM..TO out, remembered for yank when KILLED. */
static bool
take_out(struct prompt_line *line, size_t from, size_t to, bool killed)
{
	if (from >= to)
		return false;
	if (killed) {
		char *copy = strndup(line->text + from, to - from);

		if (copy == NULL)
			return false;
		free(line->killed);
		line->killed = copy;
	}
	memmove(line->text + from, line->text + to, line->n - to + 1);
	line->n -= to - from;
	line->cursor = from;
	return true;
}

/* TEXT[N] without control characters, in fresh memory. */
static char *
typeable(const struct prompt_line *line, const char *text, size_t n, size_t *n_out)
{
	char *out = malloc(n + 1);
	size_t used = 0;

	for (size_t i = 0; out != NULL && i < n;) {
		uint32_t codepoint;
		bool valid;
		size_t bytes = utf8_decode(text + i, n - i, &codepoint, &valid);

		if (codepoint == '\n' && line->keep_lines)
			out[used++] = '\n';
		else if (codepoint == '\t' || codepoint == '\n')
			out[used++] = ' ';
		else if (codepoint >= 0x20 && (codepoint < 0x7F || codepoint >= 0xA0)) {
			memcpy(out + used, text + i, bytes);
			used += bytes;
		}
		i += bytes;
	}
	*n_out = used;
	return out;
}

bool
prompt_line_insert(struct prompt_line *line, const char *bytes, size_t n)
{
	size_t room = line->max_bytes > line->n ? line->max_bytes - line->n : 0;
	size_t fits = 0, n_clean, next;
	char *clean;
	bool whole;

	if (!utf8_valid(bytes, n))
		return false;
	clean = typeable(line, bytes, n, &n_clean);
	if (clean == NULL)
		return false;
	if (n_clean <= room)
		fits = n_clean;
	else
		while ((next = next_boundary(clean, n_clean, fits)) <= room && next > fits)
			fits = next;
	whole = fits == n_clean && n_clean > 0;
	if (fits > 0 && !put(line, clean, fits))
		whole = false;
	free(clean);
	return whole;
}

bool
prompt_line_set(struct prompt_line *line, const char *text)
{
	size_t n = text != NULL ? strlen(text) : 0;

	if (!utf8_valid(text != NULL ? text : "", n))
		return false;
	if (n > 0) {
		struct prompt_line fresh = { .max_bytes = line->max_bytes,
			.keep_lines = line->keep_lines };

		if (!prompt_line_insert(&fresh, text, n) && fresh.n == 0 && fresh.max_bytes > 0)
			return false;
		free(line->text);
		line->text = fresh.text;
		line->n = fresh.n;
	} else if (line->text != NULL) {
		line->text[0] = '\0';
		line->n = 0;
	}
	line->cursor = line->n;
	line->first = 0;
	return true;
}

/* ---- history ---- */

void
prompt_line_history(struct prompt_line *line, const char *const *rows, size_t n_rows)
{
	line->history = rows;
	line->n_history = n_rows;
	line->history_at = 0;
}

static bool
older(struct prompt_line *line)
{
	size_t at = line->history_at;
	char *draft = NULL;

	if (at == 0 && (draft = strdup(prompt_line_text(line))) == NULL)
		return false;
	/* What the line says already is no step back. */
	while (at < line->n_history && strcmp(line->history[at], prompt_line_text(line)) == 0)
		at++;
	if (at >= line->n_history || !prompt_line_set(line, line->history[at])) {
		free(draft);
		return false;
	}
	if (draft != NULL) {
		free(line->draft);
		line->draft = draft;
	}
	line->history_at = at + 1;
	return true;
}

static bool
newer(struct prompt_line *line)
{
	if (line->history_at == 0)
		return false;
	if (--line->history_at == 0 || line->history_at > line->n_history) {
		line->history_at = 0;
		return prompt_line_set(line, line->draft);
	}
	return prompt_line_set(line, line->history[line->history_at - 1]);
}

/* ---- keys ---- */

bool
prompt_line_edit(struct prompt_line *line, enum line_edit edit)
{
	const char *text = prompt_line_text(line);

	switch (edit) {
	case LINE_LEFT:
		line->cursor = previous_boundary(text, line->n, line->cursor);
		return false;
	case LINE_RIGHT:
		line->cursor = next_boundary(text, line->n, line->cursor);
		return false;
	case LINE_WORD_LEFT:
		line->cursor = word_left(line);
		return false;
	case LINE_WORD_RIGHT:
		line->cursor = word_right(line);
		return false;
	case LINE_HOME:
		line->cursor = 0;
		return false;
	case LINE_END:
		line->cursor = line->n;
		return false;
	case LINE_BACKSPACE:
		return take_out(
		    line, previous_boundary(text, line->n, line->cursor), line->cursor, false);
	case LINE_DELETE:
		return take_out(
		    line, line->cursor, next_boundary(text, line->n, line->cursor), false);
	case LINE_KILL_WORD_LEFT:
		return take_out(line, shell_word_left(line), line->cursor, true);
	case LINE_KILL_TO_START:
		return take_out(line, 0, line->cursor, true);
	case LINE_KILL_TO_END:
		return take_out(line, line->cursor, line->n, true);
	case LINE_YANK: {
		size_t before = line->n;

		if (line->killed != NULL)
			prompt_line_insert(line, line->killed, strlen(line->killed));
		return line->n != before;
	}
	case LINE_OLDER:
		return older(line);
	case LINE_NEWER:
		return newer(line);
	case LINE_N_EDITS:
		break;
	}
	return false;
}

static enum line_edit
edit_of(key_code key)
{
	static const struct {
		key_code key;
		enum line_edit edit;
	} customs[] = {
		{ K_LEFT, LINE_LEFT },
		{ K_RIGHT, LINE_RIGHT },
		{ K_UP, LINE_OLDER },
		{ K_DOWN, LINE_NEWER },
		{ K_HOME, LINE_HOME },
		{ K_END, LINE_END },
		{ K_WORD_LEFT, LINE_WORD_LEFT },
		{ K_WORD_RIGHT, LINE_WORD_RIGHT },
		{ K_BACKSPACE, LINE_BACKSPACE },
		{ K_DELETE, LINE_DELETE },
		{ CONTROL('A'), LINE_HOME },
		{ CONTROL('B'), LINE_LEFT },
		{ CONTROL('D'), LINE_DELETE },
		{ CONTROL('E'), LINE_END },
		{ CONTROL('F'), LINE_RIGHT },
		{ CONTROL('K'), LINE_KILL_TO_END },
		{ CONTROL('N'), LINE_NEWER },
		{ CONTROL('P'), LINE_OLDER },
		{ CONTROL('U'), LINE_KILL_TO_START },
		{ CONTROL('W'), LINE_KILL_WORD_LEFT },
		{ CONTROL('Y'), LINE_YANK },
	};

	for (size_t i = 0; i < sizeof customs / sizeof customs[0]; i++)
		if (customs[i].key == key)
			return customs[i].edit;
	return LINE_N_EDITS;
}

static enum line_answer
type_character(struct prompt_line *line, key_code key)
{
	char bytes[UTF8_MAX_BYTES];
	size_t before = line->n;

	prompt_line_insert(line, bytes, utf8_encode(key, bytes));
	return line->n != before ? LINE_CHANGED : LINE_MOVED;
}

enum line_answer
prompt_line_key(struct prompt_line *line, key_code key, const char *leave)
{
	enum line_edit edit;

	if (key < 32 && leave != NULL && key != 0 && strchr(leave, (int)key) != NULL)
		return LINE_IGNORED;
	if (key_is_text(key))
		return type_character(line, key);
	edit = edit_of(key);
	if (edit == LINE_N_EDITS ||
	    ((edit == LINE_OLDER || edit == LINE_NEWER) && line->n_history == 0))
		return LINE_IGNORED;
	return prompt_line_edit(line, edit) ? LINE_CHANGED : LINE_MOVED;
}

/* ---- what is in sight ---- */

/* The character FROM..TO as it is drawn, into OUT (cleared first); -> its columns. */
static int
picture(const char *text, size_t from, size_t to, unsigned flags, struct buffer *out)
{
	buffer_clear(out);
	visible_append(out, text + from, to - from, flags);
	return text_width(buffer_string(out));
}

/* Scrolls so that the cursor, which takes a column itself, is in sight; -> its column. */
static int
scroll_to_cursor(struct prompt_line *line, int columns, unsigned flags, struct buffer *scratch)
{
	const char *text = prompt_line_text(line);
	int width = 0;

	if (line->first > line->cursor)
		line->first = line->cursor;
	for (size_t at = line->first; at < line->cursor;) {
		size_t next = next_boundary(text, line->n, at);

		width += picture(text, at, next, flags, scratch);
		at = next;
		while (width > columns - 1 && line->first < at) {
			next = next_boundary(text, line->n, line->first);
			width -= picture(text, line->first, next, flags, scratch);
			line->first = next;
		}
	}
	return width;
}

struct line_view
prompt_line_view(struct prompt_line *line, int columns, unsigned flags, struct buffer *out)
{
	const char *text = prompt_line_text(line);
	struct buffer scratch = { 0 };
	struct line_view view = { 0 };
	int used = 0;
	size_t at;

	/* After deleting, text that was scrolled out comes back in: a line that fits shows whole.
	 */
	if (line->cursor == line->n && line->first > 0) {
		size_t wide = line->n - line->first;

		if (wide < (size_t)columns / 2)
			line->first = 0;
	}
	view.cursor_column = scroll_to_cursor(line, columns, flags, &scratch);
	for (at = line->first; at < line->n;) {
		size_t next = next_boundary(text, line->n, at);
		int width = picture(text, at, next, flags, &scratch);

		if (used + width > columns)
			break;
		buffer_append(out, scratch.bytes, scratch.n);
		used += width;
		at = next;
	}
	view.more_left = line->first > 0;
	view.more_right = at < line->n;
	buffer_free(&scratch);
	return view;
}
