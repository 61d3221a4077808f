/* gguf.c - parses and checks a GGUF file, finds keys and tensors. */

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/utf8.h"
#include "base/visible.h"
#include "engine/formats/gguf-format.h"

#define SHOWN 200
#define MAX_NAME 65535 /* bytes of a key's name, as the format says; tensors' likewise */
#define MAX_ALIGNMENT (1 << 20)
#define MIN_KEY_BYTES 13    /* length of an empty name, type, one byte */
#define MIN_TENSOR_BYTES 32 /* length of an empty name, one dimension, type, offset */

struct gguf {
	char *path;
	struct mapped_file map; /* zeroed over borrowed memory */
	uint32_t version;
	size_t alignment;
	struct gguf_key *keys;
	size_t n_keys;
	const struct gguf_key **keys_by_name;
	struct gguf_entry *entries;
	size_t n_entries;
	const struct gguf_entry **entries_by_name;
	struct gguf **parts; /* whose tensors are among the entries */
	size_t n_parts;
};

/* ---- reading in order ---- */

struct cursor {
	const uint8_t *start, *at, *end;
	const char *path;
	const char *thing, *name; /* what is being read: "key", "tensor"; NAME NULL: none */
	struct t2l_error *err;
};

static enum t2l_status
no_memory(const struct cursor *c)
{
	return t2l_fail(c->err, T2L_ENOMEM, "%s: out of memory", c->path);
}

static size_t
left(const struct cursor *c)
{
	return (size_t)(c->end - c->at);
}

static enum t2l_status
wrong_as(const struct cursor *c, enum t2l_status status, const char *thing, const char *name,
    const char *what)
{
	char shown[SHOWN];

	visible_copy(shown, sizeof shown, name, strlen(name), 0);
	return t2l_fail(c->err, status, "%s: %s '%s': %s", c->path, thing, shown, what);
}

static enum t2l_status
wrong(const struct cursor *c, const char *thing, const char *name, const char *what)
{
	return wrong_as(c, T2L_EFORMAT, thing, name, what);
}

static enum t2l_status
cut_short(const struct cursor *c)
{
	static const char what[] = "it ends within its header; is it cut short?";

	if (c->name != NULL)
		return wrong(c, c->thing, c->name, what);
	return t2l_fail(c->err, T2L_EFORMAT, "%s: %s", c->path, what);
}

static enum t2l_status
take(struct cursor *c, size_t n_bytes, uint64_t *out)
{
	if (left(c) < n_bytes)
		return cut_short(c);
	*out = gguf_read(c->at, n_bytes);
	c->at += n_bytes;
	return T2L_OK;
}

/* A length and that many bytes. */
static enum t2l_status
take_string(struct cursor *c, const char **text, size_t *n)
{
	uint64_t length = 0;
	enum t2l_status status = take(c, 8, &length);

	if (status != T2L_OK)
		return status;
	if (length > left(c))
		return cut_short(c);
	*text = (const char *)c->at;
	*n = (size_t)length;
	c->at += length;
	return T2L_OK;
}

/* A terminated copy, or NULL when the text cannot be a C string or memory is out. */
static char *
text_copy(const char *text, size_t n)
{
	if (memchr(text, '\0', n) != NULL || !utf8_valid(text, n))
		return NULL;
	return strndup(text, n);
}

static enum t2l_status
take_name(struct cursor *c, const char *thing, const char **out)
{
	const char *text = NULL;
	size_t n = 0;
	enum t2l_status status;

	c->name = NULL;
	status = take_string(c, &text, &n);
	if (status != T2L_OK)
		return status;
	*out = n <= MAX_NAME ? text_copy(text, n) : NULL;
	if (*out == NULL)
		return t2l_fail(
		    c->err, T2L_EFORMAT, "%s: the name of a %s is damaged", c->path, thing);
	c->thing = thing;
	c->name = *out;
	return T2L_OK;
}

/* ---- metadata ---- */

static enum t2l_status
skip_items(struct cursor *c, const char *key, size_t item_bytes, uint64_t n, bool are_bools)
{
	if (n > left(c) / item_bytes)
		return cut_short(c);
	for (uint64_t i = 0; are_bools && i < n; i++)
		if (c->at[i] > 1)
			return wrong(c, "key", key, "a boolean is neither 0 nor 1");
	c->at += n * item_bytes;
	return T2L_OK;
}

