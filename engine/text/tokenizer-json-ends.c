/* tokenizer-json-ends.c - reads the decoder and the post-processor of a tokenizer.json. */

#include <string.h>

#include "engine/error.h"
#include "engine/text/tokenizer-json.h"

const cJSON *
json_member(const cJSON *object, const char *key)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);

	return cJSON_IsNull(item) ? NULL : item;
}

const char *
json_text(const cJSON *object, const char *key)
{
	return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));
}

/* ---- decoder ---- */

static enum t2l_status
read_short(const cJSON *json, const char *key, char *out, size_t size, struct t2l_error *err)
{
	const char *text = NULL;
	enum t2l_status status = json_string(json, key, JSON_OPTIONAL, "decoder", &text, err);

	if (status != T2L_OK || text == NULL)
		return status;
	if (strlen(text) >= size)
		return t2l_fail(err, T2L_EUNSUPPORTED, "decoder: \"%s\" is longer than %zu bytes",
		    key, size - 1);
	strcpy(out, text);
	return T2L_OK;
}

static enum t2l_status
read_decoder_replace(const cJSON *json, struct decoder *decoder, struct t2l_error *err)
{
	const char *what = json_text(json_member(json, "pattern"), "String");
	const char *with = json_text(json, "content");

	if (what == NULL || with == NULL || strcmp(with, " ") != 0 ||
	    strlen(what) >= sizeof decoder->blank || decoder->blank[0] != '\0')
		return t2l_fail(err, T2L_EUNSUPPORTED,
		    "a decoder that replaces anything but one character by a blank is not "
		    "supported");
	strcpy(decoder->blank, what);
	return T2L_OK;
}

static enum t2l_status
read_decoder_strip(const cJSON *json, struct decoder *decoder, struct t2l_error *err)
{
	const char *content = json_text(json, "content");
	int64_t start = 0, stop = 0;
	enum t2l_status status =
	    json_integer(json, "start", JSON_OPTIONAL, 0, INT32_MAX, "decoder", &start, err);

	if (status == T2L_OK)
		status =
		    json_integer(json, "stop", JSON_OPTIONAL, 0, INT32_MAX, "decoder", &stop, err);
	if (status != T2L_OK)
		return status;
	if (content == NULL || strcmp(content, " ") != 0 || start > 1 || stop != 0)
		return t2l_fail(err, T2L_EUNSUPPORTED,
		    "a decoder that strips anything but one blank at the start is not supported");
	decoder->strip_blank = start == 1;
	return T2L_OK;
}

static enum t2l_status
read_decoder_metaspace(const cJSON *json, struct decoder *decoder, struct t2l_error *err)
{
	const char *scheme = json_text(json, "prepend_scheme");
	bool add_prefix_space = true;
	enum t2l_status status =
	    json_bool(json, "add_prefix_space", JSON_OPTIONAL, "decoder", &add_prefix_space, err);

	if (status != T2L_OK)
		return status;
	strcpy(decoder->blank, "\xE2\x96\x81");
	decoder->strip_blank = scheme != NULL ? strcmp(scheme, "never") != 0 : add_prefix_space;
	return read_short(json, "replacement", decoder->blank, sizeof decoder->blank, err);
}

static enum t2l_status
read_decoder_wordpiece(const cJSON *json, struct decoder *decoder, struct t2l_error *err)
{
	enum t2l_status status;

	decoder->kind = DECODER_WORDS;
	decoder->cleanup = true;
	strcpy(decoder->prefix, "##");
	status = read_short(json, "prefix", decoder->prefix, sizeof decoder->prefix, err);
	return status == T2L_OK
		   ? json_bool(json, "cleanup", JSON_OPTIONAL, "decoder", &decoder->cleanup, err)
		   : status;
}

/* One decoder of a sequence; together they are of one kind. */
static enum t2l_status
read_decoder_step(const cJSON *json, struct decoder *decoder, struct t2l_error *err)
{
	const char *type = cJSON_IsObject(json) ? json_text(json, "type") : NULL;

	if (type == NULL)
		return t2l_fail(err, T2L_EFORMAT, "the decoder is no object with a \"type\"");
	if (strcmp(type, "Replace") == 0)
		return read_decoder_replace(json, decoder, err);
	if (strcmp(type, "Strip") == 0)
		return read_decoder_strip(json, decoder, err);
	if (strcmp(type, "Metaspace") == 0)
		return read_decoder_metaspace(json, decoder, err);
	if (strcmp(type, "Fuse") == 0)
		return T2L_OK; /* our text is one run of bytes from the start */
	if (strcmp(type, "ByteFallback") == 0) {
		decoder->byte_fallback = true;
		return T2L_OK;
	}
	return t2l_fail(err, T2L_EUNSUPPORTED,
	    "a decoder of type \"%.60s\" is not supported; convert the model's tokenizer", type);
}

