/* tokenizer-json-stages.c - reads normaliser, pretokenizer, decoder and post-processor. */

#include <stdlib.h>
#include <string.h>

#include "engine/error.h"
#include "engine/text/tokenizer-json.h"

#define DEEPEST_SEQUENCE 8

const char gpt2_words[] =
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

static enum t2l_status
unsupported(const char *stage, const char *type, struct t2l_error *err)
{
	return t2l_fail(err, T2L_EUNSUPPORTED,
	    "%s of type \"%.60s\" is not supported; convert the model's tokenizer", stage, type);
}

static enum t2l_status
read_type(const cJSON *json, const char *stage, const char **type, struct t2l_error *err)
{
	*type = NULL;
	if (cJSON_IsObject(json))
		*type = json_text(json, "type");
	if (*type == NULL)
		return t2l_fail(err, T2L_EFORMAT, "%s is no object with a \"type\"", stage);
	return T2L_OK;
}

/* Reads {"String": text} or {"Regex": text}. */
static enum t2l_status
read_pattern(const cJSON *json, struct pattern **pattern, struct t2l_error *err)
{
	const cJSON *item = json_member(json, "pattern");
	const char *text = json_text(item, "String");

	if (text != NULL)
		return pattern_compile_literal(text, strlen(text), pattern, err);
	text = json_text(item, "Regex");
	if (text != NULL)
		return pattern_compile(text, strlen(text), pattern, err);
	return t2l_fail(err, T2L_EFORMAT, "\"pattern\" has neither \"String\" nor \"Regex\"");
}

/* ---- normaliser ---- */

struct normalize_step *
normalizer_add(struct normalizer *normalizer, enum normalize_kind kind)
{
	struct normalize_step *step = &normalizer->steps[normalizer->n];

	if (normalizer->n == NORMALIZER_MAX_STEPS)
		return NULL;
	normalizer->n++;
	*step = (struct normalize_step){ .kind = kind };
	return step;
}

static enum t2l_status
too_many(const char *what, int max, struct t2l_error *err)
{
	return t2l_fail(err, T2L_EUNSUPPORTED, "the %s has more than %d steps", what, max);
}

static enum t2l_status
add_character(struct normalizer *normalizer, normalize_character *character, struct t2l_error *err)
{
	struct normalize_step *step = normalizer_add(normalizer, NORMALIZE_CHARACTER);

	if (step == NULL)
		return too_many("normalizer", NORMALIZER_MAX_STEPS, err);
	step->character = character;
	return T2L_OK;
}

static enum t2l_status
add_form(struct normalizer *normalizer, enum unicode_form form, struct t2l_error *err)
{
	struct normalize_step *step = normalizer_add(normalizer, NORMALIZE_FORM);

	if (step == NULL)
		return too_many("normalizer", NORMALIZER_MAX_STEPS, err);
	step->form = form;
	return T2L_OK;
}

enum t2l_status
add_bert_normalizer(struct normalizer *normalizer, bool clean, bool space_cjk, bool strip_accents,
    bool lowercase, struct t2l_error *err)
{
	enum t2l_status status = T2L_OK;

	if (clean)
		status = add_character(normalizer, normalize_clean, err);
	if (status == T2L_OK && space_cjk)
		status = add_character(normalizer, normalize_space_cjk, err);
	if (status == T2L_OK && strip_accents)
		status = add_form(normalizer, UNICODE_NFD, err);
	if (status == T2L_OK && strip_accents)
		status = add_character(normalizer, normalize_drop_mn, err);
	if (status == T2L_OK && lowercase)
		status = add_character(normalizer, normalize_lowercase, err);
	return status;
}

static enum t2l_status
read_bert_normalizer(const cJSON *json, struct normalizer *normalizer, struct t2l_error *err)
{
	bool clean = true, space_cjk = true, lowercase = true, strip_accents;
	enum t2l_status status;

	status = json_bool(json, "clean_text", JSON_OPTIONAL, "normalizer", &clean, err);
	if (status == T2L_OK)
		status = json_bool(
		    json, "handle_chinese_chars", JSON_OPTIONAL, "normalizer", &space_cjk, err);
	if (status == T2L_OK)
		status = json_bool(json, "lowercase", JSON_OPTIONAL, "normalizer", &lowercase, err);
	strip_accents = lowercase; /* what null stands for */
	if (status == T2L_OK)
		status = json_bool(
		    json, "strip_accents", JSON_OPTIONAL, "normalizer", &strip_accents, err);
	if (status != T2L_OK)
		return status;
	return add_bert_normalizer(normalizer, clean, space_cjk, strip_accents, lowercase, err);
}

