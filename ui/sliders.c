/* sliders.c - the weights of a lane's mix; the lane runs again as they move. */

#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ui/compare.h"

enum { NAME_COLUMNS = 24 };
#define SLIDER_MOST 2.0f /* the bar's ends; weights may go beyond */

struct sliders {
	struct compare *compare;
	size_t slot; /* the lane may go meanwhile */
	size_t row;
};

static struct lane *
lane_of(const struct sliders *sliders)
{
	return compare_lane_at(sliders->compare, sliders->slot);
}

static void
sliders_close(struct view *view)
{
	free(view->state);
}

static void
sliders_draw(struct view *view, struct area area)
{
	struct sliders *sliders = view->state;
	const struct lane *lane = lane_of(sliders);
	size_t n = lane != NULL ? lane->n_parts : 0;
	struct area box = area_middle(area, (int)n + 4, 74), inside = area_inside(box);

	/* Low on the screen: the lanes above are what is watched. */
	box.row = area.row + area.rows - box.rows - 1;
	inside.row = box.row + 1;
	draw_clear(box);
	draw_box(box, ROLE_FOCUS,
	    &(struct box_titles){ .top_left = "Weights",
		.bottom_right = "h l 0.05 · H L 0.25 · 0 1 set · a add · x remove · Enter done" });
	for (size_t i = 0; i < n; i++) {
		const struct lane_part *part = &lane->parts[i];
		enum role role = i == sliders->row ? ROLE_FOCUS : ROLE_TEXT;
		int row = (int)i + 1, bar = inside.columns - NAME_COLUMNS - 14;
		struct buffer name = { 0 };

		if (i == sliders->row)
			draw_string(inside, row, 0, role, draw_symbol(SYMBOL_ARROW));
		draw_cut_name(part->name, NAME_COLUMNS, &name);
		draw_string(inside, row, 2, role, buffer_string(&name));
		buffer_free(&name);
		draw_bar(inside, row, NAME_COLUMNS + 3, bar, part->weight / SLIDER_MOST);
		draw_format(
		    inside, row, NAME_COLUMNS + bar + 5, role, "%6.2f", (double)part->weight);
	}
}

static void
set_weight(struct sliders *sliders, struct lane *lane, float weight)
{
	/* Steps are of 0.05: sums of them are rounded, so that 0 is 0. */
	float rounded = (float)((int)(weight * 100 + (weight < 0 ? -0.5f : 0.5f))) / 100;

	if (rounded < -10 || rounded > 10)
		return;
	lane->parts[sliders->row].weight = rounded;
	compare_run(sliders->compare, lane);
}

static void
add_answered(void *user, const char *text)
{
	struct compare *compare = user;
	struct workbench *workbench = compare->view->workbench;
	struct lane *lane = compare_cursor(compare), parsed = { 0 };
	char message[1024];

	if (text == NULL || text[0] == '\0' || lane == NULL)
		return;
	if (!lane_parse(compare->view->host->store, text, &parsed, message, sizeof message)) {
		workbench_status(workbench, ROLE_BAD, "%s", message);
	} else if (lane->n_parts + parsed.n_parts > MAX_PARTS) {
		workbench_status(workbench, ROLE_BAD, "a mix has at most %d adapters", MAX_PARTS);
	} else {
		for (size_t i = 0; i < parsed.n_parts; i++)
			lane->parts[lane->n_parts++] = parsed.parts[i];
		compare_open_adapters(compare, lane);
	}
}

static char **
add_completions(void *user, const char *text)
{
	struct compare *compare = user;
	struct store_strings *names;
	char **words = NULL;
	size_t n = 0;

	if (store_names(compare->view->host->store, text, 50, &names) != STORE_OK)
		return NULL;
	words = calloc(names->n_rows + 1, sizeof *words);
	for (size_t i = 0; words != NULL && i < names->n_rows; i++)
		if ((words[n] = strdup(names->rows[i])) != NULL)
			n++;
	store_free(names);
	return words;
}

static void
remove_part(struct sliders *sliders, struct lane *lane)
{
	t2l_adapter_close(lane->parts[sliders->row].adapter);
	lane->n_parts--;
	memmove(&lane->parts[sliders->row], &lane->parts[sliders->row + 1],
	    (lane->n_parts - sliders->row) * sizeof lane->parts[0]);
	if (sliders->row > 0 && sliders->row == lane->n_parts)
		sliders->row--;
	compare_run(sliders->compare, lane);
}

static bool
sliders_key(struct view *view, key_code key)
{
	struct sliders *sliders = view->state;
	struct lane *lane = lane_of(sliders);
	float weight;

	if (lane == NULL || sliders->row >= lane->n_parts || key == K_ESC || key == K_ENTER ||
	    key == 'q' || key == 'w') {
		workbench_pop(view->workbench);
		return true;
	}
	weight = lane->parts[sliders->row].weight;
	switch (key) {
	case 'h':
	case K_LEFT:
		set_weight(sliders, lane, weight - 0.05f);
		break;
	case 'l':
	case K_RIGHT:
		set_weight(sliders, lane, weight + 0.05f);
		break;
	case 'H':
		set_weight(sliders, lane, weight - 0.25f);
		break;
	case 'L':
		set_weight(sliders, lane, weight + 0.25f);
		break;
	case '0':
	case '1':
		set_weight(sliders, lane, (float)(key - '0'));
		break;
	case 'j':
	case K_DOWN:
		sliders->row += sliders->row + 1 < lane->n_parts;
		break;
	case 'k':
	case K_UP:
		sliders->row -= sliders->row > 0;
		break;
	case 'a':
		workbench_ask(view->workbench, "Add to the mix: NAME or NAME:0.5", NULL,
		    add_completions, add_answered, sliders->compare);
		break;
	case 'x':
		if (lane->n_parts > 1)
			remove_part(sliders, lane);
		break;
	default:
		return false;
	}
	return true;
}

static const struct view_ops sliders_ops = {
	.name = "sliders",
	.close = sliders_close,
	.draw = sliders_draw,
	.key = sliders_key,
};

void
sliders_show(struct compare *compare)
{
	const struct lane *lane = compare_cursor(compare);
	struct sliders *sliders;

	if (lane == NULL || lane->n_parts == 0) {
		workbench_status(compare->view->workbench, ROLE_WARN,
		    "the base alone has no weights; a adds a lane with an adapter or a mix");
		return;
	}
	sliders = calloc(1, sizeof *sliders);
	if (sliders == NULL)
		return;
	*sliders = (struct sliders){ compare, lane->slot, 0 };
	workbench_push(compare->view->workbench, &sliders_ops, sliders);
}
