/*
 * bench-matmul.c - how near the CPU backend's matrix products come to what the machine can do.
 *
 * In the same run it measures the peak rate of fused multiply-adds (a loop in registers) and the
 * rate of reading memory (a sum over a buffer larger than the caches), both on all threads, and
 * prints each operation as a share of one or the other.
 *
 * Usage: bench-matmul [isa [threads [products|lora|few-rows|one-core]]]; threads 0: all
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "engine/cpu/cpu.h"
#include "engine/cpu/threads.h"

#define BUFFER_BYTES ((size_t)512 << 20)
#define RUN_SECONDS 5e-4
#define TRIALS 100
#define MAX_SECONDS 0.4 /* of all trials of one call, if there were five */

/* ---- what the machine can do ---- */

#define PEAK_STEPS 20000 /* of a piece */
#define PEAK_PIECES 32

/* Twelve chains, enough to keep every unit busy; the empty assembly keeps them apart and alive. */
#define DEFINE_PEAK(name, bytes, attribute)                                                        \
	typedef float name##_vector __attribute__((vector_size(bytes)));                           \
	attribute static void name(void *arg, int64_t begin, int64_t end, int worker)              \
	{                                                                                          \
		name##_vector a = (name##_vector){ 0 } + 0.999999f, b = a * 1e-6f;                 \
		name##_vector s0 = b, s1 = b * 2, s2 = b * 3, s3 = b * 4, s4 = b * 5, s5 = b * 6;  \
		name##_vector s6 = b * 7, s7 = b * 8, s8 = b * 9, s9 = b * 10, s10 = b * 11;       \
		name##_vector s11 = b * 12;                                                        \
		(void)worker;                                                                      \
		for (int64_t i = begin * PEAK_STEPS; i < end * PEAK_STEPS; i++) {                  \
			s0 = s0 * a + b, s1 = s1 * a + b, s2 = s2 * a + b, s3 = s3 * a + b;        \
			s4 = s4 * a + b, s5 = s5 * a + b, s6 = s6 * a + b, s7 = s7 * a + b;        \
			s8 = s8 * a + b, s9 = s9 * a + b, s10 = s10 * a + b, s11 = s11 * a + b;    \
			__asm__("" : PEAK_REGISTERS(s0, s1, s2, s3, s4, s5));                      \
			__asm__("" : PEAK_REGISTERS(s6, s7, s8, s9, s10, s11));                    \
		}                                                                                  \
		s0 += s1 + s2 + s3 + s4 + s5 + s6 + s7 + s8 + s9 + s10 + s11;                      \
		((float *)arg)[begin] = s0[0];                                                     \
	}

#if defined(__x86_64__)
#define PEAK_REGISTERS(a, b, c, d, e, f) "+v"(a), "+v"(b), "+v"(c), "+v"(d), "+v"(e), "+v"(f)
#else
#define PEAK_REGISTERS(a, b, c, d, e, f) "+w"(a), "+w"(b), "+w"(c), "+w"(d), "+w"(e), "+w"(f)
#endif
DEFINE_PEAK(peak_plain, 16, )
#if defined(__x86_64__)
DEFINE_PEAK(peak_avx2, 32, __attribute__((target("avx2,fma"))))
DEFINE_PEAK(peak_avx512, 64, __attribute__((target("avx512f"))))
#endif

struct machine {
	const char *isa;
	int n_threads;
	double flops, bytes_per_s;
};

static void
measure_peak(struct machine *machine)
{
	struct thread_pool *pool = thread_pool_create(machine->n_threads);
	void (*run)(void *, int64_t, int64_t, int) = peak_plain;
	int width = 4;
	float out[PEAK_PIECES];

#if defined(__x86_64__)
	if (strcmp(machine->isa, "avx512") == 0) {
		run = peak_avx512;
		width = 16;
	} else if (strcmp(machine->isa, "avx2") == 0) {
		run = peak_avx2;
		width = 8;
	}
#endif
	for (int trial = 0; trial < 100; trial++) {
		double start = clock_seconds();
		thread_pool_run(pool, PEAK_PIECES, 1, run, out);
		double rate =
		    (double)PEAK_PIECES * PEAK_STEPS * 12 * width * 2 / (clock_seconds() - start);
		machine->flops = fmax(machine->flops, rate);
	}
	thread_pool_free(pool);
}

