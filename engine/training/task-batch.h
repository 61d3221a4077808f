/*
 * training/task-batch.h - a batch in which each task's rows carry that task's own adapter.
 *
 * The adapters are tensors of all (adapter, layer) pairs of a module: outputs of a hypernet, or
 * parameters. One pass through the frozen base serves all of them.
 */
#ifndef ENGINE_TRAINING_TASK_BATCH_H
#define ENGINE_TRAINING_TASK_BATCH_H

#include "engine/training/batch.h"
#include "engine/training/dataset.h"
#include "engine/training/trainer.h"

/* Module i of modules: a[i] [n_adapters, n_layers, rank, in], bt[i] [n_adapters, n_layers, rank,
 * out]. */
struct lora_stack {
	int n_modules, n_layers, rank;
	enum module modules[N_MODULES];
	struct tensor *a[N_MODULES], *bt[N_MODULES];
	float scale;
};

/* Rows row_begin .. +row_count belong to adapter. */
struct task_rows {
	int64_t row_begin, row_count, adapter;
};

/* Spans for the decoder, in the arena of OPS; NULL with the error in OPS. */
struct lora_table *lora_stack_table(struct ops *ops, const struct lora_stack *stack,
    const struct task_rows *groups, size_t n_groups);

/* Cross entropy of the batch with the stack's adapters, plus l2_generated * sum over modules of
 * (mean(A^2) + mean(B^2)). */
struct tensor *task_batch_loss(struct ops *ops, const struct decoder *decoder,
    const struct batch *batch, const struct lora_stack *stack, const struct task_rows *groups,
    size_t n_groups, float label_smoothing, float l2_generated);

/* What every kind of training over a frozen base holds: base, suite, tokens, the step's batch. */
struct task_run {
	struct t2l_suite *suite;
	struct base_model *base;
	struct text_form form;
	struct dataset dataset;
	struct batch batch;
	struct deck deck;
	int batch_tasks;	  /* at most the number of tasks */
	int64_t *drawn;		  /* [batch_tasks] tasks of this step */
	struct task_rows *groups; /* [batch_tasks] */
	int n_modules;
	enum module modules[N_MODULES];
	struct example with_description; /* scratch of description_in_prompt */
};
enum t2l_status task_run_open(
    struct task_run *run, const struct t2l_train_options *options, struct t2l_error *err);
void task_run_close(struct task_run *run);

/* Deals the step's tasks, draws their examples and packs them; groups[i].adapter is i. A
 * description of the task's own (train tier) is put before each prompt when asked. */
enum t2l_status task_run_fill(struct task_run *run, const struct t2l_train_options *options,
    int64_t step, struct t2l_error *err);

/* The number of a random description of the task in slot SLOT of STEP, among N. */
size_t task_run_description(
    const struct t2l_train_options *options, int64_t step, int slot, size_t n);

/* scale of a LoRA by options. */
float lora_scale(const struct t2l_train_options *options);

#endif
