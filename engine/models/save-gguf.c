/* save-gguf.c - writes a base model as a GGUF file: keys, divisors, weights, vocabulary. */
#include "engine/models/convert.h"

static void
declare(void *writer, const char *name, enum dtype dtype, int n_dims, const int64_t *shape)
{
	gguf_writer_declare(writer, name, dtype, n_dims, shape);
}

static enum t2l_status
put(void *writer, const void *bytes, size_t n_bytes, struct t2l_error *err)
{
	return gguf_writer_bytes(writer, bytes, n_bytes, err);
}

/* general.file_type (llama.h, enum llama_ftype) of files whose tensors were left as they are. */
static int32_t
file_type_of(const struct weights_output *output, const struct base_model *model)
{
	const struct quantisation *type = output->type;

	if (type == NULL) {
		type = quantisation_find(model->facts.dtype);
		if (type == NULL || dtype_is_quantised(type->dtype))
			type = quantisation_find("f16");
	}
	return type->file_type;
}

static enum t2l_status
write_keys(const struct weights_output *output, const struct base_model *model,
    struct gguf_writer *writer, struct settings_tensor tensors[N_SETTINGS_TENSORS],
    struct t2l_error *err)
{
	const struct decoder_config *config = &model->decoder.config;
	enum t2l_status status = config_write_gguf(config, output->file, writer, tensors, err);

	if (status != T2L_OK)
		return status;
	gguf_writer_string(writer, "general.name", model->facts.name);
	gguf_writer_integer(writer, "general.file_type", GGUF_U32, file_type_of(output, model));
	gguf_writer_integer(writer, "general.quantization_version", GGUF_U32, 2);
	return text_write_gguf(config, model->tokenizer, output->file, writer, err);
}

static void
declare_settings(struct gguf_writer *writer, const struct settings_tensor *tensors)
{
	for (int i = 0; i < N_SETTINGS_TENSORS && tensors[i].name != NULL; i++)
		gguf_writer_declare(
		    writer, tensors[i].name, DTYPE_F32, 1, &(int64_t){ tensors[i].n });
}

static enum t2l_status
write_settings(
    struct gguf_writer *writer, const struct settings_tensor *tensors, struct t2l_error *err)
{
	enum t2l_status status = T2L_OK;

	for (int i = 0; i < N_SETTINGS_TENSORS && tensors[i].name != NULL && status == T2L_OK; i++)
		status = gguf_writer_floats(writer, tensors[i].values, tensors[i].n, err);
	return status;
}

enum t2l_status
save_model_gguf(struct weights_output *output, const struct base_model *model, const char *path,
    struct t2l_error *err)
{
	struct settings_tensor tensors[N_SETTINGS_TENSORS];
	struct gguf_writer *writer = gguf_writer_new();
	enum t2l_status status;

	if (writer == NULL)
		return t2l_fail(err, T2L_ENOMEM, "%s: out of memory", path);
	output->names = &decoder_names_gguf;
	output->declare = declare;
	output->put = put;
	output->writer = writer;
	status = write_keys(output, model, writer, tensors, err);
	if (status == T2L_OK) {
		declare_settings(writer, tensors);
		status = weights_declare(output, err);
	}
	if (status == T2L_OK)
		status = gguf_writer_begin(writer, path, err);
	if (status == T2L_OK)
		status = write_settings(writer, tensors, err);
	if (status == T2L_OK)
		status = weights_write(output, err);
	if (status == T2L_OK)
		status = gguf_writer_finish(writer, err);
	gguf_writer_free(writer);
	return status;
}
