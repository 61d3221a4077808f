/*
 * cpu/cpu-state.h - what every operation of the CPU backend gets as its state.
 *
 * Kernels are compiled once per instruction set from the same sources (kernels-*.c, built three
 * times with KERNELS_SUFFIX avx512, avx2, plain); each build exports two tables of functions. The operations
 * (linear.c, attention.c, ...) cut work into pieces for the pool and call the kernels of the table.
 */
#ifndef ENGINE_CPU_CPU_STATE_H
#define ENGINE_CPU_CPU_STATE_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/cpu/threads.h"
#include "engine/tensor/backend.h"

struct matmul_kernels; /* cpu/kernels-matmul.h: dot products, packing, GEMM micro-kernels */
struct bf16_kernels;   /* the same file: rounding and micro-kernels of bf16 products */
struct row_kernels;    /* cpu/kernels-rows.h: norms, softmax, exp, activations, axpy, adamw */

struct cpu {
	struct thread_pool *pool;
	const struct matmul_kernels *matmul;
	const struct bf16_kernels *bf16;
	const struct row_kernels *rows;
	const char *isa; /* "avx512", "avx2", "plain" */
	bool precise;
	/* One growing scratch buffer a worker and one shared by an operation (packed panels). */
	void **worker_scratch;
	size_t *worker_scratch_bytes;
	void *shared_scratch;
	size_t shared_scratch_bytes;
};

/* At least BYTES of 64-byte aligned memory, kept for the next call. NULL when out of memory:
 * the caller then works in place on smaller pieces. */
void *cpu_worker_scratch(struct cpu *cpu, int worker, size_t bytes);
void *cpu_shared_scratch(struct cpu *cpu, size_t bytes);

/* The two halves of the table are filled by matmul-table.c and rows-table.c. */
void cpu_fill_matmul(struct backend *backend); /* linear*, gemm, lora* */
void cpu_fill_rows(struct backend *backend);   /* all the others */
/* A full table's linear* and gemm become those of bf16. */
void cpu_fill_bf16(struct backend *backend);

#endif
