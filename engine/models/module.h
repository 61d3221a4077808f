/*
 * models/module.h - every linear module of a base that an adapter may change, in one table.
 *
 * A module is told by its layer (MODULE_NO_LAYER outside the layers), its kind and, in a mixture
 * of experts, the expert's number (MODULE_NO_EXPERT elsewhere). The names are Hugging Face's:
 * "model.layers.3.block_sparse_moe.experts.1.w2" is expert 1 of MODULE_MIXTRAL_W2 of layer 3.
 */
#ifndef ENGINE_MODELS_MODULE_H
#define ENGINE_MODELS_MODULE_H

#include <stdbool.h>
#include <stddef.h>

/* Adapters are kept and hashed in this order, so it stays; new kinds go before N_MODULES. */
enum module {
	MODULE_Q,
	MODULE_K,
	MODULE_V,
	MODULE_O,
	MODULE_GATE,
	MODULE_UP,
	MODULE_DOWN,
	MODULE_QKV, /* Phi-3: rows of q, then k, then v */
	MODULE_GATE_UP,
	MODULE_DENSE, /* Phi: attention's output */
	MODULE_FC1,
	MODULE_FC2,
	MODULE_C_ATTN, /* Qwen 1: rows of q, then k, then v */
	MODULE_ATTN_C_PROJ,
	MODULE_W1, /* up */
	MODULE_W2, /* gate */
	MODULE_MLP_C_PROJ,
	MODULE_MIXTRAL_ROUTER,
	MODULE_MIXTRAL_W1, /* gate */
	MODULE_MIXTRAL_W3, /* up */
	MODULE_MIXTRAL_W2, /* down */
	MODULE_ROUTER,	   /* Qwen 3 MoE */
	MODULE_EXPERT_GATE,
	MODULE_EXPERT_UP,
	MODULE_EXPERT_DOWN,
	MODULE_EMBED,
	MODULE_WTE, /* Qwen 1's embedding */
	MODULE_HEAD,
	N_MODULES
};

#define MODULE_NO_LAYER (-1)
#define MODULE_NO_EXPERT (-1)
#define MODULE_MAX_LAYERS 1024
#define MODULE_MAX_EXPERTS 1024
#define MODULE_PATH_SIZE 80

/* One of a kind: "q_proj", "mlp.c_proj", "experts.w1". */
const char *module_name(enum module module);
/* What PEFT's target_modules calls it: the name, or for an expert its last part, "w1". */
const char *module_target(enum module module);
bool module_in_layers(enum module module);
bool module_in_experts(enum module module);
bool module_is_embedding(enum module module); /* takes token ids: in = vocabulary */
/* Modules that are there once in each layer, by name. */
bool module_by_name(const char *name, size_t n_bytes, enum module *module);

/* "model.layers.3.self_attn.q_proj" into PATH [MODULE_PATH_SIZE]. LAYER and EXPERT count only
 * where the kind has them. */
void module_path(int layer, enum module module, int expert, char *path, size_t size);
/* The opposite: PATH's first N bytes, which must be the whole of it; numbers in their shortest
 * form, of at most six digits. */
bool module_by_path(const char *path, size_t n, int *layer, enum module *module, int *expert);
/* "q_proj of layer 3", "experts.2.w1 of layer 0", "lm_head", for messages: into LABEL
 * [MODULE_PATH_SIZE], returned. */
const char *module_label(int layer, enum module module, int expert, char *label, size_t size);

/* "q_proj,v_proj" -> flags[N_MODULES]; false (and the bad name's start) when one is unknown. */
bool module_set_parse(const char *list, bool flags[N_MODULES], const char **bad);

#endif
