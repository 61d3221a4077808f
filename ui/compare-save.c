/* compare-save.c - a comparison written down in the background: a row of the catalog, a vote on it,
 * a file. */

#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/atomic-file.h"
#include "ui/compare.h"

/* The row of what is on the screen. Several jobs may hold it: the first that succeeds makes the
 * row, the others find its id. */
struct record {
	int64_t id;	  /* 0: not there yet; the writing thread's */
	size_t n_holders; /* the screen's */
};

struct save_job {
	struct job job;
	struct record *record;
	struct store_comparison row;
	struct store_output outputs[MAX_LANES];
	char labels[MAX_LANES][8], mixes[MAX_LANES][1300];
	char *settings, *prompt, *texts[MAX_LANES];
	int vote;	    /* STORE_NO_VOTE: none */
	char winner[1300];  /* "A wins: name" */
	char *path;	    /* of the file; NULL: none */
	struct buffer file; /* what goes into it */
	enum role role;
	char message[2048]; /* for the status line */
};

static void
let_go(struct record *record)
{
	if (record != NULL && --record->n_holders == 0)
		free(record);
}

void
compare_forget_record(struct compare *compare)
{
	let_go(compare->record);
	compare->record = NULL;
}

/* ---- on the thread that writes ---- */

static enum store_status
write_record(struct store *store, struct job *base)
{
	struct save_job *job = (struct save_job *)base;
	struct record *record = job->record;
	enum store_status status = STORE_OK;

	if (record->id == 0)
		status = store_comparison_add(store, &job->row, &record->id);
	if (status == STORE_OK && job->vote != STORE_NO_VOTE)
		status = store_vote(store, record->id, job->vote);
	return status;
}

static void
save_file(struct save_job *job, bool recorded, const char *why)
{
	bool written = !buffer_failed(&job->file) &&
		       atomic_write(job->path, job->file.bytes, job->file.n) == 0;
	const char *fault = buffer_failed(&job->file) ? "out of memory" : strerror(errno);
	struct buffer message = { 0 };

	if (written)
		buffer_printf(&message, "saved: %s, ", job->path);
	else
		buffer_printf(&message, "cannot write '%s': %s; ", job->path, fault);
	if (recorded)
		buffer_printf(&message, "%scomparison %lld%s in the catalog", written ? "and " : "",
		    (long long)job->record->id, written ? "" : " is");
	else
		buffer_printf(&message, "but not in the catalog: %s", why);
	snprintf(job->message, sizeof job->message, "%s", buffer_string(&message));
	job->role = written && recorded ? ROLE_GOOD : ROLE_BAD;
	buffer_free(&message);
}

static void
run_save(struct worker *worker, struct job *base)
{
	struct save_job *job = (struct save_job *)base;
	char why[1024] = "";
	bool recorded = worker_write(worker, base, write_record, why, sizeof why);

	job->role = recorded ? ROLE_GOOD : ROLE_BAD;
	if (job->path != NULL)
		save_file(job, recorded, why);
	else if (!recorded)
		snprintf(job->message, sizeof job->message, "%s", why);
	else if (job->vote != STORE_NO_VOTE)
		snprintf(job->message, sizeof job->message, "%s", job->winner);
	else
		snprintf(job->message, sizeof job->message, "comparison %lld is in the catalog",
		    (long long)job->record->id);
}

/* ---- on the screen's thread ---- */

static void
release(struct job *base)
{
	struct save_job *job = (struct save_job *)base;

	let_go(job->record);
	for (size_t i = 0; i < MAX_LANES; i++)
		free(job->texts[i]);
	free(job->settings);
	free(job->prompt);
	free(job->path);
	buffer_free(&job->file);
	free(job);
}

bool
is_compare_save(const struct job *job)
{
	return job->run == run_save;
}

void
compare_save_done(struct compare *compare, struct job *base)
{
	const struct save_job *job = (const struct save_job *)base;

	workbench_status(compare->view->workbench, job->role, "%s", job->message);
}

static void
settings_json(const struct run_settings *settings, struct buffer *out)
{
	const struct t2l_sampling *s = &settings->sampling;

	buffer_printf(out,
	    "{\"max_tokens\":%zu,\"temperature\":%.6g,\"top_k\":%d,\"top_p\":%.6g,\"min_p\":%.6g,"
	    "\"repetition_penalty\":%.6g,\"frequency_penalty\":%.6g,\"presence_penalty\":%.6g,"
	    "\"seed\":%llu,\"raw\":%s,\"system\":",
	    settings->max_tokens, (double)s->temperature, s->top_k, (double)s->top_p,
	    (double)s->min_p, (double)s->repetition_penalty, (double)s->frequency_penalty,
	    (double)s->presence_penalty, (unsigned long long)s->seed,
	    settings->raw ? "true" : "false");
	if (settings->system != NULL)
		buffer_json_string(out, settings->system, strlen(settings->system));
	else
		buffer_text(out, "null");
	buffer_char(out, '}');
}

