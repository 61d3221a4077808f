/* tokenizer-describe.c - a tokenizer -> the parts that GGUF files carry, and whether these make the
 * same tokenizer again. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/error.h"
#include "engine/text/tokenizer-json.h"
#include "engine/text/tokenizer-save.h"

static enum t2l_status
out_of_memory(struct t2l_error *err)
{
	return t2l_fail(err, T2L_ENOMEM, "out of memory for the tokenizer");
}

/* ---- merges ---- */

static int
by_rank(const void *a, const void *b)
{
	const struct merge_slot *x = a, *y = b;

	if (x->rank != y->rank)
		return x->rank < y->rank ? -1 : 1;
	if (x->left != y->left)
		return x->left < y->left ? -1 : 1;
	return x->right < y->right ? -1 : x->right > y->right;
}

struct merge_slot *
tokenizer_merges(const struct tokenizer *tok, size_t *n)
{
	const size_t n_slots = tok->bpe.slots != NULL ? tok->bpe.mask + 1 : 0;
	struct merge_slot *merges = malloc((n_slots + 1) * sizeof *merges);

	*n = 0;
	if (merges == NULL)
		return NULL;
	for (size_t i = 0; i < n_slots; i++)
		if (tok->bpe.slots[i].left >= 0)
			merges[(*n)++] = tok->bpe.slots[i];
	qsort(merges, *n, sizeof *merges, by_rank);
	return merges;
}

/* ---- whether two tokenizers are the same ---- */

static bool
same_bytes(const char *a, size_t n_a, const char *b, size_t n_b)
{
	return n_a == n_b && (n_a == 0 || memcmp(a, b, n_a) == 0);
}

static bool
same_step(const struct normalize_step *a, const struct normalize_step *b)
{
	return a->kind == b->kind && a->form == b->form && a->character == b->character &&
	       a->left == b->left && a->right == b->right &&
	       pattern_equal(a->pattern, b->pattern) &&
	       same_bytes(a->with, a->n_with, b->with, b->n_with);
}

static bool
same_normalizer(const struct normalizer *a, const struct normalizer *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (!same_step(&a->steps[i], &b->steps[i]))
			return false;
	return true;
}

/* Gemma's cut at blanks comes when the normaliser has left none. */
static bool
cuts_nothing(const struct tokenizer *tok, const struct split_stage *stage)
{
	const struct normalizer *normalizer = &tok->normalizer;
	const struct normalize_step *last =
	    normalizer->n > 0 ? &normalizer->steps[normalizer->n - 1] : NULL;

	return last != NULL && last->kind == NORMALIZE_REPLACE && stage->kind == STAGE_SPLIT &&
	       !stage->invert && pattern_equal(stage->pattern, last->pattern) &&
	       memchr(last->with, ' ', last->n_with) == NULL;
}

static const struct split_stage *
next_stage(const struct tokenizer *tok, size_t *i)
{
	while (*i < tok->pretokenizer.n && cuts_nothing(tok, &tok->pretokenizer.stages[*i]))
		++*i;
	return *i < tok->pretokenizer.n ? &tok->pretokenizer.stages[(*i)++] : NULL;
}

static bool
same_pretokenizer(const struct tokenizer *a, const struct tokenizer *b)
{
	size_t i = 0, j = 0;
	const struct split_stage *x, *y;

	do {
		x = next_stage(a, &i);
		y = next_stage(b, &j);
		if (x == NULL || y == NULL)
			return x == y;
	} while (x->kind == y->kind && x->behavior == y->behavior && x->invert == y->invert &&
		 x->prepend == y->prepend && strcmp(x->blank, y->blank) == 0 &&
		 pattern_equal(x->pattern, y->pattern));
	return false;
}

