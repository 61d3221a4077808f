# src: the program t2l.
bin_PROGRAMS += src/t2l
src_t2l_CPPFLAGS = $(AM_CPPFLAGS) -DT2L_DATADIR='"$(pkgdatadir)"'
src_t2l_CFLAGS = $(AM_CFLAGS) $(CJSON_CFLAGS) $(YAML_CFLAGS) $(READLINE_CFLAGS) $(SQLITE_CFLAGS) \
	$(NCURSES_CFLAGS) $(NETTLE_CFLAGS)
src_t2l_LDADD = ui/libui.la store/libstore.la engine/libt2l.la base/libbase.la \
	$(CJSON_LIBS) $(YAML_LIBS) $(READLINE_LIBS) $(SQLITE_LIBS) $(NETTLE_LIBS)
src_t2l_SOURCES = \
	src/main.c \
	src/command.c src/command.h src/commands.c src/completion.c \
	src/options.c src/options.h \
	src/help.c src/help.h \
	src/context.h src/output.c src/input.c src/input.h \
	src/batch-workers.c src/batch-workers.h \
	src/settings.c src/settings.h src/evaluate-file.c src/evaluate-file.h \
	src/hypernet-settings.c src/hypernet-settings.h \
	src/workplace.c src/workplace.h \
	src/adapter-export.c src/adapter-export.h \
	src/adapter-names.c src/adapter-names.h \
	src/adapter-output.c src/adapter-output.h \
	src/adapter-tree.c src/adapter-tree.h \
	src/distil.c src/distil.h src/nearest-task.c src/nearest-task.h \
	src/lanes.c src/lanes.h \
	src/few-shot.c src/few-shot.h src/generate-jobs.c src/generate-jobs.h src/json-lines.c \
	src/json-lines.h src/base64.c src/base64.h \
	src/inspect-model.c src/inspect-model.h \
	src/repl.c src/repl.h \
	src/cmd-about.c src/cmd-apply.c src/cmd-batch.c src/cmd-bench.c src/cmd-catalog.c \
	src/cmd-compare.c src/cmd-convert.c \
	src/cmd-evaluate.c src/cmd-export.c src/cmd-generate.c src/cmd-import.c src/cmd-infer.c \
	src/merge-auto.c src/merge-auto.h \
	src/adapter-checks.c src/adapter-checks.h src/cmd-validate.c \
	src/device-profile.c src/device-profile.h \
	src/heat-map.c src/heat-map.h src/cmd-diff.c \
	src/cmd-inspect.c src/cmd-merge.c src/cmd-quantize.c src/tensor-reports.c \
	src/tensor-reports.h src/cmd-score.c src/cmd-text.c src/cmd-train.c src/train-recipe.c \
	src/train-recipe.h src/loss-plot.c src/loss-plot.h src/cmd-workbench.c
