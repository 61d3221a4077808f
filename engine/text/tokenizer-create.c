/* tokenizer-create.c - makes a tokenizer of a vocabulary as GGUF files carry it, which is also what
 * SentencePiece models and rank files come down to. */

#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "engine/error.h"
#include "engine/text/tokenizer-json.h"

static const char blank[] = "\xE2\x96\x81"; /* U+2581, SentencePiece's blank */

/* ---- tokens ---- */

static enum token_type
type_of(const struct tokenizer_parts *parts, size_t id)
{
	return parts->types != NULL ? (enum token_type)parts->types[id] : TOKEN_NORMAL;
}

/* Tokens that are found in a text before the model sees it. */
static bool
is_added(enum token_type type)
{
	return type == TOKEN_CONTROL || type == TOKEN_USER_DEFINED || type == TOKEN_UNKNOWN;
}

/* BERT in GGUF: word starts carry U+2581 and continuations nothing; [CLS] and the like are bare. */
static void
append_wordpiece_name(struct buffer *out, const struct token_text *token)
{
	size_t n = token->n_bytes;

	if (n >= 3 && memcmp(token->bytes, blank, 3) == 0) {
		buffer_append(out, token->bytes + 3, n - 3);
		return;
	}
	if (n < 2 || token->bytes[0] != '[' || token->bytes[n - 1] != ']')
		buffer_text(out, "##");
	buffer_append(out, token->bytes, n);
}

static enum t2l_status
add_model_tokens(struct tokenizer *tok, const struct tokenizer_parts *parts, struct t2l_error *err)
{
	bool bert = strcmp(parts->model, "bert") == 0, bytes = strcmp(parts->model, "gpt2") == 0;
	struct buffer name = { 0 };
	enum t2l_status status = pipeline_open_vocabulary(tok, parts->n_tokens, err);
	size_t id;

	for (id = 0; status == T2L_OK && id < parts->n_tokens; id++) {
		enum token_type type = type_of(parts, id);

		/* Byte-level models never reach added tokens by merging. */
		if (type == TOKEN_UNUSED || (bytes && is_added(type)))
			continue;
		buffer_clear(&name);
		if (bert)
			append_wordpiece_name(&name, &parts->tokens[id]);
		else
			buffer_append(&name, parts->tokens[id].bytes, parts->tokens[id].n_bytes);
		if (buffer_failed(&name))
			status = t2l_fail(err, T2L_ENOMEM, "out of memory for the tokenizer");
		else
			status =
			    pipeline_add_token(tok, (int64_t)id, buffer_string(&name), name.n, err);
	}
	buffer_free(&name);
	return status;
}

static bool
token_is(const struct token_text *token, const char *name)
{
	return token->n_bytes == strlen(name) && memcmp(token->bytes, name, token->n_bytes) == 0;
}

static bool
has_token(const struct tokenizer_parts *parts, const char *name)
{
	size_t id;

	for (id = 0; id < parts->n_tokens; id++)
		if (token_is(&parts->tokens[id], name))
			return true;
	return false;
}

/* GGUF has no flag for tokens that take the white space behind them. Phi-3's do, all but these
 * three, and its prompts are wrong without. */
static bool
takes_white_space(const struct token_text *token)
{
	return !token_is(token, "<unk>") && !token_is(token, "<s>") &&
	       !token_is(token, "<|endoftext|>");
}

static enum t2l_status
add_added_tokens(struct tokenizer *tok, const struct tokenizer_parts *parts, struct t2l_error *err)
{
	enum t2l_status status = pipeline_open_added(tok, parts->n_tokens, err);
	bool phi3 = strcmp(parts->model, "llama") == 0 && has_token(parts, "<|assistant|>") &&
		    has_token(parts, "<|end|>");
	struct added_token token = { 0 };
	size_t id;

	for (id = 0; status == T2L_OK && id < parts->n_tokens; id++) {
		if (!is_added(type_of(parts, id)))
			continue;
		token.special = type_of(parts, id) != TOKEN_USER_DEFINED;
		token.lstrip = parts->strips != NULL && (parts->strips[id] & TOKEN_STRIPS_LEFT);
		token.rstrip = parts->strips != NULL
				   ? (parts->strips[id] & TOKEN_STRIPS_RIGHT) != 0
				   : phi3 && takes_white_space(&parts->tokens[id]);
		status = pipeline_add_added(tok, (int64_t)id, parts->tokens[id].bytes,
		    parts->tokens[id].n_bytes, token, false, err);
	}
	return status;
}

/* ---- merges ---- */

