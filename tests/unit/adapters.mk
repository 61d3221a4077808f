# tests of engine/adapters and engine/hypernet
UNIT_TESTS += tests/unit/test-hypernet
tests_unit_test_hypernet_SOURCES = tests/unit/test-hypernet.c tests/unit/temporary-folder.h
tests_unit_test_hypernet_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_hypernet_LDADD = $(UNIT_LDADD)
tests_unit_test_hypernet_LDFLAGS = $(UNIT_LDFLAGS)
