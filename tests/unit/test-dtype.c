/* test-dtype.c - number formats: every half and bfloat16, rounding, blocks, sizes. */

#include <math.h>
#include <string.h>

#include "tests/unit/cmocka-first.h"

#include "engine/cpu/kernels-rows.h"
#include "engine/tensor/dtype.h"
#include "tests/unit/cpu-backends.h"

/* What the bits of a half mean, by the definition of the format. */
static double
half_by_definition(uint16_t bits)
{
	int exponent = bits >> 10 & 31, fraction = bits & 1023;
	double size = exponent == 0 ? ldexp(fraction, -24) : ldexp(1024 + fraction, exponent - 25);

	if (exponent == 31)
		size = fraction == 0 ? INFINITY : NAN;
	return bits & 0x8000 ? -size : size;
}

static void
every_half_widens_to_what_its_bits_mean(void **state)
{
	(void)state;
	for (uint32_t bits = 0; bits < 0x10000; bits++) {
		double expected = half_by_definition((uint16_t)bits);
		float widened = f16_to_f32((uint16_t)bits);

		if (isnan(expected))
			assert_true(isnan(widened));
		else
			assert_true((double)widened == expected);
		assert_int_equal(signbit(widened) != 0, bits >> 15);
	}
}

static void
every_half_survives_the_way_there_and_back(void **state)
{
	(void)state;
	for (uint32_t bits = 0; bits < 0x10000; bits++) {
		uint16_t back = f32_to_f16(f16_to_f32((uint16_t)bits));

		if ((bits & 0x7fff) > 0x7c00) /* NaN: quiet, with its sign */
			assert_int_equal(back & 0xfe00, (bits & 0x8000) | 0x7e00);
		else
			assert_int_equal(back, bits);
	}
}

/* Between two neighbours: the middle goes to the even one, a hair beside it to the nearer. */
static void
halves_round_to_the_nearest_even(void **state)
{
	(void)state;
	for (uint32_t low = 0; low < 0x7bff; low++) {
		double a = half_by_definition((uint16_t)low),
		       b = half_by_definition((uint16_t)(low + 1));
		float middle = (float)((a + b) / 2);

		assert_int_equal(f32_to_f16(middle), low + (low & 1));
		assert_int_equal(f32_to_f16(nextafterf(middle, 0)), low);
		assert_int_equal(f32_to_f16(nextafterf(middle, INFINITY)), low + 1);
		assert_int_equal(f32_to_f16(-middle), 0x8000 | (low + (low & 1)));
	}
	assert_int_equal(f32_to_f16(65519.996f), 0x7bff);
	assert_int_equal(f32_to_f16(65520.0f), 0x7c00);
	assert_int_equal(f32_to_f16(-INFINITY), 0xfc00);
	assert_int_equal(f32_to_f16(0x1p-25f), 0);
	assert_int_equal(f32_to_f16(0x1p-149f), 0);
}

static void
bfloat16_keeps_the_upper_half_rounded_to_the_nearest_even(void **state)
{
	(void)state;
	for (uint32_t bits = 0; bits < 0x7f80; bits++) {
		double a = (double)bf16_to_f32((uint16_t)bits);
		double b = bits + 1 == 0x7f80 ? 0x1p128 : (double)bf16_to_f32((uint16_t)(bits + 1));
		float middle = (float)(a / 2 + b / 2);

		assert_int_equal(f32_to_bf16((float)a), bits);
		assert_int_equal(f32_to_bf16(-(float)a), bits | 0x8000);
		assert_int_equal(f32_to_bf16(middle), bits + (bits & 1));
		assert_int_equal(f32_to_bf16(nextafterf(middle, 0)), bits);
	}
	assert_int_equal(f32_to_bf16(INFINITY), 0x7f80);
	assert_true(isnan(bf16_to_f32(f32_to_bf16(NAN))));
}

/* Half a step of error from the quants, and f16's rounding of a scale that is used 127 times. */
static void
q8_0_errs_by_half_a_step_at_most(void **state)
{
	struct numbers numbers = { 5 };
	float x[Q8_0_BLOCK * 50], y[Q8_0_BLOCK * 50];
	struct block_q8_0 blocks[50];

	(void)state;
	for (int i = 0; i < Q8_0_BLOCK * 50; i++)
		x[i] = next_float(&numbers) * powf(2, (float)(i / Q8_0_BLOCK % 17) - 8);
	memset(x, 0, Q8_0_BLOCK * sizeof *x);
	assert_true(dtype_from_f32(DTYPE_Q8_0, x, blocks, Q8_0_BLOCK * 50));
	assert_true(dtype_to_f32(DTYPE_Q8_0, blocks, y, Q8_0_BLOCK * 50));
	for (int b = 0; b < 50; b++) {
		float largest = 0;

		for (int i = b * Q8_0_BLOCK; i < (b + 1) * Q8_0_BLOCK; i++)
			largest = fmaxf(largest, fabsf(x[i]));
		for (int i = b * Q8_0_BLOCK; i < (b + 1) * Q8_0_BLOCK; i++)
			assert_true(fabsf(x[i] - y[i]) <= largest * (0.5f / 127 + 0x1p-11f));
	}
	for (int i = 0; i < Q8_0_BLOCK; i++)
		assert_true(y[i] == 0);
}

