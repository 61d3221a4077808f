/*
 * chat.c - a conversation as token ids, safe against what its messages say.
 *
 * In the messages the first character of every special token's text is moved to a plane of
 * private characters. Rendering keeps such a character whatever the template does with the text
 * (trim, split, join). Behind the template they are moved back, and their places are guarded.
 */

#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/utf8.h"
#include "engine/error.h"
#include "engine/text/chat.h"
#include "engine/text/pipeline.h"

#define PLANE_SIZE 0x10000u /* characters */

/* The private planes, 15 and 16. */
static const uint32_t planes[] = { 0xF0000, 0x100000 };

static bool
uses_plane(const char *text, uint32_t plane)
{
	size_t n_bytes = strlen(text), at = 0;
	uint32_t c;
	bool valid;

	while (at < n_bytes) {
		at += utf8_decode(text + at, n_bytes - at, &c, &valid);
		if (c >= plane && c < plane + PLANE_SIZE)
			return true;
	}
	return false;
}

/* A plane that no message uses; 0: each is used. */
static uint32_t
find_free_plane(const struct chat_message *messages, size_t n)
{
	size_t i, p;

	for (p = 0; p < sizeof planes / sizeof *planes; p++) {
		for (i = 0; i < n && !uses_plane(messages[i].role, planes[p]) &&
			    !uses_plane(messages[i].content, planes[p]);
		     i++)
			;
		if (i == n)
			return planes[p];
	}
	return 0;
}

static void
append_code_point(struct buffer *out, uint32_t c)
{
	char encoded[UTF8_MAX_BYTES];

	buffer_append(out, encoded, utf8_encode(c, encoded));
}

/* TEXT with the first characters of special tokens moved to PLANE. */
static char *
hide_specials(const struct tokenizer *tok, const char *text, uint32_t plane)
{
	size_t n_bytes = strlen(text), at, length;
	struct buffer out = { 0 };
	uint32_t c;
	bool valid;

	for (at = 0; at < n_bytes; at += length) {
		length = utf8_decode(text + at, n_bytes - at, &c, &valid);
		if (!added_tokens_special_at(&tok->raw, text + at, n_bytes - at) &&
		    !added_tokens_special_at(&tok->normalized, text + at, n_bytes - at))
			append_code_point(&out, c);
		else /* no special token in use begins outside the first plane */
			append_code_point(&out, c < PLANE_SIZE - 2 ? plane + c : UTF8_REPLACEMENT);
	}
	return buffer_take(&out);
}

/* Moves the hidden characters of TEXT back and collects their places. */
static bool
show_specials(const char *text, uint32_t plane, struct buffer *out, struct text_guards *guards)
{
	size_t n_bytes = strlen(text), at = 0, capacity = 0;
	void *places = NULL;
	uint32_t c;
	bool valid, ok = true;

	while (ok && at < n_bytes) {
		at += utf8_decode(text + at, n_bytes - at, &c, &valid);
		if (c >= plane && c < plane + PLANE_SIZE) {
			ok = array_grow(&places, &capacity, guards->n + 1, sizeof *guards->at);
			if (ok)
				((size_t *)places)[guards->n++] = out->n;
			c -= plane;
		}
		append_code_point(out, c);
	}
	guards->at = places;
	return ok && !buffer_failed(out);
}

static enum t2l_status
encode_rendered(const struct tokenizer *tok, const char *text, uint32_t plane, int32_t **ids,
    size_t *n, struct t2l_error *err)
{
	struct text_guards guards = { 0 };
	struct buffer out = { 0 };
	enum t2l_status status;

	if (!show_specials(text, plane, &out, &guards))
		status = t2l_fail(err, T2L_ENOMEM, "out of memory for the conversation");
	else
		status = tokenizer_encode_guarded(tok, buffer_string(&out), out.n,
		    TOKENIZER_PARSE_SPECIAL | TOKENIZER_ADD_SPECIAL, guards, ids, n, err);
	if (status == T2L_OK) /* an answer follows, so no EOS yet */
		*n -= tok->after.n;
	free((void *)guards.at);
	buffer_free(&out);
	return status;
}

static const char *
name_or_nothing(const struct tokenizer *tok, int32_t id)
{
	const char *name = tokenizer_name(tok, id);

	return name != NULL ? name : "";
}

static enum t2l_status
encode_hidden(const struct tokenizer *tok, const struct chat_template *tmpl,
    const struct chat_message *hidden, size_t n_messages, const struct chat_options *options,
    uint32_t plane, int32_t **ids, size_t *n, struct t2l_error *err)
{
	struct chat_options complete = *options;
	enum t2l_status status;
	char *text = NULL;
	size_t n_eos;
	const int32_t *eos = tokenizer_eos(tok, &n_eos);

	if (complete.bos_token == NULL)
		complete.bos_token = name_or_nothing(tok, tokenizer_bos(tok));
	if (complete.eos_token == NULL)
		complete.eos_token = name_or_nothing(tok, n_eos > 0 ? eos[0] : -1);
	status = chat_template_render(tmpl, hidden, n_messages, &complete, &text, err);
	if (status == T2L_OK)
		status = encode_rendered(tok, text, plane, ids, n, err);
	free(text);
	return status;
}

enum t2l_status
chat_encode(const struct tokenizer *tok, const struct chat_template *tmpl,
    const struct chat_message *messages, size_t n_messages, const struct chat_options *options,
    int32_t **ids, size_t *n, struct t2l_error *err)
{
	uint32_t plane = find_free_plane(messages, n_messages);
	struct chat_message *hidden;
	enum t2l_status status = T2L_OK;
	size_t i;

	if (plane == 0)
		return t2l_fail(err, T2L_EINVAL,
		    "the messages use private characters of planes 15 and 16; take one kind out");
	hidden = calloc(n_messages + 1, sizeof *hidden);
	if (hidden == NULL)
		return t2l_fail(err, T2L_ENOMEM, "out of memory for the conversation");
	for (i = 0; i < n_messages; i++) {
		hidden[i].role = hide_specials(tok, messages[i].role, plane);
		hidden[i].content = hide_specials(tok, messages[i].content, plane);
		if (hidden[i].role == NULL || hidden[i].content == NULL)
			status = t2l_fail(err, T2L_ENOMEM, "out of memory for the conversation");
	}
	if (status == T2L_OK)
		status = encode_hidden(tok, tmpl, hidden, n_messages, options, plane, ids, n, err);
	for (i = 0; i < n_messages; i++) {
		free((char *)hidden[i].role);
		free((char *)hidden[i].content);
	}
	free(hidden);
	return status;
}
