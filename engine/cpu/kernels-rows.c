/* cpu/kernels-rows.c - element by element: sums, products, activations, formats, AdamW. */

#include "engine/cpu/kernels-rows.h"
#include "engine/cpu/kernels-math.h"

/* ---- sums and products ---- */

static void
add(int64_t n, float alpha, const float *a, float beta, const float *b, float *y)
{
	if (b == NULL) {
#pragma omp simd
		for (int64_t i = 0; i < n; i++)
			y[i] = alpha * a[i];
	} else {
#pragma omp simd
		for (int64_t i = 0; i < n; i++)
			y[i] = alpha * a[i] + beta * b[i];
	}
}

static void
multiply(int64_t n, const float *a, const float *b, float *y)
{
#pragma omp simd
	for (int64_t i = 0; i < n; i++)
		y[i] = a[i] * b[i];
}

static void
multiply_add(int64_t n, const float *a, const float *b, float *y)
{
#pragma omp simd
	for (int64_t i = 0; i < n; i++)
		y[i] += a[i] * b[i];
}

static double
sum_squares(int64_t n, const float *x)
{
	double sum = 0;

#pragma omp simd reduction(+ : sum)
	for (int64_t i = 0; i < n; i++)
		sum += (double)x[i] * (double)x[i];
	return sum;
}

static double
sum_abs_difference(int64_t n, const float *x, const float *y)
{
	double sum = 0;

#pragma omp simd reduction(+ : sum)
	for (int64_t i = 0; i < n; i++)
		sum += fabs((double)x[i] - (double)y[i]);
	return sum;
}

static double
sum_squared_difference(int64_t n, const float *x, const float *y)
{
	double sum = 0;

#pragma omp simd reduction(+ : sum)
	for (int64_t i = 0; i < n; i++) {
		double difference = (double)x[i] - (double)y[i];

		sum += difference * difference;
	}
	return sum;
}

static void
sign_difference(int64_t n, float factor, const float *x, const float *y, float *dx)
{
#pragma omp simd
	for (int64_t i = 0; i < n; i++)
		dx[i] += x[i] > y[i] ? factor : x[i] < y[i] ? -factor : 0.0f;
}

/* ---- activations: the value, and the slope for going back ---- */

INLINE float
silu(float x, float *slope)
{
	float s = fast_sigmoid(x);

	*slope = s * (1.0f + x * (1.0f - s));
	return x * s;
}

INLINE float
gelu(float x, float *slope)
{
	float density, cumulative = normal_cumulative(x, &density);

	*slope = cumulative + x * density;
	return x * cumulative;
}

/* x/2 (1 + tanh(u)) = x sigmoid(2u), u = sqrt(2/pi) (x + 0.044715 x^3) */
INLINE float
gelu_tanh(float x, float *slope)
{
	float twice_u = x * (1.5957691216f + 0.0713548162726f * x * x);
	float s = fast_sigmoid(twice_u);

	*slope = s + x * s * (1.0f - s) * (1.5957691216f + 0.2140644488f * x * x);
	return x * s;
}

INLINE float
relu(float x, float *slope)
{
	*slope = x > 0 ? 1.0f : 0.0f;
	return x > 0 ? x : 0.0f;
}

INLINE float
hyperbolic_tangent(float x, float *slope)
{
	float t = fast_tanh(x);

	*slope = 1.0f - t * t;
	return t;
}

