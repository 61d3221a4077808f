/*
 * inference/sampler.h - from logits to the next token.
 *
 * A chain of steps over the candidates: penalties on the raw logits, temperature, top-k, top-p,
 * min-p, in this order (that of transformers). Each step sees what the ones before it left and
 * leaves at least one candidate. Arithmetic is in double, candidates stay in rising id order, so
 * the kept set and the draw are exact and the same everywhere.
 *
 * A sampler is scratch memory of one thread.
 */
#ifndef ENGINE_INFERENCE_SAMPLER_H
#define ENGINE_INFERENCE_SAMPLER_H

#include "engine/t2l.h"

struct sampler;

/* NULL when out of memory. */
struct sampler *sampler_create(int vocab_size);
void sampler_free(struct sampler *sampler);

/* Ranges of every option. Errors: T2L_EINVAL names it. */
enum t2l_status sampling_check(const struct t2l_sampling *sampling, struct t2l_error *err);

/* The next token after PREVIOUS (prompt and output, for the penalties); -1 when no logit is a
 * number. STEP counts the lane's draws from 0: the same seed and step draw the same number. */
int32_t sampler_next(struct sampler *sampler, const struct t2l_sampling *sampling,
    const float *logits, const int32_t *previous, size_t n_previous, uint64_t step);

/* ---- the steps ---- */

struct candidate {
	int32_t id;
	double logit;
};

void sampler_load(struct sampler *sampler, const float *logits);
/* For each distinct previous token: logit / penalty when positive, * penalty when negative (Keskar
 * et al. 2019). */
void sampler_repetition_penalty(
    struct sampler *sampler, float penalty, const int32_t *previous, size_t n);
/* logit -= frequency * count + presence, for each token that is there. */
void sampler_count_penalties(
    struct sampler *sampler, float frequency, float presence, const int32_t *previous, size_t n);
void sampler_temperature(struct sampler *sampler, float temperature);
/* Ties with the k-th largest stay. */
void sampler_top_k(struct sampler *sampler, int k);
/* The smallest set, from the most probable on, whose mass reaches P; ties by id. */
void sampler_top_p(struct sampler *sampler, float p);
/* Drops what is less probable than P times the most probable. */
void sampler_min_p(struct sampler *sampler, float p);

const struct candidate *sampler_candidates(const struct sampler *sampler, size_t *n);
/* The first id whose running sum of probabilities is above U of the whole. */
int32_t sampler_draw(struct sampler *sampler, double u);
int32_t sampler_best(const struct sampler *sampler); /* of ties the lowest id */

/* In [0, 1), from a counter-based generator (splitmix64's finaliser, Steele et al. 2014). */
double sampler_uniform(uint64_t seed, uint64_t step);

#endif
