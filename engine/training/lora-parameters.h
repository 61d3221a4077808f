/*
 * training/lora-parameters.h - LoRA adapters as parameters: a stack of them over a base.
 */
#ifndef ENGINE_TRAINING_LORA_PARAMETERS_H
#define ENGINE_TRAINING_LORA_PARAMETERS_H

#include "engine/adapters/adapter.h"
#include "engine/training/task-batch.h"

struct lora_shape {
	int n_modules, rank;
	enum module modules[N_MODULES];
	float lora_alpha;
	bool use_rslora;
};

struct lora_parameters {
	struct lora_shape shape;
	struct lora_stack stack;
	int64_t n_adapters;
	bool gguf_rows; /* as those of the base, see adapters/row-order.h */
	int head_dim;
	struct tensor tensors[2 * N_MODULES];
	float *memory;
};

/* N_ADAPTERS fresh adapters: A kaiming-uniform with a = sqrt(5), that is +-1/sqrt(in), the same for
 * all layers and adapters; B zero. */
enum t2l_status lora_parameters_make(struct lora_parameters *lora, const struct lora_shape *shape,
    const struct decoder_config *base, int64_t n_adapters, uint64_t seed, struct t2l_error *err);
void lora_parameters_release(struct lora_parameters *lora);
/* Into the set, as "q_proj.lora_A" and "q_proj.lora_BT". */
enum t2l_status lora_parameters_add(
    struct lora_parameters *lora, struct parameter_set *set, struct t2l_error *err);

/* The shape of ADAPTER; and its numbers, in the order of the base's rows, as number INDEX of LORA.
 * T2L_EUNSUPPORTED: modules of unlike rank or scale, or not in every layer: such an adapter is no
 * stack. */
enum t2l_status lora_shape_of(const struct t2l_adapter *adapter, const struct decoder_config *base,
    struct lora_shape *shape, struct t2l_error *err);
void lora_parameters_take(
    struct lora_parameters *lora, int64_t index, const struct t2l_adapter *adapter);

/* Number INDEX as an adapter, sealed, its rows in Hugging Face's order. */
enum t2l_status lora_parameters_adapter(const struct lora_parameters *lora, int64_t index,
    const struct adapter_labels *labels, struct t2l_adapter **adapter, struct t2l_error *err);

#endif
