/* test-tokenizer-gguf.c - a vocabulary from GGUF gives the same ids as its tokenizer.json. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/formats/gguf.h"
#include "engine/models/loader.h"
#include "engine/text/tokenizer.h"
#include "tests/unit/golden-lines.h"

static struct tokenizer *
open_vocabulary(const char *folder, const char *file)
{
	char relative[256];
	const char *path;
	struct gguf *gguf = NULL;
	struct tokenizer *tok = NULL;
	struct t2l_error err = { 0 };

	snprintf(relative, sizeof relative, "tokenizers/%s/%s", folder, file);
	path = golden_path(relative);
	if (path == NULL) {
		print_message("no golden data for %s\n", folder);
		skip();
	}
	if (gguf_open(path, &gguf, &err) != T2L_OK ||
	    tokenizer_read_gguf(gguf, &tok, &err) != T2L_OK)
		fail_msg("%s", err.message);
	gguf_close(gguf); /* a tokenizer keeps nothing of the file */
	return tok;
}

static void
check(const struct tokenizer *tok, const cJSON *line, const char *key, unsigned flags)
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

struct vocabulary_case {
	const char *folder, *file;
	/* The tokenizer.json compared with has no user-defined </s>, this vocabulary has. */
	bool has_own_tokens;
};

static void
a_gguf_vocabulary_gives_the_ids_of_its_tokenizer_json(void **state)
{
	const struct vocabulary_case *c = *state;
	struct tokenizer *tok = open_vocabulary(c->folder, c->file);
	struct golden_lines lines;
	char relative[256];
	size_t n_lines = 0;
	cJSON *line;

	snprintf(relative, sizeof relative, "tokenizers/%s/gguf_encode.jsonl", c->folder);
	assert_true(golden_lines_open(&lines, relative));
	for (; (line = golden_lines_next(&lines)) != NULL; n_lines++) {
		bool differs = cJSON_HasObjectItem(line, "hf_ids_plain") &&
			       (!c->has_own_tokens || cJSON_HasObjectItem(line, "lossy"));

		/* Where the two references differ ours is Hugging Face's. */
		check(tok, line, differs ? "hf_ids_plain" : "ids_plain", TOKENIZER_PLAIN);
		if (!differs && cJSON_HasObjectItem(line, "ids"))
			check(tok, line, "ids", TOKENIZER_PARSE_SPECIAL);
		cJSON_Delete(line);
	}
	assert_int_equal(n_lines, 419);
	golden_lines_close(&lines);
	tokenizer_close(tok);
}

static struct vocabulary_case cases[] = {
	{ "gpt2-style", "vocab.gguf", false },
	{ "phi2-style", "vocab.gguf", false },
	{ "llama3-style", "vocab.gguf", false },
	{ "qwen2-style", "vocab.gguf", false },
	{ "llama2-style", "vocab.gguf", false },
	{ "gemma-style", "vocab.gguf", false },
	{ "real-gguf-gpt-2", "ggml-vocab-gpt-2.gguf", false },
	{ "real-gguf-llama-spm", "ggml-vocab-llama-spm.gguf", false },
	{ "real-gguf-phi-3", "ggml-vocab-phi-3.gguf", true },
	{ "real-gguf-bert-bge", "ggml-vocab-bert-bge.gguf", false },
};

#define CASE(i, name)                                                                              \
	{                                                                                          \
		name, a_gguf_vocabulary_gives_the_ids_of_its_tokenizer_json, NULL, NULL, &cases[i] \
	}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(0, "gpt2-style: GGUF gives the ids of tokenizer.json"),
		CASE(1, "phi2-style: GGUF gives the ids of tokenizer.json"),
		CASE(2, "llama3-style: GGUF gives the ids of tokenizer.json"),
		CASE(3, "qwen2-style: GGUF gives the ids of tokenizer.json"),
		CASE(4, "llama2-style: GGUF gives the ids of tokenizer.json"),
		CASE(5, "gemma-style: GGUF gives the ids of tokenizer.json"),
		CASE(6, "GPT-2: GGUF gives the ids of tokenizer.json"),
		CASE(7, "LLaMA 2: GGUF gives the ids of tokenizer.json"),
		CASE(8, "Phi-3: GGUF gives the ids of tokenizer.json"),
		CASE(9, "BERT: GGUF gives the ids of tokenizer.json"),
	};

	return cmocka_run_group_tests_name("tokenizer-gguf", tests, NULL, NULL);
}
