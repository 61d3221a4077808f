# Fuzz targets: fuzz-NAME.c, seeds in corpus/NAME/. `make check` replays the seeds; `make fuzz`
# (after configure --enable-fuzzing CC=clang) runs each target for FUZZ_SECONDS; some of them for longer:
# make fuzz FUZZ_SECONDS=600 FUZZ_NAMES="gguf torch".
# A new target: its name in FUZZ_NAMES, FUZZ_REPLAYS and FUZZ_TARGETS, its six lines below, and seeds.
FUZZ_NAMES = adapter adapter-file chat-template gguf model-config model-gguf safetensors tokenizer-json toml torch vocabulary yaml
FUZZ_REPLAYS = tests/fuzz/replay-adapter tests/fuzz/replay-adapter-file \
	tests/fuzz/replay-gguf tests/fuzz/replay-safetensors \
	tests/fuzz/replay-chat-template tests/fuzz/replay-tokenizer-json \
	tests/fuzz/replay-model-config tests/fuzz/replay-model-gguf \
	tests/fuzz/replay-toml tests/fuzz/replay-torch tests/fuzz/replay-vocabulary tests/fuzz/replay-yaml
FUZZ_TARGETS = tests/fuzz/fuzz-adapter tests/fuzz/fuzz-adapter-file \
	tests/fuzz/fuzz-gguf tests/fuzz/fuzz-safetensors \
	tests/fuzz/fuzz-chat-template tests/fuzz/fuzz-tokenizer-json \
	tests/fuzz/fuzz-model-config tests/fuzz/fuzz-model-gguf \
	tests/fuzz/fuzz-toml tests/fuzz/fuzz-torch tests/fuzz/fuzz-vocabulary tests/fuzz/fuzz-yaml
FUZZ_SECONDS = 60
FUZZ_LDFLAGS = $(UNIT_LDFLAGS) -fsanitize=fuzzer

EXTRA_DIST += tests/fuzz/corpus

tests_fuzz_replay_adapter_SOURCES = tests/fuzz/fuzz-adapter.c tests/fuzz/replay.c tests/fuzz/fuzz.h
tests_fuzz_replay_adapter_CFLAGS = $(UNIT_CFLAGS)
tests_fuzz_replay_adapter_LDADD = $(UNIT_LDADD)
tests_fuzz_replay_adapter_LDFLAGS = $(UNIT_LDFLAGS)
tests_fuzz_fuzz_adapter_SOURCES = tests/fuzz/fuzz-adapter.c tests/fuzz/fuzz.h
tests_fuzz_fuzz_adapter_CFLAGS = $(UNIT_CFLAGS)
tests_fuzz_fuzz_adapter_LDADD = $(UNIT_LDADD)
tests_fuzz_fuzz_adapter_LDFLAGS = $(FUZZ_LDFLAGS)

tests_fuzz_replay_adapter_file_SOURCES = tests/fuzz/fuzz-adapter-file.c tests/fuzz/replay.c tests/fuzz/fuzz.h
tests_fuzz_replay_adapter_file_CFLAGS = $(UNIT_CFLAGS)
tests_fuzz_replay_adapter_file_LDADD = $(UNIT_LDADD)
tests_fuzz_replay_adapter_file_LDFLAGS = $(UNIT_LDFLAGS)
tests_fuzz_fuzz_adapter_file_SOURCES = tests/fuzz/fuzz-adapter-file.c tests/fuzz/fuzz.h
tests_fuzz_fuzz_adapter_file_CFLAGS = $(UNIT_CFLAGS)
tests_fuzz_fuzz_adapter_file_LDADD = $(UNIT_LDADD)
tests_fuzz_fuzz_adapter_file_LDFLAGS = $(FUZZ_LDFLAGS)

tests_fuzz_replay_gguf_SOURCES = tests/fuzz/fuzz-gguf.c tests/fuzz/replay.c tests/fuzz/fuzz.h
tests_fuzz_replay_gguf_LDADD = $(UNIT_LDADD)
tests_fuzz_replay_gguf_LDFLAGS = $(UNIT_LDFLAGS)
tests_fuzz_fuzz_gguf_SOURCES = tests/fuzz/fuzz-gguf.c tests/fuzz/fuzz.h
tests_fuzz_fuzz_gguf_LDADD = $(UNIT_LDADD)
tests_fuzz_fuzz_gguf_LDFLAGS = $(FUZZ_LDFLAGS)