/* Sets what a step writes: the string member KEY. */
static enum t2l_status
read_with(const cJSON *json, const char *key, struct normalize_step *step, struct t2l_error *err)
{
	const char *with = json_text(json, key);

	if (with == NULL)
		return t2l_fail(err, T2L_EFORMAT, "normalizer without a string \"%s\"", key);
	step->with = strdup(with);
	if (step->with == NULL)
		return t2l_fail(err, T2L_ENOMEM, "out of memory for the normalizer");
	step->n_with = strlen(with);
	return T2L_OK;
}

static enum t2l_status
read_prepend(const cJSON *json, struct normalizer *normalizer, struct t2l_error *err)
{
	struct normalize_step *step = normalizer_add(normalizer, NORMALIZE_PREPEND);

	if (step == NULL)
		return too_many("normalizer", NORMALIZER_MAX_STEPS, err);
	return read_with(json, "prepend", step, err);
}

static enum t2l_status
read_replace(const cJSON *json, struct normalizer *normalizer, struct t2l_error *err)
{
	struct normalize_step *step = normalizer_add(normalizer, NORMALIZE_REPLACE);
	enum t2l_status status;

	if (step == NULL)
		return too_many("normalizer", NORMALIZER_MAX_STEPS, err);
	status = read_pattern(json, &step->pattern, err);
	return status == T2L_OK ? read_with(json, "content", step, err) : status;
}

static enum t2l_status
read_strip(const cJSON *json, struct normalizer *normalizer, struct t2l_error *err)
{
	struct normalize_step *step = normalizer_add(normalizer, NORMALIZE_STRIP);
	enum t2l_status status;

	if (step == NULL)
		return too_many("normalizer", NORMALIZER_MAX_STEPS, err);
	step->left = step->right = true;
	status = json_bool(json, "strip_left", JSON_OPTIONAL, "normalizer", &step->left, err);
	return status == T2L_OK
		   ? json_bool(json, "strip_right", JSON_OPTIONAL, "normalizer", &step->right, err)
		   : status;
}

static enum t2l_status
read_normalizer_step(
    const cJSON *json, struct normalizer *normalizer, int depth, struct t2l_error *err)
{
	static const struct {
		const char *type;
		enum t2l_status (*read)(const cJSON *, struct normalizer *, struct t2l_error *);
		normalize_character *character;
		enum unicode_form form;
	} steps[] = {
		{ "NFC", .form = UNICODE_NFC },
		{ "NFD", .form = UNICODE_NFD },
		{ "NFKC", .form = UNICODE_NFKC },
		{ "NFKD", .form = UNICODE_NFKD },
		{ "Lowercase", .character = normalize_lowercase },
		{ "StripAccents", .character = normalize_drop_marks },
		{ "BertNormalizer", .read = read_bert_normalizer },
		{ "Prepend", .read = read_prepend },
		{ "Replace", .read = read_replace },
		{ "Strip", .read = read_strip },
	};
	const cJSON *item;
	const char *type;
	enum t2l_status status = read_type(json, "normalizer", &type, err);
	size_t i;

	if (status != T2L_OK)
		return status;
	if (strcmp(type, "Sequence") == 0 && depth < DEEPEST_SEQUENCE) {
		cJSON_ArrayForEach(item, json_member(json, "normalizers"))
		{
			status = read_normalizer_step(item, normalizer, depth + 1, err);
			if (status != T2L_OK)
				return status;
		}
		return T2L_OK;
	}
	for (i = 0; i < sizeof steps / sizeof *steps; i++) {
		if (strcmp(type, steps[i].type) != 0)
			continue;
		if (steps[i].read != NULL)
			return steps[i].read(json, normalizer, err);
		if (steps[i].character != NULL)
			return add_character(normalizer, steps[i].character, err);
		return add_form(normalizer, steps[i].form, err);
	}
	return unsupported("a normalizer", type, err);
}

enum t2l_status
read_normalizer(const cJSON *json, struct normalizer *normalizer, struct t2l_error *err)
{
	if (json == NULL || cJSON_IsNull(json))
		return T2L_OK;
	return read_normalizer_step(json, normalizer, 0, err);
}

/* ---- pretokenizer ---- */

struct split_stage *
pretokenizer_add(struct pretokenizer *pretokenizer, enum stage_kind kind)
{
	struct split_stage *stage = &pretokenizer->stages[pretokenizer->n];

	if (pretokenizer->n == PRETOKENIZER_MAX_STAGES)
		return NULL;
	pretokenizer->n++;
	*stage = (struct split_stage){ .kind = kind };
	return stage;
}

enum t2l_status
add_split(struct pretokenizer *pretokenizer, const char *regex, enum split_behavior behavior,
    bool invert, struct t2l_error *err)
{
	struct split_stage *stage = pretokenizer_add(pretokenizer, STAGE_SPLIT);

	if (stage == NULL)
		return too_many("pre_tokenizer", PRETOKENIZER_MAX_STAGES, err);
	stage->behavior = behavior;
	stage->invert = invert;
	return pattern_compile(regex, strlen(regex), &stage->pattern, err);
}

