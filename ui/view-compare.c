/* view-compare.c - the Compare view: its keys, and what they do to its lanes. */

#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ui/compare.h"
#include "ui/diff.h"

enum { PAUSE_MS = 150, N_HISTORY = 500 };

enum request {
	REQUEST_ADD = 1,
	REQUEST_DROP,
	REQUEST_WEIGHTS,
	REQUEST_DIFF,
	REQUEST_BLIND,
	REQUEST_VOTE,
	REQUEST_SETTINGS,
	REQUEST_COPY,
	REQUEST_SAVE,
	REQUEST_EXPORT,
	REQUEST_MERGE,
	REQUEST_RUN,
	REQUEST_FILE,
	REQUEST_RESULTS,
	REQUEST_LIVE,
	REQUEST_TURNS,
	REQUEST_TASK,
	REQUEST_PROMPT,
	REQUEST_LEFT,
	REQUEST_RIGHT,
	REQUEST_UP,
	REQUEST_DOWN,
	REQUEST_PAGE_UP,
	REQUEST_PAGE_DOWN,
	REQUEST_TOGETHER,
	REQUEST_CANCEL
};

static const struct binding bindings[] = {
	{ 'a', REQUEST_ADD, "add", "add a lane: base, an adapter, or a mix a:0.5+b:0.5",
	    "add lane" },
	{ 'x', REQUEST_DROP, "drop", "drop the lane", "drop" },
	{ 'w', REQUEST_WEIGHTS, "weights", "weights of the lane's mix; it runs as they move",
	    "weight" },
	{ 'd', REQUEST_DIFF, "diff", "mark what differs from the lane under the cursor", "diff" },
	{ 'b', REQUEST_BLIND, "blind", "shuffle the lanes and hide their names until a vote",
	    "blind" },
	{ 'v', REQUEST_VOTE, "vote", "vote: then the number of the best lane, 0 is a tie", "vote" },
	{ 's', REQUEST_SETTINGS, "settings", "how tokens are drawn, for all lanes or this one",
	    "settings" },
	{ 'y', REQUEST_COPY, "copy", "copy the lane's text to the clipboard", "copy" },
	{ 'S', REQUEST_SAVE, "save", "save: in the catalog, and as HTML, Markdown or JSONL",
	    "save" },
	{ 'e', REQUEST_EXPORT, "export", "export the lane's adapter for PEFT", "export" },
	{ 'm', REQUEST_MERGE, "merge", "make the lane's mix an adapter of its own", "merge" },
	{ 'r', REQUEST_RUN, "run", "run the prompt again", NULL },
	{ K_ENTER, REQUEST_RUN, NULL, "run the prompt again", NULL },
	{ 't', REQUEST_TASK, "task", "to the Task line", NULL },
	{ 'p', REQUEST_PROMPT, "prompt", "to the Prompt line", NULL },
	{ 'c', REQUEST_TURNS, "conversation", "conversation: prompts go on from the answers",
	    NULL },
	{ CONTROL('L'), REQUEST_LIVE, NULL, "live: make a draft adapter while the task is typed",
	    NULL },
	{ CONTROL('E'), REQUEST_FILE, NULL, "run a file of prompts (a line each, or JSONL)", NULL },
	{ 'R', REQUEST_RESULTS, "results", "the results of the file of prompts", NULL },
	{ K_LEFT, REQUEST_LEFT, NULL, "the lane to the left or right", NULL },
	{ K_RIGHT, REQUEST_RIGHT, NULL, "the lane to the right", NULL },
	{ 'h', REQUEST_LEFT, NULL, "the lane to the left", NULL },
	{ 'l', REQUEST_RIGHT, NULL, "the lane to the right", NULL },
	{ K_UP, REQUEST_UP, NULL, "scroll up", NULL },
	{ 'k', REQUEST_UP, NULL, "scroll up", NULL },
	{ K_DOWN, REQUEST_DOWN, NULL, "scroll down", NULL },
	{ 'j', REQUEST_DOWN, NULL, "scroll down", NULL },
	{ K_PAGE_UP, REQUEST_PAGE_UP, NULL, "scroll a page up", NULL },
	{ K_PAGE_DOWN, REQUEST_PAGE_DOWN, NULL, "scroll a page down", NULL },
	{ 'T', REQUEST_TOGETHER, "together", "scroll all lanes together, or each by itself", NULL },
	{ K_ESC, REQUEST_CANCEL, NULL, "cancel what runs; from a field, to the lanes", NULL },
	{ K_NONE, 0, NULL, NULL, NULL },
};

