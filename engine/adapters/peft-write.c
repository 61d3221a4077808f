/* peft-write.c - writes PEFT LoRA adapters, and reads back what it wrote. */

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/atomic-file.h"
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

/* ---- exporting ---- */

static float
rounded(float value, enum dtype dtype)
{
	if (dtype == DTYPE_F16)
		return f16_to_f32(f32_to_f16(value));
	return dtype == DTYPE_BF16 ? bf16_to_f32(f32_to_bf16(value)) : value;
}

static bool
same_numbers(const struct tensor *written, const struct tensor *read, enum dtype dtype)
{
	if (tensor_count(written) != tensor_count(read))
		return false;
	for (int64_t i = 0; i < tensor_count(written); i++) {
		if (tensor_f32(read)[i] != rounded(tensor_f32(written)[i], dtype))
			return false;
	}
	return true;
}

static bool
same_adapter(const struct t2l_adapter *written, const struct t2l_adapter *read, enum dtype dtype)
{
	if (written->n_modules != read->n_modules)
		return false;
	for (size_t i = 0; i < written->n_modules; i++) {
		const struct adapter_module *w = &written->modules[i], *r = &read->modules[i];

		if (w->layer != r->layer || w->module != r->module || w->expert != r->expert ||
		    w->rank != r->rank || w->scale != r->scale ||
		    !same_numbers(&w->a, &r->a, dtype) || !same_numbers(&w->bt, &r->bt, dtype))
			return false;
	}
	return true;
}

static enum t2l_status
read_back(const struct t2l_adapter *adapter, const char *directory, enum dtype dtype,
    struct t2l_error *err)
{
	struct t2l_adapter *read;
	enum t2l_status status = peft_open(directory, &read, err);
	bool same;

	if (status != T2L_OK)
		return t2l_context(err, "what was written cannot be read back");
	same = same_adapter(adapter, read, dtype);
	t2l_adapter_close(read);
	return same ? T2L_OK
		    : t2l_fail(err, T2L_EIO,
			  "'%s' holds other numbers than were written; is somebody else writing "
			  "there?",
			  directory);
}

static enum t2l_status
dtype_of_option(const char *name, enum dtype *dtype, struct t2l_error *err)
{
	static const struct {
		const char *name;
		enum dtype dtype;
	} known[] = {
		{ "fp32", DTYPE_F32 },
		{ "fp16", DTYPE_F16 },
		{ "bf16", DTYPE_BF16 },
	};

	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
		if (strcmp(name, known[i].name) == 0) {
			*dtype = known[i].dtype;
			return T2L_OK;
		}
	}
	return t2l_fail(err, T2L_EINVAL, "'%s' is not fp32, fp16 or bf16", name);
}

static enum t2l_status
write_model(
    const struct t2l_adapter *adapter, const char *path, enum dtype dtype, struct t2l_error *err)
{
	struct safetensors_writer *writer = safetensors_writer_new(8);
	enum t2l_status status;

	if (writer == NULL)
		return t2l_fail(err, T2L_ENOMEM, "out of memory");
	safetensors_writer_metadata(writer, "format", "pt");
	status = peft_write_tensors(writer, adapter, dtype, path, err);
	safetensors_writer_free(writer);
	return status;
}

static enum t2l_status
write_config(const struct t2l_adapter *adapter, const char *path, const char *base_name,
    struct t2l_error *err)
{
	char *text = peft_config_text(adapter, base_name);
	enum t2l_status status = T2L_OK;

	if (text == NULL)
		return t2l_fail(err, T2L_ENOMEM, "out of memory");
	if (atomic_write(path, text, strlen(text)) != 0)
		status = t2l_fail_errno(err, "cannot write '%s'", path);
	cJSON_free(text);
	return status;
}

enum t2l_status
t2l_adapter_export_peft(const struct t2l_adapter *adapter, const char *directory,
    const struct t2l_peft_options *options, struct t2l_error *err)
{
	const char *base_name = options != NULL ? options->base_model : NULL;
	char config_path[4096], model_path[4096];
	enum dtype dtype = DTYPE_F32;
	enum t2l_status status = T2L_OK;

	if (base_name == NULL)
		base_name = adapter->facts.base_name;
	if (options != NULL && options->dtype != NULL)
		status = dtype_of_option(options->dtype, &dtype, err);
	if (status != T2L_OK)
		return t2l_context(err, "export");
	if (snprintf(config_path, sizeof config_path, "%s/" PEFT_CONFIG_NAME, directory) >=
		(int)sizeof config_path ||
	    snprintf(model_path, sizeof model_path, "%s/" PEFT_MODEL_NAME, directory) >=
		(int)sizeof model_path)
		return t2l_fail(err, T2L_EINVAL, "the path '%.60s...' is too long", directory);
	if (mkdir(directory, 0777) != 0 && errno != EEXIST)
		return t2l_fail_errno(err, "cannot make the directory '%s'", directory);
	if ((status = write_model(adapter, model_path, dtype, err)) != T2L_OK ||
	    (status = write_config(adapter, config_path, base_name, err)) != T2L_OK ||
	    (status = read_back(adapter, directory, dtype, err)) != T2L_OK)
		return t2l_context(err, "export");
	return T2L_OK;
}
