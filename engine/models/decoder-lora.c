/* decoder-lora.c - base weights with the adapters of each row on top. */
#include "engine/models/decoder-pass.h"

/* The spans of a module; NULL when nobody changes it. */
static const struct lora_span *
find_spans(const struct pass *pass, struct place place, int *n)
{
	const struct lora_table *lora = pass->batch->lora;
	size_t at;

	*n = 0;
	if (lora == NULL || place.layer >= lora->n_layers || place.expert >= lora->n_experts)
		return NULL;
	at = lora_place(lora, place.layer, place.module, place.expert);
	*n = lora->n_spans[at];
	return *n > 0 ? lora->spans[at] : NULL;
}

static bool
covers(const struct lora_span *span, int32_t row)
{
	return row >= span->row_begin && row < span->row_begin + span->row_count;
}

/* The runs of ROWS that lie within a span; into RUNS, when there is room for them. */
static int
find_runs(const struct lora_span *span, const int32_t *rows, int64_t n_rows, struct lora_span *runs)
{
	int n = 0;

	for (int64_t i = 0, begin; i < n_rows; i++) {
		if (!covers(span, rows[i]))
			continue;
		for (begin = i; i < n_rows && covers(span, rows[i]); i++)
			;
		if (runs != NULL) {
			runs[n] = *span;
			runs[n].row_begin = begin;
			runs[n].row_count = i - begin;
		}
		n++;
	}
	return n;
}

/* Spans speak of rows of the batch; a layer that sees only some of them has rows of its own. */
static const struct lora_span *
spans_of_rows(const struct pass *pass, const struct lora_span *spans, int *n_spans,
    const int32_t *rows, int64_t n_rows)
{
	struct lora_span *own;
	int n = 0, given = *n_spans;

	for (int i = 0; i < given; i++)
		n += find_runs(&spans[i], rows, n_rows, NULL);
	*n_spans = n;
	if (n == 0)
		return NULL;
	own = arena_alloc(ops_arena(pass->ops), (size_t)n * sizeof *own);
	if (own == NULL)
		return ops_out_of_memory(pass->ops);
	for (int i = 0, at = 0; i < given; i++)
		at += find_runs(&spans[i], rows, n_rows, own + at);
	return own;
}

struct tensor *
pass_linear(const struct pass *pass, struct place place, struct tensor *x, const int32_t *rows,
    struct tensor *weight, struct tensor *bias)
{
	struct tensor *y = op_linear(pass->ops, x, weight, bias);
	int n;
	const struct lora_span *spans = find_spans(pass, place, &n);

	if (spans != NULL && rows != NULL && y != NULL)
		spans = spans_of_rows(pass, spans, &n, rows, tensor_rows(x));
	return n > 0 && spans != NULL ? op_lora(pass->ops, x, spans, n, y) : y;
}

/* ---- embeddings ---- */

static struct tensor *
identity_matrix(struct ops *ops, int64_t n)
{
	struct tensor *identity = op_zeros(ops, n, n);

	for (int64_t i = 0; identity != NULL && i < n; i++)
		tensor_f32(identity)[i * n + i] = 1;
	return identity;
}

/* A token's row is a column of A [rank, V]: -> [rows, rank], by looking up A's elements, of which
 * there are at most INT32_MAX (adapter_check_config()). */
static struct tensor *
columns_of_tokens(const struct pass *pass, const struct tensor *a)
{
	int64_t n_rows = pass->batch->n_rows, rank = tensor_rows(a), vocabulary = tensor_cols(a);
	int32_t *ids = arena_alloc(ops_arena(pass->ops), (size_t)(n_rows * rank) * sizeof *ids);
	struct tensor *elements, *columns;

	if (ids == NULL)
		return ops_out_of_memory(pass->ops);
	for (int64_t i = 0; i < n_rows * rank; i++)
		ids[i] = (int32_t)(i % rank * vocabulary + pass->batch->tokens[i / rank]);
	elements =
	    op_view(pass->ops, (struct tensor *)a, 0, 2, (const int64_t[]){ rank * vocabulary, 1 });
	columns = elements != NULL ? op_gather_rows(pass->ops, elements, ids, n_rows * rank) : NULL;
	return columns != NULL
		   ? op_view(pass->ops, columns, 0, 2, (const int64_t[]){ n_rows, rank })
		   : NULL;
}

/* The columns are A x already: what is left of the low-rank part has the identity for A. */
static struct tensor *
add_embedding_span(const struct pass *pass, const struct lora_span *span, struct tensor *y)
{
	struct lora_span rest = *span;
	struct tensor *columns = columns_of_tokens(pass, span->a);

	rest.a = columns != NULL ? identity_matrix(pass->ops, tensor_rows(span->a)) : NULL;
	return rest.a != NULL ? op_lora(pass->ops, columns, &rest, 1, y) : NULL;
}

struct tensor *
pass_embedding(const struct pass *pass)
{
	const struct decoder_batch *batch = pass->batch;
	struct tensor *x =
	    op_gather_rows(pass->ops, pass->decoder->embedding, batch->tokens, batch->n_rows);
	struct place place = { MODULE_NO_LAYER,
		architecture_module(pass->decoder->config.kind, ROLE_EMBEDDING), MODULE_NO_EXPERT };
	int n;
	const struct lora_span *spans = find_spans(pass, place, &n);

	for (int i = 0; i < n && x != NULL; i++)
		x = add_embedding_span(pass, &spans[i], x);
	return x;
}
