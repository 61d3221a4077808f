/*
 * training/optimiser.h - one step of AdamW or Muon over a parameter set, and the learning rate's
 * path.
 */
#ifndef ENGINE_TRAINING_OPTIMISER_H
#define ENGINE_TRAINING_OPTIMISER_H

#include "engine/t2l.h"
#include "engine/training/parameters.h"

/* Factor of the learning rate at STEP (from 0) of options->steps. LINEAR and COSINE start at 0, as
 * the reference and transformers do; HOLD_LINEAR's first step is 1/warmup. */
double schedule_factor(const struct t2l_train_options *options, int64_t step);

/* Global norm of all gradients (before clipping). */
double gradient_norm(const struct backend *backend, const struct parameter_set *set);

/* Clips to options->clip, updates every parameter. STEP from 0; NORM from gradient_norm(). */
enum t2l_status optimiser_step(const struct backend *backend, struct parameter_set *set,
    const struct t2l_train_options *options, int64_t step, double norm, struct t2l_error *err);

#endif
