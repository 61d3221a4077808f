/* reconstruction.c - compares made adapters with given ones. */

#include <math.h>
#include <string.h>

#include "engine/tensor/tape.h"
#include "engine/training/reconstruction.h"

#define EPSILON 1e-10F /* added to a deviation, as the reference does */

/* ---- factors ---- */

/* The wanted rows of ALL [n_targets, n_layers, rank, cols], in the order of MADE. */
static struct tensor *
gather_targets(struct ops *ops, const struct tensor *made, const struct tensor *all,
    const int64_t *target_rows)
{
	struct tensor *gathered;
	size_t n;

	if (made == NULL)
		return NULL;
	n = (size_t)(tensor_count(made) / made->shape[0]);
	gathered = ops_tensor(ops, made->n_dims, made->shape, false);
	for (int64_t i = 0; gathered != NULL && i < made->shape[0]; i++)
		memcpy(tensor_f32(gathered) + (size_t)i * n,
		    tensor_f32(all) + (size_t)target_rows[i] * n, n * sizeof(float));
	return gathered;
}

struct tensor *
reconstruction_factors_loss(struct ops *ops, const struct lora_stack *made,
    const struct lora_stack *targets, const int64_t *target_rows)
{
	const float share = 0.5F / (float)made->n_modules;
	struct tensor *loss = NULL;

	for (int i = 0; i < made->n_modules; i++) {
		struct tensor *a = op_mean_abs_difference(
		    ops, made->a[i], gather_targets(ops, made->a[i], targets->a[i], target_rows));
		struct tensor *b = op_mean_abs_difference(ops, made->bt[i],
		    gather_targets(ops, made->bt[i], targets->bt[i], target_rows));

		a = op_add(ops, share, a, share, b);
		loss = i == 0 ? a : op_add(ops, 1, loss, 1, a);
	}
	return loss;
}

/* ---- delta W ---- */

/* Remembers the gradients of the loss, for an outer gradient of 1. */
struct delta_node {
	struct node node;
	float *da, *dbt;
};

static void
delta_backward(const struct ops *ops, const struct node *node)
{
	const struct delta_node *delta = (const struct delta_node *)node;
	const struct tensor *a = node->x[0], *bt = node->x[1];
	float factor = node->y->grad[0];

	if (a->grad != NULL)
		BACKEND(ops, add, tensor_count(a), 1, a->grad, factor, delta->da, a->grad);
	if (bt->grad != NULL)
		BACKEND(ops, add, tensor_count(bt), 1, bt->grad, factor, delta->dbt, bt->grad);
}

/* One module type of one layer of one adapter: a [rank, in], bt [rank, out]. */
struct pair {
	const float *a, *bt;
};

struct comparison {
	struct ops *ops;
	int64_t rank, in, out;
	float factor, share;		 /* of the target; 1 / numbers compared */
	float *made, *target, *gradient; /* [out, in] each */
};

/* -> sum |B A - factor B* A*|; adds share * sign to the gradients of the made pair. */
static double
compare(const struct comparison *c, const struct pair *made, const struct pair *target, float *da,
    float *dbt)
{
	const int64_t n = c->in * c->out;
	double sum;

	BACKEND(
	    c->ops, gemm, true, false, c->out, c->in, c->rank, 1, made->bt, made->a, 0, c->made);
	BACKEND(c->ops, gemm, true, false, c->out, c->in, c->rank, c->factor, target->bt, target->a,
	    0, c->target);
	sum = BACKEND(c->ops, sum_abs_difference, n, c->made, c->target);
	if (da == NULL)
		return sum;
	memset(c->gradient, 0, (size_t)n * sizeof *c->gradient);
	BACKEND(c->ops, sign_difference, n, c->share, c->made, c->target, c->gradient);
	BACKEND(
	    c->ops, gemm, false, false, c->rank, c->in, c->out, 1, made->bt, c->gradient, 0, da);
	BACKEND(c->ops, gemm, false, true, c->rank, c->out, c->in, 1, made->a, c->gradient, 0, dbt);
	return sum;
}

