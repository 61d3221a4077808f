/* weights-save.c - a network's weights as one safetensors file. */
#include "engine/models/weights.h"

#include "engine/formats/safetensors-writer.h"

#define PIECE 1024 /* whole blocks of every dtype */

struct output {
	struct safetensors_writer *writer;
	enum dtype dtype;
};

static enum t2l_status
declare(void *user, const struct weight_slot *slot, struct t2l_error *err)
{
	struct output *output = user;
	const struct tensor *tensor = *slot->tensor;

	(void)err;
	safetensors_writer_declare(
	    output->writer, slot->name, output->dtype, tensor->n_dims, tensor->shape);
	return T2L_OK;
}

static enum t2l_status
write_values(void *user, const struct weight_slot *slot, struct t2l_error *err)
{
	struct output *output = user;
	const struct tensor *tensor = *slot->tensor;
	enum t2l_status status = T2L_OK;
	float values[PIECE];

	/* Rows are whole blocks and lie back to back: the tensor is one run of them. */
	for (int64_t i = 0; i < tensor_count(tensor) && status == T2L_OK; i += PIECE) {
		int64_t left = tensor_count(tensor) - i, n = left < PIECE ? left : PIECE;

		dtype_to_f32(tensor->dtype,
		    (const char *)tensor->data + (i > 0 ? dtype_row_bytes(tensor->dtype, i) : 0),
		    values, n);
		status = safetensors_writer_floats(output->writer, values, n, output->dtype, err);
	}
	return status;
}

enum t2l_status
weights_save(const char *path, enum dtype dtype,
    enum t2l_status (*each)(void *network, weight_visit *visit, void *user, struct t2l_error *err),
    void *network, struct t2l_error *err)
{
	struct output output = { safetensors_writer_new(64), dtype };
	enum t2l_status status;

	if (output.writer == NULL)
		return t2l_fail(err, T2L_ENOMEM, "%s: out of memory", path);
	safetensors_writer_metadata(output.writer, "format", "pt");
	status = each(network, declare, &output, err);
	if (status == T2L_OK)
		status = safetensors_writer_begin(output.writer, path, err);
	if (status == T2L_OK)
		status = each(network, write_values, &output, err);
	if (status == T2L_OK)
		status = safetensors_writer_finish(output.writer, err);
	safetensors_writer_free(output.writer);
	return status;
}