enum t2l_status
read_decoder(const cJSON *json, struct decoder *decoder, struct t2l_error *err)
{
	const char *type = cJSON_IsObject(json) ? json_text(json, "type") : NULL;
	const cJSON *item;
	enum t2l_status status;

	if (json == NULL || cJSON_IsNull(json)) { /* the reference joins names with blanks */
		decoder->kind = DECODER_WORDS;
		return T2L_OK;
	}
	if (type != NULL && strcmp(type, "ByteLevel") == 0) {
		decoder->kind = DECODER_BYTES;
		return T2L_OK;
	}
	if (type != NULL && strcmp(type, "WordPiece") == 0)
		return read_decoder_wordpiece(json, decoder, err);
	decoder->kind = DECODER_TEXT;
	if (type == NULL || strcmp(type, "Sequence") != 0)
		return read_decoder_step(json, decoder, err);
	cJSON_ArrayForEach(item, json_member(json, "decoders"))
	{
		const char *inner = json_text(item, "type");

		if (inner != NULL && strcmp(inner, "ByteLevel") == 0 &&
		    cJSON_GetArraySize(json_member(json, "decoders")) == 1) {
			decoder->kind = DECODER_BYTES;
			return T2L_OK;
		}
		status = read_decoder_step(item, decoder, err);
		if (status != T2L_OK)
			return status;
	}
	return T2L_OK;
}

/* ---- post-processor ---- */

static enum t2l_status
add_id(const struct tokenizer *tok, struct id_array *ids, const cJSON *item, struct t2l_error *err)
{
	int64_t id = -1;

	if (!json_whole(item, &id) || pipeline_check_id(tok, id) < 0)
		return t2l_fail(
		    err, T2L_EFORMAT, "post_processor: %lld is no token", (long long)id);
	id_array_append(ids, (int32_t)id);
	return ids->failed ? t2l_fail(err, T2L_ENOMEM, "out of memory for the post_processor")
			   : T2L_OK;
}

/* Adds the ids that "special_tokens" has for NAME. */
static enum t2l_status
add_special(const struct tokenizer *tok, const cJSON *json, const char *name, struct id_array *ids,
    struct t2l_error *err)
{
	const cJSON *entry = json_member(json_member(json, "special_tokens"), name), *item;
	enum t2l_status status;

	if (!cJSON_IsArray(json_member(entry, "ids")))
		return t2l_fail(
		    err, T2L_EFORMAT, "post_processor: special token '%.60s' has no \"ids\"", name);
	cJSON_ArrayForEach(item, json_member(entry, "ids"))
	{
		status = add_id(tok, ids, item, err);
		if (status != T2L_OK)
			return status;
	}
	return T2L_OK;
}

static enum t2l_status
read_template(const cJSON *json, struct tokenizer *tok, struct t2l_error *err)
{
	struct id_array *ids = &tok->before;
	const cJSON *item;
	enum t2l_status status;

	if (!cJSON_IsArray(json_member(json, "single")))
		return t2l_fail(err, T2L_EFORMAT, "post_processor: no list \"single\"");
	cJSON_ArrayForEach(item, json_member(json, "single"))
	{
		const char *name = json_text(json_member(item, "SpecialToken"), "id");

		if (name == NULL && ids == &tok->before && json_member(item, "Sequence")) {
			ids = &tok->after;
			continue;
		}
		if (name == NULL)
			return t2l_fail(err, T2L_EFORMAT,
			    "post_processor: \"single\" has an item that is neither a token nor "
			    "the only text");
		status = add_special(tok, json, name, ids, err);
		if (status != T2L_OK)
			return status;
	}
	return T2L_OK;
}

/* BertProcessing and RobertaProcessing: "cls" text "sep", each [name, id]. */
static enum t2l_status
read_cls_sep(const cJSON *json, struct tokenizer *tok, struct t2l_error *err)
{
	enum t2l_status status;

	status = add_id(tok, &tok->before, cJSON_GetArrayItem(json_member(json, "cls"), 1), err);
	if (status != T2L_OK)
		return status;
	return add_id(tok, &tok->after, cJSON_GetArrayItem(json_member(json, "sep"), 1), err);
}

static enum t2l_status
read_processor(const cJSON *json, struct tokenizer *tok, struct t2l_error *err)
{
	const char *type = cJSON_IsObject(json) ? json_text(json, "type") : NULL;

	if (type == NULL)
		return t2l_fail(
		    err, T2L_EFORMAT, "the post_processor is no object with a \"type\"");
	if (strcmp(type, "TemplateProcessing") == 0)
		return read_template(json, tok, err);
	if (strcmp(type, "BertProcessing") == 0 || strcmp(type, "RobertaProcessing") == 0)
		return read_cls_sep(json, tok, err);
	if (strcmp(type, "ByteLevel") == 0)
		return T2L_OK; /* concerns offsets only */
	return t2l_fail(
	    err, T2L_EUNSUPPORTED, "a post_processor of type \"%.60s\" is not supported", type);
}

enum t2l_status
read_post_processor(const cJSON *json, struct tokenizer *tok, struct t2l_error *err)
{
	const char *type = cJSON_IsObject(json) ? json_text(json, "type") : NULL;
	const cJSON *item;
	enum t2l_status status;

	if (json == NULL || cJSON_IsNull(json))
		return T2L_OK;
	if (type == NULL || strcmp(type, "Sequence") != 0)
		return read_processor(json, tok, err);
	cJSON_ArrayForEach(item, json_member(json, "processors"))
	{
		status = read_processor(item, tok, err);
		if (status != T2L_OK)
			return status;
	}
	return T2L_OK;
}
