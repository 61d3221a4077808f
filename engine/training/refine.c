/* refine.c - few examples of a task: how well adapters fit them, and an adapter brought nearer to
 * them. */

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "engine/adapters/lora-table.h"
#include "engine/engine.h"
#include "engine/error.h"
#include "engine/inference/base-order.h"
#include "engine/models/model.h"
#include "engine/training/lora-parameters.h"
#include "engine/training/optimiser.h"
#include "engine/training/random.h"

#define ROWS_AT_ONCE 1024 /* bounds the memory of scoring */

/* ---- examples as tokens ---- */

struct examples {
	struct example *items;
	size_t n;
};

static void
examples_release(struct examples *examples)
{
	for (size_t i = 0; i < examples->n; i++)
		example_release(&examples->items[i]);
	free(examples->items);
}

static enum t2l_status
examples_make(const struct base_model *base, const struct t2l_suite_example *pairs, size_t n,
    struct examples *examples, struct t2l_error *err)
{
	const struct length_rule length = { base->facts.context_length, true };
	struct text_form form;
	enum t2l_status status;

	*examples = (struct examples){ 0 };
	status = text_form_make(base->tokenizer, base->chat_template, base->facts.name, &form, err);
	if (status != T2L_OK)
		return status;
	examples->items = calloc(n + 1, sizeof *examples->items);
	if (examples->items == NULL)
		return t2l_fail(err, T2L_ENOMEM, "examples: out of memory");
	for (size_t i = 0; i < n; i++) {
		status = example_from_suite(&form, &pairs[i], true, &examples->items[i], err);
		if (status == T2L_OK) {
			examples->n++;
			status = example_fit(&examples->items[i], &length, err);
		}
		if (status != T2L_OK)
			return t2l_context(err, "example %zu", i + 1);
	}
	return T2L_OK;
}

/* Examples FROM .. as many as fit into a batch; each weighs WEIGHT. -> how many. */
static size_t
fill(struct batch *batch, const struct examples *examples, size_t from, size_t to, float weight,
    enum t2l_status *status, struct t2l_error *err)
{
	size_t n = 0;

	batch_reset(batch);
	while (from + n < to && *status == T2L_OK &&
	       (n == 0 || batch->n_rows + examples->items[from + n].n <= ROWS_AT_ONCE)) {
		const struct example *example = &examples->items[from + n++];

		*status = batch_add_response(batch, example->ids, example->n, example->n_prompt,
		    weight / (float)(example->n - example->n_prompt), err);
	}
	return n;
}

/* ---- scoring ---- */

static enum t2l_status
score_adapter(struct t2l_model *model, struct ops *ops, const struct t2l_adapter *adapter,
    const struct examples *examples, double *loss, struct t2l_error *err)
{
	const struct decoder *decoder = &model->base->decoder;
	struct t2l_adapter *ordered = NULL;
	struct batch batch = { 0 };
	enum t2l_status status = T2L_OK;

	if (adapter != NULL)
		status = adapter_in_base_order(adapter, &decoder->config, &ordered, err);
	*loss = 0;
	for (size_t i = 0, n; i < examples->n && status == T2L_OK; i += n) {
		const struct t2l_adapter *const one[] = { ordered };
		const float weight = 1;
		struct lora_rows group = { .adapters = one, .weights = &weight, .n_adapters = 1 };
		struct lora_table *table = NULL;
		struct tensor *value;

		n = fill(&batch, examples, i, examples->n, 1.0F / (float)examples->n, &status, err);
		if (status != T2L_OK)
			break;
		ops_reset(ops);
		group.row_count = batch.n_rows;
		if (ordered != NULL)
			table =
			    lora_table_make(ops_arena(ops), decoder->config.n_layers, &group, 1);
		engine_lock(model->engine);
		value = ordered != NULL && table == NULL
			    ? NULL
			    : batch_loss(ops, decoder, &batch, table, 0);
		engine_unlock(model->engine);
		if (value != NULL)
			*loss += (double)tensor_f32(value)[0];
		else if ((status = ops_status(ops, err)) == T2L_OK)
			status = t2l_fail(err, T2L_ENOMEM, "examples: out of memory");
	}
	batch_release(&batch);
	t2l_adapter_close(ordered);
	return status;
}

