/* merge-strategies.c - the one table of merge strategies. */

#include <string.h>

#include "engine/adapters/merge.h"

#define PEFT "PEFT's add_weighted_adapter"
#define DENSITY T2L_MERGE_DENSITY
#define SIGNS T2L_MERGE_SIGN_METHOD
#define SEED T2L_MERGE_SEED
#define LAMBDA T2L_MERGE_LAMBDA

/* parameters, then the defaults of density, lambda, gamma, epsilon */
#define PARAMETERS(set, d, l, g, e)                                                                \
	.parameters = (set), .density = (d), .lambda = (l), .gamma = (g), .epsilon = (e)
#define NO_PARAMETERS PARAMETERS(0, 1, 1, 0, 0)

#define LINEAR_HELP "weighted sums of the A and of the B: the rank stays, effects mix"

static const struct merge_strategy strategies[] = {
	{ { "linear", LINEAR_HELP, PEFT, NO_PARAMETERS }, MERGE_FACTORS, .combine = combine_sum },
	{ { "weighted", "another name of linear", PEFT, NO_PARAMETERS }, MERGE_FACTORS,
	    .combine = combine_sum },
	{ { "cat", "exactly the weighted sum of the effects; the ranks add up", PEFT,
	      NO_PARAMETERS },
	    MERGE_SPAN, .coefficients = coefficients_weights },
	{ { "svd", "the weighted sum of the effects, cut to the largest rank", PEFT,
	      NO_PARAMETERS },
	    MERGE_SPAN, .coefficients = coefficients_weights, .largest_rank = true },
	{ { "ties", "trim A and B, elect each sign, average those that agree", "arXiv 2306.01708",
	      PARAMETERS(DENSITY | SIGNS, 0.5, 1, 0, 0) },
	    MERGE_FACTORS, WEIGHTS_ONE, .prune = prune_magnitude, .combine = combine_ties },
	{ { "ties_svd", "ties on the effects themselves, cut to the largest rank",
	      "arXiv 2306.01708", PARAMETERS(DENSITY | SIGNS | SEED, 0.5, 1, 0, 0) },
	    MERGE_MATRICES, WEIGHTS_ONE, .prune = prune_magnitude, .combine = combine_ties },
	{ { "dare_linear", "drop numbers of A and B at random, rescale the rest, then linear",
	      "arXiv 2311.03099", PARAMETERS(DENSITY | SEED, 0.5, 1, 0, 0) },
	    MERGE_FACTORS, .prune = prune_dare, .combine = combine_sum },
	{ { "dare_linear_svd", "drop and rescale on the effects, add, cut to the largest rank",
	      "arXiv 2311.03099", PARAMETERS(DENSITY | SEED, 0.5, 1, 0, 0) },
	    MERGE_MATRICES, .prune = prune_dare, .combine = combine_sum },
	{ { "dare_ties", "drop numbers of A and B at random, rescale the rest, then ties",
	      "arXiv 2311.03099", PARAMETERS(DENSITY | SIGNS | SEED, 0.5, 1, 0, 0) },
	    MERGE_FACTORS, WEIGHTS_ONE, .prune = prune_dare, .combine = combine_ties },
	{ { "dare_ties_svd", "dare_ties on the effects themselves, cut to the largest rank",
	      "arXiv 2311.03099", PARAMETERS(DENSITY | SIGNS | SEED, 0.5, 1, 0, 0) },
	    MERGE_MATRICES, WEIGHTS_ONE, .prune = prune_dare, .combine = combine_ties },
	{ { "magnitude_prune", "keep the largest numbers of A and B, then linear", PEFT,
	      PARAMETERS(DENSITY, 0.5, 1, 0, 0) },
	    MERGE_FACTORS, .prune = prune_magnitude, .combine = combine_sum },
	{ { "magnitude_prune_svd", "keep the largest numbers of the effects, add, cut", PEFT,
	      PARAMETERS(DENSITY | SEED, 0.5, 1, 0, 0) },
	    MERGE_MATRICES, .prune = prune_magnitude, .combine = combine_sum },
	{ { "task_arithmetic", "lambda times the weighted sum of the effects; the ranks add up",
	      "arXiv 2212.04089", PARAMETERS(LAMBDA, 1, 1, 0, 0) },
	    MERGE_SPAN, .coefficients = coefficients_weights },
	{ { "slerp", "along the arc between two adapters, module by module",
	      "Shoemake, SIGGRAPH 1985", NO_PARAMETERS },
	    MERGE_SPAN, WEIGHTS_SHARE, .n_inputs = 2, .coefficients = coefficients_slerp },
	{ { "karcher", "the mean direction on the sphere, at the mean length",
	      "Karcher, Comm. Pure Appl. Math. 1977", NO_PARAMETERS },
	    MERGE_SPAN, WEIGHTS_SHARE, .coefficients = coefficients_karcher },
	{ { "model_stock", "the mean, nearer to the base the less the adapters agree",
	      "arXiv 2403.19522", NO_PARAMETERS },
	    MERGE_SPAN, WEIGHTS_OWN, .coefficients = coefficients_model_stock },
	{ { "della", "drop the smaller the likelier, rescale, elect signs, add those that agree",
	      "arXiv 2406.11617",
	      PARAMETERS(DENSITY | SIGNS | SEED | LAMBDA | T2L_MERGE_EPSILON, 0.5, 1, 0, 0.2) },
	    MERGE_MATRICES, .prune = prune_della, .combine = combine_agreeing_sum },
	{ { "breadcrumbs", "leave out the largest (outliers) and the smallest numbers, then add",
	      "arXiv 2312.06795",
	      PARAMETERS(DENSITY | SEED | LAMBDA | T2L_MERGE_GAMMA, 0.9, 1, 0.01, 0) },
	    MERGE_MATRICES, .prune = prune_breadcrumbs, .combine = combine_sum },
	{ { "breadcrumbs_ties", "breadcrumbs, then the signs' election of ties", "arXiv 2312.06795",
	      PARAMETERS(DENSITY | SIGNS | SEED | LAMBDA | T2L_MERGE_GAMMA, 0.9, 1, 0.01, 0) },
	    MERGE_MATRICES, WEIGHTS_ONE, .prune = prune_breadcrumbs, .combine = combine_ties },
	{ { "sce", "keep what varies most, weigh by its energy, erase what opposes",
	      "arXiv 2408.07990", PARAMETERS(DENSITY | SEED | LAMBDA, 0.5, 1, 0, 0) },
	    MERGE_MATRICES, WEIGHTS_OWN, .combine = combine_sce },
};

#define N_STRATEGIES (sizeof strategies / sizeof strategies[0])

const struct merge_strategy *
merge_strategy_find(const char *name)
{
	for (size_t i = 0; i < N_STRATEGIES; i++) {
		if (strcmp(strategies[i].facts.name, name) == 0)
			return &strategies[i];
	}
	return NULL;
}

const struct t2l_merge_strategy *
t2l_merge_strategy(size_t index)
{
	return index < N_STRATEGIES ? &strategies[index].facts : NULL;
}

const struct t2l_merge_strategy *
t2l_merge_strategy_find(const char *name)
{
	const struct merge_strategy *strategy = merge_strategy_find(name);

	return strategy != NULL ? &strategy->facts : NULL;
}
