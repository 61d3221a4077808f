/* config-hf.c - config.json of a Hugging Face model directory -> decoder_config. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "engine/formats/json.h"
#include "engine/models/loader.h"

#define CONFIG_LIMIT (1 << 20)
#define PATH_SIZE 4096

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
	const struct architecture *by_class, *by_type;
	const char *type = NULL, *name = NULL;
	const cJSON *list = NULL;
	char list_text[256];
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
	by_class = name != NULL ? architecture_by_class(name) : NULL;
	by_type = type != NULL ? architecture_by_name(type) : NULL;
	if ((name != NULL && by_class == NULL) || (type != NULL && by_type == NULL))
		return t2l_fail(err, T2L_EUNSUPPORTED,
		    "%s: architecture '%.80s' is not supported; supported: %s", path,
		    name != NULL && by_class == NULL ? name : type,
		    architecture_list(false, list_text, sizeof list_text));
	if (name != NULL && type != NULL && by_class != by_type)
		return t2l_fail(err, T2L_EFORMAT,
		    "%s: model_type '%.80s' does not fit architecture '%.80s'", path, type, name);
	config->kind = name != NULL ? by_class : by_type;
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
	const bool experts = architecture_module(config->kind, ROLE_ROUTER) != N_MODULES;
	const enum json_need of_experts = experts ? JSON_REQUIRED : JSON_OPTIONAL;
	int none;
	const struct size_key keys[] = {
		{ "num_hidden_layers", &config->n_layers, JSON_REQUIRED },
		{ "hidden_size", &config->hidden_size, JSON_REQUIRED },
		{ "num_attention_heads", &config->n_heads, JSON_REQUIRED },
		{ "num_key_value_heads", &config->n_kv_heads, JSON_OPTIONAL },
		{ "head_dim", &config->head_dim, JSON_OPTIONAL },
		{ "intermediate_size", &config->ffn_size, experts ? JSON_OPTIONAL : JSON_REQUIRED },
		{ "vocab_size", &config->vocab_size, JSON_REQUIRED },
		{ "max_position_embeddings", &config->context_length, JSON_REQUIRED },
		/* Either name, by the version of what wrote it; that one is there is checked with
		 * the ranges. */
		{ "num_experts", experts ? &config->n_experts : &none, JSON_OPTIONAL },
		{ "num_local_experts", experts ? &config->n_experts : &none, JSON_OPTIONAL },
		{ "num_experts_per_tok", experts ? &config->n_experts_used : &none, of_experts },
		{ "moe_intermediate_size", experts ? &config->expert_ffn_size : &none, of_experts },
	};

	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
		const char *key = architecture_key(config->kind, keys[i].key);
		int64_t value = 0;
		enum t2l_status status =
		    json_integer(json, key, keys[i].need, 1, INT32_MAX, path, &value, err);

		if (status != T2L_OK)
			return status;
		if (value > 0)
			*keys[i].value = (int)value;
	}
	if (config->kind->paired_ffn)
		config->ffn_size /= 2;
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

/* ---- windows, caps, experts ---- */

/* Newer files say it layer by layer. */
static enum t2l_status
read_layer_types(
    const cJSON *types, const char *path, struct decoder_config *config, struct t2l_error *err)
{
	const cJSON *item;
	int i = 0;

	cJSON_ArrayForEach(item, types)
	{
		bool slides =
		    cJSON_IsString(item) && strcmp(item->valuestring, "sliding_attention") == 0;

		if (!slides &&
		    !(cJSON_IsString(item) && strcmp(item->valuestring, "full_attention") == 0))
			return t2l_fail(err, T2L_EUNSUPPORTED,
			    "%s: layer_types: layer %d is '%.40s'; supported: full_attention, "
			    "sliding_attention",
			    path, i, cJSON_IsString(item) ? item->valuestring : "no text");
		if (i < DECODER_MAX_LAYERS)
			config->slides[i] = slides;
		i++;
	}
	if (i != config->n_layers)
		return t2l_fail(err, T2L_EFORMAT,
		    "%s: layer_types speaks of %d layers, num_hidden_layers of %d", path, i,
		    config->n_layers);
	return T2L_OK;
}

/* Published Qwen 2 files carry a sliding_window with use_sliding_window false: it does not count.
 */
static enum t2l_status
read_window(
    const cJSON *json, const char *path, struct decoder_config *config, struct t2l_error *err)
{
	const enum window_layers which = config->kind->window;
	int64_t window = 0, from = 28; /* max_window_layers' value when it is not said */
	bool used = which != WINDOW_SWITCH;
	const cJSON *types = NULL;
	enum t2l_status status = T2L_OK;

	if (which == WINDOW_NONE)
		return T2L_OK;
	if (which == WINDOW_SWITCH)
		status = json_bool(json, "use_sliding_window", JSON_OPTIONAL, path, &used, err);
	if (status == T2L_OK)
		status = json_integer(
		    json, "sliding_window", JSON_OPTIONAL, 0, INT32_MAX, path, &window, err);
	if (status == T2L_OK)
		status = json_integer(
		    json, "max_window_layers", JSON_OPTIONAL, 0, INT32_MAX, path, &from, err);
	if (status == T2L_OK)
		status = json_array(json, "layer_types", JSON_OPTIONAL, path, &types, err);
	if (status != T2L_OK || !used || window == 0)
		return status;
	config->window = (int)window;
	if (types != NULL)
		return read_layer_types(types, path, config, err);
	for (int i = 0; i < config->n_layers && i < DECODER_MAX_LAYERS; i++)
		config->slides[i] =
		    which == WINDOW_EVEN ? i % 2 == 0 : which != WINDOW_SWITCH || i >= from;
	return T2L_OK;
}

