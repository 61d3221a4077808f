/* test-tokenizer-files.c - SentencePiece models and rank files give the reference's ids and text.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "base/utf8.h"
#include "engine/text/byte-level.h"
#include "engine/text/protobuf.h"
#include "engine/text/token-list.h"
#include "tests/unit/golden-lines.h"
#include "tests/unit/temporary-folder.h"

static struct tokenizer *
open_golden(const char *file)
{
	char relative[256];
	const char *path;
	struct tokenizer *tok = NULL;
	struct t2l_error err = { 0 };

	snprintf(relative, sizeof relative, "tokenizers/%s", file);
	path = golden_path(relative);
	if (path == NULL) {
		print_message("no golden data for %s\n", file);
		skip();
	}
	if (tokenizer_open_hf(path, &tok, &err) != T2L_OK)
		fail_msg("%s", err.message);
	return tok;
}

static void
check_encoding(const struct tokenizer *tok, const cJSON *line, const char *key, unsigned flags)
{
	size_t n_bytes = 0, n_want = 0, n = 0;
	char *text = golden_text(line, "text", &n_bytes);
	int32_t *want = golden_ids(line, key, &n_want), *ids = NULL;
	struct t2l_error err = { 0 };

	assert_non_null(text);
	assert_non_null(want);
	if (tokenizer_encode(tok, text, n_bytes, flags, &ids, &n, &err) != T2L_OK)
		fail_msg("%s", err.message);
	if (n != n_want || (n > 0 && memcmp(ids, want, n * sizeof *ids) != 0))
		fail_msg("%s: %zu tokens, first %d, in %.1500s", key, n, n > 0 ? ids[0] : -1,
		    cJSON_PrintUnformatted(line));
	free(text);
	free(want);
	free(ids);
}

static void
check_decoding(const struct tokenizer *tok, const cJSON *line, const char *ids_key, const char *key)
{
	size_t n_want = 0, n_ids = 0, n_bytes = 0;
	char *want = golden_text(line, key, &n_want), *text = NULL;
	int32_t *ids = golden_ids(line, ids_key, &n_ids);
	struct t2l_error err = { 0 };

	assert_non_null(want);
	assert_non_null(ids);
	assert_int_equal(
	    tokenizer_decode(tok, ids, n_ids, DETOKENIZE_ALL, &text, &n_bytes, &err), T2L_OK);
	if (n_bytes != n_want || memcmp(text, want, n_want) != 0)
		fail_msg(
		    "'%s' instead of '%s' in %.1500s", text, want, cJSON_PrintUnformatted(line));
	free(text);
	free(want);
	free(ids);
}

/* The strings that are no UTF-8 differ between the references; ours is Hugging Face's. */
static bool
is_lossy(const cJSON *line)
{
	const char *tag =
	    cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive((cJSON *)line, "tag"));

	return tag != NULL && strcmp(tag, "badutf8") == 0;
}

static void
a_sentencepiece_model_gives_the_ids_of_the_library(void **state)
{
	char file[128], lines_file[128];
	struct tokenizer *tok;
	struct golden_lines lines;
	size_t n_lines = 0;
	cJSON *line;

	snprintf(file, sizeof file, "%s/tokenizer.model", (const char *)*state);
	snprintf(
	    lines_file, sizeof lines_file, "tokenizers/%s/spm_encode.jsonl", (const char *)*state);
	tok = open_golden(file);
	assert_true(golden_lines_open(&lines, lines_file));
	for (; (line = golden_lines_next(&lines)) != NULL; n_lines++) {
		bool lossy = is_lossy(line) && cJSON_HasObjectItem(line, "hf_ids_plain");

		check_encoding(tok, line, lossy ? "hf_ids_plain" : "ids_plain", TOKENIZER_PLAIN);
		cJSON_Delete(line);
	}
	assert_int_equal(n_lines, 419);
	golden_lines_close(&lines);
	tokenizer_close(tok);
}