/* Notes where each string of an array begins. */
static enum t2l_status
take_strings(struct cursor *c, struct gguf_key *key)
{
	const uint8_t *start = c->at;
	enum t2l_status status = T2L_OK;
	uint64_t *offsets;

	if (key->n > left(c) / 8)
		return cut_short(c);
	offsets = calloc((size_t)key->n + 1, sizeof *offsets);
	if (offsets == NULL)
		return no_memory(c);
	key->string_offsets = offsets;
	for (uint64_t i = 0; i < key->n && status == T2L_OK; i++) {
		const char *text = NULL;
		size_t n = 0;

		offsets[i] = (uint64_t)(c->at - start);
		status = take_string(c, &text, &n);
	}
	return status;
}

static enum t2l_status
take_type(struct cursor *c, const char *key, enum gguf_type *out)
{
	uint64_t type = 0;
	enum t2l_status status = take(c, 4, &type);

	if (status != T2L_OK)
		return status;
	if (type >= N_GGUF_TYPES)
		return wrong(c, "key", key, "its type is not one of the format's");
	*out = (enum gguf_type)type;
	return T2L_OK;
}

static enum t2l_status
take_array(struct cursor *c, struct gguf_key *key)
{
	enum t2l_status status = take_type(c, key->name, &key->item_type);

	if (status == T2L_OK)
		status = take(c, 8, &key->n);
	if (status != T2L_OK)
		return status;
	key->bytes = c->at;
	if (key->item_type == GGUF_STRING)
		return take_strings(c, key);
	if (key->item_type == GGUF_ARRAY)
		return wrong_as(
		    c, T2L_EUNSUPPORTED, "key", key->name, "arrays of arrays are not supported");
	return skip_items(
	    c, key->name, gguf_type_bytes(key->item_type), key->n, key->item_type == GGUF_BOOL);
}

static enum t2l_status
take_key(struct cursor *c, struct gguf_key *key)
{
	enum t2l_status status = take_name(c, "key", &key->name);
	const char *text = NULL;
	size_t n = 0;

	if (status == T2L_OK)
		status = take_type(c, key->name, &key->type);
	if (status != T2L_OK)
		return status;
	if (key->type == GGUF_ARRAY)
		return take_array(c, key);
	key->n = 1;
	key->bytes = c->at;
	if (key->type != GGUF_STRING)
		return skip_items(
		    c, key->name, gguf_type_bytes(key->type), 1, key->type == GGUF_BOOL);
	status = take_string(c, &text, &n);
	if (status == T2L_OK)
		key->text = text_copy(text, n);
	return status;
}

/* ---- tensors ---- */

/* Dimensions, innermost first in the file, and the bytes they need. */
static enum t2l_status
take_shape(struct cursor *c, struct gguf_entry *entry)
{
	uint64_t n_dims = 0, n = 0, product = 1;
	enum t2l_status status = take(c, 4, &n_dims);

	if (status != T2L_OK)
		return status;
	if (n_dims < 1 || n_dims > TENSOR_MAX_DIMS)
		return wrong(c, "tensor", entry->name, "it has not 1 to 4 dimensions");
	entry->n_dims = (int)n_dims;
	for (int i = entry->n_dims - 1; i >= 0; i--) {
		status = take(c, 8, &n);
		if (status != T2L_OK)
			return status;
		if (n == 0)
			return wrong(c, "tensor", entry->name, "a dimension is 0");
		if (__builtin_mul_overflow(product, n, &product) || product > INT64_MAX)
			return wrong(c, "tensor", entry->name, "its shape overflows");
		entry->shape[i] = (int64_t)n;
	}
	return T2L_OK;
}

