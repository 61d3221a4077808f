/* test-hypernet.c - the network against the reference's numbers, its gradients, its checkpoints. */

#include "tests/unit/cmocka-first.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/atomic-file.h"
#include "base/file.h"
#include "engine/cpu/cpu.h"
#include "engine/formats/json.h"
#include "engine/formats/safetensors.h"
#include "engine/hypernet/network.h"
#include "tests/golden-path.h"
#include "tests/unit/temporary-folder.h"

static struct backend *backend;
static struct ops *ops;

static int
open_backend(void **state)
{
	const struct cpu_options options = { .n_threads = 2, .precise = true };

	(void)state;
	if (cpu_backend_open(&options, &backend, NULL) != T2L_OK)
		return -1;
	ops = ops_create(backend);
	return ops != NULL ? 0 : -1;
}

static int
close_backend(void **state)
{
	(void)state;
	ops_free(ops);
	cpu_backend_close(backend);
	return 0;
}

static int
fresh(void **state)
{
	ops_reset(ops);
	ops_record(ops, false);
	return make_temporary_folder(state);
}

/* ---- against the reference ---- */

static const char *const cases[] = { "L_sft", "M_sft", "S_sft_rope", "S_sft_learnpos",
	"Lrow_sft_rope", "Lrow_sft_learnpos", "L_sft_all7_llama", "M_sft_all7_mistral" };

#define N_CASES (sizeof cases / sizeof cases[0])

struct golden {
	struct hypernet_network *network;
	struct hypernet_origin origin;
	char fingerprint[65];
	struct safetensors *values;
	cJSON *facts;
};

static struct golden
open_golden(const char *name)
{
	struct golden golden = { .network = NULL };
	struct t2l_error err = { 0 };
	char path[256];

	snprintf(path, sizeof path, "hypernet/%s/weights.safetensors", name);
	if (golden_path(path) == NULL)
		skip();
	if (hypernet_load(golden_path(path), &golden.network, &golden.origin, golden.fingerprint,
		&err) != T2L_OK)
		fail_msg("%s", err.message);
	snprintf(path, sizeof path, "hypernet/%s/golden.safetensors", name);
	assert_int_equal(safetensors_open(golden_path(path), &golden.values, &err), T2L_OK);
	snprintf(path, sizeof path, "hypernet/%s/golden.json", name);
	assert_int_equal(json_open(golden_path(path), 1 << 20, &golden.facts, &err), T2L_OK);
	return golden;
}

static void
close_golden(struct golden *golden)
{
	hypernet_free(golden->network);
	safetensors_close(golden->values);
	cJSON_Delete(golden->facts);
}

static struct tensor
golden_tensor(const struct golden *golden, const char *prefix, const char *name)
{
	struct tensor tensor;
	char key[64];

	snprintf(key, sizeof key, "%s%s", prefix, name);
	assert_int_equal(safetensors_tensor(golden->values, key, &tensor, NULL), T2L_OK);
	return tensor;
}

static double
largest_difference(const struct tensor *x, const struct tensor *expected)
{
	double largest = 0;

	assert_int_equal(tensor_count(x), tensor_count(expected));
	for (int64_t i = 0; i < tensor_count(x); i++)
		largest =
		    fmax(largest, fabs((double)tensor_f32(x)[i] - (double)tensor_f32(expected)[i]));
	return largest;
}

/* expected [n, layers, out, r], x [n, layers, r, out] */
static double
largest_difference_transposed(const struct tensor *x, const struct tensor *expected)
{
	const int64_t r = x->shape[2], out = x->shape[3];
	double largest = 0;

	assert_int_equal(tensor_count(x), tensor_count(expected));
	assert_int_equal(expected->shape[3], r);
	for (int64_t i = 0; i < tensor_count(x); i++) {
		int64_t block = i / (r * out), row = i / out % r, col = i % out;
		double other = (double)tensor_f32(expected)[block * r * out + col * r + row];

		largest = fmax(largest, fabs((double)tensor_f32(x)[i] - other));
	}
	return largest;
}

