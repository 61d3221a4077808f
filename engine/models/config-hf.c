/* config-hf.c - config.json of a Hugging Face model directory -> decoder_config. */
#include <stdio.h>
#include <string.h>

#include "engine/formats/json.h"
#include "engine/models/loader.h"

#define CONFIG_LIMIT (1 << 20)
#define PATH_SIZE 4096

static const char *const architectures[] = { "LlamaForCausalLM", "LLaMAForCausalLM" };

static const struct {
	const char *name;
	enum activation activation;
} activations[] = {
	{ "silu", ACTIVATION_SILU },
	{ "swish", ACTIVATION_SILU },
	{ "gelu", ACTIVATION_GELU },
	{ "gelu_new", ACTIVATION_GELU_TANH },
	{ "gelu_pytorch_tanh", ACTIVATION_GELU_TANH },
	{ "relu", ACTIVATION_RELU },
};

static enum t2l_status
read_architecture(
    const cJSON *json, const char *path, struct decoder_config *config, struct t2l_error *err)
{
	const char *type = NULL, *name = NULL;
	const cJSON *list = NULL;
	enum t2l_status status = json_string(json, "model_type", JSON_OPTIONAL, path, &type, err);

	if (status == T2L_OK)
		status = json_array(json, "architectures", JSON_OPTIONAL, path, &list, err);
	if (status != T2L_OK)
		return status;
	if (list != NULL && cJSON_IsString(cJSON_GetArrayItem(list, 0)))
		name = cJSON_GetArrayItem(list, 0)->valuestring;
	if (type == NULL && name == NULL)
		return t2l_fail(err, T2L_EFORMAT,
		    "%s: neither 'model_type' nor 'architectures' is there; is this a model's "
		    "configuration?",
		    path);
	bool known = name == NULL;
	for (size_t i = 0; i < sizeof architectures / sizeof *architectures && !known; i++)
		known = strcmp(name, architectures[i]) == 0;
	if (!known || (type != NULL && strcmp(type, "llama") != 0))
		return t2l_fail(err, T2L_EUNSUPPORTED,
		    "%s: architecture '%s' is not supported; supported: llama (%s)", path,
		    name != NULL && !known ? name : type, architectures[0]);
	snprintf(config->architecture, sizeof config->architecture, "llama");
	return T2L_OK;
}

struct size_key {
	const char *key;
	int *value;
	enum json_need need;
};

static enum t2l_status
read_sizes(
    const cJSON *json, const char *path, struct decoder_config *config, struct t2l_error *err)
{
	const struct size_key keys[] = {
		{ "num_hidden_layers", &config->n_layers, JSON_REQUIRED },
		{ "hidden_size", &config->hidden_size, JSON_REQUIRED },
		{ "num_attention_heads", &config->n_heads, JSON_REQUIRED },
		{ "num_key_value_heads", &config->n_kv_heads, JSON_OPTIONAL },
		{ "head_dim", &config->head_dim, JSON_OPTIONAL },
		{ "intermediate_size", &config->ffn_size, JSON_REQUIRED },
		{ "vocab_size", &config->vocab_size, JSON_REQUIRED },
		{ "max_position_embeddings", &config->context_length, JSON_REQUIRED },
	};

	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
		int64_t value = 0;
		enum t2l_status status =
		    json_integer(json, keys[i].key, keys[i].need, 1, INT32_MAX, path, &value, err);

		if (status != T2L_OK)
			return status;
		*keys[i].value = (int)value;
	}
	if (config->n_kv_heads == 0)
		config->n_kv_heads = config->n_heads;
	if (config->head_dim == 0) {
		if (config->hidden_size % config->n_heads != 0)
			return t2l_fail(err, T2L_EFORMAT,
			    "%s: hidden_size %d is no multiple of num_attention_heads %d and "
			    "there is no head_dim",
			    path, config->hidden_size, config->n_heads);
		config->head_dim = config->hidden_size / config->n_heads;
	}
	return T2L_OK;
}

