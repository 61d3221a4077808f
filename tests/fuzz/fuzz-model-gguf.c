/* fuzz-model-gguf.c - any bytes as a GGUF base model: what opens has all its weights. */
#include "config.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engine/models/loader.h"
#include "tests/fuzz/fuzz.h"

static enum t2l_status
touch(void *user, const struct weight_slot *slot, struct t2l_error *err)
{
	const struct tensor *tensor = *slot->tensor;

	(void)user;
	(void)err;
	fuzz_touch(tensor->data,
	    (size_t)tensor_rows(tensor) * dtype_row_bytes(tensor->dtype, tensor_cols(tensor)));
	return T2L_OK;
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	int file = memfd_create("model", 0);
	struct base_model *model;
	char path[64];

	if (file < 0)
		return 0;
	snprintf(path, sizeof path, "/proc/self/fd/%d", file);
	if (write(file, bytes, n) == (ssize_t)n && base_model_open(path, &model, NULL) == T2L_OK) {
		decoder_each_weight(&model->decoder, &decoder_names_gguf, touch, NULL, NULL);
		base_model_close(model);
	}
	close(file);
	return 0;
}
