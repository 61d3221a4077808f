/* lanes.c - runs prompts through adapters, many lanes at a time. */

#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/utf8.h"
#include "src/input.h"
#include "src/json-lines.h"
#include "src/lanes.h"
#include "src/options.h"

#define MAX_PROMPT_BYTES ((size_t)256 << 20)
#define MAX_TEMPLATE_BYTES ((size_t)1 << 20)
#define LANES_AT_ONCE 64

/* ---- prompts ---- */

static struct prompt *
new_prompt(struct context *ctx, struct prompts *prompts)
{
	struct prompt *items = realloc(prompts->items, (prompts->n + 1) * sizeof *items);

	if (items == NULL) {
		context_fail(ctx, "out of memory");
		return NULL;
	}
	prompts->items = items;
	items[prompts->n] = (struct prompt){ 0 };
	return &items[prompts->n++];
}

bool
prompts_add_text(struct context *ctx, struct prompts *prompts, const char *text)
{
	struct prompt *prompt;

	if (!utf8_valid(text, strlen(text))) {
		context_fail(ctx, "the prompt '%s' is not valid UTF-8", text);
		return false;
	}
	prompt = new_prompt(ctx, prompts);
	return prompt != NULL && (prompt->text = strdup(text)) != NULL;
}

bool
prompts_add_tokens(struct context *ctx, struct prompts *prompts, const char *list)
{
	struct prompt *prompt = new_prompt(ctx, prompts);

	if (prompt == NULL || (prompt->text = strdup(list)) == NULL)
		return false;
	prompt->ids = text_ids(list, &prompt->n_ids);
	if (prompt->ids == NULL || prompt->n_ids == 0)
		context_fail(ctx, "'%s' is no list of token ids like 1,2,3", list);
	return prompt->ids != NULL && prompt->n_ids > 0;
}

static bool
take_messages(struct prompt *prompt, const cJSON *list)
{
	size_t n = (size_t)cJSON_GetArraySize(list);
	const cJSON *item;

	prompt->messages = calloc(n + 1, sizeof *prompt->messages);
	if (prompt->messages == NULL || n == 0)
		return false;
	cJSON_ArrayForEach(item, list)
	{
		const cJSON *role = cJSON_GetObjectItemCaseSensitive(item, "role");
		const cJSON *content = cJSON_GetObjectItemCaseSensitive(item, "content");
		struct t2l_message *message = &prompt->messages[prompt->n_messages];

		if (!cJSON_IsString(role) || !cJSON_IsString(content))
			return false;
		message->role = strdup(role->valuestring);
		message->content = strdup(content->valuestring);
		prompt->n_messages++;
		if (message->role == NULL || message->content == NULL)
			return false;
	}
	prompt->text = strdup(prompt->messages[n - 1].content);
	return prompt->text != NULL;
}

static bool
take_object(struct prompt *prompt, const cJSON *object)
{
	const cJSON *text = cJSON_GetObjectItemCaseSensitive(object, "prompt");
	const cJSON *messages = cJSON_GetObjectItemCaseSensitive(object, "messages");
	const cJSON *tokens = cJSON_GetObjectItemCaseSensitive(object, "tokens");

	if (cJSON_IsArray(messages))
		return take_messages(prompt, messages);
	if (cJSON_IsArray(tokens)) {
		prompt->ids = json_ids(tokens, &prompt->n_ids);
		return prompt->ids != NULL && prompt->n_ids > 0 &&
		       (prompt->text = strdup("")) != NULL;
	}
	return cJSON_IsString(text) && (prompt->text = strdup(text->valuestring)) != NULL;
}

static bool
read_line(struct context *ctx, struct prompts *prompts, const char *path, const char *line,
    size_t n, size_t number, bool jsonl)
{
	struct prompt *prompt;
	cJSON *object;
	bool fine;

	if (!utf8_valid(line, n)) {
		context_fail(ctx, "%s line %zu is not valid UTF-8", path, number);
		return false;
	}
	if (!jsonl)
		return prompts_add_text(ctx, prompts, line) &&
		       (prompts->items[prompts->n - 1].line = number, true);
	prompt = new_prompt(ctx, prompts);
	if (prompt == NULL)
		return false;
	prompt->line = number;
	object = cJSON_ParseWithLength(line, n);
	fine = cJSON_IsObject(object) && take_object(prompt, object);
	cJSON_Delete(object);
	if (!fine)
		context_fail(ctx,
		    "%s line %zu: {\"prompt\":TEXT}, {\"messages\":[{\"role\",\"content\"}..]} or "
		    "{\"tokens\":[..]} is wanted",
		    path, number);
	return fine;
}

