/*
 * cpu/kernels-tiles.h - tiles of C that stay in registers while k runs.
 *
 * A tile of TILE_ROWS x PANEL_COLS has as many accumulators as the registers hold beside one row
 * of the panel; each step of k loads that row and one element for each row of A.
 * Tiles with fewer rows or half the columns are the same code with other constants.
 *
 * TILE_STEP(a, b, sum) is what a step does to an accumulator: a fused multiply-add, unless who
 * includes this defines it (as two products at once, of pairs in an element's place).
 */
#ifndef ENGINE_CPU_KERNELS_TILES_H
#define ENGINE_CPU_KERNELS_TILES_H

#include "engine/cpu/kernels-matmul.h"
#include "engine/cpu/kernels-simd.h"

#if defined(__AVX512F__)
#define TILE_ROWS 12
#elif defined(__AVX2__)
#define TILE_ROWS 6
#else
#define TILE_ROWS 4
#endif

#ifndef TILE_STEP
#define TILE_STEP(a, b, sum) vf_fma(a, b, sum)
#endif

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
				sum[i][v] = TILE_STEP(av, bv[v], sum[i][v]);
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

static void
multiply_with_tiles(const struct panel_product *p)
{
	int vectors = (int)((p->n + VL - 1) / VL);

	if (p->n % VL == 0)
		multiply_tiles(p, vectors);
	else
		multiply_edge(p, vectors);
}

#endif
