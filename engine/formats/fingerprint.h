/*
 * formats/fingerprint.h - an identity of model weights that is instant on huge files.
 *
 * SHA-256 over every tensor, sorted by name: name, dtype, shape, number of bytes, and of the bytes
 * all up to 72 KiB, else 18 pieces of 4 KiB: the first, 16 evenly spaced, the last. It does not
 * depend on file layout, order or sharding. It tells models apart; it is no proof against
 * someone who forges weights on purpose.
 */
#ifndef ENGINE_FORMATS_FINGERPRINT_H
#define ENGINE_FORMATS_FINGERPRINT_H

#include "base/hash.h"
#include "engine/error.h"

struct fingerprint_tensor {
	const char *name;
	const char *dtype; /* as the safetensors format spells it, or ggml's type name */
	int n_dims;
	const int64_t *shape; /* outermost first */
	const void *bytes;
	size_t n_bytes;
};

/* Sorts TENSORS in place. OUT: 64 hex digits and the NUL. */
void fingerprint_tensors(struct fingerprint_tensor *tensors, size_t n, char out[HASH_HEX_SIZE]);

struct safetensors;
struct gguf;
enum t2l_status fingerprint_safetensors(
    const struct safetensors *st, char out[HASH_HEX_SIZE], struct t2l_error *err);
enum t2l_status fingerprint_gguf(
    const struct gguf *gguf, char out[HASH_HEX_SIZE], struct t2l_error *err);

#endif
