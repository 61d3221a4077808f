/*
 * test-ops-gradients.c - every operation's gradient against central differences, on each
 * instruction set, with random shapes.
 *
 * The loss is a fixed random weighting of the result, summed in double, so that the difference
 * quotient is as good as f32 results allow; a four-point stencil keeps its own error at h^4.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/cmocka-first.h"

#include "engine/tensor/ops.h"
#include "tests/unit/cpu-backends.h"

#define MAX_LEAVES 6
#define ROUNDS 6   /* random shapes for each case */
#define SAMPLES 24 /* elements of each leaf */
#define STEP 0.02
#define TOLERANCE 2e-3 /* of the largest gradient of the leaf */

/* A case under test: build() adds leaves (inputs that may have a gradient) while CREATING, and
 * takes the same ones again, in order, on every later call. */
struct trial {
	struct ops *ops;
	struct numbers shapes, values;
	bool creating;
	int n_leaves, next;
	struct {
		int64_t shape[2];
		float *values, *gradient;
		bool frozen;
	} leaves[MAX_LEAVES];
};

static struct tensor *
leaf(struct trial *trial, int64_t rows, int64_t cols, bool frozen)
{
	int64_t shape[2] = { rows, cols };
	int i = trial->next++;

	if (trial->creating) {
		assert_true(i < MAX_LEAVES);
		memcpy(trial->leaves[i].shape, shape, sizeof shape);
		trial->leaves[i].values = new_floats(&trial->values, rows * cols);
		trial->leaves[i].gradient = calloc((size_t)(rows * cols), sizeof(float));
		trial->leaves[i].frozen = frozen;
		trial->n_leaves = trial->next;
	}
	return ops_wrap(trial->ops, DTYPE_F32, 2, shape, trial->leaves[i].values,
	    trial->leaves[i].frozen ? NULL : trial->leaves[i].gradient);
}

static int
some(struct trial *trial, int most)
{
	return next_int(&trial->shapes, 1, most);
}

/* Pushes values away from 0, for functions with a corner there. */
static void
avoid_zero(struct trial *trial, int i)
{
	int64_t n = trial->leaves[i].shape[0] * trial->leaves[i].shape[1];

	for (int64_t j = 0; trial->creating && j < n; j++)
		trial->leaves[i].values[j] += trial->leaves[i].values[j] < 0 ? -0.2f : 0.2f;
}

/* ---- the cases ---- */

static struct tensor *
linear_with_bias(struct trial *t)
{
	int rows = some(t, 20), in = some(t, 70), out = some(t, 70);
	struct tensor *x = leaf(t, rows, in, false), *w = leaf(t, out, in, false);

	return op_linear(t->ops, x, w, leaf(t, 1, out, false));
}

static struct tensor *
linear_with_a_frozen_weight(struct trial *t)
{
	int rows = some(t, 20), in = some(t, 70), out = some(t, 70);
	struct tensor *x = leaf(t, rows, in, false);

	return op_linear(t->ops, x, leaf(t, out, in, true), NULL);
}

static struct tensor *
linear_with_a_quantised_weight(struct trial *t)
{
	int rows = some(t, 20), in = 32 * some(t, 3), out = some(t, 50);
	struct tensor *x = leaf(t, rows, in, false), *w = leaf(t, out, in, true);
	int64_t shape[2] = { out, in };
	void *stored =
	    arena_alloc(ops_arena(t->ops), (size_t)out * dtype_row_bytes(DTYPE_Q8_0, in));

	assert_true(dtype_from_f32(DTYPE_Q8_0, w->data, stored, tensor_count(w)));
	return op_linear(t->ops, x, ops_wrap(t->ops, DTYPE_Q8_0, 2, shape, stored, NULL), NULL);
}

/* Two spans that overlap share an adapter; the second's A is a view, as a hypernet's are. */
static struct tensor *
low_rank_parts(struct trial *t)
{
	int rows = some(t, 20) + 4, in = some(t, 40), out = some(t, 40), rank = some(t, 9);
	struct tensor *x = leaf(t, rows, in, false), *w = leaf(t, out, in, true);
	struct tensor *a = leaf(t, rank, in, false), *bt = leaf(t, rank, out, false);
	struct tensor *large = leaf(t, 3 * rank, in, false);
	int64_t shape[2] = { rank, in };
	struct lora_span spans[] = {
		{ .row_begin = 1, .row_count = rows - 2, .a = a, .bt = bt, .scale = 0.7f },
		{ .row_begin = 2, .row_count = 2, .bt = bt, .scale = -1.3f },
		{ .row_begin = 0, .row_count = 1, .a = a, .bt = bt, .scale = 2 },
	};

	spans[1].a = op_view(t->ops, large, (int64_t)rank * in, 2, shape);
	return op_lora(t->ops, x, spans, 3, op_linear(t->ops, x, w, NULL));
}

