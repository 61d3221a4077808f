# tests of engine/text
UNIT_TESTS += tests/unit/test-tokenizer
tests_unit_test_tokenizer_SOURCES = tests/unit/test-tokenizer.c tests/unit/golden-lines.h
tests_unit_test_tokenizer_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_tokenizer_LDADD = $(UNIT_LDADD)
tests_unit_test_tokenizer_LDFLAGS = $(UNIT_LDFLAGS)
