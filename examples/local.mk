# examples: programs that use libt2l as a stranger would.
check_PROGRAMS += examples/describe
examples_describe_SOURCES = examples/describe.c
examples_describe_CPPFLAGS = -I$(top_srcdir)/engine
examples_describe_LDADD = engine/libt2l.la
