/*
 * training/embeddings.h - embeddings of many sentences, computed once and kept in a file.
 *
 * Training needs the embedding of every description of every task before the first step; with a
 * large encoder that takes longer than the training. The cache is named by a hash of the encoder
 * and the sentences, so it can't be stale.
 */
#ifndef ENGINE_TRAINING_EMBEDDINGS_H
#define ENGINE_TRAINING_EMBEDDINGS_H

#include "engine/models/encoder.h"
#include "engine/training/trainer.h"

/* out [n_texts, dimension]: rows of length SCALE. CACHE: directory or NULL. Reports progress as
 * "embedding ..."; T2L_ECANCELLED when the caller wants to stop. */
enum t2l_status embeddings_make(struct trainer *trainer, const struct text_encoder *encoder,
    const char *cache, const char *const *texts, size_t n_texts, float scale, float *out,
    struct t2l_error *err);

#endif