static struct tensor *
low_rank_part_of_frozen_rows(struct trial *t)
{
	int rows = some(t, 20), in = some(t, 40), out = some(t, 40), rank = some(t, 9);
	struct tensor *x = leaf(t, rows, in, true), *w = leaf(t, out, in, true);
	struct tensor *a = leaf(t, rank, in, false), *bt = leaf(t, rank, out, false);
	struct lora_span span = { .row_count = rows, .a = a, .bt = bt, .scale = 0.5f };

	return op_lora(t->ops, x, &span, 1, op_linear(t->ops, x, w, NULL));
}

static struct tensor *
gathered_rows(struct trial *t)
{
	int rows = some(t, 10), cols = some(t, 300);
	int32_t ids[12];

	for (int i = 0; i < 12; i++)
		ids[i] = next_int(&t->shapes, 0, rows - 1);
	return op_gather_rows(t->ops, leaf(t, rows, cols, false), ids, 12);
}

static struct tensor *
rms_norm(struct trial *t)
{
	int rows = some(t, 30), cols = some(t, 70);
	struct tensor *x = leaf(t, rows, cols, false);

	return op_rms_norm(t->ops, x, leaf(t, 1, cols, false), 1, 1e-2f);
}

static struct tensor *
layer_norm(struct trial *t)
{
	int rows = some(t, 30), cols = some(t, 70) + 2;
	struct tensor *x = leaf(t, rows, cols, false), *w = leaf(t, 1, cols, false);

	return op_layer_norm(t->ops, x, w, leaf(t, 1, cols, false), 1e-1f);
}

static struct tensor *
unit_rows(struct trial *t)
{
	int rows = some(t, 10), cols = some(t, 70);

	return op_unit_rows(
	    t->ops, leaf(t, rows, cols, false), next_int(&t->shapes, 0, 1) ? 0.01f : 9);
}

static struct tensor *
rotated(struct trial *t, bool neighbours)
{
	static const float inv_freq[] = { 1, 0.3f, 0.1f, 0.03f, 0.01f, 0.003f, 0.001f, 0.0003f };
	int rows = some(t, 10), heads = some(t, 4), n_rot = 2 * some(t, 8);
	int head_dim = n_rot + next_int(&t->shapes, 0, 5);
	struct rope rope = {
		.neighbours = neighbours, .n_rot = n_rot, .inv_freq = inv_freq, .magnitude = 1.1f
	};
	int32_t positions[10];

	for (int i = 0; i < rows; i++)
		positions[i] = next_int(&t->shapes, 0, rows > 5 ? 4 : 5000);
	return op_rope(
	    t->ops, leaf(t, rows, (int64_t)heads * head_dim, false), positions, &rope, head_dim);
}

/* Two runs of rows with frequencies of their own. */
static struct tensor *
rotated_in_runs(struct trial *t)
{
	static const float slow[] = { 0.5f, 0.1f, 0.02f }, fast[] = { 1, 0.3f, 0.1f };
	int first = some(t, 5), rows = first + some(t, 5);
	const struct rope_run runs[] = {
		{ 0, first, { .n_rot = 6, .inv_freq = slow, .magnitude = 1.2f } },
		{ first, rows, { .n_rot = 6, .inv_freq = fast, .magnitude = 1 } },
	};
	int32_t positions[10];

	for (int i = 0; i < rows; i++)
		positions[i] = next_int(&t->shapes, 0, 50);
	return op_rope_runs(t->ops, leaf(t, rows, 16, false), positions, runs, 2, 8);
}

/* Experts chosen by logits that lie far enough apart to stay chosen; each row's are added up. */
static struct tensor *
weighted_experts(struct trial *t, bool renormalise)
{
	int rows = some(t, 8), cols = some(t, 40), n_experts = 2 + some(t, 4);
	struct tensor *logits = leaf(t, rows, n_experts, false);
	struct tensor *x = leaf(t, rows, cols, false), *weights, *y;
	int32_t ids[2 * 8], all[8], at[8];

	for (int i = 0; t->creating && i < rows * n_experts; i++)
		t->leaves[0].values[i] =
		    0.3f * (float)((i % n_experts + i / n_experts) % n_experts) +
		    0.02f * t->leaves[0].values[i];
	weights = op_route(t->ops, logits, 2, renormalise, ids);
	y = op_zeros(t->ops, rows, cols);
	for (int k = 0; k < 2; k++) {
		for (int i = 0; i < rows; i++) {
			all[i] = rows - 1 - i;
			at[i] = (rows - 1 - i) * 2 + k;
		}
		/* Another part of the sum for each of the two. */
		y = op_add_weighted_rows(t->ops,
		    k == 0 ? x : op_activate(t->ops, ACTIVATION_SILU, x), all, weights, at, y);
	}
	return y;
}

static struct tensor *
experts_of_all(struct trial *t)
{
	return weighted_experts(t, false);
}

static struct tensor *
experts_renormalised(struct trial *t)
{
	return weighted_experts(t, true);
}

static struct tensor *
rotated_halves(struct trial *t)
{
	return rotated(t, false);
}

