/* result.c - results as trees: one object owns all that hangs on it, store_free() frees the lot. */

#include <stdlib.h>
#include <string.h>

#include "store/internal.h"

#define BLOCK_BYTES 4096

/* A result's memory is a chain of blocks; the object itself lies at the start of the first one. */
struct block {
	struct block *next; /* of the first block: the newest one, which has room */
	size_t used, size;
	max_align_t bytes[];
};

static struct block *
block_new(size_t size)
{
	struct block *block;

	if (size < BLOCK_BYTES)
		size = BLOCK_BYTES;
	if (size > SIZE_MAX / 2)
		return NULL;
	block = calloc(1, sizeof *block + size);
	if (block != NULL)
		block->size = size;
	return block;
}

static struct block *
first_block(const void *result)
{
	return (struct block *)((char *)(uintptr_t)result - offsetof(struct block, bytes));
}

static void *
take(struct block *block, size_t bytes)
{
	void *memory = (char *)block->bytes + block->used;

	block->used += bytes;
	return memory;
}

static size_t
aligned(size_t bytes)
{
	size_t unit = _Alignof(max_align_t);

	return (bytes + unit - 1) / unit * unit;
}

void *
result_new(struct store *store, size_t bytes)
{
	struct block *block = block_new(aligned(bytes));

	if (block == NULL) {
		store_fail(store, STORE_ENOMEM, "out of memory");
		return NULL;
	}
	return take(block, aligned(bytes));
}

void *
result_alloc(struct store *store, void *result, size_t count, size_t bytes)
{
	struct block *first = first_block(result);
	struct block *last = first->next != NULL ? first->next : first;
	size_t size;

	if (__builtin_mul_overflow(count, bytes, &size) || size > SIZE_MAX / 2) {
		store_fail(store, STORE_ENOMEM, "out of memory");
		return NULL;
	}
	size = aligned(size);
	if (size > last->size - last->used) {
		struct block *block = block_new(size);

		if (block == NULL) {
			store_fail(store, STORE_ENOMEM, "out of memory");
			return NULL;
		}
		block->next = first->next;
		first->next = last = block;
	}
	return take(last, size);
}

const char *
result_copy(struct store *store, void *result, const char *text, size_t length)
{
	char *copy = result_alloc(store, result, length + 1, 1);

	if (copy != NULL && length > 0)
		memcpy(copy, text, length);
	return copy;
}

const char *
result_text(struct store *store, void *result, sqlite3_stmt *statement, int column, size_t *length)
{
	/* column_blob gives text as it was stored, also where it is not UTF-8. */
	const char *text = sqlite3_column_blob(statement, column);
	size_t n = (size_t)sqlite3_column_bytes(statement, column);

	if (length != NULL)
		*length = n;
	return result_copy(store, result, text, n);
}

/* Room for one more row: full at 0, 8, 16, 32, ...; the old array stays in the tree. */
static void *
grow(struct store *store, void *result, void *rows, size_t n_rows, size_t row_bytes)
{
	void *grown;

	if (n_rows != 0 && (n_rows < 8 || (n_rows & (n_rows - 1)) != 0))
		return rows;
	grown = result_alloc(store, result, n_rows == 0 ? 8 : 2 * n_rows, row_bytes);
	if (grown != NULL && n_rows > 0)
		memcpy(grown, rows, n_rows * row_bytes);
	return grown;
}

void *
result_rows(struct store *store, void *result, sqlite3_stmt *statement, row_reader read,
    size_t row_bytes, size_t *n_rows, enum store_status *status)
{
	char *rows = NULL;

	*n_rows = 0;
	if (statement == NULL) {
		*status = store->status;
		return NULL;
	}
	while (sql_next(store, statement, status)) {
		rows = grow(store, result, rows, *n_rows, row_bytes);
		*status = rows == NULL ? STORE_ENOMEM
				       : read(store, result, statement, rows + *n_rows * row_bytes);
		if (*status != STORE_OK) {
			sql_close(statement);
			return NULL;
		}
		++*n_rows;
	}
	return rows;
}

void
store_free(const void *result)
{
	struct block *block, *next;

	if (result == NULL)
		return;
	block = first_block(result);
	next = block->next;
	free(block);
	for (block = next; block != NULL; block = next) {
		next = block->next;
		free(block);
	}
}
