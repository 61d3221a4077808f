/* train-supervised.c - T2L by supervised fine-tuning: a hypernet learns adapters from the tasks'
 * own loss. */

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "engine/error.h"
#include "engine/hypernet/hypernet.h"
#include "engine/models/encoder.h"
#include "engine/training/embeddings.h"
#include "engine/training/random.h"
#include "engine/training/task-batch.h"

struct supervised_run {
	struct task_run tasks;
	struct text_encoder *encoder;
	struct hypernet_network *network;
	int dimension;
	float *embeddings;	/* of all descriptions of all tasks, scaled by sqrt(d) */
	size_t *begin;		/* [tasks + 1] rows of embeddings */
	float *step_embeddings; /* [batch_tasks, dimension] */
};

/* ---- descriptions ---- */

static size_t
n_descriptions(const struct t2l_train_options *options, const struct t2l_suite_task *task)
{
	const struct t2l_suite_tier *tier = t2l_suite_tier(task, "train");
	size_t n = tier ? tier->n : 0;

	return options->descriptions > 0 && n > (size_t)options->descriptions
		   ? (size_t)options->descriptions
		   : n;
}

/* All sentences as the encoder gets them; each is freed by the caller. */
static enum t2l_status
collect_descriptions(struct supervised_run *run, const struct t2l_train_options *options,
    char ***out, struct t2l_error *err)
{
	size_t n_tasks = run->tasks.dataset.n, n = 0;
	char **texts;

	run->begin = malloc((n_tasks + 1) * sizeof *run->begin);
	if (run->begin == NULL)
		return t2l_fail(err, T2L_ENOMEM, "training: out of memory");
	for (size_t i = 0; i < n_tasks; i++) {
		const struct t2l_suite_task *task = run->tasks.dataset.tasks[i].task;

		run->begin[i] = n;
		n += n_descriptions(options, task);
		if (n == run->begin[i])
			return t2l_fail(err, T2L_EFORMAT,
			    "task '%s' has no descriptions of the tier 'train'", task->id);
	}
	run->begin[n_tasks] = n;
	texts = calloc(n, sizeof *texts);
	if (texts == NULL)
		return t2l_fail(err, T2L_ENOMEM, "training: out of memory");
	*out = texts;
	for (size_t i = 0; i < n_tasks; i++) {
		const struct t2l_suite_task *task = run->tasks.dataset.tasks[i].task;
		const struct t2l_suite_tier *tier = t2l_suite_tier(task, "train");

		for (size_t j = run->begin[i]; j < run->begin[i + 1]; j++) {
			enum t2l_status status = hypernet_prepare_description(
			    tier->texts[j - run->begin[i]], &texts[j], err);

			if (status != T2L_OK)
				return t2l_context(err, "task '%s'", task->id);
		}
	}
	return T2L_OK;
}

static enum t2l_status
embed_descriptions(struct trainer *trainer, struct supervised_run *run, struct t2l_error *err)
{
	size_t n_tasks = run->tasks.dataset.n, n, size;
	char **texts = NULL;
	enum t2l_status status = collect_descriptions(run, trainer->options, &texts, err);

	n = status == T2L_OK ? run->begin[n_tasks] : 0;
	size = (n + (size_t)run->tasks.batch_tasks) * (size_t)run->dimension;
	if (status == T2L_OK && (run->embeddings = malloc(size * sizeof(float))) == NULL)
		status = t2l_fail(err, T2L_ENOMEM, "training: out of memory");
	if (status == T2L_OK) {
		run->step_embeddings = run->embeddings + n * (size_t)run->dimension;
		status = embeddings_make(trainer, run->encoder, trainer->options->cache,
		    (const char *const *)texts, n, sqrtf((float)run->dimension), run->embeddings,
		    err);
	}
	for (size_t i = 0; texts != NULL && run->begin != NULL && i < run->begin[n_tasks]; i++)
		free(texts[i]);
	free(texts);
	return status;
}

/* ---- the network ---- */

static enum t2l_status
make_config(const struct supervised_run *run, const struct t2l_train_options *options,
    struct hypernet_config *config, struct t2l_error *err)
{
	const struct decoder_config *base = &run->tasks.base->decoder.config;
	const char *variant = options->variant ? options->variant : "";

	if (strlen(variant) != 1 || strchr("SML", variant[0]) == NULL)
		return t2l_fail(
		    err, T2L_EINVAL, "training: variant '%s' is none of S, M, L", variant);
	*config = (struct hypernet_config){
		.shared_head = variant[0] != 'L',
		.rowwise = variant[0] == 'S',
		.learned_positions = variant[0] == 'S',
		.embedding_size = run->dimension,
		.latent_size = options->latent_size,
		.head_in_size = options->head_in_size,
		.n_layers = base->n_layers,
		.rank = options->rank,
		.lora_alpha = (double)options->lora_alpha,
		.use_rslora = options->use_rslora,
		.n_modules = run->tasks.n_modules,
		.head_bias = true,
		.dropout = options->dropout,
	};
	snprintf(config->variant, sizeof config->variant, "%s", variant);
	for (int i = 0; i < config->n_modules; i++) {
		config->modules[i] = run->tasks.modules[i];
		config->in[i] = decoder_module_in(base, config->modules[i]);
		config->out[i] = decoder_module_out(base, config->modules[i]);
	}
	return T2L_OK;
}

