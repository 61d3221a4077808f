/* test-generate.c - from a description to an adapter through the public face: t2l_hypernet_*. */

#include "tests/unit/cmocka-first.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/adapters/adapter.h"
#include "engine/formats/safetensors.h"
#include "engine/hypernet/hypernet.h"
#include "tests/golden-path.h"
#include "tests/unit/temporary-folder.h"

static struct t2l_engine *engine;

static int
open_engine(void **state)
{
	const struct t2l_engine_options options = { .n_threads = 2, .precise = true };

	if (t2l_engine_open(&options, &engine, NULL) != T2L_OK)
		return -1;
	return make_temporary_folder(state);
}

static int
close_engine(void **state)
{
	t2l_engine_close(engine);
	return remove_temporary_folder(state);
}

static struct t2l_hypernet *
open_hypernet(const char *name)
{
	struct t2l_hypernet *hypernet;
	struct t2l_error err;
	char path[128];

	snprintf(path, sizeof path, "hypernet/%s/weights.safetensors", name);
	if (golden_path(path) == NULL)
		skip();
	if (t2l_hypernet_open(engine, golden_path(path), &hypernet, &err) != T2L_OK)
		fail_msg("%s", err.message);
	return hypernet;
}

/* The golden's task embeddings [n, d]; free() them. */
static float *
golden_embeddings(const char *name, size_t *n)
{
	struct safetensors *st;
	struct tensor stored;
	char path[128];
	float *copy;

	snprintf(path, sizeof path, "hypernet/%s/golden.safetensors", name);
	assert_int_equal(safetensors_open(golden_path(path), &st, NULL), T2L_OK);
	assert_int_equal(safetensors_tensor(st, "task_emb", &stored, NULL), T2L_OK);
	*n = (size_t)stored.shape[0];
	copy = malloc((size_t)tensor_count(&stored) * sizeof *copy);
	memcpy(copy, stored.data, (size_t)tensor_count(&stored) * sizeof *copy);
	safetensors_close(st);
	return copy;
}

static void
assert_same_numbers(const struct t2l_adapter *x, const struct t2l_adapter *y, double bound)
{
	assert_int_equal(x->n_modules, y->n_modules);
	for (size_t i = 0; i < x->n_modules; i++) {
		const struct adapter_module *a = &x->modules[i], *b = &y->modules[i];

		assert_int_equal(a->layer, b->layer);
		assert_int_equal(a->module, b->module);
		assert_true(a->scale == b->scale);
		for (int64_t j = 0; j < tensor_count(&a->a); j++)
			assert_float_equal(tensor_f32(&a->a)[j], tensor_f32(&b->a)[j], bound);
		for (int64_t j = 0; j < tensor_count(&a->bt); j++)
			assert_float_equal(tensor_f32(&a->bt)[j], tensor_f32(&b->bt)[j], bound);
	}
}

static void
the_adapter_is_the_one_the_reference_writes(void **state)
{
	static const char *const names[] = { "L_sft", "S_sft_learnpos" };

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct t2l_hypernet *hypernet = open_hypernet(names[i]);
		struct t2l_adapter *adapter, *reference;
		char path[128];
		size_t n;
		float *embeddings = golden_embeddings(names[i], &n);

		snprintf(path, sizeof path, "hypernet/%s/adapter", names[i]);
		assert_int_equal(t2l_adapter_open(golden_path(path), &reference, NULL), T2L_OK);
		assert_int_equal(
		    t2l_hypernet_generate(hypernet, embeddings, "the task", &adapter, NULL),
		    T2L_OK);
		assert_same_numbers(adapter, reference, 3e-6);
		assert_string_equal(adapter->facts.task, "the task");
		assert_string_equal(
		    adapter->facts.hypernet, t2l_hypernet_facts(hypernet)->fingerprint);
		assert_string_equal(adapter->facts.base_name, "llama");
		free(embeddings);
		t2l_adapter_close(adapter);
		t2l_adapter_close(reference);
		t2l_hypernet_close(hypernet);
	}
}

