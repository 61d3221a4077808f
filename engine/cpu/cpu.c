/*
 * cpu/cpu.c - opens the CPU backend: which instruction set, how many threads, whose memory.
 */
#define _GNU_SOURCE
#include "engine/cpu/cpu.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/cpu/cpu-state.h"
#include "engine/cpu/kernels-matmul.h"
#include "engine/cpu/kernels-rows.h"
#include "engine/cpu/matmul.h"
#include "engine/error.h"

#define SCRATCH_ALIGNMENT 64
#define SHARED_SCRATCH_BYTES ((size_t)256 << 10)

struct isa {
	const char *name;
	bool (*supported)(void);
	const struct matmul_kernels *matmul;
	const struct bf16_kernels *bf16;
	const struct row_kernels *rows;
};

static bool
always(void)
{
	return true;
}

#if defined(__x86_64__)
/* All processors with AVX2 have F16C, which clang has no name for here. */
static bool
has_avx2(void)
{
	return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

/* The first server processors with AVX-512 lack VNNI and take the avx2 kernels. */
static bool
has_avx512(void)
{
	return has_avx2() && __builtin_cpu_supports("avx512f") &&
	       __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
	       __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vnni");
}
#endif

/* Best first. */
static const struct isa isas[] = {
#if defined(__x86_64__)
	{ "avx512", has_avx512, &matmul_kernels_avx512, &bf16_kernels_avx512, &row_kernels_avx512 },
	{ "avx2", has_avx2, &matmul_kernels_avx2, &bf16_kernels_avx2, &row_kernels_avx2 },
#endif
	{ "plain", always, &matmul_kernels_plain, &bf16_kernels_plain, &row_kernels_plain },
};

#define N_ISAS (sizeof isas / sizeof isas[0])

const char *
cpu_features(void)
{
#if defined(__x86_64__)
	if (has_avx512())
		return __builtin_cpu_supports("avx512bf16") ? "avx512 (f, bw, vl, dq, vnni, bf16)"
							    : "avx512 (f, bw, vl, dq, vnni)";
	if (has_avx2())
		return __builtin_cpu_supports("avx512f") ? "avx2 (fma, f16c; avx512 without vnni)"
							 : "avx2 (fma, f16c)";
	return "plain (x86-64, sse2)";
#elif defined(__aarch64__)
	return "plain (aarch64, neon)";
#else
	return "plain";
#endif
}

static enum t2l_status
choose_isa(const char *wanted, const struct isa **isa, struct t2l_error *err)
{
	bool any = wanted == NULL || strcmp(wanted, "auto") == 0;

	for (size_t i = 0; i < N_ISAS; i++) {
		if (!any && strcmp(wanted, isas[i].name) != 0)
			continue;
		if (isas[i].supported()) {
			*isa = &isas[i];
			return T2L_OK;
		}
		if (!any)
			return t2l_fail(err, T2L_EINVAL,
			    "instruction set '%s': this processor has only %s; use 'auto'", wanted,
			    cpu_features());
	}
	return t2l_fail(err, T2L_EINVAL,
	    "instruction set '%s' is unknown; use auto, avx512, avx2 or plain", wanted);
}

/* Pairs where the processor multiplies them, and the panels are those of AVX-512. */
static const struct bf16_kernels *
choose_bf16(const struct isa *isa)
{
#if defined(__x86_64__)
	if (isa->matmul == &matmul_kernels_avx512 && __builtin_cpu_supports("avx512bf16"))
		return &bf16_kernels_pairs;
#endif
	return isa->bf16;
}

static int
available_processors(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0)
		return CPU_COUNT(&set);
	/* More processors than the set has room for. */
	long online = sysconf(_SC_NPROCESSORS_ONLN);
	return online > 0 && online < 1024 ? (int)online : 1;
}

/* What cpu_backend_open() returns, in one piece: the table, its state and its description. */
struct opened_cpu {
	struct backend backend, bf16;
	struct cpu cpu;
	char description[64];
};

