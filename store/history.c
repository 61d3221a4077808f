/* history.c - what was typed before, and the few things to remember between two runs. */

#include <string.h>

#include "store/internal.h"

#define HISTORY_KEPT 1000

enum store_status
store_history_add(struct store *store, enum store_history_kind kind, const char *text)
{
	enum store_status status = check_text(store, "line", text, STORE_TEXT_MAX);

	if (status == STORE_OK)
		status = transaction_begin(store);
	if (status != STORE_OK)
		return status;
	status = sql_run(
	    store, "DELETE FROM history WHERE kind = ? AND text = ?", "it", (int64_t)kind, text);
	if (status == STORE_OK)
		status = sql_run(store, "INSERT INTO history (kind, text) VALUES (?, ?)", "it",
		    (int64_t)kind, text);
	if (status == STORE_OK)
		status = sql_run(store,
		    "DELETE FROM history WHERE kind = ?1 AND id <= (SELECT id FROM history"
		    " WHERE kind = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)",
		    "ii", (int64_t)kind, (int64_t)HISTORY_KEPT);
	return transaction_end(store, status);
}

static enum store_status
read_line(struct store *store, void *result, sqlite3_stmt *statement, void *row)
{
	const char **text = row;

	*text = result_text(store, result, statement, 0, NULL);
	return *text != NULL ? STORE_OK : STORE_ENOMEM;
}

enum store_status
store_history(
    struct store *store, enum store_history_kind kind, size_t limit, struct store_strings **out)
{
	struct store_strings *lines = result_new(store, sizeof *lines);
	enum store_status status;

	if (lines == NULL)
		return STORE_ENOMEM;
	lines->rows = result_rows(store, lines,
	    sql_open(store, "SELECT text FROM history WHERE kind = ? ORDER BY id DESC LIMIT ?",
		"ii", (int64_t)kind, (int64_t)(limit & INT64_MAX)),
	    read_line, sizeof *lines->rows, &lines->n_rows, &status);
	if (status != STORE_OK) {
		store_free(lines);
		return status;
	}
	*out = lines;
	return STORE_OK;
}

enum store_status
store_state_set(struct store *store, const char *key, const char *value)
{
	enum store_status status = check_text(store, "key", key, STORE_NAME_MAX);

	if (status == STORE_OK)
		status = check_text(store, "value", value, STORE_TEXT_MAX);
	if (status == STORE_OK)
		status = transaction_begin(store);
	if (status != STORE_OK)
		return status;
	if (value == NULL)
		status = sql_run(store, "DELETE FROM state WHERE key = ?", "t", key);
	else
		status = sql_run(store,
		    "INSERT INTO state (key, value) VALUES (?1, ?2)"
		    " ON CONFLICT (key) DO UPDATE SET value = ?2",
		    "tt", key, value);
	return transaction_end(store, status);
}

enum store_status
store_state_get(struct store *store, const char *key, char **out)
{
	sqlite3_stmt *statement =
	    sql_open(store, "SELECT value FROM state WHERE key = ?", "t", key);
	enum store_status status = STORE_OK;
	size_t length;
	char *value = NULL;

	if (statement == NULL)
		return store->status;
	if (sql_next(store, statement, &status)) {
		length = (size_t)sqlite3_column_bytes(statement, 0);
		value = result_new(store, length + 1);
		if (value != NULL && length > 0)
			memcpy(value, sqlite3_column_blob(statement, 0), length);
		status = value != NULL ? STORE_OK : STORE_ENOMEM;
		sql_close(statement);
	}
	if (status == STORE_OK)
		*out = value;
	return status;
}
