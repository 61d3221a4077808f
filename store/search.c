/* search.c - one page of the adapters that match, in the wanted order, and how many there are. */

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/buffer.h"
#include "store/internal.h"

/* Fewer matches than this are sorted; of more, the index of the wanted order is walked. */
#define FEW_MATCHES 1000

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

/* ---- what matches: found once per text and change, then paged and sorted from memory ---- */

struct search_memo {
	char *text;
	bool trashed;
	uint64_t generation;
	bool valid;
	int64_t *ids; /* ascending */
	size_t n_ids, capacity;
	uint64_t n_living, living_generation;
	bool function_registered;
};

void
search_memo_free(struct search_memo *memo)
{
	if (memo == NULL)
		return;
	free(memo->text);
	free(memo->ids);
	free(memo);
}

static int
compare_ids(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

/* SQL's chosen(id): whether the last search chose it. */
static void
chosen(sqlite3_context *context, int n, sqlite3_value **values)
{
	const struct search_memo *memo = sqlite3_user_data(context);
	int64_t id = sqlite3_value_int64(values[0]);

	(void)n;
	sqlite3_result_int(context, memo->n_ids > 0 && bsearch(&id, memo->ids, memo->n_ids,
							   sizeof id, compare_ids) != NULL);
}

static enum store_status
prepare_memo(struct store *store)
{
	if (store->memo == NULL)
		store->memo = calloc(1, sizeof *store->memo);
	if (store->memo == NULL)
		return store_fail(store, STORE_ENOMEM, "out of memory");
	if (!store->memo->function_registered &&
	    sqlite3_create_function_v2(store->db, "chosen", 1, SQLITE_UTF8 | SQLITE_DIRECTONLY,
		store->memo, chosen, NULL, NULL, NULL) != SQLITE_OK)
		return store_fail_sql(store, "cannot search the catalog");
	store->memo->function_registered = true;
	return STORE_OK;
}

static bool
append_id(struct search_memo *memo, int64_t id)
{
	if (memo->n_ids == memo->capacity) {
		size_t capacity = memo->capacity != 0 ? 2 * memo->capacity : 1024;
		int64_t *grown = realloc(memo->ids, capacity * sizeof *grown);

		if (grown == NULL)
			return false;
		memo->ids = grown;
		memo->capacity = capacity;
	}
	memo->ids[memo->n_ids++] = id;
	return true;
}

static enum store_status
bind_terms(struct store *store, sqlite3_stmt *statement, const struct search_terms *terms)
{
	int code = SQLITE_OK;

	if (terms->match != NULL)
		code = sqlite3_bind_text(statement, 1, terms->match, -1, SQLITE_STATIC);
	for (size_t i = 0; code == SQLITE_OK && i < terms->n_values; i++) {
		const struct search_value *value = &terms->values[i];
		int position = FIRST_VALUE + (int)i;

		code = value->text != NULL
			   ? sqlite3_bind_text(statement, position, value->text, -1, SQLITE_STATIC)
			   : sqlite3_bind_double(statement, position, value->number);
	}
	return code == SQLITE_OK ? STORE_OK : store_fail_sql(store, "cannot search the catalog");
}

static enum store_status
compile(struct store *store, struct buffer *sql, sqlite3_stmt **statement)
{
	enum store_status status = STORE_OK;

	if (buffer_failed(sql))
		status = store_fail(store, STORE_ENOMEM, "out of memory");
	else if (sqlite3_prepare_v2(store->db, buffer_string(sql), -1, statement, NULL) !=
		 SQLITE_OK)
		status = store_fail_sql(store, "cannot search the catalog");
	buffer_free(sql);
	return status;
}

static enum store_status
collect(struct store *store, sqlite3_stmt *statement)
{
	struct search_memo *memo = store->memo;
	bool ascending = true;
	int code;

	memo->n_ids = 0;
	while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
		int64_t id = sqlite3_column_int64(statement, 0);

		if (memo->n_ids > 0 && id < memo->ids[memo->n_ids - 1])
			ascending = false;
		if (!append_id(memo, id))
			return store_fail(store, STORE_ENOMEM, "out of memory");
	}
	if (code != SQLITE_DONE)
		return store_fail_sql(store, "cannot search the catalog");
	if (!ascending)
		qsort(memo->ids, memo->n_ids, sizeof *memo->ids, compare_ids);
	return STORE_OK;
}

