/* loader-hf.c - a Hugging Face model directory: config.json, safetensors, perhaps a tokenizer. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "engine/models/loader.h"
#include "engine/text/tokenizer.h"

/* A directory without any tokenizer file runs on token ids alone. */
static bool
has_tokenizer(const char *directory)
{
	static const char *const files[] = { "tokenizer.json", "tokenizer.model", "vocab.txt" };
	char path[4096];

	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		snprintf(path, sizeof path, "%s/%s", directory, files[i]);
		if (access(path, F_OK) == 0)
			return true;
	}
	return false;
}

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
	if (status == T2L_OK && has_tokenizer(directory))
		status = tokenizer_open_hf(directory, &model->tokenizer, err);
	return status;
}
