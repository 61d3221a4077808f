/*
 * tensor/quant-fit.h - which scale (and minimum) loses least when numbers become small integers.
 *
 * Each tries several step widths around the one that just spans the numbers, rounds, and solves
 * for the best scale of those integers (least squares); the smallest squared error wins.
 * Infinite and not-a-number inputs give some result, never undefined behaviour.
 */
#ifndef ENGINE_TENSOR_QUANT_FIT_H
#define ENGINE_TENSOR_QUANT_FIT_H

#include <stdint.h>

#define FIT_MAX 32 /* numbers at most */

/* X rounded to the nearest integer within LEAST .. MOST; LEAST when it is not a number. */
int nearest_integer(float x, int least, int most);

/* x[i] ~ scale * q - minimum with q in 0 .. LEVELS-1, scale and minimum not negative. */
void fit_affine(const float *x, int n, int levels, float *scale, float *minimum);
/* x[i] ~ scale * q with q in -HALF .. HALF-1; the scale may be negative. Returns it. */
float fit_symmetric(const float *x, int n, int half);
/* x[i] ~ scale * values[q], VALUES rising, 16 of them. Returns the scale. */
float fit_values(const float *x, int n, const int8_t values[16]);
/* The index of the one of VALUES that is nearest to X. */
int nearest_value(float x, const int8_t values[16]);

#endif
