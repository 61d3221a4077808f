/* twins.c - adapters that do the same under another name, label or file format.
 *
 * The file's hash tells equal files; the content's hash, which who can read adapters computes,
 * tells equal numbers. Both are looked at, so that a file from elsewhere finds the adapter it came
 * from. */

#include <string.h>

#include "store/internal.h"

enum store_status
twin_check(struct store *store, const char *content)
{
	if (content == NULL || content[0] == '\0' ||
	    (strlen(content) == HASH_HEX_SIZE - 1 &&
		content[strspn(content, "0123456789abcdef")] == '\0'))
		return STORE_OK;
	return store_fail(store, STORE_EINVAL, "'%.80s' is no hash of a content", content);
}

/* A base that is not told may be any; one that is told and equal comes first. NULL, unlike '', is
 * no row's content. */
enum store_status
twin_find(struct store *store, const struct store_new *adapter, const struct content *content,
    int64_t *twin)
{
	const bool known = adapter->content != NULL && adapter->content[0] != '\0';
	enum store_status status = sql_int64(store, twin,
	    "SELECT id FROM adapters WHERE (hash = ?1 OR content = ?2)"
	    " AND (base_fingerprint IN ('', ?3) OR ?3 = '') AND trashed_ms IS NULL"
	    " ORDER BY base_fingerprint = ?3 DESC, id LIMIT 1",
	    "tnt", content->hash, known ? adapter->content : NULL, adapter->base_fingerprint);

	if (status == STORE_OK && adapter->refuse_twin)
		return store_fail(store, STORE_EEXISTS,
		    "adapter %lld has the same content already; use that one", (long long)*twin);
	return status == STORE_ENOENT ? STORE_OK : status;
}

/* ---- rows that an older t2l kept ---- */

static enum store_status
read_id(struct store *store, void *result, sqlite3_stmt *statement, void *row)
{
	(void)store;
	(void)result;
	*(int64_t *)row = sqlite3_column_int64(statement, 0);
	return STORE_OK;
}

enum store_status
store_without_content(struct store *store, size_t limit, struct store_ids **out)
{
	struct store_ids *ids = result_new(store, sizeof *ids);
	enum store_status status = STORE_OK;

	if (ids == NULL)
		return STORE_ENOMEM;
	ids->rows = result_rows(store, ids,
	    sql_open(store,
		"SELECT id FROM adapters WHERE content = '' AND trashed_ms IS NULL"
		" ORDER BY id LIMIT ?",
		"i", (int64_t)(limit & INT64_MAX)),
	    read_id, sizeof *ids->rows, &ids->n_rows, &status);
	if (status != STORE_OK) {
		store_free(ids);
		return status;
	}
	*out = ids;
	return STORE_OK;
}

enum store_status
store_set_content(struct store *store, int64_t id, const char *content)
{
	enum store_status status = twin_check(store, content);

	if (status == STORE_OK)
		status = transaction_begin(store);
	if (status != STORE_OK)
		return status;
	status = adapter_exists(store, id);
	if (status == STORE_OK)
		status = sql_run(
		    store, "UPDATE adapters SET content = ? WHERE id = ?", "ti", content, id);
	return transaction_end(store, status);
}
