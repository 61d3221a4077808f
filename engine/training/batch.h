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
	/* Noise on the embeddings (NEFTune): row i's is drawn from noise_seed and noise_first + i.
	 */
	float noise; /* its bound; 0: none */
	uint64_t noise_seed;
	int64_t noise_first;
	bool recompute; /* activations are computed again on the way back */
	/* Rows that go through the decoder together and back before the next do; a sequence is never
	 * cut, so there may be more. 0: all. */
	int64_t chunk_rows;
};

void batch_reset(struct batch *batch);
void batch_release(struct batch *batch);

/* Adds a sequence. labels[i] is LABEL_IGNORED where predicting ids[i] does not count (not
 * shifted); labels[0] cannot count. Each counted token weighs WEIGHT. */
enum t2l_status batch_add(struct batch *batch, const int32_t *ids, const int32_t *labels, int64_t n,
    float weight, struct t2l_error *err);

/* The same for a prompt of N_PROMPT tokens and the response behind it, which counts. */
enum t2l_status batch_add_response(struct batch *batch, const int32_t *ids, int64_t n,
    int64_t n_prompt, float weight, struct t2l_error *err);

/* PART becomes the rows ROW_BEGIN .. ROW_END-1 of WHOLE, which are whole sequences. */
enum t2l_status batch_take(struct batch *part, const struct batch *whole, int64_t row_begin,
    int64_t row_end, struct t2l_error *err);
/* Row where sequence NUMBER begins; that of number n_sequences is n_rows. */
int64_t batch_sequence(const struct batch *batch, int64_t number);
int64_t batch_n_sequences(const struct batch *batch);
int64_t batch_longest_sequence(const struct batch *batch);

/* Forward through the decoder and the cross entropy of the counted tokens (a sum with their
 * weights), in chunks of whole sequences, each of which goes back at once (op_loss_part: the loss
 * counts once). */
struct tensor *batch_loss(struct ops *ops, const struct decoder *decoder, const struct batch *batch,
    const struct lora_table *lora, float label_smoothing);

/* The most rows that a chunk of a batch may have. */
int64_t batch_longest_chunk(int64_t n_rows, int64_t chunk_rows, int64_t longest_sequence);

#endif
