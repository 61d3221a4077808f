/* gguf-writer.c - lays out a GGUF file and writes it in order. */

#include <stdlib.h>
#include <string.h>

#include "base/atomic-file.h"
#include "base/buffer.h"
#include "base/utf8.h"
#include "base/visible.h"
#include "engine/formats/gguf-format.h"
#include "engine/formats/gguf-writer.h"

#define SHOWN 200
#define ALIGNMENT GGUF_DEFAULT_ALIGNMENT

/* A tensor's place: the bytes it has, then padding up to the alignment. */
struct declared {
	char *name;
	enum dtype dtype;
	uint64_t n_bytes;
};

struct gguf_writer {
	struct buffer keys;    /* as they will stand in the file */
	struct buffer tensors; /* likewise */
	char **key_names;
	size_t n_keys;
	struct declared *declared;
	size_t n_declared;
	uint64_t n_data; /* bytes declared, with padding */
	struct t2l_error fault;
	char *path;
	struct atomic_file *file;
	size_t current;	    /* the tensor being written */
	uint64_t n_current; /* bytes of it so far */
	bool begun, finished;
};

struct gguf_writer *
gguf_writer_new(void)
{
	return calloc(1, sizeof(struct gguf_writer));
}

void
gguf_writer_free(struct gguf_writer *writer)
{
	if (writer == NULL)
		return;
	atomic_file_abort(writer->file);
	for (size_t i = 0; i < writer->n_keys; i++)
		free(writer->key_names[i]);
	for (size_t i = 0; i < writer->n_declared; i++)
		free(writer->declared[i].name);
	free(writer->key_names);
	free(writer->declared);
	free(writer->path);
	buffer_free(&writer->keys);
	buffer_free(&writer->tensors);
	free(writer);
}

static void
fault(struct gguf_writer *writer, enum t2l_status status, const char *name, const char *what)
{
	char shown[SHOWN];

	if (writer->fault.status != T2L_OK)
		return;
	visible_copy(shown, sizeof shown, name, strlen(name), 0);
	t2l_fail(&writer->fault, status, "'%s': %s", shown, what);
}

static void
put_number(struct buffer *out, uint64_t value, size_t n_bytes)
{
	for (size_t i = 0; i < n_bytes; i++)
		buffer_char(out, (char)(value >> 8 * i));
}

static void
put_text(struct buffer *out, const char *text, size_t n)
{
	put_number(out, n, 8);
	buffer_append(out, text, n);
}

/* ITEMS with room for one more of SIZE bytes after N; grows at powers of two. NULL: no memory. */
static void *
grown(void *items, size_t n, size_t size)
{
	if (n > 0 && (n & (n - 1)) != 0)
		return items;
	return realloc(items, (n > 0 ? 2 * n : 1) * size);
}

/* ---- metadata ---- */

/* The name and type of a new key. */
static void
put_key(struct gguf_writer *writer, const char *key, enum gguf_type type)
{
	char **names = grown(writer->key_names, writer->n_keys, sizeof *names);
	char *name = strdup(key);

	if (names != NULL)
		writer->key_names = names;
	if (names == NULL || name == NULL) {
		free(name);
		fault(writer, T2L_ENOMEM, key, "out of memory");
		return;
	}
	for (size_t i = 0; i < writer->n_keys; i++)
		if (strcmp(names[i], key) == 0)
			fault(writer, T2L_EINVAL, key, "the key is given twice");
	if (!utf8_valid(key, strlen(key)) || strcmp(key, GGUF_ALIGNMENT_KEY) == 0)
		fault(writer, T2L_EINVAL, key, "this cannot be a key");
	writer->key_names[writer->n_keys++] = name;
	put_text(&writer->keys, key, strlen(key));
	put_number(&writer->keys, (uint64_t)type, 4);
}

/* Whether VALUE can be stored as TYPE. */
static bool
integer_fits(enum gguf_type type, int64_t value)
{
	switch (type) {
	case GGUF_U8:
		return value >= 0 && value <= UINT8_MAX;
	case GGUF_U16:
		return value >= 0 && value <= UINT16_MAX;
	case GGUF_U32:
		return value >= 0 && value <= UINT32_MAX;
	case GGUF_U64:
		return value >= 0;
	case GGUF_I8:
		return value >= INT8_MIN && value <= INT8_MAX;
	case GGUF_I16:
		return value >= INT16_MIN && value <= INT16_MAX;
	case GGUF_I32:
		return value >= INT32_MIN && value <= INT32_MAX;
	case GGUF_I64:
		return true;
	default:
		return false;
	}
}

void
gguf_writer_integer(struct gguf_writer *writer, const char *key, enum gguf_type type, int64_t value)
{
	if (!integer_fits(type, value))
		fault(writer, T2L_EINVAL, key, "the integer does not fit its type");
	put_key(writer, key, type);
	put_number(&writer->keys, (uint64_t)value, gguf_type_bytes(type));
}

