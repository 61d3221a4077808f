/*
 * reference-case.h - checkpoints as the reference wrote them, with the adapters it makes.
 *
 * Committed cases lie in tests/golden/hypernet/reference/CASE, apart from those of the same names
 * that are cut to the needs of other tests; the others in hypernet/CASE of the whole golden data.
 */
#ifndef TESTS_UNIT_REFERENCE_CASE_H
#define TESTS_UNIT_REFERENCE_CASE_H

#include "tests/unit/golden-tensors.h"

/* FOLDER [SIZE] of the case NAME; false when it is nowhere. */
static inline bool
find_reference_case(const char *name, char *folder, size_t size)
{
	static const char *const places[] = { "hypernet/reference/%s/hypermod.pt",
		"hypernet/%s/hypermod.pt" };

	for (size_t i = 0; i < 2; i++) {
		char relative[256];
		const char *path;

		snprintf(relative, sizeof relative, places[i], name);
		path = golden_path(relative);
		if (path == NULL)
			continue;
		snprintf(folder, size, "%.*s", (int)(strrchr(path, '/') - path), path);
		return true;
	}
	return false;
}

/* The path of FILE of the case, or leaves the test as skipped. Lives until the next eight calls. */
static inline const char *
need_reference(const char *name, const char *file)
{
	static char paths[8][4200];
	static unsigned turn;
	char folder[4096], *path = paths[turn++ % 8];

	if (!find_reference_case(name, folder, sizeof folder)) {
		print_message("skipped: the checkpoint %s is not here\n", name);
		skip();
	}
	snprintf(path, sizeof paths[0], "%s/%s", folder, file);
	return path;
}

#endif
