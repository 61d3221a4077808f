/*
 * tensor/ops.h - operations with memory: each runs at once on the backend, puts its result in
 * an arena and, when a tape is attached, notes how to go back.
 *
 * One forward pass serves inference and training: with recording off, an operation is the
 * backend call and nothing else. With it on, a result has a gradient when one of its inputs has,
 * and ops_backward() walks the tape from the end.
 *
 * Errors are sticky: when memory runs out (or a shape does not fit), the operation returns NULL,
 * every operation given NULL returns NULL, and ops_status() tells what happened. So a forward
 * pass is written straight down and checked once. Row numbers (ids, slots, targets, kv ranges,
 * spans) are checked here: the backend trusts them.
 *
 * Results live until ops_reset(). Index arrays (ids, positions, kv_begin, spans, ...) are copied
 * when recording, so the caller may free them after the call. One context belongs to one thread.
 */
#ifndef ENGINE_TENSOR_OPS_H
#define ENGINE_TENSOR_OPS_H

#include <stdatomic.h>

#include "engine/t2l.h"
#include "engine/tensor/arena.h"
#include "engine/tensor/backend.h"
#include "engine/tensor/tensor.h"

struct ops;

struct ops *ops_create(const struct backend *backend); /* NULL when out of memory */
void ops_free(struct ops *ops);
const struct backend *ops_backend(const struct ops *ops);
struct arena *ops_arena(struct ops *ops);

/* Forgets results and tape, keeps the memory. */
void ops_reset(struct ops *ops);
/* Recording starts empty; off by default. */
void ops_record(struct ops *ops, bool on);
enum t2l_status ops_status(const struct ops *ops, struct t2l_error *err);
/* For who takes memory of ops_arena() and gets none: sets the error, returns NULL. */
void *ops_out_of_memory(struct ops *ops);
size_t ops_peak_bytes(const struct ops *ops);
/* DTYPE_BF16: op_linear and op_matmul, and their way back, round the operands of their products to
 * bf16; all sums and all else stay f32. DTYPE_F32 (the default): nothing is rounded. */
void ops_compute(struct ops *ops, enum dtype dtype);
/* While *FLAG is true every operation fails with T2L_ECANCELLED; NULL (the default): never. */
void ops_cancel_flag(struct ops *ops, const atomic_bool *flag);

/* Gives back the memory of a layer before the next begins: ops_rewind() forgets all results
 * since MARK but KEEP, whose numbers move to the start of the freed room; returns its new
 * header. While recording it does nothing and returns KEEP, so one forward pass serves both:
 *     mark = ops_mark(ops); ... x = ops_rewind(ops, mark, x); */
struct arena_mark ops_mark(const struct ops *ops);
struct tensor *ops_rewind(struct ops *ops, struct arena_mark mark, struct tensor *keep);

/* A fresh f32 tensor in the arena, uninitialised; with_grad also gives it a zeroed gradient. */
struct tensor *ops_tensor(struct ops *ops, int n_dims, const int64_t *shape, bool with_grad);
/* A tensor header over memory of the caller (f32 or a stored dtype); grad as given. */
struct tensor *ops_wrap(struct ops *ops, enum dtype dtype, int n_dims, const int64_t *shape,
    void *data, float *grad);

/* Adds 1 (times SCALE) to the gradient of scalar LOSS, walks back and empties the tape. The
 * gradients of parameters are added to what they hold: zero them before the first micro-batch.
 * Errors: T2L_EINVAL (LOSS is no scalar or depends on no parameter), and ops_status(). */
enum t2l_status ops_backward(struct ops *ops, struct tensor *loss, float scale,
    struct t2l_error *err);

/* The same numbers under another shape, from element OFFSET on; shares data and gradient. */
struct tensor *op_view(struct ops *ops, struct tensor *x, int64_t offset, int n_dims,
    const int64_t *shape);

/* x [rows,in], w [out,in], bias [out] or NULL -> [rows,out] */
struct tensor *op_linear(struct ops *ops, struct tensor *x, struct tensor *w,
    struct tensor *bias);
/* y += low-rank part of each span (see backend.h); y is changed in place and returned. While
 * recording it is an error when an operation has already read y (its gradient would be wrong). */
struct tensor *op_lora(struct ops *ops, struct tensor *x, const struct lora_span *spans,
    int n_spans, struct tensor *y);
/* -> [n, cols]; embedding look-up, selection of rows, repetition of rows. */
struct tensor *op_gather_rows(struct ops *ops, struct tensor *table, const int32_t *ids,
    int64_t n);
/* No gradient: writes a cache. */
void op_store_rows(struct ops *ops, struct tensor *x, const int32_t *slots,
    struct tensor *cache);
struct tensor *op_rms_norm(struct ops *ops, struct tensor *x, struct tensor *w, float offset,
    float epsilon);
