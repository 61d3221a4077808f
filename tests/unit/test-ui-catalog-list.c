/* test-ui-catalog-list.c - searching, scrolling, marking and what a changed catalog does to them.
 */

#include "tests/unit/test-store-fixture.h"

#include "ui/catalog-list.h"

/* Asks what the list wants to know, as the workbench's thread for questions does. True when it
 * wanted something. */
static bool
settle(struct catalog_list *list)
{
	struct catalog_query query;
	bool any = false;

	while (catalog_list_query(list, &query)) {
		struct store_adapters *page = NULL;

		if (store_search(list->store, &query.query, &page) != STORE_OK)
			page = NULL;
		catalog_list_done(
		    list, query.number, page, page == NULL ? store_error(list->store) : "");
		catalog_query_free(&query);
		any = true;
	}
	assert_false(list->awaited);
	return any;
}

static struct catalog_list *
list_of(void **state)
{
	static struct catalog_list list;
	struct fixture *fixture = *state;

	assert_true(catalog_list_open(&list, fixture->store));
	catalog_list_set_height(&list, 10);
	assert_true(settle(&list));
	return &list;
}

/* N adapters word-0, word-1, ...; the last one is the newest. */
static void
add_many(struct store *store, const char *word, int n)
{
	for (int i = 0; i < n; i++) {
		char name[64];
		struct store_new adapter;

		snprintf(name, sizeof name, "%s-%d", word, i);
		adapter = adapter_of(name, word, "same");
		adapter.created_ms = 1000 + i;
		adapter.rank = i % 2 == 0 ? 4 : 8;
		add(store, adapter);
	}
}

static const char *
name_at(struct catalog_list *list, size_t index)
{
	const struct store_adapter *row = catalog_list_row(list, index);

	if (row == NULL && settle(list))
		row = catalog_list_row(list, index);
	return row != NULL ? row->name : "(none)";
}

static void
an_empty_catalog_has_no_rows(void **state)
{
	struct catalog_list *list = list_of(state);

	assert_int_equal(list->n_rows, 0);
	assert_null(catalog_list_current(list));
	catalog_list_move(list, 5);
	catalog_list_move(list, -5);
	assert_int_equal(list->cursor, 0);
	assert_string_equal(list->message, "");
	catalog_list_close(list);
}

static void
every_row_of_a_large_catalog_is_reached(void **state)
{
	struct fixture *fixture = *state;
	struct catalog_list *list;
	char name[64];

	add_many(fixture->store, "row", 300);
	list = list_of(state);
	assert_int_equal(list->n_rows, 300);
	for (int i = 0; i < 300; i++) {
		snprintf(name, sizeof name, "row-%d", 299 - i);
		assert_string_equal(name_at(list, (size_t)i), name);
	}
	assert_string_equal(name_at(list, 300), "(none)");
	assert_string_equal(name_at(list, 150), "row-149");
	assert_string_equal(name_at(list, 0), "row-299");
	catalog_list_close(list);
}

static void
the_cursor_stays_in_sight_and_in_range(void **state)
{
	struct fixture *fixture = *state;
	struct catalog_list *list;

	add_many(fixture->store, "row", 30);
	list = list_of(state);
	catalog_list_move(list, 9);
	assert_int_equal(list->top, 0);
	catalog_list_move(list, 1);
	assert_int_equal(list->top, 1);
	catalog_list_move(list, 1000);
	assert_int_equal(list->cursor, 29);
	assert_int_equal(list->top, 20);
	catalog_list_set_height(list, 25);
	assert_int_equal(list->top, 5);
	catalog_list_set_height(list, 3);
	assert_int_equal(list->cursor, 29);
	assert_int_equal(list->top, 27);
	catalog_list_move(list, -1000);
	assert_int_equal(list->cursor, 0);
	assert_int_equal(list->top, 0);
	catalog_list_close(list);
}

static void
a_refused_search_keeps_the_rows_and_says_why(void **state)
{
	struct fixture *fixture = *state;
	struct catalog_list *list;

	add_many(fixture->store, "upper", 3);
	add_many(fixture->store, "lower", 2);
	list = list_of(state);
	catalog_list_search(list, "upp");
	assert_true(settle(list));
	assert_int_equal(list->n_rows, 3);
	catalog_list_search(list, "rank>many");
	assert_true(settle(list));
	assert_non_null(strstr(list->message, "a number"));
	assert_int_equal(list->n_rows, 3);
	assert_string_equal(name_at(list, 0), "upper-2");
	assert_string_equal(list->shown.text, "upp");
	catalog_list_search(list, "low rank>4");
	assert_true(settle(list));
	assert_string_equal(list->message, "");
	assert_int_equal(list->n_rows, 1);
	catalog_list_close(list);
}

