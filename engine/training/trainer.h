/*
 * training/trainer.h - what all kinds of training share: one loop, one checkpoint, one log.
 *
 * A kind (base, LoRA, supervised, encoder) says what is trained and how a step's loss comes about;
 * the loop in train.c does the rest. A step depends on nothing but its number, the seed and the
 * parameters, so a run that is resumed from a checkpoint ends with the same bits as one that was
 * not interrupted.
 */
#ifndef ENGINE_TRAINING_TRAINER_H
#define ENGINE_TRAINING_TRAINER_H

#include "engine/t2l.h"
#include "engine/tensor/ops.h"
#include "engine/training/parameters.h"

struct collective;

struct trainer {
	struct t2l_engine *engine;
	const struct t2l_train_options *options; /* with the steps that epochs come to */
	struct collective *collective;		 /* NULL: this process alone */
	struct ops *ops;
	struct parameter_set parameters;
	void *run; /* the kind's own */
	/* Phases before the first step ("embedding descriptions") report through this. */
	t2l_train_callback *on_progress;
	void *user;
};

/* One of the parts that a step's batch is divided into. */
struct trainer_part {
	int index, count;
};

struct trainer_kind {
	const char *name;
	/* Opens what it needs and adds its parameters to the set (unallocated). */
	enum t2l_status (*open)(struct trainer *trainer, struct t2l_error *err);
	/* Records the forward pass of a part of STEP. -> what it adds to the step's loss, or NULL
	 * with the error in ERR or in the ops. *n_tokens: tokens that went through the decoder or
	 * encoder. */
	struct tensor *(*loss)(struct trainer *trainer, int64_t step, struct trainer_part part,
	    int64_t *n_tokens, struct t2l_error *err);
	/* Into how many parts a step can be divided at most; NULL: 1. */
	int64_t (*most_parts)(const struct trainer *trainer);
	/* NULL: such a training knows no epochs. */
	int64_t (*steps_per_epoch)(const struct trainer *trainer);
	/* Adds what the examples held out come to, those of PART: losses and their weight. NULL:
	 * nothing can be held out. */
	enum t2l_status (*validate)(struct trainer *trainer, struct trainer_part part, double *sum,
	    double *weight, struct t2l_error *err);
	/* Bytes of the frozen base, and of the activations of a step's largest part; total: the most
	 * that opening it took. */
	enum t2l_status (*estimate)(struct trainer *trainer, int n_parts,
	    struct t2l_train_estimate *estimate, struct t2l_error *err);
	/* Whether the finished thing is a folder; NULL: it is one file. */
	bool (*makes_folder)(const struct trainer *trainer);
	/* Writes the finished thing to options->output. */
	enum t2l_status (*save)(struct trainer *trainer, struct t2l_error *err);
	void (*close)(struct trainer *trainer); /* also after a failed open */
};

extern const struct trainer_kind trainer_base, trainer_lora, trainer_multi_task, trainer_supervised,
    trainer_encoder, trainer_reconstruction;

/* Streams of random_at(): what a step draws for. */
enum random_stream {
	STREAM_INITIAL,
	STREAM_TASKS,
	STREAM_DESCRIPTION,
	STREAM_EXAMPLES,
	STREAM_DROPOUT,
	STREAM_ROWS,
	STREAM_TEXTS,
	STREAM_HELD_OUT,
	STREAM_NOISE,
	STREAM_REFINE
};

/* The deck: task number SLOT of step STEP when PER_STEP are dealt from N, each equally often; every
 * round through the deck is shuffled anew. order [n] is scratch that may be kept between calls. */
struct deck {
	int32_t n;
	int64_t round; /* whose order is held; -1: none */
	int32_t *order;
};
int32_t deck_deal(struct deck *deck, uint64_t seed, int64_t card);

/* How a parameter is updated: Muon for hidden matrices (between embeddings and outputs) when its
 * learning rate is set, AdamW for all others. */
enum update_rule trainer_rule(const struct trainer *trainer, bool hidden);

/* What products are computed in: DTYPE_F32 or DTYPE_BF16. */
enum dtype train_dtype(const struct t2l_train_options *options);

/* False: the caller wants to stop. */
bool trainer_report(struct trainer *trainer, const char *phase, int64_t done, int64_t all);

/* ---- checkpoint.c: OUTPUT.checkpoint, one safetensors with parameters and moments ---- */

/* Where a run stands. */
struct run_state {
	int64_t next_step;
	double best_loss; /* of validation; INFINITY: none yet */
	int64_t best_step;
	int worse; /* validations since */
};

void checkpoint_path(const struct t2l_train_options *options, char *path, size_t size);
enum t2l_status checkpoint_save(
    const struct trainer *trainer, const struct run_state *state, struct t2l_error *err);
/* STATE stays as it is when there is none. T2L_EMISMATCH when it was made with other options. How a
 * step is divided is no such option: a run of two processes can go on alone. */
enum t2l_status checkpoint_load(
    struct trainer *trainer, struct run_state *state, struct t2l_error *err);
/* OUTPUT.best: the parameters with the best validation loss. */
enum t2l_status checkpoint_save_best(const struct trainer *trainer, struct t2l_error *err);
enum t2l_status checkpoint_load_best(struct trainer *trainer, struct t2l_error *err);
void checkpoint_remove(const struct t2l_train_options *options); /* both */

#endif
