/* test-json.c - untrusted JSON: bounded, whole strings, getters that name the key. */

#include "tests/unit/cmocka-first.h"

#include <stdlib.h>
#include <string.h>

#include "base/atomic-file.h"
#include "base/buffer.h"
#include "engine/formats/json.h"
#include "tests/unit/temporary-folder.h"

static void
check_refused(const char *text, size_t n, const char *part_of_message)
{
	struct t2l_error error = { 0 };
	cJSON *root = NULL;

	if (json_parse(text, n, "x.json", &root, &error) != T2L_EFORMAT)
		fail_msg("accepted: %.80s", text);
	if (strstr(error.message, part_of_message) == NULL)
		fail_msg("%.80s: %s", text, error.message);
	assert_null(root);
}

#define REFUSED(text, part) check_refused(text, sizeof(text) - 1, part)

static void
damaged_documents_are_refused(void **state)
{
	(void)state;
	REFUSED("", "damaged");
	REFUSED("{\"a\": 1", "damaged");
	REFUSED("{\"a\": 1}}", "behind the end");
	REFUSED("{\"a\": 1} x", "behind the end");
	REFUSED("{\n\"a\": 1,\n!}", "x.json:3:");
	REFUSED("{\"a\": \"\xFF\"}", "malformed UTF-8");
}

/* cJSON itself would cut such strings short, so that two names could look alike. */
static void
nul_is_refused_raw_and_escaped(void **state)
{
	struct t2l_error error;
	cJSON *root;

	(void)state;
	REFUSED("{\"a\0b\": 1}", "NUL");
	REFUSED("{\"a\\u0000b\": 1}", "NUL");
	REFUSED("{\"a\\\\\\u0000b\": 1}", "NUL");
	assert_int_equal(json_parse("{\"a\\\\u0000b\": 1}", 16, "x.json", &root, &error), T2L_OK);
	assert_string_equal(root->child->string, "a\\u0000b");
	cJSON_Delete(root);
}

static void
depth_and_number_of_values_are_bounded(void **state)
{
	struct buffer text = { 0 };

	(void)state;
	for (int i = 0; i < 100000; i++)
		buffer_char(&text, '[');
	check_refused(text.bytes, text.n, "damaged");
	buffer_clear(&text);
	for (int i = 0; i < 9000000; i++)
		buffer_text(&text, "[,");
	check_refused(text.bytes, text.n, "too many values");
	buffer_free(&text);
}

static const char document[] =
    "{\"n\": 12, \"big\": 1e300, \"half\": 0.5, \"nothing\": null, \"yes\": true,"
    "\"s\": \"text\", \"o\": {}, \"a\": [], \"minus\": -1}";

static cJSON *root;

static int
parse_document(void **state)
{
	(void)state;
	return (int)json_parse(document, strlen(document), "c.json", &root, NULL);
}

static int
free_document(void **state)
{
	(void)state;
	cJSON_Delete(root);
	return 0;
}

static void
getters_read_what_is_there(void **state)
{
	struct t2l_error error;
	int64_t n = 0;
	double half = 0;
	bool yes = false;
	const char *s = NULL;
	const cJSON *object = NULL, *array = NULL;

	(void)state;
	assert_int_equal(
	    json_integer(root, "n", JSON_REQUIRED, 1, INT64_MAX, "c.json", &n, &error), T2L_OK);
	assert_int_equal(
	    json_number(root, "half", JSON_REQUIRED, 0, 1, "c.json", &half, &error), T2L_OK);
	assert_int_equal(json_bool(root, "yes", JSON_REQUIRED, "c.json", &yes, &error), T2L_OK);
	assert_int_equal(json_string(root, "s", JSON_REQUIRED, "c.json", &s, &error), T2L_OK);
	assert_int_equal(json_object(root, "o", JSON_REQUIRED, "c.json", &object, &error), T2L_OK);
	assert_int_equal(json_array(root, "a", JSON_REQUIRED, "c.json", &array, &error), T2L_OK);
	assert_int_equal(n, 12);
	assert_true(half == 0.5 && yes && object != NULL && array != NULL);
	assert_string_equal(s, "text");
}

static void
getters_name_the_key_that_is_wrong(void **state)
{
	struct t2l_error error;
	int64_t n = 7;
	double number = 7;

	(void)state;
	assert_int_equal(json_integer(root, "s", JSON_OPTIONAL, 1, INT64_MAX, "c.json", &n, &error),
	    T2L_EFORMAT);
	assert_string_equal(error.message, "c.json: key 's' must be a positive integer");
	assert_int_equal(
	    json_integer(root, "minus", JSON_OPTIONAL, 0, 9, "c.json", &n, &error), T2L_EFORMAT);
	assert_string_equal(error.message, "c.json: key 'minus' must be an integer from 0 to 9");
	assert_int_equal(
	    json_integer(root, "half", JSON_OPTIONAL, 0, 9, "c.json", &n, &error), T2L_EFORMAT);
	assert_int_equal(
	    json_integer(root, "big", JSON_OPTIONAL, 0, INT64_MAX, "c.json", &n, &error),
	    T2L_EFORMAT);
	assert_int_equal(
	    json_number(root, "n", JSON_OPTIONAL, 0, 1, "c.json", &number, &error), T2L_EFORMAT);
	assert_string_equal(error.message, "c.json: key 'n' must be a number from 0 to 1");
	assert_true(n == 7 && number == 7);
}

static void
absent_and_null_keys_are_fine_unless_required(void **state)
{
	static const char *const keys[] = { "nothing", "none" };
	struct t2l_error error;
	int64_t n = 7;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(
		    json_integer(root, keys[i], JSON_OPTIONAL, 1, 9, "c.json", &n, &error), T2L_OK);
		assert_int_equal(n, 7);
		assert_int_equal(
		    json_integer(root, keys[i], JSON_REQUIRED, 1, 9, "c.json", &n, &error),
		    T2L_EFORMAT);
		assert_non_null(strstr(error.message, "is missing"));
	}
}

static void
files_are_read_up_to_their_limit(void **state)
{
	struct t2l_error error;
	cJSON *parsed;

	(void)state;
	assert_int_equal(atomic_write(in_folder("a.json"), "\xEF\xBB\xBF{}", 5), 0);
	assert_int_equal(json_open(in_folder("a.json"), 5, &parsed, &error), T2L_OK);
	cJSON_Delete(parsed);
	assert_int_equal(json_open(in_folder("a.json"), 4, &parsed, &error), T2L_EFORMAT);
	assert_int_equal(json_open(in_folder("none"), 4, &parsed, &error), T2L_ENOENT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(damaged_documents_are_refused),
		cmocka_unit_test(nul_is_refused_raw_and_escaped),
		cmocka_unit_test(depth_and_number_of_values_are_bounded),
		cmocka_unit_test_setup_teardown(
		    getters_read_what_is_there, parse_document, free_document),
		cmocka_unit_test_setup_teardown(
		    getters_name_the_key_that_is_wrong, parse_document, free_document),
		cmocka_unit_test_setup_teardown(
		    absent_and_null_keys_are_fine_unless_required, parse_document, free_document),
		cmocka_unit_test_setup_teardown(files_are_read_up_to_their_limit,
		    make_temporary_folder, remove_temporary_folder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
