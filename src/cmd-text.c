/* t2l tokenize, chat-template, embed - text on its way into a model, for scripts and tests. */

#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/utf8.h"
#include "src/base64.h"
#include "src/command.h"
#include "src/json-lines.h"
#include "src/lanes.h"
#include "src/options.h"
#include "src/workplace.h"

/* ---- tokenize ---- */

static const struct option_spec tokenize_options[] = {
	{ "base-model", 'b', OPTION_MODEL, 0, "whose tokenizer", .setting = "base.model" },
	{ "text", 't', OPTION_TEXT, 0, "text to tokenise" },
	{ "ids", 0, OPTION_TEXT, 0, "with --decode: ids like 1,2,3" },
	{ "input-file", 'f', OPTION_PATH, 0,
	    "JSONL of {\"text\":..} or {\"base64\":..}; with --decode of {\"ids\":[..]}" },
	{ "decode", 'd', OPTION_FLAG, 0, "ids to text" },
	{ "stream", 0, OPTION_FLAG, 0, "with --decode: the pieces a streaming reader sees" },
	{ "special", 0, OPTION_FLAG, 0, "special tokens in the text are tokens, not text" },
	{ "add-special", 0, OPTION_FLAG, 0, "add BOS/EOS as the model's own settings say" },
	{ 0 },
};

struct tokenize {
	struct context *ctx;
	struct t2l_model *model;
	unsigned flags;
	bool stream;
};

/* Prints one result: as JSON always, since that is what scripts read. */
static bool
print_object(struct context *ctx, cJSON *object)
{
	bool json = ctx->json;

	ctx->json = true;
	say_json(ctx, object);
	ctx->json = json;
	return true;
}

static bool
encode_text(struct tokenize *run, const char *text, size_t n)
{
	struct t2l_error err;
	int32_t *ids;
	size_t n_ids;
	cJSON *object, *list;

	if (t2l_tokenize(run->model, text, n, run->flags, &ids, &n_ids, &err) != T2L_OK) {
		context_fail_error(run->ctx, &err);
		return false;
	}
	object = cJSON_CreateObject();
	list = cJSON_AddArrayToObject(object, "ids");
	for (size_t i = 0; i < n_ids; i++)
		cJSON_AddItemToArray(list, cJSON_CreateNumber(ids[i]));
	t2l_free(ids);
	return print_object(run->ctx, object);
}

static bool
encode_line(void *user, const cJSON *line, const char *where)
{
	struct tokenize *run = user;
	const cJSON *text = cJSON_GetObjectItemCaseSensitive(line, "text");
	const cJSON *coded = cJSON_GetObjectItemCaseSensitive(line, "base64");
	unsigned char *bytes;
	size_t n;
	bool fine;

	if (cJSON_IsString(text))
		return encode_text(run, text->valuestring, strlen(text->valuestring));
	bytes = cJSON_IsString(coded) ? base64_decode(coded->valuestring, &n) : NULL;
	if (bytes == NULL) {
		context_fail(run->ctx, "%s: {\"text\":..} or {\"base64\":..} is wanted", where);
		return false;
	}
	fine = encode_text(run, (const char *)bytes, n);
	free(bytes);
	return fine;
}

static cJSON *
piece(const char *text, size_t n)
{
	return utf8_valid(text, n) ? cJSON_CreateString(text) : cJSON_CreateNull();
}

static bool
decode_stream(struct tokenize *run, const int32_t *ids, size_t n)
{
	struct t2l_error err;
	char **pieces;
	cJSON *object, *list;

	if (t2l_detokenize_stream(run->model, ids, n, &pieces, &err) != T2L_OK) {
		context_fail_error(run->ctx, &err);
		return false;
	}
	object = cJSON_CreateObject();
	list = cJSON_AddArrayToObject(object, "stream");
	for (size_t i = 0; i < n; i++)
		cJSON_AddItemToArray(
		    list, pieces[i] ? piece(pieces[i], strlen(pieces[i])) : cJSON_CreateNull());
	if (pieces[n] != NULL)
		cJSON_AddStringToObject(object, "rest", pieces[n]);
	t2l_free(pieces);
	return print_object(run->ctx, object);
}

/* Text, and the exact bytes where they are more than JSON text can say. */
static cJSON *
decoded_object(const char *text, const char *bytes, size_t n_bytes)
{
	bool valid = utf8_valid(bytes, n_bytes), has_nul = memchr(bytes, '\0', n_bytes) != NULL;
	cJSON *object = cJSON_CreateObject();

	if (!has_nul)
		cJSON_AddStringToObject(object, "text", text);
	if (!valid || has_nul) {
		char *coded = base64_encode((const unsigned char *)bytes, n_bytes);

		cJSON_AddStringToObject(object, "base64", coded ? coded : "");
		free(coded);
	}
	return object;
}

