/*
 * checkpoint.c - the hypernet's own file: one safetensors, its shape and its origin in the
 * metadata.
 *
 *   t2l.kind "hypernet", t2l.version "1", t2l.name
 *   t2l.base, t2l.base_fingerprint, t2l.encoder, t2l.encoder_fingerprint   what it was trained for
 *   t2l.config   JSON: {"variant": "S"|"M"|"L", "shared_head", "rowwise", "learned_positions",
 *                "head_bias", "use_rslora": booleans, "embedding_size", "latent_size",
 * "head_in_size", "n_layers", "rank": whole numbers, "lora_alpha", "dropout": numbers, "modules":
 * [{"name": "q_proj", "in": 64, "out": 64}, ...] in the order of the type embedding's rows; and
 *                optional: "standardised": the heads give z-scores, moments are in the file;
 *                "output_divisor": A and B are divided by it; "offset": AB_offset, a LoRA that
 *                is added, is in the file; "encoder_type": "linear" (else "discrete", "vq",
 *                "softmax"), "one_hot", "instruct": see hypernet.h}
 *
 * Tensors have the reference's names. Matrices of linear layers may be f32, f16 or bf16 and are
 * used in that form; the rest is written in f32 (and first, so that every tensor lies aligned). The
 * file stays mapped as long as the network lives. Numbers are not looked at when loading: an
 * adapter made from a NaN is refused when it is sealed.
 */

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/formats/fingerprint.h"
#include "engine/formats/json.h"
#include "engine/formats/safetensors-writer.h"
#include "engine/formats/safetensors.h"
#include "engine/hypernet/network.h"

#define KIND "hypernet"
#define VERSION "1"

/* ---- the config as JSON ---- */

/* Flags and sizes of the config, by their keys. */
static const struct {
	const char *key;
	size_t offset;
} flags[] = {
	{ "shared_head", offsetof(struct hypernet_config, shared_head) },
	{ "rowwise", offsetof(struct hypernet_config, rowwise) },
	{ "learned_positions", offsetof(struct hypernet_config, learned_positions) },
	{ "head_bias", offsetof(struct hypernet_config, head_bias) },
	{ "use_rslora", offsetof(struct hypernet_config, use_rslora) },
}, optional_flags[] = {
	{ "standardised", offsetof(struct hypernet_config, standardised) },
	{ "offset", offsetof(struct hypernet_config, offset) },
	{ "one_hot", offsetof(struct hypernet_config, one_hot) },
	{ "instruct", offsetof(struct hypernet_config, instruct) },
}, sizes[] = {
	{ "embedding_size", offsetof(struct hypernet_config, embedding_size) },
	{ "latent_size", offsetof(struct hypernet_config, latent_size) },
	{ "head_in_size", offsetof(struct hypernet_config, head_in_size) },
	{ "n_layers", offsetof(struct hypernet_config, n_layers) },
	{ "rank", offsetof(struct hypernet_config, rank) },
};

#define LENGTH(array) (sizeof(array) / sizeof(array)[0])

static const char *const encoder_types[N_HYPERNET_ENCODERS] = {
	[HYPERNET_LINEAR] = "linear",
	[HYPERNET_DISCRETE] = "discrete",
	[HYPERNET_VQ] = "vq",
	[HYPERNET_SOFTMAX] = "softmax",
};

