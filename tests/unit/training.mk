# Tests of training: the reference's gradients and steps, and resuming.
UNIT_TESTS += tests/unit/test-training-golden tests/unit/test-training-resume tests/unit/test-training-modes \
	tests/unit/test-training-compute
tests_unit_test_training_golden_SOURCES = tests/unit/test-training-golden.c tests/unit/training-golden.h
tests_unit_test_training_golden_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_training_golden_LDADD = $(UNIT_LDADD)
tests_unit_test_training_golden_LDFLAGS = $(UNIT_LDFLAGS)
tests_unit_test_training_resume_SOURCES = tests/unit/test-training-resume.c tests/unit/temporary-folder.h
tests_unit_test_training_resume_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_training_resume_LDADD = $(UNIT_LDADD)
tests_unit_test_training_resume_LDFLAGS = $(UNIT_LDFLAGS)
tests_unit_test_training_modes_SOURCES = tests/unit/test-training-modes.c tests/unit/temporary-folder.h
tests_unit_test_training_modes_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_training_modes_LDADD = $(UNIT_LDADD)
tests_unit_test_training_modes_LDFLAGS = $(UNIT_LDFLAGS)
tests_unit_test_training_compute_SOURCES = tests/unit/test-training-compute.c tests/unit/temporary-folder.h
tests_unit_test_training_compute_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_training_compute_LDADD = $(UNIT_LDADD)
tests_unit_test_training_compute_LDFLAGS = $(UNIT_LDFLAGS)