static enum t2l_status
read_merges(struct tokenizer *tok, const struct tokenizer_parts *parts, struct t2l_error *err)
{
	enum t2l_status status = pipeline_open_merges(tok, parts->n_merges, err);
	const struct token_text *merge;
	struct token_text left, right;
	const char *space;
	size_t i;

	for (i = 0; status == T2L_OK && i < parts->n_merges; i++) {
		merge = &parts->merges[i];
		/* A left half may be a blank itself, so the first byte is not looked at. */
		space =
		    merge->n_bytes < 3 ? NULL : memchr(merge->bytes + 1, ' ', merge->n_bytes - 1);
		if (space == NULL)
			return t2l_fail(err, T2L_EFORMAT, "merge %zu is not two tokens", i);
		left = (struct token_text){ merge->bytes, (size_t)(space - merge->bytes) };
		right = (struct token_text){ space + 1, merge->n_bytes - left.n_bytes - 1 };
		status = pipeline_add_merge(tok, &left, &right, (uint32_t)i, err);
	}
	return status;
}

/* A SentencePiece model has scores instead of merges: a piece of score S comes from any two
 * pieces it can be cut into, the longer left half first. */
struct scored_merge {
	float score;
	uint32_t n_left, n_right; /* characters */
	int32_t left, right, merged;
	uint32_t order; /* where it was found, so that sorting is stable */
};

struct merge_list {
	struct scored_merge *at;
	size_t n, capacity;
};

static int
by_score(const void *a, const void *b)
{
	const struct scored_merge *x = a, *y = b;

	if (x->score != y->score)
		return x->score > y->score ? -1 : 1;
	if (x->n_left != y->n_left)
		return x->n_left > y->n_left ? -1 : 1;
	if (x->n_right != y->n_right)
		return x->n_right > y->n_right ? -1 : 1;
	return x->order < y->order ? -1 : 1;
}

static uint32_t
count_characters(const char *text, size_t n_bytes)
{
	uint32_t n = 0;
	size_t i;

	for (i = 0; i < n_bytes; i++)
		n += ((unsigned char)text[i] & 0xC0) != 0x80;
	return n;
}

/* Adds every cut of token ID into two known pieces. */
static bool
add_cuts(const struct vocabulary *vocabulary, int32_t id, float score, struct merge_list *list)
{
	size_t n_bytes, cut;
	const char *name = string_table_get(&vocabulary->names, id, &n_bytes);

	for (cut = 1; cut < n_bytes; cut++) {
		void *at = list->at;
		int32_t left, right;

		if (((unsigned char)name[cut] & 0xC0) == 0x80)
			continue;
		left = string_index_find(&vocabulary->by_name, &vocabulary->names, name, cut);
		if (left < 0)
			continue;
		right = string_index_find(
		    &vocabulary->by_name, &vocabulary->names, name + cut, n_bytes - cut);
		if (right < 0)
			continue;
		if (!array_grow(&at, &list->capacity, list->n + 1, sizeof *list->at))
			return false;
		list->at = at;
		list->at[list->n] = (struct scored_merge){ score, count_characters(name, cut),
			count_characters(name + cut, n_bytes - cut), left, right, id,
			(uint32_t)list->n };
		list->n++;
	}
	return true;
}

/* Longer pieces have a quadratic number of bytes to look at; no model has them. */
#define LONGEST_PIECE 1024

/* Collects the cuts of all tokens that text may be made of. */
static enum t2l_status
collect_cuts(struct tokenizer *tok, const struct tokenizer_parts *parts, struct merge_list *list,
    struct t2l_error *err)
{
	for (size_t id = 0; id < parts->n_tokens; id++) {
		enum token_type type = type_of(parts, id);
		size_t n_bytes;

		if (string_table_get(&tok->vocabulary.names, (int32_t)id, &n_bytes) == NULL ||
		    (type != TOKEN_NORMAL && type != TOKEN_USER_DEFINED))
			continue;
		if (n_bytes > LONGEST_PIECE || parts->scores[id] != parts->scores[id])
			return t2l_fail(err, T2L_EFORMAT,
			    "token %zu is longer than %d bytes or its score is no number", id,
			    LONGEST_PIECE);
		if (!add_cuts(&tok->vocabulary, (int32_t)id, parts->scores[id], list))
			return t2l_fail(err, T2L_ENOMEM, "out of memory for the merges");
	}
	return T2L_OK;
}

/* BY_RANK: all cuts of a token rank alike, by its id, so that the leftmost goes first. */
static enum t2l_status
derive_merges(
    struct tokenizer *tok, const struct tokenizer_parts *parts, bool by_rank, struct t2l_error *err)
{
	struct merge_list list = { 0 };
	enum t2l_status status = T2L_OK;
	size_t i;