bool
prompts_read(struct context *ctx, struct prompts *prompts, const char *path)
{
	size_t n, number = 0;
	char *text = read_input(ctx, path, MAX_PROMPT_BYTES, &n), *rest = text;
	bool fine = text != NULL, jsonl;

	if (!fine)
		return false;
	/* JSONL by its content: the first line is an object. */
	jsonl = text[strspn(text, " \t\r\n")] == '{';
	for (char *line; fine && (line = strsep(&rest, "\n")) != NULL;) {
		size_t length = strlen(line);

		number++;
		if (length > 0 && line[length - 1] == '\r')
			line[--length] = '\0';
		if (line[strspn(line, " \t")] != '\0')
			fine = read_line(ctx, prompts, path, line, length, number, jsonl);
	}
	if (fine && prompts->n == 0)
		fine = (context_fail(ctx, "'%s' holds no prompt", path), false);
	free(text);
	return fine;
}

void
prompts_free(struct prompts *prompts)
{
	for (size_t i = 0; i < prompts->n; i++) {
		struct prompt *prompt = &prompts->items[i];

		for (size_t j = 0; j < prompt->n_messages; j++) {
			free((char *)prompt->messages[j].role);
			free((char *)prompt->messages[j].content);
		}
		free(prompt->messages);
		free(prompt->text);
		free(prompt->ids);
	}
	free(prompts->items);
	*prompts = (struct prompts){ 0 };
}

/* ---- settings ---- */

const char *const kv_type_names[] = { "f16", "q8_0", "f32", NULL };

char *
read_chat_template(struct context *ctx, const char *name)
{
	const char *builtin = t2l_chat_template_source(name);
	char *source =
	    builtin != NULL ? strdup(builtin) : read_whole_file(name, MAX_TEMPLATE_BYTES, NULL);
	char names[256] = "";

	if (source != NULL)
		return source;
	for (size_t i = 0; (builtin = t2l_chat_template_name(i, NULL)) != NULL; i++)
		snprintf(names + strlen(names), sizeof names - strlen(names), "%s%s",
		    i > 0 ? ", " : "", builtin);
	context_fail(ctx,
	    "cannot read the chat template '%s': %s; it is a Jinja file, none, or one of: %s", name,
	    strerror(errno), names);
	return NULL;
}

bool
lane_settings_make(
    struct context *ctx, const struct options *options, struct lane_settings *settings)
{
	const char *template = option_text(options, "chat-template");
	size_t n_stop = option_count(options, "stop");

	*settings = (struct lane_settings){
		.sampling = t2l_sampling_default(),
		.max_tokens = (size_t)option_integer(options, "max-tokens"),
		.context = (size_t)option_integer(options, "context"),
		.stop = calloc(n_stop + 1, sizeof *settings->stop),
		.n_stop = n_stop,
		.system = option_text(options, "system"),
		.raw = option_flag(options, "raw"),
		.kv_type = option_text(options, "kv-type"),
	};
	struct t2l_sampling *sampling = &settings->sampling;

	sampling->temperature = (float)option_number(options, "temperature");
	sampling->greedy = option_flag(options, "greedy") || !(sampling->temperature > 0);
	sampling->top_k = (int)option_integer(options, "top-k");
	sampling->top_p = (float)option_number(options, "top-p");
	sampling->min_p = (float)option_number(options, "min-p");
	sampling->repetition_penalty = (float)option_number(options, "repetition-penalty");
	sampling->frequency_penalty = (float)option_number(options, "frequency-penalty");
	sampling->presence_penalty = (float)option_number(options, "presence-penalty");
	sampling->seed = (uint64_t)option_integer(options, "seed");
	if (settings->stop == NULL) {
		context_fail(ctx, "out of memory");
		return false;
	}
	for (size_t i = 0; i < n_stop; i++)
		settings->stop[i] = option_nth(options, "stop", i);
	workplace_precise(ctx, option_flag(options, "precise"));
	if (template != NULL && strcmp(template, "none") == 0) {
		settings->raw = true;
	} else if (template != NULL) {
		settings->chat_template = read_chat_template(ctx, template);
		if (settings->chat_template == NULL) {
			lane_settings_free(settings);
			return false;
		}
	}
	return true;
}

void
lane_settings_free(struct lane_settings *settings)
{
	free(settings->stop);
	free(settings->chat_template);
	*settings = (struct lane_settings){ 0 };
}

/* ---- running ---- */