static char *
config_to_json(const struct hypernet_config *config)
{
	cJSON *root = cJSON_CreateObject(), *modules;
	char *text;

	cJSON_AddStringToObject(root, "variant", config->variant);
	for (size_t i = 0; i < LENGTH(flags); i++)
		cJSON_AddBoolToObject(
		    root, flags[i].key, *(const bool *)((const char *)config + flags[i].offset));
	for (size_t i = 0; i < LENGTH(sizes); i++)
		cJSON_AddNumberToObject(
		    root, sizes[i].key, *(const int *)((const char *)config + sizes[i].offset));
	cJSON_AddNumberToObject(root, "lora_alpha", config->lora_alpha);
	cJSON_AddNumberToObject(root, "dropout", (double)config->dropout);
	for (size_t i = 0; i < LENGTH(optional_flags); i++)
		if (*(const bool *)((const char *)config + optional_flags[i].offset))
			cJSON_AddTrueToObject(root, optional_flags[i].key);
	if (config->encoder != HYPERNET_LINEAR)
		cJSON_AddStringToObject(root, "encoder_type", encoder_types[config->encoder]);
	if (config->output_divisor > 0)
		cJSON_AddNumberToObject(root, "output_divisor", config->output_divisor);
	modules = cJSON_AddArrayToObject(root, "modules");
	for (int i = 0; i < config->n_modules; i++) {
		cJSON *module = cJSON_CreateObject();

		cJSON_AddStringToObject(module, "name", module_name(config->modules[i]));
		cJSON_AddNumberToObject(module, "in", (double)config->in[i]);
		cJSON_AddNumberToObject(module, "out", (double)config->out[i]);
		cJSON_AddItemToArray(modules, module);
	}
	text = cJSON_PrintUnformatted(root);
	cJSON_Delete(root);
	return text;
}

static enum t2l_status
read_modules(
    const cJSON *root, const char *path, struct hypernet_config *config, struct t2l_error *err)
{
	const cJSON *modules, *item;
	enum t2l_status status;
	const char *name;

	status = json_array(root, "modules", JSON_REQUIRED, path, &modules, err);
	if (status != T2L_OK)
		return status;
	cJSON_ArrayForEach(item, modules)
	{
		int i = config->n_modules;

		if (i == N_MODULES)
			return t2l_fail(
			    err, T2L_EFORMAT, "%s: more than %d modules", path, N_MODULES);
		if ((status = json_string(item, "name", JSON_REQUIRED, path, &name, err)) !=
			T2L_OK ||
		    (status = json_integer(item, "in", JSON_REQUIRED, 1, INT32_MAX, path,
			 &config->in[i], err)) != T2L_OK ||
		    (status = json_integer(item, "out", JSON_REQUIRED, 1, INT32_MAX, path,
			 &config->out[i], err)) != T2L_OK)
			return status;
		if (!module_by_name(name, strlen(name), &config->modules[i]))
			return t2l_fail(err, T2L_EUNSUPPORTED,
			    "%s: module '%s' is not one of a decoder's that we know", path, name);
		config->n_modules++;
	}
	return T2L_OK;
}

static enum t2l_status
read_encoder_type(
    const cJSON *root, const char *path, struct hypernet_config *config, struct t2l_error *err)
{
	const char *name = encoder_types[HYPERNET_LINEAR];
	enum t2l_status status = json_string(root, "encoder_type", JSON_OPTIONAL, path, &name, err);

	for (int i = 0; i < N_HYPERNET_ENCODERS && status == T2L_OK; i++) {
		if (strcmp(name, encoder_types[i]) == 0) {
			config->encoder = (enum hypernet_encoder)i;
			return T2L_OK;
		}
	}
	return status != T2L_OK ? status
				: t2l_fail(err, T2L_EUNSUPPORTED,
				      "%s: encoder_type '%.32s' is not known", path, name);
}

