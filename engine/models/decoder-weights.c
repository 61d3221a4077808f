/* decoder-weights.c - one list of a decoder's weights, under the names of each format. */
#include "engine/models/decoder-weights.h"

#include <stdio.h>
#include <string.h>

const struct decoder_names decoder_names_hf = { .roles = { NULL } };

const struct decoder_names decoder_names_gguf = {
	.layers = "blk",
	.norms = {
		[NORM_ATTENTION] = "attn_norm",
		[NORM_POST_ATTENTION] = "post_attention_norm",
		[NORM_MLP] = "ffn_norm",
		[NORM_POST_MLP] = "post_ffw_norm",
		[NORM_Q] = "attn_q_norm",
		[NORM_K] = "attn_k_norm",
	},
	.final_norm = "output_norm",
	.roles = {
		[ROLE_Q] = "attn_q",
		[ROLE_K] = "attn_k",
		[ROLE_V] = "attn_v",
		[ROLE_QKV] = "attn_qkv",
		[ROLE_O] = "attn_output",
		[ROLE_GATE] = "ffn_gate",
		[ROLE_UP] = "ffn_up",
		[ROLE_GATE_UP] = "ffn_up",
		[ROLE_DOWN] = "ffn_down",
		[ROLE_ROUTER] = "ffn_gate_inp",
		[ROLE_EXPERT_GATE] = "ffn_gate_exps",
		[ROLE_EXPERT_UP] = "ffn_up_exps",
		[ROLE_EXPERT_DOWN] = "ffn_down_exps",
		[ROLE_EMBEDDING] = "token_embd",
		[ROLE_HEAD] = "output",
	},
};

/* A walk over the slots; the first failure ends it. */
struct walk {
	const struct decoder_names *names;
	const struct decoder_config *config;
	weight_visit *visit;
	void *user;
	struct t2l_error *err;
	enum t2l_status status;
};

static void
visit(struct walk *walk, const struct weight_slot *slot)
{
	if (walk->status == T2L_OK)
		walk->status = walk->visit(walk->user, slot, walk->err);
}

void
decoder_weight_name(const struct decoder_names *names, int layer, enum module module, int expert,
    const char *suffix, char *name, size_t size)
{
	const char *role = names->roles[module_role(module)];
	char path[MODULE_PATH_SIZE];

	if (role == NULL) {
		module_path(layer, module, expert, path, sizeof path);
		snprintf(name, size, "%s%s", path, suffix);
	} else if (module_in_layers(module)) {
		snprintf(name, size, "%s.%d.%s%s", names->layers, layer, role, suffix);
	} else {
		snprintf(name, size, "%s%s", role, suffix);
	}
}

static void
visit_module(
    struct walk *walk, int layer, enum module module, struct tensor **weight, struct tensor **bias)
{
	const enum role role = module_role(module);
	char name[WEIGHT_NAME_SIZE];
	struct weight_slot slot = {
		.name = name,
		.tensor = weight,
		.rows = decoder_module_out(walk->config, module),
		.cols = decoder_module_in(walk->config, module),
		.turned_heads = role == ROLE_Q || role == ROLE_K ? walk->config->head_dim : 0,
	};

	if (role == ROLE_EMBEDDING) { /* a token's row, not a row per output */
		slot.rows = walk->config->vocab_size;
		slot.cols = walk->config->hidden_size;
	}
	decoder_weight_name(
	    walk->names, layer, module, MODULE_NO_EXPERT, ".weight", name, sizeof name);
	visit(walk, &slot);
	if (!walk->config->has_bias[module])
		return;
	decoder_weight_name(
	    walk->names, layer, module, MODULE_NO_EXPERT, ".bias", name, sizeof name);
	slot.tensor = bias;
	slot.cols = slot.rows;
	slot.rows = 0;
	visit(walk, &slot);
}

/* Hugging Face has a matrix for each expert, GGUF one tensor for all of them. */
static void
visit_experts(struct walk *walk, int layer, enum module module, struct tensor **weights)
{
	char name[WEIGHT_NAME_SIZE];

	for (int e = 0; e < walk->config->n_experts; e++) {
		struct weight_slot slot = {
			.name = name,
			.tensor = &weights[e],
			.rows = decoder_module_out(walk->config, module),
			.cols = decoder_module_in(walk->config, module),
			.slab = e,
			.n_slabs = walk->config->n_experts,
			.apart = walk->names->layers == NULL,
		};

		decoder_weight_name(walk->names, layer, module, e, ".weight", name, sizeof name);
		visit(walk, &slot);
	}
}

/* PATH: without suffix */
static void
visit_norm(struct walk *walk, const char *path, struct decoder_norm *norm, int size)
{
	char name[WEIGHT_NAME_SIZE];
	struct weight_slot slot = {
		.name = name, .tensor = &norm->weight, .cols = size, .norm = true
	};

	snprintf(name, sizeof name, "%s.weight", path);
	visit(walk, &slot);
	if (!walk->config->kind->layer_norm)
		return;
	snprintf(name, sizeof name, "%s.bias", path);
	slot.tensor = &norm->bias;
	slot.norm = false;
	visit(walk, &slot);
}

