/* test-training-golden.c - losses, gradients and five optimiser steps equal the reference's. */

#include <stdlib.h>

#include "engine/hypernet/hypernet.h"
#include "engine/training/reconstruction.h"
#include "tests/unit/training-golden.h"

/* ---- hypernets ---- */

/* With z-scores the heads have no bias. */
static bool
has_head_bias(const struct golden_case *c)
{
	return safetensors_find(c->init, "heads.q_proj.bias") != NULL;
}

/* PREFIX and NAME of one of our parameters out of FILE, into OUT: as it lies there, but for the
 * offset's B, which the reference keeps as [layers, out, rank] and we as [layers * rank, out]. */
static void
read_parameter(const struct safetensors *file, const char *prefix, const char *name, int64_t rank,
    const struct tensor *own, float *out)
{
	static const char turned[] = "AB_offset.BT.";
	bool is_turned = strncmp(name, turned, sizeof turned - 1) == 0;
	struct tensor stored;
	struct t2l_error err;
	char key[160];

	snprintf(key, sizeof key, "%s%s%s", prefix, is_turned ? "AB_offset.B." : "",
	    is_turned ? name + sizeof turned - 1 : name);
	if (safetensors_tensor(file, key, &stored, &err) != T2L_OK)
		fail_msg("%s", err.message);
	assert_int_equal(tensor_count(&stored), tensor_count(own));
	for (int64_t i = 0, n = tensor_cols(own); i < tensor_count(own); i++) {
		int64_t layer = i / (rank * n), row = i / n % rank, col = i % n;

		out[i] = tensor_f32(&stored)[is_turned ? layer * rank * n + col * rank + row : i];
	}
}

static struct hypernet_network *
make_network(struct golden_case *c, const char *variant)
{
	const cJSON *order = cJSON_GetObjectItemCaseSensitive(c->json, "module_order"), *item;
	const struct decoder_config *base = &c->base->decoder.config;
	struct hypernet_config config = {
		.shared_head = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(c->json, "shared")),
		.rowwise = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(c->json, "autoreg")),
		.embedding_size = (int)golden_number(c->json, "emb"),
		.latent_size = (int)golden_number(c->json, "latent"),
		.head_in_size = (int)golden_number(c->json, "head_in"),
		.n_layers = base->n_layers,
		.rank = (int)golden_number(c->json, "r"),
		.lora_alpha = 8,
		.use_rslora = true,
		.head_bias = has_head_bias(c),
		.offset = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(c->json, "offset")),
	};
	struct hypernet_network *network;
	struct t2l_error err;

	snprintf(config.variant, sizeof config.variant, "%s", variant);
	cJSON_ArrayForEach(item, order)
	{
		enum module module;

		assert_true(module_by_name(item->valuestring, strlen(item->valuestring), &module));
		config.in[config.n_modules] = decoder_module_in(base, module);
		config.out[config.n_modules] = decoder_module_out(base, module);
		config.modules[config.n_modules++] = module;
	}
	assert_int_equal(hypernet_create(&config, &network, &err), T2L_OK);
	for (size_t i = 0; i < network->n_parameters; i++) {
		struct tensor *own = &network->parameters[i].tensor;

		read_parameter(
		    c->init, "", network->parameters[i].name, config.rank, own, tensor_f32(own));
	}
	return network;
}

static struct tensor *
hypernet_loss(struct golden_case *c, const struct hypernet_network *network)
{
	const struct hypernet_config *config = &network->config;
	struct lora_stack stack = { .n_modules = config->n_modules,
		.n_layers = config->n_layers,
		.rank = config->rank,
		.scale = (float)golden_number(c->json, "scaling") };
	struct tensor embeddings;
	struct t2l_error err;

	assert_int_equal(safetensors_tensor(c->batch_file, "task_embs", &embeddings, &err), T2L_OK);
	memcpy(stack.modules, config->modules, sizeof stack.modules);
	assert_true(hypernet_forward(c->ops, network,
	    ops_wrap(c->ops, DTYPE_F32, 2, embeddings.shape, embeddings.data, NULL), NULL, stack.a,
	    stack.bt));
	assert_true(hypernet_add_offset(c->ops, network, stack.a, stack.bt));
	return task_batch_loss(c->ops, &c->base->decoder, &c->batch, &stack, c->groups,
	    CASE_SAMPLES, c->options.label_smoothing, (float)golden_number(c->json, "l2"));
}

