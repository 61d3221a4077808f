/* ops-losses.c - operations that end in a scalar. Sums are in double, the result is f32. */

#include "engine/tensor/tape.h"

static struct tensor *
scalar(struct ops *ops, bool with_grad)
{
	return ops_tensor(ops, 1, (const int64_t[]){ 1 }, with_grad);
}

struct cross_entropy_node {
	struct node node;
	const int32_t *targets;
	const float *weights;
	float smoothing;
};

static void
cross_entropy_backward(const struct ops *ops, const struct node *node)
{
	const struct cross_entropy_node *entropy = (const struct cross_entropy_node *)node;
	const struct tensor *logits = node->x[0];

	BACKEND(ops, cross_entropy_backward, logits, entropy->targets, entropy->weights,
	    entropy->smoothing, node->y->grad[0], logits->grad);
}

struct tensor *
op_cross_entropy(struct ops *ops, struct tensor *logits, const int32_t *targets,
    const float *weights, float smoothing, int32_t *best)
{
	struct cross_entropy_node *node;
	struct tensor *loss;
	int64_t rows;
	double sum;

	if (!tape_ready(ops) || !tape_check_f32(ops, "cross_entropy", logits))
		return NULL;
	rows = tensor_rows(logits);
	if (!tape_check_rows(ops, "cross_entropy", targets, rows, INT32_MIN, tensor_cols(logits)))
		return NULL;
	loss = scalar(ops, tape_wants(ops, logits));
	if (loss == NULL)
		return NULL;
	BACKEND(ops, cross_entropy, logits, targets, weights, smoothing, &sum, best);
	tensor_f32(loss)[0] = (float)sum;
	if (loss->grad == NULL)
		return loss;
	node = tape_node(ops, sizeof *node, cross_entropy_backward, loss, logits, NULL, NULL);
	if (node == NULL)
		return NULL;
	node->targets = tape_copy(ops, targets, rows, sizeof *targets);
	node->weights = tape_copy(ops, weights, rows, sizeof *weights);
	node->smoothing = smoothing;
	return loss;
}

static void
mean_square_backward(const struct ops *ops, const struct node *node)
{
	const struct tensor *x = node->x[0];
	int64_t n = tensor_count(x);

	BACKEND(ops, add, n, 1, x->grad, 2 * node->y->grad[0] / (float)n, tensor_f32(x), x->grad);
}

struct tensor *
op_mean_square(struct ops *ops, struct tensor *x)
{
	struct tensor *loss;
	int64_t n;

	if (!tape_ready(ops) || !tape_check_f32(ops, "mean_square", x))
		return NULL;
	loss = scalar(ops, tape_wants(ops, x));
	if (loss == NULL)
		return NULL;
	n = tensor_count(x);
	tensor_f32(loss)[0] = (float)(BACKEND(ops, sum_squares, n, tensor_f32(x)) / (double)n);
	if (loss->grad != NULL)
		tape_node(ops, 0, mean_square_backward, loss, x, NULL, NULL);
	return loss;
}

static void
mean_abs_difference_backward(const struct ops *ops, const struct node *node)
{
	const struct tensor *x = node->x[0], *y = node->x[1];
	int64_t n = tensor_count(x);
	float factor = node->y->grad[0] / (float)n;

	if (x->grad != NULL)
		BACKEND(ops, sign_difference, n, factor, tensor_f32(x), tensor_f32(y), x->grad);
	if (y->grad != NULL)
		BACKEND(ops, sign_difference, n, factor, tensor_f32(y), tensor_f32(x), y->grad);
}

struct tensor *
op_mean_abs_difference(struct ops *ops, struct tensor *x, struct tensor *y)
{
	struct tensor *loss;
	int64_t n;

	if (!tape_ready(ops) || !tape_check_same(ops, "mean_abs_difference", x, y))
		return NULL;
	loss = scalar(ops, tape_wants(ops, x) || tape_wants(ops, y));
	if (loss == NULL)
		return NULL;
	n = tensor_count(x);
	tensor_f32(loss)[0] =
	    (float)(BACKEND(ops, sum_abs_difference, n, tensor_f32(x), tensor_f32(y)) / (double)n);
	if (loss->grad != NULL)
		tape_node(ops, 0, mean_abs_difference_backward, loss, x, y, NULL);
	return loss;
}

/* d/dx += factor * (x - y) */
static void
add_difference(
    const struct ops *ops, float factor, const struct tensor *x, const struct tensor *y, float *dx)
{
	int64_t n = tensor_count(x);

	BACKEND(ops, add, n, 1, dx, factor, tensor_f32(x), dx);
	BACKEND(ops, add, n, 1, dx, -factor, tensor_f32(y), dx);
}

static void
mean_squared_difference_backward(const struct ops *ops, const struct node *node)
{
	const struct tensor *x = node->x[0], *y = node->x[1];
	float factor = 2 * node->y->grad[0] / (float)tensor_count(x);

	if (x->grad != NULL)
		add_difference(ops, factor, x, y, x->grad);
	if (y->grad != NULL)
		add_difference(ops, factor, y, x, y->grad);
}

struct tensor *
op_mean_squared_difference(struct ops *ops, struct tensor *x, struct tensor *y)
{
	struct tensor *loss;
	int64_t n;

	if (!tape_ready(ops) || !tape_check_same(ops, "mean_squared_difference", x, y))
		return NULL;
	loss = scalar(ops, tape_wants(ops, x) || tape_wants(ops, y));
	if (loss == NULL)
		return NULL;
	n = tensor_count(x);
	tensor_f32(loss)[0] =
	    (float)(BACKEND(ops, sum_squared_difference, n, tensor_f32(x), tensor_f32(y)) /
		    (double)n);
	if (loss->grad != NULL)
		tape_node(ops, 0, mean_squared_difference_backward, loss, x, y, NULL);
	return loss;
}
