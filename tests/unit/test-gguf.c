/* test-gguf.c - reads llama.cpp's files, writes its own, refuses damaged ones. */

#include "tests/unit/cmocka-first.h"

#include <math.h>
#include <string.h>
#include <strings.h>

#include "base/atomic-file.h"
#include "base/buffer.h"
#include "base/file.h"
#include "engine/formats/gguf-writer.h"
#include "engine/formats/gguf.h"
#include "engine/formats/safetensors.h"
#include "tests/golden-path.h"
#include "tests/unit/temporary-folder.h"

/* ---- llama.cpp's own files ---- */

/* Compares an unquantised file with the Hugging Face model it was converted from: the same
 * numbers, rounded to the file's type. (Rows of q and k are reordered there, so not those.) */
static void
check_converted(const char *gguf_name, const char *model)
{
	static const char *const names[][2] = {
		{ "token_embd.weight", "model.embed_tokens.weight" },
		{ "blk.0.attn_norm.weight", "model.layers.0.input_layernorm.weight" },
		{ "blk.1.attn_v.weight", "model.layers.1.self_attn.v_proj.weight" },
		{ "blk.1.ffn_down.weight", "model.layers.1.mlp.down_proj.weight" },
	};
	const char *gguf_file = golden_path(gguf_name), *folder = golden_path(model);
	struct t2l_error error;
	struct gguf *gguf;
	struct safetensors *st;

	if (gguf_file == NULL || folder == NULL)
		skip();
	assert_int_equal(gguf_open(gguf_file, &gguf, &error), T2L_OK);
	assert_int_equal(safetensors_open(folder, &st, &error), T2L_OK);
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		struct tensor ours, theirs;
		int64_t n;
		float *values;
		void *rounded;

		assert_int_equal(gguf_tensor(gguf, names[i][0], &ours, &error), T2L_OK);
		assert_int_equal(safetensors_tensor(st, names[i][1], &theirs, &error), T2L_OK);
		n = tensor_count(&theirs);
		assert_int_equal(tensor_count(&ours), n);
		assert_int_equal(ours.shape[0], theirs.shape[0]);
		values = malloc((size_t)n * sizeof *values);
		rounded = malloc((size_t)n * sizeof *values);
		assert_true(dtype_to_f32(theirs.dtype, theirs.data, values, n));
		assert_true(dtype_from_f32(ours.dtype, values, rounded, n));
		assert_memory_equal(rounded, ours.data, dtype_row_bytes(ours.dtype, n));
		free(values);
		free(rounded);
	}
	safetensors_close(st);
	gguf_close(gguf);
}

static void
an_f32_file_holds_the_model_it_came_from(void **state)
{
	(void)state;
	check_converted("models/gguf/llama2-f32.gguf", "models/llama2/model.safetensors");
}

static void
an_f16_file_holds_the_model_it_came_from(void **state)
{
	(void)state;
	check_converted("models/gguf/llama2-f16.gguf", "models/llama2/model.safetensors");
}

static void
a_bf16_file_holds_the_sharded_model_it_came_from(void **state)
{
	(void)state;
	check_converted(
	    "models/gguf/llama3-bf16.gguf", "models/llama3/model.safetensors.index.json");
}

