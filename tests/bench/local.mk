# Benchmarks: `make bench` builds and runs them all; each may be run by itself. They are no tests: a
# figure belongs to its machine, so only ratios from one run are compared. BENCH_MODELS is the folder
# of the two random 1.1B models (1.2 and 2.2 GB; a temporary one, removed at the end, by default).
BENCHES = tests/bench/bench-attention tests/bench/bench-catalog tests/bench/bench-checkpoint \
	tests/bench/bench-decode \
	tests/bench/bench-generate tests/bench/bench-matmul tests/bench/bench-merge tests/bench/bench-refine tests/bench/bench-start tests/bench/bench-tokenizer \
	tests/bench/bench-train-peer tests/bench/bench-training-ops tests/bench/make-random-model
EXTRA_PROGRAMS += $(BENCHES)
CLEANFILES += $(BENCHES)
EXTRA_DIST += tests/bench/run tests/bench/peer-tokenizers.py tests/bench/peer-merge.py tests/bench/many-adapters.py
EXTRA_DIST += tests/interop/peer-training.py tests/interop/check-demo-peft.sh \
	tests/interop/check-exports.sh tests/interop/check-peers.sh tests/interop/make-random-adapter.py \
	tests/interop/peer-llama-cpp.py tests/interop/peer-mlx.py \
	tests/interop/make-hypernet-goldens.py tests/interop/make-reference-checkpoint.py tests/interop/make-random-encoder.py \
	tests/interop/make-jinja-expressions.py \
	tests/interop/make-tokenizer-stages.py tests/interop/check-converted-models.py \
	tests/interop/check-converted-llama-cpp.sh

tests_bench_bench_attention_SOURCES = tests/bench/bench-attention.c
tests_bench_bench_attention_CFLAGS = $(AM_CFLAGS) $(CJSON_CFLAGS) $(SQLITE_CFLAGS)
tests_bench_bench_attention_LDADD = $(BENCH_LDADD)
tests_bench_bench_attention_LDFLAGS = $(UNIT_LDFLAGS)
tests_bench_bench_catalog_SOURCES = tests/bench/bench-catalog.c
tests_bench_bench_catalog_CFLAGS = $(AM_CFLAGS) $(CJSON_CFLAGS) $(SQLITE_CFLAGS)
tests_bench_bench_catalog_LDADD = $(BENCH_LDADD)
tests_bench_bench_catalog_LDFLAGS = $(UNIT_LDFLAGS)
tests_bench_bench_checkpoint_SOURCES = tests/bench/bench-checkpoint.c
tests_bench_bench_checkpoint_CFLAGS = $(AM_CFLAGS)
tests_bench_bench_checkpoint_LDADD = $(BENCH_LDADD)
tests_bench_bench_checkpoint_LDFLAGS = $(UNIT_LDFLAGS)
tests_bench_bench_decode_SOURCES = tests/bench/bench-decode.c
tests_bench_bench_decode_CFLAGS = $(AM_CFLAGS) $(CJSON_CFLAGS) $(SQLITE_CFLAGS)
tests_bench_bench_decode_LDADD = $(BENCH_LDADD)
tests_bench_bench_decode_LDFLAGS = $(UNIT_LDFLAGS)
tests_bench_bench_generate_SOURCES = tests/bench/bench-generate.c
tests_bench_bench_generate_CFLAGS = $(AM_CFLAGS) $(CJSON_CFLAGS) $(SQLITE_CFLAGS)
tests_bench_bench_generate_LDADD = $(BENCH_LDADD)
tests_bench_bench_generate_LDFLAGS = $(UNIT_LDFLAGS)
tests_bench_bench_matmul_SOURCES = tests/bench/bench-matmul.c
tests_bench_bench_matmul_CFLAGS = $(AM_CFLAGS) $(CJSON_CFLAGS) $(SQLITE_CFLAGS)
tests_bench_bench_matmul_LDADD = $(BENCH_LDADD)
tests_bench_bench_matmul_LDFLAGS = $(UNIT_LDFLAGS)
tests_bench_bench_merge_SOURCES = tests/bench/bench-merge.c
tests_bench_bench_merge_CFLAGS = $(AM_CFLAGS) $(CJSON_CFLAGS) $(SQLITE_CFLAGS)
tests_bench_bench_merge_LDADD = $(BENCH_LDADD)
tests_bench_bench_merge_LDFLAGS = $(UNIT_LDFLAGS)
tests_bench_bench_refine_SOURCES = tests/bench/bench-refine.c
tests_bench_bench_refine_CFLAGS = $(AM_CFLAGS)
tests_bench_bench_refine_LDADD = $(BENCH_LDADD)
tests_bench_bench_refine_LDFLAGS = $(UNIT_LDFLAGS)
tests_bench_bench_start_SOURCES = tests/bench/bench-start.c
tests_bench_bench_start_CFLAGS = $(AM_CFLAGS) $(CJSON_CFLAGS) $(SQLITE_CFLAGS)
tests_bench_bench_start_LDADD = $(BENCH_LDADD)
tests_bench_bench_start_LDFLAGS = $(UNIT_LDFLAGS)
tests_bench_bench_tokenizer_SOURCES = tests/bench/bench-tokenizer.c
tests_bench_bench_tokenizer_CFLAGS = $(AM_CFLAGS) $(CJSON_CFLAGS)
tests_bench_bench_tokenizer_LDADD = $(BENCH_LDADD)
tests_bench_bench_tokenizer_LDFLAGS = $(UNIT_LDFLAGS)
tests_bench_bench_train_peer_SOURCES = tests/bench/bench-train-peer.c
tests_bench_bench_train_peer_CFLAGS = $(AM_CFLAGS) $(CJSON_CFLAGS) $(SQLITE_CFLAGS)
tests_bench_bench_train_peer_LDADD = $(BENCH_LDADD)
tests_bench_bench_train_peer_LDFLAGS = $(UNIT_LDFLAGS)
tests_bench_bench_training_ops_SOURCES = tests/bench/bench-training-ops.c
tests_bench_bench_training_ops_CFLAGS = $(AM_CFLAGS) $(CJSON_CFLAGS) $(SQLITE_CFLAGS)
tests_bench_bench_training_ops_LDADD = $(BENCH_LDADD)
tests_bench_bench_training_ops_LDFLAGS = $(UNIT_LDFLAGS)
tests_bench_make_random_model_SOURCES = tests/bench/make-random-model.c
tests_bench_make_random_model_LDADD = $(BENCH_LDADD)
tests_bench_make_random_model_LDFLAGS = $(UNIT_LDFLAGS)
BENCH_LDADD = store/libstore.la engine/libt2l.la base/libbase.la $(CJSON_LIBS) $(SQLITE_LIBS) \
	$(PCRE2_LIBS) $(UTF8PROC_LIBS) $(NETTLE_LIBS) $(YAML_LIBS)

.PHONY: bench bench-programs
bench-programs: src/t2l $(BENCHES)
bench: bench-programs
	T2L_SRCDIR='$(abs_top_srcdir)' T2L_BUILDDIR='$(abs_top_builddir)' \
	BENCH_MODELS='$(BENCH_MODELS)' $(SHELL) $(srcdir)/tests/bench/run $(BENCH)