#define STREAM_BYTES ((int64_t)1 << 20)
#define PREFETCH_BYTES 8192

struct stream {
	const char *buffer;
	uint64_t sums[BUFFER_BYTES / STREAM_BYTES];
};

typedef uint64_t read_vector __attribute__((vector_size(64), aligned(64)));

#if defined(__x86_64__)
__attribute__((target_clones("avx512f", "avx2", "default")))
#endif
static void
read_stream(void *arg, int64_t begin, int64_t end, int worker)
{
	struct stream *stream = arg;
	const read_vector *v = (const read_vector *)(stream->buffer + begin * STREAM_BYTES);
	read_vector sum[4] = { 0 };

	(void)worker;
	for (int64_t i = 0; i < (end - begin) * STREAM_BYTES / (int64_t)sizeof *v; i += 4) {
		/* Near the end of a stream this asks for what is never used; that does no harm. */
		__builtin_prefetch((const void *)((uintptr_t)(v + i) + PREFETCH_BYTES), 0, 2);
		__builtin_prefetch((const void *)((uintptr_t)(v + i + 1) + PREFETCH_BYTES), 0, 2);
		__builtin_prefetch((const void *)((uintptr_t)(v + i + 2) + PREFETCH_BYTES), 0, 2);
		__builtin_prefetch((const void *)((uintptr_t)(v + i + 3) + PREFETCH_BYTES), 0, 2);
		sum[0] += v[i];
		sum[1] += v[i + 1];
		sum[2] += v[i + 2];
		sum[3] += v[i + 3];
	}
	sum[0] += sum[1] + sum[2] + sum[3];
	stream->sums[begin] = sum[0][0];
}

static void
measure_bandwidth(struct machine *machine)
{
	struct thread_pool *pool = thread_pool_create(machine->n_threads);
	char *buffer = aligned_alloc(64, BUFFER_BYTES);
	static struct stream stream;

	memset(buffer, 1, BUFFER_BYTES);
	stream.buffer = buffer;
	for (int trial = 0; trial < 15; trial++) {
		double start = clock_seconds();
		thread_pool_run(
		    pool, (int64_t)BUFFER_BYTES / STREAM_BYTES, 1, read_stream, &stream);
		machine->bytes_per_s =
		    fmax(machine->bytes_per_s, (double)BUFFER_BYTES / (clock_seconds() - start));
	}
	free(buffer);
	thread_pool_free(pool);
}

/* ---- operations ---- */

struct call {
	struct backend *backend;
	void (*run)(struct call *call);
	struct tensor x, w, y;
	float *dx, *dw;
	struct lora_span spans[64];
	int n_spans;
};

/* The best of many short runs: on a machine that does other things some are left alone. */
static double
seconds_per_call(struct call *call)
{
	double best = 1e9, begin;
	int repeat = 1;

	call->run(call);
	for (;;) {
		double start = clock_seconds();
		for (int i = 0; i < repeat; i++)
			call->run(call);
		double elapsed = clock_seconds() - start;
		if (elapsed > RUN_SECONDS / 2)
			break;
		repeat = elapsed > 1e-4 ? (int)(repeat * RUN_SECONDS / elapsed) + 1 : repeat * 10;
	}
	begin = clock_seconds();
	for (int trial = 0; trial < TRIALS; trial++) {
		if (trial >= 5 && clock_seconds() - begin > MAX_SECONDS)
			break;
		double start = clock_seconds();
		for (int i = 0; i < repeat; i++)
			call->run(call);
		best = fmin(best, (clock_seconds() - start) / repeat);
	}
	return best;
}

#define DISTINCT_ROWS 64

