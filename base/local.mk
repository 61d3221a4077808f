# base: what every room may use; a convenience library inside libt2l and the program.
noinst_LTLIBRARIES += base/libbase.la
base_libbase_la_CFLAGS = $(AM_CFLAGS) $(NETTLE_CFLAGS) $(UTF8PROC_CFLAGS)
base_libbase_la_LIBADD = $(NETTLE_LIBS) $(UTF8PROC_LIBS)
base_libbase_la_SOURCES =
