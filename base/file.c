/* file.c - maps or reads whole files. */

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/file.h"

static const uint8_t empty[1];

/* Maps the open FD; an empty file has nothing to map. */
static int
map_descriptor(int fd, struct mapped_file *out)
{
	struct stat st;
	void *bytes;

	if (fstat(fd, &st) == -1)
		return -1;
	if (!S_ISREG(st.st_mode)) {
		errno = S_ISDIR(st.st_mode) ? EISDIR : ENODEV;
		return -1;
	}
	if ((uint64_t)st.st_size > SIZE_MAX / 2) {
		errno = EFBIG;
		return -1;
	}
	*out = (struct mapped_file){ empty, (size_t)st.st_size };
	if (st.st_size == 0)
		return 0;
	bytes = mmap(NULL, out->n, PROT_READ, MAP_PRIVATE, fd, 0);
	if (bytes == MAP_FAILED)
		return -1;
	out->bytes = bytes;
	return 0;
}

int
mapped_file_open(const char *path, struct mapped_file *out)
{
	/* Not blocking: opening a pipe must fail, not wait for a writer. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	int result, number;

	if (fd == -1)
		return -1;
	result = map_descriptor(fd, out);
	number = errno;
	close(fd);
	errno = number;
	return result;
}

void
mapped_file_forget(const struct mapped_file *file, const void *bytes, size_t n_bytes)
{
	const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	const uintptr_t begin = ((uintptr_t)bytes + page - 1) / page * page;
	const uintptr_t end = ((uintptr_t)bytes + n_bytes) / page * page;
	const uintptr_t map = (uintptr_t)file->bytes;

	/* Anything but the file's own pages would lose its numbers. */
	if (file->n > 0 && begin < end && begin >= map && end <= map + file->n)
		madvise((void *)begin, end - begin, MADV_DONTNEED);
}

void
mapped_file_close(struct mapped_file *file)
{
	if (file->bytes != NULL && file->bytes != empty)
		munmap((void *)file->bytes, file->n);
	*file = (struct mapped_file){ 0 };
}

/* Appends all of FD to OUT; -1 with errno. */
static int
read_descriptor(int fd, size_t limit, struct buffer *out)
{
	char chunk[65536];
	ssize_t n;

	while ((n = read(fd, chunk, sizeof chunk)) != 0) {
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return -1;
		if ((size_t)n > limit - out->n) {
			errno = EFBIG;
			return -1;
		}
		buffer_append(out, chunk, (size_t)n);
		if (buffer_failed(out)) {
			errno = ENOMEM;
			return -1;
		}
	}
	return 0;
}

char *
read_whole_file(const char *path, size_t limit, size_t *n_out)
{
	struct buffer text = { 0 };
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	int result, number;
	char *bytes;

	if (fd == -1)
		return NULL;
	result = read_descriptor(fd, limit, &text);
	number = errno;
	close(fd);
	if (result == -1) {
		buffer_free(&text);
		errno = number;
		return NULL;
	}
	if (n_out != NULL)
		*n_out = text.n;
	bytes = buffer_take(&text);
	if (bytes == NULL)
		errno = ENOMEM;
	return bytes;
}

bool
is_lfs_pointer(const void *bytes, size_t n)
{
	static const char begin[] = "version https://git-lfs.github.com/spec/";

	return n >= sizeof begin - 1 && memcmp(bytes, begin, sizeof begin - 1) == 0;
}
