/* svd.c - one-sided Jacobi, orthogonal rows, and the decomposition of a product of thin factors. */

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/adapters/svd.h"

#define MAX_SWEEPS 60
#define ORTHOGONAL 1e-14 /* cosine of two rows that is but rounding, in double */
#define DEPENDENT 1e-13	 /* likewise, the share of a row that those before it leave */

/* ---- vectors ---- */

/* Eight sums: the compiler may not reorder one. */
static double
dot(const double *x, const double *y, int64_t n)
{
	double sum[8] = { 0 };
	int64_t i = 0;

	for (; i + 8 <= n; i += 8) {
		for (int k = 0; k < 8; k++)
			sum[k] += x[i + k] * y[i + k];
	}
	for (; i < n; i++)
		sum[0] += x[i] * y[i];
	return ((sum[0] + sum[1]) + (sum[2] + sum[3])) + ((sum[4] + sum[5]) + (sum[6] + sum[7]));
}

static void
add_scaled(double *y, double factor, const double *x, int64_t n)
{
	for (int64_t i = 0; i < n; i++)
		y[i] += factor * x[i];
}

static void
rotate(double *x, double *y, int64_t n, double cosine, double sine)
{
	for (int64_t i = 0; i < n; i++) {
		double a = x[i], b = y[i];

		x[i] = cosine * a - sine * b;
		y[i] = sine * a + cosine * b;
	}
}

/* ---- one-sided Jacobi ---- */

/* Makes rows P and Q orthogonal; false when they are already. */
static bool
rotate_pair(double *p, double *q, int64_t m, double *jp, double *jq, int64_t n)
{
	double pp = dot(p, p, m), qq = dot(q, q, m), pq = dot(p, q, m);
	double zeta, t, cosine;

	if (pq == 0 || fabs(pq) <= ORTHOGONAL * sqrt(pp) * sqrt(qq))
		return false;
	zeta = (qq - pp) / (2 * pq);
	t = copysign(1, zeta) / (fabs(zeta) + hypot(1, zeta));
	cosine = 1 / hypot(1, t);
	rotate(p, q, m, cosine, cosine * t);
	if (jp != NULL)
		rotate(jp, jq, n, cosine, cosine * t);
	return true;
}

static void
swap_rows(double *p, double *q, int64_t n)
{
	for (int64_t i = 0; i < n; i++) {
		double kept = p[i];

		p[i] = q[i];
		q[i] = kept;
	}
}

static void
sort_rows(double *x, int64_t n, int64_t m, double *j, double *values)
{
	for (int64_t i = 0; i < n; i++) {
		int64_t longest = i;

		for (int64_t k = i + 1; k < n; k++)
			longest = values[k] > values[longest] ? k : longest;
		if (longest == i)
			continue;
		swap_rows(x + i * m, x + longest * m, m);
		if (j != NULL)
			swap_rows(j + i * n, j + longest * n, n);
		swap_rows(&values[i], &values[longest], 1);
	}
}

void
svd_rotate_rows(double *x, int64_t n, int64_t m, double *j, double *values)
{
	bool turned = true;

	for (int64_t i = 0; j != NULL && i < n * n; i++)
		j[i] = i / n == i % n;
	for (int sweep = 0; turned && sweep < MAX_SWEEPS; sweep++) {
		turned = false;
		for (int64_t p = 0; p + 1 < n; p++) {
			for (int64_t q = p + 1; q < n; q++)
				turned |= rotate_pair(x + p * m, x + q * m, m,
				    j != NULL ? j + p * n : NULL, j != NULL ? j + q * n : NULL, n);
		}
	}
	for (int64_t i = 0; i < n; i++)
		values[i] = sqrt(dot(x + i * m, x + i * m, m));
	sort_rows(x, n, m, j, values);
}

/* ---- orthogonal rows ---- */

/* Takes from row X + i * M what the rows before it span; returns the length that is left. */
static double
take_span(double *x, int64_t i, int64_t m, double *l)
{
	double *row = x + i * m, before = sqrt(dot(row, row, m)), left = before;

	for (int pass = 0; pass < 3 && before > 0; pass++) {
		for (int64_t k = 0; k < i; k++) {
			double part = dot(row, x + k * m, m);

			add_scaled(row, -part, x + k * m, m);
			l[k] += part;
		}
		left = sqrt(dot(row, row, m));
		if (left > 0.5 * before)
			break;
		before = left;
	}
	return left;
}

/* Gram and Schmidt, modified; again when much was taken away ("twice is enough", Parlett 1980). */
int64_t
svd_orthogonalise_rows(
    double *x, int64_t from, int64_t n, int64_t m, double dependent, double *l, int64_t stride)
{
	int64_t n_left = 0;

	for (int64_t i = from; i < from + n; i++) {
		double *row = x + i * m, whole = sqrt(dot(row, row, m)), left;

		memset(l + i * stride, 0, (size_t)stride * sizeof *l);
		left = take_span(x, i, m, l + i * stride);
		if (left <= dependent * whole) {
			memset(row, 0, (size_t)m * sizeof *row);
			continue;
		}
		l[i * stride + i] = left;
		for (int64_t k = 0; k < m; k++)
			row[k] /= left;
		n_left++;
	}
	return n_left;
}

