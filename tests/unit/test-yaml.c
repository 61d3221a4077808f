/* test-yaml.c - the YAML reader: core schema, anchors within bounds, the same tree as TOML. */

#include "tests/unit/cmocka-first.h"

#include <stdlib.h>

#include "base/toml.h"
#include "base/yaml.h"
#include "tests/unit/config-dump.h"

static void
check_dump(const char *yaml, const char *expected)
{
	struct config_error error = { 0 };
	struct buffer dump = { 0 };
	struct config_value *root = yaml_parse(yaml, strlen(yaml), &error);

	if (root == NULL)
		fail_msg("%s\n-> line %d: %s", yaml, error.line, error.message);
	config_dump(root, &dump);
	assert_string_equal(buffer_string(&dump), expected);
	buffer_free(&dump);
	config_free(root);
}

static void
check_refused(const char *yaml, int line, const char *part_of_message)
{
	struct config_error error = { 0 };

	if (yaml_parse(yaml, strlen(yaml), &error) != NULL)
		fail_msg("accepted: %s", yaml);
	if (error.line != line || strstr(error.message, part_of_message) == NULL)
		fail_msg("%.80s: line %d: %s", yaml, error.line, error.message);
}

/* The tables of YAML 1.2, section 10.3.2. */
static void
plain_scalars_resolve_by_the_core_schema(void **state)
{
	(void)state;
	check_dump("a: null\nb: ~\nc:\nd: Null\ne: NULL",
	    "{\"a\":null,\"b\":null,\"c\":null,\"d\":null,\"e\":null}");
	check_dump("a: true\nb: FALSE\nc: True", "{\"a\":true,\"b\":false,\"c\":true}");
	check_dump("a: 0\nb: 0o7\nc: 0x3A\nd: -19\ne: +12\nf: 007",
	    "{\"a\":0,\"b\":7,\"c\":58,\"d\":-19,\"e\":12,\"f\":7}");
	check_dump("a: 0.\nb: -0.0\nc: .5\nd: +12e03\ne: -2E+05\nf: 1e-4",
	    "{\"a\":0.0,\"b\":-0.0,\"c\":0.5,\"d\":12000.0,\"e\":-200000.0,\"f\":0.0001}");
	check_dump("a: .inf\nb: -.Inf\nc: +.INF", "{\"a\":inf,\"b\":-inf,\"c\":inf}");
	check_dump("a: yes\nb: No\nc: on\nd: 1:30\ne: 1_000\nf: 0b1\ng: .\nh: '-'\ni: 1.2.3",
	    "{\"a\":\"yes\",\"b\":\"No\",\"c\":\"on\",\"d\":\"1:30\",\"e\":\"1_000\",\"f\":\"0b1\","
	    "\"g\":\".\",\"h\":\"-\",\"i\":\"1.2.3\"}");
}

static void
quotes_and_tags_decide_over_the_schema(void **state)
{
	(void)state;
	check_dump("a: '1'\nb: \"true\"\nc: !!str 2\nd: ! 3\ne: !!float 4\nf: !!int '5'",
	    "{\"a\":\"1\",\"b\":\"true\",\"c\":\"2\",\"d\":\"3\",\"e\":4,\"f\":5}");
	check_dump("a: !!map {b: !!seq [1]}", "{\"a\":{\"b\":[1]}}");
	check_refused("a: 1\nb: !!int x", 2, "tag");
	check_refused("a: !python/object:os.system x", 1, "tags");
}

static void
blocks_flows_and_json_nest(void **state)
{
	(void)state;
	check_dump("", "{}");
	check_dump("# nothing", "{}");
	check_dump("train:\n  steps: 10\n  files:\n  - a.txt\n  - b.txt\n",
	    "{\"train\":{\"steps\":10,\"files\":[\"a.txt\",\"b.txt\"]}}");
	check_dump("text: |\n  one\n  two\nfolded: >-\n  one\n  two\n",
	    "{\"text\":\"one\\ntwo\\n\",\"folded\":\"one two\"}");
	check_dump("{\"a\": [1, 2.5, \"x\\u00e9\"], \"b\": {\"c\": null}}",
	    "{\"a\":[1,2.5,\"x\xC3\xA9\"],\"b\":{\"c\":null}}");
	check_dump("1: a\ntrue: b", "{\"1\":\"a\",\"true\":\"b\"}");
}

