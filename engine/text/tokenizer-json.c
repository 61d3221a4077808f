/* tokenizer-json.c - reads a tokenizer.json of the Hugging Face `tokenizers` library. */

#include <string.h>

#include "engine/error.h"
#include "engine/text/tokenizer-json.h"

/* ---- model ---- */

static enum t2l_status
read_vocabulary(const cJSON *model, struct tokenizer *tok, struct t2l_error *err)
{
	const cJSON *vocab = json_member(model, "vocab"), *item;
	enum t2l_status status;
	int64_t id;

	if (!cJSON_IsObject(vocab))
		return t2l_fail(err, T2L_EFORMAT, "model: no object \"vocab\"");
	status = pipeline_open_vocabulary(tok, (size_t)cJSON_GetArraySize(vocab), err);
	if (status != T2L_OK)
		return status;
	cJSON_ArrayForEach(item, vocab)
	{
		if (!json_whole(item, &id))
			return t2l_fail(err, T2L_EFORMAT, "token '%.80s' has no whole number as id",
			    item->string);
		status = pipeline_add_token(tok, id, item->string, strlen(item->string), err);
		if (status != T2L_OK)
			return status;
	}
	return T2L_OK;
}

static int32_t
find_token(const struct tokenizer *tok, const char *name, size_t n_bytes)
{
	return string_index_find(&tok->vocabulary.by_name, &tok->vocabulary.names, name, n_bytes);
}

/* Reads "left right" or ["left", "right"]. */
static bool
read_merge(const cJSON *item, struct token_text *left, struct token_text *right)
{
	const char *blank;

	if (cJSON_IsString(item)) {
		blank = strchr(item->valuestring, ' ');
		if (blank == NULL || strchr(blank + 1, ' ') != NULL)
			return false;
		*left =
		    (struct token_text){ item->valuestring, (size_t)(blank - item->valuestring) };
		*right = (struct token_text){ blank + 1, strlen(blank + 1) };
		return true;
	}
	if (!cJSON_IsArray(item) || cJSON_GetArraySize(item) != 2 || !cJSON_IsString(item->child) ||
	    !cJSON_IsString(item->child->next))
		return false;
	left->bytes = item->child->valuestring;
	left->n_bytes = strlen(left->bytes);
	right->bytes = item->child->next->valuestring;
	right->n_bytes = strlen(right->bytes);
	return true;
}

static enum t2l_status
read_merges(const cJSON *model, struct tokenizer *tok, struct t2l_error *err)
{
	const cJSON *merges = json_member(model, "merges"), *item;
	struct token_text left, right;
	enum t2l_status status;
	uint32_t rank = 0;

	if (merges != NULL && !cJSON_IsArray(merges))
		return t2l_fail(err, T2L_EFORMAT, "model: \"merges\" is no list");
	status = pipeline_open_merges(tok, (size_t)cJSON_GetArraySize(merges), err);
	if (status != T2L_OK)
		return status;
	cJSON_ArrayForEach(item, merges)
	{
		if (!read_merge(item, &left, &right))
			return t2l_fail(
			    err, T2L_EFORMAT, "merge %u is not two tokens", (unsigned)rank);
		status = pipeline_add_merge(tok, &left, &right, rank++, err);
		if (status != T2L_OK)
			return status;
	}
	return T2L_OK;
}

/* Options of the reference that no model in use sets. */
static enum t2l_status
refuse_rare_options(const cJSON *model, struct t2l_error *err)
{
	static const char *const keys[] = { "continuing_subword_prefix", "end_of_word_suffix" };
	const cJSON *dropout = json_member(model, "dropout");
	const char *value;
	size_t i;

	for (i = 0; i < 2; i++) {
		value = json_text(model, keys[i]);
		if (value != NULL && *value != '\0')
			return t2l_fail(
			    err, T2L_EUNSUPPORTED, "BPE with \"%s\" is not supported", keys[i]);
	}
	if (dropout != NULL && !(cJSON_IsNumber(dropout) && dropout->valuedouble == 0))
		return t2l_fail(err, T2L_EUNSUPPORTED,
		    "BPE with \"dropout\" gives other tokens each time; set it to null");
	return T2L_OK;
}

