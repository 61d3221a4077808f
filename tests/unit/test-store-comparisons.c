/* test-store-comparisons.c - outputs side by side, votes that count, evaluations. */

#include "test-store-fixture.h"

static struct store_output
output_of(const char *label, int64_t adapter, const char *text)
{
	return (struct store_output){ .label = label,
		.adapter = adapter,
		.text = text,
		.text_bytes = strlen(text),
		.n_tokens = 5,
		.prefill_ms = 8.25,
		.decode_ms = 23.5,
		.finish = "stop" };
}

static int64_t
compare(struct store *store, const char *prompt, struct store_output *outputs, size_t n)
{
	struct store_comparison comparison = { .base_name = "demo-6m",
		.prompt = prompt,
		.settings = "{\"temperature\":0}",
		.outputs = outputs,
		.n_outputs = n };
	int64_t id;

	assert_ok(store, store_comparison_add(store, &comparison, &id));
	return id;
}

static void
a_comparison_comes_back_as_it_was_kept(void **state)
{
	struct fixture *f = *state;
	int64_t a = add_named(f->store, "a", "task");
	struct store_output outputs[] = { output_of("A", a, "CASA"), output_of("base", 0, "") };
	struct store_comparison *back;
	int64_t id;

	outputs[1].mix = "0.5*a + 0.5*b";
	outputs[1].text = "\xff nul \0 inside";
	outputs[1].text_bytes = 14;
	id = compare(f->store, "house\n", outputs, 2);
	assert_ok(f->store, store_comparison_get(f->store, id, &back));
	assert_string_equal(back->prompt, "house\n");
	assert_string_equal(back->base_name, "demo-6m");
	assert_string_equal(back->settings, "{\"temperature\":0}");
	assert_true(back->created_ms > 0);
	assert_int_equal(back->vote, STORE_NO_VOTE);
	assert_int_equal(back->n_outputs, 2);
	assert_string_equal(back->outputs[0].label, "A");
	assert_string_equal(back->outputs[0].text, "CASA");
	assert_int_equal(back->outputs[0].adapter, a);
	assert_int_equal(back->outputs[0].n_tokens, 5);
	assert_true(back->outputs[0].prefill_ms == 8.25 && back->outputs[0].decode_ms == 23.5);
	assert_string_equal(back->outputs[0].finish, "stop");
	assert_int_equal(back->outputs[1].adapter, 0);
	assert_string_equal(back->outputs[1].mix, "0.5*a + 0.5*b");
	assert_int_equal(back->outputs[1].text_bytes, 14);
	assert_memory_equal(back->outputs[1].text, "\xff nul \0 inside", 15);
	store_free(back);
}

static void
comparisons_are_listed_newest_first_and_filtered(void **state)
{
	struct fixture *f = *state;
	int64_t a = add_named(f->store, "a", "task");
	struct store_output with = output_of("A", a, "CASA"), without = output_of("B", 0, "casa");
	struct store_comparisons *all;
	int64_t first = compare(f->store, "house", &with, 1);
	int64_t second = compare(f->store, "tree", &without, 1);

	assert_ok(f->store, store_comparisons(f->store, NULL, 0, 0, 10, &all));
	assert_int_equal(all->n_rows, 2);
	assert_int_equal(all->rows[0].id, second);
	assert_string_equal(all->rows[1].outputs[0].text, "CASA");
	store_free(all);
	assert_ok(f->store, store_comparisons(f->store, "CAS", 0, 0, 10, &all));
	assert_int_equal(all->n_matching, 1);
	assert_int_equal(all->rows[0].id, first);
	store_free(all);
	assert_ok(f->store, store_comparisons(f->store, "tre", 0, 0, 10, &all));
	assert_int_equal(all->rows[0].id, second);
	store_free(all);
	assert_ok(f->store, store_comparisons(f->store, NULL, a, 0, 10, &all));
	assert_int_equal(all->n_rows, 1);
	store_free(all);
	assert_ok(f->store, store_comparisons(f->store, NULL, 0, 1, 10, &all));
	assert_int_equal(all->n_matching, 2);
	assert_int_equal(all->n_rows, 1);
	assert_int_equal(all->rows[0].id, first);
	store_free(all);
}

static void
assert_record(struct store *store, int64_t id, unsigned wins, unsigned losses, unsigned ties)
{
	struct store_adapter *row;

	assert_ok(store, store_get(store, id, &row));
	assert_int_equal(row->wins, wins);
	assert_int_equal(row->losses, losses);
	assert_int_equal(row->ties, ties);
	store_free(row);
}

static void
votes_count_wins_losses_and_ties(void **state)
{
	struct fixture *f = *state;
	int64_t a = add_named(f->store, "a", "task"), b = add_named(f->store, "b", "task");
	struct store_output outputs[] = { output_of("A", a, "x"), output_of("B", b, "y"),
		output_of("base", 0, "z"), output_of("D", a, "w") };
	struct store_comparison *back;
	int64_t one = compare(f->store, "p", outputs, 4), two = compare(f->store, "q", outputs, 4);

	assert_ok(f->store, store_vote(f->store, one, 3));
	assert_record(f->store, a, 1, 0, 0);
	assert_record(f->store, b, 0, 1, 0);
	assert_ok(f->store, store_vote(f->store, two, 2));
	assert_record(f->store, a, 1, 1, 0);
	assert_record(f->store, b, 0, 2, 0);
	assert_ok(f->store, store_vote(f->store, two, STORE_TIE));
	assert_record(f->store, a, 1, 0, 1);
	assert_record(f->store, b, 0, 1, 1);
	assert_ok(f->store, store_comparison_get(f->store, one, &back));
	assert_int_equal(back->vote, 3);
	store_free(back);
	assert_ok(f->store, store_comparison_get(f->store, two, &back));
	assert_int_equal(back->vote, STORE_TIE);
	store_free(back);
	assert_ok(f->store, store_vote(f->store, two, STORE_NO_VOTE));
	assert_record(f->store, a, 1, 0, 0);
	assert_fails(f->store, STORE_EINVAL, "no lane 5", store_vote(f->store, one, 4));
	assert_fails(f->store, STORE_EINVAL, "no lane", store_vote(f->store, one, -3));
	assert_fails(f->store, STORE_ENOENT, "no comparison 99", store_vote(f->store, 99, 0));
	assert_record(f->store, a, 1, 0, 0);
	assert_ok(f->store, store_comparison_remove(f->store, one));
	assert_record(f->store, a, 0, 0, 0);
	assert_record(f->store, b, 0, 0, 0);
}

