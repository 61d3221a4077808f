/* task-batch.c - deals tasks and examples to a step and ties each task's rows to its adapter. */

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/error.h"
#include "engine/training/frozen-base.h"
#include "engine/training/memory.h"
#include "engine/training/prepared.h"
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

/* Groups without rows get no span. -> how many there are, or -1. */
static int
fill_spans(struct ops *ops, const struct lora_stack *stack, int module, int layer,
    const struct task_rows *groups, size_t n_groups, struct lora_span *spans)
{
	int n = 0;

	for (size_t i = 0; i < n_groups; i++) {
		struct tensor *a, *bt;

		if (groups[i].row_count == 0)
			continue;
		a = part(ops, stack->a[module], groups[i].adapter, layer);
		bt = part(ops, stack->bt[module], groups[i].adapter, layer);
		if (a == NULL || bt == NULL)
			return -1;
		spans[n++] = (struct lora_span){ groups[i].row_begin, groups[i].row_count, a, bt,
			stack->scale };
	}
	return n;
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

			table->spans[at] = arena_alloc(arena, n_groups * sizeof **table->spans);
			if (table->spans[at] == NULL)
				return NULL;
			table->n_spans[at] =
			    fill_spans(ops, stack, i, layer, groups, n_groups, table->spans[at]);
			if (table->n_spans[at] < 0)
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
	const struct decoder_config *config = &run->base->decoder.config;
	bool flags[N_MODULES] = { false };
	const char *bad;

	if (!module_set_parse(list, flags, &bad))
		return t2l_fail(
		    err, T2L_EINVAL, "modules '%s': '%s' is no module of this base", list, bad);
	for (int module = 0; module < N_MODULES; module++) {
		if (flags[module] && decoder_module_in(config, (enum module)module) == 0)
			return t2l_fail(err, T2L_EINVAL,
			    "modules '%s': base '%s' (%s) has no '%s'; doc/formats.md lists what "
			    "each family has",
			    list, run->base->facts.name, config->kind->name,
			    module_name((enum module)module));
		if (flags[module])
			run->modules[run->n_modules++] = (enum module)module;
	}
	return T2L_OK;
}

static size_t
most_examples(const struct dataset *dataset)
{
	size_t most = 1;

	for (size_t i = 0; i < dataset->n; i++)
		if (dataset->tasks[i].n > most)
			most = dataset->tasks[i].n;
	return most;
}

static enum t2l_status
open_examples(struct task_run *run, const struct t2l_train_options *options, struct t2l_error *err)
{
	const int context = run->base->facts.context_length;
	struct length_rule length = { context, options->max_tokens > 0 };
	enum t2l_status status;

	if (options->max_tokens > 0 && options->max_tokens < context)
		length.max_tokens = options->max_tokens;
	if ((status = text_form_make(run->base->tokenizer, run->base->chat_template,
		 options->base_model, &run->form, err)) != T2L_OK)
		return status;
	if (prepared_is(options->suite))
		return prepared_open(options->suite, options, run->base, &length, &run->prepared,
		    &run->suite, &run->dataset, err);
	if ((status = t2l_suite_open(options->suite, &run->suite, err)) != T2L_OK)
		return status;
	return dataset_make(
	    run->suite, options->tasks, DATASET_TRAIN, &run->form, &length, &run->dataset, err);
}

static enum t2l_status
open_frozen_base(
    struct task_run *run, const struct t2l_train_options *options, struct t2l_error *err)
{
	const uint64_t before = residence_now().mapped;
	enum t2l_status status = base_model_open(options->base_model, &run->base, err);
	uint64_t after;

	if (status == T2L_OK && train_dtype(options) == DTYPE_BF16)
		status = frozen_base_narrow(run->base, err);
	after = residence_now().mapped;
	run->base_mapped_bytes = after > before ? after - before : 0;
	return status;
}

