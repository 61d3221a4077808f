/*
 * format-mlx.c - mlx-lm's adapter directory: adapters.safetensors and adapter_config.json.
 *
 * Tensors "model.layers.0.self_attn.q_proj.lora_a" [in, rank] and ".lora_b" [rank, out]: both
 * transposed against PEFT; y gains scale * (x A) B. The configuration has one rank and one scale
 * (lora_parameters), the names of the adapted modules inside a layer (keys), and num_layers, which
 * counts from the last layer; -1 means all. (mlx_lm/tuner/lora.py and utils.py.) Modules of smaller
 * rank are filled up with zeros, which changes nothing; scales that differ go into B.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/adapters/format.h"
#include "engine/adapters/pairs.h"
#include "engine/error.h"
#include "engine/formats/json.h"
#include "engine/formats/safetensors-writer.h"
#include "engine/formats/safetensors.h"

#define CONFIG_NAME "adapter_config.json"
#define MODEL_NAME "adapters.safetensors"
#define CONFIG_LIMIT (4 << 20)
#define NAME_SIZE (MODULE_PATH_SIZE + 16)

/* ---- reading ---- */

struct mlx_config {
	const char *base_name;
	double scale;
	int64_t rank;
	char note[160];
};

static enum t2l_status
read_config(const cJSON *root, const char *path, struct mlx_config *config, struct t2l_error *err)
{
	const cJSON *parameters = NULL;
	const char *type = "lora";
	enum t2l_status status;

	if ((status = json_string(root, "fine_tune_type", JSON_OPTIONAL, path, &type, err)) !=
		T2L_OK ||
	    (status = json_string(root, "model", JSON_OPTIONAL, path, &config->base_name, err)) !=
		T2L_OK ||
	    (status = json_object(
		 root, "lora_parameters", JSON_REQUIRED, path, &parameters, err)) != T2L_OK ||
	    (status = json_integer(parameters, "rank", JSON_REQUIRED, 1, ADAPTER_MAX_RANK, path,
		 &config->rank, err)) != T2L_OK ||
	    (status = json_number(parameters, "scale", JSON_REQUIRED, -1e9, 1e9, path,
		 &config->scale, err)) != T2L_OK)
		return status;
	if (strcmp(type, "lora") != 0)
		return t2l_fail(err, T2L_EUNSUPPORTED,
		    "%s: fine_tune_type is '%.32s'; only lora is supported", path, type);
	/* The first versions of mlx-lm wrote alpha and multiplied by alpha / rank as well. */
	if (cJSON_GetObjectItemCaseSensitive(parameters, "alpha") != NULL)
		snprintf(config->note, sizeof config->note,
		    "its MLX configuration has an alpha, which mlx-lm ignores today; versions "
		    "before "
		    "October 2024 multiplied by alpha / rank");
	return T2L_OK;
}

/* "model.layers.0.self_attn.q_proj.lora_a" */
static bool
parse_name(const char *name, struct pair_tensor *tensor)
{
	const size_t n = strlen(name);

	if (n < 8 || strncmp(name + n - 7, ".lora_", 6) != 0 ||
	    (name[n - 1] != 'a' && name[n - 1] != 'b'))
		return false;
	tensor->is_b = name[n - 1] == 'b';
	return module_by_path(name, n - 7, &tensor->layer, &tensor->module, &tensor->expert);
}

static enum t2l_status
add_entry(
    struct pairs *pairs, const struct safetensors_entry *entry, double scale, struct t2l_error *err)
{
	struct pair_tensor tensor = {
		.name = entry->name,
		.transposed = true,
		.dtype = entry->dtype,
		.rows = entry->shape[0],
		.cols = entry->shape[1],
		.bytes = entry->bytes,
	};

	if (!parse_name(entry->name, &tensor))
		return t2l_fail(err, T2L_EUNSUPPORTED,
		    "%s: tensor '%.100s' is no half of a known module", pairs->path, entry->name);
	if (entry->n_dims != 2)
		return t2l_fail(err, T2L_EFORMAT, "%s: tensor '%.100s' has %d dimensions, not 2",
		    pairs->path, entry->name, entry->n_dims);
	if (!entry->convertible || entry->dtype == DTYPE_I32 || entry->dtype == DTYPE_I64)
		return t2l_fail(err, T2L_EUNSUPPORTED, "%s: tensor '%.100s': %s is not read",
		    pairs->path, entry->name, entry->dtype_text);
	tensor.alpha = scale * (double)pair_tensor_rank(&tensor);
	return pairs_add(pairs, &tensor, err);
}

static enum t2l_status
read_tensors(const struct safetensors *st, const struct mlx_config *config,
    struct t2l_adapter **out, struct t2l_error *err)
{
	const struct adapter_labels labels = { .base_name = config->base_name,
		.note = config->note };
	struct pairs pairs = { .path = safetensors_path(st) };
	enum t2l_status status = T2L_OK;