/* rope_theta stands at the top level, or with the scaling in rope_parameters (transformers 5). */
static enum t2l_status
read_rope(const cJSON *json, const char *path, struct decoder_config *config, struct t2l_error *err)
{
	static const char *const groups[] = { "rope_scaling", "rope_parameters" };
	enum t2l_status status;
	double rotated = 1;

	config->rope_theta = 10000.0;
	status =
	    json_number(json, "rope_theta", JSON_OPTIONAL, 1, 1e12, path, &config->rope_theta, err);
	for (size_t i = 0; i < 2 && status == T2L_OK; i++) {
		const cJSON *rope = NULL;
		const char *type = NULL;

		status = json_object(json, groups[i], JSON_OPTIONAL, path, &rope, err);
		if (status != T2L_OK || rope == NULL)
			continue;
		status = json_number(
		    rope, "rope_theta", JSON_OPTIONAL, 1, 1e12, path, &config->rope_theta, err);
		if (status == T2L_OK)
			status = json_string(rope, "type", JSON_OPTIONAL, path, &type, err);
		if (status == T2L_OK)
			status = json_string(rope, "rope_type", JSON_OPTIONAL, path, &type, err);
		if (status == T2L_OK)
			status = json_number(rope, "partial_rotary_factor", JSON_OPTIONAL, 0, 1,
			    path, &rotated, err);
		if (status == T2L_OK && (type == NULL || strcmp(type, "default") != 0))
			status = t2l_fail(err, T2L_EUNSUPPORTED,
			    "%s: %s of type '%s' is not supported; only unscaled rotary embedding "
			    "is",
			    path, groups[i], type != NULL ? type : "(none)");
	}
	if (status == T2L_OK)
		status = json_number(
		    json, "partial_rotary_factor", JSON_OPTIONAL, 0, 1, path, &rotated, err);
	if (status == T2L_OK && rotated != 1)
		status = t2l_fail(err, T2L_EUNSUPPORTED,
		    "%s: partial_rotary_factor %g is not supported; only 1 is", path, rotated);
	return status;
}

static enum t2l_status
read_token_id(const cJSON *item, const char *key, const char *path, int *id, struct t2l_error *err)
{
	int64_t value;

	if (!json_whole(item, &value) || value < -1 || value > INT32_MAX)
		return t2l_fail(err, T2L_EFORMAT, "%s: key '%s' must be a token id", path, key);
	*id = (int)value;
	return T2L_OK;
}

/* One id, a list of ids, or null. */
static enum t2l_status
read_special_tokens(
    const cJSON *json, const char *path, struct decoder_config *config, struct t2l_error *err)
{
	const cJSON *bos = cJSON_GetObjectItemCaseSensitive(json, "bos_token_id");
	const cJSON *eos = cJSON_GetObjectItemCaseSensitive(json, "eos_token_id");
	const cJSON *item = eos;
	enum t2l_status status = T2L_OK;

	config->bos_id = -1;
	if (bos != NULL && !cJSON_IsNull(bos))
		status = read_token_id(bos, "bos_token_id", path, &config->bos_id, err);
	if (eos == NULL || cJSON_IsNull(eos))
		return status;
	if (cJSON_IsArray(eos))
		item = eos->child;
	for (; item != NULL && status == T2L_OK; item = cJSON_IsArray(eos) ? item->next : NULL) {
		if (config->n_eos == DECODER_MAX_EOS)
			return t2l_fail(err, T2L_EUNSUPPORTED,
			    "%s: more than %d eos_token_id are not supported", path,
			    DECODER_MAX_EOS);
		status = read_token_id(
		    item, "eos_token_id", path, &config->eos_ids[config->n_eos++], err);
	}
	return status;
}

