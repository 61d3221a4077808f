/* test-bad-models.c - models that lie: each is refused with its file, the tensor or key, and why.
 */
#include "tests/unit/golden-tensors.h"

#include <stdio.h>
#include <unistd.h>

#include "base/atomic-file.h"
#include "base/buffer.h"
#include "base/file.h"
#include "engine/formats/gguf.h"
#include "engine/t2l.h"
#include "tests/unit/temporary-folder.h"

static struct t2l_engine *engine;

static int
open_engine(void **state)
{
	struct t2l_engine_options options = { .n_threads = 1 };

	(void)state;
	return t2l_engine_open(&options, &engine, NULL) == T2L_OK ? 0 : -1;
}

static int
close_engine(void **state)
{
	(void)state;
	t2l_engine_close(engine);
	return 0;
}

#define MAX_NAMED 3

/* The model at PATH is refused; the message has all of NAMED. */
static void
check_refused(const char *path, const char *what, enum t2l_status expected,
    const char *const named[MAX_NAMED])
{
	struct t2l_model *model = NULL;
	struct t2l_error err = { 0 };
	enum t2l_status status = t2l_model_open(engine, path, &model, &err);

	if (status != expected)
		fail_msg("%s: status %d, not %d: %s", what, status, expected, err.message);
	for (int i = 0; i < MAX_NAMED && named[i] != NULL; i++)
		if (strstr(err.message, named[i]) == NULL)
			fail_msg("%s: '%s' lacks '%s'", what, err.message, named[i]);
}

/* ---- GGUF: one layer of 32, made by hand ---- */

/* What is wrong with a file; all zero: nothing. */
struct lie {
	const char *key; /* has this value, signed */
	int64_t value;
	const char *text;	 /* of general.architecture */
	const char *twice;	 /* a key that comes twice */
	const char *long_string; /* a key whose string is 4 GB long */
	const char *dropped;	 /* a tensor that is not there */
	const char *reshaped;	 /* with these sizes, innermost first */
	uint64_t shape[2];
	const char *over;      /* lies over the first tensor */
	const char *twin;      /* bears the name of the first */
	const char *no_number; /* has a NaN */
	size_t cut;	       /* bytes that are missing at the end */
	int n_tokens;	       /* of a tokenizer; 0: none */
};

static const struct hand_tensor {
	const char *name;
	uint64_t shape[2]; /* innermost first; second 0: a vector */
} hand_tensors[] = {
	{ "token_embd.weight", { 32, 8 } },
	{ "output_norm.weight", { 32, 0 } },
	{ "blk.0.attn_norm.weight", { 32, 0 } },
	{ "blk.0.attn_q.weight", { 32, 32 } },
	{ "blk.0.attn_k.weight", { 32, 32 } },
	{ "blk.0.attn_v.weight", { 32, 32 } },
	{ "blk.0.attn_output.weight", { 32, 32 } },
	{ "blk.0.ffn_norm.weight", { 32, 0 } },
	{ "blk.0.ffn_gate.weight", { 32, 64 } },
	{ "blk.0.ffn_up.weight", { 32, 64 } },
	{ "blk.0.ffn_down.weight", { 64, 32 } },
};
#define N_HAND_TENSORS (sizeof hand_tensors / sizeof *hand_tensors)

static bool
same(const char *a, const char *b)
{
	return a != NULL && strcmp(a, b) == 0;
}

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
put_float(struct buffer *out, float value)
{
	buffer_append(out, &value, sizeof value);
}