static struct tensor *
rotated_neighbours(struct trial *t)
{
	return rotated(t, true);
}

/* Short sequences one after the other, causal: what training packs. */
static struct tensor *
packed_causal_attention(struct trial *t)
{
	int kv_heads = some(t, 2), group = some(t, 3), hd = 8 * some(t, 5), rows = 0;
	int32_t begin[64], end[64];
	struct attention_shape shape = { .n_heads = kv_heads * group,
		.n_kv_heads = kv_heads,
		.head_dim = hd,
		.scale = 0.4f,
		.kv_begin = begin,
		.kv_end = end };
	struct tensor *q, *k;

	for (int s = 0; s < 3; s++) {
		int first = rows, n = some(t, 20);

		for (int i = 0; i < n; i++, rows++) {
			begin[rows] = first;
			end[rows] = rows + 1;
		}
	}
	q = leaf(t, rows, (int64_t)kv_heads * group * hd, false);
	k = leaf(t, rows, (int64_t)kv_heads * hd, false);
	return op_attention(t->ops, q, k, leaf(t, rows, (int64_t)kv_heads * hd, false), &shape);
}

/* Windows that slide over more keys than one block holds, with a cap on the scores. */
static struct tensor *
long_windowed_capped_attention(struct trial *t)
{
	int hd = some(t, 24), rows = 12, n_keys = 600;
	int32_t begin[12], end[12];
	struct attention_shape shape = { .n_heads = 2,
		.n_kv_heads = 1,
		.head_dim = hd,
		.scale = 1.5f,
		.softcap = 2,
		.kv_begin = begin,
		.kv_end = end };
	struct tensor *q, *k;

	for (int i = 0; i < rows; i++) {
		begin[i] = 3 * i;
		end[i] = i < 6 ? n_keys - 11 + i : 40 + i;
	}
	q = leaf(t, rows, 2 * (int64_t)hd, false);
	k = leaf(t, n_keys, hd, false);
	return op_attention(t->ops, q, k, leaf(t, n_keys, hd, false), &shape);
}

static struct tensor *
long_attention(struct trial *t)
{
	int hd = some(t, 24), rows = some(t, 12), n_keys = 600;
	int32_t begin[12], end[12];
	struct attention_shape shape = { .n_heads = 2,
		.n_kv_heads = 2,
		.head_dim = hd,
		.scale = 1.5f,
		.kv_begin = begin,
		.kv_end = end };
	struct tensor *q, *k;

	for (int i = 0; i < rows; i++) {
		begin[i] = 0;
		end[i] = n_keys;
	}
	q = leaf(t, rows, 2 * (int64_t)hd, false);
	k = leaf(t, n_keys, 2 * (int64_t)hd, false);
	return op_attention(t->ops, q, k, leaf(t, n_keys, 2 * (int64_t)hd, false), &shape);
}

static struct tensor *
activation(struct trial *t, enum activation kind)
{
	struct tensor *x = leaf(t, some(t, 9), some(t, 40), false);

	avoid_zero(t, 0);
	return op_activate(t->ops, kind, op_scale(t->ops, 3, x));
}

static struct tensor *
silu(struct trial *t)
{
	return activation(t, ACTIVATION_SILU);
}

static struct tensor *
gelu(struct trial *t)
{
	return activation(t, ACTIVATION_GELU);
}

static struct tensor *
gelu_tanh(struct trial *t)
{
	return activation(t, ACTIVATION_GELU_TANH);
}

static struct tensor *
relu(struct trial *t)
{
	return activation(t, ACTIVATION_RELU);
}

static struct tensor *
hyperbolic_tangent(struct trial *t)
{
	return activation(t, ACTIVATION_TANH);
}

static struct tensor *
gated(struct trial *t)
{
	enum activation kind = (enum activation)next_int(&t->shapes, 0, N_ACTIVATIONS - 1);
	int rows = some(t, 9), cols = some(t, 40);
	struct tensor *gate = leaf(t, rows, cols, false);

	avoid_zero(t, 0);
	return op_gate(t->ops, kind, gate, leaf(t, rows, cols, false));
}

static struct tensor *
gated_with_one_side_frozen(struct trial *t)
{
	bool frozen = next_int(&t->shapes, 0, 1) != 0;
	struct tensor *gate = leaf(t, 3, 21, frozen);

	return op_gate(t->ops, ACTIVATION_GELU, gate, leaf(t, 3, 21, !frozen));
}

static struct tensor *
sum_of_two(struct trial *t)
{
	int rows = some(t, 9), cols = some(t, 40);
	struct tensor *a = leaf(t, rows, cols, false);

	return op_add(t->ops, 0.3f, a, -1.7f, leaf(t, rows, cols, false));
}

static struct tensor *
sum_in_place(struct trial *t)
{
	int rows = some(t, 20), cols = some(t, 30);
	struct tensor *x = leaf(t, rows, cols, false), *w = leaf(t, cols, cols, false);

	return op_add_into(t->ops, x, op_linear(t->ops, x, w, NULL));
}