static void
check_step(struct golden_case *c, struct tensor *loss, int step)
{
	double theirs = golden_case_loss(c, step);
	struct t2l_error err;

	assert_non_null(loss);
	if (fabs((double)tensor_f32(loss)[0] - theirs) > LOSS_BOUND * theirs)
		fail_msg("step %d: loss %.8g, the reference's %.8g", step,
		    (double)tensor_f32(loss)[0], theirs);
	assert_int_equal(ops_backward(c->ops, loss, 1, &err), T2L_OK);
}

/* free() it. */
static float *
read_all(const struct safetensors *file, const char *prefix, const struct parameter *parameter,
    const struct hypernet_network *network)
{
	float *numbers = malloc((size_t)tensor_count(parameter->tensor) * sizeof *numbers);

	read_parameter(
	    file, prefix, parameter->name, network->config.rank, parameter->tensor, numbers);
	return numbers;
}

typedef struct tensor *case_loss(struct golden_case *c, const struct hypernet_network *network);

/* CHUNK_ROWS as in struct batch. */
static void
train_hypernet(const char *name, const char *variant, case_loss *loss, int64_t chunk_rows)
{
	struct golden_case c;
	struct parameter_set set = { 0 };
	struct after5_tally tally = { 0 };
	struct hypernet_network *network;
	struct t2l_error err;

	if (!golden_case_open(&c, name))
		skip();
	golden_case_options(&c);
	if (loss == hypernet_loss)
		golden_case_batch(&c);
	c.batch.chunk_rows = chunk_rows;
	network = make_network(&c, variant);
	for (size_t i = 0; i < network->n_parameters; i++)
		assert_int_equal(parameter_set_add(&set, network->parameters[i].name,
				     &network->parameters[i].tensor, UPDATE_ADAMW, &err),
		    T2L_OK);
	assert_int_equal(parameter_set_allocate(&set, &err), T2L_OK);
	for (int step = 0; step < 5; step++) {
		ops_reset(c.ops);
		ops_record(c.ops, true);
		parameter_set_zero_gradients(&set);
		check_step(&c, loss(&c, network), step);
		for (size_t i = 0; step == 0 && i < set.n; i++) {
			const struct tensor *own = set.items[i].tensor;
			float *theirs = read_all(c.grads, "grad.", &set.items[i], network);

			assert_gradient(set.items[i].name, own->grad, theirs, tensor_count(own));
			free(theirs);
		}
		assert_int_equal(optimiser_step(c.backend, &set, &c.options, step,
				     gradient_norm(c.backend, &set), &err),
		    T2L_OK);
	}
	for (size_t i = 0; i < set.n; i++) {
		const struct tensor *own = set.items[i].tensor;
		float *theirs = read_all(c.after5, "", &set.items[i], network);

		tally_after5(&tally, tensor_f32(own), theirs, tensor_count(own));
		free(theirs);
	}
	assert_after5(&tally);
	parameter_set_release(&set);
	hypernet_free(network);
	golden_case_close(&c);
}

static void
the_large_design_trains_as_the_reference_does(void **state)
{
	(void)state;
	train_hypernet("sft_L", "L", hypernet_loss, 0);
}

static void
the_small_design_trains_as_the_reference_does(void **state)
{
	(void)state;
	train_hypernet("sft_S_rope", "S", hypernet_loss, 0);
}

/* Every sequence by itself. */
static void
chunks_of_a_batch_train_as_the_reference_does(void **state)
{
	(void)state;
	train_hypernet("sft_S_rope", "S", hypernet_loss, 1);
}

static void
an_offset_is_trained_as_the_reference_does(void **state)
{
	(void)state;
	train_hypernet("sft_M_offset_tokenweighted", "M", hypernet_loss, 0);
}

/* ---- reconstruction ---- */

#define MAX_TARGETS 16

/* target_A.m as it is, target_B.m [tasks, layers, out, rank] transposed, into the arena. */
static struct tensor *
read_target(struct golden_case *c, enum module module, bool is_a)
{
	struct tensor stored, *target;
	struct t2l_error err;
	char key[64];

	snprintf(key, sizeof key, "target_%c.%s", is_a ? 'A' : 'B', module_name(module));
	assert_int_equal(safetensors_tensor(c->batch_file, key, &stored, &err), T2L_OK);
	int64_t rows = stored.shape[2], cols = stored.shape[3];
	int64_t shape[4] = { stored.shape[0], stored.shape[1], is_a ? rows : cols,
		is_a ? cols : rows };

	target = ops_tensor(c->ops, 4, shape, false);
	assert_non_null(target);
	for (int64_t i = 0; i < tensor_count(target); i++) {
		int64_t matrix = i / (rows * cols), at = i % (rows * cols);
		int64_t from = is_a ? at : at % rows * cols + at / rows;

		tensor_f32(target)[i] = tensor_f32(&stored)[matrix * rows * cols + from];
	}
	return target;
}

