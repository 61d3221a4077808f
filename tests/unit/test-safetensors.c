/* test-safetensors.c - reads, writes and refuses safetensors; the fingerprint of weights. */

#include "tests/unit/cmocka-first.h"

#include <string.h>
#include <sys/stat.h>

#include "base/atomic-file.h"
#include "base/buffer.h"
#include "base/file.h"
#include "engine/formats/fingerprint.h"
#include "engine/formats/safetensors-writer.h"
#include "engine/formats/safetensors.h"
#include "tests/golden-path.h"
#include "tests/unit/temporary-folder.h"

/* A file of HEADER and N_DATA zero bytes. */
static void
make_file(const char *header, size_t n_data, struct buffer *out)
{
	size_t n = strlen(header);

	for (int i = 0; i < 8; i++)
		buffer_char(out, (char)((uint64_t)n >> 8 * i));
	buffer_text(out, header);
	for (size_t i = 0; i < n_data; i++)
		buffer_char(out, '\0');
}

static void
check_refused(const char *header, size_t n_data, const char *part_of_message)
{
	struct t2l_error error = { 0 };
	struct safetensors *st = NULL;
	struct buffer file = { 0 };

	make_file(header, n_data, &file);
	if (safetensors_parse(file.bytes, file.n, "x.safetensors", &st, &error) != T2L_EFORMAT)
		fail_msg("accepted: %s", header);
	if (strstr(error.message, part_of_message) == NULL)
		fail_msg("%s: %s", header, error.message);
	assert_null(st);
	buffer_free(&file);
}

#define TENSOR(name, dtype, shape, begin, end)                                                     \
	"\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":[" begin       \
	"," end "]}"

