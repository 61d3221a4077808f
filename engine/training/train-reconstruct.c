/* train-reconstruct.c - T2L by reconstruction: a hypernet learns given adapters from their
 * descriptions, no base needed. */

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/error.h"
#include "engine/hypernet/hypernet.h"
#include "engine/models/encoder.h"
#include "engine/training/adapter-set.h"
#include "engine/training/hypernet-output.h"
#include "engine/training/random.h"
#include "engine/training/reconstruction.h"

struct reconstruct_run {
	struct adapter_set adapters;
	struct text_encoder *encoder;
	struct hypernet_network *network;
	struct description_set descriptions;
	struct lora_parameters targets; /* number i: adapter i; z-scores when asked */
	struct deck deck;
	int batch_tasks, batch_descriptions;
	int64_t *target_rows;	/* [batch_tasks * batch_descriptions] */
	float *step_embeddings; /* [the same, dimension] */
	size_t *n_held;		/* [adapters] descriptions held out for validation: the last */
};

/* ---- targets ---- */

/* All numbers of one factor of one module become z-scores; the moments go into the network. */
static void
standardise(struct reconstruct_run *run, int module, int part)
{
	struct tensor *values =
	    part == 0 ? run->targets.stack.a[module] : run->targets.stack.bt[module];
	float *mean = tensor_f32(hypernet_mean(run->network, module, part));
	float *deviation = tensor_f32(hypernet_deviation(run->network, module, part));
	int64_t n = values->shape[0], n_elements = tensor_count(values) / n;

	reconstruction_moments(tensor_f32(values), n, n_elements, mean, deviation);
	reconstruction_standardise(tensor_f32(values), n, n_elements, mean, deviation);
}

static enum t2l_status
make_targets(
    struct reconstruct_run *run, const struct t2l_train_options *options, struct t2l_error *err)
{
	struct lora_stack *stack = &run->targets.stack;
	int64_t n = 0;
	float *next;

	run->targets.shape = run->adapters.shape;
	run->targets.n_adapters = (int64_t)run->adapters.n;
	stack->n_modules = run->adapters.shape.n_modules;
	stack->n_layers = run->adapters.n_layers;
	stack->rank = run->adapters.shape.rank;
	memcpy(stack->modules, run->adapters.shape.modules, sizeof stack->modules);
	for (int i = 0; i < stack->n_modules; i++)
		n += run->adapters.in[i] + run->adapters.out[i];
	n *= run->targets.n_adapters * stack->n_layers * stack->rank;
	run->targets.memory = next = malloc((size_t)n * sizeof *next);
	if (next == NULL)
		return t2l_fail(err, T2L_ENOMEM,
		    "reconstruction: no memory for the numbers of %zu adapters (%lld MiB)",
		    run->adapters.n, (long long)(n * 4 >> 20));
	for (int i = 0; i < 2 * stack->n_modules; i++) {
		struct tensor *tensor = &run->targets.tensors[i];

		*tensor = (struct tensor){ .dtype = DTYPE_F32,
			.n_dims = 4,
			.shape = { run->targets.n_adapters, stack->n_layers, stack->rank,
			    i % 2 == 0 ? run->adapters.in[i / 2] : run->adapters.out[i / 2] },
			.data = next };
		next += tensor_count(tensor);
		*(i % 2 == 0 ? &stack->a[i / 2] : &stack->bt[i / 2]) = tensor;
	}
	for (size_t i = 0; i < run->adapters.n; i++)
		lora_parameters_take(&run->targets, (int64_t)i, run->adapters.adapters[i]);
	for (int i = 0; options->z_scores && i < 2 * stack->n_modules; i++)
		standardise(run, i / 2, i % 2);
	return T2L_OK;
}

/* ---- the network ---- */

static enum t2l_status
make_network(
    struct reconstruct_run *run, const struct t2l_train_options *options, struct t2l_error *err)
{
	const struct adapter_set *set = &run->adapters;
	struct hypernet_config config;
	enum t2l_status status = hypernet_config_of(options, &config, err);

	if (status != T2L_OK)
		return status;
	config.embedding_size = run->descriptions.dimension;
	config.n_layers = set->n_layers;
	config.rank = set->shape.rank;
	config.lora_alpha = (double)set->shape.lora_alpha;
	config.use_rslora = set->shape.use_rslora;
	config.n_modules = set->shape.n_modules;
	memcpy(config.modules, set->shape.modules, sizeof config.modules);
	memcpy(config.in, set->in, sizeof config.in);
	memcpy(config.out, set->out, sizeof config.out);
	config.standardised = options->z_scores;
	config.head_bias = !options->z_scores; /* as the reference has it */
	if (!options->factorized)
		config.output_divisor = sqrt((double)options->delta_w_scaling);
	status = hypernet_create(&config, &run->network, err);
	if (status == T2L_OK)
		hypernet_initialise(run->network, options->seed);
	return status;
}

