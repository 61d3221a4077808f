/* fuzz-toml.c - any bytes as a TOML document, read by every getter. */

#include "base/toml.h"
#include "tests/fuzz/fuzz-config.h"

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct config_error error;
	int budget = 2000;
	struct config_value *root = toml_parse((const char *)bytes, n, &error);

	if (root != NULL)
		fuzz_config_value(root, &budget);
	config_free(root);
	return 0;
}
