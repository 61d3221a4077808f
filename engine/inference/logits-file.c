/* logits-file.c - logits of a scored text as a safetensors file, one tensor a lane. */

#include <stdio.h>

#include "engine/error.h"
#include "engine/formats/safetensors-writer.h"

enum t2l_status
t2l_write_logits(const char *path, const float *logits, size_t n_lanes, size_t n_tokens,
    size_t vocab_size, struct t2l_error *err)
{
	struct safetensors_writer *writer = safetensors_writer_new(8);
	const int64_t shape[2] = { (int64_t)n_tokens, (int64_t)vocab_size };
	enum t2l_status status;

	if (writer == NULL)
		return t2l_fail(err, T2L_ENOMEM, "%s: out of memory", path);
	for (size_t i = 0; i < n_lanes; i++) {
		char name[32] = "logits";

		if (i > 0)
			snprintf(name, sizeof name, "logits.%zu", i);
		safetensors_writer_declare(writer, name, DTYPE_F32, 2, shape);
	}
	status = safetensors_writer_begin(writer, path, err);
	if (status == T2L_OK)
		status = safetensors_writer_floats(
		    writer, logits, (int64_t)(n_lanes * n_tokens * vocab_size), DTYPE_F32, err);
	if (status == T2L_OK)
		status = safetensors_writer_finish(writer, err);
	safetensors_writer_free(writer);
	return status;
}
