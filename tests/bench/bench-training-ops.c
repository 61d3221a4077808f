/*
 * bench-training-ops.c - a training step of a small llama, built from the operations alone.
 *
 * hidden 128, 6 layers, 4 heads of 32 (2 of k and v), ffn 384, byte vocabulary; 2000 rows of
 * packed short sequences. Prints the time of a step in its parts and the tokens a second; run it
 * under perf to see the kernels.
 *
 * usage: bench-training-ops [STEPS [THREADS [ISA]]]
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "engine/cpu/cpu.h"
#include "engine/tensor/ops.h"

enum {
	ROWS = 2000,
	HIDDEN = 128,
	LAYERS = 6,
	HEADS = 4,
	KV_HEADS = 2,
	HEAD_DIM = 32,
	FFN = 384,
	VOCAB = 258,
	KV = KV_HEADS * HEAD_DIM,
	MAX_PARAMETERS = 3 + 9 * LAYERS
};

struct parameter {
	int64_t rows, cols;
	float *values, *gradient, *m, *v;
};

struct model {
	struct parameter parameters[MAX_PARAMETERS];
	int n_parameters;
	int32_t tokens[ROWS], targets[ROWS], positions[ROWS], kv_begin[ROWS], kv_end[ROWS];
	float weights[ROWS], inv_freq[HEAD_DIM / 2];
};

static uint64_t random_state = 1;

static double
uniform(void)
{
	random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (double)(random_state >> 40) / (double)(1 << 24);
}

static void
add_parameter(struct model *model, int64_t rows, int64_t cols)
{
	struct parameter *p = &model->parameters[model->n_parameters++];
	size_t n = (size_t)(rows * cols);

	*p = (struct parameter){ rows, cols, calloc(n, 4), calloc(n, 4), calloc(n, 4),
		calloc(n, 4) };
	if (p->values == NULL || p->gradient == NULL || p->m == NULL || p->v == NULL)
		abort();
	for (size_t i = 0; i < n; i++)
		p->values[i] = rows == 1 ? 1 : (float)((uniform() - 0.5) * 0.1);
}

static void
create_model(struct model *model)
{
	int first = 0, next = 0;

	add_parameter(model, VOCAB, HIDDEN);
	for (int layer = 0; layer < LAYERS; layer++) {
		add_parameter(model, 1, HIDDEN);
		add_parameter(model, HIDDEN, HIDDEN);
		add_parameter(model, KV, HIDDEN);
		add_parameter(model, KV, HIDDEN);
		add_parameter(model, HIDDEN, HIDDEN);
		add_parameter(model, 1, HIDDEN);
		add_parameter(model, FFN, HIDDEN);
		add_parameter(model, FFN, HIDDEN);
		add_parameter(model, HIDDEN, FFN);
	}
	add_parameter(model, 1, HIDDEN);
	add_parameter(model, VOCAB, HIDDEN);
	for (int i = 0; i < ROWS; i++) {
		if (i == next) {
			first = i;
			next = i + 10 + (int)(uniform() * 120);
		}
		model->tokens[i] = (int32_t)(uniform() * VOCAB);
		model->targets[i] = (model->tokens[i] * 7 + 1) % VOCAB;
		model->weights[i] = 1.0f / ROWS;
		model->positions[i] = i - first;
		model->kv_begin[i] = first;
		model->kv_end[i] = i + 1;
	}
	for (int i = 0; i < HEAD_DIM / 2; i++)
		model->inv_freq[i] = powf(10000, -2.0f * (float)i / HEAD_DIM);
}

static struct tensor *
parameter(struct ops *ops, const struct model *model, int *next)
{
	const struct parameter *p = &model->parameters[(*next)++];

	return ops_wrap(ops, DTYPE_F32, 2, (int64_t[]){ p->rows, p->cols }, p->values, p->gradient);
}

static struct tensor *
forward(struct ops *ops, const struct model *model)
{
	struct rope rope = { .n_rot = HEAD_DIM, .inv_freq = model->inv_freq, .magnitude = 1 };
	struct attention_shape shape = { .n_heads = HEADS,
		.n_kv_heads = KV_HEADS,
		.head_dim = HEAD_DIM,
		.scale = 1 / sqrtf(HEAD_DIM),
		.kv_begin = model->kv_begin,
		.kv_end = model->kv_end };
	int next = 0;
	struct tensor *x = op_gather_rows(ops, parameter(ops, model, &next), model->tokens, ROWS);
	struct tensor *h, *q, *k, *v, *up;

	for (int layer = 0; layer < LAYERS; layer++) {
		h = op_rms_norm(ops, x, parameter(ops, model, &next), 0, 1e-5f);
		q = op_linear(ops, h, parameter(ops, model, &next), NULL);
		k = op_linear(ops, h, parameter(ops, model, &next), NULL);
		v = op_linear(ops, h, parameter(ops, model, &next), NULL);
		q = op_rope(ops, q, model->positions, &rope, HEAD_DIM);
		k = op_rope(ops, k, model->positions, &rope, HEAD_DIM);
		h = op_attention(ops, q, k, v, &shape);
		x = op_add(ops, 1, x, 1, op_linear(ops, h, parameter(ops, model, &next), NULL));
		h = op_rms_norm(ops, x, parameter(ops, model, &next), 0, 1e-5f);
		up = op_linear(ops, h, parameter(ops, model, &next), NULL);
		h = op_gate(ops, ACTIVATION_SILU,
		    op_linear(ops, h, parameter(ops, model, &next), NULL), up);
		x = op_add(ops, 1, x, 1, op_linear(ops, h, parameter(ops, model, &next), NULL));
	}
	x = op_rms_norm(ops, x, parameter(ops, model, &next), 0, 1e-5f);
	x = op_linear(ops, x, parameter(ops, model, &next), NULL);
	return op_cross_entropy(ops, x, model->targets, model->weights, 0, NULL);
}

static void
update(const struct backend *backend, struct model *model, int64_t step)
{
	struct adamw options = { .learning_rate = 1e-3,
		.beta1 = 0.9,
		.beta2 = 0.999,
		.epsilon = 1e-8,
		.weight_decay = 0.01,
		.step = step };
	double squares = 0;

	for (int i = 0; i < model->n_parameters; i++) {
		struct parameter *p = &model->parameters[i];

		squares += backend->sum_squares(backend->state, p->rows * p->cols, p->gradient);
	}
	options.gradient_scale = squares > 1 ? (float)(1 / sqrt(squares)) : 1;
	for (int i = 0; i < model->n_parameters; i++) {
		struct parameter *p = &model->parameters[i];
		int64_t n = p->rows * p->cols;

		backend->adamw(backend->state, &options, n, p->gradient, p->m, p->v, p->values);
		memset(p->gradient, 0, (size_t)n * sizeof(float));
	}
}

int
main(int argc, char **argv)
{
	static struct model model;
	int steps = argc > 1 ? atoi(argv[1]) : 10;
	struct cpu_options options = { .n_threads = argc > 2 ? atoi(argv[2]) : 0,
		.isa = argc > 3 ? argv[3] : NULL };
	double forwards = 0, backwards = 0, updates = 0, fastest = 1e9;
	struct backend *backend;
	struct t2l_error err;
	struct ops *ops;

	if (cpu_backend_open(&options, &backend, &err) != T2L_OK) {
		fprintf(stderr, "%s\n", err.message);
		return 1;
	}
	create_model(&model);
	ops = ops_create(backend);
	if (ops == NULL)
		return 1;
	ops_record(ops, true);
	for (int step = 0; step <= steps; step++) {
		double start = clock_seconds(), middle, late, end;
		struct tensor *loss = forward(ops, &model);

		middle = clock_seconds();
		if (ops_backward(ops, loss, 1, &err) != T2L_OK) {
			fprintf(stderr, "%s\n", err.message);
			return 1;
		}
		late = clock_seconds();
		if (step == 0 || step == steps)
			printf("loss %.4f\n", (double)tensor_f32(loss)[0]);
		update(backend, &model, step + 1);
		ops_reset(ops);
		end = clock_seconds();
		if (step == 0) /* memory is being got */
			continue;
		forwards += middle - start;
		backwards += late - middle;
		updates += end - late;
		fastest = end - start < fastest ? end - start : fastest;
	}
	printf("%s: forward %.1f ms, backward %.1f ms, update %.1f ms; fastest step %.1f ms, "
	       "%.0f tokens/s; activations %.0f MB\n",
	    backend->description, 1e3 * forwards / steps, 1e3 * backwards / steps,
	    1e3 * updates / steps, 1e3 * fastest, ROWS / fastest,
	    (double)ops_peak_bytes(ops) / 1e6);
	ops_free(ops);
	cpu_backend_close(backend);
	return 0;
}
