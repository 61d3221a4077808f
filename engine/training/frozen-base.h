/*
 * training/frozen-base.h - the weights of a base that training reads and never changes.
 */
#ifndef ENGINE_TRAINING_FROZEN_BASE_H
#define ENGINE_TRAINING_FROZEN_BASE_H

#include "engine/models/decoder.h"
#include "engine/t2l.h"

/* Matrices of f32 become bf16, half as large, in the base's own memory; the file's pages are given
 * back. Products that round to bf16 give the same bits as before. The embedding stays: it is looked
 * up. */
enum t2l_status frozen_base_narrow(struct base_model *base, struct t2l_error *err);

/* Fills base and base_as_bf16. What is in memory of it, MAPPED_BYTES of the file and what was
 * narrowed, is taken off rest, where it was counted. */
void frozen_base_estimate(
    struct base_model *base, uint64_t mapped_bytes, struct t2l_train_estimate *estimate);

#endif
