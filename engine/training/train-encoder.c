/*
 * train-encoder.c - distils a small task encoder from a large one (Hinton et al. 2015, on
 * embeddings).
 *
 * The student is BERT-shaped with a reduced vocabulary and a last linear layer into the teacher's
 * space; it learns to give each sentence the teacher's vector. Sentences: the suite's training
 * descriptions, and lines of a text file for the words that no description uses. Half of each batch
 * comes from each.
 */

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/atomic-file.h"
#include "base/buffer.h"
#include "base/file.h"
#include "engine/error.h"
#include "engine/hypernet/hypernet.h"
#include "engine/models/encoder.h"
#include "engine/text/tokenizer.h"
#include "engine/training/embeddings.h"
#include "engine/training/memory.h"
#include "engine/training/random.h"

#define MAX_TEXTS_BYTES ((size_t)256 << 20)
#define MAX_SENTENCES 2000000

struct sentence {
	char *text;
	int32_t *ids; /* by the student's tokenizer, cut to its limit */
	int32_t n;
};

struct encoder_run {
	struct text_encoder *teacher;
	struct tokenizer *tokenizer; /* the student's */
	char *vocabulary;	     /* vocab.txt */
	struct sentence *sentences;  /* first the descriptions, then the lines of texts */
	size_t n, n_descriptions, n_allocated;
	float *targets; /* [n, dimension], unit length */
	struct encoder_network network;
	struct tensor *tensors;
	int n_tensors;
	float *memory;
	/* a batch: */
	int32_t *ids, *begin;
	int64_t ids_allocated;
	float *batch_targets;
};

/* ---- sentences ---- */

static enum t2l_status
add_sentence(struct encoder_run *run, const char *text, struct t2l_error *err)
{
	char *prepared;
	enum t2l_status status = hypernet_prepare_description(text, &prepared, err);

	if (status != T2L_OK)
		return status;
	if (run->n == run->n_allocated) {
		size_t n = run->n_allocated ? 2 * run->n_allocated : 4096;
		struct sentence *sentences = realloc(run->sentences, n * sizeof *sentences);

		if (sentences == NULL || n > MAX_SENTENCES) {
			free(prepared);
			run->sentences = sentences ? sentences : run->sentences;
			return t2l_fail(err, T2L_ENOMEM, "training: too many sentences");
		}
		run->sentences = sentences;
		run->n_allocated = n;
	}
	run->sentences[run->n++] = (struct sentence){ .text = prepared };
	return T2L_OK;
}

static enum t2l_status
add_descriptions(
    struct encoder_run *run, const struct t2l_train_options *options, struct t2l_error *err)
{
	struct t2l_suite *suite;
	enum t2l_status status = t2l_suite_open(options->suite, &suite, err);

	if (status != T2L_OK)
		return status;
	for (size_t i = 0; i < t2l_suite_n_tasks(suite) && status == T2L_OK; i++) {
		const struct t2l_suite_task *task = t2l_suite_task(suite, i);
		const struct t2l_suite_tier *tier = t2l_suite_tier(task, "train");

		for (size_t j = 0; tier != NULL && task->train && j < tier->n && status == T2L_OK;
		     j++)
			status = add_sentence(run, tier->texts[j], err);
	}
	run->n_descriptions = run->n;
	t2l_suite_close(suite);
	if (status == T2L_OK && run->n == 0)
		status = t2l_fail(err, T2L_EFORMAT, "the suite has no training descriptions");
	return status;
}

static enum t2l_status
add_lines(struct encoder_run *run, const char *path, struct t2l_error *err)
{
	size_t n;
	char *text = read_whole_file(path, MAX_TEXTS_BYTES, &n), *rest;
	enum t2l_status status = T2L_OK;

	if (text == NULL)
		return t2l_fail_errno(err, "cannot read the sentences of '%s'", path);
	for (char *line = strtok_r(text, "\n", &rest); line != NULL && status == T2L_OK;
	     line = strtok_r(NULL, "\n", &rest))
		if (line[strspn(line, " \t\r")] != '\0')
			status = add_sentence(run, line, err);
	free(text);
	return status == T2L_OK ? T2L_OK : t2l_context(err, "'%s'", path);
}

