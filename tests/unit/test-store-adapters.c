/* test-store-adapters.c - keeping, naming, tagging, deleting and relating adapters. */

#include <sys/stat.h>

#include "base/hash.h"
#include "test-store-fixture.h"

static void
an_adapter_comes_back_as_it_was_kept(void **state)
{
	struct fixture *f = *state;
	const char *tags[] = { "spanish", "demo" };
	struct store_new adapter =
	    adapter_of("es-upper", "translate,\nin \x1b[31mcapitals", "CONTENT");
	char hash[HASH_HEX_SIZE], path[512];
	struct store_adapter *row;
	struct store_added added;
	struct stat st;

	adapter.tags = tags;
	adapter.n_tags = 2;
	adapter.note = "a note";
	adapter.rslora = true;
	adapter.source = STORE_TRAINED;
	adapter.created_ms = 1700000000123;
	adapter.score = 0.93;
	adapter.generation_ms = 31.5;
	assert_ok(f->store, store_add(f->store, &adapter, &added));
	hash_sha256_hex("CONTENT", 7, hash);
	snprintf(path, sizeof path, "%s/adapters/%.2s/%s.safetensors", f->home, hash, hash);
	assert_string_equal(added.hash, hash);
	assert_int_equal(added.twin, 0);
	assert_ok(f->store, store_get(f->store, added.id, &row));
	assert_string_equal(row->name, "es-upper");
	assert_string_equal(row->task, adapter.task);
	assert_string_equal(row->base_name, "demo-6m");
	assert_string_equal(row->base_fingerprint, "b0b0");
	assert_string_equal(row->hypernet_name, "demo-L");
	assert_string_equal(row->hypernet_fingerprint, "");
	assert_string_equal(row->encoder_name, "minilm");
	assert_string_equal(row->modules, "q_proj,v_proj");
	assert_string_equal(row->note, "a note");
	assert_string_equal(row->hash, hash);
	assert_string_equal(row->path, path);
	assert_int_equal(row->size_bytes, 7);
	assert_int_equal(row->rank, 8);
	assert_true(row->rslora);
	assert_true(row->alpha == 16 && row->scale == 2 && row->score == 0.93);
	assert_true(row->generation_ms == 31.5);
	assert_int_equal(row->source, STORE_TRAINED);
	assert_int_equal(row->created_ms, 1700000000123);
	assert_int_equal(row->trashed_ms, 0);
	assert_int_equal(row->n_tags, 2);
	assert_string_equal(row->tags[0], "demo");
	assert_string_equal(row->tags[1], "spanish");
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, 7);
	store_free(row);
}

static void
a_file_is_copied_in(void **state)
{
	struct fixture *f = *state;
	struct store_new adapter = adapter_of("big", "task", "");
	char source[512], hash[HASH_HEX_SIZE], kept[HASH_HEX_SIZE];
	struct store_adapter *row;

	run("head -c 300001 /dev/urandom > '%s/source'", f->home);
	snprintf(source, sizeof source, "%s/source", f->home);
	adapter.file = source;
	assert_ok(f->store, store_get(f->store, add(f->store, adapter), &row));
	assert_int_equal(hash_sha256_file(source, hash), 0);
	assert_int_equal(hash_sha256_file(row->path, kept), 0);
	assert_string_equal(hash, row->hash);
	assert_string_equal(hash, kept);
	assert_int_equal(row->size_bytes, 300001);
	store_free(row);
}

static void
bad_content_is_refused_with_its_name(void **state)
{
	struct fixture *f = *state;
	struct store_new adapter = adapter_of("x", "task", "");
	struct store_added added;

	assert_fails(f->store, STORE_EINVAL, "no content", store_add(f->store, &adapter, &added));
	adapter.file = "/nonexistent/file";
	assert_fails(
	    f->store, STORE_ENOENT, "/nonexistent/file", store_add(f->store, &adapter, &added));
	adapter.file = "/dev/null";
	assert_fails(
	    f->store, STORE_EINVAL, "not a regular file", store_add(f->store, &adapter, &added));
	assert_int_equal(added.id, 0);
}

