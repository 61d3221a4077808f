/* decoder-prepare.c - the sizes of a decoder's parts, and memory for its layers. */
#include <stdlib.h>

#include "engine/error.h"
#include "engine/models/decoder.h"

int64_t
decoder_module_in(const struct decoder_config *config, enum module module)
{
	if (!(config->kind->modules & MODULE_BIT(module)))
		return 0;
	switch (module_role(module)) {
	case ROLE_O:
		return (int64_t)config->n_heads * config->head_dim;
	case ROLE_DOWN:
		return config->ffn_size;
	case ROLE_EXPERT_DOWN:
		return config->expert_ffn_size;
	case ROLE_EMBEDDING:
		return config->vocab_size;
	default:
		return config->hidden_size;
	}
}

int64_t
decoder_module_out(const struct decoder_config *config, enum module module)
{
	const int64_t heads = (int64_t)config->n_heads * config->head_dim;
	const int64_t kv_heads = (int64_t)config->n_kv_heads * config->head_dim;

	if (!(config->kind->modules & MODULE_BIT(module)))
		return 0;
	switch (module_role(module)) {
	case ROLE_Q:
		return heads;
	case ROLE_K:
	case ROLE_V:
		return kv_heads;
	case ROLE_QKV:
		return heads + 2 * kv_heads;
	case ROLE_GATE:
	case ROLE_UP:
		return config->ffn_size;
	case ROLE_GATE_UP:
		return 2 * (int64_t)config->ffn_size;
	case ROLE_ROUTER:
		return config->n_experts;
	case ROLE_EXPERT_GATE:
	case ROLE_EXPERT_UP:
		return config->expert_ffn_size;
	case ROLE_HEAD:
		return config->vocab_size;
	default:
		return config->hidden_size;
	}
}

static bool
has_experts(const struct decoder_config *config)
{
	return architecture_module(config->kind, ROLE_ROUTER) != N_MODULES;
}

/* Generous bounds that no real model reaches, so that later products can't overflow. */
static enum t2l_status
check_sizes(const struct decoder_config *config, struct t2l_error *err)
{
	const bool experts = has_experts(config);
	const struct {
		const char *name;
		int value, least, most;
	} sizes[] = {
		{ "num_hidden_layers", config->n_layers, 1, DECODER_MAX_LAYERS },
		{ "hidden_size", config->hidden_size, 1, 1 << 17 },
		{ "num_attention_heads", config->n_heads, 1, 4096 },
		{ "num_key_value_heads", config->n_kv_heads, 1, 4096 },
		{ "head_dim", config->head_dim, 1, 4096 },
		{ "intermediate_size", config->ffn_size, experts ? 0 : 1, 1 << 20 },
		{ "vocab_size", config->vocab_size, 1, 1 << 22 },
		{ "max_position_embeddings", config->context_length, 1, 1 << 24 },
		{ "sliding_window", config->window, 0, INT32_MAX },
		{ "num_experts", config->n_experts, experts, experts ? MODULE_MAX_EXPERTS : 0 },
		{ "num_experts_per_tok", config->n_experts_used, experts, config->n_experts },
		{ "moe_intermediate_size", config->expert_ffn_size, experts, 1 << 20 },
	};

	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
		if (sizes[i].value < sizes[i].least || sizes[i].value > sizes[i].most)
			return t2l_fail(err, T2L_EFORMAT, "%s is %d; expected %d to %d",
			    architecture_key(config->kind, sizes[i].name), sizes[i].value,
			    sizes[i].least, sizes[i].most);
	if (config->n_heads % config->n_kv_heads != 0)
		return t2l_fail(err, T2L_EFORMAT,
		    "num_attention_heads %d is no multiple of num_key_value_heads %d",
		    config->n_heads, config->n_kv_heads);
	return T2L_OK;
}