static enum t2l_status
read_config(
    const cJSON *root, const char *path, struct hypernet_config *config, struct t2l_error *err)
{
	const char *variant, *expected;
	enum t2l_status status;
	struct t2l_error unfit;
	int64_t number;
	double dropout;

	memset(config, 0, sizeof *config);
	for (size_t i = 0; i < LENGTH(flags); i++) {
		status = json_bool(root, flags[i].key, JSON_REQUIRED, path,
		    (bool *)((char *)config + flags[i].offset), err);
		if (status != T2L_OK)
			return status;
	}
	for (size_t i = 0; i < LENGTH(optional_flags); i++) {
		status = json_bool(root, optional_flags[i].key, JSON_OPTIONAL, path,
		    (bool *)((char *)config + optional_flags[i].offset), err);
		if (status != T2L_OK)
			return status;
	}
	for (size_t i = 0; i < LENGTH(sizes); i++) {
		status = json_integer(
		    root, sizes[i].key, JSON_REQUIRED, 1, INT32_MAX, path, &number, err);
		if (status != T2L_OK)
			return status;
		*(int *)((char *)config + sizes[i].offset) = (int)number;
	}
	if ((status = json_number(root, "lora_alpha", JSON_REQUIRED, 0, 1e9, path,
		 &config->lora_alpha, err)) != T2L_OK ||
	    (status = json_number(root, "dropout", JSON_REQUIRED, 0, 1, path, &dropout, err)) !=
		T2L_OK ||
	    (status = read_encoder_type(root, path, config, err)) != T2L_OK ||
	    (status = json_number(root, "output_divisor", JSON_OPTIONAL, 0, 1e9, path,
		 &config->output_divisor, err)) != T2L_OK ||
	    (status = json_string(root, "variant", JSON_REQUIRED, path, &variant, err)) != T2L_OK ||
	    (status = read_modules(root, path, config, err)) != T2L_OK)
		return status;
	config->dropout = (float)dropout;
	expected = !config->shared_head ? "L" : config->rowwise ? "S" : "M";
	if (strcmp(variant, expected) != 0)
		return t2l_fail(err, T2L_EFORMAT,
		    "%s: variant '%.8s' does not fit its flags, which say '%s'", path, variant,
		    expected);
	strcpy(config->variant, expected);
	status = hypernet_check_config(config, &unfit);
	return status == T2L_OK ? T2L_OK
				: t2l_fail(err, T2L_EFORMAT, "%s: %s", path, unfit.message);
}

/* ---- writing ---- */

/* Matrices of linear layers may be stored in 16 bits and used so. */
static bool
is_matrix(const struct hypernet_parameter *parameter)
{
	return parameter->tensor.n_dims > 1 && parameter->start != HYPERNET_START_NORMAL &&
	       parameter->start != HYPERNET_START_GIVEN;
}

static enum t2l_status
write_numbers(struct safetensors_writer *writer, const struct hypernet_parameter *parameter,
    enum dtype dtype, struct t2l_error *err)
{
	const struct tensor *tensor = &parameter->tensor;
	const size_t size = dtype_row_bytes(tensor->dtype, 1);
	const int64_t n = tensor_count(tensor);
	enum t2l_status status = T2L_OK;
	float chunk[1024];

	for (int64_t at = 0; at < n && status == T2L_OK; at += (int64_t)LENGTH(chunk)) {
		int64_t some = n - at < (int64_t)LENGTH(chunk) ? n - at : (int64_t)LENGTH(chunk);

		if (!dtype_to_f32(
			tensor->dtype, (const char *)tensor->data + (size_t)at * size, chunk, some))
			return t2l_fail(err, T2L_EINVAL, "hypernet: '%s' has no float numbers",
			    parameter->name);
		for (int64_t i = 0; i < some; i++) {
			if (!isfinite(chunk[i]) ||
			    (dtype == DTYPE_F16 && !isfinite(f16_to_f32(f32_to_f16(chunk[i])))))
				return t2l_fail(err, T2L_EINVAL,
				    "hypernet: tensor '%s' has a number that %s cannot hold (%g)",
				    parameter->name, dtype_name(dtype), (double)chunk[i]);
		}
		status = safetensors_writer_floats(writer, chunk, some, dtype, err);
	}
	return status;
}

static enum t2l_status
write_tensors(struct safetensors_writer *writer, const struct hypernet_network *network,
    enum dtype dtype, const char *path, struct t2l_error *err)
{
	enum t2l_status status;

	for (int matrices = 0; matrices < 2; matrices++) {
		for (size_t i = 0; i < network->n_parameters; i++) {
			const struct tensor *tensor = &network->parameters[i].tensor;

			if (is_matrix(&network->parameters[i]) == (matrices != 0))
				safetensors_writer_declare(writer, network->parameters[i].name,
				    matrices ? dtype : DTYPE_F32, tensor->n_dims, tensor->shape);
		}
	}
	status = safetensors_writer_begin(writer, path, err);
	for (int matrices = 0; matrices < 2; matrices++) {
		for (size_t i = 0; i < network->n_parameters && status == T2L_OK; i++) {
			if (is_matrix(&network->parameters[i]) == (matrices != 0))
				status = write_numbers(writer, &network->parameters[i],
				    matrices ? dtype : DTYPE_F32, err);
		}
	}
	return status == T2L_OK ? safetensors_writer_finish(writer, err) : status;
}

