/* prompt-file.c - runs every prompt of a file through all lanes, and shows the answers as a table.
 */

#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "base/file.h"
#include "ui/compare.h"

enum { MAX_FILE_BYTES = 64 << 20, MAX_PROMPTS = 100000 };

struct result {
	char *prompt;
	char *answers[MAX_LANES];
};

struct prompt_file {
	struct compare *compare;
	char *path;
	char labels[MAX_LANES][64];
	size_t n_lanes;
	struct result *results;
	size_t n_results, capacity;
	size_t n_prompts; /* 0: the file is not read yet */
	bool running, failed;
	char fault[1024];
	uint64_t generation;
	size_t row, top;
};

/* ---- on the worker ---- */

struct file_job {
	struct job job;
	char *path;
	struct run_settings settings;
	struct {
		const struct t2l_adapter *adapters[MAX_PARTS];
		float weights[MAX_PARTS];
		size_t n;
		struct t2l_sampling sampling;
	} lanes[MAX_LANES];
	size_t n_lanes;
	bool failed;
	struct t2l_error err;
};

static bool
fail(struct file_job *file, enum t2l_status status, const char *format, const char *what,
    size_t line)
{
	file->failed = true;
	file->err.status = status;
	snprintf(file->err.message, sizeof file->err.message, format, what, line);
	return false;
}

/* The prompt of a line in fresh memory; NULL with the fault. */
static char *
line_prompt(struct file_job *file, const char *line, size_t number)
{
	cJSON *object;
	const cJSON *prompt;
	char *text = NULL;

	if (line[0] != '{')
		return strdup(line);
	object = cJSON_Parse(line);
	prompt = cJSON_GetObjectItemCaseSensitive(object, "prompt");
	if (cJSON_IsString(prompt))
		text = strdup(prompt->valuestring);
	else
		fail(file, T2L_EFORMAT, "%s: line %zu: an object with a text \"prompt\" is wanted",
		    file->path, number);
	cJSON_Delete(object);
	return text;
}

/* Prompts that go through the lanes at once: a base's weights are read once for all of them. */
struct batch {
	char *prompts[MAX_LANES];
	size_t n, most;
	size_t first; /* the first one's number in the file */
};

static void
forget_batch(struct batch *batch)
{
	for (size_t i = 0; i < batch->n; i++)
		free(batch->prompts[i]);
	batch->first += batch->n;
	batch->n = 0;
}

/* Prompt P in all lanes takes the slots from P * n_lanes on. */
static enum t2l_status
set_prompt(struct worker *worker, struct file_job *file, struct t2l_session *session,
    const char *text, size_t first_slot)
{
	const struct lane_prompt prompt = { &file->settings, NULL, 0, text };
	size_t n_ids;
	int32_t *ids;
	enum t2l_status status =
	    lane_prompt_tokens(worker_host(worker)->model, &prompt, &ids, &n_ids, &file->err);

	if (status != T2L_OK)
		return status;
	for (size_t i = 0; i < file->n_lanes && status == T2L_OK; i++) {
		status = t2l_session_set_adapters(session, first_slot + i, file->lanes[i].adapters,
		    file->lanes[i].weights, file->lanes[i].n, &file->err);
		if (status == T2L_OK)
			status =
			    t2l_session_set_prompt(session, first_slot + i, ids, n_ids, &file->err);
	}
	t2l_free(ids);
	return status;
}

static void
post_answers(struct worker *worker, struct file_job *file, struct t2l_session *session,
    const struct batch *batch)
{
	for (size_t p = 0; p < batch->n; p++) {
		int64_t index = (int64_t)(batch->first + p);
		const char *text = batch->prompts[p];
		size_t n_bytes;

		job_post(worker, &file->job, COMPARE_ROW, MAX_LANES, text, strlen(text), 0, index);
		for (size_t i = 0; i < file->n_lanes; i++) {
			const char *answer =
			    t2l_session_output(session, p * file->n_lanes + i, &n_bytes);

			job_post(worker, &file->job, COMPARE_ROW, i, answer, n_bytes, 0, index);
		}
	}
}

