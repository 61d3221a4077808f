/* train-supervised.c - T2L by supervised fine-tuning: a hypernet learns adapters from the tasks'
 * own loss. */

#include <stdlib.h>
#include <string.h>

#include "engine/error.h"
#include "engine/hypernet/hypernet.h"
#include "engine/models/encoder.h"
#include "engine/training/descriptions.h"
#include "engine/training/hypernet-output.h"
#include "engine/training/random.h"
#include "engine/training/task-batch.h"

struct supervised_run {
	struct task_run tasks;
	struct text_encoder *encoder;
	struct hypernet_network *network;
	struct description_set descriptions;
	float *step_embeddings; /* [batch_tasks, dimension] */
};

/* ---- descriptions ---- */

static enum t2l_status
embed_descriptions(struct trainer *trainer, struct supervised_run *run, struct t2l_error *err)
{
	size_t n = run->tasks.dataset.n, most = (size_t)trainer->options->descriptions;
	struct described *things = calloc(n, sizeof *things);
	enum t2l_status status;

	run->step_embeddings =
	    malloc((size_t)run->tasks.batch_tasks * (size_t)run->encoder->facts.dimension *
		   sizeof *run->step_embeddings);
	if (things == NULL || run->step_embeddings == NULL) {
		free(things);
		return t2l_fail(err, T2L_ENOMEM, "training: out of memory");
	}
	for (size_t i = 0; i < n; i++) {
		const struct t2l_suite_task *task = run->tasks.dataset.tasks[i].task;
		const struct t2l_suite_tier *tier = t2l_suite_tier(task, "train");

		things[i].name = task->id;
		things[i].texts = tier != NULL ? tier->texts : NULL;
		things[i].n = tier == NULL ? 0 : most > 0 && most < tier->n ? most : tier->n;
	}
	status = description_set_make(trainer, run->encoder, things, n, &run->descriptions, err);
	free(things);
	return status;
}

/* ---- the network ---- */

static enum t2l_status
make_config(const struct supervised_run *run, const struct t2l_train_options *options,
    struct hypernet_config *config, struct t2l_error *err)
{
	const struct decoder_config *base = &run->tasks.base->decoder.config;
	enum t2l_status status = hypernet_config_of(options, config, err);

	if (status != T2L_OK)
		return status;
	config->embedding_size = run->descriptions.dimension;
	config->n_layers = base->n_layers;
	config->rank = options->rank;
	config->lora_alpha = (double)options->lora_alpha;
	config->use_rslora = options->use_rslora;
	config->n_modules = run->tasks.n_modules;
	for (int i = 0; i < config->n_modules; i++) {
		config->modules[i] = run->tasks.modules[i];
		config->in[i] = decoder_module_in(base, config->modules[i]);
		config->out[i] = decoder_module_out(base, config->modules[i]);
	}
	return T2L_OK;
}

static enum t2l_status
open_supervised(struct trainer *trainer, struct t2l_error *err)
{
	struct supervised_run *run = calloc(1, sizeof *run);
	const struct t2l_train_options *options = trainer->options;
	struct hypernet_config config;
	enum t2l_status status;

	if (run == NULL)
		return t2l_fail(err, T2L_ENOMEM, "training: out of memory");
	trainer->run = run;
	if (options->encoder == NULL)
		return t2l_fail(err, T2L_EINVAL, "this training wants a task encoder (--encoder)");
	if ((status = task_run_open(&run->tasks, options, err)) != T2L_OK ||
	    (status = text_encoder_open(options->encoder, &run->encoder, err)) != T2L_OK)
		return status;
	if ((status = embed_descriptions(trainer, run, err)) != T2L_OK ||
	    (status = make_config(run, options, &config, err)) != T2L_OK ||
	    (status = hypernet_create(&config, &run->network, err)) != T2L_OK)
		return status;
	hypernet_initialise(run->network, options->seed);
	if (options->offset != NULL && (status = hypernet_take_offset(run->network, options->offset,
					    &run->tasks.base->decoder.config, err)) != T2L_OK)
		return status;
	return hypernet_add_parameters(trainer, run->network, err);
}

/* One description of each of N_SLOTS tasks of the step, drawn at random; STEP < 0: the first.
 * -> [n_slots, dimension] */
static struct tensor *
draw_embeddings(
    struct trainer *trainer, struct supervised_run *run, int64_t step, int first_slot, int n_slots)
{
	int size = run->descriptions.dimension;

	for (int i = 0; i < n_slots; i++) {
		size_t task = (size_t)run->tasks.drawn[first_slot + i];
		size_t number = step < 0
				    ? 0
				    : task_run_description(trainer->options, step, first_slot + i,
					  description_count(&run->descriptions, task));

		memcpy(run->step_embeddings + (size_t)i * (size_t)size,
		    description_at(&run->descriptions, task, number), (size_t)size * sizeof(float));
	}
	return ops_wrap(
	    trainer->ops, DTYPE_F32, 2, (int64_t[]){ n_slots, size }, run->step_embeddings, NULL);
}

