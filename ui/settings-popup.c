/* settings-popup.c - how tokens are drawn: a table of numbers to change, for all lanes or for one.
 */

#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "base/number.h"
#include "ui/compare.h"

struct popup {
	struct compare *compare;
	size_t slot; /* of the lane it may be about */
	bool one_lane, changed;
	size_t row;
};

/* The sampling that is changed: all lanes' or the lane's own. */
static struct t2l_sampling *
sampling_of(const struct popup *popup)
{
	struct lane *lane = popup->one_lane ? compare_lane_at(popup->compare, popup->slot) : NULL;

	if (lane == NULL)
		return &popup->compare->settings.sampling;
	if (!lane->own_sampling) {
		lane->own_sampling = true;
		lane->sampling = popup->compare->settings.sampling;
	}
	return &lane->sampling;
}

/* The same to look at. */
static const struct t2l_sampling *
shown_sampling(const struct popup *popup)
{
	const struct lane *lane = compare_lane_at(popup->compare, popup->slot);

	return popup->one_lane && lane != NULL && lane->own_sampling
		   ? &lane->sampling
		   : &popup->compare->settings.sampling;
}

static double
value_of(const struct popup *popup, const struct run_setting *row)
{
	return run_setting_number(&popup->compare->settings, shown_sampling(popup), row);
}

static void
set_value(struct popup *popup, const struct run_setting *row, double value)
{
	bool for_all = row->kind == SETTING_TOKENS || row->kind == SETTING_RAW;
	struct run_settings *settings = &popup->compare->settings;

	run_setting_set_number(
	    settings, for_all ? &settings->sampling : sampling_of(popup), row, value);
	popup->changed = true;
}

static void
row_text(const struct popup *popup, const struct run_setting *row, struct buffer *text)
{
	run_setting_text(&popup->compare->settings, shown_sampling(popup), row, text);
}

static void
popup_draw(struct view *view, struct area area)
{
	struct popup *popup = view->state;
	struct area box = area_middle(area, (int)N_RUN_SETTINGS + 3, 76);
	struct area inside = area_inside(box);

	draw_clear(box);
	draw_box(box, ROLE_FOCUS,
	    &(struct box_titles){
		.top_left = popup->one_lane ? "Settings of this lane" : "Settings of all lanes",
		.bottom_right = "h l change · Enter type · Tab lane or all · Esc done" });
	for (size_t i = 0; i < N_RUN_SETTINGS; i++) {
		bool chosen = i == popup->row;
		enum role role = chosen ? ROLE_SELECTED : ROLE_TEXT;
		struct buffer text = { 0 };

		if (chosen)
			draw_fill(inside, (int)i, role);
		row_text(popup, &run_setting_rows[i], &text);
		draw_string(inside, (int)i, 1, role, run_setting_rows[i].name);
		draw_short(inside, (int)i, 21, 12, role, buffer_string(&text));
		draw_short(inside, (int)i, 34, inside.columns - 35,
		    chosen ? ROLE_SELECTED : ROLE_DIM, run_setting_rows[i].help);
		buffer_free(&text);
	}
}

static void
typed(void *user, const char *text)
{
	struct popup *popup = user;
	const struct run_setting *row = &run_setting_rows[popup->row];
	double value;

	if (text == NULL)
		return;
	if (run_setting_is_text(row)) {
		run_setting_set_text(&popup->compare->settings, row, text);
		popup->changed = true;
	} else if (!number_parse(text, strlen(text), &value) || value < row->min ||
		   value > row->max) {
		workbench_status(popup->compare->view->workbench, ROLE_BAD,
		    "%s: '%s' is no number in %.6g .. %.6g", row->name, text, row->min, row->max);
	} else {
		set_value(popup, row, value);
	}
}

static void
type_value(struct popup *popup)
{
	const struct run_setting *row = &run_setting_rows[popup->row];
	struct buffer text = { 0 };

	if (row->kind == SETTING_RAW) {
		set_value(popup, row, value_of(popup, row) > 0 ? 0 : 1);
		return;
	}
	row_text(popup, row, &text);
	workbench_ask(
	    popup->compare->view->workbench, row->name, buffer_string(&text), NULL, typed, popup);
	buffer_free(&text);
}

static void
popup_close(struct view *view)
{
	struct popup *popup = view->state;

	free(popup);
}

static bool
popup_key(struct view *view, key_code key)
{
	struct popup *popup = view->state;
	struct compare *compare = popup->compare;
	const struct run_setting *row = &run_setting_rows[popup->row];
	bool text = run_setting_is_text(row), changed = popup->changed;

	switch (key) {
	case K_ESC:
	case 'q':
	case 's':
		workbench_pop(view->workbench);
		if (changed)
			compare_run(compare, NULL);
		break;
	case K_UP:
	case 'k':
		popup->row -= popup->row > 0;
		break;
	case K_DOWN:
	case 'j':
		popup->row += popup->row + 1 < N_RUN_SETTINGS;
		break;
	case K_TAB:
		popup->one_lane = !popup->one_lane;
		break;
	case K_LEFT:
	case 'h':
	case K_RIGHT:
	case 'l':
		if (row->kind == SETTING_RAW)
			set_value(popup, row, value_of(popup, row) > 0 ? 0 : 1);
		else if (!text)
			set_value(popup, row,
			    value_of(popup, row) +
				(key == 'h' || key == K_LEFT ? -row->step : row->step));
		break;
	case K_ENTER:
		type_value(popup);
		break;
	default:
		return false;
	}
	return true;
}

static const struct view_ops popup_ops = {
	.name = "settings",
	.close = popup_close,
	.draw = popup_draw,
	.key = popup_key,
};

void
settings_show(struct compare *compare)
{
	const struct lane *lane = compare_cursor(compare);
	struct popup *popup = calloc(1, sizeof *popup);

	if (popup == NULL)
		return;
	popup->compare = compare;
	popup->slot = lane != NULL ? lane->slot : 0;
	popup->one_lane = lane != NULL && lane->own_sampling;
	workbench_push(compare->view->workbench, &popup_ops, popup);
}
