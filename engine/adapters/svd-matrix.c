/*
 * svd-matrix.c - the strongest directions of a dense matrix.
 *
 * A randomised block Krylov space (Musco & Musco 2015): blocks of orthonormal rows Q grow by
 * Q (W W^T), each orthogonal to all before it; what W is within their span, Q W, is small and is
 * decomposed whole. A block costs two products with W. Merged, sparsified adapters have flat
 * spectra, on which plain subspace iteration is slow; the Krylov space is not. It grows until the
 * energy it captures no longer does. Of a small matrix the block is the identity: the whole.
 */

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/adapters/svd.h"
#include "engine/engine.h"

#define OVERSAMPLE 8
#define SMALL 192 /* a matrix with no more rows (or columns) is decomposed whole */
#define MAX_BLOCKS 24
#define DEPENDENT 1e-6 /* share of a row that is but the rounding of f32 products */
#define SETTLED 1e-6   /* growth of the captured energy at which the space is large enough */

/* Q's rows are an orthonormal basis of the space; Q W = L R with orthonormal rows in R. */
struct krylov {
	struct t2l_engine *engine;
	const float *w; /* [out, in] */
	int64_t out, in;
	int64_t block;		   /* rows a step adds */
	int64_t room;		   /* rows there is room for */
	int64_t n;		   /* rows so far */
	double *q, *r;		   /* [room, out], [room, in] */
	double *l;		   /* [room, room] */
	double *core, *j, *values; /* the decomposition of L: [room, room] twice, [room] */
	float *rows_out, *rows_in; /* the last block: [block, out], [block, in] */
};

static void
multiply(struct t2l_engine *engine, bool transpose_b, int64_t m, int64_t n, int64_t k,
    const float *a, const float *b, float *c)
{
	const struct backend *backend = engine_backend(engine);

	engine_lock(engine);
	backend->gemm(backend->state, false, transpose_b, m, n, k, 1, a, b, 0, c);
	engine_unlock(engine);
}

/* A standard normal number of (seed, index): splitmix64 (Steele, Lea & Flood 2014), Box-Muller. */
static double
uniform(uint64_t state)
{
	uint64_t z = state * 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return ((double)((z ^ (z >> 31)) >> 11) + 0.5) / 9007199254740992.0;
}

static void
random_rows(float *x, int64_t n, uint64_t seed)
{
	for (int64_t i = 0; i < n; i++) {
		uint64_t at = seed + 2 * (uint64_t)i;

		x[i] = (float)(sqrt(-2 * log(uniform(at + 1))) * cos(2 * M_PI * uniform(at + 2)));
	}
}

/* ---- the space ---- */

static void
widen(double *out, const float *x, int64_t n)
{
	for (int64_t i = 0; i < n; i++)
		out[i] = (double)x[i];
}

/* Adds the directions of the rows in rows_out, and their products with W. False when the space held
 * all of them already. */
static bool
grow(struct krylov *space, int64_t n_rows)
{
	double *q = space->q + space->n * space->out;
	int64_t added;

	widen(q, space->rows_out, n_rows * space->out);
	added = svd_orthogonalise_rows(
	    space->q, space->n, n_rows, space->out, DEPENDENT, space->l, space->room);
	for (int64_t i = 0; i < n_rows * space->out; i++)
		space->rows_out[i] = (float)q[i];
	multiply(space->engine, false, n_rows, space->in, space->out, space->rows_out, space->w,
	    space->rows_in);
	widen(space->r + space->n * space->in, space->rows_in, n_rows * space->in);
	svd_orthogonalise_rows(
	    space->r, space->n, n_rows, space->in, DEPENDENT, space->l, space->room);
	space->n += n_rows;
	return added > 0;
}

/* Decomposes L and returns the energy of the strongest RANK directions. */
static double
solve(struct krylov *space, int rank)
{
	const int64_t n = space->n;
	double energy = 0;

	for (int64_t i = 0; i < n; i++)
		memcpy(space->core + i * n, space->l + i * space->room,
		    (size_t)n * sizeof *space->core);
	svd_rotate_rows(space->core, n, n, space->j, space->values);
	for (int64_t k = 0; k < n && k < rank; k++)
		energy += space->values[k] * space->values[k];
	return energy;
}

/* Grows the space until it holds the strongest RANK directions. */
static void
build(struct krylov *space, int rank, uint64_t seed)
{
	int64_t n_rows = space->block;
	double energy = 0, before;
	bool grew;

	random_rows(space->rows_out, n_rows * space->out, seed);
	grew = grow(space, n_rows);
	for (;;) {
		before = energy;
		energy = solve(space, rank);
		if (!grew || space->n == space->room ||
		    (space->n >= 3 * space->block && energy - before <= SETTLED * energy))
			return;
		/* The last block once more through W W^T. */
		if (n_rows > space->room - space->n)
			n_rows = space->room - space->n;
		multiply(space->engine, true, n_rows, space->out, space->in, space->rows_in,
		    space->w, space->rows_out);
		grew = grow(space, n_rows);
	}
}

