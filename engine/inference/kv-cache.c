/* kv-cache.c - memory for the keys and values of all lanes. */
#include "engine/inference/kv-cache.h"

#include <stdlib.h>
#include <sys/mman.h>

#include "engine/error.h"

static size_t
tensor_bytes(const struct tensor *tensor)
{
	size_t bytes;

	return __builtin_mul_overflow((size_t)tensor->shape[0],
		   dtype_row_bytes(tensor->dtype, tensor->shape[1]), &bytes) ||
		       bytes > SIZE_MAX / 2
		   ? 0
		   : bytes;
}

/* Address space alone: the system gives a page its memory when something is first stored there, so
 * a cache grows with the text, whatever context was asked for. */
static bool
reserve(struct tensor *tensor, int64_t n_slots, int64_t cols, enum dtype dtype)
{
	size_t bytes;

	*tensor = (struct tensor){ .dtype = dtype, .n_dims = 2, .shape = { n_slots, cols } };
	bytes = tensor_bytes(tensor);
	if (bytes == 0)
		return false;
	tensor->data = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (tensor->data == MAP_FAILED)
		tensor->data = NULL;
	return tensor->data != NULL;
}

static void
release(struct tensor *tensor)
{
	if (tensor->data != NULL)
		munmap(tensor->data, tensor_bytes(tensor));
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
	if (config->head_dim % dtype_block(dtype) != 0)
		return t2l_fail(err, T2L_EUNSUPPORTED,
		    "kv cache: heads of %d numbers are no whole blocks of %s; use f16",
		    config->head_dim, dtype_name(dtype));
	cache->k = calloc(n_layers, sizeof *cache->k);
	cache->v = calloc(n_layers, sizeof *cache->v);
	bool enough = cache->k != NULL && cache->v != NULL;
	for (int i = 0; i < config->n_layers && enough; i++)
		enough = reserve(&cache->k[i], n_slots, cols, dtype) &&
			 reserve(&cache->v[i], n_slots, cols, dtype);
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
			release(&cache->k[i]);
		if (cache->v != NULL)
			release(&cache->v[i]);
	}
	free(cache->k);
	free(cache->v);
	*cache = (struct kv_cache){ 0 };
}
