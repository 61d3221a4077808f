/* compare-actions.c - what can be done with lanes besides running them: add, blind, vote, copy,
 * save, export, merge. */

#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ui/command-words.h"
#include "ui/compare.h"
#include "ui/terminal.h"

/* ---- a new lane ---- */

static void ask_lane(struct compare *compare, const char *initial);

static void
add_answered(void *user, const char *text)
{
	struct compare *compare = user;
	struct lane parsed = { 0 }, *lane;
	char message[1024];

	if (text == NULL || text[0] == '\0')
		return;
	if (!lane_parse(compare->view->host->store, text, &parsed, message, sizeof message)) {
		ask_lane(compare, text);
		workbench_status(compare->view->workbench, ROLE_BAD, "%s", message);
		return;
	}
	lane = compare_add_lane(compare, false);
	if (lane == NULL)
		return;
	memcpy(lane->parts, parsed.parts, sizeof lane->parts);
	lane->n_parts = parsed.n_parts;
	compare_open_adapters(compare, lane);
}

/* What is typed up to the last '+', with each name that may follow. */
static char **
add_completions(void *user, const char *text)
{
	struct compare *compare = user;
	const char *last = strrchr(text, '+');
	struct store_strings *names = NULL;
	char **words;
	size_t n = 0;

	last = last != NULL ? last + 1 : text;
	last += strspn(last, " ");
	if (store_names(compare->view->host->store, last, 50, &names) != STORE_OK)
		names = NULL;
	words = calloc((names != NULL ? names->n_rows : 0) + 2, sizeof *words);
	if (words != NULL && last == text && strncmp("base", text, strlen(text)) == 0 &&
	    (words[n] = strdup("base")) != NULL)
		n++;
	for (size_t i = 0; words != NULL && names != NULL && i < names->n_rows; i++) {
		struct buffer word = { 0 };

		buffer_append(&word, text, (size_t)(last - text));
		buffer_text(&word, names->rows[i]);
		if ((words[n] = buffer_take(&word)) != NULL)
			n++;
	}
	store_free(names);
	return words;
}

static void
ask_lane(struct compare *compare, const char *initial)
{
	workbench_ask(compare->view->workbench, "Add a lane: base, NAME, or NAME:0.5+NAME:0.5",
	    initial, add_completions, add_answered, compare);
}

void
compare_ask_lane(struct compare *compare)
{
	compare->first_start = false;
	ask_lane(compare, NULL);
}

/* ---- blind and votes ---- */

/* Fisher and Yates' shuffle; splitmix64 draws. */
static void
shuffle(struct compare *compare)
{
	const struct workbench *workbench = compare->view->workbench;
	uint64_t state = (uint64_t)workbench_measured(workbench, (double)workbench_now_ms()) + 1;

	for (size_t i = compare->n_lanes; i > 1; i--) {
		uint64_t z = (state += 0x9e3779b97f4a7c15);

		z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
		z = (z ^ z >> 27) * 0x94d049bb133111eb;
		size_t j = (size_t)((z ^ z >> 31) % i), moved = compare->order[i - 1];

		compare->order[i - 1] = compare->order[j];
		compare->order[j] = moved;
	}
}

void
compare_toggle_blind(struct compare *compare)
{
	struct workbench *workbench = compare->view->workbench;

	if (compare->blind) {
		compare_order_lanes(compare, 0);
	} else if (compare->n_lanes < 2) {
		workbench_status(workbench, ROLE_WARN, "blind wants two lanes: a adds one");
	} else {
		compare_order_lanes(compare, 0);
		compare->blind = true;
		shuffle(compare);
		workbench_status(
		    workbench, ROLE_TEXT, "blind: the number of the best lane votes, 0 is a tie");
	}
	compare_count_differences(compare);
}

void
compare_vote(struct compare *compare, size_t number)
{
	struct workbench *workbench = compare->view->workbench;
	size_t winner;

	if (number > compare->n_lanes) {
		workbench_status(workbench, ROLE_WARN, "there is no lane %zu", number);
		return;
	}
	winner = number > 0 ? compare->order[number - 1] : 0;
	if (!compare_save_vote(compare, number > 0 ? (int)winner : STORE_TIE))
		return;
	compare_order_lanes(compare, winner);
	compare_count_differences(compare);
}

/* ---- what goes out ---- */

void
compare_copy(struct compare *compare)
{
	const struct lane *lane = compare_cursor(compare);
	struct workbench *workbench = compare->view->workbench;

	if (lane->text.n == 0)
		workbench_status(workbench, ROLE_WARN, "the lane is empty");
	else if (terminal_copy(buffer_string(&lane->text), lane->text.n))
		workbench_status(workbench, ROLE_GOOD, "%zu bytes copied", lane->text.n);
	else
		workbench_status(workbench, ROLE_BAD, "too long for a terminal's clipboard");
}

