/* encoder-load.c - opens a text encoder: its configuration, weights and tokenizer. */
#include "engine/models/encoder-load.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/models/encoder-weights.h"
#include "engine/models/loader.h"
#include "engine/text/tokenizer.h"

#define MAX_TOKENS 8192 /* where the reference cuts descriptions for any model */

static const char *const pooling_names[] = {
	[POOLING_MEAN] = "mean",
	[POOLING_CLS] = "cls",
	[POOLING_LAST] = "last",
};

/* The files behind an encoder: the network's, and the projection's when there is one. */
struct encoder_source {
	struct model_source *network, *projection;
};

static enum t2l_status
bind(void *user, const struct weight_slot *slot, struct t2l_error *err)
{
	return weights_bind(user, slot, err);
}

/* Rows FROM .. +N of a matrix or numbers of a vector, under a header of their own. */
static struct tensor *
part_of(struct arena *memory, const struct tensor *whole, int64_t from, int64_t n)
{
	struct tensor *part = arena_alloc(memory, sizeof *part);
	int64_t cols = whole->n_dims == 1 ? 1 : tensor_cols(whole);

	if (part == NULL)
		return NULL;
	*part = *whole;
	part->shape[0] = n;
	part->data = (char *)whole->data + (size_t)from * dtype_row_bytes(whole->dtype, cols);
	return part;
}

/* GTE stores q, k and v as one matrix, and up and gate. */
static bool
split_matrices(struct encoder_network *network, struct arena *memory)
{
	const int64_t hidden = network->config.hidden_size, ffn = network->config.ffn_size;

	for (int i = 0; i < network->config.n_layers; i++) {
		struct encoder_layer *layer = &network->layers[i];
		const struct {
			struct tensor **part;
			const struct tensor *whole;
			int64_t from, n;
		} parts[] = {
			{ &layer->q, layer->qkv, 0, hidden },
			{ &layer->k, layer->qkv, hidden, hidden },
			{ &layer->v, layer->qkv, 2 * hidden, hidden },
			{ &layer->q_bias, layer->qkv_bias, 0, hidden },
			{ &layer->k_bias, layer->qkv_bias, hidden, hidden },
			{ &layer->v_bias, layer->qkv_bias, 2 * hidden, hidden },
			{ &layer->up, layer->up_gate, 0, ffn },
			{ &layer->gate, layer->up_gate, ffn, ffn },
		};

		for (size_t p = 0; p < sizeof parts / sizeof parts[0]; p++) {
			*parts[p].part = part_of(memory, parts[p].whole, parts[p].from, parts[p].n);
			if (*parts[p].part == NULL)
				return false;
		}
	}
	return true;
}

/* NTK: the base times s, and all frequencies divided by s^(2 / head size). */
static bool
make_rope(struct encoder_network *network, struct arena *memory)
{
	const struct encoder_config *config = &network->config;
	const double size = (double)(config->hidden_size / config->n_heads);
	const double s = config->ntk_factor, theta = config->rope_theta * s;
	int n = config->hidden_size / config->n_heads / 2;

	network->inv_freq = arena_alloc(memory, (size_t)n * sizeof(float));
	for (int i = 0; network->inv_freq != NULL && i < n; i++)
		network->inv_freq[i] = (float)(pow(theta, -2 * i / size) / pow(s, 2 / size));
	return network->inv_freq != NULL;
}

static enum t2l_status
load_network(const char *directory, struct text_encoder *encoder, struct t2l_error *err)
{
	struct encoder_network *network = &encoder->network;
	struct model_source *source = model_source_new();
	const char *prefix = "";
	enum t2l_status status;

	encoder->source->network = source;
	network->layers = calloc((size_t)network->config.n_layers, sizeof *network->layers);
	if (source == NULL || network->layers == NULL)
		return t2l_fail(err, T2L_ENOMEM, "%s: out of memory", directory);
	status = safetensors_open(directory, &source->safetensors, err);
	if (status != T2L_OK)
		return status;
	/* Files saved from a model with a head keep the encoder under its own name. */
	if (weights_have(source, "bert.embeddings.word_embeddings.weight"))
		prefix = "bert.";
	else if (weights_have(source, "new.embeddings.word_embeddings.weight"))
		prefix = "new.";
	status = encoder_each_weight(network, prefix, bind, source, err);
	if (status == T2L_OK && network->config.kind == ENCODER_GTE &&
	    (!split_matrices(network, source->memory) || !make_rope(network, source->memory)))
		return t2l_fail(err, T2L_ENOMEM, "%s: out of memory", directory);
	return status;
}

static enum t2l_status
load_projection(const char *directory, struct text_encoder *encoder, struct t2l_error *err)
{
	struct model_source *source;
	char path[4096];
	enum t2l_status status;

	if (encoder->network.config.projection_size == 0)
		return T2L_OK;
	source = encoder->source->projection = model_source_new();
	if (source == NULL)
		return t2l_fail(err, T2L_ENOMEM, "%s: out of memory", directory);
	snprintf(path, sizeof path, "%s/2_Dense", directory);
	status = safetensors_open(path, &source->safetensors, err);
	if (status != T2L_OK)
		return status;
	return encoder_each_projection(&encoder->network, bind, source, err);
}