enum t2l_status
task_run_open(struct task_run *run, const struct t2l_train_options *options, struct t2l_error *err)
{
	enum t2l_status status;

	if (options->suite == NULL || options->base_model == NULL)
		return t2l_fail(err, T2L_EINVAL, "this training wants %s",
		    options->suite == NULL ? "examples (--dataset)" : "a base (--base-model)");
	if ((status = open_frozen_base(run, options, err)) != T2L_OK ||
	    (status = parse_modules(run, options->modules, err)) != T2L_OK ||
	    (status = open_examples(run, options, err)) != T2L_OK)
		return status;
	if (options->validation > 0)
		dataset_hold_out(&run->dataset, (double)options->validation, options->seed);
	run->batch_tasks = options->batch_tasks;
	if ((size_t)run->batch_tasks > run->dataset.n)
		run->batch_tasks = (int)run->dataset.n;
	run->deck = (struct deck){ (int32_t)run->dataset.n, -1,
		malloc(run->dataset.n * sizeof *run->deck.order) };
	run->drawn = malloc((size_t)run->batch_tasks * sizeof *run->drawn);
	run->groups = malloc((size_t)run->batch_tasks * sizeof *run->groups);
	run->part_groups = malloc((size_t)run->batch_tasks * sizeof *run->part_groups);
	run->order_of = -1;
	if (options->each_once)
		run->order = malloc(most_examples(&run->dataset) * sizeof *run->order);
	if (run->deck.order == NULL || run->drawn == NULL || run->groups == NULL ||
	    run->part_groups == NULL || (options->each_once && run->order == NULL))
		return t2l_fail(err, T2L_ENOMEM, "training: out of memory");
	return T2L_OK;
}