	if (parts->scores == NULL)
		return t2l_fail(err, T2L_EFORMAT, "the vocabulary has no scores");
	status = collect_cuts(tok, parts, &list, err);
	if (status == T2L_OK)
		status = pipeline_open_merges(tok, list.n, err);
	if (status == T2L_OK && list.n > 0 && !by_rank)
		qsort(list.at, list.n, sizeof *list.at, by_score);
	for (i = 0; status == T2L_OK && i < list.n; i++)
		bpe_add_merge(&tok->bpe, list.at[i].left, list.at[i].right,
		    by_rank ? (uint32_t)list.at[i].merged : (uint32_t)i, list.at[i].merged);
	free(list.at);
	return status;
}

/* ---- the three models ---- */

static enum t2l_status
set_up_byte_level(struct tokenizer *tok, const struct tokenizer_parts *parts, struct t2l_error *err)
{
	const char *pre = parts->pre != NULL ? parts->pre : "gpt-2";
	const struct byte_level_family *family = byte_level_families;
	enum t2l_status status = T2L_OK;
	struct normalize_step *step;

	while (family->pre != NULL && strcmp(pre, family->pre) != 0)
		family++;
	if (family->pre == NULL)
		return t2l_fail(err, T2L_EUNSUPPORTED,
		    "tokenizer.ggml.pre '%.60s' is not supported; open the model's Hugging Face "
		    "directory instead",
		    pre);
	tok->bpe.byte_level = true;
	tok->bpe.ignore_merges = family->ignore_merges;
	tok->decoder.kind = DECODER_BYTES;
	if (family->nfc && (step = normalizer_add(&tok->normalizer, NORMALIZE_FORM)) != NULL)
		step->form = UNICODE_NFC;
	if (family->digits != NULL)
		status = add_split(&tok->pretokenizer, family->digits, SPLIT_ISOLATED, false, err);
	if (status == T2L_OK)
		status = add_split(&tok->pretokenizer, family->words, SPLIT_ISOLATED, false, err);
	if (status != T2L_OK)
		return status;
	if (!parts->merges_by_rank)
		return read_merges(tok, parts, err);
	/* tiktoken takes a word that is a token whole, as LLaMA 3 does. */
	tok->bpe.ignore_merges = true;
	return derive_merges(tok, parts, true, err);
}

static enum t2l_status
add_blank_step(struct tokenizer *tok, enum normalize_kind kind, struct t2l_error *err)
{
	struct normalize_step *step = normalizer_add(&tok->normalizer, kind);

	step->with = strdup(blank);
	step->n_with = strlen(blank);
	if (step->with == NULL)
		return t2l_fail(err, T2L_ENOMEM, "out of memory for the tokenizer");
	if (kind == NORMALIZE_REPLACE)
		return pattern_compile_literal(" ", 1, &step->pattern, err);
	return T2L_OK;
}

/* Blanks become U+2581; behind special tokens none is put before the text. */
static enum t2l_status
add_metaspace(struct tokenizer *tok, struct t2l_error *err)
{
	struct split_stage *stage = pretokenizer_add(&tok->pretokenizer, STAGE_METASPACE);

	if (stage == NULL)
		return t2l_fail(err, T2L_ENOMEM, "out of memory for the tokenizer");
	stage->prepend = PREPEND_FIRST;
	strcpy(stage->blank, blank);
	return T2L_OK;
}

static enum t2l_status
set_up_sentencepiece(
    struct tokenizer *tok, const struct tokenizer_parts *parts, struct t2l_error *err)
{
	enum t2l_status status = T2L_OK;

	tok->bpe.byte_fallback = tok->bpe.fuse_unk = true;
	tok->bpe.unk_id = tok->unk_id;
	tok->decoder.kind = DECODER_TEXT;
	tok->decoder.byte_fallback = true;
	tok->decoder.strip_blank = parts->add_space_prefix;
	strcpy(tok->decoder.blank, blank);
	if (parts->add_space_prefix && parts->prefix_first) {
		status = add_metaspace(tok, err);
	} else {
		if (parts->add_space_prefix)
			status = add_blank_step(tok, NORMALIZE_PREPEND, err);
		if (status == T2L_OK)
			status = add_blank_step(tok, NORMALIZE_REPLACE, err);
	}
	return status == T2L_OK ? derive_merges(tok, parts, false, err) : status;
}