	for (size_t i = 0; i < safetensors_count(st) && status == T2L_OK; i++)
		status = add_entry(&pairs, safetensors_at(st, i), config->scale, err);
	if (status == T2L_OK)
		status = pairs_adapter(&pairs, false, 0, &labels, "mlx", out, err);
	pairs_free(&pairs);
	return status;
}

static enum t2l_status
mlx_read(const char *directory, struct t2l_adapter **out, struct t2l_error *err)
{
	char config_path[EXPORT_PATH_SIZE], model_path[EXPORT_PATH_SIZE];
	struct mlx_config config = { .base_name = "" };
	struct safetensors *st;
	enum t2l_status status;
	cJSON *root;

	if ((status = export_path(directory, CONFIG_NAME, config_path, err)) != T2L_OK ||
	    (status = export_path(directory, MODEL_NAME, model_path, err)) != T2L_OK ||
	    (status = json_open(config_path, CONFIG_LIMIT, &root, err)) != T2L_OK)
		return status;
	if ((status = read_config(root, config_path, &config, err)) == T2L_OK &&
	    (status = safetensors_open(model_path, &st, err)) == T2L_OK) {
		status = read_tensors(st, &config, out, err);
		safetensors_close(st);
	}
	cJSON_Delete(root);
	return status;
}

/* PEFT's configuration has the same name, but says peft_type. */
static bool
is_mlx(const struct adapter_probe *probe)
{
	char path[EXPORT_PATH_SIZE];
	cJSON *root;
	bool is;

	if (export_path(probe->path, CONFIG_NAME, path, NULL) != T2L_OK ||
	    json_open(path, CONFIG_LIMIT, &root, NULL) != T2L_OK)
		return false;
	is = cJSON_GetObjectItemCaseSensitive(root, "peft_type") == NULL &&
	     (cJSON_GetObjectItemCaseSensitive(root, "lora_parameters") != NULL ||
		 cJSON_GetObjectItemCaseSensitive(root, "fine_tune_type") != NULL);
	cJSON_Delete(root);
	return is;
}

/* ---- writing ---- */

static void
tensor_name(const struct adapter_module *module, bool is_b, char *name)
{
	char path[MODULE_PATH_SIZE];

	adapter_module_path(module, path, sizeof path);
	snprintf(name, NAME_SIZE, "%s.lora_%c", path, is_b ? 'b' : 'a');
}

static enum t2l_status
declare_all(const struct export_job *job, struct safetensors_writer *writer, struct t2l_error *err)
{
	const struct t2l_adapter *adapter = job->adapter;
	const int64_t rank = adapter->facts.rank;
	enum dtype dtype = DTYPE_F32;
	char name[NAME_SIZE], label[MODULE_PATH_SIZE];

	dtype_by_name(job->precision->dtype, &dtype);
	for (size_t i = 0; i < adapter->n_modules; i++) {
		const struct adapter_module *module = &adapter->modules[i];
		const int64_t a[] = { tensor_cols(&module->a), rank };
		const int64_t b[] = { rank, tensor_cols(&module->bt) };

		if (module_in_experts(module->module))
			return t2l_fail(err, T2L_EUNSUPPORTED,
			    "%s: mlx-lm keeps the experts of a layer in one tensor of its own; "
			    "they "
			    "cannot be written",
			    adapter_module_label(module, label, sizeof label));
		tensor_name(module, false, name);
		safetensors_writer_declare(writer, name, dtype, 2, a);
		tensor_name(module, true, name);
		safetensors_writer_declare(writer, name, dtype, 2, b);
	}
	return T2L_OK;
}

struct padding {
	struct safetensors_writer *writer;
	size_t row_bytes, pad_bytes; /* behind each row of A */
	char *zeros;
};

static enum t2l_status
put_row(void *user, const void *bytes, size_t n, struct t2l_error *err)
{
	const struct padding *padding = user;
	enum t2l_status status = safetensors_writer_bytes(padding->writer, bytes, n, err);

	if (status == T2L_OK && padding->pad_bytes > 0)
		status = safetensors_writer_bytes(
		    padding->writer, padding->zeros, padding->pad_bytes, err);
	return status;
}

/* A's rows get zeros at their ends, B gets rows of zeros. */
static enum t2l_status
write_padded(const struct export_job *job, struct safetensors_writer *writer,
    const struct half *half, struct t2l_error *err)
{
	const int64_t missing = job->adapter->facts.rank - half->module->rank;
	struct padding padding = { .writer = writer };
	enum dtype dtype = DTYPE_F32;
	char name[NAME_SIZE];
	enum t2l_status status;
	size_t tail;

	dtype_by_name(job->precision->dtype, &dtype);
	tensor_name(half->module, half->is_b, name);
	tail = half->is_b ? (size_t)missing * dtype_row_bytes(dtype, half_cols(half)) : 0;
	padding.pad_bytes = half->is_b ? 0 : dtype_row_bytes(dtype, missing);
	padding.zeros = calloc(1, tail + padding.pad_bytes + 1);
	if (padding.zeros == NULL)
		return t2l_fail(err, T2L_ENOMEM, "out of memory");
	status = half_write(half, dtype, name, put_row, &padding, err);
	if (status == T2L_OK && tail > 0)
		status = safetensors_writer_bytes(writer, padding.zeros, tail, err);
	free(padding.zeros);
	return status;
}

