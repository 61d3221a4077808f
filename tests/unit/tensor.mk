# tests of engine/tensor and of engine/cpu's operations on rows
UNIT_TESTS += tests/unit/test-dtype tests/unit/test-quants tests/unit/test-arena tests/unit/test-cpu-rows \
	tests/unit/test-ops-gradients

tests_unit_test_dtype_SOURCES = tests/unit/test-dtype.c tests/unit/cpu-backends.h
tests_unit_test_dtype_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_dtype_LDADD = $(UNIT_LDADD)
tests_unit_test_dtype_LDFLAGS = $(UNIT_LDFLAGS)

tests_unit_test_quants_SOURCES = tests/unit/test-quants.c tests/unit/cpu-backends.h \
	tests/unit/golden-tensors.h tests/golden-path.h
tests_unit_test_quants_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_quants_LDADD = $(UNIT_LDADD)
tests_unit_test_quants_LDFLAGS = $(UNIT_LDFLAGS)

tests_unit_test_arena_SOURCES = tests/unit/test-arena.c tests/unit/cpu-backends.h
tests_unit_test_arena_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_arena_LDADD = $(UNIT_LDADD)
tests_unit_test_arena_LDFLAGS = $(UNIT_LDFLAGS)

tests_unit_test_cpu_rows_SOURCES = tests/unit/test-cpu-rows.c tests/unit/cpu-backends.h
tests_unit_test_cpu_rows_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_cpu_rows_LDADD = $(UNIT_LDADD)
tests_unit_test_cpu_rows_LDFLAGS = $(UNIT_LDFLAGS)

tests_unit_test_ops_gradients_SOURCES = tests/unit/test-ops-gradients.c tests/unit/cpu-backends.h
tests_unit_test_ops_gradients_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_ops_gradients_LDADD = $(UNIT_LDADD)
tests_unit_test_ops_gradients_LDFLAGS = $(UNIT_LDFLAGS)