static void
facts_say_what_the_checkpoint_is(void **state)
{
	struct t2l_hypernet *hypernet = open_hypernet("L_sft");
	const struct t2l_hypernet_facts *facts = t2l_hypernet_facts(hypernet);

	(void)state;
	assert_string_equal(facts->name, "L_sft");
	assert_string_equal(facts->variant, "L");
	assert_string_equal(facts->modules, "v_proj,q_proj");
	assert_int_equal(facts->rank, 8);
	assert_int_equal(facts->n_parameters, 93240); /* golden.json: trainable_parameters */
	assert_int_equal(strlen(facts->fingerprint), 64);
	t2l_hypernet_close(hypernet);
}

static void
many_at_once_are_each_alone(void **state)
{
	struct t2l_hypernet *hypernet = open_hypernet("S_sft_learnpos");
	const size_t d = (size_t)t2l_hypernet_facts(hypernet)->embedding_size, n_all = 150;
	struct t2l_adapter *one, **all = calloc(n_all, sizeof(struct t2l_adapter *));
	float *repeated = calloc(n_all * d, sizeof *repeated);
	size_t n;
	float *embeddings = golden_embeddings("S_sft_learnpos", &n);

	(void)state;
	/* More than one pass takes. */
	for (size_t i = 0; i < n_all; i++)
		memcpy(repeated + i * d, embeddings + i % n * d, d * sizeof *repeated);
	assert_int_equal(
	    t2l_hypernet_generate_many(hypernet, repeated, NULL, n_all, all, NULL), T2L_OK);
	for (size_t i = 0; i < n_all; i++) {
		if (i < n || i >= n_all - n) {
			assert_int_equal(
			    t2l_hypernet_generate(hypernet, repeated + i * d, NULL, &one, NULL),
			    T2L_OK);
			assert_same_numbers(all[i], one, 1e-6);
			t2l_adapter_close(one);
		}
		assert_string_equal(all[i]->facts.task, "");
		t2l_adapter_close(all[i]);
	}
	free(all);
	free(repeated);
	free(embeddings);
	t2l_hypernet_close(hypernet);
}

/* Their numbers lie together, and the memory of closed ones is used again. */
static void
adapters_outlive_their_hypernet_and_one_another(void **state)
{
	struct t2l_hypernet *hypernet = open_hypernet("L_sft");
	struct t2l_adapter *kept[3], *later, *other;
	char first_hash[65];
	size_t n;
	float *embeddings = golden_embeddings("L_sft", &n);

	(void)state;
	assert_true(n >= 2);
	assert_int_equal(
	    t2l_hypernet_generate_many(hypernet, embeddings, NULL, 2, kept, NULL), T2L_OK);
	strcpy(first_hash, kept[0]->facts.hash);
	assert_int_equal(t2l_adapter_relabel(kept[0], "name", NULL, &kept[2], NULL), T2L_OK);
	t2l_adapter_close(kept[0]);
	assert_int_equal(
	    t2l_hypernet_generate(hypernet, embeddings + 0, NULL, &later, NULL), T2L_OK);
	assert_string_equal(later->facts.hash, first_hash);
	t2l_adapter_close(later);
	assert_int_equal(
	    t2l_hypernet_generate(hypernet,
		embeddings + t2l_hypernet_facts(hypernet)->embedding_size, NULL, &other, NULL),
	    T2L_OK);
	t2l_hypernet_close(hypernet);
	assert_int_equal(adapter_seal(kept[2], NULL), T2L_OK);
	assert_string_equal(kept[2]->facts.hash, first_hash);
	assert_same_numbers(other, kept[1], 0);
	t2l_adapter_close(other);
	t2l_adapter_close(kept[1]);
	t2l_adapter_close(kept[2]);
	free(embeddings);
}

static void
an_embedding_that_is_no_number_makes_no_adapter(void **state)
{
	struct t2l_hypernet *hypernet = open_hypernet("L_sft");
	struct t2l_adapter *adapter = NULL;
	struct t2l_error err;
	size_t n;
	float *embeddings = golden_embeddings("L_sft", &n);

	(void)state;
	embeddings[3] = NAN;
	assert_int_equal(
	    t2l_hypernet_generate(hypernet, embeddings, "task", &adapter, &err), T2L_EFORMAT);
	assert_non_null(strstr(err.message, "NaN"));
	assert_null(adapter);
	embeddings[3] = 0; /* and nothing of it stays behind */
	assert_int_equal(
	    t2l_hypernet_generate(hypernet, embeddings, "task", &adapter, &err), T2L_OK);
	t2l_adapter_close(adapter);
	free(embeddings);
	t2l_hypernet_close(hypernet);
}

