/*
 * forward.c - the hypernetwork's one pass: task embeddings -> A and B of every layer and module.
 *
 * The trunk's weights are the same for all modules, layers and tasks, so everything before the
 * heads runs once over all of them. Symbols as in hypernet.h; K module types, T tasks, N layers, r
 * ranks, s = 1 part (L: A and B together) or 2 (A, then B). Rows are ordered [s, K, T, N, r], so
 * the rows of one part of one module type lie together and its head sees them as one matrix.
 *
 *   x  [K,T,N]      concat(task c [H/2], depth [H/4], type [H/4])
 *   h  [K,T,N]      res(mixer(x); mlp1)
 *   z  [s,K,T,N]    res(h + LN(out_emb); mlp2)              shared head (M, S)
 *   z  [s,K,T,N,r]  the position of each rank row joins in  row-wise (S, row-wise L)
 *   t  [.., Q]      last block; then the heads
 */

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "engine/hypernet/network.h"
#include "engine/tensor/tape.h"

#define NORM_EPSILON 1e-5F
#define ROPE_THETA 10000.0

struct pass {
	struct ops *ops, *results; /* where the heads' numbers go; mostly the same */
	const struct hypernet_network *network;
	const struct hypernet_config *config;
	int64_t n_parts, n_tasks, n_pairs, n_rank_rows; /* s, T, T*N, r or 1 */
	const struct hypernet_dropout *dropout;		/* NULL: none */
	uint64_t n_dropouts;
	int64_t n_runs; /* how often the tasks follow each other in the rows of now; 0: no tasks */
};

static struct tensor *
parameter(const struct pass *pass, const char *prefix, int layer, const char *suffix)
{
	char name[96];

	snprintf(name, sizeof name, "%s.%d.%s", prefix, layer, suffix);
	return hypernet_find(pass->network, name);
}

static struct tensor *
linear(const struct pass *pass, const char *prefix, int layer, struct tensor *x)
{
	return op_linear(pass->ops, x, parameter(pass, prefix, layer, "weight"),
	    parameter(pass, prefix, layer, "bias"));
}

static struct tensor *
norm(const struct pass *pass, const char *prefix, int layer, struct tensor *x)
{
	return op_layer_norm(pass->ops, x, parameter(pass, prefix, layer, "weight"),
	    parameter(pass, prefix, layer, "bias"), NORM_EPSILON);
}

static struct tensor *
silu(const struct pass *pass, struct tensor *x)
{
	return op_activate(pass->ops, ACTIVATION_SILU, x);
}

/* Every place has its own mask. Tasks are not the outermost index of the rows: those of a part of
 * the batch are pieces of the whole, one for each [s, K]. */
static struct tensor *
dropout(struct pass *pass, struct tensor *x)
{
	const struct hypernet_dropout *masks = pass->dropout;
	struct element_runs runs;
	int64_t per_task;
	uint64_t seed;

	if (masks == NULL || pass->config->dropout == 0 || x == NULL)
		return x;
	pass->n_dropouts++;
	seed = masks->seed + pass->n_dropouts * UINT64_C(0x9e3779b97f4a7c15);
	if (pass->n_runs == 0 || masks->n_tasks == pass->n_tasks)
		return op_dropout(pass->ops, x, pass->config->dropout, seed, NULL);
	per_task = tensor_count(x) / (pass->n_runs * pass->n_tasks);
	runs = (struct element_runs){ pass->n_runs, masks->first_task * per_task,
		masks->n_tasks * per_task };
	return op_dropout(pass->ops, x, pass->config->dropout, seed, &runs);
}

/* SiLU(W4 dropout(SiLU(W1 LN0(x)))) */
static struct tensor *
block(struct pass *pass, const char *prefix, struct tensor *x)
{
	x = silu(pass, linear(pass, prefix, 1, norm(pass, prefix, 0, x)));
	return silu(pass, linear(pass, prefix, 4, dropout(pass, x)));
}

/* Only the sum is kept of what it computes (when nothing is recorded). */
static struct tensor *
residual(struct pass *pass, const char *prefix, struct tensor *x)
{
	struct arena_mark mark = ops_mark(pass->ops);

	x = op_add_into(pass->ops, x, dropout(pass, block(pass, prefix, x)));
	return ops_rewind(pass->ops, mark, x);
}

/* n rows of TABLE: row i is row i / repeat % table_rows, that is each row REPEAT times, over and
 * over again. */
static struct tensor *
spread(const struct pass *pass, struct tensor *table, int64_t repeat, int64_t n)
{
	int32_t *ids = arena_alloc(ops_arena(pass->ops), (size_t)n * sizeof *ids);
	int64_t table_rows;

	if (table == NULL)
		return NULL;
	if (ids == NULL)
		return tape_fail(pass->ops, T2L_ENOMEM, "hypernet: out of memory");
	table_rows = tensor_rows(table);
	for (int64_t i = 0; i < n; i++)
		ids[i] = (int32_t)(i / repeat % table_rows);
	return op_gather_rows(pass->ops, table, ids, n);
}

