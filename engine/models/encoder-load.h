/*
 * models/encoder-load.h - between the parts of an encoder's loading.
 */
#ifndef ENGINE_MODELS_ENCODER_LOAD_H
#define ENGINE_MODELS_ENCODER_LOAD_H

#include "engine/models/encoder.h"

/* config.json, 1_Pooling/, 2_Dense/ and sentence_bert_config.json of DIRECTORY. */
enum t2l_status encoder_config_read(
    const char *directory, struct encoder_config *config, struct t2l_error *err);

/* Whether PATH holds no encoder's architecture, so that it must be a base model. */
enum t2l_status encoder_is_base(const char *path, bool *is_base, struct t2l_error *err);

#endif
