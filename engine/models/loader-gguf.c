/* loader-gguf.c - a GGUF file: metadata, tensors, vocabulary. */
#include "engine/models/loader.h"
#include "engine/text/tokenizer.h"

enum t2l_status
load_gguf(const char *path, struct base_model *model, struct t2l_error *err)
{
	enum t2l_status status = gguf_open(path, &model->source->gguf, err);

	if (status == T2L_OK)
		status = config_read_gguf(model->source->gguf, &model->decoder.config, err);
	if (status != T2L_OK)
		return status;
	if (decoder_prepare(&model->decoder, err) != T2L_OK)
		return t2l_context(err, "%s", path);
	status = decoder_bind(&model->decoder, model->source, &decoder_names_gguf, err);
	if (status == T2L_OK)
		status = tokenizer_read_gguf(model->source->gguf, &model->tokenizer, err);
	return status;
}