enum t2l_status
t2l_examples_loss(struct t2l_model *model, const struct t2l_adapter *const *adapters,
    size_t n_adapters, const struct t2l_suite_example *pairs, size_t n_pairs, double *losses,
    struct t2l_error *err)
{
	struct ops *ops = ops_create(engine_backend(model->engine));
	struct examples examples = { 0 };
	enum t2l_status status;

	if (ops == NULL)
		return t2l_fail(err, T2L_ENOMEM, "examples: out of memory");
	if (n_pairs == 0)
		status = t2l_fail(err, T2L_EINVAL, "examples: there is none");
	else
		status = examples_make(model->base, pairs, n_pairs, &examples, err);
	for (size_t i = 0; i < n_adapters && status == T2L_OK; i++)
		status = score_adapter(model, ops, adapters[i], &examples, &losses[i], err);
	examples_release(&examples);
	ops_free(ops);
	return status;
}

/* ---- refining ---- */

void
t2l_refine_defaults(struct t2l_refine_options *options)
{
	*options = (struct t2l_refine_options){
		.steps = 20,
		.learning_rate = 3e-3F,
		.batch = 8,
		.held_out = 0.25F,
		.seed = 1,
		.modules = "q_proj,v_proj",
		.rank = 8,
		.lora_alpha = 16,
		.use_rslora = true,
	};
}

struct refinement {
	struct t2l_model *model;
	const struct t2l_refine_options *options;
	struct ops *ops;
	struct examples examples; /* those held out stand last */
	size_t n_train;
	struct lora_parameters lora;
	struct parameter_set set;
	struct batch batch;
	struct deck deck;
	float *best; /* the parameters with the least held-out loss */
	int64_t n_numbers, best_step;
	double best_loss;
};

static enum t2l_status
check(const struct t2l_refine_options *o, size_t n, struct t2l_error *err)
{
	if (n < 2)
		return t2l_fail(err, T2L_EINVAL,
		    "refine: at least two examples are wanted, one of them to measure the gain");
	if (o->steps < 1 || o->batch < 1 || !(o->learning_rate > 0 && o->learning_rate <= 100) ||
	    !(o->held_out > 0 && o->held_out < 1) || o->rank < 1 || o->rank > 256)
		return t2l_fail(err, T2L_EINVAL,
		    "refine: steps %lld, batch %d, learning rate %g, held out %g or rank %d is out "
		    "of its range",
		    (long long)o->steps, o->batch, (double)o->learning_rate, (double)o->held_out,
		    o->rank);
	return T2L_OK;
}

static enum t2l_status
take_examples(
    struct refinement *run, const struct t2l_suite_example *pairs, size_t n, struct t2l_error *err)
{
	struct random random = random_at(run->options->seed, STREAM_HELD_OUT, 0);
	size_t n_held = (size_t)((double)run->options->held_out * (double)n + 0.5);
	enum t2l_status status = examples_make(run->model->base, pairs, n, &run->examples, err);

	if (status != T2L_OK)
		return status;
	n_held = n_held == 0 ? 1 : n_held >= n ? n - 1 : n_held;
	run->n_train = n;
	for (; n_held > 0; n_held--) {
		size_t at = (size_t)random_below(&random, run->n_train--);
		struct example taken = run->examples.items[at];

		run->examples.items[at] = run->examples.items[run->n_train];
		run->examples.items[run->n_train] = taken;
	}
	run->deck = (struct deck){ (int32_t)run->n_train, -1,
		malloc(run->n_train * sizeof *run->deck.order) };
	return run->deck.order != NULL ? T2L_OK
				       : t2l_fail(err, T2L_ENOMEM, "refine: out of memory");
}

