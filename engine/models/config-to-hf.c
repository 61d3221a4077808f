/* config-to-hf.c - decoder_config -> config.json, as transformers and config-hf.c read it. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/models/convert.h"
#include "engine/text/tokenizer.h"

static const char *const activation_names[N_ACTIVATIONS] = {
	[ACTIVATION_SILU] = "silu",
	[ACTIVATION_GELU] = "gelu",
	[ACTIVATION_GELU_TANH] = "gelu_pytorch_tanh",
	[ACTIVATION_RELU] = "relu",
	[ACTIVATION_TANH] = "tanh",
};

static const char *const dtype_names[N_DTYPES] = {
	[DTYPE_F32] = "float32",
	[DTYPE_F16] = "float16",
	[DTYPE_BF16] = "bfloat16",
};

static const char *
truth(bool value)
{
	return value ? "true" : "false";
}

/* What the family calls KEY. */
static void
put_key(struct buffer *json, const struct decoder_config *config, const char *key)
{
	buffer_printf(json, "  \"%s\": ", architecture_key(config->kind, key));
}

/* In as few digits as give the number again; most were read from f32. A whole number keeps a ".0":
 * transformers tells floats from integers. */
static void
put_shortest(struct buffer *json, double value)
{
	char text[40];
	bool whole = false;

	for (int digits = 6; digits <= 17 && !whole; digits++) {
		snprintf(text, sizeof text, "%.*g", digits, value);
		whole = (double)(float)value == value ? strtof(text, NULL) == (float)value
						      : strtod(text, NULL) == value;
	}
	buffer_text(json, text);
	if (strspn(text, "-0123456789") == strlen(text))
		buffer_text(json, ".0");
}

/* , "key": value */
static void
put_member(struct buffer *json, const char *key, double value)
{
	buffer_printf(json, ", \"%s\": ", key);
	put_shortest(json, value);
}

static void
put_integer(struct buffer *json, const struct decoder_config *config, const char *key, int value)
{
	put_key(json, config, key);
	buffer_printf(json, "%d,\n", value);
}

static void
put_number(struct buffer *json, const struct decoder_config *config, const char *key, double value)
{
	put_key(json, config, key);
	put_shortest(json, value);
	buffer_text(json, ",\n");
}

static void
put_token(struct buffer *json, const char *key, int id)
{
	if (id >= 0)
		buffer_printf(json, "  \"%s\": %d,\n", key, id);
	else
		buffer_printf(json, "  \"%s\": null,\n", key);
}

/* ---- biases ---- */

static uint32_t
biases_of(const struct decoder_config *config)
{
	uint32_t bits = 0;

	for (int m = 0; m < N_MODULES; m++)
		bits |= config->has_bias[m] ? MODULE_BIT(m) : 0;
	return bits;
}

/* A tied head has none of its own. */
static enum t2l_status
put_biases(struct buffer *json, const struct decoder_config *config, const char *file,
    struct t2l_error *err)
{
	const struct architecture *kind = config->kind;
	const uint32_t bits = biases_of(config);
	const bool attention = (bits & ~kind->biased & kind->attention_biased) != 0;
	const bool mlp = (bits & ~kind->biased & kind->mlp_biased) != 0;
	const uint32_t said =
	    kind->biased | (attention ? kind->attention_biased : 0) | (mlp ? kind->mlp_biased : 0);

	for (int m = 0; m < N_MODULES; m++)
		if ((bits ^ said) & MODULE_BIT(m))
			return t2l_fail(err, T2L_EUNSUPPORTED,
			    "%s: %s has %s bias; a config.json of model_type '%s' cannot say this",
			    file, module_name((enum module)m), bits & MODULE_BIT(m) ? "a" : "no",
			    kind->name);
	if (kind->attention_biased != 0)
		buffer_printf(json, "  \"attention_bias\": %s,\n", truth(attention));
	if (kind->mlp_biased != 0)
		buffer_printf(json, "  \"mlp_bias\": %s,\n", truth(mlp));
	if (kind->optional_head_norms)
		buffer_printf(json, "  \"qk_layernorm\": %s,\n", truth(config->head_norms));
	return T2L_OK;
}

/* ---- windows, caps, experts ---- */

static void
put_layer_types(struct buffer *json, const struct decoder_config *config)
{
	buffer_text(json, "  \"layer_types\": [");
	for (int i = 0; i < config->n_layers; i++)
		buffer_printf(json, "%s\"%s\"", i > 0 ? ", " : "",
		    config->slides[i] ? "sliding_attention" : "full_attention");
	buffer_text(json, "],\n");
}

static void
put_window(struct buffer *json, const struct decoder_config *config)
{
	const enum window_layers which = config->kind->window;
	int first = 0;
	bool usual = true;

	if (which == WINDOW_NONE)
		return;
	while (first < config->n_layers && !config->slides[first])
		first++;
	for (int i = 0; i < config->n_layers; i++) {
		bool slides = which == WINDOW_EVEN ? i % 2 == 0 : which == WINDOW_ALL || i >= first;

		usual = usual && config->slides[i] == slides;
	}
	if (which == WINDOW_SWITCH) {
		buffer_printf(json, "  \"use_sliding_window\": %s,\n  \"max_window_layers\": %d,\n",
		    truth(config->window > 0), config->window > 0 ? first : config->n_layers);
	}
	if (config->window > 0)
		buffer_printf(json, "  \"sliding_window\": %d,\n", config->window);
	else
		buffer_text(json, "  \"sliding_window\": null,\n");
	if (config->window > 0 && !usual)
		put_layer_types(json, config);
}

