/* loader-gguf.c - a GGUF file of architecture llama. */
#include <stdio.h>
#include <string.h>

#include "engine/models/loader.h"
#include "engine/text/tokenizer.h"

static enum t2l_status
check_architecture(const struct gguf *gguf, struct decoder_config *config, struct t2l_error *err)
{
	const char *type = "model", *architecture = NULL;
	enum t2l_status status = gguf_string(gguf, "general.type", false, &type, err);

	if (status == T2L_OK && strcmp(type, "model") != 0)
		return t2l_fail(err, T2L_EINVAL,
		    "%s: this GGUF file holds '%.40s', not a model; a base model is needed here",
		    gguf_path(gguf), type);
	if (status == T2L_OK)
		status = gguf_string(gguf, "general.architecture", true, &architecture, err);
	if (status == T2L_OK && strcmp(architecture, "llama") != 0)
		return t2l_fail(err, T2L_EUNSUPPORTED,
		    "%s: architecture '%.60s' is not supported; supported: llama", gguf_path(gguf),
		    architecture);
	snprintf(config->architecture, sizeof config->architecture, "llama");
	return status;
}

struct size_key {
	const char *key;
	int *value;
	bool required;
};

static enum t2l_status
read_sizes(const struct gguf *gguf, struct decoder_config *config, struct t2l_error *err)
{
	const struct size_key keys[] = {
		{ "llama.block_count", &config->n_layers, true },
		{ "llama.embedding_length", &config->hidden_size, true },
		{ "llama.attention.head_count", &config->n_heads, true },
		{ "llama.attention.head_count_kv", &config->n_kv_heads, false },
		{ "llama.attention.key_length", &config->head_dim, false },
		{ "llama.feed_forward_length", &config->ffn_size, true },
		{ "llama.context_length", &config->context_length, true },
	};

	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
		int64_t value = 0;
		enum t2l_status status =
		    gguf_integer(gguf, keys[i].key, keys[i].required, 1, INT32_MAX, &value, err);

		if (status != T2L_OK)
			return status;
		*keys[i].value = (int)value;
	}
	if (config->n_kv_heads == 0)
		config->n_kv_heads = config->n_heads;
	if (config->head_dim == 0)
		config->head_dim = config->hidden_size / config->n_heads;
	return T2L_OK;
}

/* What a llama file may have that we do not compute: better refused than ignored. */
static enum t2l_status
refuse_what_is_not_ours(
    const struct gguf *gguf, const struct decoder_config *config, struct t2l_error *err)
{
	int64_t experts = 0, rotated = config->head_dim, value_length = config->head_dim;
	const char *scaling = "none";
	enum t2l_status status =
	    gguf_integer(gguf, "llama.expert_count", false, 0, INT32_MAX, &experts, err);

	if (status == T2L_OK && experts > 0)
		return t2l_fail(err, T2L_EUNSUPPORTED,
		    "%s: a mixture of %lld experts is not supported", gguf_path(gguf),
		    (long long)experts);
	if (status == T2L_OK)
		status = gguf_string(gguf, "llama.rope.scaling.type", false, &scaling, err);
	if (status == T2L_OK && strcmp(scaling, "none") != 0)
		return t2l_fail(err, T2L_EUNSUPPORTED, "%s: rope scaling '%.40s' is not supported",
		    gguf_path(gguf), scaling);
	if (status == T2L_OK && gguf_find(gguf, "rope_freqs.weight") != NULL)
		return t2l_fail(err, T2L_EUNSUPPORTED,
		    "%s: rope scaling of LLaMA 3 (tensor rope_freqs.weight) is not supported",
		    gguf_path(gguf));
	if (status == T2L_OK)
		status = gguf_integer(
		    gguf, "llama.rope.dimension_count", false, 0, INT32_MAX, &rotated, err);
	if (status == T2L_OK)
		status = gguf_integer(
		    gguf, "llama.attention.value_length", false, 0, INT32_MAX, &value_length, err);
	if (status == T2L_OK && (rotated != config->head_dim || value_length != config->head_dim))
		return t2l_fail(err, T2L_EUNSUPPORTED,
		    "%s: heads of %d with %lld rotated and values of %lld are not supported",
		    gguf_path(gguf), config->head_dim, (long long)rotated, (long long)value_length);
	return status;
}

static enum t2l_status
read_config(const struct gguf *gguf, struct decoder_config *config, struct t2l_error *err)
{
	const struct gguf_entry *embedding = gguf_find(gguf, decoder_names_gguf.embedding);
	double epsilon = 0;
	int64_t bos = -1, eos = -1;
	enum t2l_status status = check_architecture(gguf, config, err);

	if (status == T2L_OK)
		status = read_sizes(gguf, config, err);
	if (status == T2L_OK)
		status = refuse_what_is_not_ours(gguf, config, err);
	if (status == T2L_OK)
		status = gguf_number(
		    gguf, "llama.attention.layer_norm_rms_epsilon", true, &epsilon, err);
	config->rope_theta = 10000.0;
	if (status == T2L_OK)
		status = gguf_number(gguf, "llama.rope.freq_base", false, &config->rope_theta, err);
	if (status == T2L_OK)
		status = gguf_integer(
		    gguf, "tokenizer.ggml.bos_token_id", false, -1, INT32_MAX, &bos, err);
	if (status == T2L_OK)
		status = gguf_integer(
		    gguf, "tokenizer.ggml.eos_token_id", false, -1, INT32_MAX, &eos, err);
	if (status != T2L_OK)
		return status;
	if (embedding == NULL || embedding->n_dims != 2 || embedding->shape[0] > INT32_MAX)
		return t2l_fail(err, T2L_EFORMAT, "%s: tensor '%s' is missing or no matrix",
		    gguf_path(gguf), decoder_names_gguf.embedding);
	config->norm_epsilon = (float)epsilon;
	config->activation = ACTIVATION_SILU;
	config->vocab_size = (int)embedding->shape[0];
	config->rope_neighbours = true;
	config->tied_embeddings = gguf_find(gguf, decoder_names_gguf.head) == NULL;
	config->bos_id = (int)bos;
	if (eos >= 0)
		config->eos_ids[config->n_eos++] = (int)eos;
	return T2L_OK;
}

/* GGUF has no key for biases: they are there or not. */
static void
find_biases(const struct gguf *gguf, struct decoder_config *config)
{
	for (int m = 0; m <= MODULE_DOWN; m++) {
		char name[64];

		snprintf(name, sizeof name, "blk.0.%s.bias", decoder_names_gguf.module[m]);
		config->has_bias[m] = gguf_find(gguf, name) != NULL;
	}
}

enum t2l_status
load_gguf(const char *path, struct base_model *model, struct t2l_error *err)
{
	enum t2l_status status = gguf_open(path, &model->source->gguf, err);

	if (status == T2L_OK)
		status = read_config(model->source->gguf, &model->decoder.config, err);
	if (status != T2L_OK)
		return status;
	if (decoder_prepare(&model->decoder, err) != T2L_OK)
		return t2l_context(err, "%s", path);
	find_biases(model->source->gguf, &model->decoder.config);
	status = decoder_bind(&model->decoder, model->source, &decoder_names_gguf, err);
	if (status == T2L_OK)
		status = tokenizer_read_gguf(model->source->gguf, &model->tokenizer, err);
	return status;
}