static double
forward_error(const struct golden *golden, const struct hypernet_network *network)
{
	const struct hypernet_config *config = &network->config;
	struct tensor embeddings = golden_tensor(golden, "task_emb", "");
	struct tensor *a[N_MODULES], *bt[N_MODULES];
	double largest = 0;

	assert_true(hypernet_forward(ops, network, &embeddings, NULL, a, bt));
	for (int i = 0; i < config->n_modules; i++) {
		const char *name = module_name(config->modules[i]);
		struct tensor expected_a = golden_tensor(golden, "A.", name);
		struct tensor expected_b = golden_tensor(golden, "B.", name);

		largest = fmax(largest, largest_difference(a[i], &expected_a));
		largest = fmax(largest, largest_difference_transposed(bt[i], &expected_b));
	}
	return largest;
}

static void
adapters_are_the_references(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_CASES; i++) {
		struct golden golden = open_golden(cases[i]);
		double largest = cJSON_GetObjectItem(golden.facts, "max_abs_value")->valuedouble;
		double error = forward_error(&golden, golden.network);

		if (!(error <= 5e-6 * largest))
			fail_msg("%s: off by %g where the largest value is %g", cases[i], error,
			    largest);
		close_golden(&golden);
	}
}

static void
modules_keep_the_order_of_the_heads(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_CASES; i++) {
		struct golden golden = open_golden(cases[i]);
		const cJSON *order = cJSON_GetObjectItem(golden.facts, "module_order"), *item;
		int at = 0;

		cJSON_ArrayForEach(item, order) assert_string_equal(
		    item->valuestring, module_name(golden.network->config.modules[at++]));
		assert_int_equal(at, golden.network->config.n_modules);
		close_golden(&golden);
	}
}

static void
a_checkpoint_in_f16_gives_nearly_the_same(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_CASES; i++) {
		struct golden golden = open_golden(cases[i]);
		double largest = cJSON_GetObjectItem(golden.facts, "max_abs_value")->valuedouble;
		struct hypernet_network *half;
		struct hypernet_origin origin;
		char fingerprint[65];

		assert_int_equal(hypernet_save(golden.network, &golden.origin, DTYPE_F16,
				     in_folder("half.safetensors"), NULL),
		    T2L_OK);
		assert_int_equal(
		    hypernet_load(in_folder("half.safetensors"), &half, &origin, fingerprint, NULL),
		    T2L_OK);
		assert_int_equal(hypernet_find(half, "mixer.1.weight")->dtype, DTYPE_F16);
		assert_true(forward_error(&golden, half) <= 5e-3 * largest);
		hypernet_free(half);
		close_golden(&golden);
	}
}

static void
many_tasks_at_once_give_what_each_gives_alone(void **state)
{
	struct golden golden = open_golden("S_sft_learnpos");
	struct tensor all = golden_tensor(&golden, "task_emb", ""), one = all;
	struct tensor *a[N_MODULES], *bt[N_MODULES], *a1[N_MODULES], *bt1[N_MODULES];

	(void)state;
	assert_true(all.shape[0] > 1);
	assert_true(hypernet_forward(ops, golden.network, &all, NULL, a, bt));
	for (int64_t task = 0; task < all.shape[0]; task++) {
		one.shape[0] = 1;
		one.data = tensor_f32(&all) + task * all.shape[1];
		assert_true(hypernet_forward(ops, golden.network, &one, NULL, a1, bt1));
		for (int i = 0; i < golden.network->config.n_modules; i++) {
			for (int64_t j = 0; j < tensor_count(a1[i]); j++)
				assert_float_equal(tensor_f32(a1[i])[j],
				    tensor_f32(a[i])[task * tensor_count(a1[i]) + j], 1e-6);
			for (int64_t j = 0; j < tensor_count(bt1[i]); j++)
				assert_float_equal(tensor_f32(bt1[i])[j],
				    tensor_f32(bt[i])[task * tensor_count(bt1[i]) + j], 1e-6);
		}
	}
	close_golden(&golden);
}

/* ---- sizes ---- */

static struct hypernet_config
config_of(const char *variant)
{
	struct hypernet_config config = {
		.shared_head = variant[0] != 'L',
		.rowwise = variant[0] == 'S',
		.embedding_size = 6,
		.latent_size = 16,
		.head_in_size = 12,
		.n_layers = 3,
		.rank = 4,
		.lora_alpha = 8,
		.use_rslora = true,
		.n_modules = 2,
		.modules = { MODULE_V, MODULE_Q },
		.in = { 10, 10 },
		.out = { 6, 14 },
		.head_bias = true,
		.dropout = 0.05F,
	};

	strcpy(config.variant, variant);
	return config;
}