static void
a_taken_name_is_refused_or_made_unique(void **state)
{
	struct fixture *f = *state;
	struct store_new adapter = adapter_of("es-upper", "task", "2");
	struct store_added added;

	add_named(f->store, "es-upper", "task");
	assert_fails(
	    f->store, STORE_EEXISTS, "taken by adapter 1", store_add(f->store, &adapter, &added));
	adapter.uniquify = true;
	assert_ok(f->store, store_add(f->store, &adapter, &added));
	assert_string_equal(added.name, "es-upper-2");
	assert_ok(f->store, store_add(f->store, &adapter, &added));
	assert_string_equal(added.name, "es-upper-3");
	adapter.name = "es-upper-2";
	assert_ok(f->store, store_add(f->store, &adapter, &added));
	assert_string_equal(added.name, "es-upper-4");
}

static void
a_unique_name_still_fits(void **state)
{
	struct fixture *f = *state;
	char name[STORE_NAME_MAX + 1] = "";
	struct store_new adapter = adapter_of(name, "task", "1");
	struct store_added added;

	while (strlen(name) + 2 <= STORE_NAME_MAX)
		strcat(name, "é");
	adapter.uniquify = true;
	for (int i = 0; i < 12; i++)
		assert_ok(f->store, store_add(f->store, &adapter, &added));
	assert_true(strlen(added.name) <= STORE_NAME_MAX);
	assert_ok(f->store, store_check_name(f->store, added.name));
	assert_string_equal(added.name + strlen(added.name) - 3, "-12");
}

static void
names_that_would_mislead_are_refused(void **state)
{
	static const char *const bad[] = { "", " x", "x ", "a/b", "a:0.5", "a,b", "12", "#1", "-x",
		"~x", ".", "..", "base", "BASE", "a\nb", "a\x1b[2Jb", "a\x7f", "\xff\xfe", "a\xc3",
		"\xed\xa0\x80", "evil\xe2\x80\xaegnp", "\xc2\x9bmm", "a\"b" };
	struct fixture *f = *state;
	char long_name[STORE_NAME_MAX + 2];

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		if (store_check_name(f->store, bad[i]) != STORE_EINVAL)
			fail_msg("name %zu was accepted", i);
	memset(long_name, 'x', sizeof long_name - 1);
	long_name[sizeof long_name - 1] = '\0';
	assert_fails(f->store, STORE_EINVAL, "too long", store_check_name(f->store, long_name));
	long_name[STORE_NAME_MAX] = '\0';
	assert_ok(f->store, store_check_name(f->store, long_name));
	assert_ok(f->store, store_check_name(f->store, "es+upper"));
	assert_ok(f->store, store_check_name(f->store, "größer 2 日本"));
	/* The sentence itself must not carry the control characters on. */
	store_check_name(f->store, "a\x1b[2Jb");
	assert_null(strchr(store_error(f->store), '\x1b'));
}

static void
names_are_made_from_tasks(void **state)
{
	struct fixture *f = *state;
	char name[STORE_NAME_MAX + 1];
	char *long_word = calloc(1, 5001);

	assert_ok(f->store, store_suggest_name(f->store,
				"Translate the English word to Spanish, in capital letters", name));
	assert_string_equal(name, "translate-english-word-spanish");
	add_named(f->store, name, "task");
	assert_ok(f->store, store_suggest_name(f->store, "translate English word: Spanish", name));
	assert_string_equal(name, "translate-english-word-spanish-2");
	assert_ok(f->store, store_suggest_name(f->store, "the", name));
	assert_string_equal(name, "the");
	memset(long_word, 'x', 5000);
	assert_ok(f->store, store_suggest_name(f->store, long_word, name));
	assert_string_equal(name, "adapter");
	assert_ok(f->store, store_suggest_name(f->store, "\xff\xfe !!", name));
	assert_string_equal(name, "adapter");
	assert_ok(f->store, store_suggest_name(f->store, "42", name));
	assert_string_equal(name, "adapter");
	free(long_word);
}

