# Screen tests: scripts of keys, played on a hidden screen, against saved displays.
TESTS += tests/screen/run
EXTRA_DIST += tests/screen/run tests/screen/scripts tests/screen/expected
