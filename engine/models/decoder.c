/* The forward pass of decoder language models, written once over the backend's operations. */
#include "engine/models/decoder-pass.h"

#include <math.h>

/* A module of a layer over all rows; NULL when the architecture has none in that role. */
static struct tensor *
linear(const struct pass *pass, int layer, enum role role, struct tensor *x)
{
	const struct decoder_layer *weights = &pass->decoder->layers[layer];
	enum module module = architecture_module(pass->decoder->config.kind, role);
	struct place place = { layer, module, MODULE_NO_EXPERT };

	return pass_linear(pass, place, x, NULL, weights->weight[module], weights->bias[module]);
}

static bool
has(const struct pass *pass, enum role role)
{
	return architecture_module(pass->decoder->config.kind, role) != N_MODULES;
}

static struct tensor *
norm(const struct pass *pass, struct tensor *x, const struct decoder_norm *weights)
{
	const struct decoder_config *config = &pass->decoder->config;

	if (config->kind->layer_norm)
		return op_layer_norm(
		    pass->ops, x, weights->weight, weights->bias, config->norm_epsilon);
	return op_rms_norm(
	    pass->ops, x, weights->weight, config->norm_offset, config->norm_epsilon);
}

/* ---- attention ---- */

/* x [rows, d] -> q [rows, h*hd], k and v [rows, g*hd] */
static void
project(const struct pass *pass, int layer, struct tensor *x, struct tensor **q, struct tensor **k,
    struct tensor **v)
{
	const struct decoder_config *config = &pass->decoder->config;
	int64_t q_cols = (int64_t)config->n_heads * config->head_dim;
	int64_t kv_cols = (int64_t)config->n_kv_heads * config->head_dim;
	struct tensor *all;

	if (!has(pass, ROLE_QKV)) {
		*q = linear(pass, layer, ROLE_Q, x);
		*k = linear(pass, layer, ROLE_K, x);
		*v = linear(pass, layer, ROLE_V, x);
		return;
	}
	all = linear(pass, layer, ROLE_QKV, x);
	*q = op_slice_columns(pass->ops, all, 0, q_cols);
	*k = op_slice_columns(pass->ops, all, q_cols, kv_cols);
	*v = op_slice_columns(pass->ops, all, q_cols + kv_cols, kv_cols);
}

/* Each head by itself, one weight for all of them (Qwen 3). */
static struct tensor *
norm_heads(const struct pass *pass, struct tensor *x, const struct decoder_norm *weights)
{
	int64_t hd = pass->decoder->config.head_dim, rows, cols;

	if (weights->weight == NULL || x == NULL)
		return x;
	rows = tensor_rows(x);
	cols = tensor_cols(x);
	x = op_view(pass->ops, x, 0, 2, (const int64_t[]){ rows * cols / hd, hd });
	x = norm(pass, x, weights);
	return op_view(pass->ops, x, 0, 2, (const int64_t[]){ rows, cols });
}

static struct tensor *
rotate(const struct pass *pass, struct tensor *x)
{
	return op_rope_runs(pass->ops, x, pass->batch->positions, pass->runs, pass->n_runs,
	    pass->decoder->config.head_dim);
}

/* x [rows, d], normalised -> [rows, d] */
static struct tensor *
attention(const struct pass *pass, int layer, struct tensor *x)
{
	const struct decoder_config *config = &pass->decoder->config;
	const struct decoder_norm *norms = pass->decoder->layers[layer].norms;
	const struct decoder_batch *batch = pass->batch;
	struct ops *ops = pass->ops;
	struct attention_shape shape = {
		.n_heads = config->n_heads,
		.n_kv_heads = config->n_kv_heads,
		.head_dim = config->head_dim,
		.scale = config->query_scale > 0 ? config->query_scale
						 : 1.0f / sqrtf((float)config->head_dim),
		.softcap = config->attention_cap,
		.kv_begin = config->slides[layer] && pass->window_begin != NULL ? pass->window_begin
										: batch->kv_begin,
		.kv_end = batch->kv_end,
	};
	struct tensor *q, *k, *v;

	project(pass, layer, x, &q, &k, &v);
	q = rotate(pass, norm_heads(pass, q, &norms[NORM_Q]));
	k = rotate(pass, norm_heads(pass, k, &norms[NORM_K]));
	if (batch->cache != NULL) {
		op_store_rows(ops, k, batch->slots, &batch->cache->k[layer]);
		op_store_rows(ops, v, batch->slots, &batch->cache->v[layer]);
		k = &batch->cache->k[layer]; /* [n_slots, g*hd] */
		v = &batch->cache->v[layer];
	}
	return linear(pass, layer, ROLE_O, op_attention(ops, q, k, v, &shape));
}