static struct tensor *
sum_in_place_of_a_frozen_result(struct trial *t)
{
	int rows = some(t, 20), cols = some(t, 30);
	struct tensor *x = leaf(t, rows, cols, false);

	return op_add_into(t->ops, x, op_zeros(t->ops, rows, cols));
}

static struct tensor *
sum_with_a_row(struct trial *t)
{
	int rows = some(t, 30) + 1, cols = some(t, 300);
	struct tensor *a = leaf(t, rows, cols, false);

	return op_add(t->ops, 0.3f, a, -1.7f, leaf(t, 1, cols, false));
}

static struct tensor *
product_of_a_tensor_with_itself_and_another(struct trial *t)
{
	int rows = some(t, 9), cols = some(t, 40);
	struct tensor *a = leaf(t, rows, cols, false), *b = leaf(t, rows, cols, false);

	return op_multiply(t->ops, op_multiply(t->ops, a, a), b);
}

static struct tensor *
columns_cut_and_joined(struct trial *t)
{
	int rows = some(t, 9), cols = some(t, 40) + 1;
	struct tensor *a = leaf(t, rows, cols, false), *b = leaf(t, rows, 5, false);
	struct tensor *parts[3] = { b, a, op_slice_columns(t->ops, a, 1, cols - 1) };

	return op_concat_columns(t->ops, parts, 3);
}

static struct tensor *
transposed(struct trial *t)
{
	int rows = some(t, 40), cols = some(t, 40);

	return op_transpose(t->ops, leaf(t, rows, cols, false));
}

static struct tensor *
dropped_out(struct trial *t)
{
	int rows = some(t, 20), cols = some(t, 40);

	return op_dropout(t->ops, leaf(t, rows, cols, false), 0.3f, 7, NULL);
}

static struct tensor *
means_of_rows(struct trial *t)
{
	int rows = some(t, 20) + 3, cols = some(t, 200);
	int32_t begin[] = { 0, 1, 2 }, end[] = { rows, 2, rows - 1 };

	return op_mean_rows(t->ops, leaf(t, rows, cols, false), begin, end, 3);
}

static struct tensor *
matrix_product(struct trial *t)
{
	int m = some(t, 30), n = some(t, 30), k = some(t, 30);
	bool ta = next_int(&t->shapes, 0, 1) != 0, tb = next_int(&t->shapes, 0, 1) != 0;
	struct tensor *a = ta ? leaf(t, k, m, false) : leaf(t, m, k, false);
	struct tensor *b = tb ? leaf(t, n, k, false) : leaf(t, k, n, false);

	return op_matmul(t->ops, a, ta, b, tb);
}

static struct tensor *
cross_entropy(struct trial *t)
{
	int rows = some(t, 9) + 1, vocab = some(t, 300) + 1;
	int32_t targets[10];
	float weights[10];

	for (int i = 0; i < rows; i++) {
		targets[i] = i == 0 ? -100 : next_int(&t->shapes, 0, vocab - 1);
		weights[i] = i % 4 == 3 ? 0 : 0.5f + (float)i;
	}
	return op_cross_entropy(t->ops, leaf(t, rows, vocab, false), targets, weights,
	    next_int(&t->shapes, 0, 1) ? 0.1f : 0, NULL);
}

static struct tensor *
mean_square(struct trial *t)
{
	return op_mean_square(t->ops, leaf(t, some(t, 9), some(t, 40), false));
}

static struct tensor *
mean_abs_difference(struct trial *t)
{
	int rows = some(t, 9), cols = some(t, 40);
	struct tensor *x = leaf(t, rows, cols, false), *y = leaf(t, rows, cols, false);

	/* Away from the corner where both are equal. */
	for (int64_t i = 0; t->creating && i < (int64_t)rows * cols; i++)
		t->leaves[1].values[i] += i % 2 ? 3.0f : -3.0f;
	return op_mean_abs_difference(t->ops, x, y);
}

static struct tensor *
mean_squared_difference(struct trial *t)
{
	int rows = some(t, 9), cols = some(t, 40);
	struct tensor *x = leaf(t, rows, cols, false);

	return op_mean_squared_difference(t->ops, x, leaf(t, rows, cols, false));
}

/* One of everything that a decoder's block is made of, with its residual connections. */
static struct tensor *
whole_block(struct trial *t)
{
	struct ops *ops = t->ops;
	int32_t begin[9] = { 0, 0, 0, 0, 4, 4, 4, 4, 4 }, end[9] = { 1, 2, 3, 4, 5, 6, 7, 8, 9 };
	struct attention_shape shape = { .n_heads = 2,
		.n_kv_heads = 2,
		.head_dim = 8,
		.scale = 0.35f,
		.kv_begin = begin,
		.kv_end = end };
	struct tensor *x = leaf(t, 9, 16, false), *norm = leaf(t, 1, 16, false);
	struct tensor *w = leaf(t, 48, 16, false), *up = leaf(t, 20, 16, false);
	struct tensor *h = op_rms_norm(ops, x, norm, 0, 1e-3f);
	struct tensor *qkv = op_linear(ops, h, w, NULL);
	struct tensor *y = op_attention(ops, op_slice_columns(ops, qkv, 0, 16),
	    op_slice_columns(ops, qkv, 16, 16), op_slice_columns(ops, qkv, 32, 16), &shape);

	x = op_add(ops, 1, x, 1, y);
	h = op_linear(ops, op_rms_norm(ops, x, norm, 0, 1e-3f), up, NULL);
	h = op_gate(ops, ACTIVATION_SILU, h, op_scale(ops, 0.5f, h));
	return op_add(ops, 1, x, 1, op_slice_columns(ops, h, 2, 16));
}

