/* test-torch-checkpoint.c - torch checkpoints of both forms: the same numbers, and nothing is run.
 */

#include "tests/unit/golden-tensors.h"

#include <dirent.h>
#include <stdio.h>
#include <unistd.h>

#include "base/atomic-file.h"
#include "base/file.h"
#include "engine/formats/json.h"
#include "engine/formats/torch-checkpoint.h"
#include "engine/formats/torch-pickle.h"
#include "tests/unit/reference-case.h"
#include "tests/unit/temporary-folder.h"

static struct safetensors *
open_tensors(const char *path)
{
	struct safetensors *st = NULL;
	struct t2l_error err = { 0 };

	assert_ok(safetensors_open(path, &st, &err));
	return st;
}

static void
assert_same_tensors(const struct safetensors *a, const struct safetensors *b)
{
	assert_int_equal(safetensors_count(a), safetensors_count(b));
	for (size_t i = 0; i < safetensors_count(a); i++) {
		const struct safetensors_entry *x = safetensors_at(a, i), *y = safetensors_at(b, i);

		assert_string_equal(x->name, y->name);
		assert_string_equal(x->dtype_text, y->dtype_text);
		assert_int_equal(x->n_dims, y->n_dims);
		assert_memory_equal(x->shape, y->shape, (size_t)x->n_dims * sizeof *x->shape);
		assert_int_equal(x->n_bytes, y->n_bytes);
		assert_memory_equal(x->bytes, y->bytes, x->n_bytes);
	}
}

/* One network saved four ways by the reference: zip, from a GPU, the old form, as views. */
static void
every_form_holds_the_same_tensors(void **state)
{
	static const char *const others[] = { "save_cuda_M", "save_legacy_M", "save_views_M" };
	struct safetensors *plain = open_tensors(need_reference("save_cuda_M", "hypermod.pt"));

	(void)state;
	for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
		struct safetensors *other = open_tensors(need_reference(others[i], "hypermod.pt"));

		assert_int_equal(safetensors_count(plain), safetensors_count(other));
		for (size_t j = 0; j < safetensors_count(plain); j++) {
			assert_string_equal(
			    safetensors_at(plain, j)->name, safetensors_at(other, j)->name);
			assert_int_equal(
			    safetensors_at(plain, j)->n_bytes, safetensors_at(other, j)->n_bytes);
		}
		safetensors_close(other);
	}
	safetensors_close(plain);
}

/* golden.json lists every key with shape and type, in the order of the state_dict. */
static void
check_against_list(const char *name)
{
	static const char *const types[][2] = { { "float32", "F32" }, { "float16", "F16" },
		{ "bfloat16", "BF16" }, { "int64", "I64" } };
	struct t2l_error err = { 0 };
	const cJSON *list, *item;
	struct safetensors *st;
	cJSON *json;
	size_t n = 0;

	assert_ok(json_open(need_reference(name, "golden.json"), 1 << 20, &json, &err));
	st = open_tensors(need_reference(name, "hypermod.pt"));
	list = cJSON_GetObjectItem(json, "state_dict");
	assert_int_equal(cJSON_GetArraySize(list), safetensors_count(st));
	cJSON_ArrayForEach(item, list)
	{
		const struct safetensors_entry *entry = safetensors_find(st, item->string);
		const cJSON *shape = cJSON_GetArrayItem(item, 0);
		const char *type = cJSON_GetArrayItem(item, 1)->valuestring, *ours = "";

		assert_non_null(entry);
		assert_int_equal(entry->place, n++);
		assert_int_equal(entry->n_dims, cJSON_GetArraySize(shape));
		for (int i = 0; i < entry->n_dims; i++)
			assert_int_equal(
			    entry->shape[i], cJSON_GetArrayItem(shape, i)->valuedouble);
		for (size_t i = 0; i < sizeof types / sizeof *types; i++)
			if (strcmp(type, types[i][0]) == 0)
				ours = types[i][1];
		assert_string_equal(entry->dtype_text, ours);
	}
	safetensors_close(st);
	cJSON_Delete(json);
}

