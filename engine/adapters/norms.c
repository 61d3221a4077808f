/*
 * norms.c - how strong an adapter is, and how alike two are, without forming B A.
 *
 * <B1 A1, B2 A2> = tr((B2^T B1) (A1 A2^T)) = sum over ranks i, j of (b1_i . b2_j) (a1_i . a2_j):
 * dot products of rows, rank^2 of them, instead of a matrix [out, in].
 */

#include <math.h>
#include <stdlib.h>

#include "engine/adapters/norms.h"
#include "engine/error.h"

static double
dot(const float *x, const float *y, int64_t n)
{
	double sum[4] = { 0 };
	int64_t i = 0;

	for (; i + 4 <= n; i += 4) {
		for (int j = 0; j < 4; j++)
			sum[j] += (double)x[i + j] * (double)y[i + j];
	}
	for (; i < n; i++)
		sum[0] += (double)x[i] * (double)y[i];
	return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

double
module_inner_product(const struct adapter_module *x, const struct adapter_module *y)
{
	const int64_t in = tensor_cols(&x->a), out = tensor_cols(&x->bt);
	double sum = 0;

	for (int64_t i = 0; i < x->rank; i++) {
		for (int64_t j = 0; j < y->rank; j++)
			sum += dot(tensor_f32(&x->a) + i * in, tensor_f32(&y->a) + j * in, in) *
			       dot(tensor_f32(&x->bt) + i * out, tensor_f32(&y->bt) + j * out, out);
	}
	return sum * (double)x->scale * (double)y->scale;
}

double
module_norm(const struct adapter_module *module)
{
	double square = module_inner_product(module, module);

	return square > 0 ? sqrt(square) : 0; /* rounding may leave a tiny negative number */
}

/* 0 when OTHER does not change the module, or one of them does nothing. */
static enum t2l_status
cosine_of(const struct adapter_module *module, const struct t2l_adapter *other, double norm,
    double *cosine, struct t2l_error *err)
{
	const struct adapter_module *match =
	    adapter_find(other, module->layer, module->module, module->expert);
	char label[MODULE_PATH_SIZE];
	double other_norm;

	*cosine = 0;
	if (match == NULL)
		return T2L_OK;
	if (tensor_cols(&match->a) != tensor_cols(&module->a) ||
	    tensor_cols(&match->bt) != tensor_cols(&module->bt))
		return t2l_fail(err, T2L_EMISMATCH,
		    "%s differs in size; the adapters are for different bases",
		    adapter_module_label(module, label, sizeof label));
	other_norm = module_norm(match);
	if (norm > 0 && other_norm > 0)
		*cosine = module_inner_product(module, match) / (norm * other_norm);
	return T2L_OK;
}

enum t2l_status
t2l_adapter_norms(const struct t2l_adapter *adapter, const struct t2l_adapter *other,
    struct t2l_module_norm **out, size_t *n, struct t2l_error *err)
{
	struct t2l_module_norm *norms = calloc(adapter->n_modules, sizeof *norms);
	enum t2l_status status = T2L_OK;

	if (norms == NULL)
		return t2l_fail(err, T2L_ENOMEM, "out of memory");
	for (size_t i = 0; i < adapter->n_modules && status == T2L_OK; i++) {
		const struct adapter_module *module = &adapter->modules[i];

		norms[i].layer = module->layer;
		norms[i].module = module_name(module->module);
		norms[i].expert = module->expert;
		norms[i].rank = module->rank;
		norms[i].norm = module_norm(module);
		if (other != NULL)
			status = cosine_of(module, other, norms[i].norm, &norms[i].cosine, err);
	}
	if (status != T2L_OK) {
		free(norms);
		return status;
	}
	*out = norms;
	*n = adapter->n_modules;
	return T2L_OK;
}
