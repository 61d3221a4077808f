/*
 * bench-catalog.c - how long a search takes in a large catalog (not part of make check).
 *
 *   bench-catalog [ROWS [FOLDER]]     100,000 rows in a temporary folder by default
 *
 * Fills a catalog with tasks of a few words, all sharing one file, each with an embedding of
 * 384 numbers. Then each question is asked as a person would: first with a changed catalog
 * (nothing remembered), then again for the next page. Prints JSON lines: the median in ms.
 */

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "store/store.h"

#define DIMS 384
#define REPEATS 9
#define LIMIT_MS 20.0

static uint32_t seed = 42;

static uint32_t
next_random(void)
{
	seed = seed * 1664525 + 1013904223;
	return seed >> 8;
}

static void
check(struct store *store, enum store_status status)
{
	if (status == STORE_OK)
		return;
	fprintf(stderr, "bench-catalog: %s\n", store_error(store));
	exit(1);
}

static const char *
random_word(void)
{
	static const char *const words[] = { "translate", "english", "word", "spanish", "french",
		"capital", "letters", "reverse", "count", "vowels", "sort", "digits", "answer",
		"question", "summarise", "paragraph", "sentence", "positive", "negative", "review",
		"number", "prime", "even", "odd", "plural", "singular", "past", "tense", "opposite",
		"synonym", "country", "city", "animal", "colour", "first", "last", "remove",
		"spaces", "upper", "lower", "title", "code", "python", "explain", "classify",
		"extract", "dates", "names", "email", "polite" };

	return words[next_random() % (sizeof words / sizeof *words)];
}

static void
random_vector(float values[DIMS])
{
	for (int i = 0; i < DIMS; i++)
		values[i] = (float)next_random() / (1 << 23) - 1;
}

/* The rows are put in through SQL, in one transaction: adding is not what is measured. */
static void
fill(struct store *store, int64_t n_rows)
{
	struct store_new first = { .name = "first",
		.task = "the first one",
		.base_name = "demo-6m",
		.encoder_name = "minilm",
		.modules = "q_proj,v_proj",
		.rank = 8,
		.alpha = 16,
		.scale = 2,
		.bytes = "adapter",
		.n_bytes = 7 };
	float values[DIMS];
	struct store_vector vector = { "encoder", values, DIMS };
	struct store_added added;
	sqlite3_stmt *row, *unit;
	int16_t stored[DIMS];
	char text[256];
	sqlite3 *db;

	random_vector(values);
	first.vector = &vector;
	check(store, store_add(store, &first, &added));
	sqlite3_open(store_path(store), &db);
	sqlite3_exec(db, "PRAGMA synchronous = OFF; BEGIN", NULL, NULL, NULL);
	sqlite3_prepare_v2(db,
	    "INSERT INTO adapters (name, task, base_name, base_fingerprint, hypernet_name,"
	    " hypernet_fingerprint, encoder_name, modules, rank, rslora, alpha, scale, hash,"
	    " size_bytes, source, generation_ms, score, note, created_ms, used_ms, uses, wins, "
	    "losses)"
	    " SELECT ?1, ?2, base_name, base_fingerprint, hypernet_name, hypernet_fingerprint,"
	    " encoder_name, modules, ?3, rslora, alpha, scale, hash, size_bytes,"
	    " CASE ?3 WHEN 4 THEN 'merged' ELSE 'generated' END, generation_ms, ?4, note,"
	    " created_ms - 60000 * ?5, ?6, 1, ?7, ?8 FROM adapters WHERE id = 1",
	    -1, &row, NULL);
	sqlite3_prepare_v2(
	    db, "INSERT INTO vectors (adapter, encoder, unit) VALUES (?, 1, ?)", -1, &unit, NULL);
	for (int64_t i = 2; i <= n_rows; i++) {
		float sum = 0;

		snprintf(
		    text, sizeof text, "%s-%s-%lld", random_word(), random_word(), (long long)i);
		sqlite3_bind_text(row, 1, text, -1, SQLITE_TRANSIENT);
		snprintf(text, sizeof text, "%s the %s %s, then %s every %s", random_word(),
		    random_word(), random_word(), random_word(), random_word());
		sqlite3_bind_text(row, 2, text, -1, SQLITE_TRANSIENT);
		sqlite3_bind_int(row, 3, 4 << next_random() % 4);
		sqlite3_bind_double(row, 4, (double)(next_random() % 1000) / 1000);
		sqlite3_bind_int64(row, 5, n_rows - i);
		sqlite3_bind_int64(row, 6, next_random());
		sqlite3_bind_int(row, 7, (int)(next_random() % 20));
		sqlite3_bind_int(row, 8, (int)(next_random() % 20));
		sqlite3_step(row);
		sqlite3_reset(row);
		random_vector(values);
		for (int d = 0; d < DIMS; d++)
			sum += values[d] * values[d];
		for (int d = 0; d < DIMS; d++)
			stored[d] = (int16_t)(values[d] / sqrtf(sum) * 16384);
		sqlite3_bind_int64(unit, 1, i);
		sqlite3_bind_blob(unit, 2, stored, sizeof stored, SQLITE_STATIC);
		sqlite3_step(unit);
		sqlite3_reset(unit);
	}
	sqlite3_finalize(row);
	sqlite3_finalize(unit);
	if (sqlite3_exec(db, "COMMIT", NULL, NULL, NULL) != SQLITE_OK) {
		fprintf(stderr, "bench-catalog: %s\n", sqlite3_errmsg(db));
		exit(1);
	}
	sqlite3_close(db);
}

