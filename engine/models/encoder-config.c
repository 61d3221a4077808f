/* encoder-config.c - the JSON files of a sentence-transformers directory -> encoder_config. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/formats/json.h"
#include "engine/models/encoder-load.h"

#define CONFIG_LIMIT (1 << 20)
#define PATH_SIZE 4096

static const struct {
	const char *name;
	enum activation activation;
} activations[] = {
	{ "gelu", ACTIVATION_GELU },
	{ "gelu_new", ACTIVATION_GELU_TANH },
	{ "gelu_pytorch_tanh", ACTIVATION_GELU_TANH },
	{ "relu", ACTIVATION_RELU },
	{ "silu", ACTIVATION_SILU },
};

/* Opens DIRECTORY/NAME; *JSON stays NULL when there is none and it is not needed. */
static enum t2l_status
open_part(const char *directory, const char *name, enum json_need need, char path[PATH_SIZE],
    cJSON **json, struct t2l_error *err)
{
	enum t2l_status status;

	if ((size_t)snprintf(path, PATH_SIZE, "%s/%s", directory, name) >= PATH_SIZE)
		return t2l_fail(err, T2L_EINVAL, "%.200s...: the path is too long", directory);
	if (need == JSON_OPTIONAL && access(path, F_OK) != 0)
		return T2L_OK;
	status = json_open(path, CONFIG_LIMIT, json, err);
	if (status == T2L_OK && !cJSON_IsObject(*json)) {
		cJSON_Delete(*json);
		*json = NULL;
		return t2l_fail(err, T2L_EFORMAT, "%s: not a JSON object", path);
	}
	return status;
}

static enum t2l_status
read_sizes(
    const cJSON *json, const char *path, struct encoder_config *config, struct t2l_error *err)
{
	const struct {
		const char *key;
		int *value;
		int64_t least, most;
	} keys[] = {
		{ "num_hidden_layers", &config->n_layers, 1, 1024 },
		{ "hidden_size", &config->hidden_size, 1, 1 << 16 },
		{ "num_attention_heads", &config->n_heads, 1, 4096 },
		{ "intermediate_size", &config->ffn_size, 1, 1 << 18 },
		{ "vocab_size", &config->vocab_size, 1, 1 << 22 },
		{ "max_position_embeddings", &config->max_positions, 2, 1 << 20 },
		{ "type_vocab_size", &config->n_types, 0, 1 << 10 },
	};
	double epsilon = 1e-12;
	enum t2l_status status;

	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
		int64_t value = 0;

		status = json_integer(json, keys[i].key, JSON_REQUIRED, keys[i].least, keys[i].most,
		    path, &value, err);
		if (status != T2L_OK)
			return status;
		*keys[i].value = (int)value;
	}
	if (config->hidden_size % config->n_heads != 0)
		return t2l_fail(err, T2L_EFORMAT,
		    "%s: hidden_size %d is no multiple of num_attention_heads %d", path,
		    config->hidden_size, config->n_heads);
	if (config->kind == ENCODER_GTE && config->hidden_size / config->n_heads % 2 != 0)
		return t2l_fail(err, T2L_EFORMAT, "%s: heads of an odd size have no rope", path);
	status =
	    json_number(json, "layer_norm_eps", JSON_OPTIONAL, 1e-15, 0.1, path, &epsilon, err);
	config->norm_epsilon = (float)epsilon;
	return status;
}

/* GTE's rope, and what its code could do otherwise and none of its models does. */
static enum t2l_status
read_gte(const cJSON *json, const char *path, struct encoder_config *config, struct t2l_error *err)
{
	bool packed = true, log_n = false;
	const char *norm = "layer_norm", *scaling_type = "ntk";
	const cJSON *scaling = NULL;
	enum t2l_status status;

	config->rope_theta = 10000;
	config->ntk_factor = 1;
	if ((status = json_bool(json, "pack_qkv", JSON_OPTIONAL, path, &packed, err)) != T2L_OK ||
	    (status = json_bool(json, "logn_attention_scale", JSON_OPTIONAL, path, &log_n, err)) !=
		T2L_OK ||
	    (status = json_string(json, "layer_norm_type", JSON_OPTIONAL, path, &norm, err)) !=
		T2L_OK ||
	    (status = json_number(json, "rope_theta", JSON_OPTIONAL, 1, 1e12, path,
		 &config->rope_theta, err)) != T2L_OK ||
	    (status = json_object(json, "rope_scaling", JSON_OPTIONAL, path, &scaling, err)) !=
		T2L_OK)
		return status;
	if (!packed || log_n || strcmp(norm, "layer_norm") != 0)
		return t2l_fail(err, T2L_EUNSUPPORTED,
		    "%s: pack_qkv false, logn_attention_scale true and a layer_norm_type other "
		    "than "
		    "'layer_norm' are not supported",
		    path);
	if (scaling == NULL)
		return T2L_OK;
	if ((status = json_string(scaling, "type", JSON_REQUIRED, path, &scaling_type, err)) !=
		T2L_OK ||
	    (status = json_number(scaling, "factor", JSON_REQUIRED, 1, 1e6, path,
		 &config->ntk_factor, err)) != T2L_OK)
		return status;
	return strcmp(scaling_type, "ntk") == 0
		   ? T2L_OK
		   : t2l_fail(err, T2L_EUNSUPPORTED, "%s: rope_scaling type '%s' is not supported",
			 path, scaling_type);
}