static enum t2l_status
make_parameters(struct refinement *run, const struct t2l_adapter *first, struct t2l_error *err)
{
	const struct t2l_refine_options *options = run->options;
	const struct decoder_config *base = &run->model->base->decoder.config;
	struct lora_shape shape = { .rank = options->rank,
		.lora_alpha = options->lora_alpha,
		.use_rslora = options->use_rslora };
	struct t2l_adapter *ordered = NULL;
	bool flags[N_MODULES] = { false };
	const char *bad;
	enum t2l_status status = T2L_OK;

	if (first != NULL) {
		status = adapter_in_base_order(first, base, &ordered, err);
		if (status == T2L_OK)
			status = lora_shape_of(ordered, base, &shape, err);
	} else if (!module_set_parse(options->modules, flags, &bad)) {
		status = t2l_fail(err, T2L_EINVAL, "refine: '%s' is no module of this base", bad);
	}
	for (int module = 0; first == NULL && module < N_MODULES; module++)
		if (flags[module])
			shape.modules[shape.n_modules++] = (enum module)module;
	if (status == T2L_OK)
		status = lora_parameters_make(&run->lora, &shape, base, 1, options->seed, err);
	if (status == T2L_OK && ordered != NULL)
		lora_parameters_take(&run->lora, 0, ordered);
	t2l_adapter_close(ordered);
	if (status == T2L_OK)
		status = lora_parameters_add(&run->lora, &run->set, err);
	if (status == T2L_OK)
		status = parameter_set_allocate(&run->set, err);
	if (status != T2L_OK)
		return status;
	run->n_numbers = run->set.n_numbers;
	run->best = malloc((size_t)run->n_numbers * sizeof *run->best);
	return run->best != NULL ? T2L_OK : t2l_fail(err, T2L_ENOMEM, "refine: out of memory");
}

static struct tensor *
loss_of_batch(struct refinement *run)
{
	struct task_rows all = { 0, run->batch.n_rows, 0 };

	return task_batch_loss(
	    run->ops, &run->model->base->decoder, &run->batch, &run->lora.stack, &all, 1, 0, 0);
}

/* The held-out loss; the best parameters are kept. */
static enum t2l_status
evaluate(struct refinement *run, int64_t step, double *loss, struct t2l_error *err)
{
	size_t n_held = run->examples.n - run->n_train;
	enum t2l_status status = T2L_OK;

	ops_record(run->ops, false);
	*loss = 0;
	for (size_t i = run->n_train, n; i < run->examples.n && status == T2L_OK; i += n) {
		struct tensor *value;

		n = fill(&run->batch, &run->examples, i, run->examples.n, 1.0F / (float)n_held,
		    &status, err);
		if (status != T2L_OK)
			break;
		ops_reset(run->ops);
		value = loss_of_batch(run);
		if (value == NULL)
			return ops_status(run->ops, err);
		*loss += (double)tensor_f32(value)[0];
	}
	if (status == T2L_OK && *loss < run->best_loss) {
		run->best_loss = *loss;
		run->best_step = step;
		memcpy(run->best, run->lora.memory, (size_t)run->n_numbers * sizeof *run->best);
	}
	return status;
}

static enum t2l_status
run_step(struct refinement *run, int64_t step, double *loss, struct t2l_error *err)
{
	const struct t2l_refine_options *options = run->options;
	const struct backend *backend = ops_backend(run->ops);
	struct t2l_train_options train;
	struct tensor *value;
	enum t2l_status status = T2L_OK;

	t2l_train_defaults(&train);
	train.steps = options->steps;
	train.learning_rate = options->learning_rate;
	train.warmup_steps = 0;
	batch_reset(&run->batch);
	for (int i = 0; i < options->batch && status == T2L_OK; i++) {
		const struct example *example = &run->examples.items[deck_deal(
		    &run->deck, options->seed + STREAM_REFINE, step * options->batch + i)];

		status =
		    batch_add_response(&run->batch, example->ids, example->n, example->n_prompt,
			1.0F / (float)((example->n - example->n_prompt) * options->batch), err);
	}
	if (status != T2L_OK)
		return status;
	ops_reset(run->ops);
	ops_record(run->ops, true);
	parameter_set_zero_gradients(&run->set);
	value = loss_of_batch(run);
	if (value == NULL)
		return ops_status(run->ops, err);
	*loss = (double)tensor_f32(value)[0];
	if (!isfinite(*loss))
		return t2l_fail(
		    err, T2L_EINVAL, "refine: the loss is not finite; use a lower learning rate");
	status = ops_backward(run->ops, value, 1, err);
	return status == T2L_OK ? optimiser_step(backend, &run->set, &train, step,
				      gradient_norm(backend, &run->set), err)
				: status;
}

