/*
 * models/architecture.h - what tells one family of decoders from another: a row of data each.
 *
 * decoder.c runs all of them. A new family is a row here (its modules, norms and settings) and a
 * golden test; only what no row can say yet needs code.
 */
#ifndef ENGINE_MODELS_ARCHITECTURE_H
#define ENGINE_MODELS_ARCHITECTURE_H

#include <stdint.h>

#include "engine/models/module.h"
#include "engine/tensor/backend.h"

/* What a module does in the pass. */
enum role {
	ROLE_Q,
	ROLE_K,
	ROLE_V,
	ROLE_QKV, /* rows of q, k and v in one matrix */
	ROLE_O,
	ROLE_GATE,
	ROLE_UP,
	ROLE_GATE_UP, /* rows of gate, then up */
	ROLE_DOWN,
	ROLE_ROUTER,
	ROLE_EXPERT_GATE,
	ROLE_EXPERT_UP,
	ROLE_EXPERT_DOWN,
	ROLE_EMBEDDING,
	ROLE_HEAD,
	N_ROLES
};

enum role module_role(enum module module);

enum norm_place {
	NORM_ATTENTION,
	NORM_POST_ATTENTION, /* on the branch, before it is added */
	NORM_MLP,
	NORM_POST_MLP,
	NORM_Q, /* of each head */
	NORM_K,
	N_NORMS
};

/* Which layers slide when there is a window. */
enum window_layers {
	WINDOW_ALL,
	WINDOW_EVEN,   /* Gemma 2: 0, 2, ... */
	WINDOW_SWITCH, /* Qwen: only with use_sliding_window, from max_window_layers on */
	WINDOW_NONE,   /* the family knows none */
};

#define MODULE_BIT(module) (1u << (module))

struct architecture {
	const char *name;		       /* model_type of config.json */
	const char *classes[2];		       /* names in its list `architectures` */
	const char *gguf;		       /* general.architecture; NULL: no such files */
	uint32_t modules;		       /* MODULE_BIT of each that it has; a tied head too */
	uint32_t biased;		       /* modules that always have a bias */
	uint32_t attention_biased, mlp_biased; /* with attention_bias, mlp_bias */
	const char *layers;		       /* Hugging Face's path of the layers */
	const char *norms[N_NORMS];	       /* and of the norms within each; NULL: not there */
	bool optional_head_norms;	       /* those of heads are there with qk_layernorm only */
	const char *final_norm;		       /* and of the last */
	bool layer_norm;		       /* LayerNorm with biases instead of RMSNorm */
	float norm_offset;		       /* RMS norms multiply by w + offset */
	bool parallel;			       /* attention and MLP read one norm, both are added */
	bool gated;			       /* act(gate) * up; else act(up) */
	bool scaled_embedding;		       /* times sqrt(hidden) */
	bool capped;	/* soft caps of scores and logits, and a query scale of its own */
	double rotated; /* of each head, when config.json does not say; 0: all */
	bool tied;	/* when config.json does not say */
	enum activation activation; /* when config.json does not say */
	bool tanh_gelu;		    /* "gelu" means the tanh form too */
	bool paired_ffn;	    /* intermediate_size counts gate and up together */
	enum window_layers window;
	bool renormalise; /* chosen experts' weights add up to 1, when config.json does not say */
	const char *const (*keys)[2]; /* other names of config.json's keys: { usual, here }, ends
					 with NULL; or NULL */
};

/* In the order in which messages list them; the last has no name. */
extern const struct architecture architectures[];

/* NULL when there is none. Of GGUF's "llama" the one with EXPERTS is Mixtral, and one whose window
 * slides (WINDOWED) is Mistral. */
const struct architecture *architecture_by_name(const char *name);
const struct architecture *architecture_by_class(const char *name);
const struct architecture *architecture_by_gguf(const char *name, bool experts, bool windowed);
/* "llama, mistral, ..." into LIST, returned. */
const char *architecture_list(bool gguf, char *list, size_t size);

/* The module of the role, or N_MODULES. */
enum module architecture_module(const struct architecture *kind, enum role role);
/* What the architecture calls config.json's KEY. */
const char *architecture_key(const struct architecture *kind, const char *key);

#endif
