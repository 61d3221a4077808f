/*
 * cpu/kernels-matmul.c - products with a packed panel: tiles of C that stay in registers.
 *
 * A tile of TILE_ROWS x PANEL_COLS has as many accumulators as the registers hold beside one row
 * of the panel; each step of k loads that row and one element for each row of A.
 * Tiles with fewer rows or half the columns are the same code with other constants.
 */
#include "engine/cpu/kernels-matmul.h"
#include "engine/cpu/kernels-simd.h"
#include "engine/tensor/quants.h"

#if defined(__AVX512F__)
#define TILE_ROWS 12
#define DOT_MAX_ROWS 64
#elif defined(__AVX2__)
#define TILE_ROWS 6
#define DOT_MAX_ROWS 12
#else
#define TILE_ROWS 4
#define DOT_MAX_ROWS 8
#endif
#define PANEL_VECTORS 2
#define PANEL_COLS (PANEL_VECTORS * VL)

_Static_assert(PANEL_COLS <= MAX_PANEL_COLS, "memory is reserved for narrower panels");

/* c = alpha * sum + beta * c */
INLINE void
store_tile(const int rows, const int vectors, const struct panel_product *p,
    vf sum[][PANEL_VECTORS], int64_t row)
{
	vf alpha = vf_set1(p->alpha), beta = vf_set1(p->beta);
	float *c = p->c + row * p->c_row;

	UNROLL
	for (int i = 0; i < rows; i++, c += p->c_row) {
		UNROLL
		for (int v = 0; v < vectors; v++) {
			vf x = vf_mul(alpha, sum[i][v]);
			if (p->beta != 0)
				x = vf_fma(beta, vf_load(c + v * VL), x);
			vf_store(c + v * VL, x);
		}
	}
}

INLINE void
tile(const int rows, const int vectors, const struct panel_product *p, int64_t row)
{
	vf sum[TILE_ROWS][PANEL_VECTORS];
	const float *b = p->b;
	int64_t a_row = p->a_row, a_k = p->a_k, b_k = p->b_k;
	/* One pointer for three rows: more would not fit the integer registers. */
	const float *a[(TILE_ROWS + 2) / 3];

	UNROLL
	for (int g = 0; 3 * g < rows; g++)
		a[g] = p->a + (row + 3 * g) * a_row;
	UNROLL
	for (int v = 0; v < vectors; v++) {
		vf start = p->bias != NULL ? vf_load(p->bias + v * VL) : vf_zero();
		UNROLL
		for (int i = 0; i < rows; i++)
			sum[i][v] = start;
	}
	for (int64_t kk = 0; kk < p->k; kk++) {
		vf bv[PANEL_VECTORS];
		UNROLL
		for (int v = 0; v < vectors; v++)
			bv[v] = vf_load(b + v * VL);
		UNROLL
		for (int i = 0; i < rows; i++) {
			vf av = vf_set1(a[i / 3][i % 3 * a_row]);
			UNROLL
			for (int v = 0; v < vectors; v++)
				sum[i][v] = vf_fma(av, bv[v], sum[i][v]);
		}
		b += b_k;
		UNROLL
		for (int g = 0; 3 * g < rows; g++) {
			a[g] += a_k;
			/* Keeps the compiler from making it a pointer for each row. */
			__asm__("" : "+r"(a[g]));
		}
	}
	store_tile(rows, vectors, p, sum, row);
}

typedef void tile_function(const struct panel_product *p, int64_t row);

/* clang-format off */
#define DEFINE_TILE(r, v) \
	static void tile_##r##_##v(const struct panel_product *p, int64_t row) { tile(r, v, p, row); }
