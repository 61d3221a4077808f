/*
 * engine/text/tokenizer-json.h - the stages of a tokenizer.json, read into a pipeline.
 */
#ifndef ENGINE_TEXT_TOKENIZER_JSON_H
#define ENGINE_TEXT_TOKENIZER_JSON_H

#include "engine/formats/json.h"
#include "engine/text/pipeline.h"

/* NULL: absent or null. OBJECT may be NULL. */
const cJSON *json_member(const cJSON *object, const char *key);
/* NULL: absent, null or no string. */
const char *json_text(const cJSON *object, const char *key);

/* A whole tokenizer.json; NAME is its path, for messages. */
enum t2l_status read_tokenizer(
    const cJSON *json, const char *name, struct tokenizer **out, struct t2l_error *err);

/* "normalizer"; JSON may be NULL or null. */
enum t2l_status read_normalizer(
    const cJSON *json, struct normalizer *normalizer, struct t2l_error *err);

/* "pre_tokenizer". *BYTE_LEVEL is set if pieces go to the model as bytes. */
enum t2l_status read_pretokenizer(
    const cJSON *json, struct pretokenizer *pretokenizer, bool *byte_level, struct t2l_error *err);

/* "decoder" */
enum t2l_status read_decoder(const cJSON *json, struct decoder *decoder, struct t2l_error *err);

/* "post_processor": the ids around a text. Call when all tokens are known. */
enum t2l_status read_post_processor(
    const cJSON *json, struct tokenizer *tok, struct t2l_error *err);

/* A stage at the end of a chain, for readers of other formats. NULL: the chain is full. */
struct split_stage *pretokenizer_add(struct pretokenizer *pretokenizer, enum stage_kind kind);
struct normalize_step *normalizer_add(struct normalizer *normalizer, enum normalize_kind kind);

/* Adds the steps of BertNormalizer. */
enum t2l_status add_bert_normalizer(struct normalizer *normalizer, bool clean, bool space_cjk,
    bool strip_accents, bool lowercase, struct t2l_error *err);
/* Splits at white space and isolates punctuation. */
enum t2l_status add_bert_pretokenizer(struct pretokenizer *pretokenizer, struct t2l_error *err);
/* Adds a split at a regular expression. */
enum t2l_status add_split(struct pretokenizer *pretokenizer, const char *regex,
    enum split_behavior behavior, bool invert, struct t2l_error *err);

/* Makes a BERT tokenizer of a pipeline whose vocabulary is filled. */
enum t2l_status set_up_bert(struct tokenizer *tok, bool lowercase, struct t2l_error *err);

/* Byte-level models by tokenizer.ggml.pre; of those that are alike the first is the usual name. The
 * last has none. */
struct byte_level_family {
	const char *pre;
	const char *digits; /* split off before the words, or NULL */
	const char *words;
	bool ignore_merges, nfc;
};
extern const struct byte_level_family byte_level_families[];

/* GPT-2's words (Radford et al. 2019), which ByteLevel uses. */
extern const char gpt2_words[];

#endif