static bool
run_batch(struct worker *worker, struct file_job *file, struct t2l_session *session,
    const struct batch *batch)
{
	struct t2l_sampling samplings[MAX_LANES];
	struct t2l_lane_result results[MAX_LANES];
	const struct t2l_run run = { .sampling = samplings,
		.per_lane_sampling = true,
		.max_tokens = file->settings.max_tokens,
		.stop = (const char *const *)file->settings.stop,
		.n_stop = file->settings.n_stop };
	size_t n = worker_session_lanes(worker), n_taken = batch->n * file->n_lanes;
	enum t2l_status status = T2L_OK;

	for (size_t p = 0; p < batch->n && status == T2L_OK; p++)
		status = set_prompt(worker, file, session, batch->prompts[p], p * file->n_lanes);
	for (size_t slot = 0; slot < n && status == T2L_OK; slot++) {
		samplings[slot] = slot < n_taken ? file->lanes[slot % file->n_lanes].sampling
						 : t2l_sampling_default();
		if (slot >= n_taken)
			status = t2l_session_set_prompt(session, slot, NULL, 0, &file->err);
	}
	if (status == T2L_OK && !job_cancelled(&file->job))
		status = t2l_session_run(session, &run, results, &file->err);
	if (status == T2L_OK && !job_cancelled(&file->job))
		post_answers(worker, file, session, batch);
	return status == T2L_OK;
}

/* How many lines hold something: for the bar. */
static size_t
count_prompts(const char *text)
{
	size_t n = 0;

	while (*text != '\0') {
		size_t length = strcspn(text, "\n");

		n += text[strspn(text, " \t\r")] != '\n' && length > strspn(text, " \t\r");
		text += length + (text[length] == '\n');
	}
	return n;
}

/* Fills BATCH from *REST; false when the file is at its end, or at a line with a fault. */
static bool
read_batch(struct file_job *file, struct batch *batch, char **rest, size_t *number)
{
	while (batch->n < batch->most && batch->first + batch->n < MAX_PROMPTS) {
		char *line = strsep(rest, "\n"), *prompt;
		size_t n;

		if (line == NULL)
			return false;
		n = strlen(line);
		++*number;
		if (n > 0 && line[n - 1] == '\r')
			line[n - 1] = '\0';
		if (line[strspn(line, " \t")] == '\0')
			continue;
		prompt = line_prompt(file, line, *number);
		if (prompt == NULL)
			return false;
		batch->prompts[batch->n++] = prompt;
	}
	return batch->n > 0;
}

static void
file_run(struct worker *worker, struct job *job)
{
	struct file_job *file = (struct file_job *)job;
	struct batch batch = { .most = file->n_lanes > 0 ? MAX_LANES / file->n_lanes : 0 };
	struct t2l_session *session;
	char *text = read_whole_file(file->path, MAX_FILE_BYTES, NULL), *rest = text;
	size_t number = 0, n_prompts;
	bool more = true;

	if (text == NULL) {
		fail(file, T2L_EIO, "cannot read '%s'", file->path, 0);
		return;
	}
	if (batch.most == 0) {
		fail(file, T2L_EINVAL, "'%s': no lane is ready to run it", file->path, 0);
		free(text);
		return;
	}
	n_prompts = count_prompts(text);
	batch.most = batch.most < n_prompts ? batch.most : n_prompts;
	session =
	    n_prompts > 0 ? worker_session(worker, batch.most * file->n_lanes, &file->err) : NULL;
	file->failed = session == NULL && n_prompts > 0;
	job_post(worker, job, COMPARE_ROW, MAX_LANES + 1, NULL, 0, 0, (int64_t)n_prompts);
	while (more && session != NULL && !file->failed && !job_cancelled(job)) {
		more = read_batch(file, &batch, &rest, &number);
		/* What stands before a line with a fault is run all the same. */
		if (batch.n > 0 && !run_batch(worker, file, session, &batch))
			file->failed = true;
		forget_batch(&batch);
	}
	free(text);
}

static void
file_release(struct job *job)
{
	struct file_job *file = (struct file_job *)job;

	for (size_t i = 0; i < file->n_lanes; i++)
		for (size_t j = 0; j < file->lanes[i].n; j++)
			t2l_adapter_close((struct t2l_adapter *)file->lanes[i].adapters[j]);
	run_settings_free(&file->settings);
	free(file->path);
	free(file);
}

bool
is_prompt_file_job(const struct job *job)
{
	return job->run == file_run;
}

/* ---- the table ---- */

static void
forget_results(struct prompt_file *file)
{
	for (size_t i = 0; i < file->n_results; i++) {
		free(file->results[i].prompt);
		for (size_t j = 0; j < MAX_LANES; j++)
			free(file->results[i].answers[j]);
	}
	free(file->results);
	file->results = NULL;
	file->n_results = file->capacity = 0;
}

void
prompt_file_free(struct prompt_file *file)
{
	if (file == NULL)
		return;
	forget_results(file);
	free(file->path);
	free(file);
}

