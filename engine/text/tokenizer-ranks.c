/* tokenizer-ranks.c - reads a rank file of tiktoken: a line per token, its bytes in base64 and its
 * rank, which is its id. Qwen 1 comes with one. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nettle/base64.h>

#include "base/utf8.h"
#include "engine/error.h"
#include "engine/text/byte-level.h"
#include "engine/text/token-list.h"

/* What is not in the file but in the Python code beside it. */
static const struct rank_family {
	size_t n_ranks; /* which tells the family */
	const char *pre;
	const char *special[3]; /* the first ids behind the ranks; [0] ends a text, [2] a turn */
	const char *more;	/* format of further ones */
	int n_more;
} families[] = {
	/* tokenization_qwen.py: ENDOFTEXT, IMSTART, IMEND, EXTRAS */
	{ 151643, "qwen2", { "<|endoftext|>", "<|im_start|>", "<|im_end|>" }, "<|extra_%d|>", 205 },
};

#define LONGEST_LINE 4096

/* The token's bytes by their printable names, as byte-level vocabularies have them. */
static enum t2l_status
add_line(const char *line, size_t n, size_t number, struct token_list *list, struct t2l_error *err)
{
	const char *space = memchr(line, ' ', n);
	uint8_t bytes[BASE64_DECODE_LENGTH(LONGEST_LINE)];
	struct base64_decode_ctx decoder;
	struct buffer name = { 0 };
	size_t n_bytes = sizeof bytes, i;
	enum t2l_status status;
	char *end = NULL;
	long long rank = -1;

	if (space != NULL && n < LONGEST_LINE && space[1] >= '0' && space[1] <= '9')
		rank = strtoll(space + 1, &end, 10);
	base64_decode_init(&decoder);
	if (end != line + n || rank < 0 ||
	    !base64_decode_update(&decoder, &n_bytes, bytes, (size_t)(space - line), line) ||
	    !base64_decode_final(&decoder) || n_bytes == 0)
		return t2l_fail(err, T2L_EFORMAT,
		    "line %zu is not a token in base64, a blank and its rank", number);
	for (i = 0; i < n_bytes; i++) {
		char character[UTF8_MAX_BYTES];

		buffer_append(
		    &name, character, utf8_encode(byte_level_code_point(bytes[i]), character));
	}
	status = buffer_failed(&name) ? t2l_fail(err, T2L_ENOMEM, "out of memory for the tokenizer")
				      : token_list_set(list, rank, buffer_string(&name), name.n,
					    -(float)rank, TOKEN_NORMAL, err);
	buffer_free(&name);
	return status;
}

static enum t2l_status
add_special_tokens(const struct rank_family *family, struct token_list *list, struct t2l_error *err)
{
	enum t2l_status status = T2L_OK;
	char name[32];

	for (size_t i = 0; i < 3 && status == T2L_OK; i++)
		status = token_list_set(list, (int64_t)list->n, family->special[i],
		    strlen(family->special[i]), 0, TOKEN_CONTROL, err);
	for (int i = 0; i < family->n_more && status == T2L_OK; i++) {
		int length = snprintf(name, sizeof name, family->more, i);

		status = token_list_set(
		    list, (int64_t)list->n, name, (size_t)length, 0, TOKEN_CONTROL, err);
	}
	return status;
}

enum t2l_status
read_ranks(const char *bytes, size_t n_bytes, struct token_list *list,
    struct tokenizer_parts *parts, struct t2l_error *err)
{
	enum t2l_status status = T2L_OK;
	size_t number = 1, at = 0, i;

	for (; at < n_bytes && status == T2L_OK; number++) {
		const char *newline = memchr(bytes + at, '\n', n_bytes - at);
		size_t n = newline != NULL ? (size_t)(newline - bytes) - at : n_bytes - at;

		if (n > 0)
			status = add_line(bytes + at, n, number, list, err);
		at += n + 1;
	}
	if (status != T2L_OK)
		return status;
	for (i = 0; i < sizeof families / sizeof *families; i++)
		if (families[i].n_ranks == list->n)
			break;
	if (i == sizeof families / sizeof *families)
		return t2l_fail(err, T2L_EUNSUPPORTED,
		    "a rank file of %zu tokens is of no known family (Qwen's has 151643); use the "
		    "model's tokenizer.json",
		    list->n);
	parts->model = "gpt2";
	parts->pre = families[i].pre;
	parts->merges_by_rank = true;
	parts->bos_id = parts->unk_id = parts->pad_id = -1;
	parts->eos_id = (int32_t)list->n;
	parts->eot_id = (int32_t)list->n + 2;
	return add_special_tokens(&families[i], list, err);
}
