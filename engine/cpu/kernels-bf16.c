/*
 * cpu/kernels-bf16.c - products of bf16 where only f32 is multiplied: a rounded number is an f32
 * whose lower half is 0, and everything else is as it is for f32.
 */
#include <string.h>

#include "engine/cpu/kernels-matmul.h"
#include "engine/cpu/kernels-simd.h"

/* To nearest, ties to even; a NaN stays one. */
static inline uint32_t
rounded(uint32_t bits)
{
	uint32_t up = (bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000;

	return (bits & 0x7fffffff) > 0x7f800000 ? (bits | 0x400000) & 0xffff0000 : up;
}

static void
round_line(const float *from, float *to, int64_t n)
{
#pragma omp simd
	for (int64_t i = 0; i < n; i++) {
		uint32_t bits;

		memcpy(&bits, from + i, sizeof bits);
		bits = rounded(bits);
		memcpy(to + i, &bits, sizeof bits);
	}
}

static void
round_panel(float *panel, int64_t k)
{
	round_line(panel, panel, k * PANEL_COLS);
}

static void
round_lines(
    const float *a, int64_t stride, int64_t n_lines, int64_t n, float *out, int64_t out_stride)
{
	for (int64_t i = 0; i < n_lines; i++)
		round_line(a + i * stride, out + i * out_stride, n);
}

const struct bf16_kernels KERNEL(bf16_kernels) = {
	.per_element = 1,
	.round_panel = round_panel,
	.round_rows = round_lines,
	.round_columns = round_lines,
	.multiply_panel = KERNEL(multiply_panel),
};
