/* test-ui-prompt-line.c - the text field: characters, words, limits, history, what is in sight. */

#include "tests/unit/cmocka-first.h"

#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "base/visible.h"
#include "base/width.h"
#include "ui/prompt-line.h"

static struct prompt_line line;

static int
begin(void **state)
{
	(void)state;
	prompt_line_init(&line, 4096);
	return 0;
}

static int
end(void **state)
{
	(void)state;
	prompt_line_free(&line);
	return 0;
}

static void
type(const char *text)
{
	assert_true(prompt_line_insert(&line, text, strlen(text)));
}

static void
edit(enum line_edit what, int times)
{
	while (times-- > 0)
		prompt_line_edit(&line, what);
}

static void
expect(const char *text, size_t cursor)
{
	assert_string_equal(prompt_line_text(&line), text);
	assert_int_equal(line.cursor, cursor);
}

/* What is in sight at COLUMNS, and the cursor's column. */
static void
expect_view(int columns, const char *shown, int cursor_column)
{
	struct buffer out = { 0 };
	struct line_view view = prompt_line_view(&line, columns, 0, &out);

	assert_string_equal(buffer_string(&out), shown);
	assert_int_equal(view.cursor_column, cursor_column);
	assert_true(view.cursor_column < columns);
	buffer_free(&out);
}

static void
text_goes_in_at_the_cursor(void **state)
{
	(void)state;
	expect("", 0);
	type("hose");
	edit(LINE_LEFT, 2);
	type("u");
	expect("house", 3);
}

static void
a_character_with_its_accents_moves_and_goes_as_one(void **state)
{
	(void)state;
	type("ae\u0301\u0323z");
	edit(LINE_LEFT, 2);
	expect("ae\u0301\u0323z", 1);
	edit(LINE_DELETE, 1);
	expect("az", 1);
	prompt_line_set(&line, "x\U0001F469\u200D\U0001F467y");
	edit(LINE_LEFT, 1);
	edit(LINE_BACKSPACE, 1);
	expect("xy", 1);
	prompt_line_set(&line, "日本語");
	edit(LINE_BACKSPACE, 1);
	expect("日本", 6);
}

static void
an_accent_typed_late_joins_its_letter(void **state)
{
	(void)state;
	type("ab");
	edit(LINE_LEFT, 1);
	type("\u0308");
	expect("a\u0308b", 3);
	edit(LINE_LEFT, 1);
	expect("a\u0308b", 0);
}

static void
edges_do_nothing(void **state)
{
	(void)state;
	for (int e = 0; e < LINE_N_EDITS; e++)
		assert_false(prompt_line_edit(&line, (enum line_edit)e));
	expect("", 0);
	type("a");
	edit(LINE_RIGHT, 3);
	assert_false(prompt_line_edit(&line, LINE_DELETE));
	edit(LINE_HOME, 1);
	assert_false(prompt_line_edit(&line, LINE_BACKSPACE));
	assert_false(prompt_line_edit(&line, LINE_KILL_TO_START));
	expect("a", 0);
}

static void
words_are_letters_and_digits_of_any_script(void **state)
{
	(void)state;
	type("rank>8 größer, слово ");
	edit(LINE_WORD_LEFT, 1);
	assert_string_equal(prompt_line_text(&line) + line.cursor, "слово ");
	edit(LINE_WORD_LEFT, 1);
	assert_string_equal(prompt_line_text(&line) + line.cursor, "größer, слово ");
	edit(LINE_WORD_LEFT, 1);
	assert_string_equal(prompt_line_text(&line) + line.cursor, "8 größer, слово ");
	edit(LINE_WORD_RIGHT, 2);
	assert_string_equal(prompt_line_text(&line) + line.cursor, ", слово ");
}

static void
what_a_kill_takes_yank_gives_back(void **state)
{
	(void)state;
	type("made:merged tag:es");
	assert_true(prompt_line_edit(&line, LINE_KILL_WORD_LEFT));
	expect("made:merged ", 12);
	edit(LINE_HOME, 1);
	assert_true(prompt_line_edit(&line, LINE_YANK));
	expect("tag:esmade:merged ", 6);
	edit(LINE_KILL_TO_END, 1);
	expect("tag:es", 6);
	edit(LINE_YANK, 2);
	expect("tag:esmade:merged made:merged ", 30);
	edit(LINE_KILL_TO_START, 1);
	expect("", 0);
}

static void
malformed_text_is_refused(void **state)
{
	(void)state;
	type("ok");
	assert_false(prompt_line_insert(&line, "a\xFF", 2));
	assert_false(prompt_line_insert(&line, "\xE2\x82", 2));
	assert_false(prompt_line_insert(&line, "\xED\xA0\x80", 3));
	assert_false(prompt_line_set(&line, "\xC0\x80"));
	expect("ok", 2);
}

static void
control_characters_are_left_out(void **state)
{
	(void)state;
	prompt_line_insert(&line, "a\033[31m\nb\tc\0d\xC2\x9B", 15);
	expect("a[31m b cd", 10);
	line.keep_lines = true;
	prompt_line_set(&line, "a\nb");
	expect("a\nb", 3);
	expect_view(10, "a␊b", 3);
}

static void
a_long_paste_is_cut_between_characters(void **state)
{
	(void)state;
	line.max_bytes = 8;
	assert_false(prompt_line_insert(&line, "日本語", 9));
	expect("日本", 6);
	assert_false(prompt_line_insert(&line, "語", 3));
	expect("日本", 6);
	type("xy");
	assert_false(prompt_line_insert(&line, "z", 1));
	expect("日本xy", 8);
}

