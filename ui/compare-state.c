/* compare-state.c - what is on the Compare screen, kept in the catalog from one run to the next.
 *
 * One JSON text for each base model, whose lanes no other base could run:
 *   {"task","prompt","lanes":[{"parts":[{"id","weight"}],"settings":{}}],"cursor","settings":{},
 *    "diff","conversation","together","draft"}
 * "settings" has what differs from the configuration, so that what was never touched follows it. A
 * draft is in no catalog: it is made again from the task. Texts of lanes are not kept: Enter brings
 * them back.
 */

#include "config.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ui/compare.h"

enum { KEPT_TEXT_BYTES = 16 * 1024 }; /* of the task and of the prompt; the store takes 64 KiB */

static const struct {
	const char *name;
	size_t offset;
} switches[] = {
	{ "diff", offsetof(struct compare, diff) },
	{ "conversation", offsetof(struct compare, multi_turn) },
	{ "together", offsetof(struct compare, scroll_together) },
};
#define N_SWITCHES (sizeof switches / sizeof switches[0])

static void
state_key(const struct compare *compare, char *key, size_t size)
{
	const struct t2l_model_facts *base = t2l_model_facts(compare->view->host->model);

	snprintf(key, size, "compare %.100s",
	    base->fingerprint[0] != '\0' ? base->fingerprint : base->name);
}

/* ---- writing ---- */

static cJSON *
lane_json(const struct compare *compare, const struct lane *lane)
{
	cJSON *object = cJSON_CreateObject(), *parts = cJSON_AddArrayToObject(object, "parts");

	for (size_t i = 0; i < lane->n_parts; i++) {
		cJSON *part = cJSON_CreateObject();

		cJSON_AddNumberToObject(part, "id", (double)lane->parts[i].id);
		cJSON_AddNumberToObject(part, "weight", (double)lane->parts[i].weight);
		cJSON_AddItemToArray(parts, part);
	}
	if (lane->own_sampling)
		cJSON_AddItemToObject(object, "settings",
		    run_settings_changes(&compare->settings, &lane->sampling, &compare->usual));
	return object;
}

static void
add_text(cJSON *state, const char *name, const struct prompt_line *line)
{
	if (line->n <= KEPT_TEXT_BYTES)
		cJSON_AddStringToObject(state, name, prompt_line_text(line));
}

/* In fresh memory; NULL: out of memory. */
static char *
state_text(const struct compare *compare)
{
	cJSON *state = cJSON_CreateObject(), *lanes = cJSON_AddArrayToObject(state, "lanes");
	double cursor = 0;
	char *text;

	add_text(state, "task", &compare->task);
	add_text(state, "prompt", &compare->prompt);
	for (size_t i = 0; i < compare->n_lanes; i++) {
		const struct lane *lane = compare->lanes[i];

		if (lane->n_parts > 0 && !lane_kept(lane))
			continue;
		if (!compare->blind && lane == compare_cursor(compare))
			cursor = cJSON_GetArraySize(lanes);
		cJSON_AddItemToArray(lanes, lane_json(compare, lane));
	}
	cJSON_AddNumberToObject(state, "cursor", cursor);
	cJSON_AddItemToObject(state, "settings",
	    run_settings_changes(&compare->settings, &compare->settings.sampling, &compare->usual));
	for (size_t i = 0; i < N_SWITCHES; i++)
		cJSON_AddBoolToObject(state, switches[i].name,
		    *(const bool *)((const char *)compare + switches[i].offset));
	cJSON_AddBoolToObject(state, "draft", compare_draft_lane(compare) != NULL);
	text = cJSON_PrintUnformatted(state);
	cJSON_Delete(state);
	return text;
}

void
compare_keep_state(struct compare *compare)
{
	char *text, key[128];

	if (compare->first_start)
		return;
	text = state_text(compare);
	if (text == NULL ||
	    (compare->remembered != NULL && strcmp(text, compare->remembered) == 0)) {
		free(text);
		return;
	}
	state_key(compare, key, sizeof key);
	if (strlen(text) <= STORE_TEXT_MAX)
		workbench_set_state(compare->view->workbench, key, text);
	free(compare->remembered);
	compare->remembered = text;
}

/* ---- reading: the catalog is a file, so nothing of this is trusted ---- */

static void
restore_text(const cJSON *state, const char *name, struct prompt_line *line)
{
	const cJSON *text = cJSON_GetObjectItemCaseSensitive(state, name);

	if (cJSON_IsString(text))
		prompt_line_set(line, text->valuestring);
}

