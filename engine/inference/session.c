/*
 * session.c - K lanes over one base model, in one batch a step.
 *
 * Every step takes one row from each lane that decodes, and fills up with prompt rows of lanes that
 * still read; base weights are read once for all of them. Lanes with the same adapters lie next
 * to each other, so that an adapter's low-rank part runs once over all its rows.
 */
#include "base/clock.h"
#include "engine/t2l.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/adapters/lora-table.h"
#include "engine/error.h"
#include "engine/inference/base-order.h"
#include "engine/inference/kv-cache.h"
#include "engine/inference/lane.h"
#include "engine/inference/no-number.h"
#include "engine/inference/sampler.h"
#include "engine/models/model.h"

#define PROMPT_ROWS 512 /* of all lanes, in one step */
#define MAX_LANES 4096

/* The rows of one step. */
struct batch {
	int64_t n_rows, n_outputs;
	int32_t *tokens, *positions, *kv_begin, *kv_end, *slots,
	    *lengths;		    /* [PROMPT_ROWS + lanes] */
	int32_t *output_rows;	    /* [n_lanes] */
	struct lane **output_lanes; /* [n_lanes] */
	struct lora_rows *groups;   /* [n_lanes] */
	size_t n_groups;
	int last_group; /* of the lane whose rows were added last */
};

struct t2l_session {
	struct t2l_model *model;
	size_t n_lanes, room;
	struct lane *lanes;
	struct lane **order; /* the live ones, those with the same adapters side by side */
	size_t n_live;
	struct kv_cache cache;
	struct ops *ops;
	struct sampler *sampler;
	struct batch batch;
	int32_t *row_memory;
	atomic_bool cancelled;
};

static const struct decoder *
session_decoder(const struct t2l_session *session)
{
	return &session->model->base->decoder;
}

/* ---- opening and closing ---- */

static bool
allocate(struct t2l_session *session)
{
	struct batch *batch = &session->batch;
	size_t n_lanes = session->n_lanes, n_rows = PROMPT_ROWS + n_lanes;
	int32_t *rows = malloc((6 * n_rows + n_lanes) * sizeof *rows);

	session->row_memory = rows;
	session->lanes = calloc(n_lanes, sizeof *session->lanes);
	session->order = calloc(n_lanes, sizeof *session->order);
	batch->output_lanes = calloc(n_lanes, sizeof *batch->output_lanes);
	batch->groups = calloc(n_lanes, sizeof *batch->groups);
	session->ops = ops_create(engine_backend(session->model->engine));
	session->sampler = sampler_create(session_decoder(session)->config.vocab_size);
	if (rows == NULL || session->lanes == NULL || session->order == NULL ||
	    batch->output_lanes == NULL || batch->groups == NULL || session->ops == NULL ||
	    session->sampler == NULL)
		return false;
	batch->tokens = rows;
	batch->positions = rows + n_rows;
	batch->kv_begin = rows + 2 * n_rows;
	batch->kv_end = rows + 3 * n_rows;
	batch->slots = rows + 4 * n_rows;
	batch->lengths = rows + 5 * n_rows;
	batch->output_rows = rows + 6 * n_rows;
	return true;
}

/* KV_TYPE as the options name it. */
static enum t2l_status
choose_kv_type(
    const struct t2l_model *model, const char *kv_type, enum dtype *dtype, struct t2l_error *err)
{
	*dtype = engine_precise(model->engine) ? DTYPE_F32 : DTYPE_F16;
	if (kv_type == NULL)
		return T2L_OK;
	if (dtype_by_name(kv_type, dtype) &&
	    (*dtype == DTYPE_F32 || *dtype == DTYPE_F16 || *dtype == DTYPE_Q8_0))
		return T2L_OK;
	return t2l_fail(err, T2L_EINVAL,
	    "session: a kv cache of type '%.40s'; f32, f16 and q8_0 "
	    "there are",
	    kv_type);
}

enum t2l_status
t2l_session_open(struct t2l_model *model, size_t n_lanes, size_t n_context,
    struct t2l_session **out, struct t2l_error *err)
{
	struct t2l_session_options options = { .n_lanes = n_lanes, .n_context = n_context };

	return t2l_session_open_with(model, &options, out, err);
}

enum t2l_status
t2l_session_open_with(struct t2l_model *model, const struct t2l_session_options *options,
    struct t2l_session **out, struct t2l_error *err)
{
	const struct decoder_config *config = &model->base->decoder.config;
	size_t n_lanes = options->n_lanes, n_context = options->n_context;
	struct t2l_session *session;
	enum dtype kv_type;
	enum t2l_status status = T2L_OK;

