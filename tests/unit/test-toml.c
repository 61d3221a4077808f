/* test-toml.c - the TOML reader against the specification's own examples (toml.io/en/v1.0.0). */

#include "tests/unit/cmocka-first.h"

#include <locale.h>
#include <stdlib.h>

#include "base/toml.h"
#include "tests/unit/config-dump.h"

struct example {
	const char *toml, *dump;
};

static void
check(const struct example *examples, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct config_error error = { 0 };
		struct buffer dump = { 0 };
		struct config_value *root =
		    toml_parse(examples[i].toml, strlen(examples[i].toml), &error);

		if (root == NULL)
			fail_msg("%s\n-> line %d: %s", examples[i].toml, error.line, error.message);
		config_dump(root, &dump);
		assert_string_equal(buffer_string(&dump), examples[i].dump);
		buffer_free(&dump);
		config_free(root);
	}
}

#define CHECK(examples) check(examples, sizeof examples / sizeof examples[0])

static void
keys_are_bare_quoted_or_dotted(void **state)
{
	static const struct example examples[] = {
		{ "", "{}" },
		{ "# only a comment", "{}" },
		{ "key = \"value\"", "{\"key\":\"value\"}" },
		{ "bare_key = 1\nbare-key = 2\n1234 = 3\n",
		    "{\"bare_key\":1,\"bare-key\":2,\"1234\":3}" },
		{ "\"127.0.0.1\" = 1\n'quoted \"value\"' = 2\n\"ʎǝʞ\" = 3",
		    "{\"127.0.0.1\":1,\"quoted \\\"value\\\"\":2,\"ʎǝʞ\":3}" },
		{ "\"\" = 1", "{\"\":1}" },
		{ "physical.color = 'orange'\nphysical.shape = 'round'\nsite.\"google.com\" = true",
		    "{\"physical\":{\"color\":\"orange\",\"shape\":\"round\"},"
		    "\"site\":{\"google.com\":true}}" },
		{ "fruit . flavor = 'banana'\nfruit. color='y'",
		    "{\"fruit\":{\"flavor\":\"banana\",\"color\":\"y\"}}" },
		{ "3.14159 = \"pi\"", "{\"3\":{\"14159\":\"pi\"}}" },
		{ "\xEF\xBB\xBF"
		  "a = 1\r\nb = 2\r\n",
		    "{\"a\":1,\"b\":2}" },
	};

	(void)state;
	CHECK(examples);
}

static void
strings_come_in_four_kinds(void **state)
{
	static const struct example examples[] = {
		{ "s = \"I'm a string. \\\"You can quote me\\\". Name\\tJos\\u00E9\\nLoc\\tSF.\"",
		    "{\"s\":\"I'm a string. \\\"You can quote me\\\". Name\\tJosé\\nLoc\\tSF.\"}" },
		{ "s = \"\\U0001F600\\\\\\b\\f\\r\"", "{\"s\":\"😀\\\\\\b\\f\\r\"}" },
		{ "s = \"\"\"\nRoses are red\nViolets are blue\"\"\"",
		    "{\"s\":\"Roses are red\\nViolets are blue\"}" },
		{ "s = \"\"\"\nThe quick brown \\\n\n\n  fox jumps over \\\n    the lazy "
		  "dog.\"\"\"",
		    "{\"s\":\"The quick brown fox jumps over the lazy dog.\"}" },
		{ "s = \"\"\"\\  \n  x\"\"\"", "{\"s\":\"x\"}" },
		{ "s = \"\"\"Here are two quotation marks: \"\". Simple enough.\"\"\"",
		    "{\"s\":\"Here are two quotation marks: \\\"\\\". Simple enough.\"}" },
		{ "s = \"\"\"\"This,\" she said, \"is just a pointless statement.\"\"\"\"",
		    "{\"s\":\"\\\"This,\\\" she said, \\\"is just a pointless statement.\\\"\"}" },
		{ "s = \"\"\"\"\"\"", "{\"s\":\"\"}" },
		{ "s = '''''two'''''", "{\"s\":\"''two''\"}" },
		{ "s = 'C:\\Users\\nodejs\\templates'",
		    "{\"s\":\"C:\\\\Users\\\\nodejs\\\\templates\"}" },
		{ "s = '''\r\nfirst\r\nsecond\\\r\n'''", "{\"s\":\"first\\nsecond\\\\\\n\"}" },
		{ "s = ''", "{\"s\":\"\"}" },
	};

	(void)state;
	CHECK(examples);
}

