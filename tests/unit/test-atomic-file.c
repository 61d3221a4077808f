/* test-atomic-file.c - a file appears whole or not at all; whole files in memory. */

#include "tests/unit/cmocka-first.h"

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/atomic-file.h"
#include "base/file.h"
#include "tests/unit/temporary-folder.h"

static void
check_content(const char *name, const char *expected)
{
	size_t n;
	char *text = read_whole_file(in_folder(name), 1 << 20, &n);

	assert_non_null(text);
	assert_string_equal(text, expected);
	assert_int_equal(n, strlen(expected));
	free(text);
}

static void
the_target_keeps_its_old_bytes_until_the_commit(void **state)
{
	struct atomic_file *file;

	(void)state;
	assert_int_equal(atomic_write(in_folder("a"), "old", 3), 0);
	file = atomic_file_open(in_folder("a"));
	assert_non_null(file);
	assert_int_equal(atomic_file_write(file, "new ", 4), 0);
	assert_int_equal(atomic_file_printf(file, "%d%s", 12, "x"), 0);
	check_content("a", "old");
	assert_int_equal(atomic_file_commit(file), 0);
	check_content("a", "new 12x");
	assert_int_equal(files_in_folder(), 1);
}

static void
abort_leaves_nothing_behind(void **state)
{
	struct atomic_file *file = atomic_file_open(in_folder("a"));

	(void)state;
	assert_non_null(file);
	atomic_file_write(file, "x", 1);
	atomic_file_abort(file);
	assert_int_equal(files_in_folder(), 0);
}