static void
a_task_that_is_too_long_is_refused(void **state)
{
	struct fixture *f = *state;
	char *task = calloc(1, STORE_TEXT_MAX + 2);
	struct store_new adapter = adapter_of("x", task, "1");
	struct store_added added;

	memset(task, 'x', STORE_TEXT_MAX + 1);
	assert_fails(
	    f->store, STORE_EINVAL, "task description", store_add(f->store, &adapter, &added));
	task[STORE_TEXT_MAX] = '\0';
	assert_ok(f->store, store_add(f->store, &adapter, &added));
	free(task);
}

static void
equal_content_is_one_file_and_is_reported(void **state)
{
	struct fixture *f = *state;
	struct store_new adapter = adapter_of("one", "task", "SAME");
	struct store_added first, second;

	assert_ok(f->store, store_add(f->store, &adapter, &first));
	adapter.name = "two";
	assert_ok(f->store, store_add(f->store, &adapter, &second));
	assert_int_equal(second.twin, first.id);
	assert_string_equal(second.hash, first.hash);
	adapter.name = "three";
	adapter.refuse_twin = true;
	assert_fails(
	    f->store, STORE_EEXISTS, "same content", store_add(f->store, &adapter, &second));
	assert_int_equal(second.twin, first.id);
	assert_int_equal(second.id, 0);
	adapter.base_fingerprint = "another base";
	assert_ok(f->store, store_add(f->store, &adapter, &second));
	assert_int_equal(second.twin, 0);
}

static void
equal_content_in_another_file_is_a_twin(void **state)
{
	static const char content[] =
	    "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
	struct fixture *f = *state;
	struct store_new adapter = adapter_of("one", "task", "ONE FILE");
	struct store_added first, second;
	struct store_adapter *row;

	adapter.content = content;
	assert_ok(f->store, store_add(f->store, &adapter, &first));
	adapter = adapter_of("two", "another task", "ANOTHER FILE");
	adapter.content = content;
	/* A file that does not tell its base may be for this one. */
	adapter.base_fingerprint = "";
	adapter.refuse_twin = true;
	assert_fails(
	    f->store, STORE_EEXISTS, "same content", store_add(f->store, &adapter, &second));
	assert_int_equal(second.twin, first.id);
	adapter.base_fingerprint = "another base";
	assert_ok(f->store, store_add(f->store, &adapter, &second));
	assert_int_equal(second.twin, 0);
	assert_ok(f->store, store_find(f->store, "0011223344", &row));
	assert_int_equal(row->id, first.id);
	assert_string_equal(row->content, content);
	store_free(row);
	/* What nobody knows is nobody's twin. */
	adapter = adapter_of("three", "task", "A THIRD FILE");
	assert_ok(f->store, store_add(f->store, &adapter, &first));
	adapter = adapter_of("four", "task", "A FOURTH FILE");
	assert_ok(f->store, store_add(f->store, &adapter, &second));
	assert_int_equal(second.twin, 0);
	adapter.name = "five";
	adapter.content = "no hash";
	assert_fails(f->store, STORE_EINVAL, "no hash", store_add(f->store, &adapter, &second));
}

static void
a_content_can_be_noted_later(void **state)
{
	static const char content[] =
	    "ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100";
	struct fixture *f = *state;
	struct store_new adapter = adapter_of("old", "task", "ONE FILE");
	struct store_added first, second;
	struct store_ids *ids;

	assert_ok(f->store, store_add(f->store, &adapter, &first));
	assert_ok(f->store, store_without_content(f->store, 10, &ids));
	assert_int_equal(ids->n_rows, 1);
	assert_int_equal(ids->rows[0], first.id);
	store_free(ids);
	assert_ok(f->store, store_set_content(f->store, first.id, content));
	assert_ok(f->store, store_without_content(f->store, 10, &ids));
	assert_int_equal(ids->n_rows, 0);
	store_free(ids);
	adapter = adapter_of("new", "task", "ANOTHER FILE");
	adapter.content = content;
	assert_ok(f->store, store_add(f->store, &adapter, &second));
	assert_int_equal(second.twin, first.id);
	assert_fails(
	    f->store, STORE_ENOENT, "no adapter", store_set_content(f->store, 4711, content));
}

