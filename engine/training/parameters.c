/* parameters.c - keeps gradients and moments beside the tensors that are trained. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/error.h"
#include "engine/training/parameters.h"

enum t2l_status
parameter_set_add(struct parameter_set *set, const char *name, struct tensor *tensor,
    enum update_rule rule, struct t2l_error *err)
{
	if (set->n == set->n_allocated) {
		size_t n = set->n_allocated ? 2 * set->n_allocated : 64;
		struct parameter *items = realloc(set->items, n * sizeof *items);

		if (items == NULL)
			return t2l_fail(err, T2L_ENOMEM, "training: out of memory");
		set->items = items;
		set->n_allocated = n;
	}
	struct parameter *parameter = &set->items[set->n++];

	*parameter = (struct parameter){ .tensor = tensor, .rule = rule };
	snprintf(parameter->name, sizeof parameter->name, "%s", name);
	set->n_numbers += tensor_count(tensor);
	return T2L_OK;
}

/* Each array starts on a cache line: 16 floats. */
static size_t
padded(int64_t n)
{
	return ((size_t)n + 15) & ~(size_t)15;
}

enum t2l_status
parameter_set_allocate(struct parameter_set *set, struct t2l_error *err)
{
	size_t n = 0;

	for (size_t i = 0; i < set->n; i++)
		n += (set->items[i].rule == UPDATE_MUON ? 2 : 3) *
		     padded(tensor_count(set->items[i].tensor));
	set->memory = aligned_alloc(64, n * sizeof(float));
	if (set->memory == NULL)
		return t2l_fail(err, T2L_ENOMEM,
		    "training: no memory for gradients and moments (%zu MiB)", n * 4 >> 20);
	memset(set->memory, 0, n * sizeof(float));

	float *next = set->memory;

	/* Gradients first, in one run, so that they are zeroed at once. */
	for (size_t i = 0; i < set->n; i++) {
		set->items[i].tensor->grad = next;
		next += padded(tensor_count(set->items[i].tensor));
	}
	for (size_t i = 0; i < set->n; i++) {
		struct parameter *parameter = &set->items[i];
		size_t size = padded(tensor_count(parameter->tensor));

		parameter->m = next;
		next += size;
		if (parameter->rule != UPDATE_MUON) {
			parameter->v = next;
			next += size;
		}
	}
	return T2L_OK;
}

void
parameter_set_zero_gradients(struct parameter_set *set)
{
	if (set->n > 0)
		memset(set->memory, 0, parameter_set_gradient_numbers(set) * sizeof *set->memory);
}

size_t
parameter_set_gradient_numbers(const struct parameter_set *set)
{
	return set->n > 0 ? (size_t)(set->items[0].m - set->memory) : 0;
}

void
parameter_set_release(struct parameter_set *set)
{
	for (size_t i = 0; i < set->n; i++)
		set->items[i].tensor->grad = NULL;
	free(set->items);
	free(set->memory);
	*set = (struct parameter_set){ 0 };
}

struct parameter *
parameter_set_find(const struct parameter_set *set, const char *name)
{
	for (size_t i = 0; i < set->n; i++)
		if (strcmp(set->items[i].name, name) == 0)
			return &set->items[i];
	return NULL;
}
