/* safetensors-writer.c - lays out a safetensors file and writes it in order. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/atomic-file.h"
#include "base/buffer.h"
#include "base/utf8.h"
#include "base/visible.h"
#include "engine/formats/safetensors-header.h"
#include "engine/formats/safetensors-writer.h"

#define LENGTH_BYTES 8
#define MAX_ALIGNMENT 4096
#define SHOWN 200

struct pair {
	char *key, *value;
};

struct safetensors_writer {
	size_t alignment;
	struct pair *metadata;
	size_t n_metadata;
	char **names; /* of the declared tensors */
	size_t n_names;
	struct buffer tensors;	  /* their part of the header */
	uint64_t n_data;	  /* bytes declared */
	uint64_t n_written;	  /* bytes of data written so far */
	struct t2l_error fault;	  /* the first of the declarations; status T2L_OK: none */
	char *path;		  /* for messages */
	struct atomic_file *file; /* NULL: to memory */
	struct buffer memory;
	bool begun, finished;
};

struct safetensors_writer *
safetensors_writer_new(size_t alignment)
{
	struct safetensors_writer *writer = calloc(1, sizeof *writer);

	if (writer == NULL)
		return NULL;
	writer->alignment = alignment;
	if (alignment < 8 || alignment > MAX_ALIGNMENT || (alignment & (alignment - 1)) != 0)
		t2l_fail(&writer->fault, T2L_EINVAL,
		    "alignment %zu is not a power of two from 8 to %d", alignment, MAX_ALIGNMENT);
	return writer;
}

void
safetensors_writer_free(struct safetensors_writer *writer)
{
	if (writer == NULL)
		return;
	atomic_file_abort(writer->file);
	for (size_t i = 0; i < writer->n_metadata; i++) {
		free(writer->metadata[i].key);
		free(writer->metadata[i].value);
	}
	for (size_t i = 0; i < writer->n_names; i++)
		free(writer->names[i]);
	free(writer->metadata);
	free(writer->names);
	free(writer->path);
	buffer_free(&writer->tensors);
	buffer_free(&writer->memory);
	free(writer);
}

static void
fault(struct safetensors_writer *writer, enum t2l_status status, const char *name, const char *what)
{
	char shown[SHOWN];

	if (writer->fault.status != T2L_OK)
		return;
	visible_copy(shown, sizeof shown, name, strlen(name), 0);
	t2l_fail(&writer->fault, status, "'%s': %s", shown, what);
}

/* ITEMS with room for one more of SIZE bytes after N; grows at powers of two. NULL: no memory. */
static void *
grown(void *items, size_t n, size_t size)
{
	if (n > 0 && (n & (n - 1)) != 0)
		return items;
	return realloc(items, (n > 0 ? 2 * n : 1) * size);
}

void
safetensors_writer_metadata(struct safetensors_writer *writer, const char *key, const char *value)
{
	struct pair pair = { strdup(key), strdup(value) };
	struct pair *grew = grown(writer->metadata, writer->n_metadata, sizeof pair);

	if (grew != NULL)
		writer->metadata = grew;
	if (!utf8_valid(key, strlen(key)) || !utf8_valid(value, strlen(value)))
		fault(writer, T2L_EINVAL, key, "metadata is not valid UTF-8");
	for (size_t i = 0; i < writer->n_metadata; i++)
		if (strcmp(writer->metadata[i].key, key) == 0)
			fault(writer, T2L_EINVAL, key, "metadata is given twice");
	if (grew == NULL || pair.key == NULL || pair.value == NULL) {
		fault(writer, T2L_ENOMEM, key, "out of memory");
		free(pair.key);
		free(pair.value);
		return;
	}
	writer->metadata[writer->n_metadata++] = pair;
}

/* The bytes of a tensor, or false when they overflow. */
static bool
tensor_bytes(const struct safetensors_dtype *dtype, int n_dims, const int64_t *shape, uint64_t *out)
{
	uint64_t n = dtype->bits / 8;

	for (int i = 0; i < n_dims; i++)
		if (shape[i] < 0 || __builtin_mul_overflow(n, (uint64_t)shape[i], &n))
			return false;
	*out = n;
	return n <= INT64_MAX;
}

/* Appends "name":{...} to the tensors' part of the header. */
static void
describe(struct safetensors_writer *writer, const char *name, const char *dtype, int n_dims,
    const int64_t *shape, uint64_t n_bytes)
{
	struct buffer *out = &writer->tensors;

	if (out->n > 0)
		buffer_char(out, ',');
	buffer_json_string(out, name, strlen(name));
	buffer_printf(out, ":{\"dtype\":\"%s\",\"shape\":[", dtype);
	for (int i = 0; i < n_dims; i++)
		buffer_printf(out, "%s%lld", i > 0 ? "," : "", (long long)shape[i]);
	buffer_printf(out, "],\"data_offsets\":[%llu,%llu]}", (unsigned long long)writer->n_data,
	    (unsigned long long)(writer->n_data + n_bytes));
}

