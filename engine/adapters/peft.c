/* peft.c - reads PEFT LoRA adapters, and says by name what in them is not plain LoRA. */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/adapters/pattern.h"
#include "engine/adapters/peft.h"
#include "engine/error.h"
#include "engine/formats/json.h"

#define MAX_CONFIG_BYTES (4 << 20)
#define PREFIX "base_model.model."

struct peft_config {
	const char *path; /* for messages */
	const char *base_name;
	int64_t rank;
	double alpha;
	bool use_rslora;
	struct pattern_table *ranks, *alphas;
};

/* ---- the configuration ---- */

/* Keys that, when used, make more of an adapter than A and B of some linear modules. */
static const struct {
	const char *key, *meaning;
} refused_keys[] = {
	{ "use_dora", "DoRA" },
	{ "modules_to_save", "whole modules beside the LoRA (modules_to_save)" },
	{ "lora_bias", "a bias on B (lora_bias)" },
	{ "fan_in_fan_out", "transposed weights (fan_in_fan_out)" },
	{ "layer_replication", "replicated layers (layer_replication)" },
	{ "trainable_token_indices", "trained token embeddings (trainable_token_indices)" },
	{ "target_parameters", "LoRA on bare parameters (target_parameters)" },
	{ "alora_invocation_tokens", "activated LoRA (alora_invocation_tokens)" },
	{ "use_qalora", "QALoRA" },
	{ "use_bdlora", "block-diagonal LoRA" },
	{ "arrow_config", "Arrow routing" },
};

/* Starting points that change the base's weights as well. */
static const char *const refused_starts[] = { "pissa", "olora", "corda", "loftq" };

#define LENGTH(array) (sizeof(array) / sizeof(array)[0])

static bool
is_used(const cJSON *value)
{
	if (value == NULL || cJSON_IsNull(value) || cJSON_IsFalse(value))
		return false;
	if (cJSON_IsString(value))
		return value->valuestring[0] != '\0';
	return cJSON_IsTrue(value) || cJSON_IsNumber(value) || value->child != NULL;
}

enum t2l_status
peft_check_kind(const cJSON *root, const char *path, struct t2l_error *err)
{
	const char *type = NULL, *bias = "none";
	const cJSON *start = cJSON_GetObjectItemCaseSensitive(root, "init_lora_weights");
	enum t2l_status status;

	if ((status = json_string(root, "peft_type", JSON_REQUIRED, path, &type, err)) != T2L_OK ||
	    (status = json_string(root, "bias", JSON_OPTIONAL, path, &bias, err)) != T2L_OK)
		return status;
	if (strcmp(type, "LORA") != 0)
		return t2l_fail(err, T2L_EUNSUPPORTED,
		    "%s: peft_type is '%.32s'; only LORA is supported", path, type);
	if (strcmp(bias, "none") != 0)
		return t2l_fail(err, T2L_EUNSUPPORTED,
		    "%s: trained biases (bias '%.32s') are not supported", path, bias);
	for (size_t i = 0; i < LENGTH(refused_keys); i++) {
		if (is_used(cJSON_GetObjectItemCaseSensitive(root, refused_keys[i].key)))
			return t2l_fail(err, T2L_EUNSUPPORTED, "%s: %s is not supported", path,
			    refused_keys[i].meaning);
	}
	for (size_t i = 0; i < LENGTH(refused_starts) && cJSON_IsString(start); i++) {
		if (strncmp(start->valuestring, refused_starts[i], strlen(refused_starts[i])) == 0)
			return t2l_fail(err, T2L_EUNSUPPORTED,
			    "%s: init_lora_weights '%.32s' changes the base's weights too; convert "
			    "the adapter to plain LoRA when saving it",
			    path, start->valuestring);
	}
	return T2L_OK;
}

