/* peft-write.c - writes PEFT's form of an adapter: its configuration and its tensors. */

#include <math.h>
#include <stdio.h>

#include "engine/adapters/peft.h"
#include "engine/error.h"

/* ---- the configuration ---- */

/* Whether the adapter changes each of its module types in each of its layers, and nothing outside
 * the layers or inside of experts, where short names say too little. */
static bool
is_full(const struct t2l_adapter *adapter)
{
	bool present[N_MODULES] = { false };
	size_t n_types = 0;

	for (size_t i = 0; i < adapter->n_modules; i++) {
		if (!module_in_layers(adapter->modules[i].module) ||
		    module_in_experts(adapter->modules[i].module))
			return false;
		n_types += !present[adapter->modules[i].module];
		present[adapter->modules[i].module] = true;
	}
	return adapter->n_modules == n_types * (size_t)adapter->facts.n_layers;
}

/* Short names where they say it all; layers_to_transform when layers are left out (the layers
 * behind the last are not known here: PEFT gives those fresh adapters, which do nothing); else
 * whole paths. */
static void
add_targets(cJSON *root, const struct t2l_adapter *adapter)
{
	const struct adapter_module *last = &adapter->modules[adapter->n_modules - 1];
	cJSON *targets = cJSON_AddArrayToObject(root, "target_modules"), *layers;
	bool full = is_full(adapter);
	char path[MODULE_PATH_SIZE];

	for (size_t i = 0; i < adapter->n_modules; i++) {
		const struct adapter_module *module = &adapter->modules[i];

		if (full && module->layer != adapter->modules[0].layer)
			break;
		adapter_module_path(module, path, sizeof path);
		cJSON_AddItemToArray(
		    targets, cJSON_CreateString(full ? module_name(module->module) : path));
	}
	if (!full || last->layer + 1 == adapter->facts.n_layers) {
		cJSON_AddNullToObject(root, "layers_to_transform");
		return;
	}
	layers = cJSON_AddArrayToObject(root, "layers_to_transform");
	for (size_t i = 0; i < adapter->n_modules; i++) {
		if (i == 0 || adapter->modules[i].layer != adapter->modules[i - 1].layer)
			cJSON_AddItemToArray(layers, cJSON_CreateNumber(adapter->modules[i].layer));
	}
}

/* "model.layers.3" -> "model\.layers\.3"; KEY has twice the room of PATH. */
static void
escape_dots(const char *path, char *key)
{
	for (; *path != '\0'; path++) {
		if (*path == '.')
			*key++ = '\\';
		*key++ = *path;
	}
	*key = '\0';
}

/* Modules that differ from the first get a key each, the same in both tables: older versions of
 * PEFT look both up with the first key that matches in either. */
static void
add_patterns(cJSON *root, const struct t2l_adapter *adapter)
{
	const struct adapter_module *first = &adapter->modules[0];
	cJSON *ranks = cJSON_AddObjectToObject(root, "rank_pattern");
	cJSON *alphas = cJSON_AddObjectToObject(root, "alpha_pattern");
	char path[MODULE_PATH_SIZE], key[2 * MODULE_PATH_SIZE];

	for (size_t i = 0; i < adapter->n_modules; i++) {
		const struct adapter_module *module = &adapter->modules[i];

		if (module->rank == first->rank && module->alpha == first->alpha)
			continue;
		adapter_module_path(module, path, sizeof path);
		escape_dots(path, key);
		cJSON_AddNumberToObject(ranks, key, module->rank);
		cJSON_AddNumberToObject(alphas, key, module->alpha);
	}
}

