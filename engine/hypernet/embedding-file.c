/* embedding-file.c - task embeddings that a user brings, from a safetensors file. */

#include <math.h>
#include <stdlib.h>

#include "engine/error.h"
#include "engine/formats/safetensors.h"

static enum t2l_status
read_tensor(const char *path, const struct tensor *tensor, int size, float **values, size_t *n,
    struct t2l_error *err)
{
	int64_t count = tensor_count(tensor);
	float *numbers;

	if (tensor->n_dims > 2 || tensor_cols(tensor) != size || count == 0)
		return t2l_fail(err, T2L_EMISMATCH,
		    "%s: task_emb must be [n, %d], the size this hypernet wants", path, size);
	numbers = malloc((size_t)count * sizeof *numbers);
	if (numbers == NULL)
		return t2l_fail(err, T2L_ENOMEM, "%s: out of memory", path);
	if (!dtype_to_f32(tensor->dtype, tensor->data, numbers, count)) {
		free(numbers);
		return t2l_fail(err, T2L_EFORMAT, "%s: task_emb must be F32, F16 or BF16", path);
	}
	for (int64_t i = 0; i < count; i++) {
		if (!isfinite(numbers[i])) {
			free(numbers);
			return t2l_fail(
			    err, T2L_EFORMAT, "%s: task_emb holds NaN or infinity", path);
		}
	}
	*values = numbers;
	*n = (size_t)(count / size);
	return T2L_OK;
}

enum t2l_status
t2l_read_embeddings(const char *path, int size, float **values, size_t *n, struct t2l_error *err)
{
	struct safetensors *file;
	struct tensor tensor;
	enum t2l_status status = safetensors_open(path, &file, err);

	if (status != T2L_OK)
		return status;
	status = safetensors_tensor(file, "task_emb", &tensor, err);
	if (status == T2L_OK)
		status = read_tensor(path, &tensor, size, values, n, err);
	safetensors_close(file);
	return status;
}
