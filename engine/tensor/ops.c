/* ops.c - the operations' context: results in an arena, sticky errors, and the walk back. */

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/tensor/tape.h"

struct ops *
ops_create(const struct backend *backend)
{
	struct ops *ops = calloc(1, sizeof *ops);

	if (ops == NULL)
		return NULL;
	ops->backend = ops->products = backend;
	ops->arena = arena_create();
	if (ops->arena == NULL) {
		free(ops);
		return NULL;
	}
	return ops;
}

void
ops_free(struct ops *ops)
{
	if (ops == NULL)
		return;
	arena_free(ops->arena);
	free(ops);
}

const struct backend *
ops_backend(const struct ops *ops)
{
	return ops->backend;
}

struct arena *
ops_arena(struct ops *ops)
{
	return ops->arena;
}

void
ops_reset(struct ops *ops)
{
	arena_reset(ops->arena);
	ops->last = NULL;
	ops->error.status = T2L_OK;
}

void
ops_record(struct ops *ops, bool on)
{
	ops->recording = on;
}

enum t2l_status
ops_status(const struct ops *ops, struct t2l_error *err)
{
	if (ops->error.status != T2L_OK && err != NULL)
		*err = ops->error;
	return ops->error.status;
}

void *
ops_out_of_memory(struct ops *ops)
{
	return tape_fail(ops, T2L_ENOMEM, "out of memory for activations");
}

size_t
ops_peak_bytes(const struct ops *ops)
{
	return arena_peak_bytes(ops->arena);
}

void
ops_compute(struct ops *ops, enum dtype dtype)
{
	ops->products = dtype == DTYPE_BF16 ? ops->backend->bf16 : ops->backend;
}

void
ops_cancel_flag(struct ops *ops, const atomic_bool *flag)
{
	ops->cancel = flag;
}

struct arena_mark
ops_mark(const struct ops *ops)
{
	return arena_mark(ops->arena);
}

struct tensor *
ops_rewind(struct ops *ops, struct arena_mark mark, struct tensor *keep)
{
	struct tensor kept, *moved;
	const void *source;
	size_t bytes;

	if (ops->recording)
		return keep;
	if (!tape_ready(ops) || !tape_check_f32(ops, "rewind", keep))
		return NULL;
	kept = *keep;
	source = keep->data;
	bytes = (size_t)tensor_count(&kept) * sizeof(float);
	arena_rewind(ops->arena, mark);
	/* The order matters: KEEP's numbers may lie where the new header goes. */
	kept.data = arena_alloc(ops->arena, bytes);
	if (kept.data != NULL)
		memmove(kept.data, source, bytes);
	moved = arena_alloc(ops->arena, sizeof *moved);
	if (kept.data == NULL || moved == NULL)
		return tape_fail(ops, T2L_ENOMEM, "out of memory for activations");
	*moved = kept;
	return moved;
}

/* ---- tensors ---- */

static bool
set_shape(struct ops *ops, struct tensor *t, int n_dims, const int64_t *shape)
{
	int64_t count = 1;

	if (n_dims < 1 || n_dims > TENSOR_MAX_DIMS) {
		tape_fail(ops, T2L_EINVAL, "a tensor of %d dimensions; at most %d are supported",
		    n_dims, TENSOR_MAX_DIMS);
		return false;
	}
	t->n_dims = n_dims;
	for (int i = 0; i < n_dims; i++) {
		if (shape[i] < 1 || __builtin_mul_overflow(count, shape[i], &count) ||
		    count > INT64_MAX / 16) {
			tape_fail(ops, T2L_EINVAL, "a tensor's dimension %d is %lld", i,
			    (long long)shape[i]);
			return false;
		}
		t->shape[i] = shape[i];
	}
	return true;
}

/* With a blank gradient, if any. */
static struct tensor *
allocate(struct ops *ops, int n_dims, const int64_t *shape, bool with_grad)
{
	struct tensor *t;
	size_t bytes;

	if (ops->error.status != T2L_OK)
		return NULL;
	t = arena_alloc_zero(ops->arena, sizeof *t);
	if (t == NULL)
		return tape_fail(ops, T2L_ENOMEM, "out of memory for activations");
	if (!set_shape(ops, t, n_dims, shape))
		return NULL;
	bytes = (size_t)tensor_count(t) * sizeof(float);
	t->dtype = DTYPE_F32;
	t->data = arena_alloc(ops->arena, bytes);
	if (t->data != NULL && with_grad)
		t->grad = arena_alloc(ops->arena, bytes);
	t->grad_blank = with_grad;
	if (t->data == NULL || (with_grad && t->grad == NULL))
		return tape_fail(
		    ops, T2L_ENOMEM, "out of memory for activations (%zu bytes more)", bytes);
	return t;
}