static void
metadata_of_llama_cpp_is_read_by_type(void **state)
{
	const char *path = golden_path("models/gguf/llama2-q8_0.gguf");
	const struct gguf_key *tokens;
	struct t2l_error error;
	struct gguf *gguf;
	const char *architecture = NULL;
	int64_t layers = 0;
	double epsilon = 0;
	size_t n_bytes;

	(void)state;
	if (path == NULL)
		skip();
	assert_int_equal(gguf_open(path, &gguf, &error), T2L_OK);
	assert_int_equal(gguf_version(gguf), 3);
	assert_int_equal(
	    gguf_string(gguf, "general.architecture", true, &architecture, &error), T2L_OK);
	assert_string_equal(architecture, "llama");
	assert_int_equal(
	    gguf_integer(gguf, "llama.block_count", true, 1, 1000, &layers, &error), T2L_OK);
	assert_int_equal(layers, 2);
	assert_int_equal(
	    gguf_number(gguf, "llama.attention.layer_norm_rms_epsilon", true, &epsilon, &error),
	    T2L_OK);
	assert_true(fabs(epsilon - 1e-5) < 1e-9);
	assert_int_equal(
	    gguf_integer(gguf, "general.architecture", true, 0, 9, &layers, &error), T2L_EFORMAT);
	assert_int_equal(gguf_integer(gguf, "none", true, 0, 9, &layers, &error), T2L_EFORMAT);
	assert_int_equal(gguf_integer(gguf, "none", false, 0, 9, &layers, &error), T2L_OK);
	assert_int_equal(layers, 2);
	assert_int_equal(
	    gguf_array(gguf, "tokenizer.ggml.tokens", GGUF_STRING, true, &tokens, &error), T2L_OK);
	assert_true(tokens->n > 0);
	for (uint64_t i = 0; i < tokens->n; i++)
		assert_non_null(gguf_array_string(tokens, i, &n_bytes));
	gguf_close(gguf);
}

/* ---- our own ---- */

static const float weights[64] = { 0.5f, -1, 2, 127, -127 };

/* One key of each kind, one tensor of each of three types. */
static void
write_example(const char *path)
{
	static const int64_t matrix[] = { 2, 32 }, vector[] = { 3 };
	static const char *const words[] = { "a", "", "\xC3\xA9" };
	static const int32_t numbers[] = { 1, -2, 3 };
	struct gguf_writer *writer = gguf_writer_new();
	struct t2l_error error = { 0 };

	assert_non_null(writer);
	gguf_writer_string(writer, "general.architecture", "test");
	gguf_writer_integer(writer, "u8", GGUF_U8, 255);
	gguf_writer_integer(writer, "i8", GGUF_I8, -128);
	gguf_writer_integer(writer, "i64", GGUF_I64, INT64_MIN);
	gguf_writer_integer(writer, "u64", GGUF_U64, INT64_MAX);
	gguf_writer_number(writer, "f32", GGUF_F32, 0.5);
	gguf_writer_number(writer, "f64", GGUF_F64, 0.1);
	gguf_writer_bool(writer, "bool", true);
	gguf_writer_strings(writer, "words", words, NULL, 3);
	gguf_writer_array(writer, "numbers", GGUF_I32, numbers, 3);
	gguf_writer_declare(writer, "q", DTYPE_Q8_0, 2, matrix);
	gguf_writer_declare(writer, "v", DTYPE_F32, 1, vector);
	gguf_writer_declare(writer, "h", DTYPE_F16, 2, matrix);
	assert_int_equal(gguf_writer_begin(writer, path, &error), T2L_OK);
	assert_int_equal(gguf_writer_floats(writer, weights, 32, &error), T2L_OK);
	assert_int_equal(gguf_writer_floats(writer, weights + 32, 32, &error), T2L_OK);
	assert_int_equal(gguf_writer_bytes(writer, weights, 12, &error), T2L_OK);
	assert_int_equal(gguf_writer_floats(writer, weights, 64, &error), T2L_OK);
	assert_int_equal(gguf_writer_bytes(writer, weights, 1, &error), T2L_EINVAL);
	assert_int_equal(gguf_writer_finish(writer, &error), T2L_OK);
	gguf_writer_free(writer);
}

