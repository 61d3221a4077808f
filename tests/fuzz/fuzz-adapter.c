/* fuzz-adapter.c - any bytes as a native adapter file: configuration, patterns, names and numbers.
 */

#include <string.h>

#include "engine/adapters/peft.h"
#include "tests/fuzz/fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct t2l_adapter *adapter;
	struct t2l_module_norm *norms;
	struct t2l_error error;
	struct safetensors *st;
	size_t n_norms;

	if (safetensors_parse(bytes, n, "fuzz", &st, &error) != T2L_OK)
		return 0;
	if (native_read(st, &adapter, &error) == T2L_OK) {
		const struct t2l_adapter_facts *facts = t2l_adapter_facts(adapter);

		fuzz_touch(facts->task, strlen(facts->task));
		fuzz_touch(facts->lineage, strlen(facts->lineage));
		if (t2l_adapter_norms(adapter, adapter, &norms, &n_norms, &error) == T2L_OK)
			t2l_free(norms);
		t2l_adapter_close(adapter);
	}
	safetensors_close(st);
	return 0;
}
