/* kv-cache.c - memory for the keys and values of all lanes. */
#include "engine/inference/kv-cache.h"

#include <stdlib.h>

#include "engine/error.h"

#define ALIGNMENT 64

static bool
allocate(struct tensor *tensor, int64_t n_slots, int64_t cols, enum dtype dtype)
{
	size_t bytes;

	*tensor = (struct tensor){ .dtype = dtype, .n_dims = 2, .shape = { n_slots, cols } };
	if (__builtin_mul_overflow((size_t)n_slots, dtype_row_bytes(dtype, cols), &bytes) ||
	    bytes > SIZE_MAX / 2)
		return false;
	bytes = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
	tensor->data = aligned_alloc(ALIGNMENT, bytes);
	return tensor->data != NULL;
}

enum t2l_status
kv_cache_open(struct kv_cache *cache, const struct decoder_config *config, int64_t n_slots,
    enum dtype dtype, struct t2l_error *err)
{
	int64_t cols = (int64_t)config->n_kv_heads * config->head_dim;
	size_t n_layers = (size_t)config->n_layers;

	*cache = (struct kv_cache){ .n_layers = config->n_layers, .n_slots = n_slots };
	if (n_slots < 1 || n_slots > INT32_MAX)
		return t2l_fail(err, T2L_EINVAL,
		    "kv cache: %lld tokens over all lanes; expected 1 to %d. Use fewer lanes or a "
		    "shorter context",
		    (long long)n_slots, INT32_MAX);
	cache->k = calloc(n_layers, sizeof *cache->k);
	cache->v = calloc(n_layers, sizeof *cache->v);
	bool enough = cache->k != NULL && cache->v != NULL;
	for (int i = 0; i < config->n_layers && enough; i++)
		enough = allocate(&cache->k[i], n_slots, cols, dtype) &&
			 allocate(&cache->v[i], n_slots, cols, dtype);
	if (enough)
		return T2L_OK;
	kv_cache_close(cache);
	return t2l_fail(err, T2L_ENOMEM,
	    "kv cache: out of memory for %lld tokens over all lanes; use fewer lanes or a shorter "
	    "context",
	    (long long)n_slots);
}

void
kv_cache_close(struct kv_cache *cache)
{
	for (int i = 0; i < cache->n_layers; i++) {
		if (cache->k != NULL)
			free(cache->k[i].data);
		if (cache->v != NULL)
			free(cache->v[i].data);
	}
	free(cache->k);
	free(cache->v);
	*cache = (struct kv_cache){ 0 };
}
