/* hypernet.c - the hypernetwork's parameters: which there are, their names and shapes, their
 * memory. */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/error.h"
#include "engine/formats/safetensors.h"
#include "engine/hypernet/network.h"

#define MAX_WIDTH (1 << 16)	 /* embedding, latent and head input */
#define MAX_FEATURES (1 << 24)	 /* in and out of a module */
#define ALIGN_FLOATS 16		 /* one cache line */
#define N_CODES 32		 /* of the vq and softmax task encoders, as in the reference */
#define N_CATEGORIES 64		 /* of the discrete one */
#define DEVIATION_EPSILON 1e-10F /* the reference adds it when it takes z-scores and here */

/* The sizes a shape is made of. */
enum extent {
	NONE, /* no such dimension: the parameter is a vector */
	EMBEDDING,
	ENCODED,   /* H / 2 */
	ENCODED_4, /* 4 * H / 2 */
	POSITION,  /* H / 4 */
	CODES,
	CATEGORIES,
	CATEGORIES_4,
	TRUNK,	 /* P */
	TRUNK_4, /* 4 P */
	HEAD_IN, /* Q */
	LAYERS,
	MODULES,
	RANK,
	HEAD_OUT, /* of the module at hand */
	MODULE_IN,
	MODULE_OUT,
	RANK_ROWS, /* layers * rank */
	N_EXTENTS
};

/* When a parameter exists. */
enum presence {
	ALWAYS,
	IF_LEARNED_POSITIONS,
	IF_SHARED_HEAD,
	IF_HEAD_BIAS,
	IF_STANDARDISED,
	IF_OFFSET,
	IF_LINEAR,
	IF_DISCRETE,
	IF_VQ,
	IF_SOFTMAX,
	IF_CODES, /* vq or softmax */
	UNLESS_DISCRETE
};

struct parameter_row {
	const char *name;   /* of a module's parameter: what stands before the module's name */
	const char *suffix; /* and behind it; NULL: no module's */
	enum extent rows, cols;
	enum hypernet_start start;
	enum extent fan_in;
	enum presence presence;
};

#define LINEAR_IF(name, out, in, presence)                                                         \
	{ name ".weight", NULL, out, in, HYPERNET_START_UNIFORM, in, presence },                   \
	{                                                                                          \
		name ".bias", NULL, out, NONE, HYPERNET_START_UNIFORM, in, presence                \
	}
#define LINEAR(name, out, in) LINEAR_IF(name, out, in, ALWAYS)
#define NORM_IF(name, width, presence)                                                             \
	{ name ".weight", NULL, width, NONE, HYPERNET_START_ONE, NONE, presence },                 \
	{                                                                                          \
		name ".bias", NULL, width, NONE, HYPERNET_START_ZERO, NONE, presence               \
	}
#define NORM(name, width) NORM_IF(name, width, ALWAYS)