static void
check_example_keys(const struct gguf *gguf)
{
	static const struct {
		const char *key;
		int64_t value;
	} integers[] = { { "u8", 255 }, { "i8", -128 }, { "i64", INT64_MIN },
		{ "u64", INT64_MAX } };
	const struct gguf_key *words, *numbers;
	int64_t integer;
	double number;
	bool yes = false;
	size_t n;

	for (size_t i = 0; i < sizeof integers / sizeof integers[0]; i++) {
		assert_int_equal(
		    gguf_integer(gguf, integers[i].key, true, INT64_MIN, INT64_MAX, &integer, NULL),
		    T2L_OK);
		assert_int_equal(integer, integers[i].value);
	}
	assert_int_equal(gguf_number(gguf, "f32", true, &number, NULL), T2L_OK);
	assert_true(number == 0.5);
	assert_int_equal(gguf_number(gguf, "f64", true, &number, NULL), T2L_OK);
	assert_true(number == 0.1);
	assert_int_equal(gguf_bool(gguf, "bool", true, &yes, NULL), T2L_OK);
	assert_true(yes);
	assert_int_equal(gguf_array(gguf, "words", GGUF_STRING, true, &words, NULL), T2L_OK);
	assert_int_equal(words->n, 3);
	assert_memory_equal(gguf_array_string(words, 2, &n), "\xC3\xA9", 2);
	assert_int_equal(n, 2);
	gguf_array_string(words, 1, &n);
	assert_int_equal(n, 0);
	assert_int_equal(gguf_array(gguf, "numbers", GGUF_I32, true, &numbers, NULL), T2L_OK);
	assert_int_equal(gguf_array_integer(numbers, 1), -2);
	assert_true(gguf_array_number(numbers, 2) == 3.0);
	assert_int_equal(gguf_array(gguf, "numbers", GGUF_F32, true, &numbers, NULL), T2L_EFORMAT);
}

static void
what_was_written_is_read_back(void **state)
{
	struct t2l_error error;
	struct tensor tensor;
	struct gguf *gguf;
	float values[64];

	(void)state;
	write_example(in_folder("a.gguf"));
	assert_int_equal(gguf_open(in_folder("a.gguf"), &gguf, &error), T2L_OK);
	check_example_keys(gguf);
	assert_int_equal(gguf_tensor(gguf, "q", &tensor, &error), T2L_OK);
	assert_int_equal(tensor.dtype, DTYPE_Q8_0);
	assert_int_equal(tensor.shape[0], 2);
	assert_int_equal(tensor.shape[1], 32);
	assert_true(dtype_to_f32(tensor.dtype, tensor.data, values, 64));
	for (int i = 0; i < 64; i++) /* the scale is 1: whole numbers are exact */
		assert_true(fabsf(values[i] - weights[i]) <= 0.5f);
	assert_int_equal(gguf_tensor(gguf, "v", &tensor, &error), T2L_OK);
	assert_memory_equal(tensor.data, weights, 12);
	assert_int_equal(gguf_tensor(gguf, "h", &tensor, &error), T2L_OK);
	assert_true(dtype_to_f32(tensor.dtype, tensor.data, values, 64));
	for (int i = 0; i < 64; i++)
		assert_true(values[i] == weights[i]);
	gguf_close(gguf);
}

static void
every_cut_of_a_file_is_refused(void **state)
{
	struct t2l_error error;
	struct gguf *gguf;
	size_t n;
	char *bytes;

	(void)state;
	write_example(in_folder("a.gguf"));
	bytes = read_whole_file(in_folder("a.gguf"), 1 << 20, &n);
	assert_non_null(bytes);
	assert_int_equal(gguf_parse(bytes, n, "whole", &gguf, &error), T2L_OK);
	gguf_close(gguf);
	for (size_t cut = 0; cut < n; cut++)
		assert_int_equal(gguf_parse(bytes, cut, "cut", &gguf, &error), T2L_EFORMAT);
	free(bytes);
}

/* ---- damaged by hand ---- */

static void
put(struct buffer *out, uint64_t value, int n_bytes)
{
	for (int i = 0; i < n_bytes; i++)
		buffer_char(out, (char)(value >> 8 * i));
}

static void
put_text(struct buffer *out, const char *text)
{
	put(out, strlen(text), 8);
	buffer_text(out, text);
}

static void
put_preamble(struct buffer *out, uint32_t version, uint64_t n_tensors, uint64_t n_keys)
{
	buffer_text(out, "GGUF");
	put(out, version, 4);
	put(out, n_tensors, 8);
	put(out, n_keys, 8);
}

static void
put_tensor(struct buffer *out, const char *name, int n_dims, const uint64_t *dims, uint32_t type,
    uint64_t offset)
{
	put_text(out, name);
	put(out, (uint64_t)n_dims, 4);
	for (int i = 0; i < n_dims; i++)
		put(out, dims[i], 8);
	put(out, type, 4);
	put(out, offset, 8);
}