/* While a text field has the keys. */
static const struct binding task_hints[] = {
	{ K_ENTER, 1, NULL, NULL, "keep" },
	{ CONTROL('L'), 1, NULL, NULL, "live" },
	{ K_TAB, 1, NULL, NULL, "to the prompt" },
	{ K_ESC, 1, NULL, NULL, "to the lanes" },
	{ K_UP, 1, NULL, NULL, "past tasks" },
	{ K_NONE, 0, NULL, NULL, NULL },
};
static const struct binding prompt_hints[] = {
	{ K_ENTER, 1, NULL, NULL, "run" },
	{ CONTROL('E'), 1, NULL, NULL, "file of prompts" },
	{ K_TAB, 1, NULL, NULL, "to the lanes" },
	{ K_UP, 1, NULL, NULL, "past prompts" },
	{ K_NONE, 0, NULL, NULL, NULL },
};

static bool
compare_typing(struct view *view)
{
	return compare_of(view)->focus != FOCUS_LANES;
}

static const struct binding *
compare_hints(struct view *view)
{
	static const struct binding *const hints[] = {
		[FOCUS_TASK] = task_hints,
		[FOCUS_PROMPT] = prompt_hints,
		[FOCUS_LANES] = bindings,
	};

	return hints[compare_of(view)->focus];
}

/* ---- lanes ---- */

struct lane *
compare_lane_at(const struct compare *compare, size_t slot)
{
	for (size_t i = 0; i < compare->n_lanes; i++)
		if (compare->lanes[i]->slot == slot)
			return compare->lanes[i];
	return NULL;
}

struct lane *
compare_draft_lane(const struct compare *compare)
{
	for (size_t i = 0; i < compare->n_lanes; i++)
		if (compare->lanes[i]->draft)
			return compare->lanes[i];
	return NULL;
}

/* In their own order, with the cursor on lane CURSOR. */
void
compare_order_lanes(struct compare *compare, size_t cursor)
{
	for (size_t i = 0; i < MAX_LANES; i++)
		compare->order[i] = i;
	compare->blind = compare->voting = false;
	compare->cursor = cursor < compare->n_lanes ? cursor
			  : compare->n_lanes > 0    ? compare->n_lanes - 1
						    : 0;
}

struct lane *
compare_add_lane(struct compare *compare, bool in_front)
{
	struct workbench *workbench = compare->view->workbench;
	struct lane *lane;
	size_t at = in_front ? 0 : compare->n_lanes;

	if (compare->n_lanes == MAX_LANES) {
		workbench_status(workbench, ROLE_WARN,
		    "there are %d lanes already; x drops the one under the cursor", MAX_LANES);
		return NULL;
	}
	lane = calloc(1, sizeof *lane);
	if (lane == NULL) {
		workbench_status(workbench, ROLE_BAD, "out of memory");
		return NULL;
	}
	while (compare_lane_at(compare, lane->slot) != NULL)
		lane->slot++;
	memmove(&compare->lanes[at + 1], &compare->lanes[at],
	    (compare->n_lanes - at) * sizeof compare->lanes[0]);
	compare->lanes[at] = lane;
	compare->n_lanes++;
	compare_order_lanes(compare, at);
	return lane;
}

void
compare_drop_lane(struct compare *compare, struct lane *lane)
{
	size_t at = 0;

	while (at < compare->n_lanes && compare->lanes[at] != lane)
		at++;
	if (at == compare->n_lanes)
		return;
	if (lane->draft) {
		free(compare->draft_task);
		compare->draft_task = NULL;
	}
	lane_free(lane);
	compare->n_lanes--;
	memmove(&compare->lanes[at], &compare->lanes[at + 1],
	    (compare->n_lanes - at) * sizeof compare->lanes[0]);
	compare_order_lanes(compare, at);
	compare_forget_record(compare);
	compare_count_differences(compare);
}