/* The four loops of one activation. */
#define ACTIVATION(name)                                                                           \
	static void name##_forward(int64_t n, const float *x, float *y)                            \
	{                                                                                          \
		_Pragma("omp simd") for (int64_t i = 0; i < n; i++)                                \
		{                                                                                  \
			float slope;                                                               \
			y[i] = name(x[i], &slope);                                                 \
		}                                                                                  \
	}                                                                                          \
	static void name##_backward(int64_t n, const float *x, const float *dy, float *dx)         \
	{                                                                                          \
		_Pragma("omp simd") for (int64_t i = 0; i < n; i++)                                \
		{                                                                                  \
			float slope;                                                               \
			(void)name(x[i], &slope);                                                  \
			dx[i] += dy[i] * slope;                                                    \
		}                                                                                  \
	}                                                                                          \
	static void name##_gate(int64_t n, const float *gate, const float *up, float *y)           \
	{                                                                                          \
		_Pragma("omp simd") for (int64_t i = 0; i < n; i++)                                \
		{                                                                                  \
			float slope;                                                               \
			y[i] = name(gate[i], &slope) * up[i];                                      \
		}                                                                                  \
	}                                                                                          \
	static void name##_gate_backward(int64_t n, const float *gate, const float *up,            \
	    const float *dy, float *dgate, float *dup)                                             \
	{                                                                                          \
		for (int64_t i = 0; dgate == NULL && i < n; i++) {                                 \
			float slope;                                                               \
			dup[i] += dy[i] * name(gate[i], &slope);                                   \
		}                                                                                  \
		for (int64_t i = 0; dup == NULL && i < n; i++) {                                   \
			float slope;                                                               \
			(void)name(gate[i], &slope);                                               \
			dgate[i] += dy[i] * up[i] * slope;                                         \
		}                                                                                  \
		if (dgate == NULL || dup == NULL)                                                  \
			return;                                                                    \
		_Pragma("omp simd") for (int64_t i = 0; i < n; i++)                                \
		{                                                                                  \
			float slope, value = name(gate[i], &slope);                                \
			dup[i] += dy[i] * value;                                                   \
			dgate[i] += dy[i] * up[i] * slope;                                         \
		}                                                                                  \
	}

ACTIVATION(silu)
ACTIVATION(gelu)
ACTIVATION(gelu_tanh)
ACTIVATION(relu)
ACTIVATION(hyperbolic_tangent)

/* ---- dropout ---- */

/* A counter-based generator: two rounds of a 32-bit mixing function whose every step is a
 * bijection, keyed by the seed and by the upper half of the index. */
INLINE uint32_t
mix(uint32_t x)
{
	x = (x ^ x >> 16) * 0x85ebca6bu;
	x = (x ^ x >> 13) * 0xc2b2ae35u;
	return x ^ x >> 16;
}

/* Y = or += what is kept of N < 2^31 elements of X, of which the first has the lower half LOW of
 * its index. What is dropped becomes 0 by its bits, so that the loop has no branch. */
INLINE void
drop_out(const bool add_to, uint32_t low, int n, const uint32_t keys[2], uint32_t limit,
    float scale, const float *x, float *y)
{
#pragma omp simd
	for (int j = 0; j < n; j++) {
		uint32_t r = mix(mix((low + (uint32_t)j) ^ keys[0]) + keys[1]);
		union {
			float value;
			uint32_t bits;
		} kept = { x[j] * scale };

		kept.bits &= -(uint32_t)(r >= limit);
		y[j] = add_to ? y[j] + kept.value : kept.value;
	}
}

static void
dropout(uint64_t index, int64_t n, float p, uint64_t seed, const float *x, float *y, bool add_to)
{
	const uint32_t limit = (uint32_t)((double)p * 0x1p32); /* p < 1 */
	const float scale = 1.0f / (1.0f - p);
	int count;

	for (; n > 0; index += (uint64_t)count, x += count, y += count, n -= count) {
		uint32_t low = (uint32_t)index, high = (uint32_t)(index >> 32);
		int64_t left = INT64_C(0x100000000) - low; /* with the same upper half */
		uint32_t keys[2];

		keys[0] = mix((uint32_t)seed + 0x9e3779b9u * high);
		keys[1] = mix((uint32_t)(seed >> 32) ^ mix(keys[0] + high));
		left = left < n ? left : n;
		count = left < 1 << 16 ? (int)left : 1 << 16;
		if (add_to)
			drop_out(true, low, count, keys, limit, scale, x, y);
		else
			drop_out(false, low, count, keys, limit, scale, x, y);
	}
}

/* ---- number formats ---- */

static void
widen(enum dtype dtype, const void *source, float *out, int64_t n)
{
	const unsigned char *bytes = source;
	size_t size = dtype == DTYPE_F32 ? 4 : 2;
	int64_t i = 0;

	switch (dtype) {
	case DTYPE_F16:
		for (; i + VL <= n; i += VL)
			vf_store(out + i, vf_load_f16(bytes + 2 * i));
		break;
	case DTYPE_BF16:
		for (; i + VL <= n; i += VL)
			vf_store(out + i, vf_load_bf16(bytes + 2 * i));
		break;
	default:
		break;
	}
	dtype_to_f32(dtype, bytes + size * (size_t)i, out + i, n - i);
}

