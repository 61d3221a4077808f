/*
 * cpu/kernels-pairs.c - products of bf16 by the instruction that multiplies pairs of them
 * (AVX512_BF16, vdpbf16ps): twice the products of a fused multiply-add.
 *
 * An element of a panel, or of A, is a pair of neighbours along k, the first in its lower half. The
 * instruction takes numbers below 2^-126 as 0.
 */
#define TILE_STEP(a, b, sum) _mm512_dpbf16_ps(sum, (__m512bh)(a), (__m512bh)(b))
#include "engine/cpu/kernels-tiles.h"

INLINE __m512i
halves(__m512 x)
{
	return _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(x));
}

INLINE __m512
pairs(__m512 first, __m512 second)
{
	return _mm512_castsi512_ps(
	    _mm512_or_si512(halves(first), _mm512_slli_epi32(halves(second), 16)));
}

/* Row i gets rows 2i and 2i + 1, which lie behind it. */
static void
round_panel(float *panel, int64_t k)
{
	if (k % 2 != 0)
		memset(panel + k * PANEL_COLS, 0, PANEL_COLS * sizeof *panel);
	for (int64_t i = 0; i < (k + 1) / 2; i++) {
		const float *first = panel + 2 * i * PANEL_COLS, *second = first + PANEL_COLS;
		__m512 low = pairs(vf_load(first), vf_load(second));
		__m512 high = pairs(vf_load(first + VL), vf_load(second + VL));

		vf_store(panel + i * PANEL_COLS, low);
		vf_store(panel + i * PANEL_COLS + VL, high);
	}
}

static void
round_rows(const float *a, int64_t stride, int64_t m, int64_t k, float *out, int64_t out_stride)
{
	for (int64_t i = 0; i < m; i++) {
		const float *row = a + i * stride;
		uint16_t *to = (uint16_t *)(out + i * out_stride);
		int64_t kk = 0;

		for (; kk + VL <= k; kk += VL)
			_mm256_storeu_si256(
			    (void *)(to + kk), (__m256i)_mm512_cvtneps_pbh(vf_load(row + kk)));
		/* The last ones, with zeros behind them. */
		if (kk < k) {
			__m512 last = vf_load_first(row + kk, (int)(k - kk));
			uint16_t numbers[VL];

			_mm256_storeu_si256((void *)numbers, (__m256i)_mm512_cvtneps_pbh(last));
			memcpy(to + kk, numbers, (size_t)(k - kk + (k & 1)) * sizeof *to);
		}
	}
}

static void
round_columns(const float *a, int64_t stride, int64_t k, int64_t m, float *out, int64_t out_stride)
{
	for (int64_t kk = 0; kk < k; kk += 2) {
		const float *first = a + kk * stride, *second = first + stride;
		float *to = out + kk / 2 * out_stride;

		for (int64_t i = 0; i < m; i += VL) {
			int n = m - i < VL ? (int)(m - i) : VL;
			__m512 x = vf_load_first(first + i, n);
			__m512 y = kk + 1 < k ? vf_load_first(second + i, n) : vf_zero();

			vf_store_first(to + i, pairs(x, y), n);
		}
	}
}

const struct bf16_kernels bf16_kernels_pairs = {
	.per_element = 2,
	.round_panel = round_panel,
	.round_rows = round_rows,
	.round_columns = round_columns,
	.multiply_panel = multiply_with_tiles,
};