static bool
same_merges(const struct tokenizer *a, const struct tokenizer *b, bool *same)
{
	size_t n_a = 0, n_b = 0;
	struct merge_slot *x = tokenizer_merges(a, &n_a), *y = tokenizer_merges(b, &n_b);

	*same = n_a == n_b;
	for (size_t i = 0; x != NULL && y != NULL && i < n_a && *same; i++)
		*same = x[i].left == y[i].left && x[i].right == y[i].right &&
			x[i].merged == y[i].merged;
	*same = *same && x != NULL && y != NULL;
	free(x);
	free(y);
	return x != NULL && y != NULL;
}

static int
by_id(const void *a, const void *b)
{
	const struct added_token *x = a, *y = b;

	return x->id < y->id ? -1 : x->id > y->id;
}

/* Those that have a name of their own: a second token with the same text replaces the first. */
static struct added_token *
sorted_added(const struct added_tokens *added)
{
	struct added_token *tokens = malloc((added->n + 1) * sizeof *tokens);

	if (tokens == NULL)
		return NULL;
	if (added->n > 0)
		memcpy(tokens, added->tokens, added->n * sizeof *tokens);
	qsort(tokens, added->n, sizeof *tokens, by_id);
	return tokens;
}

static bool
same_added(const struct added_tokens *a, const struct added_tokens *b)
{
	struct added_token *x = sorted_added(a), *y = sorted_added(b);
	bool same = a->n == b->n && x != NULL && y != NULL;

	for (size_t i = 0; same && i < a->n; i++)
		same = x[i].id == y[i].id && x[i].special == y[i].special &&
		       x[i].single_word == y[i].single_word && x[i].lstrip == y[i].lstrip &&
		       x[i].rstrip == y[i].rstrip;
	free(x);
	free(y);
	return same;
}

static bool
same_ids(const struct id_array *a, const struct id_array *b)
{
	return a->n == b->n && (a->n == 0 || memcmp(a->at, b->at, a->n * sizeof *a->at) == 0);
}

static bool
same_decoder(const struct decoder *a, const struct decoder *b)
{
	return a->kind == b->kind && strcmp(a->blank, b->blank) == 0 &&
	       a->byte_fallback == b->byte_fallback && a->strip_blank == b->strip_blank;
}

static bool
same_tokenizer(const struct tokenizer *a, const struct tokenizer *b)
{
	bool merges;

	return a->bpe.byte_level == b->bpe.byte_level &&
	       a->bpe.byte_fallback == b->bpe.byte_fallback && a->bpe.fuse_unk == b->bpe.fuse_unk &&
	       a->bpe.ignore_merges == b->bpe.ignore_merges && a->bpe.unk_id == b->bpe.unk_id &&
	       same_normalizer(&a->normalizer, &b->normalizer) && same_pretokenizer(a, b) &&
	       same_decoder(&a->decoder, &b->decoder) && same_added(&a->raw, &b->raw) &&
	       same_added(&a->normalized, &b->normalized) && same_ids(&a->before, &b->before) &&
	       same_ids(&a->after, &b->after) && a->bos_id == b->bos_id &&
	       same_merges(a, b, &merges) && merges;
}

/* ---- the parts ---- */

/* The name GGUF has for how words are cut: the nearest one where none is right. */
static const char *
family_of(const struct tokenizer *tok)
{
	const struct pretokenizer *cuts = &tok->pretokenizer;
	const bool nfc = tok->normalizer.n == 1 &&
			 tok->normalizer.steps[0].kind == NORMALIZE_FORM &&
			 tok->normalizer.steps[0].form == UNICODE_NFC;
	const struct byte_level_family *near = NULL;

	for (const struct byte_level_family *f = byte_level_families; f->pre != NULL; f++) {
		const char *words[2] = { f->digits != NULL ? f->digits : f->words, f->words };
		bool same = cuts->n == (f->digits != NULL ? 2u : 1u);

		for (size_t i = 0; i < cuts->n && same; i++) {
			bool literal = true;
			size_t n = 0;
			const char *text =
			    cuts->stages[i].kind == STAGE_SPLIT
				? pattern_source(cuts->stages[i].pattern, &literal, &n)
				: NULL;

			same = !literal && same_bytes(text, n, words[i], strlen(words[i]));
		}
		if (!same)
			continue;
		if (f->ignore_merges == tok->bpe.ignore_merges && f->nfc == nfc)
			return f->pre;
		near = near != NULL ? near : f;
	}
	return near != NULL ? near->pre : byte_level_families[0].pre;
}

