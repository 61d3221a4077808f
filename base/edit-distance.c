/* edit-distance.c - how far one name is from another, to guess what was meant. */

#include <stdint.h>
#include <string.h>

#include "base/edit-distance.h"

size_t
edit_distance(const char *a, const char *b)
{
	/* row[j]: the distance of the first i bytes of A from the first j of B */
	size_t row[EDIT_DISTANCE_MAX_BYTES + 1];
	size_t n_a = strlen(a), n_b = strlen(b);

	if (n_a > EDIT_DISTANCE_MAX_BYTES || n_b > EDIT_DISTANCE_MAX_BYTES)
		return SIZE_MAX;
	for (size_t j = 0; j <= n_b; j++)
		row[j] = j;
	for (size_t i = 1; i <= n_a; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= n_b; j++) {
			size_t best = diagonal + (a[i - 1] != b[j - 1]);

			diagonal = row[j];
			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			row[j] = best;
		}
	}
	return row[n_b];
}

struct nearest
nearest_to(const char *written)
{
	return (struct nearest){ .written = written, .least = strlen(written) / 3 + 2 };
}

void
nearest_try(struct nearest *nearest, const char *name)
{
	size_t distance = edit_distance(nearest->written, name);

	if (distance < nearest->least) {
		nearest->least = distance;
		nearest->best = name;
	}
}
