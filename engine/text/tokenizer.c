/* tokenizer.c - text to token ids and back, through the parts of a tokenizer. */

#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "engine/error.h"
#include "engine/text/pipeline.h"

/* Above any prompt; keeps symbols and offsets inside 32 bits. */
#define LONGEST_TEXT (512u << 20)
/* From here on words come again often enough for a cache to pay. */
#define LONG_TEXT 16384

/* ---- text to ids ---- */

/* One text on its way through the parts. */
struct encoding {
	const struct tokenizer *tok;
	bool parse_special;
	struct text_guards guards;
	struct pattern_matcher *matcher;
	struct normalizer_work normalizer;
	struct pretokenizer_work pretokenizer;
	struct bpe_work bpe;
	struct buffer wordpiece;
	struct id_array ids;
};

static enum t2l_status
encode_piece(void *context, const char *piece, size_t n_bytes, struct t2l_error *err)
{
	struct encoding *enc = context;
	const struct tokenizer *tok = enc->tok;
	bool ok;

	if (tok->kind == MODEL_BPE)
		ok = bpe_encode(&tok->bpe, &tok->vocabulary, &enc->bpe, piece, n_bytes, &enc->ids);
	else
		ok = wordpiece_encode(
		    &tok->wordpiece, &tok->vocabulary, &enc->wordpiece, piece, n_bytes, &enc->ids);
	return ok ? T2L_OK : t2l_fail(err, T2L_ENOMEM, "out of memory encoding text");
}

/* Receives the text between two added tokens; AT is its place in the text given. */
typedef enum t2l_status section_encoder(
    struct encoding *enc, const char *text, size_t n_bytes, size_t at, struct t2l_error *err);

/* Appends the ids of ADDED found in TEXT, and through ENCODE those of the text between them. BASE
 * is the place of TEXT in the text given, GUARDS are places in TEXT. */
static enum t2l_status
encode_around(struct encoding *enc, const struct added_tokens *added, const char *text,
    size_t n_bytes, size_t base, const struct text_guards *guards, section_encoder *encode,
    struct t2l_error *err)
{
	enum t2l_status status = T2L_OK;
	struct added_match match;
	size_t at;

	for (at = 0; status == T2L_OK && at < n_bytes; at = match.end) {
		match = added_tokens_find(added, text, n_bytes, at, enc->parse_special, guards);
		if (match.start > at)
			status = encode(enc, text + at, match.start - at, base + at, err);
		if (match.token != NULL)
			id_array_append(&enc->ids, match.token->id);
	}
	return status;
}

static enum t2l_status
encode_normalized(
    struct encoding *enc, const char *text, size_t n_bytes, size_t at, struct t2l_error *err)
{
	return pretokenizer_run(&enc->tok->pretokenizer, &enc->pretokenizer, enc->matcher, text,
	    n_bytes, at == 0, encode_piece, enc, err);
}

static enum t2l_status
encode_raw(struct encoding *enc, const char *text, size_t n_bytes, size_t at, struct t2l_error *err)
{
	/* Normalising moves places, so a guard inside this section guards all of it. */
	const struct text_guards all = { .everywhere =
					     guards_meet(&enc->guards, at, at + n_bytes) };
	enum t2l_status status;
	const char *normal;
	size_t n_normal;

	status = normalizer_run(&enc->tok->normalizer, &enc->normalizer, enc->matcher, text,
	    n_bytes, &normal, &n_normal, err);
	if (status != T2L_OK)
		return status;
	return encode_around(
	    enc, &enc->tok->normalized, normal, n_normal, at, &all, encode_normalized, err);
}

static void
append_ids(struct id_array *to, const struct id_array *from)
{
	size_t i;

	for (i = 0; i < from->n; i++)
		id_array_append(to, from->at[i]);
}

/* Does the text begin with the BOS that would be put before it? */
static bool
has_bos(const struct tokenizer *tok, const char *text, size_t n_bytes)
{
	const char *bos;
	size_t n_bos;

	if (tok->before.n != 1 || tok->before.at[0] != tok->bos_id)
		return false;
	bos = string_table_get(&tok->vocabulary.names, tok->bos_id, &n_bos);
	return bos != NULL && n_bos <= n_bytes && memcmp(text, bos, n_bos) == 0;
}

static enum t2l_status
encode_valid(
    struct encoding *enc, const char *text, size_t n_bytes, unsigned flags, struct t2l_error *err)
{
	enum t2l_status status;

