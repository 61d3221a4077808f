/* added-tokens.c - a trie of the tokens that are found in a text before the model sees it. */

#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "engine/text/added-tokens.h"
#include "engine/text/ids.h"
#include "engine/text/unicode.h"

/* ---- the trie ---- */

static uint32_t
new_node(struct added_tokens *added, unsigned char byte)
{
	void *nodes = added->nodes;

	if (added->n_nodes >= UINT32_MAX ||
	    !array_grow(&nodes, &added->nodes_capacity, added->n_nodes + 1, sizeof *added->nodes))
		return 0;
	added->nodes = nodes;
	added->nodes[added->n_nodes] = (struct trie_node){ .token = -1, .byte = byte };
	return (uint32_t)added->n_nodes++;
}

static uint32_t
find_child(const struct added_tokens *added, uint32_t node, unsigned char byte)
{
	uint32_t child;

	if (node == 0)
		return added->first[byte];
	for (child = added->nodes[node].child; child != 0; child = added->nodes[child].sibling)
		if (added->nodes[child].byte == byte)
			return child;
	return 0;
}

static uint32_t
add_child(struct added_tokens *added, uint32_t node, unsigned char byte)
{
	uint32_t child = new_node(added, byte);

	if (child == 0)
		return 0;
	if (node == 0) {
		added->first[byte] = child;
	} else {
		added->nodes[child].sibling = added->nodes[node].child;
		added->nodes[node].child = child;
	}
	return child;
}

bool
added_tokens_add(
    struct added_tokens *added, const struct added_token *token, const char *text, size_t n_bytes)
{
	void *tokens = added->tokens;
	uint32_t node = 0, child;
	size_t i;

	if (added->n_nodes == 0) {
		new_node(added, 0);
		if (added->n_nodes == 0)
			return false;
	}
	if (!array_grow(&tokens, &added->capacity, added->n + 1, sizeof *added->tokens))
		return false;
	added->tokens = tokens;
	for (i = 0; i < n_bytes; i++, node = child) {
		child = find_child(added, node, (unsigned char)text[i]);
		if (child == 0)
			child = add_child(added, node, (unsigned char)text[i]);
		if (child == 0)
			return false;
	}
	added->tokens[added->n] = *token;
	added->nodes[node].token = (int32_t)added->n++;
	return true;
}

void
added_tokens_free(struct added_tokens *added)
{
	free(added->tokens);
	free(added->nodes);
	*added = (struct added_tokens){ 0 };
}

/* The longest token at TEXT, or NULL. */
static const struct added_token *
longest_at(const struct added_tokens *added, const char *text, size_t n_bytes, size_t *length)
{
	const struct added_token *found = NULL;
	uint32_t node = 0;
	size_t i;

	for (i = 0; i < n_bytes; i++) {
		node = find_child(added, node, (unsigned char)text[i]);
		if (node == 0)
			break;
		if (added->nodes[node].token >= 0) {
			found = &added->tokens[added->nodes[node].token];
			*length = i + 1;
		}
	}
	return found;
}

bool
added_tokens_special_at(const struct added_tokens *added, const char *text, size_t n_bytes)
{
	uint32_t node = 0;
	size_t i;

	for (i = 0; i < n_bytes; i++) {
		node = find_child(added, node, (unsigned char)text[i]);
		if (node == 0)
			return false;
		if (added->nodes[node].token >= 0 &&
		    added->tokens[added->nodes[node].token].special)
			return true;
	}
	return false;
}

/* ---- guards ---- */

bool
guards_meet(const struct text_guards *guards, size_t start, size_t end)
{
	size_t low = 0, high = guards->n, middle;

	while (low < high) { /* the first guard at START or behind it */
		middle = low + (high - low) / 2;
		if (guards->at[middle] < start)
			low = middle + 1;
		else
			high = middle;
	}
	return guards->everywhere || (low < guards->n && guards->at[low] < end);
}

/* ---- what stands around a match ---- */

/* The start of the character that ends at AT > 0. */
static size_t
previous(const char *text, size_t at)
{
	do
		at--;
	while (at > 0 && ((unsigned char)text[at] & 0xC0) == 0x80);
	return at;
}

static bool
is_between_words(const char *text, size_t n_bytes, size_t start, size_t end)
{
	uint32_t code_point;
	bool valid;

	if (start > 0) {
		size_t before = previous(text, start);

		utf8_decode(text + before, n_bytes - before, &code_point, &valid);
		if (unicode_is_word(code_point))
			return false;
	}
	if (end < n_bytes) {
		utf8_decode(text + end, n_bytes - end, &code_point, &valid);
		if (unicode_is_word(code_point))
			return false;
	}
	return true;
}

static size_t
skip_space_left(const char *text, size_t n_bytes, size_t start, size_t limit)
{
	uint32_t code_point;
	bool valid;

	while (start > limit) {
		size_t before = previous(text, start);

		utf8_decode(text + before, n_bytes - before, &code_point, &valid);
		if (!unicode_is_white_space(code_point))
			break;
		start = before;
	}
	return start < limit ? limit : start;
}

static size_t
skip_space_right(const char *text, size_t n_bytes, size_t end)
{
	uint32_t code_point;
	bool valid;
	size_t length;

	while (end < n_bytes) {
		length = utf8_decode(text + end, n_bytes - end, &code_point, &valid);
		if (!unicode_is_white_space(code_point))
			break;
		end += length;
	}
	return end;
}

struct added_match
added_tokens_find(const struct added_tokens *added, const char *text, size_t n_bytes, size_t at,
    bool parse_special, const struct text_guards *guards)
{
	struct added_match match = { NULL, n_bytes, n_bytes };
	const struct added_token *token;
	size_t start = at, length = 0;

	while (added->n > 0 && start < n_bytes) {
		if (added->first[(unsigned char)text[start]] == 0 ||
		    (token = longest_at(added, text + start, n_bytes - start, &length)) == NULL) {
			start++;
			continue;
		}
		/* A special token that is not looked for still covers its text: a shorter one
		 * inside it is not found either. */
		if ((token->special &&
			(!parse_special || guards_meet(guards, start, start + length))) ||
		    (token->single_word &&
			!is_between_words(text, n_bytes, start, start + length))) {
			start += length;
			continue;
		}
		match.token = token;
		match.start = token->lstrip ? skip_space_left(text, n_bytes, start, at) : start;
		match.end = start + length;
		if (token->rstrip)
			match.end = skip_space_right(text, n_bytes, match.end);
		break;
	}
	return match;
}