static uint64_t
put_keys(struct buffer *out, const struct lie *lie)
{
	static const struct {
		const char *key;
		int64_t value;
	} integers[] = {
		{ "llama.block_count", 1 },
		{ "llama.embedding_length", 32 },
		{ "llama.attention.head_count", 2 },
		{ "llama.feed_forward_length", 64 },
		{ "llama.context_length", 64 },
	};
	uint64_t n = 2;

	put_text(out, "general.architecture");
	put(out, GGUF_STRING, 4);
	put_text(out, lie->text != NULL ? lie->text : "llama");
	put_text(out, "llama.attention.layer_norm_rms_epsilon");
	put(out, GGUF_F32, 4);
	put_float(out, 1e-5f);
	for (size_t i = 0; i < sizeof integers / sizeof *integers; i++)
		for (int again = 0; again <= (same(lie->twice, integers[i].key) ? 1 : 0); again++) {
			bool here = same(lie->key, integers[i].key);

			put_text(out, integers[i].key);
			put(out, here && lie->value < 0 ? GGUF_I64 : GGUF_U64, 4);
			put(out, (uint64_t)(here ? lie->value : integers[i].value), 8);
			n++;
		}
	if (lie->n_tokens > 0) {
		put_text(out, "tokenizer.ggml.model");
		put(out, GGUF_STRING, 4);
		put_text(out, "llama");
		put_text(out, "tokenizer.ggml.tokens");
		put(out, GGUF_ARRAY, 4);
		put(out, GGUF_STRING, 4);
		put(out, (uint64_t)lie->n_tokens, 8);
		for (int i = 0; i < lie->n_tokens; i++) {
			char name[16];

			snprintf(name, sizeof name, "t%d", i);
			put_text(out, name);
		}
		put_text(out, "tokenizer.ggml.scores");
		put(out, GGUF_ARRAY, 4);
		put(out, GGUF_F32, 4);
		put(out, (uint64_t)lie->n_tokens, 8);
		for (int i = 0; i < lie->n_tokens; i++)
			put_float(out, (float)-i);
		n += 3;
	}
	if (lie->long_string != NULL) {
		put_text(out, lie->long_string);
		put(out, GGUF_STRING, 4);
		put(out, UINT64_C(1) << 32, 8);
		buffer_text(out, "x");
		n++;
	}
	return n;
}

static uint64_t
bytes_of(const struct hand_tensor *tensor)
{
	return 4 * tensor->shape[0] * (tensor->shape[1] > 0 ? tensor->shape[1] : 1);
}

static uint64_t
put_tensors(struct buffer *out, const struct lie *lie, struct buffer *numbers)
{
	uint64_t n = 0;

	for (size_t i = 0; i < N_HAND_TENSORS; i++) {
		const struct hand_tensor *tensor = &hand_tensors[i];
		const uint64_t *shape =
		    same(lie->reshaped, tensor->name) ? lie->shape : tensor->shape;

		if (same(lie->dropped, tensor->name))
			continue;
		put_text(out, same(lie->twin, tensor->name) ? hand_tensors[0].name : tensor->name);
		put(out, shape[1] > 0 ? 2 : 1, 4);
		put(out, shape[0], 8);
		if (shape[1] > 0)
			put(out, shape[1], 8);
		put(out, 0, 4); /* f32 */
		put(out, same(lie->over, tensor->name) ? 0 : numbers->n, 8);
		for (uint64_t j = 0; j < bytes_of(tensor) / 4; j++)
			put_float(numbers, j == 0 && same(lie->no_number, tensor->name)
					       ? NAN
					       : (float)(j % 13) / 16 - 0.375f);
		n++;
	}
	return n;
}

static const char *
write_gguf(const struct lie *lie)
{
	struct buffer keys = { 0 }, tensors = { 0 }, numbers = { 0 }, file = { 0 };
	uint64_t n_keys = put_keys(&keys, lie), n_tensors = put_tensors(&tensors, lie, &numbers);

	buffer_text(&file, "GGUF");
	put(&file, 3, 4);
	put(&file, n_tensors, 8);
	put(&file, n_keys, 8);
	buffer_append(&file, keys.bytes, keys.n);
	buffer_append(&file, tensors.bytes, tensors.n);
	while (file.n % 32 != 0)
		buffer_char(&file, 0);
	buffer_append(&file, numbers.bytes, numbers.n);
	assert_false(buffer_failed(&file));
	assert_int_equal(atomic_write(in_folder("hand.gguf"), file.bytes, file.n - lie->cut), 0);
	buffer_free(&keys);
	buffer_free(&tensors);
	buffer_free(&numbers);
	buffer_free(&file);
	return in_folder("hand.gguf");
}

static void
an_honest_file_runs(void **state)
{
	const struct lie none = { .n_tokens = 8 };
	struct t2l_model *model = NULL;
	struct t2l_error err = { 0 };
	int32_t ids[] = { 1, 2, 3 };
	double logprobs[3];

	(void)state;
	assert_ok(t2l_model_open(engine, write_gguf(&none), &model, &err));
	assert_ok(t2l_model_check(model, &err));
	assert_ok(t2l_score(model, NULL, NULL, 0, ids, 3, logprobs, NULL, &err));
	t2l_model_close(model);
}