struct batch {
	struct context *ctx;
	const struct lanes_job *job;
	struct t2l_session *session;
	size_t first, n; /* pairs of this batch: pair i is prompt i / n_mixes, mix i % n_mixes */
	bool folded;	 /* a system message went into the user's, and that was told */
};

static bool
not_cancelled(void *user)
{
	const struct batch *batch = user;

	return !atomic_load(batch->ctx->cancelled);
}

static bool
watch(void *user, size_t lane, int32_t id, const char *text, size_t n_bytes)
{
	struct batch *batch = user;

	(void)lane;
	(void)id;
	if (batch->job->on_text != NULL && batch->n == 1 && n_bytes > 0)
		batch->job->on_text(batch->job->user, text, n_bytes);
	return true;
}

/* As t2l_chat_encode(); where a template takes no system message (Gemma, older Mistral) it goes
 * before the first of the user's, which is what their makers advise. */
static enum t2l_status
encode_chat(struct batch *batch, const struct t2l_message *messages, size_t n_messages,
    const struct t2l_chat_options *options, int32_t **ids, size_t *n, struct t2l_error *err)
{
	const struct t2l_model *model = batch->job->model;
	enum t2l_status status = t2l_chat_encode(model, messages, n_messages, options, ids, n, err);
	struct t2l_message *rest;
	struct buffer text = { 0 };

	if (status != T2L_EINVAL || n_messages < 2 || strcmp(messages[0].role, "system") != 0 ||
	    strcmp(messages[1].role, "user") != 0)
		return status;
	rest = malloc(n_messages * sizeof *rest);
	buffer_printf(&text, "%s\n\n%s", messages[0].content, messages[1].content);
	if (rest != NULL && !buffer_failed(&text)) {
		memcpy(rest, messages + 1, (n_messages - 1) * sizeof *rest);
		rest[0].content = buffer_string(&text);
		if (t2l_chat_encode(model, rest, n_messages - 1, options, ids, n, NULL) == T2L_OK) {
			status = T2L_OK;
			if (!batch->folded)
				note(batch->ctx, "the chat template takes no system message: it "
						 "goes before the user's first");
			batch->folded = true;
		}
	}
	free(rest);
	buffer_free(&text);
	return status;
}

/* The prompt as the model reads it. */
static enum t2l_status
tokens_of(struct batch *batch, const struct prompt *prompt, int32_t **ids, size_t *n,
    struct t2l_error *err)
{
	const struct lanes_job *job = batch->job;
	const struct lane_settings *settings = job->settings;
	struct t2l_message messages[2];
	const struct t2l_message *list = prompt->messages;
	struct t2l_chat_options options = { .template_source = settings->chat_template,
		.add_generation_prompt = true };
	size_t n_messages = 0;

	if (settings->raw ||
	    (!t2l_model_facts(job->model)->has_chat_template && settings->chat_template == NULL))
		return t2l_tokenize(
		    job->model, prompt->text, strlen(prompt->text), T2L_ADD_SPECIAL, ids, n, err);
	if (list == NULL) {
		if (settings->system != NULL)
			messages[n_messages++] = (struct t2l_message){ "system", settings->system };
		messages[n_messages++] = (struct t2l_message){ "user", prompt->text };
		list = messages;
	} else {
		n_messages = prompt->n_messages;
	}
	return encode_chat(batch, list, n_messages, &options, ids, n, err);
}

static enum t2l_status
set_lane(struct batch *batch, size_t lane, struct t2l_error *err)
{
	const struct lanes_job *job = batch->job;
	size_t pair = batch->first + lane;
	const struct prompt *prompt = &job->prompts->items[pair / job->n_mixes];
	const struct mix *mix = &job->mixes[pair % job->n_mixes];
	int32_t *ids = prompt->ids;
	size_t n = prompt->n_ids;
	enum t2l_status status = T2L_OK;

	if (ids == NULL)
		status = tokens_of(batch, prompt, &ids, &n, err);
	if (status == T2L_OK)
		status = t2l_session_set_adapters(
		    batch->session, lane, mix->adapters, mix->weights, mix->n, err);
	if (status == T2L_OK)
		status = t2l_session_set_prompt(batch->session, lane, ids, n, err);
	if (ids != prompt->ids)
		t2l_free(ids);
	if (status != T2L_OK && prompt->line > 0) {
		struct t2l_error inner = *err;

		snprintf(err->message, sizeof err->message, "line %zu: %.900s", prompt->line,
		    inner.message);
	}
	return status;
}

