/*
 * formats/torch-pickle.h - reads the pickles of torch checkpoints, and runs nothing.
 *
 * A pickle is a program for a stack machine that may call any Python function. Here is a machine
 * that knows only the opcodes torch.save() writes for a state_dict (protocol 2), and of functions
 * only those that put tensors together; what they would have built is noted down, nothing is
 * called. Every other opcode or name is refused by name.
 *
 * Values form a graph (a memo may name one again, so it can even contain itself): walk it to a
 * bounded depth. They live in the arena that was given, texts in the pickle's bytes.
 */
#ifndef ENGINE_FORMATS_TORCH_PICKLE_H
#define ENGINE_FORMATS_TORCH_PICKLE_H

#include <stdint.h>

#include "engine/error.h"
#include "engine/tensor/arena.h"

#define PICKLE_MAX_BYTES ((size_t)16 << 20) /* of one pickle; 100,000 tensors and more */
#define PICKLE_MAX_DIMS 8

enum pickle_kind {
	PICKLE_NONE,
	PICKLE_BOOL,
	PICKLE_INTEGER,
	PICKLE_BIG, /* an integer beyond 64 bits */
	PICKLE_FLOAT,
	PICKLE_TEXT,
	PICKLE_LIST,
	PICKLE_TUPLE,
	PICKLE_DICT,
	PICKLE_FUNCTION, /* one of those we know, or a storage type */
	PICKLE_STORAGE,	 /* numbers somewhere else in the checkpoint */
	PICKLE_TENSOR,
	PICKLE_MARK /* on the stack only */
};

struct pickle_text {
	const char *bytes; /* not terminated, perhaps not UTF-8 */
	size_t n;
};

/* A storage type of torch, such as torch.FloatStorage. */
struct pickle_storage_type {
	const char *name;  /* "FloatStorage" */
	const char *dtype; /* as safetensors spell it: "F32" */
};

struct pickle_storage {
	const struct pickle_storage_type *type;
	struct pickle_text key; /* which storage of the checkpoint */
	int64_t n;		/* numbers in it */
};

/* All in numbers, not bytes; none is negative. */
struct pickle_tensor {
	const struct pickle_storage *storage;
	int64_t offset;
	int n_dims;
	int64_t shape[PICKLE_MAX_DIMS], stride[PICKLE_MAX_DIMS];
};

struct pickle_value {
	enum pickle_kind kind;
	union {
		int64_t integer; /* of a bool too */
		double number;
		struct pickle_text text;
		struct {
			struct pickle_value **items; /* of a dict: key, value, key, value, ... */
			size_t n, capacity;
		} list;
		const struct pickle_function *function;
		const struct pickle_storage *storage;
		const struct pickle_tensor *tensor;
	};
};

/* Reads one pickle from BYTES[N]; *N_READ (may be NULL) is where it ends. PATH is for messages.
 * T2L_EFORMAT: damaged; T2L_EUNSUPPORTED: an opcode, function or number of dimensions that is not
 * known here, with its name. */
enum t2l_status pickle_read(const void *bytes, size_t n, const char *path, struct arena *arena,
    struct pickle_value **out, size_t *n_read, struct t2l_error *err);

/* The value of a key in a dict, the last one as in Python; NULL when absent or DICT is none. */
const struct pickle_value *pickle_get(const struct pickle_value *dict, const char *key);

bool pickle_is_text(const struct pickle_value *value, const char *text);

#endif
