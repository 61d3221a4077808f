# Tests of base/.
BASE_TESTS = tests/unit/test-atomic-file tests/unit/test-config tests/unit/test-hash \
	tests/unit/test-toml tests/unit/test-visible tests/unit/test-yaml
UNIT_TESTS += $(BASE_TESTS)
EXTRA_DIST += tests/unit/cmocka-first.h tests/unit/config-dump.h tests/unit/temporary-folder.h

tests_unit_test_atomic_file_SOURCES = tests/unit/test-atomic-file.c
tests_unit_test_atomic_file_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_atomic_file_LDADD = $(UNIT_LDADD)
tests_unit_test_atomic_file_LDFLAGS = $(UNIT_LDFLAGS)

tests_unit_test_config_SOURCES = tests/unit/test-config.c
tests_unit_test_config_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_config_LDADD = $(UNIT_LDADD)
tests_unit_test_config_LDFLAGS = $(UNIT_LDFLAGS)

tests_unit_test_hash_SOURCES = tests/unit/test-hash.c
tests_unit_test_hash_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_hash_LDADD = $(UNIT_LDADD)
tests_unit_test_hash_LDFLAGS = $(UNIT_LDFLAGS)

tests_unit_test_toml_SOURCES = tests/unit/test-toml.c
tests_unit_test_toml_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_toml_LDADD = $(UNIT_LDADD)
tests_unit_test_toml_LDFLAGS = $(UNIT_LDFLAGS)

tests_unit_test_visible_SOURCES = tests/unit/test-visible.c
tests_unit_test_visible_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_visible_LDADD = $(UNIT_LDADD)
tests_unit_test_visible_LDFLAGS = $(UNIT_LDFLAGS)

tests_unit_test_yaml_SOURCES = tests/unit/test-yaml.c
tests_unit_test_yaml_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_yaml_LDADD = $(UNIT_LDADD)
tests_unit_test_yaml_LDFLAGS = $(UNIT_LDFLAGS)