static const struct {
	const char *name;
	struct tensor *(*build)(struct trial *t);
} cases[] = {
	{ "linear with bias", linear_with_bias },
	{ "linear, frozen weight", linear_with_a_frozen_weight },
	{ "linear, quantised weight", linear_with_a_quantised_weight },
	{ "lora", low_rank_parts },
	{ "lora on frozen rows", low_rank_part_of_frozen_rows },
	{ "gather_rows", gathered_rows },
	{ "rms_norm", rms_norm },
	{ "layer_norm", layer_norm },
	{ "unit_rows", unit_rows },
	{ "rope, halves", rotated_halves },
	{ "rope, runs of rows", rotated_in_runs },
	{ "experts, of all", experts_of_all },
	{ "experts, renormalised", experts_renormalised },
	{ "rope, neighbours", rotated_neighbours },
	{ "attention, packed", packed_causal_attention },
	{ "attention, windowed and capped", long_windowed_capped_attention },
	{ "attention, long", long_attention },
	{ "silu", silu },
	{ "gelu", gelu },
	{ "gelu_tanh", gelu_tanh },
	{ "relu", relu },
	{ "tanh", hyperbolic_tangent },
	{ "gate", gated },
	{ "gate, one side frozen", gated_with_one_side_frozen },
	{ "add", sum_of_two },
	{ "add a row", sum_with_a_row },
	{ "add into", sum_in_place },
	{ "add into what is frozen", sum_in_place_of_a_frozen_result },
	{ "multiply", product_of_a_tensor_with_itself_and_another },
	{ "slice and concat", columns_cut_and_joined },
	{ "transpose", transposed },
	{ "dropout", dropped_out },
	{ "mean_rows", means_of_rows },
	{ "matmul", matrix_product },
	{ "cross_entropy", cross_entropy },
	{ "mean_square", mean_square },
	{ "mean_abs_difference", mean_abs_difference },
	{ "mean_squared_difference", mean_squared_difference },
	{ "a decoder's block", whole_block },
};
#define N_CASES (sizeof cases / sizeof cases[0])

/* ---- the comparison ---- */

/* Runs the case from the start; WEIGHTS (of the result) in double give the loss. */
static struct tensor *
run_case(struct trial *trial, size_t c, uint64_t seed)
{
	struct tensor *y;

	ops_reset(trial->ops);
	trial->next = 0;
	trial->shapes.state = seed;
	y = cases[c].build(trial);
	if (y == NULL) {
		struct t2l_error err;

		(void)ops_status(trial->ops, &err);
		fail_msg("%s: %s", cases[c].name, err.message);
	}
	return y;
}

static double
loss_at(struct trial *trial, size_t c, uint64_t seed, const float *weights)
{
	struct tensor *y = run_case(trial, c, seed);
	double loss = 0;

	for (int64_t i = 0; i < tensor_count(y); i++)
		loss += (double)weights[i] * (double)tensor_f32(y)[i];
	return loss;
}

static void
backward_case(struct trial *trial, size_t c, uint64_t seed, float **weights)
{
	struct tensor *y, *loss;
	struct t2l_error err;
	int64_t n, row[2] = { 1, 1 }, column[2] = { 1, 1 };

	ops_record(trial->ops, true);
	trial->creating = true;
	y = run_case(trial, c, seed);
	trial->creating = false;
	row[1] = column[0] = n = tensor_count(y);
	*weights = new_floats(&trial->values, n);
	loss = op_matmul(trial->ops, op_view(trial->ops, y, 0, 2, row), false,
	    ops_wrap(trial->ops, DTYPE_F32, 2, column, *weights, NULL), false);
	if (ops_backward(trial->ops, loss, 1, &err) != T2L_OK)
		fail_msg("%s: %s", cases[c].name, err.message);
	ops_record(trial->ops, false);
}

static void
compare_leaf(
    struct trial *trial, size_t c, uint64_t seed, int which, const float *weights, const char *isa)
{
	int64_t n = trial->leaves[which].shape[0] * trial->leaves[which].shape[1];
	float *x = trial->leaves[which].values;
	double largest = 1e-2;

