/* embedding-file.c - task embeddings that a user brings, from a safetensors file. */

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/error.h"
#include "engine/formats/safetensors.h"

/* As numbers of f32; false: of no floating type. F64 is what NumPy makes unless told otherwise, and
 * the tensor library knows it not. */
static bool
take_numbers(const struct safetensors_entry *entry, float *out, size_t n)
{
	if (strcmp(entry->dtype_text, "F64") != 0)
		return entry->convertible &&
		       dtype_to_f32(entry->dtype, entry->bytes, out, (int64_t)n);
	for (size_t i = 0; i < n; i++) {
		double number;

		memcpy(&number, (const char *)entry->bytes + i * sizeof number, sizeof number);
		out[i] = (float)number;
	}
	return true;
}

static enum t2l_status
read_entry(const char *path, const struct safetensors_entry *entry, int size, float **values,
    size_t *n, struct t2l_error *err)
{
	size_t rows = entry->n_dims == 2 ? (size_t)entry->shape[0] : 1, count;
	float *numbers;

	if (entry->n_dims < 1 || entry->n_dims > 2 || rows == 0 ||
	    entry->shape[entry->n_dims - 1] != size)
		return t2l_fail(err, T2L_EMISMATCH,
		    "%s: task_emb must be [n, %d], the size this hypernet wants", path, size);
	count = rows * (size_t)size; /* its bytes are in the file */
	numbers = malloc(count * sizeof *numbers);
	if (numbers == NULL)
		return t2l_fail(err, T2L_ENOMEM, "%s: out of memory", path);
	if (!take_numbers(entry, numbers, count)) {
		free(numbers);
		return t2l_fail(err, T2L_EFORMAT,
		    "%s: task_emb must be F32, F64, F16 or BF16, not %s", path, entry->dtype_text);
	}
	for (size_t i = 0; i < count; i++) {
		if (!isfinite(numbers[i])) {
			free(numbers);
			return t2l_fail(err, T2L_EFORMAT,
			    "%s: task_emb holds NaN, infinity or a number too large for F32", path);
		}
	}
	*values = numbers;
	*n = rows;
	return T2L_OK;
}

enum t2l_status
t2l_read_embeddings(const char *path, int size, float **values, size_t *n, struct t2l_error *err)
{
	struct safetensors *file;
	const struct safetensors_entry *entry;
	enum t2l_status status = safetensors_open(path, &file, err);

	if (status != T2L_OK)
		return status;
	entry = safetensors_find(file, "task_emb");
	status = entry == NULL ? t2l_fail(err, T2L_ENOENT, "%s: it has no tensor 'task_emb'", path)
			       : read_entry(path, entry, size, values, n, err);
	safetensors_close(file);
	return status;
}
