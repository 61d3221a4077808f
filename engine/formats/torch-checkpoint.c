/* torch-checkpoint.c - finds a state_dict's storages and places its tensors on them. */

#include "engine/formats/torch-checkpoint.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "base/visible.h"
#include "engine/formats/safetensors-header.h"
#include "engine/formats/torch-pickle.h"
#include "engine/formats/zip-directory.h"

#define SHOWN 200
#define MAX_KEY 64 /* of a storage's */
#define MAX_FOLDER 512
/* Copies of views may take this many times the file, so that no small file asks for much. */
#define MAX_COPIES 4

/* The old form begins with a pickle of this number, then one of its version. */
static const uint8_t old_magic[] = { 0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20,
	0x6a, 0xa8, 0x50, 0x19, '.' };
#define OLD_VERSION 1001

/* The numbers of one storage. */
struct storage {
	struct pickle_text key;
	const struct pickle_storage_type *type;
	const uint8_t *bytes; /* NULL: not found yet */
	size_t n_bytes;
};

struct torch_checkpoint {
	const char *path;
	const uint8_t *bytes;
	size_t n;
	struct arena *arena; /* values of the pickles, names, entries, copies of views */
	/* The zip form: */
	struct zip_directory *zip;
	char folder[MAX_FOLDER]; /* in the archive, with its '/' */
	uint8_t **inflated;	 /* of the archive's entries, NULL: not compressed or not wanted */
	/* The old form: */
	struct storage *storages; /* sorted by key */
	size_t n_storages;

	size_t copied; /* bytes of copies of views */
	struct safetensors_entry *entries;
	size_t n_entries;
};

static enum t2l_status
no_memory(const struct torch_checkpoint *torch, struct t2l_error *err)
{
	return t2l_fail(err, T2L_ENOMEM, "%s: out of memory", torch->path);
}

bool
torch_checkpoint_is(const void *bytes, size_t n)
{
	/* A bare pickle begins like the old form; what it lacks is said when it is parsed. */
	return zip_is(bytes, n) || (n >= 2 && memcmp(bytes, old_magic, 2) == 0);
}

/* ---- storages ---- */

static int
compare_keys(const struct pickle_text *a, const struct pickle_text *b)
{
	int order = memcmp(a->bytes, b->bytes, a->n < b->n ? a->n : b->n);

	return order != 0 ? order : (a->n > b->n) - (a->n < b->n);
}

static int
by_key(const void *left, const void *right)
{
	const struct storage *a = left, *b = right;

	return compare_keys(&a->key, &b->key);
}

static enum t2l_status
no_storage(
    const struct torch_checkpoint *torch, const struct pickle_text *key, struct t2l_error *err)
{
	char shown[SHOWN];

	visible_copy(shown, sizeof shown, key->bytes, key->n, 0);
	return t2l_fail(err, T2L_EFORMAT, "%s: it has no storage '%s'", torch->path, shown);
}

/* An entry's bytes; inflated ones are kept. */
static enum t2l_status
open_entry(struct torch_checkpoint *torch, const struct zip_entry *entry, const uint8_t **bytes,
    struct t2l_error *err)
{
	uint8_t **kept = &torch->inflated[entry - zip_directory_at(torch->zip, 0)];

	if (*kept != NULL) {
		*bytes = *kept;
		return T2L_OK;
	}
	return zip_directory_content(torch->zip, entry, bytes, kept, err);
}

/* The entry FOLDER/data/KEY of the archive. */
static enum t2l_status
open_record(struct torch_checkpoint *torch, const struct pickle_text *key, const uint8_t **bytes,
    size_t *n_bytes, struct t2l_error *err)
{
	char name[MAX_FOLDER + MAX_KEY + 8];
	const struct zip_entry *entry = NULL;

	if (key->n <= MAX_KEY && memchr(key->bytes, '\0', key->n) == NULL) {
		snprintf(name, sizeof name, "%sdata/%.*s", torch->folder, (int)key->n, key->bytes);
		entry = zip_directory_find(torch->zip, name);
	}
	if (entry == NULL)
		return no_storage(torch, key, err);
	*n_bytes = entry->n;
	return open_entry(torch, entry, bytes, err);
}

static struct storage *
old_storage(const struct torch_checkpoint *torch, const struct pickle_text *key)
{
	struct storage wanted = { .key = *key };

	if (torch->n_storages == 0)
		return NULL;
	return bsearch(&wanted, torch->storages, torch->n_storages, sizeof wanted, by_key);
}