static void
narrow(enum dtype dtype, const float *source, void *out, int64_t n)
{
	unsigned char *bytes = out;
	size_t size = dtype == DTYPE_F32 ? 4 : 2;
	int64_t i = 0;

#if defined(__F16C__)
	if (dtype == DTYPE_F16) {
		for (; i + 8 <= n; i += 8) {
			__m128i halves =
			    _mm256_cvtps_ph(_mm256_loadu_ps(source + i), _MM_FROUND_TO_NEAREST_INT);

			_mm_storeu_si128((__m128i *)(void *)(bytes + 2 * i), halves);
		}
	}
#endif
	dtype_from_f32(dtype, source + i, bytes + size * (size_t)i, n - i);
}

/* ---- optimiser ---- */

/* In the order of PyTorch: the decay first, then the step of the moments. */
static void
adamw(const struct adamw *o, int64_t n, const float *gradient, float *m, float *v, float *parameter)
{
	double correction1 = 1 - pow(o->beta1, (double)o->step);
	double correction2 = sqrt(1 - pow(o->beta2, (double)o->step));
	float scale = o->gradient_scale, epsilon = (float)o->epsilon;
	float take1 = (float)(1 - o->beta1), keep2 = (float)o->beta2, take2 = (float)(1 - o->beta2);
	float rate = (float)(o->learning_rate / correction1), inverse2 = (float)(1 / correction2);
	float keep = (float)(1 - o->learning_rate * o->weight_decay);

#pragma omp simd
	for (int64_t i = 0; i < n; i++) {
		float g = gradient[i] * scale;

		m[i] += take1 * (g - m[i]);
		v[i] = keep2 * v[i] + take2 * g * g;
		parameter[i] =
		    parameter[i] * keep - rate * m[i] / (sqrtf(v[i]) * inverse2 + epsilon);
	}
}

/* ---- the table ---- */

#define EACH_ACTIVATION(loop)                                                                      \
	{                                                                                          \
		[ACTIVATION_SILU] = silu_##loop, [ACTIVATION_GELU] = gelu_##loop,                  \
		[ACTIVATION_GELU_TANH] = gelu_tanh_##loop, [ACTIVATION_RELU] = relu_##loop,        \
		[ACTIVATION_TANH] = hyperbolic_tangent_##loop,                                     \
	}

const struct row_kernels KERNEL(row_kernels) = {
	.add = add,
	.multiply = multiply,
	.multiply_add = multiply_add,
	.activate = EACH_ACTIVATION(forward),
	.activate_backward = EACH_ACTIVATION(backward),
	.gate = EACH_ACTIVATION(gate),
	.gate_backward = EACH_ACTIVATION(gate_backward),
	.dropout = dropout,
	.sign_difference = sign_difference,
	.adamw = adamw,
	.widen = widen,
	.narrow = narrow,
	.rms_norm = KERNEL(rms_norm),
	.rms_norm_backward = KERNEL(rms_norm_backward),
	.layer_norm = KERNEL(layer_norm),
	.layer_norm_backward = KERNEL(layer_norm_backward),
	.unit_row = KERNEL(unit_row),
	.unit_row_backward = KERNEL(unit_row_backward),
	.rope = KERNEL(rope),
	.sum_squares = sum_squares,
	.sum_abs_difference = sum_abs_difference,
	.sum_squared_difference = sum_squared_difference,
	.cap = KERNEL(cap),
	.exponentiate = KERNEL(exponentiate),
	.softmax_columns = KERNEL(softmax_columns),
	.probabilities = KERNEL(probabilities),
	.normalise_columns = KERNEL(normalise_columns),
	.score_gradients = KERNEL(score_gradients),
	.weighted_sum = KERNEL(weighted_sum),
	.maximum = KERNEL(maximum),
	.first_of = KERNEL(first_of),
	.sum = KERNEL(sum),
	.sum_exp = KERNEL(sum_exp),
	.add_exp = KERNEL(add_exp),
};
