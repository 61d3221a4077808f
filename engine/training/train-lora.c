/* train-lora.c - LoRA adapters as parameters: one a task, all in the same batches, or one for all
 * tasks. */

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/adapters/adapter.h"
#include "engine/error.h"
#include "engine/training/random.h"
#include "engine/training/task-batch.h"

struct lora_run {
	struct task_run tasks;
	bool one_for_all;
	int64_t n_adapters;
	struct lora_stack stack;
	struct tensor tensors[2 * N_MODULES];
	float *memory;
};

/* A as a fresh LoRA has it (kaiming-uniform with a = sqrt(5): +-1/sqrt(in)), B zero. */
static void
initialise(struct lora_run *run, uint64_t seed)
{
	for (int i = 0; i < run->stack.n_modules; i++) {
		struct random random = random_at(seed, STREAM_INITIAL, (uint64_t)i);
		struct tensor *a = run->stack.a[i];
		double bound = 1 / sqrt((double)tensor_cols(a));

		for (int64_t j = 0; j < tensor_count(a); j++)
			tensor_f32(a)[j] = (float)(bound * (2 * random_uniform(&random) - 1));
	}
}

static enum t2l_status
make_parameters(struct trainer *trainer, struct lora_run *run, struct t2l_error *err)
{
	const struct t2l_train_options *options = trainer->options;
	const struct decoder_config *config = &run->tasks.base->decoder.config;
	struct lora_stack *stack = &run->stack;
	int64_t n = 0;
	float *next;

	*stack = (struct lora_stack){ .n_modules = run->tasks.n_modules,
		.n_layers = config->n_layers,
		.rank = options->rank,
		.scale = lora_scale(options) };
	memcpy(stack->modules, run->tasks.modules, sizeof stack->modules);
	for (int i = 0; i < stack->n_modules; i++)
		n += decoder_module_in(config, stack->modules[i]) +
		     decoder_module_out(config, stack->modules[i]);
	n *= run->n_adapters * stack->n_layers * stack->rank;
	run->memory = next = calloc((size_t)n, sizeof *next);
	if (next == NULL)
		return t2l_fail(err, T2L_ENOMEM, "training: out of memory");
	for (int i = 0; i < 2 * stack->n_modules; i++) {
		enum module module = stack->modules[i / 2];
		bool is_a = i % 2 == 0;
		struct tensor *tensor = &run->tensors[i];
		char name[64];
		enum t2l_status status;

		*tensor = (struct tensor){ .dtype = DTYPE_F32,
			.n_dims = 4,
			.shape = { run->n_adapters, stack->n_layers, stack->rank,
			    is_a ? decoder_module_in(config, module)
				 : decoder_module_out(config, module) },
			.data = next };
		next += tensor_count(tensor);
		*(is_a ? &stack->a[i / 2] : &stack->bt[i / 2]) = tensor;
		snprintf(name, sizeof name, "%s.lora_%s", module_name(module), is_a ? "A" : "BT");
		status = parameter_set_add(&trainer->parameters, name, tensor, UPDATE_ADAMW, err);
		if (status != T2L_OK)
			return status;
	}
	initialise(run, options->seed);
	return T2L_OK;
}

static enum t2l_status
open_run(struct trainer *trainer, bool one_for_all, struct t2l_error *err)
{
	struct lora_run *run = calloc(1, sizeof *run);
	enum t2l_status status;

	if (run == NULL)
		return t2l_fail(err, T2L_ENOMEM, "training: out of memory");
	trainer->run = run;
	run->one_for_all = one_for_all;
	status = task_run_open(&run->tasks, trainer->options, err);
	if (status != T2L_OK)
		return status;
	run->n_adapters = one_for_all ? 1 : (int64_t)run->tasks.dataset.n;
	return make_parameters(trainer, run, err);
}

static enum t2l_status
open_lora(struct trainer *trainer, struct t2l_error *err)
{
	return open_run(trainer, false, err);
}

static enum t2l_status
open_multi_task(struct trainer *trainer, struct t2l_error *err)
{
	return open_run(trainer, true, err);
}

static struct tensor *
loss(struct trainer *trainer, int64_t step, int64_t *n_tokens, struct t2l_error *err)
{
	struct lora_run *run = trainer->run;
	struct task_run *tasks = &run->tasks;
	const struct t2l_train_options *options = trainer->options;

	if (task_run_fill(tasks, options, step, err) != T2L_OK)
		return NULL;
	*n_tokens = tasks->batch.n_rows;
	for (int i = 0; i < tasks->batch_tasks; i++)
		tasks->groups[i].adapter = run->one_for_all ? 0 : tasks->drawn[i];
	if (run->one_for_all)
		tasks->groups[0].row_count = tasks->batch.n_rows;
	return task_batch_loss(trainer->ops, &tasks->base->decoder, &tasks->batch, &run->stack,
	    tasks->groups, run->one_for_all ? 1 : (size_t)tasks->batch_tasks,
	    options->label_smoothing, options->l2_generated);
}

