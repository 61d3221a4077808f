/*
 * adapters/svd.h - singular value decompositions of what adapters are made of.
 *
 * Two kinds: a product of thin factors, W = BT^T A with A [rank, in] and BT [rank, out], which is
 * never formed; and a dense W [out, in], of which only the strongest directions are wanted. Both
 * give W ~ sum of s_k u_k v_k^T with s decreasing.
 *
 * Small matrices are decomposed in double by one-sided Jacobi rotations (Hestenes 1958; Demmel &
 * Veselic 1992: small singular values keep their relative accuracy). Thin factors come down to a
 * small matrix by orthogonalising their rows; dense matrices by a randomised block Krylov space
 * (Musco & Musco 2015), or whole when they are small.
 */
#ifndef ENGINE_ADAPTERS_SVD_H
#define ENGINE_ADAPTERS_SVD_H

#include <stdint.h>

#include "engine/error.h"

/* What is kept of W, as the factors of an adapter of scale 1: BT^T A. */
struct svd_cut {
	int rank;	     /* wanted; what W lacks stays zero */
	float *a;	     /* [rank, in]: rows v_k, orthonormal */
	float *bt;	     /* [rank, out]: rows s_k u_k */
	double energy, lost; /* |W|^2 in Frobenius' norm, and the part of it that was cut off */
};

/* Rotates the N rows of X [n, m] until they are orthogonal and sorts them by length: X = J^T Y.
 * Y replaces X, J [n, n] is orthogonal (NULL: not wanted), values [n] are the lengths of Y's rows:
 * the singular values of X. */
void svd_rotate_rows(double *x, int64_t n, int64_t m, double *j, double *values);

/* Makes rows FROM .. FROM+N of X [.., m] orthonormal, to each other and to the FROM rows before
 * them, which are so already. L [.., STRIDE], lower triangular, gets their rows: old X = L X. A row
 * of which those before leave no more than the share DEPENDENT becomes zero, with a zero on L's
 * diagonal. Returns how many are not zero. */
int64_t svd_orthogonalise_rows(
    double *x, int64_t from, int64_t n, int64_t m, double dependent, double *l, int64_t stride);

/* Of W = BT^T A. */
enum t2l_status svd_cut_product(const float *a, const float *bt, int64_t rank, int64_t in,
    int64_t out, struct svd_cut *cut, struct t2l_error *err);
/* values [rank], decreasing. */
enum t2l_status svd_product_values(const float *a, const float *bt, int64_t rank, int64_t in,
    int64_t out, double *values, struct t2l_error *err);

/* Of a dense W [out, in]. SEED starts the random directions; the captured energy is within about
 * 1e-6 of the best that the rank allows. */
enum t2l_status svd_cut_matrix(struct t2l_engine *engine, const float *w, int64_t out, int64_t in,
    uint64_t seed, struct svd_cut *cut, struct t2l_error *err);

#endif
