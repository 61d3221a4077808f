/* frozen-base.c - keeps what is only multiplied, and rounded for that, in half the memory. */

#include "engine/training/frozen-base.h"

#include "engine/error.h"
#include "engine/models/decoder-weights.h"

/* A matrix that only products read. */
static bool
can_be_narrow(const struct base_model *base, const struct weight_slot *slot)
{
	return slot->rows > 0 && (*slot->tensor)->dtype == DTYPE_F32 &&
	       *slot->tensor != base->decoder.embedding;
}

static enum t2l_status
narrow(void *user, const struct weight_slot *slot, struct t2l_error *err)
{
	struct base_model *base = user;
	const struct safetensors *file = base->source->safetensors;
	const struct tensor *wide = *slot->tensor;
	struct arena *memory = base->source->memory;
	struct tensor *kept;

	if (!can_be_narrow(base, slot))
		return T2L_OK;
	kept = arena_alloc(memory, sizeof *kept);
	if (kept != NULL) {
		*kept = *wide;
		kept->dtype = DTYPE_BF16;
		kept->data = arena_alloc(memory,
		    (size_t)tensor_rows(wide) * dtype_row_bytes(DTYPE_BF16, tensor_cols(wide)));
	}
	if (kept == NULL || kept->data == NULL)
		return t2l_fail(
		    err, T2L_ENOMEM, "training: no memory for '%s' in bf16", slot->name);
	dtype_from_f32(DTYPE_BF16, wide->data, kept->data, tensor_count(wide));
	*slot->tensor = kept;
	if (file != NULL && safetensors_find(file, slot->name) != NULL)
		safetensors_forget(file, safetensors_find(file, slot->name));
	return T2L_OK;
}

enum t2l_status
frozen_base_narrow(struct base_model *base, struct t2l_error *err)
{
	return decoder_each_weight(&base->decoder, &decoder_names_hf, narrow, base, err);
}

/* ---- sizes ---- */

struct sizes {
	const struct base_model *base;
	struct t2l_train_estimate *estimate;
};

static enum t2l_status
add_size(void *user, const struct weight_slot *slot, struct t2l_error *err)
{
	const struct sizes *sizes = user;
	const struct tensor *tensor = *slot->tensor;
	uint64_t bytes =
	    (uint64_t)tensor_rows(tensor) * dtype_row_bytes(tensor->dtype, tensor_cols(tensor));

	(void)err;
	sizes->estimate->base += bytes;
	sizes->estimate->base_as_bf16 += can_be_narrow(sizes->base, slot) ? bytes / 2 : bytes;
	return T2L_OK;
}

void
frozen_base_estimate(
    struct base_model *base, uint64_t mapped_bytes, struct t2l_train_estimate *estimate)
{
	struct sizes sizes = { base, estimate };

	decoder_each_weight(&base->decoder, &decoder_names_hf, add_size, &sizes, NULL);
	/* Narrowing saved as much as it left, and that is in memory already. */
	mapped_bytes += base->facts.weight_bytes - estimate->base;
	estimate->rest -= estimate->rest < mapped_bytes ? estimate->rest : mapped_bytes;
}
