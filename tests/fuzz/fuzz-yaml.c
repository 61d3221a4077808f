/* fuzz-yaml.c - any bytes as a YAML document, read by every getter. */

#include "base/yaml.h"
#include "tests/fuzz/fuzz-config.h"

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct config_error error;
	int budget = 2000;
	struct config_value *root = yaml_parse((const char *)bytes, n, &error);

	if (root != NULL)
		fuzz_config_value(root, &budget);
	config_free(root);
	return 0;
}