static const struct architecture {
	const char *type, *positions;
	enum encoder_kind kind;
} architectures[] = {
	{ "bert", "absolute", ENCODER_BERT },
	{ "new", "rope", ENCODER_GTE },
	{ NULL, NULL, 0 },
};

static enum t2l_status
read_network(
    const cJSON *json, const char *path, struct encoder_config *config, struct t2l_error *err)
{
	const char *type = NULL, *activation = "gelu", *positions;
	enum t2l_status status = json_string(json, "model_type", JSON_REQUIRED, path, &type, err);
	const struct architecture *architecture = architectures;

	if (status != T2L_OK)
		return status;
	while (architecture->type != NULL && strcmp(type, architecture->type) != 0)
		architecture++;
	if (architecture->type == NULL)
		return t2l_fail(err, T2L_EUNSUPPORTED,
		    "%s: encoder architecture '%s' is not supported; supported: bert, new (GTE "
		    "v1.5) and every base model",
		    path, type);
	config->kind = architecture->kind;
	positions = architecture->positions;
	status = json_string(json, "position_embedding_type", JSON_OPTIONAL, path, &positions, err);
	if (status == T2L_OK && strcmp(positions, architecture->positions) != 0)
		return t2l_fail(err, T2L_EUNSUPPORTED,
		    "%s: position_embedding_type '%s' is not supported", path, positions);
	if (status == T2L_OK && config->kind == ENCODER_GTE)
		status = read_gte(json, path, config, err);
	if (status == T2L_OK)
		status = json_string(json, "hidden_act", JSON_OPTIONAL, path, &activation, err);
	if (status == T2L_OK)
		status = read_sizes(json, path, config, err);
	if (status != T2L_OK)
		return status;
	for (size_t i = 0; i < sizeof activations / sizeof *activations; i++) {
		if (strcmp(activation, activations[i].name) == 0) {
			config->activation = activations[i].activation;
			return T2L_OK;
		}
	}
	return t2l_fail(
	    err, T2L_EUNSUPPORTED, "%s: hidden_act '%s' is not supported", path, activation);
}

/* 1_Pooling/config.json: exactly one mode of ours is on. Without the file it is the mean, as
 * sentence-transformers does; of GTE the first token, as its authors do. */
static enum t2l_status
read_pooling(
    const cJSON *json, const char *path, struct encoder_config *config, struct t2l_error *err)
{
	static const struct {
		const char *key;
		enum pooling pooling;
		bool ours;
	} modes[] = {
		{ "pooling_mode_mean_tokens", POOLING_MEAN, true },
		{ "pooling_mode_cls_token", POOLING_CLS, true },
		{ "pooling_mode_lasttoken", POOLING_LAST, true },
		{ "pooling_mode_max_tokens", POOLING_MEAN, false },
		{ "pooling_mode_mean_sqrt_len_tokens", POOLING_MEAN, false },
		{ "pooling_mode_weightedmean_tokens", POOLING_MEAN, false },
	};
	int n_on = 0;

	config->pooling = config->kind == ENCODER_GTE ? POOLING_CLS : POOLING_MEAN;
	if (json == NULL)
		return T2L_OK;
	for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
		bool on = false;
		enum t2l_status status =
		    json_bool(json, modes[i].key, JSON_OPTIONAL, path, &on, err);

		if (status != T2L_OK)
			return status;
		if (on && !modes[i].ours)
			return t2l_fail(err, T2L_EUNSUPPORTED,
			    "%s: %s is not supported; mean, cls and lasttoken are", path,
			    modes[i].key);
		if (on)
			config->pooling = modes[i].pooling;
		n_on += on;
	}
	if (n_on != 1)
		return t2l_fail(err, T2L_EUNSUPPORTED,
		    "%s: %d pooling modes are on; exactly one is supported", path, n_on);
	return T2L_OK;
}