static enum t2l_status
check(const struct t2l_train_options *options, size_t n, struct t2l_error *err)
{
	if (options->encoder == NULL)
		return t2l_fail(err, T2L_EINVAL, "this training wants a task encoder (--encoder)");
	if (options->z_scores && !options->factorized)
		return t2l_fail(err, T2L_EINVAL,
		    "z_scores without factorized: products of z-scores give no adapter (the "
		    "reference trains such a hypernet and then cannot generate); set factorized = "
		    "true or z_scores = false");
	if (options->z_scores && n < 2)
		return t2l_fail(err, T2L_EINVAL,
		    "z_scores need the deviation of at least two adapters; there is one");
	return T2L_OK;
}

static enum t2l_status
make_batch(
    struct reconstruct_run *run, const struct t2l_train_options *options, struct t2l_error *err)
{
	size_t n = run->adapters.n, rows;

	run->batch_tasks = (size_t)options->batch_tasks < n ? options->batch_tasks : (int)n;
	run->batch_descriptions = options->batch_descriptions;
	rows = (size_t)run->batch_tasks * (size_t)run->batch_descriptions;
	run->deck = (struct deck){ (int32_t)n, -1, malloc(n * sizeof *run->deck.order) };
	run->target_rows = malloc(rows * sizeof *run->target_rows);
	run->step_embeddings =
	    malloc(rows * (size_t)run->descriptions.dimension * sizeof *run->step_embeddings);
	run->n_held = calloc(n, sizeof *run->n_held);
	if (run->deck.order == NULL || run->target_rows == NULL || run->step_embeddings == NULL ||
	    run->n_held == NULL)
		return t2l_fail(err, T2L_ENOMEM, "training: out of memory");
	/* What can be held out here is phrasings: the adapters are what is learnt. */
	for (size_t i = 0; i < n && options->validation > 0; i++) {
		size_t all = description_count(&run->descriptions, i);
		size_t held = (size_t)((double)options->validation * (double)all + 0.5);

		run->n_held[i] = all < 2 ? 0 : held == 0 ? 1 : held < all ? held : all - 1;
	}
	return T2L_OK;
}

static enum t2l_status
open_reconstruction(struct trainer *trainer, struct t2l_error *err)
{
	struct reconstruct_run *run = calloc(1, sizeof *run);
	const struct t2l_train_options *options = trainer->options;
	enum t2l_status status;

	if (run == NULL)
		return t2l_fail(err, T2L_ENOMEM, "training: out of memory");
	trainer->run = run;
	if ((status = adapter_set_open(&run->adapters, options, err)) != T2L_OK ||
	    (status = check(options, run->adapters.n, err)) != T2L_OK ||
	    (status = text_encoder_open(options->encoder, &run->encoder, err)) != T2L_OK ||
	    (status = description_set_make(trainer, run->encoder, run->adapters.described,
		 run->adapters.n, &run->descriptions, err)) != T2L_OK ||
	    (status = make_network(run, options, err)) != T2L_OK ||
	    (status = make_targets(run, options, err)) != T2L_OK ||
	    (status = make_batch(run, options, err)) != T2L_OK)
		return status;
	return hypernet_add_parameters(trainer, run->network, err);
}

/* ---- a step ---- */

/* The loss of the first N_ROWS of step_embeddings against target_rows. */
static struct tensor *
compare(struct trainer *trainer, struct reconstruct_run *run, int64_t n_rows,
    const struct hypernet_dropout *dropout)
{
	const struct t2l_train_options *options = trainer->options;
	struct lora_stack made = run->targets.stack;
	struct tensor *embeddings = ops_wrap(trainer->ops, DTYPE_F32, 2,
	    (int64_t[]){ n_rows, run->descriptions.dimension }, run->step_embeddings, NULL);

	if (!hypernet_forward(trainer->ops, run->network, embeddings, dropout, made.a, made.bt))
		return NULL;
	return options->factorized
		   ? reconstruction_factors_loss(
			 trainer->ops, &made, &run->targets.stack, run->target_rows)
		   : reconstruction_delta_loss(trainer->ops, &made, &run->targets.stack,
			 run->target_rows, options->delta_w_scaling);
}

static void
put_row(struct reconstruct_run *run, int64_t row, int64_t task, size_t number)
{
	size_t size = (size_t)run->descriptions.dimension;

	run->target_rows[row] = task;
	memcpy(run->step_embeddings + (size_t)row * size,
	    description_at(&run->descriptions, (size_t)task, number), size * sizeof(float));
}

