# store: the catalog (SQLite). Knows nothing of the engine.
noinst_LTLIBRARIES += store/libstore.la
store_libstore_la_CFLAGS = $(AM_CFLAGS) $(SQLITE_CFLAGS) $(CJSON_CFLAGS)
store_libstore_la_LIBADD = $(SQLITE_LIBS) $(CJSON_LIBS)
store_libstore_la_SOURCES =
