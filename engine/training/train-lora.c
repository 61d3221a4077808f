/* train-lora.c - LoRA adapters by plain fine-tuning: one a task, all in the same batches, or one
 * for all tasks. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/visible.h"
#include "engine/error.h"
#include "engine/training/lora-parameters.h"

struct lora_run {
	struct task_run tasks;
	bool one_for_all;
	struct lora_parameters lora;
};

static bool
ends_with(const char *text, const char *end)
{
	size_t n = strlen(text), m = strlen(end);

	return n >= m && strcmp(text + n - m, end) == 0;
}

static bool
one_file(const struct trainer *trainer)
{
	return ends_with(trainer->options->output, ".safetensors");
}

static bool
makes_folder(const struct trainer *trainer)
{
	return !one_file(trainer);
}

static bool
is_directory(const char *path)
{
	struct stat place;

	return stat(path, &place) == 0 && S_ISDIR(place.st_mode);
}

/* One adapter of a file of examples becomes a PEFT directory, which is the output itself. */
static bool
one_directory(const struct trainer *trainer)
{
	const struct lora_run *run = trainer->run;

	return run->lora.n_adapters == 1 && !is_directory(trainer->options->suite);
}

/* Of many adapters each is named like its task, and what a suite calls its tasks must not lead out
 * of the output's folder. */
static enum t2l_status
check_names(const struct lora_run *run, struct t2l_error *err)
{
	for (size_t i = 0; i < run->tasks.dataset.n; i++) {
		const char *id = run->tasks.dataset.tasks[i].task->id;
		char shown[128];

		if (id[0] != '.' && id[0] != '\0' && strchr(id, '/') == NULL && strlen(id) < 200)
			continue;
		visible_copy(shown, sizeof shown, id, strlen(id), 0);
		return t2l_fail(err, T2L_EINVAL,
		    "task '%s': its adapter cannot be a file of that name; call the task otherwise",
		    shown);
	}
	return T2L_OK;
}

