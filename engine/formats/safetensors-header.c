/* safetensors-header.c - checks everything a safetensors file claims about itself. */

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/visible.h"
#include "engine/formats/safetensors-header.h"

#define LENGTH_BYTES 8
#define SHOWN 200 /* of a name in a message */

/* clang-format off */
static const struct safetensors_dtype dtypes[] = {
	{ "F32", 32, true, DTYPE_F32 },
	{ "F16", 16, true, DTYPE_F16 },
	{ "BF16", 16, true, DTYPE_BF16 },
	{ "I32", 32, true, DTYPE_I32 },
	{ "I64", 64, true, DTYPE_I64 },
	{ "F64", 64, false, 0 },
	{ "BOOL", 8, false, 0 },
	{ "U8", 8, false, 0 },
	{ "I8", 8, false, 0 },
	{ "U16", 16, false, 0 },
	{ "I16", 16, false, 0 },
	{ "U32", 32, false, 0 },
	{ "U64", 64, false, 0 },
	{ "C64", 64, false, 0 },
	{ "F8_E4M3", 8, false, 0 },
	{ "F8_E5M2", 8, false, 0 },
	{ "F8_E8M0", 8, false, 0 },
	{ "F6_E2M3", 6, false, 0 },
	{ "F6_E3M2", 6, false, 0 },
	{ "F4", 4, false, 0 },
};
/* clang-format on */

#define N_SAFETENSORS_DTYPES (sizeof dtypes / sizeof dtypes[0])

const struct safetensors_dtype *
safetensors_dtype_by_text(const char *text)
{
	for (size_t i = 0; i < N_SAFETENSORS_DTYPES; i++)
		if (strcmp(dtypes[i].text, text) == 0)
			return &dtypes[i];
	return NULL;
}

const struct safetensors_dtype *
safetensors_dtype_of(enum dtype dtype)
{
	for (size_t i = 0; i < N_SAFETENSORS_DTYPES; i++)
		if (dtypes[i].ours && dtypes[i].dtype == dtype)
			return &dtypes[i];
	return NULL;
}

/* Where a file is being read: for messages and bounds. */
struct reading {
	const char *path;
	const uint8_t *start; /* of the data */
	size_t n;	      /* bytes of data */
	struct t2l_error *err;
};

static enum t2l_status
wrong(const struct reading *r, const char *tensor, const char *what)
{
	char shown[SHOWN];

	visible_copy(shown, sizeof shown, tensor, strlen(tensor), 0);
	return t2l_fail(r->err, T2L_EFORMAT, "%s: tensor '%s': %s", r->path, shown, what);
}

/* The keys of a tensor's description; each must be there once. */
struct description {
	const cJSON *dtype, *shape, *offsets;
};

static enum t2l_status
description_of(const struct reading *r, const cJSON *item, struct description *out)
{
	*out = (struct description){ 0 };
	if (!cJSON_IsObject(item))
		return wrong(r, item->string, "its description is not an object");
	for (const cJSON *child = item->child; child != NULL; child = child->next) {
		const cJSON **slot = strcmp(child->string, "dtype") == 0	  ? &out->dtype
				     : strcmp(child->string, "shape") == 0	  ? &out->shape
				     : strcmp(child->string, "data_offsets") == 0 ? &out->offsets
										  : NULL;
		if (slot == NULL)
			continue; /* the reference ignores keys it does not know */
		if (*slot != NULL)
			return wrong(r, item->string, "its description has a key twice");
		*slot = child;
	}
	if (!cJSON_IsString(out->dtype))
		return wrong(r, item->string, "it has no dtype");
	if (!cJSON_IsArray(out->shape))
		return wrong(r, item->string, "it has no shape");
	if (!cJSON_IsArray(out->offsets))
		return wrong(r, item->string, "it has no data_offsets");
	return T2L_OK;
}

/* Reads the shape and returns the bytes it needs in *N_BYTES. */
static enum t2l_status
shape_of(const struct reading *r, const cJSON *shape, const struct safetensors_dtype *dtype,
    struct safetensors_entry *entry, size_t *n_bytes)
{
	size_t bits = dtype->bits;

