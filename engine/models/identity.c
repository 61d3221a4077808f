/* identity.c - counts and fingerprints weights, whatever file they are in. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "engine/models/recode.h"
#include "engine/models/weights.h"

#define FINGERPRINT_ELEMENTS (1 << 17)
#define PIECE 1024 /* whole blocks of every dtype */

void
identity_start(struct weights_identity *identity, const char *settings)
{
	bool turned = identity->turned;

	memset(identity, 0, sizeof *identity);
	identity->turned = turned;
	hash_start(&identity->hash);
	hash_add(&identity->hash, settings, strlen(settings));
}

static bool
all_finite(const float *values, int64_t n)
{
	for (int64_t i = 0; i < n; i++)
		if (!isfinite(values[i]))
			return false;
	return true;
}

/* False when the row has a number that is none. */
static bool
hash_row(struct weights_identity *identity, const struct tensor *tensor, int64_t r, int64_t cols)
{
	const char *row =
	    (const char *)tensor->data + (size_t)r * dtype_row_bytes(tensor->dtype, cols);
	float values[PIECE];

	for (int64_t c = 0; c < cols; c += PIECE) {
		int64_t n = cols - c < PIECE ? cols - c : PIECE;

		dtype_to_f32(tensor->dtype, row + (c > 0 ? dtype_row_bytes(tensor->dtype, c) : 0),
		    values, n);
		if (!all_finite(values, n))
			return false;
		hash_add(&identity->hash, values, (size_t)n * sizeof *values);
	}
	return true;
}

enum t2l_status
identity_add(void *user, const struct weight_slot *slot, struct t2l_error *err)
{
	struct weights_identity *identity = user;
	const struct tensor *tensor = *slot->tensor;
	char name[WEIGHT_NAME_SIZE + 64];
	int64_t rows, cols, most, step;
	uint64_t bytes;

	bytes = dtype_row_bytes(tensor->dtype, tensor_cols(tensor)) * (uint64_t)tensor_rows(tensor);
	identity->n_parameters += tensor_count(tensor);
	identity->bytes += bytes;
	identity->bytes_of[tensor->dtype] += bytes;
	/* Elements of a vector of heads move alone, rows of a matrix as a whole. */
	rows = slot->rows > 0 ? slot->rows : slot->cols;
	cols = slot->rows > 0 ? slot->cols : 1;
	snprintf(name, sizeof name, "%s[%lld,%lld]", slot->name, (long long)rows, (long long)cols);
	hash_add(&identity->hash, name, strlen(name));
	most = FINGERPRINT_ELEMENTS / cols / (slot->n_slabs > 1 ? slot->n_slabs : 1);
	if (most < 1)
		most = 1;
	step = (rows + most - 1) / most;
	for (int64_t r = 0; r < rows; r += step)
		if (!hash_row(identity, tensor,
			identity->turned && slot->turned_heads > 0
			    ? row_in_gguf(r, slot->turned_heads)
			    : r,
			cols))
			return t2l_fail(err, T2L_EFORMAT,
			    "tensor '%s': row %lld has a number that is none (NaN or infinite); "
			    "the file is damaged",
			    slot->name, (long long)r);
	return T2L_OK;
}

void
identity_finish(struct weights_identity *identity, char out[HASH_HEX_SIZE])
{
	hash_finish(&identity->hash, out);
}

const char *
identity_dtype(const struct weights_identity *identity)
{
	int most = 0;

	for (int i = 1; i < N_DTYPES; i++)
		if (identity->bytes_of[i] > identity->bytes_of[most])
			most = i;
	return dtype_name((enum dtype)most);
}
