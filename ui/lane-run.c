/* lane-run.c - runs a prompt through lanes in one batch, on the worker, token by token. */

#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "ui/compare.h"

/* What one lane runs: copies and references, so that the view may change meanwhile. */
struct entry {
	bool taken;
	const struct t2l_adapter *adapters[MAX_PARTS];
	float weights[MAX_PARTS];
	size_t n;
	struct turn *turns;
	size_t n_turns;
	struct t2l_sampling sampling;
	struct t2l_lane_result result;
};

struct lane_run {
	struct job job;
	struct entry entries[MAX_LANES]; /* by slot */
	size_t n_slots;
	char *prompt;
	struct run_settings settings;
	struct worker *worker;
	bool failed;
	struct t2l_error err;
};

/* ---- on the worker ---- */

/* Without a chat template a conversation is its lines one under the other. */
static enum t2l_status
plain_tokens(const struct t2l_model *model, const struct lane_prompt *prompt, int32_t **ids,
    size_t *n_ids, struct t2l_error *err)
{
	struct buffer text = { 0 };
	enum t2l_status status;

	for (size_t i = 0; i < prompt->n_turns; i++)
		buffer_printf(&text, "%s\n%s\n", prompt->turns[i].prompt, prompt->turns[i].answer);
	buffer_text(&text, prompt->text);
	status =
	    t2l_tokenize(model, buffer_string(&text), text.n, T2L_ADD_SPECIAL, ids, n_ids, err);
	buffer_free(&text);
	return status;
}

enum t2l_status
lane_prompt_tokens(const struct t2l_model *model, const struct lane_prompt *prompt, int32_t **ids,
    size_t *n_ids, struct t2l_error *err)
{
	const struct run_settings *settings = prompt->settings;
	const struct t2l_chat_options options = { .add_generation_prompt = true };
	struct t2l_message *messages;
	enum t2l_status status;
	size_t n = 0;

	if (settings->raw || !t2l_model_facts(model)->has_chat_template)
		return plain_tokens(model, prompt, ids, n_ids, err);
	messages = calloc(2 * prompt->n_turns + 2, sizeof *messages);
	if (messages == NULL) {
		*err = (struct t2l_error){ T2L_ENOMEM, "out of memory" };
		return T2L_ENOMEM;
	}
	if (settings->system != NULL)
		messages[n++] = (struct t2l_message){ "system", settings->system };
	for (size_t i = 0; i < prompt->n_turns; i++) {
		messages[n++] = (struct t2l_message){ "user", prompt->turns[i].prompt };
		messages[n++] = (struct t2l_message){ "assistant", prompt->turns[i].answer };
	}
	messages[n++] = (struct t2l_message){ "user", prompt->text };
	status = t2l_chat_encode(model, messages, n, &options, ids, n_ids, err);
	free(messages);
	return status;
}

static enum t2l_status
set_lane(struct lane_run *run, struct t2l_session *session, size_t slot, struct t2l_error *err)
{
	struct t2l_model *model = worker_host(run->worker)->model;
	struct entry *entry = &run->entries[slot];
	const struct lane_prompt prompt = { &run->settings, entry->turns, entry->n_turns,
		run->prompt };
	enum t2l_status status;
	bool other_base;
	int32_t *ids;
	size_t n_ids;

	if (!entry->taken)
		return t2l_session_set_prompt(session, slot, NULL, 0, err);
	for (size_t i = 0; i < entry->n; i++) {
		status = t2l_adapter_check(entry->adapters[i], model, &other_base, err);
		if (status != T2L_OK)
			return status;
	}
	status =
	    t2l_session_set_adapters(session, slot, entry->adapters, entry->weights, entry->n, err);
	if (status == T2L_OK)
		status = lane_prompt_tokens(model, &prompt, &ids, &n_ids, err);
	if (status != T2L_OK)
		return status;
	status = t2l_session_set_prompt(session, slot, ids, n_ids, err);
	t2l_free(ids);
	return status;
}

static bool
on_token(void *user, size_t lane, int32_t id, const char *text, size_t n_bytes)
{
	struct lane_run *run = user;

	job_post(run->worker, &run->job, COMPARE_TOKEN, lane, text, n_bytes, 0, id >= 0);
	return !job_cancelled(&run->job);
}

static void
run_job(struct worker *worker, struct job *job)
{
	struct lane_run *run = (struct lane_run *)job;
	struct t2l_session *session = worker_session(worker, run->n_slots, &run->err);
	struct t2l_sampling samplings[MAX_LANES];
	struct t2l_lane_result results[MAX_LANES];
	const struct t2l_run how = { .sampling = samplings,
		.per_lane_sampling = true,
		.max_tokens = run->settings.max_tokens,
		.stop = (const char *const *)run->settings.stop,
		.n_stop = run->settings.n_stop,
		.on_token = on_token,
		.user = run };
	size_t n_lanes = worker_session_lanes(worker);
	enum t2l_status status = T2L_OK;

	run->worker = worker;
	if (session == NULL)
		return;
	for (size_t slot = 0; slot < n_lanes && status == T2L_OK; slot++) {
		samplings[slot] =
		    run->entries[slot].taken ? run->entries[slot].sampling : t2l_sampling_default();
		status = set_lane(run, session, slot, &run->err);
	}
	if (status == T2L_OK && job_cancelled(job))
		return;
	if (status == T2L_OK)
		status = t2l_session_run(session, &how, results, &run->err);
	if (status != T2L_OK)
		return;
	for (size_t slot = 0; slot < n_lanes; slot++)
		run->entries[slot].result = results[slot];
	run->failed = false;
}

