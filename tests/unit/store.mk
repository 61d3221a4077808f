# The catalog's unit tests need nothing of the engine.
STORE_TESTS = tests/unit/test-store tests/unit/test-store-adapters
UNIT_TESTS += $(STORE_TESTS)
STORE_TEST_LDADD = store/libstore.la base/libbase.la $(CMOCKA_LIBS) $(NETTLE_LIBS) $(UTF8PROC_LIBS)

tests_unit_test_store_SOURCES = tests/unit/test-store.c tests/unit/test-store-fixture.h
tests_unit_test_store_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_store_LDADD = $(STORE_TEST_LDADD)

tests_unit_test_store_adapters_SOURCES = tests/unit/test-store-adapters.c tests/unit/test-store-fixture.h
tests_unit_test_store_adapters_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_store_adapters_LDADD = $(STORE_TEST_LDADD)
