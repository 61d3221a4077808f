/* config-gguf.c - the metadata of a GGUF model -> decoder_config. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "engine/models/loader.h"

/* What reads a file's keys: those of the model begin with its architecture, "llama.block_count". */
struct reading {
	const struct gguf *gguf;
	const char *architecture;
	struct decoder_config *config;
	struct t2l_error *err;
};

static const char *
key_of(const struct reading *reading, const char *part, char key[96])
{
	snprintf(key, 96, "%s.%s", reading->architecture, part);
	return key;
}

static enum t2l_status
integer(const struct reading *reading, const char *part, bool required, int64_t least, int *value)
{
	char key[96];
	int64_t wide = *value;
	enum t2l_status status = gguf_integer(reading->gguf, key_of(reading, part, key), required,
	    least, INT32_MAX, &wide, reading->err);

	if (status == T2L_OK)
		*value = (int)wide;
	return status;
}

/* Numbers of a sane size: what is above is damage. */
static enum t2l_status
number(const struct reading *reading, const char *part, bool required, double *value)
{
	char key[96];
	enum t2l_status status =
	    gguf_number(reading->gguf, key_of(reading, part, key), required, value, reading->err);

	if (status == T2L_OK && !(*value >= 0 && *value <= 1e12))
		return t2l_fail(reading->err, T2L_EFORMAT, "%s: key '%s' is %g; expected 0 to 1e12",
		    gguf_path(reading->gguf), key, *value);
	return status;
}

static enum t2l_status
read_architecture(struct reading *reading)
{
	const struct gguf *gguf = reading->gguf;
	const char *type = "model";
	char list[256];
	int n_experts = 0, window = 0;
	enum t2l_status status = gguf_string(gguf, "general.type", false, &type, reading->err);

	if (status == T2L_OK && strcmp(type, "model") != 0)
		return t2l_fail(reading->err, T2L_EINVAL,
		    "%s: this GGUF file holds '%.40s', not a model; a base model is needed here",
		    gguf_path(gguf), type);
	if (status == T2L_OK)
		status = gguf_string(
		    gguf, "general.architecture", true, &reading->architecture, reading->err);
	if (status == T2L_OK && strlen(reading->architecture) < 32) {
		status = integer(reading, "expert_count", false, 0, &n_experts);
		if (status == T2L_OK)
			status = integer(reading, "attention.sliding_window", false, 0, &window);
	}
	if (status != T2L_OK)
		return status;
	reading->config->kind =
	    architecture_by_gguf(reading->architecture, n_experts > 0, window > 0);
	if (reading->config->kind == NULL)
		return t2l_fail(reading->err, T2L_EUNSUPPORTED,
		    "%s: architecture '%.60s'%s is not supported; supported: %s", gguf_path(gguf),
		    reading->architecture, n_experts > 0 ? " with experts" : "",
		    architecture_list(true, list, sizeof list));
	return T2L_OK;
}

static enum t2l_status
read_sizes(const struct reading *reading)
{
	struct decoder_config *config = reading->config;
	const bool experts = architecture_module(config->kind, ROLE_ROUTER) != N_MODULES;
	const struct {
		const char *part;
		int *value;
		bool required;
	} sizes[] = {
		{ "block_count", &config->n_layers, true },
		{ "embedding_length", &config->hidden_size, true },
		{ "attention.head_count", &config->n_heads, true },
		{ "attention.head_count_kv", &config->n_kv_heads, false },
		{ "attention.key_length", &config->head_dim, false },
		{ "feed_forward_length", &config->ffn_size, !experts },
		{ "context_length", &config->context_length, true },
		{ "expert_count", &config->n_experts, experts },
		{ "expert_used_count", &config->n_experts_used, experts },
		{ "expert_feed_forward_length", &config->expert_ffn_size, false },
	};
	int value_length = 0;
	enum t2l_status status = T2L_OK;

	for (size_t i = 0; i < sizeof sizes / sizeof *sizes && status == T2L_OK; i++)
		status = integer(reading, sizes[i].part, sizes[i].required,
		    sizes[i].value == &config->n_experts ? experts : 1, sizes[i].value);
	if (status != T2L_OK)
		return status;
	if (config->n_kv_heads == 0)
		config->n_kv_heads = config->n_heads;
	if (config->head_dim == 0)
		config->head_dim = config->hidden_size / config->n_heads;
	if (experts && config->expert_ffn_size == 0)
		config->expert_ffn_size = config->ffn_size;
	if (!experts)
		config->n_experts = config->n_experts_used = config->expert_ffn_size = 0;
	value_length = config->head_dim;
	status = integer(reading, "attention.value_length", false, 1, &value_length);
	if (status == T2L_OK && value_length != config->head_dim)
		return t2l_fail(reading->err, T2L_EUNSUPPORTED,
		    "%s: heads of %d with values of %d are not supported", gguf_path(reading->gguf),
		    config->head_dim, value_length);
	return status;
}

