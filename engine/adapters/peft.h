/*
 * adapters/peft.h - PEFT's form of an adapter: a configuration (JSON) and named tensors.
 *
 * A PEFT directory holds it as adapter_config.json and adapter_model.safetensors; our native file
 * is the same tensors with the configuration and the labels in the file's metadata. So both have
 * one reader and one writer. PEFT has no place for a description and does not look at the metadata
 * of its tensors, so that is where it goes.
 */
#ifndef ENGINE_ADAPTERS_PEFT_H
#define ENGINE_ADAPTERS_PEFT_H

#include <cjson/cJSON.h>

#include "engine/adapters/adapter.h"
#include "engine/formats/safetensors-writer.h"
#include "engine/formats/safetensors.h"

#define PEFT_CONFIG_NAME "adapter_config.json"
#define PEFT_MODEL_NAME "adapter_model.safetensors"
#define PEFT_TORCH_NAME "adapter_model.bin"

/* In the metadata of native files and of PEFT directories of ours: the description. */
#define ADAPTER_TASK_KEY "t2l.task"

/* peft.c. T2L_EUNSUPPORTED when a configuration says that there is more than A and B of linear
 * modules (DoRA, biases, ..). */
enum t2l_status peft_check_kind(const cJSON *root, const char *path, struct t2l_error *err);
/* The adapter of CONFIG (from CONFIG_PATH, for messages) and the tensors of ST, sealed. A
 * base name that LABELS lacks is CONFIG's. T2L_EUNSUPPORTED names what is more than plain LoRA on
 * known modules, T2L_EFORMAT what is damaged. */
enum t2l_status peft_read(const cJSON *config, const char *config_path,
    const struct safetensors *st, const struct adapter_labels *labels, struct t2l_adapter **adapter,
    struct t2l_error *err);
enum t2l_status peft_open(
    const char *directory, struct t2l_adapter **adapter, struct t2l_error *err);

/* native.c. The adapter of a native file. */
enum t2l_status native_read(
    const struct safetensors *st, struct t2l_adapter **adapter, struct t2l_error *err);

/* peft-write.c. The configuration as JSON text (cJSON_free() it), NULL when out of memory.
 * BASE_NAME
 * "" becomes null. */
char *peft_config_text(const struct t2l_adapter *adapter, const char *base_name);
/* Declares, begins PATH, writes all numbers as DTYPE and finishes. A number that DTYPE cannot hold
 * is T2L_EINVAL. */
enum t2l_status peft_write_tensors(struct safetensors_writer *writer,
    const struct t2l_adapter *adapter, enum dtype dtype, const char *path, struct t2l_error *err);

#endif
