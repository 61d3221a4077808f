/* weights-check.c - reads every weight of a model and names the first that is no number. */
#include <math.h>

#include "engine/models/decoder-weights.h"
#include "engine/models/model.h"

#define PIECE 4096 /* whole blocks of every dtype */

struct check {
	const char *path;
	float values[PIECE];
};

static enum t2l_status
check_row(struct check *check, const struct weight_slot *slot, int64_t r, struct t2l_error *err)
{
	const struct tensor *tensor = *slot->tensor;
	int64_t cols = tensor_cols(tensor);
	const char *row =
	    (const char *)tensor->data + (size_t)r * dtype_row_bytes(tensor->dtype, cols);

	for (int64_t c = 0; c < cols; c += PIECE) {
		int64_t n = cols - c < PIECE ? cols - c : PIECE;

		dtype_to_f32(tensor->dtype, row + (c > 0 ? dtype_row_bytes(tensor->dtype, c) : 0),
		    check->values, n);
		for (int64_t i = 0; i < n; i++)
			if (!isfinite(check->values[i]))
				return t2l_fail(err, T2L_EFORMAT,
				    "%s: tensor '%s': row %lld, column %lld is %s; the file is "
				    "damaged",
				    check->path, slot->name,
				    (long long)(r + slot->slab * tensor_rows(tensor)),
				    (long long)(c + i),
				    isnan(check->values[i]) ? "not a number (NaN)" : "infinite");
	}
	return T2L_OK;
}

static enum t2l_status
check_weight(void *user, const struct weight_slot *slot, struct t2l_error *err)
{
	int64_t rows = slot->rows > 0 ? slot->rows : 1;
	enum t2l_status status = T2L_OK;

	for (int64_t r = 0; r < rows && status == T2L_OK; r++)
		status = check_row(user, slot, r, err);
	return status;
}

enum t2l_status
t2l_model_check(const struct t2l_model *model, struct t2l_error *err)
{
	struct base_model *base = model->base;
	struct check check = { .path = base->facts.name };

	if (base->source == NULL)
		return t2l_fail(
		    err, T2L_EINVAL, "model '%s' was opened for its text alone", base->facts.name);
	check.path = model_source_path(base->source);
	return decoder_each_weight(&base->decoder,
	    base->source->gguf != NULL ? &decoder_names_gguf : &decoder_names_hf, check_weight,
	    &check, err);
}