/* Parses and frees FILE with room for data behind it. */
static void
check_refused(struct buffer *file, enum t2l_status status, const char *part_of_message)
{
	struct t2l_error error = { 0 };
	struct gguf *gguf;

	for (int i = 0; i < 256; i++)
		put(file, 0, 1);
	assert_int_equal(gguf_parse(file->bytes, file->n, "x.gguf", &gguf, &error), status);
	if (strstr(error.message, part_of_message) == NULL)
		fail_msg("%s instead of %s", error.message, part_of_message);
	buffer_free(file);
}

static void
lies_about_the_header_are_refused(void **state)
{
	struct buffer file = { 0 };

	(void)state;
	buffer_text(&file, "GGML");
	check_refused(&file, T2L_EFORMAT, "no GGUF file");
	buffer_text(&file, "version https://git-lfs.github.com/spec/v1\noid sha256:00\n");
	check_refused(&file, T2L_EFORMAT, "git lfs pull");
	put_preamble(&file, 1, 0, 0);
	check_refused(&file, T2L_EUNSUPPORTED, "version 1");
	put_preamble(&file, 3u << 24, 0, 0);
	check_refused(&file, T2L_EUNSUPPORTED, "big-endian");
	put_preamble(&file, 3, UINT64_MAX, 0);
	check_refused(&file, T2L_EFORMAT, "cut short");
	put_preamble(&file, 3, 0, UINT64_MAX);
	check_refused(&file, T2L_EFORMAT, "cut short");
	put_preamble(&file, 3, 0, 1);
	put(&file, UINT64_MAX - 7, 8); /* a name of that length */
	check_refused(&file, T2L_EFORMAT, "cut short");
}

static void
lies_about_metadata_are_refused(void **state)
{
	struct buffer file = { 0 };

	(void)state;
	put_preamble(&file, 3, 0, 1);
	put_text(&file, "a");
	put(&file, N_GGUF_TYPES, 4);
	check_refused(&file, T2L_EFORMAT, "type");
	put_preamble(&file, 3, 0, 1);
	put_text(&file, "a");
	put(&file, GGUF_BOOL, 4);
	put(&file, 2, 1);
	check_refused(&file, T2L_EFORMAT, "boolean");
	put_preamble(&file, 3, 0, 1);
	put_text(&file, "a");
	put(&file, GGUF_ARRAY, 4);
	put(&file, GGUF_U64, 4);
	put(&file, UINT64_MAX / 8 + 2, 8); /* times 8 is 8 again */
	check_refused(&file, T2L_EFORMAT, "cut short");
	put_preamble(&file, 3, 0, 1);
	put_text(&file, "a");
	put(&file, GGUF_ARRAY, 4);
	put(&file, GGUF_ARRAY, 4);
	put(&file, 1, 8);
	check_refused(&file, T2L_EUNSUPPORTED, "arrays of arrays");
	put_preamble(&file, 3, 0, 2);
	for (int i = 0; i < 2; i++) {
		put_text(&file, "a");
		put(&file, GGUF_U8, 4);
		put(&file, 1, 1);
	}
	check_refused(&file, T2L_EFORMAT, "twice");
	put_preamble(&file, 3, 0, 1);
	put_text(&file, "general.alignment");
	put(&file, GGUF_U32, 4);
	put(&file, 24, 4);
	check_refused(&file, T2L_EFORMAT, "power of two");
	put_preamble(&file, 3, 0, 1);
	put_text(&file, "general.alignment");
	put(&file, GGUF_U32, 4);
	put(&file, 0, 4);
	check_refused(&file, T2L_EFORMAT, "integer from 8");
}