static void
visit_layer(struct walk *walk, int i, struct decoder_layer *layer)
{
	const struct decoder_config *config = walk->config;
	const struct architecture *kind = config->kind;
	const struct decoder_names *names = walk->names;
	char path[WEIGHT_NAME_SIZE - 16];

	for (int n = 0; n < N_NORMS; n++) {
		bool of_heads = n == NORM_Q || n == NORM_K;

		if (kind->norms[n] == NULL ||
		    (of_heads && kind->optional_head_norms && !config->head_norms))
			continue;
		snprintf(path, sizeof path, "%s.%d.%s",
		    names->layers != NULL ? names->layers : kind->layers, i,
		    names->layers != NULL ? names->norms[n] : kind->norms[n]);
		visit_norm(walk, path, &layer->norms[n],
		    of_heads ? config->head_dim : config->hidden_size);
	}
	for (int m = 0; m < N_MODULES; m++) {
		enum module module = (enum module)m;

		if (!(kind->modules & MODULE_BIT(m)) || !module_in_layers(module))
			continue;
		if (module_in_experts(module))
			visit_experts(walk, i, module, layer->experts[m]);
		else
			visit_module(walk, i, module, &layer->weight[m], &layer->bias[m]);
	}
}

enum t2l_status
decoder_each_weight(struct decoder *decoder, const struct decoder_names *names,
    weight_visit *visitor, void *user, struct t2l_error *err)
{
	const struct architecture *kind = decoder->config.kind;
	struct walk walk = { names, &decoder->config, visitor, user, err, T2L_OK };
	struct tensor *none;

	visit_module(&walk, MODULE_NO_LAYER, architecture_module(kind, ROLE_EMBEDDING),
	    &decoder->embedding, &none);
	for (int i = 0; i < decoder->config.n_layers; i++)
		visit_layer(&walk, i, &decoder->layers[i]);
	visit_norm(&walk, names->layers != NULL ? names->final_norm : kind->final_norm,
	    &decoder->final_norm, decoder->config.hidden_size);
	if (!decoder->config.tied_embeddings)
		visit_module(&walk, MODULE_NO_LAYER, architecture_module(kind, ROLE_HEAD),
		    &decoder->head, &decoder->head_bias);
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

/* Beside the weights, what a fingerprint covers; single precision, as GGUF keeps it. Settings that
 * the first families had not come behind theirs, and only when they are used. */
static void
describe_settings(const struct decoder_config *config, char *text, size_t size)
{
	const struct rope_config *rope = &config->rope;
	int used = snprintf(text, size, "%s %d %d %d %.9g %.9g", config->kind->name,
	    config->n_heads, config->n_kv_heads, config->head_dim, (double)(float)rope->theta,
	    (double)config->norm_epsilon);

	if (rope->kind != ROPE_PLAIN || rope->n_rot != config->head_dim)
		used += snprintf(text + used, size - (size_t)used, " rope %d %d %d %.9g",
		    (int)rope->kind, rope->n_rot, rope->original_context,
		    (double)(float)rope->factor);
	if (config->window > 0)
		used += snprintf(text + used, size - (size_t)used, " window %d", config->window);
	if (config->attention_cap > 0 || config->final_cap > 0 || config->query_scale > 0)
		used += snprintf(text + used, size - (size_t)used, " scores %.9g %.9g %.9g",
		    (double)config->attention_cap, (double)config->final_cap,
		    (double)config->query_scale);
	if (config->n_experts > 0)
		snprintf(text + used, size - (size_t)used, " experts %d", config->n_experts_used);
}

enum t2l_status
decoder_state_facts(struct decoder *decoder, struct t2l_model_facts *facts, struct t2l_error *err)
{
	const struct decoder_config *config = &decoder->config;
	struct weights_identity identity = { .turned = config->rope_neighbours };
	enum t2l_status status;
	char settings[512];

	describe_settings(config, settings, sizeof settings);
	identity_start(&identity, settings);
	status = decoder_each_weight(decoder, &decoder_names_hf, identity_add, &identity, err);
	identity_finish(&identity, facts->fingerprint);
	if (status != T2L_OK)
		return status;
	snprintf(facts->dtype, sizeof facts->dtype, "%s", identity_dtype(&identity));
	snprintf(facts->architecture, sizeof facts->architecture, "%s", config->kind->name);
	facts->n_parameters = identity.n_parameters;
	facts->weight_bytes = identity.bytes;
	facts->n_layers = config->n_layers;
	facts->hidden_size = config->hidden_size;
	facts->n_heads = config->n_heads;
	facts->n_kv_heads = config->n_kv_heads;
	facts->head_dim = config->head_dim;
	facts->ffn_size = config->ffn_size > 0 ? config->ffn_size : config->expert_ffn_size;
	facts->vocab_size = config->vocab_size;
	facts->context_length = config->context_length;
	return T2L_OK;
}
