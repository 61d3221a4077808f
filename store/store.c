/* store.c - the handle: opening a data home, errors as sentences, transactions. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/visible.h"
#include "store/internal.h"

#define BUSY_TIMEOUT_MS 5000
#define OPEN_ATTEMPTS 50 /* of 100 ms each */

int64_t
now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- errors ---- */

enum store_status
store_fail(struct store *store, enum store_status status, const char *format, ...)
{
	char sentence[sizeof store->error];
	va_list args;

	va_start(args, format);
	vsnprintf(sentence, sizeof sentence, format, args);
	va_end(args);
	/* Names and paths come from outside: a sentence must not move anybody's cursor. */
	visible_copy(store->error, sizeof store->error, sentence, strlen(sentence), 0);
	store->status = status;
	return status;
}

enum store_status
store_fail_errno(struct store *store, const char *format, ...)
{
	int number = errno;
	char sentence[sizeof store->error / 2];
	va_list args;

	va_start(args, format);
	vsnprintf(sentence, sizeof sentence, format, args);
	va_end(args);
	switch (number) {
	case ENOSPC:
	case EDQUOT:
	case EFBIG:
		return store_fail(store, STORE_EFULL, "%s: %s; free some space and try again",
		    sentence, strerror(number));
	case EROFS:
	case EACCES:
	case EPERM:
		return store_fail(store, STORE_EREADONLY,
		    "%s: %s; change its permissions or set T2L_HOME to a directory you can write",
		    sentence, strerror(number));
	case ENOENT:
		return store_fail(store, STORE_ENOENT, "%s: %s", sentence, strerror(number));
	case ENOMEM:
		return store_fail(store, STORE_ENOMEM, "%s: out of memory", sentence);
	}
	return store_fail(store, STORE_EIO, "%s: %s", sentence, strerror(number));
}

enum store_status
store_fail_sql(struct store *store, const char *doing)
{
	int code = sqlite3_errcode(store->db);

	if (code == SQLITE_IOERR || code == SQLITE_CANTOPEN) {
		errno = sqlite3_system_errno(store->db);
		if (errno != 0)
			return store_fail_errno(store, "%s '%s'", doing, store->path);
	}
	/* A write that was refused for another reason than ENOSPC, whose errno SQLite loses. */
	if (sqlite3_extended_errcode(store->db) == SQLITE_IOERR_WRITE)
		return store_fail(store, STORE_EFULL,
		    "%s '%s': it cannot grow (the disk, a quota or a limit on file size); free "
		    "some "
		    "space and try again",
		    doing, store->path);
	switch (code) {
	case SQLITE_FULL:
		return store_fail(store, STORE_EFULL,
		    "%s '%s': the disk is full; free some space and try again", doing, store->path);
	case SQLITE_READONLY:
		return store_fail(store, STORE_EREADONLY,
		    "%s '%s': it cannot be written; change its permissions or set T2L_HOME", doing,
		    store->path);
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return store_fail(store, STORE_EBUSY,
		    "%s '%s': another process has kept it locked for %d s; try again when it is "
		    "done",
		    doing, store->path, BUSY_TIMEOUT_MS / 1000);
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return store_fail(store, STORE_EDAMAGED,
		    "%s '%s': the database is damaged (%s); put back a copy, or move it away to "
		    "start anew (the adapter files stay)",
		    doing, store->path, sqlite3_errmsg(store->db));
	case SQLITE_INTERRUPT:
		return store_fail(store, STORE_ECANCELLED, "%s: cancelled", doing);
	case SQLITE_NOMEM:
		return store_fail(store, STORE_ENOMEM, "%s: out of memory", doing);
	case SQLITE_TOOBIG:
		return store_fail(store, STORE_EINVAL, "%s: the text is too long", doing);
	}
	return store_fail(
	    store, STORE_EIO, "%s '%s': %s", doing, store->path, sqlite3_errmsg(store->db));
}

/* ---- transactions ---- */

enum store_status
transaction_begin(struct store *store)
{
	if (store->read_only)
		return store_fail(store, STORE_EREADONLY,
		    "the catalog '%s' is open for reading only (%s); change its permissions or set "
		    "T2L_HOME to a directory you can write",
		    store->path, store->read_only_reason);
	/* IMMEDIATE: the wait for another writer happens here and only here. */
	return sql_run(store, "BEGIN IMMEDIATE", "");
}

enum store_status
transaction_end(struct store *store, enum store_status status)
{
	if (status == STORE_OK)
		status = sql_run(store, "COMMIT", "");
	/* The sentence is there already; a rollback that fails has nothing to add to it. */
	if (status != STORE_OK && !sqlite3_get_autocommit(store->db))
		sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
	return status;
}

/* ---- opening ---- */