static int
compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double
ask_once(struct store *store, const struct store_query *query, uint64_t *n_matching)
{
	struct store_adapters *page;
	double start = clock_ms(), elapsed;

	check(store, store_search(store, query, &page));
	elapsed = clock_ms() - start;
	*n_matching = page->n_matching;
	store_free(page);
	return elapsed;
}

/* FRESH: the catalog has just changed, so nothing may be remembered. */
static void
ask(struct store *store, const char *what, struct store_query query, bool fresh)
{
	double elapsed[REPEATS];
	uint64_t n_matching = 0;

	query.limit = 50;
	for (int i = 0; i < REPEATS; i++) {
		if (fresh)
			check(store, store_set_favourite(store, 1, i % 2 == 0));
		elapsed[i] = ask_once(store, &query, &n_matching);
		query.offset += fresh ? 0 : 50;
	}
	qsort(elapsed, REPEATS, sizeof *elapsed, compare);
	printf("{\"what\":\"catalog: %s%s\",\"value\":%.2f,\"unit\":\"ms\",\"limit\":%.0f,"
	       "\"matching\":%llu}\n",
	    what, fresh ? "" : ", next page", elapsed[REPEATS / 2], LIMIT_MS,
	    (unsigned long long)n_matching);
}

static void
ask_all(struct store *store)
{
	static float values[DIMS];
	const struct store_vector vector = { "encoder", values, DIMS };
	const struct {
		const char *what;
		struct store_query query;
	} questions[] = {
		{ "everything", { .text = "" } },
		{ "everything by name", { .text = "", .sort = STORE_SORT_NAME } },
		{ "everything by wins", { .text = "", .sort = STORE_SORT_WINS } },
		{ "one letter", { .text = "t" } },
		{ "two letters", { .text = "tr" } },
		{ "a common word", { .text = "translate" } },
		{ "a common word by score", { .text = "translate", .sort = STORE_SORT_SCORE } },
		{ "two words", { .text = "trans span" } },
		{ "three words", { .text = "trans span cap", .sort = STORE_SORT_NAME } },
		{ "a phrase", { .text = "\"the word\"" } },
		{ "a word of all rows", { .text = "the" } },
		{ "a rare word", { .text = "4711" } },
		{ "no match", { .text = "zzz" } },
		{ "rank>8", { .text = "rank>8" } },
		{ "score>0.9 made:merged", { .text = "score>0.9 made:merged" } },
		{ "base:demo since:7d", { .text = "base:demo since:7d" } },
		{ "word and filters", { .text = "trans rank>8 score>0.5" } },
		{ "word and not a word", { .text = "trans -span" } },
		{ "nearest", { .sort = STORE_SORT_NEAREST, .near = &vector } },
		{ "nearest to a row", { .sort = STORE_SORT_NEAREST, .near_id = 77 } },
		{ "nearest with a word",
		    { .text = "trans", .sort = STORE_SORT_NEAREST, .near = &vector } },
	};
	uint64_t n;
	double start;

	random_vector(values);
	start = clock_ms();
	ask_once(store, &(struct store_query){ .sort = STORE_SORT_NEAREST, .near = &vector }, &n);
	printf("{\"what\":\"catalog: read all embeddings once\",\"value\":%.1f,\"unit\":\"ms\"}\n",
	    clock_ms() - start);
	for (size_t i = 0; i < sizeof questions / sizeof *questions; i++) {
		ask(store, questions[i].what, questions[i].query, true);
		ask(store, questions[i].what, questions[i].query, false);
	}
}

int
main(int argc, char **argv)
{
	int64_t n_rows = argc > 1 ? atoll(argv[1]) : 100000;
	char temporary[] = "/tmp/t2l-bench-catalog-XXXXXX", command[256];
	const char *home = argc > 2 ? argv[2] : mkdtemp(temporary);
	struct store *store;
	char message[1024];
	double start = clock_ms();
	bool filled;

	if (home == NULL ||
	    store_open(home, STORE_READ_WRITE, message, sizeof message, &store) != STORE_OK) {
		fprintf(stderr, "bench-catalog: %s\n", home != NULL ? message : "no folder");
		return 1;
	}
	printf("{\"what\":\"catalog: open\",\"value\":%.2f,\"unit\":\"ms\"}\n", clock_ms() - start);
	filled = store_find(store, "first", &(struct store_adapter *){ NULL }) == STORE_OK;
	if (!filled)
		fill(store, n_rows);
	ask_all(store);
	store_close(store);
	if (argc > 2)
		return 0;
	snprintf(command, sizeof command, "rm -rf '%s'", home);
	return system(command) != 0;
}
