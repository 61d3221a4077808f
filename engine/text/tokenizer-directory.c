/* tokenizer-directory.c - opens the tokenizer of a Hugging Face model directory. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/utf8.h"
#include "engine/error.h"
#include "engine/text/token-list.h"
#include "engine/text/tokenizer-json.h"

#define LARGEST_TOKENIZER (256u << 20)
#define LARGEST_CONFIG (16u << 20)

/* ---- files ---- */

/* DIRECTORY/NAME, to be freed. */
static char *
join_path(const char *directory, const char *name)
{
	struct buffer path = { 0 };

	buffer_printf(&path, "%s/%s", directory, name);
	return buffer_take(&path);
}

/* The bytes of DIRECTORY/NAME with a NUL behind them. T2L_ENOENT fills ERR like any other error. */
static enum t2l_status
read_file(const char *directory, const char *name, size_t limit, char **text, size_t *n_bytes,
    struct t2l_error *err)
{
	char *path = join_path(directory, name);
	enum t2l_status status = T2L_OK;

	if (path == NULL)
		return t2l_fail(err, T2L_ENOMEM, "out of memory");
	*text = read_whole_file(path, limit, n_bytes);
	if (*text == NULL)
		status = errno == EFBIG ? t2l_fail(err, T2L_EFORMAT, "%s is larger than %zu MiB",
					      path, limit >> 20)
					: t2l_fail_errno(err, "cannot read %s", path);
	free(path);
	return status;
}

/* Parses DIRECTORY/NAME; *JSON stays NULL when there is no such file. */
static enum t2l_status
read_config(const char *directory, const char *name, cJSON **json, struct t2l_error *err)
{
	char *path = join_path(directory, name);
	struct t2l_error inner = { 0 };
	enum t2l_status status;

	*json = NULL;
	if (path == NULL)
		return t2l_fail(err, T2L_ENOMEM, "out of memory");
	status = json_open(path, LARGEST_CONFIG, json, &inner);
	free(path);
	if (status == T2L_OK || status == T2L_ENOENT)
		return T2L_OK;
	return t2l_fail(err, status, "%s", inner.message);
}

/* ---- special tokens ---- */

/* The id of a token given as "text" or {"content": "text"}; -1: none. */
static int32_t
find_special(const struct tokenizer *tok, const cJSON *config, const char *key)
{
	const cJSON *item = json_member(config, key);
	const char *name = cJSON_GetStringValue(item);

	if (name == NULL)
		name = json_text(item, "content");
	return name != NULL ? tokenizer_find(tok, name) : -1;
}

/* What CONFIG (tokenizer_config.json or special_tokens_map.json) says and no one said before. */
static void
read_special_names(struct tokenizer *tok, const cJSON *config)
{
	const struct {
		const char *key;
		int32_t *id;
	} names[] = {
		{ "bos_token", &tok->bos_id },
		{ "pad_token", &tok->pad_id },
		{ "unk_token", &tok->unk_id },
	};
	size_t i;

	for (i = 0; i < sizeof names / sizeof *names; i++)
		if (*names[i].id < 0)
			*names[i].id = find_special(tok, config, names[i].key);
	if (tok->eos.n == 0)
		pipeline_add_eos(tok, find_special(tok, config, "eos_token"));
}

/* "eos_token_id" of generation_config.json: one id or several. */
static void
read_eos_ids(struct tokenizer *tok, const cJSON *config)
{
	const cJSON *ids = json_member(config, "eos_token_id"), *item;
	int64_t id;

	if (json_whole(ids, &id))
		pipeline_add_eos(tok, id);
	if (cJSON_IsArray(ids))
		cJSON_ArrayForEach(item, ids) if (json_whole(item, &id)) pipeline_add_eos(tok, id);
}

/* ---- chat template ---- */

/* A string, or a list of {"name", "template"} of which "default" counts. */
static const char *
find_chat_template(const cJSON *config)
{
	const cJSON *item = json_member(config, "chat_template"), *entry;
	const char *name;

	if (!cJSON_IsArray(item))
		return cJSON_GetStringValue(item);
	cJSON_ArrayForEach(entry, item)
	{
		name = json_text(entry, "name");
		if (name != NULL && strcmp(name, "default") == 0)
			return json_text(entry, "template");
	}
	return NULL;
}

static enum t2l_status
read_chat_template(
    struct tokenizer *tok, const char *directory, const cJSON *config, struct t2l_error *err)
{
	const char *inside = find_chat_template(config);
	size_t n_bytes = 0;
	char *text = NULL;
	enum t2l_status status;