/* mkdir -p; the home itself is private, as XDG asks. */
static enum store_status
make_home(struct store *store)
{
	char *path = strdup(store->home);
	struct stat st;

	if (path == NULL)
		return store_fail(store, STORE_ENOMEM, "out of memory");
	for (char *slash = path + 1; *slash != '\0'; slash++)
		if (*slash == '/') {
			*slash = '\0';
			mkdir(path, 0777); /* what matters shows when the last one is made */
			*slash = '/';
		}
	free(path);
	if (mkdir(store->home, 0700) == -1 && errno != EEXIST)
		return store_fail_errno(store,
		    "cannot create the data home '%s' (T2L_HOME names another)", store->home);
	if (stat(store->home, &st) == -1)
		return store_fail_errno(store, "cannot use the data home '%s'", store->home);
	if (!S_ISDIR(st.st_mode))
		return store_fail(store, STORE_EINVAL,
		    "the data home '%s' is not a directory; set T2L_HOME to one", store->home);
	return STORE_OK;
}

/* The database as a URI, since a file name may hold '?' and '#'. */
static char *
database_uri(const char *path, const char *query)
{
	struct buffer uri = { 0 };

	buffer_text(&uri, path[0] == '/' ? "file://" : "file:");
	for (; *path != '\0'; path++)
		if (strchr("?#%", *path) != NULL)
			buffer_printf(&uri, "%%%02X", (unsigned char)*path);
		else
			buffer_char(&uri, *path);
	buffer_text(&uri, query);
	return buffer_take(&uri);
}

