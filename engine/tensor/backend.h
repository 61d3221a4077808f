/*
 * tensor/backend.h - the table of operations that a backend provides.
 *
 * cpu/ and cuda/ each fill one table; the rooms above reach it only through tensor/ops.h and
 * never know which they got. Every function takes STATE (the backend's own) first. Activations
 * are f32 [rows, cols]; weights may be any float or quantised dtype. Functions named *_backward
 * ADD into the gradient pointers they are given and skip those that are NULL.
 * Results do not depend on the number of threads, and the same call gives the same bits again.
 */
#ifndef ENGINE_TENSOR_BACKEND_H
#define ENGINE_TENSOR_BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/tensor/tensor.h"

/* Element-wise functions with a derivative. GELU is the exact erf form, GELU_TANH the
 * approximation of Hendrycks & Gimpel; SILU x * sigmoid(x) (also called swish). */
enum activation { ACTIVATION_SILU, ACTIVATION_GELU, ACTIVATION_GELU_TANH, ACTIVATION_RELU,
	ACTIVATION_TANH, N_ACTIVATIONS };

/* Rotary position embedding (Su et al. 2021). The first N_ROT of each head's HEAD_DIM elements
 * turn by position * inv_freq[i]; element i is paired with i + n_rot/2 (HALVES, as Hugging Face)
 * or 2i with 2i+1 (NEIGHBOURS, as GGUF files of the llama family). cos and sin are multiplied
 * by magnitude (1 but for yarn and longrope). */
struct rope {
	bool neighbours;
	int n_rot;
	const float *inv_freq; /* [n_rot / 2] */
	float magnitude;
};

/* Rows row_begin .. row_end-1 turn by ROPE. */
struct rope_run {
	int64_t row_begin, row_end;
	struct rope rope;
};

/* Which keys each query row sees: rows kv_begin[i] .. kv_end[i]-1 of K and V. Causal, windowed,
 * bidirectional, packed and cached attention are all this. kv_end > kv_begin always. */
struct attention_shape {
	int n_heads, n_kv_heads, head_dim; /* n_heads is a multiple of n_kv_heads */
	float scale;                       /* of q.k, usually 1/sqrt(head_dim) */
	float softcap;                     /* cap * tanh(score / cap); 0 = none */
	const int32_t *kv_begin, *kv_end;  /* [rows of q] */
};

/* The low-rank part for ROW_COUNT rows from ROW_BEGIN on: y += scale * (x A^T) B^T, with
 * A [rank, in] and B kept transposed, BT [rank, out], both f32. Several spans may cover the same
 * rows (a weighted mix). */
struct lora_span {
	int64_t row_begin, row_count;
	const struct tensor *a, *bt;
	float scale;
};

struct adamw {
	/* In double: 1 - beta2 of an f32 0.999 would be off by 1e-5. */
	double learning_rate, beta1, beta2, epsilon, weight_decay;
	float gradient_scale; /* from clipping */
	int64_t step;         /* from 1, for bias correction */
};

struct backend {
	const char *name;        /* "cpu" */
	const char *description; /* "cpu avx512, 2 threads" */
	void *state;
	void (*close)(void *state);
	/* The same backend, but linear, linear_backward and gemm round the operands of their
	 * products to bf16 (to nearest, ties to even) and add them up in f32; it lives as long as this
	 * one. NULL in that table itself. */
	const struct backend *bf16;

	/* y[rows,out] = x[rows,in] W[out,in]^T + bias[out] (bias may be NULL). Fast for one row
	 * (decode: bound by memory bandwidth of W), for a few (K lanes read W once) and many. */
	void (*linear)(void *state, const struct tensor *x, const struct tensor *w,
	    const float *bias, struct tensor *y);
	/* dx += dy W; dW += dy^T x; dbias += column sums of dy. W may be quantised for dx. */
	void (*linear_backward)(void *state, const struct tensor *x, const struct tensor *w,
	    const float *dy, float *dx, float *dw, float *dbias);
	/* C[m,n] = alpha * op(A) op(B) + beta * C, all f32 row-major; op transposes when asked. */
	void (*gemm)(void *state, bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k,
	    float alpha, const float *a, const float *b, float beta, float *c);

