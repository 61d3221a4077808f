# tests: unit tests (cmocka), screen tests, fuzz targets, benchmarks.
# A unit test tests/unit/test-NAME.c is one line in UNIT_TESTS below plus its _SOURCES line.

TESTS_ENVIRONMENT = T2L_SRCDIR='$(abs_top_srcdir)' T2L_BUILDDIR='$(abs_top_builddir)'
EXTRA_DIST += tests/golden
# Unit tests look inside the engine, so they link the objects, not the shared library's visible face.
UNIT_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS) $(CJSON_CFLAGS) $(SQLITE_CFLAGS) $(UTF8PROC_CFLAGS)
UNIT_LDADD = store/libstore.la engine/libt2l.la base/libbase.la $(CMOCKA_LIBS) \
	$(CJSON_LIBS) $(PCRE2_LIBS) $(UTF8PROC_LIBS) $(NETTLE_LIBS) $(YAML_LIBS)
UNIT_LDFLAGS = $(AM_LDFLAGS) -static

if HAVE_CMOCKA
include tests/unit/local.mk
endif
include tests/screen/local.mk
include tests/cli/local.mk
include tests/fuzz/local.mk
include tests/bench/local.mk
