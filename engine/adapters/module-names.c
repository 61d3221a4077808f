/* module-names.c - Hugging Face's modules and llama.cpp's names for them, in one table. */

#include "engine/adapters/module-names.h"

#include <stdio.h>
#include <string.h>

/* Source: gguf-py's tensor mapping. Where an architecture is named, the row is for it alone and
 * stands before the row that all others share. */
static const struct {
	enum module module;
	const char *name, *architecture;
} names[] = {
	{ MODULE_DENSE, "attn_output", "phi2" },
	{ MODULE_FC1, "ffn_up", "phi2" },
	{ MODULE_FC2, "ffn_down", "phi2" },
	{ MODULE_GATE_UP, "ffn_up", "phi3" },
	{ MODULE_C_ATTN, "attn_qkv", "qwen" },
	{ MODULE_ATTN_C_PROJ, "attn_output", "qwen" },
	{ MODULE_W1, "ffn_up", "qwen" },
	{ MODULE_W2, "ffn_gate", "qwen" },
	{ MODULE_MLP_C_PROJ, "ffn_down", "qwen" },
	{ MODULE_WTE, "token_embd", "qwen" },
	{ MODULE_MIXTRAL_ROUTER, "ffn_gate_inp", "llama" },
	{ MODULE_MIXTRAL_W1, "ffn_gate_exps", "llama" },
	{ MODULE_MIXTRAL_W3, "ffn_up_exps", "llama" },
	{ MODULE_MIXTRAL_W2, "ffn_down_exps", "llama" },
	{ MODULE_Q, "attn_q", NULL },
	{ MODULE_K, "attn_k", NULL },
	{ MODULE_V, "attn_v", NULL },
	{ MODULE_O, "attn_output", NULL },
	{ MODULE_GATE, "ffn_gate", NULL },
	{ MODULE_UP, "ffn_up", NULL },
	{ MODULE_DOWN, "ffn_down", NULL },
	{ MODULE_QKV, "attn_qkv", NULL },
	{ MODULE_ROUTER, "ffn_gate_inp", NULL },
	{ MODULE_EXPERT_GATE, "ffn_gate_exps", NULL },
	{ MODULE_EXPERT_UP, "ffn_up_exps", NULL },
	{ MODULE_EXPERT_DOWN, "ffn_down_exps", NULL },
	{ MODULE_EMBED, "token_embd", NULL },
	{ MODULE_HEAD, "output", NULL },
};

#define N_NAMES (sizeof names / sizeof names[0])

void
ggml_module_name(const struct adapter_module *module, char *name)
{
	size_t i = 0;

	while (i < N_NAMES - 1 && names[i].module != module->module)
		i++;
	if (module_in_layers(module->module))
		snprintf(name, GGML_NAME_SIZE, "blk.%d.%s", module->layer, names[i].name);
	else
		snprintf(name, GGML_NAME_SIZE, "%s", names[i].name);
}

/* "blk.12." -> 12 and what is behind it. */
static bool
take_layer(const char **name, size_t *n, int *layer)
{
	size_t at = 4;

	if (*n < 7 || memcmp(*name, "blk.", 4) != 0)
		return false;
	*layer = 0;
	while (at < *n && at < 8 && (*name)[at] >= '0' && (*name)[at] <= '9')
		*layer = *layer * 10 + ((*name)[at++] - '0');
	if (at == 4 || at >= *n || (*name)[at] != '.' || ((*name)[4] == '0' && at > 5))
		return false;
	*name += at + 1;
	*n -= at + 1;
	return true;
}

bool
ggml_module_by_name(
    const char *name, size_t n, const char *architecture, struct adapter_module *module)
{
	bool in_layer = take_layer(&name, &n, &module->layer);

	for (size_t i = 0; i < N_NAMES; i++) {
		if (strlen(names[i].name) != n || memcmp(names[i].name, name, n) != 0 ||
		    module_in_layers(names[i].module) != in_layer ||
		    (names[i].architecture != NULL &&
			strcmp(names[i].architecture, architecture) != 0))
			continue;
		module->module = names[i].module;
		return true;
	}
	return false;
}
