# One pair of lines a test: check_PROGRAMS and _SOURCES/_CFLAGS/_LDADD/_LDFLAGS; TESTS runs them all.
UNIT_TESTS =
include tests/unit/store.mk
UNIT_TESTS += tests/unit/test-tokenizer
tests_unit_test_tokenizer_SOURCES = tests/unit/test-tokenizer.c tests/unit/golden-lines.h
tests_unit_test_tokenizer_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_tokenizer_LDADD = $(UNIT_LDADD)
tests_unit_test_tokenizer_LDFLAGS = $(UNIT_LDFLAGS)

include tests/unit/base.mk
check_PROGRAMS += $(UNIT_TESTS)
TESTS += $(UNIT_TESTS)
