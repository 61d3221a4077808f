/* test-store-search.c - words, filters, orders, pages, and nearness of meaning. */

#include <time.h>

#include "test-store-fixture.h"

/* Names of what QUERY finds, joined by spaces; lives until the next call. */
static const char *
found(struct store *store, struct store_query query)
{
	static char names[4096];
	struct store_adapters *page;

	if (query.limit == 0)
		query.limit = 100;
	assert_ok(store, store_search(store, &query, &page));
	names[0] = '\0';
	for (size_t i = 0; i < page->n_rows; i++) {
		strcat(names, i > 0 ? " " : "");
		strcat(names, page->rows[i].name);
	}
	store_free(page);
	return names;
}

#define assert_found(store, search, names)                                                         \
	assert_string_equal(found(store, (struct store_query){ .text = (search) }), names)

static void
words_match_at_their_beginning(void **state)
{
	struct fixture *f = *state;

	add_named(f->store, "one", "Translate the English word to Spanish");
	add_named(f->store, "two", "write the word in capitals");
	add_named(f->store, "es-upper", "Übersetze ins Spanische");
	assert_found(f->store, "trans", "one");
	assert_found(f->store, "word", "two one");
	assert_found(f->store, "WORD span", "one");
	assert_found(f->store, "spanis", "es-upper one");
	assert_found(f->store, "ord", "");
	assert_found(f->store, "uber", "es-upper");
	assert_found(f->store, "es-up", "es-upper");
	assert_found(f->store, "\"english word\"", "one");
	assert_found(f->store, "\"word english\"", "");
	assert_found(f->store, "word -spanish", "two");
	assert_found(f->store, "-word", "es-upper");
	assert_found(f->store, "  ", "es-upper two one");
	assert_found(f->store, "\"", "es-upper two one");
	assert_found(f->store, "-", "es-upper two one");
}

static void
what_is_typed_is_never_search_syntax(void **state)
{
	static const char *const typed[] = { "a AND", "OR", "NOT", "NEAR(a b)", "a*", "^a", "(",
		"\"", "\"\"", "'", "a'b", "; DROP TABLE adapters", "{", "%", "_", "\\", "a\"b",
		"-\"", "+", "—", "é", "*", "-*", "\xf0\x9f\x98\x80", "?1", "@x", "$x", "NULL" };
	struct fixture *f = *state;
	struct store_query query = { .limit = 10 };
	struct store_adapters *page;

	add_named(f->store, "one", "task");
	for (size_t i = 0; i < sizeof typed / sizeof *typed; i++) {
		query.text = typed[i];
		query.trashed = false;
		assert_ok(f->store, store_search(f->store, &query, &page));
		store_free(page);
		query.trashed = true;
		assert_ok(f->store, store_search(f->store, &query, &page));
		store_free(page);
	}
	assert_found(f->store, "one", "one");
}

static void
words_of_signs_are_found_too(void **state)
{
	struct fixture *f = *state;

	add_named(f->store, "one", "say >> twice");
	add_named(f->store, "two", "100% sure 😀");
	assert_found(f->store, ">>", "one");
	assert_found(f->store, "%", "two");
	assert_found(f->store, "-%", "one");
	assert_found(f->store, "😀", "two");
	assert_found(f->store, "sure 😀", "two");
	assert_found(f->store, "twice 😀", "");
}

static void
the_index_follows_every_change(void **state)
{
	struct fixture *f = *state;
	int64_t id = add_named(f->store, "one", "task");
	struct store_ids *ids;

	assert_found(f->store, "first", "");
	assert_ok(f->store, store_rename(f->store, id, "first"));
	assert_found(f->store, "first", "first");
	assert_found(f->store, "one", "");
	assert_ok(f->store, store_set_note(f->store, id, "remarkable"));
	assert_found(f->store, "remark", "first");
	assert_ok(f->store, store_tag(f->store, &id, 1, "shiny"));
	assert_found(f->store, "shin", "first");
	assert_ok(f->store, store_untag(f->store, &id, 1, "shiny"));
	assert_found(f->store, "shin", "");
	assert_ok(f->store, store_trash(f->store, &id, 1));
	assert_found(f->store, "first", "");
	assert_string_equal(
	    found(f->store, (struct store_query){ .text = "fir", .trashed = true }), "first");
	assert_string_equal(
	    found(f->store, (struct store_query){ .text = "second", .trashed = true }), "");
	assert_ok(f->store, store_undo(f->store, &ids));
	store_free(ids);
	assert_found(f->store, "first", "first");
}