/* GGUF does not say whether a BERT lower-cases; a vocabulary without capitals does. */
static bool
has_capitals(const struct tokenizer_parts *parts)
{
	size_t id, i;

	for (id = 0; id < parts->n_tokens; id++) {
		const struct token_text *token = &parts->tokens[id];

		if (token->n_bytes > 0 && token->bytes[0] == '[')
			continue;
		for (i = 0; i < token->n_bytes; i++)
			if (token->bytes[i] >= 'A' && token->bytes[i] <= 'Z')
				return true;
	}
	return false;
}

static enum t2l_status
add_ends(struct tokenizer *tok, const struct tokenizer_parts *parts, struct t2l_error *err)
{
	if (parts->add_bos && tok->bos_id >= 0)
		id_array_append(&tok->before, tok->bos_id);
	if (parts->add_eos && tok->eos.n > 0)
		id_array_append(&tok->after, tok->eos.at[0]);
	if (tok->before.failed || tok->after.failed)
		return t2l_fail(err, T2L_ENOMEM, "out of memory for the tokenizer");
	return T2L_OK;
}

static enum t2l_status
assemble(struct tokenizer *tok, const struct tokenizer_parts *parts, struct t2l_error *err)
{
	bool bert = strcmp(parts->model, "bert") == 0;
	enum t2l_status status = add_model_tokens(tok, parts, err);

	if (status != T2L_OK)
		return status;
	if (bert)
		return set_up_bert(tok, !has_capitals(parts), err);
	tok->unk_id = pipeline_check_id(tok, parts->unk_id);
	if (strcmp(parts->model, "gpt2") == 0)
		status = set_up_byte_level(tok, parts, err);
	else if (strcmp(parts->model, "llama") == 0)
		status = set_up_sentencepiece(tok, parts, err);
	else
		status = t2l_fail(err, T2L_EUNSUPPORTED,
		    "tokenizer.ggml.model '%.60s' is not supported (gpt2, llama and bert are)",
		    parts->model);
	if (status == T2L_OK)
		status = pipeline_finish_model(tok, err);
	if (status == T2L_OK)
		status = add_added_tokens(tok, parts, err);
	if (status != T2L_OK)
		return status;
	tok->bos_id = pipeline_check_id(tok, parts->bos_id);
	tok->pad_id = pipeline_check_id(tok, parts->pad_id);
	tok->unk_id = pipeline_check_id(tok, parts->unk_id);
	pipeline_add_eos(tok, parts->eos_id);
	pipeline_add_eos(tok, parts->eot_id);
	return add_ends(tok, parts, err);
}

static enum t2l_status
set_chat_template(struct tokenizer *tok, const struct tokenizer_parts *parts, struct t2l_error *err)
{
	if (parts->chat_template == NULL)
		return T2L_OK;
	tok->chat_template = strdup(parts->chat_template);
	return tok->chat_template != NULL
		   ? T2L_OK
		   : t2l_fail(err, T2L_ENOMEM, "out of memory for the tokenizer");
}

enum t2l_status
tokenizer_create(const struct tokenizer_parts *parts, struct tokenizer **out, struct t2l_error *err)
{
	struct tokenizer *tok = pipeline_new();
	enum t2l_status status;

	if (tok == NULL)
		return t2l_fail(err, T2L_ENOMEM, "out of memory for the tokenizer");
	status = assemble(tok, parts, err);
	if (status == T2L_OK)
		status = set_chat_template(tok, parts, err);
	if (status != T2L_OK) {
		tokenizer_close(tok);
		return status;
	}
	*out = tok;
	return T2L_OK;
}

enum t2l_status
tokenizer_create_json(const char *json, size_t n_bytes, const char *name,
    const struct tokenizer_parts *parts, struct tokenizer **out, struct t2l_error *err)
{
	struct tokenizer *tok = NULL;
	enum t2l_status status = tokenizer_read_json(json, n_bytes, name, &tok, err);

	if (status == T2L_OK)
		status = set_chat_template(tok, parts, err);
	if (status != T2L_OK) {
		tokenizer_close(tok);
		return status;
	}
	tok->bos_id = pipeline_check_id(tok, parts->bos_id);
	tok->pad_id = pipeline_check_id(tok, parts->pad_id);
	if (parts->unk_id >= 0)
		tok->unk_id = pipeline_check_id(tok, parts->unk_id);
	pipeline_add_eos(tok, parts->eos_id);
	pipeline_add_eos(tok, parts->eot_id);
	*out = tok;
	return T2L_OK;
}

void
tokenizer_add_eos(struct tokenizer *tok, int64_t id)
{
	pipeline_add_eos(tok, id);
}
