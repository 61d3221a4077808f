/* lane.c - one timeline: its adapters, its tokens, and when it stops. */
#include "engine/inference/lane.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "engine/error.h"

enum t2l_status
lane_open(struct lane *lane, size_t index, size_t room, const struct tokenizer *tokenizer,
    struct t2l_error *err)
{
	lane->index = index;
	lane->room = room;
	lane->prompt = malloc(room * sizeof *lane->prompt);
	lane->tokens = malloc((room + 1) * sizeof *lane->tokens);
	lane->text_ends = malloc((room + 1) * sizeof *lane->text_ends);
	if (lane->prompt == NULL || lane->tokens == NULL || lane->text_ends == NULL)
		return t2l_fail(err, T2L_ENOMEM, "lane %zu: out of memory", index + 1);
	if (tokenizer == NULL)
		return T2L_OK;
	return token_stream_open(tokenizer, DETOKENIZE_SKIP_SPECIAL, &lane->stream, err);
}

void
lane_close(struct lane *lane)
{
	lane_drop_adapters(lane);
	token_stream_close(lane->stream);
	output_text_free(&lane->text);
	free(lane->prompt);
	free(lane->tokens);
	free(lane->text_ends);
}

/* ---- adapters ---- */

static bool
same_adapter(const struct t2l_adapter *a, const struct t2l_adapter *b)
{
	return a == b || (a->facts.hash[0] != '\0' && strcmp(a->facts.hash, b->facts.hash) == 0);
}

bool
lane_has_adapters(const struct lane *lane, const struct t2l_adapter *const *adapters,
    const float *weights, size_t n)
{
	if (lane->n_adapters != n)
		return false;
	for (size_t i = 0; i < n; i++)
		if (!same_adapter(lane->given[i], adapters[i]) || lane->weights[i] != weights[i])
			return false;
	return true;
}

bool
lane_same_adapters(const struct lane *a, const struct lane *b)
{
	return lane_has_adapters(
	    a, (const struct t2l_adapter *const *)b->given, b->weights, b->n_adapters);
}

void
lane_drop_adapters(struct lane *lane)
{
	for (size_t i = 0; i < lane->n_adapters; i++) {
		t2l_adapter_close(lane->given[i]);
		t2l_adapter_close(lane->ready[i]);
	}
	free(lane->given);
	free(lane->ready);
	free(lane->weights);
	lane->given = lane->ready = NULL;
	lane->weights = NULL;
	lane->n_adapters = 0;
}

/* ---- a run ---- */

void
lane_begin(struct lane *lane, const struct run_plan *plan)
{
	size_t shared = 0, most = lane->n_prompt_waiting - 1; /* the last one gives the logits */
	const char *rest;
	size_t n_rest;

	if (most > lane->n_cached)
		most = lane->n_cached;
	while (shared < most && lane->prompt[shared] == lane->tokens[shared])
		shared++;
	lane->n_cached = shared;
	lane->n_tokens = lane->n_prompt = lane->n_prompt_waiting;
	lane->n_prompt_waiting = 0;
	memcpy(lane->tokens, lane->prompt, lane->n_tokens * sizeof *lane->tokens);
	lane->live = true;
	lane->result = (struct t2l_lane_result){ .n_prompt = lane->n_prompt, .n_cached = shared };
	lane->sampling =
	    plan->run->per_lane_sampling ? &plan->run->sampling[lane->index] : plan->run->sampling;
	if (lane->stream != NULL)
		token_stream_flush(lane->stream, &rest, &n_rest, NULL);
}

/* Shows what text is left, and counts. */
static void
finish(struct lane *lane, const struct run_plan *plan, enum t2l_finish how)
{
	double now = clock_ms();
	const char *rest;
	size_t n = 0;

	lane->live = false;
	lane->result.finish = how;
	lane->result.n_tokens = lane->n_output;
	if (lane->result.prefill_ms == 0)
		lane->result.prefill_ms = now - plan->start_ms;
	if (lane->n_output > 0)
		lane->result.decode_ms = now - lane->first_token_at;
	rest = output_text_take(&lane->text, &plan->stop, true, &n);
	if (n > 0 && how != T2L_FINISH_CANCELLED && plan->run->on_token != NULL)
		plan->run->on_token(plan->run->user, lane->index, -1, rest, n);
}

