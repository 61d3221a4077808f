/* comparisons.c - what lanes said to a prompt, kept side by side, and which one was voted best. */

#include <string.h>

#include "store/internal.h"

/* ---- keeping ---- */

static enum store_status
check_output(struct store *store, const struct store_output *output)
{
	enum store_status status = check_text(store, "lane's label", output->label, STORE_TEXT_MAX);

	if (status == STORE_OK)
		status = check_text(store, "lane's mix", output->mix, STORE_TEXT_MAX);
	if (status == STORE_OK)
		status = check_text(store, "finish reason", output->finish, STORE_TAG_MAX);
	if (status == STORE_OK && output->text_bytes > STORE_OUTPUT_MAX)
		status = store_fail(store, STORE_EINVAL,
		    "the output of lane '%s' has %zu bytes and at most %d are kept",
		    output->label != NULL ? output->label : "", output->text_bytes,
		    STORE_OUTPUT_MAX);
	return status;
}

static enum store_status
check_comparison(struct store *store, const struct store_comparison *comparison)
{
	enum store_status status =
	    check_text(store, "prompt", comparison->prompt, STORE_OUTPUT_MAX);

	if (status == STORE_OK)
		status = check_text(store, "settings", comparison->settings, STORE_OUTPUT_MAX);
	if (status == STORE_OK)
		status =
		    check_text(store, "base model's name", comparison->base_name, STORE_TEXT_MAX);
	for (size_t i = 0; status == STORE_OK && i < comparison->n_outputs; i++)
		status = check_output(store, &comparison->outputs[i]);
	return status;
}

static enum store_status
insert_output(
    struct store *store, int64_t comparison, size_t position, const struct store_output *output)
{
	enum store_status status = STORE_OK;

	if (output->adapter != 0)
		status = adapter_exists(store, output->adapter);
	if (status != STORE_OK)
		return status;
	return sql_run(store,
	    "INSERT INTO outputs (comparison, position, label, adapter, mix, n_tokens, prefill_ms,"
	    " decode_ms, finish, text) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
	    "iitrtiddtb", comparison, (int64_t)position, output->label, output->adapter,
	    output->mix, (int64_t)output->n_tokens,
	    isfinite(output->prefill_ms) ? output->prefill_ms : 0.0,
	    isfinite(output->decode_ms) ? output->decode_ms : 0.0, output->finish, output->text,
	    output->text_bytes);
}

enum store_status
store_comparison_add(struct store *store, const struct store_comparison *comparison, int64_t *id)
{
	enum store_status status = check_comparison(store, comparison);
	int64_t created = comparison->created_ms != 0 ? comparison->created_ms : now_ms();
	int64_t added;

	if (status == STORE_OK)
		status = transaction_begin(store);
	if (status != STORE_OK)
		return status;
	status = sql_run(store,
	    "INSERT INTO comparisons (created_ms, base_name, prompt, settings) VALUES (?, ?, ?, ?)",
	    "ittt", created, comparison->base_name, comparison->prompt, comparison->settings);
	added = sqlite3_last_insert_rowid(store->db);
	for (size_t i = 0; status == STORE_OK && i < comparison->n_outputs; i++)
		status = insert_output(store, added, i, &comparison->outputs[i]);
	status = transaction_end(store, status);
	if (status == STORE_OK && id != NULL)
		*id = added;
	return status;
}

static enum store_status
comparison_check(struct store *store, int64_t id)
{
	int64_t one;
	enum store_status status =
	    sql_int64(store, &one, "SELECT 1 FROM comparisons WHERE id = ?", "i", id);

	if (status == STORE_ENOENT)
		store_fail(
		    store, status, "there is no comparison %lld in the catalog", (long long)id);
	return status;
}

enum store_status
store_comparison_remove(struct store *store, int64_t id)
{
	enum store_status status = transaction_begin(store);

	if (status != STORE_OK)
		return status;
	status = comparison_check(store, id);
	if (status == STORE_OK)
		status = sql_run(store, "DELETE FROM comparisons WHERE id = ?", "i", id);
	return transaction_end(store, status);
}

/* ---- reading ---- */

static enum store_status
read_output(struct store *store, void *result, sqlite3_stmt *s, void *row)
{
	struct store_output *output = row;

	output->label = result_text(store, result, s, 0, NULL);
	output->adapter = sqlite3_column_int64(s, 1);
	output->mix = result_text(store, result, s, 2, NULL);
	output->n_tokens = (uint32_t)sqlite3_column_int64(s, 3);
	output->prefill_ms = sqlite3_column_double(s, 4);
	output->decode_ms = sqlite3_column_double(s, 5);
	output->finish = result_text(store, result, s, 6, NULL);
	output->text = result_text(store, result, s, 7, &output->text_bytes);
	if (output->label == NULL || output->mix == NULL || output->finish == NULL ||
	    output->text == NULL)
		return STORE_ENOMEM;
	return STORE_OK;
}

#define COMPARISON_COLUMNS                                                                         \
	"c.id, c.created_ms, c.base_name, c.prompt, c.settings,"                                   \
	" v.comparison IS NOT NULL, coalesce(v.winner, -1)"