/* What tells N layers or module types apart: rows of an embedding, or of the identity. */
static struct tensor *
places(const struct pass *pass, const char *prefix, int n)
{
	const int64_t shape[] = { n, n };
	struct tensor *one_hot;

	if (pass->config->encoder != HYPERNET_DISCRETE)
		return norm(pass, prefix, 1, parameter(pass, prefix, 0, "weight"));
	one_hot = ops_tensor(pass->ops, 2, shape, false);
	for (int64_t i = 0; one_hot != NULL && i < (int64_t)n * n; i++)
		tensor_f32(one_hot)[i] = i % (n + 1) == 0;
	return one_hot;
}

/* embeddings [T, d] -> h [K*T*N, P] */
static struct tensor *
trunk(struct pass *pass, struct tensor *embeddings)
{
	const struct hypernet_config *config = pass->config;
	int64_t n = config->n_modules * pass->n_pairs;
	struct arena_mark mark = ops_mark(pass->ops);
	struct tensor *parts[3], *x;

	x = hypernet_encode(pass->ops, pass->network, embeddings);
	parts[0] = spread(pass, x, config->n_layers, n);
	x = places(pass, "layer_depth_encoder", config->n_layers);
	parts[1] = spread(pass, x, 1, n);
	x = places(pass, "layer_type_encoder", config->n_modules);
	parts[2] = spread(pass, x, pass->n_pairs, n);

	pass->n_runs = config->n_modules;
	x = dropout(pass, op_concat_columns(pass->ops, parts, 3));
	x = dropout(pass, silu(pass, linear(pass, "mixer", 1, x)));
	x = dropout(pass, silu(pass, linear(pass, "mixer", 4, x)));
	return residual(pass, "mlp1.mlp", ops_rewind(pass->ops, mark, x));
}

/* The vectors out_emb.m.s as one table, normalised: [s*K, P] */
static struct tensor *
output_embeddings(const struct pass *pass)
{
	const struct hypernet_config *config = pass->config;
	const int64_t row[] = { 1, hypernet_trunk_size(config) };
	const int64_t shape[] = { 2 * config->n_modules, row[1] };
	struct tensor *rows[2 * N_MODULES], *table;
	char name[96];

	for (int i = 0; i < 2 * config->n_modules; i++) {
		snprintf(name, sizeof name, "out_emb.%s.%s",
		    module_name(config->modules[i % config->n_modules]),
		    i < config->n_modules ? "A" : "B");
		rows[i] = op_view(pass->ops, hypernet_find(pass->network, name), 0, 2, row);
	}
	/* One row of all columns is all rows, one after the other. */
	table = op_concat_columns(pass->ops, rows, 2 * config->n_modules);
	table = op_view(pass->ops, table, 0, 2, shape);
	return op_layer_norm(pass->ops, table, hypernet_find(pass->network, "out_emb_norm.weight"),
	    hypernet_find(pass->network, "out_emb_norm.bias"), NORM_EPSILON);
}

/* x row i turned by position i % r over the whole width; no parameter belongs to it. */
static struct tensor *
turn(const struct pass *pass, struct tensor *x, int64_t n)
{
	const int width = (int)hypernet_trunk_size(pass->config);
	struct arena *arena = ops_arena(pass->ops);
	struct rope *rope = arena_alloc(arena, sizeof *rope);
	float *inv_freq = arena_alloc(arena, (size_t)width / 2 * sizeof *inv_freq);
	int32_t *positions = arena_alloc(arena, (size_t)n * sizeof *positions);

	if (rope == NULL || inv_freq == NULL || positions == NULL)
		return tape_fail(pass->ops, T2L_ENOMEM, "hypernet: out of memory");
	for (int i = 0; i < width / 2; i++)
		inv_freq[i] = (float)pow(ROPE_THETA, -2.0 * i / width);
	for (int64_t i = 0; i < n; i++)
		positions[i] = (int32_t)(i % pass->config->rank);
	*rope = (struct rope){ .n_rot = width, .inv_freq = inv_freq, .magnitude = 1 };
	return op_rope(pass->ops, x, positions, rope, width);
}

/* z [rows, P] -> [rows * r, P]: what rank row p of each becomes. S adds a learned position after
 * its own mlp2; everything else runs mlp2 (in S again) with the position inside. */