static enum t2l_status
find_storage(struct torch_checkpoint *torch, const struct pickle_text *key, const uint8_t **bytes,
    size_t *n_bytes, struct t2l_error *err)
{
	const struct storage *storage;

	if (torch->zip != NULL)
		return open_record(torch, key, bytes, n_bytes, err);
	storage = old_storage(torch, key);
	if (storage == NULL || storage->bytes == NULL)
		return no_storage(torch, key, err);
	*bytes = storage->bytes;
	*n_bytes = storage->n_bytes;
	return T2L_OK;
}

/* ---- tensors ---- */

static enum t2l_status
wrong_tensor(const struct torch_checkpoint *torch, const char *name, enum t2l_status status,
    const char *what, struct t2l_error *err)
{
	char shown[SHOWN];

	visible_copy(shown, sizeof shown, name, strlen(name), 0);
	return t2l_fail(err, status, "%s: tensor '%s' %s", torch->path, shown, what);
}

/* How many numbers a tensor has, and the last of its storage that it uses; false on overflow. */
static bool
measure(const struct pickle_tensor *tensor, int64_t *count, int64_t *last)
{
	int64_t reach;

	*count = 1;
	*last = tensor->offset;
	for (int i = 0; i < tensor->n_dims; i++) {
		if (__builtin_mul_overflow(*count, tensor->shape[i], count))
			return false;
	}
	for (int i = 0; i<tensor->n_dims && * count> 0; i++) {
		if (__builtin_mul_overflow(tensor->shape[i] - 1, tensor->stride[i], &reach) ||
		    __builtin_add_overflow(*last, reach, last))
			return false;
	}
	return true;
}

/* Row by row without gaps? Sizes of 1 have no say. */
static bool
is_contiguous(const struct pickle_tensor *tensor)
{
	int64_t expected = 1;

	for (int i = tensor->n_dims - 1; i >= 0; i--) {
		if (tensor->shape[i] != 1 && tensor->stride[i] != expected)
			return false;
		expected *= tensor->shape[i];
	}
	return true;
}

/* The COUNT numbers of a view, row by row, as an odometer counts. */
static void
gather(const struct pickle_tensor *tensor, const uint8_t *first, size_t size, int64_t count,
    uint8_t *out)
{
	int64_t index[PICKLE_MAX_DIMS] = { 0 }, at = 0;

	for (int64_t i = 0; i < count; i++) {
		memcpy(out + (size_t)i * size, first + (size_t)at * size, size);
		for (int d = tensor->n_dims - 1; d >= 0; d--) {
			at += tensor->stride[d];
			if (++index[d] < tensor->shape[d])
				break;
			at -= tensor->stride[d] * tensor->shape[d];
			index[d] = 0;
		}
	}
}

static enum t2l_status
copy_view(struct torch_checkpoint *torch, const char *name, const struct pickle_tensor *tensor,
    const uint8_t *first, size_t size, int64_t count, const void **out, struct t2l_error *err)
{
	size_t n_bytes;
	uint8_t *copy;

	if ((uint64_t)count > (MAX_COPIES * torch->n - torch->copied) / size)
		return wrong_tensor(torch, name, T2L_EUNSUPPORTED,
		    "is a view, and all views together are far larger than the file", err);
	n_bytes = (size_t)count * size;
	copy = arena_alloc(torch->arena, n_bytes);
	if (copy == NULL)
		return no_memory(torch, err);
	gather(tensor, first, size, count, copy);
	torch->copied += n_bytes;
	*out = copy;
	return T2L_OK;
}

/* Places TENSOR; ENTRY has its name. */
static enum t2l_status
place_tensor(struct torch_checkpoint *torch, const struct pickle_tensor *tensor,
    struct safetensors_entry *entry, struct t2l_error *err)
{
	const struct pickle_storage *from = tensor->storage;
	const struct safetensors_dtype *dtype = safetensors_dtype_by_text(from->type->dtype);
	const size_t size = dtype->bits / 8;
	const uint8_t *first;
	enum t2l_status status;
	int64_t count, last;
	size_t n_bytes;

