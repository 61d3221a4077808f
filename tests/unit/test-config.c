/* test-config.c - settings out of a configuration tree, and what is said when they are wrong. */

#include "tests/unit/cmocka-first.h"

#include <math.h>
#include <string.h>

#include "base/atomic-file.h"
#include "base/config-file.h"
#include "base/toml.h"
#include "tests/unit/temporary-folder.h"

static const char document[] = "name = 'demo'\n"
			       "\n"
			       "[training]\n"
			       "steps = 100\n"
			       "rate = 0.5\n"
			       "resume = true\n"
			       "kind = 'sft'\n"
			       "ranks = [4, 8.5]\n"
			       "words = ['a', 1]\n"
			       "\n"
			       "[training.optimizer]\n"
			       "beta1 = 'high'\n";

static struct config_value *root;

static int
parse_document(void **state)
{
	struct config_error error;

	(void)state;
	root = toml_parse(document, strlen(document), &error);
	return root != NULL ? 0 : -1;
}

static int
free_document(void **state)
{
	(void)state;
	config_free(root);
	return 0;
}

static void
present_keys_are_read(void **state)
{
	static const char *const kinds[] = { "reconstruction", "sft", NULL };
	const struct config_value *training = config_get(root, "training"), *list = NULL;
	struct config_error error;
	int64_t steps = 0;
	double rate = 0, steps_too = 0;
	bool resume = false;
	int kind = -1;
	const char *name = NULL;

	(void)state;
	assert_true(config_integer(training, "steps", 1, 1000, &steps, &error));
	assert_true(config_number(training, "steps", 0, 1e9, &steps_too, &error));
	assert_true(config_number(training, "rate", 0, 1, &rate, &error));
	assert_true(config_bool(training, "resume", &resume, &error));
	assert_true(config_choice(training, "kind", kinds, &kind, &error));
	assert_true(config_string(root, "name", &name, &error));
	assert_true(config_list(training, "ranks", CONFIG_NUMBER, &list, &error));
	assert_int_equal(steps, 100);
	assert_true(steps_too == 100.0 && rate == 0.5 && resume && kind == 1);
	assert_string_equal(name, "demo");
	assert_int_equal(list->n_children, 2);
	assert_ptr_equal(config_find(root, "training.optimizer.beta1")->parent,
	    config_find(root, "training.optimizer"));
}

static void
absent_keys_leave_the_default(void **state)
{
	struct config_error error;
	int64_t steps = 7;

	(void)state;
	assert_true(config_integer(root, "steps", 1, 10, &steps, &error));
	assert_true(config_integer(NULL, "steps", 1, 10, &steps, &error));
	assert_int_equal(steps, 7);
	assert_null(config_find(root, "training.none.beta1"));
	assert_null(config_find(root, "name.none"));
}

static void
what_is_wrong_is_said_with_path_and_line(void **state)
{
	static const char *const kinds[] = { "a", "b", NULL };
	const struct config_value *training = config_get(root, "training"), *list = NULL;
	struct config_error error;
	int64_t integer;
	double number;
	int choice;

	(void)state;
	assert_false(config_integer(training, "steps", 1, 50, &integer, &error));
	assert_int_equal(error.line, 4);
	assert_string_equal(error.message, "'training.steps' must be an integer from 1 to 50");
	assert_false(config_integer(training, "rate", 1, INT64_MAX, &integer, &error));
	assert_string_equal(
	    error.message, "'training.rate' must be an integer of at least 1, not a number");
	assert_false(config_number(training, "rate", 0, 0.25, &number, &error));
	assert_string_equal(error.message, "'training.rate' must be a number from 0 to 0.25");
	assert_false(config_number(
	    config_get(training, "optimizer"), "beta1", -INFINITY, INFINITY, &number, &error));
	assert_int_equal(error.line, 12);
	assert_string_equal(
	    error.message, "'training.optimizer.beta1' must be a number, not a string");
	assert_false(config_choice(training, "kind", kinds, &choice, &error));
	assert_string_equal(error.message, "'training.kind' must be one of: a, b");
	assert_false(config_list(training, "words", CONFIG_STRING, &list, &error));
	assert_string_equal(error.message, "'training.words[2]' must be a string, not an integer");
	assert_false(config_required(training, "seed", &error));
	assert_string_equal(error.message, "'training.seed' is missing");
	assert_int_equal(error.line, 3);
}

