/*
 * base/file.h - whole files in memory: mapped, or read up to a limit.
 */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A regular file, mapped read-only; BYTES stay valid until mapped_file_close(), also when the
 * name is removed or replaced. Never NULL, also when N is 0. (Who cuts a mapped file short in
 * place makes reading it fault: SIGBUS. Files that are replaced by renaming, as ours are, do not.)
 */
struct mapped_file {
	const uint8_t *bytes;
	size_t n;
};

/* 0, or -1 with errno: EISDIR for a folder, ENODEV for what cannot be mapped (pipe, device). */
int mapped_file_open(const char *path, struct mapped_file *out);
void mapped_file_close(struct mapped_file *file); /* fine on a zeroed or closed one */

/* N_BYTES at BYTES are not needed soon: where they are the file's, whole pages of them leave memory.
 * They stay readable. Other memory is left alone. */
void mapped_file_forget(const struct mapped_file *file, const void *bytes, size_t n_bytes);

/* Fresh memory with all of PATH and a NUL behind it; free() it. N_OUT may be NULL. Pipes work.
 * NULL with errno: EFBIG above LIMIT bytes. */
char *read_whole_file(const char *path, size_t limit, size_t *n_out);

/* What stands in a cloned repository where Git LFS did not fetch the file. */
bool is_lfs_pointer(const void *bytes, size_t n);

#endif