void
gguf_writer_number(struct gguf_writer *writer, const char *key, enum gguf_type type, double value)
{
	float single = (float)value;

	if (type != GGUF_F32 && type != GGUF_F64)
		fault(writer, T2L_EINVAL, key, "numbers are f32 or f64");
	put_key(writer, key, type);
	if (type == GGUF_F32)
		buffer_append(&writer->keys, &single, sizeof single);
	else
		buffer_append(&writer->keys, &value, sizeof value);
}

void
gguf_writer_bool(struct gguf_writer *writer, const char *key, bool value)
{
	put_key(writer, key, GGUF_BOOL);
	put_number(&writer->keys, value, 1);
}

void
gguf_writer_string(struct gguf_writer *writer, const char *key, const char *value)
{
	put_key(writer, key, GGUF_STRING);
	put_text(&writer->keys, value, strlen(value));
}

void
gguf_writer_strings(struct gguf_writer *writer, const char *key, const char *const *values,
    const size_t *n_bytes, size_t n)
{
	put_key(writer, key, GGUF_ARRAY);
	put_number(&writer->keys, GGUF_STRING, 4);
	put_number(&writer->keys, n, 8);
	for (size_t i = 0; i < n; i++)
		put_text(
		    &writer->keys, values[i], n_bytes != NULL ? n_bytes[i] : strlen(values[i]));
}

void
gguf_writer_array(struct gguf_writer *writer, const char *key, enum gguf_type item_type,
    const void *items, size_t n)
{
	size_t item_bytes = gguf_type_bytes(item_type);

	if (item_bytes == 0 || n > SIZE_MAX / 16)
		fault(writer, T2L_EINVAL, key, "these items have no fixed size");
	put_key(writer, key, GGUF_ARRAY);
	put_number(&writer->keys, (uint64_t)item_type, 4);
	put_number(&writer->keys, n, 8);
	if (writer->fault.status == T2L_OK)
		buffer_append(&writer->keys, items, n * item_bytes);
}

/* ---- tensors ---- */

static uint64_t
padding_after(uint64_t n)
{
	return (ALIGNMENT - n % ALIGNMENT) % ALIGNMENT;
}

/* The bytes of a tensor; false when its shape overflows or does not fill whole blocks. */
static bool
tensor_bytes(enum dtype dtype, int n_dims, const int64_t *shape, uint64_t *out)
{
	uint64_t n;

	if (n_dims < 1 || n_dims > TENSOR_MAX_DIMS)
		return false;
	for (int i = 0; i < n_dims; i++)
		if (shape[i] < 1)
			return false;
	n = dtype_row_bytes(dtype, shape[n_dims - 1]);
	for (int i = 0; i < n_dims - 1; i++)
		if (__builtin_mul_overflow(n, (uint64_t)shape[i], &n))
			return false;
	*out = n;
	return n > 0 && n <= INT64_MAX;
}

static void
describe(
    struct gguf_writer *writer, const char *name, uint32_t type, int n_dims, const int64_t *shape)
{
	put_text(&writer->tensors, name, strlen(name));
	put_number(&writer->tensors, (uint64_t)n_dims, 4);
	for (int i = n_dims - 1; i >= 0; i--)
		put_number(&writer->tensors, (uint64_t)shape[i], 8);
	put_number(&writer->tensors, type, 4);
	put_number(&writer->tensors, writer->n_data, 8);
}

void
gguf_writer_declare(struct gguf_writer *writer, const char *name, enum dtype dtype, int n_dims,
    const int64_t *shape)
{
	struct declared *declared = grown(writer->declared, writer->n_declared, sizeof *declared);
	const struct ggml_type *type = ggml_type_of(dtype);
	struct declared new = { .dtype = dtype };

	if (declared == NULL) {
		fault(writer, T2L_ENOMEM, name, "out of memory");
		return;
	}
	writer->declared = declared;
	if (type == NULL || !tensor_bytes(dtype, n_dims, shape, &new.n_bytes) ||
	    new.n_bytes > (uint64_t)INT64_MAX - ALIGNMENT - writer->n_data) {
		fault(writer, T2L_EINVAL, name, "its shape overflows or does not fill its blocks");
		return;
	}
	if (!utf8_valid(name, strlen(name)))
		fault(writer, T2L_EINVAL, name, "this cannot be a tensor's name");
	new.name = strdup(name);
	if (new.name == NULL) {
		fault(writer, T2L_ENOMEM, name, "out of memory");
		return;
	}
	declared[writer->n_declared++] = new;
	describe(writer, name, type->id, n_dims, shape);
	writer->n_data += new.n_bytes + padding_after(new.n_bytes);
}

/* ---- writing ---- */

static int
by_text(const void *left, const void *right)
{
	const char *const *a = left, *const *b = right;

	return strcmp(*a, *b);
}

static enum t2l_status
check_names(struct gguf_writer *writer)
{
	const char **names = calloc(writer->n_declared + 1, sizeof *names);

	if (names == NULL) {
		fault(writer, T2L_ENOMEM, writer->path, "out of memory");
		return writer->fault.status;
	}
	for (size_t i = 0; i < writer->n_declared; i++)
		names[i] = writer->declared[i].name;
	if (writer->n_declared > 1)
		qsort(names, writer->n_declared, sizeof *names, by_text);
	for (size_t i = 1; i < writer->n_declared; i++)
		if (strcmp(names[i - 1], names[i]) == 0)
			fault(writer, T2L_EINVAL, names[i], "declared twice");
	free(names);
	return writer->fault.status;
}

