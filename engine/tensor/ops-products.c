/* ops-products.c - operations that multiply matrices: linear, low-rank part, matmul. */

#include "engine/tensor/tape.h"

/* ---- linear ---- */

static void
linear_backward(const struct ops *ops, const struct node *node)
{
	const struct tensor *x = node->x[0], *w = node->x[1], *bias = node->x[2];

	PRODUCT(ops, linear_backward, x, w, node->y->grad, x->grad, w->grad,
	    bias != NULL ? bias->grad : NULL);
}

struct tensor *
op_linear(struct ops *ops, struct tensor *x, struct tensor *w, struct tensor *bias)
{
	struct tensor *y;

	if (!tape_ready(ops) || !tape_check_f32(ops, "linear", x))
		return NULL;
	if (w == NULL || (w->grad != NULL && w->dtype != DTYPE_F32))
		return tape_fail(
		    ops, T2L_EINVAL, "linear: the weight is missing, or trained but not f32");
	if (tensor_cols(x) != tensor_cols(w))
		return tape_fail(ops, T2L_EMISMATCH,
		    "linear: %lld columns do not fit a weight [%lld, %lld]",
		    (long long)tensor_cols(x), (long long)tensor_rows(w),
		    (long long)tensor_cols(w));
	if (bias != NULL && !tape_check_vector(ops, "linear", bias, tensor_rows(w)))
		return NULL;
	y = tape_result(ops, tensor_rows(x), tensor_rows(w),
	    tape_wants(ops, x) || tape_wants(ops, w) || tape_wants(ops, bias));
	if (y == NULL)
		return NULL;
	PRODUCT(ops, linear, x, w, bias != NULL ? tensor_f32(bias) : NULL, y);
	if (y->grad != NULL)
		tape_node(ops, 0, linear_backward, y, x, w, bias);
	return y;
}

/* ---- low-rank part ---- */

struct lora_node {
	struct node node;
	const struct lora_span *spans;
	int n_spans;
};

/* y's gradient is that of what it was before: it flows on unchanged. */
static void
lora_backward(const struct ops *ops, const struct node *node)
{
	const struct lora_node *lora = (const struct lora_node *)node;

	BACKEND(ops, lora_backward, node->x[0], lora->spans, lora->n_spans, node->y->grad,
	    tensor_cols(node->y), node->x[0]->grad);
}

static bool
check_spans(struct ops *ops, const struct tensor *x, const struct lora_span *spans, int n_spans,
    const struct tensor *y)
{
	for (int i = 0; i < n_spans; i++) {
		const struct lora_span *span = &spans[i];

		if (!tape_check_f32(ops, "lora", span->a) || !tape_check_f32(ops, "lora", span->bt))
			return false;
		if (tensor_cols(span->a) != tensor_cols(x) ||
		    tensor_cols(span->bt) != tensor_cols(y) ||
		    tensor_rows(span->a) != tensor_rows(span->bt)) {
			tape_fail(ops, T2L_EMISMATCH,
			    "lora: A [%lld, %lld] and B^T [%lld, %lld] do not fit a module of %lld "
			    "-> %lld",
			    (long long)tensor_rows(span->a), (long long)tensor_cols(span->a),
			    (long long)tensor_rows(span->bt), (long long)tensor_cols(span->bt),
			    (long long)tensor_cols(x), (long long)tensor_cols(y));
			return false;
		}
		if (span->row_begin < 0 || span->row_count < 0 ||
		    span->row_count > tensor_rows(x) - span->row_begin) {
			tape_fail(ops, T2L_EINVAL,
			    "lora: %lld rows from %lld on are not within %lld",
			    (long long)span->row_count, (long long)span->row_begin,
			    (long long)tensor_rows(x));
			return false;
		}
	}
	return true;
}

struct tensor *
op_lora(
    struct ops *ops, struct tensor *x, const struct lora_span *spans, int n_spans, struct tensor *y)
{
	struct lora_node *node;
	bool wanted;