	if (model->engine == NULL)
		return t2l_fail(err, T2L_EINVAL, "session: '%s' was opened for its text alone",
		    model->base->facts.name);
	if (n_lanes < 1 || n_lanes > MAX_LANES)
		return t2l_fail(
		    err, T2L_EINVAL, "session: %zu lanes; expected 1 to %d", n_lanes, MAX_LANES);
	if (n_context == 0)
		n_context = (size_t)config->context_length;
	if (n_context > (size_t)config->context_length)
		return t2l_fail(err, T2L_EINVAL,
		    "session: a context of %zu tokens; model '%s' has %d", n_context,
		    model->base->facts.name, config->context_length);
	status = choose_kv_type(model, options->kv_type, &kv_type, err);
	if (status != T2L_OK)
		return status;
	session = calloc(1, sizeof *session);
	if (session == NULL)
		return t2l_fail(err, T2L_ENOMEM, "session: out of memory");
	session->model = model;
	session->n_lanes = n_lanes;
	session->room = n_context;
	if (!allocate(session))
		status = t2l_fail(err, T2L_ENOMEM, "session: out of memory for %zu lanes", n_lanes);
	else
		status = kv_cache_open(
		    &session->cache, config, (int64_t)(n_lanes * n_context), kv_type, err);
	for (size_t i = 0; i < n_lanes && status == T2L_OK; i++)
		status = lane_open(&session->lanes[i], i, n_context, model->base->tokenizer, err);
	if (status != T2L_OK) {
		t2l_session_close(session);
		return status;
	}
	ops_cancel_flag(session->ops, &session->cancelled);
	*out = session;
	return T2L_OK;
}

void
t2l_session_close(struct t2l_session *session)
{
	if (session == NULL)
		return;
	for (size_t i = 0; session->lanes != NULL && i < session->n_lanes; i++)
		lane_close(&session->lanes[i]);
	kv_cache_close(&session->cache);
	sampler_free(session->sampler);
	ops_free(session->ops);
	free(session->lanes);
	free(session->order);
	free(session->batch.output_lanes);
	free(session->batch.groups);
	free(session->row_memory);
	free(session);
}

/* ---- what a lane runs ---- */

/* NULL with the error when there is no such lane. */
static struct lane *
find_lane(struct t2l_session *session, size_t index, struct t2l_error *err)
{
	if (index < session->n_lanes)
		return &session->lanes[index];
	t2l_fail(err, T2L_EINVAL, "session: lane %zu; there are %zu, from 0 on", index,
	    session->n_lanes);
	return NULL;
}

/* The adapter in the order of the base's rows: another lane may have it already. */
static enum t2l_status
make_ready(struct t2l_session *session, const struct t2l_adapter *adapter,
    struct t2l_adapter **ready, struct t2l_error *err)
{
	for (size_t l = 0; l < session->n_lanes; l++) {
		const struct lane *lane = &session->lanes[l];

		for (size_t i = 0; i < lane->n_adapters; i++) {
			if (lane->given[i] == adapter) {
				*ready = t2l_adapter_ref(lane->ready[i]);
				return T2L_OK;
			}
		}
	}
	return adapter_in_base_order(adapter, &session_decoder(session)->config, ready, err);
}

static enum t2l_status
take_adapters(struct t2l_session *session, struct lane *new,
    const struct t2l_adapter *const *adapters, const float *weights, size_t n,
    struct t2l_error *err)
{
	enum t2l_status status = T2L_OK;

	new->given = calloc(n, sizeof *new->given);
	new->ready = calloc(n, sizeof *new->ready);
	new->weights = malloc(n * sizeof *new->weights);
	if (new->given == NULL || new->ready == NULL || new->weights == NULL)
		return t2l_fail(err, T2L_ENOMEM, "session: out of memory for %zu adapters", n);
	for (size_t i = 0; i < n && status == T2L_OK; i++) {
		status = make_ready(session, adapters[i], &new->ready[i], err);
		if (status != T2L_OK)
			break;
		new->given[i] = t2l_adapter_ref(adapters[i]);
		new->weights[i] = weights[i];
		new->n_adapters = i + 1;
	}
	return status;
}

enum t2l_status
t2l_session_set_adapters(struct t2l_session *session, size_t index,
    const struct t2l_adapter *const *adapters, const float *weights, size_t n,
    struct t2l_error *err)
{
	struct lane *lane = find_lane(session, index, err), new = { 0 };
	enum t2l_status status = T2L_OK;