static bool
decode_ids(struct tokenize *run, const int32_t *ids, size_t n)
{
	struct t2l_error err;
	char *text = NULL, *bytes = NULL;
	size_t n_text, n_bytes;
	bool fine;

	if (run->stream)
		return decode_stream(run, ids, n);
	fine = t2l_detokenize(run->model, ids, n, 0, &text, &n_text, &err) == T2L_OK &&
	       t2l_detokenize(run->model, ids, n, T2L_RAW_BYTES, &bytes, &n_bytes, &err) == T2L_OK;
	if (fine)
		print_object(run->ctx, decoded_object(text, bytes, n_bytes));
	else
		context_fail_error(run->ctx, &err);
	t2l_free(text);
	t2l_free(bytes);
	return fine;
}

static bool
decode_line(void *user, const cJSON *line, const char *where)
{
	struct tokenize *run = user;
	const cJSON *list = cJSON_GetObjectItemCaseSensitive(line, "ids");
	size_t n;
	int32_t *ids = json_ids(list, &n);
	bool fine;

	if (ids == NULL) {
		context_fail(run->ctx, "%s: {\"ids\":[..]} is wanted", where);
		return false;
	}
	fine = decode_ids(run, ids, n);
	free(ids);
	return fine;
}

static int
tokenize_run(struct context *ctx, const struct options *opt)
{
	struct tokenize run = { .ctx = ctx, .stream = option_flag(opt, "stream") };
	bool decode = option_flag(opt, "decode"), fine;
	const char *text = option_text(opt, "text"), *list = option_text(opt, "ids");
	const char *file = option_text(opt, "input-file");

	if (option_flag(opt, "special"))
		run.flags |= T2L_PARSE_SPECIAL;
	if (option_flag(opt, "add-special"))
		run.flags |= T2L_ADD_SPECIAL;
	if (file == NULL && (decode ? list : text) == NULL)
		return context_usage(
		    ctx, "%s or --input-file is wanted", decode ? "--ids" : "--text");
	if (run.stream && !decode)
		return context_usage(ctx, "--stream belongs to --decode");
	if (!workplace_text_model(ctx, option_text(opt, "base-model"), &run.model))
		return 1;
	if (file != NULL)
		fine = json_lines(ctx, file, decode ? decode_line : encode_line, &run);
	else if (!decode)
		fine = encode_text(&run, text, strlen(text));
	else {
		size_t n;
		int32_t *ids = text_ids(list, &n);

		fine = ids != NULL && decode_ids(&run, ids, n);
		if (ids == NULL)
			context_fail(ctx, "'%s' is no list of token ids like 1,2,3", list);
		free(ids);
	}
	return fine ? 0 : 1;
}

const struct command command_tokenize = {
	.name = "tokenize",
	.summary = "text to token ids and back",
	.example = "t2l tokenize --text \"house\" --add-special",
	.options = tokenize_options,
	.run = tokenize_run,
};

/* ---- chat-template ---- */

static const struct option_spec chat_options[] = {
	{ "base-model", 'b', OPTION_MODEL, 0, "whose template and special tokens",
	    .setting = "base.model" },
	{ "chat-template", 0, OPTION_PATH, 0,
	    "a family (chatml, llama2, ...) or Jinja file instead of the model's own" },
	{ "bos-token", 0, OPTION_TEXT, 0, "what bos_token stands for (with --chat-template)" },
	{ "eos-token", 0, OPTION_TEXT, 0, "what eos_token stands for (with --chat-template)" },
	{ "date", 0, OPTION_TEXT, 0, "today as the template sees it: \"26 Jul 2024\"" },
	{ "input-file", 'f', OPTION_PATH, REQUIRED,
	    "JSONL of {\"messages\":[..],\"add_generation_prompt\":bool}" },
	{ 0 },
};

struct chat {
	struct context *ctx;
	struct t2l_model *model; /* NULL with --chat-template alone */
	char *source;
	struct t2l_chat_options options;
};

static struct t2l_message *
messages_of(const cJSON *list, size_t *n)
{
	struct t2l_message *messages =
	    calloc((size_t)cJSON_GetArraySize(list) + 1, sizeof *messages);
	const cJSON *item;

	*n = 0;
	cJSON_ArrayForEach(item, list)
	{
		const cJSON *role = cJSON_GetObjectItemCaseSensitive(item, "role");
		const cJSON *content = cJSON_GetObjectItemCaseSensitive(item, "content");

		if (messages == NULL || !cJSON_IsString(role) || !cJSON_IsString(content)) {
			free(messages);
			return NULL;
		}
		messages[(*n)++] = (struct t2l_message){ role->valuestring, content->valuestring };
	}
	return messages;
}

