/*
 * training/random.h - random numbers that can be asked for at any point.
 *
 * Training keeps no generator state: what step 700 draws is a function of (seed, stream, 700), so
 * a resumed run is the same run. splitmix64 (Steele, Lea & Flood 2014).
 */
#ifndef ENGINE_TRAINING_RANDOM_H
#define ENGINE_TRAINING_RANDOM_H

#include <math.h>
#include <stdint.h>

struct random {
	uint64_t state;
};

static inline uint64_t
random_next(struct random *random)
{
	uint64_t z = (random->state += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

/* A generator of its own for each (seed, stream, index). */
static inline struct random
random_at(uint64_t seed, uint64_t stream, uint64_t index)
{
	struct random random = { seed };
	uint64_t a = random_next(&random);

	random.state = a ^ (stream * 0xd1342543de82ef95u);
	a = random_next(&random);
	random.state = a ^ (index * 0xaf251af3b0f025b5u);
	return random;
}

/* 0 .. n-1; n > 0. The bias of the multiply-shift is below 2^-32 for the sizes used here. */
static inline uint64_t
random_below(struct random *random, uint64_t n)
{
	return (uint64_t)(((unsigned __int128)random_next(random) * n) >> 64);
}

/* [0, 1) */
static inline double
random_uniform(struct random *random)
{
	return (double)(random_next(random) >> 11) * 0x1p-53;
}

static inline double
random_normal(struct random *random)
{
	double u = 1.0 - random_uniform(random), v = random_uniform(random);

	return sqrt(-2.0 * log(u)) * cos(6.283185307179586 * v);
}

/* order[0..n-1] = a permutation of 0 .. n-1 (Fisher & Yates). */
static inline void
random_permutation(struct random *random, int32_t *order, int32_t n)
{
	for (int32_t i = 0; i < n; i++) {
		int32_t j = (int32_t)random_below(random, (uint64_t)i + 1);

		order[i] = order[j];
		order[j] = i;
	}
}

#endif
