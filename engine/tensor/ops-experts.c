/* ops-experts.c - what a mixture of experts needs beside linear layers: who works on which row, and
 * the weighted sum of what they say. */

#include "engine/tensor/tape.h"

/* ---- routing ---- */

struct route_node {
	struct node node;
	const int32_t *ids;
	bool renormalise;
};

static void
route_backward(const struct ops *ops, const struct node *node)
{
	const struct route_node *route = (const struct route_node *)node;
	const struct tensor *logits = node->x[0], *weights = node->y;

	BACKEND(ops, route_backward, logits, (int)tensor_cols(weights), route->renormalise,
	    route->ids, weights->grad, logits->grad);
}

struct tensor *
op_route(struct ops *ops, struct tensor *logits, int n_used, bool renormalise, int32_t *ids)
{
	struct route_node *node;
	struct tensor *y;

	if (!tape_ready(ops) || !tape_check_f32(ops, "route", logits))
		return NULL;
	if (n_used < 1 || n_used > tensor_cols(logits))
		return tape_fail(ops, T2L_EINVAL, "route: %d of %lld experts", n_used,
		    (long long)tensor_cols(logits));
	y = tape_result(ops, tensor_rows(logits), n_used, tape_wants(ops, logits));
	if (y == NULL)
		return NULL;
	BACKEND(ops, route, logits, n_used, renormalise, ids, tensor_f32(y));
	if (y->grad == NULL)
		return y;
	node = tape_node(ops, sizeof *node, route_backward, y, logits, NULL, NULL);
	if (node == NULL)
		return NULL;
	node->ids = tape_copy(ops, ids, tensor_count(y), sizeof *ids);
	node->renormalise = renormalise;
	return y;
}

/* ---- the sum ---- */

struct sum_node {
	struct node node;
	const int32_t *rows, *weight_at;
};

/* y's gradient is that of what it was before: it flows on unchanged. */
static void
add_weighted_rows_backward(const struct ops *ops, const struct node *node)
{
	const struct sum_node *sum = (const struct sum_node *)node;
	const struct tensor *x = node->x[0], *weights = node->x[1];

	BACKEND(ops, add_weighted_rows_backward, x, sum->rows, tensor_f32(weights), sum->weight_at,
	    node->y->grad, x->grad, weights->grad);
}

struct tensor *
op_add_weighted_rows(struct ops *ops, struct tensor *x, const int32_t *rows, struct tensor *weights,
    const int32_t *weight_at, struct tensor *y)
{
	struct sum_node *node;

	if (!tape_ready(ops) || !tape_check_f32(ops, "add_weighted_rows", x) ||
	    !tape_check_f32(ops, "add_weighted_rows", weights) ||
	    !tape_check_f32(ops, "add_weighted_rows", y))
		return NULL;
	if (tensor_cols(x) != tensor_cols(y))
		return tape_fail(ops, T2L_EMISMATCH,
		    "add_weighted_rows: %lld columns do not fit %lld", (long long)tensor_cols(x),
		    (long long)tensor_cols(y));
	if (!tape_check_rows(ops, "add_weighted_rows", rows, tensor_rows(x), 0, tensor_rows(y)) ||
	    !tape_check_rows(
		ops, "add_weighted_rows", weight_at, tensor_rows(x), 0, tensor_count(weights)))
		return NULL;
	BACKEND(ops, add_weighted_rows, x, rows, tensor_f32(weights), weight_at, y);
	if (!tape_wants(ops, x) && !tape_wants(ops, weights))
		return y;
	if (!tape_give_gradient(ops, y))
		return NULL;
	node = tape_node(ops, sizeof *node, add_weighted_rows_backward, y, x, weights, NULL);
	if (node == NULL)
		return NULL;
	node->rows = tape_copy(ops, rows, tensor_rows(x), sizeof *rows);
	node->weight_at = tape_copy(ops, weight_at, tensor_rows(x), sizeof *weight_at);
	return y;
}

struct tensor *
op_zeros(struct ops *ops, int64_t rows, int64_t cols)
{
	struct tensor *y = tape_ready(ops) ? tape_result(ops, rows, cols, false) : NULL;

	if (y != NULL) /* 0 times whatever it holds could be NaN */
		for (int64_t i = 0; i < rows * cols; i++)
			tensor_f32(y)[i] = 0;
	return y;
}
