/*
 * formats/chat-lines.h - the rules of chat fine-tuning JSONL, as OpenAI publishes them.
 *
 * A line is {"messages": [{"role", "content"}, ...]} in UTF-8, one conversation; roles are system,
 * developer, user, assistant and tool; there is an assistant's message, and the last one is the
 * assistant's; assistant's messages may have weight 0 or 1 and tool calls instead of content. A
 * file has ten lines or more. Keys that the rules do not name are refused.
 */
#ifndef ENGINE_FORMATS_CHAT_LINES_H
#define ENGINE_FORMATS_CHAT_LINES_H

#include "engine/error.h"

#define CHAT_LINES_MIN 10

/* One line without its line break; NAME ("data.jsonl:3") is for messages. T2L_EFORMAT names the
 * rule that is broken. */
enum t2l_status chat_line_check(
    const char *line, size_t n, const char *name, struct t2l_error *err);

#endif
