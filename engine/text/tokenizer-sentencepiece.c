/* tokenizer-sentencepiece.c - reads a SentencePiece model (tokenizer.model) of the BPE kind. */

#include <string.h>

#include "engine/error.h"
#include "engine/text/protobuf.h"
#include "engine/text/token-list.h"

/* sentencepiece_model.proto (Kudo & Richardson 2018): ModelProto and the messages inside it. */
enum { MODEL_PIECES = 1, MODEL_TRAINER_SPEC = 2, MODEL_NORMALIZER_SPEC = 3 };
enum { PIECE_TEXT = 1, PIECE_SCORE = 2, PIECE_TYPE = 3 };
enum {
	TRAINER_MODEL_TYPE = 3,
	TRAINER_SUFFIX_SPACE = 24,
	TRAINER_UNK_ID = 40,
	TRAINER_BOS_ID = 41,
	TRAINER_EOS_ID = 42,
	TRAINER_PAD_ID = 43
};
enum {
	NORMALIZER_CHARSMAP = 2,
	NORMALIZER_DUMMY_PREFIX = 3,
	NORMALIZER_REMOVE_SPACES = 4,
	NORMALIZER_ESCAPE_SPACES = 5
};
enum { MODEL_TYPE_UNIGRAM = 1, MODEL_TYPE_BPE = 2 };

static enum t2l_status
damaged(struct t2l_error *err, const char *what)
{
	return t2l_fail(
	    err, T2L_EFORMAT, "%s is damaged or cut short; is this a SentencePiece model?", what);
}

static struct protobuf
inside(const struct protobuf_field *field)
{
	return (struct protobuf){ .bytes = field->bytes, .n = field->n };
}

/* The types are those of GGUF, which took them from here: normal, unknown, control, user-defined,
 * unused, byte. */
static enum t2l_status
read_piece(const struct protobuf_field *piece, struct token_list *list, struct t2l_error *err)
{
	struct protobuf message = inside(piece);
	struct protobuf_field field, text = { 0 };
	uint64_t type = TOKEN_NORMAL;
	float score = 0;

	while (protobuf_next(&message, &field)) {
		if (field.number == PIECE_TEXT && field.kind == PROTOBUF_BYTES)
			text = field;
		else if (field.number == PIECE_SCORE && field.kind == PROTOBUF_NUMBER)
			score = protobuf_float(&field);
		else if (field.number == PIECE_TYPE && field.kind == PROTOBUF_NUMBER)
			type = field.value;
	}
	if (message.damaged || text.bytes == NULL || text.n == 0)
		return damaged(err, "a piece of the vocabulary");
	if (type < TOKEN_NORMAL || type > TOKEN_BYTE)
		return t2l_fail(err, T2L_EFORMAT, "piece %zu has the unknown type %llu", list->n,
		    (unsigned long long)type);
	return token_list_set(list, (int64_t)list->n, (const char *)text.bytes, text.n, score,
	    (enum token_type)type, err);
}

static enum t2l_status
read_trainer(const struct protobuf_field *trainer, struct tokenizer_parts *parts,
    uint64_t *model_type, struct t2l_error *err)
{
	const struct {
		uint32_t number;
		int32_t *id;
	} ids[] = {
		{ TRAINER_UNK_ID, &parts->unk_id },
		{ TRAINER_BOS_ID, &parts->bos_id },
		{ TRAINER_EOS_ID, &parts->eos_id },
		{ TRAINER_PAD_ID, &parts->pad_id },
	};
	struct protobuf message = inside(trainer);
	struct protobuf_field field;

	while (protobuf_next(&message, &field)) {
		if (field.kind != PROTOBUF_NUMBER)
			continue;
		if (field.number == TRAINER_MODEL_TYPE)
			*model_type = field.value;
		if (field.number == TRAINER_SUFFIX_SPACE && field.value != 0)
			return t2l_fail(err, T2L_EUNSUPPORTED,
			    "blanks at the ends of words (treat_whitespace_as_suffix) are not "
			    "supported; use the model's tokenizer.json");
		for (size_t i = 0; i < sizeof ids / sizeof *ids; i++)
			if (field.number == ids[i].number)
				*ids[i].id = (int32_t)(uint32_t)field.value;
	}
	return message.damaged ? damaged(err, "the trainer's settings") : T2L_OK;
}

static enum t2l_status
read_normalizer_spec(
    const struct protobuf_field *spec, struct tokenizer_parts *parts, struct t2l_error *err)
{
	struct protobuf message = inside(spec);
	bool removes_spaces = true, escapes = true, maps = false;
	struct protobuf_field field;

	while (protobuf_next(&message, &field)) {
		if (field.number == NORMALIZER_CHARSMAP && field.kind == PROTOBUF_BYTES)
			maps = field.n > 0;
		else if (field.number == NORMALIZER_DUMMY_PREFIX)
			parts->add_space_prefix = field.value != 0;
		else if (field.number == NORMALIZER_REMOVE_SPACES)
			removes_spaces = field.value != 0;
		else if (field.number == NORMALIZER_ESCAPE_SPACES)
			escapes = field.value != 0;
	}
	if (message.damaged)
		return damaged(err, "the normaliser's settings");
	if (maps || removes_spaces || !escapes)
		return t2l_fail(err, T2L_EUNSUPPORTED,
		    "%s is not supported; use the model's "
		    "tokenizer.json",
		    maps	     ? "a normaliser other than 'identity'"
		    : removes_spaces ? "removing extra white space"
				     : "text without escaped blanks");
	return T2L_OK;
}

enum t2l_status
read_sentencepiece(const char *bytes, size_t n_bytes, struct token_list *list,
    struct tokenizer_parts *parts, struct t2l_error *err)
{
	struct protobuf message = { .bytes = (const uint8_t *)bytes, .n = n_bytes };
	uint64_t model_type = MODEL_TYPE_UNIGRAM; /* proto2's default */
	enum t2l_status status = T2L_OK;
	struct protobuf_field field;
	bool normalizes = false;

	/* proto2's defaults again */
	parts->model = "llama";
	parts->unk_id = 0;
	parts->bos_id = 1;
	parts->eos_id = 2;
	parts->pad_id = parts->eot_id = -1;
	parts->add_bos = parts->add_space_prefix = true;
	while (status == T2L_OK && protobuf_next(&message, &field)) {
		if (field.kind != PROTOBUF_BYTES)
			continue;
		if (field.number == MODEL_PIECES)
			status = read_piece(&field, list, err);
		else if (field.number == MODEL_TRAINER_SPEC)
			status = read_trainer(&field, parts, &model_type, err);
		else if (field.number == MODEL_NORMALIZER_SPEC) {
			status = read_normalizer_spec(&field, parts, err);
			normalizes = true;
		}
	}
	if (status != T2L_OK)
		return status;
	if (message.damaged || list->n == 0 || !normalizes)
		return damaged(err, "the vocabulary");
	if (model_type != MODEL_TYPE_BPE)
		return t2l_fail(err, T2L_EUNSUPPORTED,
		    "a SentencePiece model of type %s is not supported (BPE is); use the model's "
		    "tokenizer.json",
		    model_type == MODEL_TYPE_UNIGRAM ? "unigram" : "word or char");
	return T2L_OK;
}