/* ---- base and encoder ---- */

static struct hypernet_config
llama2_config(int embedding_size)
{
	return (struct hypernet_config){ .variant = "L",
		.embedding_size = embedding_size,
		.latent_size = 16,
		.head_in_size = 16,
		.n_layers = 2,
		.rank = 2,
		.lora_alpha = 4,
		.n_modules = 1,
		.modules = { MODULE_Q },
		.in = { 64 },
		.out = { 64 },
		.head_bias = true };
}

static struct t2l_hypernet *
save_and_open(const struct hypernet_config *config, const struct hypernet_origin *origin)
{
	const char *path = in_folder("own.safetensors");
	struct hypernet_network *network;
	struct t2l_hypernet *hypernet;

	assert_int_equal(hypernet_create(config, &network, NULL), T2L_OK);
	hypernet_initialise(network, 1);
	assert_int_equal(hypernet_save(network, origin, DTYPE_F32, path, NULL), T2L_OK);
	hypernet_free(network);
	assert_int_equal(t2l_hypernet_open(engine, path, &hypernet, NULL), T2L_OK);
	return hypernet;
}

static void
a_wrong_base_is_an_error_that_names_both(void **state)
{
	struct hypernet_origin origin = { .name = "own", .base_name = "their base" };
	struct hypernet_config config = llama2_config(8);
	struct t2l_hypernet *hypernet;
	struct t2l_model *model;
	struct t2l_error err;

	(void)state;
	if (golden_path("models/llama2/model.safetensors") == NULL)
		skip();
	if (t2l_model_open(engine, golden_path("models/llama2"), &model, &err) != T2L_OK)
		fail_msg("%s", err.message);
	strcpy(origin.base_fingerprint, t2l_model_facts(model)->fingerprint);
	hypernet = save_and_open(&config, &origin);
	assert_int_equal(t2l_hypernet_check(hypernet, model, NULL, &err), T2L_OK);
	assert_int_equal(t2l_hypernet_check(hypernet, NULL, NULL, &err), T2L_OK);
	t2l_hypernet_close(hypernet);

	origin.base_fingerprint[0] ^= 1; /* the same shapes, other weights */
	hypernet = save_and_open(&config, &origin);
	assert_int_equal(t2l_hypernet_check(hypernet, model, NULL, &err), T2L_EMISMATCH);
	assert_non_null(strstr(err.message, "their base"));
	assert_non_null(strstr(err.message, "llama2"));
	t2l_hypernet_close(hypernet);

	config.n_layers = 3;
	hypernet = save_and_open(&config, &origin);
	assert_int_equal(t2l_hypernet_check(hypernet, model, NULL, &err), T2L_EMISMATCH);
	assert_non_null(strstr(err.message, "3 layers"));
	t2l_hypernet_close(hypernet);

	config.n_layers = 2;
	config.out[0] = 32;
	hypernet = save_and_open(&config, &origin);
	assert_int_equal(t2l_hypernet_check(hypernet, model, NULL, &err), T2L_EMISMATCH);
	assert_non_null(strstr(err.message, "q_proj"));
	t2l_hypernet_close(hypernet);
	t2l_model_close(model);
}