static void
adapters_are_found_by_name_id_and_hash(void **state)
{
	struct fixture *f = *state;
	struct store_adapter *row;
	char hash[HASH_HEX_SIZE];
	int64_t id = add_named(f->store, "translate-es", "task");

	hash_sha256_hex("translate-es", 12, hash);
	hash[10] = '\0';
	assert_ok(f->store, store_find(f->store, "translate-es", &row));
	assert_int_equal(row->id, id);
	store_free(row);
	assert_ok(f->store, store_find(f->store, "#1", &row));
	assert_int_equal(row->id, id);
	store_free(row);
	assert_ok(f->store, store_find(f->store, hash, &row));
	assert_int_equal(row->id, id);
	store_free(row);
	assert_fails(f->store, STORE_ENOENT, "did you mean 'translate-es'",
	    store_find(f->store, "translat-es", &row));
	assert_fails(f->store, STORE_ENOENT, "catalog list", store_find(f->store, "zzz", &row));
	assert_fails(f->store, STORE_ENOENT, "no adapter 99", store_find(f->store, "99", &row));
}

static void
renaming_keeps_names_unique(void **state)
{
	struct fixture *f = *state;
	int64_t one = add_named(f->store, "one", "task");
	int64_t two = add_named(f->store, "two", "task");
	struct store_adapter *row;

	assert_fails(f->store, STORE_EEXISTS, "'one' is taken", store_rename(f->store, two, "one"));
	assert_fails(f->store, STORE_EINVAL, "a/b", store_rename(f->store, two, "a/b"));
	assert_ok(f->store, store_rename(f->store, one, "one"));
	assert_ok(f->store, store_rename(f->store, one, "uno"));
	assert_ok(f->store, store_rename(f->store, two, "one"));
	assert_ok(f->store, store_find(f->store, "one", &row));
	assert_int_equal(row->id, two);
	store_free(row);
	assert_fails(f->store, STORE_ENOENT, "no adapter 77", store_rename(f->store, 77, "x"));
}

static void
notes_scores_favourites_and_use_are_kept(void **state)
{
	struct fixture *f = *state;
	int64_t id = add_named(f->store, "one", "task");
	struct store_adapter *row;

	assert_ok(f->store, store_set_note(f->store, id, "line 1\nline 2"));
	assert_ok(f->store, store_set_favourite(f->store, id, true));
	assert_ok(f->store, store_set_score(f->store, id, 0.0));
	assert_ok(f->store, store_touch(f->store, &id, 1));
	assert_ok(f->store, store_touch(f->store, &id, 1));
	assert_ok(f->store, store_get(f->store, id, &row));
	assert_string_equal(row->note, "line 1\nline 2");
	assert_true(row->favourite);
	assert_true(row->score == 0);
	assert_int_equal(row->uses, 2);
	assert_true(row->used_ms >= row->created_ms);
	store_free(row);
	assert_ok(f->store, store_set_score(f->store, id, NAN));
	assert_ok(f->store, store_get(f->store, id, &row));
	assert_true(isnan(row->score));
	store_free(row);
	assert_fails(f->store, STORE_EINVAL, "infinite", store_set_score(f->store, id, INFINITY));
}

static void
tags_are_added_removed_and_counted(void **state)
{
	struct fixture *f = *state;
	int64_t ids[] = { add_named(f->store, "one", "task"), add_named(f->store, "two", "task") };
	struct store_adapter *row;
	struct store_tags *tags;

	assert_ok(f->store, store_tag(f->store, ids, 2, "demo"));
	assert_ok(f->store, store_tag(f->store, ids, 1, "spanish"));
	assert_ok(f->store, store_tag(f->store, ids, 1, "spanish"));
	assert_fails(f->store, STORE_EINVAL, "one word", store_tag(f->store, ids, 1, "two words"));
	assert_ok(f->store, store_tags(f->store, &tags));
	assert_int_equal(tags->n_rows, 2);
	assert_string_equal(tags->rows[0].name, "demo");
	assert_int_equal(tags->rows[0].n_adapters, 2);
	assert_int_equal(tags->rows[1].n_adapters, 1);
	store_free(tags);
	assert_ok(f->store, store_trash(f->store, &ids[1], 1));
	assert_ok(f->store, store_untag(f->store, ids, 1, "spanish"));
	assert_ok(f->store, store_untag(f->store, ids, 1, "never-there"));
	assert_ok(f->store, store_tags(f->store, &tags));
	assert_int_equal(tags->n_rows, 1);
	assert_int_equal(tags->rows[0].n_adapters, 1);
	store_free(tags);
	assert_ok(f->store, store_get(f->store, ids[0], &row));
	assert_int_equal(row->n_tags, 1);
	assert_string_equal(row->tags[0], "demo");
	store_free(row);
}

