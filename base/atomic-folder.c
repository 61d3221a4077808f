/* atomic-folder.c - temporary name, rename, or file by file into a folder that is there. */
#include "base/atomic-folder.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/atomic-file.h"

#define PATH_SIZE 4096

static size_t
length_without_slashes(const char *path)
{
	size_t n = strlen(path);

	while (n > 1 && path[n - 1] == '/')
		n--;
	return n;
}

int
atomic_folder_make(const char *target, char *folder, size_t size)
{
	size_t n = length_without_slashes(target), begin = n;

	while (begin > 0 && target[begin - 1] != '/')
		begin--;
	if ((size_t)snprintf(
		folder, size, "%.*s" ATOMIC_FILE_PREFIX "XXXXXX", (int)begin, target) >= size) {
		errno = ENAMETOOLONG;
		return -1;
	}
	if (mkdtemp(folder) == NULL)
		return -1;
	return chmod(folder, 0755);
}

/* Moves each file to folder TO, or removes it when TO is NULL. */
static int
move_files(const char *folder, const char *to)
{
	char from[PATH_SIZE], path[PATH_SIZE];
	struct dirent *entry;
	DIR *dir = opendir(folder);
	int failed = dir == NULL ? -1 : 0;

	while (failed == 0 && (entry = readdir(dir)) != NULL) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (snprintf(from, sizeof from, "%s/%s", folder, entry->d_name) >=
			(int)sizeof from ||
		    (to != NULL && snprintf(path, sizeof path, "%s/%s", to, entry->d_name) >=
				       (int)sizeof path)) {
			errno = ENAMETOOLONG;
			failed = -1;
		} else {
			failed = to != NULL ? rename(from, path) : unlink(from);
		}
	}
	if (dir != NULL)
		closedir(dir);
	return failed;
}

int
atomic_folder_install(const char *folder, const char *target)
{
	char path[PATH_SIZE];

	if (snprintf(path, sizeof path, "%.*s", (int)length_without_slashes(target), target) >=
	    (int)sizeof path) {
		errno = ENAMETOOLONG;
		return -1;
	}
	if (rename(folder, path) == 0)
		return 0;
	if ((errno != ENOTEMPTY && errno != EEXIST) || move_files(folder, path) != 0)
		return -1;
	return rmdir(folder);
}

void
atomic_folder_discard(const char *folder)
{
	int saved = errno;

	move_files(folder, NULL);
	rmdir(folder);
	errno = saved;
}
