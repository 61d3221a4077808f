/*
 * adapters/merge.h - what a merge strategy is: a row of a table, made of a few steps.
 *
 * Adapter i changes a module by D_i = scale_i B_i A_i, and has a weight w_i. Strategies work on one
 * of three things:
 * - the span of the D_i: the result is a sum of c_i D_i with numbers c_i found for each module. It
 *   is exact as factors one after the other (the ranks add up), and an SVD of those factors, which
 *   never forms a D_i, brings the rank down;
 * - the factors: the same steps on the list of the A_i and on that of the B_i. The rank stays, and
 *   effects mix, since the result also has products B_i A_j;
 * - the formed matrices D_i, one module at a time, and an SVD of what the steps make of them.
 * Steps are to prune each X_i of a list and then to combine the list with factors f_i: the w_i for
 * matrices, sqrt|w_i scale_i| for B and the same with the sign of w_i scale_i for A.
 */
#ifndef ENGINE_ADAPTERS_MERGE_H
#define ENGINE_ADAPTERS_MERGE_H

#include "engine/adapters/adapter.h"
#include "engine/error.h"

/* Which numbers DARE and DELLA keep, given instead of drawn (tests do): 0 or 1 for each number of A
 * ('A', as [rank, in]), of B transposed ('B', as [rank, out]) or of D ('D', as [out, in]). */
struct merge_masks {
	const uint8_t *(*find)(
	    void *user, const struct adapter_module *module, char what, size_t adapter);
	void *user;
};

/* The options of one merge, defaults filled in. */
struct merge_settings {
	double density, lambda, gamma, epsilon;
	bool by_count; /* elect signs by the count of adapters, not by the sum of their numbers */
	uint64_t seed;
	const struct merge_masks *masks; /* NULL: drawn */
};

/* One adapter's part in one module. */
struct merge_part {
	const struct adapter_module *module;
	double weight;
	size_t adapter; /* its place among the inputs */
};

/* One X of a list: a matrix of ROWS x COLS. */
struct merge_matrix {
	float *values;
	int64_t rows, cols;
	uint64_t stream;     /* its own random numbers */
	const uint8_t *mask; /* NULL: drawn */
};

/* Sets c [n]; GRAM [n, n] are the inner products of the D_i. */
typedef enum t2l_status merge_coefficients(const struct merge_part *parts, size_t n,
    const struct merge_settings *settings, const double *gram, double *c, struct t2l_error *err);
typedef enum t2l_status merge_prune(
    const struct merge_matrix *x, const struct merge_settings *settings, struct t2l_error *err);
/* OUT [count]; may be none of the X. */
typedef enum t2l_status merge_combine(const float *const *x, const double *factors, size_t n,
    int64_t count, const struct merge_settings *settings, float *out, struct t2l_error *err);

enum merge_kind { MERGE_SPAN, MERGE_FACTORS, MERGE_MATRICES };
enum merge_weights {
	WEIGHTS_MEAN,  /* effects are added; unless given 1/n each */
	WEIGHTS_ONE,   /* effects are added; unless given 1 each */
	WEIGHTS_SHARE, /* only their ratio counts; none is negative */
	WEIGHTS_OWN    /* the method finds its own */
};

struct merge_strategy {
	struct t2l_merge_strategy facts; /* name, help, source, parameters and their defaults */
	enum merge_kind kind;
	enum merge_weights weights;
	size_t n_inputs;   /* exactly so many; 0: any number */
	bool largest_rank; /* of a span: the result has the largest rank, not their sum */
	merge_coefficients *coefficients; /* of a span */
	merge_prune *prune;		  /* NULL: none */
	merge_combine *combine;
};

/* merge-strategies.c; NULL when there is none of that name. */
const struct merge_strategy *merge_strategy_find(const char *name);

/* merge-span.c */
merge_coefficients coefficients_weights, coefficients_slerp, coefficients_karcher,
    coefficients_model_stock;

/* merge-prune.c */
merge_prune prune_magnitude, prune_dare, prune_della, prune_breadcrumbs;
/* X's bits without the sign: the threshold T above which (by that order) fewer than K of the N
 * numbers lie and at or above which K or more; *N_EQUAL: how many of those equal to T are among the
 * K. 0 < K <= N. */
uint32_t merge_threshold(const float *x, int64_t n, int64_t k, int64_t *n_equal);

/* merge-combine.c */
merge_combine combine_sum, combine_ties, combine_agreeing_sum, combine_sce;

/* As t2l_adapter_merge(), with MASKS (NULL: drawn). */
enum t2l_status merge_adapters(struct t2l_engine *engine, const struct t2l_merge_options *options,
    const struct merge_masks *masks, const struct t2l_adapter *const *adapters,
    const double *weights, size_t n, struct t2l_merge_report *report, struct t2l_adapter **out,
    struct t2l_error *err);

#endif
