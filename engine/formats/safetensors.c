/* safetensors.c - a file, or shards as one set: lookup by name, metadata, tensors. */

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/visible.h"
#include "engine/formats/safetensors-header.h"
#include "engine/formats/safetensors.h"
#include "engine/formats/torch-checkpoint.h"

#define MAX_INDEX_BYTES (64 << 20)
#define MAX_SHARDS 4096
#define SHOWN 200

/* One file of the set. */
struct shard {
	char *file; /* its name in the index; NULL for a file on its own */
	struct mapped_file map;
	cJSON *header;			/* of a safetensors file */
	struct torch_checkpoint *torch; /* or what else it is */
	size_t first, n;		/* its entries before sorting */
};

/* Aligned copies of the tensors that a file stores unaligned, made when first asked for. */
struct copies {
	pthread_mutex_t lock;
	void **of_entry; /* [n_entries], NULL: not copied */
};

struct safetensors {
	char *path;
	struct shard *shards;
	size_t n_shards;
	struct safetensors_entry *entries; /* sorted by name */
	size_t n_entries;
	const cJSON **metadata; /* sorted by key */
	size_t n_metadata;
	struct copies *copies;
};

static enum t2l_status
no_memory(const char *path, struct t2l_error *err)
{
	return t2l_fail(err, T2L_ENOMEM, "%s: out of memory", path);
}

/* ---- putting a set together ---- */

static enum t2l_status
set_new(const char *path, size_t n_shards, struct safetensors **out, struct t2l_error *err)
{
	struct safetensors *st = calloc(1, sizeof *st);

	if (st == NULL)
		return no_memory(path, err);
	st->path = strdup(path);
	st->shards = calloc(n_shards, sizeof *st->shards);
	st->copies = calloc(1, sizeof *st->copies);
	if (st->copies != NULL)
		pthread_mutex_init(&st->copies->lock, NULL);
	if (st->path == NULL || st->shards == NULL || st->copies == NULL) {
		safetensors_close(st);
		return no_memory(path, err);
	}
	*out = st;
	return T2L_OK;
}

/* Room for N more entries at the end of the set's; NULL: no memory. */
static struct safetensors_entry *
extend_entries(struct safetensors *st, size_t n)
{
	struct safetensors_entry *all = realloc(st->entries, (st->n_entries + n + 1) * sizeof *all);

	if (all != NULL)
		st->entries = all;
	return all != NULL ? all + st->n_entries : NULL;
}

static enum t2l_status
add_torch_shard(struct safetensors *st, struct shard *shard, const void *bytes, size_t n,
    const char *path, struct t2l_error *err)
{
	enum t2l_status status = torch_checkpoint_parse(bytes, n, path, &shard->torch, err);
	struct safetensors_entry *entries;

	if (status != T2L_OK)
		return status;
	shard->n = torch_checkpoint_count(shard->torch);
	entries = extend_entries(st, shard->n);
	if (entries == NULL) {
		torch_checkpoint_free(shard->torch);
		shard->torch = NULL;
		return no_memory(path, err);
	}
	for (size_t i = 0; i < shard->n; i++)
		entries[i] = *torch_checkpoint_at(shard->torch, i);
	return T2L_OK;
}

static enum t2l_status
add_plain_shard(struct safetensors *st, struct shard *shard, const void *bytes, size_t n,
    const char *path, struct t2l_error *err)
{
	struct safetensors_entry *entries, *into;
	enum t2l_status status =
	    safetensors_header(bytes, n, path, &shard->header, &entries, &shard->n, err);

	if (status != T2L_OK)
		return status;
	into = extend_entries(st, shard->n);
	if (into != NULL)
		memcpy(into, entries, shard->n * sizeof *into);
	free(entries);
	if (into == NULL) {
		cJSON_Delete(shard->header);
		shard->header = NULL;
		return no_memory(path, err);
	}
	return T2L_OK;
}