static enum t2l_status
read_activation(
    const cJSON *json, const char *path, struct decoder_config *config, struct t2l_error *err)
{
	const char *name = "silu";
	enum t2l_status status = json_string(json, "hidden_act", JSON_OPTIONAL, path, &name, err);

	if (status != T2L_OK)
		return status;
	for (size_t i = 0; i < sizeof activations / sizeof *activations; i++) {
		if (strcmp(name, activations[i].name) == 0) {
			config->activation = activations[i].activation;
			return T2L_OK;
		}
	}
	return t2l_fail(err, T2L_EUNSUPPORTED, "%s: hidden_act '%s' is not supported", path, name);
}

static enum t2l_status
read_biases(
    const cJSON *json, const char *path, struct decoder_config *config, struct t2l_error *err)
{
	bool attention = false, mlp = false;
	enum t2l_status status =
	    json_bool(json, "attention_bias", JSON_OPTIONAL, path, &attention, err);

	if (status == T2L_OK)
		status = json_bool(json, "mlp_bias", JSON_OPTIONAL, path, &mlp, err);
	for (int m = 0; m <= MODULE_DOWN; m++)
		config->has_bias[m] = m >= MODULE_GATE ? mlp : attention;
	return status;
}

static enum t2l_status
read_config(
    const cJSON *json, const char *path, struct decoder_config *config, struct t2l_error *err)
{
	const cJSON *quantised = NULL;
	double epsilon = 1e-6;
	enum t2l_status status = read_architecture(json, path, config, err);

	if (status == T2L_OK)
		status =
		    json_object(json, "quantization_config", JSON_OPTIONAL, path, &quantised, err);
	if (status == T2L_OK && quantised != NULL)
		status = t2l_fail(err, T2L_EUNSUPPORTED,
		    "%s: weights quantised as 'quantization_config' says are not supported; use "
		    "the unquantised model or a GGUF file",
		    path);
	if (status == T2L_OK)
		status = read_sizes(json, path, config, err);
	if (status == T2L_OK)
		status = read_rope(json, path, config, err);
	if (status == T2L_OK)
		status = read_activation(json, path, config, err);
	if (status == T2L_OK)
		status = json_number(
		    json, "rms_norm_eps", JSON_OPTIONAL, 1e-12, 0.1, path, &epsilon, err);
	if (status == T2L_OK)
		status = json_bool(json, "tie_word_embeddings", JSON_OPTIONAL, path,
		    &config->tied_embeddings, err);
	if (status == T2L_OK)
		status = read_biases(json, path, config, err);
	if (status == T2L_OK)
		status = read_special_tokens(json, path, config, err);
	config->norm_epsilon = (float)epsilon;
	return status;
}

static enum t2l_status
read_document(cJSON *json, const char *path, struct decoder_config *config, struct t2l_error *err)
{
	enum t2l_status status;

	memset(config, 0, sizeof *config);
	if (!cJSON_IsObject(json))
		status = t2l_fail(err, T2L_EFORMAT, "%s: not a JSON object", path);
	else
		status = read_config(json, path, config, err);
	cJSON_Delete(json);
	return status;
}

enum t2l_status
config_parse_hf(const char *text, size_t n, const char *path, struct decoder_config *config,
    struct t2l_error *err)
{
	cJSON *json = NULL;
	enum t2l_status status = json_parse(text, n, path, &json, err);

	return status == T2L_OK ? read_document(json, path, config, err) : status;
}

enum t2l_status
config_read_hf(const char *directory, struct decoder_config *config, struct t2l_error *err)
{
	char path[PATH_SIZE];
	cJSON *json = NULL;
	enum t2l_status status;

	if ((size_t)snprintf(path, sizeof path, "%s/config.json", directory) >= sizeof path)
		return t2l_fail(err, T2L_EINVAL, "%.200s...: the path is too long", directory);
	status = json_open(path, CONFIG_LIMIT, &json, err);
	return status == T2L_OK ? read_document(json, path, config, err) : status;
}
