/*
 * cpu/kernels-matmul.c - products with a packed panel, and the packing of any dtype into it.
 */
#include "engine/cpu/kernels-matmul.h"
#include "engine/cpu/kernels-tiles.h"
#include "engine/tensor/quants.h"

#if defined(__AVX512F__)
#define DOT_MAX_ROWS 64
#elif defined(__AVX2__)
#define DOT_MAX_ROWS 12
#else
#define DOT_MAX_ROWS 8
#endif

_Static_assert(PANEL_COLS <= MAX_PANEL_COLS, "memory is reserved for narrower panels");

void
KERNEL(multiply_panel)(const struct panel_product *p)
{
	multiply_with_tiles(p);
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