/* Adds the file BYTES[N], known to messages as PATH, to the set; what it is, its bytes say. */
static enum t2l_status
add_shard(
    struct safetensors *st, const void *bytes, size_t n, const char *path, struct t2l_error *err)
{
	struct shard *shard = &st->shards[st->n_shards];
	enum t2l_status status = torch_checkpoint_is(bytes, n)
				     ? add_torch_shard(st, shard, bytes, n, path, err)
				     : add_plain_shard(st, shard, bytes, n, path, err);

	if (status != T2L_OK)
		return status;
	shard->first = st->n_entries;
	st->n_entries += shard->n;
	st->n_shards++;
	return T2L_OK;
}

static enum t2l_status
add_shard_file(struct safetensors *st, const char *path, struct t2l_error *err)
{
	struct shard *shard = &st->shards[st->n_shards];
	enum t2l_status status;

	if (mapped_file_open(path, &shard->map) == -1)
		return t2l_fail_errno(err, "%s", path);
	status = add_shard(st, shard->map.bytes, shard->map.n, path, err);
	if (status != T2L_OK)
		mapped_file_close(&shard->map);
	return status;
}

static int
by_name(const void *left, const void *right)
{
	const struct safetensors_entry *a = left, *b = right;

	return strcmp(a->name, b->name);
}

static int
by_key(const void *left, const void *right)
{
	const cJSON *const *a = left, *const *b = right;

	return strcmp((*a)->string, (*b)->string);
}

static enum t2l_status
twice(const struct safetensors *st, const char *what, const char *name, struct t2l_error *err)
{
	char shown[SHOWN];

	visible_copy(shown, sizeof shown, name, strlen(name), 0);
	return t2l_fail(err, T2L_EFORMAT, "%s: it has %s '%s' twice", st->path, what, shown);
}

static enum t2l_status
sort_metadata(struct safetensors *st, struct t2l_error *err)
{
	const cJSON *metadata =
	    st->shards[0].header == NULL
		? NULL
		: cJSON_GetObjectItemCaseSensitive(st->shards[0].header, SAFETENSORS_METADATA);

	if (metadata == NULL)
		return T2L_OK;
	st->metadata = calloc((size_t)cJSON_GetArraySize(metadata) + 1, sizeof *st->metadata);
	if (st->metadata == NULL)
		return no_memory(st->path, err);
	for (const cJSON *item = metadata->child; item != NULL; item = item->next)
		st->metadata[st->n_metadata++] = item;
	qsort(st->metadata, st->n_metadata, sizeof *st->metadata, by_key);
	for (size_t i = 1; i < st->n_metadata; i++)
		if (by_key(&st->metadata[i - 1], &st->metadata[i]) == 0)
			return twice(st, "metadata", st->metadata[i]->string, err);
	return T2L_OK;
}

/* Sorts what the shards brought; a name twice is refused, within a file or across. */
static enum t2l_status
finish_set(struct safetensors *st, struct t2l_error *err)
{
	if (st->n_entries > 1)
		qsort(st->entries, st->n_entries, sizeof *st->entries, by_name);
	for (size_t i = 1; i < st->n_entries; i++)
		if (by_name(&st->entries[i - 1], &st->entries[i]) == 0)
			return twice(st, "tensor", st->entries[i].name, err);
	st->copies->of_entry = calloc(st->n_entries + 1, sizeof(void *));
	if (st->copies->of_entry == NULL)
		return no_memory(st->path, err);
	return sort_metadata(st, err);
}

/* ---- shards ---- */

/* A shard is named by an index that may be hostile: only a file of the index's own folder. */
static bool
is_plain_name(const char *file)
{
	return file[0] != '\0' && strchr(file, '/') == NULL && strcmp(file, ".") != 0 &&
	       strcmp(file, "..") != 0;
}

static int
by_text(const void *left, const void *right)
{
	const char *const *a = left, *const *b = right;

	return strcmp(*a, *b);
}

/* The distinct files of the weight map, sorted, so that the set does not depend on its order. The
 * names belong to the map; free the list. */
static enum t2l_status
files_of_index(const cJSON *weight_map, const char *path, const char ***out, size_t *n_out,
    struct t2l_error *err)
{
	size_t n = 0, n_distinct = 0;
	const char **files = calloc((size_t)cJSON_GetArraySize(weight_map) + 1, sizeof *files);

