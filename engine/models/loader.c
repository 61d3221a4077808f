/* loader.c - opens a base model, whatever its format. */
#include "engine/models/loader.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/text/chat-builtin.h"
#include "engine/text/chat-template.h"
#include "engine/text/tokenizer.h"

void
model_name_of_path(const char *path, char *name, size_t size)
{
	size_t end = strlen(path), begin;

	while (end > 1 && path[end - 1] == '/')
		end--;
	for (begin = end; begin > 0 && path[begin - 1] != '/'; begin--)
		;
	snprintf(
	    name, size, "%.*s", (int)(end - begin < size ? end - begin : size - 1), path + begin);
}

static enum t2l_status
choose(const char *path, struct base_model *model, struct t2l_error *err)
{
	struct stat st;
	size_t n = strlen(path);

	if (stat(path, &st) != 0)
		return t2l_fail_errno(err, "%s", path);
	if (S_ISDIR(st.st_mode)) {
		snprintf(model->facts.format, sizeof model->facts.format, "hf");
		return load_hf(path, model, err);
	}
	if ((n > 5 && strcmp(path + n - 5, ".json") == 0) ||
	    (n > 12 && strcmp(path + n - 12, ".safetensors") == 0))
		return t2l_fail(err, T2L_EINVAL,
		    "%s: a Hugging Face model is opened by its directory, not by one of its files",
		    path);
	snprintf(model->facts.format, sizeof model->facts.format, "gguf");
	return load_gguf(path, model, err);
}

/* The model's own, else its family's. A template that we can't read is no reason not to run the
 * model on plain text: who renders a chat is told why then (chat.c). */
static void
parse_chat_template(struct base_model *model)
{
	const char *source =
	    model->tokenizer != NULL ? tokenizer_chat_template(model->tokenizer) : NULL;
	const struct chat_builtin *builtin =
	    model->tokenizer != NULL && source == NULL ? chat_builtin_of(model->tokenizer) : NULL;

	if (builtin != NULL) {
		source = builtin->source;
		snprintf(model->facts.builtin_template, sizeof model->facts.builtin_template, "%s",
		    builtin->name);
	}
	model->facts.has_tokenizer = model->tokenizer != NULL;
	model->facts.has_chat_template = source != NULL;
	if (source != NULL)
		chat_template_parse(
		    source, strlen(source), model->facts.name, &model->chat_template, NULL);
}

static bool
is_gguf(const char *path)
{
	char magic[4] = "";
	FILE *file = fopen(path, "rb");
	size_t n = file != NULL ? fread(magic, 1, sizeof magic, file) : 0;

	if (file != NULL)
		fclose(file);
	return n == sizeof magic && memcmp(magic, "GGUF", sizeof magic) == 0;
}

static enum t2l_status
open_text(const char *path, struct base_model *model, struct t2l_error *err)
{
	struct gguf *gguf;
	enum t2l_status status;

	if (!is_gguf(path))
		return tokenizer_open_hf(path, &model->tokenizer, err);
	status = gguf_open(path, &gguf, err);
	if (status != T2L_OK)
		return status;
	status = tokenizer_read_gguf(gguf, &model->tokenizer, err);
	gguf_close(gguf);
	if (status == T2L_OK && model->tokenizer == NULL)
		return t2l_fail(err, T2L_EUNSUPPORTED, "%s comes without a tokenizer", path);
	return status;
}

enum t2l_status
base_model_open_text(const char *path, struct base_model **out, struct t2l_error *err)
{
	struct base_model *model = calloc(1, sizeof *model);
	enum t2l_status status;

	if (model == NULL)
		return t2l_fail(err, T2L_ENOMEM, "%s: out of memory", path);
	model_name_of_path(path, model->facts.name, sizeof model->facts.name);
	status = open_text(path, model, err);
	if (status != T2L_OK) {
		base_model_close(model);
		return status;
	}
	parse_chat_template(model);
	model->facts.vocab_size = (int)tokenizer_n_tokens(model->tokenizer);
	*out = model;
	return T2L_OK;
}

/* Tokens that were added to a vocabulary may lack a row: a session refuses their ids when they
 * come. Its own tokens may not. */
static enum t2l_status
check_vocabulary(const struct base_model *model, struct t2l_error *err)
{
	size_t n = model->tokenizer != NULL ? tokenizer_n_model_tokens(model->tokenizer) : 0;

	if (n <= (size_t)model->decoder.config.vocab_size)
		return T2L_OK;
	return t2l_fail(err, T2L_EMISMATCH,
	    "%s: the tokenizer has %zu tokens, but the model has embeddings for %d; they are not "
	    "of "
	    "one model",
	    model->facts.name, n, model->decoder.config.vocab_size);
}

enum t2l_status
base_model_open(const char *path, struct base_model **out, struct t2l_error *err)
{
	struct base_model *model = calloc(1, sizeof *model);
	enum t2l_status status;

	if (model == NULL)
		return t2l_fail(err, T2L_ENOMEM, "%s: out of memory", path);
	model_name_of_path(path, model->facts.name, sizeof model->facts.name);
	model->source = model_source_new();
	if (model->source == NULL)
		status = t2l_fail(err, T2L_ENOMEM, "%s: out of memory", path);
	else
		status = choose(path, model, err);
	if (status == T2L_OK)
		status = check_vocabulary(model, err);
	if (status == T2L_OK && decoder_state_facts(&model->decoder, &model->facts, err) != T2L_OK)
		status = t2l_context(err, "%s", path);
	if (status != T2L_OK) {
		base_model_close(model);
		return status;
	}
	parse_chat_template(model);
	*out = model;
	return T2L_OK;
}

void
base_model_close(struct base_model *model)
{
	if (model == NULL)
		return;
	chat_template_close(model->chat_template);
	tokenizer_close(model->tokenizer);
	decoder_release(&model->decoder);
	model_source_close(model->source);
	free(model);
}