tests_fuzz_replay_model_config_SOURCES = tests/fuzz/fuzz-model-config.c tests/fuzz/replay.c tests/fuzz/fuzz.h
tests_fuzz_replay_model_config_CFLAGS = $(UNIT_CFLAGS)
tests_fuzz_replay_model_config_LDADD = $(UNIT_LDADD)
tests_fuzz_replay_model_config_LDFLAGS = $(UNIT_LDFLAGS)
tests_fuzz_fuzz_model_config_SOURCES = tests/fuzz/fuzz-model-config.c tests/fuzz/fuzz.h
tests_fuzz_fuzz_model_config_CFLAGS = $(UNIT_CFLAGS)
tests_fuzz_fuzz_model_config_LDADD = $(UNIT_LDADD)
tests_fuzz_fuzz_model_config_LDFLAGS = $(FUZZ_LDFLAGS)

tests_fuzz_replay_model_gguf_SOURCES = tests/fuzz/fuzz-model-gguf.c tests/fuzz/replay.c tests/fuzz/fuzz.h
tests_fuzz_replay_model_gguf_CFLAGS = $(UNIT_CFLAGS)
tests_fuzz_replay_model_gguf_LDADD = $(UNIT_LDADD)
tests_fuzz_replay_model_gguf_LDFLAGS = $(UNIT_LDFLAGS)
tests_fuzz_fuzz_model_gguf_SOURCES = tests/fuzz/fuzz-model-gguf.c tests/fuzz/fuzz.h
tests_fuzz_fuzz_model_gguf_CFLAGS = $(UNIT_CFLAGS)
tests_fuzz_fuzz_model_gguf_LDADD = $(UNIT_LDADD)
tests_fuzz_fuzz_model_gguf_LDFLAGS = $(FUZZ_LDFLAGS)

tests_fuzz_replay_safetensors_SOURCES = tests/fuzz/fuzz-safetensors.c tests/fuzz/replay.c tests/fuzz/fuzz.h
tests_fuzz_replay_safetensors_LDADD = $(UNIT_LDADD)
tests_fuzz_replay_safetensors_LDFLAGS = $(UNIT_LDFLAGS)
tests_fuzz_fuzz_safetensors_SOURCES = tests/fuzz/fuzz-safetensors.c tests/fuzz/fuzz.h
tests_fuzz_fuzz_safetensors_LDADD = $(UNIT_LDADD)
tests_fuzz_fuzz_safetensors_LDFLAGS = $(FUZZ_LDFLAGS)

tests_fuzz_replay_toml_SOURCES = tests/fuzz/fuzz-toml.c tests/fuzz/replay.c tests/fuzz/fuzz.h tests/fuzz/fuzz-config.h
tests_fuzz_replay_toml_LDADD = $(UNIT_LDADD)
tests_fuzz_replay_toml_LDFLAGS = $(UNIT_LDFLAGS)
tests_fuzz_fuzz_toml_SOURCES = tests/fuzz/fuzz-toml.c tests/fuzz/fuzz.h tests/fuzz/fuzz-config.h
tests_fuzz_fuzz_toml_LDADD = $(UNIT_LDADD)
tests_fuzz_fuzz_toml_LDFLAGS = $(FUZZ_LDFLAGS)

tests_fuzz_replay_torch_SOURCES = tests/fuzz/fuzz-torch.c tests/fuzz/replay.c tests/fuzz/fuzz.h
tests_fuzz_replay_torch_LDADD = $(UNIT_LDADD)
tests_fuzz_replay_torch_LDFLAGS = $(UNIT_LDFLAGS)
tests_fuzz_fuzz_torch_SOURCES = tests/fuzz/fuzz-torch.c tests/fuzz/fuzz.h
tests_fuzz_fuzz_torch_LDADD = $(UNIT_LDADD)
tests_fuzz_fuzz_torch_LDFLAGS = $(FUZZ_LDFLAGS)

