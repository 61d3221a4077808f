/* encoder-weights.c - one list of an encoder's weights, for loading, saving and fingerprints. */
#include "engine/models/encoder-weights.h"

#include <stddef.h>
#include <stdio.h>

/* Sizes that depend on the configuration; NONE rows make a vector. */
enum size { NONE, HIDDEN, FFN, HIDDEN_3, FFN_2 };

#define AT(field) offsetof(struct encoder_layer, field)

struct layer_weight {
	const char *name;
	size_t offset;
	enum size rows, cols;
};

static const struct layer_weight bert_weights[] = {
	{ "attention.self.query.weight", AT(q), HIDDEN, HIDDEN },
	{ "attention.self.query.bias", AT(q_bias), NONE, HIDDEN },
	{ "attention.self.key.weight", AT(k), HIDDEN, HIDDEN },
	{ "attention.self.key.bias", AT(k_bias), NONE, HIDDEN },
	{ "attention.self.value.weight", AT(v), HIDDEN, HIDDEN },
	{ "attention.self.value.bias", AT(v_bias), NONE, HIDDEN },
	{ "attention.output.dense.weight", AT(o), HIDDEN, HIDDEN },
	{ "attention.output.dense.bias", AT(o_bias), NONE, HIDDEN },
	{ "attention.output.LayerNorm.weight", AT(attention_norm), NONE, HIDDEN },
	{ "attention.output.LayerNorm.bias", AT(attention_norm_bias), NONE, HIDDEN },
	{ "intermediate.dense.weight", AT(up), FFN, HIDDEN },
	{ "intermediate.dense.bias", AT(up_bias), NONE, FFN },
	{ "output.dense.weight", AT(down), HIDDEN, FFN },
	{ "output.dense.bias", AT(down_bias), NONE, HIDDEN },
	{ "output.LayerNorm.weight", AT(mlp_norm), NONE, HIDDEN },
	{ "output.LayerNorm.bias", AT(mlp_norm_bias), NONE, HIDDEN },
};

static const struct layer_weight gte_weights[] = {
	{ "attention.qkv_proj.weight", AT(qkv), HIDDEN_3, HIDDEN },
	{ "attention.qkv_proj.bias", AT(qkv_bias), NONE, HIDDEN_3 },
	{ "attention.o_proj.weight", AT(o), HIDDEN, HIDDEN },
	{ "attention.o_proj.bias", AT(o_bias), NONE, HIDDEN },
	{ "attn_ln.weight", AT(attention_norm), NONE, HIDDEN },
	{ "attn_ln.bias", AT(attention_norm_bias), NONE, HIDDEN },
	{ "mlp.up_gate_proj.weight", AT(up_gate), FFN_2, HIDDEN },
	{ "mlp.down_proj.weight", AT(down), HIDDEN, FFN },
	{ "mlp.down_proj.bias", AT(down_bias), NONE, HIDDEN },
	{ "mlp_ln.weight", AT(mlp_norm), NONE, HIDDEN },
	{ "mlp_ln.bias", AT(mlp_norm_bias), NONE, HIDDEN },
};

#define LENGTH(array) (sizeof(array) / sizeof(array)[0])

static const struct {
	const struct layer_weight *weights;
	size_t n;
} layers_of[] = {
	[ENCODER_BERT] = { bert_weights, LENGTH(bert_weights) },
	[ENCODER_GTE] = { gte_weights, LENGTH(gte_weights) },
};

static int64_t
size_of(const struct encoder_config *config, enum size size)
{
	const int64_t sizes[] = {
		[NONE] = 0,
		[HIDDEN] = config->hidden_size,
		[FFN] = config->ffn_size,
		[HIDDEN_3] = 3 * (int64_t)config->hidden_size,
		[FFN_2] = 2 * (int64_t)config->ffn_size,
	};

	return sizes[size];
}

static enum t2l_status
visit_embeddings(struct encoder_network *network, const char *prefix, weight_visit *visit,
    void *user, struct t2l_error *err)
{
	const struct encoder_config *config = &network->config;
	const struct {
		const char *name;
		struct tensor **tensor;
		int64_t rows;
	} weights[] = {
		{ "word_embeddings.weight", &network->word, config->vocab_size },
		{ "position_embeddings.weight", &network->position, config->max_positions },
		{ "token_type_embeddings.weight", &network->type, config->n_types },
		{ "LayerNorm.weight", &network->norm, 0 },
		{ "LayerNorm.bias", &network->norm_bias, 0 },
	};
	enum t2l_status status = T2L_OK;

	for (size_t i = 0; i < sizeof weights / sizeof *weights && status == T2L_OK; i++) {
		char name[WEIGHT_NAME_SIZE];
		struct weight_slot slot = { name, weights[i].tensor, weights[i].rows,
			config->hidden_size, 0 };

		if ((weights[i].tensor == &network->type && config->n_types == 0) ||
		    (weights[i].tensor == &network->position && config->kind == ENCODER_GTE))
			continue;
		snprintf(name, sizeof name, "%sembeddings.%s", prefix, weights[i].name);
		status = visit(user, &slot, err);
	}
	return status;
}

enum t2l_status
encoder_each_weight(struct encoder_network *network, const char *prefix, weight_visit *visit,
    void *user, struct t2l_error *err)
{
	const struct encoder_config *config = &network->config;
	const struct layer_weight *weights = layers_of[config->kind].weights;
	const size_t n = layers_of[config->kind].n;
	enum t2l_status status = visit_embeddings(network, prefix, visit, user, err);

	for (int l = 0; l < config->n_layers; l++) {
		for (size_t i = 0; i < n && status == T2L_OK; i++) {
			char name[WEIGHT_NAME_SIZE];
			struct weight_slot slot = {
				.name = name,
				.tensor = (struct tensor **)((char *)&network->layers[l] +
							     weights[i].offset),
				.rows = size_of(config, weights[i].rows),
				.cols = size_of(config, weights[i].cols),
			};

			snprintf(
			    name, sizeof name, "%sencoder.layer.%d.%s", prefix, l, weights[i].name);
			status = visit(user, &slot, err);
		}
	}
	return status;
}

enum t2l_status
encoder_each_projection(
    struct encoder_network *network, weight_visit *visit, void *user, struct t2l_error *err)
{
	const struct encoder_config *config = &network->config;
	struct weight_slot weight = { "linear.weight", &network->projection,
		config->projection_size, config->hidden_size, 0 };
	struct weight_slot bias = { "linear.bias", &network->projection_bias, 0,
		config->projection_size, 0 };
	enum t2l_status status;

	if (config->projection_size == 0)
		return T2L_OK;
	status = visit(user, &weight, err);
	if (status == T2L_OK && config->projection_bias)
		status = visit(user, &bias, err);
	return status;
}
