# src: the program t2l.
bin_PROGRAMS += src/t2l
src_t2l_CPPFLAGS = $(AM_CPPFLAGS) -DT2L_DATADIR='"$(pkgdatadir)"'
src_t2l_CFLAGS = $(AM_CFLAGS) $(CJSON_CFLAGS) $(YAML_CFLAGS) $(READLINE_CFLAGS) $(SQLITE_CFLAGS) $(NCURSES_CFLAGS)
src_t2l_LDADD = ui/libui.la store/libstore.la engine/libt2l.la base/libbase.la \
	$(CJSON_LIBS) $(YAML_LIBS) $(READLINE_LIBS)
src_t2l_SOURCES = src/main.c