static bool
is_byte_token(const char *name, size_t n)
{
	return n == 6 && memcmp(name, "<0x", 3) == 0 && name[5] == '>';
}

static void
mark_added(const struct added_tokens *added, int32_t *types, size_t n)
{
	for (size_t i = 0; i < added->n; i++)
		if ((size_t)added->tokens[i].id < n)
			types[added->tokens[i].id] =
			    added->tokens[i].special ? TOKEN_CONTROL : TOKEN_USER_DEFINED;
}

static void
describe_tokens(const struct tokenizer *tok, struct tokenizer_description *out, size_t n)
{
	for (size_t id = 0; id < n; id++) {
		size_t n_bytes = 0;
		const char *name = string_table_get(&tok->vocabulary.names, (int32_t)id, &n_bytes);

		out->types[id] = name == NULL ? TOKEN_UNUSED
				 : tok->bpe.byte_fallback && is_byte_token(name, n_bytes)
				     ? TOKEN_BYTE
				     : TOKEN_NORMAL;
		if (name == NULL) {
			n_bytes =
			    (size_t)snprintf(out->unused[id], sizeof *out->unused, "[PAD%zu]", id);
			name = out->unused[id];
		}
		out->tokens[id] = (struct token_text){ name, n_bytes };
		out->scores[id] = 0;
	}
	mark_added(&tok->raw, out->types, n);
	mark_added(&tok->normalized, out->types, n);
	if (!tok->bpe.byte_level && tok->unk_id >= 0 && (size_t)tok->unk_id < n)
		out->types[tok->unk_id] = TOKEN_UNKNOWN;
}

/* SentencePiece's order is by score. A token's merges stand together, unless several tokens have
 * one score: then theirs lie among each other. LAST: the last merge that makes each token. */
static void
describe_scores(const struct merge_slot *merges, size_t n_merges, size_t *last,
    struct tokenizer_description *out)
{
	float score = 0;
	size_t group_end = 0;

	for (size_t i = 0; i < n_merges; i++)
		last[merges[i].merged] = i;
	for (size_t i = 0; i < n_merges; i++) {
		if (i >= group_end)
			score--;
		if (last[merges[i].merged] + 1 > group_end)
			group_end = last[merges[i].merged] + 1;
		out->scores[merges[i].merged] = score;
	}
}

static enum t2l_status
describe_merges(const struct tokenizer *tok, const struct merge_slot *merges, size_t n_merges,
    struct tokenizer_description *out, struct t2l_error *err)
{
	struct buffer *text = &out->merge_text;
	size_t n, at = 0;

	out->merges = malloc((n_merges + 1) * sizeof *out->merges);
	if (out->merges == NULL)
		return out_of_memory(err);
	for (size_t i = 0; i < n_merges; i++) {
		const char *left = string_table_get(&tok->vocabulary.names, merges[i].left, &n);

		buffer_append(text, left, n);
		buffer_char(text, ' ');
		left = string_table_get(&tok->vocabulary.names, merges[i].right, &n);
		buffer_append(text, left, n);
		out->merges[i].n_bytes = text->n - at;
		at = text->n;
	}
	if (buffer_failed(text))
		return out_of_memory(err);
	for (size_t i = 0, start = 0; i < n_merges; start += out->merges[i++].n_bytes)
		out->merges[i].bytes = buffer_string(text) + start;
	out->parts.n_merges = n_merges;
	out->parts.merges = out->merges;
	return T2L_OK;
}

