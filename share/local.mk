# share: demo models, tasks, recipes, themes, man page, completions

# The demo's task suite. Its files are committed; "make demo-suite" writes them anew, byte for byte,
# from share/tasks/demo-tables and share/tasks/phrasings.
check_PROGRAMS += share/tasks/make-demo-suite
share_tasks_make_demo_suite_SOURCES = share/tasks/make-demo-suite.c \
	share/tasks/suite-text.c share/tasks/suite-text.h \
	share/tasks/suite-operations.c share/tasks/suite-operations.h \
	share/tasks/suite-sentences.c share/tasks/suite-sentences.h
share_tasks_make_demo_suite_CFLAGS = $(AM_CFLAGS) $(CJSON_CFLAGS) $(UTF8PROC_CFLAGS)
share_tasks_make_demo_suite_LDADD = $(CJSON_LIBS) $(UTF8PROC_LIBS)

suite_sources = share/tasks/demo-tables/tasks.tsv share/tasks/demo-tables/test-items.tsv \
	share/tasks/demo-tables/nouns.tsv share/tasks/demo-tables/verbs.tsv \
	share/tasks/demo-tables/opposites.tsv share/tasks/demo-tables/countries.tsv \
	share/tasks/demo-tables/irregular-plurals.tsv share/tasks/demo-tables/words.txt \
	share/tasks/phrasings/operations.txt share/tasks/phrasings/wrappers.txt \
	share/tasks/phrasings/frames.txt share/tasks/phrasings/plain.tsv \
	share/tasks/phrasings/held-out.tsv share/tasks/phrasings/held-out-cores.txt
EXTRA_DIST += $(suite_sources) share/tasks/NOTICE share/tasks/demo/README.md

demosuitedir = $(pkgdatadir)/tasks/demo
dist_demosuite_DATA = share/tasks/demo/tasks.jsonl share/tasks/demo/train.jsonl \
	share/tasks/demo/test.jsonl share/tasks/demo/pretrain-extra.jsonl

TESTS += share/tasks/demo-suite-is-current
EXTRA_DIST += share/tasks/demo-suite-is-current

.PHONY: demo-suite
demo-suite: share/tasks/make-demo-suite$(EXEEXT)
	share/tasks/make-demo-suite$(EXEEXT) $(srcdir)/share/tasks $(srcdir)/share/tasks/demo

# The demo's models: a base, a task encoder and three hypernets. They are committed; "make demo-models" trains them
# from nothing with the recipes of share/recipes, resumes where it was stopped, and measures them.
demobasedir = $(pkgdatadir)/models/demo-base
dist_demobase_DATA = share/models/demo-base/config.json share/models/demo-base/model.safetensors \
	share/models/demo-base/tokenizer.json share/models/demo-base/tokenizer_config.json \
	share/models/demo-base/special_tokens_map.json share/models/demo-base/generation_config.json
demoencoderdir = $(pkgdatadir)/models/demo-encoder
dist_demoencoder_DATA = share/models/demo-encoder/config.json share/models/demo-encoder/model.safetensors \
	share/models/demo-encoder/vocab.txt share/models/demo-encoder/modules.json \
	share/models/demo-encoder/sentence_bert_config.json
demopoolingdir = $(pkgdatadir)/models/demo-encoder/1_Pooling
dist_demopooling_DATA = share/models/demo-encoder/1_Pooling/config.json
demodensedir = $(pkgdatadir)/models/demo-encoder/2_Dense
dist_demodense_DATA = share/models/demo-encoder/2_Dense/config.json \
	share/models/demo-encoder/2_Dense/model.safetensors
demomodelsdir = $(pkgdatadir)/models
dist_demomodels_DATA = share/models/demo-S.safetensors share/models/demo-M.safetensors \
	share/models/demo-L.safetensors
dist_pkgdata_DATA = share/profiles.toml
recipesdir = $(pkgdatadir)/recipes
dist_recipes_DATA = share/recipes/demo-base.toml share/recipes/demo-encoder.toml \
	share/recipes/demo-S.toml share/recipes/demo-M.toml share/recipes/demo-L.toml \
	share/recipes/demo-lora.toml share/recipes/demo-multi-task.toml \
	share/recipes/demo-multi-task-described.toml
dist_pkgdata_SCRIPTS = share/get-minilm share/get-sentences
EXTRA_DIST += share/make-demo-models

.PHONY: demo-models
demo-models: src/t2l$(EXEEXT)
	cd $(srcdir) && T2L=$(abs_builddir)/src/t2l share/make-demo-models

# Man page and completions come from the program's own table of commands.
man1_MANS = share/man/t2l.1
CLEANFILES += share/man/t2l.1 share/completions/_t2l share/completions/t2l.fish
share/man/t2l.1: src/t2l$(EXEEXT)
	@$(MKDIR_P) share/man
	src/t2l$(EXEEXT) help --man > $@
bashcompletiondir = $(datadir)/bash-completion/completions
zshcompletiondir = $(datadir)/zsh/site-functions
fishcompletiondir = $(datadir)/fish/vendor_completions.d
nodist_zshcompletion_DATA = share/completions/_t2l
nodist_fishcompletion_DATA = share/completions/t2l.fish
nodist_bashcompletion_DATA = share/completions/t2l
CLEANFILES += share/completions/t2l
share/completions/t2l: src/t2l$(EXEEXT)
	@$(MKDIR_P) share/completions
	src/t2l$(EXEEXT) help --completion bash > $@
share/completions/_t2l: src/t2l$(EXEEXT)
	@$(MKDIR_P) share/completions
	src/t2l$(EXEEXT) help --completion zsh > $@
share/completions/t2l.fish: src/t2l$(EXEEXT)
	@$(MKDIR_P) share/completions
	src/t2l$(EXEEXT) help --completion fish > $@
dist_demomodels_DATA += share/models/README.md share/models/results.jsonl
EXTRA_DIST += share/models/logs/demo-base.jsonl share/models/logs/demo-encoder.jsonl \
	share/models/logs/demo-S.jsonl share/models/logs/demo-M.jsonl share/models/logs/demo-L.jsonl \
	share/models/logs/demo-lora.jsonl share/models/logs/demo-multi-task.jsonl \
	share/models/logs/demo-multi-task-described.jsonl \
	share/models/baselines/multi-task.safetensors share/models/baselines/multi-task-described.safetensors
