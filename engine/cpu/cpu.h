/*
 * cpu/cpu.h - the CPU backend: opens the table of operations for the processor it runs on.
 *
 * The instruction set is found at run time (avx512 > avx2 > plain); ISA overrides it, for tests
 * and for `--precise`. All three give the same results to rounding.
 */
#ifndef ENGINE_CPU_CPU_H
#define ENGINE_CPU_CPU_H

#include "engine/t2l.h"
#include "engine/tensor/backend.h"

struct cpu_options {
	int n_threads;	 /* 0: as many as the process may run on */
	const char *isa; /* NULL or "auto", "avx512", "avx2", "plain" */
	bool precise;	 /* f32 activations everywhere, no quantised dot products */
	bool no_pairs; /* products of bf16 as processors without AVX512_BF16 form them, for tests */
};

/* Errors: T2L_EINVAL (unknown isa, or one this processor lacks), T2L_ENOMEM. */
enum t2l_status cpu_backend_open(
    const struct cpu_options *options, struct backend **backend, struct t2l_error *err);
void cpu_backend_close(struct backend *backend);

/* "avx512 (f, bw, vl, vnni, bf16)": what the processor has; lives as long as the program. */
const char *cpu_features(void);

#endif
