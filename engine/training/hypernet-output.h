/*
 * training/hypernet-output.h - what the two ways of training a hypernet share: its shape, its
 * parameters, its file.
 */
#ifndef ENGINE_TRAINING_HYPERNET_OUTPUT_H
#define ENGINE_TRAINING_HYPERNET_OUTPUT_H

#include "engine/hypernet/hypernet.h"
#include "engine/models/encoder.h"
#include "engine/training/task-batch.h"
#include "engine/training/trainer.h"

/* The part that the options say; embedding size, layers, modules and LoRA are the caller's. */
enum t2l_status hypernet_config_of(
    const struct t2l_train_options *options, struct hypernet_config *config, struct t2l_error *err);
/* The masks of the tasks FIRST_TASK .. of the N_TASKS of a step, however it is divided. */
struct hypernet_dropout hypernet_dropout_of(
    const struct t2l_train_options *options, int64_t step, int64_t first_task, int64_t n_tasks);
/* The numbers of the LoRA in PATH become the network's offset (config.offset). T2L_EMISMATCH: other
 * modules, rank or scale. */
enum t2l_status hypernet_take_offset(struct hypernet_network *network, const char *path,
    const struct decoder_config *base, struct t2l_error *err);
/* What hypernet_forward gave, in STACK, becomes what is added to the base: with the offset, and the
 * rows of q and k as they lie in the base's file (a hypernet makes them in Hugging Face's order).
 * False: see ops_status. */
bool hypernet_in_base_order(struct ops *ops, const struct hypernet_network *network,
    const struct decoder_config *base, struct lora_stack *stack);
/* Everything that is trained of it. */
enum t2l_status hypernet_add_parameters(
    struct trainer *trainer, struct hypernet_network *network, struct t2l_error *err);
/* Results and gradients of a recorded pass for N_TASKS embeddings. */
uint64_t hypernet_training_bytes(const struct hypernet_config *config, int64_t n_tasks);
/* Writes options->output. */
enum t2l_status hypernet_write(struct trainer *trainer, const struct hypernet_network *network,
    const char *base_name, const char *base_fingerprint, const struct text_encoder *encoder,
    struct t2l_error *err);

#endif