void
compare_count_differences(struct compare *compare)
{
	const struct lane *reference = compare_cursor(compare);

	for (size_t i = 0; i < compare->n_lanes; i++) {
		struct lane *lane = compare->lanes[i];
		struct diff diff;

		lane->differs = lane != reference && reference->state == LANE_DONE &&
				lane->state == LANE_DONE &&
				diff_words(buffer_string(&reference->text), reference->text.n,
				    buffer_string(&lane->text), lane->text.n, &diff);
		if (!lane->differs)
			continue;
		lane->n_differ = diff.n_differ;
		lane->by_lines = diff.by_lines;
		diff_free(&diff);
	}
}

void
compare_add_adapters(struct view *view, const int64_t *ids, size_t n_ids)
{
	struct compare *compare = compare_of(view);

	compare->first_start = false;
	for (size_t i = 0; i < n_ids; i++) {
		struct store_adapter *row;
		struct lane *lane;

		if (store_get(view->host->store, ids[i], &row) != STORE_OK)
			continue;
		lane = compare_add_lane(compare, false);
		if (lane != NULL) {
			lane->n_parts = 1;
			lane->parts[0] = (struct lane_part){ .id = row->id, .weight = 1 };
			snprintf(lane->parts[0].name, sizeof lane->parts[0].name, "%s", row->name);
			compare_open_adapters(compare, lane);
		}
		store_free(row);
		if (lane == NULL)
			break;
	}
	compare->focus = prompt_line_text(&compare->prompt)[0] != '\0' ? FOCUS_LANES : FOCUS_PROMPT;
}

/* ---- task and prompt ---- */

/* Read when somebody begins to go through it: other processes write histories too. */
static void
load_history(struct compare *compare, bool task)
{
	struct prompt_line *line = task ? &compare->task : &compare->prompt;
	struct store_strings **rows = task ? &compare->task_history : &compare->prompt_history;
	struct store_strings *found = NULL;

	if (line->history_at > 0 ||
	    store_history(compare->view->host->store,
		task ? STORE_HISTORY_TASK : STORE_HISTORY_PROMPT, N_HISTORY, &found) != STORE_OK)
		return;
	prompt_line_history(line, found->rows, found->n_rows);
	store_free(*rows);
	*rows = found;
}

static void
take_suggestion(struct compare *compare)
{
	const char *suggestion = compare->view->host->suggestions[compare->suggestion];
	size_t n = strcspn(suggestion, "\t");
	char *task = strndup(suggestion, n);

	prompt_line_set(&compare->task, task);
	free(task);
	if (suggestion[n] == '\t' && prompt_line_text(&compare->prompt)[0] == '\0')
		prompt_line_set(&compare->prompt, suggestion + n + 1);
	compare->run_after_keep = true;
}

static void
enter_task(struct compare *compare)
{
	if (compare->first_start && prompt_line_text(&compare->task)[0] == '\0')
		take_suggestion(compare);
	compare->first_start = false;
	compare->view->wake_ms = 0;
	workbench_remember(
	    compare->view->workbench, STORE_HISTORY_TASK, prompt_line_text(&compare->task));
	compare_make(compare, true);
}

static void
run_prompt(struct compare *compare)
{
	if (prompt_line_text(&compare->prompt)[0] == '\0') {
		workbench_status(compare->view->workbench, ROLE_WARN, "the prompt is empty");
		return;
	}
	compare->first_start = false;
	workbench_remember(
	    compare->view->workbench, STORE_HISTORY_PROMPT, prompt_line_text(&compare->prompt));
	for (size_t i = 0; i < compare->n_lanes; i++) {
		struct lane *lane = compare->lanes[i];

		if (!compare->multi_turn)
			lane_forget_turns(lane);
		else if (lane->state == LANE_DONE && lane->text.n > 0 && !lane_keep_turn(lane))
			workbench_status(compare->view->workbench, ROLE_BAD, "out of memory");
	}
	compare_run(compare, NULL);
}

