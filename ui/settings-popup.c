/* settings-popup.c - how tokens are drawn: a table of numbers to change, for all lanes or for one.
 */

#include "config.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"
#include "ui/compare.h"

enum kind {
	KIND_FLOAT,
	KIND_INT,
	KIND_SEED,
	KIND_TOKENS, /* of the view, not of a lane's sampling; likewise the rest */
	KIND_RAW,
	KIND_SYSTEM,
	KIND_STOP
};

/* One row: where the number is in struct t2l_sampling, and how far a key moves it. */
static const struct row {
	const char *name, *help;
	enum kind kind;
	size_t offset;
	double step, min, max;
} rows[] = {
	{ "temperature", "0 always takes the likeliest token", KIND_FLOAT,
	    offsetof(struct t2l_sampling, temperature), 0.05, 0, 100 },
	{ "top_k", "only the k likeliest; 0 all", KIND_INT, offsetof(struct t2l_sampling, top_k), 5,
	    0, 1e9 },
	{ "top_p", "nucleus; 1 all", KIND_FLOAT, offsetof(struct t2l_sampling, top_p), 0.05, 0, 1 },
	{ "min_p", "share of the likeliest's; 0 all", KIND_FLOAT,
	    offsetof(struct t2l_sampling, min_p), 0.01, 0, 1 },
	{ "repetition penalty", "1 none", KIND_FLOAT,
	    offsetof(struct t2l_sampling, repetition_penalty), 0.05, 0.01, 100 },
	{ "frequency penalty", "0 none", KIND_FLOAT,
	    offsetof(struct t2l_sampling, frequency_penalty), 0.05, -10, 10 },
	{ "presence penalty", "0 none", KIND_FLOAT, offsetof(struct t2l_sampling, presence_penalty),
	    0.05, -10, 10 },
	{ "seed", "the same in all lanes draws the same numbers", KIND_SEED,
	    offsetof(struct t2l_sampling, seed), 1, 0, 9e15 },
	{ "max tokens", "of an answer", KIND_TOKENS, 0, 16, 1, 1e9 },
	{ "no chat template", "the prompt as it stands", KIND_RAW, 0, 0, 0, 1 },
	{ "system", "the system message", KIND_SYSTEM, 0, 0, 0, 0 },
	{ "stop", "texts that end an answer, with | between", KIND_STOP, 0, 0, 0, 0 },
};
#define N_ROWS (sizeof rows / sizeof rows[0])

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

static double
value_of(const struct popup *popup, const struct row *row)
{
	const struct lane *lane = compare_lane_at(popup->compare, popup->slot);
	const struct t2l_sampling *sampling = popup->one_lane && lane != NULL && lane->own_sampling
						  ? &lane->sampling
						  : &popup->compare->settings.sampling;
	const char *at = (const char *)sampling + row->offset;

	switch (row->kind) {
	case KIND_FLOAT:
		return (double)*(const float *)at;
	case KIND_INT:
		return *(const int *)at;
	case KIND_SEED:
		return (double)*(const uint64_t *)at;
	case KIND_TOKENS:
		return (double)popup->compare->settings.max_tokens;
	case KIND_RAW:
		return popup->compare->settings.raw;
	default:
		return 0;
	}
}

static void
set_value(struct popup *popup, const struct row *row, double value)
{
	struct run_settings *settings = &popup->compare->settings;
	char *at;

	value = fmin(fmax(value, row->min), row->max);
	/* Steps of 0.05 in float drift; hundredths are what is shown. */
	if (row->kind == KIND_FLOAT)
		value = round(value * 1e4) / 1e4;
	popup->changed = true;
	if (row->kind == KIND_TOKENS) {
		settings->max_tokens = (size_t)value;
		return;
	}
	if (row->kind == KIND_RAW) {
		settings->raw = value > 0;
		return;
	}
	at = (char *)sampling_of(popup) + row->offset;
	if (row->kind == KIND_FLOAT)
		*(float *)at = (float)value;
	else if (row->kind == KIND_INT)
		*(int *)at = (int)value;
	else
		*(uint64_t *)at = (uint64_t)value;
	sampling_of(popup)->greedy = !(sampling_of(popup)->temperature > 0);
}