static void
save_answered(void *user, const char *text)
{
	if (text != NULL)
		compare_save(user, text);
}

static void
run_built_line(struct compare *compare, struct buffer *line, void (*done)(void *user, int status))
{
	if (!buffer_failed(line))
		workbench_run_line(compare->view->workbench, buffer_string(line), done, compare);
	buffer_free(line);
}

/* More, or less, than one adapter as it is. */
static bool
is_mixed(const struct lane *lane)
{
	return lane->n_parts > 1 ||
	       (lane->n_parts == 1 && (lane->parts[0].weight < 1 || lane->parts[0].weight > 1));
}

static void
export_answered(void *user, const char *path)
{
	struct compare *compare = user;
	const struct lane *lane = compare_cursor(compare);
	struct buffer line = { 0 };

	if (path == NULL || path[0] == '\0' || lane == NULL || lane->n_parts != 1)
		return;
	buffer_text(&line, "export --adapter");
	add_adapter_word(&line, lane->parts[0].id, 1);
	buffer_text(&line, " --format peft --output");
	add_word(&line, path);
	run_built_line(compare, &line, NULL);
}

void
compare_ask_export(struct compare *compare)
{
	const struct lane *lane = compare_cursor(compare);
	struct workbench *workbench = compare->view->workbench;
	char path[STORE_NAME_MAX + 16];

	if (lane->n_parts == 0) {
		workbench_status(workbench, ROLE_WARN, "the base alone has nothing to export");
	} else if (!lane_kept(lane)) {
		workbench_status(
		    workbench, ROLE_WARN, "keep the draft first: Enter on the Task line");
	} else if (is_mixed(lane)) {
		workbench_status(
		    workbench, ROLE_WARN, "merge the mix first (m), then export the result");
	} else {
		snprintf(path, sizeof path, "./%s-peft", lane->parts[0].name);
		workbench_ask(workbench, "Export for PEFT to the directory", path, complete_path,
		    export_answered, compare);
	}
}

/* The merged adapter stands beside the mix that it was made from. */
static void
merge_done(void *user, int status)
{
	struct compare *compare = user;

	if (status == 0 && compare->merged_name != NULL)
		add_answered(compare, compare->merged_name);
}

static void
merge_answered(void *user, const char *name)
{
	struct compare *compare = user;
	const struct lane *lane = compare_cursor(compare);
	struct buffer line = { 0 };

	if (name == NULL || name[0] == '\0' || lane == NULL || !lane_kept(lane))
		return;
	buffer_text(&line, "merge --adapters");
	for (size_t i = 0; i < lane->n_parts; i++)
		add_adapter_word(&line, lane->parts[i].id, (double)lane->parts[i].weight);
	buffer_text(&line, " --keep --name");
	add_word(&line, name);
	free(compare->merged_name);
	compare->merged_name = strdup(name);
	run_built_line(compare, &line, merge_done);
}

void
compare_ask_merge(struct compare *compare)
{
	const struct lane *lane = compare_cursor(compare);
	struct workbench *workbench = compare->view->workbench;
	struct buffer name = { 0 };

	if (!is_mixed(lane)) {
		workbench_status(workbench, ROLE_WARN,
		    "a mix is wanted: a adds one as a:0.5+b:0.5, w sets its weights");
		return;
	}
	if (!lane_kept(lane)) {
		workbench_status(
		    workbench, ROLE_WARN, "keep the draft first: Enter on the Task line");
		return;
	}
	for (size_t i = 0; i < lane->n_parts && name.n < 90; i++)
		buffer_printf(&name, "%s%.40s", i > 0 ? "-and-" : "", lane->parts[i].name);
	workbench_ask(workbench, "Merge into an adapter named", buffer_string(&name), NULL,
	    merge_answered, compare);
	buffer_free(&name);
}

static void
file_answered(void *user, const char *path)
{
	if (path != NULL && path[0] != '\0')
		prompt_file_run(user, path);
}

void
compare_ask_save(struct compare *compare)
{
	workbench_ask(compare->view->workbench,
	    "Save the comparison as (.html .md .jsonl; empty: only in the catalog)",
	    "comparison.html", NULL, save_answered, compare);
}

void
compare_ask_file(struct compare *compare)
{
	workbench_ask(compare->view->workbench, "Run the prompts of the file", NULL, complete_path,
	    file_answered, compare);
}