static void
filters_narrow_the_search(void **state)
{
	struct fixture *f = *state;
	struct store_new adapter = adapter_of("small", "a task", "1");
	const char *tags[] = { "demo", "demo-2" };

	adapter.rank = 4;
	adapter.score = 0.5;
	adapter.created_ms = 1000000000000; /* 2001-09-09 */
	adapter.tags = tags;
	adapter.n_tags = 1;
	add(f->store, adapter);
	adapter = adapter_of("large", "another task", "content");
	adapter.rank = 16;
	adapter.score = 0.95;
	adapter.base_name = "Other-1B";
	adapter.source = STORE_MERGED;
	adapter.favourite = true;
	adapter.tags = tags + 1;
	adapter.n_tags = 1;
	add(f->store, adapter);
	assert_found(f->store, "tag:demo", "small");
	assert_found(f->store, "tag:demo*", "large small");
	assert_found(f->store, "-tag:demo", "large");
	assert_found(f->store, "base:other", "large");
	assert_found(f->store, "base:demo-6m", "small");
	assert_found(f->store, "base:%", "");
	assert_found(f->store, "rank>8", "large");
	assert_found(f->store, "rank:4", "small");
	assert_found(f->store, "rank=4", "small");
	assert_found(f->store, "rank>=4 rank<=16", "large small");
	assert_found(f->store, "rank<4", "");
	assert_found(f->store, "made:merged", "large");
	assert_found(f->store, "score>0.9", "large");
	assert_found(f->store, "since:7d", "large");
	assert_found(f->store, "before:7d", "small");
	assert_found(f->store, "since:2001-09-08 before:2001-09-11", "small");
	assert_found(f->store, "fav:1", "large");
	assert_found(f->store, "fav:no", "small");
	assert_found(f->store, "name:\"LAR\"", "large");
	assert_found(f->store, "module:v_proj", "large small");
	assert_found(f->store, "size>1", "large");
	assert_found(f->store, "size<1k", "large small");
	assert_found(f->store, "task rank>8 made:merged", "large");
	assert_found(f->store, "anoth rank<8", "");
	assert_found(f->store, "id:1", "small");
	assert_found(f->store, "-score>0.9", "small");
}

static void
an_unscored_adapter_is_not_above_or_below(void **state)
{
	struct fixture *f = *state;

	add_named(f->store, "unscored", "task");
	assert_found(f->store, "score>0", "");
	assert_found(f->store, "score<1", "");
	assert_found(f->store, "-score>0", "unscored");
}

static void
bad_filters_say_what_they_need(void **state)
{
	static const struct {
		const char *text, *words;
	} bad[] = {
		{ "rank>", "rank> needs a number" },
		{ "rank>abc", "not 'abc'" },
		{ "rank:1e999", "number" },
		{ "made:stolen", "generated, merged" },
		{ "since:soon", "2026-01-31" },
		{ "since:2026-13-01", "2026-01-31" },
		{ "fav:maybe", "1 or 0" },
		{ "hash:xyz", "hex" },
		{ "tag:", "tag: needs a value" },
		{ "tag>x", "tag:VALUE" },
		{ "scroe:1", "no filter 'scroe'" },
		{ "a\xff", "UTF-8" },
	};
	struct fixture *f = *state;
	struct store_adapters *page;

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct store_query query = { .text = bad[i].text, .limit = 1 };

		assert_fails(
		    f->store, STORE_EINVAL, bad[i].words, store_search(f->store, &query, &page));
	}
}