static enum t2l_status
run_steps(struct refinement *run, struct t2l_refine_report *report, struct t2l_error *err)
{
	const struct t2l_refine_options *options = run->options;
	enum t2l_status status;
	bool go_on = true;

	run->best_loss = (double)INFINITY;
	engine_lock(run->model->engine);
	status = evaluate(run, 0, &report->loss_before, err);
	engine_unlock(run->model->engine);
	for (int64_t step = 0; step < options->steps && status == T2L_OK && go_on; step++) {
		int64_t done = step + 1;
		double loss = 0, held_out = (double)NAN;

		engine_lock(run->model->engine);
		status = run_step(run, step, &loss, err);
		if (status == T2L_OK &&
		    (done == options->steps ||
			(options->evaluate_every > 0 && done % options->evaluate_every == 0)))
			status = evaluate(run, done, &held_out, err);
		engine_unlock(run->model->engine);
		if (status == T2L_OK && options->on_step != NULL)
			go_on = options->on_step(options->user, done, loss, held_out);
	}
	if (isfinite(run->best_loss))
		memcpy(
		    run->lora.memory, run->best, (size_t)run->n_numbers * sizeof *run->best);
	report->steps = run->best_step;
	report->loss_after = run->best_loss;
	report->n_trained = run->n_train;
	report->n_held_out = run->examples.n - run->n_train;
	return status;
}

/* The result's labels: those of FIRST, with FIRST as its parent. */
static enum t2l_status
make_adapter(const struct refinement *run, const struct t2l_adapter *first,
    struct t2l_adapter **out, struct t2l_error *err)
{
	const struct base_model *base = run->model->base;
	struct adapter_labels labels = { .base_name = base->facts.name,
		.base_fingerprint = base->facts.fingerprint };
	struct buffer lineage = { 0 };
	enum t2l_status status;

	if (first != NULL) {
		labels.name = first->facts.name;
		labels.task = first->facts.task;
		labels.hypernet = first->facts.hypernet;
		labels.encoder = first->facts.encoder;
		buffer_printf(
		    &lineage, "[{\"hash\":\"%s\",\"name\":\"\",\"weight\":1}]", first->facts.hash);
		labels.lineage = buffer_string(&lineage);
	}
	status = lora_parameters_adapter(&run->lora, 0, &labels, out, err);
	buffer_free(&lineage);
	return status;
}

enum t2l_status
t2l_refine(struct t2l_model *model, const struct t2l_adapter *first,
    const struct t2l_suite_example *examples, size_t n, const struct t2l_refine_options *options,
    struct t2l_adapter **out, struct t2l_refine_report *report, struct t2l_error *err)
{
	struct refinement run = { .model = model, .options = options };
	struct t2l_refine_report own;
	enum t2l_status status = check(options, n, err);

	if (status != T2L_OK)
		return status;
	run.ops = ops_create(engine_backend(model->engine));
	if (run.ops == NULL)
		return t2l_fail(err, T2L_ENOMEM, "refine: out of memory");
	if ((status = take_examples(&run, examples, n, err)) == T2L_OK &&
	    (status = make_parameters(&run, first, err)) == T2L_OK &&
	    (status = run_steps(&run, report != NULL ? report : &own, err)) == T2L_OK)
		status = make_adapter(&run, first, out, err);
	parameter_set_release(&run.set);
	lora_parameters_release(&run.lora);
	batch_release(&run.batch);
	examples_release(&run.examples);
	free(run.deck.order);
	free(run.best);
	ops_free(run.ops);
	return status == T2L_OK ? T2L_OK : t2l_context(err, "refine");
}