#define DEFINE_TILES(r) DEFINE_TILE(r, 1) DEFINE_TILE(r, 2)
#define FOUR_TILES(v) tile_1_##v, tile_2_##v, tile_3_##v, tile_4_##v
DEFINE_TILES(1) DEFINE_TILES(2) DEFINE_TILES(3) DEFINE_TILES(4)
#if TILE_ROWS == 4
#define ALL_TILES(v) FOUR_TILES(v)
#elif TILE_ROWS == 6
#define ALL_TILES(v) FOUR_TILES(v), tile_5_##v, tile_6_##v
DEFINE_TILES(5) DEFINE_TILES(6)
#else
#define ALL_TILES(v) FOUR_TILES(v), tile_5_##v, tile_6_##v, tile_7_##v, tile_8_##v, tile_9_##v, \
	tile_10_##v, tile_11_##v, tile_12_##v
DEFINE_TILES(5) DEFINE_TILES(6) DEFINE_TILES(7) DEFINE_TILES(8) DEFINE_TILES(9)
DEFINE_TILES(10) DEFINE_TILES(11) DEFINE_TILES(12)
#endif

static tile_function *const tiles[PANEL_VECTORS][TILE_ROWS] = { { ALL_TILES(1) }, { ALL_TILES(2) } };
/* clang-format on */

static void
multiply_tiles(const struct panel_product *p, int vectors)
{
	tile_function *const *for_width = tiles[vectors - 1];
	/* Tiles of about equal height: a last one of a row or two could not hide the latency. */
	int64_t n_tiles = (p->m + TILE_ROWS - 1) / TILE_ROWS, row = 0;

	for (int64_t t = 0; t < n_tiles; t++) {
		int64_t rows = (p->m - row + n_tiles - t - 1) / (n_tiles - t);
		for_width[rows - 1](p, row);
		row += rows;
	}
}

/* Tiles know whole vectors only; at the right edge of C they write beside it. */
static void
multiply_edge(const struct panel_product *p, int vectors)
{
	float bias[PANEL_COLS] = { 0 }, product[TILE_ROWS * PANEL_COLS];
	struct panel_product rows = *p;

	if (p->bias != NULL) {
		memcpy(bias, p->bias, (size_t)p->n * sizeof *bias);
		rows.bias = bias;
	}
	rows.beta = 0;
	rows.c = product;
	rows.c_row = PANEL_COLS;
	for (int64_t row = 0; row < p->m; row += TILE_ROWS) {
		rows.m = p->m - row < TILE_ROWS ? p->m - row : TILE_ROWS;
		rows.a = p->a + row * p->a_row;
		multiply_tiles(&rows, vectors);
		for (int64_t i = 0; i < rows.m; i++) {
			float *c = p->c + (row + i) * p->c_row;
			for (int64_t j = 0; j < p->n; j++)
				c[j] = product[i * PANEL_COLS + j] +
				       (p->beta != 0 ? p->beta * c[j] : 0);
		}
	}
}

void
KERNEL(multiply_panel)(const struct panel_product *p)
{
	int vectors = (int)((p->n + VL - 1) / VL);

	if (p->n % VL == 0)
		multiply_tiles(p, vectors);
	else
		multiply_edge(p, vectors);
}

INLINE const unsigned char *
stored_row(const struct stored_block *block, int64_t i)
{
	return (const unsigned char *)block->rows +
	       (size_t)(block->row_begin + i) * block->row_bytes;
}

INLINE void
pack(enum dtype dtype, const struct stored_block *block, float *panel)
{
	int64_t whole = block->n_cols / VL * VL;

	for (int64_t i = 0; i < block->n_rows; i++, panel += PANEL_COLS) {
		const unsigned char *row = stored_row(block, i);
		int64_t j = 0;
		for (; j < whole; j += VL)
			vf_store(panel + j, vf_load_stored(dtype, row, block->col_begin + j));
		for (; j < PANEL_COLS; j += VL) {
			int n = j < block->n_cols ? (int)(block->n_cols - j) : 0;
			vf_store(panel + j,
			    n > 0 ? vf_load_stored_end(dtype, row, block->col_begin + j, n)
				  : vf_zero());
		}
	}
}