	if ((status = find_storage(torch, &from->key, &first, &n_bytes, err)) != T2L_OK)
		return t2l_context(err, "tensor '%.100s'", entry->name);
	if ((uint64_t)from->n > n_bytes / size)
		return wrong_tensor(
		    torch, entry->name, T2L_EFORMAT, "has a storage that is cut short", err);
	if (!measure(tensor, &count, &last) || (count > 0 && last >= from->n))
		return wrong_tensor(
		    torch, entry->name, T2L_EFORMAT, "reaches beyond its storage", err);
	entry->dtype_text = from->type->dtype;
	entry->convertible = dtype->ours && tensor->n_dims <= TENSOR_MAX_DIMS;
	entry->dtype = dtype->dtype;
	entry->n_dims = tensor->n_dims;
	memcpy(entry->shape, tensor->shape, sizeof entry->shape);
	entry->bytes = first += count > 0 ? (size_t)tensor->offset * size : 0;
	if (count > 0 && !is_contiguous(tensor) &&
	    (status = copy_view(
		 torch, entry->name, tensor, first, size, count, &entry->bytes, err)) != T2L_OK)
		return status;
	entry->n_bytes = (size_t)count * size;
	return T2L_OK;
}

/* A key as a name: valid UTF-8 without NUL, terminated. */
static enum t2l_status
copy_name(struct torch_checkpoint *torch, const struct pickle_value *key, const char **out,
    struct t2l_error *err)
{
	char *name;

	if (key->kind != PICKLE_TEXT || key->text.n == 0 ||
	    memchr(key->text.bytes, '\0', key->text.n) != NULL ||
	    !utf8_valid(key->text.bytes, key->text.n))
		return t2l_fail(
		    err, T2L_EFORMAT, "%s: a key of its state_dict is no name", torch->path);
	name = arena_alloc(torch->arena, key->text.n + 1);
	if (name == NULL)
		return no_memory(torch, err);
	memcpy(name, key->text.bytes, key->text.n);
	name[key->text.n] = '\0';
	*out = name;
	return T2L_OK;
}

/* Numbers, texts and lists beside the tensors, such as the training's step, are left out. A
 * dictionary is not: the tensors would be in there. */
static bool
is_left_out(const struct pickle_value *value)
{
	return value->kind != PICKLE_DICT && value->kind != PICKLE_FUNCTION &&
	       value->kind != PICKLE_STORAGE && value->kind != PICKLE_TENSOR;
}

static enum t2l_status
place_tensors(
    struct torch_checkpoint *torch, const struct pickle_value *root, struct t2l_error *err)
{
	enum t2l_status status;

	if (root->kind != PICKLE_DICT)
		return t2l_fail(err, T2L_EUNSUPPORTED,
		    "%s: it holds no dictionary of tensors (a state_dict)", torch->path);
	torch->entries =
	    arena_alloc_zero(torch->arena, (root->list.n / 2 + 1) * sizeof *torch->entries);
	if (torch->entries == NULL)
		return no_memory(torch, err);
	for (size_t i = 0; i < root->list.n; i += 2) {
		const struct pickle_value *value = root->list.items[i + 1];
		struct safetensors_entry *entry = &torch->entries[torch->n_entries];

		if ((status = copy_name(torch, root->list.items[i], &entry->name, err)) != T2L_OK)
			return status;
		if (is_left_out(value))
			continue;
		if (value->kind != PICKLE_TENSOR)
			return wrong_tensor(torch, entry->name, T2L_EUNSUPPORTED,
			    "is no tensor; a state_dict holds nothing else", err);
		if ((status = place_tensor(torch, value->tensor, entry, err)) != T2L_OK)
			return status;
		entry->place = torch->n_entries++;
	}
	return T2L_OK;
}

/* ---- the zip archive ---- */

/* The archive's one folder, known by the pickle in it. */
static enum t2l_status
find_folder(struct torch_checkpoint *torch, const struct zip_entry **pickle, struct t2l_error *err)
{
	static const char tail[] = "/data.pkl";

	*pickle = NULL;
	for (size_t i = 0; i < zip_directory_count(torch->zip); i++) {
		const struct zip_entry *entry = zip_directory_at(torch->zip, i);
		size_t n = strlen(entry->name);

		if (n < sizeof tail || strcmp(entry->name + n - (sizeof tail - 1), tail) != 0)
			continue;
		n -= sizeof tail - 2; /* the '/' stays */
		if (*pickle != NULL || n >= sizeof torch->folder)
			return t2l_fail(err, T2L_EFORMAT,
			    "%s: its data.pkl is there twice or in too long a folder", torch->path);
		memcpy(torch->folder, entry->name, n);
		torch->folder[n] = '\0';
		*pickle = entry;
	}
	if (*pickle == NULL)
		return t2l_fail(err, T2L_EFORMAT,
		    "%s: a zip archive without data.pkl; this is no torch checkpoint", torch->path);
	return T2L_OK;
}

