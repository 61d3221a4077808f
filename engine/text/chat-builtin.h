/*
 * engine/text/chat-builtin.h - chat templates by family, for models that come without one.
 *
 * Prompt layouts are those that the families were trained on; a model's own template goes first,
 * since default system messages, dates and spaces differ inside a family.
 */
#ifndef ENGINE_TEXT_CHAT_BUILTIN_H
#define ENGINE_TEXT_CHAT_BUILTIN_H

#include "engine/text/tokenizer.h"

struct chat_builtin {
	const char *name, *help;
	const char *source; /* Jinja, as chat-template.h reads it */
	/* Special tokens that only vocabularies of the family have, or NULL: not told by tokens. */
	const char *tokens[3];
};

/* In the table's order; NULL behind the last. */
const struct chat_builtin *chat_builtin_at(size_t index);
const struct chat_builtin *chat_builtin_find(const char *name); /* NULL: no such name */
/* The family of a vocabulary by its special tokens; NULL: none is certain. */
const struct chat_builtin *chat_builtin_of(const struct tokenizer *tok);

#endif
