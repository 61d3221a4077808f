/*
 * base/edit-distance.h - how far one name is from another, to guess what was meant.
 */
#ifndef BASE_EDIT_DISTANCE_H
#define BASE_EDIT_DISTANCE_H

#include <stddef.h>

/* Longer names are not compared. */
#define EDIT_DISTANCE_MAX_BYTES 64

/* How many insertions, deletions and changes of a byte turn A into B (Levenshtein 1966); SIZE_MAX
 * when either is longer than EDIT_DISTANCE_MAX_BYTES. */
size_t edit_distance(const char *a, const char *b);

/* The known name that WRITTEN is probably meant to be: begin with nearest_to(), try every one. BEST
 * is NULL as long as none is near: a change for every three letters and one more. */
struct nearest {
	const char *written, *best;
	size_t least;
};
struct nearest nearest_to(const char *written);
void nearest_try(struct nearest *nearest, const char *name);

#endif
