/*
 * tensor/k-quants.h - super-blocks of 256 weights: Q2_K, Q3_K, Q4_K, Q5_K, Q6_K.
 *
 * As GGUF stores them (ggml's k-quants). A super-block is cut into 16 runs of 16 elements (of
 * Q4_K and Q5_K two and two share their numbers); each run has an integer scale, some a minimum:
 * value = d * scale * (q - zero) - dmin * minimum, with f16 d and dmin of the super-block.
 * Blocks may lie at any address. What is inline here is compiled again, with vectors, by the
 * kernels that widen weights as they go.
 */
#ifndef ENGINE_TENSOR_K_QUANTS_H
#define ENGINE_TENSOR_K_QUANTS_H

#include "engine/tensor/quants.h"

#define K_BLOCK 256
#define K_RUN 16
#define K_RUNS (K_BLOCK / K_RUN)
#define K_GROUPS (K_BLOCK / QUANT_BLOCK)

struct STORED block_q2_k {
	uint8_t scales[16]; /* low half scale, high half minimum */
	uint8_t quants[64];
	uint16_t d, dmin;
};

struct STORED block_q3_k {
	uint8_t high[32]; /* bit g of byte j: third bit of element j of group g */
	uint8_t quants[64];
	uint8_t scales[12];
	uint16_t d;
};

struct STORED block_q4_k {
	uint16_t d, dmin;
	uint8_t scales[12];
	uint8_t quants[128];
};

struct STORED block_q5_k {
	uint16_t d, dmin;
	uint8_t scales[12];
	uint8_t high[32]; /* bit g of byte j: fifth bit of element j of group g */
	uint8_t quants[128];
};

struct STORED block_q6_k {
	uint8_t low[128], high[64];
	int8_t scales[16];
	uint16_t d;
};

/* The numbers of a super-block beside its quants. ZERO is what an unsigned quant is above. */
struct k_scales {
	int16_t scale[K_RUNS], minimum[K_RUNS];
	uint16_t d, dmin; /* f16 bits */
	int zero;
};

/* Eight 6-bit scales and minimums in 12 bytes: the first four of each in the low bits of bytes
 * 0-3 and 4-7, the others in the halves of bytes 8-11 with their upper bits above the first. */
static inline void
q4_k_scale(const uint8_t scales[12], int group, int16_t *scale, int16_t *minimum)
{
	int g = group & 3, halves = scales[8 + g];

	*scale = (int16_t)(group < 4 ? scales[g] & 63 : (halves & 15) | scales[g] >> 6 << 4);
	*minimum =
	    (int16_t)(group < 4 ? scales[4 + g] & 63 : halves >> 4 | scales[4 + g] >> 6 << 4);
}

/* Sixteen 6-bit scales, 32 above their value, in 12 bytes: four low bits in the halves of bytes
 * 0-7, two upper bits in the quarters of bytes 8-11. */
static inline int16_t
q3_k_scale(const uint8_t scales[12], int run)
{
	int low = scales[run & 7] >> (run < 8 ? 0 : 4) & 15;
	int high = scales[8 + (run & 3)] >> 2 * (run >> 2) & 3;

	return (int16_t)((low | high << 4) - 32);
}

