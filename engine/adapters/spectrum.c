/*
 * spectrum.c - what an adapter does to each module, by its singular values, and how near the
 * subspaces of two adapters are. Nothing of a module's size is formed: only factors.
 */

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/adapters/norms.h"
#include "engine/adapters/svd.h"

#define OUTLIER 8 /* times the median norm of the modules that do something */

/* ---- one adapter ---- */

/* exp of the entropy of the normalised singular values (Roy & Vetterli 2007): how many directions
 * count. */
static double
effective_rank(const double *values, int n)
{
	double sum = 0, entropy = 0;

	for (int i = 0; i < n; i++)
		sum += values[i];
	for (int i = 0; i < n && sum > 0; i++) {
		if (values[i] > 0)
			entropy -= values[i] / sum * log(values[i] / sum);
	}
	return sum > 0 ? exp(entropy) : 0;
}

static int64_t
count_zeros(const struct tensor *tensor, double *largest)
{
	const float *x = tensor_f32(tensor);
	int64_t zeros = 0;

	*largest = 0;
	for (int64_t i = 0; i < tensor_count(tensor); i++) {
		zeros += x[i] == 0;
		*largest = fmax(*largest, fabs((double)x[i]));
	}
	return zeros;
}

static enum t2l_status
look_at(const struct adapter_module *module, struct t2l_module_spectrum *s, double *values,
    struct t2l_error *err)
{
	const int64_t in = tensor_cols(&module->a), out = tensor_cols(&module->bt);
	enum t2l_status status = svd_product_values(
	    tensor_f32(&module->a), tensor_f32(&module->bt), module->rank, in, out, values, err);
	double square = 0;
	int64_t zeros;

	if (status != T2L_OK)
		return status;
	*s = (struct t2l_module_spectrum){
		.layer = module->layer,
		.module = module_name(module->module),
		.expert = module->expert,
		.rank = module->rank,
		.in = in,
		.out = out,
		.singular_values = values,
	};
	zeros = count_zeros(&module->a, &s->largest_a) + count_zeros(&module->bt, &s->largest_b);
	for (int i = 0; i < module->rank; i++) {
		values[i] *= fabs((double)module->scale);
		square += values[i] * values[i];
	}
	s->norm = sqrt(square);
	s->effective_rank = effective_rank(values, module->rank);
	s->sparsity = (double)zeros / (double)(module->rank * (in + out));
	s->does_nothing = s->norm == 0;
	return T2L_OK;
}

static int
compare_doubles(const void *left, const void *right)
{
	double a = *(const double *)left, b = *(const double *)right;

	return a < b ? -1 : a > b;
}

static enum t2l_status
mark_outliers(struct t2l_module_spectrum *spectra, size_t n, struct t2l_error *err)
{
	double *norms = malloc(n * sizeof *norms), median;
	size_t n_active = 0;

	if (norms == NULL)
		return t2l_fail(err, T2L_ENOMEM, "out of memory");
	for (size_t i = 0; i < n; i++) {
		if (!spectra[i].does_nothing)
			norms[n_active++] = spectra[i].norm;
	}
	qsort(norms, n_active, sizeof *norms, compare_doubles);
	median = n_active > 0 ? norms[n_active / 2] : 0;
	for (size_t i = 0; i < n; i++)
		spectra[i].is_outlier = spectra[i].norm > OUTLIER * median;
	free(norms);
	return T2L_OK;
}

enum t2l_status
t2l_adapter_spectra(const struct t2l_adapter *adapter, struct t2l_module_spectrum **out, size_t *n,
    struct t2l_error *err)
{
	struct t2l_module_spectrum *spectra;
	enum t2l_status status = T2L_OK;
	size_t n_values = 0;
	double *values;

	for (size_t i = 0; i < adapter->n_modules; i++)
		n_values += (size_t)adapter->modules[i].rank;
	/* One block, so that one free() frees all. */
	spectra = malloc(adapter->n_modules * sizeof *spectra + n_values * sizeof *values);
	if (spectra == NULL)
		return t2l_fail(err, T2L_ENOMEM, "out of memory");
	values = (double *)(spectra + adapter->n_modules);
	for (size_t i = 0; i < adapter->n_modules && status == T2L_OK; i++) {
		status = look_at(&adapter->modules[i], &spectra[i], values, err);
		values += adapter->modules[i].rank;
	}
	if (status == T2L_OK)
		status = mark_outliers(spectra, adapter->n_modules, err);
	if (status != T2L_OK) {
		free(spectra);
		return status;
	}
	*out = spectra;
	*n = adapter->n_modules;
	return T2L_OK;
}

/* ---- two adapters ---- */

