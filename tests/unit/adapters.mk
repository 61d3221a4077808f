# tests of engine/adapters and engine/hypernet
UNIT_TESTS += tests/unit/test-hypernet
tests_unit_test_hypernet_SOURCES = tests/unit/test-hypernet.c tests/unit/temporary-folder.h
tests_unit_test_hypernet_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_hypernet_LDADD = $(UNIT_LDADD)
tests_unit_test_hypernet_LDFLAGS = $(UNIT_LDFLAGS)

UNIT_TESTS += tests/unit/test-adapter
tests_unit_test_adapter_SOURCES = tests/unit/test-adapter.c \
	tests/unit/adapter-fixture.h tests/unit/temporary-folder.h
tests_unit_test_adapter_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_adapter_LDADD = $(UNIT_LDADD)
tests_unit_test_adapter_LDFLAGS = $(UNIT_LDFLAGS)

UNIT_TESTS += tests/unit/test-peft
tests_unit_test_peft_SOURCES = tests/unit/test-peft.c \
	tests/unit/adapter-fixture.h tests/unit/temporary-folder.h
tests_unit_test_peft_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_peft_LDADD = $(UNIT_LDADD)
tests_unit_test_peft_LDFLAGS = $(UNIT_LDFLAGS)

UNIT_TESTS += tests/unit/test-merge
tests_unit_test_merge_SOURCES = tests/unit/test-merge.c \
	tests/unit/adapter-fixture.h tests/unit/temporary-folder.h
tests_unit_test_merge_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_merge_LDADD = $(UNIT_LDADD)
tests_unit_test_merge_LDFLAGS = $(UNIT_LDFLAGS)


UNIT_TESTS += tests/unit/test-merge-strategies
tests_unit_test_merge_strategies_SOURCES = tests/unit/test-merge-strategies.c \
	tests/unit/adapter-fixture.h tests/unit/temporary-folder.h
tests_unit_test_merge_strategies_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_merge_strategies_LDADD = $(UNIT_LDADD)
tests_unit_test_merge_strategies_LDFLAGS = $(UNIT_LDFLAGS)

UNIT_TESTS += tests/unit/test-into-base
tests_unit_test_into_base_SOURCES = tests/unit/test-into-base.c \
	tests/unit/adapter-fixture.h tests/unit/temporary-folder.h
tests_unit_test_into_base_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_into_base_LDADD = $(UNIT_LDADD)
tests_unit_test_into_base_LDFLAGS = $(UNIT_LDFLAGS)

UNIT_TESTS += tests/unit/test-spectrum
tests_unit_test_spectrum_SOURCES = tests/unit/test-spectrum.c \
	tests/unit/adapter-fixture.h tests/unit/temporary-folder.h
tests_unit_test_spectrum_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_spectrum_LDADD = $(UNIT_LDADD)
tests_unit_test_spectrum_LDFLAGS = $(UNIT_LDFLAGS)

UNIT_TESTS += tests/unit/test-svd
tests_unit_test_svd_SOURCES = tests/unit/test-svd.c \
	tests/unit/adapter-fixture.h tests/unit/temporary-folder.h
tests_unit_test_svd_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_svd_LDADD = $(UNIT_LDADD)
tests_unit_test_svd_LDFLAGS = $(UNIT_LDFLAGS)

UNIT_TESTS += tests/unit/test-generate
tests_unit_test_generate_SOURCES = tests/unit/test-generate.c tests/unit/temporary-folder.h
tests_unit_test_generate_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_generate_LDADD = $(UNIT_LDADD)
tests_unit_test_generate_LDFLAGS = $(UNIT_LDFLAGS)

UNIT_TESTS += tests/unit/test-reference
tests_unit_test_reference_SOURCES = tests/unit/test-reference.c tests/unit/golden-models.h tests/unit/golden-tensors.h tests/unit/reference-case.h \
	tests/unit/temporary-folder.h
tests_unit_test_reference_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_reference_LDADD = $(UNIT_LDADD)
tests_unit_test_reference_LDFLAGS = $(UNIT_LDFLAGS)

UNIT_TESTS += tests/unit/test-export
tests_unit_test_export_SOURCES = tests/unit/test-export.c \
	tests/unit/golden-tensors.h tests/unit/adapter-fixture.h tests/unit/temporary-folder.h
tests_unit_test_export_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_export_LDADD = $(UNIT_LDADD)
tests_unit_test_export_LDFLAGS = $(UNIT_LDFLAGS)
