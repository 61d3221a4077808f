/*
 * cpu/kernels-rows.h - the inner loops of everything that is no matrix product, one table per
 * instruction set.
 *
 * They are plain loops that the compiler turns into vectors ("omp simd" lets it reorder a sum).
 * Sums over one row are in f32, one partial sum a vector element; sums over more are in double.
 * Kernels neither allocate nor fail, and take rows of any length and alignment.
 */
#ifndef ENGINE_CPU_KERNELS_ROWS_H
#define ENGINE_CPU_KERNELS_ROWS_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/tensor/backend.h"

/* Attention scores of some keys, [n_keys][width]: a column for each query (padding included), so
 * that the softmax of all queries goes down the columns at once. WIDTH is a multiple of 16.
 * Query c sees keys begin[c] .. end[c]-1; the strip's first is FIRST_KEY. */
struct score_strip {
	int64_t n_keys, width;
	int32_t first_key;
	const int32_t *begin, *end;
	float softcap;	      /* 0: none */
	float *scores;	      /* of q.k, scaled */
	float *slopes;	      /* out: derivative of the cap at each score; or NULL */
	float *maximum, *sum; /* [width]: of each query's scores and exponentials so far */
};

/* sums[i] += sum over the N_ROWS stored rows (f32, f16 or bf16) of weights[i][row] * row. */
struct weighted_sum {
	enum dtype dtype;
	const void *rows; /* the first of n_cols elements */
	size_t row_bytes;
	int64_t n_rows, n_cols;
	const float *weights; /* [n_sums], WEIGHTS_ROW apart */
	int64_t weights_row, n_sums;
	float *sums; /* [n_sums], SUMS_ROW apart */
	int64_t sums_row;
};

struct row_kernels {
	/* Elements. b of add may be NULL. */
	void (*add)(int64_t n, float alpha, const float *a, float beta, const float *b, float *y);
	void (*multiply)(int64_t n, const float *a, const float *b, float *y);
	void (*multiply_add)(int64_t n, const float *a, const float *b, float *y);
	void (*activate[N_ACTIVATIONS])(int64_t n, const float *x, float *y);
	void (*activate_backward[N_ACTIVATIONS])(
	    int64_t n, const float *x, const float *dy, float *dx);
	void (*gate[N_ACTIVATIONS])(int64_t n, const float *gate, const float *up, float *y);
	/* dgate or dup may be NULL. */
	void (*gate_backward[N_ACTIVATIONS])(int64_t n, const float *gate, const float *up,
	    const float *dy, float *dgate, float *dup);
	/* INDEX is that of the first element. */
	void (*dropout)(
	    uint64_t index, int64_t n, float p, uint64_t seed, const float *x, float *y, bool add);
	void (*sign_difference)(int64_t n, float factor, const float *x, const float *y, float *dx);
	void (*adamw)(const struct adamw *options, int64_t n, const float *gradient, float *m,
	    float *v, float *parameter);

	/* To and from f32, f16 or bf16. */
	void (*widen)(enum dtype dtype, const void *source, float *out, int64_t n);
	void (*narrow)(enum dtype dtype, const float *source, void *out, int64_t n);

	/* One row. Gradients are added; NULL is skipped. */
	void (*rms_norm)(
	    int64_t cols, const float *x, const float *w, float offset, float epsilon, float *y);
	void (*rms_norm_backward)(int64_t cols, const float *x, const float *w, float offset,
	    float epsilon, const float *dy, float *dx, float *dw);
	void (*layer_norm)(int64_t cols, const float *x, const float *w, const float *bias,
	    float epsilon, float *y);
	void (*layer_norm_backward)(int64_t cols, const float *x, const float *w, float epsilon,
	    const float *dy, float *dx, float *dw, float *dbias);
	void (*unit_row)(int64_t cols, const float *x, float floor, float *y);
	void (*unit_row_backward)(
	    int64_t cols, const float *x, float floor, const float *dy, float *dx);
	/* Turns N_HEADS heads of a row; cosines and sines are [n_rot / 2]. */
	void (*rope)(int64_t n_heads, int head_dim, const struct rope *rope, const float *cosines,
	    const float *sines, const float *x, float *y, bool add);