/* VL rows from J on by VL columns, turned, to panel[0 .. n_cols-1][j .. j+VL-1]. */
INLINE void
pack_square(enum dtype dtype, const struct stored_block *block, int64_t j, int64_t kk, float *panel)
{
	int64_t n = block->n_cols - kk;
	vf r[VL];

	UNROLL
	for (int i = 0; i < VL; i++) {
		if (j + i >= block->n_rows)
			r[i] = vf_zero();
		else if (n >= VL)
			r[i] =
			    vf_load_stored(dtype, stored_row(block, j + i), block->col_begin + kk);
		else
			r[i] = vf_load_stored_end(
			    dtype, stored_row(block, j + i), block->col_begin + kk, (int)n);
	}
	vf_transpose(r);
	for (int i = 0; i < VL && i < n; i++)
		vf_store(panel + (kk + i) * PANEL_COLS + j, r[i]);
}

INLINE void
pack_transposed(enum dtype dtype, const struct stored_block *block, float *panel)
{
	for (int64_t j = 0; j < PANEL_COLS; j += VL)
		for (int64_t kk = 0; kk < block->n_cols; kk += VL)
			pack_square(dtype, block, j, kk, panel);
}

/* Quantised types but Q8_0 are widened first, a row's part of a panel or a stretch of columns. */

INLINE void
pack_quantised(const struct stored_block *block, float *panel)
{
	float group[QUANT_BLOCK];
	int in_group = (int)(block->col_begin % QUANT_BLOCK);

	for (int64_t i = 0; i < block->n_rows; i++, panel += PANEL_COLS) {
		KERNEL(widen_part)
		(block->dtype, stored_row(block, i), block->col_begin - in_group, QUANT_BLOCK,
		    group);
		memcpy(panel, group + in_group, (size_t)block->n_cols * sizeof *panel);
		memset(
		    panel + block->n_cols, 0, (size_t)(PANEL_COLS - block->n_cols) * sizeof *panel);
	}
}

#define STRETCH 128 /* columns */

INLINE void
pack_transposed_quantised(const struct stored_block *block, float *panel)
{
	float rows[PANEL_COLS][STRETCH];

	for (int64_t begin = 0; begin < block->n_cols; begin += STRETCH) {
		int64_t left = block->n_cols - begin;
		struct stored_block widened = { DTYPE_F32, rows, sizeof rows[0], 0, block->n_rows,
			0, left < STRETCH ? left : STRETCH };
		for (int64_t i = 0; i < block->n_rows; i++)
			KERNEL(widen_part)
		(block->dtype, stored_row(block, i), block->col_begin + begin, widened.n_cols,
		    rows[i]);
		pack_transposed(DTYPE_F32, &widened, panel + begin * PANEL_COLS);
	}
}

/* Makes FUNCTION(dtype, block, panel) four loops, each for one dtype. */
#define FOR_EACH_DTYPE(function)                                                                   \
	switch (block->dtype) {                                                                    \
	case DTYPE_F32:                                                                            \
		function(DTYPE_F32, block, panel);                                                 \
		break;                                                                             \
	case DTYPE_F16:                                                                            \
		function(DTYPE_F16, block, panel);                                                 \
		break;                                                                             \
	case DTYPE_BF16:                                                                           \
		function(DTYPE_BF16, block, panel);                                                \
		break;                                                                             \
	case DTYPE_Q8_0:                                                                           \
		function(DTYPE_Q8_0, block, panel);                                                \
		break;                                                                             \
	default:                                                                                   \
		function##_quantised(block, panel);                                                \
	}

void
KERNEL(pack)(const struct stored_block *block, float *panel)
{
	FOR_EACH_DTYPE(pack)
}

void
KERNEL(pack_transposed)(const struct stored_block *block, float *panel)
{
	FOR_EACH_DTYPE(pack_transposed)
}

const struct matmul_kernels KERNEL(matmul_kernels) = {
	.tile_rows = TILE_ROWS,
	.panel_cols = PANEL_COLS,
	.dot_max_rows = DOT_MAX_ROWS,
	.multiply_panel = KERNEL(multiply_panel),
	.pack = KERNEL(pack),
	.pack_transposed = KERNEL(pack_transposed),
	.dots = KERNEL(dots),
	.quantised_row_bytes = KERNEL(quantised_row_bytes),
	.quantise_rows = KERNEL(quantise_rows),
};