static const struct parameter_row trunk_rows[] = {
	LINEAR_IF("task_encoder.mlp.0", ENCODED, EMBEDDING, IF_LINEAR),
	NORM_IF("task_encoder.mlp.1", ENCODED, IF_LINEAR),
	LINEAR_IF("task_encoder.mlp.0", CATEGORIES_4, EMBEDDING, IF_DISCRETE),
	LINEAR_IF("task_encoder.mlp.3", CATEGORIES, CATEGORIES_4, IF_DISCRETE),
	LINEAR_IF("task_encoder.mlp.0", ENCODED_4, EMBEDDING, IF_CODES),
	LINEAR_IF("task_encoder.mlp.3", ENCODED, ENCODED_4, IF_VQ),
	LINEAR_IF("task_encoder.mlp.3", CODES, ENCODED_4, IF_SOFTMAX),
	{ "task_encoder.embed", NULL, ENCODED, CODES, HYPERNET_START_NORMAL, NONE, IF_VQ },
	{ "task_encoder.embed", NULL, CODES, ENCODED, HYPERNET_START_NORMAL, NONE, IF_SOFTMAX },
	NORM_IF("task_encoder.ln", ENCODED, IF_CODES),
	{ "layer_depth_encoder.0.weight", NULL, LAYERS, POSITION, HYPERNET_START_NORMAL, NONE,
	    UNLESS_DISCRETE },
	NORM_IF("layer_depth_encoder.1", POSITION, UNLESS_DISCRETE),
	{ "layer_type_encoder.0.weight", NULL, MODULES, POSITION, HYPERNET_START_NORMAL, NONE,
	    UNLESS_DISCRETE },
	NORM_IF("layer_type_encoder.1", POSITION, UNLESS_DISCRETE),
	LINEAR("mixer.1", TRUNK_4, TRUNK),
	LINEAR("mixer.4", TRUNK, TRUNK_4),
	NORM("mlp1.mlp.0", TRUNK),
	LINEAR("mlp1.mlp.1", TRUNK_4, TRUNK),
	LINEAR("mlp1.mlp.4", TRUNK, TRUNK_4),
	NORM("mlp2.mlp.0", TRUNK),
	LINEAR("mlp2.mlp.1", TRUNK_4, TRUNK),
	LINEAR("mlp2.mlp.4", TRUNK, TRUNK_4),
	NORM("mlp3.0", TRUNK),
	LINEAR("mlp3.1", TRUNK_4, TRUNK),
	LINEAR("mlp3.4", HEAD_IN, TRUNK_4),
	{ "pos_emb.0.weight", NULL, RANK, TRUNK, HYPERNET_START_NORMAL, NONE,
	    IF_LEARNED_POSITIONS },
	NORM_IF("pos_emb.1", TRUNK, IF_LEARNED_POSITIONS),
	NORM_IF("out_emb_norm", TRUNK, IF_SHARED_HEAD),
};

/* Once for every module type. */
static const struct parameter_row module_rows[] = {
	{ "out_emb.", ".A", TRUNK, NONE, HYPERNET_START_NORMAL, NONE, IF_SHARED_HEAD },
	{ "out_emb.", ".B", TRUNK, NONE, HYPERNET_START_NORMAL, NONE, IF_SHARED_HEAD },
	{ "heads.", ".weight", HEAD_OUT, HEAD_IN, HYPERNET_START_ZERO, NONE, ALWAYS },
	{ "heads.", ".bias", HEAD_OUT, NONE, HYPERNET_START_HEAD, NONE, IF_HEAD_BIAS },
	{ "AB_offset.A.", "", RANK_ROWS, MODULE_IN, HYPERNET_START_GIVEN, NONE, IF_OFFSET },
	{ "AB_offset.BT.", "", RANK_ROWS, MODULE_OUT, HYPERNET_START_GIVEN, NONE, IF_OFFSET },
	{ "mean_recon_target.A.", "", RANK_ROWS, MODULE_IN, HYPERNET_START_GIVEN, NONE,
	    IF_STANDARDISED },
	{ "mean_recon_target.BT.", "", RANK_ROWS, MODULE_OUT, HYPERNET_START_GIVEN, NONE,
	    IF_STANDARDISED },
	{ "std_recon_target.A.", "", RANK_ROWS, MODULE_IN, HYPERNET_START_GIVEN, NONE,
	    IF_STANDARDISED },
	{ "std_recon_target.BT.", "", RANK_ROWS, MODULE_OUT, HYPERNET_START_GIVEN, NONE,
	    IF_STANDARDISED },
};

#define LENGTH(array) (sizeof(array) / sizeof(array)[0])

int64_t
hypernet_head_rows(const struct hypernet_config *config, int module)
{
	int64_t in = config->in[module], out = config->out[module];
	int64_t row = config->shared_head ? (in > out ? in : out) : in + out;

	return config->rowwise ? row : row * config->rank;
}

int64_t
hypernet_encoded_size(const struct hypernet_config *config)
{
	return config->encoder == HYPERNET_DISCRETE ? N_CATEGORIES : config->latent_size / 2;
}

int64_t
hypernet_trunk_size(const struct hypernet_config *config)
{
	return config->encoder == HYPERNET_DISCRETE
		   ? N_CATEGORIES + config->n_layers + config->n_modules
		   : config->latent_size;
}

