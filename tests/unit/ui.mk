# Tests of ui/ that need no screen.
UI_TESTS = tests/unit/test-ui-catalog-columns tests/unit/test-ui-catalog-list tests/unit/test-ui-diff \
	tests/unit/test-ui-layout tests/unit/test-ui-prompt-line tests/unit/test-ui-queue tests/unit/test-ui-worker
UNIT_TESTS += $(UI_TESTS)
UI_LDADD = ui/libui.la $(UNIT_LDADD) $(SQLITE_LIBS) $(NCURSES_LIBS)

tests_unit_test_ui_catalog_columns_SOURCES = tests/unit/test-ui-catalog-columns.c
tests_unit_test_ui_catalog_columns_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_ui_catalog_columns_LDADD = $(UI_LDADD)
tests_unit_test_ui_catalog_columns_LDFLAGS = $(UNIT_LDFLAGS)

tests_unit_test_ui_catalog_list_SOURCES = tests/unit/test-ui-catalog-list.c
tests_unit_test_ui_catalog_list_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_ui_catalog_list_LDADD = $(UI_LDADD)
tests_unit_test_ui_catalog_list_LDFLAGS = $(UNIT_LDFLAGS)

tests_unit_test_ui_diff_SOURCES = tests/unit/test-ui-diff.c
tests_unit_test_ui_diff_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_ui_diff_LDADD = $(UI_LDADD)
tests_unit_test_ui_diff_LDFLAGS = $(UNIT_LDFLAGS)

tests_unit_test_ui_layout_SOURCES = tests/unit/test-ui-layout.c
tests_unit_test_ui_layout_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_ui_layout_LDADD = $(UI_LDADD)
tests_unit_test_ui_layout_LDFLAGS = $(UNIT_LDFLAGS)

tests_unit_test_ui_queue_SOURCES = tests/unit/test-ui-queue.c
tests_unit_test_ui_queue_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_ui_queue_LDADD = $(UI_LDADD)
tests_unit_test_ui_queue_LDFLAGS = $(UNIT_LDFLAGS)

tests_unit_test_ui_prompt_line_SOURCES = tests/unit/test-ui-prompt-line.c
tests_unit_test_ui_prompt_line_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_ui_prompt_line_LDADD = $(UI_LDADD)
tests_unit_test_ui_prompt_line_LDFLAGS = $(UNIT_LDFLAGS)

tests_unit_test_ui_worker_SOURCES = tests/unit/test-ui-worker.c
tests_unit_test_ui_worker_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_ui_worker_LDADD = $(UI_LDADD)
tests_unit_test_ui_worker_LDFLAGS = $(UNIT_LDFLAGS)
