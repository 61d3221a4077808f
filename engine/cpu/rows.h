/*
 * cpu/rows.h - the operations of the CPU backend that are no matrix products, and how they cut
 * work into pieces. The contracts are those of tensor/backend.h.
 */
#ifndef ENGINE_CPU_ROWS_H
#define ENGINE_CPU_ROWS_H

#include "engine/cpu/cpu-state.h"
#include "engine/cpu/kernels-rows.h"

/* Elements of a piece: enough to be worth handing to another thread, few enough to share. */
#define PIECE_ELEMENTS 16384
/* Operations that add up partial results keep one for each piece, at most so many. */
#define MAX_PARTIALS 32

/* Rows of COLS elements that make a piece. */
static inline int64_t
rows_per_piece(int64_t cols)
{
	return cols < PIECE_ELEMENTS ? PIECE_ELEMENTS / cols : 1;
}

/* Rows of a piece when there may be MAX_PARTIALS of them only. */
static inline int64_t
rows_per_partial(int64_t rows, int64_t cols)
{
	int64_t least = (rows + MAX_PARTIALS - 1) / MAX_PARTIALS, some = rows_per_piece(cols);

	return least > some ? least : some;
}

void cpu_gather_rows(
    void *state, const struct tensor *table, const int32_t *ids, int64_t n, struct tensor *out);
void cpu_gather_rows_backward(void *state, const int32_t *ids, int64_t n, int64_t cols,
    int64_t table_rows, const float *dout, float *dtable);
void cpu_store_rows(
    void *state, const struct tensor *x, const int32_t *slots, struct tensor *cache);
void cpu_mean_rows(void *state, const struct tensor *x, const int32_t *begin, const int32_t *end,
    int64_t n, struct tensor *out);
void cpu_mean_rows_backward(void *state, int64_t cols, const int32_t *begin, const int32_t *end,
    int64_t n, const float *dout, float *dx);

void cpu_rms_norm(void *state, const struct tensor *x, const float *w, float offset, float epsilon,
    struct tensor *y);
void cpu_rms_norm_backward(void *state, const struct tensor *x, const float *w, float offset,
    float epsilon, const float *dy, float *dx, float *dw);
void cpu_layer_norm(void *state, const struct tensor *x, const float *w, const float *bias,
    float epsilon, struct tensor *y);
void cpu_layer_norm_backward(void *state, const struct tensor *x, const float *w, float epsilon,
    const float *dy, float *dx, float *dw, float *dbias);
void cpu_unit_rows(void *state, const struct tensor *x, float floor, struct tensor *y);
void cpu_unit_rows_backward(
    void *state, const struct tensor *x, float floor, const float *dy, float *dx);

void cpu_rope(void *state, const struct tensor *x, const int32_t *positions,
    const struct rope *rope, int head_dim, bool inverse, struct tensor *y, bool add);

void cpu_route(void *state, const struct tensor *logits, int n_used, bool renormalise, int32_t *ids,
    float *weights);
void cpu_route_backward(void *state, const struct tensor *logits, int n_used, bool renormalise,
    const int32_t *ids, const float *dweights, float *dlogits);
void cpu_add_weighted_rows(void *state, const struct tensor *x, const int32_t *rows,
    const float *weights, const int32_t *weight_at, struct tensor *y);
void cpu_add_weighted_rows_backward(void *state, const struct tensor *x, const int32_t *rows,
    const float *weights, const int32_t *weight_at, const float *dy, float *dx, float *dweights);

void cpu_attention(void *state, const struct tensor *q, const struct tensor *k,
    const struct tensor *v, const struct attention_shape *shape, struct tensor *out);
void cpu_attention_backward(void *state, const struct tensor *q, const struct tensor *k,
    const struct tensor *v, const struct attention_shape *shape, const float *dout, float *dq,
    float *dk, float *dv);

void cpu_activate(void *state, enum activation kind, int64_t n, const float *x, float *y);
void cpu_activate_backward(
    void *state, enum activation kind, int64_t n, const float *x, const float *dy, float *dx);
void cpu_gate(
    void *state, enum activation kind, int64_t n, const float *gate, const float *up, float *y);
void cpu_gate_backward(void *state, enum activation kind, int64_t n, const float *gate,
    const float *up, const float *dy, float *dgate, float *dup);
void cpu_add(
    void *state, int64_t n, float alpha, const float *a, float beta, const float *b, float *y);
void cpu_add_row(void *state, int64_t rows, int64_t cols, float alpha, const float *a, float beta,
    const float *row, float *y);
void cpu_sum_rows(
    void *state, int64_t rows, int64_t cols, float factor, const float *x, float *out);
void cpu_multiply(void *state, int64_t n, const float *a, const float *b, float *y);
void cpu_multiply_add(void *state, int64_t n, const float *a, const float *b, float *y);
void cpu_copy_columns(void *state, int64_t rows, int64_t n, const float *x, int64_t x_cols,
    int64_t from, float *out, int64_t out_cols, int64_t to, bool add);
void cpu_transpose(void *state, int64_t rows, int64_t cols, const float *x, float *y, bool add);
void cpu_dropout(void *state, uint64_t first, int64_t n, float p, uint64_t seed, const float *x,
    float *y, bool add);

void cpu_cross_entropy(void *state, const struct tensor *logits, const int32_t *targets,
    const float *weights, float smoothing, double *loss, int32_t *best);
void cpu_cross_entropy_backward(void *state, const struct tensor *logits, const int32_t *targets,
    const float *weights, float smoothing, float dloss, float *dlogits);
double cpu_sum_squares(void *state, int64_t n, const float *x);
double cpu_sum_abs_difference(void *state, int64_t n, const float *x, const float *y);
double cpu_sum_squared_difference(void *state, int64_t n, const float *x, const float *y);
void cpu_sign_difference(
    void *state, int64_t n, float factor, const float *x, const float *y, float *dx);
void cpu_adamw(void *state, const struct adamw *options, int64_t n, const float *gradient, float *m,
    float *v, float *parameter);

#endif