	if (lane == NULL)
		return T2L_EINVAL;
	for (size_t i = 0; i < n; i++)
		if (!(weights[i] >= -1e6f && weights[i] <= 1e6f))
			return t2l_fail(err, T2L_EINVAL,
			    "weight %g of adapter %zu is out of range; expected -1e6 to 1e6",
			    (double)weights[i], i + 1);
	if (lane_has_adapters(lane, adapters, weights, n))
		return T2L_OK;
	if (n > 0)
		status = take_adapters(session, &new, adapters, weights, n, err);
	if (status != T2L_OK) {
		lane_drop_adapters(&new);
		return status;
	}
	lane_drop_adapters(lane);
	lane->given = new.given;
	lane->ready = new.ready;
	lane->weights = new.weights;
	lane->n_adapters = n;
	lane->n_cached = 0;
	return T2L_OK;
}

enum t2l_status
t2l_session_set_prompt(
    struct t2l_session *session, size_t index, const int32_t *ids, size_t n, struct t2l_error *err)
{
	int vocab_size = session_decoder(session)->config.vocab_size;
	struct lane *lane = find_lane(session, index, err);

	if (lane == NULL)
		return T2L_EINVAL;
	if (n > session->room)
		return t2l_fail(err, T2L_EINVAL,
		    "the prompt has %zu tokens, the context has room for %zu; shorten it or open a "
		    "longer context",
		    n, session->room);
	for (size_t i = 0; i < n; i++)
		if (ids[i] < 0 || ids[i] >= vocab_size)
			return t2l_fail(err, T2L_EINVAL,
			    "token %zu of the prompt is %d; the vocabulary has %d", i + 1, ids[i],
			    vocab_size);
	if (n > 0)
		memcpy(lane->prompt, ids, n * sizeof *ids);
	lane->n_prompt_waiting = n;
	/* A run that was cancelled before it began stays so until its prompts are set again. */
	atomic_store(&session->cancelled, false);
	return T2L_OK;
}

void
t2l_session_cancel(struct t2l_session *session)
{
	atomic_store(&session->cancelled, true);
}

/* ---- a step ---- */

static void
add_rows(struct t2l_session *session, struct lane *lane, size_t n)
{
	struct batch *batch = &session->batch;
	int32_t first_slot = (int32_t)(lane->index * session->room);
	int64_t row_begin = batch->n_rows;

	for (size_t i = 0; i < n; i++) {
		int32_t position = (int32_t)(lane->n_cached + i);
		int64_t row = batch->n_rows++;

		batch->tokens[row] = lane->tokens[position];
		batch->positions[row] = position;
		batch->slots[row] = first_slot + position;
		batch->kv_begin[row] = first_slot;
		batch->kv_end[row] = first_slot + position + 1;
		batch->lengths[row] = (int32_t)lane->n_tokens;
	}
	lane->n_fed = n;
	if (lane->n_cached + n == lane->n_tokens) {
		batch->output_rows[batch->n_outputs] = (int32_t)(batch->n_rows - 1);
		batch->output_lanes[batch->n_outputs++] = lane;
	}
	if (lane->n_adapters == 0)
		return;
	if (batch->n_groups > 0 && batch->last_group == lane->group) {
		batch->groups[batch->n_groups - 1].row_count += (int64_t)n;
		return;
	}
	batch->last_group = lane->group;
	batch->groups[batch->n_groups++] = (struct lora_rows){ row_begin, (int64_t)n,
		(const struct t2l_adapter *const *)lane->ready, lane->weights, lane->n_adapters };
}

/* Where rotary frequencies depend on the text's length, keys that were cached for a shorter one may
 * be wrong now: the lane reads its text again. */
static void
drop_stale_cache(const struct t2l_session *session, struct lane *lane)
{
	int64_t key = rope_key(&session_decoder(session)->config.rope, (int64_t)lane->n_tokens);

	if (key != lane->rope_key)
		lane->n_cached = 0;
	lane->rope_key = key;
}

static void
fill_batch(struct t2l_session *session)
{
	struct batch *batch = &session->batch;
	size_t prompt_rows = PROMPT_ROWS;

	batch->n_rows = batch->n_outputs = 0;
	batch->n_groups = 0;
	for (size_t i = 0; i < session->n_live; i++) {
		struct lane *lane = session->order[i];
		size_t waiting;

		drop_stale_cache(session, lane);
		waiting = lane->n_tokens - lane->n_cached;
		/* A lane that decodes has a row of its own. */
		if (waiting > 1 || lane->n_tokens == lane->n_prompt) {
			if (waiting > prompt_rows)
				waiting = prompt_rows;
			prompt_rows -= waiting;
		}
		lane->n_fed = 0;
		if (waiting > 0)
			add_rows(session, lane, waiting);
	}
}

