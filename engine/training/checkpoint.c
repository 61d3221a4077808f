/* checkpoint.c - saves a training run so that it can go on with the same bits. */

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/hash.h"
#include "engine/error.h"
#include "engine/formats/safetensors-writer.h"
#include "engine/formats/safetensors.h"
#include "engine/training/trainer.h"

static void
path_beside(const struct t2l_train_options *options, const char *suffix, char *path, size_t size)
{
	size_t n = strlen(options->output);

	while (n > 1 && options->output[n - 1] == '/')
		n--;
	snprintf(path, size, "%.*s%s", (int)n, options->output, suffix);
}

void
checkpoint_path(const struct t2l_train_options *options, char *path, size_t size)
{
	path_beside(options, ".checkpoint", path, size);
}

/* The younger options, so that checkpoints without them stay valid. */
static void
describe_further(const struct t2l_train_options *o, struct buffer *text)
{
	if (o->each_once)
		buffer_printf(text, "|each once");
	if (o->max_tokens > 0)
		buffer_printf(text, "|max %d", o->max_tokens);
	if (o->neftune_alpha > 0)
		buffer_printf(text, "|neftune %a", (double)o->neftune_alpha);
	if (o->validation > 0)
		buffer_printf(text, "|validation %a %lld %d", (double)o->validation,
		    (long long)o->validate_every, o->patience);
	if (o->offset != NULL)
		buffer_printf(text, "|offset %d %s", o->learn_offset, o->offset);
	if (train_dtype(o) == DTYPE_BF16)
		buffer_printf(text, "|bf16");
	if (o->mode == T2L_TRAIN_RECONSTRUCTION)
		buffer_printf(text, "|%d %d %a %d", o->factorized, o->z_scores,
		    (double)o->delta_w_scaling, o->batch_descriptions);
}

/* Everything that changes what a step does; a checkpoint of other settings is another run. */
static void
describe_options(const struct t2l_train_options *o, char hash[HASH_HEX_SIZE])
{
	struct buffer text = { 0 };

	buffer_printf(&text, "%d %d %d %d %d %d %d %d %a|", o->mode, o->hidden_size, o->n_layers,
	    o->n_heads, o->n_kv_heads, o->ffn_size, o->context_length, o->vocabulary_size,
	    (double)o->rope_theta);
	buffer_printf(&text, "%s %d %d %s %d %a %d %d|", o->variant ? o->variant : "",
	    o->latent_size, o->head_in_size, o->modules ? o->modules : "", o->rank,
	    (double)o->lora_alpha, o->use_rslora, o->description_in_prompt);
	buffer_printf(&text, "%lld %a %a %a %a %a %a %a %d %lld %a %a|", (long long)o->steps,
	    (double)o->learning_rate, (double)o->muon_learning_rate, (double)o->beta1,
	    (double)o->beta2, (double)o->epsilon, (double)o->weight_decay, (double)o->clip,
	    o->schedule, (long long)o->warmup_steps, (double)o->hold, (double)o->final);
	buffer_printf(&text, "%a %a %a %d %d %d %d %d %llu|%s", (double)o->dropout,
	    (double)o->label_smoothing, (double)o->l2_generated, o->weighting, o->batch_tasks,
	    o->batch_points, o->row_tokens, o->descriptions, (unsigned long long)o->seed,
	    o->tasks ? o->tasks : "");
	describe_further(o, &text);
	hash_sha256_hex(buffer_string(&text), text.n, hash);
	buffer_free(&text);
}

/* The arrays of one parameter and the suffixes of their names; without moments only the first. */
static int
arrays_of(const struct parameter *parameter, bool moments, float *arrays[3])
{
	arrays[0] = tensor_f32(parameter->tensor);
	arrays[1] = parameter->m;
	arrays[2] = parameter->v;
	return !moments ? 1 : parameter->v ? 3 : 2;
}
static const char *const array_names[3] = { "", ".m", ".v" };

static enum t2l_status
write_arrays(const struct trainer *trainer, struct safetensors_writer *writer, bool moments,
    const char *path, struct t2l_error *err)
{
	char name[160];
	enum t2l_status status;
	float *arrays[3];

	for (size_t i = 0; i < trainer->parameters.n; i++) {
		const struct parameter *parameter = &trainer->parameters.items[i];
		const struct tensor *tensor = parameter->tensor;
		int n = arrays_of(parameter, moments, arrays);

		for (int j = 0; j < n; j++) {
			snprintf(name, sizeof name, "%s%s", parameter->name, array_names[j]);
			safetensors_writer_declare(
			    writer, name, DTYPE_F32, tensor->n_dims, tensor->shape);
		}
	}
	status = safetensors_writer_begin(writer, path, err);
	for (size_t i = 0; i < trainer->parameters.n && status == T2L_OK; i++) {
		const struct parameter *parameter = &trainer->parameters.items[i];
		int n = arrays_of(parameter, moments, arrays);

		for (int j = 0; j < n && status == T2L_OK; j++)
			status = safetensors_writer_bytes(writer, arrays[j],
			    (size_t)tensor_count(parameter->tensor) * sizeof(float), err);
	}
	return status == T2L_OK ? safetensors_writer_finish(writer, err) : status;
}

