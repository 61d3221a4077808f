/* config-to-gguf.c - decoder_config -> the metadata of a GGUF model: what config-gguf.c reads. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "engine/models/convert.h"

struct writing {
	const struct decoder_config *config;
	const char *file;
	struct gguf_writer *writer;
	struct t2l_error *err;
};

static const char *
key_of(const struct writing *writing, const char *part, char key[96])
{
	snprintf(key, 96, "%s.%s", writing->config->kind->gguf, part);
	return key;
}

static void
integer(const struct writing *writing, const char *part, int value)
{
	char key[96];

	gguf_writer_integer(writing->writer, key_of(writing, part, key), GGUF_U32, value);
}

static void
number(const struct writing *writing, const char *part, double value)
{
	char key[96];

	gguf_writer_number(writing->writer, key_of(writing, part, key), GGUF_F32, value);
}

static void
text(const struct writing *writing, const char *part, const char *value)
{
	char key[96];

	gguf_writer_string(writing->writer, key_of(writing, part, key), value);
}

static enum t2l_status
refuse(const struct writing *writing, const char *what)
{
	return t2l_fail(writing->err, T2L_EUNSUPPORTED,
	    "%s: %s; a GGUF file of architecture '%s' cannot say this", writing->file, what,
	    writing->config->kind->gguf);
}

/* ---- what no key says ---- */

/* The reader takes these from the family. */
static enum t2l_status
check_family(const struct writing *writing)
{
	const struct decoder_config *config = writing->config;
	const struct architecture *kind = config->kind;
	char what[128];

	if (config->activation != kind->activation)
		return refuse(writing, "hidden_act is not that of the family");
	if (writing->config->head_norms)
		return refuse(writing, "heads of q and k are normalised (qk_layernorm)");
	if (config->n_experts > 0 && !config->renormalise)
		return refuse(
		    writing, "the chosen experts' weights do not add up to 1 (norm_topk_prob)");
	if (kind->capped) {
		float usual = gemma2_query_scale(config);

		if (fabsf(config->query_scale - usual) > 1e-6f * usual) {
			snprintf(what, sizeof what, "query_pre_attn_scalar is %g, usual is %g",
			    1 / pow((double)config->query_scale, 2), 1 / pow((double)usual, 2));
			return refuse(writing, what);
		}
	}
	return T2L_OK;
}

static enum t2l_status
check_window(const struct writing *writing)
{
	const struct decoder_config *config = writing->config;
	const enum window_layers which = config->kind->window;

	for (int i = 0; i < config->n_layers && config->window > 0; i++) {
		bool usual = which == WINDOW_ALL || (which == WINDOW_EVEN && i % 2 == 0);

		if (config->slides[i] != usual)
			return refuse(writing,
			    which == WINDOW_SWITCH
				? "a sliding window is used (use_sliding_window)"
				: "the layers whose window slides are not those of the family");
	}
	return T2L_OK;
}

/* ---- keys ---- */

static void
write_sizes(const struct writing *writing)
{
	const struct decoder_config *config = writing->config;
	const bool experts = config->n_experts > 0;
	const struct {
		const char *part;
		int value;
		bool said;
	} sizes[] = {
		{ "block_count", config->n_layers, true },
		{ "context_length", config->context_length, true },
		{ "embedding_length", config->hidden_size, true },
		{ "feed_forward_length", config->ffn_size, config->ffn_size > 0 },
		{ "attention.head_count", config->n_heads, true },
		{ "attention.head_count_kv", config->n_kv_heads, true },
		{ "attention.key_length", config->head_dim, true },
		{ "attention.value_length", config->head_dim, true },
		{ "expert_count", config->n_experts, experts },
		{ "expert_used_count", config->n_experts_used, experts },
		/* Experts of the usual size have none of their own. */
		{ "expert_feed_forward_length", config->expert_ffn_size,
		    experts && config->expert_ffn_size != config->ffn_size },
		{ "vocab_size", config->vocab_size, true },
	};

	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
		if (sizes[i].said)
			integer(writing, sizes[i].part, sizes[i].value);
	number(writing,
	    config->kind->layer_norm ? "attention.layer_norm_epsilon"
				     : "attention.layer_norm_rms_epsilon",
	    (double)config->norm_epsilon);
}

static void
write_attention(const struct writing *writing)
{
	const struct decoder_config *config = writing->config;

	/* Phi-3 says that it has none: readers take a missing window for that of its first models.
	 */
	if (config->window > 0 || strcmp(config->kind->name, "phi3") == 0)
		if (config->kind->window == WINDOW_ALL || config->kind->window == WINDOW_EVEN)
			integer(writing, "attention.sliding_window", config->window);
	if (!config->kind->capped)
		return;
	number(writing, "attn_logit_softcapping", (double)config->attention_cap);
	number(writing, "final_logit_softcapping", (double)config->final_cap);
}