static void
release(struct job *job)
{
	struct lane_run *run = (struct lane_run *)job;

	for (size_t slot = 0; slot < MAX_LANES; slot++) {
		struct entry *entry = &run->entries[slot];

		for (size_t i = 0; i < entry->n; i++)
			t2l_adapter_close((struct t2l_adapter *)entry->adapters[i]);
		for (size_t i = 0; i < entry->n_turns; i++) {
			free(entry->turns[i].prompt);
			free(entry->turns[i].answer);
		}
		free(entry->turns);
	}
	free(run->prompt);
	run_settings_free(&run->settings);
	free(run);
}

/* ---- on the screen's thread ---- */

static bool
copy_turns(struct entry *entry, const struct lane *lane)
{
	entry->turns = calloc(lane->n_turns + 1, sizeof *entry->turns);
	if (entry->turns == NULL)
		return false;
	for (size_t i = 0; i < lane->n_turns; i++) {
		struct turn *turn = &entry->turns[entry->n_turns++];

		*turn =
		    (struct turn){ strdup(lane->turns[i].prompt), strdup(lane->turns[i].answer) };
		if (turn->prompt == NULL || turn->answer == NULL)
			return false;
	}
	return true;
}

static bool
enter(struct lane_run *run, const struct compare *compare, struct lane *lane)
{
	struct entry *entry = &run->entries[lane->slot];

	entry->taken = true;
	entry->sampling = lane->own_sampling ? lane->sampling : compare->settings.sampling;
	for (size_t i = 0; i < lane->n_parts; i++) {
		entry->adapters[i] = t2l_adapter_ref(lane->parts[i].adapter);
		entry->weights[i] = lane->parts[i].weight;
		entry->n++;
	}
	if (lane->slot >= run->n_slots)
		run->n_slots = lane->slot + 1;
	free(lane->prompt);
	lane->prompt = strdup(run->prompt);
	lane_forget_text(lane);
	lane->state = LANE_RUNNING;
	lane->restored = false;
	return lane->prompt != NULL && copy_turns(entry, lane);
}

void
compare_run(struct compare *compare, struct lane *only)
{
	const char *prompt = prompt_line_text(&compare->prompt);
	struct lane_run *run;
	bool fine, any = false;

	if (prompt[0] == '\0')
		return;
	run = calloc(1, sizeof *run);
	fine = run != NULL && (run->prompt = strdup(prompt)) != NULL &&
	       run_settings_copy(&run->settings, &compare->settings);
	for (size_t i = 0; i < compare->n_lanes && fine; i++) {
		struct lane *lane = compare->lanes[i];

		if ((only == NULL || lane == only || lane->state == LANE_RUNNING) &&
		    lane_ready(lane)) {
			fine = enter(run, compare, lane);
			any = true;
		}
	}
	if (!fine || !any) {
		if (run != NULL)
			release(&run->job);
		if (!fine)
			workbench_status(compare->view->workbench, ROLE_BAD, "out of memory");
		return;
	}
	compare_forget_record(compare);
	run->failed = true; /* until it has run */
	run->job.topic = TOPIC_RUN;
	run->job.view = compare->view;
	run->job.run = run_job;
	run->job.release = release;
	compare->run_generation = job_submit(compare->view->workbench, &run->job);
}

bool
is_lane_run(const struct job *job)
{
	return job->run == run_job;
}

static void
run_ended(struct compare *compare, struct lane_run *run)
{
	struct workbench *workbench = compare->view->workbench;

	if (run->job.generation != compare->run_generation)
		return; /* a newer one has taken over its lanes */
	for (size_t slot = 0; slot < MAX_LANES; slot++) {
		struct lane *lane = compare_lane_at(compare, slot);

		if (lane == NULL || !run->entries[slot].taken || lane->state != LANE_RUNNING)
			continue;
		if (run->failed && !job_cancelled(&run->job)) {
			lane_forget_text(lane);
			continue;
		}
		lane->state = LANE_DONE;
		lane->result = run->entries[slot].result;
		if (run->failed)
			lane->result.finish = T2L_FINISH_CANCELLED;
		else
			lane->n_tokens = lane->result.n_tokens;
	}
	if (run->failed && !job_cancelled(&run->job))
		workbench_status(workbench, ROLE_BAD, "%s", run->err.message);
	compare_count_differences(compare);
	compare_keep_state(compare);
}

void
lane_run_message(struct compare *compare, struct message *message)
{
	struct lane *lane;

	if (message->kind == MESSAGE_DONE) {
		run_ended(compare, (struct lane_run *)message->job);
		return;
	}
	lane = compare_lane_at(compare, message->lane);
	if (message->generation != compare->run_generation || lane == NULL ||
	    lane->state != LANE_RUNNING)
		return;
	if (message->text != NULL)
		buffer_append(&lane->text, message->text, message->n_bytes);
	lane->n_tokens += (size_t)message->number;
}
