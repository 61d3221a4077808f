/*
 * formats/safetensors.h - reads and writes safetensors files (huggingface/safetensors, format 0.x):
 * u64 header length, JSON header {name: {dtype, shape, data_offsets}}, then the bytes.
 *
 * Reading maps the file; nothing is copied (but tensors a file stores unaligned, when asked for
 * as a tensor). Everything is checked at opening: header at most 100 MB and inside the file,
 * names valid UTF-8 and new, shapes times dtype equal to the bytes, bytes inside the file without
 * overlap or holes. Open files are immutable and may be shared by threads; entries, names, bytes
 * and tensors live until safetensors_close().
 *
 * A torch checkpoint (torch-checkpoint.h) is known by its first bytes and read as the same set of
 * named tensors, wherever a file or shard of tensors is opened.
 */
#ifndef ENGINE_FORMATS_SAFETENSORS_H
#define ENGINE_FORMATS_SAFETENSORS_H

#include "engine/error.h"
#include "engine/tensor/tensor.h"

#define SAFETENSORS_MAX_DIMS 8
#define SAFETENSORS_MAX_HEADER 100000000 /* bytes; the reference's limit */

struct safetensors_entry {
	const char *name;
	const char *dtype_text; /* as the format spells it: "F32", "BF16", "I64", "F8_E4M3", ... */
	bool convertible;	/* whether it has a dtype of ours and at most 4 dimensions */
	enum dtype dtype;	/* when convertible */
	int n_dims;		/* 0 for a scalar */
	int64_t shape[SAFETENSORS_MAX_DIMS];
	const void *bytes; /* little-endian, row-major; any alignment */
	size_t n_bytes;
	size_t place; /* in the order of its file: 0, 1, ... */
};

struct safetensors;

/* PATH is one file, an index (*.index.json), or a folder that holds model.safetensors, or its
 * index, or adapter_model.safetensors; or, without these, pytorch_model.bin, its index, or
 * adapter_model.bin. Shards are read as one set. */
enum t2l_status safetensors_open(const char *path, struct safetensors **out, struct t2l_error *err);

/* The same over memory that must outlive it; NAME is for messages. */
enum t2l_status safetensors_parse(
    const void *bytes, size_t n, const char *name, struct safetensors **out, struct t2l_error *err);

void safetensors_close(struct safetensors *st);

const char *safetensors_path(const struct safetensors *st); /* as opened, for messages */

/* Entries in byte order of their names; NULL when there is none of that name. */
size_t safetensors_count(const struct safetensors *st);
const struct safetensors_entry *safetensors_at(const struct safetensors *st, size_t i);
const struct safetensors_entry *safetensors_find(const struct safetensors *st, const char *name);

/* Its bytes are not needed soon: of a mapped file the memory they take is given back. They stay
 * readable. */
void safetensors_forget(const struct safetensors *st, const struct safetensors_entry *entry);
void safetensors_forget_bytes(const struct safetensors *st, const void *bytes, size_t n_bytes);

/* The __metadata__ map (of a sharded set: of its first shard), in byte order of the keys. */
size_t safetensors_metadata_count(const struct safetensors *st);
const char *safetensors_metadata_key(const struct safetensors *st, size_t i);
const char *safetensors_metadata_value(const struct safetensors *st, size_t i);
const char *safetensors_metadata(const struct safetensors *st, const char *key); /* or NULL */

/* The tensor NAME over the mapped bytes; a scalar comes as shape [1]. Do not write to its data.
 * T2L_ENOENT when absent, T2L_EUNSUPPORTED for a dtype we lack or more than 4 dimensions. */
enum t2l_status safetensors_tensor(
    const struct safetensors *st, const char *name, struct tensor *out, struct t2l_error *err);

/* The same, and T2L_EMISMATCH unless the shape is the N_DIMS numbers of SHAPE (-1: any). */
enum t2l_status safetensors_tensor_of_shape(const struct safetensors *st, const char *name,
    int n_dims, const int64_t *shape, struct tensor *out, struct t2l_error *err);

#endif
