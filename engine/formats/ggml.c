/* ggml.c - reads t2l GGML v1; every fault is told with its offset. */

#include "engine/formats/ggml.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/utf8.h"
#include "engine/formats/gguf-format.h"

#define VERSION 1
#define END_MARKER 0xffffffffu
#define MAX_TENSORS (1u << 20)
#define MAX_METADATA (1u << 16)
#define MAX_STRING (1u << 20)
/* dimensions, name of one byte, type, one dimension, alpha: less than any tensor takes */
#define MIN_TENSOR_BYTES 21

struct ggml {
	struct mapped_file file; /* empty when parsed from memory */
	char *architecture;
	char *(*metadata)[2];
	size_t n_metadata;
	struct ggml_tensor *tensors;
	size_t n_tensors;
};

struct reader {
	const uint8_t *bytes;
	size_t at, n;
	const char *path;
	struct t2l_error *err;
};

/* The types that the specification lets a tensor have, by ggml's numbers. */
static const uint32_t allowed_types[] = { 0, 1, 2, 8, 12 };

/* ---- bytes ---- */

static enum t2l_status
take(struct reader *r, size_t n, const char *what, const uint8_t **bytes)
{
	if (n > r->n - r->at)
		return t2l_fail(r->err, T2L_EFORMAT,
		    "%s: offset %zu: %s: %zu bytes wanted, %zu left", r->path, r->at, what, n,
		    r->n - r->at);
	*bytes = r->bytes + r->at;
	r->at += n;
	return T2L_OK;
}

static enum t2l_status
take_u32(struct reader *r, const char *what, uint32_t *out)
{
	const uint8_t *bytes = NULL;
	enum t2l_status status = take(r, sizeof *out, what, &bytes);

	if (status == T2L_OK)
		*out = (uint32_t)gguf_read(bytes, sizeof *out);
	return status;
}

/* *OUT is fresh memory. */
static enum t2l_status
take_string(struct reader *r, const char *what, char **out)
{
	const size_t start = r->at;
	const uint8_t *bytes = NULL;
	uint32_t n = 0;
	enum t2l_status status = take_u32(r, what, &n);

	if (status == T2L_OK && n > MAX_STRING)
		return t2l_fail(r->err, T2L_EFORMAT,
		    "%s: offset %zu: %s: length %u is over the limit of %u", r->path, start, what,
		    n, MAX_STRING);
	if (status == T2L_OK)
		status = take(r, n, what, &bytes);
	if (status != T2L_OK)
		return status;
	if (memchr(bytes, '\0', n) != NULL || !utf8_valid((const char *)bytes, n))
		return t2l_fail(r->err, T2L_EFORMAT,
		    "%s: offset %zu: %s is no UTF-8 text without NUL", r->path, start, what);
	*out = strndup((const char *)bytes, n);
	return *out != NULL ? T2L_OK : t2l_fail(r->err, T2L_ENOMEM, "%s: out of memory", r->path);
}

/* ---- names are there once ---- */

static int
compare_strings(const void *left, const void *right)
{
	return strcmp(*(const char *const *)left, *(const char *const *)right);
}

/* NAMES is sorted. */
static enum t2l_status
check_new(const struct reader *r, const char **names, size_t n, const char *what)
{
	qsort(names, n, sizeof *names, compare_strings);
	for (size_t i = 0; i < n; i++) {
		if (names[i][0] == '\0')
			return t2l_fail(r->err, T2L_EFORMAT, "%s: an empty %s", r->path, what);
		if (i > 0 && strcmp(names[i - 1], names[i]) == 0)
			return t2l_fail(r->err, T2L_EFORMAT, "%s: %s '%.100s' is there twice",
			    r->path, what, names[i]);
	}
	return T2L_OK;
}

static enum t2l_status
check_names(const struct reader *r, const struct ggml *ggml)
{
	const size_t n = ggml->n_metadata > ggml->n_tensors ? ggml->n_metadata : ggml->n_tensors;
	const char **names = calloc(n + 1, sizeof *names);
	enum t2l_status status;

	if (names == NULL)
		return t2l_fail(r->err, T2L_ENOMEM, "%s: out of memory", r->path);
	for (size_t i = 0; i < ggml->n_metadata; i++)
		names[i] = ggml->metadata[i][0];
	status = check_new(r, names, ggml->n_metadata, "key of the metadata");
	for (size_t i = 0; i < ggml->n_tensors; i++)
		names[i] = ggml->tensors[i].name;
	if (status == T2L_OK)
		status = check_new(r, names, ggml->n_tensors, "tensor");
	free(names);
	return status;
}

/* ---- the file's parts ---- */