static void
the_most_wins_come_first(void **state)
{
	struct fixture *f = *state;
	int64_t a = add_named(f->store, "a", "task"), b = add_named(f->store, "b", "task");
	struct store_output outputs[] = { output_of("A", a, "x"), output_of("B", b, "y") };
	struct store_query query = { .sort = STORE_SORT_WINS, .limit = 5, .text = "wins>0" };
	struct store_adapters *page;

	assert_ok(f->store, store_vote(f->store, compare(f->store, "p", outputs, 2), 0));
	assert_ok(f->store, store_search(f->store, &query, &page));
	assert_int_equal(page->n_rows, 1);
	assert_int_equal(page->rows[0].id, a);
	store_free(page);
	query.text = NULL;
	assert_ok(f->store, store_search(f->store, &query, &page));
	assert_int_equal(page->rows[0].id, a);
	store_free(page);
}

static void
a_purged_adapter_leaves_its_outputs(void **state)
{
	struct fixture *f = *state;
	int64_t a = add_named(f->store, "a", "task");
	struct store_output output = output_of("a", a, "text");
	int64_t id = compare(f->store, "p", &output, 1);
	struct store_comparison *back;

	assert_ok(f->store, store_vote(f->store, id, 0));
	assert_ok(f->store, store_trash(f->store, &a, 1));
	/* One in the trash may still be in a lane. */
	assert_ok(f->store, store_vote(f->store, compare(f->store, "q", &output, 1), STORE_TIE));
	assert_ok(f->store, store_purge(f->store, INT64_MAX, NULL));
	assert_ok(f->store, store_comparison_get(f->store, id, &back));
	assert_int_equal(back->outputs[0].adapter, 0);
	assert_string_equal(back->outputs[0].label, "a");
	assert_string_equal(back->outputs[0].text, "text");
	store_free(back);
}

static void
a_comparison_that_cannot_be_kept_whole_is_not_kept(void **state)
{
	struct fixture *f = *state;
	struct store_output outputs[] = { output_of("A", 0, "x"), output_of("B", 77, "y") };
	struct store_comparison comparison = { .prompt = "p", .outputs = outputs, .n_outputs = 2 };
	struct store_comparisons *all;
	int64_t id = 5;

	assert_fails(f->store, STORE_ENOENT, "no adapter 77",
	    store_comparison_add(f->store, &comparison, &id));
	assert_int_equal(id, 5);
	assert_ok(f->store, store_comparisons(f->store, NULL, 0, 0, 10, &all));
	assert_int_equal(all->n_matching, 0);
	store_free(all);
}

static void
evaluations_are_listed_by_adapter_and_suite(void **state)
{
	struct fixture *f = *state;
	int64_t a = add_named(f->store, "a", "task");
	struct store_evaluation one = { .adapter = a,
		.suite = "demo",
		.group = "seen",
		.method = "t2l-train",
		.n = 100,
		.n_correct = 93 };
	struct store_evaluation two = { .subject = "demo-6m",
		.suite = "demo",
		.group = "seen",
		.method = "base",
		.n = 100,
		.n_correct = 10 };
	struct store_evaluations *all;
	int64_t id;

	assert_ok(f->store, store_evaluation_add(f->store, &one, &id));
	assert_ok(f->store, store_evaluation_add(f->store, &two, NULL));
	assert_ok(f->store, store_evaluations(f->store, a, NULL, 10, &all));
	assert_int_equal(all->n_rows, 1);
	assert_int_equal(all->rows[0].id, id);
	assert_int_equal(all->rows[0].n_correct, 93);
	assert_string_equal(all->rows[0].group, "seen");
	store_free(all);
	assert_ok(f->store, store_evaluations(f->store, 0, "demo", 10, &all));
	assert_int_equal(all->n_rows, 2);
	assert_string_equal(all->rows[0].subject, "demo-6m");
	assert_string_equal(all->rows[0].method, "base");
	store_free(all);
	assert_ok(f->store, store_evaluations(f->store, 0, "other", 10, &all));
	assert_int_equal(all->n_rows, 0);
	store_free(all);
	one.n_correct = 101;
	assert_fails(
	    f->store, STORE_EINVAL, "101 of 100", store_evaluation_add(f->store, &one, NULL));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_comparison_comes_back_as_it_was_kept),
		TEST(comparisons_are_listed_newest_first_and_filtered),
		TEST(votes_count_wins_losses_and_ties),
		TEST(the_most_wins_come_first),
		TEST(a_purged_adapter_leaves_its_outputs),
		TEST(a_comparison_that_cannot_be_kept_whole_is_not_kept),
		TEST(evaluations_are_listed_by_adapter_and_suite),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
