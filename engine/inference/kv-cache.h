/*
 * inference/kv-cache.h - memory for the keys and values of all lanes.
 *
 * Pages that no lane has reached yet cost no memory: a cache of the model's whole context grows on
 * demand.
 */
#ifndef ENGINE_INFERENCE_KV_CACHE_H
#define ENGINE_INFERENCE_KV_CACHE_H

#include "engine/models/decoder.h"

/* DTYPE: f32, f16, bf16, or q8_0 where heads are whole blocks of it. Errors: T2L_EINVAL (too many
 * slots), T2L_EUNSUPPORTED (head size), T2L_ENOMEM, with the way out. */
enum t2l_status kv_cache_open(struct kv_cache *cache, const struct decoder_config *config,
    int64_t n_slots, enum dtype dtype, struct t2l_error *err);
void kv_cache_close(struct kv_cache *cache); /* fine on a zeroed one */

#endif