/* What stands in the case's file for one moment of one factor; B comes transposed. */
static void
read_moments(struct golden_case *c, enum module module, bool is_a, struct tensor *target)
{
	static const char *const kinds[2] = { "mean", "std" };
	int64_t n = tensor_count(target) / target->shape[0];
	float *moments[2] = { malloc((size_t)n * sizeof(float)),
		malloc((size_t)n * sizeof(float)) };

	reconstruction_moments(tensor_f32(target), target->shape[0], n, moments[0], moments[1]);
	for (int k = 0; k < 2; k++) {
		struct tensor stored;
		struct t2l_error err;
		char key[64];

		snprintf(key, sizeof key, "%s_recon_target.%c.%s", kinds[k], is_a ? 'A' : 'B',
		    module_name(module));
		assert_int_equal(safetensors_tensor(c->init, key, &stored, &err), T2L_OK);
		for (int64_t i = 0; i < n; i++) {
			int64_t size = target->shape[2] * target->shape[3], at = i % size;
			int64_t from =
			    is_a ? at
				 : at % target->shape[3] * target->shape[2] + at / target->shape[3];

			assert_true(fabsf(moments[k][i] -
					  tensor_f32(&stored)[i / size * size + from]) < 1e-6F);
		}
	}
	reconstruction_standardise(tensor_f32(target), target->shape[0], n, moments[0], moments[1]);
	free(moments[0]);
	free(moments[1]);
}

static struct tensor *
reconstruction_loss(struct golden_case *c, const struct hypernet_network *network)
{
	const struct hypernet_config *config = &network->config;
	bool factorized = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(c->json, "factorized"));
	bool zscore = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(c->json, "zscore"));
	struct lora_stack made = {
		.n_modules = config->n_modules, .n_layers = config->n_layers, .rank = config->rank
	};
	struct lora_stack targets = made;
	struct tensor embeddings;
	struct t2l_error err;
	int64_t rows[MAX_TARGETS], n;

	memcpy(made.modules, config->modules, sizeof made.modules);
	assert_int_equal(safetensors_tensor(c->batch_file, "task_embs", &embeddings, &err), T2L_OK);
	n = embeddings.shape[0] * embeddings.shape[1];
	assert_in_range(n, 1, MAX_TARGETS);
	for (int64_t i = 0; i < n; i++)
		rows[i] = i / embeddings.shape[1];
	for (int i = 0; i < config->n_modules; i++) {
		targets.a[i] = read_target(c, config->modules[i], true);
		targets.bt[i] = read_target(c, config->modules[i], false);
		if (zscore) {
			read_moments(c, config->modules[i], true, targets.a[i]);
			read_moments(c, config->modules[i], false, targets.bt[i]);
		}
	}
	assert_true(hypernet_forward(c->ops, network,
	    ops_wrap(c->ops, DTYPE_F32, 2, (int64_t[]){ n, config->embedding_size },
		embeddings.data, NULL),
	    NULL, made.a, made.bt));
	return factorized ? reconstruction_factors_loss(c->ops, &made, &targets, rows)
			  : reconstruction_delta_loss(c->ops, &made, &targets, rows,
				(float)golden_number(c->json, "dws"));
}

static void
z_scores_are_reconstructed_as_the_reference_does(void **state)
{
	(void)state;
	train_hypernet("recon_L_zscore", "L", reconstruction_loss, 0);
}

static void
factors_are_reconstructed_as_the_reference_does(void **state)
{
	(void)state;
	train_hypernet("recon_S_factorized", "S", reconstruction_loss, 0);
}

static void
products_are_reconstructed_as_the_reference_does(void **state)
{
	(void)state;
	train_hypernet("recon_M_deltaw", "M", reconstruction_loss, 0);
}

/* ---- LoRA ---- */

/* The parameters of a LoRA as train-lora.c keeps them: A and BT of all layers of a module. */
struct lora_parameters {
	struct tensor tensors[4];
	float numbers[4][2 * 4 * 48];
	struct lora_stack stack;
};

static const char *const lora_modules[2] = { "q_proj", "v_proj" };

/* Layer LAYER of PART of MODULE: our [4, cols] and the file's (B is [out, rank] there). */
static float
file_value(const struct tensor *stored, bool is_a, int64_t rank_row, int64_t col)
{
	return is_a ? tensor_f32(stored)[rank_row * stored->shape[1] + col]
		    : tensor_f32(stored)[col * stored->shape[1] + rank_row];
}