	if (files == NULL)
		return no_memory(path, err);
	for (const cJSON *item = weight_map->child; item != NULL; item = item->next) {
		if (!cJSON_IsString(item) || !is_plain_name(item->valuestring)) {
			free(files);
			return t2l_fail(err, T2L_EFORMAT,
			    "%s: a shard is not the plain name of a file beside the index", path);
		}
		files[n++] = item->valuestring;
	}
	qsort(files, n, sizeof *files, by_text);
	for (size_t i = 0; i < n; i++)
		if (i == 0 || strcmp(files[i], files[i - 1]) != 0)
			files[n_distinct++] = files[i];
	if (n_distinct == 0 || n_distinct > MAX_SHARDS) {
		free(files);
		return t2l_fail(err, T2L_EFORMAT, "%s: it names %s shards", path,
		    n_distinct == 0 ? "no" : "too many");
	}
	*out = files;
	*n_out = n_distinct;
	return T2L_OK;
}

static enum t2l_status
open_shards(struct safetensors *st, const char **files, size_t n_files, struct t2l_error *err)
{
	const char *slash = strrchr(st->path, '/');
	int n_folder = slash != NULL ? (int)(slash - st->path) + 1 : 0;
	enum t2l_status status = T2L_OK;

	for (size_t i = 0; i < n_files && status == T2L_OK; i++) {
		struct buffer path = { 0 };

		buffer_printf(&path, "%.*s%s", n_folder, st->path, files[i]);
		status = buffer_failed(&path) ? no_memory(st->path, err)
					      : add_shard_file(st, path.bytes, err);
		buffer_free(&path);
	}
	return status;
}

/* What the index promises must be there. */
static enum t2l_status
check_index(const struct safetensors *st, const cJSON *weight_map, struct t2l_error *err)
{
	for (const cJSON *item = weight_map->child; item != NULL; item = item->next)
		if (safetensors_find(st, item->string) == NULL) {
			char shown[SHOWN];

			visible_copy(shown, sizeof shown, item->string, strlen(item->string), 0);
			return t2l_fail(
			    err, T2L_EFORMAT, "%s: no shard has the tensor '%s'", st->path, shown);
		}
	return T2L_OK;
}

static enum t2l_status
open_index(const char *path, struct safetensors **out, struct t2l_error *err)
{
	const cJSON *weight_map = NULL;
	struct safetensors *st = NULL;
	const char **files = NULL;
	size_t n_files = 0;
	cJSON *index;
	enum t2l_status status = json_open(path, MAX_INDEX_BYTES, &index, err);

	if (status != T2L_OK)
		return status;
	status = json_object(index, "weight_map", JSON_REQUIRED, path, &weight_map, err);
	if (status == T2L_OK)
		status = files_of_index(weight_map, path, &files, &n_files, err);
	if (status == T2L_OK)
		status = set_new(path, n_files, &st, err);
	if (status == T2L_OK)
		status = open_shards(st, files, n_files, err);
	if (status == T2L_OK)
		status = finish_set(st, err);
	if (status == T2L_OK)
		status = check_index(st, weight_map, err);
	free(files);
	cJSON_Delete(index);
	if (status != T2L_OK) {
		safetensors_close(st);
		return status;
	}
	*out = st;
	return T2L_OK;
}

/* ---- opening ---- */

static enum t2l_status
open_file(const char *path, struct safetensors **out, struct t2l_error *err)
{
	struct safetensors *st;
	enum t2l_status status = set_new(path, 1, &st, err);

	if (status != T2L_OK)
		return status;
	status = add_shard_file(st, path, err);
	if (status == T2L_OK)
		status = finish_set(st, err);
	if (status != T2L_OK) {
		safetensors_close(st);
		return status;
	}
	*out = st;
	return T2L_OK;
}

static bool
has_suffix(const char *text, const char *suffix)
{
	size_t n = strlen(text), n_suffix = strlen(suffix);

	return n >= n_suffix && strcmp(text + n - n_suffix, suffix) == 0;
}

