# The program's tests from outside: commands, files, exit statuses.
CLI_TESTS = tests/cli/loop.sh tests/cli/lines.sh tests/cli/formats.sh tests/cli/merge.sh tests/cli/bad-input.sh tests/cli/quickstart.sh tests/cli/workbench.sh tests/cli/base-models.sh tests/cli/reference.sh tests/cli/training.sh
TESTS += $(CLI_TESTS)
EXTRA_DIST += $(CLI_TESTS) tests/cli/checks.sh
# Another process that keeps the catalog to itself.
check_PROGRAMS += tests/cli/hold-catalog
tests_cli_hold_catalog_SOURCES = tests/cli/hold-catalog.c
tests_cli_hold_catalog_CFLAGS = $(AM_CFLAGS) $(SQLITE_CFLAGS)
tests_cli_hold_catalog_LDADD = $(SQLITE_LIBS)