/* d = 1: quants are the values, rounded with halves away from zero, as roundf() does. */
static void
q8_0_rounds_halves_away_from_zero(void **state)
{
	float x[Q8_0_BLOCK] = { 127, 0.5f, -0.5f, 1.5f, -2.5f, 0.49f };
	struct block_q8_0 block;

	(void)state;
	assert_true(dtype_from_f32(DTYPE_Q8_0, x, &block, Q8_0_BLOCK));
	assert_int_equal(block.scale, 0x3c00);
	assert_int_equal(block.quants[0], 127);
	assert_int_equal(block.quants[1], 1);
	assert_int_equal(block.quants[2], -1);
	assert_int_equal(block.quants[3], 2);
	assert_int_equal(block.quants[4], -3);
	assert_int_equal(block.quants[5], 0);
}

static void
row_sizes_refuse_broken_blocks_and_overflow(void **state)
{
	(void)state;
	assert_int_equal(dtype_row_bytes(DTYPE_F32, 7), 28);
	assert_int_equal(dtype_row_bytes(DTYPE_F16, 7), 14);
	assert_int_equal(dtype_row_bytes(DTYPE_I64, 7), 56);
	assert_int_equal(dtype_row_bytes(DTYPE_Q8_0, 64), 68);
	assert_int_equal(dtype_row_bytes(DTYPE_Q8_0, 63), 0);
	assert_int_equal(dtype_row_bytes(DTYPE_F32, -4), 0);
	assert_int_equal(dtype_row_bytes(DTYPE_F32, INT64_MAX), 0);
	assert_int_equal(dtype_row_bytes(DTYPE_I64, INT64_MAX / 4), 0);
}

static void
names_lead_back_to_their_formats(void **state)
{
	enum dtype found;

	(void)state;
	for (int i = 0; i < N_DTYPES; i++) {
		assert_true(dtype_by_name(dtype_name((enum dtype)i), &found));
		assert_int_equal(found, i);
	}
	assert_false(dtype_by_name("f8", &found));
	assert_false(dtype_to_f32(DTYPE_I32, &found, NULL, 0));
	assert_false(dtype_from_f32(DTYPE_I64, NULL, &found, 0));
}

/* The kernels of each instruction set convert as the functions above do, at any alignment. */
static void
check_kernels(const struct row_kernels *kernels)
{
	static uint16_t bits[0x10000 + 1], back[0x10000 + 1];
	static float wide[0x10000];

	for (int dtype = DTYPE_F16; dtype <= DTYPE_BF16; dtype++) {
		unsigned char *odd = (unsigned char *)bits + 1,
			      *odd_back = (unsigned char *)back + 1;

		for (uint32_t i = 0; i < 0x10000; i++) {
			uint16_t each = (uint16_t)i;

			memcpy(odd + 2 * i, &each, sizeof each);
		}
		for (int64_t n = 0x10000 - 3; n <= 0x10000; n++) {
			memset(wide, 0, sizeof wide);
			kernels->widen((enum dtype)dtype, odd, wide, n);
			for (int64_t i = 0; i < n; i++) {
				float expected = dtype == DTYPE_F16 ? f16_to_f32((uint16_t)i)
								    : bf16_to_f32((uint16_t)i);

				if (isnan(expected))
					assert_true(isnan(wide[i]));
				else
					assert_memory_equal(&wide[i], &expected, sizeof expected);
			}
			kernels->narrow((enum dtype)dtype, wide, odd_back, n);
			for (int64_t i = 0; i < n; i++)
				if (!isnan(wide[i]))
					assert_memory_equal(odd_back + 2 * i, odd + 2 * i, 2);
		}
	}
}

static void
kernels_convert_alike(void **state)
{
	(void)state;
	check_kernels(&row_kernels_plain);
#if defined(__x86_64__)
	for (int isa = 0; isa < 2; isa++) {
		struct backend *backend = open_cpu(isa, 1);

		if (backend != NULL)
			check_kernels(isa == 0 ? &row_kernels_avx512 : &row_kernels_avx2);
		cpu_backend_close(backend);
	}
#endif
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_half_widens_to_what_its_bits_mean),
		cmocka_unit_test(every_half_survives_the_way_there_and_back),
		cmocka_unit_test(halves_round_to_the_nearest_even),
		cmocka_unit_test(bfloat16_keeps_the_upper_half_rounded_to_the_nearest_even),
		cmocka_unit_test(q8_0_errs_by_half_a_step_at_most),
		cmocka_unit_test(q8_0_rounds_halves_away_from_zero),
		cmocka_unit_test(row_sizes_refuse_broken_blocks_and_overflow),
		cmocka_unit_test(names_lead_back_to_their_formats),
		cmocka_unit_test(kernels_convert_alike),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