/* ---- rotary embedding ---- */

static enum t2l_status
write_yarn(const struct writing *writing)
{
	const struct rope_config *rope = &writing->config->rope;
	double usual = rope_yarn_magnitude(rope->factor);

	if (rope->beta_fast != 32 || rope->beta_slow != 1 || !rope->whole_bounds)
		return refuse(writing, "yarn has a beta_fast, beta_slow or truncate of its own");
	text(writing, "rope.scaling.type", "yarn");
	number(writing, "rope.scaling.factor", rope->factor);
	integer(writing, "rope.scaling.original_context_length", rope->original_context);
	if (fabs(rope->magnitude - usual) > 1e-6 * usual)
		number(writing, "rope.scaling.attn_factor", rope->magnitude / usual);
	return T2L_OK;
}

static void
add_divisors(struct settings_tensor *tensor, const char *name, const float *divisors, int n)
{
	tensor->name = name;
	tensor->n = n;
	if (divisors != NULL)
		memcpy(tensor->values, divisors, (size_t)n * sizeof *divisors);
}

static void
write_long(const struct writing *writing, struct settings_tensor tensors[N_SETTINGS_TENSORS])
{
	const struct rope_config *rope = &writing->config->rope;
	const int n = rope->n_divisors;

	/* One list for texts of any length is LLaMA 3.1's tensor. */
	if (rope->magnitude == 1 &&
	    memcmp(rope->short_divisors, rope->long_divisors, (size_t)n * sizeof(float)) == 0) {
		add_divisors(&tensors[0], "rope_freqs.weight", rope->short_divisors, n);
		return;
	}
	if (strcmp(writing->config->kind->name, "phi3") != 0) {
		text(writing, "rope.scaling.type", "longrope");
		integer(writing, "rope.scaling.original_context_length", rope->original_context);
	}
	number(writing, "rope.scaling.attn_factor", rope->magnitude);
	add_divisors(&tensors[0], "rope_factors_long.weight", rope->long_divisors, n);
	add_divisors(&tensors[1], "rope_factors_short.weight", rope->short_divisors, n);
}

static enum t2l_status
write_rope(const struct writing *writing, struct settings_tensor tensors[N_SETTINGS_TENSORS])
{
	const struct decoder_config *config = writing->config;
	const struct rope_config *rope = &config->rope;

	if (strcmp(config->kind->gguf, "llama") == 0 && rope->n_rot != config->head_dim)
		return refuse(writing, "a part of each head is rotated (partial_rotary_factor)");
	number(writing, "rope.freq_base", rope->theta);
	integer(writing, "rope.dimension_count", rope->n_rot);
	if (strcmp(config->kind->name, "phi3") == 0)
		integer(writing, "rope.scaling.original_context_length",
		    rope->original_context > 0 ? rope->original_context : config->context_length);
	switch (rope->kind) {
	case ROPE_PLAIN:
		break;
	case ROPE_LINEAR:
		text(writing, "rope.scaling.type", "linear");
		number(writing, "rope.scaling.factor", rope->factor);
		break;
	case ROPE_DYNAMIC:
		return refuse(writing, "rope scaling is of type 'dynamic'");
	case ROPE_YARN:
		return write_yarn(writing);
	case ROPE_LLAMA3:
		add_divisors(&tensors[0], "rope_freqs.weight", NULL, rope->n_rot / 2);
		rope_llama3_divisors(rope, tensors[0].values);
		break;
	case ROPE_DIVISORS:
		add_divisors(
		    &tensors[0], "rope_freqs.weight", rope->short_divisors, rope->n_divisors);
		break;
	case ROPE_LONG:
		write_long(writing, tensors);
		break;
	}
	return T2L_OK;
}

enum t2l_status
config_write_gguf(const struct decoder_config *config, const char *file, struct gguf_writer *writer,
    struct settings_tensor tensors[N_SETTINGS_TENSORS], struct t2l_error *err)
{
	const struct writing writing = { config, file, writer, err };
	enum t2l_status status = T2L_OK;
	char list[256];

	for (int i = 0; i < N_SETTINGS_TENSORS; i++)
		tensors[i].name = NULL;
	if (config->kind->gguf == NULL)
		return t2l_fail(err, T2L_EUNSUPPORTED,
		    "%s: models of architecture '%s' have no GGUF form here; these have: %s", file,
		    config->kind->name, architecture_list(true, list, sizeof list));
	gguf_writer_string(writer, "general.architecture", config->kind->gguf);
	gguf_writer_string(writer, "general.type", "model");
	status = check_family(&writing);
	if (status == T2L_OK)
		status = check_window(&writing);
	if (status != T2L_OK)
		return status;
	write_sizes(&writing);
	write_attention(&writing);
	return write_rope(&writing, tensors);
}