	for (int64_t i = 0; i < n; i++)
		largest = fmax(largest, fabs((double)trial->leaves[which].gradient[i]));
	for (int s = 0; s < SAMPLES; s++) {
		int64_t i =
		    n <= SAMPLES ? s % n : (int64_t)(next_bits(&trial->values) % (uint64_t)n);
		double by_tape = (double)trial->leaves[which].gradient[i], slope, at[4];
		float saved = x[i];

		for (int k = 0; k < 4; k++) {
			static const float steps[4] = { 1, -1, 2, -2 };

			x[i] = saved + steps[k] * (float)STEP;
			at[k] = loss_at(trial, c, seed, weights);
		}
		x[i] = saved;
		slope = (8 * (at[0] - at[1]) - (at[2] - at[3])) / (12 * STEP);
		if (!(fabs(slope - by_tape) <= TOLERANCE * largest))
			fail_msg("%s, %s: leaf %d element %ld of %ld: tape %g, difference %g",
			    cases[c].name, isa, which, (long)i, (long)n, by_tape, slope);
	}
}

static void
check_case(size_t c, const struct backend *backend, uint64_t seed, const char *isa)
{
	struct trial trial = { .ops = ops_create(backend), .values = { seed * 3 + 1 } };
	float *weights;

	assert_non_null(trial.ops);
	backward_case(&trial, c, seed, &weights);
	for (int i = 0; i < trial.n_leaves; i++) {
		if (!trial.leaves[i].frozen)
			compare_leaf(&trial, c, seed, i, weights, isa);
	}
	for (int i = 0; i < trial.n_leaves; i++) {
		free(trial.leaves[i].values);
		free(trial.leaves[i].gradient);
	}
	free(weights);
	ops_free(trial.ops);
}

static void
every_gradient_agrees_with_differences(void **state)
{
	(void)state;
	for (int isa = 0; isa < N_ISAS; isa++) {
		struct backend *backend = open_cpu(isa, 2);

		if (backend == NULL)
			continue;
		for (size_t c = 0; c < N_CASES; c++)
			for (uint64_t round = 0; round < ROUNDS; round++)
				check_case(c, backend, 1 + 1000 * c + round, isa_names[isa]);
		cpu_backend_close(backend);
	}
}

/* ---- the tape's own rules ---- */

static struct ops *open_ops;
static struct backend *open_backend;

static int
open_first_backend(void **state)
{
	(void)state;
	for (int isa = 0; open_backend == NULL && isa < N_ISAS; isa++)
		open_backend = open_cpu(isa, 1);
	open_ops = ops_create(open_backend);
	return open_ops != NULL ? 0 : -1;
}

static int
close_first_backend(void **state)
{
	(void)state;
	ops_free(open_ops);
	cpu_backend_close(open_backend);
	open_backend = NULL;
	return 0;
}

static struct tensor *
matrix(int64_t rows, int64_t cols, bool with_grad)
{
	int64_t shape[2] = { rows, cols };
	struct tensor *t = ops_tensor(open_ops, 2, shape, with_grad);
	struct numbers numbers = { (uint64_t)(rows * 131 + cols) };

	assert_non_null(t);
	fill_floats(&numbers, tensor_count(t), t->data);
	return t;
}

static void
frozen_inputs_leave_no_trace_on_the_tape(void **state)
{
	struct tensor *y, *loss;
	struct t2l_error err;

	(void)state;
	ops_record(open_ops, true);
	y = op_linear(open_ops, matrix(3, 4, false), matrix(5, 4, false), NULL);
	assert_non_null(y);
	assert_null(y->grad);
	loss = op_mean_square(open_ops, y);
	assert_int_equal(ops_backward(open_ops, loss, 1, &err), T2L_EINVAL);
	assert_non_null(strstr(err.message, "parameter"));
}

static void
without_recording_results_have_no_gradient(void **state)
{
	(void)state;
	assert_null(op_linear(open_ops, matrix(3, 4, true), matrix(5, 4, true), NULL)->grad);
}

static void
a_low_rank_part_is_refused_once_its_rows_were_read(void **state)
{
	struct tensor *x, *y, *a, *bt;
	struct lora_span span = { .row_count = 3, .scale = 1 };
	struct t2l_error err;

	(void)state;
	ops_record(open_ops, true);
	x = matrix(3, 4, true);
	y = op_linear(open_ops, x, matrix(5, 4, false), NULL);
	span.a = a = matrix(2, 4, true);
	span.bt = bt = matrix(2, 5, true);
	assert_non_null(op_activate(open_ops, ACTIVATION_SILU, y));
	assert_null(op_lora(open_ops, x, &span, 1, y));
	assert_int_equal(ops_status(open_ops, &err), T2L_EINVAL);
	assert_non_null(strstr(err.message, "read"));
}

static void
a_sum_in_place_is_refused_once_its_rows_were_read(void **state)
{
	struct tensor *x, *y;
	struct t2l_error err;

	(void)state;
	ops_record(open_ops, true);
	x = matrix(3, 4, true);
	y = op_linear(open_ops, x, matrix(4, 4, true), NULL);
	assert_non_null(op_activate(open_ops, ACTIVATION_SILU, y));
	assert_null(op_add_into(open_ops, x, y));
	assert_int_equal(ops_status(open_ops, &err), T2L_EINVAL);
	assert_non_null(strstr(err.message, "add_into"));
}

