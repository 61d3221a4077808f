/* The names of the modules that adapters change, in one table. */
#include "engine/models/module.h"

#include <string.h>

static const struct {
	const char *name, *parent;
} modules[N_MODULES] = {
	[MODULE_Q] = { "q_proj", "self_attn" },
	[MODULE_K] = { "k_proj", "self_attn" },
	[MODULE_V] = { "v_proj", "self_attn" },
	[MODULE_O] = { "o_proj", "self_attn" },
	[MODULE_GATE] = { "gate_proj", "mlp" },
	[MODULE_UP] = { "up_proj", "mlp" },
	[MODULE_DOWN] = { "down_proj", "mlp" },
};

const char *
module_name(enum module module)
{
	return modules[module].name;
}

const char *
module_parent(enum module module)
{
	return modules[module].parent;
}

bool
module_by_name(const char *name, size_t n_bytes, enum module *module)
{
	for (int i = 0; i < N_MODULES; i++) {
		if (strlen(modules[i].name) == n_bytes &&
		    memcmp(modules[i].name, name, n_bytes) == 0) {
			*module = (enum module)i;
			return true;
		}
	}
	return false;
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