/* ---- the vocabulary: the teacher's tokens that occur most, and every single character ---- */

struct token_count {
	int32_t id;
	int64_t count;
};

/* By count, then by id. */
static int
compare_counts(const void *a, const void *b)
{
	const struct token_count *x = a, *y = b;

	if (x->count != y->count)
		return x->count < y->count ? 1 : -1;
	return (x->id > y->id) - (x->id < y->id);
}

static int
compare_ids(const void *a, const void *b)
{
	const struct token_count *x = a, *y = b;

	return (x->id > y->id) - (x->id < y->id);
}

/* What must stay so that every word can still be spelled: special tokens and single ASCII
 * characters, alone and as continuations. */
static bool
is_needed(const struct tokenizer *tokenizer, int32_t id)
{
	const char *name = tokenizer_name(tokenizer, id);

	if (name == NULL)
		return false;
	if (tokenizer_is_special(tokenizer, id))
		return true;
	if (strncmp(name, "##", 2) == 0 && name[2] != '\0')
		name += 2;
	return name[0] > ' ' && name[1] == '\0';
}

static enum t2l_status
count_tokens(struct encoder_run *run, struct token_count *counts, struct t2l_error *err)
{
	const struct tokenizer *tokenizer = run->teacher->tokenizer;

	for (size_t i = 0; i < run->n; i++) {
		int32_t *ids;
		size_t n;
		enum t2l_status status = tokenizer_encode(tokenizer, run->sentences[i].text,
		    strlen(run->sentences[i].text), TOKENIZER_PLAIN, &ids, &n, err);

		if (status != T2L_OK)
			return status;
		for (size_t j = 0; j < n; j++)
			counts[ids[j]].count++;
		free(ids);
	}
	return T2L_OK;
}

/* Keeps the SIZE best of COUNTS [n] in the order of the teacher's ids: *kept_n of them stay in
 * front. */
static void
choose_tokens(const struct tokenizer *tokenizer, struct token_count *counts, size_t n, size_t size,
    size_t *kept_n)
{
	size_t kept;

	for (size_t i = 0; i < n; i++) {
		counts[i].id = (int32_t)i;
		if (is_needed(tokenizer, (int32_t)i))
			counts[i].count = INT64_MAX;
		else if (tokenizer_name(tokenizer, (int32_t)i) == NULL)
			counts[i].count = 0;
	}
	qsort(counts, n, sizeof *counts, compare_counts);
	for (kept = 0; kept < n && kept < size && counts[kept].count > 0; kept++)
		;
	qsort(counts, kept, sizeof *counts, compare_ids);
	*kept_n = kept;
}

static enum t2l_status
make_vocabulary(struct encoder_run *run, size_t size, int32_t **teacher_ids, size_t *n_kept,
    struct t2l_error *err)
{
	const struct tokenizer *teacher = run->teacher->tokenizer;
	size_t n = tokenizer_n_tokens(teacher);
	struct token_count *counts = calloc(n, sizeof *counts);
	struct buffer text = { 0 };
	enum t2l_status status;

	*teacher_ids = malloc(size * sizeof **teacher_ids);
	if (counts == NULL || *teacher_ids == NULL) {
		free(counts);
		return t2l_fail(err, T2L_ENOMEM, "training: out of memory");
	}
	status = count_tokens(run, counts, err);
	if (status == T2L_OK) {
		choose_tokens(teacher, counts, n, size, n_kept);
		for (size_t i = 0; i < *n_kept; i++) {
			(*teacher_ids)[i] = counts[i].id;
			buffer_printf(&text, "%s\n", tokenizer_name(teacher, counts[i].id));
		}
		run->vocabulary = buffer_take(&text);
		if (run->vocabulary == NULL)
			status = t2l_fail(err, T2L_ENOMEM, "training: out of memory");
	}
	free(counts);
	if (status == T2L_OK)
		status = tokenizer_read_wordpiece(run->vocabulary, strlen(run->vocabulary), true,
		    "vocab.txt", &run->tokenizer, err);
	return status;
}