static void
errors_stick_until_the_reset(void **state)
{
	struct t2l_error err;
	struct tensor *x;

	(void)state;
	x = matrix(3, 4, false);
	assert_null(op_linear(open_ops, x, matrix(5, 6, false), NULL));
	assert_int_equal(ops_status(open_ops, &err), T2L_EMISMATCH);
	assert_non_null(strstr(err.message, "linear"));
	assert_null(op_scale(open_ops, 2, x));
	assert_null(op_scale(open_ops, 2, NULL));
	assert_int_equal(ops_status(open_ops, &err), T2L_EMISMATCH);
	ops_reset(open_ops);
	assert_int_equal(ops_status(open_ops, &err), T2L_OK);
	assert_non_null(op_scale(open_ops, 2, matrix(3, 4, false)));
}

static void
row_numbers_out_of_range_are_refused(void **state)
{
	int32_t good[] = { 0, 2 }, negative[] = { 0, -1 }, beyond[] = { 3, 0 }, one[] = { 1, 3 };
	struct attention_shape shape = { .n_heads = 2,
		.n_kv_heads = 1,
		.head_dim = 2,
		.scale = 1,
		.kv_begin = good,
		.kv_end = beyond };

	(void)state;
	assert_null(op_gather_rows(open_ops, matrix(3, 4, false), negative, 2));
	ops_reset(open_ops);
	assert_null(op_gather_rows(open_ops, matrix(3, 4, false), beyond, 2));
	ops_reset(open_ops);
	op_store_rows(open_ops, matrix(2, 4, false), beyond, matrix(3, 4, false));
	assert_int_equal(ops_status(open_ops, NULL), T2L_EINVAL);
	ops_reset(open_ops);
	assert_null(op_attention(
	    open_ops, matrix(2, 4, false), matrix(3, 2, false), matrix(3, 2, false), &shape));
	ops_reset(open_ops);
	shape.kv_end = one;
	assert_non_null(op_attention(
	    open_ops, matrix(2, 4, false), matrix(3, 2, false), matrix(3, 2, false), &shape));
	assert_null(op_mean_rows(open_ops, matrix(3, 4, false), good, beyond, 2));
	ops_reset(open_ops);
	assert_null(op_view(open_ops, matrix(3, 4, false), 5, 1, (int64_t[]){ 8 }));
	ops_reset(open_ops);
	assert_null(op_slice_columns(open_ops, matrix(3, 4, false), 1, INT64_MAX));
}

static void
a_raised_flag_cancels_the_next_operation(void **state)
{
	atomic_bool flag = false;
	struct tensor *x;

	(void)state;
	ops_cancel_flag(open_ops, &flag);
	x = matrix(3, 4, false);
	assert_non_null(op_scale(open_ops, 2, x));
	atomic_store(&flag, true);
	assert_null(op_scale(open_ops, 2, x));
	assert_int_equal(ops_status(open_ops, NULL), T2L_ECANCELLED);
	ops_cancel_flag(open_ops, NULL);
}

/* The same layers with and without giving memory back: same numbers, a fraction of the memory. */
static void
a_rewind_keeps_the_result_and_frees_the_rest(void **state)
{
	struct tensor *w = matrix(64, 64, false), *x = matrix(700, 64, false), *y = x, *z = x;
	struct arena_mark mark;
	size_t before, kept;

	(void)state;
	mark = ops_mark(open_ops);
	before = ops_peak_bytes(open_ops);
	for (int layer = 0; layer < 20; layer++) {
		y = op_activate(open_ops, ACTIVATION_TANH, op_linear(open_ops, y, w, NULL));
		y = ops_rewind(open_ops, mark, y);
		assert_non_null(y);
	}
	kept = ops_peak_bytes(open_ops) - before;
	for (int layer = 0; layer < 20; layer++)
		z = op_activate(open_ops, ACTIVATION_TANH, op_linear(open_ops, z, w, NULL));
	assert_memory_equal(y->data, z->data, (size_t)tensor_count(y) * sizeof(float));
	assert_true(kept < (size_t)4 * 700 * 64 * sizeof(float));
	ops_record(open_ops, true);
	assert_ptr_equal(ops_rewind(open_ops, mark, z), z);
}

/* One loss in two halves gives the gradient of the whole. */
static void
gradients_of_parameters_add_up_over_calls(void **state)
{
	struct tensor *w, *x;
	float once[20];

	(void)state;
	ops_record(open_ops, true);
	w = matrix(5, 4, true);
	x = matrix(3, 4, false);
	assert_int_equal(ops_backward(open_ops,
			     op_mean_square(open_ops, op_linear(open_ops, x, w, NULL)), 1, NULL),
	    T2L_OK);
	memcpy(once, w->grad, sizeof once);
	memset(w->grad, 0, sizeof once);
	for (int half = 0; half < 2; half++)
		assert_int_equal(
		    ops_backward(open_ops,
			op_mean_square(open_ops, op_linear(open_ops, x, w, NULL)), 0.5f, NULL),
		    T2L_OK);
	for (int i = 0; i < 20; i++)
		assert_true(fabsf(w->grad[i] - once[i]) <= 1e-6f);
}

