/*
 * training/batch.h - sequences packed one after the other into the rows of one batch, no padding.
 *
 * A row holds one token and predicts the next; a sequence of n tokens takes n - 1 rows. Each row
 * sees the rows of its own sequence up to itself.
 */
#ifndef ENGINE_TRAINING_BATCH_H
#define ENGINE_TRAINING_BATCH_H

#include "engine/models/decoder.h"
#include "engine/t2l.h"

#define LABEL_IGNORED (-100)

struct batch {
	int64_t n_rows, n_outputs, n_allocated;
	int32_t *tokens, *positions, *kv_begin, *kv_end; /* [n_rows] */
	int32_t *output_rows, *targets; /* [n_outputs]: rows whose next token counts */
	float *weights;			/* [n_outputs] */
};

void batch_reset(struct batch *batch);
void batch_release(struct batch *batch);

/* Adds a sequence. labels[i] is ids[i] where predicting it counts, LABEL_IGNORED elsewhere (not
 * shifted); labels[0] cannot count. Each counted token weighs WEIGHT. */
enum t2l_status batch_add(struct batch *batch, const int32_t *ids, const int32_t *labels, int64_t n,
    float weight, struct t2l_error *err);

/* Forward through the decoder and the cross entropy of the counted tokens (a sum with their
 * weights). */
struct tensor *batch_loss(struct ops *ops, const struct decoder *decoder, const struct batch *batch,
    const struct lora_table *lora, float label_smoothing);

#endif
