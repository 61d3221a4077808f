/*
 * formats/gguf.h - reads GGUF v2 and v3 (ggml/docs/gguf.md): metadata and tensors in one file.
 *
 * The file is mapped; every length, offset and product is checked at opening. GGUF lists dimensions
 * innermost first; here shape is outermost first, as everywhere in the engine. Open files are
 * immutable and may be shared by threads; all strings and tensors live until gguf_close().
 * Strings of the file are hostile: valid UTF-8 and free of NUL only where a getter says so.
 */
#ifndef ENGINE_FORMATS_GGUF_H
#define ENGINE_FORMATS_GGUF_H

#include "engine/error.h"
#include "engine/tensor/tensor.h"

enum gguf_type {
	GGUF_U8,
	GGUF_I8,
	GGUF_U16,
	GGUF_I16,
	GGUF_U32,
	GGUF_I32,
	GGUF_F32,
	GGUF_BOOL,
	GGUF_STRING,
	GGUF_ARRAY,
	GGUF_U64,
	GGUF_I64,
	GGUF_F64,
	N_GGUF_TYPES
};

struct gguf_key {
	const char *name;
	enum gguf_type type;
	enum gguf_type item_type;	/* of an array; never GGUF_ARRAY */
	uint64_t n;			/* items of an array; 1 otherwise */
	const uint8_t *bytes;		/* the value as stored */
	const uint64_t *string_offsets; /* of an array of strings: n offsets from BYTES */
	const char *text; /* of a string: terminated; NULL when not valid UTF-8 or with a NUL */
};

struct gguf_entry {
	const char *name;
	uint32_t ggml_type;
	const char *type_name; /* ggml's: "F32", "Q4_K", ... */
	bool convertible;      /* whether the engine has it as a dtype */
	enum dtype dtype;      /* when convertible */
	int n_dims;
	int64_t shape[TENSOR_MAX_DIMS]; /* outermost first */
	const void *bytes;
	size_t n_bytes;
};

struct gguf;

/* A model split into NAME-0000k-of-0000n.gguf is opened whole, whichever part PATH names. */
enum t2l_status gguf_open(const char *path, struct gguf **out, struct t2l_error *err);
/* Over memory that must outlive it; NAME is for messages. */
enum t2l_status gguf_parse(
    const void *bytes, size_t n, const char *name, struct gguf **out, struct t2l_error *err);
void gguf_close(struct gguf *gguf);

const char *gguf_path(const struct gguf *gguf);
uint32_t gguf_version(const struct gguf *gguf);

/* Keys and tensors in the order of the file. */
size_t gguf_key_count(const struct gguf *gguf);
const struct gguf_key *gguf_key_at(const struct gguf *gguf, size_t i);
const struct gguf_key *gguf_key_find(const struct gguf *gguf, const char *name);
size_t gguf_count(const struct gguf *gguf);
const struct gguf_entry *gguf_at(const struct gguf *gguf, size_t i);
const struct gguf_entry *gguf_find(const struct gguf *gguf, const char *name);

/* Bytes of a tensor are not needed soon: of a mapped file the memory they take is given back. They
 * stay readable. */
void gguf_forget_bytes(const struct gguf *gguf, const void *bytes, size_t n_bytes);

/* T2L_ENOENT when absent; T2L_EUNSUPPORTED for types the engine does not compute with. */
enum t2l_status gguf_tensor(
    const struct gguf *gguf, const char *name, struct tensor *out, struct t2l_error *err);

/* ---- typed metadata ---- *OUT is left alone when KEY is absent and not REQUIRED. */

/* Any integer type. */
enum t2l_status gguf_integer(const struct gguf *gguf, const char *key, bool required, int64_t min,
    int64_t max, int64_t *out, struct t2l_error *err);
/* Floats and integers; finite. */
enum t2l_status gguf_number(
    const struct gguf *gguf, const char *key, bool required, double *out, struct t2l_error *err);
enum t2l_status gguf_bool(
    const struct gguf *gguf, const char *key, bool required, bool *out, struct t2l_error *err);
/* Valid UTF-8 without NUL, terminated; lives as long as the file is open. */
enum t2l_status gguf_string(const struct gguf *gguf, const char *key, bool required,
    const char **out, struct t2l_error *err);

/* An array of ITEM_TYPE, or NULL in *OUT when absent and not REQUIRED. */
enum t2l_status gguf_array(const struct gguf *gguf, const char *key, enum gguf_type item_type,
    bool required, const struct gguf_key **out, struct t2l_error *err);
/* Item I (< n) of an array of strings, neither terminated nor checked; of integers (any width);
 * of floats. */
const char *gguf_array_string(const struct gguf_key *array, uint64_t i, size_t *n_bytes);
int64_t gguf_array_integer(const struct gguf_key *array, uint64_t i);
double gguf_array_number(const struct gguf_key *array, uint64_t i);

#endif
