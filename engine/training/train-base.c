/*
 * train-base.c - pre-trains a small decoder on rows of examples of one task each.
 *
 * A row is BOS and examples of ONE task, drawn until the row is full, with no description anywhere:
 * the model learns what the tasks are and to read from the row which one is meant. Every response
 * counts, that of the first example too, which makes the model a mixture of its tasks when asked
 * without examples.
 */

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/atomic-file.h"
#include "base/file.h"
#include "engine/error.h"
#include "engine/models/decoder-weights.h"
#include "engine/text/chat-template.h"
#include "engine/text/tokenizer.h"
#include "engine/training/batch.h"
#include "engine/training/dataset.h"
#include "engine/training/memory.h"
#include "engine/training/random.h"
#include "engine/training/trainer.h"

#define MAX_TOKENIZER_FILE ((size_t)64 << 20)

/* Embedding and final norm, then two norms and the modules of each layer. */
#define TENSORS_PER_LAYER (2 + MODULE_DOWN + 1)

struct base_run {
	struct t2l_suite *suite;
	struct tokenizer *tokenizer;
	struct chat_template *chat_template;
	struct text_form form;
	struct dataset dataset;
	double *cumulative; /* [tasks] sums of weights, to draw by */
	struct batch batch, part;
	int32_t *row_ids, *row_labels; /* [row_tokens] */
	struct decoder decoder;
	struct tensor *tensors;
	float *memory;
};

/* ---- the decoder ---- */

static void
configure(struct base_run *run, const struct t2l_train_options *options)
{
	struct decoder_config *config = &run->decoder.config;
	size_t n_eos;
	const int32_t *eos = tokenizer_eos(run->tokenizer, &n_eos);

	*config = (struct decoder_config){
		.kind = architecture_by_name("llama"),
		.n_layers = options->n_layers,
		.hidden_size = options->hidden_size,
		.n_heads = options->n_heads,
		.n_kv_heads = options->n_kv_heads,
		.head_dim = options->n_heads > 0 ? options->hidden_size / options->n_heads : 0,
		.ffn_size = options->ffn_size,
		.vocab_size = (int)tokenizer_n_tokens(run->tokenizer),
		.context_length = options->context_length,
		.norm_epsilon = 1e-5f,
		.activation = ACTIVATION_SILU,
		.rope.theta = (double)options->rope_theta,
		.tied_embeddings = true,
		.bos_id = tokenizer_bos(run->tokenizer),
	};
	for (size_t i = 0; i < n_eos && i < DECODER_MAX_EOS; i++)
		config->eos_ids[config->n_eos++] = eos[i];
}

/* Normal with the spread that keeps activations at one size; norms 1. */
static void
initialise(struct tensor *tensor, double deviation, struct random *random)
{
	float *values = tensor_f32(tensor);

	for (int64_t i = 0; i < tensor_count(tensor); i++)
		values[i] = deviation > 0 ? (float)(deviation * random_normal(random)) : 1.0f;
}

/* One tensor of the decoder: made, initialised, named in the parameter set. */
static enum t2l_status
make_tensor(struct trainer *trainer, struct tensor *tensor, const char *name, int64_t rows,
    int64_t cols, float **memory, double deviation, bool hidden, struct t2l_error *err)
{
	struct random random =
	    random_at(trainer->options->seed, STREAM_INITIAL, trainer->parameters.n);

	*tensor = (struct tensor){ .dtype = DTYPE_F32,
		.n_dims = rows > 0 ? 2 : 1,
		.shape = { rows > 0 ? rows : cols, cols },
		.data = *memory };
	*memory += tensor_count(tensor);
	initialise(tensor, deviation, &random);
	return parameter_set_add(
	    &trainer->parameters, name, tensor, trainer_rule(trainer, hidden), err);
}

static int64_t
count_numbers(const struct decoder_config *config)
{
	int64_t layer = 2 * (int64_t)config->hidden_size;

	for (int m = 0; m <= MODULE_DOWN; m++)
		layer += decoder_module_in(config, (enum module)m) *
			 decoder_module_out(config, (enum module)m);
	return (int64_t)(config->vocab_size + 1) * config->hidden_size + config->n_layers * layer;
}

