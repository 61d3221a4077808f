/* verify.c - is everything as it should be: the database, what is derived in it, every file. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "store/internal.h"

struct check {
	struct store *store;
	const struct store_verify *options;
	uint64_t *n_problems;
};

static enum store_status report(struct check *check, int64_t adapter, const char *path,
    const char *format, ...) __attribute__((format(printf, 4, 5)));

static enum store_status
report(struct check *check, int64_t adapter, const char *path, const char *format, ...)
{
	char message[1024];
	struct store_problem problem = { adapter, path, message };
	va_list args;

	va_start(args, format);
	vsnprintf(message, sizeof message, format, args);
	va_end(args);
	++*check->n_problems;
	if (check->options->problem != NULL &&
	    !check->options->problem(check->options->context, &problem))
		return store_fail(check->store, STORE_ECANCELLED, "verify: stopped");
	return STORE_OK;
}

/* ---- the database ---- */

static enum store_status
check_integrity(struct check *check)
{
	sqlite3_stmt *statement = sql_open(check->store, "PRAGMA integrity_check(100)", "");
	enum store_status status = STORE_OK;

	if (statement == NULL)
		return check->store->status;
	while (sql_next(check->store, statement, &status)) {
		const char *text = (const char *)sqlite3_column_text(statement, 0);

		if (text != NULL && strcmp(text, "ok") == 0)
			continue;
		status = report(check, 0, check->store->path,
		    "the database is damaged: %s; put back a copy, or move it away and import the "
		    "adapter files again",
		    text != NULL ? text : "?");
		if (status != STORE_OK) {
			sql_close(statement);
			return status;
		}
	}
	/* Too damaged to be checked to the end is a finding, too. */
	if (status == STORE_EDAMAGED)
		status = report(check, 0, check->store->path, "%s", check->store->error);
	return status;
}

static enum store_status
check_references(struct check *check)
{
	sqlite3_stmt *statement = sql_open(
	    check->store, "SELECT \"table\", rowid, parent FROM pragma_foreign_key_check", "");
	enum store_status status = STORE_OK;

	if (statement == NULL)
		return check->store->status;
	while (sql_next(check->store, statement, &status)) {
		status = report(check, 0, check->store->path,
		    "row %lld of table %s refers to a row of table %s that is not there; put back "
		    "a copy of the database",
		    (long long)sqlite3_column_int64(statement, 1),
		    (const char *)sqlite3_column_text(statement, 0),
		    (const char *)sqlite3_column_text(statement, 2));
		if (status != STORE_OK) {
			sql_close(statement);
			return status;
		}
	}
	return status;
}

/* Rows whose counted columns differ from what they count. */
static enum store_status
check_derived(struct check *check)
{
	sqlite3_stmt *statement = sql_open(check->store,
	    "SELECT a.id, a.name FROM adapters AS a"
	    " LEFT JOIN (SELECT adapter, sum(result = 'win') AS wins,"
	    "  sum(result = 'loss') AS losses, sum(result = 'tie') AS ties"
	    "  FROM vote_results GROUP BY adapter) AS v ON v.adapter = a.id"
	    " LEFT JOIN (SELECT adapter, group_concat(tag, ' ') AS tags FROM"
	    "  (SELECT adapter, tag FROM adapter_tags ORDER BY adapter, tag) GROUP BY adapter)"
	    "  AS t ON t.adapter = a.id"
	    " WHERE a.wins <> coalesce(v.wins, 0) OR a.losses <> coalesce(v.losses, 0)"
	    "  OR a.ties <> coalesce(v.ties, 0) OR a.tags <> coalesce(t.tags, '')",
	    "");
	enum store_status status = STORE_OK;

	if (statement == NULL)
		return check->store->status;
	while (sql_next(check->store, statement, &status)) {
		status = report(check, sqlite3_column_int64(statement, 0), check->store->path,
		    "adapter '%s' has counts or tags that do not add up; verify with repair counts "
		    "them anew",
		    (const char *)sqlite3_column_text(statement, 1));
		if (status != STORE_OK) {
			sql_close(statement);
			return status;
		}
	}
	return status;
}