static void
a_sentencepiece_model_gives_the_text_of_its_tokenizer_json(void **state)
{
	char file[128], lines_file[128];
	struct tokenizer *tok;
	struct golden_lines lines;
	cJSON *line;

	snprintf(file, sizeof file, "%s/tokenizer.model", (const char *)*state);
	snprintf(lines_file, sizeof lines_file, "tokenizers/%s/decode.jsonl", (const char *)*state);
	tok = open_golden(file);
	assert_true(golden_lines_open(&lines, lines_file));
	while ((line = golden_lines_next(&lines)) != NULL) {
		check_decoding(tok, line, "ids", "text");
		cJSON_Delete(line);
	}
	golden_lines_close(&lines);
	tokenizer_close(tok);
}

static void
the_rank_file_of_qwen_gives_the_ids_of_tiktoken(void **state)
{
	struct tokenizer *tok = open_golden("real-qwen/qwen.tiktoken");
	struct golden_lines lines;
	size_t n_lines = 0;
	cJSON *line;

	(void)state;
	assert_true(golden_lines_open(&lines, "tokenizers/real-qwen/encode.jsonl"));
	for (; (line = golden_lines_next(&lines)) != NULL; n_lines++) {
		bool special = cJSON_HasObjectItem(line, "ids");

		check_encoding(tok, line, "ids_plain", TOKENIZER_PLAIN);
		check_encoding(tok, line, special ? "ids" : "ids_plain", TOKENIZER_PARSE_SPECIAL);
		check_decoding(tok, line, special ? "ids" : "ids_plain", "decoded");
		cJSON_Delete(line);
	}
	assert_int_equal(n_lines, 419);
	golden_lines_close(&lines);
	assert_int_equal(tokenizer_find(tok, "<|extra_204|>"), 151850);
	assert_true(tokenizer_is_eos(tok, 151643));
	assert_true(tokenizer_is_eos(tok, 151645));
	tokenizer_close(tok);
}

static void
write_file(const char *name, const char *bytes, size_t n_bytes)
{
	FILE *file = fopen(in_folder(name), "wb");

	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, n_bytes, file), n_bytes);
	assert_int_equal(fclose(file), 0);
}

static void
a_directory_adds_its_tokens_and_settings_to_a_sentencepiece_model(void **state)
{
	static const char config[] =
	    "{\"add_bos_token\":false,\"add_eos_token\":true,\"added_tokens_decoder\":{"
	    "\"1600\":{\"content\":\"<|im_end|>\",\"special\":true},"
	    "\"1601\":{\"content\":\"<tool>\",\"special\":false,\"rstrip\":true}}}";
	const char *model = golden_path("tokenizers/llama2-style/tokenizer.model");
	struct tokenizer *tok = NULL;
	struct t2l_error err = { 0 };
	size_t n_bytes = 0, n = 0;
	char *bytes = model != NULL ? read_whole_file(model, 1 << 20, &n_bytes) : NULL;
	int32_t *ids = NULL;

	(void)state;
	if (bytes == NULL)
		skip();
	write_file("tokenizer.model", bytes, n_bytes);
	write_file("tokenizer_config.json", config, strlen(config));
	if (tokenizer_open_hf(temporary_folder, &tok, &err) != T2L_OK)
		fail_msg("%s", err.message);
	assert_int_equal(tokenizer_encode(tok, "<tool>  <|im_end|>", 18,
			     TOKENIZER_PARSE_SPECIAL | TOKENIZER_ADD_SPECIAL, &ids, &n, &err),
	    T2L_OK);
	assert_int_equal(n, 3);
	assert_int_equal(ids[0], 1601);
	assert_int_equal(ids[1], 1600);
	assert_int_equal(ids[2], 2); /* </s> */
	free(ids);
	free(bytes);
	tokenizer_close(tok);
}

/* Only the first run of ordinary text gets a blank before it. Made by
 * tests/interop/make-tokenizer-legacy.py. */
