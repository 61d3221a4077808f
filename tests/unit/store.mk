# The catalog's unit tests need nothing of the engine.
UNIT_TESTS += tests/unit/test-store \
	tests/unit/test-store-adapters \
	tests/unit/test-store-search \
	tests/unit/test-store-comparisons \
	tests/unit/test-store-files \
	tests/unit/test-store-crash
STORE_TEST_LDADD = store/libstore.la base/libbase.la $(CMOCKA_LIBS) \
	$(SQLITE_LIBS) $(NETTLE_LIBS) $(UTF8PROC_LIBS)

tests_unit_test_store_SOURCES = tests/unit/test-store.c \
	tests/unit/test-store-fixture.h
tests_unit_test_store_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_store_LDADD = $(STORE_TEST_LDADD)

tests_unit_test_store_adapters_SOURCES = tests/unit/test-store-adapters.c \
	tests/unit/test-store-fixture.h
tests_unit_test_store_adapters_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_store_adapters_LDADD = $(STORE_TEST_LDADD)

tests_unit_test_store_search_SOURCES = tests/unit/test-store-search.c \
	tests/unit/test-store-fixture.h
tests_unit_test_store_search_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_store_search_LDADD = $(STORE_TEST_LDADD)

tests_unit_test_store_comparisons_SOURCES = tests/unit/test-store-comparisons.c \
	tests/unit/test-store-fixture.h
tests_unit_test_store_comparisons_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_store_comparisons_LDADD = $(STORE_TEST_LDADD)

tests_unit_test_store_files_SOURCES = tests/unit/test-store-files.c \
	tests/unit/test-store-fixture.h
tests_unit_test_store_files_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_store_files_LDADD = $(STORE_TEST_LDADD)

tests_unit_test_store_crash_SOURCES = tests/unit/test-store-crash.c \
	tests/unit/test-store-fixture.h
tests_unit_test_store_crash_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_store_crash_LDADD = $(STORE_TEST_LDADD)
