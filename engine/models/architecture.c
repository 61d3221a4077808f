/* architecture.c - the table of decoder families. */
#include "engine/models/architecture.h"

#include <stdio.h>
#include <string.h>

static const enum role roles[N_MODULES] = {
	[MODULE_Q] = ROLE_Q,
	[MODULE_K] = ROLE_K,
	[MODULE_V] = ROLE_V,
	[MODULE_O] = ROLE_O,
	[MODULE_GATE] = ROLE_GATE,
	[MODULE_UP] = ROLE_UP,
	[MODULE_DOWN] = ROLE_DOWN,
	[MODULE_QKV] = ROLE_QKV,
	[MODULE_GATE_UP] = ROLE_GATE_UP,
	[MODULE_DENSE] = ROLE_O,
	[MODULE_FC1] = ROLE_UP,
	[MODULE_FC2] = ROLE_DOWN,
	[MODULE_C_ATTN] = ROLE_QKV,
	[MODULE_ATTN_C_PROJ] = ROLE_O,
	[MODULE_W1] = ROLE_UP,
	[MODULE_W2] = ROLE_GATE,
	[MODULE_MLP_C_PROJ] = ROLE_DOWN,
	[MODULE_MIXTRAL_ROUTER] = ROLE_ROUTER,
	[MODULE_MIXTRAL_W1] = ROLE_EXPERT_GATE,
	[MODULE_MIXTRAL_W3] = ROLE_EXPERT_UP,
	[MODULE_MIXTRAL_W2] = ROLE_EXPERT_DOWN,
	[MODULE_ROUTER] = ROLE_ROUTER,
	[MODULE_EXPERT_GATE] = ROLE_EXPERT_GATE,
	[MODULE_EXPERT_UP] = ROLE_EXPERT_UP,
	[MODULE_EXPERT_DOWN] = ROLE_EXPERT_DOWN,
	[MODULE_EMBED] = ROLE_EMBEDDING,
	[MODULE_WTE] = ROLE_EMBEDDING,
	[MODULE_HEAD] = ROLE_HEAD,
};

#define BIT MODULE_BIT
#define QKV_APART (BIT(MODULE_Q) | BIT(MODULE_K) | BIT(MODULE_V))
#define ATTENTION (QKV_APART | BIT(MODULE_O))
#define MLP (BIT(MODULE_GATE) | BIT(MODULE_UP) | BIT(MODULE_DOWN))
#define ENDS (BIT(MODULE_EMBED) | BIT(MODULE_HEAD))
#define MIXTRAL_EXPERTS                                                                            \
	(BIT(MODULE_MIXTRAL_ROUTER) | BIT(MODULE_MIXTRAL_W1) | BIT(MODULE_MIXTRAL_W2) |            \
	    BIT(MODULE_MIXTRAL_W3))
#define EXPERTS                                                                                    \
	(BIT(MODULE_ROUTER) | BIT(MODULE_EXPERT_GATE) | BIT(MODULE_EXPERT_UP) |                    \
	    BIT(MODULE_EXPERT_DOWN))

#define USUAL_PATHS .layers = "model.layers", .final_norm = "model.norm"
#define TWO_NORMS [NORM_ATTENTION] = "input_layernorm", [NORM_MLP] = "post_attention_layernorm"
#define HEAD_NORMS [NORM_Q] = "self_attn.q_norm", [NORM_K] = "self_attn.k_norm"

static const char *const phi_keys[][2] = { { "rms_norm_eps", "layer_norm_eps" }, { NULL, NULL } };

static const char *const qwen_keys[][2] = {
	{ "rms_norm_eps", "layer_norm_epsilon" },
	{ "max_position_embeddings", "seq_length" },
	{ "head_dim", "kv_channels" },
	{ "rope_theta", "rotary_emb_base" },
	{ NULL, NULL },
};

static const char *const mixtral_keys[][2] = {
	{ "moe_intermediate_size", "intermediate_size" },
	{ "num_experts", "num_local_experts" },
	{ NULL, NULL },
};