static enum t2l_status
make_layer(struct trainer *trainer, struct base_run *run, int number, struct tensor *tensors,
    float **memory, struct t2l_error *err)
{
	const struct decoder_config *config = &run->decoder.config;
	struct decoder_layer *layer = &run->decoder.layers[number];
	static const char *const norms[2] = { "input_layernorm", "post_attention_layernorm" };
	enum t2l_status status = T2L_OK;
	char name[128];

	for (int i = 0; i < 2 && status == T2L_OK; i++) {
		snprintf(name, sizeof name, "model.layers.%d.%s.weight", number, norms[i]);
		layer->norms[i ? NORM_MLP : NORM_ATTENTION].weight = &tensors[i];
		status = make_tensor(
		    trainer, &tensors[i], name, 0, config->hidden_size, memory, 0, false, err);
	}
	for (int m = 0; m <= MODULE_DOWN && status == T2L_OK; m++) {
		int64_t in = decoder_module_in(config, (enum module)m);
		/* What is added to the residual starts smaller, by the number of such additions. */
		bool residual = m == MODULE_O || m == MODULE_DOWN;
		double deviation = 1 / sqrt((residual ? 2.0 * config->n_layers : 1.0) * (double)in);

		decoder_weight_name(&decoder_names_hf, number, (enum module)m, MODULE_NO_EXPERT,
		    ".weight", name, sizeof name);
		layer->weight[m] = &tensors[2 + m];
		status = make_tensor(trainer, layer->weight[m], name,
		    decoder_module_out(config, (enum module)m), in, memory, deviation, true, err);
	}
	return status;
}

static enum t2l_status
make_decoder(struct trainer *trainer, struct base_run *run, struct t2l_error *err)
{
	struct decoder *decoder = &run->decoder;
	const struct decoder_config *config = &decoder->config;
	enum t2l_status status = decoder_prepare(decoder, err);
	float *memory;

	if (status != T2L_OK)
		return status;
	run->tensors =
	    calloc((size_t)(2 + config->n_layers * TENSORS_PER_LAYER), sizeof *run->tensors);
	run->memory = memory = malloc((size_t)count_numbers(config) * sizeof *memory);
	if (run->tensors == NULL || memory == NULL)
		return t2l_fail(err, T2L_ENOMEM, "training: out of memory");
	decoder->embedding = decoder->head = &run->tensors[0];
	decoder->final_norm.weight = &run->tensors[1];
	if ((status = make_tensor(trainer, decoder->embedding, "model.embed_tokens.weight",
		 config->vocab_size, config->hidden_size, &memory, 0.02, false, err)) != T2L_OK ||
	    (status = make_tensor(trainer, decoder->final_norm.weight, "model.norm.weight", 0,
		 config->hidden_size, &memory, 0, false, err)) != T2L_OK)
		return status;
	for (int i = 0; i < config->n_layers && status == T2L_OK; i++)
		status = make_layer(
		    trainer, run, i, run->tensors + 2 + i * TENSORS_PER_LAYER, &memory, err);
	return status;
}

/* ---- the rows ---- */

static enum t2l_status
open_texts(struct base_run *run, const struct t2l_train_options *options, struct t2l_error *err)
{
	const struct length_rule length = { options->row_tokens, options->max_tokens > 0 };
	const char *source;
	enum t2l_status status;

	if ((status = t2l_suite_open(options->suite, &run->suite, err)) != T2L_OK ||
	    (status = tokenizer_open_hf(options->tokenizer, &run->tokenizer, err)) != T2L_OK)
		return status;
	source = tokenizer_chat_template(run->tokenizer);
	if (source != NULL)
		status = chat_template_parse(
		    source, strlen(source), options->tokenizer, &run->chat_template, err);
	if (status == T2L_OK)
		status = text_form_make(
		    run->tokenizer, run->chat_template, options->tokenizer, &run->form, err);
	if (status == T2L_OK)
		status = dataset_make(run->suite, options->tasks, DATASET_PRETRAIN, &run->form,
		    &length, &run->dataset, err);
	return status;
}