static void
stops_text(const struct run_settings *settings, struct buffer *text)
{
	for (size_t i = 0; i < settings->n_stop; i++)
		buffer_printf(text, "%s%s", i > 0 ? "|" : "", settings->stop[i]);
}

static void
set_stops(struct run_settings *settings, const char *text)
{
	for (size_t i = 0; i < settings->n_stop; i++)
		free(settings->stop[i]);
	memset(settings->stop, 0, sizeof settings->stop);
	settings->n_stop = 0;
	while (*text != '\0' && settings->n_stop < MAX_STOPS) {
		size_t n = strcspn(text, "|");

		if (n > 0 && (settings->stop[settings->n_stop] = strndup(text, n)) != NULL)
			settings->n_stop++;
		text += n + (text[n] == '|');
	}
}

static void
row_text(const struct popup *popup, const struct row *row, struct buffer *text)
{
	char number[32];

	switch (row->kind) {
	case KIND_RAW:
		buffer_text(text, popup->compare->settings.raw ? "on" : "off");
		break;
	case KIND_SYSTEM:
		if (popup->compare->settings.system != NULL)
			buffer_text(text, popup->compare->settings.system);
		break;
	case KIND_STOP:
		stops_text(&popup->compare->settings, text);
		break;
	case KIND_FLOAT:
		buffer_printf(text, "%.6g", value_of(popup, row));
		break;
	default:
		buffer_text(text, number_text(value_of(popup, row), number, sizeof number));
	}
}

static void
popup_draw(struct view *view, struct area area)
{
	struct popup *popup = view->state;
	struct area box = area_middle(area, (int)N_ROWS + 3, 76);
	struct area inside = area_inside(box);

	draw_clear(box);
	draw_box(box, ROLE_FOCUS,
	    &(struct box_titles){
		.top_left = popup->one_lane ? "Settings of this lane" : "Settings of all lanes",
		.bottom_right = "h l change · Enter type · Tab lane or all · Esc done" });
	for (size_t i = 0; i < N_ROWS; i++) {
		bool chosen = i == popup->row;
		enum role role = chosen ? ROLE_SELECTED : ROLE_TEXT;
		struct buffer text = { 0 };

		if (chosen)
			draw_fill(inside, (int)i, role);
		row_text(popup, &rows[i], &text);
		draw_string(inside, (int)i, 1, role, rows[i].name);
		draw_short(inside, (int)i, 21, 12, role, buffer_string(&text));
		draw_short(inside, (int)i, 34, inside.columns - 35,
		    chosen ? ROLE_SELECTED : ROLE_DIM, rows[i].help);
		buffer_free(&text);
	}
}

static void
typed(void *user, const char *text)
{
	struct popup *popup = user;
	const struct row *row = &rows[popup->row];
	struct run_settings *settings = &popup->compare->settings;
	double value;

	if (text == NULL)
		return;
	if (row->kind == KIND_SYSTEM) {
		free(settings->system);
		settings->system = text[0] != '\0' ? strdup(text) : NULL;
		popup->changed = true;
	} else if (row->kind == KIND_STOP) {
		set_stops(settings, text);
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
	const struct row *row = &rows[popup->row];
	struct buffer text = { 0 };

	if (row->kind == KIND_RAW) {
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
	const struct row *row = &rows[popup->row];
	bool text = row->kind == KIND_SYSTEM || row->kind == KIND_STOP, changed = popup->changed;

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
		popup->row += popup->row + 1 < N_ROWS;
		break;
	case K_TAB:
		popup->one_lane = !popup->one_lane;
		break;
	case K_LEFT:
	case 'h':
	case K_RIGHT:
	case 'l':
		if (row->kind == KIND_RAW)
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
