/* The forward pass of decoder language models, written once over the backend's operations. */
#include "engine/models/decoder.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/error.h"

/* What one pass carries from layer to layer. */
struct pass {
	struct ops *ops;
	const struct decoder *decoder;
	const struct decoder_batch *batch;
};

/* A base module over all rows, then the low-rank part of each span of rows on top. */
static struct tensor *
linear(const struct pass *pass, int layer, enum module module, struct tensor *x)
{
	const struct decoder_layer *weights = &pass->decoder->layers[layer];
	const struct lora_table *lora = pass->batch->lora;
	struct tensor *y = op_linear(pass->ops, x, weights->weight[module], weights->bias[module]);
	size_t at;

	if (lora == NULL || layer >= lora->n_layers)
		return y;
	at = lora_place(lora, layer, module, 0);
	if (lora->n_spans[at] == 0)
		return y;
	return op_lora(pass->ops, x, lora->spans[at], lora->n_spans[at], y);
}

/* x [rows, d], normalised -> [rows, d] */
static struct tensor *
attention(const struct pass *pass, int layer, struct tensor *x)
{
	const struct decoder_config *config = &pass->decoder->config;
	const struct decoder_batch *batch = pass->batch;
	struct ops *ops = pass->ops;
	struct attention_shape shape = {
		.n_heads = config->n_heads,
		.n_kv_heads = config->n_kv_heads,
		.head_dim = config->head_dim,
		.scale = 1.0f / sqrtf((float)config->head_dim),
		.kv_begin = batch->kv_begin,
		.kv_end = batch->kv_end,
	};
	struct tensor *q = linear(pass, layer, MODULE_Q, x); /* [rows, h*hd] */
	struct tensor *k = linear(pass, layer, MODULE_K, x); /* [rows, g*hd] */
	struct tensor *v = linear(pass, layer, MODULE_V, x);

	q = op_rope(ops, q, batch->positions, &pass->decoder->rope, config->head_dim);
	k = op_rope(ops, k, batch->positions, &pass->decoder->rope, config->head_dim);
	if (batch->cache != NULL) {
		op_store_rows(ops, k, batch->slots, &batch->cache->k[layer]);
		op_store_rows(ops, v, batch->slots, &batch->cache->v[layer]);
		k = &batch->cache->k[layer]; /* [n_slots, g*hd] */
		v = &batch->cache->v[layer];
	}
	return linear(pass, layer, MODULE_O, op_attention(ops, q, k, v, &shape));
}

/* x [rows, d], normalised -> [rows, d]; the gated MLP of Shazeer 2020 */
static struct tensor *
mlp(const struct pass *pass, int layer, struct tensor *x)
{
	struct tensor *gate = linear(pass, layer, MODULE_GATE, x); /* [rows, f] */
	struct tensor *up = linear(pass, layer, MODULE_UP, x);

	return linear(pass, layer, MODULE_DOWN,
	    op_gate(pass->ops, pass->decoder->config.activation, gate, up));
}

static struct tensor *
norm(const struct pass *pass, struct tensor *x, struct tensor *weight)
{
	return op_rms_norm(pass->ops, x, weight, 0.0f, pass->decoder->config.norm_epsilon);
}

static void
show(const struct pass *pass, int layer, const struct tensor *hidden)
{
	if (pass->batch->on_hidden != NULL && hidden != NULL)
		pass->batch->on_hidden(pass->batch->user, layer, hidden);
}

/* -> the residual stream after the last layer [rows, d] */
static struct tensor *
run_layers(const struct pass *pass)
{
	struct ops *ops = pass->ops;
	const struct decoder *decoder = pass->decoder;
	struct tensor *x =
	    op_gather_rows(ops, decoder->embedding, pass->batch->tokens, pass->batch->n_rows);

	show(pass, 0, x);
	for (int i = 0; i < decoder->config.n_layers; i++) {
		const struct decoder_layer *layer = &decoder->layers[i];
		struct arena_mark mark = ops_mark(ops);

		x = op_add(ops, 1, x, 1, attention(pass, i, norm(pass, x, layer->attention_norm)));
		x = op_add(ops, 1, x, 1, mlp(pass, i, norm(pass, x, layer->mlp_norm)));
		x = ops_rewind(ops, mark, x);
		show(pass, i + 1, x);
	}
	return x;
}

struct tensor *
decoder_hidden(struct ops *ops, const struct decoder *decoder, const struct decoder_batch *batch)
{
	struct pass pass = { ops, decoder, batch };
	struct tensor *x = norm(&pass, run_layers(&pass), decoder->final_norm);

	show(&pass, -1, x);
	return x;
}