static void
numbers_booleans_and_dates_are_read_as_written(void **state)
{
	static const struct example examples[] = {
		{ "a = +99\nb = 0\nc = -17\nd = 1_000\ne = 5_349_221\nf = +0\ng = -0",
		    "{\"a\":99,\"b\":0,\"c\":-17,\"d\":1000,\"e\":5349221,\"f\":0,\"g\":0}" },
		{ "a = 0xDEADBEEF\nb = 0xdead_beef\nc = 0o755\nd = 0b11010110",
		    "{\"a\":3735928559,\"b\":3735928559,\"c\":493,\"d\":214}" },
		{ "a = 9223372036854775807\nb = -9223372036854775808",
		    "{\"a\":9223372036854775807,\"b\":-9223372036854775808}" },
		{ "a = +1.0\nb = 3.1415\nc = -0.01\nd = 5e+22\ne = 1e06\nf = -2E-2\ng = 6.626e-34\n"
		  "h = 224_617.445_991_228",
		    "{\"a\":1.0,\"b\":3.1415,\"c\":-0.01,\"d\":5e+22,\"e\":1000000.0,\"f\":-0.02,"
		    "\"g\":6.626e-34,\"h\":224617.445991228}" },
		{ "a = inf\nb = -inf\nc = +inf", "{\"a\":inf,\"b\":-inf,\"c\":inf}" },
		{ "a = true\nb = false # no", "{\"a\":true,\"b\":false}" },
		{ "a = 1979-05-27T07:32:00Z\nb = 1979-05-27T00:32:00.999999-07:00\n"
		  "c = 1979-05-27 07:32:00Z\nd = 1979-05-27T07:32:00\ne = 1979-05-27\nf = "
		  "07:32:00.5",
		    "{\"a\":<1979-05-27T07:32:00Z>,\"b\":<1979-05-27T00:32:00.999999-07:00>,"
		    "\"c\":<1979-05-27 07:32:00Z>,\"d\":<1979-05-27T07:32:00>,\"e\":<1979-05-27>,"
		    "\"f\":<07:32:00.5>}" },
		{ "a = 2000-02-29 # leap\n", "{\"a\":<2000-02-29>}" },
	};

	(void)state;
	CHECK(examples);
}

static void
arrays_and_inline_tables_nest(void **state)
{
	static const struct example examples[] = {
		{ "a = [ 1, 2, 3 ]", "{\"a\":[1,2,3]}" },
		{ "a = [ [ 1, 2 ], ['a', \"b\"] ]", "{\"a\":[[1,2],[\"a\",\"b\"]]}" },
		{ "a = [\n 1, # one\n\n 2, ]", "{\"a\":[1,2]}" },
		{ "a = []", "{\"a\":[]}" },
		{ "a = [0.1, 1, 'x', {b = 2}]", "{\"a\":[0.1,1,\"x\",{\"b\":2}]}" },
		{ "name = { first = 'Tom', last = \"P\" }",
		    "{\"name\":{\"first\":\"Tom\",\"last\":\"P\"}}" },
		{ "animal = { type.name = 'pug' }", "{\"animal\":{\"type\":{\"name\":\"pug\"}}}" },
		{ "a = {}", "{\"a\":{}}" },
		{ "points = [ { x = 1 },\n { x = 7 } ]", "{\"points\":[{\"x\":1},{\"x\":7}]}" },
	};

	(void)state;
	CHECK(examples);
}