static struct result *
result_at(struct prompt_file *file, size_t index)
{
	if (index == file->capacity) {
		size_t capacity = file->capacity ? 2 * file->capacity : 64;
		struct result *results = realloc(file->results, capacity * sizeof *results);

		if (results == NULL)
			return NULL;
		file->results = results;
		file->capacity = capacity;
	}
	if (index == file->n_results)
		file->results[file->n_results++] = (struct result){ 0 };
	return index < file->n_results ? &file->results[index] : NULL;
}

void
prompt_file_message(struct compare *compare, struct message *message)
{
	struct prompt_file *file = compare->file;
	struct result *result;
	char **where;

	if (file == NULL || message->generation != file->generation)
		return;
	if (message->kind == MESSAGE_DONE) {
		struct file_job *job = (struct file_job *)message->job;

		file->running = false;
		file->failed = job->failed;
		if (job->failed)
			snprintf(file->fault, sizeof file->fault, "%s", job->err.message);
		else if (job_cancelled(&job->job))
			snprintf(file->fault, sizeof file->fault, "cancelled");
		return;
	}
	if (message->lane > MAX_LANES) {
		file->n_prompts = (size_t)message->number;
		return;
	}
	result = result_at(file, (size_t)message->number);
	if (result == NULL)
		return;
	where = message->lane == MAX_LANES ? &result->prompt : &result->answers[message->lane];
	free(*where);
	*where = message->text;
	message->text = NULL;
}

static void
file_draw(struct view *view, struct area area)
{
	struct prompt_file *file = view->state;
	struct area box = area_middle(area, area.rows - 2, area.columns - 4), inside, head;
	char title[256], state[128];

	snprintf(title, sizeof title, "%s", file->path);
	snprintf(state, sizeof state, "%zu of %zu%s", file->n_results, file->n_prompts,
	    file->running  ? ""
	    : file->failed ? ", failed"
			   : "");
	draw_clear(box);
	draw_box(box, ROLE_FOCUS,
	    &(struct box_titles){ .top_left = title,
		.top_right = state,
		.top_right_role = file->failed ? ROLE_BAD : ROLE_GOOD,
		.bottom_left = file->fault[0] != '\0' ? file->fault : NULL,
		.bottom_right = file->running ? "Esc cancel · q close"
					      : "S save as JSONL · Enter read · q close" });
	inside = area_inside(box);
	head = area_top(&inside, 2);
	draw_bar(head, 0, 0, head.columns,
	    file->n_prompts > 0 ? (double)file->n_results / (double)file->n_prompts : 0);
	for (size_t i = 0; i <= file->n_lanes; i++) {
		struct area cell = area_column(head, (int)i, (int)file->n_lanes + 1);
		struct buffer label = { 0 };

		draw_cut_name(i == 0 ? "Prompt" : file->labels[i - 1], cell.columns - 2, &label);
		draw_string(cell, 1, 1, ROLE_STRONG, buffer_string(&label));
		buffer_free(&label);
	}
	if (file->row < file->top)
		file->top = file->row;
	else if (file->row >= file->top + (size_t)inside.rows)
		file->top = file->row - (size_t)inside.rows + 1;
	for (int row = 0; row < inside.rows && file->top + (size_t)row < file->n_results; row++) {
		const struct result *result = &file->results[file->top + (size_t)row];
		bool chosen = file->top + (size_t)row == file->row;
		enum role role = chosen ? ROLE_SELECTED : ROLE_TEXT;

		if (chosen)
			draw_fill(inside, row, role);
		for (size_t i = 0; i <= file->n_lanes; i++) {
			const char *text = i == 0 ? result->prompt : result->answers[i - 1];
			struct area cell = area_column(inside, (int)i, (int)file->n_lanes + 1);

			if (text != NULL)
				draw_short(cell, row, 1, cell.columns - 2, role, text);
		}
	}
}

static void
save_answered(void *user, const char *path)
{
	struct prompt_file *file = user;
	struct workbench *workbench = file->compare->view->workbench;
	struct buffer out = { 0 };

	if (path == NULL || path[0] == '\0')
		return;
	for (size_t i = 0; i < file->n_results; i++)
		for (size_t j = 0; j < file->n_lanes; j++) {
			const struct result *result = &file->results[i];
			const char *prompt = result->prompt ? result->prompt : "";
			const char *answer = result->answers[j] ? result->answers[j] : "";

			buffer_text(&out, "{\"prompt\":");
			buffer_json_string(&out, prompt, strlen(prompt));
			buffer_text(&out, ",\"adapter\":");
			buffer_json_string(&out, file->labels[j], strlen(file->labels[j]));
			buffer_text(&out, ",\"text\":");
			buffer_json_string(&out, answer, strlen(answer));
			buffer_text(&out, "}\n");
		}
	if (buffer_failed(&out))
		workbench_status(workbench, ROLE_BAD, "out of memory");
	else
		workbench_write_file(workbench, path, buffer_string(&out), out.n);
	buffer_free(&out);
}

