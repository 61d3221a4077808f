/* files.c - adapter files by content: one hash, one file, in place before any row names it. */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/atomic-file.h"
#include "base/buffer.h"
#include "store/internal.h"

#define CHUNK_BYTES (1 << 16)

char *
file_path(const struct store *store, const char *hash)
{
	struct buffer path = { 0 };

	buffer_printf(&path, "%s/adapters/%.2s/%s.safetensors", store->home, hash, hash);
	return buffer_take(&path);
}

enum store_status
content_measure(struct store *store, struct content *content)
{
	struct stat st;

	if (content->file == NULL) {
		if (content->bytes == NULL || content->n_bytes == 0)
			return store_fail(store, STORE_EINVAL, "the adapter has no content");
		hash_sha256_hex(content->bytes, content->n_bytes, content->hash);
		content->size_bytes = (int64_t)content->n_bytes;
		return STORE_OK;
	}
	if (stat(content->file, &st) == -1 ||
	    (S_ISREG(st.st_mode) && hash_sha256_file(content->file, content->hash) == -1)) {
		int number = errno;

		/* What is wrong is the caller's file, not the catalog. */
		return store_fail(store, number == ENOENT ? STORE_ENOENT : STORE_EIO,
		    "cannot read the adapter file '%s': %s", content->file, strerror(number));
	}
	if (!S_ISREG(st.st_mode) || st.st_size == 0)
		return store_fail(store, STORE_EINVAL, "'%s' is %s; give an adapter file",
		    content->file, S_ISREG(st.st_mode) ? "empty" : "not a regular file");
	content->size_bytes = st.st_size;
	return STORE_OK;
}

/* Makes the names in the folder of PATH durable. */
static int
sync_folder_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *folder = slash != NULL ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
	int fd, result;

	if (folder == NULL)
		return -1;
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	free(folder);
	if (fd == -1)
		return -1;
	result = fsync(fd) == -1 && errno != EINVAL ? -1 : 0;
	close(fd);
	return result;
}

/* mkdir, durable: a file in a folder that a power cut forgets would be forgotten, too. A folder
 * that is there may be another process's, which has not come to its fsync yet. */
static int
make_folder(const char *path)
{
	if (mkdir(path, 0777) == -1 && errno != EEXIST)
		return -1;
	return sync_folder_of(path);
}

static enum store_status
make_folders(struct store *store, const char *hash)
{
	struct buffer folder = { 0 };
	enum store_status status = STORE_OK;

	buffer_printf(&folder, "%s/adapters", store->home);
	if (make_folder(buffer_string(&folder)) == 0) {
		buffer_printf(&folder, "/%.2s", hash);
		if (make_folder(buffer_string(&folder)) == 0)
			goto out;
	}
	status = store_fail_errno(store, "cannot create '%s'", buffer_string(&folder));
out:
	buffer_free(&folder);
	return status;
}

static enum store_status
copy_chunks(struct store *store, const struct content *content, int fd, struct atomic_file *target)
{
	char chunk[CHUNK_BYTES], copied[HASH_HEX_SIZE];
	struct hash hash;
	ssize_t n;

	hash_start(&hash);
	while ((n = read(fd, chunk, sizeof chunk)) != 0) {
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return store_fail(store, STORE_EIO, "cannot read the adapter file '%s': %s",
			    content->file, strerror(errno));
		hash_add(&hash, chunk, (size_t)n);
		if (atomic_file_write(target, chunk, (size_t)n) == -1)
			return store_fail_errno(
			    store, "cannot write an adapter file in '%s'", store->home);
	}
	hash_finish(&hash, copied);
	if (strcmp(copied, content->hash) != 0)
		return store_fail(store, STORE_EIO,
		    "the adapter file '%s' changed while it was being kept; try again",
		    content->file);
	return STORE_OK;
}

static enum store_status
write_file(struct store *store, const struct content *content, const char *path)
{
	struct atomic_file *target = atomic_file_open(path);
	enum store_status status = STORE_OK;
	int fd;

	if (target == NULL)
		return store_fail_errno(store, "cannot write '%s'", path);
	if (content->file == NULL) {
		atomic_file_write(target, content->bytes, content->n_bytes);
	} else {
		fd = open(content->file, O_RDONLY | O_CLOEXEC);
		if (fd == -1)
			status =
			    store_fail(store, STORE_EIO, "cannot read the adapter file '%s': %s",
				content->file, strerror(errno));
		else {
			status = copy_chunks(store, content, fd, target);
			close(fd);
		}
	}
	if (status != STORE_OK) {
		atomic_file_abort(target);
		return status;
	}
	if (atomic_file_commit(target) == -1)
		return store_fail_errno(store, "cannot write '%s'", path);
	return STORE_OK;
}

enum store_status
content_put(struct store *store, const struct content *content)
{
	enum store_status status = make_folders(store, content->hash);
	char there[HASH_HEX_SIZE], *path;

	if (status != STORE_OK)
		return status;
	path = file_path(store, content->hash);
	if (path == NULL)
		return store_fail(store, STORE_ENOMEM, "out of memory");
	/* A file that is there is read once more: a damaged one is healed by this copy. */
	if (hash_sha256_file(path, there) == -1 || strcmp(there, content->hash) != 0)
		status = write_file(store, content, path);
	else if (sync_folder_of(path) == -1)
		status = store_fail_errno(store, "cannot write '%s'", path);
	free(path);
	return status;
}

bool
content_present(struct store *store, const struct content *content)
{
	char *path = file_path(store, content->hash);
	struct stat st;
	bool present;

	present = path != NULL && stat(path, &st) == 0 && S_ISREG(st.st_mode) &&
		  st.st_size == content->size_bytes;
	free(path);
	return present;
}