tests_fuzz_replay_vocabulary_SOURCES = tests/fuzz/fuzz-vocabulary.c tests/fuzz/replay.c tests/fuzz/fuzz.h
tests_fuzz_replay_vocabulary_CFLAGS = $(UNIT_CFLAGS)
tests_fuzz_replay_vocabulary_LDADD = $(UNIT_LDADD)
tests_fuzz_replay_vocabulary_LDFLAGS = $(UNIT_LDFLAGS)
tests_fuzz_fuzz_vocabulary_SOURCES = tests/fuzz/fuzz-vocabulary.c tests/fuzz/fuzz.h
tests_fuzz_fuzz_vocabulary_CFLAGS = $(UNIT_CFLAGS)
tests_fuzz_fuzz_vocabulary_LDADD = $(UNIT_LDADD)
tests_fuzz_fuzz_vocabulary_LDFLAGS = $(FUZZ_LDFLAGS)

tests_fuzz_replay_yaml_SOURCES = tests/fuzz/fuzz-yaml.c tests/fuzz/replay.c tests/fuzz/fuzz.h tests/fuzz/fuzz-config.h
tests_fuzz_replay_yaml_LDADD = $(UNIT_LDADD)
tests_fuzz_replay_yaml_LDFLAGS = $(UNIT_LDFLAGS)
tests_fuzz_fuzz_yaml_SOURCES = tests/fuzz/fuzz-yaml.c tests/fuzz/fuzz.h tests/fuzz/fuzz-config.h
tests_fuzz_fuzz_yaml_LDADD = $(UNIT_LDADD)
tests_fuzz_fuzz_yaml_LDFLAGS = $(FUZZ_LDFLAGS)

tests_fuzz_replay_chat_template_SOURCES = tests/fuzz/fuzz-chat-template.c tests/fuzz/replay.c tests/fuzz/fuzz.h
tests_fuzz_replay_chat_template_LDADD = $(UNIT_LDADD)
tests_fuzz_replay_chat_template_LDFLAGS = $(UNIT_LDFLAGS)
tests_fuzz_fuzz_chat_template_SOURCES = tests/fuzz/fuzz-chat-template.c tests/fuzz/fuzz.h
tests_fuzz_fuzz_chat_template_LDADD = $(UNIT_LDADD)
tests_fuzz_fuzz_chat_template_LDFLAGS = $(FUZZ_LDFLAGS)

tests_fuzz_replay_tokenizer_json_SOURCES = tests/fuzz/fuzz-tokenizer-json.c tests/fuzz/replay.c tests/fuzz/fuzz.h
tests_fuzz_replay_tokenizer_json_LDADD = $(UNIT_LDADD)
tests_fuzz_replay_tokenizer_json_LDFLAGS = $(UNIT_LDFLAGS)
tests_fuzz_fuzz_tokenizer_json_SOURCES = tests/fuzz/fuzz-tokenizer-json.c tests/fuzz/fuzz.h
tests_fuzz_fuzz_tokenizer_json_LDADD = $(UNIT_LDADD)
tests_fuzz_fuzz_tokenizer_json_LDFLAGS = $(FUZZ_LDFLAGS)

check_PROGRAMS += $(FUZZ_REPLAYS)
TESTS += $(FUZZ_REPLAYS)
EXTRA_PROGRAMS += $(FUZZ_TARGETS)
CLEANFILES += $(FUZZ_TARGETS)

# New inputs go to fuzz-found/NAME in the build folder; a crash leaves its input in the folder itself.
.PHONY: fuzz
if FUZZING
fuzz: $(FUZZ_TARGETS)
	@for name in $(FUZZ_NAMES); do \
	  mkdir -p fuzz-found/$$name || exit 1; \
	  echo "fuzz-$$name: $(FUZZ_SECONDS) s"; \
	  tests/fuzz/fuzz-$$name -max_total_time=$(FUZZ_SECONDS) -max_len=65536 -rss_limit_mb=4096 \
	    -timeout=20 -print_final_stats=1 -verbosity=0 \
	    fuzz-found/$$name $(top_srcdir)/tests/fuzz/corpus/$$name || exit 1; \
	done
else
fuzz:
	@echo "make fuzz needs clang: configure with --enable-fuzzing CC=clang" >&2; exit 1
endif
