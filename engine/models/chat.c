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
    const struct t2l_message *messages, size_t n_messages, bool add_generation_prompt, char **text,
    struct t2l_error *err)
{
	struct chat_message *chat = malloc((n_messages + 1) * sizeof *chat);
	struct chat_options options = { .add_generation_prompt = add_generation_prompt };
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

		options.bos_token = token_name(tokenizer, tokenizer_bos(tokenizer));
		options.eos_token = n_eos > 0 ? token_name(tokenizer, eos[0]) : NULL;
	}
	if (gmtime_r(&seconds, &now) != NULL)
		options.now = &now;
	status = chat_template_render(template, chat, n_messages, &options, text, err);
	free(chat);
	return status;
}

enum t2l_status
t2l_chat_render(const struct t2l_model *model, const char *template_source,
    const struct t2l_message *messages, size_t n_messages, bool add_generation_prompt, char **text,
    struct t2l_error *err)
{
	const struct base_model *base = model->base;
	struct chat_template *template = NULL;
	enum t2l_status status;

	if (template_source == NULL && base->chat_template != NULL)
		return render(base->chat_template, base->tokenizer, messages, n_messages,
		    add_generation_prompt, text, err);
	if (template_source == NULL && base->tokenizer != NULL)
		template_source = tokenizer_chat_template(base->tokenizer);
	if (template_source == NULL)
		return t2l_fail(err, T2L_EUNSUPPORTED,
		    "model '%s' has no chat template; use the plain prompt or give a template",
		    base->facts.name);
	status = chat_template_parse(
	    template_source, strlen(template_source), base->facts.name, &template, err);
	if (status == T2L_OK)
		status = render(template, base->tokenizer, messages, n_messages,
		    add_generation_prompt, text, err);
	chat_template_close(template);
	return status;
}
