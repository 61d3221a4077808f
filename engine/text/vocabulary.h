/*
 * engine/text/vocabulary.h - tables of strings by token id, and the way back.
 *
 * Strings are kept in one arena, each ending in a NUL that its length does not count. An index
 * finds the id of a string; it may cover only some ids of its table.
 */
#ifndef ENGINE_TEXT_VOCABULARY_H
#define ENGINE_TEXT_VOCABULARY_H

#include "base/buffer.h"
#include "engine/text/ids.h"

/* Above the largest vocabulary in use by a factor of 16; keeps hostile ids from taking memory. */
#define VOCABULARY_MAX_TOKENS (1u << 22)

struct string_table {
	struct buffer arena;
	size_t *offsets;    /* [n]; SIZE_MAX: no string */
	uint32_t *lengths;  /* [n] bytes */
	size_t n, capacity; /* n is one more than the highest id */
};

/* Sets the string of ID, growing the table. False: out of memory. */
bool string_table_set(struct string_table *table, int32_t id, const char *bytes, size_t n_bytes);
/* NULL: no string, or no such id. */
const char *string_table_get(const struct string_table *table, int32_t id, size_t *n_bytes);
void string_table_free(struct string_table *table);

/* Of no cryptographic strength: who fills a table bounds it. */
uint32_t string_hash(const char *bytes, size_t n_bytes);

struct string_slot {
	uint32_t hash;
	int32_t id; /* -1: free */
};

struct string_index {
	struct string_slot *slots; /* open addressing, a power of two of them */
	size_t mask, n;
};

/* Makes room for N strings; false: out of memory. */
bool string_index_open(struct string_index *index, size_t n);
/* Adds ID's string unless an equal one is there; returns the id that now stands for it. */
int32_t string_index_add(struct string_index *index, const struct string_table *table, int32_t id);
/* -1: not there. */
int32_t string_index_find(const struct string_index *index, const struct string_table *table,
    const char *bytes, size_t n_bytes);
void string_index_free(struct string_index *index);

/* The tokens of a model. */
struct vocabulary {
	struct string_table names;   /* as the vocabulary writes them, added tokens included */
	struct string_table pieces;  /* the bytes they stand for in text */
	struct string_index by_name; /* the model's own tokens only */
};

#endif
