/* base-shape.c - the architecture and head size of a base, from its configuration alone. */

#include "engine/adapters/base-shape.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/formats/gguf.h"
#include "engine/formats/json.h"

#define CONFIG_LIMIT (4 << 20)

/* model_type of config.json -> general.architecture (llama.cpp's converter). */
static const struct {
	const char *model_type, *architecture;
} architectures[] = {
	{ "llama", "llama" },
	{ "mistral", "llama" },
	{ "mixtral", "llama" },
	{ "gemma", "gemma" },
	{ "gemma2", "gemma2" },
	{ "gemma3_text", "gemma3" },
	{ "phi", "phi2" },
	{ "phi3", "phi3" },
	{ "qwen", "qwen" },
	{ "qwen2", "qwen2" },
	{ "qwen2_moe", "qwen2moe" },
	{ "qwen3", "qwen3" },
	{ "qwen3_moe", "qwen3moe" },
};

/* Only the llama family is reordered; the others rotate halves in GGUF as well. */
bool
base_has_neighbours(const char *architecture)
{
	return strcmp(architecture, "llama") == 0;
}

static enum t2l_status
name_architecture(
    const char *model_type, const char *path, struct base_shape *shape, struct t2l_error *err)
{
	for (size_t i = 0; i < sizeof architectures / sizeof architectures[0]; i++) {
		if (strcmp(model_type, architectures[i].model_type) == 0) {
			snprintf(shape->architecture, sizeof shape->architecture, "%s",
			    architectures[i].architecture);
			return T2L_OK;
		}
	}
	return t2l_fail(err, T2L_EUNSUPPORTED, "%s: model_type '%.60s' has no known GGUF name",
	    path, model_type);
}

static enum t2l_status
read_config(const cJSON *root, const char *path, struct base_shape *shape, struct t2l_error *err)
{
	int64_t hidden = 0, heads = 0, head_dim = 0, experts = 0;
	const char *model_type = NULL;
	enum t2l_status status;

	if ((status = json_string(root, "model_type", JSON_REQUIRED, path, &model_type, err)) !=
		T2L_OK ||
	    (status = name_architecture(model_type, path, shape, err)) != T2L_OK ||
	    (status = json_integer(
		 root, "hidden_size", JSON_REQUIRED, 1, INT32_MAX, path, &hidden, err)) != T2L_OK ||
	    (status = json_integer(root, "num_attention_heads", JSON_REQUIRED, 1, INT32_MAX, path,
		 &heads, err)) != T2L_OK ||
	    (status = json_integer(
		 root, "head_dim", JSON_OPTIONAL, 1, INT32_MAX, path, &head_dim, err)) != T2L_OK ||
	    (status = json_integer(root, "num_local_experts", JSON_OPTIONAL, 0, 1024, path,
		 &experts, err)) != T2L_OK ||
	    (status = json_integer(
		 root, "num_experts", JSON_OPTIONAL, 0, 1024, path, &experts, err)) != T2L_OK)
		return status;
	shape->head_dim = (int)(head_dim > 0 ? head_dim : hidden / heads);
	shape->n_experts = (int)experts;
	return T2L_OK;
}

static enum t2l_status
read_hf(const char *directory, struct base_shape *shape, struct t2l_error *err)
{
	char path[4200];
	enum t2l_status status;
	cJSON *root;

	snprintf(path, sizeof path, "%s/config.json", directory);
	if ((status = json_open(path, CONFIG_LIMIT, &root, err)) != T2L_OK)
		return status;
	shape->is_hf = true;
	status = read_config(root, path, shape, err);
	cJSON_Delete(root);
	return status;
}

static enum t2l_status
read_keys(const struct gguf *gguf, struct base_shape *shape, struct t2l_error *err)
{
	const char *type = "model", *architecture = NULL;
	int64_t hidden = 0, heads = 0, head_dim = 0, experts = 0;
	char key[128];
	enum t2l_status status;

	if ((status = gguf_string(gguf, "general.type", false, &type, err)) != T2L_OK ||
	    (status = gguf_string(gguf, "general.architecture", true, &architecture, err)) !=
		T2L_OK)
		return status;
	if (strcmp(type, "model") != 0)
		return t2l_fail(err, T2L_EINVAL,
		    "%s: this GGUF file holds '%.40s', not a model; the adapter's base is needed",
		    gguf_path(gguf), type);
	snprintf(shape->architecture, sizeof shape->architecture, "%s", architecture);
	const struct {
		const char *name;
		bool required;
		int64_t *value;
	} numbers[] = {
		{ "embedding_length", true, &hidden },
		{ "attention.head_count", true, &heads },
		{ "attention.key_length", false, &head_dim },
		{ "expert_count", false, &experts },
	};

	for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
		snprintf(key, sizeof key, "%s.%s", shape->architecture, numbers[i].name);
		status = gguf_integer(gguf, key, numbers[i].required, numbers[i].required,
		    INT32_MAX, numbers[i].value, err);
		if (status != T2L_OK)
			return status;
	}
	shape->head_dim = (int)(head_dim > 0 ? head_dim : hidden / heads);
	shape->n_experts = (int)experts;
	return T2L_OK;
}

static enum t2l_status
read_gguf(const char *path, struct base_shape *shape, struct t2l_error *err)
{
	struct gguf *gguf;
	enum t2l_status status = gguf_open(path, &gguf, err);

	if (status != T2L_OK)
		return status;
	status = read_keys(gguf, shape, err);
	gguf_close(gguf);
	return status;
}

enum t2l_status
base_shape_read(const char *path, struct base_shape *shape, struct t2l_error *err)
{
	enum t2l_status status;
	struct stat facts;

	*shape = (struct base_shape){ .is_hf = false };
	if (snprintf(shape->path, sizeof shape->path, "%s", path) >= (int)sizeof shape->path)
		return t2l_fail(err, T2L_EINVAL, "the path '%.60s...' is too long", path);
	if (stat(path, &facts) != 0)
		return t2l_fail_errno(err, "cannot open the base '%s'", path);
	status = S_ISDIR(facts.st_mode) ? read_hf(path, shape, err) : read_gguf(path, shape, err);
	if (status == T2L_OK && (shape->head_dim < 2 || shape->head_dim % 2 != 0))
		status = t2l_fail(err, T2L_EFORMAT, "%s: heads of %d numbers cannot be rotated",
		    path, shape->head_dim);
	shape->neighbours = base_has_neighbours(shape->architecture);
	return status;
}