/* ---- a product of thin factors ---- */

/* W = BT^T A with A = La Qa, BT = Lb Qb: W = Qb^T (Lb^T La) Qa, and the middle is small. */
struct product {
	int64_t rank, in, out;
	double *a, *bt;	  /* Qa [rank, in], Qb [rank, out] */
	double *la, *lb;  /* [rank, rank] */
	double *core, *j; /* [rank, rank]: Lb^T La, rotated: J (Lb^T La) */
	double *values;	  /* [rank] */
	double *memory;
};

static bool
product_allocate(struct product *p)
{
	const size_t square = (size_t)(p->rank * p->rank);
	double *at = malloc(((size_t)(p->rank * (p->in + p->out + 1)) + 4 * square) * sizeof *at);

	p->memory = at;
	if (at == NULL)
		return false;
	p->a = at;
	p->bt = p->a + p->rank * p->in;
	p->la = p->bt + p->rank * p->out;
	p->lb = p->la + square;
	p->core = p->lb + square;
	p->j = p->core + square;
	p->values = p->j + square;
	return true;
}

static enum t2l_status
product_decompose(
    const float *a, const float *bt, struct product *p, bool vectors, struct t2l_error *err)
{
	const int64_t r = p->rank;

	if (!product_allocate(p))
		return t2l_fail(err, T2L_ENOMEM, "out of memory for a decomposition of rank %lld",
		    (long long)r);
	for (int64_t i = 0; i < r * p->in; i++)
		p->a[i] = (double)a[i];
	for (int64_t i = 0; i < r * p->out; i++)
		p->bt[i] = (double)bt[i];
	svd_orthogonalise_rows(p->a, 0, r, p->in, DEPENDENT, p->la, r);
	svd_orthogonalise_rows(p->bt, 0, r, p->out, DEPENDENT, p->lb, r);
	memset(p->core, 0, (size_t)(r * r) * sizeof *p->core);
	for (int64_t k = 0; k < r; k++) {
		for (int64_t i = 0; i <= k; i++)
			add_scaled(p->core + i * r, p->lb[k * r + i], p->la + k * r, k + 1);
	}
	svd_rotate_rows(p->core, r, r, vectors ? p->j : NULL, p->values);
	return T2L_OK;
}

/* OUT [cols] = factor * sum over k of row[k] * basis row k. */
static void
combine_rows(const double *row, double factor, const double *basis, int64_t n, int64_t cols,
    double *sum, float *out)
{
	memset(sum, 0, (size_t)cols * sizeof *sum);
	for (int64_t k = 0; k < n; k++)
		add_scaled(sum, factor * row[k], basis + k * cols, cols);
	for (int64_t i = 0; i < cols; i++)
		out[i] = (float)sum[i];
}

enum t2l_status
svd_cut_product(const float *a, const float *bt, int64_t rank, int64_t in, int64_t out,
    struct svd_cut *cut, struct t2l_error *err)
{
	struct product p = { .rank = rank, .in = in, .out = out };
	double *sum = malloc((size_t)(in > out ? in : out) * sizeof *sum);
	enum t2l_status status = sum == NULL ? t2l_fail(err, T2L_ENOMEM, "out of memory")
					     : product_decompose(a, bt, &p, true, err);

	memset(cut->a, 0, (size_t)(cut->rank * in) * sizeof *cut->a);
	memset(cut->bt, 0, (size_t)(cut->rank * out) * sizeof *cut->bt);
	cut->energy = cut->lost = 0;
	for (int64_t k = 0; k < rank && status == T2L_OK; k++) {
		double value = p.values[k];

		cut->energy += value * value;
		if (k >= cut->rank)
			cut->lost += value * value;
		else if (value > 0) {
			combine_rows(
			    p.core + k * rank, 1 / value, p.a, rank, in, sum, cut->a + k * in);
			combine_rows(
			    p.j + k * rank, value, p.bt, rank, out, sum, cut->bt + k * out);
		}
	}
	free(p.memory);
	free(sum);
	return status;
}

enum t2l_status
svd_product_values(const float *a, const float *bt, int64_t rank, int64_t in, int64_t out,
    double *values, struct t2l_error *err)
{
	struct product p = { .rank = rank, .in = in, .out = out };
	enum t2l_status status = product_decompose(a, bt, &p, false, err);

	if (status == T2L_OK)
		memcpy(values, p.values, (size_t)rank * sizeof *values);
	free(p.memory);
	return status;
}
