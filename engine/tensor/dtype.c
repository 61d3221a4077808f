/* dtype.c - the table of stored number formats and their conversion to and from f32. */

#include <string.h>

#include "engine/tensor/k-quants.h"

typedef void to_f32(const void *source, float *out, int64_t n);
typedef void from_f32(const float *source, void *out, int64_t n);

static to_f32 f32_to_f32, f16s_to_f32, bf16s_to_f32;
static from_f32 f32_from_f32, f16s_from_f32, bf16s_from_f32;

static const struct {
	const char *name;
	size_t block_bytes;
	int block_elements;
	to_f32 *widen;	  /* NULL: integers */
	from_f32 *narrow; /* likewise */
} dtypes[N_DTYPES] = {
	[DTYPE_F32] = { "f32", 4, 1, f32_to_f32, f32_from_f32 },
	[DTYPE_F16] = { "f16", 2, 1, f16s_to_f32, f16s_from_f32 },
	[DTYPE_BF16] = { "bf16", 2, 1, bf16s_to_f32, bf16s_from_f32 },
	[DTYPE_Q8_0] = { "q8_0", 34, QUANT_BLOCK, q8_0_to_f32, q8_0_from_f32 },
	[DTYPE_Q4_0] = { "q4_0", 18, QUANT_BLOCK, q4_0_to_f32, q4_0_from_f32 },
	[DTYPE_Q4_1] = { "q4_1", 20, QUANT_BLOCK, q4_1_to_f32, q4_1_from_f32 },
	[DTYPE_Q5_0] = { "q5_0", 22, QUANT_BLOCK, q5_0_to_f32, q5_0_from_f32 },
	[DTYPE_Q5_1] = { "q5_1", 24, QUANT_BLOCK, q5_1_to_f32, q5_1_from_f32 },
	[DTYPE_IQ4_NL] = { "iq4_nl", 18, QUANT_BLOCK, iq4_nl_to_f32, iq4_nl_from_f32 },
	[DTYPE_Q2_K] = { "q2_k", 84, K_BLOCK, q2_k_to_f32, q2_k_from_f32 },
	[DTYPE_Q3_K] = { "q3_k", 110, K_BLOCK, q3_k_to_f32, q3_k_from_f32 },
	[DTYPE_Q4_K] = { "q4_k", 144, K_BLOCK, q4_k_to_f32, q4_k_from_f32 },
	[DTYPE_Q5_K] = { "q5_k", 176, K_BLOCK, q5_k_to_f32, q5_k_from_f32 },
	[DTYPE_Q6_K] = { "q6_k", 210, K_BLOCK, q6_k_to_f32, q6_k_from_f32 },
	[DTYPE_I32] = { "i32", 4, 1, NULL, NULL },
	[DTYPE_I64] = { "i64", 8, 1, NULL, NULL },
};

bool
dtype_is_weight(enum dtype dtype)
{
	return dtypes[dtype].widen != NULL;
}

bool
dtype_is_quantised(enum dtype dtype)
{
	return dtypes[dtype].block_elements > 1;
}

int
dtype_block(enum dtype dtype)
{
	return dtypes[dtype].block_elements;
}

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
f32_to_f32(const void *source, float *out, int64_t n)
{
	memcpy(out, source, (size_t)n * sizeof *out);
}

static void
f32_from_f32(const float *source, void *out, int64_t n)
{
	memcpy(out, source, (size_t)n * sizeof *source);
}

static void
f16s_to_f32(const void *source, float *out, int64_t n)
{
	const unsigned char *bytes = source;
	uint16_t bits;

	for (int64_t i = 0; i < n; i++) {
		memcpy(&bits, bytes + 2 * i, sizeof bits);
		out[i] = f16_to_f32(bits);
	}
}

static void
f16s_from_f32(const float *source, void *out, int64_t n)
{
	unsigned char *bytes = out;

	for (int64_t i = 0; i < n; i++) {
		uint16_t bits = f32_to_f16(source[i]);
		memcpy(bytes + 2 * i, &bits, sizeof bits);
	}
}

static void
bf16s_to_f32(const void *source, float *out, int64_t n)
{
	const unsigned char *bytes = source;
	uint16_t bits;

	for (int64_t i = 0; i < n; i++) {
		memcpy(&bits, bytes + 2 * i, sizeof bits);
		out[i] = bf16_to_f32(bits);
	}
}

static void
bf16s_from_f32(const float *source, void *out, int64_t n)
{
	unsigned char *bytes = out;

	for (int64_t i = 0; i < n; i++) {
		uint16_t bits = f32_to_bf16(source[i]);
		memcpy(bytes + 2 * i, &bits, sizeof bits);
	}
}

bool
dtype_to_f32(enum dtype dtype, const void *source, float *out, int64_t n)
{
	if (dtypes[dtype].widen == NULL)
		return false;
	dtypes[dtype].widen(source, out, n);
	return true;
}

bool
dtype_from_f32(enum dtype dtype, const float *source, void *out, int64_t n)
{
	if (dtypes[dtype].narrow == NULL)
		return false;
	dtypes[dtype].narrow(source, out, n);
	return true;
}
