# Base models as files: what lies, and adapters on both forms
EXTRA_DIST += tests/interop/make-tokenizer-legacy.py
UNIT_TESTS += tests/unit/test-bad-models tests/unit/test-gguf-adapters
tests_unit_test_bad_models_SOURCES = tests/unit/test-bad-models.c tests/unit/golden-tensors.h \
	tests/unit/temporary-folder.h tests/golden-path.h
tests_unit_test_bad_models_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_bad_models_LDADD = $(UNIT_LDADD)
tests_unit_test_bad_models_LDFLAGS = $(UNIT_LDFLAGS)
tests_unit_test_gguf_adapters_SOURCES = tests/unit/test-gguf-adapters.c tests/unit/golden-models.h tests/unit/golden-tensors.h \
	tests/golden-path.h
tests_unit_test_gguf_adapters_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_gguf_adapters_LDADD = $(UNIT_LDADD)
tests_unit_test_gguf_adapters_LDFLAGS = $(UNIT_LDFLAGS)
