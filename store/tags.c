/* tags.c - words a person puts on adapters. */

#include "store/internal.h"

static enum store_status
change_tags(struct store *store, const int64_t *ids, size_t n_ids, const char *sql, const char *tag)
{
	enum store_status status = transaction_begin(store);

	if (status != STORE_OK)
		return status;
	for (size_t i = 0; status == STORE_OK && i < n_ids; i++) {
		status = adapter_check(store, ids[i], false);
		if (status == STORE_OK)
			status = sql_run(store, sql, "it", ids[i], tag);
	}
	return transaction_end(store, status);
}

enum store_status
store_tag(struct store *store, const int64_t *ids, size_t n_ids, const char *tag)
{
	enum store_status status = check_tag(store, tag);

	if (status != STORE_OK)
		return status;
	return change_tags(store, ids, n_ids,
	    "INSERT OR IGNORE INTO adapter_tags (adapter, tag) VALUES (?, ?)", tag);
}

enum store_status
store_untag(struct store *store, const int64_t *ids, size_t n_ids, const char *tag)
{
	return change_tags(
	    store, ids, n_ids, "DELETE FROM adapter_tags WHERE adapter = ? AND tag = ?", tag);
}

static enum store_status
read_tag(struct store *store, void *result, sqlite3_stmt *statement, void *row)
{
	struct store_tag *tag = row;

	tag->n_adapters = (uint64_t)sqlite3_column_int64(statement, 1);
	tag->name = result_text(store, result, statement, 0, NULL);
	return tag->name != NULL ? STORE_OK : STORE_ENOMEM;
}

enum store_status
store_tags(struct store *store, struct store_tags **out)
{
	struct store_tags *tags = result_new(store, sizeof *tags);
	enum store_status status;

	if (tags == NULL)
		return STORE_ENOMEM;
	tags->rows = result_rows(store, tags,
	    sql_open(store,
		"SELECT t.tag, count(*) AS n FROM adapter_tags AS t JOIN adapters AS a"
		" ON a.id = t.adapter WHERE a.trashed_ms IS NULL GROUP BY t.tag"
		" ORDER BY n DESC, t.tag",
		""),
	    read_tag, sizeof *tags->rows, &tags->n_rows, &status);
	if (status != STORE_OK) {
		store_free(tags);
		return status;
	}
	*out = tags;
	return STORE_OK;
}
