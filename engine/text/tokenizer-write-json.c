/* tokenizer-write-json.c - a tokenizer as the tokenizer.json of the `tokenizers` library. */
#include <stdlib.h>
#include <string.h>

#include "engine/error.h"
#include "engine/text/tokenizer-json.h"
#include "engine/text/tokenizer-save.h"

static void
put_text(struct buffer *json, const char *text)
{
	buffer_json_string(json, text, strlen(text));
}

static const char *
truth(bool value)
{
	return value ? "true" : "false";
}

static void
put_name(struct buffer *json, const struct tokenizer *tok, int32_t id)
{
	size_t n = 0;
	const char *name = string_table_get(&tok->vocabulary.names, id, &n);

	buffer_json_string(json, name != NULL ? name : "", n);
}

/* , "pattern": {"String": "..."} */
static void
put_pattern(struct buffer *json, const struct pattern *pattern)
{
	bool literal;
	size_t n;
	const char *text = pattern_source(pattern, &literal, &n);

	buffer_printf(json, ", \"pattern\": {\"%s\": ", literal ? "String" : "Regex");
	buffer_json_string(json, text, n);
	buffer_char(json, '}');
}

/* ---- normaliser ---- */

static bool
put_step(struct buffer *json, const struct normalize_step *step)
{
	static const char *const forms[] = { [UNICODE_NFC] = "NFC",
		[UNICODE_NFD] = "NFD",
		[UNICODE_NFKC] = "NFKC",
		[UNICODE_NFKD] = "NFKD" };

	switch (step->kind) {
	case NORMALIZE_FORM:
		buffer_printf(json, "{\"type\": \"%s\"}", forms[step->form]);
		return true;
	case NORMALIZE_CHARACTER:
		if (step->character != normalize_lowercase &&
		    step->character != normalize_drop_marks)
			return false;
		buffer_printf(json, "{\"type\": \"%s\"}",
		    step->character == normalize_lowercase ? "Lowercase" : "StripAccents");
		return true;
	case NORMALIZE_PREPEND:
		buffer_text(json, "{\"type\": \"Prepend\", \"prepend\": ");
		buffer_json_string(json, step->with, step->n_with);
		buffer_char(json, '}');
		return true;
	case NORMALIZE_REPLACE:
		buffer_text(json, "{\"type\": \"Replace\"");
		put_pattern(json, step->pattern);
		buffer_text(json, ", \"content\": ");
		buffer_json_string(json, step->with, step->n_with);
		buffer_char(json, '}');
		return true;
	case NORMALIZE_STRIP:
		buffer_printf(json,
		    "{\"type\": \"Strip\", \"strip_left\": %s, \"strip_right\": %s}",
		    truth(step->left), truth(step->right));
		return true;
	}
	return false;
}

static bool
put_normalizer(struct buffer *json, const struct normalizer *normalizer)
{
	bool fine = true;

	buffer_text(json, "  \"normalizer\": ");
	if (normalizer->n == 0)
		buffer_text(json, "null");
	if (normalizer->n > 1)
		buffer_text(json, "{\"type\": \"Sequence\", \"normalizers\": [");
	for (size_t i = 0; i < normalizer->n && fine; i++) {
		buffer_text(json, i > 0 ? ", " : "");
		fine = put_step(json, &normalizer->steps[i]);
	}
	buffer_text(json, normalizer->n > 1 ? "]},\n" : ",\n");
	return fine;
}

/* ---- pretokenizer ---- */

static void
put_byte_level(struct buffer *json, bool blank_first, bool words)
{
	buffer_printf(json,
	    "{\"type\": \"ByteLevel\", \"add_prefix_space\": %s, \"trim_offsets\": true, "
	    "\"use_regex\": %s}",
	    truth(blank_first), truth(words));
}

