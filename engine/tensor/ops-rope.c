/* ops-rope.c - rotary position embedding: the same frequencies for all rows, or runs of rows with
 * frequencies of their own (texts of different lengths, where the length changes them). */

#include "engine/tensor/tape.h"

struct rope_node {
	struct node node;
	const struct rope_run *runs;
	int n_runs, head_dim;
	const int32_t *positions;
};

/* The run's part of rows that lie like X's, at DATA. */
static struct tensor
run_rows(const struct tensor *x, const struct rope_run *run, float *data)
{
	int64_t cols = tensor_cols(x);

	return (struct tensor){ .dtype = DTYPE_F32,
		.n_dims = 2,
		.shape = { run->row_end - run->row_begin, cols },
		.data = data + run->row_begin * cols };
}

static void
turn(const struct ops *ops, const struct rope_node *rope, const struct tensor *x, float *from,
    bool inverse, float *to, bool add)
{
	for (int i = 0; i < rope->n_runs; i++) {
		const struct rope_run *run = &rope->runs[i];
		struct tensor part = run_rows(x, run, from), turned = run_rows(x, run, to);

		BACKEND(ops, rope, &part, rope->positions + run->row_begin, &run->rope,
		    rope->head_dim, inverse, &turned, add);
	}
}

/* The transpose of a rotation turns back. */
static void
rope_backward(const struct ops *ops, const struct node *node)
{
	turn(ops, (const struct rope_node *)node, node->x[0], node->y->grad, true, node->x[0]->grad,
	    true);
}

static bool
check_runs(
    struct ops *ops, const struct tensor *x, const struct rope_run *runs, int n_runs, int head_dim)
{
	int64_t row = 0;

	for (int i = 0; i < n_runs; i++) {
		const struct rope *rope = &runs[i].rope;

		if (head_dim < 1 || tensor_cols(x) % head_dim != 0 || rope->n_rot < 0 ||
		    rope->n_rot > head_dim || rope->n_rot % 2 != 0) {
			tape_fail(ops, T2L_EMISMATCH, "rope: %d of %d elements in rows of %lld",
			    rope->n_rot, head_dim, (long long)tensor_cols(x));
			return false;
		}
		if (runs[i].row_begin != row || runs[i].row_end <= row)
			break;
		row = runs[i].row_end;
	}
	if (row == tensor_rows(x))
		return true;
	tape_fail(ops, T2L_EINVAL, "rope: the runs do not cover %lld rows in order",
	    (long long)tensor_rows(x));
	return false;
}

static const struct rope_run *
copy_runs(struct ops *ops, const struct rope_run *runs, int n_runs)
{
	struct rope_run *copies = tape_copy(ops, runs, n_runs, sizeof *runs);

	for (int i = 0; copies != NULL && i < n_runs; i++)
		copies[i].rope.inv_freq = tape_copy(ops, runs[i].rope.inv_freq,
		    runs[i].rope.n_rot / 2, sizeof *runs[i].rope.inv_freq);
	return copies;
}

struct tensor *
op_rope_runs(struct ops *ops, struct tensor *x, const int32_t *positions,
    const struct rope_run *runs, int n_runs, int head_dim)
{
	struct rope_node now = {
		.runs = runs, .n_runs = n_runs, .head_dim = head_dim, .positions = positions
	};
	struct rope_node *node;
	struct tensor *y;

	if (!tape_ready(ops) || !tape_check_f32(ops, "rope", x) ||
	    !check_runs(ops, x, runs, n_runs, head_dim))
		return NULL;
	y = tape_result_like(ops, x, tape_wants(ops, x));
	if (y == NULL)
		return NULL;
	turn(ops, &now, x, tensor_f32(x), false, tensor_f32(y), false);
	if (y->grad == NULL)
		return y;
	node = tape_node(ops, sizeof *node, rope_backward, y, x, NULL, NULL);
	if (node == NULL)
		return NULL;
	node->runs = copy_runs(ops, runs, n_runs);
	node->n_runs = n_runs;
	node->head_dim = head_dim;
	node->positions = tape_copy(ops, positions, tensor_rows(x), sizeof *positions);
	return ops_status(ops, NULL) == T2L_OK ? y : NULL;
}

struct tensor *
op_rope(struct ops *ops, struct tensor *x, const int32_t *positions, const struct rope *rope,
    int head_dim)
{
	struct rope_run all = { .row_end = x != NULL ? tensor_rows(x) : 0, .rope = *rope };

	return op_rope_runs(ops, x, positions, &all, 1, head_dim);
}