void
compare_task_changed(struct compare *compare)
{
	const struct workbench_host *host = compare->view->host;

	compare->first_start &= prompt_line_text(&compare->task)[0] == '\0';
	if (compare->live && host->hypernet != NULL && host->encoder != NULL)
		compare->view->wake_ms = workbench_now_ms() + PAUSE_MS;
}

static void
compare_tick(struct view *view, int64_t now_ms)
{
	struct compare *compare = compare_of(view);
	const char *task = prompt_line_text(&compare->task);

	(void)now_ms;
	if (compare->draft_task == NULL || strcmp(compare->draft_task, task) != 0)
		compare_make(compare, false);
}

/* ---- keys ---- */

static void
move_cursor(struct compare *compare, bool right)
{
	if (right && compare->cursor + 1 < compare->n_lanes)
		compare->cursor++;
	else if (!right && compare->cursor > 0)
		compare->cursor--;
	compare_count_differences(compare);
}

static void
scroll(struct compare *compare, int lines)
{
	for (size_t i = 0; i < compare->n_lanes; i++) {
		struct lane *lane = compare->lanes[i];
		size_t most = lane->n_lines > lane->rows ? lane->n_lines - lane->rows : 0;
		size_t step = (size_t)(lines < 0 ? -lines : lines);

		if (lane != compare_cursor(compare) && !compare->scroll_together)
			continue;
		if (lines < 0)
			lane->scroll -= lane->scroll < step ? lane->scroll : step;
		else
			lane->scroll = lane->scroll + step < most ? lane->scroll + step : most;
	}
}

static void
cancel(struct compare *compare)
{
	struct workbench *workbench = compare->view->workbench;

	if (job_busy(workbench, TOPIC_RUN) || job_busy(workbench, TOPIC_DRAFT)) {
		job_cancel(workbench, TOPIC_RUN);
		job_cancel(workbench, TOPIC_DRAFT);
		workbench_status(workbench, ROLE_WARN, "cancelled");
	} else if (compare->voting) {
		compare->voting = false;
	} else {
		compare->focus = FOCUS_LANES;
	}
}

static void
toggle(struct compare *compare, bool *what, const char *on, const char *off)
{
	*what = !*what;
	workbench_status(compare->view->workbench, ROLE_TEXT, "%s", *what ? on : off);
}

static void
lane_request(struct compare *compare, int request)
{
	struct workbench *workbench = compare->view->workbench;

	switch (request) {
	case REQUEST_DROP:
		if (compare->n_lanes > 1)
			compare_drop_lane(compare, compare_cursor(compare));
		else
			workbench_status(workbench, ROLE_WARN, "the last lane stays");
		break;
	case REQUEST_WEIGHTS:
		sliders_show(compare);
		break;
	case REQUEST_COPY:
		compare_copy(compare);
		break;
	case REQUEST_EXPORT:
		compare_ask_export(compare);
		break;
	case REQUEST_MERGE:
		compare_ask_merge(compare);
		break;
	case REQUEST_LEFT:
	case REQUEST_RIGHT:
		move_cursor(compare, request == REQUEST_RIGHT);
		break;
	case REQUEST_UP:
	case REQUEST_DOWN:
		scroll(compare, request == REQUEST_DOWN ? 1 : -1);
		break;
	case REQUEST_PAGE_UP:
	case REQUEST_PAGE_DOWN:
		scroll(compare, request == REQUEST_PAGE_DOWN ? 10 : -10);
		break;
	}
}