static void
a_decimal_integer_beyond_64_bits_is_a_number(void **state)
{
	struct config_error error;
	const char *text =
	    "a: 9223372036854775807\nb: 9223372036854775808\nc: -1000000000000000000000";
	struct config_value *root = yaml_parse(text, strlen(text), &error);

	(void)state;
	assert_non_null(root);
	assert_int_equal(config_get(root, "a")->kind, CONFIG_INTEGER);
	assert_int_equal(config_get(root, "b")->kind, CONFIG_NUMBER);
	assert_true(config_get(root, "b")->number == 9223372036854775808.0);
	assert_true(config_get(root, "c")->number == -1e21);
	config_free(root);
}

static void
an_alias_repeats_its_anchor(void **state)
{
	(void)state;
	check_dump("a: &x {r: 8}\nb: *x\nc: [*x, *x]",
	    "{\"a\":{\"r\":8},\"b\":{\"r\":8},\"c\":[{\"r\":8},{\"r\":8}]}");
	check_dump("a: &x 1\nb: &x 2\nc: *x", "{\"a\":1,\"b\":2,\"c\":2}");
}

static void
faults_are_refused_with_their_line(void **state)
{
	(void)state;
	check_refused("a: 1\nb: [1, 2\n", 3, "expected");
	check_refused("a: 1\n\tb: 2", 2, "tab");
	check_refused("a: 1\na: 2", 2, "already there, in line 1");
	check_refused("- 1\n- 2", 1, "key: value");
	check_refused("just text", 1, "key: value");
	check_refused("a: 1\n---\nb: 2", 2, "second document");
	check_refused("a: *nowhere", 1, "alias");
	check_refused("a: &x [1, *x]", 1, "own anchor");
	check_refused("? [1, 2]\n: x", 1, "key");
	check_refused("d: &d {a: 1}\ne:\n  <<: *d", 3, "merge");
	check_refused("a: 1\nb: 0x8000000000000000", 2, "64 bits");
	check_refused("a: \"\\0\"", 1, "NUL");
	check_refused("a: \xFF", 0, "UTF-8");
}

static void
a_billion_laughs_cost_no_more_than_a_few(void **state)
{
	struct buffer values = { 0 }, text = { 0 };

	(void)state;
	buffer_text(&values, "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]\n");
	for (int i = 1; i < 10; i++) {
		buffer_printf(&values, "a%d: &a%d [", i, i);
		for (int j = 0; j < 10; j++)
			buffer_printf(&values, "%s*a%d", j > 0 ? ", " : "", i - 1);
		buffer_text(&values, "]\n");
	}
	check_refused(values.bytes, 6, "values");

	buffer_text(&text, "a: &a ");
	for (int i = 0; i < 100000; i++)
		buffer_text(&text, "abcdefghij");
	buffer_text(&text, "\nb: [");
	for (int i = 0; i < 10000; i++)
		buffer_text(&text, "*a,");
	buffer_text(&text, "]\n");
	check_refused(text.bytes, 2, "bytes of text");
	buffer_free(&values);
	buffer_free(&text);
}

static void
deep_nesting_is_refused(void **state)
{
	struct buffer text = { 0 };

	(void)state;
	buffer_text(&text, "a: ");
	for (int i = 0; i < 500; i++)
		buffer_char(&text, '[');
	check_refused(text.bytes, 1, "deeper than 64");
	buffer_free(&text);
}

static void
yaml_and_toml_give_the_same_tree(void **state)
{
	static const char toml[] =
	    "name = 'x'\n[lora]\nr = 8\nalpha = 16.0\nmodules = ['q', 'v']\n";
	struct config_error error;
	struct config_value *root = toml_parse(toml, strlen(toml), &error);
	struct buffer dump = { 0 };

	(void)state;
	assert_non_null(root);
	config_dump(root, &dump);
	check_dump("name: x\nlora:\n  r: 8\n  alpha: 16.0\n  modules: [q, v]\n", dump.bytes);
	buffer_free(&dump);
	config_free(root);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_scalars_resolve_by_the_core_schema),
		cmocka_unit_test(quotes_and_tags_decide_over_the_schema),
		cmocka_unit_test(blocks_flows_and_json_nest),
		cmocka_unit_test(a_decimal_integer_beyond_64_bits_is_a_number),
		cmocka_unit_test(an_alias_repeats_its_anchor),
		cmocka_unit_test(faults_are_refused_with_their_line),
		cmocka_unit_test(a_billion_laughs_cost_no_more_than_a_few),
		cmocka_unit_test(deep_nesting_is_refused),
		cmocka_unit_test(yaml_and_toml_give_the_same_tree),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