static void
the_base_narrows_every_search(void **state)
{
	struct fixture *fixture = *state;
	struct store_new other = adapter_of("elsewhere", "upper", "other");
	struct catalog_list *list;

	add_many(fixture->store, "upper", 2);
	other.base_name = "big 1b";
	add(fixture->store, other);
	list = list_of(state);
	assert_true(catalog_list_base(list, "big 1b"));
	assert_true(settle(list));
	assert_int_equal(list->n_rows, 1);
	catalog_list_search(list, "upper");
	assert_true(settle(list));
	assert_string_equal(name_at(list, 0), "elsewhere");
	assert_false(catalog_list_base(list, "a\"b"));
	assert_string_equal(list->shown.base, "big 1b");
	assert_true(catalog_list_base(list, NULL));
	assert_true(settle(list));
	assert_int_equal(list->n_rows, 3);
	catalog_list_close(list);
}

static void
orders_follow_each_other_and_come_round(void **state)
{
	struct fixture *fixture = *state;
	struct catalog_list *list;

	add_many(fixture->store, "row", 2);
	list = list_of(state);
	catalog_list_sort(list, 1);
	assert_true(settle(list));
	assert_int_equal(list->shown.sort, STORE_SORT_OLDEST);
	assert_string_equal(name_at(list, 0), "row-0");
	catalog_list_sort(list, -1);
	assert_true(settle(list));
	catalog_list_sort(list, -1);
	assert_true(settle(list));
	assert_int_equal(list->shown.sort, STORE_SORT_NEAREST - 1);
	catalog_list_sort(list, 1);
	assert_true(settle(list));
	assert_int_equal(list->shown.sort, STORE_SORT_NEWEST);
	catalog_list_close(list);
}

static void
what_another_process_adds_leaves_the_cursor_on_its_adapter(void **state)
{
	struct fixture *fixture = *state;
	struct store *other = open_at(fixture->home);
	struct catalog_list *list;

	add_many(fixture->store, "row", 20);
	list = list_of(state);
	catalog_list_refresh(list, false);
	assert_false(settle(list));
	catalog_list_move(list, 12);
	assert_string_equal(catalog_list_current(list)->name, "row-7");
	add_named(other, "new", "new");
	catalog_list_refresh(list, false);
	assert_true(settle(list));
	assert_string_equal(catalog_list_current(list)->name, "row-7");
	assert_int_equal(list->cursor, 13);
	assert_int_equal(list->top, 4);
	assert_string_equal(name_at(list, 0), "new");
	catalog_list_refresh(list, false);
	assert_false(settle(list));
	catalog_list_close(list);
	store_close(other);
}

static void
what_goes_to_the_trash_leaves_the_list_and_the_marks(void **state)
{
	struct fixture *fixture = *state;
	struct catalog_list *list;
	int64_t last, first;
	size_t n;
	int64_t *ids;

	add_many(fixture->store, "row", 3);
	list = list_of(state);
	first = catalog_list_row(list, 0)->id;
	last = catalog_list_row(list, 2)->id;
	catalog_list_mark(list, first, true);
	catalog_list_mark(list, last, true);
	catalog_list_mark(list, last, true);
	catalog_list_move(list, 2);
	assert_ok(fixture->store, store_trash(fixture->store, &last, 1));
	catalog_list_refresh(list, false);
	assert_true(settle(list));
	assert_int_equal(list->n_rows, 2);
	assert_int_equal(list->cursor, 1);
	ids = catalog_list_targets(list, &n);
	assert_int_equal(n, 1);
	assert_int_equal(ids[0], first);
	free(ids);
	catalog_list_trash(list, true);
	assert_true(settle(list));
	assert_int_equal(list->n_rows, 1);
	assert_int_equal(list->n_marks, 0);
	assert_int_equal(catalog_list_current(list)->id, last);
	catalog_list_close(list);
}

static void
without_marks_the_row_under_the_cursor_is_meant(void **state)
{
	struct fixture *fixture = *state;
	struct catalog_list *list = list_of(state);
	size_t n;
	int64_t *ids;

	assert_null(catalog_list_targets(list, &n));
	add_many(fixture->store, "row", 3);
	catalog_list_refresh(list, false);
	assert_true(settle(list));
	catalog_list_move(list, 1);
	ids = catalog_list_targets(list, &n);
	assert_int_equal(n, 1);
	assert_int_equal(ids[0], catalog_list_current(list)->id);
	free(ids);
	catalog_list_close(list);
}