static enum t2l_status
tokenise(struct encoder_run *run, int max_tokens, struct t2l_error *err)
{
	for (size_t i = 0; i < run->n; i++) {
		struct sentence *sentence = &run->sentences[i];
		size_t n;
		enum t2l_status status = tokenizer_encode(run->tokenizer, sentence->text,
		    strlen(sentence->text), TOKENIZER_ADD_SPECIAL, &sentence->ids, &n, err);

		if (status != T2L_OK)
			return status;
		sentence->n = (int32_t)tokenizer_truncate(
		    run->tokenizer, sentence->ids, n, (size_t)max_tokens);
	}
	return T2L_OK;
}

/* ---- the student ---- */

struct tensor_plan {
	struct tensor **slot;
	const char *name;
	int64_t rows, cols; /* rows 0: a vector */
	bool ones;	    /* weights of norms; vectors else start at 0 */
	bool hidden;	    /* in a layer */
};

static enum t2l_status
add_tensor(struct trainer *trainer, struct encoder_run *run, const struct tensor_plan *plan,
    float **memory, struct t2l_error *err)
{
	struct tensor *tensor = &run->tensors[run->n_tensors++];
	struct random random =
	    random_at(trainer->options->seed, STREAM_INITIAL, trainer->parameters.n);

	*tensor = (struct tensor){ .dtype = DTYPE_F32,
		.n_dims = plan->rows ? 2 : 1,
		.shape = { plan->rows ? plan->rows : plan->cols, plan->cols },
		.data = *memory };
	for (int64_t i = 0; i < tensor_count(tensor); i++)
		(*memory)[i] = plan->ones ? 1.0f
			       : plan->rows
				   ? (float)(random_normal(&random) / sqrt((double)plan->cols))
				   : 0.0f;
	*memory += tensor_count(tensor);
	*plan->slot = tensor;
	return parameter_set_add(&trainer->parameters, plan->name, tensor,
	    trainer_rule(trainer, plan->hidden && plan->rows > 0), err);
}

static enum t2l_status
make_layer(struct trainer *trainer, struct encoder_run *run, int number, float **memory,
    struct t2l_error *err)
{
	const struct encoder_config *config = &run->network.config;
	struct encoder_layer *layer = &run->network.layers[number];
	int64_t d = config->hidden_size, f = config->ffn_size;
	const struct tensor_plan plans[] = {
		{ &layer->q, "q", d, d, false },
		{ &layer->q_bias, "q_bias", 0, d, false },
		{ &layer->k, "k", d, d, false },
		{ &layer->k_bias, "k_bias", 0, d, false },
		{ &layer->v, "v", d, d, false },
		{ &layer->v_bias, "v_bias", 0, d, false },
		{ &layer->o, "o", d, d, false },
		{ &layer->o_bias, "o_bias", 0, d, false },
		{ &layer->attention_norm, "attention_norm", 0, d, true },
		{ &layer->attention_norm_bias, "attention_norm_bias", 0, d, false },
		{ &layer->up, "up", f, d, false },
		{ &layer->up_bias, "up_bias", 0, f, false },
		{ &layer->down, "down", d, f, false },
		{ &layer->down_bias, "down_bias", 0, d, false },
		{ &layer->mlp_norm, "mlp_norm", 0, d, true },
		{ &layer->mlp_norm_bias, "mlp_norm_bias", 0, d, false },
	};
	enum t2l_status status = T2L_OK;

	for (size_t i = 0; i < sizeof plans / sizeof plans[0] && status == T2L_OK; i++) {
		struct tensor_plan plan = plans[i];
		char name[64];

		snprintf(name, sizeof name, "layer.%d.%s", number, plans[i].name);
		plan.name = name;
		plan.hidden = true;
		status = add_tensor(trainer, run, &plan, memory, err);
	}
	return status;
}

/* Word vectors start as a random projection of the teacher's (Johnson & Lindenstrauss): near words
 * stay near. */
