/*
 * engine/text/chat-template.h - a conversation written as the model was trained to read it.
 *
 * A chat template is a small Jinja program that models carry in tokenizer_config.json
 * (chat_template) or in the GGUF key tokenizer.chat_template. This is an interpreter of the part
 * of Jinja2 that such templates use, with the settings of transformers (trim_blocks,
 * lstrip_blocks). Templates are hostile input: steps, depth, memory and output are bounded.
 *
 * A parsed template is immutable: threads may share it without locks.
 */
#ifndef ENGINE_TEXT_CHAT_TEMPLATE_H
#define ENGINE_TEXT_CHAT_TEMPLATE_H

#include <time.h>

#include "engine/t2l.h"

struct chat_template;

struct chat_message {
	const char *role; /* "system", "user", "assistant", ... */
	const char *content;
};

struct chat_options {
	bool add_generation_prompt; /* end with the header of the assistant's turn */
	const char *bos_token;	    /* as text; NULL: "" */
	const char *eos_token;
	const char *date_string; /* "26 Jul 2024"; NULL: not defined, templates use their own */
	const struct tm *now;	 /* for strftime_now(); NULL: that function is not defined */
};

/* NAME is used in messages only. Errors: T2L_EFORMAT (no valid Jinja), T2L_EUNSUPPORTED (valid,
 * but not known here; the message names the construct and its line), T2L_ENOMEM. */
enum t2l_status chat_template_parse(const char *source, size_t n_bytes, const char *name,
    struct chat_template **out, struct t2l_error *err);

/* *TEXT ends in NUL and is the caller's. Templates mostly write BOS themselves: encode the text
 * without TOKENIZER_ADD_SPECIAL when it begins with bos_token.
 * Errors: T2L_EINVAL with the template's own words when it refuses the conversation
 * (raise_exception), T2L_EFORMAT for a fault in the template, T2L_EUNSUPPORTED. */
enum t2l_status chat_template_render(const struct chat_template *tmpl,
    const struct chat_message *messages, size_t n_messages, const struct chat_options *options,
    char **text, struct t2l_error *err);

void chat_template_close(struct chat_template *tmpl);

#endif