const struct architecture architectures[] = {
	{
	    .name = "llama",
	    .classes = { "LlamaForCausalLM", "LLaMAForCausalLM" },
	    .gguf = "llama",
	    .modules = ATTENTION | MLP | ENDS,
	    .attention_biased = ATTENTION,
	    .mlp_biased = MLP,
	    .norms = { TWO_NORMS },
	    USUAL_PATHS,
	    .gated = true,
	    .window = WINDOW_NONE,
	},
	{
	    .name = "mistral",
	    .classes = { "MistralForCausalLM" },
	    .gguf = "llama",
	    .modules = ATTENTION | MLP | ENDS,
	    .norms = { TWO_NORMS },
	    USUAL_PATHS,
	    .gated = true,
	    .window = WINDOW_ALL,
	},
	{
	    .name = "mixtral",
	    .classes = { "MixtralForCausalLM" },
	    .gguf = "llama",
	    .modules = ATTENTION | MIXTRAL_EXPERTS | ENDS,
	    .norms = { TWO_NORMS },
	    USUAL_PATHS,
	    .gated = true,
	    .window = WINDOW_ALL,
	    .renormalise = true,
	    .keys = mixtral_keys,
	},
	{
	    .name = "gemma",
	    .classes = { "GemmaForCausalLM" },
	    .gguf = "gemma",
	    .modules = ATTENTION | MLP | ENDS,
	    .attention_biased = ATTENTION,
	    .norms = { TWO_NORMS },
	    USUAL_PATHS,
	    .norm_offset = 1,
	    .gated = true,
	    .scaled_embedding = true,
	    .tied = true,
	    .activation = ACTIVATION_GELU_TANH,
	    .tanh_gelu = true,
	    .window = WINDOW_NONE,
	},
	{
	    .name = "gemma2",
	    .classes = { "Gemma2ForCausalLM" },
	    .gguf = "gemma2",
	    .modules = ATTENTION | MLP | ENDS,
	    .attention_biased = ATTENTION,
	    .norms = { [NORM_ATTENTION] = "input_layernorm",
		[NORM_POST_ATTENTION] = "post_attention_layernorm",
		[NORM_MLP] = "pre_feedforward_layernorm",
		[NORM_POST_MLP] = "post_feedforward_layernorm" },
	    USUAL_PATHS,
	    .norm_offset = 1,
	    .gated = true,
	    .scaled_embedding = true,
	    .tied = true,
	    .activation = ACTIVATION_GELU_TANH,
	    .tanh_gelu = true,
	    .capped = true,
	    .window = WINDOW_EVEN,
	},
	{
	    .name = "phi",
	    .classes = { "PhiForCausalLM" },
	    .gguf = "phi2",
	    .modules = QKV_APART | BIT(MODULE_DENSE) | BIT(MODULE_FC1) | BIT(MODULE_FC2) | ENDS,
	    .biased = QKV_APART | BIT(MODULE_DENSE) | BIT(MODULE_FC1) | BIT(MODULE_FC2) |
		      BIT(MODULE_HEAD),
	    .norms = { [NORM_ATTENTION] = "input_layernorm",
		[NORM_Q] = "self_attn.q_layernorm",
		[NORM_K] = "self_attn.k_layernorm" },
	    .optional_head_norms = true,
	    .layers = "model.layers",
	    .final_norm = "model.final_layernorm",
	    .layer_norm = true,
	    .parallel = true,
	    .rotated = 0.5,
	    .activation = ACTIVATION_GELU_TANH,
	    .window = WINDOW_NONE,
	    .keys = phi_keys,
	},
	{
	    .name = "phi3",
	    .classes = { "Phi3ForCausalLM" },
	    .gguf = "phi3",
	    .modules =
		BIT(MODULE_QKV) | BIT(MODULE_O) | BIT(MODULE_GATE_UP) | BIT(MODULE_DOWN) | ENDS,
	    .norms = { TWO_NORMS },
	    USUAL_PATHS,
	    .gated = true,
	    .window = WINDOW_ALL,
	},
	{
	    .name = "qwen",
	    .classes = { "QWenLMHeadModel" },
	    .modules = BIT(MODULE_C_ATTN) | BIT(MODULE_ATTN_C_PROJ) | BIT(MODULE_W1) |
		       BIT(MODULE_W2) | BIT(MODULE_MLP_C_PROJ) | BIT(MODULE_WTE) | BIT(MODULE_HEAD),
	    .biased = BIT(MODULE_C_ATTN),
	    .norms = { [NORM_ATTENTION] = "ln_1", [NORM_MLP] = "ln_2" },
	    .layers = "transformer.h",
	    .final_norm = "transformer.ln_f",
	    .gated = true,
	    .paired_ffn = true,
	    .window = WINDOW_NONE,
	    .keys = qwen_keys,
	},
	{
	    .name = "qwen2",
	    .classes = { "Qwen2ForCausalLM" },
	    .gguf = "qwen2",
	    .modules = ATTENTION | MLP | ENDS,
	    .biased = QKV_APART,
	    .norms = { TWO_NORMS },
	    USUAL_PATHS,
	    .gated = true,
	    .window = WINDOW_SWITCH,
	},
	{
	    .name = "qwen3",
	    .classes = { "Qwen3ForCausalLM" },
	    .gguf = "qwen3",
	    .modules = ATTENTION | MLP | ENDS,
	    .attention_biased = ATTENTION,
	    .norms = { TWO_NORMS, HEAD_NORMS },
	    USUAL_PATHS,
	    .gated = true,
	    .window = WINDOW_SWITCH,
	},
	{
	    .name = "qwen3_moe",
	    .classes = { "Qwen3MoeForCausalLM" },
	    .gguf = "qwen3moe",
	    .modules = ATTENTION | EXPERTS | ENDS,
	    .attention_biased = ATTENTION,
	    .norms = { TWO_NORMS, HEAD_NORMS },
	    USUAL_PATHS,
	    .gated = true,
	    .window = WINDOW_SWITCH,
	},
	{ .name = NULL },
};

