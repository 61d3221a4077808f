/*
 * cpu-backends.h - what tests of the CPU backend share: a backend for each instruction set that
 * this processor has, and reproducible numbers.
 */
#ifndef TESTS_UNIT_CPU_BACKENDS_H
#define TESTS_UNIT_CPU_BACKENDS_H

#include <stdint.h>
#include <stdlib.h>

#include "engine/cpu/cpu.h"

static const char *const isa_names[] = { "avx512", "avx2", "plain" };
#define N_ISAS ((int)(sizeof isa_names / sizeof isa_names[0]))

/* NULL when the processor lacks it. */
static inline struct backend *
open_cpu(int isa, int n_threads)
{
	struct cpu_options options = {
		.n_threads = n_threads, .isa = isa_names[isa], .precise = true
	};
	struct backend *backend = NULL;

	return cpu_backend_open(&options, &backend, NULL) == T2L_OK ? backend : NULL;
}

struct numbers {
	uint64_t state;
};

static inline uint32_t
next_bits(struct numbers *numbers)
{
	numbers->state =
	    numbers->state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(numbers->state >> 32);
}

/* In [-1, 1) */
static inline float
next_float(struct numbers *numbers)
{
	return (float)(next_bits(numbers) >> 7) / (float)(1 << 24) - 1;
}

/* In [least, most] */
static inline int
next_int(struct numbers *numbers, int least, int most)
{
	return least + (int)(next_bits(numbers) % (uint32_t)(most - least + 1));
}

static inline void
fill_floats(struct numbers *numbers, int64_t n, float *x)
{
	for (int64_t i = 0; i < n; i++)
		x[i] = next_float(numbers);
}

static inline float *
new_floats(struct numbers *numbers, int64_t n)
{
	float *x = malloc((size_t)n * sizeof *x);

	if (x == NULL)
		abort();
	fill_floats(numbers, n, x);
	return x;
}

#endif
