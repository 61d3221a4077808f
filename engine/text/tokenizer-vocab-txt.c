/* tokenizer-vocab-txt.c - reads a BERT vocabulary of one token a line. */

#include <string.h>

#include "engine/error.h"
#include "engine/text/tokenizer-json.h"

static enum t2l_status
read_lines(struct tokenizer *tok, const char *vocab, size_t n_bytes, struct t2l_error *err)
{
	const char *line = vocab, *end = vocab + n_bytes, *stop;
	enum t2l_status status;
	size_t n_lines = 0, i;
	int64_t id;

	for (i = 0; i < n_bytes; i++)
		n_lines += vocab[i] == '\n';
	status = pipeline_open_vocabulary(tok, n_lines + 1, err);
	for (id = 0; status == T2L_OK && line < end; id++, line = stop + 1) {
		stop = memchr(line, '\n', (size_t)(end - line));
		if (stop == NULL)
			stop = end;
		n_bytes = (size_t)(stop - line);
		if (n_bytes > 0 && line[n_bytes - 1] == '\r')
			n_bytes--;
		status = pipeline_add_token(tok, id, line, n_bytes, err);
	}
	return status;
}

/* [PAD] [UNK] [CLS] [SEP] [MASK]: found in texts, and the last but one around them. */
static enum t2l_status
add_bert_specials(struct tokenizer *tok, struct t2l_error *err)
{
	static const char *const names[] = { "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]" };
	enum t2l_status status = pipeline_open_added(tok, 5, err);
	int32_t id;
	size_t i;

	for (i = 0; status == T2L_OK && i < 5; i++) {
		id = tokenizer_find(tok, names[i]);
		if (id >= 0)
			status = pipeline_add_added(tok, id, names[i], strlen(names[i]),
			    (struct added_token){ .special = true }, false, err);
	}
	if (status != T2L_OK)
		return status;
	tok->pad_id = tokenizer_find(tok, "[PAD]");
	tok->unk_id = tokenizer_find(tok, "[UNK]");
	if (tokenizer_find(tok, "[CLS]") < 0 || tokenizer_find(tok, "[SEP]") < 0 || tok->unk_id < 0)
		return t2l_fail(
		    err, T2L_EFORMAT, "no [CLS], [SEP] or [UNK] in the vocabulary; is it BERT's?");
	id_array_append(&tok->before, tokenizer_find(tok, "[CLS]"));
	id_array_append(&tok->after, tokenizer_find(tok, "[SEP]"));
	return tok->before.failed || tok->after.failed
		   ? t2l_fail(err, T2L_ENOMEM, "out of memory for the tokenizer")
		   : T2L_OK;
}

enum t2l_status
set_up_bert(struct tokenizer *tok, bool lowercase, struct t2l_error *err)
{
	enum t2l_status status;

	tok->kind = MODEL_WORDPIECE;
	strcpy(tok->wordpiece.prefix, "##");
	tok->wordpiece.max_characters = 100;
	tok->decoder.kind = DECODER_WORDS;
	tok->decoder.cleanup = true;
	strcpy(tok->decoder.prefix, "##");
	status = add_bert_normalizer(&tok->normalizer, true, true, lowercase, lowercase, err);
	if (status == T2L_OK)
		status = add_bert_pretokenizer(&tok->pretokenizer, err);
	if (status == T2L_OK)
		status = pipeline_finish_model(tok, err);
	if (status == T2L_OK)
		status = add_bert_specials(tok, err);
	tok->wordpiece.unk_id = tok->unk_id;
	return status;
}

enum t2l_status
tokenizer_read_wordpiece(const char *vocab, size_t n_bytes, bool lowercase, const char *name,
    struct tokenizer **out, struct t2l_error *err)
{
	struct tokenizer *tok = pipeline_new();
	struct t2l_error inner = { 0 };
	enum t2l_status status;

	if (tok == NULL)
		return t2l_fail(err, T2L_ENOMEM, "%s: out of memory", name);
	status = read_lines(tok, vocab, n_bytes, &inner);
	if (status == T2L_OK)
		status = set_up_bert(tok, lowercase, &inner);
	if (status != T2L_OK) {
		tokenizer_close(tok);
		return t2l_fail(err, status, "%s: %s", name, inner.message);
	}
	*out = tok;
	return T2L_OK;
}