static enum t2l_status
put(struct gguf_writer *writer, const void *bytes, size_t n, struct t2l_error *err)
{
	if (atomic_file_write(writer->file, bytes, n) == -1)
		return t2l_fail_errno(err, "cannot write '%s'", writer->path);
	return T2L_OK;
}

static enum t2l_status
put_padding(struct gguf_writer *writer, uint64_t after, struct t2l_error *err)
{
	static const uint8_t zeros[ALIGNMENT];

	return put(writer, zeros, (size_t)padding_after(after), err);
}

static enum t2l_status
put_header(struct gguf_writer *writer, struct t2l_error *err)
{
	struct buffer header = { 0 };
	enum t2l_status status;

	put_number(&header, GGUF_MAGIC, 4);
	put_number(&header, GGUF_VERSION, 4);
	put_number(&header, writer->n_declared, 8);
	put_number(&header, writer->n_keys, 8);
	buffer_append(&header, writer->keys.bytes, writer->keys.n);
	buffer_append(&header, writer->tensors.bytes, writer->tensors.n);
	if (buffer_failed(&header) || buffer_failed(&writer->keys) ||
	    buffer_failed(&writer->tensors))
		status = t2l_fail(err, T2L_ENOMEM, "%s: out of memory", writer->path);
	else
		status = put(writer, header.bytes, header.n, err);
	if (status == T2L_OK)
		status = put_padding(writer, header.n, err);
	buffer_free(&header);
	return status;
}

enum t2l_status
gguf_writer_begin(struct gguf_writer *writer, const char *path, struct t2l_error *err)
{
	if (writer->begun)
		return t2l_fail(err, T2L_EINVAL, "%s: begun twice", path);
	writer->path = strdup(path);
	if (writer->path == NULL)
		return t2l_fail(err, T2L_ENOMEM, "%s: out of memory", path);
	if (check_names(writer) != T2L_OK)
		return t2l_fail(err, writer->fault.status, "%s: %s", path, writer->fault.message);
	writer->file = atomic_file_open(path);
	if (writer->file == NULL)
		return t2l_fail_errno(err, "cannot write '%s'", path);
	writer->begun = true;
	return put_header(writer, err);
}

/* Whether the writer is between begin and finish, with a tensor left to write. */
static enum t2l_status
check_current(const struct gguf_writer *writer, size_t n, struct t2l_error *err)
{
	if (writer->begun && !writer->finished && writer->current < writer->n_declared &&
	    n <= writer->declared[writer->current].n_bytes - writer->n_current)
		return T2L_OK;
	return t2l_fail(err, T2L_EINVAL, "%s: more bytes written than were declared",
	    writer->path != NULL ? writer->path : "GGUF");
}

enum t2l_status
gguf_writer_bytes(struct gguf_writer *writer, const void *bytes, size_t n, struct t2l_error *err)
{
	enum t2l_status status = check_current(writer, n, err);

	if (status == T2L_OK)
		status = put(writer, bytes, n, err);
	if (status != T2L_OK)
		return status;
	writer->n_current += n;
	if (writer->n_current < writer->declared[writer->current].n_bytes)
		return T2L_OK;
	status = put_padding(writer, writer->n_current, err);
	writer->current++;
	writer->n_current = 0;
	return status;
}

enum t2l_status
gguf_writer_floats(
    struct gguf_writer *writer, const float *values, int64_t n, struct t2l_error *err)
{
	enum { CHUNK = 4096 }; /* whole blocks of any type */
	enum t2l_status status = check_current(writer, 0, err);
	uint8_t chunk[CHUNK * sizeof(float)];
	enum dtype dtype;

	if (status != T2L_OK)
		return status;
	dtype = writer->declared[writer->current].dtype;
	for (int64_t i = 0; i < n && status == T2L_OK; i += CHUNK) {
		int64_t part = n - i < CHUNK ? n - i : CHUNK;

		if (!dtype_from_f32(dtype, values + i, chunk, part))
			return t2l_fail(err, T2L_EUNSUPPORTED, "%s: floats cannot be written as %s",
			    writer->path, dtype_name(dtype));
		status = gguf_writer_bytes(writer, chunk, dtype_row_bytes(dtype, part), err);
	}
	return status;
}

enum t2l_status
gguf_writer_finish(struct gguf_writer *writer, struct t2l_error *err)
{
	struct atomic_file *file = writer->file;

	if (!writer->begun || writer->finished || writer->current < writer->n_declared)
		return t2l_fail(err, T2L_EINVAL, "%s: %zu tensors of %zu written",
		    writer->path != NULL ? writer->path : "GGUF", writer->current,
		    writer->n_declared);
	writer->finished = true;
	writer->file = NULL;
	if (atomic_file_commit(file) == -1)
		return t2l_fail_errno(err, "cannot write '%s'", writer->path);
	return T2L_OK;
}
