/* lane-pane.c - draws a lane: its name, what it says, and how fast and how different. */

#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ui/compare.h"
#include "ui/diff.h"

/* A narrower pane cannot hold a footer; tabs show one lane at a time then. */
enum { MIN_PANE_COLUMNS = 24 };

size_t
lane_panes_across(size_t n_lanes, int columns)
{
	size_t most = columns / MIN_PANE_COLUMNS > 0 ? (size_t)(columns / MIN_PANE_COLUMNS) : 1;

	return n_lanes <= most ? n_lanes : 1;
}

/* ---- footer ---- */

static double
tokens_per_s(const struct lane *lane)
{
	/* The first token is prefill's. */
	return lane->result.n_tokens > 1 && lane->result.decode_ms > 0
		   ? (double)(lane->result.n_tokens - 1) / lane->result.decode_ms * 1e3
		   : 0;
}

static void
difference(const struct compare *compare, const struct lane *lane, struct buffer *text)
{
	const struct lane *reference = compare_cursor(compare);

	if (!lane->differs || reference == lane || reference == NULL)
		return;
	if (lane->n_differ == 0) {
		size_t at = compare->order[compare->cursor];

		/* A letter would say who is who. */
		buffer_printf(text, " · same as %c",
		    compare->blind ? '1' + (char)compare->cursor : 'A' + (char)at);
	} else {
		buffer_printf(
		    text, " · %zu %sdiffer", lane->n_differ, lane->by_lines ? "lines " : "");
	}
}

static void
draw_footer(struct compare *compare, const struct lane *lane, struct area row)
{
	const struct workbench *workbench = compare->view->workbench;
	struct buffer text = { 0 };
	bool cancelled = lane->result.finish == T2L_FINISH_CANCELLED;
	enum role role = ROLE_DIM;

	if (!lane_ready(lane)) {
		buffer_text(&text, "opening…");
	} else if (lane->restored) {
		buffer_text(&text, "from last time");
	} else if (lane->state == LANE_RUNNING) {
		buffer_printf(&text, "%zut …", lane->n_tokens);
		role = ROLE_DRAFT;
	} else if (lane->state == LANE_DONE) {
		double speed = workbench_measured(workbench, tokens_per_s(lane));
		double first = workbench_measured(workbench, lane->result.first_token_ms);
		struct buffer tail = { 0 };

		buffer_printf(&tail, "%zut", lane->n_tokens);
		difference(compare, lane, &tail);
		if (cancelled)
			buffer_text(&tail, " · cancelled");
		else if (lane->result.finish == T2L_FINISH_LENGTH)
			buffer_text(&tail, " · cut");
		/* What differs matters more than how fast: speed goes first when room is short. */
		if (speed > 0 || first > 0)
			buffer_printf(&text, "%.0f tok/s · first %.*f ms · ", speed,
			    first < 10 ? 1 : 0, first);
		if (draw_width(buffer_string(&text)) + draw_width(buffer_string(&tail)) >
		    row.columns) {
			buffer_clear(&text);
			if (speed > 0)
				buffer_printf(&text, "%.0f tok/s · ", speed);
		}
		if (draw_width(buffer_string(&text)) + draw_width(buffer_string(&tail)) >
		    row.columns)
			buffer_clear(&text);
		buffer_text(&text, buffer_string(&tail));
		buffer_free(&tail);
		role = cancelled ? ROLE_WARN
		       : lane->differs && lane->n_differ == 0 && compare_cursor(compare) != lane
			   ? ROLE_GOOD
			   : ROLE_DIM;
	}
	draw_short(row, 0, 0, row.columns, role, buffer_string(&text));
	buffer_free(&text);
}

/* ---- text ---- */

/* One line of the text, its changed words marked. */
static void
draw_marked_line(struct area area, int row, const char *text, const struct line_span *line,
    const struct diff *diff)
{
	size_t end = line->start + line->n_bytes;
	int column = 0;

	for (size_t i = 0; i < diff->n_spans; i++) {
		const struct diff_span *span = &diff->spans[i];
		size_t from = span->start > line->start ? span->start : line->start;
		size_t to = span->start + span->n_bytes < end ? span->start + span->n_bytes : end;

		if (from < to)
			column += draw_text(area, row, column,
			    span->changed ? ROLE_CHANGED : ROLE_TEXT, text + from, to - from);
	}
}

