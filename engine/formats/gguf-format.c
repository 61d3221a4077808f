/* gguf-format.c - the tables of GGUF's value types and ggml's tensor types. */

#include "engine/formats/gguf-format.h"

/* clang-format off */
static const struct ggml_type types[] = {
	{ "F32", 0, 1, 4, true, DTYPE_F32 },
	{ "F16", 1, 1, 2, true, DTYPE_F16 },
	{ "Q4_0", 2, 32, 18, true, DTYPE_Q4_0 },
	{ "Q4_1", 3, 32, 20, true, DTYPE_Q4_1 },
	{ "Q5_0", 6, 32, 22, true, DTYPE_Q5_0 },
	{ "Q5_1", 7, 32, 24, true, DTYPE_Q5_1 },
	{ "Q8_0", 8, 32, 34, true, DTYPE_Q8_0 },
	{ "Q8_1", 9, 32, 36, false, 0 },
	{ "Q2_K", 10, 256, 84, true, DTYPE_Q2_K },
	{ "Q3_K", 11, 256, 110, true, DTYPE_Q3_K },
	{ "Q4_K", 12, 256, 144, true, DTYPE_Q4_K },
	{ "Q5_K", 13, 256, 176, true, DTYPE_Q5_K },
	{ "Q6_K", 14, 256, 210, true, DTYPE_Q6_K },
	{ "Q8_K", 15, 256, 292, false, 0 },
	{ "IQ2_XXS", 16, 256, 66, false, 0 },
	{ "IQ2_XS", 17, 256, 74, false, 0 },
	{ "IQ3_XXS", 18, 256, 98, false, 0 },
	{ "IQ1_S", 19, 256, 50, false, 0 },
	{ "IQ4_NL", 20, 32, 18, true, DTYPE_IQ4_NL },
	{ "IQ3_S", 21, 256, 110, false, 0 },
	{ "IQ2_S", 22, 256, 82, false, 0 },
	{ "IQ4_XS", 23, 256, 136, false, 0 },
	{ "I8", 24, 1, 1, false, 0 },
	{ "I16", 25, 1, 2, false, 0 },
	{ "I32", 26, 1, 4, true, DTYPE_I32 },
	{ "I64", 27, 1, 8, true, DTYPE_I64 },
	{ "F64", 28, 1, 8, false, 0 },
	{ "IQ1_M", 29, 256, 56, false, 0 },
	{ "BF16", 30, 1, 2, true, DTYPE_BF16 },
	{ "TQ1_0", 34, 256, 54, false, 0 },
	{ "TQ2_0", 35, 256, 66, false, 0 },
	{ "MXFP4", 39, 32, 17, false, 0 },
};
/* clang-format on */

#define N_TYPES (sizeof types / sizeof types[0])

const struct ggml_type *
ggml_type_by_id(uint32_t id)
{
	for (size_t i = 0; i < N_TYPES; i++)
		if (types[i].id == id)
			return &types[i];
	return NULL;
}

const struct ggml_type *
ggml_type_of(enum dtype dtype)
{
	for (size_t i = 0; i < N_TYPES; i++)
		if (types[i].ours && types[i].dtype == dtype)
			return &types[i];
	return NULL;
}

static const struct {
	const char *name;
	size_t bytes;
} values[N_GGUF_TYPES] = {
	[GGUF_U8] = { "u8", 1 },
	[GGUF_I8] = { "i8", 1 },
	[GGUF_U16] = { "u16", 2 },
	[GGUF_I16] = { "i16", 2 },
	[GGUF_U32] = { "u32", 4 },
	[GGUF_I32] = { "i32", 4 },
	[GGUF_F32] = { "f32", 4 },
	[GGUF_BOOL] = { "bool", 1 },
	[GGUF_STRING] = { "string", 0 },
	[GGUF_ARRAY] = { "array", 0 },
	[GGUF_U64] = { "u64", 8 },
	[GGUF_I64] = { "i64", 8 },
	[GGUF_F64] = { "f64", 8 },
};

size_t
gguf_type_bytes(enum gguf_type type)
{
	return values[type].bytes;
}

const char *
gguf_type_name(enum gguf_type type)
{
	return values[type].name;
}

uint64_t
gguf_read(const uint8_t *bytes, size_t n_bytes)
{
	uint64_t value = 0;

	for (size_t i = n_bytes; i > 0; i--)
		value = value << 8 | bytes[i - 1];
	return value;
}
