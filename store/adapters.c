/* adapters.c - keeping an adapter, reading rows, finding one by what a person types, changing it.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/internal.h"

static const char *const source_names[STORE_N_SOURCES] = {
	[STORE_GENERATED] = "generated",
	[STORE_MERGED] = "merged",
	[STORE_IMPORTED] = "imported",
	[STORE_TRAINED] = "trained",
};

const char *
store_source_name(enum store_source source)
{
	return source_names[source];
}

int
store_source_parse(const char *name)
{
	for (int i = 0; i < STORE_N_SOURCES; i++)
		if (strcmp(source_names[i], name) == 0)
			return i;
	return -1;
}

/* ---- keeping ---- */

static enum store_status
check_numbers(struct store *store, const struct store_new *adapter)
{
	if ((unsigned)adapter->source >= STORE_N_SOURCES)
		return store_fail(store, STORE_EINVAL, "an adapter of an unknown source");
	if (!isfinite(adapter->alpha) || !isfinite(adapter->scale) ||
	    !isfinite(adapter->generation_ms))
		return store_fail(
		    store, STORE_EINVAL, "the adapter's alpha, scale or time is not a number");
	for (size_t i = 0; i < adapter->n_parents; i++)
		if (!isfinite(adapter->parents[i].weight))
			return store_fail(
			    store, STORE_EINVAL, "the weight of parent %zu is not a number", i + 1);
	return STORE_OK;
}

static enum store_status
check_new(struct store *store, const struct store_new *adapter)
{
	const struct {
		const char *what, *text;
	} texts[] = {
		{ "task description", adapter->task },
		{ "note", adapter->note },
		{ "base model's name", adapter->base_name },
		{ "base model's fingerprint", adapter->base_fingerprint },
		{ "hypernet's name", adapter->hypernet_name },
		{ "hypernet's fingerprint", adapter->hypernet_fingerprint },
		{ "encoder's name", adapter->encoder_name },
		{ "list of modules", adapter->modules },
	};
	enum store_status status = check_numbers(store, adapter);

	for (size_t i = 0; status == STORE_OK && i < sizeof texts / sizeof *texts; i++)
		status = check_text(store, texts[i].what, texts[i].text, STORE_TEXT_MAX);
	for (size_t i = 0; status == STORE_OK && i < adapter->n_tags; i++)
		status = check_tag(store, adapter->tags[i]);
	for (size_t i = 0; status == STORE_OK && i < adapter->n_parents; i++)
		status =
		    check_text(store, "kind of a parent", adapter->parents[i].kind, STORE_TAG_MAX);
	if (status == STORE_OK && adapter->name != NULL && adapter->name[0] != '\0')
		status = store_check_name(store, adapter->name);
	if (status == STORE_OK)
		status = twin_check(store, adapter->content);
	return status;
}

/* STORE_EEXISTS when a living adapter other than ID has this name. */
static enum store_status
check_free(struct store *store, const char *name, int64_t id)
{
	int64_t owner;
	enum store_status status = sql_int64(store, &owner,
	    "SELECT id FROM adapters WHERE name = ? AND trashed_ms IS NULL", "t", name);

	if (status == STORE_OK && owner != id)
		return store_fail(store, STORE_EEXISTS,
		    "the name '%s' is taken by adapter %lld; choose another, or rename that one",
		    name, (long long)owner);
	return status == STORE_ENOENT ? STORE_OK : status;
}

static enum store_status
choose_name(struct store *store, const struct store_new *adapter, char name[STORE_NAME_MAX + 1])
{
	if (adapter->name == NULL || adapter->name[0] == '\0')
		return store_suggest_name(store, adapter->task, name);
	if (adapter->uniquify)
		return name_uniquify(store, adapter->name, name);
	snprintf(name, STORE_NAME_MAX + 1, "%s", adapter->name);
	return check_free(store, name, 0);
}

