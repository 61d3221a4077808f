/* test-ui-catalog-columns.c - which columns fit, and how ages, counts and sizes are written. */

#include "tests/unit/cmocka-first.h"

#include <math.h>
#include <stdlib.h>

#include "ui/catalog-columns.h"

static int
width_of(const int widths[N_COLUMNS])
{
	int sum = -COLUMN_GAP;

	for (int c = 0; c < N_COLUMNS; c++)
		sum += widths[c] > 0 ? widths[c] + COLUMN_GAP : 0;
	return sum;
}

static void
any_width_is_filled_and_never_exceeded(void **state)
{
	int widths[N_COLUMNS];

	(void)state;
	for (int columns = 10; columns < 220; columns++)
		for (int near = 0; near < 2; near++) {
			catalog_columns_fit(columns, near, widths);
			assert_int_equal(width_of(widths), columns);
			assert_true(widths[COLUMN_NAME] > 0);
			assert_true((widths[COLUMN_NEAR] > 0) <= near);
		}
}

static void
a_wider_screen_has_no_fewer_columns(void **state)
{
	int narrow[N_COLUMNS], wide[N_COLUMNS];

	(void)state;
	for (int columns = 40; columns < 219; columns++) {
		catalog_columns_fit(columns, false, narrow);
		catalog_columns_fit(columns + 1, false, wide);
		for (int c = 0; c < N_COLUMNS; c++)
			assert_true((narrow[c] > 0) <= (wide[c] > 0));
	}
}

static void
at_110_all_are_there_and_at_80_what_matters(void **state)
{
	int widths[N_COLUMNS];

	(void)state;
	catalog_columns_fit(107, false, widths);
	for (int c = 0; c < N_COLUMNS; c++)
		assert_true((widths[c] > 0) == (c != COLUMN_NEAR));
	catalog_columns_fit(77, false, widths);
	assert_true(widths[COLUMN_TASK] >= 20);
	assert_true(widths[COLUMN_SCORE] > 0 && widths[COLUMN_CREATED] > 0);
	assert_int_equal(widths[COLUMN_BASE], 0);
}

static void
check_age(int64_t seconds, const char *expected)
{
	struct buffer out = { 0 };

	catalog_age(&out, INT64_C(1700000000000), INT64_C(1700000000000) + seconds * 1000);
	assert_string_equal(buffer_string(&out), expected);
	buffer_free(&out);
}

static void
ages_are_told_as_people_tell_them(void **state)
{
	(void)state;
	setenv("TZ", "UTC", 1);
	check_age(-5, "now");
	check_age(59, "now");
	check_age(60, "1 min ago");
	check_age(3599, "59 min ago");
	check_age(3600, "1 h ago");
	check_age(86400, "1 d ago");
	check_age(13 * 86400, "13 d ago");
	check_age(14 * 86400, "2023-11-14");
}

static void
check_count(uint64_t count, const char *expected)
{
	struct buffer out = { 0 };

	catalog_count(&out, count);
	assert_string_equal(buffer_string(&out), expected);
	buffer_free(&out);
}

static void
check_size(int64_t bytes, const char *expected)
{
	struct buffer out = { 0 };

	catalog_size(&out, bytes);
	assert_string_equal(buffer_string(&out), expected);
	buffer_free(&out);
}

static void
large_numbers_are_readable(void **state)
{
	(void)state;
	check_count(0, "0");
	check_count(999, "999");
	check_count(1000, "1 000");
	check_count(103012, "103 012");
	check_count(UINT64_MAX, "18 446 744 073 709 551 615");
	check_size(0, "0 B");
	check_size(999, "999 B");
	check_size(1000, "1.0 kB");
	check_size(43264, "43.3 kB");
	check_size(999949, "999.9 kB");
	check_size(999950, "1.0 MB");
	check_size(2500000000, "2.5 GB");
	check_size(INT64_MAX / 2, "4611686.0 TB");
}

static void
what_is_not_known_is_a_dash(void **state)
{
	struct store_adapter adapter = {
		.name = "n", .task = "", .note = "", .base_name = "", .score = NAN, .nearness = NAN
	};

	(void)state;
	for (int c = 0; c < N_COLUMNS; c++) {
		struct buffer out = { 0 };

		if (c == COLUMN_NAME || c == COLUMN_RANK || c == COLUMN_SOURCE ||
		    c == COLUMN_CREATED)
			continue;
		catalog_cell(&adapter, (enum catalog_column)c, 0, "-", &out);
		assert_string_equal(buffer_string(&out), "-");
		buffer_free(&out);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_width_is_filled_and_never_exceeded),
		cmocka_unit_test(a_wider_screen_has_no_fewer_columns),
		cmocka_unit_test(at_110_all_are_there_and_at_80_what_matters),
		cmocka_unit_test(ages_are_told_as_people_tell_them),
		cmocka_unit_test(large_numbers_are_readable),
		cmocka_unit_test(what_is_not_known_is_a_dash),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