static enum t2l_status
check_rope(const struct decoder_config *config, struct t2l_error *err)
{
	const struct rope_config *rope = &config->rope;
	bool divides = rope->kind == ROPE_LONG || rope->kind == ROPE_DIVISORS;

	if (rope->n_rot % 2 != 0 || rope->n_rot < 2 || rope->n_rot > config->head_dim)
		return t2l_fail(err, T2L_EFORMAT,
		    "%d elements of heads of %d turn; rotary embedding turns pairs", rope->n_rot,
		    config->head_dim);
	if (!(rope->theta >= 1 && rope->theta <= 1e12))
		return t2l_fail(
		    err, T2L_EFORMAT, "rope_theta is %g; expected 1 to 1e12", rope->theta);
	if (divides && rope->n_divisors != rope->n_rot / 2)
		return t2l_fail(err, T2L_EFORMAT,
		    "the rope scaling has %d divisors; expected %d, half of what turns of a head",
		    rope->n_divisors, rope->n_rot / 2);
	return T2L_OK;
}

static enum t2l_status
check_config(const struct decoder_config *config, struct t2l_error *err)
{
	enum t2l_status status = check_sizes(config, err);

	if (status == T2L_OK)
		status = check_rope(config, err);
	if (status == T2L_OK && !(config->norm_epsilon > 0 && config->norm_epsilon < 1))
		return t2l_fail(err, T2L_EFORMAT, "%s is %g; expected above 0, below 1",
		    architecture_key(config->kind, "rms_norm_eps"), (double)config->norm_epsilon);
	return status;
}

/* The lists of the experts' weights: [layer][kind][expert] in one piece. */
static bool
allocate_experts(struct decoder *decoder)
{
	const struct decoder_config *config = &decoder->config;
	size_t n_experts = (size_t)config->n_experts, n_kinds = 0, at = 0;

	for (int m = 0; m < N_MODULES; m++)
		n_kinds += decoder_module_in(config, (enum module)m) > 0 &&
			   module_in_experts((enum module)m);
	if (n_kinds == 0)
		return true;
	decoder->experts =
	    calloc((size_t)config->n_layers * n_kinds * n_experts, sizeof *decoder->experts);
	for (int i = 0; decoder->experts != NULL && i < config->n_layers; i++) {
		for (int m = 0; m < N_MODULES; m++) {
			if (decoder_module_in(config, (enum module)m) == 0 ||
			    !module_in_experts((enum module)m))
				continue;
			decoder->layers[i].experts[m] = decoder->experts + at;
			at += n_experts;
		}
	}
	return decoder->experts != NULL;
}

enum t2l_status
decoder_prepare(struct decoder *decoder, struct t2l_error *err)
{
	struct decoder_config *config = &decoder->config;
	enum t2l_status status;

	if (config->rope.n_rot == 0)
		config->rope.n_rot = config->head_dim;
	if (config->rope.magnitude == 0)
		config->rope.magnitude = 1;
	status = check_config(config, err);
	if (status != T2L_OK)
		return status;
	decoder->layers = calloc((size_t)config->n_layers, sizeof *decoder->layers);
	decoder->inv_freq = malloc((size_t)config->rope.n_rot / 2 * sizeof *decoder->inv_freq);
	if (decoder->layers == NULL || decoder->inv_freq == NULL || !allocate_experts(decoder)) {
		decoder_release(decoder);
		return t2l_fail(
		    err, T2L_ENOMEM, "out of memory for a model of %d layers", config->n_layers);
	}
	rope_frequencies(&config->rope, 0, decoder->inv_freq);
	decoder->rope = (struct rope){
		.neighbours = config->rope_neighbours,
		.n_rot = config->rope.n_rot,
		.inv_freq = decoder->inv_freq,
		.magnitude = (float)config->rope.magnitude,
	};
	return T2L_OK;
}

void
decoder_release(struct decoder *decoder)
{
	free(decoder->layers);
	free(decoder->experts);
	free(decoder->inv_freq);
	decoder->layers = NULL;
	decoder->experts = NULL;
	decoder->inv_freq = NULL;
}
