/* decoder-experts.c - a mixture of experts: a router chooses who works on each row (Shazeer et al.
 * 2017; Jiang et al. 2024). */
#include "engine/models/decoder-pass.h"

/* Which rows an expert works on, and where their weights stand. */
struct share {
	int32_t *rows, *weight_at;
	int64_t n;
};

/* ROOM has space for 2 * rows numbers: no expert is chosen twice for a row. */
static void
find_share(
    const int32_t *ids, int64_t n_rows, int n_used, int expert, int32_t *room, struct share *share)
{
	*share = (struct share){ .rows = room, .weight_at = room + n_rows };
	for (int64_t i = 0; i < n_rows * n_used; i++) {
		if (ids[i] != expert)
			continue;
		share->rows[share->n] = (int32_t)(i / n_used);
		share->weight_at[share->n++] = (int32_t)i;
	}
}

static struct tensor *
expert_linear(const struct pass *pass, int layer, enum role role, int expert,
    const struct share *share, struct tensor *x)
{
	enum module module = architecture_module(pass->decoder->config.kind, role);
	struct place place = { layer, module, expert };

	return pass_linear(pass, place, x, share->rows,
	    pass->decoder->layers[layer].experts[module][expert], NULL);
}

/* x: the expert's rows */
static struct tensor *
run_expert(
    const struct pass *pass, int layer, int expert, const struct share *share, struct tensor *x)
{
	struct tensor *gate =
	    expert_linear(pass, layer, ROLE_EXPERT_GATE, expert, share, x); /* [n, f] */
	struct tensor *up = expert_linear(pass, layer, ROLE_EXPERT_UP, expert, share, x);

	return expert_linear(pass, layer, ROLE_EXPERT_DOWN, expert, share,
	    op_gate(pass->ops, pass->decoder->config.activation, gate, up));
}

struct tensor *
pass_experts(const struct pass *pass, int layer, struct tensor *x)
{
	const struct decoder_config *config = &pass->decoder->config;
	struct arena *arena = ops_arena(pass->ops);
	int64_t n_rows = pass->batch->n_rows;
	size_t n_ids = (size_t)n_rows * (size_t)config->n_experts_used;
	int32_t *ids = arena_alloc(arena, n_ids * sizeof *ids);
	int32_t *room = arena_alloc(arena, 2 * (size_t)n_rows * sizeof *room);
	struct place router = { layer, architecture_module(config->kind, ROLE_ROUTER),
		MODULE_NO_EXPERT };
	struct tensor *logits, *weights, *y;
	struct share share;

	if (ids == NULL || room == NULL)
		return ops_out_of_memory(pass->ops);
	logits = pass_linear(
	    pass, router, x, NULL, pass->decoder->layers[layer].weight[router.module], NULL);
	weights = op_route(pass->ops, logits, config->n_experts_used, config->renormalise, ids);
	y = op_zeros(pass->ops, n_rows, config->hidden_size);
	for (int e = 0; e < config->n_experts && weights != NULL && y != NULL; e++) {
		find_share(ids, n_rows, config->n_experts_used, e, room, &share);
		if (share.n == 0)
			continue;
		y = op_add_weighted_rows(pass->ops,
		    run_expert(
			pass, layer, e, &share, op_gather_rows(pass->ops, x, share.rows, share.n)),
		    share.rows, weights, share.weight_at, y);
	}
	return weights != NULL ? y : NULL;
}
