/*
 * src/device-profile.h - what a kind of device offers, from share/profiles.toml and the user's own.
 */
#ifndef SRC_DEVICE_PROFILE_H
#define SRC_DEVICE_PROFILE_H

#include "src/context.h"

struct device_profile {
	char name[64], description[160];
	double memory_bytes;	      /* for weights and caches */
	double bandwidth_bytes_per_s; /* declared */
	double efficiency;	      /* share of it that decoding reaches */
	long long context;	      /* tokens of one lane's cache */
};

/* False after telling which profiles there are, or what is wrong with a file. */
bool device_profile_find(struct context *ctx, const char *name, struct device_profile *profile);
/* Every profile, the user's first; false as above or when FN returns false. */
bool device_profile_each(
    struct context *ctx, bool (*fn)(void *user, const struct device_profile *profile), void *user);

#endif
