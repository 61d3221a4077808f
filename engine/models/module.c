/* The names of the modules that adapters change, in one table. */
#include "engine/models/module.h"

#include <stdio.h>
#include <string.h>

/* In a path the first star is the layer, the second the expert. */
static const struct {
	const char *name, *path;
} modules[N_MODULES] = {
	[MODULE_Q] = { "q_proj", "model.layers.*.self_attn.q_proj" },
	[MODULE_K] = { "k_proj", "model.layers.*.self_attn.k_proj" },
	[MODULE_V] = { "v_proj", "model.layers.*.self_attn.v_proj" },
	[MODULE_O] = { "o_proj", "model.layers.*.self_attn.o_proj" },
	[MODULE_GATE] = { "gate_proj", "model.layers.*.mlp.gate_proj" },
	[MODULE_UP] = { "up_proj", "model.layers.*.mlp.up_proj" },
	[MODULE_DOWN] = { "down_proj", "model.layers.*.mlp.down_proj" },
	[MODULE_QKV] = { "qkv_proj", "model.layers.*.self_attn.qkv_proj" },
	[MODULE_GATE_UP] = { "gate_up_proj", "model.layers.*.mlp.gate_up_proj" },
	[MODULE_DENSE] = { "dense", "model.layers.*.self_attn.dense" },
	[MODULE_FC1] = { "fc1", "model.layers.*.mlp.fc1" },
	[MODULE_FC2] = { "fc2", "model.layers.*.mlp.fc2" },
	[MODULE_C_ATTN] = { "c_attn", "transformer.h.*.attn.c_attn" },
	[MODULE_ATTN_C_PROJ] = { "attn.c_proj", "transformer.h.*.attn.c_proj" },
	[MODULE_W1] = { "w1", "transformer.h.*.mlp.w1" },
	[MODULE_W2] = { "w2", "transformer.h.*.mlp.w2" },
	[MODULE_MLP_C_PROJ] = { "mlp.c_proj", "transformer.h.*.mlp.c_proj" },
	[MODULE_MIXTRAL_ROUTER] = { "block_sparse_moe.gate",
	    "model.layers.*.block_sparse_moe.gate" },
	[MODULE_MIXTRAL_W1] = { "experts.w1", "model.layers.*.block_sparse_moe.experts.*.w1" },
	[MODULE_MIXTRAL_W3] = { "experts.w3", "model.layers.*.block_sparse_moe.experts.*.w3" },
	[MODULE_MIXTRAL_W2] = { "experts.w2", "model.layers.*.block_sparse_moe.experts.*.w2" },
	[MODULE_ROUTER] = { "mlp.gate", "model.layers.*.mlp.gate" },
	[MODULE_EXPERT_GATE] = { "experts.gate_proj", "model.layers.*.mlp.experts.*.gate_proj" },
	[MODULE_EXPERT_UP] = { "experts.up_proj", "model.layers.*.mlp.experts.*.up_proj" },
	[MODULE_EXPERT_DOWN] = { "experts.down_proj", "model.layers.*.mlp.experts.*.down_proj" },
	[MODULE_EMBED] = { "embed_tokens", "model.embed_tokens" },
	[MODULE_WTE] = { "wte", "transformer.wte" },
	[MODULE_HEAD] = { "lm_head", "lm_head" },
};

const char *
module_name(enum module module)
{
	return modules[module].name;
}

const char *
module_target(enum module module)
{
	const char *name = modules[module].name;

	return module_in_experts(module) ? strrchr(name, '.') + 1 : name;
}

bool
module_in_layers(enum module module)
{
	return strchr(modules[module].path, '*') != NULL;
}

bool
module_in_experts(enum module module)
{
	const char *star = strchr(modules[module].path, '*');

	return star != NULL && strchr(star + 1, '*') != NULL;
}

bool
module_is_embedding(enum module module)
{
	return module == MODULE_EMBED || module == MODULE_WTE;
}

bool
module_by_name(const char *name, size_t n_bytes, enum module *module)
{
	for (int i = 0; i < N_MODULES; i++) {
		if (strlen(modules[i].name) == n_bytes &&
		    memcmp(modules[i].name, name, n_bytes) == 0 &&
		    module_in_layers((enum module)i) && !module_in_experts((enum module)i)) {
			*module = (enum module)i;
			return true;
		}
	}
	return false;
}

void
module_path(int layer, enum module module, int expert, char *path, size_t size)
{
	const char *from = modules[module].path;
	int numbers[2] = { layer, expert };
	size_t used = 0;

	for (int star = 0; star < 2 && used < size; star++) {
		size_t n = strcspn(from, "*");

		used += (size_t)snprintf(path + used, size - used, "%.*s", (int)n, from);
		from += n;
		if (*from == '*' && used < size) {
			used += (size_t)snprintf(path + used, size - used, "%d", numbers[star]);
			from++;
		}
	}
	if (used < size)
		snprintf(path + used, size - used, "%s", from);
}

/* At most six digits without leading zeros. */
static bool
take_number(const char **at, const char *end, int *number)
{
	const char *start = *at;

	*number = 0;
	for (; *at < end && **at >= '0' && **at <= '9' && *at - start < 6; ++*at)
		*number = *number * 10 + (**at - '0');
	return *at > start && (*start != '0' || *at - start == 1);
}

static bool
match_path(const char *pattern, const char *path, const char *end, int numbers[2])
{
	int star = 0;

	for (; *pattern != '\0'; pattern++) {
		if (*pattern == '*') {
			if (!take_number(&path, end, &numbers[star]))
				return false;
			star++;
		} else if (path == end || *path++ != *pattern) {
			return false;
		}
	}
	return path == end;
}

bool
module_by_path(const char *path, size_t n, int *layer, enum module *module, int *expert)
{
	for (int i = 0; i < N_MODULES; i++) {
		int numbers[2] = { MODULE_NO_LAYER, MODULE_NO_EXPERT };

		if (!match_path(modules[i].path, path, path + n, numbers))
			continue;
		*module = (enum module)i;
		*layer = numbers[0];
		*expert = module_in_experts(*module) ? numbers[1] : MODULE_NO_EXPERT;
		return true;
	}
	return false;
}

const char *
module_label(int layer, enum module module, int expert, char *label, size_t size)
{
	const char *name = modules[module].name;

	if (!module_in_layers(module))
		snprintf(label, size, "%s", name);
	else if (!module_in_experts(module))
		snprintf(label, size, "%s of layer %d", name, layer);
	else
		snprintf(
		    label, size, "experts.%d.%s of layer %d", expert, module_target(module), layer);
	return label;
}

bool
module_set_parse(const char *list, bool flags[N_MODULES], const char **bad)
{
	memset(flags, 0, N_MODULES * sizeof *flags);
	for (const char *at = list;;) {
		size_t n;
		enum module module;

		at += strspn(at, " ");
		n = strcspn(at, ",");
		const char *end = at + n;
		while (n > 0 && at[n - 1] == ' ')
			n--;
		if (!module_by_name(at, n, &module)) {
			if (bad != NULL)
				*bad = at;
			return false;
		}
		flags[module] = true;
		if (*end == '\0')
			return true;
		at = end + 1;
	}
}
