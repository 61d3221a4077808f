/*
 * format-kohya.c - one safetensors file with names as Kohya's trainers write them, read only.
 *
 * "PREFIX_layers_0_self_attn_q_proj.lora_down.weight" is A [rank, in], ".lora_up.weight" is B
 * [out, rank], ".alpha" a scalar; scale = alpha / rank, 1 when alpha is absent. The module's dots
 * are underscores, so a name is only understood when it ends, behind one prefix that all tensors
 * share, in "layers_N_" and a module of a language model; names of image models (lora_unet_, ...)
 * do not.
 */

#include <stdio.h>
#include <string.h>

#include "engine/adapters/format.h"
#include "engine/adapters/pairs.h"
#include "engine/error.h"
#include "engine/formats/safetensors.h"

#define LAYERS "layers_"
#define ALPHA ".alpha"

static const struct {
	const char *suffix;
	bool is_b;
} halves[] = {
	{ ".lora_down.weight", false },
	{ ".lora_up.weight", true },
};

/* "model.layers.0.self_attn.q_proj" for the module's name, dots as underscores, of N bytes. */
static bool
find_module(const char *name, size_t n, struct adapter_module *module)
{
	char path[MODULE_PATH_SIZE];
	int layer = 0, digits = 0;

	while (digits < 4 && (size_t)digits < n && name[digits] >= '0' && name[digits] <= '9')
		layer = 10 * layer + (name[digits++] - '0');
	if (digits == 0 || (digits > 1 && name[0] == '0') || layer >= MODULE_MAX_LAYERS ||
	    (size_t)digits == n || name[digits] != '_')
		return false;
	name += digits + 1;
	n -= (size_t)digits + 1;
	for (int kind = 0; kind < N_MODULES; kind++) {
		const char *at;

		if (!module_in_layers((enum module)kind) || module_in_experts((enum module)kind))
			continue;
		module_path(layer, (enum module)kind, MODULE_NO_EXPERT, path, sizeof path);
		if (strncmp(path, "model.layers.", 13) != 0)
			continue;
		for (char *dot = path; (dot = strchr(dot, '.')) != NULL;)
			*dot = '_';
		at = strchr(path + 13, '_') + 1;
		if (strlen(at) != n || memcmp(at, name, n) != 0)
			continue;
		*module = (struct adapter_module){
			.layer = layer, .module = (enum module)kind, .expert = MODULE_NO_EXPERT
		};
		return true;
	}
	return false;
}

/* The place of NAME's first N bytes, whose prefix must be that of the file; *PREFIX_BYTES is set by
 * the first. */
static bool
parse_module(const char *name, size_t n, const char *first, size_t *prefix_bytes,
    struct adapter_module *module)
{
	const char *layers = strstr(name, LAYERS);
	size_t prefix;

	if (layers == NULL || layers + strlen(LAYERS) >= name + n)
		return false;
	prefix = (size_t)(layers - name);
	if (*prefix_bytes == SIZE_MAX)
		*prefix_bytes = prefix;
	if (prefix != *prefix_bytes || strncmp(name, first, prefix) != 0)
		return false;
	layers += strlen(LAYERS);
	return find_module(layers, (size_t)(name + n - layers), module);
}

/* The alpha of the pair that the first N bytes of NAME tell; RANK (a scale of 1) when the file has
 * none. */
static enum t2l_status
find_alpha(const struct safetensors *st, const char *name, size_t n, double rank, double *alpha,
    struct t2l_error *err)
{
	const struct safetensors_entry *entry;
	char key[256];
	float value;

	*alpha = rank;
	if (snprintf(key, sizeof key, "%.*s" ALPHA, (int)n, name) >= (int)sizeof key ||
	    (entry = safetensors_find(st, key)) == NULL)
		return T2L_OK;
	if (!entry->convertible || entry->n_bytes != dtype_row_bytes(entry->dtype, 1) ||
	    !dtype_to_f32(entry->dtype, entry->bytes, &value, 1))
		return t2l_fail(err, T2L_EFORMAT, "%s: '%.100s' is no single number",
		    safetensors_path(st), key);
	*alpha = (double)value;
	return T2L_OK;
}

static enum t2l_status
add_entry(struct pairs *pairs, const struct safetensors *st, const struct safetensors_entry *entry,
    size_t *prefix, struct t2l_error *err)
{
	const char *first = safetensors_at(st, 0)->name;
	const size_t n = strlen(entry->name);
	struct adapter_module place;

	if (n > strlen(ALPHA) && strcmp(entry->name + n - strlen(ALPHA), ALPHA) == 0)
		return T2L_OK; /* with its pair */
	for (size_t i = 0; i < 2; i++) {
		const size_t n_suffix = strlen(halves[i].suffix);
		struct pair_tensor tensor = { .name = entry->name, .is_b = halves[i].is_b };
		enum t2l_status status;

		if (n <= n_suffix || strcmp(entry->name + n - n_suffix, halves[i].suffix) != 0 ||
		    !parse_module(entry->name, n - n_suffix, first, prefix, &place))
			continue;
		if (entry->n_dims != 2 || !entry->convertible || entry->dtype == DTYPE_I32 ||
		    entry->dtype == DTYPE_I64)
			return t2l_fail(err, T2L_EUNSUPPORTED,
			    "%s: tensor '%.100s' is no matrix of F32, F16 or BF16",
			    safetensors_path(st), entry->name);
		tensor.layer = place.layer;
		tensor.module = place.module;
		tensor.expert = place.expert;
		tensor.dtype = entry->dtype;
		tensor.rows = entry->shape[0];
		tensor.cols = entry->shape[1];
		tensor.bytes = entry->bytes;
		status = find_alpha(st, entry->name, n - n_suffix,
		    (double)pair_tensor_rank(&tensor), &tensor.alpha, err);
		return status == T2L_OK ? pairs_add(pairs, &tensor, err) : status;
	}
	return t2l_fail(err, T2L_EUNSUPPORTED,
	    "%s: tensor '%.100s' is no module of a language model that its name tells for certain",
	    safetensors_path(st), entry->name);
}

static enum t2l_status
kohya_read(const char *path, struct t2l_adapter **out, struct t2l_error *err)
{
	const struct adapter_labels none = { .name = NULL };
	struct pairs pairs = { .path = path };
	size_t prefix = SIZE_MAX;
	struct safetensors *st;
	enum t2l_status status = safetensors_open(path, &st, err);

	if (status != T2L_OK)
		return status;
	for (size_t i = 0; i < safetensors_count(st) && status == T2L_OK; i++)
		status = add_entry(&pairs, st, safetensors_at(st, i), &prefix, err);
	if (status == T2L_OK)
		status = pairs_adapter(&pairs, false, 0, &none, "kohya", out, err);
	pairs_free(&pairs);
	safetensors_close(st);
	return status;
}

/* A safetensors file (its header is JSON behind eight bytes of length) with a tensor of that name.
 */
static bool
is_kohya(const struct adapter_probe *probe)
{
	struct safetensors *st;
	bool is = false;

	if (safetensors_open(probe->path, &st, NULL) != T2L_OK)
		return false;
	for (size_t i = 0; i < safetensors_count(st) && !is; i++)
		is = strstr(safetensors_at(st, i)->name, halves[0].suffix) != NULL;
	safetensors_close(st);
	return is;
}

const struct adapter_format format_kohya = {
	.facts = {
		.name = "kohya",
		.holds = "one safetensors file with lora_down, lora_up and alpha, where its names are plain",
		.precisions = "",
		.reads = true,
	},
	.is = is_kohya,
	.read = kohya_read,
};