void
task_run_close(struct task_run *run)
{
	example_release(&run->with_description);
	batch_release(&run->batch);
	batch_release(&run->part);
	dataset_release(&run->dataset);
	prepared_close(run->prepared);
	free(run->part_groups);
	free(run->order);
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

/* The task's example NUMBER (from 0, counted over the whole run) when each is dealt once a round.
 */
static size_t
deal_example(struct task_run *run, uint64_t seed, const struct task_data *data, int64_t number)
{
	int64_t task = data - run->dataset.tasks, n = (int64_t)data->n, round = number / n;

	if (run->order_of != task || run->order_round != round) {
		struct random random = random_at(
		    seed, STREAM_EXAMPLES, (uint64_t)(round * (int64_t)run->dataset.n + task));

		random_permutation(&random, run->order, (int32_t)n);
		run->order_of = task;
		run->order_round = round;
	}
	return (size_t)run->order[number % n];
}

/* The example as it goes into the batch: as it stands, or made anew with a description before it.
 */
static enum t2l_status
choose_example(struct task_run *run, const struct t2l_train_options *options,
    const struct task_data *data, struct random *random, int64_t number,
    const struct example **chosen, struct t2l_error *err)
{
	size_t index = options->each_once ? deal_example(run, options->seed, data, number)
					  : (size_t)random_below(random, data->n);
	const struct t2l_suite_example *pair;
	const struct t2l_suite_tier *tier;

	*chosen = &data->examples[index];
	if (!options->description_in_prompt)
		return T2L_OK;
	tier = t2l_suite_tier(data->task, "train");
	if (tier == NULL || tier->n == 0)
		return t2l_fail(err, T2L_EFORMAT,
		    "task '%s' has no descriptions of the tier 'train'", data->task->id);
	if (data->task->examples == NULL)
		return t2l_fail(err, T2L_EINVAL,
		    "description_in_prompt wants the suite itself, not prepared tokens");
	pair = &data->task->examples[data->examples[index].source];
	if (pair->messages != NULL)
		return t2l_fail(err, T2L_EUNSUPPORTED,
		    "task '%s': a description goes before a prompt, not into a conversation",
		    data->task->id);
	example_release(&run->with_description);
	*chosen = &run->with_description;
	return example_make(&run->form, tier->texts[random_below(random, tier->n)], pair->prompt,
	    pair->response, true, &run->with_description, err);
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
	/* How many of this task were dealt before: each round of the deck deals every task once. */
	int64_t number =
	    (step * run->batch_tasks + slot) / (int64_t)run->dataset.n * options->batch_points;
	enum t2l_status status;

	for (int point = 0; point < options->batch_points; point++) {
		const struct example *example;

		status = choose_example(run, options, data, &random, number + point, &example, err);
		if (status != T2L_OK)
			return status;
		status =
		    batch_add_response(&run->batch, example->ids, example->n, example->n_prompt,
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

/* NEFTune's bound, alpha / sqrt(T * hidden size): the reference pads to a multiple of 8, and T is
 * that length. */
static void
set_noise(struct task_run *run, const struct t2l_train_options *options, int64_t step)
{
	double length = (double)((batch_longest_sequence(&run->batch) + 1 + 7) / 8 * 8);
	double hidden = run->base->decoder.config.hidden_size;
	struct random random = random_at(options->seed, STREAM_NOISE, (uint64_t)step);

	run->batch.noise =
	    options->neftune_alpha > 0 ? options->neftune_alpha / (float)sqrt(length * hidden) : 0;
	run->batch.noise_seed = random_next(&random);
	run->batch.noise_first = 0;
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
	set_noise(run, options, step);
	run->batch.recompute = options->recompute;
	run->batch.chunk_rows = decoder_chunk_rows(&run->base->decoder.config, options->recompute);
	return T2L_OK;
}

/* ---- parts of a step ---- */

enum t2l_status
task_run_take(struct task_run *run, struct trainer_part part, bool by_examples,
    struct task_part *taken, struct t2l_error *err)
{
	int64_t n = by_examples ? batch_n_sequences(&run->batch) : run->batch_tasks;
	int64_t first = part.index * n / part.count, end = (part.index + 1) * n / part.count;
	int64_t row_begin, row_end;
	enum t2l_status status;

	*taken = (struct task_part){ .batch = &run->batch,
		.groups = run->groups,
		.n_groups = (size_t)run->batch_tasks,
		.n_slots = run->batch_tasks,
		.share = (double)(end - first) / (double)n };
	if (part.count == 1)
		return T2L_OK;
	row_begin = by_examples	  ? batch_sequence(&run->batch, first)
		    : first < end ? run->groups[first].row_begin
				  : 0;
	row_end = by_examples	? batch_sequence(&run->batch, end)
		  : first < end ? run->groups[end - 1].row_begin + run->groups[end - 1].row_count
				: 0;
	status = batch_take(&run->part, &run->batch, row_begin, row_end, err);
	if (status != T2L_OK)
		return status;
	taken->batch = &run->part;
	taken->groups = run->part_groups;
	taken->n_groups = 0;
	taken->n_slots = 0;
	for (int slot = 0; slot < run->batch_tasks; slot++) {
		int64_t begin = run->groups[slot].row_begin;
		int64_t stop = begin + run->groups[slot].row_count;

		if (stop <= row_begin || begin >= row_end)
			continue;
		if (taken->n_slots++ == 0)
			taken->first_slot = slot;
		begin = begin > row_begin ? begin : row_begin;
		stop = stop < row_end ? stop : row_end;
		run->part_groups[taken->n_groups++] = (struct task_rows){ begin - row_begin,
			stop - begin, run->groups[slot].adapter };
	}
	return T2L_OK;
}

/* ---- validation ---- */

static int64_t
rounds_of(const struct task_run *run, const struct t2l_train_options *options)
{
	size_t most = 0;

	for (size_t i = 0; i < run->dataset.n; i++)
		if (run->dataset.tasks[i].n_held > most)
			most = run->dataset.tasks[i].n_held;
	return ((int64_t)most + options->batch_points - 1) / options->batch_points;
}

int64_t
task_run_n_chunks(const struct task_run *run, const struct t2l_train_options *options)
{
	int64_t n = ((int64_t)run->dataset.n + run->batch_tasks - 1) / run->batch_tasks;

	return n * rounds_of(run, options);
}

enum t2l_status
task_run_held_out(struct task_run *run, const struct t2l_train_options *options, int64_t chunk,
    int64_t *n_examples, struct t2l_error *err)
{
	int64_t rounds = rounds_of(run, options);
	int64_t first_task = chunk / rounds * run->batch_tasks;
	size_t first = (size_t)(chunk % rounds * options->batch_points);

	*n_examples = 0;
	batch_reset(&run->batch);
	run->batch.noise = 0;
	run->batch.recompute = false;
	run->batch.chunk_rows = decoder_chunk_rows(&run->base->decoder.config, true);
	for (int slot = 0; slot < run->batch_tasks; slot++) {
		/* The last chunk is filled up with the first tasks, which then have no rows in it.
		 */
		int64_t task = first_task + slot;
		const struct task_data *data = &run->dataset.tasks[task % (int64_t)run->dataset.n];
		int64_t row_begin = run->batch.n_rows;
		size_t n = task < (int64_t)run->dataset.n ? data->n_held : 0;

		for (size_t i = first; i < n && i < first + (size_t)options->batch_points; i++) {
			const struct example *example = &data->examples[data->n + i];
			enum t2l_status status = batch_add_response(&run->batch, example->ids,
			    example->n, example->n_prompt,
			    1.0f / (float)(example->n - example->n_prompt), err);

			if (status != T2L_OK)
				return status;
			++*n_examples;
		}
		run->drawn[slot] = task % (int64_t)run->dataset.n;
		run->groups[slot] =
		    (struct task_rows){ row_begin, run->batch.n_rows - row_begin, slot };
	}
	return T2L_OK;
}

/* ---- sizes ---- */

int64_t
task_run_steps_per_epoch(const struct task_run *run, const struct t2l_train_options *options)
{
	int64_t n = (int64_t)run->dataset.n, per_step = run->batch_tasks;

	if (n == 1) {
		n = (int64_t)run->dataset.tasks[0].n;
		per_step = options->batch_points;
	}
	return (n + per_step - 1) / per_step;
}

#define STEPS_LOOKED_AT 16

enum t2l_status
task_run_estimate(struct task_run *run, const struct t2l_train_options *options, int n_parts,
    struct t2l_train_estimate *estimate, struct t2l_error *err)
{
	int64_t rows = 0, outputs = 0, longest = 0, n;

	for (int64_t step = 0; step < STEPS_LOOKED_AT && step < options->steps; step++) {
		enum t2l_status status = task_run_fill(run, options, step, err);

		if (status != T2L_OK)
			return status;
		rows = run->batch.n_rows > rows ? run->batch.n_rows : rows;
		outputs = run->batch.n_outputs > outputs ? run->batch.n_outputs : outputs;
		n = batch_longest_sequence(&run->batch);
		longest = n > longest ? n : longest;
	}
	/* Parts are of whole tasks or examples: not all alike. */
	rows = n_parts > 1 ? rows / n_parts + longest : rows;
	outputs = n_parts > 1 ? outputs / n_parts + longest : outputs;
	n = batch_longest_chunk(rows, run->batch.chunk_rows, longest);
	outputs = outputs * n / (rows > 0 ? rows : 1);
	rows = n;
	frozen_base_estimate(run->base, run->base_mapped_bytes, estimate);
	estimate->activations +=
	    decoder_training_bytes(&run->base->decoder.config, rows, outputs, options->recompute);
	/* Opened, all of the file may be in memory, also what is kept smaller then. */
	estimate->total = run->base->facts.weight_bytes;
	return T2L_OK;
}
