/* fuzz-vocabulary.c - any bytes as a SentencePiece model and as a rank file; what opens must encode
 * and decode. */

#include <stdlib.h>
#include <string.h>

#include "engine/text/token-list.h"
#include "tests/fuzz/fuzz.h"

static void
use(const struct token_list *list, struct tokenizer_parts *parts)
{
	static const char text[] =
	    "Hello, w\xC3\xB6rld 12 \xFF <s><mask><|im_end|> \xE2\x96\x81 \0 e";
	struct tokenizer *tok = NULL;
	struct t2l_error err;
	char *back;
	int32_t *ids;
	size_t n_ids, n_bytes;

	if (token_list_create(list, parts, &tok, &err) != T2L_OK)
		return;
	for (unsigned flags = 0; flags < 4; flags++) {
		if (tokenizer_encode(tok, text, sizeof text - 1, flags, &ids, &n_ids, &err) !=
		    T2L_OK)
			continue;
		if (tokenizer_decode(tok, ids, n_ids, DETOKENIZE_RAW, &back, &n_bytes, &err) ==
		    T2L_OK) {
			fuzz_touch(back, n_bytes + 1);
			free(back);
		}
		free(ids);
	}
	tokenizer_close(tok);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	char *text = malloc(n + 1); /* ends in NUL, as files do that are read */
	struct tokenizer_parts model = { 0 }, ranks = { 0 };
	struct token_list list = { 0 };
	struct t2l_error err;

	if (text == NULL)
		return 0;
	if (n > 0)
		memcpy(text, bytes, n);
	text[n] = '\0';
	if (read_sentencepiece(text, n, &list, &model, &err) == T2L_OK)
		use(&list, &model);
	token_list_free(&list);
	/* Also what is no family's: its merges are those of any. */
	read_ranks(text, n, &list, &ranks, &err);
	ranks.model = "gpt2";
	ranks.pre = "qwen2";
	ranks.merges_by_rank = true;
	ranks.bos_id = ranks.eos_id = ranks.eot_id = ranks.unk_id = ranks.pad_id = -1;
	use(&list, &ranks);
	token_list_free(&list);
	free(text);
	return 0;
}
