/* test-store.c - opening a data home in good and bad circumstances; what is remembered in it. */

#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "store/internal.h"
#include "test-store-fixture.h"

static enum store_status
try_open(const char *home, enum store_mode mode, char message[1024])
{
	struct store *store = NULL;
	enum store_status status = store_open(home, mode, message, 1024, &store);

	if (status == STORE_OK)
		store_close(store);
	else
		assert_null(store);
	return status;
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
what_was_kept_is_there_when_opened_again(void **state)
{
	struct fixture *f = *state;
	struct store_adapter *row;
	int64_t id = add_named(f->store, "es-upper", "translate to Spanish");

	store_close(f->store);
	f->store = open_at(f->home);
	assert_ok(f->store, store_get(f->store, id, &row));
	assert_string_equal(row->name, "es-upper");
	store_free(row);
}

static void
folders_on_the_way_to_the_home_are_created(void **state)
{
	struct fixture *f = *state;
	char deep[512], message[1024];
	struct stat st;

	snprintf(deep, sizeof deep, "%s/a/b?c#d%%41/t2l/", f->home);
	assert_int_equal(try_open(deep, STORE_READ_WRITE, message), STORE_OK);
	strcat(deep, "catalog.sqlite");
	assert_int_equal(stat(deep, &st), 0);
}

static void
reading_where_there_is_no_catalog_says_so(void **state)
{
	struct fixture *f = *state;
	char empty[512], message[1024];

	snprintf(empty, sizeof empty, "%s/nothing", f->home);
	assert_int_equal(try_open(empty, STORE_READ_ONLY, message), STORE_ENOENT);
	assert_non_null(strstr(message, "there is no catalog"));
	assert_int_equal(access(empty, F_OK), -1);
}

static void
a_home_that_is_a_file_is_refused(void **state)
{
	struct fixture *f = *state;
	char file[512], message[1024];

	snprintf(file, sizeof file, "%s/catalog.sqlite", f->home);
	assert_int_equal(try_open(file, STORE_READ_WRITE, message), STORE_EINVAL);
	assert_non_null(strstr(message, "not a directory"));
}

static void
a_newer_catalog_is_refused(void **state)
{
	struct fixture *f = *state;
	char message[1024];

	execute(f->home, "INSERT INTO schema_versions VALUES (999, 0)");
	assert_int_equal(try_open(f->home, STORE_READ_WRITE, message), STORE_ENEWER);
	assert_non_null(strstr(message, "999"));
	assert_int_equal(try_open(f->home, STORE_READ_ONLY, message), STORE_ENEWER);
}

static void
an_older_catalog_is_upgraded_step_by_step(void **state)
{
	static const struct migration steps[] = {
		{ 1, "this one is done already" },
		{ 2, "this one too" },
		{ 11, "CREATE TABLE two (x); INSERT INTO two VALUES (20)" },
		{ 12, "UPDATE two SET x = x + 1" },
		{ 0, NULL },
	};
	struct fixture *f = *state;
	char message[1024];
	int64_t x, id = add_named(f->store, "kept", "task");
	struct store_adapter *row;

	assert_ok(f->store, schema_migrate(f->store, steps));
	assert_ok(f->store, schema_migrate(f->store, steps));
	assert_ok(f->store, sql_int64(f->store, &x, "SELECT x FROM two", ""));
	assert_int_equal(x, 21);
	assert_ok(
	    f->store, sql_int64(f->store, &x, "SELECT max(version) FROM schema_versions", ""));
	assert_int_equal(x, 12);
	assert_ok(f->store, store_get(f->store, id, &row));
	store_free(row);
	assert_int_equal(try_open(f->home, STORE_READ_WRITE, message), STORE_ENEWER);
}

static void
a_catalog_of_version_1_keeps_its_adapters(void **state)
{
	struct fixture *f = *state;
	char message[1024];
	int64_t id = add_named(f->store, "kept", "task");
	struct store_adapter *row;
	struct store_ids *ids;

	execute(f->home, "DROP INDEX adapter_content; ALTER TABLE adapters DROP COLUMN content;"
			 "DELETE FROM schema_versions WHERE version = 2");
	store_close(f->store);
	assert_int_equal(
	    store_open(f->home, STORE_READ_WRITE, message, sizeof message, &f->store), STORE_OK);
	assert_ok(f->store, store_get(f->store, id, &row));
	assert_string_equal(row->name, "kept");
	assert_string_equal(row->content, "");
	store_free(row);
	assert_ok(f->store, store_without_content(f->store, 1, &ids));
	assert_int_equal(ids->rows[0], id);
	store_free(ids);
	add_named(f->store, "new", "task");
}

static void
an_upgrade_that_fails_changes_nothing(void **state)
{
	static const struct migration steps[] = {
		{ 11, "CREATE TABLE two (x)" },
		{ 12, "INSERT INTO nowhere VALUES (1)" },
		{ 0, NULL },
	};
	struct fixture *f = *state;
	char message[1024];

	assert_fails(f->store, STORE_EIO, "nowhere", schema_migrate(f->store, steps));
	assert_int_equal(try_open(f->home, STORE_READ_WRITE, message), STORE_OK);
	execute(f->home, "CREATE TABLE two (x)");
}

static void
another_programs_database_is_refused(void **state)
{
	struct fixture *f = *state;
	char message[1024];

	execute(f->home, "PRAGMA application_id = 42");
	assert_int_equal(try_open(f->home, STORE_READ_WRITE, message), STORE_EDAMAGED);
	assert_non_null(strstr(message, "another program"));
}

static void
a_file_that_is_no_database_is_refused(void **state)
{
	struct fixture *f = *state;
	char message[1024];

	store_close(f->store);
	f->store = NULL;
	run("yes garbage | head -c 20000 > '%s/catalog.sqlite'", f->home);
	assert_int_equal(try_open(f->home, STORE_READ_WRITE, message), STORE_EDAMAGED);
	assert_non_null(strstr(message, "damaged"));
}

/* Root may write everywhere, so this runs as somebody else. */
static int
read_as_nobody(const char *home, int64_t id)
{
	struct store_new adapter = adapter_of("new", "task", "content");
	struct store_adapter *row;
	struct store_added added;
	struct store *store;
	char message[1024];

	if (geteuid() == 0 && (setgid(65534) == -1 || setuid(65534) == -1))
		return 77;
	if (store_open(home, STORE_READ_WRITE, message, sizeof message, &store) != STORE_OK) {
		fprintf(stderr, "%s\n", message);
		return 1;
	}
	if (!store_is_read_only(store) || strstr(store_error(store), "read-only") == NULL)
		return 2;
	if (store_get(store, id, &row) != STORE_OK || strcmp(row->name, "kept") != 0)
		return 3;
	if (store_add(store, &adapter, &added) != STORE_EREADONLY || added.id != 0 ||
	    strstr(store_error(store), "T2L_HOME") == NULL)
		return 4;
	if (store_set_favourite(store, id, true) != STORE_EREADONLY)
		return 5;
	store_free(row);
	store_close(store);
	return 0;
}

static void
as_nobody(const char *home, int64_t id)
{
	int status;
	pid_t child = fork();

	if (child == 0)
		_exit(read_as_nobody(home, id));
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void
a_folder_that_cannot_be_written_is_read(void **state)
{
	struct fixture *f = *state;
	int64_t id = add_named(f->store, "kept", "task");

	/* While another process has it open, the log lies beside it ... */
	run("chmod -R a+rX,a-w '%s'", f->home);
	as_nobody(f->home, id);
	/* ... and after that it does not. */
	run("chmod -R u+w '%s'", f->home);
	store_close(f->store);
	f->store = NULL;
	run("chmod -R a-w '%s'", f->home);
	as_nobody(f->home, id);
}

static void
the_generation_changes_with_everybodys_writes(void **state)
{
	struct fixture *f = *state;
	struct store *other = open_at(f->home);
	uint64_t before = store_generation(f->store), after;

	assert_int_equal(store_generation(f->store), before);
	add_named(other, "theirs", "task");
	after = store_generation(f->store);
	assert_int_not_equal(after, before);
	assert_int_equal(store_generation(f->store), after);
	add_named(f->store, "ours", "task");
	assert_int_not_equal(store_generation(f->store), after);
	store_close(other);
}

static void
a_writer_that_stays_is_reported_as_busy(void **state)
{
	struct fixture *f = *state;
	char path[512];
	sqlite3 *db;

	snprintf(path, sizeof path, "%s/catalog.sqlite", f->home);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	assert_fails(
	    f->store, STORE_EBUSY, "another process", store_state_set(f->store, "key", "value"));
	sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
	sqlite3_close(db);
	assert_ok(f->store, store_state_set(f->store, "key", "value"));
}

static void
state_is_remembered_and_forgotten(void **state)
{
	struct fixture *f = *state;
	char *value = (char *)"untouched";

	assert_ok(f->store, store_state_get(f->store, "last-base", &value));
	assert_null(value);
	assert_ok(f->store, store_state_set(f->store, "last-base", "a"));
	assert_ok(f->store, store_state_set(f->store, "last-base", "b"));
	assert_ok(f->store, store_state_get(f->store, "last-base", &value));
	assert_string_equal(value, "b");
	store_free(value);
	assert_ok(f->store, store_state_set(f->store, "last-base", NULL));
	assert_ok(f->store, store_state_get(f->store, "last-base", &value));
	assert_null(value);
}

static void
history_is_newest_first_without_repeats(void **state)
{
	static const char *const typed[] = { "one", "two", "one", "three\x1b[2J" };
	struct fixture *f = *state;
	struct store_strings *lines;

	for (size_t i = 0; i < 4; i++)
		assert_ok(f->store, store_history_add(f->store, STORE_HISTORY_PROMPT, typed[i]));
	assert_ok(f->store, store_history_add(f->store, STORE_HISTORY_TASK, "a task"));
	assert_ok(f->store, store_history(f->store, STORE_HISTORY_PROMPT, 10, &lines));
	assert_int_equal(lines->n_rows, 3);
	assert_string_equal(lines->rows[0], "three\x1b[2J");
	assert_string_equal(lines->rows[1], "one");
	assert_string_equal(lines->rows[2], "two");
	store_free(lines);
}

static void
history_keeps_the_last_thousand(void **state)
{
	struct fixture *f = *state;
	struct store_strings *lines;
	char line[32];

	for (int i = 0; i < 1010; i++) {
		snprintf(line, sizeof line, "line %d", i);
		assert_ok(f->store, store_history_add(f->store, STORE_HISTORY_TASK, line));
	}
	assert_ok(f->store, store_history(f->store, STORE_HISTORY_TASK, 5000, &lines));
	assert_int_equal(lines->n_rows, 1000);
	assert_string_equal(lines->rows[0], "line 1009");
	assert_string_equal(lines->rows[999], "line 10");
	store_free(lines);
}

static void
models_are_found_by_name_and_path(void **state)
{
	struct fixture *f = *state;
	struct store_model old = { .path = "/m/old", .name = "demo", .kind = "base" };
	struct store_model new = { .path = "/m/new",
		.name = "demo",
		.kind = "base",
		.architecture = "llama",
		.fingerprint = "ff",
		.size_bytes = 5 };
	struct store_model *found;
	struct store_models *all;

	assert_ok(f->store, store_model_put(f->store, &old));
	assert_ok(f->store, store_model_put(f->store, &new));
	assert_ok(f->store, store_model_find(f->store, "base", "demo", &found));
	assert_string_equal(found->path, "/m/new");
	assert_string_equal(found->architecture, "llama");
	store_free(found);
	assert_ok(f->store, store_model_find(f->store, NULL, "/m/old", &found));
	assert_string_equal(found->name, "");
	assert_ok(f->store, store_model_forget(f->store, found->id));
	store_free(found);
	assert_fails(
	    f->store, STORE_ENOENT, "/m/old", store_model_find(f->store, NULL, "/m/old", &found));
	assert_fails(f->store, STORE_ENOENT, "encoder 'demo'",
	    store_model_find(f->store, "encoder", "demo", &found));
	assert_ok(f->store, store_models(f->store, "base", &all));
	assert_int_equal(all->n_rows, 1);
	store_free(all);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_was_kept_is_there_when_opened_again),
		TEST(folders_on_the_way_to_the_home_are_created),
		TEST(reading_where_there_is_no_catalog_says_so),
		TEST(a_home_that_is_a_file_is_refused),
		TEST(a_newer_catalog_is_refused),
		TEST(an_older_catalog_is_upgraded_step_by_step),
		TEST(a_catalog_of_version_1_keeps_its_adapters),
		TEST(an_upgrade_that_fails_changes_nothing),
		TEST(another_programs_database_is_refused),
		TEST(a_file_that_is_no_database_is_refused),
		TEST(a_folder_that_cannot_be_written_is_read),
		TEST(the_generation_changes_with_everybodys_writes),
		TEST(a_writer_that_stays_is_reported_as_busy),
		TEST(state_is_remembered_and_forgotten),
		TEST(history_is_newest_first_without_repeats),
		TEST(history_keeps_the_last_thousand),
		TEST(models_are_found_by_name_and_path),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
