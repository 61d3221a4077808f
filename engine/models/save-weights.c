/* save-weights.c - a decoder's weights under another file's names, in its order and types. */
#include <string.h>

#include "engine/models/convert.h"

/* GGUF's names stand in a table, Hugging Face's in the families. */
static bool
is_gguf(const struct weights_output *output)
{
	return output->names->layers != NULL;
}

static bool
is_stacked(const struct weight_slot *slot)
{
	return slot->n_slabs > 0 && !slot->apart;
}

/* GGUF keeps vectors and routers in f32, as llama.cpp does. Experts that are one tensor are of one
 * type. */
static enum dtype
dtype_of(const struct weights_output *output, const struct weight_slot *slot)
{
	const struct decoder_config *config = &output->decoder->config;
	enum dtype from = (*(slot->tensor - (is_stacked(slot) ? slot->slab : 0)))->dtype;

	if (is_gguf(output) && (slot->rows == 0 || strstr(slot->name, "ffn_gate_inp") != NULL))
		return DTYPE_F32;
	if (output->type == NULL)
		return dtype_is_quantised(from) ? DTYPE_F16 : from;
	if (!is_gguf(output))
		return output->type->dtype;
	return quantisation_choose(output->type, slot->name, from, is_stacked(slot) ? 3 : 2,
	    slot->cols, config->n_layers, config->tied_embeddings);
}

static enum t2l_status
declare(void *user, const struct weight_slot *slot, struct t2l_error *err)
{
	struct weights_output *output = user;
	const int64_t shape[3] = { slot->n_slabs, slot->rows, slot->cols };
	const int n_dims = slot->rows == 0 ? 1 : is_stacked(slot) ? 3 : 2;

	(void)err;
	if (is_stacked(slot) && slot->slab > 0)
		return T2L_OK;
	output->all++;
	output->declare(
	    output->writer, slot->name, dtype_of(output, slot), n_dims, shape + 3 - n_dims);
	return T2L_OK;
}

static enum row_order
order_of(const struct weights_output *output, const struct weight_slot *slot)
{
	const struct decoder_config *config = &output->decoder->config;
	const bool to_gguf = is_gguf(output) && strcmp(config->kind->gguf, "llama") == 0;

	if (slot->turned_heads == 0 || config->rope_neighbours == to_gguf)
		return ROWS_STAY;
	return to_gguf ? ROWS_TO_GGUF : ROWS_TO_HF;
}

static enum t2l_status
report(struct weights_output *output, const struct weight_slot *slot, enum dtype to,
    struct t2l_error *err)
{
	const struct t2l_quantize_options *options = output->options;
	struct t2l_quantize_report report = { .tensor = slot->name,
		.from = dtype_name((*slot->tensor)->dtype),
		.done = ++output->done,
		.all = output->all };

	recode_report(&output->loss, to, &report);
	output->loss = (struct recode_loss){ 0 };
	if (options == NULL || options->on_tensor == NULL ||
	    options->on_tensor(options->user, &report))
		return T2L_OK;
	return t2l_fail(err, T2L_ECANCELLED, "%s: cancelled", output->file);
}

/* One tensor is in memory at a time, but what was read stays until the system wants it back. */
static void
forget(const struct model_source *source, const struct recode_input *input)
{
	size_t n_bytes = dtype_row_bytes(input->dtype, input->rows * input->cols);

	if (source != NULL && source->gguf != NULL)
		gguf_forget_bytes(source->gguf, input->stored, n_bytes);
	else if (source != NULL)
		safetensors_forget_bytes(source->safetensors, input->stored, n_bytes);
}

static enum t2l_status
write(void *user, const struct weight_slot *slot, struct t2l_error *err)
{
	struct weights_output *output = user;
	const struct decoder_config *config = &output->decoder->config;
	const float offset = is_gguf(output) ? 0 : config->kind->norm_offset;
	struct recode_input input = { .file = output->file,
		.name = slot->name,
		.dtype = (*slot->tensor)->dtype,
		.stored = (*slot->tensor)->data,
		.rows = slot->rows > 0 ? slot->rows : 1,
		.cols = slot->cols,
		.order = order_of(output, slot),
		.head = slot->turned_heads,
		/* Gemma's 1 is in a GGUF file's numbers. */
		.added = slot->norm ? config->norm_offset - offset : 0 };
	const enum dtype to = dtype_of(output, slot);
	enum t2l_status status;

	if (slot->rows == 0 && input.order != ROWS_STAY) {
		input.rows = slot->cols; /* a bias: elements move alone */
		input.cols = 1;
	}
	status = recode_tensor(
	    output->recode, &input, to, output->put, output->writer, &output->loss, err);
	forget(output->source, &input);
	if (status != T2L_OK || (is_stacked(slot) && slot->slab + 1 < slot->n_slabs))
		return status;
	return report(output, slot, to, err);
}

enum t2l_status
weights_declare(struct weights_output *output, struct t2l_error *err)
{
	return decoder_each_weight(output->decoder, output->names, declare, output, err);
}

enum t2l_status
weights_write(struct weights_output *output, struct t2l_error *err)
{
	enum t2l_status status;

	output->recode = recode_new();
	status = output->recode == NULL
		     ? t2l_fail(err, T2L_ENOMEM, "%s: out of memory", output->file)
		     : decoder_each_weight(output->decoder, output->names, write, output, err);
	recode_free(output->recode);
	output->recode = NULL;
	return status;
}
