/*
 * src/adapter-checks.h - what t2l validate and generate --validate look at.
 *
 * Opening an adapter has checked its file already: every length, finite numbers, shapes of A and B
 * that belong together. These are the questions that come after.
 */
#ifndef SRC_ADAPTER_CHECKS_H
#define SRC_ADAPTER_CHECKS_H

#include "engine/t2l.h"
#include "src/context.h"
#include "src/device-profile.h"

enum check_outcome { CHECK_FINE, CHECK_NOTE, CHECK_WRONG };

struct check_result {
	const char *name; /* "base" */
	enum check_outcome outcome;
	char text[512];
};

#define MAX_CHECKS 8

struct checks {
	struct check_result results[MAX_CHECKS];
	size_t n;
	bool wrong;	     /* one of them is */
	double memory_bytes; /* 0: not computed */
	double tokens_per_s; /* likewise */
};

struct check_options {
	const struct t2l_model *model;	      /* NULL: not looked at */
	const struct device_profile *profile; /* NULL: none */
	double max_memory_bytes;	      /* 0: the profile's, if any */
	const char *file, *file_hash; /* of the catalog: its file and that one's SHA-256; or NULL */
};

void checks_run(
    const struct t2l_adapter *adapter, const struct check_options *options, struct checks *checks);
/* "512MB", "2GB", "1.5GiB", "100000" -> bytes. */
bool bytes_parse(const char *text, double *bytes);

#endif