static enum store_status
connect_as(struct store *store, int flags, const char *query)
{
	char *uri = database_uri(store->path, query);
	int code;

	if (uri == NULL)
		return store_fail(store, STORE_ENOMEM, "out of memory");
	sqlite3_close(store->db);
	code =
	    sqlite3_open_v2(uri, &store->db, flags | SQLITE_OPEN_URI | SQLITE_OPEN_EXRESCODE, NULL);
	free(uri);
	if (store->db == NULL)
		return store_fail(store, STORE_ENOMEM, "out of memory");
	sqlite3_extended_result_codes(store->db, 0);
	if (code != SQLITE_OK)
		return store_fail_sql(store, "cannot open the catalog");
	sqlite3_busy_timeout(store->db, BUSY_TIMEOUT_MS);
	sqlite3_db_config(store->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	return STORE_OK;
}

/* trusted_schema stays on, since our triggers write to a virtual table; what a foreign schema
 * could call is what SQLite has built in, without extensions. */
static const char settings[] =
    "PRAGMA foreign_keys = ON;"
    "PRAGMA cell_size_check = ON;"
    "PRAGMA temp_store = MEMORY;"
    "PRAGMA cache_size = -65536;"
    /* In WAL mode FULL makes every commit durable, not only consistent, after a power cut. */
    "PRAGMA synchronous = FULL;";

static enum store_status
configure(struct store *store)
{
	if (sqlite3_exec(store->db, settings, NULL, NULL, NULL) != SQLITE_OK)
		return store_fail_sql(store, "cannot open the catalog");
	return STORE_OK;
}

/* Changing to WAL needs a moment alone; SQLite does not wait for it by itself. */
static enum store_status
use_wal(struct store *store)
{
	enum store_status status = STORE_OK;
	const struct timespec pause = { .tv_nsec = 100 * 1000 * 1000 };

	for (int attempt = 0; attempt < OPEN_ATTEMPTS; attempt++) {
		if (sqlite3_exec(store->db, "PRAGMA journal_mode = WAL", NULL, NULL, NULL) ==
		    SQLITE_OK)
			return STORE_OK;
		status = store_fail_sql(store, "cannot open the catalog");
		if (status != STORE_EBUSY)
			return status;
		nanosleep(&pause, NULL);
	}
	return status;
}

static enum store_status
open_writable(struct store *store)
{
	enum store_status status =
	    connect_as(store, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, "");

	if (status == STORE_OK)
		status = configure(store);
	if (status == STORE_OK)
		status = use_wal(store);
	return status;
}

static bool
file_is_empty(const char *path, const char *suffix)
{
	struct buffer name = { 0 };
	struct stat st;
	bool empty;

	buffer_printf(&name, "%s%s", path, suffix);
	empty = stat(buffer_string(&name), &st) == -1 || st.st_size == 0;
	buffer_free(&name);
	return empty;
}

static enum store_status
probe(struct store *store)
{
	int64_t n;

	return sql_int64(store, &n, "SELECT count(*) FROM sqlite_schema", "");
}

/* Where the folder cannot be written, WAL's shared memory cannot be made. If no log waits there,
 * nobody is writing either, and the database may be read as it lies. */
static enum store_status
open_for_reading(struct store *store)
{
	enum store_status status;

	store->read_only = true;
	if (access(store->path, F_OK) == -1)
		return store_fail(store, STORE_ENOENT,
		    "there is no catalog in '%s' yet (%s); generate an adapter first, or set "
		    "T2L_HOME",
		    store->home, store->read_only_reason);
	status = connect_as(store, SQLITE_OPEN_READONLY, "");
	if (status == STORE_OK)
		status = configure(store);
	if (status == STORE_OK)
		status = probe(store);
	if (status == STORE_OK || !file_is_empty(store->path, "-wal"))
		return status;
	sql_forget(store);
	status = connect_as(store, SQLITE_OPEN_READONLY, "?immutable=1");
	if (status == STORE_OK)
		status = configure(store);
	return status == STORE_OK ? probe(store) : status;
}

/* Why the home cannot be written, in READ_ONLY_REASON; false when it can. */
static bool
cannot_write(struct store *store)
{
	const char *what = NULL;

	if (access(store->home, W_OK | X_OK) == -1)
		what = store->home;
	else if (access(store->path, F_OK) == 0 && access(store->path, R_OK | W_OK) == -1)
		what = store->path;
	if (what == NULL)
		return false;
	snprintf(store->read_only_reason, sizeof store->read_only_reason, "'%s': %s", what,
	    strerror(errno));
	return true;
}

static enum store_status
open_as(struct store *store, enum store_mode mode)
{
	enum store_status status;

	if (mode == STORE_READ_ONLY) {
		snprintf(store->read_only_reason, sizeof store->read_only_reason,
		    "reading was asked for");
		status = open_for_reading(store);
	} else {
		status = make_home(store);
		if (status != STORE_OK)
			return status;
		status = cannot_write(store) ? open_for_reading(store) : open_writable(store);
		/* Writing needs files beside the database, for which a full disk has no room; what
		 * is there can still be read. */
		if (status == STORE_EFULL && access(store->path, F_OK) == 0) {
			snprintf(store->read_only_reason, sizeof store->read_only_reason,
			    "'%s': %s", store->home, strerror(ENOSPC));
			sql_forget(store);
			status = open_for_reading(store);
		}
	}
	return status == STORE_OK ? schema_migrate(store, schema_migrations) : status;
}

/* HOME without slashes at its end, and the database's path in it. */
static bool
set_paths(struct store *store, const char *home)
{
	struct buffer path = { 0 };
	size_t length = strlen(home);

	while (length > 1 && home[length - 1] == '/')
		length--;
	store->home = strndup(home, length);
	buffer_append(&path, home, length);
	buffer_text(&path, "/catalog.sqlite");
	store->path = buffer_take(&path);
	return store->home != NULL && store->path != NULL;
}

static void
explain(char *message, size_t message_bytes, const char *sentence)
{
	if (message != NULL && message_bytes > 0)
		snprintf(message, message_bytes, "%s", sentence);
}

enum store_status
store_open(
    const char *home, enum store_mode mode, char *message, size_t message_bytes, struct store **out)
{
	struct store *store = calloc(1, sizeof *store);
	enum store_status status;

	if (store == NULL || !set_paths(store, home)) {
		store_close(store);
		explain(message, message_bytes, "out of memory");
		return STORE_ENOMEM;
	}
	if (home[0] == '\0')
		status = store_fail(store, STORE_EINVAL, "the data home has no name; set T2L_HOME");
	else
		status = open_as(store, mode);
	if (status != STORE_OK) {
		explain(message, message_bytes, store->error);
		store_close(store);
		return status;
	}
	if (store->read_only)
		snprintf(store->error, sizeof store->error, "the catalog is read-only: %s",
		    store->read_only_reason);
	*out = store;
	return STORE_OK;
}

void
store_close(struct store *store)
{
	if (store == NULL)
		return;
	sql_forget(store);
	sqlite3_close(store->db);
	vector_cache_free(store->vectors);
	search_memo_free(store->memo);
	free(store->home);
	free(store->path);
	free(store);
}

const char *
store_error(const struct store *store)
{
	return store->error;
}

const char *
store_home(const struct store *store)
{
	return store->home;
}

const char *
store_path(const struct store *store)
{
	return store->path;
}

bool
store_is_read_only(const struct store *store)
{
	return store->read_only;
}

uint64_t
store_generation(struct store *store)
{
	int64_t changes = sqlite3_total_changes64(store->db);
	int64_t version = 0;

	/* data_version tells of others' commits, total_changes of our own. On an error the
	 * version reads as 0, which makes the caller look again: the safe side. */
	sql_int64(store, &version, "PRAGMA data_version", "");
	if (version != store->seen_version || changes != store->seen_changes) {
		store->seen_version = version;
		store->seen_changes = changes;
		store->generation++;
	}
	return store->generation;
}

void
store_interrupt(struct store *store)
{
	atomic_store(&store->interrupted, true);
	sqlite3_interrupt(store->db);
}
