/*
 * difference.c - how far apart two adapters' effects are, row by row.
 *
 * With s B A of the one and s' B' A' of the other the difference is
 *   (s' B' - s B) A' + s B (A' - A),
 * sums of small terms: written as s' B' A' - s B A it would drown in rounding when both are nearly
 * equal, and equal adapters would not give 0.
 */

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/adapters/difference.h"
#include "engine/error.h"

/* The four factors above, all [rank, ...] with the larger of both ranks, zeros where one ends. */
struct factors {
	int rank;
	int64_t in, out;
	float *memory, *b_difference, *other_a, *b, *a_difference;
};

/* scale * tensor, or zeros behind its last row. */
static void
spread(const struct tensor *tensor, float scale, int rank, float *out)
{
	const size_t n = (size_t)tensor_count(tensor);
	const size_t all = (size_t)rank * (size_t)tensor_cols(tensor);

	for (size_t i = 0; i < n; i++)
		out[i] = scale * tensor_f32(tensor)[i];
	memset(out + n, 0, (all - n) * sizeof *out);
}

static bool
make_factors(
    const struct adapter_module *x, const struct adapter_module *y, struct factors *factors)
{
	const int rank = x->rank > y->rank ? x->rank : y->rank;
	const size_t n_a = (size_t)rank * (size_t)tensor_cols(&x->a);
	const size_t n_b = (size_t)rank * (size_t)tensor_cols(&x->bt);
	float *at = malloc(2 * (n_a + n_b) * sizeof *at);

	*factors = (struct factors){
		.rank = rank, .in = tensor_cols(&x->a), .out = tensor_cols(&x->bt), .memory = at
	};
	if (at == NULL)
		return false;
	factors->other_a = at;
	factors->a_difference = at + n_a;
	factors->b = at + 2 * n_a;
	factors->b_difference = at + 2 * n_a + n_b;
	spread(&y->a, 1, rank, factors->other_a);
	spread(&x->a, -1, rank, factors->a_difference);
	for (size_t i = 0; i < n_a; i++)
		factors->a_difference[i] += factors->other_a[i];
	spread(&x->bt, x->scale, rank, factors->b);
	spread(&y->bt, y->scale, rank, factors->b_difference);
	for (size_t i = 0; i < n_b; i++)
		factors->b_difference[i] -= factors->b[i];
	return true;
}

static bool
all_zero(const float *values, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (values[i] != 0)
			return false;
	}
	return true;
}

static void
add_scaled(float *restrict row, float factor, const float *restrict values, int64_t n)
{
	for (int64_t i = 0; i < n; i++)
		row[i] += factor * values[i];
}

static void
add_row(const float *row, int64_t n, double *max, double *squares)
{
	float largest = 0;
	double sum = 0;

	for (int64_t i = 0; i < n; i++) {
		largest = fmaxf(largest, fabsf(row[i]));
		sum += (double)row[i] * (double)row[i];
	}
	*max = fmax(*max, (double)largest);
	*squares += sum;
}

static enum t2l_status
module_difference(const struct adapter_module *x, const struct adapter_module *y, double *max,
    double *squares, struct t2l_error *err)
{
	struct factors f;
	float *row = NULL;

	if (!make_factors(x, y, &f) || (row = malloc((size_t)f.in * sizeof *row)) == NULL) {
		free(f.memory);
		return t2l_fail(err, T2L_ENOMEM, "out of memory");
	}
	if (!all_zero(f.a_difference, (size_t)(f.rank * f.in)) ||
	    !all_zero(f.b_difference, (size_t)(f.rank * f.out))) {
		for (int64_t i = 0; i < f.out; i++) {
			memset(row, 0, (size_t)f.in * sizeof *row);
			for (int k = 0; k < f.rank; k++) {
				add_scaled(
				    row, f.b_difference[k * f.out + i], f.other_a + k * f.in, f.in);
				add_scaled(
				    row, f.b[k * f.out + i], f.a_difference + k * f.in, f.in);
			}
			add_row(row, f.in, max, squares);
		}
	}
	free(row);
	free(f.memory);
	return T2L_OK;
}

static enum t2l_status
check_pair(const struct adapter_module *x, const struct adapter_module *y, struct t2l_error *err)
{
	char label[MODULE_PATH_SIZE];

	if (x->layer == y->layer && x->module == y->module && x->expert == y->expert &&
	    tensor_cols(&x->a) == tensor_cols(&y->a) && tensor_cols(&x->bt) == tensor_cols(&y->bt))
		return T2L_OK;
	return t2l_fail(err, T2L_EMISMATCH, "%s is another in the other adapter",
	    adapter_module_label(x, label, sizeof label));
}

/* Norm of all modules together. */
static enum t2l_status
whole_norm(const struct t2l_adapter *adapter, double *norm, struct t2l_error *err)
{
	struct t2l_module_norm *norms;
	size_t n;
	enum t2l_status status = t2l_adapter_norms(adapter, NULL, &norms, &n, err);

	if (status != T2L_OK)
		return status;
	*norm = 0;
	for (size_t i = 0; i < n; i++)
		*norm += norms[i].norm * norms[i].norm;
	*norm = sqrt(*norm);
	free(norms);
	return T2L_OK;
}

enum t2l_status
adapter_difference(const struct t2l_adapter *reference, const struct t2l_adapter *other,
    enum t2l_status (*step)(void *user, struct t2l_error *err), void *user,
    struct adapter_difference *out, struct t2l_error *err)
{
	double squares = 0, count = 0, norm = 0;
	enum t2l_status status = T2L_OK;

	if (reference->n_modules != other->n_modules)
		return t2l_fail(err, T2L_EMISMATCH, "one adapter changes %zu modules, one %zu",
		    reference->n_modules, other->n_modules);
	*out = (struct adapter_difference){ .max = 0 };
	for (size_t i = 0; i < reference->n_modules && status == T2L_OK; i++) {
		const struct adapter_module *x = &reference->modules[i], *y = &other->modules[i];

		if (step != NULL)
			status = step(user, err);
		if (status == T2L_OK && (status = check_pair(x, y, err)) == T2L_OK)
			status = module_difference(x, y, &out->max, &squares, err);
		count += (double)tensor_cols(&x->a) * (double)tensor_cols(&x->bt);
	}
	if (status == T2L_OK && squares > 0)
		status = whole_norm(reference, &norm, err);
	out->rms = sqrt(squares / count);
	if (squares > 0)
		out->relative = norm > 0 ? sqrt(squares) / norm : INFINITY;
	return status;
}