static enum store_status
check_tally(struct check *check)
{
	int64_t fits;
	enum store_status status = sql_int64(check->store, &fits,
	    "SELECT (SELECT count(*) FROM adapters WHERE trashed_ms IS NULL) ="
	    " (SELECT sum(living) FROM tally)",
	    "");

	if (status != STORE_OK || fits)
		return status;
	return report(check, 0, check->store->path,
	    "the number of adapters does not add up; verify with repair counts them anew");
}

/* FTS5 checks itself in the form of an INSERT, so this needs a catalog that can be written. */
static enum store_status
check_words(struct check *check)
{
	enum store_status status;

	if (check->store->read_only)
		return STORE_OK;
	status = sql_run(
	    check->store, "INSERT INTO words (words, rank) VALUES ('integrity-check', 1)", "");
	if (status == STORE_EDAMAGED)
		status = report(check, 0, check->store->path,
		    "the index of words does not fit the adapters; verify with repair builds it "
		    "anew");
	return status;
}

static enum store_status
check_vectors(struct check *check)
{
	sqlite3_stmt *statement = sql_open(check->store,
	    "SELECT v.adapter FROM vectors AS v JOIN (SELECT encoder, max(length(unit)) AS bytes"
	    " FROM vectors GROUP BY encoder) AS e ON e.encoder = v.encoder"
	    " WHERE length(v.unit) <> e.bytes OR length(v.unit) = 0 OR length(v.unit) % 2 = 1",
	    "");
	enum store_status status = STORE_OK;

	if (statement == NULL)
		return check->store->status;
	while (sql_next(check->store, statement, &status)) {
		status = report(check, sqlite3_column_int64(statement, 0), check->store->path,
		    "the embedding of adapter %lld has the wrong length; embed its task again",
		    (long long)sqlite3_column_int64(statement, 0));
		if (status != STORE_OK) {
			sql_close(statement);
			return status;
		}
	}
	return status;
}

static enum store_status
repair(struct store *store)
{
	static const char *const steps[] = {
		"INSERT INTO words (words) VALUES ('rebuild')",
		"UPDATE tally SET living = (SELECT count(*) FROM adapters WHERE trashed_ms IS "
		"NULL)",
		"UPDATE adapters SET tags = coalesce((SELECT group_concat(tag, ' ') FROM"
		" (SELECT tag FROM adapter_tags WHERE adapter = id ORDER BY tag)), '')"
		" WHERE tags <> coalesce((SELECT group_concat(tag, ' ') FROM"
		" (SELECT tag FROM adapter_tags WHERE adapter = id ORDER BY tag)), '')",
		"UPDATE adapters SET"
		" wins = (SELECT count(*) FROM vote_results WHERE adapter = id AND result = 'win'),"
		" losses = (SELECT count(*) FROM vote_results WHERE adapter = id"
		"  AND result = 'loss'),"
		" ties = (SELECT count(*) FROM vote_results WHERE adapter = id AND result = 'tie')"
		" WHERE id IN (SELECT adapter FROM vote_results) OR wins <> 0 OR losses <> 0"
		" OR ties <> 0",
	};
	enum store_status status = transaction_begin(store);

	if (status != STORE_OK)
		return status;
	for (size_t i = 0; status == STORE_OK && i < sizeof steps / sizeof *steps; i++)
		status = sql_run(store, steps[i], "");
	return transaction_end(store, status);
}

/* ---- files ---- */

struct kept {
	int64_t id;
	const char *name;
	const char *hash;
	int64_t size_bytes;
};

static enum store_status
read_kept(struct store *store, void *result, sqlite3_stmt *statement, void *row)
{
	struct kept *kept = row;

	kept->id = sqlite3_column_int64(statement, 0);
	kept->name = result_text(store, result, statement, 1, NULL);
	kept->hash = result_text(store, result, statement, 2, NULL);
	kept->size_bytes = sqlite3_column_int64(statement, 3);
	return kept->name != NULL && kept->hash != NULL ? STORE_OK : STORE_ENOMEM;
}

