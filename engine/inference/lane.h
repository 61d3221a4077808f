/*
 * inference/lane.h - one of the timelines that run in a session's batch.
 *
 * A lane's text is tokens[0 .. n_tokens-1]; the keys and values of the first n_cached are in the
 * cache, in the lane's own run of slots. A step feeds some of the rest; a lane with nothing left to
 * feed gets its next token.
 */
#ifndef ENGINE_INFERENCE_LANE_H
#define ENGINE_INFERENCE_LANE_H

#include "engine/adapters/adapter.h"
#include "engine/inference/output-text.h"
#include "engine/text/tokenizer.h"

/* What a run asks of all its lanes, checked. */
struct run_plan {
	const struct t2l_run *run;
	struct stop_strings stop;
	const struct decoder_config *config; /* its EOS */
	const struct tokenizer *tokenizer;   /* NULL: ids only */
	/* Stop strings that name a special token: as that token is no text, it is looked for by
	 * its id. */
	int32_t *stop_ids;
	size_t n_stop_ids;
	double start_ms;
};

struct lane {
	size_t index, room; /* which one; how many tokens it has room for */

	struct t2l_adapter **given; /* as the caller knows them (references) */
	struct t2l_adapter **ready; /* as the base's file needs them (references) */
	float *weights;
	size_t n_adapters;
	int group; /* lanes of one run with the same adapters have the same */

	int32_t *prompt; /* waits for the next run */
	size_t n_prompt_waiting;

	int32_t *tokens; /* [room + 1]: the last one may never be fed */
	size_t n_tokens, n_cached, n_prompt;
	size_t n_fed;	  /* in the step that runs */
	int64_t rope_key; /* of the cached keys (models/rope.h) */

	bool live;
	const struct t2l_sampling *sampling;
	size_t n_output;   /* tokens that count as output */
	size_t *text_ends; /* [room + 1]: bytes of text after each token of the output */
	struct output_text text;
	struct token_stream *stream; /* NULL without a tokenizer */
	struct t2l_lane_result result;
	double first_token_at;
};

enum t2l_status lane_open(struct lane *lane, size_t index, size_t room,
    const struct tokenizer *tokenizer, struct t2l_error *err);
void lane_close(struct lane *lane); /* fine on a zeroed one */

bool lane_has_adapters(const struct lane *lane, const struct t2l_adapter *const *adapters,
    const float *weights, size_t n);
bool lane_same_adapters(const struct lane *a, const struct lane *b);
void lane_drop_adapters(struct lane *lane);

/* The prompt that waits becomes the lane's text; what it shares with the cache stays. */
void lane_begin(struct lane *lane, const struct run_plan *plan);
/* The prompt is in the cache and nothing is wanted but that. */
void lane_end_prompt_only(struct lane *lane, const struct run_plan *plan);
/* Takes the next token: ends the lane, or adds it to its text, and tells the caller. */
enum t2l_status lane_take_token(
    struct lane *lane, const struct run_plan *plan, int32_t id, struct t2l_error *err);
void lane_cancel(struct lane *lane, const struct run_plan *plan);

#endif
