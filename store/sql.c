/* sql.c - one line per statement: compile once, bind by a format, step, reset. */

#include <stdlib.h>

#include "store/internal.h"

/* Statements are few (one per place in the source), so the search is a walk. */
static sqlite3_stmt *
find_or_compile(struct store *store, const char *sql)
{
	struct statement *grown;
	sqlite3_stmt *compiled;

	for (size_t i = 0; i < store->n_statements; i++)
		if (store->statements[i].sql == sql)
			return store->statements[i].compiled;
	grown = realloc(store->statements, (store->n_statements + 1) * sizeof *grown);
	if (grown == NULL) {
		store_fail(store, STORE_ENOMEM, "out of memory");
		return NULL;
	}
	store->statements = grown;
	if (sqlite3_prepare_v3(store->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &compiled, NULL) !=
	    SQLITE_OK) {
		store_fail_sql(store, "cannot read the catalog");
		return NULL;
	}
	grown[store->n_statements++] = (struct statement){ sql, compiled };
	return compiled;
}

static int
bind_one(sqlite3_stmt *statement, int position, char type, va_list *args)
{
	const char *text;
	const void *bytes;
	int64_t number;

	switch (type) {
	case 'i':
		return sqlite3_bind_int64(statement, position, va_arg(*args, int64_t));
	case 'r':
		number = va_arg(*args, int64_t);
		return number == 0 ? sqlite3_bind_null(statement, position)
				   : sqlite3_bind_int64(statement, position, number);
	case 'd':
		return sqlite3_bind_double(statement, position, va_arg(*args, double));
	case 't':
	case 'n':
		text = va_arg(*args, const char *);
		if (text == NULL && type == 't')
			text = "";
		return sqlite3_bind_text(statement, position, text, -1, SQLITE_TRANSIENT);
	case 'b':
		bytes = va_arg(*args, const void *);
		return sqlite3_bind_blob64(statement, position, bytes != NULL ? bytes : "",
		    va_arg(*args, size_t), SQLITE_TRANSIENT);
	}
	return SQLITE_MISUSE;
}

static sqlite3_stmt *
open_with(struct store *store, const char *sql, const char *format, va_list *args)
{
	sqlite3_stmt *statement = find_or_compile(store, sql);

	if (statement == NULL)
		return NULL;
	sqlite3_reset(statement);
	for (int i = 0; format[i] != '\0'; i++)
		if (bind_one(statement, i + 1, format[i], args) != SQLITE_OK) {
			store_fail_sql(store, "cannot ask the catalog");
			sql_close(statement);
			return NULL;
		}
	return statement;
}

sqlite3_stmt *
sql_open(struct store *store, const char *sql, const char *format, ...)
{
	sqlite3_stmt *statement;
	va_list args;

	va_start(args, format);
	statement = open_with(store, sql, format, &args);
	va_end(args);
	return statement;
}

bool
sql_next(struct store *store, sqlite3_stmt *statement, enum store_status *status)
{
	int code = sqlite3_step(statement);

	if (code == SQLITE_ROW)
		return true;
	/* The sentence is made before the reset, which would hide the error. */
	*status = code == SQLITE_DONE ? STORE_OK : store_fail_sql(store, "cannot use the catalog");
	sql_close(statement);
	return false;
}

void
sql_close(sqlite3_stmt *statement)
{
	sqlite3_reset(statement);
	sqlite3_clear_bindings(statement);
}

enum store_status
sql_run(struct store *store, const char *sql, const char *format, ...)
{
	enum store_status status;
	sqlite3_stmt *statement;
	va_list args;

	va_start(args, format);
	statement = open_with(store, sql, format, &args);
	va_end(args);
	if (statement == NULL)
		return store->status;
	while (sql_next(store, statement, &status))
		;
	return status;
}

enum store_status
sql_int64(struct store *store, int64_t *value, const char *sql, const char *format, ...)
{
	enum store_status status;
	sqlite3_stmt *statement;
	va_list args;

	va_start(args, format);
	statement = open_with(store, sql, format, &args);
	va_end(args);
	if (statement == NULL)
		return store->status;
	if (!sql_next(store, statement, &status))
		return status == STORE_OK ? STORE_ENOENT : status;
	*value = sqlite3_column_int64(statement, 0);
	sql_close(statement);
	return STORE_OK;
}

enum store_status
sql_compile(struct store *store, struct buffer *sql, sqlite3_stmt **statement)
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

void
sql_forget(struct store *store)
{
	for (size_t i = 0; i < store->n_statements; i++)
		sqlite3_finalize(store->statements[i].compiled);
	free(store->statements);
	store->statements = NULL;
	store->n_statements = 0;
}
