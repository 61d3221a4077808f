/*
 * temporary-folder.h - a folder of its own for each test, removed with what is in it.
 */
#ifndef TESTS_UNIT_TEMPORARY_FOLDER_H
#define TESTS_UNIT_TEMPORARY_FOLDER_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char temporary_folder[64];

static inline int
make_temporary_folder(void **state)
{
	(void)state;
	strcpy(temporary_folder, "/tmp/t2l-test-XXXXXX");
	return mkdtemp(temporary_folder) != NULL ? 0 : -1;
}

/* The path of NAME in the folder; lives until the next eight calls. */
static inline const char *
in_folder(const char *name)
{
	static char paths[8][512];
	static unsigned turn;
	char *path = paths[turn++ % 8];

	snprintf(path, sizeof paths[0], "%s/%s", temporary_folder, name);
	return path;
}

/* How many files the folder has. */
static inline int
files_in_folder(void)
{
	DIR *folder = opendir(temporary_folder);
	struct dirent *entry;
	int n = 0;

	while (folder != NULL && (entry = readdir(folder)) != NULL)
		n += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
	if (folder != NULL)
		closedir(folder);
	return n;
}

/* 0 when PATH, a file or a folder with all that is in it, is gone. */
static inline int
remove_tree(const char *path)
{
	DIR *folder = opendir(path);
	struct dirent *entry;

	while (folder != NULL && (entry = readdir(folder)) != NULL) {
		size_t size = strlen(path) + strlen(entry->d_name) + 2;
		char *below = malloc(size);

		if (below == NULL)
			break;
		snprintf(below, size, "%s/%s", path, entry->d_name);
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
		    unlink(below) != 0) /* a link is not followed */
			remove_tree(below);
		free(below);
	}
	if (folder != NULL)
		closedir(folder);
	return folder != NULL ? rmdir(path) : unlink(path);
}

static inline int
remove_temporary_folder(void **state)
{
	(void)state;
	return remove_tree(temporary_folder);
}

#endif