static enum t2l_status
read_unk(const cJSON *model, struct tokenizer *tok, struct t2l_error *err)
{
	const char *unk = NULL;
	enum t2l_status status = json_string(model, "unk_token", JSON_OPTIONAL, "model", &unk, err);

	if (status != T2L_OK || unk == NULL)
		return status;
	tok->unk_id = find_token(tok, unk, strlen(unk));
	if (tok->unk_id < 0)
		return t2l_fail(
		    err, T2L_EFORMAT, "unk_token '%.60s' is not in the vocabulary", unk);
	return T2L_OK;
}

static enum t2l_status
read_bpe(const cJSON *model, struct tokenizer *tok, struct t2l_error *err)
{
	static const char *const keys[] = { "byte_fallback", "fuse_unk", "ignore_merges" };
	bool *values[] = { &tok->bpe.byte_fallback, &tok->bpe.fuse_unk, &tok->bpe.ignore_merges };
	enum t2l_status status = refuse_rare_options(model, err);
	size_t i;

	for (i = 0; status == T2L_OK && i < 3; i++)
		status = json_bool(model, keys[i], JSON_OPTIONAL, "model", values[i], err);
	if (status == T2L_OK)
		status = read_vocabulary(model, tok, err);
	if (status == T2L_OK)
		status = read_unk(model, tok, err);
	tok->bpe.unk_id = tok->unk_id;
	return status == T2L_OK ? read_merges(model, tok, err) : status;
}

static enum t2l_status
read_wordpiece(const cJSON *model, struct tokenizer *tok, struct t2l_error *err)
{
	const char *prefix = "##";
	int64_t longest = 100;
	enum t2l_status status;

	tok->kind = MODEL_WORDPIECE;
	status =
	    json_string(model, "continuing_subword_prefix", JSON_OPTIONAL, "model", &prefix, err);
	if (status == T2L_OK)
		status = json_integer(model, "max_input_chars_per_word", JSON_OPTIONAL, 1, 1 << 20,
		    "model", &longest, err);
	if (status == T2L_OK && strlen(prefix) >= sizeof tok->wordpiece.prefix)
		status = t2l_fail(
		    err, T2L_EUNSUPPORTED, "model: \"continuing_subword_prefix\" is too long");
	if (status == T2L_OK)
		status = read_vocabulary(model, tok, err);
	if (status == T2L_OK)
		status = read_unk(model, tok, err);
	if (status != T2L_OK)
		return status;
	if (tok->unk_id < 0)
		return t2l_fail(err, T2L_EFORMAT, "model: WordPiece without \"unk_token\"");
	strcpy(tok->wordpiece.prefix, prefix);
	tok->wordpiece.max_characters = (size_t)longest;
	tok->wordpiece.unk_id = tok->unk_id;
	return T2L_OK;
}

static enum t2l_status
read_model(const cJSON *json, struct tokenizer *tok, struct t2l_error *err)
{
	const cJSON *model = json_member(json, "model");
	const char *type = json_text(model, "type");

	if (!cJSON_IsObject(model))
		return t2l_fail(err, T2L_EFORMAT, "no object \"model\"");
	/* Older files do not say; merges tell. */
	if (type == NULL)
		type = json_member(model, "merges") != NULL ? "BPE" : "WordPiece";
	if (strcmp(type, "BPE") == 0)
		return read_bpe(model, tok, err);
	if (strcmp(type, "WordPiece") == 0)
		return read_wordpiece(model, tok, err);
	return t2l_fail(err, T2L_EUNSUPPORTED,
	    "a tokenizer model of type \"%.60s\" is not supported (BPE and WordPiece are)", type);
}

/* ---- added tokens ---- */

