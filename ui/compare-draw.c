/* compare-draw.c - lays out the Compare view: task, prompt, and the lanes side by side or as tabs.
 */

#include "config.h"

#include <stdio.h>
#include <string.h>

#include "ui/compare.h"
#include "ui/field.h"

enum {
	SHORTEST_CUT = 16,	  /* below, the beginning of a name says more than its two ends */
	TITLE_EDGES = 4,	  /* of a box: corners and blanks beside the title */
	LANE_SETTINGS_COLUMNS = 8 /* "T 0.25" on the right */
};

static const char *
first_line(const char *text, char *out, size_t size)
{
	snprintf(out, size, "%.*s", (int)strcspn(text, "\n"), text);
	return out;
}

static void
draw_task(struct compare *compare, struct area area)
{
	const struct workbench_host *host = compare->view->host;
	struct workbench *workbench = compare->view->workbench;
	struct box_titles titles = { "Task", NULL, NULL, "Enter keep · ^L live", ROLE_TEXT };
	bool focused = compare->focus == FOCUS_TASK;
	struct area inside = area_inside(area);
	char live[128], line[128];
	enum role role = ROLE_DIM;

	if (host->hypernet == NULL || host->encoder == NULL) {
		snprintf(live, sizeof live, "no hypernet");
		titles.bottom_left = first_line(
		    host->no_hypernet != NULL ? host->no_hypernet : "", line, sizeof line);
		role = ROLE_WARN;
	} else if (!compare->live) {
		snprintf(live, sizeof live, "live off");
	} else if (job_busy(workbench, TOPIC_DRAFT)) {
		snprintf(live, sizeof live, "live ●");
		role = ROLE_DRAFT;
	} else if (compare->draft_fault[0] != '\0') {
		snprintf(live, sizeof live, "no draft");
		titles.bottom_left = first_line(compare->draft_fault, line, sizeof line);
		role = ROLE_BAD;
	} else if (compare->draft_ms > 0) {
		snprintf(live, sizeof live, "live ● %.0f ms",
		    workbench_measured(workbench, compare->draft_ms));
		role = ROLE_GOOD;
	} else {
		snprintf(live, sizeof live, "live ●");
		role = ROLE_GOOD;
	}
	draw_box(area, focused ? ROLE_FOCUS : ROLE_BORDER, &titles);
	int width = draw_width(live);

	if (inside.columns > width + 20) {
		struct area right = inside;

		right.columns -= 1;
		draw_right(right, 0, role, live);
		inside.columns -= width + 2;
	}
	field_draw(&compare->task, inside, "what should the model do? (a sentence)", focused);
}

static void
draw_prompt(struct compare *compare, struct area area)
{
	struct box_titles titles = { "Prompt", NULL, NULL,
		"Enter run · ^E file of prompts · ↑ past", ROLE_TEXT };
	bool focused = compare->focus == FOCUS_PROMPT;

	if (compare->multi_turn)
		titles.top_right = "conversation";
	draw_box(area, focused ? ROLE_FOCUS : ROLE_BORDER, &titles);
	field_draw(&compare->prompt, area_inside(area), "what to try it on", focused);
}

/* ---- lanes ---- */

/* In at most COLUMNS. */
static void
pane_title(const struct compare *compare, size_t place, int columns, char *out, size_t size)
{
	size_t at = compare->order[place];
	const struct lane *lane = compare->lanes[at];
	const char *fresh = lane->fresh && lane->n_parts == 1 ? " (new)" : "";
	struct buffer name = { 0 };
	char label[1200];

	if (compare->blind) {
		snprintf(out, size, "%zu", place + 1);
		return;
	}
	lane_label(lane, label, sizeof label);
	columns -= 3;
	if (lane->draft && compare->draft_task != NULL)
		buffer_text(&name, compare->draft_task);
	else if (draw_width(label) + draw_width(fresh) <= columns)
		buffer_printf(&name, "%s%s", label, fresh);
	else if (lane->n_parts == 1 && columns >= SHORTEST_CUT)
		draw_cut_name(label, columns, &name);
	else
		buffer_text(&name, label);
	snprintf(out, size, "%c  %s", 'A' + (char)at, buffer_string(&name));
	buffer_free(&name);
}

static void
draw_tabs(const struct compare *compare, struct area row)
{
	int column = 0;
	char title[1300];

	for (size_t place = 0; place < compare->n_lanes; place++) {
		bool chosen = place == compare->cursor;

		pane_title(compare, place, chosen ? 24 : 12, title, sizeof title);
		column += draw_string(row, 0, column, ROLE_TEXT, " ");
		column += draw_short(
		    row, 0, column, chosen ? 24 : 12, chosen ? ROLE_SELECTED : ROLE_DIM, title);
	}
}

static void
draw_lanes(struct compare *compare, struct area area)
{
	size_t across = lane_panes_across(compare->n_lanes, area.columns);
	char title[1300];

	if (across < compare->n_lanes) {
		draw_tabs(compare, area_top(&area, 1));
		pane_title(
		    compare, compare->cursor, area.columns - TITLE_EDGES, title, sizeof title);
		lane_pane_draw(compare, compare_cursor(compare), area, title, true);
		return;
	}
	for (size_t place = 0; place < compare->n_lanes; place++) {
		const struct lane *lane = compare->lanes[compare->order[place]];
		struct area pane = area_column(area, (int)place, (int)across);
		int room = pane.columns - TITLE_EDGES -
			   (lane->own_sampling && !lane->draft ? LANE_SETTINGS_COLUMNS : 0);

		pane_title(compare, place, room, title, sizeof title);
		lane_pane_draw(compare, compare->lanes[compare->order[place]], pane, title,
		    place == compare->cursor);
	}
}

/* ---- the first start ---- */

static void
draw_suggestions(const struct compare *compare, struct area area)
{
	const char *const *suggestions = compare->view->host->suggestions;
	struct area box = area_middle(area, 9, 78);
	struct area inside = area_inside(box);

	draw_box(box, ROLE_BORDER,
	    &(struct box_titles){ .top_left = "Nothing is kept yet. Try one of these",
		.bottom_right = "↑ ↓ choose · Enter runs it · or type your own" });
	inside.column += 1;
	inside.columns -= 2;
	for (size_t i = 0; i < MAX_SUGGESTIONS && suggestions[i] != NULL; i++) {
		size_t n = strcspn(suggestions[i], "\t");
		bool chosen = i == compare->suggestion;
		int row = 1 + 2 * (int)i;

		if (chosen)
			draw_fill(inside, row, ROLE_SELECTED);
		if (chosen)
			draw_string(inside, row, 0, ROLE_SELECTED, draw_symbol(SYMBOL_ARROW));
		draw_text(inside, row, 2, chosen ? ROLE_SELECTED : ROLE_TEXT, suggestions[i], n);
	}
}

void
compare_draw(struct compare *compare, struct area area)
{
	struct area task = area_top(&area, 3), prompt = area_top(&area, 3);

	compare->columns = area.columns;
	draw_task(compare, task);
	draw_prompt(compare, prompt);
	if (compare->first_start)
		draw_suggestions(compare, area);
	else
		draw_lanes(compare, area);
}