/* The whole of a small matrix: Q is the identity. */
static void
take_whole(struct krylov *space, int rank)
{
	for (int64_t i = 0; i < space->out * space->out; i++)
		space->q[i] = i / space->out == i % space->out;
	widen(space->r, space->w, space->out * space->in);
	svd_orthogonalise_rows(
	    space->r, 0, space->out, space->in, DEPENDENT, space->l, space->room);
	space->n = space->out;
	solve(space, rank);
}

/* ---- the cut ---- */

/* OUT = factor * sum over k of row[k] * basis row k; a few columns at a time, so that the sums stay
 * near. */
static void
combine_rows(
    const double *row, double factor, const double *basis, int64_t n, int64_t cols, float *out)
{
	double sum[256];

	for (int64_t at = 0; at < cols; at += 256) {
		const int64_t width = cols - at < 256 ? cols - at : 256;

		memset(sum, 0, sizeof sum);
		for (int64_t k = 0; k < n; k++) {
			const double *x = basis + k * cols + at;

			for (int64_t c = 0; c < width; c++)
				sum[c] += row[k] * x[c];
		}
		for (int64_t c = 0; c < width; c++)
			out[at + c] = (float)(factor * sum[c]);
	}
}

/* W ~ Q^T L R and J L = core, so u_k = Q^T (row k of J) and s_k v_k = R^T (row k of core). */
static void
write_cut(const struct krylov *space, double energy, struct svd_cut *cut)
{
	const int64_t n = space->n;
	double kept = 0;

	memset(cut->a, 0, (size_t)(cut->rank * space->in) * sizeof *cut->a);
	memset(cut->bt, 0, (size_t)(cut->rank * space->out) * sizeof *cut->bt);
	for (int64_t k = 0; k < cut->rank && k < n && space->values[k] > 0; k++) {
		const double value = space->values[k];

		kept += value * value;
		combine_rows(
		    space->core + k * n, 1 / value, space->r, n, space->in, cut->a + k * space->in);
		combine_rows(
		    space->j + k * n, value, space->q, n, space->out, cut->bt + k * space->out);
	}
	cut->energy = energy;
	cut->lost = energy > kept ? energy - kept : 0;
}

static bool
allocate(struct krylov *space)
{
	const size_t room = (size_t)space->room, block = (size_t)space->block;

	space->q = malloc(room * (size_t)space->out * sizeof *space->q);
	space->r = malloc(room * (size_t)space->in * sizeof *space->r);
	space->l = malloc(room * room * sizeof *space->l);
	space->core = malloc(room * room * sizeof *space->core);
	space->j = malloc(room * room * sizeof *space->j);
	space->values = malloc(room * sizeof *space->values);
	space->rows_out = malloc(block * (size_t)space->out * sizeof *space->rows_out);
	space->rows_in = malloc(block * (size_t)space->in * sizeof *space->rows_in);
	return space->q != NULL && space->r != NULL && space->l != NULL && space->core != NULL &&
	       space->j != NULL && space->values != NULL && space->rows_out != NULL &&
	       space->rows_in != NULL;
}

static void
release(struct krylov *space)
{
	free(space->q);
	free(space->r);
	free(space->l);
	free(space->core);
	free(space->j);
	free(space->values);
	free(space->rows_out);
	free(space->rows_in);
}

static double
energy_of(const float *w, int64_t n)
{
	double sum = 0;

	for (int64_t i = 0; i < n; i++)
		sum += (double)w[i] * (double)w[i];
	return sum;
}

enum t2l_status
svd_cut_matrix(struct t2l_engine *engine, const float *w, int64_t out, int64_t in, uint64_t seed,
    struct svd_cut *cut, struct t2l_error *err)
{
	struct krylov space = { .engine = engine, .w = w, .out = out, .in = in };
	const int64_t smaller = out < in ? out : in;
	enum t2l_status status = T2L_OK;

	space.block = cut->rank + OVERSAMPLE < smaller ? cut->rank + OVERSAMPLE : smaller;
	space.room = space.block < smaller / MAX_BLOCKS ? space.block * MAX_BLOCKS : smaller;
	if (out <= SMALL)
		space.room = out;
	if (!allocate(&space)) {
		status = t2l_fail(err, T2L_ENOMEM,
		    "out of memory for the decomposition of a %lld x %lld matrix", (long long)out,
		    (long long)in);
	} else {
		if (out <= SMALL)
			take_whole(&space, cut->rank);
		else
			build(&space, cut->rank, seed);
		write_cut(&space, energy_of(w, out * in), cut);
	}
	release(&space);
	return status;
}
