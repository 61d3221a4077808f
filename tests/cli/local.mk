# The program's tests from outside: commands, files, exit statuses.
CLI_TESTS = tests/cli/loop.sh tests/cli/bad-input.sh tests/cli/quickstart.sh tests/cli/base-models.sh
TESTS += $(CLI_TESTS)
EXTRA_DIST += $(CLI_TESTS) tests/cli/checks.sh
