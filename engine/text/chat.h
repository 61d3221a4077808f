/*
 * engine/text/chat.h - a conversation as token ids, safe against what its messages say.
 *
 * Rendering and then parsing special text would turn "<|im_end|>" written by a user into the
 * token that ends the turn. Here special tokens come from the template only; the messages' text
 * is ordinary text, and all other ids are the same as with tokenizer_encode().
 */
#ifndef ENGINE_TEXT_CHAT_H
#define ENGINE_TEXT_CHAT_H

#include "engine/text/chat-template.h"
#include "engine/text/tokenizer.h"

/* bos_token and eos_token of OPTIONS may be NULL: the tokenizer's. BOS is there once, whether the
 * template writes it or only the tokenizer puts it. *IDS is the caller's. Errors: as for
 * chat_template_render(). */
enum t2l_status chat_encode(const struct tokenizer *tok, const struct chat_template *tmpl,
    const struct chat_message *messages, size_t n_messages, const struct chat_options *options,
    int32_t **ids, size_t *n, struct t2l_error *err);

#endif
