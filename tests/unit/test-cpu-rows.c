/*
 * test-cpu-rows.c - the CPU backend's operations that are no matrix products: forward results
 * against plain double loops, on each instruction set, with odd sizes.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/cmocka-first.h"

#include "engine/cpu/cpu-state.h"
#include "engine/cpu/kernels-rows.h"
#include "tests/unit/cpu-backends.h"

/* Calls CHECK with a backend of each instruction set. */
static void
on_each_isa(void (*check)(const struct backend *backend))
{
	for (int isa = 0; isa < N_ISAS; isa++) {
		struct backend *backend = open_cpu(isa, 2);

		if (backend == NULL)
			continue;
		check(backend);
		cpu_backend_close(backend);
	}
}

static const struct row_kernels *
kernels_of(const struct backend *backend)
{
	return ((const struct cpu *)backend->state)->rows;
}

static struct tensor
tensor_of(int64_t rows, int64_t cols, float *values)
{
	return (struct tensor){
		.dtype = DTYPE_F32, .n_dims = 2, .shape = { rows, cols }, .data = values
	};
}

static void
assert_close(double value, double expected, double tolerance, const char *what, int64_t i)
{
	if (!(fabs(value - expected) <= tolerance))
		fail_msg("%s %ld: %.9g, must be %.9g", what, (long)i, value, expected);
}

/* ---- functions ---- */

static void
check_exp(const struct backend *backend)
{
	double worst = 0;
	float x[1001], original[1001];

	for (double from = -86; from < 88; from += 1) {
		for (int i = 0; i < 1001; i++)
			x[i] = original[i] = (float)(from + i / 1000.0);
		(void)kernels_of(backend)->exponentiate(1001, 0, x);
		for (int i = 0; i < 1001; i++)
			worst = fmax(worst, fabs((double)x[i] / exp((double)original[i]) - 1));
	}
	if (worst > 3e-7)
		fail_msg("%s: relative error of exp: %g", backend->description, worst);
}

static void
exp_is_right_to_a_few_units_in_the_last_place(void **state)
{
	(void)state;
	on_each_isa(check_exp);
}

static void
check_limits(const struct backend *backend)
{
	float x[40], y[40];

	for (int i = 0; i < 40; i++)
		x[i] = i % 5 == 0   ? -INFINITY
		       : i % 5 == 1 ? INFINITY
		       : i % 5 == 2 ? NAN
		       : i % 5 == 3 ? -3e38f
				    : 3e38f;
	for (int kind = 0; kind < N_ACTIVATIONS; kind++) {
		backend->activate(backend->state, (enum activation)kind, 40, x, y);
		for (int i = 2; i < 40; i += 5)
			if (kind != ACTIVATION_RELU)
				assert_true(isnan(y[i]));
		for (int i = 4; i < 40; i += 5)
			assert_true(kind == ACTIVATION_TANH ? y[i] == 1 : y[i] == x[i]);
	}
	(void)kernels_of(backend)->exponentiate(40, 0, x);
	for (int i = 0; i < 40; i++) {
		if (i % 5 == 2)
			assert_true(isnan(x[i]));
		else
			assert_true(x[i] == (i % 5 == 1 || i % 5 == 4 ? INFINITY : 0));
	}
}

static void
limits_and_nan_come_out_as_they_should(void **state)
{
	(void)state;
	on_each_isa(check_limits);
}

