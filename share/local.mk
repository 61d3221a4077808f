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