static int64_t
parameters_of(const struct hypernet_config *config)
{
	struct hypernet_network *network;
	int64_t n = 0;

	assert_int_equal(hypernet_plan(config, &network, NULL), T2L_OK);
	for (size_t i = 0; i < network->n_parameters; i++)
		n += tensor_count(&network->parameters[i].tensor);
	hypernet_free(network);
	return n;
}

static void
parameters_are_as_many_as_the_papers(void **state)
{
	static const struct {
		int64_t q_in, q_out, v_out;
		int layers, latent, head_in;
		int64_t expected[3]; /* L, M, S */
	} sizes[] = {
		{ 4096, 4096, 1024, 32, 128, 512, { 55424000, 34412288, 4994816 } },
		{ 4096, 4096, 1024, 32, 512, 2048, { 230027264, 146103296, 28605440 } },
		{ 2304, 2048, 1024, 26, 128, 512, { 32310080, 19703360, 3156032 } },
		{ 2304, 2048, 1024, 26, 512, 2048, { 137706752, 87353600, 21261056 } },
	};
	static const char *const variants[] = { "L", "M", "S" };

	(void)state;
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		for (int j = 0; j < 3; j++) {
			struct hypernet_config config = config_of(variants[j]);

			config.embedding_size = 1024;
			config.latent_size = sizes[i].latent;
			config.head_in_size = sizes[i].head_in;
			config.n_layers = sizes[i].layers;
			config.rank = 8;
			config.in[0] = config.in[1] = sizes[i].q_in;
			config.out[0] = sizes[i].v_out;
			config.out[1] = sizes[i].q_out;
			assert_int_equal(parameters_of(&config), sizes[i].expected[j]);
		}
	}
}

static void
numbers_out_of_range_are_refused_by_name(void **state)
{
	struct t2l_error err;

	(void)state;
#define REFUSED(change, word)                                                                      \
	do {                                                                                       \
		struct hypernet_config config = config_of("L");                                    \
		change;                                                                            \
		assert_int_equal(hypernet_check_config(&config, &err), T2L_EINVAL);                \
		assert_non_null(strstr(err.message, word));                                        \
	} while (0)
	REFUSED(config.rank = 0, "rank");
	REFUSED(config.rank = 1 << 20, "rank");
	REFUSED(config.latent_size = 18, "latent size");
	REFUSED(config.latent_size = 0, "latent size");
	REFUSED(config.head_in_size = -1, "head input size");
	REFUSED(config.n_layers = 0, "layers");
	REFUSED(config.n_modules = 0, "modules");
	REFUSED(config.modules[1] = MODULE_V, "twice");
	REFUSED(config.in[1] = 0, "inputs");
	REFUSED(config.lora_alpha = NAN, "lora_alpha");
	REFUSED(config.dropout = 1, "dropout");
#undef REFUSED
}

/* ---- starting ---- */

static struct hypernet_network *
make_network(const struct hypernet_config *config, uint64_t seed)
{
	struct hypernet_network *network;

	assert_int_equal(hypernet_create(config, &network, NULL), T2L_OK);
	hypernet_initialise(network, seed);
	return network;
}

static float embedding_numbers[] = { 0.5F, -1, 2, 0.25F, -0.75F, 1.5F, -2, 0.1F, 0.3F, -0.4F, 1,
	0.9F };

/* The tape keeps it, so it lives with the results. */
static struct tensor *
two_embeddings(void)
{
	return ops_wrap(ops, DTYPE_F32, 2, (const int64_t[]){ 2, 6 }, embedding_numbers, NULL);
}

static void
the_first_adapter_of_l_is_a_fresh_lora(void **state)
{
	static const bool rowwise[] = { false, true };

	(void)state;
	for (int k = 0; k < 2; k++) {
		struct hypernet_config config = config_of("L");
		struct tensor *embeddings = two_embeddings();
		struct tensor *a[N_MODULES], *bt[N_MODULES];
		struct hypernet_network *network;
		float bound = 1 / sqrtf(10) / (rowwise[k] ? 2.0F : 1.0F), largest = 0;

		config.rowwise = rowwise[k];
		network = make_network(&config, 7);
		assert_true(hypernet_forward(ops, network, embeddings, NULL, a, bt));
		for (int i = 0; i < config.n_modules; i++) {
			for (int64_t j = 0; j < tensor_count(bt[i]); j++)
				assert_true(tensor_f32(bt[i])[j] == 0);
			for (int64_t j = 0; j < tensor_count(a[i]); j++)
				largest = fmaxf(largest, fabsf(tensor_f32(a[i])[j]));
		}
		assert_true(largest <= bound && largest > 0.8F * bound);
		hypernet_free(network);
	}
}

