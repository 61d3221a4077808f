/* wordpiece.c - splits a word into the longest tokens, from the left. */

#include <string.h>

#include "engine/text/wordpiece.h"

static bool
continues_character(char byte)
{
	return ((unsigned char)byte & 0xC0) == 0x80;
}

static size_t
count_characters(const char *text, size_t n_bytes)
{
	size_t i, n = 0;

	for (i = 0; i < n_bytes; i++)
		n += !continues_character(text[i]);
	return n;
}

/* The longest token at TEXT[FROM..], its end in *END; -1: none. CANDIDATE has PREFIX before the
 * rest of the word, so that every candidate of a continued word is one run of bytes. */
static int32_t
longest_token(const struct vocabulary *vocabulary, const char *candidate, size_t n_prefix,
    size_t n_bytes, size_t *length)
{
	int32_t id;

	while (n_bytes > 0) {
		id = string_index_find(
		    &vocabulary->by_name, &vocabulary->names, candidate, n_prefix + n_bytes);
		if (id >= 0) {
			*length = n_bytes;
			return id;
		}
		do
			n_bytes--;
		while (n_bytes > 0 && continues_character(candidate[n_prefix + n_bytes]));
	}
	return -1;
}

bool
wordpiece_encode(const struct wordpiece *wordpiece, const struct vocabulary *vocabulary,
    struct buffer *work, const char *word, size_t n_bytes, struct id_array *ids)
{
	size_t n_prefix = strlen(wordpiece->prefix), first = ids->n, at = 0, length = 0;
	int32_t id = -1;

	if (count_characters(word, n_bytes) > wordpiece->max_characters) {
		id_array_append(ids, wordpiece->unk_id);
		return !ids->failed;
	}
	buffer_clear(work);
	buffer_append(work, wordpiece->prefix, n_prefix);
	buffer_append(work, word, n_bytes);
	if (buffer_failed(work))
		return false;
	while (at < n_bytes) {
		if (at == 0) {
			id = longest_token(vocabulary, word, 0, n_bytes, &length);
		} else {
			/* The prefix goes over bytes that are done with. */
			memmove(work->bytes + at, wordpiece->prefix, n_prefix);
			id = longest_token(
			    vocabulary, work->bytes + at, n_prefix, n_bytes - at, &length);
		}
		if (id < 0)
			break;
		id_array_append(ids, id);
		at += length;
	}
	if (id < 0) { /* one unknown part makes the whole word unknown */
		ids->n = first;
		id_array_append(ids, wordpiece->unk_id);
	}
	return !ids->failed;
}