/* ---- MLP ---- */

/* x [rows, d], normalised -> [rows, d]; gated as of Shazeer 2020, or plain. */
static struct tensor *
mlp(const struct pass *pass, int layer, struct tensor *x)
{
	const struct decoder_config *config = &pass->decoder->config;
	struct ops *ops = pass->ops;
	struct tensor *gate, *up; /* [rows, f] */

	if (has(pass, ROLE_ROUTER))
		return pass_experts(pass, layer, x);
	if (!config->kind->gated)
		return linear(pass, layer, ROLE_DOWN,
		    op_activate(ops, config->activation, linear(pass, layer, ROLE_UP, x)));
	if (has(pass, ROLE_GATE_UP)) {
		up = linear(pass, layer, ROLE_GATE_UP, x); /* [rows, 2f] */
		gate = op_slice_columns(ops, up, 0, config->ffn_size);
		up = op_slice_columns(ops, up, config->ffn_size, config->ffn_size);
	} else {
		gate = linear(pass, layer, ROLE_GATE, x);
		up = linear(pass, layer, ROLE_UP, x);
	}
	return linear(pass, layer, ROLE_DOWN, op_gate(ops, config->activation, gate, up));
}

/* ---- layers ---- */

/* x + branch, which some architectures normalise first. The sum lies where the branch lay. */
static struct tensor *
add_branch(const struct pass *pass, struct tensor *x, struct tensor *branch,
    const struct decoder_norm *post)
{
	if (post->weight != NULL)
		branch = norm(pass, branch, post);
	return op_add_into(pass->ops, x, branch);
}

static struct tensor *
run_layer(const struct pass *pass, int i, struct tensor *x)
{
	const struct decoder_norm *norms = pass->decoder->layers[i].norms;
	struct tensor *h = norm(pass, x, &norms[NORM_ATTENTION]);

	x = add_branch(pass, x, attention(pass, i, h), &norms[NORM_POST_ATTENTION]);
	if (!pass->decoder->config.kind->parallel)
		h = norm(pass, x, &norms[NORM_MLP]);
	return add_branch(pass, x, mlp(pass, i, h), &norms[NORM_POST_MLP]);
}

static void
show(const struct pass *pass, int layer, const struct tensor *hidden)
{
	if (pass->batch->on_hidden != NULL && hidden != NULL)
		pass->batch->on_hidden(pass->batch->user, layer, hidden);
}

/* What a layer needs to run again when the batch's own header is gone. */
struct layer_again {
	struct pass pass;
	struct decoder_batch batch;
	int number;
};

static struct tensor *
run_layer_again(struct ops *ops, struct tensor *x, const void *user)
{
	const struct layer_again *again = user;
	struct pass pass = again->pass;

	pass.ops = ops;
	pass.batch = &again->batch;
	return run_layer(&pass, again->number, x);
}

/* -> the residual stream after the last layer [rows, d] */
static struct tensor *
run_layers(const struct pass *pass)
{
	const struct decoder_config *config = &pass->decoder->config;
	struct ops *ops = pass->ops;
	struct tensor *x = pass_embedding(pass);

	if (config->kind->scaled_embedding)
		x = op_scale(ops, sqrtf((float)config->hidden_size), x);
	if (pass->batch->noise != NULL)
		x = op_add(ops, 1, x, 1, pass->batch->noise);
	show(pass, 0, x);
	for (int i = 0; i < config->n_layers; i++) {
		struct layer_again again = { *pass, *pass->batch, i };
		struct arena_mark mark = ops_mark(ops);

		x = pass->batch->recompute
			? op_recompute(ops, run_layer_again, &again, sizeof again, x)
			: run_layer(pass, i, x);
		x = ops_rewind(ops, mark, x);
		show(pass, i + 1, x);
	}
	return x;
}

/* ---- before the layers ---- */