	for (const cJSON *dim = shape->child; dim != NULL; dim = dim->next) {
		int64_t n;

		if (entry->n_dims == SAFETENSORS_MAX_DIMS)
			return wrong(r, entry->name, "it has more than 8 dimensions");
		if (!json_whole(dim, &n) || n < 0)
			return wrong(r, entry->name, "a dimension is not a whole number");
		if (__builtin_mul_overflow(bits, (size_t)n, &bits))
			return wrong(r, entry->name, "its shape overflows");
		entry->shape[entry->n_dims++] = n;
	}
	if (bits % 8 != 0)
		return wrong(r, entry->name, "its shape does not fill whole bytes");
	*n_bytes = bits / 8;
	return T2L_OK;
}

static enum t2l_status
place_of(
    const struct reading *r, const cJSON *offsets, size_t n_bytes, struct safetensors_entry *entry)
{
	const cJSON *first = offsets->child, *second = first != NULL ? first->next : NULL;
	int64_t begin, end;

	if (second == NULL || second->next != NULL || !json_whole(first, &begin) ||
	    !json_whole(second, &end) || begin < 0 || begin > end)
		return wrong(r, entry->name, "its data_offsets are not [begin, end]");
	if ((uint64_t)end > r->n)
		return wrong(
		    r, entry->name, "its bytes lie beyond the end of the file; is it cut short?");
	if ((uint64_t)(end - begin) != n_bytes)
		return wrong(r, entry->name, "its shape and dtype do not fit its data_offsets");
	entry->bytes = r->start + begin;
	entry->n_bytes = n_bytes;
	return T2L_OK;
}

static enum t2l_status
entry_of(const struct reading *r, const cJSON *item, struct safetensors_entry *entry)
{
	const struct safetensors_dtype *dtype;
	struct description description;
	enum t2l_status status = description_of(r, item, &description);
	size_t n_bytes = 0;

	if (status != T2L_OK)
		return status;
	dtype = safetensors_dtype_by_text(description.dtype->valuestring);
	if (dtype == NULL)
		return wrong(r, item->string, "its dtype is not one of the format's");
	*entry = (struct safetensors_entry){
		.name = item->string, .dtype_text = dtype->text, .dtype = dtype->dtype
	};
	status = shape_of(r, description.shape, dtype, entry, &n_bytes);
	if (status == T2L_OK)
		status = place_of(r, description.offsets, n_bytes, entry);
	entry->convertible = dtype->ours && entry->n_dims <= TENSOR_MAX_DIMS;
	return status;
}

static int
by_place(const void *left, const void *right)
{
	const struct safetensors_entry *a = *(const struct safetensors_entry *const *)left;
	const struct safetensors_entry *b = *(const struct safetensors_entry *const *)right;

	if (a->bytes != b->bytes)
		return (const uint8_t *)a->bytes < (const uint8_t *)b->bytes ? -1 : 1;
	return a->n_bytes < b->n_bytes ? -1 : a->n_bytes > b->n_bytes;
}

/* Every byte of data belongs to exactly one tensor, as the reference demands: a gap could hide
 * something, an overlap is a lie. */
static enum t2l_status
check_places(const struct reading *r, const struct safetensors_entry *entries, size_t n)
{
	const struct safetensors_entry **order = calloc(n + 1, sizeof *order);
	const uint8_t *end = r->start;
	enum t2l_status status = T2L_OK;

	if (order == NULL)
		return t2l_fail(r->err, T2L_ENOMEM, "%s: out of memory", r->path);
	for (size_t i = 0; i < n; i++)
		order[i] = &entries[i];
	qsort(order, n, sizeof *order, by_place);
	for (size_t i = 0; i < n && status == T2L_OK; i++) {
		if ((const uint8_t *)order[i]->bytes < end)
			status = wrong(r, order[i]->name, "its bytes overlap another tensor's");
		else if ((const uint8_t *)order[i]->bytes > end)
			status = wrong(r, order[i]->name, "bytes before it belong to no tensor");
		end = (const uint8_t *)order[i]->bytes + order[i]->n_bytes;
	}
	free(order);
	if (status == T2L_OK && end != r->start + r->n)
		status =
		    t2l_fail(r->err, T2L_EFORMAT, "%s: %zu bytes at its end belong to no tensor",
			r->path, (size_t)(r->start + r->n - end));
	return status;
}