struct tensor *
ops_tensor(struct ops *ops, int n_dims, const int64_t *shape, bool with_grad)
{
	struct tensor *t = allocate(ops, n_dims, shape, with_grad);

	tape_zero_gradient(t);
	return t;
}

struct tensor *
ops_wrap(
    struct ops *ops, enum dtype dtype, int n_dims, const int64_t *shape, void *data, float *grad)
{
	struct tensor *t;

	if (ops->error.status != T2L_OK)
		return NULL;
	t = arena_alloc_zero(ops->arena, sizeof *t);
	if (t == NULL)
		return tape_fail(ops, T2L_ENOMEM, "out of memory for activations");
	if (!set_shape(ops, t, n_dims, shape))
		return NULL;
	t->dtype = dtype;
	t->data = data;
	t->grad = grad;
	return t;
}

struct tensor *
op_view(struct ops *ops, struct tensor *x, int64_t offset, int n_dims, const int64_t *shape)
{
	struct tensor *view;

	if (!tape_ready(ops) || !tape_check_f32(ops, "view", x))
		return NULL;
	view = ops_wrap(ops, DTYPE_F32, n_dims, shape, NULL, NULL);
	if (view == NULL)
		return NULL;
	if (offset < 0 || offset > tensor_count(x) || tensor_count(view) > tensor_count(x) - offset)
		return tape_fail(ops, T2L_EINVAL,
		    "view: %lld elements from %lld on do not lie in a tensor of %lld",
		    (long long)tensor_count(view), (long long)offset, (long long)tensor_count(x));
	tape_zero_gradient(x);
	view->data = tensor_f32(x) + offset;
	view->grad = x->grad != NULL ? x->grad + offset : NULL;
	return view;
}

/* ---- the way back ---- */

enum t2l_status
ops_backward(struct ops *ops, struct tensor *loss, float scale, struct t2l_error *err)
{
	if (tape_ready(ops) && tape_check_f32(ops, "backward", loss)) {
		tape_zero_gradient(loss);
		if (tensor_count(loss) != 1)
			tape_fail(ops, T2L_EINVAL, "backward: the loss is not a scalar");
		else if (loss->grad == NULL)
			tape_fail(ops, T2L_EINVAL, "backward: the loss depends on no parameter");
		else
			loss->grad[0] += scale;
	}
	tape_walk(ops);
	return ops_status(ops, err);
}

/* ---- what operations share ---- */

void
tape_walk(struct ops *ops)
{
	for (struct node *node = ops->last; node != NULL && tape_ready(ops);
	     node = node->previous) {
		tape_zero_gradient(node->y);
		for (int i = 0; i < NODE_MAX_INPUTS; i++)
			tape_zero_gradient(node->x[i]);
		node->backward(ops, node);
	}
	ops->last = NULL;
}

bool
tape_ready(struct ops *ops)
{
	if (ops->error.status != T2L_OK)
		return false;
	if (ops->cancel != NULL && atomic_load_explicit(ops->cancel, memory_order_relaxed)) {
		tape_fail(ops, T2L_ECANCELLED, "cancelled");
		return false;
	}
	return true;
}

void *
tape_fail(struct ops *ops, enum t2l_status status, const char *format, ...)
{
	va_list args;

	if (ops->error.status == T2L_OK) {
		ops->error.status = status;
		va_start(args, format);
		vsnprintf(ops->error.message, sizeof ops->error.message, format, args);
		va_end(args);
	}
	return NULL;
}

bool
tape_check_f32(struct ops *ops, const char *operation, const struct tensor *x)
{
	if (x == NULL)
		tape_fail(ops, T2L_EINVAL, "%s: an input is missing", operation);
	else if (x->dtype != DTYPE_F32)
		tape_fail(ops, T2L_EUNSUPPORTED, "%s: an input is %s, must be f32", operation,
		    dtype_name(x->dtype));
	else
		return true;
	return false;
}

bool
tape_check_same(
    struct ops *ops, const char *operation, const struct tensor *a, const struct tensor *b)
{
	if (!tape_check_f32(ops, operation, a) || !tape_check_f32(ops, operation, b))
		return false;
	if (tensor_rows(a) == tensor_rows(b) && tensor_cols(a) == tensor_cols(b))
		return true;
	tape_fail(ops, T2L_EMISMATCH, "%s: [%lld, %lld] does not fit [%lld, %lld]", operation,
	    (long long)tensor_rows(a), (long long)tensor_cols(a), (long long)tensor_rows(b),
	    (long long)tensor_cols(b));
	return false;
}

