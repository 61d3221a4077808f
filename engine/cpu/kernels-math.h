/*
 * cpu/kernels-math.h - exp, tanh and the normal distribution for loops that the compiler turns
 * into vectors: no branch, no call, a relative error of a few units in the last place.
 *
 * The coefficients are least-squares fits (reweighted towards minimax) of the quotients named
 * beside them; the bound is their error before rounding to f32.
 */
#ifndef ENGINE_CPU_KERNELS_MATH_H
#define ENGINE_CPU_KERNELS_MATH_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "engine/cpu/kernels-simd.h"

INLINE float
float_of_bits(uint32_t bits)
{
	float value;

	memcpy(&value, &bits, sizeof value);
	return value;
}

INLINE uint32_t
bits_of_float(float value)
{
	uint32_t bits;

	memcpy(&bits, &value, sizeof bits);
	return bits;
}

/* e^x = 2^n e^r with |r| <= ln(2)/2. Below e^-86.6 (just above the denormals) it is 0; above
 * e^88.7 it is infinite; NaN stays NaN. */
INLINE float
fast_exp(float x)
{
	/* Adding 1.5 * 2^23 leaves the rounded integer in the low bits of the sum. */
	float limited = x > 89.0f ? 89.0f : x;
	float shifted = limited * 0x1.715476p0f + 0x1.8p23f;
	float n = shifted - 0x1.8p23f;
	float r = limited - n * 0x1.62e4p-1f; /* ln 2 in two parts: n times the first is exact */
	float p = 1.381314439e-3f, half;

	r -= n * 0x1.7f7d1cp-20f;
	/* (e^r - 1 - r) / r^2, 3e-9 */
	p = p * r + 8.369418847e-3f;
	p = p * r + 4.166845679e-2f;
	p = p * r + 1.666651479e-1f;
	p = p * r + 4.999999305e-1f;
	p = p * r * r + r + 1.0f;
	/* 2^(n-1), then doubled, since 2^128 would overflow before its time. */
	half = float_of_bits((bits_of_float(shifted) << 23) + (126u << 23));
	return x < -86.6f ? 0.0f : p * half * 2.0f;
}

INLINE float
fast_sigmoid(float x)
{
	return 1.0f / (1.0f + fast_exp(-x));
}

INLINE float
fast_tanh(float x)
{
	float size = fabsf(x), z = x * x, small, large;
	float p = 1.596955817e-2f;

	/* (tanh(x) / x - 1) / x^2 in x^2, 6e-8 */
	p = p * z - 5.242274297e-2f;
	p = p * z + 1.331681543e-1f;
	p = p * z - 3.333277777e-1f;
	small = x + x * z * p;
	large = copysignf(1.0f - 2.0f / (1.0f + fast_exp(2.0f * size)), x);
	return size < 0.58f ? small : large;
}

/* The standard normal distribution's cumulative function Phi(x) = erfc(-x / sqrt(2)) / 2 and
 * its density. */
INLINE float
normal_cumulative(float x, float *density)
{
	float t = fabsf(x) * 0x1.6a09e6p-1f, s = 1.0f / (1.0f + 0.4f * t);
	float e = fast_exp(-0.5f * x * x), p = 4.125304093e-2f, tail;

	/* e^(t^2) erfc(t) / s in s = 1 / (1 + 0.4 t), 6e-8 */
	p = p * s - 1.403192428e-1f;
	p = p * s + 8.398729876e-2f;
	p = p * s + 8.796432890e-2f;
	p = p * s + 7.975649613e-2f;
	p = p * s + 1.933932072e-1f;
	p = p * s + 2.018875901e-1f;
	p = p * s + 2.264431114e-1f;
	p = p * s + 2.256342312e-1f;
	tail = 0.5f * e * s * p;
	*density = 0x1.988454p-2f * e;
	return x < 0 ? tail : 1.0f - tail;
}

#endif
