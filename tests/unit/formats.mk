# Tests of engine/formats/.
UNIT_TESTS += tests/unit/test-gguf tests/unit/test-json tests/unit/test-safetensors \
	tests/unit/test-torch-checkpoint

tests_unit_test_gguf_SOURCES = tests/unit/test-gguf.c tests/golden-path.h
tests_unit_test_gguf_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_gguf_LDADD = $(UNIT_LDADD)
tests_unit_test_gguf_LDFLAGS = $(UNIT_LDFLAGS)

tests_unit_test_json_SOURCES = tests/unit/test-json.c tests/golden-path.h
tests_unit_test_json_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_json_LDADD = $(UNIT_LDADD)
tests_unit_test_json_LDFLAGS = $(UNIT_LDFLAGS)

tests_unit_test_safetensors_SOURCES = tests/unit/test-safetensors.c tests/golden-path.h
tests_unit_test_safetensors_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_safetensors_LDADD = $(UNIT_LDADD)
tests_unit_test_safetensors_LDFLAGS = $(UNIT_LDFLAGS)

tests_unit_test_torch_checkpoint_SOURCES = tests/unit/test-torch-checkpoint.c \
	tests/unit/golden-tensors.h tests/unit/reference-case.h tests/unit/temporary-folder.h
tests_unit_test_torch_checkpoint_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_torch_checkpoint_LDADD = $(UNIT_LDADD)
tests_unit_test_torch_checkpoint_LDFLAGS = $(UNIT_LDFLAGS)

UNIT_TESTS += tests/unit/test-ggml
tests_unit_test_ggml_SOURCES = tests/unit/test-ggml.c \
	tests/unit/golden-tensors.h tests/unit/temporary-folder.h
tests_unit_test_ggml_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_ggml_LDADD = $(UNIT_LDADD)
tests_unit_test_ggml_LDFLAGS = $(UNIT_LDFLAGS)

UNIT_TESTS += tests/unit/test-chat-lines
tests_unit_test_chat_lines_SOURCES = tests/unit/test-chat-lines.c tests/unit/golden-tensors.h
tests_unit_test_chat_lines_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_chat_lines_LDADD = $(UNIT_LDADD)
tests_unit_test_chat_lines_LDFLAGS = $(UNIT_LDFLAGS)