static void
legacy_false_puts_no_blank_behind_special_tokens(void **state)
{
	static const char config[] = "{\"legacy\":false}";
	const char *model = golden_path("tokenizers/llama2-style/tokenizer.model");
	struct golden_lines lines;
	struct tokenizer *tok = NULL;
	struct t2l_error err = { 0 };
	size_t n_bytes = 0, n_lines = 0;
	char *bytes = model != NULL ? read_whole_file(model, 1 << 20, &n_bytes) : NULL;
	cJSON *line;

	(void)state;
	if (bytes == NULL || !golden_lines_open(&lines, "tokenizers/llama2-style/no-legacy.jsonl"))
		skip();
	write_file("tokenizer.model", bytes, n_bytes);
	write_file("tokenizer_config.json", config, strlen(config));
	if (tokenizer_open_hf(temporary_folder, &tok, &err) != T2L_OK)
		fail_msg("%s", err.message);
	for (; (line = golden_lines_next(&lines)) != NULL; n_lines++) {
		check_encoding(tok, line, "ids", TOKENIZER_PARSE_SPECIAL);
		check_decoding(tok, line, "ids", "decoded");
		cJSON_Delete(line);
	}
	assert_int_equal(n_lines, 18);
	golden_lines_close(&lines);
	free(bytes);
	tokenizer_close(tok);
}

static void
a_cut_model_is_refused(void **state)
{
	const char *model = golden_path("tokenizers/llama2-style/tokenizer.model");
	size_t n_bytes = 0;
	char *bytes = model != NULL ? read_whole_file(model, 1 << 20, &n_bytes) : NULL;

	(void)state;
	if (bytes == NULL)
		skip();
	for (size_t n = 0; n < n_bytes; n += 97) {
		struct token_list list = { 0 };
		struct tokenizer_parts parts = { 0 };
		struct t2l_error err = { 0 };

		/* The settings stand behind the vocabulary, so what is cut has none. */
		assert_int_equal(read_sentencepiece(bytes, n, &list, &parts, &err), T2L_EFORMAT);
		assert_non_null(strstr(err.message, "damaged"));
		token_list_free(&list);
	}
	free(bytes);
}