static void
put_stage(struct buffer *json, const struct split_stage *stage)
{
	static const char *const behaviors[] = { [SPLIT_ISOLATED] = "Isolated",
		[SPLIT_REMOVED] = "Removed",
		[SPLIT_MERGED_WITH_PREVIOUS] = "MergedWithPrevious",
		[SPLIT_MERGED_WITH_NEXT] = "MergedWithNext",
		[SPLIT_CONTIGUOUS] = "Contiguous" };
	static const char *const schemes[] = {
		[PREPEND_NEVER] = "never", [PREPEND_FIRST] = "first", [PREPEND_ALWAYS] = "always"
	};

	if (stage->kind == STAGE_METASPACE) {
		buffer_text(json, "{\"type\": \"Metaspace\", \"replacement\": ");
		put_text(json, stage->blank);
		buffer_printf(json, ", \"prepend_scheme\": \"%s\", \"split\": false}",
		    schemes[stage->prepend]);
		return;
	}
	buffer_text(json, "{\"type\": \"Split\"");
	put_pattern(json, stage->pattern);
	buffer_printf(json, ", \"behavior\": \"%s\", \"invert\": %s}", behaviors[stage->behavior],
	    truth(stage->invert));
}

static bool
is_gpt2_words(const struct split_stage *stage)
{
	bool literal = true;
	size_t n = 0;
	const char *text =
	    stage->kind == STAGE_SPLIT ? pattern_source(stage->pattern, &literal, &n) : NULL;

	return !literal && !stage->invert && stage->behavior == SPLIT_ISOLATED &&
	       n == strlen(gpt2_words) && memcmp(text, gpt2_words, n) == 0;
}

/* ByteLevel comes last and does up to three things: a blank first, GPT-2's words, bytes. */
static bool
put_pretokenizer(struct buffer *json, const struct tokenizer *tok)
{
	const struct pretokenizer *cuts = &tok->pretokenizer;
	const bool bytes = tok->bpe.byte_level;
	size_t n = cuts->n;
	const bool words = bytes && n > 0 && is_gpt2_words(&cuts->stages[n - 1]);
	bool blank_first;

	n -= words;
	blank_first = n > 0 && cuts->stages[n - 1].kind == STAGE_SPACE_FIRST;
	n -= blank_first;
	buffer_text(json, "  \"pre_tokenizer\": ");
	if (n + bytes == 0)
		buffer_text(json, "null");
	if (n + bytes > 1)
		buffer_text(json, "{\"type\": \"Sequence\", \"pretokenizers\": [");
	for (size_t i = 0; i < n; i++) {
		if (cuts->stages[i].kind == STAGE_SPACE_FIRST)
			return false;
		buffer_text(json, i > 0 ? ", " : "");
		put_stage(json, &cuts->stages[i]);
	}
	if (bytes) {
		buffer_text(json, n > 0 ? ", " : "");
		put_byte_level(json, blank_first, words);
	}
	buffer_text(json, n + bytes > 1 ? "]},\n" : ",\n");
	return bytes || !blank_first;
}

/* ---- the ends ---- */

static void
put_sequence(struct buffer *json, const struct tokenizer *tok, int part, const char *name)
{
	const struct id_array *ends[] = { &tok->before, &tok->after };

	buffer_printf(json, "\"%s\": [", part > 0 ? "pair" : "single");
	for (int copy = 0; copy <= part; copy++) {
		buffer_text(json, copy > 0 ? ", " : "");
		for (int end = 0; end < 2; end++) {
			for (size_t i = 0; i < ends[end]->n; i++) {
				buffer_text(json, end > 0 ? ", {\"SpecialToken\": {\"id\": "
							  : "{\"SpecialToken\": {\"id\": ");
				put_name(json, tok, ends[end]->at[i]);
				buffer_printf(
				    json, ", \"type_id\": %d}}%s", copy, end == 0 ? ", " : "");
			}
			if (end == 0)
				buffer_printf(json,
				    "{\"Sequence\": {\"id\": \"%c\", \"type_id\": %d}}", name[copy],
				    copy);
		}
	}
	buffer_text(json, "], ");
}