	/* A file of its own goes before what the configuration says, as in transformers. */
	status = read_file(directory, "chat_template.jinja", LARGEST_CONFIG, &text, &n_bytes, err);
	if (status != T2L_OK && status != T2L_ENOENT)
		return status;
	if (status == T2L_ENOENT && inside == NULL)
		return T2L_OK;
	if (status == T2L_ENOENT)
		text = strdup(inside);
	if (text == NULL)
		return t2l_fail(err, T2L_ENOMEM, "out of memory");
	tok->chat_template = text;
	return T2L_OK;
}

/* ---- the directory ---- */

static enum t2l_status
read_tokenizer_config(struct tokenizer *tok, const char *directory, struct t2l_error *err)
{
	int64_t longest = 0;
	cJSON *config = NULL;
	enum t2l_status status = read_config(directory, "tokenizer_config.json", &config, err);

	if (status != T2L_OK)
		return status;
	read_special_names(tok, config);
	/* Unlimited is written as 1e30, which is no whole number here. */
	if (json_whole(json_member(config, "model_max_length"), &longest) && longest > 0 &&
	    longest <= INT32_MAX)
		tok->max_length = (size_t)longest;
	status = read_chat_template(tok, directory, config, err);
	cJSON_Delete(config);
	return status;
}

static enum t2l_status
read_neighbours(struct tokenizer *tok, const char *directory, struct t2l_error *err)
{
	cJSON *config = NULL;
	enum t2l_status status = read_tokenizer_config(tok, directory, err);

	if (status == T2L_OK)
		status = read_config(directory, "special_tokens_map.json", &config, err);
	if (status != T2L_OK)
		return status;
	read_special_names(tok, config);
	cJSON_Delete(config);
	status = read_config(directory, "generation_config.json", &config, err);
	if (status != T2L_OK)
		return status;
	read_eos_ids(tok, config);
	if (tok->bos_id < 0) {
		int64_t id = -1;

		json_whole(json_member(config, "bos_token_id"), &id);
		tok->bos_id = pipeline_check_id(tok, id);
	}
	cJSON_Delete(config);
	return T2L_OK;
}

/* ---- the files that hold a vocabulary ---- */

typedef enum t2l_status vocabulary_reader(const char *bytes, size_t n_bytes,
    struct token_list *list, struct tokenizer_parts *parts, struct t2l_error *err);

/* A vocabulary without words of its own on added tokens: the directory's settings have them. */
static enum t2l_status
create_with_settings(vocabulary_reader *reader, const char *bytes, size_t n_bytes,
    const char *directory, struct tokenizer **out, struct t2l_error *err)
{
	static const char config_name[] = "tokenizer_config.json";
	struct tokenizer_parts parts = { 0 };
	struct token_list list = { 0 };
	cJSON *config = NULL, *added = NULL;
	bool legacy = true;
	enum t2l_status status = reader(bytes, n_bytes, &list, &parts, err);

	if (status == T2L_OK)
		status = read_config(directory, config_name, &config, err);
	if (status == T2L_OK)
		status = read_config(directory, "added_tokens.json", &added, err);
	if (status == T2L_OK)
		status = token_list_add_hf(&list, added, config, err);
	if (status == T2L_OK)
		status = json_bool(
		    config, "add_bos_token", JSON_OPTIONAL, config_name, &parts.add_bos, err);
	if (status == T2L_OK)
		status = json_bool(
		    config, "add_eos_token", JSON_OPTIONAL, config_name, &parts.add_eos, err);
	if (status == T2L_OK)
		status = json_bool(config, "add_prefix_space", JSON_OPTIONAL, config_name,
		    &parts.add_space_prefix, err);
	/* LlamaTokenizer as transformers mended it; without the key, as SentencePiece does. */
	if (status == T2L_OK)
		status = json_bool(config, "legacy", JSON_OPTIONAL, config_name, &legacy, err);
	parts.prefix_first = !legacy;
	if (status == T2L_OK)
		status = token_list_create(&list, &parts, out, err);
	cJSON_Delete(config);
	cJSON_Delete(added);
	token_list_free(&list);
	return status;
}

/* BERT models of old have a vocab.txt only; tokenizer_config.json tells the rest. */
static enum t2l_status
open_vocab_txt(const char *bytes, size_t n_bytes, const char *path, const char *directory,
    struct tokenizer **out, struct t2l_error *err)
{
	bool lowercase = true;
	cJSON *config = NULL;
	enum t2l_status status = read_config(directory, "tokenizer_config.json", &config, err);

	if (status == T2L_OK)
		status = json_bool(config, "do_lower_case", JSON_OPTIONAL, "tokenizer_config.json",
		    &lowercase, err);
	cJSON_Delete(config);
	if (status == T2L_OK)
		status = tokenizer_read_wordpiece(bytes, n_bytes, lowercase, path, out, err);
	return status;
}

