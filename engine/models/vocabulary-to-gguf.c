/* vocabulary-to-gguf.c - a tokenizer -> the metadata of a GGUF file: what vocabulary-gguf.c reads.
 */
#include <stdlib.h>

#include "engine/models/convert.h"
#include "engine/text/tokenizer-save.h"

#define PREFIX "tokenizer.ggml."

static enum t2l_status
write_strings(struct gguf_writer *writer, const char *key, const struct token_text *texts, size_t n,
    struct t2l_error *err)
{
	const char **values = malloc((n + 1) * sizeof *values);
	size_t *sizes = malloc((n + 1) * sizeof *sizes);
	bool fine = values != NULL && sizes != NULL;

	for (size_t i = 0; fine && i < n; i++) {
		values[i] = texts[i].bytes;
		sizes[i] = texts[i].n_bytes;
	}
	if (fine)
		gguf_writer_strings(writer, key, values, sizes, n);
	free(values);
	free(sizes);
	return fine ? T2L_OK : t2l_fail(err, T2L_ENOMEM, "out of memory for the vocabulary");
}

static void
write_token(struct gguf_writer *writer, const char *key, int32_t id)
{
	if (id >= 0)
		gguf_writer_integer(writer, key, GGUF_U32, id);
}

static enum t2l_status
write_ends(const struct decoder_config *config, const struct tokenizer *tokenizer, const char *file,
    struct gguf_writer *writer, struct t2l_error *err)
{
	int32_t ids[2 * DECODER_MAX_EOS];
	size_t n;

	text_ends(config, tokenizer, ids, &n);
	if (n > N_END_KEYS)
		return t2l_fail(err, T2L_EUNSUPPORTED,
		    "%s: %zu tokens end a text (eos_token_id); a GGUF file has room for %d", file,
		    n, N_END_KEYS);
	for (size_t i = 0; i < n; i++)
		write_token(writer, gguf_end_keys[i], ids[i]);
	return T2L_OK;
}

static void
write_settings(const struct tokenizer_parts *parts, struct gguf_writer *writer)
{
	write_token(writer, PREFIX "unknown_token_id", parts->unk_id);
	write_token(writer, PREFIX "padding_token_id", parts->pad_id);
	gguf_writer_bool(writer, PREFIX "add_bos_token", parts->add_bos);
	gguf_writer_bool(writer, PREFIX "add_eos_token", parts->add_eos);
	if (parts->scores != NULL && !parts->add_space_prefix)
		gguf_writer_bool(writer, PREFIX "add_space_prefix", false);
	if (parts->chat_template != NULL)
		gguf_writer_string(writer, "tokenizer.chat_template", parts->chat_template);
}

static enum t2l_status
write_tokens(const struct tokenizer_parts *parts, struct gguf_writer *writer, struct t2l_error *err)
{
	enum t2l_status status;

	gguf_writer_string(writer, PREFIX "model", parts->model);
	gguf_writer_string(writer, PREFIX "pre", parts->pre);
	status = write_strings(writer, PREFIX "tokens", parts->tokens, parts->n_tokens, err);
	if (parts->scores != NULL)
		gguf_writer_array(
		    writer, PREFIX "scores", GGUF_F32, parts->scores, parts->n_tokens);
	gguf_writer_array(writer, PREFIX "token_type", GGUF_I32, parts->types, parts->n_tokens);
	if (status == T2L_OK && parts->merges != NULL)
		status =
		    write_strings(writer, PREFIX "merges", parts->merges, parts->n_merges, err);
	return status;
}

/* The key that the format has for it: what GGUF's own keys cannot say is there in full. */
static enum t2l_status
write_json(const struct tokenizer *tokenizer, struct gguf_writer *writer, struct t2l_error *err)
{
	struct buffer json = { 0 };
	enum t2l_status status = tokenizer_write_json(tokenizer, &json, err);

	if (status == T2L_OK)
		gguf_writer_string(writer, GGUF_TOKENIZER_JSON, buffer_string(&json));
	buffer_free(&json);
	return status;
}

enum t2l_status
text_write_gguf(const struct decoder_config *config, const struct tokenizer *tokenizer,
    const char *file, struct gguf_writer *writer, struct t2l_error *err)
{
	struct tokenizer_description description;
	enum t2l_status status;

	if (tokenizer == NULL) {
		gguf_writer_string(writer, PREFIX "model", "none");
		write_token(writer, PREFIX "bos_token_id", config->bos_id);
		return write_ends(config, NULL, file, writer, err);
	}
	status = tokenizer_describe(tokenizer, (size_t)config->vocab_size, &description, err);
	if (status != T2L_OK)
		return t2l_context(err, "%s", file);
	status = write_tokens(&description.parts, writer, err);
	if (status == T2L_OK) {
		int bos = tokenizer_bos(tokenizer);

		write_token(writer, PREFIX "bos_token_id", bos >= 0 ? bos : config->bos_id);
		status = write_ends(config, tokenizer, file, writer, err);
	}
	if (status == T2L_OK) {
		write_settings(&description.parts, writer);
		if (!description.exact)
			status = write_json(tokenizer, writer, err);
	}
	tokenizer_description_free(&description);
	return status;
}
