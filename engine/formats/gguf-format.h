/*
 * formats/gguf-format.h - GGUF's numbers and ggml's tensor types.
 *
 * Private to the GGUF reader and writer. Source: ggml/docs/gguf.md, ggml's type traits.
 */
#ifndef ENGINE_FORMATS_GGUF_FORMAT_H
#define ENGINE_FORMATS_GGUF_FORMAT_H

#include "engine/formats/gguf.h"

#define GGUF_MAGIC 0x46554747u /* "GGUF", little-endian */
#define GGUF_VERSION 3
#define GGUF_DEFAULT_ALIGNMENT 32
#define GGUF_ALIGNMENT_KEY "general.alignment"

struct ggml_type {
	const char *name;
	unsigned id;
	unsigned block, block_bytes; /* elements and bytes of a block */
	bool ours;		     /* whether DTYPE is set */
	enum dtype dtype;
};

const struct ggml_type *ggml_type_by_id(uint32_t id); /* NULL when unknown */
const struct ggml_type *ggml_type_of(enum dtype dtype);

/* Bytes of a value of TYPE; 0 for strings and arrays. */
size_t gguf_type_bytes(enum gguf_type type);
const char *gguf_type_name(enum gguf_type type);

/* One file, whatever it says of parts. */
enum t2l_status gguf_open_file(const char *path, struct gguf **out, struct t2l_error *err);
/* Moves the tensors of the N others to FIRST, which closes them with itself (or when this fails).
 * Errors: T2L_EFORMAT (a name twice), T2L_ENOMEM. */
enum t2l_status gguf_join(
    struct gguf *first, struct gguf **others, size_t n, struct t2l_error *err);

uint64_t gguf_read(const uint8_t *bytes, size_t n_bytes); /* little-endian, at most 8 bytes */

#endif