static enum store_status
insert_row(struct store *store, const struct store_new *adapter, const struct content *content,
    struct store_added *added)
{
	double score = adapter->score == 0 ? NAN : adapter->score;
	int64_t created = adapter->created_ms != 0 ? adapter->created_ms : now_ms();
	enum store_status status = sql_run(store,
	    "INSERT INTO adapters (name, task, base_name, base_fingerprint, hypernet_name,"
	    " hypernet_fingerprint, encoder_name, modules, rank, rslora, alpha, scale, hash,"
	    " size_bytes, source, generation_ms, score, favourite, note, created_ms, content)"
	    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
	    "ttttttttiiddtitdditit", added->name, adapter->task, adapter->base_name,
	    adapter->base_fingerprint, adapter->hypernet_name, adapter->hypernet_fingerprint,
	    adapter->encoder_name, adapter->modules, (int64_t)adapter->rank,
	    (int64_t)adapter->rslora, adapter->alpha, adapter->scale, content->hash,
	    content->size_bytes, source_names[adapter->source], adapter->generation_ms, score,
	    (int64_t)adapter->favourite, adapter->note, created, adapter->content);

	added->id = sqlite3_last_insert_rowid(store->db);
	return status;
}

static enum store_status
insert_parents(struct store *store, const struct store_new *adapter, int64_t child)
{
	enum store_status status = STORE_OK;

	for (size_t i = 0; status == STORE_OK && i < adapter->n_parents; i++) {
		const struct store_parent *parent = &adapter->parents[i];
		int64_t n;

		status =
		    sql_int64(store, &n, "SELECT 1 FROM adapters WHERE id = ?", "i", parent->id);
		if (status == STORE_ENOENT)
			return store_fail(store, STORE_ENOENT,
			    "the parent, adapter %lld, is not in the catalog any more; keep the "
			    "adapter without it",
			    (long long)parent->id);
		if (status == STORE_OK)
			status = sql_run(store,
			    "INSERT INTO lineage (child, position, parent, parent_name, weight, "
			    "kind)"
			    " SELECT ?1, ?2, id, name, ?4, ?5 FROM adapters WHERE id = ?3",
			    "iiidt", child, (int64_t)i, parent->id, parent->weight, parent->kind);
	}
	return status;
}

static enum store_status
insert_all(struct store *store, const struct store_new *adapter, struct content *content,
    struct store_added *added)
{
	enum store_status status = STORE_OK;

	/* Under the write lock no gc runs: what is there now stays until the row is committed. */
	if (!content_present(store, content))
		status = content_put(store, content);
	if (status == STORE_OK)
		status = twin_find(store, adapter, content, &added->twin);
	if (status == STORE_OK)
		status = choose_name(store, adapter, added->name);
	if (status == STORE_OK)
		status = insert_row(store, adapter, content, added);
	for (size_t i = 0; status == STORE_OK && i < adapter->n_tags; i++)
		status = sql_run(store,
		    "INSERT OR IGNORE INTO adapter_tags (adapter, tag) VALUES (?, ?)", "it",
		    added->id, adapter->tags[i]);
	if (status == STORE_OK)
		status = insert_parents(store, adapter, added->id);
	if (status == STORE_OK && adapter->vector != NULL)
		status = vector_put(store, added->id, adapter->vector);
	return status;
}

enum store_status
store_add(struct store *store, const struct store_new *adapter, struct store_added *added)
{
	struct content content = {
		.file = adapter->file, .bytes = adapter->bytes, .n_bytes = adapter->n_bytes
	};
	enum store_status status;

	memset(added, 0, sizeof *added);
	status = check_new(store, adapter);
	/* A look before the file is written, so that a taken name costs nothing. */
	if (status == STORE_OK)
		status = choose_name(store, adapter, added->name);
	if (status == STORE_OK)
		status = content_measure(store, &content);
	if (status == STORE_OK && !store->read_only)
		status = content_put(store, &content);
	if (status != STORE_OK)
		return status;
	memcpy(added->hash, content.hash, sizeof added->hash);
	status = transaction_begin(store);
	if (status != STORE_OK)
		return status;
	status = transaction_end(store, insert_all(store, adapter, &content, added));
	if (status != STORE_OK)
		added->id = 0;
	return status;
}

/* ---- reading ---- */

static enum store_status
split_tags(struct store *store, void *result, const char *text, struct store_adapter *row)
{
	const char **tags;
	size_t n = 0;

	for (const char *at = text; *at != '\0'; n++) {
		at += strcspn(at, " ");
		at += strspn(at, " ");
	}
	tags = result_alloc(store, result, n + 1, sizeof *tags);
	if (tags == NULL)
		return STORE_ENOMEM;
	row->tags = tags;
	while (row->n_tags < n) {
		size_t length = strcspn(text, " ");

		tags[row->n_tags] = result_copy(store, result, text, length);
		if (tags[row->n_tags++] == NULL)
			return STORE_ENOMEM;
		text += length + strspn(text + length, " ");
	}
	return STORE_OK;
}