static enum t2l_status
make_rows(struct base_run *run, const struct t2l_train_options *options, struct t2l_error *err)
{
	double sum = 0;

	run->cumulative = malloc(run->dataset.n * sizeof *run->cumulative);
	run->row_ids = malloc((size_t)options->row_tokens * sizeof *run->row_ids);
	run->row_labels = malloc((size_t)options->row_tokens * sizeof *run->row_labels);
	if (run->cumulative == NULL || run->row_ids == NULL || run->row_labels == NULL)
		return t2l_fail(err, T2L_ENOMEM, "training: out of memory");
	for (size_t i = 0; i < run->dataset.n; i++)
		run->cumulative[i] = sum += run->dataset.tasks[i].task->weight;
	if (!(sum > 0))
		return t2l_fail(err, T2L_EINVAL, "training: all tasks have weight 0");
	return T2L_OK;
}

static const struct task_data *
draw_task(const struct base_run *run, struct random *random)
{
	double at = random_uniform(random) * run->cumulative[run->dataset.n - 1];
	size_t i = 0;

	while (i + 1 < run->dataset.n && run->cumulative[i] <= at)
		i++;
	return &run->dataset.tasks[i];
}

/* BOS and examples of one task until the row is full; the last one is cut there. */
static enum t2l_status
add_row(struct base_run *run, const struct t2l_train_options *options, struct random *random,
    struct t2l_error *err)
{
	const struct task_data *data = draw_task(run, random);
	int32_t bos = tokenizer_bos(run->tokenizer);
	int n = 0;

	if (bos >= 0) {
		run->row_ids[n] = bos;
		run->row_labels[n++] = LABEL_IGNORED;
	}
	while (n < options->row_tokens) {
		const struct example *example = &data->examples[random_below(random, data->n)];
		int room = options->row_tokens - n;
		int take = example->n < room ? example->n : room;

		memcpy(run->row_ids + n, example->ids, (size_t)take * sizeof(int32_t));
		for (int i = 0; i < take; i++)
			run->row_labels[n + i] =
			    i < example->n_prompt ? LABEL_IGNORED : example->ids[i];
		n += take;
	}
	return batch_add(&run->batch, run->row_ids, run->row_labels, n, 1, err);
}

static struct tensor *
loss(struct trainer *trainer, int64_t step, struct trainer_part part, int64_t *n_tokens,
    struct t2l_error *err)
{
	struct base_run *run = trainer->run;
	const struct t2l_train_options *options = trainer->options;
	struct random random = random_at(options->seed, STREAM_ROWS, (uint64_t)step);
	const struct batch *batch = &run->batch;

	batch_reset(&run->batch);
	for (int i = 0; i < options->batch_tasks; i++)
		if (add_row(run, options, &random, err) != T2L_OK)
			return NULL;
	for (int64_t i = 0; i < run->batch.n_outputs; i++)
		run->batch.weights[i] = 1.0f / (float)run->batch.n_outputs;
	run->batch.recompute = options->recompute;
	run->batch.chunk_rows = decoder_chunk_rows(&run->decoder.config, options->recompute);
	if (part.count > 1) {
		int64_t n = options->batch_tasks;
		int64_t first = batch_sequence(&run->batch, part.index * n / part.count);
		int64_t end = batch_sequence(&run->batch, (part.index + 1) * n / part.count);

		if (batch_take(&run->part, &run->batch, first, end, err) != T2L_OK)
			return NULL;
		batch = &run->part;
	}
	*n_tokens = batch->n_rows;
	return batch_loss(trainer->ops, &run->decoder, batch, NULL, options->label_smoothing);
}

static int64_t
most_parts(const struct trainer *trainer)
{
	return trainer->options->batch_tasks;
}

static enum t2l_status
estimate(
    struct trainer *trainer, int n_parts, struct t2l_train_estimate *into, struct t2l_error *err)
{
	const struct base_run *run = trainer->run;
	int64_t n_rows = (trainer->options->batch_tasks + n_parts - 1) / n_parts;
	bool recompute = trainer->options->recompute;
	int64_t n = batch_longest_chunk(n_rows * trainer->options->row_tokens,
	    decoder_chunk_rows(&run->decoder.config, recompute), trainer->options->row_tokens);

