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

#endif
