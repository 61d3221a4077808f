/*
 * models/encoder-weights.h - an encoder's weights under their Hugging Face names.
 */
#ifndef ENGINE_MODELS_ENCODER_WEIGHTS_H
#define ENGINE_MODELS_ENCODER_WEIGHTS_H

#include "engine/models/encoder.h"
#include "engine/models/weights.h"

/* Visits the weights of model.safetensors, each name after PREFIX ("", "bert.", "new."). */
enum t2l_status encoder_each_weight(struct encoder_network *network, const char *prefix,
    weight_visit *visit, void *user, struct t2l_error *err);

/* The same for the projection of 2_Dense/model.safetensors; nothing when there is none. */
enum t2l_status encoder_each_projection(
    struct encoder_network *network, weight_visit *visit, void *user, struct t2l_error *err);

#endif