static struct tensor *
rank_rows(struct pass *pass, struct tensor *z, int64_t rows)
{
	const struct hypernet_config *config = pass->config;
	int64_t n = rows * config->rank;
	struct tensor *positions;

	z = spread(pass, z, config->rank, n);
	if (!config->learned_positions)
		return residual(pass, "mlp2.mlp", turn(pass, z, n));
	positions = norm(pass, "pos_emb", 1, parameter(pass, "pos_emb", 0, "weight"));
	if (config->shared_head) {
		pass->n_runs = 0; /* the positions are those of all tasks */
		positions = residual(pass, "mlp2.mlp", positions);
		pass->n_runs = pass->n_parts * config->n_modules;
		return op_add(pass->ops, 1, z, 1, spread(pass, positions, 1, n));
	}
	return residual(
	    pass, "mlp2.mlp", op_add(pass->ops, 1, z, 1, spread(pass, positions, 1, n)));
}

/* Rows FIRST .. +N of a parameter [rows, cols] or [rows], whatever its dtype. */
static struct tensor *
rows_of(const struct pass *pass, struct tensor *x, int64_t first, int64_t n)
{
	int64_t cols = x->n_dims == 1 ? 1 : tensor_cols(x);
	int64_t shape[] = { n, cols };

	return ops_wrap(pass->ops, x->dtype, x->n_dims, shape,
	    (char *)x->data + (size_t)first * dtype_row_bytes(x->dtype, cols),
	    x->grad != NULL ? x->grad + first * cols : NULL);
}

/* Of each bundle of BUNDLE rows of a parameter the first N, as a parameter of its own. */
static struct tensor *
rows_of_bundles(const struct pass *pass, struct tensor *x, int64_t bundle, int64_t n)
{
	int64_t cols = x->n_dims == 1 ? 1 : tensor_cols(x), n_bundles = x->shape[0] / bundle;
	int64_t shape[] = { n_bundles * n, cols };
	size_t row_bytes = dtype_row_bytes(x->dtype, cols);
	char *rows = arena_alloc(ops_arena(pass->ops), (size_t)shape[0] * row_bytes);

	if (rows == NULL)
		return ops_out_of_memory(pass->ops);
	for (int64_t i = 0; i < n_bundles; i++)
		memcpy(rows + (size_t)(i * n) * row_bytes,
		    (const char *)x->data + (size_t)(i * bundle) * row_bytes,
		    (size_t)n * row_bytes);
	return ops_wrap(pass->ops, x->dtype, x->n_dims, shape, rows, NULL);
}

/* Which of a head's rows give one part of its module type's adapters: the first WIDTH of each
 * bundle of BUNDLE, from row FIRST on. */
struct head_rows {
	int64_t first, n, bundle, width;
};

static struct head_rows
rows_of_part(const struct hypernet_config *config, int module, int part)
{
	const int64_t in = config->in[module], out = config->out[module];
	const int64_t width = part == 0 ? in : out;
	const int64_t per_row = config->rowwise ? 1 : config->rank;

	/* With a part each they are the first (A) or last (B), in S the first WIDTH. */
	if (!config->shared_head || config->rowwise)
		return (struct head_rows){ config->shared_head || part == 0 ? 0 : per_row * in,
			per_row * width, width, width };
	return (struct head_rows){ 0, per_row * (in > out ? in : out), in > out ? in : out, width };
}

/* The wanted rows of a head's weight or bias, a view where they lie together. */
static struct tensor *
take_rows(const struct pass *pass, struct tensor *x, const struct head_rows *rows)
{
	if (rows->width == rows->bundle || pass->ops->recording)
		return rows_of(pass, x, rows->first, rows->n);
	return rows_of_bundles(pass, x, rows->bundle, rows->width);
}

/* A (part 0) or B transposed (part 1) of one module type: [T, N, r, width]. Only the rows of the
 * head that are wanted are multiplied. M's head has r times max(in, out) rows, of which the first
 * WIDTH of each bundle count: they are brought together, or (while recording, so that gradients
 * find their way) all are multiplied and the columns cut. */
static struct tensor *
head(const struct pass *pass, struct tensor *t, int module, int part)
{
	const struct hypernet_config *config = pass->config;
	const struct head_rows rows = rows_of_part(config, module, part);
	const int64_t n_rows = pass->n_pairs * pass->n_rank_rows;
	const int64_t at = (config->shared_head ? part : 0) * config->n_modules + module;
	const int64_t t_shape[] = { n_rows, config->head_in_size };
	const int64_t wide_shape[] = { n_rows * (rows.n / rows.bundle), rows.bundle };
	const int64_t shape[] = { pass->n_tasks, config->n_layers, config->rank, rows.width };
	const char *name = module_name(config->modules[module]);
	struct tensor *w, *bias = NULL, *y;
	char key[96];

	snprintf(key, sizeof key, "heads.%s.weight", name);
	w = take_rows(pass, hypernet_find(pass->network, key), &rows);
	if (config->head_bias) {
		snprintf(key, sizeof key, "heads.%s.bias", name);
		bias = take_rows(pass, hypernet_find(pass->network, key), &rows);
	}
	t = op_view(pass->ops, t, at * n_rows * config->head_in_size, 2, t_shape);
	y = op_linear(pass->results, t, w, bias);
	if (pass->ops->recording && rows.width < rows.bundle)
		y = op_slice_columns(
		    pass->ops, op_view(pass->ops, y, 0, 2, wide_shape), 0, rows.width);
	return op_view(pass->results, y, 0, 4, shape);
}

