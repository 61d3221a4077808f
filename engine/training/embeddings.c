/* embeddings.c - embeds a training run's sentences, or finds them in the cache. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hash.h"
#include "engine/engine.h"
#include "engine/error.h"
#include "engine/formats/safetensors-writer.h"
#include "engine/formats/safetensors.h"
#include "engine/training/embeddings.h"

#define TEXTS_AT_ONCE 64

static void
cache_path(const struct text_encoder *encoder, const char *cache, const char *const *texts,
    size_t n_texts, char *path, size_t size)
{
	struct hash hash;
	char hex[HASH_HEX_SIZE];

	hash_start(&hash);
	hash_add(&hash, encoder->facts.fingerprint, strlen(encoder->facts.fingerprint));
	for (size_t i = 0; i < n_texts; i++)
		hash_add(&hash, texts[i], strlen(texts[i]) + 1);
	hash_finish(&hash, hex);
	snprintf(path, size, "%s/embeddings-%.16s.safetensors", cache, hex);
}

/* False: not there, or not what we wrote; it is then made anew. */
static bool
load(const char *path, int64_t n_texts, int64_t dimension, float *out)
{
	const int64_t shape[2] = { n_texts, dimension };
	struct safetensors *file;
	struct tensor tensor;
	bool found;

	if (access(path, R_OK) != 0 || safetensors_open(path, &file, NULL) != T2L_OK)
		return false;
	found =
	    safetensors_tensor_of_shape(file, "embeddings", 2, shape, &tensor, NULL) == T2L_OK &&
	    dtype_to_f32(tensor.dtype, tensor.data, out, n_texts * dimension);
	safetensors_close(file);
	return found;
}

static enum t2l_status
keep(const char *cache, const char *path, int64_t n_texts, int64_t dimension, float *values,
    struct t2l_error *err)
{
	static const char *const metadata[] = { "format", "pt", NULL };
	static const char *const names[] = { "embeddings" };
	struct tensor tensor = {
		.dtype = DTYPE_F32, .n_dims = 2, .shape = { n_texts, dimension }, .data = values
	};

	if (mkdir(cache, 0777) != 0 && errno != EEXIST)
		return t2l_fail_errno(err, "cannot make the folder '%s'", cache);
	return safetensors_save(path, metadata, names, &tensor, 1, err);
}

static enum t2l_status
compute(struct trainer *trainer, const struct text_encoder *encoder, const char *const *texts,
    size_t n_texts, float *out, struct t2l_error *err)
{
	size_t dimension = (size_t)encoder->facts.dimension;

	for (size_t i = 0; i < n_texts; i += TEXTS_AT_ONCE) {
		size_t n = n_texts - i < TEXTS_AT_ONCE ? n_texts - i : TEXTS_AT_ONCE;
		enum t2l_status status;

		if (i % (8 * TEXTS_AT_ONCE) == 0 &&
		    !trainer_report(trainer, "embedding", (int64_t)i, (int64_t)n_texts))
			return t2l_fail(err, T2L_ECANCELLED, "stopped while embedding");
		engine_lock(trainer->engine);
		status = text_encoder_embed(
		    encoder, trainer->ops, texts + i, n, out + i * dimension, err);
		engine_unlock(trainer->engine);
		if (status != T2L_OK)
			return status;
	}
	return T2L_OK;
}

enum t2l_status
embeddings_make(struct trainer *trainer, const struct text_encoder *encoder, const char *cache,
    const char *const *texts, size_t n_texts, float scale, float *out, struct t2l_error *err)
{
	int64_t dimension = encoder->facts.dimension;
	char path[4096] = "";
	enum t2l_status status = T2L_OK;
	bool cached = false;

	if (cache != NULL) {
		cache_path(encoder, cache, texts, n_texts, path, sizeof path);
		cached = load(path, (int64_t)n_texts, dimension, out);
	}
	if (!cached) {
		status = compute(trainer, encoder, texts, n_texts, out, err);
		if (status == T2L_OK && cache != NULL)
			status = keep(cache, path, (int64_t)n_texts, dimension, out, err);
	}
	for (size_t i = 0; i < n_texts * (size_t)dimension && status == T2L_OK; i++)
		out[i] *= scale;
	return status;
}
