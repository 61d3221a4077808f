/* save-hf.c - writes a decoder as a Hugging Face model directory that transformers loads. */
#include <stdio.h>

#include "base/atomic-file.h"
#include "engine/formats/safetensors-writer.h"
#include "engine/models/convert.h"

#define PATH_SIZE 4096

static void
declare(void *writer, const char *name, enum dtype dtype, int n_dims, const int64_t *shape)
{
	safetensors_writer_declare(writer, name, dtype, n_dims, shape);
}

static enum t2l_status
put(void *writer, const void *bytes, size_t n_bytes, struct t2l_error *err)
{
	return safetensors_writer_bytes(writer, bytes, n_bytes, err);
}

static enum t2l_status
save_weights(struct weights_output *output, const char *path, struct t2l_error *err)
{
	struct safetensors_writer *writer = safetensors_writer_new(64);
	enum t2l_status status;

	if (writer == NULL)
		return t2l_fail(err, T2L_ENOMEM, "%s: out of memory", path);
	output->names = &decoder_names_hf;
	output->declare = declare;
	output->put = put;
	output->writer = writer;
	safetensors_writer_metadata(writer, "format", "pt");
	status = weights_declare(output, err);
	if (status == T2L_OK)
		status = safetensors_writer_begin(writer, path, err);
	if (status == T2L_OK)
		status = weights_write(output, err);
	if (status == T2L_OK)
		status = safetensors_writer_finish(writer, err);
	safetensors_writer_free(writer);
	return status;
}

enum t2l_status
save_text(const char *directory, const char *name, const struct buffer *text, struct t2l_error *err)
{
	char path[PATH_SIZE];

	if ((size_t)snprintf(path, sizeof path, "%s/%s", directory, name) >= sizeof path)
		return t2l_fail(err, T2L_EINVAL, "%.200s...: the path is too long", directory);
	if (buffer_failed(text))
		return t2l_fail(err, T2L_ENOMEM, "%s: out of memory", path);
	if (atomic_write(path, buffer_string(text), text->n) != 0)
		return t2l_fail_errno(err, "%s", path);
	return T2L_OK;
}

enum t2l_status
save_model_hf(struct weights_output *output, const char *directory, enum dtype dtype, int pad,
    struct t2l_error *err)
{
	char path[PATH_SIZE];
	struct buffer json = { 0 };
	enum t2l_status status;

	if ((size_t)snprintf(path, sizeof path, "%s/model.safetensors", directory) >= sizeof path)
		return t2l_fail(err, T2L_EINVAL, "%.200s...: the path is too long", directory);
	status = config_write_hf(&output->decoder->config, output->file, dtype, pad, &json, err);
	if (status == T2L_OK)
		status = save_weights(output, path, err);
	if (status == T2L_OK)
		status = save_text(directory, "config.json", &json, err);
	buffer_free(&json);
	return status;
}

enum t2l_status
decoder_save_hf(
    const struct decoder *decoder, const char *directory, enum dtype dtype, struct t2l_error *err)
{
	struct weights_output output = { .decoder = (struct decoder *)decoder,
		.file = directory,
		.type = quantisation_find(dtype_name(dtype)) };

	return save_model_hf(&output, directory, dtype, -1, err);
}
