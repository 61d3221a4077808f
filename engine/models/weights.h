/*
 * models/weights.h - the weights of a model as its file holds them.
 *
 * Matrices stay where they are, in the mapped file, in their stored form. Vectors (norms,
 * biases) are widened to f32: they are a thousandth of the model and the kernels want them so.
 *
 * A network lists its weights once, as slots with a name and a size; loading, saving and
 * fingerprints all walk that list.
 */
#ifndef ENGINE_MODELS_WEIGHTS_H
#define ENGINE_MODELS_WEIGHTS_H

#include "base/hash.h"
#include "engine/error.h"
#include "engine/formats/gguf.h"
#include "engine/formats/safetensors.h"
#include "engine/tensor/arena.h"

#define WEIGHT_NAME_SIZE 160

/* The open file (one of the two) and memory for what belongs to it; all of it lives and dies
 * together. */
struct model_source {
	struct safetensors *safetensors;
	struct gguf *gguf;
	struct arena *memory;
};

struct model_source *model_source_new(void); /* NULL: out of memory */
void model_source_close(struct model_source *source);
/* The file, or the directory of several. */
const char *model_source_path(const struct model_source *source);

/* One weight of a network. */
struct weight_slot {
	const char *name;
	struct tensor **tensor;
	int64_t rows, cols; /* rows 0: a vector of cols */
	int turned_heads;   /* > 0: rows of this many elements a head that GGUF keeps in its own
			       order (q and k, for neighbours' rope) */
	bool norm;	    /* the weight of an RMS norm, to which its family may add 1 */
	int slab, n_slabs;  /* n_slabs > 0: one of so many matrices that are alike (experts) ... */
	bool apart;	    /* ... each a tensor of its own; else one [n_slabs, rows, cols] */
};

typedef enum t2l_status weight_visit(
    void *user, const struct weight_slot *slot, struct t2l_error *err);

bool weights_have(const struct model_source *source, const char *name);

/* Points the slot's tensor into SOURCE, for its life. Errors: T2L_EFORMAT when the name is
 * absent, has another shape or (a vector) a number that is none, T2L_EUNSUPPORTED for a type we do
 * not compute with; all name the file and the tensor. */
enum t2l_status weights_bind(
    const struct model_source *source, const struct weight_slot *slot, struct t2l_error *err);

/* ---- what they are: for facts ---- */

/* SHA-256 of the weights and not of the file: values are widened to f32, rows are read in the
 * order of Hugging Face whatever the file's. Of a tensor above 2^17 elements (of experts that are
 * alike: all of them together) it sees evenly spaced rows, so that it is instant on large models.
 * A number that it sees and that is none is T2L_EFORMAT: the tensor is named. */
struct weights_identity {
	struct hash hash;
	int64_t n_parameters;
	uint64_t bytes, bytes_of[N_DTYPES];
	bool turned; /* the file has GGUF's order of q and k rows */
};

void identity_start(struct weights_identity *identity, const char *settings);
weight_visit identity_add; /* USER is the identity */
void identity_finish(struct weights_identity *identity, char out[HASH_HEX_SIZE]);
const char *identity_dtype(const struct weights_identity *identity); /* of most bytes */

/* ---- saving ---- */

/* Writes all that EACH visits as safetensors of DTYPE. */
enum t2l_status weights_save(const char *path, enum dtype dtype,
    enum t2l_status (*each)(void *network, weight_visit *visit, void *user, struct t2l_error *err),
    void *network, struct t2l_error *err);

#endif
