/* test-ui-diff.c - word diff: what is marked, what is counted, and the bounds. */

#include "tests/unit/cmocka-first.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "ui/diff.h"

/* TEXT with what changed in square brackets. */
static void
check(const char *reference, const char *text, const char *marked, size_t n_differ)
{
	struct buffer out = { 0 };
	struct diff diff;

	assert_true(diff_words(reference, strlen(reference), text, strlen(text), &diff));
	for (size_t i = 0; i < diff.n_spans; i++) {
		buffer_text(&out, diff.spans[i].changed ? "[" : "");
		buffer_append(&out, text + diff.spans[i].start, diff.spans[i].n_bytes);
		buffer_text(&out, diff.spans[i].changed ? "]" : "");
	}
	assert_string_equal(buffer_string(&out), marked);
	assert_int_equal(diff.n_differ, n_differ);
	assert_false(diff.by_lines);
	buffer_free(&out);
	diff_free(&diff);
}

static void
equal_texts_have_no_changes(void **state)
{
	(void)state;
	check("", "", "", 0);
	check("the house", "the house", "the house", 0);
	check("the  house\n", "the house", "the house", 0);
}

static void
a_word_in_anothers_place_counts_once(void **state)
{
	(void)state;
	check("the big house", "the small house", "the [small] house", 1);
	check("CASA", "casa", "[casa]", 1);
	check("a b c d", "a x y d", "a [x y] d", 2);
}

static void
words_that_came_or_went_are_counted(void **state)
{
	(void)state;
	check("a b", "a b c d", "a b [c d]", 2);
	check("a b c", "a c", "a c", 1);
	check("", "x y", "[x y]", 2);
	check("x y", "", "", 2);
	check("x", "  ", "  ", 1);
}

static void
the_longest_common_subsequence_stays(void **state)
{
	(void)state;
	check("a b c d e f", "b d f a", "b d f [a]", 4);
	check(
	    "one two three four five", "zero one three five six", "[zero] one three five [six]", 4);
}

static void
wide_characters_are_words(void **state)
{
	(void)state;
	check("我喜欢你", "我讨厌你", "我[讨厌]你", 2);
}

static void
any_bytes_are_compared(void **state)
{
	(void)state;
	check("\xFF\xFE a", "\xFF\xFD a", "[\xFF\xFD] a", 1);
}

/* Spans must cover the text in order, and differ in turn, whatever the texts are. */
static void
spans_cover_the_text(void **state)
{
	static const char letters[] = "ab \n";
	uint32_t random = 7;

	(void)state;
	for (int round = 0; round < 2000; round++) {
		char texts[2][40];
		size_t n[2], at = 0;
		struct diff diff, back;

		for (int t = 0; t < 2; t++) {
			random = random * 1664525 + 1013904223;
			n[t] = (random >> 8) % 40;
			for (size_t i = 0; i < n[t]; i++) {
				random = random * 1664525 + 1013904223;
				texts[t][i] = letters[random >> 30];
			}
		}
		assert_true(diff_words(texts[0], n[0], texts[1], n[1], &diff));
		assert_true(diff_words(texts[1], n[1], texts[0], n[0], &back));
		for (size_t i = 0; i < diff.n_spans; i++) {
			assert_int_equal(diff.spans[i].start, at);
			assert_true(diff.spans[i].n_bytes > 0);
			at += diff.spans[i].n_bytes;
			if (i > 0)
				assert_true(diff.spans[i].changed != diff.spans[i - 1].changed);
		}
		assert_int_equal(at, n[1]);
		assert_true((diff.n_differ == 0) == (back.n_differ == 0));
		diff_free(&diff);
		diff_free(&back);
	}
}

/* LINES lines of ten words; line CHANGED is another one. */
static char *
long_text(size_t lines, size_t changed, char mark, size_t *n)
{
	struct buffer out = { 0 };

	for (size_t i = 0; i < lines; i++)
		buffer_printf(&out, "%c%zu b c d e f g h i j\n", i % changed == 0 ? mark : 'a', i);
	*n = out.n;
	return buffer_take(&out);
}

static void
large_texts_are_compared_by_lines(void **state)
{
	size_t n_a, n_b;
	char *a = long_text(1000, 10, 'x', &n_a), *b = long_text(1000, 10, 'y', &n_b);
	struct diff diff;

	(void)state;
	assert_true(diff_words(a, n_a, b, n_b, &diff));
	assert_true(diff.by_lines);
	assert_int_equal(diff.n_differ, 100 * 10);
	assert_int_equal(diff.n_spans, 200);
	diff_free(&diff);
	free(a);
	free(b);
}

static void
huge_texts_differ_from_the_first_change_to_the_last(void **state)
{
	size_t n_a, n_b;
	char *a = long_text(20001, 20000, 'x', &n_a), *b = long_text(20001, 20000, 'y', &n_b);
	struct diff diff;

	(void)state;
	assert_true(diff_words(a, n_a, b, n_b, &diff));
	assert_true(diff.by_lines);
	assert_int_equal(diff.n_spans, 1);
	assert_true(diff.spans[0].changed);
	diff_free(&diff);
	free(a);
	free(b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(equal_texts_have_no_changes),
		cmocka_unit_test(a_word_in_anothers_place_counts_once),
		cmocka_unit_test(words_that_came_or_went_are_counted),
		cmocka_unit_test(the_longest_common_subsequence_stays),
		cmocka_unit_test(wide_characters_are_words),
		cmocka_unit_test(any_bytes_are_compared),
		cmocka_unit_test(spans_cover_the_text),
		cmocka_unit_test(large_texts_are_compared_by_lines),
		cmocka_unit_test(huge_texts_differ_from_the_first_change_to_the_last),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