static void *
grow(void **buffer, size_t *buffer_bytes, size_t bytes)
{
	void *larger;

	if (bytes <= *buffer_bytes)
		return *buffer;
	if (bytes > SIZE_MAX / 2)
		return NULL;
	/* A little more than asked for, so that slowly growing sequences do not allocate each
	 * time; contents need not survive. */
	size_t rounded =
	    (bytes + bytes / 4 + SCRATCH_ALIGNMENT - 1) / SCRATCH_ALIGNMENT * SCRATCH_ALIGNMENT;
	larger = aligned_alloc(SCRATCH_ALIGNMENT, rounded);
	if (larger == NULL)
		return NULL;
	free(*buffer);
	*buffer = larger;
	*buffer_bytes = rounded;
	return larger;
}

void *
cpu_worker_scratch(struct cpu *cpu, int worker, size_t bytes)
{
	return grow(&cpu->worker_scratch[worker], &cpu->worker_scratch_bytes[worker], bytes);
}

void *
cpu_shared_scratch(struct cpu *cpu, size_t bytes)
{
	return grow(&cpu->shared_scratch, &cpu->shared_scratch_bytes, bytes);
}

static void
close_cpu(void *state)
{
	struct cpu *cpu = state;

	if (cpu->worker_scratch != NULL)
		for (int i = 0; i < thread_pool_size(cpu->pool); i++)
			free(cpu->worker_scratch[i]);
	thread_pool_free(cpu->pool);
	free(cpu->worker_scratch);
	free(cpu->worker_scratch_bytes);
	free(cpu->shared_scratch);
}

/* What matrix products need is there from the start: they have no way to report a lack of it. */
static bool
reserve_scratch(struct cpu *cpu, int n_threads)
{
	cpu->worker_scratch = calloc((size_t)n_threads, sizeof *cpu->worker_scratch);
	cpu->worker_scratch_bytes = calloc((size_t)n_threads, sizeof *cpu->worker_scratch_bytes);
	if (cpu->worker_scratch == NULL || cpu->worker_scratch_bytes == NULL)
		return false;
	for (int i = 0; i < n_threads; i++)
		if (cpu_worker_scratch(cpu, i, MATMUL_SCRATCH_BYTES) == NULL)
			return false;
	return cpu_shared_scratch(cpu, SHARED_SCRATCH_BYTES) != NULL;
}

enum t2l_status
cpu_backend_open(const struct cpu_options *options, struct backend **backend, struct t2l_error *err)
{
	int n_threads = options->n_threads > 0 ? options->n_threads : available_processors();
	const struct isa *isa = NULL;
	struct opened_cpu *opened;
	enum t2l_status status = choose_isa(options->isa, &isa, err);

	if (status != T2L_OK)
		return status;
	opened = calloc(1, sizeof *opened);
	if (opened == NULL)
		return t2l_fail(err, T2L_ENOMEM, "cpu backend: out of memory");
	opened->cpu = (struct cpu){ .pool = thread_pool_create(n_threads),
		.matmul = isa->matmul,
		.bf16 = options->no_pairs ? isa->bf16 : choose_bf16(isa),
		.rows = isa->rows,
		.isa = isa->name,
		.precise = options->precise };
	if (opened->cpu.pool == NULL || !reserve_scratch(&opened->cpu, n_threads)) {
		close_cpu(&opened->cpu);
		free(opened);
		return t2l_fail(err, T2L_ENOMEM,
		    "cpu backend: no memory for %d threads; ask for fewer", n_threads);
	}
	snprintf(opened->description, sizeof opened->description, "cpu %s, %d thread%s%s",
	    isa->name, n_threads, n_threads == 1 ? "" : "s", options->precise ? ", precise" : "");
	opened->backend = (struct backend){ .name = "cpu",
		.description = opened->description,
		.state = &opened->cpu,
		.close = close_cpu };
	cpu_fill_matmul(&opened->backend);
	cpu_fill_rows(&opened->backend);
	opened->bf16 = opened->backend;
	cpu_fill_bf16(&opened->bf16);
	opened->backend.bf16 = &opened->bf16;
	*backend = &opened->backend;
	return T2L_OK;
}

void
cpu_backend_close(struct backend *backend)
{
	if (backend == NULL)
		return;
	backend->close(backend->state);
	/* The table is the first member of what was allocated. */
	free(backend);
}
