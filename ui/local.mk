# ui: the workbench (ncurses). Knows engine/t2l.h, store/store.h and base/.
noinst_LTLIBRARIES += ui/libui.la
ui_libui_la_CFLAGS = $(AM_CFLAGS) $(NCURSES_CFLAGS) $(READLINE_CFLAGS) $(CJSON_CFLAGS) $(UTF8PROC_CFLAGS)
ui_libui_la_LIBADD = $(NCURSES_LIBS) $(READLINE_LIBS) $(UTF8PROC_LIBS)
ui_libui_la_SOURCES = \
	ui/catalog-columns.c ui/catalog-columns.h \
	ui/catalog-list.c ui/catalog-list.h \
	ui/diff.c ui/diff.h \
	ui/prompt-line.c ui/prompt-line.h