/* ---- rotary embedding ---- */

/* A tensor of divisors, [n_rot / 2]. */
static enum t2l_status
read_divisors(const struct reading *reading, const char *name, float *divisors)
{
	struct tensor tensor;
	int pairs = reading->config->rope.n_rot / 2;
	enum t2l_status status = gguf_tensor(reading->gguf, name, &tensor, reading->err);

	if (status != T2L_OK)
		return status;
	if (tensor.n_dims != 1 || tensor.dtype != DTYPE_F32 || tensor.shape[0] != pairs ||
	    pairs > ROPE_MAX_PAIRS)
		return t2l_fail(reading->err, T2L_EFORMAT,
		    "%s: tensor '%s' is %s with %d dimensions and %lld numbers; expected a vector "
		    "of %d in f32 (at most %d)",
		    gguf_path(reading->gguf), name, dtype_name(tensor.dtype), tensor.n_dims,
		    (long long)tensor_count(&tensor), pairs, ROPE_MAX_PAIRS);
	memcpy(divisors, tensor.data, (size_t)pairs * sizeof *divisors);
	for (int i = 0; i < pairs; i++)
		if (!(divisors[i] >= 1e-6f && divisors[i] <= 1e9f))
			return t2l_fail(reading->err, T2L_EFORMAT,
			    "%s: tensor '%s': number %d is %g; expected 1e-6 to 1e9",
			    gguf_path(reading->gguf), name, i, (double)divisors[i]);
	reading->config->rope.n_divisors = pairs;
	return T2L_OK;
}

/* LLaMA 3.1 has its bands as a tensor, Phi-3 its two lists. */
static enum t2l_status
read_divisor_tensors(const struct reading *reading)
{
	struct rope_config *rope = &reading->config->rope;
	enum t2l_status status;

	if (gguf_find(reading->gguf, "rope_freqs.weight") != NULL) {
		rope->kind = ROPE_DIVISORS;
		return read_divisors(reading, "rope_freqs.weight", rope->short_divisors);
	}
	if (gguf_find(reading->gguf, "rope_factors_long.weight") == NULL)
		return T2L_OK;
	rope->kind = ROPE_LONG;
	status = read_divisors(reading, "rope_factors_short.weight", rope->short_divisors);
	if (status == T2L_OK)
		status = read_divisors(reading, "rope_factors_long.weight", rope->long_divisors);
	if (status == T2L_OK)
		status = number(reading, "rope.scaling.attn_factor", false, &rope->magnitude);
	return status;
}

static enum t2l_status
read_scaling(const struct reading *reading)
{
	struct rope_config *rope = &reading->config->rope;
	const char *type = "none";
	char key[96];
	double magnitude = 1;
	enum t2l_status status = gguf_string(
	    reading->gguf, key_of(reading, "rope.scaling.type", key), false, &type, reading->err);

	if (status != T2L_OK || strcmp(type, "none") == 0 || strcmp(type, "longrope") == 0)
		return status;
	if (strcmp(type, "linear") == 0)
		rope->kind = ROPE_LINEAR;
	else if (strcmp(type, "yarn") == 0)
		rope->kind = ROPE_YARN;
	else
		return t2l_fail(reading->err, T2L_EUNSUPPORTED,
		    "%s: rope scaling '%.40s' is not supported; supported: none, linear, yarn, "
		    "longrope",
		    gguf_path(reading->gguf), type);
	status = number(reading, "rope.scaling.factor", true, &rope->factor);
	if (status == T2L_OK)
		status = number(reading, "rope.scaling.attn_factor", false, &magnitude);
	if (status == T2L_OK && !(rope->factor >= 1e-6))
		return t2l_fail(reading->err, T2L_EFORMAT, "%s: %s.rope.scaling.factor is %g",
		    gguf_path(reading->gguf), reading->architecture, rope->factor);
	if (rope->kind == ROPE_YARN)
		rope->magnitude = magnitude * rope_yarn_magnitude(rope->factor);
	return status;
}

static enum t2l_status
read_rope(const struct reading *reading)
{
	struct decoder_config *config = reading->config;
	struct rope_config *rope = &config->rope;
	enum t2l_status status;

	*rope = (struct rope_config){ .theta = 10000,
		.n_rot = config->head_dim,
		.original_context = config->context_length,
		.factor = 1,
		.beta_fast = 32,
		.beta_slow = 1,
		.whole_bounds = true,
		.magnitude = 1 };
	config->rope_neighbours = strcmp(reading->architecture, "llama") == 0;
	status = number(reading, "rope.freq_base", false, &rope->theta);
	if (status == T2L_OK)
		status = integer(reading, "rope.dimension_count", false, 1, &rope->n_rot);
	if (status == T2L_OK)
		status = integer(reading, "rope.scaling.original_context_length", false, 1,
		    &rope->original_context);
	if (status == T2L_OK)
		status = read_scaling(reading);
	if (status == T2L_OK)
		status = read_divisor_tensors(reading);
	if (status == T2L_OK && !(rope->magnitude > 0 && rope->magnitude <= 1e6))
		return t2l_fail(reading->err, T2L_EFORMAT,
		    "%s: %s.rope.scaling.attn_factor is out of range", gguf_path(reading->gguf),
		    reading->architecture);
	return status;
}

