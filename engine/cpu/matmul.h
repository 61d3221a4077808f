/*
 * cpu/matmul.h - the one matrix product that linear layers, their gradients and low-rank parts
 * are made of, and the entries of the backend's table that this half of the room provides.
 */
#ifndef ENGINE_CPU_MATMUL_H
#define ENGINE_CPU_MATMUL_H

#include "engine/cpu/cpu-state.h"
#include "engine/cpu/kernels-matmul.h"

/* The left side, A [m, k]: element (i, kk) is at[i * row + kk * k]. Both steps 0: one number. */
struct left {
	const float *at;
	int64_t row, k;
};

/* The right side, B [k, n], or its transpose [n, k], of any float or quantised dtype. */
struct right {
	const void *at;
	size_t row_bytes;
	enum dtype dtype;
	bool transposed;
};

/* C[m, n] = alpha * A B + beta * C + bias[n]. beta 0: C is not read. bias (or NULL) only with
 * alpha 1. */
struct product {
	int64_t m, n, k;
	struct left a;
	struct right b;
	float *c;
	float alpha, beta;
	const float *bias;
	bool bf16; /* A and B are rounded to it as they are read */
};

/* Sides that are f32 matrices of COLS columns, as they lie or turned. */
static inline struct left
left_rows(const float *matrix, int64_t cols)
{
	return (struct left){ matrix, cols, 1 };
}

static inline struct left
left_turned(const float *matrix, int64_t cols)
{
	return (struct left){ matrix, 1, cols };
}

static inline struct right
right_rows(const float *matrix, int64_t cols)
{
	return (struct right){ matrix, (size_t)cols * sizeof(float), DTYPE_F32, false };
}

static inline struct right
right_turned(const float *matrix, int64_t cols)
{
	return (struct right){ matrix, (size_t)cols * sizeof(float), DTYPE_F32, true };
}

static inline struct right
right_stored(const struct tensor *w, bool transposed)
{
	return (struct right){ w->data, dtype_row_bytes(w->dtype, tensor_cols(w)), w->dtype,
		transposed };
}

/* On all threads. */
void cpu_product(struct cpu *cpu, const struct product *product);

/* Columns N_BEGIN .. N_END-1 (N_BEGIN a multiple of 32) on this thread. SCRATCH is
 * PRODUCT_SCRATCH_BYTES that this thread may use, 64-byte aligned; p->m is at most
 * PRODUCT_MAX_ROWS. */
void cpu_product_part(
    struct cpu *cpu, const struct product *product, int64_t n_begin, int64_t n_end, float *scratch);

/* Rows of A in one part, and the steps of k that a panel holds. */
#define PRODUCT_MAX_ROWS 516
#define PRODUCT_MAX_K 384
/* One panel, and a copy of A's part whose rows are a cache line further apart. */
#define PRODUCT_A_ROW (PRODUCT_MAX_K + 16)
#define PRODUCT_SCRATCH_BYTES                                                                      \
	((PRODUCT_MAX_K * MAX_PANEL_COLS + PRODUCT_MAX_ROWS * PRODUCT_A_ROW) * sizeof(float))

/* Every worker has this much scratch from the start, so products and low-rank parts never fail. */
#define LORA_ROWS 64   /* rows of one piece */
#define LORA_RANKS 256 /* of one step through a piece; larger ranks take several */
#define MATMUL_SCRATCH_BYTES (PRODUCT_SCRATCH_BYTES + LORA_ROWS * LORA_RANKS * sizeof(float))

void cpu_linear(void *state, const struct tensor *x, const struct tensor *w, const float *bias,
    struct tensor *y);
void cpu_linear_backward(void *state, const struct tensor *x, const struct tensor *w,
    const float *dy, float *dx, float *dw, float *dbias);
void cpu_gemm(void *state, bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k,
    float alpha, const float *a, const float *b, float beta, float *c);
/* The same with both operands rounded to bf16; a bias and its gradient are sums, and stay f32. */
void cpu_linear_bf16(void *state, const struct tensor *x, const struct tensor *w, const float *bias,
    struct tensor *y);
void cpu_linear_backward_bf16(void *state, const struct tensor *x, const struct tensor *w,
    const float *dy, float *dx, float *dw, float *dbias);
void cpu_gemm_bf16(void *state, bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k,
    float alpha, const float *a, const float *b, float beta, float *c);
void cpu_lora(void *state, const struct tensor *x, const struct lora_span *spans, int n_spans,
    struct tensor *y);
void cpu_lora_backward(void *state, const struct tensor *x, const struct lora_span *spans,
    int n_spans, const float *dy, int64_t out_cols, float *dx);

#endif