	void (*lora)(void *state, const struct tensor *x, const struct lora_span *spans, int n_spans,
	    struct tensor *y);
	/* Gradients of each span's A and BT go into their tensor's grad (NULL: skipped). */
	void (*lora_backward)(void *state, const struct tensor *x, const struct lora_span *spans,
	    int n_spans, const float *dy, int64_t out_cols, float *dx);

	/* out[i] = row ids[i] of TABLE, widened to f32. backward: dtable[ids[i]] += dout[i]. */
	void (*gather_rows)(void *state, const struct tensor *table, const int32_t *ids, int64_t n,
	    struct tensor *out);
	void (*gather_rows_backward)(void *state, const int32_t *ids, int64_t n, int64_t cols,
	    int64_t table_rows, const float *dout, float *dtable);
	/* CACHE (f32, f16, bf16 or q8_0) row slots[i] = x row i. */
	void (*store_rows)(void *state, const struct tensor *x, const int32_t *slots,
	    struct tensor *cache);

	/* y = x / rms(x) * (w + offset). Gemma: offset 1, others 0. (Zhang & Sennrich 2019) */
	void (*rms_norm)(void *state, const struct tensor *x, const float *w, float offset,
	    float epsilon, struct tensor *y);
	void (*rms_norm_backward)(void *state, const struct tensor *x, const float *w, float offset,
	    float epsilon, const float *dy, float *dx, float *dw);
	void (*layer_norm)(void *state, const struct tensor *x, const float *w, const float *bias,
	    float epsilon, struct tensor *y);
	void (*layer_norm_backward)(void *state, const struct tensor *x, const float *w,
	    float epsilon, const float *dy, float *dx, float *dw, float *dbias);

	/* y (+)= x turned; inverse turns back, which is the gradient of a rotation. */
	void (*rope)(void *state, const struct tensor *x, const int32_t *positions,
	    const struct rope *rope, int head_dim, bool inverse, struct tensor *y, bool add);

	/* q [rows, heads*hd]; k, v [n_kv, kv_heads*hd] in f32, f16, bf16 or (heads of whole
	 * blocks) q8_0; out like q. */
	void (*attention)(void *state, const struct tensor *q, const struct tensor *k,
	    const struct tensor *v, const struct attention_shape *shape, struct tensor *out);
	/* Recomputes the probabilities; k and v f32. */
	void (*attention_backward)(void *state, const struct tensor *q, const struct tensor *k,
	    const struct tensor *v, const struct attention_shape *shape, const float *dout,
	    float *dq, float *dk, float *dv);

	/* The N_USED largest of each row's LOGITS (f32 [rows, n_experts]), in descending order: which
	 * into IDS, their softmax over all logits (over the chosen alone: renormalise) into WEIGHTS,
	 * both [rows, n_used]. (Shazeer et al. 2017) */
	void (*route)(void *state, const struct tensor *logits, int n_used, bool renormalise,
	    int32_t *ids, float *weights);
	void (*route_backward)(void *state, const struct tensor *logits, int n_used,
	    bool renormalise, const int32_t *ids, const float *dweights, float *dlogits);
	/* y row rows[i] += weights[weight_at[i]] * x row i; the rows are distinct. */
	void (*add_weighted_rows)(void *state, const struct tensor *x, const int32_t *rows,
	    const float *weights, const int32_t *weight_at, struct tensor *y);
	void (*add_weighted_rows_backward)(void *state, const struct tensor *x,
	    const int32_t *rows, const float *weights, const int32_t *weight_at, const float *dy,
	    float *dx, float *dweights);