void
safetensors_writer_declare(struct safetensors_writer *writer, const char *name, enum dtype dtype,
    int n_dims, const int64_t *shape)
{
	const struct safetensors_dtype *of_format = safetensors_dtype_of(dtype);
	char **grew;
	uint64_t n_bytes;
	char *copy;

	if (of_format == NULL) {
		fault(writer, T2L_EUNSUPPORTED, name, "safetensors files cannot hold this dtype");
		return;
	}
	if (n_dims < 0 || n_dims > SAFETENSORS_MAX_DIMS ||
	    !tensor_bytes(of_format, n_dims, shape, &n_bytes) ||
	    n_bytes > INT64_MAX - writer->n_data) {
		fault(writer, T2L_EINVAL, name, "its shape overflows");
		return;
	}
	if (!utf8_valid(name, strlen(name)) || strcmp(name, SAFETENSORS_METADATA) == 0)
		fault(writer, T2L_EINVAL, name, "this cannot be a tensor's name");
	grew = grown(writer->names, writer->n_names, sizeof *grew);
	if (grew != NULL)
		writer->names = grew;
	copy = strdup(name);
	if (grew == NULL || copy == NULL) {
		free(copy);
		fault(writer, T2L_ENOMEM, name, "out of memory");
		return;
	}
	writer->names[writer->n_names++] = copy;
	describe(writer, name, of_format->text, n_dims, shape, n_bytes);
	writer->n_data += n_bytes;
}

static int
by_key(const void *left, const void *right)
{
	const struct pair *a = left, *b = right;

	return strcmp(a->key, b->key);
}

static int
by_name(const void *left, const void *right)
{
	const char *const *a = left, *const *b = right;

	return strcmp(*a, *b);
}

/* The header, padded so that the data behind it is aligned. */
static void
build_header(struct safetensors_writer *writer, struct buffer *out)
{
	buffer_char(out, '{');
	if (writer->n_metadata > 0) {
		qsort(writer->metadata, writer->n_metadata, sizeof *writer->metadata, by_key);
		buffer_text(out, "\"" SAFETENSORS_METADATA "\":{");
		for (size_t i = 0; i < writer->n_metadata; i++) {
			const struct pair *pair = &writer->metadata[i];

			if (i > 0)
				buffer_char(out, ',');
			buffer_json_string(out, pair->key, strlen(pair->key));
			buffer_char(out, ':');
			buffer_json_string(out, pair->value, strlen(pair->value));
		}
		buffer_text(out, writer->n_names > 0 ? "}," : "}");
	}
	buffer_append(out, writer->tensors.bytes, writer->tensors.n);
	buffer_char(out, '}');
	while (!buffer_failed(out) && (LENGTH_BYTES + out->n) % writer->alignment != 0)
		buffer_char(out, ' ');
	if (buffer_failed(&writer->tensors))
		out->failed = true;
}

/* Puts bytes where the file goes. */
static enum t2l_status
put(struct safetensors_writer *writer, const void *bytes, size_t n, struct t2l_error *err)
{
	if (writer->file != NULL) {
		if (atomic_file_write(writer->file, bytes, n) == -1)
			return t2l_fail_errno(err, "cannot write '%s'", writer->path);
		return T2L_OK;
	}
	buffer_append(&writer->memory, bytes, n);
	if (buffer_failed(&writer->memory))
		return t2l_fail(err, T2L_ENOMEM, "%s: out of memory", writer->path);
	return T2L_OK;
}

static enum t2l_status
put_header(struct safetensors_writer *writer, struct t2l_error *err)
{
	struct buffer header = { 0 };
	uint8_t length[LENGTH_BYTES];
	enum t2l_status status;

	build_header(writer, &header);
	for (int i = 0; i < LENGTH_BYTES; i++)
		length[i] = (uint8_t)((uint64_t)header.n >> 8 * i);
	if (buffer_failed(&header))
		status = t2l_fail(err, T2L_ENOMEM, "%s: out of memory", writer->path);
	else if (header.n > SAFETENSORS_MAX_HEADER)
		status = t2l_fail(err, T2L_EINVAL, "%s: its header would exceed %d bytes",
		    writer->path, SAFETENSORS_MAX_HEADER);
	else
		status = put(writer, length, sizeof length, err);
	if (status == T2L_OK)
		status = put(writer, header.bytes, header.n, err);
	buffer_free(&header);
	return status;
}

/* What the declarations did wrong, if anything. */
static enum t2l_status
check_declarations(struct safetensors_writer *writer, struct t2l_error *err)
{
	if (writer->begun)
		return t2l_fail(err, T2L_EINVAL, "%s: begun twice", writer->path);
	if (writer->n_names > 1)
		qsort(writer->names, writer->n_names, sizeof *writer->names, by_name);
	for (size_t i = 1; i < writer->n_names; i++)
		if (by_name(&writer->names[i - 1], &writer->names[i]) == 0)
			fault(writer, T2L_EINVAL, writer->names[i], "declared twice");
	if (writer->fault.status != T2L_OK)
		return t2l_fail(
		    err, writer->fault.status, "%s: %s", writer->path, writer->fault.message);
	return T2L_OK;
}