static void
measure(const struct hypernet_config *config, int module, int64_t extents[N_EXTENTS])
{
	extents[NONE] = 1;
	extents[EMBEDDING] = config->embedding_size;
	extents[ENCODED] = hypernet_encoded_size(config);
	extents[ENCODED_4] = 4 * extents[ENCODED];
	extents[POSITION] = config->latent_size / 4;
	extents[CODES] = N_CODES;
	extents[CATEGORIES] = N_CATEGORIES;
	extents[CATEGORIES_4] = 4 * N_CATEGORIES;
	extents[TRUNK] = hypernet_trunk_size(config);
	extents[TRUNK_4] = 4 * extents[TRUNK];
	extents[HEAD_IN] = config->head_in_size;
	extents[LAYERS] = config->n_layers;
	extents[MODULES] = config->n_modules;
	extents[RANK] = config->rank;
	extents[HEAD_OUT] = hypernet_head_rows(config, module);
	extents[MODULE_IN] = config->in[module];
	extents[MODULE_OUT] = config->out[module];
	extents[RANK_ROWS] = (int64_t)config->n_layers * config->rank;
}

static bool
is_present(const struct hypernet_config *config, enum presence presence)
{
	switch (presence) {
	case IF_LEARNED_POSITIONS:
		return config->rowwise && config->learned_positions;
	case IF_SHARED_HEAD:
		return config->shared_head;
	case IF_HEAD_BIAS:
		return config->head_bias;
	case IF_STANDARDISED:
		return config->standardised;
	case IF_OFFSET:
		return config->offset;
	case IF_LINEAR:
		return config->encoder == HYPERNET_LINEAR;
	case IF_DISCRETE:
		return config->encoder == HYPERNET_DISCRETE;
	case IF_VQ:
		return config->encoder == HYPERNET_VQ;
	case IF_SOFTMAX:
		return config->encoder == HYPERNET_SOFTMAX;
	case IF_CODES:
		return config->encoder == HYPERNET_VQ || config->encoder == HYPERNET_SOFTMAX;
	case UNLESS_DISCRETE:
		return config->encoder != HYPERNET_DISCRETE;
	default:
		return true;
	}
}

static enum t2l_status
check_range(const char *name, int64_t value, int64_t lowest, int64_t highest, struct t2l_error *err)
{
	if (value >= lowest && value <= highest)
		return T2L_OK;
	return t2l_fail(err, T2L_EINVAL,
	    "hypernet: %s %" PRId64 " is not between %" PRId64 " and %" PRId64, name, value, lowest,
	    highest);
}

static enum t2l_status
check_modules(const struct hypernet_config *config, struct t2l_error *err)
{
	enum t2l_status status;

	for (int i = 0; i < config->n_modules; i++) {
		if ((unsigned)config->modules[i] >= N_MODULES)
			return t2l_fail(
			    err, T2L_EINVAL, "hypernet: module %d is not a known one", i);
		for (int j = 0; j < i; j++) {
			if (config->modules[j] == config->modules[i])
				return t2l_fail(err, T2L_EINVAL,
				    "hypernet: module '%s' is named twice",
				    module_name(config->modules[i]));
		}
		if ((status = check_range(
			 "inputs of a module", config->in[i], 1, MAX_FEATURES, err)) != T2L_OK ||
		    (status = check_range(
			 "outputs of a module", config->out[i], 1, MAX_FEATURES, err)) != T2L_OK)
			return status;
	}
	return T2L_OK;
}