enum t2l_status
hypernet_save(const struct hypernet_network *network, const struct hypernet_origin *origin,
    enum dtype dtype, const char *path, struct t2l_error *err)
{
	struct safetensors_writer *writer;
	enum t2l_status status;
	char *config;

	if (dtype != DTYPE_F32 && dtype != DTYPE_F16 && dtype != DTYPE_BF16)
		return t2l_fail(err, T2L_EINVAL,
		    "hypernet: '%s' is not f32, f16 or bf16, the types a checkpoint has",
		    dtype_name(dtype));
	writer = safetensors_writer_new(64);
	config = config_to_json(&network->config);
	if (writer == NULL || config == NULL) {
		status = t2l_fail(err, T2L_ENOMEM, "hypernet: out of memory");
	} else {
		const char *const metadata[][2] = {
			{ "format", "pt" },
			{ "t2l.kind", KIND },
			{ "t2l.version", VERSION },
			{ "t2l.config", config },
			{ "t2l.name", origin->name },
			{ "t2l.base", origin->base_name },
			{ "t2l.base_fingerprint", origin->base_fingerprint },
			{ "t2l.encoder", origin->encoder_name },
			{ "t2l.encoder_fingerprint", origin->encoder_fingerprint },
		};

		for (size_t i = 0; i < LENGTH(metadata); i++)
			safetensors_writer_metadata(writer, metadata[i][0], metadata[i][1]);
		status = write_tensors(writer, network, dtype, path, err);
	}
	cJSON_free(config);
	safetensors_writer_free(writer);
	return status;
}

/* ---- reading ---- */

static enum t2l_status
read_label(
    const struct safetensors *st, const char *key, char *out, size_t size, struct t2l_error *err)
{
	const char *value = safetensors_metadata(st, key);

	if (value == NULL)
		value = "";
	if (strlen(value) >= size)
		return t2l_fail(err, T2L_EFORMAT, "%s: '%s' is longer than %zu bytes",
		    safetensors_path(st), key, size - 1);
	strcpy(out, value);
	return T2L_OK;
}

static enum t2l_status
read_metadata(const struct safetensors *st, struct hypernet_config *config,
    struct hypernet_origin *origin, struct t2l_error *err)
{
	const char *path = safetensors_path(st);
	const char *kind = safetensors_metadata(st, "t2l.kind");
	const char *version = safetensors_metadata(st, "t2l.version");
	const char *text = safetensors_metadata(st, "t2l.config");
	enum t2l_status status;
	cJSON *root;

	if (kind == NULL || strcmp(kind, KIND) != 0)
		return t2l_fail(err, T2L_EFORMAT, "%s is %s, not a hypernet", path,
		    kind == NULL ? "a safetensors file without our metadata"
				 : "another file of ours");
	if (version == NULL || strcmp(version, VERSION) != 0)
		return t2l_fail(err, T2L_EUNSUPPORTED,
		    "%s: version '%.16s' of the hypernet format; this program reads "
		    "version " VERSION,
		    path, version == NULL ? "" : version);
	if (text == NULL)
		return t2l_fail(err, T2L_EFORMAT, "%s: metadata without 't2l.config'", path);
	if ((status = json_parse(text, strlen(text), path, &root, err)) != T2L_OK)
		return status;
	status = read_config(root, path, config, err);
	cJSON_Delete(root);
	if (status != T2L_OK)
		return status;
	if ((status = read_label(st, "t2l.name", origin->name, sizeof origin->name, err)) !=
		T2L_OK ||
	    (status = read_label(
		 st, "t2l.base", origin->base_name, sizeof origin->base_name, err)) != T2L_OK ||
	    (status = read_label(st, "t2l.base_fingerprint", origin->base_fingerprint,
		 sizeof origin->base_fingerprint, err)) != T2L_OK ||
	    (status = read_label(st, "t2l.encoder", origin->encoder_name,
		 sizeof origin->encoder_name, err)) != T2L_OK)
		return status;
	return read_label(st, "t2l.encoder_fingerprint", origin->encoder_fingerprint,
	    sizeof origin->encoder_fingerprint, err);
}

