/* fuzz-gguf.c - any bytes as a GGUF file: every key by every getter, every tensor. */

#include <string.h>

#include "engine/formats/fingerprint.h"
#include "engine/formats/gguf.h"
#include "tests/fuzz/fuzz.h"

static void
read_array(const struct gguf_key *key)
{
	for (uint64_t i = 0; i < key->n; i++) {
		size_t n;

		if (key->item_type == GGUF_STRING) {
			const char *text = gguf_array_string(key, i, &n);

			fuzz_touch(text, n);
		} else {
			gguf_array_integer(key, i);
			gguf_array_number(key, i);
		}
	}
}

static void
read_key(const struct gguf *gguf, const struct gguf_key *key)
{
	struct t2l_error error;
	const struct gguf_key *array;
	int64_t integer;
	double number;
	bool boolean;
	const char *text;

	gguf_integer(gguf, key->name, true, INT64_MIN, INT64_MAX, &integer, &error);
	gguf_number(gguf, key->name, true, &number, &error);
	gguf_bool(gguf, key->name, true, &boolean, &error);
	if (gguf_string(gguf, key->name, true, &text, &error) == T2L_OK)
		fuzz_touch(text, strlen(text));
	for (int type = 0; type < N_GGUF_TYPES; type++)
		if (gguf_array(gguf, key->name, (enum gguf_type)type, true, &array, &error) ==
		    T2L_OK)
			read_array(array);
}

/* Any bytes are weights: scales that are not numbers, quants of all values. */
static void
widen_rows(const struct tensor *tensor)
{
	float values[1024];
	int64_t count = tensor_count(tensor), block = dtype_block(tensor->dtype);
	int64_t n = count < 1024 ? count : 1024;

	if (dtype_to_f32(tensor->dtype, tensor->data, values, n / block * block))
		fuzz_touch(values, (size_t)(n / block * block) * sizeof *values);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	char fingerprint[HASH_HEX_SIZE];
	struct t2l_error error;
	struct tensor tensor;
	struct gguf *gguf;

	if (gguf_parse(bytes, n, "fuzz", &gguf, &error) != T2L_OK)
		return 0;
	for (size_t i = 0; i < gguf_key_count(gguf); i++)
		read_key(gguf, gguf_key_at(gguf, i));
	for (size_t i = 0; i < gguf_count(gguf); i++) {
		const struct gguf_entry *entry = gguf_at(gguf, i);

		fuzz_touch(entry->bytes, entry->n_bytes);
		if (gguf_tensor(gguf, entry->name, &tensor, &error) == T2L_OK) {
			fuzz_touch(
			    tensor.data, (size_t)tensor_rows(&tensor) *
					     dtype_row_bytes(tensor.dtype, tensor_cols(&tensor)));
			widen_rows(&tensor);
		}
	}
	fingerprint_gguf(gguf, fingerprint, &error);
	gguf_close(gguf);
	return 0;
}