/* Checks, opens PATH (NULL: memory) and writes the header. */
static enum t2l_status
begin(struct safetensors_writer *writer, const char *path, struct t2l_error *err)
{
	enum t2l_status status;

	if (writer->path == NULL)
		writer->path = strdup(path != NULL ? path : "(memory)");
	if (writer->path == NULL)
		return t2l_fail(err, T2L_ENOMEM, "out of memory");
	status = check_declarations(writer, err);
	if (status != T2L_OK)
		return status;
	if (path != NULL) {
		writer->file = atomic_file_open(path);
		if (writer->file == NULL)
			return t2l_fail_errno(err, "cannot write '%s'", path);
	}
	writer->begun = true;
	return put_header(writer, err);
}

enum t2l_status
safetensors_writer_begin(struct safetensors_writer *writer, const char *path, struct t2l_error *err)
{
	return begin(writer, path, err);
}

enum t2l_status
safetensors_writer_begin_memory(struct safetensors_writer *writer, struct t2l_error *err)
{
	return begin(writer, NULL, err);
}

enum t2l_status
safetensors_writer_bytes(
    struct safetensors_writer *writer, const void *bytes, size_t n, struct t2l_error *err)
{
	if (!writer->begun || writer->finished || n > writer->n_data - writer->n_written)
		return t2l_fail(err, T2L_EINVAL, "%s: more bytes written than were declared",
		    writer->path != NULL ? writer->path : "safetensors");
	writer->n_written += n;
	return put(writer, bytes, n, err);
}

enum t2l_status
safetensors_writer_floats(struct safetensors_writer *writer, const float *values, int64_t n,
    enum dtype dtype, struct t2l_error *err)
{
	enum { CHUNK = 4096 };
	enum t2l_status status = T2L_OK;
	uint8_t chunk[CHUNK * sizeof(float)];

	if (dtype == DTYPE_F32) /* they are what the file holds */
		return safetensors_writer_bytes(writer, values, (size_t)n * sizeof *values, err);
	for (int64_t i = 0; i < n && status == T2L_OK; i += CHUNK) {
		int64_t part = n - i < CHUNK ? n - i : CHUNK;

		if (!dtype_from_f32(dtype, values + i, chunk, part))
			return t2l_fail(err, T2L_EUNSUPPORTED, "%s: floats cannot be written as %s",
			    writer->path != NULL ? writer->path : "safetensors", dtype_name(dtype));
		status = safetensors_writer_bytes(writer, chunk, dtype_row_bytes(dtype, part), err);
	}
	return status;
}

enum t2l_status
safetensors_writer_finish(struct safetensors_writer *writer, struct t2l_error *err)
{
	struct atomic_file *file = writer->file;

	if (!writer->begun || writer->finished || writer->n_written != writer->n_data)
		return t2l_fail(err, T2L_EINVAL, "%s: %llu bytes of %llu written",
		    writer->path != NULL ? writer->path : "safetensors",
		    (unsigned long long)writer->n_written, (unsigned long long)writer->n_data);
	writer->finished = true;
	writer->file = NULL;
	if (file != NULL && atomic_file_commit(file) == -1)
		return t2l_fail_errno(err, "cannot write '%s'", writer->path);
	return T2L_OK;
}

const void *
safetensors_writer_memory(const struct safetensors_writer *writer, size_t *n_out)
{
	*n_out = writer->memory.n;
	return writer->memory.bytes;
}

/* ---- a whole file at once ---- */

static enum t2l_status
save(struct safetensors_writer *writer, const char *path, const struct tensor *tensors, size_t n,
    struct t2l_error *err)
{
	enum t2l_status status = safetensors_writer_begin(writer, path, err);

	for (size_t i = 0; i < n && status == T2L_OK; i++) {
		size_t row_bytes = dtype_row_bytes(tensors[i].dtype, tensor_cols(&tensors[i]));

		status = safetensors_writer_bytes(
		    writer, tensors[i].data, row_bytes * (size_t)tensor_rows(&tensors[i]), err);
	}
	if (status == T2L_OK)
		status = safetensors_writer_finish(writer, err);
	return status;
}

enum t2l_status
safetensors_save(const char *path, const char *const *metadata, const char *const *names,
    const struct tensor *tensors, size_t n, struct t2l_error *err)
{
	struct safetensors_writer *writer = safetensors_writer_new(8);
	enum t2l_status status;

	if (writer == NULL)
		return t2l_fail(err, T2L_ENOMEM, "%s: out of memory", path);
	for (; metadata != NULL && metadata[0] != NULL; metadata += 2)
		safetensors_writer_metadata(writer, metadata[0], metadata[1]);
	for (size_t i = 0; i < n; i++)
		safetensors_writer_declare(
		    writer, names[i], tensors[i].dtype, tensors[i].n_dims, tensors[i].shape);
	status = save(writer, path, tensors, n, err);
	safetensors_writer_free(writer);
	return status;
}