static void
lora_tensor(const struct safetensors *file, const char *prefix, int layer, int module, bool is_a,
    struct tensor *stored)
{
	char name[160];
	struct t2l_error err;

	snprintf(name, sizeof name,
	    "%sbase_model.model.model.layers.%d.self_attn.%s.lora_%c.weight", prefix, layer,
	    lora_modules[module], is_a ? 'A' : 'B');
	if (safetensors_tensor(file, name, stored, &err) != T2L_OK)
		fail_msg("%s", err.message);
}

/* The file's numbers of one of the four tensors, in our order, into OUT. */
static void
read_lora(const struct safetensors *file, const char *prefix, int index, float *out)
{
	bool is_a = index % 2 == 0;

	for (int layer = 0; layer < 2; layer++) {
		struct tensor stored;

		lora_tensor(file, prefix, layer, index / 2, is_a, &stored);
		int64_t cols = is_a ? stored.shape[1] : stored.shape[0];

		for (int64_t r = 0; r < 4; r++)
			for (int64_t col = 0; col < cols; col++)
				*out++ = file_value(&stored, is_a, r, col);
	}
}

static void
make_lora(struct golden_case *c, struct lora_parameters *lora)
{
	*lora = (struct lora_parameters){ .stack = { .n_modules = 2,
					      .n_layers = 2,
					      .rank = 4,
					      .modules = { MODULE_Q, MODULE_V },
					      .scale = (float)golden_number(c->json, "scaling") } };
	for (int i = 0; i < 4; i++) {
		enum module module = lora->stack.modules[i / 2];
		int64_t cols = i % 2 ? decoder_module_out(&c->base->decoder.config, module)
				     : decoder_module_in(&c->base->decoder.config, module);

		read_lora(c->init, "", i, lora->numbers[i]);
		lora->tensors[i] = (struct tensor){ .dtype = DTYPE_F32,
			.n_dims = 4,
			.shape = { 1, 2, 4, cols },
			.data = lora->numbers[i] };
		*(i % 2 ? &lora->stack.bt[i / 2] : &lora->stack.a[i / 2]) = &lora->tensors[i];
	}
}

/* The case's batch, and its LoRA as the parameters of SET. */
static void
open_lora(struct golden_case *c, const char *name, int64_t chunk_rows, struct lora_parameters *lora,
    struct parameter_set *set)
{
	struct t2l_error err;

	if (!golden_case_open(c, name))
		skip();
	golden_case_options(c);
	golden_case_batch(c);
	c->batch.chunk_rows = chunk_rows;
	c->groups[0].row_count = c->batch.n_rows;
	make_lora(c, lora);
	for (int i = 0; i < 4; i++)
		assert_int_equal(parameter_set_add(set, lora_modules[i / 2], &lora->tensors[i],
				     UPDATE_ADAMW, &err),
		    T2L_OK);
	assert_int_equal(parameter_set_allocate(set, &err), T2L_OK);
}

static void
train_lora(const char *name, int64_t chunk_rows)
{
	struct golden_case c;
	struct parameter_set set = { 0 };
	struct after5_tally tally = { 0 };
	struct lora_parameters lora;
	struct t2l_error err;
	float theirs[2 * 4 * 48];

	open_lora(&c, name, chunk_rows, &lora, &set);
	for (int step = 0; step < 5; step++) {
		ops_reset(c.ops);
		ops_record(c.ops, true);
		parameter_set_zero_gradients(&set);
		check_step(&c,
		    task_batch_loss(c.ops, &c.base->decoder, &c.batch, &lora.stack, c.groups, 1,
			c.options.label_smoothing, 0),
		    step);
		for (int i = 0; step == 0 && i < 4; i++) {
			read_lora(c.grads, "grad.", i, theirs);
			assert_gradient(
			    name, lora.tensors[i].grad, theirs, tensor_count(&lora.tensors[i]));
		}
		assert_int_equal(optimiser_step(c.backend, &set, &c.options, step,
				     gradient_norm(c.backend, &set), &err),
		    T2L_OK);
	}
	for (int i = 0; i < 4; i++) {
		read_lora(c.after5, "", i, theirs);
		tally_after5(&tally, lora.numbers[i], theirs, tensor_count(&lora.tensors[i]));
	}
	assert_after5(&tally);
	parameter_set_release(&set);
	golden_case_close(&c);
}

static void
a_lora_trains_as_the_reference_does(void **state)
{
	(void)state;
	train_lora("lora_equal", 0);
}

/* All chunks are of the same adapter. */
static void
chunks_of_a_lora_train_as_the_reference_does(void **state)
{
	(void)state;
	train_lora("lora_equal", 1);
}

