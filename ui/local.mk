# ui: the workbench (ncurses). Knows engine/t2l.h, store/store.h and base/.
noinst_LTLIBRARIES += ui/libui.la
ui_libui_la_CFLAGS = $(AM_CFLAGS) $(NCURSES_CFLAGS) $(READLINE_CFLAGS) $(CJSON_CFLAGS) $(UTF8PROC_CFLAGS) -pthread
ui_libui_la_LIBADD = $(NCURSES_LIBS) $(READLINE_LIBS) $(UTF8PROC_LIBS)
ui_libui_la_SOURCES = \
	ui/workbench.c ui/workbench.h ui/frame.h ui/view.h \
	ui/terminal.c ui/terminal.h ui/theme.c ui/theme.h ui/draw.c ui/draw.h ui/keys.c ui/keys.h \
	ui/queue.c ui/queue.h ui/worker.c ui/worker.h ui/script.c ui/script.h ui/rc.c ui/rc.h \
	ui/write-jobs.c \
	ui/popups.c ui/command-panel.c ui/command-words.c ui/command-words.h ui/view-help.c \
	ui/prompt-line.c ui/prompt-line.h ui/field.c ui/field.h ui/diff.c ui/diff.h \
	ui/view-compare.c ui/compare-actions.c ui/compare.h ui/compare-draw.c ui/compare-save.c ui/compare-forms.c \
	ui/lane.c ui/lane.h ui/lane-pane.c ui/lane-run.c ui/lane-make.c \
	ui/sliders.c ui/settings-popup.c ui/run-settings.c ui/run-settings.h ui/compare-state.c ui/prompt-file.c \
	ui/view-catalog.c ui/catalog.h ui/catalog-draw.c ui/catalog-actions.c ui/catalog-jobs.c \
	ui/catalog-list.c ui/catalog-list.h ui/catalog-columns.c ui/catalog-columns.h \
	ui/catalog-details.c ui/catalog-details.h