static struct tensor
random_tensor(enum dtype dtype, int64_t rows, int64_t cols)
{
	struct tensor t = { .dtype = dtype, .n_dims = 2, .shape = { rows, cols } };
	size_t row_bytes = dtype_row_bytes(dtype, cols);
	float *row = malloc((size_t)cols * sizeof *row);

	t.data = aligned_alloc(64, ((size_t)rows * row_bytes + 63) / 64 * 64);
	if (t.data == NULL || row == NULL)
		exit(1);
	for (int64_t r = 0; r < rows; r++) {
		char *to = (char *)t.data + (size_t)r * row_bytes;

		/* Quantising is slow; rows are repeated. */
		if (r >= DISTINCT_ROWS && dtype_is_quantised(dtype)) {
			memcpy(to, to - DISTINCT_ROWS * row_bytes, row_bytes);
			continue;
		}
		for (int64_t c = 0; c < cols; c++)
			row[c] = (float)((r * 7919 + c * 104729) % 2001 - 1000) / 1000;
		dtype_from_f32(dtype, row, to, cols);
	}
	free(row);
	return t;
}

static void
run_linear(struct call *call)
{
	call->backend->linear(call->backend->state, &call->x, &call->w, NULL, &call->y);
}

static void
run_dx(struct call *call)
{
	call->backend->linear_backward(
	    call->backend->state, &call->x, &call->w, call->y.data, call->dx, NULL, NULL);
}

static void
run_dw(struct call *call)
{
	call->backend->linear_backward(
	    call->backend->state, &call->x, &call->w, call->y.data, NULL, call->dw, NULL);
}

static void
run_lora(struct call *call)
{
	call->backend->lora(call->backend->state, &call->x, call->spans, call->n_spans, &call->y);
}

static void
run_lora_backward(struct call *call)
{
	call->backend->lora_backward(call->backend->state, &call->x, call->spans, call->n_spans,
	    call->y.data, tensor_cols(&call->y), call->dx);
}

static void
print_rate(const struct machine *machine, const char *name, const char *shape, double flops,
    double seconds)
{
	printf("%-14s %-24s %9.1f us %8.1f GFLOP/s %5.1f %% of peak\n", name, shape, seconds * 1e6,
	    flops / seconds * 1e-9, 100 * flops / seconds / machine->flops);
}

static void
bench_products(const struct machine *machine, struct backend *backend)
{
	static const int64_t shapes[][3] = { /* rows, k, n */
		{ 1, 128, 128 }, { 4, 128, 128 }, { 8, 128, 128 }, { 12, 128, 128 },
		{ 16, 128, 128 }, { 17, 128, 128 }, { 24, 128, 128 }, { 32, 128, 128 },
		{ 64, 128, 128 }, { 100, 128, 128 }, { 100, 128, 64 }, { 100, 128, 384 },
		{ 100, 384, 128 }, { 256, 128, 128 }, { 256, 128, 384 }, { 256, 384, 128 },
		{ 256, 128, 258 }, { 1024, 128, 64 }, { 1024, 128, 384 }, { 4096, 128, 64 },
		{ 4096, 128, 128 }, { 4096, 128, 384 }, { 4096, 384, 128 }, { 4096, 128, 258 },
		{ 1024, 1024, 1024 }
	};
	static const struct {
		const char *name;
		void (*run)(struct call *call);
	} operations[] = { { "linear", run_linear }, { "linear dx", run_dx },
		{ "linear dW", run_dw } };

	for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
		int64_t rows = shapes[i][0], k = shapes[i][1], n = shapes[i][2];
		struct call call = { .backend = backend,
			.x = random_tensor(DTYPE_F32, rows, k),
			.w = random_tensor(DTYPE_F32, n, k),
			.y = random_tensor(DTYPE_F32, rows, n),
			.dx = calloc((size_t)(rows * k), sizeof(float)),
			.dw = calloc((size_t)(n * k), sizeof(float)) };
		char shape[64];
		snprintf(shape, sizeof shape, "[%lld, %lld] -> %lld", (long long)rows, (long long)k,
		    (long long)n);
		for (size_t o = 0; o < 3; o++) {
			call.run = operations[o].run;
			print_rate(machine, operations[o].name, shape,
			    2.0 * (double)rows * (double)k * (double)n, seconds_per_call(&call));
		}
		free(call.x.data);
		free(call.w.data);
		free(call.y.data);
		free(call.dx);
		free(call.dw);
	}
}