/* 2_Dense/config.json: a last linear layer. */
static enum t2l_status
read_projection(
    const cJSON *json, const char *path, struct encoder_config *config, struct t2l_error *err)
{
	const char *activation = "torch.nn.modules.linear.Identity";
	int64_t in = 0, out = 0;
	enum t2l_status status;

	if (json == NULL)
		return T2L_OK;
	status = json_integer(json, "in_features", JSON_REQUIRED, 1, 1 << 16, path, &in, err);
	if (status == T2L_OK)
		status =
		    json_integer(json, "out_features", JSON_REQUIRED, 1, 1 << 16, path, &out, err);
	config->projection_bias = true;
	if (status == T2L_OK)
		status =
		    json_bool(json, "bias", JSON_OPTIONAL, path, &config->projection_bias, err);
	if (status == T2L_OK)
		status =
		    json_string(json, "activation_function", JSON_OPTIONAL, path, &activation, err);
	if (status != T2L_OK)
		return status;
	if (in != config->hidden_size)
		return t2l_fail(err, T2L_EFORMAT, "%s: in_features %lld is not the hidden size %d",
		    path, (long long)in, config->hidden_size);
	if (strcmp(activation, "torch.nn.modules.linear.Identity") != 0)
		return t2l_fail(err, T2L_EUNSUPPORTED,
		    "%s: activation_function '%s' is not supported; only the identity is", path,
		    activation);
	config->projection_size = (int)out;
	return T2L_OK;
}

/* sentence_bert_config.json says where texts are cut; 0 when it does not. */
static enum t2l_status
read_limit(
    const cJSON *json, const char *path, struct encoder_config *config, struct t2l_error *err)
{
	int64_t limit = config->max_positions;
	enum t2l_status status = T2L_OK;

	if (json != NULL)
		status = json_integer(
		    json, "max_seq_length", JSON_OPTIONAL, 2, 1 << 20, path, &limit, err);
	config->max_tokens = (int)(limit < config->max_positions ? limit : config->max_positions);
	return status;
}

/* modules.json lists the steps after the network: what we do not know must not be left out. */
static enum t2l_status
check_steps(const char *directory, struct t2l_error *err)
{
	static const char *const known[] = { "Transformer", "Pooling", "Dense", "Normalize" };
	char path[PATH_SIZE];
	cJSON *json = NULL;
	const cJSON *step;
	enum t2l_status status = T2L_OK;

	if ((size_t)snprintf(path, sizeof path, "%s/modules.json", directory) >= sizeof path ||
	    access(path, F_OK) != 0)
		return T2L_OK;
	status = json_open(path, CONFIG_LIMIT, &json, err);
	if (status != T2L_OK)
		return status;
	cJSON_ArrayForEach(step, json)
	{
		const char *type = NULL, *last;
		bool ours = false;

		if (status == T2L_OK)
			status = json_string(step, "type", JSON_REQUIRED, path, &type, err);
		if (status != T2L_OK)
			break;
		last = strrchr(type, '.') != NULL ? strrchr(type, '.') + 1 : type;
		for (size_t i = 0; i < sizeof known / sizeof *known; i++)
			ours = ours || strcmp(last, known[i]) == 0;
		if (!ours)
			status = t2l_fail(
			    err, T2L_EUNSUPPORTED, "%s: step '%s' is not supported", path, type);
	}
	cJSON_Delete(json);
	return status;
}

enum t2l_status
encoder_is_base(const char *directory, bool *is_base, struct t2l_error *err)
{
	char path[PATH_SIZE];
	const char *type = NULL;
	cJSON *json = NULL;
	struct stat st;
	enum t2l_status status;

	*is_base = true;
	if (stat(directory, &st) != 0)
		return t2l_fail_errno(err, "%s", directory);
	if (!S_ISDIR(st.st_mode))
		return T2L_OK;
	status = open_part(directory, "config.json", JSON_REQUIRED, path, &json, err);
	if (status == T2L_OK)
		status = json_string(json, "model_type", JSON_REQUIRED, path, &type, err);
	for (size_t i = 0; status == T2L_OK && architectures[i].type != NULL; i++)
		*is_base = *is_base && strcmp(type, architectures[i].type) != 0;
	cJSON_Delete(json);
	return status;
}

enum t2l_status
encoder_config_read(const char *directory, struct encoder_config *config, struct t2l_error *err)
{
	static const struct {
		const char *name;
		enum json_need need;
		enum t2l_status (*read)(const cJSON *json, const char *path,
		    struct encoder_config *config, struct t2l_error *err);
	} parts[] = {
		{ "config.json", JSON_REQUIRED, read_network },
		{ "1_Pooling/config.json", JSON_OPTIONAL, read_pooling },
		{ "2_Dense/config.json", JSON_OPTIONAL, read_projection },
		{ "sentence_bert_config.json", JSON_OPTIONAL, read_limit },
	};
	enum t2l_status status = T2L_OK;

	memset(config, 0, sizeof *config);
	for (size_t i = 0; i < sizeof parts / sizeof *parts && status == T2L_OK; i++) {
		char path[PATH_SIZE];
		cJSON *json = NULL;

		status = open_part(directory, parts[i].name, parts[i].need, path, &json, err);
		if (status == T2L_OK)
			status = parts[i].read(json, path, config, err);
		cJSON_Delete(json);
	}
	return status == T2L_OK ? check_steps(directory, err) : status;
}
