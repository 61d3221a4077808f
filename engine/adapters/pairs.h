/*
 * adapters/pairs.h - makes an adapter of the A and B tensors that a file holds, in any order.
 *
 * A reader names each tensor's module and adds it; pairs_adapter() finds what belongs together,
 * checks every shape and fills the adapter. Nothing is copied before all is checked.
 *
 *     struct pairs pairs = { .path = path };
 *     ... pairs_add(&pairs, &tensor, err) ...
 *     status = pairs_adapter(&pairs, &labels, "gguf", &adapter, err);
 *     pairs_free(&pairs);
 */
#ifndef ENGINE_ADAPTERS_PAIRS_H
#define ENGINE_ADAPTERS_PAIRS_H

#include "engine/adapters/half.h"

struct pair_tensor {
	const char *name; /* in the file, for messages */
	int layer;
	enum module module;
	int expert;
	bool is_b, transposed; /* half.h */
	double alpha;	       /* scale = alpha / rank; the same in both halves */
	enum dtype dtype;
	int64_t rows, cols;
	const void *bytes; /* ROWS rows of DTYPE, any alignment; must outlive the pairs */
};

struct pairs {
	const char *path; /* for messages */
	bool neighbours;  /* rows of q and k lie as in GGUF files of the llama family */
	int head_dim;	  /* with NEIGHBOURS: puts them into our order; 0: not known, they stay */
	struct pair_tensor *tensors;
	size_t n, capacity;
};

/* Strings and bytes are not copied. */
enum t2l_status pairs_add(
    struct pairs *pairs, const struct pair_tensor *tensor, struct t2l_error *err);
/* The rank that a tensor of this shape speaks of. */
int64_t pair_tensor_rank(const struct pair_tensor *tensor);
/* The adapter, sealed. USE_RSLORA: the file tells PEFT's own lora_alpha and that it was rsLoRA;
 * when every alpha is LORA_ALPHA * sqrt(rank) as an f32, the adapter gets the original numbers. */
enum t2l_status pairs_adapter(struct pairs *pairs, bool use_rslora, double lora_alpha,
    const struct adapter_labels *labels, const char *format, struct t2l_adapter **adapter,
    struct t2l_error *err);
void pairs_free(struct pairs *pairs);

#endif