static void
a_call_on_many_changes_all_or_none(void **state)
{
	struct fixture *f = *state;
	int64_t ids[] = { add_named(f->store, "one", "task"), 99 };
	struct store_adapter *row;

	assert_fails(f->store, STORE_ENOENT, "99", store_tag(f->store, ids, 2, "demo"));
	assert_fails(f->store, STORE_ENOENT, "99", store_trash(f->store, ids, 2));
	assert_ok(f->store, store_get(f->store, ids[0], &row));
	assert_int_equal(row->n_tags, 0);
	assert_int_equal(row->trashed_ms, 0);
	store_free(row);
}

static void
undo_takes_back_one_step_of_the_trash_at_a_time(void **state)
{
	struct fixture *f = *state;
	int64_t ids[] = { add_named(f->store, "one", "task"), add_named(f->store, "two", "task"),
		add_named(f->store, "three", "task") };
	struct store_ids *revived;
	struct store_adapter *row;

	assert_ok(f->store, store_trash(f->store, ids, 2));
	assert_ok(f->store, store_trash(f->store, &ids[2], 1));
	assert_fails(f->store, STORE_ENOENT, "trash", store_set_note(f->store, ids[0], "note"));
	assert_fails(f->store, STORE_ENOENT, "no adapter 'one'", store_find(f->store, "one", &row));
	add_named(f->store, "two", "another");
	assert_ok(f->store, store_undo(f->store, &revived));
	assert_int_equal(revived->n_rows, 1);
	assert_int_equal(revived->rows[0], ids[2]);
	store_free(revived);
	assert_ok(f->store, store_undo(f->store, &revived));
	assert_int_equal(revived->n_rows, 2);
	store_free(revived);
	assert_ok(f->store, store_get(f->store, ids[1], &row));
	assert_string_equal(row->name, "two-2");
	store_free(row);
	assert_fails(f->store, STORE_ENOENT, "nothing to undo", store_undo(f->store, &revived));
}

static void
what_is_purged_is_gone_and_its_id_is_not_used_again(void **state)
{
	struct fixture *f = *state;
	int64_t id = add_named(f->store, "one", "task");
	struct store_adapter *row;
	uint64_t n;

	assert_ok(f->store, store_purge(f->store, INT64_MAX, &n));
	assert_int_equal(n, 0);
	assert_ok(f->store, store_trash(f->store, &id, 1));
	assert_ok(f->store, store_purge(f->store, INT64_MAX, &n));
	assert_int_equal(n, 1);
	assert_fails(f->store, STORE_ENOENT, "no adapter", store_get(f->store, id, &row));
	assert_true(add_named(f->store, "one", "task") > id);
}