static enum store_status
check_content(struct check *check, const struct kept *kept, const char *path)
{
	char hash[HASH_HEX_SIZE];
	struct stat st;

	if (stat(path, &st) == -1)
		return report(check, kept->id, path,
		    "the file of adapter '%s' cannot be read: %s; put it back, or import or make "
		    "the adapter again",
		    kept->name, strerror(errno));
	if (!S_ISREG(st.st_mode) || st.st_size != kept->size_bytes)
		return report(check, kept->id, path,
		    "the file of adapter '%s' has %lld bytes and had %lld; put it back, or import "
		    "or make the adapter again",
		    kept->name, (long long)st.st_size, (long long)kept->size_bytes);
	if (check->options->quick)
		return STORE_OK;
	if (hash_sha256_file(path, hash) == -1)
		return report(check, kept->id, path, "the file of adapter '%s' cannot be read: %s",
		    kept->name, strerror(errno));
	if (strcmp(hash, kept->hash) != 0)
		return report(check, kept->id, path,
		    "the file of adapter '%s' was changed (its hash is %.12s...); put it back, or "
		    "import or make the adapter again",
		    kept->name, hash);
	return STORE_OK;
}

static enum store_status
check_file(struct check *check, const struct kept *kept)
{
	enum store_status status;
	int64_t one;
	char *path;

	if (strlen(kept->hash) != HASH_HEX_SIZE - 1 ||
	    kept->hash[strspn(kept->hash, "0123456789abcdef")] != '\0')
		return report(check, kept->id, check->store->path,
		    "adapter '%s' has no valid hash; remove it", kept->name);
	/* While this runs, others may delete. */
	status =
	    sql_int64(check->store, &one, "SELECT 1 FROM adapters WHERE id = ?", "i", kept->id);
	if (status != STORE_OK)
		return status == STORE_ENOENT ? STORE_OK : status;
	path = file_path(check->store, kept->hash);
	if (path == NULL)
		return store_fail(check->store, STORE_ENOMEM, "out of memory");
	status = check_content(check, kept, path);
	free(path);
	return status;
}

static enum store_status
check_files(struct check *check)
{
	void *memory = result_new(check->store, sizeof(struct kept));
	enum store_status status;
	struct kept *all;
	size_t n;

	if (memory == NULL)
		return STORE_ENOMEM;
	/* A list, not an open statement: reading all files takes long and holds nobody up. */
	all = result_rows(check->store, memory,
	    sql_open(
		check->store, "SELECT id, name, hash, size_bytes FROM adapters ORDER BY hash", ""),
	    read_kept, sizeof *all, &n, &status);
	for (size_t i = 0; status == STORE_OK && i < n; i++) {
		status = check_file(check, &all[i]);
		if (status == STORE_OK && check->options->progress != NULL &&
		    !check->options->progress(check->options->context, i + 1, n))
			status = store_fail(check->store, STORE_ECANCELLED, "verify: stopped");
		if (status == STORE_OK && atomic_load(&check->store->interrupted))
			status = store_fail(check->store, STORE_ECANCELLED, "verify: cancelled");
	}
	store_free(memory);
	return status;
}

enum store_status
store_verify(struct store *store, const struct store_verify *options, uint64_t *n_problems)
{
	static enum store_status (*const checks[])(struct check *) = { check_integrity,
		check_references, check_derived, check_tally, check_words, check_vectors,
		check_files };
	struct check check = { store, options, n_problems };
	enum store_status status = STORE_OK;

	*n_problems = 0;
	atomic_store(&store->interrupted, false);
	if (options->repair)
		status = repair(store);
	for (size_t i = 0; status == STORE_OK && i < sizeof checks / sizeof *checks; i++)
		status = checks[i](&check);
	return status;
}
