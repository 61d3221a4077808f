/* fingerprint.c - an identity of weights from their names, shapes and a sample of their bytes. */

#include <stdlib.h>
#include <string.h>

#include "engine/formats/fingerprint.h"
#include "engine/formats/gguf.h"
#include "engine/formats/safetensors.h"

#define PIECE 4096
#define N_SPACED 16
#define WHOLE ((N_SPACED + 2) * PIECE) /* up to here every byte counts */

static int
by_name(const void *left, const void *right)
{
	const struct fingerprint_tensor *a = left, *b = right;

	return strcmp(a->name, b->name);
}

static void
add_number(struct hash *hash, uint64_t number)
{
	uint8_t bytes[8];

	for (int i = 0; i < 8; i++)
		bytes[i] = (uint8_t)(number >> 8 * i);
	hash_add(hash, bytes, sizeof bytes);
}

/* With its length before it, so that no two lists of texts give the same bytes. */
static void
add_text(struct hash *hash, const char *text)
{
	add_number(hash, strlen(text));
	hash_add(hash, text, strlen(text));
}

static void
add_bytes(struct hash *hash, const uint8_t *bytes, size_t n)
{
	add_number(hash, n);
	if (n <= WHOLE) {
		if (n > 0)
			hash_add(hash, bytes, n);
		return;
	}
	hash_add(hash, bytes, PIECE);
	for (size_t i = 0; i < N_SPACED; i++)
		hash_add(hash, bytes + (n - PIECE) / (N_SPACED + 1) * (i + 1), PIECE);
	hash_add(hash, bytes + n - PIECE, PIECE);
}

void
fingerprint_tensors(struct fingerprint_tensor *tensors, size_t n, char out[HASH_HEX_SIZE])
{
	struct hash hash;

	if (n > 1)
		qsort(tensors, n, sizeof *tensors, by_name);
	hash_start(&hash);
	add_number(&hash, n);
	for (size_t i = 0; i < n; i++) {
		add_text(&hash, tensors[i].name);
		add_text(&hash, tensors[i].dtype);
		add_number(&hash, (uint64_t)tensors[i].n_dims);
		for (int d = 0; d < tensors[i].n_dims; d++)
			add_number(&hash, (uint64_t)tensors[i].shape[d]);
		add_bytes(&hash, tensors[i].bytes, tensors[i].n_bytes);
	}
	hash_finish(&hash, out);
}

enum t2l_status
fingerprint_safetensors(
    const struct safetensors *st, char out[HASH_HEX_SIZE], struct t2l_error *err)
{
	size_t n = safetensors_count(st);
	struct fingerprint_tensor *tensors = calloc(n + 1, sizeof *tensors);

	if (tensors == NULL)
		return t2l_fail(err, T2L_ENOMEM, "%s: out of memory", safetensors_path(st));
	for (size_t i = 0; i < n; i++) {
		const struct safetensors_entry *entry = safetensors_at(st, i);

		tensors[i] = (struct fingerprint_tensor){ entry->name, entry->dtype_text,
			entry->n_dims, entry->shape, entry->bytes, entry->n_bytes };
	}
	fingerprint_tensors(tensors, n, out);
	free(tensors);
	return T2L_OK;
}

enum t2l_status
fingerprint_gguf(const struct gguf *gguf, char out[HASH_HEX_SIZE], struct t2l_error *err)
{
	size_t n = gguf_count(gguf);
	struct fingerprint_tensor *tensors = calloc(n + 1, sizeof *tensors);

	if (tensors == NULL)
		return t2l_fail(err, T2L_ENOMEM, "%s: out of memory", gguf_path(gguf));
	for (size_t i = 0; i < n; i++) {
		const struct gguf_entry *entry = gguf_at(gguf, i);

		tensors[i] = (struct fingerprint_tensor){ entry->name, entry->type_name,
			entry->n_dims, entry->shape, entry->bytes, entry->n_bytes };
	}
	fingerprint_tensors(tensors, n, out);
	free(tensors);
	return T2L_OK;
}