static void
gguf_files_that_lie_are_refused_with_tensor_and_reason(void **state)
{
	static const struct {
		const char *what;
		enum t2l_status status;
		const char *named[MAX_NAMED - 1]; /* beside the file */
		struct lie lie;
	} rows[] = {
		{ "an unknown architecture", T2L_EUNSUPPORTED, { "'mamba'", "supported: llama" },
		    { .text = "mamba" } },
		{ "a missing tensor", T2L_EFORMAT, { "'blk.0.ffn_up.weight'", "missing" },
		    { .dropped = "blk.0.ffn_up.weight" } },
		{ "no embedding", T2L_EFORMAT, { "'token_embd.weight'", "missing" },
		    { .dropped = "token_embd.weight" } },
		{ "a matrix of another shape", T2L_EFORMAT,
		    { "'blk.0.ffn_up.weight' is [32, 64]", "expected [64, 32]" },
		    { .reshaped = "blk.0.ffn_up.weight", .shape = { 64, 32 } } },
		{ "a vector of another size", T2L_EFORMAT,
		    { "'blk.0.attn_norm.weight'", "expected a vector of 32" },
		    { .reshaped = "blk.0.attn_norm.weight", .shape = { 16, 0 } } },
		{ "a negative dimension", T2L_EFORMAT, { "'blk.0.attn_q.weight'", "overflow" },
		    { .reshaped = "blk.0.attn_q.weight", .shape = { (uint64_t)-32, 32 } } },
		{ "a dimension of 0", T2L_EFORMAT, { "'blk.0.attn_q.weight'", "dimension is 0" },
		    { .reshaped = "blk.0.attn_q.weight", .shape = { 0, 32 } } },
		{ "a cut file", T2L_EFORMAT, { "'blk.0.ffn_down.weight'", "beyond the end" },
		    { .cut = 4 } },
		{ "overlapping tensors", T2L_EFORMAT, { "'blk.0.attn_k.weight'", "overlap" },
		    { .over = "blk.0.attn_k.weight" } },
		{ "two tensors of one name", T2L_EFORMAT, { "'token_embd.weight'", "twice" },
		    { .twin = "blk.0.attn_k.weight" } },
		{ "a NaN in a vector", T2L_EFORMAT, { "'blk.0.ffn_norm.weight'", "NaN" },
		    { .no_number = "blk.0.ffn_norm.weight" } },
		{ "a NaN in a matrix", T2L_EFORMAT, { "up_proj.weight'", "NaN" },
		    { .no_number = "blk.0.ffn_up.weight" } },
		{ "2^62 layers", T2L_EFORMAT, { "'llama.block_count'", "integer from 1 to" },
		    { .key = "llama.block_count", .value = INT64_C(1) << 62 } },
		{ "2^63 layers", T2L_EFORMAT, { "'llama.block_count'", "integer from 1 to" },
		    { .key = "llama.block_count", .value = INT64_MIN } },
		{ "a million layers", T2L_EFORMAT, { "num_hidden_layers is 1000000", NULL },
		    { .key = "llama.block_count", .value = 1000000 } },
		{ "negative heads", T2L_EFORMAT,
		    { "'llama.attention.head_count'", "integer from 1 to" },
		    { .key = "llama.attention.head_count", .value = -2 } },
		{ "a key twice", T2L_EFORMAT, { "'llama.context_length'", "twice" },
		    { .twice = "llama.context_length" } },
		{ "a string of 4 GB", T2L_EFORMAT, { "'general.name'", "cut short" },
		    { .long_string = "general.name" } },
		{ "a tokenizer of another model", T2L_EMISMATCH, { "9 tokens", "embeddings for 8" },
		    { .n_tokens = 9 } },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const char *named[MAX_NAMED] = { "hand.gguf", rows[i].named[0], rows[i].named[1] };

		check_refused(write_gguf(&rows[i].lie), rows[i].what, rows[i].status, named);
	}
}

/* ---- Hugging Face: a golden model with its header falsified ---- */

/* FROM in the header becomes TO, of the same length. */
static void
write_falsified(const char *from, const char *to)
{
	const char *weights = need_golden("models/llama-bias/model.safetensors");
	const char *config = need_golden("models/llama-bias/config.json");
	size_t n, n_config, length = strlen(from);
	char *bytes = read_whole_file(weights, 1 << 24, &n);
	char *text = read_whole_file(config, 1 << 20, &n_config);

	assert_true(bytes != NULL && text != NULL);
	assert_int_equal(strlen(to), length);
	for (size_t at = 8; from[0] != '\0'; at++) {
		assert_true(at + length < n);
		if (memcmp(bytes + at, from, length) == 0) {
			memcpy(bytes + at, to, length);
			break;
		}
	}
	assert_int_equal(atomic_write(in_folder("model.safetensors"), bytes, n), 0);
	assert_int_equal(atomic_write(in_folder("config.json"), text, n_config), 0);
	free(bytes);
	free(text);
}