static void
headers_define_tables_and_lists_of_tables(void **state)
{
	static const struct example examples[] = {
		{ "[a]\nx = 1\n[b]\nx = 2", "{\"a\":{\"x\":1},\"b\":{\"x\":2}}" },
		{ "[dog.\"tater.man\"]\ntype.name = 'pug'",
		    "{\"dog\":{\"tater.man\":{\"type\":{\"name\":\"pug\"}}}}" },
		{ "[ j . \"ʞ\" . 'l' ]", "{\"j\":{\"ʞ\":{\"l\":{}}}}" },
		{ "[x.y.z.w]\n[x] # defining a super-table afterward is ok",
		    "{\"x\":{\"y\":{\"z\":{\"w\":{}}}}}" },
		{ "[fruit]\napple.color = 'red'\napple.taste.sweet = true\n"
		  "[fruit.apple.texture]\nsmooth = true",
		    "{\"fruit\":{\"apple\":{\"color\":\"red\",\"taste\":{\"sweet\":true},"
		    "\"texture\":{\"smooth\":true}}}}" },
		{ "[[products]]\nname = 'Hammer'\n[[products]]\n[[products]]\nname = 'Nail'",
		    "{\"products\":[{\"name\":\"Hammer\"},{},{\"name\":\"Nail\"}]}" },
		{ "[[fruits]]\nname = 'apple'\n[fruits.physical]\ncolor = 'red'\n"
		  "[[fruits.varieties]]\nname = 'rd'\n[[fruits.varieties]]\nname = 'gs'\n"
		  "[[fruits]]\nname = 'banana'\n[[fruits.varieties]]\nname = 'p'",
		    "{\"fruits\":[{\"name\":\"apple\",\"physical\":{\"color\":\"red\"},"
		    "\"varieties\":[{\"name\":\"rd\"},{\"name\":\"gs\"}]},"
		    "{\"name\":\"banana\",\"varieties\":[{\"name\":\"p\"}]}]}" },
	};

	(void)state;
	CHECK(examples);
}

/* What the specification calls invalid, and the line to blame. */
static void
invalid_documents_are_refused_with_their_line(void **state)
{
	static const struct {
		const char *toml;
		int line;
	} examples[] = {
		{ "key = # INVALID", 1 },
		{ "\n\nfirst = \"Tom\" last = \"Preston-Werner\"", 3 },
		{ "= \"no key name\"", 1 },
		{ "name = 'Tom'\nname = 'Pradyun'", 2 },
		{ "spelling = 'f'\n\"spelling\" = 'x'", 2 },
		{ "fruit.apple = 1\nfruit.apple.smooth = true", 2 },
		{ "a = \"line\nbreak\"", 1 },
		{ "a = 'never closed", 1 },
		{ "\na = \"\"\"never\nclosed", 2 },
		{ "a = \"\\q\"", 1 },
		{ "a = \"\\u12\"", 1 },
		{ "a = \"\\uD800\"", 1 },
		{ "a = \"\\u0000\"", 1 },
		{ "a = '''15 apostrophes: ''''''''''''''''''", 1 },
		{ "\"\"\"key\"\"\" = 1", 1 },
		{ "a = 007", 1 },
		{ "a = 1__0", 1 },
		{ "a = _1", 1 },
		{ "a = 1_", 1 },
		{ "a = 0x_1", 1 },
		{ "a = +0x1", 1 },
		{ "a = 0xg", 1 },
		{ "a = 0b2", 1 },
		{ "a = 9223372036854775808", 1 },
		{ "a = 0xFFFFFFFFFFFFFFFF", 1 },
		{ "a = .7", 1 },
		{ "a = 7.", 1 },
		{ "a = 3.e+20", 1 },
		{ "a = 1e", 1 },
		{ "a = True", 1 },
		{ "a = yes", 1 },
		{ "a = 1979-02-30", 1 },
		{ "a = 1900-02-29", 1 },
		{ "a = 24:00:00", 1 },
		{ "a = 1979-05-27T07:32", 1 },
		{ "a = 1979-05-27T07:32:00+24:00", 1 },
		{ "a = [1, 2", 1 },
		{ "a = [1 2]", 1 },
		{ "a = [,]", 1 },
		{ "a = { x = 1, }", 1 },
		{ "a = { x = 1\n}", 1 },
		{ "a = { x = 1, x = 2 }", 1 },
		{ "[product]\ntype = { name = 'Nail' }\ntype.edible = false", 3 },
		{ "[product]\ntype.name = 'Nail'\ntype = { edible = false }", 3 },
		{ "[fruit]\n\n[fruit]", 3 },
		{ "[fruit]\napple = 'red'\n[fruit.apple]\ntexture = 's'", 3 },
		{ "[fruit]\napple.color = 'red'\n[fruit.apple]", 3 },
		{ "[fruit]\napple.taste.sweet = true\n[fruit.apple.taste]", 3 },
		{ "[a.b.c]\nz = 9\n[a]\nb.c.t = 1", 4 },
		{ "fruits = []\n[[fruits]]", 2 },
		{ "[[fruits]]\nname = 'a'\n[fruits]", 3 },
		{ "[fruits.physical]\ncolor = 'red'\n[[fruits]]", 3 },
		{ "[[fruits]]\n[[fruits.v]]\n[fruits.v]", 3 },
		{ "a = {b = 1}\n[a.c]", 2 },
		{ "a = [{b = 1}]\n[a.c]", 2 },
		{ "[a", 1 },
		{ "[]", 1 },
		{ "[a]]", 1 },
		{ "[[a]", 1 },
		{ "[a.]", 1 },
		{ "[a] b = 1", 1 },
		{ "a", 1 },
		{ "a = 1 # bell \a", 1 },
		{ "a = 'bell \a'", 1 },
		{ "a = 1\rb = 2", 1 },
		{ "a = 1\nb = '\xFF'", 2 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof examples / sizeof examples[0]; i++) {
		struct config_error error = { 0 };
		struct config_value *root =
		    toml_parse(examples[i].toml, strlen(examples[i].toml), &error);

		if (root != NULL)
			fail_msg("accepted: %s", examples[i].toml);
		if (error.line != examples[i].line || error.message[0] == '\0')
			fail_msg("%s: line %d instead of %d: %s", examples[i].toml, error.line,
			    examples[i].line, error.message);
	}
}

static void
nan_keeps_being_not_a_number(void **state)
{
	static const char toml[] = "a = nan\nb = -nan\nc = +nan";
	struct config_error error;
	struct config_value *root = toml_parse(toml, strlen(toml), &error);

	(void)state;
	assert_non_null(root);
	for (size_t i = 0; i < root->n_children; i++)
		assert_true(root->children[i]->number != root->children[i]->number);
	config_free(root);
}

static void
a_nul_byte_is_refused(void **state)
{
	struct config_error error;

	(void)state;
	assert_null(toml_parse("a = 1\n\0", 7, &error));
	assert_int_equal(error.line, 2);
}

/* N times PIECE. */
static char *
repeated(const char *piece, size_t n)
{
	struct buffer out = { 0 };

	for (size_t i = 0; i < n; i++)
		buffer_text(&out, piece);
	return buffer_take(&out);
}

static void
depth_is_bounded_in_lists_keys_and_headers(void **state)
{
	static const char *const openings[] = { "a = ", "", "[" };
	static const char *const pieces[] = { "[", "a.", "a." };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct config_error error = { 0 };
		char *deep = repeated(pieces[i], 100000);
		struct buffer toml = { 0 };

		buffer_text(&toml, openings[i]);
		buffer_text(&toml, deep);
		assert_null(toml_parse(toml.bytes, toml.n, &error));
		assert_non_null(strstr(error.message, "deeper than 64"));
		buffer_free(&toml);
		free(deep);
	}
}