static void
bench_lora(const struct machine *machine, struct backend *backend)
{
	static const int64_t cases[][3] = { /* spans, rows of each, rank */
		{ 1, 3200, 8 }, { 32, 100, 8 }, { 1, 3200, 16 }, { 1, 3200, 64 }, { 4, 1, 8 }
	};
	enum { IN = 128, OUT = 128 };

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		int64_t rows = cases[i][0] * cases[i][1], rank = cases[i][2];
		struct tensor a[64], bt[64];
		struct call call = { .backend = backend,
			.x = random_tensor(DTYPE_F32, rows, IN),
			.y = random_tensor(DTYPE_F32, rows, OUT),
			.dx = calloc((size_t)rows * IN, sizeof(float)),
			.n_spans = (int)cases[i][0] };
		char shape[64];
		double flops = 2.0 * (double)rows * (double)rank * (IN + OUT);
		for (int s = 0; s < call.n_spans; s++) {
			a[s] = random_tensor(DTYPE_F32, rank, IN);
			bt[s] = random_tensor(DTYPE_F32, rank, OUT);
			a[s].grad = calloc((size_t)rank * IN, sizeof(float));
			bt[s].grad = calloc((size_t)rank * OUT, sizeof(float));
			call.spans[s] = (struct lora_span){ s * cases[i][1], cases[i][1], &a[s],
				&bt[s], 1e-6f };
		}
		snprintf(shape, sizeof shape, "%lld x %lld rows, rank %lld", (long long)cases[i][0],
		    (long long)cases[i][1], (long long)rank);
		call.run = run_lora;
		print_rate(machine, "lora", shape, flops, seconds_per_call(&call));
		call.run = run_lora_backward;
		/* u, v, dx, dA and dBT */
		print_rate(machine, "lora backward", shape, 2.5 * flops, seconds_per_call(&call));
		for (int s = 0; s < call.n_spans; s++) {
			free(a[s].data);
			free(bt[s].data);
			free(a[s].grad);
			free(bt[s].grad);
		}
		free(call.x.data);
		free(call.y.data);
		free(call.dx);
	}
}

#define WEIGHT_BYTES ((size_t)256 << 20)

/* Weights larger than the caches, few rows of x at once. */
static void
bench_few_rows(
    const struct machine *machine, struct backend *backend, const char *what, enum dtype dtype)
{
	static const int64_t rows[] = { 1, 2, 4, 8, 16, 32 };
	enum { IN = 2048 };
	int64_t out = (int64_t)(WEIGHT_BYTES / dtype_row_bytes(dtype, IN));
	struct tensor w = random_tensor(dtype, out, IN);
	double bytes = (double)dtype_row_bytes(dtype, IN) * (double)out, one = 0;

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct call call = { .backend = backend,
			.run = run_linear,
			.x = random_tensor(DTYPE_F32, rows[i], IN),
			.w = w,
			.y = random_tensor(DTYPE_F32, rows[i], out) };
		double seconds = seconds_per_call(&call);
		if (i == 0)
			one = seconds;
		printf("%-14s %2lld rows %9.1f us %6.1f GB/s %5.1f %% of reading, "
		       "%5.2f x one row, %5.1f %% of peak\n",
		    what, (long long)rows[i], seconds * 1e6, bytes / seconds * 1e-9,
		    100 * bytes / seconds / machine->bytes_per_s, seconds / one,
		    200.0 * IN * (double)out * (double)rows[i] / seconds / machine->flops);
		free(call.x.data);
		free(call.y.data);
	}
	free(w.data);
}

/* ---- one core, by processor time: neighbours on the machine count less ---- */