static void
lies_about_tensors_are_refused(void **state)
{
	(void)state;
	check_refused("{" TENSOR("a", "F32", "[2]", "0", "8") "}", 7, "beyond the end");
	check_refused("{" TENSOR("a", "F32", "[2]", "0", "8") "}", 9, "belong to no tensor");
	check_refused("{" TENSOR("a", "F32", "[3]", "0", "8") "}", 8, "do not fit");
	check_refused("{" TENSOR("a", "F32", "[1]", "8", "4") "}", 8, "data_offsets");
	check_refused("{" TENSOR("a", "F32", "[1]", "-4", "0") "}", 8, "data_offsets");
	check_refused("{" TENSOR("a", "F32", "[1]", "0.5", "4.5") "}", 8, "data_offsets");
	check_refused("{" TENSOR("a", "F32", "[1]", "0", "4,8") "}", 8, "data_offsets");
	check_refused(
	    "{" TENSOR("a", "F32", "[1]", "0", "4") "," TENSOR("b", "F32", "[1]", "2", "6") "}", 6,
	    "overlap");
	check_refused(
	    "{" TENSOR("a", "F32", "[1]", "0", "4") "," TENSOR("b", "F32", "[1]", "8", "12") "}",
	    12, "bytes before it");
	check_refused(
	    "{" TENSOR("a", "F32", "[1]", "0", "4") "," TENSOR("a", "F32", "[1]", "4", "8") "}", 8,
	    "twice");
	check_refused("{" TENSOR("a", "F32", "[-1]", "0", "4") "}", 4, "whole number");
	check_refused("{" TENSOR("a", "F32", "[1e300]", "0", "4") "}", 4, "whole number");
	check_refused("{" TENSOR("a", "F32", "[4611686018427387904,16]", "0", "0") "}", 0,
	    "whole number"); /* above 2^53 */
	check_refused(
	    "{" TENSOR("a", "F32", "[4294967296,4294967296]", "0", "0") "}", 0, "overflows");
	check_refused(
	    "{" TENSOR("a", "F32", "[1,1,1,1,1,1,1,1,1]", "0", "4") "}", 4, "8 dimensions");
	check_refused("{" TENSOR("a", "F4", "[3]", "0", "1") "}", 1, "whole bytes");
	check_refused("{" TENSOR("a", "F33", "[1]", "0", "4") "}", 4, "dtype");
	check_refused("{\"a\":{\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "no dtype");
	check_refused("{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", 4, "no shape");
	check_refused("{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, "no data_offsets");
	check_refused("{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[1],"
		      "\"data_offsets\":[0,4]}}",
	    4, "twice");
	check_refused("{\"a\":[]}", 0, "not an object");
}

static void
mlx_writes_null_where_it_has_no_metadata(void **state)
{
	static const char file[] = "\x54\0\0\0\0\0\0\0"
				   "{\"__metadata__\":null,"
				   "\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}"
				   "          "
				   "\0\0\x80?";
	struct t2l_error error;
	struct safetensors *st;

	(void)state;
	if (safetensors_parse(file, sizeof file - 1, "x", &st, &error) != T2L_OK)
		fail_msg("%s", error.message);
	assert_int_equal(safetensors_metadata_count(st), 0);
	assert_non_null(safetensors_find(st, "a"));
	safetensors_close(st);
}

static void
lies_about_the_header_are_refused(void **state)
{
	static const char not_json[] = "\x02\0\0\0\0\0\0\0[]";
	static const char huge[] = "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF{}";
	static const char cut[] = "\x40\0\0\0\0\0\0\0{}";
	struct t2l_error error;
	static const char pointer[] = "version https://git-lfs.github.com/spec/v1\noid sha256:00\n";
	struct safetensors *st;

	(void)state;
	check_refused("{\"__metadata__\":{\"a\":1}}", 0, "not a string");
	check_refused("{\"__metadata__\":[]}", 0, "not a map");
	check_refused("{\"__metadata__\":{\"a\":\"1\",\"a\":\"2\"}}", 0, "twice");
	check_refused("{\"__metadata__\":{},\"__metadata__\":{}}", 0, "twice");
	check_refused("{\"a\\u0000\":{}}", 0, "NUL");
	check_refused("{\"\xFF\":{}}", 0, "UTF-8");
	check_refused("{} x", 0, "behind the end");
	check_refused("", 0, "begin with");
	assert_int_equal(safetensors_parse("", 0, "x", &st, &error), T2L_EFORMAT);
	assert_int_equal(
	    safetensors_parse(not_json, sizeof not_json - 1, "x", &st, &error), T2L_EFORMAT);
	assert_int_equal(safetensors_parse(huge, sizeof huge - 1, "x", &st, &error), T2L_EFORMAT);
	assert_non_null(strstr(error.message, "no safetensors file"));
	assert_int_equal(
	    safetensors_parse(pointer, sizeof pointer - 1, "x", &st, &error), T2L_EFORMAT);
	assert_non_null(strstr(error.message, "git lfs pull"));
	assert_int_equal(safetensors_parse(cut, sizeof cut - 1, "x", &st, &error), T2L_EFORMAT);
	assert_non_null(strstr(error.message, "cut short"));
}

/* A message may show a hostile name, but not its escape sequences. */
static void
hostile_names_are_made_visible_in_messages(void **state)
{
	(void)state;
	check_refused("{\"\\u001b[31m\":[]}", 0, "tensor '\u241B[31m'");
}

static void
every_dtype_of_the_format_is_listed(void **state)
{
	static const char header[] = "{" TENSOR("a", "BOOL", "[3]", "0", "3") "," TENSOR(
	    "b", "U8", "[]", "3", "4") "," TENSOR("c", "F8_E4M3", "[2,2]", "4", "8") "," TENSOR("d",
	    "F64", "[1]", "8", "16") "," TENSOR("e", "I64", "[1,1,1,1,1]", "16",
	    "24") "," TENSOR("f", "F32", "[0]", "24", "24") "}";
	struct t2l_error error = { 0 };
	struct safetensors *st;
	struct buffer file = { 0 };
	struct tensor tensor;

	(void)state;
	make_file(header, 24, &file);
	assert_int_equal(safetensors_parse(file.bytes, file.n, "x", &st, &error), T2L_OK);
	assert_int_equal(safetensors_count(st), 6);
	assert_string_equal(safetensors_find(st, "c")->dtype_text, "F8_E4M3");
	assert_int_equal(safetensors_find(st, "b")->n_dims, 0);
	assert_false(safetensors_find(st, "d")->convertible);
	assert_false(safetensors_find(st, "e")->convertible); /* five dimensions */
	assert_int_equal(safetensors_tensor(st, "a", &tensor, &error), T2L_EUNSUPPORTED);
	assert_non_null(strstr(error.message, "BOOL"));
	assert_int_equal(safetensors_tensor(st, "f", &tensor, &error), T2L_OK);
	assert_int_equal(tensor_count(&tensor), 0);
	assert_int_equal(safetensors_tensor(st, "none", &tensor, &error), T2L_ENOENT);
	safetensors_close(st);
	buffer_free(&file);
}

/* Files from before the format was aligned exist: a header of odd length. */
static void
an_unaligned_tensor_comes_as_an_aligned_copy(void **state)
{
	struct t2l_error error;
	struct safetensors *st;
	struct buffer file = { 0 };
	struct tensor first, again;
	float value = 1.5f;

	(void)state;
	make_file("{" TENSOR("a", "F32", "[1]", "0", "4") "}", 0, &file);
	while (file.n % 4 != 1) { /* pad until the data is misplaced */
		file.bytes[0]++;
		buffer_char(&file, ' ');
	}
	buffer_append(&file, &value, sizeof value);
	assert_int_equal(safetensors_parse(file.bytes, file.n, "x", &st, &error), T2L_OK);
	assert_int_equal(safetensors_tensor(st, "a", &first, &error), T2L_OK);
	assert_int_equal((uintptr_t)first.data % 4, 0);
	assert_true(*tensor_f32(&first) == 1.5f);
	assert_int_equal(safetensors_tensor(st, "a", &again, &error), T2L_OK);
	assert_ptr_equal(first.data, again.data);
	safetensors_close(st);
	buffer_free(&file);
}

/* Writes two tensors and metadata to FILE; the pieces are uneven on purpose. */
static void
write_example(struct safetensors_writer *writer, const char *path)
{
	static const int64_t matrix[] = { 2, 3 }, vector[] = { 5 };
	static const float values[] = { 1, 2, 3, 4, 5, 6 };
	static const int64_t integers[] = { -1, 0, 1, INT64_MAX, INT64_MIN };
	struct t2l_error error = { 0 };

	safetensors_writer_metadata(writer, "task", "line\nquote\" \u00e9");
	safetensors_writer_metadata(writer, "format", "pt");
	safetensors_writer_declare(writer, "z.ids", DTYPE_I64, 1, vector);
	safetensors_writer_declare(writer, "a.weight", DTYPE_F16, 2, matrix);
	assert_int_equal(path != NULL ? safetensors_writer_begin(writer, path, &error)
				      : safetensors_writer_begin_memory(writer, &error),
	    T2L_OK);
	assert_int_equal(safetensors_writer_bytes(writer, integers, 9, &error), T2L_OK);
	assert_int_equal(
	    safetensors_writer_bytes(writer, (const char *)integers + 9, 31, &error), T2L_OK);
	assert_int_equal(safetensors_writer_floats(writer, values, 6, DTYPE_F16, &error), T2L_OK);
	assert_int_equal(safetensors_writer_bytes(writer, values, 1, &error), T2L_EINVAL);
	assert_int_equal(safetensors_writer_finish(writer, &error), T2L_OK);
}

static void
what_was_written_is_read_back(void **state)
{
	struct safetensors_writer *writer = safetensors_writer_new(64);
	struct t2l_error error;
	struct safetensors *st;
	struct tensor tensor;
	float values[6];
	const uint8_t *start;

	(void)state;
	write_example(writer, in_folder("a.safetensors"));
	safetensors_writer_free(writer);
	assert_int_equal(safetensors_open(in_folder("a.safetensors"), &st, &error), T2L_OK);
	assert_int_equal(safetensors_metadata_count(st), 2);
	assert_string_equal(safetensors_metadata_key(st, 0), "format");
	assert_string_equal(safetensors_metadata(st, "task"), "line\nquote\" \u00e9");
	assert_null(safetensors_metadata(st, "none"));
	assert_string_equal(safetensors_at(st, 0)->name, "a.weight");
	assert_int_equal(safetensors_tensor(st, "a.weight", &tensor, &error), T2L_OK);
	assert_int_equal(tensor.n_dims, 2);
	assert_int_equal(tensor.shape[0], 2);
	assert_int_equal(tensor.shape[1], 3);
	assert_true(dtype_to_f32(tensor.dtype, tensor.data, values, 6));
	for (int i = 0; i < 6; i++)
		assert_true(values[i] == (float)(i + 1));
	assert_int_equal(safetensors_tensor(st, "z.ids", &tensor, &error), T2L_OK);
	assert_int_equal(((const int64_t *)tensor.data)[4], INT64_MIN);
	start = safetensors_find(st, "z.ids")->bytes;
	assert_int_equal((uintptr_t)start % 64, 0); /* the mapping starts on a page */
	safetensors_close(st);
}

static void
a_shape_that_is_not_expected_is_named(void **state)
{
	static const int64_t right[] = { -1, 3 }, wrong[] = { 2, 4 };
	struct safetensors_writer *writer = safetensors_writer_new(8);
	struct t2l_error error;
	struct safetensors *st;
	struct tensor tensor;

	(void)state;
	write_example(writer, in_folder("a.safetensors"));
	safetensors_writer_free(writer);
	assert_int_equal(safetensors_open(in_folder("a.safetensors"), &st, &error), T2L_OK);
	assert_int_equal(
	    safetensors_tensor_of_shape(st, "a.weight", 2, right, &tensor, &error), T2L_OK);
	assert_int_equal(
	    safetensors_tensor_of_shape(st, "a.weight", 2, wrong, &tensor, &error), T2L_EMISMATCH);
	assert_non_null(strstr(error.message, "has shape [2, 3], expected [2, 4]"));
	safetensors_close(st);
}

static void
the_same_content_gives_the_same_bytes(void **state)
{
	struct safetensors_writer *one = safetensors_writer_new(8),
				  *two = safetensors_writer_new(8),
				  *file = safetensors_writer_new(8);
	const void *first, *second;
	size_t n_first, n_second, n_file;
	char *text;

	(void)state;
	write_example(one, NULL);
	write_example(two, NULL);
	write_example(file, in_folder("a.safetensors"));
	first = safetensors_writer_memory(one, &n_first);
	second = safetensors_writer_memory(two, &n_second);
	text = read_whole_file(in_folder("a.safetensors"), 1 << 20, &n_file);
	assert_int_equal(n_first, n_second);
	assert_int_equal(n_first, n_file);
	assert_memory_equal(first, second, n_first);
	assert_memory_equal(first, text, n_first);
	free(text);
	safetensors_writer_free(one);
	safetensors_writer_free(two);
	safetensors_writer_free(file);
}

static void
an_unfinished_file_never_appears(void **state)
{
	static const int64_t shape[] = { 4 };
	struct safetensors_writer *writer = safetensors_writer_new(8);
	struct t2l_error error;

	(void)state;
	safetensors_writer_declare(writer, "a", DTYPE_F32, 1, shape);
	assert_int_equal(
	    safetensors_writer_begin(writer, in_folder("a.safetensors"), &error), T2L_OK);
	assert_int_equal(safetensors_writer_bytes(writer, "1234", 4, &error), T2L_OK);
	assert_int_equal(safetensors_writer_finish(writer, &error), T2L_EINVAL);
	safetensors_writer_free(writer);
	assert_int_equal(files_in_folder(), 0);
}

static void
faulty_declarations_are_reported_by_begin(void **state)
{
	static const int64_t one[] = { 1 }, huge[] = { INT64_MAX, 2 }, minus[] = { -1 };
	static const struct {
		const char *names[2];
		const int64_t *shape;
		int n_dims;
		enum dtype dtype;
		enum t2l_status status;
	} cases[] = {
		{ { "a", "a" }, one, 1, DTYPE_F32, T2L_EINVAL },
		{ { "a", "b" }, huge, 2, DTYPE_F32, T2L_EINVAL },
		{ { "a", "b" }, minus, 1, DTYPE_F32, T2L_EINVAL },
		{ { "a", "\xFF" }, one, 1, DTYPE_F32, T2L_EINVAL },
		{ { "a", "__metadata__" }, one, 1, DTYPE_F32, T2L_EINVAL },
		{ { "a", "b" }, one, 1, DTYPE_Q8_0, T2L_EUNSUPPORTED },
	};
	struct t2l_error error;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct safetensors_writer *writer = safetensors_writer_new(8);

		for (int j = 0; j < 2; j++)
			safetensors_writer_declare(writer, cases[i].names[j], cases[i].dtype,
			    cases[i].n_dims, cases[i].shape);
		assert_int_equal(safetensors_writer_begin_memory(writer, &error), cases[i].status);
		safetensors_writer_free(writer);
	}
}

/* ---- sharded sets ---- */

static void
save_one(const char *file, const char *name, float value)
{
	float values[2] = { value, -value };
	struct tensor tensor = { .dtype = DTYPE_F32, .n_dims = 1, .shape = { 2 }, .data = values };
	struct t2l_error error;

	assert_int_equal(
	    safetensors_save(in_folder(file), NULL, &name, &tensor, 1, &error), T2L_OK);
}

static void
save_index(const char *weight_map)
{
	struct buffer text = { 0 };

	buffer_printf(&text, "{\"metadata\":{},\"weight_map\":%s}", weight_map);
	assert_int_equal(
	    atomic_write(in_folder("model.safetensors.index.json"), text.bytes, text.n), 0);
	buffer_free(&text);
}

static void
shards_are_one_set(void **state)
{
	struct t2l_error error = { 0 };
	struct safetensors *st;
	struct tensor tensor;

	(void)state;
	save_one("model-1.safetensors", "b", 1);
	save_one("model-2.safetensors", "a", 2);
	save_index("{\"b\":\"model-1.safetensors\",\"a\":\"model-2.safetensors\"}");
	assert_int_equal(safetensors_open(temporary_folder, &st, &error), T2L_OK);
	assert_int_equal(safetensors_count(st), 2);
	assert_int_equal(safetensors_tensor(st, "a", &tensor, &error), T2L_OK);
	assert_true(tensor_f32(&tensor)[1] == -2.0f);
	safetensors_close(st);
}

static void
hostile_indexes_are_refused(void **state)
{
	static const struct {
		const char *weight_map, *part;
		enum t2l_status status;
	} cases[] = {
		{ "{\"b\":\"../model-1.safetensors\"}", "plain name", T2L_EFORMAT },
		{ "{\"b\":\"/etc/passwd\"}", "plain name", T2L_EFORMAT },
		{ "{\"b\":\"..\"}", "plain name", T2L_EFORMAT },
		{ "{\"b\":\"\"}", "plain name", T2L_EFORMAT },
		{ "{\"b\":1}", "plain name", T2L_EFORMAT },
		{ "{}", "no shards", T2L_EFORMAT },
		{ "[]", "weight_map", T2L_EFORMAT },
		{ "{\"b\":\"model-9.safetensors\"}", "model-9.safetensors", T2L_ENOENT },
		{ "{\"c\":\"model-1.safetensors\"}", "no shard has the tensor 'c'", T2L_EFORMAT },
		{ "{\"b\":\"model-1.safetensors\",\"c\":\"copy.safetensors\"}", "twice",
		    T2L_EFORMAT },
	};
	struct t2l_error error;
	struct safetensors *st;

	(void)state;
	save_one("model-1.safetensors", "b", 1);
	save_one("copy.safetensors", "b", 1);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		save_index(cases[i].weight_map);
		assert_int_equal(safetensors_open(temporary_folder, &st, &error), cases[i].status);
		if (strstr(error.message, cases[i].part) == NULL)
			fail_msg("%s: %s", cases[i].weight_map, error.message);
	}
}