static enum store_status
read_comparison(struct store *store, void *result, sqlite3_stmt *s, void *row)
{
	struct store_comparison *comparison = row;
	enum store_status status;

	comparison->id = sqlite3_column_int64(s, 0);
	comparison->created_ms = sqlite3_column_int64(s, 1);
	comparison->base_name = result_text(store, result, s, 2, NULL);
	comparison->prompt = result_text(store, result, s, 3, NULL);
	comparison->settings = result_text(store, result, s, 4, NULL);
	comparison->vote = sqlite3_column_int(s, 5) ? sqlite3_column_int(s, 6) : STORE_NO_VOTE;
	if (comparison->base_name == NULL || comparison->prompt == NULL ||
	    comparison->settings == NULL)
		return STORE_ENOMEM;
	comparison->outputs = result_rows(store, result,
	    sql_open(store,
		"SELECT label, adapter, mix, n_tokens, prefill_ms, decode_ms, finish, text"
		" FROM outputs WHERE comparison = ? ORDER BY position",
		"i", comparison->id),
	    read_output, sizeof *comparison->outputs, &comparison->n_outputs, &status);
	return status;
}

enum store_status
store_comparison_get(struct store *store, int64_t id, struct store_comparison **out)
{
	struct store_comparison *comparison = result_new(store, sizeof *comparison);
	enum store_status status = STORE_ENOMEM;
	sqlite3_stmt *statement;

	if (comparison == NULL)
		return status;
	statement = sql_open(store,
	    "SELECT " COMPARISON_COLUMNS " FROM comparisons AS c"
	    " LEFT JOIN votes AS v ON v.comparison = c.id WHERE c.id = ?",
	    "i", id);
	if (statement == NULL)
		status = store->status;
	else if (sql_next(store, statement, &status)) {
		status = read_comparison(store, comparison, statement, comparison);
		sql_close(statement);
	} else if (status == STORE_OK)
		status = comparison_check(store, id);
	if (status != STORE_OK) {
		store_free(comparison);
		return status;
	}
	*out = comparison;
	return STORE_OK;
}

/* ?1 is the text, ?2 the adapter. */
#define COMPARISON_FILTER                                                                          \
	" WHERE (?1 = '' OR instr(c.prompt, ?1) > 0 OR EXISTS (SELECT 1 FROM outputs AS o"         \
	"  WHERE o.comparison = c.id AND instr(o.text, CAST(?1 AS BLOB)) > 0))"                    \
	" AND (?2 = 0 OR c.id IN (SELECT comparison FROM outputs WHERE adapter = ?2))"

enum store_status
store_comparisons(struct store *store, const char *text, int64_t adapter, size_t offset,
    size_t limit, struct store_comparisons **out)
{
	struct store_comparisons *all = result_new(store, sizeof *all);
	enum store_status status;
	int64_t n = 0;

	if (all == NULL)
		return STORE_ENOMEM;
	status = sql_int64(store, &n, "SELECT count(*) FROM comparisons AS c" COMPARISON_FILTER,
	    "ti", text, adapter);
	all->n_matching = (uint64_t)n;
	if (status == STORE_OK)
		all->rows = result_rows(store, all,
		    sql_open(store,
			"SELECT " COMPARISON_COLUMNS " FROM comparisons AS c"
			" LEFT JOIN votes AS v ON v.comparison = c.id" COMPARISON_FILTER
			" ORDER BY c.id DESC LIMIT ?3 OFFSET ?4",
			"tiii", text, adapter, (int64_t)(limit & INT64_MAX),
			(int64_t)(offset & INT64_MAX)),
		    read_comparison, sizeof *all->rows, &all->n_rows, &status);
	if (status != STORE_OK) {
		store_free(all);
		return status;
	}
	*out = all;
	return STORE_OK;
}

/* ---- votes ---- */

static enum store_status
check_winner(struct store *store, int64_t comparison, int winner)
{
	enum store_status status = comparison_check(store, comparison);
	int64_t n;

	if (status == STORE_OK)
		status = sql_int64(store, &n, "SELECT count(*) FROM outputs WHERE comparison = ?",
		    "i", comparison);
	if (status == STORE_OK && (winner < STORE_NO_VOTE || winner >= n))
		return store_fail(store, STORE_EINVAL,
		    "comparison %lld has %lld lanes; there is no lane %d to vote for",
		    (long long)comparison, (long long)n, winner + 1);
	return status;
}

/* The triggers on vote_results count wins, losses and ties into the adapters' rows. */
static enum store_status
insert_vote(struct store *store, int64_t comparison, int winner)
{
	enum store_status status;

	if (winner == STORE_TIE)
		status = sql_run(store,
		    "INSERT INTO votes (comparison, winner, created_ms) VALUES (?, NULL, ?)", "ii",
		    comparison, now_ms());
	else
		status = sql_run(store,
		    "INSERT INTO votes (comparison, winner, created_ms) VALUES (?, ?, ?)", "iii",
		    comparison, (int64_t)winner, now_ms());
	if (status != STORE_OK)
		return status;
	return sql_run(store,
	    "INSERT INTO vote_results (comparison, adapter, result)"
	    " SELECT ?1, adapter, CASE WHEN ?2 < 0 THEN 'tie'"
	    "  WHEN max(position = ?2) THEN 'win' ELSE 'loss' END"
	    " FROM outputs WHERE comparison = ?1 AND adapter IS NOT NULL GROUP BY adapter",
	    "ii", comparison, (int64_t)winner);
}

enum store_status
store_vote(struct store *store, int64_t comparison, int winner)
{
	enum store_status status = transaction_begin(store);

	if (status != STORE_OK)
		return status;
	status = check_winner(store, comparison, winner);
	if (status == STORE_OK)
		status = sql_run(store, "DELETE FROM votes WHERE comparison = ?", "i", comparison);
	if (status == STORE_OK && winner != STORE_NO_VOTE)
		status = insert_vote(store, comparison, winner);
	return transaction_end(store, status);
}