static enum t2l_status
read_config(const cJSON *root, const char *path, struct peft_config *config, struct t2l_error *err)
{
	const cJSON *ranks = NULL, *alphas = NULL;
	enum t2l_status status;

	*config = (struct peft_config){ .path = path, .base_name = "" };
	if ((status = peft_check_kind(root, path, err)) != T2L_OK)
		return status;
	/* PEFT takes 8 where r or lora_alpha are missing, so a file that lost them loads with a
	 * wrong scale and no word; here they must be there. */
	if ((status = json_integer(root, "r", JSON_REQUIRED, 1, ADAPTER_MAX_RANK, path,
		 &config->rank, err)) != T2L_OK ||
	    (status = json_number(root, "lora_alpha", JSON_REQUIRED, -1e9, 1e9, path,
		 &config->alpha, err)) != T2L_OK ||
	    (status = json_bool(
		 root, "use_rslora", JSON_OPTIONAL, path, &config->use_rslora, err)) != T2L_OK ||
	    (status = json_string(root, "base_model_name_or_path", JSON_OPTIONAL, path,
		 &config->base_name, err)) != T2L_OK ||
	    (status = json_object(root, "rank_pattern", JSON_OPTIONAL, path, &ranks, err)) !=
		T2L_OK ||
	    (status = json_object(root, "alpha_pattern", JSON_OPTIONAL, path, &alphas, err)) !=
		T2L_OK ||
	    (status = pattern_table_make(ranks, path, "rank_pattern", &config->ranks, err)) !=
		T2L_OK)
		return status;
	return pattern_table_make(alphas, path, "alpha_pattern", &config->alphas, err);
}

/* ---- names ---- */

#define KNOWN_MODULES "the linear modules of a decoder's layers, its embeddings and its output head"

/* Parts of names that say what a tensor is when it is no A or B of a module we know; the first that
 * is found speaks. */
static const struct {
	const char *part, *meaning;
} refused_names[] = {
	{ "lora_magnitude_vector", "DoRA is not supported" },
	{ "lora_embedding_", "LoRA on these embeddings is not supported" },
	{ ".lora_A.bias", "a bias on A is not supported" },
	{ ".lora_B.bias", "a bias on B (lora_bias) is not supported" },
	{ ".base_layer.", "changed weights or biases of the base are not supported" },
	{ ".lora_A.", "LoRA on this module is not supported; known are " KNOWN_MODULES },
	{ ".lora_B.", "LoRA on this module is not supported; known are " KNOWN_MODULES },
	{ ".bias", "trained biases are not supported" },
	{ "", "whole modules beside the LoRA (modules_to_save) are not supported" },
};

static enum t2l_status
refuse_name(const struct safetensors *st, const char *name, struct t2l_error *err)
{
	size_t i = 0;

	if (strncmp(name, PREFIX, strlen(PREFIX)) != 0)
		return t2l_fail(err, T2L_EFORMAT,
		    "%s: tensor '%.100s' does not begin with '" PREFIX "'; this is no PEFT adapter",
		    safetensors_path(st), name);
	while (strstr(name, refused_names[i].part) == NULL)
		i++;
	return t2l_fail(err, T2L_EUNSUPPORTED, "%s: tensor '%.100s': %s", safetensors_path(st),
	    name, refused_names[i].meaning);
}

/* "base_model.model.model.layers.3.self_attn.q_proj.lora_A.weight" */
static bool
parse_name(const char *name, struct adapter_module *module, bool *is_a)
{
	char expected[ADAPTER_NAME_SIZE];
	const char *path = name + strlen(PREFIX), *end;

	if (strncmp(name, PREFIX, strlen(PREFIX)) != 0 || (end = strstr(path, ".lora_")) == NULL ||
	    !module_by_path(
		path, (size_t)(end - path), &module->layer, &module->module, &module->expert))
		return false;
	*is_a = strncmp(end, ".lora_A", 7) == 0 || strncmp(end, ".lora_embedding_A", 17) == 0;
	adapter_tensor_name(module, *is_a, expected, sizeof expected);
	return strcmp(name, expected) == 0;
}

/* PEFT saves embeddings and the head that it adapted beside their LoRA, as they were: it cannot
 * know whether the vocabulary grew. Where it did, A or B does not fit the base, which is noticed.
 */
static bool
is_copy_of_base(const char *name)
{
	static const char suffix[] = ".base_layer.weight";
	size_t n = strlen(name);
	int layer, expert;
	enum module module;

	return n > strlen(PREFIX) + sizeof suffix && strncmp(name, PREFIX, strlen(PREFIX)) == 0 &&
	       strcmp(name + n - (sizeof suffix - 1), suffix) == 0 &&
	       module_by_path(name + strlen(PREFIX), n - strlen(PREFIX) - (sizeof suffix - 1),
		   &layer, &module, &expert) &&
	       !module_in_layers(module);
}

/* ---- tensors ---- */