static void
a_seed_decides_all_numbers(void **state)
{
	struct hypernet_config config = config_of("M");
	struct hypernet_network *one = make_network(&config, 3), *same = make_network(&config, 3);
	struct hypernet_network *other = make_network(&config, 4);

	(void)state;
	for (size_t i = 0; i < one->n_parameters; i++) {
		const struct hypernet_parameter *parameter = &one->parameters[i];
		size_t n_bytes = (size_t)tensor_count(&parameter->tensor) * sizeof(float);
		bool random = parameter->start == HYPERNET_START_NORMAL ||
			      parameter->start == HYPERNET_START_UNIFORM ||
			      parameter->start == HYPERNET_START_HEAD;

		assert_memory_equal(
		    parameter->tensor.data, same->parameters[i].tensor.data, n_bytes);
		assert_int_equal(random,
		    memcmp(parameter->tensor.data, other->parameters[i].tensor.data, n_bytes) != 0);
	}
	hypernet_free(one);
	hypernet_free(same);
	hypernet_free(other);
}

/* ---- gradients ---- */

/* A loss that depends on every output: mean square distances from numbers that are not zero. */
static struct tensor *
loss_of(const struct hypernet_network *network, uint64_t dropout_seed)
{
	struct tensor *embeddings = two_embeddings();
	struct tensor *a[N_MODULES], *bt[N_MODULES], *loss = NULL;
	const struct hypernet_dropout dropout = { dropout_seed, 0, tensor_rows(embeddings) };

	assert_true(
	    hypernet_forward(ops, network, embeddings, dropout_seed != 0 ? &dropout : NULL, a, bt));
	for (int i = 0; i < 2 * network->config.n_modules; i++) {
		struct tensor *x = i % 2 == 0 ? a[i / 2] : bt[i / 2];
		struct tensor *target = ops_tensor(ops, x->n_dims, x->shape, false), *part;

		for (int64_t j = 0; j < tensor_count(target); j++)
			tensor_f32(target)[j] = (float)((j * 37 + i) % 11) / 5.0F - 1.0F;
		part = op_mean_squared_difference(ops, x, target);
		loss = loss == NULL ? part : op_add(ops, 1, loss, 1, part);
	}
	assert_non_null(loss);
	return loss;
}

static double
loss_value(const struct hypernet_network *network, uint64_t dropout_seed)
{
	ops_reset(ops);
	return (double)tensor_f32(loss_of(network, dropout_seed))[0];
}

/* Moves a parameter along DIRECTION. */
static void
move(struct tensor *tensor, const float *direction, double step)
{
	for (int64_t i = 0; i < tensor_count(tensor); i++)
		tensor_f32(tensor)[i] += (float)(step * (double)direction[i]);
}

/* The slope of the loss along the gradient and along a fixed zigzag, by central differences. */
static void
check_parameter(
    struct hypernet_network *network, struct hypernet_parameter *parameter, uint64_t dropout_seed)
{
	struct tensor *tensor = &parameter->tensor;
	int64_t n = tensor_count(tensor);
	float *direction = calloc((size_t)n, sizeof *direction);
	float *gradient = tensor->grad, *saved = calloc((size_t)n, sizeof *saved);

	memcpy(saved, tensor->data, (size_t)n * sizeof *saved);
	for (int k = 0; k < 2; k++) {
		double slope = 0, length = 0, up, down, step, measured;

		for (int64_t i = 0; i < n; i++) {
			direction[i] = k == 0 ? gradient[i] : (i * 7 % 5 < 2 ? 1.0F : -1.0F);
			length += (double)direction[i] * (double)direction[i];
		}
		length = sqrt(length);
		if (length < 1e-7)
			continue;
		for (int64_t i = 0; i < n; i++) {
			direction[i] = (float)((double)direction[i] / length);
			slope += (double)direction[i] * (double)gradient[i];
		}
		step = 0.02;
		move(tensor, direction, step);
		up = loss_value(network, dropout_seed);
		memcpy(tensor->data, saved, (size_t)n * sizeof *saved);
		move(tensor, direction, -step);
		down = loss_value(network, dropout_seed);
		memcpy(tensor->data, saved, (size_t)n * sizeof *saved);
		measured = (up - down) / (2 * step);
		if (!(fabs(measured - slope) <= 0.01 * fabs(slope) + 3e-5))
			fail_msg("%s: slope %g, measured %g", parameter->name, slope, measured);
	}
	free(direction);
	free(saved);
}