static enum t2l_status
tensor_bytes(const struct cursor *c, const struct ggml_type *type, struct gguf_entry *entry)
{
	uint64_t cols = (uint64_t)entry->shape[entry->n_dims - 1], bytes;

	if (cols % type->block != 0)
		return wrong(
		    c, "tensor", entry->name, "its rows do not fill whole blocks of its type");
	bytes = cols / type->block;
	for (int i = 0; i < entry->n_dims - 1; i++)
		bytes *= (uint64_t)entry->shape[i]; /* at most the product checked above */
	if (__builtin_mul_overflow(bytes, type->block_bytes, &bytes) || bytes > SIZE_MAX / 2)
		return wrong(c, "tensor", entry->name, "its shape overflows");
	entry->n_bytes = (size_t)bytes;
	return T2L_OK;
}

/* A tensor's description; *OFFSET is from the start of the data, which is not known yet. */
static enum t2l_status
take_tensor(struct cursor *c, struct gguf_entry *entry, uint64_t *offset)
{
	const struct ggml_type *type;
	uint64_t id = 0;
	enum t2l_status status = take_name(c, "tensor", &entry->name);

	if (status == T2L_OK)
		status = take_shape(c, entry);
	if (status == T2L_OK)
		status = take(c, 4, &id);
	if (status == T2L_OK)
		status = take(c, 8, offset);
	if (status != T2L_OK)
		return status;
	type = ggml_type_by_id((uint32_t)id);
	if (type == NULL)
		return t2l_fail(c->err, T2L_EUNSUPPORTED,
		    "%s: it has tensors of type %u, which this version of the engine does not know",
		    c->path, (unsigned)id);
	entry->ggml_type = type->id;
	entry->type_name = type->name;
	entry->convertible = type->ours;
	entry->dtype = type->dtype;
	return tensor_bytes(c, type, entry);
}

/* Where the data starts: the next multiple of the alignment. (A file without tensors may end
 * without that padding.) */
static const uint8_t *
start_of_data(const struct cursor *c, size_t alignment)
{
	size_t used = (size_t)(c->at - c->start);
	size_t padding = (alignment - used % alignment) % alignment;

	return padding <= left(c) ? c->at + padding : c->end;
}

static enum t2l_status
place_tensor(const struct cursor *c, const uint8_t *start, size_t alignment, uint64_t offset,
    struct gguf_entry *entry)
{
	size_t n = (size_t)(c->end - start);

	if (offset % alignment != 0)
		return wrong(c, "tensor", entry->name, "its place is not aligned");
	if (offset > n || entry->n_bytes > n - offset)
		return wrong(c, "tensor", entry->name,
		    "its bytes lie beyond the end of the file; is it cut short?");
	entry->bytes = start + offset;
	return T2L_OK;
}

static int
by_place(const void *left_item, const void *right_item)
{
	const struct gguf_entry *a = *(const struct gguf_entry *const *)left_item;
	const struct gguf_entry *b = *(const struct gguf_entry *const *)right_item;

	if (a->bytes != b->bytes)
		return (const uint8_t *)a->bytes < (const uint8_t *)b->bytes ? -1 : 1;
	return a->n_bytes < b->n_bytes ? -1 : a->n_bytes > b->n_bytes;
}

/* Sorts the entries' list by place: no two may share bytes. */
static enum t2l_status
check_overlap(const struct cursor *c, const struct gguf_entry **list, size_t n)
{
	const uint8_t *end = NULL;

	if (n > 1)
		qsort(list, n, sizeof *list, by_place);
	for (size_t i = 0; i < n; i++) {
		if (end != NULL && (const uint8_t *)list[i]->bytes < end)
			return wrong(
			    c, "tensor", list[i]->name, "its bytes overlap another tensor's");
		end = (const uint8_t *)list[i]->bytes + list[i]->n_bytes;
	}
	return T2L_OK;
}

/* ---- names ---- */

static int
key_by_name(const void *left_item, const void *right_item)
{
	const struct gguf_key *a = *(const struct gguf_key *const *)left_item;
	const struct gguf_key *b = *(const struct gguf_key *const *)right_item;

	return strcmp(a->name, b->name);
}

static int
entry_by_name(const void *left_item, const void *right_item)
{
	const struct gguf_entry *a = *(const struct gguf_entry *const *)left_item;
	const struct gguf_entry *b = *(const struct gguf_entry *const *)right_item;

	return strcmp(a->name, b->name);
}