static void
a_reference_file_is_read_and_every_cut_of_it_refused(void **state)
{
	const char *path = golden_path("models/llama2/adapters/t2l/adapter_model.safetensors");
	struct t2l_error error;
	struct safetensors *st;
	char *bytes;
	size_t n;

	(void)state;
	if (path == NULL)
		skip();
	bytes = read_whole_file(path, 1 << 24, &n);
	assert_non_null(bytes);
	assert_int_equal(safetensors_parse(bytes, n, "whole", &st, &error), T2L_OK);
	assert_string_equal(safetensors_metadata(st, "format"), "pt");
	for (size_t i = 0; i < safetensors_count(st); i++)
		assert_true(safetensors_at(st, i)->convertible);
	safetensors_close(st);
	for (size_t cut = 0; cut < n; cut += cut < 4000 ? 7 : 977)
		assert_int_equal(safetensors_parse(bytes, cut, "cut", &st, &error), T2L_EFORMAT);
	free(bytes);
}

/* ---- fingerprints ---- */

static void
a_fingerprint_does_not_depend_on_layout_or_sharding(void **state)
{
	char together[HASH_HEX_SIZE], apart[HASH_HEX_SIZE];
	static const char *const names[] = { "b", "a" };
	float values[2][2] = { { 1, -1 }, { 2, -2 } };
	struct tensor tensors[] = {
		{ .dtype = DTYPE_F32, .n_dims = 1, .shape = { 2 }, .data = values[0] },
		{ .dtype = DTYPE_F32, .n_dims = 1, .shape = { 2 }, .data = values[1] },
	};
	struct t2l_error error;
	struct safetensors *st;

	(void)state;
	assert_int_equal(
	    safetensors_save(in_folder("one.safetensors"), NULL, names, tensors, 2, &error),
	    T2L_OK);
	assert_int_equal(safetensors_open(in_folder("one.safetensors"), &st, &error), T2L_OK);
	assert_int_equal(fingerprint_safetensors(st, together, &error), T2L_OK);
	safetensors_close(st);
	save_one("model-1.safetensors", "b", 1);
	save_one("model-2.safetensors", "a", 2);
	save_index("{\"b\":\"model-1.safetensors\",\"a\":\"model-2.safetensors\"}");
	assert_int_equal(safetensors_open(temporary_folder, &st, &error), T2L_OK);
	assert_int_equal(fingerprint_safetensors(st, apart, &error), T2L_OK);
	safetensors_close(st);
	assert_string_equal(together, apart);
}