#define PUNCTUATION "[!-/:-@\\[-`{-~\\p{P}]"

enum t2l_status
add_bert_pretokenizer(struct pretokenizer *pretokenizer, struct t2l_error *err)
{
	enum t2l_status status;

	status = add_split(pretokenizer, "\\s", SPLIT_REMOVED, false, err);
	if (status != T2L_OK)
		return status;
	return add_split(pretokenizer, PUNCTUATION, SPLIT_ISOLATED, false, err);
}

static enum t2l_status
read_behavior(const cJSON *json, enum split_behavior *behavior, struct t2l_error *err)
{
	static const char *const names[] = { "Isolated", "Removed", "MergedWithPrevious",
		"MergedWithNext", "Contiguous" };
	const char *name = NULL;
	enum t2l_status status =
	    json_string(json, "behavior", JSON_OPTIONAL, "pre_tokenizer", &name, err);
	size_t i;

	for (i = 0; status == T2L_OK && name != NULL && i < sizeof names / sizeof *names; i++)
		if (strcmp(name, names[i]) == 0) {
			*behavior = (enum split_behavior)i;
			return T2L_OK;
		}
	if (status == T2L_OK && name != NULL)
		return t2l_fail(err, T2L_EFORMAT, "unknown split behavior \"%.60s\"", name);
	return status;
}

static enum t2l_status
read_split(
    const cJSON *json, struct pretokenizer *pretokenizer, bool *byte_level, struct t2l_error *err)
{
	struct split_stage *stage = pretokenizer_add(pretokenizer, STAGE_SPLIT);
	enum t2l_status status;

	(void)byte_level;
	if (stage == NULL)
		return too_many("pre_tokenizer", PRETOKENIZER_MAX_STAGES, err);
	status = read_behavior(json, &stage->behavior, err);
	if (status == T2L_OK)
		status =
		    json_bool(json, "invert", JSON_OPTIONAL, "pre_tokenizer", &stage->invert, err);
	return status == T2L_OK ? read_pattern(json, &stage->pattern, err) : status;
}

static enum t2l_status
read_byte_level(
    const cJSON *json, struct pretokenizer *pretokenizer, bool *byte_level, struct t2l_error *err)
{
	bool add_prefix_space = true, use_regex = true;
	enum t2l_status status;

	*byte_level = true;
	status = json_bool(
	    json, "add_prefix_space", JSON_OPTIONAL, "pre_tokenizer", &add_prefix_space, err);
	if (status == T2L_OK)
		status =
		    json_bool(json, "use_regex", JSON_OPTIONAL, "pre_tokenizer", &use_regex, err);
	if (status != T2L_OK)
		return status;
	if (add_prefix_space && pretokenizer_add(pretokenizer, STAGE_SPACE_FIRST) == NULL)
		return too_many("pre_tokenizer", PRETOKENIZER_MAX_STAGES, err);
	if (!use_regex)
		return T2L_OK;
	return add_split(pretokenizer, gpt2_words, SPLIT_ISOLATED, false, err);
}

static enum t2l_status
read_prepend_scheme(const cJSON *json, enum prepend_scheme *scheme, struct t2l_error *err)
{
	static const char *const names[] = { "never", "first", "always" };
	const char *name = NULL;
	bool add_prefix_space = true; /* the older form */
	enum t2l_status status =
	    json_string(json, "prepend_scheme", JSON_OPTIONAL, "pre_tokenizer", &name, err);
	size_t i;

	if (status == T2L_OK)
		status = json_bool(json, "add_prefix_space", JSON_OPTIONAL, "pre_tokenizer",
		    &add_prefix_space, err);
	if (status != T2L_OK)
		return status;
	*scheme = add_prefix_space ? PREPEND_ALWAYS : PREPEND_NEVER;
	if (name == NULL)
		return T2L_OK;
	for (i = 0; i < 3; i++)
		if (strcmp(name, names[i]) == 0) {
			*scheme = (enum prepend_scheme)i;
			return T2L_OK;
		}
	return t2l_fail(err, T2L_EFORMAT, "unknown prepend_scheme \"%.60s\"", name);
}