static void
words_are_a_list_or_divided_by_commas(void **state)
{
	static const char text[] =
	    "one = \"a,b\"\ntwo = [\"a\", \"b\"]\nnone = []\nbad = [\"a,b\"]\n"
	    "worse = [1]\n";
	struct config_error error;
	struct config_value *words = toml_parse(text, strlen(text), &error);
	const char *out = NULL;

	(void)state;
	assert_non_null(words);
	assert_true(config_words(words, "one", &out, &error));
	assert_string_equal(out, "a,b");
	for (int again = 0; again < 2; again++) {
		assert_true(config_words(words, "two", &out, &error));
		assert_string_equal(out, "a,b");
	}
	assert_true(config_words(words, "none", &out, &error));
	assert_string_equal(out, "");
	out = NULL;
	assert_true(config_words(words, "absent", &out, &error));
	assert_null(out);
	assert_false(config_words(words, "bad", &out, &error));
	assert_int_equal(error.line, 4);
	assert_false(config_words(words, "worse", &out, &error));
	assert_int_equal(error.line, 5);
	config_free(words);
}

static void
an_unknown_key_is_named_with_what_was_meant(void **state)
{
	static const char *const known[] = { "step", "rate", "resume", "kind", "ranks", "words",
		"optimizer", NULL };
	static const char *const all[] = { "name", "training", NULL };
	static const char *const none[] = { NULL };
	struct config_error error;

	(void)state;
	assert_true(config_only(root, all, &error));
	assert_false(config_only(config_get(root, "training"), known, &error));
	assert_int_equal(error.line, 4);
	assert_string_equal(error.message, "unknown key 'training.steps'; did you mean 'step'?");
	assert_false(config_only(root, none, &error));
	assert_string_equal(error.message, "unknown key 'name'");
}

static void
a_file_is_read_by_its_name(void **state)
{
	struct config_error error;
	struct config_value *toml, *yaml;
	char text[200];

	(void)state;
	assert_int_equal(atomic_write(in_folder("a.toml"), "a = 1", 5), 0);
	assert_int_equal(atomic_write(in_folder("a.yml"), "a: 1", 4), 0);
	toml = config_open(in_folder("a.toml"), &error);
	yaml = config_open(in_folder("a.yml"), &error);
	assert_non_null(toml);
	assert_non_null(yaml);
	assert_int_equal(config_get(toml, "a")->integer, config_get(yaml, "a")->integer);
	config_free(toml);
	config_free(yaml);
	assert_null(config_open(in_folder("none.toml"), &error));
	config_error_text(&error, "none.toml", text, sizeof text);
	assert_string_equal(text, "none.toml: No such file or directory");
	assert_int_equal(atomic_write(in_folder("bad.toml"), "\na =", 4), 0);
	assert_null(config_open(in_folder("bad.toml"), &error));
	config_error_text(&error, "bad.toml", text, sizeof text);
	assert_string_equal(text, "bad.toml:2: a value is missing here");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_are_a_list_or_divided_by_commas),
		cmocka_unit_test_setup_teardown(
		    present_keys_are_read, parse_document, free_document),
		cmocka_unit_test_setup_teardown(
		    absent_keys_leave_the_default, parse_document, free_document),
		cmocka_unit_test_setup_teardown(
		    what_is_wrong_is_said_with_path_and_line, parse_document, free_document),
		cmocka_unit_test_setup_teardown(
		    an_unknown_key_is_named_with_what_was_meant, parse_document, free_document),
		cmocka_unit_test_setup_teardown(
		    a_file_is_read_by_its_name, make_temporary_folder, remove_temporary_folder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