static void
lies_about_tensors_are_refused(void **state)
{
	static const uint64_t four[] = { 4 }, zero[] = { 0 }, blocks[] = { 33 },
			      wraps[] = { 1ull << 62, 4 }, five[] = { 1, 1, 1, 1, 1 },
			      large[] = { 1ull << 60 };
	static const struct {
		const uint64_t *dims;
		int n_dims;
		uint32_t type;
		uint64_t offset;
		enum t2l_status status;
		const char *part;
	} cases[] = {
		{ four, 1, 0, 1024, T2L_EFORMAT, "beyond the end" },
		{ four, 1, 0, UINT64_MAX - 31, T2L_EFORMAT, "beyond the end" },
		{ four, 1, 0, 4, T2L_EFORMAT, "not aligned" },
		{ large, 1, 0, 0, T2L_EFORMAT, "beyond the end" },
		{ zero, 1, 0, 0, T2L_EFORMAT, "dimension is 0" },
		{ four, 0, 0, 0, T2L_EFORMAT, "1 to 4 dimensions" },
		{ five, 5, 0, 0, T2L_EFORMAT, "1 to 4 dimensions" },
		{ blocks, 1, 8, 0, T2L_EFORMAT, "whole blocks" },
		{ wraps, 2, 0, 0, T2L_EFORMAT, "overflows" },
		{ four, 1, 99, 0, T2L_EUNSUPPORTED, "type 99" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct buffer file = { 0 };

		put_preamble(&file, 3, 1, 0);
		put_tensor(
		    &file, "a", cases[i].n_dims, cases[i].dims, cases[i].type, cases[i].offset);
		check_refused(&file, cases[i].status, cases[i].part);
	}
}

static void
tensors_may_share_neither_names_nor_bytes(void **state)
{
	static const uint64_t nine[] = { 9 };
	struct buffer file = { 0 };

	(void)state;
	put_preamble(&file, 3, 2, 0);
	put_tensor(&file, "a", 1, nine, 0, 0);
	put_tensor(&file, "b", 1, nine, 0, 32);
	check_refused(&file, T2L_EFORMAT, "overlap");
	put_preamble(&file, 3, 2, 0);
	put_tensor(&file, "a", 1, nine, 0, 0);
	put_tensor(&file, "a", 1, nine, 0, 64);
	check_refused(&file, T2L_EFORMAT, "twice");
}

static void
types_without_arithmetic_are_listed_but_refused_as_tensors(void **state)
{
	static const uint64_t one_block[] = { 256 };
	enum { IQ2_XS = 17, BLOCK_BYTES = 74 };
	struct buffer file = { 0 };
	const struct gguf_entry *entry;
	struct t2l_error error;
	struct tensor tensor;
	struct gguf *gguf;

	(void)state;
	put_preamble(&file, 3, 1, 0);
	put_tensor(&file, "w", 1, one_block, IQ2_XS, 0);
	for (int i = 0; i < 256; i++)
		put(&file, 0, 1);
	assert_int_equal(gguf_parse(file.bytes, file.n, "x.gguf", &gguf, &error), T2L_OK);
	entry = gguf_find(gguf, "w");
	assert_non_null(entry);
	assert_string_equal(entry->type_name, "IQ2_XS");
	assert_int_equal(entry->n_bytes, BLOCK_BYTES);
	assert_int_equal(gguf_tensor(gguf, "w", &tensor, &error), T2L_EUNSUPPORTED);
	assert_non_null(strstr(error.message, "IQ2_XS: not supported by this version"));
	gguf_close(gguf);
	buffer_free(&file);
}

/* Each type's blocks as the table of formats has them, through a file and back. */
static void
every_weight_type_is_written_and_read_back(void **state)
{
	enum { ROWS = 3, COLS = 512 };
	const int64_t shape[] = { ROWS, COLS };
	static float values[ROWS * COLS];
	struct gguf_writer *writer = gguf_writer_new();
	struct t2l_error error = { 0 };
	struct gguf *gguf;

	(void)state;
	for (int i = 0; i < ROWS * COLS; i++)
		values[i] = (float)(i * 7919 % 2003 - 1000) / 999;
	for (enum dtype dtype = 0; dtype < N_DTYPES; dtype++)
		if (dtype_is_weight(dtype))
			gguf_writer_declare(writer, dtype_name(dtype), dtype, 2, shape);
	assert_int_equal(gguf_writer_begin(writer, in_folder("a.gguf"), &error), T2L_OK);
	for (enum dtype dtype = 0; dtype < N_DTYPES; dtype++)
		if (dtype_is_weight(dtype))
			assert_int_equal(
			    gguf_writer_floats(writer, values, ROWS * COLS, &error), T2L_OK);
	assert_int_equal(gguf_writer_finish(writer, &error), T2L_OK);
	gguf_writer_free(writer);
	assert_int_equal(gguf_open(in_folder("a.gguf"), &gguf, &error), T2L_OK);
	for (enum dtype dtype = 0; dtype < N_DTYPES; dtype++) {
		static unsigned char stored[ROWS * COLS * sizeof(float)];
		const struct gguf_entry *entry = gguf_find(gguf, dtype_name(dtype));
		struct tensor tensor;

		if (!dtype_is_weight(dtype))
			continue;
		assert_non_null(entry);
		assert_int_equal(strcasecmp(entry->type_name, dtype_name(dtype)), 0);
		assert_int_equal(entry->n_bytes, ROWS * dtype_row_bytes(dtype, COLS));
		assert_int_equal(gguf_tensor(gguf, dtype_name(dtype), &tensor, &error), T2L_OK);
		assert_int_equal(tensor.dtype, dtype);
		assert_true(dtype_from_f32(dtype, values, stored, ROWS * COLS));
		assert_memory_equal(tensor.data, stored, entry->n_bytes);
	}
	gguf_close(gguf);
}

static void
faulty_declarations_are_reported_by_begin(void **state)
{
	static const int64_t shape[] = { 33 };
	struct gguf_writer *writer = gguf_writer_new();
	struct t2l_error error;

	(void)state;
	gguf_writer_declare(writer, "a", DTYPE_Q8_0, 1, shape);
	assert_int_equal(gguf_writer_begin(writer, in_folder("a.gguf"), &error), T2L_EINVAL);
	gguf_writer_free(writer);
	writer = gguf_writer_new();
	gguf_writer_integer(writer, "a", GGUF_U8, 256);
	assert_int_equal(gguf_writer_begin(writer, in_folder("a.gguf"), &error), T2L_EINVAL);
	gguf_writer_free(writer);
	writer = gguf_writer_new();
	gguf_writer_bool(writer, "a", true);
	gguf_writer_bool(writer, "a", true);
	assert_int_equal(gguf_writer_begin(writer, in_folder("a.gguf"), &error), T2L_EINVAL);
	gguf_writer_free(writer);
	assert_int_equal(files_in_folder(), 0);
}

/* ---- models in parts ---- */

struct part {
	int number, count, total; /* as the file says */
	const char *file, *tensor;
};

static void
write_part(const struct part *part)
{
	static const int64_t shape[] = { 2 };
	const float values[] = { (float)part->number, 0.5f };
	struct gguf_writer *writer = gguf_writer_new();
	struct t2l_error error;

	if (part->number == 0)
		gguf_writer_string(writer, "general.architecture", "test");
	gguf_writer_integer(writer, "split.no", GGUF_U16, part->number);
	gguf_writer_integer(writer, "split.count", GGUF_U16, part->count);
	gguf_writer_integer(writer, "split.tensors.count", GGUF_I32, part->total);
	gguf_writer_declare(writer, part->tensor, DTYPE_F32, 1, shape);
	assert_int_equal(gguf_writer_begin(writer, in_folder(part->file), &error), T2L_OK);
	assert_int_equal(gguf_writer_floats(writer, values, 2, &error), T2L_OK);
	assert_int_equal(gguf_writer_finish(writer, &error), T2L_OK);
	gguf_writer_free(writer);
}

static const struct part whole_model[] = {
	{ 0, 3, 3, "m-00001-of-00003.gguf", "a" },
	{ 1, 3, 3, "m-00002-of-00003.gguf", "b" },
	{ 2, 3, 3, "m-00003-of-00003.gguf", "c" },
};

static void
write_whole_model(void)
{
	for (int i = 0; i < 3; i++)
		write_part(&whole_model[i]);
}

static void
any_part_opens_the_whole_model(void **state)
{
	(void)state;
	write_whole_model();
	for (int i = 0; i < 3; i++) {
		const char *architecture = NULL;
		struct t2l_error error;
		struct tensor tensor;
		struct gguf *gguf;

		assert_int_equal(gguf_open(in_folder(whole_model[i].file), &gguf, &error), T2L_OK);
		assert_int_equal(gguf_count(gguf), 3);
		for (int t = 0; t < 3; t++) {
			assert_int_equal(
			    gguf_tensor(gguf, whole_model[t].tensor, &tensor, &error), T2L_OK);
			assert_true(tensor_f32(&tensor)[0] == (float)t);
		}
		assert_int_equal(
		    gguf_string(gguf, "general.architecture", true, &architecture, &error), T2L_OK);
		assert_string_equal(architecture, "test");
		gguf_close(gguf);
	}
}

static void
parts_that_do_not_fit_together_are_refused_by_name(void **state)
{
	static const struct {
		struct part instead; /* of the part of its file's name */
		enum t2l_status status;
		const char *message;
	} cases[] = {
		{ { 1, 4, 3, "m-00002-of-00003.gguf", "b" }, T2L_EFORMAT,
		    "m-00002-of-00003.gguf: it says that it is part 2 of 4, its name says 2 of 3" },
		{ { 2, 3, 3, "m-00002-of-00003.gguf", "b" }, T2L_EFORMAT,
		    "it says that it is part 3 of 3, its name says 2 of 3" },
		{ { 1, 0, 3, "m-00002-of-00003.gguf", "b" }, T2L_EFORMAT, "its name says 2 of 3" },
		{ { 1, 3, 3, "m-00002-of-00003.gguf", "c" }, T2L_EFORMAT,
		    "tensor 'c': it is there twice" },
		{ { 0, 3, 5, "m-00001-of-00003.gguf", "a" }, T2L_EFORMAT,
		    "its 3 parts hold 3 tensors, but split.tensors.count says 5" },
	};
	struct t2l_error error;
	struct gguf *gguf;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		write_whole_model();
		write_part(&cases[i].instead);
		assert_int_equal(
		    gguf_open(in_folder("m-00001-of-00003.gguf"), &gguf, &error), cases[i].status);
		if (strstr(error.message, cases[i].message) == NULL)
			fail_msg("'%s' instead of '%s'", error.message, cases[i].message);
	}
}

