/* weights.c - finds a model's tensors in its file and checks that they are what is expected. */
#include "engine/models/weights.h"

#include <math.h>
#include <stdlib.h>

struct model_source *
model_source_new(void)
{
	struct model_source *source = calloc(1, sizeof *source);

	if (source == NULL)
		return NULL;
	source->memory = arena_create();
	if (source->memory == NULL) {
		free(source);
		return NULL;
	}
	return source;
}

void
model_source_close(struct model_source *source)
{
	if (source == NULL)
		return;
	safetensors_close(source->safetensors);
	gguf_close(source->gguf);
	arena_free(source->memory);
	free(source);
}

const char *
model_source_path(const struct model_source *source)
{
	return source->gguf != NULL ? gguf_path(source->gguf)
				    : safetensors_path(source->safetensors);
}

bool
weights_have(const struct model_source *source, const char *name)
{
	return source->gguf != NULL ? gguf_find(source->gguf, name) != NULL
				    : safetensors_find(source->safetensors, name) != NULL;
}

static enum t2l_status
find(const struct model_source *source, const char *name, struct tensor *out, struct t2l_error *err)
{
	enum t2l_status status;

	if (!weights_have(source, name))
		return t2l_fail(err, T2L_EFORMAT,
		    "%s: tensor '%s' is missing; the file is incomplete or does not fit its "
		    "configuration",
		    model_source_path(source), name);
	status = source->gguf != NULL ? gguf_tensor(source->gguf, name, out, err)
				      : safetensors_tensor(source->safetensors, name, out, err);
	if (status == T2L_OK && !dtype_is_weight(out->dtype))
		return t2l_fail(err, T2L_EUNSUPPORTED,
		    "%s: tensor '%s' is %s; floats and quantised types are supported",
		    model_source_path(source), name, dtype_name(out->dtype));
	return status;
}

/* The slot's matrix of a tensor that holds several. */
static enum t2l_status
take_slab(const struct model_source *source, const struct weight_slot *slot, struct tensor *found,
    struct t2l_error *err)
{
	size_t slab_bytes;

	if (found->n_dims != 3 || found->shape[0] != slot->n_slabs)
		return t2l_fail(err, T2L_EFORMAT,
		    "%s: tensor '%s' has %d dimensions and %lld matrices; expected %d matrices",
		    model_source_path(source), slot->name, found->n_dims,
		    (long long)(found->n_dims == 3 ? found->shape[0] : 1), slot->n_slabs);
	found->n_dims = 2;
	found->shape[0] = found->shape[1];
	found->shape[1] = found->shape[2];
	slab_bytes = (size_t)found->shape[0] * dtype_row_bytes(found->dtype, found->shape[1]);
	found->data = (char *)found->data + (size_t)slot->slab * slab_bytes;
	return T2L_OK;
}

static enum t2l_status
check_finite(const struct model_source *source, const char *name, const float *values, int64_t n,
    struct t2l_error *err)
{
	for (int64_t i = 0; i < n; i++)
		if (!isfinite(values[i]))
			return t2l_fail(err, T2L_EFORMAT,
			    "%s: tensor '%s': number %lld is %s; the file is damaged",
			    model_source_path(source), name, (long long)i,
			    isnan(values[i]) ? "not a number (NaN)" : "infinite");
	return T2L_OK;
}

static enum t2l_status
check_shape(const struct model_source *source, const struct weight_slot *slot,
    const struct tensor *found, struct t2l_error *err)
{
	bool is_vector = slot->rows == 0;

	if (found->n_dims == (is_vector ? 1 : 2) && tensor_cols(found) == slot->cols &&
	    (is_vector || tensor_rows(found) == slot->rows))
		return T2L_OK;
	if (is_vector)
		return t2l_fail(err, T2L_EFORMAT,
		    "%s: tensor '%s' has %d dimensions and %lld elements; expected a vector of "
		    "%lld",
		    model_source_path(source), slot->name, found->n_dims, (long long)tensor_count(found),
		    (long long)slot->cols);
	return t2l_fail(err, T2L_EFORMAT,
	    "%s: tensor '%s' is [%lld, %lld] (of %d dimensions); expected [%lld, %lld]",
	    model_source_path(source), slot->name, (long long)tensor_rows(found),
	    (long long)tensor_cols(found), found->n_dims, (long long)slot->rows,
	    (long long)slot->cols);
}

enum t2l_status
weights_bind(
    const struct model_source *source, const struct weight_slot *slot, struct t2l_error *err)
{
	struct tensor found, *kept;
	float *values;
	enum t2l_status status = find(source, slot->name, &found, err);

	if (status == T2L_OK && slot->n_slabs > 0 && !slot->apart)
		status = take_slab(source, slot, &found, err);
	if (status == T2L_OK)
		status = check_shape(source, slot, &found, err);
	if (status != T2L_OK)
		return status;
	kept = arena_alloc(source->memory, sizeof *kept);
	if (kept == NULL)
		return t2l_fail(err, T2L_ENOMEM, "%s: out of memory", model_source_path(source));
	*kept = found;
	if (slot->rows == 0 && found.dtype != DTYPE_F32) {
		values = arena_alloc(source->memory, (size_t)slot->cols * sizeof *values);
		if (values == NULL)
			return t2l_fail(err, T2L_ENOMEM, "%s: out of memory", model_source_path(source));
		dtype_to_f32(found.dtype, found.data, values, slot->cols);
		kept->dtype = DTYPE_F32;
		kept->data = values;
	}
	*slot->tensor = kept;
	return slot->rows > 0 ? T2L_OK
			      : check_finite(source, slot->name, kept->data, slot->cols, err);
}