/* One module type. */
static struct tensor *
delta_loss(struct ops *ops, struct tensor *a, struct tensor *bt, const struct tensor *target_a,
    const struct tensor *target_bt, const int64_t *target_rows, float factor)
{
	struct comparison c = { .ops = ops, .factor = factor };
	struct delta_node *node = NULL;
	struct arena_mark mark;
	struct tensor *loss;
	float *da = NULL, *dbt = NULL;
	double sum = 0;
	int64_t n_layers;

	if (!tape_ready(ops) || !tape_check_f32(ops, "delta_loss", a) ||
	    !tape_check_f32(ops, "delta_loss", bt))
		return NULL;
	n_layers = a->shape[1];
	c.rank = a->shape[2];
	c.in = a->shape[3];
	c.out = bt->shape[3];
	c.share = 1.0F / ((float)(a->shape[0] * n_layers) * (float)(c.in * c.out));
	loss =
	    ops_tensor(ops, 1, (const int64_t[]){ 1 }, tape_wants(ops, a) || tape_wants(ops, bt));
	if (loss != NULL && loss->grad != NULL) {
		da = arena_alloc(ops_arena(ops), (size_t)tensor_count(a) * sizeof *da);
		dbt = arena_alloc(ops_arena(ops), (size_t)tensor_count(bt) * sizeof *dbt);
		node = tape_node(ops, sizeof *node, delta_backward, loss, a, bt, NULL);
	}
	mark = ops_mark(ops);
	c.made = arena_alloc(ops_arena(ops), 3 * (size_t)(c.in * c.out) * sizeof *c.made);
	if (loss == NULL || c.made == NULL ||
	    (loss->grad != NULL && (da == NULL || dbt == NULL || node == NULL)))
		return tape_fail(ops, T2L_ENOMEM, "reconstruction: out of memory");
	c.target = c.made + c.in * c.out;
	c.gradient = c.target + c.in * c.out;
	if (node != NULL) {
		node->da = da;
		node->dbt = dbt;
	}
	for (int64_t i = 0; i < a->shape[0] * n_layers; i++) {
		int64_t at = target_rows[i / n_layers] * n_layers + i % n_layers;
		int64_t a_size = c.rank * c.in, b_size = c.rank * c.out;
		struct pair made = { tensor_f32(a) + i * a_size, tensor_f32(bt) + i * b_size };
		struct pair target = { tensor_f32(target_a) + at * a_size,
			tensor_f32(target_bt) + at * b_size };

		sum += compare(&c, &made, &target, da != NULL ? da + i * a_size : NULL,
		    dbt != NULL ? dbt + i * b_size : NULL);
	}
	arena_rewind(ops_arena(ops), mark); /* of the products only sum and gradients are kept */
	tensor_f32(loss)[0] =
	    (float)(sum / ((double)(a->shape[0] * n_layers) * (double)(c.in * c.out)));
	return loss;
}

struct tensor *
reconstruction_delta_loss(struct ops *ops, const struct lora_stack *made,
    const struct lora_stack *targets, const int64_t *target_rows, float factor)
{
	const float share = 1.0F / (float)made->n_modules;
	struct tensor *loss = NULL;

	for (int i = 0; i < made->n_modules; i++) {
		struct tensor *one = delta_loss(ops, made->a[i], made->bt[i], targets->a[i],
		    targets->bt[i], target_rows, factor);

		loss = i == 0 ? op_scale(ops, share, one) : op_add(ops, 1, loss, share, one);
	}
	return loss;
}

/* ---- z-scores ---- */

void
reconstruction_moments(
    const float *values, int64_t n, int64_t n_elements, float *mean, float *deviation)
{
	for (int64_t j = 0; j < n_elements; j++) {
		double sum = 0, squares = 0;

		for (int64_t i = 0; i < n; i++)
			sum += (double)values[i * n_elements + j];
		sum /= (double)n;
		for (int64_t i = 0; i < n; i++) {
			double off = (double)values[i * n_elements + j] - sum;

			squares += off * off;
		}
		mean[j] = (float)sum;
		deviation[j] = (float)sqrt(squares / (double)(n - 1));
	}
}

void
reconstruction_standardise(
    float *values, int64_t n, int64_t n_elements, const float *mean, const float *deviation)
{
	for (int64_t i = 0; i < n; i++)
		for (int64_t j = 0; j < n_elements; j++) {
			float *value = &values[i * n_elements + j];

			*value = (*value - mean[j]) / (deviation[j] + EPSILON);
		}
}