static bool
is_wanted(const struct hypernet_parameter *parameter, bool given)
{
	return given || parameter->start != HYPERNET_START_GIVEN;
}

/* Finds every parameter in the file. Matrices, and what is f32, stay where they are. */
static enum t2l_status
map_parameters(const struct safetensors *st, struct hypernet_network *network, bool given,
    struct t2l_error *err)
{
	enum t2l_status status;

	for (size_t i = 0; i < network->n_parameters; i++) {
		struct tensor *tensor = &network->parameters[i].tensor, stored;

		if (!is_wanted(&network->parameters[i], given))
			continue;
		status = safetensors_tensor_of_shape(
		    st, network->parameters[i].name, tensor->n_dims, tensor->shape, &stored, err);
		if (status != T2L_OK)
			return t2l_context(err, "hypernet");
		if (stored.dtype != DTYPE_F32 && stored.dtype != DTYPE_F16 &&
		    stored.dtype != DTYPE_BF16)
			return t2l_fail(err, T2L_EUNSUPPORTED,
			    "%s: tensor '%s' is %s; expected f32, f16 or bf16",
			    safetensors_path(st), network->parameters[i].name,
			    dtype_name(stored.dtype));
		if (is_matrix(&network->parameters[i]) || stored.dtype == DTYPE_F32)
			*tensor = stored;
	}
	return T2L_OK;
}

/* The rest, when stored in 16 bits, is widened: the operations want it in f32. */
static enum t2l_status
widen_rest(const struct safetensors *st, struct hypernet_network *network, bool given,
    struct t2l_error *err)
{
	enum t2l_status status = hypernet_allocate(network, err);

	for (size_t i = 0; i < network->n_parameters && status == T2L_OK; i++) {
		struct tensor *tensor = &network->parameters[i].tensor, stored;
		const char *name = network->parameters[i].name;

		if (is_matrix(&network->parameters[i]) ||
		    !is_wanted(&network->parameters[i], given))
			continue;
		status = safetensors_tensor(st, name, &stored, err);
		if (status == T2L_OK && stored.dtype != DTYPE_F32)
			dtype_to_f32(
			    stored.dtype, stored.data, tensor_f32(tensor), tensor_count(tensor));
	}
	return status;
}

enum t2l_status
hypernet_bind(const struct safetensors *st, struct hypernet_network *network, bool given,
    struct t2l_error *err)
{
	enum t2l_status status = map_parameters(st, network, given, err);

	return status == T2L_OK ? widen_rest(st, network, given, err) : status;
}

/* Nothing else may be in the file. */
static enum t2l_status
refuse_others(
    const struct safetensors *st, const struct hypernet_network *network, struct t2l_error *err)
{
	for (size_t i = 0; i < safetensors_count(st); i++) {
		if (hypernet_find(network, safetensors_at(st, i)->name) == NULL)
			return t2l_fail(err, T2L_EFORMAT,
			    "%s: tensor '%.100s' is no part of a variant %s hypernet",
			    safetensors_path(st), safetensors_at(st, i)->name,
			    network->config.variant);
	}
	return T2L_OK;
}

enum t2l_status
hypernet_load(const char *path, struct hypernet_network **out, struct hypernet_origin *origin,
    char fingerprint[65], struct t2l_error *err)
{
	struct hypernet_network *network = NULL;
	struct hypernet_config config;
	struct safetensors *st;
	enum t2l_status status;

	if (hypernet_is_reference(path))
		return hypernet_load_reference(path, out, origin, fingerprint, err);
	if ((status = safetensors_open(path, &st, err)) != T2L_OK)
		return status;
	if ((status = read_metadata(st, &config, origin, err)) == T2L_OK &&
	    (status = hypernet_plan(&config, &network, err)) == T2L_OK &&
	    (status = hypernet_bind(st, network, true, err)) == T2L_OK &&
	    (status = refuse_others(st, network, err)) == T2L_OK)
		status = fingerprint_safetensors(st, fingerprint, err);
	if (status != T2L_OK) {
		hypernet_free(network);
		safetensors_close(st);
		return status;
	}
	network->file = st;
	*out = network;
	return T2L_OK;
}
