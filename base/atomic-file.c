/* atomic-file.c - temporary name, fsync, rename, fsync of the folder. */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/atomic-file.h"
#include "base/buffer.h"

#define PENDING_BYTES 65536 /* small writes are gathered up to this */

struct atomic_file {
	char *target;	 /* links resolved */
	char *temporary; /* NULL when the target is written directly */
	int fd;
	int error; /* the first errno; sticky */
	size_t n_pending;
	char pending[PENDING_BYTES];
};

static size_t
folder_length(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash != NULL ? (size_t)(slash - path) + 1 : 0;
}

static char *
temporary_name(const char *target)
{
	struct buffer name = { 0 };
	uint64_t number;

	if (getrandom(&number, sizeof number, 0) != (ssize_t)sizeof number)
		return NULL;
	buffer_append(&name, target, folder_length(target));
	buffer_printf(
	    &name, ATOMIC_FILE_PREFIX "%016llx" ATOMIC_FILE_SUFFIX, (unsigned long long)number);
	return buffer_take(&name);
}

/* Opens the temporary file, or the target itself when that is no regular file. */
static int
open_for_writing(struct atomic_file *file)
{
	struct stat st;
	bool exists = stat(file->target, &st) == 0;

	if (exists && !S_ISREG(st.st_mode)) {
		file->fd = open(file->target, O_WRONLY | O_CLOEXEC | O_NOCTTY);
		return file->fd == -1 ? -1 : 0;
	}
	/* Renaming would replace a write-protected file all the same. */
	if (exists && access(file->target, W_OK) == -1)
		return -1;
	file->temporary = temporary_name(file->target);
	if (file->temporary == NULL)
		return -1;
	file->fd = open(file->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
	    exists ? st.st_mode & 0666 : 0666);
	if (file->fd == -1)
		return -1;
	/* What was private stays so. Some file systems have no modes: no error. */
	if (exists)
		(void)!fchmod(file->fd, st.st_mode & 0777);
	return 0;
}

struct atomic_file *
atomic_file_open(const char *path)
{
	struct atomic_file *file = malloc(sizeof *file);

	if (file == NULL)
		return NULL;
	file->temporary = NULL;
	file->fd = -1;
	file->error = 0;
	file->n_pending = 0;
	file->target = realpath(path, NULL);
	if (file->target == NULL && errno == ENOENT)
		file->target = strdup(path);
	if (file->target == NULL || open_for_writing(file) == -1) {
		int number = errno;

		free(file->temporary); /* not created, nothing to remove */
		file->temporary = NULL;
		atomic_file_abort(file);
		errno = number;
		return NULL;
	}
	return file;
}

static int
fail(struct atomic_file *file, int number)
{
	if (file->error == 0)
		file->error = number;
	errno = file->error;
	return -1;
}

static int
write_all(struct atomic_file *file, const char *bytes, size_t n)
{
	while (n > 0) {
		ssize_t written = write(file->fd, bytes, n < SSIZE_MAX ? n : SSIZE_MAX);

		if (written == -1 && errno == EINTR)
			continue;
		if (written <= 0)
			return fail(file, written == 0 ? ENOSPC : errno);
		bytes += written;
		n -= (size_t)written;
	}
	return 0;
}

static int
flush_pending(struct atomic_file *file)
{
	size_t n = file->n_pending;

	file->n_pending = 0;
	return write_all(file, file->pending, n);
}

int
atomic_file_write(struct atomic_file *file, const void *bytes, size_t n)
{
	if (file->error != 0)
		return fail(file, file->error);
	if (n > PENDING_BYTES - file->n_pending && flush_pending(file) == -1)
		return -1;
	if (n > PENDING_BYTES)
		return write_all(file, bytes, n);
	if (n > 0)
		memcpy(file->pending + file->n_pending, bytes, n);
	file->n_pending += n;
	return 0;
}

int
atomic_file_printf(struct atomic_file *file, const char *format, ...)
{
	struct buffer text = { 0 };
	va_list args;
	int result;

	va_start(args, format);
	buffer_vprintf(&text, format, args);
	va_end(args);
	result =
	    buffer_failed(&text) ? fail(file, ENOMEM) : atomic_file_write(file, text.bytes, text.n);
	buffer_free(&text);
	return result;
}

/* Makes the rename itself durable. Folders of some file systems cannot be fsynced: not an error. */
static int
sync_folder(const char *path)
{
	size_t n = folder_length(path);
	char *folder = n > 0 ? strndup(path, n) : strdup(".");
	int fd, result = 0;

	if (folder == NULL)
		return -1;
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	free(folder);
	if (fd == -1)
		return errno == EACCES ? 0 : -1;
	if (fsync(fd) == -1 && errno != EINVAL && errno != EROFS)
		result = -1;
	close(fd);
	return result;
}

/* Closes the descriptor once; close() is where some file systems first report a full disk. */
static int
close_file(struct atomic_file *file)
{
	int fd = file->fd;

	file->fd = -1;
	if (fd != -1 && close(fd) == -1 && errno != EINTR)
		return fail(file, errno);
	return 0;
}

int
atomic_file_commit(struct atomic_file *file)
{
	bool renamed = false;

	if (file->error == 0)
		flush_pending(file);
	if (file->error == 0 && file->temporary != NULL && fsync(file->fd) == -1)
		fail(file, errno);
	close_file(file);
	if (file->error == 0 && file->temporary != NULL) {
		if (rename(file->temporary, file->target) == -1)
			fail(file, errno);
		else
			renamed = true;
	}
	if (renamed) {
		free(file->temporary);
		file->temporary = NULL;
		if (sync_folder(file->target) == -1)
			fail(file, errno);
	}
	errno = file->error;
	if (file->error == 0) {
		atomic_file_abort(file);
		return 0;
	}
	atomic_file_abort(file);
	return -1;
}

void
atomic_file_abort(struct atomic_file *file)
{
	int number = errno;

	if (file == NULL)
		return;
	if (file->fd != -1)
		close(file->fd);
	if (file->temporary != NULL)
		unlink(file->temporary);
	free(file->temporary);
	free(file->target);
	free(file);
	errno = number;
}

int
atomic_write(const char *path, const void *bytes, size_t n)
{
	struct atomic_file *file = atomic_file_open(path);

	if (file == NULL)
		return -1;
	atomic_file_write(file, bytes, n); /* an error is sticky: commit reports it */
	return atomic_file_commit(file);
}