static struct tensor *
loss(struct trainer *trainer, int64_t step, struct trainer_part part, int64_t *n_tokens,
    struct t2l_error *err)
{
	struct reconstruct_run *run = trainer->run;
	const struct t2l_train_options *options = trainer->options;
	int first = part.index * run->batch_tasks / part.count;
	int end = (part.index + 1) * run->batch_tasks / part.count;
	const struct hypernet_dropout dropout =
	    hypernet_dropout_of(options, step, (int64_t)first * run->batch_descriptions,
		(int64_t)run->batch_tasks * run->batch_descriptions);
	struct tensor *value;
	int64_t n = 0;

	(void)err;
	for (int slot = first; slot < end; slot++) {
		int64_t card = step * run->batch_tasks + slot;
		int32_t task = deck_deal(&run->deck, options->seed, card);
		struct random random = random_at(options->seed, STREAM_DESCRIPTION, (uint64_t)card);
		size_t n_texts = description_count(&run->descriptions, (size_t)task);

		for (int i = 0; i < run->batch_descriptions; i++)
			put_row(run, n++, task,
			    (size_t)random_below(&random, n_texts - run->n_held[task]));
	}
	*n_tokens = n;
	value = compare(trainer, run, n, options->dropout > 0 ? &dropout : NULL);
	return part.count == 1
		   ? value
		   : op_scale(trainer->ops, (float)(end - first) / (float)run->batch_tasks, value);
}

static int64_t
most_parts(const struct trainer *trainer)
{
	return ((const struct reconstruct_run *)trainer->run)->batch_tasks;
}

static int64_t
steps_per_epoch(const struct trainer *trainer)
{
	const struct reconstruct_run *run = trainer->run;

	return ((int64_t)run->adapters.n + run->batch_tasks - 1) / run->batch_tasks;
}

/* Each adapter from one phrasing that was not trained on. */
static enum t2l_status
validate(struct trainer *trainer, struct trainer_part part, double *sum, double *weight,
    struct t2l_error *err)
{
	struct reconstruct_run *run = trainer->run;
	int64_t n_tasks = (int64_t)run->adapters.n, chunk = part.index;

	for (; chunk * run->batch_tasks < n_tasks; chunk += part.count) {
		struct tensor *value;
		int64_t n = 0, first = chunk * run->batch_tasks;

		for (int64_t task = first; task < n_tasks && task < first + run->batch_tasks;
		     task++)
			if (run->n_held[task] > 0)
				put_row(run, n++, task,
				    description_count(&run->descriptions, (size_t)task) - 1);
		if (n == 0)
			continue;
		ops_reset(trainer->ops);
		value = compare(trainer, run, n, NULL);
		if (value == NULL)
			return ops_status(trainer->ops, err);
		*sum += (double)n * (double)tensor_f32(value)[0];
		*weight += (double)n;
	}
	return T2L_OK;
}

static enum t2l_status
estimate(
    struct trainer *trainer, int n_parts, struct t2l_train_estimate *into, struct t2l_error *err)
{
	struct reconstruct_run *run = trainer->run;
	int64_t n = (run->batch_tasks + n_parts - 1) / n_parts * run->batch_descriptions;
	uint64_t targets = 0;

	(void)err;
	for (int i = 0; i < 2 * run->targets.stack.n_modules; i++)
		targets += (uint64_t)tensor_count(&run->targets.tensors[i]) * sizeof(float);
	into->base += targets; /* in memory already, and counted there */
	into->rest -= into->rest < targets ? into->rest : targets;
	into->activations += hypernet_training_bytes(&run->network->config, n);
	return T2L_OK;
}

/* ---- the end ---- */

static enum t2l_status
save(struct trainer *trainer, struct t2l_error *err)
{
	struct reconstruct_run *run = trainer->run;
	const struct t2l_adapter_facts *facts = &run->adapters.adapters[0]->facts;

	return hypernet_write(
	    trainer, run->network, facts->base_name, facts->base_fingerprint, run->encoder, err);
}

static void
close_reconstruction(struct trainer *trainer)
{
	struct reconstruct_run *run = trainer->run;

	if (run == NULL)
		return;
	adapter_set_close(&run->adapters);
	text_encoder_close(run->encoder);
	hypernet_free(run->network);
	description_set_release(&run->descriptions);
	lora_parameters_release(&run->targets);
	free(run->deck.order);
	free(run->target_rows);
	free(run->step_embeddings);
	free(run->n_held);
	free(run);
}

const struct trainer_kind trainer_reconstruction = {
	.name = "reconstruction",
	.open = open_reconstruction,
	.loss = loss,
	.most_parts = most_parts,
	.steps_per_epoch = steps_per_epoch,
	.validate = validate,
	.estimate = estimate,
	.save = save,
	.close = close_reconstruction,
};
