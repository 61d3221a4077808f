/* dtype.c - the stored number formats and their conversion to and from f32. */

#include <math.h>
#include <string.h>

#include "engine/tensor/dtype.h"

_Static_assert(sizeof(struct block_q8_0) == 34, "Q8_0 blocks are 34 bytes in files");

static const struct {
	const char *name;
	size_t block_bytes;
	int block_elements;
} dtypes[N_DTYPES] = {
	[DTYPE_F32] = { "f32", 4, 1 },
	[DTYPE_F16] = { "f16", 2, 1 },
	[DTYPE_BF16] = { "bf16", 2, 1 },
	[DTYPE_Q8_0] = { "q8_0", sizeof(struct block_q8_0), Q8_0_BLOCK },
	[DTYPE_I32] = { "i32", 4, 1 },
	[DTYPE_I64] = { "i64", 8, 1 },
};

const char *
dtype_name(enum dtype dtype)
{
	return dtypes[dtype].name;
}

bool
dtype_by_name(const char *name, enum dtype *dtype)
{
	for (int i = 0; i < N_DTYPES; i++) {
		if (strcmp(name, dtypes[i].name) == 0) {
			*dtype = (enum dtype)i;
			return true;
		}
	}
	return false;
}

size_t
dtype_row_bytes(enum dtype dtype, int64_t cols)
{
	size_t bytes;

	if (cols < 0 || cols % dtypes[dtype].block_elements != 0)
		return 0;
	if (__builtin_mul_overflow((uint64_t)(cols / dtypes[dtype].block_elements),
		dtypes[dtype].block_bytes, &bytes) ||
	    bytes > PTRDIFF_MAX)
		return 0;
	return bytes;
}

static uint32_t
float_bits(float value)
{
	uint32_t bits;

	memcpy(&bits, &value, sizeof bits);
	return bits;
}

static float
float_of_bits(uint32_t bits)
{
	float value;

	memcpy(&value, &bits, sizeof value);
	return value;
}

float
f16_to_f32(uint16_t bits)
{
	uint32_t sign = (uint32_t)(bits & 0x8000) << 16;
	uint32_t magnitude = bits & 0x7fff;

	if (magnitude >= 0x7c00) /* Inf, NaN */
		return float_of_bits(sign | 0x7f800000 | (magnitude & 0x3ff) << 13);
	/* Read as an f32 the exponent is 112 too small, for normals and denormals alike. */
	return float_of_bits(sign | float_bits(float_of_bits(magnitude << 13) * 0x1p112f));
}

uint16_t
f32_to_f16(float value)
{
	uint32_t bits = float_bits(value);
	uint16_t sign = (uint16_t)(bits >> 16 & 0x8000);
	uint32_t magnitude = bits & 0x7fffffff;

	if (magnitude > 0x7f800000) /* NaN: keep the payload's top, make it quiet */
		return (uint16_t)(sign | 0x7e00 | (magnitude >> 13 & 0x3ff));
	if (magnitude >= 0x477ff000) /* 65520 and more round to Inf */
		return (uint16_t)(sign | 0x7c00);
	if (magnitude < 0x38800000) /* denormal: the unit of 0.5f is f16's smallest step, 2^-24 */
		return (uint16_t)(sign |
				  (float_bits(float_of_bits(magnitude) + 0.5f) - float_bits(0.5f)));
	magnitude -= 112u << 23;
	magnitude += 0xfff + (magnitude >> 13 & 1); /* ties to even */
	return (uint16_t)(sign | magnitude >> 13);
}

float
bf16_to_f32(uint16_t bits)
{
	return float_of_bits((uint32_t)bits << 16);
}

uint16_t
f32_to_bf16(float value)
{
	uint32_t bits = float_bits(value);

	if ((bits & 0x7fffffff) > 0x7f800000)
		return (uint16_t)(bits >> 16 | 0x40);
	return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static void
q8_0_to_f32(const unsigned char *source, float *out, int64_t n)
{
	for (int64_t i = 0; i < n; i += Q8_0_BLOCK, source += sizeof(struct block_q8_0)) {
		struct block_q8_0 block;
		float scale;

		memcpy(&block, source, sizeof block);
		scale = f16_to_f32(block.scale);
		for (int j = 0; j < Q8_0_BLOCK; j++)
			out[i + j] = scale * (float)block.quants[j];
	}
}

/* The scale is rounded to f16 only after it has divided the values, as the reference does. */
static void
q8_0_from_f32(const float *source, unsigned char *out, int64_t n)
{
	for (int64_t i = 0; i < n; i += Q8_0_BLOCK, out += sizeof(struct block_q8_0)) {
		struct block_q8_0 block;
		float largest = 0, scale, inverse;

		for (int j = 0; j < Q8_0_BLOCK; j++)
			largest = fmaxf(largest, fabsf(source[i + j]));
		scale = largest / 127;
		inverse = scale != 0 ? 1 / scale : 0;
		block.scale = f32_to_f16(scale);
		for (int j = 0; j < Q8_0_BLOCK; j++) {
			float value = roundf(source[i + j] * inverse);

			/* Inf and NaN have no quant; a denormal scale makes inverse Inf. */
			block.quants[j] = (int8_t)(value >= -127 && value <= 127 ? value
						   : value > 0			 ? 127
										 : -127);
		}
		memcpy(out, &block, sizeof block);
	}
}

bool
dtype_to_f32(enum dtype dtype, const void *source, float *out, int64_t n)
{
	const unsigned char *bytes = source;
	uint16_t bits;

	switch (dtype) {
	case DTYPE_F32:
		memcpy(out, source, (size_t)n * sizeof *out);
		return true;
	case DTYPE_F16:
		for (int64_t i = 0; i < n; i++) {
			memcpy(&bits, bytes + 2 * i, sizeof bits);
			out[i] = f16_to_f32(bits);
		}
		return true;
	case DTYPE_BF16:
		for (int64_t i = 0; i < n; i++) {
			memcpy(&bits, bytes + 2 * i, sizeof bits);
			out[i] = bf16_to_f32(bits);
		}
		return true;
	case DTYPE_Q8_0:
		q8_0_to_f32(bytes, out, n);
		return true;
	default:
		return false;
	}
}

bool
dtype_from_f32(enum dtype dtype, const float *source, void *out, int64_t n)
{
	unsigned char *bytes = out;
	uint16_t bits;

	switch (dtype) {
	case DTYPE_F32:
		memcpy(out, source, (size_t)n * sizeof *source);
		return true;
	case DTYPE_F16:
		for (int64_t i = 0; i < n; i++) {
			bits = f32_to_f16(source[i]);
			memcpy(bytes + 2 * i, &bits, sizeof bits);
		}
		return true;
	case DTYPE_BF16:
		for (int64_t i = 0; i < n; i++) {
			bits = f32_to_bf16(source[i]);
			memcpy(bytes + 2 * i, &bits, sizeof bits);
		}
		return true;
	case DTYPE_Q8_0:
		q8_0_from_f32(source, bytes, n);
		return true;
	default:
		return false;
	}
}