/* What Gemma 2 has when its file does not say. */
#define GEMMA2_QUERY_SCALAR 256
#define GEMMA2_ATTENTION_CAP 50
#define GEMMA2_FINAL_CAP 30

static enum t2l_status
read_caps(const cJSON *json, const char *path, struct decoder_config *config, struct t2l_error *err)
{
	double scalar = GEMMA2_QUERY_SCALAR, attention = GEMMA2_ATTENTION_CAP;
	double final = GEMMA2_FINAL_CAP;
	enum t2l_status status;

	if (!config->kind->capped)
		return T2L_OK;
	status = json_number(
	    json, "query_pre_attn_scalar", JSON_OPTIONAL, 1e-6, 1e6, path, &scalar, err);
	if (status == T2L_OK)
		status = json_number(json, "attn_logit_softcapping", JSON_OPTIONAL, 1e-3, 1e6, path,
		    &attention, err);
	if (status == T2L_OK)
		status = json_number(
		    json, "final_logit_softcapping", JSON_OPTIONAL, 1e-3, 1e6, path, &final, err);
	/* null switches a cap off; only a missing key means the usual one. */
	if (cJSON_IsNull(cJSON_GetObjectItemCaseSensitive(json, "attn_logit_softcapping")))
		attention = 0;
	if (cJSON_IsNull(cJSON_GetObjectItemCaseSensitive(json, "final_logit_softcapping")))
		final = 0;
	config->query_scale = (float)(1 / sqrt(scalar));
	config->attention_cap = (float)attention;
	config->final_cap = (float) final;
	return status;
}

/* Variants of a family that no row describes: refused by name rather than run wrongly. */
static enum t2l_status
refuse_variants(
    const cJSON *json, const char *path, struct decoder_config *config, struct t2l_error *err)
{
	bool no_bias = true;
	int64_t sparse_step = 1;
	const cJSON *dense = NULL;
	enum t2l_status status =
	    json_bool(json, "qk_layernorm", JSON_OPTIONAL, path, &config->head_norms, err);

	if (status == T2L_OK)
		status = json_bool(json, "no_bias", JSON_OPTIONAL, path, &no_bias, err);
	if (status == T2L_OK)
		status = json_integer(json, "decoder_sparse_step", JSON_OPTIONAL, 0, INT32_MAX,
		    path, &sparse_step, err);
	if (status == T2L_OK)
		status = json_array(json, "mlp_only_layers", JSON_OPTIONAL, path, &dense, err);
	if (status != T2L_OK)
		return status;
	if (config->head_norms && !config->kind->optional_head_norms)
		return t2l_fail(err, T2L_EUNSUPPORTED,
		    "%s: qk_layernorm is not supported with model_type '%s'", path,
		    config->kind->name);
	if (!no_bias)
		return t2l_fail(err, T2L_EUNSUPPORTED, "%s: no_bias false is not supported", path);
	if (config->n_experts > 0 && (sparse_step != 1 || (dense != NULL && dense->child != NULL)))
		return t2l_fail(err, T2L_EUNSUPPORTED,
		    "%s: a mixture of experts in some layers only (decoder_sparse_step, "
		    "mlp_only_layers) is not supported",
		    path);
	return T2L_OK;
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
	const char *name = NULL;
	enum t2l_status status = json_string(json, "hidden_act", JSON_OPTIONAL, path, &name, err);

	if (status == T2L_OK) /* Gemma's newer key */
		status = json_string(json, "hidden_activation", JSON_OPTIONAL, path, &name, err);
	config->activation = config->kind->activation;
	if (status != T2L_OK || name == NULL)
		return status;
	for (size_t i = 0; i < sizeof activations / sizeof *activations; i++) {
		if (strcmp(name, activations[i].name) == 0) {
			config->activation = activations[i].activation;
			/* The first Gemma files say "gelu" and mean the other form. */
			if (config->kind->tanh_gelu && config->activation == ACTIVATION_GELU)
				config->activation = ACTIVATION_GELU_TANH;
			return T2L_OK;
		}
	}
	return t2l_fail(
	    err, T2L_EUNSUPPORTED, "%s: hidden_act '%.40s' is not supported", path, name);
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
	uint32_t biased = config->kind->biased | (attention ? config->kind->attention_biased : 0) |
			  (mlp ? config->kind->mlp_biased : 0);

	for (int m = 0; m < N_MODULES; m++)
		config->has_bias[m] = biased & MODULE_BIT(m);
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
		status = config_read_rope(json, path, config, err);
	if (status == T2L_OK)
		status = read_window(json, path, config, err);
	if (status == T2L_OK)
		status = read_caps(json, path, config, err);
	if (status == T2L_OK)
		status = refuse_variants(json, path, config, err);
	if (status == T2L_OK)
		status = read_activation(json, path, config, err);
	if (status == T2L_OK)
		status = json_number(json, architecture_key(config->kind, "rms_norm_eps"),
		    JSON_OPTIONAL, 1e-12, 0.1, path, &epsilon, err);
	if (status == T2L_OK) {
		config->norm_offset = config->kind->norm_offset;
		config->renormalise = config->kind->renormalise;
		config->tied_embeddings = config->kind->tied;
		status = json_bool(
		    json, "norm_topk_prob", JSON_OPTIONAL, path, &config->renormalise, err);
	}
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