static enum t2l_status
check_entry(
    const struct safetensors *st, const struct safetensors_entry *entry, struct t2l_error *err)
{
	if (!entry->convertible ||
	    (entry->dtype != DTYPE_F32 && entry->dtype != DTYPE_F16 && entry->dtype != DTYPE_BF16))
		return t2l_fail(err, T2L_EUNSUPPORTED,
		    "%s: tensor '%.100s' is %s; expected F32, F16 or BF16", safetensors_path(st),
		    entry->name, entry->dtype_text);
	if (entry->n_dims != 2)
		return t2l_fail(err, T2L_EFORMAT, "%s: tensor '%.100s' has %d dimensions, not 2",
		    safetensors_path(st), entry->name, entry->n_dims);
	return T2L_OK;
}

/* The module of entries A [rank, in] and B [out, rank]. */
static enum t2l_status
measure(const struct peft_config *config, const struct safetensors *st,
    const struct safetensors_entry *a, const struct safetensors_entry *b,
    struct adapter_module *module, struct t2l_error *err)
{
	double rank = (double)config->rank, alpha = config->alpha;
	enum t2l_status status;
	char path[MODULE_PATH_SIZE];

	if ((status = check_entry(st, a, err)) != T2L_OK ||
	    (status = check_entry(st, b, err)) != T2L_OK)
		return status;
	adapter_module_path(module, path, sizeof path);
	if (a->shape[0] != b->shape[1])
		return t2l_fail(err, T2L_EFORMAT,
		    "%s: %s: A has rank %" PRId64 ", B has rank %" PRId64, safetensors_path(st),
		    path, a->shape[0], b->shape[1]);
	if (a->shape[0] < 1 || a->shape[0] > ADAPTER_MAX_RANK)
		return t2l_fail(err, T2L_EFORMAT,
		    "%s: %s: rank %" PRId64 " is not between 1 and %d; is this a LoRA?",
		    safetensors_path(st), path, a->shape[0], ADAPTER_MAX_RANK);
	if ((status = pattern_table_find(config->ranks, path, &rank, err)) != T2L_OK ||
	    (status = pattern_table_find(config->alphas, path, &alpha, err)) != T2L_OK)
		return status;
	if ((double)a->shape[0] != rank)
		return t2l_fail(err, T2L_EFORMAT, "%s: %s has rank %" PRId64 ", but %s says %g",
		    safetensors_path(st), path, a->shape[0], config->path, rank);
	module->rank = (int)a->shape[0];
	module->alpha = alpha;
	module->a.shape[1] = a->shape[1];
	module->bt.shape[1] = b->shape[0];
	return T2L_OK;
}

/* A stands without its B, or the other way round; something foreign where the partner should be is
 * the better thing to name. */
static enum t2l_status
fail_alone(const struct safetensors *st, const struct safetensors_entry *entry,
    const struct safetensors_entry *next, const char *partner, struct t2l_error *err)
{
	struct adapter_module other;
	bool is_a;

	if (next != NULL && !parse_name(next->name, &other, &is_a) && !is_copy_of_base(next->name))
		return refuse_name(st, next->name, err);
	return t2l_fail(err, T2L_EFORMAT, "%s: tensor '%s' is there without '%s'",
	    safetensors_path(st), entry->name, partner);
}

/* Entries come in byte order of their names, so a module's A stands right before its B. */
static enum t2l_status
list_modules(const struct peft_config *config, const struct safetensors *st,
    struct adapter_module *modules, size_t *n_modules, struct t2l_error *err)
{
	const size_t n = safetensors_count(st);
	enum t2l_status status = T2L_OK;

	*n_modules = 0;
	for (size_t i = 0; i < n && status == T2L_OK; i++) {
		const struct safetensors_entry *a = safetensors_at(st, i);
		const struct safetensors_entry *b = i + 1 < n ? safetensors_at(st, i + 1) : NULL;
		struct adapter_module *module = &modules[*n_modules];
		char partner[ADAPTER_NAME_SIZE];
		bool is_a;

		if (is_copy_of_base(a->name))
			continue;
		if (!parse_name(a->name, module, &is_a))
			return refuse_name(st, a->name, err);
		adapter_tensor_name(module, !is_a, partner, sizeof partner);
		if (!is_a || b == NULL || strcmp(b->name, partner) != 0)
			return fail_alone(st, a, b, partner, err);
		status = measure(config, st, a, b, module, err);
		++*n_modules;
		i++;
	}
	return status;
}

