/*
 * training/reconstruction.h - how far made adapters are from those they should be (Charakorn et al.
 * 2025, reconstruction training).
 *
 * Two measures, both means of absolute differences, averaged over the module types:
 * - factors: (mean|A - A*| + mean|B - B*|) / 2. With z-scores the targets are A* = (target - mean)
 *   / (deviation + 1e-10), element by element over the tasks, the deviation the unbiased one.
 * - delta W: mean|B A - factor * B* A*|. The LoRA scale is left out on both sides, and the made A
 *   and B are sqrt(factor) times too large: they are divided by it where an adapter is made.
 *
 * The products are never kept: each is formed, compared and walked back at once, so that memory is
 * that of one module of one layer.
 */
#ifndef ENGINE_TRAINING_RECONSTRUCTION_H
#define ENGINE_TRAINING_RECONSTRUCTION_H

#include "engine/training/task-batch.h"

/* made: a[i] [n, n_layers, rank, in], bt[i] alike. targets: the same modules, without gradient;
 * row i of MADE is compared with row target_rows[i] of TARGETS. -> scalar, NULL with the error in
 * OPS. */
struct tensor *reconstruction_factors_loss(struct ops *ops, const struct lora_stack *made,
    const struct lora_stack *targets, const int64_t *target_rows);
struct tensor *reconstruction_delta_loss(struct ops *ops, const struct lora_stack *made,
    const struct lora_stack *targets, const int64_t *target_rows, float factor);

/* Mean and unbiased standard deviation of each element of VALUES [n, n_elements] over its rows;
 * n >= 2. */
void reconstruction_moments(
    const float *values, int64_t n, int64_t n_elements, float *mean, float *deviation);
/* VALUES become their z-scores. */
void reconstruction_standardise(
    float *values, int64_t n, int64_t n_elements, const float *mean, const float *deviation);

#endif
