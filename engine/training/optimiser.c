/* optimiser.c - AdamW for all, Muon for hidden matrices. */

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/error.h"
#include "engine/training/optimiser.h"

double
schedule_factor(const struct t2l_train_options *options, int64_t step)
{
	double steps = (double)options->steps, warmup = (double)options->warmup_steps;
	double k = (double)step;

	switch (options->schedule) {
	case T2L_SCHEDULE_LINEAR:
		return k < warmup ? k / warmup : fmax(0, (steps - k) / fmax(1, steps - warmup));
	case T2L_SCHEDULE_COSINE:
		if (k < warmup)
			return k / warmup;
		k = fmin(1, (k - warmup) / fmax(1, steps - warmup));
		return options->final + (1 - options->final) * 0.5 * (1 + cos(M_PI * k));
	case T2L_SCHEDULE_HOLD_LINEAR: {
		double turn = options->hold * steps;

		if (k < warmup)
			return (k + 1) / warmup;
		if (k < turn)
			return 1;
		k = (k - turn) / fmax(1, steps - 1 - turn);
		return 1 + (options->final - 1) * fmin(1, k);
	}
	case T2L_SCHEDULE_CONSTANT:
		break;
	}
	return k < warmup ? (k + 1) / warmup : 1;
}

double
gradient_norm(const struct backend *backend, const struct parameter_set *set)
{
	double sum = 0;

	for (size_t i = 0; i < set->n; i++)
		sum += backend->sum_squares(
		    backend->state, tensor_count(set->items[i].tensor), set->items[i].tensor->grad);
	return sqrt(sum);
}

/*
 * Muon (Jordan et al. 2024): Nesterov momentum, then the update matrix is brought near the
 * closest orthogonal one by five Newton-Schulz steps X <- aX + (bS + cS^2)X, S = X X^T, with the
 * coefficients of that work; its length follows sqrt(max(1, rows / cols)).
 */
#define MUON_MOMENTUM 0.95f
#define MUON_STEPS 5

static void
orthogonalise(const struct backend *backend, int64_t rows, int64_t cols, float *x, float *square,
    float *poly, float *next)
{
	static const float a = 3.4445f, b = -4.7750f, c = 2.0315f;
	void *state = backend->state;
	int64_t n = rows * cols;
	/* The smaller side is squared: X X^T for wide matrices, X^T X for tall ones. */
	bool tall = rows > cols;
	int64_t side = tall ? cols : rows;
	float norm = (float)sqrt(backend->sum_squares(state, n, x)) + 1e-7f;

	backend->add(state, n, 1 / norm, x, 0, NULL, x);
	for (int i = 0; i < MUON_STEPS; i++) {
		backend->gemm(
		    state, tall, !tall, side, side, tall ? rows : cols, 1, x, x, 0, square);
		backend->gemm(state, false, false, side, side, side, c, square, square, 0, poly);
		backend->add(state, side * side, 1, poly, b, square, poly);
		memcpy(next, x, (size_t)n * sizeof *x);
		if (tall)
			backend->gemm(state, false, false, rows, cols, cols, 1, next, poly, a, x);
		else
			backend->gemm(state, false, false, rows, cols, rows, 1, poly, next, a, x);
	}
}

static enum t2l_status
muon_update(const struct backend *backend, struct parameter *parameter, float learning_rate,
    float gradient_scale, struct t2l_error *err)
{
	struct tensor *tensor = parameter->tensor;
	int64_t rows = tensor_rows(tensor), cols = tensor_cols(tensor), n = rows * cols;
	int64_t side = rows < cols ? rows : cols;
	float *x =
	    aligned_alloc(64, ((size_t)(2 * n + 2 * side * side) * sizeof *x + 63) & ~(size_t)63);

	if (x == NULL)
		return t2l_fail(
		    err, T2L_ENOMEM, "training: no memory for the update of '%s'", parameter->name);
	backend->add(backend->state, n, MUON_MOMENTUM, parameter->m, gradient_scale, tensor->grad,
	    parameter->m);
	backend->add(
	    backend->state, n, gradient_scale, tensor->grad, MUON_MOMENTUM, parameter->m, x);
	orthogonalise(backend, rows, cols, x, x + n, x + n + side * side, x + n + 2 * side * side);
	learning_rate *= sqrtf(fmaxf(1, (float)rows / (float)cols));
	backend->add(
	    backend->state, n, 1, tensor_f32(tensor), -learning_rate, x, tensor_f32(tensor));
	free(x);
	return T2L_OK;
}

enum t2l_status
optimiser_step(const struct backend *backend, struct parameter_set *set,
    const struct t2l_train_options *options, int64_t step, double norm, struct t2l_error *err)
{
	float factor = (float)schedule_factor(options, step);
	float scale = 1;

	if (options->clip > 0 && norm > options->clip)
		scale = (float)(options->clip / (norm + 1e-6));

	struct adamw adamw = {
		.learning_rate = options->learning_rate * factor,
		.beta1 = options->beta1,
		.beta2 = options->beta2,
		.epsilon = options->epsilon,
		.weight_decay = options->weight_decay,
		.gradient_scale = scale,
		.step = step + 1,
	};

	for (size_t i = 0; i < set->n; i++) {
		struct parameter *parameter = &set->items[i];

		if (parameter->rule == UPDATE_MUON) {
			enum t2l_status status = muon_update(
			    backend, parameter, options->muon_learning_rate * factor, scale, err);

			if (status != T2L_OK)
				return status;
		} else {
			backend->adamw(backend->state, &adamw, tensor_count(parameter->tensor),
			    parameter->tensor->grad, parameter->m, parameter->v,
			    tensor_f32(parameter->tensor));
		}
	}
	return T2L_OK;
}