enum role
module_role(enum module module)
{
	return roles[module];
}

const struct architecture *
architecture_by_name(const char *name)
{
	for (const struct architecture *kind = architectures; kind->name != NULL; kind++)
		if (strcmp(kind->name, name) == 0)
			return kind;
	return NULL;
}

const struct architecture *
architecture_by_class(const char *name)
{
	for (const struct architecture *kind = architectures; kind->name != NULL; kind++)
		for (int i = 0; i < 2 && kind->classes[i] != NULL; i++)
			if (strcmp(kind->classes[i], name) == 0)
				return kind;
	return NULL;
}

const struct architecture *
architecture_by_gguf(const char *name, bool experts, bool windowed)
{
	const struct architecture *found = NULL;

	for (const struct architecture *kind = architectures; kind->name != NULL; kind++) {
		if (kind->gguf == NULL || strcmp(kind->gguf, name) != 0 ||
		    experts != (architecture_module(kind, ROLE_ROUTER) != N_MODULES))
			continue;
		if (found == NULL || (windowed && found->window == WINDOW_NONE))
			found = kind;
	}
	return found;
}

const char *
architecture_list(bool gguf, char *list, size_t size)
{
	size_t used = 0;

	list[0] = '\0';
	for (const struct architecture *kind = architectures; kind->name != NULL; kind++) {
		const char *name = gguf ? kind->gguf : kind->name;

		/* Mistral's and Mixtral's files say "llama", as do those of the first row. */
		if (name == NULL ||
		    (gguf && kind > architectures && strcmp(name, architectures[0].gguf) == 0))
			continue;
		if (used < size)
			used += (size_t)snprintf(
			    list + used, size - used, "%s%s", used > 0 ? ", " : "", name);
	}
	return list;
}

enum module
architecture_module(const struct architecture *kind, enum role role)
{
	for (int m = 0; m < N_MODULES; m++)
		if ((kind->modules & MODULE_BIT(m)) && roles[m] == role)
			return (enum module)m;
	return N_MODULES;
}

const char *
architecture_key(const struct architecture *kind, const char *key)
{
	for (int i = 0; kind->keys != NULL && kind->keys[i][0] != NULL; i++)
		if (strcmp(kind->keys[i][0], key) == 0)
			return kind->keys[i][1];
	return key;
}