static void
check_gradients(const struct hypernet_config *config, uint64_t dropout_seed)
{
	struct hypernet_network *network = make_network(config, 11);
	int64_t n_zero = 0;

	for (size_t i = 0; i < network->n_parameters; i++) {
		struct hypernet_parameter *parameter = &network->parameters[i];
		float *values = tensor_f32(&parameter->tensor);

		parameter->tensor.grad =
		    calloc((size_t)tensor_count(&parameter->tensor), sizeof(float));
		/* Heads start at zero, which would hide everything before them. */
		for (int64_t j = 0; parameter->start == HYPERNET_START_ZERO &&
				    j < tensor_count(&parameter->tensor);
		     j++)
			values[j] = (float)((j * 29 + (int64_t)i) % 13) / 13.0F - 0.5F;
	}
	ops_reset(ops);
	ops_record(ops, true);
	assert_int_equal(ops_backward(ops, loss_of(network, dropout_seed), 1, NULL), T2L_OK);
	ops_record(ops, false);
	for (size_t i = 0; i < network->n_parameters; i++) {
		struct hypernet_parameter *parameter = &network->parameters[i];
		double sum = 0;

		for (int64_t j = 0; j < tensor_count(&parameter->tensor); j++)
			sum += fabs((double)parameter->tensor.grad[j]);
		n_zero += sum == 0;
		check_parameter(network, parameter, dropout_seed);
	}
	assert_int_equal(n_zero, 0); /* every parameter takes part */
	for (size_t i = 0; i < network->n_parameters; i++)
		free(network->parameters[i].tensor.grad);
	hypernet_free(network);
}

