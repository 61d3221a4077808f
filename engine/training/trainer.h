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

struct trainer {
	struct t2l_engine *engine;
	const struct t2l_train_options *options;
	struct ops *ops;
	struct parameter_set parameters;
	void *run; /* the kind's own */
	/* Phases before the first step ("embedding descriptions") report through this. */
	t2l_train_callback *on_progress;
	void *user;
};

struct trainer_kind {
	const char *name;
	/* Opens what it needs and adds its parameters to the set (unallocated). */
	enum t2l_status (*open)(struct trainer *trainer, struct t2l_error *err);
	/* Records the forward pass of STEP. -> the loss, or NULL with the error in ERR or in the
	 * ops. *n_tokens: tokens that went through the decoder or encoder. */
	struct tensor *(*loss)(
	    struct trainer *trainer, int64_t step, int64_t *n_tokens, struct t2l_error *err);
	/* Writes the finished thing to options->output. */
	enum t2l_status (*save)(struct trainer *trainer, struct t2l_error *err);
	void (*close)(struct trainer *trainer); /* also after a failed open */
};

extern const struct trainer_kind trainer_base, trainer_lora, trainer_multi_task, trainer_supervised,
    trainer_encoder;

/* Streams of random_at(): what a step draws for. */
enum random_stream {
	STREAM_INITIAL,
	STREAM_TASKS,
	STREAM_DESCRIPTION,
	STREAM_EXAMPLES,
	STREAM_DROPOUT,
	STREAM_ROWS,
	STREAM_TEXTS
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

/* False: the caller wants to stop. */
bool trainer_report(struct trainer *trainer, const char *phase, int64_t done, int64_t all);

/* ---- checkpoint.c: OUTPUT.checkpoint, one safetensors with parameters and moments ---- */

void checkpoint_path(const struct t2l_train_options *options, char *path, size_t size);
enum t2l_status checkpoint_save(
    const struct trainer *trainer, int64_t next_step, struct t2l_error *err);
/* *next_step stays 0 when there is none. T2L_EMISMATCH when it was made with other options. */
enum t2l_status checkpoint_load(struct trainer *trainer, int64_t *next_step, struct t2l_error *err);
void checkpoint_remove(const struct t2l_train_options *options);

#endif