static void
project_words(struct encoder_run *run, const int32_t *teacher_ids, uint64_t seed)
{
	const struct tensor *from = run->teacher->network.word;
	int64_t rows = run->network.config.vocab_size, d = run->network.config.hidden_size;
	int64_t in = tensor_cols(from);
	size_t row_bytes = dtype_row_bytes(from->dtype, in);
	struct random random = random_at(seed, STREAM_INITIAL, UINT64_MAX);
	float *projection = malloc((size_t)(d + 1) * (size_t)in * sizeof *projection), *row;

	if (projection == NULL)
		return; /* they then start at random */
	row = projection + d * in;
	for (int64_t i = 0; i < d * in; i++)
		projection[i] = (float)(random_normal(&random) / sqrt((double)d));
	for (int64_t i = 0; i < rows; i++) {
		float *out = tensor_f32(run->network.word) + i * d;

		dtype_to_f32(from->dtype,
		    (const char *)from->data + (size_t)teacher_ids[i] * row_bytes, row, in);
		for (int64_t j = 0; j < d; j++) {
			out[j] = 0;
			for (int64_t k = 0; k < in; k++)
				out[j] += row[k] * projection[j * in + k];
		}
	}
	free(projection);
}

static enum t2l_status
make_student(
    struct trainer *trainer, struct encoder_run *run, size_t vocab_size, struct t2l_error *err)
{
	const struct t2l_train_options *options = trainer->options;
	struct encoder_network *network = &run->network;
	int64_t d = options->hidden_size, dimension = run->teacher->facts.dimension;
	int64_t v = (int64_t)vocab_size, positions = options->context_length;
	float *memory;

	if (options->n_layers < 1 || options->n_layers > 64 || options->n_heads < 1 || d < 1 ||
	    d > 8192 || d % options->n_heads != 0 || options->ffn_size < 1 ||
	    options->ffn_size > 65536 || positions < 8 || positions > 8192)
		return t2l_fail(err, T2L_EINVAL,
		    "training: an encoder with hidden_size %d, n_heads %d, n_layers %d, ffn_size "
		    "%d "
		    "can't be made (heads must divide hidden_size)",
		    options->hidden_size, options->n_heads, options->n_layers, options->ffn_size);
	network->config = (struct encoder_config){
		.n_layers = options->n_layers,
		.hidden_size = (int)d,
		.n_heads = options->n_heads,
		.ffn_size = options->ffn_size,
		.vocab_size = (int)v,
		.max_positions = (int)positions,
		.n_types = 1,
		.max_tokens = (int)positions,
		.norm_epsilon = 1e-12f,
		.activation = ACTIVATION_GELU,
		.pooling = POOLING_MEAN,
		.projection_size = (int)dimension,
	};
	int64_t n_layer = 4 * d * d + 2 * d * options->ffn_size + options->ffn_size + 9 * d;
	int64_t n = (v + positions + 1 + 2) * d + (d + 1) * dimension + options->n_layers * n_layer;

	network->layers = calloc((size_t)options->n_layers, sizeof *network->layers);
	run->tensors = calloc((size_t)(7 + 16 * options->n_layers), sizeof *run->tensors);
	run->memory = memory = malloc((size_t)n * sizeof *memory);
	if (network->layers == NULL || run->tensors == NULL || memory == NULL)
		return t2l_fail(err, T2L_ENOMEM, "training: out of memory");

	const struct tensor_plan plans[] = {
		{ &network->word, "word", v, d, false },
		{ &network->position, "position", positions, d, false },
		{ &network->type, "type", 1, d, false },
		{ &network->norm, "norm", 0, d, true },
		{ &network->norm_bias, "norm_bias", 0, d, false },
		{ &network->projection, "projection", dimension, d, false },
		{ &network->projection_bias, "projection_bias", 0, dimension, false },
	};
	enum t2l_status status = T2L_OK;

	for (size_t i = 0; i < sizeof plans / sizeof plans[0] && status == T2L_OK; i++)
		status = add_tensor(trainer, run, &plans[i], &memory, err);
	for (int i = 0; i < options->n_layers && status == T2L_OK; i++)
		status = make_layer(trainer, run, i, &memory, err);
	return status;
}