static void
rows_near_a_sentence_or_a_row_come_nearest_first(void **state)
{
	static const float units[3][2] = { { 1, 0 }, { 0.6f, 0.8f }, { 0, 1 } };
	struct fixture *fixture = *state;
	struct store_vector vector = { "e0", NULL, 2 };
	struct catalog_list *list;
	int64_t first = 0;

	for (int i = 0; i < 3; i++) {
		char name[8] = { 'r', (char)('0' + i), '\0' };
		struct store_new adapter = adapter_of(name, "task", name);
		int64_t id;

		vector.values = units[i];
		adapter.vector = &vector;
		id = add(fixture->store, adapter);
		first = i == 0 ? id : first;
	}
	list = list_of(state);
	catalog_list_sort(list, 1);
	assert_true(settle(list));
	vector.values = units[2];
	catalog_list_near_vector(list, &vector, "a sentence");
	assert_string_equal(name_at(list, 0), "r0"); /* the last rows stay for so long */
	assert_true(settle(list));
	assert_string_equal(name_at(list, 0), "r2");
	assert_string_equal(name_at(list, 2), "r0");
	assert_float_equal(catalog_list_row(list, 1)->nearness, 0.8, 0.001);
	catalog_list_search(list, "rank>");
	assert_true(settle(list));
	assert_true(list->message[0] != '\0');
	assert_int_equal(list->n_rows, 3);
	catalog_list_search(list, "name:r1");
	assert_true(settle(list));
	assert_int_equal(list->n_rows, 1);
	catalog_list_search(list, "");
	assert_true(settle(list));
	catalog_list_near_row(list, first, "r0");
	assert_true(settle(list));
	assert_int_equal(list->n_rows, 2);
	assert_string_equal(name_at(list, 0), "r1");
	catalog_list_far(list);
	assert_true(settle(list));
	assert_int_equal(list->shown.sort, STORE_SORT_OLDEST);
	assert_null(list->shown.near_label);
	/* A row without an embedding is near to nothing: the list stays as it was. */
	first = add_named(fixture->store, "plain", "no vector");
	catalog_list_near_row(list, first, "plain");
	assert_true(settle(list));
	assert_true(list->message[0] != '\0');
	catalog_list_refresh(list, false);
	assert_true(settle(list));
	assert_int_equal(list->n_rows, 4);
	assert_int_equal(list->shown.sort, STORE_SORT_OLDEST);
	catalog_list_close(list);
}

/* What a thread brings late must not take the place of what was asked after it. */
static void
only_the_last_search_counts_whatever_comes_first(void **state)
{
	struct fixture *fixture = *state;
	struct catalog_query first, second;
	struct store_adapters *page;
	struct catalog_list *list;

	add_many(fixture->store, "upper", 3);
	add_many(fixture->store, "lower", 2);
	list = list_of(state);
	catalog_list_search(list, "upper");
	assert_true(catalog_list_query(list, &first));
	assert_false(catalog_list_query(list, &second));
	catalog_list_search(list, "lower");
	assert_true(catalog_list_query(list, &second));
	assert_ok(list->store, store_search(list->store, &second.query, &page));
	catalog_list_done(list, second.number, page, "");
	assert_ok(list->store, store_search(list->store, &first.query, &page));
	catalog_list_done(list, first.number, page, "");
	assert_string_equal(list->shown.text, "lower");
	assert_int_equal(list->n_rows, 2);
	catalog_query_free(&first);
	catalog_query_free(&second);
	/* Rows of the search before are not taken for those of one that is about to be asked. */
	catalog_list_search(list, "upper");
	assert_true(catalog_list_query(list, &first));
	assert_ok(list->store, store_search(list->store, &first.query, &page));
	catalog_list_search(list, "nothing");
	catalog_list_done(list, first.number, page, "");
	assert_string_equal(list->shown.text, "lower");
	catalog_query_free(&first);
	assert_true(settle(list));
	assert_string_equal(list->shown.text, "nothing");
	assert_int_equal(list->n_rows, 0);
	catalog_list_close(list);
}

/* Else a screen that asks at every drawing would never rest. */
static void
rows_that_cannot_be_read_are_not_asked_for_again_and_again(void **state)
{
	struct fixture *fixture = *state;
	struct catalog_query query;
	struct catalog_list *list;

	add_many(fixture->store, "row", 600);
	list = list_of(state);
	assert_null(catalog_list_row(list, 500));
	assert_true(catalog_list_query(list, &query));
	catalog_list_done(list, query.number, NULL, "cannot read");
	catalog_query_free(&query);
	assert_string_equal(list->message, "cannot read");
	assert_null(catalog_list_row(list, 500));
	assert_false(catalog_list_query(list, &query));
	catalog_list_move_to(list, 500);
	assert_string_equal(name_at(list, 500), "row-99");
	catalog_list_close(list);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_empty_catalog_has_no_rows),
		TEST(every_row_of_a_large_catalog_is_reached),
		TEST(the_cursor_stays_in_sight_and_in_range),
		TEST(a_refused_search_keeps_the_rows_and_says_why),
		TEST(the_base_narrows_every_search),
		TEST(orders_follow_each_other_and_come_round),
		TEST(what_another_process_adds_leaves_the_cursor_on_its_adapter),
		TEST(what_goes_to_the_trash_leaves_the_list_and_the_marks),
		TEST(without_marks_the_row_under_the_cursor_is_meant),
		TEST(rows_near_a_sentence_or_a_row_come_nearest_first),
		TEST(only_the_last_search_counts_whatever_comes_first),
		TEST(rows_that_cannot_be_read_are_not_asked_for_again_and_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