/* 4M numbers each: with two threads two a pass, and the last pass has one. */
static void
large_adapters_are_made_few_at_a_time(void **state)
{
	struct hypernet_config config = llama2_config(8);
	const struct hypernet_origin origin = { .name = "own" };
	struct t2l_adapter *all[5], *one;
	struct t2l_hypernet *hypernet;
	float embeddings[5 * 8];

	(void)state;
	config.n_layers = 32;
	config.rank = 16;
	config.in[0] = config.out[0] = 4096;
	hypernet = save_and_open(&config, &origin);
	assert_int_equal(t2l_hypernet_facts(hypernet)->adapter_numbers, 4 << 20);
	assert_int_equal(t2l_hypernet_facts(hypernet)->adapters_a_pass, 2);
	for (int i = 0; i < 5 * 8; i++)
		embeddings[i] = (float)(i * 7 % 11) - 5;
	assert_int_equal(
	    t2l_hypernet_generate_many(hypernet, embeddings, NULL, 5, all, NULL), T2L_OK);
	for (int i = 0; i < 5; i++) {
		if (i % 2 == 0) {
			assert_int_equal(
			    t2l_hypernet_generate(hypernet, embeddings + 8 * i, NULL, &one, NULL),
			    T2L_OK);
			assert_same_numbers(all[i], one, 1e-6);
			t2l_adapter_close(one);
		}
		t2l_adapter_close(all[i]);
	}
	t2l_hypernet_close(hypernet);
}

static struct t2l_encoder *
open_encoder(void)
{
	struct t2l_encoder *encoder;
	struct t2l_error err;

	if (golden_path("encoder/bert_tiny/config.json") == NULL)
		skip();
	if (t2l_encoder_open(engine, golden_path("encoder/bert_tiny"), &encoder, &err) != T2L_OK)
		fail_msg("%s", err.message);
	return encoder;
}

static void
a_wrong_encoder_is_an_error_that_names_both(void **state)
{
	struct hypernet_origin origin = { .encoder_name = "their encoder" };
	struct t2l_encoder *encoder = open_encoder();
	struct hypernet_config config = llama2_config(t2l_encoder_facts(encoder)->dimension);
	struct t2l_hypernet *hypernet;
	float out[1024];
	struct t2l_error err;

	(void)state;
	strcpy(origin.encoder_fingerprint, "00aa");
	hypernet = save_and_open(&config, &origin);
	assert_int_equal(t2l_hypernet_embed(hypernet, encoder, "do it", out, &err), T2L_EMISMATCH);
	assert_non_null(strstr(err.message, "their encoder"));
	assert_non_null(strstr(err.message, "bert_tiny"));
	t2l_hypernet_close(hypernet);
	config.embedding_size++;
	hypernet = save_and_open(&config, &origin);
	assert_int_equal(t2l_hypernet_embed(hypernet, encoder, "do it", out, &err), T2L_EMISMATCH);
	assert_non_null(strstr(err.message, "their encoder"));
	t2l_hypernet_close(hypernet);
	t2l_encoder_close(encoder);
}

static void
a_description_is_embedded_prepared_and_scaled(void **state)
{
	struct t2l_encoder *encoder = open_encoder();
	const int d = t2l_encoder_facts(encoder)->dimension;
	const struct hypernet_config config = llama2_config(d);
	struct hypernet_origin origin = { .name = "own" };
	const char *plain = "say it backwards.";
	float *expected = calloc((size_t)d, sizeof *expected),
	      *out = calloc((size_t)d, sizeof *out);
	struct t2l_hypernet *hypernet;
	struct t2l_error err;
	double square = 0;

	(void)state;
	strcpy(origin.encoder_fingerprint, t2l_encoder_facts(encoder)->fingerprint);
	hypernet = save_and_open(&config, &origin);
	assert_int_equal(t2l_encoder_embed(encoder, &plain, 1, expected, NULL), T2L_OK);
	assert_int_equal(
	    t2l_hypernet_embed(hypernet, encoder, "  say it backwards\n", out, NULL), T2L_OK);
	for (int i = 0; i < d; i++) {
		assert_float_equal(out[i], sqrt(d) * (double)expected[i], 1e-5);
		square += (double)out[i] * (double)out[i];
	}
	assert_float_equal(square, d, 1e-3 * d);
	assert_int_equal(t2l_hypernet_embed(hypernet, encoder, " ", out, &err), T2L_EINVAL);
	assert_non_null(strstr(err.message, "empty"));
	free(expected);
	free(out);
	t2l_hypernet_close(hypernet);
	t2l_encoder_close(encoder);
}

