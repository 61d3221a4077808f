/*
 * formats/gguf-writer.h - writes GGUF v3 files: metadata, then tensors, atomically.
 *
 * Add keys and declare tensors in any order, begin, write the tensors' bytes in the order of
 * their declaration, finish. Keys keep their order; the same calls give the same file. Data is
 * aligned to 32 bytes (the format's default); padding is the writer's.
 */
#ifndef ENGINE_FORMATS_GGUF_WRITER_H
#define ENGINE_FORMATS_GGUF_WRITER_H

#include "engine/formats/gguf.h"

struct gguf_writer;

struct gguf_writer *gguf_writer_new(void);	   /* NULL: out of memory */
void gguf_writer_free(struct gguf_writer *writer); /* removes what is not finished */

/* Everything is copied. Faults (a key twice, ...) are kept and reported by begin. */
void gguf_writer_integer(
    struct gguf_writer *writer, const char *key, enum gguf_type type, int64_t value);
void gguf_writer_number(
    struct gguf_writer *writer, const char *key, enum gguf_type type, double value);
void gguf_writer_bool(struct gguf_writer *writer, const char *key, bool value);
void gguf_writer_string(struct gguf_writer *writer, const char *key, const char *value);
void gguf_writer_strings(struct gguf_writer *writer, const char *key, const char *const *values,
    const size_t *n_bytes, size_t n); /* N_BYTES may be NULL: terminated strings */
/* ITEMS as stored in the file (little-endian), of any type but strings and arrays. */
void gguf_writer_array(struct gguf_writer *writer, const char *key, enum gguf_type item_type,
    const void *items, size_t n);

/* SHAPE is outermost first. */
void gguf_writer_declare(struct gguf_writer *writer, const char *name, enum dtype dtype, int n_dims,
    const int64_t *shape);

enum t2l_status gguf_writer_begin(
    struct gguf_writer *writer, const char *path, struct t2l_error *err);
/* The next bytes of the data; a piece must not span tensors. */
enum t2l_status gguf_writer_bytes(
    struct gguf_writer *writer, const void *bytes, size_t n, struct t2l_error *err);
/* N f32 values (whole blocks of a quantised type) converted to the current tensor's dtype. */
enum t2l_status gguf_writer_floats(
    struct gguf_writer *writer, const float *values, int64_t n, struct t2l_error *err);
enum t2l_status gguf_writer_finish(struct gguf_writer *writer, struct t2l_error *err);

#endif