/* Only the keys that all versions of PEFT know: an unknown one stops old versions. */
char *
peft_config_text(const struct t2l_adapter *adapter, const char *base_name)
{
	cJSON *root = cJSON_CreateObject();
	char *text;

	cJSON_AddStringToObject(root, "peft_type", "LORA");
	cJSON_AddStringToObject(root, "task_type", "CAUSAL_LM");
	if (base_name[0] != '\0')
		cJSON_AddStringToObject(root, "base_model_name_or_path", base_name);
	else
		cJSON_AddNullToObject(root, "base_model_name_or_path");
	cJSON_AddNumberToObject(root, "r", adapter->modules[0].rank);
	cJSON_AddNumberToObject(root, "lora_alpha", adapter->modules[0].alpha);
	cJSON_AddBoolToObject(root, "use_rslora", adapter->facts.use_rslora);
	add_targets(root, adapter);
	add_patterns(root, adapter);
	cJSON_AddNullToObject(root, "auto_mapping");
	cJSON_AddStringToObject(root, "bias", "none");
	cJSON_AddFalseToObject(root, "fan_in_fan_out");
	cJSON_AddTrueToObject(root, "inference_mode");
	cJSON_AddTrueToObject(root, "init_lora_weights");
	cJSON_AddNullToObject(root, "layers_pattern");
	cJSON_AddNumberToObject(root, "lora_dropout", 0);
	cJSON_AddNullToObject(root, "modules_to_save");
	cJSON_AddNullToObject(root, "revision");
	cJSON_AddFalseToObject(root, "use_dora");
	text = cJSON_Print(root);
	cJSON_Delete(root);
	return text;
}

/* ---- tensors ---- */

static void
declare(struct safetensors_writer *writer, const struct t2l_adapter *adapter, enum dtype dtype)
{
	for (size_t i = 0; i < adapter->n_modules; i++) {
		const struct adapter_module *module = &adapter->modules[i];
		const int64_t a_shape[] = { module->rank, tensor_cols(&module->a) };
		const int64_t b_shape[] = { tensor_cols(&module->bt), module->rank };

		safetensors_writer_declare(writer, adapter->tensor_names[2 * i], dtype, 2, a_shape);
		safetensors_writer_declare(
		    writer, adapter->tensor_names[2 * i + 1], dtype, 2, b_shape);
	}
}

/* Only f16 has a narrower range than f32. */
static enum t2l_status
check_range(const char *name, const struct tensor *tensor, enum dtype dtype, struct t2l_error *err)
{
	for (int64_t i = 0; i < tensor_count(tensor) && dtype == DTYPE_F16; i++) {
		if (!isfinite(f16_to_f32(f32_to_f16(tensor_f32(tensor)[i]))))
			return t2l_fail(err, T2L_EINVAL,
			    "tensor '%s' holds %g, too large for fp16; use bf16 or fp32", name,
			    (double)tensor_f32(tensor)[i]);
	}
	return T2L_OK;
}

/* BT [rank, out] -> B [out, rank], a bundle of rows at a time. */
static enum t2l_status
write_transposed(struct safetensors_writer *writer, const struct tensor *bt, enum dtype dtype,
    struct t2l_error *err)
{
	const int64_t rank = bt->shape[0], out = bt->shape[1];
	enum t2l_status status = T2L_OK;
	float rows[ADAPTER_MAX_RANK];
	int64_t bundle = ADAPTER_MAX_RANK / rank;

	for (int64_t at = 0; at < out && status == T2L_OK; at += bundle) {
		if (bundle > out - at)
			bundle = out - at;
		for (int64_t i = 0; i < bundle; i++) {
			for (int64_t j = 0; j < rank; j++)
				rows[i * rank + j] = tensor_f32(bt)[j * out + at + i];
		}
		status = safetensors_writer_floats(writer, rows, bundle * rank, dtype, err);
	}
	return status;
}

enum t2l_status
peft_write_tensors(struct safetensors_writer *writer, const struct t2l_adapter *adapter,
    enum dtype dtype, const char *path, struct t2l_error *err)
{
	enum t2l_status status;

	declare(writer, adapter, dtype);
	status = safetensors_writer_begin(writer, path, err);
	for (size_t i = 0; i < adapter->n_modules && status == T2L_OK; i++) {
		const struct adapter_module *module = &adapter->modules[i];
		const char *a_name = adapter->tensor_names[2 * i];
		const char *b_name = adapter->tensor_names[2 * i + 1];

		if ((status = check_range(a_name, &module->a, dtype, err)) == T2L_OK &&
		    (status = check_range(b_name, &module->bt, dtype, err)) == T2L_OK &&
		    (status = safetensors_writer_floats(writer, tensor_f32(&module->a),
			 tensor_count(&module->a), dtype, err)) == T2L_OK)
			status = write_transposed(writer, &module->bt, dtype, err);
	}
	return status == T2L_OK ? safetensors_writer_finish(writer, err) : status;
}