/* *LOGITS of the output rows; NULL when no lane has come to its end. OVERFLOW: where the pass's
 * state is no number, or NULL. */
static enum t2l_status
run_batch(struct t2l_session *session, struct overflow *overflow, const struct tensor **logits,
    struct t2l_error *err)
{
	const struct decoder *decoder = session_decoder(session);
	const struct batch *rows = &session->batch;
	struct decoder_batch batch = {
		.n_rows = rows->n_rows,
		.tokens = rows->tokens,
		.positions = rows->positions,
		.kv_begin = rows->kv_begin,
		.kv_end = rows->kv_end,
		.cache = &session->cache,
		.slots = rows->slots,
		.lengths = rows->lengths,
		.output_rows = rows->output_rows,
		.n_outputs = rows->n_outputs,
		.on_hidden = overflow != NULL ? overflow_watch : NULL,
		.user = overflow,
	};

	*logits = NULL;
	ops_reset(session->ops);
	if (rows->n_groups > 0) {
		batch.lora = lora_table_make(ops_arena(session->ops), decoder->config.n_layers,
		    rows->groups, rows->n_groups);
		if (batch.lora == NULL)
			return t2l_fail(err, T2L_ENOMEM, "session: out of memory");
	}
	engine_lock(session->model->engine);
	if (rows->n_outputs > 0)
		*logits = decoder_forward(session->ops, decoder, &batch);
	else
		decoder_hidden(session->ops, decoder, &batch);
	engine_unlock(session->model->engine);
	return ops_status(session->ops, err);
}

/* Finished lanes leave the order, which stays sorted. */
static void
drop_finished(struct t2l_session *session)
{
	size_t n = 0;

	for (size_t i = 0; i < session->n_live; i++)
		if (session->order[i]->live)
			session->order[n++] = session->order[i];
	session->n_live = n;
}

/* Runs the batch again to see where it stops being numbers. */
static enum t2l_status
fail_no_number(
    struct t2l_session *session, const struct lane *lane, int64_t n_bad, struct t2l_error *err)
{
	struct overflow overflow = { 0 };
	const struct tensor *logits;
	char what[32];
	enum t2l_status status = run_batch(session, &overflow, &logits, err);

	if (status != T2L_OK)
		return status;
	snprintf(what, sizeof what, "lane %zu", lane->index + 1);
	return no_number_fail(session->model, what, n_bad, tensor_cols(logits), &overflow, err);
}

static enum t2l_status
take_tokens(struct t2l_session *session, const struct run_plan *plan, const struct tensor *logits,
    struct t2l_error *err)
{
	const struct batch *batch = &session->batch;
	enum t2l_status status = T2L_OK;
	int64_t n_bad;

	for (int64_t i = 0; i < batch->n_outputs && status == T2L_OK; i++) {
		struct lane *lane = batch->output_lanes[i];
		int32_t id;

		if (plan->run->max_tokens == 0) {
			lane_end_prompt_only(lane, plan);
			continue;
		}
		/* One that is NaN would never be drawn, and no one would know why. */
		n_bad = count_no_numbers(
		    tensor_f32(logits) + i * tensor_cols(logits), tensor_cols(logits));
		if (n_bad > 0)
			return fail_no_number(session, lane, n_bad, err);
		id = sampler_next(session->sampler, lane->sampling,
		    tensor_f32(logits) + i * tensor_cols(logits), lane->tokens, lane->n_tokens,
		    lane->n_tokens - lane->n_prompt);
		status = lane_take_token(lane, plan, id, err);
	}
	return status;
}

static enum t2l_status
step(struct t2l_session *session, const struct run_plan *plan, struct t2l_error *err)
{
	const struct tensor *logits;
	enum t2l_status status;

	fill_batch(session);
	status = run_batch(session, NULL, &logits, err);
	if (status != T2L_OK)
		return status;
	for (size_t i = 0; i < session->n_live; i++)
		session->order[i]->n_cached += session->order[i]->n_fed;
	status = take_tokens(session, plan, logits, err);
	drop_finished(session);
	return status;
}

/* ---- a run ---- */