static void
too_much_search_is_refused(void **state)
{
	struct fixture *f = *state;
	char *text = calloc(1, 5001);
	struct store_query query = { .text = text, .limit = 1 };
	struct store_adapters *page;

	for (int i = 0; i < 100; i++)
		strcat(text, "rank>0 ");
	assert_fails(f->store, STORE_EINVAL, "more than", store_search(f->store, &query, &page));
	memset(text, 'x', 5000);
	assert_fails(f->store, STORE_EINVAL, "longer", store_search(f->store, &query, &page));
	free(text);
}

static uint32_t
next_random(uint32_t *seed)
{
	*seed = *seed * 1664525 + 1013904223;
	return *seed >> 8;
}

static void
whatever_is_typed_is_answered_or_refused(void **state)
{
	static const char *const pieces[] = { "tag", ":", "rank", ">", "<=", "\"", "-", " ", "*",
		"(", ")", "AND", "NOT", "é", "\xff", "%", "_", "\\", "'", "9", "0.5", "k", "since",
		"7d", "made", "merged", "x", "fav", "=", "😀", "hash", "ab", "NEAR", "^", "+", "{",
		"\t" };
	struct fixture *f = *state;
	struct store_adapters *page;
	uint32_t seed = 7;

	add_named(f->store, "x", "a task with 9 x");
	for (int round = 0; round < 3000; round++) {
		char text[256] = "";
		struct store_query query = { .text = text, .limit = 1, .trashed = round % 5 == 0 };
		enum store_status status;

		for (uint32_t n = next_random(&seed) % 12; n > 0; n--)
			strcat(text, pieces[next_random(&seed) % (sizeof pieces / sizeof *pieces)]);
		status = store_search(f->store, &query, &page);
		if (status == STORE_OK)
			store_free(page);
		else if (status != STORE_EINVAL)
			fail_msg("'%s': %s", text, store_error(f->store));
	}
}

static void
every_filter_is_known_by_name(void **state)
{
	static const char *const wanted[] = { "tag", "base", "rank", "made", "score", "since",
		"fav" };
	size_t n = 0, n_wanted = 0;

	(void)state;
	for (; store_filter_name(n) != NULL; n++)
		for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
			n_wanted += strcmp(store_filter_name(n), wanted[i]) == 0;
	assert_int_equal(n_wanted, sizeof wanted / sizeof *wanted);
}

static void
each_order_puts_first_what_it_says(void **state)
{
	struct fixture *f = *state;
	static const char *const tasks[] = { "B", "a", "C" };
	static const double scores[] = { 0.5, NAN, 0.7 };
	int64_t ids[3];

	for (int i = 0; i < 3; i++) {
		struct store_new adapter = adapter_of(tasks[i], "task", &"xxx"[i]);

		adapter.created_ms = 1000 + (i == 1 ? 500 : i);
		adapter.score = scores[i];
		ids[i] = add(f->store, adapter);
	}
	assert_ok(f->store, store_touch(f->store, &ids[1], 1));
	for (int filtered = 0; filtered < 2; filtered++) {
		static const char *const wanted[] = {
			[STORE_SORT_NEWEST] = "a C B",
			[STORE_SORT_OLDEST] = "B C a",
			[STORE_SORT_NAME] = "a B C",
			[STORE_SORT_SCORE] = "C B a",
			[STORE_SORT_WINS] = "C a B",
			[STORE_SORT_USED] = "a C B",
			[STORE_SORT_SIZE] = "B a C",
		};

		for (int sort = 0; sort < STORE_SORT_NEAREST; sort++) {
			struct store_query query = { .sort = (enum store_sort)sort,
				.text = filtered ? "task" : NULL };

			assert_string_equal(found(f->store, query), wanted[sort]);
			assert_int_equal(
			    store_sort_parse(store_sort_name((enum store_sort)sort)), sort);
		}
	}
	assert_int_equal(store_sort_parse("sideways"), -1);
}