static void
view_request(struct compare *compare, int request)
{
	struct workbench *workbench = compare->view->workbench;

	switch (request) {
	case REQUEST_ADD:
		compare_ask_lane(compare);
		break;
	case REQUEST_DIFF:
		toggle(compare, &compare->diff, "what differs is marked", "nothing is marked");
		break;
	case REQUEST_BLIND:
		compare_toggle_blind(compare);
		break;
	case REQUEST_VOTE:
		compare->voting = compare->n_lanes > 1;
		workbench_status(workbench, ROLE_TEXT,
		    compare->voting ? "which lane is the best? its number from the left, 0 is a tie"
				    : "a vote wants two lanes: a adds one");
		break;
	case REQUEST_SETTINGS:
		settings_show(compare);
		break;
	case REQUEST_SAVE:
		compare_ask_save(compare);
		break;
	case REQUEST_RUN:
		run_prompt(compare);
		break;
	case REQUEST_FILE:
		compare_ask_file(compare);
		break;
	case REQUEST_RESULTS:
		prompt_file_show(compare);
		break;
	case REQUEST_LIVE:
		toggle(compare, &compare->live, "live: a draft is made while you type", "live off");
		break;
	case REQUEST_TURNS:
		toggle(compare, &compare->multi_turn,
		    "conversation: prompts go on from the answers", "each prompt stands alone");
		break;
	case REQUEST_TOGETHER:
		toggle(compare, &compare->scroll_together, "lanes scroll together",
		    "lanes scroll each by itself");
		break;
	case REQUEST_TASK:
		compare->focus = FOCUS_TASK;
		break;
	case REQUEST_PROMPT:
		compare->focus = FOCUS_PROMPT;
		break;
	case REQUEST_CANCEL:
		cancel(compare);
		break;
	default:
		if (compare->n_lanes > 0)
			lane_request(compare, request);
	}
}

static bool
field_keys(struct compare *compare, key_code key)
{
	static const char ours[] = { CONTROL('E'), CONTROL('L'), '\0' };
	bool task = compare->focus == FOCUS_TASK;
	enum line_answer answer;

	if (key == K_ENTER) {
		if (task)
			enter_task(compare);
		else
			run_prompt(compare);
		return true;
	}
	if (task && compare->first_start && (key == K_UP || key == K_DOWN)) {
		const char *const *suggestions = compare->view->host->suggestions;

		if (key == K_UP && compare->suggestion > 0)
			compare->suggestion--;
		else if (key == K_DOWN && compare->suggestion + 1 < MAX_SUGGESTIONS &&
			 suggestions[compare->suggestion + 1] != NULL)
			compare->suggestion++;
		return true;
	}
	if (key == K_UP || key == CONTROL('P'))
		load_history(compare, task);
	answer = prompt_line_key(task ? &compare->task : &compare->prompt, key, ours);
	if (answer == LINE_CHANGED && task)
		compare_task_changed(compare);
	return answer != LINE_IGNORED;
}

static bool
compare_key(struct view *view, key_code key)
{
	struct compare *compare = compare_of(view);
	int request;

	if (key == K_TAB || key == K_BACK_TAB) {
		compare->focus =
		    (enum compare_focus)(((int)compare->focus + (key == K_TAB ? 1 : 2)) % 3);
		return true;
	}
	if (compare->focus != FOCUS_LANES) {
		if (field_keys(compare, key))
			return true;
		if (key_is_text(key))
			return true;
		if (key != K_ESC && key != CONTROL('L') && key != CONTROL('E'))
			return false;
	}
	if ((compare->blind || compare->voting) && key >= '0' && key <= '9') {
		compare_vote(compare, key - '0');
		return true;
	}
	compare->voting = false;
	request = binding_find(bindings, key);
	if (request != 0)
		view_request(compare, request);
	return request != 0;
}

static void
compare_paste(struct view *view, const char *text, size_t n_bytes)
{
	struct compare *compare = compare_of(view);

	if (compare->focus == FOCUS_TASK) {
		prompt_line_insert(&compare->task, text, n_bytes);
		compare_task_changed(compare);
	} else if (compare->focus == FOCUS_PROMPT) {
		prompt_line_insert(&compare->prompt, text, n_bytes);
	}
}

/* Task and Prompt have three rows each; below are the lanes, side by side or as tabs. */
static void
compare_click(struct view *view, int row, int column)
{
	struct compare *compare = compare_of(view);
	size_t across = lane_panes_across(compare->n_lanes, compare->columns);

	compare->focus = row < 3 ? FOCUS_TASK : row < 6 ? FOCUS_PROMPT : FOCUS_LANES;
	if (row >= 6 && across == compare->n_lanes && compare->columns > 0) {
		size_t place = (size_t)column * across / (size_t)compare->columns;

		compare->cursor = place < across ? place : across - 1;
		compare_count_differences(compare);
	}
}

/* ---- the view ---- */

