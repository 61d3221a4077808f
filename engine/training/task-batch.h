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
struct prepared;

struct task_run {
	struct t2l_suite *suite;
	struct prepared *prepared; /* where the tokens are when they were prepared; else NULL */
	struct base_model *base;
	uint64_t base_mapped_bytes; /* of its file, that opening it brought into memory */
	struct text_form form;
	struct dataset dataset;
	struct batch batch;
	struct deck deck;
	int batch_tasks;	       /* at most the number of tasks */
	int64_t *drawn;		       /* [batch_tasks] tasks of this step */
	struct task_rows *groups;      /* [batch_tasks] */
	struct batch part;	       /* what task_run_take() took */
	struct task_rows *part_groups; /* [batch_tasks] */
	int32_t *order;		       /* scratch of each_once: the examples of task order_of */
	int64_t order_of, order_round;
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

/* The rows of the step that a part has. Whole tasks (BY_EXAMPLES false) or whole examples. */
struct task_part {
	const struct batch *batch;
	struct task_rows *groups; /* of the tasks that have rows in it; adapter is the slot */
	size_t n_groups;
	int first_slot, n_slots;
	double share; /* of the step's tasks or examples */
};
enum t2l_status task_run_take(struct task_run *run, struct trainer_part part, bool by_examples,
    struct task_part *taken, struct t2l_error *err);

/* Number CHUNK of the batches of held-out examples: batch_points of each of batch_tasks tasks, all
 * rows of slot i with adapter i; each example's tokens weigh 1 together. *n_examples 0: none in
 * this one. */
int64_t task_run_n_chunks(const struct task_run *run, const struct t2l_train_options *options);
enum t2l_status task_run_held_out(struct task_run *run, const struct t2l_train_options *options,
    int64_t chunk, int64_t *n_examples, struct t2l_error *err);

int64_t task_run_steps_per_epoch(
    const struct task_run *run, const struct t2l_train_options *options);
/* Bytes of base and of the largest of the first batches; total becomes what opening the base may
 * take. */
enum t2l_status task_run_estimate(struct task_run *run, const struct t2l_train_options *options,
    int n_parts, struct t2l_train_estimate *estimate, struct t2l_error *err);

/* The number of a random description of the task in slot SLOT of STEP, among N. */
size_t task_run_description(
    const struct t2l_train_options *options, int64_t step, int slot, size_t n);

/* scale of a LoRA by options. */
float lora_scale(const struct t2l_train_options *options);

#endif