static void
permissions_follow_the_umask(void **state)
{
	mode_t before = umask(027);
	struct stat st;

	(void)state;
	assert_int_equal(atomic_write(in_folder("a"), "x", 1), 0);
	umask(before);
	assert_int_equal(stat(in_folder("a"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0640);
}

static void
a_private_file_stays_private(void **state)
{
	struct stat st;

	(void)state;
	assert_int_equal(atomic_write(in_folder("a"), "old", 3), 0);
	assert_int_equal(chmod(in_folder("a"), 0600), 0);
	assert_int_equal(atomic_write(in_folder("a"), "new", 3), 0);
	assert_int_equal(stat(in_folder("a"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	check_content("a", "new");
}

static void
a_symbolic_link_is_followed(void **state)
{
	struct stat st;

	(void)state;
	assert_int_equal(atomic_write(in_folder("a"), "old", 3), 0);
	assert_int_equal(symlink("a", in_folder("link")), 0);
	assert_int_equal(atomic_write(in_folder("link"), "new", 3), 0);
	assert_int_equal(lstat(in_folder("link"), &st), 0);
	assert_true(S_ISLNK(st.st_mode));
	check_content("a", "new");
}

static void
large_and_small_pieces_keep_their_order(void **state)
{
	enum { LARGE = 100000 };
	struct atomic_file *file = atomic_file_open(in_folder("a"));
	static char large[LARGE];
	struct mapped_file map;

	(void)state;
	memset(large, 'L', sizeof large);
	assert_non_null(file);
	assert_int_equal(atomic_file_write(file, "s", 1), 0);
	assert_int_equal(atomic_file_write(file, large, LARGE), 0);
	assert_int_equal(atomic_file_write(file, "t", 1), 0);
	assert_int_equal(atomic_file_commit(file), 0);
	assert_int_equal(mapped_file_open(in_folder("a"), &map), 0);
	assert_int_equal(map.n, LARGE + 2);
	assert_int_equal(map.bytes[0], 's');
	assert_memory_equal(map.bytes + 1, large, LARGE);
	assert_int_equal(map.bytes[LARGE + 1], 't');
	mapped_file_close(&map);
}

static void
what_cannot_be_written_is_reported_by_errno(void **state)
{
	(void)state;
	assert_int_equal(atomic_write(in_folder("none/a"), "x", 1), -1);
	assert_int_equal(errno, ENOENT);
	assert_int_equal(atomic_write(temporary_folder, "x", 1), -1);
	assert_int_equal(errno, EISDIR);
	assert_int_equal(atomic_write("", "x", 1), -1);
	assert_int_equal(errno, ENOENT);
	if (access("/dev/full", W_OK) == 0) {
		assert_int_equal(atomic_write("/dev/full", "x", 1), -1);
		assert_int_equal(errno, ENOSPC);
	}
}

/* A file-size limit fails a write in the middle just as a full disk does. */
static void
a_write_that_fails_half_way_keeps_the_old_file(void **state)
{
	static char large[1 << 20];
	struct rlimit before, limit;
	struct atomic_file *file;

	(void)state;
	assert_int_equal(atomic_write(in_folder("a"), "old", 3), 0);
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	limit = before;
	limit.rlim_cur = 300000;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	file = atomic_file_open(in_folder("a"));
	assert_non_null(file);
	assert_int_equal(atomic_file_write(file, large, sizeof large), -1);
	assert_int_equal(errno, EFBIG);
	assert_int_equal(atomic_file_write(file, "x", 1), -1);
	assert_int_equal(atomic_file_commit(file), -1);
	assert_int_equal(errno, EFBIG);
	setrlimit(RLIMIT_FSIZE, &before);
	check_content("a", "old");
	assert_int_equal(files_in_folder(), 1);
}

static void
a_killed_writer_leaves_the_old_file(void **state)
{
	int status;
	pid_t child;

	(void)state;
	assert_int_equal(atomic_write(in_folder("a"), "old", 3), 0);
	child = fork();
	if (child == 0) {
		static char large[100000];
		struct atomic_file *file = atomic_file_open(in_folder("a"));

		if (file != NULL)
			atomic_file_write(file, large, sizeof large);
		raise(SIGKILL);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	check_content("a", "old");
}

static void
mapping_takes_regular_files_only(void **state)
{
	struct mapped_file map = { 0 };

	(void)state;
	assert_int_equal(mapped_file_open(temporary_folder, &map), -1);
	assert_int_equal(errno, EISDIR);
	assert_int_equal(mkfifo(in_folder("pipe"), 0600), 0);
	assert_int_equal(mapped_file_open(in_folder("pipe"), &map), -1);
	assert_int_equal(errno, ENODEV);
	assert_int_equal(mapped_file_open(in_folder("none"), &map), -1);
	assert_int_equal(errno, ENOENT);
	assert_int_equal(atomic_write(in_folder("empty"), "", 0), 0);
	assert_int_equal(mapped_file_open(in_folder("empty"), &map), 0);
	assert_int_equal(map.n, 0);
	assert_non_null(map.bytes);
	mapped_file_close(&map);
	mapped_file_close(&map);
}

static void
a_mapped_file_survives_its_replacement(void **state)
{
	struct mapped_file map;

	(void)state;
	assert_int_equal(atomic_write(in_folder("a"), "old", 3), 0);
	assert_int_equal(mapped_file_open(in_folder("a"), &map), 0);
	assert_int_equal(atomic_write(in_folder("a"), "new", 3), 0);
	assert_memory_equal(map.bytes, "old", 3);
	mapped_file_close(&map);
}

static void
reading_stops_at_the_limit(void **state)
{
	char *text;
	size_t n;

	(void)state;
	assert_int_equal(atomic_write(in_folder("a"), "12345", 5), 0);
	assert_null(read_whole_file(in_folder("a"), 4, &n));
	assert_int_equal(errno, EFBIG);
	text = read_whole_file(in_folder("a"), 5, &n);
	assert_non_null(text);
	assert_int_equal(n, 5);
	assert_int_equal(text[5], '\0');
	free(text);
	assert_null(read_whole_file("/dev/zero", 1000000, &n));
	assert_int_equal(errno, EFBIG);
	assert_null(read_whole_file(temporary_folder, 5, &n));
	assert_int_equal(errno, EISDIR);
}

#define IN_FOLDER(test)                                                                            \
	cmocka_unit_test_setup_teardown(test, make_temporary_folder, remove_temporary_folder)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		IN_FOLDER(the_target_keeps_its_old_bytes_until_the_commit),
		IN_FOLDER(abort_leaves_nothing_behind),
		IN_FOLDER(permissions_follow_the_umask),
		IN_FOLDER(a_private_file_stays_private),
		IN_FOLDER(a_symbolic_link_is_followed),
		IN_FOLDER(large_and_small_pieces_keep_their_order),
		IN_FOLDER(what_cannot_be_written_is_reported_by_errno),
		IN_FOLDER(a_write_that_fails_half_way_keeps_the_old_file),
		IN_FOLDER(a_killed_writer_leaves_the_old_file),
		IN_FOLDER(mapping_takes_regular_files_only),
		IN_FOLDER(a_mapped_file_survives_its_replacement),
		IN_FOLDER(reading_stops_at_the_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
