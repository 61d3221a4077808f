/* decoder-weights.c - one list of a decoder's weights, under the names of each format. */
#include "engine/models/decoder-weights.h"

#include <stdio.h>
#include <string.h>

const struct decoder_names decoder_names_hf = {
	.embedding = "model.embed_tokens.weight",
	.final_norm = "model.norm.weight",
	.head = "lm_head.weight",
	.layer_prefix = "model.layers.",
	.attention_norm = "input_layernorm.weight",
	.mlp_norm = "post_attention_layernorm.weight",
	.module = {
		[MODULE_Q] = "self_attn.q_proj",
		[MODULE_K] = "self_attn.k_proj",
		[MODULE_V] = "self_attn.v_proj",
		[MODULE_O] = "self_attn.o_proj",
		[MODULE_GATE] = "mlp.gate_proj",
		[MODULE_UP] = "mlp.up_proj",
		[MODULE_DOWN] = "mlp.down_proj",
	},
};

const struct decoder_names decoder_names_gguf = {
	.embedding = "token_embd.weight",
	.final_norm = "output_norm.weight",
	.head = "output.weight",
	.layer_prefix = "blk.",
	.attention_norm = "attn_norm.weight",
	.mlp_norm = "ffn_norm.weight",
	.module = {
		[MODULE_Q] = "attn_q",
		[MODULE_K] = "attn_k",
		[MODULE_V] = "attn_v",
		[MODULE_O] = "attn_output",
		[MODULE_GATE] = "ffn_gate",
		[MODULE_UP] = "ffn_up",
		[MODULE_DOWN] = "ffn_down",
	},
};

/* A walk over the slots; the first failure ends it. */
struct walk {
	const struct decoder_names *names;
	weight_visit *visit;
	void *user;
	struct t2l_error *err;
	enum t2l_status status;
};

static void
visit(struct walk *walk, const char *name, struct tensor **tensor, int64_t rows, int64_t cols,
    int turned_heads)
{
	struct weight_slot slot = { name, tensor, rows, cols, turned_heads };

	if (walk->status == T2L_OK)
		walk->status = walk->visit(walk->user, &slot, walk->err);
}

static void
visit_in_layer(struct walk *walk, int layer, const char *part, const char *suffix,
    struct tensor **tensor, int64_t rows, int64_t cols, int turned_heads)
{
	char name[WEIGHT_NAME_SIZE];

	snprintf(name, sizeof name, "%s%d.%s%s", walk->names->layer_prefix, layer, part, suffix);
	visit(walk, name, tensor, rows, cols, turned_heads);
}

static void
visit_layer(struct walk *walk, struct decoder *decoder, int i)
{
	const struct decoder_config *config = &decoder->config;
	struct decoder_layer *layer = &decoder->layers[i];

	visit_in_layer(walk, i, walk->names->attention_norm, "", &layer->attention_norm, 0,
	    config->hidden_size, 0);
	visit_in_layer(
	    walk, i, walk->names->mlp_norm, "", &layer->mlp_norm, 0, config->hidden_size, 0);
	for (int m = 0; m <= MODULE_DOWN; m++) {
		int64_t out = decoder_module_out(config, (enum module)m);
		int64_t in = decoder_module_in(config, (enum module)m);
		int turned = m == MODULE_Q || m == MODULE_K ? config->head_dim : 0;

		visit_in_layer(
		    walk, i, walk->names->module[m], ".weight", &layer->weight[m], out, in, turned);
		if (config->has_bias[m])
			visit_in_layer(walk, i, walk->names->module[m], ".bias", &layer->bias[m], 0,
			    out, turned);
	}
}

enum t2l_status
decoder_each_weight(struct decoder *decoder, const struct decoder_names *names,
    weight_visit *visitor, void *user, struct t2l_error *err)
{
	const struct decoder_config *config = &decoder->config;
	struct walk walk = { names, visitor, user, err, T2L_OK };

	visit(&walk, names->embedding, &decoder->embedding, config->vocab_size, config->hidden_size,
	    0);
	for (int i = 0; i < config->n_layers; i++)
		visit_layer(&walk, decoder, i);
	visit(&walk, names->final_norm, &decoder->final_norm, 0, config->hidden_size, 0);
	if (!config->tied_embeddings)
		visit(
		    &walk, names->head, &decoder->head, config->vocab_size, config->hidden_size, 0);
	return walk.status;
}

static enum t2l_status
bind(void *user, const struct weight_slot *slot, struct t2l_error *err)
{
	return weights_bind(user, slot, err);
}

enum t2l_status
decoder_bind(struct decoder *decoder, const struct model_source *source,
    const struct decoder_names *names, struct t2l_error *err)
{
	enum t2l_status status = decoder_each_weight(decoder, names, bind, (void *)source, err);

	if (decoder->config.tied_embeddings)
		decoder->head = decoder->embedding;
	return status;
}

void
decoder_state_facts(struct decoder *decoder, struct t2l_model_facts *facts)
{
	const struct decoder_config *config = &decoder->config;
	struct weights_identity identity = { .turned = config->rope_neighbours };
	char settings[256];

	/* Single precision, as GGUF keeps them. */
	snprintf(settings, sizeof settings, "%s %d %d %d %.9g %.9g", config->architecture,
	    config->n_heads, config->n_kv_heads, config->head_dim,
	    (double)(float)config->rope_theta, (double)config->norm_epsilon);
	identity_start(&identity, settings);
	decoder_each_weight(decoder, &decoder_names_hf, identity_add, &identity, NULL);
	identity_finish(&identity, facts->fingerprint);
	snprintf(facts->dtype, sizeof facts->dtype, "%s", identity_dtype(&identity));
	snprintf(facts->architecture, sizeof facts->architecture, "%s", config->architecture);
	facts->n_parameters = identity.n_parameters;
	facts->weight_bytes = identity.bytes;
	facts->n_layers = config->n_layers;
	facts->hidden_size = config->hidden_size;
	facts->n_heads = config->n_heads;
	facts->n_kv_heads = config->n_kv_heads;
	facts->head_dim = config->head_dim;
	facts->ffn_size = config->ffn_size;
	facts->vocab_size = config->vocab_size;
	facts->context_length = config->context_length;
}
