/*
 * base/atomic-file.h - a file that appears whole or not at all.
 *
 * Bytes go to a new file in the target's folder, which commit fsyncs and renames over the
 * target (then fsyncs the folder): whoever opens the target sees the old bytes or all the new
 * ones, also after a crash or kill -9. A symbolic link is followed, not replaced. A target that
 * exists and is not a regular file (a pipe, /dev/stdout) is written directly.
 *
 * Errors come through errno. They are sticky: after a failed write (disk full, ...) every later
 * call fails with the same errno, and commit removes the temporary file.
 */
#ifndef BASE_ATOMIC_FILE_H
#define BASE_ATOMIC_FILE_H

#include <stddef.h>

/* A process that was killed leaves FOLDER/.t2l-XXXXXXXXXXXXXXXX.tmp behind; nobody reads those. */
#define ATOMIC_FILE_PREFIX ".t2l-"
#define ATOMIC_FILE_SUFFIX ".tmp"

struct atomic_file;

/* NULL with errno when the folder cannot be written or the file is write-protected. Mode is that of
 * the file it replaces, or 0666 less the umask. */
struct atomic_file *atomic_file_open(const char *path);

int atomic_file_write(struct atomic_file *file, const void *bytes, size_t n); /* 0 or -1 */
int atomic_file_printf(struct atomic_file *file, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Both end the file's life. Commit returns 0, or -1 with the target untouched (but for an I/O
 * error of the folder's fsync, when the new file is there but may not survive a power cut).
 * abort(NULL) is fine and errno survives it. */
int atomic_file_commit(struct atomic_file *file);
void atomic_file_abort(struct atomic_file *file);

/* All of the above in one call. */
int atomic_write(const char *path, const void *bytes, size_t n);

#endif
