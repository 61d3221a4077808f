/*
 * tensor/arena.h - memory that is given back all at once.
 *
 * Activations of one step come from an arena: allocation is a bump of a pointer, reset keeps
 * the memory for the next step. Blocks are 64-byte aligned and NOT zeroed unless asked. Not
 * thread-safe: one arena belongs to one ops context.
 */
#ifndef ENGINE_TENSOR_ARENA_H
#define ENGINE_TENSOR_ARENA_H

#include <stdbool.h>
#include <stddef.h>

struct arena;
struct arena_chunk;

/* A place in the arena that arena_rewind() goes back to. */
struct arena_mark {
	struct arena_chunk *chunk;
	size_t used, total_used;
};

struct arena *arena_create(void); /* NULL when out of memory */
void arena_free(struct arena *arena);
void *arena_alloc(struct arena *arena, size_t bytes);      /* NULL when out of memory */
void *arena_alloc_zero(struct arena *arena, size_t bytes); /* the same, zeroed */
void arena_reset(struct arena *arena);
size_t arena_peak_bytes(const struct arena *arena);

/* Forgets what was allocated since MARK (which must be from after the last reset). The bytes
 * there stay as they are until they are allocated again. */
struct arena_mark arena_mark(const struct arena *arena);
void arena_rewind(struct arena *arena, struct arena_mark mark);

#endif
