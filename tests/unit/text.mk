# tests of engine/text
EXTRA_DIST += tests/interop/make-jinja-expressions.py tests/interop/make-tokenizer-stages.py
UNIT_TESTS += tests/unit/test-tokenizer
tests_unit_test_tokenizer_SOURCES = tests/unit/test-tokenizer.c tests/unit/golden-lines.h
tests_unit_test_tokenizer_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_tokenizer_LDADD = $(UNIT_LDADD)
tests_unit_test_tokenizer_LDFLAGS = $(UNIT_LDFLAGS)

UNIT_TESTS += tests/unit/test-chat-template
tests_unit_test_chat_template_SOURCES = tests/unit/test-chat-template.c tests/unit/golden-lines.h
tests_unit_test_chat_template_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_chat_template_LDADD = $(UNIT_LDADD)
tests_unit_test_chat_template_LDFLAGS = $(UNIT_LDFLAGS)

UNIT_TESTS += tests/unit/test-tokenizer-gguf
tests_unit_test_tokenizer_gguf_SOURCES = tests/unit/test-tokenizer-gguf.c tests/unit/golden-lines.h
tests_unit_test_tokenizer_gguf_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_tokenizer_gguf_LDADD = $(UNIT_LDADD)
tests_unit_test_tokenizer_gguf_LDFLAGS = $(UNIT_LDFLAGS)

UNIT_TESTS += tests/unit/test-tokenizer-rules
tests_unit_test_tokenizer_rules_SOURCES = tests/unit/test-tokenizer-rules.c tests/unit/golden-lines.h
tests_unit_test_tokenizer_rules_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_tokenizer_rules_LDADD = $(UNIT_LDADD)
tests_unit_test_tokenizer_rules_LDFLAGS = $(UNIT_LDFLAGS)

UNIT_TESTS += tests/unit/test-tokenizer-files
tests_unit_test_tokenizer_files_SOURCES = tests/unit/test-tokenizer-files.c tests/unit/golden-lines.h
tests_unit_test_tokenizer_files_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_tokenizer_files_LDADD = $(UNIT_LDADD)
tests_unit_test_tokenizer_files_LDFLAGS = $(UNIT_LDFLAGS)

UNIT_TESTS += tests/unit/test-tokenizer-save
tests_unit_test_tokenizer_save_SOURCES = tests/unit/test-tokenizer-save.c tests/unit/golden-lines.h
tests_unit_test_tokenizer_save_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_tokenizer_save_LDADD = $(UNIT_LDADD)
tests_unit_test_tokenizer_save_LDFLAGS = $(UNIT_LDFLAGS)