static void
a_fingerprint_tells_weights_apart(void **state)
{
	enum { LARGE = 1 << 20 };
	static uint8_t bytes[LARGE];
	static const int64_t shape[] = { 4, 65536 }, turned[] = { 65536, 4 };
	struct fingerprint_tensor tensor = { "a", "F32", 2, shape, bytes, LARGE };
	char first[HASH_HEX_SIZE], other[HASH_HEX_SIZE];
	static const size_t places[] = { 0, 4095, (LARGE - 4096) / 17, LARGE - 1 };

	(void)state;
	fingerprint_tensors(&tensor, 1, first);
	for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
		bytes[places[i]] ^= 1;
		fingerprint_tensors(&tensor, 1, other);
		bytes[places[i]] ^= 1;
		assert_string_not_equal(first, other);
	}
	tensor.shape = turned;
	fingerprint_tensors(&tensor, 1, other);
	assert_string_not_equal(first, other);
	tensor.shape = shape;
	tensor.name = "b";
	fingerprint_tensors(&tensor, 1, other);
	assert_string_not_equal(first, other);
}

#define IN_FOLDER(test)                                                                            \
	cmocka_unit_test_setup_teardown(test, make_temporary_folder, remove_temporary_folder)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lies_about_tensors_are_refused),
		cmocka_unit_test(mlx_writes_null_where_it_has_no_metadata),
		cmocka_unit_test(lies_about_the_header_are_refused),
		cmocka_unit_test(hostile_names_are_made_visible_in_messages),
		cmocka_unit_test(every_dtype_of_the_format_is_listed),
		cmocka_unit_test(an_unaligned_tensor_comes_as_an_aligned_copy),
		IN_FOLDER(what_was_written_is_read_back),
		IN_FOLDER(a_shape_that_is_not_expected_is_named),
		IN_FOLDER(the_same_content_gives_the_same_bytes),
		IN_FOLDER(an_unfinished_file_never_appears),
		cmocka_unit_test(faulty_declarations_are_reported_by_begin),
		IN_FOLDER(shards_are_one_set),
		IN_FOLDER(hostile_indexes_are_refused),
		cmocka_unit_test(a_reference_file_is_read_and_every_cut_of_it_refused),
		IN_FOLDER(a_fingerprint_does_not_depend_on_layout_or_sharding),
		cmocka_unit_test(a_fingerprint_tells_weights_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
