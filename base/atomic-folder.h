/*
 * base/atomic-folder.h - a folder of files that appears when all of it is there.
 *
 * Files are made in a new folder beside the target, which install renames. A target that is there
 * already keeps what the new folder has not: each new file replaces its namesake. Only plain files
 * are expected within. Errors come through errno.
 */
#ifndef BASE_ATOMIC_FOLDER_H
#define BASE_ATOMIC_FOLDER_H

#include <stddef.h>

/* A new folder beside TARGET, whose name goes to FOLDER. 0 or -1. */
int atomic_folder_make(const char *target, char *folder, size_t size);
/* 0 or -1; then FOLDER is still to be discarded. */
int atomic_folder_install(const char *folder, const char *target);
/* Removes FOLDER and the files in it; errno survives it. */
void atomic_folder_discard(const char *folder);

#endif
