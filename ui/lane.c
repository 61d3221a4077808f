/* lane.c - names of lanes, and their memory. */

#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ui/lane.h"

void
lane_free(struct lane *lane)
{
	if (lane == NULL)
		return;
	for (size_t i = 0; i < lane->n_parts; i++)
		t2l_adapter_close(lane->parts[i].adapter);
	lane_forget_turns(lane);
	buffer_free(&lane->text);
	free(lane->prompt);
	free(lane);
}

static void
take(char *out, size_t size, struct buffer *text)
{
	snprintf(out, size, "%s", buffer_string(text));
	buffer_free(text);
}

void
lane_label(const struct lane *lane, char *out, size_t size)
{
	struct buffer label = { 0 };

	if (lane->n_parts == 0)
		buffer_text(&label, "base");
	for (size_t i = 0; i < lane->n_parts; i++) {
		const struct lane_part *part = &lane->parts[i];

		if (i > 0)
			buffer_text(&label, " + ");
		if (lane->n_parts > 1 || part->weight < 1 || part->weight > 1)
			buffer_printf(&label, "%.4g·", (double)part->weight);
		buffer_text(&label, part->name);
	}
	take(out, size, &label);
}

void
lane_spec(const struct lane *lane, char *out, size_t size)
{
	struct buffer spec = { 0 };

	if (lane->n_parts == 0)
		buffer_text(&spec, "base");
	for (size_t i = 0; i < lane->n_parts; i++) {
		const struct lane_part *part = &lane->parts[i];

		buffer_printf(&spec, "%s%s", i > 0 ? "+" : "", part->name);
		if (lane->n_parts > 1 || part->weight < 1 || part->weight > 1)
			buffer_printf(&spec, ":%.4g", (double)part->weight);
	}
	take(out, size, &spec);
}

bool
lane_ready(const struct lane *lane)
{
	for (size_t i = 0; i < lane->n_parts; i++)
		if (lane->parts[i].adapter == NULL)
			return false;
	return true;
}

bool
lane_kept(const struct lane *lane)
{
	for (size_t i = 0; i < lane->n_parts; i++)
		if (lane->parts[i].id == 0)
			return false;
	return lane->n_parts > 0;
}

void
lane_forget_text(struct lane *lane)
{
	buffer_clear(&lane->text);
	lane->state = LANE_EMPTY;
	lane->n_tokens = 0;
	lane->differs = false;
	lane->scroll = 0;
}

bool
lane_keep_turn(struct lane *lane)
{
	struct turn *turns = realloc(lane->turns, (lane->n_turns + 1) * sizeof *turns);

	if (turns == NULL)
		return false;
	lane->turns = turns;
	struct turn turn = { strdup(lane->prompt != NULL ? lane->prompt : ""),
		strndup(buffer_string(&lane->text), lane->text.n) };

	if (turn.prompt == NULL || turn.answer == NULL) {
		free(turn.prompt);
		free(turn.answer);
		return false;
	}
	turns[lane->n_turns++] = turn;
	lane_forget_text(lane);
	return true;
}

void
lane_forget_turns(struct lane *lane)
{
	for (size_t i = 0; i < lane->n_turns; i++) {
		free(lane->turns[i].prompt);
		free(lane->turns[i].answer);
	}
	free(lane->turns);
	lane->turns = NULL;
	lane->n_turns = 0;
}