static void
a_bad_rank_file_is_refused_with_its_line(void **state)
{
	static const struct {
		const char *text, *says;
	} cases[] = {
		{ "IQ== 0\nIg== x\n", "line 2" },
		{ "IQ== 0\n\nIg==1\n", "line 3" },
		{ "I*== 0\n", "line 1" },
		{ "IQ== 99999999999\n", "is not below" },
		{ "IQ== 0\nIg== 1\n", "of no known family" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct token_list list = { 0 };
		struct tokenizer_parts parts = { 0 };
		struct t2l_error err = { 0 };

		assert_int_not_equal(
		    read_ranks(cases[i].text, strlen(cases[i].text), &list, &parts, &err), T2L_OK);
		if (strstr(err.message, cases[i].says) == NULL)
			fail_msg("'%s' does not say '%s'", err.message, cases[i].says);
		token_list_free(&list);
	}
}

/* The 256 bytes by their printable names, then WORDS. */
static struct tokenizer *
tokenizer_of_words(const char *pre, const char *const *words, size_t n_words)
{
	static char names[256][UTF8_MAX_BYTES];
	struct token_text tokens[256 + 16];
	struct tokenizer_parts parts = { .model = "gpt2",
		.pre = pre,
		.n_tokens = 256 + n_words,
		.tokens = tokens,
		.bos_id = -1,
		.eos_id = -1,
		.eot_id = -1,
		.unk_id = -1,
		.pad_id = -1 };
	struct tokenizer *tok = NULL;
	struct t2l_error err = { 0 };

	for (unsigned byte = 0; byte < 256; byte++)
		tokens[byte] = (struct token_text){ names[byte],
			utf8_encode(byte_level_code_point((uint8_t)byte), names[byte]) };
	for (size_t i = 0; i < n_words; i++)
		tokens[256 + i] = (struct token_text){ words[i], strlen(words[i]) };
	if (tokenizer_create(&parts, &tok, &err) != T2L_OK)
		fail_msg("%s", err.message);
	return tok;
}

/* The published expression: no contractions, words break at capitals, digits one by one. */
static void
tekken_splits_as_its_expression_says(void **state)
{
	static const char *const words[] = { "don't", "don", "'t", "\xC4\xA0stop", "HTTPRequest",
		"HTTP", "Request", "2024", "20", "//\xC4\x8A" };
	static const int32_t want[] = { 257, 258, 259, 260, ' ', '2', '0', '2', '4', 265 };
	struct tokenizer *tok = tokenizer_of_words("tekken", words, 10);
	struct t2l_error err = { 0 };
	int32_t *ids = NULL;
	size_t n = 0;

	(void)state;
	/* A run of capitals takes its small letters with it. */
	assert_int_equal(
	    tokenizer_encode(tok, "don't stopHTTPRequest 2024//\n", 29, 0, &ids, &n, &err), T2L_OK);
	assert_int_equal(n, sizeof want / sizeof *want);
	assert_memory_equal(ids, want, sizeof want);
	free(ids);
	tokenizer_close(tok);
}

static void
protobuf_fields_are_read_as_the_encoding_guide_says(void **state)
{
	/* From the guide: field 1 = 150; field 2 = "testing"; field 3 = message { 1: 150 }. */
	static const uint8_t bytes[] = { 0x08, 0x96, 0x01, 0x12, 0x07, 't', 'e', 's', 't', 'i', 'n',
		'g', 0x1a, 0x03, 0x08, 0x96, 0x01, 0x25, 0x00, 0x00, 0x80, 0x3f };
	struct protobuf message = { .bytes = bytes, .n = sizeof bytes };
	struct protobuf_field field;

	(void)state;
	assert_true(protobuf_next(&message, &field));
	assert_int_equal(field.number, 1);
	assert_int_equal(field.value, 150);
	assert_true(protobuf_next(&message, &field));
	assert_int_equal(field.number, 2);
	assert_int_equal(field.n, 7);
	assert_memory_equal(field.bytes, "testing", 7);
	assert_true(protobuf_next(&message, &field));
	assert_int_equal(field.n, 3);
	assert_true(protobuf_next(&message, &field));
	assert_true(protobuf_float(&field) == 1.0F);
	assert_false(protobuf_next(&message, &field));
	assert_false(message.damaged);
	for (size_t n = 1; n < sizeof bytes; n++) {
		struct protobuf cut = { .bytes = bytes, .n = n };
		size_t ends[] = { 3, 12, 17 };
		bool whole = n == ends[0] || n == ends[1] || n == ends[2];

		while (protobuf_next(&cut, &field))
			;
		assert_int_equal(cut.damaged, !whole);
	}
}

#define MODEL(folder)                                                                              \
	{                                                                                          \
		folder ": tokenizer.model gives the ids of sentencepiece",                         \
		    a_sentencepiece_model_gives_the_ids_of_the_library, NULL, NULL, folder         \
	}
#define TEXT(folder)                                                                               \
	{                                                                                          \
		folder ": tokenizer.model gives the text of tokenizer.json",                       \
		    a_sentencepiece_model_gives_the_text_of_its_tokenizer_json, NULL, NULL, folder \
	}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		MODEL("llama2-style"),
		MODEL("gemma-style"),
		MODEL("real-mistral-v1"),
		MODEL("real-mistral-v3"),
		TEXT("llama2-style"),
		TEXT("gemma-style"),
		TEXT("real-mistral-v1"),
		cmocka_unit_test(the_rank_file_of_qwen_gives_the_ids_of_tiktoken),
		cmocka_unit_test_setup_teardown(
		    a_directory_adds_its_tokens_and_settings_to_a_sentencepiece_model,
		    make_temporary_folder, remove_temporary_folder),
		cmocka_unit_test_setup_teardown(legacy_false_puts_no_blank_behind_special_tokens,
		    make_temporary_folder, remove_temporary_folder),
		cmocka_unit_test(a_cut_model_is_refused),
		cmocka_unit_test(a_bad_rank_file_is_refused_with_its_line),
		cmocka_unit_test(tekken_splits_as_its_expression_says),
		cmocka_unit_test(protobuf_fields_are_read_as_the_encoding_guide_says),
	};

	return cmocka_run_group_tests_name("tokenizer-files", tests, NULL, NULL);
}