static void
put_cap(struct buffer *json, const char *key, float cap)
{
	buffer_printf(json, "  \"%s\": ", key);
	if (cap > 0)
		put_shortest(json, (double)cap);
	buffer_text(json, cap > 0 ? ",\n" : "null,\n");
}

static void
put_caps(struct buffer *json, const struct decoder_config *config)
{
	double scalar = 1 / ((double)config->query_scale * (double)config->query_scale);

	if (!config->kind->capped)
		return;
	/* A whole number nearly always; a scale in f32 is a little off it. */
	if (fabs(scalar - round(scalar)) < 1e-5 * scalar)
		scalar = round(scalar);
	buffer_printf(json, "  \"query_pre_attn_scalar\": %.9g,\n", scalar);
	put_cap(json, "attn_logit_softcapping", config->attention_cap);
	put_cap(json, "final_logit_softcapping", config->final_cap);
}

static void
put_experts(struct buffer *json, const struct decoder_config *config)
{
	if (config->n_experts == 0)
		return;
	put_integer(json, config, "num_experts", config->n_experts);
	put_integer(json, config, "num_experts_per_tok", config->n_experts_used);
	put_integer(json, config, "moe_intermediate_size", config->expert_ffn_size);
	if (!config->kind->renormalise || !config->renormalise)
		buffer_printf(json, "  \"norm_topk_prob\": %s,\n", truth(config->renormalise));
}

/* ---- rotary embedding ---- */

static void
put_list(struct buffer *json, const char *key, const float *values, int n)
{
	buffer_printf(json, ", \"%s\": [", key);
	for (int i = 0; i < n; i++) {
		buffer_text(json, i > 0 ? ", " : "");
		put_shortest(json, (double)values[i]);
	}
	buffer_char(json, ']');
}

static void
put_magnitude(struct buffer *json, double magnitude, double usual)
{
	if (fabs(magnitude - usual) > 1e-6 * usual)
		put_member(json, "attention_factor", magnitude);
}

static void
put_yarn(struct buffer *json, const struct rope_config *rope)
{
	put_magnitude(json, rope->magnitude, rope_yarn_magnitude(rope->factor));
	if (rope->beta_fast != 32 || rope->beta_slow != 1) {
		put_member(json, "beta_fast", rope->beta_fast);
		put_member(json, "beta_slow", rope->beta_slow);
	}
	if (!rope->whole_bounds)
		buffer_text(json, ", \"truncate\": false");
}

static void
put_long(struct buffer *json, const struct decoder_config *config, const struct rope_config *rope)
{
	double factor = (double)config->context_length / rope->original_context;

	put_list(json, "short_factor", rope->short_divisors, rope->n_divisors);
	put_list(json, "long_factor", rope->long_divisors, rope->n_divisors);
	put_magnitude(json, rope->magnitude, rope_long_magnitude(factor, rope->original_context));
}

/* GGUF's divisors are LLaMA 3.1's bands where these give them, else one list for all lengths. */
static void
name_divisors(const struct decoder_config *config, struct rope_config *rope)
{
	if (rope->kind != ROPE_DIVISORS || rope_llama3_fit(rope, rope->short_divisors))
		return;
	*rope = config->rope;
	rope->kind = ROPE_LONG;
	memcpy(rope->long_divisors, rope->short_divisors, sizeof rope->long_divisors);
	rope->original_context = config->context_length;
}

/* Phi-3 has its original context beside the others and calls the type "type". */
static void
put_scaling(struct buffer *json, const struct decoder_config *config)
{
	static const char *const types[] = { [ROPE_LINEAR] = "linear",
		[ROPE_DYNAMIC] = "dynamic",
		[ROPE_YARN] = "yarn",
		[ROPE_LLAMA3] = "llama3",
		[ROPE_LONG] = "longrope" };
	const bool phi3 = strcmp(config->kind->name, "phi3") == 0;
	struct rope_config rope = config->rope;

	name_divisors(config, &rope);
	if (phi3)
		buffer_printf(json, "  \"original_max_position_embeddings\": %d,\n",
		    rope.original_context > 0 ? rope.original_context : config->context_length);
	if (rope.kind == ROPE_PLAIN) {
		buffer_text(json, "  \"rope_scaling\": null,\n");
		return;
	}
	buffer_printf(json, "  \"rope_scaling\": {\"%s\": \"%s\"", phi3 ? "type" : "rope_type",
	    types[rope.kind]);
	if (rope.kind != ROPE_LONG)
		put_member(json, "factor", rope.factor);
	if (!phi3 && rope.kind != ROPE_LINEAR && rope.kind != ROPE_DYNAMIC)
		buffer_printf(
		    json, ", \"original_max_position_embeddings\": %d", rope.original_context);
	if (rope.kind == ROPE_LLAMA3) {
		put_member(json, "low_freq_factor", rope.low_frequency_factor);
		put_member(json, "high_freq_factor", rope.high_frequency_factor);
	}
	if (rope.kind == ROPE_YARN)
		put_yarn(json, &rope);
	if (rope.kind == ROPE_LONG)
		put_long(json, config, &rope);
	buffer_text(json, "},\n");
}

