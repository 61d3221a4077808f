/* test-store-files.c - adapter files on disk: swept, verified, and what happens when it is full. */

#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "test-store-fixture.h"

static void
path_of(struct store *store, int64_t id, char path[512])
{
	struct store_adapter *row;

	assert_ok(store, store_get(store, id, &row));
	snprintf(path, 512, "%s", row->path);
	store_free(row);
}

static void
write_text(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static void
make_old(const char *path)
{
	const struct timespec times[2] = { { .tv_sec = time(NULL) - 3600 },
		{ .tv_sec = time(NULL) - 3600 } };

	assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

/* ---- gc ---- */

struct swept {
	int n;
	char last[512];
};

static bool
note_swept(void *context, const char *path, int64_t size_bytes)
{
	struct swept *swept = context;

	assert_true(size_bytes >= 0);
	swept->n++;
	snprintf(swept->last, sizeof swept->last, "%s", path);
	return true;
}

static void
gc_deletes_only_old_files_that_no_row_names(void **state)
{
	struct fixture *f = *state;
	int64_t id = add_named(f->store, "kept", "task");
	struct store_gc options = { .file = note_swept };
	struct store_gc_result result;
	struct swept swept = { 0 };
	char kept[512], orphan[600], young[600], left_over[600], foreign[600];

	path_of(f->store, id, kept);
	make_old(kept);
	run("mkdir -p '%s/adapters/aa'", f->home);
	snprintf(orphan, sizeof orphan, "%s/adapters/aa/%064d.safetensors", f->home, 0);
	snprintf(young, sizeof young, "%s/adapters/aa/%064d.safetensors", f->home, 1);
	snprintf(left_over, sizeof left_over, "%s/adapters/aa/.t2l-0123456789abcdef.tmp", f->home);
	snprintf(foreign, sizeof foreign, "%s/adapters/aa/my-notes.txt", f->home);
	write_text(orphan, "12345");
	write_text(young, "123");
	write_text(left_over, "1234567");
	write_text(foreign, "mine");
	make_old(orphan);
	make_old(left_over);
	make_old(foreign);
	options.context = &swept;
	options.dry_run = true;
	assert_ok(f->store, store_gc(f->store, &options, &result));
	assert_int_equal(result.n_files, 2);
	assert_int_equal(access(orphan, F_OK), 0);
	options.dry_run = false;
	assert_ok(f->store, store_gc(f->store, &options, &result));
	assert_int_equal(result.n_files, 2);
	assert_int_equal(result.n_bytes, 12);
	assert_int_equal(swept.n, 4);
	assert_int_equal(access(orphan, F_OK), -1);
	assert_int_equal(access(left_over, F_OK), -1);
	assert_int_equal(access(young, F_OK), 0);
	assert_int_equal(access(foreign, F_OK), 0);
	assert_int_equal(access(kept, F_OK), 0);
}

static void
gc_empties_the_old_trash_with_its_files(void **state)
{
	struct fixture *f = *state;
	int64_t id = add_named(f->store, "gone", "task");
	struct store_gc options = { .min_age_ms = 1, .trash_age_ms = 3600 * 1000 };
	struct store_gc_result result;
	char path[512];

	path_of(f->store, id, path);
	assert_ok(f->store, store_trash(f->store, &id, 1));
	make_old(path);
	assert_ok(f->store, store_gc(f->store, &options, &result));
	assert_int_equal(result.n_purged, 0);
	assert_int_equal(access(path, F_OK), 0);
	options.trash_age_ms = 1;
	options.dry_run = true;
	usleep(5000);
	assert_ok(f->store, store_gc(f->store, &options, &result));
	assert_int_equal(result.n_purged, 1);
	assert_int_equal(result.n_files, 1);
	assert_int_equal(access(path, F_OK), 0);
	options.dry_run = false;
	assert_ok(f->store, store_gc(f->store, &options, &result));
	assert_int_equal(result.n_purged, 1);
	assert_int_equal(result.n_files, 1);
	assert_int_equal(access(path, F_OK), -1);
}

static void
a_file_that_twins_share_stays_until_the_last_one_goes(void **state)
{
	struct fixture *f = *state;
	int64_t one = add(f->store, adapter_of("one", "task", "SAME"));
	int64_t two = add(f->store, adapter_of("two", "task", "SAME"));
	struct store_gc options = { .min_age_ms = 1, .trash_age_ms = -1 };
	struct store_gc_result result;
	char path[512];

	path_of(f->store, one, path);
	make_old(path);
	assert_ok(f->store, store_trash(f->store, &one, 1));
	assert_ok(f->store, store_purge(f->store, INT64_MAX, NULL));
	assert_ok(f->store, store_gc(f->store, &options, &result));
	assert_int_equal(access(path, F_OK), 0);
	assert_ok(f->store, store_trash(f->store, &two, 1));
	assert_ok(f->store, store_purge(f->store, INT64_MAX, NULL));
	assert_ok(f->store, store_gc(f->store, &options, &result));
	assert_int_equal(access(path, F_OK), -1);
}

/* ---- verify ---- */

struct findings {
	int n;
	int64_t adapter;
	char text[4096];
};

static bool
note_problem(void *context, const struct store_problem *problem)
{
	struct findings *findings = context;

	findings->n++;
	findings->adapter = problem->adapter;
	strncat(
	    findings->text, problem->message, sizeof findings->text - strlen(findings->text) - 1);
	return true;
}

static struct findings
verify(struct store *store, bool quick, bool repair)
{
	struct findings findings = { 0 };
	struct store_verify options = {
		.problem = note_problem, .context = &findings, .quick = quick, .repair = repair
	};
	uint64_t n;

	assert_ok(store, store_verify(store, &options, &n));
	assert_int_equal(n, findings.n);
	return findings;
}

static void
execute(const char *home, const char *sql)
{
	char path[512];
	sqlite3 *db;

	snprintf(path, sizeof path, "%s/catalog.sqlite", home);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
		fail_msg("%s: %s", sql, sqlite3_errmsg(db));
	sqlite3_close(db);
}

static void
verify_finds_nothing_in_a_sound_store(void **state)
{
	struct fixture *f = *state;
	int64_t ids[] = { add_named(f->store, "a", "task"), add_named(f->store, "b", "task") };

	assert_ok(f->store, store_tag(f->store, ids, 2, "z"));
	assert_ok(f->store, store_tag(f->store, ids, 2, "a"));
	assert_ok(f->store, store_trash(f->store, ids, 1));
	assert_int_equal(verify(f->store, false, false).n, 0);
}

static void
verify_names_files_that_are_changed_cut_or_gone(void **state)
{
	struct fixture *f = *state;
	int64_t id = add_named(f->store, "victim", "task");
	struct findings findings;
	char path[512];

	path_of(f->store, id, path);
	write_text(path, "VICTIM");
	findings = verify(f->store, false, false);
	assert_int_equal(findings.n, 1);
	assert_int_equal(findings.adapter, id);
	assert_non_null(strstr(findings.text, "'victim' was changed"));
	assert_int_equal(verify(f->store, true, false).n, 0);
	write_text(path, "VIC");
	assert_non_null(strstr(verify(f->store, true, false).text, "has 3 bytes and had 6"));
	assert_int_equal(unlink(path), 0);
	assert_non_null(strstr(verify(f->store, true, false).text, "cannot be read"));
	/* Keeping the same content again heals the file. */
	add(f->store, adapter_of("again", "task", "victim"));
	assert_int_equal(verify(f->store, false, false).n, 0);
	write_text(path, "VICTIM");
	add(f->store, adapter_of("once-more", "task", "victim"));
	assert_int_equal(verify(f->store, false, false).n, 0);
}

static void
verify_finds_and_repairs_what_does_not_add_up(void **state)
{
	struct fixture *f = *state;
	struct findings findings;

	add_named(f->store, "sound", "task");
	add_named(f->store, "miscounted", "task");
	execute(f->home, "UPDATE adapters SET wins = 7, tags = 'ghost' WHERE name = 'miscounted'");
	findings = verify(f->store, true, false);
	assert_int_equal(findings.n, 1);
	assert_non_null(strstr(findings.text, "'miscounted' has counts or tags"));
	assert_int_equal(verify(f->store, true, true).n, 0);
	execute(f->home, "INSERT INTO words (words) VALUES ('delete-all')");
	findings = verify(f->store, true, false);
	assert_int_equal(findings.n, 1);
	assert_non_null(strstr(findings.text, "index of words"));
	assert_int_equal(verify(f->store, true, true).n, 0);
}

static void
verify_finds_dangling_references(void **state)
{
	struct fixture *f = *state;

	execute(f->home, "INSERT INTO lineage (child, position, parent, parent_name, weight, kind)"
			 " VALUES (55, 0, NULL, '', 1, '')");
	assert_non_null(strstr(verify(f->store, true, false).text, "table lineage"));
}

static void
verify_survives_a_damaged_database(void **state)
{
	struct fixture *f = *state;
	struct store_verify options = { .quick = true };
	enum store_status status;
	struct store *store;
	char path[512], name[32];
	uint64_t n = 0;
	FILE *file;

	for (int i = 0; i < 200; i++) {
		snprintf(name, sizeof name, "n%d", i);
		add_named(f->store, name, "a task of some length that fills the pages");
	}
	store_close(f->store);
	f->store = NULL;
	snprintf(path, sizeof path, "%s/catalog.sqlite", f->home);
	file = fopen(path, "r+");
	assert_non_null(file);
	for (long at = 8 * 4096; at < 60 * 4096; at += 3 * 4096) {
		fseek(file, at, SEEK_SET);
		fputs("garbage where a page begins", file);
	}
	fclose(file);
	if (store_open(f->home, STORE_READ_WRITE, NULL, 0, &store) != STORE_OK)
		return; /* too damaged to open is an answer as well */
	status = store_verify(store, &options, &n);
	assert_true(status == STORE_EDAMAGED || (status == STORE_OK && n > 0));
	store_close(store);
}

static bool
stop_at_once(void *context, uint64_t done, uint64_t total)
{
	(void)context;
	return done > total;
}

static void
verify_stops_when_asked(void **state)
{
	struct fixture *f = *state;
	struct store_verify options = { .progress = stop_at_once };
	uint64_t n;

	add_named(f->store, "a", "task");
	assert_fails(f->store, STORE_ECANCELLED, "stopped", store_verify(f->store, &options, &n));
}

static bool
interrupt(void *context, uint64_t done, uint64_t total)
{
	store_interrupt(context);
	return done <= total;
}

static void
verify_can_be_interrupted_and_run_again(void **state)
{
	struct fixture *f = *state;
	struct store_verify options = { .progress = interrupt, .context = f->store };
	uint64_t n;

	add_named(f->store, "a", "task");
	assert_fails(f->store, STORE_ECANCELLED, "cancelled", store_verify(f->store, &options, &n));
	assert_int_equal(verify(f->store, false, false).n, 0);
}

/* ---- rows that nobody sane wrote ---- */

static void
a_circle_of_lineage_ends(void **state)
{
	struct fixture *f = *state;
	int64_t a = add_named(f->store, "a", "task"), b = add_named(f->store, "b", "task");
	struct store_relatives *tree;

	execute(f->home, "INSERT INTO lineage VALUES (1, 0, 2, 'b', 1, ''), (2, 0, 1, 'a', 1, ''),"
			 " (2, 1, 1, 'a', 1, '')");
	assert_ok(f->store, store_lineage(f->store, a, STORE_ANCESTORS, 500, &tree));
	assert_true(tree->cut);
	assert_true(tree->n_rows <= 500);
	store_free(tree);
	assert_ok(f->store, store_lineage(f->store, b, STORE_DESCENDANTS, 500, &tree));
	assert_true(tree->cut);
	store_free(tree);
}

static void
a_hostile_hash_makes_no_path(void **state)
{
	struct fixture *f = *state;
	int64_t id = add_named(f->store, "a", "task");
	struct store_adapter *row;

	execute(f->home,
	    "UPDATE adapters SET hash = '../../../../../../../../../../../etc/passwd' ||"
	    " substr('xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx', 1,"
	    " 64 - length('../../../../../../../../../../../etc/passwd'))");
	assert_ok(f->store, store_get(f->store, id, &row));
	assert_string_equal(row->path, "");
	store_free(row);
	assert_non_null(strstr(verify(f->store, true, false).text, "no valid hash"));
}

/* ---- a full disk, played by a limit on the size of files ---- */

static int
add_until_full(const char *home, size_t content_bytes)
{
	struct rlimit limit = { 200 * 1024, 200 * 1024 };
	struct store *store = open_at(home);
	char *content = calloc(1, content_bytes + 1);
	char name[32];

	signal(SIGXFSZ, SIG_IGN);
	setrlimit(RLIMIT_FSIZE, &limit);
	for (int i = 0; i < 5000; i++) {
		struct store_new adapter;
		struct store_added added;
		enum store_status status;

		snprintf(name, sizeof name, "full-%d", i);
		memset(content, 'a' + i % 26, content_bytes);
		adapter = adapter_of(name, "some task", content);
		status = store_add(store, &adapter, &added);
		if (status == STORE_OK)
			continue;
		if (status != STORE_EFULL ||
		    strstr(store_error(store), "free some space") == NULL) {
			fprintf(stderr, "%d: %s\n", (int)status, store_error(store));
			return 2;
		}
		/* Reading goes on. */
		if (store_generation(store) == 0)
			return 3;
		return added.id == 0 ? 0 : 4;
	}
	return 5;
}

static void
a_full_disk_is_reported_and_harms_nothing(void **state)
{
	static const size_t contents[] = { 300 * 1024, 10 };
	struct fixture *f = *state;

	add_named(f->store, "before", "task");
	for (size_t i = 0; i < 2; i++) {
		int status;
		pid_t child = fork();

		if (child == 0)
			_exit(add_until_full(f->home, contents[i]));
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), 0);
		assert_int_equal(verify(f->store, false, false).n, 0);
	}
	add_named(f->store, "after", "task");
	assert_int_equal(verify(f->store, false, false).n, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(gc_deletes_only_old_files_that_no_row_names),
		TEST(gc_empties_the_old_trash_with_its_files),
		TEST(a_file_that_twins_share_stays_until_the_last_one_goes),
		TEST(verify_finds_nothing_in_a_sound_store),
		TEST(verify_names_files_that_are_changed_cut_or_gone),
		TEST(verify_finds_and_repairs_what_does_not_add_up),
		TEST(verify_finds_dangling_references),
		TEST(verify_survives_a_damaged_database),
		TEST(verify_stops_when_asked),
		TEST(verify_can_be_interrupted_and_run_again),
		TEST(a_circle_of_lineage_ends),
		TEST(a_hostile_hash_makes_no_path),
		TEST(a_full_disk_is_reported_and_harms_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