static double
activation_in_double(enum activation kind, double x)
{
	switch (kind) {
	case ACTIVATION_SILU:
		return x / (1 + exp(-x));
	case ACTIVATION_GELU:
		return x * 0.5 * erfc(-x / sqrt(2));
	case ACTIVATION_GELU_TANH:
		/* 1 + tanh(u) without the cancellation for u far below 0 */
		return x / (1 + exp(-2 * sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
	case ACTIVATION_RELU:
		return x > 0 ? x : 0;
	default:
		return tanh(x);
	}
}

static void
check_activations(const struct backend *backend)
{
	enum { n = 20011 };
	float *x = malloc(n * sizeof *x), *y = malloc(n * sizeof *y), *up = malloc(n * sizeof *up);

	for (int i = 0; i < n; i++) {
		x[i] = (float)(i - n / 2) * 1e-3f;
		up[i] = 1 + (float)(i % 7);
	}
	for (int kind = 0; kind < N_ACTIVATIONS; kind++) {
		backend->activate(backend->state, (enum activation)kind, n, x, y);
		for (int i = 0; i < n; i++) {
			double expected = activation_in_double((enum activation)kind, (double)x[i]);
			/* The exponent grows as x^3 and its rounding with it. */
			double share = 2e-6 + 3e-8 * pow(fabs((double)x[i]), 3);

			assert_close((double)y[i], expected, share * fabs(expected), "activation",
			    kind * 100000 + i);
		}
		backend->gate(backend->state, (enum activation)kind, n, x, up, y);
		for (int i = 0; i < n; i++) {
			double expected = (double)up[i] *
					  activation_in_double((enum activation)kind, (double)x[i]);

			assert_close((double)y[i], expected, 4e-5 * fabs(expected), "gate", i);
		}
	}
	free(x);
	free(y);
	free(up);
}

static void
activations_agree_with_double_in_the_tails_too(void **state)
{
	(void)state;
	on_each_isa(check_activations);
}

/* ---- norms and rotation ---- */

static void
check_norms(const struct backend *backend)
{
	static const int64_t sizes[][2] = { { 1, 1 }, { 3, 7 }, { 50, 33 }, { 200, 128 },
		{ 5, 4100 } };
	struct numbers numbers = { 11 };

	for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
		int64_t rows = sizes[s][0], cols = sizes[s][1];
		float *x = new_floats(&numbers, rows * cols),
		      *y = new_floats(&numbers, rows * cols);
		float *z = new_floats(&numbers, rows * cols),
		      *u = new_floats(&numbers, rows * cols);
		float *w = new_floats(&numbers, cols), *b = new_floats(&numbers, cols);
		struct tensor xt = tensor_of(rows, cols, x), yt = tensor_of(rows, cols, y);
		struct tensor zt = tensor_of(rows, cols, z), ut = tensor_of(rows, cols, u);

		backend->rms_norm(backend->state, &xt, w, 1, 1e-5f, &yt);
		backend->layer_norm(backend->state, &xt, w, b, 1e-5f, &zt);
		backend->unit_rows(backend->state, &xt, 0.5f, &ut);
		for (int64_t r = 0; r < rows; r++) {
			double squares = 0, sum = 0, around = 0, length;

			for (int64_t c = 0; c < cols; c++) {
				squares += pow((double)x[r * cols + c], 2);
				sum += (double)x[r * cols + c];
			}
			for (int64_t c = 0; c < cols; c++)
				around += pow((double)x[r * cols + c] - sum / (double)cols, 2);
			length = fmax(sqrt(squares), 0.5);
			for (int64_t c = 0; c < cols; c++) {
				int64_t i = r * cols + c;
				double rms = (double)x[i] / sqrt(squares / (double)cols + 1e-5) *
					     ((double)w[c] + 1);
				double layer = ((double)x[i] - sum / (double)cols) /
						   sqrt(around / (double)cols + 1e-5) *
						   (double)w[c] +
					       (double)b[c];

				assert_close((double)y[i], rms, 3e-6, "rms_norm", i);
				assert_close((double)z[i], layer, 5e-6, "layer_norm", i);
				assert_close((double)u[i], (double)x[i] / length, 1e-6, "unit", i);
			}
		}
		free(x);
		free(y);
		free(z);
		free(u);
		free(w);
		free(b);
	}
}

static void
norms_agree_with_double(void **state)
{
	(void)state;
	on_each_isa(check_norms);
}

static void
check_rope_case(const struct backend *backend, bool neighbours, int rows, int32_t most)
{
	enum { heads = 3, head_dim = 21, n_rot = 14, cols = heads * head_dim };
	struct numbers numbers = { 13 };
	float inv_freq[n_rot / 2], *x = new_floats(&numbers, rows * cols);
	float *y = new_floats(&numbers, rows * cols),
	      *back = calloc((size_t)(rows * cols), sizeof *back);
	struct tensor xt = tensor_of(rows, cols, x), yt = tensor_of(rows, cols, y);
	struct tensor bt = tensor_of(rows, cols, back);
	struct rope rope = {
		.neighbours = neighbours, .n_rot = n_rot, .inv_freq = inv_freq, .magnitude = 1
	};
	int32_t *positions = malloc((size_t)rows * sizeof *positions);

	for (int i = 0; i < n_rot / 2; i++)
		inv_freq[i] = powf(10000, -2.0f * (float)i / n_rot);
	for (int i = 0; i < rows; i++)
		positions[i] = next_int(&numbers, 0, most);
	backend->rope(backend->state, &xt, positions, &rope, head_dim, false, &yt, false);
	for (int64_t i = 0; i < rows * cols; i++) {
		int j = (int)(i % head_dim), half = n_rot / 2;
		int pair = neighbours ? j / 2 : j % half;
		bool second = neighbours ? j % 2 == 1 : j >= half;
		int64_t other = i + (second ? -1 : 1) * (neighbours ? 1 : half);
		double angle, expected = (double)x[i];

		if (j < n_rot) {
			angle = (double)((float)positions[i / cols] * inv_freq[pair]);
			expected = (double)x[i] * cos(angle) +
				   (second ? 1 : -1) * (double)x[other] * sin(angle);
		}
		assert_close((double)y[i], expected, 1e-6, "rope", i);
	}
	/* Turned back, and added once more to what is there. */
	backend->rope(backend->state, &yt, positions, &rope, head_dim, true, &bt, false);
	backend->rope(backend->state, &yt, positions, &rope, head_dim, true, &bt, true);
	for (int64_t i = 0; i < rows * cols; i++)
		assert_close((double)back[i], 2 * (double)x[i], 2e-6, "rope back", i);
	free(x);
	free(y);
	free(back);
	free(positions);
}

static void
check_rope(const struct backend *backend)
{
	for (int neighbours = 0; neighbours < 2; neighbours++) {
		check_rope_case(backend, neighbours != 0, 200, 50);
		check_rope_case(backend, neighbours != 0, 5, 100000);
		check_rope_case(backend, neighbours != 0, 1, 0);
	}
}

static void
rotations_agree_with_double_and_turn_back(void **state)
{
	(void)state;
	on_each_isa(check_rope);
}

/* ---- attention ---- */

struct attention_case {
	const char *name;
	int rows, n_kv, kv_heads, group, head_dim;
	float softcap;
	/* Keys of row i: causal over a cache (the last rows), a window, or packed sequences. */
	enum { CAUSAL, WINDOW, PACKED, LANES, ALL } pattern;
};

static const struct attention_case attention_cases[] = {
	{ "one token of one head", 1, 1, 1, 1, 8, 0, CAUSAL },
	{ "decoding, long cache", 1, 3000, 2, 1, 64, 0, CAUSAL },
	{ "decoding, grouped", 1, 700, 2, 4, 80, 0, CAUSAL },
	{ "decoding, sixteen heads share", 1, 300, 1, 16, 128, 0, CAUSAL },
	{ "decoding, capped", 2, 500, 2, 2, 33, 3, CAUSAL },
	{ "four lanes", 4, 1200, 2, 2, 32, 0, LANES },
	{ "prompt", 150, 150, 2, 2, 32, 0, CAUSAL },
	{ "prompt after a cache", 70, 900, 1, 3, 40, 0, CAUSAL },
	{ "sliding window", 300, 300, 1, 2, 24, 0, WINDOW },
	{ "packed training rows", 400, 400, 2, 2, 32, 0, PACKED },
	{ "encoder", 90, 90, 3, 1, 20, 0, ALL },
	{ "wide heads, capped", 20, 330, 1, 2, 300, 5, CAUSAL },
};

static void
keys_of_rows(const struct attention_case *c, int32_t *begin, int32_t *end)
{
	struct numbers numbers = { 5 };
	int32_t first = 0, next = 0;

	for (int i = 0; i < c->rows; i++) {
		begin[i] = 0;
		end[i] = c->n_kv - c->rows + i + 1;
		if (c->pattern == WINDOW)
			begin[i] = end[i] > 37 ? end[i] - 37 : 0;
		if (c->pattern == ALL)
			end[i] = c->n_kv;
		if (c->pattern == LANES) {
			begin[i] = (c->rows - 1 - i) * (c->n_kv / c->rows);
			end[i] = begin[i] + 5 + 90 * i;
		}
		if (c->pattern == PACKED) {
			if (i == next) {
				first = i;
				next = i + next_int(&numbers, 1, 60);
			}
			begin[i] = first;
			end[i] = i + 1;
		}
	}
}

/* The definition, one query at a time. */
static void
attention_of_query(const struct attention_shape *shape, const float *q, const float *k,
    const float *v, int64_t kv_cols, int32_t begin, int32_t end, double *out)
{
	double *p = malloc((size_t)(end - begin) * sizeof *p), maximum = -INFINITY, sum = 0;

	for (int32_t j = begin; j < end; j++) {
		double score = 0;

		for (int d = 0; d < shape->head_dim; d++)
			score += (double)q[d] * (double)k[j * kv_cols + d];
		score *= (double)shape->scale;
		if (shape->softcap > 0)
			score = (double)shape->softcap * tanh(score / (double)shape->softcap);
		p[j - begin] = score;
		maximum = fmax(maximum, score);
	}
	for (int32_t j = 0; j < end - begin; j++)
		sum += p[j] = exp(p[j] - maximum);
	for (int d = 0; d < shape->head_dim; d++) {
		out[d] = 0;
		for (int32_t j = begin; j < end; j++)
			out[d] += p[j - begin] / sum * (double)v[j * kv_cols + d];
	}
	free(p);
}

static void
check_attention_case(
    const struct backend *backend, const struct attention_case *c, enum dtype dtype)
{
	struct numbers numbers = { 17 };
	int64_t kv_cols = (int64_t)c->kv_heads * c->head_dim, q_cols = kv_cols * c->group;
	float *q = new_floats(&numbers, c->rows * q_cols),
	      *k = new_floats(&numbers, c->n_kv * kv_cols);
	float *v = new_floats(&numbers, c->n_kv * kv_cols),
	      *out = new_floats(&numbers, c->rows * q_cols);
	int32_t *begin = malloc((size_t)c->rows * 4), *end = malloc((size_t)c->rows * 4);
	int32_t *slots = malloc((size_t)c->n_kv * 4);
	size_t bytes = dtype_row_bytes(dtype, kv_cols) * (size_t)c->n_kv;
	struct tensor qt = tensor_of(c->rows, q_cols, q), ot = tensor_of(c->rows, q_cols, out);
	struct tensor kt = tensor_of(c->n_kv, kv_cols, k), vt = tensor_of(c->n_kv, kv_cols, v);
	struct tensor kc = kt, vc = vt;
	struct attention_shape shape = { .n_heads = c->kv_heads * c->group,
		.n_kv_heads = c->kv_heads,
		.head_dim = c->head_dim,
		.scale = 1.2f,
		.softcap = c->softcap,
		.kv_begin = begin,
		.kv_end = end };
	double *expected = malloc((size_t)c->head_dim * sizeof *expected);

	/* Exactly as large as it must be, so that the sanitizers see a step beyond. */
	kc.dtype = vc.dtype = dtype;
	kc.data = malloc(bytes);
	vc.data = malloc(bytes);
	for (int32_t i = 0; i < c->n_kv; i++)
		slots[i] = i;
	backend->store_rows(backend->state, &kt, slots, &kc);
	backend->store_rows(backend->state, &vt, slots, &vc);
	assert_true(dtype_to_f32(dtype, kc.data, k, c->n_kv * kv_cols));
	assert_true(dtype_to_f32(dtype, vc.data, v, c->n_kv * kv_cols));
	keys_of_rows(c, begin, end);
	backend->attention(backend->state, &qt, &kc, &vc, &shape, &ot);
	for (int i = 0; i < c->rows; i++) {
		for (int h = 0; h < shape.n_heads; h++) {
			int64_t at = i * q_cols + (int64_t)h * c->head_dim;
			int64_t kv_at = (int64_t)(h / c->group) * c->head_dim;

			attention_of_query(&shape, q + at, k + kv_at, v + kv_at, kv_cols, begin[i],
			    end[i], expected);
			for (int d = 0; d < c->head_dim; d++)
				assert_close(
				    (double)out[at + d], expected[d], 4e-6, c->name, at + d);
		}
	}
	free(q);
	free(k);
	free(v);
	free(out);
	free(begin);
	free(end);
	free(slots);
	free(kc.data);
	free(vc.data);
	free(expected);
}

static void
check_attention(const struct backend *backend)
{
	for (size_t i = 0; i < sizeof attention_cases / sizeof attention_cases[0]; i++)
		for (int dtype = DTYPE_F32; dtype <= DTYPE_Q8_0; dtype++)
			if (attention_cases[i].head_dim % dtype_block((enum dtype)dtype) == 0)
				check_attention_case(
				    backend, &attention_cases[i], (enum dtype)dtype);
}

static void
attention_agrees_with_its_definition(void **state)
{
	(void)state;
	on_each_isa(check_attention);
}

/* Four lanes over one cache, a long prompt beside them in the batch: each lane's row has the same
 * bits as in a batch of its own. */
static void
check_lanes(const struct backend *backend)
{
	enum { lanes = 4, prompt = 30, rows = lanes + prompt, n_kv = 2500, hd = 40, cols = 4 * hd };
	struct numbers numbers = { 37 };
	float *q = new_floats(&numbers, rows * cols), *k = new_floats(&numbers, n_kv * 2 * hd);
	float *v = new_floats(&numbers, n_kv * 2 * hd), *out = new_floats(&numbers, rows * cols);
	float alone[cols];
	int32_t begin[rows], end[rows];
	struct attention_shape shape = {
		.n_heads = 4, .n_kv_heads = 2, .head_dim = hd, .scale = 0.3f
	};
	struct tensor kt = tensor_of(n_kv, 2 * hd, k), vt = tensor_of(n_kv, 2 * hd, v);
	struct tensor qt = tensor_of(rows, cols, q), ot = tensor_of(rows, cols, out);
	struct tensor one = tensor_of(1, cols, alone);

	for (int i = 0; i < rows; i++) {
		begin[i] = i < lanes ? 600 * i : 2400;
		end[i] = i < lanes ? begin[i] + 100 + 149 * i : 2401 + i;
	}
	shape.kv_begin = begin;
	shape.kv_end = end;
	backend->attention(backend->state, &qt, &kt, &vt, &shape, &ot);
	for (int i = 0; i < lanes; i++) {
		qt = tensor_of(1, cols, q + i * cols);
		shape.kv_begin = begin + i;
		shape.kv_end = end + i;
		backend->attention(backend->state, &qt, &kt, &vt, &shape, &one);
		assert_memory_equal(alone, out + i * cols, sizeof alone);
	}
	free(q);
	free(k);
	free(v);
	free(out);
}

static void
a_lane_gets_the_same_bits_alone_and_among_others(void **state)
{
	(void)state;
	on_each_isa(check_lanes);
}

/* Scores of +-1000 overflow exp() unless the maximum is taken away, across blocks too. */
static void
check_extreme_scores(const struct backend *backend)
{
	enum { n_keys = 700, rows = 20 };
	struct attention_shape shape = { .n_heads = 1, .n_kv_heads = 1, .head_dim = 1, .scale = 1 };
	float q[rows], k[n_keys], v[n_keys], out[rows];
	int32_t begin[rows], end[rows];
	struct tensor qt = tensor_of(rows, 1, q), kt = tensor_of(n_keys, 1, k);
	struct tensor vt = tensor_of(n_keys, 1, v), ot = tensor_of(rows, 1, out);

	shape.kv_begin = begin;
	shape.kv_end = end;
	for (int many = 0; many < 2; many++) {
		for (int winner = 0; winner < n_keys; winner += 99) {
			for (int j = 0; j < n_keys; j++) {
				k[j] = j == winner ? 1000 : -1000.0f + (float)(j % 5);
				v[j] = (float)j;
			}
			for (int i = 0; i < rows; i++) {
				q[i] = 1;
				begin[i] = 0;
				end[i] = n_keys;
			}
			qt.shape[0] = ot.shape[0] = many ? rows : 1;
			backend->attention(backend->state, &qt, &kt, &vt, &shape, &ot);
			assert_true(out[0] == (float)winner);
			assert_true(!many || out[rows - 1] == (float)winner);
		}
	}
}

static void
extreme_scores_neither_overflow_nor_vanish(void **state)
{
	(void)state;
	on_each_isa(check_extreme_scores);
}

/* ---- losses ---- */

static void
check_cross_entropy(const struct backend *backend)
{
	static const int64_t vocabs[] = { 1, 2, 258, 5001, 70003 };
	struct numbers numbers = { 19 };

	for (size_t s = 0; s < sizeof vocabs / sizeof vocabs[0]; s++) {
		enum { rows = 7 };
		int64_t vocab = vocabs[s];
		float *x = new_floats(&numbers, rows * vocab), weights[rows],
		      smoothing = s % 2 ? 0 : 0.1f;
		struct tensor xt = tensor_of(rows, vocab, x);
		int32_t targets[rows], best[rows], expected_best[rows];
		double loss, expected = 0;

		for (int r = 0; r < rows; r++) {
			double sum = 0, mean = 0;

			targets[r] = r == 2 ? -1 : next_int(&numbers, 0, (int)vocab - 1);
			weights[r] = 0.1f + (float)r;
			expected_best[r] = 0;
			for (int64_t i = 0; i < vocab; i++) {
				x[r * vocab + i] *= r == 4 ? 500 : 5;
				if (x[r * vocab + i] > x[r * vocab + expected_best[r]])
					expected_best[r] = (int32_t)i;
			}
			for (int64_t i = 0; i < vocab; i++) {
				double shifted = (double)x[r * vocab + i] -
						 (double)x[r * vocab + expected_best[r]];

				sum += exp(shifted);
				mean += shifted / (double)vocab;
			}
			if (targets[r] >= 0)
				expected += (double)weights[r] *
					    (log(sum) -
						(1 - (double)smoothing) *
						    ((double)x[r * vocab + targets[r]] -
							(double)x[r * vocab + expected_best[r]]) -
						(double)smoothing * mean);
		}
		backend->cross_entropy(
		    backend->state, &xt, targets, weights, smoothing, &loss, best);
		assert_close(loss, expected, 1e-6 * (1 + fabs(expected)), "cross entropy", vocab);
		for (int r = 0; r < rows; r++)
			assert_int_equal(best[r], expected_best[r]);
		free(x);
	}
}

static void
cross_entropy_agrees_with_double_and_finds_the_best(void **state)
{
	(void)state;
	on_each_isa(check_cross_entropy);
}

static void
check_sums(const struct backend *backend)
{
	struct numbers numbers = { 23 };

	for (int64_t n = 1; n < 2000000; n = n * 7 + 3) {
		float *x = new_floats(&numbers, n), *y = new_floats(&numbers, n);
		double squares = 0, absolute = 0, difference = 0;

		for (int64_t i = 0; i < n; i++) {
			squares += (double)x[i] * (double)x[i];
			absolute += fabs((double)x[i] - (double)y[i]);
			difference += pow((double)x[i] - (double)y[i], 2);
		}
		assert_close(backend->sum_squares(backend->state, n, x), squares, 1e-12 * squares,
		    "sum of squares", n);
		assert_close(backend->sum_abs_difference(backend->state, n, x, y), absolute,
		    1e-12 * absolute, "sum of differences", n);
		assert_close(backend->sum_squared_difference(backend->state, n, x, y), difference,
		    1e-12 * difference, "sum of squared differences", n);
		free(x);
		free(y);
	}
}

static void
sums_are_as_good_as_double(void **state)
{
	(void)state;
	on_each_isa(check_sums);
}

/* ---- optimiser ---- */

/* Loshchilov & Hutter 2019, algorithm 2, all in double. */
static void
check_adamw(const struct backend *backend)
{
	enum { n = 1003 };
	struct numbers numbers = { 29 };
	struct adamw options = { .learning_rate = 1e-2,
		.beta1 = 0.9,
		.beta2 = 0.999,
		.epsilon = 1e-8,
		.weight_decay = 0.1,
		.gradient_scale = 0.5f };
	float *g = new_floats(&numbers, n), *p = new_floats(&numbers, n), m[n] = { 0 },
	      v[n] = { 0 };
	double pd[n], md[n] = { 0 }, vd[n] = { 0 };

	for (int i = 0; i < n; i++)
		pd[i] = (double)p[i];
	for (options.step = 1; options.step <= 20; options.step++) {
		fill_floats(&numbers, n, g);
		backend->adamw(backend->state, &options, n, g, m, v, p);
		for (int i = 0; i < n; i++) {
			double gradient = 0.5 * (double)g[i], step = (double)options.step;

			md[i] = 0.9 * md[i] + 0.1 * gradient;
			vd[i] = 0.999 * vd[i] + 0.001 * gradient * gradient;
			pd[i] -= 1e-2 *
				 (0.1 * pd[i] + md[i] / (1 - pow(0.9, step)) /
						    (sqrt(vd[i] / (1 - pow(0.999, step))) + 1e-8));
		}
	}
	for (int i = 0; i < n; i++)
		assert_close((double)p[i], pd[i], 2e-6, "adamw", i);
	free(g);
	free(p);
}

static void
adamw_follows_the_paper(void **state)
{
	(void)state;
	on_each_isa(check_adamw);
}

/* ---- dropout ---- */

static void
check_dropout(const struct backend *backend)
{
	enum { n = 400000 };
	float *ones = malloc(n * sizeof *ones), *y = malloc(n * sizeof *y),
	      *z = malloc(n * sizeof *z);
	int kept = 0, pairs = 0, differ = 0;

	for (int i = 0; i < n; i++)
		ones[i] = 1;
	backend->dropout(backend->state, 0, n, 0.3f, 1234, ones, y, false);
	for (int i = 0; i < n; i++) {
		assert_true(y[i] == 0 || fabsf(y[i] - 1 / 0.7f) < 1e-6f);
		kept += y[i] != 0;
		pairs += i > 0 && y[i] != 0 && y[i - 1] != 0;
	}
	/* Five standard deviations: of the share kept, and of neighbours kept together. */
	assert_close(kept / (double)n, 0.7, 5 * sqrt(0.21 / n), "share kept", 0);
	assert_close(pairs / (double)n, 0.49, 8 * sqrt(0.25 / n), "pairs kept", 0);
	backend->dropout(backend->state, 0, n, 0.3f, 1235, ones, z, false);
	for (int i = 0; i < n; i++)
		differ += (y[i] != 0) != (z[i] != 0);
	assert_close(differ / (double)n, 2 * 0.21, 8 * sqrt(0.25 / n), "another seed", 0);
	/* The mask belongs to (seed, index): a shorter call has the same, and adding keeps it. */
	backend->dropout(backend->state, 0, 1001, 0.3f, 1234, ones, z, false);
	backend->dropout(backend->state, 0, 1001, 0.3f, 1234, ones, z, true);
	for (int i = 0; i < 1001; i++)
		assert_true(z[i] == 2 * y[i]);
	/* A piece of it, numbered as in the whole, has that piece's. */
	backend->dropout(backend->state, 70001, 1001, 0.3f, 1234, ones, z, false);
	assert_memory_equal(z, y + 70001, 1001 * sizeof *z);
	free(ones);
	free(y);
	free(z);
}

static void
dropout_keeps_its_share_and_its_mask(void **state)
{
	(void)state;
	on_each_isa(check_dropout);
}

static void
every_instruction_set_drops_the_same(void **state)
{
	float ones[5000], masks[N_ISAS][5000];
	int first = -1;

	(void)state;
	for (int i = 0; i < 5000; i++)
		ones[i] = 1;
	for (int isa = 0; isa < N_ISAS; isa++) {
		struct backend *backend = open_cpu(isa, 1);

		if (backend == NULL)
			continue;
		backend->dropout(backend->state, 0, 5000, 0.5f, 99, ones, masks[isa], false);
		if (first < 0)
			first = isa;
		assert_memory_equal(masks[isa], masks[first], sizeof masks[isa]);
		cpu_backend_close(backend);
	}
}

/* ---- threads ---- */

struct record {
	float *values;
	int64_t n;
};

static float *
take(struct record *record, int64_t n)
{
	float *values = record->values + record->n;

	record->n += n;
	memset(values, 0, (size_t)n * sizeof *values);
	return values;
}

#define RECORD_FLOATS 4000000

/* One call of everything that sums or splits, all results into one record. */
static void
run_everything(const struct backend *b, struct record *record)
{
	enum { rows = 701, cols = 96, heads = 3, head_dim = 32, vocab = 517 };
	struct numbers numbers = { 31 };
	int64_t n = (int64_t)rows * cols;
	float *x = new_floats(&numbers, n), *dy = new_floats(&numbers, n),
	      *w = new_floats(&numbers, cols);
	float *k = new_floats(&numbers, rows * head_dim),
	      *v = new_floats(&numbers, rows * head_dim);
	float *logits = new_floats(&numbers, rows * vocab), weights[rows];
	struct tensor xt = tensor_of(rows, cols, x), yt = tensor_of(rows, cols, take(record, n));
	struct tensor kt = tensor_of(rows, head_dim, k), vt = tensor_of(rows, head_dim, v);
	struct tensor lt = tensor_of(rows, vocab, logits);
	int32_t begin[rows], end[rows], ids[rows], best[rows];
	struct attention_shape shape = { .n_heads = heads,
		.n_kv_heads = 1,
		.head_dim = head_dim,
		.scale = 0.2f,
		.kv_begin = begin,
		.kv_end = end };
	double sums[4];

	for (int i = 0; i < rows; i++) {
		begin[i] = i < 350 ? i / 50 * 50 : 350;
		end[i] = i + 1;
		ids[i] = next_int(&numbers, 0, 40);
		weights[i] = 0.5f;
	}
	b->attention(b->state, &xt, &kt, &vt, &shape, &yt);
	b->attention_backward(b->state, &xt, &kt, &vt, &shape, dy, take(record, n),
	    take(record, rows * head_dim), take(record, rows * head_dim));
	b->rms_norm_backward(b->state, &xt, w, 0, 1e-5f, dy, take(record, n), take(record, cols));
	b->layer_norm_backward(
	    b->state, &xt, w, 1e-5f, dy, take(record, n), take(record, cols), take(record, cols));
	b->unit_rows_backward(b->state, &xt, 0.1f, dy, take(record, n));
	b->gather_rows_backward(b->state, ids, rows, cols, 41, dy, take(record, 41 * cols));
	b->mean_rows_backward(b->state, cols, begin, end, rows, dy, take(record, n));
	b->sum_rows(b->state, rows, cols, 0.5f, x, take(record, cols));
	b->transpose(b->state, rows, cols, x, take(record, n), true);
	b->dropout(b->state, 0, n, 0.1f, 5, x, take(record, n), false);
	b->gate_backward(b->state, ACTIVATION_GELU, n, x, dy, dy, take(record, n), take(record, n));
	b->cross_entropy(b->state, &lt, ids, weights, 0.1f, &sums[0], best);
	b->cross_entropy_backward(
	    b->state, &lt, ids, weights, 0.1f, 1, take(record, (int64_t)rows * vocab));
	sums[1] = b->sum_squares(b->state, n, x);
	sums[2] = b->sum_abs_difference(b->state, n, x, dy);
	sums[3] = b->sum_squared_difference(b->state, n, x, dy);
	memcpy(take(record, 8), sums, sizeof sums);
	memcpy(take(record, rows), best, sizeof best);
	assert_true(record->n <= RECORD_FLOATS);
	free(x);
	free(dy);
	free(w);
	free(k);
	free(v);
	free(logits);
}

static void
results_do_not_depend_on_the_number_of_threads(void **state)
{
	struct record one = { malloc(RECORD_FLOATS * sizeof(float)), 0 };
	struct record more = { malloc(RECORD_FLOATS * sizeof(float)), 0 };

	(void)state;
	for (int isa = 0; isa < N_ISAS; isa++) {
		for (int threads = 1; threads <= 3; threads++) {
			struct backend *backend = open_cpu(isa, threads);
			struct record *record = threads == 1 ? &one : &more;

			if (backend == NULL)
				continue;
			record->n = 0;
			run_everything(backend, record);
			assert_memory_equal(
			    record->values, one.values, (size_t)one.n * sizeof(float));
			cpu_backend_close(backend);
		}
	}
	free(one.values);
	free(more.values);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(exp_is_right_to_a_few_units_in_the_last_place),
		cmocka_unit_test(limits_and_nan_come_out_as_they_should),
		cmocka_unit_test(activations_agree_with_double_in_the_tails_too),
		cmocka_unit_test(norms_agree_with_double),
		cmocka_unit_test(rotations_agree_with_double_and_turn_back),
		cmocka_unit_test(attention_agrees_with_its_definition),
		cmocka_unit_test(a_lane_gets_the_same_bits_alone_and_among_others),
		cmocka_unit_test(extreme_scores_neither_overflow_nor_vanish),
		cmocka_unit_test(cross_entropy_agrees_with_double_and_finds_the_best),
		cmocka_unit_test(sums_are_as_good_as_double),
		cmocka_unit_test(adamw_follows_the_paper),
		cmocka_unit_test(dropout_keeps_its_share_and_its_mask),
		cmocka_unit_test(every_instruction_set_drops_the_same),
		cmocka_unit_test(results_do_not_depend_on_the_number_of_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