/* MLX writes null where it has none. */
static enum t2l_status
check_metadata(const char *path, const cJSON *metadata, struct t2l_error *err)
{
	if (!cJSON_IsObject(metadata) && !cJSON_IsNull(metadata))
		return t2l_fail(err, T2L_EFORMAT, "%s: its metadata is not a map", path);
	for (const cJSON *item = metadata->child; item != NULL; item = item->next)
		if (!cJSON_IsString(item)) {
			char shown[SHOWN];

			visible_copy(shown, sizeof shown, item->string, strlen(item->string), 0);
			return t2l_fail(
			    err, T2L_EFORMAT, "%s: metadata '%s' is not a string", path, shown);
		}
	return T2L_OK;
}

/* Finds the header's JSON in BYTES[N] and parses it. */
static enum t2l_status
parse_header(const uint8_t *bytes, size_t n, const char *path, cJSON **header, size_t *n_header,
    struct t2l_error *err)
{
	enum t2l_status status;
	uint64_t length = 0;

	if (n < LENGTH_BYTES)
		return t2l_fail(
		    err, T2L_EFORMAT, "%s: %zu bytes are too few for a file of tensors", path, n);
	if (is_lfs_pointer(bytes, n))
		return t2l_fail(err, T2L_EFORMAT,
		    "%s: only Git LFS's pointer to the file; 'git lfs pull' fetches the file "
		    "itself",
		    path);
	for (int i = LENGTH_BYTES - 1; i >= 0; i--)
		length = length << 8 | bytes[i];
	if (length > SAFETENSORS_MAX_HEADER)
		return t2l_fail(err, T2L_EFORMAT,
		    "%s: its header would have %llu bytes; this is no safetensors file", path,
		    (unsigned long long)length);
	if (length > n - LENGTH_BYTES)
		return t2l_fail(
		    err, T2L_EFORMAT, "%s: it ends within its header; is it cut short?", path);
	if (length == 0 || bytes[LENGTH_BYTES] != '{')
		return t2l_fail(err, T2L_EFORMAT, "%s: its header does not begin with '{'", path);
	*n_header = (size_t)length;
	status = json_parse((const char *)bytes + LENGTH_BYTES, *n_header, path, header, err);
	return status;
}

/* Walks the header: every item but the metadata is a tensor. */
static enum t2l_status
read_entries(const struct reading *r, const cJSON *header, struct safetensors_entry *entries,
    size_t *n_entries)
{
	bool has_metadata = false;
	enum t2l_status status = T2L_OK;

	*n_entries = 0;
	for (const cJSON *item = header->child; item != NULL && status == T2L_OK;
	     item = item->next) {
		if (strcmp(item->string, SAFETENSORS_METADATA) != 0) {
			status = entry_of(r, item, &entries[*n_entries]);
			*n_entries += 1;
		} else if (has_metadata)
			status =
			    t2l_fail(r->err, T2L_EFORMAT, "%s: it has metadata twice", r->path);
		else {
			has_metadata = true;
			status = check_metadata(r->path, item, r->err);
		}
	}
	if (status == T2L_OK)
		status = check_places(r, entries, *n_entries);
	return status;
}

enum t2l_status
safetensors_header(const void *bytes, size_t n, const char *path, cJSON **header,
    struct safetensors_entry **entries, size_t *n_entries, struct t2l_error *err)
{
	struct reading r = { .path = path, .err = err };
	size_t n_header = 0;
	cJSON *root;
	enum t2l_status status = parse_header(bytes, n, path, &root, &n_header, err);

	if (status != T2L_OK)
		return status;
	r.start = (const uint8_t *)bytes + LENGTH_BYTES + n_header;
	r.n = n - LENGTH_BYTES - n_header;
	*entries = calloc((size_t)cJSON_GetArraySize(root) + 1, sizeof **entries);
	if (*entries == NULL)
		status = t2l_fail(err, T2L_ENOMEM, "%s: out of memory", path);
	else
		status = read_entries(&r, root, *entries, n_entries);
	for (size_t i = 0; status == T2L_OK && i < *n_entries; i++)
		(*entries)[i].place = i;
	if (status != T2L_OK) {
		free(*entries);
		cJSON_Delete(root);
		return status;
	}
	*header = root;
	return T2L_OK;
}
