/*
 * models/decoder-weights.h - a decoder's weights under the names that a file format gives them.
 */
#ifndef ENGINE_MODELS_DECODER_WEIGHTS_H
#define ENGINE_MODELS_DECODER_WEIGHTS_H

#include "engine/models/decoder.h"
#include "engine/models/weights.h"

/* GGUF's names: the same for all architectures. Hugging Face's differ and stand in their rows and
 * in module.c: all is NULL here. */
struct decoder_names {
	const char *layers, *norms[N_NORMS], *final_norm;
	const char *roles[N_ROLES];
};
extern const struct decoder_names decoder_names_hf, decoder_names_gguf;

/* Visits every weight that the configuration has (a tied head is none of its own) and stops at the
 * first failure. */
enum t2l_status decoder_each_weight(struct decoder *decoder, const struct decoder_names *names,
    weight_visit *visit, void *user, struct t2l_error *err);

/* SUFFIX ".weight" or ".bias"; NAME has WEIGHT_NAME_SIZE bytes. */
void decoder_weight_name(const struct decoder_names *names, int layer, enum module module,
    int expert, const char *suffix, char *name, size_t size);

/* Fills every weight of DECODER (prepared). */
enum t2l_status decoder_bind(struct decoder *decoder, const struct model_source *source,
    const struct decoder_names *names, struct t2l_error *err);

/* Sizes, dtype and fingerprint of a bound decoder. T2L_EFORMAT names a tensor with a number that is
 * none, among those that the fingerprint sees. */
enum t2l_status decoder_state_facts(
    struct decoder *decoder, struct t2l_model_facts *facts, struct t2l_error *err);

#endif
