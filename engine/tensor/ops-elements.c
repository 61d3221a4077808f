/* ops-elements.c - operations element by element, and the moving of columns. */

#include "engine/tensor/tape.h"

/* ---- activations ---- */

struct activation_node {
	struct node node;
	enum activation kind;
};

static void
activate_backward(const struct ops *ops, const struct node *node)
{
	const struct activation_node *activation = (const struct activation_node *)node;
	const struct tensor *x = node->x[0];

	BACKEND(ops, activate_backward, activation->kind, tensor_count(x), tensor_f32(x),
	    node->y->grad, x->grad);
}

struct tensor *
op_activate(struct ops *ops, enum activation kind, struct tensor *x)
{
	struct activation_node *node;
	struct tensor *y;

	if (!tape_ready(ops) || !tape_check_f32(ops, "activate", x))
		return NULL;
	y = tape_result_like(ops, x, tape_wants(ops, x));
	if (y == NULL)
		return NULL;
	BACKEND(ops, activate, kind, tensor_count(x), tensor_f32(x), tensor_f32(y));
	if (y->grad != NULL) {
		node = tape_node(ops, sizeof *node, activate_backward, y, x, NULL, NULL);
		if (node != NULL)
			node->kind = kind;
	}
	return y;
}

static void
gate_backward(const struct ops *ops, const struct node *node)
{
	const struct activation_node *activation = (const struct activation_node *)node;
	const struct tensor *gate = node->x[0], *up = node->x[1];

	BACKEND(ops, gate_backward, activation->kind, tensor_count(gate), tensor_f32(gate),
	    tensor_f32(up), node->y->grad, gate->grad, up->grad);
}

struct tensor *
op_gate(struct ops *ops, enum activation kind, struct tensor *gate, struct tensor *up)
{
	struct activation_node *node;
	struct tensor *y;

	if (!tape_ready(ops) || !tape_check_same(ops, "gate", gate, up))
		return NULL;
	y = tape_result_like(ops, gate, tape_wants(ops, gate) || tape_wants(ops, up));
	if (y == NULL)
		return NULL;
	BACKEND(
	    ops, gate, kind, tensor_count(gate), tensor_f32(gate), tensor_f32(up), tensor_f32(y));
	if (y->grad != NULL) {
		node = tape_node(ops, sizeof *node, gate_backward, y, gate, up, NULL);
		if (node != NULL)
			node->kind = kind;
	}
	return y;
}

/* ---- sums and products ---- */

struct add_node {
	struct node node;
	float alpha, beta;
};

static void
add_backward(const struct ops *ops, const struct node *node)
{
	const struct add_node *sum = (const struct add_node *)node;
	const struct tensor *a = node->x[0], *b = node->x[1], *y = node->y;

	if (a->grad != NULL)
		BACKEND(ops, add, tensor_count(a), 1, a->grad, sum->alpha, y->grad, a->grad);
	if (b == NULL || b->grad == NULL)
		return;
	if (tensor_count(b) == tensor_count(y))
		BACKEND(ops, add, tensor_count(b), 1, b->grad, sum->beta, y->grad, b->grad);
	else
		BACKEND(ops, sum_rows, tensor_rows(y), tensor_cols(y), sum->beta, y->grad, b->grad);
}

/* b is NULL, of a's shape, or one row. */
static struct tensor *
add(struct ops *ops, float alpha, struct tensor *a, float beta, struct tensor *b)
{
	struct add_node *node;
	struct tensor *y;

	y = tape_result_like(ops, a, tape_wants(ops, a) || tape_wants(ops, b));
	if (y == NULL)
		return NULL;
	if (b == NULL || tensor_count(b) == tensor_count(a))
		BACKEND(ops, add, tensor_count(a), alpha, tensor_f32(a), beta,
		    b != NULL ? tensor_f32(b) : NULL, tensor_f32(y));
	else
		BACKEND(ops, add_row, tensor_rows(a), tensor_cols(a), alpha, tensor_f32(a), beta,
		    tensor_f32(b), tensor_f32(y));
	if (y->grad != NULL) {
		node = tape_node(ops, sizeof *node, add_backward, y, a, b, NULL);
		if (node != NULL) {
			node->alpha = alpha;
			node->beta = beta;
		}
	}
	return y;
}