static void
gradients_are_the_slopes_of_the_loss(void **state)
{
	static const struct {
		const char *variant;
		bool rowwise, learned_positions;
		uint64_t dropout_seed;
	} kinds[] = {
		{ "L", false, false, 0 },
		{ "M", false, false, 0 },
		{ "S", true, false, 0 },
		{ "S", true, true, 0 },
		{ "L", true, false, 0 },
		{ "L", true, true, 0 },
		{ "L", false, false, 5 },
		{ "M", false, false, 5 },
		{ "S", true, true, 5 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
		struct hypernet_config config = config_of(kinds[i].variant);

		config.rowwise = kinds[i].rowwise;
		config.learned_positions = kinds[i].learned_positions;
		check_gradients(&config, kinds[i].dropout_seed);
	}
}

static void
dropout_changes_with_its_seed_only(void **state)
{
	struct hypernet_config config = config_of("S");
	struct hypernet_network *network;
	double none, one, again, other;
	struct tensor *w;

	(void)state;
	config.dropout = 0.3F;
	network = make_network(&config, 1);
	w = hypernet_find(network, "heads.q_proj.weight");
	for (int64_t i = 0; i < tensor_count(w); i++)
		tensor_f32(w)[i] = (float)(i % 7) / 7.0F - 0.4F;
	none = loss_value(network, 0);
	one = loss_value(network, 1);
	again = loss_value(network, 1);
	other = loss_value(network, 2);
	assert_true(one == again);
	assert_true(one != other && one != none);
	hypernet_free(network);
}

/* ---- a batch in parts ---- */

#define N_TASKS 4

/* Adds to the gradients what tasks FIRST .. +N of a batch of N_TASKS give, as tasks MASKED_AS ..;
 * the loss is the mean square of everything generated. */
static void
accumulate(const struct hypernet_network *network, int64_t first, int64_t n, int64_t masked_as)
{
	const int64_t size = network->config.embedding_size, shape[] = { n, size };
	const struct hypernet_dropout dropout = { 5, masked_as, N_TASKS };
	struct tensor *a[N_MODULES], *bt[N_MODULES], *embeddings, *loss;

	ops_reset(ops);
	ops_record(ops, true);
	embeddings = ops_tensor(ops, 2, shape, false);
	for (int64_t i = 0; i < n * size; i++)
		tensor_f32(embeddings)[i] =
		    (float)(((first * size + i) * 31 + 7) % 17) / 9.0F - 0.9F;
	assert_true(hypernet_forward(ops, network, embeddings, &dropout, a, bt));
	loss = op_mean_square(ops, a[0]);
	for (int i = 1; i < 2 * network->config.n_modules; i++)
		loss =
		    op_add(ops, 1, loss, 1, op_mean_square(ops, i % 2 == 0 ? a[i / 2] : bt[i / 2]));
	assert_int_equal(
	    ops_backward(ops, op_scale(ops, (float)n / N_TASKS, loss), 1, NULL), T2L_OK);
	ops_record(ops, false);
}

/* The largest difference of any gradient of a batch in N_PARTS from the whole one's (SUM, as many
 * as there are), over the largest gradient of its parameter. */
static double
parts_differ(
    const struct hypernet_network *network, float *const *whole, int n_parts, bool in_place)
{
	double worst = 0;

	for (size_t i = 0; i < network->n_parameters; i++)
		memset(network->parameters[i].tensor.grad, 0,
		    (size_t)tensor_count(&network->parameters[i].tensor) * sizeof(float));
	for (int part = 0; part < n_parts; part++)
		accumulate(network, part * N_TASKS / n_parts, N_TASKS / n_parts,
		    in_place ? part * N_TASKS / n_parts : 0);
	for (size_t i = 0; i < network->n_parameters; i++) {
		const struct tensor *tensor = &network->parameters[i].tensor;
		double largest = 0, difference = 0;

		for (int64_t j = 0; j < tensor_count(tensor); j++) {
			largest = fmax(largest, fabs((double)whole[i][j]));
			difference =
			    fmax(difference, fabs((double)tensor->grad[j] - (double)whole[i][j]));
		}
		assert_true(largest > 0);
		worst = fmax(worst, difference / largest);
	}
	return worst;
}

static void
check_parts(const struct hypernet_config *config)
{
	struct hypernet_network *network = make_network(config, 11);
	float **whole = calloc(network->n_parameters, sizeof *whole);

	for (size_t i = 0; i < network->n_parameters; i++) {
		struct tensor *tensor = &network->parameters[i].tensor;

		tensor->grad = calloc((size_t)tensor_count(tensor), sizeof(float));
		for (int64_t j = 0; network->parameters[i].start == HYPERNET_START_ZERO &&
				    j < tensor_count(tensor);
		     j++)
			tensor_f32(tensor)[j] = (float)((j * 29 + (int64_t)i) % 13) / 13.0F - 0.5F;
	}
	accumulate(network, 0, N_TASKS, 0);
	for (size_t i = 0; i < network->n_parameters; i++) {
		const struct tensor *tensor = &network->parameters[i].tensor;

		whole[i] = calloc((size_t)tensor_count(tensor), sizeof **whole);
		memcpy(whole[i], tensor->grad, (size_t)tensor_count(tensor) * sizeof **whole);
	}
	for (int n_parts = 1; n_parts <= N_TASKS; n_parts *= 2) {
		assert_true(parts_differ(network, whole, n_parts, true) < 1e-5);
		/* Masks numbered anew in each part are others. */
		if (n_parts > 1)
			assert_true(parts_differ(network, whole, n_parts, false) > 1e-3);
	}
	for (size_t i = 0; i < network->n_parameters; i++) {
		free(network->parameters[i].tensor.grad);
		free(whole[i]);
	}
	free(whole);
	hypernet_free(network);
}

static void
a_batch_in_parts_has_the_masks_of_the_whole(void **state)
{
	static const char *const variants[] = { "L", "M", "S" };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct hypernet_config config = config_of(variants[i]);

		config.dropout = 0.05F;
		check_parts(&config);
		config.rowwise = true;
		config.learned_positions = variants[i][0] == 'S';
		check_parts(&config);
	}
}

static void
a_part_outside_its_batch_is_refused(void **state)
{
	static const struct hypernet_dropout outside[] = { { 5, 3, 4 }, { 5, -1, 4 }, { 5, 0, 1 } };
	struct hypernet_config config = config_of("L");
	struct hypernet_network *network = make_network(&config, 1);
	struct tensor *a[N_MODULES], *bt[N_MODULES];

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		ops_reset(ops);
		assert_false(hypernet_forward(ops, network, two_embeddings(), &outside[i], a, bt));
		assert_int_equal(ops_status(ops, NULL), T2L_EINVAL);
	}
	ops_reset(ops);
	hypernet_free(network);
}

/* ---- checkpoints ---- */

static const struct hypernet_origin tiny_origin = { .name = "tiny",
	.base_name = "base",
	.base_fingerprint = "aa11",
	.encoder_name = "encoder",
	.encoder_fingerprint = "bb22" };

