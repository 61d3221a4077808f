/* chat.c - conversations written as the model was trained to read them. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/error.h"
#include "engine/models/model.h"
#include "engine/text/chat-template.h"
#include "engine/text/tokenizer.h"

static const char *
token_name(const struct tokenizer *tokenizer, int32_t id)
{
	return tokenizer != NULL && id >= 0 ? tokenizer_name(tokenizer, id) : NULL;
}

static enum t2l_status
render(const struct chat_template *template, const struct tokenizer *tokenizer,
    const struct t2l_message *messages, size_t n_messages, const struct t2l_chat_options *wanted,
    char **text, struct t2l_error *err)
{
	struct chat_message *chat = malloc((n_messages + 1) * sizeof *chat);
	struct chat_options options = { .add_generation_prompt = wanted->add_generation_prompt,
		.bos_token = wanted->bos_token,
		.eos_token = wanted->eos_token,
		.date_string = wanted->date };
	size_t n_eos = 0;
	time_t seconds = time(NULL);
	struct tm now;
	enum t2l_status status;

	if (chat == NULL)
		return t2l_fail(err, T2L_ENOMEM, "chat template: out of memory");
	for (size_t i = 0; i < n_messages; i++)
		chat[i] = (struct chat_message){ messages[i].role, messages[i].content };
	if (tokenizer != NULL) {
		const int32_t *eos = tokenizer_eos(tokenizer, &n_eos);

		if (options.bos_token == NULL)
			options.bos_token = token_name(tokenizer, tokenizer_bos(tokenizer));
		if (options.eos_token == NULL && n_eos > 0)
			options.eos_token = token_name(tokenizer, eos[0]);
	}
	if (gmtime_r(&seconds, &now) != NULL)
		options.now = &now;
	status = chat_template_render(template, chat, n_messages, &options, text, err);
	free(chat);
	return status;
}

enum t2l_status
t2l_chat_render(const struct t2l_model *model, const struct t2l_message *messages,
    size_t n_messages, const struct t2l_chat_options *options, char **text, struct t2l_error *err)
{
	const struct base_model *base = model ? model->base : NULL;
	const struct tokenizer *tokenizer = base ? base->tokenizer : NULL;
	const char *source = options->template_source;
	const char *name = base ? base->facts.name : "chat template";
	struct chat_template *template = NULL;
	enum t2l_status status;

	if (source == NULL && base != NULL && base->chat_template != NULL)
		return render(
		    base->chat_template, tokenizer, messages, n_messages, options, text, err);
	if (source == NULL && tokenizer != NULL)
		source = tokenizer_chat_template(tokenizer);
	if (source == NULL)
		return t2l_fail(err, T2L_EUNSUPPORTED,
		    "model '%s' has no chat template; use the plain prompt or give a template",
		    name);
	status = chat_template_parse(source, strlen(source), name, &template, err);
	if (status == T2L_OK)
		status = render(template, tokenizer, messages, n_messages, options, text, err);
	chat_template_close(template);
	return status;
}