/* More than a thousand matches go another way than a few: both must give the same pages. */
static void
pages_join_up_to_the_whole(void **state)
{
	struct fixture *f = *state;
	struct store_query query = { .text = "even", .sort = STORE_SORT_NAME, .limit = 7 };
	struct store_adapters *page;
	char name[32], last[32] = "";
	uint64_t n = 0;

	for (int i = 0; i < 2400; i++) {
		snprintf(name, sizeof name, "x%04d", i * 7 % 2400);
		add(f->store, adapter_of(name, i % 2 == 0 ? "even" : "odd", "same"));
	}
	for (;; query.offset += query.limit) {
		assert_ok(f->store, store_search(f->store, &query, &page));
		assert_int_equal(page->n_matching, 1200);
		assert_int_equal(page->n_living, 2400);
		for (size_t i = 0; i < page->n_rows; i++) {
			assert_true(strcmp(page->rows[i].name, last) > 0);
			strcpy(last, page->rows[i].name);
		}
		n += page->n_rows;
		if (page->n_rows < query.limit)
			break;
		store_free(page);
	}
	store_free(page);
	assert_int_equal(n, 1200);
	query.limit = 0;
	assert_ok(f->store, store_search(f->store, &query, &page));
	assert_int_equal(page->n_rows, 0);
	assert_int_equal(page->n_matching, 1200);
	store_free(page);
}

static void
another_process_s_change_is_seen(void **state)
{
	struct fixture *f = *state;
	struct store *other = open_at(f->home);

	add_named(f->store, "one", "task");
	assert_found(f->store, "task", "one");
	add_named(other, "two", "task");
	assert_found(f->store, "task", "two one");
	store_close(other);
}

/* ---- nearness ---- */

#define N 384

static void
random_vector(uint32_t *seed, float values[N])
{
	for (int i = 0; i < N; i++)
		values[i] = (float)next_random(seed) / (1 << 23) - 1;
}

static double
cosine(const float a[N], const float b[N])
{
	double ab = 0, aa = 0, bb = 0;

	for (int i = 0; i < N; i++) {
		ab += (double)a[i] * b[i];
		aa += (double)a[i] * a[i];
		bb += (double)b[i] * b[i];
	}
	return ab / sqrt(aa * bb);
}

static void
nearness_ranks_by_cosine(void **state)
{
	enum { ROWS = 200 };
	struct fixture *f = *state;
	float(*vectors)[N] = malloc(ROWS * sizeof *vectors);
	float wanted[N];
	struct store_vector vector = { "encoder-1", NULL, N };
	struct store_query query = { .sort = STORE_SORT_NEAREST, .limit = ROWS, .near = &vector };
	struct store_adapters *page;
	uint32_t seed = 1;
	char name[32];

	for (int i = 0; i < ROWS; i++) {
		struct store_new adapter;

		snprintf(name, sizeof name, "v%d", i);
		adapter = adapter_of(name, i % 2 == 0 ? "even" : "odd", name);
		random_vector(&seed, vectors[i]);
		vector.values = vectors[i];
		adapter.vector = &vector;
		assert_int_equal(add(f->store, adapter), i + 1);
	}
	add_named(f->store, "without-vector", "even");
	random_vector(&seed, wanted);
	vector.values = wanted;
	assert_ok(f->store, store_search(f->store, &query, &page));
	assert_int_equal(page->n_rows, ROWS);
	assert_int_equal(page->n_matching, ROWS);
	for (size_t i = 0; i < page->n_rows; i++) {
		double exact = cosine(vectors[page->rows[i].id - 1], wanted);

		assert_true(fabs(exact - page->rows[i].nearness) < 3e-4);
		if (i > 0)
			assert_true(page->rows[i].nearness <= page->rows[i - 1].nearness);
	}
	store_free(page);
	query.text = "even";
	query.limit = 3;
	query.offset = 98;
	assert_ok(f->store, store_search(f->store, &query, &page));
	assert_int_equal(page->n_matching, ROWS / 2);
	assert_int_equal(page->n_rows, 2);
	assert_int_equal(page->rows[0].id % 2, 1);
	store_free(page);
	free(vectors);
}

