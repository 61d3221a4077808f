/* gc.c - sweeping: old trash leaves the catalog, and files that nobody names leave the disk. */

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/atomic-file.h"
#include "base/buffer.h"
#include "store/internal.h"

#define DEFAULT_MIN_AGE_MS (10 * 60 * INT64_C(1000))
#define DEFAULT_TRASH_AGE_MS (30 * 24 * 3600 * INT64_C(1000))
#define SUFFIX ".safetensors"

struct sweep {
	struct store *store;
	const struct store_gc *options;
	struct store_gc_result *result;
	int64_t older_than_ms;
	int64_t purge_before_ms;  /* of the trash */
	struct buffer candidates; /* paths, each with its NUL */
};

/* The hash in an adapter file's name, or NULL. */
static bool
hash_of_name(const char *name, char hash[HASH_HEX_SIZE])
{
	size_t digits = strspn(name, "0123456789abcdef");

	if (digits != HASH_HEX_SIZE - 1 || strcmp(name + digits, SUFFIX) != 0)
		return false;
	memcpy(hash, name, digits);
	hash[digits] = '\0';
	return true;
}

static bool
is_temporary(const char *name)
{
	size_t length = strlen(name), suffix = strlen(ATOMIC_FILE_SUFFIX);

	return strncmp(name, ATOMIC_FILE_PREFIX, strlen(ATOMIC_FILE_PREFIX)) == 0 &&
	       length > suffix && strcmp(name + length - suffix, ATOMIC_FILE_SUFFIX) == 0;
}

/* Whether rows name this file. Files that are not ours count as named: we leave them alone. What
 * is old in the trash counts as gone, which it is unless this is a dry run. */
static enum store_status
is_named(struct sweep *sweep, const char *path, bool *named)
{
	const char *name = strrchr(path, '/') + 1;
	char hash[HASH_HEX_SIZE];
	enum store_status status;
	int64_t n;

	*named = !is_temporary(name);
	if (!hash_of_name(name, hash))
		return STORE_OK;
	status = sql_int64(sweep->store, &n,
	    "SELECT count(*) FROM adapters WHERE hash = ? AND coalesce(trashed_ms, ?2) >= ?2", "ti",
	    hash, sweep->purge_before_ms);
	*named = n > 0;
	return status;
}

/* A temporary file may be somebody's who is writing it, whatever age the caller calls old. */
static bool
is_old(const struct sweep *sweep, const char *path, int64_t *size_bytes)
{
	int64_t older_than_ms = sweep->older_than_ms;
	struct stat st;

	if (is_temporary(strrchr(path, '/') + 1) && older_than_ms > now_ms() - DEFAULT_MIN_AGE_MS)
		older_than_ms = now_ms() - DEFAULT_MIN_AGE_MS;

	/* lstat: a link is not ours and its age not the file's. */
	if (lstat(path, &st) == -1 || !S_ISREG(st.st_mode))
		return false;
	*size_bytes = st.st_size;
	return (int64_t)st.st_mtime * 1000 < older_than_ms;
}

/* First look, without a lock: most files are named, and asking takes a while. */
static enum store_status
collect_folder(struct sweep *sweep, const char *folder)
{
	DIR *directory = opendir(folder);
	enum store_status status = STORE_OK;
	struct dirent *entry;

	if (directory == NULL)
		return errno == ENOENT || errno == ENOTDIR
			   ? STORE_OK
			   : store_fail_errno(sweep->store, "cannot read '%s'", folder);
	while (status == STORE_OK && (entry = readdir(directory)) != NULL) {
		struct buffer path = { 0 };
		int64_t size_bytes;
		bool named = true;

		buffer_printf(&path, "%s/%s", folder, entry->d_name);
		if (is_old(sweep, buffer_string(&path), &size_bytes))
			status = is_named(sweep, buffer_string(&path), &named);
		if (status == STORE_OK && !named)
			buffer_append(&sweep->candidates, buffer_string(&path), path.n + 1);
		buffer_free(&path);
		if (atomic_load(&sweep->store->interrupted))
			status = store_fail(sweep->store, STORE_ECANCELLED, "gc: cancelled");
	}
	closedir(directory);
	return status;
}

static enum store_status
collect(struct sweep *sweep)
{
	enum store_status status = STORE_OK;

	for (unsigned byte = 0; status == STORE_OK && byte < 256; byte++) {
		struct buffer folder = { 0 };

		buffer_printf(&folder, "%s/adapters/%02x", sweep->store->home, byte);
		status = collect_folder(sweep, buffer_string(&folder));
		buffer_free(&folder);
	}
	if (status == STORE_OK && buffer_failed(&sweep->candidates))
		status = store_fail(sweep->store, STORE_ENOMEM, "out of memory");
	return status;
}

/* Second look, under the write lock: an adapter that was added meanwhile keeps its file. */
static enum store_status
sweep_file(struct sweep *sweep, const char *path)
{
	enum store_status status;
	int64_t size_bytes = 0;
	bool named = true;

	if (!is_old(sweep, path, &size_bytes))
		return STORE_OK;
	status = is_named(sweep, path, &named);
	if (status != STORE_OK || named)
		return status;
	if (sweep->options->file != NULL &&
	    !sweep->options->file(sweep->options->context, path, size_bytes))
		return store_fail(sweep->store, STORE_ECANCELLED, "gc: stopped");
	if (!sweep->options->dry_run && unlink(path) == -1 && errno != ENOENT)
		return store_fail_errno(sweep->store, "cannot delete '%s'", path);
	sweep->result->n_files++;
	sweep->result->n_bytes += size_bytes;
	return STORE_OK;
}

static enum store_status
sweep_files(struct sweep *sweep)
{
	const struct buffer *all = &sweep->candidates;
	enum store_status status = STORE_OK;

	for (size_t at = 0; status == STORE_OK && at < all->n; at += strlen(all->bytes + at) + 1)
		status = sweep_file(sweep, all->bytes + at);
	return status;
}

static enum store_status
purge_old_trash(struct sweep *sweep)
{
	int64_t before = sweep->purge_before_ms, n;
	enum store_status status;

	if (!sweep->options->dry_run)
		return store_purge(sweep->store, before, &sweep->result->n_purged);
	status = sql_int64(sweep->store, &n,
	    "SELECT count(*) FROM adapters WHERE trashed_ms IS NOT NULL AND trashed_ms < ?", "i",
	    before);
	if (status == STORE_OK)
		sweep->result->n_purged = (uint64_t)n;
	return status;
}

enum store_status
store_gc(struct store *store, const struct store_gc *options, struct store_gc_result *result)
{
	int64_t age = options->min_age_ms != 0 ? options->min_age_ms : DEFAULT_MIN_AGE_MS;
	int64_t trash_age =
	    options->trash_age_ms != 0 ? options->trash_age_ms : DEFAULT_TRASH_AGE_MS;
	struct sweep sweep = { .store = store,
		.options = options,
		.result = result,
		.older_than_ms = now_ms() - age,
		.purge_before_ms = trash_age < 0 ? INT64_MIN : now_ms() - trash_age };
	enum store_status status;

	memset(result, 0, sizeof *result);
	atomic_store(&store->interrupted, false);
	status = purge_old_trash(&sweep);
	if (status == STORE_OK)
		status = collect(&sweep);
	if (status == STORE_OK && options->dry_run)
		status = sweep_files(&sweep);
	else if (status == STORE_OK && sweep.candidates.n > 0) {
		status = transaction_begin(store);
		if (status == STORE_OK)
			status = transaction_end(store, sweep_files(&sweep));
	}
	buffer_free(&sweep.candidates);
	return status;
}
