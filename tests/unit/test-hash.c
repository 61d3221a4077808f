/* test-hash.c - SHA-256 against the examples of FIPS 180-4 (NIST). */

#include "tests/unit/cmocka-first.h"

#include <string.h>

#include "base/atomic-file.h"
#include "base/hash.h"
#include "tests/unit/temporary-folder.h"

static void
the_standard_examples_hash_as_published(void **state)
{
	static const char long_text[] = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
	char hex[HASH_HEX_SIZE];

	(void)state;
	hash_sha256_hex("", 0, hex);
	assert_string_equal(
	    hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	hash_sha256_hex(NULL, 0, hex);
	assert_string_equal(
	    hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	hash_sha256_hex("abc", 3, hex);
	assert_string_equal(
	    hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	hash_sha256_hex(long_text, strlen(long_text), hex);
	assert_string_equal(
	    hex, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

static void
a_million_letters_in_odd_pieces_hash_as_published(void **state)
{
	char letters[777], hex[HASH_HEX_SIZE];
	struct hash hash;

	(void)state;
	memset(letters, 'a', sizeof letters);
	hash_start(&hash);
	for (size_t left = 1000000; left > 0;) {
		size_t n = left < sizeof letters ? left : sizeof letters;

		hash_add(&hash, letters, n);
		left -= n;
	}
	hash_finish(&hash, hex);
	assert_string_equal(
	    hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

static void
a_file_hashes_as_its_bytes(void **state)
{
	char bytes[200000], of_file[HASH_HEX_SIZE], of_bytes[HASH_HEX_SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (char)(i * 31 >> 3);
	assert_int_equal(atomic_write(in_folder("file"), bytes, sizeof bytes), 0);
	assert_int_equal(hash_sha256_file(in_folder("file"), of_file), 0);
	hash_sha256_hex(bytes, sizeof bytes, of_bytes);
	assert_string_equal(of_file, of_bytes);
	assert_int_equal(hash_sha256_file(in_folder("none"), of_file), -1);
	assert_int_equal(hash_sha256_file(temporary_folder, of_file), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_standard_examples_hash_as_published),
		cmocka_unit_test(a_million_letters_in_odd_pieces_hash_as_published),
		cmocka_unit_test_setup_teardown(
		    a_file_hashes_as_its_bytes, make_temporary_folder, remove_temporary_folder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