static void
the_nearest_to_a_row_is_its_twin(void **state)
{
	struct fixture *f = *state;
	struct store_vector vector = { "e", (float[]){ 1, 2, 3 }, 3 };
	struct store_query query = { .sort = STORE_SORT_NEAREST };
	int64_t ids[4];
	static const char *const names[] = { "a", "b", "c", "d" };

	for (int i = 0; i < 4; i++)
		ids[i] = add_named(f->store, names[i], "task");
	assert_ok(f->store, store_set_vector(f->store, ids[0], &vector));
	vector.values = (float[]){ -1, 0, 0 };
	assert_ok(f->store, store_set_vector(f->store, ids[1], &vector));
	vector.values = (float[]){ 100, 200, 301 };
	assert_ok(f->store, store_set_vector(f->store, ids[2], &vector));
	query.near_id = ids[0];
	assert_string_equal(found(f->store, query), "c b");
	/* A replaced vector counts at once, also for who has the old one in memory. */
	vector.values = (float[]){ 1, 2, 3 };
	assert_ok(f->store, store_set_vector(f->store, ids[1], &vector));
	assert_string_equal(found(f->store, query), "b c");
	assert_ok(f->store, store_trash(f->store, &ids[1], 1));
	assert_string_equal(found(f->store, query), "c");
	assert_fails(f->store, STORE_ENOENT, "no embedding",
	    store_search(f->store,
		&(struct store_query){ .sort = STORE_SORT_NEAREST, .near_id = ids[3] }, NULL));
}

static void
encoders_do_not_mix(void **state)
{
	struct fixture *f = *state;
	struct store_vector two = { "two", (float[]){ 1, 0 }, 2 };
	struct store_vector three = { "three", (float[]){ 1, 0, 0 }, 3 };
	struct store_vector none = { "never used", (float[]){ 1 }, 1 };
	int64_t a = add_named(f->store, "a", "task"), b = add_named(f->store, "b", "task");
	struct store_query query = { .sort = STORE_SORT_NEAREST, .near = &two };
	struct store_ids *ids;

	assert_ok(f->store, store_set_vector(f->store, a, &two));
	assert_ok(f->store, store_set_vector(f->store, b, &three));
	assert_string_equal(found(f->store, query), "a");
	query.near = &three;
	assert_string_equal(found(f->store, query), "b");
	query.near = &none;
	assert_string_equal(found(f->store, query), "");
	assert_ok(f->store, store_without_vector(f->store, "two", 10, &ids));
	assert_int_equal(ids->n_rows, 1);
	assert_int_equal(ids->rows[0], b);
	store_free(ids);
	three.encoder_fingerprint = "two";
	assert_fails(
	    f->store, STORE_EINVAL, "others have 2", store_set_vector(f->store, b, &three));
}

static void
vectors_without_direction_are_refused(void **state)
{
	struct fixture *f = *state;
	int64_t id = add_named(f->store, "a", "task");
	float bad[][2] = { { 0, 0 }, { NAN, 1 }, { INFINITY, 1 } };
	struct store_vector vector = { "e", NULL, 2 };

	for (size_t i = 0; i < 3; i++) {
		vector.values = bad[i];
		assert_fails(
		    f->store, STORE_EINVAL, "direction", store_set_vector(f->store, id, &vector));
	}
	vector.n_values = 0;
	assert_fails(
	    f->store, STORE_EINVAL, "between 1 and", store_set_vector(f->store, id, &vector));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(words_match_at_their_beginning),
		TEST(what_is_typed_is_never_search_syntax),
		TEST(words_of_signs_are_found_too),
		TEST(the_index_follows_every_change),
		TEST(filters_narrow_the_search),
		TEST(an_unscored_adapter_is_not_above_or_below),
		TEST(bad_filters_say_what_they_need),
		TEST(too_much_search_is_refused),
		TEST(whatever_is_typed_is_answered_or_refused),
		cmocka_unit_test(every_filter_is_known_by_name),
		TEST(each_order_puts_first_what_it_says),
		TEST(pages_join_up_to_the_whole),
		TEST(another_process_s_change_is_seen),
		TEST(nearness_ranks_by_cosine),
		TEST(the_nearest_to_a_row_is_its_twin),
		TEST(encoders_do_not_mix),
		TEST(vectors_without_direction_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