static bool
render_line(void *user, const cJSON *line, const char *where)
{
	struct chat *run = user;
	const cJSON *list = cJSON_GetObjectItemCaseSensitive(line, "messages");
	const cJSON *prompt = cJSON_GetObjectItemCaseSensitive(line, "add_generation_prompt");
	struct t2l_message *messages;
	struct t2l_error err;
	enum t2l_status status;
	cJSON *object;
	char *text;
	size_t n;

	messages = cJSON_IsArray(list) ? messages_of(list, &n) : NULL;
	if (messages == NULL) {
		context_fail(
		    run->ctx, "%s: {\"messages\":[{\"role\",\"content\"}..]} is wanted", where);
		return false;
	}
	run->options.template_source = run->source;
	run->options.add_generation_prompt = cJSON_IsTrue(prompt);
	status = t2l_chat_render(run->model, messages, n, &run->options, &text, &err);
	free(messages);
	if (status != T2L_OK) {
		context_fail(run->ctx, "%s: %s", where, err.message);
		return false;
	}
	object = cJSON_CreateObject();
	cJSON_AddStringToObject(object, "text", text);
	t2l_free(text);
	return print_object(run->ctx, object);
}

static int
chat_run(struct context *ctx, const struct options *opt)
{
	const char *file = option_text(opt, "chat-template");
	struct chat run = { .ctx = ctx,
		.options = { .bos_token = option_text(opt, "bos-token"),
		    .eos_token = option_text(opt, "eos-token"),
		    .date = option_text(opt, "date") } };
	bool fine;

	if (file != NULL && (run.source = read_chat_template(ctx, file)) == NULL)
		return 1;
	fine = (file != NULL && !option_given(opt, "base-model")) ||
	       workplace_text_model(ctx, option_text(opt, "base-model"), &run.model);
	fine = fine && json_lines(ctx, option_text(opt, "input-file"), render_line, &run);
	free(run.source);
	return fine ? 0 : 1;
}

const struct command command_chat_template = {
	.name = "chat-template",
	.summary = "a conversation as a model reads it",
	.options = chat_options,
	.run = chat_run,
};

/* ---- embed ---- */

static const struct option_spec embed_options[] = {
	{ "encoder", 'e', OPTION_PATH, 0, "task encoder", .setting = "encoder.path" },
	{ "text", 't', OPTION_TEXT, 0, "text to embed" },
	{ "input-file", 'f', OPTION_PATH, 0, "JSONL of {\"text\":..}" },
	{ 0 },
};

struct embed {
	struct context *ctx;
	struct t2l_encoder *encoder;
};

static bool
embed_text(struct embed *run, const char *text)
{
	if (!utf8_valid(text, strlen(text))) {
		context_fail(run->ctx, "the text '%s' is not valid UTF-8", text);
		return false;
	}

	int dimension = t2l_encoder_facts(run->encoder)->dimension;
	float *values = malloc((size_t)dimension * sizeof *values);
	struct t2l_error err = { .message = "out of memory" };
	int32_t *ids = NULL;
	size_t n = 0;
	bool fine = values != NULL &&
		    t2l_encoder_tokenize(run->encoder, text, &ids, &n, &err) == T2L_OK &&
		    t2l_encoder_embed(run->encoder, &text, 1, values, &err) == T2L_OK;

	if (fine) {
		cJSON *object = cJSON_CreateObject(), *list = cJSON_AddArrayToObject(object, "ids");

		for (size_t i = 0; i < n; i++)
			cJSON_AddItemToArray(list, cJSON_CreateNumber(ids[i]));
		list = cJSON_AddArrayToObject(object, "embedding");
		for (int i = 0; i < dimension; i++)
			cJSON_AddItemToArray(list, cJSON_CreateNumber((double)values[i]));
		print_object(run->ctx, object);
	} else {
		context_fail_error(run->ctx, &err);
	}
	t2l_free(ids);
	free(values);
	return fine;
}

static bool
embed_line(void *user, const cJSON *line, const char *where)
{
	struct embed *run = user;
	const cJSON *text = cJSON_GetObjectItemCaseSensitive(line, "text");

	if (cJSON_IsString(text))
		return embed_text(run, text->valuestring);
	context_fail(run->ctx, "%s: {\"text\":..} is wanted", where);
	return false;
}

static int
embed_run(struct context *ctx, const struct options *opt)
{
	struct embed run = { .ctx = ctx };
	const char *text = option_text(opt, "text"), *file = option_text(opt, "input-file");

	if (text == NULL && file == NULL)
		return context_usage(ctx, "--text or --input-file is wanted");
	if (!workplace_encoder(ctx, option_text(opt, "encoder"), &run.encoder))
		return 1;
	return (text == NULL || embed_text(&run, text)) &&
		       (file == NULL || json_lines(ctx, file, embed_line, &run))
		   ? 0
		   : 1;
}

const struct command command_embed = {
	.name = "embed",
	.summary = "the task encoder's vector of a text",
	.example = "t2l embed --text \"translate the word to Spanish\"",
	.options = embed_options,
	.run = embed_run,
};