/* The length of the text that row I belongs to, and the row after its last in *END. */
static int64_t
text_length(const struct decoder_batch *batch, int64_t i, int64_t *end)
{
	int64_t length = 0;

	for (*end = i; *end < batch->n_rows && batch->kv_begin[*end] == batch->kv_begin[i] &&
		       (batch->lengths == NULL || batch->lengths[*end] == batch->lengths[i]);
	     ++*end)
		if (batch->positions[*end] >= length)
			length = batch->positions[*end] + 1;
	return batch->lengths != NULL ? batch->lengths[i] : length;
}

static bool
find_runs(struct pass *pass)
{
	const struct decoder *decoder = pass->decoder;
	const struct rope_config *config = &decoder->config.rope;
	struct arena *arena = ops_arena(pass->ops);
	bool depends = config->kind == ROPE_DYNAMIC || config->kind == ROPE_LONG;
	struct rope_run *runs =
	    arena_alloc(arena, (depends ? (size_t)pass->batch->n_rows : 1) * sizeof *runs);
	int64_t end = pass->batch->n_rows, last_key = 0;

	pass->runs = runs;
	for (int64_t i = 0; runs != NULL && i < pass->batch->n_rows; i = end) {
		int64_t key = depends ? rope_key(config, text_length(pass->batch, i, &end)) : 0;

		if (pass->n_runs > 0 && key == last_key) {
			runs[pass->n_runs - 1].row_end = end;
			continue;
		}
		runs[pass->n_runs] = (struct rope_run){ i, end, decoder->rope };
		if (key != 0) {
			float *inv_freq =
			    arena_alloc(arena, (size_t)config->n_rot / 2 * sizeof *inv_freq);

			if (inv_freq == NULL)
				return false;
			rope_frequencies(config, key, inv_freq);
			runs[pass->n_runs].rope.inv_freq = inv_freq;
		}
		last_key = key;
		pass->n_runs++;
	}
	return runs != NULL;
}

/* A row's own key is the last that it sees: of a window of w, w - 1 others are left. */
static bool
find_windows(struct pass *pass)
{
	const struct decoder_batch *batch = pass->batch;
	int window = pass->decoder->config.window;
	int32_t *begin;

	if (window == 0)
		return true;
	begin = arena_alloc(ops_arena(pass->ops), (size_t)batch->n_rows * sizeof *begin);
	for (int64_t i = 0; begin != NULL && i < batch->n_rows; i++)
		begin[i] = batch->kv_end[i] - batch->kv_begin[i] > window
			       ? batch->kv_end[i] - window
			       : batch->kv_begin[i];
	pass->window_begin = begin;
	return begin != NULL;
}

/* -> the residual stream, or NULL */
static struct tensor *
start(struct pass *pass)
{
	if (find_runs(pass) && find_windows(pass))
		return run_layers(pass);
	return ops_out_of_memory(pass->ops);
}

struct tensor *
decoder_hidden(struct ops *ops, const struct decoder *decoder, const struct decoder_batch *batch)
{
	struct pass pass = { .ops = ops, .decoder = decoder, .batch = batch };
	struct tensor *x = norm(&pass, start(&pass), &decoder->final_norm);

	show(&pass, -1, x);
	return x;
}

struct tensor *
decoder_forward(struct ops *ops, const struct decoder *decoder, const struct decoder_batch *batch)
{
	const struct decoder_config *config = &decoder->config;
	struct pass pass = { .ops = ops, .decoder = decoder, .batch = batch };
	struct place head = { MODULE_NO_LAYER, MODULE_HEAD, MODULE_NO_EXPERT };
	struct tensor *x = start(&pass);

	/* The norm and the head (the largest matrix of a small model) only see the rows that are
	 * wanted: one a lane while a prompt is read. */
	if (batch->output_rows != NULL)
		x = op_gather_rows(ops, x, batch->output_rows, batch->n_outputs);
	x = norm(&pass, x, &decoder->final_norm);
	show(&pass, -1, x);
	x = pass_linear(&pass, head, x, batch->output_rows, decoder->head,
	    decoder->head_bias); /* [n_outputs, V] */
	if (config->final_cap > 0)
		x = op_scale(ops, config->final_cap,
		    op_activate(ops, ACTIVATION_TANH, op_scale(ops, 1 / config->final_cap, x)));
	return x;
}
