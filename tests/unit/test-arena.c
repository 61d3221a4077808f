/* test-arena.c - memory that is given back all at once. */

#include <string.h>

#include "tests/unit/cmocka-first.h"

#include "engine/tensor/arena.h"
#include "tests/unit/cpu-backends.h"

static void
blocks_are_aligned_and_do_not_overlap(void **state)
{
	struct arena *arena = arena_create();
	struct numbers numbers = { 3 };
	unsigned char *blocks[300];
	size_t sizes[300];

	(void)state;
	assert_non_null(arena);
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 300; i++) {
			sizes[i] = next_bits(&numbers) % (i % 50 == 0 ? 3000000 : 5000);
			blocks[i] = arena_alloc(arena, sizes[i]);
			assert_non_null(blocks[i]);
			assert_int_equal((uintptr_t)blocks[i] % 64, 0);
			memset(blocks[i], i, sizes[i]);
		}
		for (int i = 0; i < 300; i++)
			for (size_t j = 0; j < sizes[i]; j++)
				assert_int_equal(blocks[i][j], (unsigned char)i);
		arena_reset(arena);
	}
	arena_free(arena);
}

static void
zeroed_blocks_are_zero_where_others_have_written(void **state)
{
	struct arena *arena = arena_create();
	unsigned char *block;

	(void)state;
	block = arena_alloc(arena, 10000);
	memset(block, 0xff, 10000);
	arena_reset(arena);
	block = arena_alloc_zero(arena, 10000);
	for (int i = 0; i < 10000; i++)
		assert_int_equal(block[i], 0);
	arena_free(arena);
}

/* A second step of the same size finds all it needs in the memory of the first. */
static void
a_reset_keeps_the_memory_for_the_next_step(void **state)
{
	struct arena *arena = arena_create();
	unsigned char *first, *again;
	size_t peak;

	(void)state;
	for (int i = 0; i < 40; i++)
		assert_non_null(arena_alloc(arena, 100000));
	peak = arena_peak_bytes(arena);
	assert_true(peak >= 4000000 && peak < 4000000 + 40 * 64);
	arena_reset(arena);
	first = arena_alloc(arena, 100000);
	for (int i = 1; i < 40; i++)
		again = arena_alloc(arena, 100000);
	assert_true(again > first && again < first + 4100000);
	arena_reset(arena);
	assert_ptr_equal(arena_alloc(arena, 100000), first);
	assert_int_equal(arena_peak_bytes(arena), peak);
	arena_free(arena);
}

static void
a_rewind_forgets_what_came_after_its_mark(void **state)
{
	struct arena *arena = arena_create();
	struct arena_mark empty = arena_mark(arena), mark;
	char *kept, *after;

	(void)state;
	kept = arena_alloc(arena, 6);
	memcpy(kept, "hello", 6);
	mark = arena_mark(arena);
	after = arena_alloc(arena, 100);
	for (int i = 0; i < 30; i++)
		assert_non_null(arena_alloc(arena, 1000000));
	arena_rewind(arena, mark);
	assert_ptr_equal(arena_alloc(arena, 100), after);
	for (int i = 0; i < 60; i++) {
		char *large = arena_alloc(arena, 900000);

		assert_non_null(large);
		memset(large, 'x', 900000);
		if (i % 25 == 24)
			arena_rewind(arena, mark);
	}
	assert_string_equal(kept, "hello");
	arena_rewind(arena, empty);
	assert_ptr_equal(arena_alloc(arena, 6), kept);
	arena_free(arena);
}

static void
impossible_sizes_are_refused(void **state)
{
	struct arena *arena = arena_create();

	(void)state;
	assert_null(arena_alloc(arena, SIZE_MAX));
	assert_null(arena_alloc(arena, SIZE_MAX - 63));
	assert_non_null(arena_alloc(arena, 0));
	arena_free(arena);
	arena_free(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(blocks_are_aligned_and_do_not_overlap),
		cmocka_unit_test(zeroed_blocks_are_zero_where_others_have_written),
		cmocka_unit_test(a_reset_keeps_the_memory_for_the_next_step),
		cmocka_unit_test(a_rewind_forgets_what_came_after_its_mark),
		cmocka_unit_test(impossible_sizes_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