static enum t2l_status
read_header(struct reader *r, struct ggml *ggml, uint32_t *n_tensors)
{
	uint32_t magic = 0, version = 0;
	enum t2l_status status = take_u32(r, "magic", &magic);

	if (status == T2L_OK && magic != GGML_MAGIC)
		return t2l_fail(r->err, T2L_EFORMAT,
		    "%s: magic %08x instead of %08x; this is no GGML adapter", r->path, magic,
		    GGML_MAGIC);
	if (status == T2L_OK)
		status = take_u32(r, "version", &version);
	if (status == T2L_OK && version != VERSION)
		return t2l_fail(r->err, T2L_EUNSUPPORTED,
		    "%s: version %u of the GGML adapter format; this program reads version %d",
		    r->path, version, VERSION);
	if (status == T2L_OK)
		status = take_u32(r, "number of tensors", n_tensors);
	if (status == T2L_OK && *n_tensors > MAX_TENSORS)
		return t2l_fail(r->err, T2L_EFORMAT, "%s: %u tensors are over the limit of %u",
		    r->path, *n_tensors, MAX_TENSORS);
	if (status == T2L_OK)
		status = take_string(r, "architecture", &ggml->architecture);
	return status;
}

static enum t2l_status
read_metadata(struct reader *r, struct ggml *ggml)
{
	uint32_t n = 0;
	enum t2l_status status = take_u32(r, "number of metadata", &n);

	/* Each entry takes the bytes of two lengths at least. */
	if (status == T2L_OK && (n > MAX_METADATA || n > (r->n - r->at) / 8))
		return t2l_fail(r->err, T2L_EFORMAT,
		    "%s: %u entries of metadata in %zu bytes (at most %u are read)", r->path, n,
		    r->n - r->at, MAX_METADATA);
	if (status != T2L_OK)
		return status;
	ggml->metadata = calloc((size_t)n + 1, sizeof *ggml->metadata);
	if (ggml->metadata == NULL)
		return t2l_fail(r->err, T2L_ENOMEM, "%s: out of memory", r->path);
	for (uint32_t i = 0; i < n && status == T2L_OK; i++) {
		char **entry = ggml->metadata[ggml->n_metadata++];

		status = take_string(r, "key of the metadata", &entry[0]);
		if (status == T2L_OK)
			status = take_string(r, "value of the metadata", &entry[1]);
	}
	return status;
}

static const struct ggml_type *
type_of(uint32_t id)
{
	for (size_t i = 0; i < sizeof allowed_types / sizeof allowed_types[0]; i++)
		if (allowed_types[i] == id)
			return ggml_type_by_id(id);
	return NULL;
}

static enum t2l_status
read_shape(struct reader *r, struct ggml_tensor *tensor)
{
	for (int i = 0; i < tensor->n_dims; i++) {
		uint32_t size = 0;
		enum t2l_status status = take_u32(r, "shape", &size);

		if (status != T2L_OK)
			return status;
		if (size < 1 || size > INT32_MAX)
			return t2l_fail(r->err, T2L_EFORMAT,
			    "%s: tensor '%.100s': dimension %d is %d", r->path, tensor->name, i,
			    (int)size);
		tensor->shape[i] = size;
	}
	return T2L_OK;
}

static enum t2l_status
count_bytes(const struct reader *r, const struct ggml_type *type, struct ggml_tensor *tensor)
{
	int64_t cols = tensor->shape[tensor->n_dims - 1];
	size_t n;

	if (cols % type->block != 0)
		return t2l_fail(r->err, T2L_EFORMAT,
		    "%s: tensor '%.100s': rows of %d numbers are no whole blocks of %s (%u)",
		    r->path, tensor->name, (int)cols, type->name, type->block);
	n = (size_t)cols / type->block * type->block_bytes;
	for (int i = 0; i < tensor->n_dims - 1; i++) {
		if (__builtin_mul_overflow(n, (size_t)tensor->shape[i], &n))
			return t2l_fail(r->err, T2L_EFORMAT,
			    "%s: tensor '%.100s' is larger than memory can be", r->path,
			    tensor->name);
	}
	tensor->n_bytes = n;
	return T2L_OK;
}

static enum t2l_status
read_tensor(struct reader *r, struct ggml_tensor *tensor)
{
	const struct ggml_type *type;
	uint32_t n_dims = 0, type_id = 0, alpha = 0;
	const uint8_t *bytes = NULL;
	enum t2l_status status = take_u32(r, "number of dimensions", &n_dims);

	if (status == T2L_OK && (n_dims < 1 || n_dims > TENSOR_MAX_DIMS))
		return t2l_fail(r->err, T2L_EFORMAT,
		    "%s: offset %zu: a tensor of %d dimensions; expected 1 to %d", r->path,
		    r->at - sizeof n_dims, (int)n_dims, TENSOR_MAX_DIMS);
	tensor->n_dims = (int)n_dims;
	if (status == T2L_OK)
		status = take_string(r, "name of a tensor", (char **)&tensor->name);
	if (status == T2L_OK)
		status = take_u32(r, "type of a tensor", &type_id);
	if (status != T2L_OK)
		return status;
	type = type_of(type_id);
	if (type == NULL)
		return t2l_fail(r->err, T2L_EFORMAT, "%s: tensor '%.100s': type %u is not known",
		    r->path, tensor->name, type_id);
	tensor->type_name = type->name;
	tensor->convertible = type->ours;
	tensor->dtype = type->dtype;
	if ((status = read_shape(r, tensor)) != T2L_OK ||
	    (status = count_bytes(r, type, tensor)) != T2L_OK ||
	    (status = take(r, tensor->n_bytes, tensor->name, &bytes)) != T2L_OK ||
	    (status = take_u32(r, "alpha", &alpha)) != T2L_OK)
		return status;
	tensor->bytes = bytes;
	memcpy(&tensor->alpha, &alpha, sizeof alpha);
	if (!isfinite(tensor->alpha))
		return t2l_fail(r->err, T2L_EFORMAT, "%s: tensor '%.100s': alpha is not finite",
		    r->path, tensor->name);
	return T2L_OK;
}

