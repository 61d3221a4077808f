# Tests of the CPU backend's matrix products and its thread pool.
UNIT_TESTS += tests/unit/test-threads tests/unit/test-cpu-matmul
tests_unit_test_threads_SOURCES = tests/unit/test-threads.c
tests_unit_test_threads_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_threads_LDADD = $(UNIT_LDADD)
tests_unit_test_threads_LDFLAGS = $(UNIT_LDFLAGS)
tests_unit_test_cpu_matmul_SOURCES = tests/unit/test-cpu-matmul.c
tests_unit_test_cpu_matmul_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_cpu_matmul_LDADD = $(UNIT_LDADD)
tests_unit_test_cpu_matmul_LDFLAGS = $(UNIT_LDFLAGS)
UNIT_TESTS += tests/unit/test-quantised-models
tests_unit_test_quantised_models_SOURCES = tests/unit/test-quantised-models.c \
	tests/unit/golden-tensors.h tests/golden-path.h
tests_unit_test_quantised_models_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_quantised_models_LDADD = $(UNIT_LDADD)
tests_unit_test_quantised_models_LDFLAGS = $(UNIT_LDFLAGS)
