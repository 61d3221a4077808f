/* vocabulary-to-hf.c - a tokenizer -> the files that a Hugging Face directory has for it. */
#include <string.h>

#include "engine/models/convert.h"
#include "engine/text/tokenizer-save.h"

static void
put_token(struct buffer *json, const char *key, const struct tokenizer *tokenizer, int32_t id)
{
	const char *name = id >= 0 ? tokenizer_name(tokenizer, id) : NULL;

	buffer_printf(json, "  \"%s\": ", key);
	if (name != NULL)
		buffer_json_string(json, name, strlen(name));
	else
		buffer_text(json, "null");
	buffer_text(json, ",\n");
}

/* The class that takes tokenizer.json as it is; those named for a family add to it. */
static void
put_tokenizer_config(
    struct buffer *json, const struct tokenizer *tokenizer, const struct decoder_config *config)
{
	const char *template = tokenizer_chat_template(tokenizer);
	size_t n_eos = 0;
	const int32_t *eos = tokenizer_eos(tokenizer, &n_eos);

	buffer_text(json, "{\n");
	put_token(json, "bos_token", tokenizer, tokenizer_bos(tokenizer));
	put_token(json, "eos_token", tokenizer, n_eos > 0 ? eos[0] : -1);
	put_token(json, "unk_token", tokenizer, tokenizer_unk(tokenizer));
	put_token(json, "pad_token", tokenizer, tokenizer_pad(tokenizer));
	if (template != NULL) {
		buffer_text(json, "  \"chat_template\": ");
		buffer_json_string(json, template, strlen(template));
		buffer_text(json, ",\n");
	}
	buffer_printf(json,
	    "  \"clean_up_tokenization_spaces\": false,\n  \"model_max_length\": %d,\n"
	    "  \"tokenizer_class\": \"PreTrainedTokenizerFast\"\n}\n",
	    config->context_length);
}

enum t2l_status
text_save_hf(const struct decoder_config *config, const struct tokenizer *tokenizer,
    const char *directory, struct t2l_error *err)
{
	struct buffer json = { 0 };
	enum t2l_status status = tokenizer_write_json(tokenizer, &json, err);

	if (status == T2L_OK)
		status = save_text(directory, "tokenizer.json", &json, err);
	buffer_clear(&json);
	put_tokenizer_config(&json, tokenizer, config);
	if (status == T2L_OK)
		status = save_text(directory, "tokenizer_config.json", &json, err);
	buffer_free(&json);
	return status;
}