static enum t2l_status
sort_keys(struct gguf *gguf, const struct cursor *c)
{
	const struct gguf_key **list = calloc(gguf->n_keys + 1, sizeof *list);

	if (list == NULL)
		return no_memory(c);
	gguf->keys_by_name = list;
	for (size_t i = 0; i < gguf->n_keys; i++)
		list[i] = &gguf->keys[i];
	if (gguf->n_keys > 1)
		qsort(list, gguf->n_keys, sizeof *list, key_by_name);
	for (size_t i = 1; i < gguf->n_keys; i++)
		if (key_by_name(&list[i - 1], &list[i]) == 0)
			return wrong(c, "key", list[i]->name, "it is there twice");
	return T2L_OK;
}

static enum t2l_status
sort_entries(struct gguf *gguf, const struct cursor *c)
{
	const struct gguf_entry **list = calloc(gguf->n_entries + 1, sizeof *list);
	enum t2l_status status;

	if (list == NULL)
		return no_memory(c);
	gguf->entries_by_name = list;
	for (size_t i = 0; i < gguf->n_entries; i++)
		list[i] = &gguf->entries[i];
	status = check_overlap(c, list, gguf->n_entries);
	if (status != T2L_OK)
		return status;
	if (gguf->n_entries > 1)
		qsort(list, gguf->n_entries, sizeof *list, entry_by_name);
	for (size_t i = 1; i < gguf->n_entries; i++)
		if (entry_by_name(&list[i - 1], &list[i]) == 0)
			return wrong(c, "tensor", list[i]->name, "it is there twice");
	return T2L_OK;
}

/* ---- the file ---- */

static enum t2l_status
take_preamble(struct cursor *c, struct gguf *gguf, uint64_t *n_tensors, uint64_t *n_keys)
{
	uint64_t magic = 0, version = 0;

	if (is_lfs_pointer(c->at, left(c)))
		return t2l_fail(c->err, T2L_EFORMAT,
		    "%s: only Git LFS's pointer to the file; 'git lfs pull' fetches the file itself",
		    c->path);
	if (left(c) < 24 || gguf_read(c->at, 4) != GGUF_MAGIC)
		return t2l_fail(c->err, T2L_EFORMAT, "%s: this is no GGUF file", c->path);
	take(c, 4, &magic);
	take(c, 4, &version);
	take(c, 8, n_tensors);
	take(c, 8, n_keys);
	gguf->version = (uint32_t)version;
	if (version == 1)
		return t2l_fail(c->err, T2L_EUNSUPPORTED,
		    "%s: GGUF version 1 is not supported; convert it with a current llama.cpp",
		    c->path);
	if (version != 2 && version != 3)
		return t2l_fail(c->err, T2L_EUNSUPPORTED, "%s: GGUF version %u%s is not supported",
		    c->path, gguf->version, (version & 0xFFFF) == 0 ? " (big-endian?)" : "");
	/* Before anything is allocated for them: could that many be in the file at all? */
	if (*n_keys > left(c) / MIN_KEY_BYTES || *n_tensors > left(c) / MIN_TENSOR_BYTES)
		return t2l_fail(c->err, T2L_EFORMAT,
		    "%s: it claims %llu keys and %llu tensors, more than its %zu bytes can hold; "
		    "is it "
		    "cut short?",
		    c->path, (unsigned long long)*n_keys, (unsigned long long)*n_tensors,
		    left(c) + 24);
	return T2L_OK;
}

static enum t2l_status
take_keys(struct cursor *c, struct gguf *gguf, uint64_t n)
{
	enum t2l_status status = T2L_OK;
	int64_t alignment = GGUF_DEFAULT_ALIGNMENT;

	gguf->keys = calloc((size_t)n + 1, sizeof *gguf->keys);
	if (gguf->keys == NULL)
		return no_memory(c);
	while (gguf->n_keys < n && status == T2L_OK)
		status = take_key(c, &gguf->keys[gguf->n_keys++]);
	if (status == T2L_OK)
		status = sort_keys(gguf, c);
	if (status == T2L_OK)
		status = gguf_integer(
		    gguf, GGUF_ALIGNMENT_KEY, false, 8, MAX_ALIGNMENT, &alignment, c->err);
	if (status != T2L_OK)
		return status;
	if ((alignment & (alignment - 1)) != 0)
		return wrong(c, "key", GGUF_ALIGNMENT_KEY, "it is not a power of two");
	gguf->alignment = (size_t)alignment;
	return T2L_OK;
}

