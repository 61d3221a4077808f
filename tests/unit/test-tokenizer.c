/* test-tokenizer.c - tokenizers give the reference's ids, text and streams. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/text/tokenizer.h"
#include "tests/unit/golden-lines.h"

static struct tokenizer *
open_golden(const char *folder)
{
	char relative[256];
	const char *path;
	struct tokenizer *tok = NULL;
	struct t2l_error err = { 0 };

	snprintf(relative, sizeof relative, "tokenizers/%s/tokenizer.json", folder);
	path = golden_path(relative);
	if (path == NULL) {
		print_message("no golden data for %s\n", folder);
		skip();
	}
	if (tokenizer_open_hf(path, &tok, &err) != T2L_OK)
		fail_msg("%s", err.message);
	return tok;
}

/* Compares and says what differs instead of only that something does. */
static void
assert_same_ids(const cJSON *line, const char *key, const int32_t *ids, size_t n,
    const int32_t *want, size_t n_want)
{
	size_t i;

	for (i = 0; i < n || i < n_want; i++)
		if (i >= n || i >= n_want || ids[i] != want[i]) {
			char *text = cJSON_PrintUnformatted(line);

			fail_msg("%s: token %zu is %d, not %d (%zu and %zu tokens) in %.1500s", key,
			    i, i < n ? ids[i] : -1, i < n_want ? want[i] : -1, n, n_want, text);
		}
}

static void
check_encoding(const struct tokenizer *tok, const cJSON *line, const char *key, unsigned flags,
    const char *text, size_t n_bytes)
{
	struct t2l_error err = { 0 };
	int32_t *want, *ids = NULL;
	size_t n_want = 0, n = 0;

	want = golden_ids(line, key, &n_want);
	assert_non_null(want);
	if (tokenizer_encode(tok, text, n_bytes, flags, &ids, &n, &err) != T2L_OK)
		fail_msg("%s", err.message);
	assert_same_ids(line, key, ids, n, want, n_want);
	free(want);
	free(ids);
}

static void
text_becomes_the_ids_of_the_reference(void **state)
{
	struct tokenizer *tok = open_golden(*state);
	struct golden_lines lines;
	char relative[256], *text;
	size_t n_bytes = 0, n_lines = 0;
	cJSON *line;

	snprintf(relative, sizeof relative, "tokenizers/%s/encode.jsonl", (const char *)*state);
	assert_true(golden_lines_open(&lines, relative));
	for (; (line = golden_lines_next(&lines)) != NULL; n_lines++) {
		bool has_plain = cJSON_HasObjectItem(line, "ids_plain");

		text = golden_text(line, "text", &n_bytes);
		assert_non_null(text);
		check_encoding(tok, line, "ids", TOKENIZER_PARSE_SPECIAL, text, n_bytes);
		check_encoding(
		    tok, line, has_plain ? "ids_plain" : "ids", TOKENIZER_PLAIN, text, n_bytes);
		free(text);
		cJSON_Delete(line);
	}
	assert_int_equal(n_lines, 419);
	golden_lines_close(&lines);
	tokenizer_close(tok);
}

static void
check_decoding(const struct tokenizer *tok, const int32_t *ids, size_t n, unsigned flags,
    const char *want, size_t n_want, const cJSON *line)
{
	struct t2l_error err = { 0 };
	char *text = NULL;
	size_t n_bytes = 0;

	assert_int_equal(tokenizer_decode(tok, ids, n, flags, &text, &n_bytes, &err), T2L_OK);
	if (n_bytes != n_want || memcmp(text, want, n_want) != 0)
		fail_msg(
		    "'%s' instead of '%s' in %.1500s", text, want, cJSON_PrintUnformatted(line));
	assert_int_equal(text[n_bytes], '\0');
	free(text);
}

