/*
 * engine/text/ids.h - a growable array of token ids.
 *
 * A failed allocation is remembered in `failed`, and later appends do nothing: check once at the
 * end. A zeroed array is empty and valid.
 */
#ifndef ENGINE_TEXT_IDS_H
#define ENGINE_TEXT_IDS_H

#include "engine/t2l.h"

struct id_array {
	int32_t *at;
	size_t n, capacity;
	bool failed;
};

void id_array_append(struct id_array *array, int32_t id);
void id_array_free(struct id_array *array);

/* Grows *ARRAY of *CAPACITY elements of SIZE bytes to at least WANTED elements, doubling.
 * False: out of memory, nothing has changed. */
bool array_grow(void **array, size_t *capacity, size_t wanted, size_t size);

#endif