static enum t2l_status
open_folder(const char *folder, struct safetensors **out, struct t2l_error *err)
{
	static const char *const candidates[] = { "model.safetensors",
		"model.safetensors.index.json", "adapter_model.safetensors", "pytorch_model.bin",
		"pytorch_model.bin.index.json", "adapter_model.bin" };
	enum t2l_status status = T2L_ENOENT;
	struct stat st;

	for (size_t i = 0; i < sizeof candidates / sizeof candidates[0]; i++) {
		struct buffer path = { 0 };
		bool found;

		buffer_printf(&path, "%s/%s", folder, candidates[i]);
		if (buffer_failed(&path))
			return no_memory(folder, err);
		found = stat(path.bytes, &st) == 0;
		if (found)
			status = safetensors_open(path.bytes, out, err);
		buffer_free(&path);
		if (found)
			return status;
	}
	return t2l_fail(err, T2L_ENOENT,
	    "%s: no model.safetensors, %s, %s, %s or %s in this folder", folder, candidates[1],
	    candidates[2], candidates[3], candidates[5]);
}

enum t2l_status
safetensors_open(const char *path, struct safetensors **out, struct t2l_error *err)
{
	struct stat st;

	if (stat(path, &st) == -1)
		return t2l_fail_errno(err, "%s", path);
	if (S_ISDIR(st.st_mode))
		return open_folder(path, out, err);
	if (has_suffix(path, ".json"))
		return open_index(path, out, err);
	return open_file(path, out, err);
}

enum t2l_status
safetensors_parse(
    const void *bytes, size_t n, const char *name, struct safetensors **out, struct t2l_error *err)
{
	struct safetensors *st;
	enum t2l_status status = set_new(name, 1, &st, err);

	if (status != T2L_OK)
		return status;
	status = add_shard(st, bytes, n, name, err);
	if (status == T2L_OK)
		status = finish_set(st, err);
	if (status != T2L_OK) {
		safetensors_close(st);
		return status;
	}
	*out = st;
	return T2L_OK;
}

void
safetensors_close(struct safetensors *st)
{
	if (st == NULL)
		return;
	if (st->copies != NULL) {
		for (size_t i = 0; st->copies->of_entry != NULL && i < st->n_entries; i++)
			free(st->copies->of_entry[i]);
		free(st->copies->of_entry);
		pthread_mutex_destroy(&st->copies->lock);
		free(st->copies);
	}
	for (size_t i = 0; i < st->n_shards; i++) {
		cJSON_Delete(st->shards[i].header);
		torch_checkpoint_free(st->shards[i].torch);
		mapped_file_close(&st->shards[i].map);
	}
	free(st->shards);
	free(st->entries);
	free(st->metadata);
	free(st->path);
	free(st);
}

/* ---- looking ---- */

const char *
safetensors_path(const struct safetensors *st)
{
	return st->path;
}

size_t
safetensors_count(const struct safetensors *st)
{
	return st->n_entries;
}

const struct safetensors_entry *
safetensors_at(const struct safetensors *st, size_t i)
{
	return &st->entries[i];
}

const struct safetensors_entry *
safetensors_find(const struct safetensors *st, const char *name)
{
	struct safetensors_entry key = { .name = name };

	if (st->n_entries == 0)
		return NULL;
	return bsearch(&key, st->entries, st->n_entries, sizeof key, by_name);
}

void
safetensors_forget(const struct safetensors *st, const struct safetensors_entry *entry)
{
	safetensors_forget_bytes(st, entry->bytes, entry->n_bytes);
}

void
safetensors_forget_bytes(const struct safetensors *st, const void *bytes, size_t n_bytes)
{
	for (size_t i = 0; i < st->n_shards; i++)
		mapped_file_forget(&st->shards[i].map, bytes, n_bytes);
}

size_t
safetensors_metadata_count(const struct safetensors *st)
{
	return st->n_metadata;
}

const char *
safetensors_metadata_key(const struct safetensors *st, size_t i)
{
	return st->metadata[i]->string;
}