static void
state_facts(const char *directory, struct text_encoder *encoder)
{
	const struct encoder_config *config = &encoder->network.config;
	struct t2l_encoder_facts *facts = &encoder->facts;
	struct weights_identity identity = { 0 };
	const char *architecture = config->kind == ENCODER_GTE ? "gte" : "bert";
	char settings[192];

	model_name_of_path(directory, facts->name, sizeof facts->name);
	snprintf(facts->architecture, sizeof facts->architecture, "%s", architecture);
	snprintf(facts->pooling, sizeof facts->pooling, "%s", pooling_names[config->pooling]);
	facts->dimension =
	    config->projection_size > 0 ? config->projection_size : config->hidden_size;
	facts->max_tokens = config->max_tokens;
	snprintf(
	    settings, sizeof settings, "%s %d %s", architecture, config->n_heads, facts->pooling);
	if (config->kind == ENCODER_GTE)
		snprintf(settings + strlen(settings), sizeof settings - strlen(settings),
		    " %.17g %.17g", config->rope_theta, config->ntk_factor);
	identity_start(&identity, settings);
	encoder_each_weight(&encoder->network, "", identity_add, &identity, NULL);
	encoder_each_projection(&encoder->network, identity_add, &identity, NULL);
	facts->n_parameters = identity.n_parameters;
	identity_finish(&identity, facts->fingerprint);
}

static enum t2l_status
open_encoder(const char *path, struct text_encoder *encoder, struct t2l_error *err)
{
	enum t2l_status status;

	encoder->source = calloc(1, sizeof *encoder->source);
	if (encoder->source == NULL)
		return t2l_fail(err, T2L_ENOMEM, "%s: out of memory", path);
	if ((status = encoder_config_read(path, &encoder->network.config, err)) != T2L_OK ||
	    (status = load_network(path, encoder, err)) != T2L_OK ||
	    (status = load_projection(path, encoder, err)) != T2L_OK ||
	    (status = tokenizer_open_hf(path, &encoder->tokenizer, err)) != T2L_OK)
		return status;
	if (tokenizer_n_tokens(encoder->tokenizer) > (size_t)encoder->network.config.vocab_size)
		return t2l_fail(err, T2L_EMISMATCH,
		    "%s: the tokenizer has %zu tokens, the network %d; they don't belong together",
		    path, tokenizer_n_tokens(encoder->tokenizer),
		    encoder->network.config.vocab_size);
	state_facts(path, encoder);
	return T2L_OK;
}

/* The base model itself embeds: the reference's choice when no embedding model is named. */
static enum t2l_status
open_base(const char *path, struct text_encoder *encoder, struct t2l_error *err)
{
	struct t2l_encoder_facts *facts = &encoder->facts;
	const struct t2l_model_facts *base;
	enum t2l_status status = base_model_open(path, &encoder->base, err);

	if (status != T2L_OK)
		return status;
	base = &encoder->base->facts;
	if (encoder->base->tokenizer == NULL)
		return t2l_fail(
		    err, T2L_ENOENT, "%s: a model without tokenizer embeds no texts", path);
	facts->max_tokens = base->context_length < MAX_TOKENS ? base->context_length : MAX_TOKENS;
	encoder->network.config.max_tokens = facts->max_tokens;
	snprintf(facts->name, sizeof facts->name, "%s", base->name);
	snprintf(facts->architecture, sizeof facts->architecture, "%s", base->architecture);
	snprintf(facts->pooling, sizeof facts->pooling, "%s", pooling_names[POOLING_LAST]);
	facts->dimension = base->hidden_size;
	facts->n_parameters = base->n_parameters;
	strcpy(facts->fingerprint, base->fingerprint);
	return T2L_OK;
}

enum t2l_status
text_encoder_open(const char *path, struct text_encoder **out, struct t2l_error *err)
{
	struct text_encoder *encoder = calloc(1, sizeof *encoder);
	enum t2l_status status;
	bool is_base;

	if (encoder == NULL)
		return t2l_fail(err, T2L_ENOMEM, "%s: out of memory", path);
	status = encoder_is_base(path, &is_base, err);
	if (status == T2L_OK)
		status = is_base ? open_base(path, encoder, err) : open_encoder(path, encoder, err);
	if (status != T2L_OK) {
		text_encoder_close(encoder);
		return status;
	}
	*out = encoder;
	return T2L_OK;
}

void
text_encoder_close(struct text_encoder *encoder)
{
	if (encoder == NULL)
		return;
	base_model_close(encoder->base);
	tokenizer_close(encoder->tokenizer);
	if (encoder->source != NULL) {
		model_source_close(encoder->source->network);
		model_source_close(encoder->source->projection);
	}
	free(encoder->source);
	free(encoder->network.layers);
	free(encoder);
}