/* Writes a tiny L checkpoint; returns its path. */
static const char *
save_tiny(void)
{
	struct hypernet_config config = config_of("L");
	struct hypernet_network *network = make_network(&config, 2);
	const char *path = in_folder("tiny.safetensors");

	assert_int_equal(hypernet_save(network, &tiny_origin, DTYPE_F32, path, NULL), T2L_OK);
	hypernet_free(network);
	return path;
}

static enum t2l_status
load_status(const char *path, struct t2l_error *err)
{
	struct hypernet_network *network = NULL;
	struct hypernet_origin origin;
	char fingerprint[65];
	enum t2l_status status = hypernet_load(path, &network, &origin, fingerprint, err);

	hypernet_free(network);
	return status;
}

static void
a_checkpoint_comes_back_bit_for_bit(void **state)
{
	struct hypernet_config config = config_of("L");
	struct hypernet_network *made = make_network(&config, 2), *read;
	struct hypernet_origin origin;
	char fingerprint[65];

	(void)state;
	assert_int_equal(hypernet_load(save_tiny(), &read, &origin, fingerprint, NULL), T2L_OK);
	assert_int_equal(read->n_parameters, made->n_parameters);
	for (size_t i = 0; i < made->n_parameters; i++) {
		assert_string_equal(read->parameters[i].name, made->parameters[i].name);
		assert_memory_equal(read->parameters[i].tensor.data,
		    made->parameters[i].tensor.data,
		    (size_t)tensor_count(&made->parameters[i].tensor) * sizeof(float));
	}
	assert_string_equal(read->config.variant, "L");
	assert_true(read->config.dropout == config.dropout);
	assert_true(read->config.use_rslora && read->config.head_bias);
	assert_int_equal(read->config.modules[0], MODULE_V);
	assert_int_equal(read->config.out[1], 14);
	assert_string_equal(origin.name, "tiny");
	assert_string_equal(origin.base_fingerprint, "aa11");
	assert_string_equal(origin.encoder_name, "encoder");
	assert_int_equal(strlen(fingerprint), 64);
	hypernet_free(made);
	hypernet_free(read);
}

/* Replaces FROM by TO, of the same length, where it stands first in the file. */
static void
patch(const char *path, const char *from, const char *to)
{
	size_t n, length = strlen(from);
	char *bytes = read_whole_file(path, 1 << 24, &n);
	bool done = false;

	assert_non_null(bytes);
	assert_int_equal(strlen(to), length);
	for (size_t i = 0; i + length <= n && !done; i++) {
		if (memcmp(bytes + i, from, length) == 0) {
			memcpy(bytes + i, to, length);
			done = true;
		}
	}
	assert_true(done);
	assert_int_equal(atomic_write(path, bytes, n), 0);
	free(bytes);
}

static void
a_damaged_checkpoint_is_refused_with_the_reason(void **state)
{
	static const struct {
		const char *from, *to;
		enum t2l_status status;
		const char *word;
	} faults[] = {
		{ "\\\"rank\\\":4", "\\\"rank\\\":0", T2L_EFORMAT, "rank" },
		{ "\\\"rank\\\":4", "\\\"rank\\\":5", T2L_EMISMATCH, "heads." },
		{ "\\\"latent_size\\\":16", "\\\"latent_size\\\":18", T2L_EFORMAT, "latent" },
		{ "\\\"n_layers\\\":3", "\\\"n_layerz\\\":3", T2L_EFORMAT, "n_layers" },
		{ "\\\"variant\\\":\\\"L", "\\\"variant\\\":\\\"S", T2L_EFORMAT, "variant" },
		{ "\\\"name\\\":\\\"q_proj", "\\\"name\\\":\\\"x_proj", T2L_EUNSUPPORTED,
		    "x_proj" },
		{ "\\\"name\\\":\\\"q_proj", "\\\"name\\\":\\\"v_proj", T2L_EFORMAT, "twice" },
		{ "\"t2l.kind\":\"hypernet\"", "\"t2l.kind\":\"hypernut\"", T2L_EFORMAT,
		    "hypernet" },
		{ "\"t2l.version\":\"1\"", "\"t2l.version\":\"9\"", T2L_EUNSUPPORTED,
		    "version '9'" },
		{ "\"mixer.4.bias\"", "\"mixer.5.bias\"", T2L_ENOENT, "mixer.4.bias" },
	};
	struct t2l_error err;

	(void)state;
	for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
		const char *path = save_tiny();

		patch(path, faults[i].from, faults[i].to);
		if (load_status(path, &err) != faults[i].status)
			fail_msg("%s: %s", faults[i].to, err.message);
		if (strstr(err.message, faults[i].word) == NULL)
			fail_msg("%s: %s", faults[i].to, err.message);
	}
}

