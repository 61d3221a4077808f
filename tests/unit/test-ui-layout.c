/* What is laid out without a screen: areas, line breaks, panes side by side, keys' names. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ui/compare.h"
#include "ui/draw.h"
#include "ui/keys.h"

static void
columns_of_an_area_leave_no_gap_and_do_not_overlap(void **state)
{
	(void)state;
	for (int columns = 0; columns <= 200; columns++)
		for (int n = 1; n <= 8; n++) {
			int next = 3;

			for (int i = 0; i < n; i++) {
				struct area part =
				    area_column((struct area){ 0, 3, 1, columns }, i, n);

				assert_int_equal(part.column, next);
				next += part.columns;
			}
			assert_int_equal(next, 3 + columns);
		}
}

static void
cutting_more_than_there_is_takes_all(void **state)
{
	struct area rest = { 5, 5, 3, 10 };
	struct area top = area_top(&rest, 9);

	(void)state;
	assert_int_equal(top.rows, 3);
	assert_int_equal(rest.rows, 0);
	assert_int_equal(area_inside((struct area){ 0, 0, 1, 1 }).rows, 0);
}

/* Every byte but blanks and line feeds at breaks is in exactly one line, and no line is too wide.
 */
static void
check_wrap(const char *text, int columns)
{
	struct line_span lines[64];
	size_t n = strlen(text), n_lines = draw_wrap(text, n, columns, lines, 64), at = 0;

	assert_true(n_lines <= 64);
	for (size_t i = 0; i < n_lines; i++) {
		char line[256];

		for (; at < lines[i].start; at++)
			assert_true(text[at] == ' ' || text[at] == '\n');
		assert_int_equal(at, lines[i].start);
		memcpy(line, text + at, lines[i].n_bytes);
		line[lines[i].n_bytes] = '\0';
		assert_true(draw_width(line) <= columns);
		at += lines[i].n_bytes;
	}
	for (; at < n; at++)
		assert_true(text[at] == ' ' || text[at] == '\n');
}

static void
wrapping_keeps_all_text_within_the_columns(void **state)
{
	static const char *const texts[] = { "", "one", "one two three four", "wordthatistoolong x",
		"a\n\nb", "  leading", "trailing   ", "\n", "日本語の文章です", "a 日本 b 語",
		"\033[31mred\033[0m",
		"e\xcc\x81"
		"e\xcc\x81"
		"e\xcc\x81",
		"\xff\xfe broken" };

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		for (int columns = 8; columns <= 20; columns++)
			check_wrap(texts[i], columns);
}

static void
lines_break_at_blanks_where_there_is_one(void **state)
{
	struct line_span lines[4];

	(void)state;
	assert_int_equal(draw_wrap("one two three", 13, 8, lines, 4), 2);
	assert_int_equal(lines[0].n_bytes, 7);
	assert_int_equal(lines[1].start, 8);
}

static void
a_pane_has_at_least_24_columns_or_lanes_become_tabs(void **state)
{
	(void)state;
	for (size_t lanes = 1; lanes <= MAX_LANES; lanes++)
		for (int columns = 1; columns <= 250; columns++) {
			size_t across = lane_panes_across(lanes, columns);

			if ((int)lanes * 24 <= columns)
				assert_int_equal(across, lanes);
			else
				assert_int_equal(across, 1);
		}
}

static void
the_name_of_a_key_names_that_key(void **state)
{
	static const key_code keys[] = { 'a', 'Z', '?', ' ', 0xe9, 0x1f600, K_TAB, K_ENTER, K_ESC,
		K_BACKSPACE, K_UP, K_PAGE_DOWN, K_BACK_TAB, CONTROL('L'), CONTROL('E'), K_F1 };
	char name[32];

	(void)state;
	for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
		assert_int_equal(key_parse(key_label(keys[i], name, sizeof name)), keys[i]);
	assert_int_equal(key_parse("C-l"), CONTROL('L'));
	assert_int_equal(key_parse("no such key"), K_NONE);
	assert_int_equal(key_parse(""), K_NONE);
}

static void
control_characters_are_no_text(void **state)
{
	(void)state;
	assert_true(key_is_text('a'));
	assert_true(key_is_text(0x4e2d));
	assert_false(key_is_text(27));
	assert_false(key_is_text(127));
	assert_false(key_is_text(0x9b)); /* CSI of eight bits */
	assert_false(key_is_text(K_UP));
}

static void
no_view_binds_a_key_twice(void **state)
{
	static const struct view_ops *const views[] = { &view_compare, &view_catalog };

	(void)state;
	for (size_t v = 0; v < 2; v++)
		for (const struct binding *one = views[v]->bindings; one->key != K_NONE; one++) {
			assert_non_null(one->help);
			assert_int_equal(binding_find(views[v]->bindings, one->key), one->request);
		}
}

static void
a_lane_is_called_what_it_runs(void **state)
{
	struct lane lane = { 0 };
	char text[128];

	(void)state;
	lane_label(&lane, text, sizeof text);
	assert_string_equal(text, "base");
	lane.n_parts = 1;
	lane.parts[0] = (struct lane_part){ "es", 1, NULL, 1 };
	lane_spec(&lane, text, sizeof text);
	assert_string_equal(text, "es");
	lane.n_parts = 2;
	lane.parts[0].weight = 0.5f;
	lane.parts[1] = (struct lane_part){ "caps", 2, NULL, 0.25f };
	lane_label(&lane, text, sizeof text);
	assert_string_equal(text, "0.5·es + 0.25·caps");
	lane_spec(&lane, text, sizeof text);
	assert_string_equal(text, "es:0.5+caps:0.25");
	assert_false(lane_ready(&lane));
	assert_true(lane_kept(&lane));
	lane.parts[1].id = 0;
	assert_false(lane_kept(&lane));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(columns_of_an_area_leave_no_gap_and_do_not_overlap),
		cmocka_unit_test(cutting_more_than_there_is_takes_all),
		cmocka_unit_test(wrapping_keeps_all_text_within_the_columns),
		cmocka_unit_test(lines_break_at_blanks_where_there_is_one),
		cmocka_unit_test(a_pane_has_at_least_24_columns_or_lanes_become_tabs),
		cmocka_unit_test(the_name_of_a_key_names_that_key),
		cmocka_unit_test(control_characters_are_no_text),
		cmocka_unit_test(no_view_binds_a_key_twice),
		cmocka_unit_test(a_lane_is_called_what_it_runs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