enum t2l_status
hypernet_check_config(const struct hypernet_config *config, struct t2l_error *err)
{
	const struct {
		const char *name;
		int64_t value, lowest, highest;
	} ranges[] = {
		{ "embedding size", config->embedding_size, 1, MAX_WIDTH },
		{ "latent size", config->latent_size, 4, MAX_WIDTH },
		{ "head input size", config->head_in_size, 1, MAX_WIDTH },
		{ "number of layers", config->n_layers, 1, ADAPTER_MAX_LAYERS },
		{ "rank", config->rank, 1, ADAPTER_MAX_RANK },
		{ "number of modules", config->n_modules, 1, N_MODULES },
	};
	enum t2l_status status;

	for (size_t i = 0; i < LENGTH(ranges); i++) {
		status = check_range(
		    ranges[i].name, ranges[i].value, ranges[i].lowest, ranges[i].highest, err);
		if (status != T2L_OK)
			return status;
	}
	if (config->latent_size % 4 != 0)
		return t2l_fail(err, T2L_EINVAL, "hypernet: latent size %d is no multiple of 4",
		    config->latent_size);
	/* The reference's own sum of the widths holds for no other latent size. */
	if (config->encoder == HYPERNET_DISCRETE && config->latent_size != 2 * N_CATEGORIES)
		return t2l_fail(err, T2L_EINVAL,
		    "hypernet: a discrete task encoder needs latent size %d, not %d",
		    2 * N_CATEGORIES, config->latent_size);
	if (config->rowwise && !config->learned_positions && hypernet_trunk_size(config) % 2 != 0)
		return t2l_fail(err, T2L_EINVAL,
		    "hypernet: positions by rotation need an even width, not %lld",
		    (long long)hypernet_trunk_size(config));
	if (!(config->lora_alpha > 0 && config->lora_alpha < 1e9))
		return t2l_fail(
		    err, T2L_EINVAL, "hypernet: lora_alpha %g is not above 0", config->lora_alpha);
	if (!(config->output_divisor >= 0 && config->output_divisor < 1e9))
		return t2l_fail(err, T2L_EINVAL, "hypernet: output divisor %g is not in [0, 1e9)",
		    config->output_divisor);
	if (!(config->dropout >= 0 && config->dropout < 1))
		return t2l_fail(err, T2L_EINVAL, "hypernet: dropout %g is not in [0, 1)",
		    (double)config->dropout);
	return check_modules(config, err);
}

static void
add_parameter(struct hypernet_network *network, const struct parameter_row *row, int module)
{
	const struct hypernet_config *config = &network->config;
	struct hypernet_parameter *parameter;
	int64_t extents[N_EXTENTS];

	if (!is_present(config, row->presence))
		return;
	measure(config, module, extents);
	parameter = &network->parameters[network->n_parameters++];
	snprintf(parameter->name, sizeof parameter->name, "%s%s%s", row->name,
	    row->suffix != NULL ? module_name(config->modules[module]) : "",
	    row->suffix != NULL ? row->suffix : "");
	parameter->tensor.dtype = DTYPE_F32;
	parameter->tensor.n_dims = row->cols == NONE ? 1 : 2;
	parameter->tensor.shape[0] = extents[row->rows];
	parameter->tensor.shape[1] = extents[row->cols];
	parameter->start = row->start;
	parameter->fan_in = extents[row->fan_in];
}

enum t2l_status
hypernet_plan(
    const struct hypernet_config *config, struct hypernet_network **out, struct t2l_error *err)
{
	struct hypernet_network *network;
	enum t2l_status status;

	if ((status = hypernet_check_config(config, err)) != T2L_OK)
		return status;
	network = calloc(1, sizeof *network);
	if (network != NULL)
		network->parameters =
		    calloc(LENGTH(trunk_rows) + LENGTH(module_rows) * (size_t)config->n_modules,
			sizeof network->parameters[0]);
	if (network == NULL || network->parameters == NULL) {
		free(network);
		return t2l_fail(err, T2L_ENOMEM, "hypernet: out of memory");
	}
	network->config = *config;
	for (size_t i = 0; i < LENGTH(trunk_rows); i++)
		add_parameter(network, &trunk_rows[i], 0);
	for (size_t i = 0; i < LENGTH(module_rows); i++) {
		for (int module = 0; module < config->n_modules; module++)
			add_parameter(network, &module_rows[i], module);
	}
	*out = network;
	return T2L_OK;
}

static size_t
padded_count(const struct tensor *tensor)
{
	size_t count = (size_t)tensor_count(tensor);

	return (count + ALIGN_FLOATS - 1) / ALIGN_FLOATS * ALIGN_FLOATS;
}

