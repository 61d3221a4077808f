/* models.c - the base models, encoders and hypernets that were used, so that a name finds them. */

#include "store/internal.h"

enum store_status
store_model_put(struct store *store, const struct store_model *model)
{
	const struct {
		const char *what, *text;
	} texts[] = {
		{ "model's path", model->path },
		{ "model's name", model->name },
		{ "model's kind", model->kind },
		{ "model's architecture", model->architecture },
		{ "model's fingerprint", model->fingerprint },
	};
	enum store_status status = STORE_OK;

	for (size_t i = 0; status == STORE_OK && i < sizeof texts / sizeof *texts; i++)
		status = check_text(store, texts[i].what, texts[i].text, STORE_TEXT_MAX);
	if (status == STORE_OK && (model->path == NULL || model->path[0] == '\0'))
		status = store_fail(store, STORE_EINVAL, "a model without a path");
	if (status == STORE_OK)
		status = transaction_begin(store);
	if (status != STORE_OK)
		return status;
	status =
	    sql_run(store, "UPDATE models SET name = '' WHERE name = ? AND kind = ? AND path <> ?",
		"ttt", model->name, model->kind, model->path);
	if (status == STORE_OK)
		status = sql_run(store,
		    "INSERT INTO models (path, name, kind, architecture, fingerprint, size_bytes,"
		    " used_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (path) DO UPDATE SET"
		    " name = ?2, kind = ?3, architecture = ?4, fingerprint = ?5, size_bytes = ?6,"
		    " used_ms = ?7",
		    "tttttii", model->path, model->name, model->kind, model->architecture,
		    model->fingerprint, model->size_bytes, now_ms());
	return transaction_end(store, status);
}

#define MODEL_COLUMNS "id, name, path, kind, architecture, fingerprint, size_bytes, used_ms"

static enum store_status
read_model(struct store *store, void *result, sqlite3_stmt *s, void *row)
{
	struct store_model *model = row;

	model->id = sqlite3_column_int64(s, 0);
	model->name = result_text(store, result, s, 1, NULL);
	model->path = result_text(store, result, s, 2, NULL);
	model->kind = result_text(store, result, s, 3, NULL);
	model->architecture = result_text(store, result, s, 4, NULL);
	model->fingerprint = result_text(store, result, s, 5, NULL);
	model->size_bytes = sqlite3_column_int64(s, 6);
	model->used_ms = sqlite3_column_int64(s, 7);
	if (model->name == NULL || model->path == NULL || model->kind == NULL ||
	    model->architecture == NULL || model->fingerprint == NULL)
		return STORE_ENOMEM;
	return STORE_OK;
}

enum store_status
store_model_find(struct store *store, const char *kind, const char *what, struct store_model **out)
{
	struct store_model *model = result_new(store, sizeof *model);
	enum store_status status = STORE_ENOMEM;
	sqlite3_stmt *statement;

	if (model == NULL)
		return status;
	statement = sql_open(store,
	    "SELECT " MODEL_COLUMNS " FROM models WHERE (path = ?1 OR name = ?1) AND ?1 <> ''"
	    " AND (?2 IS NULL OR kind = ?2) ORDER BY path = ?1 DESC, used_ms DESC LIMIT 1",
	    "tn", what, kind);
	if (statement == NULL)
		status = store->status;
	else if (sql_next(store, statement, &status)) {
		status = read_model(store, model, statement, model);
		sql_close(statement);
	} else if (status == STORE_OK)
		status = store_fail(store, STORE_ENOENT,
		    "the catalog knows no %s '%.200s'; give its path once",
		    kind != NULL ? kind : "model", what);
	if (status != STORE_OK) {
		store_free(model);
		return status;
	}
	*out = model;
	return STORE_OK;
}

enum store_status
store_models(struct store *store, const char *kind, struct store_models **out)
{
	struct store_models *models = result_new(store, sizeof *models);
	enum store_status status;

	if (models == NULL)
		return STORE_ENOMEM;
	models->rows = result_rows(store, models,
	    sql_open(store,
		"SELECT " MODEL_COLUMNS " FROM models WHERE ?1 IS NULL OR kind = ?1"
		" ORDER BY used_ms DESC, id DESC",
		"n", kind),
	    read_model, sizeof *models->rows, &models->n_rows, &status);
	if (status != STORE_OK) {
		store_free(models);
		return status;
	}
	*out = models;
	return STORE_OK;
}

enum store_status
store_model_forget(struct store *store, int64_t id)
{
	enum store_status status = transaction_begin(store);
	int64_t one;

	if (status != STORE_OK)
		return status;
	status = sql_int64(store, &one, "SELECT 1 FROM models WHERE id = ?", "i", id);
	if (status == STORE_ENOENT)
		store_fail(store, status, "the catalog knows no model %lld", (long long)id);
	if (status == STORE_OK)
		status = sql_run(store, "DELETE FROM models WHERE id = ?", "i", id);
	return transaction_end(store, status);
}
