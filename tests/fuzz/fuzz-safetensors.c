/* fuzz-safetensors.c - any bytes as a safetensors file: every entry, tensor and metadata. */

#include <string.h>

#include "engine/formats/fingerprint.h"
#include "engine/formats/safetensors.h"
#include "tests/fuzz/fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	char fingerprint[HASH_HEX_SIZE];
	struct t2l_error error;
	struct safetensors *st;
	struct tensor tensor;

	if (safetensors_parse(bytes, n, "fuzz", &st, &error) != T2L_OK)
		return 0;
	for (size_t i = 0; i < safetensors_count(st); i++) {
		const struct safetensors_entry *entry = safetensors_at(st, i);

		fuzz_touch(entry->bytes, entry->n_bytes);
		if (safetensors_tensor(st, entry->name, &tensor, &error) == T2L_OK)
			fuzz_touch(
			    tensor.data, (size_t)tensor_rows(&tensor) *
					     dtype_row_bytes(tensor.dtype, tensor_cols(&tensor)));
	}
	for (size_t i = 0; i < safetensors_metadata_count(st); i++)
		fuzz_touch(safetensors_metadata_value(st, i),
		    strlen(safetensors_metadata(st, safetensors_metadata_key(st, i))));
	fingerprint_safetensors(st, fingerprint, &error);
	safetensors_close(st);
	return 0;
}
