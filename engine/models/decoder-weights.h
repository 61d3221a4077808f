/*
 * models/decoder-weights.h - a decoder's weights under the names that a file format gives them.
 */
#ifndef ENGINE_MODELS_DECODER_WEIGHTS_H
#define ENGINE_MODELS_DECODER_WEIGHTS_H

#include "engine/models/decoder.h"
#include "engine/models/weights.h"

/* In a layer: layer_prefix, number, ".", then the name. */
struct decoder_names {
	const char *embedding, *final_norm, *head;
	const char *layer_prefix;
	const char *attention_norm, *mlp_norm;
	const char *module[N_MODULES]; /* ".weight" and ".bias" follow */
};
extern const struct decoder_names decoder_names_hf, decoder_names_gguf;

/* Visits every weight that the configuration has (a tied head is none of its own) and stops at the
 * first failure. */
enum t2l_status decoder_each_weight(struct decoder *decoder, const struct decoder_names *names,
    weight_visit *visit, void *user, struct t2l_error *err);

/* Fills every weight of DECODER (prepared). */
enum t2l_status decoder_bind(struct decoder *decoder, const struct model_source *source,
    const struct decoder_names *names, struct t2l_error *err);

/* Sizes, dtype and fingerprint of a bound decoder. */
void decoder_state_facts(struct decoder *decoder, struct t2l_model_facts *facts);

#endif
