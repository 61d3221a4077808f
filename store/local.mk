# store: the catalog (SQLite). Knows nothing of the engine.
noinst_LTLIBRARIES += store/libstore.la
store_libstore_la_CFLAGS = $(AM_CFLAGS) $(SQLITE_CFLAGS) $(UTF8PROC_CFLAGS)
store_libstore_la_LIBADD = $(SQLITE_LIBS) $(UTF8PROC_LIBS)
store_libstore_la_SOURCES = \
	store/store.h store/internal.h \
	store/adapters.c \
	store/comparisons.c \
	store/evaluations.c \
	store/files.c \
	store/find.c \
	store/gc.c \
	store/history.c \
	store/lineage.c \
	store/match.c \
	store/models.c \
	store/names.c \
	store/nearness.c \
	store/query.c \
	store/result.c \
	store/schema.c \
	store/search.c \
	store/sql.c \
	store/store.c \
	store/tags.c \
	store/trash.c \
	store/twins.c \
	store/verify.c
