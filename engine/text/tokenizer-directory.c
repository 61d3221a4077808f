/* tokenizer-directory.c - opens the tokenizer of a Hugging Face model directory. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/utf8.h"
#include "engine/error.h"
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

/* BERT models of old have a vocab.txt only; tokenizer_config.json tells the rest. */
static enum t2l_status
open_vocab_txt(const char *directory, struct tokenizer **out, struct t2l_error *err)
{
	bool lowercase = true;
	cJSON *config = NULL;
	size_t n_bytes = 0;
	char *text = NULL, *path;
	enum t2l_status status = read_config(directory, "tokenizer_config.json", &config, err);

	if (status == T2L_OK)
		status = json_bool(config, "do_lower_case", JSON_OPTIONAL, "tokenizer_config.json",
		    &lowercase, err);
	cJSON_Delete(config);
	if (status == T2L_OK)
		status = read_file(directory, "vocab.txt", LARGEST_TOKENIZER, &text, &n_bytes, err);
	if (status != T2L_OK)
		return status;
	path = join_path(directory, "vocab.txt");
	status = tokenizer_read_wordpiece(
	    text, n_bytes, lowercase, path != NULL ? path : "vocab.txt", out, err);
	free(path);
	free(text);
	return status;
}

static enum t2l_status
open_json(const char *path, struct tokenizer **out, struct t2l_error *err)
{
	cJSON *json = NULL;
	enum t2l_status status = json_open(path, LARGEST_TOKENIZER, &json, err);

	if (status != T2L_OK)
		return status;
	status = read_tokenizer(json, path, out, err);
	cJSON_Delete(json);
	return status;
}

static enum t2l_status
open_directory(const char *directory, struct tokenizer **out, struct t2l_error *err)
{
	struct t2l_error inner = { 0 };
	char *path = join_path(directory, "tokenizer.json");
	enum t2l_status status;

	if (path == NULL)
		return t2l_fail(err, T2L_ENOMEM, "out of memory");
	status = open_json(path, out, &inner);
	free(path);
	if (status == T2L_ENOENT) {
		status = open_vocab_txt(directory, out, &inner);
		if (status == T2L_ENOENT)
			return t2l_fail(err, T2L_ENOENT,
			    "%s has no tokenizer.json (nor a BERT vocab.txt); is it a model "
			    "directory?",
			    directory);
	}
	return status == T2L_OK ? T2L_OK : t2l_fail(err, status, "%s", inner.message);
}

/* The folder a file lies in, to be freed. */
static char *
folder_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash == NULL ? strdup(".") : strndup(path, (size_t)(slash - path) + 1);
}

enum t2l_status
tokenizer_open_hf(const char *path, struct tokenizer **out, struct t2l_error *err)
{
	struct tokenizer *tok = NULL;
	struct stat about;
	char *directory = NULL;
	enum t2l_status status;

	if (stat(path, &about) != 0)
		return t2l_fail_errno(err, "cannot open %s", path);
	if (S_ISDIR(about.st_mode)) {
		status = open_directory(path, &tok, err);
		directory = strdup(path);
	} else {
		status = open_json(path, &tok, err);
		directory = folder_of(path);
	}
	if (status == T2L_OK && directory == NULL)
		status = t2l_fail(err, T2L_ENOMEM, "out of memory");
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