static void
read_row(struct prompt_file *file)
{
	struct buffer text = { 0 };
	const struct result *result;

	if (file->row >= file->n_results)
		return;
	result = &file->results[file->row];
	buffer_printf(&text, "> %s\n", result->prompt ? result->prompt : "");
	for (size_t i = 0; i < file->n_lanes; i++)
		buffer_printf(&text, "\n%s\n%s\n", file->labels[i],
		    result->answers[i] ? result->answers[i] : "");
	workbench_popup(file->compare->view->workbench, "Answers", buffer_string(&text));
	buffer_free(&text);
}

static bool
file_key(struct view *view, key_code key)
{
	struct prompt_file *file = view->state;

	switch (key) {
	case K_ESC:
		if (file->running) {
			job_cancel(view->workbench, TOPIC_RUN);
			break;
		}
		workbench_pop(view->workbench);
		break;
	case 'q':
		workbench_pop(view->workbench);
		break;
	case K_UP:
	case 'k':
		file->row -= file->row > 0;
		break;
	case K_DOWN:
	case 'j':
		file->row += file->row + 1 < file->n_results;
		break;
	case K_PAGE_UP:
		file->row -= file->row < 10 ? file->row : 10;
		break;
	case K_PAGE_DOWN:
		file->row = file->row + 10 < file->n_results ? file->row + 10
			    : file->n_results > 0	     ? file->n_results - 1
							     : 0;
		break;
	case K_ENTER:
		read_row(file);
		break;
	case 'S':
		workbench_ask(
		    view->workbench, "Save as", "results.jsonl", NULL, save_answered, file);
		break;
	default:
		return false;
	}
	return true;
}

static void
file_close(struct view *view)
{
	(void)view; /* the results stay: R shows them again */
}

static const struct view_ops file_ops = {
	.name = "prompt-file",
	.close = file_close,
	.draw = file_draw,
	.key = file_key,
};

void
prompt_file_show(struct compare *compare)
{
	if (compare->file == NULL)
		workbench_status(compare->view->workbench, ROLE_WARN,
		    "no file of prompts was run yet: ^E runs one");
	else
		workbench_push(compare->view->workbench, &file_ops, compare->file);
}

static bool
fill(struct compare *compare, struct file_job *job, struct prompt_file *file)
{
	job->path = strdup(file->path);
	if (job->path == NULL || !run_settings_copy(&job->settings, &compare->settings))
		return false;
	for (size_t i = 0; i < compare->n_lanes; i++) {
		const struct lane *lane = compare->lanes[i];
		size_t at = job->n_lanes;

		if (!lane_ready(lane))
			continue;
		lane_spec(lane, file->labels[at], sizeof file->labels[at]);
		job->lanes[at].sampling =
		    lane->own_sampling ? lane->sampling : compare->settings.sampling;
		for (size_t j = 0; j < lane->n_parts; j++) {
			job->lanes[at].adapters[j] = t2l_adapter_ref(lane->parts[j].adapter);
			job->lanes[at].weights[j] = lane->parts[j].weight;
			job->lanes[at].n++;
		}
		job->n_lanes++;
	}
	file->n_lanes = job->n_lanes;
	return true;
}

void
prompt_file_run(struct compare *compare, const char *path)
{
	struct file_job *job = calloc(1, sizeof *job);
	struct prompt_file *file = calloc(1, sizeof *file);

	if (job == NULL || file == NULL || (file->path = strdup(path)) == NULL ||
	    !fill(compare, job, file)) {
		if (job != NULL)
			file_release(&job->job);
		prompt_file_free(file);
		workbench_status(compare->view->workbench, ROLE_BAD, "out of memory");
		return;
	}
	prompt_file_free(compare->file);
	compare->file = file;
	file->compare = compare;
	file->running = true;
	job->job.topic = TOPIC_RUN;
	job->job.view = compare->view;
	job->job.run = file_run;
	job->job.release = file_release;
	file->generation = job_submit(compare->view->workbench, &job->job);
	if (file->generation == 0)
		file->running = false;
	prompt_file_show(compare);
}
