/*
 * models/quantise.h - which stored type each tensor of a model gets, and what that costs.
 *
 * The types are named as llama.cpp names them, and mixed as it does: norms, biases, routers and
 * other vectors stay as they are, the head and (Q4_K_M) some of the rows that matter most get more
 * bits, and a row that is no whole number of blocks gets the next type it fits.
 */
#ifndef ENGINE_MODELS_QUANTISE_H
#define ENGINE_MODELS_QUANTISE_H

#include "engine/t2l.h"
#include "engine/tensor/dtype.h"

struct quantisation {
	const char *name, *help;
	enum dtype dtype;     /* of matrices */
	enum dtype head;      /* of output.weight, or of the embedding that is the head too */
	enum dtype sensitive; /* of attn_v and ffn_down in the layers that matter most */
	int32_t file_type;    /* general.file_type (llama.h, enum llama_ftype) */
};

/* In the table's order; NULL behind the last. */
const struct quantisation *quantisation_at(size_t index);
const struct quantisation *quantisation_find(const char *name);
/* T2L_EINVAL, with a list of what there is, when there is none of that name. */
enum t2l_status quantisation_need(
    const char *name, const struct quantisation **type, struct t2l_error *err);

/* The type for the tensor NAME (as GGUF has it) of N_DIMS and COLS, which is FROM now. TIED: the
 * model has no head of its own. */
enum dtype quantisation_choose(const struct quantisation *type, const char *name, enum dtype from,
    int n_dims, int64_t cols, int n_layers, bool tied);

#endif