static void
names_shapes_types_and_order_are_the_state_dicts(void **state)
{
	static const char *const cases[] = { "L_sft_onehot", "save_bf16_M", "save_f16_S",
		"save_legacy_M", "save_views_M", "save_cuda_M" };

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		check_against_list(cases[i]);
}

/* expect.json says what torch.load(weights_only=True) does with each. */
static void
what_torch_refuses_is_refused_and_nothing_is_run(void **state)
{
	static const struct {
		const char *file, *named;
	} rows[] = {
		{ "reduce_zip.pt", "nothing was run" },
		{ "reduce_legacy.pt", "nothing was run" },
		{ "getattr_chain.pt", "nothing was run" },
		{ "bare_pickle.pt", "nothing was run" },
		{ "short_storage.pt", "cut short" },
		{ "out_of_bounds.pt", "beyond its storage" },
		{ "truncated.pt", "cut short" },
	};
	struct safetensors *st = NULL;
	struct dirent *entry;
	struct t2l_error err;
	char path[96];
	DIR *folder;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		snprintf(path, sizeof path, "hypernet/malicious/%s", rows[i].file);
		memset(&err, 0, sizeof err);
		if (safetensors_open(need_golden(path), &st, &err) == T2L_OK ||
		    strstr(err.message, rows[i].named) == NULL ||
		    strstr(err.message, rows[i].file) == NULL)
			fail_msg("%s: '%s' lacks '%s'", rows[i].file, err.message, rows[i].named);
	}
	assert_null(st);
	folder = opendir(".");
	while ((entry = readdir(folder)) != NULL)
		assert_null(strstr(entry->d_name, "PWNED"));
	closedir(folder);
	safetensors_close(open_tensors(need_golden("hypernet/malicious/ok_tiny.pt")));
}

/* Whatever is cut off or turned over, a message or a set of tensors inside the bytes comes back. */
static void
a_cut_or_changed_file_does_no_harm(void **state)
{
	const char *const files[] = { need_golden("hypernet/malicious/ok_tiny.pt"),
		need_reference("save_legacy_M", "hypermod.pt") };
	struct t2l_error err;

	(void)state;
	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		size_t n, step;
		char *bytes = read_whole_file(files[i], 1 << 24, &n), *copy;
		struct torch_checkpoint *torch = NULL;

		assert_non_null(bytes);
		step = n / 500 + 1;
		for (size_t cut = 0; cut < n; cut += step) {
			copy = malloc(cut + 1);
			memcpy(copy, bytes, cut);
			memset(&err, 0, sizeof err);
			assert_int_not_equal(
			    torch_checkpoint_parse(copy, cut, "cut.pt", &torch, &err), T2L_OK);
			assert_non_null(strstr(err.message, "cut.pt"));
			free(copy);
		}
		copy = malloc(n);
		for (size_t at = 0; at < n; at += step) {
			volatile uint8_t sum = 0;

			memcpy(copy, bytes, n);
			copy[at] ^= 0x55;
			if (torch_checkpoint_parse(copy, n, "changed.pt", &torch, &err) != T2L_OK)
				continue;
			for (size_t j = 0; j < torch_checkpoint_count(torch); j++) {
				const struct safetensors_entry *entry =
				    torch_checkpoint_at(torch, j);

				for (size_t b = 0; b < entry->n_bytes; b++)
					sum = (uint8_t)(sum + ((const uint8_t *)entry->bytes)[b]);
			}
			torch_checkpoint_free(torch);
		}
		free(copy);
		free(bytes);
	}
}

/* ---- pickles written by hand ---- */

static enum t2l_status
read_pickle(const char *bytes, size_t n, struct t2l_error *err)
{
	struct arena *arena = arena_create();
	struct pickle_value *value;
	enum t2l_status status;

	memset(err, 0, sizeof *err);
	status = pickle_read(bytes, n, "hand.pkl", arena, &value, NULL, err);
	arena_free(arena);
	return status;
}

