/*
 * tensor/tape.h - what the operations share: the context, the tape and its nodes.
 *
 * An operation checks its inputs, gets a result from the arena, calls the backend and, when the
 * result has a gradient, puts a node on the tape. A node knows its inputs and result and how to
 * go back; operations with more to remember put it behind the node (struct node comes first).
 *
 * A backward function adds into the gradients of its inputs. It may read the values of the
 * inputs but never those of its result: op_lora changes them in place afterwards.
 *
 * The gradient of a result is zeroed when the walk back first comes to it (grad_blank until then),
 * so that it goes from there to who adds into it by way of the cache. A node's result and inputs
 * are zeroed before its backward function runs; who keeps a gradient elsewhere (a view, a list)
 * calls tape_zero_gradient() when the operation is recorded.
 */
#ifndef ENGINE_TENSOR_TAPE_H
#define ENGINE_TENSOR_TAPE_H

#include "engine/error.h"
#include "engine/tensor/ops.h"

#define NODE_MAX_INPUTS 3

struct node;

struct ops {
	const struct backend *backend, *products; /* products: that of linear layers and matmul */
	struct arena *arena;
	bool recording;
	struct node *last;
	const atomic_bool *cancel;
	struct t2l_error error; /* the first; status T2L_OK while there is none */
};

struct node {
	struct node *previous;
	void (*backward)(const struct ops *ops, const struct node *node);
	struct tensor *y, *x[NODE_MAX_INPUTS]; /* unused inputs are NULL */
};

/* Calls a function of the backend's table. */
#define BACKEND(ops, function, ...) (ops)->backend->function((ops)->backend->state, __VA_ARGS__)
/* The same of linear, linear_backward and gemm, in the dtype that is computed in. */
#define PRODUCT(ops, function, ...)                                                                \
	(ops)->products->function((ops)->products->state, __VA_ARGS__)

/* True when an operation may begin: nothing failed and nobody cancelled. */
bool tape_ready(struct ops *ops);

/* Sets the sticky error (the first one stays) and returns NULL. */
void *tape_fail(struct ops *ops, enum t2l_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Every check below is false when it failed, with the sticky error naming the operation.
 * An input that is NULL fails too. */
bool tape_check_f32(struct ops *ops, const char *operation, const struct tensor *x);
bool tape_check_same(
    struct ops *ops, const char *operation, const struct tensor *a, const struct tensor *b);
bool tape_check_vector(
    struct ops *ops, const char *operation, const struct tensor *x, int64_t cols);
/* Each index in [lowest, limit). */
bool tape_check_rows(struct ops *ops, const char *operation, const int32_t *rows, int64_t n,
    int64_t lowest, int64_t limit);
/* Each range not empty and within [0, limit). */
bool tape_check_ranges(struct ops *ops, const char *operation, const int32_t *begin,
    const int32_t *end, int64_t n, int64_t limit);

/* Y, which is to be changed in place, was read by no operation on the tape and is not X. */
bool tape_check_unread(
    struct ops *ops, const char *operation, const struct tensor *x, const struct tensor *y);

/* True when recording and X (may be NULL) has a gradient. */
bool tape_wants(const struct ops *ops, const struct tensor *x);

/* X's gradient (X and it may be NULL) holds nothing yet: then zeros. */
void tape_zero_gradient(struct tensor *x);

/* An uninitialised [rows, cols] result; a result of X's shape. Gradients are blank. */
struct tensor *tape_result(struct ops *ops, int64_t rows, int64_t cols, bool with_grad);
struct tensor *tape_result_like(struct ops *ops, const struct tensor *x, bool with_grad);

/* A gradient for Y, which is changed in place and may so far depend on nothing that is trained. */
bool tape_give_gradient(struct ops *ops, struct tensor *y);

/* Puts a node of BYTES (0: a plain struct node) on the tape, inputs a, b, c; NULL when out of
 * memory. Call it last, when the result is there. */
void *tape_node(struct ops *ops, size_t bytes,
    void (*backward)(const struct ops *ops, const struct node *node), struct tensor *y,
    struct tensor *a, struct tensor *b, struct tensor *c);

/* Goes back from the last node to the first, until one fails; the tape is empty then. */
void tape_walk(struct ops *ops);

/* A copy in the arena of N elements of SIZE bytes; NULL (sticky) when out of memory. */
void *tape_copy(struct ops *ops, const void *source, int64_t n, size_t size);

#endif