struct tensor *
op_add(struct ops *ops, float alpha, struct tensor *a, float beta, struct tensor *b)
{
	bool fits;

	if (!tape_ready(ops) || !tape_check_f32(ops, "add", a) || !tape_check_f32(ops, "add", b))
		return NULL;
	if (tensor_rows(b) == 1)
		fits = tape_check_vector(ops, "add", b, tensor_cols(a));
	else
		fits = tape_check_same(ops, "add", a, b);
	return fits ? add(ops, alpha, a, beta, b) : NULL;
}

/* y's gradient is that of what it was before: it flows on unchanged. */
static void
add_into_backward(const struct ops *ops, const struct node *node)
{
	const struct tensor *x = node->x[0];

	BACKEND(ops, add, tensor_count(x), 1, x->grad, 1, node->y->grad, x->grad);
}

struct tensor *
op_add_into(struct ops *ops, struct tensor *x, struct tensor *y)
{
	if (!tape_ready(ops) || !tape_check_same(ops, "add_into", x, y) ||
	    !tape_check_unread(ops, "add_into", x, y))
		return NULL;
	BACKEND(ops, add, tensor_count(y), 1, tensor_f32(x), 1, tensor_f32(y), tensor_f32(y));
	if (!tape_wants(ops, x))
		return y;
	if (!tape_give_gradient(ops, y))
		return NULL;
	return tape_node(ops, 0, add_into_backward, y, x, NULL, NULL) != NULL ? y : NULL;
}

struct tensor *
op_scale(struct ops *ops, float factor, struct tensor *x)
{
	if (!tape_ready(ops) || !tape_check_f32(ops, "scale", x))
		return NULL;
	return add(ops, factor, x, 0, NULL);
}

static void
multiply_backward(const struct ops *ops, const struct node *node)
{
	const struct tensor *a = node->x[0], *b = node->x[1], *y = node->y;

	if (a->grad != NULL)
		BACKEND(ops, multiply_add, tensor_count(y), y->grad, tensor_f32(b), a->grad);
	if (b->grad != NULL)
		BACKEND(ops, multiply_add, tensor_count(y), y->grad, tensor_f32(a), b->grad);
}

struct tensor *
op_multiply(struct ops *ops, struct tensor *a, struct tensor *b)
{
	struct tensor *y;

	if (!tape_ready(ops) || !tape_check_same(ops, "multiply", a, b))
		return NULL;
	y = tape_result_like(ops, a, tape_wants(ops, a) || tape_wants(ops, b));
	if (y == NULL)
		return NULL;
	BACKEND(ops, multiply, tensor_count(y), tensor_f32(a), tensor_f32(b), tensor_f32(y));
	if (y->grad != NULL)
		tape_node(ops, 0, multiply_backward, y, a, b, NULL);
	return y;
}

/* ---- columns ---- */

struct concat_node {
	struct node node;
	struct tensor *const *parts;
	int n_parts;
};

static void
concat_columns_backward(const struct ops *ops, const struct node *node)
{
	const struct concat_node *concat = (const struct concat_node *)node;
	const struct tensor *y = node->y;
	int64_t at = 0;

	for (int i = 0; i < concat->n_parts; i++) {
		const struct tensor *part = concat->parts[i];
		int64_t cols = tensor_cols(part);

		if (part->grad != NULL)
			BACKEND(ops, copy_columns, tensor_rows(y), cols, y->grad, tensor_cols(y),
			    at, part->grad, cols, 0, true);
		at += cols;
	}
}

struct tensor *
op_concat_columns(struct ops *ops, struct tensor *const *parts, int n_parts)
{
	struct concat_node *node;
	struct tensor *y;
	int64_t cols = 0, at = 0;
	bool wanted = false;

	if (!tape_ready(ops))
		return NULL;
	for (int i = 0; i < n_parts; i++) {
		if (!tape_check_f32(ops, "concat_columns", parts[i]))
			return NULL;
		if (tensor_rows(parts[i]) != tensor_rows(parts[0]))
			return tape_fail(ops, T2L_EMISMATCH,
			    "concat_columns: %lld rows beside %lld",
			    (long long)tensor_rows(parts[i]), (long long)tensor_rows(parts[0]));
		cols += tensor_cols(parts[i]);
		wanted = wanted || tape_wants(ops, parts[i]);
		tape_zero_gradient(parts[i]);
	}
	y = tape_result(ops, n_parts > 0 ? tensor_rows(parts[0]) : 0, cols, wanted);
	if (y == NULL)
		return NULL;
	for (int i = 0; i < n_parts; i++) {
		BACKEND(ops, copy_columns, tensor_rows(y), tensor_cols(parts[i]),
		    tensor_f32(parts[i]), tensor_cols(parts[i]), 0, tensor_f32(y), cols, at, false);
		at += tensor_cols(parts[i]);
	}
	if (y->grad != NULL) {
		node = tape_node(ops, sizeof *node, concat_columns_backward, y, NULL, NULL, NULL);
		if (node != NULL) {
			node->parts = tape_copy(ops, parts, n_parts, sizeof *parts);
			node->n_parts = n_parts;
		}
	}
	return y;
}

