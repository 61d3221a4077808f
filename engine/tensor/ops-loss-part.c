/* ops-loss-part.c - parts of a loss that go back at once, so that the activations of one part are
 * given back before the next is computed. */

#include "engine/tensor/tape.h"

/* The gradient is already there, as that of a part that counts once. */
static void
loss_part_backward(const struct ops *ops, const struct node *node)
{
	/* The error is the tape's own context's, which is ours to change. */
	if (node->y->grad[0] != 1)
		tape_fail((struct ops *)ops, T2L_EINVAL,
		    "backward: a part of the loss counts %g times, but went back as one",
		    (double)node->y->grad[0]);
}

/* The body's nodes form a tape of their own, as those of what is computed again do. */
static void
run_part(struct ops *ops, loss_body *body, const void *user, struct tensor *result)
{
	struct node *rest = ops->last;
	struct arena_mark mark = ops_mark(ops);
	struct tensor *loss;

	ops->last = NULL;
	loss = body(ops, user);
	if (loss == NULL)
		ops_out_of_memory(ops); /* unless it said why */
	else if (tensor_count(loss) != 1)
		loss = tape_fail(ops, T2L_EINVAL, "a part of the loss is not a scalar");
	if (loss != NULL) {
		tensor_f32(result)[0] = tensor_f32(loss)[0];
		if (loss->grad != NULL) {
			tape_zero_gradient(loss);
			loss->grad[0] += 1;
			tape_walk(ops);
		} else {
			result->grad = NULL;
		}
	}
	ops->last = rest;
	arena_rewind(ops->arena, mark);
}

struct tensor *
op_loss_part(struct ops *ops, loss_body *body, const void *user)
{
	struct tensor *result;

	if (!tape_ready(ops))
		return NULL;
	result = ops_tensor(ops, 1, (const int64_t[]){ 1 }, ops->recording);
	if (result == NULL)
		return NULL;
	run_part(ops, body, user, result);
	if (result->grad != NULL)
		tape_node(ops, 0, loss_part_backward, result, NULL, NULL, NULL);
	return ops_status(ops, NULL) == T2L_OK ? result : NULL;
}