	/* Sums in double. */
	double (*sum_squares)(int64_t n, const float *x);
	double (*sum_abs_difference)(int64_t n, const float *x, const float *y);
	double (*sum_squared_difference)(int64_t n, const float *x, const float *y);

	/* Softmax of a row in steps: x = softcap * tanh(x / softcap); x = exp(x - maximum),
	 * which returns the sum. */
	void (*cap)(int64_t n, float softcap, float *x);
	double (*exponentiate)(int64_t n, float maximum, float *x);
	/* Softmax down the columns, strip by strip: scores become exp(cap(score) - maximum), 0
	 * where not seen. maximum (from -infinity) and sum (from 0) go on; what was summed under
	 * the old maximum is to be multiplied by correction [width]. */
	void (*softmax_columns)(const struct score_strip *strip, float *correction);
	/* The same when maximum and sum are final: scores become probabilities. */
	void (*probabilities)(const struct score_strip *strip);
	/* What softmax_columns left becomes probabilities; shared[c] = sum of P dP. */
	void (*normalise_columns)(const struct score_strip *strip, const float *dp, float *shared);
	/* dP becomes the scores' gradient P (dP - shared) slope. */
	void (*score_gradients)(const struct score_strip *strip, const float *shared, float *dp);
	void (*weighted_sum)(const struct weighted_sum *job);

	/* Cross entropy of a row of logits. */
	float (*maximum)(int64_t n, const float *x);
	int64_t (*first_of)(int64_t n, const float *x, float value); /* 0 when there is none */
	double (*sum)(int64_t n, const float *x);
	double (*sum_exp)(int64_t n, const float *x, float maximum);
	/* dx += factor * exp(x - maximum) + constant */
	void (*add_exp)(
	    int64_t n, const float *x, float maximum, float factor, float constant, float *dx);
};

extern const struct row_kernels row_kernels_plain;
#if defined(__x86_64__)
extern const struct row_kernels row_kernels_avx2, row_kernels_avx512;
#endif

#ifdef KERNELS_SUFFIX
#include "engine/cpu/kernels-matmul.h" /* KERNEL() */

/* kernels-softmax.c */
void KERNEL(cap)(int64_t n, float softcap, float *x);
double KERNEL(exponentiate)(int64_t n, float maximum, float *x);
void KERNEL(softmax_columns)(const struct score_strip *strip, float *correction);
void KERNEL(probabilities)(const struct score_strip *strip);
void KERNEL(normalise_columns)(const struct score_strip *strip, const float *dp, float *shared);
void KERNEL(score_gradients)(const struct score_strip *strip, const float *shared, float *dp);
float KERNEL(maximum)(int64_t n, const float *x);
int64_t KERNEL(first_of)(int64_t n, const float *x, float value);
double KERNEL(sum)(int64_t n, const float *x);
double KERNEL(sum_exp)(int64_t n, const float *x, float maximum);
void KERNEL(add_exp)(
    int64_t n, const float *x, float maximum, float factor, float constant, float *dx);

/* kernels-values.c */
void KERNEL(weighted_sum)(const struct weighted_sum *job);

/* kernels-norms.c */
void KERNEL(rms_norm)(
    int64_t cols, const float *x, const float *w, float offset, float epsilon, float *y);
void KERNEL(rms_norm_backward)(int64_t cols, const float *x, const float *w, float offset,
    float epsilon, const float *dy, float *dx, float *dw);
void KERNEL(layer_norm)(
    int64_t cols, const float *x, const float *w, const float *bias, float epsilon, float *y);
void KERNEL(layer_norm_backward)(int64_t cols, const float *x, const float *w, float epsilon,
    const float *dy, float *dx, float *dw, float *dbias);
void KERNEL(unit_row)(int64_t cols, const float *x, float floor, float *y);
void KERNEL(unit_row_backward)(
    int64_t cols, const float *x, float floor, const float *dy, float *dx);
void KERNEL(rope)(int64_t n_heads, int head_dim, const struct rope *rope, const float *cosines,
    const float *sines, const float *x, float *y, bool add);
#endif

#endif
