/*
 * training/memory.h - how much memory a pass takes while it is recorded, and what is taken already.
 */
#ifndef ENGINE_TRAINING_MEMORY_H
#define ENGINE_TRAINING_MEMORY_H

#include "engine/models/decoder.h"
#include "engine/models/encoder.h"

/* Bytes of the results and gradients of N_ROWS rows, N_OUTPUTS of them with logits. RECOMPUTE: one
 * activation a layer is kept, and one layer's worth is there at a time. */
uint64_t decoder_training_bytes(
    const struct decoder_config *config, int64_t n_rows, int64_t n_outputs, bool recompute);

/* How many rows of a batch should go through the base together: enough to feed its products, few
 * enough that their activations are no burden to memory and much of them still in the cache on the
 * way back. */
int64_t decoder_chunk_rows(const struct decoder_config *config, bool recompute);

/* Of N_ROWS tokens through an encoder. */
uint64_t encoder_training_bytes(const struct encoder_config *config, int64_t n_rows);

/* Bytes of this process in memory: its own, and pages of mapped files (the program, its libraries,
 * what it has read of weights). Zeros where the system does not say; Linux does. */
struct residence {
	uint64_t own, mapped;
};
struct residence residence_now(void);

#endif