/* Orthonormal rows that span the rows of X; *N of them are left, first. NULL: out of memory. */
static double *
basis_of(const struct tensor *x, int64_t *n)
{
	const int64_t rows = tensor_rows(x), cols = tensor_cols(x);
	double *basis = malloc((size_t)(rows * cols) * sizeof *basis);
	double *l = malloc((size_t)(rows * rows) * sizeof *l);
	int64_t kept = 0;

	if (basis != NULL && l != NULL) {
		for (int64_t i = 0; i < rows * cols; i++)
			basis[i] = (double)tensor_f32(x)[i];
		svd_orthogonalise_rows(basis, 0, rows, cols, 1e-6, l, rows);
		for (int64_t i = 0; i < rows; i++) {
			if (l[i * rows + i] > 0)
				memmove(basis + kept++ * cols, basis + i * cols,
				    (size_t)cols * sizeof *basis);
		}
	} else {
		free(basis);
		basis = NULL;
	}
	free(l);
	*n = kept;
	return basis;
}

/* The cosines of the principal angles are the singular values of Q1 Q2^T (Bjorck & Golub 1973).
 * *OVERLAP is their mean square: 1 when the smaller space lies in the larger, 0 at right angles
 * (the measure of Hu et al. 2021, section 7.2). */
static enum t2l_status
compare_spaces(const struct tensor *x, const struct tensor *y, double *overlap, double *angle,
    struct t2l_error *err)
{
	int64_t n = 0, m = 0, cols = tensor_cols(x);
	double *p = basis_of(x, &n), *q = basis_of(y, &m);
	const int64_t smaller = n < m ? n : m;
	double *products = malloc((size_t)(n * m + n + 1) * sizeof *products);
	enum t2l_status status = T2L_OK;

	*overlap = 0;
	*angle = M_PI / 2;
	if (p == NULL || q == NULL || products == NULL) {
		status = t2l_fail(err, T2L_ENOMEM, "out of memory");
	} else if (smaller > 0) {
		double *cosines = products + n * m;

		for (int64_t i = 0; i < n * m; i++) {
			const double *u = p + i / m * cols, *v = q + i % m * cols;
			double sum = 0;

			for (int64_t c = 0; c < cols; c++)
				sum += u[c] * v[c];
			products[i] = sum;
			*overlap += sum * sum / (double)smaller;
		}
		svd_rotate_rows(products, n, m, NULL, cosines);
		*angle = acos(cosines[0] < 1 ? cosines[0] : 1);
	}
	free(p);
	free(q);
	free(products);
	return status;
}

static enum t2l_status
compare_modules(const struct adapter_module *a, const struct adapter_module *b,
    struct t2l_module_overlap *overlap, struct t2l_error *err)
{
	const struct adapter_module *any = a != NULL ? a : b;
	char label[MODULE_PATH_SIZE];
	enum t2l_status status;

	*overlap = (struct t2l_module_overlap){
		.layer = any->layer,
		.module = module_name(any->module),
		.expert = any->expert,
		.norm_a = a != NULL ? module_norm(a) : 0,
		.norm_b = b != NULL ? module_norm(b) : 0,
		.in_both = a != NULL && b != NULL,
	};
	if (!overlap->in_both)
		return T2L_OK;
	if (tensor_cols(&a->a) != tensor_cols(&b->a) || tensor_cols(&a->bt) != tensor_cols(&b->bt))
		return t2l_fail(err, T2L_EMISMATCH,
		    "%s differs in size; the adapters are for different bases",
		    adapter_module_label(any, label, sizeof label));
	overlap->inner_product = module_inner_product(a, b);
	if (overlap->norm_a > 0 && overlap->norm_b > 0)
		overlap->cosine = overlap->inner_product / (overlap->norm_a * overlap->norm_b);
	status = compare_spaces(&a->a, &b->a, &overlap->input_overlap, &overlap->input_angle, err);
	if (status == T2L_OK)
		status = compare_spaces(
		    &a->bt, &b->bt, &overlap->output_overlap, &overlap->output_angle, err);
	return status;
}

/* Which of two comes first in an adapter's order. */
static int
compare_places(const struct adapter_module *a, const struct adapter_module *b)
{
	if (a->layer != b->layer)
		return a->layer < b->layer ? -1 : 1;
	if (a->module != b->module)
		return a->module < b->module ? -1 : 1;
	return a->expert < b->expert ? -1 : a->expert > b->expert;
}

enum t2l_status
t2l_adapter_overlap(const struct t2l_adapter *a, const struct t2l_adapter *b,
    struct t2l_module_overlap **out, size_t *n, struct t2l_error *err)
{
	struct t2l_module_overlap *overlaps = calloc(a->n_modules + b->n_modules, sizeof *overlaps);
	enum t2l_status status = T2L_OK;
	size_t i = 0, j = 0, count = 0;

	if (overlaps == NULL)
		return t2l_fail(err, T2L_ENOMEM, "out of memory");
	while ((i < a->n_modules || j < b->n_modules) && status == T2L_OK) {
		int order = i == a->n_modules	? 1
			    : j == b->n_modules ? -1
						: compare_places(&a->modules[i], &b->modules[j]);

		status = compare_modules(order <= 0 ? &a->modules[i] : NULL,
		    order >= 0 ? &b->modules[j] : NULL, &overlaps[count++], err);
		i += order <= 0;
		j += order >= 0;
	}
	if (status != T2L_OK) {
		free(overlaps);
		return status;
	}
	*out = overlaps;
	*n = count;
	return T2L_OK;
}