/* The prompt that the lanes answered, which the line may have left behind. */
static const char *
answered_prompt(const struct compare *compare)
{
	for (size_t i = 0; i < compare->n_lanes; i++)
		if (compare->lanes[i]->state == LANE_DONE && compare->lanes[i]->prompt != NULL)
			return compare->lanes[i]->prompt;
	return NULL;
}

/* The lane's text may grow again while it is written: the job has a copy of all. */
static bool
copy_lane(struct save_job *job, size_t i, const struct lane *lane)
{
	char *text = malloc(lane->text.n + 1);

	if (text == NULL)
		return false;
	memcpy(text, buffer_string(&lane->text), lane->text.n + 1);
	job->texts[i] = text;
	snprintf(job->labels[i], sizeof job->labels[i], "%c", 'A' + (char)i);
	lane_label(lane, job->mixes[i], sizeof job->mixes[i]);
	job->outputs[i] = (struct store_output){ .label = job->labels[i],
		.adapter = lane->n_parts == 1 ? lane->parts[0].id : 0,
		.mix = lane->n_parts != 1 || lane->parts[0].id == 0 ? job->mixes[i] : "",
		.text = text,
		.text_bytes = lane->text.n,
		.n_tokens = (uint32_t)lane->n_tokens,
		.prefill_ms = lane->result.prefill_ms,
		.decode_ms = lane->result.decode_ms,
		.finish = lane_finish_word(lane) };
	return true;
}

static bool
copy_comparison(struct save_job *job, const struct compare *compare, const char *prompt)
{
	struct buffer settings = { 0 };

	settings_json(&compare->settings, &settings);
	job->settings = buffer_take(&settings);
	job->prompt = strdup(prompt);
	for (size_t i = 0; i < compare->n_lanes; i++)
		if (!copy_lane(job, i, compare->lanes[i]))
			return false;
	job->row = (struct store_comparison){ .created_ms = 0,
		.base_name = t2l_model_facts(compare->view->host->model)->name,
		.prompt = job->prompt,
		.settings = job->settings,
		.outputs = job->outputs,
		.n_outputs = compare->n_lanes,
		.vote = STORE_NO_VOTE };
	return job->settings != NULL && job->prompt != NULL;
}

/* A job about what is on the screen; NULL with a status message. */
static struct save_job *
new_save(struct compare *compare)
{
	struct workbench *workbench = compare->view->workbench;
	const char *prompt = answered_prompt(compare);
	struct save_job *job;

	if (prompt == NULL || job_busy(workbench, TOPIC_RUN)) {
		workbench_status(
		    workbench, ROLE_WARN, "there is nothing to save yet: run a prompt first");
		return NULL;
	}
	job = calloc(1, sizeof *job);
	if (job != NULL && compare->record == NULL &&
	    (compare->record = calloc(1, sizeof *compare->record)) != NULL)
		compare->record->n_holders = 1;
	if (job == NULL || compare->record == NULL || !copy_comparison(job, compare, prompt)) {
		if (job != NULL)
			release(&job->job);
		workbench_status(workbench, ROLE_BAD, "out of memory");
		return NULL;
	}
	job->record = compare->record;
	job->record->n_holders++;
	job->vote = STORE_NO_VOTE;
	job->job = (struct job){
		.topic = TOPIC_KEEP, .view = compare->view, .run = run_save, .release = release
	};
	return job;
}

bool
compare_save_vote(struct compare *compare, int lane)
{
	struct save_job *job = new_save(compare);
	char label[1200];

	if (job == NULL)
		return false;
	job->vote = lane;
	snprintf(job->winner, sizeof job->winner, "a tie");
	if (lane >= 0) {
		lane_label(compare->lanes[lane], label, sizeof label);
		snprintf(job->winner, sizeof job->winner, "%c wins: %s", 'A' + (char)lane, label);
	}
	job_submit(compare->view->workbench, &job->job);
	return true;
}

void
compare_save(struct compare *compare, const char *path)
{
	struct workbench *workbench = compare->view->workbench;
	compare_form form = compare_form_of(path);
	struct save_job *job;

	if (path[0] != '\0' && form == NULL) {
		workbench_status(
		    workbench, ROLE_BAD, "'%s' must end in .html, .md or .jsonl", path);
		return;
	}
	job = new_save(compare);
	if (job == NULL)
		return;
	if (path[0] != '\0') {
		form(compare, answered_prompt(compare), &job->file);
		job->path = strdup(path);
		if (job->path == NULL) {
			release(&job->job);
			workbench_status(workbench, ROLE_BAD, "out of memory");
			return;
		}
	}
	job_submit(workbench, &job->job);
}