static void
draw_marked(
    const struct compare *compare, const struct lane *lane, struct area area, size_t skip, int top)
{
	const struct lane *reference = compare_cursor(compare);
	const char *text = buffer_string(&lane->text);
	size_t n = draw_wrap(text, lane->text.n, area.columns, NULL, 0);
	struct line_span *lines = calloc(n + 1, sizeof *lines);
	struct diff diff;

	if (lines == NULL || !diff_words(buffer_string(&reference->text), reference->text.n, text,
				 lane->text.n, &diff)) {
		free(lines);
		return;
	}
	draw_wrap(text, lane->text.n, area.columns, lines, n);
	for (size_t i = skip; i < n && top + (int)(i - skip) < area.rows; i++)
		draw_marked_line(area, top + (int)(i - skip), text, &lines[i], &diff);
	diff_free(&diff);
	free(lines);
}

/* The conversation before, then the answer; together they scroll. */
static void
draw_said(const struct compare *compare, struct lane *lane, struct area area)
{
	const struct lane *reference = compare_cursor(compare);
	struct buffer past = { 0 };
	size_t n_past, n_text;
	bool marked = compare->diff && reference != NULL && reference != lane &&
		      lane->state == LANE_DONE && reference->state == LANE_DONE;

	for (size_t i = 0; i < lane->n_turns; i++)
		buffer_printf(&past, "> %s\n%s\n", lane->turns[i].prompt, lane->turns[i].answer);
	if (lane->n_turns > 0 && lane->prompt != NULL && lane->state != LANE_EMPTY)
		buffer_printf(&past, "> %s\n", lane->prompt);
	n_past = draw_wrap(buffer_string(&past), past.n, area.columns, NULL, 0);
	n_text = draw_wrap(buffer_string(&lane->text), lane->text.n, area.columns, NULL, 0);
	lane->n_lines = n_past + n_text;
	lane->rows = (size_t)area.rows;
	size_t most = lane->n_lines > lane->rows ? lane->n_lines - lane->rows : 0;

	/* What streams in stays in sight. */
	if (lane->scroll > most || lane->state == LANE_RUNNING ||
	    (lane->n_turns > 0 && lane->scroll == 0 && lane->state == LANE_DONE))
		lane->scroll = most;
	draw_wrapped(area, lane->scroll, ROLE_DIM, buffer_string(&past), past.n);
	size_t skip = lane->scroll > n_past ? lane->scroll - n_past : 0;
	int top = lane->scroll < n_past ? (int)(n_past - lane->scroll) : 0;

	buffer_free(&past);
	if (top >= area.rows)
		return;
	struct area below = area;

	area_top(&below, top);
	if (marked)
		draw_marked(compare, lane, below, skip, 0);
	else
		draw_wrapped(below, skip, ROLE_TEXT, buffer_string(&lane->text), lane->text.n);
}

void
lane_pane_draw(
    struct compare *compare, struct lane *lane, struct area area, const char *title, bool cursor)
{
	enum role role = cursor && compare->focus == FOCUS_LANES ? ROLE_FOCUS : ROLE_BORDER;
	struct box_titles titles = { .top_left = title };
	struct area inside = area_inside(area), footer;
	char weight[32];

	if (lane->draft && !compare->blind) {
		titles.top_right = "draft";
		titles.top_right_role = ROLE_DRAFT;
	} else if (lane->own_sampling && !compare->blind) {
		snprintf(weight, sizeof weight, "T %.2g", (double)lane->sampling.temperature);
		titles.top_right = weight;
	}
	draw_box(area, role, &titles);
	inside.column++;
	inside.columns -= 2;
	if (inside.rows >= 4) {
		draw_box_rule(area, area.rows - 3, role);
		footer = area_bottom(&inside, 1);
		area_bottom(&inside, 1);
		draw_footer(compare, lane, footer);
	} else if (inside.rows > 1) {
		footer = area_bottom(&inside, 1);
		draw_footer(compare, lane, footer);
	}
	draw_said(compare, lane, inside);
}
