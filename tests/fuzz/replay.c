/*
 * replay.c - runs a fuzz target over its corpus without libFuzzer: each file whole, and cut at
 * up to 200 places. What once crashed is put into the corpus and stays tested.
 *
 * The program replay-NAME reads tests/fuzz/corpus/NAME, or the files named on its command line.
 */

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/file.h"
#include "tests/fuzz/fuzz.h"

#define MAX_BYTES (16 << 20)
#define N_CUTS 200

/* A copy of exactly N bytes, so that a sanitizer notices one byte too many. */
static void
run_copy(const char *bytes, size_t n)
{
	uint8_t *copy = malloc(n > 0 ? n : 1);

	if (copy == NULL)
		abort();
	memcpy(copy, bytes, n);
	LLVMFuzzerTestOneInput(copy, n);
	free(copy);
}

static int
replay_file(const char *path)
{
	size_t n;
	char *bytes = read_whole_file(path, MAX_BYTES, &n);

	if (bytes == NULL) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return 1;
	}
	run_copy(bytes, n);
	for (size_t i = 0; i < N_CUTS; i++)
		run_copy(bytes, n * i / N_CUTS);
	free(bytes);
	return 0;
}

static int
replay_folder(const char *path)
{
	DIR *folder = opendir(path);
	struct dirent *entry;
	int n = 0, failed = 0;

	while (folder != NULL && (entry = readdir(folder)) != NULL) {
		struct buffer file = { 0 };

		if (entry->d_name[0] == '.')
			continue;
		buffer_printf(&file, "%s/%s", path, entry->d_name);
		failed |= replay_file(buffer_string(&file));
		buffer_free(&file);
		n++;
	}
	if (folder != NULL)
		closedir(folder);
	printf("%s: %d files\n", path, n);
	return failed || n == 0;
}

int
main(int argc, char **argv)
{
	const char *name = strstr(argv[0], "replay-");
	const char *srcdir = getenv("T2L_SRCDIR");
	struct buffer folder = { 0 };
	int failed = 0;

	for (int i = 1; i < argc; i++)
		failed |= replay_file(argv[i]);
	if (argc > 1 || name == NULL)
		return failed || name == NULL;
	buffer_printf(&folder, "%s/tests/fuzz/corpus/%s", srcdir != NULL ? srcdir : ".",
	    name + strlen("replay-"));
	failed = replay_folder(buffer_string(&folder));
	buffer_free(&folder);
	return failed;
}