static void
a_paste_of_64_kib_is_taken_and_shown_at_its_end(void **state)
{
	static char text[64 * 1024 + 1];

	(void)state;
	memset(text, 'a', sizeof text - 1);
	text[sizeof text - 2] = 'z';
	line.max_bytes = sizeof text - 1;
	type(text);
	assert_int_equal(line.n, sizeof text - 1);
	expect_view(8, "aaaaaaz", 7);
}

static void
history_goes_back_and_returns_to_the_draft(void **state)
{
	static const char *const rows[] = { "newest", "same", "oldest" };

	(void)state;
	type("draft");
	assert_false(prompt_line_edit(&line, LINE_OLDER));
	prompt_line_history(&line, rows, 3);
	edit(LINE_OLDER, 1);
	expect("newest", 6);
	edit(LINE_OLDER, 2);
	expect("oldest", 6);
	assert_false(prompt_line_edit(&line, LINE_OLDER));
	edit(LINE_NEWER, 2);
	expect("newest", 6);
	edit(LINE_NEWER, 1);
	expect("draft", 5);
	assert_false(prompt_line_edit(&line, LINE_NEWER));
	prompt_line_set(&line, "newest");
	edit(LINE_OLDER, 1);
	expect("same", 4);
}

static void
a_long_line_scrolls_with_the_cursor(void **state)
{
	(void)state;
	type("0123456789");
	expect_view(20, "0123456789", 10);
	expect_view(6, "56789", 5);
	edit(LINE_LEFT, 3);
	expect_view(6, "56789", 2);
	edit(LINE_LEFT, 4);
	expect_view(6, "345678", 0);
	edit(LINE_HOME, 1);
	expect_view(6, "012345", 0);
}

static void
wide_characters_take_two_columns(void **state)
{
	(void)state;
	type("日本語");
	expect_view(7, "日本語", 6);
	expect_view(6, "本語", 4);
	edit(LINE_HOME, 1);
	expect_view(5, "日本", 0);
}

static void
hostile_text_is_made_visible(void **state)
{
	(void)state;
	type("a\u202Eb");
	expect_view(20, "a<U+202E>b", 10);
}

/* Whatever is done, the text stays well-formed, within its limit, and the cursor in sight. */
static void
any_sequence_of_edits_keeps_the_promises(void **state)
{
	static const char *const pieces[] = { "a", " ", "\u0301", "日", "\U0001F1E9", "\u200D",
		"\U0001F469", "word ", "\r\n", "\xFF" };
	static const char *const rows[] = { "x\u0308y", "", "日本語 日本語 日本語" };
	uint32_t random = 1;

	(void)state;
	line.max_bytes = 64;
	prompt_line_history(&line, rows, 3);
	for (int i = 0; i < 20000; i++) {
		struct buffer out = { 0 };
		struct line_view view;
		int columns;

		random = random * 1664525 + 1013904223;
		columns = 1 + (int)(random >> 9) % 30;
		if ((random >> 30) < 2) {
			const char *piece = pieces[(random >> 16) % 10];

			prompt_line_insert(&line, piece, strlen(piece));
		} else
			prompt_line_edit(&line, (enum line_edit)((random >> 16) % LINE_N_EDITS));
		assert_true(line.cursor <= line.n && line.n <= 64);
		assert_int_equal(strlen(prompt_line_text(&line)), line.n);
		assert_true(utf8_valid(prompt_line_text(&line), line.n));
		assert_true(utf8_valid(prompt_line_text(&line), line.cursor));
		view = prompt_line_view(&line, columns, 0, &out);
		assert_true(text_width(buffer_string(&out)) <= columns);
		assert_in_range(view.cursor_column, 0, columns - 1);
		buffer_free(&out);
	}
}

static void
keys_do_what_they_do_in_a_shell(void **state)
{
	(void)state;
	assert_int_equal(prompt_line_key(&line, 'a', NULL), LINE_CHANGED);
	assert_int_equal(prompt_line_key(&line, 0xE9, NULL), LINE_CHANGED);
	assert_int_equal(prompt_line_key(&line, CONTROL('A'), NULL), LINE_MOVED);
	assert_int_equal(prompt_line_key(&line, CONTROL('D'), NULL), LINE_CHANGED);
	expect("\u00e9", 0);
	assert_int_equal(prompt_line_key(&line, CONTROL('K'), "\x0B"), LINE_IGNORED);
	assert_int_equal(prompt_line_key(&line, CONTROL('K'), NULL), LINE_CHANGED);
	assert_int_equal(prompt_line_key(&line, K_UP, NULL), LINE_IGNORED);
	assert_int_equal(prompt_line_key(&line, K_ENTER, NULL), LINE_IGNORED);
	assert_int_equal(prompt_line_key(&line, K_ESC, NULL), LINE_IGNORED);
	assert_int_equal(prompt_line_key(&line, K_F1, NULL), LINE_IGNORED);
	expect("", 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(text_goes_in_at_the_cursor),
		TEST(a_character_with_its_accents_moves_and_goes_as_one),
		TEST(an_accent_typed_late_joins_its_letter),
		TEST(edges_do_nothing),
		TEST(words_are_letters_and_digits_of_any_script),
		TEST(what_a_kill_takes_yank_gives_back),
		TEST(malformed_text_is_refused),
		TEST(control_characters_are_left_out),
		TEST(a_long_paste_is_cut_between_characters),
		TEST(a_paste_of_64_kib_is_taken_and_shown_at_its_end),
		TEST(history_goes_back_and_returns_to_the_draft),
		TEST(a_long_line_scrolls_with_the_cursor),
		TEST(wide_characters_take_two_columns),
		TEST(hostile_text_is_made_visible),
		TEST(any_sequence_of_edits_keeps_the_promises),
		TEST(keys_do_what_they_do_in_a_shell),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
