/* fuzz-adapter-file.c - any bytes as an adapter's file of any format: GGUF, GGML, Kohya's, native.
 */

#include "config.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engine/adapters/adapter.h"
#include "tests/fuzz/fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	int fd = memfd_create("fuzz", 0);
	struct t2l_adapter *adapter;
	struct t2l_error error;
	char path[64];

	if (fd == -1 || write(fd, bytes, n) != (ssize_t)n) {
		if (fd != -1)
			close(fd);
		return 0;
	}
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	if (t2l_adapter_open(path, &adapter, &error) == T2L_OK) {
		const struct t2l_adapter_facts *facts = t2l_adapter_facts(adapter);

		fuzz_touch(facts->name, strlen(facts->name));
		fuzz_touch(facts->task, strlen(facts->task));
		fuzz_touch(facts->base_name, strlen(facts->base_name));
		for (size_t i = 0; i < adapter->n_modules; i++) {
			fuzz_touch(adapter->modules[i].a.data,
			    (size_t)tensor_count(&adapter->modules[i].a) * sizeof(float));
			fuzz_touch(adapter->modules[i].bt.data,
			    (size_t)tensor_count(&adapter->modules[i].bt) * sizeof(float));
		}
		t2l_adapter_close(adapter);
	}
	close(fd);
	return 0;
}