const char *
safetensors_metadata_value(const struct safetensors *st, size_t i)
{
	return st->metadata[i]->valuestring;
}

const char *
safetensors_metadata(const struct safetensors *st, const char *key)
{
	for (size_t i = 0; i < st->n_metadata; i++)
		if (strcmp(st->metadata[i]->string, key) == 0)
			return st->metadata[i]->valuestring;
	return NULL;
}

/* ---- tensors ---- */

/* The entry's bytes, copied once when their address does not suit their dtype. NULL: no memory. */
static const void *
aligned_bytes(const struct safetensors *st, const struct safetensors_entry *entry)
{
	size_t alignment = dtype_row_bytes(entry->dtype, 1);
	void **copy = &st->copies->of_entry[entry - st->entries];

	if ((uintptr_t)entry->bytes % alignment == 0)
		return entry->bytes;
	pthread_mutex_lock(&st->copies->lock);
	if (*copy == NULL) {
		*copy = malloc(entry->n_bytes > 0 ? entry->n_bytes : 1);
		if (*copy != NULL)
			memcpy(*copy, entry->bytes, entry->n_bytes);
	}
	pthread_mutex_unlock(&st->copies->lock);
	return *copy;
}

enum t2l_status
safetensors_tensor(
    const struct safetensors *st, const char *name, struct tensor *out, struct t2l_error *err)
{
	const struct safetensors_entry *entry = safetensors_find(st, name);
	char shown[SHOWN];
	const void *bytes;

	visible_copy(shown, sizeof shown, name, strlen(name), 0);
	if (entry == NULL)
		return t2l_fail(err, T2L_ENOENT, "%s: it has no tensor '%s'", st->path, shown);
	if (!entry->convertible)
		return t2l_fail(err, T2L_EUNSUPPORTED,
		    "%s: tensor '%s': dtype %s with %d dimensions is not supported", st->path,
		    shown, entry->dtype_text, entry->n_dims);
	bytes = aligned_bytes(st, entry);
	if (bytes == NULL)
		return no_memory(st->path, err);
	*out = (struct tensor){
		.dtype = entry->dtype, .n_dims = entry->n_dims, .data = (void *)bytes
	};
	memcpy(out->shape, entry->shape, sizeof out->shape);
	if (out->n_dims == 0) {
		out->n_dims = 1;
		out->shape[0] = 1;
	}
	return T2L_OK;
}

/* "[4, -, 16]" */
static void
shape_text(int n_dims, const int64_t *shape, char *out, size_t size)
{
	size_t used = (size_t)snprintf(out, size, "[");

	for (int i = 0; i < n_dims && used < size; i++)
		used += (size_t)(shape[i] < 0
				     ? snprintf(out + used, size - used, "%s*", i > 0 ? ", " : "")
				     : snprintf(out + used, size - used, "%s%lld",
					   i > 0 ? ", " : "", (long long)shape[i]));
	if (used < size)
		snprintf(out + used, size - used, "]");
}

enum t2l_status
safetensors_tensor_of_shape(const struct safetensors *st, const char *name, int n_dims,
    const int64_t *shape, struct tensor *out, struct t2l_error *err)
{
	char found[128], wanted[128], shown[SHOWN];
	struct tensor tensor;
	enum t2l_status status = safetensors_tensor(st, name, &tensor, err);
	bool fits;

	if (status != T2L_OK)
		return status;
	fits = tensor.n_dims == n_dims;
	for (int i = 0; fits && i < n_dims; i++)
		fits = shape[i] == -1 || tensor.shape[i] == shape[i];
	if (fits) {
		*out = tensor;
		return T2L_OK;
	}
	visible_copy(shown, sizeof shown, name, strlen(name), 0);
	shape_text(tensor.n_dims, tensor.shape, found, sizeof found);
	shape_text(n_dims, shape, wanted, sizeof wanted);
	return t2l_fail(err, T2L_EMISMATCH, "%s: tensor '%s' has shape %s, expected %s", st->path,
	    shown, found, wanted);
}