static enum t2l_status
take_tensors(struct cursor *c, struct gguf *gguf, uint64_t n)
{
	uint64_t *offsets = calloc((size_t)n + 1, sizeof *offsets);
	const uint8_t *start;
	enum t2l_status status = T2L_OK;

	gguf->entries = calloc((size_t)n + 1, sizeof *gguf->entries);
	if (offsets == NULL || gguf->entries == NULL) {
		free(offsets);
		return no_memory(c);
	}
	while (gguf->n_entries < n && status == T2L_OK) {
		status = take_tensor(c, &gguf->entries[gguf->n_entries], &offsets[gguf->n_entries]);
		gguf->n_entries++;
	}
	start = start_of_data(c, gguf->alignment);
	for (size_t i = 0; i < gguf->n_entries && status == T2L_OK; i++)
		status = place_tensor(c, start, gguf->alignment, offsets[i], &gguf->entries[i]);
	free(offsets);
	if (status == T2L_OK)
		status = sort_entries(gguf, c);
	return status;
}

/* Fills GGUF from its file's bytes. */
static enum t2l_status
parse(struct gguf *gguf, const uint8_t *bytes, size_t n, struct t2l_error *err)
{
	struct cursor c = {
		.start = bytes, .at = bytes, .end = bytes + n, .path = gguf->path, .err = err
	};
	uint64_t n_tensors = 0, n_keys = 0;
	enum t2l_status status = take_preamble(&c, gguf, &n_tensors, &n_keys);

	if (status == T2L_OK)
		status = take_keys(&c, gguf, n_keys);
	if (status == T2L_OK)
		status = take_tensors(&c, gguf, n_tensors);
	return status;
}

static struct gguf *
gguf_new(const char *path, struct t2l_error *err)
{
	struct gguf *gguf = calloc(1, sizeof *gguf);

	if (gguf != NULL)
		gguf->path = strdup(path);
	if (gguf != NULL && gguf->path != NULL)
		return gguf;
	free(gguf);
	t2l_fail(err, T2L_ENOMEM, "%s: out of memory", path);
	return NULL;
}

enum t2l_status
gguf_parse(const void *bytes, size_t n, const char *name, struct gguf **out, struct t2l_error *err)
{
	struct gguf *gguf = gguf_new(name, err);
	enum t2l_status status;

	if (gguf == NULL)
		return T2L_ENOMEM;
	status = parse(gguf, bytes, n, err);
	if (status != T2L_OK) {
		gguf_close(gguf);
		return status;
	}
	*out = gguf;
	return T2L_OK;
}

enum t2l_status
gguf_open_file(const char *path, struct gguf **out, struct t2l_error *err)
{
	struct gguf *gguf;
	struct mapped_file map;
	enum t2l_status status;

	if (mapped_file_open(path, &map) == -1)
		return t2l_fail_errno(err, "%s", path);
	status = gguf_parse(map.bytes, map.n, path, &gguf, err);
	if (status != T2L_OK) {
		mapped_file_close(&map);
		return status;
	}
	gguf->map = map;
	*out = gguf;
	return T2L_OK;
}

void
gguf_forget_bytes(const struct gguf *gguf, const void *bytes, size_t n_bytes)
{
	mapped_file_forget(&gguf->map, bytes, n_bytes);
	for (size_t i = 0; i < gguf->n_parts; i++)
		gguf_forget_bytes(gguf->parts[i], bytes, n_bytes);
}

void
gguf_close(struct gguf *gguf)
{
	if (gguf == NULL)
		return;
	for (size_t i = 0; i < gguf->n_keys; i++) {
		free((void *)gguf->keys[i].name);
		free((void *)gguf->keys[i].text);
		free((void *)gguf->keys[i].string_offsets);
	}
	for (size_t i = 0; i < gguf->n_entries; i++)
		free((void *)gguf->entries[i].name);
	free(gguf->keys);
	free(gguf->keys_by_name);
	for (size_t i = 0; i < gguf->n_parts; i++)
		gguf_close(gguf->parts[i]);
	free(gguf->parts);
	free(gguf->entries);
	free(gguf->entries_by_name);
	mapped_file_close(&gguf->map);
	free(gguf->path);
	free(gguf);
}

