/* match.c - which adapters match a search text: found once per text and change of the catalog, then
 * remembered, so that pages, orders and nearness are cut from a list in memory. */

#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "store/internal.h"

/* Fewer matches than this are named one by one in SQL, which then sorts them; with more, SQL walks
 * the index of the wanted order and asks chosen() of each. */
#define FEW_MATCHES 1000

void
search_memo_free(struct search_memo *memo)
{
	if (memo == NULL)
		return;
	free(memo->text);
	free(memo->ids.rows);
	free(memo);
}

/* ---- lists of ids ---- */

static int
compare_ids(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static bool
append_id(struct id_list *list, int64_t id)
{
	if (list->n == list->capacity) {
		size_t capacity = list->capacity != 0 ? 2 * list->capacity : 1024;
		int64_t *grown = realloc(list->rows, capacity * sizeof *grown);

		if (grown == NULL)
			return false;
		list->rows = grown;
		list->capacity = capacity;
	}
	list->rows[list->n++] = id;
	return true;
}

/* Ids are dense: marking them in a bitmap and reading it out sorts them in no time. Each is there
 * once. False when they are not dense, or memory is short. */
static bool
sort_by_bitmap(struct id_list *list, int64_t lowest, int64_t highest)
{
	uint64_t span = (uint64_t)highest - (uint64_t)lowest;
	size_t n_words = (size_t)(span / 64) + 1, n = 0;
	uint64_t *bits;

	if (span / 64 > list->n || (bits = calloc(n_words, sizeof *bits)) == NULL)
		return false;
	for (size_t i = 0; i < list->n; i++) {
		uint64_t at = (uint64_t)list->rows[i] - (uint64_t)lowest;

		bits[at / 64] |= UINT64_C(1) << at % 64;
	}
	for (size_t word = 0; word < n_words; word++)
		for (uint64_t left = bits[word]; left != 0; left &= left - 1)
			list->rows[n++] = lowest + (int64_t)(64 * word) + __builtin_ctzll(left);
	list->n = n;
	free(bits);
	return true;
}

static void
sort_ids(struct id_list *list)
{
	int64_t lowest = INT64_MAX, highest = INT64_MIN;
	bool ascending = true;

	for (size_t i = 0; i < list->n; i++) {
		ascending = ascending && (i == 0 || list->rows[i - 1] < list->rows[i]);
		lowest = list->rows[i] < lowest ? list->rows[i] : lowest;
		highest = list->rows[i] > highest ? list->rows[i] : highest;
	}
	if (!ascending && !sort_by_bitmap(list, lowest, highest))
		qsort(list->rows, list->n, sizeof *list->rows, compare_ids);
}

/* ---- SQL ---- */

/* SQL's chosen(id): whether the memo has it. */
static void
chosen(sqlite3_context *context, int n, sqlite3_value **values)
{
	const struct search_memo *memo = sqlite3_user_data(context);
	const struct id_list *ids = &memo->ids;
	int64_t id = sqlite3_value_int64(values[0]);

	(void)n;
	sqlite3_result_int(
	    context, ids->n > 0 && bsearch(&id, ids->rows, ids->n, sizeof id, compare_ids) != NULL);
}

static enum store_status
prepare_memo(struct store *store)
{
	if (store->memo != NULL)
		return STORE_OK;
	store->memo = calloc(1, sizeof *store->memo);
	if (store->memo == NULL)
		return store_fail(store, STORE_ENOMEM, "out of memory");
	if (sqlite3_create_function_v2(store->db, "chosen", 1, SQLITE_UTF8 | SQLITE_DIRECTONLY,
		store->memo, chosen, NULL, NULL, NULL) != SQLITE_OK) {
		store_fail_sql(store, "cannot search the catalog");
		search_memo_free(store->memo);
		store->memo = NULL;
		return store->status;
	}
	return STORE_OK;
}

void
match_condition(const struct search_memo *memo, struct buffer *sql)
{
	if (memo->ids.n > FEW_MATCHES) {
		buffer_text(sql, " AND chosen(a.id)");
		return;
	}
	buffer_text(sql, " AND a.id IN (");
	for (size_t i = 0; i < memo->ids.n; i++)
		buffer_printf(sql, "%s%lld", i > 0 ? "," : "", (long long)memo->ids.rows[i]);
	buffer_char(sql, ')');
}

static enum store_status
bind_terms(struct store *store, sqlite3_stmt *statement, const struct search_terms *terms)
{
	int code = SQLITE_OK;

	for (size_t i = 0; code == SQLITE_OK && i < terms->n_values; i++) {
		const struct search_value *value = &terms->values[i];
		int position = (int)i + 1;

		code = value->text != NULL
			   ? sqlite3_bind_text(statement, position, value->text, -1, SQLITE_STATIC)
			   : sqlite3_bind_double(statement, position, value->number);
	}
	return code == SQLITE_OK ? STORE_OK : store_fail_sql(store, "cannot search the catalog");
}

static enum store_status
append_rows(struct store *store, sqlite3_stmt *statement, struct id_list *list)
{
	int code;

	while ((code = sqlite3_step(statement)) == SQLITE_ROW)
		if (!append_id(list, sqlite3_column_int64(statement, 0)))
			return store_fail(store, STORE_ENOMEM, "out of memory");
	return code == SQLITE_DONE ? STORE_OK : store_fail_sql(store, "cannot search the catalog");
}

/* Runs SQL and puts the ids it gives into the memo, in place of those that it may have asked for
 * through chosen(). */
static enum store_status
collect(struct store *store, struct buffer *sql, const struct search_terms *terms)
{
	struct id_list list = { 0 };
	sqlite3_stmt *statement = NULL;
	enum store_status status = sql_compile(store, sql, &statement);

	if (status == STORE_OK)
		status = bind_terms(store, statement, terms);
	if (status == STORE_OK)
		status = append_rows(store, statement, &list);
	sqlite3_finalize(statement);
	if (status != STORE_OK) {
		free(list.rows);
		return status;
	}
	sort_ids(&list);
	free(store->memo->ids.rows);
	store->memo->ids = list;
	return STORE_OK;
}

static enum store_status
collect_words(struct store *store, const char *match)
{
	struct search_value value = { (char *)(uintptr_t)match, 0 };
	const struct search_terms terms = { .values = &value, .n_values = 1 };
	struct buffer sql = { 0 };

	buffer_text(&sql, "SELECT rowid FROM words WHERE words MATCH ?1");
	return collect(store, &sql, &terms);
}

/* Words first, by their index; then the filters, over what the words left. */
static enum store_status
find_matching(struct store *store, const struct search_terms *terms, bool trashed)
{
	struct buffer sql = { 0 };
	enum store_status status = STORE_OK;

	if (terms->match != NULL)
		status = collect_words(store, terms->match);
	if (status != STORE_OK || (terms->match != NULL && terms->where[0] == '\0'))
		return status;
	buffer_printf(&sql, "SELECT a.id FROM adapters AS a WHERE a.trashed_ms IS %s",
	    trashed ? "NOT NULL" : "NULL");
	buffer_text(&sql, terms->where);
	if (terms->match != NULL)
		match_condition(store->memo, &sql);
	return collect(store, &sql, terms);
}

enum store_status
match_text(struct store *store, const char *text, bool trashed)
{
	enum store_status status = prepare_memo(store);
	uint64_t generation = store_generation(store);
	struct search_memo *memo = store->memo;
	struct search_terms terms;

	if (status != STORE_OK)
		return status;
	if (memo->valid && memo->generation == generation && memo->trashed == trashed &&
	    strcmp(memo->text, text) == 0)
		return STORE_OK;
	status = search_parse(store, text, trashed, &terms);
	if (status != STORE_OK)
		return status;
	free(memo->text);
	memo->text = strdup(text);
	memo->valid = false;
	if (memo->text == NULL)
		status = store_fail(store, STORE_ENOMEM, "out of memory");
	else
		status = find_matching(store, &terms, trashed);
	memo->trashed = trashed;
	memo->generation = generation;
	memo->valid = status == STORE_OK && !terms.ages;
	search_terms_free(&terms);
	return status;
}
