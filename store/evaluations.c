/* evaluations.c - how many items of a suite an adapter (or a base, or a method) got right. */

#include "store/internal.h"

static enum store_status
check_evaluation(struct store *store, const struct store_evaluation *evaluation)
{
	const struct {
		const char *what, *text;
	} texts[] = {
		{ "suite's name", evaluation->suite },
		{ "group's name", evaluation->group },
		{ "method's name", evaluation->method },
		{ "subject", evaluation->subject },
	};
	enum store_status status = STORE_OK;

	if (evaluation->n_correct > evaluation->n || evaluation->n > INT64_MAX)
		return store_fail(store, STORE_EINVAL, "an evaluation with %llu of %llu correct",
		    (unsigned long long)evaluation->n_correct, (unsigned long long)evaluation->n);
	for (size_t i = 0; status == STORE_OK && i < sizeof texts / sizeof *texts; i++)
		status = check_text(store, texts[i].what, texts[i].text, STORE_TEXT_MAX);
	return status;
}

enum store_status
store_evaluation_add(struct store *store, const struct store_evaluation *evaluation, int64_t *id)
{
	enum store_status status = check_evaluation(store, evaluation);
	int64_t created = evaluation->created_ms != 0 ? evaluation->created_ms : now_ms();
	int64_t added;

	if (status == STORE_OK)
		status = transaction_begin(store);
	if (status != STORE_OK)
		return status;
	if (evaluation->adapter != 0)
		status = adapter_exists(store, evaluation->adapter);
	if (status == STORE_OK)
		status = sql_run(store,
		    "INSERT INTO evaluations (adapter, subject, suite, task_group, method, n,"
		    " n_correct, created_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
		    "rttttiii", evaluation->adapter, evaluation->subject, evaluation->suite,
		    evaluation->group, evaluation->method, (int64_t)evaluation->n,
		    (int64_t)evaluation->n_correct, created);
	added = sqlite3_last_insert_rowid(store->db);
	status = transaction_end(store, status);
	if (status == STORE_OK && id != NULL)
		*id = added;
	return status;
}

static enum store_status
read_evaluation(struct store *store, void *result, sqlite3_stmt *s, void *row)
{
	struct store_evaluation *evaluation = row;

	evaluation->id = sqlite3_column_int64(s, 0);
	evaluation->adapter = sqlite3_column_int64(s, 1);
	evaluation->subject = result_text(store, result, s, 2, NULL);
	evaluation->suite = result_text(store, result, s, 3, NULL);
	evaluation->group = result_text(store, result, s, 4, NULL);
	evaluation->method = result_text(store, result, s, 5, NULL);
	evaluation->n = (uint64_t)sqlite3_column_int64(s, 6);
	evaluation->n_correct = (uint64_t)sqlite3_column_int64(s, 7);
	evaluation->created_ms = sqlite3_column_int64(s, 8);
	if (evaluation->subject == NULL || evaluation->suite == NULL || evaluation->group == NULL ||
	    evaluation->method == NULL)
		return STORE_ENOMEM;
	return STORE_OK;
}

enum store_status
store_evaluations(struct store *store, int64_t adapter, const char *suite, size_t limit,
    struct store_evaluations **out)
{
	struct store_evaluations *all = result_new(store, sizeof *all);
	enum store_status status;

	if (all == NULL)
		return STORE_ENOMEM;
	all->rows = result_rows(store, all,
	    sql_open(store,
		"SELECT id, adapter, subject, suite, task_group, method, n, n_correct, created_ms"
		" FROM evaluations WHERE (?1 = 0 OR adapter = ?1) AND (?2 IS NULL OR suite = ?2)"
		" ORDER BY id DESC LIMIT ?3",
		"ini", adapter, suite, (int64_t)(limit & INT64_MAX)),
	    read_evaluation, sizeof *all->rows, &all->n_rows, &status);
	if (status != STORE_OK) {
		store_free(all);
		return status;
	}
	*out = all;
	return STORE_OK;
}