/* Archives say since torch 2.1 which byte comes first; before, all were little-endian. */
static enum t2l_status
check_byte_order(const struct torch_checkpoint *torch, struct t2l_error *err)
{
	char name[MAX_FOLDER + 16];
	const struct zip_entry *entry;

	snprintf(name, sizeof name, "%sbyteorder", torch->folder);
	entry = zip_directory_find(torch->zip, name);
	if (entry != NULL && !entry->deflated &&
	    (entry->n != 6 || memcmp(entry->stored, "little", 6) != 0))
		return t2l_fail(
		    err, T2L_EUNSUPPORTED, "%s: it was saved on a big-endian machine", torch->path);
	return T2L_OK;
}

static enum t2l_status
parse_zip(struct torch_checkpoint *torch, struct t2l_error *err)
{
	const struct zip_entry *entry;
	struct pickle_value *root;
	const uint8_t *pickle;
	enum t2l_status status;

	if ((status = zip_directory_read(torch->bytes, torch->n, torch->path, &torch->zip, err)) !=
		T2L_OK ||
	    (status = find_folder(torch, &entry, err)) != T2L_OK ||
	    (status = check_byte_order(torch, err)) != T2L_OK)
		return status;
	if (entry->n > PICKLE_MAX_BYTES)
		return t2l_fail(err, T2L_EUNSUPPORTED, "%s: its data.pkl is larger than %zu bytes",
		    torch->path, PICKLE_MAX_BYTES);
	torch->inflated = calloc(zip_directory_count(torch->zip), sizeof(uint8_t *));
	if (torch->inflated == NULL)
		return no_memory(torch, err);
	if ((status = open_entry(torch, entry, &pickle, err)) != T2L_OK ||
	    (status = zip_directory_verify(torch->zip, entry, pickle, err)) != T2L_OK ||
	    (status = pickle_read(pickle, entry->n, torch->path, torch->arena, &root, NULL, err)) !=
		T2L_OK)
		return status;
	return place_tensors(torch, root, err);
}

/* ---- the old form ---- */

struct reading {
	struct torch_checkpoint *torch;
	size_t at;
};

static enum t2l_status
next_pickle(struct reading *reading, struct pickle_value **out, struct t2l_error *err)
{
	struct torch_checkpoint *torch = reading->torch;
	size_t n = 0;
	enum t2l_status status = pickle_read(torch->bytes + reading->at, torch->n - reading->at,
	    torch->path, torch->arena, out, &n, err);

	reading->at += n;
	return status;
}

/* The storages that the tensors name, each once; of what type they are stands nowhere else. */
static enum t2l_status
list_storages(
    struct torch_checkpoint *torch, const struct pickle_value *root, struct t2l_error *err)
{
	const size_t n_items = root->kind == PICKLE_DICT ? root->list.n : 0;
	size_t n = 0;

	torch->storages = calloc(n_items / 2 + 1, sizeof *torch->storages);
	if (torch->storages == NULL)
		return no_memory(torch, err);
	for (size_t i = 1; i < n_items; i += 2) {
		const struct pickle_value *value = root->list.items[i];

		if (value->kind == PICKLE_TENSOR)
			torch->storages[n++] = (struct storage){ .key = value->tensor->storage->key,
				.type = value->tensor->storage->type };
	}
	if (n > 1)
		qsort(torch->storages, n, sizeof *torch->storages, by_key);
	for (size_t i = 0; i < n; i++)
		if (i == 0 || by_key(&torch->storages[i], &torch->storages[i - 1]) != 0)
			torch->storages[torch->n_storages++] = torch->storages[i];
	return T2L_OK;
}

