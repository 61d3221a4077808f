/* task-batch.c - deals tasks and examples to a step and ties each task's rows to its adapter. */

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/error.h"
#include "engine/training/random.h"
#include "engine/training/task-batch.h"

float
lora_scale(const struct t2l_train_options *options)
{
	double rank = options->rank;

	return (float)((double)options->lora_alpha / (options->use_rslora ? sqrt(rank) : rank));
}

/* [n_adapters, n_layers, rank, size] -> the [rank, size] of one adapter and layer */
static struct tensor *
part(struct ops *ops, struct tensor *all, int64_t adapter, int64_t layer)
{
	int64_t shape[2] = { all->shape[2], all->shape[3] };

	return op_view(ops, all, (adapter * all->shape[1] + layer) * shape[0] * shape[1], 2, shape);
}

static bool
fill_spans(struct ops *ops, const struct lora_stack *stack, int module, int layer,
    const struct task_rows *groups, size_t n_groups, struct lora_span *spans)
{
	for (size_t i = 0; i < n_groups; i++) {
		struct tensor *a = part(ops, stack->a[module], groups[i].adapter, layer);
		struct tensor *bt = part(ops, stack->bt[module], groups[i].adapter, layer);

		if (a == NULL || bt == NULL)
			return false;
		spans[i] = (struct lora_span){ groups[i].row_begin, groups[i].row_count, a, bt,
			stack->scale };
	}
	return true;
}

struct lora_table *
lora_stack_table(struct ops *ops, const struct lora_stack *stack, const struct task_rows *groups,
    size_t n_groups)
{
	struct arena *arena = ops_arena(ops);
	struct lora_table *table = arena_alloc_zero(arena, sizeof *table);
	size_t n;

	if (table == NULL)
		return NULL;
	table->n_layers = stack->n_layers;
	table->n_experts = 1;
	n = lora_place_count(table);
	table->spans = arena_alloc_zero(arena, n * sizeof *table->spans);
	table->n_spans = arena_alloc_zero(arena, n * sizeof *table->n_spans);
	if (table->spans == NULL || table->n_spans == NULL)
		return NULL;
	for (int layer = 0; layer < stack->n_layers; layer++) {
		for (int i = 0; i < stack->n_modules; i++) {
			size_t at = lora_place(table, layer, stack->modules[i], 0);

			table->n_spans[at] = (int)n_groups;
			table->spans[at] = arena_alloc(arena, n_groups * sizeof **table->spans);
			if (table->spans[at] == NULL ||
			    !fill_spans(ops, stack, i, layer, groups, n_groups, table->spans[at]))
				return NULL;
		}
	}
	return table;
}

struct tensor *
task_batch_loss(struct ops *ops, const struct decoder *decoder, const struct batch *batch,
    const struct lora_stack *stack, const struct task_rows *groups, size_t n_groups,
    float label_smoothing, float l2_generated)
{
	struct lora_table *table = lora_stack_table(ops, stack, groups, n_groups);
	struct tensor *loss;

	if (table == NULL)
		return NULL;
	loss = batch_loss(ops, decoder, batch, table, label_smoothing);
	for (int i = 0; i < stack->n_modules && l2_generated > 0; i++) {
		loss = op_add(ops, 1, loss, l2_generated, op_mean_square(ops, stack->a[i]));
		loss = op_add(ops, 1, loss, l2_generated, op_mean_square(ops, stack->bt[i]));
	}
	return loss;
}

static enum t2l_status
parse_modules(struct task_run *run, const char *list, struct t2l_error *err)
{
	bool flags[N_MODULES] = { false };
	const char *bad;

	if (!module_set_parse(list, flags, &bad))
		return t2l_fail(
		    err, T2L_EINVAL, "modules '%s': '%s' is no module of this base", list, bad);
	for (int module = 0; module < N_MODULES; module++)
		if (flags[module])
			run->modules[run->n_modules++] = (enum module)module;
	return T2L_OK;
}

