/*
 * adapter-fixture.h - small adapters for tests: made in memory, or written as PEFT directories.
 */
#ifndef TESTS_UNIT_ADAPTER_FIXTURE_H
#define TESTS_UNIT_ADAPTER_FIXTURE_H

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/atomic-file.h"
#include "engine/adapters/adapter.h"
#include "engine/formats/safetensors-writer.h"
#include "tests/unit/temporary-folder.h"

/* Numbers in [-1, 1) that depend on SEED and on nothing else. */
static inline void
fill_numbers(float *values, int64_t n, uint32_t seed)
{
	for (int64_t i = 0; i < n; i++) {
		seed = seed * 1664525u + 1013904223u;
		values[i] = (float)(seed >> 8) / 8388608.0F - 1.0F;
	}
}

/* q and v of two layers, 12 -> 8 and 12 -> 5; sealed. */
static inline struct t2l_adapter *
make_adapter_of(
    int rank, double alpha, bool use_rslora, uint32_t seed, const struct adapter_labels *labels)
{
	const struct adapter_labels none = { .name = NULL };
	struct adapter_module modules[4] = { 0 };
	struct t2l_adapter *adapter = NULL;

	for (int i = 0; i < 4; i++) {
		modules[i].layer = i / 2;
		modules[i].module = i % 2 == 0 ? MODULE_Q : MODULE_V;
		modules[i].rank = rank;
		modules[i].alpha = alpha;
		modules[i].a.shape[1] = 12;
		modules[i].bt.shape[1] = i % 2 == 0 ? 8 : 5;
	}
	if (adapter_create(
		modules, 4, use_rslora, labels != NULL ? labels : &none, &adapter, NULL) != T2L_OK)
		return NULL;
	for (size_t i = 0; i < adapter->n_modules; i++) {
		struct adapter_module *module = &adapter->modules[i];

		fill_numbers(
		    tensor_f32(&module->a), tensor_count(&module->a), seed + 2 * (uint32_t)i);
		fill_numbers(
		    tensor_f32(&module->bt), tensor_count(&module->bt), seed + 2 * (uint32_t)i + 1);
	}
	if (adapter_seal(adapter, NULL) != T2L_OK)
		return NULL;
	return adapter;
}

/* A tensor of a PEFT file that a test writes; VALUE fills it. */
struct peft_tensor {
	const char *name; /* without "base_model.model." */
	int64_t rows, cols;
	float value;
};

/* Writes NAME/adapter_config.json and adapter_model.safetensors into the temporary folder; returns
 * the directory. */
static inline const char *
write_peft(const char *name, const char *config, const struct peft_tensor *tensors, size_t n)
{
	const char *directory = in_folder(name);
	struct safetensors_writer *writer = safetensors_writer_new(8);
	char path[1024];

	mkdir(directory, 0777);
	snprintf(path, sizeof path, "%s/adapter_config.json", directory);
	atomic_write(path, config, strlen(config));
	for (size_t i = 0; i < n; i++) {
		char full[256];

		snprintf(full, sizeof full, "base_model.model.%s", tensors[i].name);
		safetensors_writer_declare(writer, full, DTYPE_F32, 2,
		    (const int64_t[]){ tensors[i].rows, tensors[i].cols });
	}
	snprintf(path, sizeof path, "%s/adapter_model.safetensors", directory);
	safetensors_writer_begin(writer, path, NULL);
	for (size_t i = 0; i < n; i++) {
		for (int64_t j = 0; j < tensors[i].rows * tensors[i].cols; j++)
			safetensors_writer_bytes(
			    writer, &tensors[i].value, sizeof tensors[i].value, NULL);
	}
	safetensors_writer_finish(writer, NULL);
	safetensors_writer_free(writer);
	return directory;
}

/* Removes a directory that write_peft() or an export made. */
static inline void
remove_peft(const char *directory)
{
	char path[1024];

	snprintf(path, sizeof path, "%s/adapter_config.json", directory);
	unlink(path);
	snprintf(path, sizeof path, "%s/adapter_model.safetensors", directory);
	unlink(path);
	rmdir(directory);
}

#endif