	void (*activate)(void *state, enum activation kind, int64_t n, const float *x, float *y);
	void (*activate_backward)(void *state, enum activation kind, int64_t n, const float *x,
	    const float *dy, float *dx);
	/* y = act(gate) * up */
	void (*gate)(void *state, enum activation kind, int64_t n, const float *gate,
	    const float *up, float *y);
	void (*gate_backward)(void *state, enum activation kind, int64_t n, const float *gate,
	    const float *up, const float *dy, float *dgate, float *dup);

	/* y = alpha * a + beta * b; b may be NULL. In place is fine. */
	void (*add)(void *state, int64_t n, float alpha, const float *a, float beta, const float *b,
	    float *y);
	/* The same with one row [cols] of b for every row of a; and its gradient,
	 * out[c] += factor * sum over rows of x[r, c]. */
	void (*add_row)(void *state, int64_t rows, int64_t cols, float alpha, const float *a,
	    float beta, const float *row, float *y);
	void (*sum_rows)(void *state, int64_t rows, int64_t cols, float factor, const float *x,
	    float *out);
	void (*multiply)(void *state, int64_t n, const float *a, const float *b, float *y);
	/* y += a * b */
	void (*multiply_add)(void *state, int64_t n, const float *a, const float *b, float *y);
	/* out[:, to:to+n] (+)= x[:, from:from+n], both row-major with their own widths. */
	void (*copy_columns)(void *state, int64_t rows, int64_t n, const float *x, int64_t x_cols,
	    int64_t from, float *out, int64_t out_cols, int64_t to, bool add);
	/* y[cols, rows] (+)= x[rows, cols] transposed. */
	void (*transpose)(void *state, int64_t rows, int64_t cols, const float *x, float *y,
	    bool add);
	/* Keeps x / (1-p) where the counter-based generator at (seed, index) says so, else 0; add
	 * decides between = and +=. The same seed gives the same mask (so backward needs no mask).
	 * The elements are numbered from FIRST on: a piece of a longer run has the mask it has
	 * there. */
	void (*dropout)(void *state, uint64_t first, int64_t n, float p, uint64_t seed,
	    const float *x, float *y, bool add);
	/* out[s] = mean of x rows begin[s] .. end[s]-1. */
	void (*mean_rows)(void *state, const struct tensor *x, const int32_t *begin,
	    const int32_t *end, int64_t n, struct tensor *out);
	void (*mean_rows_backward)(void *state, int64_t cols, const int32_t *begin,
	    const int32_t *end, int64_t n, const float *dout, float *dx);
	/* y = x / max(|x|, floor) for each row; floor > 0. */
	void (*unit_rows)(void *state, const struct tensor *x, float floor, struct tensor *y);
	void (*unit_rows_backward)(void *state, const struct tensor *x, float floor, const float *dy,
	    float *dx);

	/* *loss = sum over rows of weights[i] * ((1-s) * -log p[target] + s * mean over the
	 * vocabulary of -log p); rows with target < 0 are skipped. best[i] (may be NULL) = arg max. */
	void (*cross_entropy)(void *state, const struct tensor *logits, const int32_t *targets,
	    const float *weights, float smoothing, double *loss, int32_t *best);
	void (*cross_entropy_backward)(void *state, const struct tensor *logits,
	    const int32_t *targets, const float *weights, float smoothing, float dloss,
	    float *dlogits);
	/* Sums in double: of x^2, of |x - y|, of (x - y)^2. */
	double (*sum_squares)(void *state, int64_t n, const float *x);
	double (*sum_abs_difference)(void *state, int64_t n, const float *x, const float *y);
	double (*sum_squared_difference)(void *state, int64_t n, const float *x, const float *y);
	/* dx += factor * sign(x - y) */
	void (*sign_difference)(void *state, int64_t n, float factor, const float *x, const float *y,
	    float *dx);

	/* Decoupled weight decay (Loshchilov & Hutter 2019), moments m and v. */
	void (*adamw)(void *state, const struct adamw *options, int64_t n, const float *gradient,
	    float *m, float *v, float *parameter);
};

#endif