static enum t2l_status
write_tensors(struct export_job *job, const char *directory, struct t2l_error *err)
{
	struct safetensors_writer *writer = safetensors_writer_new(job->aligned ? 64 : 8);
	const struct t2l_adapter *adapter = job->adapter;
	char path[EXPORT_PATH_SIZE];
	enum t2l_status status;

	if (writer == NULL)
		return t2l_fail(err, T2L_ENOMEM, "out of memory");
	if ((status = export_path(directory, MODEL_NAME, path, err)) == T2L_OK &&
	    (status = declare_all(job, writer, err)) == T2L_OK)
		status = safetensors_writer_begin(writer, path, err);
	for (size_t i = 0; i < 2 * adapter->n_modules && status == T2L_OK; i++) {
		struct half half = half_of(&adapter->modules[i / 2], i % 2 == 1);

		half.transposed = true;
		if ((status = export_step(job, err)) == T2L_OK)
			status = write_padded(job, writer, &half, err);
	}
	if (status == T2L_OK)
		status = safetensors_writer_finish(writer, err);
	safetensors_writer_free(writer);
	return status;
}

/* The path of each kind of module inside its layer; of others the whole path. */
static void
add_keys(cJSON *parameters, const struct t2l_adapter *adapter)
{
	cJSON *keys = cJSON_AddArrayToObject(parameters, "keys");
	bool present[N_MODULES] = { false };
	char path[MODULE_PATH_SIZE];

	for (size_t i = 0; i < adapter->n_modules; i++) {
		const struct adapter_module *module = &adapter->modules[i];
		const char *key = path;

		if (present[module->module])
			continue;
		present[module->module] = true;
		adapter_module_path(module, path, sizeof path);
		if (module_in_layers(module->module)) /* behind "model.layers.0." */
			key = strchr(strchr(strchr(path, '.') + 1, '.') + 1, '.') + 1;
		cJSON_AddItemToArray(keys, cJSON_CreateString(key));
	}
}

static enum t2l_status
write_config(const struct export_job *job, const char *directory, struct t2l_error *err)
{
	const struct t2l_adapter *adapter = job->adapter;
	cJSON *root = cJSON_CreateObject(), *parameters;
	enum t2l_status status;
	char *text;

	cJSON_AddStringToObject(root, "fine_tune_type", "lora");
	if (job->base_name[0] != '\0')
		cJSON_AddStringToObject(root, "model", job->base_name);
	cJSON_AddNumberToObject(root, "num_layers", -1);
	parameters = cJSON_AddObjectToObject(root, "lora_parameters");
	cJSON_AddNumberToObject(parameters, "rank", adapter->facts.rank);
	cJSON_AddNumberToObject(parameters, "scale", (double)adapter->modules[0].scale);
	cJSON_AddNumberToObject(parameters, "dropout", 0);
	add_keys(parameters, adapter);
	text = cJSON_Print(root);
	cJSON_Delete(root);
	if (text == NULL)
		return t2l_fail(err, T2L_ENOMEM, "out of memory");
	status = export_text(directory, CONFIG_NAME, text, err);
	cJSON_free(text);
	return status;
}

static enum t2l_status
write_both(struct export_job *job, const char *directory, struct t2l_error *err)
{
	enum t2l_status status = write_tensors(job, directory, err);

	return status == T2L_OK ? write_config(job, directory, err) : status;
}

static enum t2l_status
mlx_write(struct export_job *job, const char *directory, struct t2l_error *err)
{
	const struct t2l_adapter *given = job->adapter;
	struct t2l_adapter *folded;
	enum t2l_status status;

	if (adapter_is_uniform(given))
		return write_both(job, directory, err);
	if ((status = adapter_fold(given, &folded, err)) != T2L_OK)
		return status;
	export_tell(job->done,
	    "modules differ in rank or scale: scales are in B, smaller ranks filled up with zeros");
	job->adapter = folded;
	status = write_both(job, directory, err);
	job->adapter = given;
	t2l_adapter_close(folded);
	return status;
}

const struct adapter_format format_mlx = {
	.facts = {
		.name = "mlx",
		.holds = "a directory that mlx-lm loads: one rank and scale (others are fitted), no "
			 "experts",
		.precisions = "fp32 fp16 bf16",
		.is_directory = true,
		.reads = true,
		.writes = true,
	},
	.mobile = "fp16",
	.size = "fp16",
	.is = is_mlx,
	.read = mlx_read,
	.write = mlx_write,
};