static enum t2l_status
open_json(const char *bytes, size_t n_bytes, const char *path, const char *directory,
    struct tokenizer **out, struct t2l_error *err)
{
	(void)directory;
	return tokenizer_read_json(bytes, n_bytes, path, out, err);
}

/* In the order in which they are looked for: the first says most. */
static const struct vocabulary_file {
	const char *name, *ending;
	vocabulary_reader *read; /* or it says all itself: */
	enum t2l_status (*open)(const char *bytes, size_t n_bytes, const char *path,
	    const char *directory, struct tokenizer **out, struct t2l_error *err);
} vocabulary_files[] = {
	{ "tokenizer.json", ".json", NULL, open_json },
	{ "tokenizer.model", ".model", read_sentencepiece, NULL },
	{ "qwen.tiktoken", ".tiktoken", read_ranks, NULL },
	{ "vocab.txt", ".txt", NULL, open_vocab_txt },
};
#define N_VOCABULARY_FILES (sizeof vocabulary_files / sizeof *vocabulary_files)

/* T2L_ENOENT: DIRECTORY has no file of that name. */
static enum t2l_status
open_vocabulary(const struct vocabulary_file *kind, const char *directory, const char *name,
    struct tokenizer **out, struct t2l_error *err)
{
	char *bytes = NULL, *path = join_path(directory, name);
	size_t n_bytes = 0;
	enum t2l_status status;

	if (path == NULL)
		return t2l_fail(err, T2L_ENOMEM, "out of memory");
	status = read_file(directory, name, LARGEST_TOKENIZER, &bytes, &n_bytes, err);
	if (status == T2L_OK && kind->read == NULL) {
		status = kind->open(bytes, n_bytes, path, directory, out, err);
	} else if (status == T2L_OK) {
		status = create_with_settings(kind->read, bytes, n_bytes, directory, out, err);
		if (status != T2L_OK)
			t2l_context(err, "%s", path);
	}
	free(bytes);
	free(path);
	return status;
}

static enum t2l_status
open_directory(const char *directory, struct tokenizer **out, struct t2l_error *err)
{
	for (size_t i = 0; i < N_VOCABULARY_FILES; i++) {
		struct t2l_error inner = { 0 };
		enum t2l_status status = open_vocabulary(
		    &vocabulary_files[i], directory, vocabulary_files[i].name, out, &inner);

		if (status == T2L_OK)
			return T2L_OK;
		if (status != T2L_ENOENT)
			return t2l_fail(err, status, "%s", inner.message);
	}
	return t2l_fail(err, T2L_ENOENT,
	    "%s has no tokenizer.json (nor tokenizer.model, qwen.tiktoken or vocab.txt); is it a "
	    "model directory?",
	    directory);
}

bool
tokenizer_is_in(const char *directory)
{
	bool there = false;

	for (size_t i = 0; i < N_VOCABULARY_FILES && !there; i++) {
		char *path = join_path(directory, vocabulary_files[i].name);

		there = path != NULL && access(path, F_OK) == 0;
		free(path);
	}
	return there;
}

static enum t2l_status
open_file(const char *directory, const char *name, struct tokenizer **out, struct t2l_error *err)
{
	size_t n = strlen(name);

	for (size_t i = 0; i < N_VOCABULARY_FILES; i++) {
		size_t n_ending = strlen(vocabulary_files[i].ending);

		if (n > n_ending && strcmp(name + n - n_ending, vocabulary_files[i].ending) == 0)
			return open_vocabulary(&vocabulary_files[i], directory, name, out, err);
	}
	return t2l_fail(err, T2L_EUNSUPPORTED,
	    "%s is no tokenizer file (tokenizer.json, tokenizer.model, qwen.tiktoken, vocab.txt)",
	    name);
}

enum t2l_status
tokenizer_open_hf(const char *path, struct tokenizer **out, struct t2l_error *err)
{
	const char *slash = strrchr(path, '/');
	struct tokenizer *tok = NULL;
	struct stat about;
	char *directory;
	enum t2l_status status;
	bool is_directory;

	if (stat(path, &about) != 0)
		return t2l_fail_errno(err, "cannot open %s", path);
	is_directory = S_ISDIR(about.st_mode);
	directory = is_directory    ? strdup(path)
		    : slash == NULL ? strdup(".")
				    : strndup(path, (size_t)(slash - path) + 1);
	if (directory == NULL)
		return t2l_fail(err, T2L_ENOMEM, "out of memory");
	status = is_directory ? open_directory(directory, &tok, err)
			      : open_file(directory, slash == NULL ? path : slash + 1, &tok, err);
	if (status == T2L_OK)
		status = read_neighbours(tok, directory, err);
	free(directory);
	if (status != T2L_OK) {
		tokenizer_close(tok);
		return status;
	}
	*out = tok;
	return T2L_OK;
}
