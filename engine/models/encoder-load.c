/* encoder-load.c - opens a text encoder: its configuration, weights and tokenizer. */
#include "engine/models/encoder-load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/models/encoder-weights.h"
#include "engine/models/loader.h"
#include "engine/text/tokenizer.h"

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
	return encoder_each_weight(network, prefix, bind, source, err);
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
	char settings[128];

	model_name_of_path(directory, facts->name, sizeof facts->name);
	snprintf(facts->architecture, sizeof facts->architecture, "bert");
	snprintf(facts->pooling, sizeof facts->pooling, "%s", pooling_names[config->pooling]);
	facts->dimension =
	    config->projection_size > 0 ? config->projection_size : config->hidden_size;
	facts->max_tokens = config->max_tokens;
	snprintf(settings, sizeof settings, "bert %d %s", config->n_heads, facts->pooling);
	identity_start(&identity, settings);
	encoder_each_weight(&encoder->network, "", identity_add, &identity, NULL);
	encoder_each_projection(&encoder->network, identity_add, &identity, NULL);
	facts->n_parameters = identity.n_parameters;
	identity_finish(&identity, facts->fingerprint);
}

enum t2l_status
text_encoder_open(const char *path, struct text_encoder **out, struct t2l_error *err)
{
	struct text_encoder *encoder = calloc(1, sizeof *encoder);
	enum t2l_status status;

	if (encoder == NULL)
		return t2l_fail(err, T2L_ENOMEM, "%s: out of memory", path);
	encoder->source = calloc(1, sizeof *encoder->source);
	if (encoder->source == NULL)
		status = t2l_fail(err, T2L_ENOMEM, "%s: out of memory", path);
	else
		status = encoder_config_read(path, &encoder->network.config, err);
	if (status == T2L_OK)
		status = load_network(path, encoder, err);
	if (status == T2L_OK)
		status = load_projection(path, encoder, err);
	if (status == T2L_OK)
		status = tokenizer_open_hf(path, &encoder->tokenizer, err);
	if (status == T2L_OK &&
	    tokenizer_n_tokens(encoder->tokenizer) > (size_t)encoder->network.config.vocab_size)
		status = t2l_fail(err, T2L_EMISMATCH,
		    "%s: the tokenizer has %zu tokens, the network %d; they don't belong together",
		    path, tokenizer_n_tokens(encoder->tokenizer),
		    encoder->network.config.vocab_size);
	if (status != T2L_OK) {
		text_encoder_close(encoder);
		return status;
	}
	state_facts(path, encoder);
	*out = encoder;
	return T2L_OK;
}

void
text_encoder_close(struct text_encoder *encoder)
{
	if (encoder == NULL)
		return;
	tokenizer_close(encoder->tokenizer);
	if (encoder->source != NULL) {
		model_source_close(encoder->source->network);
		model_source_close(encoder->source->projection);
	}
	free(encoder->source);
	free(encoder->network.layers);
	free(encoder);
}