static enum t2l_status
read_metaspace(
    const cJSON *json, struct pretokenizer *pretokenizer, bool *byte_level, struct t2l_error *err)
{
	struct split_stage *stage = pretokenizer_add(pretokenizer, STAGE_METASPACE);
	const char *blank = "\xE2\x96\x81";
	bool cut = true;
	enum t2l_status status;

	(void)byte_level;
	if (stage == NULL)
		return too_many("pre_tokenizer", PRETOKENIZER_MAX_STAGES, err);
	status = json_string(json, "replacement", JSON_OPTIONAL, "pre_tokenizer", &blank, err);
	if (status == T2L_OK && (*blank == '\0' || strlen(blank) >= sizeof stage->blank))
		status = t2l_fail(err, T2L_EFORMAT, "\"replacement\" is not one character");
	if (status == T2L_OK)
		status = read_prepend_scheme(json, &stage->prepend, err);
	if (status == T2L_OK)
		status = json_bool(json, "split", JSON_OPTIONAL, "pre_tokenizer", &cut, err);
	if (status != T2L_OK)
		return status;
	strcpy(stage->blank, blank);
	if (!cut)
		return T2L_OK;
	stage = pretokenizer_add(pretokenizer, STAGE_SPLIT);
	if (stage == NULL)
		return too_many("pre_tokenizer", PRETOKENIZER_MAX_STAGES, err);
	stage->behavior = SPLIT_MERGED_WITH_NEXT;
	return pattern_compile_literal(blank, strlen(blank), &stage->pattern, err);
}

static enum t2l_status
read_bert_pretokenizer(
    const cJSON *json, struct pretokenizer *pretokenizer, bool *byte_level, struct t2l_error *err)
{
	(void)json;
	(void)byte_level;
	return add_bert_pretokenizer(pretokenizer, err);
}

static enum t2l_status
read_digits(
    const cJSON *json, struct pretokenizer *pretokenizer, bool *byte_level, struct t2l_error *err)
{
	bool individual = false;
	enum t2l_status status =
	    json_bool(json, "individual_digits", JSON_OPTIONAL, "pre_tokenizer", &individual, err);

	(void)byte_level;
	if (status != T2L_OK)
		return status;
	return add_split(
	    pretokenizer, "\\p{N}", individual ? SPLIT_ISOLATED : SPLIT_CONTIGUOUS, false, err);
}

static enum t2l_status
read_punctuation(
    const cJSON *json, struct pretokenizer *pretokenizer, bool *byte_level, struct t2l_error *err)
{
	enum split_behavior behavior = SPLIT_ISOLATED;
	enum t2l_status status = read_behavior(json, &behavior, err);

	(void)byte_level;
	if (status != T2L_OK)
		return status;
	return add_split(pretokenizer, PUNCTUATION, behavior, false, err);
}

static enum t2l_status
read_white_space(
    const cJSON *json, struct pretokenizer *pretokenizer, bool *byte_level, struct t2l_error *err)
{
	(void)byte_level;
	if (strcmp(json_text(json, "type"), "WhitespaceSplit") == 0)
		return add_split(pretokenizer, "\\s", SPLIT_REMOVED, false, err);
	return add_split(pretokenizer, "\\w+|[^\\w\\s]+", SPLIT_REMOVED, true, err);
}

static enum t2l_status
read_pretokenizer_stage(const cJSON *json, struct pretokenizer *pretokenizer, bool *byte_level,
    int depth, struct t2l_error *err)
{
	static const struct {
		const char *type;
		enum t2l_status (*read)(
		    const cJSON *, struct pretokenizer *, bool *, struct t2l_error *);
	} stages[] = {
		{ "Split", read_split },
		{ "ByteLevel", read_byte_level },
		{ "Metaspace", read_metaspace },
		{ "BertPreTokenizer", read_bert_pretokenizer },
		{ "Digits", read_digits },
		{ "Punctuation", read_punctuation },
		{ "Whitespace", read_white_space },
		{ "WhitespaceSplit", read_white_space },
	};
	const cJSON *item;
	const char *type;
	enum t2l_status status = read_type(json, "pre_tokenizer", &type, err);
	size_t i;

	if (status != T2L_OK)
		return status;
	if (strcmp(type, "Sequence") == 0 && depth < DEEPEST_SEQUENCE) {
		cJSON_ArrayForEach(item, json_member(json, "pretokenizers"))
		{
			status =
			    read_pretokenizer_stage(item, pretokenizer, byte_level, depth + 1, err);
			if (status != T2L_OK)
				return status;
		}
		return T2L_OK;
	}
	/* Bytes are mapped to characters in the reference; a later stage would see those. */
	if (*byte_level)
		return t2l_fail(err, T2L_EUNSUPPORTED,
		    "a pre_tokenizer of type \"%.60s\" behind ByteLevel is not supported", type);
	for (i = 0; i < sizeof stages / sizeof *stages; i++)
		if (strcmp(type, stages[i].type) == 0)
			return stages[i].read(json, pretokenizer, byte_level, err);
	return unsupported("a pre_tokenizer", type, err);
}

enum t2l_status
read_pretokenizer(
    const cJSON *json, struct pretokenizer *pretokenizer, bool *byte_level, struct t2l_error *err)
{
	*byte_level = false;
	if (json == NULL || cJSON_IsNull(json))
		return T2L_OK;
	return read_pretokenizer_stage(json, pretokenizer, byte_level, 0, err);
}