/* ---- open, loss, save, close ---- */

static enum t2l_status
embed_targets(struct trainer *trainer, struct encoder_run *run, struct t2l_error *err)
{
	size_t dimension = (size_t)run->teacher->facts.dimension;
	const char **texts = malloc(run->n * sizeof *texts);
	enum t2l_status status;

	run->targets = malloc(run->n * dimension * sizeof(float));
	run->batch_targets =
	    malloc((size_t)trainer->options->batch_tasks * dimension * sizeof(float));
	run->begin = malloc((size_t)(trainer->options->batch_tasks + 1) * sizeof *run->begin);
	if (texts == NULL || run->targets == NULL || run->batch_targets == NULL ||
	    run->begin == NULL) {
		free(texts);
		return t2l_fail(err, T2L_ENOMEM, "training: out of memory");
	}
	for (size_t i = 0; i < run->n; i++)
		texts[i] = run->sentences[i].text;
	status = embeddings_make(
	    trainer, run->teacher, trainer->options->cache, texts, run->n, 1, run->targets, err);
	free(texts);
	return status;
}

static enum t2l_status
open_encoder(struct trainer *trainer, struct t2l_error *err)
{
	struct encoder_run *run = calloc(1, sizeof *run);
	const struct t2l_train_options *options = trainer->options;
	int32_t *teacher_ids = NULL;
	size_t n_kept = 0;
	enum t2l_status status;

	if (run == NULL)
		return t2l_fail(err, T2L_ENOMEM, "training: out of memory");
	trainer->run = run;
	if (options->suite == NULL || options->encoder == NULL)
		return t2l_fail(err, T2L_EINVAL, "this training wants %s",
		    options->suite == NULL ? "examples (--dataset)" : "a teacher (--encoder)");
	if (options->vocabulary_size < 256 || options->vocabulary_size > 1000000)
		return t2l_fail(err, T2L_EINVAL,
		    "training: vocabulary_size = %d is not in 256 .. 1000000",
		    options->vocabulary_size);
	if ((status = text_encoder_open(options->encoder, &run->teacher, err)) == T2L_OK &&
	    (status = add_descriptions(run, options, err)) == T2L_OK && options->texts != NULL)
		status = add_lines(run, options->texts, err);
	if (status == T2L_OK)
		status = make_vocabulary(
		    run, (size_t)options->vocabulary_size, &teacher_ids, &n_kept, err);
	if (status == T2L_OK && (status = tokenise(run, options->context_length, err)) == T2L_OK &&
	    (status = embed_targets(trainer, run, err)) == T2L_OK &&
	    (status = make_student(trainer, run, n_kept, err)) == T2L_OK)
		project_words(run, teacher_ids, options->seed);
	free(teacher_ids);
	return status;
}

static bool
add_to_batch(struct encoder_run *run, int slot, size_t index)
{
	const struct sentence *sentence = &run->sentences[index];
	size_t dimension = (size_t)run->teacher->facts.dimension;
	int64_t wanted = (int64_t)run->begin[slot] + sentence->n;

	if (wanted > run->ids_allocated) {
		int32_t *ids = realloc(run->ids, (size_t)(2 * wanted) * sizeof *ids);

		if (ids == NULL)
			return false;
		run->ids = ids;
		run->ids_allocated = 2 * wanted;
	}
	memcpy(run->ids + run->begin[slot], sentence->ids, (size_t)sentence->n * sizeof *run->ids);
	run->begin[slot + 1] = (int32_t)wanted;
	memcpy(run->batch_targets + (size_t)slot * dimension, run->targets + index * dimension,
	    dimension * sizeof(float));
	return true;
}

/* The sentences of a step. */
static enum t2l_status
fill_batch(struct encoder_run *run, const struct t2l_train_options *options, int64_t step,
    struct t2l_error *err)
{
	struct random random = random_at(options->seed, STREAM_TEXTS, (uint64_t)step);
	size_t n_lines = run->n - run->n_descriptions;

