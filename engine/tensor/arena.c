/* arena.c - a bump allocator over a list of chunks that a reset joins into one. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "engine/tensor/arena.h"

#define ALIGNMENT 64
#define SMALLEST_CHUNK ((size_t)256 << 10)
#define HUGE_PAGE ((size_t)2 << 20)

struct arena_chunk {
	struct arena_chunk *next;
	unsigned char *memory;
	size_t bytes, used;
};

struct arena {
	struct arena_chunk *first, *current;
	size_t total_used, peak; /* of what was asked for, rounded up to the alignment */
};

struct arena *
arena_create(void)
{
	return calloc(1, sizeof(struct arena));
}

static void
free_chunks(struct arena *arena)
{
	struct arena_chunk *chunk = arena->first;

	while (chunk != NULL) {
		struct arena_chunk *next = chunk->next;

		free(chunk->memory);
		free(chunk);
		chunk = next;
	}
	arena->first = arena->current = NULL;
}

void
arena_free(struct arena *arena)
{
	if (arena == NULL)
		return;
	free_chunks(arena);
	free(arena);
}

static struct arena_chunk *
create_chunk(size_t bytes)
{
	struct arena_chunk *chunk = malloc(sizeof *chunk);
	size_t alignment = bytes >= HUGE_PAGE ? HUGE_PAGE : ALIGNMENT;

	if (chunk == NULL || bytes > SIZE_MAX - alignment) {
		free(chunk);
		return NULL;
	}
	bytes = (bytes + alignment - 1) / alignment * alignment;
	chunk->next = NULL;
	chunk->bytes = bytes;
	chunk->used = 0;
	chunk->memory = aligned_alloc(alignment, bytes);
	if (chunk->memory == NULL) {
		free(chunk);
		return NULL;
	}
#ifdef MADV_HUGEPAGE
	if (alignment == HUGE_PAGE) /* a wish: activations are walked end to end */
		(void)madvise(chunk->memory, bytes, MADV_HUGEPAGE);
#endif
	return chunk;
}

/* Goes on to a chunk that holds BYTES: one left over from before a rewind, or a new one behind
 * the current (twice its size, so that their number stays small). */
static bool
next_chunk(struct arena *arena, size_t bytes)
{
	struct arena_chunk *chunk, *current = arena->current;
	size_t wanted = current == NULL ? SMALLEST_CHUNK : 2 * current->bytes;

	while (current != NULL && current->next != NULL) {
		current = arena->current = current->next;
		current->used = 0;
		if (bytes <= current->bytes)
			return true;
	}
	chunk = create_chunk(bytes > wanted ? bytes : wanted);
	if (chunk == NULL)
		chunk = create_chunk(bytes);
	if (chunk == NULL)
		return false;
	if (current == NULL)
		arena->first = chunk;
	else
		current->next = chunk;
	arena->current = chunk;
	return true;
}

void *
arena_alloc(struct arena *arena, size_t bytes)
{
	struct arena_chunk *chunk = arena->current;
	void *memory;

	if (bytes > SIZE_MAX / 2)
		return NULL;
	bytes = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
	if (chunk == NULL || bytes > chunk->bytes - chunk->used) {
		if (!next_chunk(arena, bytes))
			return NULL;
		chunk = arena->current;
	}
	memory = chunk->memory + chunk->used;
	chunk->used += bytes;
	arena->total_used += bytes;
	if (arena->total_used > arena->peak)
		arena->peak = arena->total_used;
	return memory;
}

void *
arena_alloc_zero(struct arena *arena, size_t bytes)
{
	void *memory = arena_alloc(arena, bytes);

	if (memory != NULL)
		memset(memory, 0, bytes);
	return memory;
}

void
arena_reset(struct arena *arena)
{
	arena->total_used = 0;
	if (arena->first == NULL)
		return;
	if (arena->first->next != NULL) {
		free_chunks(
		    arena); /* one that holds all of the largest step so far, and some room */
		arena->first = create_chunk(arena->peak + arena->peak / 8);
	}
	arena->current = arena->first;
	if (arena->current != NULL)
		arena->current->used = 0;
}

size_t
arena_peak_bytes(const struct arena *arena)
{
	return arena->peak;
}

struct arena_mark
arena_mark(const struct arena *arena)
{
	struct arena_mark mark = { arena->current, 0, arena->total_used };

	if (arena->current != NULL)
		mark.used = arena->current->used;
	return mark;
}

void
arena_rewind(struct arena *arena, struct arena_mark mark)
{
	arena->current = mark.chunk != NULL ? mark.chunk : arena->first;
	if (arena->current != NULL)
		arena->current->used = mark.used;
	arena->total_used = mark.total_used;
}