static double
processor_time(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* One type's weights against plain reading of the same bytes, in turns. */
static void
bench_type_on_one_core(struct backend *backend, enum dtype dtype)
{
	enum { IN = 2048, ROUNDS = 6, MAX_ROWS = 4 };
	int64_t out = (int64_t)(BUFFER_BYTES / dtype_row_bytes(dtype, IN));
	struct call call = { .backend = backend,
		.run = run_linear,
		.x = random_tensor(DTYPE_F32, MAX_ROWS, IN),
		.w = random_tensor(dtype, out, IN),
		.y = random_tensor(DTYPE_F32, MAX_ROWS, out) };
	double reading = 1e9, best[MAX_ROWS + 1] = { 1e9, 1e9, 1e9, 1e9, 1e9 };
	int64_t n_streams = out * (int64_t)dtype_row_bytes(dtype, IN) / STREAM_BYTES;
	double bytes = (double)(out * (int64_t)dtype_row_bytes(dtype, IN));
	static struct stream stream;

	stream.buffer = call.w.data;
	for (int round = 0; round < ROUNDS; round++) {
		double start = processor_time();
		for (int64_t i = 0; i < n_streams; i++)
			read_stream(&stream, i, i + 1, 0);
		double read =
		    (processor_time() - start) * bytes / (double)(n_streams * STREAM_BYTES);
		reading = fmin(reading, read);
		for (int64_t rows = 1; rows <= MAX_ROWS; rows *= 2) {
			call.x.shape[0] = call.y.shape[0] = rows;
			start = processor_time();
			call.run(&call);
			best[rows] = fmin(best[rows], processor_time() - start);
		}
	}
	printf("%-7s reading %5.1f GB/s; 1 row %5.1f GB/s, %3.0f %% of it; 2 rows %3.0f %%; 4 rows "
	       "%3.0f %%\n",
	    dtype_name(dtype), bytes / reading * 1e-9, bytes / best[1] * 1e-9,
	    100 * reading / best[1], 100 * reading / best[2], 100 * reading / best[4]);
	free(call.x.data);
	free(call.w.data);
	free(call.y.data);
}

static struct backend *
open_or_exit(const char *isa, int n_threads, bool precise)
{
	struct cpu_options options = { .isa = isa, .n_threads = n_threads, .precise = precise };
	struct backend *backend;
	struct t2l_error err;

	if (cpu_backend_open(&options, &backend, &err) != T2L_OK) {
		fprintf(stderr, "bench-matmul: %s\n", err.message);
		exit(2);
	}
	return backend;
}

int
main(int argc, char **argv)
{
	int n_threads = argc > 2 ? atoi(argv[2]) : 0;
	const char *what = argc > 3 ? argv[3] : NULL;
	struct backend *backend = open_or_exit(argc > 1 ? argv[1] : NULL, n_threads, false);
	struct backend *precise = open_or_exit(argc > 1 ? argv[1] : NULL, n_threads, true);
	char isa[16] = "";
	struct machine machine = { .isa = isa, .n_threads = 1 };

	setvbuf(stdout, NULL, _IOLBF, 0);
	/* "cpu avx512, 2 threads" */
	sscanf(backend->description, "cpu %15[^,], %d", isa, &machine.n_threads);
	measure_peak(&machine);
	measure_bandwidth(&machine);
	printf("%s: peak %.1f GFLOP/s, reading %.1f GB/s\n", backend->description,
	    machine.flops * 1e-9, machine.bytes_per_s * 1e-9);
	if (what == NULL || strcmp(what, "products") == 0)
		bench_products(&machine, backend);
	if (what == NULL || strcmp(what, "lora") == 0)
		bench_lora(&machine, backend);
	if (what == NULL || strcmp(what, "few-rows") == 0) {
		bench_few_rows(&machine, backend, "f32", DTYPE_F32);
		bench_few_rows(&machine, backend, "f16", DTYPE_F16);
		bench_few_rows(&machine, backend, "bf16", DTYPE_BF16);
		for (enum dtype dtype = 0; dtype < N_DTYPES; dtype++)
			if (dtype_is_quantised(dtype))
				bench_few_rows(&machine, backend, dtype_name(dtype), dtype);
		bench_few_rows(&machine, precise, "q8_0 precise", DTYPE_Q8_0);
		bench_few_rows(&machine, precise, "q4_k precise", DTYPE_Q4_K);
	}
	if (what == NULL || strcmp(what, "one-core") == 0) {
		struct backend *one = open_or_exit(isa, 1, false);
		for (enum dtype dtype = 0; dtype < N_DTYPES; dtype++)
			if (dtype_is_weight(dtype))
				bench_type_on_one_core(one, dtype);
		cpu_backend_close(one);
	}
	cpu_backend_close(backend);
	cpu_backend_close(precise);
	return 0;
}