#define FAILS(bytes, expected, part)                                                               \
	do {                                                                                       \
		if (read_pickle(bytes, sizeof(bytes) - 1, &err) != (expected) ||                   \
		    strstr(err.message, part) == NULL)                                             \
			fail_msg("%d '%s' lacks '%s'", err.status, err.message, part);             \
	} while (0)

static void
a_pickle_that_asks_for_more_is_refused_by_name(void **state)
{
	struct t2l_error err;

	(void)state;
	FAILS("\x80\x02"
	      "cos\nsystem\n(X\x02\0\0\0lstR.",
	    T2L_EUNSUPPORTED, "'os.system'");
	FAILS("\x80\x02"
	      "cbuiltins\ngetattr\n.",
	    T2L_EUNSUPPORTED, "'builtins.getattr'");
	FAILS("\x80\x02"
	      "c\x1b[31m\nx\n.",
	    T2L_EUNSUPPORTED, "\xe2\x90\x9b"); /* made visible */
	FAILS("\x80\x02(i__main__\nx\n.", T2L_EUNSUPPORTED, "opcode 0x69");
	FAILS("\x80\x02\x93.", T2L_EUNSUPPORTED, "opcode 0x93");
	FAILS("\x80\x05N.", T2L_EUNSUPPORTED, "protocol 5");
	FAILS("\x80\x02"
	      "ctorch\nFloatStorage\n)R.",
	    T2L_EUNSUPPORTED, "no function");
	FAILS("\x80\x02"
	      "ccollections\nOrderedDict\nK\x01\x85R.",
	    T2L_EFORMAT, "OrderedDict");
}

static void
a_damaged_pickle_is_refused(void **state)
{
	struct t2l_error err;

	(void)state;
	FAILS("", T2L_EFORMAT, "does not end");
	FAILS("\x80\x02N", T2L_EFORMAT, "does not end");
	FAILS("\x80\x02.", T2L_EFORMAT, "more or less than one value");
	FAILS("\x80\x02NN.", T2L_EFORMAT, "more or less than one value");
	FAILS("\x80\x02(.", T2L_EFORMAT, "more or less than one value");
	FAILS("\x80\x02t.", T2L_EFORMAT, "mark");
	FAILS("\x80\x02K\x01\x86.", T2L_EFORMAT, "more than there is");
	FAILS("\x80\x02(K\x01\x87.", T2L_EFORMAT, "more than there is");
	FAILS("\x80\x02h\x00.", T2L_EFORMAT, "recalls");
	FAILS("\x80\x02Nr\xff\xff\xff\x7f.", T2L_EFORMAT, "memo number");
	FAILS("\x80\x02q\x00.", T2L_EFORMAT, "remembered");
	FAILS("\x80\x02X\xff\xff\xff\xff"
	      "a.",
	    T2L_EFORMAT, "in the middle");
	FAILS("\x80\x02\x8a\x05"
	      "abc",
	    T2L_EFORMAT, "in the middle");
	FAILS("\x80\x02}(K\x01u.", T2L_EFORMAT, "does not take them");
	FAILS("\x80\x02K\x01(K\x01"
	      "e.",
	    T2L_EFORMAT, "does not take them");
	FAILS("\x80\x02s.", T2L_EFORMAT, "more to be added");
	FAILS("\x80\x02NQ.", T2L_EFORMAT, "persistent id");
	FAILS("\x80\x02}Nb.", T2L_EFORMAT, "attributes");
	FAILS("\x80\x02"
	      "ctorch._utils\n_rebuild_tensor_v2\nN\x85R.",
	    T2L_EFORMAT, "no storage");
	FAILS("\x80\x02"
	      "cno end of the line",
	    T2L_EFORMAT, "does not end");
}