enum t2l_status
task_run_open(struct task_run *run, const struct t2l_train_options *options, struct t2l_error *err)
{
	enum t2l_status status;

	if (options->suite == NULL || options->base_model == NULL)
		return t2l_fail(err, T2L_EINVAL, "this training wants %s",
		    options->suite == NULL ? "a task suite (--suite)" : "a base (--base-model)");
	if ((status = t2l_suite_open(options->suite, &run->suite, err)) != T2L_OK ||
	    (status = base_model_open(options->base_model, &run->base, err)) != T2L_OK ||
	    (status = text_form_make(run->base->tokenizer, run->base->chat_template,
		 options->base_model, &run->form, err)) != T2L_OK ||
	    (status = dataset_make(run->suite, options->tasks, DATASET_TRAIN, &run->form,
		 run->base->facts.context_length, &run->dataset, err)) != T2L_OK ||
	    (status = parse_modules(run, options->modules, err)) != T2L_OK)
		return status;
	run->batch_tasks = options->batch_tasks;
	if ((size_t)run->batch_tasks > run->dataset.n)
		run->batch_tasks = (int)run->dataset.n;
	run->deck = (struct deck){ (int32_t)run->dataset.n, -1,
		malloc(run->dataset.n * sizeof *run->deck.order) };
	run->drawn = malloc((size_t)run->batch_tasks * sizeof *run->drawn);
	run->groups = malloc((size_t)run->batch_tasks * sizeof *run->groups);
	if (run->deck.order == NULL || run->drawn == NULL || run->groups == NULL)
		return t2l_fail(err, T2L_ENOMEM, "training: out of memory");
	return T2L_OK;
}

void
task_run_close(struct task_run *run)
{
	example_release(&run->with_description);
	batch_release(&run->batch);
	dataset_release(&run->dataset);
	free(run->deck.order);
	free(run->drawn);
	free(run->groups);
	base_model_close(run->base);
	t2l_suite_close(run->suite);
}

size_t
task_run_description(const struct t2l_train_options *options, int64_t step, int slot, size_t n)
{
	struct random random = random_at(
	    options->seed, STREAM_DESCRIPTION, (uint64_t)(step * options->batch_tasks + slot));

	return (size_t)random_below(&random, n);
}

/* The example as it goes into the batch: as it stands, or made anew with a description before it.
 */
static enum t2l_status
choose_example(struct task_run *run, const struct t2l_train_options *options,
    const struct task_data *data, struct random *random, const struct example **chosen,
    struct t2l_error *err)
{
	size_t index = (size_t)random_below(random, data->n);
	const struct t2l_suite_tier *tier;

	*chosen = &data->examples[index];
	if (!options->description_in_prompt)
		return T2L_OK;
	tier = t2l_suite_tier(data->task, "train");
	if (tier == NULL || tier->n == 0)
		return t2l_fail(err, T2L_EFORMAT,
		    "task '%s' has no descriptions of the tier 'train'", data->task->id);
	example_release(&run->with_description);
	*chosen = &run->with_description;
	return example_make(&run->form, tier->texts[random_below(random, tier->n)],
	    data->task->examples[index].prompt, data->task->examples[index].response, true,
	    &run->with_description, err);
}

/* Adds POINTS examples of one task. The weight of a token follows options->weighting; TOKENS is
 * settled once the whole batch is known. */
static enum t2l_status
add_task(struct task_run *run, const struct t2l_train_options *options,
    const struct task_data *data, int64_t step, int slot, struct t2l_error *err)
{
	struct random random = random_at(
	    options->seed, STREAM_EXAMPLES, (uint64_t)(step * options->batch_tasks + slot));
	int64_t first_output = run->batch.n_outputs;
	enum t2l_status status;

	for (int point = 0; point < options->batch_points; point++) {
		const struct example *example;

		status = choose_example(run, options, data, &random, &example, err);
		if (status != T2L_OK)
			return status;
		status = batch_add(&run->batch, example->ids, example->labels, example->n,
		    1.0f / (float)((example->n - example->n_prompt) * options->batch_points *
				   run->batch_tasks),
		    err);
		if (status != T2L_OK)
			return status;
	}
	if (options->weighting == T2L_WEIGHT_TASKS)
		for (int64_t i = first_output; i < run->batch.n_outputs; i++)
			run->batch.weights[i] =
			    1.0f /
			    (float)((run->batch.n_outputs - first_output) * run->batch_tasks);
	return T2L_OK;
}

enum t2l_status
task_run_fill(struct task_run *run, const struct t2l_train_options *options, int64_t step,
    struct t2l_error *err)
{
	batch_reset(&run->batch);
	for (int slot = 0; slot < run->batch_tasks; slot++) {
		int32_t task = deck_deal(&run->deck, options->seed, step * run->batch_tasks + slot);
		int64_t row_begin = run->batch.n_rows;
		enum t2l_status status =
		    add_task(run, options, &run->dataset.tasks[task], step, slot, err);

		if (status != T2L_OK)
			return status;
		run->drawn[slot] = task;
		run->groups[slot] =
		    (struct task_rows){ row_begin, run->batch.n_rows - row_begin, slot };
	}
	if (options->weighting == T2L_WEIGHT_TOKENS)
		for (int64_t i = 0; i < run->batch.n_outputs; i++)
			run->batch.weights[i] = 1.0f / (float)run->batch.n_outputs;
	return T2L_OK;
}