/* What stands around a text. */
static void
put_post_processor(struct buffer *json, const struct tokenizer *tok)
{
	const struct id_array *ends[] = { &tok->before, &tok->after };
	bool first = true;

	buffer_text(json, "  \"post_processor\": ");
	if (tok->before.n + tok->after.n == 0) {
		buffer_text(json, "null,\n");
		return;
	}
	buffer_text(json, "{\"type\": \"TemplateProcessing\", ");
	put_sequence(json, tok, 0, "AB");
	put_sequence(json, tok, 1, "AB");
	buffer_text(json, "\"special_tokens\": {");
	for (int end = 0; end < 2; end++)
		for (size_t i = 0; i < ends[end]->n; i++) {
			int32_t id = ends[end]->at[i];
			bool known = end == 1 && tok->before.n > 0 && tok->before.at[0] == id;

			if (known)
				continue;
			buffer_text(json, first ? "" : ", ");
			put_name(json, tok, id);
			buffer_text(json, ": {\"id\": ");
			put_name(json, tok, id);
			buffer_printf(json, ", \"ids\": [%d], \"tokens\": [", id);
			put_name(json, tok, id);
			buffer_text(json, "]}");
			first = false;
		}
	buffer_text(json, "}},\n");
}

static void
put_decoder(struct buffer *json, const struct decoder *decoder)
{
	bool first = true;

	buffer_text(json, "  \"decoder\": ");
	if (decoder->kind == DECODER_BYTES) {
		put_byte_level(json, false, true);
		buffer_text(json, ",\n");
		return;
	}
	buffer_text(json, "{\"type\": \"Sequence\", \"decoders\": [");
	if (decoder->blank[0] != '\0') {
		buffer_text(json, "{\"type\": \"Replace\", \"pattern\": {\"String\": ");
		put_text(json, decoder->blank);
		buffer_text(json, "}, \"content\": \" \"}");
		first = false;
	}
	if (decoder->byte_fallback) {
		buffer_printf(json, "%s{\"type\": \"ByteFallback\"}", first ? "" : ", ");
		first = false;
	}
	buffer_printf(json, "%s{\"type\": \"Fuse\"}", first ? "" : ", ");
	if (decoder->strip_blank)
		buffer_text(
		    json, ", {\"type\": \"Strip\", \"content\": \" \", \"start\": 1, \"stop\": 0}");
	buffer_text(json, "]},\n");
}

/* ---- tokens ---- */

struct listed {
	struct added_token token;
	bool normalized;
};

static int
by_id(const void *a, const void *b)
{
	const struct listed *x = a, *y = b;

	return x->token.id < y->token.id ? -1 : x->token.id > y->token.id;
}

/* False: out of memory. */
static bool
put_added_tokens(struct buffer *json, const struct tokenizer *tok)
{
	const size_t n = tok->raw.n + tok->normalized.n;
	struct listed *all = calloc(n + 1, sizeof *all);

	if (all == NULL)
		return false;
	for (size_t i = 0; i < n; i++)
		all[i] = i < tok->raw.n
			     ? (struct listed){ tok->raw.tokens[i], false }
			     : (struct listed){ tok->normalized.tokens[i - tok->raw.n], true };
	qsort(all, n, sizeof *all, by_id);
	buffer_text(json, "  \"added_tokens\": [\n");
	for (size_t i = 0; i < n; i++) {
		const struct added_token *token = &all[i].token;

		buffer_printf(json, "    {\"id\": %d, \"content\": ", token->id);
		put_name(json, tok, token->id);
		buffer_printf(json,
		    ", \"single_word\": %s, \"lstrip\": %s, \"rstrip\": %s, \"normalized\": %s, "
		    "\"special\": %s}%s\n",
		    truth(token->single_word), truth(token->lstrip), truth(token->rstrip),
		    truth(all[i].normalized), truth(token->special), i + 1 < n ? "," : "");
	}
	buffer_text(json, "  ],\n");
	free(all);
	return true;
}