/* More than the encoder takes in one pass, of many lengths. */
static void
descriptions_embedded_together_are_each_alone(void **state)
{
	static const char *const words[] = { "count", "the", "letters", "of", "each", "word",
		"backwards", "and", "sort", "them" };
	enum { N = 150 };
	struct t2l_encoder *encoder = open_encoder();
	const size_t d = (size_t)t2l_encoder_facts(encoder)->dimension;
	const struct hypernet_config config = llama2_config((int)d);
	const struct hypernet_origin origin = { .name = "own" };
	struct t2l_hypernet *hypernet = save_and_open(&config, &origin);
	float *all = calloc(N * d, sizeof *all), *one = calloc(d, sizeof *one);
	char texts[N][256] = { "" };
	const char *tasks[N];
	size_t refused = 0;

	(void)state;
	for (size_t i = 0; i < N; i++) {
		for (size_t j = 0; j <= i * 7 % 25; j++) {
			strcat(texts[i], words[(i + j * (i % 3 + 1)) % 10]);
			strcat(texts[i], " ");
		}
		tasks[i] = texts[i];
	}
	assert_int_equal(
	    t2l_hypernet_embed_many(hypernet, encoder, tasks, N, all, &refused, NULL), T2L_OK);
	assert_int_equal(refused, N);
	for (size_t i = 0; i < N; i++) {
		assert_int_equal(
		    t2l_hypernet_embed(hypernet, encoder, tasks[i], one, NULL), T2L_OK);
		for (size_t j = 0; j < d; j++)
			assert_float_equal(all[i * d + j], one[j], 1e-6 * sqrt((double)d));
	}
	free(all);
	free(one);
	t2l_hypernet_close(hypernet);
	t2l_encoder_close(encoder);
}

static void
of_many_descriptions_the_one_at_fault_is_named(void **state)
{
	const char *tasks[] = { "say it backwards", "count the words", " \n", "\xff" };
	struct t2l_encoder *encoder = open_encoder();
	const struct hypernet_config config = llama2_config(t2l_encoder_facts(encoder)->dimension);
	struct hypernet_origin origin = { .name = "own" };
	struct t2l_hypernet *hypernet = save_and_open(&config, &origin);
	float out[4 * 1024];
	size_t refused = 9;
	struct t2l_error err;

	(void)state;
	assert_int_equal(
	    t2l_hypernet_embed_many(hypernet, encoder, tasks, 4, out, &refused, &err), T2L_EINVAL);
	assert_int_equal(refused, 2);
	assert_non_null(strstr(err.message, "empty"));
	tasks[2] = "sort them";
	assert_int_equal(
	    t2l_hypernet_embed_many(hypernet, encoder, tasks, 4, out, &refused, &err), T2L_EINVAL);
	assert_int_equal(refused, 3);
	assert_non_null(strstr(err.message, "UTF-8"));
	assert_int_equal(
	    t2l_hypernet_embed_many(hypernet, encoder, tasks, 0, out, &refused, &err), T2L_OK);
	assert_int_equal(refused, 0);
	t2l_hypernet_close(hypernet);

	strcpy(origin.encoder_fingerprint, "00aa"); /* none of them is at fault */
	hypernet = save_and_open(&config, &origin);
	assert_int_equal(t2l_hypernet_embed_many(hypernet, encoder, tasks, 3, out, &refused, &err),
	    T2L_EMISMATCH);
	assert_int_equal(refused, 3);
	t2l_hypernet_close(hypernet);
	t2l_encoder_close(encoder);
}

static void
a_file_that_is_not_there_is_named(void **state)
{
	struct t2l_hypernet *hypernet = NULL;
	struct t2l_error err;

	(void)state;
	assert_int_equal(
	    t2l_hypernet_open(engine, in_folder("none.safetensors"), &hypernet, &err), T2L_ENOENT);
	assert_non_null(strstr(err.message, "none.safetensors"));
	assert_null(hypernet);
}