static void
lineage_is_a_tree_in_drawing_order(void **state)
{
	struct fixture *f = *state;
	int64_t a = add_named(f->store, "a", "task"), b = add_named(f->store, "b", "task");
	struct store_parent of_ab[] = { { a, 0.5, "merge linear" }, { b, 0.25, "merge linear" } };
	struct store_new merged = adapter_of("ab", "merge", "ab");
	struct store_relatives *tree;
	struct store_parent of_abb[2];
	int64_t ab;

	merged.parents = of_ab;
	merged.n_parents = 2;
	ab = add(f->store, merged);
	of_abb[0] = (struct store_parent){ ab, 1, "merge ties" };
	of_abb[1] = (struct store_parent){ b, 2, "merge ties" };
	merged = adapter_of("abb", "merge", "abb");
	merged.parents = of_abb;
	merged.n_parents = 2;
	add(f->store, merged);
	assert_ok(f->store, store_lineage(f->store, ab + 1, STORE_ANCESTORS, 100, &tree));
	assert_int_equal(tree->n_rows, 4);
	assert_string_equal(tree->rows[0].name, "ab");
	assert_string_equal(tree->rows[1].name, "a");
	assert_int_equal(tree->rows[1].depth, 2);
	assert_true(tree->rows[2].weight == 0.25);
	assert_string_equal(tree->rows[3].name, "b");
	assert_int_equal(tree->rows[3].depth, 1);
	assert_string_equal(tree->rows[3].kind, "merge ties");
	assert_false(tree->cut);
	store_free(tree);
	assert_ok(f->store, store_lineage(f->store, ab + 1, STORE_ANCESTORS, 2, &tree));
	assert_int_equal(tree->n_rows, 2);
	assert_true(tree->cut);
	store_free(tree);
	assert_ok(f->store, store_lineage(f->store, a, STORE_DESCENDANTS, 100, &tree));
	assert_int_equal(tree->n_rows, 2);
	assert_string_equal(tree->rows[0].name, "ab");
	assert_string_equal(tree->rows[1].name, "abb");
	store_free(tree);
}

static void
a_purged_parent_leaves_its_name(void **state)
{
	struct fixture *f = *state;
	struct store_parent parent = { add_named(f->store, "gone", "task"), 1, "trained from" };
	struct store_new child = adapter_of("child", "task", "child");
	struct store_relatives *tree;
	struct store_added added;
	int64_t id;

	child.parents = &parent;
	child.n_parents = 1;
	id = add(f->store, child);
	assert_ok(f->store, store_trash(f->store, &parent.id, 1));
	assert_ok(f->store, store_lineage(f->store, id, STORE_ANCESTORS, 9, &tree));
	assert_true(tree->rows[0].trashed);
	store_free(tree);
	assert_ok(f->store, store_purge(f->store, INT64_MAX, NULL));
	assert_ok(f->store, store_lineage(f->store, id, STORE_ANCESTORS, 9, &tree));
	assert_int_equal(tree->n_rows, 1);
	assert_int_equal(tree->rows[0].id, 0);
	assert_string_equal(tree->rows[0].name, "gone");
	store_free(tree);
	child.name = "second";
	assert_fails(f->store, STORE_ENOENT, "parent", store_add(f->store, &child, &added));
}

static void
names_complete_from_their_beginning(void **state)
{
	struct fixture *f = *state;
	struct store_strings *names;

	add_named(f->store, "es-upper", "task");
	add_named(f->store, "es+upper", "task");
	add_named(f->store, "fr", "task");
	assert_ok(f->store, store_names(f->store, "es", 10, &names));
	assert_int_equal(names->n_rows, 2);
	assert_string_equal(names->rows[0], "es+upper");
	assert_string_equal(names->rows[1], "es-upper");
	store_free(names);
	assert_ok(f->store, store_names(f->store, "", 2, &names));
	assert_int_equal(names->n_rows, 2);
	store_free(names);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_adapter_comes_back_as_it_was_kept),
		TEST(a_file_is_copied_in),
		TEST(bad_content_is_refused_with_its_name),
		TEST(a_taken_name_is_refused_or_made_unique),
		TEST(a_unique_name_still_fits),
		TEST(names_that_would_mislead_are_refused),
		TEST(names_are_made_from_tasks),
		TEST(a_task_that_is_too_long_is_refused),
		TEST(equal_content_is_one_file_and_is_reported),
		TEST(equal_content_in_another_file_is_a_twin),
		TEST(a_content_can_be_noted_later),
		TEST(adapters_are_found_by_name_id_and_hash),
		TEST(renaming_keeps_names_unique),
		TEST(notes_scores_favourites_and_use_are_kept),
		TEST(tags_are_added_removed_and_counted),
		TEST(a_call_on_many_changes_all_or_none),
		TEST(undo_takes_back_one_step_of_the_trash_at_a_time),
		TEST(what_is_purged_is_gone_and_its_id_is_not_used_again),
		TEST(lineage_is_a_tree_in_drawing_order),
		TEST(a_purged_parent_leaves_its_name),
		TEST(names_complete_from_their_beginning),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
