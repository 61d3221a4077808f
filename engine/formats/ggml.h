/*
 * formats/ggml.h - reads and writes t2l GGML v1, the binary adapter file of the export format's
 * specification (doc/formats.md): named tensors, each with an alpha.
 *
 * All numbers little-endian, strings are a u32 length and UTF-8 without NUL, nothing is aligned:
 *   u32 0x67676d6c, u32 version 1, u32 tensors, string architecture,
 *   u32 entries of metadata, each string key and string value,
 *   each tensor: i32 dimensions, string name, u32 ggml type, i32 of each dimension (outermost
 *   first), the data, f32 alpha;
 *   u32 0xFFFFFFFF, and the file's end.
 *
 * Reading maps the file and checks everything at opening: lengths and products against the bytes
 * that are left, names and keys new, alpha finite. Open files are immutable; strings and bytes live
 * until ggml_close().
 */
#ifndef ENGINE_FORMATS_GGML_H
#define ENGINE_FORMATS_GGML_H

#include "engine/error.h"
#include "engine/tensor/tensor.h"

#define GGML_MAGIC 0x67676d6cu

struct ggml_tensor {
	const char *name;
	const char *type_name; /* ggml's: "Q4_K" */
	bool convertible;      /* whether DTYPE is one that the engine converts */
	enum dtype dtype;
	int n_dims;
	int64_t shape[TENSOR_MAX_DIMS]; /* outermost first */
	const void *bytes;
	size_t n_bytes;
	float alpha;
};

struct ggml;

enum t2l_status ggml_open(const char *path, struct ggml **out, struct t2l_error *err);
/* Over memory that must outlive it; NAME is for messages. */
enum t2l_status ggml_parse(
    const void *bytes, size_t n, const char *name, struct ggml **out, struct t2l_error *err);
void ggml_close(struct ggml *ggml);

const char *ggml_architecture(const struct ggml *ggml);
const char *ggml_metadata(const struct ggml *ggml, const char *key); /* or NULL */
/* In the order of the file. */
size_t ggml_count(const struct ggml *ggml);
const struct ggml_tensor *ggml_at(const struct ggml *ggml, size_t i);

/* ---- writing ---- */

struct ggml_writer;

/* METADATA: N_METADATA of key and value; those with an empty value are left out. The file appears
 * when it is finished, atomically. */
enum t2l_status ggml_writer_open(const char *path, const char *architecture, size_t n_tensors,
    const char *const (*metadata)[2], size_t n_metadata, struct ggml_writer **out,
    struct t2l_error *err);
/* Then the tensor's bytes, then its end. */
enum t2l_status ggml_writer_tensor(struct ggml_writer *writer, const char *name, enum dtype dtype,
    int n_dims, const int64_t *shape, struct t2l_error *err);
enum t2l_status ggml_writer_bytes(
    struct ggml_writer *writer, const void *bytes, size_t n, struct t2l_error *err);
enum t2l_status ggml_writer_alpha(struct ggml_writer *writer, float alpha, struct t2l_error *err);
enum t2l_status ggml_writer_finish(struct ggml_writer *writer, struct t2l_error *err);
void ggml_writer_free(struct ggml_writer *writer); /* removes what is not finished */

#endif
