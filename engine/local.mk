# engine: libt2l. Every room below adds its files to engine_libt2l_la_SOURCES.
lib_LTLIBRARIES += engine/libt2l.la
t2lincludedir = $(includedir)/t2l
t2linclude_HEADERS = engine/t2l.h
engine_libt2l_la_CPPFLAGS = $(AM_CPPFLAGS) -DT2L_BUILDING
engine_libt2l_la_CFLAGS = $(AM_CFLAGS) -fvisibility=hidden \
	$(CJSON_CFLAGS) $(PCRE2_CFLAGS) $(UTF8PROC_CFLAGS) $(NETTLE_CFLAGS) $(YAML_CFLAGS) \
	$(ZLIB_CFLAGS)
engine_libt2l_la_LIBADD = base/libbase.la \
	$(CJSON_LIBS) $(PCRE2_LIBS) $(UTF8PROC_LIBS) $(NETTLE_LIBS) $(YAML_LIBS) $(ZLIB_LIBS)
engine_libt2l_la_LDFLAGS = $(AM_LDFLAGS) -version-info 0:0:0
engine_libt2l_la_SOURCES = \
	engine/t2l.h \
	engine/error.c engine/error.h \
	engine/engine.c engine/engine.h

# The same objects as one archive with every symbol visible, for the unit tests.
include engine/tensor/local.mk
include engine/cpu/local.mk
include engine/formats/local.mk
include engine/text/local.mk
include engine/models/local.mk
include engine/adapters/local.mk
include engine/hypernet/local.mk
include engine/inference/local.mk
include engine/training/local.mk