	enc->parse_special = flags & TOKENIZER_PARSE_SPECIAL;
	enc->matcher = pattern_matcher_open();
	if (enc->matcher == NULL)
		return t2l_fail(err, T2L_ENOMEM, "out of memory encoding text");
	if ((flags & TOKENIZER_ADD_SPECIAL) &&
	    !(enc->parse_special && has_bos(enc->tok, text, n_bytes)))
		append_ids(&enc->ids, &enc->tok->before);
	status =
	    encode_around(enc, &enc->tok->raw, text, n_bytes, 0, &enc->guards, encode_raw, err);
	if (flags & TOKENIZER_ADD_SPECIAL)
		append_ids(&enc->ids, &enc->tok->after);
	if (status == T2L_OK && enc->ids.failed)
		status = t2l_fail(err, T2L_ENOMEM, "out of memory encoding text");
	return status;
}

enum t2l_status
tokenizer_encode(const struct tokenizer *tok, const char *text, size_t n_bytes, unsigned flags,
    int32_t **ids, size_t *n, struct t2l_error *err)
{
	return tokenizer_encode_guarded(
	    tok, text, n_bytes, flags, (struct text_guards){ 0 }, ids, n, err);
}

enum t2l_status
tokenizer_encode_guarded(const struct tokenizer *tok, const char *text, size_t n_bytes,
    unsigned flags, struct text_guards guards, int32_t **ids, size_t *n, struct t2l_error *err)
{
	struct encoding enc = { .tok = tok, .guards = guards };
	enum t2l_status status;
	char *repaired = NULL;

	if (n_bytes > LONGEST_TEXT)
		return t2l_fail(err, T2L_EINVAL, "a text of %zu bytes is longer than %u; split it",
		    n_bytes, LONGEST_TEXT);
	if (!utf8_valid(text, n_bytes)) {
		repaired = utf8_repair(text, n_bytes, &n_bytes);
		if (repaired == NULL)
			return t2l_fail(err, T2L_ENOMEM, "out of memory encoding text");
		text = repaired;
	}
	if (n_bytes >= LONG_TEXT)
		bpe_work_open_cache(&enc.bpe);
	status = encode_valid(&enc, text, n_bytes, flags, err);
	free(repaired);
	pattern_matcher_close(enc.matcher);
	normalizer_work_free(&enc.normalizer);
	pretokenizer_work_free(&enc.pretokenizer);
	bpe_work_free(&enc.bpe);
	buffer_free(&enc.wordpiece);
	if (status != T2L_OK) {
		id_array_free(&enc.ids);
		return status;
	}
	*ids = enc.ids.at;
	*n = enc.ids.n;
	return T2L_OK;
}

size_t
tokenizer_truncate(const struct tokenizer *tok, int32_t *ids, size_t n, size_t max)
{
	size_t n_after = tok->after.n;

	if (n <= max)
		return n;
	/* Only what the text really ends with is kept, and only if it fits. */
	if (n_after > 0 && n_after <= max &&
	    memcmp(ids + n - n_after, tok->after.at, n_after * sizeof *ids) == 0)
		memmove(ids + max - n_after, ids + n - n_after, n_after * sizeof *ids);
	return max;
}

/* ---- ids to text ---- */

static enum t2l_status
decoding_out_of_memory(struct t2l_error *err)
{
	return t2l_fail(err, T2L_ENOMEM, "out of memory decoding tokens");
}

enum t2l_status
tokenizer_decode(const struct tokenizer *tok, const int32_t *ids, size_t n, unsigned flags,
    char **text, size_t *n_bytes, struct t2l_error *err)
{
	struct decoder_state state = { .raw = flags & DETOKENIZE_RAW };
	struct buffer out = { 0 };
	size_t i;

	for (i = 0; i < n; i++)
		if (!(flags & DETOKENIZE_SKIP_SPECIAL) || !tokenizer_is_special(tok, ids[i]))
			decoder_feed(&tok->decoder, &state, &tok->vocabulary, ids[i], false, &out);
	decoder_flush(&tok->decoder, &state, &out);
	*n_bytes = out.n;
	*text = buffer_take(&out);
	return *text != NULL ? T2L_OK : decoding_out_of_memory(err);
}

struct token_stream {
	const struct tokenizer *tok;
	unsigned flags;
	struct decoder_state state;
	struct buffer out;
};

