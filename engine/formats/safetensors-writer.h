/*
 * formats/safetensors-writer.h - writes a safetensors file, or the same bytes to memory.
 *
 * Declare all tensors, then write their bytes in the order of declaration; finish. The same
 * declarations and bytes give the same file, byte for byte: metadata is sorted by key, tensors
 * keep their order, and the header is padded with spaces so that the data starts at a multiple of
 * ALIGNMENT. (Declare wider dtypes first if readers should find every tensor aligned: the format
 * allows no gaps.)
 *
 *     struct safetensors_writer *w = safetensors_writer_new(8);
 *     safetensors_writer_metadata(w, "format", "pt");
 *     safetensors_writer_declare(w, "a.weight", DTYPE_F32, 2, shape);
 *     status = safetensors_writer_begin(w, path, err);     (or _begin_memory(w, err))
 *     if (status == T2L_OK)
 *             status = safetensors_writer_bytes(w, values, n_bytes, err);
 *     if (status == T2L_OK)
 *             status = safetensors_writer_finish(w, err);
 *     safetensors_writer_free(w);                          (removes what is not finished)
 */
#ifndef ENGINE_FORMATS_SAFETENSORS_WRITER_H
#define ENGINE_FORMATS_SAFETENSORS_WRITER_H

#include "engine/error.h"
#include "engine/tensor/tensor.h"

struct safetensors_writer;

/* ALIGNMENT of the data's start: 8, or a larger power of two up to 4096. NULL: out of memory. */
struct safetensors_writer *safetensors_writer_new(size_t alignment);
void safetensors_writer_free(struct safetensors_writer *writer);

/* Names, keys and values are copied. A fault (a name twice, bad UTF-8, a shape that overflows,
 * out of memory) is kept and reported by begin. DTYPE may be any but Q8_0. */
void safetensors_writer_metadata(
    struct safetensors_writer *writer, const char *key, const char *value);
void safetensors_writer_declare(struct safetensors_writer *writer, const char *name,
    enum dtype dtype, int n_dims, const int64_t *shape);

/* Writes the header. */
enum t2l_status safetensors_writer_begin(
    struct safetensors_writer *writer, const char *path, struct t2l_error *err);
enum t2l_status safetensors_writer_begin_memory(
    struct safetensors_writer *writer, struct t2l_error *err);

/* The next bytes of the data, in pieces of any size. */
enum t2l_status safetensors_writer_bytes(
    struct safetensors_writer *writer, const void *bytes, size_t n, struct t2l_error *err);

/* N f32 values converted to DTYPE on the way (an f32, f16 or bf16 tensor). */
enum t2l_status safetensors_writer_floats(struct safetensors_writer *writer, const float *values,
    int64_t n, enum dtype dtype, struct t2l_error *err);

/* T2L_EINVAL unless exactly the declared bytes were written. A file appears now, atomically. */
enum t2l_status safetensors_writer_finish(struct safetensors_writer *writer, struct t2l_error *err);

/* After finishing to memory: the whole file, the writer's until safetensors_writer_free(). */
const void *safetensors_writer_memory(const struct safetensors_writer *writer, size_t *n_out);

/* A whole file in one call: N tensors, each with its name; METADATA is key, value, ..., NULL. */
enum t2l_status safetensors_save(const char *path, const char *const *metadata,
    const char *const *names, const struct tensor *tensors, size_t n, struct t2l_error *err);

#endif