static enum t2l_status
read_tensors(struct reader *r, struct ggml *ggml, uint32_t n)
{
	enum t2l_status status = T2L_OK;

	if (n > (r->n - r->at) / MIN_TENSOR_BYTES)
		return t2l_fail(
		    r->err, T2L_EFORMAT, "%s: %u tensors in %zu bytes", r->path, n, r->n - r->at);
	ggml->tensors = calloc((size_t)n + 1, sizeof *ggml->tensors);
	if (ggml->tensors == NULL)
		return t2l_fail(r->err, T2L_ENOMEM, "%s: out of memory", r->path);
	for (uint32_t i = 0; i < n && status == T2L_OK; i++)
		status = read_tensor(r, &ggml->tensors[ggml->n_tensors++]);
	return status;
}

static enum t2l_status
read_end(struct reader *r)
{
	uint32_t marker = 0;
	enum t2l_status status = take_u32(r, "end marker", &marker);

	if (status == T2L_OK && marker != END_MARKER)
		return t2l_fail(r->err, T2L_EFORMAT,
		    "%s: offset %zu: %08x where the end marker should be", r->path,
		    r->at - sizeof marker, marker);
	if (status == T2L_OK && r->at != r->n)
		return t2l_fail(r->err, T2L_EFORMAT, "%s: %zu bytes behind the end marker", r->path,
		    r->n - r->at);
	return status;
}

enum t2l_status
ggml_parse(const void *bytes, size_t n, const char *name, struct ggml **out, struct t2l_error *err)
{
	struct reader r = { .bytes = bytes, .n = n, .path = name, .err = err };
	struct ggml *ggml = calloc(1, sizeof *ggml);
	uint32_t n_tensors = 0;
	enum t2l_status status;

	if (ggml == NULL)
		return t2l_fail(err, T2L_ENOMEM, "%s: out of memory", name);
	if ((status = read_header(&r, ggml, &n_tensors)) != T2L_OK ||
	    (status = read_metadata(&r, ggml)) != T2L_OK ||
	    (status = read_tensors(&r, ggml, n_tensors)) != T2L_OK ||
	    (status = read_end(&r)) != T2L_OK || (status = check_names(&r, ggml)) != T2L_OK) {
		ggml_close(ggml);
		return status;
	}
	*out = ggml;
	return T2L_OK;
}

enum t2l_status
ggml_open(const char *path, struct ggml **out, struct t2l_error *err)
{
	struct mapped_file file;
	enum t2l_status status;

	if (mapped_file_open(path, &file) != 0)
		return t2l_fail_errno(err, "cannot open '%s'", path);
	status = ggml_parse(file.bytes, file.n, path, out, err);
	if (status != T2L_OK)
		mapped_file_close(&file);
	else
		(*out)->file = file;
	return status;
}

void
ggml_close(struct ggml *ggml)
{
	if (ggml == NULL)
		return;
	for (size_t i = 0; i < ggml->n_metadata; i++) {
		free(ggml->metadata[i][0]);
		free(ggml->metadata[i][1]);
	}
	for (size_t i = 0; i < ggml->n_tensors; i++)
		free((char *)ggml->tensors[i].name);
	free(ggml->metadata);
	free(ggml->tensors);
	free(ggml->architecture);
	mapped_file_close(&ggml->file);
	free(ggml);
}

/* ---- looking ---- */

const char *
ggml_architecture(const struct ggml *ggml)
{
	return ggml->architecture;
}

const char *
ggml_metadata(const struct ggml *ggml, const char *key)
{
	for (size_t i = 0; i < ggml->n_metadata; i++)
		if (strcmp(ggml->metadata[i][0], key) == 0)
			return ggml->metadata[i][1];
	return NULL;
}

size_t
ggml_count(const struct ggml *ggml)
{
	return ggml->n_tensors;
}

const struct ggml_tensor *
ggml_at(const struct ggml *ggml, size_t i)
{
	return i < ggml->n_tensors ? &ggml->tensors[i] : NULL;
}