enum t2l_status
token_stream_open(
    const struct tokenizer *tok, unsigned flags, struct token_stream **out, struct t2l_error *err)
{
	struct token_stream *stream = calloc(1, sizeof *stream);

	if (stream == NULL)
		return decoding_out_of_memory(err);
	stream->tok = tok;
	stream->flags = flags;
	*out = stream;
	return T2L_OK;
}

static enum t2l_status
stream_result(
    struct token_stream *stream, const char **bytes, size_t *n_bytes, struct t2l_error *err)
{
	if (buffer_failed(&stream->out))
		return decoding_out_of_memory(err);
	*bytes = buffer_string(&stream->out);
	*n_bytes = stream->out.n;
	return T2L_OK;
}

enum t2l_status
token_stream_feed(struct token_stream *stream, int32_t id, const char **bytes, size_t *n_bytes,
    struct t2l_error *err)
{
	const struct tokenizer *tok = stream->tok;

	buffer_clear(&stream->out);
	if (!(stream->flags & DETOKENIZE_SKIP_SPECIAL) || !tokenizer_is_special(tok, id))
		decoder_feed(
		    &tok->decoder, &stream->state, &tok->vocabulary, id, true, &stream->out);
	return stream_result(stream, bytes, n_bytes, err);
}

enum t2l_status
token_stream_flush(
    struct token_stream *stream, const char **bytes, size_t *n_bytes, struct t2l_error *err)
{
	buffer_clear(&stream->out);
	decoder_flush(&stream->tok->decoder, &stream->state, &stream->out);
	return stream_result(stream, bytes, n_bytes, err);
}

void
token_stream_close(struct token_stream *stream)
{
	if (stream == NULL)
		return;
	buffer_free(&stream->state.pending);
	buffer_free(&stream->out);
	free(stream);
}

/* ---- what it knows ---- */

size_t
tokenizer_n_tokens(const struct tokenizer *tok)
{
	return tok->vocabulary.names.n;
}

size_t
tokenizer_n_model_tokens(const struct tokenizer *tok)
{
	const struct vocabulary *vocabulary = &tok->vocabulary;
	size_t n = vocabulary->names.n, n_bytes;

	for (; n > 0; n--) {
		const char *name = string_table_get(&vocabulary->names, (int32_t)n - 1, &n_bytes);

		if (name != NULL && string_index_find(&vocabulary->by_name, &vocabulary->names,
					name, n_bytes) == (int32_t)n - 1)
			break;
	}
	return n;
}

int32_t
tokenizer_bos(const struct tokenizer *tok)
{
	return tok->bos_id;
}

int32_t
tokenizer_pad(const struct tokenizer *tok)
{
	return tok->pad_id;
}

int32_t
tokenizer_unk(const struct tokenizer *tok)
{
	return tok->unk_id;
}

const int32_t *
tokenizer_eos(const struct tokenizer *tok, size_t *n)
{
	*n = tok->eos.n;
	return tok->eos.at;
}

bool
tokenizer_is_eos(const struct tokenizer *tok, int32_t id)
{
	size_t i;

	for (i = 0; i < tok->eos.n; i++)
		if (tok->eos.at[i] == id)
			return true;
	return false;
}

bool
tokenizer_is_special(const struct tokenizer *tok, int32_t id)
{
	return id >= 0 && (size_t)id < tok->n_special && tok->special[id];
}

int32_t
tokenizer_find(const struct tokenizer *tok, const char *token)
{
	const struct vocabulary *vocabulary = &tok->vocabulary;
	int32_t id;

	id = string_index_find(&tok->added_by_name, &vocabulary->names, token, strlen(token));
	if (id >= 0)
		return id;
	return string_index_find(&vocabulary->by_name, &vocabulary->names, token, strlen(token));
}

const char *
tokenizer_name(const struct tokenizer *tok, int32_t id)
{
	size_t n_bytes;

	return string_table_get(&tok->vocabulary.names, id, &n_bytes);
}

const char *
tokenizer_bytes(const struct tokenizer *tok, int32_t id, size_t *n_bytes)
{
	return string_table_get(&tok->vocabulary.pieces, id, n_bytes);
}

const char *
tokenizer_chat_template(const struct tokenizer *tok)
{
	return tok->chat_template;
}

size_t
tokenizer_max_length(const struct tokenizer *tok)
{
	return tok->max_length;
}
