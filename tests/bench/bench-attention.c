/*
 * bench-attention.c - attention alone: decoding over a long cache, a prompt, packed training rows.
 *
 * Decoding reads every key and value once: printed as GB/s beside a plain read of the same
 * memory. Prompts and training are printed as GFLOP/s of their useful products. The figures are
 * those of the fastest of REPEATS calls.
 *
 * usage: bench-attention [THREADS [ISA]]
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "engine/cpu/cpu.h"

#define REPEATS 20

struct workload {
	const char *name;
	int rows, n_kv, kv_heads, group, head_dim;
	enum dtype dtype;
	int packed; /* rows of each packed sequence; 0: causal over all */
	bool backward;
};

static const struct workload workloads[] = {
	{ "decode 8k, 8 kv heads x 4, f16", 1, 8192, 8, 4, 128, DTYPE_F16, 0, false },
	{ "decode 8k, 8 kv heads x 1, f16", 1, 8192, 8, 1, 128, DTYPE_F16, 0, false },
	{ "decode 8k, 8 kv heads x 4, f32", 1, 8192, 8, 4, 128, DTYPE_F32, 0, false },
	{ "prompt 2k, 4 kv heads x 4, f16", 2048, 2048, 4, 4, 64, DTYPE_F16, 0, false },
	{ "prompt 2k, 4 kv heads x 4, backward", 2048, 2048, 4, 4, 64, DTYPE_F32, 0, true },
	{ "packed 40s, 2 kv heads x 2", 2000, 2000, 2, 2, 32, DTYPE_F32, 40, false },
	{ "packed 40s, 2 kv heads x 2, backward", 2000, 2000, 2, 2, 32, DTYPE_F32, 40, true },
};

static void *
new_memory(size_t bytes)
{
	void *memory = aligned_alloc(64, (bytes + 63) / 64 * 64);

	if (memory == NULL)
		abort();
	memset(memory, 0, bytes);
	return memory;
}

static float *
new_values(int64_t n)
{
	float *x = new_memory((size_t)n * sizeof *x);
	uint32_t state = 1;

	for (int64_t i = 0; i < n; i++) {
		state = state * 1664525u + 1013904223u;
		x[i] = (float)(state >> 8) / (float)(1 << 23) - 1;
	}
	return x;
}

static struct tensor
stored(enum dtype dtype, int64_t rows, int64_t cols)
{
	float *values = new_values(rows * cols);
	struct tensor t = { .dtype = dtype, .n_dims = 2, .shape = { rows, cols } };

	t.data = new_memory(dtype_row_bytes(dtype, cols) * (size_t)rows);
	(void)dtype_from_f32(dtype, values, t.data, rows * cols);
	free(values);
	return t;
}

/* What one thread reads in a second, adding up words. */
static double
read_bandwidth(const struct tensor *k, const struct tensor *v, size_t bytes)
{
	const struct tensor *both[2] = { k, v };
	double fastest = 1e9;
	volatile uint64_t sink;

	for (int repeat = 0; repeat < REPEATS; repeat++) {
		double start = clock_seconds(), taken;
		uint64_t sum[8] = { 0 };

		for (int t = 0; t < 2; t++) {
			const uint64_t *words = both[t]->data;

			for (size_t i = 0; i + 8 <= bytes / 2 / sizeof *words; i += 8)
				for (size_t j = 0; j < 8; j++)
					sum[j] += words[i + j];
		}
		sink = sum[0] + sum[1] + sum[2] + sum[3] + sum[4] + sum[5] + sum[6] + sum[7];
		(void)sink;
		taken = clock_seconds() - start;
		fastest = taken < fastest ? taken : fastest;
	}
	return (double)bytes / fastest;
}

static void
run(const struct backend *backend, const struct workload *w)
{
	int64_t kv_cols = (int64_t)w->kv_heads * w->head_dim, q_cols = kv_cols * w->group;
	struct tensor q = stored(DTYPE_F32, w->rows, q_cols),
		      out = stored(DTYPE_F32, w->rows, q_cols);
	struct tensor k = stored(w->dtype, w->n_kv, kv_cols),
		      v = stored(w->dtype, w->n_kv, kv_cols);
	float *dq = new_values(w->rows * q_cols), *dk = new_values(w->n_kv * kv_cols);
	float *dv = new_values(w->n_kv * kv_cols);
	int32_t *begin = new_memory((size_t)w->rows * 4), *end = new_memory((size_t)w->rows * 4);
	struct attention_shape shape = { .n_heads = w->kv_heads * w->group,
		.n_kv_heads = w->kv_heads,
		.head_dim = w->head_dim,
		.scale = 1 / sqrtf((float)w->head_dim),
		.kv_begin = begin,
		.kv_end = end };
	size_t bytes = 2 * dtype_row_bytes(w->dtype, kv_cols) * (size_t)w->n_kv;
	double fastest = 1e9, pairs = 0;

	for (int i = 0; i < w->rows; i++) {
		begin[i] = w->packed > 0 ? i / w->packed * w->packed : 0;
		end[i] = w->n_kv - w->rows + i + 1;
		pairs += end[i] - begin[i];
	}
	for (int repeat = 0; repeat < REPEATS; repeat++) {
		double start = clock_seconds(), taken;

		if (w->backward)
			backend->attention_backward(
			    backend->state, &q, &k, &v, &shape, out.data, dq, dk, dv);
		else
			backend->attention(backend->state, &q, &k, &v, &shape, &out);
		taken = clock_seconds() - start;
		fastest = taken < fastest ? taken : fastest;
	}
	printf("%-38s %8.3f ms", w->name, 1e3 * fastest);
	if (w->rows == 1)
		printf("  %6.1f GB/s (one thread reads %.1f)\n", 1e-9 * (double)bytes / fastest,
		    1e-9 * read_bandwidth(&k, &v, bytes));
	else /* products of pairs: scores and values, and their five of the way back */
		printf("  %6.1f GFLOP/s\n",
		    1e-9 * pairs * (double)q_cols * 2 * (w->backward ? 5 : 2) / fastest);
	free(q.data);
	free(out.data);
	free(k.data);
	free(v.data);
	free(dq);
	free(dk);
	free(dv);
	free(begin);
	free(end);
}

int
main(int argc, char **argv)
{
	struct cpu_options options = { .n_threads = argc > 1 ? atoi(argv[1]) : 0,
		.isa = argc > 2 ? argv[2] : NULL };
	struct backend *backend;
	struct t2l_error err;

	if (cpu_backend_open(&options, &backend, &err) != T2L_OK) {
		fprintf(stderr, "%s\n", err.message);
		return 1;
	}
	printf("%s\n", backend->description);
	for (size_t i = 0; i < sizeof workloads / sizeof workloads[0]; i++)
		run(backend, &workloads[i]);
	cpu_backend_close(backend);
	return 0;
}
