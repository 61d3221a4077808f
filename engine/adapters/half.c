/* half.c - rows of A and B as files have them. */

#include <string.h>

#include "engine/adapters/half.h"

struct half
half_of(const struct adapter_module *module, bool is_b)
{
	return (struct half){ .module = module, .is_b = is_b };
}

bool
half_is_rotated(const struct adapter_module *module)
{
	return module->module == MODULE_Q || module->module == MODULE_K;
}

static const struct tensor *
numbers_of(const struct half *half)
{
	return half->is_b ? &half->module->bt : &half->module->a;
}

/* Both kinds are kept with the rank outermost, so B is the one that is turned in PEFT's form. */
static bool
is_turned(const struct half *half)
{
	return half->is_b != half->transposed;
}

int64_t
half_rows(const struct half *half)
{
	return numbers_of(half)->shape[is_turned(half) ? 1 : 0];
}

int64_t
half_cols(const struct half *half)
{
	return numbers_of(half)->shape[is_turned(half) ? 0 : 1];
}

/* Our row of the file's row. */
static int64_t
our_row(const struct half *half, int64_t row)
{
	const int64_t head_dim = half->head_dim;

	if (head_dim == 0 || !half->is_b)
		return row;
	return row - row % head_dim + row % head_dim / 2 + row % 2 * (head_dim / 2);
}

void
half_row(const struct half *half, int64_t row, float *out)
{
	const struct tensor *numbers = numbers_of(half);
	const int64_t stride = numbers->shape[1], n = half_cols(half);
	const float *from = tensor_f32(numbers);

	row = our_row(half, row);
	if (is_turned(half)) {
		for (int64_t i = 0; i < n; i++)
			out[i] = from[i * stride + row];
	} else {
		memcpy(out, from + row * stride, (size_t)n * sizeof *out);
	}
}

void
half_set_row(const struct half *half, int64_t row, const float *values)
{
	const struct tensor *numbers = numbers_of(half);
	const int64_t stride = numbers->shape[1], n = half_cols(half);
	float *to = tensor_f32(numbers);

	row = our_row(half, row);
	for (int64_t i = 0; i < n; i++)
		to[is_turned(half) ? i * stride + row : row * stride + i] = values[i];
}
