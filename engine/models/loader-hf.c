/* loader-hf.c - a Hugging Face model directory: config.json, safetensors, perhaps a tokenizer. */
#include "engine/models/loader.h"
#include "engine/text/tokenizer.h"

/* A directory without any tokenizer file runs on token ids alone. */
enum t2l_status
load_hf(const char *directory, struct base_model *model, struct t2l_error *err)
{
	enum t2l_status status = config_read_hf(directory, &model->decoder.config, err);

	if (status != T2L_OK)
		return status;
	if (decoder_prepare(&model->decoder, err) != T2L_OK)
		return t2l_context(err, "%s/config.json", directory);
	status = safetensors_open(directory, &model->source->safetensors, err);
	if (status == T2L_OK)
		status = decoder_bind(&model->decoder, model->source, &decoder_names_hf, err);
	if (status == T2L_OK && tokenizer_is_in(directory))
		status = tokenizer_open_hf(directory, &model->tokenizer, err);
	return status;
}