static const char *
path_copy(struct store *store, void *result, const char *hash)
{
	/* A hash that is none would make a path outside the store: then there is no path. */
	bool valid =
	    strlen(hash) == HASH_HEX_SIZE - 1 && hash[strspn(hash, "0123456789abcdef")] == '\0';
	char *path = valid ? file_path(store, hash) : strdup("");
	const char *copy = NULL;

	if (path != NULL)
		copy = result_copy(store, result, path, strlen(path));
	free(path);
	return copy;
}

enum store_status
adapter_read(struct store *store, void *result, sqlite3_stmt *s, struct store_adapter *row)
{
	const char **const texts[] = {
		[1] = &row->name,
		[2] = &row->task,
		[3] = &row->base_name,
		[4] = &row->base_fingerprint,
		[5] = &row->hypernet_name,
		[6] = &row->hypernet_fingerprint,
		[7] = &row->encoder_name,
		[8] = &row->modules,
		[13] = &row->hash,
		[19] = &row->note,
		[28] = &row->content,
	};
	const char *tags = (const char *)sqlite3_column_text(s, 20);
	const char *source = (const char *)sqlite3_column_text(s, 15);
	int parsed = source != NULL ? store_source_parse(source) : -1;

	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		if (texts[i] != NULL &&
		    (*texts[i] = result_text(store, result, s, (int)i, NULL)) == NULL)
			return STORE_ENOMEM;
	row->id = sqlite3_column_int64(s, 0);
	row->rank = (uint32_t)sqlite3_column_int64(s, 9);
	row->rslora = sqlite3_column_int(s, 10) != 0;
	row->alpha = sqlite3_column_double(s, 11);
	row->scale = sqlite3_column_double(s, 12);
	row->size_bytes = sqlite3_column_int64(s, 14);
	row->source = parsed >= 0 ? (enum store_source)parsed : STORE_IMPORTED;
	row->generation_ms = sqlite3_column_double(s, 16);
	row->score = sqlite3_column_type(s, 17) == SQLITE_NULL ? NAN : sqlite3_column_double(s, 17);
	row->favourite = sqlite3_column_int(s, 18) != 0;
	row->created_ms = sqlite3_column_int64(s, 21);
	row->used_ms = sqlite3_column_int64(s, 22);
	row->uses = (uint32_t)sqlite3_column_int64(s, 23);
	row->wins = (uint32_t)sqlite3_column_int64(s, 24);
	row->losses = (uint32_t)sqlite3_column_int64(s, 25);
	row->ties = (uint32_t)sqlite3_column_int64(s, 26);
	row->trashed_ms = sqlite3_column_int64(s, 27);
	row->nearness = NAN;
	row->path = path_copy(store, result, row->hash);
	if (row->path == NULL)
		return store_fail(store, STORE_ENOMEM, "out of memory");
	return split_tags(store, result, tags != NULL ? tags : "", row);
}

enum store_status
adapters_fetch(struct store *store, void *result, const int64_t *ids, size_t n_ids,
    struct store_adapter **rows, size_t *n_rows)
{
	enum store_status status = STORE_OK;

	*n_rows = 0;
	*rows = result_alloc(store, result, n_ids + 1, sizeof **rows);
	if (*rows == NULL)
		return STORE_ENOMEM;
	for (size_t i = 0; status == STORE_OK && i < n_ids; i++) {
		sqlite3_stmt *statement = sql_open(store,
		    "SELECT " ADAPTER_COLUMNS " FROM adapters AS a WHERE a.id = ?", "i", ids[i]);

		if (statement == NULL)
			return store->status;
		if (!sql_next(store, statement, &status))
			continue;
		status = adapter_read(store, result, statement, &(*rows)[*n_rows]);
		*n_rows += status == STORE_OK;
		sql_close(statement);
	}
	return status;
}

static enum store_status
no_such_adapter(struct store *store, int64_t id)
{
	return store_fail(store, STORE_ENOENT,
	    "there is no adapter %lld; `t2l catalog list` shows those there are", (long long)id);
}