	if (!tape_ready(ops) || !tape_check_f32(ops, "lora", x) || !tape_check_f32(ops, "lora", y))
		return NULL;
	if (tensor_rows(x) != tensor_rows(y))
		return tape_fail(ops, T2L_EMISMATCH, "lora: %lld rows of x, %lld of y",
		    (long long)tensor_rows(x), (long long)tensor_rows(y));
	if (!check_spans(ops, x, spans, n_spans, y))
		return NULL;
	if (!tape_check_unread(ops, "lora", x, y))
		return NULL;
	wanted = tape_wants(ops, x) || tape_wants(ops, y);
	for (int i = 0; i < n_spans; i++) {
		wanted = wanted || tape_wants(ops, spans[i].a) || tape_wants(ops, spans[i].bt);
		tape_zero_gradient((struct tensor *)spans[i].a);
		tape_zero_gradient((struct tensor *)spans[i].bt);
	}
	BACKEND(ops, lora, x, spans, n_spans, y);
	if (!wanted)
		return y;
	if (!tape_give_gradient(ops, y))
		return NULL;
	node = tape_node(ops, sizeof *node, lora_backward, y, x, NULL, NULL);
	if (node == NULL)
		return NULL;
	node->spans = tape_copy(ops, spans, n_spans, sizeof *spans);
	node->n_spans = n_spans;
	return y;
}

/* ---- matmul, transpose ---- */

struct matmul_node {
	struct node node;
	bool transpose_a, transpose_b;
	int64_t m, n, k;
};

static void
matmul_backward(const struct ops *ops, const struct node *node)
{
	const struct matmul_node *product = (const struct matmul_node *)node;
	const struct tensor *a = node->x[0], *b = node->x[1];
	bool ta = product->transpose_a, tb = product->transpose_b;
	int64_t m = product->m, n = product->n, k = product->k;
	const float *dy = node->y->grad;

	if (a->grad != NULL && !ta) /* dA = dC op(B)^T */
		PRODUCT(ops, gemm, false, !tb, m, k, n, 1, dy, tensor_f32(b), 1, a->grad);
	else if (a->grad != NULL)
		PRODUCT(ops, gemm, tb, true, k, m, n, 1, tensor_f32(b), dy, 1, a->grad);
	if (b->grad != NULL && !tb) /* dB = op(A)^T dC */
		PRODUCT(ops, gemm, !ta, false, k, n, m, 1, tensor_f32(a), dy, 1, b->grad);
	else if (b->grad != NULL)
		PRODUCT(ops, gemm, true, ta, n, k, m, 1, dy, tensor_f32(a), 1, b->grad);
}

struct tensor *
op_matmul(struct ops *ops, struct tensor *a, bool transpose_a, struct tensor *b, bool transpose_b)
{
	struct matmul_node *node;
	struct tensor *y;
	int64_t m, n, k;

	if (!tape_ready(ops) || !tape_check_f32(ops, "matmul", a) ||
	    !tape_check_f32(ops, "matmul", b))
		return NULL;
	m = transpose_a ? tensor_cols(a) : tensor_rows(a);
	k = transpose_a ? tensor_rows(a) : tensor_cols(a);
	n = transpose_b ? tensor_rows(b) : tensor_cols(b);
	if (k != (transpose_b ? tensor_cols(b) : tensor_rows(b)))
		return tape_fail(ops, T2L_EMISMATCH, "matmul: [%lld, %lld]%s [%lld, %lld]%s",
		    (long long)tensor_rows(a), (long long)tensor_cols(a), transpose_a ? "^T" : "",
		    (long long)tensor_rows(b), (long long)tensor_cols(b), transpose_b ? "^T" : "");
	y = tape_result(ops, m, n, tape_wants(ops, a) || tape_wants(ops, b));
	if (y == NULL)
		return NULL;
	PRODUCT(ops, gemm, transpose_a, transpose_b, m, n, k, 1, tensor_f32(a), tensor_f32(b), 0,
	    tensor_f32(y));
	if (y->grad == NULL)
		return y;
	node = tape_node(ops, sizeof *node, matmul_backward, y, a, b, NULL);
	if (node != NULL) {
		node->transpose_a = transpose_a;
		node->transpose_b = transpose_b;
		node->m = m;
		node->n = n;
		node->k = k;
	}
	return y;
}

static void
transpose_backward(const struct ops *ops, const struct node *node)
{
	const struct tensor *y = node->y;

	BACKEND(ops, transpose, tensor_rows(y), tensor_cols(y), y->grad, node->x[0]->grad, true);
}

struct tensor *
op_transpose(struct ops *ops, struct tensor *x)
{
	struct tensor *y;

	if (!tape_ready(ops) || !tape_check_f32(ops, "transpose", x))
		return NULL;
	y = tape_result(ops, tensor_cols(x), tensor_rows(x), tape_wants(ops, x));
	if (y == NULL)
		return NULL;
	BACKEND(
	    ops, transpose, tensor_rows(x), tensor_cols(x), tensor_f32(x), tensor_f32(y), false);
	if (y->grad != NULL)
		tape_node(ops, 0, transpose_backward, y, x, NULL, NULL);
	return y;
}
