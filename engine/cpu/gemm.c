/*
 * cpu/gemm.c - the matrix product, cut into pieces that need nothing of each other.
 *
 * A piece is up to PRODUCT_MAX_ROWS rows by some panels of columns. It goes through k in blocks,
 * packs each panel of B into its own scratch and multiplies all its rows by it; packing costs a
 * few percent because every packed number serves that many rows, and in return there is no
 * shared panel to wait for. How a product is cut depends on its shape alone.
 */
#include "engine/cpu/matmul.h"

#include <string.h>

/* Multiplications a piece should have at least, about 5 microseconds of work ... */
#define PIECE_MACS (INT64_C(1) << 18)
/* ... and how many pieces to aim for, so that a thread that comes late finds some left. */
#define WANTED_PIECES 16

static int64_t
min64(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int64_t
ceil_div(int64_t a, int64_t b)
{
	return (a + b - 1) / b;
}

/* Rows of A whose distance is a multiple of this fall into the same few sets of the L1 cache and
 * would push each other out. */
#define ALIASING_BYTES 2048

/* A's part [m, k] in SCRATCH, in the order it has but without aliasing rows. */
static void
copy_a(struct panel_product *part, float *scratch)
{
	bool transposed = part->a_row == 1;
	int64_t outer = transposed ? part->k : part->m;
	int64_t inner = transposed ? part->m : part->k;
	int64_t from = transposed ? part->a_k : part->a_row;
	int64_t to = (transposed ? PRODUCT_MAX_ROWS : PRODUCT_A_ROW);

	for (int64_t i = 0; i < outer; i++)
		memcpy(scratch + i * to, part->a + i * from, (size_t)inner * sizeof(float));
	part->a = scratch;
	part->a_row = transposed ? 1 : to;
	part->a_k = transposed ? to : 1;
}

/* A's part rounded to bf16. */
static void
round_a(const struct bf16_kernels *bf16, struct panel_product *part, float *scratch)
{
	bool columns = part->a_row == 1 && part->a_k != 1;
	int64_t to = columns ? PRODUCT_MAX_ROWS : PRODUCT_A_ROW;

	if (columns)
		bf16->round_columns(part->a, part->a_k, part->k, part->m, scratch, to);
	else
		bf16->round_rows(part->a, part->a_row, part->m, part->k, scratch, to);
	part->a = scratch;
	part->a_row = columns ? 1 : to;
	part->a_k = columns ? to : 1;
}

static bool
a_aliases(const struct left *a, int64_t n)
{
	int64_t stride = a->row == 1 ? a->k : a->row;

	return (a->row == 1 || a->k == 1) && n > MAX_PANEL_COLS && stride > 0 &&
	       stride * (int64_t)sizeof(float) % ALIASING_BYTES == 0;
}

/* Makes the panel for columns N_BEGIN .. +part->n, steps K_BEGIN .. +part->k. IN_PLACE: where B's
 * own rows serve, they may. */
static void
set_panel(const struct matmul_kernels *kernels, const struct right *b, int64_t n_begin,
    int64_t k_begin, bool in_place, struct panel_product *part, float *panel)
{
	struct stored_block block = { b->dtype, b->at, b->row_bytes, k_begin, part->k, n_begin,
		part->n };

	/* Rows that are a panel as they lie are used there when few rows of A would share the
	 * packed copy. */
	if (in_place && !b->transposed && b->dtype == DTYPE_F32 && part->n == kernels->panel_cols &&
	    part->m <= 4 * kernels->tile_rows) {
		part->b =
		    (const float *)((const char *)b->at + (size_t)k_begin * b->row_bytes) + n_begin;
		part->b_k = (int64_t)(b->row_bytes / sizeof(float));
		return;
	}
	part->b = panel;
	part->b_k = kernels->panel_cols;
	if (b->transposed) {
		block = (struct stored_block){ b->dtype, b->at, b->row_bytes, n_begin, part->n,
			k_begin, part->k };
		kernels->pack_transposed(&block, panel);
	} else {
		kernels->pack(&block, panel);
	}
}

/* C's columns from N on: part->n of them, over part->k steps from K_BEGIN on. */
static void
multiply_columns(struct cpu *cpu, const struct product *p, int64_t n, int64_t k_begin,
    struct panel_product part, float *panel)
{
	const struct bf16_kernels *bf16 = p->bf16 ? cpu->bf16 : NULL;

	part.bias = k_begin == 0 && p->bias != NULL ? p->bias + n : NULL;
	part.c = p->c + n;
	set_panel(cpu->matmul, &p->b, n, k_begin, bf16 == NULL, &part, panel);
	if (bf16 == NULL) {
		cpu->matmul->multiply_panel(&part);
		return;
	}
	bf16->round_panel(panel, part.k);
	part.k = ceil_div(part.k, bf16->per_element);
	bf16->multiply_panel(&part);
}

void
cpu_product_part(
    struct cpu *cpu, const struct product *p, int64_t n_begin, int64_t n_end, float *scratch)
{
	const int64_t panel_cols = cpu->matmul->panel_cols;
	float *panel = scratch, *a_copy = scratch + PRODUCT_MAX_K * MAX_PANEL_COLS;
	/* Blocks of k of about equal length; Q8_0 blocks stay whole. */
	int64_t n_blocks = ceil_div(p->k, PRODUCT_MAX_K);
	int64_t k_step = n_blocks > 1 ? ceil_div(ceil_div(p->k, n_blocks), 32) * 32 : p->k;
	struct panel_product part = { .m = p->m, .alpha = p->alpha, .c_row = p->n };
	int64_t k_begin = 0;

	do {
		part.k = min64(k_step, p->k - k_begin);
		part.a = p->a.at + k_begin * p->a.k;
		part.a_row = p->a.row;
		part.a_k = p->a.k;
		part.beta = k_begin == 0 ? p->beta : 1;
		if (p->bf16)
			round_a(cpu->bf16, &part, a_copy);
		else if (a_aliases(&p->a, n_end - n_begin))
			copy_a(&part, a_copy);
		for (int64_t n = n_begin; n < n_end; n += panel_cols) {
			part.n = min64(panel_cols, n_end - n);
			multiply_columns(cpu, p, n, k_begin, part, panel);
		}
		k_begin += k_step;
	} while (k_begin < p->k);
}

struct product_job {
	struct cpu *cpu;
	const struct product *product;
	int64_t rows, cols; /* of a piece */
	int64_t pieces_across;
};

static void
cut_product(const struct matmul_kernels *kernels, struct product_job *job)
{
	const struct product *p = job->product;
	int64_t n_panels = ceil_div(p->n, MAX_PANEL_COLS);
	int64_t n_strips = ceil_div(p->m, PRODUCT_MAX_ROWS);
	int64_t k = p->k > 0 ? p->k : 1, panels = 1;

	/* More, lower pieces when there would be few that are large. */
	while (n_strips * n_panels < WANTED_PIECES &&
	       p->m / n_strips * MAX_PANEL_COLS * k > 2 * PIECE_MACS && p->m / n_strips >= 48)
		n_strips++;
	job->rows = ceil_div(ceil_div(p->m, n_strips), kernels->tile_rows) * kernels->tile_rows;
	job->rows = min64(job->rows, PRODUCT_MAX_ROWS);
	panels = PIECE_MACS / (min64(job->rows, p->m) * MAX_PANEL_COLS * k);
	panels = panels < 1 ? 1 : min64(panels, n_panels);
	/* Several panels to a piece save nothing when it packs them, but share A in the cache. */
	while (panels < 8 && panels < n_panels &&
	       n_strips * ceil_div(n_panels, panels + 1) >= 2 * WANTED_PIECES)
		panels++;
	job->cols = panels * MAX_PANEL_COLS;
	job->pieces_across = ceil_div(p->n, job->cols);
}

static void
product_piece(void *arg, int64_t begin, int64_t end, int worker)
{
	const struct product_job *job = arg;
	float *scratch = cpu_worker_scratch(job->cpu, worker, PRODUCT_SCRATCH_BYTES);

	for (int64_t i = begin; i < end; i++) {
		struct product part = *job->product;
		int64_t row = i / job->pieces_across * job->rows;
		int64_t col = i % job->pieces_across * job->cols;
		part.m = min64(job->rows, part.m - row);
		part.a.at += row * part.a.row;
		part.c += row * part.n;
		cpu_product_part(job->cpu, &part, col, min64(col + job->cols, part.n), scratch);
	}
}

void
cpu_product(struct cpu *cpu, const struct product *product)
{
	struct product_job job = { .cpu = cpu, .product = product };

	if (product->m <= 0 || product->n <= 0)
		return;
	cut_product(cpu->matmul, &job);
	thread_pool_run(
	    cpu->pool, ceil_div(product->m, job.rows) * job.pieces_across, 1, product_piece, &job);
}

void
cpu_gemm(void *state, bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k,
    float alpha, const float *a, const float *b, float beta, float *c)
{
	struct product product = { m, n, k, transpose_a ? left_turned(a, m) : left_rows(a, k),
		transpose_b ? right_turned(b, k) : right_rows(b, n), c, alpha, beta, NULL, false };

	cpu_product(state, &product);
}

void
cpu_gemm_bf16(void *state, bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k,
    float alpha, const float *a, const float *b, float beta, float *c)
{
	struct product product = { m, n, k, transpose_a ? left_turned(a, m) : left_rows(a, k),
		transpose_b ? right_turned(b, k) : right_rows(b, n), c, alpha, beta, NULL, true };

	cpu_product(state, &product);
}