/* B [out, rank] as stored -> BT [rank, out]. */
static void
read_transposed(const struct safetensors_entry *entry, struct tensor *bt)
{
	const int64_t rank = bt->shape[0], out = bt->shape[1];
	const size_t row_bytes = dtype_row_bytes(entry->dtype, rank);
	float row[ADAPTER_MAX_RANK];

	for (int64_t i = 0; i < out; i++) {
		dtype_to_f32(
		    entry->dtype, (const char *)entry->bytes + (size_t)i * row_bytes, row, rank);
		for (int64_t j = 0; j < rank; j++)
			tensor_f32(bt)[j * out + i] = row[j];
	}
}

static void
read_numbers(const struct safetensors *st, struct t2l_adapter *adapter)
{
	for (size_t i = 0; i < adapter->n_modules; i++) {
		struct adapter_module *module = &adapter->modules[i];
		const struct safetensors_entry *entry =
		    safetensors_find(st, adapter->tensor_names[2 * i]);

		dtype_to_f32(
		    entry->dtype, entry->bytes, tensor_f32(&module->a), tensor_count(&module->a));
		read_transposed(
		    safetensors_find(st, adapter->tensor_names[2 * i + 1]), &module->bt);
	}
}

static enum t2l_status
read_adapter(const struct peft_config *config, const struct safetensors *st,
    const struct adapter_labels *labels, struct t2l_adapter **out, struct t2l_error *err)
{
	struct adapter_module *modules = calloc(safetensors_count(st) / 2 + 1, sizeof *modules);
	struct adapter_labels with_base = *labels;
	struct t2l_adapter *adapter = NULL;
	enum t2l_status status;
	size_t n;

	if (modules == NULL)
		return t2l_fail(err, T2L_ENOMEM, "%s: out of memory", safetensors_path(st));
	if (with_base.base_name == NULL)
		with_base.base_name = config->base_name;
	if ((status = list_modules(config, st, modules, &n, err)) == T2L_OK) {
		status = adapter_create(modules, n, config->use_rslora, &with_base, &adapter, err);
		if (status == T2L_OK) {
			read_numbers(st, adapter);
			status = adapter_seal(adapter, err);
		}
		if (status != T2L_OK)
			t2l_context(err, "%s", safetensors_path(st));
	}
	free(modules);
	if (status != T2L_OK)
		t2l_adapter_close(adapter);
	else
		*out = adapter;
	return status;
}

enum t2l_status
peft_read(const cJSON *root, const char *config_path, const struct safetensors *st,
    const struct adapter_labels *labels, struct t2l_adapter **adapter, struct t2l_error *err)
{
	struct peft_config config;
	enum t2l_status status = read_config(root, config_path, &config, err);

	if (status == T2L_OK)
		status = read_adapter(&config, st, labels, adapter, err);
	pattern_table_free(config.ranks);
	pattern_table_free(config.alphas);
	return status;
}

/* ---- a directory ---- */

enum t2l_status
peft_open(const char *directory, struct t2l_adapter **out, struct t2l_error *err)
{
	struct adapter_labels labels = { .name = NULL };
	char config_path[4096], model_path[4096];
	struct t2l_adapter *adapter;
	struct safetensors *st;
	enum t2l_status status;
	cJSON *root;

	if (snprintf(config_path, sizeof config_path, "%s/" PEFT_CONFIG_NAME, directory) >=
		(int)sizeof config_path ||
	    snprintf(model_path, sizeof model_path, "%s/" PEFT_MODEL_NAME, directory) >=
		(int)sizeof model_path)
		return t2l_fail(err, T2L_EINVAL, "the path '%.60s...' is too long", directory);
	if ((status = json_open(config_path, MAX_CONFIG_BYTES, &root, err)) != T2L_OK)
		return t2l_context(err, "'%s' is no PEFT adapter", directory);
	/* Old versions of PEFT wrote a torch checkpoint; safetensors_open() reads both. */
	if (access(model_path, F_OK) != 0)
		snprintf(model_path, sizeof model_path, "%s/" PEFT_TORCH_NAME, directory);
	if (access(model_path, F_OK) != 0) {
		cJSON_Delete(root);
		return t2l_fail(err, T2L_ENOENT,
		    "'%s' has neither " PEFT_MODEL_NAME " nor " PEFT_TORCH_NAME, directory);
	}
	if ((status = safetensors_open(model_path, &st, err)) == T2L_OK) {
		labels.task = safetensors_metadata(st, ADAPTER_TASK_KEY);
		status = peft_read(root, config_path, st, &labels, &adapter, err);
		safetensors_close(st);
	}
	cJSON_Delete(root);
	if (status != T2L_OK)
		return status;
	snprintf(adapter->facts.format, sizeof adapter->facts.format, "peft");
	*out = adapter;
	return T2L_OK;
}