static void
compare_message(struct view *view, struct message *message)
{
	struct compare *compare = compare_of(view);
	struct job *job = message->job;

	if (message->kind == COMPARE_ROW || (job != NULL && is_prompt_file_job(job)))
		prompt_file_message(compare, message);
	else if (message->kind == COMPARE_TOKEN || (job != NULL && is_lane_run(job)))
		lane_run_message(compare, message);
	else if (job != NULL && is_lane_make(job))
		lane_make_done(compare, job);
	else if (job != NULL && is_lane_open(job))
		lane_open_done(compare, job);
	else if (job != NULL && is_compare_save(job))
		compare_save_done(compare, job);
}

static double
setting_number(const struct workbench_host *host, const char *key, double fallback)
{
	const char *text = host->setting(host->user, key);

	return text != NULL ? strtod(text, NULL) : fallback;
}

static void
read_settings(struct compare *compare)
{
	const struct workbench_host *host = compare->view->host;
	struct t2l_sampling *sampling = &compare->settings.sampling;
	const char *live = host->setting(host->user, "ui.live");

	*sampling = t2l_sampling_default();
	sampling->temperature = (float)setting_number(host, "infer.temperature", 0);
	sampling->greedy = !(sampling->temperature > 0);
	sampling->top_k = (int)setting_number(host, "infer.top_k", 0);
	sampling->top_p = (float)setting_number(host, "infer.top_p", 1);
	sampling->min_p = (float)setting_number(host, "infer.min_p", 0);
	sampling->repetition_penalty = (float)setting_number(host, "infer.repetition_penalty", 1);
	sampling->seed = (uint64_t)setting_number(host, "infer.seed", 1);
	compare->settings.max_tokens = (size_t)setting_number(host, "infer.max_tokens", 256);
	compare->live = live == NULL || strcmp(live, "false") != 0;
	compare->usual = compare->settings; /* no texts yet */
}

static bool
is_first_start(const struct compare *compare)
{
	const struct workbench_host *host = compare->view->host;
	struct store_query nothing = { 0 };
	struct store_adapters *found;
	bool empty;

	if (host->suggestions == NULL || host->suggestions[0] == NULL || host->hypernet == NULL ||
	    host->encoder == NULL || store_search(host->store, &nothing, &found) != STORE_OK)
		return false;
	empty = found->n_living == 0;
	store_free(found);
	return empty;
}

static bool
compare_open(struct view *view)
{
	struct compare *compare = calloc(1, sizeof *compare);

	if (compare == NULL)
		return false;
	view->state = compare;
	compare->view = view;
	prompt_line_init(&compare->task, MAX_TEXT_BYTES);
	prompt_line_init(&compare->prompt, MAX_TEXT_BYTES);
	read_settings(compare);
	compare->first_start = is_first_start(compare);
	compare_restore(compare);
	if (compare->n_lanes == 0)
		compare_add_lane(compare, false);
	if (view->host->hypernet == NULL || view->host->encoder == NULL)
		compare->focus = FOCUS_PROMPT;
	return compare->n_lanes > 0;
}

static void
compare_leaving(struct view *view)
{
	compare_keep_state(compare_of(view));
}

static void
compare_close(struct view *view)
{
	struct compare *compare = compare_of(view);

	for (size_t i = 0; i < compare->n_lanes; i++)
		lane_free(compare->lanes[i]);
	compare_forget_record(compare);
	prompt_line_free(&compare->task);
	prompt_line_free(&compare->prompt);
	store_free(compare->task_history);
	store_free(compare->prompt_history);
	run_settings_free(&compare->settings);
	run_settings_free(&compare->usual);
	free(compare->remembered);
	prompt_file_free(compare->file);
	free(compare->draft_task);
	free(compare->merged_name);
	free(compare);
}

static void
compare_draw_view(struct view *view, struct area area)
{
	compare_draw(compare_of(view), area);
}

const struct view_ops view_compare = {
	.name = "compare",
	.title = "Compare",
	.bindings = bindings,
	.typing = compare_typing,
	.hints = compare_hints,
	.open = compare_open,
	.close = compare_close,
	.draw = compare_draw_view,
	.key = compare_key,
	.paste = compare_paste,
	.click = compare_click,
	.message = compare_message,
	.tick = compare_tick,
	.leaving = compare_leaving,
};