/* ---- parts of a loss ---- */

struct half {
	struct tensor *x, *w;
	bool again;
};

static struct tensor *
squashed(struct ops *ops, struct tensor *x, const void *user)
{
	(void)user;
	return op_activate(ops, ACTIVATION_TANH, x);
}

static struct tensor *
loss_of_half(struct ops *ops, const void *user)
{
	const struct half *half = user;
	struct tensor *y = op_linear(ops, half->x, half->w, NULL);

	y = half->again ? op_recompute(ops, squashed, NULL, 0, y) : squashed(ops, y, NULL);
	return op_mean_square(ops, y);
}

/* The loss of both halves; the gradients of x and w are what recording leaves. */
static double
loss_of_halves(bool in_parts, bool again, struct tensor *x, struct tensor *w)
{
	struct tensor *halves[2], *loss;
	struct t2l_error err;

	for (int i = 0; i < 2; i++) {
		struct half half = { op_view(open_ops, x, (int64_t)i * 28, 2, (int64_t[]){ 7, 4 }),
			w, again };

		halves[i] = in_parts ? op_loss_part(open_ops, loss_of_half, &half)
				     : loss_of_half(open_ops, &half);
	}
	loss = op_add(open_ops, 1, halves[0], 1, halves[1]);
	assert_non_null(loss);
	if (loss->grad != NULL)
		assert_int_equal(ops_backward(open_ops, loss, 1, &err), T2L_OK);
	return (double)tensor_f32(loss)[0];
}

static void
a_loss_in_parts_has_the_gradients_of_the_whole(void **state)
{
	struct tensor *x = matrix(14, 4, true), *w = matrix(5, 4, true);
	float of_x[56], of_w[20];
	double whole;

	(void)state;
	ops_record(open_ops, true);
	whole = loss_of_halves(false, false, x, w);
	memcpy(of_x, x->grad, sizeof of_x);
	memcpy(of_w, w->grad, sizeof of_w);
	for (int again = 0; again < 2; again++) {
		memset(x->grad, 0, sizeof of_x);
		memset(w->grad, 0, sizeof of_w);
		assert_true(fabs(loss_of_halves(true, again, x, w) - whole) <= 1e-6 * whole);
		assert_memory_equal(x->grad, of_x, sizeof of_x);
		for (int i = 0; i < 20; i++)
			assert_true(fabsf(w->grad[i] - of_w[i]) <= 1e-6f);
	}
	ops_record(open_ops, false);
	assert_true(fabs(loss_of_halves(true, false, x, w) - whole) <= 1e-6 * whole);
}

static void
what_a_part_computed_is_forgotten(void **state)
{
	struct half half = { matrix(700, 64, true), matrix(64, 64, true), false };
	size_t before = ops_peak_bytes(open_ops), once;

	(void)state;
	ops_record(open_ops, true);
	assert_non_null(op_loss_part(open_ops, loss_of_half, &half));
	once = ops_peak_bytes(open_ops) - before;
	for (int i = 0; i < 20; i++)
		assert_non_null(op_loss_part(open_ops, loss_of_half, &half));
	assert_true(ops_peak_bytes(open_ops) - before < once + once / 8);
}

static void
a_part_that_does_not_count_once_is_refused(void **state)
{
	struct half half = { matrix(7, 4, true), matrix(5, 4, true), false };
	struct t2l_error err;

	(void)state;
	ops_record(open_ops, true);
	assert_int_equal(
	    ops_backward(open_ops,
		op_scale(open_ops, 2, op_loss_part(open_ops, loss_of_half, &half)), 1, &err),
	    T2L_EINVAL);
	assert_non_null(strstr(err.message, "2 times"));
}

int
main(void)
{
#define RULE(test) cmocka_unit_test_setup_teardown(test, open_first_backend, close_first_backend)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_gradient_agrees_with_differences),
		RULE(frozen_inputs_leave_no_trace_on_the_tape),
		RULE(without_recording_results_have_no_gradient),
		RULE(a_low_rank_part_is_refused_once_its_rows_were_read),
		RULE(a_sum_in_place_is_refused_once_its_rows_were_read),
		RULE(errors_stick_until_the_reset),
		RULE(row_numbers_out_of_range_are_refused),
		RULE(a_raised_flag_cancels_the_next_operation),
		RULE(a_rewind_keeps_the_result_and_frees_the_rest),
		RULE(gradients_of_parameters_add_up_over_calls),
		RULE(a_loss_in_parts_has_the_gradients_of_the_whole),
		RULE(what_a_part_computed_is_forgotten),
		RULE(a_part_that_does_not_count_once_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