static enum t2l_status
open_run(struct trainer *trainer, bool one_for_all, struct t2l_error *err)
{
	struct lora_run *run = calloc(1, sizeof *run);
	const struct t2l_train_options *options = trainer->options;
	struct lora_shape shape = { .rank = options->rank,
		.lora_alpha = options->lora_alpha,
		.use_rslora = options->use_rslora };
	enum t2l_status status;

	if (run == NULL)
		return t2l_fail(err, T2L_ENOMEM, "training: out of memory");
	trainer->run = run;
	run->one_for_all = one_for_all;
	status = task_run_open(&run->tasks, options, err);
	if (status != T2L_OK)
		return status;
	shape.n_modules = run->tasks.n_modules;
	memcpy(shape.modules, run->tasks.modules, sizeof shape.modules);
	status = lora_parameters_make(&run->lora, &shape, &run->tasks.base->decoder.config,
	    one_for_all ? 1 : (int64_t)run->tasks.dataset.n, options->seed, err);
	if (status != T2L_OK)
		return status;
	if (one_file(trainer) && run->lora.n_adapters > 1)
		return t2l_fail(err, T2L_EINVAL,
		    "--output '%s' is one file for %lld tasks; name a folder, or one task with "
		    "--tasks",
		    options->output, (long long)run->lora.n_adapters);
	if (!one_for_all && !one_file(trainer) && !one_directory(trainer) &&
	    (status = check_names(run, err)) != T2L_OK)
		return status;
	return lora_parameters_add(&run->lora, &trainer->parameters, err);
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

/* The rows of BATCH with the adapters that are theirs: GROUPS[i].adapter is a slot of the step. */
static struct tensor *
batch_with_adapters(struct trainer *trainer, struct lora_run *run, const struct batch *batch,
    struct task_rows *groups, size_t n_groups, float smoothing, float l2)
{
	struct task_rows all = { 0, batch->n_rows, 0 };

	for (size_t i = 0; i < n_groups && !run->one_for_all; i++)
		groups[i].adapter = run->tasks.drawn[groups[i].adapter];
	return task_batch_loss(trainer->ops, &run->tasks.base->decoder, batch, &run->lora.stack,
	    run->one_for_all ? &all : groups, run->one_for_all ? 1 : n_groups, smoothing, l2);
}

static struct tensor *
loss(struct trainer *trainer, int64_t step, struct trainer_part part, int64_t *n_tokens,
    struct t2l_error *err)
{
	struct lora_run *run = trainer->run;
	const struct t2l_train_options *options = trainer->options;
	struct task_part taken;

	if (task_run_fill(&run->tasks, options, step, err) != T2L_OK ||
	    task_run_take(&run->tasks, part, true, &taken, err) != T2L_OK)
		return NULL;
	*n_tokens = taken.batch->n_rows;
	return batch_with_adapters(trainer, run, taken.batch, taken.groups, taken.n_groups,
	    options->label_smoothing,
	    part.count == 1 ? options->l2_generated : options->l2_generated * (float)taken.share);
}

static int64_t
most_parts(const struct trainer *trainer)
{
	const struct lora_run *run = trainer->run;

	return (int64_t)run->tasks.batch_tasks * trainer->options->batch_points;
}

static int64_t
steps_per_epoch(const struct trainer *trainer)
{
	return task_run_steps_per_epoch(
	    &((const struct lora_run *)trainer->run)->tasks, trainer->options);
}

static enum t2l_status
validate(struct trainer *trainer, struct trainer_part part, double *sum, double *weight,
    struct t2l_error *err)
{
	struct lora_run *run = trainer->run;
	struct task_run *tasks = &run->tasks;
	int64_t n_chunks = task_run_n_chunks(tasks, trainer->options);

	for (int64_t chunk = part.index; chunk < n_chunks; chunk += part.count) {
		int64_t n_examples;
		struct tensor *value;
		enum t2l_status status =
		    task_run_held_out(tasks, trainer->options, chunk, &n_examples, err);

		if (status != T2L_OK)
			return status;
		if (n_examples == 0)
			continue;
		ops_reset(trainer->ops);
		value = batch_with_adapters(
		    trainer, run, &tasks->batch, tasks->groups, (size_t)tasks->batch_tasks, 0, 0);
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
	struct lora_run *run = trainer->run;

	return task_run_estimate(&run->tasks, trainer->options, n_parts, into, err);
}

/* ---- saving ---- */

static enum t2l_status
save_one(const struct trainer *trainer, int64_t index, const char *path, bool peft,
    struct t2l_error *err)
{
	const struct lora_run *run = trainer->run;
	const struct task_data *data = &run->tasks.dataset.tasks[index];
	const struct t2l_suite_tier *tier = t2l_suite_tier(data->task, "train");
	const struct t2l_export_options export = { .format = "peft" };
	struct adapter_labels labels = { .name = run->one_for_all && run->tasks.dataset.n > 1
						     ? "multi-task"
						     : data->task->id,
		.base_name = run->tasks.base->facts.name,
		.base_fingerprint = run->tasks.base->facts.fingerprint };
	struct t2l_adapter *adapter;
	enum t2l_status status;

	if (!run->one_for_all && peft && tier != NULL && tier->n > 0)
		labels.task = tier->texts[0];
	status = lora_parameters_adapter(&run->lora, index, &labels, &adapter, err);
	if (status != T2L_OK)
		return status;
	status = peft ? t2l_adapter_export(adapter, path, &export, NULL, err)
		      : t2l_adapter_save(adapter, path, err);
	t2l_adapter_close(adapter);
	return status;
}

/* OUTPUT.safetensors is a native file. A suite's adapters go into a folder, a native file each; the
 * one adapter of a file of examples becomes a PEFT directory. */
static enum t2l_status
save(struct trainer *trainer, struct t2l_error *err)
{
	struct lora_run *run = trainer->run;
	const char *output = trainer->options->output;
	enum t2l_status status = T2L_OK;

	if (one_file(trainer))
		return save_one(trainer, 0, output, false, err);
	if (one_directory(trainer))
		return save_one(trainer, 0, output, true, err);
	if (mkdir(output, 0777) != 0 && errno != EEXIST)
		return t2l_fail_errno(err, "cannot make the folder '%s'", output);
	for (int64_t i = 0; i < run->lora.n_adapters && status == T2L_OK; i++) {
		char path[4096];

		snprintf(path, sizeof path, "%s/%s.safetensors", output,
		    run->one_for_all ? "multi-task" : run->tasks.dataset.tasks[i].task->id);
		status = save_one(trainer, i, path, false, err);
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
	lora_parameters_release(&run->lora);
	free(run);
}

#define LORA_KIND(kind_name, open_kind)                                                            \
	{                                                                                          \
		.name = kind_name, .open = open_kind, .loss = loss, .most_parts = most_parts,      \
		.steps_per_epoch = steps_per_epoch, .validate = validate, .estimate = estimate,    \
		.makes_folder = makes_folder, .save = save, .close = close_run                     \
	}

const struct trainer_kind trainer_lora = LORA_KIND("lora", open_lora);
const struct trainer_kind trainer_multi_task = LORA_KIND("multi-task", open_multi_task);