enum store_status
store_get(struct store *store, int64_t id, struct store_adapter **out)
{
	struct store_adapter *row = result_new(store, sizeof *row);
	enum store_status status = STORE_ENOMEM;
	sqlite3_stmt *statement;

	if (row == NULL)
		return status;
	statement = sql_open(
	    store, "SELECT " ADAPTER_COLUMNS " FROM adapters AS a WHERE a.id = ?", "i", id);
	if (statement == NULL)
		status = store->status;
	else if (sql_next(store, statement, &status)) {
		status = adapter_read(store, row, statement, row);
		sql_close(statement);
	} else if (status == STORE_OK)
		status = no_such_adapter(store, id);
	if (status != STORE_OK) {
		store_free(row);
		return status;
	}
	*out = row;
	return STORE_OK;
}

/* ---- changing ---- */

enum store_status
adapter_exists(struct store *store, int64_t id)
{
	int64_t one;
	enum store_status status =
	    sql_int64(store, &one, "SELECT 1 FROM adapters WHERE id = ?", "i", id);

	return status == STORE_ENOENT ? no_such_adapter(store, id) : status;
}

enum store_status
adapter_check(struct store *store, int64_t id, bool trashed)
{
	enum store_status status = adapter_exists(store, id);
	int64_t is_trashed = 0;

	if (status == STORE_OK)
		status = sql_int64(store, &is_trashed,
		    "SELECT trashed_ms IS NOT NULL FROM adapters WHERE id = ?", "i", id);
	if (status == STORE_OK && is_trashed && !trashed)
		return store_fail(store, STORE_ENOENT,
		    "adapter %lld is in the trash; take it out first (undo)", (long long)id);
	if (status == STORE_OK && !is_trashed && trashed)
		return store_fail(
		    store, STORE_ENOENT, "adapter %lld is not in the trash", (long long)id);
	return status;
}

enum store_status
store_rename(struct store *store, int64_t id, const char *name)
{
	enum store_status status = store_check_name(store, name);

	if (status == STORE_OK)
		status = transaction_begin(store);
	if (status != STORE_OK)
		return status;
	status = adapter_check(store, id, false);
	if (status == STORE_OK)
		status = check_free(store, name, id);
	if (status == STORE_OK)
		status =
		    sql_run(store, "UPDATE adapters SET name = ? WHERE id = ?", "ti", name, id);
	return transaction_end(store, status);
}

enum store_status
store_set_note(struct store *store, int64_t id, const char *note)
{
	enum store_status status = check_text(store, "note", note, STORE_TEXT_MAX);

	if (status == STORE_OK)
		status = transaction_begin(store);
	if (status != STORE_OK)
		return status;
	status = adapter_check(store, id, false);
	if (status == STORE_OK)
		status =
		    sql_run(store, "UPDATE adapters SET note = ? WHERE id = ?", "ti", note, id);
	return transaction_end(store, status);
}

enum store_status
store_set_favourite(struct store *store, int64_t id, bool favourite)
{
	enum store_status status = transaction_begin(store);

	if (status != STORE_OK)
		return status;
	status = adapter_check(store, id, false);
	if (status == STORE_OK)
		status = sql_run(store, "UPDATE adapters SET favourite = ? WHERE id = ?", "ii",
		    (int64_t)favourite, id);
	return transaction_end(store, status);
}

enum store_status
store_set_score(struct store *store, int64_t id, double score)
{
	enum store_status status;

	if (isinf(score))
		return store_fail(store, STORE_EINVAL, "a score cannot be infinite");
	status = transaction_begin(store);
	if (status != STORE_OK)
		return status;
	status = adapter_check(store, id, false);
	if (status == STORE_OK)
		status =
		    sql_run(store, "UPDATE adapters SET score = ? WHERE id = ?", "di", score, id);
	return transaction_end(store, status);
}

enum store_status
store_touch(struct store *store, const int64_t *ids, size_t n_ids)
{
	enum store_status status = transaction_begin(store);

	if (status != STORE_OK)
		return status;
	for (size_t i = 0; status == STORE_OK && i < n_ids; i++) {
		status = adapter_check(store, ids[i], false);
		if (status == STORE_OK)
			status = sql_run(store,
			    "UPDATE adapters SET used_ms = ?, uses = uses + 1 WHERE id = ?", "ii",
			    now_ms(), ids[i]);
	}
	return transaction_end(store, status);
}