static enum t2l_status
check_run(const struct t2l_session *session, const struct t2l_run *run, struct t2l_error *err)
{
	size_t n = run->per_lane_sampling ? session->n_lanes : 1;

	if (run->sampling == NULL)
		return t2l_fail(err, T2L_EINVAL, "session: a run needs sampling options");
	for (size_t i = 0; i < n; i++) {
		enum t2l_status status = sampling_check(&run->sampling[i], err);

		if (status != T2L_OK)
			return status;
	}
	if (run->n_stop > 0 && session->model->base->tokenizer == NULL)
		return t2l_fail(err, T2L_EINVAL,
		    "model '%s' comes without a tokenizer: stop strings can't be found",
		    session->model->base->facts.name);
	return T2L_OK;
}

static enum t2l_status
make_plan(const struct t2l_session *session, const struct t2l_run *run, struct run_plan *plan,
    struct t2l_error *err)
{
	const struct base_model *base = session->model->base;
	enum t2l_status status = check_run(session, run, err);

	*plan = (struct run_plan){
		.run = run, .config = &base->decoder.config, .tokenizer = base->tokenizer
	};
	if (status == T2L_OK)
		status = stop_strings_check(&plan->stop, run->stop, run->n_stop, err);
	if (status != T2L_OK || run->n_stop == 0)
		return status;
	plan->stop_ids = malloc(run->n_stop * sizeof *plan->stop_ids);
	if (plan->stop_ids == NULL)
		return t2l_fail(err, T2L_ENOMEM, "session: out of memory");
	for (size_t i = 0; i < run->n_stop; i++) {
		int32_t id = tokenizer_find(base->tokenizer, run->stop[i]);

		if (id >= 0 && tokenizer_is_special(base->tokenizer, id))
			plan->stop_ids[plan->n_stop_ids++] = id;
	}
	return T2L_OK;
}

/* Numbers the distinct adapter sets of the lanes that run and sorts the lanes by them. */
static void
order_lanes(struct t2l_session *session)
{
	size_t n = 0;
	int n_groups = 0;

	for (size_t i = 0; i < session->n_lanes; i++) {
		struct lane *lane = &session->lanes[i];

		lane->group = -1;
		for (size_t j = 0; lane->live && lane->group < 0 && j < i; j++)
			if (session->lanes[j].live && lane_same_adapters(lane, &session->lanes[j]))
				lane->group = session->lanes[j].group;
		if (lane->live && lane->group < 0)
			lane->group = n_groups++;
	}
	for (int group = 0; group < n_groups; group++)
		for (size_t i = 0; i < session->n_lanes; i++)
			if (session->lanes[i].group == group)
				session->order[n++] = &session->lanes[i];
	session->n_live = n;
}

static void
begin_lanes(struct t2l_session *session, const struct run_plan *plan)
{
	for (size_t i = 0; i < session->n_lanes; i++) {
		struct lane *lane = &session->lanes[i];

		lane->live = false;
		lane->n_output = 0;
		lane->result = (struct t2l_lane_result){ 0 };
		output_text_clear(&lane->text);
		if (lane->n_prompt_waiting == 0)
			continue;
		lane_begin(lane, plan);
		drop_stale_cache(session, lane);
		lane->result.n_cached = lane->n_cached;
	}
	order_lanes(session);
}

enum t2l_status
t2l_session_run(struct t2l_session *session, const struct t2l_run *run,
    struct t2l_lane_result *results, struct t2l_error *err)
{
	struct run_plan plan;
	enum t2l_status status = make_plan(session, run, &plan, err);

	if (status != T2L_OK) {
		free(plan.stop_ids);
		return status;
	}
	plan.start_ms = clock_ms();
	begin_lanes(session, &plan);
	while (session->n_live > 0 && status == T2L_OK)
		status = atomic_load(&session->cancelled) ||
				 (run->go_on != NULL && !run->go_on(run->user))
			     ? t2l_fail(NULL, T2L_ECANCELLED, "cancelled")
			     : step(session, &plan, err);
	for (size_t i = 0; i < session->n_live; i++)
		if (session->order[i]->live)
			lane_cancel(session->order[i], &plan);
	session->n_live = 0;
	free(plan.stop_ids);
	if (status == T2L_ECANCELLED)
		status = T2L_OK;
	for (size_t i = 0; results != NULL && i < session->n_lanes; i++)
		results[i] = session->lanes[i].result;
	return status;
}

const char *
t2l_session_output(const struct t2l_session *session, size_t index, size_t *n_bytes)
{
	const struct buffer *text = &session->lanes[index].text.text;

	if (n_bytes != NULL)
		*n_bytes = text->n;
	return buffer_string(text);
}

const int32_t *
t2l_session_output_ids(const struct t2l_session *session, size_t index, size_t *n_ids)
{
	const struct lane *lane = &session->lanes[index];

	*n_ids = lane->n_output;
	return lane->tokens + lane->n_prompt;
}
