/* trash.c - deleting in two steps: to the trash, which undo empties backwards, and then for good.
 */

#include <string.h>

#include "store/internal.h"

enum store_status
store_trash(struct store *store, const int64_t *ids, size_t n_ids)
{
	int64_t step, now = now_ms();
	enum store_status status = transaction_begin(store);

	if (status != STORE_OK)
		return status;
	/* What goes in one call comes back in one undo. */
	status = sql_int64(store, &step,
	    "SELECT coalesce(max(trash_step), 0) + 1 FROM adapters WHERE trashed_ms IS NOT NULL",
	    "");
	for (size_t i = 0; status == STORE_OK && i < n_ids; i++) {
		status = adapter_check(store, ids[i], false);
		if (status == STORE_OK)
			status = sql_run(store,
			    "UPDATE adapters SET trashed_ms = ?, trash_step = ? WHERE id = ?",
			    "iii", now, step, ids[i]);
	}
	return transaction_end(store, status);
}

static enum store_status
read_name(struct store *store, int64_t id, char name[STORE_NAME_MAX + 1])
{
	sqlite3_stmt *statement =
	    sql_open(store, "SELECT name FROM adapters WHERE id = ?", "i", id);
	enum store_status status = STORE_OK;

	if (statement == NULL)
		return store->status;
	name[0] = '\0';
	if (sql_next(store, statement, &status)) {
		const char *text = (const char *)sqlite3_column_text(statement, 0);

		if (text != NULL)
			strncat(name, text, STORE_NAME_MAX);
		sql_close(statement);
	}
	return status;
}

/* Brings one back, under a free name. */
static enum store_status
revive(struct store *store, int64_t id)
{
	char name[STORE_NAME_MAX + 1], free_name[STORE_NAME_MAX + 1];
	enum store_status status = adapter_check(store, id, true);

	if (status == STORE_OK)
		status = read_name(store, id, name);
	if (status == STORE_OK)
		status = name_uniquify(store, name, free_name);
	if (status == STORE_OK)
		status = sql_run(store,
		    "UPDATE adapters SET name = ?, trashed_ms = NULL, trash_step = NULL WHERE id = "
		    "?",
		    "ti", free_name, id);
	return status;
}

static enum store_status
revive_all(struct store *store, const int64_t *ids, size_t n_ids)
{
	enum store_status status = STORE_OK;

	for (size_t i = 0; status == STORE_OK && i < n_ids; i++)
		status = revive(store, ids[i]);
	return status;
}

enum store_status
store_restore(struct store *store, const int64_t *ids, size_t n_ids)
{
	enum store_status status = transaction_begin(store);

	if (status != STORE_OK)
		return status;
	return transaction_end(store, revive_all(store, ids, n_ids));
}

static enum store_status
read_id(struct store *store, void *result, sqlite3_stmt *statement, void *row)
{
	(void)store, (void)result;
	*(int64_t *)row = sqlite3_column_int64(statement, 0);
	return STORE_OK;
}

static enum store_status
undo_last_step(struct store *store, struct store_ids *ids)
{
	enum store_status status;

	ids->rows = result_rows(store, ids,
	    sql_open(store,
		"SELECT id FROM adapters WHERE trashed_ms IS NOT NULL AND trash_step ="
		" (SELECT max(trash_step) FROM adapters WHERE trashed_ms IS NOT NULL) ORDER BY id",
		""),
	    read_id, sizeof *ids->rows, &ids->n_rows, &status);
	if (status == STORE_OK && ids->n_rows == 0)
		status =
		    store_fail(store, STORE_ENOENT, "there is nothing to undo: the trash is empty");
	return status == STORE_OK ? revive_all(store, ids->rows, ids->n_rows) : status;
}

enum store_status
store_undo(struct store *store, struct store_ids **out)
{
	struct store_ids *ids = result_new(store, sizeof *ids);
	enum store_status status = ids != NULL ? transaction_begin(store) : STORE_ENOMEM;

	if (status == STORE_OK)
		status = transaction_end(store, undo_last_step(store, ids));
	if (status != STORE_OK) {
		store_free(ids);
		return status;
	}
	*out = ids;
	return STORE_OK;
}

enum store_status
store_purge(struct store *store, int64_t before_ms, uint64_t *n_purged)
{
	enum store_status status = transaction_begin(store);
	int64_t n = 0;

	if (status != STORE_OK)
		return status;
	status = sql_int64(store, &n,
	    "SELECT count(*) FROM adapters WHERE trashed_ms IS NOT NULL AND trashed_ms < ?", "i",
	    before_ms);
	if (status == STORE_OK && n > 0)
		status = sql_run(store,
		    "DELETE FROM adapters WHERE trashed_ms IS NOT NULL AND trashed_ms < ?", "i",
		    before_ms);
	status = transaction_end(store, status);
	if (status == STORE_OK && n_purged != NULL)
		*n_purged = (uint64_t)n;
	return status;
}