enum t2l_status
gguf_join(struct gguf *first, struct gguf **others, size_t n, struct t2l_error *err)
{
	struct cursor c = { .path = first->path, .err = err };
	struct gguf_entry *entries;
	size_t n_entries = first->n_entries;

	first->parts = others;
	first->n_parts = n;
	for (size_t i = 0; i < n; i++)
		n_entries += others[i]->n_entries;
	entries = realloc(first->entries, (n_entries + 1) * sizeof *entries);
	if (entries == NULL)
		return no_memory(&c);
	first->entries = entries;
	for (size_t i = 0; i < n; i++) {
		memcpy(entries + first->n_entries, others[i]->entries,
		    others[i]->n_entries * sizeof *entries);
		first->n_entries += others[i]->n_entries;
		others[i]->n_entries = 0; /* their names are FIRST's now */
	}
	free(first->entries_by_name);
	first->entries_by_name = NULL;
	return sort_entries(first, &c);
}

/* ---- looking ---- */

const char *
gguf_path(const struct gguf *gguf)
{
	return gguf->path;
}

uint32_t
gguf_version(const struct gguf *gguf)
{
	return gguf->version;
}

size_t
gguf_key_count(const struct gguf *gguf)
{
	return gguf->n_keys;
}

const struct gguf_key *
gguf_key_at(const struct gguf *gguf, size_t i)
{
	return &gguf->keys[i];
}

const struct gguf_key *
gguf_key_find(const struct gguf *gguf, const char *name)
{
	struct gguf_key key = { .name = name };
	const struct gguf_key *wanted = &key, **found;

	if (gguf->n_keys == 0)
		return NULL;
	found = bsearch(&wanted, gguf->keys_by_name, gguf->n_keys, sizeof wanted, key_by_name);
	return found != NULL ? *found : NULL;
}

size_t
gguf_count(const struct gguf *gguf)
{
	return gguf->n_entries;
}

const struct gguf_entry *
gguf_at(const struct gguf *gguf, size_t i)
{
	return &gguf->entries[i];
}

const struct gguf_entry *
gguf_find(const struct gguf *gguf, const char *name)
{
	struct gguf_entry entry = { .name = name };
	const struct gguf_entry *wanted = &entry, **found;

	if (gguf->n_entries == 0)
		return NULL;
	found =
	    bsearch(&wanted, gguf->entries_by_name, gguf->n_entries, sizeof wanted, entry_by_name);
	return found != NULL ? *found : NULL;
}

/* What the address of a tensor of DTYPE must be a multiple of. */
static size_t
alignment_of(enum dtype dtype)
{
	return dtype_is_quantised(dtype) ? 1 : dtype_row_bytes(dtype, 1);
}

enum t2l_status
gguf_tensor(const struct gguf *gguf, const char *name, struct tensor *out, struct t2l_error *err)
{
	const struct gguf_entry *entry = gguf_find(gguf, name);
	char shown[SHOWN];

	visible_copy(shown, sizeof shown, name, strlen(name), 0);
	if (entry == NULL)
		return t2l_fail(err, T2L_ENOENT, "%s: it has no tensor '%s'", gguf->path, shown);
	if (!entry->convertible)
		return t2l_fail(err, T2L_EUNSUPPORTED,
		    "%s: tensor '%s': %s: not supported by this version of the engine", gguf->path,
		    shown, entry->type_name);
	if ((uintptr_t)entry->bytes % alignment_of(entry->dtype) != 0)
		return t2l_fail(
		    err, T2L_EINVAL, "%s: tensor '%s' is not aligned in memory", gguf->path, shown);
	*out = (struct tensor){
		.dtype = entry->dtype, .n_dims = entry->n_dims, .data = (void *)entry->bytes
	};
	memcpy(out->shape, entry->shape, sizeof out->shape);
	return T2L_OK;
}