	(void)err;
	into->activations +=
	    decoder_training_bytes(&run->decoder.config, n, n, recompute);
	return T2L_OK;
}

/* ---- open, save, close ---- */

static enum t2l_status
check(const struct t2l_train_options *options, struct t2l_error *err)
{
	if (options->suite == NULL)
		return t2l_fail(err, T2L_EINVAL, "this training wants examples (--dataset)");
	if (options->tokenizer == NULL)
		return t2l_fail(err, T2L_EINVAL,
		    "this training wants a directory with tokenizer.json ([data] tokenizer)");
	if (options->row_tokens < 8 || options->row_tokens > options->context_length)
		return t2l_fail(err, T2L_EINVAL,
		    "training: row_tokens = %d is not in 8 .. context_length (%d)",
		    options->row_tokens, options->context_length);
	return T2L_OK;
}

static enum t2l_status
open_base(struct trainer *trainer, struct t2l_error *err)
{
	struct base_run *run = calloc(1, sizeof *run);
	enum t2l_status status;

	if (run == NULL)
		return t2l_fail(err, T2L_ENOMEM, "training: out of memory");
	trainer->run = run;
	if ((status = check(trainer->options, err)) != T2L_OK ||
	    (status = open_texts(run, trainer->options, err)) != T2L_OK ||
	    (status = make_rows(run, trainer->options, err)) != T2L_OK)
		return status;
	configure(run, trainer->options);
	return make_decoder(trainer, run, err);
}

/* The files that make a tokenizer, from one directory to another; absent ones are left out. */
static enum t2l_status
copy_tokenizer(const char *from, const char *to, struct t2l_error *err)
{
	static const char *const names[] = { "tokenizer.json", "tokenizer_config.json",
		"special_tokens_map.json", "generation_config.json", "chat_template.jinja" };
	char source[4096], target[4096];

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		size_t n;
		char *bytes;
		int result;

		snprintf(source, sizeof source, "%s/%s", from, names[i]);
		snprintf(target, sizeof target, "%s/%s", to, names[i]);
		bytes = read_whole_file(source, MAX_TOKENIZER_FILE, &n);
		if (bytes == NULL && errno == ENOENT)
			continue;
		if (bytes == NULL)
			return t2l_fail_errno(err, "cannot read '%s'", source);
		result = atomic_write(target, bytes, n);
		free(bytes);
		if (result != 0)
			return t2l_fail_errno(err, "cannot write '%s'", target);
	}
	return T2L_OK;
}

static bool
makes_folder(const struct trainer *trainer)
{
	(void)trainer;
	return true;
}

static enum t2l_status
save(struct trainer *trainer, struct t2l_error *err)
{
	struct base_run *run = trainer->run;
	const struct t2l_train_options *options = trainer->options;
	enum dtype dtype;
	enum t2l_status status;

	if (!dtype_by_name(options->save_dtype, &dtype))
		return t2l_fail(
		    err, T2L_EINVAL, "training: unknown dtype '%s'", options->save_dtype);
	if (mkdir(options->output, 0777) != 0 && errno != EEXIST)
		return t2l_fail_errno(err, "cannot make the folder '%s'", options->output);
	status = copy_tokenizer(options->tokenizer, options->output, err);
	if (status == T2L_OK)
		status = decoder_save_hf(&run->decoder, options->output, dtype, err);
	return status;
}

static void
close_base(struct trainer *trainer)
{
	struct base_run *run = trainer->run;

	if (run == NULL)
		return;
	decoder_release(&run->decoder);
	batch_release(&run->batch);
	batch_release(&run->part);
	dataset_release(&run->dataset);
	if (run->chat_template != NULL)
		chat_template_close(run->chat_template);
	if (run->tokenizer != NULL)
		tokenizer_close(run->tokenizer);
	t2l_suite_close(run->suite);
	free(run->cumulative);
	free(run->row_ids);
	free(run->row_labels);
	free(run->tensors);
	free(run->memory);
	free(run);
}

const struct trainer_kind trainer_base = {
	.name = "base",
	.open = open_base,
	.loss = loss,
	.most_parts = most_parts,
	.estimate = estimate,
	.makes_folder = makes_folder,
	.save = save,
	.close = close_base,
};