/* The matrices of the trunk. */
static bool
is_hidden(const struct hypernet_parameter *parameter)
{
	return parameter->tensor.n_dims == 2 && (strncmp(parameter->name, "mixer.", 6) == 0 ||
						    strncmp(parameter->name, "mlp", 3) == 0);
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
	run->dimension = run->encoder->facts.dimension;
	if ((status = embed_descriptions(trainer, run, err)) != T2L_OK ||
	    (status = make_config(run, options, &config, err)) != T2L_OK ||
	    (status = hypernet_create(&config, &run->network, err)) != T2L_OK)
		return status;
	hypernet_initialise(run->network, options->seed);
	for (size_t i = 0; i < run->network->n_parameters && status == T2L_OK; i++)
		status = parameter_set_add(&trainer->parameters, run->network->parameters[i].name,
		    &run->network->parameters[i].tensor,
		    trainer_rule(trainer, is_hidden(&run->network->parameters[i])), err);
	return status;
}

/* A random description of each task of the step -> [batch_tasks, dimension] */
static struct tensor *
draw_embeddings(struct trainer *trainer, struct supervised_run *run, int64_t step)
{
	size_t size = (size_t)run->dimension;

	for (int slot = 0; slot < run->tasks.batch_tasks; slot++) {
		size_t task = (size_t)run->tasks.drawn[slot];
		size_t row = run->begin[task] + task_run_description(trainer->options, step, slot,
						    run->begin[task + 1] - run->begin[task]);

		memcpy(run->step_embeddings + (size_t)slot * size, run->embeddings + row * size,
		    size * sizeof(float));
	}
	return ops_wrap(trainer->ops, DTYPE_F32, 2,
	    (int64_t[]){ run->tasks.batch_tasks, run->dimension }, run->step_embeddings, NULL);
}

static struct tensor *
loss(struct trainer *trainer, int64_t step, int64_t *n_tokens, struct t2l_error *err)
{
	struct supervised_run *run = trainer->run;
	const struct t2l_train_options *options = trainer->options;
	const struct hypernet_config *config = &run->network->config;
	struct random random = random_at(options->seed, STREAM_DROPOUT, (uint64_t)step);
	struct lora_stack stack = { .n_modules = config->n_modules,
		.n_layers = config->n_layers,
		.rank = config->rank,
		.scale = lora_scale(options) };
	struct tensor *embeddings;

	if (task_run_fill(&run->tasks, options, step, err) != T2L_OK)
		return NULL;
	*n_tokens = run->tasks.batch.n_rows;
	memcpy(stack.modules, config->modules, sizeof stack.modules);
	embeddings = draw_embeddings(trainer, run, step);
	if (!hypernet_forward(trainer->ops, run->network, embeddings,
		options->dropout > 0 ? random_next(&random) | 1 : 0, stack.a, stack.bt))
		return NULL;
	return task_batch_loss(trainer->ops, &run->tasks.base->decoder, &run->tasks.batch, &stack,
	    run->tasks.groups, (size_t)run->tasks.batch_tasks, options->label_smoothing,
	    options->l2_generated);
}

/* The file's name without folder and ending. */
static void
name_of(const char *path, char *name, size_t size)
{
	const char *slash = strrchr(path, '/');
	char *dot;

	snprintf(name, size, "%s", slash ? slash + 1 : path);
	dot = strrchr(name, '.');
	if (dot != NULL && dot != name)
		*dot = '\0';
}

static enum t2l_status
save(struct trainer *trainer, struct t2l_error *err)
{
	struct supervised_run *run = trainer->run;
	struct hypernet_origin origin = { .name = "" };
	enum dtype dtype;

	if (!dtype_by_name(trainer->options->save_dtype, &dtype))
		return t2l_fail(
		    err, T2L_EINVAL, "training: unknown dtype '%s'", trainer->options->save_dtype);
	name_of(trainer->options->output, origin.name, sizeof origin.name);
	memcpy(origin.base_name, run->tasks.base->facts.name, sizeof origin.base_name);
	memcpy(origin.base_fingerprint, run->tasks.base->facts.fingerprint,
	    sizeof origin.base_fingerprint);
	memcpy(origin.encoder_name, run->encoder->facts.name, sizeof origin.encoder_name);
	memcpy(origin.encoder_fingerprint, run->encoder->facts.fingerprint,
	    sizeof origin.encoder_fingerprint);
	return hypernet_save(run->network, &origin, dtype, trainer->options->output, err);
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
	free(run->embeddings);
	free(run->begin);
	free(run);
}

const struct trainer_kind trainer_supervised = {
	.name = "supervised",
	.open = open_supervised,
	.loss = loss,
	.save = save,
	.close = close_supervised,
};