void
lane_end_prompt_only(struct lane *lane, const struct run_plan *plan)
{
	finish(lane, plan, T2L_FINISH_LENGTH);
}

void
lane_cancel(struct lane *lane, const struct run_plan *plan)
{
	finish(lane, plan, T2L_FINISH_CANCELLED);
}

static bool
ends_text(const struct run_plan *plan, int32_t id)
{
	for (int i = 0; i < plan->config->n_eos; i++)
		if (plan->config->eos_ids[i] == id)
			return true;
	for (size_t i = 0; i < plan->n_stop_ids; i++)
		if (plan->stop_ids[i] == id)
			return true;
	return plan->tokenizer != NULL && tokenizer_is_eos(plan->tokenizer, id);
}

/* Tokens whose text begins at the cut or behind it belong to the stop string. */
static void
drop_stopped_tokens(struct lane *lane)
{
	size_t cut = lane->text.text.n;

	while (lane->n_output > 0) {
		size_t begin = lane->n_output > 1 ? lane->text_ends[lane->n_output - 2] : 0;

		if (begin < cut)
			break;
		lane->n_output--;
	}
}

/* The token's text, and whether it completes a stop string. LAST: also what was held back for the
 * rest of a character. */
static enum t2l_status
add_text(struct lane *lane, const struct run_plan *plan, int32_t id, bool last, bool *stopped,
    struct t2l_error *err)
{
	const char *bytes;
	size_t n;
	enum t2l_status status;

	*stopped = false;
	lane->text_ends[lane->n_output - 1] = lane->text.text.n;
	if (lane->stream == NULL)
		return T2L_OK;
	status = token_stream_feed(lane->stream, id, &bytes, &n, err);
	if (status != T2L_OK)
		return status;
	*stopped = output_text_append(&lane->text, &plan->stop, bytes, n);
	if (last && !*stopped) {
		status = token_stream_flush(lane->stream, &bytes, &n, err);
		if (status != T2L_OK)
			return status;
		*stopped = output_text_append(&lane->text, &plan->stop, bytes, n);
	}
	if (buffer_failed(&lane->text.text))
		return t2l_fail(err, T2L_ENOMEM, "lane %zu: out of memory", lane->index + 1);
	lane->text_ends[lane->n_output - 1] = lane->text.text.n;
	return T2L_OK;
}

/* At the end of a text no rest of a character will come. */
static enum t2l_status
add_rest(struct lane *lane, const struct run_plan *plan, struct t2l_error *err)
{
	const char *bytes;
	size_t n;
	enum t2l_status status;

	if (lane->stream == NULL)
		return T2L_OK;
	status = token_stream_flush(lane->stream, &bytes, &n, err);
	if (status == T2L_OK && output_text_append(&lane->text, &plan->stop, bytes, n))
		drop_stopped_tokens(lane);
	return status;
}

enum t2l_status
lane_take_token(struct lane *lane, const struct run_plan *plan, int32_t id, struct t2l_error *err)
{
	const struct t2l_run *run = plan->run;
	bool last, stopped, go_on = true;
	const char *text;
	size_t n;
	enum t2l_status status;

	if (lane->n_tokens == lane->n_prompt) {
		lane->first_token_at = clock_ms();
		lane->result.prefill_ms = lane->first_token_at - plan->start_ms;
		lane->result.first_token_ms = lane->result.prefill_ms;
	}
	if (ends_text(plan, id)) {
		status = add_rest(lane, plan, err);
		finish(lane, plan, T2L_FINISH_STOP);
		return status;
	}
	lane->tokens[lane->n_tokens++] = id;
	lane->n_output++;
	last = lane->n_output == run->max_tokens || lane->n_tokens > lane->room;
	status = add_text(lane, plan, id, last, &stopped, err);
	if (status != T2L_OK)
		return status;
	if (stopped)
		drop_stopped_tokens(lane);
	text = output_text_take(&lane->text, &plan->stop, last || stopped, &n);
	if (run->on_token != NULL)
		go_on = run->on_token(run->user, lane->index, id, text, n);
	if (stopped || last)
		finish(lane, plan, stopped ? T2L_FINISH_STOP : T2L_FINISH_LENGTH);
	else if (!go_on)
		finish(lane, plan, T2L_FINISH_CANCELLED);
	return T2L_OK;
}