enum { LORA_NUMBERS = 4 * 2 * 4 * 48 }; /* at most */

/* One step's gradients of A and B^T of q and v, and its loss. */
static float
noisy_gradients(int64_t chunk_rows, bool recompute, float gradients[LORA_NUMBERS])
{
	struct parameter_set set = { 0 };
	struct lora_parameters lora;
	struct golden_case c;
	struct t2l_error err;
	struct tensor *loss;
	float value;

	open_lora(&c, "lora_equal", chunk_rows, &lora, &set);
	c.batch.recompute = recompute;
	c.batch.noise = 0.01F;
	c.batch.noise_seed = 7;
	parameter_set_zero_gradients(&set);
	ops_record(c.ops, true);
	loss = task_batch_loss(
	    c.ops, &c.base->decoder, &c.batch, &lora.stack, c.groups, 1, 0.1F, 1e-3F);
	assert_non_null(loss);
	value = tensor_f32(loss)[0];
	assert_int_equal(ops_backward(c.ops, loss, 1, &err), T2L_OK);
	for (int i = 0; i < 4; i++)
		memcpy(gradients + i * (LORA_NUMBERS / 4), lora.tensors[i].grad,
		    (size_t)tensor_count(&lora.tensors[i]) * sizeof(float));
	parameter_set_release(&set);
	golden_case_close(&c);
	return value;
}

static void
noise_and_recomputation_do_not_show_where_chunks_end(void **state)
{
	static float whole[LORA_NUMBERS], parts[LORA_NUMBERS];
	float loss = noisy_gradients(0, false, whole), most = 0;

	(void)state;
	for (int i = 0; i < LORA_NUMBERS; i++)
		most = fmaxf(most, fabsf(whole[i]));
	assert_true(most > 0);
	for (int recompute = 0; recompute < 2; recompute++) {
		assert_float_equal(noisy_gradients(1, recompute, parts), loss, 1e-5);
		for (int i = 0; i < LORA_NUMBERS; i++)
			assert_float_equal(whole[i], parts[i], 1e-5 * most);
	}
}

static void
a_lora_with_every_token_alike_trains_as_the_reference_does(void **state)
{
	(void)state;
	train_lora("lora_tokenweighted", 0);
}

/* ---- what no reference is asked ---- */

static void
a_batch_without_a_counted_token_is_refused(void **state)
{
	const struct cpu_options cpu = { .n_threads = 1 };
	struct backend *backend;
	struct batch empty = { .chunk_rows = 256 };
	struct t2l_error err;
	struct ops *ops;

	(void)state;
	assert_int_equal(cpu_backend_open(&cpu, &backend, &err), T2L_OK);
	ops = ops_create(backend);
	assert_non_null(ops);
	assert_null(batch_loss(ops, NULL, &empty, NULL, 0));
	assert_int_equal(ops_status(ops, &err), T2L_EINVAL);
	assert_non_null(strstr(err.message, "no token"));
	assert_int_equal(batch_longest_chunk(0, 256, 0), 0);
	ops_free(ops);
	cpu_backend_close(backend);
}

/* A chunk ends with a sequence, so that it may be longer than wished, but not than the whole. */
static void
chunks_have_like_sizes(void **state)
{
	(void)state;
	assert_int_equal(batch_longest_chunk(1000, 0, 10), 1000);
	assert_int_equal(batch_longest_chunk(1000, 1000, 10), 1000);
	assert_int_equal(batch_longest_chunk(1000, 999, 10), 509);
	assert_int_equal(batch_longest_chunk(1000, 256, 1000), 1000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_large_design_trains_as_the_reference_does),
		cmocka_unit_test(the_small_design_trains_as_the_reference_does),
		cmocka_unit_test(chunks_of_a_batch_train_as_the_reference_does),
		cmocka_unit_test(an_offset_is_trained_as_the_reference_does),
		cmocka_unit_test(z_scores_are_reconstructed_as_the_reference_does),
		cmocka_unit_test(factors_are_reconstructed_as_the_reference_does),
		cmocka_unit_test(products_are_reconstructed_as_the_reference_does),
		cmocka_unit_test(a_lora_trains_as_the_reference_does),
		cmocka_unit_test(chunks_of_a_lora_train_as_the_reference_does),
		cmocka_unit_test(noise_and_recomputation_do_not_show_where_chunks_end),
		cmocka_unit_test(a_lora_with_every_token_alike_trains_as_the_reference_does),
		cmocka_unit_test(a_batch_without_a_counted_token_is_refused),
		cmocka_unit_test(chunks_have_like_sizes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
