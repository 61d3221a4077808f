/*
 * models/rope.h - the frequencies of rotary position embedding and how they are stretched for long
 * texts.
 *
 * Plain (Su et al. 2021): inv_freq[i] = theta^(-2i / n_rot). The other kinds change them: linear
 * interpolation (Chen et al. 2023), dynamic NTK, YaRN (Peng et al. 2023), LLaMA 3.1's three bands,
 * LongRoPE's two lists of divisors (Ding et al. 2024). Dynamic and longrope depend on how long the
 * text is: a key that was cached with the frequencies of a shorter text is wrong for a longer one.
 */
#ifndef ENGINE_MODELS_ROPE_H
#define ENGINE_MODELS_ROPE_H

#include <stdbool.h>
#include <stdint.h>

#define ROPE_MAX_PAIRS 256

enum rope_kind {
	ROPE_PLAIN,
	ROPE_LINEAR,
	ROPE_DYNAMIC,
	ROPE_YARN,
	ROPE_LLAMA3,
	ROPE_LONG,     /* short_divisors, and long_divisors beyond original_context */
	ROPE_DIVISORS, /* short_divisors always: LLaMA 3.1 as GGUF files have it */
};

struct rope_config {
	enum rope_kind kind;
	double theta;
	int n_rot;	      /* elements of a head that turn, even; 0: all */
	int original_context; /* of the training before stretching; of dynamic: where it begins */
	double factor;
	double low_frequency_factor, high_frequency_factor; /* llama3 */
	double beta_fast, beta_slow;			    /* yarn */
	bool whole_bounds; /* yarn: the ramp's bounds are rounded outwards to whole pairs */
	double magnitude;  /* cos and sin are multiplied by it; > 0 */
	int n_divisors;	   /* n_rot / 2 where a kind needs them */
	float short_divisors[ROPE_MAX_PAIRS], long_divisors[ROPE_MAX_PAIRS];
};

/* Texts with the same key have the same frequencies; 0 for all texts of most kinds, and for short
 * texts of the others. */
int64_t rope_key(const struct rope_config *config, int64_t length);
/* The frequencies of texts with that key: into INV_FREQ [n_rot / 2]. */
void rope_frequencies(const struct rope_config *config, int64_t key, float *inv_freq);

/* What LLaMA 3.1's bands divide plain frequencies by: into DIVISORS [n_rot / 2]. And back: the
 * original context, low and high factor and factor of bands that give DIVISORS (to 1e-5) into
 * CONFIG, which has theta and n_rot; false when none do. Only the ratio of the factors to the
 * context counts, so that low_frequency_factor is 1. */
void rope_llama3_divisors(const struct rope_config *config, float *divisors);
bool rope_llama3_fit(struct rope_config *config, const float *divisors);

/* The magnitudes that YaRN and LongRoPE prescribe. */
double rope_yarn_magnitude(double factor);
double rope_long_magnitude(double factor, int original_context);

#endif