static void
a_missing_or_renamed_part_is_named(void **state)
{
	struct t2l_error error;
	struct gguf *gguf;

	(void)state;
	write_part(&whole_model[0]);
	write_part(&whole_model[2]);
	assert_int_equal(gguf_open(in_folder("m-00003-of-00003.gguf"), &gguf, &error), T2L_ENOENT);
	assert_non_null(
	    strstr(error.message, "m-00002-of-00003.gguf: part 2 of 3 of this model is missing"));
	write_part(&(struct part){ 1, 3, 3, "renamed.gguf", "b" });
	assert_int_equal(gguf_open(in_folder("renamed.gguf"), &gguf, &error), T2L_EINVAL);
	assert_non_null(strstr(error.message, "must end in '-00002-of-00003.gguf'"));
}

#define IN_FOLDER(test)                                                                            \
	cmocka_unit_test_setup_teardown(test, make_temporary_folder, remove_temporary_folder)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_f32_file_holds_the_model_it_came_from),
		cmocka_unit_test(an_f16_file_holds_the_model_it_came_from),
		cmocka_unit_test(a_bf16_file_holds_the_sharded_model_it_came_from),
		cmocka_unit_test(metadata_of_llama_cpp_is_read_by_type),
		IN_FOLDER(what_was_written_is_read_back),
		IN_FOLDER(every_cut_of_a_file_is_refused),
		cmocka_unit_test(lies_about_the_header_are_refused),
		cmocka_unit_test(lies_about_metadata_are_refused),
		cmocka_unit_test(lies_about_tensors_are_refused),
		cmocka_unit_test(tensors_may_share_neither_names_nor_bytes),
		cmocka_unit_test(types_without_arithmetic_are_listed_but_refused_as_tensors),
		IN_FOLDER(every_weight_type_is_written_and_read_back),
		IN_FOLDER(faulty_declarations_are_reported_by_begin),
		IN_FOLDER(any_part_opens_the_whole_model),
		IN_FOLDER(parts_that_do_not_fit_together_are_refused_by_name),
		IN_FOLDER(a_missing_or_renamed_part_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
