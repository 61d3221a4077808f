/* test-tokenizer-save.c - a tokenizer written as tokenizer.json, or as GGUF's parts, is read as the
 * same one. */

#include "tests/unit/cmocka-first.h"

#include <stdio.h>

#include "engine/text/tokenizer-save.h"
#include "tests/unit/golden-lines.h"

static void
assert_ok_(enum t2l_status status, const struct t2l_error *err)
{
	if (status != T2L_OK)
		fail_msg("%s", err->message);
}
#define assert_ok(call) assert_ok_(call, &err)

struct text_case {
	const char *folder;
	bool exact; /* GGUF's own keys say all of it */
};

static const struct text_case texts[] = {
	{ "llama2-style", true },
	{ "gemma-style", true },
	{ "gpt2-style", true },
	{ "phi2-style", false },
	{ "llama3-style", true },
	{ "llama3-style-noignore", true },
	{ "qwen2-style", true },
	{ "mistral-metaspace-style", false },
	{ "phi3-style", true },
};

static void
check_line(const struct tokenizer *tok, const cJSON *line, const char *key, unsigned flags)
{
	size_t n_bytes = 0, n_want = 0, n = 0;
	char *text = golden_text(line, "text", &n_bytes);
	int32_t *want = golden_ids(line, key, &n_want), *ids = NULL;
	struct t2l_error err = { 0 };

	if (tokenizer_encode(tok, text, n_bytes, flags, &ids, &n, &err) != T2L_OK)
		fail_msg("%s", err.message);
	if (n != n_want || (n > 0 && memcmp(ids, want, n * sizeof *ids) != 0))
		fail_msg("%s: %zu tokens for %zu in %.1000s", key, n, n_want,
		    cJSON_PrintUnformatted(line));
	free(text);
	free(want);
	free(ids);
}

static void
check_all_lines(const struct tokenizer *tok, const char *folder)
{
	struct golden_lines lines;
	char relative[256];
	size_t n_lines = 0;
	cJSON *line;

	snprintf(relative, sizeof relative, "tokenizers/%s/encode.jsonl", folder);
	assert_true(golden_lines_open(&lines, relative));
	for (; (line = golden_lines_next(&lines)) != NULL; n_lines++) {
		check_line(tok, line, "ids", TOKENIZER_PARSE_SPECIAL);
		if (cJSON_HasObjectItem(line, "ids_plain"))
			check_line(tok, line, "ids_plain", TOKENIZER_PLAIN);
		cJSON_Delete(line);
	}
	assert_true(n_lines > 100);
	golden_lines_close(&lines);
}

static void
a_tokenizer_goes_there_and_back(void **state)
{
	const struct text_case *c = *state;
	struct tokenizer *tok = NULL, *again = NULL;
	struct tokenizer_description description;
	struct buffer json = { 0 };
	struct t2l_error err = { 0 };
	const char *path;
	char relative[128];

	snprintf(relative, sizeof relative, "tokenizers/%s/tokenizer.json", c->folder);
	path = golden_path(relative);
	if (path == NULL) {
		print_message("no golden data for %s\n", c->folder);
		skip();
	}
	assert_ok(tokenizer_open_hf(path, &tok, &err));
	assert_ok(tokenizer_describe(tok, 0, &description, &err));
	assert_int_equal(description.exact, c->exact);
	if (c->exact) {
		assert_ok(tokenizer_create(&description.parts, &again, &err));
		check_all_lines(again, c->folder);
		tokenizer_close(again);
	}
	assert_ok(tokenizer_write_json(tok, &json, &err));
	assert_ok(tokenizer_read_json(buffer_string(&json), json.n, "json", &again, &err));
	check_all_lines(again, c->folder);
	tokenizer_close(again);
	tokenizer_description_free(&description);
	buffer_free(&json);
	tokenizer_close(tok);
}

#define LENGTH(array) (sizeof(array) / sizeof *(array))

int
main(void)
{
	static char names[LENGTH(texts)][128];
	struct CMUnitTest tests[LENGTH(texts)];

	for (size_t i = 0; i < LENGTH(texts); i++) {
		snprintf(names[i], sizeof *names, "the tokenizer of %s goes there and back",
		    texts[i].folder);
		tests[i] = (struct CMUnitTest){ names[i], a_tokenizer_goes_there_and_back, NULL,
			NULL, (void *)&texts[i] };
	}
	return cmocka_run_group_tests_name("tokenizer-save", tests, NULL, NULL);
}