/* ---- the rest ---- */

/* That of its heads, but for the largest model (46 layers), where it is hidden / heads. */
float
gemma2_query_scale(const struct decoder_config *config)
{
	return 1 / sqrtf((float)(config->n_layers == 46 ? config->hidden_size / config->n_heads
							: config->head_dim));
}

/* llama.cpp writes no window into a Mistral file: full attention. */
static enum t2l_status
read_attention(const struct reading *reading)
{
	struct decoder_config *config = reading->config;
	double attention = 0, final = 0;
	enum t2l_status status = T2L_OK;

	if (config->kind->window == WINDOW_ALL || config->kind->window == WINDOW_EVEN)
		status = integer(reading, "attention.sliding_window", false, 0, &config->window);
	for (int i = 0; i < config->n_layers && i < DECODER_MAX_LAYERS; i++)
		config->slides[i] = config->kind->window == WINDOW_ALL || i % 2 == 0;
	if (!config->kind->capped || status != T2L_OK)
		return status;
	status = number(reading, "attn_logit_softcapping", false, &attention);
	if (status == T2L_OK)
		status = number(reading, "final_logit_softcapping", false, &final);
	config->attention_cap = (float)attention;
	config->final_cap = (float) final;
	config->query_scale = gemma2_query_scale(config);
	return status;
}

/* Of the text, of a turn, of a message. */
const char *const gguf_end_keys[N_END_KEYS] = { "tokenizer.ggml.eos_token_id",
	"tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id" };

static enum t2l_status
read_ends(const struct reading *reading)
{
	const struct gguf *gguf = reading->gguf;
	struct decoder_config *config = reading->config;
	const struct gguf_entry *embedding = gguf_find(gguf, "token_embd.weight");
	int64_t bos = -1;
	enum t2l_status status = gguf_integer(
	    gguf, "tokenizer.ggml.bos_token_id", false, -1, INT32_MAX, &bos, reading->err);

	for (int i = 0; i < N_END_KEYS && status == T2L_OK; i++) {
		int64_t id = -1;

		status =
		    gguf_integer(gguf, gguf_end_keys[i], false, -1, INT32_MAX, &id, reading->err);
		if (id >= 0)
			config->eos_ids[config->n_eos++] = (int)id;
	}
	if (status != T2L_OK)
		return status;
	if (embedding == NULL || embedding->n_dims != 2 || embedding->shape[0] > INT32_MAX)
		return t2l_fail(reading->err, T2L_EFORMAT,
		    "%s: tensor 'token_embd.weight' is missing or no matrix", gguf_path(gguf));
	config->vocab_size = (int)embedding->shape[0];
	config->tied_embeddings = gguf_find(gguf, "output.weight") == NULL;
	config->bos_id = (int)bos;
	return T2L_OK;
}

/* GGUF has no key for biases: they are there or not. Those that a family always has must be. */
static void
find_biases(const struct reading *reading)
{
	struct decoder_config *config = reading->config;

	for (int m = 0; m < N_MODULES; m++) {
		char name[WEIGHT_NAME_SIZE];

		decoder_weight_name(
		    &decoder_names_gguf, 0, (enum module)m, 0, ".bias", name, sizeof name);
		config->has_bias[m] =
		    (config->kind->biased & MODULE_BIT(m)) ||
		    ((config->kind->modules & MODULE_BIT(m)) &&
			!module_in_experts((enum module)m) && gguf_find(reading->gguf, name));
	}
}

enum t2l_status
config_read_gguf(const struct gguf *gguf, struct decoder_config *config, struct t2l_error *err)
{
	struct reading reading = { .gguf = gguf, .config = config, .err = err };
	double epsilon = 0;
	enum t2l_status status;

	memset(config, 0, sizeof *config);
	status = read_architecture(&reading);
	if (status == T2L_OK)
		status = read_sizes(&reading);
	if (status == T2L_OK)
		status = number(&reading,
		    config->kind->layer_norm ? "attention.layer_norm_epsilon"
					     : "attention.layer_norm_rms_epsilon",
		    true, &epsilon);
	if (status == T2L_OK)
		status = read_rope(&reading);
	if (status == T2L_OK)
		status = read_attention(&reading);
	if (status == T2L_OK)
		status = read_ends(&reading);
	if (status != T2L_OK)
		return status;
	config->norm_epsilon = (float)epsilon;
	config->activation = config->kind->activation;
	/* Gemma's norms have their 1 added already. */
	config->norm_offset = 0;
	config->renormalise = true;
	find_biases(&reading);
	return T2L_OK;
}
