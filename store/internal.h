/*
 * store/internal.h - what the files of this room share: the handle, SQL in one line, results.
 *
 * Every public call follows one shape: check the arguments, open a transaction if it writes,
 * run statements, end the transaction. A call that fails has put its sentence into store->error.
 */
#ifndef STORE_INTERNAL_H
#define STORE_INTERNAL_H

#include <sqlite3.h>
#include <stdarg.h>
#include <stdatomic.h>

#include "base/buffer.h"
#include "base/hash.h"
#include "store/store.h"

struct vector_cache; /* nearness.c */
struct search_memo;  /* match.c */

struct store {
	sqlite3 *db;
	char *home;
	char *path;
	bool read_only;
	char read_only_reason[512];
	enum store_status status; /* of the last failure, and its sentence */
	char error[1024];
	atomic_bool interrupted;
	struct statement {
		const char *sql; /* a literal: compared by address */
		sqlite3_stmt *compiled;
	} * statements;
	size_t n_statements;
	uint64_t generation;
	int64_t seen_version, seen_changes;
	struct vector_cache *vectors;
	struct search_memo *memo;
};

/* ---- store.c: errors and transactions ---- */

/* Sets the sentence and returns STATUS. */
enum store_status store_fail(struct store *store, enum store_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The same for a failed SQLite call: status and the way out come from SQLite's error. */
enum store_status store_fail_sql(struct store *store, const char *doing);

/* The same for a failed system call, from errno. */
enum store_status store_fail_errno(struct store *store, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Takes the write lock. Every writing call begins with it. */
enum store_status transaction_begin(struct store *store);

/* Commits when STATUS is STORE_OK, else rolls back and keeps the sentence. Returns how it went. */
enum store_status transaction_end(struct store *store, enum store_status status);

int64_t now_ms(void);

/* ---- schema.c ---- */

struct migration {
	int version;
	const char *sql;
};

/* Brings the database to the last of MIGRATIONS (ascending, ended by version 0). */
enum store_status schema_migrate(struct store *store, const struct migration *migrations);
extern const struct migration schema_migrations[];

/* ---- sql.c: statements ---- */

/*
 * FORMAT says what the arguments are, one letter each: i int64_t, d double (NAN is NULL),
 * t text (NULL is ""), n text (NULL is NULL), b blob (pointer, size_t), r reference (int64_t, 0 is
 * NULL). Statements are compiled once per handle and found by the address of SQL.
 */
sqlite3_stmt *sql_open(struct store *store, const char *sql, const char *format, ...);

/* The next row? At the end, or on an error, the statement is reset and STATUS set. */
bool sql_next(struct store *store, sqlite3_stmt *statement, enum store_status *status);

/* Leaves a statement before its end. */
void sql_close(sqlite3_stmt *statement);

/* Runs a statement that gives no rows. */
enum store_status sql_run(struct store *store, const char *sql, const char *format, ...);

/* The first column of the first row; STORE_ENOENT without a sentence when there is no row. */
enum store_status sql_int64(
    struct store *store, int64_t *value, const char *sql, const char *format, ...);

/* Compiles SQL that was put together (and frees it); the caller finalizes the statement. */
enum store_status sql_compile(struct store *store, struct buffer *sql, sqlite3_stmt **statement);

void sql_forget(struct store *store);

/* ---- result.c: trees that store_free() frees ---- */

/* A zeroed object that owns everything allocated with it; NULL when out of memory (sentence set).
 */
void *result_new(struct store *store, size_t bytes);

/* Zeroed memory that goes with RESULT. */
void *result_alloc(struct store *store, void *result, size_t count, size_t bytes);

/* A copy of a column's text, never NULL on success; LENGTH may be NULL. */
const char *result_text(
    struct store *store, void *result, sqlite3_stmt *statement, int column, size_t *length);
const char *result_copy(struct store *store, void *result, const char *text, size_t length);

/* Reads the current row of STATEMENT into ROW (zeroed), allocating from RESULT. */
typedef enum store_status (*row_reader)(
    struct store *store, void *result, sqlite3_stmt *statement, void *row);

/* Reads all rows of STATEMENT (NULL: it failed to open) with READ into an array of N_ROWS rows of
 * ROW_BYTES that goes with RESULT. On failure, STATUS is set. */
void *result_rows(struct store *store, void *result, sqlite3_stmt *statement, row_reader read,
    size_t row_bytes, size_t *n_rows, enum store_status *status);

/* ---- names.c ---- */

/* STORE_EINVAL unless TEXT (NULL is fine) has at most LIMIT bytes; WHAT is for the sentence. */
enum store_status check_text(struct store *store, const char *what, const char *text, size_t limit);
enum store_status check_tag(struct store *store, const char *tag);

/* NAME, or the first of NAME-2, NAME-3, ... that no living adapter has. In a transaction, or as a
 * suggestion. */
enum store_status name_uniquify(
    struct store *store, const char *name, char free_name[STORE_NAME_MAX + 1]);

/* ---- files.c ---- */

/* Where the content of an adapter comes from: FILE, or BYTES. */
struct content {
	const char *file;
	const void *bytes;
	size_t n_bytes;
	char hash[HASH_HEX_SIZE];
	int64_t size_bytes;
};

/* HOME/adapters/<aa>/<hash>.safetensors; HASH is 64 hex digits. */
char *file_path(const struct store *store, const char *hash);

/* Fills in hash and size. */
enum store_status content_measure(struct store *store, struct content *content);

/* Makes sure that the file is there, whole and on disk. */
enum store_status content_put(struct store *store, const struct content *content);

/* Whether it still is there with its size (cheap; for the check under the write lock). */
bool content_present(struct store *store, const struct content *content);

/* ---- adapters.c ---- */

/* The columns that adapter_read() reads, for a SELECT over adapters AS a. */
#define ADAPTER_COLUMNS                                                                            \
	"a.id, a.name, a.task, a.base_name, a.base_fingerprint, a.hypernet_name,"                  \
	" a.hypernet_fingerprint, a.encoder_name, a.modules, a.rank, a.rslora, a.alpha, a.scale,"  \
	" a.hash, a.size_bytes, a.source, a.generation_ms, a.score, a.favourite, a.note, a.tags,"  \
	" a.created_ms, a.used_ms, a.uses, a.wins, a.losses, a.ties, a.trashed_ms, a.content"

enum store_status adapter_read(
    struct store *store, void *result, sqlite3_stmt *statement, struct store_adapter *row);

/* Fetches the rows of IDS in this order, leaving out those that are gone. */
enum store_status adapters_fetch(struct store *store, void *result, const int64_t *ids,
    size_t n_ids, struct store_adapter **rows, size_t *n_rows);

/* STORE_ENOENT with a sentence unless ID is there at all; or there and living, or in the trash. */
enum store_status adapter_exists(struct store *store, int64_t id);
enum store_status adapter_check(struct store *store, int64_t id, bool trashed);

/* ---- twins.c ---- */

/* STORE_EINVAL unless CONTENT is NULL, "" or 64 hex digits. */
enum store_status twin_check(struct store *store, const char *content);

/* A living adapter of the same content or file and not of another base; *TWIN stays 0 when there is
 * none. STORE_EEXISTS when there is one and ADAPTER refuses it. */
enum store_status twin_find(struct store *store, const struct store_new *adapter,
    const struct content *content, int64_t *twin);

/* ---- nearness.c ---- */

enum store_status vector_put(struct store *store, int64_t id, const struct store_vector *vector);

/* One candidate of a search by nearness. */
struct near_match {
	int64_t id;
	float cosine;
};

/*
 * Ranks adapters by nearness: ALLOWED are the ids to choose from (N_ALLOWED of them). Gives the
 * best N in BEST (room for N, returned in *N_BEST) and how many had a vector at all.
 */
enum store_status near_rank(struct store *store, const struct store_query *query,
    const int64_t *allowed, size_t n_allowed, struct near_match *best, size_t n, size_t *n_best,
    uint64_t *n_ranked);
void vector_cache_free(struct vector_cache *cache);

/* ---- query.c ---- */

/* What a search text means, as SQL over adapters AS a; bound values are held by it. */
struct search_terms {
	char *match; /* FTS5 expression, or NULL */
	char *where; /* " AND ..." per filter, with ?NNN numbers from 1 */
	bool ages;   /* the same text will mean something else later ("since:7d") */
	size_t n_values;
	struct search_value {
		char *text; /* NULL: a number */
		double number;
	} * values;
};

enum store_status search_parse(
    struct store *store, const char *text, bool trashed, struct search_terms *terms);
void search_terms_free(struct search_terms *terms);

/* ---- match.c ---- */

struct id_list {
	int64_t *rows;
	size_t n, capacity;
};

/* What the last search text matched. */
struct search_memo {
	char *text;
	bool trashed, valid;
	uint64_t generation;
	struct id_list ids; /* ascending */
};

/* Sees to it that store->memo has the ids that match TEXT now. */
enum store_status match_text(struct store *store, const char *text, bool trashed);

/* Appends " AND ..." over adapters AS a that holds for the memo's ids. */
void match_condition(const struct search_memo *memo, struct buffer *sql);
void search_memo_free(struct search_memo *memo);

#endif
