/*
 * formats/safetensors-header.h - one safetensors file's header: parsed and checked.
 *
 * Private to the safetensors reader and writer.
 */
#ifndef ENGINE_FORMATS_SAFETENSORS_HEADER_H
#define ENGINE_FORMATS_SAFETENSORS_HEADER_H

#include "engine/formats/json.h"
#include "engine/formats/safetensors.h"

/* A dtype of the format. */
struct safetensors_dtype {
	const char *text;
	unsigned bits; /* of an element */
	bool ours;     /* whether DTYPE is set */
	enum dtype dtype;
};

/* NULL when the format has no such dtype. */
const struct safetensors_dtype *safetensors_dtype_by_text(const char *text);
const struct safetensors_dtype *safetensors_dtype_of(enum dtype dtype);

/* Parses the file BYTES[N]. *HEADER (the caller deletes it) owns the entries' names; *ENTRIES (to
 * be freed), in the file's order, point into BYTES. */
enum t2l_status safetensors_header(const void *bytes, size_t n, const char *path, cJSON **header,
    struct safetensors_entry **entries, size_t *n_entries, struct t2l_error *err);

#define SAFETENSORS_METADATA "__metadata__"

#endif