static void
numbers_are_read_as_python_writes_them(void **state)
{
	static const char bytes[] =
	    "\x80\x02](K\xffM\xfe\xffJ\xfe\xff\xff\xff\x8a\x00\x8a\x01\x80"
	    "\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f\x8a\x09\0\0\0\0\0\0\0\0\x01"
	    "G?\xf8\0\0\0\0\0\0\x88\x89Ne.";
	static const int64_t integers[] = { 255, 65534, -2, 0, -128, INT64_MAX };
	struct arena *arena = arena_create();
	struct t2l_error err = { 0 };
	struct pickle_value *list, **items;
	size_t n_read;

	(void)state;
	assert_ok(pickle_read(bytes, sizeof bytes - 1, "hand.pkl", arena, &list, &n_read, &err));
	assert_int_equal(n_read, sizeof bytes - 1);
	assert_int_equal(list->kind, PICKLE_LIST);
	assert_int_equal(list->list.n, 11);
	items = list->list.items;
	for (int i = 0; i < 6; i++) {
		assert_int_equal(items[i]->kind, PICKLE_INTEGER);
		assert_true(items[i]->integer == integers[i]);
	}
	assert_int_equal(items[6]->kind, PICKLE_BIG);
	assert_true(items[7]->kind == PICKLE_FLOAT && items[7]->number == 1.5);
	assert_true(items[8]->kind == PICKLE_BOOL && items[8]->integer == 1);
	assert_true(items[9]->kind == PICKLE_BOOL && items[9]->integer == 0);
	assert_int_equal(items[10]->kind, PICKLE_NONE);
	arena_free(arena);
}

/* ---- as a set of tensors ---- */

static void
a_folder_or_index_of_torch_files_opens_as_safetensors_do(void **state)
{
	struct safetensors *plain = open_tensors(need_reference("save_bf16_M", "hypermod.pt")),
			   *found;
	struct t2l_error err = { 0 };
	size_t n;
	char *bytes = read_whole_file(need_reference("save_bf16_M", "hypermod.pt"), 1 << 24, &n);
	const char *index = "{\"weight_map\": {\"mixer.1.weight\": \"part.bin\"}}";
	const char *hollow = "{\"weight_map\": {\"mixer.9.weight\": \"part.bin\"}}";

	(void)state;
	assert_int_equal(atomic_write(in_folder("part.bin"), bytes, n), 0);
	assert_int_equal(
	    atomic_write(in_folder("pytorch_model.bin.index.json"), index, strlen(index)), 0);
	assert_ok(safetensors_open(temporary_folder, &found, &err));
	assert_same_tensors(plain, found);
	safetensors_close(found);
	assert_int_equal(
	    atomic_write(in_folder("pytorch_model.bin.index.json"), hollow, strlen(hollow)), 0);
	assert_fails(
	    safetensors_open(temporary_folder, &found, &err), T2L_EFORMAT, "mixer.9.weight");
	assert_int_equal(atomic_write(in_folder("pytorch_model.bin"), bytes, n), 0);
	assert_ok(safetensors_open(temporary_folder, &found, &err));
	assert_same_tensors(plain, found);
	safetensors_close(found);
	safetensors_close(plain);
	free(bytes);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_form_holds_the_same_tensors),
		cmocka_unit_test(names_shapes_types_and_order_are_the_state_dicts),
		cmocka_unit_test(what_torch_refuses_is_refused_and_nothing_is_run),
		cmocka_unit_test(a_cut_or_changed_file_does_no_harm),
		cmocka_unit_test(a_pickle_that_asks_for_more_is_refused_by_name),
		cmocka_unit_test(a_damaged_pickle_is_refused),
		cmocka_unit_test(numbers_are_read_as_python_writes_them),
		cmocka_unit_test_setup_teardown(
		    a_folder_or_index_of_torch_files_opens_as_safetensors_do, make_temporary_folder,
		    remove_temporary_folder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
