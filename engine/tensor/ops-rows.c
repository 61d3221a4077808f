/* ops-rows.c - operations on whole rows: look-up, norms, attention, pooling. */

#include "engine/tensor/tape.h"

/* ---- look-up ---- */

struct gather_node {
	struct node node;
	const int32_t *ids;
};

static void
gather_rows_backward(const struct ops *ops, const struct node *node)
{
	const struct gather_node *gather = (const struct gather_node *)node;
	const struct tensor *table = node->x[0], *y = node->y;

	BACKEND(ops, gather_rows_backward, gather->ids, tensor_rows(y), tensor_cols(y),
	    tensor_rows(table), y->grad, table->grad);
}

struct tensor *
op_gather_rows(struct ops *ops, struct tensor *table, const int32_t *ids, int64_t n)
{
	struct gather_node *node;
	struct tensor *y;

	if (!tape_ready(ops))
		return NULL;
	if (table == NULL || table->dtype == DTYPE_I32 || table->dtype == DTYPE_I64)
		return tape_fail(
		    ops, T2L_EINVAL, "gather_rows: the table is missing or of integers");
	if (!tape_check_rows(ops, "gather_rows", ids, n, 0, tensor_rows(table)))
		return NULL;
	y = tape_result(ops, n, tensor_cols(table), tape_wants(ops, table));
	if (y == NULL)
		return NULL;
	BACKEND(ops, gather_rows, table, ids, n, y);
	if (y->grad != NULL) {
		node = tape_node(ops, sizeof *node, gather_rows_backward, y, table, NULL, NULL);
		if (node != NULL)
			node->ids = tape_copy(ops, ids, n, sizeof *ids);
	}
	return y;
}

void
op_store_rows(struct ops *ops, struct tensor *x, const int32_t *slots, struct tensor *cache)
{
	if (!tape_ready(ops) || !tape_check_f32(ops, "store_rows", x))
		return;
	if (cache == NULL || tensor_cols(cache) != tensor_cols(x) ||
	    (cache->dtype != DTYPE_F32 && cache->dtype != DTYPE_F16 &&
		cache->dtype != DTYPE_BF16 && cache->dtype != DTYPE_Q8_0)) {
		tape_fail(ops, T2L_EMISMATCH, "store_rows: the cache does not fit %lld columns",
		    (long long)tensor_cols(x));
		return;
	}
	if (tape_check_rows(ops, "store_rows", slots, tensor_rows(x), 0, tensor_rows(cache)))
		BACKEND(ops, store_rows, x, slots, cache);
}

/* ---- norms ---- */

struct norm_node {
	struct node node;
	float offset, epsilon;
};

static void
rms_norm_backward(const struct ops *ops, const struct node *node)
{
	const struct norm_node *norm = (const struct norm_node *)node;
	const struct tensor *x = node->x[0], *w = node->x[1];

	BACKEND(ops, rms_norm_backward, x, tensor_f32(w), norm->offset, norm->epsilon,
	    node->y->grad, x->grad, w->grad);
}

struct tensor *
op_rms_norm(struct ops *ops, struct tensor *x, struct tensor *w, float offset, float epsilon)
{
	struct norm_node *node;
	struct tensor *y;

	if (!tape_ready(ops) || !tape_check_f32(ops, "rms_norm", x) ||
	    !tape_check_vector(ops, "rms_norm", w, tensor_cols(x)))
		return NULL;
	y = tape_result_like(ops, x, tape_wants(ops, x) || tape_wants(ops, w));
	if (y == NULL)
		return NULL;
	BACKEND(ops, rms_norm, x, tensor_f32(w), offset, epsilon, y);
	if (y->grad != NULL) {
		node = tape_node(ops, sizeof *node, rms_norm_backward, y, x, w, NULL);
		if (node != NULL) {
			node->offset = offset;
			node->epsilon = epsilon;
		}
	}
	return y;
}

static void
layer_norm_backward(const struct ops *ops, const struct node *node)
{
	const struct norm_node *norm = (const struct norm_node *)node;
	const struct tensor *x = node->x[0], *w = node->x[1], *bias = node->x[2];

	BACKEND(ops, layer_norm_backward, x, tensor_f32(w), norm->epsilon, node->y->grad, x->grad,
	    w->grad, bias != NULL ? bias->grad : NULL);
}

struct tensor *
op_layer_norm(
    struct ops *ops, struct tensor *x, struct tensor *w, struct tensor *bias, float epsilon)
{
	struct norm_node *node;
	struct tensor *y;

	if (!tape_ready(ops) || !tape_check_f32(ops, "layer_norm", x) ||
	    !tape_check_vector(ops, "layer_norm", w, tensor_cols(x)))
		return NULL;
	if (bias != NULL && !tape_check_vector(ops, "layer_norm", bias, tensor_cols(x)))
		return NULL;
	y = tape_result_like(
	    ops, x, tape_wants(ops, x) || tape_wants(ops, w) || tape_wants(ops, bias));
	if (y == NULL)
		return NULL;
	BACKEND(
	    ops, layer_norm, x, tensor_f32(w), bias != NULL ? tensor_f32(bias) : NULL, epsilon, y);
	if (y->grad != NULL) {
		node = tape_node(ops, sizeof *node, layer_norm_backward, y, x, w, bias);
		if (node != NULL)
			node->epsilon = epsilon;
	}
	return y;
}

/* y = x / max(|x|, floor); the norm's epsilon holds the floor. */
static void
unit_rows_backward(const struct ops *ops, const struct node *node)
{
	const struct norm_node *norm = (const struct norm_node *)node;

	BACKEND(
	    ops, unit_rows_backward, node->x[0], norm->epsilon, node->y->grad, node->x[0]->grad);
}

