# Tests of ui/ that need no screen.
UI_TESTS = tests/unit/test-ui-diff
UNIT_TESTS += $(UI_TESTS)
UI_LDADD = ui/libui.la $(UNIT_LDADD) $(NCURSES_LIBS)

tests_unit_test_ui_diff_SOURCES = tests/unit/test-ui-diff.c
tests_unit_test_ui_diff_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_ui_diff_LDADD = $(UI_LDADD)
tests_unit_test_ui_diff_LDFLAGS = $(UNIT_LDFLAGS)
