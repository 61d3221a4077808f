/* find.c - the one adapter that a person means: by name, id or hash, with a guess when it is none.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/edit-distance.h"
#include "store/internal.h"

#define MAX_GUESSES 3
#define MAX_COMPARED 20000 /* names looked at for a guess */

struct guess {
	size_t distance;
	char name[EDIT_DISTANCE_MAX_BYTES + 1];
};

static void
guess_insert(struct guess guesses[MAX_GUESSES], size_t distance, const char *name)
{
	size_t at = MAX_GUESSES;

	while (at > 0 && guesses[at - 1].distance > distance)
		at--;
	if (at == MAX_GUESSES)
		return;
	memmove(guesses + at + 1, guesses + at, (MAX_GUESSES - 1 - at) * sizeof *guesses);
	guesses[at].distance = distance;
	strncpy(guesses[at].name, name, EDIT_DISTANCE_MAX_BYTES);
}

static enum store_status
fail_with_guesses(struct store *store, const char *what)
{
	struct guess guesses[MAX_GUESSES] = { 0 };
	size_t near_enough = 1 + strlen(what) / 3;
	struct buffer list = { 0 };
	enum store_status status;
	sqlite3_stmt *statement = sql_open(store,
	    "SELECT name FROM adapters WHERE trashed_ms IS NULL ORDER BY created_ms DESC LIMIT ?",
	    "i", (int64_t)MAX_COMPARED);

	if (statement == NULL)
		return store->status;
	for (int i = 0; i < MAX_GUESSES; i++)
		guesses[i].distance = near_enough + 1;
	while (sql_next(store, statement, &status)) {
		const char *name = (const char *)sqlite3_column_text(statement, 0);
		size_t distance = name != NULL ? edit_distance(what, name) : SIZE_MAX;

		if (distance <= near_enough)
			guess_insert(guesses, distance, name);
	}
	if (status != STORE_OK)
		return status;
	for (int i = 0; i < MAX_GUESSES && guesses[i].distance <= near_enough; i++)
		buffer_printf(&list, "%s'%s'", i > 0 ? ", " : "", guesses[i].name);
	if (list.n > 0)
		status = store_fail(store, STORE_ENOENT,
		    "there is no adapter '%.200s' in the catalog; did you mean %s?", what,
		    buffer_string(&list));
	else
		status = store_fail(store, STORE_ENOENT,
		    "there is no adapter '%.200s' in the catalog; `t2l catalog list` shows those "
		    "there are",
		    what);
	buffer_free(&list);
	return status;
}

static bool
parse_id(const char *what, int64_t *id)
{
	char *end;

	what += what[0] == '#';
	if (what[0] < '0' || what[0] > '9')
		return false;
	errno = 0;
	*id = strtoll(what, &end, 10);
	return *end == '\0' && errno == 0;
}

static bool
is_hash_prefix(const char *what)
{
	size_t length = strlen(what);

	return length >= 8 && length < HASH_HEX_SIZE &&
	       what[strspn(what, "0123456789abcdef")] == '\0';
}

/* Of the file, or of the content. Twins share them: the first is as good as any. */
#define HAS_HASH                                                                                   \
	"((hash >= ?1 AND hash < ?1 || 'g') OR (content >= ?1 AND content < ?1 || 'g'))"           \
	" AND trashed_ms IS NULL"

static enum store_status
find_by_hash(struct store *store, const char *prefix, int64_t *id)
{
	int64_t n;
	enum store_status status = sql_int64(store, &n,
	    "SELECT count(DISTINCT iif(content <> '', content, hash)) FROM adapters"
	    " WHERE " HAS_HASH,
	    "t", prefix);

	if (status == STORE_OK && n > 1)
		return store_fail(store, STORE_EINVAL,
		    "%lld adapters have a hash that begins with '%s'; give more digits",
		    (long long)n, prefix);
	if (status == STORE_OK)
		status = sql_int64(store, id,
		    "SELECT id FROM adapters WHERE " HAS_HASH " ORDER BY id LIMIT 1", "t", prefix);
	return status;
}

enum store_status
store_find(struct store *store, const char *what, struct store_adapter **out)
{
	enum store_status status;
	int64_t id;

	status = sql_int64(
	    store, &id, "SELECT id FROM adapters WHERE name = ? AND trashed_ms IS NULL", "t", what);
	if (status == STORE_ENOENT && parse_id(what, &id)) {
		status = adapter_check(store, id, false);
		if (status == STORE_ENOENT && is_hash_prefix(what))
			status = find_by_hash(store, what, &id);
		else if (status == STORE_ENOENT)
			return status;
	} else if (status == STORE_ENOENT && is_hash_prefix(what))
		status = find_by_hash(store, what, &id);
	if (status == STORE_ENOENT)
		return fail_with_guesses(store, what);
	return status == STORE_OK ? store_get(store, id, out) : status;
}

static enum store_status
read_name(struct store *store, void *result, sqlite3_stmt *statement, void *row)
{
	const char **name = row;

	*name = result_text(store, result, statement, 0, NULL);
	return *name != NULL ? STORE_OK : STORE_ENOMEM;
}

enum store_status
store_names(struct store *store, const char *prefix, size_t limit, struct store_strings **out)
{
	struct store_strings *names = result_new(store, sizeof *names);
	enum store_status status;

	if (names == NULL)
		return STORE_ENOMEM;
	/* 0xff is above every byte of UTF-8, so the range holds what begins with the prefix. */
	names->rows = result_rows(store, names,
	    sql_open(store,
		"SELECT name FROM adapters WHERE trashed_ms IS NULL AND name >= ?1"
		" AND name < ?1 || CAST(x'ff' AS TEXT) ORDER BY name LIMIT ?2",
		"ti", prefix, (int64_t)(limit < INT64_MAX ? limit : INT64_MAX)),
	    read_name, sizeof *names->rows, &names->n_rows, &status);
	if (status != STORE_OK) {
		store_free(names);
		return status;
	}
	*out = names;
	return STORE_OK;
}
