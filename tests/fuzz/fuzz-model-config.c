/* fuzz-model-config.c - any bytes as a model's config.json: what is accepted can be prepared. */

#include <stdlib.h>

#include "engine/models/loader.h"
#include "tests/fuzz/fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct decoder decoder = { 0 };
	struct t2l_error error;

	if (config_parse_hf((const char *)bytes, n, "fuzz", &decoder.config, &error) != T2L_OK ||
	    decoder_prepare(&decoder, &error) != T2L_OK)
		return 0;
	/* What every later product relies on. */
	if (decoder.config.n_heads % decoder.config.n_kv_heads != 0 ||
	    decoder.config.rope.n_rot % 2 != 0 ||
	    decoder.config.rope.n_rot > decoder.config.head_dim || decoder.config.n_eos > DECODER_MAX_EOS)
		abort();
	fuzz_touch(decoder.inv_freq, (size_t)decoder.config.rope.n_rot / 2 * sizeof(float));
	decoder_release(&decoder);
	return 0;
}