/* False: it is no adapter of the catalog, or not any more. */
static bool
restore_part(struct store *store, const cJSON *json, struct lane_part *part)
{
	const cJSON *id = cJSON_GetObjectItemCaseSensitive(json, "id");
	const cJSON *weight = cJSON_GetObjectItemCaseSensitive(json, "weight");
	struct store_adapter *row;
	bool living;

	if (!cJSON_IsNumber(id) || !(id->valuedouble >= 1 && id->valuedouble < 9e15) ||
	    store_get(store, (int64_t)id->valuedouble, &row) != STORE_OK)
		return false;
	living = row->trashed_ms == 0;
	*part = (struct lane_part){ .id = row->id, .weight = 1 };
	snprintf(part->name, sizeof part->name, "%s", row->name);
	if (cJSON_IsNumber(weight) && fabs(weight->valuedouble) <= 1000)
		part->weight = (float)weight->valuedouble;
	store_free(row);
	return living;
}

static bool
restore_lane(struct compare *compare, const cJSON *json)
{
	const cJSON *settings = cJSON_GetObjectItemCaseSensitive(json, "settings"), *part;
	struct lane_part parts[MAX_PARTS];
	struct lane *lane;
	size_t n = 0;

	cJSON_ArrayForEach(part, cJSON_GetObjectItemCaseSensitive(json, "parts"))
	{
		if (n == MAX_PARTS || !restore_part(compare->view->host->store, part, &parts[n]))
			return false;
		n++;
	}
	if (compare->n_lanes == MAX_LANES || (lane = compare_add_lane(compare, false)) == NULL)
		return false;
	memcpy(lane->parts, parts, n * sizeof parts[0]);
	lane->n_parts = n;
	if (cJSON_IsObject(settings)) {
		struct run_settings scratch = { .sampling = compare->usual.sampling };

		lane->own_sampling = true;
		lane->sampling = compare->usual.sampling;
		run_settings_change(&scratch, &lane->sampling, settings);
		run_settings_free(&scratch);
	}
	lane->restored = true;
	if (n > 0)
		compare_open_adapters(compare, lane);
	return true;
}

static void
restore_lanes(struct compare *compare, const cJSON *lanes, const cJSON *cursor)
{
	size_t n_lost = 0;
	const cJSON *json;

	cJSON_ArrayForEach(json, lanes)
	{
		n_lost += !restore_lane(compare, json);
	}
	if (n_lost > 0)
		workbench_status(compare->view->workbench, ROLE_WARN,
		    "%zu lane%s of last time cannot be shown again: adapters are gone", n_lost,
		    n_lost > 1 ? "s" : "");
	compare_order_lanes(compare,
	    cJSON_IsNumber(cursor) && cursor->valuedouble >= 0 && cursor->valuedouble < MAX_LANES
		? (size_t)cursor->valuedouble
		: 0);
}

static void
restore_from(struct compare *compare, const cJSON *state)
{
	restore_text(state, "task", &compare->task);
	restore_text(state, "prompt", &compare->prompt);
	run_settings_change(&compare->settings, &compare->settings.sampling,
	    cJSON_GetObjectItemCaseSensitive(state, "settings"));
	for (size_t i = 0; i < N_SWITCHES; i++) {
		const cJSON *on = cJSON_GetObjectItemCaseSensitive(state, switches[i].name);

		if (cJSON_IsBool(on))
			*(bool *)((char *)compare + switches[i].offset) = cJSON_IsTrue(on);
	}
	restore_lanes(compare, cJSON_GetObjectItemCaseSensitive(state, "lanes"),
	    cJSON_GetObjectItemCaseSensitive(state, "cursor"));
	if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(state, "draft")))
		compare_task_changed(compare);
	if (prompt_line_text(&compare->prompt)[0] != '\0')
		compare->focus = FOCUS_PROMPT;
}

void
compare_restore(struct compare *compare)
{
	char key[128], *text = NULL;
	cJSON *state;

	state_key(compare, key, sizeof key);
	if (store_state_get(compare->view->host->store, key, &text) != STORE_OK || text == NULL)
		return;
	state = cJSON_Parse(text);
	if (cJSON_IsObject(state))
		restore_from(compare, state);
	cJSON_Delete(state);
	compare->remembered = strdup(text);
	store_free(text);
}