struct tensor *
decoder_forward(struct ops *ops, const struct decoder *decoder, const struct decoder_batch *batch)
{
	struct pass pass = { ops, decoder, batch };
	struct tensor *x = run_layers(&pass);

	/* The norm and the head (the largest matrix of a small model) only see the rows that are
	 * wanted: one a lane while a prompt is read. */
	if (batch->output_rows != NULL)
		x = op_gather_rows(ops, x, batch->output_rows, batch->n_outputs);
	x = norm(&pass, x, decoder->final_norm);
	show(&pass, -1, x);
	return op_linear(ops, x, decoder->head, NULL); /* [n_outputs, V] */
}

int64_t
decoder_module_in(const struct decoder_config *config, enum module module)
{
	switch (module) {
	case MODULE_O:
		return (int64_t)config->n_heads * config->head_dim;
	case MODULE_DOWN:
		return config->ffn_size;
	default:
		return module <= MODULE_DOWN ? config->hidden_size : 0;
	}
}

int64_t
decoder_module_out(const struct decoder_config *config, enum module module)
{
	switch (module) {
	case MODULE_Q:
		return (int64_t)config->n_heads * config->head_dim;
	case MODULE_K:
	case MODULE_V:
		return (int64_t)config->n_kv_heads * config->head_dim;
	case MODULE_GATE:
	case MODULE_UP:
		return config->ffn_size;
	default:
		return module <= MODULE_DOWN ? config->hidden_size : 0;
	}
}

void
decoder_tensor_name(int layer, enum module module, char *name, size_t size)
{
	char path[MODULE_PATH_SIZE];

	module_path(layer, module, MODULE_NO_EXPERT, path, sizeof path);
	snprintf(name, size, "%s.weight", path);
}

/* Generous bounds that no real model reaches, so that later products can't overflow. */
static enum t2l_status
check_ranges(const struct decoder_config *config, struct t2l_error *err)
{
	const struct {
		const char *name;
		int value, most;
	} sizes[] = {
		{ "num_hidden_layers", config->n_layers, 1024 },
		{ "hidden_size", config->hidden_size, 1 << 17 },
		{ "num_attention_heads", config->n_heads, 4096 },
		{ "num_key_value_heads", config->n_kv_heads, 4096 },
		{ "head_dim", config->head_dim, 4096 },
		{ "intermediate_size", config->ffn_size, 1 << 20 },
		{ "vocab_size", config->vocab_size, 1 << 22 },
		{ "max_position_embeddings", config->context_length, 1 << 24 },
	};

	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
		if (sizes[i].value < 1 || sizes[i].value > sizes[i].most)
			return t2l_fail(err, T2L_EFORMAT, "%s is %d; expected 1 to %d",
			    sizes[i].name, sizes[i].value, sizes[i].most);
	if (config->n_heads % config->n_kv_heads != 0)
		return t2l_fail(err, T2L_EFORMAT,
		    "num_attention_heads %d is no multiple of num_key_value_heads %d",
		    config->n_heads, config->n_kv_heads);
	if (config->head_dim % 2 != 0)
		return t2l_fail(err, T2L_EFORMAT,
		    "head_dim %d is odd; rotary embedding turns pairs", config->head_dim);
	if (!(config->norm_epsilon > 0 && config->norm_epsilon < 1))
		return t2l_fail(err, T2L_EFORMAT, "rms_norm_eps is %g; expected above 0, below 1",
		    (double)config->norm_epsilon);
	if (!(config->rope_theta >= 1 && config->rope_theta <= 1e12))
		return t2l_fail(
		    err, T2L_EFORMAT, "rope_theta is %g; expected 1 to 1e12", config->rope_theta);
	return T2L_OK;
}

enum t2l_status
decoder_prepare(struct decoder *decoder, struct t2l_error *err)
{
	const struct decoder_config *config = &decoder->config;
	enum t2l_status status = check_ranges(config, err);
	int n_freq = config->head_dim / 2;

	if (status != T2L_OK)
		return status;
	decoder->layers = calloc((size_t)config->n_layers, sizeof *decoder->layers);
	decoder->inv_freq = malloc((size_t)n_freq * sizeof *decoder->inv_freq);
	if (decoder->layers == NULL || decoder->inv_freq == NULL) {
		decoder_release(decoder);
		return t2l_fail(
		    err, T2L_ENOMEM, "out of memory for a model of %d layers", config->n_layers);
	}
	for (int i = 0; i < n_freq; i++)
		decoder->inv_freq[i] =
		    (float)pow(config->rope_theta, -2.0 * i / (double)config->head_dim);
	decoder->rope = (struct rope){
		.neighbours = config->rope_neighbours,
		.n_rot = config->head_dim,
		.inv_freq = decoder->inv_freq,
		.magnitude = 1.0f,
	};
	return T2L_OK;
}

void
decoder_release(struct decoder *decoder)
{
	free(decoder->layers);
	free(decoder->inv_freq);
	decoder->layers = NULL;
	decoder->inv_freq = NULL;
}