static enum t2l_status
read_added_token(const cJSON *item, struct tokenizer *tok, struct t2l_error *err)
{
	struct added_token token = { 0 };
	const char *content = json_text(item, "content");
	bool normalized = false;
	const struct {
		const char *key;
		bool *value;
	} flags[] = {
		{ "special", &token.special },
		{ "single_word", &token.single_word },
		{ "lstrip", &token.lstrip },
		{ "rstrip", &token.rstrip },
		{ "normalized", &normalized },
	};
	enum t2l_status status = T2L_OK;
	int64_t id = -1;
	size_t i;

	if (content == NULL || !json_whole(json_member(item, "id"), &id))
		return t2l_fail(err, T2L_EFORMAT, "an added token without \"id\" or \"content\"");
	for (i = 0; status == T2L_OK && i < sizeof flags / sizeof *flags; i++)
		status = json_bool(
		    item, flags[i].key, JSON_OPTIONAL, "added_tokens", flags[i].value, err);
	if (status != T2L_OK)
		return status;
	return pipeline_add_added(tok, id, content, strlen(content), token, normalized, err);
}

static enum t2l_status
read_added_tokens(const cJSON *json, struct tokenizer *tok, struct t2l_error *err)
{
	const cJSON *list = json_member(json, "added_tokens"), *item;
	enum t2l_status status;

	if (list != NULL && !cJSON_IsArray(list))
		return t2l_fail(err, T2L_EFORMAT, "\"added_tokens\" is no list");
	status = pipeline_open_added(tok, (size_t)cJSON_GetArraySize(list), err);
	if (status != T2L_OK)
		return status;
	cJSON_ArrayForEach(item, list)
	{
		status = read_added_token(item, tok, err);
		if (status != T2L_OK)
			return status;
	}
	return T2L_OK;
}

/* "truncation" and "padding" are how somebody once called the tokenizer, not what it is:
 * real files carry a padding to 128 that would spoil masks and means. They are left out. */
static enum t2l_status
read_all(const cJSON *json, struct tokenizer *tok, struct t2l_error *err)
{
	enum t2l_status status;

	if (!cJSON_IsObject(json))
		return t2l_fail(err, T2L_EFORMAT, "no JSON object; is this a tokenizer.json?");
	status = read_normalizer(json_member(json, "normalizer"), &tok->normalizer, err);
	if (status == T2L_OK)
		status = read_pretokenizer(json_member(json, "pre_tokenizer"), &tok->pretokenizer,
		    &tok->bpe.byte_level, err);
	if (status == T2L_OK)
		status = read_decoder(json_member(json, "decoder"), &tok->decoder, err);
	if (status == T2L_OK && tok->bpe.byte_level && tok->decoder.kind != DECODER_BYTES)
		status = t2l_fail(err, T2L_EUNSUPPORTED,
		    "a ByteLevel pre_tokenizer with another decoder is not supported");
	if (status == T2L_OK)
		status = read_model(json, tok, err);
	if (status == T2L_OK)
		status = pipeline_finish_model(tok, err);
	if (status == T2L_OK)
		status = read_added_tokens(json, tok, err);
	if (status == T2L_OK)
		status = read_post_processor(json_member(json, "post_processor"), tok, err);
	return status;
}

enum t2l_status
read_tokenizer(const cJSON *json, const char *name, struct tokenizer **out, struct t2l_error *err)
{
	struct tokenizer *tok = pipeline_new();
	struct t2l_error inner = { 0 };
	enum t2l_status status;

	if (tok == NULL)
		return t2l_fail(err, T2L_ENOMEM, "%s: out of memory", name);
	status = read_all(json, tok, &inner);
	if (status != T2L_OK) {
		tokenizer_close(tok);
		return t2l_fail(err, status, "%s: %s", name, inner.message);
	}
	*out = tok;
	return T2L_OK;
}

enum t2l_status
tokenizer_read_json(const char *json, size_t n_bytes, const char *name, struct tokenizer **out,
    struct t2l_error *err)
{
	cJSON *document = NULL;
	enum t2l_status status = json_parse(json, n_bytes, name, &document, err);

	if (status != T2L_OK)
		return status;
	status = read_tokenizer(document, name, out, err);
	cJSON_Delete(document);
	return status;
}