static enum store_status
find_matching(struct store *store, const char *text, bool trashed, bool *ages)
{
	struct search_terms terms;
	struct buffer sql = { 0 };
	sqlite3_stmt *statement = NULL;
	enum store_status status = search_parse(store, text, trashed, &terms);

	if (status != STORE_OK)
		return status;
	*ages = terms.ages;
	if (terms.match != NULL && terms.where[0] == '\0')
		buffer_text(&sql, "SELECT rowid FROM words WHERE words MATCH ?1");
	else
		buffer_printf(&sql, "SELECT a.id FROM adapters AS a WHERE a.trashed_ms IS %s%s%s",
		    trashed ? "NOT NULL" : "NULL",
		    terms.match != NULL
			? " AND a.id IN (SELECT rowid FROM words WHERE words MATCH ?1)"
			: "",
		    terms.where);
	status = compile(store, &sql, &statement);
	if (status == STORE_OK)
		status = bind_terms(store, statement, &terms);
	if (status == STORE_OK)
		status = collect(store, statement);
	sqlite3_finalize(statement);
	search_terms_free(&terms);
	return status;
}

/* Fills the memo with the ids that match, unless it has them. */
static enum store_status
remember_matching(struct store *store, const char *text, bool trashed)
{
	struct search_memo *memo = store->memo;
	uint64_t generation = store_generation(store);
	enum store_status status;
	bool ages = false;

	if (memo->valid && memo->generation == generation && memo->trashed == trashed &&
	    strcmp(memo->text, text) == 0)
		return STORE_OK;
	memo->valid = false;
	free(memo->text);
	memo->text = strdup(text);
	if (memo->text == NULL)
		return store_fail(store, STORE_ENOMEM, "out of memory");
	status = find_matching(store, text, trashed, &ages);
	memo->trashed = trashed;
	memo->generation = generation;
	memo->valid = status == STORE_OK && !ages;
	return status;
}

static enum store_status
count_living(struct store *store, uint64_t *n)
{
	struct search_memo *memo = store->memo;
	uint64_t generation = store_generation(store);
	enum store_status status = STORE_OK;
	int64_t count;

	if (memo->living_generation != generation) {
		status = sql_int64(
		    store, &count, "SELECT count(*) FROM adapters WHERE trashed_ms IS NULL", "");
		if (status != STORE_OK)
			return status;
		memo->n_living = (uint64_t)count;
		memo->living_generation = generation;
	}
	*n = memo->n_living;
	return status;
}

/* ---- one page ---- */

static bool
is_blank(const char *text)
{
	return text[strspn(text, " \t\n\r")] == '\0';
}

/* Which rows a page is cut from, as a condition over adapters AS a. */
static void
write_condition(
    struct store *store, const struct store_query *query, bool everything, struct buffer *sql)
{
	const struct search_memo *memo = store->memo;

	buffer_printf(sql, "a.trashed_ms IS %s", query->trashed ? "NOT NULL" : "NULL");
	if (everything)
		return;
	if (memo->n_ids > FEW_MATCHES) {
		buffer_text(sql, " AND chosen(a.id)");
		return;
	}
	buffer_text(sql, " AND a.id IN (");
	for (size_t i = 0; i < memo->n_ids; i++)
		buffer_printf(sql, "%s%lld", i > 0 ? "," : "", (long long)memo->ids[i]);
	buffer_char(sql, ')');
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

	buffer_text(&sql, "SELECT a.id FROM adapters AS a WHERE ");
	write_condition(store, query, everything, &sql);
	buffer_printf(&sql, " ORDER BY %s LIMIT %llu OFFSET %llu", sorts[query->sort].order,
	    (unsigned long long)(query->limit & INT64_MAX),
	    (unsigned long long)(query->offset & INT64_MAX));
	status = compile(store, &sql, &statement);
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
	size_t wanted = memo->n_ids;
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
	    store, query, memo->ids, memo->n_ids, best, wanted, &n_best, &page->n_matching);
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
	enum store_status status = prepare_memo(store);

	if (status == STORE_OK)
		status = count_living(store, &page->n_living);
	if (status != STORE_OK)
		return status;
	if (everything && query->sort != STORE_SORT_NEAREST) {
		page->n_matching = page->n_living;
		return fetch_sorted(store, query, true, page);
	}
	status = remember_matching(store, text, query->trashed);
	if (status != STORE_OK)
		return status;
	if (query->sort == STORE_SORT_NEAREST)
		return fetch_nearest(store, query, page);
	page->n_matching = store->memo->n_ids;
	return fetch_sorted(store, query, false, page);
}

static double
monotonic_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec * 1e-6;
}

enum store_status
store_search(struct store *store, const struct store_query *query, struct store_adapters **out)
{
	double start = monotonic_ms();
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
	page->elapsed_ms = monotonic_ms() - start;
	*out = page;
	return STORE_OK;
}