/* For each key a count of 64 bits, then as many numbers. */
static enum t2l_status
read_storages(struct reading *reading, const struct pickle_value *keys, struct t2l_error *err)
{
	struct torch_checkpoint *torch = reading->torch;

	if (keys->kind != PICKLE_LIST)
		return t2l_fail(err, T2L_EFORMAT, "%s: it has no list of storages", torch->path);
	for (size_t i = 0; i < keys->list.n; i++) {
		const struct pickle_value *key = keys->list.items[i];
		struct storage *storage =
		    key->kind == PICKLE_TEXT ? old_storage(torch, &key->text) : NULL;
		size_t size, left = torch->n - reading->at;
		uint64_t count = 0;

		if (storage == NULL || storage->bytes != NULL)
			return t2l_fail(err, T2L_EFORMAT,
			    "%s: a storage that belongs to no tensor, or is there twice",
			    torch->path);
		size = safetensors_dtype_by_text(storage->type->dtype)->bits / 8;
		for (size_t b = 8; b > 0 && left >= 8; b--)
			count = count << 8 | torch->bytes[reading->at + b - 1];
		if (left < 8 || count > (left - 8) / size)
			return t2l_fail(err, T2L_EFORMAT, "%s: it is cut short", torch->path);
		storage->bytes = torch->bytes + reading->at + 8;
		storage->n_bytes = (size_t)count * size;
		reading->at += 8 + storage->n_bytes;
	}
	return T2L_OK;
}

static enum t2l_status
parse_old(struct torch_checkpoint *torch, struct t2l_error *err)
{
	struct reading reading = { torch, sizeof old_magic };
	struct pickle_value *version, *machine, *root, *keys;
	const struct pickle_value *little;
	enum t2l_status status;

	if ((status = next_pickle(&reading, &version, err)) != T2L_OK ||
	    (status = next_pickle(&reading, &machine, err)) != T2L_OK)
		return status;
	little = pickle_get(machine, "little_endian");
	if (version->kind != PICKLE_INTEGER || version->integer != OLD_VERSION)
		return t2l_fail(err, T2L_EUNSUPPORTED,
		    "%s: a version of torch's old format that is unknown", torch->path);
	if (little == NULL || little->kind != PICKLE_BOOL || !little->integer)
		return t2l_fail(
		    err, T2L_EUNSUPPORTED, "%s: it was saved on a big-endian machine", torch->path);
	if ((status = next_pickle(&reading, &root, err)) != T2L_OK ||
	    (status = next_pickle(&reading, &keys, err)) != T2L_OK ||
	    (status = list_storages(torch, root, err)) != T2L_OK ||
	    (status = read_storages(&reading, keys, err)) != T2L_OK)
		return status;
	return place_tensors(torch, root, err);
}

/* ---- either ---- */

/* A pickle without torch's frame around it: looked at only to name what it asks for. */
static enum t2l_status
refuse_bare(const struct torch_checkpoint *torch, struct t2l_error *err)
{
	struct pickle_value *value;
	enum t2l_status status =
	    pickle_read(torch->bytes, torch->n, torch->path, torch->arena, &value, NULL, err);

	if (status != T2L_OK)
		return status;
	return t2l_fail(err, T2L_EFORMAT,
	    "%s: a bare pickle; a torch checkpoint is a zip archive or in torch's old form",
	    torch->path);
}

enum t2l_status
torch_checkpoint_parse(const void *bytes, size_t n, const char *path, struct torch_checkpoint **out,
    struct t2l_error *err)
{
	struct torch_checkpoint *torch = calloc(1, sizeof *torch);
	enum t2l_status status;

	if (torch == NULL || (torch->arena = arena_create()) == NULL) {
		free(torch);
		return t2l_fail(err, T2L_ENOMEM, "%s: out of memory", path);
	}
	torch->path = path;
	torch->bytes = bytes;
	torch->n = n;
	if (zip_is(bytes, n))
		status = parse_zip(torch, err);
	else if (n >= sizeof old_magic && memcmp(bytes, old_magic, sizeof old_magic) == 0)
		status = parse_old(torch, err);
	else
		status = refuse_bare(torch, err);
	if (status != T2L_OK) {
		torch_checkpoint_free(torch);
		return status;
	}
	*out = torch;
	return T2L_OK;
}

void
torch_checkpoint_free(struct torch_checkpoint *torch)
{
	if (torch == NULL)
		return;
	for (size_t i = 0; torch->inflated != NULL && i < zip_directory_count(torch->zip); i++)
		free(torch->inflated[i]);
	free(torch->inflated);
	free(torch->storages);
	zip_directory_free(torch->zip);
	arena_free(torch->arena);
	free(torch);
}

size_t
torch_checkpoint_count(const struct torch_checkpoint *torch)
{
	return torch->n_entries;
}

const struct safetensors_entry *
torch_checkpoint_at(const struct torch_checkpoint *torch, size_t i)
{
	return &torch->entries[i];
}