/* ---- saving ---- */

static enum t2l_status
make_adapter(const struct lora_run *run, const struct t2l_train_options *options, int64_t index,
    const char *name, struct t2l_adapter **adapter, struct t2l_error *err)
{
	const struct lora_stack *stack = &run->stack;
	struct adapter_labels labels = { .name = name,
		.base_name = run->tasks.base->facts.name,
		.base_fingerprint = run->tasks.base->facts.fingerprint };
	struct adapter_module *modules =
	    calloc((size_t)(stack->n_layers * stack->n_modules), sizeof *modules);
	size_t n = 0;
	enum t2l_status status;

	if (modules == NULL)
		return t2l_fail(err, T2L_ENOMEM, "training: out of memory");
	for (int layer = 0; layer < stack->n_layers; layer++)
		for (int i = 0; i < stack->n_modules; i++)
			modules[n++] = (struct adapter_module){ .layer = layer,
				.module = stack->modules[i],
				.rank = stack->rank,
				.alpha = (double)options->lora_alpha,
				.a = { .n_dims = 2,
				    .shape = { stack->rank, stack->a[i]->shape[3] } },
				.bt = { .n_dims = 2,
				    .shape = { stack->rank, stack->bt[i]->shape[3] } } };
	status = adapter_create(modules, n, options->use_rslora, &labels, adapter, err);
	free(modules);
	if (status != T2L_OK)
		return status;
	for (size_t i = 0; i < (*adapter)->n_modules; i++) {
		struct adapter_module *module = &(*adapter)->modules[i];
		int at = 0;

		while (stack->modules[at] != module->module)
			at++;
		for (int part = 0; part < 2; part++) {
			const struct tensor *all = part ? stack->bt[at] : stack->a[at];
			struct tensor *own = part ? &module->bt : &module->a;
			int64_t count = tensor_count(own);

			memcpy(own->data,
			    tensor_f32(all) + (index * stack->n_layers + module->layer) * count,
			    (size_t)count * sizeof(float));
		}
	}
	status = adapter_seal(*adapter, err);
	if (status != T2L_OK)
		t2l_adapter_close(*adapter);
	return status;
}

static bool
ends_with(const char *text, const char *end)
{
	size_t n = strlen(text), m = strlen(end);

	return n >= m && strcmp(text + n - m, end) == 0;
}

static enum t2l_status
save(struct trainer *trainer, struct t2l_error *err)
{
	struct lora_run *run = trainer->run;
	const char *output = trainer->options->output;
	bool one_file = ends_with(output, ".safetensors");
	enum t2l_status status = T2L_OK;

	if (one_file && run->n_adapters > 1)
		return t2l_fail(err, T2L_EINVAL,
		    "--output '%s' is one file for %lld tasks; name a folder, or one task with "
		    "--tasks",
		    output, (long long)run->n_adapters);
	if (!one_file && mkdir(output, 0777) != 0 && errno != EEXIST)
		return t2l_fail_errno(err, "cannot make the folder '%s'", output);
	for (int64_t i = 0; i < run->n_adapters && status == T2L_OK; i++) {
		const char *name =
		    run->one_for_all ? "multi-task" : run->tasks.dataset.tasks[i].task->id;
		struct t2l_adapter *adapter;
		char path[4096];

		if (one_file)
			snprintf(path, sizeof path, "%s", output);
		else
			snprintf(path, sizeof path, "%s/%s.safetensors", output, name);
		status = make_adapter(run, trainer->options, i, name, &adapter, err);
		if (status == T2L_OK) {
			status = t2l_adapter_save(adapter, path, err);
			t2l_adapter_close(adapter);
		}
	}
	return status;
}

static void
close_run(struct trainer *trainer)
{
	struct lora_run *run = trainer->run;

	if (run == NULL)
		return;
	task_run_close(&run->tasks);
	free(run->memory);
	free(run);
}

const struct trainer_kind trainer_lora = {
	.name = "lora",
	.open = open_lora,
	.loss = loss,
	.save = save,
	.close = close_run,
};

const struct trainer_kind trainer_multi_task = {
	.name = "multi-task",
	.open = open_multi_task,
	.loss = loss,
	.save = save,
	.close = close_run,
};