struct tensor *
op_unit_rows(struct ops *ops, struct tensor *x, float floor)
{
	struct norm_node *node;
	struct tensor *y;

	if (!tape_ready(ops) || !tape_check_f32(ops, "unit_rows", x))
		return NULL;
	if (!(floor > 0))
		return tape_fail(
		    ops, T2L_EINVAL, "unit_rows: the floor %g is not above 0", (double)floor);
	y = tape_result_like(ops, x, tape_wants(ops, x));
	if (y == NULL)
		return NULL;
	BACKEND(ops, unit_rows, x, floor, y);
	if (y->grad != NULL) {
		node = tape_node(ops, sizeof *node, unit_rows_backward, y, x, NULL, NULL);
		if (node != NULL)
			node->epsilon = floor;
	}
	return y;
}

/* ---- attention ---- */

struct attention_node {
	struct node node;
	struct attention_shape shape;
};

static void
attention_backward(const struct ops *ops, const struct node *node)
{
	const struct attention_node *attention = (const struct attention_node *)node;
	const struct tensor *q = node->x[0], *k = node->x[1], *v = node->x[2];

	BACKEND(ops, attention_backward, q, k, v, &attention->shape, node->y->grad, q->grad,
	    k->grad, v->grad);
}

static bool
check_attention(struct ops *ops, const struct tensor *q, const struct tensor *k,
    const struct tensor *v, const struct attention_shape *shape)
{
	if (!tape_check_f32(ops, "attention", q))
		return false;
	if (k == NULL || v == NULL || k->dtype != v->dtype ||
	    (k->dtype != DTYPE_F32 && k->dtype != DTYPE_F16 && k->dtype != DTYPE_BF16 &&
		k->dtype != DTYPE_Q8_0)) {
		tape_fail(ops, T2L_EINVAL,
		    "attention: k and v must be f32, f16, bf16 or q8_0, and alike");
		return false;
	}
	if (shape->head_dim < 1 || shape->n_kv_heads < 1 || shape->n_heads < 1 ||
	    shape->n_heads % shape->n_kv_heads != 0 ||
	    tensor_cols(q) != (int64_t)shape->n_heads * shape->head_dim ||
	    tensor_cols(k) != (int64_t)shape->n_kv_heads * shape->head_dim ||
	    tensor_cols(v) != tensor_cols(k) || tensor_rows(v) != tensor_rows(k)) {
		tape_fail(ops, T2L_EMISMATCH,
		    "attention: q [%lld, %lld] and k [%lld, %lld] do not fit %d heads (%d of k) of "
		    "%d",
		    (long long)tensor_rows(q), (long long)tensor_cols(q), (long long)tensor_rows(k),
		    (long long)tensor_cols(k), shape->n_heads, shape->n_kv_heads, shape->head_dim);
		return false;
	}
	if (k->dtype == DTYPE_Q8_0 && shape->head_dim % Q8_0_BLOCK != 0) {
		tape_fail(ops, T2L_EMISMATCH,
		    "attention: heads of %d are no whole blocks of q8_0", shape->head_dim);
		return false;
	}
	return tape_check_ranges(
	    ops, "attention", shape->kv_begin, shape->kv_end, tensor_rows(q), tensor_rows(k));
}

struct tensor *
op_attention(struct ops *ops, struct tensor *q, struct tensor *k, struct tensor *v,
    const struct attention_shape *shape)
{
	struct attention_node *node;
	struct tensor *y;

	if (!tape_ready(ops) || !check_attention(ops, q, k, v, shape))
		return NULL;
	y = tape_result_like(
	    ops, q, tape_wants(ops, q) || tape_wants(ops, k) || tape_wants(ops, v));
	if (y == NULL)
		return NULL;
	if (y->grad != NULL && k->dtype != DTYPE_F32)
		return tape_fail(ops, T2L_EUNSUPPORTED, "attention: training needs k and v in f32");
	BACKEND(ops, attention, q, k, v, shape, y);
	if (y->grad == NULL)
		return y;
	node = tape_node(ops, sizeof *node, attention_backward, y, q, k, v);
	if (node == NULL)
		return NULL;
	node->shape = *shape;
	node->shape.kv_begin = tape_copy(ops, shape->kv_begin, tensor_rows(q), sizeof(int32_t));
	node->shape.kv_end = tape_copy(ops, shape->kv_end, tensor_rows(q), sizeof(int32_t));
	return y;
}

/* ---- pooling ---- */

struct mean_node {
	struct node node;
	const int32_t *begin, *end;
};

static void
mean_rows_backward(const struct ops *ops, const struct node *node)
{
	const struct mean_node *mean = (const struct mean_node *)node;

	BACKEND(ops, mean_rows_backward, tensor_cols(node->y), mean->begin, mean->end,
	    tensor_rows(node->y), node->y->grad, node->x[0]->grad);
}

struct tensor *
op_mean_rows(struct ops *ops, struct tensor *x, const int32_t *begin, const int32_t *end, int64_t n)
{
	struct mean_node *node;
	struct tensor *y;

	if (!tape_ready(ops) || !tape_check_f32(ops, "mean_rows", x) ||
	    !tape_check_ranges(ops, "mean_rows", begin, end, n, tensor_rows(x)))
		return NULL;
	y = tape_result(ops, n, tensor_cols(x), tape_wants(ops, x));
	if (y == NULL)
		return NULL;
	BACKEND(ops, mean_rows, x, begin, end, n, y);
	if (y->grad != NULL) {
		node = tape_node(ops, sizeof *node, mean_rows_backward, y, x, NULL, NULL);
		if (node != NULL) {
			node->begin = tape_copy(ops, begin, n, sizeof *begin);
			node->end = tape_copy(ops, end, n, sizeof *end);
		}
	}
	return y;
}