/* DTYPE is one of the five, a constant where this is inlined. */
static inline __attribute__((always_inline)) void
k_scales_read(enum dtype dtype, const void *bytes, struct k_scales *out)
{
	const struct block_q2_k *q2 = bytes;
	const struct block_q3_k *q3 = bytes;
	const struct block_q4_k *q4 = bytes; /* Q5_K begins alike */
	const struct block_q6_k *q6 = bytes;

	out->zero = dtype == DTYPE_Q3_K ? 4 : dtype == DTYPE_Q6_K ? 32 : 0;
	out->d = dtype == DTYPE_Q2_K   ? q2->d
		 : dtype == DTYPE_Q3_K ? q3->d
		 : dtype == DTYPE_Q6_K ? q6->d
				       : q4->d;
	out->dmin = dtype == DTYPE_Q2_K ? q2->dmin : out->zero != 0 ? 0 : q4->dmin;
	for (int run = 0; run < K_RUNS; run++) {
		out->minimum[run] = 0;
		switch (dtype) {
		case DTYPE_Q2_K:
			out->scale[run] = q2->scales[run] & 15;
			out->minimum[run] = q2->scales[run] >> 4;
			break;
		case DTYPE_Q3_K:
			out->scale[run] = q3_k_scale(q3->scales, run);
			break;
		case DTYPE_Q6_K:
			out->scale[run] = q6->scales[run];
			break;
		default:
			q4_k_scale(q4->scales, run / 2, &out->scale[run], &out->minimum[run]);
		}
	}
}

/* The unsigned quants of group 0 .. 7. */
static inline __attribute__((always_inline)) void
k_quants_read(enum dtype dtype, const void *bytes, int group, uint8_t out[QUANT_BLOCK])
{
	const struct block_q2_k *q2 = bytes;
	const struct block_q3_k *q3 = bytes;
	const struct block_q4_k *q4 = bytes;
	const struct block_q5_k *q5 = bytes;
	const struct block_q6_k *q6 = bytes;
	int half = group / 4, quarter = group % 4;

	for (int j = 0; j < QUANT_BLOCK; j++) {
		switch (dtype) {
		case DTYPE_Q2_K:
			out[j] = q2->quants[32 * half + j] >> 2 * quarter & 3;
			break;
		case DTYPE_Q3_K:
			out[j] = (uint8_t)((q3->quants[32 * half + j] >> 2 * quarter & 3) |
					   (q3->high[j] >> group & 1) << 2);
			break;
		case DTYPE_Q4_K:
			out[j] = q4->quants[group / 2 * 32 + j] >> 4 * (group % 2) & 15;
			break;
		case DTYPE_Q5_K:
			out[j] =
			    (uint8_t)((q5->quants[group / 2 * 32 + j] >> 4 * (group % 2) & 15) |
				      (q5->high[j] >> group & 1) << 4);
			break;
		default:
			out[j] = (uint8_t)((q6->low[64 * half + 32 * (quarter & 1) + j] >>
						   4 * (quarter >> 1) &
					       15) |
					   (q6->high[32 * half + j] >> 2 * quarter & 3) << 4);
		}
	}
}

/* Group's 32 values; D and DMIN are the scales' widened. */
static inline __attribute__((always_inline)) void
k_group_widen(enum dtype dtype, const void *bytes, const struct k_scales *scales, float d,
    float dmin, int group, float *out)
{
	uint8_t quants[QUANT_BLOCK];

	k_quants_read(dtype, bytes, group, quants);
	for (int half = 0; half < 2; half++) {
		float scale = d * (float)scales->scale[2 * group + half];
		float minimum = dmin * (float)scales->minimum[2 * group + half];
		for (int j = half * K_RUN; j < (half + 1) * K_RUN; j++)
			out[j] = scale * (float)(quants[j] - scales->zero) - minimum;
	}
}

/* For the table in dtype.c: N elements (whole super-blocks). */
void q2_k_to_f32(const void *source, float *out, int64_t n);
void q3_k_to_f32(const void *source, float *out, int64_t n);
void q4_k_to_f32(const void *source, float *out, int64_t n);
void q5_k_to_f32(const void *source, float *out, int64_t n);
void q6_k_to_f32(const void *source, float *out, int64_t n);
/* Each run's scale and minimum are those with the smallest squared error of several tried. */
void q2_k_from_f32(const float *source, void *out, int64_t n);
void q3_k_from_f32(const float *source, void *out, int64_t n);
void q4_k_from_f32(const float *source, void *out, int64_t n);
void q5_k_from_f32(const float *source, void *out, int64_t n);
void q6_k_from_f32(const float *source, void *out, int64_t n);

#endif
