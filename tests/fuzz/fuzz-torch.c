/* fuzz-torch.c - any bytes as a torch checkpoint, and as one of its pickles: every tensor's bytes.
 */

#include "engine/formats/torch-checkpoint.h"
#include "engine/formats/torch-pickle.h"
#include "tests/fuzz/fuzz.h"

/* A zip archive's check sums keep a fuzzer out of the pickle inside, so it is fed in bare too. */
static void
read_pickle(const uint8_t *bytes, size_t n)
{
	struct arena *arena = arena_create();
	struct pickle_value *value;
	struct t2l_error error;

	if (arena != NULL)
		pickle_read(bytes, n, "fuzz", arena, &value, NULL, &error);
	arena_free(arena);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct torch_checkpoint *torch;
	struct t2l_error error;

	read_pickle(bytes, n);
	if (torch_checkpoint_parse(bytes, n, "fuzz", &torch, &error) != T2L_OK)
		return 0;
	for (size_t i = 0; i < torch_checkpoint_count(torch); i++) {
		const struct safetensors_entry *entry = torch_checkpoint_at(torch, i);

		fuzz_touch(entry->bytes, entry->n_bytes);
	}
	torch_checkpoint_free(torch);
	return 0;
}