static bool
forward(struct ops *ops, struct ops *results, const struct hypernet_network *network,
    struct tensor *embeddings, const struct hypernet_dropout *dropout, struct tensor *a[N_MODULES],
    struct tensor *bt[N_MODULES])
{
	const struct hypernet_config *config = &network->config;
	struct pass pass = {
		.ops = ops,
		.results = results,
		.network = network,
		.config = config,
		.n_parts = config->shared_head ? 2 : 1,
		.n_rank_rows = config->rowwise ? config->rank : 1,
		.dropout = dropout,
	};
	struct arena_mark mark;
	struct tensor *z;
	int64_t rows;

	if (embeddings == NULL)
		return false;
	pass.n_tasks = tensor_rows(embeddings);
	/* Row numbers are 32 bits wide. */
	if (pass.n_tasks > INT32_MAX / (2 * N_MODULES * ADAPTER_MAX_LAYERS * pass.n_rank_rows)) {
		tape_fail(ops, T2L_EINVAL, "hypernet: %lld tasks are too many for one pass",
		    (long long)pass.n_tasks);
		return false;
	}
	if (dropout != NULL && (dropout->first_task < 0 || dropout->n_tasks < pass.n_tasks ||
				   dropout->first_task > dropout->n_tasks - pass.n_tasks)) {
		tape_fail(ops, T2L_EINVAL, "hypernet: tasks %lld .. +%lld are not within %lld",
		    (long long)dropout->first_task, (long long)pass.n_tasks,
		    (long long)dropout->n_tasks);
		return false;
	}
	pass.n_pairs = pass.n_tasks * config->n_layers;
	rows = pass.n_parts * config->n_modules * pass.n_pairs;

	z = trunk(&pass, embeddings);
	pass.n_runs = pass.n_parts * config->n_modules;
	if (config->shared_head) {
		z = op_add(ops, 1, spread(&pass, z, 1, rows), 1,
		    spread(&pass, output_embeddings(&pass), pass.n_pairs, rows));
		z = residual(&pass, "mlp2.mlp", z);
	} else if (!config->rowwise) {
		z = residual(&pass, "mlp2.mlp", z);
	}
	if (config->rowwise)
		z = rank_rows(&pass, z, rows);
	mark = ops_mark(ops);
	z = ops_rewind(ops, mark, block(&pass, "mlp3", z));
	for (int i = 0; i < config->n_modules; i++) {
		a[i] = head(&pass, z, i, 0);
		bt[i] = head(&pass, z, i, 1);
	}
	return ops_status(ops, NULL) == T2L_OK && ops_status(results, NULL) == T2L_OK;
}

bool
hypernet_forward(struct ops *ops, const struct hypernet_network *network, struct tensor *embeddings,
    const struct hypernet_dropout *dropout, struct tensor *a[N_MODULES],
    struct tensor *bt[N_MODULES])
{
	return forward(ops, ops, network, embeddings, dropout, a, bt);
}

bool
hypernet_forward_into(struct ops *ops, struct ops *results, const struct hypernet_network *network,
    struct tensor *embeddings, struct tensor *a[N_MODULES], struct tensor *bt[N_MODULES])
{
	return forward(ops, results, network, embeddings, NULL, a, bt);
}

/* x [T, N, r, cols] plus the same OFFSET [N * r, cols] for every task. */
static struct tensor *
add_to_all(struct ops *ops, struct tensor *x, struct tensor *offset)
{
	int64_t shape[4], wide[2], row[1];

	if (x == NULL || offset == NULL)
		return NULL;
	memcpy(shape, x->shape, sizeof shape);
	wide[0] = shape[0];
	wide[1] = row[0] = tensor_count(offset);
	x = op_add(ops, 1, op_view(ops, x, 0, 2, wide), 1, op_view(ops, offset, 0, 1, row));
	return op_view(ops, x, 0, 4, shape);
}

bool
hypernet_add_offset(struct ops *ops, const struct hypernet_network *network,
    struct tensor *a[N_MODULES], struct tensor *bt[N_MODULES])
{
	for (int i = 0; network->config.offset && i < network->config.n_modules; i++) {
		a[i] = add_to_all(ops, a[i], hypernet_offset(network, i, 0));
		bt[i] = add_to_all(ops, bt[i], hypernet_offset(network, i, 1));
	}
	return ops_status(ops, NULL) == T2L_OK;
}
