/*
 * bench-merge.c - how long merging adapters of a 7B base takes, by strategy, and what memory.
 *
 * Random adapters of rank 16 in the shapes of LLaMA-7B: q_proj 4096 x 4096 and down_proj
 * 4096 x 11008. Strategies on factors and spans get LAYERS layers of both, those that form matrices
 * one q_proj. peer-merge.py does the same with PEFT; figures are a module's.
 *
 * Usage: bench-merge [layers [strategy...]]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "engine/adapters/adapter.h"

#define N_ADAPTERS 3
#define RANK 16

static double
seconds(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void
fail(const struct t2l_error *err)
{
	fprintf(stderr, "bench-merge: %s\n", err->message);
	exit(1);
}

static struct t2l_adapter *
make(int n_layers, bool with_down, uint32_t seed)
{
	const struct adapter_labels none = { .name = NULL };
	struct adapter_module *modules = calloc((size_t)n_layers * 2, sizeof *modules);
	struct t2l_adapter *adapter;
	struct t2l_error err;
	size_t n = 0;

	for (int layer = 0; modules != NULL && layer < n_layers; layer++) {
		modules[n++] = (struct adapter_module){ .layer = layer,
			.module = MODULE_Q,
			.rank = RANK,
			.alpha = 32,
			.a = { .shape = { 0, 4096 } },
			.bt = { .shape = { 0, 4096 } } };
		if (with_down)
			modules[n++] = (struct adapter_module){ .layer = layer,
				.module = MODULE_DOWN,
				.rank = RANK,
				.alpha = 32,
				.a = { .shape = { 0, 11008 } },
				.bt = { .shape = { 0, 4096 } } };
	}
	if (modules == NULL || adapter_create(modules, n, false, &none, &adapter, &err) != T2L_OK)
		fail(&err);
	free(modules);
	for (size_t i = 0; i < adapter->n_modules; i++) {
		for (int half = 0; half < 2; half++) {
			struct tensor *x =
			    half == 0 ? &adapter->modules[i].a : &adapter->modules[i].bt;

			for (int64_t k = 0; k < tensor_count(x); k++) {
				seed = seed * 1664525u + 1013904223u;
				tensor_f32(x)[k] = ((float)(seed >> 8) / 8388608.0F - 1) * 0.02F;
			}
		}
	}
	if (adapter_seal(adapter, &err) != T2L_OK)
		fail(&err);
	return adapter;
}

static long
peak_mib(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_maxrss / 1024;
}

static void
measure(struct t2l_engine *engine, const char *strategy, int n_layers, bool with_down)
{
	const double weights[N_ADAPTERS] = { 0.5, 0.3, 0.2 };
	struct t2l_merge_options options = t2l_merge_defaults(strategy);
	struct t2l_adapter *adapters[N_ADAPTERS], *result;
	struct t2l_merge_report report;
	struct t2l_error err;
	double wall = 1e9, cpu = 1e9;
	size_t n = 0;

	for (uint32_t i = 0; i < N_ADAPTERS; i++)
		adapters[i] = make(n_layers, with_down, 1 + i);
	for (int trial = 0; trial < 3; trial++) {
		double wall_begin = seconds(CLOCK_MONOTONIC);
		double cpu_begin = seconds(CLOCK_PROCESS_CPUTIME_ID);

		if (t2l_adapter_merge(engine, &options, (const struct t2l_adapter *const *)adapters,
			weights, N_ADAPTERS, &report, &result, &err) != T2L_OK)
			fail(&err);
		n = result->n_modules;
		t2l_adapter_close(result);
		wall_begin = seconds(CLOCK_MONOTONIC) - wall_begin;
		cpu_begin = seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu_begin;
		wall = wall_begin < wall ? wall_begin : wall;
		cpu = cpu_begin < cpu ? cpu_begin : cpu;
		if (wall > 2)
			break;
	}
	for (int i = 0; i < N_ADAPTERS; i++)
		t2l_adapter_close(adapters[i]);
	printf("%-20s %3zu modules  %10.2f ms wall  %10.2f ms cpu a module  peak %ld MiB\n",
	    strategy, n, wall * 1e3 / (double)n, cpu * 1e3 / (double)n, peak_mib());
	fflush(stdout);
}

int
main(int argc, char **argv)
{
	static const char *const all[] = { "linear", "cat", "ties", "magnitude_prune", "svd",
		"ties_svd" };
	int n_layers = argc > 1 ? atoi(argv[1]) : 8;
	struct t2l_engine *engine;
	struct t2l_error err;

	if (n_layers < 1 || n_layers > 64 || t2l_engine_open(NULL, &engine, &err) != T2L_OK) {
		fprintf(stderr, "usage: bench-merge [layers [strategy...]]\n");
		return 2;
	}
	printf("%d adapters of rank %d; %s\n", N_ADAPTERS, RANK, t2l_engine_description(engine));
	for (int i = 2; i < argc || (argc <= 2 && i - 2 < (int)(sizeof all / sizeof all[0])); i++) {
		const char *name = argc > 2 ? argv[i] : all[i - 2];
		bool forms = strstr(name, "svd") != NULL;

		measure(engine, name, forms ? 1 : n_layers, !forms);
	}
	t2l_engine_close(engine);
	return 0;
}
