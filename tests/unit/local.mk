# One pair of lines a test: check_PROGRAMS and _SOURCES/_CFLAGS/_LDADD/_LDFLAGS; TESTS runs them all.
UNIT_TESTS =
include tests/unit/store.mk
include tests/unit/tensor.mk
include tests/unit/text.mk
include tests/unit/adapters.mk
include tests/unit/models.mk
include tests/unit/base-models.mk
include tests/unit/base.mk
include tests/unit/matmul.mk
include tests/unit/formats.mk
include tests/unit/training.mk
include tests/unit/ui.mk
check_PROGRAMS += $(UNIT_TESTS)
TESTS += $(UNIT_TESTS)
