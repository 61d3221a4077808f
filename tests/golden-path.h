/*
 * golden-path.h - where a test finds reference data.
 *
 * golden_path("encoder/bert_tiny/config.json") looks in tests/golden/ (committed), then in
 * $T2L_GOLDEN, then in ../shared/golden beside the checkout. Returns NULL when it is nowhere: the test then skips by name.
 * The string lives until the next eight calls.
 */
#ifndef TESTS_GOLDEN_PATH_H
#define TESTS_GOLDEN_PATH_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline const char *
golden_path(const char *relative)
{
	static char paths[8][4096];
	static unsigned turn;
	const char *srcdir = getenv("T2L_SRCDIR");
	const char *golden = getenv("T2L_GOLDEN");
	char *path = paths[turn++ % 8];

	if (srcdir == NULL)
		srcdir = ".";
	snprintf(path, sizeof paths[0], "%s/tests/golden/%s", srcdir, relative);
	if (access(path, R_OK) == 0)
		return path;
	if (golden != NULL)
		snprintf(path, sizeof paths[0], "%s/%s", golden, relative);
	else
		snprintf(path, sizeof paths[0], "%s/../shared/golden/%s", srcdir, relative);
	return access(path, R_OK) == 0 ? path : NULL;
}

#endif
