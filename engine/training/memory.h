/*
 * training/memory.h - how much memory a pass through a decoder takes while it is recorded.
 */
#ifndef ENGINE_TRAINING_MEMORY_H
#define ENGINE_TRAINING_MEMORY_H

#include "engine/models/decoder.h"

/* Bytes of the results and gradients of N_ROWS rows, N_OUTPUTS of them with logits. RECOMPUTE: one
 * activation a layer is kept, and one layer's worth is there at a time. */
uint64_t decoder_training_bytes(
    const struct decoder_config *config, int64_t n_rows, int64_t n_outputs, bool recompute);

/* Bytes that this process has in memory beside mapped files, and the program's own pages; without
 * a system that says (Linux does): only those. */
uint64_t resident_bytes(void);

#endif
