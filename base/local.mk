# base: what every room may use; a convenience library inside libt2l and the program.
noinst_LTLIBRARIES += base/libbase.la
base_libbase_la_CFLAGS = $(AM_CFLAGS) $(NETTLE_CFLAGS) $(UTF8PROC_CFLAGS) $(YAML_CFLAGS)
base_libbase_la_LIBADD = $(NETTLE_LIBS) $(UTF8PROC_LIBS) $(YAML_LIBS)
base_libbase_la_SOURCES = \
	base/atomic-file.c base/atomic-file.h \
	base/atomic-folder.c base/atomic-folder.h \
	base/buffer.c base/buffer.h base/clock.h \
	base/config-file.c base/config-file.h \
	base/config-getters.c base/config-value.c base/config-value.h \
	base/edit-distance.c base/edit-distance.h \
	base/file.c base/file.h \
	base/hash.c base/hash.h \
	base/number.c base/number.h \
	base/toml.c base/toml.h base/toml-scan.h base/toml-string.c base/toml-word.c \
	base/utf8.c base/utf8.h \
	base/visible.c base/visible.h \
	base/width.c base/width.h \
	base/yaml.c base/yaml.h
