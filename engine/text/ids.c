/* ids.c - a growable array of token ids. */

#include <stdlib.h>

#include "engine/text/ids.h"

bool
array_grow(void **array, size_t *capacity, size_t wanted, size_t size)
{
	size_t next = *capacity < 16 ? 16 : *capacity;
	void *grown;

	if (wanted <= *capacity)
		return true;
	if (wanted > SIZE_MAX / 2 / size)
		return false;
	while (next < wanted)
		next *= 2;
	grown = realloc(*array, next * size);
	if (grown == NULL)
		return false;
	*array = grown;
	*capacity = next;
	return true;
}

void
id_array_append(struct id_array *array, int32_t id)
{
	void *at = array->at;

	if (array->n == array->capacity) {
		if (array->failed ||
		    !array_grow(&at, &array->capacity, array->n + 1, sizeof *array->at)) {
			array->failed = true;
			return;
		}
		array->at = at;
	}
	array->at[array->n++] = id;
}

void
id_array_free(struct id_array *array)
{
	free(array->at);
	*array = (struct id_array){ 0 };
}
