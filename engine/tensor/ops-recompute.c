/* ops-recompute.c - activations that are not kept but computed again on the way back (Chen et al.
 * 2016, "Training deep nets with sublinear memory cost"). */

#include <string.h>

#include "engine/tensor/tape.h"

struct recompute_node {
	struct node node;
	recompute_body *body;
	const void *user; /* a copy */
};

/* The body's nodes form a tape of their own, which is walked and forgotten before the outer one
 * goes on. Only then is there an arena to give back: the way back of other operations allocates
 * nothing. */
static void
recompute_backward(const struct ops *outer, const struct node *node)
{
	const struct recompute_node *recompute = (const struct recompute_node *)node;
	struct ops *ops = (struct ops *)outer; /* the tape's own context, which is ours to change */
	struct node *rest = ops->last;
	struct arena_mark mark = ops_mark(ops);
	bool recording = ops->recording;
	struct tensor *y;

	ops->last = NULL;
	ops->recording = true;
	y = recompute->body(ops, node->x[0], recompute->user);
	if (y != NULL && y->grad != NULL) {
		tape_zero_gradient(y);
		BACKEND(ops, add, tensor_count(y), 1, y->grad, 1, node->y->grad, y->grad);
		tape_walk(ops);
	}
	ops->last = rest;
	ops->recording = recording;
	arena_rewind(ops->arena, mark);
}

struct tensor *
op_recompute(
    struct ops *ops, recompute_body *body, const void *user, size_t user_bytes, struct tensor *x)
{
	struct recompute_node *node;
	struct arena_mark mark;
	struct tensor *y, *result;
	const void *copy;

	if (!ops->recording)
		return body(ops, x, user);
	if (!tape_ready(ops) || !tape_check_f32(ops, "recompute", x))
		return NULL;
	result = tape_result_like(ops, x, true);
	copy = tape_copy(ops, user, 1, user_bytes);
	if (result == NULL || copy == NULL)
		return NULL;
	node = tape_node(ops, sizeof *node, recompute_backward, result, x, NULL, NULL);
	if (node == NULL)
		return NULL;
	node->body = body;
	node->user = copy;
	mark = ops_mark(ops);
	ops->recording = false;
	y = body(ops, x, copy);
	ops->recording = true;
	if (y == NULL || !tape_check_same(ops, "recompute", x, y))
		return NULL;
	memcpy(result->data, y->data, (size_t)tensor_count(y) * sizeof(float));
	arena_rewind(ops->arena, mark);
	return result;
}