bool
tape_check_vector(struct ops *ops, const char *operation, const struct tensor *x, int64_t cols)
{
	if (!tape_check_f32(ops, operation, x))
		return false;
	if (tensor_count(x) == cols)
		return true;
	tape_fail(ops, T2L_EMISMATCH, "%s: a vector of %lld does not fit %lld columns", operation,
	    (long long)tensor_count(x), (long long)cols);
	return false;
}

bool
tape_check_rows(struct ops *ops, const char *operation, const int32_t *rows, int64_t n,
    int64_t lowest, int64_t limit)
{
	for (int64_t i = 0; i < n; i++) {
		if (rows[i] < lowest || rows[i] >= limit) {
			tape_fail(ops, T2L_EINVAL, "%s: row %d is not one of %lld", operation,
			    rows[i], (long long)limit);
			return false;
		}
	}
	return true;
}

bool
tape_check_ranges(struct ops *ops, const char *operation, const int32_t *begin, const int32_t *end,
    int64_t n, int64_t limit)
{
	for (int64_t i = 0; i < n; i++) {
		if (begin[i] < 0 || begin[i] >= end[i] || end[i] > limit) {
			tape_fail(ops, T2L_EINVAL, "%s: rows %d to %d are not a range of %lld rows",
			    operation, begin[i], end[i], (long long)limit);
			return false;
		}
	}
	return true;
}

static bool
overlap(const struct tensor *a, const struct tensor *b)
{
	const char *a_begin = a->data, *b_begin = b->data;

	return a->dtype == DTYPE_F32 && a_begin < b_begin + 4 * tensor_count(b) &&
	       b_begin < a_begin + 4 * tensor_count(a);
}

/* Going back needs the values that an operation read: those of y must not change under it. */
static bool
was_read(const struct ops *ops, const struct tensor *y)
{
	for (const struct node *node = ops->last; node != NULL; node = node->previous) {
		if (node->y == y)
			return false;
		for (int i = 0; i < NODE_MAX_INPUTS; i++) {
			if (node->x[i] != NULL && overlap(node->x[i], y))
				return true;
		}
	}
	return false;
}

bool
tape_check_unread(
    struct ops *ops, const char *operation, const struct tensor *x, const struct tensor *y)
{
	if (!ops->recording || (!overlap(x, y) && !was_read(ops, y)))
		return true;
	tape_fail(ops, T2L_EINVAL, "%s: an operation has already read y", operation);
	return false;
}

bool
tape_wants(const struct ops *ops, const struct tensor *x)
{
	return ops->recording && x != NULL && x->grad != NULL;
}

void
tape_zero_gradient(struct tensor *x)
{
	if (x == NULL || !x->grad_blank)
		return;
	memset(x->grad, 0, (size_t)tensor_count(x) * sizeof(float));
	x->grad_blank = false;
}

struct tensor *
tape_result(struct ops *ops, int64_t rows, int64_t cols, bool with_grad)
{
	return allocate(ops, 2, (const int64_t[]){ rows, cols }, with_grad);
}

struct tensor *
tape_result_like(struct ops *ops, const struct tensor *x, bool with_grad)
{
	return allocate(ops, x->n_dims, x->shape, with_grad);
}

bool
tape_give_gradient(struct ops *ops, struct tensor *y)
{
	if (y->grad == NULL)
		y->grad = arena_alloc_zero(ops->arena, (size_t)tensor_count(y) * sizeof(float));
	if (y->grad == NULL)
		ops_out_of_memory(ops);
	return y->grad != NULL;
}

void *
tape_node(struct ops *ops, size_t bytes,
    void (*backward)(const struct ops *ops, const struct node *node), struct tensor *y,
    struct tensor *a, struct tensor *b, struct tensor *c)
{
	struct node *node;

	node = arena_alloc_zero(ops->arena, bytes > sizeof *node ? bytes : sizeof *node);
	if (node == NULL)
		return tape_fail(ops, T2L_ENOMEM, "out of memory for the tape");
	node->previous = ops->last;
	node->backward = backward;
	node->y = y;
	node->x[0] = a;
	node->x[1] = b;
	node->x[2] = c;
	ops->last = node;
	return node;
}

void *
tape_copy(struct ops *ops, const void *source, int64_t n, size_t size)
{
	void *copy = arena_alloc(ops->arena, (size_t)n * size);

	if (copy == NULL)
		return tape_fail(ops, T2L_ENOMEM, "out of memory for the tape");
	if (source != NULL) /* of nothing */
		memcpy(copy, source, (size_t)n * size);
	return copy;
}