static void
ids_become_the_text_of_the_reference(void **state)
{
	struct tokenizer *tok = open_golden(*state);
	struct golden_lines lines;
	char relative[256], *text, *skipped;
	size_t n = 0, n_bytes = 0, n_skipped = 0;
	int32_t *ids;
	cJSON *line;

	snprintf(relative, sizeof relative, "tokenizers/%s/encode.jsonl", (const char *)*state);
	assert_true(golden_lines_open(&lines, relative));
	while ((line = golden_lines_next(&lines)) != NULL) {
		ids = golden_ids(line, "ids", &n);
		text = golden_text(line, "decoded", &n_bytes);
		skipped = golden_text(line, "decoded_skip", &n_skipped);
		assert_non_null(text);
		check_decoding(tok, ids, n, DETOKENIZE_ALL, text, n_bytes, line);
		if (skipped != NULL)
			check_decoding(
			    tok, ids, n, DETOKENIZE_SKIP_SPECIAL, skipped, n_skipped, line);
		else
			check_decoding(tok, ids, n, DETOKENIZE_SKIP_SPECIAL, text, n_bytes, line);
		free(ids);
		free(text);
		free(skipped);
		cJSON_Delete(line);
	}
	golden_lines_close(&lines);
	tokenizer_close(tok);
}

/* Feeds IDS one by one and compares each piece that comes out with the reference's. */
static void
check_stream(struct token_stream *stream, const int32_t *ids, size_t n, const cJSON *line)
{
	const cJSON *pieces = cJSON_GetObjectItemCaseSensitive(line, "stream");
	const char *want, *bytes;
	struct t2l_error err = { 0 };
	size_t i, n_bytes;

	assert_int_equal(cJSON_GetArraySize(pieces), n);
	for (i = 0; i < n; i++) {
		want = cJSON_GetStringValue(cJSON_GetArrayItem(pieces, (int)i));
		assert_int_equal(token_stream_feed(stream, ids[i], &bytes, &n_bytes, &err), T2L_OK);
		if (want == NULL)
			want = "";
		if (n_bytes != strlen(want) || memcmp(bytes, want, n_bytes) != 0)
			fail_msg("piece %zu is '%.*s', not '%s' in %.1500s", i, (int)n_bytes, bytes,
			    want, cJSON_PrintUnformatted(line));
	}
	assert_int_equal(token_stream_flush(stream, &bytes, &n_bytes, &err), T2L_OK);
}

static void
streams_show_the_pieces_of_the_reference(void **state)
{
	struct tokenizer *tok = open_golden(*state);
	struct token_stream *stream = NULL;
	struct golden_lines lines;
	char relative[256], *text;
	size_t n = 0, n_bytes = 0, n_lines = 0;
	int32_t *ids;
	cJSON *line;

	snprintf(relative, sizeof relative, "tokenizers/%s/decode.jsonl", (const char *)*state);
	assert_true(golden_lines_open(&lines, relative));
	assert_int_equal(token_stream_open(tok, DETOKENIZE_ALL, &stream, NULL), T2L_OK);
	for (; (line = golden_lines_next(&lines)) != NULL; n_lines++) {
		ids = golden_ids(line, "ids", &n);
		text = golden_text(line, "text", &n_bytes);
		assert_non_null(ids);
		assert_non_null(text);
		check_decoding(tok, ids, n, DETOKENIZE_ALL, text, n_bytes, line);
		if (cJSON_HasObjectItem(line, "stream"))
			check_stream(stream, ids, n, line);
		free(ids);
		free(text);
		cJSON_Delete(line);
	}
	assert_true(n_lines > 20);
	token_stream_close(stream);
	golden_lines_close(&lines);
	tokenizer_close(tok);
}

#define FAMILY(folder)                                                                             \
	{ folder ": text becomes the ids of the reference", text_becomes_the_ids_of_the_reference, \
		NULL, NULL, folder },                                                              \
	    { folder ": ids become the text of the reference",                                     \
		    ids_become_the_text_of_the_reference, NULL, NULL, folder },                    \
	{                                                                                          \
		folder ": streams show the pieces of the reference",                               \
		    streams_show_the_pieces_of_the_reference, NULL, NULL, folder                   \
	}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		FAMILY("gpt2-style"),
		FAMILY("phi2-style"),
		FAMILY("llama3-style"),
		FAMILY("llama3-style-noignore"),
		FAMILY("qwen2-style"),
		FAMILY("llama2-style"),
		FAMILY("mistral-metaspace-style"),
		FAMILY("phi3-style"),
		FAMILY("gemma-style"),
		FAMILY("bert-uncased-style"),
		FAMILY("bert-cased-style"),
		FAMILY("real-mistral-v1"),
		FAMILY("real-minilm"),
	};

	return cmocka_run_group_tests_name("tokenizer", tests, NULL, NULL);
}
