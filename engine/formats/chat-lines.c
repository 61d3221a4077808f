/* chat-lines.c - holds JSONL against the rules of chat fine-tuning. */

#include "engine/formats/chat-lines.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/formats/json.h"

static const char *const line_keys[] = { "messages", "tools", "parallel_tool_calls", "functions",
	NULL };
static const char *const message_keys[] = { "role", "content", "name", "weight", "tool_calls",
	"tool_call_id", "function_call", "refusal", NULL };
static const char *const roles[] = { "system", "developer", "user", "assistant", "tool", NULL };

static bool
is_one_of(const char *const *names, const char *name)
{
	for (; *names != NULL; names++)
		if (strcmp(*names, name) == 0)
			return true;
	return false;
}

static enum t2l_status
check_keys(const cJSON *object, const char *const *known, const char *name, struct t2l_error *err)
{
	const cJSON *item;

	cJSON_ArrayForEach(item, object)
	{
		if (!is_one_of(known, item->string))
			return t2l_fail(err, T2L_EFORMAT, "%s: the key '%.60s' is not known", name,
			    item->string);
	}
	return T2L_OK;
}

static enum t2l_status
check_message(const cJSON *message, const char *name, bool *assistant, struct t2l_error *err)
{
	const cJSON *role = cJSON_GetObjectItemCaseSensitive(message, "role");
	const cJSON *content = cJSON_GetObjectItemCaseSensitive(message, "content");
	const cJSON *weight = cJSON_GetObjectItemCaseSensitive(message, "weight");
	const cJSON *calls = cJSON_GetObjectItemCaseSensitive(message, "tool_calls");
	enum t2l_status status;

	if (!cJSON_IsObject(message))
		return t2l_fail(err, T2L_EFORMAT, "%s: a message is no JSON object", name);
	if ((status = check_keys(message, message_keys, name, err)) != T2L_OK)
		return status;
	if (!cJSON_IsString(role) || !is_one_of(roles, role->valuestring))
		return t2l_fail(err, T2L_EFORMAT,
		    "%s: a message's role must be system, developer, user, assistant or tool",
		    name);
	*assistant = strcmp(role->valuestring, "assistant") == 0;
	if (!cJSON_IsString(content) && !(*assistant && cJSON_IsArray(calls)))
		return t2l_fail(err, T2L_EFORMAT, "%s: a message of role %s has no text as content",
		    name, role->valuestring);
	if (weight != NULL && (!*assistant || !cJSON_IsNumber(weight) ||
				  (weight->valuedouble != 0 && weight->valuedouble != 1)))
		return t2l_fail(err, T2L_EFORMAT,
		    "%s: weight is 0 or 1, on messages of the assistant alone", name);
	return T2L_OK;
}

static enum t2l_status
check_conversation(const cJSON *root, const char *name, struct t2l_error *err)
{
	const cJSON *messages = cJSON_GetObjectItemCaseSensitive(root, "messages"), *message;
	bool assistant = false;
	enum t2l_status status;

	if (!cJSON_IsObject(root))
		return t2l_fail(err, T2L_EFORMAT, "%s: the line is no JSON object", name);
	if (!cJSON_IsArray(messages) || messages->child == NULL)
		return t2l_fail(
		    err, T2L_EFORMAT, "%s: 'messages' must be a list with messages in it", name);
	if ((status = check_keys(root, line_keys, name, err)) != T2L_OK)
		return status;
	cJSON_ArrayForEach(message, messages)
	{
		if ((status = check_message(message, name, &assistant, err)) != T2L_OK)
			return status;
	}
	/* Of the last message; a conversation without any assistant fails here as well. */
	if (!assistant)
		return t2l_fail(
		    err, T2L_EFORMAT, "%s: the last message must be the assistant's", name);
	return T2L_OK;
}

enum t2l_status
chat_line_check(const char *line, size_t n, const char *name, struct t2l_error *err)
{
	enum t2l_status status;
	cJSON *root;

	if (memchr(line, '\n', n) != NULL)
		return t2l_fail(err, T2L_EFORMAT, "%s: a conversation stands on one line", name);
	if ((status = json_parse(line, n, name, &root, err)) != T2L_OK)
		return status;
	status = check_conversation(root, name, err);
	cJSON_Delete(root);
	return status;
}

enum t2l_status
t2l_chat_lines_check(
    const char *text, size_t n, const char *name, size_t *n_lines, struct t2l_error *err)
{
	enum t2l_status status = T2L_OK;
	size_t lines = 0, length;
	char where[1100];

	for (size_t at = 0; at < n && status == T2L_OK; at += length + 1) {
		const char *end = memchr(text + at, '\n', n - at);

		length = end != NULL ? (size_t)(end - text) - at : n - at;
		snprintf(where, sizeof where, "%.1024s:%zu", name, ++lines);
		status = chat_line_check(text + at, length, where, err);
	}
	if (status == T2L_OK && lines < CHAT_LINES_MIN)
		status = t2l_fail(err, T2L_EFORMAT,
		    "%s has %zu conversations; fine-tuning takes %d or more", name, lines,
		    CHAT_LINES_MIN);
	if (status == T2L_OK && n_lines != NULL)
		*n_lines = lines;
	return status;
}
