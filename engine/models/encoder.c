/* The forward pass of BERT-family text encoders; texts are packed, so there is nothing to mask. */
#include "engine/models/encoder.h"

#include <math.h>

/* What every layer needs to know of the packed rows. */
struct packing {
	int64_t n_rows;
	int32_t *positions;	    /* [n_rows], from 0 in each text */
	int32_t *kv_begin, *kv_end; /* [n_rows]: a row sees all of its own text */
};

static bool
pack(struct ops *ops, const int32_t *begin, int64_t n_texts, struct packing *packing)
{
	int64_t n = begin[n_texts] - begin[0];
	int32_t *memory = arena_alloc(ops_arena(ops), (size_t)n * 3 * sizeof *memory);

	if (memory == NULL)
		return false;
	*packing = (struct packing){ n, memory, memory + n, memory + 2 * n };
	for (int64_t t = 0; t < n_texts; t++) {
		for (int32_t r = begin[t]; r < begin[t + 1]; r++) {
			int32_t row = r - begin[0];

			packing->positions[row] = r - begin[t];
			packing->kv_begin[row] = begin[t] - begin[0];
			packing->kv_end[row] = begin[t + 1] - begin[0];
		}
	}
	return true;
}

static struct tensor *
norm(struct ops *ops, const struct encoder_network *network, struct tensor *x, struct tensor *w,
    struct tensor *bias)
{
	return op_layer_norm(ops, x, w, bias, network->config.norm_epsilon);
}

/* -> [n_rows, d] */
static struct tensor *
embed(struct ops *ops, const struct encoder_network *network, const int32_t *ids,
    const struct packing *packing)
{
	static const int32_t first_type = 0;
	struct tensor *x = op_gather_rows(ops, network->word, ids, packing->n_rows);

	if (network->position != NULL)
		x = op_add(ops, 1, x, 1,
		    op_gather_rows(ops, network->position, packing->positions, packing->n_rows));
	if (network->type != NULL) /* single texts: all of type 0 */
		x = op_add(ops, 1, x, 1, op_gather_rows(ops, network->type, &first_type, 1));
	return norm(ops, network, x, network->norm, network->norm_bias);
}

/* q or k with its rope; BERT has none. */
static struct tensor *
turn(struct ops *ops, const struct encoder_network *network, struct tensor *x,
    const struct packing *packing)
{
	int head_dim = network->config.hidden_size / network->config.n_heads;
	struct rope *rope;

	if (network->inv_freq == NULL)
		return x;
	rope = arena_alloc(ops_arena(ops), sizeof *rope);
	if (rope == NULL)
		return NULL;
	*rope = (struct rope){ .n_rot = head_dim, .inv_freq = network->inv_freq, .magnitude = 1 };
	return op_rope(ops, x, packing->positions, rope, head_dim);
}

static struct tensor *
attention(struct ops *ops, const struct encoder_network *network, const struct encoder_layer *layer,
    struct tensor *x, const struct packing *packing)
{
	const struct encoder_config *config = &network->config;
	int head_dim = config->hidden_size / config->n_heads;
	struct attention_shape shape = {
		.n_heads = config->n_heads,
		.n_kv_heads = config->n_heads,
		.head_dim = head_dim,
		.scale = 1.0f / sqrtf((float)head_dim),
		.kv_begin = packing->kv_begin,
		.kv_end = packing->kv_end,
	};
	struct tensor *q = turn(ops, network, op_linear(ops, x, layer->q, layer->q_bias), packing);
	struct tensor *k = turn(ops, network, op_linear(ops, x, layer->k, layer->k_bias), packing);
	struct tensor *v = op_linear(ops, x, layer->v, layer->v_bias);

	return op_linear(ops, op_attention(ops, q, k, v, &shape), layer->o, layer->o_bias);
}

static struct tensor *
mlp(struct ops *ops, const struct encoder_config *config, const struct encoder_layer *layer,
    struct tensor *x)
{
	struct tensor *up = op_linear(ops, x, layer->up, layer->up_bias); /* [n_rows, f] */

	up = layer->gate == NULL
		 ? op_activate(ops, config->activation, up)
		 : op_gate(ops, config->activation, op_linear(ops, x, layer->gate, NULL), up);
	return op_linear(ops, up, layer->down, layer->down_bias);
}

static struct tensor *
pool(struct ops *ops, enum pooling pooling, struct tensor *x, const int32_t *begin, int64_t n)
{
	int32_t *rows = arena_alloc(ops_arena(ops), (size_t)(n + 1) * sizeof *rows);

	if (rows == NULL)
		return NULL;
	for (int64_t i = 0; i <= n; i++)
		rows[i] = begin[i] - begin[0];
	switch (pooling) {
	case POOLING_MEAN:
		return op_mean_rows(ops, x, rows, rows + 1, n);
	case POOLING_LAST:
		for (int64_t i = 0; i < n; i++)
			rows[i] = rows[i + 1] - 1;
		break;
	case POOLING_CLS:
		break;
	}
	return op_gather_rows(ops, x, rows, n);
}

struct tensor *
encoder_forward(struct ops *ops, const struct encoder_network *network, const int32_t *ids,
    const int32_t *begin, int64_t n_texts, struct tensor **hidden)
{
	const struct encoder_config *config = &network->config;
	struct packing packing;
	struct tensor *x, *pooled;

	if (!pack(ops, begin, n_texts, &packing))
		return NULL;
	x = embed(ops, network, ids + begin[0], &packing);
	for (int i = 0; i < config->n_layers; i++) {
		const struct encoder_layer *layer = &network->layers[i];
		struct arena_mark mark = ops_mark(ops);

		x = op_add_into(ops, x, attention(ops, network, layer, x, &packing));
		x = norm(ops, network, x, layer->attention_norm, layer->attention_norm_bias);
		x = op_add_into(ops, x, mlp(ops, config, layer, x));
		x = norm(ops, network, x, layer->mlp_norm, layer->mlp_norm_bias);
		x = ops_rewind(ops, mark, x);
	}
	if (hidden != NULL)
		*hidden = x;
	pooled = pool(ops, config->pooling, x, begin, n_texts);
	if (network->projection != NULL)
		pooled = op_linear(ops, pooled, network->projection, network->projection_bias);
	return pooled;
}