static bool
prepends_blank(const struct tokenizer *tok)
{
	for (size_t i = 0; i < tok->normalizer.n; i++)
		if (tok->normalizer.steps[i].kind == NORMALIZE_PREPEND)
			return true;
	for (size_t i = 0; i < tok->pretokenizer.n; i++)
		if (tok->pretokenizer.stages[i].kind == STAGE_METASPACE &&
		    tok->pretokenizer.stages[i].prepend != PREPEND_NEVER)
			return true;
	return false;
}

static void
describe_settings(const struct tokenizer *tok, struct tokenizer_description *out)
{
	const bool bytes = tok->bpe.byte_level;
	struct tokenizer_parts *parts = &out->parts;

	parts->model = bytes ? "gpt2" : "llama";
	parts->pre = bytes ? family_of(tok) : "default";
	parts->tokens = out->tokens;
	parts->types = out->types;
	parts->scores = bytes ? NULL : out->scores;
	parts->bos_id = tok->bos_id;
	parts->unk_id = tok->unk_id;
	parts->pad_id = tok->pad_id;
	parts->eos_id = tok->eos.n > 0 ? tok->eos.at[0] : -1;
	parts->eot_id = tok->eos.n > 1 ? tok->eos.at[1] : -1;
	parts->add_bos = tok->before.n > 0;
	parts->add_eos = tok->after.n > 0;
	parts->add_space_prefix = !bytes && prepends_blank(tok);
	parts->chat_template = tok->chat_template;
}

static enum t2l_status
describe(const struct tokenizer *tok, struct tokenizer_description *out, struct t2l_error *err)
{
	size_t n = out->parts.n_tokens, n_merges = 0;
	size_t *last = malloc((n + 1) * sizeof *last);
	struct merge_slot *merges = tokenizer_merges(tok, &n_merges);
	enum t2l_status status = T2L_OK;

	out->tokens = malloc((n + 1) * sizeof *out->tokens);
	out->scores = malloc((n + 1) * sizeof *out->scores);
	out->types = malloc((n + 1) * sizeof *out->types);
	out->unused = malloc((n + 1) * sizeof *out->unused);
	if (last == NULL || merges == NULL || out->tokens == NULL || out->scores == NULL ||
	    out->types == NULL || out->unused == NULL) {
		free(last);
		free(merges);
		return out_of_memory(err);
	}
	describe_tokens(tok, out, n);
	describe_settings(tok, out);
	if (tok->bpe.byte_level)
		status = describe_merges(tok, merges, n_merges, out, err);
	else
		describe_scores(merges, n_merges, last, out);
	free(last);
	free(merges);
	return status;
}

enum t2l_status
tokenizer_describe(const struct tokenizer *tok, size_t n_tokens, struct tokenizer_description *out,
    struct t2l_error *err)
{
	struct tokenizer *made = NULL;
	enum t2l_status status;

	*out = (struct tokenizer_description){ 0 };
	if (tok->kind != MODEL_BPE)
		return t2l_fail(
		    err, T2L_EUNSUPPORTED, "a WordPiece tokenizer has no GGUF form with a decoder");
	out->parts.n_tokens =
	    n_tokens > tok->vocabulary.names.n ? n_tokens : tok->vocabulary.names.n;
	status = describe(tok, out, err);
	if (status != T2L_OK) {
		tokenizer_description_free(out);
		return status;
	}
	/* Parts that make no tokenizer at all are not exact either. */
	if (tokenizer_create(&out->parts, &made, NULL) == T2L_OK)
		out->exact = same_tokenizer(tok, made);
	tokenizer_close(made);
	return T2L_OK;
}

void
tokenizer_description_free(struct tokenizer_description *description)
{
	free(description->tokens);
	free(description->merges);
	free(description->scores);
	free(description->types);
	free(description->unused);
	buffer_free(&description->merge_text);
	*description = (struct tokenizer_description){ 0 };
}