static struct lora_stack
empty_stack(const struct supervised_run *run, const struct t2l_train_options *options)
{
	const struct hypernet_config *config = &run->network->config;
	struct lora_stack stack = { .n_modules = config->n_modules,
		.n_layers = config->n_layers,
		.rank = config->rank,
		.scale = lora_scale(options) };

	memcpy(stack.modules, config->modules, sizeof stack.modules);
	return stack;
}

static struct tensor *
loss(struct trainer *trainer, int64_t step, struct trainer_part part, int64_t *n_tokens,
    struct t2l_error *err)
{
	struct supervised_run *run = trainer->run;
	const struct t2l_train_options *options = trainer->options;
	struct hypernet_dropout dropout;
	struct lora_stack stack = empty_stack(run, options);
	struct tensor *embeddings;
	struct task_part taken;

	if (task_run_fill(&run->tasks, options, step, err) != T2L_OK ||
	    task_run_take(&run->tasks, part, false, &taken, err) != T2L_OK)
		return NULL;
	*n_tokens = taken.batch->n_rows;
	embeddings = draw_embeddings(trainer, run, step, taken.first_slot, taken.n_slots);
	dropout = hypernet_dropout_of(options, step, taken.first_slot, run->tasks.batch_tasks);
	if (!hypernet_forward(trainer->ops, run->network, embeddings,
		options->dropout > 0 ? &dropout : NULL, stack.a, stack.bt) ||
	    !hypernet_in_base_order(
		trainer->ops, run->network, &run->tasks.base->decoder.config, &stack))
		return NULL;
	for (size_t i = 0; i < taken.n_groups; i++)
		taken.groups[i].adapter -= taken.first_slot;
	return task_batch_loss(trainer->ops, &run->tasks.base->decoder, taken.batch, &stack,
	    taken.groups, taken.n_groups, options->label_smoothing,
	    part.count == 1 ? options->l2_generated : options->l2_generated * (float)taken.share);
}

static int64_t
most_parts(const struct trainer *trainer)
{
	return ((const struct supervised_run *)trainer->run)->tasks.batch_tasks;
}

static int64_t
steps_per_epoch(const struct trainer *trainer)
{
	return task_run_steps_per_epoch(
	    &((const struct supervised_run *)trainer->run)->tasks, trainer->options);
}

static enum t2l_status
validate(struct trainer *trainer, struct trainer_part part, double *sum, double *weight,
    struct t2l_error *err)
{
	struct supervised_run *run = trainer->run;
	const struct t2l_train_options *options = trainer->options;
	int64_t n_chunks = task_run_n_chunks(&run->tasks, options);

	for (int64_t chunk = part.index; chunk < n_chunks; chunk += part.count) {
		struct lora_stack stack = empty_stack(run, options);
		int64_t n_examples;
		struct tensor *value;
		enum t2l_status status =
		    task_run_held_out(&run->tasks, options, chunk, &n_examples, err);

		if (status != T2L_OK)
			return status;
		if (n_examples == 0)
			continue;
		ops_reset(trainer->ops);
		if (!hypernet_forward(trainer->ops, run->network,
			draw_embeddings(trainer, run, -1, 0, run->tasks.batch_tasks), NULL, stack.a,
			stack.bt) ||
		    !hypernet_in_base_order(
			trainer->ops, run->network, &run->tasks.base->decoder.config, &stack))
			return ops_status(trainer->ops, err);
		value = task_batch_loss(trainer->ops, &run->tasks.base->decoder, &run->tasks.batch,
		    &stack, run->tasks.groups, (size_t)run->tasks.batch_tasks, 0, 0);
		if (value == NULL)
			return ops_status(trainer->ops, err);
		*sum += (double)tensor_f32(value)[0];
		*weight += (double)n_examples;
	}
	return T2L_OK;
}

static enum t2l_status
estimate(
    struct trainer *trainer, int n_parts, struct t2l_train_estimate *into, struct t2l_error *err)
{
	struct supervised_run *run = trainer->run;
	int64_t n_tasks = (run->tasks.batch_tasks + n_parts - 1) / n_parts;

	into->activations += hypernet_training_bytes(&run->network->config, n_tasks);
	return task_run_estimate(&run->tasks, trainer->options, n_parts, into, err);
}

static enum t2l_status
save(struct trainer *trainer, struct t2l_error *err)
{
	struct supervised_run *run = trainer->run;
	const struct t2l_model_facts *base = &run->tasks.base->facts;

	return hypernet_write(
	    trainer, run->network, base->name, base->fingerprint, run->encoder, err);
}

static void
close_supervised(struct trainer *trainer)
{
	struct supervised_run *run = trainer->run;

	if (run == NULL)
		return;
	task_run_close(&run->tasks);
	text_encoder_close(run->encoder);
	hypernet_free(run->network);
	description_set_release(&run->descriptions);
	free(run->step_embeddings);
	free(run);
}

const struct trainer_kind trainer_supervised = {
	.name = "supervised",
	.open = open_supervised,
	.loss = loss,
	.most_parts = most_parts,
	.steps_per_epoch = steps_per_epoch,
	.validate = validate,
	.estimate = estimate,
	.save = save,
	.close = close_supervised,
};