static void
put_rope(struct buffer *json, const struct decoder_config *config)
{
	const struct rope_config *rope = &config->rope;

	put_number(json, config, "rope_theta", rope->theta);
	if (rope->n_rot != config->head_dim || config->kind->rotated > 0)
		put_number(
		    json, config, "partial_rotary_factor", (double)rope->n_rot / config->head_dim);
	put_scaling(json, config);
}

/* ---- the file ---- */

void
text_ends(const struct decoder_config *config, const struct tokenizer *tokenizer,
    int32_t ids[2 * DECODER_MAX_EOS], size_t *n)
{
	size_t n_own = 0;
	const int32_t *own = tokenizer != NULL ? tokenizer_eos(tokenizer, &n_own) : NULL;

	*n = 0;
	for (size_t i = 0; i < n_own && *n < DECODER_MAX_EOS; i++)
		ids[(*n)++] = own[i];
	for (int i = 0; i < config->n_eos; i++) {
		bool known = false;

		for (size_t j = 0; j < *n; j++)
			known = known || ids[j] == config->eos_ids[i];
		if (!known)
			ids[(*n)++] = config->eos_ids[i];
	}
}

static void
put_ends(struct buffer *json, const struct decoder_config *config)
{
	put_token(json, "bos_token_id", config->bos_id);
	if (config->n_eos < 2) {
		put_token(json, "eos_token_id", config->n_eos == 1 ? config->eos_ids[0] : -1);
		return;
	}
	buffer_text(json, "  \"eos_token_id\": [");
	for (int i = 0; i < config->n_eos; i++)
		buffer_printf(json, "%s%d", i > 0 ? ", " : "", config->eos_ids[i]);
	buffer_text(json, "],\n");
}

static void
put_sizes(struct buffer *json, const struct decoder_config *config)
{
	const bool experts = config->n_experts > 0;
	const struct {
		const char *key;
		int value;
	} sizes[] = {
		{ "head_dim", config->head_dim },
		{ "hidden_size", config->hidden_size },
		/* Mixtral's is that of its experts. */
		{ "intermediate_size",
		    experts && strcmp(architecture_key(config->kind, "moe_intermediate_size"),
				   "intermediate_size") == 0
			? 0
			: config->ffn_size * (config->kind->paired_ffn ? 2 : 1) },
		{ "max_position_embeddings", config->context_length },
		{ "num_attention_heads", config->n_heads },
		{ "num_hidden_layers", config->n_layers },
		{ "num_key_value_heads", config->n_kv_heads },
	};

	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
		if (sizes[i].value > 0)
			put_integer(json, config, sizes[i].key, sizes[i].value);
}

enum t2l_status
config_write_hf(const struct decoder_config *config, const char *file, enum dtype dtype, int pad,
    struct buffer *json, struct t2l_error *err)
{
	const struct architecture *kind = config->kind;
	enum t2l_status status;

	if (dtype_names[dtype] == NULL)
		return t2l_fail(err, T2L_EINVAL,
		    "%s: a Hugging Face model can't be saved as %s; use f32, f16 or bf16", file,
		    dtype_name(dtype));
	buffer_printf(json, "{\n  \"architectures\": [\"%s\"],\n  \"model_type\": \"%s\",\n",
	    kind->classes[0], kind->name);
	status = put_biases(json, config, file, err);
	if (status != T2L_OK)
		return status;
	put_ends(json, config);
	put_token(json, "pad_token_id", pad);
	put_sizes(json, config);
	buffer_printf(json, "  \"hidden_act\": \"%s\",\n", activation_names[config->activation]);
	if (kind->tanh_gelu)
		buffer_printf(json, "  \"hidden_activation\": \"%s\",\n",
		    activation_names[config->activation]);
	put_number(json, config, "rms_norm_eps", (double)config->norm_epsilon);
	put_window(json, config);
	put_caps(json, config);
	put_experts(json, config);
	put_rope(json, config);
	buffer_printf(json, "  \"tie_word_embeddings\": %s,\n", truth(config->tied_embeddings));
	buffer_printf(json, "  \"torch_dtype\": \"%s\",\n", dtype_names[dtype]);
	buffer_printf(json, "  \"vocab_size\": %d\n}\n", config->vocab_size);
	return T2L_OK;
}

void
generation_write_hf(const struct decoder_config *config, int pad, struct buffer *json)
{
	buffer_text(json, "{\n");
	put_ends(json, config);
	put_token(json, "pad_token_id", pad);
	buffer_text(json, "  \"_from_model_config\": true\n}\n");
}
