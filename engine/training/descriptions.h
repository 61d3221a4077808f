/*
 * training/descriptions.h - the embeddings of all descriptions of the things a hypernet learns.
 */
#ifndef ENGINE_TRAINING_DESCRIPTIONS_H
#define ENGINE_TRAINING_DESCRIPTIONS_H

#include "engine/models/encoder.h"
#include "engine/training/trainer.h"

/* A task or an adapter with its sentences. */
struct described {
	const char *name;
	const char *const *texts;
	size_t n;
};

struct description_set {
	int dimension;
	float *embeddings; /* [all, dimension], each of length sqrt(dimension) */
	size_t *begin;	   /* [things + 1] rows of embeddings */
};

/* Each sentence is prepared as the hypernet wants it, then embedded. T2L_EFORMAT names a thing
 * without descriptions, or with an empty one. */
enum t2l_status description_set_make(struct trainer *trainer, const struct text_encoder *encoder,
    const struct described *things, size_t n, struct description_set *set, struct t2l_error *err);
void description_set_release(struct description_set *set);

/* Row of embedding NUMBER of thing INDEX. */
const float *description_at(const struct description_set *set, size_t index, size_t number);
size_t description_count(const struct description_set *set, size_t index);

#endif
