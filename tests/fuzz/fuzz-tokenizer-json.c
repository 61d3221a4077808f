/* fuzz-tokenizer-json.c - any bytes as a tokenizer.json; what opens must encode and decode. */

#include <stdlib.h>
#include <string.h>

#include "engine/text/tokenizer.h"
#include "tests/fuzz/fuzz.h"

/* Decodes what was encoded, at once and as a stream. */
static void
decode(const struct tokenizer *tok, const int32_t *ids, size_t n)
{
	struct token_stream *stream = NULL;
	struct t2l_error err;
	char *text = NULL;
	const char *bytes;
	size_t n_bytes;

	if (tokenizer_decode(tok, ids, n, DETOKENIZE_SKIP_SPECIAL, &text, &n_bytes, &err) == T2L_OK)
		fuzz_touch(text, n_bytes + 1);
	free(text);
	if (token_stream_open(tok, DETOKENIZE_ALL, &stream, &err) != T2L_OK)
		return;
	for (size_t i = 0; i < n; i++)
		if (token_stream_feed(stream, ids[i], &bytes, &n_bytes, &err) == T2L_OK)
			fuzz_touch(bytes, n_bytes);
	if (token_stream_flush(stream, &bytes, &n_bytes, &err) == T2L_OK)
		fuzz_touch(bytes, n_bytes);
	token_stream_close(stream);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	static const char text[] = "Hello, w\xC3\xB6rld! I'm 12345  \n\t\xE4\xBD\xA0\xE5\xA5\xBD"
				   "\xF0\x9F\x98\x80 <s>[CLS] a##b \xFF\xC3 e\xCC\x81 \0 end ";
	struct tokenizer *tok = NULL;
	struct t2l_error err;
	int32_t *ids;
	size_t n_ids;

	if (tokenizer_read_json((const char *)bytes, n, "fuzz", &tok, &err) != T2L_OK)
		return 0;
	for (unsigned flags = 0; flags < 4; flags++) {
		ids = NULL;
		if (tokenizer_encode(tok, text, sizeof text - 1, flags, &ids, &n_ids, &err) !=
		    T2L_OK)
			continue;
		decode(tok, ids, n_ids);
		n_ids = tokenizer_truncate(tok, ids, n_ids, 4);
		fuzz_touch(ids, n_ids * sizeof *ids);
		free(ids);
	}
	tokenizer_close(tok);
	return 0;
}
