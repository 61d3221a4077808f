/*
 * cpu/kernels-matmul.h - the inner loops of matrix products, one table per instruction set.
 *
 * Two ways to multiply. Many rows: B is copied into panels of panel_cols columns, widened to f32
 * ([k][panel_cols], padded with zeros), and tiles of up to tile_rows rows of C are kept in
 * registers while k runs. Few rows: each row of W is read once, where it lies, and multiplied
 * with all rows of x (dot products along k); the sum over k of an element is taken in the same
 * order for any number of rows, so a lane gets the same bits alone and among others.
 *
 * Products of bf16 are the first way, with both sides rounded beforehand: where a processor
 * multiplies pairs of bf16, two neighbours along k take an element's place; elsewhere a rounded
 * number is an f32 like any other.
 *
 * Stored weights may have any alignment. Kernels neither allocate nor fail.
 */
#ifndef ENGINE_CPU_KERNELS_MATMUL_H
#define ENGINE_CPU_KERNELS_MATMUL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/tensor/dtype.h"

/* The largest of all instruction sets, for those who reserve memory. */
#define MAX_PANEL_COLS 32

/* c[m, n] = alpha * a[m, k] b[k, n] + beta * c + bias[n]. Element (i, kk) of A is at
 * a[i * a_row + kk * a_k], so A may be transposed. n <= panel_cols; where n < panel_cols, b has
 * zeros or anything else readable behind. beta 0: c is not read. bias may be NULL, and is NULL
 * when alpha is not 1. */
struct panel_product {
	int64_t m, n, k;
	float alpha, beta;
	const float *a;
	int64_t a_row, a_k;
	const float *b;
	int64_t b_k;
	const float *bias;
	float *c;
	int64_t c_row;
};

/* A part of a stored matrix, rows row_begin.. and columns col_begin.. Of quantised matrices pack()
 * takes columns of one group of 32, pack_transposed() whole groups. */
struct stored_block {
	enum dtype dtype;
	const void *rows; /* of the whole matrix */
	size_t row_bytes;
	int64_t row_begin, n_rows, col_begin, n_cols;
};

/* y[i, o] = x[i] . w[o] + bias[o] for the n_outputs rows of w from output_begin on. */
struct dot_products {
	enum dtype dtype;
	const void *w;
	size_t row_bytes;
	int64_t output_begin, n_outputs;
	const float *x; /* [n_rows, k] */
	int64_t x_row;
	/* x as quantise_rows() left it: quantised weights are then multiplied in integers. Or NULL.
	 */
	const void *x_quantised;
	int64_t n_rows, k;
	const float *bias;
	float *y;
	int64_t y_row;
	bool add; /* to what y holds */
};

struct matmul_kernels {
	int tile_rows, panel_cols;
	/* Up to this many rows dot products are faster, as bench-matmul measured. */
	int dot_max_rows;
	void (*multiply_panel)(const struct panel_product *product);
	/* B = the block itself: [n_rows = k][n_cols <= panel_cols] */
	void (*pack)(const struct stored_block *block, float *panel);
	/* B = the block transposed: [n_rows <= panel_cols][n_cols = k] */
	void (*pack_transposed)(const struct stored_block *block, float *panel);
	void (*dots)(const struct dot_products *job);
	/* Rows of K elements as int8 with one f32 scale for each block of 32 or, where that is the
	 * block of DTYPE, of 256 elements; for products with weights of that type. 0 bytes: this
	 * instruction set has no such products, x stays f32. */
	size_t (*quantised_row_bytes)(enum dtype dtype, int64_t k);
	void (*quantise_rows)(
	    enum dtype dtype, const float *x, int64_t x_row, int64_t n_rows, int64_t k, void *out);
};

/* Operands are rounded to bf16 (to nearest, ties to even), sums are f32. The panels are those of
 * the matmul_kernels of the same instruction set. */
struct bf16_kernels {
	int per_element; /* 2: pairs along k, the last of an odd k with 0; 1: single numbers */
	/* In place, [k][panel_cols] of f32 numbers; there is room for one row more. */
	void (*round_panel)(float *panel, int64_t k);
	/* A part of A as it lies in rows, [m][k], or in columns, [k][m]; lines of both are STRIDE
	 * and OUT_STRIDE apart. */
	void (*round_rows)(
	    const float *a, int64_t stride, int64_t m, int64_t k, float *out, int64_t out_stride);
	void (*round_columns)(
	    const float *a, int64_t stride, int64_t k, int64_t m, float *out, int64_t out_stride);
	/* k and a_k count elements: per_element numbers each. */
	void (*multiply_panel)(const struct panel_product *product);
};

extern const struct matmul_kernels matmul_kernels_plain;
extern const struct bf16_kernels bf16_kernels_plain;
#if defined(__x86_64__)
extern const struct matmul_kernels matmul_kernels_avx2, matmul_kernels_avx512;
extern const struct bf16_kernels bf16_kernels_avx2, bf16_kernels_avx512;
extern const struct bf16_kernels bf16_kernels_pairs; /* avx512 with its bf16 instructions */
#endif

#ifdef KERNELS_SUFFIX
/* What the files of one build share: KERNEL(dots) is dots_avx512 and so on. */
#define KERNEL_JOIN(name, suffix) name##_##suffix
#define KERNEL_EXPAND(name, suffix) KERNEL_JOIN(name, suffix)
#define KERNEL(name) KERNEL_EXPAND(name, KERNELS_SUFFIX)
void KERNEL(multiply_panel)(const struct panel_product *product);
void KERNEL(pack)(const struct stored_block *block, float *panel);
void KERNEL(pack_transposed)(const struct stored_block *block, float *panel);
void KERNEL(dots)(const struct dot_products *job);
size_t KERNEL(quantised_row_bytes)(enum dtype dtype, int64_t k);
void KERNEL(quantise_rows)(
    enum dtype dtype, const float *x, int64_t x_row, int64_t n_rows, int64_t k, void *out);
/* Elements BEGIN .. +N (multiples of 32) of a quantised row. */
void KERNEL(widen_part)(enum dtype dtype, const void *row, int64_t begin, int64_t n, float *out);
#endif

#endif