static bool
give_outputs(const struct batch *batch, const struct t2l_lane_result *results)
{
	const struct lanes_job *job = batch->job;

	for (size_t lane = 0; lane < batch->n; lane++) {
		size_t pair = batch->first + lane;
		struct lane_output output = {
			.prompt_index = pair / job->n_mixes,
			.mix_index = pair % job->n_mixes,
			.result = results[lane],
		};

		output.prompt = &job->prompts->items[output.prompt_index];
		output.mix = &job->mixes[output.mix_index];
		output.text = t2l_session_output(batch->session, lane, &output.n_bytes);
		output.ids = t2l_session_output_ids(batch->session, lane, &output.n_ids);
		if (!job->on_output(job->user, &output))
			return false;
	}
	return true;
}

static int
run_batch(struct batch *batch)
{
	const struct lane_settings *settings = batch->job->settings;
	struct t2l_run run = { .sampling = &settings->sampling,
		.max_tokens = settings->max_tokens,
		.stop = settings->stop,
		.n_stop = settings->n_stop,
		.on_token = watch,
		.go_on = not_cancelled,
		.user = batch };
	struct t2l_lane_result results[LANES_AT_ONCE];
	struct t2l_error err;
	enum t2l_status status = T2L_OK;

	for (size_t lane = 0; lane < batch->n && status == T2L_OK; lane++)
		status = set_lane(batch, lane, &err);
	if (status == T2L_OK)
		status = t2l_session_run(batch->session, &run, results, &err);
	if (status != T2L_OK)
		return context_fail_error(batch->ctx, &err);
	if (!give_outputs(batch, results))
		return 1;
	return atomic_load(batch->ctx->cancelled) ? 130 : 0;
}

int
lanes_run(struct context *ctx, const struct lanes_job *job)
{
	size_t pairs = job->prompts->n * job->n_mixes;
	size_t lanes = pairs < LANES_AT_ONCE ? pairs : LANES_AT_ONCE;
	struct batch batch = { .ctx = ctx, .job = job };
	struct t2l_error err;
	int status = 0;

	if (pairs == 0)
		return 0;
	for (size_t i = 0; i < job->n_mixes; i++)
		for (size_t j = 0; j < job->mixes[i].n; j++)
			if (t2l_adapter_check(job->mixes[i].adapters[j], job->model,
				&(bool){ false }, &err) != T2L_OK)
				return context_fail_error(ctx, &err);
	struct t2l_session_options room = { .n_lanes = lanes,
		.n_context = job->settings->context,
		.kv_type = job->settings->kv_type };
	const char *family = t2l_model_facts(job->model)->builtin_template;

	if (family[0] != '\0' && !job->settings->raw && job->settings->chat_template == NULL)
		note(ctx,
		    "the base has no chat template: its family's is used, '%s' "
		    "(--chat-template none: the plain prompt)",
		    family);
	if (t2l_session_open_with(job->model, &room, &batch.session, &err) != T2L_OK)
		return context_fail_error(ctx, &err);
	for (batch.first = 0; batch.first < pairs && status == 0; batch.first += lanes) {
		batch.n = pairs - batch.first < lanes ? pairs - batch.first : lanes;
		if (pairs > lanes)
			progress(ctx, "running", (double)batch.first, (double)pairs, NULL, -1);
		/* Lanes beyond the last pairs take no part. */
		for (size_t lane = batch.n; lane < lanes; lane++)
			t2l_session_set_prompt(batch.session, lane, NULL, 0, NULL);
		status = run_batch(&batch);
	}
	progress(ctx, NULL, -1, 0, NULL, -1);
	t2l_session_close(batch.session);
	return status;
}

const char *
finish_name(enum t2l_finish finish)
{
	static const char *const names[] = { "stop", "length", "cancelled" };

	return names[finish];
}

cJSON *
lane_output_json(const struct lane_output *output, bool with_ids)
{
	cJSON *object = cJSON_CreateObject();

	cJSON_AddStringToObject(object, "prompt", output->prompt->text);
	cJSON_AddStringToObject(object, "adapter", output->mix->label);
	cJSON_AddStringToObject(object, "text", output->text);
	cJSON_AddNumberToObject(object, "tokens", (double)output->n_ids);
	cJSON_AddStringToObject(object, "finish", finish_name(output->result.finish));
	cJSON_AddNumberToObject(object, "prefill_ms", output->result.prefill_ms);
	cJSON_AddNumberToObject(object, "decode_ms", output->result.decode_ms);
	if (with_ids)
		cJSON_AddItemToObject(
		    object, "ids", cJSON_CreateIntArray(output->ids, (int)output->n_ids));
	return object;
}