struct tensor *op_layer_norm(struct ops *ops, struct tensor *x, struct tensor *w,
    struct tensor *bias, float epsilon);
struct tensor *op_rope(struct ops *ops, struct tensor *x, const int32_t *positions,
    const struct rope *rope, int head_dim);
/* The same with frequencies of their own for runs of rows, which follow one another and cover x. */
struct tensor *op_rope_runs(struct ops *ops, struct tensor *x, const int32_t *positions,
    const struct rope_run *runs, int n_runs, int head_dim);
struct tensor *op_attention(struct ops *ops, struct tensor *q, struct tensor *k,
    struct tensor *v, const struct attention_shape *shape);
/* Which n_used experts work on each row, by logits [rows, n_experts]: into ids [rows * n_used];
 * -> their weights [rows, n_used]. */
struct tensor *op_route(struct ops *ops, struct tensor *logits, int n_used, bool renormalise,
    int32_t *ids);
/* y row rows[i] += weights[weight_at[i]] * x row i; y is changed in place and returned, nothing may
 * have read it. The rows of one call are distinct. */
struct tensor *op_add_weighted_rows(struct ops *ops, struct tensor *x, const int32_t *rows,
    struct tensor *weights, const int32_t *weight_at, struct tensor *y);
struct tensor *op_zeros(struct ops *ops, int64_t rows, int64_t cols);
struct tensor *op_activate(struct ops *ops, enum activation kind, struct tensor *x);
struct tensor *op_gate(struct ops *ops, enum activation kind, struct tensor *gate,
    struct tensor *up);
/* alpha * a + beta * b; shapes equal, or b one row [cols] that is added to every row. */
struct tensor *op_add(struct ops *ops, float alpha, struct tensor *a, float beta,
    struct tensor *b);
/* y += x of the same shape; y is changed in place and returned, nothing may have read it. */
struct tensor *op_add_into(struct ops *ops, struct tensor *x, struct tensor *y);
struct tensor *op_scale(struct ops *ops, float factor, struct tensor *x);
struct tensor *op_multiply(struct ops *ops, struct tensor *a, struct tensor *b);
struct tensor *op_concat_columns(struct ops *ops, struct tensor *const *parts, int n_parts);
struct tensor *op_slice_columns(struct ops *ops, struct tensor *x, int64_t from, int64_t n);
/* [rows, cols] -> [cols, rows] */
struct tensor *op_transpose(struct ops *ops, struct tensor *x);
/* Where a tensor lies in the larger one that it is cut from: it is N_RUNS runs of equal length, the
 * first at element FIRST, each next one STRIDE elements further on. */
struct element_runs {
	int64_t n_runs, first, stride;
};
/* p = 0 returns x itself. RUNS: x has the mask that the larger tensor has there; NULL: x is all. */
struct tensor *op_dropout(struct ops *ops, struct tensor *x, float p, uint64_t seed,
    const struct element_runs *runs);
struct tensor *op_mean_rows(struct ops *ops, struct tensor *x, const int32_t *begin,
    const int32_t *end, int64_t n);
struct tensor *op_unit_rows(struct ops *ops, struct tensor *x, float floor);
/* a [m,k] b [k,n] (either transposed when asked) -> [m,n] */
struct tensor *op_matmul(struct ops *ops, struct tensor *a, bool transpose_a, struct tensor *b,
    bool transpose_b);

/* BODY(x), of x's shape. While recording only the result is kept: BODY runs again on the way back. It
 * may read x, USER (copied) and what lives as long as the tape, and must compute the same again. */
typedef struct tensor *recompute_body(struct ops *ops, struct tensor *x, const void *user);
struct tensor *op_recompute(struct ops *ops, recompute_body *body, const void *user,
    size_t user_bytes, struct tensor *x);

/* BODY's loss, a scalar, as a summand of the whole loss: while recording it goes back at once, and
 * what BODY computed is forgotten when this returns. Memory is that of the largest part then. The
 * whole loss must hold it once, and ops_backward() start from it with scale 1; another factor is
 * T2L_EINVAL when ops_backward() comes to it. BODY may read USER and what lives as long as the tape. */
typedef struct tensor *loss_body(struct ops *ops, const void *user);
struct tensor *op_loss_part(struct ops *ops, loss_body *body, const void *user);

/* Losses: scalars [1]. best as in backend.h. */
struct tensor *op_cross_entropy(struct ops *ops, struct tensor *logits, const int32_t *targets,
    const float *weights, float smoothing, int32_t *best);
struct tensor *op_mean_square(struct ops *ops, struct tensor *x);
struct tensor *op_mean_abs_difference(struct ops *ops, struct tensor *x, struct tensor *y);
struct tensor *op_mean_squared_difference(struct ops *ops, struct tensor *x, struct tensor *y);

#endif
