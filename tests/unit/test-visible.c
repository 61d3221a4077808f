/* test-visible.c - hostile text made visible; UTF-8, buffers and numbers underneath. */

#include "tests/unit/cmocka-first.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/number.h"
#include "base/utf8.h"
#include "base/visible.h"

static void
check(const char *text, unsigned flags, const char *expected)
{
	char *shown = visible_text(text, flags);

	assert_non_null(shown);
	assert_string_equal(shown, expected);
	free(shown);
}

static void
ordinary_text_stays_as_it_is(void **state)
{
	(void)state;
	check("", 0, "");
	check("plain ASCII ~!", 0, "plain ASCII ~!");
	check("ÄÖ 日本語 हिन्दी 👩‍👩‍👧 می‌خواهم ❤️", 0,
	    "ÄÖ 日本語 हिन्दी 👩‍👩‍👧 می‌خواهم ❤️");
}

static void
control_characters_become_pictures(void **state)
{
	(void)state;
	check("\033[31mred\007\r\b\x7F", 0, "␛[31mred␇␍␈␡");
	check("a\nb\tc", 0, "a␊b␉c");
	check("a\nb\tc", VISIBLE_KEEP_LF | VISIBLE_KEEP_TAB, "a\nb\tc");
	check("\xC2\x9B"
	      "31m",
	    0, "<U+009B>31m");
}

static void
invisible_and_direction_changing_characters_are_named(void **state)
{
	(void)state;
	check("a\u202Eb\u2066c\u200Bd\uFEFFe\u2028", 0,
	    "a<U+202E>b<U+2066>c<U+200B>d<U+FEFF>e<U+2028>");
	check("\U000E0041", 0, "<U+E0041>");
	check("\u00AD\u115F\u3164", 0, "<U+00AD><U+115F><U+3164>");
}

static void
malformed_utf8_becomes_the_replacement_character(void **state)
{
	(void)state;
	check("\xFF", 0, "\uFFFD");
	check("\xC0\x80", 0, "\uFFFD\uFFFD");
	check("\xED\xA0\x80", 0, "\uFFFD\uFFFD\uFFFD");
	check("\xE2\x82x", 0, "\uFFFDx");
	check("\xF4\x90\x80\x80", 0, "\uFFFD\uFFFD\uFFFD\uFFFD");
}

static void
the_ascii_form_is_pure_ascii(void **state)
{
	(void)state;
	check("\033[0m\x7F\xFF é", VISIBLE_ASCII, "^[[0m^?? <U+00E9>");
	check("a\nb", VISIBLE_ASCII | VISIBLE_KEEP_LF, "a\nb");
}

/* Whatever the bytes are: the result is valid UTF-8 without a control character. */
static void
no_bytes_at_all_get_through_as_controls(void **state)
{
	uint32_t seed = 1;

	(void)state;
	for (int round = 0; round < 2000; round++) {
		struct buffer out = { 0 };
		char bytes[64];

		for (size_t i = 0; i < sizeof bytes; i++) {
			seed = seed * 1664525 + 1013904223;
			bytes[i] = (char)(seed >> 24);
		}
		visible_append(&out, bytes, sizeof bytes, 0);
		assert_true(utf8_valid(out.bytes, out.n));
		for (size_t i = 0; i < out.n; i++)
			assert_true((unsigned char)out.bytes[i] >= 0x20 && out.bytes[i] != 0x7F);
		assert_null(strstr(out.bytes, "\xC2\x9B"));
		buffer_free(&out);
	}
}

static void
a_short_buffer_cuts_between_characters(void **state)
{
	char out[6];

	(void)state;
	assert_int_equal(visible_copy(out, sizeof out, "ab\033cd", 5, 0), 5);
	assert_string_equal(out, "ab␛");
	assert_int_equal(visible_copy(out, sizeof out, "abc\033d", 5, 0), 3);
	assert_string_equal(out, "abc");
	assert_int_equal(visible_copy(out, 1, "abc", 3, 0), 0);
	assert_string_equal(out, "");
}

static void
every_character_survives_encoding_and_decoding(void **state)
{
	char bytes[UTF8_MAX_BYTES];
	uint32_t back;
	bool valid;

	(void)state;
	for (uint32_t c = 0; c <= 0x10FFFF; c++) {
		size_t n = utf8_encode(c, bytes);
		bool surrogate = c >= 0xD800 && c <= 0xDFFF;

		assert_int_equal(utf8_decode(bytes, n, &back, &valid), n);
		assert_true(valid);
		assert_int_equal(back, surrogate ? UTF8_REPLACEMENT : c);
	}
}

static void
json_strings_are_escaped(void **state)
{
	struct buffer out = { 0 };

	(void)state;
	buffer_json_string(&out, "a\"\\\n\t\001\xFF\x7Fé", 10);
	assert_string_equal(out.bytes, "\"a\\\"\\\\\\n\\t\\u0001\uFFFD\\u007fé\"");
	buffer_free(&out);
}

static void
a_buffer_grows_and_hands_over(void **state)
{
	struct buffer out = { 0 };
	char *text;

	(void)state;
	assert_string_equal(buffer_string(&out), "");
	for (int i = 0; i < 1000; i++)
		buffer_printf(&out, "%03d,", i);
	assert_int_equal(out.n, 4000);
	text = buffer_take(&out);
	assert_string_equal(text + 3996, "999,");
	free(text);
	assert_int_equal(out.n, 0);
	buffer_append(&out, "x", SIZE_MAX);
	assert_true(buffer_failed(&out));
	buffer_text(&out, "y");
	assert_null(buffer_take(&out));
}

static void
numbers_read_back_as_written(void **state)
{
	static const double values[] = { 0, 1, -1, 0.1, 1e-5, 1.0 / 3, 6.02214076e23, 5e-324,
		1.7976931348623157e308 };
	char text[32];
	double back;

	(void)state;
	for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
		number_text(values[i], text, sizeof text);
		assert_true(number_parse(text, strlen(text), &back));
		assert_true(back == values[i]);
	}
	assert_string_equal(number_text(0.1, text, sizeof text), "0.1");
	assert_string_equal(number_text(100, text, sizeof text), "100");
	assert_false(number_parse("", 0, &back));
	assert_false(number_parse("0x1", 3, &back));
	assert_false(number_parse("1 ", 2, &back));
	assert_false(number_parse("inf", 3, &back));
	assert_false(number_parse("1e", 2, &back));
	assert_true(number_parse("1e999", 5, &back) && isinf(back));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ordinary_text_stays_as_it_is),
		cmocka_unit_test(control_characters_become_pictures),
		cmocka_unit_test(invisible_and_direction_changing_characters_are_named),
		cmocka_unit_test(malformed_utf8_becomes_the_replacement_character),
		cmocka_unit_test(the_ascii_form_is_pure_ascii),
		cmocka_unit_test(no_bytes_at_all_get_through_as_controls),
		cmocka_unit_test(a_short_buffer_cuts_between_characters),
		cmocka_unit_test(every_character_survives_encoding_and_decoding),
		cmocka_unit_test(json_strings_are_escaped),
		cmocka_unit_test(a_buffer_grows_and_hands_over),
		cmocka_unit_test(numbers_read_back_as_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