enum t2l_status
hypernet_allocate(struct hypernet_network *network, struct t2l_error *err)
{
	const size_t line = ALIGN_FLOATS * sizeof(float);
	size_t total = 0, at = 0;

	for (size_t i = 0; i < network->n_parameters; i++) {
		if (network->parameters[i].tensor.data == NULL)
			total += padded_count(&network->parameters[i].tensor);
	}
	if (total == 0)
		return T2L_OK;
	if (total > SIZE_MAX / sizeof(float) ||
	    (network->memory = aligned_alloc(line, total * sizeof(float))) == NULL)
		return t2l_fail(err, T2L_ENOMEM,
		    "hypernet: out of memory for %zu parameters; use a smaller latent size or "
		    "another variant",
		    total);
	memset(network->memory, 0, total * sizeof(float));
	for (size_t i = 0; i < network->n_parameters; i++) {
		struct tensor *tensor = &network->parameters[i].tensor;

		if (tensor->data != NULL)
			continue;
		tensor->data = network->memory + at;
		at += padded_count(tensor);
	}
	return T2L_OK;
}

enum t2l_status
hypernet_create(
    const struct hypernet_config *config, struct hypernet_network **out, struct t2l_error *err)
{
	struct hypernet_network *network;
	enum t2l_status status;

	if ((status = hypernet_plan(config, &network, err)) != T2L_OK)
		return status;
	if ((status = hypernet_allocate(network, err)) != T2L_OK) {
		hypernet_free(network);
		return status;
	}
	for (size_t i = 0; i < network->n_parameters; i++) {
		struct tensor *tensor = &network->parameters[i].tensor;

		if (network->parameters[i].start != HYPERNET_START_ONE)
			continue;
		for (int64_t j = 0; j < tensor_count(tensor); j++)
			tensor_f32(tensor)[j] = 1;
	}
	*out = network;
	return T2L_OK;
}

void
hypernet_free(struct hypernet_network *network)
{
	if (network == NULL)
		return;
	safetensors_close(network->file);
	free(network->memory);
	free(network->parameters);
	free(network);
}

struct tensor *
hypernet_find(const struct hypernet_network *network, const char *name)
{
	for (size_t i = 0; i < network->n_parameters; i++) {
		if (strcmp(network->parameters[i].name, name) == 0)
			return &network->parameters[i].tensor;
	}
	return NULL;
}

/* ---- from the heads' numbers to the adapter's ---- */

/* NULL when there is none. */
static struct tensor *
of_part(const struct hypernet_network *network, const char *kind, int module, int part)
{
	char name[96];

	snprintf(name, sizeof name, "%s.%s.%s", kind, part == 0 ? "A" : "BT",
	    module_name(network->config.modules[module]));
	return hypernet_find(network, name);
}

struct tensor *
hypernet_offset(const struct hypernet_network *network, int module, int part)
{
	return of_part(network, "AB_offset", module, part);
}

struct tensor *
hypernet_mean(const struct hypernet_network *network, int module, int part)
{
	return of_part(network, "mean_recon_target", module, part);
}

struct tensor *
hypernet_deviation(const struct hypernet_network *network, int module, int part)
{
	return of_part(network, "std_recon_target", module, part);
}

void
hypernet_finish(
    const struct hypernet_network *network, int module, int part, int64_t layer, float *values)
{
	const struct hypernet_config *config = &network->config;
	int64_t n = config->rank * (part == 0 ? config->in[module] : config->out[module]);

	if (config->standardised) {
		const float *mean = tensor_f32(hypernet_mean(network, module, part)) + layer * n;
		const float *deviation =
		    tensor_f32(hypernet_deviation(network, module, part)) + layer * n;

		for (int64_t i = 0; i < n; i++)
			values[i] = values[i] * (deviation[i] + DEVIATION_EPSILON) + mean[i];
	}
	if (config->offset) {
		const float *offset =
		    tensor_f32(hypernet_offset(network, module, part)) + layer * n;

		for (int64_t i = 0; i < n; i++)
			values[i] += offset[i];
	}
	for (int64_t i = 0; i < n && config->output_divisor > 0 && config->output_divisor != 1; i++)
		values[i] = (float)((double)values[i] / config->output_divisor);
}