enum t2l_status
checkpoint_save(const struct trainer *trainer, const struct run_state *state, struct t2l_error *err)
{
	struct safetensors_writer *writer = safetensors_writer_new(64);
	char path[4096], number[64], hash[HASH_HEX_SIZE];
	enum t2l_status status;

	if (writer == NULL)
		return t2l_fail(err, T2L_ENOMEM, "training: no memory for a checkpoint");
	checkpoint_path(trainer->options, path, sizeof path);
	describe_options(trainer->options, hash);
	snprintf(number, sizeof number, "%lld", (long long)state->next_step);
	safetensors_writer_metadata(writer, "t2l.checkpoint.step", number);
	safetensors_writer_metadata(writer, "t2l.checkpoint.options", hash);
	if (isfinite(state->best_loss)) {
		snprintf(number, sizeof number, "%a %lld %d", state->best_loss,
		    (long long)state->best_step, state->worse);
		safetensors_writer_metadata(writer, "t2l.checkpoint.best", number);
	}
	status = write_arrays(trainer, writer, true, path, err);
	safetensors_writer_free(writer);
	return status == T2L_OK ? T2L_OK : t2l_context(err, "cannot save the checkpoint");
}

enum t2l_status
checkpoint_save_best(const struct trainer *trainer, struct t2l_error *err)
{
	struct safetensors_writer *writer = safetensors_writer_new(64);
	char path[4096];
	enum t2l_status status;

	if (writer == NULL)
		return t2l_fail(err, T2L_ENOMEM, "training: no memory for a checkpoint");
	path_beside(trainer->options, ".best", path, sizeof path);
	status = write_arrays(trainer, writer, false, path, err);
	safetensors_writer_free(writer);
	return status == T2L_OK ? T2L_OK : t2l_context(err, "cannot save the best parameters");
}

static enum t2l_status
load_parameter(const struct safetensors *file, struct parameter *parameter, bool moments,
    struct t2l_error *err)
{
	const struct tensor *tensor = parameter->tensor;
	float *arrays[3];
	char name[160];
	int n = arrays_of(parameter, moments, arrays);

	for (int j = 0; j < n; j++) {
		struct tensor stored;
		enum t2l_status status;

		snprintf(name, sizeof name, "%s%s", parameter->name, array_names[j]);
		status = safetensors_tensor_of_shape(
		    file, name, tensor->n_dims, tensor->shape, &stored, err);
		if (status != T2L_OK)
			return status;
		if (stored.dtype != DTYPE_F32)
			return t2l_fail(
			    err, T2L_EFORMAT, "%s: '%s' is not f32", safetensors_path(file), name);
		memcpy(arrays[j], stored.data, (size_t)tensor_count(tensor) * sizeof(float));
	}
	return T2L_OK;
}

enum t2l_status
checkpoint_load_best(struct trainer *trainer, struct t2l_error *err)
{
	char path[4096];
	struct safetensors *file;
	enum t2l_status status;

	path_beside(trainer->options, ".best", path, sizeof path);
	status = safetensors_open(path, &file, err);
	if (status != T2L_OK)
		return t2l_context(err, "the best parameters are gone");
	for (size_t i = 0; i < trainer->parameters.n && status == T2L_OK; i++)
		status = load_parameter(file, &trainer->parameters.items[i], false, err);
	safetensors_close(file);
	return status;
}

static enum t2l_status
read_state(const struct safetensors *file, const struct t2l_train_options *options,
    struct run_state *state, struct t2l_error *err)
{
	const char *path = safetensors_path(file);
	const char *step = safetensors_metadata(file, "t2l.checkpoint.step");
	const char *stored = safetensors_metadata(file, "t2l.checkpoint.options");
	const char *best = safetensors_metadata(file, "t2l.checkpoint.best");
	char hash[HASH_HEX_SIZE], *end;
	long long value, best_step = 0;

	if (step == NULL || stored == NULL)
		return t2l_fail(err, T2L_EFORMAT, "%s is no training checkpoint", path);
	describe_options(options, hash);
	if (strcmp(hash, stored) != 0)
		return t2l_fail(err, T2L_EMISMATCH,
		    "%s belongs to a run with other options; use those, or remove it to start anew",
		    path);
	value = strtoll(step, &end, 10);
	if (*end != '\0' || value < 0 || value > options->steps)
		return t2l_fail(err, T2L_EFORMAT, "%s: bad step '%s'", path, step);
	if (best != NULL &&
	    (sscanf(best, "%la %lld %d", &state->best_loss, &best_step, &state->worse) != 3 ||
		!isfinite(state->best_loss) || best_step < 0 || state->worse < 0))
		return t2l_fail(err, T2L_EFORMAT, "%s: bad validation '%s'", path, best);
	state->best_step = best_step;
	state->next_step = value;
	return T2L_OK;
}

enum t2l_status
checkpoint_load(struct trainer *trainer, struct run_state *state, struct t2l_error *err)
{
	struct safetensors *file;
	enum t2l_status status;
	char path[4096];

	checkpoint_path(trainer->options, path, sizeof path);
	if (access(path, F_OK) != 0)
		return T2L_OK;
	status = safetensors_open(path, &file, err);
	if (status != T2L_OK)
		return status;
	status = read_state(file, trainer->options, state, err);
	for (size_t i = 0; i < trainer->parameters.n && status == T2L_OK; i++)
		status = load_parameter(file, &trainer->parameters.items[i], true, err);
	safetensors_close(file);
	return status;
}

void
checkpoint_remove(const struct t2l_train_options *options)
{
	char path[4096];

	checkpoint_path(options, path, sizeof path);
	unlink(path);
	path_beside(options, ".best", path, sizeof path);
	unlink(path);
}