/* The model's own: an added token may have the same name. */
static void
put_vocabulary(struct buffer *json, const struct tokenizer *tok)
{
	const struct vocabulary *vocabulary = &tok->vocabulary;
	bool first = true;

	buffer_text(json, "    \"vocab\": {");
	for (size_t id = 0; id < vocabulary->names.n; id++) {
		size_t n = 0;
		const char *name = string_table_get(&vocabulary->names, (int32_t)id, &n);

		if (name == NULL || string_index_find(&vocabulary->by_name, &vocabulary->names,
					name, n) != (int32_t)id)
			continue;
		buffer_text(json, first ? "\n      " : ",\n      ");
		buffer_json_string(json, name, n);
		buffer_printf(json, ": %zu", id);
		first = false;
	}
	buffer_text(json, "\n    },\n");
}

/* False: out of memory. */
static bool
put_merges(struct buffer *json, const struct tokenizer *tok)
{
	size_t n = 0;
	struct merge_slot *merges = tokenizer_merges(tok, &n);

	if (merges == NULL)
		return false;
	buffer_text(json, "    \"merges\": [");
	for (size_t i = 0; i < n; i++) {
		buffer_text(json, i > 0 ? ",\n      [" : "\n      [");
		put_name(json, tok, merges[i].left);
		buffer_text(json, ", ");
		put_name(json, tok, merges[i].right);
		buffer_char(json, ']');
	}
	buffer_text(json, "\n    ]\n  }\n}\n");
	free(merges);
	return true;
}

static bool
put_model(struct buffer *json, const struct tokenizer *tok)
{
	buffer_text(json, "  \"model\": {\n    \"type\": \"BPE\",\n    \"dropout\": null,\n");
	buffer_text(json, "    \"unk_token\": ");
	if (tok->bpe.unk_id >= 0)
		put_name(json, tok, tok->bpe.unk_id);
	else
		buffer_text(json, "null");
	buffer_printf(json,
	    ",\n    \"continuing_subword_prefix\": null,\n    \"end_of_word_suffix\": null,\n"
	    "    \"fuse_unk\": %s,\n    \"byte_fallback\": %s,\n    \"ignore_merges\": %s,\n",
	    truth(tok->bpe.fuse_unk), truth(tok->bpe.byte_fallback), truth(tok->bpe.ignore_merges));
	put_vocabulary(json, tok);
	return put_merges(json, tok);
}

enum t2l_status
tokenizer_write_json(const struct tokenizer *tok, struct buffer *json, struct t2l_error *err)
{
	if (tok->kind != MODEL_BPE || tok->decoder.kind == DECODER_WORDS)
		return t2l_fail(err, T2L_EUNSUPPORTED,
		    "only BPE tokenizers are written as tokenizer.json, this one is %s",
		    tok->kind == MODEL_BPE ? "BPE without a decoder" : "WordPiece");
	buffer_text(
	    json, "{\n  \"version\": \"1.0\",\n  \"truncation\": null,\n  \"padding\": null,\n");
	if (!put_added_tokens(json, tok))
		return t2l_fail(err, T2L_ENOMEM, "out of memory for the tokenizer");
	if (!put_normalizer(json, &tok->normalizer))
		return t2l_fail(err, T2L_EUNSUPPORTED,
		    "a tokenizer with BERT's normalizer is not written as tokenizer.json");
	if (!put_pretokenizer(json, tok))
		return t2l_fail(err, T2L_EUNSUPPORTED,
		    "a pre_tokenizer that puts blanks between other stages is not written as "
		    "tokenizer.json");
	put_post_processor(json, tok);
	put_decoder(json, &tok->decoder);
	if (!put_model(json, tok) || buffer_failed(json))
		return t2l_fail(err, T2L_ENOMEM, "out of memory for the tokenizer");
	return T2L_OK;
}
