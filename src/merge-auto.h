/*
 * src/merge-auto.h - weights of a merge found by trying: those under which the merged adapter
 * answers given examples best.
 */
#ifndef SRC_MERGE_AUTO_H
#define SRC_MERGE_AUTO_H

#include "engine/t2l.h"
#include "src/context.h"

struct merge_search {
	struct t2l_engine *engine;
	struct t2l_model *model;
	const struct t2l_merge_options *merge;
	const struct t2l_adapter *const *adapters;
	size_t n;
	const char *path;   /* JSONL {"prompt":..,"response":..} */
	bool by_likelihood; /* else by exact match, and by likelihood among equals */
	double largest;	    /* weights lie in 0 .. this */
	int sweeps;	    /* over all weights */
};
struct merge_found {
	size_t n_examples, n_tried;
	double exact_before, exact_after;	    /* shares of the examples */
	double likelihood_before, likelihood_after; /* mean log-probability of a response's token */
};

/* WEIGHTS [n]: where to begin, then the best. False after telling why. */
bool merge_search_weights(struct context *ctx, const struct merge_search *search, double *weights,
    struct merge_found *found);

#endif
