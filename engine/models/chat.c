/* chat.c - conversations written as the model was trained to read them. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/error.h"
#include "engine/models/model.h"
#include "engine/text/chat-builtin.h"
#include "engine/text/chat.h"
#include "engine/text/tokenizer.h"

static const char *
token_name(const struct tokenizer *tokenizer, int32_t id)
{
	return tokenizer != NULL && id >= 0 ? tokenizer_name(tokenizer, id) : NULL;
}

/* The model's own template, or one parsed from the options into *OWNED (to be closed). */
static enum t2l_status
choose_template(const struct base_model *base, const struct t2l_chat_options *options,
    const struct chat_template **template, struct chat_template **owned, struct t2l_error *err)
{
	const char *source = options->template_source;
	const char *name = base ? base->facts.name : "chat template";
	enum t2l_status status;

	*owned = NULL;
	*template = base ? base->chat_template : NULL;
	if (source == NULL && *template != NULL)
		return T2L_OK;
	if (source == NULL && base != NULL && base->tokenizer != NULL)
		source = tokenizer_chat_template(base->tokenizer);
	if (source == NULL)
		return t2l_fail(err, T2L_EUNSUPPORTED,
		    "model '%s' has no chat template, and its tokens tell no family; name one "
		    "(chatml, llama2, ...), give a Jinja file, or none for the plain prompt",
		    name);
	status = chat_template_parse(source, strlen(source), name, owned, err);
	*template = *owned;
	return status;
}

/* Messages and options as the text room wants them; *NOW is filled in and pointed to. */
static struct chat_message *
prepare(const struct tokenizer *tokenizer, const struct t2l_message *messages, size_t n_messages,
    const struct t2l_chat_options *wanted, struct chat_options *options, struct tm *now)
{
	struct chat_message *chat = malloc((n_messages + 1) * sizeof *chat);
	size_t n_eos = 0;
	time_t seconds = time(NULL);

	*options = (struct chat_options){ .add_generation_prompt = wanted->add_generation_prompt,
		.bos_token = wanted->bos_token,
		.eos_token = wanted->eos_token,
		.date_string = wanted->date };
	for (size_t i = 0; chat != NULL && i < n_messages; i++)
		chat[i] = (struct chat_message){ messages[i].role, messages[i].content };
	if (tokenizer != NULL) {
		const int32_t *eos = tokenizer_eos(tokenizer, &n_eos);

		if (options->bos_token == NULL)
			options->bos_token = token_name(tokenizer, tokenizer_bos(tokenizer));
		if (options->eos_token == NULL && n_eos > 0)
			options->eos_token = token_name(tokenizer, eos[0]);
	}
	if (gmtime_r(&seconds, now) != NULL)
		options->now = now;
	return chat;
}

const char *
t2l_chat_template_name(size_t index, const char **help)
{
	const struct chat_builtin *builtin = chat_builtin_at(index);

	if (builtin != NULL && help != NULL)
		*help = builtin->help;
	return builtin != NULL ? builtin->name : NULL;
}

const char *
t2l_chat_template_source(const char *name)
{
	const struct chat_builtin *builtin = chat_builtin_find(name);

	return builtin != NULL ? builtin->source : NULL;
}

enum t2l_status
t2l_chat_render(const struct t2l_model *model, const struct t2l_message *messages,
    size_t n_messages, const struct t2l_chat_options *wanted, char **text, struct t2l_error *err)
{
	const struct base_model *base = model ? model->base : NULL;
	const struct chat_template *template;
	struct chat_template *owned;
	struct chat_options options;
	struct chat_message *chat;
	struct tm now;
	enum t2l_status status = choose_template(base, wanted, &template, &owned, err);

	if (status != T2L_OK)
		return status;
	chat = prepare(base ? base->tokenizer : NULL, messages, n_messages, wanted, &options, &now);
	status = chat == NULL
		     ? t2l_fail(err, T2L_ENOMEM, "chat template: out of memory")
		     : chat_template_render(template, chat, n_messages, &options, text, err);
	free(chat);
	chat_template_close(owned);
	return status;
}

enum t2l_status
t2l_chat_encode(const struct t2l_model *model, const struct t2l_message *messages,
    size_t n_messages, const struct t2l_chat_options *wanted, int32_t **ids, size_t *n_ids,
    struct t2l_error *err)
{
	const struct base_model *base = model->base;
	const struct chat_template *template;
	struct chat_template *owned;
	struct chat_options options;
	struct chat_message *chat;
	struct tm now;
	enum t2l_status status;

	if (base->tokenizer == NULL)
		return t2l_fail(err, T2L_EUNSUPPORTED,
		    "model '%s' has no tokenizer; give token ids instead", base->facts.name);
	status = choose_template(base, wanted, &template, &owned, err);
	if (status != T2L_OK)
		return status;
	chat = prepare(base->tokenizer, messages, n_messages, wanted, &options, &now);
	status = chat == NULL ? t2l_fail(err, T2L_ENOMEM, "chat template: out of memory")
			      : chat_encode(base->tokenizer, template, chat, n_messages, &options,
				    ids, n_ids, err);
	free(chat);
	chat_template_close(owned);
	return status;
}