static void
numbers_do_not_depend_on_the_locale(void **state)
{
	static const char toml[] = "a = 0.5";
	struct config_error error;
	struct config_value *root;

	(void)state;
	if (setlocale(LC_NUMERIC, "de_DE.UTF-8") == NULL)
		skip();
	root = toml_parse(toml, strlen(toml), &error);
	setlocale(LC_NUMERIC, "C");
	assert_non_null(root);
	assert_true(config_get(root, "a")->number == 0.5);
	config_free(root);
}

static void
every_value_knows_its_line(void **state)
{
	static const char toml[] = "a = 1\n\n[t]\nb = '''\n\n'''\nc = [\n 1,\n 2]\n";
	struct config_error error;
	struct config_value *root = toml_parse(toml, strlen(toml), &error);

	(void)state;
	assert_non_null(root);
	assert_int_equal(config_find(root, "a")->line, 1);
	assert_int_equal(config_find(root, "t")->line, 3);
	assert_int_equal(config_find(root, "t.b")->line, 4);
	assert_int_equal(config_find(root, "t.c")->line, 7);
	assert_int_equal(config_find(root, "t.c")->children[1]->line, 9);
	config_free(root);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_are_bare_quoted_or_dotted),
		cmocka_unit_test(strings_come_in_four_kinds),
		cmocka_unit_test(numbers_booleans_and_dates_are_read_as_written),
		cmocka_unit_test(arrays_and_inline_tables_nest),
		cmocka_unit_test(headers_define_tables_and_lists_of_tables),
		cmocka_unit_test(invalid_documents_are_refused_with_their_line),
		cmocka_unit_test(nan_keeps_being_not_a_number),
		cmocka_unit_test(a_nul_byte_is_refused),
		cmocka_unit_test(depth_is_bounded_in_lists_keys_and_headers),
		cmocka_unit_test(numbers_do_not_depend_on_the_locale),
		cmocka_unit_test(every_value_knows_its_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
