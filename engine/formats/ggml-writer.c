/* ggml-writer.c - writes t2l GGML v1. */

#include <stdlib.h>
#include <string.h>

#include "base/atomic-file.h"
#include "engine/formats/ggml.h"
#include "engine/formats/gguf-format.h"

struct ggml_writer {
	struct atomic_file *file;
	char *path;	 /* for messages */
	size_t n_left;	 /* tensors that are still to come */
	size_t expected; /* bytes of the present tensor that are still to come */
};

/* Errors of the file are sticky, so that one look at the end is enough; numbers are written as the
 * processor has them, little-endian like everything that is mapped. */
static void
put_u32(struct ggml_writer *writer, uint32_t value)
{
	uint8_t bytes[4];

	for (int i = 0; i < 4; i++)
		bytes[i] = (uint8_t)(value >> 8 * i);
	atomic_file_write(writer->file, bytes, sizeof bytes);
}

static void
put_string(struct ggml_writer *writer, const char *text)
{
	put_u32(writer, (uint32_t)strlen(text));
	atomic_file_write(writer->file, text, strlen(text));
}

static void
put_header(struct ggml_writer *writer, const char *architecture, size_t n_tensors,
    const char *const (*metadata)[2], size_t n_metadata)
{
	uint32_t n = 0;

	put_u32(writer, GGML_MAGIC);
	put_u32(writer, 1);
	put_u32(writer, (uint32_t)n_tensors);
	put_string(writer, architecture);
	for (size_t i = 0; i < n_metadata; i++)
		n += metadata[i][1][0] != '\0';
	put_u32(writer, n);
	for (size_t i = 0; i < n_metadata; i++) {
		if (metadata[i][1][0] == '\0')
			continue;
		put_string(writer, metadata[i][0]);
		put_string(writer, metadata[i][1]);
	}
}

enum t2l_status
ggml_writer_open(const char *path, const char *architecture, size_t n_tensors,
    const char *const (*metadata)[2], size_t n_metadata, struct ggml_writer **out,
    struct t2l_error *err)
{
	struct ggml_writer *writer = calloc(1, sizeof *writer);

	if (writer == NULL || (writer->path = strdup(path)) == NULL) {
		free(writer);
		return t2l_fail(err, T2L_ENOMEM, "out of memory");
	}
	writer->file = atomic_file_open(path);
	if (writer->file == NULL) {
		enum t2l_status status = t2l_fail_errno(err, "cannot write '%s'", path);

		ggml_writer_free(writer);
		return status;
	}
	writer->n_left = n_tensors;
	put_header(writer, architecture, n_tensors, metadata, n_metadata);
	*out = writer;
	return T2L_OK;
}

enum t2l_status
ggml_writer_tensor(struct ggml_writer *writer, const char *name, enum dtype dtype, int n_dims,
    const int64_t *shape, struct t2l_error *err)
{
	const struct ggml_type *type = ggml_type_of(dtype);
	size_t n = type != NULL ? dtype_row_bytes(dtype, shape[n_dims - 1]) : 0;

	for (int i = 0; i < n_dims; i++) {
		if (shape[i] < 1 || shape[i] > INT32_MAX)
			n = 0;
		else if (i < n_dims - 1 && __builtin_mul_overflow(n, (size_t)shape[i], &n))
			n = 0;
	}
	if (n == 0 || writer->n_left == 0)
		return t2l_fail(err, T2L_EINVAL, "%s: tensor '%.100s' has no place in a GGML file",
		    writer->path, name);
	writer->n_left--;
	writer->expected = n;
	put_u32(writer, (uint32_t)n_dims);
	put_string(writer, name);
	put_u32(writer, type->id);
	for (int i = 0; i < n_dims; i++)
		put_u32(writer, (uint32_t)shape[i]);
	return T2L_OK;
}

enum t2l_status
ggml_writer_bytes(struct ggml_writer *writer, const void *bytes, size_t n, struct t2l_error *err)
{
	if (n > writer->expected)
		return t2l_fail(
		    err, T2L_EINVAL, "%s: more numbers than the tensor's shape", writer->path);
	writer->expected -= n;
	if (atomic_file_write(writer->file, bytes, n) != 0)
		return t2l_fail_errno(err, "cannot write '%s'", writer->path);
	return T2L_OK;
}

enum t2l_status
ggml_writer_alpha(struct ggml_writer *writer, float alpha, struct t2l_error *err)
{
	uint32_t bits;

	if (writer->expected != 0)
		return t2l_fail(
		    err, T2L_EINVAL, "%s: fewer numbers than the tensor's shape", writer->path);
	memcpy(&bits, &alpha, sizeof bits);
	put_u32(writer, bits);
	return T2L_OK;
}

enum t2l_status
ggml_writer_finish(struct ggml_writer *writer, struct t2l_error *err)
{
	struct atomic_file *file = writer->file;

	if (writer->n_left != 0)
		return t2l_fail(
		    err, T2L_EINVAL, "%s: %zu tensors are missing", writer->path, writer->n_left);
	put_u32(writer, 0xffffffffu);
	writer->file = NULL;
	if (atomic_file_commit(file) != 0)
		return t2l_fail_errno(err, "cannot write '%s'", writer->path);
	return T2L_OK;
}

void
ggml_writer_free(struct ggml_writer *writer)
{
	if (writer == NULL)
		return;
	atomic_file_abort(writer->file);
	free(writer->path);
	free(writer);
}