	run->begin[0] = 0;
	for (int slot = 0; slot < options->batch_tasks; slot++) {
		bool line = n_lines > 0 && slot % 2 == 1;
		size_t index = line ? run->n_descriptions + random_below(&random, n_lines)
				    : random_below(&random, run->n_descriptions);

		if (!add_to_batch(run, slot, index))
			return t2l_fail(err, T2L_ENOMEM, "training: out of memory");
	}
	return T2L_OK;
}

static struct tensor *
loss(struct trainer *trainer, int64_t step, struct trainer_part part, int64_t *n_tokens,
    struct t2l_error *err)
{
	struct encoder_run *run = trainer->run;
	const struct t2l_train_options *options = trainer->options;
	int64_t dimension = run->teacher->facts.dimension;
	struct tensor *vectors, *targets;

	(void)part; /* a step is never divided: most_parts is NULL */
	if (fill_batch(run, options, step, err) != T2L_OK)
		return NULL;
	*n_tokens = run->begin[options->batch_tasks];
	vectors = encoder_forward(
	    trainer->ops, &run->network, run->ids, run->begin, options->batch_tasks, NULL);
	targets = ops_wrap(trainer->ops, DTYPE_F32, 2,
	    (int64_t[]){ options->batch_tasks, dimension }, run->batch_targets, NULL);
	/* Unit vectors: the sum of squared differences is 2 (1 - cosine). */
	return op_scale(trainer->ops, (float)dimension / 2,
	    op_mean_squared_difference(
		trainer->ops, op_unit_rows(trainer->ops, vectors, 1e-12f), targets));
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
	struct encoder_run *run = trainer->run;
	const struct t2l_train_options *options = trainer->options;
	char path[4096];
	enum dtype dtype;

	if (!dtype_by_name(options->save_dtype, &dtype))
		return t2l_fail(
		    err, T2L_EINVAL, "training: unknown dtype '%s'", options->save_dtype);
	if (mkdir(options->output, 0777) != 0 && errno != EEXIST)
		return t2l_fail_errno(err, "cannot make the folder '%s'", options->output);
	snprintf(path, sizeof path, "%s/vocab.txt", options->output);
	if (atomic_write(path, run->vocabulary, strlen(run->vocabulary)) != 0)
		return t2l_fail_errno(err, "cannot write '%s'", path);
	return encoder_save_hf(&run->network, options->output, dtype, err);
}

static void
close_encoder(struct trainer *trainer)
{
	struct encoder_run *run = trainer->run;

	if (run == NULL)
		return;
	for (size_t i = 0; i < run->n; i++) {
		free(run->sentences[i].text);
		free(run->sentences[i].ids);
	}
	free(run->sentences);
	text_encoder_close(run->teacher);
	if (run->tokenizer != NULL)
		tokenizer_close(run->tokenizer);
	free(run->vocabulary);
	free(run->targets);
	free(run->batch_targets);
	free(run->ids);
	free(run->begin);
	free(run->network.layers);
	free(run->tensors);
	free(run->memory);
	free(run);
}

/* By the largest of the first batches. */
static enum t2l_status
estimate(
    struct trainer *trainer, int n_parts, struct t2l_train_estimate *into, struct t2l_error *err)
{
	struct encoder_run *run = trainer->run;
	const struct t2l_train_options *options = trainer->options;
	int64_t rows = 0;

	(void)n_parts;
	for (int64_t step = 0; step < 16 && step < options->steps; step++) {
		enum t2l_status status = fill_batch(run, options, step, err);

		if (status != T2L_OK)
			return status;
		if (run->begin[options->batch_tasks] > rows)
			rows = run->begin[options->batch_tasks];
	}
	into->activations += encoder_training_bytes(&run->network.config, rows);
	return T2L_OK;
}

const struct trainer_kind trainer_encoder = {
	.name = "encoder",
	.open = open_encoder,
	.loss = loss,
	.estimate = estimate,
	.makes_folder = makes_folder,
	.save = save,
	.close = close_encoder,
};