#define LAYER "model.layers.0."

static void
safetensors_that_lie_are_refused_with_tensor_and_reason(void **state)
{
	static const struct {
		const char *from, *to, *named, *reason;
	} rows[] = {
		{ LAYER "mlp.up_proj.weight\"", LAYER "mlp.up_proj.weighs\"",
		    "'" LAYER "mlp.up_proj.weight'", "missing" },
		{ "mlp.up_proj.weight\":{\"dtype\":\"BF16\",\"shape\":[96,64]",
		    "mlp.up_proj.weight\":{\"dtype\":\"BF16\",\"shape\":[64,96]",
		    "'" LAYER "mlp.up_proj.weight' is [64, 96]", "expected [96, 64]" },
		{ LAYER "input_layernorm.weight\":{\"dtype\":\"BF16\",\"shape\":[64]",
		    LAYER "input_layernorm.weight\":{\"dtype\":\"BF16\",\"shape\":[-4]",
		    "'" LAYER "input_layernorm.weight'", "whole number" },
		{ LAYER "input_layernorm.weight\":{\"dtype\":\"BF16\",\"shape\":[64]",
		    LAYER "input_layernorm.weight\":{\"dtype\":\"BF16\",\"shape\":[63]",
		    "'" LAYER "input_layernorm.weight'", "do not fit" },
		{ "[40960,81920]", "[40958,81918]", "'model.embed_tokens.weight'", "overlap" },
		{ LAYER "self_attn.q_proj.weight\"", LAYER "self_attn.k_proj.weight\"",
		    "'" LAYER "self_attn.k_proj.weight'", "twice" },
		{ "\"BF16\",\"shape\":[64,96]", "\"XF16\",\"shape\":[64,96]",
		    "'" LAYER "mlp.down_proj.weight'", "dtype" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const char *named[MAX_NAMED] = { temporary_folder, rows[i].named, rows[i].reason };

		write_falsified(rows[i].from, rows[i].to);
		check_refused(temporary_folder, rows[i].to, T2L_EFORMAT, named);
	}
}

static void
a_cut_directory_is_refused_with_its_file(void **state)
{
	const char *const named[MAX_NAMED] = { "model.safetensors", temporary_folder, NULL };
	size_t n;
	char *bytes;

	(void)state;
	write_falsified("", "");
	bytes = read_whole_file(in_folder("model.safetensors"), 1 << 24, &n);
	assert_non_null(bytes);
	for (size_t keep = 0; keep < n; keep = 4 * keep + 3) {
		assert_int_equal(atomic_write(in_folder("model.safetensors"), bytes, keep), 0);
		check_refused(temporary_folder, "a cut file", T2L_EFORMAT, named);
	}
	memcpy(bytes, "\0\0\0\0\1\0\0", 8); /* a header of 4 GB */
	assert_int_equal(atomic_write(in_folder("model.safetensors"), bytes, n), 0);
	check_refused(temporary_folder, "a header of 4 GB", T2L_EFORMAT, named);
	free(bytes);
}

/* An index is no shard, not even its own. */
static void
an_index_that_names_itself_is_refused(void **state)
{
	static const char index[] =
	    "{\"weight_map\":{\"lm_head.weight\":\"model.safetensors.index.json\"}}";
	const char *const named[MAX_NAMED] = { "model.safetensors.index.json", NULL };

	(void)state;
	write_falsified("", "");
	unlink(in_folder("model.safetensors"));
	assert_int_equal(
	    atomic_write(in_folder("model.safetensors.index.json"), index, strlen(index)), 0);
	check_refused(temporary_folder, "a cycle", T2L_EFORMAT, named);
}

/* ---- numbers that are none, where opening does not look ---- */

#define MANY 20011 /* rows: opening reads a fifth of them */

/* A GGUF model whose embedding has MANY rows of 32, one number in row 7 being NaN or not. */
static void
damage_between_the_samples_is_found_by_a_check_and_by_a_run(void **state)
{
	struct lie none = { 0 };
	struct t2l_model *model = NULL;
	struct t2l_error err = { 0 };
	int32_t ids[] = { 1, 2, 3 };
	double logprobs[3];
	struct gguf *gguf;
	struct tensor tensor;
	size_t n;

	(void)state;
	write_gguf(&none);
	char *bytes = read_whole_file(in_folder("hand.gguf"), 1 << 24, &n);
	assert_non_null(bytes);
	/* The embedding becomes the last tensor and grows: its offset and rows are in the header.
	 */
	uint64_t rows = MANY, offset = 0;
	for (size_t i = 0; i < N_HAND_TENSORS; i++)
		offset += bytes_of(&hand_tensors[i]);
	char *at = bytes;
	while (memcmp(at, "token_embd.weight", 17) != 0)
		at++;
	memcpy(at + 17 + 4 + 8, &rows, 8);
	memcpy(at + 17 + 4 + 16 + 4, &offset, 8);
	size_t larger = n + MANY * 32 * sizeof(float);
	bytes = realloc(bytes, larger);
	assert_non_null(bytes);
	for (size_t i = n; i < larger; i += 4) {
		float value = (float)(i / 4 % 13) / 16 - 0.375f;

		memcpy(bytes + i, &value, 4);
	}
	const float nan = NAN;
	memcpy(bytes + n + (7 * 32 + 5) * sizeof(float), &nan, sizeof nan);
	assert_int_equal(atomic_write(in_folder("hand.gguf"), bytes, larger), 0);
	free(bytes);

	/* Row 7 is where it should be, and no sample. */
	assert_ok(gguf_open(in_folder("hand.gguf"), &gguf, &err));
	assert_ok(gguf_tensor(gguf, "token_embd.weight", &tensor, &err));
	assert_true(isnan(((const float *)tensor.data)[7 * 32 + 5]));
	gguf_close(gguf);
	assert_ok(t2l_model_open(engine, in_folder("hand.gguf"), &model, &err));
	assert_fails(t2l_model_check(model, &err), T2L_EFORMAT,
	    "hand.gguf: tensor 'token_embd.weight': row 7, column 5 is not a number");
	/* The embedding is the head too: one token's logit is NaN, which must not pass unseen. */
	assert_fails(t2l_score(model, NULL, NULL, 0, ids, 3, logprobs, NULL, &err), T2L_EFORMAT,
	    "no number for 1 of 20011 tokens (after token 1): ");
	assert_non_null(strstr(err.message, "tensor 'token_embd.weight': row 7, column 5"));
	t2l_model_close(model);
}

/* Weights that are numbers, but overflow: told by layer. */
static void
an_overflow_is_told_by_its_layer(void **state)
{
	struct lie none = { 0 };
	struct t2l_model *model = NULL;
	struct t2l_error err = { 0 };
	int32_t ids[] = { 1, 2, 3 };
	double logprobs[3];
	size_t n;

	(void)state;
	write_gguf(&none);
	char *bytes = read_whole_file(in_folder("hand.gguf"), 1 << 24, &n);
	assert_non_null(bytes);
	for (size_t i = n - bytes_of(&hand_tensors[N_HAND_TENSORS - 1]); i < n; i += 4) {
		const float huge = 3e38f;

		memcpy(bytes + i, &huge, sizeof huge); /* ffn_down */
	}
	assert_int_equal(atomic_write(in_folder("hand.gguf"), bytes, n), 0);
	free(bytes);
	assert_ok(t2l_model_open(engine, in_folder("hand.gguf"), &model, &err));
	assert_ok(t2l_model_check(model, &err));
	assert_fails(t2l_score(model, NULL, NULL, 0, ids, 3, logprobs, NULL, &err), T2L_EFORMAT,
	    "its weights are numbers, but the pass overflows in layer 0");
	t2l_model_close(model);
}

#define TEST(function)                                                                             \
	cmocka_unit_test_setup_teardown(function, make_temporary_folder, remove_temporary_folder)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_honest_file_runs),
		TEST(gguf_files_that_lie_are_refused_with_tensor_and_reason),
		TEST(safetensors_that_lie_are_refused_with_tensor_and_reason),
		TEST(a_cut_directory_is_refused_with_its_file),
		TEST(an_index_that_names_itself_is_refused),
		TEST(damage_between_the_samples_is_found_by_a_check_and_by_a_run),
		TEST(an_overflow_is_told_by_its_layer),
	};

	return cmocka_run_group_tests(tests, open_engine, close_engine);
}
