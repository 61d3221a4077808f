# engine/models and engine/inference
UNIT_TESTS += tests/unit/test-decoder tests/unit/test-architectures tests/unit/test-encoder tests/unit/test-sampler \
	tests/unit/test-session

tests_unit_test_decoder_SOURCES = tests/unit/test-decoder.c tests/unit/golden-models.h tests/unit/golden-tensors.h \
	tests/unit/temporary-folder.h
tests_unit_test_decoder_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_decoder_LDADD = $(UNIT_LDADD)
tests_unit_test_decoder_LDFLAGS = $(UNIT_LDFLAGS)

EXTRA_DIST += tests/interop/make-architecture-goldens.py
tests_unit_test_architectures_SOURCES = tests/unit/test-architectures.c tests/unit/golden-models.h tests/unit/golden-tensors.h \
	tests/unit/temporary-folder.h
tests_unit_test_architectures_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_architectures_LDADD = $(UNIT_LDADD)
tests_unit_test_architectures_LDFLAGS = $(UNIT_LDFLAGS)

tests_unit_test_encoder_SOURCES = tests/unit/test-encoder.c tests/unit/golden-models.h tests/unit/golden-tensors.h \
	tests/unit/temporary-folder.h
tests_unit_test_encoder_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_encoder_LDADD = $(UNIT_LDADD)
tests_unit_test_encoder_LDFLAGS = $(UNIT_LDFLAGS)

tests_unit_test_sampler_SOURCES = tests/unit/test-sampler.c tests/unit/golden-tensors.h
tests_unit_test_sampler_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_sampler_LDADD = $(UNIT_LDADD)
tests_unit_test_sampler_LDFLAGS = $(UNIT_LDFLAGS)

tests_unit_test_session_SOURCES = tests/unit/test-session.c tests/unit/golden-models.h tests/unit/golden-tensors.h
tests_unit_test_session_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_session_LDADD = $(UNIT_LDADD)
tests_unit_test_session_LDFLAGS = $(UNIT_LDFLAGS)

# What a step of K lanes costs on a model larger than the caches:

UNIT_TESTS += tests/unit/test-quantise
tests_unit_test_quantise_SOURCES = tests/unit/test-quantise.c tests/unit/temporary-folder.h
tests_unit_test_quantise_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_quantise_LDADD = $(UNIT_LDADD)
tests_unit_test_quantise_LDFLAGS = $(UNIT_LDFLAGS)

UNIT_TESTS += tests/unit/test-convert
tests_unit_test_convert_SOURCES = tests/unit/test-convert.c tests/unit/golden-models.h tests/unit/golden-tensors.h tests/unit/temporary-folder.h
tests_unit_test_convert_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_convert_LDADD = $(UNIT_LDADD)
tests_unit_test_convert_LDFLAGS = $(UNIT_LDFLAGS)