static void
a_cut_checkpoint_is_refused(void **state)
{
	const char *path = save_tiny();
	size_t n;
	char *bytes = read_whole_file(path, 1 << 24, &n);
	struct t2l_error err;

	(void)state;
	for (size_t cut = 0; cut < n; cut += cut < 64 ? 1 : n / 37) {
		assert_int_equal(atomic_write(path, bytes, cut), 0);
		assert_int_equal(load_status(path, &err), T2L_EFORMAT);
		assert_non_null(strstr(err.message, "tiny.safetensors"));
	}
	free(bytes);
}

static void
a_number_that_f16_cannot_hold_is_not_saved(void **state)
{
	struct hypernet_config config = config_of("L");
	struct hypernet_network *network = make_network(&config, 2);
	struct t2l_error err;

	(void)state;
	tensor_f32(hypernet_find(network, "mixer.1.weight"))[3] = 1e5F;
	assert_int_equal(
	    hypernet_save(network, &tiny_origin, DTYPE_F16, in_folder("big.safetensors"), &err),
	    T2L_EINVAL);
	assert_non_null(strstr(err.message, "mixer.1.weight"));
	assert_int_equal(files_in_folder(), 0);
	hypernet_free(network);
}

/* ---- descriptions ---- */

static void
descriptions_are_prepared_as_the_reference_does(void **state)
{
	static const struct {
		const char *text, *expected;
	} texts[] = {
		{ "Translate it", "Translate it." },
		{ "  Translate it. \n", "Translate it." },
		{ "What is it?", "What is it?" },
		{ "Count to 10", "Count to 10" },
		{ "traduis en \xC3\xA9t\xC3\xA9", "traduis en \xC3\xA9t\xC3\xA9." },
		{ "\xE6\x97\xA5\xE6\x9C\xAC", "\xE6\x97\xA5\xE6\x9C\xAC." },
		{ "\xC2\xA0no-break\xC2\xA0", "no-break." },
		{ "\xE3\x80\x80wide\xE3\x80\x80", "wide." },
		{ "\x1Cseparators\x1F", "separators." },
		{ "x", "x." },
		{ "\xC2\xBD", "\xC2\xBD" },
	};
	char *prepared;

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		assert_int_equal(
		    hypernet_prepare_description(texts[i].text, &prepared, NULL), T2L_OK);
		assert_string_equal(prepared, texts[i].expected);
		free(prepared);
	}
}

static void
descriptions_without_text_are_refused(void **state)
{
	static const char *const texts[] = { "", "  \t\n", "\xC2\xA0", "broken \xFF", "cut \xC3" };
	struct t2l_error err;
	char *prepared;

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		assert_int_equal(
		    hypernet_prepare_description(texts[i], &prepared, &err), T2L_EINVAL);
		assert_non_null(strstr(err.message, "description"));
	}
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, fresh, remove_temporary_folder)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(adapters_are_the_references),
		TEST(modules_keep_the_order_of_the_heads),
		TEST(a_checkpoint_in_f16_gives_nearly_the_same),
		TEST(many_tasks_at_once_give_what_each_gives_alone),
		TEST(parameters_are_as_many_as_the_papers),
		TEST(numbers_out_of_range_are_refused_by_name),
		TEST(the_first_adapter_of_l_is_a_fresh_lora),
		TEST(a_seed_decides_all_numbers),
		TEST(gradients_are_the_slopes_of_the_loss),
		TEST(dropout_changes_with_its_seed_only),
		TEST(a_batch_in_parts_has_the_masks_of_the_whole),
		TEST(a_part_outside_its_batch_is_refused),
		TEST(a_checkpoint_comes_back_bit_for_bit),
		TEST(a_damaged_checkpoint_is_refused_with_the_reason),
		TEST(a_cut_checkpoint_is_refused),
		TEST(a_number_that_f16_cannot_hold_is_not_saved),
		TEST(descriptions_are_prepared_as_the_reference_does),
		TEST(descriptions_without_text_are_refused),
	};

	return cmocka_run_group_tests(tests, open_backend, close_backend);
}
