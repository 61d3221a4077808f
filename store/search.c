/* search.c - one page of the adapters that match, in the wanted order, and how many there are. */

#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "store/internal.h"

static const struct {
	const char *name, *order;
} sorts[STORE_N_SORTS] = {
	/* Each order is that of an index in schema.c. */
	[STORE_SORT_NEWEST] = { "newest", "a.created_ms DESC, a.id DESC" },
	[STORE_SORT_OLDEST] = { "oldest", "a.created_ms, a.id" },
	[STORE_SORT_NAME] = { "name", "a.name COLLATE NOCASE, a.id DESC" },
	[STORE_SORT_SCORE] = { "score", "a.score DESC, a.id DESC" },
	[STORE_SORT_WINS] = { "wins", "a.wins DESC, a.losses, a.id DESC" },
	[STORE_SORT_USED] = { "used", "a.used_ms DESC, a.id DESC" },
	[STORE_SORT_SIZE] = { "size", "a.size_bytes DESC, a.id DESC" },
	[STORE_SORT_NEAREST] = { "nearest", "" },
};

const char *
store_sort_name(enum store_sort sort)
{
	return sorts[sort].name;
}

int
store_sort_parse(const char *name)
{
	for (int i = 0; i < STORE_N_SORTS; i++)
		if (strcmp(sorts[i].name, name) == 0)
			return i;
	return -1;
}

/* ---- one page ---- */

static bool
is_blank(const char *text)
{
	return text[strspn(text, " \t\n\r")] == '\0';
}

static enum store_status
read_page_id(struct store *store, void *result, sqlite3_stmt *statement, void *row)
{
	(void)store, (void)result;
	*(int64_t *)row = sqlite3_column_int64(statement, 0);
	return STORE_OK;
}

static enum store_status
fetch_sorted(struct store *store, const struct store_query *query, bool everything,
    struct store_adapters *page)
{
	struct buffer sql = { 0 };
	sqlite3_stmt *statement = NULL;
	enum store_status status;
	int64_t *ids;
	size_t n_ids;

	buffer_printf(&sql, "SELECT a.id FROM adapters AS a WHERE a.trashed_ms IS %s",
	    query->trashed ? "NOT NULL" : "NULL");
	if (!everything)
		match_condition(store->memo, &sql);
	buffer_printf(&sql, " ORDER BY %s LIMIT %llu OFFSET %llu", sorts[query->sort].order,
	    (unsigned long long)(query->limit & INT64_MAX),
	    (unsigned long long)(query->offset & INT64_MAX));
	status = sql_compile(store, &sql, &statement);
	if (status != STORE_OK)
		return status;
	ids = result_rows(store, page, statement, read_page_id, sizeof *ids, &n_ids, &status);
	sqlite3_finalize(statement);
	if (status == STORE_OK)
		status = adapters_fetch(store, page, ids, n_ids, &page->rows, &page->n_rows);
	return status;
}

static enum store_status
fetch_ranked(struct store *store, const struct store_query *query, struct store_adapters *page,
    const struct near_match *best, size_t n_best)
{
	size_t first = query->offset < n_best ? query->offset : n_best;
	size_t n = n_best - first;
	int64_t *ids = result_alloc(store, page, n + 1, sizeof *ids);
	enum store_status status;

	if (ids == NULL)
		return STORE_ENOMEM;
	for (size_t i = 0; i < n; i++)
		ids[i] = best[first + i].id;
	status = adapters_fetch(store, page, ids, n, &page->rows, &page->n_rows);
	/* A row that another process deleted meanwhile is missing: match by id. */
	for (size_t row = 0, i = 0; status == STORE_OK && row < page->n_rows; i++)
		if (page->rows[row].id == best[first + i].id)
			page->rows[row++].nearness = (double)best[first + i].cosine;
	return status;
}

static enum store_status
fetch_nearest(struct store *store, const struct store_query *query, struct store_adapters *page)
{
	const struct search_memo *memo = store->memo;
	size_t wanted = memo->ids.n;
	struct near_match *best;
	enum store_status status;
	size_t n_best = 0;

	if (query->limit < wanted && query->offset < wanted - query->limit)
		wanted = query->offset + query->limit;
	if (query->limit == 0)
		wanted = 0;
	best = malloc((wanted + 1) * sizeof *best);
	if (best == NULL)
		return store_fail(store, STORE_ENOMEM, "out of memory");
	status = near_rank(
	    store, query, memo->ids.rows, memo->ids.n, best, wanted, &n_best, &page->n_matching);
	if (status == STORE_OK)
		status = fetch_ranked(store, query, page, best, n_best);
	free(best);
	return status;
}

static enum store_status
search_into(struct store *store, const struct store_query *query, struct store_adapters *page)
{
	const char *text = query->text != NULL ? query->text : "";
	bool everything = is_blank(text) && !query->trashed;
	enum store_status status;
	int64_t n_living = 0;

	status = sql_int64(store, &n_living, "SELECT living FROM tally", "");
	page->n_living = (uint64_t)n_living;
	if (status != STORE_OK)
		return status;
	if (everything && query->sort != STORE_SORT_NEAREST) {
		page->n_matching = page->n_living;
		return fetch_sorted(store, query, true, page);
	}
	status = match_text(store, text, query->trashed);
	if (status != STORE_OK)
		return status;
	if (query->sort == STORE_SORT_NEAREST)
		return fetch_nearest(store, query, page);
	page->n_matching = store->memo->ids.n;
	return fetch_sorted(store, query, false, page);
}

enum store_status
store_search(struct store *store, const struct store_query *query, struct store_adapters **out)
{
	double start = clock_ms();
	struct store_adapters *page = result_new(store, sizeof *page);
	enum store_status status;

	if (page == NULL)
		return STORE_ENOMEM;
	if ((unsigned)query->sort >= STORE_N_SORTS) {
		store_free(page);
		return store_fail(store, STORE_EINVAL, "there is no such sort order");
	}
	atomic_store(&store->interrupted, false);
	status = search_into(store, query, page);
	if (status != STORE_OK) {
		store_free(page);
		return status;
	}
	page->elapsed_ms = clock_ms() - start;
	*out = page;
	return STORE_OK;
}