struct slice_node {
	struct node node;
	int64_t from;
};

static void
slice_columns_backward(const struct ops *ops, const struct node *node)
{
	const struct slice_node *slice = (const struct slice_node *)node;
	const struct tensor *x = node->x[0], *y = node->y;

	BACKEND(ops, copy_columns, tensor_rows(y), tensor_cols(y), y->grad, tensor_cols(y), 0,
	    x->grad, tensor_cols(x), slice->from, true);
}

struct tensor *
op_slice_columns(struct ops *ops, struct tensor *x, int64_t from, int64_t n)
{
	struct slice_node *node;
	struct tensor *y;

	if (!tape_ready(ops) || !tape_check_f32(ops, "slice_columns", x))
		return NULL;
	if (from < 0 || n < 1 || from > tensor_cols(x) || n > tensor_cols(x) - from)
		return tape_fail(ops, T2L_EINVAL, "slice_columns: %lld from %lld on of %lld",
		    (long long)n, (long long)from, (long long)tensor_cols(x));
	y = tape_result(ops, tensor_rows(x), n, tape_wants(ops, x));
	if (y == NULL)
		return NULL;
	BACKEND(ops, copy_columns, tensor_rows(x), n, tensor_f32(x), tensor_cols(x), from,
	    tensor_f32(y), n, 0, false);
	if (y->grad != NULL) {
		node = tape_node(ops, sizeof *node, slice_columns_backward, y, x, NULL, NULL);
		if (node != NULL)
			node->from = from;
	}
	return y;
}

/* ---- dropout ---- */

struct dropout_node {
	struct node node;
	float p;
	uint64_t seed;
	struct element_runs runs;
};

static void
drop_out(const struct ops *ops, int64_t n, float p, uint64_t seed, const struct element_runs *runs,
    const float *x, float *y, bool add)
{
	const int64_t length = n / runs->n_runs;

	for (int64_t i = 0; i < runs->n_runs; i++)
		BACKEND(ops, dropout, (uint64_t)(runs->first + i * runs->stride), length, p, seed,
		    x + i * length, y + i * length, add);
}

static void
dropout_backward(const struct ops *ops, const struct node *node)
{
	const struct dropout_node *dropout = (const struct dropout_node *)node;

	drop_out(ops, tensor_count(node->y), dropout->p, dropout->seed, &dropout->runs,
	    node->y->grad, node->x[0]->grad, true);
}

struct tensor *
op_dropout(
    struct ops *ops, struct tensor *x, float p, uint64_t seed, const struct element_runs *runs)
{
	static const struct element_runs all = { .n_runs = 1 };
	struct dropout_node *node;
	struct tensor *y;

	if (runs == NULL)
		runs = &all;

	if (!tape_ready(ops) || !tape_check_f32(ops, "dropout", x))
		return NULL;
	if (!(p >= 0 && p < 1))
		return tape_fail(
		    ops, T2L_EINVAL, "dropout: probability %g is not in [0, 1)", (double)p);
	if (runs->n_runs < 1 || tensor_count(x) % runs->n_runs != 0)
		return tape_fail(ops, T2L_EINVAL, "dropout: %lld elements are not %lld equal runs",
		    (long long)tensor_count(x), (long long)runs->n_runs);
	if (p == 0)
		return x;
	y = tape_result_like(ops, x, tape_wants(ops, x));
	if (y == NULL)
		return NULL;
	drop_out(ops, tensor_count(x), p, seed, runs, tensor_f32(x), tensor_f32(y), false);
	if (y->grad != NULL) {
		node = tape_node(ops, sizeof *node, dropout_backward, y, x, NULL, NULL);
		if (node != NULL) {
			node->p = p;
			node->seed = seed;
			node->runs = *runs;
		}
	}
	return y;
}
