/*
 * models/module.h - the linear modules of a decoder layer that an adapter may change.
 *
 * The names are Hugging Face's; an adapter's tensor "...layers.3.self_attn.q_proj.lora_A.weight"
 * belongs to module MODULE_Q of layer 3.
 */
#ifndef ENGINE_MODELS_MODULE_H
#define ENGINE_MODELS_MODULE_H

#include <stdbool.h>
#include <stddef.h>

enum module {
	MODULE_Q,
	MODULE_K,
	MODULE_V,
	MODULE_O,
	MODULE_GATE,
	MODULE_UP,
	MODULE_DOWN,
	N_MODULES
};

const char *module_name(enum module module);   /* "q_proj" */
const char *module_parent(enum module module); /* "self_attn" or "mlp" */
bool module_by_name(const char *name, size_t n_bytes, enum module *module);

/* "q_proj,v_proj" -> flags[N_MODULES]; false (and the bad name's start) when one is unknown. */
bool module_set_parse(const char *list, bool flags[N_MODULES], const char **bad);

#endif
