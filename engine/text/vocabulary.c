/* vocabulary.c - tables of strings by token id, and the way back. */

#include <stdlib.h>
#include <string.h>

#include "engine/text/vocabulary.h"

#define NO_STRING SIZE_MAX

static bool
table_reserve(struct string_table *table, size_t n)
{
	size_t capacity = table->capacity;
	void *offsets = table->offsets, *lengths = table->lengths;

	if (n <= table->capacity)
		return true;
	if (!array_grow(&offsets, &capacity, n, sizeof *table->offsets))
		return false;
	table->offsets = offsets;
	capacity = table->capacity;
	if (!array_grow(&lengths, &capacity, n, sizeof *table->lengths))
		return false;
	table->lengths = lengths;
	table->capacity = capacity;
	return true;
}

bool
string_table_set(struct string_table *table, int32_t id, const char *bytes, size_t n_bytes)
{
	size_t offset = table->arena.n;

	if (n_bytes > UINT32_MAX || !table_reserve(table, (size_t)id + 1))
		return false;
	buffer_append(&table->arena, bytes, n_bytes);
	buffer_append(&table->arena, "", 1);
	if (table->arena.failed)
		return false;
	while (table->n <= (size_t)id)
		table->offsets[table->n++] = NO_STRING;
	table->offsets[id] = offset;
	table->lengths[id] = (uint32_t)n_bytes;
	return true;
}

const char *
string_table_get(const struct string_table *table, int32_t id, size_t *n_bytes)
{
	if (id < 0 || (size_t)id >= table->n || table->offsets[id] == NO_STRING)
		return NULL;
	*n_bytes = table->lengths[id];
	return table->arena.bytes + table->offsets[id];
}

void
string_table_free(struct string_table *table)
{
	buffer_free(&table->arena);
	free(table->offsets);
	free(table->lengths);
	*table = (struct string_table){ 0 };
}

/* Eight bytes a step; multiplication spreads upwards, the shift brings it down again. */
uint32_t
string_hash(const char *bytes, size_t n_bytes)
{
	uint64_t hash = n_bytes * UINT64_C(0x9E3779B97F4A7C15), word;

	while (n_bytes >= sizeof word) {
		memcpy(&word, bytes, sizeof word);
		hash = (hash ^ word) * UINT64_C(0xD6E8FEB86659FD93);
		hash ^= hash >> 32;
		bytes += sizeof word;
		n_bytes -= sizeof word;
	}
	word = 0;
	memcpy(&word, bytes, n_bytes);
	hash = (hash ^ word) * UINT64_C(0xD6E8FEB86659FD93);
	return (uint32_t)(hash >> 32);
}

bool
string_index_open(struct string_index *index, size_t n)
{
	size_t n_slots = 16, i;

	while (n_slots < 2 * n)
		n_slots *= 2;
	index->slots = malloc(n_slots * sizeof *index->slots);
	if (index->slots == NULL)
		return false;
	for (i = 0; i < n_slots; i++)
		index->slots[i].id = -1;
	index->mask = n_slots - 1;
	index->n = 0;
	return true;
}

/* The slot that holds the string, or the free one where it belongs. */
static struct string_slot *
find_slot(const struct string_index *index, const struct string_table *table, const char *bytes,
    size_t n_bytes, uint32_t hash)
{
	size_t at = hash & index->mask;

	for (;; at = (at + 1) & index->mask) {
		struct string_slot *slot = &index->slots[at];

		if (slot->id < 0)
			return slot;
		if (slot->hash == hash && table->lengths[slot->id] == n_bytes &&
		    memcmp(table->arena.bytes + table->offsets[slot->id], bytes, n_bytes) == 0)
			return slot;
	}
}

int32_t
string_index_add(struct string_index *index, const struct string_table *table, int32_t id)
{
	const char *bytes = table->arena.bytes + table->offsets[id];
	uint32_t hash = string_hash(bytes, table->lengths[id]);
	struct string_slot *slot = find_slot(index, table, bytes, table->lengths[id], hash);

	if (slot->id < 0) {
		slot->hash = hash;
		slot->id = id;
		index->n++;
	}
	return slot->id;
}

int32_t
string_index_find(const struct string_index *index, const struct string_table *table,
    const char *bytes, size_t n_bytes)
{
	if (index->slots == NULL)
		return -1;
	return find_slot(index, table, bytes, n_bytes, string_hash(bytes, n_bytes))->id;
}

void
string_index_free(struct string_index *index)
{
	free(index->slots);
	*index = (struct string_index){ 0 };
}