/* A file with task_emb of SHAPE ("[2,3]"), N_BYTES at BYTES. -> its path */
static const char *
embedding_file(const char *dtype, const char *shape, const void *bytes, size_t n_bytes)
{
	static char path[256];
	char header[128];
	uint64_t n = (uint64_t)snprintf(header, sizeof header,
	    "{\"task_emb\":{\"dtype\":\"%s\",\"shape\":%s,\"data_offsets\":[0,%zu]}}", dtype, shape,
	    n_bytes);
	FILE *file;

	snprintf(path, sizeof path, "%s", in_folder("embedding.safetensors"));
	file = fopen(path, "wb");
	assert_non_null(file);
	assert_int_equal(fwrite(&n, 1, sizeof n, file), sizeof n);
	assert_int_equal(fwrite(header, 1, (size_t)n, file), n);
	assert_int_equal(fwrite(bytes, 1, n_bytes, file), n_bytes);
	assert_int_equal(fclose(file), 0);
	return path;
}

static void
assert_embeddings(const char *path)
{
	static const float expected[] = { 1.5F, -2, 0.25F, 0, 3, -0.5F };
	struct t2l_error err;
	float *values;
	size_t n;

	if (t2l_read_embeddings(path, 3, &values, &n, &err) != T2L_OK)
		fail_msg("%s", err.message);
	assert_int_equal(n, 2);
	assert_memory_equal(values, expected, sizeof expected);
	t2l_free(values);
}

static void
embeddings_of_every_floating_type_are_taken(void **state)
{
	static const double f64[] = { 1.5, -2, 0.25, 0, 3, -0.5 };
	static const float f32[] = { 1.5F, -2, 0.25F, 0, 3, -0.5F };
	static const uint16_t f16[] = { 0x3E00, 0xC000, 0x3400, 0, 0x4200, 0xB800 };
	static const uint16_t bf16[] = { 0x3FC0, 0xC000, 0x3E80, 0, 0x4040, 0xBF00 };

	(void)state;
	assert_embeddings(embedding_file("F64", "[2,3]", f64, sizeof f64));
	assert_embeddings(embedding_file("F32", "[2,3]", f32, sizeof f32));
	assert_embeddings(embedding_file("F16", "[2,3]", f16, sizeof f16));
	assert_embeddings(embedding_file("BF16", "[2,3]", bf16, sizeof bf16));
}

static void
embeddings_that_are_no_numbers_are_refused(void **state)
{
	const struct {
		const char *dtype, *shape;
		double values[3];
		const char *said;
	} wrong[] = {
		{ "F64", "[1,3]", { 1, (double)NAN, 1 }, "NaN" },
		{ "F64", "[3]", { 1, 1, (double)INFINITY }, "infinity" },
		{ "F64", "[3]", { 1e39, 1, 1 }, "too large" },
		{ "I64", "[3]", { 0 }, "not I64" },
		{ "U64", "[3]", { 0 }, "not U64" },
		{ "F64", "[3,1]", { 0 }, "must be [n, 3]" },
		{ "F64", "[1,1,3]", { 0 }, "must be [n, 3]" },
	};
	struct t2l_error err;
	float *values;
	size_t n;

	(void)state;
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		const char *path = embedding_file(
		    wrong[i].dtype, wrong[i].shape, wrong[i].values, sizeof wrong[i].values);

		assert_int_not_equal(t2l_read_embeddings(path, 3, &values, &n, &err), T2L_OK);
		assert_non_null(strstr(err.message, wrong[i].said));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_adapter_is_the_one_the_reference_writes),
		cmocka_unit_test(facts_say_what_the_checkpoint_is),
		cmocka_unit_test(many_at_once_are_each_alone),
		cmocka_unit_test(adapters_outlive_their_hypernet_and_one_another),
		cmocka_unit_test(an_embedding_that_is_no_number_makes_no_adapter),
		cmocka_unit_test(large_adapters_are_made_few_at_a_time),
		cmocka_unit_test(a_wrong_base_is_an_error_that_names_both),
		cmocka_unit_test(a_wrong_encoder_is_an_error_that_names_both),
		cmocka_unit_test(a_description_is_embedded_prepared_and_scaled),
		cmocka_unit_test(descriptions_embedded_together_are_each_alone),
		cmocka_unit_test(of_many_descriptions_the_one_at_fault_is_named),
		cmocka_unit_test(embeddings_of_every_floating_type_are_taken),
		cmocka_unit_test(embeddings_that_are_no_numbers_are_refused),
		cmocka_unit_test(a_file_that_is_not_there_is_named),
	};

	return cmocka_run_group_tests(tests, open_engine, close_engine);
}
